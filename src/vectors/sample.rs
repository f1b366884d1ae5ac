//! A small computation with every kind of formula, update and dot, whose result shows that a device does passes right.

use super::{Formula, Layout, Pass, Scalar, Space, Vector};
use crate::error::Result;
use crate::tensor::Tensor;

const X: Vector = Vector(0);
const Y: Vector = Vector(1);

/// Vectors that the sample goes over.
pub(crate) const VECTORS: usize = 2;

const XX: Scalar = Scalar(0);
const XY: Scalar = Scalar(1);
const RATIO: Scalar = Scalar(2);
const NONE: Scalar = Scalar(3);
const LARGER: Scalar = Scalar(4);
const CHOSEN: Scalar = Scalar(5);

/// Its passes.
pub(crate) fn layout() -> Layout {
    let one = || Formula::from(1.0);
    let passes = vec![
        Pass::new("begin").update(Y, [(Formula::from(0.5), X)]).dot(X, X).dot(X, Y),
        Pass::new("combine")
            .totals([XX, XY])
            .formula(RATIO, XY / XX)
            .formula(NONE, XX / (XX * 0.0))
            .formula(LARGER, Formula::from(XX).max(XY))
            .formula(CHOSEN, (-XY).if_positive(LARGER, RATIO * 3.0))
            .update(Y, [(one(), Y), (-CHOSEN, X), (NONE.into(), X)])
            .update(X, [(RATIO.into(), X), (one(), Y)])
            .dot(X, Y)
            .dot(Y, Y),
        Pass::new("total").totals([XX, XY]),
    ];
    Layout { scalars: 6, passes }
}

/// The scalars that come out for x.
pub(crate) fn run(space: &mut dyn Space, x: &Tensor) -> Result<Vec<f64>> {
    space.set(X, x)?;
    (0..layout().passes.len()).try_for_each(|pass| space.pass(pass))?;
    space.scalars()
}
