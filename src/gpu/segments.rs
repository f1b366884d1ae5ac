//! A plan as stretches of work, each for one lane, in an order in which they can be submitted.

use crate::plan::{Item, Plan, Schedule};

/// Steps that are submitted together on a lane.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub lane: usize,
    /// Steps that may run together, one set after the other.
    pub waves: Vec<Vec<usize>>,
}

/// The segments of a plan over so many lanes. With one lane there is one: the order within a queue is all that is needed.
/// With several the sub-linops of outermost containers go to the lanes in turn; joins and all else stay on lane 0. Which
/// lane waits for which follows from what the segments read and write.
pub(super) fn segments(plan: &Plan, lanes: usize) -> Vec<Segment> {
    if lanes < 2 || !plan.regions.iter().any(|r| r.schedule == Schedule::Queues) {
        return vec![Segment { lane: 0, waves: plan.waves.clone() }];
    }
    let mut s = Splitter { plan, lanes, steps: Vec::new(), apart: false };
    s.items(&plan.body, 0, true);
    let mut wave_of = vec![0; plan.steps.len()];
    plan.waves.iter().enumerate().for_each(|(w, wave)| wave.iter().for_each(|&step| wave_of[step] = w));
    let segment = |(lane, mut steps): (usize, Vec<usize>)| {
        steps.sort_by_key(|&s| wave_of[s]);
        let waves = steps.chunk_by(|&a, &b| wave_of[a] == wave_of[b]).map(<[usize]>::to_vec).collect();
        Segment { lane, waves }
    };
    s.steps.into_iter().map(segment).collect()
}

struct Splitter<'a> {
    plan: &'a Plan,
    lanes: usize,
    /// Lane and steps of each segment.
    steps: Vec<(usize, Vec<usize>)>,
    /// The next step begins a segment.
    apart: bool,
}

impl Splitter<'_> {
    fn push(&mut self, step: usize, lane: usize) {
        match self.steps.last_mut() {
            Some((l, steps)) if *l == lane && !self.apart => steps.push(step),
            _ => self.steps.push((lane, vec![step])),
        }
        self.apart = false;
    }

    fn items(&mut self, items: &[Item], lane: usize, outermost: bool) {
        for item in items {
            match *item {
                Item::Step(s) => self.push(s, lane),
                Item::Region(r) if outermost && self.plan.regions[r].schedule == Schedule::Queues => {
                    self.spread(r, lane)
                }
                Item::Region(r) => {
                    let region = &self.plan.regions[r];
                    let outermost = outermost && region.in_flight == 1;
                    for child in &region.children {
                        self.items(&child.body, lane, outermost);
                        self.items(&child.join, lane, outermost);
                    }
                }
            }
        }
    }

    /// A container over the lanes: a sub-linop is submitted after the join of the one whose place it takes.
    fn spread(&mut self, r: usize, lane: usize) {
        let region = &self.plan.regions[r];
        for (i, child) in region.children.iter().enumerate() {
            if let Some(before) = i.checked_sub(region.in_flight) {
                self.apart = true;
                self.items(&region.children[before].join, lane, false);
            }
            self.apart = true;
            for item in &child.body {
                // What is written by several lanes is written last and by itself: so much of them waits for each other.
                if let Item::Step(s) = *item {
                    self.apart |= self.plan.steps[s].store.value == region.result;
                }
                self.items(std::slice::from_ref(item), i % self.lanes, false);
            }
        }
        self.apart = true;
        let left = region.children.len().saturating_sub(region.in_flight);
        region.children[left..].iter().for_each(|c| self.items(&c.join, lane, false));
        self.apart = true;
    }
}
