//! Convolutions by Fourier transforms: x and the kernel as polynomials over a circle that is long enough, or as long as the period.
//!
//! ```text
//! z[v] = Σⱼ w[j]·s[v + offset + step·j],  s[up·n] = x[n],  y[m] = z[stride·m]        all positions modulo L
//! ```
//! So Z = H·S with H[k] = Σⱼ w[j] exp(2πi·(offset + step·j)k/L). L is chosen so that no two positions that meet differ by a multiple of it.

use super::{ConvAxis, Convolve, PASS};
use crate::access::{AxisMap, Constant, ConstantData, ConstantKey, Derived, ValueId};
use crate::allocate::{collected, zeroed};
use crate::error::Result;
use crate::ir::{Builder, Program};
use crate::primitive::contract::Contract;
use crate::primitive::fft::{next_fast, next_smooth, transform};
use crate::primitive::real_fft::RealLines;
use num_complex::{Complex32, Complex64};

/// From here on lengths are chosen by what they take the host; padding shorter ones would take more.
const LONG: usize = 64;

/// The least length of the circle for an axis of `input` indices and so many taps.
fn least(axis: &ConvAxis, input: usize, taps: usize) -> usize {
    let (last, span) = ((axis.up * (input - 1)) as i64, (axis.stride * (axis.extent - 1)) as i64);
    let tap = axis.step * (taps as i64 - 1);
    let (low, high) = (axis.offset + tap.min(0), axis.offset + span + tap.max(0));
    high.max(last - low).max(last).max(span) as usize + 1
}

/// Whether real values of a real kernel can be made from halves of spectra: along a last axis that lies in one piece.
pub(super) fn has_half(c: &Convolve, input: &[usize]) -> bool {
    let period = |axis: &ConvAxis| axis.period.is_none_or(|p| p.is_multiple_of(2));
    input.last() == Some(&1) && !c.weight.is_complex() && c.axes.last().is_some_and(period)
}

/// Operations in units of those of [`Convolve::operations`]; infinite where what is held would be many times what it is applied to.
/// `half`: of real values, by halves of spectra.
pub(super) fn operations(c: &Convolve, input: &[usize], half: bool) -> f64 {
    let (out, channels) = c.channels();
    let (mut results, mut grid, mut stages) = (1.0, 1.0, 0.0);
    for (axis, length) in c.axes.iter().zip(circles(c, input, half)) {
        let length = length as f64;
        results *= axis.extent as f64;
        grid *= length;
        stages += length.log2();
    }
    let (out, channels) = (out as f64, channels as f64);
    // The kernel's transform is held; it is not worth many times what it is applied to.
    let values = input.iter().map(|&n| n as f64).product::<f64>();
    let part = if half { HALF } else { 1.0 };
    if out * channels * grid * part > MOST_HELD * (values + results * out) + SMALL {
        return f64::INFINITY;
    }
    let passes = (out + channels) * (5.0 * stages + PASS * c.axes.len() as f64);
    grid * part * (passes + 8.0 * out * channels)
}

/// What half a spectrum takes of a whole one.
const HALF: f64 = 0.55;

/// Values of the kernel's transform for each of x and y, at most; and how many are held in any case.
const MOST_HELD: f64 = 8.0;
const SMALL: f64 = 65536.0;

/// The circles of the axes, for an input of these extents. With `half` those for halves of spectra, on the host: the last one is even,
/// where that can be chosen.
fn circles(c: &Convolve, input: &[usize], half: bool) -> Vec<usize> {
    let count = c.axes.len();
    let axes = c.axes.iter().zip(&input[input.len() - 1 - count..]).zip(c.taps()).enumerate();
    let circle = |(a, ((axis, &n), &k)): (usize, ((&ConvAxis, &usize), &usize))| match (axis.period, least(axis, n, k)) {
        (Some(period), _) => period,
        (None, least) if half && least >= LONG => next_fast(least),
        (None, least) if half && a + 1 == count => 2 * next_smooth(least.div_ceil(2)),
        (None, least) => next_smooth(least),
    };
    axes.map(circle).collect()
}

/// Axis `at` of x on its circle, and what is kept of it at the end.
fn spread(b: &mut Builder, x: ValueId, at: usize, axis: &ConvAxis, length: usize) -> Result<ValueId> {
    let n = b.extents(x)[at];
    b.map_axis(x, at, AxisMap::affine(1, 0, axis.up as i64, n, length), length)
}

