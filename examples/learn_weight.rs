//! Learns the weight of total variation: from a noisy scan of half of its lines, the λ whose reconstruction is nearest to the head.
//!
//! The derivative of the minimiser with regard to λ is one more solve (`derivative::convex_vjp`), so log λ goes downhill in a dozen steps.
//! `cargo run --release --example learn_weight`.

use linops::app::phantom::shepp_logan_image;
use linops::convex::{ConvexOptions, Problem};
use linops::derivative::{ConvexGradientOptions, convex_vjp};
use linops::linop::{self, FftOptions};
use linops::num_complex::Complex32;
use linops::{Device, Result, Tensor};

const N: usize = 48;

fn main() -> Result<()> {
    let device = Device::auto();
    let head = shepp_logan_image(N, N).mapv(Complex32::from);
    let truth = Tensor::from_array(head, "Y X")?.to(&device)?;
    let is_kept = |line: usize| line.is_multiple_of(2) || line.abs_diff(N / 2) < 5;
    let lines = (0..N * N).map(|i| f32::from(u8::from(is_kept(i / N)))).collect();
    let mask = linop::diagonal(truth.shape(), &Tensor::from_vec(truth.shape(), lines)?)?;
    let a = mask * linop::fft(truth.shape(), "Y X", FftOptions::default().centered(true))?.keep();
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.2 * ((state >> 8) as f32 / (1u32 << 24) as f32 - 0.5)
    };
    let noise = (0..N * N).map(|_| Complex32::new(random(), random())).collect();
    let noise = Tensor::from_vec(truth.shape(), noise)?.to(&device)?;
    let data = a.apply(&(&truth + &a.h().apply(&noise)?).eval()?)?;

    let problem = Problem::new(&a, &data)?;
    let mut weight = 1e-3 * problem.scale()?;
    let (mut losses, mut step) = (Vec::new(), 0.5);
    let mut last: Option<f64> = None;
    for k in 0..14 {
        let problem = problem.clone().tv(weight, "Y X")?;
        let x = problem.solve(ConvexOptions::default().tol(1e-6).iterations(2000))?.x;
        let apart = (&x - &truth).eval()?;
        losses.push(0.5 * apart.norm_squared()?);
        let slope = weight * convex_vjp(&problem, &x, &apart, ConvexGradientOptions::default())?.weights[0];
        println!("step {k:2}: lambda {weight:.5}, loss {:.4}, slope {slope:+.4}", losses[k]);
        // Steps of log λ by the slope's sign, shorter whenever it turns.
        if last.is_some_and(|s| s * slope < 0.0) {
            step *= 0.4;
        }
        last = Some(slope);
        weight *= (-step * slope.signum()).exp();
    }
    let (first, end) = (losses[0], losses[losses.len() - 1]);
    assert!(end < 0.8 * first, "{end} is no less than {first}");
    Ok(())
}
