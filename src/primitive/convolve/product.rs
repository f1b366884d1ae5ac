//! Convolutions between many channels on the host, as matrix products: each value of x that is read serves all output channels.
//!
//! ```text
//! y[o, p] = Σ_k W[o, k]·P[k, p]        k = (i, j1, j2, j3): what a tap of an input channel reads for each result p
//! ```
//! P is never whole: a task packs a panel of it, for a stretch of results and some of the terms, zero where nothing is read, so
//! strides, upsampling and periods are no matter of the product. All is in reals: complex values are twice as many results, and of
//! a complex weight the imaginary part meets a row of i·x.

use super::host::Taps;
use super::{ConvolveKernel, MOST_AXES};
use crate::loops::{Elem, Real, Taken};
use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use num_complex::Complex;
use std::ops::Range;

/// Reals of one output channel that a task makes.
const STRETCH: usize = 256;

/// Terms that are packed together.
const TERMS: usize = 256;

/// Output channels from which on it is faster than adding rows.
const CHANNELS: usize = 4;

/// The time of an operation between so many output channels, in units of that of adding rows: measured for 16 channels, 3² taps.
pub(super) fn pace(out: usize) -> f64 {
    if out >= CHANNELS { 0.28 } else { 1.0 }
}

impl ConvolveKernel {
    /// Whether it is made as a product.
    pub(super) fn is_product(&self) -> bool {
        self.channels.0 >= CHANNELS && self.terms() > 1
    }

    /// Rows of the panel: one for each term, two where weights are complex.
    fn rows(&self) -> usize {
        self.terms() * if self.weight.is_complex() { 2 } else { 1 }
    }

    /// W, of these weights.
    pub(super) fn matrix<T: Real>(&self, weights: &[Complex<T>]) -> Array2<T> {
        let (taps, (by_out, by_in)) = (self.taps.iter().product::<usize>(), self.weight_strides());
        let parts = self.rows() / self.terms();
        Array2::from_shape_fn((self.channels.0, self.rows()), |(o, row)| {
            let (term, part) = (row / parts, row % parts);
            let w = weights[o * by_out + term / taps * by_in + term % taps];
            if part == 0 { w.re } else { w.im }
        })
    }

    /// The results of one batch entry.
    pub(super) fn product<T: Real, E: Elem<T>>(&self, taps: &Taps<T>, matrix: &Array2<T>, x: &[E], d: &mut [E]) {
        let shape = (self.channels.0, self.plane().0 * E::LANES);
        let Ok(mut y) = ArrayViewMut2::from_shape(shape, E::flat_mut(d)) else { return };
        let panel = || vec![E::null(); TERMS.min(self.rows()) * STRETCH / E::LANES];
        let stretches = y.axis_chunks_iter_mut(Axis(1), STRETCH).into_par_iter().enumerate();
        stretches.for_each_init(panel, |panel, (k, mut y)| {
            let first = k * STRETCH / E::LANES;
            let columns = first..first + y.ncols() / E::LANES;
            for begin in (0..self.rows()).step_by(TERMS) {
                let rows = begin..(begin + TERMS).min(self.rows());
                let panel = &mut panel[..rows.len() * columns.len()];
                self.pack(taps, x, rows.clone(), columns.clone(), panel);
                let Ok(panel) = ArrayView2::from_shape((rows.len(), y.ncols()), E::flat(panel)) else { return };
                let before = if begin == 0 { T::zero() } else { T::one() };
                general_mat_mul(T::one(), &matrix.slice(s![.., rows]), &panel, before, &mut y);
            }
        });
    }

    /// What a task takes: its panel, and the product's own copies of a part of both factors.
    pub(super) fn product_taken(&self) -> Taken {
        let terms = TERMS.min(self.rows());
        let copies = terms * (STRETCH + self.channels.0.min(1024) + 64);
        Taken { each: (size_of::<f32>() * (terms * STRETCH + copies)) as u64, shared: 0 }
    }

    /// Some rows of the panel, for results `columns` of any output channel.
    fn pack<T: Real, E: Elem<T>>(
        &self,
        taps: &Taps<T>,
        x: &[E],
        rows: Range<usize>,
        columns: Range<usize>,
        panel: &mut [E],
    ) {
        let parts = self.rows() / self.terms();
        let per_channel: usize = self.taps.iter().product();
        let channel = x.len() / self.channels.1;
        for (row, to) in rows.zip(panel.chunks_mut(columns.len())) {
            let (term, part) = (row / parts, row % parts);
            self.pack_row(taps, &x[term / per_channel * channel..][..channel], term % per_channel, &columns, to);
            if part == 1 {
                let i = Complex::new(T::zero(), T::one());
                to.iter_mut().for_each(|v| *v = v.times(i));
            }
        }
    }

    /// What one tap reads of one channel.
    fn pack_row<T: Real, E: Elem<T>>(
        &self,
        taps: &Taps<T>,
        x: &[E],
        tap: usize,
        columns: &Range<usize>,
        to: &mut [E],
    ) {
        let (input, behind) = (self.input(), self.behind());
        let j: [usize; MOST_AXES] =
            [tap / (self.taps[1] * self.taps[2]), tap / self.taps[2] % self.taps[1], tap % self.taps[2]];
        let line = self.axes[2].extent * behind;
        let mut at = columns.start;
        while at < columns.end {
            let (m, end) = (at / line, columns.end.min((at / line + 1) * line));
            let to = &mut to[at - columns.start..end - columns.start];
            let begin = at - m * line;
            at = end;
            let n1 = self.axes[0].source(m / self.axes[1].extent, j[0], input[0]);
            let n2 = self.axes[1].source(m % self.axes[1].extent, j[1], input[1]);
            let (Some(n1), Some(n2)) = (n1, n2) else {
                to.fill(E::null());
                continue;
            };
            let x = &x[(n1 * input[1] + n2) * input[2] * behind..][..input[2] * behind];
            // Elements of the line before `filled` are there.
            let (mut filled, end) = (begin, begin + to.len());
            for run in &taps.last[j[2]] {
                // As one step over all its elements where it has no gaps, else index by index.
                let (steps, each) = if run.dm == 1 && run.dn == 1 { (1, run.len * behind) } else { (run.len, behind) };
                for k in 0..steps {
                    let first = (run.m0 + k * run.dm) * behind;
                    let (low, high) = (first.max(filled), (first + each).min(end));
                    if low >= high {
                        continue;
                    }
                    to[filled - begin..low - begin].fill(E::null());
                    let n = (run.n0 as i64 + k as i64 * run.dn) as usize * behind + (low - first);
                    to[low - begin..high - begin].copy_from_slice(&x[n..n + high - low]);
                    filled = high;
                }
            }
            to[filled - begin..].fill(E::null());
        }
    }
}
