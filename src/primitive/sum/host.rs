//! Sums on the host.

use super::{BLOCK, SumKernel};
use crate::access::{AxisIndex, Load};
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken};
use crate::plan::{HostLoops, Kernel, Place};
use num_complex::{Complex, Complex64};
use rayon::prelude::*;

/// Results that are summed together, row by row.
const WIDTH: usize = CHUNK / 4;

impl HostLoops for SumKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let dst = to.stretch(self.output_len());
        // The scalar meets each sum once instead of each term.
        let scale = Complex::new(T::of_f64(self.load.scale.re), T::of_f64(self.load.scale.im));
        let scaled = self.load.scale != Complex64::ONE;
        let load = Load { scale: Complex64::ONE, ..self.load.clone() };
        let (terms, sums) = (self.terms(), self.sums());
        // First and end of a part's terms.
        let part = |p: usize| (p * self.size, terms.min((p + 1) * self.size));
        if by_rows(&load, self.kept) {
            // Whole rows of results, term after term: what is read lies along the results.
            let order: Vec<usize> = (self.kept..load.extents.len()).chain(0..self.kept).collect();
            let reader = Reader::new(&load.permuted(&order), sources[0]);
            let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(t, f)| *t = *t + *f);
            dst.par_chunks_mut(sums).enumerate().for_each(|(p, dst)| {
                let (first, end) = part(p);
                dst.par_chunks_mut(WIDTH).enumerate().for_each_init(
                    || (vec![E::null(); WIDTH], vec![E::null(); WIDTH]),
                    |(row, block), (c, d)| {
                        let (row, block) = (&mut row[..d.len()], &mut block[..d.len()]);
                        for at in (first..end).step_by(BLOCK) {
                            let sum: &mut [E] = if at == first { &mut *d } else { &mut *block };
                            reader.read(at * sums + c * WIDTH, sum);
                            for k in at + 1..end.min(at + BLOCK) {
                                reader.read(k * sums + c * WIDTH, row);
                                add(sum, row);
                            }
                            if at > first {
                                add(d, block);
                            }
                        }
                        if scaled {
                            d.iter_mut().for_each(|d| *d = d.times(scale));
                        }
                    },
                );
            });
            return;
        }
        let reader = Reader::new(&load, sources[0]);
        let per_task = (CHUNK / self.size).max(1);
        dst.par_chunks_mut(per_task).enumerate().for_each_init(
            || vec![E::null(); self.size.min(CHUNK)],
            |row, (c, d)| {
                for (i, d) in d.iter_mut().enumerate() {
                    let result = c * per_task + i;
                    let (first, end) = part(result / sums);
                    let mut total = E::null();
                    for at in (first..end).step_by(CHUNK) {
                        let row = &mut row[..CHUNK.min(end - at)];
                        reader.read(result % sums * terms + at, row);
                        total = total + sum(row);
                    }
                    *d = if scaled { total.times(scale) } else { total };
                }
            },
        );
    }

    fn taken(&self, element: usize, _: bool, _: usize) -> Taken {
        let elements = if by_rows(&self.load, self.kept) { 2 * WIDTH } else { self.size.min(CHUNK) };
        Taken { each: (elements * element) as u64, shared: 0 }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

/// Whether neighbouring results read closer memory than neighbouring terms do.
fn by_rows(load: &Load, kept: usize) -> bool {
    let outputs: usize = load.extents[..kept].iter().product();
    let step = |axes: std::ops::Range<usize>| {
        let strides = axes.filter(|&a| load.extents[a] > 1).map(|a| match load.source.axes[a] {
            AxisIndex::Linear { stride } => stride.unsigned_abs(),
            AxisIndex::Divided { stride, .. } | AxisIndex::Wrapped { stride, .. } => stride.unsigned_abs(),
        });
        strides.filter(|&s| s > 0).min().unwrap_or(u64::MAX)
    };
    outputs >= BLOCK && step(0..kept) < step(kept..load.extents.len())
}

/// A pairwise sum over blocks of eight running ones.
fn sum<T: Real, E: Elem<T>>(x: &[E]) -> E {
    if x.len() > 512 {
        let (a, b) = x.split_at(x.len() / 2);
        return sum::<T, E>(a) + sum::<T, E>(b);
    }
    let mut lanes = [E::null(); 8];
    let chunks = x.chunks_exact(8);
    let tail = chunks.remainder();
    for c in chunks {
        for (l, &v) in lanes.iter_mut().zip(c) {
            *l = *l + v;
        }
    }
    for (l, &v) in lanes.iter_mut().zip(tail) {
        *l = *l + v;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}
