//! `recon` with a trajectory. The data are analytic: no gridding made them.

use crate::harness::{Folder, distance};
use linops::app::density::ramp_density;
use linops::app::trajectory::{golden_radial, koosh_ball, spiral};
use linops::app::{SampleOptions, SampledScan, sample_scan};
use linops::io::{Array, Output, write_cfl};
use ndarray::{Array1, ArrayD, Axis, s};
use num_complex::Complex32;

const N: usize = 32;
const SPOKES: usize = 24;
const SAMPLES: usize = 48;

/// A small radial scan as `k.npy`, `traj.npy`, `dcf.npy` and `maps.npy`.
fn radial(folder: &Folder) -> (SampledScan, ArrayD<f64>) {
    let trajectory = golden_radial(SPOKES, SAMPLES, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.005).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    folder.array("traj.npy", &Array::F64(trajectory.clone()));
    folder.array("dcf.npy", &Array::F64(ramp_density(trajectory.view()).unwrap()));
    (scan, trajectory)
}

const GIVEN: &str = "recon k.npy --traj traj.npy --maps maps.npy --device host";

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn solves_with_toeplitz_and_with_the_pair() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    let text = folder.good(&format!("{GIVEN} --dcf dcf.npy --lambda 0.01 --nufft-tol 1e-6 -o x.npy"));
    for part in [
        "4 coils, 24 x 48 samples",
        "times the operations of transform and adjoint",
        "cycles per field of view",
        "32 x 32",
        "from dcf.npy",
        "1e-6",
        "solved",
    ] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let image = folder.read("x.npy");
    assert_eq!(image.shape(), [N, N]);
    let error = distance(&image, &scan.reference.clone().into_dyn());
    assert!(error < 0.25, "{error}");
    for (when, device) in [("on", "host"), ("off", "host"), ("auto", "gpu"), ("on", "gpu"), ("off", "gpu")] {
        if device == "gpu" && crate::common::gpu().is_none() {
            continue;
        }
        let args =
            format!("recon k.npy --traj traj.npy --maps maps.npy --device {device} --toeplitz {when} -o y.npy --force");
        let result = folder.json(&format!("{args} --dcf dcf.npy --lambda 0.01 --nufft-tol 1e-6"));
        assert_eq!(result["matrix"], serde_json::json!([N, N]));
        let reason = result["toeplitz_reason"].as_str().unwrap();
        match when {
            "auto" => assert!(reason.contains("times the operations"), "{reason}"),
            _ => assert_eq!((reason, &result["toeplitz"]), ("as asked for", &(when == "on").into())),
        }
        let apart = distance(&folder.read("y.npy"), &image);
        assert!(apart < 1e-3, "{when} on {device}: {apart}");
    }
}

#[test]
fn every_density_compensation_sees_the_head() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    for (method, default) in [("ramp", false), ("pipe", true), ("voronoi", false), ("none", false)] {
        let given = if default { String::new() } else { format!("--dcf {method}") };
        let text = folder.good(&format!("{GIVEN} {given} --iterations 30 -o {method}.npy"));
        assert!(text.contains(&format!("{method}:")) && text.contains("pipe: 30") == default, "{text}");
        let error = distance(&folder.read(&format!("{method}.npy")), &scan.reference.clone().into_dyn());
        assert!(error < 0.3, "{method}: {error}");
    }
    // A file of the same weights, narrowed to single precision.
    folder.good(&format!("{GIVEN} --dcf dcf.npy --iterations 30 -o file.npy"));
    assert!(distance(&folder.read("file.npy"), &folder.read("ramp.npy")) < 1e-3);
}

