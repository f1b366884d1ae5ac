//! Pointwise work on the host.

use super::MapKernel;
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken};
use crate::plan::{HostLoops, Place};
use rayon::prelude::*;

impl HostLoops for MapKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let readers: Vec<Reader<T>> = self.loads.iter().zip(sources).map(|(l, s)| Reader::new(l, *s)).collect();
        let dst = match to.rows(self.len) {
            Ok((dst, store)) => {
                let rows = dst.par_chunks_mut(store.pitch).take(self.len / store.run).enumerate();
                return rows.for_each(|(r, row)| {
                    let row = &mut row[store.start..store.start + store.run];
                    sum(&readers, r * store.run, row, &mut vec![E::null(); if readers.len() > 1 { store.run } else { 0 }]);
                });
            }
            Err(to) => to.stretch(self.len),
        };
        let term = || vec![E::null(); if readers.len() > 1 { CHUNK } else { 0 }];
        dst.par_chunks_mut(CHUNK).enumerate().for_each_init(term, |term, (c, d)| sum(&readers, c * CHUNK, d, term));
    }

    fn taken(&self, element: usize, _: bool, _: usize) -> Taken {
        Taken { each: if self.loads.len() > 1 { (CHUNK * element) as u64 } else { 0 }, shared: 0 }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

/// The sum of the reads from index `first` on; `term` has room for one of them, where there are several.
fn sum<T: Real, E: Elem<T>>(readers: &[Reader<T>], first: usize, d: &mut [E], term: &mut [E]) {
    let Some((head, rest)) = readers.split_first() else { return d.fill(E::null()) };
    head.read(first, d);
    for r in rest {
        let term = &mut term[..d.len()];
        r.read(first, term);
        d.iter_mut().zip(term.iter()).for_each(|(d, t)| *d = *d + *t);
    }
}
