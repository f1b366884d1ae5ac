//! Least squares on A itself: CGLS, LSQR, LSMR. What they share is here: bringing data and operator to a common scale, the start,
//! looking at the iterate, and when to stop. A method is two lists of what is done, first and in each iteration.

mod bidiagonal;
mod cgls;
mod lsmr;
mod lsqr;
mod steps;

pub use cgls::{cgls, cgls_many};
pub use lsmr::{lsmr, lsmr_many};
pub use lsqr::{lsqr, lsqr_many};

use super::accuracy::{Accuracy, Look};
use super::many::{Begun, Recurrence, alone, one_space, together};
use super::monitor::Monitor;
use super::scale::{ask_norm, near_one, scale, times_power};
use super::{Breakdown, Solution, SolveOptions, Stop};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Needs;
use crate::tensor::Tensor;
use crate::vectors::{Layout, Pass, Scalar, Space, Vector};
use steps::Step;

/// Data, the residual or a vector like it, A times something.
const Y: Vector = Vector(0);
const U: Vector = Vector(1);
const Q: Vector = Vector(2);
/// Vectors like data.
const DATA: usize = 3;
const X: Vector = Vector(3);
const BEST: Vector = Vector(4);
/// Aᴴ times something; between two iterations free for anything, as Q is.
const S: Vector = Vector(5);
/// The direction of the step.
const W: Vector = Vector(6);

/// The power of two that A is multiplied by.
const SCALE: Scalar = Scalar(0);
const LAMBDA: Scalar = Scalar(1);
/// ‖Aᴴr − λx‖² of the recurrence.
const GRADIENT: Scalar = Scalar(2);
/// ‖A‖², from below.
const LARGEST: Scalar = Scalar(3);
/// Positive once the recurrence has come to its end: what would come next is rounding.
const HALTED: Scalar = Scalar(4);
/// Of a look: squares of q = y − A x, of t = Aᴴq − λx, and of x; ⟨y, q⟩ and ⟨x, t⟩.
const MISFIT: Scalar = Scalar(5);
const TT: Scalar = Scalar(6);
const XX: Scalar = Scalar(7);
const SCALES: [Scalar; 2] = [Scalar(8), Scalar(9)];
const YQ: Scalar = Scalar(10);
const XT: Scalar = Scalar(11);
/// The first scalar of a method's own.
const OWN: usize = 12;

/// ⟨A x, q⟩ and ⟨x, Aᴴq⟩ differ by this part of ‖A x‖‖q‖ and more: the adjoint is another operator's.
const MISMATCH: f64 = 1e-4;

/// A square so far below ‖A‖² is none: what is left of the vector is rounding.
const NULL: f32 = 1e-13;

/// The passes that find the norm of the data, and of Aᴴ times them.
const DATA_NORM: [usize; 2] = [Step::ScaleData as usize, Step::DataNorm as usize];
const ADJOINT_NORM: [usize; 2] = [Step::ScaleAdjoint as usize, Step::AdjointNorm as usize];

/// What is done, in order.
#[derive(Clone, Copy)]
enum Do {
    Forward(Vector, Vector),
    Adjoint(Vector, Vector),
    /// A pass of the method's own.
    Pass(usize),
}

/// A recurrence.
struct Method {
    name: &'static str,
    /// Vectors like x that it needs, and scalars of its own.
    vectors: usize,
    scalars: usize,
    passes: Vec<Pass>,
    /// From the residual of the start in U.
    begin: Vec<Do>,
    iterate: Vec<Do>,
}

impl Method {
    fn layout(&self) -> Layout {
        let passes = Step::ALL.map(Step::pass).into_iter().chain(self.passes.iter().cloned());
        Layout { scalars: OWN + self.scalars, passes: passes.collect() }
    }
}

/// What the methods need of a space.
#[cfg(feature = "gpu")]
pub(super) fn layouts() -> [Layout; 3] {
    [cgls::method(), lsqr::method(), lsmr::method()].map(|m| m.layout())
}

/// Minimises by a method.
fn minimise(method: fn() -> Method, a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    let needs = needs(&method(), a, y, &options)?;
    alone(LeastSquares::new(one_space(&needs, y)?, method()), y, Monitor::new(options))
}

