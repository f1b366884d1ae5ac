//! Containers in a plan: how their sub-linops run, and how their results are joined.
//!
//! What the sub-linops compute is the same for every schedule; a schedule decides which of them may run together. Results are added
//! in their order, into one place, so that no more of them exist than sub-linops are in flight: on a GPU as many at once of those that
//! are in flight together as a kernel binds, which is the same sum. Every sub-linop is a scope of its own: what fuses across a
//! container's edge would depend on how its sub-linops run.

use super::lower::Lowerer;
use crate::access::{AxisMap, Load, MapAxis, Store, ValueId, identity_axes};
use crate::error::{Error, Result};
use crate::ir::{Lowered, Lowering, Parallel, Program, Split, batch_size, together};
use crate::plan::{BodyKind, Child, Item, Region, Schedule, Target, size_class};
use crate::primitive::map::MapKernel;
use std::ops::Range;

/// A container's input and what it is made for.
struct Container<'a> {
    p: &'a Parallel,
    x: Lowered,
    extents: &'a [usize],
    /// The joined result; its dtype is known when all parts are.
    result: ValueId,
}

/// Appends the steps of a container, applied to x.
pub(super) fn lower(l: &mut Lowerer, x: Lowered, p: &Parallel, extents: &[usize]) -> Result<Lowered> {
    let around = l.scope;
    if let ([child], Split::Whole, Split::Whole) = (&p.children[..], &p.feed, &p.join) {
        let listed = l.steps.regions.len();
        l.steps.regions.push(region(p, Schedule::Sequential, "there is one sub-linop", 1, ValueId::INPUT));
        let before = l.steps.end();
        l.scope = l.steps.scope(around);
        let y = l.nodes(child, x);
        l.scope = around;
        l.steps.regions[listed].waves = l.steps.end() - before;
        return y;
    }
    let result = l.steps.joined_value(extents.to_vec());
    let c = Container { p, x, extents, result };
    let in_flight = p.settings.in_flight(p.children.len(), l.options.lanes);
    let complex = match batches(l, &c, in_flight) {
        Some(batches) => in_batches(l, &c, &batches)?,
        None => side_by_side(l, &c, in_flight)?,
    };
    l.steps.values[result.at()].complex = complex;
    Ok(Lowered { value: result, extents: extents.to_vec(), complex })
}

/// Every sub-linop by itself, in a region of the plan.
fn side_by_side(l: &mut Lowerer, c: &Container, in_flight: usize) -> Result<bool> {
    let p = c.p;
    let (schedule, reason) = match (in_flight, l.steps.target) {
        (1, _) if p.children.len() == 1 => (Schedule::Sequential, "there is one sub-linop".to_string()),
        (1, _) if !p.settings.threaded => (Schedule::Sequential, "threaded is false".into()),
        (1, _) if p.settings.num_workers == Some(1) => (Schedule::Sequential, "num_workers is 1".into()),
        (1, _) => (Schedule::Sequential, "there is one lane".into()),
        (_, Target::Host) => (Schedule::Tasks, "on the host's threads".into()),
        (_, Target::Gpu(_)) => (Schedule::Waves, "the sub-linops differ, or do not fit a binding together".into()),
    };
    let mut this = region(p, schedule, &reason, in_flight, c.result);
    this.disjoint = matches!(&p.join, Split::Slices { axis, .. } if c.extents[..*axis].iter().all(|&n| n == 1));
    this.ordered = p.join == Split::Whole;
    // Listed before those within.
    let at = l.steps.regions.len();
    l.steps.regions.push(this);
    let (around, body) = (l.scope, l.body);
    let mut complex = false;
    let mut children = Vec::with_capacity(p.children.len());
    let mut open: Vec<Load> = Vec::new();
    for (i, child) in p.children.iter().enumerate() {
        let own = new_body(l, BodyKind::Own);
        l.body = own;
        l.scope = l.steps.scope(around);
        let fed = fed(l, c, i, None)?;
        let y = l.nodes(child, fed)?;
        complex |= y.complex;
        l.body = new_body(l, BodyKind::JoinOf(own));
        l.scope = around;
        open.push(y.load());
        let joins = if is_joined_behind(l, c, i, open.len(), in_flight) { open.len() } else { 0 };
        let stretch = match joins {
            0 => 0..0,
            _ => join(l, c, i + 1 - joins, 1, &std::mem::take(&mut open)),
        };
        children.push((own, l.body, joins, stretch));
    }
    l.body = body;
    for (i, (own, join, joins, stretch)) in children.into_iter().enumerate() {
        let name = p.names.get(i).cloned().unwrap_or_default();
        let take = |l: &mut Lowerer, body: usize| std::mem::take(&mut l.steps.bodies[body].1);
        let (body, join) = (take(l, own), take(l, join));
        l.steps.regions[at].children.push(Child { name, body, join, joins, stretch });
    }
    l.steps.bodies[body].1.push(Item::Region(at));
    Ok(complex)
}

