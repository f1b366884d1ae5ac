//! Linops without linops inside.

use super::fields::{Fields, OUT};
use super::{Loader, needed, renamed};
use crate::dim::{Shape, parse_dims};
use crate::error::Result;
use crate::linop::{
    self, Align, FftOptions, Linop, Norm, RfftOptions, Stretch, TrigOptions, TrigType, WaveletBoundary, WaveletOptions,
};
use num_complex::Complex32;
use serde_json::Value;

impl Loader {
    pub(super) fn identity(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::identity(needed(input, f)?), f)
    }

    pub(super) fn zero(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let out = f.need_text("out", "dims with extents, as in \"Ky=256 Kx=256\"")?;
        linop::zero(needed(input, f)?, out).map_err(|e| f.at("out", e))
    }

    pub(super) fn scalar(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let value = f.get("value").ok_or_else(|| f.wrong("value", "is missing; expected a number or [re, im]"))?;
        let value: Complex32 = f.complex("value", value)?;
        made(linop::scalar(needed(input, f)?, value), f)
    }

    pub(super) fn fft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let options = FftOptions::default()
            .centered(f.flag("centered", false)?)
            .norm(norm(f)?)
            .inverse(f.flag("inverse", false)?);
        made(linop::fft(needed(input, f)?, &f.dims("axes")?, options), f)
    }

    pub(super) fn rfft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::rfft(needed(input, f)?, &f.dims("axes")?, halved(f)?), f)
    }

    pub(super) fn irfft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let expected = "is missing; expected the values along the last of \"axes\", as in 320";
        let length = f.count("length")?.ok_or_else(|| f.wrong("length", expected))?;
        made(linop::irfft(needed(input, f)?, &f.dims("axes")?, length, halved(f)?), f)
    }

    pub(super) fn dct(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::dct(needed(input, f)?, &f.dims("axes")?, trigonometric(f)?), f)
    }

    pub(super) fn dst(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::dst(needed(input, f)?, &f.dims("axes")?, trigonometric(f)?), f)
    }

    pub(super) fn pad(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::pad(needed(input, f)?, f.need_extents("to")?, align(f)?), f)
    }

    pub(super) fn crop(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::crop(needed(input, f)?, f.need_extents("to")?, align(f)?), f)
    }

    pub(super) fn slice(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::slice(needed(input, f)?, &stretches(f)?), f)
    }

    pub(super) fn embed(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::embed(needed(input, f)?, &stretches(f)?, f.need_extents("to")?), f)
    }

    pub(super) fn sum(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::sum(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) fn mean(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::mean(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) fn tile(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::tile(needed(input, f)?, f.need_extents("copies")?), f)
    }

    pub(super) fn hankel(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let out = f.need_text("out", OUT)?;
        linop::hankel(needed(input, f)?, f.need_extents("size")?, &out).map_err(|e| f.here(e))
    }

    pub(super) fn repeat(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (input, sizes) = (needed(input, f)?, f.need_extents("sizes")?);
        let linop = match f.text("out")? {
            Some(out) => linop::repeat_to(input, sizes, &out),
            None => linop::repeat(input, sizes),
        };
        linop.map_err(|e| f.here(e))
    }

    pub(super) fn rearrange(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let pattern = f.need_text("pattern", "dims before and after, as in \"Ny Nx -> Nx Ny\"")?;
        let sizes = f.extents("sizes")?.unwrap_or_default();
        made(linop::rearrange(needed(input, f)?, &pattern, sizes), f)
    }

    pub(super) fn flip(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::flip(needed(input, f)?, &f.dims("axes")?), f)
    }

    pub(super) fn roll(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let shifts = f.integers("shifts")?.ok_or_else(|| f.wrong("shifts", "is missing; expected {\"Nx\": 3}"))?;
        made(linop::roll(needed(input, f)?, &shifts), f)
    }

    pub(super) fn downsample(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::downsample(needed(input, f)?, &factors(f)?), f)
    }

    pub(super) fn upsample(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::upsample(needed(input, f)?, &factors(f)?, f.need_extents("to")?), f)
    }

    pub(super) fn wavelet(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let name = f.need_text("wavelet", "a wavelet's name, as in \"db4\"")?;
        let options = WaveletOptions::default()
            .wavelet(name.parse().map_err(|e| f.at("wavelet", e))?)
            .levels(f.count("levels")?)
            .boundary(wavelet_boundary(f)?);
        made(linop::wavelet(needed(input, f)?, &f.dims("axes")?, &options), f)
    }

    pub(super) fn diagonal(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let weight = self.weight(f, "weight")?;
        let input = input.unwrap_or_else(|| weight.shape().clone());
        let adds = weight.shape().dims().iter().any(|d| input.axis(*d).is_none());
        match f.text("out")? {
            Some(out) if adds => linop::diagonal_to(input, &weight, &out).map_err(|e| f.at("out", e)),
            _ => made(linop::diagonal(input, &weight), f),
        }
    }

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

