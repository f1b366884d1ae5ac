//! Kernels as WGSL: the files of `shaders/`, fused reads and stores around them, validation by naga.
//!
//! A kernel's text holds structure only; everything that differs between two dispatches of it is a parameter. So the text
//! itself is the key of its pipeline.

mod draft;
mod nonuniform;
mod read;
mod template;
mod text;
mod transforms;
mod uploads;
mod validate;
mod words;

pub use draft::{Binding, Draft, Operand, drafts};
pub use template::expand;
pub use uploads::Uploads;
pub use validate::{Reflected, Slot, validate};
