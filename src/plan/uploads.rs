//! What a plan's kernels bind besides values: constants, which all plans on a device share, and lists and tables, which a plan
//! has for itself, but for the records of points: plans with the same points share them (`gpu/records.rs`).

use super::Plan;
use crate::access::Constant;
use crate::error::Result;
use crate::shader::Operand;
use std::collections::HashSet;

/// What is uploaded for a plan, each once.
#[derive(Clone, Debug, Default)]
pub struct Uploads {
    /// Weights.
    pub constants: Vec<Constant>,
    /// Index lists, records of points, twiddle factors.
    pub tables: Vec<Operand>,
}

impl Uploads {
    /// All that the dispatches of a plan bind.
    ///
    /// # Errors
    /// A step needs more than the device's bindings hold.
    pub fn of(plan: &Plan) -> Result<Uploads> {
        let mut uploads = Uploads::default();
        let mut seen = HashSet::new();
        for step in &plan.steps {
            for binding in step.drafts(plan)?.into_iter().flat_map(|d| d.bindings) {
                match binding.operand {
                    Operand::Value(_) => {}
                    Operand::Constant(c) => {
                        if seen.insert(c.key().clone()) {
                            uploads.constants.push(c);
                        }
                    }
                    table => {
                        if !uploads.tables.contains(&table) {
                            uploads.tables.push(table);
                        }
                    }
                }
            }
        }
        Ok(uploads)
    }
}

impl Operand {
    /// Bytes of a list or table; a value or a constant has none of its own.
    pub fn table_bytes(&self) -> u64 {
        match self {
            Operand::List(l) => 4 * l.len() as u64,
            Operand::Table(t) => size_of_val(&t[..]) as u64,
            Operand::Value(_) | Operand::Constant(_) => 0,
        }
    }
}
