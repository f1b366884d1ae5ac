//! An operator of your own, of two functions of the host: the forward and its adjoint, over ndarray's views.
//!
//! Here a decay along time that each sample hands on, y[t] = x[t] + r·y[t − 1], which no program of maps states well. On a GPU
//! the transform before it runs there, the functions here, and the values go back.
//!
//! `cargo run --example own_functions [-- DEVICE]`

use linops::{DType, Device, Result, check, linop};
use ndarray::{ArrayView2, ArrayViewMut2};
use num_complex::Complex32;

const RATE: f32 = 0.9;

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let decay = linop::from_fn(
        "T=64 K=48",
        "T=64 K=48",
        |x: ArrayView2<Complex32>, mut y: ArrayViewMut2<Complex32>| {
            for k in 0..x.ncols() {
                let mut last = Complex32::default();
                for t in 0..x.nrows() {
                    last = x[[t, k]] + RATE * last;
                    y[[t, k]] = last;
                }
            }
        },
        |y: ArrayView2<Complex32>, mut x: ArrayViewMut2<Complex32>| {
            for k in 0..y.ncols() {
                let mut next = Complex32::default();
                for t in (0..y.nrows()).rev() {
                    next = y[[t, k]] + RATE * next;
                    x[[t, k]] = next;
                }
            }
        },
    )?;
    let a = decay * linop::fft("T=64 X=48", "X", Default::default())?.out("T K")?;

    print!("{}", a.plan(&device, DType::Complex32)?);
    let report = check::dot_test(&a, &device, 1)?;
    println!("{report}");
    assert!(report.passed());
    Ok(())
}
