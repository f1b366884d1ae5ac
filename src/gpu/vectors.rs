//! Vector arithmetic for solvers on a GPU. Scalars are elements of one small buffer.

use super::Gpu;
use super::buffer::{GpuBuffer, copyable, gpu_buffer};
use super::queues::SharedBuffer;
use crate::error::{Error, Result};
use crate::tensor::vectors::{Scalar, VectorOps};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// Elements that one workgroup of the dot kernel sums.
const DOT_GROUP: u64 = 4096;

pub(crate) struct GpuVectors {
    gpu: Arc<Gpu>,
    scalars: GpuBuffer,
    partials: Option<GpuBuffer>,
    encoder: Option<wgpu::CommandEncoder>,
    /// What the encoder speaks of: dropped before it is submitted, a buffer could go to somebody else.
    held: Vec<Tensor>,
}

impl GpuVectors {
    pub fn new(gpu: &Arc<Gpu>, scalars: usize) -> Result<GpuVectors> {
        let scalars = gpu.alloc(4 * scalars as u64)?;
        Ok(GpuVectors { gpu: gpu.clone(), scalars, partials: None, encoder: None, held: Vec::new() })
    }

    /// Records one dispatch; buffers are bound from number 1 on as (buffer, first byte, bytes).
    fn dispatch(
        &mut self,
        kernel: &str,
        params: &[u32],
        buffers: &[(&wgpu::Buffer, u64, u64)],
        groups: u64,
    ) -> Result<()> {
        let gpu = self.gpu.clone();
        let pipeline = gpu.core.lane(0).pipeline(kernel, text(kernel)?)?;
        let mut words = params.to_vec();
        words.resize(words.len().next_multiple_of(4), 0);
        let size = 4 * words.len() as u64;
        // Mapped at creation: written in the order of the recording, whatever is submitted in between.
        let uniform = gpu.core.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("linops.vector params"),
            size,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        uniform
            .get_mapped_range_mut(0..size)
            .map_err(|e| Error::Device(format!("a buffer could not be mapped: {e}")))?
            .copy_from_slice(bytemuck::cast_slice(&words));
        uniform.unmap();
        let whole = |buffer, offset, size| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) })
        };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: whole(&uniform, 0, size) }];
        for (k, &(buffer, offset, size)) in buffers.iter().enumerate() {
            entries.push(wgpu::BindGroupEntry { binding: 1 + k as u32, resource: whole(buffer, offset, size) });
        }
        let group = gpu.core.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("linops.vector"),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let (x, y) = gpu.core.limits.fold(groups)?;
        let encoder = self.encoder.get_or_insert_with(|| {
            gpu.core.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("linops.vectors") })
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        Ok(())
    }

    /// Submits what was recorded. Which of the held tensors was written is not kept: declared as both, they cost an order that
    /// nobody misses.
    fn submit(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        if !self.gpu.core.lanes.tracked() {
            return self.gpu.core.submit(0, vec![commands], &[], &[]);
        }
        let own = self.partials.iter().chain([&self.scalars]);
        let all: Vec<&SharedBuffer> =
            self.held.iter().filter_map(gpu_buffer).chain(own).map(GpuBuffer::shared).collect();
        self.gpu.core.submit(0, vec![commands], &all, &all)
    }

    /// Stretches of a vector that one binding holds: (first byte, elements).
    fn stretches(&self, len: u64) -> Vec<(u64, u64)> {
        let most = (self.gpu.core.limits.max_binding / 8 / DOT_GROUP).max(1) * DOT_GROUP;
        (0..len).step_by(most as usize).map(|at| (8 * at, most.min(len - at))).collect()
    }

    fn scalars_bytes(&self) -> u64 {
        self.scalars.wgpu_buffer().size()
    }

    /// A kernel over pairs of elements of x and y, with a scalar.
    fn pairs(&mut self, kernel: &str, s: Scalar, extra: &[u32], x: &Tensor, y: &Tensor) -> Result<()> {
        self.held.extend([x.clone(), y.clone()]);
        let (x, y) = (complex(x)?, complex(y)?);
        let (xb, yb) = (x.0.wgpu_buffer().clone(), y.0.wgpu_buffer().clone());
        let scalars = self.scalars.wgpu_buffer().clone();
        for (offset, n) in self.stretches(x.1) {
            let params: Vec<u32> = [n as u32, s.0 as u32].iter().chain(extra).copied().collect();
            let buffers = [(&scalars, 0, self.scalars_bytes()), (&xb, offset, 8 * n), (&yb, offset, 8 * n)];
            self.dispatch(kernel, &params, &buffers, n.div_ceil(256))?;
        }
        Ok(())
    }
}

