//! Executes plans on the CPU: f32 for use, f64 as the oracle of the tests.
//!
//! Rayon's current pool is used, by the sub-linops of containers and within kernels alike. No lock is held while a kernel runs:
//! what a step writes is taken out of its place and put back, what it reads is shared. A thread that waits within a kernel may
//! take up any other work.

mod clock;
mod instance;
mod kept;
mod memory;
mod region;
pub(crate) mod roof;
mod space;
mod tasks;

pub use crate::loops::{HostBuf, Slice};
pub use instance::HostInstance;
pub(crate) use kept::{HostPlan, host};
pub(crate) use memory::{constant_bytes, table_bytes, taken};
pub(crate) use space::HostSpace;
pub(crate) use tasks::Tasks;
