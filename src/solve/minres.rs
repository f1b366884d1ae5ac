//! MINRES for (N + λI) x = b with a Hermitian N of any signs.

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
const BEST: Vector = Vector(1);
const B: Vector = Vector(2);
/// N times something; between two iterations free for anything.
const Q: Vector = Vector(3);
/// Lanczos' vector and the one before, as they come: β v.
const V: Vector = Vector(4);
const V_BEFORE: Vector = Vector(5);
/// Directions: columns of V R⁻¹.
const W: Vector = Vector(6);
const W_BEFORE: Vector = Vector(7);
/// N times a residual.
const NT: Vector = Vector(8);
const VECTORS: usize = 9;

/// The power of two that N is multiplied by.
const SCALE: Scalar = Scalar(0);
const LAMBDA: Scalar = Scalar(1);
/// ‖r‖ of the recurrence, but for the sign.
const ETA: Scalar = Scalar(2);
/// ‖N + λ‖², from below.
const LARGEST: Scalar = Scalar(3);
/// Positive once the recurrence has come to its end: the next vector is rounding.
const HALTED: Scalar = Scalar(4);
const ALPHA: Scalar = Scalar(5);
const BETA: Scalar = Scalar(6);
const PER_BETA: Scalar = Scalar(7);
const BETA_BEFORE: Scalar = Scalar(8);
const PER_BEFORE: Scalar = Scalar(9);
const VQ: Scalar = Scalar(10);
const VV: Scalar = Scalar(11);
/// The last two rotations.
const COSINE: Scalar = Scalar(12);
const SINE: Scalar = Scalar(13);
const COSINE_BEFORE: Scalar = Scalar(14);
const SINE_BEFORE: Scalar = Scalar(15);
/// The column of R: its diagonal and what stands above, and the diagonal's square and inverse.
const DELTA: Scalar = Scalar(16);
const RHO: Scalar = Scalar(17);
const RHO_2: Scalar = Scalar(18);
const RHO_3: Scalar = Scalar(19);
const SQUARE: Scalar = Scalar(20);
const PER_RHO: Scalar = Scalar(21);
/// The step along the direction.
const STEP: Scalar = Scalar(22);
/// Of a look: squares of t = b − (N + λ) x, of x, and of (N + λ) t.
const TT: Scalar = Scalar(23);
const XX: Scalar = Scalar(24);
const NTNT: Scalar = Scalar(25);
const SCALES: [Scalar; 2] = [Scalar(26), Scalar(27)];
/// ⟨b, t⟩ and ⟨x, (N + λ) t⟩.
const BT: Scalar = Scalar(30);
const XNT: Scalar = Scalar(31);
const SCALARS: usize = 32;

/// A square so far below ‖N‖² is none: what is left of the vector is rounding.
const NULL: f32 = 1e-13;

/// ‖N r‖ so far below ‖N‖‖r‖: no x leaves less than r.
const ORTHOGONAL: f64 = 1e-6;

/// ⟨N x, t⟩ and ⟨x, N t⟩ differ by this part of ‖N x‖‖t‖ and more: N is not Hermitian.
const MISMATCH: f64 = 1e-4;

/// The passes, by number.
#[derive(Clone, Copy)]
enum Step {
    Zero,
    ScaleIn,
    Norm,
    Keep,
    ScaleImage,
    ImageNorm,
    ScaleStart,
    KeepStart,
    Resume,
    First,
    Begin,
    Curve,
    Next,
    Turn,
    Look,
    Looked,
    LookTwice,
    LookedTwice,
    KeepBest,
    ScaleOut,
    ScaleBest,
}

/// The passes that find the norm of b, and of N times it.
const DATA_NORM: [usize; 2] = [Step::ScaleIn as usize, Step::Norm as usize];
const IMAGE_NORM: [usize; 2] = [Step::ScaleImage as usize, Step::ImageNorm as usize];

