//! Identity, zero and scalar.

use super::saved::shape_text;
use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::ToShape;
use crate::error::{Result, value_err};
use crate::ir::Builder;
use num_complex::{Complex32, Complex64};

/// y = x.
///
/// # Errors
/// The shape is not one.
pub fn identity(input: impl ToShape) -> Result<Linop> {
    let input = input.to_shape()?;
    Ok(Linop::of(input.clone(), input, Identity))
}

/// y = 0, of another shape.
///
/// # Errors
/// A shape is not one.
pub fn zero(input: impl ToShape, output: impl ToShape) -> Result<Linop> {
    let output = output.to_shape()?;
    Ok(Linop::of(input.to_shape()?, output.clone(), Zero { extents: output.extents().to_vec() }))
}

/// y = value·x.
///
/// # Errors
/// The shape is not one, or the value is NaN or infinite.
pub fn scalar(input: impl ToShape, value: impl Into<Complex32>) -> Result<Linop> {
    let (input, value) = (input.to_shape()?, value.into());
    if !value.is_finite() {
        return value_err!("a scalar linop has the value {value}; expected a finite number");
    }
    Ok(Linop::of(input.clone(), input, Scalar { value }))
}

#[derive(Debug)]
struct Identity;

impl Operator for Identity {
    fn op(&self) -> &'static str {
        "identity"
    }

    fn forward(&self, _: &mut Builder, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.makes(to.input().clone());
        Ok(())
    }
}

#[derive(Debug)]
struct Zero {
    extents: Vec<usize>,
}

impl Operator for Zero {
    fn op(&self) -> &'static str {
        "zero"
    }

    fn forward(&self, b: &mut Builder, _: ValueId) -> Result<ValueId> {
        b.zero(self.extents.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.field("out", shape_text(to.output()));
        to.names(to.output().clone());
        Ok(())
    }
}

#[derive(Debug)]
struct Scalar {
    value: Complex32,
}

impl Operator for Scalar {
    fn op(&self) -> &'static str {
        "scalar"
    }

    fn details(&self) -> String {
        match self.value.im == 0.0 {
            true => self.value.re.to_string(),
            false => self.value.to_string(),
        }
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.scale(x, Complex64::new(self.value.re.into(), self.value.im.into()))
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.field("value", self.value);
        to.makes(to.input().clone());
        Ok(())
    }
}
