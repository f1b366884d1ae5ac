//! Choices between kernels that compute the same, to be timed on a device.

use crate::error::Result;
use crate::ir::Program;

/// A choice, and a program that makes it.
pub(crate) struct Variant {
    /// What [`Choices`](crate::shader::Choices) call it.
    pub what: String,
    /// Candidates, of which the first is taken where nothing was measured.
    pub candidates: usize,
    /// What runs one kernel, of the chosen kind. Made when it is its turn: it holds weights and points.
    pub program: Box<dyn Fn() -> Result<Program>>,
}