/// Whether the results of the last `open` sub-linops up to this one are joined behind it. On a GPU they are added together where they are in
/// flight together: a round of them ends where the next takes over their room. The host joins what a core has in its cache.
fn is_joined_behind(l: &Lowerer, c: &Container, i: usize, open: usize, in_flight: usize) -> bool {
    if l.steps.target.is_host() || c.p.join != Split::Whole {
        return true;
    }
    let most = l.steps.target.max_terms() - usize::from(i + 1 > open);
    open == most || (i + 1).is_multiple_of(in_flight) || i + 1 == c.p.children.len()
}

fn new_body(l: &mut Lowerer, kind: BodyKind) -> usize {
    l.steps.bodies.push((kind, Vec::new()));
    l.steps.bodies.len() - 1
}

/// The sub-linops as programs of several each, where their structure, settings and sizes allow it. Only on a GPU: the
/// host's tasks keep one sub-linop's values in a core's cache.
fn batches(l: &Lowerer, c: &Container, in_flight: usize) -> Option<Vec<Program>> {
    let p = c.p;
    if l.steps.target.is_host() || in_flight < 2 {
        return None;
    }
    for split in [&p.feed, &p.join] {
        if let Split::Slices { extents, .. } = split {
            extents.iter().all(|n| *n == extents[0]).then_some(())?;
        }
    }
    // Cut into windows, a sum would have another order.
    let bindable = l.steps.target.bindable();
    let count = batch_size(p.children.first()?, p.children.len(), in_flight, bindable, size_class);
    let input: usize = c.x.extents.iter().product();
    if count < 2 || input > bindable {
        return None;
    }
    p.children.chunks(count).map(together).collect()
}

fn in_batches(l: &mut Lowerer, c: &Container, batches: &[Program]) -> Result<bool> {
    let p = c.p;
    let count = batches.first().map_or(1, |b| b.input_extents()[0]);
    let reason = format!("{} sub-linops of one structure, {count} in a dispatch", p.children.len());
    let listed = l.steps.regions.len();
    l.steps.regions.push(region(p, Schedule::Batched, &reason, count, c.result));
    let (before, around) = (l.steps.end(), l.scope);
    let mut complex = false;
    let mut at = 0;
    for batch in batches {
        let count = batch.input_extents()[0];
        l.scope = l.steps.scope(around);
        let fed = fed(l, c, at, Some(count))?;
        l.batch *= count;
        let y = l.nodes(batch, fed);
        l.batch /= count;
        l.scope = around;
        let y = y?;
        complex |= y.complex;
        match &p.join {
            Split::Slices { axis, .. } => {
                // (batch, …) to (…, batch, …): the batch is the outer part of the joined axis.
                let order: Vec<usize> = (1..=*axis).chain([0]).chain(*axis + 1..y.extents.len()).collect();
                join(l, c, at, count, &[y.load().permuted(&order)]);
            }
            Split::Whole => {
                let parts = (0..count).map(|k| row(&y, k, c.extents)).collect::<Result<Vec<Load>>>()?;
                let (mut rest, mut done) = (&parts[..], at);
                while !rest.is_empty() {
                    let most = l.steps.target.max_terms() - usize::from(done > 0);
                    let (now, later) = rest.split_at(most.min(rest.len()));
                    join(l, c, done, 1, now);
                    (rest, done) = (later, done + now.len());
                }
            }
        }
        at += count;
    }
    l.steps.regions[listed].waves = l.steps.end() - before;
    Ok(complex)
}

