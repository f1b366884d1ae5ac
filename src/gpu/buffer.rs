//! Blocks of device memory, tensors' values in them, and their way there and back.

use super::Gpu;
use super::core::Core;
use super::queues::SharedBuffer;
use crate::allocate::collected;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::tensor::{DType, DeviceBuffer, HostArray, Sealed, Tensor};
use ndarray::{ArcArray, IxDyn};
use num_complex::Complex32;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory of a device. Dropped, it goes back to the pool, unless it is a caller's own.
#[derive(Debug)]
pub(super) struct Block {
    core: Arc<Core>,
    buffer: SharedBuffer,
    /// Size class in the pool; None for memory that is not the pool's.
    class: Option<u64>,
    /// The caller has taken the buffer; it does not go back to the pool.
    given_away: AtomicBool,
}

impl Block {
    fn new(core: &Arc<Core>, buffer: SharedBuffer, class: Option<u64>) -> Block {
        Block { core: core.clone(), buffer, class, given_away: AtomicBool::new(false) }
    }

    /// The buffer as all lanes see it.
    pub fn shared(&self) -> &SharedBuffer {
        &self.buffer
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut dropped = Vec::new();
        match self.class {
            Some(class) if self.given_away.load(Ordering::Relaxed) => {
                self.core.pool.forget(class);
                dropped.push(self.buffer.clone());
            }
            Some(class) => self.core.pool.give(self.buffer.clone(), class, &mut dropped),
            None => dropped.push(self.buffer.clone()),
        }
        self.core.unbind(dropped);
    }
}

impl Core {
    /// Memory from the pool, with undefined values.
    pub fn alloc(self: &Arc<Self>, bytes: u64) -> Result<Block> {
        let mut dropped = Vec::new();
        let taken = match self.pool.take(&self.lanes, bytes, &mut dropped) {
            Err(Error::OutOfMemory(_)) => {
                // Everything idle goes back to the driver, which has it once the work on it is done; then once more.
                dropped.extend(self.pool.clear());
                self.unbind(std::mem::take(&mut dropped));
                self.wait()?;
                self.pool.take(&self.lanes, bytes, &mut dropped)
            }
            other => other,
        };
        self.unbind(dropped);
        let (buffer, class) = taken?;
        if self.lanes.tracked() {
            buffer.renew();
        }
        buffer.set_used(bytes);
        Ok(Block::new(self, buffer, Some(class)))
    }

    /// Memory for uniforms, which the pool does not have.
    pub fn uniforms(self: &Arc<Self>, words: &[u32]) -> Result<Block> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let block = Block::new(self, self.lanes.alloc(4 * words.len() as u64, usage)?, None);
        self.write(&block, 0, bytemuck::cast_slice(words))?;
        Ok(block)
    }

    /// A caller's buffer, made on the device of lane 0. Equal handles give the same block, as long as it lives.
    pub fn callers(self: &Arc<Self>, buffer: wgpu::Buffer) -> Arc<Block> {
        // The hash says which buffer it is without keeping it.
        let key = BuildHasherDefault::<DefaultHasher>::new().hash_one(&buffer);
        if let Some(block) = self.callers.get(&key).filter(|b| *b.buffer.on(0) == buffer) {
            return block;
        }
        let block = Arc::new(Block::new(self, self.lanes.foreign(buffer.clone()), None));
        let there = self.callers.put(key, block.clone());
        if *there.buffer.on(0) == buffer { there } else { block }
    }

    /// Drops buffers with the bind groups that would keep them.
    fn unbind(&self, dropped: Vec<SharedBuffer>) {
        if !dropped.is_empty() {
            let ids: Vec<u64> = dropped.iter().map(SharedBuffer::id).collect();
            self.groups.forget_buffers(&ids);
        }
    }

    /// Gives all idle memory back to the driver.
    pub fn trim(&self) {
        self.unbind(self.pool.clear());
    }

    /// Writes bytes from byte `at` of a block on.
    pub fn write(&self, block: &Block, at: u64, bytes: &[u8]) -> Result<()> {
        self.lanes.write(&block.buffer, at, bytes)
    }

    /// The first `n` values of a block, after all work submitted before.
    pub fn read<T: bytemuck::Pod>(&self, block: &Block, n: usize) -> Result<Vec<T>> {
        self.lanes.read(&block.buffer, n)
    }
}

/// A tensor's values on a GPU.
pub struct GpuBuffer {
    // The block first: its end may be the end of the device.
    block: Arc<Block>,
    gpu: Arc<Gpu>,
}

