//! Hankel matrices: the windows of a signal as rows.

use super::{Linop, Operator, Saver, chain, diagonal};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToShape, parse_dims};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::gather::IndexList;
use crate::tensor::Tensor;
use ndarray::Array1;

/// The block-Hankel matrix of x over the dims of `windows` (`"Ky=6 Kx=6"`): row p holds the window that begins at p,
/// y[…, p, j] = x[…, p + j], 0 ≤ p ≤ N − w along each dim. Positions make one dim and the places in the window another, each in
/// C order over the dims of `windows`; they come last, behind the other dims of x. `out` names all output dims.
///
/// What low-rank methods complete: SAKE (Shin et al., Magn. Reson. Med. 72:959, 2014), LORAKS, ALOHA. With coils the columns are
/// `rearrange`d: `"C P W -> P (C W)"`. The adjoint adds the windows up at their places; the normal is a diagonal, in how many
/// windows an element is.
///
/// Forward and adjoint are one pass for each dim of `windows`, and one that orders if there are several; the normal is one
/// pass. [Splits](Linop::split) along the positions and the other dims.
///
/// ```
/// use linops::{Tensor, linop};
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0, 4.0]), "N")?;
/// let y = linop::hankel("N=4", "N=3", "P W")?.apply(&x)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr2(&[[1f32, 2.0, 3.0], [2.0, 3.0, 4.0]]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `windows` is not in the input or is shorter than its window, none is named, or `out` has another number of names.
#[doc(alias = "sliding_window")]
pub fn hankel(input: impl ToShape, windows: impl ToShape, out: &str) -> Result<Linop> {
    let (input, windows) = (input.to_shape()?, windows.to_shape()?);
    if windows.rank() == 0 {
        return shape_err!("hankel: \"windows\" names no dim");
    }
    let at =
        windows.dims().iter().map(|d| input.require(*d).map_err(|e| e.at("hankel"))).collect::<Result<Vec<_>>>()?;
    let mut axes = Vec::with_capacity(at.len());
    for ((&a, &w), d) in at.iter().zip(windows.extents()).zip(windows.dims()) {
        let n = input.extents()[a];
        if w > n {
            return shape_err!("hankel: the window of {d} is {w}, expected at most its extent {n}");
        }
        axes.push((n - w + 1, w));
    }
    let kept: Vec<usize> = (0..input.rank()).filter(|a| !at.contains(a)).collect();
    let product = |side: fn(&(usize, usize)) -> usize| axes.iter().map(side).try_fold(1usize, usize::checked_mul);
    let (Some(rows), Some(columns)) = (product(|a| a.0), product(|a| a.1)) else {
        return shape_err!("hankel: the windows {windows} of {input} are more than can be counted");
    };
    let outer: Vec<usize> = kept.iter().map(|&a| input.extents()[a]).collect();
    let dims = parse_dims(out)?;
    if dims.len() != outer.len() + 2 {
        return shape_err!("hankel: out \"{out}\" names {} dims, expected {}", dims.len(), outer.len() + 2);
    }
    let output = Shape::new(dims, outer.iter().copied().chain([rows, columns]).collect())?;
    let lists = axes.iter().map(list).collect::<Result<_>>()?;
    let order = kept.into_iter().chain(at).collect();
    let operator = Hankel { input: input.clone(), dims: windows.dims().to_vec(), order, outer, axes, lists };
    Ok(Linop::of(input, output, operator))
}

/// Where the windows along one axis read.
fn list(&(positions, width): &(usize, usize)) -> Result<IndexList> {
    let extent = positions + width - 1;
    if extent > u32::MAX as usize || positions.checked_mul(width).is_none_or(|n| n > u32::MAX as usize) {
        return shape_err!("hankel: {positions} windows of {width} along one dim; at most 2^32 - 1 elements in all");
    }
    let mut indices = crate::allocate::room_for(positions * width, "the windows of a Hankel matrix")?;
    indices.extend((0..positions as u32).flat_map(|p| (0..width as u32).map(move |j| p + j)));
    IndexList::new(indices, extent)
}

#[derive(Debug)]
struct Hankel {
    input: Shape,
    dims: Vec<Dim>,
    /// The axes of x, those with windows last.
    order: Vec<usize>,
    /// Extents of the others.
    outer: Vec<usize>,
    /// Positions and width of the windows along each axis.
    axes: Vec<(usize, usize)>,
    lists: Vec<IndexList>,
}

impl Operator for Hankel {
    fn op(&self) -> &'static str {
        "hankel"
    }

    fn details(&self) -> String {
        let one = |(d, (_, w)): (&Dim, &(usize, usize))| format!("{d}={w}");
        self.dims.iter().zip(&self.axes).map(one).collect::<Vec<_>>().join(" ")
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let first = self.outer.len();
        let mut x = b.permute(x, &self.order)?;
        // One axis after the other, so that lists are as long as an axis' windows and not as all of them.
        for (i, list) in self.lists.iter().enumerate() {
            x = b.gather(x, first + i, list.clone())?;
        }
        let mut split = self.outer.clone();
        split.extend(self.axes.iter().flat_map(|&(positions, width)| [positions, width]));
        let x = b.reshape(x, split)?;
        let places = |offset| (0..self.axes.len()).map(move |i| first + 2 * i + offset);
        let x = b.permute(x, &(0..first).chain(places(0)).chain(places(1)).collect::<Vec<_>>())?;
        let mut merged = self.outer.clone();
        merged.extend([self.axes.iter().map(|a| a.0).product(), self.axes.iter().map(|a| a.1).product::<usize>()]);
        b.reshape(x, merged)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let windows = self.order[self.outer.len()..].iter().copied().zip(self.axes.iter().map(|a| a.1));
        to.by_dim("size", windows);
        Ok(())
    }

    /// In how many windows each element is: a weight along each axis.
    fn normal(&self) -> Option<Result<Linop>> {
        let weight = |(d, &(positions, width)): (&Dim, &(usize, usize))| {
            let n = positions + width - 1;
            let count = |k: usize| (k + 1).min(n - k).min(positions).min(width) as f32;
            diagonal(&self.input, &Tensor::from_array(Array1::from_shape_fn(n, count), &d.to_string())?)
        };
        Some(self.dims.iter().zip(&self.axes).map(weight).collect::<Result<Vec<_>>>().and_then(chain))
    }
}
