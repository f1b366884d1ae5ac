//! What a plan is made for, as plain data: one value for the host, one for each adapter.

use crate::fft::{FftLimits, KernelShape};

/// The device properties that decide what is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The host executor: transforms of any length, no binding limits.
    Host,
    /// A wgpu adapter.
    Gpu {
        /// Largest storage binding in bytes.
        max_binding: u64,
        /// Largest buffer in bytes.
        max_buffer: u64,
        /// Storage buffers in one kernel.
        max_storage_buffers: u32,
        /// Workgroup memory in bytes.
        workgroup_memory: u32,
        /// Invocations in one workgroup.
        max_invocations: u32,
        /// Workgroups along one dimension of a dispatch.
        max_groups: u32,
        /// The kernels' shape.
        shape: KernelShape,
    },
}

impl Target {
    /// The poorest GPU that wgpu's default limits allow.
    pub fn default_gpu(shape: KernelShape) -> Target {
        Target::Gpu {
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_storage_buffers: 8,
            workgroup_memory: 16 << 10,
            max_invocations: 256,
            max_groups: 65535,
            shape,
        }
    }

    /// How many weights one fused read may have: what the storage bindings leave beside input, output and table.
    pub(crate) fn max_factors(&self) -> usize {
        match self {
            Target::Host => usize::MAX,
            Target::Gpu { max_storage_buffers, .. } => (*max_storage_buffers as usize).saturating_sub(4).max(1),
        }
    }

    /// The largest value in bytes that one binding holds.
    pub(crate) fn max_binding(&self) -> u64 {
        match self {
            Target::Host => u64::MAX,
            Target::Gpu { max_binding, .. } => *max_binding,
        }
    }

    /// What the kernels of transforms may use; None on the host, which transforms whole.
    pub(crate) fn fft_limits(&self) -> Option<FftLimits> {
        match *self {
            Target::Host => None,
            Target::Gpu { workgroup_memory, max_invocations, shape, .. } => {
                Some(FftLimits { shape, workgroup_memory, max_invocations })
            }
        }
    }
}
