//! Filters on the host that add up what they make, along an outer axis: coils.
//!
//! A strip of columns is read of one block, filtered, weighted and added to the strip of the result, block after block: terms are neither
//! stored nor read again. They are added in their order, as a sum of few terms adds them.

use super::filter::Filter;
use super::host_filter::FilterPlan;
use super::lines::GAP;
use super::passes::Folded;
use crate::loops::{Reader, Real, Rows, Taken, Weights, widest};
use num_complex::Complex;
use rayon::prelude::*;

/// Bytes of a strip, at most: it stays in the second-level cache.
const STRIP: usize = 1 << 18;

/// A result is cut into so many strips, if that leaves each a cache line of columns.
const STRIPS: usize = 8;
const LEAST: usize = 8;

/// Rows that are read and written together.
const TOGETHER: usize = 8;

/// Columns of a strip of rows of so many, `n` of them.
fn strip(n: usize, row: usize, element: usize) -> usize {
    let most = STRIP / ((n + GAP) * element) / LEAST * LEAST;
    row.div_ceil(STRIPS).next_multiple_of(LEAST).min(most.max(LEAST)).min(row)
}

/// Strips of a block.
pub(super) fn strips_of(filter: &Filter) -> usize {
    let (n, row) = (filter.extents[filter.first()], filter.row());
    row.div_ceil(strip(n, row, size_of::<Complex<f32>>()))
}

impl<T: Real> FilterPlan<T> {
    /// Columns of a strip.
    fn strip(&self) -> usize {
        strip(self.n, self.row, size_of::<Complex<T>>())
    }

    /// Elements that a task needs beside the values.
    fn strip_scratch(&self) -> usize {
        (self.n + GAP + TOGETHER) * self.strip() + self.spare()
    }

    /// What [`run_summed`](FilterPlan::run_summed) takes.
    pub fn taken_summed(&self, folded: Folded) -> Taken {
        let results = self.blocks() / folded.terms;
        let list = size_of::<Vec<&mut [T]>>() + self.n * size_of::<&mut [T]>();
        let strips = if self.row == 1 { 0 } else { self.row.div_ceil(self.strip()) };
        let each = self.strip_scratch() * size_of::<Complex<T>>();
        Taken { each: each as u64, shared: (results * strips * list) as u64 }
    }

    /// Filters every block, and adds them up.
    pub fn run_summed(&self, reader: &Reader<T>, post: &Weights, folded: Folded, dst: &mut [Complex<T>]) {
        let blocks = |result: usize| {
            let first = result / folded.behind * folded.terms * folded.behind + result % folded.behind;
            (0..folded.terms).map(move |t| first + t * folded.behind)
        };
        let buffer = || Vec::with_capacity(self.strip_scratch());
        if self.row == 1 {
            dst.par_chunks_mut(self.n).enumerate().for_each_init(buffer, |scratch, (r, line)| {
                self.sum_line(reader, post, blocks(r), line, scratch);
            });
            return;
        }
        let width = self.strip();
        dst.par_chunks_mut(self.n * self.row).enumerate().for_each(|(r, block)| {
            let mut strips: Vec<Vec<&mut [Complex<T>]>> = Vec::new();
            strips.resize_with(self.row.div_ceil(width), || Vec::with_capacity(self.n));
            for row in block.chunks_exact_mut(self.row) {
                row.chunks_mut(width).zip(&mut strips).for_each(|(part, strip)| strip.push(part));
            }
            strips.par_iter_mut().enumerate().for_each_init(buffer, |scratch, (k, rows)| {
                self.sum_strip(reader, post, blocks(r), k * width, rows, scratch);
            });
        });
    }