fn kept(b: &mut Builder, y: ValueId, at: usize, axis: &ConvAxis, length: usize) -> Result<ValueId> {
    b.map_axis(y, at, AxisMap::affine(axis.stride as i64, 0, 1, length, axis.extent), axis.extent)
}

/// The program, for an input of these extents.
pub(super) fn program(c: &Convolve, input: &[usize]) -> Result<Program> {
    let (mut b, lengths) = (Builder::new(input), circles(c, input, false));
    let first = input.len() - 1 - c.axes.len();
    let mut y = ValueId::INPUT;
    for (k, (axis, &l)) in c.axes.iter().zip(&lengths).enumerate() {
        y = spread(&mut b, y, first + k, axis, l)?;
    }
    let axes: Vec<usize> = (first..first + lengths.len()).collect();
    y = b.fft(y, &axes, false, false, 1.0)?;
    y = multiplied(&mut b, y, c, &spectrum(c, &lengths, false)?)?;
    let size: f64 = lengths.iter().map(|&l| l as f64).product();
    y = b.fft(y, &axes, true, false, 1.0 / size)?;
    for (k, (axis, &l)) in c.axes.iter().zip(&lengths).enumerate() {
        y = kept(&mut b, y, first + k, axis, l)?;
    }
    b.finish(y)
}

/// The program to the half spectra of the lines of the result, and what makes it of them along the last axis.
pub(super) fn half_program(c: &Convolve, input: &[usize]) -> Result<(Program, RealLines)> {
    let (mut b, lengths) = (Builder::new(input), circles(c, input, true));
    let first = input.len() - 1 - c.axes.len();
    let last = lengths.len() - 1;
    let (axis, length) = (&c.axes[last], lengths[last]);
    let mut y = spread(&mut b, ValueId::INPUT, first + last, axis, length)?;
    y = b.half_fft(y, first + last)?;
    let others = || c.axes.iter().zip(&lengths).take(last).enumerate();
    for (k, (axis, &l)) in others() {
        y = spread(&mut b, y, first + k, axis, l)?;
    }
    let along: Vec<usize> = (first..first + last).collect();
    y = b.fft(y, &along, false, false, 1.0)?;
    y = multiplied(&mut b, y, c, &spectrum(c, &lengths, true)?)?;
    let size: f64 = lengths.iter().map(|&l| l as f64).product();
    y = b.fft(y, &along, true, false, 1.0 / size)?;
    for (k, (axis, &l)) in others() {
        y = kept(&mut b, y, first + k, axis, l)?;
    }
    Ok((b.finish(y)?, RealLines { length, step: axis.stride, count: axis.extent }))
}

/// Times the kernel's transform, summed over the input channels.
fn multiplied(b: &mut Builder, x: ValueId, c: &Convolve, spectrum: &Constant) -> Result<ValueId> {
    let (count, rank) = (c.axes.len(), b.extents(x).len());
    let first = rank - 1 - count;
    if c.channels() == (1, 1) {
        return b.mul(x, spectrum.clone(), (first..first + count).collect(), false);
    }
    // Labels: axes of x by number, the new channels behind them.
    let label = |k: usize| k as u32;
    let (made, channel) = (label(rank), label(first - 1));
    let taps = (first..first + count).map(label);
    let (front, behind) = ((0..first - 1).map(label), label(rank - 1));
    let pair = if c.swapped { [channel, made] } else { [made, channel] };
    let contract = Contract {
        weight: spectrum.clone(),
        conj: false,
        w: pair.into_iter().chain(taps.clone()).collect(),
        x: (0..rank).map(label).collect(),
        y: front.chain([made]).chain(taps).chain([behind]).collect(),
    };
    b.contract(x, contract)
}

/// What a kernel's transform is made from: the kernel, whether it is conjugated, steps and offsets and the circles along its axes, and
/// whether half of it is enough.
type Recipe = (ConstantKey, bool, Vec<[i64; 2]>, Vec<usize>, bool);

/// The kernel's transform over the circle, channels as the kernel has them: of plans that are alike, with the same offsets, the same one. With `half` what
/// determines that of a real kernel, N/2 + 1 along the last axis.
fn spectrum(c: &Convolve, lengths: &[usize], half: bool) -> Result<Constant> {
    static SPECTRA: Derived<Recipe> = Derived::new();
    let places = c.axes.iter().map(|a| [a.step, a.offset]).collect();
    let key = (c.weight.key().clone(), c.conj, places, lengths.to_vec(), half);
    SPECTRA.get_or(key, || made_spectrum(c, lengths, half))
}

