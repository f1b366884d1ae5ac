//! naga's judgement of a kernel, and what it says of bindings and workgroup size: neither is typed twice.

use crate::error::{Error, Result};
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage, StorageAccess};

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
    /// The same along x, y, z.
    pub workgroup: [u32; 3],
    /// Bytes of workgroup memory that it uses.
    pub workgroup_memory: u64,
    /// The module, with the values of its `override`s in their places.
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
    if !module.entry_points.iter().any(|e| e.name == "main" && e.stage == ShaderStage::Compute) {
        return Err(fail("has no compute entry point main".into()));
    }
    let (module, info) = match module.overrides.is_empty() {
        true => (module, info),
        false => valued(&module, &info).map_err(fail)?,
    };
    let entry = module.entry_points.iter().position(|e| e.name == "main").unwrap_or(0);
    let (size, uses) = (module.entry_points[entry].workgroup_size, info.get_entry_point(entry));
    let workgroup =
        module.global_variables.iter().filter(|(v, g)| g.space == AddressSpace::WorkGroup && !uses[*v].is_empty());
    let bytes = workgroup.map(|(_, g)| u64::from(module.types[g.ty].inner.size(module.to_ctx())).next_multiple_of(16));
    let workgroup_memory = bytes.sum();
    let invocations = size.iter().try_fold(1u32, |n, &m| n.checked_mul(m));
    let Some(workgroup_size) = invocations.filter(|n| *n > 0) else {
        return Err(fail(format!(
            "has workgroups of {size:?} invocations; expected 1 or more, and a product of 32 bits"
        )));
    };
    Ok(Reflected { bindings, workgroup_size, workgroup: size, workgroup_memory, module, info })
}

/// The module with the values of its `override`s, which nobody gives others.
fn valued(module: &naga::Module, info: &ModuleInfo) -> Result<(naga::Module, ModuleInfo), String> {
    let without = module.overrides.iter().find(|(_, o)| o.init.is_none());
    if let Some((_, o)) = without {
        let name = o.name.as_deref().unwrap_or("of an id");
        return Err(format!(
            "override {name} has no value, and none is given from outside; write it as `override {name} = …;`"
        ));
    }
    let main = Some((ShaderStage::Compute, "main"));
    let (module, info) =
        process_overrides(module, info, main, &Default::default()).map_err(|e| format!("its overrides: {e}"))?;
    Ok((module.into_owned(), info.into_owned()))
}
