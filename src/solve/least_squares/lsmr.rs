//! LSMR.

use super::bidiagonal::{ABOVE, ALPHA, BETA, PER_ALPHA, V, begin, iterate, passes, taken};
use super::{GRADIENT, LAMBDA, Method, OWN, W, X, minimise, minimise_many};
use crate::error::Result;
use crate::linop::Linop;
use crate::solve::tikhonov::damped_start;
use crate::solve::{Solution, SolveOptions};
use crate::tensor::Tensor;
use crate::vectors::{Formula, Scalar, Vector};

/// h of the paper; h̄ is W.
const H: Vector = Vector(8);

/// Of the two QRs, as Fong and Saunders write them: ᾱ, with λ rotated in, ρ, ρ̄, and ζ.
const ALPHA_BAR: Scalar = Scalar(ABOVE);
const DAMPED: Scalar = Scalar(ABOVE + 1);
const RHO: Scalar = Scalar(ABOVE + 2);
const RHO_BAR: Scalar = Scalar(ABOVE + 3);
/// ρ·ρ̄ of the iteration before.
const BEFORE: Scalar = Scalar(ABOVE + 4);
const THETA: Scalar = Scalar(ABOVE + 5);
const THETA_BAR: Scalar = Scalar(ABOVE + 6);
const C_BAR: Scalar = Scalar(ABOVE + 7);
const SINE_BAR: Scalar = Scalar(ABOVE + 8);
const TURNED: Scalar = Scalar(ABOVE + 9);
const ZETA: Scalar = Scalar(ABOVE + 10);
const ZETA_BAR: Scalar = Scalar(ABOVE + 11);
const SQUARE: Scalar = Scalar(ABOVE + 12);

pub(super) fn method() -> Method {
    let first = taken("lsmr_begin", true)
        .formula(ZETA_BAR, ALPHA * BETA)
        .formula(ALPHA_BAR, ALPHA)
        .formula(RHO, 1.0)
        .formula(RHO_BAR, 1.0)
        .formula(C_BAR, 1.0)
        .formula(SINE_BAR, 0.0)
        .formula(GRADIENT, ZETA_BAR * ZETA_BAR)
        .update(H, [(PER_ALPHA.into(), V)])
        .update(W, []);
    let turn = taken("lsmr_turn", false).formula(BEFORE, RHO * RHO_BAR).formula(SQUARE, ALPHA_BAR * ALPHA_BAR + LAMBDA);
    let turn = turn.formula(DAMPED, Formula::from(SQUARE).root()).formula(SQUARE, SQUARE + BETA * BETA);
    let turn = turn
        .formula(RHO, Formula::from(SQUARE).root())
        .formula(THETA, BETA / RHO * ALPHA)
        .formula(ALPHA_BAR, DAMPED / RHO * ALPHA)
        .formula(THETA_BAR, SINE_BAR * RHO)
        .formula(TURNED, C_BAR * RHO)
        .formula(SQUARE, TURNED * TURNED + THETA * THETA);
    let turn = turn
        .formula(RHO_BAR, Formula::from(SQUARE).root())
        .formula(C_BAR, TURNED / RHO_BAR)
        .formula(SINE_BAR, THETA / RHO_BAR)
        .formula(ZETA, C_BAR * ZETA_BAR)
        .formula(ZETA_BAR, -(SINE_BAR * ZETA_BAR))
        .formula(GRADIENT, ZETA_BAR * ZETA_BAR)
        .update(W, [(Formula::from(1.0), H), (-(THETA_BAR * RHO / BEFORE), W)])
        .update(X, [(Formula::from(1.0), X), (ZETA / (RHO * RHO_BAR), W)])
        .update(H, [(PER_ALPHA.into(), V), (-(THETA / RHO), H)]);
    let scalars = ABOVE + 13 - OWN;
    Method { name: "lsmr", vectors: 6, scalars, passes: passes(first, turn), begin: begin(), iterate: iterate() }
}

/// Minimises ‖A x − y‖² + λ‖x‖² by LSMR, on the device that holds y. λ is the options' [`lambda`](SolveOptions::lambda), the start
/// their [`start`](SolveOptions::start).
///
/// Fong and Saunders, SIAM J. Sci. Comput. 33:2950 (2011). It is MINRES on the normal equations, without these: their residual
/// ‖Aᴴ(y − A x) − λx‖, by which all solvers here stop, falls in every iteration, so it is the one to stop early. With a start and
/// λ > 0 at once it solves for A above √λ·I, in one vector. The [`residual`](Solution::residual) is relative to ‖Aᴴy‖.
///
/// ```
/// use linops::{linop, solve::{lsmr, SolveOptions}, Tensor};
/// let a = linop::dense("K=2", &Tensor::from_array(ndarray::array![[1.0f32, 2.0], [0.0, 1.0], [2.0, 0.0]], "T K")?, "T")?;
/// let y = a.apply(&Tensor::from_slice("K=2", &[3.0f32, -1.0])?)?;
/// let x = lsmr(&a, &y, SolveOptions::default().tol(1e-6))?.x.to_real_vec()?;
/// assert!((x[0] - 3.0).abs() < 1e-5 && (x[1] + 1.0).abs() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`cgls`](super::cgls()).
pub fn lsmr(a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    match damped_start("lsmr", a, y, &options)? {
        Some((stacked, data)) => minimise(method, &stacked, &data, options.lambda(0.0)),
        None => minimise(method, a, y, options),
    }
}

/// [`lsmr`] for several data in lockstep, as [`cg_many`](super::super::cg_many) does it.
///
/// # Errors
/// Those of [`lsmr`], with the number of the data; a start together with λ > 0.
pub fn lsmr_many(a: &Linop, ys: &[Tensor], options: SolveOptions) -> Result<Vec<Solution>> {
    options.check_damping("lsmr_many", "cgls_many")?;
    minimise_many(method, a, ys, options)
}
