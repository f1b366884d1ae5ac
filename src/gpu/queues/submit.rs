//! Submitting: waits derived from what is read and written, staged and submitted as one.

use super::lane::{Lane, PATIENCE, Refused, Ticket};
use super::shared::{LastUse, SharedBuffer};
use super::{Carrier, Lanes};
use crate::error::{Error, Result};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// A buffer of a submission, its state locked.
pub(super) struct Used<'a> {
    pub buffer: &'a SharedBuffer,
    pub last: MutexGuard<'a, LastUse>,
    pub read: bool,
    pub written: bool,
}

impl Lanes {
    /// Submits command buffers on a lane, after all earlier submissions, of any lane, that wrote what this one reads or used
    /// what it writes, and after the tickets in `after`. Does not wait itself (on rung 3 it waits for what it reads, which comes
    /// through the host).
    ///
    /// The command buffers were finished by whoever recorded them, on any thread. A buffer that is written only in part, or
    /// added to, is in `reads` too; one that is in `writes` alone is undefined where it is not written. On one queue (rung 2) the
    /// order of submission is all the order there is, and neither list is looked at.
    ///
    /// # Errors
    /// What the device reports of this submission; what it would have written is then marked as failed. What is read was to be
    /// written by a submission that failed. The device is lost. A buffer or ticket is of other lanes, or a buffer cannot be used on this lane.
    pub fn submit(
        &self,
        lane: usize,
        commands: Vec<wgpu::CommandBuffer>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
        after: &[Ticket],
    ) -> Result<Ticket> {
        // Metal lets the device wait only for what is finished after the last submission. For other command buffers the host
        // waits: slower, but right.
        let early = self.finishes_under_lock() && !commands.is_empty();
        self.submit_by(lane, early, |_| Ok(commands), reads, writes, after)
    }

    /// [`submit`](Lanes::submit) with command buffers that are finished inside the lane's critical section: what
    /// [`finishes_under_lock`](Lanes::finishes_under_lock) asks for. The closure must not come back to these lanes, be it by
    /// reading, writing or allocating.
    ///
    /// # Errors
    /// As `submit`, and those of the closure, after which nothing is submitted.
    pub fn submit_with(
        &self,
        lane: usize,
        record: impl FnOnce(&wgpu::Device) -> Result<Vec<wgpu::CommandBuffer>>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
        after: &[Ticket],
    ) -> Result<Ticket> {
        self.submit_by(lane, false, |lane| record(&lane.device), reads, writes, after)
    }

    /// Submits a command buffer that is recorded here and now, on one queue (rung 2), where nothing has to be declared: errors of
    /// recording and submitting are looked for once.
    ///
    /// # Errors
    /// What the device reports of either, or it is lost.
    pub(in crate::gpu) fn submit_recorded(
        &self,
        lane: usize,
        record: impl FnOnce(&wgpu::Device) -> wgpu::CommandBuffer,
    ) -> Result<()> {
        debug_assert!(!self.tracked(), "lanes that are ordered are told what is read and written");
        let lane = self.lane(lane);
        let index = lane.submit_recorded(|| [record(&lane.device)]).map_err(|r| r.error)?;
        match self.0.throttled {
            true => lane.throttle(index),
            false => Ok(()),
        }
    }

    /// Whether command buffers are best finished by [`submit_with`](Lanes::submit_with): true for several queues on Metal.
    pub fn finishes_under_lock(&self) -> bool {
        match &self.0.carrier {
            #[cfg(feature = "multi-queue")]
            Carrier::Native(n) => n.finishes_under_lock(),
            _ => false,
        }
    }

    pub(super) fn submit_by(
        &self,
        lane: usize,
        host_waits: bool,
        record: impl FnOnce(&Lane) -> Result<Vec<wgpu::CommandBuffer>>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
        after: &[Ticket],
    ) -> Result<Ticket> {
        let at = lane % self.count();
        let lane = self.lane(at);
        let (value, index) = if self.tracked() {
            self.reap();
            self.ordered(at, host_waits, record, reads, writes, after)?
        } else {
            (0, lane.submit(record(lane)?).map_err(|r| r.error)?)
        };
        if self.0.throttled {
            lane.throttle(index.clone())?;
        }
        Ok(Ticket { lanes: self.0.id, lane: at, value, index })
    }

