//! Pictures: `deconv`, `denoise` and `inpaint` as a user runs them.

use crate::harness::{Folder, far, real, scene, speckle};
use linops::io::{Array, Depth, Output, read_picture, write_raster};
use linops::num_complex::Complex32;
use ndarray::{Array2, ArrayD, IxDyn};

fn picture(folder: &Folder, name: &str, values: &ArrayD<f32>, coloured: bool, depth: Depth) {
    let output = Output::create(folder.path(name), &["png", "tif"], true).unwrap();
    write_raster(output, values.view(), coloured, depth).unwrap();
}

/// A PSF and the scene in several formats.
fn folder() -> Folder {
    let folder = Folder::new();
    let psf = Array2::from_shape_fn((5, 5), |(i, j)| (4 - i.abs_diff(2) - j.abs_diff(2)) as f32 * 10.0).into_dyn();
    folder.real("psf.npy", &psf);
    picture(&folder, "psf.png", &psf, false, Depth::Eight);
    folder.real("y.npy", &scene());
    folder
}

#[test]
fn everything_is_said() {
    let folder = folder();
    let text = folder.good("deconv y.npy --psf psf.npy -o x.npy --device host");
    for part in
        ["32 x 36, f4", "centre at [2, 2]", "sum ", "divided by it", "unknown", "rl (default)", "misfit", "noise"]
    {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let facts = folder.json("deconv y.npy --psf psf.npy -o x2.npy --device host --method wiener");
    assert_eq!((&facts["method"], &facts["channels"]), (&"wiener".into(), &1.into()));
    let part = &facts["parts"][0];
    assert!(part["misfit"].as_f64().unwrap() < 0.1 && part["lambda"].as_f64().unwrap() > 0.0);
    assert!(part["history"].as_array().unwrap().len() > 1);
    for method in ["cg", "rl"] {
        for boundary in ["unknown", "periodic", "zero", "mirror"] {
            let args = format!("deconv y.npy --psf psf.png --method {method} --boundary {boundary} -o x.npy --force");
            folder.good(&format!("{args} --device host"));
            assert!(real(&folder, "x.npy").iter().all(|v| v.is_finite()));
        }
    }
}

/// D7: whole numbers keep their units, whatever the format.
#[test]
fn units_are_kept() {
    let folder = folder();
    let counts = scene().mapv(f32::round);
    picture(&folder, "y8.png", &counts, false, Depth::Eight);
    picture(&folder, "y16.png", &(&counts * 100.0), false, Depth::Sixteen);
    picture(&folder, "y16.tif", &(&counts * 100.0), false, Depth::Sixteen);
    folder.array("yi.npy", &Array::I64(counts.mapv(|v| v as i64)));
    folder.real("yf.npy", &counts);
    let run = |input: &str, output: &str, more: &str| {
        folder.good(&format!(
            "deconv {input} --psf psf.npy --method rl --iterations 10 -o {output} --device host --force {more}"
        ))
    };
    run("yf.npy", "want.npy", "");
    let want = real(&folder, "want.npy");
    for (input, unit) in [("y8.png", 1.0), ("y16.png", 100.0), ("y16.tif", 100.0), ("yi.npy", 1.0)] {
        run(input, "x.npy", "");
        assert!(far(&(real(&folder, "x.npy") / unit), &want) < 1e-2, "{input}");
    }
    // Whole numbers only when they are asked for; what is clipped is counted.
    let text = run("y8.png", "x.png", "--depth 8");
    let over = want.iter().filter(|v| v.round() > 255.0).count();
    assert!(over > 0 && text.contains(&format!("clipped    {over} of 1152 samples to 0 … 255")), "{over}: {text}");
    let back = read_picture(folder.path("x.png")).unwrap();
    assert_eq!(back.dtype, "u1");
    assert!(far(&back.values, &want.mapv(|v| v.round().clamp(0.0, 255.0))) <= 1.0);
    run("y8.png", "x.tif", "--depth 16");
    assert!(far(&read_picture(folder.path("x.tif")).unwrap().values, &want) <= 0.6);
    run("y8.png", "f.tif", "");
    let floats = read_picture(folder.path("f.tif")).unwrap();
    assert_eq!(floats.dtype, "f4");
    assert!(far(&floats.values, &want) < 1e-2);
    assert!(run("y8.png", "shown.png", "").contains("shown.png: from 0 (black) to "));
    folder.misused("deconv y8.png --psf psf.npy -o n.npy --depth 8", "--depth is for .png and .tif");
}

/// D8, N3: colours are no axis of space.
#[test]
fn colours_are_channels() {
    let folder = folder();
    let (grey, n) = (scene().mapv(f32::round), scene().len());
    let colours = ArrayD::from_shape_fn(IxDyn(&[32, 36, 3]), |at| {
        let speckle = (20.0 * speckle(36 * at[0] + at[1] + n * at[2])).round();
        [grey[[at[0], at[1]]], 255.0 - grey[[at[0], at[1]]].min(255.0), 60.0][at[2]]
            + if at[2] == 2 { 0.0 } else { speckle }
    });
    let colours = colours.mapv(|v: f32| v.clamp(0.0, 255.0));
    picture(&folder, "c.png", &colours, true, Depth::Eight);
    folder.real("c.npy", &colours);
    folder.real("first.npy", &colours.view().permuted_axes(IxDyn(&[2, 0, 1])).as_standard_layout().to_owned());
    for c in 0..3 {
        folder.real(&format!("c{c}.npy"), &colours.index_axis(ndarray::Axis(2), c).to_owned());
    }
    for (verb, more) in
        [("deconv", "--psf psf.npy --iterations 5 --method rl"), ("denoise", ""), ("denoise", "--noise 5")]
    {
        let run = |input: &str, output: &str, own: &str| {
            folder.good(&format!("{verb} {input} {more} -o {output} --device host --force {own}"))
        };
        assert!(run("c.png", "x.npy", "").contains("3 channels (axis 2)"));
        run("c.npy", "y.npy", "");
        run("first.npy", "z.npy", "--channel-axis 0");
        let x = real(&folder, "x.npy");
        assert!(far(&x, &real(&folder, "y.npy")) < 1e-3, "{verb}");
        let z = real(&folder, "z.npy").permuted_axes(IxDyn(&[1, 2, 0])).as_standard_layout().to_owned();
        assert!(far(&x, &z) < 1e-3, "{verb}");
        for c in 0..3 {
            run(&format!("c{c}.npy"), "one.npy", "");
            let one = real(&folder, "one.npy");
            assert!(far(&one, &x.index_axis(ndarray::Axis(2), c).to_owned()) < 1e-3, "{verb} channel {c}");
        }
        // The even channel stays even: nothing of the others comes in.
        assert!(x.index_axis(ndarray::Axis(2), 2).iter().all(|v| (v - 60.0).abs() < 0.5), "{verb} {more}");
        run("c.png", "x.png", "");
        assert!(read_picture(folder.path("x.png")).unwrap().coloured);
    }
    // As space, if it is said so.
    folder.good("deconv c.npy --psf psf.npy --channel-axis none -o x.npy --device host --force --iterations 2");
    folder.refused("deconv c.npy --psf psf.npy --channel-axis 5 -o w.npy", "the picture has 3 axes");
}

/// D3, D6, D5 as the command line has them.
#[test]
fn psfs_are_checked() {
    let folder = folder();
    let mut point = ArrayD::<f32>::zeros(IxDyn(&[6, 7]));
    point[[3, 3]] = 9.0;
    folder.real("point.npy", &point);
    for method in ["", "--method wiener", "--method cg"] {
        let text = folder.good(&format!("deconv y.npy --psf point.npy -o x.npy --device host --force {method}"));
        assert!(text.contains("the PSF is a point"), "{text}");
        assert!(far(&real(&folder, "x.npy"), &scene()) < 2e-3, "{method}");
    }
    folder.good("deconv y.npy --psf point.npy --keep-psf-scale -o x.npy --device host --force");
    assert!(far(&(real(&folder, "x.npy") * 9.0), &scene()) < 2e-3);
    folder.real("none.npy", &ArrayD::<f32>::zeros(IxDyn(&[3, 3])));
    folder.refused("deconv y.npy --psf none.npy -o w.npy", "sums to 0");
    folder.real("faint.npy", &ArrayD::<f32>::from_elem(IxDyn(&[3, 3]), 1e-25));
    folder.refused("deconv y.npy --psf faint.npy --keep-psf-scale -o w.npy", "normalise it");
    folder.real("deep.npy", &ArrayD::<f32>::ones(IxDyn(&[3, 3, 5])));
    folder.refused("deconv y.npy --psf deep.npy -o w.npy", "3 axes");
    folder.real("long.npy", &ArrayD::<f32>::ones(IxDyn(&[41, 3])));
    folder.warned("deconv y.npy --psf long.npy -o x.npy --device host --force", "check the PSF");
    // Each plane of a stack for itself, by a PSF of two axes.
    folder.real("stack.npy", &ndarray::stack![ndarray::Axis(0), scene(), scene() * 2.0]);
    let text = folder.good("deconv stack.npy --psf psf.npy -o x.npy --device host --force --iterations 3");
    assert!(text.contains("part 2"), "{text}");
    let stack = real(&folder, "x.npy");
    let (one, two) =
        (stack.index_axis(ndarray::Axis(0), 0).to_owned(), stack.index_axis(ndarray::Axis(0), 1).to_owned());
    assert!(far(&(two / 2.0), &one) < 1e-2);
}

#[test]
fn bad_pictures_are_refused() {
    let folder = folder();
    folder.complex("c.npy", &Array2::from_elem((8, 8), Complex32::new(1.0, 0.5)));
    let mut hole = scene();
    hole[[3, 4]] = f32::NAN;
    folder.real("hole.npy", &hole);
    folder.text("text.png", "no picture");
    folder.real("line.npy", &ArrayD::<f32>::ones(IxDyn(&[9])));
    for (args, part) in [
        ("deconv c.npy --psf psf.npy -o x.npy", "complex"),
        ("deconv hole.npy --psf psf.npy -o x.npy", "NaN or infinity at [3, 4]"),
        ("deconv missing.png --psf psf.npy -o x.npy", "no such file"),
        ("deconv text.png --psf psf.npy -o x.npy", "cannot be read as a PNG"),
        ("deconv y.npy --psf psf.npy -o y.npy --force", "is an input as well"),
        ("deconv y.npy --psf psf.npy -o psf.npy --force", "is an input as well"),
        ("deconv line.npy --psf line.npy -o x.png", "2 axes of space"),
        ("deconv scan.h5 --psf psf.npy -o x.npy", "ends in .npy, .npz, .cfl, .hdr, .png, .tif or .tiff"),
        ("denoise hole.npy -o x.npy", "NaN or infinity at [3, 4]"),
        ("inpaint y.npy -o x.npy", "nothing is missing"),
        ("inpaint hole.npy --mask psf.npy -o x.npy", "a mask of 5 x 5"),
        ("recon text.png -o x.npy", "ends in"),
    ] {
        folder.refused(&format!("{args} --device host"), part);
    }
    for (args, part) in [
        ("deconv y.npy -o x.npy", "--psf"),
        ("deconv y.npy --psf psf.npy", "--output"),
        ("deconv y.npy --psf psf.npy -o x.npy --method tv", "wiener"),
        ("deconv y.npy --psf psf.npy -o x.npy --method rl --lambda 1", "rl has none"),
        ("deconv y.npy --psf psf.npy -o x.jpg", ".png"),
        ("denoise y.npy -o x.npy --reg tw", "no regulariser"),
        ("denoise y.npy -o x.npy --reg l2", "give one, as in l2:0.01"),
        ("denoise y.npy -o x.png --depth 12", "8"),
        ("inpaint y.npy -o x.npy --mask-marks missing", "--mask"),
        ("deconv y.npy --psf psf.npy -o x.npy --reg tv --lambda 3", "as in --reg tv:0.01"),
        ("deconv y.npy --psf psf.npy -o x.npy --reg tv --wavelet db2", "--wavelet is for --reg l1-wavelet"),
        ("denoise y.npy -o x.npy --reg tv --cycle-spin", "--cycle-spin is for --reg l1-wavelet"),
        ("inpaint y.npy -o x.npy --reg tgv --levels 2", "--levels is for --reg l1-wavelet"),
        ("denoise y.npy -o x.npy --reg tv --block 4", "--block is for --reg llr"),
    ] {
        folder.misused(args, part);
    }
    folder.good("deconv hole.npy --psf psf.npy -o x.npy --allow-nan --device host");
    assert!(real(&folder, "x.npy").iter().all(|v| v.is_finite()));
}

#[test]
fn gaps_are_filled() {
    let folder = folder();
    let known = Array2::from_shape_fn((32, 36), |(i, j)| f32::from((i * 5 + j * 3) % 7 != 0)).into_dyn();
    let mut image = scene();
    image.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { 255.0 } else { *v });
    folder.real("y.npy", &image);
    picture(&folder, "known.png", &(&known * 255.0), false, Depth::Eight);
    folder.array("gaps.npy", &Array::U8(known.mapv(|k| u8::from(k == 0.0))));
    let text = folder.good("inpaint y.npy --mask known.png -o x.npy --device host");
    assert!(text.contains("known      ") && text.contains("samples, 85.") && text.contains("tv"), "{text}");
    folder.good("inpaint y.npy --mask gaps.npy --mask-marks missing -o z.npy --device host");
    let x = real(&folder, "x.npy");
    assert_eq!(x, real(&folder, "z.npy"));
    assert!(far(&x, &scene()) < 40.0, "{}", far(&x, &scene()));
    folder.good("inpaint y.npy --mask known.png --keep-known -o x.npy --device host --force");
    let mut kept = real(&folder, "x.npy");
    assert!(far(&kept, &scene()) < 40.0);
    kept.zip_mut_with(&known, |v, k| *v *= k);
    assert_eq!(kept, &scene() * &known);
    folder.real("few.npy", &Array2::from_shape_fn((32, 36), |(i, _)| f32::from(i % 12 == 0)));
    let out = folder.run("inpaint y.npy --mask few.npy -o w.npy --device host");
    assert!(out.code == 0 && out.stderr.contains("--mask-marks missing"), "{}", out.stderr);
}