#[test]
fn bart_pairs_agree() {
    let folder = Folder::new();
    let (scan, trajectory) = radial(&folder);
    folder.good(&format!("{GIVEN} --dcf dcf.npy -o x.npy"));
    let cfl = |name: &str, array: Array| {
        write_cfl(Output::create(folder.path(name), &["cfl"], true).unwrap(), &array).unwrap();
    };
    // BART: (1, sample, spoke, coil), (3, sample, spoke) as x, y, z, and maps (x, y, 1, coil).
    cfl("k.cfl", Array::C32(scan.kspace.clone().insert_axis(Axis(3))));
    let mut xyz = ArrayD::<f64>::zeros(vec![SPOKES, SAMPLES, 3]);
    xyz.slice_mut(s![.., .., 0]).assign(&trajectory.index_axis(Axis(2), 1));
    xyz.slice_mut(s![.., .., 1]).assign(&trajectory.index_axis(Axis(2), 0));
    cfl("traj.cfl", Array::F64(xyz));
    cfl("maps.cfl", Array::C32(scan.maps.clone().insert_axis(Axis(1)).into_dyn()));
    cfl("dcf.cfl", Array::F32(ramp_density(trajectory.view()).unwrap().mapv(|w| w as f32).insert_axis(Axis(2))));
    let text = folder.good("recon k --traj traj --maps maps.cfl --dcf dcf.cfl -o y.cfl --device host");
    assert!(text.contains("(x, y) in cycles"), "{text}");
    let apart = distance(&linops::io::read_cfl(folder.path("y")).unwrap().array, &folder.read("x.npy"));
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn the_image_has_the_extents_of_maps_matrix_or_trajectory() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    let grid = "recon k.npy --traj traj.npy --gridding-only --device host --force";
    // 2·⌈max |k|⌉: the spokes reach 16 along x, and a little less along y.
    folder.good(&format!("{grid} -o x.npy"));
    assert_eq!(folder.read("x.npy").shape(), [N, N]);
    folder.good(&format!("{grid} --matrix 40x36 -o x.npy"));
    assert_eq!(folder.read("x.npy").shape(), [40, 36]);
    folder.good(&format!("{grid} --matrix 34 --maps maps.npy -o y.npy").replace("--matrix 34", "--matrix 32"));
    assert_eq!(folder.read("y.npy").shape(), [N, N]);
    folder.refused(&format!("{grid} --matrix 34 --maps maps.npy -o z.npy"), "--matrix asks for [34, 34]");
    folder.refused(&format!("{grid} --matrix 32x32x32 -o z.npy"), "--matrix has 3 extents, expected 2");
    // Samples beyond the k-space of a smaller image are left out.
    let text = folder.good(&format!("{grid} --matrix 30 -o x.npy"));
    assert!(folder.read("x.npy").shape() == [30, 30] && text.contains("samples are left out"), "{text}");
    folder.refused(&format!("{grid} --matrix 4000000 -o z.npy"), "too many");
    let cut = scan.maps.slice(s![.., ..30, ..]).to_owned();
    folder.complex("cut.npy", &cut);
    folder.refused(
        "recon k.npy --traj traj.npy --maps cut.npy -o z.npy --device host",
        "reaches 16.0 along image axis 0",
    );
}

#[test]
fn gridding_is_the_compensated_adjoint() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    folder.good(&format!("{GIVEN} --dcf dcf.npy --gridding-only -o x.npy"));
    let result =
        folder.json("recon k.npy --traj traj.npy --dcf dcf.npy --gridding-only --matrix 32 -o y.npy --device host");
    assert!(result["maps"].as_str().unwrap().contains("root of the sum of squares"), "{result}");
    let (combined, root) = (folder.read("x.npy"), folder.read("y.npy"));
    assert!(root.iter().all(|v| v.im == 0.0 && v.re >= 0.0));
    // Sᴴ times S·x, and √Σ|S·x|².
    let power = scan.maps.mapv(|s| s.norm_sqr()).sum_axis(Axis(0)).into_dyn();
    let reference = scan.reference.clone().into_dyn();
    assert!(distance(&combined, &(&reference * &power.mapv(Complex32::from))) < 0.35);
    let magnitude = reference.mapv(|v| Complex32::from(v.norm())) * power.mapv(|p| Complex32::from(p.sqrt()));
    assert!(distance(&root, &magnitude) < 0.35);
    folder.good(&format!("{GIVEN} --gridding-only -o x.png"));
}

#[test]
fn maps_are_estimated_or_left_out() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    let text = folder.good("recon k.npy --traj traj.npy -o x.npy --device host");
    assert!(text.contains("ESPIRiT") && text.contains("gridded"), "{text}");
    // Estimated maps have unit norm, and so the image is that of the root of the sum of squares.
    let power = scan.maps.mapv(|s| s.norm_sqr()).sum_axis(Axis(0)).into_dyn();
    let expected = scan.reference.mapv(|v| v.norm()).into_dyn() * power.mapv(f32::sqrt);
    let found = folder.read("x.npy").mapv(|v| Complex32::from(v.norm()));
    let error = distance(&found, &expected.mapv(Complex32::from));
    assert!(error < 0.35, "{error}");
    folder.complex("one.npy", &scan.kspace.slice(s![..1, .., ..]).to_owned());
    let text = folder.good("recon one.npy --traj traj.npy -o one_x.npy --device host");
    assert!(text.contains("one coil"), "{text}");
}

