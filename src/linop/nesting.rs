//! How deep linops may lie within each other.

use super::{Operator, adjoint};
use crate::error::{Result, shape_err};
use std::any::Any;

/// How deep linops lie within each other.
#[derive(Clone, Copy, Default)]
pub(super) struct Nesting {
    /// Linops within linops.
    depth: usize,
    /// Normals within normals: each doubles what is inside.
    normals: usize,
}

/// Linops within linops, at most: programs are made, planned and dropped level by level, on the stack.
const MAX_DEPTH: usize = 128;
/// Normals within normals, at most.
const MAX_NORMALS: usize = 8;

impl Nesting {
    /// Of a linop around others.
    ///
    /// # Errors
    /// It is too deep.
    pub(super) fn around(operator: &dyn Operator) -> Result<Nesting> {
        let mut n = Nesting::default();
        let kind: &dyn Any = operator;
        let (normal, adjoint) = (kind.is::<adjoint::Normal>(), kind.is::<adjoint::Adjoint>());
        for inner in operator.children().iter().filter_map(|l| l.0.as_ref().ok()) {
            // Adjoint and normal are made of the program of what is inside, not around it.
            n.depth = n.depth.max(inner.nesting.depth + usize::from(!normal && !adjoint));
            n.normals = n.normals.max(inner.nesting.normals);
        }
        n.normals += usize::from(normal);
        if n.depth > MAX_DEPTH {
            return shape_err!(
                "{}: linops lie within each other more than {MAX_DEPTH} deep; write long sums as add(vec![…]), long products as \
                 chain(vec![…])",
                operator.op()
            );
        }
        if n.normals > MAX_NORMALS {
            return shape_err!(
                "{}: more than {MAX_NORMALS} normals lie within each other, and each doubles what is inside",
                operator.op()
            );
        }
        Ok(n)
    }
}
