//! What speaks against a point-spread function: its order, its place, its background.

use super::Psf;
use super::psf::centroid;
use ndarray::Dimension;

/// Light that lies so many times its own width away from the centre is not around it.
const AWAY: f64 = 2.0;

/// Light around the first sample, as a part of how far it lies from the middle; how much of it may be near that; and how much of it is at the
/// far end of an axis.
const FIRST: f64 = 0.25;
const NEAR: f64 = 0.05;
const FAR: f64 = 0.1;

/// Smaller PSFs, and fewer outermost samples, tell of no background.
const SMALL: usize = 49;
const FEW: usize = 8;

/// Of the outermost samples: a tenth of them are below the background, and as many above no more than so many times it. Those within are as
/// large, but for this factor: tails fall.
const OUTERMOST: [f64; 2] = [0.1, 0.9];
const EVEN: f64 = 1.6;
const FLAT: f64 = 1.06;

/// The largest sample is above a background by this factor at least.
const PEAK: f64 = 3.0;

impl Psf {
    /// Whether its light lies around the first sample, continued from the other ends of the axes, as Fourier transforms have it, and
    /// not around the middle.
    pub fn is_in_fft_order(&self) -> bool {
        let values = self.values();
        let (mut around_first, mut around_middle, mut near, mut all) = (0.0, 0.0, 0.0, 0.0);
        let mut far = vec![0.0; values.ndim()];
        for (at, v) in values.indexed_iter() {
            let v = f64::from(v.abs());
            let mut close = true;
            for ((&j, &n), far) in at.slice().iter().zip(values.shape()).zip(&mut far) {
                around_first += v * (j.min(n - j) as f64).powi(2);
                around_middle += v * (j.abs_diff(n / 2) as f64).powi(2);
                close &= 4 * j.abs_diff(n / 2) <= n;
                *far += if 2 * j > n { v } else { 0.0 };
            }
            all += v;
            near += if close { v } else { 0.0 };
        }
        let wraps = far.iter().any(|far| *far > FAR * all);
        wraps && near < NEAR * all && around_first < FIRST * around_middle
    }

    /// The centroid among the [samples](Psf::values), where its light lies farther from the centre than twice its own width: the scene is
    /// moved by that much. None of a point, which is there to move it.
    pub fn off_centre(&self) -> Option<Vec<f64>> {
        let values = self.values();
        let centroid = centroid(values);
        let (mut width, mut all) = (0.0, 0.0);
        for (at, v) in values.indexed_iter() {
            let away: f64 = centroid.iter().zip(at.slice()).map(|(c, j)| (*j as f64 - c).powi(2)).sum();
            width += f64::from(v.abs()) * away;
            all += f64::from(v.abs());
        }
        let width = width / all;
        let off: f64 = centroid.iter().zip(self.center()).map(|(c, at)| (c - *at as f64).powi(2)).sum();
        (width > 0.0 && off.sqrt() > AWAY * width.sqrt() && off.sqrt() > 1.0).then_some(centroid)
    }

