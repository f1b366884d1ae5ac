//! The kernels that plans need, as text.

use linops::internal::{Draft, GpuLimits, KernelShape, Target};
use linops::{Linop, Result};

/// The poorest GPU of this kind.
pub fn poorest(shape: KernelShape) -> Target {
    Target::Gpu(GpuLimits::poorest(shape))
}

/// One whose bindings are so small that small tensors take several.
pub fn small_bindings(shape: KernelShape) -> Target {
    Target::Gpu(GpuLimits { max_binding: 4096, ..GpuLimits::poorest(shape) })
}

/// All dispatches of a linop.
pub fn dispatches(a: &Linop, target: &Target, complex: bool) -> Result<Vec<Draft>> {
    let plan = a.program()?.schedule(target, complex)?;
    plan.steps.iter().try_fold(Vec::new(), |mut all, step| {
        all.extend(step.drafts(&plan)?);
        Ok(all)
    })
}
