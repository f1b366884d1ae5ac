//! FFT conventions of `recon`: what is said when one is off, and what puts it right.

use crate::harness::{Folder, distance};
use linops::app::trajectory::golden_radial;
use linops::app::{SampleOptions, ScanOptions, sample_scan, scan};
use ndarray::{Array3, ArrayD, Axis, s};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

const NY: usize = 48;
const NX: usize = 40;

/// A full scan as `k.npy` and `maps.npy`, and its image.
fn full(folder: &Folder) -> (Array3<Complex32>, ArrayD<Complex32>) {
    let scan = scan(&ScanOptions::default().ny(NY).nx(NX).coils(4).acceleration(1).noise(0.0)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    (scan.kspace, scan.reference.into_dyn())
}

/// Index 0 from n/2, which for even n is its own inverse.
fn ifftshift(values: &Array3<Complex32>, axes: &[usize]) -> Array3<Complex32> {
    let mut values = values.clone();
    for axis in axes {
        let n = values.len_of(Axis(*axis));
        let order: Vec<usize> = (0..n).map(|i| (i + n / 2) % n).collect();
        values = values.select(Axis(*axis), &order);
    }
    values
}

/// The plain DFT of images, with the orthonormal scale, in f64: index 0 is the origin of both.
fn plain_dft(images: &Array3<Complex32>) -> Array3<Complex32> {
    let (coils, ny, nx) = images.dim();
    let wave = |k: usize, m: usize, n: usize| Complex64::cis(-TAU * (k * m % n) as f64 / n as f64) / (n as f64).sqrt();
    let wide = images.mapv(|v| Complex64::new(v.re.into(), v.im.into()));
    let rows = Array3::from_shape_fn((coils, ny, nx), |(c, y, k)| {
        (0..nx).map(|x| wide[[c, y, x]] * wave(k, x, nx)).sum::<Complex64>()
    });
    Array3::from_shape_fn((coils, ny, nx), |(c, k, x)| {
        let v = (0..ny).map(|y| rows[[c, y, x]] * wave(k, y, ny)).sum::<Complex64>();
        Complex32::new(v.re as f32, v.im as f32)
    })
}

#[test]
fn good_data_bring_no_warning() {
    let folder = Folder::new();
    let (_, image) = full(&folder);
    let result = folder.json("recon k.npy --maps maps.npy --lambda 1e-4 -o x.npy --device host");
    assert_eq!(result["warnings"], serde_json::json!([]));
    assert!(result["misfit"].as_f64().unwrap() < 0.08, "{result}");
    assert!(distance(&folder.read("x.npy"), &image) < 0.08);
    folder.good("recon k.npy -o x.npy --device host --force");
}

#[test]
fn what_numpy_leaves_in_fft_order_is_seen_and_shifted() {
    let folder = Folder::new();
    // Odd extents too, where the ways back and forth differ.
    for (ny, nx) in [(40, 32), (33, 36)] {
        let scan = scan(&ScanOptions::default().ny(ny).nx(nx).coils(3).acceleration(1).noise(0.0)).unwrap();
        let images = &scan.maps * &scan.reference;
        let corner = plain_dft(&images);
        folder.complex("corner.npy", &corner);
        folder.complex("maps.npy", &scan.maps);
        let args = "recon corner.npy --lambda 1e-4 -o x.npy --device host --force";
        let out = folder.run(args);
        assert!(out.code == 0 && out.stderr.contains("at [ky=0, kx=0]"), "{}", out.stderr);
        assert!(out.stderr.contains("--shift both"), "{}", out.stderr);
        let text = folder.good(&format!("{args} --maps maps.npy --shift both"));
        assert!(text.contains("shifted"), "{text}");
        let apart = distance(&folder.read("x.npy"), &scan.reference.clone().into_dyn());
        assert!(apart < 1e-3, "{ny} x {nx}: {apart}");
        folder.good(&format!("{args} --maps maps.npy --shift kspace,image"));
        assert!(distance(&folder.read("x.npy"), &scan.reference.into_dyn()) < 1e-3);
    }
}

#[test]
fn one_axis_in_fft_order_is_named() {
    let folder = Folder::new();
    let (kspace, image) = full(&folder);
    folder.complex("y.npy", &ifftshift(&kspace, &[1]));
    let args = "recon y.npy --maps maps.npy --lambda 1e-4 -o x.npy --device host --force";
    folder.warned(args, "give --shift kspace:y");
    folder.good(&format!("{args} --shift kspace:y"));
    assert!(distance(&folder.read("x.npy"), &image) < 0.08);
    // A mask that is in order stays so; one in FFT order is shifted with the data.
    let lines = ndarray::Array1::from_shape_fn(NY, |y| f32::from(y % 2 == 0 || y.abs_diff(NY / 2) < 8));
    let part = &kspace * &lines.mapv(Complex32::from).insert_axis(Axis(1));
    folder.complex("part.npy", &ifftshift(&part, &[1]));
    folder.real("lines.npy", &lines);
    folder.real("turned.npy", &lines.select(Axis(0), &(0..NY).map(|y| (y + NY / 2) % NY).collect::<Vec<_>>()));
    for mask in ["lines.npy", "turned.npy"] {
        let args = "recon part.npy --maps maps.npy --lambda 1e-4 --device host --force";
        folder.good(&format!("{args} --mask {mask} --shift kspace:y -o {mask}.x.npy"));
    }
    assert_eq!(folder.read("lines.npy.x.npy"), folder.read("turned.npy.x.npy"));
    folder.misused(&format!("{args} --shift ky"), "expected kspace, image, both, mask or maps");
    // A centre that is neither in the middle nor at 0.
    let mut off = Array3::<Complex32>::zeros(kspace.dim());
    off.slice_mut(s![.., ..NY - 12, ..]).assign(&kspace.slice(s![.., 12.., ..]));
    folder.complex("off.npy", &off);
    folder.warned("recon off.npy --maps maps.npy -o x.npy --device host --force", "lines numbered from the first");
}

#[test]
fn half_shifted_images_are_seen() {
    let folder = Folder::new();
    let (kspace, image) = full(&folder);
    // (−1)^k: the image is shifted by half of it.
    let mut half = kspace.clone();
    half.indexed_iter_mut().filter(|((_, y, x), _)| (y + x) % 2 == 1).for_each(|(_, v)| *v = -*v);
    folder.complex("half.npy", &half);
    let args = "recon half.npy --lambda 1e-4 -o x.npy --device host --force";
    folder.warned(args, "--shift image");
    let out = folder.run(&format!("{args} --maps maps.npy --json"));
    let result: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let said: Vec<&str> = result["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    // One reason is enough.
    assert!(said.len() == 1 && said[0].contains("give --shift image"), "{said:?}");
    assert!(out.stderr.lines().count() == 1, "{}", out.stderr);
    folder.good(&format!("{args} --maps maps.npy --shift image"));
    assert!(distance(&folder.read("x.npy"), &image) < 0.08);
    // The maps, in place of the data.
    let maps = folder.read("maps.npy").into_dimensionality().unwrap();
    folder.complex("turned.npy", &ifftshift(&maps, &[1, 2]));
    folder.warned(
        "recon k.npy --maps turned.npy --lambda 1e-4 -o x.npy --device host --force",
        "shifted by half of the image along y and x explain the data better",
    );
    folder.good("recon k.npy --maps turned.npy --shift maps --lambda 1e-4 -o x.npy --device host --force");
    assert!(distance(&folder.read("x.npy"), &image) < 0.08);
}

#[test]
fn shifts_of_what_is_centred_are_doubted() {
    let folder = Folder::new();
    full(&folder);
    for shift in ["kspace", "kspace:x", "image", "both"] {
        let args = format!("recon k.npy --maps maps.npy --shift {shift} -o x.npy --device host --force");
        folder.warned(&args, "leave --shift out");
    }
    folder.warned("recon k.npy --maps maps.npy --shift maps -o x.npy --device host --force", "leave --shift maps out");
    folder.warned("recon k.npy --maps maps.npy --conj-maps -o x.npy --device host --force", "leave --conj-maps out");
    // One axis is, the other is not.
    let kspace = folder.read("k.npy").into_dimensionality().unwrap();
    folder.complex("y.npy", &ifftshift(&kspace, &[1]));
    folder.warned("recon y.npy --maps maps.npy --shift kspace -o x.npy --device host --force", "give --shift kspace:y");
}

#[test]
fn radial_data_without_a_trajectory_are_doubted() {
    let folder = Folder::new();
    let k = golden_radial(32, 48, 32).unwrap().into_dyn();
    let scan = sample_scan(k.view(), &SampleOptions::default().ny(32).nx(32).coils(4)).unwrap();
    folder.complex("spokes.npy", &scan.kspace);
    folder.warned("recon spokes.npy -o x.npy --rss --device host", "give the trajectory by --traj");
    let turned = scan.kspace.permuted_axes(vec![0, 2, 1]).as_standard_layout().into_owned();
    folder.complex("turned.npy", &turned);
    folder.warned("recon turned.npy -o y.npy --rss --device host", "(coil, sample, spoke)");
}

#[test]
fn conjugate_maps_are_named() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.complex("conj.npy", &scan.maps.mapv(|v| v.conj()));
    let args = "recon kspace.npy --maps conj.npy --lambda 0.001 -o x.npy --device host --force";
    folder.warned(args, "maps conjugated explain the data better");
    folder.good(&format!("{args} --conj-maps"));
    assert!(distance(&folder.read("x.npy"), &scan.reference.into_dyn()) < 0.15);
    // With other solvers, too.
    folder.warned(&format!("{args} --reg l2:0.01"), "--conj-maps");
    folder.misused("recon kspace.npy --conj-maps -o x.npy", "--maps");
}

#[test]
fn masks_that_disagree_are_counted() {
    let folder = Folder::new();
    let scan = folder.scan();
    let (ny, nx) = scan.mask.dim();
    let order: Vec<usize> = (0..ny).map(|i| (i + ny / 2) % ny).collect();
    let shifted = scan.mask.select(Axis(0), &order);
    folder.real("shifted.npy", &shifted);
    let lost = shifted.iter().zip(&scan.mask).filter(|(m, d)| **m == 1.0 && **d == 0.0).count();
    let args = "recon kspace.npy --maps maps.npy --lambda 0.001 --device host --force";
    folder.warned(
        &format!("{args} --mask shifted.npy -o x.npy"),
        &format!("{lost} ones of the mask have no data, {lost} locations"),
    );
    folder.warned(&format!("{args} --mask shifted.npy -o x.npy"), "--shift mask:y");
    folder.good(&format!("{args} --mask shifted.npy --shift mask -o x.npy"));
    folder.good(&format!("{args} --mask mask.npy -o y.npy"));
    assert_eq!(folder.read("x.npy"), folder.read("y.npy"));
    folder.real("inverse.npy", &scan.mask.mapv(|m| 1.0 - m));
    let out = folder.run(&format!("{args} --mask inverse.npy -o x.npy"));
    assert!(out.stderr.contains("1 where nothing was sampled"), "{}", out.stderr);
    folder.real("ones.npy", &ndarray::Array2::ones((ny, nx)));
    folder.warned(&format!("{args} --mask ones.npy -o x.npy"), "zeros there count as measured");
}

#[test]
fn weights_far_from_the_data_are_told() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy --mask mask.npy -o x.npy --device host --force";
    // The maps are larger than 1 outside the head, and λ counts relative to that; of such an image the misfit is told as well.
    let out = folder.run(&format!("{args} --lambda 100"));
    assert!(out.code == 0 && out.stderr.contains("lambda 100 takes much of the image"), "{}", out.stderr);
    folder.good(&format!("{args} --lambda 0.01"));
    let out = folder.run(&format!("{args} --reg tv:0.9 --tol 1e-2 --json"));
    assert!(out.stderr.contains("tv with lambda") && out.stderr.contains("leaves little"), "{}", out.stderr);
    let out = folder.run(&format!("{args} --reg tv:=1e-12 --tol 1e-2"));
    assert!(out.stderr.contains("does nothing"), "{}", out.stderr);
}
