//! Fourier transforms on the host: rustfft along each axis, one task for each block of the batch while it is in cache.

use crate::access::{Load, Validity, ValueId};
use crate::loops::{CHUNK, Reader, Real, Taken, Weights};
use num_complex::{Complex, Complex64};
use rayon::prelude::*;
use rustfft::{Fft, FftDirection, FftPlanner};
use std::ops::Range;
use std::sync::Arc;

/// Columns that are transposed into scratch together: two cache lines of complex f32.
pub(crate) const COLUMNS: usize = 16;

/// Elements between the ends of two lines of columns, so that equal indices don't share a cache set.
pub(crate) const GAP: usize = 8;

/// Lengths whose multiples take a gap: sixteen lines that lie so far apart share a few sets.
const ALIASED: usize = 256;

/// Blocks up to this many elements are one task each; larger ones are cut along every axis.
const BLOCK: usize = 1 << 18;

/// So few values take less time than waking another core.
const ALONE: usize = 1 << 10;

/// Tasks that there are at least, where blocks are small.
const TASKS: usize = 16;

/// So many blocks keep the cores busy; fewer are cut along every axis, too, unless they are as small as this.
const BLOCKS: usize = 4;
const SMALL: usize = 1 << 13;

/// Parts of an array up to this many elements stay in a core's cache: they are read and transformed along the axes within at once, if there
/// are as many as keep the cores busy.
const PART: usize = 1 << 16;
const PARTS: usize = 32;

/// Stretches of columns that a pass along a far axis is cut into, about; each goes by as many columns as are packed together.
const STRIPS: usize = 128;

/// Results of a transform whose memory is found by making it; that of larger ones is bounded by shape.
pub(super) const EXACT: usize = 1 << 24;

/// What a transform of a value of these extents takes and the bytes of its tables, at most.
pub(super) fn bound<T>(extents: &[usize], axes: &[usize]) -> (Taken, u64) {
    let element = size_of::<Complex<T>>() as u64;
    let (mut taken, mut tables) = (Taken::default(), 0);
    for &a in axes {
        let (n, inner) = (extents[a] as u64, extents[a + 1..].iter().map(|&n| n as u64).product::<u64>());
        let outer: u64 = extents[axes[0]..a].iter().map(|&n| n as u64).product();
        // A convolution's scratch is twice its length.
        let scratch = (n + GAP as u64) * inner.min(COLUMNS as u64) + 8 * n + 512;
        // Where only a box of the columns is wanted, each of its rows has strips of its own.
        let rows: u64 = extents[a + 1..].split_last().map_or(1, |(_, rows)| rows.iter().map(|&n| n as u64).product());
        let list = (inner.div_ceil(strip(inner as usize) as u64) + rows) * (24 + 16 * n);
        let own = Taken { each: scratch * element, shared: if inner > 1 { list } else { 0 } };
        taken = taken.or(own);
        // A mark for each part, and a stretch for every second column.
        tables += line_bytes::<T>(extents[a]) as u64 + outer + 8 * inner + 16;
    }
    (taken, tables)
}

/// The transforms of one step.
pub(super) struct AxisPlans<T: Real> {
    /// Innermost axis first.
    axes: Vec<Axis<T>>,
    /// Elements from the first transformed axis on: a block is transformed independently of the others.
    block: usize,
}

/// One axis of a block of parts (n, inner).
pub(super) struct Axis<T: Real> {
    pub fft: Arc<dyn Fft<T>>,
    pub n: usize,
    pub inner: usize,
    pub shift: usize,
    /// Which parts are not zero, or wanted; all where the list is empty.
    pub live: Vec<bool>,
    /// The columns that are wanted.
    pub columns: Vec<Range<usize>>,
}

impl<T: Real> AxisPlans<T> {
    /// What the load pads with zeros is not transformed before another axis fills it, nor what is not kept after that.
    pub fn new(load: &Load, axes: &[usize], inverse: bool, centered: bool, keep: &[(usize, usize)]) -> AxisPlans<T> {
        let extents = &load.extents;
        let mut planner = FftPlanner::new();
        let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
        let axis = |&a: &usize| {
            let n = extents[a];
            let shift = if centered { n / 2 } else { 0 };
            let padded = |b: usize| load.valid[b] != Validity::total(extents[b]);
            let outer = axes[0]..a;
            let live = match outer.clone().any(padded) {
                true => each(&extents[outer.clone()], |index| {
                    outer.clone().zip(index).all(|(b, &i)| load.valid[b].holds(i as i64))
                }),
                false => Vec::new(),
            };
            let inner = extents[a + 1..].iter().product();
            let kept = (a + 1..extents.len()).all(|b| keep[b] == (0, extents[b]));
            let columns = match kept {
                true => std::iter::once(0..inner).collect(),
                false => runs(&each(&extents[a + 1..], |index| {
                    index.iter().zip(&keep[a + 1..]).all(|(i, k)| (k.0..k.1).contains(i))
                })),
            };
            Axis { fft: planner.plan_fft(n, direction), n, inner, shift, live, columns }
        };
        let block = extents[axes[0]..].iter().product();
        AxisPlans { axes: axes.iter().rev().map(axis).collect(), block }
    }

