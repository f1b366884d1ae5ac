#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

// The rooms, from the names of dims to the command line; each uses only what stands above it (`fft` uses nothing at all).
pub mod dim;
mod error;
pub mod fft;
mod tensor;

pub mod linop;
pub mod program;

#[cfg(feature = "gpu")]
pub mod gpu;
pub mod host;
#[cfg(feature = "gpu")]
pub mod shader;

pub mod check;
mod run;
pub mod solve;
pub mod threadable;

#[cfg(any(feature = "io", feature = "app"))]
mod allocate;
#[cfg(any(feature = "io", feature = "app"))]
mod fourier;

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "io")]
pub mod io;

pub use dim::{Dim, Shape};
pub use error::{Error, Result};
pub use linop::{Linop, Threadable};
pub use run::{ApplyReport, Device, MemoryUse, TaskMemory, apply_f64, clear_cache, lanes, set_cache_budget, set_lanes};
pub use tensor::{DType, DeviceBuffer, Element, HostArray, Tensor};
pub use threadable::ThreadedApply;
#[cfg(feature = "gpu")]
pub use wgpu;
