//! Kernels of a user's own: what they must declare, and naga's judgement of that.
//!
//! ```text
//! @group(0) @binding(0) var<storage, read>       x: array<T>;    the input, whole
//! @group(0) @binding(1) var<storage, read_write> y: array<T>;    the result, whole; every element is written
//! @group(0) @binding(2) var<storage, read>       …: array<…>;    constants, in the order in which they are given
//! @compute @workgroup_size(64) fn main(…) { … }
//! ```
//!
//! `T` is `f32` or `vec2<f32>`. Where a text leaves it undeclared it is both: the kernel is made for real and for complex values.
//! An `override` has the value that the text gives it. No text is trusted: its pipeline keeps wgpu's runtime checks ([`Draft::own`](super::Draft)).

use super::draft::Operand;
use super::template::Defines;
use crate::error::{Error, Result};

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Real,
    Complex,
    Words,
}

/// A kernel's text for one kind of values, as naga accepts it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnText {
    pub text: String,
    /// Invocations of a workgroup along x, y, z.
    pub workgroup: [u32; 3],
    /// Bytes of workgroup memory.
    pub memory: u64,
    pub complex: bool,
}

impl Holds {
    /// What a constant of a kernel holds.
    pub fn of(operand: &Operand) -> Holds {
        match operand {
            Operand::List(_) => Holds::Words,
            Operand::Constant(c) if !c.is_complex() => Holds::Real,
            Operand::Constant(_) | Operand::Table(_) | Operand::Value(_) => Holds::Complex,
        }
    }
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Holds::Real => "array<f32>",
            Holds::Complex => "array<vec2<f32>>",
            Holds::Words => "array<u32>",
        })
    }
}

/// The kernel's texts, for real and for complex values, with these constants from binding 2 on: one of them, or both where the
/// text leaves `T` open.
///
/// # Errors
/// naga's message with the place in the text, or a binding that is missing, too many, or of another type.
pub(crate) fn own_texts(name: &str, text: &str, constants: &[Holds]) -> Result<Vec<OwnText>> {
    let with = |t: &str| {
        let mut defines = Defines::default();
        defines.set("T", t);
        defines.replaced(text)
    };
    let (real, complex) = (with("f32"), with("vec2<f32>"));
    match examined(name, text, constants) {
        Ok(one) => Ok(vec![one]),
        // The name of the type stands in the text, and is not declared there.
        Err(Error::Shader { .. }) if real != text && !declares_t(text) => {
            Ok(vec![examined(name, &real, constants)?, examined(name, &complex, constants)?])
        }
        Err(e) => Err(e),
    }
}

/// Whether a text makes a name of `T` itself.
fn declares_t(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|w| ["alias", "struct"].contains(&w[0]) && w[1].split(['=', '{']).next() == Some("T"))
}

#[cfg(not(feature = "gpu"))]
fn examined(_: &str, _: &str, _: &[Holds]) -> Result<OwnText> {
    Err(Error::Device("this build has no GPU support; build with the feature \"gpu\"".into()))
}

#[cfg(feature = "gpu")]
fn examined(name: &str, text: &str, constants: &[Holds]) -> Result<OwnText> {
    let fail = |message: String| Error::Shader { kernel: name.to_string(), message };
    let valid = super::validate(name, text)?;
    // As it is written, with what main leaves unused.
    let module = naga::front::wgsl::parse_str(text).map_err(|e| fail(e.emit_to_string(text)))?;
    let mut found: Vec<Option<(Holds, bool)>> = vec![None; 2 + constants.len()];
    for (_, v) in module.global_variables.iter() {
        let Some(at) = v.binding else { continue };
        let called = v.name.as_deref().unwrap_or("a binding");
        let here = format!("{called} at @group({}) @binding({})", at.group, at.binding);
        let place = found.get_mut(at.binding as usize).filter(|_| at.group == 0);
        let Some(place) = place else {
            let message = format!(
                "{here} has nothing to bind; there are the input at 0, the result at 1, and {} constants from 2 on, in group 0",
                constants.len()
            );
            return Err(fail(message));
        };
        let naga::AddressSpace::Storage { access } = v.space else {
            return Err(fail(format!(
                "{here} is no storage buffer; expected var<storage, read> or var<storage, read_write>"
            )));
        };
        let Some(holds) = held(&module, v.ty) else {
            return Err(fail(format!("{here} has another type than array<f32>, array<vec2<f32>> or array<u32>")));
        };
        *place = Some((holds, access.contains(naga::StorageAccess::STORE)));
    }
    let missing = |what: &str, at: usize, declared: String| {
        fail(format!("{what} is not declared; expected @group(0) @binding({at}) var<storage, {declared}>"))
    };
    let both = "T is f32 or vec2<f32>";
    let (x, written) = found[0].ok_or_else(|| missing("the input", 0, format!("read> x: array<T>, {both}")))?;
    let (y, writes) = found[1].ok_or_else(|| missing("the result", 1, format!("read_write> y: array<T>, {both}")))?;
    if written || !writes {
        return Err(fail(
            "the input at binding 0 is var<storage, read>, the result at 1 var<storage, read_write>".into(),
        ));
    }
    if x != y || x == Holds::Words {
        return Err(fail(format!(
            "the input is {x}, the result {y}; expected array<f32> or array<vec2<f32>> for both"
        )));
    }
    for (k, (want, place)) in constants.iter().zip(&found[2..]).enumerate() {
        let at = k + 2;
        match place {
            None => return Err(missing(&format!("constant {k}"), at, format!("read> …: {want}"))),
            Some((holds, _)) if holds != want => {
                return Err(fail(format!("constant {k} at binding {at} is {holds}; what is given for it is {want}")));
            }
            Some((_, true)) => {
                return Err(fail(format!("constant {k} at binding {at} is written to; it is var<storage, read>")));
            }
            Some(_) => {}
        }
    }
    let (workgroup, memory) = (valid.workgroup, valid.workgroup_memory);
    Ok(OwnText { text: text.into(), workgroup, memory, complex: x == Holds::Complex })
}

/// What a runtime-sized array of this type holds.
#[cfg(feature = "gpu")]
fn held(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<Holds> {
    use naga::{ArraySize, Scalar, TypeInner, VectorSize};
    let TypeInner::Array { base, size: ArraySize::Dynamic, .. } = module.types[ty].inner else { return None };
    match module.types[base].inner {
        TypeInner::Scalar(Scalar::F32) => Some(Holds::Real),
        TypeInner::Scalar(Scalar::U32) => Some(Holds::Words),
        TypeInner::Vector { size: VectorSize::Bi, scalar: Scalar::F32 } => Some(Holds::Complex),
        _ => None,
    }
}
