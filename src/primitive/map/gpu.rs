//! Pointwise work on a GPU: an invocation makes one result.

use super::MapKernel;
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, Window};

const MAP: KernelFile = KernelFile { name: "map", text: include_str!("map.wgsl"), imports: &[] };

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
        Ok(())
    }

    fn file(&self) -> (KernelFile, u64) {
        (MAP, 256)
    }
}
