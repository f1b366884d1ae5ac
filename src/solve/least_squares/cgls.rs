//! Conjugate gradients for least squares.

use super::{Do, GRADIENT, HALTED, LAMBDA, LARGEST, Method, NULL, OWN, Q, S, SCALE, U, W, X, minimise, minimise_many};
use crate::error::Result;
use crate::linop::Linop;
use crate::solve::{Solution, SolveOptions};
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar};

/// ‖p‖², ‖A p‖² and the next ‖s‖².
const PP: Scalar = Scalar(OWN);
const QQ: Scalar = Scalar(OWN + 1);
const NEXT: Scalar = Scalar(OWN + 2);
/// ‖A p‖² + λ‖p‖².
const CURVATURE: Scalar = Scalar(OWN + 3);
const ALPHA: Scalar = Scalar(OWN + 4);
const BETA: Scalar = Scalar(OWN + 5);

/// The residual is U, the direction W, the gradient S.
pub(super) fn method() -> Method {
    let one = || Formula::from(1.0);
    let gradient = || (Formula::from(SCALE), S);
    let passes = vec![
        Pass::new("cgls_gradient").update(S, [gradient(), (-LAMBDA, X)]).dot(S, S),
        Pass::new("cgls_begin").totals([GRADIENT]).update(W, [(one(), S)]),
        Pass::new("cgls_direction").dot(W, W),
        // Scaled before it is squared: the square of what A gives may be beyond f32.
        Pass::new("cgls_curve").totals([PP]).update(Q, [(SCALE.into(), Q)]).dot(Q, Q),
        Pass::new("cgls_advance")
            .totals([QQ])
            .formula(CURVATURE, QQ + LAMBDA * PP)
            .formula(LARGEST, Formula::from(LARGEST).max(QQ / PP))
            .formula(HALTED, (CURVATURE - LARGEST * PP * NULL).if_positive(HALTED, 1.0))
            .formula(ALPHA, Formula::from(HALTED).if_positive(0.0, GRADIENT / CURVATURE))
            .update(U, [(one(), U), (-Formula::from(ALPHA), Q)]),
        Pass::new("cgls_step")
            .update(X, [(one(), X), (ALPHA.into(), W)])
            .update(S, [gradient(), (-LAMBDA, X)])
            .dot(S, S),
        Pass::new("cgls_turn")
            .totals([NEXT])
            .formula(BETA, NEXT / GRADIENT)
            .formula(GRADIENT, NEXT)
            .update(W, [(one(), S), (BETA.into(), W)]),
    ];
    let begin = vec![Do::Adjoint(U, S), Do::Pass(0), Do::Pass(1)];
    let iterate =
        vec![Do::Pass(2), Do::Forward(W, Q), Do::Pass(3), Do::Pass(4), Do::Adjoint(U, S), Do::Pass(5), Do::Pass(6)];
    Method { name: "cgls", vectors: 4, scalars: 6, passes, begin, iterate }
}

/// Minimises ‖A x − y‖² + λ‖x‖² by conjugate gradients on A itself, on the device that holds y. λ is the options'
/// [`lambda`](SolveOptions::lambda), the start their [`start`](SolveOptions::start).
///
/// Hestenes and Stiefel, J. Res. Nat. Bur. Standards 49:409 (1952); Björck, Numerical Methods for Least Squares Problems (1996),
/// §7.4. In exact arithmetic its iterates are those of [`cg`](super::super::cg()) on the normal equations. It applies A and Aᴴ where
/// that applies the normal, which costs more where the normal is a convolution, and it loses half as many digits to an
/// ill-conditioned A. Data and operator may have any scale that f32 holds. The [`residual`](Solution::residual) is that of the
/// normal equations, ‖Aᴴ(y − A x) − λx‖/‖Aᴴy‖.
///
/// ```
/// use linops::{linop, solve::{cgls, SolveOptions}, Tensor};
/// // A line through four points: the least squares fit of y = a + b t.
/// let a = linop::dense("K=2", &Tensor::from_array(ndarray::array![[1.0f32, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]], "T K")?, "T")?;
/// let y = Tensor::from_slice("T=4", &[1.0f32, 3.1, 4.9, 7.0])?;
/// let line = cgls(&a, &y, SolveOptions::default().tol(1e-6))?.x.to_real_vec()?;
/// assert!((line[0] - 1.03).abs() < 1e-4 && (line[1] - 1.98).abs() < 1e-4);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ or tol negative or not finite, y of another shape than A gives, values that are not finite, a start that is not like x, or
/// the device fails. An Aᴴ that is not A's is no error but a [`Stop::Breakdown`](crate::solve::Stop).
pub fn cgls(a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    minimise(method, a, y, options)
}

/// [`cgls`] for several data in lockstep, as [`cg_many`](super::super::cg_many) does it.
///
/// # Errors
/// Those of [`cgls`], with the number of the data.
pub fn cgls_many(a: &Linop, ys: &[Tensor], options: SolveOptions) -> Result<Vec<Solution>> {
    minimise_many(method, a, ys, options)
}
