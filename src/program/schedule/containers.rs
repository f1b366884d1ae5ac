//! Containers in a plan: how their sub-linops run, and how their results are joined.
//!
//! The kernels are the same for every schedule; a schedule decides which of them may run together. Results are added one
//! after the other, into the first one's place, so that no more of them exist than sub-linops are in flight.

use super::*;
use crate::program::batch;
use std::ops::Range;

/// A container's input and what it is made for.
struct Container<'a> {
    p: &'a Parallel,
    x: Val,
    extents: &'a [usize],
    /// The joined result; its dtype is known when all parts are.
    result: ValueId,
}

impl Scheduler {
    pub(super) fn parallel(&mut self, x: Val, p: &Parallel, extents: &[usize]) -> Result<Val> {
        // Nothing is fused across a container's edge: what is, would depend on how its sub-linops run.
        // (Weights of sub-linops would leave a zero that a fused pad reads as it is, and make -0 of one that is stored.)
        let x = if is_index_map(&x.load) && x.load.is_total() { x } else { self.stored(x) };
        let x = Val { sole: false, ..x };
        if let ([child], Split::Whole, Split::Whole) = (&p.children[..], &p.feed, &p.join) {
            let listed = self.regions.len();
            self.regions.push(region(p, Schedule::Sequential, "there is one sub-linop", 1, ValueId::INPUT));
            let before = self.steps.len();
            let y = self.program(child, x)?;
            let y = self.settled(y);
            self.regions[listed].waves = self.steps.len() - before;
            return Ok(Val { sole: false, ..y });
        }
        let result = self.value(extents.to_vec(), false);
        let c = Container { p, x, extents, result };
        let n = p.children.len();
        let in_flight = p.settings.in_flight(n, self.options.lanes);
        let batched = self.batches(p, in_flight, self.values[c.x.load.value.at()].len());
        let complex = match batched {
            Some(batches) => self.in_batches(&c, &batches)?,
            None => self.side_by_side(&c, in_flight)?,
        };
        self.values[result.at()].complex = complex;
        Ok(Val { load: Load::whole(result, extents), complex, sole: false })
    }

    /// Every sub-linop by itself, in a region of the plan.
    fn side_by_side(&mut self, c: &Container, in_flight: usize) -> Result<bool> {
        let p = c.p;
        let (schedule, reason) = match (in_flight, self.target) {
            (1, _) if p.children.len() == 1 => (Schedule::Sequential, "there is one sub-linop".to_string()),
            (1, _) if !p.settings.threaded => (Schedule::Sequential, "threaded is false".into()),
            (1, _) if p.settings.num_workers == Some(1) => (Schedule::Sequential, "num_workers is 1".into()),
            (1, _) => (Schedule::Sequential, "there is one lane".into()),
            (_, Target::Host) => (Schedule::Tasks, "on the host's threads".into()),
            (_, Target::Gpu { .. }) if self.options.queues > 1 && !self.spread => {
                (Schedule::Queues, format!("{} queues", self.options.queues))
            }
            (_, Target::Gpu { .. }) => {
                (Schedule::Waves, "the sub-linops differ, or do not fit a binding together".into())
            }
        };
        let mut this = region(p, schedule, &reason, in_flight, c.result);
        this.disjoint = matches!(&p.join, Split::Slices { axis, .. } if c.extents[..*axis].iter().all(|&n| n == 1));
        this.ordered = p.join == Split::Whole;
        // Listed before those within.
        let at = self.regions.len();
        self.regions.push(this);
        let mut complex = false;
        let spread = self.spread;
        self.spread |= schedule == Schedule::Queues;
        for (i, child) in p.children.iter().enumerate() {
            self.bodies.push(Vec::new());
            let fed = self.fed(c, i, None)?;
            let first = self.steps.len();
            let y = self.program(child, fed)?;
            let y = self.settled(y);
            complex |= y.complex;
            self.bodies.push(Vec::new());
            let stretch = self.join(c, i, 1, y, first);
            let (join, body) = (self.bodies.pop().unwrap_or_default(), self.bodies.pop().unwrap_or_default());
            let name = p.names.get(i).cloned().unwrap_or_default();
            self.regions[at].children.push(Child { name, body, join, stretch });
        }
        self.spread = spread;
        if let Some(body) = self.bodies.last_mut() {
            body.push(Item::Region(at));
        }
        Ok(complex)
    }

