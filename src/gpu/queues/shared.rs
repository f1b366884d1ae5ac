//! Buffers that all lanes see, and who used them last.

use super::lane::Ticket;
#[cfg(feature = "multi-queue")]
use super::reaper::Reaper;
use super::{Carrier, Lanes};
use crate::error::{Error, Result};
use crate::gpu::faults::checked;
use crate::gpu::ids::new_id;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Memory that every lane can bind. Cheap to clone; a clone is the same memory.
///
/// Do not call `wgpu::Buffer::destroy` on it: that frees the memory without asking the other lanes.
#[derive(Clone, Debug)]
pub struct SharedBuffer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: u64,
    lanes: u64,
    /// One per lane; a single one where all lanes are the same, or only one lane can use it.
    copies: Vec<wgpu::Buffer>,
    everywhere: bool,
    used: AtomicU64,
    last: Mutex<LastUse>,
    #[cfg(feature = "multi-queue")]
    reaper: Arc<Reaper>,
}

#[cfg(feature = "multi-queue")]
impl Drop for Shared {
    fn drop(&mut self) {
        self.copies.clear();
        self.reaper.reap();
    }
}

/// Who used a buffer last. Empty on rung 2, where nobody needs to know.
#[derive(Debug, Default)]
pub(super) struct LastUse {
    /// The last writer; those of parts of it, the last one of each lane.
    pub writers: Vec<Ticket>,
    /// Readers since; the last one of each lane.
    pub readers: Vec<Ticket>,
    /// Whose parts the writers have written, and what was there before the first of them: each of them comes behind that.
    parts: Option<(Together, Vec<Ticket>)>,
    /// The last write failed, so the values are undefined.
    pub failed: Option<Error>,
    /// Rung 3: the lanes whose copies are up to date. None before anything was written.
    pub current: Vec<usize>,
}

/// Which submissions write parts of a buffer side by side: no two of them the same element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// The apply.
    pub apply: u64,
    /// What of it.
    pub part: usize,
}

fn add(list: &mut Vec<Ticket>, by: &Ticket) {
    list.retain(|r| r.lane != by.lane);
    list.push(by.clone());
}

impl LastUse {
    pub fn read(&mut self, by: &Ticket) {
        add(&mut self.readers, by);
    }

    pub fn written(&mut self, by: &Ticket) {
        self.writers = vec![by.clone()];
        self.readers.clear();
        self.parts = None;
        self.failed = None;
        self.current = vec![by.lane];
    }

    /// Writers of parts begin here, if they have not; what was there is no more.
    pub fn begin(&mut self, together: Together) {
        if !self.of(together) {
            let before = self.last_writers().chain(&self.readers).cloned().collect();
            self.parts = Some((together, before));
            self.writers.clear();
            self.readers.clear();
            self.failed = None;
        }
    }

    pub fn part_written(&mut self, by: &Ticket, together: Together) {
        self.begin(together);
        add(&mut self.writers, by);
        self.current = vec![by.lane];
    }

    /// Those who wrote last: what anybody else comes behind. Where a part failed before any other was written, those before it.
    pub fn last_writers(&self) -> impl Iterator<Item = &Ticket> {
        let none = self.writers.is_empty();
        self.writers.iter().chain(self.before().filter(move |_| none))
    }

    /// What a writer of a part of it comes behind: not those of other parts.
    pub fn before_part(&self, together: Together) -> impl Iterator<Item = &Ticket> {
        let own = self.of(together);
        let (before, others) = (self.before().filter(move |_| own), self.last_writers().filter(move |_| !own));
        before.chain(others).chain(&self.readers)
    }

    fn before(&self) -> impl Iterator<Item = &Ticket> {
        self.parts.iter().flat_map(|(_, before)| before)
    }

    fn of(&self, together: Together) -> bool {
        self.parts.as_ref().is_some_and(|(t, _)| *t == together)
    }
}

impl SharedBuffer {
    fn new(lanes: &Lanes, copies: Vec<wgpu::Buffer>, everywhere: bool) -> SharedBuffer {
        let used = AtomicU64::new(copies[0].size());
        SharedBuffer(Arc::new(Shared {
            id: new_id(),
            lanes: lanes.0.id,
            copies,
            everywhere,
            used,
            last: Mutex::default(),
            #[cfg(feature = "multi-queue")]
            reaper: lanes.0.reaper.clone(),
        }))
    }

