//! `ct` and `demo --ct`.

use crate::harness::Folder;
use linops::Tensor;
use linops::app::shepp_logan_projections;
use linops::io::Array;
use linops::linop::{self, Geometry};
use ndarray::{Array1, Array2, ArrayD, Axis, s};
use num_complex::Complex32;

const N: usize = 65;
const VIEWS: usize = 60;

fn angles(whole: f64) -> Vec<f64> {
    (0..VIEWS).map(|k| k as f64 * whole / VIEWS as f64).collect()
}

/// The head's projections as `sino.npy`, values up to about 0.5, and `angles.npy` in degrees.
fn scan(folder: &Folder) -> Array2<f32> {
    let degrees = angles(180.0);
    let radians: Vec<f64> = degrees.iter().map(|a| a.to_radians()).collect();
    let views = shepp_logan_projections(&Geometry::parallel(&radians, N), 60.0).unwrap();
    let views = views.mapv(|v| (0.02 * v) as f32);
    folder.real("sino.npy", &views);
    folder.real("angles.npy", &Array1::from_iter(degrees.iter().map(|a| *a as f32)));
    views
}

fn image(folder: &Folder, name: &str) -> ArrayD<f32> {
    folder.read(name).mapv(|v| v.re)
}

fn distance(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    let norm = |a: &ArrayD<f32>| a.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert_eq!(a.shape(), b.shape());
    norm(&(a - b)) / norm(b)
}

const HOST: &str = "--device host --force";

#[test]
fn angles_come_from_files_and_ranges() {
    let folder = Folder::new();
    scan(&folder);
    let text = folder.good(&format!("ct sino.npy --angles angles.npy -o x.npy {HOST}"));
    for word in
        ["60 of 65 pixels", "0 to 177 degrees, 3 apart", "32 (default", "misfit", "filtered back-projection (default)"]
    {
        assert!(text.contains(word), "no \"{word}\" in {text}");
    }
    let want = image(&folder, "x.npy");
    assert_eq!(want.shape(), [N, N]);
    // The white of the head.
    assert!((want[[32, 32]] - 0.02 * 0.2).abs() < 0.002, "{}", want[[32, 32]]);
    let lines: Vec<String> = angles(180.0).iter().map(ToString::to_string).collect();
    folder.text("angles.txt", format!("# degrees\n{}\n", lines.join(",\n")));
    for list in ["0:180:60", "angles.txt"] {
        folder.good(&format!("ct sino.npy --angles {list} -o y.npy {HOST}"));
        assert!(distance(&image(&folder, "y.npy"), &want) < 1e-5, "{list}");
    }
    folder.good(&format!("ct sino.npy --angles angles.npy -o x.png {HOST}"));
    folder.good(&format!("ct sino.npy --angles angles.npy -o x.cfl {HOST}"));
}

#[test]
fn radians_are_told_and_said() {
    let folder = Folder::new();
    scan(&folder);
    folder.good(&format!("ct sino.npy --angles angles.npy -o x.npy {HOST}"));
    let radians = Array1::from_iter(angles(180.0).iter().map(|a| a.to_radians() as f32));
    folder.real("radians.npy", &radians);
    let out = folder.run(&format!("ct sino.npy --angles radians.npy -o y.npy {HOST}"));
    assert!(out.code == 0 && out.stderr.contains("taken for radians"), "{}", out.stderr);
    assert!(distance(&image(&folder, "y.npy"), &image(&folder, "x.npy")) < 1e-4);
    folder.good(&format!("ct sino.npy --angles radians.npy --angle-units radians -o z.npy {HOST}"));
    assert_eq!(image(&folder, "z.npy"), image(&folder, "y.npy"));
    // Said to be degrees they are, and the image explains nothing.
    let out = folder.run(&format!("ct sino.npy --angles radians.npy --angle-units degrees -o w.npy {HOST}"));
    assert!(out.stdout.contains("are missing"), "{}", out.stdout);
}

