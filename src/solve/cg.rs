//! Conjugate gradient for (N + λI) x = b.

use super::accuracy::{Accuracy, Look};
use super::many::{Begun, Recurrence, alone, one_space, together};
use super::monitor::Monitor;
use super::scale::{ask_norm, near_one, scale, scaling, times_power};
use super::{Breakdown, Solution, SolveOptions, Stop};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Needs;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Layout, Pass, Scalar, Space, Vector};

const X: Vector = Vector(0);
const R: Vector = Vector(1);
const P: Vector = Vector(2);
/// N p; between two iterations free for anything.
const Q: Vector = Vector(3);
const B: Vector = Vector(4);
const BEST: Vector = Vector(5);
/// M r, with a preconditioner M.
const Z: Vector = Vector(6);

/// ⟨r, M r⟩, now and of the next iterate; ⟨r, r⟩ without a preconditioner.
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
/// Σ α⟨r, M r⟩: by so much the iterates have lowered ⟨x, (N + λ) x⟩ − 2 Re⟨x, b⟩, if N is Hermitian.
const ENERGY: Scalar = Scalar(11);
/// Squares and products for a look at the iterate: of t = b − (N + λ) x.
const TT: Scalar = Scalar(12);
const XT: Scalar = Scalar(13);
const XB: Scalar = Scalar(14);
const XX: Scalar = Scalar(15);
const SCALES: [Scalar; 2] = [Scalar(16), Scalar(17)];
/// ‖r‖².
const SQUARE: Scalar = Scalar(18);
const SCALARS: usize = 19;

/// A curvature so far below the largest is none: p has turned into the null space, and what is left of it is rounding.
const NULL: f32 = 1e-10;

/// A curvature so far below the largest may be rounding.
const FLAT: f64 = 1e-6;

/// A residual at which a curvature that may be rounding is taken for rounding.
const NEAR: f64 = 1e-3;

/// Claimed and found energy differ by this much of it: N is not Hermitian.
const MISMATCH: f64 = 0.1;

/// An energy is known to so much of the products that it is the sum of. It matters from a start that is nearly the solution.
const KNOWN: f64 = 1e-5;

/// Operators of the space.
const NORMAL: usize = 0;
const PRECONDITIONER: usize = 1;

/// The passes, by number.
#[derive(Clone, Copy)]
enum Step {
    ScaleIn,
    Norm,
    Start,
    Place,
    Placed,
    Resume,
    Curve,
    Advance,
    Turn,
    Weigh,
    Aim,
    Look,
    Looked,
    Keep,
    ScaleOut,
    ScaleBest,
}

impl Step {
    /// In their order.
    const ALL: [Step; 16] = [
        Step::ScaleIn,
        Step::Norm,
        Step::Start,
        Step::Place,
        Step::Placed,
        Step::Resume,
        Step::Curve,
        Step::Advance,
        Step::Turn,
        Step::Weigh,
        Step::Aim,
        Step::Look,
        Step::Looked,
        Step::Keep,
        Step::ScaleOut,
        Step::ScaleBest,
    ];

