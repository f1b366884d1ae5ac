//! Several queues under one roof: lanes that record and submit independently, memory that all of them see, and the order
//! between them.
//!
//! One API over a ladder of three rungs, chosen when the lanes are opened and told by [`Lanes::report`]:
//! 1. [`Rung::HardwareQueues`] (feature `multi-queue`, asked for by [`LaneOptions::queues`] or `LINOPS_QUEUES`, or measured to be
//!    faster): N queues of one GPU. On Vulkan one native device with N wgpu devices around it, buffers imported into all of them, one timeline semaphore
//!    per lane; on Metal and DX12 N wgpu devices over the one native device, with shared events or fences.
//! 2. [`Rung::OneQueue`]: one wgpu device and queue. All lanes are the same one; the order of submission is the order of work.
//! 3. [`Rung::Devices`]: unrelated devices. A buffer has a copy per lane, brought up to date through the host when a lane reads.
//!
//! A submission declares the buffers it reads and writes. From the last writer of each buffer and its readers since follow the
//! submissions of other lanes that it has to wait for (read after write, write after read, write after write); the caller cannot
//! forget one. Submissions that write [parts](Uses::parts) of a buffer [together](Together) wait for what was there before and not
//! for each other; whoever comes next waits for all of them. The wait is the device's, not the host's, except on rung 3. A [`Ticket`] exists only once its submission is made,
//! so a consumer cannot be submitted before its producer, and no rung can deadlock.
//!
//! # Invariants
//! All unsafe code about queues is in this room and leans on these:
//! - **One lane, one queue index.** No two wgpu devices are built on one `VkQueue`, which is externally synchronised.
//! - **Every submission of a lane is made under its lock**, and so is every call that may submit in secret (mapping, flushes):
//!   semaphores staged for the next submission would go with whichever comes first. The queue of a lane is therefore not handed
//!   out by this room; staging and submitting are one critical section.
//! - **Buffers first, then the lane.** A submission locks the state of its buffers in the order of their numbers, then its lane,
//!   and holds both until it is made: two submissions that share a buffer agree on who came first.
//! - **Who writes together writes apart.** Submissions of several lanes that name the same [`Together`] for a buffer store different
//!   elements of it and read none: the sub-linops of a container, each of which owns its part of the result. On DX12, where that
//!   has not been run, and on rung 3 they write one after the other.
//! - **No shared buffer is made by wgpu's `create_buffer`.** wgpu clears what it believes uninitialised at a lane's first use,
//!   after another lane has written. Shared memory is allocated through hal and cleared here, once, before anybody sees it.
//! - **One owner.** Lane 0 owns the `VkBuffer`; the other lanes hold aliases that destroy nothing. Every alias keeps the owner
//!   alive; wgpu drops an alias once that lane's submissions are done. The owner is then put on a list and dropped outside of
//!   wgpu's callbacks (see `reaper`). Shared buffers are never destroyed explicitly.
//! - **The native device outlives its lanes.** Every lane's wgpu device holds it through its drop callback, which runs last; the
//!   last one destroys the semaphores and then the device, once, while the instance is still alive.
//! - **A failed submission leaves nothing to wait for.** What was staged is taken back or signalled from the host, what it would
//!   have written is marked as failed, and everything that reads that gets the error. The lane goes on; only the loss of its
//!   device is for good.

mod bounce;
#[cfg(all(feature = "multi-queue", windows))]
mod dx12;
mod exit;
mod lane;
#[cfg(all(feature = "multi-queue", target_vendor = "apple"))]
mod metal;
#[cfg(feature = "multi-queue")]
mod native;
mod open;
#[cfg(feature = "multi-queue")]
mod reaper;
mod report;
mod shared;
mod submit;
mod transfer;
#[cfg(all(feature = "multi-queue", not(target_vendor = "apple")))]
mod vulkan;

pub(in crate::gpu) use lane::PATIENCE;
pub use lane::Ticket;
pub use open::{LaneOptions, MeasuredQueues};
pub use report::{LaneCounts, LanesReport, QueueFamily, QueuesReport, Rung};
pub use shared::{SharedBuffer, Together};
pub use submit::Uses;

pub(super) use report::outlook;

use crate::error::Result;
use lane::Lane;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// Lanes over the queues of one GPU, or over several devices. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lanes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lanes: Vec<Lane>,
    carrier: Carrier,
    report: LanesReport,
    #[cfg(feature = "multi-queue")]
    reaper: Arc<reaper::Reaper>,
    /// Tells the tickets and buffers of these lanes from those of others.
    id: u64,
    /// A caller's queue is never waited for outside of an explicit wait, but for the end of the process.
    throttled: bool,
}

