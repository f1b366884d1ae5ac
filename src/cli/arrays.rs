//! Which axis of an array is that of the coils.

use super::axes::Axes;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis};
use std::path::Path;

/// How the axes of arrays are to be read.
#[derive(clap::Args, Debug, Default, Clone)]
#[group(skip)]
pub struct Arrays {
    /// The axis of the coils in k-space and maps, counted from 0, or from the end with a minus, as -1; of BART files the dim
    /// [default: the first axis, of BART files dim 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub coil_axis: Option<i32>,

    /// What the axes of the array of k-space are, the first first, where they are not the usual ones: slice,coil,ky,kx; or
    /// ky,kx,coil; or repetition,slice,coil,kz,ky,kx. Names: slice, contrast, phase, repetition, set, average, coil, kz, ky, kx, and
    /// with a trajectory spoke, sample. Several images give a stack, of which --slice and the like choose
    #[arg(long, value_name = "NAMES", conflicts_with = "coil_axis")]
    pub axes: Option<Axes>,
}

impl Arrays {
    /// The first option that was given.
    pub fn given(&self) -> Option<&'static str> {
        let all = [("--coil-axis", self.coil_axis.is_some()), ("--axes", self.axes.is_some())];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The values with the coil axis first, the others in order.
    pub fn coils_first<T: Clone>(&self, path: &Path, values: ArrayD<T>) -> Result<ArrayD<T>> {
        let Some(asked) = self.coil_axis else { return Ok(values) };
        let axis = self.place(path, asked, values.ndim())?;
        Ok(with_first(values, axis))
    }

    /// The axis that is asked for among so many.
    pub fn place(&self, path: &Path, asked: i32, axes: usize) -> Result<usize> {
        let place = if asked < 0 { i64::from(asked) + axes as i64 } else { asked.into() };
        match usize::try_from(place).ok().filter(|axis| *axis < axes) {
            Some(axis) => Ok(axis),
            None => Err(Error::file(path, format!("--coil-axis {asked} of an array with {axes} axes"))),
        }
    }
}

/// The values with one axis moved to the front.
pub fn with_first<T: Clone>(values: ArrayD<T>, axis: usize) -> ArrayD<T> {
    if axis == 0 {
        return values;
    }
    let order: Vec<usize> = std::iter::once(axis).chain((0..values.ndim()).filter(|a| *a != axis)).collect();
    values.permuted_axes(order).as_standard_layout().into_owned()
}

/// The axis that looks like that of the coils where the first does not: the last or the middle one of three, or the last of four,
/// that is by far the shortest, while the first is long for a number of coils. `Some(None)`: the first has more than any scanner has coils.
pub fn doubted_coil_axis(shape: &[usize]) -> Option<Option<usize>> {
    /// Fewer are plausible whatever the other axes are.
    const FEW: usize = 16;
    const MANY: usize = 256;
    if let &[first, second, third, last] = shape {
        let least = first.min(second).min(third);
        return (2 * last <= least && first >= FEW).then_some(Some(3));
    }
    let &[first, second, third] = shape else { return None };
    if 2 * third <= first.min(second) && first >= FEW {
        return Some(Some(2));
    }
    // Less plain, but the first is no usual number of coils, and the last is one.
    if third < first.min(second) && third <= 2 * FEW && first > 2 * FEW && first != 4 * FEW {
        return Some(Some(2));
    }
    if 2 * second <= first.min(third) && first >= 3 * FEW {
        return Some(Some(1));
    }
    (first > MANY).then_some(None)
}

/// Refuses k-space (coil, ky, kx) or (coil, kz, ky, kx) whose first axis is hardly that of the coils. `names` are the axes as the file has them, the coil's
/// first.
pub fn expect_coils_first(path: &Path, shape: &[usize], fix: impl Fn(Option<usize>) -> String) -> Result<()> {
    let Some(doubted) = doubted_coil_axis(shape) else { return Ok(()) };
    let image = super::recon::by(&shape[1..]);
    let reason = match doubted {
        Some(axis) => {
            format!("would be {} coils of {image}; is axis {axis}, with {}, that of the coils?", shape[0], shape[axis])
        }
        None => format!("would be {} coils of {image}.", shape[0]),
    };
    let expected = if shape.len() == 4 { "(coil, kz, ky, kx)" } else { "(coil, ky, kx)" };
    Err(Error::file(path, format!("k-space {shape:?} {reason} The axes are expected as {expected}: {}", fix(doubted))))
}

/// Without axes of extent 1 until there are so many, those in front first.
pub fn without_ones<T: Clone>(mut values: ArrayD<T>, axes: usize) -> ArrayD<T> {
    while values.ndim() > axes {
        let Some(one) = values.shape().iter().position(|n| *n == 1) else { break };
        values = values.index_axis_move(Axis(one), 0);
    }
    values
}

/// The same for those behind the first axis only.
pub fn without_ones_behind<T: Clone>(mut values: ArrayD<T>, axes: usize) -> ArrayD<T> {
    while values.ndim() > axes {
        let Some(one) = values.shape().iter().skip(1).position(|n| *n == 1) else { break };
        values = values.index_axis_move(Axis(one + 1), 0);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coils_that_are_not_first_are_doubted() {
        assert_eq!(doubted_coil_axis(&[32, 64, 64, 8]), Some(Some(3)));
        assert_eq!(doubted_coil_axis(&[8, 32, 64, 64]), None);
        assert_eq!(doubted_coil_axis(&[16, 4, 64, 64]), None);
        for (shape, doubted) in [
            ([64, 64, 4], Some(Some(2))),
            ([40, 40, 12], Some(Some(2))),
            ([128, 128, 16], Some(Some(2))),
            ([48, 40, 32], Some(Some(2))),
            ([320, 4, 300], Some(Some(1))),
            ([300, 320, 310], Some(None)),
            ([4, 64, 64], None),
            ([16, 128, 128], None),
            ([32, 24, 24], None),
            ([64, 48, 40], None),
            ([12, 40, 40], None),
            ([1, 64, 8], None),
            ([8, 8, 8], None),
        ] {
            assert_eq!(doubted_coil_axis(&shape), doubted, "{shape:?}");
        }
    }

    #[test]
    fn axes_are_moved_and_dropped() {
        let values = ArrayD::from_shape_fn(vec![2, 3, 4], |i| i[0] * 100 + i[1] * 10 + i[2]);
        let arrays = |coil_axis| Arrays { coil_axis: Some(coil_axis), axes: None };
        let path = Path::new("k.npy");
        for axis in [2, -1] {
            let moved = arrays(axis).coils_first(path, values.clone()).unwrap();
            assert_eq!((moved.shape(), moved[[3, 1, 2]]), (&[4, 2, 3][..], 123));
        }
        assert!(arrays(3).coils_first(path, values.clone()).is_err() && arrays(-4).coils_first(path, values).is_err());
        assert_eq!(without_ones(ArrayD::<f32>::zeros(vec![1, 4, 1, 5]), 3).shape(), [4, 1, 5]);
        assert_eq!(without_ones(ArrayD::<f32>::zeros(vec![2, 4, 3, 5]), 3).shape(), [2, 4, 3, 5]);
    }
}