    fn pass(self, preconditioned: bool) -> Pass {
        let one = || Formula::from(1.0);
        match self {
            Step::ScaleIn => scaling(B, R, SCALES),
            Step::Norm => Pass::new("norm").totals([RR]).formula(SQUARE, RR),
            Step::Start => {
                Pass::new("start").update(B, [(one(), R)]).update(P, [(one(), R)]).update(X, []).update(BEST, [])
            }
            Step::Place => scaling(X, Q, SCALES),
            Step::Placed => Pass::new("placed").update(X, [(one(), Q)]).update(BEST, [(one(), Q)]),
            // A look has left b − (N + λ) x there, and its square.
            Step::Resume => {
                Pass::new("resume").formula(RR, TT).formula(SQUARE, TT).update(R, [(one(), Q)]).update(P, [(one(), Q)])
            }
            Step::Curve => Pass::new("curve").dot(P, Q).dot(P, P),
            Step::Advance => {
                let pass = Pass::new("advance")
                    .totals([PQ, PP])
                    .formula(CURVATURE, PQ + LAMBDA * PP)
                    .formula(QUOTIENT, Formula::from(BROKEN).if_positive(QUOTIENT, CURVATURE / PP))
                    .formula(LARGEST, Formula::from(LARGEST).max(QUOTIENT))
                    .formula(BROKEN, (CURVATURE - LARGEST * PP * NULL).if_positive(BROKEN, 1.0))
                    .formula(
                        ALPHA,
                        Formula::from(BROKEN).if_positive(
                            0.0,
                            if preconditioned {
                                Formula::from(RR).if_positive(RR / CURVATURE, 0.0)
                            } else {
                                RR / CURVATURE
                            },
                        ),
                    )
                    .formula(ENERGY, ENERGY + ALPHA * RR)
                    .update(X, [(one(), X), (ALPHA.into(), P)])
                    .update(R, [(one(), R), (-ALPHA, Q), (-(ALPHA * LAMBDA), P)]);
                if preconditioned { pass } else { pass.dot(R, R) }
            }
            Step::Turn if preconditioned => Pass::new("turn")
                .totals([NEXT, SQUARE])
                .formula(BETA, NEXT / RR)
                .formula(RR, NEXT)
                .update(P, [(one(), Z), (BETA.into(), P)]),
            Step::Turn => Pass::new("turn")
                .totals([NEXT])
                .formula(SQUARE, NEXT)
                .formula(BETA, NEXT / RR)
                .formula(RR, NEXT)
                .update(P, [(one(), R), (BETA.into(), P)]),
            Step::Weigh if preconditioned => Pass::new("weigh").dot(R, Z).dot(R, R),
            Step::Aim if preconditioned => Pass::new("aim").totals([RR, SQUARE]).update(P, [(one(), Z)]),
            Step::Weigh | Step::Aim => Pass::new("nothing"),
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

/// What conjugate gradients needs of a space, with a preconditioner or without.
pub(super) fn layout(preconditioned: bool) -> Layout {
    Layout { scalars: SCALARS, passes: Step::ALL.map(|s| s.pass(preconditioned)).into() }
}

/// Solves (N + λI) x = b for a Hermitian positive definite N + λI, such as the normal N = AᴴA, on the device that holds b. λ is
/// the options' [`lambda`](SolveOptions::lambda), the start their [`start`](SolveOptions::start).
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
/// λ or tol negative or not finite, b of another shape than N takes and gives, a start that is not like x, values that are not
/// finite, or the device fails. An operator that is not positive definite is no error but a [`Stop::Breakdown`].
pub fn cg(normal: &Linop, b: &Tensor, options: SolveOptions) -> Result<Solution> {
    let needs = needs(normal, None, b, &options)?;
    alone(Cg::new(one_space(&needs, b)?, &needs), b, Monitor::new(options))
}

/// Solves (N + λI) x = b as [`cg`] does, with a preconditioner: a Hermitian positive definite linop M near (N + λI)⁻¹.
///
/// Concus, Golub and O'Leary, in Sparse Matrix Computations (1976). What counts is how far M (N + λI) is from the identity: the
/// closer its eigenvalues lie together, the fewer iterations. [`precondition`](super::precondition) makes such linops. An iteration
/// applies N and M once. λ is in the equations, not in M: make M of N + λI. It stops by the same residual as [`cg`], ‖b − (N + λ)x‖/‖b‖.
///
/// ```
/// use linops::{linop, solve::{pcg, precondition, SolveOptions}, Tensor};
/// let weights = [1.0f32, 10.0, 100.0, 1000.0];
/// let n = linop::diagonal("N=4", &Tensor::from_slice("N=4", &weights)?)?;
/// let m = precondition::jacobi(&Tensor::from_slice("N=4", &weights)?, 0.0)?;
/// let r = pcg(&n, &m, &Tensor::from_slice("N=4", &[1.0f32; 4])?, SolveOptions::default().check_every(1))?;
/// assert_eq!(r.iterations, 1);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`cg`], and M of another shape. One that is not positive definite is a [`Stop::Breakdown`].
pub fn pcg(normal: &Linop, preconditioner: &Linop, b: &Tensor, options: SolveOptions) -> Result<Solution> {
    let needs = needs(normal, Some(preconditioner), b, &options)?;
    alone(Cg::new(one_space(&needs, b)?, &needs), b, Monitor::new(options))
}

/// Solves (N + λI) x = b for several b, as [`cg`] does for one, or [`pcg`] with a preconditioner: in lockstep. On a GPU an iteration
/// of several small ones is the kernels of one, with a column for each: up to 32, and up to what fills a device and stays in its cache
/// (16 MiB of vectors and of what N holds meanwhile; 1 MiB on a software adapter). On the host small ones run side by side. Each stops
/// by itself and is the same bits as alone; when most have ended the others go on without their columns. The options are for all;
/// [`Progress::right_hand_side`](super::Progress::right_hand_side) tells whose a reading is; at a reading those come first whose iterate
/// is not looked at.
///
/// Where the data lie along a dim of one tensor `normal.over(dim)` solves for them as one system: it stops when all have converged.
///
/// ```
/// use linops::{linop, solve::{cg_many, SolveOptions}, Tensor};
/// let n = linop::diagonal("N=2", &Tensor::from_slice("N=2", &[2.0f32, 4.0])?)?;
/// let bs = [Tensor::from_slice("N=2", &[2.0f32, 4.0])?, Tensor::from_slice("N=2", &[0.0f32, 1.0])?];
/// let found = cg_many(&n, None, &bs, SolveOptions::default())?;
/// assert!((found[1].x.to_real_vec()?[1] - 0.25).abs() < 1e-6);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`cg`], with the number of the right-hand side where it showed: an operator that fails may fail for several at once.
pub fn cg_many(
    normal: &Linop,
    preconditioner: Option<&Linop>,
    bs: &[Tensor],
    options: SolveOptions,
) -> Result<Vec<Solution>> {
    together(bs, options, |b, options| needs(normal, preconditioner, b, options), Cg::new)
}

struct Cg {
    space: Box<dyn Space>,
    preconditioned: bool,
    /// The data are times 2^exponent here.
    exponent: i32,
    /// ‖b‖, scaled.
    norm: f64,
    /// The energy of the start, and the size of the products that it is the sum of.
    start: [f64; 2],
    accuracy: Accuracy,
    /// The scalars of the last reading.
    scalars: Vec<f64>,
    /// The residual of the best iterate.
    residual: f64,
}

/// What it needs of the device that holds b.
fn needs(normal: &Linop, preconditioner: Option<&Linop>, b: &Tensor, options: &SolveOptions) -> Result<Needs> {
    let name = if preconditioner.is_some() { "pcg" } else { "cg" };
    options.check(name)?;
    normal.input()?.expect(b.shape()).map_err(|e| e.at(format!("{name}: b")))?;
    normal.output()?.expect(b.shape()).map_err(|e| e.at(format!("{name}: the normal's output")))?;
    let mut operators = vec![normal.clone()];
    if let Some(m) = preconditioner {
        m.input()?.expect(b.shape()).map_err(|e| e.at("pcg: the preconditioner's input"))?;
        m.output()?.expect(b.shape()).map_err(|e| e.at("pcg: the preconditioner's output"))?;
        operators.push(m.clone());
    }
    let preconditioned = operators.len() > 1;
    let vector = (b.shape().clone(), b.dtype());
    options.check_start(name, &vector, &b.device())?;
    let vectors = vec![vector; if preconditioned { 7 } else { 6 }];
    Ok(Needs { name, operators, vectors, layout: layout(preconditioned) })
}

impl Cg {
    fn new(space: Box<dyn Space>, needs: &Needs) -> Cg {
        let (preconditioned, accuracy) = (needs.operators.len() > 1, Accuracy::new());
        let scalars = Vec::new();
        Cg { space, preconditioned, exponent: 0, norm: 0.0, start: [0.0; 2], accuracy, scalars, residual: 1.0 }
    }

    fn run(&mut self, step: Step) -> Result<()> {
        self.space.pass(step as usize)
    }

    /// From a start whose residual was asked for; whether that is small enough.
    fn started(&mut self, monitor: &Monitor) -> Result<bool> {
        let (look, energy) = self.look(0, 1.0)?;
        if !look.residual.is_finite() {
            return value_err!("cg: the start holds NaN, infinite values, or such that overflow");
        }
        self.residual = look.residual;
        self.start[0] = energy;
        Ok(look.residual <= f64::from(monitor.options().tol))
    }

    /// Whether the preconditioner has taken the residual to nothing, or turned it round.
    fn lost(&self, scalars: &[f64]) -> bool {
        self.preconditioned && scalars[RR.0] <= 0.0 && scalars[SQUARE.0] > 0.0
    }
}

impl Recurrence for Cg {
    /// By how much the iterate has lowered the energy.
    type Seen = f64;

    fn begin(&mut self, stage: usize, b: &Tensor, monitor: &mut Monitor) -> Result<Begun> {
        let norm = [Step::ScaleIn, Step::Norm].map(|step| step as usize);
        match stage {
            0 => {
                self.space.set(B, b)?;
                self.space.set_scalar(LAMBDA, monitor.options().lambda)?;
                ask_norm(&mut *self.space, norm, SCALES)?;
                return Ok(Begun::More);
            }
            1 => {
                let found = near_one(&mut *self.space, norm, SCALES, RR)?;
                self.run(Step::Start)?;
                let Some((exponent, norm)) = found else {
                    self.residual = 0.0;
                    return Ok(Begun::Ended(Stop::Zero));
                };
                (self.exponent, self.norm) = (exponent, norm);
                if let Some(start) = &monitor.options().start {
                    self.space.set(X, start)?;
                    scale(&mut *self.space, Step::Place as usize, SCALES, exponent)?;
                    self.run(Step::Placed)?;
                    self.ask()?;
                    return Ok(Begun::More);
                }
            }
            _ if self.started(monitor)? => return Ok(Begun::Ended(Stop::Converged)),
            _ => self.run(Step::Resume)?,
        }
        if self.preconditioned {
            self.space.apply(PRECONDITIONER, R, Z)?;
            self.run(Step::Weigh)?;
            self.run(Step::Aim)?;
        }
        Ok(Begun::Ready)
    }

    fn advance(&mut self) -> Result<()> {
        self.space.apply(NORMAL, P, Q)?;
        self.run(Step::Curve)?;
        self.run(Step::Advance)?;
        if self.preconditioned {
            self.space.apply(PRECONDITIONER, R, Z)?;
            self.run(Step::Weigh)?;
        }
        self.run(Step::Turn)?;
        self.space.submit()
    }

    fn send(&mut self) -> Result<()> {
        self.space.send()
    }

    fn residual(&mut self, k: usize) -> Result<(f64, bool)> {
        self.scalars = self.space.scalars()?;
        let residual = self.scalars[SQUARE.0].sqrt() / self.norm;
        if !residual.is_finite() || !self.scalars[RR.0].is_finite() {
            return value_err!(
                "cg: the iteration overflowed at step {k}; scale the operator down or use a smaller lambda"
            );
        }
        Ok((residual, self.scalars[BROKEN.0] > 0.0 || self.lost(&self.scalars)))
    }

    fn ask(&mut self) -> Result<()> {
        self.space.apply(NORMAL, X, Q)?;
        self.run(Step::Look)?;
        self.run(Step::Looked)
    }

    fn look(&mut self, iteration: usize, recurrence: f64) -> Result<(Look, f64)> {
        let s = self.space.scalars()?;
        let residual = s[TT.0].sqrt() / self.norm;
        let size = (s[LARGEST.0] * s[XX.0].sqrt() + self.norm) / self.norm;
        if iteration == 0 {
            self.start[1] = s[XB.0].abs() + s[XT.0].abs();
        }
        Ok((Look { iteration, recurrence, residual, size }, s[XB.0] + s[XT.0]))
    }

    fn take(&mut self, look: Look) -> Result<()> {
        if self.accuracy.take(look) {
            self.run(Step::Keep)?;
            self.residual = look.residual;
        }
        Ok(())
    }

    fn stop(&self, look: Look, energy: f64, options: &SolveOptions, _: bool, cancelled: bool) -> Option<Stop> {
        let scalars = self.scalars.as_slice();
        let (claimed, gained) = (scalars[ENERGY.0], energy - self.start[0]);
        let mismatch = MISMATCH * gained.abs() + KNOWN * self.start[1];
        let flat = scalars[QUOTIENT.0].abs() <= FLAT * scalars[LARGEST.0] && look.residual <= NEAR;
        Some(match () {
            _ if look.residual <= f64::from(options.tol) => Stop::Converged,
            _ if !self.accuracy.decided() && (claimed - gained).abs() > mismatch => {
                Stop::Breakdown(Breakdown::NotHermitian)
            }
            _ if self.lost(scalars) && !self.accuracy.decided() => Stop::Breakdown(Breakdown::Preconditioner),
            _ if self.lost(scalars) => Stop::Attained,
            _ if scalars[BROKEN.0] > 0.0 && (flat || self.accuracy.decided()) => Stop::Attained,
            _ if scalars[BROKEN.0] > 0.0 => Stop::Breakdown(Breakdown::NotPositive),
            _ if self.accuracy.attained(look) => Stop::Attained,
            _ if cancelled => Stop::Cancelled,
            _ if look.iteration == options.iterations => Stop::Iterations,
            _ => return None,
        })
    }

    fn iterate(&mut self) -> Result<Tensor> {
        times_power(&mut *self.space, X, (Step::ScaleOut as usize, Q), SCALES, -self.exponent)
    }

    fn best(&mut self) -> Result<(Tensor, f64)> {
        let x = times_power(&mut *self.space, BEST, (Step::ScaleBest as usize, Q), SCALES, -self.exponent)?;
        Ok((x, self.residual))
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
