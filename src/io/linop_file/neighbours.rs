//! Linops over neighbourhoods: convolutions, blocks, differences.

use super::fields::{Fields, OUT};
use super::op::{ARRAY, COUNT, EXTENTS, FLAG, FileField, FileOp, NAMES, axes, must, open, or_else, out};
use super::{Loader, made, needed};
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::{self, Border, Boundary, ConvolveMode, ConvolveOptions, GradientOptions, Linop};

const MODE: FileField = or_else(
    "mode",
    "\"same\", \"full\" or \"valid\"",
    "\"same\"",
    "which part of y is kept, for N data and a kernel of K along an axis: N values, the kernel's origin at K/2, rounded down; all N + K − 1; the N − K + 1 that need nothing from outside",
);
const OUTSIDE: FileField = or_else(
    "boundary",
    "\"zero\" or \"circular\"",
    "\"zero\"",
    "what lies outside of the data; \"circular\" goes with mode \"same\"; in `convolve_kernel` x is then no longer than the data",
);
const EVERY: FileField = or_else("stride", COUNT, "1", "of so many results one is kept, along every axis");
const BORDER: &str = "\"circular\", \"zero\" or \"neumann\"";
const BEYOND: FileField =
    or_else("boundary", BORDER, "\"neumann\"", "beyond the ends: the other end, zeros, or no difference across them");
const AHEAD: FileField =
    or_else("ahead", FLAG, "true", "whether differences are `x[n + 1] − x[n]`, else `x[n] − x[n − 1]`");
const SPACING: FileField =
    open("spacing", "number, or a list of them", "1 along all axes", "h: distance of neighbours along each of `axes`");

