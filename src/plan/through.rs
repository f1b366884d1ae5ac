//! Steps of a plan for a GPU that the host runs: their values go there and back.

use super::kernel::{Bound, Call};
use super::{Plan, Step};
use crate::access::{Store, ValueId};
use crate::allocate::zeroed;
use crate::error::Result;
use crate::loops::{Slice, SliceMut};

/// A step that the host runs for a GPU, ready to run.
pub(crate) struct HostStep {
    kernel: Box<dyn Bound<f32>>,
    /// The value that it reads, whole: elements, and whether they are complex.
    pub input: ValueId,
    taken: (usize, bool),
    /// Where its results go.
    pub store: Store,
    given: (usize, bool),
}

impl Step {
    /// The step, if the host runs it for a GPU.
    pub(crate) fn host_step(&self, plan: &Plan) -> Option<HostStep> {
        let (kernel, [load]) = (self.kernel.through_host()?, self.kernel.loads()) else { return None };
        let (x, y) = (&plan.values[load.value.at()], &plan.values[self.store.value.at()]);
        Some(HostStep {
            kernel: kernel.bind32(),
            input: load.value,
            taken: (x.len(), x.complex),
            store: self.store,
            given: (self.kernel.output_len(), y.complex),
        })
    }
}

impl HostStep {
    /// 32-bit numbers of what it reads.
    pub fn reads(&self) -> usize {
        numbers(self.taken)
    }

    /// The first byte of the results in their value.
    pub fn offset(&self) -> u64 {
        4 * numbers((self.store.start, self.given.1)) as u64
    }

    /// The results, for the numbers that it reads.
    ///
    /// # Errors
    /// The kernel's own, or there is no memory.
    pub fn run(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (len, complex) = self.given;
        let mut y = zeroed(numbers(self.given))?;
        let store = Store { start: 0, ..self.store };
        let sources = [Some(Slice::of(x, self.taken.0, self.taken.1))];
        self.kernel.run(Call { sources: &sources, work: &mut [], store, dst: SliceMut::of(&mut y, len, complex) })?;
        Ok(y)
    }
}

impl std::fmt::Debug for HostStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "host v{} -> v{}", self.input, self.store.value)
    }
}

fn numbers((len, complex): (usize, bool)) -> usize {
    if complex { 2 * len } else { len }
}
