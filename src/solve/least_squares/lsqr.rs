//! LSQR.

use super::bidiagonal::{ABOVE, ALPHA, BETA, PER_ALPHA, V, begin, iterate, passes, taken};
use super::{GRADIENT, LAMBDA, Method, OWN, W, X, minimise, minimise_many};
use crate::error::Result;
use crate::linop::Linop;
use crate::solve::tikhonov::damped_start;
use crate::solve::{Solution, SolveOptions};
use crate::tensor::Tensor;
use crate::vectors::{Formula, Scalar};

/// Of the bidiagonal's QR: ρ̄ and φ̄, as Paige and Saunders write them.
const RHO_BAR: Scalar = Scalar(ABOVE);
const PHI_BAR: Scalar = Scalar(ABOVE + 1);
/// ρ̄ with λ rotated in.
const DAMPED: Scalar = Scalar(ABOVE + 2);
const RHO: Scalar = Scalar(ABOVE + 3);
const C: Scalar = Scalar(ABOVE + 4);
const SINE: Scalar = Scalar(ABOVE + 5);
const THETA: Scalar = Scalar(ABOVE + 6);
const PHI: Scalar = Scalar(ABOVE + 7);
const SQUARE: Scalar = Scalar(ABOVE + 8);

pub(super) fn method() -> Method {
    let first = taken("lsqr_begin", true)
        .formula(PHI_BAR, BETA)
        .formula(RHO_BAR, ALPHA)
        .formula(GRADIENT, ALPHA * BETA * ALPHA * BETA)
        .update(W, [(PER_ALPHA.into(), V)]);
    // Rotations, not reflections: ρ̄ stays positive, and φ̄ has the sign that makes up for it.
    let mut turn = taken("lsqr_turn", false).formula(SQUARE, RHO_BAR * RHO_BAR + LAMBDA);
    turn = turn
        .formula(DAMPED, Formula::from(SQUARE).root())
        .formula(PHI_BAR, RHO_BAR / DAMPED * PHI_BAR)
        .formula(SQUARE, SQUARE + BETA * BETA);
    turn = turn
        .formula(RHO, Formula::from(SQUARE).root())
        .formula(C, DAMPED / RHO)
        .formula(SINE, BETA / RHO)
        .formula(THETA, SINE * ALPHA)
        .formula(RHO_BAR, C * ALPHA)
        .formula(PHI, C * PHI_BAR)
        .formula(PHI_BAR, -(SINE * PHI_BAR))
        .formula(GRADIENT, THETA * PHI * THETA * PHI)
        .update(X, [(Formula::from(1.0), X), (PHI / RHO, W)])
        .update(W, [(PER_ALPHA.into(), V), (-(THETA / RHO), W)]);
    let scalars = ABOVE + 9 - OWN;
    Method { name: "lsqr", vectors: 5, scalars, passes: passes(first, turn), begin: begin(), iterate: iterate() }
}

/// Minimises ‖A x − y‖² + λ‖x‖² by LSQR, on the device that holds y. λ is the options' [`lambda`](SolveOptions::lambda), the start
/// their [`start`](SolveOptions::start).
///
/// Paige and Saunders, ACM Trans. Math. Software 8:43 (1982). In exact arithmetic the iterates are those of
/// [`cgls`](super::cgls()); the bidiagonalisation behind it is more robust for ill-conditioned A. From 0 it comes to the solution
/// of least norm where there are several. With a start and λ > 0 at once it solves for A above √λ·I, in one vector.
/// The [`residual`](Solution::residual) is that of the normal equations, ‖Aᴴ(y − A x) − λx‖/‖Aᴴy‖.
///
/// ```
/// use linops::{linop, solve::{lsqr, SolveOptions}, Tensor};
/// // More unknowns than equations: the solution of least norm.
/// let a = linop::sum("N=4", "N")?;
/// let x = lsqr(&a, &Tensor::from_slice("", &[2.0f32])?, SolveOptions::default())?.x.to_real_vec()?;
/// assert!(x.iter().all(|x| (x - 0.5).abs() < 1e-6));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`cgls`](super::cgls()).
pub fn lsqr(a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    match damped_start("lsqr", a, y, &options)? {
        Some((stacked, data)) => minimise(method, &stacked, &data, options.lambda(0.0)),
        None => minimise(method, a, y, options),
    }
}

/// [`lsqr`] for several data in lockstep, as [`cg_many`](super::super::cg_many) does it.
///
/// # Errors
/// Those of [`lsqr`], with the number of the data; a start together with λ > 0.
pub fn lsqr_many(a: &Linop, ys: &[Tensor], options: SolveOptions) -> Result<Vec<Solution>> {
    options.check_damping("lsqr_many", "cgls_many")?;
    minimise_many(method, a, ys, options)
}
