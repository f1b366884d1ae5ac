//! Rows, a Fourier transform and rows as one step of the host: a line, or a few columns, while they are in cache.

use super::super::scale_reads;
use super::rows::{Rows, around};
use super::trig::turn;
use crate::access::{Load, Post};
use crate::error::Result;
use crate::ir::{Lowered, Lowering};
use crate::plan::{Held, HostSide, Kernel, Scratch, Target, Work};
use num_complex::Complex64;

/// What stands before the transform.
#[derive(Clone, Debug)]
pub(super) enum Before {
    /// Real values two by two as complex ones.
    Pairs,
    Rows(Rows),
}

/// What stands behind it.
#[derive(Clone, Debug)]
pub(super) enum After {
    /// The half of the transform of 2m real values, of that of their pairs Z: X[k] = E[k] + wᵏO[k] and X[m − k] = conj(E[k] − wᵏO[k]),
    /// where E and iO are the parts of Z that are even and odd under conjugation, w = exp(−2πi/2m).
    Half,
    Rows(Rows),
}

/// C F P of real values along the middle axis: with rows its real part. Of complex values both parts by themselves, for which there
/// are rows. Reads (outer, extent, inner).
#[derive(Clone, Debug)]
pub(super) struct LineKernel {
    pub load: Load,
    pub before: Before,
    pub length: usize,
    pub after: After,
    /// Whether the value that is read is complex.
    pub from_complex: bool,
}

impl LineKernel {
    /// The half of the transform of 2m real values.
    ///
    /// # Errors
    /// The axis has another extent.
    pub fn half(x: &Lowered, axis: usize, m: usize) -> Result<LineKernel> {
        let load = around(x, axis, 2 * m)?;
        let (before, after) = (Before::Pairs, After::Half);
        Ok(LineKernel { load, before, length: m, after, from_complex: false })
    }

    /// The real part of rows, a transform as long as there are, and rows; of both parts of complex values.
    ///
    /// # Errors
    /// The axis has another extent.
    pub fn rows_of(x: &Lowered, axis: usize, (before, after): (Rows, Rows)) -> Result<LineKernel> {
        let (load, length) = (around(x, axis, before.extent())?, before.count());
        let (before, after) = (Before::Rows(before), After::Rows(after));
        Ok(LineKernel { load, before, length, after, from_complex: x.complex })
    }

    /// Appends the step.
    pub fn lower(self, to: &mut dyn Lowering, host: HostSide, x: &Lowered, axis: usize) -> Lowered {
        let mut extents = x.extents.clone();
        extents[axis] = self.count();
        let complex = x.complex || matches!(self.after, After::Half);
        to.step(host.kernel(self), &extents, complex)
    }

    /// Results of a line.
    pub fn count(&self) -> usize {
        match &self.after {
            After::Half => self.length + 1,
            After::Rows(rows) => rows.count(),
        }
    }

    /// exp(−2πik/2m) for k up to m/2, what [`After::Half`] takes.
    pub fn turns(&self) -> impl Iterator<Item = Complex64> {
        let (m, needed) = (self.length, matches!(self.after, After::Half));
        (0..if needed { m / 2 + 1 } else { 0 }).map(move |k| turn(k, 2 * m))
    }

    fn rows(&self) -> impl Iterator<Item = &Rows> {
        let before = match &self.before {
            Before::Pairs => None,
            Before::Rows(rows) => Some(rows),
        };
        let after = match &self.after {
            After::Half => None,
            After::Rows(rows) => Some(rows),
        };
        before.into_iter().chain(after)
    }
}

impl Kernel for LineKernel {
    fn name(&self) -> &'static str {
        "real transform"
    }

    fn details(&self) -> String {
        format!(" of {} by lines of {}", self.load.extents[1], self.length)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.count() * self.load.extents[2]
    }

    fn work(&self) -> Work {
        let lines = (self.load.extents[0] * self.load.extents[2] * if self.from_complex { 2 } else { 1 }) as u64;
        let transform = (5.0 * (self.length as f64).log2() * self.length as f64) as u64;
        let rows: usize = self.rows().map(|r| 4 * r.terms() * r.count()).sum();
        let read = self.rows().map(Rows::bytes).sum();
        Work { flops: lines * (transform + rows as u64), read }
    }

    fn held(&self) -> Vec<Held<'_>> {
        self.rows().map(Rows::held).collect()
    }

    fn takes(&self, load: &Load, _: &Target) -> bool {
        // A value that is real is read as real numbers.
        let real = load.scale.im == 0.0 && load.factors.iter().all(|f| !f.weight.is_complex());
        self.from_complex || real
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        let turns = matches!(self.after, After::Half) && after.scale.im != 0.0;
        !turns && scale_reads(std::slice::from_mut(&mut self.load), after, complex)
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
