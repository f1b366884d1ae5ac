//! Filters on the host. A row is one index of the first filtered axis: rows of zeros are never transformed, those that are
//! not kept never made, and the first axis is transformed, weighted and transformed back while a few columns are in cache.

use super::filter::Filter;
use super::lines::{Axis, COLUMNS, GAP, each, line_bytes, runs};
use crate::access::{Constant, ConstantData, Load};
use crate::loops::{CHUNK, Reader, Real, Taken, Weights, widen, widest};
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftDirection, FftPlanner};
use std::ops::Range;
use std::sync::Arc;

/// Pieces that the columns of one large block are cut into.
const PIECES: usize = 64;

/// The prepared transforms of one step.
pub(super) struct FilterPlan<T: Real> {
    /// Along the first axis.
    there: Arc<dyn Fft<T>>,
    back: Arc<dyn Fft<T>>,
    /// Within a row: innermost first, and outermost first.
    row_there: Vec<Axis<T>>,
    row_back: Vec<Axis<T>>,
    /// Extent of the first axis, elements of a row.
    pub(super) n: usize,
    pub(super) row: usize,
    /// Rows that are not zero, and those that are kept; a block has space for `rows`.
    pub(super) live: Vec<usize>,
    kept: Range<usize>,
    rows: usize,
    /// What is kept of a row; all where it is empty.
    columns: Vec<Range<usize>>,
    kept_row: usize,
    table: Constant,
    /// The table's row of each block.
    table_rows: Vec<usize>,
    scale: Complex<T>,
    /// Whether a block is one task.
    in_blocks: bool,
}

impl<T: Real> FilterPlan<T> {
    pub fn new(filter: &Filter, load: &Load) -> FilterPlan<T> {
        let (extents, first) = (&filter.extents, filter.first());
        let mut planner = FftPlanner::new();
        let mut axis = |a: usize, direction: FftDirection, some: &dyn Fn(usize, usize) -> bool| {
            let outer = first + 1..a;
            let live = each(&extents[outer.clone()], |index| outer.clone().zip(index).all(|(b, &i)| some(b, i)));
            let live = if live.iter().all(|l| *l) { Vec::new() } else { live };
            let inner = extents[a + 1..].iter().product();
            let columns = std::iter::once(0..inner).collect();
            Axis { fft: planner.plan_fft(extents[a], direction), n: extents[a], inner, shift: 0, live, columns }
        };
        let valid = |b: usize, i: usize| load.valid[b].holds(i as i64);
        let kept = |b: usize, i: usize| (filter.keep[b].0..filter.keep[b].1).contains(&i);
        let inner = &filter.axes[1..];
        let row_there = inner.iter().rev().map(|&a| axis(a, FftDirection::Forward, &valid)).collect();
        let row_back = inner.iter().map(|&a| axis(a, FftDirection::Inverse, &kept)).collect();
        let n = extents[first];
        let batch = &extents[..first];
        let table_row = |b: usize| {
            let mut rest = b;
            (0..first).rev().fold(0, |row, a| {
                let index = rest % batch[a];
                rest /= batch[a];
                row + index * filter.spectrum.steps[a]
            })
        };
        let wanted =
            each(&extents[first + 1..], |index| index.iter().enumerate().all(|(k, &i)| kept(first + 1 + k, i)));
        let whole = wanted.iter().all(|w| *w);
        let scale = filter.spectrum.scale;
        FilterPlan {
            there: planner.plan_fft(n, FftDirection::Forward),
            back: planner.plan_fft(n, FftDirection::Inverse),
            row_there,
            row_back,
            n,
            row: filter.row(),
            live: filter.live(load),
            kept: filter.keep[first].0..filter.keep[first].1,
            rows: filter.rows(load),
            kept_row: wanted.iter().filter(|w| **w).count(),
            columns: if whole { Vec::new() } else { runs(&wanted) },
            table: filter.spectrum.table.clone(),
            table_rows: (0..filter.blocks()).map(table_row).collect(),
            scale: Complex::new(T::of_f64(scale.re), T::of_f64(scale.im)),
            in_blocks: filter.in_blocks(load),
        }
    }

    pub(super) fn blocks(&self) -> usize {
        self.table_rows.len()
    }

    /// Elements that a line along the first axis needs beside it.
    pub(super) fn spare(&self) -> usize {
        self.there.get_inplace_scratch_len().max(self.back.get_inplace_scratch_len())
    }

    /// Elements that a task needs beside the values.
    fn scratch(&self) -> usize {
        let lines = (self.n + GAP) * COLUMNS.min(self.row) + self.spare();
        self.row_there.iter().chain(&self.row_back).map(Axis::scratch).fold(lines, usize::max)
    }

    /// Columns of a piece of a row, where a block is shared out.
    fn piece(&self) -> usize {
        self.row.div_ceil(PIECES).next_multiple_of(COLUMNS)
    }

