//! Sums over dims.

use super::{Linop, Operator, Saver, axes_of};
use crate::access::ValueId;
use crate::dim::{Shape, ToShape};
use crate::error::Result;
use crate::ir::Builder;

/// Sums over the dims in `axes`, which leave the shape.
///
/// # Errors
/// A dim is not in the input.
pub fn sum(input: impl ToShape, axes: &str) -> Result<Linop> {
    let input = input.to_shape()?;
    let at = axes_of(&input, axes)?;
    let output = without(&input, &at)?;
    Ok(Linop::of(input, output, Sum { axes: at, details: axes.to_string() }))
}

/// The dims that are left.
fn without(input: &Shape, axes: &[usize]) -> Result<Shape> {
    let (dims, extents) = input.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, d)| d).unzip();
    Shape::new(dims, extents)
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

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.axes);
        to.makes(without(to.input(), &self.axes)?);
        Ok(())
    }
}
