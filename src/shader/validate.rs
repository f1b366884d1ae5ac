//! naga's judgement of a kernel, and what it says of bindings and workgroup size: neither is typed twice.

use crate::error::{Error, Result};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess};

/// What a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A uniform buffer.
    Uniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is read and written.
    Write,
}

/// A kernel that naga accepts.
#[derive(Debug)]
pub struct Reflected {
    /// Bindings of group 0, by number.
    pub bindings: Vec<(u32, Slot)>,
    /// Invocations of a workgroup.
    pub workgroup_size: u32,
    /// The module.
    pub module: naga::Module,
    /// What naga derived of it.
    pub info: naga::valid::ModuleInfo,
}

/// Parses and validates a kernel as the poorest device would: no optional capability at all.
///
/// # Errors
/// naga's message, with the place in the text.
pub fn validate(name: &str, text: &str) -> Result<Reflected> {
    let fail = |message: String| Error::Shader { kernel: name.to_string(), message };
    let module = naga::front::wgsl::parse_str(text).map_err(|e| fail(e.emit_to_string(text)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|e| fail(e.emit_to_string(text)))?;
    let mut bindings = Vec::new();
    for (_, v) in module.global_variables.iter() {
        let Some(b) = v.binding else { continue };
        let slot = match v.space {
            AddressSpace::Uniform => Slot::Uniform,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Slot::Write,
            AddressSpace::Storage { .. } => Slot::Read,
            other => return Err(fail(format!("binding {} has the address space {other:?}", b.binding))),
        };
        bindings.push((b.binding, slot));
    }
    bindings.sort_unstable_by_key(|b| b.0);
    let entry = module.entry_points.iter().find(|e| e.name == "main");
    let size = entry.ok_or_else(|| fail("has no entry point main".into()))?.workgroup_size;
    Ok(Reflected { bindings, workgroup_size: size.iter().product(), module, info })
}
