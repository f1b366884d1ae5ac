//! Series of frames: of volumes, in BART's dims, with masks of lines and values that are not finite.

use crate::harness::{Folder, distance};
use linops::app::trajectory::golden_radial;
use linops::app::{SampleOptions, ScanOptions, VolumeScanOptions, sample_scan, scan, volume_scan};
use linops::io::{Array, Output, write_cfl};
use ndarray::{Array2, ArrayD, Axis, stack};
use num_complex::Complex32;

const REST: &str = "--lambda 0.01 --iterations 500 --device host --force";

fn cfl(folder: &Folder, name: &str, array: Array) {
    write_cfl(Output::create(folder.path(name), &["cfl"], true).unwrap(), &array).unwrap();
}

/// An array with these extents, in C order.
fn shaped(array: &ArrayD<Complex32>, extents: &[usize]) -> Array {
    Array::C32(array.as_standard_layout().into_owned().into_shape_with_order(extents).unwrap())
}

#[test]
fn frames_may_be_volumes() {
    let folder = Folder::new();
    let options = VolumeScanOptions::default().matrix([8, 20, 16]).coils(4).acceleration([1, 2]).centre_lines(8);
    let whole = volume_scan(&options.noise(0.0)).unwrap();
    let (k, maps) = (whole.kspace.into_dyn(), whole.maps.into_dyn());
    // Other lines in the second frame.
    let mut other = k.clone();
    for mut line in other.axis_iter_mut(Axis(2)).step_by(5) {
        line.fill(Complex32::default());
    }
    folder.complex("maps.npy", &maps);
    folder.complex("0.npy", &k);
    folder.complex("1.npy", &other);
    folder.complex("series.npy", &stack(Axis(0), &[k.view(), other.view()]).unwrap());
    let args = format!("recon series.npy --time --maps maps.npy {REST}");
    let facts = folder.json(&format!("{args} -o x.npy"));
    assert_eq!(facts["image"], serde_json::json!([8, 20, 16]));
    let frames = folder.read("x.npy");
    assert_eq!(frames.shape(), [2, 8, 20, 16]);
    for (t, frame) in frames.outer_iter().enumerate() {
        folder.good(&format!("recon {t}.npy --maps maps.npy -o one.npy {REST}"));
        let apart = distance(&frame.to_owned(), &folder.read("one.npy"));
        // A residual of 1e-6 over eigenvalues of λ = 0.01 and more, twice.
        assert!(apart < 2e-4, "frame {t}: {apart}");
    }
    let facts = folder.json(&format!("{args} --reg llr:0.01 --tol 1e-3 -o llr.npy"));
    assert!(facts["stop"] == "converged" && folder.read("llr.npy").shape() == [2, 8, 20, 16], "{facts}");
    // One coefficient that both frames have.
    folder.real("basis.npy", &Array2::from_elem((2, 1), 1.0f32));
    folder.good(&format!("{args} --subspace basis.npy -o c.npy"));
    assert_eq!(folder.read("c.npy").shape(), [1, 8, 20, 16]);
    // Maps from all frames, where none are given.
    folder.good(&format!("recon series.npy --time -o own.npy {REST}"));
    let sizes = |a: &ArrayD<Complex32>| a.iter().map(|v| v.norm()).collect::<Vec<f32>>();
    let (own, given) = (sizes(&folder.read("own.npy")), sizes(&frames));
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let alike = product(&own, &given) / (product(&own, &own) * product(&given, &given)).sqrt();
    assert!(alike > 0.9, "{alike}");
}

