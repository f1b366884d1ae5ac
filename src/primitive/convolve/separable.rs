//! Kernels that are a product of one for each axis, as a Gaussian or a box is: along one axis after the other a result takes
//! Σ taps operations where it takes Π taps at once.

use super::{ConvAxis, Convolve, PASS};
use crate::access::{Constant, ConstantData, ConstantKey, Derived, ValueId};
use crate::error::Result;
use crate::ir::{Builder, Program};
use num_complex::{Complex32, Complex64};

/// By how much of it a value of the product may differ from the kernel's: roundings of that, and of the factors.
const NEAR: f64 = 4e-7;

/// The same as a part of the kernel's largest value: those far from it are as exact as the formula was that made them in 32-bit numbers.
/// All together they may differ by `NEAR` of all: wings that are faint and wide are not lost.
const TINY: f64 = 1e-7;

/// Operations in units of those of [`Convolve::operations`], with the passes over memory; infinite where it has one axis, or channels.
pub(super) fn operations(c: &Convolve, input: &[usize], complex: bool) -> f64 {
    if c.channels() != (1, 1) || c.taps().iter().filter(|k| **k > 1).count() < 2 {
        return f64::INFINITY;
    }
    let first = input.len() - 1 - c.axes.len();
    let mut extents: Vec<f64> = input[first..first + c.axes.len()].iter().map(|n| *n as f64).collect();
    let mut all = 0.0;
    let mut complex = complex;
    for (k, (axis, &taps)) in c.axes.iter().zip(c.taps()).enumerate().rev() {
        if taps == 1 && axis.is_still(input[first + k]) {
            continue;
        }
        extents[k] = axis.extent as f64;
        all += extents.iter().product::<f64>() * (taps as f64 * c.each(complex) + PASS);
        // After the first pass values are as complex as the kernel.
        complex |= c.weight.is_complex();
    }
    all
}

/// A kernel of one channel that is such a product.
pub(super) struct Separable {
    /// For each axis, its factor.
    factors: Vec<Vec<Complex64>>,
}

impl Separable {
    /// None where the kernel, of one channel, is no such product.
    pub fn of(c: &Convolve) -> Option<Separable> {
        let taps = c.taps();
        let value = |k: usize| {
            let w = c.weight.get(k);
            Complex64::new(w.re.into(), w.im.into())
        };
        let count = taps.iter().product::<usize>();
        let largest = (0..count).max_by(|a, b| value(*a).norm().total_cmp(&value(*b).norm()))?;
        let pivot = value(largest);
        if pivot.norm() == 0.0 {
            return None;
        }
        // All lines along an axis are multiples of the one through the largest value. That itself goes to the last axis with taps, which
        // comes first: what lies between the passes is no larger than the result may be.
        let carrier = taps.iter().rposition(|k| *k > 1)?;
        let mut factors = Vec::with_capacity(taps.len());
        let mut stride = count;
        for (axis, &n) in taps.iter().enumerate() {
            stride /= n;
            let first = largest - largest / stride % n * stride;
            let unit = if axis == carrier { Complex64::ONE } else { pivot };
            factors.push((0..n).map(|j| narrowed(value(first + j * stride) / unit)).collect::<Vec<_>>());
        }
        let product = |k: usize| {
            let mut rest = k;
            factors.iter().rev().fold(Complex64::ONE, |product, factor| {
                let j = rest % factor.len();
                rest /= factor.len();
                product * factor[j]
            })
        };
        let (mut apart, mut whole) = (0.0, 0.0);
        for k in 0..count {
            let (off, size) = ((product(k) - value(k)).norm(), value(k).norm());
            if off > NEAR * size + TINY * pivot.norm() {
                return None;
            }
            (apart, whole) = (apart + off, whole + size);
        }
        (apart <= NEAR * whole).then_some(Separable { factors })
    }

    /// The program, for an input of these extents.
    pub fn program(&self, c: &Convolve, input: &[usize]) -> Result<Program> {
        let (mut b, mut y) = (Builder::new(input), ValueId::INPUT);
        let first = input.len() - 1 - c.axes.len();
        // The last axis first.
        for (axis, factor) in self.factors.iter().enumerate().rev() {
            if factor.len() == 1 && c.axes[axis].is_still(input[first + axis]) {
                continue;
            }
            let extents = b.extents(y)[first..first + c.axes.len()].to_vec();
            let still = extents.iter().map(|&extent| ConvAxis { extent, ..ConvAxis::ONE });
            let mut axes: Vec<ConvAxis> = still.collect();
            axes[axis] = c.axes[axis];
            // One of a single tap is a pass too: it moves or thins out the values.
            y = b.convolve(y, Convolve { weight: weight(c, axis, factor)?, conj: c.conj, swapped: false, axes })?;
        }
        b.finish(y)
    }
}

