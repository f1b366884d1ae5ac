//! What speaks against a deconvolved picture, and against its point-spread function.
//!
//! A scene has little more contrast than its blurred picture: of natural ones, whose spectra fall, a few per cent, of separate points, which are
//! skewed, more. Noise that is amplified has any, and as much of it below the mean as above.

use super::{Deconvolved, Psf};
use ndarray::{ArrayViewD, Dimension};

/// What speaks against a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// The scene has so many times the standard deviation of the picture, and is not skewed: noise is amplified, or a blur is undone
    /// that the picture has not.
    Amplified(f64),
    /// The root mean square of A x − y is so many times the noise, and much beside what is in the picture: the PSF, or what lies
    /// outside of the picture, is not what made it.
    Unexplained(f64),
}

/// Contrast beyond this, in units of the picture's, is none that a scene has, unless its third moment is beyond `SKEWED`σ³.
const CONTRAST: f64 = 3.0;
const SKEWED: f64 = 1.5;

/// A misfit of more than so many times the noise, and more than this part of the picture's deviation, is of a model that does not fit.
const TIMES: f64 = 1.5;
const MUCH: f64 = 0.04;

impl Deconvolved {
    /// What speaks against this being the scene behind a picture of that noise, in its units. Values of it that are not finite are
    /// not known.
    ///
    /// ```
    /// use linops::app::{Blur, Doubt, Outside, Psf, PsfCenter};
    /// use linops::{Device, solve::SolveOptions};
    /// let noise = |k: usize| linops::app::noise::Generator::new(k as u64).uniform() as f32;
    /// let picture = ndarray::Array2::from_shape_fn((32, 32), |(i, j)| noise(32 * i + j)).into_dyn();
    /// // As if all of the noise were seen through a wide blur.
    /// let wide = ndarray::Array2::from_shape_fn((9, 9), |(i, j)| 1.0 / (1.0 + (i as f32 - 4.0).powi(2) + (j as f32 - 4.0).powi(2)));
    /// let psf = Psf::new(wide.into_dyn().view(), PsfCenter::Half, false)?;
    /// let blur = Blur::new(&psf, &[32, 32], None, Outside::Periodic)?;
    /// let found = blur.wiener(picture.view(), SolveOptions::default(), &Device::host())?;
    /// assert!(matches!(found.doubt(picture.view(), 0.3), Some(Doubt::Amplified(_))));
    /// # Ok::<(), linops::Error>(())
    /// ```
    pub fn doubt(&self, picture: ArrayViewD<f32>, noise: f64) -> Option<Doubt> {
        let (seen, found) = (Moments::of(picture.iter()), Moments::of(self.image.iter()));
        let contrast = found.deviation / seen.deviation;
        if contrast.is_finite() && contrast > CONTRAST && found.skewness.abs() < SKEWED {
            return Some(Doubt::Amplified(contrast));
        }
        let unexplained = self.deviation > TIMES * noise && self.deviation > MUCH * seen.deviation;
        (unexplained && noise > 0.0).then(|| Doubt::Unexplained(self.deviation / noise))
    }
}

/// Of values, those that are finite.
struct Moments {
    deviation: f64,
    /// The third central moment over the deviation's cube.
    skewness: f64,
}

impl Moments {
    fn of<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> Moments {
        let finite = || values.clone().filter(|v| v.is_finite()).map(|v| f64::from(*v));
        let count = finite().count().max(1) as f64;
        let mean = finite().sum::<f64>() / count;
        let (square, cube) = finite().fold((0.0, 0.0), |(s, c), v| {
            let d = v - mean;
            (s + d * d, c + d * d * d)
        });
        let deviation = (square / count).sqrt();
        let skewness = if deviation > 0.0 { cube / count / deviation.powi(3) } else { 0.0 };
        Moments { deviation, skewness }
    }
}

/// Light around the first sample, as a part of how far it lies from the centre, and how much of it may be near the centre.
const FIRST: f64 = 0.25;
const NEAR: f64 = 0.05;

/// Of the outermost samples: a tenth of them are below the background, and as many above no more than so many times it.
const OUTERMOST: [f64; 2] = [0.1, 0.9];
const EVEN: f64 = 1.6;

/// Fewer outermost samples tell nothing, nor do more than half of all.
const FEW: usize = 8;

/// The largest sample is above a background by this factor at least.
const PEAK: f64 = 3.0;

impl Psf {
    /// Whether its light lies around the first sample, continued from the other ends of the axes, as Fourier transforms have it, and
    /// not around its centre.
    pub fn is_in_fft_order(&self) -> bool {
        let values = self.values();
        let (mut around_first, mut around_center, mut near, mut all) = (0.0, 0.0, 0.0, 0.0);
        for (at, v) in values.indexed_iter() {
            let mut axes = at.slice().iter().zip(values.shape()).zip(self.center());
            all += f64::from(v.abs());
            near += if axes.all(|((&j, &n), &c)| 4 * j.abs_diff(c) <= n) { f64::from(v.abs()) } else { 0.0 };
            for ((&j, &n), &c) in at.slice().iter().zip(values.shape()).zip(self.center()) {
                let v = f64::from(v.abs());
                around_first += v * (j.min(n - j) as f64).powi(2);
                around_center += v * (j.abs_diff(c) as f64).powi(2);
            }
        }
        !self.is_point() && around_first < FIRST * around_center && near < NEAR * all
    }

    /// The part of its sum that is an even background, as that of a camera which was not subtracted: 0 where the outermost samples are
    /// not alike, as those of a PSF that was cut off.
    pub fn background(&self) -> f64 {
        let values = self.values();
        let mut outermost: Vec<f32> = values
            .indexed_iter()
            .filter(|(at, _)| at.slice().iter().zip(values.shape()).any(|(&j, &n)| n > 2 && (j == 0 || j + 1 == n)))
            .map(|(_, v)| *v)
            .collect();
        if outermost.len() < FEW || 2 * outermost.len() > values.len() {
            return 0.0;
        }
        outermost.sort_by(f32::total_cmp);
        let [low, high] = OUTERMOST.map(|part| f64::from(outermost[(part * (outermost.len() - 1) as f64) as usize]));
        let largest = values.iter().fold(0.0f64, |a, v| a.max(f64::from(*v)));
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        let even = low > 0.0 && high <= EVEN * low && largest > PEAK * high;
        if even { low * values.len() as f64 / sum } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::PsfCenter;
    use ndarray::{Array2, ArrayD};

    fn of(extent: usize, at: impl Fn(f64, f64) -> f64) -> Psf {
        let c = |k: usize| k as f64 - (extent / 2) as f64;
        let values: ArrayD<f32> = Array2::from_shape_fn((extent, extent), |(i, j)| at(c(i), c(j)) as f32).into_dyn();
        Psf::new(values.view(), PsfCenter::Half, false).unwrap()
    }

    fn gaussian(s: f64) -> impl Fn(f64, f64) -> f64 {
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
        // A movement that lingers at its ends.
        let ends = |x: f64| if x == -4.0 || x == 4.0 { 5.0 } else { 1.0 };
        assert!(!of(9, |y, x| if y == 0.0 { ends(x) } else { 0.0 }).is_in_fft_order());
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
    }
}
