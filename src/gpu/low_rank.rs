//! Blocks of low rank on a GPU: a workgroup a block, in its memory.

use super::Gpu;
use super::elements::{Dispatch, here};
use crate::error::Result;
use crate::low_rank::{Blocks, Ending, fits, kernel, room, words, work};
use crate::shader::{SUBMISSION, WORK};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

impl Gpu {
    /// Whether the blocks of a tensor can be handled here: each fits a workgroup's memory, and the tensor a binding.
    pub(crate) fn takes_blocks(&self, blocks: &Blocks, t: &Tensor) -> bool {
        let limits = &self.core.limits;
        fits(blocks, limits) && t.shape().len() as u64 * t.dtype().bytes() <= limits.max_binding
    }

    /// The tensor with the singular values of every block less by `less`, none below 0. Does not wait.
    pub(crate) fn shrunk_blocks(self: &Arc<Self>, blocks: &Blocks, t: &Tensor, less: f32) -> Result<Tensor> {
        let made = self.tensor(t.shape().clone(), t.dtype())?;
        self.over_blocks(blocks, t, Ending::Shrunk, less, here(&made)?)?;
        Ok(made)
    }

    /// The sums of the singular values of every block. Waits.
    pub(crate) fn block_norms(self: &Arc<Self>, blocks: &Blocks, t: &Tensor) -> Result<Vec<f32>> {
        let made = self.alloc(4 * blocks.count() as u64)?;
        self.over_blocks(blocks, t, Ending::Norms, 0.0, &made)?;
        self.core.read(made.block(), blocks.count())
    }

    fn over_blocks(
        self: &Arc<Self>,
        blocks: &Blocks,
        t: &Tensor,
        ending: Ending,
        less: f32,
        made: &super::GpuBuffer,
    ) -> Result<()> {
        let text = kernel(t.dtype() == DType::Complex32, ending, room(&self.core.limits))?;
        let pipeline = self.core.lane(0).pipeline("low_rank", &text, false)?;
        let x = here(t)?;
        let read = t.shape().len() as u64 * t.dtype().bytes();
        let written = if ending == Ending::Norms { 4 * blocks.count() as u64 } else { read };
        // A dispatch of a quarter of a second, a submission of two.
        let folded = u64::from(self.core.limits.max_groups).pow(2);
        let each = usize::try_from((WORK / work(blocks)).clamp(1, folded)).unwrap_or(usize::MAX);
        let dispatch = |first: usize| -> Result<Dispatch<'_>> {
            let count = each.min(blocks.count() - first);
            let bound = vec![(made, 0, written), (x, 0, read)];
            Ok(Dispatch { words: words(blocks, first, count, less)?, bound, groups: count as u64 })
        };
        let all = (0..blocks.count()).step_by(each).map(dispatch).collect::<Result<Vec<_>>>()?;
        for some in all.chunks(usize::try_from(SUBMISSION / WORK).unwrap_or(1)) {
            self.dispatch("linops.low_rank", &pipeline, some, &[x.shared(), made.shared()], made.shared())?;
        }
        Ok(())
    }
}
