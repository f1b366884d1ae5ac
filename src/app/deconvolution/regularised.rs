//! Deconvolution with the regularisers of all applications.

use super::blur::dims;
use super::{Blur, Deconvolved, Outside};
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
}

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

    /// Minimises ½‖A x − y‖² + Σ λᵢRᵢ(x) over the canvas. Weights that are not given are those by which the misfit is that of the
    /// noise, which the task has to give.
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
        let y = self.data(image)?;
        let size = y.to_real_array()?.iter().fold(0.0f64, |a, v| a.max(f64::from(v.abs())));
        let axes = dims(self.extents.len());
        let problem = Problem::new(&self.linop, &y.to(device)?)?;
        let given = Given {
            problem,
            axes: &axes,
            count: self.counted(),
            noise,
            size,
            most: None,
            norm: self.norm(),
            start: None,
        };
        let Weighed { solved, terms, deviation, solves, .. } = task.weighed(&given)?;
        let mut result = self.deconvolved(&y, &solved.x, solved.iterations, Vec::new(), solved.stop)?;
        result.at_noise = open && solved.stop == Stop::Converged && (deviation / noise - 1.0).abs() < 0.05;
        Ok(RegularisedDeconvolution { deconvolved: result, terms, solved, solves })
    }
}
