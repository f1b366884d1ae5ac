//! Device memory: whole buffers by size class, kept for reuse.

use super::queues::{Lanes, SharedBuffer};
use crate::error::{Error, Result};
use crate::plan::size_class;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Accounting of a device's memory, in bytes of size classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Held by tensors, constants and scratch.
    pub in_use: u64,
    /// Most that was ever in use at once.
    pub peak: u64,
    /// Free, kept for reuse.
    pub idle: u64,
    /// Buffers made so far; a loop in which this grows takes memory from the driver at every turn.
    pub made: u64,
}

/// Buffers taken between two looks at what was not needed meanwhile.
const EPOCH: u64 = 512;

/// Idle bytes beyond the most that was ever in use.
const SPARE: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Pool {
    /// The largest buffer.
    max_buffer: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: BTreeMap<u64, Class>,
    stats: PoolStats,
    /// Buffers taken in this epoch.
    taken: u64,
}

/// The free buffers of a size class.
#[derive(Debug, Default)]
struct Class {
    buffers: Vec<SharedBuffer>,
    /// So many were free all the time in this epoch.
    unneeded: usize,
}

/// What tensors, constants and scratch may be used for.
const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

impl Pool {
    pub fn new(max_buffer: u64) -> Pool {
        Pool { max_buffer, state: Mutex::default() }
    }

    /// A buffer of at least `bytes`, and its size class. The buffers in `dropped` go, and what binds them should.
    pub fn take(&self, lanes: &Lanes, bytes: u64, dropped: &mut Vec<SharedBuffer>) -> Result<(SharedBuffer, u64)> {
        let limit = self.max_buffer;
        if bytes > limit {
            return Err(Error::TooBig { what: "a tensor on this device".into(), needed: bytes, limit });
        }
        let class = size_class(bytes).min(limit / 4 * 4);
        let free = {
            let mut s = self.state();
            s.taken += 1;
            if s.taken > EPOCH {
                s.next_epoch(dropped);
            }
            s.pop(class)
        };
        // Not locked here: allocating may submit, and other threads give buffers back while they submit.
        let made = free.is_none();
        let buffer = free.map_or_else(|| lanes.alloc(class, USAGE), Ok)?;
        let mut s = self.state();
        s.stats.made += u64::from(made);
        s.stats.in_use += class;
        s.stats.peak = s.stats.peak.max(s.stats.in_use);
        Ok((buffer, class))
    }

    /// Takes a buffer back. Work on it that is still queued comes before whatever the next owner submits, on any lane: the
    /// buffer remembers who used it last. What is too much goes to `dropped`.
    pub fn give(&self, buffer: SharedBuffer, class: u64, dropped: &mut Vec<SharedBuffer>) {
        let mut s = self.state();
        s.stats.in_use -= class;
        s.stats.idle += class;
        s.free.entry(class).or_default().buffers.push(buffer);
        while s.stats.idle > s.stats.peak + SPARE {
            let Some(class) = s.free.iter().rev().find(|(_, c)| !c.buffers.is_empty()).map(|(c, _)| *c) else { break };
            dropped.extend(s.pop(class));
        }
    }

    /// All that is idle.
    pub fn clear(&self) -> Vec<SharedBuffer> {
        let mut s = self.state();
        s.stats.idle = 0;
        std::mem::take(&mut s.free).into_values().flat_map(|c| c.buffers).collect()
    }

    /// A buffer that the caller has taken.
    pub fn forget(&self, class: u64) {
        self.state().stats.in_use -= class;
    }

    pub fn stats(&self) -> PoolStats {
        self.state().stats
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pop(&mut self, class: u64) -> Option<SharedBuffer> {
        let free = self.free.get_mut(&class)?;
        let buffer = free.buffers.pop()?;
        free.unneeded = free.unneeded.min(free.buffers.len());
        self.stats.idle -= class;
        Some(buffer)
    }

    /// Gives up what was free all the time.
    fn next_epoch(&mut self, dropped: &mut Vec<SharedBuffer>) {
        self.taken = 0;
        for (class, free) in &mut self.free {
            self.stats.idle -= class * free.unneeded as u64;
            dropped.extend(free.buffers.drain(..free.unneeded));
            free.unneeded = free.buffers.len();
        }
        self.free.retain(|_, free| !free.buffers.is_empty());
    }
}