    /// The buffer as a lane binds it.
    pub fn on(&self, lane: usize) -> &wgpu::Buffer {
        &self.0.copies[lane % self.0.copies.len()]
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.on(0).size()
    }

    /// Usages.
    pub fn usage(&self) -> wgpu::BufferUsages {
        self.on(0).usage()
    }

    /// Whether all lanes can use it. A caller's own buffer is lane 0's alone.
    pub fn everywhere(&self) -> bool {
        self.0.everywhere
    }

    /// Says that only the first bytes carry values from now on, so that rung 3 moves no more than these.
    pub fn set_used(&self, bytes: u64) {
        self.0.used.store(bytes.min(self.size()), Ordering::Relaxed);
    }

    /// Says that nothing of it is needed any more: whether it has values, and which lane has them, is as if it were new. Work on it
    /// that is still queued is waited for as before.
    pub(in crate::gpu) fn renew(&self) {
        let mut last = self.last();
        last.failed = None;
        last.current.clear();
    }

    pub(super) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT).min(self.size())
    }

    /// The same for every handle to this memory, and for no other.
    pub(in crate::gpu) fn id(&self) -> u64 {
        self.0.id
    }

    pub(super) fn lanes(&self) -> u64 {
        self.0.lanes
    }

    pub(super) fn last(&self) -> MutexGuard<'_, LastUse> {
        self.0.last.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Lanes {
    /// Memory for all lanes, cleared; of at least so many bytes, rounded up to whole words of 4.
    ///
    /// # Errors
    /// No memory is left, or no buffer can be so large.
    pub fn alloc(&self, bytes: u64, usage: wgpu::BufferUsages) -> Result<SharedBuffer> {
        let size = bytes.max(4).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let limit = self.0.lanes.iter().map(|l| l.device.limits().max_buffer_size).min().unwrap_or(0);
        if size > limit {
            return Err(Error::TooBig { what: "a buffer on this device".into(), needed: size, limit });
        }
        self.reap();
        // Clearing and moving through the host are copies.
        let copied = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let usage = if self.tracked() { usage | copied } else { usage };
        let desc = wgpu::BufferDescriptor { label: Some("linops"), size, usage, mapped_at_creation: false };
        match &self.0.carrier {
            Carrier::OneQueue | Carrier::Devices => {
                let copies = self.0.lanes.iter().map(|l| create(&l.device, &desc)).collect::<Result<Vec<_>>>()?;
                Ok(SharedBuffer::new(self, copies, true))
            }
            #[cfg(feature = "multi-queue")]
            Carrier::Native(native) => {
                let copies = native.alloc(&self.0.lanes, &desc, &self.0.reaper)?;
                self.check()?;
                let buffer = SharedBuffer::new(self, copies, true);
                self.clear(&buffer)?;
                Ok(buffer)
            }
        }
    }

    /// A caller's buffer, made on lane 0's device.
    pub(in crate::gpu) fn foreign(&self, buffer: wgpu::Buffer) -> SharedBuffer {
        SharedBuffer::new(self, vec![buffer], !self.tracked())
    }

    /// Undefined memory may hold what another process left there.
    #[cfg(feature = "multi-queue")]
    fn clear(&self, buffer: &SharedBuffer) -> Result<()> {
        let commands = checked(self.device(0), || {
            let mut encoder = self.device(0).create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.clear_buffer(buffer.on(0), 0, None);
            encoder.finish()
        })?;
        self.submit(0, vec![commands], &[], &[buffer], &[]).map(drop)
    }
}

fn create(device: &wgpu::Device, desc: &wgpu::BufferDescriptor) -> Result<wgpu::Buffer> {
    checked(device, || device.create_buffer(desc)).map_err(|e| match e {
        Error::OutOfMemory(_) => out_of_memory(desc.size),
        other => other,
    })
}

pub(super) fn out_of_memory(bytes: u64) -> Error {
    Error::OutOfMemory(format!("the device has no {bytes} bytes left"))
}
