//! Fourier transforms on the host: rustfft along each axis, one task for each block of the batch while it is in cache.

use super::CHUNK;
use super::element::Real;
use super::load::{Reader, Weights};
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftDirection, FftPlanner};
use std::sync::Arc;

/// Columns that are transposed into scratch together: two cache lines of complex f32.
const COLUMNS: usize = 16;

/// Blocks up to this many elements are one task each; larger ones are cut along every axis.
const BLOCK: usize = 1 << 18;

/// So many blocks keep the cores busy; fewer are cut along every axis, too, unless they are as small as this.
const BLOCKS: usize = 4;
const SMALL: usize = 1 << 13;

/// The transforms of one step.
pub(super) struct AxisPlans<T: Real> {
    /// Innermost axis first.
    axes: Vec<Axis<T>>,
    /// Elements from the first transformed axis on: a block is transformed independently of the others.
    block: usize,
}

struct Axis<T: Real> {
    fft: Arc<dyn Fft<T>>,
    n: usize,
    inner: usize,
    shift: usize,
}

impl<T: Real> AxisPlans<T> {
    pub fn new(extents: &[usize], axes: &[usize], inverse: bool, centered: bool) -> AxisPlans<T> {
        let mut planner = FftPlanner::new();
        let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
        let axis = |&a: &usize| {
            let n = extents[a];
            let shift = if centered { n / 2 } else { 0 };
            Axis { fft: planner.plan_fft(n, direction), n, inner: extents[a + 1..].iter().product(), shift }
        };
        let block = extents[axes[0]..].iter().product();
        AxisPlans { axes: axes.iter().rev().map(axis).collect(), block }
    }

    /// Reads, transforms and weights every block of `dst`. A reader without a source finds its input there.
    pub fn run(&self, reader: &Reader<T>, post: &Weights, dst: &mut [Complex<T>]) {
        let whole = dst.len() >= BLOCKS * self.block || self.block <= SMALL;
        if self.block <= BLOCK && whole {
            dst.par_chunks_mut(self.block).enumerate().for_each_init(Vec::new, |scratch, (b, block)| {
                reader.read(b * self.block, block);
                for axis in &self.axes {
                    block.chunks_exact_mut(axis.n * axis.inner).for_each(|part| axis.lines(part, scratch));
                }
                post.apply(b * self.block, block);
            });
            return;
        }
        dst.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(c * CHUNK, part));
        for axis in &self.axes {
            let part = axis.n * axis.inner;
            if axis.inner == 1 {
                // Whole lines, several to a task.
                let lines = (CHUNK / axis.n).max(1);
                dst.par_chunks_mut(lines * axis.n).for_each_init(Vec::new, |scratch, lines| {
                    lines.chunks_exact_mut(axis.n).for_each(|line| axis.lines(line, scratch));
                });
            } else if dst.len() / part >= 8 {
                dst.par_chunks_mut(part).for_each_init(Vec::new, |scratch, part| axis.lines(part, scratch));
            } else {
                dst.chunks_exact_mut(part).for_each(|part| axis.columns(part));
            }
        }
        dst.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| post.apply(c * CHUNK, part));
    }
}

impl<T: Real> Axis<T> {
    /// Transforms all lines of (n, inner).
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
        for i in (0..inner).step_by(COLUMNS) {
            let width = COLUMNS.min(inner - i);
            let (lines, rest) = scratch.split_at_mut(n * width);
            self.pack(x.chunks_exact(inner).map(|row| &row[i..i + width]), lines);
            self.fft.process_with_scratch(lines, rest);
            self.unpack(lines, x.chunks_exact_mut(inner).map(|row| &mut row[i..i + width]));
        }
    }

    /// The same for one large (n, inner), in parallel over columns.
    fn columns(&self, x: &mut [Complex<T>]) {
        let mut tiles: Vec<Vec<&mut [Complex<T>]>> = Vec::new();
        tiles.resize_with(self.inner.div_ceil(COLUMNS), || Vec::with_capacity(self.n));
        for row in x.chunks_exact_mut(self.inner) {
            for (tile, part) in tiles.iter_mut().zip(row.chunks_mut(COLUMNS)) {
                tile.push(part);
            }
        }
        tiles.par_iter_mut().for_each_init(Vec::new, |scratch, rows| {
            let width = rows[0].len();
            self.reserve(width, scratch);
            let (lines, rest) = scratch.split_at_mut(self.n * width);
            self.pack(rows.iter().map(|row| &**row), lines);
            self.fft.process_with_scratch(lines, rest);
            self.unpack(lines, rows.iter_mut().map(|row| &mut **row));
        });
    }

    /// Room for so many lines, and for what the transform needs beside them.
    fn reserve(&self, lines: usize, scratch: &mut Vec<Complex<T>>) {
        let need = self.n * lines + self.fft.get_inplace_scratch_len();
        if scratch.len() < need {
            scratch.resize(need, Complex::new(T::zero(), T::zero()));
        }
    }

    /// The columns of rows, one after the other, from index `shift` on round the end.
    fn pack<'r>(&self, rows: impl Iterator<Item = &'r [Complex<T>]>, lines: &mut [Complex<T>]) {
        let (n, c) = (self.n, self.shift);
        for (k, row) in rows.enumerate() {
            let m = if k >= c { k - c } else { k + n - c };
            for (v, line) in row.iter().zip(lines.chunks_exact_mut(n)) {
                line[m] = *v;
            }
        }
    }

    /// The way back.
    fn unpack<'r>(&self, lines: &[Complex<T>], rows: impl Iterator<Item = &'r mut [Complex<T>]>) {
        let (n, c) = (self.n, self.shift);
        for (k, row) in rows.enumerate() {
            let m = if k >= c { k - c } else { k + n - c };
            for (v, line) in row.iter_mut().zip(lines.chunks_exact(n)) {
                *v = line[m];
            }
        }
    }
}