#[test]
fn volumes() {
    let folder = Folder::new();
    // A Gaussian blob off the centre, whose transform is a Gaussian too.
    let (n, sigma, centre) = (10, 0.12, [0.1, -0.05, 0.15]);
    let trajectory = koosh_ball(220, n, n).unwrap().into_dyn();
    let kspace: Vec<Complex32> = trajectory
        .lanes(Axis(2))
        .into_iter()
        .map(|k| {
            let square: f64 = k.iter().map(|k| k * k).sum();
            let phase: f64 = k.iter().zip(centre).map(|(k, c)| k * c).sum();
            let tau = std::f64::consts::TAU;
            let size =
                (n as f64).powf(1.5) * (sigma * tau.sqrt()).powi(3) * (-tau * tau * sigma * sigma * square / 2.0).exp();
            let value = num_complex::Complex64::from_polar(size, -tau * phase);
            Complex32::new(value.re as f32, value.im as f32)
        })
        .collect();
    folder.complex("k.npy", &ArrayD::from_shape_vec(vec![1, 220, n], kspace).unwrap());
    folder.array("traj.npy", &Array::F64(trajectory.clone()));
    for (dcf, limit) in [("ramp", 0.05), ("pipe", 0.05), ("none", 0.05)] {
        let args =
            format!("recon k.npy --traj traj.npy --dcf {dcf} --lambda 1e-4 --iterations 40 --device host --force");
        folder.good(&format!("{args} -o x.npy"));
        let image = folder.read("x.npy");
        let blob = ArrayD::from_shape_fn(vec![n, n, n], |i| {
            let place = |axis: usize| (i[axis] as f64 - 5.0) / n as f64 - centre[axis];
            let square: f64 = (0..3).map(|axis| place(axis).powi(2)).sum();
            Complex32::from((-square / (2.0 * sigma * sigma)).exp() as f32)
        });
        let error = distance(&image, &blob);
        assert!(error < limit, "{dcf}: {error}");
    }
    // BART's order: x, y, z, with maps (x, y, z, coil).
    let cfl = |name: &str, array: Array| {
        write_cfl(Output::create(folder.path(name), &["cfl"], true).unwrap(), &array).unwrap();
    };
    let mut xyz = trajectory;
    xyz.invert_axis(Axis(2));
    cfl("traj.cfl", Array::F64(xyz));
    cfl("maps.cfl", Array::F32(ArrayD::ones(vec![1, n, n, n])));
    let args = "recon k.npy --traj traj --maps maps --dcf none --lambda 1e-4 --iterations 40 --device host -o y.npy";
    let text = folder.good(args);
    assert!(text.contains("(x, y, z) in cycles"), "{text}");
    assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-4);
    for more in ["tv:0.001", "tgv:0.001", "l1-wavelet:0.001"] {
        let args = format!("recon k.npy --traj traj.npy --reg {more} --device host --force");
        let result = folder.json(&format!("{args} -o r.npy"));
        assert_eq!(result["stop"], "converged", "{more}: {result}");
        let error = distance(&folder.read("r.npy"), &folder.read("x.npy"));
        println!("{more}: {error}");
        assert!(error < 0.1, "{more}: {error}");
    }
    folder.refused("recon k.npy --traj traj.npy --dcf voronoi -o z.npy --device host", "(…, 2)");
    let two = ArrayD::<Complex32>::zeros(vec![2, 220, n]);
    folder.complex("two.npy", &(two + Complex32::from(1.0)));
    let text = folder.good("recon two.npy --traj traj.npy --iterations 2 -o z.npy --device host");
    assert!(text.contains("8 x 8 x 8 centre samples, 4 x 4 x 4 kernel of the gridded k-space"), "{text}");
}

