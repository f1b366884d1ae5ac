//! A solver's vectors on the host, or those of several in lockstep: each pass goes over them once, in place. Scalars and sums are
//! f64. Every column has buffers of its own, so that each is what it were alone; columns that are small run side by side.

use super::kept::{HostPlan, host};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::loops::{HostBuf, widest};
use crate::tensor::{DType, HostArray, Tensor};
use crate::vectors::columns::{Columns, Which};
use crate::vectors::{Group, Layout, Map, Measure, Pass, SUMS, Scalar, Vector, expect_sums};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Numbers of one task. The tree of a dot product depends on the length alone.
const CHUNK: usize = 1 << 13;

/// Numbers that are updated before the next vector is looked at: they stay in the nearest cache.
const BLOCK: usize = 512;

/// Running sums side by side within a block.
const LANES: usize = 8;

/// Numbers of a column up to which an apply for it leaves most threads idle.
const SMALL: usize = 1 << 16;

pub(crate) struct HostSpace {
    operators: Vec<Arc<HostPlan>>,
    shapes: Vec<Shape>,
    /// By column.
    columns: Vec<HostColumn>,
    passes: Vec<Pass>,
}

struct HostColumn {
    vectors: Vec<HostBuf<f32>>,
    scalars: Vec<f64>,
    /// The sums of the last pass.
    begun: Vec<f64>,
}

impl HostSpace {
    /// Vectors have these shapes and dtypes, in so many columns.
    pub fn new(
        operators: Vec<Arc<HostPlan>>,
        like: &[(Shape, DType)],
        layout: Layout,
        columns: usize,
    ) -> Result<HostSpace> {
        let vector = |(shape, dtype): &(Shape, DType)| HostBuf::zeros(shape.len(), *dtype == DType::Complex32);
        let column = |_| {
            let vectors = like.iter().map(vector).collect::<Result<_>>()?;
            Ok(HostColumn { vectors, scalars: vec![0.0; layout.scalars], begun: Vec::new() })
        };
        let columns = (0..columns).map(column).collect::<Result<_>>()?;
        let shapes = like.iter().map(|(shape, _)| shape.clone()).collect();
        Ok(HostSpace { operators, shapes, columns, passes: layout.passes })
    }
}

impl HostColumn {
    /// to = A from.
    fn apply(&mut self, plan: &HostPlan, from: Vector, to: Vector) -> Result<()> {
        // Its place is taken by the result.
        let buffer = std::mem::replace(&mut self.vectors[to.0], HostBuf::Real(Vec::new()));
        let input = self.vectors[from.0].as_slice();
        self.vectors[to.0] = plan.run_into(host().plans.ledger(), input, buffer, &AtomicBool::new(false))?;
        Ok(())
    }

    /// Totals the sums of the pass before, and makes scalars of scalars.
    fn begin(&mut self, pass: &Pass) -> Result<()> {
        expect_sums(pass, self.begun.len())?;
        for (total, dot) in pass.totals.iter().zip(&self.begun) {
            self.scalars[total.0] = *dot;
        }
        for (scalar, formula) in &pass.formulas {
            self.scalars[scalar.0] = formula.value(&self.scalars);
        }
        Ok(())
    }

    /// What the tasks of a pass have of its vectors.
    fn parts(&mut self, pass: &Pass, members: usize) -> Vec<Parts<'_>> {
        let mut tasks: Vec<Parts> = Vec::new();
        let mut places: Vec<Option<&mut [f32]>> = self.vectors.iter_mut().map(|v| Some(numbers(v))).collect();
        for (at, (v, written)) in pass.vectors().into_iter().enumerate() {
            let Some(values) = places[v.0].take() else { continue };
            let each = (values.len() / members).max(1);
            for member in values.chunks_mut(each) {
                tasks.resize_with(member.len().div_ceil(CHUNK).max(tasks.len()), Vec::new);
                for (task, part) in tasks.iter_mut().zip(member.chunks_mut(CHUNK)) {
                    task.resize_with(at + 1, Vec::new);
                    task[at].push(if written { Part::Written(part) } else { Part::Read(part) });
                }
            }
        }
        tasks
    }
}

/// A task's part of a vector.
enum Part<'a> {
    Read(&'a [f32]),
    Written(&'a mut [f32]),
}

impl Part<'_> {
    fn values(&self) -> &[f32] {
        match self {
            Part::Read(v) => v,
            Part::Written(v) => v,
        }
    }
}

