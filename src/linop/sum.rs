//! Sums over dims.

use super::{Linop, Operator, axes_of};
use crate::access::ValueId;
use crate::dim::{Shape, ToDims, ToShape, join};
use crate::error::Result;
use crate::ir::Builder;

/// Sums over the dims in `axes`, which leave the shape.
///
/// # Errors
/// A dim is not in the input.
pub fn sum(input: impl ToShape, axes: impl ToDims) -> Result<Linop> {
    let input = input.to_shape()?;
    let axes = axes.to_dims()?;
    let at = axes_of(&input, &axes)?;
    let (dims, extents) = input.iter().enumerate().filter(|(a, _)| !at.contains(a)).map(|(_, d)| d).unzip();
    let output = Shape::new(dims, extents)?;
    Ok(Linop::of(input, output, Sum { axes: at, details: join(&axes) }))
}

#[derive(Debug)]
struct Sum {
    axes: Vec<usize>,
    details: String,
}

impl Operator for Sum {
    fn op(&self) -> &'static str {
        "sum"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.sum(x, &self.axes)
    }
}
