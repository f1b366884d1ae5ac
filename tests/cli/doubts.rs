//! What no one should believe is not written, or said: noise that was given wrongly, point-spread functions that are not those of the picture.

use crate::harness::{Folder, real};
use linops::app::cells_image;
use linops::app::noise::Generator;
use ndarray::{Array2, ArrayD, Axis, concatenate};

const N: usize = 96;

/// exp(−r²/2s²) around sample n/2.
fn gaussian(n: usize, s: f64) -> Array2<f32> {
    let at = |k: usize| k as f64 - (n / 2) as f64;
    Array2::from_shape_fn((n, n), |(i, j)| (-(at(i).powi(2) + at(j).powi(2)) / (2.0 * s * s)).exp() as f32)
}

/// Cells seen through a PSF of deviation 1.5, with noise of deviation 2, and some PSFs.
fn folder() -> Folder {
    let folder = Folder::new();
    let (scene, psf) = (cells_image(N + 16, N + 16, 4).mapv(|v| 40.0 + 160.0 * v), gaussian(13, 1.5));
    let mut generator = Generator::new(5);
    let seen = Array2::from_shape_fn((N, N), |(i, j)| {
        let light: f32 = psf.indexed_iter().map(|((a, b), w)| w * scene[[i + a + 2, j + b + 2]]).sum();
        light / psf.sum() + (2.0 * 2f64.sqrt() * generator.complex_normal().re) as f32
    });
    folder.real("y.npy", &seen);
    folder.real("psf.npy", &psf);
    folder.real("wide.npy", &gaussian(25, 3.5));
    folder.real("based.npy", &(&psf + 0.1));
    let moved = |a: Array2<f32>, axis: usize| -> Array2<f32> {
        let (front, back) = a.view().split_at(Axis(axis), a.len_of(Axis(axis)) / 2);
        concatenate(Axis(axis), &[back, front]).unwrap()
    };
    folder.real("fft.npy", &moved(moved(gaussian(24, 1.5), 0), 1));
    folder
}

fn contrast(x: &ArrayD<f32>) -> f32 {
    x.std(0.0)
}

/// The noise of a picture is 2: to explain all but a tenth of that takes what no one has seen.
#[test]
fn too_little_noise_makes_no_garbage() {
    let folder = folder();
    let seen = contrast(&real(&folder, "y.npy"));
    for way in ["--reg tv", "--reg l1-wavelet", "--method wiener", "--method cg", "--method rl"] {
        let given = format!("deconv y.npy --psf psf.npy {way} -o x.npy --device host --force");
        folder.good(&given);
        let own = contrast(&real(&folder, "x.npy"));
        let text = folder.warned(&format!("{given} --noise 0.2"), "the noise is given as 0.2, and ");
        let found = contrast(&real(&folder, "x.npy"));
        assert!(found < 2.0 * own && found < 2.0 * seen, "{way}: {found}, {own}, {seen}");
        assert_eq!(text.contains("would not hold noise back"), way.contains("reg"), "{way}: {text}");
    }
}

/// Runs, and expects exit code 1, one message with this part, and no file.
fn refused(folder: &Folder, args: &str, part: &str) {
    let out = folder.run(args);
    assert!(out.code == 1 && out.stderr.trim_end().lines().count() == 1, "linops {args}: {}", out.stderr);
    assert!(out.stderr.contains(part) && !folder.path("x.npy").exists(), "linops {args}: {}", out.stderr);
}

#[test]
fn amplified_noise_is_not_written_unless_it_is_asked_for() {
    let folder = folder();
    for way in ["--method wiener", "--method cg"] {
        let given = format!("deconv y.npy --psf wide.npy {way} -o x.npy --device host");
        refused(&folder, &given, "noise that was amplified; nothing was written");
        refused(&folder, &given, "or give --lambda");
    }
    refused(
        &folder,
        "deconv y.npy --psf psf.npy --method wiener --noise 1e-3 -o x.npy --device host",
        "give more --noise, or leave it out",
    );
    let out = folder.run("deconv y.npy --psf wide.npy --method wiener --lambda 1e-9 -o x.npy --device host");
    assert!(out.code == 0 && out.stderr.contains("it is noise that was amplified"), "{}", out.stderr);
    assert!(contrast(&real(&folder, "x.npy")) > 3.0 * contrast(&real(&folder, "y.npy")));
}

