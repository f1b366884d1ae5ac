//! ISTA and FISTA whose step follows the curvature that they meet: no norm has to be known, and the step grows again.
//!
//! With y the point of the gradient and x' what comes of it, a step 1/L is accepted if F(x') ≤ Q_L(x', y) (Beck and Teboulle, SIAM J.
//! Imaging Sci. 2:183, 2009), which of a quadratic data term is
//!
//! ```text
//! ⟨d, N d⟩ + μ‖d‖²  ≤  L ‖d‖²,    d = x' − y
//! ```
//!
//! Else L doubles. After each accepted step L is lowered a little, and the momentum takes account of it (Scheinberg, Goldfarb and Bai,
//! Found. Comput. Math. 14:389, 2014):
//!
//! ```text
//! tₖ = (1 + √(1 + 4 tₖ₋₁² Lₖ/Lₖ₋₁))/2,    y = xₖ₋₁ + (tₖ₋₁ − 1)/tₖ (xₖ₋₁ − xₖ₋₂)
//! ```
//!
//! N x is carried along, so that N y is a sum of what is there, and a step costs one N, as without all this.

use super::options::{Reading, Teller};
use super::stage::{Draft, Looked, Objective, Smooth, Stated};
use super::watch::Watch;
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::number;
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Doublings of one step after which the problem is given up.
const DOUBLINGS: usize = 120;

/// What L is times after a step that was accepted.
const LOWER: f64 = 0.9;

/// Of the two sides, for rounding.
const ROUNDING: f64 = 1e-4;

fn one() -> Formula {
    Formula::from(1.0f32)
}

struct Backtracking {
    method: Method,
    x: Vector,
    v: Vector,
    nx: Vector,
    nv: Vector,
    best: Vector,
    coefficients: Option<Vector>,
    smooth: Smooth,
    term: Option<Stated>,
    objective: Objective,
    step: Scalar,
    momentum: Scalar,
    /// ‖d‖², ⟨d, N d⟩, ⟨d, x'⟩ and ⟨d, x⟩.
    products: [Scalar; 4],
    ahead: usize,
    descend: usize,
    shrink: Option<usize>,
    compare: usize,
    taken: usize,
    /// ‖(N + μ − L) d‖² of the step that was taken, and its sum.
    left: [usize; 2],
    square: Scalar,
    accept: usize,
    begin: usize,
    keep: usize,
}

impl Backtracking {
    fn draft(draft: &mut Draft, problem: &Problem, method: Method) -> Result<Backtracking> {
        let smooth = Smooth::draft(draft, problem)?;
        let mut terms = Stated::draft(draft, problem)?;
        let [x, before, y, v, nx, nbefore, ny, nv, best] = std::array::from_fn(|_| smooth.vector(draft));
        let coefficients = terms.first().and_then(|t| t.linop.map(|_| t.vector(draft)));
        let objective = Objective::draft(draft, problem, &smooth, &terms, x, &vec![coefficients; terms.len()])?;
        let [step, momentum, square] = std::array::from_fn(|_| draft.scalar());
        let products = std::array::from_fn(|_| draft.scalar());
        let term = terms.pop();
        let map = term.as_ref().and_then(|t| t.map(step.into()));
        let on = |pass: Pass, x: Vector, before: Vector, y: Vector| {
            let m = Formula::from(momentum);
            pass.update(y, [(one() + m.clone(), x), (-m, before)])
        };
        let ahead = draft.pass(on(on(Pass::new("ahead"), x, before, y), nx, nbefore, ny));
        let direct = term.as_ref().filter(|t| t.linop.is_none());
        let pass = match direct {
            Some(t) => t.pass("descend")?,
            None => Pass::new("descend"),
        };
        let part = one() - step * Formula::from(smooth.mu);
        let pass = pass.update(v, [(part, y), (-Formula::from(step), ny), (step.into(), smooth.b)]);
        let descend = draft.pass(pass.map(map.clone().filter(|_| direct.is_some())));
        let shrink = match (&term, coefficients, map) {
            (Some(t), Some(c), Some(map)) => Some(draft.pass(t.pass("shrink")?.update(c, [(one(), c)]).map(map))),
            _ => None,
        };
        // y becomes d, and N y becomes N d.
        let compare = Pass::new("compare")
            .update(y, [(one(), v), (-one(), y)])
            .update(ny, [(one(), nv), (-one(), ny)])
            .dot(y, y)
            .dot(y, ny)
            .dot(y, v)
            .dot(y, x);
        let compare = draft.pass(compare);
        let taken = draft.pass(Pass::new("taken").totals(products));
        let by = Formula::from(smooth.mu) - one() / Formula::from(step);
        let left = Pass::new("step").update(ny, [(one(), ny), (by, y)]).dot(ny, ny);
        let left = [left, Pass::new("stepped").totals([square])].map(|pass| draft.pass(pass));
        let accept = Pass::new("accept")
            .update(before, [(one(), x)])
            .update(x, [(one(), v)])
            .update(nbefore, [(one(), nx)])
            .update(nx, [(one(), nv)]);
        let accept = draft.pass(accept);
        let begin = Pass::new("begin").update(before, [(one(), x)]).update(nbefore, [(one(), nx)]);
        let begin = draft.pass(begin);
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        Ok(Backtracking {
            method,
            x,
            v,
            nx,
            nv,
            best,
            coefficients,
            smooth,
            term,
            objective,
            step,
            momentum,
            products,
            ahead,
            descend,
            shrink,
            compare,
            taken,
            left,
            square,
            accept,
            begin,
            keep,
        })
    }