/// A mask of rows and columns is that of every plane.
#[test]
fn planes_of_a_stack_have_the_same_gaps() {
    let folder = folder();
    let known = Array2::from_shape_fn((32, 36), |(i, j)| f32::from((i * 5 + j * 3) % 7 != 0)).into_dyn();
    folder.real("known.npy", &known);
    folder.real("stack.npy", &ndarray::stack![ndarray::Axis(0), scene(), scene() * 2.0, scene()]);
    folder.real("all.npy", &ndarray::stack![ndarray::Axis(0), known, known, known]);
    let filled = |mask: &str| {
        let more = "--iterations 30 -o x.npy --device host --force";
        let out = folder.run(&format!("inpaint stack.npy --mask {mask} {more}"));
        assert_eq!(out.code, 0, "{}", out.stderr);
        real(&folder, "x.npy")
    };
    assert_eq!(filled("known.npy"), filled("all.npy"));
    folder.real("other.npy", &known.t().to_owned());
    folder.refused("inpaint stack.npy --mask other.npy -o w.npy", "give one of its extents, or of 32 x 36");
}

/// A PSF of one axis blurs each row for itself; of many rows some have a line of their own.
#[test]
fn many_rows_have_few_lines() {
    let folder = folder();
    folder.real("line.npy", &ndarray::arr1(&[1.0f32, 2.0, 1.0]));
    let text = folder.good("deconv y.npy --psf line.npy --iterations 3 -o x.npy --device host");
    assert!(text.contains("part 8") && !text.contains("part 9") && text.contains("24 more"), "{text}");
    assert!(text.contains("3 to 3 iterations; misfit "), "{text}");
}

