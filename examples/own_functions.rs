//! An operator of your own, of two functions of the host: the forward and its adjoint, over ndarray's views.
//!
//! Here a decay along time that each sample hands on, y[t] = x[t] + r·y[t − 1], which no program of maps states well. On a GPU
//! the transform before it runs there, the functions here, and the values go back.
//!
//! `cargo run --example own_functions [-- DEVICE]`

use linops::{DType, Device, Result, check, linop};
use ndarray::{Array1, ArrayView2, ArrayViewMut2};
use num_complex::Complex32;

const RATE: f32 = 0.9;

/// Each time gets its own value and what the time before it, in this order, hands on: forwards, and backwards in the adjoint.
fn hand_on(x: ArrayView2<Complex32>, mut y: ArrayViewMut2<Complex32>, times: impl Iterator<Item = usize>) {
    let mut last = Array1::zeros(x.ncols());
    for t in times {
        last = last * RATE + x.row(t);
        y.row_mut(t).assign(&last);
    }
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let decay = linop::from_fn(
        "T=64 K=48",
        "T=64 K=48",
        |x: ArrayView2<Complex32>, y: ArrayViewMut2<Complex32>| hand_on(x, y, 0..64),
        |y: ArrayView2<Complex32>, x: ArrayViewMut2<Complex32>| hand_on(y, x, (0..64).rev()),
    )?;
    let a = decay * linop::fft("T=64 X=48", "X", Default::default())?.out("T K")?;
    print!("{}", a.plan(&device, DType::Complex32)?);
    let report = check::dot_test(&a, &device, 1)?;
    println!("{report}");
    assert!(report.passed());
    Ok(())
}
