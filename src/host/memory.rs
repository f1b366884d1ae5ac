//! What applying a plan on the host takes of memory beside its values: buffers of tasks, tables of transforms.
//!
//! No task of a kernel that holds a buffer waits for other tasks: a thread that waits takes up others' work, and would hold
//! one more buffer for each level. So a thread holds the buffers of one task at a time, and their sum is bounded by the number
//! of threads, whatever runs side by side.

use super::fft::AxisPlans;
use super::filter::FilterPlan;
use super::{gather, interpolate, reduce, step};
use crate::program::{Item, Kernel, Plan, Step};
use std::collections::HashMap;

/// Bytes that one read or weight takes as it is bound, at most: its extents, strides and bounds.
const BOUND: u64 = 2 << 10;

/// What is taken while kernels run, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// By each thread, at most.
    pub each: u64,
    /// By the kernels that run at the same time, at most.
    pub once: u64,
}

impl Taken {
    /// Of two that do not run at the same time.
    pub fn or(self, other: Taken) -> Taken {
        Taken { each: self.each.max(other.each), once: self.once.max(other.once) }
    }
}

/// What an apply takes with so many threads, its values left out.
pub(crate) fn taken(plan: &Plan, threads: usize) -> Taken {
    of_items(plan, &plan.body, threads)
}

/// Bytes of what the plan reads besides values: weights, tables of points with their tiles, index lists. Other plans that read
/// the same share it.
pub(crate) fn constant_bytes(plan: &Plan) -> u64 {
    let weights: u64 = plan.weights().iter().map(|w| w.bytes()).sum();
    // A table may be read by several steps, some of which need more of it.
    let mut points: HashMap<usize, u64> = HashMap::new();
    let mut lists: HashMap<usize, u64> = HashMap::new();
    for step in &plan.steps {
        let (tables, at, bytes) = match &step.kernel {
            Kernel::Interpolate { points: p, weights, .. } => {
                (&mut points, p.address(), interpolate::table_bytes(p, *weights, true))
            }
            Kernel::Spread { points: p, weights, .. } => {
                (&mut points, p.address(), interpolate::table_bytes(p, *weights, false))
            }
            Kernel::Gather { index, .. } => (&mut lists, index.address(), gather::list_bytes(index, false)),
            Kernel::Scatter { index, .. } => (&mut lists, index.address(), gather::list_bytes(index, true)),
            _ => continue,
        };
        let most = tables.entry(at).or_default();
        *most = bytes.max(*most);
    }
    weights + points.values().chain(lists.values()).sum::<u64>()
}

/// Bytes of the tables that an instance makes for its transforms, at most.
pub(crate) fn table_bytes(plan: &Plan) -> u64 {
    let of = |s: &Step| match &s.kernel {
        Kernel::Filter { load, filter, .. } => FilterPlan::<f32>::new(filter, load).table_bytes(),
        kernel => AxisPlans::<f32>::cost(kernel).map_or(0, |(_, tables)| tables),
    };
    plan.steps.iter().map(of).sum()
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
            let mut once: Vec<u64> = children.iter().map(|c| c.once).collect();
            once.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
            let once = once.iter().take(region.in_flight).sum::<u64>() + 256 * children.len() as u64;
            Taken { each, once }
        }
    };
    items.iter().map(of_item).fold(Taken::default(), Taken::or)
}

fn of_step(plan: &Plan, step: &Step, threads: usize) -> Taken {
    let element = plan.values[step.store.value.at()].element_bytes() as usize;
    let own = match &step.kernel {
        Kernel::Zero { .. } | Kernel::Map { .. } | Kernel::FftPass { .. } => Taken::default(),
        Kernel::Add { .. } => step::add_taken(element),
        Kernel::Reduce { load, kept, .. } => reduce::taken(load, *kept, element),
        Kernel::Gather { load, .. } | Kernel::Scatter { load, .. } => {
            let same = plan.values[load.value.at()].element_bytes() as usize == element;
            gather::taken(load, same, element)
        }
        Kernel::Interpolate { load, points, weights, .. } => {
            interpolate::interpolate_taken(load, points, *weights, element)
        }
        Kernel::Spread { load, points, weights, .. } => {
            interpolate::spread_taken(load, points, *weights, element, threads)
        }
        Kernel::Fft { .. } => AxisPlans::<f32>::cost(&step.kernel).map_or_else(Taken::default, |(taken, _)| taken),
        Kernel::Filter { load, filter, .. } => FilterPlan::<f32>::new(filter, load).taken(),
    };
    let factors = |loads: &[crate::program::Load]| loads.iter().map(|l| 1 + l.factors.len()).sum::<usize>();
    // Those behind a transform are not counted among its reads.
    let bound = factors(step.kernel.loads()) + step.kernel.post().map_or(0, |p| 1 + p.factors.len());
    Taken { each: own.each + BOUND, once: own.once + BOUND * bound as u64 }
}
