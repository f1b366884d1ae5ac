//! The half of a Fourier transform that a real line determines, and its adjoint.

use super::line::LineKernel;
use super::passes;
use super::rows::{Matrix, Rows};
use super::trig::{pairs, turn};
use crate::access::{AxisMap, Constant, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Program, Stack, Sweep};
use crate::plan::{Side, Target};
use num_complex::Complex64;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// X[k] = Σ_n x[n] exp(−2πi kn/N) along an axis of N, for k up to N/2 rounded down; or the adjoint, which takes no real part: the
/// transform back of a spectrum whose other half is zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HalfOp {
    pub axis: usize,
    /// N.
    pub length: usize,
    pub adjoint: bool,
}

impl Builder {
    /// The half of the Fourier transform along an axis that a real line determines: N/2 + 1 values, rounded down.
    ///
    /// # Errors
    /// The axis is not there.
    pub(crate) fn half_fft(&mut self, x: ValueId, axis: usize) -> Result<ValueId> {
        let Some(&length) = self.extents(x).get(axis) else {
            return shape_err!("axis {axis} does not fit extents {:?}", self.extents(x));
        };
        self.apply(x, HalfOp { axis, length, adjoint: false })
    }

    /// The adjoint of [`half_fft`](Builder::half_fft) for lines of so many values.
    ///
    /// # Errors
    /// The axis has another extent than half of that and one more.
    pub(crate) fn half_fft_adjoint(&mut self, x: ValueId, axis: usize, length: usize) -> Result<ValueId> {
        self.apply(x, HalfOp { axis, length, adjoint: true })
    }
}

impl HalfOp {
    /// Values that are kept.
    fn kept(&self) -> usize {
        self.length / 2 + 1
    }

    /// Appends the transform of complex values.
    fn whole(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let (axis, n, kept) = (self.axis, self.length, self.kept());
        if self.adjoint {
            let padded = b.map_axis(x, axis, AxisMap::affine(1, 0, 1, kept, n), n)?;
            return b.fft(padded, &[axis], true, false, 1.0);
        }
        let y = b.fft(x, &[axis], false, false, 1.0)?;
        b.map_axis(y, axis, AxisMap::affine(1, 0, 1, n, kept), kept)
    }
}

impl Primitive for HalfOp {
    fn describe(&self) -> String {
        format!("half fft{} of {} [{}]", if self.adjoint { " adjoint" } else { "" }, self.length, self.axis)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (read, written) = match self.adjoint {
            true => (self.kept(), self.length),
            false => (self.length, self.kept()),
        };
        if input.get(self.axis) != Some(&read) {
            return shape_err!("{} does not fit {input:?}; expected extent {read}", self.describe());
        }
        Ok(input.iter().enumerate().map(|(a, &n)| if a == self.axis { written } else { n }).collect())
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, HalfOp { adjoint: !self.adjoint, ..self.clone() })
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = HalfOp { axis: self.axis + 1, ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        if axis == self.axis {
            return shape_err!("a transform along the axis reads all of it for every entry");
        }
        let own = self.clone();
        Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    fn fold(&self, _: &mut Sweep, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    /// The adjoint is of complex values, whatever the input.
    fn expand(&self, b: &mut Builder, x: ValueId) -> Result<Option<ValueId>> {
        if self.adjoint { self.whole(b, x).map(Some) } else { Ok(None) }
    }

    fn fits(&self, input: &[usize], target: &Target) -> Result<()> {
        passes::fits(input, self.axis, self.length, target)
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    /// A real line of even length goes as N/2 pairs.
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let n = self.length;
        if x.complex || self.adjoint || !n.is_multiple_of(2) {
            return to.program(&self.program(&x.extents)?, x);
        }
        let m = n / 2;
        let gpu = match to.target().side() {
            Side::Host(host) => return Ok(LineKernel::half(x, self.axis, m)?.lower(to, host, x, self.axis)),
            Side::Gpu(gpu) => gpu,
        };
        let before = Rows::new(&pairs(m, n, |j| Some((j, 1.0))), None)?;
        let z = before.lower(to, gpu, x, self.axis, false)?;
        let z = passes::transformed(to, z, self.axis, 1, m)?;
        // X[k] = (1 − iw)/2·Z[k] + (1 + iw)/2·Z̄[−k], w = exp(−2πik/N).
        let w = |k: usize| Complex64::I * turn(k, n);
        let plain = Matrix::of(m + 1, m, |k| vec![(k % m, 0.5 * (1.0 - w(k)))]);
        let conjugates = Matrix::of(m + 1, m, |k| vec![((m - k % m) % m, 0.5 * (1.0 + w(k)))]);
        Rows::new(&plain, Some(&conjugates))?.lower(to, gpu, &z, self.axis, false)
    }
}

impl HalfOp {
    fn program(&self, extents: &[usize]) -> Result<Program> {
        let mut b = Builder::new(extents);
        let y = self.whole(&mut b, ValueId::INPUT)?;
        b.finish(y)
    }
}
