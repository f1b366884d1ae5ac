//! What a plan's kernels bind besides values: constants, which all plans on a device share, and lists and tables, which a plan
//! has for itself.

use super::draft::{Operand, drafts};
use crate::error::Result;
use crate::program::{Constant, Plan};
use std::collections::HashSet;
use std::sync::Arc;

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
    /// As for [`drafts`].
    pub fn of(plan: &Plan) -> Result<Uploads> {
        let mut uploads = Uploads::default();
        let mut seen = HashSet::new();
        for step in &plan.steps {
            for binding in drafts(plan, step)?.into_iter().flat_map(|d| d.bindings) {
                match binding.operand {
                    Operand::Value(_) => {}
                    Operand::Constant(c) => {
                        if seen.insert(c.id()) {
                            uploads.constants.push(c);
                        }
                    }
                    table => {
                        if !uploads.tables.iter().any(|t| t.is_same(&table)) {
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
    /// Whether one upload serves both. Lists are shared by handle and may be long; tables are made anew and are short.
    pub fn is_same(&self, other: &Operand) -> bool {
        match (self, other) {
            (Operand::List(a), Operand::List(b)) => Arc::ptr_eq(a, b),
            (a, b) => a == b,
        }
    }

    /// The bytes of a list or table; a value or a constant has none of its own.
    pub fn table(&self) -> &[u8] {
        match self {
            Operand::List(l) => bytemuck::cast_slice(l),
            Operand::Table(t) => bytemuck::cast_slice(t),
            Operand::Value(_) | Operand::Constant(_) => &[],
        }
    }
}
