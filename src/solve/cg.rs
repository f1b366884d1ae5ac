//! Conjugate gradient for (N + λI) x = b.

use super::accuracy::{Accuracy, Look};
use super::monitor::Monitor;
use super::scale::{scale, scaling, to_unit_norm};
use super::{Breakdown, Solution, SolveOptions, Stop};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Layout, Pass, Scalar, Space, Vector};

const X: Vector = Vector(0);
const R: Vector = Vector(1);
const P: Vector = Vector(2);
/// N p; between two iterations free for anything.
const Q: Vector = Vector(3);
const B: Vector = Vector(4);
const BEST: Vector = Vector(5);

/// ⟨r, r⟩, now and of the next iterate.
const RR: Scalar = Scalar(0);
const NEXT: Scalar = Scalar(1);
const PQ: Scalar = Scalar(2);
const PP: Scalar = Scalar(3);
const ALPHA: Scalar = Scalar(4);
const BETA: Scalar = Scalar(5);
const LAMBDA: Scalar = Scalar(6);
/// ⟨p, (N + λ) p⟩, and over ⟨p, p⟩.
const CURVATURE: Scalar = Scalar(7);
const QUOTIENT: Scalar = Scalar(8);
/// The largest quotient: ‖N + λ‖, from below.
const LARGEST: Scalar = Scalar(9);
/// Positive once a curvature was not.
const BROKEN: Scalar = Scalar(10);
/// Σ α⟨r, r⟩: by so much the iterates have lowered ⟨x, (N + λ) x⟩ − 2 Re⟨x, b⟩, if N is Hermitian.
const ENERGY: Scalar = Scalar(11);
/// Squares and products for a look at the iterate: of t = b − (N + λ) x.
const TT: Scalar = Scalar(12);
const XT: Scalar = Scalar(13);
const XB: Scalar = Scalar(14);
const XX: Scalar = Scalar(15);
const SCALES: [Scalar; 2] = [Scalar(16), Scalar(17)];
const SCALARS: usize = 18;

/// A curvature so far below the largest is none: p has turned into the null space, and what is left of it is rounding.
const NULL: f32 = 1e-10;

/// A curvature so far below the largest may be rounding.
const FLAT: f64 = 1e-6;

/// A residual at which a curvature that may be rounding is taken for rounding.
const NEAR: f64 = 1e-3;

/// Claimed and found energy differ by this much of it: N is not Hermitian.
const MISMATCH: f64 = 0.1;

/// The passes, by number.
#[derive(Clone, Copy)]
enum Step {
    ScaleIn,
    Norm,
    Start,
    Curve,
    Advance,
    Turn,
    Look,
    Looked,
    Keep,
    ScaleOut,
    ScaleBest,
}

impl Step {
    /// In their order.
    const ALL: [Step; 11] = [
        Step::ScaleIn,
        Step::Norm,
        Step::Start,
        Step::Curve,
        Step::Advance,
        Step::Turn,
        Step::Look,
        Step::Looked,
        Step::Keep,
        Step::ScaleOut,
        Step::ScaleBest,
    ];

    fn pass(self) -> Pass {
        let one = || Formula::from(1.0);
        match self {
            Step::ScaleIn => scaling(B, R, SCALES),
            Step::Norm => Pass::new("norm").totals([RR]),
            Step::Start => {
                Pass::new("start").update(B, [(one(), R)]).update(P, [(one(), R)]).update(X, []).update(BEST, [])
            }
            Step::Curve => Pass::new("curve").dot(P, Q).dot(P, P),
            Step::Advance => Pass::new("advance")
                .totals([PQ, PP])
                .formula(CURVATURE, PQ + LAMBDA * PP)
                .formula(QUOTIENT, Formula::from(BROKEN).if_positive(QUOTIENT, CURVATURE / PP))
                .formula(LARGEST, Formula::from(LARGEST).max(QUOTIENT))
                .formula(BROKEN, (CURVATURE - LARGEST * PP * NULL).if_positive(BROKEN, 1.0))
                .formula(ALPHA, Formula::from(BROKEN).if_positive(0.0, RR / CURVATURE))
                .formula(ENERGY, ENERGY + ALPHA * RR)
                .update(X, [(one(), X), (ALPHA.into(), P)])
                .update(R, [(one(), R), (-ALPHA, Q), (-(ALPHA * LAMBDA), P)])
                .dot(R, R),
            Step::Turn => Pass::new("turn")
                .totals([NEXT])
                .formula(BETA, NEXT / RR)
                .formula(RR, NEXT)
                .update(P, [(one(), R), (BETA.into(), P)]),
            Step::Look => Pass::new("look")
                .update(Q, [(one(), B), (-one(), Q), (-LAMBDA, X)])
                .dot(Q, Q)
                .dot(X, Q)
                .dot(X, B)
                .dot(X, X),
            Step::Looked => Pass::new("looked").totals([TT, XT, XB, XX]),
            Step::Keep => Pass::new("keep").update(BEST, [(one(), X)]),
            Step::ScaleOut => scaling(X, Q, SCALES),
            Step::ScaleBest => scaling(BEST, Q, SCALES),
        }
    }
}

