//! Squares alone: the minimum solves a linear system, by conjugate gradients.
//!
//! (AᴴA + μ + ΣwᵢKᵢᴴKᵢ) x = Aᴴy. The objective falls with every iteration, and its fall tells how far it is from its limit.

use super::options::{Reading, Teller};
use super::stage::Looked;
use super::watch::Watch;
use super::{Method, Problem, Solved};
use crate::error::{Error, Result};
use crate::functional::{number, squared_norm};
use crate::solve::{Fall, Gap, Progress, Solution, SolveOptions, Stop, cg};
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicBool, Ordering};

/// A residual of this part of Aᴴy is none.
const EXACT: f32 = 1e-7;

/// Iterations between two looks at the objective, or fewer where more readings are asked for; its fall is told at the quarters of their number.
const LOOK_EVERY: usize = 4;

impl Problem {
    /// F of x, where all terms are squares.
    fn looked(&self, x: &Tensor, size: f64) -> Result<Looked> {
        let data = self.data_term(x)?;
        let squares = self.terms.iter().map(|t| t.value(x)).sum::<Result<f64>>()?;
        Ok(Looked { data, objective: data + squares, misfit: (2.0 * data).sqrt() / size })
    }
}

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let (system, mu) = problem.smooth()?;
    let b = problem.a.h().apply(&problem.y)?;
    let size = squared_norm(&problem.y)?.sqrt();
    let first = match &problem.start {
        Some(x) => problem.looked(x, size)?.objective,
        None => 0.5 * size * size,
    };
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let mut options = SolveOptions::default().lambda(number(mu)).tol(EXACT).iterations(iterations);
    options.check_every = LOOK_EVERY.min(teller.options().check_every.max(1));
    options.start.clone_from(&problem.start);
    let (mut fall, mut watch) = (Fall::from(first), Watch::new(false));
    watch.see(0, first);
    let end = AtomicBool::new(false);
    let (mut ended, mut failed): (Option<Stop>, Option<Error>) = (None, None);
    let told = |progress: &mut Progress| {
        let k = progress.reading().iteration;
        let mut look = || -> Result<()> {
            let x = progress.iterate()?;
            let looked = problem.looked(&x, size)?;
            let fallen = fall.take(k, looked.objective);
            if fall.ended(fallen, looked.objective, tol) {
                ended = Some(if fallen == Gap::Still { Stop::Attained } else { Stop::Converged });
            }
            if ended.is_none() && teller.cancelled() {
                ended = Some(Stop::Cancelled);
            }
            let gap = match fallen {
                Gap::Of { above, .. } if above.is_finite() => Some(above / looked.objective.max(f64::MIN_POSITIVE)),
                _ => None,
            };
            let residual = Some(progress.reading().residual);
            let change = watch.see(k, looked.objective).change;
            let reading = Reading { gap, residual, ..looked.reading((k, iterations), change) };
            teller.tell(reading, &mut || Ok(x.clone()));
            Ok(())
        };
        if let Err(e) = look() {
            failed = Some(e);
        }
        if ended.is_some() || failed.is_some() {
            end.store(true, Ordering::Relaxed);
        }
    };
    let Solution { x, iterations, stop, .. } = cg(&system, &b, options.progress(told).cancel(&end))?;
    if let Some(e) = failed {
        return Err(e);
    }
    let stop = match stop {
        Stop::Cancelled => ended.unwrap_or(Stop::Cancelled),
        Stop::Zero => Stop::Converged,
        stop => stop,
    };
    Ok(problem.looked(&x, size)?.solved(x, Method::Cg, iterations, stop))
}
