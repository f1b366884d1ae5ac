//! Sums and means over dims.

use super::{Linop, Operator, Saver, axes_of};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::Result;
use crate::ir::Builder;
use num_complex::Complex64;

/// Sums over the dims in `axes`, which leave the shape.
///
/// The adjoint repeats y along them; the normal is both: N times the mean, everywhere. One pass, in an order that the shape
/// fixes. [Splits](Linop::split) along every dim; along one of `axes` parts of the sum are added.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::sum("T=2 N=2", "T")?;
/// let x = Tensor::from_array(ndarray::arr2(&[[1f32, 2.0], [3.0, 6.0]]), "T N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, ndarray::arr1(&[4f32, 8.0]).into_dyn());
/// assert_eq!(a.n().apply(&x)?.to_real_array()?, ndarray::arr2(&[[4f32, 8.0], [4.0, 8.0]]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input.
pub fn sum(input: impl ToShape, axes: impl ToDims) -> Result<Linop> {
    build(input.to_shape()?, &axes.to_dims()?, false)
}

/// The mean over the dims in `axes`, which leave the shape: y = 1/N · Σ x, N values each. The adjoint repeats y/N, and the
/// normal puts 1/N of the mean in place of each value.
///
/// Cost, and dims along which it splits, are those of [`sum`].
///
/// ```
/// use linops::{Tensor, linop};
/// let x = Tensor::from_array(ndarray::arr2(&[[1f32, 2.0], [3.0, 6.0]]), "T N")?;
/// let y = linop::mean("T=2 N=2", "T")?.apply(&x)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[2f32, 4.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input.
#[doc(alias = "average")]
pub fn mean(input: impl ToShape, axes: impl ToDims) -> Result<Linop> {
    build(input.to_shape()?, &axes.to_dims()?, true)
}

fn build(input: Shape, axes: &[Dim], mean: bool) -> Result<Linop> {
    let at = axes_of(&input, axes)?;
    let output = without(&input, &at)?;
    Ok(Linop::of(input, output, Sum { axes: at, mean, details: join(axes) }))
}

/// The dims that are left.
fn without(input: &Shape, axes: &[usize]) -> Result<Shape> {
    let (dims, extents) = input.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, d)| d).unzip();
    Shape::new(dims, extents)
}

#[derive(Debug)]
struct Sum {
    axes: Vec<usize>,
    mean: bool,
    details: String,
}

impl Operator for Sum {
    fn op(&self) -> &'static str {
        if self.mean { "mean" } else { "sum" }
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let all: usize = b.extents(x).iter().product();
        let y = b.sum(x, &self.axes)?;
        let terms = all / b.extents(y).iter().product::<usize>();
        b.scale(y, Complex64::from(if self.mean { 1.0 / terms as f64 } else { 1.0 }))
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.axes);
        to.makes(without(to.input(), &self.axes)?);
        Ok(())
    }
}
