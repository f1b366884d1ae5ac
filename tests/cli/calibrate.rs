//! `calibrate`, and `recon` with what it writes: maps of slices, of volumes, of spokes, and in several sets.

use crate::harness::{Folder, distance};
use linops::app::conventions::centred_order;
use linops::app::{ScanOptions, VolumeScanOptions, scan, volume_scan};
use linops::io::{Array, Output, read_cfl, write_cfl};
use ndarray::{Axis, s};
use num_complex::Complex32;

#[test]
fn maps_that_are_saved_give_the_image_of_those_that_are_not() {
    let folder = Folder::new();
    folder.scan();
    folder.good("recon kspace.npy -o x.npy --device host");
    let image = folder.read("x.npy");
    let facts = folder.json("calibrate kspace.npy -o m.npy --eigenvalues e.npy --device host");
    assert!(facts["method"].as_str().unwrap().contains("ESPIRiT from 24 x 24"), "{facts}");
    assert_eq!((facts["sets"].as_u64(), folder.read("m.npy").shape()), (Some(1), &[4, 48, 40][..]));
    let (values, signal) = (folder.read("e.npy"), facts["signal"][0].as_f64().unwrap());
    assert!((values[[24, 20]].re - 1.0).abs() < 1e-2 && values[[0, 0]].re < 0.95, "{}", values[[24, 20]]);
    let kept = values.iter().filter(|v| v.re >= 0.95).count() as f64 / values.len() as f64;
    assert!((kept - signal).abs() < 1e-9 && (0.2..0.8).contains(&signal), "{kept} {signal}");
    // Of BART's dims.
    folder.good("calibrate kspace.npy -o m.cfl");
    assert_eq!(&read_cfl(folder.path("m")).unwrap().dims[..5], &[40, 48, 1, 4, 1]);
    for maps in ["m.npy", "m.cfl"] {
        folder.good(&format!("recon kspace.npy --maps {maps} -o y.npy --device host --force"));
        let apart = distance(&folder.read("y.npy"), &image);
        assert!(apart < 1e-5, "{maps}: {apart}");
    }
    folder.refused("calibrate kspace.npy -o m.npy", "--force");
    folder.good("calibrate kspace.npy -o m.npy --eigenvalues e.png --force");
    // With fewer centre lines, other maps; with a mask, only what it leaves.
    folder.good("calibrate kspace.npy -o n.npy --calib-size 12 --kernel 4 --threshold 0.05 --crop 0.9");
    assert!(distance(&folder.read("n.npy"), &folder.read("m.npy")) > 1e-3);
    folder.good("calibrate kspace.npy -o n.npy --mask mask.npy --force");
    assert_eq!(folder.read("n.npy"), folder.read("m.npy"));
}

#[test]
fn walsh_is_near_espirit() {
    let folder = Folder::new();
    let scan = folder.scan();
    let facts = folder.json("calibrate kspace.npy -o w.npy --method walsh --kernel 7");
    assert!(facts["method"].as_str().unwrap().contains("neighbourhoods of 7"), "{facts}");
    assert_eq!(facts["signal"][0], 1.0);
    folder.good("calibrate kspace.npy -o m.npy");
    let (walsh, espirit) = (folder.read("w.npy"), folder.read("m.npy"));
    for ((y, x), _) in scan.reference.indexed_iter().filter(|(_, v)| v.norm() > 0.2) {
        let inner: Complex32 = (0..4).map(|c| walsh[[c, y, x]].conj() * espirit[[c, y, x]]).sum();
        assert!(inner.norm() > 0.97, "{inner} at {y} {x}");
    }
    folder
        .misused("calibrate kspace.npy -o v.npy --method walsh --threshold 0.1", "--threshold is for --method espirit");
}

