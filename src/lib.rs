#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

// The rooms, from the names of dims to the command line; each uses only what stands above it.
mod error;

mod allocate;
mod setters;

pub mod dim;
mod kept;
mod tensor;

mod access;
mod loops;
mod shader;

mod points;

mod plan;

mod ir;
mod primitive;

mod planner;

mod vectors;

mod elementwise;
mod low_rank;

#[cfg(feature = "gpu")]
pub mod gpu;
mod host;

pub mod linop;

mod run;

mod arithmetic;

pub mod explain;
pub mod profile;
pub mod tune;

pub mod check;
pub mod solve;

pub mod functional;

pub mod convex;

pub mod derivative;

pub mod threadable;

#[cfg(any(feature = "io", feature = "app"))]
mod fourier;

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "io")]
pub mod io;

pub mod program {
    //! What linops of your own are written with: a [`Builder`] of programs, and the constants and maps that it takes.
    pub use crate::access::{AxisMap, Constant, ConstantData, MapAxis, ValueId};
    pub use crate::ir::{Builder, Split, ThreadSettings};
    pub use crate::primitive::blocks::BlockAxis;
    pub use crate::primitive::contract::Contract;
    pub use crate::primitive::convolve::{ConvAxis, Convolve};
    pub use crate::primitive::difference::Border;
    pub use crate::primitive::gather::IndexList;
}

#[doc(hidden)]
pub mod internal {
    //! What the crate's own tests and command line look into. Not part of its promises.
    pub use crate::access::{Access, AxisIndex, Factor, Load, Store};
    pub use crate::allocate::spare::give_up as give_up_spare_memory;
    #[cfg(feature = "gpu")]
    pub use crate::arithmetic::kernels as arithmetic_kernels;
    #[cfg(feature = "gpu")]
    pub mod queues {
        //! Lanes, below devices.
        pub use crate::gpu::queues::{LaneOptions, Lanes, MeasuredQueues, SharedBuffer, Ticket, Together, Uses};
    }
    #[cfg(feature = "gpu")]
    pub use crate::convex::kernels as convex_kernels;
    #[cfg(feature = "gpu")]
    pub use crate::functional::kernels as functional_kernels;
    #[cfg(feature = "gpu")]
    pub use crate::gpu::roof_kernels;
    pub use crate::host::{HostBuf, HostInstance, Slice};
    pub use crate::ir::{Node, Program};
    pub use crate::plan::{Cost, Item, Plan, PlanOptions, PlanValue, Region, Schedule, Step, Target, size_class};
    pub use crate::points::Weights;
    pub use crate::primitive::fft::next_smooth;
    pub use crate::primitive::{Sample, samples};
    pub use crate::shader::{Binding, Choices, Draft, GpuLimits, KernelShape, List, Operand};
    #[cfg(feature = "gpu")]
    pub use crate::shader::{Reflected, Slot, translate, validate};
    #[cfg(feature = "gpu")]
    pub use crate::solve::kernels as solver_kernels;
    #[cfg(feature = "gpu")]
    pub use crate::tune::{Bar as QueuesBar, keep_queues, measured_queues};
}

pub use arithmetic::Expression;
pub use dim::{Dim, Shape, ToDims, ToShape};
pub use error::{Error, Result};
pub use linop::{Linop, Threadable};
/// Arrays of tensors, in the version that this crate uses.
pub use ndarray;
/// Complex numbers, in the version that this crate uses.
pub use num_complex;
pub use run::{ApplyReport, Device, Fit, MemoryUse, SelfTest, TaskMemory, apply_f64};
pub use tensor::{DType, DeviceBuffer, Element, HostArray, Tensor, ToElement};
pub use threadable::ThreadedApply;
#[cfg(feature = "gpu")]
pub use wgpu;

/// The guide, whose code is run.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