    /// The sub-linops as programs of several each, where their structure, settings and sizes allow it. Only on a GPU: the
    /// host's tasks keep one sub-linop's values in a core's cache.
    fn batches(&self, p: &Parallel, in_flight: usize, input: usize) -> Option<Vec<Program>> {
        if self.target == Target::Host || in_flight < 2 {
            return None;
        }
        for split in [&p.feed, &p.join] {
            if let Split::Slices { extents, .. } = split {
                extents.iter().all(|n| *n == extents[0]).then_some(())?;
            }
        }
        // Cut into windows, a sum would have another order.
        let room = (self.target.max_binding() / 8).saturating_sub(64) as usize;
        let count = batch::size(p.children.first()?, p.children.len(), in_flight, room);
        if count < 2 || input > room {
            return None;
        }
        p.children.chunks(count).map(batch::together).collect()
    }

    fn in_batches(&mut self, c: &Container, batches: &[Program]) -> Result<bool> {
        let p = c.p;
        let count = batches.first().map_or(1, |b| b.input_extents()[0]);
        let reason = format!("{} sub-linops of one structure, {count} in a dispatch", p.children.len());
        let listed = self.regions.len();
        self.regions.push(region(p, Schedule::Batched, &reason, count, c.result));
        let before = self.steps.len();
        let mut complex = false;
        let mut at = 0;
        for batch in batches {
            let count = batch.input_extents()[0];
            let fed = self.fed(c, at, Some(count))?;
            let first = self.steps.len();
            self.batch *= count;
            let y = self.program(batch, fed)?;
            let y = self.settled(y);
            self.batch /= count;
            complex |= y.complex;
            match &p.join {
                Split::Slices { axis, .. } => {
                    // (batch, …) to (…, batch, …): the batch is the outer part of the joined axis.
                    let rank = y.load.extents.len();
                    let order: Vec<usize> = (1..=*axis).chain([0]).chain(*axis + 1..rank).collect();
                    let load = y.load.permuted(&order);
                    self.join(c, at, count, Val { load, ..y }, first);
                }
                Split::Whole => {
                    let y = Val { sole: false, ..y };
                    let one = |y: &Val, k: usize| {
                        let mut e = y.load.extents.clone();
                        let map = AxisMap::affine(1, k as i64, 1, e[0], 1);
                        e[0] = 1;
                        let mut axes = builder::identity_axes(&y.load.extents);
                        axes[0] = MapAxis::From(0, map);
                        y.load.mapped(&axes, &e)?.reshaped(c.extents)
                    };
                    // Stored once, where a part of it cannot be read as it is.
                    let y = if one(&y, 0).is_some() { y } else { self.stored(y) };
                    let parts = (0..count).map(|k| one(&y, k).map(|load| Val { load, ..y }));
                    let Some(parts) = parts.collect::<Option<Vec<Val>>>() else {
                        return Err(Error::Shape(format!("a part of {:?} cannot be planned", y.load.extents)));
                    };
                    let mut parts = parts.into_iter();
                    let mut next = at;
                    // The first two in one kernel.
                    if let (0, 2..) = (at, count) {
                        let loads = parts.by_ref().take(2).map(|v| v.load).collect();
                        let store = Store::whole(c.result, c.extents.iter().product());
                        self.push(Step { kernel: Kernel::Add { loads }, store });
                        next = 2;
                    }
                    for (k, one) in parts.enumerate() {
                        self.join(c, next + k, 1, one, first);
                    }
                }
            }
            at += count;
        }
        self.regions[listed].waves = self.steps.len() - before;
        Ok(complex)
    }

