//! A program that makes a part of what another one makes, of the part of the input that this needs: what tiles are made of.
//!
//! What is needed flows backwards from the output, node by node; then the nodes are made again, each for its part.
//!
//! ```text
//! y[16..32] of a convolution with 5 taps      x[12..32] is read, of that the convolution, of that the last 16
//! y[kx = 16..32] of a transform along kx      refused: every result reads the whole axis
//! y[c = 4..8] of coils times a transform      weights of these coils, the transform of these, all of x
//! ```

use super::{Builder, Node, Op, Parallel, Program, Split, split_extents};
use crate::access::{AxisMap, MapAxis, ValueId};
use crate::error::{Result, shape_err};
use std::ops::Range;

/// What is needed of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// None of it.
    Nothing,
    /// Entries of one axis.
    Some(usize, Range<usize>),
    /// All of it.
    Whole,
}

/// How a node makes a part of its result.
pub(crate) struct Narrowed {
    /// What it reads of its inputs.
    pub reads: Part,
    /// Appends it, given that part of each input.
    pub make: Make,
}

pub(crate) type Make = Box<dyn Fn(&mut Builder, &[ValueId]) -> Result<ValueId>>;

impl Narrowed {
    /// Made by `f` of what is read of the only input.
    pub fn of(reads: Part, f: impl Fn(&mut Builder, ValueId) -> Result<ValueId> + 'static) -> Narrowed {
        Narrowed { reads, make: Box::new(move |b, x| f(b, x[0])) }
    }
}

impl Part {
    /// The entries of an axis; all of them are the whole.
    pub fn along(axis: usize, range: &Range<usize>, extents: &[usize]) -> Part {
        match *range == (0..extents[axis]) {
            true => Part::Whole,
            false => Part::Some(axis, range.clone()),
        }
    }

    /// What holds both.
    fn and(self, other: Part, extents: &[usize]) -> Part {
        match (self, other) {
            (Part::Nothing, p) | (p, Part::Nothing) => p,
            (Part::Some(a, r), Part::Some(b, s)) if a == b => {
                Part::along(a, &(r.start.min(s.start)..r.end.max(s.end)), extents)
            }
            _ => Part::Whole,
        }
    }

    /// The extents of that part of a value.
    fn extents(&self, extents: &[usize]) -> Vec<usize> {
        let mut e = extents.to_vec();
        if let Part::Some(a, r) = self {
            e[*a] = r.len();
        }
        e
    }
}

/// Entries `range` of an axis.
pub(crate) fn slice(b: &mut Builder, x: ValueId, axis: usize, range: &Range<usize>) -> Result<ValueId> {
    let n = b.extents(x)[axis];
    b.map_axis(x, axis, AxisMap::affine(1, range.start as i64, 1, n, range.len()), range.len())
}

/// Of the part `have` of a value, the part `want`.
fn cut(b: &mut Builder, x: ValueId, have: &Part, want: &Part) -> Result<ValueId> {
    match (have, want) {
        (Part::Some(_, have), Part::Some(a, want)) => {
            slice(b, x, *a, &(want.start - have.start..want.end - have.start))
        }
        (Part::Whole, Part::Some(a, want)) => slice(b, x, *a, want),
        _ => Ok(x),
    }
}

