//! One step of a plan on the host.

use super::CHUNK;
use super::Prepared;
use super::element::{Elem, Real, Slice};
use super::load::{Reader, Weights};
use super::{Taken, gather, interpolate, reduce};
use crate::program::{Kernel, Store};
use rayon::prelude::*;

/// What an addition of elements of so many bytes takes.
pub(super) fn add_taken(element: usize) -> Taken {
    Taken { each: (CHUNK * element) as u64, once: 0 }
}

/// Computes a kernel's results into their places in `dst`. A source that is None is what `dst` holds; `work` is what the kernel
/// needs for itself.
pub(super) fn run_step<T: Real, E: Elem<T>>(
    kernel: &Kernel,
    store: &Store,
    prepared: &Prepared<T>,
    sources: &[Option<Slice<T>>],
    work: &mut [T],
    dst: &mut [E],
) {
    let len = kernel.output_len();
    if let (Kernel::Map { load }, false) = (kernel, store.is_contiguous(len)) {
        let reader = Reader::new(load, sources[0]);
        let rows = dst.par_chunks_mut(store.pitch).take(len / store.run).enumerate();
        rows.for_each(|(r, row)| reader.read(r * store.run, &mut row[store.start..store.start + store.run]));
        return;
    }
    let dst = &mut dst[store.start..store.start + len];
    match kernel {
        Kernel::Zero { .. } => dst.par_chunks_mut(CHUNK).for_each(|d| d.fill(E::null())),
        Kernel::Map { load } => {
            let reader = Reader::new(load, sources[0]);
            dst.par_chunks_mut(CHUNK).enumerate().for_each(|(c, d)| reader.read(c * CHUNK, d));
        }
        Kernel::Add { loads } => {
            let readers: Vec<Reader<T>> = loads.iter().zip(sources).map(|(l, s)| Reader::new(l, *s)).collect();
            dst.par_chunks_mut(CHUNK).enumerate().for_each_init(
                || vec![E::null(); CHUNK],
                |term, (c, d)| {
                    readers[0].read(c * CHUNK, d);
                    for r in &readers[1..] {
                        let term = &mut term[..d.len()];
                        r.read(c * CHUNK, term);
                        d.iter_mut().zip(term.iter()).for_each(|(d, t)| *d = *d + *t);
                    }
                },
            );
        }
        Kernel::Reduce { load, kept, .. } => reduce::run(load, *kept, sources[0], dst),
        Kernel::Gather { load, index } => gather::gather(load, index, sources[0], dst),
        Kernel::Scatter { load, index } => gather::scatter(load, index, sources[0], dst),
        Kernel::Interpolate { load, points, weights, .. } => {
            interpolate::interpolate(load, points, *weights, sources[0], work, dst);
        }
        Kernel::Spread { load, points, weights, .. } => {
            interpolate::spread(load, points, *weights, sources[0], work, dst);
        }
        Kernel::Fft { load, post, .. } => {
            let reader = Reader::new(load, sources[0]);
            let post = Weights::new(&post.extents, &post.factors, post.scale);
            if let (Prepared::Fft(t), Some(d)) = (prepared, E::as_complex_mut(dst)) {
                t.run(&reader, &post, d);
            }
        }
        Kernel::Filter { load, filter, post, work: room } => {
            let reader = Reader::new(load, sources[0]);
            let post = Weights::new(&post.extents, &post.factors, post.scale);
            // A buffer may be larger than what is needed of it.
            let needed = if room.is_some() { filter.work(load).map_or(0, |e| e.iter().product()) } else { 0 };
            if let (Prepared::Filter(t), Some(d)) = (prepared, E::as_complex_mut(dst)) {
                t.run(&reader, &post, bytemuck::cast_slice_mut(&mut work[..2 * needed]), d);
            }
        }
        Kernel::FftPass { .. } => unreachable!("plans for the host hold whole transforms"),
    }
}