    /// What the sub-linops from `first` on read: one, or a batch of several (or one) behind an axis of their own.
    fn fed(&mut self, c: &Container, first: usize, batch: Option<usize>) -> Result<Val> {
        match (&c.p.feed, batch) {
            (Split::Whole, None) => Ok(c.x.clone()),
            (Split::Whole, Some(count)) => {
                let e: Vec<usize> = std::iter::once(count).chain(c.x.load.extents.iter().copied()).collect();
                let mut axes = builder::identity_axes(&c.x.load.extents);
                axes.insert(0, MapAxis::New);
                self.through(c.x.clone(), |l| l.mapped(&axes, &e))
            }
            (Split::Slices { axis, extents }, _) => {
                let (start, count) = (extents[..first].iter().sum(), batch.unwrap_or(1));
                let cut = self.part(&c.x, *axis, start, extents[first..first + count].iter().sum())?;
                if batch.is_none() {
                    return Ok(cut);
                }
                let mut e = cut.load.extents.clone();
                e.splice(*axis..=*axis, [count, extents[first]]);
                let cut = self.through(cut, |l| l.reshaped(&e))?;
                let order: Vec<usize> = std::iter::once(*axis).chain((0..e.len()).filter(|a| a != axis)).collect();
                Ok(Val { load: cut.load.permuted(&order), ..cut })
            }
        }
    }

    /// A result without weights and scalars, which go into its last kernel where that takes them: the same for all
    /// schedules. What only moves values may be left to who reads them.
    fn settled(&mut self, y: Val) -> Val {
        // `stored` fuses where it can.
        if is_index_map(&y.load) { y } else { self.stored(y) }
    }

    /// A stretch of one axis.
    fn part(&mut self, x: &Val, axis: usize, start: usize, count: usize) -> Result<Val> {
        let mut e = x.load.extents.clone();
        let map = AxisMap::affine(1, start as i64, 1, e[axis], count);
        e[axis] = count;
        let mut axes = builder::identity_axes(&x.load.extents);
        axes[axis] = MapAxis::From(axis, map);
        self.through(x.clone(), |l| l.mapped(&axes, &e))
    }

    /// Joins the result of sub-linops `at..at + count`, whose steps begin at `first`: adds it, or writes it to its slice.
    /// Gives the elements that it owns.
    fn join(&mut self, c: &Container, at: usize, count: usize, y: Val, first: usize) -> Range<usize> {
        let len: usize = c.extents.iter().product();
        match &c.p.join {
            Split::Whole if at == 0 => self.store_slice(y, Store::whole(c.result, len), first),
            Split::Whole => {
                let needs = 1 + y.load.factors.len();
                let y = if needs > 1 && needs + 1 > self.target.max_factors() { self.stored(y) } else { y };
                let loads = vec![Load::whole(c.result, c.extents), y.load];
                self.push(Step { kernel: Kernel::Add { loads }, store: Store::whole(c.result, len) });
            }
            Split::Slices { axis, extents } => {
                let inner: usize = c.extents[axis + 1..].iter().product();
                let start: usize = extents[..at].iter().sum();
                let run = extents[at..at + count].iter().sum::<usize>() * inner;
                let store = Store { value: c.result, run, pitch: c.extents[*axis] * inner, start: start * inner };
                self.store_slice(y, store, first);
                return store.start..store.start + run;
            }
        }
        0..len
    }

    /// Writes a result into its place: its last kernel stores there itself where the place is one stretch.
    fn store_slice(&mut self, y: Val, store: Store, first: usize) {
        let len: usize = y.load.extents.iter().product();
        // Its last kernel, if that is not another container's.
        let body = self.bodies.iter().rev().find(|b| !b.is_empty());
        let own = self.steps.len() > first
            && body.is_some_and(|b| b.last() == Some(&Item::Step(self.steps.len() - 1)))
            && y.sole
            && y.load.is_plain()
            && store.is_contiguous(len)
            && self.steps.last().is_some_and(|s| s.store == Store::whole(y.load.value, len));
        match (own, self.steps.last_mut()) {
            (true, Some(last)) => last.store = store,
            _ => self.push(Step { kernel: Kernel::Map { load: y.load }, store }),
        }
    }
}

/// Whether values are only moved, repeated or left out.
fn is_index_map(load: &Load) -> bool {
    load.factors.is_empty() && load.scale == num_complex::Complex64::ONE
}

fn region(p: &Parallel, schedule: Schedule, reason: &str, in_flight: usize, result: ValueId) -> Region {
    Region {
        label: p.label.clone(),
        schedule,
        reason: reason.into(),
        linops: p.children.len(),
        waves: 0,
        in_flight,
        result,
        disjoint: false,
        ordered: false,
        children: Vec::new(),
    }
}
