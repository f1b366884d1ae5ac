//! Differences of neighbours along several axes at once, their adjoint (minus the divergence), and the normal, each in one pass.
//!
//! ```text
//! forward  y[d, n] = x[n] − x[n − e_d]
//! adjoint  x[n] = Σ_d y[d, n] − y[d, n + e_d]
//! normal   x[n] = Σ_d (x[n] − x[n − e_d]) − (x[n + e_d] − x[n])
//! ```
//!
//! Differences ahead, x[n + e_d] − x[n], are minus those of the mirrored axis: the kernels count it from its other end.

mod gpu;
mod host;

use super::gather::IndexList;
use super::{Sample, scale_reads};
use crate::access::{AxisMap, Constant, Load, Post, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep, slice};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Most axes of one step.
pub(crate) const MOST_AXES: usize = 6;

/// What stands beyond the end of an axis, in front of its first entry, or behind its last one for differences ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Border {
    /// The entry at the other end.
    #[default]
    Circular,
    /// 0.
    Zero,
    /// The entry at this end itself: the difference is 0, as in Neumann's boundary condition.
    Neumann,
}

/// Which map it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Forward,
    Adjoint,
    Normal,
}

/// x of extents (front…, rest…) has differences of extents (front…, axes, rest…).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Difference {
    kind: Kind,
    /// Number of axes in front of the one for the directions.
    front: usize,
    /// Axes of x, behind those in front.
    axes: Vec<usize>,
    border: Border,
    /// Whether an entry is taken from the one behind it.
    ahead: bool,
}

impl Builder {
    /// Differences of neighbours along `axes` of x, `x[n] − x[n − 1]` or `ahead` `x[n + 1] − x[n]`, with a new axis for the
    /// directions behind the first `front` axes, all of them before `axes`.
    ///
    /// # Errors
    /// There are no axes or more than 6, or one is in front, is not of x or stands twice.
    pub fn difference(
        &mut self,
        x: ValueId,
        front: usize,
        axes: &[usize],
        border: Border,
        ahead: bool,
    ) -> Result<ValueId> {
        self.apply(x, Difference { kind: Kind::Forward, front, axes: axes.to_vec(), border, ahead })
    }

    /// The transpose of [`difference`](Builder::difference), of x with the axis for the directions.
    ///
    /// # Errors
    /// As for `difference`.
    pub fn difference_adjoint(
        &mut self,
        x: ValueId,
        front: usize,
        axes: &[usize],
        border: Border,
        ahead: bool,
    ) -> Result<ValueId> {
        self.apply(x, Difference { kind: Kind::Adjoint, front, axes: axes.to_vec(), border, ahead })
    }
}

impl Difference {
    fn of_kind(&self, kind: Kind) -> Difference {
        Difference { kind, ..self.clone() }
    }
}

