//! What a plan is made for, as plain data: one value for the host, one for each adapter.

use crate::shader::{GpuLimits, KernelShape};

/// The device properties that decide what is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The host executor: transforms of any length, no binding limits.
    Host,
    /// A wgpu adapter.
    Gpu(GpuLimits),
}

impl Target {
    /// A GPU with wgpu's default limits: what every GPU has.
    pub fn poorest() -> Target {
        Target::Gpu(GpuLimits::poorest(KernelShape::Gpu))
    }

    /// A large GPU: 48 KiB of workgroup memory, 1024 invocations, bindings of 2 GiB.
    pub fn rich() -> Target {
        Target::Gpu(GpuLimits::rich())
    }

    /// A software adapter with wgpu's default limits.
    pub fn software() -> Target {
        Target::Gpu(GpuLimits::poorest(KernelShape::Cpu))
    }

    /// How many weights one fused read may have.
    pub(crate) fn max_factors(&self) -> usize {
        match self {
            Target::Host => usize::MAX,
            Target::Gpu(limits) => limits.max_factors(),
        }
    }

    /// How many reads without weights one sum may have.
    pub(crate) fn max_terms(&self) -> usize {
        match self {
            Target::Host => usize::MAX,
            Target::Gpu(limits) => limits.max_terms(),
        }
    }

    /// Elements of the largest kind that one binding holds, wherever it starts.
    pub(crate) fn bindable(&self) -> usize {
        match self {
            Target::Host => usize::MAX,
            Target::Gpu(limits) => limits.bindable(),
        }
    }

    /// Whether it is the host.
    pub(crate) fn is_host(&self) -> bool {
        *self == Target::Host
    }
}
