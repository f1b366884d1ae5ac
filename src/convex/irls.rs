//! Iteratively reweighted least squares: every l1 norm as a square with weights from the iterate before, each system by conjugate
//! gradients.
//!
//! ```text
//! wᵢ = λᵢ/√(|Kᵢ x|² + ε²),   x = argmin ½‖A x − y‖² + ½ Σ wᵢ|Kᵢ x|²
//! ```
//!
//! A step never raises Σ λ√(|K x|² + ε²), which is above the objective by less than λε for each number; ε falls from one step to the
//! next (Daubechies, DeVore, Fornasier and Güntürk, Comm. Pure Appl. Math. 63:1, 2010). It ends once ε is 10⁻⁵ of max|K x| and the
//! objective has fallen by less than half of the tolerance over the last half of the iterations.

use super::options::Teller;
use super::stage::Looked;
use super::watch::Watch;
use super::{Method, Problem, Solved, Term, dtype};
use crate::arithmetic::Expression;
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::run::Device;
use crate::solve::{SolveOptions, Stop, cg};
use crate::tensor::Tensor;

/// The first ε, as a part of max|K x|; by how much it falls in a step, and how far.
const FIRST: f64 = 0.1;
const FALL: f64 = 0.5;
const LAST: f64 = 1e-5;

/// Conjugate gradient steps between two reweightings, and the residual at which they end: at one that the last iterate has already x
/// would stand still above the limit, and look like rest.
const INNER: usize = 50;
const RESIDUAL: f32 = 1e-5;

/// The fall of the objective over the last half of the iterations that ends it, over the tolerance: it falls about as 1/k.
const CALM: f64 = 0.5;

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

    /// Kᴴ W K for this iterate.
    fn reweighted(&mut self, x: &Tensor) -> Result<Linop> {
        let squares = self.squares(x)?;
        if self.epsilon == 0.0 {
            let largest = squares.max_abs()?.sqrt();
            self.epsilon = FIRST * if largest > 0.0 { largest } else { 1.0 };
            self.least = self.epsilon * LAST / FIRST;
        } else {
            self.epsilon = (self.epsilon * FALL).max(self.least);
        }
        let size = (Expression::from(&squares) + number(self.epsilon * self.epsilon)).sqrt();
        let mut weights = Expression::from(number(self.weight)) / size;
        if let Kind::L1 { weights: Some(w), .. } = &self.term.functional.0 {
            weights = weights * &w.to(&x.device())?;
        }
        let weights = weights.eval()?.to(&Device::host())?;
        let shape = match &self.term.linop {
            Some(k) => k.output()?,
            None => x.shape(),
        };
        let w = linop::diagonal(shape.clone(), &weights)?;
        Ok(match &self.term.linop {
            Some(k) => k.h() * w * k,
            None => w,
        })
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
    let mut watch = Watch::new(true);
    let mut best: Option<(Tensor, f64)> = None;
    let mut ended = (iterations, Stop::Iterations);
    for k in 1..=iterations {
        let mut parts = fixed.clone();
        for square in &mut squares {
            parts.push(square.reweighted(&x)?);
        }
        let normal = if parts.len() == 1 { parts.remove(0) } else { linop::add(parts)? };
        let options = SolveOptions::default().iterations(INNER).tol(RESIDUAL).lambda(0.0).start(&x);
        x = cg(&normal, &b, options)?.x;
        let objective = problem.value(&x)?;
        let seen = watch.see(k, objective);
        if seen.best {
            best = Some((x.clone(), objective));
        }
        let data_term = problem.data_term(&x)?;
        let looked = Looked { data: data_term, objective, ..Looked::default() };
        let reading = looked.reading((k, iterations), seen.change);
        teller.tell(reading, &mut || Ok(x.clone()));
        if teller.cancelled() {
            ended = (k, Stop::Cancelled);
            break;
        }
        if !objective.is_finite() {
            return value_err!("irls: the objective is not finite at step {k}; is the linop linear and finite?");
        }
        let settled = squares.iter().all(|s| s.epsilon <= s.least);
        if tol > 0.0 && settled && seen.change <= CALM * tol {
            ended = (k, Stop::Converged);
            break;
        }
    }
    let (x, objective) = match best {
        Some(best) => best,
        None => (Tensor::zeros(problem.a.input()?.clone(), dtype(problem))?.to(&device)?, f64::INFINITY),
    };
    let data = problem.data_term(&x)?;
    let size = crate::functional::squared_norm(&problem.y)?.sqrt();
    let misfit = if size > 0.0 { (2.0 * data).sqrt() / size } else { 0.0 };
    Ok(Looked { data, objective, misfit }.solved(x, Method::Irls, ended.0, ended.1))
}
