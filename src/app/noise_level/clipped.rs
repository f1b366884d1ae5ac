//! Normal noise that was cut off at an end of the values: what is left of it, and what its deviation was.

use super::{MANY, cut_off};
use crate::app::neighbours::local_means;
use ndarray::{ArrayD, Axis, Slice};
use std::f64::consts::TAU;

/// Places of which such a part of the samples near by was cut are dark, with nothing but noise around 0 or a little above.
const DARK: [f64; 2] = [0.3, 0.7];

/// Neighbours of noise are cut independently; of masks and shapes they are cut together. So large may the correlation be.
const TOGETHER: f64 = 0.2;

/// First and second moments of noise say the same; those of few bright things do not. So far may they be apart.
const APART: f64 = 0.1;

/// The same of values in steps that are no smaller than a hundredth of the deviation.
const APART_IN_STEPS: f64 = 0.05;

/// A deviation of fewer steps is not told.
const STEPS: f64 = 2.0;

/// The deviation that noise of dark places had before it was cut off at this end of the values. What is left of it there is max(0, μ + σz):
/// the part that is 0 tells μ/σ, the mean of all, or of their squares, tells σ. Where it was rounded to steps it was cut half a step above
/// the end, and squares have the mean square of rounding more. None where few places are dark, or what lies there is not
/// noise.
pub(super) fn deviation(values: &ArrayD<f64>, end: f64) -> Option<f64> {
    let cut = cut_off(values, end)?;
    let part = local_means(&cut);
    let mut dark = cut.clone();
    dark.zip_mut_with(&part, |c, part| *c = if (DARK[0]..=DARK[1]).contains(part) { *c } else { f64::NAN });
    let (mut count, mut zeros, mut first, mut second) = (0usize, 0.0, 0.0, 0.0);
    let step = step(values, end).unwrap_or(0.0);
    for (c, v) in dark.iter().zip(values).filter(|(c, _)| c.is_finite()) {
        let size = ((v - end).abs() - 0.5 * step).max(0.0);
        (count, zeros, first, second) = (count + 1, zeros + c, first + size, second + size * size);
    }
    if count < MANY {
        return None;
    }
    let n = count as f64;
    let (zeros, first, second) = (zeros / n, first / n, second / n);
    let second = second - step * step / 12.0 * (1.0 - zeros);
    if together(&dark, zeros) > TOGETHER {
        return None;
    }
    let [mean, square] = moments(quantile(1.0 - zeros), zeros);
    let [by_mean, by_square] = [first / mean, (second / square).sqrt()];
    // Counts of a few photons have other moments.
    if by_mean < STEPS * step {
        return None;
    }
    let apart = if step > 0.01 * by_mean { APART_IN_STEPS } else { APART };
    ((by_mean / by_square - 1.0).abs() <= apart).then_some(by_mean)
}

/// The step that all values are whole multiples of from this end; None where there is none.
fn step(values: &ArrayD<f64>, end: f64) -> Option<f64> {
    /// Of a step, so far may a value be from a multiple.
    const NEAR: f64 = 0.05;
    let mut sizes: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|v| (v - end).abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    // Values that were divided differ by roundings.
    let least = 1e-6 * sizes.last()?;
    let gaps = sizes.windows(2).map(|pair| pair[1] - pair[0]);
    let mut step = gaps.filter(|gap| *gap > least).min_by(f64::total_cmp)?;
    for size in sizes {
        let times = (size / step).round();
        if (size / step - times).abs() > NEAR {
            return None;
        }
        if times > 0.0 {
            // The larger ones tell it more exactly.
            step = size / times;
        }
    }
    Some(step)
}

/// Whether what is cut, such a part of all, is so in common with its neighbours.
pub(super) fn is_shape(cut: &ArrayD<f64>, part: f64) -> bool {
    together(cut, part) > TOGETHER
}

/// The correlation of neighbours, where a sample is cut or not with this probability.
fn together(dark: &ArrayD<f64>, zeros: f64) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0usize);
    for axis in (0..dark.ndim()).map(Axis).filter(|axis| dark.len_of(*axis) > 1) {
        let (here, next) = (dark.slice_axis(axis, Slice::from(..-1)), dark.slice_axis(axis, Slice::from(1..)));
        for (a, b) in here.iter().zip(&next).filter(|(a, b)| a.is_finite() && b.is_finite()) {
            (sum, pairs) = (sum + (a - zeros) * (b - zeros), pairs + 1);
        }
    }
    sum / pairs.max(1) as f64 / (zeros * (1.0 - zeros)).max(f64::MIN_POSITIVE)
}

/// Mean and mean square of max(0, μ + z) for a standard normal z, where it is 0 with this probability.
fn moments(mean: f64, cut: f64) -> [f64; 2] {
    let density = (-0.5 * mean * mean).exp() / TAU.sqrt();
    [mean * (1.0 - cut) + density, (1.0 + mean * mean) * (1.0 - cut) + mean * density]
}

/// The variance of max(0, μ + z) for a standard normal z, where it is 0 with this probability.
pub(super) fn variance_left(cut: f64) -> f64 {
    if cut >= 1.0 {
        return 0.0;
    }
    if cut <= 0.0 {
        return 1.0;
    }
    let [first, second] = moments(quantile(1.0 - cut), cut);
    (second - first * first).max(0.0)
}