fn text(kernel: &str) -> Result<&'static str> {
    Ok(match kernel {
        "axpy" => include_str!("../../shaders/axpy.wgsl"),
        "xpay" => include_str!("../../shaders/xpay.wgsl"),
        "dot" => include_str!("../../shaders/dot.wgsl"),
        "dot_total" => include_str!("../../shaders/dot_total.wgsl"),
        "divide" => include_str!("../../shaders/divide.wgsl"),
        _ => return Err(Error::Device(format!("no kernel {kernel}"))),
    })
}

fn complex(t: &Tensor) -> Result<(&GpuBuffer, u64)> {
    match (gpu_buffer(t), t.dtype()) {
        (Some(b), DType::Complex32) => Ok((b, t.shape().len() as u64)),
        _ => Err(Error::Device(format!(
            "the vector {} is {} on {}, expected complex64 on the GPU",
            t.shape(),
            t.dtype(),
            t.device_name()
        ))),
    }
}

impl VectorOps for GpuVectors {
    fn set(&mut self, s: Scalar, value: f32) -> Result<()> {
        // Ordered on the queue, so what was recorded before must go first.
        self.flush()?;
        self.gpu.core.lanes.write(self.scalars.shared(), 4 * s.0 as u64, bytemuck::bytes_of(&value))
    }

    fn dot(&mut self, x: &Tensor, y: &Tensor, s: Scalar) -> Result<()> {
        let count = complex(x)?.1.div_ceil(DOT_GROUP);
        if self.partials.as_ref().is_none_or(|p| p.wgpu_buffer().size() < 4 * count) {
            // What is recorded speaks of the old ones, which go to somebody else now.
            self.flush()?;
            self.partials = Some(self.gpu.alloc(4 * count)?);
        }
        self.held.extend([x.clone(), y.clone()]);
        let (x, y) = (complex(x)?, complex(y)?);
        let (xb, yb, len) = (x.0.wgpu_buffer().clone(), y.0.wgpu_buffer().clone(), x.1);
        let Some(parts) = self.partials.as_ref().map(|p| p.wgpu_buffer().clone()) else { return Ok(()) };
        let scalars = self.scalars.wgpu_buffer().clone();
        for (offset, n) in self.stretches(len) {
            let buffers = [(&xb, offset, 8 * n), (&yb, offset, 8 * n), (&parts, 0, parts.size())];
            let part = offset / 8 / DOT_GROUP;
            self.dispatch("dot", &[n as u32, part as u32], &buffers, n.div_ceil(DOT_GROUP))?;
        }
        let buffers = [(&parts, 0, parts.size()), (&scalars, 0, self.scalars_bytes())];
        self.dispatch("dot_total", &[count as u32, s.0 as u32], &buffers, 1)
    }

    fn divide(&mut self, a: Scalar, b: Scalar, c: Scalar) -> Result<()> {
        let scalars = self.scalars.wgpu_buffer().clone();
        let size = self.scalars_bytes();
        self.dispatch("divide", &[a.0 as u32, b.0 as u32, c.0 as u32], &[(&scalars, 0, size)], 1)
    }

    fn axpy(&mut self, sign: f32, s: Scalar, x: &Tensor, y: &mut Tensor) -> Result<()> {
        self.pairs("axpy", s, &[sign.to_bits()], x, y)
    }

    fn xpay(&mut self, x: &Tensor, s: Scalar, y: &mut Tensor) -> Result<()> {
        self.pairs("xpay", s, &[], x, y)
    }

    fn copy(&mut self, x: &Tensor) -> Result<Tensor> {
        let (source, len) = complex(x)?;
        copyable(source.wgpu_buffer())?;
        let out = self.gpu.tensor(x.shape().clone(), x.dtype())?;
        self.flush()?;
        let mut encoder = self.gpu.core.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let (target, _) = complex(&out)?;
        encoder.copy_buffer_to_buffer(source.wgpu_buffer(), 0, target.wgpu_buffer(), 0, 8 * len);
        self.gpu.core.submit(0, vec![encoder.finish()], &[source.shared()], &[target.shared()])?;
        Ok(out)
    }

    fn flush(&mut self) -> Result<()> {
        let done = match self.encoder.take() {
            Some(e) => self.submit(e.finish()),
            None => Ok(()),
        };
        self.held.clear();
        done
    }

    fn read(&mut self, s: Scalar) -> Result<f64> {
        self.flush()?;
        let bytes = self.gpu.core.read(self.scalars.block(), self.scalars_bytes())?;
        let at = 4 * s.0;
        Ok(bytemuck::pod_read_unaligned::<f32>(&bytes[at..at + 4]).into())
    }
}
