//! Running linops: devices, compiled plans, applying, moving tensors.
//!
//! [`Linop::apply`](crate::Linop::apply) asks the linop for its simplified program, which it keeps; the device for the plan that
//! it has compiled for this program (`compiled.rs`: found by the program's fingerprint, made outside of any lock); and runs it:
//! on the host in the caller's thread, on a GPU by submitting, without a wait. Whatever panics on the way is an error with the
//! linop's name in front. A GPU that is opened by name is trusted after its self-test (`self_test.rs`).

mod apply;
mod compiled;
mod device;
mod fit;
#[cfg(feature = "gpu")]
mod interop;
mod memory;
mod oracle;
mod profiled;
mod report;
mod self_test;
mod spaces;
mod tiles;
mod wait;

pub use device::Device;
#[cfg(feature = "gpu")]
pub(crate) use device::Kind;
pub use memory::{MemoryUse, TaskMemory};
pub use report::ApplyReport;
pub use self_test::SelfTest;
pub(crate) use spaces::Needs;
pub use tiles::Fit;

pub use oracle::apply_f64;