#[test]
fn the_order_of_axes_is_told_by_the_angles() {
    let folder = Folder::new();
    let views = scan(&folder);
    folder.good(&format!("ct sino.npy --angles angles.npy -o x.npy {HOST}"));
    let want = image(&folder, "x.npy");
    folder.real("turned.npy", &views.t().as_standard_layout().into_owned());
    let text = folder.good(&format!("ct turned.npy --angles angles.npy -o y.npy {HOST}"));
    assert!(text.contains("(detector, angle), and were turned"), "{text}");
    assert_eq!(image(&folder, "y.npy"), want);
    // As many detector pixels as angles do not tell.
    folder.real("square.npy", &views.slice(s![.., 2..62]).to_owned());
    folder.refused("ct square.npy --angles angles.npy -o z.npy", "--order");
    folder.good(&format!("ct square.npy --angles angles.npy --order angle,detector --center 30 -o z.npy {HOST}"));
    folder.refused("ct sino.npy --angles 0:180:61 -o z.npy --force", "61 angles");
    // Pictures as they were taken, and slices.
    let stack = ndarray::stack(Axis(1), &[views.view(), (&views * 2.0).view()]).unwrap();
    folder.real("stack.npy", &stack);
    let result = folder.json(&format!("ct stack.npy --angles angles.npy -o s.npy {HOST}"));
    assert_eq!(result["image"], serde_json::json!([2, N, N]));
    let slices = image(&folder, "s.npy");
    assert!(distance(&slices.index_axis(Axis(0), 1).to_owned(), &(want * 2.0)) < 1e-6);
    // Of slices a picture is a montage.
    folder.good(&format!("ct stack.npy --angles angles.npy -o s.png {HOST}"));
    let sheet = linops::io::read_picture(folder.path("s.png")).unwrap();
    assert_eq!(sheet.values.shape(), [N, 2 * N]);
}

#[test]
fn transmission_is_taken_for_what_it_is() {
    let folder = Folder::new();
    let views = scan(&folder);
    folder.good(&format!("ct sino.npy --angles angles.npy -o x.npy {HOST}"));
    let want = image(&folder, "x.npy");
    let mut counts = views.mapv(|v| (60_000.0 * (-v).exp()).round() as i64 + 100);
    folder.array("counts.npy", &Array::I64(counts.clone().into_dyn()));
    folder.real("flat.npy", &Array2::from_elem((5, N), 60_100.0f32));
    for fields in ["--flat flat.npy --dark 100", "--flat 60100 --dark 100"] {
        folder.good(&format!("ct counts.npy --angles angles.npy --transmission {fields} -o y.npy {HOST}"));
        assert!(distance(&image(&folder, "y.npy"), &want) < 2e-3, "{fields}");
    }
    let out = folder.run(&format!("ct counts.npy --angles angles.npy -o z.npy {HOST}"));
    assert!(out.code == 0 && out.stderr.contains("look like transmission"), "{}", out.stderr);
    folder.refused("ct counts.npy --angles angles.npy --transmission --flat 0 -o w.npy", "the flat field (--flat)");
    counts[[3, 4]] = 0;
    counts[[9, 30]] = 50;
    folder.array("counts.npy", &Array::I64(counts.into_dyn()));
    let text = folder
        .good(&format!("ct counts.npy --angles angles.npy --transmission --flat 60100 --dark 100 -o z.npy {HOST}"));
    assert!(text.contains("2 values not above 0 were clipped"), "{text}");
    assert!(image(&folder, "z.npy").iter().all(|v| v.is_finite()));
    folder.refused("ct counts.npy --angles angles.npy --transmission -o w.npy", "--flat");
    folder.misused("ct counts.npy --angles angles.npy --flat 60100 -o w.npy", "--transmission");
}

#[test]
fn defects_and_missing_angles_are_said() {
    let folder = Folder::new();
    let mut views = scan(&folder);
    views[[2, 30]] = f32::NAN;
    views.column_mut(40).fill(0.0);
    folder.real("bad.npy", &views);
    let result = folder.json(&format!("ct bad.npy --angles angles.npy --method sirt --iterations 20 -o x.npy {HOST}"));
    let notes = result["notes"].to_string();
    assert!(
        notes.contains("1 sample NaN or infinite") && notes.contains("1 detector column dead, the first 40"),
        "{notes}"
    );
    assert!(result["stop"] == "iterations" && result["gap"].as_f64().unwrap() > 0.0, "{result}");
    assert!(image(&folder, "x.npy").iter().all(|v| v.is_finite()));
    folder.real("part.npy", &views.slice(s![..45, ..]).to_owned());
    let text = folder.good(&format!("ct part.npy --angles 0:135:45 -o y.npy {HOST}"));
    assert!(text.contains("45.0 degrees of the half turn are missing"), "{text}");
}

