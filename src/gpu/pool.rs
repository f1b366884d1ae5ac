//! Device memory: whole buffers by size class, kept for reuse.

use super::queues::{Lanes, SharedBuffer};
use crate::error::{Error, Result};
use crate::plan::size_class;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Accounting of a device's memory, in bytes of size classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Held by tensors, constants and scratch.
    pub in_use: u64,
    /// Most that was ever in use at once.
    pub peak: u64,
    /// Free, kept for reuse.
    pub idle: u64,
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

/// A number that no other buffer has.
pub(super) fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[derive(Debug, Default)]
struct State {
    free: BTreeMap<u64, Vec<SharedBuffer>>,
    stats: PoolStats,
}

/// What tensors, constants and scratch may be used for.
const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

impl Pool {
    /// A buffer of at least `bytes`, and its size class.
    pub fn take(&self, lanes: &Lanes, bytes: u64, max_buffer: u64) -> Result<(SharedBuffer, u64)> {
        if bytes > max_buffer {
            return Err(Error::TooBig { what: "a tensor on this device".into(), needed: bytes, limit: max_buffer });
        }
        let class = size_class(bytes).min(max_buffer / 4 * 4);
        let free = {
            let mut s = self.state();
            let free = s.free.get_mut(&class).and_then(Vec::pop);
            if free.is_some() {
                s.stats.idle -= class;
            }
            free
        };
        // Not locked here: allocating may submit, and other threads give buffers back while they submit.
        let buffer = match free.map_or_else(|| lanes.alloc(class, USAGE), Ok) {
            Ok(b) => b,
            Err(_) => {
                // Give everything idle back, then try once more.
                let idle = {
                    let mut s = self.state();
                    s.stats.idle = 0;
                    std::mem::take(&mut s.free)
                };
                drop(idle);
                lanes.alloc(class, USAGE)?
            }
        };
        let mut s = self.state();
        s.stats.in_use += class;
        s.stats.peak = s.stats.peak.max(s.stats.in_use);
        Ok((buffer, class))
    }

    /// Takes a buffer back. Work on it that is still queued comes before whatever the next owner submits, on any lane: the
    /// buffer remembers who used it last.
    pub fn give(&self, buffer: SharedBuffer, class: u64) {
        let mut dropped = Vec::new();
        let mut s = self.state();
        s.stats.in_use -= class;
        s.stats.idle += class;
        s.free.entry(class).or_default().push(buffer);
        // At most as much idle as was ever in use, and a little.
        while s.stats.idle > s.stats.peak + (64 << 20) {
            let Some(class) = s.free.iter().rev().find(|(_, b)| !b.is_empty()).map(|(c, _)| *c) else { break };
            dropped.extend(s.free.entry(class).or_default().pop());
            s.stats.idle -= class;
        }
        drop(s);
        drop(dropped);
    }

    /// A buffer that the caller has taken.
    pub fn forget(&self, class: u64) {
        self.state().stats.in_use -= class;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn stats(&self) -> PoolStats {
        self.state().stats
    }
}
