//! Linops between grids and points.

use super::fields::{Fields, OUT};
use super::{Loader, needed, renamed};
use crate::dim::{Shape, parse_dims};
use crate::error::Result;
use crate::linop::{
    self, Accuracy, Boundary, InterpolateOptions, InterpolationKernel, KernelNorm, Linop, NufftOptions,
    NufftType3Options, WarpKernel, WarpOptions,
};

impl Loader {
    pub(super) fn interpolate(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, options, out) = (self.locs(f)?, f.dims("axes")?, interpolation(f)?, f.need_text("out", OUT)?);
        linop::interpolate(needed(input, f)?, &locs, &axes, &options, &out).map_err(|e| f.here(e))
    }

    pub(super) fn nufft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, out) = (self.locs(f)?, f.dims("axes")?, f.need_text("out", OUT)?);
        let (tol, width, oversamp) = (f.number("tol")?, f.number("width")?, f.number("oversamp")?);
        let accuracy = match (tol, width, oversamp) {
            (Some(tol), None, None) => Accuracy::Tol(tol),
            (None, None, None) => Accuracy::default(),
            (None, width, oversamp) => {
                Accuracy::Kernel { width: width.unwrap_or(4.0), oversamp: oversamp.unwrap_or(1.25) }
            }
            _ => return Err(f.wrong("tol", "goes without \"width\" and \"oversamp\"; give one or the others")),
        };
        let options = NufftOptions::default().accuracy(accuracy).toeplitz(toeplitz(f)?);
        linop::nufft(needed(input, f)?, &locs, &axes, options, &out).map_err(|e| f.here(e))
    }

    pub(super) fn nufft_type3(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (sources, targets) = (
            self.wide(f, "sources", "the path of an array (…, D)")?,
            self.wide(f, "targets", "the path of an array (…, D)")?,
        );
        let (default, out) = (NufftType3Options::default(), f.need_text("out", OUT)?);
        let options = default.tol(f.number("tol")?.unwrap_or(default.tol)).toeplitz(toeplitz(f)?);
        linop::nufft_type3(needed(input, f)?, &sources, &targets, options, &out).map_err(|e| f.here(e))
    }

    pub(super) fn ndft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, out) = (self.locs(f)?, f.dims("axes")?, f.need_text("out", OUT)?);
        linop::ndft(needed(input, f)?, &locs, &axes, &out).map_err(|e| f.here(e))
    }

    pub(super) fn warp(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let default = WarpOptions::default();
        let kernel = match f.text("kernel")?.as_deref() {
            None | Some("linear") => WarpKernel::Linear,
            Some("cubic") => WarpKernel::Cubic,
            Some(other) => return Err(f.wrong("kernel", format!("is \"{other}\"; expected linear or cubic"))),
        };
        let options = default.kernel(kernel).boundary(boundary(f, default.boundary)?);
        let displacement = self.wide(f, "displacement", "the path of an array (D, …)")?;
        let warp = linop::warp(needed(input, f)?, &f.dims("axes")?, &displacement, options);
        renamed(warp.map_err(|e| f.here(e))?, f)
    }

    pub(super) fn gridding(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, options) = (self.locs(f)?, f.dims("axes")?, interpolation(f)?);
        let to: Shape = f.need_extents("to")?.parse().map_err(|e| f.at("to", e))?;
        let dims = parse_dims(&axes).map_err(|e| f.at("axes", e))?;
        let extents = dims.iter().map(|d| to.require(*d).map(|a| to.extents()[a])).collect::<Result<Vec<_>>>();
        let extents = extents.map_err(|e| f.at("to", e))?;
        if dims.len() != to.rank() {
            return Err(f.wrong("to", format!("gives {to}; expected the extents of \"{axes}\"")));
        }
        let to = Shape::new(dims, extents).map_err(|e| f.at("axes", e))?;
        renamed(linop::gridding(needed(input, f)?, &locs, to, &options).map_err(|e| f.here(e))?, f)
    }
}

/// Whether a normal is a convolution; null leaves it open.
fn toeplitz(f: &Fields) -> Result<Option<bool>> {
    f.get("toeplitz").map(|_| f.flag("toeplitz", false)).transpose()
}

fn boundary(f: &Fields, default: Boundary) -> Result<Boundary> {
    match f.text("boundary")?.as_deref() {
        None => Ok(default),
        Some("circular") => Ok(Boundary::Circular),
        Some("zero") => Ok(Boundary::Zero),
        Some(other) => Err(f.wrong("boundary", format!("is \"{other}\"; expected circular or zero"))),
    }
}

fn interpolation(f: &Fields) -> Result<InterpolateOptions> {
    let default = InterpolateOptions::default();
    let width = f.numbers("width")?.unwrap_or(default.width);
    let (beta, order) = (f.number("beta")?, f.count("order")?);
    let kernel = match f.text("kernel")?.as_deref() {
        None | Some("kaiser_bessel") => InterpolationKernel::KaiserBessel { beta: beta.unwrap_or(1.0) },
        Some("spline") => {
            let order = order.unwrap_or(1);
            InterpolationKernel::Spline { order: u8::try_from(order).unwrap_or(u8::MAX) }
        }
        Some("cubic") => InterpolationKernel::Cubic,
        Some(other) => {
            return Err(f.wrong("kernel", format!("is \"{other}\"; expected kaiser_bessel, spline or cubic")));
        }
    };
    let norm = match f.count("norm")? {
        None | Some(1) => KernelNorm::Product,
        Some(2) => KernelNorm::Radial,
        Some(other) => return Err(f.wrong("norm", format!("is {other}; expected 1 or 2"))),
    };
    let boundary = boundary(f, default.boundary)?;
    Ok(InterpolateOptions::default().width(width).kernel(kernel).norm(norm).boundary(boundary))
}
