//! Deconvolution with the regularisers of all applications.

use super::blur::dims;
use super::{Blur, Deconvolved, NoiseToSignal, Outside, Scene};
use crate::app::denoising::{Denoising, Given, Weighed};
use crate::app::regularise::Stated;
use crate::convex::{Problem, Solved};
use crate::error::{Result, value_err};
use crate::run::Device;
use crate::solve::Stop;
use ndarray::ArrayViewD;

/// A picture that was deconvolved with regularisers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegularisedDeconvolution {
    /// The picture.
    pub deconvolved: Deconvolved,
    /// The terms of the objective, with their weights.
    pub terms: Vec<Stated>,
    /// How it was solved the last time; x is on the canvas.
    pub solved: Solved,
    /// Solves that the weights took.
    pub solves: usize,
    /// Whether the misfit stays above the noise that was given with the least weight that holds the picture's own noise back.
    pub unreached: bool,
}

/// The least weight, in units of the noise that the picture itself [tells](NoiseToSignal) and of what the PSF sums to: with half of it noise
/// outweighs what becomes sharper.
const HOLDS: f64 = 0.05;

/// Noise of less than this part of the picture's deviation is taken for so much: with the weights of less no solve comes to its end.
const LEAST: f64 = 1e-3;

impl Blur {
    /// ‖AᴴA‖, at most: that of a convolution is the square of Σ|taps|, which says little where many are negative; mirrored samples count
    /// more than once.
    fn norm(&self) -> Option<f64> {
        /// Of the light.
        const LITTLE: f64 = 0.05;
        let sum: f64 = self.psf.values().iter().map(|v| f64::from(v.abs())).sum();
        let weighed = self.known.as_ref().is_some_and(|k| k.iter().any(|k| *k > 1.0));
        let tight = self.psf.negative() < LITTLE && !weighed && !matches!(self.outside, Outside::Mirror);
        (tight && sum > 0.0).then_some(sum * sum)
    }

    /// The noise that a picture itself tells.
    fn own_noise(&self, image: ArrayViewD<f32>) -> Result<f64> {
        let mut image = image.to_owned();
        if let Some(known) = &self.known {
            image.zip_mut_with(known, |v, k| *v = if *k == 0.0 { f32::NAN } else { *v });
        }
        Ok(NoiseToSignal::of(image.view(), &self.psf, Scene::Natural)?.noise)
    }

    /// Minimises ½‖A x − y‖² + Σ λᵢRᵢ(x) over the canvas. Weights that are not given are those by which the misfit is that of the
    /// noise, which the task has to give; it counts as 1e-3 of the picture's standard deviation at least. No weight is below a twentieth of the noise
    /// that the picture itself tells.
    ///
    /// ```
    /// use linops::app::{Blur, Denoising, Outside, Psf, PsfCenter};
    /// use linops::Device;
    /// let psf = Psf::new(ndarray::Array2::<f32>::ones((3, 3)).into_dyn().view(), PsfCenter::Half, false)?;
    /// let blur = Blur::new(&psf, &[16, 16], None, Outside::Unknown)?;
    /// let even = ndarray::Array2::<f32>::from_elem((16, 16), 5.0).into_dyn();
    /// let found = blur.regularised(even.view(), Denoising::default().noise(Some(0.01)), &Device::host())?;
    /// assert!(found.deconvolved.image.iter().all(|v| (v - 5.0).abs() < 0.1));
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The picture has other extents or is not finite, no noise is given where a weight follows from it, or as for
    /// [`Denoising::solve`].
    pub fn regularised(
        &self,
        image: ArrayViewD<f32>,
        mut task: Denoising,
        device: &Device,
    ) -> Result<RegularisedDeconvolution> {
        task.check()?;
        let open = task.regularisation.terms.iter().any(|t| t.weight.is_none());
        let noise = match task.noise {
            Some(noise) if noise >= 0.0 && noise.is_finite() => noise,
            None if !open => 0.0,
            other => return value_err!("the noise is {other:?}; expected a finite number from 0 on"),
        };
        let y = self.data(image.view())?;
        let size = y.to_real_array()?.iter().fold(0.0f64, |a, v| a.max(f64::from(v.abs())));
        let least = if open { HOLDS * self.own_noise(image)? * f64::from(self.psf.values().sum()) } else { 0.0 };
        let axes = dims(self.extents.len());
        let problem = Problem::new(&self.linop, &y.to(device)?)?;
        let given = Given {
            problem,
            axes: &axes,
            count: self.counted(),
            noise: noise.max(LEAST * self.deviation(&y.to_real_array()?)),
            probes: None,
            size,
            weights: [least, f64::INFINITY],
            norm: self.norm(),
            start: None,
        };
        let Weighed { solved, terms, deviation, unreached, solves, .. } = task.weighed(&given)?;
        let mut result = self.deconvolved(&y, &solved.x, solved.iterations, Vec::new(), solved.stop)?;
        result.objective = solved.objective;
        result.at_noise = open && solved.stop == Stop::Converged && (deviation / noise - 1.0).abs() < 0.05;
        Ok(RegularisedDeconvolution { deconvolved: result, terms, solved, solves, unreached })
    }
}
