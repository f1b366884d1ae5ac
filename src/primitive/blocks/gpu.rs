//! Blocks on a GPU: an invocation owns one result.

use super::BlocksKernel;
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, Window, word};

const BLOCKS: KernelFile = KernelFile { name: "blocks", text: include_str!("blocks.wgsl"), imports: &[] };
const OVERLAP_ADD: KernelFile =
    KernelFile { name: "overlap_add", text: include_str!("overlap_add.wgsl"), imports: &[] };

const NAMES: [[&str; 4]; 3] =
    [["n1", "q1", "size1", "stride1"], ["n2", "q2", "size2", "stride2"], ["n3", "q3", "size3", "stride3"]];

impl GpuKernel for BlocksKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for BlocksKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let each: usize = if self.adds { self.axes.iter().map(|a| a.size.div_ceil(a.stride)).product() } else { 1 };
        let reads = each as u64 * (1 + self.load.factors.len() as u64);
        s.by_rows(self.ends().1, s.most_results(s.element() * (1 + reads)))
    }

    /// Whole batch entries; of one entry, the rows along the first axis that the chunk's blocks hold, or the blocks that hold its
    /// rows.
    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (input, output) = self.ends();
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let b = first / output;
        if b != last / output {
            return (b * input, (last / output + 1) * input);
        }
        let a = self.axes[0];
        let (row_in, row_out) = match self.adds {
            false => (input / a.extent, output / a.count()),
            true => (input / a.count(), output / a.extent),
        };
        let (low, high) = (first % output / row_out, last % output / row_out);
        let (low, end) = match self.adds {
            false => (a.stride * low, a.stride * high + a.size),
            true => (a.holding(low).0, a.holding(high).1),
        };
        // Entries between blocks are read from nowhere; something is bound all the same.
        let rows = input / row_in;
        let low = low.min(rows - 1);
        (b * input + low * row_in, b * input + end.clamp(low + 1, rows) * row_in)
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window], _: Option<Along>) -> Result<()> {
        for ([n, q, size, stride], axis) in NAMES.into_iter().zip(self.axes) {
            t.param(n, word("an axis", axis.extent)?);
            t.param(q, word("the blocks", axis.count())?);
            t.param(size, word("a block", axis.size)?);
            t.param(stride, word("a stride", axis.stride)?);
        }
        t.value_of(reads);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        (if self.adds { OVERLAP_ADD } else { BLOCKS }, 256)
    }
}
