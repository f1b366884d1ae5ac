//! What speaks against a deconvolved picture.
//!
//! A blur takes contrast away: of a scene with all frequencies alike, as separate points have it, it leaves √(Σh²)/Σh of the deviation, of natural
//! ones nearly all. So a scene of more than a few times the picture's contrast is either made of what is as fine as the blur, or it is noise, or a
//! blur that the picture has not, that was amplified. The latter has as much light below 0 as above.

use super::{Deconvolved, Psf};
use ndarray::ArrayViewD;

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
            if contrast > (POINTS * of_points).max(CONTRAST) || contrast > CONTRAST && below {
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

#[cfg(test)]
mod tests {
    use super::super::psf_doubt::tests::{gaussian, of};
    use super::*;
    use crate::app::PsfCenter;
    use ndarray::{Array2, ArrayD};

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
            objective: 0.0,
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
