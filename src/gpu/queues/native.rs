//! What a native API gives to rung 1: memory that all lanes see, and signals between their queues.

use super::lane::Lane;
use super::reaper::Reaper;
use crate::error::Result;
use std::fmt::Debug;
use std::sync::Arc;

/// Several wgpu devices around one native device, and what orders them.
pub(super) struct Opened {
    pub devices: Vec<(wgpu::Device, wgpu::Queue)>,
    pub native: Box<dyn Native>,
}

/// Every method about a lane is called inside its critical section.
pub(super) trait Native: Debug + Send + Sync {
    /// One wgpu buffer per lane over the same memory, with undefined values.
    fn alloc(&self, lanes: &[Lane], desc: &wgpu::BufferDescriptor, reaper: &Arc<Reaper>) -> Result<Vec<wgpu::Buffer>>;

    /// The next submission of a lane waits for these (lane, value) and signals its own value when it is done.
    fn stage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)], value: u64) -> Result<()>;

    /// After a submission: takes back what it has not taken, and says whether its signal was left.
    fn unstage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)]) -> bool;

    /// Signals a value that no submission will, once the lane has done everything before it.
    fn release(&self, lane: usize, value: u64);

    /// Whether command buffers have to be finished inside the critical section for the device to wait for what was staged.
    fn finishes_under_lock(&self) -> bool {
        false
    }

    /// Whether several queues may write different parts of a buffer at the same time.
    fn writes_together(&self) -> bool {
        true
    }
}
