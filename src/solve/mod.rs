//! Iterative solvers. Vectors and scalars stay on the device that holds the data; host and GPU run the same passes.
//!
//! A solver is its recurrence, as passes over vectors (`crate::vectors`). What all of them share is here: [`SolveOptions`], what
//! is told on the way ([`Progress`]), when to stop and why ([`Stop`]), and the [`Solution`].
//!
//! | solver | of | for |
//! |---|---|---|
//! | [`cg`](cg()), [`pcg`], [`cg_many`] | (N + λI) x = b | Hermitian positive definite N, such as a normal; with a [preconditioner](precondition); several b |
//! | [`minres`](minres()), [`minres_many`] | (N + λI) x = b | Hermitian N of any signs, or singular; several b |
//! | [`cgls`], [`lsqr`], [`lsmr`] | ‖A x − y‖² + λ‖x‖² | any A, without its normal: ill-conditioned ones |
//! | [`Tikhonov`] | ‖A x − y‖² + Σ λ‖L x‖² | any of these, by normal equations or stacked |
//!
//! What is known of an operator before: [`operator_norm`], [`condition`], [`power_iteration`], [`svd`].

mod accuracy;
mod cg;
mod gap;
mod least_squares;
mod many;
mod minres;
mod monitor;
mod options;
pub mod precondition;
mod scale;
mod sirt;
mod spectrum;
mod stop;
mod tikhonov;

pub use cg::{cg, cg_many, pcg};
pub(crate) use gap::{Fall, Gap};
pub use least_squares::{cgls, cgls_many, lsmr, lsmr_many, lsqr, lsqr_many};
pub use minres::{minres, minres_many};
pub use monitor::{Progress, Reading};
pub use options::SolveOptions;
#[cfg(feature = "app")]
pub(crate) use options::Tell;
pub use sirt::sirt;
#[cfg(feature = "app")]
pub(crate) use spectrum::small_svd;
pub use spectrum::{
    Condition, NormBound, NormOptions, Power, Svd, SvdOptions, condition, operator_norm, power_iteration, svd,
};
pub use stop::{Breakdown, Stop};
pub use tikhonov::Tikhonov;

use crate::tensor::Tensor;

/// The kernels of all solvers' passes on a GPU, as name and WGSL.
///
/// # Errors
/// One cannot be written.
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub fn kernels() -> crate::Result<Vec<(String, String)>> {
    use crate::vectors::{Columned, kernels};
    let mut many = vec![cg::layout(false), cg::layout(true), minres::layout()];
    many.extend(least_squares::layouts());
    let mut one = vec![sirt::layout()];
    one.extend(spectrum::layouts());
    let mut all = kernels(&many, &[Columned::One, Columned::Whole, Columned::Split])?;
    all.extend(kernels(&one, &[Columned::One])?);
    Ok(all)
}

/// What a solver returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution {
    /// The best iterate, on the device of the data.
    pub x: Tensor,
    /// Iterations done.
    pub iterations: usize,
    /// ‖b − N x‖/‖b‖ of this x, computed from it; with λ in N. For least squares these are the normal equations: N is AᴴA + λI, b is
    /// Aᴴy.
    pub residual: f64,
    /// What was read on the way.
    pub history: Vec<Reading>,
    /// Why it stopped.
    pub stop: Stop,
}
