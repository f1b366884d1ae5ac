//! Weights from the noise: the one by which A x differs from y as much as the noise does, or [of the least risk](super::risk).
//!
//! The misfit grows with the weight, but where A takes much away it hardly does: what lies outside of A's range no weight explains. Where the
//! misfit is still above the noise at a weight that holds no noise back any more, lower ones only bring in what no one has seen.

use super::Denoising;
use super::risk::Probes;
use crate::app::regularise::{Stated, Weight};
use crate::convex::{ConvexOptions, Method, Problem, Solved};
use crate::error::Result;
use crate::solve::Stop;
use crate::tensor::Tensor;

/// Solves for a weight, at most, and how near to the noise the difference is to come.
const SOLVES: usize = 10;
const NEAR: f64 = 0.02;

/// The tolerance while the weight is looked for.
const LOOSE: f64 = 1e-3;

/// The first weight, in units of σ.
const FIRST: f64 = 0.7;

/// The weight that fills gaps, in units of σ, and in units of the largest value at least.
const FILL: f64 = 0.225;
const LEAST: f64 = 2e-4;

/// A solve with another weight, from which the next begins.
pub(super) struct Before {
    pub weight: f64,
    pub solved: Solved,
}

/// How far one goes.
#[derive(Clone, Copy)]
pub(super) struct Solve {
    pub iterations: usize,
    pub tol: f64,
    pub method: Option<Method>,
}

/// A problem to be solved by weights that follow from the noise.
pub(in crate::app) struct Given<'a> {
    pub problem: Problem,
    /// The dims of x that the regularisers are over.
    pub axes: &'a str,
    /// Data that count.
    pub count: usize,
    /// The root mean square of the noise, which the misfit is to have without probes.
    pub noise: f64,
    /// By which the risk of a weight is found.
    pub probes: Option<Probes>,
    /// The largest magnitude of the data.
    pub size: f64,
    /// The least weight and the largest one that a search takes.
    pub weights: [f64; 2],
    /// ‖AᴴA‖ at most, where it is known.
    pub norm: Option<f64>,
    /// From what the first solve begins, if not from 0.
    pub start: Option<Tensor>,
}

/// What came of it.
pub(in crate::app) struct Weighed {
    pub solved: Solved,
    pub terms: Vec<Stated>,
    pub deviation: f64,
    /// Whether there is less noise than was given.
    pub less_noise: bool,
    /// Whether the least weight leaves more of a misfit than the noise.
    pub unreached: bool,
    pub solves: usize,
}

impl Denoising<'_> {
    /// Solves a problem whose weights follow from the noise where they are not given.
    pub(in crate::app) fn weighed(&mut self, given: &Given) -> Result<Weighed> {
        let &Given { noise, size, .. } = given;
        let open = self.regularisation.terms.iter().any(|t| t.weight.is_none());
        if !open || self.fill || noise <= 1e-7 * size {
            let last = Solve { iterations: self.iterations, tol: self.tol, method: self.method };
            return self.once(given, &given.problem, (FILL * noise).max(LEAST * size), None, last);
        }
        match &given.probes {
            Some(probes) => self.of_least_risk(given, probes),
            None => self.fitted_to_noise(given),
        }
    }

    /// Looks for the weight by which the difference is the noise: a secant in logarithms, each solve from the one before.
    fn fitted_to_noise(&mut self, given: &Given) -> Result<Weighed> {
        let [least, most] = given.weights;
        let mut weight = (FIRST * given.noise).clamp(least, most);
        let mut before: Option<(f64, f64)> = None;
        let mut start = None;
        let mut solves = 0;
        let loose = Solve { iterations: self.iterations, tol: self.tol.max(LOOSE), method: self.method };
        loop {
            let mut result = self.once(given, &given.problem, weight, start.as_ref(), loose)?;
            solves += 1;
            // Of an even picture nothing can be taken: the difference is 0.
            let far = (result.deviation / given.noise).max(1e-3).ln();
            let still = before.is_some_and(|(_, f)| (far - f).abs() < 1e-4);
            let cancelled = result.solved.stop == Stop::Cancelled;
            let less = weight >= most && far <= -NEAR;
            let unreached = weight <= least && far >= NEAR;
            if far.abs() < NEAR || less || unreached || still || solves == SOLVES || cancelled {
                if self.tol < LOOSE && !cancelled {
                    let before = Before { weight, solved: result.solved };
                    result =
                        self.once(given, &given.problem, weight, Some(&before), Solve { tol: self.tol, ..loose })?;
                    solves += 1;
                }
                result.solves = solves;
                let unreached = unreached && result.deviation > given.noise * NEAR.exp();
                (result.less_noise, result.unreached) = (less && !cancelled, unreached && !cancelled);
                return Ok(result);
            }
            let log = weight.ln();
            // ‖A x − y‖ grows about as a power of the weight, and at most with it.
            let slope = match before {
                Some((l, f)) if (log - l).abs() > 1e-9 => ((far - f) / (log - l)).clamp(0.2, 1.5),
                _ => 0.8,
            };
            before = Some((log, far));
            start = Some(Before { weight, solved: result.solved });
            weight = (log - (far / slope).clamp(-2.0, 2.0)).exp().clamp(least, most);
        }
    }

    pub(super) fn once(
        &mut self,
        given: &Given,
        problem: &Problem,
        weight: f64,
        start: Option<&Before>,
        solve: Solve,
    ) -> Result<Weighed> {
        let default = |_| Weight::Absolute(weight);
        let (problem, terms) = self.regularisation.add(problem.clone(), given.axes, None, &default)?;
        let problem = match start {
            Some(Before { weight: old, solved }) => {
                // Duals are about as large as the weights.
                let scaled = |p: &Tensor| crate::functional::combined(&[(weight / old, p)]);
                problem.start(&solved.x)?.duals(solved.duals.iter().map(scaled).collect::<Result<_>>()?)
            }
            None => given.start.iter().try_fold(problem, |problem, x| problem.start(x))?,
        };
        let mut options =
            ConvexOptions::default().iterations(solve.iterations).tol(solve.tol).method(solve.method).norm(given.norm);
        if let Some(progress) = &mut self.progress {
            options = options.progress(progress);
        }
        if let Some(cancel) = self.cancel {
            options = options.cancel(cancel);
        }
        let solved = problem.solve(options)?;
        let deviation = (2.0 * solved.data_term / given.count as f64).sqrt();
        Ok(Weighed { solved, terms, deviation, less_noise: false, unreached: false, solves: 1 })
    }
}