/// What a constructor made, under the names of `out`.
fn made(linop: Result<Linop>, f: &mut Fields) -> Result<Linop> {
    renamed(linop.map_err(|e| f.here(e))?, f)
}

fn norm(f: &Fields) -> Result<Norm> {
    match f.text("norm")?.as_deref() {
        None | Some("ortho") => Ok(Norm::Ortho),
        Some("backward") => Ok(Norm::Backward),
        Some("forward") => Ok(Norm::Forward),
        Some("none") => Ok(Norm::None),
        Some(other) => Err(f.wrong("norm", format!("is \"{other}\"; expected ortho, backward, forward or none"))),
    }
}

fn wavelet_boundary(f: &Fields) -> Result<WaveletBoundary> {
    match f.text("boundary")?.as_deref() {
        None | Some("zero") => Ok(WaveletBoundary::Zero),
        Some("periodization") => Ok(WaveletBoundary::Periodization),
        Some("symmetric") => Ok(WaveletBoundary::Symmetric),
        Some(other) => Err(f.wrong("boundary", format!("is \"{other}\"; expected zero, periodization or symmetric"))),
    }
}

/// Norm and weights of half a transform.
fn halved(f: &Fields) -> Result<RfftOptions> {
    Ok(RfftOptions::default().norm(norm(f)?).isometric(f.flag("isometric", false)?))
}

/// Type, norm and direction of a cosine or sine transform.
fn trigonometric(f: &Fields) -> Result<TrigOptions> {
    let kind = match f.count("type")? {
        Some(1) => TrigType::I,
        None | Some(2) => TrigType::II,
        Some(3) => TrigType::III,
        Some(4) => TrigType::IV,
        Some(other) => return Err(f.wrong("type", format!("is {other}; expected 1, 2, 3 or 4"))),
    };
    Ok(TrigOptions::default().kind(kind).norm(norm(f)?).inverse(f.flag("inverse", false)?))
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
    let positive = |field: &str, d: &str, n: i64| {
        usize::try_from(n)
            .map_err(|_| f.wrong(&format!("{field}.{d}"), format!("is {n}; expected a whole number from 0 on")))
    };
    let factors = f.integers("factors")?.ok_or_else(|| f.wrong("factors", "is missing; expected {\"Nx\": 2}"))?;
    let shifts = f.integers("shifts")?.unwrap_or_default();
    if let Some((d, _)) = shifts.iter().find(|(d, _)| !factors.iter().any(|(k, _)| k == d)) {
        return Err(f.wrong(&format!("shifts.{d}"), "has no factor; give one in \"factors\""));
    }
    let one = |(d, n): (&'a str, i64)| {
        let s = shifts.iter().find(|(k, _)| *k == d).map_or(0, |(_, s)| *s);
        Ok((d, positive("factors", d, n)?, positive("shifts", d, s)?))
    };
    factors.into_iter().map(one).collect()
}
