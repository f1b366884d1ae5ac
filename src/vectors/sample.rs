//! A small computation with every kind of formula, update, map and sum, whose result shows that a device does passes right.

use super::{Formula, Group, Layout, Map, Measure, Pass, Scalar, Space, Vector};
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

const MAGNITUDES: Scalar = Scalar(6);
const WEIGHTED: Scalar = Scalar(7);
const GROUPED: Scalar = Scalar(8);
const CLAMPED: Scalar = Scalar(9);
const BALL: Scalar = Scalar(10);
const ROOT: Scalar = Scalar(11);
const OVER: Scalar = Scalar(12);

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
        Pass::new("shrink")
            .totals([XX, XY])
            .group(Group { members: 1, complex: true })
            .update(Y, [(one(), Y)])
            .map(Map::Shrink(Formula::from(0.3), None))
            .measure(Measure::Magnitudes(Y, None)),
        Pass::new("clamp")
            .totals([MAGNITUDES])
            .group(Group { members: 3, complex: false })
            .update(X, [((MAGNITUDES / (MAGNITUDES + 1.0)).root(), X), (Formula::from(0.25), Y)])
            .map(Map::Clamp(0.05, 0.4))
            .dot(X, Y),
        Pass::new("group")
            .totals([CLAMPED])
            .group(Group { members: 3, complex: true })
            .update(Y, [(one(), Y), (Formula::from(0.5), X)])
            .map(Map::Shrink(Formula::from(0.5), Some(X)))
            .measure(Measure::Magnitudes(Y, None))
            .measure(Measure::Magnitudes(Y, Some(X))),
        Pass::new("ball")
            .totals([GROUPED, WEIGHTED])
            .group(Group { members: 1, complex: true })
            .update(Y, [(one(), Y)])
            .map(Map::Ball(Formula::from(0.2), None))
            .dot(Y, X),
        Pass::new("root")
            .totals([BALL])
            .group(Group { members: 1, complex: true })
            .update(X, [(one(), X)])
            .map(Map::Root(Formula::from(0.3), Some(Y)))
            .dot(X, Y),
        Pass::new("over").totals([ROOT]).update(X, [(one(), Y)]).map(Map::Over(X, Formula::from(0.125), Y)).dot(X, Y),
        Pass::new("total").totals([OVER]),
    ];
    Layout { scalars: 13, passes }
}

/// The scalars that come out for x.
pub(crate) fn run(space: &mut dyn Space, x: &Tensor) -> Result<Vec<f64>> {
    space.set(X, x)?;
    (0..layout().passes.len()).try_for_each(|pass| space.pass(pass))?;
    space.scalars()
}

/// The same of several in lockstep: all from x, then one once more by itself, which the others do not see.
pub(crate) fn run_together(spaces: &mut [Box<dyn Space>], x: &Tensor) -> Result<Vec<f64>> {
    spaces.iter_mut().try_for_each(|space| space.set(X, x))?;
    for pass in 0..layout().passes.len() {
        spaces.iter_mut().try_for_each(|space| space.pass(pass))?;
    }
    let mut all = Vec::new();
    if let Some(space) = spaces.get_mut(1) {
        all.extend(run(&mut **space, x)?);
    }
    for space in spaces {
        all.extend(space.scalars()?);
    }
    Ok(all)
}