    /// What [`run`](FilterPlan::run) takes.
    pub fn taken(&self) -> Taken {
        let each = self.scratch() * size_of::<Complex<T>>();
        let slice = size_of::<&mut [T]>();
        let blocks = self.blocks();
        let (list, turns) = match self.in_blocks {
            true => (self.rows * slice, blocks * 4 * (slice + size_of::<usize>())),
            // Each block's list of pieces.
            false => (0, blocks * self.row.div_ceil(self.piece()) * (size_of::<Vec<&mut [T]>>() + self.rows * slice)),
        };
        Taken { each: (each + list) as u64, shared: turns as u64 }
    }

    /// Bytes of weights, twiddle factors and the like, at most.
    pub fn table_bytes(&self) -> u64 {
        let axes = self.row_there.iter().chain(&self.row_back).map(Axis::table_bytes);
        let lists = 8 * (self.live.len() + self.table_rows.len()) + 16 * self.columns.len();
        self.table.bytes() + (2 * line_bytes::<T>(self.n) + axes.sum::<usize>() + lists) as u64
    }

    /// Filters every block into `dst`, by way of `work` where that is not empty. A reader without a source finds its input
    /// in `dst`.
    pub fn run(&self, reader: &Reader<T>, post: &Weights, work: &mut [Complex<T>], dst: &mut [Complex<T>]) {
        let (block_len, out) = (self.rows * self.row, self.kept.len() * self.kept_row);
        let buffer = || Vec::with_capacity(self.scratch());
        match (self.in_blocks, work.is_empty()) {
            (true, true) => dst.par_chunks_mut(block_len).enumerate().for_each_init(buffer, |scratch, (b, block)| {
                self.block(reader, b, block, scratch);
                post.apply(b * out, block);
            }),
            (true, false) => {
                let blocks = work.len() / block_len;
                let mut turns: Vec<Vec<_>> = (0..blocks).map(|_| Vec::new()).collect();
                dst.chunks_mut(out).enumerate().for_each(|(b, d)| turns[b % blocks].push((b, d)));
                let tasks = work.par_chunks_mut(block_len).zip(turns);
                tasks.for_each_init(buffer, |scratch, (block, turns)| {
                    for (b, d) in turns {
                        self.block(reader, b, block, scratch);
                        let rows = block.chunks_exact(self.row).zip(d.chunks_exact_mut(self.kept_row));
                        rows.for_each(|(row, d)| self.pick(row, d));
                        post.apply(b * out, d);
                    }
                });
            }
            (false, in_place) => {
                let space: &mut [Complex<T>] = if in_place { &mut *dst } else { &mut *work };
                space.par_chunks_mut(block_len).enumerate().for_each(|(b, block)| self.large(reader, b, block));
                let lines = (CHUNK / self.row).max(1);
                if in_place {
                    let step = lines * self.row;
                    dst.par_chunks_mut(step).enumerate().for_each(|(c, part)| post.apply(c * step, part));
                    return;
                }
                dst.par_chunks_mut(out).zip(work.par_chunks(block_len)).enumerate().for_each(|(b, (d, block))| {
                    let rows = block.par_chunks(lines * self.row).zip(d.par_chunks_mut(lines * self.kept_row));
                    rows.enumerate().for_each(|(c, (rows, d))| {
                        let pairs = rows.chunks_exact(self.row).zip(d.chunks_exact_mut(self.kept_row));
                        pairs.for_each(|(row, d)| self.pick(row, d));
                        post.apply(b * out + c * lines * self.kept_row, d);
                    });
                });
            }
        }
    }

    /// One block, by one task.
    fn block(&self, reader: &Reader<T>, b: usize, block: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        self.fill(reader, b, 0, &mut block[..self.live.len() * self.row], scratch);
        if self.row == 1 && self.live.len() == self.n {
            // A line as it lies.
            if scratch.len() < self.spare() {
                scratch.resize(self.spare(), Complex::new(T::zero(), T::zero()));
            }
            self.filter_line(&mut block[..self.n], self.weights_of(b, 0), scratch);
            if self.kept.start > 0 {
                block.copy_within(self.kept.clone(), 0);
            }
            return;
        }
        let mut rows: Vec<&mut [Complex<T>]> = block.chunks_exact_mut(self.row).collect();
        self.filter_columns(&mut rows, (b, 0), scratch);
        self.finish(&mut block[..self.kept.len() * self.row], scratch);
    }

    /// The same, by many.
    fn large(&self, reader: &Reader<T>, b: usize, block: &mut [Complex<T>]) {
        let lines = (CHUNK / self.row).max(1);
        let buffer = || Vec::with_capacity(self.scratch());
        let live = &mut block[..self.live.len() * self.row];
        live.par_chunks_mut(lines * self.row)
            .enumerate()
            .for_each_init(buffer, |scratch, (c, part)| self.fill(reader, b, c * lines, part, scratch));
        let width = self.piece();
        let mut pieces: Vec<Vec<&mut [Complex<T>]>> = Vec::new();
        pieces.resize_with(self.row.div_ceil(width), || Vec::with_capacity(self.rows));
        for row in block.chunks_exact_mut(self.row) {
            row.chunks_mut(width).zip(&mut pieces).for_each(|(part, piece)| piece.push(part));
        }
        pieces
            .par_iter_mut()
            .enumerate()
            .for_each_init(buffer, |scratch, (p, rows)| self.filter_columns(rows, (b, p * width), scratch));
        let kept = &mut block[..self.kept.len() * self.row];
        kept.par_chunks_mut(lines * self.row).for_each_init(buffer, |scratch, part| self.finish(part, scratch));
    }