impl Program {
    /// The program that makes entries `range` of an axis of the output, and the part of the input that it takes.
    ///
    /// # Errors
    /// A node on the way needs everything for every entry; the message says which and why.
    pub(crate) fn narrowed(&self, axis: usize, range: &Range<usize>) -> Result<(Part, Program)> {
        let mut parts = vec![Part::Nothing; self.nodes.len() + 1];
        parts[self.output.at()] = Part::along(axis, range, self.output_extents());
        let mut made: Vec<Option<Narrowed>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let narrowed = match &parts[i + 1] {
                Part::Nothing => None,
                Part::Whole => Some(whole(node)),
                Part::Some(axis, range) => {
                    let input = node.inputs.first().map_or(&[][..], |v| self.extents(*v));
                    Some(narrow(node, input, *axis, range)?)
                }
            };
            if let Some(n) = &narrowed {
                for v in &node.inputs {
                    let before = std::mem::replace(&mut parts[v.at()], Part::Nothing);
                    parts[v.at()] = before.and(n.reads.clone(), self.extents(*v));
                }
            }
            made.push(narrowed);
        }
        made.reverse();
        // Nothing of the input is still an input: one entry.
        let taken = match &parts[0] {
            Part::Nothing if !self.input.is_empty() => Part::along(0, &(0..1), &self.input),
            part => part.clone(),
        };
        let mut b = Builder::new(&taken.extents(&self.input));
        let mut ids = vec![ValueId::INPUT];
        for (node, narrowed) in self.nodes.iter().zip(&made) {
            let Some(n) = narrowed else {
                ids.push(ValueId::INPUT);
                continue;
            };
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for v in &node.inputs {
                let have = if v.at() == 0 { &taken } else { &parts[v.at()] };
                inputs.push(cut(&mut b, ids[v.at()], have, &n.reads)?);
            }
            ids.push((n.make)(&mut b, &inputs)?);
        }
        let out = ids[self.output.at()];
        // The output may be the input itself.
        let have = if self.output.at() == 0 { &taken } else { &parts[self.output.at()] };
        let out = cut(&mut b, out, have, &parts[self.output.at()])?;
        Ok((taken, b.finish(out)?))
    }
}

/// A node as it is.
fn whole(node: &Node) -> Narrowed {
    let (op, extents) = (node.op.clone(), node.extents.clone());
    let reads = if node.inputs.is_empty() { Part::Nothing } else { Part::Whole };
    Narrowed { reads, make: Box::new(move |b, x| Ok(b.push(op.clone(), x, extents.clone()))) }
}

/// Entries `range` of an axis of a node's result, of inputs of the extents `input`.
fn narrow(node: &Node, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
    let same = || Part::along(axis, range, &node.extents);
    let mut extents = node.extents.clone();
    extents[axis] = range.len();
    Ok(match &node.op {
        Op::Zero => Narrowed { reads: Part::Nothing, make: Box::new(move |b, _| b.zero(extents.clone())) },
        Op::Add => Narrowed { reads: same(), make: Box::new(move |b, x| b.add(x)) },
        Op::Scale(c) => {
            let c = *c;
            Narrowed::of(same(), move |b, x| b.scale(x, c))
        }
        Op::Mul { weight, axes, conj } => {
            let weight = match axes.iter().position(|a| *a == axis) {
                Some(k) => weight.narrowed(k, range)?,
                None => weight.clone(),
            };
            let (axes, conj) = (axes.clone(), *conj);
            Narrowed::of(same(), move |b, x| b.mul(x, weight.clone(), axes.clone(), conj))
        }
        Op::Sum(axes) => {
            let kept: Vec<usize> = (0..input.len()).filter(|a| !axes.contains(a)).collect();
            let axes = axes.clone();
            Narrowed::of(Part::along(kept[axis], range, input), move |b, x| b.sum(x, &axes))
        }
        Op::Map(axes) => narrow_map(axes.clone(), input, extents, axis, range),
        Op::Reshape => narrow_reshape(input, &node.extents, axis, range)?,
        Op::Parallel(p) => narrow_parallel(p, input, &node.extents, axis, range)?,
        Op::Primitive(p) => p.narrow(input, axis, range)?,
    })
}

