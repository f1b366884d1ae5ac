//! Overlapping patches.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToShape, parse_dims};
use crate::error::{Error, Result, shape_err};
use crate::ir::Builder;
use crate::primitive::blocks::{BlockAxis, MOST_AXES};

/// Overlapping blocks (patches) along one to three dims, each given as (dim, size of a block, stride from one to the next):
/// y[…, q…, j…] = x[…, (stride·q + j)…], with (N − size)/stride + 1 blocks along a dim of extent N. What no block holds is left
/// out.
///
/// `out` names all output dims: the other dims of x in their order, then the counts of blocks, then the extents of a block, both
/// in the order in which the dims are given. The adjoint adds blocks where they overlap; the normal is diagonal: how many blocks
/// hold each entry. Both read and write each value once.
///
/// [Splits](Linop::split) along every dim: counts of blocks, places in a block, dims of x; a part reads the entries that its
/// blocks share with others, too.
///
/// ```
/// use linops::linop;
/// let a = linop::blocks("T=2 Y=12 X=10", &[("Y", 5, 2), ("X", 4, 3)], "T By Bx Py Px")?;
/// assert_eq!(a.output()?.to_string(), "T=2 By=4 Bx=3 Py=5 Px=4");
/// assert_eq!(a.n().program()?.nodes().len(), 2, "a multiplication along Y, and one along X");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input or stands twice, there are none or more than three, a block is longer than its dim, a size or stride
/// is 0, or `out` has another number of names.
pub fn blocks(input: impl ToShape, axes: &[(&str, usize, usize)], out: &str) -> Result<Linop> {
    let (input, out) = (input.to_shape()?, parse_dims(out)?);
    if axes.is_empty() || axes.len() > MOST_AXES {
        return shape_err!("blocks: along {} dims; expected 1 to {MOST_AXES}", axes.len());
    }
    let (mut order, mut cut) = (Vec::new(), Vec::new());
    for &(dim, size, stride) in axes {
        let dim: Dim = dim.parse()?;
        let a = input.require(dim).map_err(|e| e.at("blocks"))?;
        let extent = input.extents()[a];
        if order.contains(&a) {
            return shape_err!("blocks: dim {dim} stands twice");
        }
        if size == 0 || size > extent || stride == 0 {
            return shape_err!(
                "blocks: size {size} and stride {stride} along {dim}; expected a size of 1 to {extent} and a stride of at least 1"
            );
        }
        order.push(a);
        cut.push(BlockAxis { extent, size, stride });
    }
    let batch: Vec<usize> = (0..input.rank()).filter(|a| !order.contains(a)).collect();
    let mut extents: Vec<usize> = batch.iter().map(|&a| input.extents()[a]).collect();
    extents.extend(cut.iter().map(BlockAxis::count));
    extents.extend(cut.iter().map(|a| a.size));
    if out.len() != extents.len() {
        return Err(Error::Shape(format!(
            "blocks: \"out\" names {} dims; expected {}: {} of x, then for each of {} dims the count of blocks, then their sizes",
            out.len(),
            extents.len(),
            batch.len(),
            cut.len()
        )));
    }
    let output = Shape::new(out, extents).map_err(|e| e.at("blocks"))?;
    let one = |&(dim, size, stride): &(&str, usize, usize)| format!("{dim} {size} by {stride}");
    let details = axes.iter().map(one).collect::<Vec<_>>().join(", ");
    let order = batch.into_iter().chain(order).collect();
    Ok(Linop::of(input, output, Blocks { order, cut, details }))
}

#[derive(Debug)]
struct Blocks {
    /// The axes of x, those that are cut last.
    order: Vec<usize>,
    cut: Vec<BlockAxis>,
    details: String,
}

impl Operator for Blocks {
    fn op(&self) -> &'static str {
        "blocks"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        b.blocks(x, &self.cut)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let axes = &self.order[self.order.len() - self.cut.len()..];
        to.dims("axes", axes);
        to.by_dim("size", axes.iter().zip(&self.cut).map(|(&a, cut)| (a, cut.size)));
        to.by_dim("stride", axes.iter().zip(&self.cut).map(|(&a, cut)| (a, cut.stride)));
        Ok(())
    }
}
