//! Convolutions on the host: rows of results, to which tap after tap adds rows of x, in registers where weights are real (`rows.rs`);
//! between many channels a product (`product.rs`).

use super::axis::Run;
use super::{ConvolveKernel, MOST_AXES};
use super::rows::{Rows, Stretch, Way};
use crate::loops::{Elem, Entries, Real, Slice, Taken, widen, widest};
use crate::plan::{HostLoops, Kernel, Place};
use ndarray::Array2;
use num_complex::Complex;
use rayon::prelude::*;

/// Results that a task makes of a row.
const PIECE: usize = 1 << 12;

/// The kernel in the precision of the run, and for each tap along the last axis where it adds what.
pub(super) struct Taps<T> {
    weights: Vec<Complex<T>>,
    pub(super) last: Vec<Vec<Run>>,
    /// The weights where it is a product, instead.
    matrix: Option<Array2<T>>,
    /// The taps along the last axis where rows are made in registers.
    rows: Option<(Way, Vec<Stretch>)>,
}

impl HostLoops for ConvolveKernel {
    type Tables<T: Real> = Taps<T>;

    fn tables<T: Real>(&self) -> Taps<T> {
        let weight = |k: usize| {
            let w = widen::<T>(self.weight.get(k));
            if self.conj { w.conj() } else { w }
        };
        let weights: Vec<_> = (0..self.weight.len()).map(weight).collect();
        let last = (0..self.taps[2]).map(|j| self.axes[2].runs(j, self.input()[2])).collect();
        match self.is_product() {
            true => Taps { matrix: Some(self.matrix(&weights)), weights: Vec::new(), last, rows: None },
            false => Taps { weights, last, matrix: None, rows: self.way().map(|way| (way, self.stretches(way))) },
        }
    }

    fn run<T: Real, E: Elem<T>>(&self, taps: &Taps<T>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        self.entries().each(sources[0], to.stretch(self.output_len()), |x, d| match &taps.matrix {
            Some(matrix) => self.product(taps, matrix, x, d),
            None => self.entry(taps, x, d),
        });
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        let own = if self.is_product() { self.product_taken().each } else { self.row_bytes(element) as u64 };
        let read = self.entries().taken(element, same);
        Taken { each: own, shared: read.shared }
    }

    fn table_bytes(&self) -> u64 {
        let runs: usize = (0..self.taps[2]).map(|j| self.axes[2].runs(j, self.input()[2]).len()).sum();
        let stretches = self.way().map_or(0, |way| self.stretches(way).len().next_power_of_two() * size_of::<Stretch>());
        (self.weight.len() * size_of::<Complex<f64>>() + runs.max(self.taps[2]) * 4 * size_of::<Run>() + stretches) as u64
    }
}

impl ConvolveKernel {
    fn entries(&self) -> Entries<'_> {
        Entries { load: &self.load, input: self.load.extents[1..].iter().product(), output: self.plane().1 }
    }

    /// The results of one batch entry.
    fn entry<T: Real, E: Elem<T>>(&self, taps: &Taps<T>, x: &[E], d: &mut [E]) {
        let behind = self.behind();
        let row = self.axes[2].extent * behind;
        let step = if let Some((Way::Upsampled(up), _)) = taps.rows { up } else { 1 };
        let piece = (PIECE / behind / step).max(1) * step;
        let place = |at: usize| {
            let (m2, rest) = (at % self.axes[1].extent, at / self.axes[1].extent);
            (rest / self.axes[0].extent, [rest % self.axes[0].extent, m2])
        };
        // Whole rows from `at` on, or a piece of one.
        let part = |at: usize, first: usize, d: &mut [E]| match &taps.rows {
            Some((way, stretches)) => widest(
                #[inline(always)]
                || {
                    let rows = Rows { way: *way, weights: &taps.weights, stretches };
                    let mut lines = self.lines();
                    for (k, d) in d.chunks_mut(row).enumerate() {
                        self.row(&rows, x, place(at + k), first, d, &mut lines);
                    }
                },
            ),
            None => {
                for (k, d) in d.chunks_mut(row).enumerate() {
                    let (out, m) = place(at + k);
                    self.piece(taps, x, out, m, first, d);
                }
            }
        };
        let several = PIECE / row;
        match several {
            // Few results are one task.
            1.. if d.len() <= PIECE => part(0, 0, d),
            1.. => d.par_chunks_mut(several * row).enumerate().for_each(|(task, d)| part(task * several, 0, d)),
            0 => d.par_chunks_mut(row).enumerate().for_each(|(at, d)| {
                d.par_chunks_mut(piece * behind).enumerate().for_each(|(p, d)| part(at, p * piece, d));
            }),
        }
    }

    /// The results from `first` on along the last axis, of one output channel and of indices `m` along the first two.
    fn piece<T: Real, E: Elem<T>>(
        &self,
        taps: &Taps<T>,
        x: &[E],
        out: usize,
        m: [usize; MOST_AXES - 1],
        first: usize,
        d: &mut [E],
    ) {
        d.fill(E::null());
        let (input, behind) = (self.input(), self.behind());
        let (by_out, by_in) = self.weight_strides();
        let end = first + d.len() / behind;
        let row = input[2] * behind;
        for i in 0..self.channels.1 {
            for j1 in 0..self.taps[0] {
                let Some(n1) = self.axes[0].source(m[0], j1, input[0]) else { continue };
                for j2 in 0..self.taps[1] {
                    let Some(n2) = self.axes[1].source(m[1], j2, input[1]) else { continue };
                    let x = &x[((i * input[0] + n1) * input[1] + n2) * row..][..row];
                    let weights = &taps.weights[out * by_out + i * by_in + (j1 * self.taps[1] + j2) * self.taps[2]..];
                    for (runs, &w) in taps.last.iter().zip(weights) {
                        for run in runs {
                            let run = run.within(first, end);
                            add_run(&run, first, behind, x, d, w, self.weight.is_complex());
                        }
                    }
                }
            }
        }
    }
}

/// `d[m − first] += w·x[n]` for the pairs of a run, of `behind` elements each.
fn add_run<T: Real, E: Elem<T>>(
    run: &Run,
    first: usize,
    behind: usize,
    x: &[E],
    d: &mut [E],
    w: Complex<T>,
    complex: bool,
) {
    match complex {
        true => add_each(run, first, behind, x, d, |d, x| *d = *d + x.times(w)),
        false => add_each(run, first, behind, x, d, |d, x| *d = *d + *x * w.re),
    }
}

/// Adds with what `add` does for a pair of elements, which no loop has to ask for.
fn add_each<E: Copy>(run: &Run, first: usize, behind: usize, x: &[E], d: &mut [E], add: impl Fn(&mut E, &E)) {
    let rows = |d: &mut [E], x: &[E]| d.iter_mut().zip(x).for_each(|(d, x)| add(d, x));
    if run.len == 0 {
        return;
    }
    let (dm, dn) = (run.dm, run.dn);
    match (dm, dn) {
        (1, 1) => {
            let len = run.len * behind;
            rows(&mut d[(run.m0 - first) * behind..][..len], &x[run.n0 * behind..][..len]);
        }
        _ => {
            for k in 0..run.len {
                let (m, n) = (run.m0 + k * dm - first, (run.n0 as i64 + k as i64 * dn) as usize);
                rows(&mut d[m * behind..][..behind], &x[n * behind..][..behind]);
            }
        }
    }
}