#[test]
fn series_of_bart_are_those_of_arrays() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(48).nx(40).coils(4).acceleration(2)).unwrap();
    let k = scan.kspace.into_dyn();
    let mut other = k.clone();
    for mut line in other.axis_iter_mut(Axis(1)).skip(1).step_by(6) {
        line.fill(Complex32::default());
    }
    let series = stack(Axis(0), &[k.view(), other.view(), k.view()]).unwrap();
    folder.complex("maps.npy", &scan.maps);
    folder.complex("series.npy", &series);
    cfl(&folder, "maps.cfl", shaped(&scan.maps.into_dyn(), &[4, 1, 48, 40]));
    let basis = Array2::from_shape_fn((3, 2), |(t, b)| Complex32::new(1.0 + (t * b) as f32, 0.3 * b as f32));
    folder.complex("basis.npy", &basis);
    cfl(&folder, "basis.cfl", shaped(&basis.t().to_owned().into_dyn(), &[2, 3, 1, 1, 1, 1, 1]));
    // Dims in reverse: times are dim 10, echoes dim 5.
    let places = [vec![3, 1, 1, 1, 1, 1, 1, 4, 1, 48, 40], vec![3, 1, 4, 1, 48, 40]];
    folder.good(&format!("recon series.npy --time --maps maps.npy -o x.npy {REST}"));
    folder.good(&format!("recon series.npy --time --maps maps.npy --subspace basis.npy -o c.npy {REST}"));
    for extents in places {
        cfl(&folder, "series.cfl", shaped(&series, &extents));
        folder.good(&format!("recon series.cfl --time --maps maps.cfl -o y.npy {REST}"));
        assert_eq!(folder.read("y.npy"), folder.read("x.npy"), "{extents:?}");
        folder.good(&format!("recon series.cfl --time --maps maps.cfl --subspace basis.cfl -o d.npy {REST}"));
        assert_eq!(folder.read("d.npy"), folder.read("c.npy"), "{extents:?}");
    }
    folder.good(&format!("recon series.cfl --time --contrast 0:2 --maps maps.cfl -o two.npy {REST}"));
    assert_eq!(folder.read("two.npy").shape(), [2, 48, 40]);
    cfl(&folder, "one.cfl", shaped(&k, &[4, 1, 48, 40]));
    folder.refused(&format!("recon one.cfl --time --maps maps.cfl -o z.npy {REST}"), "holds one image");
    folder.real("m.npy", &scan.mask);
    folder.refused(&format!("recon series.cfl --time --mask m.npy -o z.npy {REST}"), "leave --mask out");
}

#[test]
fn series_of_bart_along_trajectories() {
    let folder = Folder::new();
    let trajectory = golden_radial(24, 48, 32).unwrap().into_dyn();
    let scan = sample_scan(trajectory.view(), &SampleOptions::default().ny(32).nx(32).coils(3)).unwrap();
    let k = scan.kspace.into_dyn();
    let (coils, spokes, samples) = (k.shape()[0], k.shape()[1], k.shape()[2]);
    folder.complex("maps.npy", &scan.maps);
    let half = stack(Axis(0), &[k.view(), k.mapv(|v| v * 0.5).view()]).unwrap();
    folder.complex("k.npy", &half);
    folder.array("traj.npy", &Array::F64(stack(Axis(0), &[trajectory.view(), trajectory.view()]).unwrap()));
    folder.good(&format!("recon k.npy --time --traj traj.npy --maps maps.npy -o x.npy {REST}"));
    // (1, sample, spoke, coil, …, time), and (3, sample, spoke) for both frames, or for each.
    cfl(&folder, "k.cfl", shaped(&half, &[2, 1, 1, 1, 1, 1, 1, coils, spokes, samples, 1]));
    let mut xyz = ArrayD::<f64>::zeros(vec![spokes, samples, 3]);
    for d in 0..2 {
        xyz.index_axis_mut(Axis(2), d).assign(&trajectory.index_axis(Axis(2), 1 - d));
    }
    cfl(&folder, "traj.cfl", Array::F64(xyz.clone()));
    let text = folder.good(&format!("recon k.cfl --time --traj traj.cfl --maps maps.npy -o y.npy {REST}"));
    assert!(text.contains("the same trajectory for all frames"), "{text}");
    let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
    // BART's coordinates are in single precision.
    assert!(apart < 1e-4, "{apart}");
    let both = stack(Axis(0), &[xyz.view(), xyz.view()]).unwrap();
    let both = both.into_shape_with_order(vec![2, 1, 1, 1, 1, 1, 1, 1, spokes, samples, 3]).unwrap();
    cfl(&folder, "each.cfl", Array::F64(both));
    folder.good(&format!("recon k.cfl --time --traj each.cfl --maps maps.npy -o z.npy {REST}"));
    assert_eq!(folder.read("z.npy"), folder.read("y.npy"));
}

