//! Golub and Kahan's bidiagonalisation: β u = A v − α u, α v = Aᴴu − β v, step by step.
//!
//! Golub and Kahan, SIAM J. Numer. Anal. 2:205 (1965). Vectors are kept as they come, β u and α v, and divided by their norms
//! where they are read, so that no pass stands between a vector and its norm. Once a norm is rounding beside that of A it counts
//! as 0: then both vectors are 0 from there on, and so are a method's steps.

use super::{Do, LARGEST, NULL, OWN, Q, S, SCALE, U};
use crate::vectors::{Formula, Pass, Scalar, Vector};

pub(super) const V: Vector = Vector(7);

pub(super) const ALPHA: Scalar = Scalar(OWN);
pub(super) const BETA: Scalar = Scalar(OWN + 1);
/// 1/α and 1/β; 0 where these are.
pub(super) const PER_ALPHA: Scalar = Scalar(OWN + 2);
const PER_BETA: Scalar = Scalar(OWN + 3);
/// α² and β².
const VV: Scalar = Scalar(OWN + 4);
const UU: Scalar = Scalar(OWN + 5);
/// The first scalar of the method on top.
pub(super) const ABOVE: usize = OWN + 6;

/// Passes 0 to 3; those of the method are [`BEGIN`] and [`TURN`].
pub(super) fn passes(begin: Pass, turn: Pass) -> Vec<Pass> {
    vec![
        Pass::new("bidiagonal_norm").dot(U, U),
        right("bidiagonal_first").update(V, [(SCALE * PER_BETA, S)]).dot(V, V),
        Pass::new("bidiagonal_left").update(U, [(SCALE * PER_ALPHA, Q), (-(ALPHA * PER_BETA), U)]).dot(U, U),
        right("bidiagonal_right").update(V, [(SCALE * PER_BETA, S), (-(BETA * PER_ALPHA), V)]).dot(V, V),
        begin,
        turn,
    ]
}

const BEGIN: usize = 4;
const TURN: usize = 5;

/// Takes β²; it is compared with ‖A‖², which is 0 at the first.
fn right(name: &'static str) -> Pass {
    let pass = Pass::new(name).totals([UU]).formula(UU, unless_null(UU));
    pass.formula(BETA, Formula::from(UU).root()).formula(PER_BETA, Formula::from(1.0) / BETA)
}

/// The beginning of a pass that takes α²: of the first vector, or of a next one, beside which the column that is now whole
/// bounds ‖A‖² from below.
pub(super) fn taken(name: &'static str, first: bool) -> Pass {
    let mut pass = Pass::new(name).totals([VV]);
    pass = match first {
        true => pass.formula(LARGEST, VV),
        false => pass.formula(LARGEST, Formula::from(LARGEST).max(ALPHA * ALPHA + UU)),
    };
    pass.formula(VV, unless_null(VV))
        .formula(ALPHA, Formula::from(VV).root())
        .formula(PER_ALPHA, Formula::from(1.0) / ALPHA)
}

fn unless_null(square: Scalar) -> Formula {
    (square - Formula::from(LARGEST) * NULL).if_positive(square, 0.0)
}

pub(super) fn begin() -> Vec<Do> {
    vec![Do::Pass(0), Do::Adjoint(U, S), Do::Pass(1), Do::Pass(BEGIN)]
}

pub(super) fn iterate() -> Vec<Do> {
    vec![Do::Forward(V, Q), Do::Pass(2), Do::Adjoint(U, S), Do::Pass(3), Do::Pass(TURN)]
}