    /// Reads the live rows from the `at`-th on, and transforms them along the other axes.
    fn fill(&self, reader: &Reader<T>, b: usize, at: usize, part: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        let live = &self.live[at..at + part.len() / self.row];
        let mut rest = part;
        let mut done = 0;
        while done < live.len() {
            // As many as follow each other at once.
            let run = (done..live.len()).take_while(|&k| live[k] == live[done] + k - done).count();
            let (rows, behind) = rest.split_at_mut(run * self.row);
            reader.read((b * self.n + live[done]) * self.row, rows);
            for row in rows.chunks_exact_mut(self.row) {
                self.row_there.iter().for_each(|axis| axis.live_lines(0, row, scratch));
            }
            (rest, done) = (behind, done + run);
        }
    }

    /// The first axis of some columns, from column `first` of block `b` on: there, weighted, and back. Live rows go in, kept
    /// ones come out.
    fn filter_columns(
        &self,
        rows: &mut [&mut [Complex<T>]],
        (b, first): (usize, usize),
        scratch: &mut Vec<Complex<T>>,
    ) {
        let (n, pitch) = (self.n, self.n + GAP);
        let total = rows.first().map_or(0, |r| r.len());
        let null = Complex::new(T::zero(), T::zero());
        let need = pitch * COLUMNS.min(total) + self.spare();
        if scratch.len() < need {
            scratch.resize(need, null);
        }
        for c in (0..total).step_by(COLUMNS) {
            let width = COLUMNS.min(total - c);
            let (lines, spare) = scratch.split_at_mut(pitch * width);
            if self.live.len() < n {
                lines.fill(null);
            }
            for (row, &i) in rows.iter().zip(&self.live) {
                let row = &row[c..c + width];
                row.iter().zip(lines.chunks_exact_mut(pitch)).for_each(|(v, line)| line[i] = *v);
            }
            for (j, line) in lines.chunks_exact_mut(pitch).enumerate() {
                self.filter_line(&mut line[..n], self.weights_of(b, first + c + j), spare);
            }
            for (row, i) in rows.iter_mut().zip(self.kept.clone()) {
                let row = &mut row[c..c + width];
                row.iter_mut().zip(lines.chunks_exact(pitch)).for_each(|(v, line)| *v = line[i]);
            }
        }
    }

    /// Where in the table the weights of a column of block `b` begin.
    pub(super) fn weights_of(&self, b: usize, column: usize) -> usize {
        let columns = self.table.extents()[1];
        (self.table_rows[b] * columns + if columns > 1 { column } else { 0 }) * self.n
    }

    /// There, weighted, and back.
    pub(super) fn filter_line(&self, line: &mut [Complex<T>], weights: usize, spare: &mut [Complex<T>]) {
        self.there.process_with_scratch(line, spare);
        self.weigh(line, weights);
        self.back.process_with_scratch(line, spare);
    }

    /// Multiplies a line of coefficients by its weights, which begin at `first` in the table.
    fn weigh(&self, line: &mut [Complex<T>], first: usize) {
        let (scale, range) = (self.scale, first..first + line.len());
        widest(
            #[inline(always)]
            || match (self.table.data(), scale.im == T::zero()) {
                (ConstantData::F32(w), true) => {
                    line.iter_mut().zip(&w[range]).for_each(|(v, &w)| *v = *v * (T::of(w) * scale.re));
                }
                (ConstantData::F32(w), false) => {
                    line.iter_mut().zip(&w[range]).for_each(|(v, &w)| *v = *v * (scale * T::of(w)));
                }
                (ConstantData::C32(w), true) => {
                    line.iter_mut().zip(&w[range]).for_each(|(v, &w)| *v = *v * (widen::<T>(w) * scale.re));
                }
                (ConstantData::C32(w), false) => {
                    line.iter_mut().zip(&w[range]).for_each(|(v, &w)| *v = *v * (widen::<T>(w) * scale));
                }
                (ConstantData::Stacked(_), _) => {
                    let table = &self.table;
                    line.iter_mut().zip(range).for_each(|(v, k)| *v = *v * (widen::<T>(table.get(k)) * scale));
                }
            },
        );
    }

    /// Transforms kept rows back along the other axes.
    fn finish(&self, rows: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        for row in rows.chunks_exact_mut(self.row) {
            self.row_back.iter().for_each(|axis| axis.live_lines(0, row, scratch));
        }
    }

    /// What is kept of a row.
    fn pick(&self, row: &[Complex<T>], to: &mut [Complex<T>]) {
        if self.columns.is_empty() {
            to.copy_from_slice(row);
            return;
        }
        let mut to = to;
        for c in &self.columns {
            let (head, rest) = to.split_at_mut(c.len());
            head.copy_from_slice(&row[c.clone()]);
            to = rest;
        }
    }
}
