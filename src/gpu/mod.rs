//! Everything that says wgpu: adapters, devices, pipelines, buffers, recording, submission, readback.
//!
//! ```text
//! Gpu ── plans: Store<PlanKey, CompiledPlan> ──▶ Core ── lanes (queues/), pool, pipelines, what is kept: bytes and budget
//!  │                                              ▲
//!  └── a Device is a handle to it                 └── buffers and compiled plans lean on the core alone
//! ```
//!
//! | | |
//! |---|---|
//! | `Gpu` (`device.rs`) | what a [`Device`](crate::Device) is: the core, and the plans compiled for it. Dropped, its plans go with it, even where buffers live on |
//! | `Core` (`core.rs`) | the wgpu device with everything that buffers need: lanes, pool, pipelines, ledger. It ends with the last buffer or plan |
//! | `CompiledPlan` (`compiled.rs`, `segments.rs`) | a plan's pipelines, uploads and dispatches, cut into submissions by lane and by time |
//! | `Instance` (`recorded.rs`, `records.rs`) | scratch of one run of a plan, and bind groups over it. Two applies at once take two |
//! | bind groups (`groups.rs`) | of the call's own buffers: kept by the numbers of these, dropped with any of them |
//! | `Pool` (`pool.rs`) | idle buffers by size, given back by epochs; a tensor's memory is the pool's again when the tensor goes |
//! | `Pipelines` (`pipelines.rs`) | by WGSL text; compiled outside of the lock, several at a time; the least recently used leave |
//! | `DriverCache` (`driver_cache.rs`) | what the driver made of kernels, kept on disk for the next process |
//! | `faults.rs` | error scopes around every call: an error goes to the caller who made it, only a lost device is for good |
//! | `GpuSpace` (`space.rs`) | a solver's vectors: passes and operators of many iterations recorded into one submission |
//! | `profiled.rs`, `timed.rs` | one apply with the time of each step, by timestamps |
//! | `roof/` | what the device can do at best: kernels that copy, and one that multiplies and adds |
//! | `tuned.rs` | what was measured to be faster, kept on disk |
//! | `elements.rs` | computations by elements and copies of boxes, outside of plans: one kernel and one submission each |
//! | `queues/` | the only place that submits; its page says how lanes are ordered |

mod adapters;
mod buffer;
mod compiled;
mod core;
mod device;
mod device_file;
mod driver_cache;
mod elements;
mod faults;
mod groups;
mod ids;
mod low_rank;
mod pack;
mod passed;
mod pipelines;
mod pool;
mod profiled;
pub(crate) mod queues;
mod recorded;
mod records;
mod roof;
mod segments;
mod space;
#[cfg(test)]
mod tests;
mod timed;
mod tuned;

pub use crate::points::Weights;
pub use crate::shader::KernelShape;
pub use adapters::{AdapterReport, Choice, adapter, adapters};
pub use buffer::GpuBuffer;
pub use device::{Gpu, GpuOptions};
pub use driver_cache::{disk_cache, set_disk_cache};
pub use pool::PoolStats;
pub use queues::{LaneCounts, LaneQueue, LanesReport, QueueFamily, QueuesReport, Rung};

pub(crate) use buffer::gpu_buffer;
pub(crate) use compiled::CompiledPlan;
pub use roof::kernels as roof_kernels;
pub(crate) use space::GpuSpace;
pub(crate) use tuned::{QueuesFile, TunedFile};
