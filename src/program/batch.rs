//! Programs of one structure as one program with an axis in front.

use super::*;
use crate::error::Result;

/// Elements of the values of a program, and of its weights.
fn lengths(p: &Program, values: &mut Vec<usize>, weights: &mut Vec<usize>) {
    values.push(p.input.iter().product());
    for node in &p.nodes {
        values.push(node.extents.iter().product());
        match &node.op {
            Op::Mul { weight, .. } => weights.push(weight.len()),
            Op::Contract(c) => weights.push(c.weight.len()),
            Op::Parallel(par) => par.children.iter().for_each(|c| lengths(c, values, weights)),
            _ => {}
        }
    }
}

/// How many of `count` sub-linops like this one go into one dispatch: at most `in_flight`, no value or weight of them
/// together above `room` elements, and no buffer larger than as many buffers of one; with those of a small rest, too.
pub(super) fn size(like: &Program, count: usize, in_flight: usize, room: usize) -> usize {
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    lengths(like, &mut values, &mut weights);
    let largest = values.iter().chain(&weights).copied().max().unwrap_or(1);
    let fits = |&size: &usize| {
        let rest = count % size;
        let class = |n: usize| size_class(8 * n as u64);
        (rest == 0 || 2 * rest >= size || size + rest <= in_flight)
            && values.iter().all(|&n| class(size * n) <= size as u64 * class(n))
    };
    (1..=in_flight.min(count).min(room / largest)).rev().find(fits).unwrap_or(1)
}

/// One program for all, input and output with an axis of `programs.len()` in front; None where they differ in more than
/// their weights.
pub(super) fn together(programs: &[Program]) -> Option<Program> {
    let first = programs.first()?;
    let same = |p: &Program| p.input == first.input && p.output == first.output && p.nodes.len() == first.nodes.len();
    if !programs.iter().all(same) {
        return None;
    }
    let front = |e: &[usize]| -> Vec<usize> { std::iter::once(programs.len()).chain(e.iter().copied()).collect() };
    // Compared before anything is copied.
    let ops = |i: usize| -> Vec<&Op> { programs.iter().map(|p| &p.nodes[i].op).collect() };
    (0..first.nodes.len()).all(|i| op(&ops(i), &|w| Some((w[0].clone(), false))).is_some()).then_some(())?;
    let mut nodes = Vec::with_capacity(first.nodes.len());
    for (i, node) in first.nodes.iter().enumerate() {
        let all: Vec<&Node> = programs.iter().map(|p| &p.nodes[i]).collect();
        if !all.iter().all(|n| n.inputs == node.inputs && n.extents == node.extents) {
            return None;
        }
        nodes.push(Node { op: op(&ops(i), &stack)?, inputs: node.inputs.clone(), extents: front(&node.extents) });
    }
    Some(Program { input: front(&first.input), nodes, output: first.output })
}

/// What makes one weight of several, and says whether it has an axis for them.
type Stack<'a> = &'a dyn Fn(&[Constant]) -> Option<(Constant, bool)>;

/// The op that does for all rows what these do for one each.
fn op(ops: &[&Op], stack: Stack) -> Option<Op> {
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
        Op::Contract(c) => {
            let mut weights = Vec::with_capacity(ops.len());
            for o in ops {
                let Op::Contract(d) = o else { return None };
                let alike = (d.conj, &d.w, &d.x, &d.y) == (c.conj, &c.w, &c.x, &c.y);
                (alike && d.weight.is_complex() == c.weight.is_complex()).then(|| weights.push(d.weight.clone()))?;
            }
            let (weight, stacked) = stack(&weights)?;
            let row = c.w.iter().chain(&c.x).chain(&c.y).max().map_or(0, |l| l + 1);
            let front = |labels: &[u32]| -> Vec<u32> { std::iter::once(row).chain(labels.iter().copied()).collect() };
            let w = if stacked { front(&c.w) } else { c.w.clone() };
            Op::Contract(Contract { weight, conj: c.conj, w, x: front(&c.x), y: front(&c.y) })
        }
        Op::Parallel(p) => {
            let mut all = Vec::with_capacity(ops.len());
            for o in ops {
                let Op::Parallel(q) = o else { return None };
                let alike = (&q.feed, &q.join, &q.settings) == (&p.feed, &p.join, &p.settings);
                (alike && q.children.len() == p.children.len()).then(|| all.push(q))?;
            }
            let child = |k: usize| {
                let column: Vec<Program> = all.iter().map(|q| q.children[k].clone()).collect();
                together(&column)
            };
            let split = |s: &Split| match s {
                Split::Whole => Split::Whole,
                Split::Slices { axis, extents } => Split::Slices { axis: axis + 1, extents: extents.clone() },
            };
            Op::Parallel(std::sync::Arc::new(Parallel {
                children: (0..p.children.len()).map(child).collect::<Option<_>>()?,
                feed: split(&p.feed),
                join: split(&p.join),
                settings: p.settings.clone(),
                label: p.label.clone(),
                names: p.names.clone(),
            }))
        }
        Op::Zero | Op::Scale(_) | Op::Add if equal() => first.clone(),
        // These work on the last axes, whatever stands in front.
        Op::Nufft(_) | Op::NufftAdjoint(_) | Op::Interpolate(_) | Op::Spread(_) if equal() => first.clone(),
        // The rows' extents stand in the nodes.
        Op::Reshape if equal() => Op::Reshape,
        Op::Map(axes) if equal() => {
            let own = MapAxis::From(0, AxisMap::identity(ops.len()));
            let rest = axes.iter().map(|a| match a {
                MapAxis::From(from, m) => MapAxis::From(from + 1, *m),
                MapAxis::New => MapAxis::New,
            });
            Op::Map(std::iter::once(own).chain(rest).collect())
        }
        Op::Sum(axes) if equal() => Op::Sum(moved(axes)),
        Op::Gather { axis, index } if equal() => Op::Gather { axis: axis + 1, index: index.clone() },
        Op::Scatter { axis, index } if equal() => Op::Scatter { axis: axis + 1, index: index.clone() },
        Op::Fft { axes, inverse, centered, scale } if equal() => {
            Op::Fft { axes: moved(axes), inverse: *inverse, centered: *centered, scale: *scale }
        }
        _ => return None,
    })
}

/// The weight that all share, or all of them behind an axis; and whether the latter.
fn stack(weights: &[Constant]) -> Option<(Constant, bool)> {
    let first = weights.first()?;
    if weights.iter().all(|w| w == first) {
        return Some((first.clone(), false));
    }
    let stacked: Result<Constant> = Constant::stacked(weights);
    stacked.ok().map(|c| (c, true))
}
