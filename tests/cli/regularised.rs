//! `recon --reg`.

use crate::harness::{Folder, distance};
use linops::app::{VolumeScanOptions, volume_scan};
use num_complex::Complex64;

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn recon_minimises_what_it_says() {
    let folder = Folder::new();
    folder.scan();
    let run = |args: &str, out: &str| {
        folder.json(&format!("recon kspace.npy --maps maps.npy --mask mask.npy -o {out} --force {args}"))
    };
    for reg in ["tv:0.005", "l1-wavelet:0.005", "tgv:0.005", "tv"] {
        let host = run(&format!("--reg {reg} --device host"), "h.npy");
        let gpu = run(&format!("--reg {reg} --device gpu"), "g.npy");
        assert_eq!((host["stop"].as_str(), gpu["stop"].as_str()), (Some("converged"), Some("converged")), "{host}");
        let [h, g] = [&host, &gpu].map(|r| r["objective"].as_f64().unwrap());
        assert!((h / g - 1.0).abs() < 2e-4, "{reg}: {h} {g}");
        let [x, y] = ["h.npy", "g.npy"].map(|name| folder.read(name));
        assert!(distance(&y, &x) < 1e-2, "{reg}: {}", distance(&y, &x));
    }
    let two =
        run("--reg tv:0.002 --reg l1-wavelet:0.002 --reg l2:0.01 --wavelet haar --levels 2 --device host", "t.npy");
    assert_eq!(two["regularisers"].as_array().unwrap().len(), 3);
    let spun = run("--reg l1-wavelet:0.002 --cycle-spin 4 --device host", "s.npy");
    assert_eq!(spun["solver"], "admm");
}

#[test]
fn recon_starts_where_it_is_told() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy --mask mask.npy --device host --reg tv:0.005";
    let cold = folder.json(&format!("{args} -o x.npy --tol 1e-5"));
    let warm = folder.json(&format!("{args} -o y.npy --init x.npy"));
    let first = warm["history"][0][1].as_f64().unwrap();
    assert!((first / cold["objective"].as_f64().unwrap() - 1.0).abs() < 1e-2, "{first}");
    folder.refused(&format!("{args} -o z.npy --init kspace.npy"), "expected [48, 40]");
    folder.refused(&format!("{args} -o z.npy --init none.npy"), "none.npy");
}

#[test]
fn wrong_regularisers_are_refused() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy -o x.npy --device host";
    for (more, says) in [
        ("--reg tw", "no regulariser"),
        ("--reg tv:-1", "from 0 on"),
        ("--reg tv:0.1 --solver newton", "no solver"),
        ("--wavelet db4", "--reg"),
        ("--reg tv --init", "value"),
        ("--reg l1-wavelet --wavelet db99", "db99"),
    ] {
        folder.misused(&format!("{args} {more}"), says);
    }
    folder.misused(&format!("{args} --reg llr"), "series");
    folder.misused(&format!("{args} --reg tv --wavelet db2"), "--wavelet is for --reg l1-wavelet");
    folder.misused(&format!("{args} --reg tv --block 4"), "--block is for --reg llr");
    folder.misused(&format!("{args} --reg l1-wavelet --wavelet bior4.4"), "not orthogonal");
    let series = "recon series.npy --time --maps maps.npy -o x.npy --device host";
    for option in ["--block", "--levels", "--cycle-spin"] {
        for number in ["0", "-3", "2.5"] {
            folder.misused(&format!("{series} --reg llr {option} {number}"), "expected a whole number from 1 on");
        }
    }
    let out = folder.run(&format!("{args} --reg tv --solver pogm"));
    assert!(out.code == 1 && out.stderr.contains("use fista, admm or pdhg"), "{}", out.stderr);
}

