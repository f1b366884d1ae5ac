//! Running linops: devices, the plan cache, applying, moving tensors.

mod apply;
mod cache;
mod device;
#[cfg(feature = "gpu")]
mod interop;
mod lanes;
mod memory;
mod oracle;
mod report;
#[cfg(feature = "gpu")]
mod self_test;
mod wait;

pub use cache::{clear_cache, set_cache_budget};
pub use device::Device;
#[cfg(feature = "gpu")]
pub(crate) use device::Kind;
pub use lanes::{lanes, set_lanes};
pub use memory::{MemoryUse, TaskMemory};
pub use report::ApplyReport;

pub use oracle::apply_f64;