    /// What [`run`](AxisPlans::run) takes for so many results.
    pub fn taken(&self, len: usize) -> Taken {
        let each = self.scratch() * size_of::<Complex<T>>();
        // The list of a part's strips, and of the rows in each.
        let list = |a: &Axis<T>| a.strips() * (size_of::<Vec<&mut [T]>>() + a.n * size_of::<&mut [T]>());
        let cut = self.axes.iter().filter(|a| !self.by_blocks(len) && a.inner > 1 && !a.has_parts(len));
        Taken { each: each as u64, shared: cut.map(list).max().unwrap_or(0) as u64 }
    }

    /// Bytes of twiddle factors and the like, at most.
    pub fn table_bytes(&self) -> u64 {
        self.axes.iter().map(Axis::table_bytes).sum::<usize>() as u64
    }

    /// Elements that a task needs beside the values. Asked for at once: growing takes the old and the new.
    fn scratch(&self) -> usize {
        self.axes.iter().map(Axis::scratch).max().unwrap_or(0)
    }

    /// Whether each block is one task.
    fn by_blocks(&self, len: usize) -> bool {
        self.block <= BLOCK && (len >= BLOCKS * self.block || self.block <= SMALL)
    }

    /// Reads, transforms and weights every block of `dst`. A reader without a source finds its input there.
    pub fn run(&self, reader: &Reader<T>, post: &Weights, dst: &mut [Complex<T>]) {
        if self.by_blocks(dst.len()) {
            let workspace = || Vec::with_capacity(self.scratch());
            // Small ones go several to a task.
            let several = (CHUNK / self.block).min(dst.len() / (TASKS * self.block)).max(1);
            let task = several * self.block;
            let run = |scratch: &mut Vec<Complex<T>>, first: usize, blocks: &mut [Complex<T>]| {
                reader.read(first, blocks);
                self.axes.iter().for_each(|axis| axis.live_lines(first, blocks, scratch));
                post.apply(first, blocks);
            };
            if dst.len() <= ALONE {
                return run(&mut workspace(), 0, dst);
            }
            let tasks = dst.par_chunks_mut(task).enumerate();
            tasks.for_each_init(workspace, |scratch, (t, blocks)| run(scratch, t * task, blocks));
            return;
        }
        let within = self.within_parts(dst.len());
        let (near, far) = self.axes.split_at(within);
        let chunk = near.last().map_or(CHUNK, |axis| {
            let part = axis.n * axis.inner;
            part * (CHUNK / part).max(1)
        });
        let workspace = || Vec::with_capacity(near.iter().map(Axis::scratch).max().unwrap_or(0));
        dst.par_chunks_mut(chunk).enumerate().for_each_init(workspace, |scratch, (c, part)| {
            reader.read(c * chunk, part);
            near.iter().for_each(|axis| axis.live_lines(c * chunk, part, scratch));
        });
        if let Some((last, before)) = far.split_last() {
            before.iter().for_each(|axis| axis.everywhere(dst, None));
            // Weights that are not the same everywhere are read in order, in a pass of their own.
            let scalar = post.as_scalar();
            last.everywhere(dst, scalar);
            if scalar.is_some() {
                return;
            }
        }
        dst.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| post.apply(c * CHUNK, part));
    }

    /// How many axes, from the innermost on, lie within parts that stay in a core's cache.
    fn within_parts(&self, len: usize) -> usize {
        let fits = |axis: &&Axis<T>| {
            let part = axis.n * axis.inner;
            part <= PART && len / part >= PARTS
        };
        self.axes.iter().take_while(fits).count()
    }
}

/// Columns of so many that a task has of a pass along a far axis.
fn strip(inner: usize) -> usize {
    inner.div_ceil(STRIPS).next_multiple_of(COLUMNS)
}

/// Bytes of the tables for lines of `n`, at most: a length without small factors goes by a convolution of up to four times
/// the size.
pub(crate) fn line_bytes<T>(n: usize) -> usize {
    (16 * n + 512) * size_of::<Complex<T>>()
}

