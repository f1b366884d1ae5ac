//! Convolutions and correlations with a constant, between channels, strided or upsampled, along up to three axes.
//!
//! ```text
//! y[b, o, m…, r] = Σ_{i, j…} w[o, i, j…] · x[b, i, n(m, j)…, r]        n(m, j) = (stride·m + step·j + offset)/up
//! ```
//!
//! Of x the first axes are a batch; then come the channels, the axes of the convolution, and one axis behind them all along which
//! results lie beside each other. The transpose is of the same kind: it exchanges channels, stride and upsampling. A plan makes it
//! tap by tap, along one axis after the other where the kernel is a product (`separable.rs`), or by Fourier transforms (`by_fft.rs`):
//! whichever takes the fewest operations.

mod axis;
mod by_fft;
mod gpu;
mod host;
mod product;
mod rows;
mod separable;

pub use axis::ConvAxis;

use super::{Sample, scale_reads};
use crate::access::{Constant, ConstantData, Load, Post, ValueId};
use crate::error::{Error, Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Held, Kernel, Scratch, Side, StepKernel, Target, Work};
use crate::primitive::map::MapKernel;
use separable::Separable;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Most axes that a convolution runs along.
pub(crate) const MOST_AXES: usize = 3;

/// Operations in the time that a value is read and written.
const PASS: f64 = 20.0;

/// What is convolved with, and how along each axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolve {
    /// The kernel: (output channels, input channels, taps along each axis).
    pub weight: Constant,
    /// Whether it is conjugated.
    pub conj: bool,
    /// Whether its first two axes are (input channels, output channels).
    pub swapped: bool,
    /// One for each axis of the convolution.
    pub axes: Vec<ConvAxis>,
}

impl Builder {
    /// A convolution: x of extents (batch…, input channels, axes…, behind) gives (batch…, output channels, axes…, behind).
    ///
    /// # Errors
    /// The kernel has not two axes more than the convolution, which has one to three; x has other extents; or an axis is none.
    pub fn convolve(&mut self, x: ValueId, c: Convolve) -> Result<ValueId> {
        self.apply(x, c)
    }
}

impl Convolve {
    /// Output and input channels.
    fn channels(&self) -> (usize, usize) {
        let (a, b) = (self.weight.extents()[0], self.weight.extents()[1]);
        if self.swapped { (b, a) } else { (a, b) }
    }

    fn taps(&self) -> &[usize] {
        &self.weight.extents()[2..]
    }

    /// Operations of a tap.
    fn each(&self, complex: bool) -> f64 {
        match (complex, self.weight.is_complex()) {
            (true, true) => 8.0,
            (false, false) => 2.0,
            _ => 4.0,
        }
    }

    /// Operations of a batch entry, tap by tap.
    fn operations(&self, complex: bool) -> f64 {
        let each = self.axes.iter().zip(self.taps()).map(|(axis, &taps)| axis.extent as f64 * taps as f64);
        let (out, channels) = self.channels();
        each.product::<f64>() * (out * channels) as f64 * self.each(complex)
    }
}

impl Primitive for Convolve {
    fn describe(&self) -> String {
        let conj = crate::access::conj_mark(self.conj);
        let swapped = if self.swapped { " swapped" } else { "" };
        let axis = |a: &ConvAxis| {
            let period = a.period.map_or(String::new(), |p| format!(" mod {p}"));
            format!("{}·{}m{:+}j{:+}{period}/{}", a.extent, a.stride, a.step, a.offset, a.up)
        };
        let axes: Vec<String> = self.axes.iter().map(axis).collect();
        format!("convolve{conj} {:?}{swapped} [{}]", self.weight, axes.join(", "))
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (&self.weight, self.conj, self.swapped, &self.axes).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (count, rank) = (self.axes.len(), self.weight.extents().len());
        if count == 0 || count > MOST_AXES || rank != count + 2 {
            return shape_err!(
                "a convolution along {count} axes with a kernel of {rank}; expected 1 to {MOST_AXES} axes, and a kernel of two more"
            );
        }
        let (out, channels) = self.channels();
        let Some(first) = input.len().checked_sub(count + 2).filter(|&c| input[c] == channels) else {
            return shape_err!("a convolution of {channels} channels along {count} axes does not fit extents {input:?}");
        };
        let mut extents = input.to_vec();
        extents[first] = out;
        for (k, (axis, &taps)) in self.axes.iter().zip(self.taps()).enumerate() {
            axis.check(input[first + 1 + k], taps)?;
            extents[first + 1 + k] = axis.extent;
        }
        Ok(extents)
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, input: &[usize]) -> Result<ValueId> {
        let first = input.len() - 1 - self.axes.len();
        let axes = self.axes.iter().zip(&input[first..]).map(|(a, &n)| a.transposed(n)).collect();
        b.apply(y, Convolve { weight: self.weight.clone(), conj: !self.conj, swapped: !self.swapped, axes })
    }

