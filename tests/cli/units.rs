//! Units, order and planes of trajectories.

use crate::harness::{Folder, distance};
use linops::app::trajectory::golden_radial;
use linops::app::{SampleOptions, sample_scan};
use linops::io::{Array, Output, write_cfl};
use ndarray::{ArrayD, Axis, concatenate};
use std::f64::consts::TAU;

const N: usize = 32;
const ARGS: &str = "recon k.npy --maps maps.npy --dcf ramp --lambda 0.01 --device host --force";

/// A small radial scan as `k.npy`, `t.npy` and `maps.npy`, its image as `x.npy`, and its trajectory.
fn radial(folder: &Folder) -> ArrayD<f64> {
    let trajectory = golden_radial(24, 48, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.002).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    save(folder, "t.npy", &trajectory);
    folder.good(&format!("{ARGS} --traj t.npy -o x.npy"));
    assert!(distance(&folder.read("x.npy"), &scan.reference.into_dyn()) < 0.3);
    trajectory
}

fn save(folder: &Folder, name: &str, trajectory: &ArrayD<f64>) {
    folder.array(name, &Array::F64(trajectory.as_standard_layout().into_owned()));
}

fn same(folder: &Folder, name: &str) {
    let apart = distance(&folder.read(name), &folder.read("x.npy"));
    assert!(apart < 1e-3, "{apart}");
}

#[test]
fn units_are_taken_as_told() {
    let folder = Folder::new();
    let t = radial(&folder);
    // 250 mm.
    for (units, factor, more) in [
        ("cycles", 1.0, ""),
        ("pixel", 1.0 / N as f64, ""),
        ("rad", TAU / N as f64, ""),
        ("1/m", 4.0, "--fov 250"),
        ("rad/m", 4.0 * TAU, "--fov 250x250"),
    ] {
        save(&folder, "u.npy", &(&t * factor));
        folder.good(&format!("{ARGS} --traj u.npy --traj-units {units} {more} -o y.npy"));
        same(&folder, "y.npy");
    }
    save(&folder, "u.npy", &(&t * 4.0));
    let one = "recon k.npy --dcf ramp --traj u.npy --device host --force -o z.npy";
    folder.refused(&format!("{one} --traj-units 1/m"), "give --fov MM");
    folder.refused(&format!("{one} --traj-units rad"), "give --matrix N");
    folder.refused(&format!("{one} --traj-units 1/m --fov 1x2x3"), "--fov has 3 lengths");
    folder.misused(&format!("{one} --traj-units miles"), "rad/m");
    folder.refused(&format!("{one} --traj-units pixel --matrix 32"), "one in cycles per pixel at most 0.5");
    folder.misused("recon k.npy --fov 200 -o z.npy --device host", "--fov is for non-Cartesian data");
    // What is in other units than it is taken for has samples where no image has them.
    folder.refused(one, "--traj-units pixel or rad with --matrix N, 1/m or rad/m with --fov MM");
    folder.refused(&format!("{one} --fov 250"), "say which by --traj-units");
    folder.refused(&format!("{one} --traj-units rad/m --fov 250"), "with samples 0.106");
    folder.refused(&format!("{one} --traj-units 1/m --fov 0.25"), "--fov is in mm");
    folder.warned(&format!("{one} --matrix 32 --gridding-only"), "--traj-units 1/m");
    // Without maps the extents follow from the field of view.
    folder.good(&format!("{one} --traj-units 1/m --fov 250"));
    assert_eq!(folder.read("z.npy").shape(), [N, N]);
}

#[test]
fn units_are_seen_by_the_reach() {
    let folder = Folder::new();
    let t = radial(&folder);
    save(&folder, "rad.npy", &(&t * (TAU / N as f64)));
    save(&folder, "metre.npy", &(&t * 4.0));
    save(&folder, "pixel.npy", &(&t / N as f64));
    folder.warned(&format!("{ARGS} --traj rad.npy -o y.npy"), "rad per pixel");
    same(&folder, "y.npy");
    folder.warned(&format!("{ARGS} --traj metre.npy --fov 250 -o y.npy"), "cycles per metre");
    same(&folder, "y.npy");
    let own = "recon k.npy --dcf ramp --device host --force -o z.npy";
    folder.refused(&format!("{own} --traj rad.npy"), "--traj-units rad");
    folder.refused(&format!("{own} --traj pixel.npy --matrix 32"), "--traj-units pixel");
    // What may be either is computed as cycles, with a word.
    folder.warned(&format!("{own} --traj metre.npy --matrix 32 --gridding-only"), "--traj-units 1/m");
    folder.warned(&format!("{own} --traj t.npy --matrix 128 --gridding-only"), "asks for 64");
}

