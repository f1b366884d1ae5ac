//! Weights from the noise: the one by which x is nearest to the truth, which nobody knows. Where y is the truth with noise of the
//! deviations σᵢ on the samples that M keeps, each by itself,
//!
//! ```text
//! ‖M x − y‖² + 2 Σ σᵢ² ∂(M x)ᵢ/∂yᵢ − Σ σᵢ²
//! ```
//!
//! is what ‖M (x − truth)‖² may be expected to be, whatever the regulariser (Stein, Ann. Stat. 9:1135, 1981). The second sum is about
//! ⟨d, x(y + d) − x(y)⟩/‖d‖² times the third for d as large as the noise times some part, with the signs of a coin (Ramani, Blu and
//! Unser, IEEE Trans. Image Process. 17:1540, 2008). Both x are of as many iterations from one start: what they are from rest, they
//! are alike.

use super::Denoising;
use super::weight::{Before, Given, Solve, Weighed};
use crate::convex::Problem;
use crate::error::Result;
use crate::run::Device;
use crate::solve::Stop;
use ndarray::ArrayD;

/// Weights that are tried, at most, and by what factor they differ.
const TRIES: usize = 12;
const STEP: f64 = 1.5;

/// The first weight, in units of σ.
const FIRST: f64 = 0.7;

/// The least weight, in units of σ: it takes next to nothing away.
const LEAST: f64 = 0.05;

/// Iterations for a weight, from the x of the one beside it.
const ITERATIONS: usize = 20;

/// So far below 0, as a part of the variance, is no risk of noise that is there; of n samples chance alone is √(2/n), of which it is as many.
const LESS: f64 = 0.2;
const CHANCE: f64 = 3.0;

/// The same picture, a little apart.
pub(in crate::app) struct Probe {
    pub problem: Problem,
    /// By how much; 0 where nothing is known.
    pub apart: ArrayD<f32>,
}

/// By which the risk of a weight is found.
pub(in crate::app) struct Probes {
    pub all: Vec<Probe>,
    /// The mean of all σᵢ².
    pub variance: f64,
}

impl Probe {
    /// Σ σᵢ² ∂xᵢ/∂yᵢ as a part of Σ σᵢ², of x and the one by the probe.
    fn gain(&self, x: &Weighed, by_probe: &Weighed) -> Result<f64> {
        let [x, moved] = [x, by_probe].map(|w| w.solved.x.to(&Device::host())?.to_real_array());
        let (x, moved) = (x?, moved?);
        let product = |a: &ArrayD<f32>, b: &ArrayD<f32>| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        Ok(product(&self.apart, &(moved - x)) / product(&self.apart, &self.apart))
    }
}

/// The risks of the weights so far, both in logarithms but for the risk, by weight.
#[derive(Default)]
struct Risks(Vec<[f64; 2]>);

/// What comes next.
#[derive(Debug, PartialEq)]
enum Next {
    Try(f64),
    Take(f64),
}

impl Risks {
    /// Takes one in; whether it is the least.
    fn add(&mut self, log: f64, risk: f64) -> bool {
        let least = self.0.iter().all(|[_, r]| risk < *r);
        let at = self.0.partition_point(|[l, _]| *l < log);
        self.0.insert(at, [log, risk]);
        least
    }

    /// Beside the least of them, as long as it is at an end; else the least of the parabola through it and its neighbours.
    fn next(&self, [low, high]: [f64; 2]) -> Next {
        let all = &self.0;
        let least = (0..all.len()).min_by(|a, b| all[*a][1].total_cmp(&all[*b][1])).unwrap_or(0);
        let log = all[least][0];
        if all.len() < TRIES {
            if least == 0 && log > low {
                return Next::Try((log - STEP.ln()).max(low));
            }
            if least + 1 == all.len() && log < high {
                return Next::Try((log + STEP.ln()).min(high));
            }
        }
        let (Some(before), Some(after)) = (least.checked_sub(1).map(|k| all[k]), all.get(least + 1)) else {
            return Next::Take(log);
        };
        let [[a, fa], [b, fb], [c, fc]] = [before, all[least], *after];
        let (left, right) = ((b - a) * (fb - fc), (b - c) * (fb - fa));
        let bend = left - right;
        Next::Take(if bend.abs() > 0.0 { b - 0.5 * ((b - a) * left - (b - c) * right) / bend } else { b }.clamp(a, c))
    }
}

