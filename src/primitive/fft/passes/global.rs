//! A pass without workgroup memory: one invocation per butterfly, in registers (`global.wgsl`).
//!
//! The shape for CPU adapters, where workgroup memory costs more than a second pass over the array, and for short lengths
//! with enough columns on any device: lanes run along the columns, so that accesses coalesce.

use super::butterfly::{Code, named};
use super::step::Step;
use super::twiddle;
use crate::shader::Defines;

/// Invocations per workgroup.
const INVOCATIONS: usize = 64;

/// One step as one dispatch; its radix is the length of the butterfly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GlobalPass {
    pub(super) step: Step,
    /// Whether weights and the transform back follow.
    pub(super) filter: bool,
    /// Whether results are added up.
    pub(super) folds: bool,
}

impl GlobalPass {
    pub(super) fn key(&self) -> String {
        let filter = if self.filter { "-filter" } else { "" };
        let folded = if self.folds { "-folded" } else { "" };
        format!("global-{}-{}{filter}{folded}", self.step.radix, self.step.role())
    }

    pub(super) fn twiddles(&self) -> Vec<[f32; 2]> {
        if self.step.first() { Vec::new() } else { twiddle::table(self.step.done, self.step.radix) }
    }

    /// Workgroups for `outer` × `columns` lines.
    pub(super) fn groups(&self, outer: u64, columns: u64) -> u64 {
        (outer * columns).div_ceil(INVOCATIONS as u64)
    }

    /// What the names in `global.wgsl` stand for.
    pub(super) fn defines(&self) -> Defines {
        let mut defines = Defines::default();
        let radix = self.step.radix;
        defines.set("INVOCATIONS", INVOCATIONS);
        defines.set("RADIX_COUNT", radix);
        let mut code = Code::default();
        for s in 0..if self.filter { 2 } else { 1 } {
            let mut x = named(&format!("x{s}"), radix);
            if !self.step.first() {
                let slot = |slot| if slot == 0 { "k".into() } else { format!("{slot}u * fft.done + k") };
                x = twiddle::apply(&mut code, &x, slot);
            }
            let y = code.dft(&x);
            code.call_them(&format!("y{s}"), &y, |_| true);
            defines.set(&format!("BUTTERFLY_{s}"), code.take());
        }
        defines
    }
}
