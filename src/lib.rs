#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#[cfg(feature = "cli")]
pub mod app;
pub mod check;
pub mod dim;
mod error;
pub mod fft;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod host;
#[cfg(feature = "cli")]
pub mod io;
pub mod linop;
pub mod program;
mod tensor;
pub use dim::{Dim, Shape};
pub use error::{Error, Result};
pub use linop::Linop;
pub use tensor::{DType, DeviceBuffer, Element, HostArray, Tensor};
mod run;
#[cfg(feature = "gpu")]
pub mod shader;
pub mod solve;
pub use run::{Device, apply_f64, clear_cache, set_cache_budget};
#[cfg(feature = "gpu")]
pub use wgpu;