impl Loader {
    pub(super) const CONVOLVE: FileOp = FileOp {
        name: "convolve",
        summary: "Convolution with a kernel",
        forward: "`y[p] = Σ_j k[j]·x[p − j]` along `axes`. Dims of the kernel beside these are channels: those that x has are summed over, those that it lacks are new in y, where the first one that is summed over stood, or in front",
        fields: &[
            must(
                "kernel",
                ARRAY,
                "the kernel k, with an axis for each dim of `dims`: its taps along `axes`, its channels along the others",
            ),
            open("dims", NAMES, "`axes`", "the dims of the kernel's axes: `\"O C Ny Nx\"`"),
            axes("1 to 3 dims to convolve along"),
            MODE,
            OUTSIDE,
            EVERY,
        ],
        examples: &[
            r#"{ "op": "convolve", "in": "T=2 Ny=4 Nx=5", "kernel": [[1, 2, 1], [0, 1, 0]],
  "axes": ["Ny", "Nx"], "out": "T Ny Nx" }"#,
            r#"{ "op": "convolve", "in": "C=2 N=6", "kernel": [[[1, -1], [2, 0]]], "dims": "O C N", "axes": ["N"],
  "mode": "full", "stride": 2, "out": "O M" }"#,
        ],
        build: Loader::convolve,
    };

    pub(super) fn convolve(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, options) = (f.dims("axes")?, convolution(f)?);
        let dims = f.text("dims")?.unwrap_or_else(|| axes.clone());
        let kernel = self.named(f, "kernel", &dims)?;
        made(linop::convolve(needed(input, f)?, &kernel, &axes, options), f)
    }

    pub(super) const CONVOLVE_KERNEL: FileOp = FileOp {
        name: "convolve_kernel",
        summary: "Convolution of constant data with the kernel x",
        forward: "`y[p] = Σ_j x[j]·d[p − j]` along `axes`, which are all dims of x; other dims of the data are new in y, in front",
        fields: &[
            must("data", ARRAY, "the data d, with an axis for each dim of `dims`"),
            open("dims", NAMES, "`axes`", "the dims of the data's axes: `\"C Ny Nx\"`"),
            axes("1 to 3 dims to convolve along"),
            MODE,
            OUTSIDE,
            EVERY,
        ],
        examples: &[r#"{ "op": "convolve_kernel", "in": "N=3", "data": [[1, 2, 0, -1], [0, 1, 1, 3]], "dims": "C N",
  "axes": ["N"] }"#],
        build: Loader::convolve_kernel,
    };

    pub(super) fn convolve_kernel(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, options) = (f.dims("axes")?, convolution(f)?);
        let dims = f.text("dims")?.unwrap_or_else(|| axes.clone());
        let data = self.named(f, "data", &dims)?;
        made(linop::convolve_kernel(needed(input, f)?, &data, &axes, options), f)
    }

    pub(super) const BLOCKS: FileOp = FileOp {
        name: "blocks",
        summary: "Overlapping blocks, or patches",
        forward: "`y[…, q…, j…] = x[…, (stride·q + j)…]`, with ⌊(N − size)/stride⌋ + 1 blocks along a dim of extent N",
        fields: &[
            axes("1 to 3 dims that are cut"),
            must("size", EXTENTS, "the extents of a block: `{\"Nx\": 8}`"),
            open("stride", "whole numbers by dim", "`size`", "from one block to the next"),
            out("the dims of y: those of x that stay, then the counts of blocks, then the extents of a block"),
        ],
        examples: &[r#"{ "op": "blocks", "in": "T=2 Ny=5 Nx=6", "axes": ["Ny", "Nx"], "size": { "Ny": 3, "Nx": 2 },
  "stride": { "Ny": 1 }, "out": "T By Bx Py Px" }"#],
        build: Loader::blocks,
    };

    pub(super) fn blocks(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let axes = f.dims("axes")?;
        let sizes = f.integers("size")?.ok_or_else(|| f.wrong("size", "is missing; expected {\"Nx\": 8}"))?;
        let strides = f.integers("stride")?.unwrap_or_default();
        let mut cut = Vec::new();
        for dim in axes.split_whitespace() {
            let of = |map: &[(&str, i64)]| map.iter().find(|(d, _)| *d == dim).map(|(_, n)| *n);
            let Some(size) = of(&sizes) else { return Err(f.wrong("size", format!("lacks dim {dim} of \"axes\""))) };
            let positive = |field: &str, n: i64| {
                let wrong = || f.wrong(&format!("{field}.{dim}"), format!("is {n}; expected a whole number from 1 on"));
                usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(wrong)
            };
            cut.push((dim, positive("size", size)?, positive("stride", of(&strides).unwrap_or(size))?));
        }
        for (field, map) in [("size", &sizes), ("stride", &strides)] {
            if let Some((d, _)) = map.iter().find(|(d, _)| !cut.iter().any(|c| c.0 == *d)) {
                return Err(f.wrong(&format!("{field}.{d}"), format!("is not in \"axes\" ({axes})")));
            }
        }
        let out = f.need_text("out", OUT)?;
        linop::blocks(needed(input, f)?, &cut, &out).map_err(|e| f.here(e))
    }

    pub(super) const FINITE_DIFFERENCE: FileOp = FileOp {
        name: "finite_difference",
        summary: "Differences of neighbours",
        forward: "`y[d, n] = x[n] − x[n − 1 along d]`, behind a new dim in front with an entry for each of `axes`, called `D` or the next unused name",
        fields: &[
            axes("1 to 6 dims"),
            or_else(
                "boundary",
                BORDER,
                "\"circular\"",
                "beyond the ends: the other end, zeros, or no difference across them",
            ),
        ],
        examples: &[r#"{ "op": "finite_difference", "in": "Ny=3 Nx=4", "axes": ["Ny", "Nx"] }"#],
        build: Loader::finite_difference,
    };

    pub(super) fn finite_difference(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let border = border(f)?.unwrap_or(Border::Circular);
        made(linop::finite_difference(needed(input, f)?, &f.dims("axes")?, border), f)
    }

    pub(super) const GRADIENT: FileOp = FileOp {
        name: "gradient",
        summary: "Gradient, as total variation takes it",
        forward: "`y[d, n] = (x[n + 1 along d] − x[n])/h_d`, behind a new dim in front with an entry for each of `axes`, called `D` or the next unused name",
        fields: &[axes("1 to 6 dims"), BEYOND, AHEAD, SPACING],
        examples: &[r#"{ "op": "gradient", "in": "Ny=3 Nx=4", "axes": ["Ny", "Nx"], "spacing": [1, 0.5] }"#],
        build: Loader::gradient,
    };

    pub(super) fn gradient(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::gradient(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }

    pub(super) const LAPLACIAN: FileOp = FileOp {
        name: "laplacian",
        summary: "Laplacian: minus the normal of `gradient`",
        forward: "`y = Σ_d (x[n + 1] − 2x[n] + x[n − 1])/h_d²` along the dims d of `axes`; beyond both ends lies what `boundary` says, but for \"zero\": there only the end that `gradient` looks across (the last with `ahead`, else the first) has a 0 beyond it, and the other its own entry",
        fields: &[axes("1 to 6 dims"), BEYOND, AHEAD, SPACING],
        examples: &[r#"{ "op": "laplacian", "in": "Ny=3 Nx=4", "axes": ["Ny", "Nx"] }"#],
        build: Loader::laplacian,
    };

    pub(super) fn laplacian(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::laplacian(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }

    pub(super) const SYMMETRISED_GRADIENT: FileOp = FileOp {
        name: "symmetrised_gradient",
        summary: "Symmetrised gradient of a vector field, or strain",
        forward: "of a field v whose first dim has an entry for each of `axes`: y[ii] = ∂_i v_i and y[ij] = (∂_i v_j + ∂_j v_i)/√2 for i < j, in the order 00, 01, …, 11, 12, …",
        fields: &[axes("1 to 6 dims"), BEYOND, AHEAD, SPACING],
        examples: &[r#"{ "op": "symmetrised_gradient", "in": "D=2 Ny=3 Nx=4", "axes": ["Ny", "Nx"], "ahead": false }"#],
        build: Loader::symmetrised_gradient,
    };

    pub(super) fn symmetrised_gradient(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::symmetrised_gradient(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }
}

fn convolution(f: &Fields) -> Result<ConvolveOptions> {
    let mode = match f.text("mode")?.as_deref() {
        None | Some("same") => ConvolveMode::Same,
        Some("full") => ConvolveMode::Full,
        Some("valid") => ConvolveMode::Valid,
        Some(other) => return Err(f.wrong("mode", format!("is \"{other}\"; expected same, full or valid"))),
    };
    let boundary = match f.text("boundary")?.as_deref() {
        None | Some("zero") => Boundary::Zero,
        Some("circular") => Boundary::Circular,
        Some(other) => return Err(f.wrong("boundary", format!("is \"{other}\"; expected zero or circular"))),
    };
    let stride = f.positive("stride")?.unwrap_or(1);
    Ok(ConvolveOptions::default().mode(mode).boundary(boundary).stride(stride))
}

fn border(f: &Fields) -> Result<Option<Border>> {
    match f.text("boundary")?.as_deref() {
        None => Ok(None),
        Some("circular") => Ok(Some(Border::Circular)),
        Some("zero") => Ok(Some(Border::Zero)),
        Some("neumann") => Ok(Some(Border::Neumann)),
        Some(other) => Err(f.wrong("boundary", format!("is \"{other}\"; expected circular, zero or neumann"))),
    }
}

fn gradient(f: &Fields) -> Result<GradientOptions> {
    let default = GradientOptions::default();
    let (border, ahead) = (border(f)?.unwrap_or(default.border), f.flag("ahead", default.ahead)?);
    Ok(GradientOptions::default().border(border).ahead(ahead).spacing(f.numbers("spacing")?))
}
