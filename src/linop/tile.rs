//! Copies side by side along dims.

use super::{Linop, Operator, Saver, advance};
use crate::access::ValueId;
use crate::dim::{Shape, ToShape};
use crate::error::{Error, Result, shape_err};
use crate::ir::Builder;

/// `y[n] = x[n mod N]`: as many copies of x side by side along each dim as `copies` says (`"Ny=2 Nx=3"`). These dims get the next
/// unused names. The adjoint adds the copies up; the normal is a scalar. Along new dims: [`repeat`](super::repeat).
///
/// An index map: what follows reads x by it, without a pass of its own. [Splits](Linop::split) along every dim of y.
///
/// ```
/// use linops::{Tensor, linop};
/// let y = linop::tile("N=2", "N=3")?.out("N")?.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[1f32, 2.0, 1.0, 2.0, 1.0, 2.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, none is named, or the result is too large.
pub fn tile(input: impl ToShape, copies: impl ToShape) -> Result<Linop> {
    let (input, copies) = (input.to_shape()?, copies.to_shape()?);
    if copies.rank() == 0 {
        return shape_err!("tile: \"copies\" names no dim");
    }
    let at = copies.dims().iter().map(|d| input.require(*d).map_err(|e| e.at("tile"))).collect::<Result<Vec<_>>>()?;
    let mut extents = input.extents().to_vec();
    for (&a, &n) in at.iter().zip(copies.extents()) {
        let too_many = || Error::Shape(format!("tile: {n} copies of {} values cannot be counted", input.extents()[a]));
        extents[a] = extents[a].checked_mul(n).ok_or_else(too_many)?;
    }
    let output = Shape::new(advance(&input, &at), extents)?;
    let copied: Vec<(usize, usize)> = at.iter().copied().zip(copies.extents().iter().copied()).collect();
    let mut new = copied.clone();
    new.sort_unstable();
    // Each stands before its axis, behind those that were inserted before it.
    new.iter_mut().enumerate().for_each(|(i, (a, _))| *a += i);
    let merged = output.extents().to_vec();
    Ok(Linop::of(input, output, Tile { copied, new, merged, details: copies.to_string() }))
}

#[derive(Debug)]
struct Tile {
    /// Axes of x and their copies.
    copied: Vec<(usize, usize)>,
    /// Position and extent of the axes of the copies.
    new: Vec<(usize, usize)>,
    merged: Vec<usize>,
    details: String,
}

impl Operator for Tile {
    fn op(&self) -> &'static str {
        "tile"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.repeat(x, &self.new)?;
        b.reshape(x, self.merged.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.by_dim("copies", self.copied.iter().copied());
        let axes: Vec<usize> = self.copied.iter().map(|c| c.0).collect();
        to.makes(Shape::new(advance(to.input(), &axes), self.merged.clone())?);
        Ok(())
    }
}
