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
/// Adjoint and normal are the identity, too. Nothing stands for it in a program, so it costs nothing there. [Splits](Linop::split) along every dim.
///
/// ```
/// let a = linops::linop::identity("N=4")?;
/// assert!(a.program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The shape is not one.
pub fn identity(input: impl ToShape) -> Result<Linop> {
    let input = input.to_shape()?;
    Ok(Linop::of(input.clone(), input, Identity))
}

/// y = 0, of another shape.
///
/// The adjoint is zero from `output` to `input`, the normal zero of x. Nothing is read; the result is written once. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::zero("N=2", "M=3")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[0f32, 0.0, 0.0]).into_dyn());
/// assert_eq!(a.h().output()?.to_string(), "N=2");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A shape is not one.
pub fn zero(input: impl ToShape, output: impl ToShape) -> Result<Linop> {
    let output = output.to_shape()?;
    Ok(Linop::of(input.to_shape()?, output.clone(), Zero { extents: output.extents().to_vec() }))
}

/// y = value·x.
///
/// The adjoint multiplies by the conjugate, the normal by |value|². Scalars of a chain become one, which goes into a read or a
/// store of a kernel beside it: no pass of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// use num_complex::Complex32;
/// let a = linop::scalar("N=2", Complex32::new(0.0, 2.0))?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 3.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_array()?[1], Complex32::new(0.0, 6.0));
/// assert_eq!(a.n().apply(&x)?.to_array()?[1], Complex32::new(12.0, 0.0));
/// # Ok::<(), linops::Error>(())
/// ```
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
