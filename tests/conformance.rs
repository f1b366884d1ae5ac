//! The conformance vectors: linop files with inputs and expected outputs, on every device of this machine.
#![cfg(feature = "io")]

mod common;

use common::devices;
use linops::io::{Array, read_npy};
use linops::{Device, HostArray, Linop, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.join("linop.json").is_file());
    all.sort();
    all
}

fn tensor(path: PathBuf, shape: &linops::Shape) -> Tensor {
    let array = match read_npy(path).unwrap().into_numeric() {
        Array::F32(a) => HostArray::F32(a.into_shared()),
        Array::C32(a) => HostArray::Complex32(a.into_shared()),
        other => panic!("{}", other.dtype_name()),
    };
    Tensor::from_host(shape.clone(), array).unwrap()
}

fn distance(got: &ArrayD<Complex32>, want: &ArrayD<Complex32>) -> f64 {
    assert_eq!(got.shape(), want.shape());
    let sum = |f: &dyn Fn(Complex32, Complex32) -> Complex32| -> f64 {
        got.iter().zip(want).map(|(&g, &w)| f64::from(f(g, w).norm_sqr())).sum::<f64>().sqrt()
    };
    let norm = sum(&|_, w| w);
    sum(&|g, w| g - w) / if norm > 0.0 { norm } else { 1.0 }
}

fn run(device: &Device) {
    let mut failures = Vec::new();
    let cases = cases();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let info: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(case.join("case.json")).unwrap()).unwrap();
        let a = match Linop::from_file(case.join("linop.json")) {
            Ok(a) => a,
            Err(e) => {
                failures.push(format!("{name}: {e}"));
                continue;
            }
        };
        for (check, source, op) in [("y", "x", a.clone()), ("v", "u", a.h()), ("n", "x", a.n())] {
            let tol = info["rtol_each"][check].as_f64().or(info["rtol"].as_f64()).unwrap();
            let x = tensor(case.join(format!("{source}.npy")), op.input().unwrap());
            let result = x.to(device).and_then(|x| op.apply(&x)).and_then(|y| y.to(&Device::host()));
            match result {
                Ok(y) => {
                    let want = read_npy(case.join(format!("{check}.npy"))).unwrap().into_complex();
                    let error = distance(&y.to_array().unwrap(), &want);
                    if error > tol || error.is_nan() {
                        failures.push(format!("{name} {check}: {error:.3e} > {tol:.1e}"));
                    }
                }
                Err(e) => failures.push(format!("{name} {check}: {e}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn on_every_device() {
    for device in devices() {
        run(&device);
    }
}
