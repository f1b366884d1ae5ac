//! Sums of sub-linops that `linops bench` measures when no file is given.

use linops::linop::{self, Align, FftOptions};
use linops::{Linop, Result, Tensor};
use ndarray::{Array1, Array2};
use num_complex::Complex32;

/// Extents of every sub-linop's input and output.
const N: usize = 256;

/// A fixed sequence of numbers in -1..1.
pub fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

fn weight(seed: u32, shape: (usize, usize), dims: &str) -> Result<Tensor> {
    let mut next = noise(seed);
    Tensor::from_array(Array2::from_shape_fn(shape, |_| Complex32::new(next(), next())), dims)
}

fn square() -> String {
    format!("Y={N} X={N}")
}

/// Σ of 8 (diagonal · FFT 256²): sub-linops of one structure.
pub fn alike() -> Result<Linop> {
    let one = |k: u32| {
        let f = linop::fft(square(), "Y X", FftOptions::default())?.out("Y X")?;
        f.compose(&linop::diagonal(square(), &weight(k, (N, N), "Y X")?)?)
    };
    linop::add((1..=8).map(one).collect::<Result<Vec<_>>>()?)
}

/// Σ of 8 heavy chains that have nothing in common: matrices, transforms of awkward lengths, gathers.
pub fn unlike() -> Result<Linop> {
    let dense = |seed: u32, rows: usize| -> Result<Linop> {
        let there = linop::dense(square(), &weight(seed, (rows, N), "R Y")?, "R X")?;
        there.h().compose(&there)
    };
    // A transform of a prime length, and back into the square.
    let awkward = |n: usize, m: usize| -> Result<Linop> {
        let large = linop::pad(square(), format!("Y={n} X={m}"), Align::Center)?.out("Y X")?;
        let f = linop::fft(format!("Y={n} X={m}"), "Y X", FftOptions::default())?.out("Y X")?;
        linop::chain(vec![large.clone(), f.clone(), f, large.h()])
    };
    // Four times as many random lines as there are, there and back.
    let gather = |seed: u32, dim: &str| -> Result<Linop> {
        let mut next = noise(seed);
        let lines = Array1::from_shape_fn(4 * N, |_| ((0.5 + 0.5 * next()) * (N - 1) as f32) as i64);
        let out = if dim == "Y" { "X S" } else { "Y S" };
        let there = linop::sampling_at(square(), &[(dim, lines.into_dyn())], out)?;
        let mix =
            linop::diagonal(there.output()?, &Tensor::from_array(Array1::from_shape_fn(4 * N, |_| next()), "S")?)?;
        linop::chain(vec![there.clone(), mix, there.h()])
    };
    linop::add(vec![
        dense(1, 192)?,
        awkward(263, 269)?,
        gather(2, "Y")?,
        dense(3, 160)?,
        awkward(281, 257)?,
        gather(4, "X")?,
        dense(5, 131)?,
        awkward(293, 311)?,
    ])
}

/// Σ of 64 shifts of 16 numbers: next to no work each.
pub fn trivial() -> Result<Linop> {
    linop::add((1..=64).map(|k| linop::roll("N=16", &[("N", k % 16)])).collect::<Result<Vec<_>>>()?)
}