impl Denoising<'_> {
    /// Solves by the weight of the least risk.
    pub(super) fn of_least_risk(&mut self, given: &Given, probes: &Probes) -> Result<Weighed> {
        let [low, high] = given.weights;
        let bounds = [low.max(LEAST * given.noise).min(high), high].map(f64::ln);
        // By the method that suits: another one may be farther from rest after as many iterations, by more for some weights than for others.
        let steps = Solve { iterations: ITERATIONS, tol: 0.0, method: None };
        let last = Solve { iterations: self.iterations, tol: self.tol, method: self.method };
        let (mut risks, mut best) = (Risks::default(), None::<Before>);
        let (mut solves, mut least) = (0, f64::INFINITY);
        let mut log = (FIRST * given.noise).ln().clamp(bounds[0], bounds[1]);
        loop {
            let weight = log.exp();
            let mut found = self.once(given, &given.problem, weight, best.as_ref(), steps)?;
            solves += 1;
            let mut gain = 0.0;
            for probe in &probes.all {
                if found.solved.stop == Stop::Cancelled {
                    break;
                }
                let by_probe = self.once(given, &probe.problem, weight, best.as_ref(), steps)?;
                solves += 1;
                gain += probe.gain(&found, &by_probe)? / probes.all.len() as f64;
                if by_probe.solved.stop == Stop::Cancelled {
                    found.solved.stop = Stop::Cancelled;
                }
            }
            if found.solved.stop == Stop::Cancelled {
                return Ok(Weighed { solves, ..found });
            }
            let risk = found.deviation.powi(2) / probes.variance + 2.0 * gain - 1.0;
            if risks.add(log, risk) {
                (best, least) = (Some(Before { weight, solved: found.solved }), risk);
            }
            match risks.next(bounds) {
                Next::Try(next) => log = next,
                Next::Take(at) => {
                    let found = self.once(given, &given.problem, at.exp(), best.as_ref(), last)?;
                    let less_noise = least < -LESS.max(CHANCE * (2.0 / given.count as f64).sqrt());
                    return Ok(Weighed { solves: solves + 1, less_noise, ..found });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weight that is taken, and how many are tried.
    fn found(first: f64, bounds: [f64; 2], risk: impl Fn(f64) -> f64) -> (f64, usize) {
        let (mut risks, mut log) = (Risks::default(), first);
        loop {
            risks.add(log, risk(log));
            match risks.next(bounds) {
                Next::Try(next) => log = next,
                Next::Take(at) => return (at, risks.0.len()),
            }
        }
    }

    #[test]
    fn the_least_risk_is_found_between_neighbours_or_at_an_end() {
        let free = [f64::NEG_INFINITY, f64::INFINITY];
        for least in [-1.7, -0.4, 0.0, 0.1, 0.3, 1.9] {
            let (at, tries) = found(0.0, free, |log| (log - least).powi(2));
            assert!((at - least).abs() < 1e-9 && tries <= 8, "{least}: {at} after {tries}");
        }
        assert_eq!(found(0.0, [-0.5, 0.25], |log| log).0, -0.5);
        assert_eq!(found(0.0, [-0.5, 0.25], |log| -log).0, 0.25);
        // What falls without end is not followed for ever.
        assert_eq!(found(0.0, free, |log| -log).1, TRIES);
        // All alike.
        let (at, tries) = found(0.0, free, |_| 1.0);
        assert!(at.is_finite() && tries <= TRIES);
    }
}
