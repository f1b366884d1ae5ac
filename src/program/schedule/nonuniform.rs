//! Interpolation and its transpose in a plan.

use super::*;
use crate::program::points::{Parts, Points, Weights};

/// Batch entries (coils) that one pass over the points handles: their weights are computed once.
pub(crate) const NONUNIFORM_BLOCK: usize = 8;

impl Scheduler {
    pub(super) fn interpolate(&mut self, x: Val, points: &Points, extents: &[usize]) -> Result<Val> {
        let (load, complex) = self.batched(x, points.grid())?;
        let weights = self.weights(load.extents[0], points, false);
        let work = self.work(load.extents[0], points, complex, false);
        Ok(self.step(Kernel::Interpolate { load, points: points.clone(), weights, work }, extents, complex))
    }

    pub(super) fn spread(&mut self, x: Val, points: &Points, extents: &[usize]) -> Result<Val> {
        let (load, complex) = self.batched(x, &[points.count()])?;
        let weights = self.weights(load.extents[0], points, true);
        let work = self.work(load.extents[0], points, complex, true);
        Ok(self.step(Kernel::Spread { load, points: points.clone(), weights, work }, extents, complex))
    }

    /// Where weights come from, for so many batch entries. Sub-linops side by side decide as each alone does.
    fn weights(&self, batch: usize, points: &Points, spread: bool) -> Weights {
        let stages = spread_batch(&self.target, points).is_some();
        let weights = match (points.polynomials(), self.options.weights) {
            (None, _) => Weights::Table,
            // Only what is staged is computed once for all cells.
            _ if spread && self.target != Target::Host && !stages => Weights::Table,
            (_, Some(forced)) => forced,
            _ => favoured(&self.target, batch.div_ceil(self.batch), points),
        };
        if weights == Weights::Table {
            // Made now, not by the first apply.
            points.weights();
        }
        weights
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
                let parts = spread_parts(points, &self.target);
                (parts.slots > 0).then(|| self.value(vec![batch, parts.slots, points.bins().cells()], complex))
            }
            Target::Gpu { .. } => None,
        }
    }
}

/// The parts of a spread's tiles: the lists of each fit a binding.
pub(crate) fn spread_parts(points: &Points, target: &Target) -> Parts {
    points.bins().parts((target.max_binding() / 8).saturating_sub(64) as usize)
}

/// How many footprints a spread stages in workgroup memory at a time: packed first cell, weights, samples of a block. None where
/// too few would fit. On a CPU that plays a GPU too it takes no longer for one coil and three quarters of the time for eight.
pub(crate) fn spread_batch(target: &Target, points: &Points) -> Option<usize> {
    let Target::Gpu { workgroup_memory, max_invocations, .. } = *target else { return None };
    let each = 4 + 4 * points.stride() + 8 * NONUNIFORM_BLOCK;
    if max_invocations < 256 {
        return None;
    }
    [32, 16, 8].into_iter().find(|batch| batch * each <= workgroup_memory as usize)
}

/// A table of weights that no longer stays in a CPU's caches.
const LARGE_TABLE: usize = 16 << 20;
/// Batch entries beside which the weights' own cost shows.
const FEW: usize = 2;

/// The better of both ways; the same for an interpolation and its adjoint, so that both have the same weights to the last bit.
///
/// On the host polynomials take 3 ns for a point in 2-D, and some more to pass on what they give. A table that stays in the
/// caches takes less. A larger one takes about as long for few coils (an interpolation reads it once and in order, a spread
/// again for each tile that a footprint touches): there polynomials save its memory, several times that of the points. With
/// many coils a table is small beside the samples, and faster.
///
/// On a GPU each block of the batch reads the records again. In 2-D with 6 taps a table is 48 bytes of a record's 60,
/// fractions are 8 of 20; the 70 multiply-adds that replace 40 bytes are less than what any GPU does while it reads them (5 to
/// 20 for a byte). So polynomials should win for any number of coils. On a CPU that plays a GPU, where each load is dear, an
/// interpolation takes a quarter of the time for one coil and nine tenths for eight.
fn favoured(target: &Target, batch: usize, points: &Points) -> Weights {
    let table = 4 * points.count() * points.stride();
    let polynomials = match target {
        Target::Host => batch <= FEW && table > LARGE_TABLE,
        Target::Gpu { .. } => true,
    };
    if polynomials { Weights::Polynomials } else { Weights::Table }
}
