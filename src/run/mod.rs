//! Running linops: devices, the plan cache, applying, moving tensors.

mod apply;
mod cache;
mod device;
mod oracle;
#[cfg(feature = "gpu")]
mod self_test;
pub(crate) mod vectors;
mod wait;

pub use cache::{clear_cache, set_cache_budget};
pub use device::Device;
#[cfg(feature = "gpu")]
pub(crate) use device::Kind;
pub use oracle::apply_f64;
