//! Linops between grids and points.

use super::fields::{Fields, OUT};
use super::op::{ARRAY, EXTENTS, FLAG, FileField, FileOp, NUMBER, axes, must, open, or_else, out};
use super::{Loader, needed, renamed};
use crate::dim::{Shape, parse_dims};
use crate::error::Result;
use crate::linop::{
    self, Accuracy, Boundary, InterpolateOptions, InterpolationKernel, KernelNorm, Linop, NufftOptions,
    NufftType3Options, WarpKernel, WarpOptions,
};

const LOCS: FileField =
    must("locs", ARRAY, "t in cells of the grid, of extents (…, D): component d belongs to the d-th of `axes`");
const WIDTH: FileField = or_else(
    "width",
    "number, or a list of them",
    "4",
    "full width of the kernel in cells, 1 to 64: one for all axes, or one for each; not for `cubic`, which has 4",
);
const KERNEL: FileField = or_else(
    "kernel",
    "\"kaiser_bessel\", \"spline\" or \"cubic\"",
    "\"kaiser_bessel\"",
    "the function k that weighs the grid around a point",
);
const BETA: FileField =
    or_else("beta", NUMBER, "1", "the shape of a `kaiser_bessel`, and of no other: the larger, the narrower; 0 to 80");
const ORDER: FileField =
    or_else("order", "0, 1 or 2", "1", "the order of a `spline`: 0 takes the nearest value, 1 is linear, 2 quadratic");
const KERNEL_NORM: FileField = or_else("norm", "1 or 2", "1", "how k is used along several axes");
const BOUNDARY: FileField =
    or_else("boundary", "\"circular\" or \"zero\"", "\"circular\"", "what lies beyond the ends of the grid");

