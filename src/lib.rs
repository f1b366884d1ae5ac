//! Linear operators.
#![deny(missing_docs)]
pub mod dim;
mod error;
pub mod fft;
pub mod host;
#[cfg(feature = "cli")]
pub mod app;
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
pub mod solve;
pub use run::{Device, apply_f64, clear_cache, set_cache_budget};
