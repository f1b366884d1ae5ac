//! One number of all elements.

use super::{Expression, Inner, on_host};
use crate::elementwise::{Map, Pair, largest, summed};
use crate::error::{Result, value_err};
#[cfg(feature = "gpu")]
use crate::run::Kind;
use num_complex::{Complex32, Complex64};

/// Squares beyond these are scaled before they are summed: 32-bit numbers hold none of 1e38, and fewer digits below 1e-38.
const SQUARES: std::ops::Range<f64> = 1e-24..1e36;

impl Expression {
    /// Σ x. Real values have a sum without imaginary part.
    ///
    /// The host adds in f64. A GPU adds in f32, in up to 1024 parts by trees, which are added in f64: the error is some 1e-6 of
    /// Σ|x|. The order is fixed by the length, so that the bits are the same each time on one device. On a GPU this waits.
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    pub fn sum(&self) -> Result<Complex64> {
        self.inner()?.sum()
    }

    /// ⟨x, y⟩ = Σ x̄·y, conjugate in x; `y` is a tensor or an expression. Summed as [`sum`](Expression::sum) does. Products that 32-bit
    /// numbers do not reach are infinite.
    ///
    /// ```
    /// use linops::{Tensor, num_complex::{Complex32, Complex64}};
    /// let x = Tensor::from_slice("N=2", &[Complex32::new(0.0, 1.0), Complex32::new(2.0, 0.0)])?;
    /// let y = Tensor::from_slice("N=2", &[3.0, 4.0])?;
    /// assert_eq!(x.dot(&y)?, Complex64::new(8.0, -3.0));
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    #[track_caller]
    pub fn dot(&self, y: impl Into<Expression>) -> Result<Complex64> {
        self.conj().paired(Pair::Product, &y.into()).sum()
    }

    /// ‖x‖² = Σ |x|², summed as [`sum`](Expression::sum) does. Values of any size: where squares leave the range of 32-bit numbers
    /// they are scaled, which costs two ways more over the tensors.
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    pub fn norm_squared(&self) -> Result<f64> {
        let (norm, exponent) = self.scaled_norm_squared()?;
        Ok(norm * 2f64.powi(2 * exponent))
    }

    /// ‖x‖ = √Σ|x|²; as [`norm_squared`](Expression::norm_squared).
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    pub fn norm(&self) -> Result<f64> {
        let (norm, exponent) = self.scaled_norm_squared()?;
        Ok(norm.sqrt() * 2f64.powi(exponent))
    }

    /// Largest |x|. NaN if there is one. On a GPU this waits.
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    pub fn max_abs(&self) -> Result<f64> {
        self.abs().inner()?.largest()
    }

    /// Whether no value is NaN or infinite: one small reduction on the device. On a GPU this waits.
    ///
    /// # Errors
    /// As for [`eval`](Expression::eval).
    pub fn all_finite(&self) -> Result<bool> {
        // Halves, so that two large parts do not make an infinity of their sum.
        let size = match self.inner()?.computation.gives_complex() {
            true => self.real().abs() * 0.5 + self.imag().abs() * 0.5,
            false => self.abs(),
        };
        Ok(size.inner()?.largest()?.is_finite())
    }

    /// Largest of real values. NaN if there is one. On a GPU this waits.
    ///
    /// # Errors
    /// Values are complex; else as for [`eval`](Expression::eval).
    pub fn max(&self) -> Result<f64> {
        self.inner()?.expect_real("max")?.largest()
    }

    /// Smallest of real values. NaN if there is one. On a GPU this waits.
    ///
    /// # Errors
    /// Values are complex; else as for [`eval`](Expression::eval).
    pub fn min(&self) -> Result<f64> {
        self.inner()?.expect_real("min")?;
        Ok(-self.mapped(Map::Negative).inner()?.largest()?)
    }

    /// Σ|x·2^−e|² and e.
    fn scaled_norm_squared(&self) -> Result<(f64, i32)> {
        let plain = self.abs_squared().sum()?.re;
        if SQUARES.contains(&plain) || plain.is_nan() {
            return Ok((plain, 0));
        }
        let most = self.max_abs()?;
        if most == 0.0 || !most.is_finite() {
            return Ok((most, 0));
        }
        // Two factors, since 2^−e itself may not be a number of 32 bits.
        let exponent = most.log2().floor() as i32;
        let factor = |e: i32| Complex32::new(2f32.powi(e), 0.0).re;
        let scaled = self * factor(-exponent / 2) * factor(-exponent + exponent / 2);
        Ok((scaled.abs_squared().sum()?.re, exponent))
    }
}

impl Inner {
    fn expect_real(&self, what: &str) -> Result<&Inner> {
        match self.computation.gives_complex() {
            false => Ok(self),
            true => value_err!(
                "{what}: complex values have no order, expected real ones; take .real(), .imag() or .abs() first"
            ),
        }
    }

    fn sum(&self) -> Result<Complex64> {
        let n = self.shape()?.len();
        match &self.tensors[0].device().0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => gpu.summed(&self.computation, &self.tensors, n),
            _ => on_host(&self.tensors, |inputs| Ok(summed(&self.computation, inputs, n))),
        }
    }

    fn largest(&self) -> Result<f64> {
        let n = self.shape()?.len();
        match &self.tensors[0].device().0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => gpu.largest(&self.computation, &self.tensors, n),
            _ => on_host(&self.tensors, |inputs| Ok(largest(&self.computation, inputs, n))),
        }
    }
}
