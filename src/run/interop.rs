//! A caller's wgpu buffers as tensors and back, without copies.

use super::device::{Device, Kind};
use crate::dim::ToShape;
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, gpu_buffer};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

impl Tensor {
    /// A tensor around a caller's own wgpu buffer, without a copy: C order, complex as interleaved re, im.
    ///
    /// # Errors
    /// The buffer is shorter than the tensor or lacks the usage STORAGE, or the device is not a GPU. (To download the
    /// tensor, or to be a solver's data, the buffer needs COPY_SRC, too.)
    pub fn from_wgpu(device: &Device, buffer: wgpu::Buffer, shape: impl ToShape, dtype: DType) -> Result<Tensor> {
        let Kind::Gpu(gpu) = &device.0 else {
            return Err(Error::Device("a wgpu buffer needs a GPU device, came the host".into()));
        };
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            let has = buffer.usage();
            return Err(Error::Device(format!("the buffer has the usage {has:?}; create it with STORAGE")));
        }
        Tensor::from_device(shape, dtype, Arc::new(GpuBuffer::callers(gpu, buffer)))
    }

    /// The wgpu buffer that holds the values; nothing is copied. It is the tensor's as long as the tensor lives: keep the tensor
    /// until work of your own on the buffer is submitted, or take the buffer with
    /// [`into_wgpu_buffer`](Tensor::into_wgpu_buffer).
    ///
    /// # Errors
    /// The tensor is not on a GPU, or what another queue has to do with it fails.
    pub fn wgpu_buffer(&self) -> Result<&wgpu::Buffer> {
        let buffer = self.on_gpu()?;
        buffer.hand_out()?;
        Ok(buffer.wgpu_buffer())
    }

    /// The wgpu buffer that holds the values, for good: it is not reused by this crate any more.
    ///
    /// # Errors
    /// As for [`wgpu_buffer`](Tensor::wgpu_buffer).
    pub fn into_wgpu_buffer(self) -> Result<wgpu::Buffer> {
        self.on_gpu()?.give_away()
    }

    fn on_gpu(&self) -> Result<&GpuBuffer> {
        gpu_buffer(self).ok_or_else(|| {
            let place = self.device_name();
            Error::Device(format!(
                "the tensor {} is on {place}, which has no wgpu buffers; move it with .to(&gpu)",
                self.shape()
            ))
        })
    }
}