/// What conjugate gradients needs of a space.
pub(super) fn layout() -> Layout {
    Layout { scalars: SCALARS, passes: Step::ALL.map(Step::pass).into() }
}

/// Solves (N + λI) x = b for a Hermitian positive definite N + λI, such as the normal N = AᴴA, from x = 0, on the device that
/// holds b. λ is the options' [`lambda`](SolveOptions::lambda).
///
/// Hestenes and Stiefel, J. Res. Nat. Bur. Standards 49:409 (1952). An iteration applies N once, and reads nothing back except
/// at the readings. Now and then, and before it says that it has converged, the residual of the iterate is computed from the
/// iterate, which costs one more apply. The best iterate is kept and returned.
///
/// ```
/// use linops::{linop, solve::{cg, SolveOptions}, Tensor};
/// use num_complex::Complex32;
/// let w = Tensor::from_array(ndarray::arr1(&[1.0f32, 2.0, 4.0]), "N")?;
/// let a = linop::diagonal("N=3", &w)?;
/// let y = Tensor::from_array(ndarray::arr1(&[Complex32::new(1.0, 1.0); 3]), "N")?;
/// let x = cg(&a.n(), &a.h().apply(&y)?, SolveOptions::default())?.x.to_array()?;
/// assert!((x[1] - Complex32::new(0.5, 0.5)).norm() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ or tol negative or not finite, b of another shape than N takes and gives, values that are not finite, or the device fails.
/// An operator that is not positive definite is no error but a [`Stop::Breakdown`].
pub fn cg(normal: &Linop, b: &Tensor, options: SolveOptions) -> Result<Solution> {
    options.check("cg")?;
    normal.input()?.expect(b.shape()).map_err(|e| e.at("cg: b"))?;
    normal.output()?.expect(b.shape()).map_err(|e| e.at("cg: the normal's output"))?;
    let vector = (b.shape().clone(), b.dtype());
    let space = b.device().space(&[normal], &vec![vector; 6], layout()).map_err(|e| e.at("cg"))?;
    Cg { space, exponent: 0, norm: 0.0, accuracy: Accuracy::new(), residual: 1.0 }.solve(b, Monitor::new(options))
}

struct Cg {
    space: Box<dyn Space>,
    /// The data are times 2^exponent here.
    exponent: i32,
    /// ‖b‖, scaled.
    norm: f64,
    accuracy: Accuracy,
    /// The residual of the best iterate.
    residual: f64,
}

impl Cg {
    fn run(&mut self, step: Step) -> Result<()> {
        self.space.pass(step as usize)
    }

