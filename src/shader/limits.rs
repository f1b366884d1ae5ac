//! What kernels may use of a GPU.

use super::choices::Choices;
use crate::error::{Error, Result};

/// The kind of code a device wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelShape {
    /// Workgroup memory and small butterflies.
    Gpu,
    /// Large butterflies and no workgroup memory: software adapters.
    Cpu,
}

/// The properties of a GPU that decide what is computed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpuLimits {
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Storage buffers in one kernel.
    pub max_storage_buffers: u32,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Invocations in one workgroup.
    pub max_invocations: u32,
    /// Invocations of a workgroup along x, y, z.
    pub max_workgroup: [u32; 3],
    /// Workgroups along one dimension of a dispatch.
    pub max_groups: u32,
    /// Workgroups that keep the whole device busy: a kernel that could make sums by itself leaves them in parts where it would
    /// have fewer.
    pub fill: u64,
    /// The kernels' shape.
    pub shape: KernelShape,
    /// What was measured to be faster than what the planner takes for it; None: nothing was measured.
    pub choices: Option<&'static Choices>,
}

impl KernelShape {
    /// [`GpuLimits::fill`] where nothing else is known. The largest GPUs have some 130 cores, software adapters those of a CPU.
    pub fn fill(self) -> u64 {
        match self {
            KernelShape::Gpu => 128,
            KernelShape::Cpu => 16,
        }
    }
}

impl GpuLimits {
    /// wgpu's default limits: what every GPU has.
    pub fn poorest(shape: KernelShape) -> GpuLimits {
        GpuLimits {
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_storage_buffers: 8,
            workgroup_memory: 16 << 10,
            max_invocations: 256,
            max_workgroup: [256, 256, 64],
            max_groups: 65535,
            fill: shape.fill(),
            shape,
            choices: None,
        }
    }

    /// A large GPU: more workgroup memory and invocations, bindings of 2 GiB.
    pub fn rich() -> GpuLimits {
        GpuLimits {
            max_binding: (2 << 30) - 4096,
            max_buffer: 1 << 40,
            workgroup_memory: 48 << 10,
            max_invocations: 1024,
            max_workgroup: [1024, 1024, 64],
            ..GpuLimits::poorest(KernelShape::Gpu)
        }
    }

    /// How many weights one fused read may have: what the storage bindings leave beside input, output and table.
    pub fn max_factors(&self) -> usize {
        (self.max_storage_buffers as usize).saturating_sub(4).max(1)
    }

    /// How many reads without weights one sum may have: what the storage bindings leave beside the output and a table.
    pub fn max_terms(&self) -> usize {
        (self.max_storage_buffers as usize).saturating_sub(2).max(2)
    }

    /// Complex elements that one binding holds, wherever it starts.
    pub fn bindable(&self) -> usize {
        usize::try_from((self.max_binding / 8).saturating_sub(super::windows::ALIGN)).unwrap_or(usize::MAX).max(1)
    }

    /// Workgroups folded into two dimensions.
    ///
    /// # Errors
    /// They are more than two dimensions hold.
    pub fn fold(&self, groups: u64) -> Result<(u32, u32)> {
        let max = u64::from(self.max_groups);
        let rows = groups.div_ceil(max).max(1);
        match (u32::try_from(groups.div_ceil(rows)), u32::try_from(rows)) {
            (Ok(columns), Ok(rows)) if u64::from(rows) <= max => Ok((columns, rows)),
            _ => Err(Error::TooBig { what: "the workgroups of one dispatch".into(), needed: groups, limit: max * max }),
        }
    }
}

/// A number as a kernel counts: in 32 bits.
///
/// # Errors
/// It has more of them.
pub fn word(what: &str, value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::TooBig {
        what: format!("{what} of a kernel, which counts in 32 bits,"),
        needed: value as u64,
        limit: u32::MAX.into(),
    })
}
