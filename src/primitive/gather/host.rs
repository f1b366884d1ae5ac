//! Gathers and their transposes on the host. A scatter is owned by its output: every result sums its own readers in order.

use super::GatherKernel;
use crate::access::Load;
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken};
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
            return self.lines(sources[0], dst, pick);
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
        self.lines(sources[0], dst, add);
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        let input = self.load.extents[1] * self.load.extents[2];
        let plain = same && self.load.collapsed().is_plain();
        let copied = if plain { 0 } else { together(&self.load, input) * input };
        Taken { each: 0, shared: (copied * element) as u64 }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

/// Elements of input that are read through the load together, in whole lines.
const READ: usize = 1 << 19;

/// Lines of so many elements that are read together.
fn together(load: &Load, input: usize) -> usize {
    (READ / input).clamp(1, load.extents[0])
}

impl GatherKernel {
    /// Runs `f(input line, output line)` for every outer index; what is not the source as it stands is read through the load
    /// first.
    fn lines<T: Real, E: Elem<T>>(
        &self,
        source: Option<Slice<T>>,
        dst: &mut [E],
        f: impl Fn(&[E], &mut [E]) + Sync,
    ) {
        let (input, output) = (self.load.extents[1] * self.load.extents[2], self.written() * self.load.extents[2]);
        let reader = Reader::new(&self.load, source);
        if let Some(x) = reader.plain() {
            dst.par_chunks_mut(output).zip(x.par_chunks(input)).for_each(|(d, x)| f(x, d));
            return;
        }
        let lines = together(&self.load, input);
        let mut read = vec![E::null(); lines * input];
        for (k, d) in dst.chunks_mut(lines * output).enumerate() {
            let first = k * lines * input;
            let read = &mut read[..d.len() / output * input];
            read.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(first + c * CHUNK, part));
            d.par_chunks_mut(output).zip(read.par_chunks(input)).for_each(|(d, x)| f(x, d));
        }
    }
}
