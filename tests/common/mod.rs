//! What several test files share: the devices of this machine, seeded data, and a matrix to compare with.
#![allow(dead_code)] // each test file uses its own part

#[cfg(feature = "gpu")]
pub mod bare;
pub mod catalogue;
pub mod data;
#[cfg(feature = "gpu")]
pub mod kernels;
pub mod matrix;
pub mod minimiser;

use linops::{Device, Linop, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;

/// The host, and the software adapter if GPU support is compiled in. Without an adapter GPU tests fail with the hint how
/// to install one, unless `LINOPS_SKIP_GPU=1`.
pub fn devices() -> Vec<Device> {
    let mut all = vec![Device::host()];
    all.extend(gpu());
    all
}

/// The adapter to test on.
pub fn gpu() -> Option<Device> {
    opened(Device::gpu)
}

/// The adapter to test on, as a device of its own with these options.
#[cfg(feature = "gpu")]
pub fn gpu_with(options: linops::gpu::GpuOptions) -> Option<Device> {
    opened(|| Device::gpu_with(linops::gpu::Choice::Any, options))
}

fn opened(open: impl FnOnce() -> linops::Result<Device>) -> Option<Device> {
    if !cfg!(feature = "gpu") || std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        return None;
    }
    match open() {
        Ok(d) => Some(d),
        Err(e) => panic!("{e} (or set LINOPS_SKIP_GPU=1 to leave GPU tests out)"),
    }
}

/// Whether sweeps that take minutes run too: `LINOPS_FULL=1`.
pub fn full() -> bool {
    std::env::var("LINOPS_FULL").is_ok_and(|v| v == "1")
}

/// A x on a device, read back.
pub fn apply_on(device: &Device, a: &Linop, x: &Tensor) -> linops::Result<ArrayD<Complex32>> {
    a.apply(&x.to(device)?)?.to(&Device::host())?.to_array()
}

/// The exact bits, for tests that ask for equal ones.
pub fn bits(a: &ArrayD<Complex32>) -> Vec<(u32, u32)> {
    a.iter().map(|z| (z.re.to_bits(), z.im.to_bits())).collect()
}
