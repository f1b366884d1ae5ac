//! Overlapping blocks of an array, and the transpose: blocks added where they overlap.
//!
//! ```text
//! forward   y[b, q…, j…] = x[b, (stride·q + j)…]
//! transpose x[b, n…] = Σ y[b, q…, j…] over stride·q + j = n
//! ```

mod gpu;
mod host;

use super::{Sample, scale_reads};
use crate::access::{AxisMap, Constant, ConstantData, Load, Post, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Most axes that are cut into blocks.
pub(crate) const MOST_AXES: usize = 3;

/// One axis that is cut: blocks of `size` entries, each `stride` behind the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockAxis {
    /// Extent of the axis.
    pub extent: usize,
    /// Extent of a block.
    pub size: usize,
    /// Entries from one block to the next.
    pub stride: usize,
}

impl BlockAxis {
    const ONE: BlockAxis = BlockAxis { extent: 1, size: 1, stride: 1 };

    /// Number of blocks that fit.
    pub fn count(&self) -> usize {
        (self.extent - self.size) / self.stride + 1
    }

    /// First and end of the blocks that hold entry `n`.
    fn holding(&self, n: usize) -> (usize, usize) {
        let first = (n + 1).saturating_sub(self.size).div_ceil(self.stride);
        (first, (n / self.stride + 1).min(self.count()))
    }
}

/// The last axes of x as blocks: (batch…, axes…) gives (batch…, counts…, sizes…); or the transpose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blocks {
    axes: Vec<BlockAxis>,
    adds: bool,
}

impl Builder {
    /// The last axes of x as blocks: extents (batch…, axes…) give (batch…, counts…, sizes…).
    ///
    /// # Errors
    /// There are not one to three axes, x has other extents, a block is longer than its axis, or an extent or stride is 0.
    pub fn blocks(&mut self, x: ValueId, axes: &[BlockAxis]) -> Result<ValueId> {
        self.apply(x, Blocks { axes: within(axes), adds: false })
    }

    /// The transpose of [`blocks`](Builder::blocks): blocks are added where they overlap.
    ///
    /// # Errors
    /// As for `blocks`.
    pub fn overlap_add(&mut self, x: ValueId, axes: &[BlockAxis]) -> Result<ValueId> {
        self.apply(x, Blocks { axes: within(axes), adds: true })
    }
}

/// The axes with strides of no more than the extent: there is one block then, wherever the next would be.
fn within(axes: &[BlockAxis]) -> Vec<BlockAxis> {
    axes.iter().map(|a| BlockAxis { stride: a.stride.min(a.extent), ..*a }).collect()
}

impl Blocks {
    /// Extents of the axes, and of the blocks.
    fn ends(&self) -> (Vec<usize>, Vec<usize>) {
        let counts = self.axes.iter().map(BlockAxis::count);
        (self.axes.iter().map(|a| a.extent).collect(), counts.chain(self.axes.iter().map(|a| a.size)).collect())
    }
}

impl Primitive for Blocks {
    fn describe(&self) -> String {
        let axis = |a: &BlockAxis| format!("{} of {} by {}", a.size, a.extent, a.stride);
        let axes: Vec<String> = self.axes.iter().map(axis).collect();
        format!("{} [{}]", if self.adds { "overlap-add" } else { "blocks" }, axes.join(", "))
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (&self.axes, self.adds).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        if self.axes.is_empty() || self.axes.len() > MOST_AXES {
            return shape_err!("blocks along {} axes; expected 1 to {MOST_AXES}", self.axes.len());
        }
        if let Some(a) = self.axes.iter().find(|a| a.size == 0 || a.stride == 0 || a.size > a.extent) {
            return shape_err!("{a:?}: expected a stride of at least 1, and a block of 1 to {} entries", a.extent);
        }
        let (whole, blocks) = self.ends();
        let (read, written) = if self.adds { (blocks, whole) } else { (whole, blocks) };
        match input.len().checked_sub(read.len()).filter(|&batch| input[batch..] == read) {
            Some(batch) => Ok(input[..batch].iter().chain(&written).copied().collect()),
            None => shape_err!("{} does not fit extents {input:?}, which must end in {read:?}", self.describe()),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Blocks { adds: !self.adds, ..self.clone() })
    }