/// A pass with numbers for formulas, and positions among its vectors.
struct Loop {
    updates: Vec<Updated>,
    sums: Vec<Summed>,
    group: Group,
}

struct Updated {
    to: usize,
    terms: Vec<(f32, usize)>,
    map: Option<Mapped>,
}

enum Mapped {
    Shrink(f32, Option<usize>),
    Ball(f32, Option<usize>),
    Root(f32, Option<usize>),
    Clamp(f32, f32),
    Over(usize, f32, usize),
}

enum Summed {
    Dot(usize, usize),
    Magnitudes(usize, Option<usize>),
}

/// What one task has of the vectors: for each its part of every member.
type Parts<'a> = Vec<Vec<Part<'a>>>;

impl Loop {
    fn of(pass: &Pass, scalars: &[f64]) -> Loop {
        let vectors = pass.vectors();
        let at = |v: Vector| vectors.iter().position(|(u, _)| *u == v).unwrap_or(0);
        let number = |f: &crate::vectors::Formula| f.value(scalars) as f32;
        let map = |map: &Map| match map {
            Map::Shrink(t, w) => Mapped::Shrink(number(t), w.map(at)),
            Map::Ball(t, w) => Mapped::Ball(number(t), w.map(at)),
            Map::Root(t, w) => Mapped::Root(number(t), w.map(at)),
            Map::Clamp(low, high) => Mapped::Clamp(*low, *high),
            Map::Over(w, t, u) => Mapped::Over(at(*w), number(t), at(*u)),
        };
        let update = |u: &crate::vectors::Update| {
            let terms = u.terms.iter().map(|(f, v)| (number(f), at(*v))).filter(|(c, _)| *c != 0.0);
            Updated { to: at(u.vector), terms: terms.collect(), map: u.map.as_ref().map(map) }
        };
        let sum = |m: &Measure| match *m {
            Measure::Dot(x, y) => Summed::Dot(at(x), at(y)),
            Measure::Magnitudes(v, w) => Summed::Magnitudes(at(v), w.map(at)),
        };
        Loop {
            updates: pass.updates.iter().map(update).collect(),
            sums: pass.sums.iter().map(sum).collect(),
            group: pass.group.unwrap_or(Group { members: 1, complex: false }),
        }
    }

    /// Goes over one task's parts.
    #[inline(always)]
    fn run(&self, parts: &mut Parts) -> [f64; SUMS] {
        let (mut sums, mut work) = ([0.0; SUMS], [0.0f32; BLOCK]);
        let len = parts.first().and_then(|p| p.first()).map_or(0, |p| p.values().len());
        for first in (0..len).step_by(BLOCK) {
            let block = first..len.min(first + BLOCK);
            let work = &mut work[..block.len()];
            for update in &self.updates {
                self.update(update, parts, block.clone(), work);
            }
            for (total, sum) in sums.iter_mut().zip(&self.sums) {
                *total += self.sum(sum, parts, block.clone(), work);
            }
        }
        sums
    }

    /// `work` has room for a block.
    #[inline(always)]
    fn update(&self, update: &Updated, parts: &mut Parts, block: Range<usize>, work: &mut [f32]) {
        #[allow(clippy::needless_range_loop)] // terms and target are of several vectors
        for m in 0..self.group.members {
            combined(&update.terms, |v| &parts[v][m].values()[block.clone()], work);
            if let Some(Mapped::Clamp(low, high)) = update.map {
                work.iter_mut().for_each(|s| *s = s.max(low).min(high));
                if self.group.complex {
                    work.iter_mut().skip(1).step_by(2).for_each(|s| *s = 0.0);
                }
            }
            if let Some(Mapped::Over(w, t, u)) = update.map {
                let (w, u) = (&parts[w][m].values()[block.clone()], &parts[u][m].values()[block.clone()]);
                work.iter_mut().zip(w.iter().zip(u)).for_each(|(s, (w, u))| *s = over(*s, w + t * u));
            }
            if let Part::Written(v) = &mut parts[update.to][m] {
                v[block.clone()].copy_from_slice(work);
            }
        }
        let weights = |w: Option<usize>| w.map(|w| &parts[w][0].values()[block.clone()]);
        match update.map {
            Some(Mapped::Shrink(t, w)) => {
                self.magnitudes(&parts[update.to], block.clone(), work);
                factors(work, t, weights(w), shrink);
            }
            Some(Mapped::Ball(t, w)) => {
                self.magnitudes(&parts[update.to], block.clone(), work);
                factors(work, t, weights(w), ball);
            }
            Some(Mapped::Root(t, w)) => {
                self.squares(&parts[update.to], block.clone(), work);
                work.iter_mut().for_each(|s| *s = (*s + t * t).sqrt());
                if let Some(w) = weights(w) {
                    work.iter_mut().zip(w).for_each(|(s, w)| *s = over(*s, *w));
                }
                for part in &mut parts[update.to] {
                    if let Part::Written(v) = part {
                        v[block.clone()].copy_from_slice(work);
                    }
                }
                return;
            }
            _ => return,
        }
        for part in &mut parts[update.to] {
            if let Part::Written(v) = part {
                v[block.clone()].iter_mut().zip(&*work).for_each(|(v, f)| *v *= f);
            }
        }
    }

