//! Fused chains give what their linops give one after the other: weights before and after every kind of index change, into
//! every kind of kernel.

mod common;

use common::devices;
use linops::linop::{self, Align, FftOptions, Stretch};
use linops::{Device, Linop, Tensor};
use ndarray::{Array1, Array2};
use num_complex::Complex32;

const A: usize = 3;
const N: usize = 10;

fn weight(dims: &str, extents: (usize, usize)) -> Tensor {
    let value = |(a, n): (usize, usize)| Complex32::new(1.0 + a as f32 - 0.3 * n as f32, 0.5 * n as f32 - a as f32);
    Tensor::from_array(Array2::from_shape_fn(extents, value), dims).unwrap()
}

/// Everything that changes indices between two kernels.
fn index_changes() -> Vec<Linop> {
    let shape = format!("A={A} N={N}");
    let stretch = Stretch { start: Some(1), stop: None, step: Some(3) };
    vec![
        linop::pad(&shape, "N=15", Align::Center).unwrap(),
        linop::pad(&shape, "A=4 N=17", Align::Start).unwrap(),
        linop::crop(&shape, "N=7", Align::Center).unwrap(),
        linop::slice(&shape, &[("N", stretch)]).unwrap(),
        linop::upsample(&shape, &[("N", 3, 2)], "N=31").unwrap(),
        linop::flip(&shape, "A N").unwrap(),
        linop::roll(&shape, &[("N", 4), ("A", -1)]).unwrap(),
        linop::rearrange(&shape, "A N -> N A", "").unwrap(),
        linop::rearrange(&shape, "A (M K) -> (K A) M", "M=5").unwrap(),
        linop::repeat(&shape, "C=2").unwrap(),
    ]
}

/// Every kind of kernel that reads through such a change.
fn kernels(shape: &linops::Shape) -> Vec<Linop> {
    let last = shape.dims().last().unwrap().to_string();
    let centred = FftOptions::default().centered(true);
    let n = shape.extents().last().copied().unwrap();
    let index = ndarray::ArrayD::from_shape_fn(vec![6], |i| ((5 * i[0]) % n) as i64);
    let mut kept: Vec<String> = shape.dims().iter().map(|d| d.to_string()).collect();
    kept.pop();
    let out = format!("{} Samples", kept.join(" "));
    vec![
        linop::identity(shape).unwrap(),
        linop::fft(shape, &last, centred).unwrap(),
        linop::sum(shape, &last).unwrap(),
        linop::sampling_at(shape, &[(last.as_str(), index)], &out).unwrap(),
        linop::add(vec![linop::identity(shape).unwrap(), linop::flip(shape, &last).unwrap()]).unwrap(),
    ]
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    let (a, b) = (a.to_array().unwrap(), b.to_array().unwrap());
    assert_eq!(a.shape(), b.shape());
    let norm = b.iter().map(|z| z.norm_sqr()).sum::<f32>().sqrt();
    a.iter().zip(&b).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>().sqrt() / norm.max(f32::MIN_POSITIVE)
}

#[test]
fn a_fused_chain_is_its_linops_one_by_one() {
    let x = Array2::from_shape_fn((A, N), |(a, n)| Complex32::new(n as f32 - 2.0 * a as f32, 0.7 * n as f32));
    let x = Tensor::from_array(x, "A N").unwrap();
    let first = linop::diagonal(format!("A={A} N={N}"), &weight("A N", (A, N))).unwrap();
    for device in devices() {
        for change in index_changes() {
            let shape = change.output().unwrap().clone();
            let last = shape.dims().last().unwrap().to_string();
            let n = *shape.extents().last().unwrap();
            let along = Array1::from_shape_fn(n, |k| Complex32::new(0.2 * k as f32, 1.0));
            let second = linop::diagonal(&shape, &Tensor::from_array(along, &last).unwrap()).unwrap();
            for kernel in kernels(&shape) {
                let parts = [first.clone(), change.clone(), second.clone(), kernel];
                let chain = linop::chain(parts.to_vec()).unwrap();
                for (what, whole, parts) in [
                    ("forward", chain.clone(), parts.to_vec()),
                    ("adjoint", chain.h(), parts.iter().rev().map(Linop::h).collect()),
                ] {
                    let x = match what {
                        "forward" => x.clone(),
                        // Any fixed input of the right shape: what the forward gives.
                        _ => chain.apply(&x).unwrap(),
                    };
                    let one_by_one = parts.iter().fold(x.clone(), |x, l| l.apply(&x).unwrap());
                    let fused = whole.apply(&x.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap();
                    let d = distance(&fused, &one_by_one);
                    assert!(d < 2e-6, "{what} on {}: {d:e}\n{whole}", device.name());
                }
            }
        }
    }
}
