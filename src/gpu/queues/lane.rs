//! One lane: a wgpu device and queue, the lock that its submissions are made under, and how far it has come.

use crate::error::{Error, Result};
use crate::gpu::faults::{Health, reported};
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
/// fn later(index: wgpu::SubmissionIndex) -> linops::internal::queues::Ticket {
///     linops::internal::queues::Ticket { lanes: 1, lane: 0, value: 7, index }
/// }
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
    pub health: Health,
    pub submits: AtomicU64,
    pub commands: AtomicU64,
    pub waits: AtomicU64,
    index: usize,
    /// Held while submitting; number of the last submission that has a ticket.
    last: Mutex<u64>,
    closed: OnceLock<Error>,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
}

/// A submission that failed.
pub(super) struct Refused {
    pub error: Error,
    /// It did not reach the queue.
    pub unmade: bool,
}

impl Lane {
    pub fn new(index: usize, device: wgpu::Device, queue: wgpu::Queue, health: Health) -> Lane {
        Lane {
            device,
            queue,
            health,
            submits: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            index,
            last: Mutex::default(),
            closed: OnceLock::new(),
            in_flight: Mutex::default(),
        }
    }

    /// The critical section of the lane.
    ///
    /// # Errors
    /// The lane takes no more work.
    pub fn lock(&self) -> Result<MutexGuard<'_, u64>> {
        let last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        self.open().map(|()| last)
    }

    /// # Errors
    /// The device is lost, or the lane takes no more work.
    pub fn open(&self) -> Result<()> {
        self.health.check()?;
        self.closed.get().map_or(Ok(()), |e| Err(e.clone()))
    }

    /// Submits; on lanes that are ordered, inside the critical section.
    ///
    /// # Errors
    /// What the device reports of this submission. The next one may be made all the same, unless the device is lost.
    pub fn submit(&self, commands: Vec<wgpu::CommandBuffer>) -> Result<wgpu::SubmissionIndex, Refused> {
        self.submit_recorded(|| commands)
    }

    /// [`submit`](Lane::submit) of what is recorded here and now, whose errors are those of the submission.
    ///
    /// # Errors
    /// As `submit`.
    pub fn submit_recorded<C>(&self, record: impl FnOnce() -> C) -> Result<wgpu::SubmissionIndex, Refused>
    where
        C: IntoIterator<Item = wgpu::CommandBuffer>,
    {
        self.open().map_err(|error| Refused { error, unmade: true })?;
        let counted = |_: &wgpu::CommandBuffer| {
            self.commands.fetch_add(1, Ordering::Relaxed);
        };
        let (index, error) = reported(&self.device, || self.queue.submit(record().into_iter().inspect(counted)));
        self.submits.fetch_add(1, Ordering::Relaxed);
        let Some(error) = self.health.check().err().or(error) else { return Ok(index) };
        // wgpu numbers a submission that failed all the same, but refuses to wait for it.
        let poll = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(Duration::ZERO) };
        let unmade = matches!(self.poll(poll), Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))));
        Err(Refused { error, unmade })
    }

    /// Takes no more work. This is the error that everybody gets from now on.
    pub fn close(&self, e: Error) -> Error {
        self.closed.get_or_init(|| e.at(format!("lane {} takes no more work", self.index))).clone()
    }

    /// Holds the caller back while too much is in flight. Outside of any lock. A wait costs some µs even where there is nothing to
    /// wait for, so half of what may be in flight is waited for at once.
    pub fn throttle(&self, index: wgpu::SubmissionIndex) -> Result<()> {
        let half = {
            let mut q = self.in_flight.lock().unwrap_or_else(|e| e.into_inner());
            q.push_back(index);
            (q.len() > IN_FLIGHT).then(|| q.drain(..IN_FLIGHT / 2).next_back()).flatten()
        };
        half.map_or(Ok(()), |index| self.wait_for(index, PATIENCE))
    }

    pub fn wait_for(&self, index: wgpu::SubmissionIndex, timeout: Duration) -> Result<()> {
        match self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(timeout) })? {
            Ok(_) => Ok(()),
            Err(e) => Err(match self.health.check() {
                Err(fault) => fault,
                Ok(()) if matches!(e, wgpu::PollError::Timeout) => Error::Timeout { seconds: timeout.as_secs() },
                Ok(()) => Error::Device(format!("waiting for the device failed: {e}")),
            }),
        }
    }

    /// wgpu panics, with nothing locked, where a device is lost while it is waited for.
    fn poll(&self, poll: wgpu::PollType) -> Result<Result<wgpu::PollStatus, wgpu::PollError>> {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.device.poll(poll)));
        polled.map_err(|_| self.health.lose("while it was waited for"))
    }
}
