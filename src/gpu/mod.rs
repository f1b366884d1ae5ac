//! Everything that says wgpu: adapters, devices, pipelines, buffers, recording, submission, readback.

mod adapters;
mod buffer;
mod compiled;
mod core;
mod device;
mod faults;
mod groups;
mod pack;
mod pipelines;
mod pool;
pub(crate) mod queues;
mod recorded;
mod records;
mod segments;
mod space;

pub use crate::points::Weights;
pub use crate::shader::KernelShape;
pub use adapters::{AdapterReport, Choice, adapter, adapters};
pub use buffer::GpuBuffer;
pub use device::{Gpu, GpuOptions};
pub use pool::PoolStats;
pub use queues::{LaneCounts, LaneQueue, LanesReport, QueueFamily, QueuesReport, Rung};

pub(crate) use buffer::gpu_buffer;
pub(crate) use compiled::CompiledPlan;
pub(crate) use space::GpuSpace;