#[test]
fn noise_is_taken_away() {
    let folder = folder();
    let noisy =
        ArrayD::from_shape_fn(IxDyn(&[64, 64]), |at| 100.0 * (at[0] / 32) as f32 + 10.0 * speckle(64 * at[0] + at[1]));
    folder.real("n.npy", &noisy);
    let facts = folder.json("denoise n.npy -o x.npy --device host");
    let part = &facts["parts"][0];
    assert!((part["noise"].as_f64().unwrap() / 2.9 - 1.0).abs() < 0.25, "{part}");
    assert_eq!((&part["regularisers"][0]["kind"], &part["regularisers"][0]["default"]), (&"tv".into(), &true.into()));
    let clean = ArrayD::from_shape_fn(IxDyn(&[64, 64]), |at| 100.0 * (at[0] / 32) as f32);
    let rms = |a: &ArrayD<f32>| (a - &clean).iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!(rms(&real(&folder, "x.npy")) < 0.4 * rms(&noisy));
    let text = folder.good("denoise n.npy -o w.npy --reg l1-wavelet:0.02 --wavelet sym4 --device host");
    assert!(text.contains("l1-wavelet"), "{text}");
    // Noise that is given as about what is found, and as a quarter more and beyond.
    let found = part["noise"].as_f64().unwrap();
    let given = |part: f64| format!("denoise n.npy -o v.npy --noise {} --device host --force", part * found);
    assert!(!folder.run(&given(1.2)).stderr.contains("is found: what is taken away"));
    let out = folder.run(&given(1.5));
    assert_eq!(out.code, 0);
    let [told, own] = [1.5 * found, found].map(|n| ((n * 10.0).floor() / 10.0).to_string());
    let says = |part: &str| out.stderr.contains(part);
    assert!(says(&format!("the noise is given as {told}")) && says(&format!("and {own}")), "{}", out.stderr);
}

