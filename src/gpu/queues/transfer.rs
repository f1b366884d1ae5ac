//! From the host to a shared buffer and back, in the lanes' order.

use super::Lanes;
use super::lane::{Lane, PATIENCE};
use super::shared::SharedBuffer;
use super::submit::Uses;
use crate::allocate::zeroed;
use crate::error::{Error, Result, value_err};
use crate::gpu::faults::checked;
use std::sync::mpsc;

/// Bytes that one transfer moves: staging memory stays small beside the tensors.
pub(super) const TRANSFER: u64 = 64 << 20;

impl Lanes {
    /// Writes bytes into a buffer, after everything submitted before that uses it. Offset and length are multiples of 4.
    ///
    /// # Errors
    /// The bytes do not fit, or a lane has failed.
    pub fn write(&self, buffer: &SharedBuffer, offset: u64, bytes: &[u8]) -> Result<()> {
        let len = bytes.len() as u64;
        let align = wgpu::COPY_BUFFER_ALIGNMENT;
        if !offset.is_multiple_of(align) || !len.is_multiple_of(align) || offset.saturating_add(len) > buffer.size() {
            let size = buffer.size();
            return value_err!("{len} bytes at {offset} of a buffer of {size}; expected multiples of 4 that fit in it");
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.tracked() {
            return self.put(0, buffer.on(0), offset, bytes);
        }
        // A lane that has the values already; they are kept where nothing is written.
        let at = buffer.last().current.first().copied().unwrap_or(0);
        let reads = if len == buffer.size() { Vec::new() } else { vec![buffer] };
        let uses = Uses { reads, writes: vec![buffer], parts: Vec::new() };
        for (k, part) in bytes.chunks(TRANSFER as usize).enumerate() {
            let record = |lane: &Lane| {
                checked(&lane.device, || {
                    lane.queue.write_buffer(buffer.on(at), offset + k as u64 * TRANSFER, part);
                })?;
                Ok(Vec::new())
            };
            self.submit_by(at, self.finishes_under_lock(), record, &uses, &[])?;
        }
        Ok(())
    }

    /// The first `n` values of a buffer, after everything submitted before that writes it. Waits.
    ///
    /// # Errors
    /// The buffer is shorter or lacks the usage COPY_SRC, its writer has failed, the device does not answer, or the host has
    /// no memory for them.
    pub fn read<T: bytemuck::Pod>(&self, buffer: &SharedBuffer, n: usize) -> Result<Vec<T>> {
        let bytes = (n as u64).saturating_mul(size_of::<T>() as u64);
        if bytes > buffer.size() {
            return value_err!("{bytes} bytes of a buffer of {}", buffer.size());
        }
        if !buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
            let has = buffer.usage();
            return Err(Error::Device(format!(
                "a buffer with the usage {has:?} cannot be copied from; create it with COPY_SRC, too"
            )));
        }
        if !self.tracked() {
            return self.get(0, buffer.on(0), n);
        }
        loop {
            // On the writer's lane nothing has to be waited for, and the held state keeps later writers away until it is read.
            let last = buffer.last();
            if let Some(e) = &last.failed {
                return Err(e.clone().at("a buffer that is read has no values"));
            }
            let at = last.current.first().copied().unwrap_or(0);
            if last.writers.iter().all(|w| w.lane == at) {
                return self.get(at, buffer.on(at), n);
            }
            drop(last);
            // Several lanes have written parts of it: one comes behind them all.
            self.submit(at, Vec::new(), &[buffer], &[buffer], &[])?;
        }
    }

    /// Writes on one lane, outside of the lanes' order.
    pub(super) fn put(&self, at: usize, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        let lane = self.lane(at);
        for (k, part) in bytes.chunks(TRANSFER as usize).enumerate() {
            let _section = self.section(lane)?;
            checked(&lane.device, || lane.queue.write_buffer(buffer, offset + k as u64 * TRANSFER, part))?;
            if bytes.len() as u64 > TRANSFER {
                // Each part in a submission of its own, so that staging memory is freed on the way.
                lane.submit(Vec::new()).map_err(|r| r.error)?;
            }
        }
        Ok(())
    }

    /// Reads on one lane, outside of the lanes' order.
    pub(super) fn get<T: bytemuck::Pod>(&self, at: usize, buffer: &wgpu::Buffer, n: usize) -> Result<Vec<T>> {
        let mut values = zeroed(n)?;
        self.fill(self.lane(at), buffer, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    fn fill(&self, lane: &Lane, buffer: &wgpu::Buffer, out: &mut [u8]) -> Result<()> {
        lane.health.check()?;
        if out.is_empty() {
            return Ok(());
        }
        let bytes = out.len() as u64;
        let size = bytes.next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT).min(TRANSFER);
        let desc = wgpu::BufferDescriptor {
            label: Some("linops.readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let staging = checked(&lane.device, || lane.device.create_buffer(&desc))?;
        for (k, part) in out.chunks_mut(size as usize).enumerate() {
            self.part(lane, buffer, k as u64 * size, &staging, part)?;
        }
        lane.health.check()
    }

    fn part(
        &self,
        lane: &Lane,
        buffer: &wgpu::Buffer,
        from: u64,
        staging: &wgpu::Buffer,
        out: &mut [u8],
    ) -> Result<()> {
        let copied = (out.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let commands = checked(&lane.device, || {
            let mut encoder = lane.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, from, staging, 0, copied);
            encoder.finish()
        })?;
        let (done, mapped) = mpsc::channel();
        let index = {
            let _section = self.section(lane)?;
            let index = lane.submit(vec![commands]).map_err(|r| r.error)?;
            // Mapping may submit, so it belongs into the critical section. The receiver may be gone after a timeout; then nobody
            // needs the message.
            checked(&lane.device, || staging.map_async(wgpu::MapMode::Read, 0..copied, move |r| drop(done.send(r))))?;
            index
        };
        lane.wait_for(index, PATIENCE)?;
        match mapped.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            _ => {
                let fault = lane.health.check().err();
                return Err(fault.unwrap_or(Error::Device("a buffer could not be mapped".into())));
            }
        }
        let view = staging
            .get_mapped_range(0..copied)
            .map_err(|e| Error::Device(format!("a buffer could not be read: {e}")))?;
        out.copy_from_slice(&view[..out.len()]);
        drop(view);
        staging.unmap();
        Ok(())
    }
}
