//! Pointwise work on a GPU: an invocation makes one result, or a few of many.

use super::MapKernel;
use crate::error::Result;
use crate::plan::{GpuKernel, Kernel};
use crate::shader::{Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, Window};

const MAP: KernelFile = KernelFile { name: "map", text: include_str!("map.wgsl"), imports: &[] };

/// Results of an invocation, where there are many: so many reads are under way at once.
const EACH: usize = 4;
/// What counts as many: a large GPU has work for all its cores.
const MANY: usize = 1 << 20;

impl MapKernel {
    fn each(&self) -> usize {
        if self.output_len() >= MANY { EACH } else { 1 }
    }
}

impl GpuKernel for MapKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for MapKernel {
    fn reads(&self) -> Vec<Read> {
        self.loads.iter().map(Read::whole).collect()
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        // Whole rows of the first read.
        let row = self.loads.first().and_then(|l| l.extents.first()).map_or(1, |n| s.len / n);
        let operands: usize = self.loads.iter().map(|l| 1 + l.factors.len()).sum();
        s.by_rows(row, s.most_results(8 * (1 + operands as u64)))
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        (chunk.first, chunk.first + chunk.count)
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window]) -> Result<()> {
        t.value_of(reads);
        t.defines.set("EACH", format!("{}u", self.each()));
        t.defines.set("EACH_COUNT", self.each());
        Ok(())
    }

    fn file(&self) -> (KernelFile, u64) {
        (MAP, 256 * self.each() as u64)
    }
}
