//! Reversed axes.

use super::{Linop, Operator, Saver, axes_of};
use crate::access::{AxisMap, ValueId};
use crate::dim::{ToDims, ToShape, join};
use crate::error::Result;
use crate::ir::Builder;

/// `y[n] = x[N − 1 − n]` along the dims in `axes`; the dims keep their names.
///
/// The adjoint is the same, the normal the identity. An index map: what follows reads x by it, without a pass of its own.
/// [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::flip("N=3", "N")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[3f32, 2.0, 1.0]).into_dyn());
/// assert!(a.n().program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input.
pub fn flip(input: impl ToShape, axes: impl ToDims) -> Result<Linop> {
    let input = input.to_shape()?;
    let axes = axes.to_dims()?;
    let operator = Flip { axes: axes_of(&input, &axes)?, details: join(&axes) };
    Ok(Linop::of(input.clone(), input, operator))
}

#[derive(Debug)]
struct Flip {
    axes: Vec<usize>,
    details: String,
}

impl Operator for Flip {
    fn op(&self) -> &'static str {
        "flip"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.axes.iter().try_fold(x, |x, &a| {
            let n = b.extents(x)[a];
            b.map_axis(x, a, AxisMap::affine(-1, n as i64 - 1, 1, n, n), n)
        })
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.axes);
        to.makes(to.input().clone());
        Ok(())
    }
}