/// The factor as a kernel with one tap along the other axes: of plans that are alike the same one.
fn weight(c: &Convolve, axis: usize, factor: &[Complex64]) -> Result<Constant> {
    static FACTORS: Derived<(ConstantKey, usize)> = Derived::new();
    FACTORS.get_or((c.weight.key().clone(), axis), || {
        let mut extents = vec![1; 2 + c.axes.len()];
        extents[2 + axis] = factor.len();
        #[allow(clippy::cast_possible_truncation)]
        let narrow = |v: &Complex64| Complex32::new(v.re as f32, v.im as f32);
        let values = factor.iter().map(narrow);
        let data = match c.weight.is_complex() {
            true => ConstantData::C32(values.collect()),
            false => ConstantData::F32(values.map(|v| v.re).collect()),
        };
        Constant::new(extents, data)
    })
}

/// As 32-bit numbers hold it.
#[allow(clippy::cast_possible_truncation)]
fn narrowed(v: Complex64) -> Complex64 {
    Complex64::new((v.re as f32).into(), (v.im as f32).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(extents: [usize; 3], value: impl Fn(usize, usize, usize) -> Complex32) -> Convolve {
        let [z, y, x] = extents;
        let index = (0..z * y * x).map(|i| (i / (y * x), i / x % y, i % x));
        let values = index.map(|(z, y, x)| value(z, y, x)).collect();
        let weight = Constant::new(vec![1, 1, z, y, x], ConstantData::C32(values)).unwrap();
        let axis = |taps: usize| ConvAxis { step: -1, offset: taps as i64 / 2, extent: 64, ..ConvAxis::ONE };
        Convolve { weight, conj: false, swapped: false, axes: extents.map(axis).to_vec() }
    }

    fn real(v: f64) -> Complex32 {
        Complex32::new(v as f32, 0.0)
    }

    #[test]
    fn products_are_found_and_nothing_else() {
        let gauss = |i: usize, n: usize| (i as f64 - 0.5 * n as f64).powi(2) * -0.3;
        let blob = |z: usize, y: usize, x: usize| (gauss(z, 5) + gauss(y, 9) + 0.5 * gauss(x, 11)).exp();
        assert!(Separable::of(&kernel([5, 9, 11], |z, y, x| real(0.03 * blob(z, y, x)))).is_some());
        let turned = |y: usize, x: usize| real((gauss(y, 9) + gauss(x, 11) - 0.01 * (y * x) as f64).exp());
        assert!(Separable::of(&kernel([1, 9, 11], |_, y, x| turned(y, x))).is_none(), "a turned one");
        let sobel = |y: usize, x: usize| real([1.0, 2.0, 1.0][y] * [1.0, 0.0, -1.0][x]);
        assert!(Separable::of(&kernel([1, 3, 3], |_, y, x| sobel(y, x))).is_some());
        let waves = |y: usize, x: usize| Complex32::from_polar(1.0 + y as f32, 0.3 * y as f32 + 0.7 * x as f32);
        assert!(Separable::of(&kernel([1, 6, 5], |_, y, x| waves(y, x))).is_some(), "a complex one");
        assert!(Separable::of(&kernel([1, 5, 5], |_, y, x| real(f64::from(u8::from(x == y))))).is_none(), "a diagonal");
        assert!(Separable::of(&kernel([1, 5, 5], |_, _, _| real(0.0))).is_none(), "nothing");
        assert_eq!(operations(&kernel([1, 1, 9], |_, _, x| real(x as f64)), &[1, 64, 64, 64, 1], false), f64::INFINITY);
        let single = |y: usize, x: usize| {
            let [y, x] = [y, x].map(|i| i as f32 - 12.0);
            Complex32::from((-(y * y + x * x) / 18.0).exp())
        };
        assert!(Separable::of(&kernel([1, 25, 25], |_, y, x| single(y, x))).is_some(), "made in 32 bits");
        let halo = |y: usize, x: usize| real(if (y, x) == (15, 15) { 1.0 } else { 9e-8 });
        assert!(Separable::of(&kernel([1, 31, 31], |_, y, x| halo(y, x))).is_none(), "a faint and wide wing");
        let off = |y: usize, x: usize| real(1.0 + f64::from(u8::from(y == 2 && x == 3)) * 1e-6);
        assert!(Separable::of(&kernel([1, 5, 5], |_, y, x| off(y, x))).is_none(), "not in the sixth digit");
    }
}
