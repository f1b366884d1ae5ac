//! Which buffer each value of a plan lives in: liveness, whole buffers, size classes.

use crate::access::ValueId;
use crate::plan::{Item, MemoryPlan, PlanValue, Region, Step, Target, size_class};
use std::collections::HashMap;

/// Assigns buffers. A value takes over the buffer of a source that dies in the same step where the kernel may overwrite it,
/// else a free one, else a new one. In a container every sub-linop in flight has buffers of its own: those of the sub-linop
/// whose place it takes.
pub(crate) fn assign(
    target: &Target,
    values: &[PlanValue],
    steps: &[Step],
    body: &[Item],
    regions: &[Region],
    output: ValueId,
) -> MemoryPlan {
    let plan = MemoryPlan { slot_of: vec![None; values.len()], slots: Vec::new() };
    let mut a = Assign { target, values, steps, regions, output, plan };
    a.body(body, &mut Vec::new());
    a.plan
}

struct Assign<'a> {
    target: &'a Target,
    values: &'a [PlanValue],
    steps: &'a [Step],
    regions: &'a [Region],
    output: ValueId,
    plan: MemoryPlan,
}

impl Assign<'_> {
    /// Gives the values that these items make buffers, free ones where there are any.
    fn body(&mut self, items: &[Item], free: &mut Vec<usize>) {
        // Values of this body, with the last item that touches them.
        let mut last: HashMap<usize, usize> = HashMap::new();
        for (i, item) in items.iter().enumerate() {
            let made = match *item {
                Item::Step(s) => self.steps[s].store.value,
                Item::Region(r) => self.regions[r].result,
            };
            if !self.is_external(made.at()) && self.plan.slot_of[made.at()].is_none() {
                last.entry(made.at()).or_insert(i);
            }
            self.touched(item, &mut |v| {
                if let Some(at) = last.get_mut(&v) {
                    *at = i;
                }
            });
        }
        let mut dead: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
        last.iter().for_each(|(v, at)| dead[*at].push(*v));
        for (i, item) in items.iter().enumerate() {
            let mut taken = None;
            match *item {
                Item::Step(s) => {
                    let y = self.steps[s].store.value.at();
                    // Lives in this step alone; taken before the result's, so that the two differ.
                    let work = self.steps[s].scratch;
                    if let Some(work) = work {
                        self.plan.slot_of[work.at()] = Some(self.take(work.at(), free));
                    }
                    if last.contains_key(&y) && self.plan.slot_of[y].is_none() {
                        taken = self.overwritten(s, |v| last.get(&v) == Some(&i));
                        self.plan.slot_of[y] = Some(match taken.and_then(|v| self.plan.slot_of[v]) {
                            Some(slot) => slot,
                            None => self.take(y, free),
                        });
                    }
                    free.extend(work.and_then(|w| self.plan.slot_of[w.at()]));
                }
                Item::Region(r) => {
                    let y = self.regions[r].result.at();
                    if last.contains_key(&y) && self.plan.slot_of[y].is_none() {
                        self.plan.slot_of[y] = Some(self.take(y, free));
                    }
                    self.region(r, free);
                }
            }
            let given_back = dead[i].iter().filter(|v| taken != Some(**v));
            let mut slots: Vec<usize> = given_back.filter_map(|&v| self.plan.slot_of[v]).collect();
            slots.sort_unstable();
            free.extend(slots);
        }
    }

    /// Plans every sub-linop as if it were alone. Those that take each other's place share a frame: buffer by buffer, from the
    /// largest down, as much as the largest of them needs.
    fn region(&mut self, r: usize, free: &mut Vec<usize>) {
        let region = &self.regions[r];
        let start = self.plan.slots.len();
        // The buffers of each frame by rank; those of each sub-linop, largest first.
        let mut frames: Vec<Vec<u64>> = vec![Vec::new(); region.in_flight];
        let mut children: Vec<Vec<usize>> = Vec::with_capacity(region.children.len());
        for (i, child) in region.children.iter().enumerate() {
            let items: Vec<Item> = child.body.iter().chain(&child.join).copied().collect();
            let first = self.plan.slots.len();
            self.body(&items, &mut Vec::new());
            let mut own: Vec<usize> = (first..self.plan.slots.len()).collect();
            own.sort_by_key(|&s| std::cmp::Reverse(self.plan.slots[s]));
            let frame = &mut frames[i % region.in_flight];
            frame.resize(frame.len().max(own.len()), 0);
            frame.iter_mut().zip(&own).for_each(|(f, &s)| *f = self.plan.slots[s].max(*f));
            children.push(own);
        }
        let planned: Vec<u64> = self.plan.slots.drain(start..).collect();
        let frames: Vec<Vec<usize>> =
            frames.iter().map(|sizes| sizes.iter().map(|&class| self.take_class(class, free)).collect()).collect();
        let mut place = vec![0; planned.len()];
        for (i, own) in children.iter().enumerate() {
            own.iter().zip(&frames[i % region.in_flight]).for_each(|(s, f)| place[s - start] = *f);
        }
        // Only values of these sub-linops have buffers from `start` on as yet.
        for slot in self.plan.slot_of.iter_mut().flatten().filter(|s| **s >= start) {
            *slot = place[*slot - start];
        }
        free.extend(frames.into_iter().flatten());
    }

    /// All values that an item reads or writes, those of a container's sub-linops included.
    fn touched(&self, item: &Item, f: &mut impl FnMut(usize)) {
        match *item {
            Item::Step(s) => {
                f(self.steps[s].store.value.at());
                self.steps[s].kernel.loads().iter().for_each(|l| f(l.value.at()));
            }
            Item::Region(r) => {
                let children = self.regions[r].children.iter();
                children.flat_map(|c| c.body.iter().chain(&c.join)).for_each(|i| self.touched(i, f));
            }
        }
    }

    fn is_external(&self, v: usize) -> bool {
        v == 0 || v == self.output.at()
    }

    /// A source of the step that dies in it and that its result may overwrite.
    fn overwritten(&self, step: usize, dies: impl Fn(usize) -> bool) -> Option<usize> {
        let s = &self.steps[step];
        let y = s.store.value.at();
        let whole = s.store.is_contiguous(s.kernel.output_len()) && s.store.start == 0;
        s.kernel.loads().iter().enumerate().find_map(|(k, l)| {
            let v = l.value.at();
            let (a, b) = (&self.values[v], &self.values[y]);
            let same = (a.len(), a.complex) == (b.len(), b.complex) && b.len() == s.kernel.output_len();
            // Another load of the same kernel may read that value out of order.
            let alone = s.kernel.loads().iter().filter(|o| o.value == l.value).count() == 1;
            (whole && same && alone && v != y && dies(v) && s.kernel.may_overwrite(k, self.target)).then_some(v)
        })
    }

    fn take(&mut self, value: usize, free: &mut Vec<usize>) -> usize {
        self.take_class(size_class(self.values[value].bytes()), free)
    }

    /// A buffer: a free one of this class or up to twice that, else the largest smaller one, enlarged, else a new one.
    fn take_class(&mut self, class: u64, free: &mut Vec<usize>) -> usize {
        let slots = &self.plan.slots;
        let all = || 0..free.len();
        let fitting = all().filter(|&k| (class..=2 * class).contains(&slots[free[k]])).min_by_key(|&k| slots[free[k]]);
        let smaller = all().filter(|&k| slots[free[k]] < class).max_by_key(|&k| slots[free[k]]);
        match fitting.or(smaller) {
            Some(k) => {
                let slot = free.swap_remove(k);
                self.plan.slots[slot] = class.max(self.plan.slots[slot]);
                slot
            }
            None => {
                self.plan.slots.push(class);
                self.plan.slots.len() - 1
            }
        }
    }
}
