//! From half a spectrum back to the real values that it is of, on the host. No linop says this, since a real part is not linear over
//! complex numbers; a convolution of real values does.

use super::rows::around;
use super::trig::turn;
use crate::access::{Load, Post};
use crate::error::{Result, shape_err};
use crate::ir::{Lowered, Lowering};
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken, widest};
use crate::plan::{Held, HostLoops, HostSide, Kernel, Place, Scratch, Target, Work};
use crate::primitive::fft::line_bytes;
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Values that are made together.
const BLOCK: usize = 16;

/// Which of N real values are made of X[0] to X[N/2]: y[p] = Σ_k X[k] exp(2πikp/N) over all N frequencies, those that are not given
/// the conjugates of those that are, for `count` positions p = step·j modulo N.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealLines {
    /// N, an even number.
    pub length: usize,
    pub step: usize,
    pub count: usize,
}

impl RealLines {
    /// Appends the step, along the last axis that has more than one index behind it.
    ///
    /// # Errors
    /// The axis has another extent than half the length and one more, or values lie behind it.
    pub fn lower(self, to: &mut dyn Lowering, host: HostSide, x: &Lowered, axis: usize) -> Result<Lowered> {
        let load = around(x, axis, self.length / 2 + 1)?;
        if load.extents[2] != 1 || !self.length.is_multiple_of(2) {
            return shape_err!("real lines of {} along axis {axis} of {:?}", self.length, x.extents);
        }
        let mut extents = x.extents.clone();
        extents[axis] = self.count;
        Ok(to.step(host.kernel(BackKernel { load, lines: self }), &extents, false))
    }
}

/// Reads (lines, N/2 + 1, 1).
#[derive(Clone, Debug)]
struct BackKernel {
    load: Load,
    lines: RealLines,
}

impl BackKernel {
    /// N/2, the length of the transform.
    fn half(&self) -> usize {
        self.lines.length / 2
    }
}

impl Kernel for BackKernel {
    fn name(&self) -> &'static str {
        "real transform"
    }

    fn details(&self) -> String {
        format!(" back to {} by lines of {}", self.lines.length, self.half())
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.lines.count
    }

    fn work(&self) -> Work {
        let m = self.half() as f64;
        Work { flops: self.load.extents[0] as u64 * (m * (5.0 * m.log2() + 10.0)) as u64, read: 0 }
    }

    fn held(&self) -> Vec<Held<'_>> {
        Vec::new()
    }

    fn takes(&self, _: &Load, _: &Target) -> bool {
        true
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        // Times a number that is not real it would be complex.
        after.scale.im == 0.0 && super::super::scale_reads(std::slice::from_mut(&mut self.load), after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

/// The transform, and exp(2πik/N) for k below N/2.
struct Tables<T: Real> {
    fft: Arc<dyn Fft<T>>,
    turns: Vec<Complex<T>>,
}

impl HostLoops for BackKernel {
    type Tables<T: Real> = Tables<T>;

    fn tables<T: Real>(&self) -> Tables<T> {
        let m = self.half();
        let turns = (0..m).map(|k| turn(k, 2 * m).conj()).map(|w| Complex::new(T::of_f64(w.re), T::of_f64(w.im)));
        Tables { fft: FftPlanner::new().plan_fft_inverse(m), turns: turns.collect() }
    }

    fn run<T: Real, E: Elem<T>>(&self, tables: &Tables<T>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let (reader, dst) = (Reader::new(&self.load, sources[0]), to.stretch(self.output_len()));
        let (kept, null) = (self.load.extents[1], Complex::new(T::zero(), T::zero()));
        let several = (CHUNK / kept).max(1);
        let plain = reader.plain::<Complex<T>>();
        let scratch = || [vec![null; kept], vec![null; self.half()], vec![null; tables.fft.get_inplace_scratch_len()]];
        let parts = dst.par_chunks_mut(self.lines.count * several).enumerate();
        parts.for_each_init(scratch, |[x, z, scratch], (part, lines)| {
            for (line, y) in lines.chunks_exact_mut(self.lines.count).enumerate() {
                let first = (part * several + line) * kept;
                let x = match plain {
                    Some(plain) => &plain[first..][..kept],
                    None => {
                        reader.read(first, x);
                        &x[..]
                    }
                };
                widest(
                    #[inline(always)]
                    || joined(x, &tables.turns, z),
                );
                tables.fft.process_with_scratch(z, scratch);
                self.put(<Complex<T> as Elem<T>>::flat(z), y);
            }
        });
    }

    fn taken(&self, _: usize, _: bool, _: usize) -> Taken {
        let values = self.load.extents[1] + self.half();
        Taken { each: (values * size_of::<Complex<f32>>() + line_bytes::<f32>(self.half())) as u64, shared: 0 }
    }

    fn table_bytes(&self) -> u64 {
        (line_bytes::<f32>(self.half()) + self.half() * size_of::<Complex<f32>>()) as u64
    }
}

impl BackKernel {
    /// The positions that are kept of a line.
    fn put<T: Real, E: Elem<T>>(&self, line: &[T], y: &mut [E]) {
        let RealLines { length, step, .. } = self.lines;
        if step == 1 {
            return y.iter_mut().zip(line).for_each(|(y, v)| *y = E::re(*v));
        }
        let mut at = 0;
        for y in y {
            *y = E::re(line[at]);
            at += step;
            at -= if at >= length { length } else { 0 };
        }
    }
}

/// Z[k] = E[k] + iO[k] with E[k] = X[k] + X̄[m − k] and O[k] = (X[k] − X̄[m − k]) exp(2πik/2m): the transform of pairs of values.
#[inline(always)]
fn joined<T: Real>(x: &[Complex<T>], turns: &[Complex<T>], z: &mut [Complex<T>]) {
    let m = z.len();
    // Both are real but for rounding.
    z[0] = Complex::new(x[0].re + x[m].re, x[0].re - x[m].re);
    let one = |k: usize, z: &mut [Complex<T>]| z[k] = pair(x[k], x[m - k], turns[k]);
    if m <= BLOCK {
        return (1..m).for_each(|k| one(k, z));
    }
    // Block after block, so that loops are of a length that is known. The last block makes some values again.
    for k in (1..m - BLOCK).step_by(BLOCK).chain([m - BLOCK]) {
        let (x, others, turns) = (&x[k..][..BLOCK], &x[m - k - BLOCK + 1..][..BLOCK], &turns[k..][..BLOCK]);
        let mut made = [Complex::new(T::zero(), T::zero()); BLOCK];
        for j in 0..BLOCK {
            made[j] = pair(x[j], others[BLOCK - 1 - j], turns[j]);
        }
        z[k..][..BLOCK].copy_from_slice(&made);
    }
}

#[inline(always)]
fn pair<T: Real>(x: Complex<T>, other: Complex<T>, w: Complex<T>) -> Complex<T> {
    let (even, odd) = (x + other.conj(), (x - other.conj()) * w);
    Complex::new(even.re - odd.im, even.im + odd.re)
}
