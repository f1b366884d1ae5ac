//! What speaks against a deconvolved picture, and against its point-spread function.
//!
//! A blur takes contrast away: of a scene with all frequencies alike, as separate points have it, it leaves √(Σh²)/Σh of the deviation, of natural
//! ones nearly all. So a scene of more than a few times the picture's contrast is either made of what is as fine as the blur, or it is noise, or a
//! blur that the picture has not, that was amplified. The latter has as much light below 0 as above.

use super::{Deconvolved, Psf};
use ndarray::{ArrayViewD, Dimension};

/// What speaks against a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// The scene has so many times the contrast of the picture, and that is more than what points have, or much of it is less than no light
    /// though the picture has hardly any such: noise is amplified, or a blur is undone that the picture has not.
    Amplified(f64),
    /// The scene has so many times the contrast of the picture, and is not skewed as one of points is: that, or a fine texture.
    Contrast(f64),
    /// The root mean square of A x − y is so many times the noise, and much beside what is in the picture: the PSF, or what lies
    /// outside of the picture, is not what made it, if the scene is otherwise as near as it gets.
    Unexplained(f64),
}

/// Contrast of a scene, in units of the picture's, beyond which something is amplified; where light is below 0; and in units of what
/// points have.
const CONTRAST: f64 = 3.0;
const DARK: f64 = 1.5;
const POINTS: f64 = 1.5;

/// Third moments beyond so many σ³ are of points.
const SKEWED: f64 = 1.5;

/// Light below 0 as a part of all: no more in a picture of light, and no less in what is amplified.
const LIGHT: f64 = 0.01;
const NO_LIGHT: f64 = 0.2;

/// A misfit of more than so many times the noise, and more than this part of the picture's deviation, is of a model that does not fit.
const TIMES: f64 = 1.5;
const MUCH: f64 = 0.04;

impl Deconvolved {
    /// What speaks against this being the scene behind a picture of that noise, in its units, that this PSF blurred. Values of the picture that are
    /// not finite are not known.
    ///
    /// ```
    /// use linops::app::{Blur, Doubt, Outside, Psf, PsfCenter};
    /// use linops::{Device, solve::SolveOptions};
    /// let noise = |k: usize| linops::app::noise::Generator::new(k as u64).uniform() as f32;
    /// let picture = ndarray::Array2::from_shape_fn((32, 32), |(i, j)| 1.0 + noise(32 * i + j)).into_dyn();
    /// // As if all of the noise were seen through a wide blur.
    /// let wide = ndarray::Array2::from_shape_fn((9, 9), |(i, j)| 1.0 / (1.0 + (i as f32 - 4.0).powi(2) + (j as f32 - 4.0).powi(2)));
    /// let psf = Psf::new(wide.into_dyn().view(), PsfCenter::Half, false)?;
    /// let blur = Blur::new(&psf, &[32, 32], None, Outside::Periodic)?;
    /// let found = blur.wiener(picture.view(), SolveOptions::default(), &Device::host())?;
    /// assert!(matches!(found.doubt(picture.view(), &psf, 0.3), Some(Doubt::Amplified(_))));
    /// # Ok::<(), linops::Error>(())
    /// ```
    pub fn doubt(&self, picture: ArrayViewD<f32>, psf: &Psf, noise: f64) -> Option<Doubt> {
        let (seen, found) = (Moments::of(picture.iter()), Moments::of(self.image.iter()));
        let (sum, square) = psf.values().iter().map(|v| f64::from(*v)).fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
        // As if the PSF had the sum 1.
        let contrast = found.deviation * sum.abs() / seen.deviation;
        if contrast.is_finite() {
            let of_points = sum.abs() / square.sqrt();
            let points = found.skewness.abs() >= SKEWED;
            let below = seen.negative <= LIGHT && found.negative >= NO_LIGHT && !points;
            if contrast > POINTS * of_points.max(2.0) || contrast > CONTRAST && below {
                return Some(Doubt::Amplified(contrast));
            }
            if contrast > CONTRAST && !points || contrast > DARK && below {
                return Some(Doubt::Contrast(contrast));
            }
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
    /// Σ|v| below 0 over that of all.
    negative: f64,
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
        let (below, all) = finite().fold((0.0, 0.0), |(b, a), v| (b + (-v).max(0.0), a + v.abs()));
        let negative = if all > 0.0 { below / all } else { 0.0 };
        Moments { deviation, skewness, negative }
    }
}

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
        let all: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
        let mut centroid = vec![0.0; values.ndim()];
        for (at, v) in values.indexed_iter() {
            let share = f64::from(v.abs()) / all;
            centroid.iter_mut().zip(at.slice()).for_each(|(c, j)| *c += share * *j as f64);
        }
        let mut width = 0.0;
        for (at, v) in values.indexed_iter() {
            let away: f64 = centroid.iter().zip(at.slice()).map(|(c, j)| (*j as f64 - c).powi(2)).sum();
            width += f64::from(v.abs()) / all * away;
        }
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

    /// A scene of fine stripes, of points of both signs, in other units, is one; noise behind a wide blur is none.
    #[test]
    fn scenes_are_told_from_what_is_amplified() {
        let psf = of(13, gaussian(1.5));
        let picture = |at: &dyn Fn(usize, usize) -> f64| -> ArrayD<f32> {
            Array2::from_shape_fn((60, 60), |(i, j)| at(i, j) as f32).into_dyn()
        };
        let found = |image: ArrayD<f32>| Deconvolved {
            image,
            iterations: 1,
            misfit: 0.0,
            deviation: 0.0,
            history: Vec::new(),
            stop: crate::solve::Stop::Converged,
            at_noise: false,
        };
        let stripes = |amount: f64| picture(&|_, j| 100.0 + amount * (j as f64 * std::f64::consts::TAU / 5.0).cos());
        let doubt = |x: ArrayD<f32>, y: &ArrayD<f32>, psf: &Psf| found(x).doubt(y.view(), psf, 1.0);
        assert!(
            matches!(doubt(stripes(80.0), &stripes(13.5), &psf), Some(Doubt::Contrast(c)) if (c - 5.9).abs() < 0.1)
        );
        assert!(matches!(doubt(stripes(800.0), &stripes(13.5), &psf), Some(Doubt::Amplified(_))));
        assert!(matches!(doubt(stripes(400.0), &stripes(80.0), &psf), Some(Doubt::Amplified(_))));
        let points = |amount: f64| picture(&|i, j| if i % 12 == 0 && j % 12 == 0 { amount } else { -0.05 * amount });
        assert_eq!(doubt(points(60.0), &points(15.0).mapv(|v| v.max(0.0)), &psf), None);
        // The same of a PSF that makes all ten times darker.
        let values = psf.values() * 0.1;
        let dark = Psf::new(values.view(), PsfCenter::Half, true).unwrap();
        let tenfold = |x: ArrayD<f32>| x.mapv(|v| 10.0 * v);
        assert_eq!(doubt(tenfold(stripes(20.0)), &stripes(13.5), &dark), None);
        assert!(matches!(doubt(tenfold(stripes(400.0)), &stripes(80.0), &dark), Some(Doubt::Amplified(_))));
    }
}
