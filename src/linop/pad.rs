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
/// y[n] = x[n + o] where that is in x and 0 elsewhere, with o = N/2 − P/2 (each rounded down) for [`Align::Center`] and 0 for
/// [`Align::Start`]. The adjoint is [`crop`], the normal the identity. An index map: what follows reads x by it, without a pass
/// of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop::{self, Align};
/// use linops::Tensor;
/// let a = linop::pad("N=3", "N=5", Align::Center)?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[0f32, 1.0, 2.0, 3.0, 0.0]).into_dyn());
/// assert!(a.n().program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, or its new extent is smaller.
pub fn pad(input: impl ToShape, to: impl ToShape, align: Align) -> Result<Linop> {
    build(input.to_shape()?, to.to_shape()?, align, "pad")
}

/// Cuts dims to the extents in `to` (`"Nx=256"`). Cropped dims get the next unused name, or
/// [keep](Linop::keep) theirs.
///
/// The adjoint is [`pad`]; the normal makes zeros of what is cut off. An index map: what follows reads x by it, without a pass
/// of its own, and a Fourier transform before it does not store what is cut off. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop::{self, Align};
/// use linops::Tensor;
/// let a = linop::crop("N=5", "N=3", Align::Center)?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0, 4.0, 5.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, ndarray::arr1(&[2f32, 3.0, 4.0]).into_dyn());
/// assert_eq!(a.n().apply(&x)?.to_real_array()?, ndarray::arr1(&[0f32, 2.0, 3.0, 4.0, 0.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
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