impl Step {
    /// In their order.
    const ALL: [Step; 21] = [
        Step::Zero,
        Step::ScaleIn,
        Step::Norm,
        Step::Keep,
        Step::ScaleImage,
        Step::ImageNorm,
        Step::ScaleStart,
        Step::KeepStart,
        Step::Resume,
        Step::First,
        Step::Begin,
        Step::Curve,
        Step::Next,
        Step::Turn,
        Step::Look,
        Step::Looked,
        Step::LookTwice,
        Step::LookedTwice,
        Step::KeepBest,
        Step::ScaleOut,
        Step::ScaleBest,
    ];

    fn pass(self) -> Pass {
        let one = || Formula::from(1.0);
        match self {
            Step::Zero => Pass::new("minres_zero").update(X, []).update(BEST, []),
            Step::ScaleIn => scaling(B, V, SCALES),
            Step::Norm => Pass::new("minres_norm").totals([VV]),
            Step::Keep => Pass::new("minres_data").update(B, [(one(), V)]),
            Step::ScaleImage => scaling(Q, W, SCALES),
            Step::ImageNorm => Pass::new("minres_image").totals([VV]),
            Step::ScaleStart => scaling(X, Q, SCALES),
            Step::KeepStart => Pass::new("minres_start").update(X, [(one(), Q)]).update(BEST, [(one(), Q)]),
            // A look has left b − (N + λ) x there.
            Step::Resume => Pass::new("minres_resume").update(V, [(one(), Q)]),
            Step::First => Pass::new("minres_first").dot(V, V),
            Step::Begin => {
                let pass = Pass::new("minres_begin").totals([VV]).formula(BETA, Formula::from(VV).root());
                pass.formula(PER_BETA, one() / BETA)
                    .formula(PER_BEFORE, 0.0)
                    .formula(ETA, BETA)
                    .formula(COSINE, 1.0)
                    .formula(COSINE_BEFORE, 1.0)
                    .formula(SINE, 0.0)
                    .formula(SINE_BEFORE, 0.0)
                    .update(V_BEFORE, [])
                    .update(W, [])
                    .update(W_BEFORE, [])
            }
            Step::Curve => Pass::new("minres_curve").dot(V, Q),
            Step::Next => Pass::new("minres_next")
                .totals([VQ])
                .formula(ALPHA, SCALE * VQ * PER_BETA * PER_BETA + LAMBDA)
                .update(
                    Q,
                    [
                        (SCALE * PER_BETA, Q),
                        ((LAMBDA - Formula::from(ALPHA)) * PER_BETA, V),
                        (-(BETA * PER_BEFORE), V_BEFORE),
                    ],
                )
                .update(V_BEFORE, [(one(), V)])
                .update(V, [(one(), Q)])
                .dot(V, V),
            Step::Turn => turn(),
            Step::Look => Pass::new("minres_look")
                .update(Q, [(one(), B), (-Formula::from(SCALE), Q), (-LAMBDA, X)])
                .dot(Q, Q)
                .dot(X, X)
                .dot(B, Q),
            Step::Looked => Pass::new("minres_looked").totals([TT, XX, BT]),
            Step::LookTwice => {
                Pass::new("minres_again").update(NT, [(SCALE.into(), NT), (LAMBDA.into(), Q)]).dot(NT, NT).dot(X, NT)
            }
            Step::LookedTwice => Pass::new("minres_known").totals([NTNT, XNT]),
            Step::KeepBest => Pass::new("minres_keep").update(BEST, [(one(), X)]),
            Step::ScaleOut => scaling(X, Q, SCALES),
            Step::ScaleBest => scaling(BEST, Q, SCALES),
        }
    }
}

