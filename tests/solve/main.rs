//! Solvers against dense solutions in f64, and how they stop.

#[path = "../common/mod.rs"]
mod common;

mod cg;
mod every;
mod least_squares;
mod many;
mod minres;
mod outcomes;
mod precondition;
mod spectrum;

use common::data::{complex, mask};
use linops::linop::{self, FftOptions};
use linops::solve::Solution;
use linops::{Device, Linop, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;

/// Two-dimensional SENSE with three coils.
fn sense() -> Linop {
    let maps = linop::diagonal("Y=8 X=7", &complex("C=3 Y=8 X=7", 1)).unwrap();
    let f = linop::fft("C=3 Y=8 X=7", "Y X", FftOptions::default().centered(true)).unwrap();
    linop::sampling(f.output().unwrap(), &mask("Y1=8 X1=7", 0.7, 2).renamed(names(&f)).unwrap(), "C S").unwrap()
        * f
        * maps
}

/// The names of the transformed dims.
fn names(f: &Linop) -> String {
    f.output().unwrap().dims()[1..].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn image(r: &Solution) -> ArrayD<Complex32> {
    r.x.to(&Device::host()).unwrap().to_array().unwrap()
}

/// The diagonal operator of these real weights.
fn weights(values: &[f32]) -> Linop {
    let t = Tensor::from_array(ndarray::Array1::from(values.to_vec()), "N").unwrap();
    linop::diagonal(format!("N={}", values.len()), &t).unwrap()
}

/// A dense operator of complex numbers, or of real ones.
fn dense(rows: usize, columns: usize, real: bool, seed: u64) -> Linop {
    let dims = format!("M={rows} N={columns}");
    let weight = if real { common::data::real(dims, seed) } else { complex(dims, seed) };
    linop::dense(format!("N={columns}"), &weight, "M").unwrap()
}

/// Iterations between two readings are one command buffer of one submission, however many they are.
#[cfg(feature = "gpu")]
fn expect_one_submission(name: &str, solve: impl Fn(&Device, usize) -> usize) {
    // A device of its own: nobody else submits on it.
    let Some(device) = common::gpu_with(linops::gpu::GpuOptions::default().default_limits(true)) else { return };
    let counted = |iterations: usize| {
        let counts = || device.as_gpu().unwrap().lane_counts(0);
        let before = counts();
        assert_eq!(solve(&device, iterations), iterations, "{name}");
        (counts().submits - before.submits, counts().commands - before.commands)
    };
    // The first solve also uploads.
    counted(2);
    assert_eq!(counted(3), counted(11), "{name}");
}
