//! Terms of several linops as one functional of x, whose prox is solved by its dual: with it proximal gradient methods take what they
//! have no formula for.
//!
//! Between two iterations the argument of the prox moves little, and so do its duals: each begins with those of the one before.

use super::stage::is_smooth;
use super::{ConvexOptions, Method, Problem, Term};
use crate::error::{Error, Result};
use crate::functional::{Functional, Proximal, combined};
use crate::linop;
use crate::tensor::Tensor;
use std::sync::{Mutex, PoisonError};

/// Iterations of a prox at most, so that a solve can be cancelled soon: the next one goes on from its duals.
const MOST: usize = 100;
/// How far from its least the objective of a prox may be, as a part of it.
const EXACT: f64 = 1e-6;

struct Together {
    terms: Vec<Term>,
    /// The step of the last prox, and its duals.
    last: Mutex<Option<(f64, Vec<Tensor>)>>,
}

impl Problem {
    /// The same with all terms but squares as one functional of x.
    pub(super) fn together(&self) -> Problem {
        let (smooth, mut hard): (Vec<Term>, Vec<Term>) = self.terms.iter().cloned().partition(is_smooth);
        if self.image.is_some() {
            // What does not see even images sees those that a support cuts off.
            hard.iter_mut().for_each(|t| (t.blind, t.even) = (false, None));
        }
        let one = Term::of_all(Functional::own(Together { terms: hard, last: Mutex::new(None) }));
        Problem { terms: smooth.into_iter().chain([one]).collect(), ..self.clone() }
    }
}

impl Together {
    /// What begins a prox of this step.
    fn duals(&self, step: f64) -> Result<Option<Vec<Tensor>>> {
        let last = self.last.lock().map_err(failed)?.clone();
        let Some((before, duals)) = last else { return Ok(None) };
        duals.iter().map(|p| combined(&[(step / before, p)])).collect::<Result<_>>().map(Some)
    }
}

fn failed<T>(_: PoisonError<T>) -> Error {
    Error::Value("a prox before this one failed".into())
}

impl Proximal for Together {
    fn name(&self) -> String {
        let names: Vec<String> = self.terms.iter().map(|t| t.functional.to_string()).collect();
        names.join(" + ")
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        self.terms.iter().map(|t| t.value(v)).sum()
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let mut problem = Problem::new(&linop::identity(v.shape())?, v)?;
        for term in &self.terms {
            problem.terms.push(Term { functional: term.functional.clone().times(step)?, ..term.clone() });
        }
        problem.duals = self.duals(step)?;
        let options = ConvexOptions::default().method(Some(Method::Fgp)).iterations(MOST).tol(EXACT);
        let solved = problem.solve(options.norm(Some(1.0)))?;
        *self.last.lock().map_err(failed)? = Some((step, solved.duals)).filter(|(_, duals)| !duals.is_empty());
        Ok(solved.x)
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        let terms = self.terms.iter().map(|t| Term { functional: t.functional.rescaled(s), ..t.clone() }).collect();
        Some(Functional::own(Together { terms, last: Mutex::new(None) }))
    }
}