/// A scan twice, under two masks: (time, coil, ky, kx), and its maps.
fn series(folder: &Folder) {
    let scan = folder.scan();
    let (ny, nx) = scan.mask.dim();
    // The second frame has fewer lines of those that there are.
    let second = ndarray::Array2::from_shape_fn((ny, nx), |(y, x)| scan.mask[[y, x]] * f32::from(y % 3 != 1));
    let masks = ndarray::stack![ndarray::Axis(0), scan.mask, second];
    folder.real("masks.npy", &masks);
    let full = folder.read("kspace.npy");
    let full = full.into_dimensionality::<ndarray::Ix3>().unwrap();
    folder.complex("series.npy", &ndarray::stack![ndarray::Axis(0), full, full]);
    folder.real("basis.npy", &ndarray::Array2::from_elem((2, 1), 1.0f32));
}

#[test]
fn a_series_has_an_image_for_each_frame() {
    let folder = Folder::new();
    series(&folder);
    let args = "recon series.npy --time --maps maps.npy --device host --force";
    let facts = folder.json(&format!("{args} --lambda 0.01 -o frames.npy"));
    assert_eq!(facts["image"], serde_json::json!([48, 40]));
    let text = folder.good(&format!("{args} --lambda 0.01 -o frames.npy"));
    assert!(text.lines().any(|line| line.starts_with("image") && line.contains("2 frames of 48 x 40")), "{text}");
    let frames = folder.read("frames.npy");
    folder.json("recon kspace.npy --maps maps.npy --lambda 0.01 --device host -o one.npy");
    let one = folder.read("one.npy");
    assert_eq!(frames.shape(), [2, 48, 40]);
    let first = frames.index_axis(ndarray::Axis(0), 0).to_owned();
    assert!(distance(&first, &one) < 1e-4, "{}", distance(&first, &one));

    let result = folder.json(&format!("{args} --mask masks.npy --reg llr:0.01 --reg tv:0.001 -o low.npy --tol 1e-3"));
    assert_eq!(result["regularisers"].as_array().unwrap().len(), 2);
    let low = folder.read("low.npy");
    assert!(low.iter().all(|v| v.is_finite()) && low.shape() == [2, 48, 40]);

    // One coefficient that is in every frame: the image of both.
    folder.json(&format!("{args} --lambda 0.02 --subspace basis.npy -o c.npy"));
    let c = folder.read("c.npy");
    assert_eq!(c.shape(), [1, 48, 40]);
    let c = c.index_axis(ndarray::Axis(0), 0).to_owned();
    assert!(distance(&c, &one) < 1e-3, "{}", distance(&c, &one));
    // Maps come from the mean of the frames where none are given.
    folder.json("recon series.npy --time --device host --lambda 0.01 -o estimated.npy");
}

#[test]
fn wrong_series_are_refused() {
    let folder = Folder::new();
    series(&folder);
    for (args, says) in [
        ("recon kspace.npy --time --maps maps.npy", "(time, coil, ky, kx)"),
        ("recon series.npy --time --maps mask.npy", "coil maps"),
        ("recon series.npy --time --maps maps.npy --mask maps.npy", "a mask"),
        ("recon series.npy --time --maps maps.npy --traj mask.npy", "a trajectory of"),
    ] {
        folder.refused(&format!("{args} -o x.npy --device host"), says);
    }
    let llr = "recon series.npy --time --maps maps.npy --reg llr:0.01 --tol 1e-2 --device host";
    folder.refused(
        &format!("{llr} --block 500 -o x.npy"),
        "--block 500 is more than the image has, [48, 40]; expected 1 to 48",
    );
    folder.json(&format!("{llr} --block 48 -o whole.npy"));
    for option in ["--repetition all", "--slice 1", "--phase 0:2"] {
        let says = "chooses frames of a scan (.h5, .mrd); those of an array, series.npy, are along its first axis";
        folder.misused(&format!("recon series.npy --time --maps maps.npy {option} -o x.npy"), says);
    }
    folder.misused("recon series.npy --time --traj t.npy --gridding-only -o x.npy", "--gridding-only is for one image");
    // Without a word of time they are images of their own.
    folder.warned("recon series.npy --maps maps.npy -o own.npy --device host", "of frames --time");
    let out = folder.run("recon series.npy --time --maps maps.npy --subspace mask.npy -o x.npy --device host");
    assert!(out.code == 1 && out.stderr.contains("the basis has 48 rows"), "{}", out.stderr);
    folder.misused("recon series.npy --maps maps.npy --subspace basis.npy -o x.npy", "--time");
}

