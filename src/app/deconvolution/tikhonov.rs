//! Quadratic penalties: ‖A x − y‖² + λ‖∇x‖², which is Wiener's filter for a scene of the spectrum 1/k², and
//! ‖A x − y‖² + λ‖x − m‖² for a white one of the mean m.

use super::blur::{dims, wrapped};
use super::quadratic::Quadratic;
use super::{Blur, Deconvolved, Outside};
use crate::error::{Result, value_err};
use crate::linop::{self, Border, FftOptions, GradientOptions};
use crate::run::Device;
use crate::solve::{SolveOptions, Stop};
use crate::tensor::Tensor;
use ndarray::{ArrayD, ArrayViewD, Dimension, Zip};
use num_complex::Complex32;
use std::f64::consts::PI;

impl Blur {
    /// Minimises ‖A x − y‖² + λ‖∇x‖² over the canvas, with λ the options' [`lambda`](SolveOptions::lambda): the mean of the scene
    /// given the picture, if both noise and scene are Gaussian, the noise is white and the scene's spectrum P/|k|², for
    /// λ = σ²/P, as [`NoiseToSignal`](super::NoiseToSignal) gives it (Wiener, "Extrapolation, interpolation and smoothing of
    /// stationary time series", 1949; Hunt, IEEE Trans. Comput. C-22:805, 1973).
    ///
    /// A periodic scene that is known everywhere takes one filter; any other is solved by conjugate gradients, from the picture
    /// continued by its outermost samples (or the options' start), until the objective is within the options' `tol` of its limit,
    /// as a part of it.
    ///
    /// # Errors
    /// The picture has other extents or is not finite, the options make no sense, or the device fails.
    pub fn wiener(&self, image: ArrayViewD<f32>, options: SolveOptions, device: &Device) -> Result<Deconvolved> {
        if !options.lambda.is_finite() || options.lambda < 0.0 {
            return value_err!("lambda is {}; expected a finite number from 0 on", options.lambda);
        }
        if self.outside == Outside::Periodic && self.known.is_none() {
            return self.filtered(image, options.lambda, device);
        }
        let canvas = self.linop.input()?;
        let border = if self.outside == Outside::Periodic { Border::Circular } else { Border::Neumann };
        let gradient = linop::gradient(canvas, dims(canvas.rank()), GradientOptions::default().border(border))?;
        let y = self.data(image)?.to(device)?;
        Quadratic::new(self, y, &gradient, options.lambda, 0.0).minimise(options, device)
    }

    /// Minimises ‖A x − y‖² + λ‖x − m‖² over the canvas by conjugate gradients, where m is an even scene as bright as the picture:
    /// a weight that holds back noise does not make the picture darker. Start and stop are those of [`wiener`](Blur::wiener).
    ///
    /// # Errors
    /// As for [`wiener`](Blur::wiener).
    pub fn damped(&self, image: ArrayViewD<f32>, options: SolveOptions, device: &Device) -> Result<Deconvolved> {
        let y = self.data(image)?.to(device)?;
        let canvas = self.linop.input()?;
        let even = Tensor::from_array(ArrayD::<f32>::ones(canvas.extents()), dims(self.extents.len()).as_str())?;
        let seen = self.linop.apply(&even.to(device)?)?;
        let (product, square) = (seen.dot(&y)?.re, seen.norm_squared()?);
        let m = if square > 0.0 { (product / square) as f32 } else { 0.0 };
        let penalty = linop::identity(canvas.clone())?;
        Quadratic::new(self, y, &penalty, options.lambda, m).minimise(options, device)
    }

    /// conj(H)·Y/(|H|² + λ|D|²), with the transfer functions H of the blur and D of the gradient.
    fn filtered(&self, image: ArrayViewD<f32>, lambda: f32, device: &Device) -> Result<Deconvolved> {
        let y = self.data(image)?;
        let (shape, axes) = (y.shape().clone(), dims(self.extents.len()));
        let f = linop::fft(shape.clone(), axes.as_str(), FftOptions::default())?.keep();
        // The taps stand around sample n/2, as the picture's own origin does not: it is sample 0.
        let mut taps = ArrayD::<f32>::zeros(self.extents.as_slice());
        for (at, v) in wrapped(&self.psf, &self.extents).indexed_iter() {
            let to: Vec<usize> = at.slice().iter().zip(&self.extents).map(|(&j, &n)| (j + n - n / 2) % n).collect();
            taps[&to[..]] = *v;
        }
        let root = (taps.len() as f64).sqrt();
        let mut filter = f.apply(&Tensor::from_array(taps, axes.as_str())?)?.to_array()?;
        for (at, value) in filter.indexed_iter_mut() {
            let gradient: f64 = at
                .slice()
                .iter()
                .zip(&self.extents)
                .map(|(&k, &n)| 4.0 * (PI * k as f64 / n as f64).sin().powi(2))
                .sum();
            let (re, im) = (f64::from(value.re) * root, f64::from(value.im) * root);
            let power = re * re + im * im;
            let below = power + f64::from(lambda) * gradient;
            // What the blur takes away and no penalty asks for.
            let inverse = if power > 1e-12 * below { 1.0 / below } else { 0.0 };
            *value = Complex32::new((re * inverse) as f32, (-im * inverse) as f32);
        }
        let d = linop::diagonal(f.output()?, &Tensor::from_array(filter, axes.as_str())?)?;
        let x = linop::chain([f.clone(), d, f.h()])?.apply(&y.to(device)?)?.real()?;
        let gradient = linop::gradient(shape, axes.as_str(), GradientOptions::default().border(Border::Circular))?;
        let mut result = self.deconvolved(&y, &x, 0, Vec::new(), Stop::Converged)?;
        result.objective += f64::from(lambda) * gradient.apply(&x)?.norm_squared()?;
        Ok(result)
    }

    /// The picture's part of a canvas, and how far its blur is from the data: of the objective ‖A x − y‖².
    pub(super) fn deconvolved(
        &self,
        y: &Tensor,
        x: &Tensor,
        iterations: usize,
        history: Vec<crate::solve::Reading>,
        stop: Stop,
    ) -> Result<Deconvolved> {
        let host = Device::host();
        let blurred = self.linop.apply(x)?.to(&host)?.to_real_array()?;
        let (mut distance, mut size) = (0.0, 0.0);
        Zip::from(&blurred).and(&y.to_real_array()?).for_each(|a, y| {
            distance += (f64::from(*a) - f64::from(*y)).powi(2);
            size += f64::from(*y).powi(2);
        });
        let misfit = if distance == 0.0 { 0.0 } else { (distance / size).sqrt() };
        let deviation = (distance / self.counted().max(1) as f64).sqrt();
        let image = self.cropped(x.to(&host)?.to_real_array()?.view())?;
        if !distance.is_finite() || image.iter().any(|v| !v.is_finite()) {
            return value_err!(
                "the scene is not finite: the picture or the point-spread function is too large for 32-bit numbers; scale them"
            );
        }
        Ok(Deconvolved { image, iterations, misfit, deviation, objective: distance, history, stop, at_noise: false })
    }
}
