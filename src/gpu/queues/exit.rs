//! The end of the process: no device works any more when drivers take down their state.
//!
//! Drivers do so in exit handlers of their own. A program that ends while a device works, or while another thread is about to
//! submit, would have the driver's threads run over what is gone, which ends in a fault after everything was done right. So a
//! handler is registered whenever lanes are opened, behind their driver's: the last registered runs first. It lets no lane take
//! more work, keeps what was compiled, and waits for what was submitted.

use super::{Inner, Lanes};
use crate::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long the end may take: longer than what one submission should take, and short of what a user would wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handlers at most. One that runs again finds nothing to wait for.
const HANDLERS: usize = 8;

static LIVE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Has these lanes waited for when the process ends.
pub(super) fn watch(lanes: &Arc<Inner>) {
    static REGISTERED: AtomicUsize = AtomicUsize::new(0);
    // Not without end: drivers are few, and lanes may be opened again and again.
    if REGISTERED.fetch_add(1, Ordering::Relaxed) < HANDLERS {
        // SAFETY: `end` is a function of this program that takes nothing, unwinds into nobody, and is there until the process
        // ends. Where no more handlers fit, there is none.
        let _ = unsafe { libc::atexit(end) };
    }
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|l| l.strong_count() > 0);
    live.push(Arc::downgrade(lanes));
}

extern "C" fn end() {
    // Whoever holds the lock is another thread, which does not go on for long.
    let Ok(live) = LIVE.try_lock() else { return };
    let all: Vec<Lanes> = live.iter().filter_map(Weak::upgrade).map(Lanes).collect();
    drop(live);
    for lanes in &all {
        lanes.0.lanes.iter().for_each(|l| drop(l.close(Error::Device("the process ends".into()))));
    }
    // On a thread of its own: of this one the thread-local values are gone by now, which wgpu asks for. A panic must not cross
    // into the exit of the process, and nothing can be said any more, either.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let wait = move || {
            super::super::driver_cache::save_all();
            for lane in all.iter().flat_map(|l| &l.0.lanes) {
                let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
                let _ = lane.device.poll(poll);
            }
            // Taking devices down while the process goes down helps nobody.
            std::mem::forget(all);
        };
        let (done, ended) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || {
            wait();
            let _ = done.send(());
        });
        // Not joined: where the end of the process lets no thread begin any more, as in a library that Windows unloads, this one
        // ends all the same.
        if thread.is_ok() {
            let _ = ended.recv_timeout(2 * PATIENCE);
        }
    }));
}
