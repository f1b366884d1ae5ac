//! Tensors of another element type.

use super::Expression;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};

impl Tensor {
    /// The same values as this dtype, on the device that holds them. Real values become complex ones with the imaginary part 0.
    ///
    /// ```
    /// use linops::{DType, Tensor};
    /// let x = Tensor::from_slice("N=2", &[3.0, -4.0])?;
    /// let z = x.to_dtype(DType::Complex32)?;
    /// assert_eq!((z.dtype(), z.real()?.to_real_vec()?), (DType::Complex32, x.to_real_vec()?));
    /// assert!(z.to_dtype(DType::F32).is_err());
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The tensor is complex and a real one is asked for: [`real`](Tensor::real), [`imag`](Tensor::imag) and
    /// [`abs`](Tensor::abs) say what of it. Or the device fails.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        match (self.dtype(), dtype) {
            (DType::Complex32, DType::F32) => Err(Error::Value(format!(
                "the tensor {} is complex, and a real one was asked for; say what of it by .real(), .imag() or .abs()",
                self.shape()
            ))),
            (DType::F32, DType::Complex32) => Expression::from(self).complex().eval(),
            (DType::F32, DType::F32) | (DType::Complex32, DType::Complex32) => Ok(self.clone()),
        }
    }
}
