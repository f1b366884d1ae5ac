//! Transforms and filters as kernels of the host.

use super::filter::Filter;
use super::host_filter::FilterPlan;
use super::host_filter_sum::strips_of;
use super::lines::{AxisPlans, COLUMNS, EXACT, bound};
use super::passes::Folded;
use super::{Fft, direction};
use crate::access::{Factor, Load, Post};
use crate::loops::{Elem, Reader, Real, Slice, Taken, Weights};
use crate::ir::Lowered;
use crate::plan::{Held, HostLoops, Kernel, Place, Scratch, Target, Work};
use num_complex::Complex64;

/// Fourier transform along axes of the load.
#[derive(Clone, Debug)]
pub(super) struct WholeFft {
    pub load: Load,
    pub axes: Vec<usize>,
    pub inverse: bool,
    pub centered: bool,
    /// Weights and scalar on the result.
    pub post: Post,
    /// First and end of what is read of the result, axis by axis; the rest need not be made.
    pub keep: Vec<(usize, usize)>,
}

impl WholeFft {
    pub fn new(x: &Lowered, f: &Fft) -> WholeFft {
        WholeFft {
            load: x.load(),
            axes: f.axes.clone(),
            inverse: f.inverse,
            centered: f.centered,
            post: Post::scalar(&x.extents, f.scale),
            keep: x.extents.iter().map(|&n| (0, n)).collect(),
        }
    }

    fn plans<T: Real>(&self) -> AxisPlans<T> {
        AxisPlans::new(&self.load, &self.axes, self.inverse, self.centered, &self.keep)
    }

    /// What it takes, and the bytes of its tables. Those of large ones are not made for that: they may be larger than this
    /// machine.
    fn memory(&self) -> (Taken, u64) {
        let len = self.output_len();
        if len > EXACT {
            return bound::<f32>(&self.load.extents, &self.axes);
        }
        let plans = self.plans::<f32>();
        (plans.taken(len), plans.table_bytes())
    }
}

/// Puts weights and a scalar that follow a result into its store.
pub(super) fn into_post(post: &mut Post, after: &Load) -> bool {
    if !post.factors.is_empty() {
        return false;
    }
    let scale = post.scale * after.scale;
    *post = Post { extents: after.extents.clone(), factors: after.factors.clone(), scale };
    true
}

impl Kernel for WholeFft {
    fn name(&self) -> &'static str {
        "fft"
    }

    fn details(&self) -> String {
        format!(" on {:?}{}{}", self.axes, direction(self.inverse, self.centered), self.post)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.count()
    }

    fn work(&self) -> Work {
        let n: f64 = self.axes.iter().map(|&a| self.load.extents[a] as f64).product();
        Work { flops: (5.0 * n.log2() * self.output_len() as f64) as u64, read: 0 }
    }

    fn held(&self) -> Vec<Held<'_>> {
        Vec::new()
    }

    fn takes(&self, _: &Load, _: &Target) -> bool {
        true
    }

    fn absorb(&mut self, after: &Load, _: bool, _: &Target) -> bool {
        into_post(&mut self.post, after)
    }

    /// Lines that nobody reads are not made; what is stored stays as large.
    fn crop(&mut self, extents: &[usize], read: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        if *extents == *self.load.extents {
            self.keep = read.to_vec();
        }
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        Some(&self.post)
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        self.load.is_in_order()
    }
}

impl HostLoops for WholeFft {
    type Tables<T: Real> = (AxisPlans<T>, Weights);

    fn tables<T: Real>(&self) -> (AxisPlans<T>, Weights) {
        (self.plans(), Weights::new(&self.post.extents, &self.post.factors, self.post.scale))
    }

    fn run<T: Real, E: Elem<T>>(
        &self,
        (plans, post): &(AxisPlans<T>, Weights),
        sources: &[Option<Slice<T>>],
        _: &mut [T],
        to: Place<E>,
    ) {
        // The planner gives a transform a complex value to write.
        if let Some(dst) = E::as_complex_mut(to.stretch(self.output_len())) {
            plans.run(&Reader::new(&self.load, sources[0]), post, dst);
        }
    }

    fn taken(&self, _: usize, _: bool, _: usize) -> Taken {
        self.memory().0
    }

    fn table_bytes(&self) -> u64 {
        self.memory().1
    }
}

/// Fourier transform, weights, and the transform back.
#[derive(Clone, Debug)]
pub(super) struct FilterKernel {
    pub load: Load,
    /// Axes, weights, and what is made of the result.
    pub filter: Filter,
    /// Weights and scalar on the result; of one that adds up on each block.
    pub post: Post,
    /// Blocks that are added up.
    pub sum: Option<Folded>,
}

/// So many tasks keep threads busy.
const BUSY: usize = 8;

impl FilterKernel {
    /// The same with its blocks added up, each times weights over all of them; None where strips of columns are not filtered by
    /// themselves.
    pub fn summed(&self, sum: Folded, extents: &[usize], factors: &[Factor], scale: Complex64) -> Option<FilterKernel> {
        let filter = &self.filter;
        let row = filter.row();
        let whole = filter.kept() == filter.extents && filter.scratch(&self.load).is_none();
        let strips = filter.axes.len() == 1 && (row == 1 || row >= COLUMNS);
        // Strips are tasks, where blocks were: there are to be as many, or enough for many threads.
        let tasks = filter.blocks() / sum.terms * strips_of(filter);
        let busy = tasks >= filter.blocks().min(BUSY);
        if !whole || !strips || !busy || self.sum.is_some() || !self.post.factors.is_empty() {
            return None;
        }
        let mut filter = filter.clone();
        filter.spectrum.scale *= self.post.scale * scale;
        let post = Post { extents: extents.to_vec(), factors: factors.to_vec(), scale: Complex64::ONE };
        Some(FilterKernel { load: self.load.clone(), filter, post, sum: Some(sum) })
    }

