//! Linops over neighbourhoods: convolutions, blocks, differences.

use super::fields::{Fields, OUT};
use super::{Loader, needed, renamed};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::linop::{self, Border, Boundary, ConvolveMode, ConvolveOptions, GradientOptions, Linop};

impl Loader {
    pub(super) fn convolve(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, options) = (f.dims("axes")?, convolution(f)?);
        let dims = f.text("dims")?.unwrap_or_else(|| axes.clone());
        let kernel = self.named(f, "kernel", &dims)?;
        made(linop::convolve(needed(input, f)?, &kernel, &axes, options), f)
    }

    pub(super) fn convolve_kernel(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, options) = (f.dims("axes")?, convolution(f)?);
        let dims = f.text("dims")?.unwrap_or_else(|| axes.clone());
        let data = self.named(f, "data", &dims)?;
        made(linop::convolve_kernel(needed(input, f)?, &data, &axes, options), f)
    }

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

    pub(super) fn finite_difference(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let border = border(f)?.unwrap_or(Border::Circular);
        made(linop::finite_difference(needed(input, f)?, &f.dims("axes")?, border), f)
    }

    pub(super) fn gradient(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::gradient(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }

    pub(super) fn laplacian(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::laplacian(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }

    pub(super) fn symmetrised_gradient(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::symmetrised_gradient(needed(input, f)?, &f.dims("axes")?, gradient(f)?), f)
    }
}

fn made(linop: Result<Linop>, f: &mut Fields) -> Result<Linop> {
    renamed(linop.map_err(|e: Error| f.here(e))?, f)
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
    let stride = f.count("stride")?.unwrap_or(1);
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
