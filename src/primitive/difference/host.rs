//! Differences on the host: stretches of a plane whose neighbours lie at one distance.

use super::{Axis, Border, DifferenceKernel, Kind};
use crate::loops::{Elem, Entries, Real, Slice, Taken, widest};
use crate::plan::{HostLoops, Kernel, Place};
use rayon::prelude::*;

/// Results that a task makes.
const PIECE: usize = 1 << 12;

impl HostLoops for DifferenceKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let plane = self.plane();
        // Differences ahead are minus those of the mirrored axis.
        let sign = if self.ahead { -T::one() } else { T::one() };
        self.entries().each(sources[0], to.stretch(self.output_len()), |x: &[E], d: &mut [E]| {
            d.par_chunks_mut(plane).enumerate().for_each(|(direction, d)| {
                d.par_chunks_mut(PIECE).enumerate().for_each(|(p, d)| {
                    widest(
                        #[inline(always)]
                        || self.piece(x, plane, direction, p * PIECE, d, sign),
                    );
                });
            });
        });
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        self.entries().taken(element, same)
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl DifferenceKernel {
    fn entries(&self) -> Entries<'_> {
        let plane = self.plane();
        Entries { load: &self.load, input: self.load.extents[1] * plane, output: self.written() * plane }
    }

    /// The results of a direction from `first` on.
    #[inline(always)]
    fn piece<T: Real, E: Elem<T>>(&self, x: &[E], plane: usize, direction: usize, first: usize, d: &mut [E], sign: T) {
        d.fill(E::null());
        match self.kind {
            Kind::Forward => self.add_difference(x, self.axes[direction], first, false, d, sign),
            Kind::Adjoint => {
                for (x, &axis) in x.chunks(plane).zip(&self.axes) {
                    self.add_adjoint(x, axis, first, d, sign);
                }
            }
            Kind::Normal => {
                for &axis in &self.axes {
                    self.add_difference(x, axis, first, false, d, T::one());
                    self.add_difference(x, axis, first, true, d, -T::one());
                }
            }
        }
    }

    /// Steps to the next entry along an axis, and the place of an entry, counted from the end that the differences start at.
    fn counted(&self, axis: Axis, n: usize) -> (isize, usize) {
        let step = axis.stride as isize;
        if self.ahead { (-step, axis.extent - 1 - n) } else { (step, n) }
    }

    /// `d[i] += sign·(x[at] − the entry before it)`, where `at` is result `first + i` or the entry that follows it; after the last
    /// one follows the first, or nothing.
    #[inline(always)]
    fn add_difference<T: Real, E: Elem<T>>(
        &self,
        x: &[E],
        axis: Axis,
        first: usize,
        next: bool,
        d: &mut [E],
        sign: T,
    ) {
        let minus = -T::one();
        each_stretch(axis, first, d.len(), |from, len, n| {
            let d = &mut d[from - first..][..len];
            let (step, n) = self.counted(axis, n);
            let back = step * (axis.extent as isize - 1);
            let wraps = next && n == axis.extent - 1;
            let at = match (next, wraps) {
                (false, _) => from as isize,
                (true, false) => from as isize + step,
                (true, true) if self.border == Border::Circular => from as isize - back,
                (true, true) => return,
            };
            let here = &x[at as usize..][..len];
            let is_first = if next { wraps } else { n == 0 };
            let before = match (is_first, self.border) {
                (false, _) => at - step,
                (true, Border::Circular) => at + back,
                (true, Border::Zero) => {
                    d.iter_mut().zip(here).for_each(|(d, x)| *d = *d + *x * sign);
                    return;
                }
                (true, Border::Neumann) => return,
            };
            let pairs = here.iter().zip(&x[before as usize..]);
            d.iter_mut().zip(pairs).for_each(|(d, (x, b))| *d = *d + (*x + *b * minus) * sign);
        });
    }

    /// `d[i] += sign·(y[n] − the entry that follows it)` along one axis.
    #[inline(always)]
    fn add_adjoint<T: Real, E: Elem<T>>(&self, y: &[E], axis: Axis, first: usize, d: &mut [E], sign: T) {
        each_stretch(axis, first, d.len(), |from, len, n| {
            let d = &mut d[from - first..][..len];
            let (step, n) = self.counted(axis, n);
            if n > 0 || self.border != Border::Neumann {
                d.iter_mut().zip(&y[from..]).for_each(|(d, y)| *d = *d + *y * sign);
            }
            let next = match (n == axis.extent - 1, self.border) {
                (false, _) => from as isize + step,
                (true, Border::Circular) => from as isize - step * (axis.extent as isize - 1),
                (true, _) => return,
            };
            d.iter_mut().zip(&y[next as usize..]).for_each(|(d, y)| *d = *d + *y * -sign);
        });
    }
}

/// Calls `f(from, len, n)` for stretches of `first..first + count` that lie at the start of the axis (n = 0), at its end
/// (n = extent − 1), or between (any other n).
#[inline(always)]
fn each_stretch(axis: Axis, first: usize, count: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (Axis { stride, extent }, end) = (axis, first + count);
    let mut at = first;
    while at < end {
        let n = at / stride % extent;
        let line = at - at % (stride * extent);
        let stop = match n {
            0 => line + stride,
            _ if n == extent - 1 => line + stride * extent,
            _ => line + stride * (extent - 1),
        };
        let len = stop.min(end) - at;
        f(at, len, n);
        at += len;
    }
}