impl Loader {
    pub(super) const INTERPOLATE: FileOp = FileOp {
        name: "interpolate",
        summary: "From a grid to points between its cells",
        forward: "y_m = Σ_n K(n − t_m)·x_n over all cells with |n_d − t_d| ≤ width/2 along each axis; with u_d = (n_d − t_d)/(width/2), K is Π_d k(u_d) for norm 1, and k(‖u‖), 0 beyond ‖u‖ = 1, for norm 2. `kaiser_bessel`: k(u) = I₀(beta·√(1 − u²)), not normalised; `spline`: 1, 1 − |u|, or the quadratic B-spline of width 3 cells on u ∈ [−1, 1]; `cubic`: cubic convolution with a = −1/2, of width 4 cells",
        fields: &[
            LOCS,
            axes("1 to 3 dims of the grid; they leave"),
            WIDTH,
            KERNEL,
            BETA,
            ORDER,
            KERNEL_NORM,
            BOUNDARY,
            out("the dims of y: those of x that stay, then one for each axis of `locs` but the last"),
        ],
        examples: &[
            r#"{ "op": "interpolate", "in": "N=4", "locs": [[0.5], [2]], "axes": ["N"],
  "width": 2, "kernel": "spline", "out": "S" }"#,
            r#"{ "op": "interpolate", "in": "C=2 Ny=5 Nx=6", "locs": [[0.5, 1.25], [3, 4.75], [-1, 0]],
  "axes": ["Ny", "Nx"],
  "width": [3, 4], "beta": 6.5, "boundary": "zero", "out": "C S" }"#,
        ],
        build: Loader::interpolate,
    };

    pub(super) fn interpolate(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, options, out) = (self.locs(f)?, f.dims("axes")?, interpolation(f)?, f.need_text("out", OUT)?);
        linop::interpolate(needed(input, f)?, &locs, &axes, &options, &out).map_err(|e| f.here(e))
    }

    pub(super) const NUFFT: FileOp = FileOp {
        name: "nufft",
        summary: "Non-uniform Fourier transform",
        forward: "y_m = 1/√ΠN · Σ_n x_n exp(−2πi Σ_d k_md (n_d − c_d)/N_d), c = N/2 rounded down; the adjoint sums over m. The dims in `axes` leave and those of the samples come last",
        fields: &[
            must(
                "locs",
                ARRAY,
                "k in cycles per field of view, −N/2 to N/2, of extents (…, D): component d belongs to the d-th of `axes`",
            ),
            axes("1 to 3 dims to transform"),
            or_else(
                "tol",
                NUMBER,
                "1e-4",
                "relative l2 error of y and of the adjoint; width and grid are chosen for it. It goes without the next two",
            ),
            open("width", NUMBER, "by `tol`; with `oversamp` alone: 4", "width of the kernel in cells"),
            open(
                "oversamp",
                NUMBER,
                "by `tol`; with `width` alone: 1.25",
                "size of the grid in units of the image: at least ⌊oversamp·N⌋ cells",
            ),
            open(
                "toeplitz",
                FLAG,
                "where it is cheaper, in time and not far above in memory",
                "whether the normal is a convolution on a grid of twice the size",
            ),
            out("the dims of y: those of x that stay, then one for each axis of `locs` but the last"),
        ],
        examples: &[
            r#"{ "op": "nufft", "in": "C=2 N=6", "locs": [[-2.5], [0], [1.75]], "axes": ["N"], "tol": 1e-5, "out": "C S" }"#,
            r#"{ "op": "nufft", "in": "Ny=6 Nx=4", "locs": [[0.5, 1], [-3, 0.25]], "axes": ["Ny", "Nx"],
  "width": 5, "oversamp": 2, "toeplitz": true, "out": "S" }"#,
        ],
        build: Loader::nufft,
    };

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

    pub(super) const NUFFT_TYPE3: FileOp = FileOp {
        name: "nufft_type3",
        summary: "Non-uniform Fourier transform between two sets of points",
        forward: "y_m = Σ_n x_n exp(−2πi p_n·s_m), from values at the sources p to values at the targets s, both anywhere; not normalised. Few points are summed as written. The sources are the last dims of the input, the targets come in their place",
        fields: &[
            must("sources", ARRAY, "p, of extents (…, D), D from 1 to 3"),
            must("targets", ARRAY, "s, of extents (…, D), in units that are inverse to those of the sources"),
            or_else("tol", NUMBER, "1e-4", "relative l2 error of y and of the adjoint, from 3e-6 on"),
            open(
                "toeplitz",
                FLAG,
                "where it is cheaper and as exact",
                "whether the normal has a convolution in its middle; one that is not within `tol` is refused",
            ),
            out("the dims of y: those of x that stay, then one for each axis of `targets` but the last"),
        ],
        examples: &[
            r#"{ "op": "nufft_type3", "in": "C=2 N=3", "sources": [[0, 0], [0.3, -1], [2, 0.5]],
  "targets": [[0, 0], [2.5, 1]], "out": "C M" }"#,
            r#"{ "op": "nufft_type3", "in": "N=3", "sources": [[0], [0.3], [2]], "targets": [[-1], [0], [2.5]],
  "tol": 1e-3, "toeplitz": true, "out": "M" }"#,
        ],
        build: Loader::nufft_type3,
    };

    pub(super) fn nufft_type3(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (sources, targets) =
            (self.wide(f, "sources", "an array (…, D)")?, self.wide(f, "targets", "an array (…, D)")?);
        let (default, out) = (NufftType3Options::default(), f.need_text("out", OUT)?);
        let options = default.tol(f.number("tol")?.unwrap_or(default.tol)).toeplitz(toeplitz(f)?);
        linop::nufft_type3(needed(input, f)?, &sources, &targets, options, &out).map_err(|e| f.here(e))
    }

    pub(super) const NDFT: FileOp = FileOp {
        name: "ndft",
        summary: "Non-uniform Fourier transform as the sum that defines it",
        forward: "the sum that `nufft` approximates, summed as it is written: about 8·M·ΠN operations for M points",
        fields: &[
            must(
                "locs",
                ARRAY,
                "k in cycles per field of view, of extents (…, D): component d belongs to the d-th of `axes`",
            ),
            axes("1 to 3 dims to transform"),
            out("the dims of y: those of x that stay, then one for each axis of `locs` but the last"),
        ],
        examples: &[r#"{ "op": "ndft", "in": "C=2 N=6", "locs": [[-2.5], [0], [1.75]], "axes": ["N"], "out": "C S" }"#],
        build: Loader::ndft,
    };

    pub(super) fn ndft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (locs, axes, out) = (self.locs(f)?, f.dims("axes")?, f.need_text("out", OUT)?);
        linop::ndft(needed(input, f)?, &locs, &axes, &out).map_err(|e| f.here(e))
    }

    pub(super) const WARP: FileOp = FileOp {
        name: "warp",
        summary: "An image moved by a field of displacements",
        forward: "`y[n] = x(n + u[n])`, x between cells by weights of 2 or 4 cells along each axis",
        fields: &[
            axes("1 to 3 dims of the image; all others are moved alike"),
            must(
                "displacement",
                ARRAY,
                "u in cells, of extents (D, …): component d belongs to the d-th of `axes`, and the other axes are these dims",
            ),
            or_else("kernel", "\"linear\" or \"cubic\"", "\"linear\"", "1 − |s|, or cubic convolution with a = −1/2"),
            or_else("boundary", "\"circular\" or \"zero\"", "\"zero\"", "what lies beyond the ends of the image"),
        ],
        examples: &[r#"{ "op": "warp", "in": "Ny=2 Nx=3", "axes": ["Nx"], "displacement": [[0.5, -0.25, 0]] }"#],
        build: Loader::warp,
    };

    pub(super) fn warp(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let default = WarpOptions::default();
        let kernel = match f.text("kernel")?.as_deref() {
            None | Some("linear") => WarpKernel::Linear,
            Some("cubic") => WarpKernel::Cubic,
            Some(other) => return Err(f.wrong("kernel", format!("is \"{other}\"; expected linear or cubic"))),
        };
        let options = default.kernel(kernel).boundary(boundary(f, default.boundary)?);
        let displacement = self.wide(f, "displacement", "an array (D, …)")?;
        let warp = linop::warp(needed(input, f)?, &f.dims("axes")?, &displacement, options);
        renamed(warp.map_err(|e| f.here(e))?, f)
    }

    pub(super) const GRIDDING: FileOp = FileOp {
        name: "gridding",
        summary: "The adjoint of `interpolate`: from points to a grid",
        forward: "x_n = Σ_m K(n − t_m)·y_m, K as in `interpolate`. The samples are the last dims of the input; the dims of the grid come last",
        fields: &[
            LOCS,
            axes("1 to 3 new dims, those of the grid"),
            must("to", EXTENTS, "the extents of the grid"),
            WIDTH,
            KERNEL,
            BETA,
            ORDER,
            KERNEL_NORM,
            BOUNDARY,
        ],
        examples: &[
            r#"{ "op": "gridding", "in": "S=2", "locs": [[0.5], [2]], "axes": ["N"], "to": { "N": 4 },
  "width": 2, "kernel": "spline" }"#,
            r#"{ "op": "gridding", "in": "C=2 S=2", "locs": [[0.5], [2]], "axes": ["N"], "to": { "N": 5 }, "beta": 6.5 }"#,
        ],
        build: Loader::gridding,
    };

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
    // Fields of other kernels are not asked for, which makes them an error.
    let kernel = match f.text("kernel")?.as_deref() {
        None | Some("kaiser_bessel") => InterpolationKernel::KaiserBessel { beta: f.number("beta")?.unwrap_or(1.0) },
        Some("spline") => {
            let order = f.count("order")?.unwrap_or(1);
            InterpolationKernel::Spline { order: u8::try_from(order).unwrap_or(u8::MAX) }
        }
        Some("cubic") => InterpolationKernel::Cubic,
        Some(other) => {
            return Err(f.wrong("kernel", format!("is \"{other}\"; expected kaiser_bessel, spline or cubic")));
        }
    };
    let width = match kernel {
        InterpolationKernel::Cubic => None,
        _ => f.numbers("width")?,
    };
    let width = width.unwrap_or(default.width);
    let norm = match f.count("norm")? {
        None | Some(1) => KernelNorm::Product,
        Some(2) => KernelNorm::Radial,
        Some(other) => return Err(f.wrong("norm", format!("is {other}; expected 1 or 2"))),
    };
    let boundary = boundary(f, default.boundary)?;
    Ok(InterpolateOptions::default().width(width).kernel(kernel).norm(norm).boundary(boundary))
}
