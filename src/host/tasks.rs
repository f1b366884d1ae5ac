//! Bounded tasks on rayon's pool whose results are joined in order.
//!
//! No task ever waits: the one that finds its result next in line joins it, and all that have queued up behind it, while the
//! others go on. So containers may nest, and all share the pool that is there.

use crate::error::{Error, Result, caught};
use rayon::ScopeFifo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is to be run.
pub(crate) struct Tasks<'a> {
    /// Number of tasks.
    pub count: usize,
    /// Tasks that are begun and not yet joined, at most.
    pub in_flight: usize,
    /// Set from outside: no task is begun any more.
    pub stop: &'a AtomicBool,
}

/// One task, or one join.
type Part<'a> = &'a (dyn Fn(usize) -> Result<()> + Sync);

struct Shared<'a> {
    tasks: &'a Tasks<'a>,
    task: Part<'a>,
    join: Part<'a>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Done, and not yet joined.
    done: Vec<bool>,
    joined: usize,
    joining: bool,
    /// The failure of the lowest index.
    failed: Option<(usize, Error)>,
}

impl Tasks<'_> {
    /// Runs the tasks, each followed by its join. Joins come in order, one at a time.
    ///
    /// # Errors
    /// The first failure or panic, by index, when all that had begun have ended. Tasks that had not are left out.
    pub fn run(&self, task: Part, join: Part) -> Result<(), (usize, Error)> {
        if self.in_flight == 1 {
            for i in 0..self.count {
                let both = || task(i).and_then(|()| join(i));
                caught(both).map_err(|e| (i, e))?;
            }
            return Ok(());
        }
        let state = Mutex::new(State { done: vec![false; self.count], ..State::default() });
        let shared = Shared { tasks: self, task, join, state };
        rayon::scope_fifo(|scope| {
            for i in 0..self.in_flight.min(self.count) {
                let shared = &shared;
                scope.spawn_fifo(move |scope| shared.one(scope, i));
            }
        });
        let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failed {
            Some(failed) => Err(failed),
            None if state.joined < self.count => Err((state.joined, Error::Cancelled)),
            None => Ok(()),
        }
    }
}

impl Shared<'_> {
    fn one<'s>(&'s self, scope: &ScopeFifo<'s>, i: usize) {
        if self.tasks.stop.load(Ordering::Relaxed) || self.state().failed.is_some() {
            return;
        }
        let result = caught(|| (self.task)(i));
        let mut state = self.state();
        if let Err(e) = result {
            return state.fail(i, e);
        }
        state.done[i] = true;
        if state.joining {
            return;
        }
        state.joining = true;
        while let (None, Some(true)) = (&state.failed, state.done.get(state.joined)) {
            let at = state.joined;
            drop(state);
            let result = caught(|| (self.join)(at));
            state = self.state();
            match result {
                Ok(()) => state.joined += 1,
                Err(e) => state.fail(at, e),
            }
            let next = at + self.tasks.in_flight;
            if state.failed.is_none() && next < self.tasks.count {
                scope.spawn_fifo(move |scope| self.one(scope, next));
            }
        }
        state.joining = false;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fail(&mut self, i: usize, e: Error) {
        if self.failed.as_ref().is_none_or(|(at, _)| i < *at) {
            self.failed = Some((i, e));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::thread::sleep;
    use std::time::Duration;

    static GO: AtomicBool = AtomicBool::new(false);

    fn tasks(count: usize, in_flight: usize) -> Tasks<'static> {
        Tasks { count, in_flight, stop: &GO }
    }

    fn pause(seed: usize) {
        sleep(Duration::from_micros((seed * 7919 % 13) as u64 * 20));
    }

    #[test]
    fn joins_come_in_order_and_no_more_than_allowed_are_in_flight() {
        for (count, in_flight) in [(1, 1), (5, 1), (20, 2), (20, 3), (64, 64), (7, 9), (0, 2)] {
            let (now, most, order) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
            let task = |i: usize| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pause(i);
                Ok(())
            };
            let join = |i: usize| {
                pause(i + 1);
                order.lock().unwrap().push(i);
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            tasks(count, in_flight).run(&task, &join).unwrap();
            assert_eq!(*order.lock().unwrap(), (0..count).collect::<Vec<_>>());
            assert!(most.load(Ordering::SeqCst) <= in_flight, "{count} {in_flight}");
        }
    }

    #[test]
    fn a_panic_is_an_error_with_its_index_and_the_others_end() {
        for in_flight in [1, 2, 8] {
            let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let task = |i: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                pause(i);
                assert!(i != 3, "task {i} fails");
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            let (at, e) = tasks(20, in_flight).run(&task, &|_| Ok(())).unwrap_err();
            assert_eq!(at, 3);
            assert!(matches!(&e, Error::Panicked(m) if m.contains("task 3 fails")), "{e}");
            assert_eq!(begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst) + 1);
            assert!(begun.load(Ordering::SeqCst) < 20, "tasks begin after a failure");
        }
    }

    #[test]
    fn a_failing_join_ends_it() {
        let join = |i: usize| if i == 2 { Err(Error::Value("no".into())) } else { Ok(()) };
        let (at, e) = tasks(20, 4).run(&|_| Ok(()), &join).unwrap_err();
        assert_eq!((at, e), (2, Error::Value("no".into())));
    }

    #[test]
    fn tasks_nest_without_waiting_for_each_other() {
        let total = AtomicUsize::new(0);
        let inner = |_| {
            let leaf = |_| {
                total.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            tasks(5, 3).run(&leaf, &|_| Ok(())).map_err(|(_, e)| e)
        };
        let middle = |_| tasks(5, 2).run(&inner, &|_| Ok(())).map_err(|(_, e)| e);
        tasks(5, 5).run(&middle, &|_| Ok(())).unwrap();
        assert_eq!(total.load(Ordering::SeqCst), 125);
    }

    #[test]
    fn what_is_stopped_begins_nothing_more() {
        let stop = AtomicBool::new(false);
        let begun = AtomicUsize::new(0);
        let task = |i: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            if i == 4 {
                stop.store(true, Ordering::SeqCst);
            }
            Ok(())
        };
        let (_, e) = Tasks { count: 50, in_flight: 2, stop: &stop }.run(&task, &|_| Ok(())).unwrap_err();
        assert_eq!(e, Error::Cancelled);
        assert!(begun.load(Ordering::SeqCst) < 10);
    }
}
