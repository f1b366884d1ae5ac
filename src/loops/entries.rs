//! Kernels that read batch entry after batch entry whole: as they lie where the read is plain, else copied some at a time.

use super::{CHUNK, Elem, Reader, Real, Slice, Taken};
use crate::access::Load;
use rayon::prelude::*;

/// Elements that are read through the load together, in whole entries.
const READ: usize = 1 << 19;

/// A read cut into entries of `input` elements, each of which gives `output` results.
pub(crate) struct Entries<'l> {
    pub load: &'l Load,
    pub input: usize,
    pub output: usize,
}

impl Entries<'_> {
    /// Entries that are read together.
    fn together(&self) -> usize {
        (READ / self.input).clamp(1, self.load.count() / self.input)
    }

    /// Calls `f(entry of x, its results)` for every entry. Tasks that `f` starts hold no buffers.
    pub fn each<T: Real, E: Elem<T>>(
        &self,
        source: Option<Slice<T>>,
        dst: &mut [E],
        f: impl Fn(&[E], &mut [E]) + Sync,
    ) {
        let (input, output) = (self.input, self.output);
        let reader = Reader::new(self.load, source);
        if let Some(x) = reader.plain() {
            dst.par_chunks_mut(output).zip(x.par_chunks(input)).for_each(|(d, x)| f(x, d));
            return;
        }
        let lines = self.together();
        let mut read = vec![E::null(); lines * input];
        for (k, d) in dst.chunks_mut(lines * output).enumerate() {
            let first = k * lines * input;
            let read = &mut read[..d.len() / output * input];
            read.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(first + c * CHUNK, part));
            d.par_chunks_mut(output).zip(read.par_chunks(input)).for_each(|(d, x)| f(x, d));
        }
    }

    /// What that takes of memory. `element`: bytes of a result; `same`: whether what is read has as many.
    pub fn taken(&self, element: usize, same: bool) -> Taken {
        let plain = same && self.load.collapsed().is_plain();
        let copied = if plain { 0 } else { self.together() * self.input };
        Taken { each: 0, shared: (copied * element) as u64 }
    }
}
