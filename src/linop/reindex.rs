//! What pad, crop, slice, embed, downsample and upsample have in common: some axes read through an axis map.

use super::{Linop, Operator, SavedValue, Saver, advance};
use crate::access::{AxisMap, ValueId};
use crate::dim::Shape;
use crate::error::{Result, shape_err};
use crate::ir::Builder;

/// An axis, its map, and its new extent.
pub(super) type MappedAxis = (usize, AxisMap, usize);

/// What a linop file says of the maps.
#[derive(Debug)]
pub(super) enum Said {
    /// A field keyed by dim: a value for each map.
    Each(&'static str, Vec<SavedValue>),
    /// A field for all.
    All(&'static str, SavedValue),
}

/// The linop that reads these axes through their maps; they get the next unused names. `field` is where a linop file names
/// the dims, `said` what else it says.
pub(super) fn reindex(
    op: &'static str,
    field: &str,
    input: Shape,
    maps: Vec<MappedAxis>,
    details: String,
    said: Vec<Said>,
) -> Result<Linop> {
    let axes: Vec<usize> = maps.iter().map(|m| m.0).collect();
    if axes.is_empty() {
        return shape_err!("{op}: \"{field}\" names no dim");
    }
    if let Some((_, a)) = axes.iter().enumerate().find(|(i, a)| axes[..*i].contains(a)) {
        return shape_err!("{op}: dim {} stands twice in \"{field}\"", input.dims()[*a]);
    }
    let output = mapped(&input, &maps)?;
    Ok(Linop::of(input, output, Reindex { op, maps, details, said }))
}

/// The output: new extents under the next unused names.
fn mapped(input: &Shape, maps: &[MappedAxis]) -> Result<Shape> {
    let axes: Vec<usize> = maps.iter().map(|m| m.0).collect();
    let mut extents = input.extents().to_vec();
    for &(a, _, extent) in maps {
        extents[a] = extent;
    }
    Shape::new(advance(input, &axes), extents)
}

#[derive(Debug)]
struct Reindex {
    op: &'static str,
    maps: Vec<MappedAxis>,
    details: String,
    said: Vec<Said>,
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

    fn saved(&self, to: &mut Saver) -> Result<()> {
        for said in &self.said {
            match said {
                Said::Each(field, values) => {
                    to.by_dim(field, self.maps.iter().zip(values).map(|(m, v)| (m.0, v.clone())));
                }
                Said::All(field, value) => to.field(field, value.clone()),
            }
        }
        to.makes(mapped(to.input(), &self.maps)?);
        Ok(())
    }
}