#[test]
fn nan_samples_do_not_count_if_allowed() {
    let folder = Folder::new();
    let (mut scan, trajectory) = radial(&folder);
    scan.kspace[[1, 7, 20]] = Complex32::new(f32::NAN, 0.0);
    folder.complex("nan.npy", &scan.kspace);
    let rest = "--traj traj.npy --maps maps.npy --device host";
    folder.refused(&format!("recon nan.npy {rest} -o x.npy"), "[coil=1, axis 1=7, axis 2=20]");
    folder.good(&format!("recon nan.npy {rest} --dcf ramp --allow-nan -o x.npy"));
    let mut weights = ramp_density(trajectory.view()).unwrap();
    weights[[7, 20]] = 0.0;
    folder.array("holes.npy", &Array::F64(weights));
    let text = folder.good(&format!("recon k.npy {rest} --dcf holes.npy -o y.npy --lambda 0.01"));
    assert!(text.contains("0.01"), "{text}");
    folder.good(&format!("recon nan.npy {rest} --dcf ramp --allow-nan --lambda 0.01 -o x.npy --force"));
    assert!(distance(&folder.read("x.npy"), &folder.read("y.npy")) < 1e-6);
}

#[test]
fn files_that_do_not_fit() {
    let folder = Folder::new();
    let (scan, trajectory) = radial(&folder);
    let with = |name: &str, change: &dyn Fn(&mut ArrayD<f64>)| {
        let mut changed = trajectory.clone();
        change(&mut changed);
        folder.array(name, &Array::F64(changed));
    };
    with("nan_traj.npy", &|k| k[[3, 4, 1]] = f64::NAN);
    with("relative.npy", &|k| *k /= N as f64);
    with("short.npy", &|k| *k = k.slice(s![..20, .., ..]).to_owned().into_dyn());
    with("four.npy", &|k| *k = ndarray::concatenate![Axis(2), *k, *k]);
    with("spiral.npy", &|k| *k = spiral(SPOKES, SAMPLES, N, 2.0).unwrap().into_dyn());
    with("far.npy", &|k| k[[3, 4, 1]] = 1e300);
    with("line.npy", &|k| k.slice_mut(s![.., .., 0]).fill(0.0));
    folder.array("negative.npy", &Array::F64(ArrayD::from_elem(vec![SPOKES, SAMPLES], -1.0)));
    folder.array("zeros.npy", &Array::F64(ArrayD::zeros(vec![SPOKES, SAMPLES])));
    folder.array("few.npy", &Array::F64(Array1::ones(5).into_dyn()));
    folder.complex("flat.npy", &scan.kspace.slice(s![0, .., ..47]).to_owned());
    folder.real("real.npy", &scan.kspace.mapv(|v| v.re));
    folder.complex("three.npy", &scan.maps.slice(s![..3, .., ..]).to_owned());
    folder.complex("none.npy", &(&scan.maps * Complex32::default()));
    folder.complex("small.npy", &scan.maps.slice(s![.., 4..28, 4..28]).to_owned());
    folder.complex("imaginary.npy", &ArrayD::from_elem(vec![SPOKES, SAMPLES], Complex32::i()));
    with("one.npy", &|k| *k = k.slice(s![.., .., ..1]).to_owned().into_dyn());
    folder.text("empty.npy", "");
    folder.complex("plane.npy", &scan.maps.index_axis(Axis(0), 0).to_owned());
    for (args, part) in [
        ("k.npy --traj missing.npy", "missing.npy: no such file"),
        ("k.npy --traj nan_traj.npy", "nan_traj.npy: the coordinate of sample 148 is NaN"),
        ("k.npy --traj maps.npy", "expected (…, D)"),
        ("k.npy --traj relative.npy", "multiply them by the matrix"),
        ("k.npy --traj short.npy", "expected (coil, 20, 48)"),
        ("k.npy --traj four.npy", "expected (…, D)"),
        ("flat.npy --traj traj.npy", "k-space of shape [24, 47], expected (coil, 24, 48)"),
        ("real.npy --traj traj.npy", "expected complex"),
        ("k.npy --traj traj.npy --dcf few.npy", "few.npy: density compensation of shape [5], expected [24, 48]"),
        ("k.npy --traj traj.npy --dcf negative.npy", "the weight of sample 0 is -1"),
        ("k.npy --traj traj.npy --dcf zeros.npy", "0 everywhere"),
        ("k.npy --traj traj.npy --dcf missing.npy", "no such file"),
        ("k.npy --traj spiral.npy --dcf ramp", "not a straight line"),
        ("k.npy --traj line.npy --dcf voronoi --matrix 32", "one line"),
        ("k.npy --traj traj.npy --maps three.npy", "dim C of the maps has extent 3, expected 4"),
        ("k.npy --traj traj.npy --maps plane.npy", "expected (coil, ny, nx)"),
        ("k.npy --traj traj.npy --maps none.npy", "none.npy: the coil maps are 0 everywhere"),
        ("k.npy --traj traj.npy --maps small.npy", "the image has the extents of the maps small.npy"),
        ("k.npy --traj traj.npy --dcf imaginary.npy", "the weight of sample 0 is NaN or not real"),
        ("k.npy --traj one.npy --maps maps.npy", "the trajectory has 1 coordinate for each sample"),
        ("k.npy --traj empty.npy", "empty.npy: not an .npy file"),
        ("empty.npy --traj traj.npy", "empty.npy: not an .npy file"),
        ("k.npy --traj far.npy", "far.npy: the trajectory reaches 1e300"),
        ("k.npy --traj far.npy --matrix 32", "far.npy: the trajectory reaches 1.0e300 along"),
    ] {
        folder.refused(&format!("recon {args} -o x.npy --device host"), part);
    }
    for (args, part) in [
        ("k.npy --maps maps.npy --gridding-only", "--gridding-only is for non-Cartesian data"),
        ("k.npy --maps maps.npy --matrix 32", "without a trajectory; give that with --traj"),
        ("k.npy --traj traj.npy --shift kspace", "--shift is for Cartesian data"),
        ("k.npy --traj traj.npy --compress 2 --compress-by gcc", "use svd"),
    ] {
        folder.misused(&format!("recon {args} -o x.npy --device host"), part);
    }
    for tol in ["0", "4.9e-7", "nan", "1"] {
        // Before anything is read.
        let args = format!("recon missing.npy --traj traj.npy -o x.npy --nufft-tol {tol}");
        folder.misused(&args, "expected a number from 5e-7 (what float32 reaches)");
    }
    for args in ["--dcf nonsense", "--matrix 0", "--matrix 8x", "--toeplitz maybe", "--gridding-only --lambda 1"] {
        let out = folder.run(&format!("recon k.npy --traj traj.npy -o x.npy {args}"));
        assert_eq!(out.code, 2, "{args}: {}", out.stderr);
    }
}