    /// The axes in front are its batch already.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(self.clone()) as Arc<dyn Primitive>)
    }

    /// Along an axis of the convolution with what the taps of these results read.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let mut own = self.clone();
        let channels = input.len() - 2 - self.axes.len();
        let reads = match axis.checked_sub(channels) {
            Some(0) => {
                own.weight = self.weight.narrowed(usize::from(self.swapped), range)?;
                Part::Whole
            }
            Some(k) if k <= self.axes.len() => {
                let conv = &mut own.axes[k - 1];
                *conv = conv.unwrapped(range.start, range.end, self.taps()[k - 1]);
                let (first, end) = conv.reach(range.start, range.end, self.taps()[k - 1], input[axis]);
                if first == end {
                    let mut extents = self.extents(input)?;
                    extents[axis] = range.len();
                    let nothing = Part::along(axis, &(0..1), input);
                    return Ok(Narrowed::of(nothing, move |b, _| b.zero(extents.clone())));
                }
                conv.offset += (conv.stride * range.start) as i64 - (conv.up * first) as i64;
                conv.extent = range.len();
                Part::along(axis, &(first..end), input)
            }
            _ => Part::along(axis, range, input),
        };
        Ok(Narrowed::of(reads, move |b, x| b.convolve(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        vec![&self.weight]
    }

    fn fold(&self, _: &mut Sweep, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    /// Tap by tap, axis by axis, or by Fourier transforms: what costs least and the target can make.
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let complex = x.complex || self.weight.is_complex();
        let bound = match to.target() {
            Target::Host => u64::MAX,
            Target::Gpu(limits) => limits.max_binding,
        };
        let too_big = self.weight.bytes() > bound;
        let pace = if to.target() == Target::Host { product::pace(self.channels().0) } else { 1.0 };
        let direct = if too_big { f64::INFINITY } else { self.operations(x.complex) * pace };
        let half = !complex && to.target() == Target::Host && by_fft::has_half(self, &x.extents);
        let by_fft = by_fft::operations(self, &x.extents, half);
        let axis_by_axis = separable::operations(self, &x.extents, x.complex);
        let product = || if axis_by_axis < direct { Separable::of(self) } else { None };
        if axis_by_axis < by_fft
            && let Some(product) = product()
        {
            return to.program(&product.program(self, &x.extents)?, x);
        }
        if half
            && by_fft < direct
            && let Side::Host(host) = to.target().side()
        {
            let (program, lines) = by_fft::half_program(self, &x.extents)?;
            let spectra = to.program(&program, x)?;
            let last = spectra.extents.len() - 2;
            return lines.lower(to, host, &spectra, last);
        }
        if (too_big || by_fft < direct)
            && let Ok(program) = by_fft::program(self, &x.extents)
            && to.can_make(&program)
        {
            let y = to.program(&program, x)?;
            // Of a real x and a real kernel the result is real: its imaginary part is rounding.
            let real = |to: &mut dyn Lowering| {
                let kernel = StepKernel::on(MapKernel::of(y.load()), &to.target());
                to.step(kernel, &y.extents, false)
            };
            return Ok(if complex { y } else { real(to) });
        }
        // Transforms were cheaper, and the target cannot make them.
        if let Some(product) = product() {
            return to.program(&product.program(self, &x.extents)?, x);
        }
        if too_big {
            let what = format!("the kernel {:?} of a convolution", self.weight.extents());
            return Err(Error::TooBig { what, needed: self.weight.bytes(), limit: bound });
        }
        let (input, extents) = (&x.extents, self.extents(&x.extents)?);
        let first = input.len() - 2 - self.axes.len();
        let missing = MOST_AXES - self.axes.len();
        // Three axes always; those that are not there have one index.
        let mut read = vec![input[..first].iter().product(), input[first]];
        read.extend(std::iter::repeat_n(1, missing));
        read.extend(&input[first + 1..]);
        let Some(load) = x.load().reshaped(&read) else { return shape_err!("{input:?} cannot be read as {read:?}") };
        let axis = |k: usize| if k < missing { ConvAxis::ONE } else { self.axes[k - missing] };
        let tap = |k: usize| if k < missing { 1 } else { self.taps()[k - missing] };
        let (out, channels) = self.channels();
        let kernel = ConvolveKernel {
            load,
            weight: self.weight.clone(),
            conj: self.conj,
            swapped: self.swapped,
            channels: (out, channels),
            axes: [axis(0), axis(1), axis(2)],
            taps: [tap(0), tap(1), tap(2)],
        };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &extents, complex))
    }
}