impl Primitive for Difference {
    fn describe(&self) -> String {
        let name = match self.kind {
            Kind::Forward => "difference",
            Kind::Adjoint => "difference adjoint",
            Kind::Normal => "difference normal",
        };
        format!("{name} {:?} {:?}{}", self.axes, self.border, if self.ahead { " ahead" } else { "" })
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (front, axes) = (self.front, &self.axes);
        let twice = axes.iter().enumerate().any(|(k, a)| axes[..k].contains(a));
        if axes.is_empty() || axes.len() > MOST_AXES || twice {
            return shape_err!("differences along axes {axes:?}; expected 1 to {MOST_AXES}, each once");
        }
        let mut extents = input.to_vec();
        let fits = match self.kind {
            Kind::Forward => {
                let rank = input.len();
                extents.insert(front.min(rank), axes.len());
                axes.iter().all(|&a| a >= front && a < rank)
            }
            Kind::Adjoint => {
                let directions = (front < input.len()).then(|| extents.remove(front));
                directions == Some(axes.len()) && axes.iter().all(|&a| a >= front && a < extents.len())
            }
            Kind::Normal => axes.iter().all(|&a| a >= front && a < input.len()),
        };
        match fits {
            true => Ok(extents),
            false => shape_err!("{} does not fit extents {input:?}", self.describe()),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(
            y,
            self.of_kind(match self.kind {
                Kind::Forward => Kind::Adjoint,
                Kind::Adjoint => Kind::Forward,
                Kind::Normal => Kind::Normal,
            }),
        )
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let axes = self.axes.iter().map(|a| a + 1).collect();
        let moved = Difference { front: self.front + 1, axes, ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    /// Along an axis of differences with a neighbour on either side; where they wrap, with all.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let own = self.clone();
        let front = self.front;
        if self.kind == Kind::Forward && axis == front {
            let own = Difference { axes: self.axes[range.clone()].to_vec(), ..own };
            return Ok(Narrowed::of(Part::Whole, move |b, x| b.apply(x, own.clone())));
        }
        // Axis of the input, and among those of the array.
        let (read, grid) = match self.kind {
            Kind::Forward if axis > front => (axis - 1, axis - 1),
            Kind::Adjoint if axis >= front => (axis + 1, axis),
            _ => (axis, axis),
        };
        if !self.axes.contains(&grid) {
            return Ok(Narrowed::of(Part::along(read, range, input), move |b, x| b.apply(x, own.clone())));
        }
        let n = input[read];
        if self.border == Border::Circular && (range.start == 0 || range.end == n) {
            // Turned so that the range lies between its neighbours; what wraps there is left away.
            let (range, halo) = (range.clone(), 1usize);
            let wide = range.len() + 2 * halo;
            return Ok(Narrowed::of(Part::Whole, move |b, x| {
                let first = range.start as i64 - halo as i64;
                let turned = b.map_axis(x, read, AxisMap::wrapped(1, first, n), n)?;
                let x = match wide <= n {
                    true => slice(b, turned, read, &(0..wide))?,
                    false => {
                        // Entries beyond a whole turn stand there again.
                        let index = (0..wide).map(|k| word_of((first.rem_euclid(n as i64) as usize + k) % n)).collect();
                        b.gather(x, read, IndexList::new(index, n)?)?
                    }
                };
                let y = b.apply(x, own.clone())?;
                slice(b, y, axis, &(halo..halo + range.len()))
            }));
        }
        // A cut is no border, nor does it wrap: what lies behind it is read, and left away from the result.
        let part = range.start.saturating_sub(1)..(range.end + 1).min(n);
        let kept = range.start - part.start..range.end - part.start;
        Ok(Narrowed::of(Part::along(read, &part, input), move |b, x| {
            let y = b.apply(x, own.clone())?;
            slice(b, y, axis, &kept)
        }))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    /// The adjoint behind its own forward: one pass, and no values for the directions.
    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        let Some((op, below, _)) = s.producer(x).filter(|_| self.kind == Kind::Adjoint) else { return Ok(None) };
        match op.of_type() == Some(&self.of_kind(Kind::Forward)) {
            true => s.b.apply(below[0], self.of_kind(Kind::Normal)).map(Some),
            false => Ok(None),
        }
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let extents = self.extents(&x.extents)?;
        let mut grid = if self.kind == Kind::Forward { &x.extents } else { &extents }.clone();
        let batch = grid.drain(..self.front).product();
        let axis = |&a: &usize| Axis {
            stride: grid[a - self.front + 1..].iter().product(),
            extent: grid[a - self.front],
        };
        let axes: Vec<Axis> = self.axes.iter().map(axis).collect();
        let plane: usize = grid.iter().product();
        let directions = if self.kind == Kind::Adjoint { axes.len() } else { 1 };
        let read = [batch, directions, plane];
        let Some(load) = x.load().reshaped(&read) else {
            return shape_err!("{:?} cannot be read as {read:?}", x.extents);
        };
        let kernel = DifferenceKernel { load, kind: self.kind, axes, border: self.border, ahead: self.ahead };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &extents, x.complex))
    }
}

/// An index in the list of a gather, which checks it.
#[allow(clippy::cast_possible_truncation)]
fn word_of(index: usize) -> u32 {
    index as u32
}

/// An axis of a plane of values in C order.
#[derive(Clone, Copy, Debug)]
struct Axis {
    stride: usize,
    extent: usize,
}

/// Reads (batch, directions or 1, plane).
#[derive(Clone, Debug)]
struct DifferenceKernel {
    load: Load,
    kind: Kind,
    axes: Vec<Axis>,
    border: Border,
    ahead: bool,
}

impl DifferenceKernel {
    fn plane(&self) -> usize {
        self.load.extents[2]
    }

    /// Directions of a result.
    fn written(&self) -> usize {
        if self.kind == Kind::Forward { self.axes.len() } else { 1 }
    }
}

impl Kernel for DifferenceKernel {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Forward => "difference",
            Kind::Adjoint => "difference_adjoint",
            Kind::Normal => "difference_normal",
        }
    }

    fn details(&self) -> String {
        format!(" along {}, {:?}", self.axes.len(), self.border)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.written() * self.plane()
    }

    fn work(&self) -> Work {
        let each = match self.kind {
            Kind::Forward => 2,
            Kind::Adjoint => 4 * self.axes.len(),
            Kind::Normal => 8 * self.axes.len(),
        };
        Work { flops: (each * self.output_len()) as u64, read: 0 }
    }

    fn held(&self) -> Vec<Held<'_>> {
        Vec::new()
    }

    fn takes(&self, load: &Load, target: &Target) -> bool {
        load.factors.len() <= target.max_factors()
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        scale_reads(std::slice::from_mut(&mut self.load), after, complex)
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

/// What shows that differences work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let mut all = Vec::new();
    let borders = [(Border::Circular, false), (Border::Zero, false), (Border::Neumann, false), (Border::Neumann, true)];
    for (border, ahead) in borders {
        let d = Difference { kind: Kind::Forward, front: 0, axes: vec![0, 1, 2], border, ahead };
        let (adjoint, normal) = (d.of_kind(Kind::Adjoint), d.of_kind(Kind::Normal));
        all.push(Sample::of("differences", &[5, 7, 11], |b| b.apply(ValueId::INPUT, d))?);
        all.push(Sample::of("adjoints of differences", &[3, 5, 7, 11], |b| b.apply(ValueId::INPUT, adjoint))?);
        all.push(Sample::of("normals of differences", &[5, 7, 11], |b| b.apply(ValueId::INPUT, normal))?);
    }
    Ok(all)
}
