//! Gathers and their transposes on the host. A scatter is owned by its output: every result sums its own readers in order.

use super::GatherKernel;
use crate::loops::{Elem, Entries, Real, Slice, Taken};
use crate::plan::{HostLoops, Kernel, Place};
use rayon::prelude::*;

/// Output rows that one task handles.
const ROWS: usize = 1 << 11;

impl HostLoops for GatherKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let inner = self.load.extents[2];
        let dst = to.stretch(self.output_len());
        if !self.scatters {
            let index = self.index.indices();
            let pick = |x: &[E], d: &mut [E]| {
                let tasks = d.par_chunks_mut(ROWS * inner).zip(index.par_chunks(ROWS));
                tasks.for_each(|(d, index)| {
                    for (d, &g) in d.chunks_exact_mut(inner).zip(index) {
                        d.copy_from_slice(&x[g as usize * inner..][..inner]);
                    }
                });
            };
            return self.entries().each(sources[0], dst, pick);
        }
        let inverse = self.index.inverse();
        let add = |x: &[E], d: &mut [E]| {
            d.par_chunks_mut(ROWS * inner).enumerate().for_each(|(c, d)| {
                for (k, d) in d.chunks_exact_mut(inner).enumerate() {
                    let g = c * ROWS + k;
                    let readers = &inverse.readers[inverse.starts[g] as usize..inverse.starts[g + 1] as usize];
                    d.fill(E::null());
                    for &m in readers {
                        let x = &x[m as usize * inner..][..inner];
                        d.iter_mut().zip(x).for_each(|(d, x)| *d = *d + *x);
                    }
                }
            });
        };
        self.entries().each(sources[0], dst, add);
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        self.entries().taken(element, same)
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl GatherKernel {
    fn entries(&self) -> Entries<'_> {
        let inner = self.load.extents[2];
        Entries { load: &self.load, input: self.load.extents[1] * inner, output: self.written() * inner }
    }
}
