//! Programs of one structure, or one program many times, as one program with an axis in front.

use super::{Node, Op, Parallel, Primitive, Program, Split, Stack};
use crate::access::{AxisMap, Constant, MapAxis};
use crate::error::{Error, Result, shape_err};
use std::sync::Arc;

/// Elements of the values of a program, and of its weights.
fn lengths(p: &Program, values: &mut Vec<usize>, weights: &mut Vec<usize>) {
    values.push(p.input.iter().product());
    for node in &p.nodes {
        values.push(node.extents.iter().product());
        match &node.op {
            Op::Mul { weight, .. } => weights.push(weight.len()),
            Op::Primitive(p) => weights.extend(p.weights().iter().map(|w| w.len())),
            Op::Parallel(par) => par.children.iter().for_each(|c| lengths(c, values, weights)),
            Op::Zero | Op::Scale(_) | Op::Map(_) | Op::Reshape | Op::Sum(_) | Op::Add => {}
        }
    }
}

/// How many of `count` sub-linops like this one go into one dispatch: at most `in_flight`, no value or weight of them
/// together above `bindable` elements, and no buffer larger than as many buffers of one; with those of a small rest, too.
pub(crate) fn batch_size(
    like: &Program,
    count: usize,
    in_flight: usize,
    bindable: usize,
    class: impl Fn(u64) -> u64,
) -> usize {
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    lengths(like, &mut values, &mut weights);
    let largest = values.iter().chain(&weights).copied().max().unwrap_or(1);
    let fits = |&size: &usize| {
        let rest = count % size;
        let class = |n: usize| class(8 * n as u64);
        (rest == 0 || 2 * rest >= size || size + rest <= in_flight)
            && values.iter().all(|&n| class(size * n) <= size as u64 * class(n))
    };
    (1..=in_flight.min(count).min(bindable / largest)).rev().find(fits).unwrap_or(1)
}

/// One program for all, input and output with an axis of `programs.len()` in front; None where they differ in more than
/// their weights.
pub(crate) fn together(programs: &[Program]) -> Option<Program> {
    let all: Vec<&Program> = programs.iter().collect();
    // Compared before anything is copied.
    joined(&all, all.len(), &|w| Some((w[0].clone(), false)))?;
    joined(&all, all.len(), &stack)
}

/// The program for all rows along new axes in front of its input and of its output, of these extents. Its weights stand in the
/// result once, however many rows there are.
///
/// # Errors
/// A value of so many rows has more elements than can be counted.
pub(crate) fn batched(program: &Program, rows: &[usize]) -> Result<Program> {
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    lengths(program, &mut values, &mut weights);
    let largest = values.into_iter().max().unwrap_or(1);
    let counted = rows.iter().try_fold(largest, |n, &e| n.checked_mul(e)).filter(|n| *n <= isize::MAX as usize);
    if counted.is_none() {
        return shape_err!("a value of {largest} elements for each of {rows:?} rows has more than can be counted");
    }
    let row = |p: Program, &extent: &usize| {
        joined(&[&p], extent, &stack)
            .ok_or_else(|| Error::Shape("a program has a part that takes no axis in front".into()))
    };
    rows.iter().rev().try_fold(program.clone(), row)
}

/// One program that does for `rows` rows what these do for one each, or the only one for all.
fn joined(programs: &[&Program], rows: usize, stack: Stack) -> Option<Program> {
    let first = *programs.first()?;
    let same = |p: &&Program| p.input == first.input && p.output == first.output && p.nodes.len() == first.nodes.len();
    if !programs.iter().all(same) {
        return None;
    }
    let front = |e: &[usize]| -> Vec<usize> { std::iter::once(rows).chain(e.iter().copied()).collect() };
    let ops = |i: usize| -> Vec<&Op> { programs.iter().map(|p| &p.nodes[i].op).collect() };
    let mut nodes = Vec::with_capacity(first.nodes.len());
    for (i, node) in first.nodes.iter().enumerate() {
        if !programs.iter().map(|p| &p.nodes[i]).all(|n| n.inputs == node.inputs && n.extents == node.extents) {
            return None;
        }
        nodes.push(Node { op: op(&ops(i), rows, stack)?, inputs: node.inputs.clone(), extents: front(&node.extents) });
    }
    Some(Program::new(front(&first.input), nodes, first.output))
}

/// The op that does for all rows what these do for one each, or the only one for all.
fn op(ops: &[&Op], rows: usize, stack: Stack) -> Option<Op> {
    let first = *ops.first()?;
    let moved = |axes: &[usize]| -> Vec<usize> { axes.iter().map(|a| a + 1).collect() };
    let equal = || ops.iter().all(|o| *o == first);
    Some(match first {
        Op::Mul { weight, axes, conj } => {
            let mut weights = Vec::with_capacity(ops.len());
            for o in ops {
                let Op::Mul { weight: w, axes: a, conj: c } = o else { return None };
                (a == axes && c == conj && w.is_complex() == weight.is_complex()).then(|| weights.push(w.clone()))?;
            }
            let (weight, stacked) = stack(&weights)?;
            let mut axes = moved(axes);
            if stacked {
                axes.insert(0, 0);
            }
            Op::Mul { weight, axes, conj: *conj }
        }
        Op::Parallel(p) => {
            let mut all = Vec::with_capacity(ops.len());
            for o in ops {
                let Op::Parallel(q) = o else { return None };
                let alike = (&q.feed, &q.join, &q.settings) == (&p.feed, &p.join, &p.settings);
                (alike && q.children.len() == p.children.len()).then(|| all.push(q))?;
            }
            let child = |k: usize| {
                let column: Vec<&Program> = all.iter().map(|q| &q.children[k]).collect();
                joined(&column, rows, stack)
            };
            let split = |s: &Split| match s {
                Split::Whole => Split::Whole,
                Split::Slices { axis, extents } => Split::Slices { axis: axis + 1, extents: extents.clone() },
            };
            Op::Parallel(Arc::new(Parallel {
                children: (0..p.children.len()).map(child).collect::<Option<_>>()?,
                feed: split(&p.feed),
                join: split(&p.join),
                settings: p.settings.clone(),
                label: p.label.clone(),
                names: p.names.clone(),
            }))
        }
        Op::Primitive(p) => {
            let primitive = |o: &&Op| match o {
                Op::Primitive(q) => Some(q.clone()),
                _ => None,
            };
            let all: Vec<Arc<dyn Primitive>> = ops.iter().map(primitive).collect::<Option<_>>()?;
            Op::Primitive(p.together(&all.iter().map(|p| &**p).collect::<Vec<_>>(), stack)?)
        }
        // These differ in nothing, or not at all. A reshape's extents stand in its nodes.
        Op::Zero | Op::Scale(_) | Op::Add | Op::Reshape => equal().then(|| first.clone())?,
        Op::Map(axes) => {
            equal().then_some(())?;
            let own = MapAxis::From(0, AxisMap::identity(rows));
            let rest = axes.iter().map(|a| match a {
                MapAxis::From(from, m) => MapAxis::From(from + 1, *m),
                MapAxis::New => MapAxis::New,
            });
            Op::Map(std::iter::once(own).chain(rest).collect())
        }
        Op::Sum(axes) => equal().then(|| Op::Sum(moved(axes)))?,
    })
}

/// The weight that all share, or all of them behind an axis; and whether the latter.
fn stack(weights: &[Constant]) -> Option<(Constant, bool)> {
    let first = weights.first()?;
    if weights.iter().all(|w| w == first) {
        return Some((first.clone(), false));
    }
    Constant::stacked(weights).ok().map(|c| (c, true))
}