    /// The part of its sum that is an even background, as that of a camera which was not subtracted: 0 where the outermost samples are
    /// not alike, or less than those within, as those of a PSF that was cut off, and of small PSFs.
    pub fn background(&self) -> f64 {
        let values = self.values();
        // Samples in rings: how far they are from the nearest end of an axis.
        let ring = |ring: usize| -> Vec<f32> {
            let depth = |at: &[usize]| {
                let axes = at.iter().zip(values.shape()).filter(|(_, n)| **n > 2);
                axes.map(|(&j, &n)| j.min(n - 1 - j)).min()
            };
            let mut of: Vec<f32> =
                values.indexed_iter().filter(|(at, _)| depth(at.slice()) == Some(ring)).map(|(_, v)| *v).collect();
            of.sort_by(f32::total_cmp);
            of
        };
        let (outermost, within) = (ring(0), ring(1));
        if values.len() < SMALL || outermost.len() < FEW || within.is_empty() {
            return 0.0;
        }
        let [low, high] = OUTERMOST.map(|part| f64::from(outermost[(part * (outermost.len() - 1) as f64) as usize]));
        let median = |of: &[f32]| f64::from(of[of.len() / 2]);
        let largest = values.iter().fold(0.0f64, |a, v| a.max(f64::from(*v)));
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        let flat = low > 0.0 && high <= EVEN * low && median(&within) <= FLAT * median(&outermost);
        if flat && largest > PEAK * high { low * values.len() as f64 / sum } else { 0.0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::app::PsfCenter;
    use ndarray::{Array2, ArrayD};

    pub fn of(extent: usize, at: impl Fn(f64, f64) -> f64) -> Psf {
        let c = |k: usize| k as f64 - (extent / 2) as f64;
        let values: ArrayD<f32> = Array2::from_shape_fn((extent, extent), |(i, j)| at(c(i), c(j)) as f32).into_dyn();
        Psf::new(values.view(), PsfCenter::Half, false).unwrap()
    }

    pub fn gaussian(s: f64) -> impl Fn(f64, f64) -> f64 {
        move |y, x| (-(y * y + x * x) / (2.0 * s * s)).exp()
    }

    #[test]
    fn psfs_in_the_order_of_transforms_are_told() {
        for extent in [24, 25] {
            assert!(!of(extent, gaussian(2.0)).is_in_fft_order());
            let wrapped = |k: f64| k - extent as f64 * (k / extent as f64).round();
            let half = (extent / 2) as f64;
            assert!(of(extent, |y, x| gaussian(2.0)(wrapped(y + half), wrapped(x + half))).is_in_fft_order());
        }
        // A box, a streak to one side, a point.
        assert!(!of(9, |_, _| 1.0).is_in_fft_order());
        assert!(!of(9, |y, x| f64::from(u8::from(y == 0.0 && x >= 0.0))).is_in_fft_order());
        assert!(!of(9, |y, x| f64::from(u8::from(y == -4.0 && x == -4.0))).is_in_fft_order());
        // Light that fades to one side; a movement that lingers at its ends.
        assert!(!of(16, |y, x| if y == 0.0 { (-x - 8.0).exp() } else { 0.0 }).is_in_fft_order());
        let one = Psf::new(ndarray::arr1(&[0.97f32, 0.03]).into_dyn().view(), PsfCenter::Half, false).unwrap();
        assert!(!one.is_in_fft_order());
        let ends = |x: f64| if x == -4.0 || x == 4.0 { 5.0 } else { 1.0 };
        assert!(!of(9, |y, x| if y == 0.0 { ends(x) } else { 0.0 }).is_in_fft_order());
    }

    #[test]
    fn light_beside_the_centre_is_told() {
        assert_eq!(of(15, gaussian(1.0)).off_centre(), None);
        assert_eq!(of(9, |y, x| f64::from(u8::from(y == 0.0 && x >= 0.0))).off_centre(), None);
        assert_eq!(of(9, |y, x| f64::from(u8::from(y == -4.0 && x == -4.0))).off_centre(), None);
        let psf = of(25, |y, x| gaussian(1.0)(y - 5.0, x + 3.0));
        let off: Vec<f64> =
            psf.off_centre().unwrap().iter().zip(psf.center()).map(|(at, center)| at - *center as f64).collect();
        assert!((off[0] - 5.0).abs() < 0.1 && (off[1] + 3.0).abs() < 0.1, "{off:?}");
    }

    #[test]
    fn backgrounds_are_told_and_cut_off_psfs_have_none() {
        let base = of(17, |y, x| gaussian(2.0)(y, x) + 0.1).background();
        assert!((base - 28.9 / (28.9 + 25.1)).abs() < 0.02, "{base}");
        // Cut off at 1.5, 2.5, 4 of their widths; a box; long wings.
        for (extent, s) in [(7, 2.0), (11, 2.0), (17, 2.0)] {
            assert!(of(extent, gaussian(s)).background() < 0.02, "{extent} {s}");
        }
        assert_eq!(of(9, |_, _| 1.0).background(), 0.0);
        assert_eq!(of(5, |y, x| if y == 0.0 && x == 0.0 { 5.0 } else { 1.0 }).background(), 0.0);
        assert_eq!(of(21, |y, x| (1.0 + y * y + x * x).powf(-1.5)).background(), 0.0);
        assert_eq!(of(17, |y, x| (-y.hypot(x) / 6.0).exp()).background(), 0.0);
        assert_eq!(of(13, |y, x| 1.0 / (1.0 + (y * y + x * x) / 9.0)).background(), 0.0);
        let at = |k: usize| (k as f64 - 3.0).powi(2);
        let solid = |base: f64| {
            let of = |(i, j, k): (usize, usize, usize)| (base + (-(at(i) + at(j) + at(k)) / 0.72).exp()) as f32;
            Psf::new(ndarray::Array3::from_shape_fn((7, 7, 7), of).into_dyn().view(), PsfCenter::Half, false).unwrap()
        };
        assert!(solid(0.0).background() == 0.0 && solid(0.1).background() > 0.5, "{}", solid(0.1).background());
    }
}
