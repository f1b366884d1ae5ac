//! Tensors' values on a GPU, and their way there and back.

use super::Gpu;
use super::faults::from_wgpu;
use super::pool::{Pooled, new_id};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::tensor::{DType, DeviceBuffer, HostArray, Tensor};
use ndarray::{ArcArray, IxDyn};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// Bytes that one transfer moves: staging memory stays small beside the tensors.
const TRANSFER: u64 = 64 << 20;

/// A buffer of one GPU. Dropped, it goes back to the device's pool, unless it is a caller's own.
#[derive(Debug)]
pub struct GpuBuffer {
    gpu: Arc<Gpu>,
    buffer: wgpu::Buffer,
    /// Size class in the pool; None for a caller's buffer.
    class: Option<u64>,
    /// The caller has taken the buffer; it does not go back to the pool.
    given_away: AtomicBool,
    /// The same for every tensor that lives in this buffer: what bind groups are kept by.
    id: u64,
}

impl GpuBuffer {
    /// A buffer that does not belong to the pool: a plan's own, or a caller's.
    pub(crate) fn outside_pool(gpu: &Arc<Gpu>, buffer: wgpu::Buffer) -> GpuBuffer {
        GpuBuffer { gpu: gpu.clone(), buffer, class: None, given_away: AtomicBool::new(false), id: new_id() }
    }

    /// The device that it belongs to.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The wgpu buffer: values in C order from offset 0; usage STORAGE | COPY_SRC | COPY_DST if the pool made it. May be
    /// longer than the tensor.
    pub fn wgpu_buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Takes the buffer away from the pool: it will not be reused.
    pub(crate) fn give_away(&self) -> wgpu::Buffer {
        self.given_away.store(true, Ordering::Relaxed);
        self.buffer.clone()
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        match self.class {
            Some(class) if self.given_away.load(Ordering::Relaxed) => self.gpu.pool.forget(class),
            Some(class) => self.gpu.pool.give(Pooled { buffer: self.buffer.clone(), id: self.id }, class),
            None => {}
        }
    }
}

impl DeviceBuffer for GpuBuffer {
    fn device_name(&self) -> String {
        self.gpu.name().to_string()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The buffer of a tensor on a GPU.
pub(crate) fn gpu_buffer(t: &Tensor) -> Option<&GpuBuffer> {
    t.device_buffer()?.as_any().downcast_ref()
}

impl Gpu {
    pub(super) fn alloc(self: &Arc<Self>, bytes: u64) -> Result<GpuBuffer> {
        let (Pooled { buffer, id }, class) = self.pool.take(&self.device, bytes, self.max_buffer)?;
        Ok(GpuBuffer { gpu: self.clone(), buffer, class: Some(class), given_away: AtomicBool::new(false), id })
    }

    /// A new tensor with undefined values.
    pub(super) fn tensor(self: &Arc<Self>, shape: Shape, dtype: DType) -> Result<Tensor> {
        let buffer = self.alloc(shape.len() as u64 * dtype.bytes())?;
        Ok(Tensor::from_device(shape, dtype, Arc::new(buffer)))
    }

    /// Writes bytes from the start of a buffer on.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, bytes: &[u8]) {
        for (k, part) in bytes.chunks(TRANSFER as usize).enumerate() {
            self.queue.write_buffer(buffer, k as u64 * TRANSFER, part);
            if bytes.len() as u64 > TRANSFER {
                // Each part in a submission of its own, so that staging memory is freed on the way.
                self.queue.submit([]);
            }
        }
    }

    /// Copies a host tensor here.
    pub(crate) fn upload(self: &Arc<Self>, t: &Tensor) -> Result<Tensor> {
        self.faults.check()?;
        let out = self.tensor(t.shape().clone(), t.dtype())?;
        let Some(buffer) = gpu_buffer(&out) else { return Err(Error::Device("a new tensor is not here".into())) };
        match t.host_array() {
            Some(HostArray::F32(a)) => self.write(&buffer.buffer, bytemuck::cast_slice(&in_order(a))),
            Some(HostArray::Complex32(a)) => self.write(&buffer.buffer, bytemuck::cast_slice(&in_order(a))),
            None => {
                return Err(Error::Device(format!(
                    "the tensor {} is on {}, expected the host",
                    t.shape(),
                    t.device_name()
                )));
            }
        }
        Ok(out)
    }

    /// Waits for a tensor and copies it to the host.
    pub(crate) fn download(self: &Arc<Self>, t: &Tensor) -> Result<Tensor> {
        let Some(buffer) = gpu_buffer(t) else {
            return Err(Error::Device(format!("the tensor {} is not on {}", t.shape(), self.name())));
        };
        let shape = t.shape().clone();
        let bytes = self.read(&buffer.buffer, shape.len() as u64 * t.dtype().bytes())?;
        let e = IxDyn(shape.extents());
        let bad = |e: ndarray::ShapeError| Error::Shape(e.to_string());
        let array = match t.dtype() {
            DType::F32 => {
                HostArray::F32(ArcArray::from_shape_vec(e, bytemuck::pod_collect_to_vec(&bytes)).map_err(bad)?)
            }
            DType::Complex32 => {
                HostArray::Complex32(ArcArray::from_shape_vec(e, bytemuck::pod_collect_to_vec(&bytes)).map_err(bad)?)
            }
        };
        Tensor::from_host(shape, array)
    }

    /// The first bytes of a buffer, after all work submitted before.
    pub(super) fn read(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>> {
        self.faults.check()?;
        copyable(buffer)?;
        let size = bytes.min(TRANSFER);
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("linops.readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(from_wgpu(e));
        }
        let mut out = Vec::with_capacity(bytes as usize);
        let mut at = 0;
        while at < bytes {
            let part = size.min(bytes - at);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, at, &staging, 0, part);
            let index = self.queue.submit([encoder.finish()]);
            let (done, mapped) = mpsc::channel();
            // The receiver may be gone after a timeout; then nobody needs the message.
            staging.map_async(wgpu::MapMode::Read, 0..part, move |r| drop(done.send(r)));
            self.wait_for(index)?;
            match mapped.recv() {
                Ok(Ok(())) => {}
                _ => {
                    return Err(self
                        .faults
                        .check()
                        .err()
                        .unwrap_or(Error::Device("a buffer could not be mapped".into())));
                }
            }
            let view = staging
                .get_mapped_range(0..part)
                .map_err(|e| Error::Device(format!("a buffer could not be read: {e}")))?;
            out.extend_from_slice(&view);
            drop(view);
            staging.unmap();
            at += part;
        }
        self.faults.check()?;
        Ok(out)
    }
}

/// A caller's buffer may have been made without the usage that copies need.
pub(super) fn copyable(buffer: &wgpu::Buffer) -> Result<()> {
    match buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
        true => Ok(()),
        false => {
            let has = buffer.usage();
            Err(Error::Device(format!(
                "a buffer with the usage {has:?} cannot be copied from; create it with COPY_SRC, too"
            )))
        }
    }
}

fn in_order<T: Copy>(a: &ArcArray<T, IxDyn>) -> std::borrow::Cow<'_, [T]> {
    match a.as_slice() {
        Some(s) => s.into(),
        None => a.iter().copied().collect::<Vec<T>>().into(),
    }
}
