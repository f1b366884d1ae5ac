//! What becomes of an image after the solve: zero-filling and partial Fourier.

use crate::harness::{Folder, distance};
use linops::app::{ScanOptions, scan, zero_fill};
use ndarray::{ArrayD, s};
use num_complex::Complex32;

const REST: &str = "--lambda 1e-4 --device host --force";

#[test]
fn zeros_around_kspace_make_a_finer_grid() {
    let folder = Folder::new();
    folder.scan();
    let args = format!("recon kspace.npy --maps maps.npy {REST}");
    folder.good(&format!("{args} -o x.npy"));
    let image = folder.read("x.npy");
    for (given, extents) in [("96,80", [96, 80]), ("49x45", [49, 45]), ("48", [48, 48])] {
        let result = folder.json(&format!("{args} --zero-fill {given} -o y.npy"));
        assert_eq!(result["zero_filled"], serde_json::json!(extents));
        let fine = folder.read("y.npy");
        assert!(distance(&fine, &zero_fill(image.view(), &extents).unwrap()) < 1e-6);
    }
    folder.good(&format!("{args} --zero-fill 96,80 -o y.npy"));
    // Every other pixel of twice the grid is a pixel that there was.
    let every = folder.read("y.npy").slice(s![..;2, ..;2]).to_owned().into_dyn();
    assert!(distance(&every, &image) < 1e-5);
    folder.good(&format!("{args} --reg l2:1e-4 --zero-fill 96,80 -o z.npy"));
    assert_eq!(folder.read("z.npy").shape(), [96, 80]);
    folder.refused(&format!("{args} --zero-fill 40 -o w.npy"), "the image has 48 pixels, more than 40");
    folder.refused(&format!("{args} --zero-fill 64,64,64 -o w.npy"), "--zero-fill has 3 extents");
    folder.refused(&format!("{args} -o w.npy --zero-fill"), "no header says the matrix");
    folder.misused(&format!("{args} -o w.npy --zero-fill much"), "256x192");
}

/// How far magnitudes are apart.
fn off(a: &ArrayD<Complex32>, b: &ArrayD<Complex32>) -> f32 {
    let size = |v: &Complex32| Complex32::from(v.norm());
    distance(&a.map(size), &b.map(size))
}

#[test]
fn the_missing_side_of_kspace_is_filled() {
    let folder = Folder::new();
    let mut scan = scan(&ScanOptions::default().ny(64).nx(40).coils(4).acceleration(1).noise(0.0)).unwrap();
    folder.complex("maps.npy", &scan.maps);
    folder.complex("full.npy", &scan.kspace);
    folder.good(&format!("recon full.npy --maps maps.npy {REST} -o full_x.npy"));
    let text = folder.good(&format!("recon full.npy --maps maps.npy {REST} -o y.npy"));
    assert!(!text.contains("partial"), "{text}");
    scan.kspace.slice_mut(s![.., ..20, ..]).fill(Complex32::default());
    folder.complex("part.npy", &scan.kspace);
    let want = folder.read("full_x.npy");
    let args = format!("recon part.npy --maps maps.npy {REST} -o y.npy");
    let text = folder.good(&args);
    assert!(text.contains("ky 20 to 63 of 64") && text.contains("--partial-fourier pocs"), "{text}");
    let zero = off(&folder.read("y.npy"), &want);
    folder.good(&format!("{args} --partial-fourier zero"));
    assert_eq!(off(&folder.read("y.npy"), &want), zero);
    for way in ["homodyne", "pocs"] {
        let result = folder.json(&format!("{args} --partial-fourier {way}"));
        assert_eq!(result["partial_fourier"], way);
        let found = off(&folder.read("y.npy"), &want);
        assert!(found < 0.6 * zero, "{way}: {found} of {zero}");
    }
    // Coil by coil, without maps.
    folder.good("recon full.npy --rss -o full_r.npy --device host");
    let rss = |more: &str| {
        folder.good(&format!("recon part.npy --rss --device host --force -o y.npy {more}"));
        off(&folder.read("y.npy"), &folder.read("full_r.npy"))
    };
    let (zero, filled) = (rss(""), rss("--partial-fourier pocs"));
    assert!(filled < 0.6 * zero, "{filled} of {zero}");
    folder.warned(&format!("recon full.npy --maps maps.npy {REST} -o y.npy --partial-fourier pocs"), "both sides");
    folder.misused(&format!("{args} --partial-fourier margosian"), "zero, homodyne or pocs");
}
