//! Iteratively reweighted least squares: every l1 norm as a square with weights from the iterate before, each system by conjugate
//! gradients.
//!
//! ```text
//! wᵢ = λᵢ/√(|Kᵢ x|² + ε²),   x = argmin ½‖A x − y‖² + ½ Σ wᵢ|Kᵢ x|²
//! ```
//!
//! A step never raises Σ λ√(|K x|² + ε²), which is above the objective by less than λε for each number; ε falls on the way (Daubechies,
//! DeVore, Fornasier and Güntürk, Comm. Pure Appl. Math. 63:1, 2010).
//!
//! The p = w K x are duals, none above λ, so that what is left is bounded as in `balance`: ε leaves the gap of the terms, and the slope is
//! the residual of the next system at this x. Small ε make the systems ill-conditioned, and then x stands still above the limit: so ε
//! falls only while what it leaves is the larger part, and rest is what the bound says, not that the objective no longer falls. Where the
//! bound itself stands still it ends, and says what is left.

use super::balance::Doubt;
use super::options::{Reading, Teller};
use super::stage::Looked;
use super::watch::{CALM, Watch};
use super::{Method, Problem, Solved, Term, dtype};
use crate::arithmetic::Expression;
use crate::error::{Error, Result, value_err};
use crate::functional::{Kind, combined, number, squared_norm};
use crate::linop::{self, Linop};
use crate::run::Device;
use crate::solve::{SolveOptions, Stop, cg};
use crate::tensor::Tensor;

/// The first ε, as a part of max|K x|; by how much it falls in a step, and how far.
const FIRST: f64 = 0.1;
const FALL: f64 = 0.5;
const LAST: f64 = 1e-7;

/// Conjugate gradient steps between two reweightings at first and at most, and the residual at which they end.
const INNER: [usize; 2] = [50, 100];
const RESIDUAL: f32 = 1e-5;

/// What is left stands still if it falls by less than this part in so many iterations.
const STILL: (f64, usize) = (0.1, 20);

/// An l1 norm as a square.
struct Square<'a> {
    term: &'a Term,
    weight: f64,
    /// Σ over the members of a group; None where every number is its own.
    group: Option<Linop>,
    epsilon: f64,
    least: f64,
}

impl Square<'_> {
    fn of<'a>(term: &'a Term, problem: &Problem) -> Result<Square<'a>> {
        let Kind::L1 { weight, dims, .. } = &term.functional.0 else {
            return value_err!("irls takes l1 norms and squares; {} wants admm", term.functional);
        };
        let shape = match &term.linop {
            Some(k) => k.output()?,
            None => problem.a.input()?,
        };
        let group = (!dims.is_empty()).then(|| linop::sum(shape.clone(), dims)).transpose()?;
        Ok(Square { term, weight: *weight, group, epsilon: 0.0, least: 0.0 })
    }

    /// |K x|² of every group.
    fn squares(&self, x: &Tensor) -> Result<Tensor> {
        let kx = match &self.term.linop {
            Some(k) => k.apply(x)?,
            None => x.clone(),
        };
        let squares = Expression::from(&kx).abs_squared().eval()?;
        match &self.group {
            Some(sum) => sum.apply(&squares),
            None => Ok(squares),
        }
    }

    /// Lets ε fall; the first one is of this iterate.
    fn sharpen(&mut self, x: &Tensor) -> Result<()> {
        if self.epsilon == 0.0 {
            let largest = self.squares(x)?.max_abs()?.sqrt();
            self.epsilon = FIRST * if largest > 0.0 { largest } else { 1.0 };
            self.least = self.epsilon * LAST / FIRST;
        } else {
            self.epsilon = (self.epsilon * FALL).max(self.least);
        }
        Ok(())
    }

    /// Kᴴ W K for this iterate, and what ε leaves: Σ λ|K x| − Re⟨W K x, K x⟩.
    fn reweighted(&self, x: &Tensor) -> Result<(Linop, f64)> {
        let squares = self.squares(x)?;
        let smooth = || (Expression::from(&squares) + number(self.epsilon * self.epsilon)).sqrt();
        let of_terms = |e: Expression| match &self.term.functional.0 {
            Kind::L1 { weights: Some(w), .. } => Ok(e * &w.to(&x.device())?),
            _ => Ok::<_, Error>(e),
        };
        let weights = of_terms(Expression::from(number(self.weight)) / smooth())?.eval()?;
        // √q − q/√(q + ε²), without a difference of what is nearly the same.
        let root = || Expression::from(&squares).sqrt();
        let left = number(self.epsilon * self.epsilon) / (smooth() * (smooth() + root()));
        let gap = self.weight * of_terms(left * root())?.sum()?.re;
        let shape = match &self.term.linop {
            Some(k) => k.output()?,
            None => x.shape(),
        };
        let w = linop::diagonal(shape.clone(), &weights.to(&Device::host())?)?;
        let normal = match &self.term.linop {
            Some(k) => k.h() * w * k,
            None => w,
        };
        Ok((normal, gap))
    }
}