/// More noise given than there is is said of deconvolution, where the weight follows from it.
#[test]
fn noise_that_is_given_as_too_much_is_said() {
    let folder = folder();
    let noisy = scene() + ArrayD::from_shape_fn(IxDyn(&[32, 36]), |at| 8.0 * speckle(36 * at[0] + at[1]));
    folder.real("n.npy", &noisy);
    for (way, weighed) in
        [("--method wiener", false), ("--method rl", false), ("--reg tv", false), ("--reg tv:0.01", true)]
    {
        let run =
            |noise: f64| format!("deconv n.npy --psf psf.npy {way} --noise {noise} -o x.npy --device host --force");
        let facts = folder.json(&run(1.6));
        let part = &facts["parts"][0];
        assert_eq!(part["noise_found"].is_null(), weighed, "{way}: {part}");
        assert!(!facts["warnings"].to_string().contains("is found: what is taken away"), "{way}");
        let found = if weighed { 3.0 } else { part["noise_found"].as_f64().unwrap() };
        assert!((found / 2.3 - 1.0).abs() < 0.35, "{way}: {found}");
        let out = folder.run(&run(1.5 * found));
        assert_eq!(out.stderr.contains("is found: what is taken away"), !weighed, "{way}: {}", out.stderr);
    }
    // Where most of it was cut off it is not told, and nothing is said.
    let cut = ArrayD::from_shape_fn(IxDyn(&[64, 64]), |at| (10.0 * speckle(64 * at[0] + at[1]) - 3.4).max(0.0));
    folder.real("dark.npy", &cut);
    let facts = folder.json("deconv dark.npy --psf psf.npy --method wiener --noise 2.9 -o x.npy --device host --force");
    assert!(facts["parts"][0]["noise_found"].is_null(), "{facts}");
    assert!(!facts["warnings"].to_string().contains("is found: what is taken away"), "{facts}");
}

