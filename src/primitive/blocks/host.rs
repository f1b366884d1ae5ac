//! Blocks on the host: rows are copied, or added in the order of the blocks.

use super::{BlockAxis, BlocksKernel};
use crate::loops::{Elem, Entries, Real, Slice, Taken};
use crate::plan::{HostLoops, Kernel, Place};
use rayon::prelude::*;

impl HostLoops for BlocksKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        self.entries().each(sources[0], to.stretch(self.output_len()), |x, d| if self.adds { self.add(x, d) } else { self.cut(x, d) });
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        self.entries().taken(element, same)
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl BlocksKernel {
    fn entries(&self) -> Entries<'_> {
        let (input, output) = self.ends();
        Entries { load: &self.load, input, output }
    }

    /// The blocks of one batch entry; a task makes those at one place along the first axis.
    fn cut<E: Copy + Send + Sync>(&self, x: &[E], d: &mut [E]) {
        let [a, b, c] = self.axes;
        let block = a.size * b.size * c.size;
        d.par_chunks_mut(b.count() * c.count() * block).enumerate().for_each(|(q1, d)| {
            d.chunks_mut(block).enumerate().for_each(|(at, d)| {
                let (q2, q3) = (at / c.count(), at % c.count());
                d.chunks_mut(c.size).enumerate().for_each(|(row, d)| {
                    let (n1, n2) = (a.stride * q1 + row / b.size, b.stride * q2 + row % b.size);
                    let first = (n1 * b.extent + n2) * c.extent + c.stride * q3;
                    d.copy_from_slice(&x[first..first + c.size]);
                });
            });
        });
    }

    /// One batch entry of blocks, added; a task owns one row along the last axis.
    fn add<T: Real, E: Elem<T>>(&self, x: &[E], d: &mut [E]) {
        let [a, b, c] = self.axes;
        let at = |q: [usize; 3], j: [usize; 2]| {
            let q = (q[0] * b.count() + q[1]) * c.count() + q[2];
            ((q * a.size + j[0]) * b.size + j[1]) * c.size
        };
        let places = |axis: BlockAxis, n: usize| {
            let (first, end) = axis.holding(n);
            (first..end).map(move |q| (q, n - axis.stride * q))
        };
        d.par_chunks_mut(c.extent).enumerate().for_each(|(row, d)| {
            d.fill(E::null());
            for (q1, j1) in places(a, row / b.extent) {
                for (q2, j2) in places(b, row % b.extent) {
                    for q3 in 0..c.count() {
                        let x = &x[at([q1, q2, q3], [j1, j2])..][..c.size];
                        let d = &mut d[c.stride * q3..][..c.size];
                        d.iter_mut().zip(x).for_each(|(d, x)| *d = *d + *x);
                    }
                }
            }
        });
    }
}