/// Row `k` of a batch, under these extents.
fn row(y: &Lowered, k: usize, extents: &[usize]) -> Result<Load> {
    let mut e = y.extents.clone();
    let mut axes = identity_axes(&e);
    axes[0] = MapAxis::From(0, AxisMap::affine(1, k as i64, 1, e[0], 1));
    e[0] = 1;
    let load = y.load().mapped(&axes, &e).and_then(|l| l.reshaped(extents));
    load.ok_or_else(|| Error::Shape(format!("a part of {:?} cannot be planned", y.extents)))
}

/// What the sub-linops from `first` on read: one, or a batch of several (or one) behind an axis of their own.
fn fed(l: &mut Lowerer, c: &Container, first: usize, batch: Option<usize>) -> Result<Lowered> {
    let x = &c.x;
    let cannot = || Error::Shape(format!("{:?} cannot be fed in slices", x.extents));
    let load = match (&c.p.feed, batch) {
        (Split::Whole, None) => return Ok(x.clone()),
        (Split::Whole, Some(count)) => {
            let e: Vec<usize> = std::iter::once(count).chain(x.extents.iter().copied()).collect();
            let mut axes = identity_axes(&x.extents);
            axes.insert(0, MapAxis::New);
            x.load().mapped(&axes, &e).ok_or_else(cannot)?
        }
        (Split::Slices { axis, extents }, _) => {
            let (start, count) = (extents[..first].iter().sum::<usize>(), batch.unwrap_or(1));
            let mut e = x.extents.clone();
            let mut axes = identity_axes(&e);
            let length = extents[first..first + count].iter().sum();
            axes[*axis] = MapAxis::From(*axis, AxisMap::affine(1, start as i64, 1, e[*axis], length));
            e[*axis] = length;
            let cut = x.load().mapped(&axes, &e).ok_or_else(cannot)?;
            match batch {
                None => cut,
                Some(count) => {
                    e.splice(*axis..=*axis, [count, extents[first]]);
                    let order: Vec<usize> = std::iter::once(*axis).chain((0..e.len()).filter(|a| a != axis)).collect();
                    cut.reshaped(&e).ok_or_else(cannot)?.permuted(&order)
                }
            }
        }
    };
    let extents = load.extents.clone();
    Ok(l.map(MapKernel::of(load), &extents, x.complex))
}

/// Joins the results of sub-linops from `at` on: adds them, or writes the one of the next `count` to its slice. Gives the elements that
/// these own.
fn join(l: &mut Lowerer, c: &Container, at: usize, count: usize, parts: &[Load]) -> Range<usize> {
    let len: usize = c.extents.iter().product();
    let (kernel, store, owned) = match &c.p.join {
        Split::Whole => {
            let before = (at > 0).then(|| Load::whole(c.result, c.extents));
            let loads = before.into_iter().chain(parts.iter().cloned()).collect();
            (MapKernel::sum(loads), Store::whole(c.result, len), 0..len)
        }
        Split::Slices { axis, extents } => {
            let inner: usize = c.extents[axis + 1..].iter().product();
            let start = extents[..at].iter().sum::<usize>() * inner;
            let run = extents[at..at + count].iter().sum::<usize>() * inner;
            let store = Store { value: c.result, run, pitch: c.extents[*axis] * inner, start };
            (MapKernel::sum(parts.to_vec()), store, start..start + run)
        }
    };
    let kernel = l.pointwise(kernel);
    l.part(kernel, store);
    owned
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
