//! Transforms of real values, by complex transforms of about half the length: cosine and sine transforms, and the half
//! of a Fourier transform that real values determine.
//!
//! | file | holds |
//! |---|---|
//! | `trig` | which transforms there are, and the factors of their matrices |
//! | `half` | the half of a Fourier transform |
//! | `passes` | rows, the Fourier transform, rows: the steps of a GPU |
//! | `rows`, `gpu` | the kernel before and behind the Fourier transform: few terms for each result |
//! | `line`, `host` | all three as one kernel of the host, line by line |
//! | `back` | from half a spectrum to real values, for convolutions on the host |

mod back;
mod gpu;
mod half;
mod host;
mod line;
mod passes;
mod rows;
mod trig;

pub(crate) use back::RealLines;
pub(crate) use trig::Trig;
pub use trig::TrigType;

use super::Sample;
use crate::access::{Constant, ConstantData, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Op, Primitive, Stack, Sweep};
use crate::plan::{Side, Target};
use crate::primitive::contract::Contract;
use line::LineKernel;
use passes::Passes;
use rows::Rows;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use trig::Factors;

/// Lines up to this length are multiplied by a matrix: three kernels, of which each moves the values, take longer.
const DENSE: usize = 32;

/// An orthonormal cosine or sine transform along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TrigOp {
    trig: Trig,
    axis: usize,
}

impl Builder {
    /// Orthonormal cosine or sine transform along an axis.
    ///
    /// # Errors
    /// The axis is not there, or too short for the transform.
    pub(crate) fn trig(&mut self, x: ValueId, trig: Trig, axis: usize) -> Result<ValueId> {
        self.apply(x, TrigOp { trig, axis })
    }
}

impl Primitive for TrigOp {
    fn describe(&self) -> String {
        let name = if self.trig.sine { "dst" } else { "dct" };
        format!("{name} {:?} [{}]", self.trig.kind, self.axis)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let Some(&n) = input.get(self.axis) else { return shape_err!("{} does not fit {input:?}", self.describe()) };
        let least = if self.trig.kind == TrigType::I && !self.trig.sine { 2 } else { 1 };
        match n >= least {
            true => Ok(input.to_vec()),
            false => shape_err!("a cosine transform of type I of {n} value; expected at least {least}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.trig(y, self.trig.transposed(), self.axis)
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = TrigOp { axis: self.axis + 1, ..self.clone() };
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

    /// A transform after its transpose cancels, also around weights and transforms that leave the axis alone.
    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        let inverse = TrigOp { trig: self.trig.transposed(), axis: self.axis };
        let (mut at, mut between) = (x, Vec::new());
        loop {
            let Some((op, below, _)) = s.producer(at) else { return Ok(None) };
            at = below[0];
            if op.of_type() == Some(&inverse) {
                break;
            }
            let apart = match &op {
                Op::Mul { axes, .. } => !axes.contains(&self.axis),
                op => op.of_type::<TrigOp>().is_some_and(|t| t.axis != self.axis),
            };
            if !apart {
                return Ok(None);
            }
            between.push(op);
        }
        let extents = s.b.extents(x).to_vec();
        Ok(Some(between.into_iter().rev().fold(at, |v, op| s.b.push(op, &[v], extents.clone()))))
    }

    /// Short lines by a matrix.
    fn expand(&self, b: &mut Builder, x: ValueId) -> Result<Option<ValueId>> {
        let (rank, n) = (b.extents(x).len() as u32, b.extents(x)[self.axis]);
        if n > DENSE {
            return Ok(None);
        }
        let entries = (0..n * n).map(|e| self.trig.entry(e / n, e % n, n) as f32).collect();
        let weight = Constant::new(vec![n, n], ConstantData::F32(entries))?;
        let labels: Vec<u32> = (0..rank).collect();
        let y = labels.iter().map(|&a| if a as usize == self.axis { rank } else { a }).collect();
        b.contract(x, Contract { weight, conj: false, w: vec![rank, self.axis as u32], x: labels, y }).map(Some)
    }

    fn fits(&self, input: &[usize], target: &Target) -> Result<()> {
        passes::fits(input, self.axis, self.trig.length(input[self.axis]), target)
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let Factors { before, after } = self.trig.factors(x.extents[self.axis]);
        match to.target().side() {
            Side::Host(host) => {
                let rows = (Rows::new(&before, None)?, Rows::new(&after, None)?);
                Ok(LineKernel::rows_of(x, self.axis, rows)?.lower(to, host, x, self.axis))
            }
            Side::Gpu(gpu) => {
                let passes = if x.complex { Passes::of_complex(before, after) } else { Passes::of_real(before, after) };
                passes?.lower(to, gpu, x, self.axis)
            }
        }
    }
}

/// What shows that cosine and sine transforms and halves of Fourier transforms work on a device: of even and odd length.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let trig = |kind, sine| Trig { kind, sine };
    Ok(vec![
        Sample::of("cosine transforms", &[2, 36, 3], |b| b.trig(ValueId::INPUT, trig(TrigType::II, false), 1))?,
        Sample::of("halves of transforms", &[3, 36], |b| b.half_fft(ValueId::INPUT, 1))?,
        Sample::of("sine transforms of odd length", &[2, 35], |b| b.trig(ValueId::INPUT, trig(TrigType::IV, true), 1))?,
    ])
}
