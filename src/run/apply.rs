//! Applying linops to tensors.

use super::cache::{Compiled, compiled};
use super::device::Device;
use crate::error::{Error, Result};
use crate::host::{HostBuf, HostInstance};
use crate::linop::Linop;
use crate::program::{Plan, c_strides};
use crate::tensor::{DType, HostArray, Tensor};
use ndarray::{ArcArray, IxDyn};
use std::sync::Arc;

impl Linop {
    /// y = A x, on the device that holds x. On a GPU this checks, submits, and returns without waiting.
    ///
    /// # Errors
    /// x has other dims or extents than the input (named), the linop carries an error, or the device fails.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        let device = x.device();
        let compiled = compiled(&self.program()?, &device, x.dtype())?;
        let output = self.output()?.clone();
        match &*compiled {
            Compiled::Host { plan, idle } => {
                // Leased: two applies never share an instance.
                let leased = idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
                let mut instance = leased.unwrap_or_else(|| HostInstance::new(plan));
                let y = instance.run(plan, &host_values(x)?);
                idle.lock().unwrap_or_else(|e| e.into_inner()).push(instance);
                let y = y?;
                let extents = IxDyn(output.extents());
                let shaped = |e: ndarray::ShapeError| Error::Shape(e.to_string());
                let array = match y {
                    HostBuf::Real(v) => HostArray::F32(ArcArray::from_shape_vec(extents, v).map_err(shaped)?),
                    HostBuf::Complex(v) => HostArray::Complex32(ArcArray::from_shape_vec(extents, v).map_err(shaped)?),
                };
                Tensor::from_host(output, array)
            }
            #[cfg(feature = "gpu")]
            Compiled::Gpu(c) => c.apply(x, output),
        }
    }

    /// The plan that [`apply`](Linop::apply) runs on a device for inputs of this dtype: printed, it lists the kernels.
    ///
    /// # Errors
    /// As for `apply`, short of running it.
    pub fn plan(&self, device: &Device, dtype: DType) -> Result<Plan> {
        self.program()?.schedule(&device.target(), dtype == DType::Complex32)
    }

    /// Compiles for a device ahead of the first apply.
    ///
    /// # Errors
    /// As for `apply`.
    pub fn prepare(&self, device: &Device, dtype: DType) -> Result<()> {
        let c: Arc<Compiled> = compiled(&self.program()?, device, dtype)?;
        debug_assert_eq!(c.plan().values[0].extents, self.input()?.extents());
        Ok(())
    }
}

/// A host tensor's values in C order.
fn host_values(x: &Tensor) -> Result<HostBuf<f32>> {
    fn in_order<T: Copy>(a: &ArcArray<T, IxDyn>) -> Vec<T> {
        let c_order = a.strides().iter().zip(c_strides(a.shape())).all(|(&s, c)| s as i64 == c);
        match a.as_slice() {
            Some(s) if c_order => s.to_vec(),
            _ => a.iter().copied().collect(),
        }
    }
    match x.host_array() {
        Some(HostArray::F32(a)) => Ok(HostBuf::Real(in_order(a))),
        Some(HostArray::Complex32(a)) => Ok(HostBuf::Complex(in_order(a))),
        None => Err(Error::Device(format!("the tensor {} is on {}, expected the host", x.shape(), x.device_name()))),
    }
}
