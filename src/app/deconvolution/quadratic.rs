//! A quadratic objective, ‖A x − y‖² + λ‖P (x − m)‖², from the picture itself to where it is at rest.
//!
//! ```text
//! (AᴴA + λPᴴP) d = Aᴴ(y − A x₀) + λPᴴP (m − x₀),    x = x₀ + d
//! ```
//!
//! A canvas is hardly held where the picture does not reach, so where the iterations begin shows for long. They begin at x₀, the
//! picture, continued by its outermost samples: an even scene is found at once. They end when the objective is within the tolerance
//! of its limit, estimated from its fall, or, where that is next to nothing, when the gradient is down to that part of what it was.

use super::{Blur, Deconvolved};
use crate::arithmetic::Expression;
use crate::error::{Result, value_err};
use crate::linop::{self, Linop};
use crate::run::Device;
use crate::solve::{Fall, Gap, Progress, Reading, SolveOptions, Stop, cg};
use crate::tensor::Tensor;
use ndarray::{ArrayD, Dimension};
use std::sync::atomic::{AtomicBool, Ordering};

/// Iterations between two looks at the objective.
const READ_EVERY: usize = 4;

/// Of the data's square, to which part the objective is known in 32-bit numbers, over that at which a gap is none.
const ROUNDING: f64 = 1e-4;

/// The objective.
pub(super) struct Quadratic<'a> {
    blur: &'a Blur,
    /// On the device.
    y: Tensor,
    /// P, and λ; None where λ is 0.
    penalty: Option<(Linop, f32)>,
    /// m, the same everywhere.
    even: f32,
}

impl<'a> Quadratic<'a> {
    pub fn new(blur: &'a Blur, y: Tensor, penalty: &Linop, lambda: f32, even: f32) -> Quadratic<'a> {
        let penalty = (lambda > 0.0).then(|| (penalty.clone(), lambda));
        Quadratic { blur, y, penalty, even }
    }

    /// Its value at x.
    fn value(&self, x: &Tensor) -> Result<f64> {
        Ok((self.blur.linop.apply(x)? - &self.y).norm_squared()? + self.penalty(x)?)
    }

    /// λ‖P (x − m)‖².
    fn penalty(&self, x: &Tensor) -> Result<f64> {
        let Some((penalty, lambda)) = &self.penalty else { return Ok(0.0) };
        Ok(f64::from(*lambda) * penalty.apply(&(x - self.even).eval()?)?.norm_squared()?)
    }

    /// What came of it, with the objective of both terms.
    fn deconvolved(
        &self,
        y: &Tensor,
        x: &Tensor,
        iterations: usize,
        history: Vec<Reading>,
        stop: Stop,
    ) -> Result<Deconvolved> {
        let mut result = self.blur.deconvolved(y, x, iterations, history, stop)?;
        result.objective += self.penalty(x)?;
        Ok(result)
    }

    /// The normal of both terms, and minus half of the gradient at x.
    fn equations(&self, x: &Tensor) -> Result<(Linop, Tensor)> {
        let a = &self.blur.linop;
        let left = a.h().apply(&(&self.y - a.apply(x)?).eval()?)?;
        let Some((penalty, lambda)) = &self.penalty else { return Ok((a.n(), left)) };
        let bent = penalty.n().apply(&(self.even - x).eval()?)?;
        let normal = linop::add_weighted([a.n(), penalty.n()], &[1.0, *lambda])?;
        Ok((normal, (left + *lambda * Expression::from(&bent)).eval()?))
    }

    /// Minimises it from the options' start, or from the picture, until it is within their tol of its limit, as a part of it, or the
    /// gradient is down to that part of what it was; 0 does all iterations that 32-bit numbers can use.
    pub fn minimise(&self, mut options: SolveOptions, device: &Device) -> Result<Deconvolved> {
        if options.iterations == 0 {
            return value_err!("the number of iterations is 0; expected at least 1");
        }
        options.check("deconvolution")?;
        let y = self.y.to(&Device::host())?;
        let start = match options.start.take() {
            Some(start) => start.to(device)?,
            None => self.picture(&y.to_real_array()?, device)?,
        };
        let (part, iterations) = (options.tol, options.iterations);
        let tol = f64::from(part);
        let (mut told, cancel) = options.told();
        let first = self.value(&start)?;
        let mut fall = Fall::from(self.unevenness(&y.to_real_array()?));
        if !first.is_finite() || fall.exact(first) && tol > 0.0 {
            return self.deconvolved(&y, &start, 0, Vec::new(), Stop::Converged);
        }
        let (normal, b) = self.equations(&start)?;
        let end = AtomicBool::new(false);
        let (mut ended, mut failed) = (None, None);
        let watch = |progress: &mut Progress| {
            let reading = progress.reading();
            let cancelled = cancel.is_some_and(|c| c.load(Ordering::Relaxed));
            let mut look = || -> Result<()> {
                if tol > 0.0 && !cancelled {
                    let objective = self.value(&(&start + progress.iterate()?).eval()?)?;
                    let gap = fall.take(reading.iteration, objective);
                    if fall.ended(gap, objective, tol) {
                        ended = Some(if gap == Gap::Still { Stop::Attained } else { Stop::Converged });
                    }
                }
                if let Some(told) = &mut told {
                    progress.retold(told, &|d| (&start + d).eval());
                }
                Ok(())
            };
            if let Err(e) = look() {
                failed = Some(e);
            }
            if cancelled || ended.is_some() || failed.is_some() {
                end.store(true, Ordering::Relaxed);
            }
        };
        let own = SolveOptions::default().iterations(iterations).tol(part).check_every(READ_EVERY);
        let solution = cg(&normal, &b, own.progress(watch).cancel(&end))?;
        if let Some(e) = failed {
            return Err(e);
        }
        let stop = match (solution.stop, ended) {
            (Stop::Cancelled, Some(stop)) => stop,
            // Nothing to correct.
            (Stop::Zero, _) => Stop::Converged,
            (stop, _) => stop,
        };
        let x = (&start + &solution.x).eval()?;
        self.deconvolved(&y, &x, solution.iterations, solution.history, stop)
    }

    /// What gaps are measured by: ‖y − m‖², with m the mean of what counts, and what rounding makes of ‖y‖².
    fn unevenness(&self, y: &ArrayD<f32>) -> f64 {
        self.blur.squares(y, self.blur.mean(y)) + ROUNDING * self.blur.squares(y, 0.0)
    }

    /// The picture on the canvas, continued by its outermost samples, as bright as the data say; the mean where it is not known.
    fn picture(&self, y: &ArrayD<f32>, device: &Device) -> Result<Tensor> {
        let canvas = self.blur.linop.input()?;
        let (first, mean) = (&self.blur.first, self.blur.mean(y) as f32);
        let continued = ArrayD::from_shape_fn(canvas.extents(), |at| {
            let from: Vec<usize> = at
                .slice()
                .iter()
                .zip(first.iter().zip(y.shape()))
                .map(|(&q, (&f, &n))| q.saturating_sub(f).min(n - 1))
                .collect();
            let known = self.blur.known.as_ref().is_none_or(|k| k[&from[..]] != 0.0);
            if known { y[&from[..]] } else { mean }
        });
        let continued = Tensor::from_array(continued, canvas.dims().to_vec())?.to(device)?;
        let seen = self.blur.linop.apply(&continued)?;
        let (product, square) = (seen.dot(&self.y)?.re, seen.norm_squared()?);
        let size = product / square;
        let size = if size.is_finite() { size as f32 } else { 0.0 };
        (size * Expression::from(&continued)).eval()
    }
}
