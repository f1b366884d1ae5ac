//! Discrete Fourier transforms, and filters: a transform, weights, and the transform back.
//!
//! | file | holds |
//! |---|---|
//! | `fold` | transforms that cancel |
//! | `host`, `lines` | whole transforms on the host, by rustfft along each axis |
//! | `filter`, `host_filter`, `host_filter_sum` | what a filter is; filters on the host, and those that add up what they make |
//! | `filters` | the passes over steps that find filters |
//! | `sums` | the pass over steps that lets transforms add up what they make |
//! | `bluestein`, `split`, `pairs` | programs made ready for a GPU: awkward lengths, axes one by one, transforms that a filter is made of |
//! | `gpu_lower`, `gpu` | passes in a plan; their dispatches |
//! | `passes` | the generator of kernels |
//! | `smooth` | lengths |

mod bluestein;
mod filter;
mod filters;
mod fold;
mod gpu;
mod gpu_lower;
mod host;
mod host_filter;
mod host_filter_sum;
mod lines;
mod pairs;
mod passes;
mod smooth;
mod split;
mod sums;

pub(crate) use bluestein::legalize;
pub(crate) use filters::find_filters;
pub(crate) use lines::{COLUMNS, GAP, line_bytes, transform};
pub(crate) use pairs::find_pairs;
pub(crate) use smooth::next_fast;
pub use smooth::next_smooth;
pub(crate) use split::split_axes;
pub(crate) use sums::into_transforms;

use super::Sample;
#[cfg(feature = "gpu")]
use super::Variant;
use crate::access::{AxisMap, Constant, ConstantData, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Side, Target};
#[cfg(feature = "gpu")]
use crate::shader::GpuLimits;
use host::WholeFft;
use num_complex::{Complex32, Complex64};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Discrete Fourier transform along `axes`, exp(-2πi kn/N) or its conjugate, times `scale`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fft {
    /// Transformed axes, ascending; all longer than 1.
    pub axes: Vec<usize>,
    /// exp(+2πi kn/N) instead.
    pub inverse: bool,
    /// Origin at index N/2 on both sides.
    pub centered: bool,
    /// Factor on the result.
    pub scale: f64,
    /// Whether weights and the way back follow, or it is that way back, so that both become one pass where a line fits: known to
    /// programs that are about to be lowered for a GPU.
    pub paired: bool,
}

impl Builder {
    /// Discrete Fourier transform along axes, exp(-2πi kn/N) or with `inverse` its conjugate, times `scale`; with `centered` the
    /// origin is at index N/2 on both sides.
    ///
    /// # Errors
    /// An axis is named twice or is not there.
    pub fn fft(&mut self, x: ValueId, axes: &[usize], inverse: bool, centered: bool, scale: f64) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        if axes.windows(2).any(|w| w[0] == w[1]) || axes.iter().any(|&a| a >= e.len()) {
            return shape_err!("fft axes {axes:?} do not fit extents {e:?}");
        }
        // A transform of length 1 is the identity.
        axes.retain(|&a| e[a] > 1);
        if axes.is_empty() {
            return self.scale(x, Complex64::new(scale, 0.0));
        }
        self.apply(x, Fft { axes, inverse, centered, scale, paired: false })
    }
}

/// Sign and origin, in listings.
fn direction(inverse: bool, centered: bool) -> &'static str {
    match (inverse, centered) {
        (false, false) => "",
        (true, false) => " inverse",
        (false, true) => " centred",
        (true, true) => " inverse centred",
    }
}

