//! Gathers and scatters on a GPU: an invocation owns one result.

use super::GatherKernel;
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, List, Listed, PerResult, Read, Stepper, Text, Window, word};

const GATHER: KernelFile = KernelFile { name: "gather", text: include_str!("gather.wgsl"), imports: &[] };
const SCATTER: KernelFile = KernelFile { name: "scatter", text: include_str!("scatter.wgsl"), imports: &[] };

impl GpuKernel for GatherKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for GatherKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let (list, grid) = (self.index.indices().len(), self.index.extent());
        // Of readers in the mean; a list of them may be longer than others.
        let reads = if self.scatters { (list / grid).max(1) as u64 } else { 1 };
        let most = s.most_results((1 + reads) * s.element());
        let line = s.len / self.load.extents[0];
        if 4 * list.max(grid + 1) as u64 > s.limits.max_binding {
            // A list is bound in part: a chunk stays within one outer index.
            return s.pieces(line, most.min(line));
        }
        s.by_rows(line, most)
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (line, out) = (self.load.extents[1] * self.load.extents[2], self.written() * self.load.extents[2]);
        (chunk.first / out * line, (chunk.first + chunk.count).div_ceil(out) * line)
    }

    fn lists(&self, chunk: Chunk) -> Vec<Listed> {
        let (first, last) = self.rows(chunk);
        if !self.scatters {
            let list = List::shared(self.index.indices());
            return vec![Listed { name: "list", list, footprint: (first as i64, last as i64) }];
        }
        let inverse = self.index.inverse();
        let readers = (i64::from(inverse.starts[first]), i64::from(inverse.starts[last + 1]).max(1) - 1);
        let readers = (readers.0.min(readers.1), readers.1);
        vec![
            Listed { name: "list", list: List::shared(&inverse.readers), footprint: readers },
            Listed {
                name: "starts",
                list: List::shared(&inverse.starts),
                footprint: (first as i64, last as i64 + 1),
            },
        ]
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, reads: usize, lists: &[Window], _: Option<Along>) -> Result<()> {
        t.param("extent", word("an axis", self.load.extents[1])?);
        t.param("results", word("an axis", self.written())?);
        t.param("inner", word("an axis", self.load.extents[2])?);
        t.param("begin", word("a list", lists[0].first as usize)?);
        if let [list, starts] = lists {
            t.param("end", word("a list", (list.first + list.len) as usize)?);
            t.param("start", word("a list", starts.first as usize)?);
        }
        t.value_of(reads);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        (if self.scatters { SCATTER } else { GATHER }, 256)
    }
}

impl GatherKernel {
    /// First and last index along the written axis that a chunk has.
    fn rows(&self, chunk: Chunk) -> (usize, usize) {
        let (out, inner) = (self.written() * self.load.extents[2], self.load.extents[2]);
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        match first / out == last / out {
            true => (first % out / inner, last % out / inner),
            false => (0, out / inner - 1),
        }
    }
}