/// How exactly the systems are solved, and whether that still helps.
struct Effort {
    steps: usize,
    least: f64,
    /// When what is left last fell.
    fell: usize,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { steps: INNER[0], least: f64::INFINITY, fell: 0 }
    }
}

impl Effort {
    /// More steps where they did not end the system and the slope is most of what is left. Whether it stands still with as many as there
    /// are: more of them were measured to take longer and to end where these do.
    fn look(&mut self, iteration: usize, doubt: &Doubt, system: Stop) -> bool {
        let unsolved = system == Stop::Iterations;
        if unsolved && doubt.rest() > doubt.gap {
            self.steps = (2 * self.steps).min(INNER[1]);
        }
        if doubt.whole() < (1.0 - STILL.0) * self.least {
            (self.least, self.fell) = (doubt.whole(), iteration);
        }
        iteration >= self.fell + STILL.1 && (!unsolved || self.steps == INNER[1])
    }
}

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let b = problem.a.h().apply(&problem.y)?;
    let mut fixed = vec![problem.a.n()];
    let mut squares = Vec::new();
    for term in &problem.terms {
        match (&term.functional.0, &term.linop) {
            (Kind::Squared { weight }, Some(k)) => fixed.push(k.n() * number(*weight)),
            (Kind::Squared { weight }, None) => {
                fixed.push(linop::scalar(problem.a.input()?.clone(), number(*weight))?);
            }
            _ => squares.push(Square::of(term, problem)?),
        }
    }
    let mut x = match &problem.start {
        Some(x) => x.clone(),
        // The image that the data suggest: 0 would weigh all alike.
        None => b.clone(),
    };
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let system = |squares: &[Square], x: &Tensor| -> Result<(Linop, f64)> {
        let (mut parts, mut gap) = (fixed.clone(), 0.0);
        for square in squares {
            let (normal, left) = square.reweighted(x)?;
            parts.push(normal);
            gap += left;
        }
        let normal = if parts.len() == 1 { parts.remove(0) } else { linop::add(parts)? };
        Ok((normal, gap))
    };
    squares.iter_mut().try_for_each(|s| s.sharpen(&x))?;
    let (mut normal, _) = system(&squares, &x)?;
    let mut sharper = true;
    let size_of_b = squared_norm(&b)?.sqrt();
    let mut watch = Watch::new(true);
    let mut best: Option<(Tensor, f64)> = None;
    let mut effort = Effort::default();
    let mut ended = (iterations, Stop::Iterations);
    for k in 1..=iterations {
        let options = SolveOptions::default().iterations(effort.steps).tol(RESIDUAL).lambda(0.0).start(&x);
        let inner = cg(&normal, &b, options)?;
        x = inner.x;
        let objective = problem.value(&x)?;
        if !objective.is_finite() {
            return value_err!("irls: the objective is not finite at step {k}; is the linop linear and finite?");
        }
        let seen = watch.see(k, objective);
        if seen.best {
            best = Some((x.clone(), objective));
        }
        if sharper {
            squares.iter_mut().try_for_each(|s| s.sharpen(&x))?;
        }
        let gap;
        (normal, gap) = system(&squares, &x)?;
        let slope = squared_norm(&combined(&[(1.0, &normal.apply(&x)?), (-1.0, &b)])?)?.sqrt();
        let doubt = Doubt { gap, slope, own: slope, size: problem.farther * squared_norm(&x)?.sqrt(), inexact: 0.0 };
        sharper = doubt.gap > doubt.rest();
        let left = doubt.whole() / objective.abs().max(f64::MIN_POSITIVE);
        let looked = Looked { data: problem.data_term(&x)?, objective, ..Looked::default() };
        let residual = (size_of_b > 0.0).then(|| slope / size_of_b);
        let reading = Reading { gap: Some(left), residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || Ok(x.clone()));
        if teller.cancelled() {
            ended = (k, Stop::Cancelled);
            break;
        }
        if tol > 0.0 && left <= tol && seen.change <= CALM * tol {
            ended = (k, Stop::Converged);
            break;
        }
        if effort.look(k, &doubt, inner.stop) && tol > 0.0 {
            ended = (k, Stop::Attained);
            break;
        }
    }
    let (x, objective) = match best {
        Some(best) => best,
        None => (Tensor::zeros(problem.a.input()?.clone(), dtype(problem))?.to(&device)?, f64::INFINITY),
    };
    let data = problem.data_term(&x)?;
    let size = squared_norm(&problem.y)?.sqrt();
    let misfit = if size > 0.0 { (2.0 * data).sqrt() / size } else { 0.0 };
    Ok(Looked { data, objective, misfit }.solved(x, Method::Irls, ended.0, ended.1))
}
