//! Bind groups that bind a call's input and output, kept while both buffers are there: a loop over the same tensors binds once.

use lru::LruCache;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bind groups that are kept, at most; those of the latest call are always.
const KEPT: usize = 8192;

/// The bind groups of a plan's dispatches; None for those that bind nothing of the call.
pub(super) type CallGroups = Vec<Option<wgpu::BindGroup>>;

/// Whose bind groups: an instance's, for an input and an output, all by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub instance: u64,
    pub input: u64,
    pub output: u64,
}

/// All of a device. A bind group keeps its buffers alive, so they go as soon as one of the buffers does.
#[derive(Debug)]
pub(super) struct Groups {
    state: Mutex<State>,
    /// Bind groups made for plans so far.
    made: AtomicU64,
}

#[derive(Debug)]
struct State {
    by_call: LruCache<Call, Arc<CallGroups>>,
    count: usize,
}

impl Default for Groups {
    fn default() -> Groups {
        let state = Mutex::new(State { by_call: LruCache::unbounded(), count: 0 });
        Groups { state, made: AtomicU64::new(0) }
    }
}

impl Groups {
    /// One was made.
    pub fn count(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub fn get(&self, call: &Call) -> Option<Arc<CallGroups>> {
        self.state().by_call.get(call).cloned()
    }

    pub fn put(&self, call: Call, groups: Arc<CallGroups>) {
        let mut given_up = Vec::new();
        let mut state = self.state();
        state.count += groups.len();
        given_up.extend(state.by_call.push(call, groups).map(|(_, old)| old));
        while state.count - given_up.iter().map(|g| g.len()).sum::<usize>() > KEPT && state.by_call.len() > 1 {
            given_up.extend(state.by_call.pop_lru().map(|(_, old)| old));
        }
        state.count -= given_up.iter().map(|g| g.len()).sum::<usize>();
        // Dropped with nothing locked.
        drop(state);
        drop(given_up);
    }

    /// These buffers are gone, or on their way.
    pub fn forget_buffers(&self, ids: &[u64]) {
        self.forget(|call| ids.contains(&call.input) || ids.contains(&call.output));
    }

    /// This instance is gone.
    pub fn forget_instance(&self, instance: u64) {
        self.forget(|call| call.instance == instance);
    }

    fn forget(&self, gone: impl Fn(&Call) -> bool) {
        let mut state = self.state();
        let calls: Vec<Call> = state.by_call.iter().map(|(call, _)| *call).filter(gone).collect();
        let given_up: Vec<Arc<CallGroups>> = calls.iter().filter_map(|call| state.by_call.pop(call)).collect();
        state.count -= given_up.iter().map(|g| g.len()).sum::<usize>();
        drop(state);
        drop(given_up);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
