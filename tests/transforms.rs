//! Transforms and interpolations against the formulas that define them, in f64.

mod common;

use common::data::{Random, complex, distance, wide};
use common::{apply_on, devices};
use linops::linop::{self, Accuracy, NufftOptions};
use linops::{Device, Linop};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Points, uniform up to ±`reach` times each of these.
fn points(count: usize, reach: f64, extents: &[f64], seed: u64) -> ArrayD<f64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(&[count, extents.len()]), |i| f64::from(r.uniform()) * reach * extents[i[1]])
}

/// Indices of all elements, in C order.
fn indices_of(extents: &[usize]) -> Vec<Vec<usize>> {
    let len: usize = extents.iter().product();
    let one = |mut i: usize| {
        let mut index = vec![0; extents.len()];
        for a in (0..extents.len()).rev() {
            (index[a], i) = (i % extents[a], i / extents[a]);
        }
        index
    };
    (0..len).map(one).collect()
}

#[test]
fn ndft_is_its_sum() {
    // Points beyond the band are periodic.
    for (shape, axes, image) in
        [("N=13", "N", vec![13]), ("Y=8 X=5", "Y X", vec![8, 5]), ("Z=3 Y=6 X=4", "Z Y X", vec![3, 6, 4])]
    {
        let locs = points(17, 1.7, &image.iter().map(|&n| n as f64).collect::<Vec<_>>(), 1);
        let x = complex(shape, 2);
        let scale = 1.0 / (wide(&x).len() as f64).sqrt();
        let all = indices_of(&image);
        let want = ArrayD::from_shape_fn(IxDyn(&[17]), |m| {
            let term = |(n, x): (&Vec<usize>, &Complex64)| {
                let turns = |d: usize| locs[[m[0], d]] * (n[d] as f64 - (image[d] / 2) as f64) / image[d] as f64;
                x * Complex64::from_polar(scale, -TAU * (0..image.len()).map(turns).sum::<f64>())
            };
            all.iter().zip(&wide(&x)).map(term).sum::<Complex64>()
        });
        let a = linop::ndft(shape, &locs, axes, "S").unwrap();
        for device in devices() {
            assert!(distance(&apply_on(&device, &a, &x).unwrap(), &want) < 1e-6, "{shape} on {}", device.name());
        }
    }
}

#[test]
fn ndft_and_nufft_agree_within_the_tolerance() {
    for (shape, axes, image) in [("N=64", "N", vec![64.0]), ("Y=20 X=23", "Y X", vec![20.0, 23.0])] {
        let locs = points(300, 0.5, &image, 3);
        let x = complex(shape, 4);
        let want = linop::ndft(shape, &locs, axes, "S").unwrap();
        let want = linops::apply_f64(&want, &wide(&x)).unwrap();
        for tol in [1e-3, 1e-5] {
            let options = NufftOptions::default().accuracy(Accuracy::Tol(tol));
            let a = linop::nufft(shape, &locs, axes, options, "S").unwrap();
            let error = distance(&apply_on(&Device::host(), &a, &x).unwrap(), &want);
            assert!(error < tol, "{shape}: {error:.1e} > {tol:.0e}");
        }
    }
}

/// A linop file's linop, with these arrays beside it.
fn from_file(json: &str, arrays: &[(&str, &ArrayD<f64>)]) -> linops::Result<Linop> {
    let folder = tempfile::tempdir().unwrap();
    for (name, values) in arrays {
        ndarray_npy(&folder.path().join(name), values);
    }
    let path = folder.path().join("linop.json");
    std::fs::write(&path, json).unwrap();
    Linop::from_file(&path)
}

/// An f8 array in NumPy's format, version 1.
fn ndarray_npy(path: &std::path::Path, values: &ArrayD<f64>) {
    let extents: String = values.shape().iter().map(|n| format!("{n},")).collect();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({extents}), }}");
    let header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// The same linop, written by hand and in a file.
fn same(file: &Linop, built: &Linop) {
    assert_eq!((file.input().unwrap(), file.output().unwrap()), (built.input().unwrap(), built.output().unwrap()));
    let x = complex(built.input().unwrap(), 5);
    let y = |a: &Linop| common::bits(&apply_on(&Device::host(), a, &x).unwrap());
    assert_eq!(y(file), y(built));
}

#[test]
fn files_name_ndft() {
    let locs = points(5, 0.5, &[6.0, 5.0], 6);
    let json = r#"{ "op": "ndft", "in": "C=2 Y=6 X=5", "axes": ["Y", "X"], "locs": "k.npy", "out": "C S" }"#;
    same(&from_file(json, &[("k.npy", &locs)]).unwrap(), &linop::ndft("C=2 Y=6 X=5", &locs, "Y X", "C S").unwrap());
}