/// Size and device.
impl fmt::Debug for GpuBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpuBuffer({} bytes on {})", self.block.bytes(), self.gpu.name())
    }
}

impl GpuBuffer {
    pub(super) fn new(gpu: &Arc<Gpu>, block: Arc<Block>) -> GpuBuffer {
        GpuBuffer { block, gpu: gpu.clone() }
    }

    /// A caller's buffer, made on the device of lane 0.
    pub(crate) fn callers(gpu: &Arc<Gpu>, buffer: wgpu::Buffer) -> GpuBuffer {
        GpuBuffer::new(gpu, gpu.core.callers(buffer))
    }

    /// The device that it belongs to.
    pub(crate) fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The wgpu buffer: values in C order from offset 0; usage STORAGE | COPY_SRC | COPY_DST if the pool made it. May be
    /// longer than the tensor.
    pub fn wgpu_buffer(&self) -> &wgpu::Buffer {
        self.shared().on(0)
    }

    /// The buffer as all lanes see it.
    #[doc(hidden)]
    pub fn shared(&self) -> &SharedBuffer {
        self.block.shared()
    }

    pub(super) fn block(&self) -> &Block {
        &self.block
    }

    /// Takes the buffer away from the pool: it will not be reused.
    pub(crate) fn give_away(&self) -> Result<wgpu::Buffer> {
        self.hand_out()?;
        self.block.given_away.store(true, Ordering::Relaxed);
        Ok(self.wgpu_buffer().clone())
    }

    /// A caller uses the buffer on lane 0's queue without telling: what other lanes have to do with it comes first.
    pub(crate) fn hand_out(&self) -> Result<()> {
        match self.gpu.core.lanes.tracked() {
            true => self.gpu.core.submit(0, Vec::new(), &[self.shared()], &[self.shared()]),
            false => Ok(()),
        }
    }

    /// The same for every tensor that lives in this buffer: what bind groups are kept by.
    pub(super) fn id(&self) -> u64 {
        self.shared().id()
    }
}

impl Sealed for GpuBuffer {}

impl DeviceBuffer for GpuBuffer {
    fn device_name(&self) -> String {
        self.gpu.name().to_string()
    }

    fn bytes(&self) -> u64 {
        self.shared().size()
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
    /// Memory for a tensor. Where there is none left, what is kept for plans makes room.
    pub(super) fn alloc(self: &Arc<Self>, bytes: u64) -> Result<GpuBuffer> {
        let block = match self.core.alloc(bytes) {
            Err(Error::OutOfMemory(_)) => {
                self.plans.clear();
                self.core.alloc(bytes)?
            }
            other => other?,
        };
        Ok(GpuBuffer::new(self, Arc::new(block)))
    }

    /// A new tensor with undefined values.
    pub(crate) fn tensor(self: &Arc<Self>, shape: Shape, dtype: DType) -> Result<Tensor> {
        let buffer = self.alloc(shape.len() as u64 * dtype.bytes())?;
        Tensor::from_device(shape, dtype, Arc::new(buffer))
    }

    /// Copies a host tensor here.
    pub(crate) fn upload(self: &Arc<Self>, t: &Tensor) -> Result<Tensor> {
        self.check()?;
        let out = self.tensor(t.shape().clone(), t.dtype())?;
        let Some(buffer) = gpu_buffer(&out) else { return Err(Error::Device("a new tensor is not here".into())) };
        let write = |bytes: &[u8]| self.core.write(buffer.block(), 0, bytes);
        match t.host_array() {
            Some(HostArray::F32(a)) => write(bytemuck::cast_slice(&in_order(a)?))?,
            Some(HostArray::Complex32(a)) => write(bytemuck::cast_slice(&in_order(a)?))?,
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
        self.check()?;
        let shape = t.shape().clone();
        let n = shape.len();
        match t.dtype() {
            DType::F32 => Tensor::of_values(shape, self.core.read::<f32>(buffer.block(), n)?),
            DType::Complex32 => Tensor::of_values(shape, self.core.read::<Complex32>(buffer.block(), n)?),
        }
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

fn in_order<T: Copy>(a: &ArcArray<T, IxDyn>) -> Result<Cow<'_, [T]>> {
    match a.as_slice() {
        Some(s) => Ok(s.into()),
        None => collected(a.iter().copied(), a.len()).map(Cow::Owned),
    }
}
