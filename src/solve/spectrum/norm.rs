//! The norm of an operator within bounds, and its condition.

use super::bidiagonal::Bidiagonal;
use super::{Random, near_one};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Device;
use crate::setters::setters;
use crate::tensor::DType;

/// The chance that a norm is above its upper bound.
const CHANCE: f64 = 1e-6;

/// Values of B are looked at after as many steps, and again.
const LOOK: usize = 4;

/// What f32 leaves uncertain of a norm.
const ROUNDING: f64 = 1e-5;

/// Options of [`operator_norm`] and [`condition`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NormOptions {
    /// Stop when the upper bound is at most 1 + margin times the lower one; 0.05 at first.
    pub margin: f32,
    /// Steps at most, two applies each; 200 at first.
    pub iterations: usize,
    /// Of the random vector to begin with; 1 at first.
    pub seed: u64,
    /// Of the vectors; complex at first.
    pub dtype: DType,
}

impl Default for NormOptions {
    fn default() -> Self {
        NormOptions { margin: 0.05, iterations: 200, seed: 1, dtype: DType::Complex32 }
    }
}

setters! { NormOptions {
    /// With another margin.
    margin: f32,
    /// With other steps at most.
    iterations: usize,
    /// From another random vector.
    seed: u64,
    /// With vectors of another dtype.
    dtype: DType,
} }

/// The norm of an operator, ‖A‖ = max ‖A x‖/‖x‖, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NormBound {
    /// ‖A‖ is at least this, but for rounding.
    pub lower: f64,
    /// ‖A‖ is at most this, but for one in a million random vectors.
    pub upper: f64,
    /// Steps done, two applies each.
    pub iterations: usize,
}

/// The norm of an operator, the largest of its singular values, on a device: to scale by, or for a step size 1/‖A‖².
///
/// By Golub and Kahan's bidiagonalisation from a random vector: Lanczos' method on AᴴA. The lower bound is the largest singular
/// value that it finds. The upper one is Kuczyński and Woźniakowski's (SIAM J. Matrix Anal. Appl. 13:1094, 1992): after k steps
/// for n real unknowns, the largest eigenvalue of AᴴA is at most 1/(1 − ε) times the one found, but for a chance of
/// 1.648 √n exp(−√ε (2k − 1)), here one in a million, whatever the spectrum. Some 35 steps make the bounds 5 % wide for a million
/// unknowns; what is found is nearly always closer.
///
/// ```
/// use linops::{Device, linop, solve::{operator_norm, NormOptions}};
/// let a = linop::gradient("Y=20 X=20", "Y X", Default::default())?;
/// let norm = operator_norm(&a, &Device::host(), NormOptions::default())?;
/// // √8 for endless images.
/// assert!(norm.lower < 8f64.sqrt() && norm.upper > 2.7 && norm.upper < 1.06 * norm.lower);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The margin is not positive, no iterations, an operator that makes other dtypes of the options', or whose values are not finite;
/// those of an apply.
pub fn operator_norm(a: &Linop, device: &Device, options: NormOptions) -> Result<NormBound> {
    check("operator_norm", &options)?;
    let mut random = Random(options.seed);
    let Some((scaled, exponent)) = near_one("operator_norm", a, options.dtype, device, &mut random)? else {
        return Ok(NormBound { lower: 0.0, upper: 0.0, iterations: 0 });
    };
    let back = f64::from(exponent).exp2();
    let reals = a.input()?.len() * if options.dtype == DType::Complex32 { 2 } else { 1 };
    let mut b = Bidiagonal::new(&scaled, &random.vector(a.input()?, options.dtype, device)?)?;
    loop {
        b.step().map_err(|e| e.at("operator_norm"))?;
        let last = b.exhausted || b.steps() >= options.iterations;
        if !last && !b.steps().is_multiple_of(LOOK) {
            continue;
        }
        let lower = b.values().first().copied().unwrap_or(0.0);
        // All of A is known once the Krylov space is at its end.
        let upper = if b.exhausted { lower } else { lower * excess(reals, b.steps()) };
        let upper = upper * (1.0 + ROUNDING);
        if last || upper <= (1.0 + f64::from(options.margin)) * lower {
            return Ok(NormBound { lower: lower * back, upper: upper * back, iterations: b.steps() });
        }
    }
}

/// By how much ‖A‖ may be above what k steps have found, for so many real unknowns.
fn excess(unknowns: usize, k: usize) -> f64 {
    let root = (1.648 * (unknowns as f64).sqrt() / CHANCE).ln() / (2 * k - 1) as f64;
    let epsilon = root * root;
    if epsilon < 1.0 { 1.0 / (1.0 - epsilon).sqrt() } else { f64::INFINITY }
}

/// How far apart the singular values of an operator lie.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Condition {
    /// The largest singular value found; the true one is no smaller.
    pub largest: f64,
    /// The smallest one found; the true one is no larger.
    pub smallest: f64,
    /// Steps done, two applies each.
    pub iterations: usize,
    /// Whether the steps have come to their end: then all singular values that a random vector shows were found.
    pub exhausted: bool,
}

impl Condition {
    /// Largest over smallest: the condition number is at least this. Of a normal it is the square.
    pub fn number(&self) -> f64 {
        if self.largest == 0.0 { f64::INFINITY } else { self.largest / self.smallest }
    }
}

/// The condition of an operator on a device, estimated from below: the ratio of the largest singular value to the smallest, of
/// the shorter side of A.
///
/// By the bidiagonalisation of [`operator_norm`]. Both values are found from within, the smallest late: while it still falls as
/// iterations are added, so does the estimate rise. √λ beside the largest one tells which of them a regularisation replaces. Values
/// below about 1e-6 of the largest are rounding.
///
/// ```
/// use linops::{Device, Tensor, linop, solve::{condition, NormOptions}};
/// let a = linop::diagonal("N=4", &Tensor::from_slice("N=4", &[1.0f32, 2.0, 5.0, 10.0])?)?;
/// let c = condition(&a, &Device::host(), NormOptions::default())?;
/// assert!((c.number() - 10.0).abs() < 1e-3 && c.exhausted);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`operator_norm`]. An operator that is zero has an infinite condition.
pub fn condition(a: &Linop, device: &Device, options: NormOptions) -> Result<Condition> {
    check("condition", &options)?;
    let wide = a.input()?.len() > a.output()?.len();
    let tall = if wide { a.h() } else { a.clone() };
    let mut random = Random(options.seed);
    let Some((scaled, exponent)) = near_one("condition", &tall, options.dtype, device, &mut random)? else {
        return Ok(Condition { largest: 0.0, smallest: 0.0, iterations: 0, exhausted: true });
    };
    let back = f64::from(exponent).exp2();
    let mut b = Bidiagonal::new(&scaled, &random.vector(tall.input()?, options.dtype, device)?)?;
    while b.steps() < options.iterations && !b.exhausted {
        b.step().map_err(|e| e.at("condition"))?;
    }
    let values = b.values();
    let (largest, smallest) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
    Ok(Condition { largest: largest * back, smallest: smallest * back, iterations: b.steps(), exhausted: b.exhausted })
}

fn check(what: &str, options: &NormOptions) -> Result<()> {
    if !(options.margin > 0.0 && options.margin.is_finite()) {
        return value_err!("{what}: the margin is {}; expected a positive number, such as 0.05", options.margin);
    }
    if options.iterations == 0 {
        return value_err!("{what}: the number of iterations is 0; expected at least 1");
    }
    Ok(())
}