fn narrow_map(
    mut axes: Vec<MapAxis>,
    input: &[usize],
    extents: Vec<usize>,
    axis: usize,
    range: &Range<usize>,
) -> Narrowed {
    let MapAxis::From(from, m) = axes[axis] else {
        return Narrowed::of(Part::Whole, move |b, x| b.map(x, axes.clone(), extents.clone()));
    };
    let n = input[from];
    let first = range.start as i64;
    let base = (first * m.num + m.off).rem_euclid(n as i64);
    let last = base + m.num * (range.len() as i64 - 1);
    // What is read lies between the first and the last index that are.
    let found = match m.wrap {
        true => Some((base, last)),
        false => {
            let (lo, hi) = (first.max(m.lo), (range.end as i64).min(m.hi));
            let from = (lo..hi).take(m.den as usize).find_map(|k| m.at(k, n));
            from.zip((lo..hi).rev().take(m.den as usize).find_map(|k| m.at(k, n)))
        }
    };
    let Some((low, high)) = found.map(|(a, b)| (a.min(b), a.max(b))) else {
        return Narrowed { reads: Part::Nothing, make: Box::new(move |b, _| b.zero(extents.clone())) };
    };
    let len = (high - low + 1) as usize;
    if m.wrap && !(0..n as i64).contains(&last) {
        // It runs over the end of a turned axis.
        let (range, mut whole) = (range.clone(), extents);
        whole[axis] = n;
        return Narrowed::of(Part::Whole, move |b, x| {
            let y = b.map(x, axes.clone(), whole.clone())?;
            slice(b, y, axis, &range)
        });
    }
    let off = if m.wrap { base - low } else { m.num * first + m.off - low * m.den };
    let mut own = AxisMap::affine(m.num, off, m.den, len, range.len());
    own.lo = own.lo.max(m.lo - first);
    own.hi = own.hi.min(m.hi - first).max(own.lo);
    axes[axis] = MapAxis::From(from, own);
    let reads = Part::along(from, &(low as usize..high as usize + 1), input);
    Narrowed::of(reads, move |b, x| b.map(x, axes.clone(), extents.clone()))
}

/// First axes of two runs of axes with equal products, finest first, and their ends.
fn groups(old: &[usize], new: &[usize]) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let (first, (mut p, mut q)) = ((i, j), (1, 1));
        let take = |n: Option<&usize>, at: &mut usize, product: &mut usize| {
            if let Some(n) = n {
                *product *= n;
                *at += 1;
            }
        };
        take(old.get(i), &mut i, &mut p);
        take(new.get(j), &mut j, &mut q);
        while p != q {
            if p < q { take(old.get(i), &mut i, &mut p) } else { take(new.get(j), &mut j, &mut q) }
        }
        groups.push((first.0..i, first.1..j));
    }
    groups
}

fn narrow_reshape(input: &[usize], output: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
    let Some((old, new)) = groups(input, output).into_iter().find(|(_, new)| new.contains(&axis)) else {
        return shape_err!("axis {axis} is not in {output:?}");
    };
    let behind = |extents: &[usize], a: usize, end: usize| -> usize { extents[a + 1..end].iter().product() };
    let inner = behind(output, axis, new.end);
    let mut extents = output.to_vec();
    extents[axis] = range.len();
    // The same axis on both sides.
    let twin = old.clone().find(|&a| input[a] == output[axis] && behind(input, a, old.end) == inner);
    if let Some(a) = twin {
        return Ok(Narrowed::of(Part::along(a, range, input), move |b, x| b.reshape(x, extents.clone())));
    }
    if output[new.start..axis].iter().any(|&n| n > 1) {
        return shape_err!(
            "extents {input:?} are read as {output:?}: entries of axis {axis} lie apart in what they are made of; \
             split the axis that is merged or cut by another dim"
        );
    }
    // The first axis of its run: what it holds lies together, in whole entries of the first axis of the input's run or not.
    let first = old.clone().find(|&a| input[a] > 1).unwrap_or(old.start);
    let row = behind(input, first, old.end);
    let (low, high) = (range.start * inner, range.end * inner);
    let rows = low / row..high.div_ceil(row);
    let within = low - rows.start * row..high - rows.start * row;
    let front: Vec<usize> = output[..new.start].to_vec();
    let back: Vec<usize> = output[new.end..].to_vec();
    let flat: Vec<usize> = front.iter().copied().chain([rows.len() * row]).chain(back).collect();
    let at = front.len();
    Ok(Narrowed::of(Part::along(first, &rows, input), move |b, x| {
        let mut y = x;
        if within != (0..flat[at]) {
            y = b.reshape(y, flat.clone())?;
            y = slice(b, y, at, &within)?;
        }
        b.reshape(y, extents.clone())
    }))
}

