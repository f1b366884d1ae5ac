//! What pad, crop, slice, embed, downsample and upsample have in common: some axes read through an axis map.

use super::{Linop, Operator, advance};
use crate::access::{AxisMap, ValueId};
use crate::dim::Shape;
use crate::error::{Result, shape_err};
use crate::ir::Builder;

/// An axis, its map, and its new extent.
pub(super) type MappedAxis = (usize, AxisMap, usize);

/// The linop that reads these axes through their maps; they get the next unused names. `field` is where a linop file names
/// the dims.
pub(super) fn reindex(
    op: &'static str,
    field: &str,
    input: Shape,
    maps: Vec<MappedAxis>,
    details: String,
) -> Result<Linop> {
    let axes: Vec<usize> = maps.iter().map(|m| m.0).collect();
    if axes.is_empty() {
        return shape_err!("{op}: \"{field}\" names no dim");
    }
    if let Some((_, a)) = axes.iter().enumerate().find(|(i, a)| axes[..*i].contains(a)) {
        return shape_err!("{op}: dim {} stands twice in \"{field}\"", input.dims()[*a]);
    }
    let mut extents = input.extents().to_vec();
    for &(a, _, extent) in &maps {
        extents[a] = extent;
    }
    let output = Shape::new(advance(&input, &axes), extents)?;
    Ok(Linop::of(input, output, Reindex { op, maps, details }))
}

#[derive(Debug)]
struct Reindex {
    op: &'static str,
    maps: Vec<MappedAxis>,
    details: String,
}

impl Operator for Reindex {
    fn op(&self) -> &'static str {
        self.op
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.maps.iter().try_fold(x, |x, &(a, m, extent)| b.map_axis(x, a, m, extent))
    }
}
