//! `apply`, `check`, `explain` and `bench` on a small linop file.

use crate::harness::{Folder, distance};
use linops::io::{Array, read_npy};
use ndarray::{Array1, Array2, ArrayD, Axis};
use num_complex::Complex32;

const SENSE: &str = r#"{ "op": "chain", "in": "Ny=6 Nx=5", "linops": [
  { "op": "diagonal", "weight": "maps.npy", "dims": "C Ny Nx" },
  { "op": "fft", "axes": ["Ny", "Nx"], "centered": true, "out": "C Ky Kx" },
  { "op": "diagonal", "weight": "mask.npy", "dims": "Ky Kx" } ] }"#;

const SUM: &str = r#"{ "op": "add", "in": "N=4", "linops": [ { "op": "identity" }, { "op": "scalar", "value": 2 } ] }"#;

fn folder() -> Folder {
    let folder = Folder::new();
    let value = |i: usize| Complex32::new(1.0 + i as f32 * 0.1, (i % 7) as f32 - 3.0);
    let maps = ArrayD::from_shape_fn(vec![3, 6, 5], |i| value(i[0] * 30 + i[1] * 5 + i[2]));
    folder.complex("maps.npy", &maps);
    folder.real("mask.npy", &Array2::from_shape_fn((6, 5), |(y, x)| f32::from((y + x) % 3 != 0)));
    folder.complex("x.npy", &Array2::from_shape_fn((6, 5), |(y, x)| value(3 * y + x)));
    folder.text("sense.json", SENSE);
    folder.text("sum.json", SUM);
    folder
}

#[test]
fn dots_in_front_take_what_the_array_has() {
    let folder = folder();
    folder.text("any.json", SENSE.replace("Ny=6 Nx=5", "... Ny=6 Nx=5"));
    let value = |i: &[usize]| Complex32::new(i[2] as f32 - i[0] as f32, (3 * i[1] + i[3]) as f32 * 0.1);
    let frames = ArrayD::from_shape_fn(vec![2, 3, 6, 5], |i| value(&[i[0], i[1], i[2], i[3]]));
    folder.complex("frames.npy", &frames);
    let text = folder.good("apply any.json --input frames.npy --output y.npy --device host");
    assert!(text.contains("B=2 B1=3 Ny=6 Nx=5 -> B=2 B1=3 C=3 Ky=6 Kx=5"), "{text}");
    folder.complex("frame.npy", &frames.index_axis(Axis(0), 1).index_axis(Axis(0), 2).to_owned());
    folder.good("apply any.json --input frame.npy --output one.npy --device host");
    assert_eq!(folder.read("y.npy").index_axis(Axis(0), 1).index_axis(Axis(0), 2), folder.read("one.npy"));
    folder.good("apply any.json --input y.npy --output v.npy --adjoint --device host");
    folder.good("apply any.json --input frames.npy --output n.npy --normal --device host");
    assert!(distance(&folder.read("n.npy"), &folder.read("v.npy")) < 2e-6);
    folder.good("check any.json --device host");
    folder.refused("apply sense.json --input frames.npy --output z.npy --device host", "axes");
}

#[test]
fn apply_runs_forward_adjoint_and_normal() {
    let folder = folder();
    let text = folder.good("apply sense.json --input x.npy --output y.npy --device host");
    assert!(text.contains("C=3 Ky=6 Kx=5"), "{text}");
    folder.good("apply sense.json --input y.npy --output v.npy --adjoint --device host");
    let result = folder.json("apply sense.json --input x.npy --output n.npy --normal --device host --lanes 4");
    assert_eq!((&result["direction"], &result["dtype"]), (&"normal".into(), &"complex64".into()));
    assert!(distance(&folder.read("n.npy"), &folder.read("v.npy")) < 2e-6);
    folder.refused("apply sense.json --input x.npy --output n.npy --device host", "--force");
    folder.good("apply sense.json --input x.npy --output n.npy --device host --force");
    assert_eq!(folder.read("n.npy"), folder.read("y.npy"));
}

