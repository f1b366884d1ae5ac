//! Circular shifts.

use super::{Linop, Operator, Saver};
use crate::access::{AxisMap, ValueId};
use crate::dim::ToShape;
use crate::error::{Result, shape_err};
use crate::ir::Builder;

/// `y[n] = x[(n − s) mod N]` for each `(dim, s)`; the dims keep their names.
///
/// The adjoint turns back, the normal is the identity. An index map: what follows reads x by it, without a pass of its own.
/// [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::roll("N=4", &[("N", 1)])?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0, 4.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[4f32, 1.0, 2.0, 3.0]).into_dyn());
/// assert!(a.n().program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, or none is named.
pub fn roll(input: impl ToShape, shifts: &[(&str, i64)]) -> Result<Linop> {
    let input = input.to_shape()?;
    if shifts.is_empty() {
        return shape_err!("roll: \"shifts\" names no dim");
    }
    let axis = |(d, s): &(&str, i64)| Ok((input.require(d.parse()?).map_err(|e| e.at("roll"))?, *s));
    let operator = Roll {
        shifts: shifts.iter().map(axis).collect::<Result<_>>()?,
        details: shifts.iter().map(|(d, s)| format!("{d} by {s}")).collect::<Vec<_>>().join(", "),
    };
    Ok(Linop::of(input.clone(), input, operator))
}

#[derive(Debug)]
struct Roll {
    shifts: Vec<(usize, i64)>,
    details: String,
}

impl Operator for Roll {
    fn op(&self) -> &'static str {
        "roll"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.shifts.iter().try_fold(x, |x, &(a, s)| {
            let n = b.extents(x)[a];
            b.map_axis(x, a, AxisMap::wrapped(1, -(s.rem_euclid(n as i64)), n), n)
        })
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.by_dim("shifts", self.shifts.iter().copied());
        to.makes(to.input().clone());
        Ok(())
    }
}
