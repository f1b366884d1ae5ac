//! From steps to a plan: scratch, order, waves, buffers.

use super::{memory, waves};
use crate::access::ValueId;
use crate::error::{Error, Result};
use crate::plan::{Item, Plan, PlanValue, Region, Step, Steps, Target};

pub(super) fn finish(mut s: Steps) -> Result<Plan> {
    let target = s.target;
    let mut number = Vec::new();
    let mut steps = Vec::new();
    for step in s.take_steps() {
        number.push(step.as_ref().map(|_| steps.len()));
        let Some(mut step) = step else { continue };
        // The plan keeps what is read, not how that came about.
        step.kernel.loads_mut().iter_mut().for_each(|l| l.done = Vec::new());
        let complex = s.values[step.store.value.at()].complex;
        let scratch = step.kernel.scratch(complex, &target).map(|needed| s.value(needed.extents, needed.complex));
        steps.push(Step { kernel: step.kernel, store: step.store, scratch });
    }
    let renumbered = |items: Vec<Item>| -> Vec<Item> {
        let item = |i: Item| match i {
            Item::Step(at) => number[at].map(Item::Step),
            Item::Region(r) => Some(Item::Region(r)),
        };
        items.into_iter().filter_map(item).collect()
    };
    for region in &mut s.regions {
        for child in &mut region.children {
            child.body = renumbered(std::mem::take(&mut child.body));
            child.join = renumbered(std::mem::take(&mut child.join));
        }
    }
    let body = renumbered(std::mem::take(&mut s.bodies[0].1));
    let (steps, body) = in_order(steps, body, &mut s.regions);
    let (mut values, mut regions, mut output, mut steps) = (s.values, s.regions, s.output, steps);
    drop_unused(&mut values, &mut steps, &mut regions, &mut output);
    if let Target::Gpu(limits) = target
        && let Some(v) = values.iter().find(|v| v.bytes() > limits.max_buffer)
    {
        let what = format!("a value of extents {:?}", v.extents);
        return Err(Error::TooBig { what, needed: v.bytes(), limit: limits.max_buffer });
    }
    let waves = waves::waves(&body, &mut regions);
    let memory = memory::assign(&target, &values, &steps, &body, &regions, output);
    Ok(Plan { target, values, steps, body, waves, output, memory, regions })
}

/// Steps that were added late stand at the end of the list, but where they belong among the items: numbers in the order of the
/// items.
fn in_order(steps: Vec<Step>, body: Vec<Item>, regions: &mut [Region]) -> (Vec<Step>, Vec<Item>) {
    fn visit(items: &[Item], regions: &[Region], order: &mut Vec<usize>) {
        for item in items {
            match *item {
                Item::Step(at) => order.push(at),
                Item::Region(r) => {
                    for child in &regions[r].children {
                        visit(&child.body, regions, order);
                        visit(&child.join, regions, order);
                    }
                }
            }
        }
    }
    let mut order = Vec::with_capacity(steps.len());
    visit(&body, regions, &mut order);
    let mut new = vec![0; steps.len()];
    order.iter().enumerate().for_each(|(k, &at)| new[at] = k);
    let renumber = |items: &mut Vec<Item>| {
        for item in items {
            if let Item::Step(at) = item {
                *at = new[*at];
            }
        }
    };
    let mut body = body;
    renumber(&mut body);
    for child in regions.iter_mut().flat_map(|r| &mut r.children) {
        renumber(&mut child.body);
        renumber(&mut child.join);
    }
    let mut all: Vec<(usize, Step)> = steps.into_iter().enumerate().map(|(at, s)| (new[at], s)).collect();
    all.sort_by_key(|(at, _)| *at);
    (all.into_iter().map(|(_, s)| s).collect(), body)
}

/// Leaves out the values that nothing is stored in any more.
fn drop_unused(values: &mut Vec<PlanValue>, steps: &mut [Step], regions: &mut [Region], output: &mut ValueId) {
    let mut used = vec![false; values.len()];
    used[ValueId::INPUT.at()] = true;
    let written = steps.iter().flat_map(|s| s.scratch.into_iter().chain([s.store.value]));
    written.chain(regions.iter().map(|r| r.result)).for_each(|v| used[v.at()] = true);
    let mut new = vec![ValueId::INPUT; values.len()];
    for (next, at) in (0..values.len()).filter(|&at| used[at]).enumerate() {
        new[at] = ValueId::new(next);
    }
    let mut at = 0;
    values.retain(|_| {
        at += 1;
        used[at - 1]
    });
    let renumber = |v: &mut ValueId| *v = new[v.at()];
    for step in steps {
        step.kernel.loads_mut().iter_mut().for_each(|l| renumber(&mut l.value));
        renumber(&mut step.store.value);
        step.scratch.iter_mut().for_each(renumber);
    }
    regions.iter_mut().for_each(|r| renumber(&mut r.result));
    renumber(output);
}