    fn solve(mut self, b: &Tensor, mut monitor: Monitor) -> Result<Solution> {
        self.space.set(B, b)?;
        self.space.set_scalar(LAMBDA, monitor.options().lambda)?;
        let space = &mut *self.space;
        let mut norm = |exponent: i32| -> Result<f64> {
            scale(space, Step::ScaleIn as usize, SCALES, exponent)?;
            space.pass(Step::Norm as usize)?;
            Ok(space.scalars()?[RR.0].sqrt())
        };
        let Some(exponent) = to_unit_norm(&mut norm)? else {
            self.run(Step::Start)?;
            self.residual = 0.0;
            return self.solution(0, Stop::Zero, monitor);
        };
        self.exponent = exponent;
        self.norm = self.space.scalars()?[RR.0].sqrt();
        self.run(Step::Start)?;
        let iterations = monitor.options().iterations;
        for k in 1..=iterations {
            self.space.apply(0, P, Q)?;
            self.run(Step::Curve)?;
            self.run(Step::Advance)?;
            self.run(Step::Turn)?;
            self.space.submit()?;
            // Asked once: what is set while it is told counts at the next iteration.
            let cancelled = monitor.cancelled();
            if !cancelled && !monitor.reads(k) {
                continue;
            }
            let scalars = self.space.scalars()?;
            let residual = scalars[RR.0].sqrt() / self.norm;
            if !residual.is_finite() {
                return value_err!(
                    "cg: the iteration overflowed at step {k}; scale the operator down or use a smaller lambda"
                );
            }
            let broken = scalars[BROKEN.0] > 0.0;
            if !broken && !cancelled && !monitor.checks(k, residual) {
                monitor.tell(k, residual, None, &mut || self.unscaled(Step::ScaleOut));
                continue;
            }
            let (look, energy) = self.look(k, residual)?;
            if self.accuracy.take(look) {
                self.run(Step::Keep)?;
                self.residual = look.residual;
            }
            monitor.tell(k, residual, Some(look.residual), &mut || self.unscaled(Step::ScaleOut));
            if let Some(stop) = self.stop(look, &scalars, energy, monitor.options(), cancelled) {
                return self.solution(k, stop, monitor);
            }
        }
        self.solution(iterations, Stop::Iterations, monitor)
    }

    /// Computes the residual of the iterate from the iterate, and by how much it has lowered the energy.
    fn look(&mut self, iteration: usize, recurrence: f64) -> Result<(Look, f64)> {
        self.space.apply(0, X, Q)?;
        self.run(Step::Look)?;
        self.run(Step::Looked)?;
        let s = self.space.scalars()?;
        let residual = s[TT.0].sqrt() / self.norm;
        let size = (s[LARGEST.0] * s[XX.0].sqrt() + self.norm) / self.norm;
        Ok((Look { iteration, recurrence, residual, size }, s[XB.0] + s[XT.0]))
    }

    fn stop(&self, look: Look, scalars: &[f64], energy: f64, options: &SolveOptions, cancelled: bool) -> Option<Stop> {
        let claimed = scalars[ENERGY.0];
        let flat = scalars[QUOTIENT.0].abs() <= FLAT * scalars[LARGEST.0] && look.residual <= NEAR;
        Some(match () {
            _ if look.residual <= f64::from(options.tol) => Stop::Converged,
            _ if !self.accuracy.decided() && (claimed - energy).abs() > MISMATCH * energy.abs() => {
                Stop::Breakdown(Breakdown::NotHermitian)
            }
            _ if scalars[BROKEN.0] > 0.0 && (flat || self.accuracy.decided()) => Stop::Attained,
            _ if scalars[BROKEN.0] > 0.0 => Stop::Breakdown(Breakdown::NotPositive),
            _ if self.accuracy.attained(look) => Stop::Attained,
            _ if cancelled => Stop::Cancelled,
            _ if look.iteration == options.iterations => Stop::Iterations,
            _ => return None,
        })
    }

    /// A copy of the iterate, or of the best one, at the scale of the data.
    fn unscaled(&mut self, step: Step) -> Result<Tensor> {
        if self.exponent == 0 {
            return self.space.get(if matches!(step, Step::ScaleOut) { X } else { BEST });
        }
        scale(&mut *self.space, step as usize, SCALES, -self.exponent)?;
        self.space.get(Q)
    }

    fn solution(mut self, iterations: usize, stop: Stop, monitor: Monitor) -> Result<Solution> {
        let x = self.unscaled(Step::ScaleBest)?;
        Ok(Solution { x, iterations, residual: self.residual, history: monitor.history, stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_listed_in_their_order() {
        for (k, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, k);
        }
    }
}
