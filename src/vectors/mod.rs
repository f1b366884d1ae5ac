//! What solvers are written in: passes over vectors that stay where they are, on the host or on a GPU.
//!
//! A [`Pass`] goes once over its vectors. Scalars come first: the sums of the pass before are totalled, and
//! [`Formula`]s make other scalars of them. Then every element of every updated vector is a sum of scaled elements, and
//! sums over the new values ([`Measure`]) are begun, which the next pass totals. So an iteration of a solver is a few passes,
//! each one kernel on a GPU, and no scalar leaves the device before somebody [reads](Space::scalars) it.
//!
//! ```text
//! sums of the pass before ─▶ totals ─▶ formulas ─▶ updates, element by element ─▶ sums, begun
//! ```
//!
//! Coefficients are real and dot products are Re⟨x, y⟩, so a complex vector is a real one of twice the length. Only a [`Map`], which
//! is what proximal operators are made of, has to know which numbers have their magnitude in common: a pass with maps says it for
//! all its vectors ([`Group`]). Every sum has a tree that depends on the length alone: results are the same bits each time, on each
//! device.

pub(crate) mod columns;
mod formula;
#[cfg(feature = "gpu")]
mod kernel;
pub(crate) mod sample;

pub(crate) use formula::{Formula, Scalar};
#[cfg(feature = "gpu")]
pub(crate) use kernel::{Columned, FIRST_VECTOR, GROUP, PARTIALS, Unit, WHICH, kernel};

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A vector of a space, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector(pub usize);

/// Sums of one pass, at most.
pub(crate) const SUMS: usize = 4;

/// Which numbers have their magnitude in common: those at one place of so many equal parts of a vector (the components of a
/// gradient, the coils of an image), which lie one behind the other; of complex vectors both parts of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub members: usize,
    pub complex: bool,
}

/// What is done with a sum v before it is stored. |v| is the magnitude of the group, and w its weight: 1, or what stands in
/// another vector where the group's first member stands.
#[derive(Clone, Debug)]
pub(crate) enum Map {
    /// v · max(0, 1 − t w/|v|): soft thresholding.
    Shrink(Formula, Option<Vector>),
    /// v · min(1, t w/|v|): the nearest value with |v| ≤ t w.
    Ball(Formula, Option<Vector>),
    /// √(|v|² + t²)/w, at every number of the group; 0 where w is not positive.
    Root(Formula, Option<Vector>),
    /// The nearest real number between the two.
    Clamp(f32, f32),
    /// v / (w + t u), number by number, with w and u of other vectors; 0 where the divisor is not positive.
    Over(Vector, Formula, Vector),
}

/// A sum over a pass's vectors, after the updates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    /// Re⟨x, y⟩.
    Dot(Vector, Vector),
    /// Σ w |v| over the groups.
    Magnitudes(Vector, Option<Vector>),
}

impl Measure {
    fn vectors(self) -> impl Iterator<Item = Vector> {
        match self {
            Measure::Dot(x, y) => [Some(x), Some(y)],
            Measure::Magnitudes(v, w) => [Some(v), w],
        }
        .into_iter()
        .flatten()
    }
}

/// One way over vectors of equal length.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// For labels.
    pub name: &'static str,
    /// The scalars that the sums of the pass before are.
    pub totals: Vec<Scalar>,
    /// Scalars made of others, in order.
    pub formulas: Vec<(Scalar, Formula)>,
    /// New values, in order: a later update reads what an earlier one has made.
    pub updates: Vec<Update>,
    /// Of the values after the updates.
    pub sums: Vec<Measure>,
    /// For maps and magnitudes.
    pub group: Option<Group>,
}

/// v = map(Σ c·u); a term with c = 0 is left out, even where u has overflowed.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub vector: Vector,
    pub terms: Vec<(Formula, Vector)>,
    pub map: Option<Map>,
}

impl Pass {
    /// A pass that does nothing yet.
    pub fn new(name: &'static str) -> Pass {
        Pass { name, totals: Vec::new(), formulas: Vec::new(), updates: Vec::new(), sums: Vec::new(), group: None }
    }

