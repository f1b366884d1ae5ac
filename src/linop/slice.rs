//! Strided slices and their adjoint.

use super::reindex::{Said, reindex};
use super::{Linop, SavedValue, Stretch, ToStretch};
use crate::access::AxisMap;
use crate::dim::ToShape;
use crate::error::{Result, shape_err};

/// `y[n] = x[start + n·step]` along each named dim. Ranges are written in any way that [`ToStretch`] lists. Sliced dims get the next
/// unused name, or [keep](Linop::keep) theirs.
///
/// The adjoint is [`embed`]; the normal makes zeros of what is not in the ranges. An index map: what follows reads x by it,
/// without a pass of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop;
/// assert_eq!(linop::slice("Ny=10 Nx=9", &[("Ny", 2..7), ("Nx", 0..3)])?.output()?.to_string(), "Ny1=5 Nx1=3");
/// assert_eq!(linop::slice("Ny=10 Nx=9", &[("Nx", ..5)])?.keep().output()?.to_string(), "Ny=10 Nx=5");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, or a range does not fit its extent.
pub fn slice<R: ToStretch>(input: impl ToShape, ranges: &[(&str, R)]) -> Result<Linop> {
    let (input, ranges) = (input.to_shape()?, read("slice", ranges)?);
    let mut maps = Vec::new();
    for (dim, range) in &ranges {
        let a = input.require(dim.parse()?).map_err(|e| e.at("slice"))?;
        let n = input.extents()[a];
        let (start, count, step) = range.resolve("slice", dim, n)?;
        maps.push((a, AxisMap::affine(step as i64, start as i64, 1, n, count), count));
    }
    reindex("slice", "ranges", input, maps, details(&ranges), vec![said(&ranges)])
}

/// The adjoint of [`slice()`] into the extents `to`: `y[start + n·step] = x[n]`, zero elsewhere. Embedded dims get the next
/// unused name.
///
/// The adjoint is [`slice()`], the normal the identity. An index map, without a pass of its own. [Splits](Linop::split) along
/// every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::embed("N=2", &[("N", (1, 5, 3))], "N=6")?.keep();
/// assert_eq!(a.output()?.to_string(), "N=6");
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[0f32, 1.0, 0.0, 0.0, 2.0, 0.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, a range does not fit the new extent, or has another number of indices than x.
pub fn embed<R: ToStretch>(input: impl ToShape, ranges: &[(&str, R)], to: impl ToShape) -> Result<Linop> {
    let (input, to, ranges) = (input.to_shape()?, to.to_shape()?, read("embed", ranges)?);
    let mut maps = Vec::new();
    for (dim, range) in &ranges {
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
    reindex("embed", "ranges", input, maps, details(&ranges), vec![said(&ranges), Said::Each("to", new)])
}

/// `[start, stop, step]` for each.
fn said(ranges: &[(&str, Stretch)]) -> Said {
    let part = |n: Option<usize>| n.map_or(SavedValue::Null, SavedValue::from);
    let one = |(_, r): &(&str, Stretch)| vec![part(r.start), part(r.stop), part(r.step)].into();
    Said::Each("ranges", ranges.iter().map(one).collect())
}

/// The ranges by dim.
fn read<'a, R: ToStretch>(op: &str, ranges: &[(&'a str, R)]) -> Result<Vec<(&'a str, Stretch)>> {
    let one = |(dim, range): &(&'a str, R)| match range.to_stretch() {
        Ok(range) => Ok((*dim, range)),
        Err(e) => Err(e.at(format!("{op}: dim {dim}"))),
    };
    ranges.iter().map(one).collect()
}

/// `Ny 1..6:2, Nx ..`, as listings show it.
fn details(ranges: &[(&str, Stretch)]) -> String {
    ranges.iter().map(|(d, r)| format!("{d} {r}")).collect::<Vec<_>>().join(", ")
}