fn narrow_parallel(
    p: &Parallel,
    input: &[usize],
    output: &[usize],
    axis: usize,
    range: &Range<usize>,
) -> Result<Narrowed> {
    // Which sub-linops have results in it, and which of theirs.
    let own: Vec<(usize, Range<usize>)> = match &p.join {
        Split::Slices { axis: joined, extents } if *joined == axis => {
            let starts = extents.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n)));
            let part = |(i, (start, n)): (usize, (usize, &usize))| {
                let (first, end) = (range.start.max(start), range.end.min(start + n));
                (first < end).then(|| (i, first - start..end - start))
            };
            starts.zip(extents).enumerate().filter_map(part).collect()
        }
        _ => (0..p.children.len()).map(|i| (i, range.clone())).collect(),
    };
    let fed = split_extents(&p.feed, input, p.children.len())?;
    let (mut children, mut joined) = (Vec::with_capacity(own.len()), Vec::new());
    let mut reads = Part::Nothing;
    for (i, part) in &own {
        let at = |e: crate::Error| e.at(format!("linops[{i}] ({})", p.names.get(*i).map_or("", String::as_str)));
        let (taken, program) = p.children[*i].narrowed(axis, part).map_err(at)?;
        reads = reads.and(taken.clone(), &fed[*i]);
        joined.push(program.output_extents().get(axis).copied().unwrap_or(1));
        children.push((taken, program));
    }
    // Slices of the input lie beside each other: those of the first sub-linop to the last.
    let (first, last) = (own.first().map_or(0, |o| o.0), own.last().map_or(0, |o| o.0));
    let (reads, fed_part) = match &p.feed {
        Split::Whole => (reads.clone(), reads),
        Split::Slices { axis: feed, extents } => {
            let start: usize = extents[..first].iter().sum();
            let end = start + extents[first..=last].iter().sum::<usize>();
            match (&reads, start == 0 && end == input[*feed]) {
                // All of them run: what they need along another axis is cut off for all.
                (Part::Some(a, r), true) if a != feed => (Part::Some(*a, r.clone()), reads),
                _ => (Part::along(*feed, &(start..end), input), Part::Whole),
            }
        }
    };
    let programs: Vec<Program> = children
        .into_iter()
        .zip(&own)
        .map(|((taken, program), (i, _))| {
            let mut b = Builder::new(&fed_part.extents(&fed[*i]));
            let x = cut(&mut b, ValueId::INPUT, &fed_part, &taken)?;
            let y = b.inline(&program, x)?;
            b.finish(y)
        })
        .collect::<Result<_>>()?;
    let feed = match &p.feed {
        Split::Whole => Split::Whole,
        Split::Slices { axis, extents } => Split::Slices { axis: *axis, extents: extents[first..=last].to_vec() },
    };
    let join = match &p.join {
        Split::Slices { axis: j, .. } if *j == axis => Split::Slices { axis, extents: joined },
        other => other.clone(),
    };
    debug_assert!(own.windows(2).all(|w| w[0].0 + 1 == w[1].0) && range.end <= output[axis]);
    let names = own.iter().filter_map(|(i, _)| p.names.get(*i).cloned()).collect();
    let narrowed = Parallel { children: programs, feed, join, names, ..p.clone() };
    Ok(Narrowed::of(reads, move |b, x| b.parallel(x, narrowed.clone())))
}
