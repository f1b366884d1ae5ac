//! A plan as stretches of work, each for one lane, in an order in which they can be submitted.
//!
//! A container over several lanes is a submission for each lane, with the kernels of all its sub-linops on that lane, and one more
//! with the joins, in the order of the sub-linops. Where `num_workers` lets fewer be in flight than there are, that happens in
//! rounds of so many, as the next ones need the room of those before.

use crate::access::ValueId;
use crate::plan::{Item, Plan, Region, Schedule};
use std::collections::HashSet;

/// Steps that are submitted together on a lane.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub lane: usize,
    /// Steps that may run together, one set after the other.
    pub waves: Vec<Vec<usize>>,
    /// The container of which other lanes store other parts of its result at the same time.
    pub parts: Option<Parts>,
}

/// A value that several lanes store parts of, and the container that it is the result of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub region: usize,
    pub value: ValueId,
}

/// The segments of a plan over so many lanes. With one lane there is one: the order within a queue is all that is needed.
/// With several the sub-linops of outermost containers go to the lanes in turn; joins and all else stay on lane 0. Which
/// lane waits for which follows from what the segments read and write. `shared`: lanes may store different parts of a value at the
/// same time; else they do so one after the other, in segments of their own, and other lanes begin before lane 0.
pub(super) fn segments(plan: &Plan, lanes: usize, shared: bool) -> Vec<Segment> {
    if lanes < 2 || !plan.regions.iter().any(|r| r.schedule == Schedule::Queues) {
        return vec![Segment { lane: 0, waves: plan.waves.clone(), parts: None }];
    }
    let mut wave_of = vec![0; plan.steps.len()];
    plan.waves.iter().enumerate().for_each(|(w, wave)| wave.iter().for_each(|&step| wave_of[step] = w));
    let mut s = Splitter { plan, lanes, shared, wave_of, open: Vec::new(), made: Vec::new() };
    s.items(&plan.body, true);
    let rest = std::mem::take(&mut s.open);
    s.push(0, rest, None);
    s.made
}

struct Splitter<'a> {
    plan: &'a Plan,
    lanes: usize,
    shared: bool,
    wave_of: Vec<usize>,
    /// Steps of lane 0 that are in no segment yet.
    open: Vec<usize>,
    made: Vec<Segment>,
}

impl Splitter<'_> {
    /// A segment of these steps, if there are any.
    fn push(&mut self, lane: usize, mut steps: Vec<usize>, parts: Option<Parts>) {
        if steps.is_empty() {
            return;
        }
        steps.sort_by_key(|&s| self.wave_of[s]);
        let waves = steps.chunk_by(|&a, &b| self.wave_of[a] == self.wave_of[b]).map(<[usize]>::to_vec).collect();
        self.made.push(Segment { lane, waves, parts });
    }

    fn items(&mut self, items: &[Item], outermost: bool) {
        for item in items {
            match *item {
                Item::Step(s) => self.open.push(s),
                Item::Region(r) if outermost && self.plan.regions[r].schedule == Schedule::Queues => self.spread(r),
                Item::Region(r) => {
                    let region = &self.plan.regions[r];
                    let outermost = outermost && region.in_flight == 1;
                    for child in &region.children {
                        self.items(&child.body, outermost);
                        self.items(&child.join, outermost);
                    }
                }
            }
        }
    }

    /// A container over the lanes. The place of a sub-linop among those in flight gives its lane, so that whoever takes over its
    /// room is on the same one.
    fn spread(&mut self, r: usize) {
        let region = &self.plan.regions[r];
        let lanes = self.lanes.min(region.in_flight);
        // What is not added is stored by the sub-linops themselves, or copied to its place by their joins.
        let stored = |&step: &usize| !region.ordered && self.plan.steps[step].store.value == region.result;
        let joins: Vec<Vec<usize>> = region.children.iter().map(|c| steps(self.plan, &c.join)).collect();
        let bodies: Vec<Vec<usize>> = region.children.iter().map(|c| steps(self.plan, &c.body)).collect();
        // Without joins nothing is waited for: what follows in the same room is on the same lane.
        let joined = joins.iter().any(|j| !j.is_empty()) || !self.shared && bodies.iter().flatten().any(&stored);
        let round = if joined { region.in_flight } else { region.children.len() };
        let parts = self.shared && bodies.iter().flatten().any(&stored);
        let parts = parts.then_some(Parts { region: r, value: region.result });
        for first in (0..bodies.len()).step_by(round) {
            let round = first..bodies.len().min(first + round);
            let mut of = vec![Vec::new(); lanes];
            for i in round.clone() {
                of[i % region.in_flight % lanes].extend(&bodies[i]);
            }
            let mut storing = vec![Vec::new(); lanes];
            if !self.shared {
                for (own, storing) in of.iter_mut().zip(&mut storing) {
                    *storing = own.extract_if(.., |s| stored(s)).collect();
                }
            }
            let needed = self.needed(&of[1..]);
            let before = self.open.drain(..needed).collect();
            self.push(0, before, None);
            let behind = std::mem::take(&mut self.open);
            of[0].splice(..0, behind);
            // Where lanes have copies, what the others read is brought from lane 0, behind all that is submitted there by then.
            let first = usize::from(!self.shared);
            for lane in (0..lanes).map(|k| (k + first) % lanes) {
                self.push(lane, std::mem::take(&mut of[lane]), parts);
            }
            for lane in (0..lanes).map(|k| (k + first) % lanes) {
                self.push(lane, std::mem::take(&mut storing[lane]), None);
            }
            self.open.extend(joins[round].iter().flatten());
        }
    }

    /// How many of the open steps have to be submitted before those of other lanes: up to the last one whose buffers these use.
    /// What stands behind it goes with the sub-linops of lane 0, and nobody waits for it.
    fn needed(&self, others: &[Vec<usize>]) -> usize {
        let (mut read, mut written) = (HashSet::new(), HashSet::new());
        for &step in others.iter().flatten() {
            read.extend(self.read(step));
            written.extend(self.written(step));
        }
        let needed = |&step: &usize| {
            self.written(step).any(|b| read.contains(&b) || written.contains(&b))
                || self.read(step).any(|b| written.contains(&b))
        };
        self.open.iter().rposition(needed).map_or(0, |last| last + 1)
    }

    fn read(&self, step: usize) -> impl Iterator<Item = Buffer> {
        self.plan.steps[step].kernel.loads().iter().map(|l| self.buffer(l.value))
    }

    fn written(&self, step: usize) -> impl Iterator<Item = Buffer> {
        let s = &self.plan.steps[step];
        s.scratch.iter().chain([&s.store.value]).map(|&v| self.buffer(v))
    }

    fn buffer(&self, v: ValueId) -> Buffer {
        match self.plan.memory.slot_of[v.at()] {
            Some(slot) => Buffer::Slot(slot),
            None => Buffer::External(v),
        }
    }
}

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Buffer {
    Slot(usize),
    External(ValueId),
}

/// All steps of these items, those of containers within included.
fn steps(plan: &Plan, items: &[Item]) -> Vec<usize> {
    let of = |r: &Region| -> Vec<usize> {
        r.children.iter().flat_map(|c| [steps(plan, &c.body), steps(plan, &c.join)]).flatten().collect()
    };
    let all = items.iter().map(|item| match *item {
        Item::Step(s) => vec![s],
        Item::Region(r) => of(&plan.regions[r]),
    });
    all.flatten().collect()
}