#[test]
fn the_demo_of_few_samples() {
    let folder = Folder::new();
    let facts = folder.json("demo --cs --device host");
    let [sense, tv] = ["sense", "tv"].map(|name| facts["nrmse"][name].as_f64().unwrap());
    assert!(tv < 0.5 * sense && tv < 0.06, "{facts}");
    assert_eq!(facts["stop"], "converged");
    assert!(folder.path("demo.png").exists());
    assert!(facts["iterations"].as_u64().unwrap() <= 200, "{facts}");
    assert!(folder.good("demo --cs --device host").contains("of its limit, by the gap to its dual)"));
    folder.misused("demo --cs --ct", "cannot be used");
}

/// What a regularised solve was has the same names in all verbs.
#[test]
fn verbs_tell_a_solve_by_the_same_names() {
    let folder = Folder::new();
    folder.scan();
    let picture = ndarray::Array2::from_shape_fn((24, 20), |(y, x)| {
        10.0 * f32::from(y > 9 && x > 6) + ((y * 7 + x * 13) % 5) as f32 * 0.4
    });
    folder.real("p.npy", &picture);
    folder.real("psf.npy", &ndarray::Array2::<f32>::ones((3, 3)));
    folder.real("known.npy", &ndarray::Array2::from_shape_fn((24, 20), |(y, x)| f32::from((y + x) % 3 != 0)));
    let angles = ndarray::Array1::from_shape_fn(12, |k| 15.0 * k as f32);
    folder.real("a.npy", &angles);
    let sinogram = ndarray::Array2::from_shape_fn((12, 20), |(_, x)| f32::from(x > 6 && x < 13) * 5.0);
    folder.real("s.npy", &sinogram);
    let rest = "--reg l1-wavelet:0.01 --levels 20 --cycle-spin 100 -o x.npy --device host --force";
    for (verb, in_parts, levels) in [
        ("recon kspace.npy --maps maps.npy", false, 5),
        ("ct s.npy --angles a.npy", false, 4),
        ("deconv p.npy --psf psf.npy", true, 4),
        ("denoise p.npy", true, 4),
        ("inpaint p.npy --mask known.npy", true, 4),
    ] {
        let facts = folder.json(&format!("{verb} {rest}"));
        let part = if in_parts { &facts["parts"][0] } else { &facts };
        let reg = &part["regularisers"][0];
        assert_eq!((&reg["kind"], &reg["default"]), (&"l1-wavelet".into(), &false.into()), "{verb}: {facts}");
        // As many as the extents allow, and said.
        assert_eq!((&reg["levels"], &reg["shifts"]), (&levels.into(), &(1 << levels).into()), "{verb}");
        for number in ["objective", "data_term", "misfit"] {
            assert!(part[number].as_f64().is_some_and(|v| v >= 0.0), "{verb}: {number} of {part}");
        }
        assert!(part["solver"].is_string() && part["gap"].is_number(), "{verb}: {part}");
        let last = part["history"].as_array().unwrap().last().unwrap();
        assert!(part["stop"] == "converged" && last[1].as_f64().unwrap() > 0.0, "{verb}: {part}");
        assert!(part["iterations"].as_u64().unwrap() > 0 && part["steps_halved"] == 0, "{verb}: {part}");
        let text = folder.good(&format!("{verb} {rest}"));
        assert!(text.contains(&format!("{levels} levels, {} shifts", 1 << levels)), "{verb}: {text}");
        assert!(text.contains("of its limit, by the gap to its dual"), "{verb}: {text}");
    }
}

