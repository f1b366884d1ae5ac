//! What programs are made of: the maps that fusion knows, containers, and primitives.

use super::{Parallel, Primitive};
use crate::access::{Constant, MapAxis};
use num_complex::Complex64;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;

/// One linear map. Inputs and extents stand in the [`Node`](super::Node) that holds it.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// No input; every value 0.
    Zero,
    /// `y = c·x`.
    Scale(Complex64),
    /// `y = w·x` by elements; axis `k` of the weight runs along axis `axes[k]` of x and is broadcast along the others.
    Mul {
        /// The weight.
        weight: Constant,
        /// The axis of x for each axis of the weight.
        axes: Vec<usize>,
        /// Whether the weight is conjugated.
        conj: bool,
    },
    /// Index map: one entry for each output axis; every input axis is read by exactly one.
    Map(Vec<MapAxis>),
    /// The same values in C order under other extents.
    Reshape,
    /// Sum over these axes (ascending).
    Sum(Vec<usize>),
    /// Sum of all inputs, from the first on.
    Add,
    /// Independent programs side by side.
    Parallel(Arc<Parallel>),
    /// Anything else: see [`primitive`](crate::primitive).
    Primitive(Arc<dyn Primitive>),
}

impl Op {
    /// The primitive, if it is one of this type.
    pub fn of_type<P: Primitive>(&self) -> Option<&P> {
        match self {
            Op::Primitive(p) => p.as_any().downcast_ref(),
            Op::Zero
            | Op::Scale(_)
            | Op::Mul { .. }
            | Op::Map(_)
            | Op::Reshape
            | Op::Sum(_)
            | Op::Add
            | Op::Parallel(_) => None,
        }
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::Zero, Op::Zero) | (Op::Reshape, Op::Reshape) | (Op::Add, Op::Add) => true,
            (Op::Scale(a), Op::Scale(b)) => a == b,
            (Op::Mul { weight, axes, conj }, Op::Mul { weight: w, axes: a, conj: c }) => {
                (weight, axes, conj) == (w, a, c)
            }
            (Op::Map(a), Op::Map(b)) => a == b,
            (Op::Sum(a), Op::Sum(b)) => a == b,
            (Op::Parallel(a), Op::Parallel(b)) => a == b,
            (Op::Primitive(a), Op::Primitive(b)) => a.same(&**b),
            (a, b) => {
                debug_assert_ne!(discriminant(a), discriminant(b));
                false
            }
        }
    }
}

// Programs key plans; floats hash by their bits, shared data by identity. `PartialEq` on floats differs from that only for
// NaN (never built) and ±0 (a second plan, no harm).
impl Hash for Op {
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(self).hash(state);
        match self {
            Op::Zero | Op::Reshape | Op::Add => {}
            Op::Scale(c) => (c.re.to_bits(), c.im.to_bits()).hash(state),
            Op::Mul { weight, axes, conj } => (weight, axes, conj).hash(state),
            Op::Map(axes) => axes.hash(state),
            Op::Sum(axes) => axes.hash(state),
            Op::Parallel(p) => {
                (&p.feed, &p.join, &p.settings).hash(state);
                p.children.hash(state);
            }
            Op::Primitive(p) => p.key(state),
        }
    }
}

impl Eq for Op {}