#[test]
fn real_and_narrow_inputs_stay_real() {
    let folder = folder();
    let inputs = [
        ("f4", Array::F32(Array1::from(vec![1.0, 2.0, 3.0, 4.0]).into_dyn())),
        ("f8", Array::F64(Array1::from(vec![1.0, 2.0, 3.0, 4.0]).into_dyn())),
        ("i8", Array::I64(Array1::from(vec![1, 2, 3, 4]).into_dyn())),
        ("u1", Array::U8(Array1::from(vec![1, 2, 3, 4]).into_dyn())),
    ];
    for (name, array) in inputs {
        folder.array("in.npy", &array);
        folder.good("apply sum.json --input in.npy --output out.npy --device host --force");
        let want = Array::F32(Array1::from(vec![3.0, 6.0, 9.0, 12.0]).into_dyn());
        assert_eq!(read_npy(folder.path("out.npy")).unwrap(), want, "{name}");
    }
}

#[test]
fn check_passes_on_every_device() {
    let folder = folder();
    let text = folder.good("check sense.json --device host");
    assert!(text.contains("dot test on host passed") && text.contains("normal test on host passed"), "{text}");
    let result = folder.json("check sum.json");
    assert_eq!((&result["passed"], &result["tests"][0]["device"]), (&true.into(), &"host".into()));
    if let Some(gpu) = crate::common::gpu() {
        let tested = result["tests"].as_array().unwrap().iter().any(|t| t["device"] == gpu.name());
        assert!(tested, "{result}");
    }
}

