//! Learns where to sample: places in k-space are moved, by gradients through the reconstruction, until images are as they were.
//!
//! Of two images only as many samples are taken as an eighth of their pixels. They are made again by least squares,
//! x = (AᴴA + λI)⁻¹Aᴴy, and L = ½‖x − truth‖² of both has a gradient with regard to the coordinates, which are in A and in y = A truth.
//! It takes one more solve (`least_squares_vjp`) and the derivative of the non-uniform transform (`of_nufft`).
//!
//! `cargo run --release --example learn_trajectory -- [auto|gpu|host]` prints the loss on its way.

use linops::app::phantom::shepp_logan_image;
use linops::derivative::{least_squares_vjp, of_nufft};
use linops::linop::{self, Accuracy, NufftOptions};
use linops::solve::{SolveOptions, cg};
use linops::{DType, Device, Result, Tensor};
use ndarray::{ArrayD, IxDyn, stack};

const N: usize = 24;
const SAMPLES: usize = N * N / 8;
const STEPS: usize = 40;

/// Places from −N/2 to N/2, more of them in the middle.
fn places() -> ArrayD<f64> {
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24) - 0.5
    };
    ArrayD::from_shape_fn(IxDyn(&[SAMPLES, 2]), |_| 0.5 * N as f64 * (uniform() + uniform()))
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let head = shepp_logan_image(N, N);
    let images = stack![ndarray::Axis(0), head, head.t()];
    let truth = Tensor::from_array(images, "T Ny Nx")?.to(&device)?.to_dtype(DType::Complex32)?;
    let accuracy = NufftOptions::default().accuracy(Accuracy::Tol(1e-4));
    let options = || SolveOptions::default().lambda(0.01).iterations(60).tol(1e-4);

    let (mut locs, mut losses) = (places(), Vec::new());
    for k in 0..=STEPS {
        let a = linop::nufft(truth.shape(), &locs, "Ny Nx", accuracy, "T K")?;
        let y = a.apply(&truth)?;
        let x = cg(&a.n(), &a.h().apply(&y)?, options())?.x;
        let g = (&x - &truth).eval()?;
        losses.push(0.5 * g.norm_squared()?);
        if k % 10 == 0 {
            println!("{k:3}: loss {:.3}, error {:.3}", losses[k], g.norm()? / truth.norm()?);
        }
        let of_places = |x: &Tensor, g: &Tensor| of_nufft(x, &locs, "Ny Nx", accuracy, "T K", "D")?.vjp(g, DType::F32);
        let gradient = least_squares_vjp(&a, &y, &x, &g, options())?;
        // The data are of these places too.
        let down = (gradient.through(of_places)? + of_places(&truth, &gradient.y)?).eval()?;
        // The place that is to move most moves by a third of a cell, later by less.
        let most = 0.3 * (1.0 - 0.9 * k as f64 / STEPS as f64) / down.max_abs()?.max(f64::MIN_POSITIVE);
        locs = locs - down.to(&Device::host())?.to_real_array()?.mapv(|g| most * f64::from(g));
    }
    let (first, last) = (losses[0], losses[STEPS]);
    assert!(last < 0.8 * first, "the loss falls, from {first} to {last}");
    Ok(())
}