/// Whether each index of a box, in C order, is of a kind.
pub(super) fn each(extents: &[usize], is: impl Fn(&[usize]) -> bool) -> Vec<bool> {
    let mut index = vec![0; extents.len()];
    let mut all = Vec::new();
    for _ in 0..extents.iter().product::<usize>() {
        all.push(is(&index));
        for a in (0..extents.len()).rev() {
            index[a] += 1;
            if index[a] < extents[a] {
                break;
            }
            index[a] = 0;
        }
    }
    all
}

/// The stretches of consecutive `true`.
pub(super) fn runs(wanted: &[bool]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for (i, _) in wanted.iter().enumerate().filter(|(_, w)| **w) {
        match all.last_mut() {
            Some(last) if last.end == i => last.end += 1,
            _ => all.push(i..i + 1),
        }
    }
    all
}

impl<T: Real> Axis<T> {
    /// Whether a part has values other than zero.
    fn is_live(&self, part: usize) -> bool {
        self.live.is_empty() || self.live[part % self.live.len()]
    }

    /// Whether there are as many parts (n, inner) as keep the cores busy.
    fn has_parts(&self, len: usize) -> bool {
        len / (self.n * self.inner) >= 8
    }

    /// Stretches of columns that are tasks.
    fn strips(&self) -> usize {
        self.columns.iter().map(|c| c.len().div_ceil(strip(self.inner))).sum()
    }

    /// Transforms all lines of an array, in parallel, and applies a scalar.
    fn everywhere(&self, dst: &mut [Complex<T>], scalar: Option<&Weights>) {
        let part = self.n * self.inner;
        let workspace = || Vec::with_capacity(self.scratch());
        let after = |part: &mut [Complex<T>]| scalar.iter().for_each(|s| s.apply(0, part));
        if self.inner == 1 {
            // Whole lines, several to a task.
            let lines = (CHUNK / self.n).max(1);
            dst.par_chunks_mut(lines * self.n).enumerate().for_each_init(workspace, |scratch, (c, part)| {
                self.live_lines(c * lines * self.n, part, scratch);
                after(part);
            });
        } else if self.has_parts(dst.len()) {
            let parts = dst.par_chunks_mut(part).enumerate().filter(|(k, _)| self.is_live(*k));
            parts.for_each_init(workspace, |scratch, (_, part)| {
                self.lines(part, scratch);
                after(part);
            });
        } else {
            let parts = dst.chunks_exact_mut(part).enumerate().filter(|(k, _)| self.is_live(*k));
            parts.for_each(|(_, part)| self.by_strips(part, &after));
        }
    }

    /// Whether lines are transformed as they lie, so that many are one call.
    fn as_it_lies(&self) -> bool {
        self.inner == 1 && self.shift == 0 && self.live.is_empty()
    }

    /// Transforms the lines of whole parts, from an element on.
    pub fn live_lines(&self, first: usize, parts: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        if self.as_it_lies() {
            return self.lines(parts, scratch);
        }
        let part = self.n * self.inner;
        let parts = parts.chunks_exact_mut(part).enumerate();
        parts.filter(|(k, _)| self.is_live(first / part + k)).for_each(|(_, part)| self.lines(part, scratch));
    }

    /// Transforms all lines of (n, inner); those that follow one another as they lie may be several.
    fn lines(&self, x: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        let (n, inner, c) = (self.n, self.inner, self.shift);
        self.reserve(COLUMNS.min(inner), scratch);
        if inner == 1 {
            let (line, rest) = scratch.split_at_mut(n);
            if c == 0 {
                self.fft.process_with_scratch(x, rest);
                return;
            }
            line[..n - c].copy_from_slice(&x[c..]);
            line[n - c..].copy_from_slice(&x[..c]);
            self.fft.process_with_scratch(line, rest);
            x[c..].copy_from_slice(&line[..n - c]);
            x[..c].copy_from_slice(&line[n - c..]);
            return;
        }
        let starts = self.columns.iter().flat_map(|c| c.clone().step_by(COLUMNS).map(move |i| (i, c.end)));
        for (i, end) in starts {
            let width = COLUMNS.min(end - i);
            let (lines, rest) = scratch.split_at_mut(self.pitch() * width);
            self.pack(x.chunks_exact(inner).map(|row| &row[i..i + width]), lines);
            self.transform(lines, rest);
            self.unpack(lines, x.chunks_exact_mut(inner).map(|row| &mut row[i..i + width]));
        }
    }

