//! Choices between kernels that compute the same, to be timed on a device.

use crate::ir::Program;

/// A choice, and a program that makes it.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// What [`Choices`](crate::shader::Choices) call it.
    pub what: String,
    /// Candidates, of which the first is taken where nothing was measured.
    pub candidates: usize,
    /// Runs one kernel, of the chosen kind.
    pub program: Program,
}