/// One objective, however it is minimised.
#[test]
fn every_solver_comes_to_the_same() {
    let folder = Folder::new();
    folder.scan();
    let run = |reg: &str, solver: &str| {
        let args = format!("recon kspace.npy --maps maps.npy --mask mask.npy --device host -o {solver}.npy --force");
        folder.json(&format!("{args} --reg {reg} --solver {solver} --iterations 4000"))
    };
    for (reg, solvers) in
        [("l1-wavelet:0.005", &["fista", "ista", "pogm", "admm", "pdhg"][..]), ("tv:0.005", &["admm", "pdhg", "irls"])]
    {
        let first = run(reg, solvers[0]);
        for solver in solvers {
            let result = run(reg, solver);
            assert_eq!(result["solver"], *solver);
            let [own, want] = [&result, &first].map(|r| r["objective"].as_f64().unwrap());
            assert!((own / want - 1.0).abs() < 4e-4, "{reg} by {solver}: {own} {want}, {}", result["stop"]);
            let apart = distance(&folder.read(&format!("{solver}.npy")), &folder.read(&format!("{}.npy", solvers[0])));
            assert!(apart < 3e-2, "{reg} by {solver}: {apart}");
        }
    }
}

/// λ of `l2` is that of `--lambda`, and all other λ are parts of max|Aᴴy|, which is found here by sums in f64.
#[test]
fn weights_mean_what_is_said() {
    let folder = Folder::new();
    let scan = folder.scan();
    let args = "recon kspace.npy --maps maps.npy --mask mask.npy --device host --force";
    folder.good(&format!("{args} --lambda 0.02 --tol 1e-7 -o a.npy"));
    let result = folder.json(&format!("{args} --reg l2:0.02 --tol 1e-7 -o b.npy"));
    let apart = distance(&folder.read("a.npy"), &folder.read("b.npy"));
    assert!(apart < 1e-3, "{apart}");
    assert_eq!(result["regularisers"][0]["lambda"], 0.02);

    let (coils, ny, nx) = scan.kspace.dim();
    let wave = |n: usize| {
        ndarray::Array2::from_shape_fn((n, n), |(x, k)| {
            let turn = (x as f64 - (n / 2) as f64) * (k as f64 - (n / 2) as f64) / n as f64;
            Complex64::cis(std::f64::consts::TAU * turn) / (n as f64).sqrt()
        })
    };
    let mut sum = ndarray::Array2::<Complex64>::zeros((ny, nx));
    for c in 0..coils {
        let seen = ndarray::Array2::from_shape_fn((ny, nx), |(y, x)| {
            let v = scan.kspace[[c, y, x]] * scan.mask[[y, x]];
            Complex64::new(v.re.into(), v.im.into())
        });
        let image = wave(ny).dot(&seen).dot(&wave(nx).t());
        for ((at, s), v) in sum.indexed_iter_mut().zip(&image) {
            let map = scan.maps[[c, at.0, at.1]];
            *s += Complex64::new(map.re.into(), -f64::from(map.im)) * v;
        }
    }
    let largest = sum.iter().map(|v| v.norm()).fold(0.0, f64::max);
    for reg in ["tv", "l1-wavelet", "tgv"] {
        let stated = &folder.json(&format!("{args} --reg {reg}:0.003 --tol 1e-2 -o c.npy"))["regularisers"][0];
        let told = stated["lambda"].as_f64().unwrap();
        assert!((told / (0.003 * largest) - 1.0).abs() < 1e-5, "{reg}: {told}, of {largest}");
    }
}

#[test]
fn volumes_are_regularised() {
    let folder = Folder::new();
    let options = VolumeScanOptions::default().matrix([12, 24, 20]).coils(4).acceleration([2, 1]).centre_lines(6);
    let scan = volume_scan(&options.noise(0.01)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    folder.real("mask.npy", &scan.mask);
    let args = "recon k.npy --maps maps.npy --mask mask.npy -o x.npy --device host --force";
    let reference = scan.reference.into_dyn();
    folder.good(&format!("{args} --lambda 1e-6"));
    let plain = distance(&folder.read("x.npy"), &reference);
    for reg in ["tv:0.003", "tgv:0.003", "l1-wavelet:0.002"] {
        let result = folder.json(&format!("{args} --reg {reg}"));
        assert_eq!(result["stop"], "converged", "{reg}: {result}");
        let apart = distance(&folder.read("x.npy"), &reference);
        assert!(apart < 0.9 * plain, "{reg}: {apart}, {plain} without");
    }
}
