//! One lane: a wgpu device and queue, the lock that its submissions are made under, and how far it has come.

use crate::error::{Error, Result};
use crate::gpu::faults::Faults;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// Submissions in flight at most: enough to keep a GPU busy, few enough to keep its driver and memory calm.
const IN_FLIGHT: usize = 48;

/// How long a wait may take before it is an error, where the caller names no limit.
pub(in crate::gpu) const PATIENCE: Duration = Duration::from_secs(300);

/// A submission that was made. It can be waited for, by the host or by another submission. There is no other way to get one
/// than to submit, so nothing can be made to wait for what is not on its way:
///
/// ```compile_fail
/// let later = linops::gpu::queues::Ticket { lanes: 1, lane: 0, value: 7, index: todo!() };
/// ```
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Of the lanes that it belongs to.
    pub(super) lanes: u64,
    pub(super) lane: usize,
    /// Number of the submission on its lane; on rung 1 the value of the lane's semaphore once it is done.
    pub(super) value: u64,
    pub(super) index: wgpu::SubmissionIndex,
}

impl Ticket {
    /// The lane that it was submitted on.
    pub fn lane(&self) -> usize {
        self.lane
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub faults: Faults,
    pub submits: AtomicU64,
    pub waits: AtomicU64,
    index: usize,
    /// Held while submitting; number of the last submission that has a ticket.
    last: Mutex<u64>,
    poisoned: OnceLock<Error>,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
}

/// A submission that failed.
pub(super) struct Refused {
    pub error: Error,
    /// It did not reach the queue.
    pub unmade: bool,
}

impl Lane {
    pub fn new(index: usize, device: wgpu::Device, queue: wgpu::Queue, faults: Faults) -> Lane {
        Lane {
            device,
            queue,
            faults,
            submits: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            index,
            last: Mutex::default(),
            poisoned: OnceLock::new(),
            in_flight: Mutex::default(),
        }
    }

    /// The critical section of the lane.
    ///
    /// # Errors
    /// An earlier submission has failed.
    pub fn lock(&self) -> Result<MutexGuard<'_, u64>> {
        let last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        self.healthy().map(|()| last)
    }

    pub fn healthy(&self) -> Result<()> {
        self.poisoned.get().map_or(Ok(()), |e| Err(e.clone()))
    }

    /// Submits; on lanes that are ordered, inside the critical section.
    ///
    /// # Errors
    /// The lane's device has reported a fault; the lane takes no more work.
    pub fn submit(&self, commands: Vec<wgpu::CommandBuffer>) -> Result<wgpu::SubmissionIndex, Refused> {
        let index = self.queue.submit(commands);
        self.submits.fetch_add(1, Ordering::Relaxed);
        let Err(e) = self.faults.check() else { return Ok(index) };
        // wgpu numbers a submission that failed all the same, but refuses to wait for it.
        let poll = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(Duration::ZERO) };
        let unmade = matches!(self.poll(poll), Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))));
        Err(Refused { error: self.poison(e), unmade })
    }

    /// The error that everybody gets from now on.
    pub fn poison(&self, e: Error) -> Error {
        self.poisoned.get_or_init(|| e.at(format!("lane {} takes no more work", self.index))).clone()
    }

    /// Holds the caller back while too much is in flight. Outside of any lock.
    pub fn throttle(&self, index: wgpu::SubmissionIndex) -> Result<()> {
        let oldest = {
            let mut q = self.in_flight.lock().unwrap_or_else(|e| e.into_inner());
            q.push_back(index);
            (q.len() > IN_FLIGHT).then(|| q.pop_front()).flatten()
        };
        oldest.map_or(Ok(()), |index| self.wait_for(index, PATIENCE))
    }

    pub fn wait_for(&self, index: wgpu::SubmissionIndex, timeout: Duration) -> Result<()> {
        match self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(timeout) })? {
            Ok(_) => Ok(()),
            Err(e) => Err(match self.faults.check() {
                Err(fault) => fault,
                Ok(()) if matches!(e, wgpu::PollError::Timeout) => Error::Timeout { seconds: timeout.as_secs() },
                Ok(()) => Error::Device(format!("waiting for the device failed: {e}")),
            }),
        }
    }

    /// wgpu panics, with nothing locked, where a device is lost while it is waited for.
    fn poll(&self, poll: wgpu::PollType) -> Result<Result<wgpu::PollStatus, wgpu::PollError>> {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.device.poll(poll)));
        polled.map_err(|_| {
            let lost = Error::DeviceLost("while it was waited for".into());
            self.faults.check().err().unwrap_or(lost)
        })
    }
}