/// The same for several data, in lockstep.
fn minimise_many(method: fn() -> Method, a: &Linop, ys: &[Tensor], options: SolveOptions) -> Result<Vec<Solution>> {
    let one = method();
    together(ys, options, |y, options| needs(&one, a, y, options), |space, _| LeastSquares::new(space, method()))
}

/// What a method needs of the device that holds y.
fn needs(method: &Method, a: &Linop, y: &Tensor, options: &SolveOptions) -> Result<Needs> {
    let name = method.name;
    options.check(name)?;
    a.output()?.expect(y.shape()).map_err(|e| e.at(format!("{name}: y")))?;
    let domain = (a.input()?.clone(), y.dtype());
    options.check_start(name, &domain, &y.device())?;
    let mut vectors = vec![(y.shape().clone(), y.dtype()); DATA];
    vectors.extend(vec![domain; method.vectors]);
    Ok(Needs { name, operators: vec![a.clone(), a.h()], vectors, layout: method.layout() })
}

struct LeastSquares {
    method: Method,
    space: Box<dyn Space>,
    /// The data are times 2^data here, A times 2^operator.
    data: i32,
    operator: i32,
    /// ‖y‖ and ‖Aᴴy‖, scaled.
    norms: [f64; 2],
    /// The largest ‖x‖ that was seen.
    reach: f64,
    accuracy: Accuracy,
    /// The residual of the best iterate.
    residual: f64,
}

impl LeastSquares {
    fn new(space: Box<dyn Space>, method: Method) -> LeastSquares {
        let accuracy = Accuracy::new();
        LeastSquares { method, space, data: 0, operator: 0, norms: [0.0; 2], reach: 0.0, accuracy, residual: 1.0 }
    }

    fn run(&mut self, step: Step) -> Result<()> {
        self.space.pass(step as usize)
    }

    fn does(&mut self, what: Do) -> Result<()> {
        match what {
            Do::Forward(from, to) => self.space.apply(0, from, to),
            Do::Adjoint(from, to) => self.space.apply(1, from, to),
            Do::Pass(n) => self.space.pass(Step::ALL.len() + n),
        }
    }

    /// From the norm of the data: what is kept of them, and Aᴴ times that; whether they are 0.
    fn scaled(&mut self) -> Result<bool> {
        let at = |e: crate::Error| e.at(format!("{}: y", self.method.name));
        let Some((exponent, norm)) = near_one(&mut *self.space, DATA_NORM, SCALES, MISFIT).map_err(at)? else {
            self.residual = 0.0;
            return Ok(true);
        };
        (self.data, self.norms[0]) = (exponent, norm);
        self.run(Step::KeepData)?;
        self.space.apply(1, U, S)?;
        ask_norm(&mut *self.space, ADJOINT_NORM, SCALES)?;
        Ok(false)
    }

    /// From the norm of Aᴴ times the data: the operator's scale; whether that is 0.
    fn measured(&mut self, lambda: f32) -> Result<bool> {
        let name = self.method.name;
        let at = |e: crate::Error| e.at(format!("{name}: the adjoint of the operator on y"));
        let Some((exponent, norm)) = near_one(&mut *self.space, ADJOINT_NORM, SCALES, TT).map_err(at)? else {
            self.residual = 0.0;
            return Ok(true);
        };
        // What a number of f32 holds; a little further is as good.
        self.operator = exponent.clamp(-126, 126);
        self.norms[1] = norm * f64::from(self.operator - exponent).exp2();
        let scaled = f64::from(lambda) * f64::from(2 * self.operator).exp2();
        if !(scaled as f32).is_finite() {
            return value_err!(
                "{name}: lambda = {lambda} is beyond f32 beside an operator whose adjoint gives values near 2^{}; scale it up",
                -self.operator
            );
        }
        self.space.set_scalar(LAMBDA, scaled as f32)?;
        self.space.set_scalar(SCALE, (self.operator as f32).exp2())?;
        Ok(false)
    }

    /// From a start whose residual was asked for; whether that is small enough.
    fn started(&mut self, monitor: &Monitor) -> Result<bool> {
        let (look, _) = self.looked(0, 1.0)?;
        if !look.residual.is_finite() {
            return value_err!("{}: the start holds NaN, infinite values, or such that overflow", self.method.name);
        }
        self.residual = look.residual;
        Ok(look.residual <= f64::from(monitor.options().tol))
    }