#[test]
fn what_cannot_be_calibrated_is_said() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.refused("calibrate kspace.npy -o m.npy --kernel 20", "at most half of them: 12");
    folder.refused("calibrate kspace.npy -o m.npy --sets 5", "1 to the number of coils, 4");
    folder.refused("calibrate kspace.npy -o m.npy --matrix 48", "--matrix is for data with a trajectory");
    folder.refused("calibrate kspace.npy -o kspace.npy --force", "kspace.npy");
    folder.refused("calibrate kspace.npy -o m.npy --eigenvalues m.npy", "named for two outputs");
    folder.misused("calibrate kspace.npy -o m.png", ".npy or .cfl or .hdr");
    folder.misused("calibrate kspace.npy -o m.npy --crop 2", "from 0 to 1");
    let mut sparse = scan.kspace;
    sparse.slice_mut(s![.., 22..26;2, ..]).fill(Complex32::default());
    folder.complex("sparse.npy", &sparse);
    let out = folder.run("calibrate sparse.npy -o m.npy");
    assert!(
        out.code == 1 && out.stderr.contains("acquire more centre lines") && !out.stderr.contains("--maps"),
        "{}",
        out.stderr
    );
    folder.refused("calibrate missing.npy -o m.npy --sets 2 --eigenvalues e.png", "no such file");
}

#[test]
fn two_sets_explain_what_folds() {
    let folder = Folder::new();
    // Half the field of view: what is beyond folds onto what is within.
    let scan = scan(&ScanOptions::default().ny(64).nx(32).coils(6).acceleration(1).noise(0.0)).unwrap();
    let folded = scan.kspace.slice(s![.., ..;2, ..]).to_owned();
    folder.complex("k.npy", &folded);
    let facts = folder.json("calibrate k.npy -o m.npy --sets 2 --crop 0.8 --eigenvalues e.npy");
    assert_eq!((folder.read("m.npy").shape(), folder.read("e.npy").shape()), (&[6, 2, 32, 32][..], &[2, 32, 32][..]));
    assert!(facts["signal"][1].as_f64().unwrap() > 0.03, "{facts}");
    let solve = "--lambda 1e-4 --device host --force";
    let misfit = |maps: &str, more: &str| {
        let facts = folder.json(&format!("recon k.npy --maps {maps} {solve} {more}"));
        facts["misfit"].as_f64().unwrap()
    };
    let two = misfit("m.npy", "-o x.npy");
    folder.good("calibrate k.npy -o one.npy --crop 0.8");
    let one = misfit("one.npy", "-o one_x.npy");
    assert!(two < 0.1 && one > 3.0 * two, "{one} {two}");
    // Combined, or each on its own, in .npy and as BART has them.
    let combined = folder.read("x.npy");
    misfit("m.npy", "--all-sets -o s.npy");
    let stack = folder.read("s.npy");
    assert_eq!((combined.shape(), stack.shape()), (&[32, 32][..], &[2, 32, 32][..]));
    let by_hand = stack.mapv(|v| v.norm_sqr()).sum_axis(Axis(0)).mapv(|v| Complex32::from(v.sqrt()));
    assert!(distance(&combined, &by_hand) < 1e-6);
    misfit("m.npy", "--all-sets -o s.cfl");
    assert_eq!(&read_cfl(folder.path("s")).unwrap().dims[..6], &[32, 32, 1, 1, 2, 1]);
    folder.good("calibrate k.npy -o m.cfl --sets 2 --crop 0.8");
    assert_eq!(&read_cfl(folder.path("m")).unwrap().dims[..6], &[32, 32, 1, 6, 2, 1]);
    misfit("m.cfl", "-o y.npy");
    assert!(distance(&folder.read("y.npy"), &combined) < 1e-6);
    let facts =
        folder.json(&format!("recon k.npy --maps m.cfl {solve} --reg tv:0.001 --iterations 20 --tol 1 -o z.npy"));
    assert_eq!((facts["sets"].as_u64(), folder.read("z.npy").shape()), (Some(2), &[32, 32][..]));
    // Both images side by side.
    folder.good("recon k.npy --maps m.npy --all-sets -o s.png --device host");
    folder.misused("recon k.npy --all-sets -o v.npy", "--maps");
    folder.complex("few.npy", &folder.read("m.npy").slice(s![..4, .., .., ..]).to_owned());
    folder.refused("recon k.npy --maps few.npy -o v.npy --device host", "(coil, set, y, x) with 6 coils");
}

