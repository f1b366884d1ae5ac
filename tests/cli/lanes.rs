//! What is said of containers and lanes, and what bounds them.

use crate::harness::Folder;
use serde_json::json;

/// A sum of a flip and a transform: unlike sub-linops.
fn sum(folder: &Folder) {
    let x =
        ndarray::Array2::from_shape_fn((6, 4), |(y, x)| num_complex::Complex32::new(y as f32 - 2.0, x as f32 + 0.5));
    folder.complex("x.npy", &x);
    let linops = json!([
        { "op": "flip", "axes": ["X"] },
        { "op": "fft", "axes": ["Y"], "out": "Y X" },
    ]);
    let file = json!({ "op": "add", "in": "Y=6 X=4", "linops": linops, "num_workers": 2 });
    folder.text("sum.json", file.to_string());
}

#[test]
fn explain_tells_the_schedule_of_every_container() {
    let folder = Folder::new();
    sum(&folder);
    let told = folder.json("explain sum.json --device host");
    let c = &told["containers"][0];
    assert_eq!((&c["schedule"], &c["in_flight"], &c["linops"]), (&json!("tasks"), &json!(2), &json!(2)), "{c}");
    assert!(c["reason"].is_string() && c["waves"].as_u64() > Some(0), "{c}");
    let told = folder.json("explain sum.json --device host --lanes 1");
    let c = &told["plans"]["adjoint"]["containers"][0];
    assert_eq!((&c["schedule"], &c["in_flight"]), (&json!("sequential"), &json!(1)), "{c}");
}

#[test]
fn lanes_change_no_bit() {
    let folder = Folder::new();
    sum(&folder);
    folder.good("apply sum.json --input x.npy --output a.npy --device host");
    folder.good("apply sum.json --input x.npy --output b.npy --device host --lanes 1");
    assert_eq!(folder.contents()[&folder.path("a.npy")], folder.contents()[&folder.path("b.npy")]);
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn apply_tells_what_was_submitted_and_who_recorded_it() {
    let folder = Folder::new();
    sum(&folder);
    let told = folder.json("apply sum.json --input x.npy --output y.npy --device gpu");
    assert_eq!((&told["rung"]["rung"], &told["submits"]), (&json!("one_queue"), &json!(1)), "{told}");
    assert!(told["rung"]["reason"].is_string() && told["passes"].as_u64() > Some(0), "{told}");
    assert_eq!(told["finished_by"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["containers"][0]["schedule"], "waves", "{told}");
    let host = folder.json("apply sum.json --input x.npy --output h.npy --device host");
    assert!(host["rung"].is_null() && host["submits"] == 0, "{host}");
    assert!(crate::harness::distance(&folder.read("y.npy"), &folder.read("h.npy")) < 1e-6);
}

#[test]
fn a_wrong_number_in_the_environment_is_an_error() {
    let folder = Folder::new();
    sum(&folder);
    let out = folder
        .command("apply sum.json --input x.npy --output y.npy --device host")
        .env("LINOPS_LANES", "many")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("LINOPS_LANES is \"many\"") && !folder.path("y.npy").exists(), "{message}");
}
