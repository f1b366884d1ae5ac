//! Tensors' values on a GPU, and their way there and back.

use super::Gpu;
use super::queues::SharedBuffer;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::tensor::{DType, DeviceBuffer, HostArray, Tensor};
use ndarray::{ArcArray, IxDyn};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A buffer of one GPU. Dropped, it goes back to the device's pool, unless it is a caller's own.
#[derive(Debug)]
pub struct GpuBuffer {
    gpu: Arc<Gpu>,
    buffer: SharedBuffer,
    /// Size class in the pool; None for a caller's buffer.
    class: Option<u64>,
    /// The caller has taken the buffer; it does not go back to the pool.
    given_away: AtomicBool,
}

impl GpuBuffer {
    /// A caller's buffer, made on the device of lane 0.
    pub(crate) fn callers(gpu: &Arc<Gpu>, buffer: wgpu::Buffer) -> GpuBuffer {
        GpuBuffer::outside_pool(gpu, gpu.lanes.foreign(buffer))
    }

    /// A buffer that does not belong to the pool.
    pub(super) fn outside_pool(gpu: &Arc<Gpu>, buffer: SharedBuffer) -> GpuBuffer {
        GpuBuffer { gpu: gpu.clone(), buffer, class: None, given_away: AtomicBool::new(false) }
    }

    /// The device that it belongs to.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The wgpu buffer: values in C order from offset 0; usage STORAGE | COPY_SRC | COPY_DST if the pool made it. May be
    /// longer than the tensor.
    pub fn wgpu_buffer(&self) -> &wgpu::Buffer {
        self.buffer.on(0)
    }

    /// The buffer as all lanes see it.
    pub fn shared(&self) -> &SharedBuffer {
        &self.buffer
    }

    /// Takes the buffer away from the pool: it will not be reused.
    pub(crate) fn give_away(&self) -> wgpu::Buffer {
        self.given_away.store(true, Ordering::Relaxed);
        self.hand_out();
        self.wgpu_buffer().clone()
    }

    /// A caller uses the buffer on lane 0's queue without telling: what other lanes have to do with it comes first.
    pub(crate) fn hand_out(&self) {
        if self.gpu.lanes.tracked() {
            // What fails here is kept as a fault of the device, which the caller meets at the next call.
            let _ = self.gpu.submit(0, Vec::new(), &[&self.buffer], &[&self.buffer]);
        }
    }

    /// The same for every tensor that lives in this buffer: what bind groups are kept by.
    pub(super) fn id(&self) -> u64 {
        self.buffer.id()
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        match self.class {
            Some(class) if self.given_away.load(Ordering::Relaxed) => self.gpu.pool.forget(class),
            Some(class) => self.gpu.pool.give(self.buffer.clone(), class),
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
        let (buffer, class) = self.pool.take(&self.lanes, bytes, self.max_buffer)?;
        buffer.set_used(bytes);
        Ok(GpuBuffer { gpu: self.clone(), buffer, class: Some(class), given_away: AtomicBool::new(false) })
    }

    /// A new tensor with undefined values.
    pub(super) fn tensor(self: &Arc<Self>, shape: Shape, dtype: DType) -> Result<Tensor> {
        let buffer = self.alloc(shape.len() as u64 * dtype.bytes())?;
        Ok(Tensor::from_device(shape, dtype, Arc::new(buffer)))
    }

    /// Writes bytes from the start of a buffer on.
    pub(super) fn write(&self, buffer: &GpuBuffer, bytes: &[u8]) -> Result<()> {
        self.write_at(buffer, 0, bytes)
    }

    /// Writes bytes from byte `at` of a buffer on.
    pub(super) fn write_at(&self, buffer: &GpuBuffer, at: u64, bytes: &[u8]) -> Result<()> {
        self.lanes.write(&buffer.buffer, at, bytes)
    }

    /// Copies a host tensor here.
    pub(crate) fn upload(self: &Arc<Self>, t: &Tensor) -> Result<Tensor> {
        self.check()?;
        let out = self.tensor(t.shape().clone(), t.dtype())?;
        let Some(buffer) = gpu_buffer(&out) else { return Err(Error::Device("a new tensor is not here".into())) };
        match t.host_array() {
            Some(HostArray::F32(a)) => self.write(buffer, bytemuck::cast_slice(&in_order(a)))?,
            Some(HostArray::Complex32(a)) => self.write(buffer, bytemuck::cast_slice(&in_order(a)))?,
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
        let bytes = self.read(buffer, shape.len() as u64 * t.dtype().bytes())?;
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
    pub(super) fn read(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Vec<u8>> {
        self.check()?;
        self.lanes.read(&buffer.buffer, bytes)
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
