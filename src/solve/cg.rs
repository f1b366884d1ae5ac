//! Conjugate gradient for (AᴴA + λI) x = b.

use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::tensor::vectors::{Scalar, VectorOps};
use crate::tensor::{DType, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of [`cg`].
#[derive(Clone, Copy)]
pub struct CgOptions<'a> {
    /// Tikhonov weight λ ≥ 0.
    pub lambda: f32,
    /// Iterations at most.
    pub iterations: usize,
    /// Stop when ‖r‖ ≤ tol·‖b‖; 0 runs all iterations.
    pub tol: f32,
    /// Iterations between two readings of the residual; in between nothing is read back.
    pub check_every: usize,
    /// Called after every reading.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Set from elsewhere to stop at the next reading; the iterate so far is returned.
    pub cancel: Option<&'a AtomicBool>,
}

impl Default for CgOptions<'_> {
    fn default() -> Self {
        CgOptions { lambda: 0.0, iterations: 100, tol: 1e-5, check_every: 5, progress: None, cancel: None }
    }
}

/// A reading of the residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Iterations done.
    pub iteration: usize,
    /// Iterations at most.
    pub of: usize,
    /// ‖r‖/‖b‖.
    pub residual: f64,
}

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The residual reached the tolerance.
    Converged,
    /// All iterations were done.
    Iterations,
    /// The residual no longer falls: the floor of f32 arithmetic. The iterate is as good as it gets.
    Stagnated,
    /// The caller asked to stop.
    Cancelled,
    /// b = 0, so x = 0.
    Zero,
}

/// What [`cg`] returns.
#[derive(Clone, Debug)]
pub struct CgResult {
    /// The iterate, on the device of b.
    pub x: Tensor,
    /// Iterations done.
    pub iterations: usize,
    /// The readings of the residual.
    pub history: Vec<Progress>,
    /// Why it stopped.
    pub stop: Stop,
}

/// Readings without a fall by 1 % before the iteration counts as stagnated.
const PATIENCE: usize = 4;