#[test]
fn explain_shows_tree_plans_and_containers() {
    let folder = folder();
    let text = folder.good("explain sense.json --device host");
    for part in ["├ fft", "forward:", "adjoint:", "normal:", "memory at most", "constants", "tasks", "flop"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let result = folder.json("explain sum.json --device host");
    assert!(!result["plans"]["forward"]["steps"].as_array().unwrap().is_empty());
    let container = &result["containers"][0];
    assert!(container["schedule"].is_string() && container["reason"].is_string(), "{result}");
    let result = folder.json("explain sense.json --device host");
    let plan = &result["plans"]["forward"];
    let memory = &plan["memory"];
    // Maps of 3 x 6 x 5 complex values, and a mask of 6 x 5 real ones.
    let (image, coils) = (8 * 30, 8 * 3 * 30);
    assert_eq!(
        (&memory["input"], &memory["output"], &memory["constants"]),
        (&image.into(), &coils.into(), &(coils + image / 2).into())
    );
    assert!(
        memory["tasks"]["threads"].as_u64() > Some(0) && plan["peak_bytes"].as_u64() > memory["constants"].as_u64()
    );
    folder.refused("explain sense.json --wgsl --device host", "--device gpu");
    if crate::common::gpu().is_some() {
        assert!(folder.good("explain sense.json --wgsl --device gpu").contains("@compute"));
    }
}

/// No device is needed for the plans and kernels of another one.
#[test]
#[cfg(feature = "gpu")]
fn explain_plans_and_writes_kernels_for_gpus_that_are_not_here() {
    let folder = folder();
    let none = |args: &str| {
        let out = folder.command(args).env("VK_DRIVER_FILES", "/nowhere.json").output().unwrap();
        assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let mut seen = std::collections::BTreeSet::new();
    for kind in ["software", "poorest", "rich"] {
        let text = none(&format!("explain sense.json --for {kind}"));
        assert!(text.contains("fft") && !text.contains("device host"), "{text}");
        let told: serde_json::Value =
            serde_json::from_str(&none(&format!("explain sense.json --for {kind} --json"))).unwrap();
        let steps = told["plans"]["normal"]["steps"].as_array().unwrap();
        assert!(!steps.is_empty());
        // What each moves, of which there are no less than its results.
        for step in steps {
            let [read, written] = ["read", "written"].map(|k| step["cost"][k].as_u64().unwrap());
            assert!(read > 0 && written >= 8 && written.is_multiple_of(8), "{step}");
        }
        seen.insert(told["device"].as_str().unwrap().to_string());
    }
    assert_eq!(seen.len(), 3);
    assert!(none("explain sense.json --for poorest --wgsl").contains("@compute"));
    let told = none("explain sense.json --for poorest --kernels k/all --language wgsl,spirv,hlsl,msl --json");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let named: Vec<&str> = told["kernels"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
    let mut files: Vec<String> = std::fs::read_dir(folder.path("k/all"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(named, files);
    for suffix in ["wgsl", "spv", "hlsl", "metal"] {
        let of = files.iter().filter(|f| f.ends_with(&format!(".{suffix}"))).count();
        assert_eq!(4 * of, files.len(), "{files:?}");
    }
    let first = |suffix: &str| {
        let file = files.iter().find(|f| f.ends_with(suffix)).unwrap();
        std::fs::read(folder.path("k/all").join(file)).unwrap()
    };
    assert_eq!(first(".spv")[..4], 0x0723_0203u32.to_le_bytes());
    let text = |suffix: &str| String::from_utf8(first(suffix)).unwrap();
    assert!(
        text(".wgsl").contains("@compute")
            && text(".hlsl").contains("numthreads")
            && text(".metal").contains("kernel void")
    );
    // The same once more: a kernel's file is named by what is in it.
    none("explain sense.json --for poorest --kernels k/all");
    folder.text("file", "");
    folder.refused("explain sense.json --for poorest --kernels file", "folder");
    folder.refused("explain sense.json --device host --kernels k", "--for");
}

#[test]
fn explain_tells_how_the_normal_of_a_transform_is_computed() {
    let folder = folder();
    let of = |points: usize, toeplitz: &str| {
        let k = |i: usize, a: usize| ((i * (7 + 4 * a)) % 97) as f64 / 97.0 * 256.0 - 128.0;
        let locs = ArrayD::from_shape_fn(vec![points, 2], |i| k(i[0], i[1]));
        folder.array("locs.npy", &Array::F64(locs));
        let rest = format!(r#""locs": "locs.npy", "axes": ["Ny", "Nx"], "out": "K"{toeplitz}"#);
        folder.text("nufft.json", format!(r#"{{ "op": "nufft", "in": "Ny=256 Nx=256", {rest} }}"#));
        let told = folder.json("explain nufft.json --device host");
        let normal = told["nufft_normals"][0].clone();
        let kernels = told["plans"]["normal"]["steps"].as_array().unwrap().clone();
        let pair = kernels.iter().any(|s| s["kernel"] == "interpolate");
        assert_eq!(normal["toeplitz"], !pair, "{told}");
        assert!(folder.good("explain nufft.json --device host").contains(normal["reason"].as_str().unwrap()));
        (!pair, normal["reason"].as_str().unwrap().to_string())
    };
    assert!(matches!(of(300, ""), (false, reason) if reason.contains("times the operations")));
    assert!(matches!(of(40_000, ""), (true, reason) if reason.contains("times the operations")));
    assert_eq!(of(5, r#", "toeplitz": true"#), (true, "as asked for".into()));
    assert_eq!(of(40_000, r#", "toeplitz": false"#), (false, "as asked for".into()));
    assert_eq!(folder.json("explain sense.json --device host")["nufft_normals"], serde_json::json!([]));
}

#[test]
fn bench_measures_beside_a_copy() {
    let folder = folder();
    assert!(folder.good("bench sense.json --device host --runs 3").contains("GB/s"));
    let result = folder.json("bench sense.json --device host --runs 3");
    let rows = result["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter().all(|r| r["seconds"].as_f64().unwrap() > 0.0 && r["ratio"].as_f64().unwrap() > 0.0),
        "{result}"
    );
}

#[test]
fn the_largest_index_of_a_dim_is_no_end() {
    let folder = Folder::new();
    // Transforms name their axes anew; behind the largest index there is none.
    for dim in ["N4294967295", "N4294967294"] {
        let fft = format!(r#"{{ "op": "fft", "axes": ["{dim}"] }}"#);
        let chain = format!(r#"{{ "op": "chain", "in": "{dim}=4", "linops": [{fft}, {{ "op": "identity" }}] }}"#);
        folder.text("a.json", chain);
        let text = folder.good("explain a.json --device host");
        assert!(text.contains(&format!("{dim}=4 -> ")), "{text}");
    }
    let long = "N".repeat(32);
    folder.text("a.json", format!(r#"{{ "op": "identity", "in": "{long}=4" }}"#));
    folder.refused("explain a.json --device host", "32 bytes, the limit is 31");
}

#[test]
fn arrays_are_known_by_any_spelling_of_their_suffix() {
    let folder = folder();
    std::fs::rename(folder.path("maps.npy"), folder.path("maps.NPY")).unwrap();
    folder.text("s.json", SENSE.replace("maps.npy", "maps.NPY"));
    folder.good("check s.json --device host");
    folder.text("s.json", SENSE.replace("maps.npy", "maps.txt"));
    folder.refused(
        "check s.json --device host",
        "suffix .txt; an input here ends in .npy, .npz, .cfl, .hdr, .png, .tif or .tiff",
    );
}

#[test]
fn save_puts_a_linop_into_one_place() {
    let folder = folder();
    let told = folder.json("save sense.json -o copy");
    assert_eq!(told["files"].as_array().unwrap().len(), 3, "{told}");
    folder.good("save sense.json -o one.json --embed");
    for file in ["sense.json", "copy/linop.json", "one.json"] {
        folder.good(&format!("apply {file} --input x.npy --output y.npy --device host --force"));
        folder.array(
            "want.npy",
            &read_npy(folder.path(if file == "sense.json" { "y.npy" } else { "want.npy" })).unwrap(),
        );
        assert_eq!(folder.read("y.npy"), folder.read("want.npy"), "{file}");
    }
    folder.text(
        "any.json",
        r#"{ "op": "adjoint", "in": "... K=4", "linop": { "op": "fft", "in": "N=4", "axes": ["N"], "out": "K" } }"#,
    );
    folder.good("save any.json -o any-again.json");
    let again = std::fs::read_to_string(folder.path("any-again.json")).unwrap();
    assert!(
        again.contains(r#""in": "... K=4""#)
            && linops::io::LinopFile::read(folder.path("any-again.json")).unwrap().any_in_front
    );
    assert!(folder.good("save sum.json -o sum-again.json").contains("wrote"));
    folder.refused("save sum.json -o one.json", "--force");
    folder.refused("save sum.json -o sum.json --force", "is an input as well");
    folder.refused("save missing.json -o x", "missing.json");
    folder.misused("save sum.json", "--output");
}

#[cfg(feature = "gpu")]
const DOUBLE: &str = "@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&y)) { y[id.x] = 2.0 * x[id.x]; }
}
";

/// Kernels of a user's own are planned, written down and checked like the others, on the devices that run them.
#[test]
#[cfg(feature = "gpu")]
fn kernels_of_ones_own_are_checked_and_explained() {
    let folder = folder();
    folder.text("double.wgsl", DOUBLE);
    folder.text("third.wgsl", DOUBLE.replace("2.0", "3.0"));
    folder.text("broken.wgsl", DOUBLE.replace("x[id.x]", "z[id.x]"));
    let custom = |wgsl: &str, adjoint: &str| {
        format!(r#"{{ "op": "custom", "in": "N=4", "wgsl": "{wgsl}", "adjoint_wgsl": "{adjoint}" }}"#)
    };
    folder.text("good.json", custom("double.wgsl", "double.wgsl"));
    folder.text("wrong.json", custom("double.wgsl", "third.wgsl"));
    folder.text("broken.json", custom("double.wgsl", "broken.wgsl"));
    folder.text("missing.json", custom("double.wgsl", "nowhere.wgsl"));
    let text = folder.good("explain good.json --for poorest --kernels k --language wgsl,spirv,hlsl,msl");
    assert!(text.contains("custom") && text.contains("12 kernel files in k"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path("k")).unwrap().count(), 12);
    folder.refused("check good.json --device host", "runs on a GPU only");
    folder.refused("check missing.json", "adjoint_wgsl");
    // The compiler's message has lines of its own.
    let out = folder.run("explain broken.json --for poorest");
    assert_eq!((out.code, out.stdout.as_str()), (1, ""));
    for part in ["broken.json", "kernel adjoint", "`z`", "y[id.x] = 2.0 * z[id.x]", "^"] {
        assert!(out.stderr.contains(part), "{part} in {}", out.stderr);
    }
    if crate::common::gpu().is_some() {
        let text = folder.good("check good.json");
        assert!(text.contains("host is left out") && text.contains("dot test on"), "{text}");
        let out = folder.run("check wrong.json");
        assert!(out.code == 1 && out.stdout.contains("failed"), "{}", out.stdout);
    }
}

#[test]
fn projections_take_angles_in_both_units() {
    let folder = Folder::new();
    folder.real("x.npy", &Array2::from_shape_fn((6, 5), |(y, x)| (y * y + 3 * x) as f32));
    folder.array("degrees.npy", &Array::F64(Array1::from(vec![0.0, 30.0, 200.0]).into_dyn()));
    folder.array("radians.npy", &Array::F64(Array1::from(vec![0.0f64, 30.0, 200.0]).mapv(f64::to_radians).into_dyn()));
    let file = |name: &str, fields: &str| {
        let fields = format!(
            r#"{{ "op": "projection", "in": "Ny=6 Nx=5", "axes": ["Ny", "Nx"], "detectors": 9, "out": "A D", {fields} }}"#
        );
        folder.text(name, &fields);
    };
    let parallel = r#""geometry": "parallel", "center": 4.25, "pixel_size": 0.5"#;
    file("degrees.json", &format!(r#"{parallel}, "angles": "degrees.npy", "angle_unit": "degree""#));
    file("radians.json", &format!(r#"{parallel}, "angles": "radians.npy""#));
    file("list.json", &format!(r#"{parallel}, "angles": [0, 30, 200], "angle_unit": "degree""#));
    for name in ["degrees", "radians", "list"] {
        folder.good(&format!("apply {name}.json --input x.npy --output {name}-y.npy --device host"));
        assert!(distance(&folder.read(&format!("{name}-y.npy")), &folder.read("degrees-y.npy")) < 1e-6);
    }
    file("fan.json", r#""geometry": "fan", "angles": [0, 1], "source_distance": 20, "detector_distance": 10"#);
    folder.good("check fan.json --device host");
    let refused = |fields: &str, why: &str| {
        file("wrong.json", fields);
        folder.refused("check wrong.json --device host", why);
    };
    refused(&format!(r#"{parallel}, "angles": "degrees.npy""#), "give \"degree\" or \"radian\"");
    refused(r#""geometry": "fan", "angles": [0]"#, "source_distance: is missing");
    refused(r#""geometry": "helix", "angles": [0]"#, "expected parallel, fan or cone");
    refused(&format!(r#"{parallel}, "angles": [0], "rows": 3"#), "is not a field of projection");
}

/// What no device takes whole is what tiles are for; a budget that nothing keeps is an error.
#[test]
fn explain_says_how_a_budget_is_kept() {
    let folder = folder();
    folder.text("big.json", r#"{ "op": "fft", "in": "C=20000 Y=1024 X=1024", "axes": ["Y", "X"], "out": "C Ky Kx" }"#);
    let text = folder.good("explain big.json --device host --memory-budget 1G");
    assert_eq!(text.matches("within 1.0 GiB: C by ").count(), 3, "{text}");
    let told = folder.json("explain sense.json --device host --memory-budget 1M");
    assert_eq!(told["plans"]["normal"]["within"]["tiles"], "whole", "{told}");
    assert!(told["plans"]["normal"]["within"]["peak_bytes"].as_u64().unwrap() <= 1 << 20);
    let out = folder.run("explain sense.json --device host --memory-budget 100");
    assert!(out.code == 1 && out.stderr.contains("forward: chain, in the smallest tiles"), "{}", out.stderr);
    assert_eq!(out.stdout.matches("within 100 B: ").count(), 3, "{}", out.stdout);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn explain_says_how_a_budget_is_kept_where_a_gpu_does_not_take_the_whole() {
    let folder = folder();
    folder
        .text("big.json", r#"{ "op": "fft", "in": "C=1000000 Y=1024 X=1024", "axes": ["Y", "X"], "out": "C Ky Kx" }"#);
    assert_eq!(folder.run("explain big.json --device gpu").code, 1);
    let text = folder.good("explain big.json --device gpu --memory-budget 1G");
    assert_eq!(text.matches("within 1.0 GiB: C by ").count(), 3, "{text}");
    assert!(text.contains("  whole: "), "{text}");
}

#[test]
fn fields_that_would_say_nothing_are_refused() {
    let folder = Folder::new();
    let file = |text: &str| folder.text("a.json", text);
    let points = |more: &str| {
        format!(r#"{{ "op": "interpolate", "in": "N=9", "locs": [[2.5]], "axes": ["N"], "out": "S", {more} }}"#)
    };
    for (more, part) in [
        (r#""kernel": "cubic", "width": 3"#, "width: is not a field of interpolate with these others"),
        (r#""kernel": "cubic", "beta": 3"#, "beta: is not a field"),
        (r#""kernel": "spline", "width": 2, "beta": 3"#, "beta: is not a field"),
        (r#""width": 2, "order": 1"#, "order: is not a field"),
    ] {
        file(&points(more));
        folder.refused("check a.json --device host", part);
    }
    file(&points(r#""kernel": "cubic""#));
    folder.good("check a.json --device host");
    folder.good("save a.json -o again.json");
    folder.good("check again.json --device host");
    for (text, part) in [
        (r#"{ "op": "crop", "in": "N=9", "to": { "N": 0 } }"#, "to.N: is 0; expected a whole number from 1 on"),
        (
            r#"{ "op": "downsample", "in": "N=9", "factors": { "N": 0 } }"#,
            "factors.N: is 0; expected a whole number from 1 on",
        ),
        (r#"{ "op": "convolve", "in": "N=9", "kernel": [1], "axes": ["N"], "stride": 0 }"#, "from 1 on"),
        (
            r#"{ "op": "chain", "linops": [ { "op": "identity", "in": "... N=9" } ] }"#,
            "linops[0].in: \"... N=9\" begins with ..., which only the \"in\" of the whole file may",
        ),
    ] {
        file(text);
        folder.refused("check a.json --device host", part);
    }
    folder.refused("describe radon", "perhaps \"projection\"");
}

#[test]
fn dots_in_out_are_the_dims_that_stay() {
    let folder = Folder::new();
    for (text, output) in [
        (
            r#"{ "op": "dense", "in": "B=2 N=3", "weight": [[1, 2, 3], [0, 1, 0]], "dims": "M N", "out": "... M" }"#,
            "B=2 M=2",
        ),
        (
            r#"{ "op": "diagonal", "in": "A=2 N=3", "weight": [[1, 2, 3], [0, 1, 0]], "dims": "C N", "out": "C ..." }"#,
            "C=2 A=2 N=3",
        ),
        (r#"{ "op": "diagonal", "in": "A=2 N=3", "weight": [1, 2, 3], "dims": "N", "out": "... K" }"#, "A=2 K=3"),
        (r#"{ "op": "fft", "in": "A=2 B=2 N=3", "axes": ["N"], "out": "... K" }"#, "A=2 B=2 K=3"),
    ] {
        folder.text("a.json", text);
        assert_eq!(folder.json("explain a.json --device host")["output"], output);
    }
}

#[test]
fn a_linop_is_not_saved_under_the_name_of_an_array() {
    let folder = folder();
    folder.refused("save sense.json -o copy.npy", "ends in .json, or into a folder");
    assert!(!folder.path("copy.npy").exists());
    folder.good("save sense.json -o copy.v2");
}
