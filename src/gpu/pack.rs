//! Tensors side by side in one buffer.

use super::Gpu;
use super::buffer::{copyable, gpu_buffer};
use super::faults::checked;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

impl Gpu {
    /// Tensors of one dtype on this device, one after the other, as a tensor of one dim.
    pub(crate) fn packed(self: &Arc<Self>, parts: &[Tensor], shape: Shape, dtype: DType) -> Result<Tensor> {
        self.check()?;
        let out = self.tensor(shape, dtype)?;
        let Some(target) = gpu_buffer(&out) else { return Err(Error::Device("a new tensor is not here".into())) };
        let desc = wgpu::CommandEncoderDescriptor { label: Some("linops.pack") };
        let mut copies = Vec::with_capacity(parts.len());
        let mut at = 0;
        for part in parts {
            let Some(source) = gpu_buffer(part) else {
                return Err(Error::Device(format!("the tensor {} is not on {}", part.shape(), self.name())));
            };
            copyable(source.wgpu_buffer())?;
            let bytes = part.shape().len() as u64 * dtype.bytes();
            copies.push((source, at, bytes));
            at += bytes;
        }
        let device = &self.core.device;
        let commands = checked(device, || {
            let mut encoder = device.create_command_encoder(&desc);
            for (source, at, bytes) in copies {
                encoder.copy_buffer_to_buffer(source.wgpu_buffer(), 0, target.wgpu_buffer(), at, bytes);
            }
            encoder.finish()
        })?;
        let reads: Vec<_> = parts.iter().filter_map(gpu_buffer).map(|b| b.shared()).collect();
        self.core.submit(0, vec![commands], &reads, &[target.shared()])?;
        Ok(out)
    }
}