#[test]
fn the_axis_is_where_it_is_said_or_found() {
    let folder = Folder::new();
    let radians: Vec<f64> = angles(180.0).iter().map(|a| a.to_radians()).collect();
    let g = Geometry::parallel(&radians, 80).center(Some(42.4));
    folder.real("sino.npy", &shepp_logan_projections(&g, 60.0).unwrap().mapv(|v| v as f32));
    let found = folder.json(&format!("ct sino.npy --angles 0:180:60 --center auto -o x.npy {HOST}"));
    assert!((found["center"].as_f64().unwrap() - 42.4).abs() < 0.1, "{found}");
    let given = folder.json(&format!("ct sino.npy --angles 0:180:60 --center 42.4 -o y.npy {HOST}"));
    // Without a word the axis is in the middle; that the projections say otherwise is said, and changes nothing.
    let middle = folder.warned(&format!("ct sino.npy --angles 0:180:60 -o z.npy --json {HOST}"), "--center auto");
    let middle: serde_json::Value = serde_json::from_str(&middle).unwrap();
    assert_eq!(middle["center"], 39.5);
    assert!(middle["warnings"][0].as_str().unwrap().contains("at detector index 42.4"), "{middle}");
    folder.good(&format!("ct sino.npy --angles 0:180:60 --center 39.5 -o w.npy {HOST}"));
    assert_eq!(image(&folder, "w.npy"), image(&folder, "z.npy"));
    let misfit = |r: &serde_json::Value| r["misfit"].as_f64().unwrap();
    assert!(misfit(&given) < 0.9 * misfit(&middle), "{given} {middle}");
    assert!(distance(&image(&folder, "z.npy"), &image(&folder, "y.npy")) > 0.3);
    assert!(distance(&image(&folder, "x.npy"), &image(&folder, "y.npy")) < 0.1);
    // Half a pixel is enough to be told, a quarter is not.
    for (off, told) in [(0.0, false), (0.2, false), (0.5, true)] {
        let g = Geometry::parallel(&radians, 80).center(Some(39.5 + off));
        folder.real("near.npy", &shepp_logan_projections(&g, 60.0).unwrap().mapv(|v| v as f32));
        let args = format!("ct near.npy --angles 0:180:60 -o near_x.npy {HOST}");
        if told {
            folder.warned(&args, "--center auto");
        } else {
            folder.good(&args);
        }
    }
}

#[test]
fn fans_have_distances() {
    let folder = Folder::new();
    let radians: Vec<f64> = angles(360.0).iter().map(|a| a.to_radians()).collect();
    let g = Geometry::fan(&radians, 110, 120.0, 60.0);
    folder.real("fan.npy", &shepp_logan_projections(&g, 60.0).unwrap().mapv(|v| v as f32));
    let fan = "ct fan.npy --angles 0:360:60 --geometry fan";
    let result = folder.json(&format!("{fan} --sod 120 --sdd 180 --image-pixel 1 --size 65 -o x.npy {HOST}"));
    let x = image(&folder, "x.npy");
    assert!((x[[32, 32]] - 0.2).abs() < 0.08 && x.shape() == [65, 65], "{result}");
    // The same in millimetres.
    folder.good(&format!("{fan} --dso 12 --dsd 18 --pixel-size 0.1 --image-pixel 0.1 --size 65 -o y.npy {HOST}"));
    assert!(distance(&(image(&folder, "y.npy") * 0.1), &x) < 1e-3);
    folder.misused(&format!("{fan} -o z.npy"), "--sod and --sdd");
    folder.misused(&format!("{fan} --sod 120 --sdd 80 -o z.npy"), "behind the axis");
    folder.misused("ct fan.npy --angles 0:360:60 --sod 120 -o z.npy", "parallel rays have no source");
    let part = folder.read("fan.npy").mapv(|v| v.re).slice(s![..32, ..]).to_owned();
    folder.real("part.npy", &part);
    let args = "ct part.npy --angles 0:192:32 --geometry fan --sod 120 --sdd 180 -o z.npy";
    folder.refused(args, "--method sirt or cg takes them");
    folder.refused("ct fan.npy --angles 0:360:60 --geometry cone --sod 120 --sdd 180 -o z.npy", "three axes");
}

#[test]
fn solvers_say_how_they_ended() {
    let folder = Folder::new();
    scan(&folder);
    let text = folder.run(&format!("ct sino.npy --angles angles.npy --method cg --tol 0.01 -o x.npy {HOST}")).stdout;
    // Views without noise are fitted better and better: it says so, if it does not stand.
    let ends = [
        "the objective falls as if within",
        "the objective stands",
        "done; the objective would fall by",
        "the objective still falls, by",
    ];
    assert!(ends.iter().any(|e| text.contains(e)) && text.contains("conjugate gradients, at most 500"), "{text}");
    let text = folder.good(&format!("ct sino.npy --angles angles.npy --method sirt --iterations 3 -o x.npy {HOST}"));
    assert!(text.contains("3 iterations (all iterations done; the objective still falls"), "{text}");
    // Far from its limit the estimate is all of the objective: not known, and no 100 %.
    let text =
        folder.good(&format!("ct sino.npy --angles angles.npy --method sirt --tol 0 --iterations 30 -o x.npy {HOST}"));
    assert!(text.contains("the objective still falls, by ") && !text.contains("another 100"), "{text}");
    assert!(text.contains("over the second half of them"), "{text}");
}