/// Takes the next β², turns the column of the tridiagonal matrix by the last two rotations and a new one, and steps.
fn turn() -> Pass {
    let one = || Formula::from(1.0);
    let pass = Pass::new("minres_turn")
        .totals([VV])
        .formula(LARGEST, Formula::from(LARGEST).max(ALPHA * ALPHA + VV))
        .formula(VV, (VV - LARGEST * NULL).if_positive(VV, 0.0))
        .formula(HALTED, Formula::from(VV).if_positive(HALTED, 1.0))
        .formula(BETA_BEFORE, BETA)
        .formula(PER_BEFORE, PER_BETA);
    let pass = pass
        .formula(BETA, Formula::from(VV).root())
        .formula(PER_BETA, one() / BETA)
        .formula(DELTA, COSINE * ALPHA - COSINE_BEFORE * SINE * BETA_BEFORE)
        .formula(RHO_2, SINE * ALPHA + COSINE_BEFORE * COSINE * BETA_BEFORE)
        .formula(RHO_3, SINE_BEFORE * BETA_BEFORE)
        .formula(SQUARE, DELTA * DELTA + VV);
    pass.formula(RHO, Formula::from(SQUARE).root())
        .formula(PER_RHO, (SQUARE - LARGEST * NULL).if_positive(one() / RHO, 0.0))
        .formula(COSINE_BEFORE, COSINE)
        .formula(SINE_BEFORE, SINE)
        .formula(COSINE, DELTA * PER_RHO)
        .formula(SINE, BETA * PER_RHO)
        .formula(STEP, COSINE * ETA)
        .formula(ETA, -(SINE * ETA))
        .update(Q, [(PER_BEFORE * PER_RHO, V_BEFORE), (-(RHO_3 * PER_RHO), W_BEFORE), (-(RHO_2 * PER_RHO), W)])
        .update(W_BEFORE, [(one(), W)])
        .update(W, [(one(), Q)])
        .update(X, [(one(), X), (STEP.into(), W)])
}

/// What MINRES needs of a space.
pub(super) fn layout() -> Layout {
    Layout { scalars: SCALARS, passes: Step::ALL.map(Step::pass).into() }
}

/// Solves (N + λI) x = b for a Hermitian N, definite or not, on the device that holds b. λ is the options'
/// [`lambda`](SolveOptions::lambda), the start their [`start`](SolveOptions::start).
///
/// Paige and Saunders, SIAM J. Numer. Anal. 12:617 (1975). Every iteration lowers ‖b − (N + λ) x‖ as far as its Krylov space allows;
/// it applies N once. For a positive definite N [`cg`](super::cg()) does with fewer vectors. A singular N is solved where b allows it;
/// where b does not, the iterate of least residual is returned with [`Stop::LeastResidual`].
///
/// ```
/// use linops::{linop, solve::{minres, SolveOptions}, Tensor};
/// let n = linop::diagonal("N=3", &Tensor::from_slice("N=3", &[2.0f32, -1.0, 4.0])?)?;
/// let x = minres(&n, &Tensor::from_slice("N=3", &[1.0f32, 1.0, 1.0])?, SolveOptions::default().tol(1e-6))?.x.to_real_vec()?;
/// assert!(x.iter().zip([0.5, -1.0, 0.25]).all(|(x, want)| (x - want).abs() < 1e-5));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ or tol negative or not finite, b of another shape than N takes and gives, a start that is not like x, values that are not
/// finite, or the device fails. An operator that is not Hermitian is no error but a [`Stop::Breakdown`].
pub fn minres(n: &Linop, b: &Tensor, options: SolveOptions) -> Result<Solution> {
    let needs = needs(n, b, &options)?;
    alone(Minres::new(one_space(&needs, b)?), b, Monitor::new(options))
}

/// Solves (N + λI) x = b for several b, as [`minres`] does for one: in lockstep, as [`cg_many`](super::cg_many) does it. Each stops by
/// itself and is the same bits as alone.
///
/// ```
/// use linops::{linop, solve::{minres_many, SolveOptions}, Tensor};
/// let n = linop::diagonal("N=2", &Tensor::from_slice("N=2", &[2.0f32, -4.0])?)?;
/// let bs = [Tensor::from_slice("N=2", &[2.0f32, 4.0])?, Tensor::from_slice("N=2", &[0.0f32, 1.0])?];
/// let found = minres_many(&n, &bs, SolveOptions::default())?;
/// assert!((found[1].x.to_real_vec()?[1] + 0.25).abs() < 1e-6);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`minres`], with the number of the right-hand side where it showed.
pub fn minres_many(n: &Linop, bs: &[Tensor], options: SolveOptions) -> Result<Vec<Solution>> {
    together(bs, options, |b, options| needs(n, b, options), |space, _| Minres::new(space))
}

