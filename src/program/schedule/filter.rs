//! A transform, weights, and the transform back become one step on the host, whose result is no larger than what is read.

use super::crop::cut_out;
use super::*;

/// Weights of a filter that may be any multiple of those that they are made of.
const SMALL_TABLE: usize = 1 << 16;

impl Scheduler {
    /// The inverse of the transform that was just planned, after weights that were not applied yet: one filter. None where
    /// it is not that.
    pub(super) fn filter(&mut self, x: &Val, f: &Op) -> Result<Option<Val>> {
        let Op::Fft { axes, inverse, centered, scale } = f else { return Ok(None) };
        let extents = &x.load.extents;
        if x.load.factors.is_empty() {
            return Ok(None);
        }
        let Some(step) = self.just_made(x) else { return Ok(None) };
        let Kernel::Fft { load, axes: a, inverse: i, centered: c, post, .. } = &step.kernel else { return Ok(None) };
        let moving: Vec<usize> = axes.iter().copied().filter(|&a| extents[a] > 1).collect();
        if a != axes || i == inverse || c != centered || !post.factors.is_empty() || moving.is_empty() {
            return Ok(None);
        }
        // One table holds the product of all weights, which may be much larger than these.
        let table = Filter::table(extents, moving[0], &x.load.factors).iter().product::<usize>();
        if table > SMALL_TABLE && table > 4 * x.load.factors.iter().map(|f| f.weight.len()).sum::<usize>() {
            return Ok(None);
        }
        let by = post.scale * x.load.scale;
        let filter = Filter::new(extents, &moving, (*i, *c), &x.load.factors, by)?;
        let post = Post::scalar(extents, *scale);
        step.kernel = Kernel::Filter { load: load.clone(), filter: Box::new(filter), post, work: None };
        Ok(Some(Val { load: Load::whole(x.load.value, extents), complex: true, sole: true }))
    }

    /// Cuts the results of filters to what is read of them, and gives them the room that they then need.
    pub(super) fn settle_filters(&mut self, output: ValueId) {
        for i in 0..self.steps.len() {
            self.cut_result(i, output);
            let Kernel::Filter { load, filter, .. } = &self.steps[i].kernel else { continue };
            if let Some(extents) = filter.work(load) {
                let room = self.value(extents, true);
                if let Kernel::Filter { work, .. } = &mut self.steps[i].kernel {
                    *work = Some(room);
                }
            }
        }
    }

    fn cut_result(&mut self, i: usize, output: ValueId) {
        let value = self.steps[i].store.value;
        let Kernel::Filter { filter, .. } = &self.steps[i].kernel else { return };
        let extents = filter.extents.clone();
        let known = self.values[value.at()].extents == extents && !self.regions.iter().any(|r| r.result == value);
        let Some(mut keep) = self.read_of(i, output).filter(|_| known) else { return };
        // Blocks are made whole or not at all.
        keep[..filter.first()].iter_mut().zip(&extents).for_each(|(k, &n)| *k = (0, n));
        let cut = Filter { keep, ..(**filter).clone() };
        let kept = cut.kept();
        if kept == extents {
            return;
        }
        let Kernel::Filter { post, .. } = &self.steps[i].kernel else { return };
        let Some(factors) = cut.kept_factors(&post.factors) else { return };
        for load in self.steps.iter_mut().flat_map(|s| s.kernel.loads_mut()).filter(|l| l.value == value) {
            cut_out(load, &extents, &cut.keep);
        }
        let step = &mut self.steps[i];
        step.store = Store::whole(value, kept.iter().product());
        if let Kernel::Filter { filter, post, .. } = &mut step.kernel {
            *post = Post { extents: kept.clone(), factors, scale: post.scale };
            **filter = cut;
        }
        self.values[value.at()].extents = kept;
    }
}
