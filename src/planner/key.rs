//! What a plan is made for: what plans are found by.

use crate::ir::Program;
use crate::plan::PlanOptions;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A program, the dtype of its input, and what may be chosen. The device is whoever keeps plans by this.
#[derive(Clone, Debug)]
pub(crate) struct PlanKey {
    pub program: Arc<Program>,
    pub complex: bool,
    pub options: PlanOptions,
}

impl PartialEq for PlanKey {
    fn eq(&self, other: &PlanKey) -> bool {
        // Handles to one program, as those of one linop, are not compared node by node.
        (Arc::ptr_eq(&self.program, &other.program) || self.program == other.program)
            && self.complex == other.complex
            && self.options == other.options
    }
}

impl Eq for PlanKey {}

impl Hash for PlanKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.program.fingerprint().hash(state);
        self.complex.hash(state);
        self.options.hash(state);
    }
}
