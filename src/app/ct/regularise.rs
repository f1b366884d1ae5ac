//! Regularised images: ½‖A x − y‖² + Σ λᵢRᵢ(x), with weights from the noise where none are given.

use super::{Ct, CtImage, noise};
use crate::app::regularise::{Kind, Regularisation, Stated, Weight};
use crate::arithmetic::Expression;
use crate::convex::{ConvexOptions, Problem, Solved};
use crate::error::{Result, value_err};
use crate::functional::number;
use crate::run::Device;
use crate::tensor::Tensor;
use ndarray::ArrayD;

/// A regularised image, and what was minimised for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CtRegularised {
    /// The image, with its misfit.
    pub image: CtImage,
    /// The regularisers with their weights.
    pub terms: Vec<Stated>,
    /// How it was solved; x is on the canvas.
    pub solved: Solved,
}

/// A weight is so many standard deviations of what noise makes of the gradient Aᴴ(A x − y).
const DEVIATIONS: f64 = 2.0;

/// The normal's eigenvalue of the finest structures, in those of a pixel in the middle: what l2 holds back in any case, since of these
/// nothing is known but what interpolation makes of them.
const FINEST: f64 = 0.4;

/// The mean square of an image of heads and discs in Σb⁴/Σb² of its back-projection b, scaled to the views.
const SHARPER: f64 = 2.3;

/// Without noise there would be no weight, and no rest to come to: it is at least that of noise of this part of the largest value, which
/// no detector is below.
const LEAST: f64 = 1e-3;

impl Ct {
    /// The standard deviation of the views' noise, estimated from how neighbours differ.
    pub fn noise(&self) -> f64 {
        noise::deviation(self.views())
    }

    /// Minimises ½‖A x − y‖² + Σ λᵢRᵢ(x) on a device, of a stack slice by slice, of a cone over the volume. Weights that are not
    /// given are 2σ√n times the size of a pixel, for n views with noise σ: what noise makes of the data term's gradient. That of l2 is
    /// σ²/P with the image's mean square P, which is estimated from Aᴴy, and 0.4 of ‖A δ‖² for a pixel δ in the middle. All slices of a stack
    /// have one weight. σ is as given, or [estimated](Ct::noise); it counts as 1e-3 of the largest value at least.
    ///
    /// # Errors
    /// The noise is negative or not finite; `llr` is asked for, which is for series; a number of the options makes no sense; or the device fails.
    pub fn regularise(
        &self,
        regularisation: &Regularisation,
        noise: Option<f64>,
        options: ConvexOptions,
        device: &Device,
    ) -> Result<CtRegularised> {
        if let Some(noise) = noise.filter(|n| !(n.is_finite() && *n >= 0.0)) {
            return value_err!("the noise is {noise}; expected a finite number from 0 on");
        }
        let noise = noise.unwrap_or_else(|| self.noise());
        let y = self.data()?;
        let largest = y.to_real_vec()?.iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let (views, pixel) = (self.geometry().angles.len() as f64, self.geometry().pixel_size);
        let sigma = noise.max(LEAST * largest);
        let y = y.to(device)?;
        let damped = regularisation.terms.iter().any(|t| t.kind == Kind::L2 && t.weight.is_none());
        let damping = if damped { self.damping(&y, sigma)? } else { 0.0 };
        let default = |kind: Kind| match kind {
            Kind::L2 => Weight::Absolute(damping),
            _ => Weight::Absolute(DEVIATIONS * sigma * views.sqrt() * pixel),
        };
        let axes = if self.canvas_is_volume() { "Nz Ny Nx" } else { "Ny Nx" };
        let problem = Problem::new(self.linop(), &y)?;
        let (problem, terms) = regularisation.add(problem, axes, None, &default)?;
        let solved = problem.solve(options)?;
        let history = solved.history.iter().map(|r| (r.iteration, r.objective)).collect();
        let image = CtImage {
            image: self.image(&solved.x)?,
            misfit: Some(solved.misfit),
            iterations: solved.iterations,
            stop: Some(solved.stop),
            noise: Some(noise),
            at_noise: false,
            told_best: false,
            left_out: 0,
            deviation: Some((2.0 * solved.data_term / self.counted().max(1) as f64).sqrt()),
            gap: None,
            fell: None,
            history,
        };
        Ok(CtRegularised { image, terms, solved })
    }

    /// λ of l2: σ²/P, with a mean square P of the image that is estimated from the multiple of Aᴴy that explains most, which noise hardly
    /// reaches, and what the finest structures are held back by in any case.
    fn damping(&self, y: &Tensor, sigma: f64) -> Result<f64> {
        let a = self.linop();
        let extents = a.input()?.extents();
        let mut pixel = ArrayD::<f32>::zeros(extents);
        pixel[&extents.iter().map(|n| n / 2).collect::<Vec<_>>()[..]] = 1.0;
        let finest =
            FINEST * a.apply(&Tensor::from_array(pixel, a.input()?.dims())?.to(&y.device())?)?.norm_squared()?;
        let back = a.h().apply(y)?;
        let largest = back.max_abs()?;
        if largest == 0.0 {
            return Ok(finest);
        }
        // Where there is something: neither empty slices nor what is around an object count.
        let back = (number(1.0 / largest) * &back).eval()?;
        let (own, seen) = (back.norm_squared()?, a.apply(&back)?.norm_squared()?);
        let power = SHARPER * Expression::from(&back).abs_squared().eval()?.norm_squared()? / own;
        let of_noise = sigma / (largest * own / seen);
        Ok(finest + if power > 0.0 && of_noise.is_finite() { of_noise * of_noise / power } else { 0.0 })
    }
}