    /// Adds up the columns from `column` on of some blocks.
    fn sum_strip(
        &self,
        reader: &Reader<T>,
        post: &Weights,
        blocks: impl Iterator<Item = usize>,
        column: usize,
        rows: &mut [&mut [Complex<T>]],
        scratch: &mut Vec<Complex<T>>,
    ) {
        let (n, pitch) = (self.n, self.n + GAP);
        let width = rows.first().map_or(0, |r| r.len());
        let null = Complex::new(T::zero(), T::zero());
        scratch.resize(scratch.len().max((pitch + TOGETHER) * width + self.spare()), null);
        let (lines, rest) = scratch.split_at_mut(pitch * width);
        let (part, spare) = rest.split_at_mut(TOGETHER * width);
        for (term, b) in blocks.enumerate() {
            let at = |i: usize| Rows { first: (b * n + i) * self.row + column, step: self.row, width };
            if self.live.len() < n {
                lines.fill(null);
            }
            for stretch in self.stretches() {
                let part = &mut part[..stretch.len() * width];
                reader.read_rows(at(stretch.start), part);
                into_lines(part, width, &mut lines[stretch.start..], pitch);
            }
            for (j, line) in lines.chunks_exact_mut(pitch).enumerate() {
                self.filter_line(&mut line[..n], self.weights_of(b, column + j), spare);
            }
            for (k, rows) in rows.chunks_mut(TOGETHER).enumerate() {
                let (first, part) = (k * TOGETHER, &mut part[..rows.len() * width]);
                from_lines(&lines[first..], pitch, part, width);
                post.apply_rows(at(first), part);
                rows.iter_mut().zip(part.chunks_exact(width)).for_each(|(row, part)| add(term, row, part));
            }
        }
    }

    /// Rows that are not zero, so many at once as follow each other.
    fn stretches(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = *self.live.get(at)?;
            let more = self.live[at..].iter().zip(first..).take(TOGETHER).take_while(|(i, k)| *i == k);
            let stretch = first..first + more.count();
            at += stretch.len();
            Some(stretch)
        })
    }

    /// Adds up some blocks of one column.
    fn sum_line(
        &self,
        reader: &Reader<T>,
        post: &Weights,
        blocks: impl Iterator<Item = usize>,
        to: &mut [Complex<T>],
        scratch: &mut Vec<Complex<T>>,
    ) {
        let n = self.n;
        let null = Complex::new(T::zero(), T::zero());
        scratch.resize(scratch.len().max(n + self.spare()), null);
        let (line, spare) = scratch.split_at_mut(n);
        for (term, b) in blocks.enumerate() {
            reader.read(b * n, line);
            self.filter_line(line, self.weights_of(b, 0), spare);
            post.apply(b * n, line);
            add(term, to, line);
        }
    }
}

/// Columns that are turned together.
const BLOCK: usize = 4;

/// The columns of some rows, each into a line.
fn into_lines<T: Real>(rows: &[Complex<T>], width: usize, lines: &mut [Complex<T>], pitch: usize) {
    widest(
        #[inline(always)]
        || {
            let whole = if rows.len() == TOGETHER * width { width / BLOCK * BLOCK } else { 0 };
            for j in (0..whole).step_by(BLOCK) {
                let block: [[Complex<T>; BLOCK]; TOGETHER] =
                    std::array::from_fn(|r| *rows[r * width + j..].first_chunk().expect("a block is whole"));
                for c in 0..BLOCK {
                    let to: &mut [Complex<T>; TOGETHER] =
                        lines[(j + c) * pitch..].first_chunk_mut().expect("a line is as long");
                    *to = std::array::from_fn(|r| block[r][c]);
                }
            }
            for (r, row) in rows.chunks_exact(width).enumerate() {
                row.iter().enumerate().skip(whole).for_each(|(j, v)| lines[j * pitch + r] = *v);
            }
        },
    );
}

/// The way back.
fn from_lines<T: Real>(lines: &[Complex<T>], pitch: usize, rows: &mut [Complex<T>], width: usize) {
    widest(
        #[inline(always)]
        || {
            let whole = if rows.len() == TOGETHER * width { width / BLOCK * BLOCK } else { 0 };
            for j in (0..whole).step_by(BLOCK) {
                let block: [[Complex<T>; TOGETHER]; BLOCK] =
                    std::array::from_fn(|c| *lines[(j + c) * pitch..].first_chunk().expect("a line is as long"));
                for r in 0..TOGETHER {
                    let to: &mut [Complex<T>; BLOCK] =
                        rows[r * width + j..].first_chunk_mut().expect("a block is whole");
                    *to = std::array::from_fn(|c| block[c][r]);
                }
            }
            for (r, row) in rows.chunks_exact_mut(width).enumerate() {
                row.iter_mut().enumerate().skip(whole).for_each(|(j, v)| *v = lines[j * pitch + r]);
            }
        },
    );
}

/// The first term is the sum so far.
fn add<T: Real>(term: usize, to: &mut [Complex<T>], part: &[Complex<T>]) {
    match term {
        0 => to.copy_from_slice(part),
        _ => to.iter_mut().zip(part).for_each(|(t, v)| *t = *t + *v),
    }
}