/// Without --iterations the noise ends it, and a wedge that is missing is told with what it does.
#[test]
fn noise_ends_it_and_a_wedge_is_told() {
    let folder = Folder::new();
    let clean = scan(&folder);
    let mut generator = linops::app::noise::Generator::new(5);
    let most = clean.iter().fold(0.0f32, |a, v| a.max(*v));
    let noisy = clean.mapv(|v| v + 0.03 * most * (generator.uniform() as f32 - 0.5) * 12f32.sqrt());
    folder.real("noisy.npy", &noisy);
    let facts = folder.json(&format!("ct noisy.npy --angles angles.npy --method cg -o x.npy {HOST}"));
    assert!(["noise", "left out"].iter().any(|stop| facts["stop"] == *stop), "{facts}");
    assert_eq!(facts["warnings"], serde_json::json!([]), "{facts}");
    assert!(facts["iterations"].as_u64().unwrap() < 30);
    let [rms, noise] = ["deviation", "noise"].map(|name| facts[name].as_f64().unwrap());
    assert!((rms / noise - 1.0).abs() < 0.1, "{facts}");
    // Noise that is given is what ends it.
    let given = format!("ct noisy.npy --angles angles.npy --method cg --noise {} -o y.npy {HOST}", 0.03 * most);
    let facts = folder.json(&given);
    assert!(facts["stop"] == "noise" && facts["iterations"].as_u64().unwrap() < 30, "{facts}");
    folder.misused("ct noisy.npy --angles angles.npy --noise 0.1 -o z.npy", "--noise is for --method sirt and cg");
    folder.real("wedge.npy", &clean.slice(s![..40, ..]).to_owned());
    let text = folder.good(&format!("ct wedge.npy --angles 0:120:40 -o w.npy {HOST}"));
    assert!(text.contains("are missing: fbp shows what is round at about 6"), "{text}");
}

#[test]
fn regularisers_are_stated() {
    let folder = Folder::new();
    scan(&folder);
    let args = "ct sino.npy --angles angles.npy --reg tv:0.001 --non-negative --tol 0.01 -o x.npy";
    let text = folder.good(&format!("{args} {HOST}"));
    for word in ["regularised, at most 1000", "reg        tv", "objective", "misfit"] {
        assert!(text.contains(word), "no \"{word}\" in {text}");
    }
    assert!(image(&folder, "x.npy").iter().all(|v| *v >= 0.0));
    let result = folder.json(&format!("ct sino.npy --angles angles.npy --reg tv --tol 0.01 -o y.npy {HOST}"));
    assert!(result["regularisers"][0]["default"] == true && result["method"] == "regularised", "{result}");
    folder.misused("ct sino.npy --angles angles.npy --reg tv --method cg -o z.npy", "cannot be used");
}

/// The window of a picture, with values below 0 where it is given, and its bits.
#[test]
fn pictures_have_their_windows() {
    let folder = Folder::new();
    scan(&folder);
    for (window, said) in [
        ("max", "magnitude from 0 (black) to "),
        ("-0.25:0.5", "real from -0.25 (black) to 0.5 (white), as given"),
        ("0:0.5", "real from 0 (black) to 0.5 (white), as given"),
    ] {
        let args =
            format!("ct sino.npy --angles angles.npy -o x.png --window {window} --bits 16 --force --device host");
        let text = folder.good(&args);
        assert!(text.contains(&format!("x.png: {said}")), "{text}");
    }
}