#[test]
fn smaller_images_leave_samples_out() {
    let folder = Folder::new();
    radial(&folder);
    let own = "recon k.npy --traj t.npy --device host --force -o z.npy";
    for dcf in ["ramp", "pipe", "none"] {
        let text = folder.good(&format!("{own} --matrix 20 --dcf {dcf} --lambda 0.01"));
        // A spoke has 48 samples at steps of 2/3 cycle; within ±10 along both axes lie 30 and more of them.
        assert!(
            text.contains("an image of [20, 20] only 10") && text.contains("samples are left out"),
            "{dcf}: {text}"
        );
        assert_eq!(folder.read("z.npy").shape(), [20, 20]);
    }
    // It is the same object: the small image is the large one's centre of k-space.
    folder.good("recon k.npy --traj t.npy --dcf ramp --rss --matrix 16 --device host --force -o small.npy");
    folder.good("recon k.npy --traj t.npy --dcf ramp --rss --matrix 32 --device host --force -o large.npy");
    let (small, large) = (folder.read("small.npy"), folder.read("large.npy"));
    let mean = ArrayD::from_shape_fn(vec![16, 16], |i| {
        (0..4).map(|n| large[[2 * i[0] + n / 2, 2 * i[1] + n % 2]]).sum::<num_complex::Complex32>() / 4.0
    });
    let (product, a, b) = small
        .iter()
        .zip(&mean)
        .fold((0.0, 0.0, 0.0), |(p, a, b), (s, m)| (p + s.re * m.re, a + s.re * s.re, b + m.re * m.re));
    assert!(product / (a * b).sqrt() > 0.9, "{}", product / (a * b).sqrt());
}

#[test]
fn planes_of_three_coordinates_are_planes() {
    let folder = Folder::new();
    let t = radial(&folder);
    let z = |value: f64| {
        let mut z = t.index_axis(Axis(2), 0).to_owned().insert_axis(Axis(2));
        z.fill(0.0);
        z.indexed_iter_mut().for_each(|(i, z)| *z = value * (1.0 + (i[0] % 3) as f64));
        z
    };
    for value in [0.0, 1e-7] {
        for (name, joined) in [
            ("zyx", concatenate(Axis(2), &[z(value).view(), t.view()]).unwrap()),
            ("yxz", concatenate(Axis(2), &[t.view(), z(value).view()]).unwrap()),
        ] {
            save(&folder, "p.npy", &joined);
            let text = folder.good(&format!("{ARGS} --traj p.npy -o y.npy"));
            assert!(text.contains("constant and left out"), "{name}: {text}");
            same(&folder, "y.npy");
        }
        // BART's order is (x, y, z).
        let mut xy = t.clone();
        xy.invert_axis(Axis(2));
        let xyz = concatenate(Axis(2), &[xy.view(), z(value).view()]).unwrap();
        let file = Output::create(folder.path("p.cfl"), &["cfl"], true).unwrap();
        write_cfl(file, &Array::F64(xyz.clone())).unwrap();
        folder.good(&format!("{ARGS} --traj p.cfl -o y.npy"));
        same(&folder, "y.npy");
        save(&folder, "xyz.npy", &xyz);
        folder.good(&format!("{ARGS} --traj xyz.npy --traj-order xyz --matrix 1x32x32 -o y.npy"));
        same(&folder, "y.npy");
    }
}

#[test]
fn other_orders_of_axes_are_read() {
    let folder = Folder::new();
    let t = radial(&folder);
    let mut xy = t.clone();
    xy.invert_axis(Axis(2));
    save(&folder, "xy.npy", &xy);
    folder.good(&format!("{ARGS} --traj xy.npy --traj-order xy -o y.npy"));
    same(&folder, "y.npy");
    // Coordinates first, coils last.
    save(&folder, "first.npy", &t.clone().permuted_axes(vec![2, 0, 1]));
    folder.good(&format!("{ARGS} --traj first.npy -o y.npy"));
    same(&folder, "y.npy");
    let k = folder.read("k.npy");
    folder.complex("last.npy", &k.permuted_axes(vec![1, 2, 0]).as_standard_layout().into_owned());
    let text = folder.good(&format!("{ARGS} --traj t.npy -o y.npy").replace("k.npy", "last.npy"));
    assert!(text.contains("the coils are along axis 2"), "{text}");
    same(&folder, "y.npy");
    // Spokes whose samples run the other way.
    let mut back = t.clone();
    back.invert_axis(Axis(1));
    save(&folder, "shifted.npy", &ArrayD::from_shape_fn(t.raw_dim(), |i| t[[i[0], (i[1] + 12) % 48, i[2]]]));
    let out = folder.run(&format!("{ARGS} --traj shifted.npy --dcf none -o y.npy").replacen("--dcf ramp", "", 1));
    assert!(out.code == 0 && out.stderr.contains("the strongest sample of k-space is at k ="), "{}", out.stderr);
}