#[test]
fn a_set_of_zeros_changes_nothing() {
    let folder = Folder::new();
    let scan = folder.scan();
    let zero = &scan.maps * Complex32::default();
    folder.complex("two.npy", &ndarray::stack![Axis(1), scan.maps, zero]);
    let output = Output::create(folder.path("two.cfl"), &["cfl"], true).unwrap();
    write_cfl(output, &Array::C32(ndarray::stack![Axis(0), scan.maps, zero].insert_axis(Axis(2)).into_dyn())).unwrap();
    let rest = "--lambda 0.001 --device host --force";
    folder.good(&format!("recon kspace.npy --maps maps.npy {rest} -o x.npy"));
    let magnitude = folder.read("x.npy").mapv(|v| Complex32::from(v.norm()));
    for maps in ["two.npy", "two.cfl"] {
        folder.good(&format!("recon kspace.npy --maps {maps} {rest} -o y.npy"));
        let apart = distance(&folder.read("y.npy"), &magnitude);
        assert!(apart < 1e-4, "{maps}: {apart}");
    }
}

#[test]
fn a_volume_by_maps_of_its_own() {
    let folder = Folder::new();
    let options = VolumeScanOptions::default().matrix([12, 24, 20]).coils(4).acceleration([1, 2]).centre_lines(10);
    let scan = volume_scan(&options.noise(0.002)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("true.npy", &scan.maps);
    folder.real("mask.npy", &scan.mask);
    let rest = "--device host --force";
    let facts = folder.json(&format!("recon k.npy -o x.npy {rest}"));
    assert_eq!((facts["nz"].as_u64(), folder.read("x.npy").shape()), (Some(12), &[12, 24, 20][..]));
    let facts = folder.json(&format!("calibrate k.npy -o m.npy --eigenvalues e.npy {rest}"));
    assert!(facts["method"].as_str().unwrap().contains("10 x 10 x 20 centre samples, 4 x 4 x 4 kernel"), "{facts}");
    assert_eq!((folder.read("m.npy").shape(), folder.read("e.npy").shape()), (&[4, 12, 24, 20][..], &[12, 24, 20][..]));
    folder.good(&format!("recon k.npy --maps m.npy -o y.npy {rest}"));
    assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-5);
    // The true maps give the head; a mask of lines is as good as one of samples, and BART's files as arrays.
    folder.good(&format!("recon k.npy --maps true.npy --lambda 1e-3 --mask mask.npy -o t.npy {rest}"));
    let found = distance(&folder.read("t.npy"), &scan.reference.clone().into_dyn());
    assert!(found < 0.2, "{found}");
    for (name, array) in [("k", &scan.kspace), ("true", &scan.maps)] {
        let output = Output::create(folder.path(&format!("{name}.cfl")), &["cfl"], true).unwrap();
        write_cfl(output, &Array::C32(array.clone().into_dyn())).unwrap();
    }
    folder.good(&format!("recon k.cfl --maps true.cfl --lambda 1e-3 -o u.npy {rest}"));
    assert!(distance(&folder.read("u.npy"), &folder.read("t.npy")) < 1e-6);
    folder.good(&format!("recon k.npy --maps true.npy --reg tv:0.001 --iterations 30 --tol 1 -o v.npy {rest}"));
    assert_eq!(folder.read("v.npy").shape(), [12, 24, 20]);
    folder.good("recon k.npy --maps true.npy -o x.png --device host");
    // In FFT order it is computed, and doubted.
    let mut turned = scan.kspace.clone();
    (1..4).for_each(|axis| centred_order(&mut turned, Axis(axis)));
    folder.complex("fft.npy", &turned);
    folder.warned("recon fft.npy --maps true.npy -o f.npy --device host", "far from the centre [6, 12, 10]");
    folder.good("recon fft.npy --maps true.npy --lambda 1e-3 --shift kspace -o f.npy --force --device host");
    assert!(distance(&folder.read("f.npy"), &folder.read("t.npy")) < 1e-4);
    // Maps that do not fit are named, as those of slices.
    folder.complex("conj.npy", &scan.maps.mapv(|v| v.conj() * Complex32::cis(0.4)));
    let given = format!("recon k.npy --lambda 1e-3 -o z.npy {rest}");
    folder.warned(&format!("{given} --maps conj.npy"), "--conj-maps");
    let mut shifted = scan.maps.clone();
    centred_order(&mut shifted, Axis(2));
    folder.complex("shifted.npy", &shifted);
    folder.warned(&format!("{given} --maps shifted.npy"), "--shift maps:y");
    folder.good(&format!("{given} --maps shifted.npy --shift maps:y"));
    assert!(distance(&folder.read("z.npy"), &folder.read("t.npy")) < 1e-4);
    folder.real("wrong.npy", &scan.mask.t().to_owned());
    folder.refused("recon k.npy --maps true.npy --mask wrong.npy -o w.npy --device host", "expected (kz, ky, kx)");
    folder.refused("recon k.npy --traj mask.npy -o w.npy --device host", "");
}