#[test]
fn the_demo_deconvolves() {
    let folder = Folder::new();
    let facts = folder.json("demo --deconv --device host");
    let [seen, found] = ["seen", "deconvolved"].map(|k| facts["nrmse"][k].as_f64().unwrap());
    assert!(found < 0.88 * seen, "{seen} {found}");
    let sheet = read_picture(folder.path("demo.png")).unwrap();
    assert!(sheet.values.shape()[1] > 3 * 256 && !sheet.coloured);
}

/// Grey values of a picture.
fn grey(folder: &Folder, name: &str) -> (ArrayD<f32>, &'static str) {
    let raster = read_picture(folder.path(name)).unwrap();
    (raster.values, raster.dtype)
}

/// Nine pixels of 256² are seen, on nothing and on noise, and the window is said.
#[test]
fn small_objects_are_seen() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "Ny=256 Nx=256" }"#);
    for noise in [0.0, 1e-6] {
        let mut image = Array2::from_shape_fn((256, 256), |(y, x)| noise * ((7 * y + 3 * x) % 11) as f32);
        image.slice_mut(ndarray::s![100..103, 40..43]).fill(2.0);
        folder.real("psf.npy", &image);
        let text = folder.good("apply same.json --input psf.npy -o psf.png --force --device host");
        assert!(
            text.contains("wrote      psf.png: magnitude from 0 (black) to 2 (white), percentile 99.5 of the object"),
            "{text}"
        );
        let (seen, _) = grey(&folder, "psf.png");
        assert_eq!(seen.iter().filter(|v| **v == 255.0).count(), 9);
        assert!(seen.iter().all(|v| *v == 255.0 || *v == 0.0));
    }
    let facts = folder.json("apply same.json --input psf.npy -o psf.png --force --device host");
    assert_eq!(facts["shown"], serde_json::json!({ "part": "magnitude", "black": 0.0, "white": 2.0 }));
}