/// A lane's queue. While this lives nothing else is submitted on the lane, so that what is submitted through it neither takes
/// along nor leaves behind what orders the lanes. Calling the lanes on the same thread meanwhile would wait for ever.
#[derive(Debug)]
pub struct LaneQueue<'a> {
    queue: &'a wgpu::Queue,
    _section: Option<MutexGuard<'a, u64>>,
}

impl std::ops::Deref for LaneQueue<'_> {
    type Target = wgpu::Queue;

    fn deref(&self) -> &wgpu::Queue {
        self.queue
    }
}

/// What orders the lanes and makes their buffers.
#[derive(Debug)]
enum Carrier {
    /// One queue: the order of submission.
    OneQueue,
    /// Several queues of one native device: its semaphores.
    #[cfg(feature = "multi-queue")]
    Native(Box<dyn native::Native>),
    /// Several devices: the host.
    Devices,
}

#[cfg(feature = "multi-queue")]
impl Drop for Inner {
    fn drop(&mut self) {
        // A lane's queue waits for its work when it is dropped, and lets go of what the work used.
        self.lanes.clear();
        self.reaper.reap();
    }
}

impl Lanes {
    /// How many lanes there are: queues on rung 1, one on rung 2, devices on rung 3.
    pub fn count(&self) -> usize {
        self.0.lanes.len()
    }

    /// The wgpu device of a lane. Lanes are counted modulo [`count`](Lanes::count), so that work planned for more lanes runs on
    /// fewer.
    pub fn device(&self, lane: usize) -> &wgpu::Device {
        &self.lane(lane).device
    }

    /// The rung, why it is that one, and the queues.
    pub fn report(&self) -> &LanesReport {
        &self.0.report
    }

    /// Submissions made, command buffers in them, and waits for other lanes staged, so far on a lane.
    pub fn counts(&self, lane: usize) -> LaneCounts {
        let lane = self.lane(lane);
        let [submits, commands, waits] =
            [&lane.submits, &lane.commands, &lane.waits].map(|count| count.load(Ordering::Relaxed));
        LaneCounts { submits, commands, waits }
    }

    /// Whether all lanes take work.
    ///
    /// # Errors
    /// A device was lost.
    pub fn check(&self) -> Result<()> {
        self.0.lanes.iter().try_for_each(|l| l.open())
    }

    /// Waits until a submission is done.
    ///
    /// # Errors
    /// It is not done within `timeout`, the lane's device was lost, or the ticket is of other lanes.
    pub fn wait(&self, ticket: &Ticket, timeout: Duration) -> Result<()> {
        self.own(ticket)?;
        let lane = self.lane(ticket.lane);
        lane.wait_for(ticket.index.clone(), timeout)?;
        lane.open()
    }

    /// Waits until everything submitted so far, writes included, is done on all lanes.
    ///
    /// # Errors
    /// One of the lanes is not done within `timeout`, or its device is lost; the others are waited for all the same.
    pub fn wait_all(&self, timeout: Duration) -> Result<()> {
        let waits = self.0.lanes.iter().map(|lane| {
            let index = {
                let _section = self.section(lane)?;
                lane.submit(Vec::new()).map_err(|r| r.error)?
            };
            lane.wait_for(index, timeout)
        });
        let all: Vec<Result<()>> = waits.collect();
        self.reap();
        all.into_iter().collect::<Result<()>>()?;
        self.check()
    }

    /// Whether submissions on different lanes need each other's order: not on rung 2.
    pub(super) fn tracked(&self) -> bool {
        !matches!(self.0.carrier, Carrier::OneQueue)
    }

    /// The queue of a lane for a user's own submissions, in the lane's critical section.
    ///
    /// # Errors
    /// The lane takes no more work.
    pub fn queue(&self, lane: usize) -> Result<LaneQueue<'_>> {
        let lane = self.lane(lane);
        Ok(LaneQueue { queue: &lane.queue, _section: self.section(lane)? })
    }

    /// The critical section of a lane. On one queue there is none: nothing is staged, wgpu orders submissions itself, and what a
    /// caller's callbacks do inside of a submission is theirs.
    fn section<'a>(&self, lane: &'a Lane) -> Result<Option<MutexGuard<'a, u64>>> {
        match self.tracked() {
            true => lane.lock().map(Some),
            false => lane.open().map(|()| None),
        }
    }

    fn lane(&self, lane: usize) -> &Lane {
        &self.0.lanes[lane % self.0.lanes.len()]
    }

    /// Drops buffers that wgpu has let go of.
    fn reap(&self) {
        #[cfg(feature = "multi-queue")]
        self.0.reaper.reap();
    }
}