    /// x' by a step 1/L from y; ‖d‖², ⟨d, (N + μ) d⟩ and ⟨y − x', x' − x⟩.
    fn attempt(&self, space: &mut dyn Space, bound: f64, momentum: f64) -> Result<[f64; 3]> {
        space.set_scalar(self.step, number(1.0 / bound))?;
        space.set_scalar(self.momentum, number(momentum))?;
        space.pass(self.ahead)?;
        space.pass(self.descend)?;
        if let Some(term) = &self.term {
            match (term.linop, self.coefficients) {
                (Some([k, kh]), Some(c)) => {
                    space.apply(k, self.v, c)?;
                    match self.shrink {
                        Some(pass) => space.pass(pass)?,
                        None => call(space, term, c, bound)?,
                    }
                    space.apply(kh, c, self.v)?;
                }
                _ if term.map(Formula::from(1.0f32)).is_some() => {}
                _ => call(space, term, self.v, bound)?,
            }
        }
        space.apply(self.smooth.normal, self.v, self.nv)?;
        space.pass(self.compare)?;
        space.pass(self.taken)?;
        let scalars = space.scalars()?;
        let [dd, dnd, dv, dx] = self.products.map(|s| scalars[s.0]);
        Ok([dd, dnd + self.smooth.mu * dd, dx - dv])
    }

    /// ⟨b, N b⟩/‖b‖²: below the norm, and of its size.
    fn first_bound(&self, space: &mut dyn Space) -> Result<f64> {
        let b = space.get(self.smooth.b)?;
        space.set(self.v, &b)?;
        space.apply(self.smooth.normal, self.v, self.nv)?;
        let (own, image) =
            (crate::functional::squared_norm(&b)?, crate::functional::squared_norm(&space.get(self.nv)?)?);
        let bound = (image / own).sqrt() + self.smooth.mu;
        Ok(if bound.is_finite() && bound > 0.0 { bound } else { 1.0 })
    }
}

/// A functional that is called between passes.
fn call(space: &mut dyn Space, term: &Stated, v: Vector, bound: f64) -> Result<()> {
    let prox = term.functional.prox(&space.get(v)?, 1.0 / bound)?;
    space.set(v, &prox)
}

pub(super) fn solve(problem: &Problem, method: Method, teller: &mut Teller) -> Result<Solved> {
    if !matches!(method, Method::Ista | Method::Fista) {
        return value_err!("backtracking is for ista and fista; {method} takes its steps from the norm of the linop");
    }
    let device = problem.y.device();
    let mut draft = Draft::default();
    let own = Backtracking::draft(&mut draft, problem, method)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let mut bound = match teller.options().norm {
        Some(norm) => norm + own.smooth.mu,
        None => own.first_bound(space)?,
    };
    let start = match &problem.start {
        Some(x) => x.clone(),
        None => Tensor::zeros(own.smooth.shape.clone(), dtype(problem))?.to(&device)?,
    };
    space.set(own.x, &start)?;
    space.apply(own.smooth.normal, own.x, own.nx)?;
    space.pass(own.begin)?;
    let mut watch = Watch::new(false);
    let mut best = own.objective.look(space)?;
    space.pass(own.keep)?;
    watch.see(0, best.objective);
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let (mut t, mut taken, mut halved) = (1.0f64, bound, 0);
    let ended = |space: &mut dyn Space, best: Looked, iterations: usize, halved: usize, stop: Stop| -> Result<Solved> {
        Ok(Solved { halved, ..best.solved(space.get(own.best)?, own.method, iterations, stop) })
    };
    for k in 1..=iterations {
        let mut doublings = 0;
        loop {
            let next = 0.5 * (1.0 + (1.0 + 4.0 * t * t * bound / taken).sqrt());
            let momentum = if method == Method::Ista { 0.0 } else { (t - 1.0) / next };
            let [dd, curvature, uphill] = own.attempt(space, bound, momentum)?;
            if curvature <= bound * dd * (1.0 + ROUNDING) {
                // A momentum that points uphill is dropped.
                t = if uphill > 0.0 { 1.0 } else { next };
                break;
            }
            doublings += 1;
            if doublings > DOUBLINGS || !curvature.is_finite() {
                return value_err!("{method}: no step is short enough; is the linop linear and finite?");
            }
            bound *= 2.0;
        }
        halved += doublings;
        taken = bound;
        bound *= LOWER;
        space.pass(own.accept)?;
        let cancelled = teller.cancelled();
        if !cancelled && !teller.reads(k) {
            continue;
        }
        // What is carried along gathers rounding.
        space.apply(own.smooth.normal, own.x, own.nx)?;
        own.left.iter().try_for_each(|pass| space.pass(*pass))?;
        let (looked, scalars) = own.objective.look_with(space)?;
        let seen = watch.see(k, looked.objective);
        if seen.best {
            space.pass(own.keep)?;
            best = looked;
        }
        let residual = own.smooth.part(scalars[own.square.0].sqrt());
        let reading = Reading { residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || space.get(own.x));
        if cancelled {
            return ended(space, best, k, halved, Stop::Cancelled);
        }
        if tol > 0.0 && seen.change <= tol {
            return ended(space, best, k, halved, Stop::Converged);
        }
    }
    ended(space, best, iterations, halved, Stop::Iterations)
}

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem, method: Method) -> Result<()> {
    Backtracking::draft(draft, problem, method).map(drop)
}
