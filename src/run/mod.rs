//! Running linops: devices, compiled plans, applying, moving tensors.

mod apply;
mod compiled;
mod device;
#[cfg(feature = "gpu")]
mod interop;
mod memory;
mod oracle;
mod report;
mod self_test;
mod wait;

pub use device::Device;
#[cfg(feature = "gpu")]
pub(crate) use device::Kind;
pub use memory::{MemoryUse, TaskMemory};
pub use report::ApplyReport;
pub use self_test::SelfTest;

pub use oracle::apply_f64;
