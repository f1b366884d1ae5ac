//! Plans as text, for people and for snapshot tests: stable, without addresses or ids.

use super::{Plan, PlanValue};
use crate::access::{Load, Store};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = |v: &PlanValue| if v.complex { "c32" } else { "f32" };
        writeln!(f, "v0: {}{:?} (input)", dtype(&self.values[0]), self.values[0].extents)?;
        for s in &self.steps {
            let y = &self.values[s.store.value.at()];
            let slot = match self.memory.slot_of[s.store.value.at()] {
                Some(slot) => format!("buffer {slot}"),
                None => "output".into(),
            };
            let loads: Vec<String> = s.kernel.loads().iter().map(Load::to_string).collect();
            write!(f, "v{}: {}{:?} ({slot})", s.store.value, dtype(y), y.extents)?;
            if s.store != Store::whole(s.store.value, y.len()) {
                write!(f, "[run {} pitch {} start {}]", s.store.run, s.store.pitch, s.store.start)?;
            }
            write!(f, " = {} {}{}", s.kernel.name(), loads.join(" + "), s.kernel.details())?;
            if let Some(w) = s.scratch {
                let slot = self.memory.slot_of[w.at()].unwrap_or_default();
                write!(f, ", work {:?} (buffer {slot})", self.values[w.at()].extents)?;
            }
            writeln!(f)?;
        }
        let c = self.cost();
        writeln!(f, "return v{}", self.output)?;
        writeln!(
            f,
            "{} kernels, {} bytes read, {} written, {} flops, scratch {} bytes in {} buffers",
            self.steps.len(),
            c.read,
            c.written,
            c.flops,
            self.memory.scratch_bytes(),
            self.memory.slots.len()
        )
    }
}
