//! Images on a finer grid: zeros around their k-space.

use crate::allocate::expect_room;
use crate::error::{Result, shape_err};
use crate::fourier::centred_dft;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use num_complex::Complex32;

/// An image with so many pixels along its last axes, over the same field of view: its centred k-space between zeros. Values keep
/// their scale, and the centre n/2 (rounded down) stays the centre.
///
/// ```
/// use linops::{app::zero_fill, ndarray::ArrayD, num_complex::Complex32};
/// let image = ArrayD::from_elem(vec![5, 4], Complex32::from(2.0));
/// let fine = zero_fill(image.view(), &[8, 7])?;
/// assert_eq!(fine.shape(), [8, 7]);
/// assert!(fine.iter().all(|v| (v - Complex32::from(2.0)).norm() < 1e-5));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// More extents than the image has axes, fewer pixels than it has, or no memory.
pub fn zero_fill(image: ArrayViewD<Complex32>, extents: &[usize]) -> Result<ArrayD<Complex32>> {
    let Some(front) = image.ndim().checked_sub(extents.len()) else {
        return shape_err!("zero-filling to {extents:?}, but the image {:?} has fewer axes", image.shape());
    };
    if let Some((n, to)) = image.shape()[front..].iter().zip(extents).find(|(n, to)| to < n) {
        return shape_err!("zero-filling from {n} to {to} pixels along an axis; expected at least {n}");
    }
    let whole = [&image.shape()[..front], extents].concat();
    let values = whole.iter().fold(1u64, |n, extent| n.saturating_mul(*extent as u64));
    expect_room(values.saturating_mul(2 * 8), "the zero-filled image")?;
    let mut image = image.to_owned();
    for (axis, &to) in extents.iter().enumerate() {
        let (axis, n) = (Axis(front + axis), image.shape()[front + axis]);
        if n == to || n == 0 {
            continue;
        }
        centred_dft(image.view_mut(), axis, false);
        let mut padded_shape = image.shape().to_vec();
        padded_shape[axis.0] = to;
        let mut padded = ArrayD::zeros(padded_shape);
        let first = to / 2 - n / 2;
        padded.slice_axis_mut(axis, Slice::from(first..first + n)).assign(&image);
        centred_dft(padded.view_mut(), axis, true);
        let scale = (to as f64 / n as f64).sqrt() as f32;
        image = padded.mapv(|v| v * scale);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_complex::Complex64;
    use std::f64::consts::TAU;

    #[test]
    fn waves_are_the_same_waves_on_any_grid() {
        // A wave that the coarse grid holds, over the same field of view from its centre on.
        let wave = |n: usize, f: f64, at: usize| Complex64::cis(TAU * f * (at as f64 - (n / 2) as f64) / n as f64);
        for (n, m, to_n, to_m) in [(8, 5, 12, 9), (7, 6, 9, 11), (6, 6, 6, 13), (5, 8, 10, 8)] {
            let make = |n: usize, m: usize| {
                ArrayD::from_shape_fn(vec![2, n, m], |i| {
                    let v = wave(n, 2.0, i[1]) * wave(m, -1.0, i[2]) + 0.5 * wave(n, -1.0, i[1]) + i[0] as f64;
                    Complex32::new(v.re as f32, v.im as f32)
                })
            };
            let fine = zero_fill(make(n, m).view(), &[to_n, to_m]).unwrap();
            let want = make(to_n, to_m);
            assert_eq!(fine.shape(), want.shape());
            assert!((&fine - &want).iter().all(|d| d.norm() < 1e-5), "{n} x {m} to {to_n} x {to_m}");
        }
    }

    #[test]
    fn fewer_pixels_are_refused() {
        let image = ArrayD::<Complex32>::zeros(vec![4, 6]);
        assert!(zero_fill(image.view(), &[4, 5]).unwrap_err().to_string().contains("from 6 to 5"));
        assert!(zero_fill(image.view(), &[1, 4, 6]).is_err());
    }
}