    fn ordered(
        &self,
        at: usize,
        host_waits: bool,
        record: impl FnOnce(&Lane) -> Result<Vec<wgpu::CommandBuffer>>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
        after: &[Ticket],
    ) -> Result<(u64, wgpu::SubmissionIndex)> {
        let lane = self.lane(at);
        after.iter().try_for_each(|t| self.own(t))?;
        let mut used = self.used(at, reads, writes)?;
        let by_host = host_waits || matches!(self.0.carrier, Carrier::Devices);
        let waits = if by_host {
            // Copies of a buffer on unrelated devices do not get in each other's way.
            let shared = if host_waits { depends(at, &used, &[]) } else { Vec::new() };
            for t in depends(at, &[], after).iter().chain(&shared) {
                self.lane(t.lane).wait_for(t.index.clone(), PATIENCE)?;
            }
            Vec::new()
        } else {
            depends(at, &used, after).iter().map(|t| (t.lane, t.value)).collect()
        };
        if matches!(self.0.carrier, Carrier::Devices) {
            used.iter_mut().filter(|u| u.read).try_for_each(|u| self.bring(at, u))?;
        }

        let fail = |used: &mut [Used], e: &Error| {
            used.iter_mut().filter(|u| u.written).for_each(|u| u.last.failed = Some(e.clone()));
        };
        let mut last = lane.lock().inspect_err(|e| fail(&mut used, e))?;
        let commands = record(lane)?;
        let value = *last + 1;
        let submitted = match self.stage(at, &waits, value) {
            Ok(()) => lane.submit(commands),
            // What is staged in part cannot be told from what is staged whole.
            Err(e) => Err(Refused { error: lane.close(e), unmade: true }),
        };
        let signal_left = self.unstage(at, &waits);
        let index = match submitted {
            Ok(index) if !signal_left => index,
            other => {
                let missed = || Error::Device("the device refused a submission".into());
                let (e, unmade) = other.map_or_else(|r| (r.error, r.unmade), |_| (missed(), true));
                // An error may be of the submission that was made all the same; then it signals itself. Otherwise its number
                // is signalled from here, and the next submission has the next one.
                if signal_left || unmade {
                    self.release(at, value);
                }
                *last = value;
                fail(&mut used, &e);
                return Err(e);
            }
        };
        *last = value;
        lane.waits.fetch_add(waits.len() as u64, Ordering::Relaxed);
        let ticket = Ticket { lanes: self.0.id, lane: at, value, index: index.clone() };
        for u in &mut used {
            match u.written {
                true => u.last.written(&ticket),
                false => u.last.read(&ticket),
            }
        }
        Ok((value, index))
    }

    /// The buffers of a submission, each once, locked in the order of their numbers.
    fn used<'a>(&self, at: usize, reads: &[&'a SharedBuffer], writes: &[&'a SharedBuffer]) -> Result<Vec<Used<'a>>> {
        let all = reads.iter().map(|&b| (b, true)).chain(writes.iter().map(|&b| (b, false)));
        let mut all: Vec<(&SharedBuffer, bool)> = all.collect();
        all.sort_by_key(|(b, _)| b.id());
        let mut used: Vec<Used> = Vec::with_capacity(all.len());
        for (buffer, read) in all {
            if buffer.lanes() != self.0.id {
                return Err(Error::Device("a buffer of other lanes; allocate it with these".into()));
            }
            if at != 0 && !buffer.everywhere() {
                return Err(Error::Device(format!(
                    "a caller's buffer is lane 0's alone, it was to be used on lane {at}"
                )));
            }
            match used.last_mut() {
                Some(u) if u.buffer.id() == buffer.id() => {
                    u.read |= read;
                    u.written |= !read;
                }
                _ => used.push(Used { buffer, last: buffer.last(), read, written: !read }),
            }
        }
        match used.iter().find_map(|u| u.last.failed.as_ref().filter(|_| u.read)) {
            Some(e) => Err(e.clone().at("a buffer that is read has no values")),
            None => Ok(used),
        }
    }

    pub(super) fn own(&self, t: &Ticket) -> Result<()> {
        match t.lanes == self.0.id {
            true => Ok(()),
            false => Err(Error::Device("a ticket of other lanes cannot be waited for".into())),
        }
    }

    fn stage(&self, at: usize, waits: &[(usize, u64)], value: u64) -> Result<()> {
        match &self.0.carrier {
            #[cfg(feature = "multi-queue")]
            Carrier::Native(n) => n.stage(&self.0.lanes, at, waits, value),
            _ => {
                let _ = (at, waits, value);
                Ok(())
            }
        }
    }

    /// Whether the signal was left behind.
    fn unstage(&self, at: usize, waits: &[(usize, u64)]) -> bool {
        match &self.0.carrier {
            #[cfg(feature = "multi-queue")]
            Carrier::Native(n) => n.unstage(&self.0.lanes, at, waits),
            _ => {
                let _ = (at, waits);
                false
            }
        }
    }

    fn release(&self, at: usize, value: u64) {
        match &self.0.carrier {
            #[cfg(feature = "multi-queue")]
            Carrier::Native(n) => n.release(at, value),
            _ => {
                let _ = (at, value);
            }
        }
    }
}

/// The last submission of each other lane that has to be done first.
fn depends(at: usize, used: &[Used], after: &[Ticket]) -> Vec<Ticket> {
    let mut last: Vec<Ticket> = Vec::new();
    let mut add = |t: &Ticket| match last.iter_mut().find(|l| l.lane == t.lane) {
        _ if t.lane == at => {}
        Some(l) if l.value >= t.value => {}
        Some(l) => *l = t.clone(),
        None => last.push(t.clone()),
    };
    for u in used {
        u.last.writer.iter().for_each(&mut add);
        if u.written {
            u.last.readers.iter().for_each(&mut add);
        }
    }
    after.iter().for_each(&mut add);
    last
}