/// What it needs of the device that holds b.
fn needs(n: &Linop, b: &Tensor, options: &SolveOptions) -> Result<Needs> {
    options.check("minres")?;
    n.input()?.expect(b.shape()).map_err(|e| e.at("minres: b"))?;
    n.output()?.expect(b.shape()).map_err(|e| e.at("minres: the operator's output"))?;
    let vector = (b.shape().clone(), b.dtype());
    options.check_start("minres", &vector, &b.device())?;
    Ok(Needs { name: "minres", operators: vec![n.clone()], vectors: vec![vector; VECTORS], layout: layout() })
}

struct Minres {
    space: Box<dyn Space>,
    /// The data are times 2^data here, N times 2^operator.
    data: i32,
    operator: i32,
    /// ‖b‖, scaled.
    norm: f64,
    /// The largest ‖x‖ that was seen.
    reach: f64,
    accuracy: Accuracy,
    /// The residual of the best iterate.
    residual: f64,
}

impl Minres {
    fn new(space: Box<dyn Space>) -> Minres {
        let accuracy = Accuracy::new();
        Minres { space, data: 0, operator: 0, norm: 0.0, reach: 0.0, accuracy, residual: 1.0 }
    }

    fn run(&mut self, step: Step) -> Result<()> {
        self.space.pass(step as usize)
    }

    /// From the norm of b: what is kept of it, and N times that; whether it is 0.
    fn scaled(&mut self) -> Result<bool> {
        let Some((exponent, norm)) = near_one(&mut *self.space, DATA_NORM, SCALES, VV)? else {
            self.residual = 0.0;
            return Ok(true);
        };
        (self.data, self.norm) = (exponent, norm);
        self.run(Step::Keep)?;
        self.space.apply(0, V, Q)?;
        ask_norm(&mut *self.space, IMAGE_NORM, SCALES)?;
        Ok(false)
    }

    /// From the norm of N times b: the operator's scale; whether b lies in the null space of what is solved.
    fn measured(&mut self, lambda: f32) -> Result<bool> {
        let image = near_one(&mut *self.space, IMAGE_NORM, SCALES, VV);
        match image.map_err(|e| e.at("minres: the operator on b"))? {
            Some((exponent, _)) => self.operator = exponent.clamp(-126, 126),
            None if lambda == 0.0 => return Ok(true),
            None => {}
        }
        let scaled = (f64::from(lambda) * f64::from(self.operator).exp2()) as f32;
        if !scaled.is_finite() {
            return value_err!(
                "minres: lambda = {lambda} is beyond f32 beside an operator whose values are near 2^{}; scale it up",
                -self.operator
            );
        }
        self.space.set_scalar(LAMBDA, scaled)?;
        self.space.set_scalar(SCALE, (self.operator as f32).exp2())?;
        Ok(false)
    }

    /// From a start whose residual was asked for; whether that is small enough.
    fn started(&mut self, monitor: &Monitor) -> Result<bool> {
        let (look, _) = self.looked(0, 1.0)?;
        if !look.residual.is_finite() {
            return value_err!("minres: the start holds NaN, infinite values, or such that overflow");
        }
        self.residual = look.residual;
        Ok(look.residual <= f64::from(monitor.options().tol))
    }

    /// Computes the residual of the iterate from the iterate; whether no x leaves less, and whether N is Hermitian on what came up.
    fn looked(&mut self, iteration: usize, recurrence: f64) -> Result<(Look, [bool; 2])> {
        let s = self.space.scalars()?;
        self.reach = self.reach.max(s[XX.0].sqrt());
        let largest = s[LARGEST.0].sqrt();
        let residual = s[TT.0].sqrt() / self.norm;
        let size = (largest * self.reach + self.norm) / self.norm;
        let least = s[NTNT.0].sqrt() <= ORTHOGONAL * largest * s[TT.0].sqrt();
        let image = (largest * s[XX.0].sqrt() + self.norm) * s[TT.0].sqrt();
        let hermitian = (s[BT.0] - s[TT.0] - s[XNT.0]).abs() <= MISMATCH * image;
        Ok((Look { iteration, recurrence, residual, size }, [least, hermitian]))
    }
}

