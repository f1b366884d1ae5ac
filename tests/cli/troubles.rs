//! What users of other programs trip over, by command: centres of PSFs, volumes and colours, BART's real values, noise
//! that is given.

use crate::harness::{Folder, far, real, scene, speckle};
use linops::Tensor;
use linops::app::{Blur, Outside, Psf, PsfCenter, shepp_logan_projections};
use linops::io::{Array, Depth, Output, write_cfl, write_npy, write_raster};
use linops::linop::Geometry;
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::json;

const HOST: &str = "--device host --force";

/// ‖a − b‖
fn off(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    (a - b).iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// A streak of these values in a row of a PSF of these extents, from a column on.
fn streak(extents: [usize; 2], [row, first]: [usize; 2], values: &[f32]) -> ArrayD<f32> {
    let mut h = ArrayD::zeros(IxDyn(&extents));
    for (k, v) in values.iter().enumerate() {
        h[[row, first + k]] = *v;
    }
    h
}

/// D3: each centre of a PSF is sample n/2 of the same PSF among other zeros, which are cut; the middle of an even
/// extent is that of the PSF half-way between its samples. The sums are powers of two or the same, so that no bit
/// differs.
#[test]
fn the_centre_of_a_psf_is_where_it_is_said_to_be() {
    let folder = Folder::new();
    folder.real("y.npy", &scene().mapv(f32::round));
    // Its largest sample is the first, and its centroid 22/12 behind that.
    let values = [5.0, 1.0, 1.0, 1.0, 4.0];
    let off_centre = || streak([6, 9], [3, 3], &values);
    let deconv = |h: &ArrayD<f32>, center: &str| {
        folder.real("psf.npy", h);
        let more = format!("--method rl --iterations 10 -o x.npy {HOST}");
        let facts = folder.json(&format!("deconv y.npy --psf psf.npy --psf-center {center} {more}"));
        (real(&folder, "x.npy"), facts["psf_center"].clone())
    };
    for (center, h, at, moved) in [
        ("peak", off_centre(), json!([3.0, 3.0]), streak([3, 11], [1, 5], &values)),
        ("centroid", off_centre(), json!([3.0, 5.0]), streak([3, 5], [1, 0], &values)),
        ("middle", streak([3, 5], [1, 0], &values), json!([1.0, 2.0]), streak([3, 5], [1, 0], &values)),
        (
            "middle",
            streak([3, 4], [1, 0], &[8.0, 4.0, 2.0, 2.0]),
            json!([1.0, 1.5]),
            streak([3, 5], [1, 0], &[4.0, 6.0, 3.0, 2.0, 1.0]),
        ),
    ] {
        let (image, said) = deconv(&h, center);
        assert_eq!(said, at, "{center}");
        assert!(image == deconv(&moved, "half").0, "{center} at {at}");
        // Half a sample moves the slopes of the scene by tens of counts.
        let plain = far(&image, &deconv(&h, "half").0);
        assert!(h == moved || plain > 5.0, "{center} at {at} is n/2: {plain}");
    }
}

/// A PSF of as many axes as the picture blurs along all of them, in one solve; one of fewer would be for each plane.
#[test]
fn volumes_are_deconvolved_by_volumes() {
    let folder = Folder::new();
    let truth = ArrayD::from_shape_fn(IxDyn(&[10, 14, 12]), |at| match (at[0] % 4, at[1] % 5, at[2] % 6) {
        (2, 2, 3) => 100.0f32,
        _ => 5.0,
    });
    let deconv = |psf: &str, iterations: usize| {
        let rest = format!("--boundary mirror --method rl --iterations {iterations} -o x.npy {HOST}");
        folder.json(&format!("deconv y.npy --psf {psf} {rest}"))
    };
    // Three and four samples along the last axis are no colours beside a volume.
    for (extents, same) in [([3, 3, 5], false), ([3, 3, 3], true), ([3, 3, 3], false), ([3, 5, 4], false)] {
        let of = |at: IxDyn| 1.0 / (1.0 + (at[0] * at[0] + at[1] + if same { 0 } else { at[2] }) as f32);
        let h = ArrayD::from_shape_fn(IxDyn(&extents), of);
        let psf = Psf::new(h.view(), PsfCenter::Half, false).unwrap();
        let blur = Blur::new(&psf, truth.shape(), None, Outside::Mirror).unwrap();
        let y = blur.linop().apply(&Tensor::from_array(truth.clone(), "Nz Ny Nx").unwrap()).unwrap();
        let y = y.to_real_array().unwrap();
        folder.real("y.npy", &y);
        folder.real("psf.npy", &h);
        let facts = deconv("psf.npy", 200);
        assert_eq!((&facts["extents"], &facts["channels"]), (&json!([10, 14, 12]), &json!(1)), "{facts}");
        assert_eq!(facts["parts"].as_array().unwrap().len(), 1, "{extents:?}");
        let (before, after) = (off(&y, &truth), off(&real(&folder, "x.npy"), &truth));
        assert!(after < 0.5 * before, "{extents:?}: {before} {after}");
        folder.real("flat.npy", &h.index_axis(Axis(0), 1).to_owned());
        assert_eq!(deconv("flat.npy", 2)["parts"].as_array().unwrap().len(), 10);
    }
}

/// Total variation makes more of a step than its blur was, without a weight.
#[test]
fn a_step_is_found_again() {
    let folder = Folder::new();
    let h = Array2::from_shape_fn((5, 5), |(i, j)| (4 - i.abs_diff(2) - j.abs_diff(2)) as f32).into_dyn();
    let psf = Psf::new(h.view(), PsfCenter::Half, false).unwrap();
    let blur = Blur::new(&psf, &[32, 36], None, Outside::Unknown).unwrap();
    // The scene goes on beyond the picture.
    let canvas = blur.linop().input().unwrap().clone();
    let scene = ArrayD::from_shape_fn(canvas.extents(), |at| if at[1] < 19 { 20.0f32 } else { 120.0 });
    let truth = blur.cropped(scene.view()).unwrap();
    let y = blur.linop().apply(&Tensor::from_array(scene, canvas.dims()).unwrap()).unwrap();
    let mut y = y.to_real_array().unwrap();
    y.indexed_iter_mut().for_each(|(at, v)| *v += 10.0 * speckle(36 * at[0] + at[1]));
    folder.real("y.npy", &y);
    folder.real("psf.npy", &h);
    let facts = folder.json(&format!("deconv y.npy --psf psf.npy --reg tv --tol 1e-3 -o x.npy {HOST}"));
    let part = &facts["parts"][0];
    assert_eq!((&facts["method"], &part["regularisers"][0]["kind"]), (&json!("regularised"), &json!("tv")), "{facts}");
    assert_eq!(part["regularisers"][0]["default"], json!(true));
    let (before, after) = (off(&y, &truth), off(&real(&folder, "x.npy"), &truth));
    assert!(after < 0.7 * before, "{before} {after}");
    folder.misused(&format!("deconv y.npy --psf psf.npy --method cg --non-negative -o z.npy {HOST}"), "cannot be used");
}

/// D8, N3: gaps of each colour are filled from that colour alone.
#[test]
fn gaps_of_colours_are_filled_by_channel() {
    let folder = Folder::new();
    let (grey, known) = (scene().mapv(f32::round), |i: usize, j: usize| !(i * 5 + j * 3).is_multiple_of(7));
    let colours = ArrayD::from_shape_fn(IxDyn(&[32, 36, 3]), |at| {
        let grey = grey[[at[0], at[1]]].min(255.0);
        if known(at[0], at[1]) { [grey, 255.0 - grey, 60.0][at[2]] } else { 255.0 }
    });
    let mask = Array2::from_shape_fn((32, 36), |(i, j)| f32::from(known(i, j))).into_dyn();
    let file = |name: &str| Output::create(folder.path(name), &["png"], true).unwrap();
    write_raster(file("c.png"), colours.view(), true, Depth::Eight).unwrap();
    write_raster(file("known.png"), (&mask * 255.0).view(), false, Depth::Eight).unwrap();
    let inpaint = |input: &str, output: &str| {
        folder.json(&format!("inpaint {input} --mask known.png --tol 1e-3 -o {output} {HOST}"))
    };
    let facts = inpaint("c.png", "x.npy");
    assert_eq!((&facts["channels"], &facts["channel_axis"]), (&json!(3), &json!(2)), "{facts}");
    assert_eq!((facts["parts"].as_array().unwrap().len(), &facts["extents"]), (3, &json!([32, 36])));
    let x = real(&folder, "x.npy");
    for c in 0..3 {
        folder.real("one.npy", &colours.index_axis(Axis(2), c).to_owned());
        inpaint("one.npy", "z.npy");
        let filled = x.index_axis(Axis(2), c).to_owned();
        assert!(far(&filled, &real(&folder, "z.npy")) < 1e-3, "channel {c}");
    }
    // Nothing of the others, nor of what stands in the gaps, comes into the even one.
    assert!(x.index_axis(Axis(2), 2).iter().all(|v| (v - 60.0).abs() < 0.5));
    let red = x.index_axis(Axis(2), 0).to_owned();
    assert!(far(&red, &grey) < 40.0, "{}", far(&red, &grey));
}

/// A seventh of a volume is missing. Left at 0 that would be an error of more than a third; the neighbours along all
/// three axes tell nearly all of it.
#[test]
fn gaps_of_volumes_are_filled() {
    let folder = Folder::new();
    let value = |at: &IxDyn| 20.0 + 100.0 * f32::from(at[0] > 5) + 50.0 * f32::from(at[1] > 9);
    let known = |at: &IxDyn| !(5 * at[0] + 3 * at[1] + at[2]).is_multiple_of(7);
    let truth = ArrayD::from_shape_fn(IxDyn(&[12, 20, 18]), |at| value(&at));
    folder.real("y.npy", &ArrayD::from_shape_fn(truth.raw_dim(), |at| if known(&at) { value(&at) } else { 1e4 }));
    folder.real("known.npy", &ArrayD::from_shape_fn(truth.raw_dim(), |at| f32::from(known(&at))));
    let facts = folder.json(&format!("inpaint y.npy --mask known.npy --tol 1e-3 -o x.npy {HOST}"));
    assert_eq!((facts["parts"].as_array().unwrap().len(), &facts["extents"]), (1, &json!([12, 20, 18])), "{facts}");
    let part = off(&real(&folder, "x.npy"), &truth) / off(&(&truth * 0.0), &truth);
    assert!(part < 0.1, "{part}");
}

/// The head's projections as `sino.npy`, values up to about 0.5, and 60 angles as `angles.npy`.
fn projections(folder: &Folder) -> Array2<f32> {
    let degrees: Vec<f64> = (0..60).map(|k| 3.0 * f64::from(k)).collect();
    let radians: Vec<f64> = degrees.iter().map(|a| a.to_radians()).collect();
    let views = shepp_logan_projections(&Geometry::parallel(&radians, 65), 60.0).unwrap().mapv(|v| (0.02 * v) as f32);
    folder.real("sino.npy", &views);
    folder.real("angles.npy", &Array1::from_iter(degrees.iter().map(|a| *a as f32)));
    views
}

/// BART has no real arrays: one whose imaginary parts are 0 is the same data, bit for bit; one that is complex is
/// refused.
#[test]
fn real_values_of_bart_are_projections() {
    let folder = Folder::new();
    let views = projections(&folder).into_dyn();
    let cfl = |name: &str, array: &Array| {
        write_cfl(Output::create(folder.path(name), &["cfl"], true).unwrap(), array).unwrap();
    };
    cfl("s.cfl", &Array::F32(views.clone()));
    cfl("turned.cfl", &Array::C32(views.mapv(|v| Complex32::new(v, 0.1 * v))));
    for method in ["fbp", "cg --iterations 5"] {
        let run = |input: &str, output: &str| {
            folder.good(&format!("ct {input} --angles angles.npy --method {method} -o {output} {HOST}"));
            std::fs::read(folder.path(output)).unwrap()
        };
        assert!(run("s.cfl", "y.npy") == run("sino.npy", "x.npy"), "{method}");
    }
    folder.refused("ct turned.cfl --angles angles.npy -o z.npy --device host", "expected real ones");
}

/// Noise that is given is told, beside what the image leaves; weights that are not given are 2σ√n of it for n views.
#[test]
fn the_noise_of_projections_makes_the_weights() {
    let folder = Folder::new();
    projections(&folder);
    let ct = |more: &str| {
        // The projections are clean: more noise than there is is said.
        let text = folder.warned(
            &format!("ct sino.npy --angles angles.npy --tol 0.01 -o x.npy {HOST} {more} --json"),
            "for more noise than there is",
        );
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(facts["deviation"].as_f64().is_some_and(|rms| rms > 0.0), "{facts}");
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        (number(&facts["noise"]), number(&facts["regularisers"][0]["lambda"]))
    };
    // Where no weight is left to it, that is said.
    let args = "ct sino.npy --angles angles.npy --tol 0.01 -o x.npy --reg tv:0.001 --noise 0.1 --json";
    let out = folder.run(&format!("{args} {HOST}"));
    assert!(out.code == 0 && out.stderr.contains("that are not given, and all are"), "{}", out.stderr);
    let facts: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let near = |v: &serde_json::Value, want: f64| (v.as_f64().unwrap() / want - 1.0).abs() < 1e-3;
    assert!(near(&facts["noise"], 0.1) && near(&facts["regularisers"][0]["relative"], 0.001), "{facts}");
    for given in [0.01, 0.02] {
        let (noise, lambda) = ct(&format!("--reg tv --noise {given}"));
        let want = 2.0 * given * 60f64.sqrt();
        assert!((noise / given - 1.0).abs() < 1e-6 && (lambda / want - 1.0).abs() < 1e-5, "{noise} {lambda} {want}");
    }
}

/// 64-bit numbers that 32-bit ones cannot hold are no holes, and no zeros.
#[test]
fn values_out_of_range_are_refused() {
    let folder = Folder::new();
    let sino = Array2::from_shape_fn((12, 16), |(a, d)| (1 + a % 3 + d % 5) as f64);
    folder.real("angles.npy", &ndarray::Array1::from_shape_fn(12, |a| 15.0 * a as f32));
    folder.real("psf.npy", &Array2::<f32>::ones((3, 3)));
    for (factor, says) in [(1e200, "holds values such as"), (1e-60, "take the values times a power of ten")] {
        write_npy(
            Output::create(folder.path("y.npy"), &["npy"], true).unwrap(),
            &Array::F64((&sino * factor).into_dyn()),
        )
        .unwrap();
        for verb in ["ct y.npy --angles angles.npy", "deconv y.npy --psf psf.npy", "denoise y.npy"] {
            folder.refused(&format!("{verb} -o x.npy {HOST}"), says);
            assert!(!folder.path("x.npy").exists());
        }
    }
    // What is just within is reconstructed, to its scale.
    let of = |factor: f64, reg: &str| {
        write_npy(
            Output::create(folder.path("y.npy"), &["npy"], true).unwrap(),
            &Array::F64((&sino * factor).into_dyn()),
        )
        .unwrap();
        folder.good(&format!("ct y.npy --angles angles.npy {reg} -o x.npy {HOST}"));
        real(&folder, "x.npy").mapv(|v| f64::from(v) / factor)
    };
    for reg in ["--method cg", "--reg tv:0.01"] {
        let want = of(1.0, reg);
        for factor in [2f64.powi(120), 2f64.powi(-100)] {
            let far = (of(factor, reg) - &want).mapv(f64::abs).fold(0.0, |a: f64, b| a.max(*b));
            assert!(far < 1e-3 * want.fold(0.0, |a: f64, b| a.max(*b)), "{reg}, times {factor:e}: {far}");
        }
    }
}