    /// The same for one large (n, inner), in parallel over columns; `after` is for lines that are done.
    fn by_strips(&self, x: &mut [Complex<T>], after: &(impl Fn(&mut [Complex<T>]) + Sync)) {
        let mut strips: Vec<Vec<&mut [Complex<T>]>> = Vec::new();
        strips.resize_with(self.strips(), || Vec::with_capacity(self.n));
        for row in x.chunks_exact_mut(self.inner) {
            let (mut rest, mut at) = (row, 0);
            let mut strips = strips.iter_mut();
            for c in &self.columns {
                let (before, after) = rest.split_at_mut(c.end - at);
                let kept = &mut before[c.start - at..];
                (rest, at) = (after, c.end);
                // The pieces first: a strip that is asked for in vain would be lost.
                kept.chunks_mut(strip(self.inner)).zip(strips.by_ref()).for_each(|(part, strip)| strip.push(part));
            }
        }
        let workspace = || Vec::with_capacity(self.scratch());
        strips.par_iter_mut().for_each_init(workspace, |scratch, rows| {
            let all = rows[0].len();
            self.reserve(COLUMNS.min(all), scratch);
            for i in (0..all).step_by(COLUMNS) {
                let columns = i..all.min(i + COLUMNS);
                let (lines, rest) = scratch.split_at_mut(self.pitch() * columns.len());
                self.pack(rows.iter().map(|row| &row[columns.clone()]), lines);
                self.transform(lines, rest);
                lines.chunks_exact_mut(self.pitch()).for_each(|line| after(&mut line[..self.n]));
                self.unpack(lines, rows.iter_mut().map(|row| &mut row[columns.clone()]));
            }
        });
    }

    /// Bytes of twiddle factors and the like, at most.
    pub fn table_bytes(&self) -> usize {
        line_bytes::<T>(self.n) + self.live.len() + 16 * self.columns.len()
    }

    /// Elements that the transform of as many lines as go together needs.
    pub fn scratch(&self) -> usize {
        self.pitch() * COLUMNS.min(self.inner) + self.fft.get_inplace_scratch_len()
    }

    /// Elements from one packed line to the next.
    fn pitch(&self) -> usize {
        match self.inner > 1 && self.n.is_multiple_of(ALIASED) {
            true => self.n + GAP,
            false => self.n,
        }
    }

    /// Transforms packed lines.
    fn transform(&self, lines: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        match self.pitch() {
            pitch if pitch == self.n => self.fft.process_with_scratch(lines, scratch),
            pitch => {
                lines.chunks_exact_mut(pitch).for_each(|l| self.fft.process_with_scratch(&mut l[..self.n], scratch));
            }
        }
    }

    /// Room for so many lines, and for what the transform needs beside them.
    fn reserve(&self, lines: usize, scratch: &mut Vec<Complex<T>>) {
        let need = self.pitch() * lines + self.fft.get_inplace_scratch_len();
        if scratch.len() < need {
            scratch.resize(need, Complex::new(T::zero(), T::zero()));
        }
    }

    /// The columns of rows, one after the other, from index `shift` on round the end.
    fn pack<'r>(&self, rows: impl Iterator<Item = &'r [Complex<T>]>, lines: &mut [Complex<T>]) {
        let (n, c, pitch) = (self.n, self.shift, self.pitch());
        for (k, row) in rows.enumerate() {
            let m = if k >= c { k - c } else { k + n - c };
            for (v, line) in row.iter().zip(lines.chunks_exact_mut(pitch)) {
                line[m] = *v;
            }
        }
    }

    /// The way back.
    fn unpack<'r>(&self, lines: &[Complex<T>], rows: impl Iterator<Item = &'r mut [Complex<T>]>) {
        let (n, c, pitch) = (self.n, self.shift, self.pitch());
        for (k, row) in rows.enumerate() {
            let m = if k >= c { k - c } else { k + n - c };
            for (v, line) in row.iter_mut().zip(lines.chunks_exact(pitch)) {
                *v = line[m];
            }
        }
    }
}

/// The unnormalised DFT of an array in C order along some axes (ascending), in place.
pub(crate) fn transform<T: Real>(
    x: &mut [Complex<T>],
    extents: &[usize],
    axes: &[usize],
    inverse: bool,
    centered: bool,
) {
    let axes: Vec<usize> = axes.iter().copied().filter(|&a| extents[a] > 1).collect();
    if axes.is_empty() {
        return;
    }
    let load = Load::whole(ValueId::INPUT, extents);
    let keep: Vec<(usize, usize)> = extents.iter().map(|&n| (0, n)).collect();
    let plans = AxisPlans::new(&load, &axes, inverse, centered, &keep);
    plans.run(&Reader::new(&load, None), &Weights::new(extents, &[], Complex64::ONE), x);
}
