//! What several test files share: the devices of this machine, and seeded data.
#![allow(dead_code)] // each test file uses its own part

use linops::Device;

/// The host, and the software adapter if GPU support is compiled in. Without an adapter GPU tests fail with the hint how
/// to install one, unless `LINOPS_SKIP_GPU=1`.
pub fn devices() -> Vec<Device> {
    let mut all = vec![Device::host()];
    all.extend(gpu());
    all
}

/// The adapter to test on.
pub fn gpu() -> Option<Device> {
    if !cfg!(feature = "gpu") || std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        return None;
    }
    match Device::gpu() {
        Ok(d) => Some(d),
        Err(e) => panic!("{e} (or set LINOPS_SKIP_GPU=1 to leave GPU tests out)"),
    }
}
