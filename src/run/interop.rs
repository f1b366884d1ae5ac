//! A caller's wgpu buffers as tensors and back, without copies.

use super::device::{Device, Kind};
use crate::dim::Shape;
use crate::error::{Error, Result, shape_err};
use crate::gpu::{GpuBuffer, gpu_buffer};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

impl Tensor {
    /// A tensor around a caller's own wgpu buffer, without a copy: C order, complex as interleaved re, im.
    ///
    /// # Errors
    /// The buffer is shorter than the tensor or lacks the usage STORAGE, or the device is not a GPU. (To download the
    /// tensor the buffer needs COPY_SRC, too.)
    pub fn from_wgpu(device: &Device, buffer: wgpu::Buffer, shape: Shape, dtype: DType) -> Result<Tensor> {
        let Kind::Gpu(gpu) = &device.0 else {
            return Err(Error::Device("a wgpu buffer needs a GPU device, came the host".into()));
        };
        let bytes = shape.len() as u64 * dtype.bytes();
        if buffer.size() < bytes {
            return shape_err!("the buffer has {} bytes, a {dtype} tensor {shape} needs {bytes}", buffer.size());
        }
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            let has = buffer.usage();
            return Err(Error::Device(format!("the buffer has the usage {has:?}; create it with STORAGE")));
        }
        Ok(Tensor::from_device(shape, dtype, Arc::new(GpuBuffer::callers(gpu, buffer))))
    }

    /// The wgpu buffer that holds the values, if the tensor is on a GPU; nothing is copied. It is the tensor's as long as the
    /// tensor lives: keep the tensor until work of your own on the buffer is submitted, or take the buffer with
    /// [`into_wgpu_buffer`](Tensor::into_wgpu_buffer).
    pub fn wgpu_buffer(&self) -> Option<&wgpu::Buffer> {
        let buffer = gpu_buffer(self)?;
        buffer.hand_out();
        Some(buffer.wgpu_buffer())
    }

    /// The wgpu buffer that holds the values, for good: it is not reused by this crate any more.
    pub fn into_wgpu_buffer(self) -> Option<wgpu::Buffer> {
        Some(gpu_buffer(&self)?.give_away())
    }
}
