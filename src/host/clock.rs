//! When steps begin and end, for as long as somebody wants to know.

use crate::plan::StepTime;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The times of one apply's steps.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    times: Mutex<Vec<StepTime>>,
}

impl Clock {
    pub fn new() -> Clock {
        Clock { start: Instant::now(), times: Mutex::default() }
    }

    /// Runs a step.
    pub fn timed<T>(&self, step: usize, run: impl FnOnce() -> T) -> T {
        let begin = self.start.elapsed();
        let done = run();
        let seconds = (self.start.elapsed() - begin).as_secs_f64();
        // Behind those of the pool: the caller's own thread.
        let track = rayon::current_thread_index().unwrap_or_else(rayon::current_num_threads);
        let time = StepTime { step, dispatches: 0, begin: begin.as_secs_f64(), seconds, track };
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
        done
    }

    pub fn into_times(self) -> Vec<StepTime> {
        self.times.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
