//! FISTA by hand: an image from some of its Fourier coefficients, by ½‖Ax − y‖² + λ‖Wx‖₁ with the wavelet transform W.
//!
//! What is written here is the algorithm (Beck and Teboulle, SIAM J. Imaging Sci. 2:183, 2009) and nothing else: tensors stay on the
//! device, each line of arithmetic is one kernel there. `cargo run --release --example fista_by_hand -- [auto|gpu|host]` prints the
//! objective and the error on their way.

use linops::app::phantom::shepp_logan_image;
use linops::linop::{self, FftOptions, WaveletBoundary, WaveletOptions};
use linops::{DType, Device, Linop, Result, Tensor};

const N: usize = 128;
const SHAPE: [(&str, usize); 2] = [("Ny", N), ("Nx", N)];
const ITERATIONS: usize = 100;

/// Fourier coefficients at random places, all of them near the centre.
fn sampling() -> Result<Linop> {
    let mut state = 1u32;
    let mask = ndarray::Array2::from_shape_fn((N, N), |(y, x)| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let off = |k: usize| (k as f32 - (N / 2) as f32) / (N / 2) as f32;
        let radius = off(y).hypot(off(x));
        radius < 0.15 || (state >> 8) as f32 / (1u32 << 24) as f32 <= 0.25
    });
    println!("{} of {} coefficients", mask.iter().filter(|m| **m).count(), N * N);
    let f = linop::fft(SHAPE, "Ny Nx", FftOptions::default().centered(true))?.keep();
    Ok(linop::sampling(SHAPE, &Tensor::from_array(mask, "Ny Nx")?, "K")? * f)
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let truth = Tensor::from_array(shepp_logan_image(N, N), "Ny Nx")?.to(&device)?.to_dtype(DType::Complex32)?;
    let a = sampling()?;
    let options = WaveletOptions::default().wavelet("haar".parse()?).levels(Some(4));
    let w = linop::wavelet(SHAPE, "Ny Nx", &options.boundary(WaveletBoundary::Periodization))?;
    let y = a.apply(&truth)?;
    let lambda = 0.004 * a.h().apply(&y)?.max_abs()? as f32;
    let objective = |x: &Tensor| -> Result<f64> {
        let misfit = (a.apply(x)? - &y).norm_squared()?;
        Ok(0.5 * misfit + f64::from(lambda) * w.apply(x)?.abs()?.sum()?.re)
    };

    let (mut x, mut t) = (a.h().apply(&y)?, 1f32);
    let (start, zero_filled) = (objective(&x)?, (&x - &truth).norm()? / truth.norm()?);
    let mut z = x.clone();
    for k in 0..ITERATIONS {
        if k % 20 == 0 {
            println!("{k:4}: objective {:.5}, error {:.4}", objective(&x)?, (&x - &truth).norm()? / truth.norm()?);
        }
        // The transforms are unitary, so the step is 1.
        let residual = (a.apply(&z)? - &y).eval()?;
        let down = (&z - a.h().apply(&residual)?).eval()?;
        let next = w.h().apply(&w.apply(&down)?.soft_threshold(lambda)?)?;
        let t_next = 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt());
        z = (&next + (t - 1.0) / t_next * (&next - &x)).eval()?;
        (x, t) = (next, t_next);
    }
    let (end, error) = (objective(&x)?, (&x - &truth).norm()? / truth.norm()?);
    println!("{ITERATIONS:4}: objective {end:.5}, error {error:.4} on {device}");
    assert!(end < 0.8 * start && error < 0.6 * zero_filled, "{start} to {end}, {zero_filled} to {error}");
    Ok(())
}
