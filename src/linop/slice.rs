//! Strided slices and their adjoint.

use super::reindex::{Said, reindex};
use super::{Linop, SavedValue};
use crate::access::AxisMap;
use crate::dim::ToShape;
use crate::error::{Result, shape_err};

/// Indices start, start + step, … below stop. None is the default: 0, the extent, 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// First index.
    pub start: Option<usize>,
    /// End, exclusive.
    pub stop: Option<usize>,
    /// Step, at least 1.
    pub step: Option<usize>,
}

impl From<std::ops::Range<usize>> for Stretch {
    fn from(r: std::ops::Range<usize>) -> Stretch {
        Stretch { start: Some(r.start), stop: Some(r.end), step: None }
    }
}

impl Stretch {
    /// (start, count, step) within an extent.
    fn resolve(&self, op: &str, dim: impl std::fmt::Display, extent: usize) -> Result<(usize, usize, usize)> {
        let (start, stop, step) = (self.start.unwrap_or(0), self.stop.unwrap_or(extent), self.step.unwrap_or(1));
        if start >= stop || stop > extent || step == 0 {
            return shape_err!(
                "{op}: the range {start}..{stop} step {step} of dim {dim} does not fit extent {extent}; \
                 expected 0 ≤ start < stop ≤ {extent} and step ≥ 1"
            );
        }
        // A step beyond the extent takes one index, like a step of the extent.
        let step = step.min(extent);
        Ok((start, (stop - start).div_ceil(step), step))
    }
}

/// `y[n] = x[start + n·step]` along each named dim. Sliced dims get the next unused name.
///
/// # Errors
/// A dim is not in the input, or a range does not fit its extent.
pub fn slice(input: impl ToShape, ranges: &[(&str, Stretch)]) -> Result<Linop> {
    let input = input.to_shape()?;
    let mut maps = Vec::new();
    for (dim, range) in ranges {
        let a = input.require(dim.parse()?).map_err(|e| e.at("slice"))?;
        let n = input.extents()[a];
        let (start, count, step) = range.resolve("slice", dim, n)?;
        maps.push((a, AxisMap::affine(step as i64, start as i64, 1, n, count), count));
    }
    reindex("slice", "ranges", input, maps, details(ranges), vec![said(ranges)])
}

/// The adjoint of [`slice()`] into the extents `to`: `y[start + n·step] = x[n]`, zero elsewhere. Embedded dims get the next
/// unused name.
///
/// # Errors
/// A dim is not in the input, a range does not fit the new extent, or has another number of indices than x.
pub fn embed(input: impl ToShape, ranges: &[(&str, Stretch)], to: impl ToShape) -> Result<Linop> {
    let (input, to) = (input.to_shape()?, to.to_shape()?);
    let mut maps = Vec::new();
    for (dim, range) in ranges {
        let d = dim.parse()?;
        let a = input.require(d).map_err(|e| e.at("embed"))?;
        let Some(p) = to.size(d) else { return shape_err!("embed: \"to\" lacks dim {d}; give its new extent") };
        let (start, count, step) = range.resolve("embed", d, p)?;
        let n = input.extents()[a];
        if count != n {
            return shape_err!("embed: the range of dim {d} has {count} indices, x has extent {n}");
        }
        maps.push((a, AxisMap::affine(step as i64, start as i64, 1, p, n).transpose(p, n), p));
    }
    if let Some(d) = to.dims().iter().find(|d| !ranges.iter().any(|(r, _)| *r == d.to_string())) {
        return shape_err!("embed: \"to\" names dim {d}, which has no range; give it one");
    }
    let new = maps.iter().map(|m| m.2.into()).collect();
    reindex("embed", "ranges", input, maps, details(ranges), vec![said(ranges), Said::Each("to", new)])
}

/// `[start, stop, step]` for each.
fn said(ranges: &[(&str, Stretch)]) -> Said {
    let part = |n: Option<usize>| n.map_or(SavedValue::Null, SavedValue::from);
    let one = |(_, r): &(&str, Stretch)| vec![part(r.start), part(r.stop), part(r.step)].into();
    Said::Each("ranges", ranges.iter().map(one).collect())
}

/// `Ny 1..6:2 Nx ..`, as listings show it.
fn details(ranges: &[(&str, Stretch)]) -> String {
    let number = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
    let one = |(d, r): &(&str, Stretch)| {
        let step = r.step.map_or(String::new(), |s| format!(":{s}"));
        format!("{d} {}..{}{step}", number(r.start), number(r.stop))
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}
