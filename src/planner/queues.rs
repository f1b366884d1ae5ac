//! Which containers of a plan go over several queues: the outermost ones whose sub-linops may be in flight together, where each
//! queue has enough to do of them.
//!
//! That is decided when the plan is made: its kernels, waves and buffers are the same either way.

use crate::plan::{Item, Plan, PlanOptions, Region, Schedule};
use crate::shader::work;

/// Says so of the containers of a plan for a GPU.
pub(super) fn spread(plan: &mut Plan, options: &PlanOptions) {
    if options.queues < 2 || plan.target.is_host() {
        return;
    }
    let mut found = Vec::new();
    outermost(plan, &plan.body, &mut found);
    for r in found {
        let share = share(plan, &plan.regions[r], options.queues);
        let (queues, least) = (options.queues, options.queue_work);
        let region = &mut plan.regions[r];
        if share >= least {
            region.schedule = Schedule::Queues;
            region.reason = match least {
                0 => format!("{queues} queues"),
                _ => format!("{queues} queues, {share} bytes to move on each; {least} are worth it"),
            };
        } else {
            region.reason = format!("{share} bytes to move on each of {queues} queues; {least} would be worth them");
        }
    }
}

/// The containers side by side that are in no other such one.
fn outermost(plan: &Plan, items: &[Item], found: &mut Vec<usize>) {
    for item in items {
        let Item::Region(r) = *item else { continue };
        let region = &plan.regions[r];
        if region.schedule == Schedule::Waves {
            found.push(r);
        } else if region.in_flight == 1 {
            let lists = region.children.iter().flat_map(|c| [&c.body, &c.join]);
            lists.for_each(|items| outermost(plan, items, found));
        }
    }
}

/// What each of so many queues has to do of a plan's first container that goes over several; None where no container does.
#[cfg(feature = "gpu")]
pub(crate) fn queue_share(plan: &Plan, queues: usize) -> Option<u64> {
    let spread = plan.regions.iter().find(|r| r.schedule == Schedule::Queues)?;
    Some(share(plan, spread, queues))
}

/// The work of a submission of a queue, on average: in each round as many sub-linops as may be in flight.
fn share(plan: &Plan, region: &Region, queues: usize) -> u64 {
    let all: u64 = region.children.iter().map(|c| of(plan, &c.body)).sum();
    let joined = region.children.iter().any(|c| !c.join.is_empty());
    let rounds = if joined { region.children.len().div_ceil(region.in_flight) } else { 1 };
    all / (queues.min(region.in_flight) * rounds).max(1) as u64
}

fn of(plan: &Plan, items: &[Item]) -> u64 {
    let one = |item: &Item| match *item {
        Item::Step(s) => {
            let cost = plan.step_cost(&plan.steps[s]);
            work(cost.read + cost.written, cost.flops)
        }
        Item::Region(r) => plan.regions[r].children.iter().map(|c| of(plan, &c.body) + of(plan, &c.join)).sum(),
    };
    items.iter().map(one).sum()
}
