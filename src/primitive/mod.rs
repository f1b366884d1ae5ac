//! The primitives: a folder each, and a line in the table below.
//!
//! A folder has `mod.rs` (the algebra, what the kernel says of itself, samples), `host.rs` (the loops), `gpu.rs` (the dispatches)
//! and its `.wgsl` files. `map` and `sum` are the kernels of the core maps that all passes know.

mod sample;
#[cfg(feature = "gpu")]
mod variant;

pub use sample::Sample;
#[cfg(feature = "gpu")]
pub(crate) use variant::Variant;

use crate::access::Load;
use crate::error::Result;

/// Declares the primitives, and collects their samples.
macro_rules! primitives {
    ($($name:ident),* $(,)?) => {
        $(pub(crate) mod $name;)*

        /// What shows, primitive by primitive, that a device computes it right: the self-test's and the tests' cases.
        pub fn samples() -> Result<Vec<Sample>> {
            let mut all = Vec::new();
            $(all.extend($name::samples()?);)*
            Ok(all)
        }
    };
}

primitives! {
    map,
    sum,
    gather,
    contract,
    blocks,
    convolve,
    difference,
    fft,
    real_fft,
    interpolate,
    nufft,
    closure,
    custom,
    project,
}

/// The choices between kernels that compute the same on a GPU, each with a program of about so many elements that makes it.
#[cfg(feature = "gpu")]
pub(crate) fn variants(limits: &crate::shader::GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    let all = [map::variants, fft::variants, contract::variants, interpolate::variants];
    all.into_iter().try_fold(Vec::new(), |mut found, variants| {
        found.extend(variants(limits, elements)?);
        Ok(found)
    })
}

/// A scalar on a result goes into the reads, if it is only that and leaves a result real that is.
fn scale_reads(loads: &mut [Load], after: &Load, complex: bool) -> bool {
    if !after.factors.is_empty() || after.scale.im != 0.0 && !complex {
        return false;
    }
    loads.iter_mut().for_each(|l| l.scale *= after.scale);
    true
}