/// Reads (batch, channels, three axes, behind).
#[derive(Clone, Debug)]
struct ConvolveKernel {
    load: Load,
    weight: Constant,
    conj: bool,
    swapped: bool,
    /// Output and input channels.
    channels: (usize, usize),
    axes: [ConvAxis; MOST_AXES],
    taps: [usize; MOST_AXES],
}

impl ConvolveKernel {
    /// Extents of x along the three axes.
    fn input(&self) -> [usize; MOST_AXES] {
        [self.load.extents[2], self.load.extents[3], self.load.extents[4]]
    }

    /// Elements beside each other behind the axes.
    fn behind(&self) -> usize {
        self.load.extents[5]
    }

    /// Results of one output channel, and of one batch entry.
    fn plane(&self) -> (usize, usize) {
        let one = self.axes.iter().map(|a| a.extent).product::<usize>() * self.behind();
        (one, one * self.channels.0)
    }

    /// Terms of one result.
    fn terms(&self) -> usize {
        self.channels.1 * self.taps.iter().product::<usize>()
    }

    /// Steps between weights of neighbouring output and input channels.
    fn weight_strides(&self) -> (usize, usize) {
        let one: usize = self.taps.iter().product();
        let row = one * self.weight.extents()[1];
        if self.swapped { (one, row) } else { (row, one) }
    }
}

impl Kernel for ConvolveKernel {
    fn name(&self) -> &'static str {
        "convolve"
    }

    fn details(&self) -> String {
        format!(" with {:?}", self.weight)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.plane().1
    }

    fn work(&self) -> Work {
        let each = if self.weight.is_complex() { 8 } else { 4 };
        Work { flops: (each * self.terms() * self.output_len()) as u64, read: self.weight.bytes() }
    }

    fn held(&self) -> Vec<Held<'_>> {
        vec![Held::Weight(&self.weight)]
    }

    fn takes(&self, load: &Load, target: &Target) -> bool {
        // Weights on x would be read once for each tap.
        load.factors.is_empty() || self.terms() <= 4 && load.factors.len() <= target.max_factors()
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        scale_reads(std::slice::from_mut(&mut self.load), after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

/// What shows that convolutions work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let values: Vec<f32> = (0..24).map(|i| (i * 5 % 7) as f32 - 3.0).collect();
    let complex = values.iter().map(|v| num_complex::Complex32::new(*v, 1.0)).collect();
    let axis = |stride, extent, period| ConvAxis { stride, up: 1, step: -1, offset: 1, extent, period };
    let plane = Convolve {
        weight: Constant::new(vec![2, 2, 2, 3], ConstantData::F32(values))?,
        conj: false,
        swapped: false,
        axes: vec![axis(1, 9, None), axis(2, 5, Some(11))],
    };
    let line = Convolve {
        weight: Constant::new(vec![1, 1, 24], ConstantData::C32(complex))?,
        axes: vec![axis(1, 300, None)],
        ..plane.clone()
    };
    let back = line.axes[0].transposed(290);
    let values = (0..96).map(|i| (i * 5 % 7) as f32 - 3.0).collect();
    let weight = Constant::new(vec![8, 2, 2, 3], ConstantData::F32(values))?;
    let layer = Convolve { weight, ..plane.clone() };
    Ok(vec![
        Sample::of("convolutions between channels", &[2, 2, 8, 11, 3], |b| b.convolve(ValueId::INPUT, layer))?,
        Sample::of("convolutions", &[2, 2, 8, 11, 3], |b| b.convolve(ValueId::INPUT, plane))?,
        Sample::of("complex convolutions", &[1, 290, 1], |b| b.convolve(ValueId::INPUT, line.clone()))?,
        Sample::of("correlations", &[1, 300, 1], |b| {
            b.convolve(ValueId::INPUT, Convolve { conj: true, swapped: true, axes: vec![back], ..line })
        })?,
    ])
}
