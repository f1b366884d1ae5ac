//! Operators of a user's own: functions of the host, and kernels of a GPU.

#[path = "../common/mod.rs"]
mod common;

mod functions;
#[cfg(feature = "gpu")]
mod kernels;

/// Relative l2 error of f32.
const TOLERANCE: f64 = 2e-6;
