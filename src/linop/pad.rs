//! Zero-padding and cropping.

use super::Linop;
use super::reindex::{Said, reindex};
use crate::access::AxisMap;
use crate::dim::{Shape, ToShape};
use crate::error::{Result, shape_err};

/// Where the smaller extent lies in the larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Align {
    /// Index N/2 of the one is index P/2 of the other (rounded down).
    #[default]
    Center,
    /// Both start together.
    Start,
}

/// Zero-pads dims to the extents in `to` (`"Nx=320"`). Padded dims get the next unused name, or
/// [keep](Linop::keep) theirs.
///
/// # Errors
/// A dim is not in the input, or its new extent is smaller.
pub fn pad(input: impl ToShape, to: impl ToShape, align: Align) -> Result<Linop> {
    build(input.to_shape()?, to.to_shape()?, align, "pad")
}

/// Cuts dims to the extents in `to` (`"Nx=256"`). Cropped dims get the next unused name, or
/// [keep](Linop::keep) theirs.
///
/// # Errors
/// A dim is not in the input, or its new extent is larger.
pub fn crop(input: impl ToShape, to: impl ToShape, align: Align) -> Result<Linop> {
    build(input.to_shape()?, to.to_shape()?, align, "crop")
}

fn build(input: Shape, to: Shape, align: Align, op: &'static str) -> Result<Linop> {
    let mut maps = Vec::new();
    for (d, p) in to.iter() {
        let a = input.require(d).map_err(|e| e.at(op))?;
        let n = input.extents()[a];
        if op == "pad" && p < n {
            return shape_err!("pad: dim {d} has extent {n}, which cannot be padded to {p}; use crop");
        }
        if op == "crop" && p > n {
            return shape_err!("crop: dim {d} has extent {n}, which cannot be cropped to {p}; use pad");
        }
        // Output index n reads input index n + off.
        let off = if align == Align::Center { (n / 2) as i64 - (p / 2) as i64 } else { 0 };
        maps.push((a, AxisMap::affine(1, off, 1, n, p), p));
    }
    let mut said = vec![Said::Each("to", to.extents().iter().map(|&p| p.into()).collect())];
    if align == Align::Start {
        said.push(Said::All("align", "start".into()));
    }
    reindex(op, "to", input, maps, to.to_string(), said)
}