#[test]
fn masks_of_series_are_of_lines_too() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(40).nx(40).coils(4).acceleration(1)).unwrap();
    let k = scan.kspace.into_dyn();
    folder.complex("maps.npy", &scan.maps);
    folder.complex("series.npy", &stack(Axis(0), &[k.view(), k.view()]).unwrap());
    // Lines along ky, though there are as many along kx.
    let lines = ndarray::Array1::from_shape_fn(40, |y| f32::from(y % 2 == 0 || (16..24).contains(&y)));
    let plane = Array2::from_shape_fn((40, 40), |(y, _)| lines[y]);
    folder.real("lines.npy", &lines);
    folder.real("plane.npy", &plane);
    folder.real("each.npy", &stack![Axis(0), lines, lines]);
    folder.real("planes.npy", &stack![Axis(0), plane, plane]);
    let args = format!("recon series.npy --time --maps maps.npy {REST}");
    folder.good(&format!("{args} --mask planes.npy -o x.npy"));
    for mask in ["lines", "plane", "each"] {
        folder.good(&format!("{args} --mask {mask}.npy -o y.npy"));
        assert_eq!(folder.read("y.npy"), folder.read("x.npy"), "{mask}");
    }
    // Lines of the mask that a frame has not were not measured as 0.
    let mut fewer = k.clone();
    for mut line in fewer.axis_iter_mut(Axis(1)).step_by(4) {
        line.fill(Complex32::default());
    }
    folder.complex("fewer.npy", &stack(Axis(0), &[k.view(), fewer.view()]).unwrap());
    let of_fewer = args.replace("series.npy", "fewer.npy");
    folder.warned(&format!("{of_fewer} --mask lines.npy -o z.npy"), "mask and data disagree");
    folder.real("half.npy", &plane.mapv(|v| 0.5 * v));
    folder.refused(&format!("{args} --mask half.npy -o z.npy"), "expected 0 (not sampled) or 1");
    folder.real("three.npy", &ArrayD::<f32>::ones(vec![3, 40, 40]));
    let each = "or one for each frame, (time, ky, kx) with 2 in front";
    folder.refused(&format!("{args} --mask three.npy -o z.npy"), each);
}

/// What is not finite in one coil is measured in none.
#[test]
fn values_of_a_series_that_are_not_finite_were_not_acquired() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(40).nx(36).coils(4).acceleration(1).noise(0.0)).unwrap();
    let k = scan.kspace.into_dyn();
    let mut wrong = stack(Axis(0), &[k.view(), k.view()]).unwrap();
    wrong[[1, 2, 20, 18]] = Complex32::new(f32::NAN, 0.0);
    folder.complex("maps.npy", &scan.maps);
    folder.complex("series.npy", &wrong);
    let args = "recon series.npy --time --maps maps.npy --device host --lambda 1e-4 -o x.npy";
    folder.refused(args, "NaN or infinity at [time=1, coil=2");
    let text = folder.good(&format!("{args} --allow-nan"));
    assert!(text.contains("1 value NaN or infinite; their locations count as not acquired"), "{text}");
    let mut masks = ArrayD::<f32>::ones(vec![2, 40, 36]);
    masks[[1, 20, 18]] = 0.0;
    folder.real("masks.npy", &masks);
    folder.complex("series.npy", &stack(Axis(0), &[k.view(), k.view()]).unwrap());
    let args = args.replace("x.npy", "y.npy");
    folder.good(&format!("{args} --mask masks.npy"));
    assert_eq!(folder.read("x.npy"), folder.read("y.npy"));
}

/// A solution is where a solve from it ends at once: of an image, of one for each set of maps, and of a series.
#[test]
fn solutions_are_starts() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(40).nx(36).coils(4).acceleration(2)).unwrap();
    let k = scan.kspace.clone().into_dyn();
    folder.complex("k.npy", &k);
    folder.complex("maps.npy", &scan.maps);
    folder.complex("series.npy", &stack(Axis(0), &[k.view(), k.mapv(|v| v * 0.5).view()]).unwrap());
    // A second set with a fifth of the first, turned.
    let second = scan.maps.mapv(|v| v * Complex32::new(0.0, 0.2)).slice_move(ndarray::s![..;-1, .., ..]);
    folder.complex("sets.npy", &stack(Axis(1), &[scan.maps.view(), second.view()]).unwrap());
    folder.real("basis.npy", &Array2::from_elem((2, 1), 1.0f32));
    for args in [
        "k.npy --maps maps.npy",
        "k.npy --maps sets.npy --all-sets",
        "series.npy --maps maps.npy --time",
        "series.npy --maps maps.npy --time --subspace basis.npy",
    ] {
        let first = folder.json(&format!("recon {args} -o x.npy {REST}"));
        let again = folder.json(&format!("recon {args} --init x.npy -o y.npy {REST}"));
        let [first, again] = [first, again].map(|facts| facts["iterations"].as_u64().unwrap());
        assert!(first > 8 && again <= 2, "{args}: {first} and {again}");
        assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-4, "{args}");
    }
    folder.misused("recon k.npy --rss --init x.npy -o y.npy", "cannot be used with");
}