    /// Takes the sums of the pass before.
    pub fn totals<const N: usize>(mut self, scalars: [Scalar; N]) -> Pass {
        self.totals = scalars.into();
        self
    }

    pub fn formula(mut self, scalar: Scalar, formula: impl Into<Formula>) -> Pass {
        self.formulas.push((scalar, formula.into()));
        self
    }

    pub fn update<const N: usize>(mut self, vector: Vector, terms: [(Formula, Vector); N]) -> Pass {
        self.updates.push(Update { vector, terms: terms.into(), map: None });
        self
    }

    /// The groups of its maps and magnitudes.
    pub fn group(mut self, group: Group) -> Pass {
        self.group = Some(group);
        self
    }

    /// Does this with the sum of the last update.
    pub fn map(mut self, map: impl Into<Option<Map>>) -> Pass {
        if let Some(update) = self.updates.last_mut() {
            update.map = map.into();
        }
        self
    }

    pub fn dot(self, x: Vector, y: Vector) -> Pass {
        self.measure(Measure::Dot(x, y))
    }

    pub fn measure(mut self, measure: Measure) -> Pass {
        self.sums.push(measure);
        self
    }

    /// Adds a term to the last update.
    pub fn term(mut self, factor: impl Into<Formula>, vector: Vector) -> Pass {
        if let Some(update) = self.updates.last_mut() {
            update.terms.push((factor.into(), vector));
        }
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
            match update.map {
                Some(Map::Shrink(_, Some(w)) | Map::Ball(_, Some(w)) | Map::Root(_, Some(w))) => add(w, false),
                Some(Map::Over(w, _, u)) => [w, u].into_iter().for_each(|v| add(v, false)),
                _ => {}
            }
            add(update.vector, true);
        }
        self.sums.iter().flat_map(|s| s.vectors()).for_each(|v| add(v, false));
        all
    }
}

/// A solver's vectors and scalars on one device, all 0 at first, with its operators. What is asked for happens in order; on a GPU it is
/// recorded, and submitted when something is read, or at [`submit`](Space::submit) where it is enough.
pub(crate) trait Space {
    /// v = t, of the same shape and dtype, on the same device.
    fn set(&mut self, v: Vector, t: &Tensor) -> Result<()>;
    /// A copy of v.
    fn get(&mut self, v: Vector) -> Result<Tensor>;
    /// to = from, of the same shape.
    fn copy(&mut self, from: Vector, to: Vector) -> Result<()>;
    /// s = value.
    fn set_scalar(&mut self, s: Scalar, value: f32) -> Result<()>;
    /// The scalars.
    fn scalars(&mut self) -> Result<Vec<f64>>;
    /// to = A from, for operator number `operator`.
    fn apply(&mut self, operator: usize, from: Vector, to: Vector) -> Result<()>;
    /// Runs pass number `pass`.
    fn pass(&mut self, pass: usize) -> Result<()>;
    /// Lets the device begin with what was asked for, as soon as that is worth a submission.
    fn submit(&mut self) -> Result<()>;
    /// Lets the device begin now.
    fn send(&mut self) -> Result<()>;
}

/// The passes of a solver and what they need.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub scalars: usize,
    pub passes: Vec<Pass>,
}

/// The kernels of these passes on a GPU, as name and WGSL, over all lengths of vectors that lie so.
#[cfg(feature = "gpu")]
pub(crate) fn kernels(layouts: &[Layout], columned: &[Columned]) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for layout in layouts {
        for pass in &layout.passes {
            for unit in Unit::all(pass) {
                for &columned in columned {
                    all.push((pass.name.to_string(), kernel(pass, layout.scalars, unit, columned)?));
                }
            }
        }
    }
    Ok(all)
}

/// Sums that nobody took, or that are not there, or magnitudes of nothing said: a fault of the solver's.
pub(crate) fn expect_sums(pass: &Pass, begun: usize) -> Result<()> {
    match pass.totals.len() == begun || pass.totals.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::Value(format!("the pass {} takes {} sums, {begun} were begun", pass.name, pass.totals.len())))
        }
    }
}

#[cfg(test)]
mod tests;
