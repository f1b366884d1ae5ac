//! Hankel matrices: the windows of a signal as rows.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToShape, parse_dims};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::blocks::{BlockAxis, MOST_AXES};

/// The block-Hankel matrix of x over the dims of `windows` (`"Ky=6 Kx=6"`): row p holds the window that begins at p,
/// y[…, p, j] = x[…, p + j], 0 ≤ p ≤ N − w along each dim. Positions make one dim and the places in the window another, each in
/// C order over the dims of `windows`; they come last, behind the other dims of x. `out` names all output dims.
///
/// What low-rank methods complete: SAKE (Shin et al., Magn. Reson. Med. 72:959, 2014), LORAKS, ALOHA. With coils the columns are
/// `rearrange`d: `"C P W -> P (C W)"`. The adjoint adds the windows up at their places; the normal is a diagonal, in how many
/// windows an element is.
///
/// Forward and adjoint are one pass over memory for up to three dims of `windows`, as [`blocks`](super::blocks()) are; the normal is
/// one pass. [Splits](Linop::split) along the positions and the other dims.
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
    let order = kept.into_iter().chain(at).collect();
    let operator = Hankel { dims: windows.dims().to_vec(), order, outer, axes };
    Ok(Linop::of(input, output, operator))
}

#[derive(Debug)]
struct Hankel {
    dims: Vec<Dim>,
    /// The axes of x, those with windows last.
    order: Vec<usize>,
    /// Extents of the others.
    outer: Vec<usize>,
    /// Positions and width of the windows along each axis.
    axes: Vec<(usize, usize)>,
}

/// What stands at an axis, of which of the dims of the windows.
#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Whole(usize),
    Position(usize),
    Window(usize),
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
        // What stands at each axis behind the others: dims that are still whole, then positions and windows.
        let mut at: Vec<Entry> = (0..self.axes.len()).map(Entry::Whole).collect();
        let numbered: Vec<usize> = (0..self.axes.len()).collect();
        for group in numbered.chunks(MOST_AXES) {
            let whole = |e: &Entry| matches!(e, Entry::Whole(k) if group.contains(k));
            let (cut, kept): (Vec<usize>, Vec<usize>) = (0..at.len()).partition(|&a| whole(&at[a]));
            let order = (0..first).chain(kept.iter().chain(&cut).map(|a| first + a));
            x = b.permute(x, &order.collect::<Vec<_>>())?;
            let blocks = |&k: &usize| {
                let (positions, size) = self.axes[k];
                BlockAxis { extent: positions + size - 1, size, stride: 1 }
            };
            x = b.blocks(x, &group.iter().map(blocks).collect::<Vec<_>>())?;
            let made = group.iter().map(|&k| Entry::Position(k)).chain(group.iter().map(|&k| Entry::Window(k)));
            at = kept.iter().map(|&a| at[a]).chain(made).collect();
        }
        let wanted = numbered.iter().map(|&k| Entry::Position(k)).chain(numbered.iter().map(|&k| Entry::Window(k)));
        let places = wanted.filter_map(|e| at.iter().position(|a| *a == e)).map(|a| first + a);
        x = b.permute(x, &(0..first).chain(places).collect::<Vec<_>>())?;
        let mut merged = self.outer.clone();
        merged.extend([self.axes.iter().map(|a| a.0).product(), self.axes.iter().map(|a| a.1).product::<usize>()]);
        b.reshape(x, merged)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let windows = self.order[self.outer.len()..].iter().copied().zip(self.axes.iter().map(|a| a.1));
        to.by_dim("size", windows);
        Ok(())
    }
}
