//! Memory of large values on the host that are gone, for the next ones.
//!
//! A system gives memory of this size in pages of zeros, at the first touch of each: a copy of 128 MiB into new memory takes some
//! five times as long as into memory that was used before. So what a loop drops at one turn serves the next, if it is of the same
//! size. It is the values that come back, not only room: who takes them writes them all.

use bytemuck::Pod;
use bytemuck::allocation::try_cast_vec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes from which on memory is kept: what is smaller, allocators keep themselves.
pub(crate) const LARGE: usize = 1 << 20;

/// Memory for which nothing was found in so many turns is given back.
const TURNS: u64 = 64;

/// Memory that nobody uses.
struct Spare {
    values: Vec<f32>,
    /// The turn at which it came back.
    since: u64,
}

/// The oldest in front.
#[derive(Default)]
struct State {
    spares: VecDeque<Spare>,
    /// Of all of them.
    bytes: u64,
    /// Values that were asked for or came back so far.
    turn: u64,
}

impl State {
    /// Takes one out.
    fn out(&mut self, at: usize) -> Option<Spare> {
        let spare = self.spares.remove(at)?;
        self.bytes -= bytes(&spare.values);
        KEPT.fetch_sub(bytes(&spare.values), Ordering::Relaxed);
        Some(spare)
    }

    /// Takes those out that have been there for too long.
    fn old(&mut self) -> Vec<Spare> {
        let mut gone = Vec::new();
        while self.spares.front().is_some_and(|s| self.turn - s.since > TURNS) {
            gone.extend(self.out(0));
        }
        gone
    }
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);
static KEPT: LazyLock<Arc<AtomicU64>> = LazyLock::new(Arc::default);
static MOST: OnceLock<fn() -> u64> = OnceLock::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that the host keeps, for whatever: spare memory counts among them.
pub(crate) fn kept() -> Arc<AtomicU64> {
    KEPT.clone()
}

/// Lets memory be kept while all that the host keeps is no more than this tells.
pub(crate) fn keep_while(most: fn() -> u64) {
    MOST.get_or_init(|| most);
}

fn bytes<T>(values: &Vec<T>) -> u64 {
    (values.capacity() * size_of::<T>()) as u64
}

/// `n` values of any kind, from memory that was used before; none where there is no such.
pub(super) fn take<T: Pod>(n: usize) -> Option<Vec<T>> {
    let wanted = (n * size_of::<T>()) as u64;
    if wanted < LARGE as u64 || align_of::<T>() != align_of::<f32>() {
        return None;
    }
    let (found, _old) = {
        let mut state = state();
        state.turn += 1;
        // The latest of equals: caches may hold it, and what is not needed grows old.
        let at = state.spares.iter().rposition(|s| bytes(&s.values) == wanted);
        (at.and_then(|at| state.out(at)), state.old())
    };
    let mut values = found?.values;
    values.resize(n * size_of::<T>() / size_of::<f32>(), 0.0);
    try_cast_vec(values).ok()
}

/// The memory of values that are gone.
pub(crate) fn give<T: Pod>(values: Vec<T>) {
    let own = bytes(&values);
    let (Some(most), true) = (MOST.get(), own >= LARGE as u64) else { return };
    let Ok(values) = try_cast_vec::<T, f32>(values) else { return };
    let most = most();
    // Dropped when the lock is let go of.
    let mut gone = Vec::new();
    let mut state = state();
    state.turn += 1;
    gone.extend(state.old());
    let others = KEPT.load(Ordering::Relaxed).saturating_sub(state.bytes);
    if others.saturating_add(own) > most {
        drop(state);
        return;
    }
    while others.saturating_add(state.bytes).saturating_add(own) > most {
        gone.extend(state.out(0));
    }
    KEPT.fetch_add(own, Ordering::Relaxed);
    state.bytes += own;
    let since = state.turn;
    state.spares.push_back(Spare { values, since });
    drop(state);
}

/// Gives the oldest back to the system; whether there was one.
pub fn give_up() -> bool {
    let oldest = state().out(0);
    oldest.is_some()
}