#[test]
fn spokes_are_regularised() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    let result = folder.json(&format!("{GIVEN} -o x.npy --reg tv:0.002"));
    assert_eq!(result["stop"], "converged", "{result}");
    assert!(result["misfit"].as_f64().unwrap() < 0.2, "{result}");
    // Every regulariser, alone and beside another: nearer to the head than squares alone leave it.
    folder.json(&format!("{GIVEN} -o all.npy --lambda 1e-3"));
    let head = scan.reference.clone().into_dyn();
    let squares = distance(&folder.read("all.npy"), &head);
    for more in [
        "--reg tv:0.001",
        "--reg tgv:0.001",
        "--reg l1-wavelet:0.001",
        "--reg l1-wavelet:0.001 --cycle-spin 4 --wavelet haar --levels 2",
        "--reg tv:0.0005 --reg l1-wavelet:0.0005",
        "--reg tv:0.001 --non-negative",
        "--reg tv:0.001 --init all.npy",
    ] {
        let result = folder.json(&format!("{GIVEN} -o y.npy --force {more}"));
        assert_eq!(result["stop"], "converged", "{more}: {result}");
        let off = distance(&folder.read("y.npy"), &head);
        println!("{more}: {off}, {squares} by squares");
        assert!(off < 0.9 * squares, "{more}: {off}, {squares} by squares");
    }
}

/// What shifts of a wavelet average is an image of its own, not that of one shift.
#[test]
fn cycle_spinning_changes_the_image() {
    let folder = Folder::new();
    radial(&folder);
    let of = |more: &str| {
        folder.json(&format!("{GIVEN} -o w.npy --force --reg l1-wavelet:0.01 --wavelet haar {more}"));
        folder.read("w.npy")
    };
    let (one, spun) = (of(""), of("--cycle-spin 4"));
    let off = distance(&spun, &one);
    assert!(off > 1e-3 && off < 0.2, "{off}");
}

