//! What solvers are written in: passes over vectors that stay where they are, on the host or on a GPU.
//!
//! A [`Pass`] goes once over its vectors. Scalars come first: the dot products of the pass before are totalled, and
//! [`Formula`]s make other scalars of them. Then every element of every updated vector is a sum of scaled elements, and dot
//! products of the new values are begun, which the next pass totals. So an iteration of a solver is a few passes, each one
//! kernel on a GPU, and no scalar leaves the device before somebody [reads](Space::scalars) it.
//!
//! ```text
//! dots of the pass before ─▶ totals ─▶ formulas ─▶ updates, element by element ─▶ dots, begun
//! ```
//!
//! Coefficients are real and dot products are Re⟨x, y⟩, so a complex vector is a real one of twice the length. Every sum has a
//! tree that depends on the length alone: results are the same bits each time, on each device.

mod formula;
#[cfg(feature = "gpu")]
mod kernel;
pub(crate) mod sample;

pub(crate) use formula::{Formula, Scalar};
#[cfg(feature = "gpu")]
pub(crate) use kernel::{FIRST_VECTOR, GROUP, PARTIALS, kernel};

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A vector of a space, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector(pub usize);

/// Dot products of one pass, at most.
pub(crate) const DOTS: usize = 4;

/// One way over vectors of equal length.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// For labels.
    pub name: &'static str,
    /// The scalars that the dots of the pass before are.
    pub totals: Vec<Scalar>,
    /// Scalars made of others, in order.
    pub formulas: Vec<(Scalar, Formula)>,
    /// New values, in order: a later update reads what an earlier one has made.
    pub updates: Vec<Update>,
    /// Re⟨x, y⟩ of the values after the updates.
    pub dots: Vec<(Vector, Vector)>,
}

/// v = Σ c·u; a term with c = 0 is left out, even where u has overflowed.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub vector: Vector,
    pub terms: Vec<(Formula, Vector)>,
}

impl Pass {
    /// A pass that does nothing yet.
    pub fn new(name: &'static str) -> Pass {
        Pass { name, totals: Vec::new(), formulas: Vec::new(), updates: Vec::new(), dots: Vec::new() }
    }

    /// Takes the dots of the pass before.
    pub fn totals<const N: usize>(mut self, scalars: [Scalar; N]) -> Pass {
        self.totals = scalars.into();
        self
    }

    pub fn formula(mut self, scalar: Scalar, formula: impl Into<Formula>) -> Pass {
        self.formulas.push((scalar, formula.into()));
        self
    }

    pub fn update<const N: usize>(mut self, vector: Vector, terms: [(Formula, Vector); N]) -> Pass {
        self.updates.push(Update { vector, terms: terms.into() });
        self
    }

    pub fn dot(mut self, x: Vector, y: Vector) -> Pass {
        self.dots.push((x, y));
        self
    }

    /// The vectors that it uses, each once, with whether it writes them.
    pub fn vectors(&self) -> Vec<(Vector, bool)> {
        let mut all: Vec<(Vector, bool)> = Vec::new();
        let mut add = |v: Vector, written: bool| match all.iter_mut().find(|(u, _)| *u == v) {
            Some((_, w)) => *w |= written,
            None => all.push((v, written)),
        };
        for update in &self.updates {
            update.terms.iter().for_each(|(_, u)| add(*u, false));
            add(update.vector, true);
        }
        self.dots.iter().for_each(|&(x, y)| [x, y].into_iter().for_each(|v| add(v, false)));
        all
    }
}

/// A solver's vectors and scalars on one device, with its operators. What is asked for happens in order; on a GPU it is
/// recorded and submitted at [`submit`](Space::submit), or when something is read.
pub(crate) trait Space {
    /// v = t, of the same shape and dtype, on the same device.
    fn set(&mut self, v: Vector, t: &Tensor) -> Result<()>;
    /// A copy of v.
    fn get(&mut self, v: Vector) -> Result<Tensor>;
    /// s = value.
    fn set_scalar(&mut self, s: Scalar, value: f32) -> Result<()>;
    /// The scalars.
    fn scalars(&mut self) -> Result<Vec<f64>>;
    /// to = A from, for operator number `operator`.
    fn apply(&mut self, operator: usize, from: Vector, to: Vector) -> Result<()>;
    /// Runs pass number `pass`.
    fn pass(&mut self, pass: usize) -> Result<()>;
    /// Lets the device begin.
    fn submit(&mut self) -> Result<()>;
}

/// The passes of a solver and what they need.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub scalars: usize,
    pub passes: Vec<Pass>,
}

/// Dots that nobody took, or that are not there: a fault of the solver's.
pub(crate) fn expect_dots(pass: &Pass, begun: usize) -> Result<()> {
    match pass.totals.len() == begun || pass.totals.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::Value(format!("the pass {} takes {} dots, {begun} were begun", pass.name, pass.totals.len())))
        }
    }
}