impl Recurrence for Minres {
    /// Whether no x leaves less, and whether N is Hermitian on what came up.
    type Seen = [bool; 2];

    fn begin(&mut self, stage: usize, b: &Tensor, monitor: &mut Monitor) -> Result<Begun> {
        match stage {
            0 => {
                self.space.set(B, b)?;
                self.run(Step::Zero)?;
                ask_norm(&mut *self.space, DATA_NORM, SCALES)?;
                return Ok(Begun::More);
            }
            1 if self.scaled()? => return Ok(Begun::Ended(Stop::Zero)),
            1 => return Ok(Begun::More),
            2 if self.measured(monitor.options().lambda)? => return Ok(Begun::Ended(Stop::LeastResidual)),
            2 => {
                if let Some(start) = &monitor.options().start {
                    self.space.set(X, start)?;
                    scale(&mut *self.space, Step::ScaleStart as usize, SCALES, self.data - self.operator)?;
                    self.run(Step::KeepStart)?;
                    self.ask()?;
                    return Ok(Begun::More);
                }
            }
            _ if self.started(monitor)? => return Ok(Begun::Ended(Stop::Converged)),
            _ => self.run(Step::Resume)?,
        }
        self.run(Step::First)?;
        self.run(Step::Begin)?;
        Ok(Begun::Ready)
    }

    fn advance(&mut self) -> Result<()> {
        self.space.apply(0, V, Q)?;
        self.run(Step::Curve)?;
        self.run(Step::Next)?;
        self.run(Step::Turn)?;
        self.space.submit()
    }

    fn send(&mut self) -> Result<()> {
        self.space.send()
    }

    fn residual(&mut self, k: usize) -> Result<(f64, bool)> {
        let scalars = self.space.scalars()?;
        let residual = scalars[ETA.0].abs() / self.norm;
        match residual.is_finite() {
            true => Ok((residual, scalars[HALTED.0] > 0.0)),
            false => value_err!("minres: the iteration overflowed at step {k}; scale the operator down"),
        }
    }

    fn ask(&mut self) -> Result<()> {
        self.space.apply(0, X, Q)?;
        self.run(Step::Look)?;
        self.run(Step::Looked)?;
        self.space.apply(0, Q, NT)?;
        self.run(Step::LookTwice)?;
        self.run(Step::LookedTwice)
    }

    fn look(&mut self, k: usize, recurrence: f64) -> Result<(Look, [bool; 2])> {
        let (look, found) = self.looked(k, recurrence)?;
        match look.residual.is_finite() {
            true => Ok((look, found)),
            false => value_err!("minres: the operator gave NaN or infinite values by step {k}"),
        }
    }

    fn take(&mut self, look: Look) -> Result<()> {
        if self.accuracy.take(look) {
            self.run(Step::KeepBest)?;
            self.residual = look.residual;
        }
        Ok(())
    }

    fn stop(
        &self,
        look: Look,
        [least, hermitian]: [bool; 2],
        options: &SolveOptions,
        halted: bool,
        cancelled: bool,
    ) -> Option<Stop> {
        let ended = halted || self.accuracy.attained(look);
        Some(match () {
            _ if !hermitian => Stop::Breakdown(Breakdown::NotHermitian),
            _ if look.residual <= f64::from(options.tol) => Stop::Converged,
            _ if ended && self.accuracy.decided() => Stop::Attained,
            _ if least => Stop::LeastResidual,
            _ if ended => Stop::Attained,
            _ if cancelled => Stop::Cancelled,
            _ if look.iteration == options.iterations => Stop::Iterations,
            _ => return None,
        })
    }

    fn iterate(&mut self) -> Result<Tensor> {
        times_power(&mut *self.space, X, (Step::ScaleOut as usize, Q), SCALES, self.operator - self.data)
    }

    fn best(&mut self) -> Result<(Tensor, f64)> {
        let exponent = self.operator - self.data;
        let x = times_power(&mut *self.space, BEST, (Step::ScaleBest as usize, Q), SCALES, exponent)?;
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
