//! Small programs with known answers.

use crate::access::ValueId;
use crate::error::Result;
use crate::ir::{Builder, Program};

/// A program that shows whether a kernel family works.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The family, as messages call it: "gathers".
    pub family: &'static str,
    /// The program.
    pub program: Program,
}

impl Sample {
    /// The program that `f` builds for an input of these extents.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn of(
        family: &'static str,
        input: &[usize],
        f: impl FnOnce(&mut Builder) -> Result<ValueId>,
    ) -> Result<Sample> {
        let mut b = Builder::new(input);
        let y = f(&mut b)?;
        Ok(Sample { family, program: b.finish(y)? })
    }
}