#[test]
fn windows_are_as_asked() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "Ny=2 Nx=4" }"#);
    folder.real("x.npy", &ndarray::arr2(&[[0f32, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 8.0]]));
    let run = |more: &str| {
        folder.good(&format!("apply same.json --input x.npy -o x.png --force --device host {more}"));
        let (values, dtype) = grey(&folder, "x.png");
        (values.into_raw_vec_and_offset().0, dtype)
    };
    assert_eq!(run("--window 0:4"), (vec![0., 64., 128., 191., 255., 255., 255., 255.], "u1"));
    assert_eq!(run("--window max").0, [0., 32., 64., 96., 128., 159., 191., 255.]);
    assert_eq!(run("--window 2:6").0, [0., 0., 0., 64., 128., 191., 255., 255.]);
    assert_eq!(run("--window=-8:8").0[0], 128.0);
    let (sixteen, dtype) = run("--window max --bits 16");
    assert_eq!((sixteen[1], sixteen[7], dtype), (8192.0, 65535.0, "u2"));
    for (args, part) in [
        ("-o w.png --window 4:1", "lo:hi"),
        ("-o w.png --window p200", "p99.5"),
        ("-o w.npy --window max", "--window is for .png"),
        ("-o w.npy --bits 16", "--bits is for .png"),
        ("-o w.png --bits 12", "8"),
        ("-o w.png --part phase --window max", "from −π to π"),
        ("-o w.png --part angle", "magnitude"),
    ] {
        folder.misused(&format!("apply same.json --input x.npy --device host {args}"), part);
    }
    // Of verbs for pictures too.
    folder.real("y.npy", &scene());
    assert_eq!(
        folder.run("denoise y.npy --noise 1 --iterations 2 -o y.png --window 0:1000 --bits 16 --device host").code,
        0
    );
    let (seen, dtype) = grey(&folder, "y.png");
    assert!(dtype == "u2" && seen.iter().all(|v| *v < 20000.0), "{dtype}");
    folder.misused("denoise y.npy -o z.png --depth 8 --window max", "leave --window");
}