/// The z with Φ(z) = `below`, between eight deviations.
pub(in crate::app) fn quantile(below: f64) -> f64 {
    let (mut low, mut high) = (-8.0f64, 8.0f64);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal(middle) < below { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Φ(z), by the error function's approximation 7.1.26 of Abramowitz and Stegun (1964), to 10⁻⁷.
fn normal(z: f64) -> f64 {
    let x = z.abs() / 2f64.sqrt();
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let sum = series.iter().rev().fold(0.0, |sum, a| t * (a + sum));
    let tail = 0.5 * sum * (-x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use crate::app::noise_level::{Told, estimated, left_of_noise};
    use ndarray::Array2;

    /// The deviation found of noise of 20 over a scene, cut off at 0 and, perhaps, rounded to whole numbers.
    fn found(scene: impl Fn(usize, usize) -> f64, whole: bool) -> Option<(f64, Told)> {
        let mut generator = Generator::new(3);
        let image = Array2::from_shape_fn((128, 128), |(i, j)| {
            let v = (scene(i, j) + 20.0 * 2f64.sqrt() * generator.complex_normal().re).max(0.0);
            (if whole { v.round() } else { v }) as f32
        });
        estimated(image.into_dyn().view(), None).unwrap()
    }

    #[test]
    fn the_noise_of_a_dark_picture_is_that_before_it_was_cut() {
        let star = |i: usize, j: usize| if i % 32 == 16 && j % 32 == 16 { 200.0 } else { 0.0 };
        let few = |i: usize, j: usize| if i.abs_diff(64) + j.abs_diff(64) < 12 { 90.0 } else { 0.0 };
        for (name, level, told) in [
            ("nothing", found(|_, _| 0.0, false), Told::Given),
            ("whole numbers", found(|_, _| 0.0, true), Told::Given),
            ("stars", found(star, false), Told::Given),
            ("a spot", found(few, false), Told::Given),
            ("a little above 0", found(|_, _| 6.0, false), Told::Given),
        ] {
            let (sigma, how) = level.unwrap();
            assert!((sigma / 20.0 - 1.0).abs() < 0.06 && how == told, "{name}: {sigma} {how:?}");
        }
        // What is left of it is known then.
        let mut generator = Generator::new(3);
        let noise = Array2::from_shape_simple_fn((128, 128), || (28.3 * generator.complex_normal().re).max(0.0) as f32);
        let (noise, known) = (noise.into_dyn(), ArrayD::ones(vec![128, 128]));
        let left = left_of_noise(noise.view(), known.view(), Told::Given);
        assert!((left / (0.5f64 - 1.0 / TAU).sqrt() - 1.0).abs() < 0.05, "{left}");
    }

    /// Rounded noise is cut at half a step; photons are counted, or not told at all.
    #[test]
    fn whole_numbers_are_cut_at_a_half() {
        for unit in [1.0, 1.0 / 255.0, 1.0 / 65535.0] {
            for sigma in [2.5, 3.0, 5.0, 8.0] {
                let mut generator = Generator::new(4);
                let image = Array2::from_shape_simple_fn((160, 160), || {
                    ((sigma * 2f64.sqrt() * generator.complex_normal().re).max(0.0).round() * unit) as f32
                });
                let (found, told) = estimated(image.into_dyn().view(), None).unwrap().unwrap();
                assert!((found / (sigma * unit) - 1.0).abs() < 0.05, "{found} of {sigma} in {unit}");
                assert_eq!(told, Told::Given);
            }
        }
        for photons in [0.95, 1.0, 1.05, 1.1, 1.15, 1.2] {
            let mut generator = Generator::new(6);
            // By products of uniform numbers (Knuth).
            let counts = ArrayD::from_shape_simple_fn(vec![160, 160], || {
                let (mut product, mut count) = (generator.uniform(), 0.0);
                while product > f64::exp(-photons) {
                    (product, count) = (product * generator.uniform(), count + 1.0);
                }
                count
            });
            let found = deviation(&counts, 0.0);
            assert!(found.is_none_or(|found| (found / photons.sqrt() - 1.0).abs() < 0.15), "{found:?} of {photons}");
        }
    }

    /// Shapes on black, and few bright things, are no noise.
    #[test]
    fn masks_and_shapes_are_no_noise() {
        let values = |of: &dyn Fn(usize, usize) -> f64| ArrayD::from_shape_fn(vec![128, 128], |at| of(at[0], at[1]));
        let stripes = values(&|i, _| if i % 6 < 3 { 40.0 } else { 0.0 });
        assert_eq!(deviation(&stripes, 0.0), None);
        let disks = values(&|i, j| f64::from(u8::from((i % 16).abs_diff(8).pow(2) + (j % 16).abs_diff(8).pow(2) < 26)));
        assert_eq!(deviation(&disks, 0.0), None);
        let mut generator = Generator::new(8);
        let mut of = |_: usize| if generator.uniform() < 0.5 { 0.0 } else { generator.uniform().powi(-2) };
        let sparks = ArrayD::from_shape_fn(vec![128, 128], |at| of(at[0]));
        assert_eq!(deviation(&sparks, 0.0), None);
    }
}
