//! What applying a plan on the host takes of memory beside its values: buffers of tasks, tables of transforms.

use super::kept::Constants;
use crate::loops::Taken;
use crate::plan::{Held, HostKernel, Item, Plan, Step};
use std::collections::HashMap;

/// Bytes that one read or weight takes as it is bound, at most: its extents, strides and bounds.
const BOUND: u64 = 2 << 10;

/// What an apply takes with so many threads, its values left out.
pub(crate) fn taken(plan: &Plan, threads: usize) -> Taken {
    of_items(plan, &plan.body, threads)
}

/// Bytes of what the plan reads besides values: weights, tables of points with their tiles, index lists. Other plans that read
/// the same share it.
pub(crate) fn constant_bytes(plan: &Plan) -> u64 {
    constants(plan).values().sum()
}

/// The same, each by itself.
pub(super) fn constants(plan: &Plan) -> HashMap<Constants, u64> {
    let mut all: HashMap<Constants, u64> =
        plan.weights().iter().map(|w| (Constants::Weight(w.key().clone()), w.bytes())).collect();
    // Data may be used by several steps, some of which need more of them.
    for held in plan.steps.iter().flat_map(|s| s.kernel.held()) {
        if let Held::Data { address, bytes } = held {
            let own = all.entry(Constants::Data(address)).or_default();
            *own = bytes.max(*own);
        }
    }
    all
}

/// Bytes of the tables of a plan's kernels, at most.
pub(crate) fn table_bytes(plan: &Plan) -> u64 {
    plan.steps.iter().filter_map(kernel).map(|k| k.table_bytes()).sum()
}

fn kernel(step: &Step) -> Option<&dyn HostKernel> {
    step.kernel.for_host()
}

fn of_items(plan: &Plan, items: &[Item], threads: usize) -> Taken {
    let of_item = |item: &Item| match *item {
        Item::Step(s) => of_step(plan, &plan.steps[s], threads),
        Item::Region(r) => {
            let region = &plan.regions[r];
            let child = |items: &[Item]| of_items(plan, items, threads);
            let children: Vec<Taken> = region.children.iter().map(|c| child(&c.body).or(child(&c.join))).collect();
            let each = children.iter().map(|c| c.each).max().unwrap_or(0);
            // Those in flight at the same time: in the worst case the largest.
            let mut shared: Vec<u64> = children.iter().map(|c| c.shared).collect();
            shared.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
            let shared = shared.iter().take(region.in_flight).sum::<u64>() + 256 * children.len() as u64;
            Taken { each, shared }
        }
    };
    items.iter().map(of_item).fold(Taken::default(), Taken::or)
}

fn of_step(plan: &Plan, step: &Step, threads: usize) -> Taken {
    let element = plan.values[step.store.value.at()].element_bytes() as usize;
    let loads = step.kernel.loads();
    let same = loads.first().is_some_and(|l| plan.values[l.value.at()].element_bytes() as usize == element);
    let own = kernel(step).map_or_else(Taken::default, |k| k.taken(element, same, threads));
    // Reads, and weights behind a result.
    let reads = loads.iter().map(|l| 1 + l.factors.len()).sum::<usize>();
    let bound = reads + step.kernel.post().map_or(0, |p| 1 + p.factors.len());
    Taken { each: own.each + BOUND, shared: own.shared + BOUND * bound as u64 }
}