/// Solves (N + λI) x = b for a normal N = AᴴA, from x = 0, on the device that holds b.
///
/// Hestenes and Stiefel, J. Res. Nat. Bur. Standards 49:409 (1952). Each iteration applies N once and reads nothing back,
/// except the residual norm every `check_every` iterations. A broken-down iteration (⟨p, Np⟩ ≤ 0 or not finite) stands still.
///
/// ```
/// use linops::{linop, solve::{cg, CgOptions}, Tensor};
/// use num_complex::Complex32;
/// let w = Tensor::from_array(ndarray::arr1(&[1.0f32, 2.0, 4.0]), "N")?;
/// let a = linop::diagonal("N=3", &w)?;
/// let y = Tensor::from_array(ndarray::arr1(&[Complex32::new(1.0, 1.0); 3]), "N")?;
/// let x = cg(&a.n(), &a.h().apply(&y)?, &CgOptions::default())?.x.to_array()?;
/// assert!((x[1] - Complex32::new(0.5, 0.5)).norm() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ or tol negative or not finite, b of another shape or dtype than N takes, or the device fails.
pub fn cg(normal: &Linop, b: &Tensor, options: &CgOptions) -> Result<CgResult> {
    for (name, v) in [("lambda", options.lambda), ("tol", options.tol)] {
        if !v.is_finite() || v < 0.0 {
            return value_err!("cg: {name} is {v}; expected a finite number from 0 on");
        }
    }
    normal.input()?.expect(b.shape()).map_err(|e| e.at("cg: b"))?;
    normal.output()?.expect(b.shape()).map_err(|e| e.at("cg: the normal's output"))?;
    if b.dtype() != DType::Complex32 {
        return value_err!("cg: b is {}, expected complex64", b.dtype());
    }
    let device = b.device();
    let mut v = device.vectors(7)?;
    let [rr, next, pq, alpha, beta, lambda, bb] = [0, 1, 2, 3, 4, 5, 6].map(Scalar);
    let zeros = Tensor::zeros(b.shape(), DType::Complex32)?.to(&device)?;
    v.set(lambda, options.lambda)?;
    let Some((b, unit)) = to_unit_norm(&mut *v, b, &zeros, beta, bb)? else {
        return Ok(CgResult { x: zeros, iterations: 0, history: Vec::new(), stop: Stop::Zero });
    };
    let mut x = v.copy(&zeros)?;
    let mut r = v.copy(&b)?;
    let mut p = v.copy(&b)?;
    v.dot(&b, &b, rr)?;
    let norm = v.read(rr)?.sqrt();
    // The way back from the scaled data.
    let finish = |v: &mut dyn VectorOps, x: Tensor| -> Result<Tensor> {
        if unit == 1.0 {
            return Ok(x);
        }
        let mut out = v.copy(&zeros)?;
        v.set(beta, 1.0 / unit)?;
        v.axpy(1.0, beta, &x, &mut out)?;
        v.flush()?;
        Ok(out)
    };
    let every = options.check_every.max(1);
    let (mut history, mut best, mut stale) = (Vec::new(), f64::INFINITY, 0);
    for k in 1..=options.iterations {
        let mut q = normal.apply(&p)?;
        if options.lambda > 0.0 {
            v.axpy(1.0, lambda, &p, &mut q)?;
        }
        v.dot(&p, &q, pq)?;
        v.divide(rr, pq, alpha)?;
        v.axpy(1.0, alpha, &p, &mut x)?;
        v.axpy(-1.0, alpha, &q, &mut r)?;
        v.dot(&r, &r, next)?;
        v.divide(next, rr, beta)?;
        v.xpay(&r, beta, &mut p)?;
        v.dot(&r, &r, rr)?;
        v.flush()?;
        let cancelled = options.cancel.is_some_and(|c| c.load(Ordering::Relaxed));
        if k % every != 0 && k != options.iterations && !cancelled {
            continue;
        }
        let residual = v.read(rr)?.sqrt() / norm;
        if !residual.is_finite() {
            return value_err!(
                "cg: the iteration overflowed at step {k}; scale the operator down or use a smaller lambda"
            );
        }
        let reading = Progress { iteration: k, of: options.iterations, residual };
        history.push(reading);
        if let Some(f) = options.progress {
            f(reading);
        }
        stale = if residual < 0.99 * best { 0 } else { stale + 1 };
        best = best.min(residual);
        let stop = match () {
            _ if cancelled => Some(Stop::Cancelled),
            _ if residual <= f64::from(options.tol) => Some(Stop::Converged),
            _ if options.tol > 0.0 && stale >= PATIENCE => Some(Stop::Stagnated),
            _ => None,
        };
        if let Some(stop) = stop {
            return Ok(CgResult { x: finish(&mut *v, x)?, iterations: k, history, stop });
        }
    }
    Ok(CgResult { x: finish(&mut *v, x)?, iterations: options.iterations, history, stop: Stop::Iterations })
}

/// b times a power of two that brings its norm near 1, and that power; squares of very small or large data would leave the
/// range of f32. Norms within a million of 1 stay as they are. None where b is 0.
fn to_unit_norm(
    v: &mut dyn VectorOps,
    b: &Tensor,
    zeros: &Tensor,
    s: Scalar,
    norm: Scalar,
) -> Result<Option<(Tensor, f32)>> {
    // What underflows or overflows at one scale shows at another.
    let mut seen = 0.0;
    for guess in [0, 60, -60, 110] {
        let scale = (guess as f32).exp2();
        let (scaled, found) = scaled(v, b, zeros, s, norm, scale)?;
        if found > 1e-6 && found < 1e6 {
            return Ok(Some((scaled, scale)));
        }
        seen = found;
        if found > 0.0 && found.is_finite() {
            let scale = scale * (-found.log2().round() as f32).exp2();
            return Ok(Some((self::scaled(v, b, zeros, s, norm, scale)?.0, scale)));
        }
        if found.is_nan() {
            break;
        }
    }
    if seen == 0.0 {
        return Ok(None);
    }
    value_err!("cg: the right-hand side has the norm {seen}; the data hold NaN, infinite or overflowing values")
}

/// scale·b, and its norm.
fn scaled(
    v: &mut dyn VectorOps,
    b: &Tensor,
    zeros: &Tensor,
    s: Scalar,
    norm: Scalar,
    scale: f32,
) -> Result<(Tensor, f64)> {
    let mut out = v.copy(zeros)?;
    v.set(s, scale)?;
    v.axpy(1.0, s, b, &mut out)?;
    v.dot(&out, &out, norm)?;
    let found = v.read(norm)?.sqrt();
    Ok((out, found))
}
