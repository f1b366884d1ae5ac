//! Tensors of another element type.

use super::device::Device;
use crate::access::{Constant, ConstantData, ValueId};
use crate::allocate::collected;
use crate::error::{Error, Result};
use crate::ir::Builder;
use crate::linop::{Linop, Operator};
use crate::tensor::{DType, HostArray, Tensor};
use num_complex::Complex32;
use std::sync::OnceLock;

impl Tensor {
    /// The same values as this dtype, on the device that holds them. Real values become complex ones with the imaginary part 0.
    /// (On a GPU that is a product with 1 + 0i, which makes NaN of 0 · ∞ where a value is infinite.)
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
    /// [`abs`](Tensor::abs) say what of it. On a GPU also those of [`Linop::apply`].
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        match (self.dtype(), dtype) {
            (DType::Complex32, DType::F32) => Err(Error::Value(format!(
                "the tensor {} is complex, and a real one was asked for; say what of it by .real(), .imag() or .abs()",
                self.shape()
            ))),
            (DType::F32, DType::Complex32) => match self.host_array() {
                Some(_) => Tensor::of_values(self.shape().clone(), self.to_vec()?),
                None => Linop::of(self.shape().clone(), self.shape().clone(), AsComplex).apply(self),
            },
            (DType::F32, DType::F32) | (DType::Complex32, DType::Complex32) => Ok(self.clone()),
        }
    }

    /// The real parts, as a real tensor on the same device. Values of a complex tensor on a GPU go through the host, since taking a
    /// part is not linear; so do those of [`imag`](Tensor::imag) and [`abs`](Tensor::abs).
    ///
    /// # Errors
    /// Moving the values fails, or there is no memory.
    pub fn real(&self) -> Result<Tensor> {
        match self.dtype() {
            DType::F32 => Ok(self.clone()),
            DType::Complex32 => self.parts(|x| x, |z| z.re),
        }
    }

    /// The imaginary parts, as a real tensor on the same device; zeros of a real one.
    ///
    /// # Errors
    /// As for [`real`](Tensor::real).
    pub fn imag(&self) -> Result<Tensor> {
        self.parts(|_| 0.0, |z| z.im)
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
        self.parts(f32::abs, Complex32::norm)
    }

    fn parts(&self, of_real: impl Fn(f32) -> f32, of_complex: impl Fn(Complex32) -> f32) -> Result<Tensor> {
        let host = self.to(&Device::host())?;
        let values = match host.host_array() {
            Some(HostArray::F32(a)) => collected(a.iter().map(|&x| of_real(x)), a.len())?,
            Some(HostArray::Complex32(a)) => collected(a.iter().map(|&z| of_complex(z)), a.len())?,
            None => return Err(Error::Device(format!("the values of {host:?} did not come to the host"))),
        };
        Tensor::of_values(self.shape().clone(), values)?.to(&self.device())
    }
}

/// y = (1 + 0i)·x, which is complex whatever x is. The constant is one and the same, so that plans are kept.
#[derive(Debug)]
struct AsComplex;

impl Operator for AsComplex {
    fn op(&self) -> &'static str {
        "as complex"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        static ONE: OnceLock<Constant> = OnceLock::new();
        let one = Constant::new(Vec::new(), ConstantData::C32(vec![Complex32::new(1.0, 0.0)]))?;
        b.mul(x, ONE.get_or_init(|| one).clone(), Vec::new(), false)
    }
}
