//! Gathers and their transposes on the host. A scatter is owned by its output: every result sums its own readers in order.

use super::element::{Elem, Real, Slice};
use super::load::Reader;
use super::{CHUNK, Taken};
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

/// Elements of input that are read through the load together, in whole lines.
const READ: usize = 1 << 19;

/// Lines that are read together.
fn together(outer: usize, input: usize) -> usize {
    (READ / input).clamp(1, outer)
}

/// Bytes of an index list, and of its transpose where the kernel scatters.
pub(super) fn list_bytes(index: &IndexList, scatters: bool) -> u64 {
    let mut words = index.indices().len();
    if scatters {
        words += index.inverse().starts.len() + index.inverse().readers.len();
    }
    (size_of::<u32>() * words) as u64
}

/// What a gather or scatter takes whose results have so many bytes; `same` says whether its source has as many.
pub(super) fn taken(load: &Load, same: bool, element: usize) -> Taken {
    let input = load.extents[1] * load.extents[2];
    let copied = if same && load.collapsed().is_plain() { 0 } else { together(load.extents[0], input) * input };
    Taken { each: 0, once: (copied * element) as u64 }
}

/// Runs `f(input line, output line)` for every outer index; what is not the source as it stands is read through the load first.
fn lines<T: Real, E: Elem<T>>(
    load: &Load,
    source: Option<Slice<T>>,
    input: usize,
    dst: &mut [E],
    output: usize,
    f: impl Fn(&[E], &mut [E]) + Sync,
) {
    let reader = Reader::new(load, source);
    if let Some(x) = reader.plain() {
        dst.par_chunks_mut(output).zip(x.par_chunks(input)).for_each(|(d, x)| f(x, d));
        return;
    }
    let lines = together(load.extents[0], input);
    let mut read = vec![E::null(); lines * input];
    for (k, d) in dst.chunks_mut(lines * output).enumerate() {
        let first = k * lines * input;
        let read = &mut read[..d.len() / output * input];
        read.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(first + c * CHUNK, part));
        d.par_chunks_mut(output).zip(read.par_chunks(input)).for_each(|(d, x)| f(x, d));
    }
}