    /// Computes the residual of the iterate from the iterate; and whether A and Aᴴ agree on what came up.
    fn looked(&mut self, iteration: usize, recurrence: f64) -> Result<(Look, bool)> {
        let s = self.space.scalars()?;
        self.reach = self.reach.max(s[XX.0].sqrt());
        let norm = s[LARGEST.0].sqrt();
        let size = norm * (self.norms[0] + norm * self.reach) + s[LAMBDA.0] * self.reach;
        let residual = s[TT.0].sqrt() / self.norms[1];
        let forward = s[YQ.0] - s[MISFIT.0];
        let adjoint = s[XT.0] + s[LAMBDA.0] * s[XX.0];
        let image = norm * s[XX.0].sqrt() + self.norms[0];
        let agree = (forward - adjoint).abs() <= MISMATCH * image * s[MISFIT.0].sqrt();
        Ok((Look { iteration, recurrence, residual, size: size / self.norms[1] }, agree))
    }
}

impl Recurrence for LeastSquares {
    /// Whether A and Aᴴ agree on what came up.
    type Seen = bool;

    fn begin(&mut self, stage: usize, y: &Tensor, monitor: &mut Monitor) -> Result<Begun> {
        match stage {
            0 => {
                self.space.set(Y, y)?;
                self.run(Step::Zero)?;
                ask_norm(&mut *self.space, DATA_NORM, SCALES)?;
                return Ok(Begun::More);
            }
            1 if self.scaled()? => return Ok(Begun::Ended(Stop::Zero)),
            1 => return Ok(Begun::More),
            2 if self.measured(monitor.options().lambda)? => return Ok(Begun::Ended(Stop::Zero)),
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
        for at in 0..self.method.begin.len() {
            self.does(self.method.begin[at])?;
        }
        Ok(Begun::Ready)
    }

    fn advance(&mut self) -> Result<()> {
        for at in 0..self.method.iterate.len() {
            self.does(self.method.iterate[at])?;
        }
        self.space.submit()
    }

    fn send(&mut self) -> Result<()> {
        self.space.send()
    }

    fn residual(&mut self, k: usize) -> Result<(f64, bool)> {
        let scalars = self.space.scalars()?;
        let residual = scalars[GRADIENT.0].sqrt() / self.norms[1];
        match residual.is_finite() {
            true => Ok((residual, scalars[HALTED.0] > 0.0)),
            false => {
                value_err!("{}: the iteration overflowed at step {k}; scale the operator down", self.method.name)
            }
        }
    }

    fn ask(&mut self) -> Result<()> {
        self.space.apply(0, X, Q)?;
        self.run(Step::LookData)?;
        self.space.apply(1, Q, S)?;
        self.run(Step::Look)?;
        self.run(Step::Looked)
    }

    fn look(&mut self, k: usize, recurrence: f64) -> Result<(Look, bool)> {
        let (look, agree) = self.looked(k, recurrence)?;
        match look.residual.is_finite() {
            true => Ok((look, agree)),
            false => value_err!("{}: the operator gave NaN or infinite values by step {k}", self.method.name),
        }
    }

    fn take(&mut self, look: Look) -> Result<()> {
        if self.accuracy.take(look) {
            self.run(Step::Keep)?;
            self.residual = look.residual;
        }
        Ok(())
    }

    fn stop(&self, look: Look, agree: bool, options: &SolveOptions, halted: bool, cancelled: bool) -> Option<Stop> {
        Some(match () {
            _ if !agree => Stop::Breakdown(Breakdown::NotAdjoint),
            _ if look.residual <= f64::from(options.tol) => Stop::Converged,
            _ if halted || self.accuracy.attained(look) => Stop::Attained,
            _ if cancelled => Stop::Cancelled,
            _ if look.iteration == options.iterations => Stop::Iterations,
            _ => return None,
        })
    }

    fn iterate(&mut self) -> Result<Tensor> {
        times_power(&mut *self.space, X, (Step::ScaleOut as usize, S), SCALES, self.operator - self.data)
    }

    fn best(&mut self) -> Result<(Tensor, f64)> {
        let exponent = self.operator - self.data;
        let x = times_power(&mut *self.space, BEST, (Step::ScaleBest as usize, S), SCALES, exponent)?;
        Ok((x, self.residual))
    }
}
