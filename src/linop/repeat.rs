//! Copies along new dims.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;

/// Copies x along the new dims of `sizes` (`"C=3"`), placed first.
///
/// The adjoint sums over the new dims; the normal is a scalar, the number of copies. An index map: what follows reads x by it,
/// without a pass of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::repeat("N=2", "C=3")?;
/// assert_eq!(a.output()?.to_string(), "C=3 N=2");
/// let y = a.n().apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[3f32, 6.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A new dim is in the input already, or none is named.
pub fn repeat(input: impl ToShape, sizes: impl ToShape) -> Result<Linop> {
    let (input, sizes) = (input.to_shape()?, sizes.to_shape()?);
    let order: Vec<Dim> = sizes.dims().iter().chain(input.dims()).copied().collect();
    build(input, sizes, order)
}

/// [`repeat`] with the output dims in the order of `out`, which names every input dim and every new one.
///
/// ```
/// let a = linops::linop::repeat_to("Ny=4 Nx=6", "C=3", "Ny C Nx")?;
/// assert_eq!(a.output()?.to_string(), "Ny=4 C=3 Nx=6");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `repeat`; or `out` names other dims.
pub fn repeat_to(input: impl ToShape, sizes: impl ToShape, out: impl ToDims) -> Result<Linop> {
    build(input.to_shape()?, sizes.to_shape()?, out.to_dims()?)
}

fn build(input: Shape, sizes: Shape, order: Vec<Dim>) -> Result<Linop> {
    if sizes.rank() == 0 {
        return shape_err!("repeat: \"sizes\" names no dim");
    }
    if let Some(d) = sizes.dims().iter().find(|d| input.axis(**d).is_some()) {
        return shape_err!("repeat: dim {d} is in the input {input} already; name a new one");
    }
    let size = |d: &Dim| input.size(*d).or(sizes.size(*d));
    if order.len() != input.rank() + sizes.rank() || order.iter().any(|d| size(d).is_none()) {
        return shape_err!("repeat: out \"{}\" must name every dim of {input} and of {sizes}", join(&order));
    }
    let output = Shape::new(order.clone(), order.iter().filter_map(size).collect())?;
    let operator = Repeat {
        order: order.iter().filter_map(|d| input.axis(*d)).collect(),
        new: (0..order.len()).filter_map(|k| sizes.size(order[k]).map(|n| (k, n))).collect(),
        listed: sizes.dims().iter().map(|d| output.require(*d)).collect::<Result<_>>()?,
        details: sizes.to_string(),
    };
    Ok(Linop::of(input, output, operator))
}

#[derive(Debug)]
struct Repeat {
    order: Vec<usize>,
    new: Vec<(usize, usize)>,
    /// The positions of the new dims, in the order that they were given.
    listed: Vec<usize>,
    details: String,
}

impl Operator for Repeat {
    fn op(&self) -> &'static str {
        "repeat"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        b.repeat(x, &self.new)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let dims = to.with_new(&self.order, &self.new.iter().map(|(k, _)| *k).collect::<Vec<_>>());
        let output = to.output().renamed(&dims)?;
        let (names, extents) = self.listed.iter().map(|&k| (dims[k], output.extents()[k])).unzip();
        to.extents("sizes", &Shape::new(names, extents)?);
        to.field("out", join(&dims));
        to.names(output);
        Ok(())
    }
}
