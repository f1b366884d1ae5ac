//! Sums on a GPU: one for each invocation, or for each workgroup where there are few long ones.

use super::{BLOCK, SumKernel};
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, Window, word};

const REDUCE: KernelFile = KernelFile { name: "reduce", text: include_str!("reduce.wgsl"), imports: &[] };
const REDUCE_GROUP: KernelFile = KernelFile { name: "reduce_group", text: include_str!("reduce_group.wgsl"), imports: &[] };

/// Sums of at least this many terms, where there are few of them, are made by whole workgroups.
const GROUP_TERMS: usize = 256;
/// What counts as few.
const GROUP_SUMS: usize = 1 << 12;

impl GpuKernel for SumKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for SumKernel {
    /// The axes of the results stay apart from those of the terms: together their index may exceed 32 bits.
    fn reads(&self) -> Vec<Read> {
        let (load, mark) = self.load.collapsed_around(self.kept);
        vec![Read { load, mark, as_stored: false }]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let row = self.load.extents.first().map_or(1, |n| s.len / n);
        let operands = 1 + self.load.factors.len() as u64;
        s.by_rows(row, s.most_results(8 * operands * self.size as u64))
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (sums, terms) = (self.sums(), self.terms());
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        if sums == 1 {
            return (first * self.size, terms.min((last + 1) * self.size));
        }
        // Sums of several parts are read whole.
        match first / sums == last / sums {
            true => (first % sums * terms, (last % sums + 1) * terms),
            false => (0, sums * terms),
        }
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn assemble(&self, t: &mut Text, _: usize, _: &[Window]) -> Result<()> {
        t.defines.set("BLOCK", format!("{BLOCK}u"));
        t.param("terms", word("the terms of a sum", self.terms())?);
        t.param("sums", word("the sums", self.sums())?);
        t.param("size", word("the terms of a part", self.size)?);
        t.body += "fn term(sum: u32, k: u32) -> T {\n    return load0(sum, k);\n}\n";
        Ok(())
    }

    fn file(&self) -> (KernelFile, u64) {
        let sums = self.sums() * self.parts / self.batch;
        if self.size >= GROUP_TERMS && sums <= GROUP_SUMS { (REDUCE_GROUP, 1) } else { (REDUCE, 256) }
    }
}