fn made_spectrum(c: &Convolve, lengths: &[usize], half: bool) -> Result<Constant> {
    let (taps, pairs) = (c.taps(), c.weight.extents()[0] * c.weight.extents()[1]);
    let kernel: usize = taps.iter().product();
    let weight = |k: usize| {
        let w = c.weight.get(k);
        Complex64::new(w.re.into(), if c.conj { -w.im } else { w.im }.into())
    };
    let mut values: Vec<Complex64> = collected((0..pairs * kernel).map(weight), pairs * kernel)?;
    // Axis by axis, the last first: what lies along those before it is still as short as the kernel.
    let mut inner = 1;
    for (axis, (&n, &length)) in taps.iter().zip(lengths).enumerate().rev() {
        let outer = values.len() / (n * inner);
        let mut lines = zeroed::<Complex64>(outer * length * inner)?;
        for (from, to) in values.chunks_exact(n * inner).zip(lines.chunks_exact_mut(length * inner)) {
            for (j, from) in from.chunks_exact(inner).enumerate() {
                // A tap stands at −(offset + step·j), modulo the circle.
                let ConvAxis { step, offset, .. } = c.axes[axis];
                let at = (-(offset + j as i64 * step)).rem_euclid(length as i64) as usize * inner;
                to[at..at + inner].iter_mut().zip(from).for_each(|(sum, v)| *sum += v);
            }
        }
        transform(&mut lines, &[outer, length, inner], &[1], false, false);
        if half && axis + 1 == taps.len() {
            let kept = length / 2 + 1;
            let halves = lines.chunks_exact(length).flat_map(|line| &line[..kept]).copied();
            lines = collected(halves, outer * kept)?;
            inner = kept;
        } else {
            inner *= length;
        }
        values = lines;
    }
    // Of one channel it is a weight as it is.
    let mut extents = if pairs == 1 { Vec::new() } else { c.weight.extents()[..2].to_vec() };
    extents.extend(lengths);
    if let Some(last) = extents.last_mut().filter(|_| half) {
        *last = *last / 2 + 1;
    }
    #[allow(clippy::cast_possible_truncation)]
    let narrow = |v: &Complex64| Complex32::new(v.re as f32, v.im as f32);
    Constant::new(extents, ConstantData::C32(collected(values.iter().map(narrow), values.len())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thin axes are padded by no more than they need.
    #[test]
    fn circles_of_thin_axes_are_short() {
        let weight = Constant::new(vec![1, 1, 1, 3, 5], ConstantData::F32(vec![1.0; 15])).unwrap();
        let axis = |extent: usize| ConvAxis { stride: 1, up: 1, step: -1, offset: 1, extent, period: None };
        let c = Convolve { weight, conj: false, swapped: false, axes: vec![axis(1), axis(3), axis(512)] };
        let c = Convolve { axes: vec![ConvAxis { offset: 0, ..axis(1) }, axis(3), ConvAxis { offset: 2, ..axis(512) }], ..c };
        assert_eq!(circles(&c, &[1, 1, 3, 512, 1], true), [1, 4, 528]);
        assert_eq!(circles(&c, &[1, 1, 3, 30, 1], true)[2] % 2, 0);
    }

    #[test]
    fn plans_that_are_alike_share_a_spectrum() {
        let weight = Constant::new(vec![1, 1, 5], ConstantData::F32(vec![1.0, 2.0, 0.5, -1.0, 3.0])).unwrap();
        let axis = ConvAxis { stride: 1, up: 1, step: -1, offset: 2, extent: 40, period: None };
        let c = Convolve { weight, conj: false, swapped: false, axes: vec![axis] };
        let first = spectrum(&c, &[48], false).unwrap();
        assert_eq!(spectrum(&c, &[48], false).unwrap().key(), first.key());
        assert_ne!(spectrum(&c, &[50], false).unwrap().key(), first.key(), "of another circle");
        assert_ne!(spectrum(&Convolve { conj: true, ..c.clone() }, &[48], false).unwrap().key(), first.key());
        assert_ne!(spectrum(&c, &[48], true).unwrap().key(), first.key(), "half of it");
        for (offset, step) in [(1, -1), (2, 1)] {
            let axes = vec![ConvAxis { offset, step, ..c.axes[0] }];
            let other = Convolve { axes, ..c.clone() };
            assert_ne!(spectrum(&other, &[48], false).unwrap().key(), first.key(), "from {offset} by {step}");
        }
        let key = first.key().clone();
        drop(first);
        assert_ne!(spectrum(&c, &[48], false).unwrap().key(), &key, "nobody had it any more");
    }
}
