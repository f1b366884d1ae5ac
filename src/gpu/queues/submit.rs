//! Submitting: waits derived from what is read and written, staged and submitted as one.

use super::lane::{Lane, PATIENCE, Refused, Ticket};
use super::shared::{LastUse, SharedBuffer, Together};
use super::{Carrier, Lanes};
use crate::error::{Error, Result};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// The buffers of a submission.
#[derive(Clone, Debug, Default)]
pub struct Uses<'a> {
    /// What it reads.
    pub reads: Vec<&'a SharedBuffer>,
    /// What it writes.
    pub writes: Vec<&'a SharedBuffer>,
    /// What it writes parts of, with those who write the others. Nothing of it is kept but these parts.
    pub parts: Vec<(&'a SharedBuffer, Together)>,
}

/// A buffer of a submission, its state locked.
pub(super) struct Used<'a> {
    pub buffer: &'a SharedBuffer,
    pub last: MutexGuard<'a, LastUse>,
    pub read: bool,
    pub written: bool,
    pub part: Option<Together>,
}

impl Used<'_> {
    fn is_changed(&self) -> bool {
        self.written || self.part.is_some()
    }

    fn note(&mut self, by: &Ticket) {
        match self.part {
            _ if self.written => self.last.written(by),
            Some(together) => self.last.part_written(by, together),
            None => self.last.read(by),
        }
    }

    fn fail(&mut self, e: &Error) {
        self.part.filter(|_| !self.written).into_iter().for_each(|together| self.last.begin(together));
        self.last.failed = Some(e.clone());
    }
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
        let uses = Uses { reads: reads.to_vec(), writes: writes.to_vec(), parts: Vec::new() };
        self.submit_using(lane, commands, &uses, after)
    }

    /// [`submit`](Lanes::submit) of what may write parts of buffers beside others: it does not wait for these, and who reads or
    /// writes such a buffer afterwards waits for all of them. Where lanes have copies of a buffer, or may not write one at the same
    /// time ([`shares`](Lanes::shares) is false), they write one after the other.
    ///
    /// # Errors
    /// As `submit`.
    pub fn submit_using(
        &self,
        lane: usize,
        commands: Vec<wgpu::CommandBuffer>,
        uses: &Uses,
        after: &[Ticket],
    ) -> Result<Ticket> {
        // Metal lets the device wait only for what is finished after the last submission. For other command buffers the host
        // waits: slower, but right.
        let early = self.finishes_under_lock() && !commands.is_empty();
        self.submit_by(lane, early, |_| Ok(commands), uses, after)
    }

    /// [`submit_using`](Lanes::submit_using) with command buffers that are finished inside the lane's critical section: what
    /// [`finishes_under_lock`](Lanes::finishes_under_lock) asks for. The closure must not come back to these lanes, be it by
    /// reading, writing or allocating.
    ///
    /// # Errors
    /// As `submit`, and those of the closure, after which nothing is submitted.
    pub fn submit_with(
        &self,
        lane: usize,
        record: impl FnOnce(&wgpu::Device) -> Result<Vec<wgpu::CommandBuffer>>,
        uses: &Uses,
    ) -> Result<Ticket> {
        self.submit_by(lane, false, |lane| record(&lane.device), uses, &[])
    }

    /// Whether all lanes write the same memory, and may write different parts of it at the same time.
    pub fn shares(&self) -> bool {
        match &self.0.carrier {
            Carrier::OneQueue => true,
            #[cfg(feature = "multi-queue")]
            Carrier::Native(n) => n.writes_together(),
            Carrier::Devices => false,
        }
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
        uses: &Uses,
        after: &[Ticket],
    ) -> Result<Ticket> {
        let at = lane % self.count();
        let lane = self.lane(at);
        let (value, index) = if self.tracked() {
            self.reap();
            self.ordered(at, host_waits, record, uses, after)?
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
        uses: &Uses,
        after: &[Ticket],
    ) -> Result<(u64, wgpu::SubmissionIndex)> {
        let lane = self.lane(at);
        after.iter().try_for_each(|t| self.own(t))?;
        let mut used = self.used(at, uses)?;
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
            used.iter_mut().filter(|u| u.is_changed()).for_each(|u| u.fail(e));
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
        used.iter_mut().for_each(|u| u.note(&ticket));
        Ok((value, index))
    }

    /// The buffers of a submission, each once, locked in the order of their numbers.
    fn used<'a>(&self, at: usize, uses: &Uses<'a>) -> Result<Vec<Used<'a>>> {
        let mut all: Vec<(&SharedBuffer, bool, Option<Together>)> = Vec::new();
        all.extend(uses.reads.iter().map(|&b| (b, true, None)));
        all.extend(uses.writes.iter().map(|&b| (b, false, None)));
        match self.shares() {
            true => all.extend(uses.parts.iter().map(|&(b, together)| (b, false, Some(together)))),
            // Another lane's copy has the other parts, or they are not written at the same time.
            false => all.extend(uses.parts.iter().flat_map(|&(b, _)| [(b, true, None), (b, false, None)])),
        }
        all.sort_by_key(|(b, ..)| b.id());
        let mut used: Vec<Used> = Vec::with_capacity(all.len());
        for (buffer, read, part) in all {
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
                    u.written |= !read && part.is_none();
                    u.part = u.part.or(part);
                }
                _ => used.push(Used { buffer, last: buffer.last(), read, written: !read && part.is_none(), part }),
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
        match u.part {
            Some(together) if !u.read && !u.written => u.last.before_part(together).for_each(&mut add),
            _ => {
                u.last.last_writers().for_each(&mut add);
                if u.is_changed() {
                    u.last.readers.iter().for_each(&mut add);
                }
            }
        }
    }
    after.iter().for_each(&mut add);
    last
}