#[test]
fn maps_of_spokes_come_from_the_gridded_centre() {
    let folder = Folder::new();
    folder.good("phantom -o k.npy --radial 30 --traj t.npy --matrix 32 --coils 4");
    folder.good("recon k.npy --traj t.npy --matrix 32 -o x.npy --device host");
    let text = folder.good("calibrate k.npy --traj t.npy --matrix 32 -o m.npy --device host");
    assert!(text.contains("gridded") && text.contains("22 x 22"), "{text}");
    folder.good("recon k.npy --traj t.npy --maps m.npy -o y.npy --device host");
    let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
    assert!(apart < 1e-4, "{apart}");
}

/// A sample of the centre that was not acquired is in no patch, and one that is NaN in a coil is missing in all.
#[test]
fn holes_in_the_centre_do_not_spoil_the_maps() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(48).nx(40).coils(4).acceleration(1).noise(0.001)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.good("calibrate k.npy -o whole.npy");
    for at in [[24, 20], [22, 23], [27, 17]] {
        let mut mask = ndarray::Array2::<f32>::ones((48, 40));
        mask[at] = 0.0;
        folder.real("hole.npy", &mask);
        folder.good("recon k.npy --mask hole.npy -o y.npy --force --device host");
        folder.good("recon k.npy --mask hole.npy --maps whole.npy -o x.npy --force --device host");
        let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
        assert!(apart < 0.05, "{at:?}: {apart}");
        let mut bad = scan.kspace.clone();
        bad[[2, at[0], at[1]]] = Complex32::new(f32::NAN, 0.0);
        folder.complex("nan.npy", &bad);
        folder.good("recon nan.npy --allow-nan -o z.npy --force --device host");
        let same = distance(&folder.read("z.npy"), &folder.read("y.npy"));
        assert!(same < 1e-5, "{at:?}: {same}");
        let text = folder.good("calibrate nan.npy --allow-nan -o m.npy --force");
        assert!(text.contains("1 value NaN or infinite; their locations"), "{text}");
        folder.good("recon nan.npy --allow-nan --maps m.npy -o w.npy --force --device host");
        let own = distance(&folder.read("w.npy"), &folder.read("z.npy"));
        assert!(own < 1e-5, "{at:?}: {own}");
    }
}
