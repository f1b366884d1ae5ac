//! Kernels as WGSL: the files beside the primitives, fused reads and stores around them, validation by naga.
//!
//! A kernel's text holds structure only; everything that differs between two dispatches of it is a parameter. So the text
//! itself is the key of its pipeline.
//!
//! ```text
//! step of a plan ─▶ Stepper: chunks, windows, units ─▶ Text: bindings, loadN(lin, k), store(lin, v), p.NAME ─▶ Draft
//!                                                 └─ the kernel's .wgsl file: #import, #ifdef, names in capitals
//! ```
// Kernels count in 32 bits: every conversion to them is checked, or is an index that wraps on purpose and says so.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod choices;
mod draft;
mod limits;
mod own;
mod read;
mod stepper;
mod template;
mod text;
mod time;
#[cfg(feature = "gpu")]
mod translate;
#[cfg(feature = "gpu")]
mod validate;
mod wide;
mod windows;
mod words;

pub use choices::Choices;
#[cfg(feature = "gpu")]
pub(crate) use draft::ListKey;
pub use draft::{Binding, Draft, List, Operand};
pub(crate) use limits::word;
pub use limits::{GpuLimits, KernelShape};
pub(crate) use own::{Holds, OwnText, own_texts};
pub(crate) use read::{Source, load_function, weigh_function};
pub(crate) use stepper::{Chunk, Listed, PerResult, Read, Stepper, Stored};
pub(crate) use template::{Defines, expand};
pub(crate) use text::{KernelFile, StoreTo, Text};
#[cfg(feature = "gpu")]
pub(crate) use time::{FLOPS_PER_BYTE, SUBMISSION};
pub(crate) use time::{WORK, work};
#[cfg(feature = "gpu")]
pub(crate) use translate::translate_own;
#[cfg(feature = "gpu")]
pub use translate::{Language, translate};
#[cfg(feature = "gpu")]
pub use validate::{Reflected, Slot, validate};
pub(crate) use wide::{Along, UNITS, unit};
pub(crate) use windows::{Window, clamp, windows};
