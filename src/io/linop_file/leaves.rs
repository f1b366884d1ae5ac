//! Linops without linops inside.

use super::fields::{Fields, OUT};
use super::op::{ARRAY, EXTENTS, FileOp, NAMES, SCALAR, axes, must, open, or_else, out};
use super::{Loader, made, needed};
use crate::dim::{Shape, parse_dims};
use crate::error::Result;
use crate::linop::{self, Align, Linop, Stretch};
use num_complex::Complex32;
use serde_json::Value;

impl Loader {
    pub(super) const IDENTITY: FileOp = FileOp {
        name: "identity",
        summary: "Leaves everything as it is",
        forward: "y = x",
        fields: &[],
        examples: &[r#"{ "op": "identity", "in": "Ny=2 Nx=3" }"#],
        build: Loader::identity,
    };

    pub(super) fn identity(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::identity(needed(input, f)?), f)
    }

    pub(super) const ZERO: FileOp = FileOp {
        name: "zero",
        summary: "Zeros of any shape",
        forward: "y = 0, of the shape that `out` gives",
        fields: &[must("out", "dims with extents, as text", "the output: `\"Ky=4 Kx=4\"`")],
        examples: &[r#"{ "op": "zero", "in": "N=3", "out": "M=2" }"#],
        build: Loader::zero,
    };

    pub(super) fn zero(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let out = f.need_text("out", "dims with extents, as in \"Ky=256 Kx=256\"")?;
        linop::zero(needed(input, f)?, out).map_err(|e| f.at("out", e))
    }

    pub(super) const SCALAR: FileOp = FileOp {
        name: "scalar",
        summary: "A number times x",
        forward: "y = value·x",
        fields: &[must("value", SCALAR, "what x is multiplied by")],
        examples: &[
            r#"{ "op": "scalar", "in": "N=3", "value": -0.5 }"#,
            r#"{ "op": "scalar", "in": "N=3", "value": [0, 2] }"#,
        ],
        build: Loader::scalar,
    };

    pub(super) fn scalar(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let value = f.get("value").ok_or_else(|| f.wrong("value", "is missing; expected a number or [re, im]"))?;
        let value: Complex32 = f.complex("value", value)?;
        made(linop::scalar(needed(input, f)?, value), f)
    }

    pub(super) const PAD: FileOp = FileOp {
        name: "pad",
        summary: "Zero-padding",
        forward: "y holds x among zeros: centred, index N/2 of x is index P/2 of y, both rounded down",
        fields: &[
            must("to", EXTENTS, "the new extents, none smaller: `{\"Nx\": 320}`"),
            or_else("align", "\"center\" or \"start\"", "\"center\"", "where x lies in y"),
        ],
        examples: &[r#"{ "op": "pad", "in": "Ny=2 Nx=3", "to": { "Nx": 5 }, "out": "Ny Nx" }"#],
        build: Loader::pad,
    };

    pub(super) fn pad(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::pad(needed(input, f)?, f.need_extents("to")?, align(f)?), f)
    }

    pub(super) const CROP: FileOp = FileOp {
        name: "crop",
        summary: "Cutting the ends off",
        forward: "y is the part of x that `pad` would have padded to x",
        fields: &[
            must("to", EXTENTS, "the new extents, none larger: `{\"Nx\": 256}`"),
            or_else("align", "\"center\" or \"start\"", "\"center\"", "where y lies in x"),
        ],
        examples: &[r#"{ "op": "crop", "in": "N=5", "to": { "N": 3 }, "align": "start" }"#],
        build: Loader::crop,
    };

    pub(super) fn crop(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::crop(needed(input, f)?, f.need_extents("to")?, align(f)?), f)
    }

    pub(super) const SLICE: FileOp = FileOp {
        name: "slice",
        summary: "Strided slices",
        forward: "`y[n] = x[start + n·step]`, 0 ≤ start < stop ≤ N, step ≥ 1",
        fields: &[must(
            "ranges",
            "[start, stop, step] by dim",
            "what is kept: `{\"Nx\": [2, 10, 2]}`; null stands for 0, N and 1",
        )],
        examples: &[r#"{ "op": "slice", "in": "Ny=4 Nx=6", "ranges": { "Nx": [1, null, 2] } }"#],
        build: Loader::slice,
    };

    pub(super) fn slice(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::slice(needed(input, f)?, &stretches(f)?), f)
    }

    pub(super) const EMBED: FileOp = FileOp {
        name: "embed",
        summary: "The adjoint of `slice`: a slice among zeros",
        forward: "`y[start + n·step] = x[n]`, zero elsewhere",
        fields: &[
            must("ranges", "[start, stop, step] by dim", "where x goes, as in `slice`; P is the new extent"),
            must("to", EXTENTS, "the new extent of each dim in `ranges`"),
        ],
        examples: &[r#"{ "op": "embed", "in": "N=3", "ranges": { "N": [1, null, 2] }, "to": { "N": 6 } }"#],
        build: Loader::embed,
    };

    pub(super) fn embed(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::embed(needed(input, f)?, &stretches(f)?, f.need_extents("to")?), f)
    }

    pub(super) const SUM: FileOp = FileOp {
        name: "sum",
        summary: "Sums over dims",
        forward: "y = Σ x over `axes`, which leave",
        fields: &[axes("the dims to sum over")],
        examples: &[r#"{ "op": "sum", "in": "C=2 N=3", "axes": ["C"] }"#],
        build: Loader::sum,
    };

    pub(super) fn sum(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::sum(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) const MEAN: FileOp = FileOp {
        name: "mean",
        summary: "Means over dims",
        forward: "y = 1/N · Σ x over `axes`, which leave; N values each",
        fields: &[axes("the dims to average over")],
        examples: &[r#"{ "op": "mean", "in": "T=4 N=3", "axes": ["T"] }"#],
        build: Loader::mean,
    };

    pub(super) fn mean(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::mean(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) const TILE: FileOp = FileOp {
        name: "tile",
        summary: "Copies side by side along dims",
        forward: "`y[n] = x[n mod N]`, as many copies along each dim as `copies` says",
        fields: &[must("copies", "whole numbers by dim", "how many: `{\"Nx\": 3}`")],
        examples: &[r#"{ "op": "tile", "in": "Ny=2 Nx=3", "copies": { "Nx": 2 }, "out": "Ny Nx" }"#],
        build: Loader::tile,
    };

    pub(super) fn tile(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::tile(needed(input, f)?, f.need_extents("copies")?), f)
    }

    pub(super) const HANKEL: FileOp = FileOp {
        name: "hankel",
        summary: "Windows of a signal as the rows of a matrix",
        forward: "`y[p, j] = x[p + j]`, 0 ≤ p ≤ N − w along each dim of `size`, which leave: positions make one dim, places in the window another, each in C order",
        fields: &[
            must("size", EXTENTS, "the extents w of a block along each dim: `{\"Ky\": 6, \"Kx\": 6}`"),
            out("the dims of y: those of x that stay, then positions, then places in the window"),
        ],
        examples: &[r#"{ "op": "hankel", "in": "C=2 Ky=4 Kx=5", "size": { "Ky": 2, "Kx": 3 }, "out": "C P W" }"#],
        build: Loader::hankel,
    };

    pub(super) fn hankel(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let out = f.need_text("out", OUT)?;
        linop::hankel(needed(input, f)?, f.need_extents("size")?, &out).map_err(|e| f.here(e))
    }

    pub(super) const REPEAT: FileOp = FileOp {
        name: "repeat",
        summary: "Copies along new dims",
        forward: "y repeats x along the dims of `sizes`",
        fields: &[
            must("sizes", EXTENTS, "the new dims: `{\"C\": 3}`"),
            open("out", NAMES, "new dims first", "all dims of x and of `sizes`, in the order that y has them"),
        ],
        examples: &[r#"{ "op": "repeat", "in": "N=3", "sizes": { "C": 2 }, "out": "N C" }"#],
        build: Loader::repeat,
    };

    pub(super) fn repeat(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (input, sizes) = (needed(input, f)?, f.need_extents("sizes")?);
        let linop = match f.text("out")? {
            Some(out) => linop::repeat_to(input, sizes, &out),
            None => linop::repeat(input, sizes),
        };
        linop.map_err(|e| f.here(e))
    }

    pub(super) const REARRANGE: FileOp = FileOp {
        name: "rearrange",
        summary: "Permutes, merges and splits dims",
        forward: "the same values in other dims. The left side matches the input by position, parentheses on the right merge and those on the left split; a merged dim is called by the joined names",
        fields: &[
            must("pattern", "text", "dims before and after: `\"A B C -> (A B) C\"`"),
            open("sizes", EXTENTS, "inferred", "extents of split dims: all but one in each parenthesis"),
        ],
        examples: &[
            r#"{ "op": "rearrange", "in": "T=6 C=2", "pattern": "(A B) C -> B (C A)", "sizes": { "A": 3 }, "out": "B M" }"#,
        ],
        build: Loader::rearrange,
    };

    pub(super) fn rearrange(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let pattern = f.need_text("pattern", "dims before and after, as in \"Ny Nx -> Nx Ny\"")?;
        let sizes = f.extents("sizes")?.unwrap_or_default();
        made(linop::rearrange(needed(input, f)?, &pattern, sizes), f)
    }

    pub(super) const FLIP: FileOp = FileOp {
        name: "flip",
        summary: "Reverses dims",
        forward: "`y[n] = x[N − 1 − n]` along each of `axes`",
        fields: &[axes("the dims to reverse")],
        examples: &[r#"{ "op": "flip", "in": "N=4", "axes": ["N"] }"#],
        build: Loader::flip,
    };

    pub(super) fn flip(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::flip(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) const ROLL: FileOp = FileOp {
        name: "roll",
        summary: "Circular shifts",
        forward: "`y[n] = x[(n − s) mod N]`",
        fields: &[must("shifts", "integers by dim", "by how many entries s each dim moves: `{\"Ny\": 2, \"Nx\": -3}`")],
        examples: &[r#"{ "op": "roll", "in": "N=4", "shifts": { "N": -1 } }"#],
        build: Loader::roll,
    };

    pub(super) fn roll(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let shifts = f.integers("shifts")?.ok_or_else(|| f.wrong("shifts", "is missing; expected {\"Nx\": 3}"))?;
        made(linop::roll(needed(input, f)?, &shifts), f)
    }

    pub(super) const DOWNSAMPLE: FileOp = FileOp {
        name: "downsample",
        summary: "Every f-th sample",
        forward: "`y[n] = x[n·f + s]`, of extent ⌈(N − s)/f⌉",
        fields: &[
            must("factors", "whole numbers by dim", "the factor f along each dim: `{\"Nx\": 2}`"),
            or_else("shifts", "whole numbers by dim", "{}", "s, 0 for dims that are not named"),
        ],
        examples: &[r#"{ "op": "downsample", "in": "N=7", "factors": { "N": 3 }, "shifts": { "N": 1 } }"#],
        build: Loader::downsample,
    };

    pub(super) fn downsample(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::downsample(needed(input, f)?, &factors(f)?), f)
    }

    pub(super) const UPSAMPLE: FileOp = FileOp {
        name: "upsample",
        summary: "The adjoint of `downsample`: zeros between samples",
        forward: "`y[n·f + s] = x[n]`, zero elsewhere",
        fields: &[
            must("factors", "whole numbers by dim", "the factor f along each dim: `{\"Nx\": 2}`"),
            or_else("shifts", "whole numbers by dim", "{}", "s, 0 for dims that are not named"),
            must("to", EXTENTS, "the new extent of each dim in `factors`"),
        ],
        examples: &[
            r#"{ "op": "upsample", "in": "N=2", "factors": { "N": 3 }, "shifts": { "N": 1 }, "to": { "N": 7 } }"#,
        ],
        build: Loader::upsample,
    };

    pub(super) fn upsample(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::upsample(needed(input, f)?, &factors(f)?, f.need_extents("to")?), f)
    }

    pub(super) const DIAGONAL: FileOp = FileOp {
        name: "diagonal",
        summary: "Pointwise weights: coil maps, masks, density compensation",
        forward: "y = w·x by elements; dims that the weight lacks repeat it. Dims of the weight that x lacks become new dims of y. An extent of 1 is no wildcard: leave the dim out of the weight instead",
        fields: &[
            must("weight", ARRAY, "the weights"),
            must("dims", NAMES, "the dims of the weight's axes: `\"C Ny Nx\"`"),
            open(
                "out",
                NAMES,
                "new dims first",
                "where the weight adds dims: all dims of x and of the weight, in the order that y has them, `...` for those of x that it does not name; else new names for y's dims",
            ),
        ],
        examples: &[
            r#"{ "op": "diagonal", "in": "N=3", "weight": [1, 0.5, 0], "dims": "N" }"#,
            r#"{ "op": "diagonal", "in": "N=2", "dims": "C N", "out": "N C",
  "weight": { "dtype": "c8", "shape": [2, 2], "data": [[1, 0], [0, 1], [0.5, 0], [0, -1]] } }"#,
        ],
        build: Loader::diagonal,
    };

    pub(super) fn diagonal(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let weight = self.weight(f, "weight")?;
        let input = input.unwrap_or_else(|| weight.shape().clone());
        let adds = weight.shape().dims().iter().any(|d| input.axis(*d).is_none());
        match f.text("out")? {
            Some(out) if adds => linop::diagonal_to(input, &weight, &out).map_err(|e| f.at("out", e)),
            _ => made(linop::diagonal(input, &weight), f),
        }
    }

    pub(super) const DENSE: FileOp = FileOp {
        name: "dense",
        summary: "A matrix, or any einsum by name",
        forward: "y = Σ w·x, summed over every dim of w and x that `out` does not name. Without `in`, x has the dims of the weight that `out` lacks, in the weight's order",
        fields: &[
            must("weight", ARRAY, "the matrix"),
            must("dims", NAMES, "the dims of the weight's axes: `\"M N\"`"),
            out(
                "the dims of y, each one of x or of the weight, in the order that y has them; `...` stands for those of x that the weight lacks and `out` does not name",
            ),
        ],
        examples: &[r#"{ "op": "dense", "in": "N=3", "weight": [[1, 2, 3], [0, 1, 0]], "dims": "M N", "out": "M" }"#],
        build: Loader::dense,
    };

    pub(super) fn dense(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (weight, out) = (self.weight(f, "weight")?, f.need_text("out", OUT)?);
        let input = match input {
            Some(input) => input,
            None => {
                let out = parse_dims(&out).map_err(|e| f.at("out", e))?;
                let (dims, extents) = weight.shape().iter().filter(|(d, _)| !out.contains(d)).unzip();
                Shape::new(dims, extents).map_err(|e| f.here(e))?
            }
        };
        linop::dense(input, &weight, &out).map_err(|e| f.here(e))
    }

    pub(super) const SAMPLING: FileOp = FileOp {
        name: "sampling",
        summary: "Samples at listed points",
        forward: "y gathers x where the mask is 1, in C order, or at the listed indices. The sampled dims leave and those of the samples come last. The adjoint adds up what came from the same point",
        fields: &[
            open("mask", ARRAY, "`indices` instead", "0 and 1, with at least one 1"),
            open("dims", NAMES, "needed with `mask`", "the dims of the mask's axes: `\"Ny Nx\"`"),
            open(
                "indices",
                "arrays of integers by dim",
                "`mask` instead",
                "an index along each sampled dim for each sample, all of one shape: `{\"Ny\": …, \"Nx\": …}`",
            ),
            out("the dims of y: those of x that stay, then those of the samples"),
        ],
        examples: &[
            r#"{ "op": "sampling", "in": "C=2 Ny=2 Nx=3", "mask": [[1, 0, 1], [0, 1, 0]], "dims": "Ny Nx", "out": "C S" }"#,
            r#"{ "op": "sampling", "in": "N=4", "indices": { "N": [3, 0, 3] }, "out": "S" }"#,
        ],
        build: Loader::sampling,
    };

    pub(super) fn sampling(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let out = f.need_text("out", OUT)?;
        let Some(map) = f.map("indices")? else {
            let mask = self.weight(f, "mask")?;
            let input = input.unwrap_or_else(|| mask.shape().clone());
            return linop::sampling(input, &mask, &out).map_err(|e| f.here(e));
        };
        if f.get("mask").is_some() {
            return Err(f.wrong("mask", "and \"indices\" are both given; give one"));
        }
        let one = |(d, v)| Ok((d, self.indices(f, &format!("indices.{d}"), v)?));
        let indices = map.into_iter().map(one).collect::<Result<Vec<_>>>()?;
        linop::sampling_at(needed(input, f)?, &indices, &out).map_err(|e| f.here(e))
    }
}

fn align(f: &Fields) -> Result<Align> {
    match f.text("align")?.as_deref() {
        None | Some("center") => Ok(Align::Center),
        Some("start") => Ok(Align::Start),
        Some(other) => Err(f.wrong("align", format!("is \"{other}\"; expected center or start"))),
    }
}

/// `{"Nx": [start, stop, step]}`, null for the default.
fn stretches<'a>(f: &Fields<'a>) -> Result<Vec<(&'a str, Stretch)>> {
    let one = |(d, v): (&'a str, &Value)| {
        let wrong =
            || f.wrong(&format!("ranges.{d}"), format!("is {v}; expected [start, stop, step] with null for a default"));
        let part = |v: &Value| match v {
            Value::Null => Ok(None),
            v => v.as_u64().map(|n| Some(n as usize)).ok_or_else(wrong),
        };
        match v.as_array().map(Vec::as_slice) {
            Some([start, stop, step]) => Ok((d, Stretch { start: part(start)?, stop: part(stop)?, step: part(step)? })),
            _ => Err(wrong()),
        }
    };
    f.need_map("ranges")?.into_iter().map(one).collect()
}

/// `factors` with the `shifts` beside them.
fn factors<'a>(f: &Fields<'a>) -> Result<Vec<(&'a str, usize, usize)>> {
    let whole = |field: &str, d: &str, n: i64, least: usize| {
        let wrong = || f.wrong(&format!("{field}.{d}"), format!("is {n}; expected a whole number from {least} on"));
        usize::try_from(n).ok().filter(|n| *n >= least).ok_or_else(wrong)
    };
    let factors = f.integers("factors")?.ok_or_else(|| f.wrong("factors", "is missing; expected {\"Nx\": 2}"))?;
    let shifts = f.integers("shifts")?.unwrap_or_default();
    if let Some((d, _)) = shifts.iter().find(|(d, _)| !factors.iter().any(|(k, _)| k == d)) {
        return Err(f.wrong(&format!("shifts.{d}"), "has no factor; give one in \"factors\""));
    }
    let one = |(d, n): (&'a str, i64)| {
        let s = shifts.iter().find(|(k, _)| *k == d).map_or(0, |(_, s)| *s);
        Ok((d, whole("factors", d, n, 1)?, whole("shifts", d, s, 0)?))
    };
    factors.into_iter().map(one).collect()
}