impl Primitive for Fft {
    fn describe(&self) -> String {
        let scale = if self.scale == 1.0 { String::new() } else { format!(" × {:.7}", self.scale) };
        format!("fft{} {:?}{scale}", direction(self.inverse, self.centered), self.axes)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (&self.axes, self.inverse, self.centered, self.scale.to_bits(), self.paired).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        match self.axes.iter().all(|&a| a < input.len()) {
            true => Ok(input.to_vec()),
            false => shape_err!("fft axes {:?} do not fit extents {input:?}", self.axes),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.fft(y, &self.axes, !self.inverse, self.centered, self.scale)
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = Fft { axes: self.axes.iter().map(|a| a + 1).collect(), ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        if self.axes.contains(&axis) {
            return shape_err!("a Fourier transform along the axis reads all of it for every entry");
        }
        let own = self.clone();
        Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        if let Some(y) = fold::after_its_inverse(self, s, x)? {
            return Ok(Some(y));
        }
        if self.scale == 1.0 {
            return Ok(None);
        }
        // The factor moves outwards like any scalar, to meet that of an inverse.
        let y = s.b.fft(x, &self.axes, self.inverse, self.centered, 1.0)?;
        s.b.scale(y, Complex64::new(self.scale, 0.0)).map(Some)
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn fits(&self, input: &[usize], target: &Target) -> Result<()> {
        match target {
            Target::Host => Ok(()),
            Target::Gpu(limits) => gpu_lower::lines_fit(&self.axes, input, limits),
        }
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        match to.target().side() {
            Side::Host(host) => Ok(to.step(host.kernel(WholeFft::new(x, self)), &x.extents, true)),
            Side::Gpu(gpu) => gpu_lower::lower(to, x, self, gpu),
        }
    }
}

/// What shows that transforms work on a device: of smooth and of awkward length, and filters.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let x = ValueId::INPUT;
    let weights = (0..48).map(|i| Complex32::new((i % 5) as f32 - 2.0, (i % 3) as f32)).collect();
    let weights = Constant::new(vec![48], ConstantData::C32(weights))?;
    Ok(vec![
        Sample::of("transforms", &[2, 48, 35], |b| b.fft(x, &[1, 2], false, true, 1.0))?,
        Sample::of("transforms of awkward length", &[2, 74], |b| b.fft(x, &[1], false, true, 1.0))?,
        Sample::of("transforms of prime length", &[2, 37, 31], |b| b.fft(x, &[1, 2], true, true, 1.0))?,
        Sample::of("long transforms", &[8192], |b| b.fft(x, &[0], false, false, 1.0 / 64.0))?,
        Sample::of("filters", &[3, 48], |b| {
            let y = b.fft(x, &[1], false, false, 1.0)?;
            let y = b.mul(y, weights.clone(), vec![1], false)?;
            b.fft(y, &[1], true, false, 1.0 / 48.0)
        })?,
        Sample::of("padded filters", &[3, 24], |b| {
            let y = b.map_axis(x, 1, AxisMap::affine(1, 0, 1, 24, 48), 48)?;
            let y = b.fft(y, &[1], false, false, 1.0)?;
            let y = b.mul(y, weights, vec![1], false)?;
            let y = b.fft(y, &[1], true, false, 1.0 / 48.0)?;
            b.map_axis(y, 1, AxisMap::affine(1, 0, 1, 48, 24), 24)
        })?,
    ])
}

/// Lengths of lines whose tiles are worth a measurement; those of others follow the model.
#[cfg(feature = "gpu")]
const MEASURED: [usize; 20] =
    [16, 32, 48, 64, 96, 127, 128, 192, 256, 384, 512, 768, 1000, 1021, 1024, 2048, 3072, 4096, 6144, 8192];

/// Those of filters, such as the normal of a non-uniform transform on its doubled grid.
#[cfg(feature = "gpu")]
const FILTERED: [usize; 11] = [32, 64, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096];

/// The choices of tiles on a GPU, each with a transform or a filter of about so many elements.
#[cfg(feature = "gpu")]
pub(crate) fn variants(limits: &GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    let mut all = Vec::new();
    for n in MEASURED {
        let rows = (elements / n).max(64);
        for (extents, axis, inner) in [([rows, n], 1, 1), ([n, rows], 0, rows)] {
            let Some((what, candidates)) = passes::choice(n, inner, false, limits) else { continue };
            let program = move || {
                let mut b = Builder::new(&extents);
                let y = b.fft(ValueId::INPUT, &[axis], false, false, 1.0)?;
                b.finish(y)
            };
            all.push(Variant { what, candidates, program: Box::new(program) });
        }
    }
    for n in FILTERED {
        let rows = (elements / n).max(64);
        for (extents, axis, inner) in [([rows, n], 1, 1), ([n, rows], 0, rows)] {
            let Some((what, candidates)) = passes::choice(n, inner, true, limits) else { continue };
            // Weights of its own for each coefficient; below the limit of what is bound whole.
            if rows * n >= limits.bindable() {
                continue;
            }
            let program = move || {
                let values = (0..rows * n).map(|i| (i % 7) as f32 - 3.0).collect();
                let weight = Constant::new(extents.to_vec(), ConstantData::F32(values))?;
                let mut b = Builder::new(&extents);
                let y = b.fft(ValueId::INPUT, &[axis], false, false, 1.0)?;
                let y = b.mul(y, weight, vec![0, 1], false)?;
                let y = b.fft(y, &[axis], true, false, 1.0)?;
                b.finish(y)
            };
            all.push(Variant { what, candidates, program: Box::new(program) });
        }
    }
    Ok(all)
}
