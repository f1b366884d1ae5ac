//! The compiled plan of a program on a device.

use super::device::{Device, Kind};
use crate::error::Result;
use crate::host::{HostPlan, host};
use crate::ir::Program;
use crate::plan::{Plan, PlanOptions};
use crate::planner::PlanKey;
use crate::tensor::DType;
use std::sync::Arc;

/// A plan with what its device keeps to run it.
pub(crate) enum Compiled {
    Host(Arc<HostPlan>),
    #[cfg(feature = "gpu")]
    Gpu(Arc<crate::gpu::Gpu>, Arc<crate::gpu::CompiledPlan>),
}

impl Compiled {
    /// The one that the device keeps, or a new one. It is made outside of any lock, since it may take long; two threads may
    /// make it at once, and one is kept.
    pub fn of(program: &Arc<Program>, device: &Device, dtype: DType, options: PlanOptions) -> Result<Compiled> {
        let key = PlanKey { program: program.clone(), complex: dtype == DType::Complex32, options };
        let plan = || program.schedule_with(&device.target(), key.complex, &key.options);
        match &device.0 {
            Kind::Host => {
                if let Some(there) = host().plans.get(&key) {
                    return Ok(Compiled::Host(there));
                }
                let made = Arc::new(host().prepare(plan()?)?);
                Ok(Compiled::Host(host().plans.put(key, made)))
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => {
                if let Some(there) = gpu.plans.get(&key) {
                    return Ok(Compiled::Gpu(gpu.clone(), there));
                }
                let made = Arc::new(crate::gpu::CompiledPlan::new(gpu, plan()?)?);
                Ok(Compiled::Gpu(gpu.clone(), gpu.plans.put(key, made)))
            }
        }
    }

    pub fn into_host(self) -> Option<Arc<HostPlan>> {
        match self {
            Compiled::Host(h) => Some(h),
            #[cfg(feature = "gpu")]
            Compiled::Gpu(..) => None,
        }
    }

    #[cfg(feature = "gpu")]
    pub fn into_gpu(self) -> Option<Arc<crate::gpu::CompiledPlan>> {
        match self {
            Compiled::Host(_) => None,
            Compiled::Gpu(_, g) => Some(g),
        }
    }

    pub fn plan(&self) -> &Plan {
        match self {
            Compiled::Host(h) => h.plan(),
            #[cfg(feature = "gpu")]
            Compiled::Gpu(_, g) => g.plan(),
        }
    }
}
