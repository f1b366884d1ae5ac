//! Sums of a fused read over its last axes. The tree of every sum depends on the shape alone.
//!
//! Terms are counted in C order of the summed axes, through all of them. A long sum goes in two stages: parts of consecutive
//! terms first, then the parts; so its length need not have divisors.
//!
//! ```text
//! 1 000 003 terms ─▶ 997 parts of 1004 terms (the last of 19) ─▶ the sum of 997 parts
//! ```

mod gpu;
mod host;

use super::{Sample, scale_reads};
use crate::access::{Load, Post, ValueId};
use crate::error::Result;
use crate::ir::{Lowered, Lowering};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use crate::shader::UNITS;

/// Longest sum that one result's loop makes.
const STAGE: usize = 1 << 14;

/// Consecutive terms that one loop adds before anything else is added to them.
pub(crate) const BLOCK: usize = 64;

/// Terms that a kernel counts, at most: in 32 bits, with room for the stride of a loop.
const MOST_TERMS: usize = 1 << 31;

/// The load summed over all axes from `kept` on, in parts: results are (part, kept axes).
#[derive(Clone, Debug)]
pub(crate) struct SumKernel {
    load: Load,
    kept: usize,
    /// Number of parts, and terms of each but the last.
    parts: usize,
    size: usize,
    /// Sub-linops side by side in this kernel: what is decided by the number of sums is decided by those of one.
    batch: usize,
}

/// Appends the sum of a load over all axes from `kept` on.
pub(crate) fn lower(to: &mut dyn Lowering, load: Load, kept: usize, complex: bool) -> Lowered {
    let extents = load.extents[..kept].to_vec();
    let terms = product(&load.extents[kept..]);
    if terms.is_none_or(|n| n >= MOST_TERMS) && load.extents.len() > kept + 1 {
        // The inner axes first, as many of them as a kernel counts.
        let fits = |first: &usize| product(&load.extents[*first..]).is_some_and(|n| n < MOST_TERMS);
        let last = load.extents.len() - 1;
        let first = (kept + 1..=last).find(fits).unwrap_or(last);
        let inner = lower(to, load, first, complex);
        return lower(to, inner.load(), kept, complex);
    }
    let terms = terms.unwrap_or(usize::MAX);
    // Parts begin at multiples of what a GPU reads at once.
    let size = if terms > STAGE { ((terms as f64).sqrt().ceil() as usize).next_multiple_of(4) } else { terms };
    let parts = terms.div_ceil(size);
    let kernel = SumKernel { load, kept, parts, size, batch: to.batch() };
    let kernel = StepKernel::on(kernel, &to.target());
    if parts == 1 {
        return to.step(kernel, &extents, complex);
    }
    let with_parts: Vec<usize> = std::iter::once(parts).chain(extents.iter().copied()).collect();
    let part = to.step(kernel, &with_parts, complex);
    let order: Vec<usize> = (1..with_parts.len()).chain([0]).collect();
    lower(to, part.load().permuted(&order), kept, complex)
}

/// The product, where it can be counted.
fn product(extents: &[usize]) -> Option<usize> {
    extents.iter().try_fold(1usize, |n, &e| n.checked_mul(e))
}

impl SumKernel {
    /// What is added up, from which axis on, and how many sub-linops lie side by side in front; None where the terms are not added
    /// simply in their order.
    pub(crate) fn in_one_loop(&self) -> Option<(&Load, usize, usize)> {
        (self.parts == 1 && self.size <= BLOCK).then_some((&self.load, self.kept, self.batch))
    }

    /// A sum of as few terms over something else.
    pub(crate) fn again(&self, load: Load, kept: usize) -> SumKernel {
        let size = load.extents[kept..].iter().product();
        SumKernel { load, kept, parts: 1, size, batch: self.batch }
    }

    /// Number of sums, parts left out.
    fn sums(&self) -> usize {
        self.load.extents[..self.kept].iter().product()
    }

    /// Number of terms of a sum.
    fn terms(&self) -> usize {
        self.load.extents[self.kept..].iter().product()
    }
}

impl Kernel for SumKernel {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn details(&self) -> String {
        let over = format!(" over {:?}", &self.load.extents[self.kept..]);
        if self.parts > 1 { format!("{over} in {} parts of {}", self.parts, self.size) } else { over }
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.sums() * self.parts
    }

    fn work(&self) -> Work {
        Work { flops: 2 * self.load.count() as u64, read: 0 }
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

/// What shows that sums work on a device: by workgroups, by single invocations, in parts, and by units along the sums and along their
/// terms.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let x = ValueId::INPUT;
    Ok(vec![
        Sample::of("sums", &[3, 300], |b| b.sum(x, &[1]))?,
        Sample::of("sums by columns", &[7, 300], |b| b.sum(x, &[0]))?,
        Sample::of("long sums", &[STAGE + 3, 2], |b| b.sum(x, &[0]))?,
        Sample::of("sums of images", &[3, UNITS + 8], |b| b.sum(x, &[0]))?,
        Sample::of("sums of neighbours", &[70, 6], |b| b.sum(x, &[1]))?,
    ])
}
