//! Transforms and interpolations against the formulas that define them, in f64.

mod common;

use common::data::{Random, complex, distance, real, wide};
use common::{apply_on, devices};
use linops::linop::{self, Accuracy, Norm, NufftOptions, TrigOptions, TrigType};
use linops::{Device, Linop};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

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

/// What SciPy's documentation says of type II and IV, unnormalised.
fn cosine(kind: TrigType, k: usize, i: usize, n: usize) -> f64 {
    let (k, i, n) = (k as f64, i as f64, n as f64);
    match kind {
        TrigType::II => 2.0 * (PI * k * (2.0 * i + 1.0) / (2.0 * n)).cos(),
        _ => 2.0 * (PI * (2.0 * k + 1.0) * (2.0 * i + 1.0) / (4.0 * n)).cos(),
    }
}

#[test]
fn long_cosine_transforms_are_their_sums() {
    // Of even, odd, prime and twice prime length.
    for n in [33, 64, 100, 1009, 1024, 2 * 1021, 3375] {
        for kind in [TrigType::II, TrigType::IV] {
            let a = linop::dct(format!("N={n}"), "N", TrigOptions::default().kind(kind).norm(Norm::Backward)).unwrap();
            for x in [real(a.input().unwrap(), 1), complex(a.input().unwrap(), 2)] {
                let w = wide(&x);
                let want = |k: usize| w.iter().enumerate().map(|(i, x)| x * cosine(kind, k, i, n)).sum::<Complex64>();
                let want = ArrayD::from_shape_fn(IxDyn(&[n]), |k| want(k[0]));
                for device in devices() {
                    let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
                    assert!(error < 1e-6, "{kind:?} of {n}, {} on {}: {error:.1e}", x.dtype(), device.name());
                }
            }
        }
    }
}

#[test]
fn orthonormal_cosine_transforms_cancel() {
    let nodes = |a: &Linop| a.program().unwrap().nodes().len();
    for options in [TrigType::I, TrigType::II, TrigType::III, TrigType::IV].map(|k| TrigOptions::default().kind(k)) {
        for a in [linop::dct("Y=40 X=7", "Y X", options).unwrap(), linop::dst("Y=40 X=7", "X Y", options).unwrap()] {
            assert_eq!((nodes(&a), nodes(&a.n()), nodes(&(&a * a.h()).out("Y X").unwrap())), (2, 0, 0));
            // Weights along one dim leave that dim's transforms.
            let a = a.out("Y X").unwrap();
            for (dim, extent) in [("Y", 40), ("X", 7)] {
                let lines = linop::diagonal("Y=40 X=7", &real(format!("{dim}={extent}"), 3)).unwrap();
                assert_eq!(nodes(&(a.h() * lines * &a)), 3);
            }
        }
    }
    // An inverse is one for every norm.
    for norm in [Norm::Ortho, Norm::Backward, Norm::Forward] {
        let options = TrigOptions::default().kind(TrigType::I).norm(norm);
        let there = linop::dct("N=50", "N", options).unwrap();
        let back = linop::dct(there.output().unwrap(), "N1", options.inverse(true)).unwrap();
        let x = real("N=50", 4);
        assert!(distance(&apply_on(&Device::host(), &(back * there), &x).unwrap(), &wide(&x)) < 1e-6);
    }
}

#[test]
fn transforms_of_reals_are_of_half_the_length() {
    let a = linop::dct("B=3 N=96", "N", TrigOptions::default()).unwrap();
    let plan = |dtype| a.plan(&Device::host(), dtype).unwrap();
    let names: Vec<&str> = plan(linops::DType::F32).steps.iter().map(|s| s.name()).collect();
    assert_eq!(names, ["rows", "fft", "rows"]);
    let lengths = plan(linops::DType::F32).values.iter().map(|v| v.len()).collect::<Vec<_>>();
    assert_eq!(lengths, [3 * 96, 3 * 48, 3 * 48, 3 * 96]);
    let short = linop::dct("B=3 N=32", "N", TrigOptions::default()).unwrap();
    assert_eq!(short.plan(&Device::host(), linops::DType::F32).unwrap().steps.len(), 1);
}

#[test]
fn what_cosine_transforms_do_not_take_is_said() {
    let error = |a: linops::Result<Linop>| a.unwrap_err().to_string();
    let first = TrigOptions::default().kind(TrigType::I);
    assert!(error(linop::dct("N=1", "N", first)).contains("dct: dim N has extent 1; expected at least 2 for type I"));
    assert!(linop::dst("N=1", "N", first).is_ok());
    assert!(error(linop::dst("N=4", "M", first)).starts_with("dst: "));
    let five = from_file(r#"{ "op": "dct", "in": "N=4", "axes": ["N"], "type": 5 }"#, &[]);
    assert!(error(five).contains("type: is 5; expected 1, 2, 3 or 4"));
}
