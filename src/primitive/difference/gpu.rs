//! Differences on a GPU: an invocation owns one result and reads its neighbours, which caches hold.

use super::{Border, DifferenceKernel, Kind, MOST_AXES};
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, Window, word};

const IMPORTS: &[(&str, &str)] = &[("neighbours", include_str!("neighbours.wgsl"))];
const FORWARD: KernelFile = KernelFile { name: "difference", text: include_str!("forward.wgsl"), imports: IMPORTS };
const ADJOINT: KernelFile =
    KernelFile { name: "difference_adjoint", text: include_str!("adjoint.wgsl"), imports: IMPORTS };
const NORMAL: KernelFile =
    KernelFile { name: "difference_normal", text: include_str!("normal.wgsl"), imports: IMPORTS };

/// Names of an axis's parameters in the kernel's file.
const NAMES: [[&str; 3]; MOST_AXES] = [
    ["stride0", "step0", "extent0"],
    ["stride1", "step1", "extent1"],
    ["stride2", "step2", "extent2"],
    ["stride3", "step3", "extent3"],
    ["stride4", "step4", "extent4"],
    ["stride5", "step5", "extent5"],
];

impl GpuKernel for DifferenceKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for DifferenceKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let terms = match self.kind {
            Kind::Forward => 2,
            Kind::Adjoint => 2 * self.axes.len(),
            Kind::Normal => 1 + 2 * self.axes.len(),
        };
        let reads = terms * (1 + self.load.factors.len());
        s.by_rows(self.plane(), s.most_results(s.element() * (1 + reads as u64)))
    }

    /// Whole batch entries; of one plane of one entry what is a step away, where nothing wraps.
    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (plane, written, read) = (self.plane(), self.written(), self.load.extents[1]);
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let (b, end) = (first / (plane * written), last / (plane * written) + 1);
        if read > 1 || first / plane != last / plane || self.border == Border::Circular {
            return (b * read * plane, end * read * plane);
        }
        let step = self.axes.iter().map(|a| a.stride).max().unwrap_or(0);
        let (low, high) = ((first % plane).saturating_sub(step), (last % plane + 1 + step).min(plane));
        (b * plane + low, b * plane + high)
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window], _: Option<Along>) -> Result<()> {
        t.param("plane", word("an array", self.plane())?);
        for (axis, [stride, step, extent]) in self.axes.iter().zip(NAMES) {
            t.param(stride, word("an axis", axis.stride)?);
            t.wrapping_param(step, if self.ahead { -(axis.stride as i64) } else { axis.stride as i64 });
            t.param(extent, word("an axis", axis.extent)?);
        }
        t.defines.set("AXES", self.axes.len());
        if self.ahead {
            t.defines.set("AHEAD", "");
        }
        match self.border {
            Border::Circular => t.defines.set("CIRCULAR", ""),
            Border::Zero => t.defines.set("ZERO", ""),
            Border::Neumann => {}
        }
        t.value_of(reads);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        let file = match self.kind {
            Kind::Forward => FORWARD,
            Kind::Adjoint => ADJOINT,
            Kind::Normal => NORMAL,
        };
        (file, 256)
    }
}
