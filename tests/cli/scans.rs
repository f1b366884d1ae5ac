//! `recon` and `inspect` of scans from HDF5 files: slices, noise, geometry, what is said.

use crate::harness::{Folder, distance};
use crate::raw_scan::{self, Line};
use linops::app::{ScanOptions, scan};
use linops::io::{Array, read_cfl};
use ndarray::{Array3, ArrayD, Axis};
use num_complex::{Complex32, Complex64};
use serde_json::json;
use std::f64::consts::TAU;

const N: usize = 32;

/// A group that is not called `dataset`.
fn written(folder: &Folder, name: &str, xml: &str, lines: &[Line]) {
    raw_scan::written(folder, name, xml, "scan_7", lines);
}

fn header(partitions: usize) -> String {
    let z = 5 * partitions;
    let space = format!(
        "<matrixSize><x>{N}</x><y>{N}</y><z>{partitions}</z></matrixSize>\
         <fieldOfView_mm><x>240</x><y>240</y><z>{z}</z></fieldOfView_mm>"
    );
    format!(
        "<ismrmrdHeader><encoding><encodedSpace>{space}</encodedSpace><reconSpace>{space}</reconSpace><encodingLimits>\
         <kspace_encoding_step_1><center>16</center></kspace_encoding_step_1></encodingLimits>\
         <trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )
}

/// k-space, whose maps are `maps.npy`.
fn simulated(folder: &Folder) -> Array3<Complex32> {
    let options = ScanOptions::default().ny(N).nx(N).coils(3).acceleration(1).noise(0.001).seed(3);
    let simulated = scan(&options).unwrap();
    folder.complex("maps.npy", &simulated.maps);
    simulated.kspace
}

fn lines(kspace: &Array3<Complex32>, slice: usize) -> Vec<Line> {
    let scale = 1.0 + slice as f32;
    let data = |ky: usize| {
        let line = kspace.index_axis(Axis(1), ky);
        line.rows().into_iter().map(|row| row.iter().map(|v| v * scale).collect()).collect()
    };
    (0..N).map(|ky| Line { line: ky as u16, slice: slice as u16, data: data(ky), ..Line::default() }).collect()
}

#[test]
fn slices_make_a_stack() {
    let folder = Folder::new();
    let kspace = simulated(&folder);
    let all: Vec<Line> = (0..3).flat_map(|slice| lines(&kspace, slice)).collect();
    written(&folder, "scan.mrd", &header(1), &all);
    let text = folder.good("recon scan.mrd --maps maps.npy -o one.npy --device host");
    assert!(text.lines().count() <= 8, "{text}");
    for part in ["read slice 0 of 0 to 2", "32 x 32, 240 x 240 mm, pixels of 7.5 x 7.5 mm", "slice 5 mm"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let one = folder.read("one.npy");
    assert_eq!(one.shape(), [N, N]);
    let text = folder.good("recon scan.mrd --maps maps.npy --slice all -o all.npy --device host");
    assert!(text.contains("(slice, y, x) = 3 x 32 x 32") && text.lines().count() <= 8, "{text}");
    let stack = folder.read("all.npy");
    assert_eq!(stack.shape(), [3, N, N]);
    for slice in 0..3 {
        let image = stack.index_axis(Axis(0), slice).to_owned();
        assert!(distance(&image, &one.mapv(|v| v * (1.0 + slice as f32))) < 1e-4);
    }
    // As BART has slices, and as a picture.
    folder.good("recon scan.mrd --maps maps.npy --slice 1:3 -o all.cfl --device host");
    let cfl = read_cfl(folder.path("all.cfl")).unwrap();
    assert_eq!((cfl.dims[0], cfl.dims[1], cfl.dims[13]), (N, N, 2));
    folder.good("recon scan.mrd --maps maps.npy --slice all -o all.png --device host");
    let result = folder.json("recon scan.mrd --maps maps.npy --slice 0,2 -o two.npy --device host");
    assert_eq!(result["stack"], json!([{ "axis": "slice", "values": [0, 2] }]));
    assert_eq!(result["images"][1]["counters"]["slice"], 2);
    assert_eq!(result["images"][1]["voxel_mm"], json!([5.0, 7.5, 7.5]));
    folder.refused("recon scan.mrd --slice 7 -o x.npy --device host", "no slice 7; the file has slice 0 to 2");
    folder.misused("recon scan.mrd --slice x -o x.npy", "a range such as 0:4");
    folder.misused("recon scan.mrd --slice 0,0 -o x.npy", "names 0 twice");
    folder.misused("recon scan.mrd --coil-axis 1 -o x.npy --device host", "--coil-axis is for arrays");
    folder.misused("recon one.npy --group a -o x.npy --device host", "--group is for scans of HDF5 files");
    folder.refused("recon one.npy --slice 1 -o x.npy --device host", "--slice: the array has no axis of that name");
}

#[test]
fn a_noise_scan_whitens_maps_too() {
    let folder = Folder::new();
    let options = ScanOptions::default().ny(N).nx(N).coils(3).acceleration(1).noise(0.0).seed(3);
    let simulated = scan(&options).unwrap();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    // One channel hears mostly noise.
    let size = [0.002, 0.4, 0.002];
    let mut noise = |n: usize| -> Vec<Vec<Complex32>> {
        size.iter().map(|s| (0..n).map(|_| Complex32::new(next(), next()) * *s).collect()).collect()
    };
    let mut all = vec![Line { flags: 1 << 18, data: noise(512), ..Line::default() }];
    for mut line in lines(&simulated.kspace, 0) {
        let heard = noise(N);
        line.data.iter_mut().zip(&heard).for_each(|(row, n)| row.iter_mut().zip(n).for_each(|(v, n)| *v += n));
        all.push(line);
    }
    written(&folder, "scan.h5", &header(1), &all);
    folder.complex("maps.npy", &simulated.maps);
    let args = "recon scan.h5 --maps maps.npy --lambda 1e-4 --device host";
    let text = folder.good(&format!("{args} -o white.npy"));
    assert!(text.contains("pre-whitened by 512 samples of noise") && text.contains("as k-space is"), "{text}");
    // The noise may be worth a warning.
    assert_eq!(folder.run(&format!("{args} --no-whiten -o plain.npy")).code, 0);
    let truth = simulated.reference.into_dyn();
    let (white, plain) = (distance(&folder.read("white.npy"), &truth), distance(&folder.read("plain.npy"), &truth));
    assert!(white < 0.15 && plain > 3.0 * white, "{white} {plain}");
    // Estimated maps: the image has about the shading that it has without; its scale hangs on the channel of noise.
    folder.good("recon scan.h5 -o own.npy --device host");
    let own = folder.read("own.npy").mapv(|v| Complex32::from(v.norm()));
    let truth = truth.mapv(|v| Complex32::from(v.norm()));
    let product: f32 = own.iter().zip(&truth).map(|(a, b)| a.re * b.re).sum();
    let square: f32 = own.iter().map(|a| a.re * a.re).sum();
    let near = distance(&own.mapv(|v| v * (product / square)), &truth);
    assert!(near < 0.4, "{near}");
    // Maps that were estimated before are those that are estimated with the image; of k-space as it is they are worse.
    let apart = |calibrate: &str| {
        assert_eq!(folder.run(&format!("calibrate scan.h5 -o m.npy --force {calibrate}")).code, 0);
        assert_eq!(folder.run("recon scan.h5 --maps m.npy -o given.npy --force --device host").code, 0);
        distance(&folder.read("given.npy"), &folder.read("own.npy"))
    };
    let (white, plain) = (apart(""), apart("--no-whiten"));
    assert!(white < 0.1 && plain > 3.0 * white, "{white} {plain}");
    // Coils that are combined as they are keep their own scale.
    for (more, name) in [("", "r.npy"), ("--no-whiten", "p.npy")] {
        assert_eq!(folder.run(&format!("recon scan.h5 --rss {more} -o {name} --device host")).code, 0);
    }
    assert_eq!(folder.read("r.npy"), folder.read("p.npy"));
    // Combined to fewer coils it is nearly the same image, of the same scale.
    folder.good("recon scan.h5 --compress 2 -o two.npy --device host");
    let two = distance(&folder.read("two.npy"), &folder.read("own.npy"));
    assert!(two < 0.1, "{two}");
}

/// What is at the border of an image whose oversampling is cut goes on beyond it, and so are its maps estimated.
#[test]
fn maps_are_estimated_before_oversampling_is_cut() {
    let folder = Folder::new();
    let options = ScanOptions::default().ny(N).nx(2 * N).coils(4).acceleration(1).noise(0.001).seed(3);
    let simulated = scan(&options).unwrap();
    let wide = header(1).replacen("<x>32</x>", "<x>64</x>", 1).replacen("<x>240</x>", "<x>480</x>", 1);
    let kept: Vec<Line> = lines(&simulated.kspace, 0)
        .into_iter()
        .filter(|line| line.line % 2 == 0 || line.line.abs_diff(16) < 6)
        .collect();
    written(&folder, "scan.h5", &wide, &kept);
    let plain = folder.json("recon scan.h5 -o x.npy --device host");
    assert_eq!(folder.read("x.npy").shape(), [N, N]);
    folder.good("calibrate scan.h5 -o m.npy");
    assert_eq!(folder.read("m.npy").shape(), [4, N, N]);
    let given = folder.json("recon scan.h5 --maps m.npy -o y.npy --device host");
    let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
    let [plain, given] = [plain, given].map(|facts| facts["misfit"].as_f64().unwrap());
    assert!(apart < 1e-3 && (given / plain - 1.0).abs() < 0.01, "{apart} {plain} {given}");
}

/// A range beyond the last slice is told, and what a series of a scan is called.
#[test]
fn ranges_that_are_cut_short_are_told() {
    let folder = Folder::new();
    let kspace = simulated(&folder);
    let all: Vec<Line> = (0..2).flat_map(|slice| lines(&kspace, slice)).collect();
    written(&folder, "scan.h5", &header(1), &all);
    folder.warned("recon scan.h5 --slice 0:9 -o x.npy --force --device host", "--slice 0:9: 1 is the last there is");
    folder.good("recon scan.h5 --slice 0: -o x.npy --force --device host");
    folder.misused("recon scan.h5 --time -o x.npy", "--repetition all");
}

/// Repetitions of a scan as one series: that of the same frames as an array, with their oversampling cut.
#[test]
fn repetitions_are_frames_of_a_series() {
    let folder = Folder::new();
    let kspace = simulated(&folder);
    let acquired = |t: usize, line: &Line| (line.line as usize + t).is_multiple_of(2) || line.line.abs_diff(16) < 5;
    let frame = |t: usize| {
        let of = lines(&kspace, t).into_iter().filter(|line| acquired(t, line));
        of.map(|line| Line { slice: 0, repetition: t as u16, ..line }).collect::<Vec<_>>()
    };
    written(&folder, "scan.h5", &header(1), &(0..3).flat_map(frame).collect::<Vec<_>>());
    let mut array = ndarray::Array4::<Complex32>::zeros((3, 3, N, N));
    for t in 0..3 {
        for line in frame(t) {
            for (coil, values) in line.data.iter().enumerate() {
                values.iter().enumerate().for_each(|(x, v)| array[[t, coil, line.line as usize, x]] = *v);
            }
        }
    }
    folder.complex("series.npy", &array);
    for reg in ["--lambda 0.01", "--reg llr:0.01"] {
        let args = format!("--time --maps maps.npy {reg} --tol 1e-5 --device host --force -o");
        folder.json(&format!("recon series.npy {args} array.npy"));
        let text = folder.good(&format!("recon scan.h5 --repetition all {args} scan.npy"));
        assert!(text.contains("3 frames by repetition") && text.lines().count() <= 8, "{text}");
        let (array, scan) = (folder.read("array.npy"), folder.read("scan.npy"));
        assert_eq!(scan.shape(), [3, N, N]);
        assert!(distance(&scan, &array) < 1e-3, "{reg}: {}", distance(&scan, &array));
    }
    // Maps of all frames together, as those of the array are estimated.
    let args = "--time --lambda 0.01 --device host -o";
    folder.good(&format!("recon scan.h5 --repetition all {args} own.npy"));
    folder.good(&format!("recon series.npy {args} estimated.npy"));
    let magnitude = |name: &str| folder.read(name).mapv(|v| Complex32::from(v.norm()));
    let apart = distance(&magnitude("own.npy"), &magnitude("estimated.npy"));
    folder.good("recon scan.h5 --repetition 1 --lambda 0.01 --device host -o single.npy");
    let single = distance(&magnitude("own.npy").index_axis(Axis(0), 1).to_owned(), &magnitude("single.npy"));
    let given = distance(&magnitude("own.npy"), &magnitude("scan.npy"));
    assert!(apart < 0.05 && single < 0.05, "{apart} {single} {given}");
    folder.good("recon scan.h5 --repetition 0:2 --time --device host -o two.npy");
    assert_eq!(folder.read("two.npy").shape(), [2, N, N]);
    folder.misused("recon scan.h5 --repetition 1 --time --device host -o x.npy", "--repetition all");
    folder.misused("recon scan.h5 --repetition all --time --mask maps.npy -o x.npy", "as they were acquired");
    folder.good("recon scan.h5 --repetition all --time --device host -o x.nii");
    folder.good("recon scan.h5 --repetition all --time --device host -o x.cfl");
    let cfl = read_cfl(folder.path("x.cfl")).unwrap();
    assert_eq!((cfl.dims[0], cfl.dims[1], cfl.dims[2], cfl.dims[10]), (N, N, 1, 3));
    // A frame of which nothing is finite is left out, and said.
    let nan = |mut line: Line| {
        line.data.iter_mut().flatten().for_each(|v| *v = Complex32::new(f32::NAN, 0.0));
        line
    };
    let lost = frame(1).into_iter().map(nan).collect();
    written(&folder, "gap.h5", &header(1), &[frame(0), lost, frame(2)].concat());
    let args = "recon gap.h5 --repetition all --time --allow-nan --device host -o gap.npy";
    folder.warned(args, "1 frame of 3 without data");
    assert_eq!(folder.read("gap.npy").shape(), [2, N, N]);
    // Slices are no frames.
    let all: Vec<Line> = (0..2).flat_map(|slice| lines(&kspace, slice)).collect();
    written(&folder, "slices.h5", &header(1), &all);
    folder
        .refused("recon slices.h5 --slice all --repetition all --time --device host -o x.npy", "slices are no frames");
}

#[test]
fn files_are_inspected() {
    let folder = Folder::new();
    written(&folder, "scan.h5", &header(1), &lines(&simulated(&folder), 1));
    let text = folder.good("inspect scan.h5");
    for part in [
        "ISMRMRD, group scan_7",
        "cartesian, 32 imaging lines",
        "32 x 32 over 240 x 240 mm",
        "3 channels, 32 samples",
        "line 16, sample 16: 0 and 0 from the centre",
        "slice",
    ] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let result = folder.json("inspect scan.h5");
    assert_eq!(result["encodings"][0]["counters"]["slice"], json!([[1, 32]]));
    assert_eq!((&result["groups"], &result["noise"]), (&json!(["scan_7"]), &json!(null)));
    let mut array = ArrayD::<f32>::zeros(vec![4, 6]);
    array[[1, 5]] = -2.0;
    folder.array("a.npy", &Array::F32(array));
    let text = folder.good("inspect a.npy");
    assert!(text.contains("2 at [1, 5], [-1, 2] from N/2") && text.contains("23 of 24"), "{text}");
    folder.refused("inspect missing.h5", "no such file");
    folder.misused("inspect a.npy --group x", "--group is for HDF5 files");
}

#[test]
fn partitions_become_planes() {
    let folder = Folder::new();
    let kspace = simulated(&folder);
    // Its size in the partitions: a profile along z.
    let sizes = [0.1f32, 0.3, 1.0, 0.3];
    let scaled = |partition: usize| {
        let own = &kspace * Complex32::from(sizes[partition]);
        lines(&own, 0).into_iter().map(move |line| Line { partition: partition as u16, ..line })
    };
    written(&folder, "scan.h5", &header(4), &(0..4).flat_map(scaled).collect::<Vec<_>>());
    written(&folder, "flat.h5", &header(1), &lines(&kspace, 0));
    folder.good("recon scan.h5 -o x.npy --device host");
    folder.good("recon flat.h5 -o flat.npy --device host");
    let (image, flat) = (folder.read("x.npy"), folder.read("flat.npy").mapv(|v| v.norm()));
    assert_eq!(image.shape(), [4, N, N]);
    for z in 0..4 {
        let wave = |k: usize| Complex64::cis(TAU * (k as f64 - 2.0) * (z as f64 - 2.0) / 4.0);
        let profile = (0..4).map(|k| wave(k) * f64::from(sizes[k])).sum::<Complex64>().norm() / 2.0;
        let plane = image.index_axis(Axis(0), z).mapv(|v| Complex32::from(v.norm()));
        let expected = flat.mapv(|v| Complex32::from(v * profile as f32));
        // Where maps end, at the edge, is decided by rounding.
        assert!(distance(&plane, &expected) < 0.06, "{z}: {}", distance(&plane, &expected));
    }
}
