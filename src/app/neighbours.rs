//! Sums over the neighbours of each value of a picture, along one axis after the other; and what they say of a gap.

use ndarray::{ArrayD, Axis, Dimension, IxDyn};

/// Half the width of what is near by, in samples.
const REACH: usize = 2;

/// Sums along an axis, `count` of each line: `add` gets the sums of a line, which are 0, and the line, whose values lie a block of so
/// many beside each other.
fn along(values: &ArrayD<f64>, axis: usize, count: usize, add: impl Fn(&mut [f64], &[f64], usize)) -> ArrayD<f64> {
    let mut extents = values.shape().to_vec();
    let n = std::mem::replace(&mut extents[axis], count);
    let inner: usize = extents[axis + 1..].iter().product();
    let values = values.as_standard_layout();
    let mut sums = ArrayD::<f64>::zeros(extents);
    if let (Some(from), Some(to)) = (values.as_slice(), sums.as_slice_mut())
        && count * inner > 0
    {
        let lines = from.chunks_exact(n * inner).zip(to.chunks_exact_mut(count * inner));
        lines.for_each(|(line, sums)| add(sums, line, inner));
    }
    sums
}

/// Adds every so manieth block, times a number, as far as there are such.
fn add(sums: &mut [f64], from: &[f64], by: f64, stride: usize, inner: usize) {
    let add = |(s, v): (&mut f64, &f64)| *s += by * v;
    match (stride, inner) {
        (1, _) => sums.iter_mut().zip(from).for_each(add),
        (_, 1) => sums.iter_mut().zip(from.iter().step_by(stride)).for_each(add),
        _ => {
            let blocks = sums.chunks_exact_mut(inner).zip(from.chunks_exact(inner).step_by(stride));
            blocks.for_each(|(s, v)| s.iter_mut().zip(v).for_each(add));
        }
    }
}

/// Σⱼ taps[j]·x[stride·k + j] along an axis, wherever all of x that it reads is there.
pub(super) fn filtered(values: &ArrayD<f64>, axis: usize, taps: &[f64], stride: usize) -> ArrayD<f64> {
    let n = values.len_of(Axis(axis));
    let count = if n < taps.len() { 0 } else { (n - taps.len()) / stride + 1 };
    along(values, axis, count, |sums, line, inner| {
        taps.iter().enumerate().for_each(|(j, tap)| add(sums, &line[j * inner..], *tap, stride, inner));
    })
}

/// Sums over neighbours along an axis.
fn summed(values: &ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    along(values, axis, values.len_of(Axis(axis)), |sums, line, inner| {
        let reach = REACH * inner;
        for from in (0..=2 * reach).step_by(inner) {
            let (to, from) = (reach.saturating_sub(from), from.saturating_sub(reach));
            if to.max(from) < line.len() {
                add(&mut sums[to..], &line[from..], 1.0, 1, inner);
            }
        }
    })
}

/// Sums of two and two along an axis.
fn halved(values: &ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    along(values, axis, values.len_of(Axis(axis)).div_ceil(2), |sums, line, inner| {
        add(sums, line, 1.0, 2, inner);
        add(sums, line.get(inner..).unwrap_or_default(), 1.0, 2, inner);
    })
}

/// Along every axis.
fn each_axis(values: ArrayD<f64>, sums: impl Fn(&ArrayD<f64>, usize) -> ArrayD<f64>) -> ArrayD<f64> {
    (0..values.ndim()).fold(values, |values, axis| sums(&values, axis))
}

/// The means over the neighbours of each value, of those that are finite; 0 where none is.
pub(super) fn local_means(values: &ArrayD<f64>) -> ArrayD<f64> {
    let count = each_axis(values.mapv(|v| f64::from(u8::from(v.is_finite()))), summed);
    let mut sum = each_axis(values.mapv(|v| if v.is_finite() { v } else { 0.0 }), summed);
    sum.zip_mut_with(&count, |s, n| *s /= n.max(1.0));
    sum
}

