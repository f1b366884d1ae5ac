//! A series from few samples of each frame: locally low rank along time.
//!
//! A heart that beats is much the same in every frame: in a small block all frames are combinations of a few. `cargo run --release
//! --example cine` reconstructs 16 frames from a quarter of their samples and prints the errors.

use linops::convex::{ConvexOptions, Problem};
use linops::linop::{self, FftOptions};
use linops::{Device, Result, Tensor};
use ndarray::{Array3, Axis};
use num_complex::Complex32;

const FRAMES: usize = 16;
const N: usize = 64;

/// A disk whose radius beats, in a body that does not.
fn heart() -> Array3<Complex32> {
    Array3::from_shape_fn((FRAMES, N, N), |(t, y, x)| {
        let at = |k: usize, c: f32| k as f32 - c;
        let beat = 9.0 + 3.0 * (std::f32::consts::TAU * t as f32 / FRAMES as f32).sin();
        let body = at(y, 31.5).hypot(at(x, 31.5) * 0.8) < 25.0;
        let heart = at(y, 28.0).hypot(at(x, 36.0)) < beat;
        Complex32::from(if heart {
            1.0
        } else if body {
            0.4
        } else {
            0.0
        })
    })
}

/// The central lines, and others of each frame at random.
fn mask() -> Array3<f32> {
    let mut state = 7u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 24) as f32
    };
    let mut lines = ndarray::Array2::zeros((FRAMES, N));
    for ((_, ky), line) in lines.indexed_iter_mut() {
        *line = f32::from((N / 2 - 3..N / 2 + 3).contains(&ky) || draw() < 0.17);
    }
    Array3::from_shape_fn((FRAMES, N, N), |(t, ky, _)| lines[[t, ky]])
}

fn main() -> Result<()> {
    let device = Device::auto();
    let (truth, mask) = (heart(), mask());
    println!("{:.0} % of the samples", 100.0 * mask.mean().unwrap_or(0.0));
    let f = linop::fft([("T", FRAMES), ("Y", N), ("X", N)], "Y X", FftOptions::default().centered(true))?.keep();
    let a = linop::diagonal(f.output()?, &Tensor::from_array(mask, "T Y X")?)? * f;
    let y = a.apply(&Tensor::from_array(truth.clone(), "T Y X")?.to(&device)?)?;

    let error = |x: &Tensor| -> Result<f32> {
        let x: Array3<Complex32> = (&x.to(&Device::host())?).try_into()?;
        let off: f32 = (&x - &truth).iter().map(|v| v.norm_sqr()).sum();
        Ok((off / truth.iter().map(|v| v.norm_sqr()).sum::<f32>()).sqrt())
    };
    let filled = error(&a.h().apply(&y)?)?;
    let problem = Problem::new(&a, &y)?;
    let scale = problem.scale()?;
    let problem = problem.llr(0.004 * scale, "T", &[8, 8])?;
    let solved = problem.solve(ConvexOptions::default().iterations(60).tol(1e-3))?;
    let low_rank = error(&solved.x)?;
    println!("zero-filled {filled:.4}, locally low rank {low_rank:.4} after {} iterations", solved.iterations);
    assert!(low_rank < 0.5 * filled);

    // What moves: the frames less their mean.
    let x: Array3<Complex32> = (&solved.x.to(&Device::host())?).try_into()?;
    if let Some(mean) = x.mean_axis(Axis(0)) {
        let beat: Vec<String> =
            x.outer_iter().map(|f| format!("{:.0}", (&f - &mean).iter().map(|v| v.re).sum::<f32>())).collect();
        println!("area over time, less its mean: {}", beat.join(" "));
    }
    Ok(())
}