#[test]
fn wrong_arguments_are_told() {
    let folder = Folder::new();
    scan(&folder);
    for (args, part) in [
        ("-o x.npy", "--angles"),
        ("--angles 0:180:0 -o x.npy", "START:STOP:COUNT"),
        ("--angles angles.npy -o x.txt", ".npy"),
        ("--angles angles.npy -o x.npy --method art", "sirt"),
        ("--angles angles.npy -o x.npy --center middle", "auto"),
        ("--angles angles.npy -o x.npy --iterations 5", "does not iterate"),
        ("--angles angles.npy -o x.npy --method cg --filter hann", "--method fbp"),
        ("--angles angles.npy -o x.npy --cutoff 0", "above 0"),
        ("--angles angles.npy -o x.npy --window max", "--window is for .png"),
        ("--angles angles.npy -o x.png --window hann", "lo:hi"),
        ("--angles angles.npy -o x.npy --pixel-size -1", "length above 0"),
        ("--angles angles.npy -o x.npy --order angle", "angle,detector"),
        ("--angles angles.npy -o x.npy --row-center 3", "--geometry cone"),
    ] {
        folder.misused(&format!("ct sino.npy {args}"), part);
    }
    folder.complex("complex.npy", &folder.read("sino.npy").mapv(|v| v * Complex32::new(1.0, 0.1)));
    folder.text("words.txt", "0 1 two");
    folder.text("empty.txt", "# none\n");
    folder.real("square.npy", &Array2::<f32>::zeros((4, 4)));
    for (args, part) in [
        ("missing.npy --angles angles.npy", "missing.npy"),
        ("complex.npy --angles angles.npy", "expected real ones"),
        ("sino.npy --angles words.txt", "\"two\" is no number"),
        ("sino.npy --angles empty.txt", "holds no angles"),
        ("sino.npy --angles square.npy", "expected one axis"),
        ("sino.npy --angles angles.npy --center 1000", "is far off the detector"),
        ("angles.npy --angles angles.npy", "1 axes"),
    ] {
        folder.refused(&format!("ct {args} -o x.npy --device host"), part);
    }
    folder.refused("ct sino.npy --angles angles.npy -o sino.npy --force", "is an input as well");
}

/// A cylinder under a cone, by every method, in as many slices as are asked for.
#[test]
fn a_cone_sees_a_cylinder() {
    let folder = Folder::new();
    let radians: Vec<f64> = (0..36).map(|k| std::f64::consts::TAU * f64::from(k) / 36.0).collect();
    let g = Geometry::cone(&radians, 15, 41, 150.0, 50.0);
    let inside = |y: usize, x: usize, most: f64| (y as f64 - 15.0).powi(2) + (x as f64 - 9.0).powi(2) < most.powi(2);
    let low = ndarray::Array3::from_shape_fn((15, 23, 23), |(z, y, x)| {
        f32::from(u8::from((3..12).contains(&z) && inside(y, x, 6.0)))
    });
    let a = linop::projection("Z=15 Y=23 X=23", "Z Y X", &g, "A V U").unwrap();
    let views = a.apply(&Tensor::from_array(low, "Z Y X").unwrap()).unwrap().to_real_array().unwrap();
    folder.real("cone.npy", &views);
    let args = format!(
        "ct cone.npy --angles 0:360:36 --geometry cone --sod 150 --sdd 200 --image-pixel 1 --size 23 -o x.npy {HOST}"
    );
    for more in ["", "--row-center 7", "--method cg", "--reg tv:0.002 --tol 1e-3"] {
        folder.good(&format!("{args} {more}"));
        let x = folder.read("x.npy").mapv(|v| f64::from(v.re));
        assert_eq!(x.shape(), [15, 23, 23], "{more}");
        let mean = |of: &dyn Fn(usize, usize, usize) -> bool| {
            let all: Vec<f64> = x.indexed_iter().filter(|(at, _)| of(at[0], at[1], at[2])).map(|(_, v)| *v).collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        let full = mean(&|z, y, x| (5..10).contains(&z) && inside(y, x, 3.5));
        let beside =
            mean(&|z, y, x| (5..10).contains(&z) && !inside(y, x, 9.0) && (3..20).contains(&y) && (3..20).contains(&x));
        let above = mean(&|z, y, x| !(2..13).contains(&z) && inside(y, x, 3.5));
        assert!((full - 1.0).abs() < 0.05 && beside.abs() < 0.05 && above < 0.3, "{more}: {full} {beside} {above}");
    }
    // Fewer slices are those in the middle.
    folder.good(&format!("{args} --slices 5"));
    let few = image(&folder, "x.npy");
    folder.good(&args);
    let all = image(&folder, "x.npy");
    assert_eq!(few.shape(), [5, 23, 23]);
    assert!(distance(&few, &all.slice(s![5..10, .., ..]).to_owned().into_dyn()) < 1e-5);
}

#[test]
fn demo_reconstructs_the_head() {
    let folder = Folder::new();
    let result = folder.json("demo --ct --device host");
    let nrmse = |name: &str| result["nrmse"][name].as_f64().unwrap();
    assert!(nrmse("tv") < 0.1 && nrmse("tv") < 0.3 * nrmse("fbp"), "{result}");
    assert!(folder.path("demo.png").exists());
    folder.misused("demo --ct --radial", "cannot be used");
}
