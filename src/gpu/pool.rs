//! Device memory: whole buffers by size class, kept for reuse.

use super::queues::{Lanes, SharedBuffer};
use crate::error::{Error, Result};
use crate::program::size_class;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

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
        let mut s = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let buffer = match s.free.get_mut(&class).and_then(Vec::pop) {
            Some(b) => {
                s.stats.idle -= class;
                b
            }
            None => match lanes.alloc(class, USAGE) {
                Ok(b) => b,
                Err(_) => {
                    // Give everything idle back, then try once more.
                    s.free.clear();
                    s.stats.idle = 0;
                    lanes.alloc(class, USAGE)?
                }
            },
        };
        s.stats.in_use += class;
        s.stats.peak = s.stats.peak.max(s.stats.in_use);
        Ok((buffer, class))
    }

    /// Takes a buffer back. Work on it that is still queued comes before whatever the next owner submits, on any lane: the
    /// buffer remembers who used it last.
    pub fn give(&self, buffer: SharedBuffer, class: u64) {
        let mut s = self.state.lock().unwrap_or_else(|e| e.into_inner());
        s.stats.in_use -= class;
        s.stats.idle += class;
        s.free.entry(class).or_default().push(buffer);
        // At most as much idle as was ever in use, and a little.
        while s.stats.idle > s.stats.peak + (64 << 20) {
            let Some(class) = s.free.iter().rev().find(|(_, b)| !b.is_empty()).map(|(c, _)| *c) else { return };
            s.free.entry(class).or_default().pop();
            s.stats.idle -= class;
        }
    }

    /// A buffer that the caller has taken.
    pub fn forget(&self, class: u64) {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).stats.in_use -= class;
    }

    pub fn stats(&self) -> PoolStats {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).stats
    }
}
