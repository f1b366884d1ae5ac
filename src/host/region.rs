//! The body of a plan on the host: steps one after the other, the sub-linops of containers as tasks.

use super::HostInstance;
use super::element::{HostBuf, Real, Slice, SliceMut};
use super::step::run_step;
use super::tasks;
use crate::error::{Error, Result};
use crate::program::{Item, Plan, Region, Store, ValueId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

/// One apply.
pub(super) struct Run<'a, T: Real> {
    pub instance: &'a HostInstance<T>,
    pub plan: &'a Plan,
    pub input: Slice<'a, T>,
    pub output: &'a RwLock<HostBuf<T>>,
    pub stop: &'a AtomicBool,
}

/// The stretch of a joined value that one sub-linop owns.
pub(super) struct Stretch<'p, T> {
    value: ValueId,
    start: usize,
    part: Mutex<SliceMut<'p, T>>,
}

impl<T: Real> Run<'_, T> {
    pub fn items(&self, items: &[Item], stretch: Option<&Stretch<T>>) -> Result<()> {
        for item in items {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            match *item {
                Item::Step(s) => self.step(s, stretch),
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
                stretches.push(Stretch { value: region.result, start: c.stretch.start, part: Mutex::new(part) });
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
            return f(s.part.lock().unwrap_or_else(PoisonError::into_inner).reborrow());
        }
        match self.plan.memory.slot_of[value.at()] {
            Some(slot) => {
                let mut raw = self.instance.slots[slot].write().unwrap_or_else(PoisonError::into_inner);
                let v = &self.plan.values[value.at()];
                f(SliceMut::of(&mut raw, v.len(), v.complex));
            }
            None => f(self.output.write().unwrap_or_else(PoisonError::into_inner).as_mut()),
        }
    }

    fn step(&self, s: usize, stretch: Option<&Stretch<T>>) {
        let step = &self.plan.steps[s];
        let y = step.store.value;
        let slot_of = |v: ValueId| self.plan.memory.slot_of[v.at()];
        let overwrites = |v: ValueId| v == y || slot_of(v).is_some() && slot_of(v) == slot_of(y);
        let loads = step.kernel.loads();
        // Read before the destination is locked: no lock is held twice.
        let guards: Vec<Option<RwLockReadGuard<Vec<T>>>> = loads
            .iter()
            .map(|l| match slot_of(l.value) {
                Some(slot) if !overwrites(l.value) => {
                    Some(self.instance.slots[slot].read().unwrap_or_else(PoisonError::into_inner))
                }
                _ => None,
            })
            .collect();
        let sources: Vec<Option<Slice<T>>> = loads
            .iter()
            .zip(&guards)
            .map(|(l, guard)| {
                let v = &self.plan.values[l.value.at()];
                match guard {
                    Some(raw) => Some(Slice::of(raw, v.len(), v.complex)),
                    None if overwrites(l.value) => None,
                    None => Some(self.input),
                }
            })
            .collect();
        let prepared = &self.instance.transforms[s];
        let work = step.kernel.work().and_then(slot_of);
        let mut own = work.map(|w| self.instance.slots[w].write().unwrap_or_else(PoisonError::into_inner));
        let work: &mut [T] = own.as_deref_mut().map_or(&mut [], |own| own);
        let first = stretch.filter(|s| s.value == y).map_or(0, |s| s.start);
        let store = Store { start: step.store.start - first, ..step.store };
        self.with(y, stretch, &mut |dst| match dst {
            SliceMut::Real(d) => run_step(&step.kernel, &store, prepared, &sources, work, d),
            SliceMut::Complex(d) => run_step(&step.kernel, &store, prepared, &sources, work, d),
        });
    }
}
