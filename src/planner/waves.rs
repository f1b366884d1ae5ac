//! Which steps of a plan may run together: waves, each of which waits for the one before.
//!
//! Outside of containers steps follow each other. Sub-linops in flight advance side by side; a sub-linop starts when the one
//! whose place it takes has been joined; results are joined one after the other where they are added.

use crate::plan::{Child, Item, Region};

/// The waves of a plan's body, and their number for each region.
pub(super) fn waves(body: &[Item], regions: &mut [Region]) -> Vec<Vec<usize>> {
    let mut all = Waves { regions, waves: Vec::new() };
    all.items(body, 0);
    all.waves
}

struct Waves<'a> {
    regions: &'a mut [Region],
    waves: Vec<Vec<usize>>,
}

impl Waves<'_> {
    /// Places items from wave `at` on; gives the first wave behind them.
    fn items(&mut self, items: &[Item], mut at: usize) -> usize {
        for item in items {
            at = match *item {
                Item::Step(step) => {
                    if self.waves.len() <= at {
                        self.waves.resize_with(at + 1, Vec::new);
                    }
                    self.waves[at].push(step);
                    at + 1
                }
                Item::Region(r) => self.region(r, at),
            };
        }
        at
    }

    fn region(&mut self, r: usize, start: usize) -> usize {
        let children: Vec<Child> = std::mem::take(&mut self.regions[r].children);
        let (in_flight, ordered) = (self.regions[r].in_flight, self.regions[r].ordered);
        let mut joined: Vec<usize> = Vec::with_capacity(children.len());
        // The first wave behind all that wait for their join.
        let mut open = start;
        for (i, child) in children.iter().enumerate() {
            let begin = if i >= in_flight { joined[i - in_flight] } else { start };
            open = open.max(self.items(&child.body, begin));
            if child.joins == 0 {
                continue;
            }
            let end = if ordered { open.max(joined.last().copied().unwrap_or(start)) } else { open };
            let behind = self.items(&child.join, end);
            joined.resize(i + 1, behind);
            open = start;
        }
        let end = joined.into_iter().max().unwrap_or(start).max(start);
        self.regions[r].children = children;
        self.regions[r].waves = end - start;
        end
    }
}