    /// The axes in front are its batch already.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(self.clone()) as Arc<dyn Primitive>)
    }

    /// Along a count of blocks with the entries that these hold; along an axis that is added with the blocks that hold them.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let count = self.axes.len();
        let batch = input.len() - if self.adds { 2 * count } else { count };
        let mut own = self.clone();
        if axis < batch {
            return Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())));
        }
        let k = axis - batch;
        if !self.adds && k >= count {
            // The same entries of all blocks: shorter blocks, of an array that starts later.
            let cut = &mut own.axes[k - count];
            let last = (cut.count() - 1) * cut.stride;
            *cut = BlockAxis { size: range.len(), extent: last + range.len(), ..*cut };
            let read = range.start..range.start + cut.extent;
            return Ok(Narrowed::of(Part::along(axis - count, &read, input), move |b, x| b.apply(x, own.clone())));
        }
        let cut = &mut own.axes[k];
        if !self.adds {
            let read = cut.stride * range.start..cut.stride * (range.end - 1) + cut.size;
            cut.extent = read.len();
            return Ok(Narrowed::of(Part::along(axis, &read, input), move |b, x| b.apply(x, own.clone())));
        }
        // Blocks that reach into the range, added over all that they hold, of which the range is kept.
        let blocks = cut.holding(range.start).0..cut.holding(range.end - 1).1;
        if blocks.is_empty() {
            let mut extents = self.extents(input)?;
            extents[axis] = range.len();
            return Ok(Narrowed::of(Part::along(axis, &(0..1), input), move |b, _| b.zero(extents.clone())));
        }
        let start = cut.stride * blocks.start;
        cut.extent = (cut.stride * (blocks.len() - 1) + cut.size).max(range.end.saturating_sub(start));
        let (held, range) = (cut.extent, range.clone());
        Ok(Narrowed::of(Part::along(axis, &blocks, input), move |b, x| {
            let y = b.apply(x, own.clone())?;
            // Entries of the range in front of the first block are 0.
            let map = AxisMap::affine(1, range.start as i64 - start as i64, 1, held, range.len());
            b.map_axis(y, axis, map, range.len())
        }))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    /// Blocks that are added where they were taken: how many blocks hold each entry, which is a product over the axes.
    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        let Some((op, below, _)) = s.producer(x).filter(|_| self.adds) else { return Ok(None) };
        if op.of_type() != Some(&Blocks { adds: false, ..self.clone() }) {
            return Ok(None);
        }
        let mut y = below[0];
        let first = s.b.extents(y).len() - self.axes.len();
        for (k, axis) in self.axes.iter().enumerate() {
            let holding = |n: usize| {
                let (first, end) = axis.holding(n);
                end.saturating_sub(first) as f32
            };
            let counts: Vec<f32> = (0..axis.extent).map(holding).collect();
            if counts.iter().any(|c| *c != 1.0) {
                let counts = Constant::new(vec![axis.extent], ConstantData::F32(counts))?;
                y = s.b.mul(y, counts, vec![first + k], false)?;
            }
        }
        Ok(Some(y))
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
        let (input, extents) = (&x.extents, self.extents(&x.extents)?);
        let missing = MOST_AXES - self.axes.len();
        let mut axes = [BlockAxis::ONE; MOST_AXES];
        axes[missing..].copy_from_slice(&self.axes);
        // (batch, three axes), or (batch, three counts, three sizes).
        let ones = || std::iter::repeat_n(1, missing);
        let ends = input.len() - self.axes.len() * if self.adds { 2 } else { 1 };
        let mut read = vec![input[..ends].iter().product()];
        for part in input[ends..].chunks(self.axes.len()) {
            read.extend(ones().chain(part.iter().copied()));
        }
        let Some(load) = x.load().reshaped(&read) else { return shape_err!("{input:?} cannot be read as {read:?}") };
        let kernel = BlocksKernel { load, axes, adds: self.adds };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &extents, x.complex))
    }
}

/// Reads (batch, three axes), or (batch, three counts, three sizes) where it adds.
#[derive(Clone, Debug)]
struct BlocksKernel {
    load: Load,
    axes: [BlockAxis; MOST_AXES],
    adds: bool,
}

impl BlocksKernel {
    /// Elements of one batch entry as an array, and as blocks.
    fn lines(&self) -> (usize, usize) {
        let whole = self.axes.iter().map(|a| a.extent).product();
        (whole, self.axes.iter().map(|a| a.count() * a.size).product())
    }

    /// Elements that are read and written of one batch entry.
    fn ends(&self) -> (usize, usize) {
        let (whole, blocks) = self.lines();
        if self.adds { (blocks, whole) } else { (whole, blocks) }
    }
}

impl Kernel for BlocksKernel {
    fn name(&self) -> &'static str {
        if self.adds { "overlap_add" } else { "blocks" }
    }

    fn details(&self) -> String {
        let sizes: Vec<String> = self.axes.iter().map(|a| a.size.to_string()).collect();
        format!(" of {}", sizes.join("·"))
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.ends().1
    }

    fn work(&self) -> Work {
        Work { flops: if self.adds { 2 * self.load.count() as u64 } else { 0 }, read: 0 }
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

/// What shows that blocks work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let axes = [BlockAxis { extent: 13, size: 5, stride: 2 }, BlockAxis { extent: 11, size: 3, stride: 4 }];
    let blocks = [2, 5, 3, 5, 3];
    Ok(vec![
        Sample::of("blocks", &[2, 13, 11], |b| b.blocks(ValueId::INPUT, &axes))?,
        Sample::of("blocks that are added", &blocks, |b| b.overlap_add(ValueId::INPUT, &axes))?,
    ])
}