/// A picture with the means of what is known near by where it is not: the nearest neighbours where one of them is known, larger
/// places elsewhere. `known` is 0 where a value is not.
pub(super) fn filled(image: &ArrayD<f32>, known: &ArrayD<f32>) -> ArrayD<f32> {
    let count = known.mapv(|k| f64::from(u8::from(k != 0.0)));
    let mut sum = image.mapv(f64::from);
    sum.zip_mut_with(&count, |v, k| *v = if *k == 0.0 { 0.0 } else { *v });
    let means = means_of_places(sum, count);
    let mut filled = image.clone();
    ndarray::Zip::from(&mut filled).and(known).and(&means).for_each(|v, k, mean| {
        #[allow(clippy::cast_possible_truncation)]
        let mean = *mean as f32;
        *v = if *k == 0.0 { mean } else { *v };
    });
    filled
}

/// The means around each place, of sums over places and of how many values these are of.
fn means_of_places(sum: ArrayD<f64>, count: ArrayD<f64>) -> ArrayD<f64> {
    let (mut means, near) = (each_axis(sum.clone(), summed), each_axis(count.clone(), summed));
    let empty = near.iter().any(|n| *n == 0.0);
    means.zip_mut_with(&near, |s, n| *s /= n.max(1.0));
    if empty && means.len() > 1 {
        let larger = means_of_places(each_axis(sum, halved), each_axis(count, halved));
        let gaps = near.indexed_iter().filter(|(_, n)| **n == 0.0);
        for (at, _) in gaps {
            let place: Vec<usize> = at.slice().iter().map(|i| i / 2).collect();
            means[&at] = larger[IxDyn(&place)];
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// Against sums by the definition, of arrays in C and in other order.
    #[test]
    fn sums_along_axes_are_those_of_the_definition() {
        let at = |i: usize, j: usize, k: usize| ((7 * i + 5 * j * j + 3 * k) % 11) as f64 - 4.0;
        let array = Array3::from_shape_fn((6, 7, 5), |(i, j, k)| at(i, j, k));
        for values in [array.clone().into_dyn(), array.permuted_axes([2, 0, 1]).into_dyn()] {
            for axis in 0..3 {
                let sums = filtered(&values, axis, &[1.0, -3.0, 2.0], 2);
                let near = summed(&values, axis);
                for (from, (sums, near)) in values
                    .lanes(Axis(axis))
                    .into_iter()
                    .zip(sums.lanes(Axis(axis)).into_iter().zip(near.lanes(Axis(axis))))
                {
                    assert_eq!(sums.len(), (from.len() - 3) / 2 + 1);
                    for (k, s) in sums.iter().enumerate() {
                        assert_eq!(*s, from[2 * k] - 3.0 * from[2 * k + 1] + 2.0 * from[2 * k + 2]);
                    }
                    for (k, s) in near.iter().enumerate() {
                        assert_eq!(*s, (k.saturating_sub(2)..(k + 3).min(from.len())).map(|j| from[j]).sum::<f64>());
                    }
                }
            }
        }
        assert_eq!(filtered(&ArrayD::zeros(vec![2, 3]), 0, &[1.0; 3], 1).shape(), [0, 3]);
    }

    #[test]
    fn gaps_have_the_means_of_what_is_around_them() {
        let slope = ArrayD::from_shape_fn(vec![40, 61], |at| 3.0 + at[1] as f32);
        // Every third sample is known, and a large square is not.
        let known = ArrayD::from_shape_fn(vec![40, 61], |at| {
            let square = (8..33).contains(&at[0]) && (10..50).contains(&at[1]);
            f32::from((at[0] + at[1]) % 3 == 0 && !square)
        });
        let hidden = ndarray::Zip::from(&slope).and(&known).map_collect(|v, k| if *k == 0.0 { f32::NAN } else { *v });
        let filled = filled(&hidden, &known);
        for (at, v) in filled.indexed_iter() {
            let square = (8..33).contains(&at[0]) && (10..50).contains(&at[1]);
            let near = if square { 24.0 } else { 3.0 };
            assert!((v - slope[&at]).abs() <= near * (1.0 - known[&at]), "{at:?}: {v}");
        }
        assert!((filled[[20, 30]] - 33.0).abs() < 6.0, "{}", filled[[20, 30]]);
        let one = ArrayD::from_shape_fn(vec![5, 9], |at| f32::from(at[0] == 1 && at[1] == 2));
        assert!(super::filled(&(&one * 7.0), &one).iter().all(|v| *v == 7.0), "one tells all");
    }
}
