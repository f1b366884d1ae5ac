//! What a GPU's buffers, plans and tensors stand on: lanes, memory, pipelines. It knows nothing of what is kept for plans, so
//! that what is kept may hold it without keeping the device alive.

use super::groups::Groups;
use super::pipelines::{Pipeline, Pipelines};
use super::pool::Pool;
use super::queues::{Lanes, SharedBuffer, Uses};
use super::records::Records;
use crate::error::Result;
use crate::kept::Shared;
use crate::shader::GpuLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Core {
    /// The device of lane 0. First: the compiler looks into wgpu's types where it meets them, and deeper it gives up.
    pub device: wgpu::Device,
    pub name: String,
    pub limits: GpuLimits,
    pub groups: Groups,
    pub records: Records,
    /// Callers' buffers that tensors are around, by [`key`](super::buffer) of the buffer.
    pub callers: Shared<u64, super::buffer::Block>,
    pub pool: Pool,
    /// One set for each lane.
    pub pipelines: Arc<[Pipelines]>,
    pub lanes: Lanes,
    /// Recorded so far, but by measurements.
    pub dispatches: AtomicU64,
}

/// What records on one lane: everything but shared buffers belongs to it alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct GpuLane<'a> {
    pub device: &'a wgpu::Device,
    pipelines: &'a Pipelines,
}

impl GpuLane<'_> {
    /// The pipeline of a kernel, which may be a user's own.
    pub fn pipeline(&self, name: &str, text: &str, own: bool) -> Result<Arc<Pipeline>> {
        self.pipelines.get(self.device, name, text, own)
    }
}

impl Core {
    /// So many were recorded.
    pub fn dispatched(&self, dispatches: usize) {
        self.dispatches.fetch_add(dispatches as u64, Ordering::Relaxed);
    }

    pub fn lane(&self, lane: usize) -> GpuLane<'_> {
        GpuLane { device: self.lanes.device(lane), pipelines: &self.pipelines[lane % self.pipelines.len()] }
    }

    /// Submits on a lane what reads and writes these buffers, and holds the caller back while too much is in flight.
    pub fn submit(
        &self,
        lane: usize,
        commands: Vec<wgpu::CommandBuffer>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
    ) -> Result<()> {
        self.lanes.submit(lane, commands, reads, writes, &[]).map(drop)
    }

    /// [`submit`](Core::submit) of what may write parts of buffers, beside others.
    pub fn submit_using(&self, lane: usize, commands: Vec<wgpu::CommandBuffer>, uses: &Uses) -> Result<()> {
        self.lanes.submit_using(lane, commands, uses, &[]).map(drop)
    }

    /// Waits for everything submitted so far.
    pub fn wait(&self) -> Result<()> {
        self.lanes.wait_all(super::queues::PATIENCE)
    }
}
