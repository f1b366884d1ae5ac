//! Gathers and their transposes on the host. A scatter is owned by its output: every result sums its own readers in order.

use super::element::{Elem, Real, Slice};
use super::load::Reader;
use crate::program::{IndexList, Load};
use rayon::prelude::*;

/// Output rows that one task handles.
const ROWS: usize = 1 << 11;

/// `y[o, m, i] = x[o, index[m], i]`.
pub(super) fn gather<T: Real, E: Elem<T>>(load: &Load, index: &IndexList, source: Option<Slice<T>>, dst: &mut [E]) {
    let (extent, inner) = (load.extents[1], load.extents[2]);
    let pick = |x: &[E], d: &mut [E]| {
        let tasks = d.par_chunks_mut(ROWS * inner).zip(index.indices().par_chunks(ROWS));
        tasks.for_each(|(d, index)| {
            for (d, &g) in d.chunks_exact_mut(inner).zip(index) {
                d.copy_from_slice(&x[g as usize * inner..][..inner]);
            }
        });
    };
    lines(load, source, extent * inner, dst, index.indices().len() * inner, pick);
}

/// `y[o, g, i] = Σ x[o, m, i]` over the readers `m` of `g`, in rising order.
pub(super) fn scatter<T: Real, E: Elem<T>>(load: &Load, index: &IndexList, source: Option<Slice<T>>, dst: &mut [E]) {
    let (terms, inner) = (load.extents[1], load.extents[2]);
    let inverse = index.inverse();
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
    lines(load, source, terms * inner, dst, index.extent() * inner, add);
}

/// Runs `f(input line, output line)` for every outer index; the input line is read through the load first.
fn lines<T: Real, E: Elem<T>>(
    load: &Load,
    source: Option<Slice<T>>,
    input: usize,
    dst: &mut [E],
    output: usize,
    f: impl Fn(&[E], &mut [E]) + Sync,
) {
    let reader = Reader::new(load, source);
    dst.par_chunks_mut(output).enumerate().for_each_init(
        || vec![E::null(); input],
        |line, (o, d)| {
            line.par_chunks_mut(super::CHUNK)
                .enumerate()
                .for_each(|(c, part)| reader.read(o * input + c * super::CHUNK, part));
            f(line, d);
        },
    );
}