#[test]
fn parts_have_their_colours() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "Ny=1 Nx=6" }"#);
    let turn = |k: f32| Complex32::from_polar(2.0, k * std::f32::consts::TAU);
    let x = [turn(0.0), turn(1.0 / 3.0), turn(-1.0 / 3.0), turn(0.5), turn(-0.5), Complex32::default()];
    folder.complex("x.npy", &Array2::from_shape_fn((1, 6), |(_, k)| x[k]));
    let text = folder.good("apply same.json --input x.npy -o p.png --part phase --device host");
    assert!(text.contains("phase from -3.142 to 3.142"), "{text}");
    let raster = read_picture(folder.path("p.png")).unwrap();
    assert!(raster.coloured);
    let colour = |k: usize| [0, 1, 2].map(|c| raster.values[[0, k, c]]);
    assert_eq!((colour(0), colour(1), colour(2)), ([255., 64., 64.], [64., 255., 64.], [64., 64., 255.]));
    // Half a turn either way is one colour, and 0 has none.
    assert_eq!((colour(3), colour(5)), (colour(4), [0.0; 3]));
    let text = folder.good("apply same.json --input x.npy -o r.png --part real --window max --device host");
    assert!(text.contains("real from -2 (black) to 2 (white)"), "{text}");
    let (real, _) = grey(&folder, "r.png");
    assert_eq!(real.into_raw_vec_and_offset().0, [255., 64., 64., 0., 0., 128.]);
    let (imaginary, _) = {
        folder.good("apply same.json --input x.npy -o i.png --part imaginary --window=-2:2 --device host");
        grey(&folder, "i.png")
    };
    assert_eq!(imaginary[[0, 1]], (127.5f32 * (1.0 + 0.75f32.sqrt())).round());
}

#[test]
fn stacks_are_montages() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "N=3 Ny=2 Nx=2" }"#);
    folder.real("x.npy", &ArrayD::from_shape_fn(IxDyn(&[3, 2, 2]), |i| (1 + i[0]) as f32));
    folder.good("apply same.json --input x.npy -o x.png --window 0:3 --device host");
    let (sheet, _) = grey(&folder, "x.png");
    assert_eq!(sheet.shape(), [4, 4]);
    assert_eq!([sheet[[0, 0]], sheet[[1, 3]], sheet[[2, 0]], sheet[[3, 3]]], [85.0, 170.0, 255.0, 0.0]);
    let c = ArrayD::from_shape_fn(IxDyn(&[3, 2, 2]), |_| Complex32::new(1.0, 0.0));
    folder.complex("c.npy", &c);
    folder.good("apply same.json --input c.npy -o c.png --part phase --device host");
    let colours = read_picture(folder.path("c.png")).unwrap();
    assert_eq!((colours.coloured, colours.values[[0, 0, 0]], colours.values[[3, 3, 0]]), (true, 255.0, 0.0));
}

#[test]
fn a_mask_read_the_wrong_way_round_is_doubted() {
    let folder = Folder::new();
    let known = |at: &[usize]| !(at[0] + at[1]).is_multiple_of(3);
    let picture = ArrayD::from_shape_fn(vec![24, 20], |at| if known(&[at[0], at[1]]) { 5.0f32 } else { 0.0 });
    let mask = ArrayD::from_shape_fn(vec![24, 20], |at| f32::from(known(&[at[0], at[1]])));
    folder.array("gaps.npy", &Array::F32(picture));
    folder.array("mask.npy", &Array::F32(mask));
    folder.good("inpaint gaps.npy --mask mask.npy -o x.npy --device host");
    let out = folder.run("inpaint gaps.npy --mask mask.npy --mask-marks missing -o y.npy --device host");
    assert!(out.code == 0 && out.stderr.contains("every known sample is 0"), "{}", out.stderr);
    let saturated = ArrayD::from_shape_fn(vec![24, 20], |at| if known(&[at[0], at[1]]) { at[1] as f32 } else { 255.0 });
    folder.array("saturated.npy", &Array::F32(saturated));
    let out = folder.run("inpaint saturated.npy --mask mask.npy --mask-marks missing -o z.npy --device host");
    assert!(out.code == 0 && out.stderr.contains("every known sample is 255"), "{}", out.stderr);
    let out = folder.run("inpaint saturated.npy --mask mask.npy -o w.npy --device host");
    assert!(out.code == 0 && !out.stderr.contains("every known"), "{}", out.stderr);
}