    /// The magnitudes of groups, at every number that has a part in them.
    #[inline(always)]
    fn magnitudes(&self, members: &[Part], block: Range<usize>, to: &mut [f32]) {
        self.squares(members, block, to);
        to.iter_mut().for_each(|s| *s = s.sqrt());
    }

    /// The squares of those.
    #[inline(always)]
    fn squares(&self, members: &[Part], block: Range<usize>, to: &mut [f32]) {
        to.fill(0.0);
        for part in members {
            to.iter_mut().zip(&part.values()[block.clone()]).for_each(|(s, v)| *s += v * v);
        }
        if self.group.complex {
            for pair in to.chunks_exact_mut(2) {
                pair.fill(pair[0] + pair[1]);
            }
        }
    }

    #[inline(always)]
    fn sum(&self, sum: &Summed, parts: &Parts, block: Range<usize>, work: &mut [f32]) -> f64 {
        match *sum {
            Summed::Dot(x, y) => {
                let pairs = parts[x].iter().zip(&parts[y]);
                pairs.map(|(x, y)| product(&x.values()[block.clone()], &y.values()[block.clone()])).sum()
            }
            Summed::Magnitudes(v, weights) => {
                self.magnitudes(&parts[v], block.clone(), work);
                let step = if self.group.complex { 2 } else { 1 };
                let one = work.iter().step_by(step).map(|m| f64::from(*m));
                match weights {
                    Some(w) => {
                        let weights = parts[w][0].values()[block].iter().step_by(step);
                        one.zip(weights).map(|(m, w)| m * f64::from(*w)).sum()
                    }
                    None => one.sum(),
                }
            }
        }
    }
}

/// 0 + c₁v₁ + c₂v₂ + …, in this order.
#[inline(always)]
fn combined<'v>(terms: &[(f32, usize)], values: impl Fn(usize) -> &'v [f32], to: &mut [f32]) {
    let rest = match *terms {
        [] => {
            to.fill(0.0);
            &[]
        }
        [(a, x)] => {
            to.iter_mut().zip(values(x)).for_each(|(s, x)| *s = 0.0 + a * x);
            &[]
        }
        [(a, x), (b, y), ref rest @ ..] => {
            let pairs = values(x).iter().zip(values(y));
            to.iter_mut().zip(pairs).for_each(|(s, (x, y))| *s = 0.0 + a * x + b * y);
            rest
        }
    };
    for &(c, v) in rest {
        to.iter_mut().zip(values(v)).for_each(|(s, v)| *s += c * v);
    }
}

/// What magnitudes are to be multiplied with, of a threshold that is weighted or not.
#[inline(always)]
fn factors(magnitudes: &mut [f32], threshold: f32, weights: Option<&[f32]>, factor: impl Fn(f32, f32) -> f32) {
    match weights {
        Some(w) => magnitudes.iter_mut().zip(w).for_each(|(m, w)| *m = factor(*m, threshold * w)),
        None => magnitudes.iter_mut().for_each(|m| *m = factor(*m, threshold)),
    }
}

/// max(0, 1 − t/m).
#[inline(always)]
fn shrink(m: f32, t: f32) -> f32 {
    if m > t { 1.0 - t / m } else { 0.0 }
}

/// min(1, t/m).
#[inline(always)]
fn ball(m: f32, t: f32) -> f32 {
    if m > t { t / m } else { 1.0 }
}

