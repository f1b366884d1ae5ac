//! The kernels that plans need, as text.

use linops::fft::KernelShape;
use linops::program::Target;
use linops::shader::{Draft, drafts};
use linops::{Linop, Result};

/// The poorest GPU of this kind.
pub fn poorest(shape: KernelShape) -> Target {
    Target::default_gpu(shape)
}

/// One whose bindings are so small that small tensors take several.
pub fn small_bindings(shape: KernelShape) -> Target {
    match Target::default_gpu(shape) {
        Target::Gpu {
            max_buffer, max_storage_buffers, workgroup_memory, max_invocations, max_groups, shape, ..
        } => Target::Gpu {
            max_binding: 4096,
            max_buffer,
            max_storage_buffers,
            workgroup_memory,
            max_invocations,
            max_groups,
            shape,
        },
        Target::Host => Target::Host,
    }
}

/// All dispatches of a linop.
pub fn dispatches(a: &Linop, target: &Target, complex: bool) -> Result<Vec<Draft>> {
    let plan = a.program()?.schedule(target, complex)?;
    plan.steps.iter().try_fold(Vec::new(), |mut all, step| {
        all.extend(drafts(&plan, step)?);
        Ok(all)
    })
}
