//! Iterative solvers. Vectors and scalars stay on the device that holds the data; host and GPU run the same passes.
//!
//! A solver is its recurrence, as passes over vectors (`crate::vectors`). What all of them share is here: [`SolveOptions`], what
//! is told on the way ([`Progress`]), when to stop and why ([`Stop`]), and the [`Solution`].

mod accuracy;
mod cg;
mod monitor;
mod options;
mod scale;
mod stop;

pub use cg::cg;
pub use monitor::{Progress, Reading};
pub use options::SolveOptions;
pub use stop::{Breakdown, Stop};

use crate::tensor::Tensor;

/// The kernels of all solvers' passes on a GPU, as name and WGSL.
///
/// # Errors
/// One cannot be written.
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub fn kernels() -> crate::Result<Vec<(String, String)>> {
    let layouts = [cg::layout()];
    crate::vectors::kernels(&layouts)
}

/// What a solver returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution {
    /// The best iterate, on the device of the data.
    pub x: Tensor,
    /// Iterations done.
    pub iterations: usize,
    /// ‖b − N x‖/‖b‖ of this x, computed from it.
    pub residual: f64,
    /// What was read on the way.
    pub history: Vec<Reading>,
    /// Why it stopped.
    pub stop: Stop,
}