    /// Elements of a block.
    pub fn block(&self) -> usize {
        self.filter.extents[self.filter.first()] * self.filter.row()
    }
}

impl Kernel for FilterKernel {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn details(&self) -> String {
        let filter = &self.filter;
        let keep = if filter.kept() == filter.extents { String::new() } else { format!(" keep {:?}", filter.keep) };
        let sum = self.sum.map_or(String::new(), |sum| format!(" summed over {}", sum.terms));
        format!(" on {:?} × {:?}{keep}{}{sum}", filter.axes, filter.spectrum.table, self.post)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        let made: usize = self.filter.kept().iter().product();
        made / self.sum.map_or(1, |sum| sum.terms)
    }

    fn work(&self) -> Work {
        let added = if self.sum.is_some() { 2 * self.load.count() as u64 } else { 0 };
        Work { flops: self.filter.flops(&self.load) + added, read: self.filter.spectrum.table.bytes() }
    }

    fn held(&self) -> Vec<Held<'_>> {
        vec![Held::Weight(&self.filter.spectrum.table)]
    }

    fn takes(&self, _: &Load, _: &Target) -> bool {
        true
    }

    fn absorb(&mut self, after: &Load, _: bool, _: &Target) -> bool {
        self.sum.is_none() && into_post(&mut self.post, after)
    }

    /// What nobody reads of a block is not stored either.
    fn crop(&mut self, extents: &[usize], read: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        if *extents != *self.filter.extents || !self.post.factors.is_empty() || self.sum.is_some() {
            return None;
        }
        let mut keep = read.to_vec();
        // Blocks are made whole or not at all.
        keep[..self.filter.first()].iter_mut().zip(extents).for_each(|(k, &n)| *k = (0, n));
        if keep == self.filter.keep {
            return None;
        }
        self.post.extents = keep.iter().map(|k| k.1 - k.0).collect();
        self.filter.keep.clone_from(&keep);
        Some(keep)
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        self.filter.scratch(&self.load).map(|extents| Scratch { extents, complex: true })
    }

    fn post(&self) -> Option<&Post> {
        Some(&self.post)
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        self.load.is_in_order() && self.filter.scratch(&self.load).is_none() && self.sum.is_none()
    }
}

impl HostLoops for FilterKernel {
    type Tables<T: Real> = (FilterPlan<T>, Weights);

    fn tables<T: Real>(&self) -> (FilterPlan<T>, Weights) {
        let post = Weights::new(&self.post.extents, &self.post.factors, self.post.scale);
        (FilterPlan::new(&self.filter, &self.load), post)
    }

    fn run<T: Real, E: Elem<T>>(
        &self,
        (plan, post): &(FilterPlan<T>, Weights),
        sources: &[Option<Slice<T>>],
        work: &mut [T],
        to: Place<E>,
    ) {
        // A buffer may be larger than what is needed of it.
        let needed = self.filter.scratch(&self.load).map_or(0, |e| e.iter().product());
        if let Some(dst) = E::as_complex_mut(to.stretch(self.output_len())) {
            let (reader, work) = (Reader::new(&self.load, sources[0]), bytemuck::cast_slice_mut(&mut work[..2 * needed]));
            match self.sum {
                None => plan.run(&reader, post, work, dst),
                Some(sum) => plan.run_summed(&reader, post, sum, dst),
            }
        }
    }

    fn taken(&self, _: usize, _: bool, _: usize) -> Taken {
        let plan = FilterPlan::<f32>::new(&self.filter, &self.load);
        self.sum.map_or_else(|| plan.taken(), |sum| plan.taken_summed(sum))
    }

    fn table_bytes(&self) -> u64 {
        FilterPlan::<f32>::new(&self.filter, &self.load).table_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ValueId;

    fn transform(extents: &[usize], axes: &[usize]) -> WholeFft {
        let x = Lowered { value: ValueId::INPUT, extents: extents.to_vec(), complex: true };
        WholeFft::new(&x, &Fft { axes: axes.to_vec(), inverse: false, centered: true, scale: 1.0, paired: false })
    }

    #[test]
    fn the_bound_by_shape_holds_what_is_made() {
        let lengths = (2..200).chain([251, 509, 1009, 1021, 2003, 3001, 4093, 5040, 10_007, 65_537, 100_003]);
        let mut cases: Vec<(Vec<usize>, Vec<usize>)> = lengths.map(|n| (vec![n], vec![0])).collect();
        cases.extend([(vec![700, 600], vec![0, 1]), (vec![60, 50, 47], vec![0, 1, 2]), (vec![601, 401], vec![0])]);
        for (extents, axes) in cases {
            let (exact, tables) = transform(&extents, &axes).memory();
            let (most, most_tables) = bound::<f32>(&extents, &axes);
            assert!(exact.each <= most.each && exact.shared <= most.shared && tables <= most_tables, "{extents:?}");
        }
    }

    #[test]
    fn what_no_machine_holds_is_stated_without_making_it() {
        let (taken, tables) = transform(&[1 << 40, 3], &[0, 1]).memory();
        assert!(taken.each > 1 << 40 && tables > 1 << 40);
    }
}
