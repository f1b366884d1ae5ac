//! Gathers, and scatters that add: an axis read by a list of indices, and the transpose of that.

mod gpu;
mod host;
mod index_list;

pub use index_list::IndexList;

use super::{Sample, scale_reads};
use crate::access::{Constant, ConstantData, Load, Post, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// `y[o, m, i] = x[o, index[m], i]` along an axis; or the transpose `y[o, g, i] = Σ_{m: index[m] = g} x[o, m, i]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gather {
    axis: usize,
    index: IndexList,
    scatters: bool,
}

impl Builder {
    /// `y[o, m, i] = x[o, index[m], i]`: axis `axis` is read by the list.
    ///
    /// # Errors
    /// The list is of another extent than the axis has.
    pub fn gather(&mut self, x: ValueId, axis: usize, index: IndexList) -> Result<ValueId> {
        self.apply(x, Gather { axis, index, scatters: false })
    }

    /// The transpose of [`gather`](Builder::gather): entry `m` of the axis is added to entry `index[m]`.
    ///
    /// # Errors
    /// The axis has not as many entries as the list.
    pub fn scatter(&mut self, x: ValueId, axis: usize, index: IndexList) -> Result<ValueId> {
        self.apply(x, Gather { axis, index, scatters: true })
    }
}

impl Gather {
    /// Extents of the axis that is read, and of the one that is written.
    fn ends(&self) -> (usize, usize) {
        let (grid, list) = (self.index.extent(), self.index.indices().len());
        if self.scatters { (list, grid) } else { (grid, list) }
    }
}

impl Primitive for Gather {
    fn describe(&self) -> String {
        format!("{} {:?} on {}", if self.scatters { "scatter" } else { "gather" }, self.index, self.axis)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (self.scatters, self.axis, self.index.address()).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (axis, (read, written)) = (self.axis, self.ends());
        if input.get(axis) != Some(&read) {
            return shape_err!("{:?} indices that read extent {read} do not fit axis {axis} of {input:?}", self.index);
        }
        Ok(input.iter().enumerate().map(|(a, &n)| if a == axis { written } else { n }).collect())
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Gather { scatters: !self.scatters, ..self.clone() })
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = Gather { axis: self.axis + 1, ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        if axis != self.axis {
            let own = self.clone();
            return Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())));
        }
        let indices = self.index.indices();
        // The entries that are read, in order, and where they go of `range`.
        let (from, to): (Vec<usize>, Vec<usize>) = match self.scatters {
            false => indices[range.clone()].iter().enumerate().map(|(k, &i)| (i as usize, k)).unzip(),
            true => {
                let inside = indices.iter().enumerate().filter(|(_, i)| range.contains(&(**i as usize)));
                inside.map(|(m, &i)| (m, i as usize - range.start)).unzip()
            }
        };
        let (Some(&low), Some(&high)) = (from.iter().min(), from.iter().max()) else {
            let mut extents = input.to_vec();
            extents[axis] = range.len();
            return Ok(Narrowed::of(Part::along(axis, &(0..1), input), move |b, _| b.zero(extents.clone())));
        };
        #[allow(clippy::cast_possible_truncation)]
        let list = |of: &[usize], first: usize, extent| {
            IndexList::new(of.iter().map(|i| (i - first) as u32).collect(), extent)
        };
        let read = low..high + 1;
        let reads = Part::along(axis, &read, input);
        let gathered = list(&from, low, read.len())?;
        if !self.scatters {
            return Ok(Narrowed::of(reads, move |b, x| b.gather(x, axis, gathered.clone())));
        }
        let scattered = list(&to, 0, range.len())?;
        // Those between that go elsewhere are left out.
        let whole = from.len() == read.len();
        Ok(Narrowed::of(reads, move |b, x| {
            let x = if whole { x } else { b.gather(x, axis, gathered.clone())? };
            b.scatter(x, axis, scattered.clone())
        }))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    /// A scatter after its own gather: how often each index was read.
    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        let Some((op, below, _)) = s.producer(x).filter(|_| self.scatters) else { return Ok(None) };
        if op.of_type() != Some(&Gather { scatters: false, ..self.clone() }) {
            return Ok(None);
        }
        let starts = &self.index.inverse().starts;
        let counts = starts.windows(2).map(|w| (w[1] - w[0]) as f32).collect();
        let counts = Constant::new(vec![self.index.extent()], ConstantData::F32(counts))?;
        s.b.mul(below[0], counts, vec![self.axis], false).map(Some)
    }

    /// A scatter to indices with many readers, in levels.
    fn expand(&self, b: &mut Builder, x: ValueId) -> Result<Option<ValueId>> {
        let levels = if self.scatters { self.index.levels() } else { Vec::new() };
        if levels.len() < 2 {
            return Ok(None);
        }
        levels.into_iter().try_fold(x, |x, index| b.scatter(x, self.axis, index)).map(Some)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        if self.scatters {
            // Made now, not by the first apply.
            self.index.inverse();
        }
        let (e, axis) = (&x.extents, self.axis);
        let three = [e[..axis].iter().product(), e[axis], e[axis + 1..].iter().product()];
        let Some(load) = x.load().reshaped(&three) else { return shape_err!("{e:?} has no axis {axis}") };
        let kernel = GatherKernel { load, index: self.index.clone(), scatters: self.scatters };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &self.extents(e)?, x.complex))
    }
}

/// Reads (outer, extent or indices, inner).
#[derive(Clone, Debug)]
struct GatherKernel {
    load: Load,
    index: IndexList,
    scatters: bool,
}

impl GatherKernel {
    /// Extent of the axis that is written.
    fn written(&self) -> usize {
        if self.scatters { self.index.extent() } else { self.index.indices().len() }
    }
}

impl Kernel for GatherKernel {
    fn name(&self) -> &'static str {
        if self.scatters { "scatter" } else { "gather" }
    }

    fn details(&self) -> String {
        format!(" by {:?}", self.index)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.written() * self.load.extents[2]
    }

    fn work(&self) -> Work {
        let flops = if self.scatters { 2 * self.load.count() as u64 } else { 0 };
        Work { flops, read: self.index.bytes(false) }
    }

    fn held(&self) -> Vec<Held<'_>> {
        vec![Held::Data { address: self.index.address(), bytes: self.index.bytes(self.scatters) }]
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

/// What shows that gathers and scatters work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let index = IndexList::new((0..40).map(|m| m * 7 % 24).collect(), 24)?;
    Ok(vec![
        Sample::of("gathers", &[2, 24, 3], |b| b.gather(ValueId::INPUT, 1, index.clone()))?,
        Sample::of("scatters", &[2, 40, 3], |b| b.scatter(ValueId::INPUT, 1, index))?,
        Sample::of("scatters to few", &[70_000], |b| {
            b.scatter(ValueId::INPUT, 0, IndexList::new((0..70_000).map(|m| m % 9 / 8).collect(), 3)?)
        })?,
    ])
}
