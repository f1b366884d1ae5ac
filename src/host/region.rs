//! The body of a plan on the host: steps one after the other, the sub-linops of containers as tasks.

use super::instance::{HostInstance, Precision};
use super::tasks;
use crate::access::{Store, ValueId};
use crate::error::{Error, Result};
use crate::loops::{HostBuf, Slice, SliceMut};
use crate::plan::{Call, Item, Plan, Region};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One apply.
pub(super) struct Run<'a, T: Precision> {
    pub instance: &'a HostInstance<T>,
    pub plan: &'a Plan,
    pub input: Slice<'a, T>,
    /// None while a step writes it.
    pub output: &'a Mutex<Option<HostBuf<T>>>,
    pub stop: &'a AtomicBool,
}

/// The stretch of a joined value that one sub-linop owns.
pub(super) struct Stretch<'p, T> {
    value: ValueId,
    start: usize,
    part: Mutex<Option<SliceMut<'p, T>>>,
}

impl<T: Precision> Run<'_, T> {
    pub fn items(&self, items: &[Item], stretch: Option<&Stretch<T>>) -> Result<()> {
        for item in items {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            match *item {
                Item::Step(s) => self.step(s, stretch)?,
                Item::Region(r) => self.region(&self.plan.regions[r])?,
            }
        }
        Ok(())
    }

    fn region(&self, region: &Region) -> Result<()> {
        let child = |i: usize| self.items(&region.children[i].body, None);
        let join = |i: usize| self.items(&region.children[i].join, None);
        let tasks = tasks::Tasks { count: region.children.len(), in_flight: region.in_flight, stop: self.stop };
        let named = |(i, e): (usize, Error)| {
            let name = &region.children[i].name;
            if e == Error::Cancelled { e } else { e.at(format!("{}: linops[{i}] ({name})", region.label)) }
        };
        if !region.disjoint || region.in_flight == 1 {
            return tasks.run(&child, &join).map_err(named);
        }
        // All store at the same time, each into its own stretch of the result.
        let mut done = Ok(());
        self.with(region.result, None, &mut |mut rest| {
            let mut stretches = Vec::with_capacity(region.children.len());
            for c in &region.children {
                let part;
                (part, rest) = rest.split_at(c.stretch.len());
                stretches.push(Stretch { value: region.result, start: c.stretch.start, part: Mutex::new(Some(part)) });
            }
            let both = |i: usize| {
                self.items(&region.children[i].body, Some(&stretches[i]))?;
                self.items(&region.children[i].join, Some(&stretches[i]))
            };
            done = tasks.run(&both, &|_| Ok(())).map_err(named);
        });
        done
    }

    /// Calls `f` with the value's place, to be written: its stretch, where it is one.
    fn with(&self, value: ValueId, stretch: Option<&Stretch<T>>, f: &mut dyn FnMut(SliceMut<T>)) {
        if let Some(s) = stretch.filter(|s| s.value == value) {
            let part = s.part.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(mut part) = part {
                f(part.reborrow());
                *s.part.lock().unwrap_or_else(PoisonError::into_inner) = Some(part);
            }
            return;
        }
        if let Some(slot) = self.plan.memory.slot_of[value.at()] {
            let v = &self.plan.values[value.at()];
            return self.instance.slot(slot).written(|raw| f(SliceMut::of(raw, v.len(), v.complex)));
        }
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut output) = output {
            f(output.as_mut());
            *self.output.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        }
    }

    fn step(&self, s: usize, stretch: Option<&Stretch<T>>) -> Result<()> {
        let step = &self.plan.steps[s];
        let y = step.store.value;
        let slot_of = |v: ValueId| self.plan.memory.slot_of[v.at()];
        let overwrites = |v: ValueId| v == y || slot_of(v).is_some() && slot_of(v) == slot_of(y);
        let loads = step.kernel.loads();
        let shared: Vec<Option<Arc<Vec<T>>>> = loads
            .iter()
            .map(|l| slot_of(l.value).filter(|_| !overwrites(l.value)).map(|slot| self.instance.slot(slot).shared()))
            .collect();
        let sources: Vec<Option<Slice<T>>> = loads
            .iter()
            .zip(&shared)
            .map(|(l, shared)| {
                let v = &self.plan.values[l.value.at()];
                match shared {
                    Some(raw) => Some(Slice::of(raw, v.len(), v.complex)),
                    None if overwrites(l.value) => None,
                    None => Some(self.input),
                }
            })
            .collect();
        let first = stretch.filter(|s| s.value == y).map_or(0, |s| s.start);
        let store = Store { start: step.store.start - first, ..step.store };
        let kernel = &self.instance.kernels[s];
        let run = |work: &mut [T]| {
            let mut done = Ok(());
            self.with(y, stretch, &mut |dst| {
                let call = Call { sources: &sources, work: &mut *work, store, dst };
                done = match &self.instance.clock {
                    Some(clock) => clock.timed(s, || kernel.run(call)),
                    None => kernel.run(call),
                };
            });
            done
        };
        match step.scratch.and_then(slot_of) {
            Some(slot) => self.instance.slot(slot).written(|work| run(work)),
            None => run(&mut []),
        }
    }
}
