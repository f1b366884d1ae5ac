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

/// Where a sub-linop may write, besides its own scratch.
pub(super) trait Places<T>: Sync {
    /// Calls `f` with the place of a value and the index of the first element that lies there; false if it is not here.
    fn write(&self, value: ValueId, f: &mut dyn FnMut(SliceMut<T>, usize)) -> bool;
}

/// The stretch of a joined value that one sub-linop owns, and those of the containers around.
struct Stretch<'a, 'p, T> {
    value: ValueId,
    start: usize,
    part: Mutex<SliceMut<'p, T>>,
    around: Option<&'a dyn Places<T>>,
}

impl<T: Real> Places<T> for Stretch<'_, '_, T> {
    fn write(&self, value: ValueId, f: &mut dyn FnMut(SliceMut<T>, usize)) -> bool {
        if value != self.value {
            return self.around.is_some_and(|a| a.write(value, f));
        }
        f(self.part.lock().unwrap_or_else(PoisonError::into_inner).reborrow(), self.start);
        true
    }
}

impl<T: Real> Run<'_, T> {
    pub fn items(&self, items: &[Item], places: Option<&dyn Places<T>>) -> Result<()> {
        for item in items {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            match *item {
                Item::Step(s) => self.step(s, places),
                Item::Region(r) => self.region(&self.plan.regions[r], places)?,
            }
        }
        Ok(())
    }

    fn region(&self, region: &Region, around: Option<&dyn Places<T>>) -> Result<()> {
        let child = |i: usize| self.items(&region.children[i].body, around);
        let join = |i: usize| self.items(&region.children[i].join, around);
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
        self.with(region.result, around, &mut |mut rest, first| {
            let mut stretches = Vec::with_capacity(region.children.len());
            for c in &region.children {
                let part;
                (part, rest) = rest.split_at(c.stretch.len());
                let (value, start) = (region.result, first + c.stretch.start);
                stretches.push(Stretch { value, start, part: Mutex::new(part), around });
            }
            let both = |i: usize| {
                let own: Option<&dyn Places<T>> = Some(&stretches[i]);
                self.items(&region.children[i].body, own)?;
                self.items(&region.children[i].join, own)
            };
            done = tasks.run(&both, &|_| Ok(())).map_err(named);
        });
        done
    }

    /// The value's place, to be written, and the index of the first element that lies in it.
    fn with(&self, value: ValueId, places: Option<&dyn Places<T>>, f: &mut dyn FnMut(SliceMut<T>, usize)) {
        if places.is_some_and(|p| p.write(value, f)) {
            return;
        }
        match self.plan.memory.slot_of[value.at()] {
            Some(slot) => {
                let mut raw = self.instance.slots[slot].write().unwrap_or_else(PoisonError::into_inner);
                let v = &self.plan.values[value.at()];
                f(SliceMut::of(&mut raw, v.len(), v.complex), 0)
            }
            None => f(self.output.write().unwrap_or_else(PoisonError::into_inner).as_mut(), 0),
        }
    }

    fn step(&self, s: usize, places: Option<&dyn Places<T>>) {
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
        let transforms = self.instance.transforms[s].as_ref();
        let work = step.kernel.work().and_then(slot_of);
        let mut own = work.map(|w| self.instance.slots[w].write().unwrap_or_else(PoisonError::into_inner));
        let work: &mut [T] = own.as_deref_mut().map_or(&mut [], |own| own);
        self.with(y, places, &mut |dst, first| {
            let store = Store { start: step.store.start - first, ..step.store };
            match dst {
                SliceMut::Real(d) => run_step(&step.kernel, &store, transforms, &sources, work, d),
                SliceMut::Complex(d) => run_step(&step.kernel, &store, transforms, &sources, work, d),
            }
        });
    }
}