/// v/d, 0 where d is not positive.
#[inline(always)]
fn over(v: f32, d: f32) -> f32 {
    if d > 1e-37 { v / d } else { 0.0 }
}

#[inline(always)]
fn product(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        for k in 0..LANES {
            sums[k] += f64::from(x[k]) * f64::from(y[k]);
        }
    }
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().sum::<f64>() + rest
}

fn numbers(buf: &mut HostBuf<f32>) -> &mut [f32] {
    match buf {
        HostBuf::Real(v) => v,
        HostBuf::Complex(v) => bytemuck::cast_slice_mut(v),
    }
}

impl Columns for HostSpace {
    fn set(&mut self, column: usize, v: Vector, t: &Tensor) -> Result<()> {
        let (shape, values) = (&self.shapes[v.0], &mut self.columns[column].vectors[v.0]);
        shape.expect(t.shape())?;
        match (values, t.host_array()) {
            (HostBuf::Real(to), Some(HostArray::F32(from))) => to.iter_mut().zip(from).for_each(|(y, x)| *y = *x),
            (HostBuf::Complex(to), Some(HostArray::Complex32(from))) => {
                to.iter_mut().zip(from).for_each(|(y, x)| *y = *x);
            }
            _ => {
                let (dtype, place) = (t.dtype(), t.device_name());
                return Err(Error::Device(format!("a vector {shape} came as {dtype} on {place}")));
            }
        }
        Ok(())
    }

    fn get(&mut self, column: usize, v: Vector) -> Result<Tensor> {
        self.columns[column].vectors[v.0].try_clone()?.into_tensor(self.shapes[v.0].clone())
    }

    fn copy(&mut self, from: Vector, to: Vector, of: Which) -> Result<()> {
        if from == to {
            return Ok(());
        }
        for column in of.iter() {
            let vectors = &mut self.columns[column].vectors;
            let [from, to] = vectors.get_disjoint_mut([from.0, to.0]).map_err(|e| Error::Value(e.to_string()))?;
            numbers(to).copy_from_slice(numbers(from));
        }
        Ok(())
    }

    fn set_scalar(&mut self, column: usize, s: Scalar, value: f32) -> Result<()> {
        self.columns[column].scalars[s.0] = value.into();
        Ok(())
    }

    fn scalars(&mut self) -> Result<Vec<Vec<f64>>> {
        Ok(self.columns.iter().map(|c| c.scalars.clone()).collect())
    }

    fn apply(&mut self, operator: usize, from: Vector, to: Vector, of: Which, _: Which) -> Result<()> {
        let plan = &*self.operators[operator];
        let small = self.shapes[from.0].len().max(self.shapes[to.0].len()) <= SMALL;
        match &mut self.columns[..] {
            [one] => one.apply(plan, from, to),
            columns if small => {
                let mut own: Vec<_> = columns.iter_mut().enumerate().filter(|(c, _)| of.has(*c)).collect();
                own.par_iter_mut().try_for_each(|(_, column)| column.apply(plan, from, to))
            }
            columns => of.iter().try_for_each(|c| columns[c].apply(plan, from, to)),
        }
    }

    fn pass(&mut self, pass: usize, of: Which) -> Result<()> {
        let pass = &self.passes[pass];
        let members = pass.group.map_or(1, |g| g.members);
        let mut loops: Vec<(usize, Loop)> = Vec::new();
        let mut tasks: Vec<(usize, Parts)> = Vec::new();
        for (c, column) in self.columns.iter_mut().enumerate().filter(|(c, _)| of.has(*c)) {
            column.begin(pass)?;
            loops.push((c, Loop::of(pass, &column.scalars)));
            tasks.extend(column.parts(pass, members).into_iter().map(|parts| (loops.len() - 1, parts)));
        }
        let sums: Vec<(usize, [f64; SUMS])> = tasks
            .par_iter_mut()
            .map(|(at, parts)| {
                (
                    *at,
                    widest(
                        #[inline(always)]
                        || loops[*at].1.run(parts),
                    ),
                )
            })
            .collect();
        drop(tasks);
        for (at, (c, _)) in loops.iter().enumerate() {
            let total = |d: usize| sums.iter().filter(|(own, _)| *own == at).map(|(_, all)| all[d]).sum();
            self.columns[*c].begun = (0..pass.sums.len()).map(total).collect();
        }
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        Ok(())
    }
}
