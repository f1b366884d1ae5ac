//! Sparse rows on a GPU: an invocation makes one result.

use super::rows::{RowsKernel, WORDS};
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, List, Listed, PerResult, Read, Stepper, Text, Window, word};

const ROWS: KernelFile = KernelFile { name: "rows", text: include_str!("rows.wgsl"), imports: &[] };

impl GpuKernel for RowsKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for RowsKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read { as_stored: true, ..Read::whole(&self.load) }]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let (line, inner) = (self.line(), self.load.extents[2]);
        // Terms are read from memory, and so are the values that they weigh.
        let term = 4 * WORDS + 8 * (1 + self.load.factors.len());
        let most = s.most_results(s.element() + (self.rows.terms() * term) as u64);
        let bound = usize::try_from(s.bindable(4)).unwrap_or(usize::MAX) / (self.rows.terms() * WORDS);
        if self.rows.count() <= bound {
            return s.by_rows(line, most);
        }
        // The table is bound in part: a chunk stays within one line, and what begins and ends within a row has it too.
        s.pieces(line, most.min(bound.saturating_sub(1).max(1).saturating_mul(inner)))
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (read, line) = (self.load.extents[1] * self.load.extents[2], self.line());
        (chunk.first / line * read, (chunk.first + chunk.count).div_ceil(line) * read)
    }

    fn lists(&self, chunk: Chunk) -> Vec<Listed> {
        let (line, inner) = (self.line(), self.load.extents[2]);
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let (first, last) = match first / line == last / line {
            true => (first % line / inner, last % line / inner),
            false => (0, self.rows.count() - 1),
        };
        let row = (self.rows.terms() * WORDS) as i64;
        let footprint = (first as i64 * row, (last as i64 + 1) * row - 1);
        vec![Listed { name: "table", list: List::shared(self.rows.words()), footprint }]
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, _: usize, lists: &[Window], _: Option<Along>) -> Result<()> {
        if !self.real || self.from_complex {
            t.defines.set("FROM_COMPLEX", "");
        }
        t.param("extent", word("an axis", self.load.extents[1])?);
        t.param("results", word("an axis", self.rows.count())?);
        t.param("inner", word("an axis", self.load.extents[2])?);
        t.param("terms", word("the terms of a row", self.rows.terms())?);
        t.param("begin", word("a table", lists[0].first as usize)?);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        (ROWS, 256)
    }
}

impl RowsKernel {
    /// Results of a line.
    fn line(&self) -> usize {
        self.rows.count() * self.load.extents[2]
    }
}