#[test]
fn a_series_of_spokes_has_an_image_for_each_frame() {
    let folder = Folder::new();
    let (_, trajectory) = radial(&folder);
    let k = folder.read("k.npy");
    let twice = |a: &ArrayD<Complex32>| ndarray::stack(ndarray::Axis(0), &[a.view(), a.view()]).unwrap();
    folder.complex("ks.npy", &twice(&k));
    let trajectories = ndarray::stack(ndarray::Axis(0), &[trajectory.view(), trajectory.view()]).unwrap();
    folder.array("trajs.npy", &Array::F64(trajectories));
    folder.json("recon ks.npy --time --traj trajs.npy --maps maps.npy --device host --lambda 0.01 -o s.npy");
    folder.json(&format!("{GIVEN} --lambda 0.01 -o one.npy"));
    let (s, one) = (folder.read("s.npy"), folder.read("one.npy"));
    for frame in s.outer_iter() {
        assert!(distance(&frame.to_owned(), &one) < 1e-3);
    }
    // With terms for the frames, from an image for each, and by a basis of one vector.
    let series = "recon ks.npy --time --traj trajs.npy --maps maps.npy --device host --force -o r.npy";
    folder.real("basis.npy", &ndarray::Array2::from_elem((2, 1), std::f32::consts::FRAC_1_SQRT_2));
    for more in [
        "--reg llr:0.005",
        "--reg tv:0.001",
        "--reg llr:0.002 --reg tv:0.0005",
        "--reg tv:0.001 --init s.npy",
        "--reg tv:0.001 --subspace basis.npy",
        "--reg l1-wavelet:0.001 --subspace basis.npy",
    ] {
        let result = folder.json(&format!("{series} {more}"));
        assert!(matches!(result["stop"].as_str(), Some("converged" | "attained")), "{more}: {result}");
        let found = folder.read("r.npy");
        assert_eq!(found.shape()[0], if more.contains("subspace") { 1 } else { 2 }, "{more}");
        for frame in found.outer_iter() {
            // A coefficient of one vector of two equal entries.
            let factor = if more.contains("subspace") { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let off = distance(&frame.mapv(|v| v * factor), &one);
            println!("{more}: {off}");
            assert!(off < 0.25, "{more}: {off}");
        }
    }
    // What is not finite is refused at its place, or counted.
    let mut wrong = twice(&k);
    for coil in 0..2 {
        wrong[[1, coil, 3, 5]] = Complex32::new(f32::NAN, 0.0);
    }
    folder.complex("wrong.npy", &wrong);
    let args = "recon wrong.npy --time --traj trajs.npy --maps maps.npy --device host --lambda 0.01 -o w.npy";
    folder.refused(args, "NaN or infinity at [time=1, coil=0, axis 2=3, axis 3=5]");
    let text = folder.good(&format!("{args} --allow-nan"));
    assert!(text.contains("2 values NaN or infinite, set to 0"), "{text}");
    assert!(
        text.contains(&format!(
            "{} to {} samples each",
            k.len() / k.len_of(ndarray::Axis(0)) - 1,
            k.len() / k.len_of(ndarray::Axis(0))
        )),
        "{text}"
    );
    assert!(distance(&folder.read("w.npy").index_axis(ndarray::Axis(0), 1).to_owned(), &one) < 0.05);
}

#[test]
fn slices_along_one_trajectory_make_a_stack() {
    let folder = Folder::new();
    let (scan, _) = radial(&folder);
    let rest = "--traj traj.npy --maps maps.npy --dcf ramp --device host --force";
    folder.good(&format!("recon k.npy {rest} -o x.npy"));
    let x = folder.read("x.npy");
    let slices = ndarray::stack![Axis(1), scan.kspace, scan.kspace.mapv(|v| v * 2.0)];
    folder.complex("slices.npy", &slices);
    let text = folder.good(&format!("recon slices.npy --axes coil,slice,spoke,sample {rest} -o y.npy"));
    assert!(text.contains("(slice, y, x) = 2 x 32 x 32"), "{text}");
    let y = folder.read("y.npy");
    assert_eq!(y.index_axis(Axis(0), 0), x.view());
    assert!(distance(&y.index_axis(Axis(0), 1).to_owned(), &x.mapv(|v| v * 2.0)) < 1e-5);
    folder.good(&format!("recon slices.npy --axes coil,slice,spoke,sample --slice 0 {rest} -o y.npy"));
    assert_eq!(folder.read("y.npy"), x);
}
