//! Interpolation and its transpose in a plan.

use super::*;
use crate::program::points::Points;

/// Batch entries (coils) that one pass over the points handles: their weights are computed once.
pub(crate) const NONUNIFORM_BLOCK: usize = 8;

impl Scheduler {
    pub(super) fn interpolate(&mut self, x: Val, points: &Points, extents: &[usize]) -> Result<Val> {
        let (load, complex) = self.batched(x, points.grid())?;
        let work = self.work(load.extents[0], points, complex, false);
        Ok(self.step(Kernel::Interpolate { load, points: points.clone(), work }, extents, complex))
    }

    pub(super) fn spread(&mut self, x: Val, points: &Points, extents: &[usize]) -> Result<Val> {
        let (load, complex) = self.batched(x, &[points.count()])?;
        let work = self.work(load.extents[0], points, complex, true);
        Ok(self.step(Kernel::Spread { load, points: points.clone(), work }, extents, complex))
    }

    /// The load under extents (batch, last axes).
    fn batched(&mut self, x: Val, last: &[usize]) -> Result<(Load, bool)> {
        let e = &x.load.extents;
        let mut want = vec![e[..e.len() - last.len()].iter().product()];
        want.extend(last);
        let x = self.through(x, |l| l.reshaped(&want))?;
        // Kernels on a GPU have lists to bind beside the read.
        let room = self.target != Target::Host && x.load.factors.len() > 1;
        let x = if room { self.stored(x) } else { x };
        Ok((x.load, x.complex))
    }

    /// What a kernel needs beside its input and output: on the host the samples of one block side by side, on a GPU the sums
    /// of heavy tiles' parts.
    fn work(&mut self, batch: usize, points: &Points, complex: bool, spread: bool) -> Option<ValueId> {
        match self.target {
            Target::Host => Some(self.value(vec![points.count(), batch.min(NONUNIFORM_BLOCK)], complex)),
            Target::Gpu { .. } if spread => {
                let parts = points.bins().parts();
                (parts.slots > 0).then(|| self.value(vec![batch, parts.slots, points.bins().cells()], complex))
            }
            Target::Gpu { .. } => None,
        }
    }
}
