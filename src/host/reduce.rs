//! Sums on the host. The tree of every sum is fixed by the shape.

use super::element::{Elem, Real, Slice};
use super::load::Reader;
use super::{CHUNK, Taken};
use crate::program::{AxisIndex, Load};
use num_complex::{Complex, Complex64};
use rayon::prelude::*;

/// Terms that are added one after the other before they join the total.
const BLOCK: usize = 64;

/// Results that are summed together, row by row.
const WIDTH: usize = CHUNK / 4;

/// What a sum takes whose results have so many bytes.
pub(super) fn taken(load: &Load, kept: usize, element: usize) -> Taken {
    let terms: usize = load.extents[kept..].iter().product();
    let elements = if by_rows(load, kept) { 2 * WIDTH } else { terms.min(CHUNK) };
    Taken { each: (elements * element) as u64, once: 0 }
}

/// Sums the load over the axes from `kept` on.
pub(super) fn run<T: Real, E: Elem<T>>(load: &Load, kept: usize, source: Option<Slice<T>>, dst: &mut [E]) {
    let terms: usize = load.extents[kept..].iter().product();
    // The scalar meets each sum once instead of each term.
    let (mut load, scale) = (load.clone(), load.scale);
    load.scale = Complex64::new(1.0, 0.0);
    let (load, scaled) = (&load, scale != load.scale);
    let scale = Complex::new(T::of_f64(scale.re), T::of_f64(scale.im));
    if by_rows(load, kept) {
        // Whole rows of results, term after term: what is read lies along the results.
        let order: Vec<usize> = (kept..load.extents.len()).chain(0..kept).collect();
        let reader = Reader::new(&load.permuted(&order), source);
        let outputs = dst.len();
        dst.par_chunks_mut(WIDTH).enumerate().for_each_init(
            || (vec![E::null(); WIDTH], vec![E::null(); WIDTH]),
            |(row, part), (c, d)| {
                let (row, part) = (&mut row[..d.len()], &mut part[..d.len()]);
                let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(t, f)| *t = *t + *f);
                for block in (0..terms).step_by(BLOCK) {
                    let sum: &mut [E] = if block == 0 { &mut *d } else { &mut *part };
                    reader.read(block * outputs + c * WIDTH, sum);
                    for k in block + 1..terms.min(block + BLOCK) {
                        reader.read(k * outputs + c * WIDTH, row);
                        add(sum, row);
                    }
                    if block > 0 {
                        add(d, part);
                    }
                }
                if scaled {
                    d.iter_mut().for_each(|d| *d = d.times(scale));
                }
            },
        );
        return;
    }
    let reader = Reader::new(load, source);
    let per_task = (CHUNK / terms).max(1);
    dst.par_chunks_mut(per_task).enumerate().for_each_init(
        || vec![E::null(); terms.min(CHUNK)],
        |row, (c, d)| {
            for (i, d) in d.iter_mut().enumerate() {
                let first = (c * per_task + i) * terms;
                let mut total = E::null();
                for at in (0..terms).step_by(CHUNK) {
                    let row = &mut row[..CHUNK.min(terms - at)];
                    reader.read(first + at, row);
                    total = total + sum(row);
                }
                *d = if scaled { total.times(scale) } else { total };
            }
        },
    );
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
