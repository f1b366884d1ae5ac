//! What expressions have, of a tensor alone.

use super::Expression;
use crate::error::Result;
use crate::tensor::Tensor;
use num_complex::{Complex32, Complex64};

impl Tensor {
    /// The conjugate, on the same device.
    ///
    /// # Errors
    /// The device fails, or there is no memory.
    pub fn conj(&self) -> Result<Tensor> {
        match self.dtype() {
            crate::DType::F32 => Ok(self.clone()),
            crate::DType::Complex32 => Expression::from(self).conj().eval(),
        }
    }

    /// The real parts, as a real tensor on the same device.
    ///
    /// # Errors
    /// The device fails, or there is no memory.
    pub fn real(&self) -> Result<Tensor> {
        match self.dtype() {
            crate::DType::F32 => Ok(self.clone()),
            crate::DType::Complex32 => Expression::from(self).real().eval(),
        }
    }

    /// The imaginary parts, as a real tensor on the same device; zeros of a real one.
    ///
    /// # Errors
    /// As for [`real`](Tensor::real).
    pub fn imag(&self) -> Result<Tensor> {
        Expression::from(self).imag().eval()
    }

    /// The magnitudes, as a real tensor on the same device.
    ///
    /// ```
    /// use linops::{Tensor, num_complex::Complex32};
    /// let z = Tensor::from_slice("N=2", &[Complex32::new(3.0, -4.0), Complex32::new(0.0, 1.0)])?;
    /// assert_eq!(z.abs()?.to_real_vec()?, [5.0, 1.0]);
    /// assert_eq!(z.imag()?.to_real_vec()?, [-4.0, 1.0]);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`real`](Tensor::real).
    pub fn abs(&self) -> Result<Tensor> {
        Expression::from(self).abs().eval()
    }

    /// x/|x|, and 0 of 0: [`Expression::sign`].
    ///
    /// # Errors
    /// As for [`real`](Tensor::real).
    pub fn sign(&self) -> Result<Tensor> {
        Expression::from(self).sign().eval()
    }

    /// √x of real values, and 0 of negative ones.
    ///
    /// # Errors
    /// The tensor is complex; else as for [`real`](Tensor::real).
    #[track_caller]
    pub fn sqrt(&self) -> Result<Tensor> {
        Expression::from(self).sqrt().eval()
    }

    /// Every value nearer to 0 by t, of complex ones by their magnitude: [`Expression::soft_threshold`].
    ///
    /// # Errors
    /// t is negative or NaN, complex, or of another shape or device; else as for [`real`](Tensor::real).
    #[track_caller]
    pub fn soft_threshold(&self, t: impl Into<Expression>) -> Result<Tensor> {
        Expression::from(self).soft_threshold(t).eval()
    }

    /// Real values no smaller than `least` and no larger than `most`: [`Expression::clamp`].
    ///
    /// # Errors
    /// The tensor is complex, `least` is larger than `most`; else as for [`real`](Tensor::real).
    #[track_caller]
    pub fn clamp(&self, least: impl Into<Expression>, most: impl Into<Expression>) -> Result<Tensor> {
        Expression::from(self).clamp(least, most).eval()
    }

    /// a·x + y of this y, as a new tensor.
    ///
    /// ```
    /// let [x, y] = [[1.0, 2.0], [10.0, 20.0]].map(|v| linops::Tensor::from_slice("N=2", &v));
    /// assert_eq!(y?.axpy(0.5, &x?)?.to_real_vec()?, [10.5, 21.0]);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// x has other dims or extents, or is on another device; else as for [`real`](Tensor::real).
    #[track_caller]
    pub fn axpy(&self, a: impl Into<Complex32>, x: &Tensor) -> Result<Tensor> {
        let a: Complex32 = a.into();
        // A factor without imaginary part keeps real values real.
        let term = if a.im == 0.0 { a.re * x } else { a * x };
        (term + self).eval()
    }

    /// ⟨x, y⟩ = Σ x̄·y, conjugate in this x: [`Expression::dot`].
    ///
    /// # Errors
    /// y has other dims or extents, or is on another device; or the device fails.
    #[track_caller]
    pub fn dot(&self, y: impl Into<Expression>) -> Result<Complex64> {
        Expression::from(self).dot(y)
    }

    /// Σ x: [`Expression::sum`].
    ///
    /// # Errors
    /// The device fails.
    pub fn sum(&self) -> Result<Complex64> {
        Expression::from(self).sum()
    }

    /// ‖x‖ = √Σ|x|²: [`Expression::norm`].
    ///
    /// # Errors
    /// The device fails.
    pub fn norm(&self) -> Result<f64> {
        Expression::from(self).norm()
    }

    /// ‖x‖² = Σ|x|²: [`Expression::norm_squared`].
    ///
    /// # Errors
    /// The device fails.
    pub fn norm_squared(&self) -> Result<f64> {
        Expression::from(self).norm_squared()
    }

    /// Largest |x|, NaN if there is one: [`Expression::max_abs`].
    ///
    /// # Errors
    /// The device fails.
    pub fn max_abs(&self) -> Result<f64> {
        Expression::from(self).max_abs()
    }

    /// Whether no value is NaN or infinite: [`Expression::all_finite`].
    ///
    /// # Errors
    /// The device fails.
    pub fn all_finite(&self) -> Result<bool> {
        Expression::from(self).all_finite()
    }

    /// Largest of real values, NaN if there is one: [`Expression::max`].
    ///
    /// # Errors
    /// The tensor is complex, or the device fails.
    pub fn max(&self) -> Result<f64> {
        Expression::from(self).max()
    }

    /// Smallest of real values, NaN if there is one: [`Expression::min`].
    ///
    /// # Errors
    /// The tensor is complex, or the device fails.
    pub fn min(&self) -> Result<f64> {
        Expression::from(self).min()
    }
}