#[test]
fn wrong_point_spread_functions_are_told() {
    let folder = folder();
    let with = |psf: &str| format!("deconv y.npy --psf {psf} -o x.npy --device host --force");
    folder.good(&with("psf.npy"));
    // Whether more iterations or another PSF explain more, no one knows.
    let text = folder.good(&with("wide.npy"));
    assert!(text.contains("times the noise"), "{text}");
    let of_box = "deconv y.npy --psf box.npy --reg tv -o x.npy --device host --force";
    folder.real("box.npy", &Array2::<f32>::ones((1, 31)));
    folder.warned(of_box, "the PSF is wider than what blurred the picture");
    folder.real("beside.npy", &ndarray::concatenate![Axis(0), Array2::zeros((20, 13)), gaussian(13, 1.5)]);
    let beside = folder.run(&with("beside.npy"));
    assert!(beside.stderr.contains("far from its centre at [16, 6]"), "{}", beside.stderr);
    for (psf, part) in [
        ("fft.npy", "as Fourier transforms have it: move it to its centre"),
        ("based.npy", "of the PSF's sum is an even background"),
    ] {
        let said = folder.run(&with(psf));
        assert!(said.code == 0 && said.stderr.contains(part), "{psf}: {}", said.stderr);
    }
}

/// What is in other units, or was asked for otherwise, is no doubt; and many rows are told of once.
#[test]
fn scenes_of_all_kinds_are_written() {
    let folder = folder();
    folder.real("dark.npy", &(gaussian(13, 1.5) * (0.1 / gaussian(13, 1.5).sum())));
    for way in ["--method wiener", "--method rl", "--reg tv"] {
        folder.good(&format!("deconv y.npy --psf dark.npy --keep-psf-scale {way} -o x.npy --device host --force"));
    }
    let text = folder.good("deconv y.npy --psf psf.npy --lambda 0.01 -o x.npy --device host --force");
    assert!(text.contains("method     wiener"), "{text}");
    let stripes = |dark: f32| {
        Array2::from_shape_fn((N, N), |(_, j)| 100.0 + dark * (j as f32 * std::f32::consts::TAU / 6.0).cos())
    };
    folder.real("stripes.npy", &stripes(80.0 * (-2.0f32 * (std::f32::consts::PI * 1.5 / 6.0).powi(2)).exp()));
    let of_stripes =
        "deconv stripes.npy --psf psf.npy --method wiener --boundary periodic -o x.npy --device host --force";
    folder.warned(of_stripes, "if it has no texture as fine as the blur");
    assert!(contrast(&real(&folder, "x.npy")) > 0.9 * contrast(&stripes(80.0).into_dyn()));
    folder.real("line.npy", &ndarray::arr1(&[1.0f32, 2.0, 3.0, 2.0, 1.0]));
    let out = folder.run("deconv y.npy --psf line.npy --method wiener --iterations 1 -o x.npy --device host --force");
    assert!(out.code == 0 && out.stderr.lines().count() <= 3, "{}", out.stderr);
    assert!(out.stderr.contains("not at rest") && out.stderr.contains("more parts)"), "{}", out.stderr);
}

/// Views of a disc with noise of deviation 1.
#[test]
fn noise_of_views_that_is_given_wrongly_is_said() {
    let folder = Folder::new();
    let mut generator = Generator::new(6);
    let views = Array2::from_shape_fn((60, 64), |(_, d)| {
        let chord = 2.0 * (400.0 - (d as f64 - 31.5).powi(2)).max(0.0).sqrt();
        (chord + 2f64.sqrt() * generator.complex_normal().re) as f32
    });
    folder.real("v.npy", &views);
    for way in ["--method cg", "--method sirt", "--reg tv"] {
        let given = |more: &str| format!("ct v.npy --angles 0:180:60 {way} -o x.npy --device host --force {more}");
        folder.good(&given(""));
        folder.good(&given("--noise 1"));
        folder.warned(&given("--noise 0.1"), "the noise is given as 0.1, and ");
        folder.warned(&given("--noise 3"), "fine structures");
    }
    // Where it is no matter nothing is said of it.
    folder.good("ct v.npy --angles 0:180:60 --method cg --iterations 5 --noise 0.1 -o x.npy --device host --force");
}
