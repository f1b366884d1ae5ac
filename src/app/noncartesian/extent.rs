//! How far a trajectory reaches, and the image that fits it.

use crate::Result;
use crate::error::{shape_err, value_err};
use ndarray::{ArrayViewD, Axis};

/// How far beyond ±N/2 coordinates may lie, as a fraction of N: they are periodic, and rounding or gradient delays move them.
const BEYOND: f64 = 1e-3;
/// Coordinates in f32 are off by this fraction, and must not make an image larger for it.
const ROUNDING: f64 = 1e-5;

/// The image whose pixels are as small as the trajectory (…, D) resolves: 2·⌈max |k_d|⌉ along each axis d, at least 1.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) when D is not 1 to 3; [`Error::Value`](crate::Error::Value) for coordinates that are
/// not finite, or so large that no image fits.
pub fn fitting_matrix(trajectory: ArrayViewD<f64>) -> Result<Vec<usize>> {
    let reach = reach(&trajectory)?;
    if let Some(far) = reach.iter().find(|r| **r > f64::from(1 << 20)) {
        return value_err!("the trajectory reaches {far:e} cycles per field of view; is it in other units?");
    }
    Ok(reach.iter().map(|r| (2 * (r * (1.0 - ROUNDING)).ceil() as usize).max(1)).collect())
}

/// Checks that a trajectory (…, D) fits an image of these extents: |k_d| ≤ N_d/2 within 0.1 % of N_d.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) when D is not the image's number of axes; [`Error::Value`](crate::Error::Value) for
/// coordinates that are not finite or reach beyond.
pub fn check_extent(trajectory: ArrayViewD<f64>, matrix: &[usize]) -> Result<()> {
    let reach = reach(&trajectory)?;
    if reach.len() != matrix.len() {
        return shape_err!(
            "the trajectory {:?} has {} coordinates for each sample, but the image {matrix:?} has {} axes",
            trajectory.shape(),
            reach.len(),
            matrix.len()
        );
    }
    for (axis, (&reach, &n)) in reach.iter().zip(matrix).enumerate() {
        if reach > n as f64 * (0.5 + BEYOND) {
            // A number in other units may have hundreds of digits.
            let reach = if reach < 1e6 { format!("{reach:.1}") } else { format!("{reach:.1e}") };
            return value_err!(
                "the trajectory reaches {reach} along image axis {axis}, beyond N/2 = {} for an image of {n}; coordinates are in \
                 cycles per field of view, and component {axis} belongs to image axis {axis}",
                n as f64 / 2.0
            );
        }
    }
    Ok(())
}

/// The largest |k| of each coordinate.
pub(super) fn reach(trajectory: &ArrayViewD<f64>) -> Result<Vec<f64>> {
    let shape = trajectory.shape();
    let d = shape.last().copied().unwrap_or(0);
    if shape.len() < 2 || !(1..=3).contains(&d) || trajectory.is_empty() {
        return shape_err!("a trajectory of shape {shape:?}, expected (…, D) with D from 1 to 3");
    }
    let last = Axis(shape.len() - 1);
    let mut reach = vec![0.0f64; d];
    for (index, point) in trajectory.lanes(last).into_iter().enumerate() {
        for (reach, k) in reach.iter_mut().zip(point) {
            if !k.is_finite() {
                return value_err!("the trajectory is NaN or infinite at sample {index}");
            }
            *reach = reach.max(k.abs());
        }
    }
    Ok(reach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, arr2};

    #[test]
    fn the_matrix_holds_the_trajectory() {
        let fit = |k: [[f64; 2]; 2]| fitting_matrix(arr2(&k).view().into_dyn()).unwrap();
        assert_eq!(fit([[-128.0, 3.0], [127.0, -2.5]]), [256, 6]);
        assert_eq!(fit([[-128.0004, 0.0], [0.0, 0.0]]), [256, 1]);
        assert_eq!(fit([[-128.2, 0.3], [0.0, 0.0]]), [258, 2]);
        let message = |k: ArrayD<f64>| fitting_matrix(k.view()).unwrap_err().to_string();
        assert!(message(ArrayD::from_elem(vec![1, 2], 1e9)).contains("other units"));
        assert!(message(ArrayD::from_elem(vec![3, 1], f64::INFINITY)).contains("sample 0"));
        assert!(message(ArrayD::zeros(vec![3, 4])).contains("D from 1 to 3"));
        assert!(message(ArrayD::zeros(vec![3])).contains("(…, D)"));
    }

    #[test]
    fn beyond_the_edge_is_an_error() {
        let check = |k: f64| check_extent(arr2(&[[0.0, k]]).view().into_dyn(), &[10, 100]);
        assert!(check(-50.0).is_ok() && check(50.09).is_ok());
        let message = check(50.2).unwrap_err().to_string();
        assert!(message.contains("50.2 along image axis 1") && message.contains("N/2 = 50"), "{message}");
        assert!(check_extent(arr2(&[[0.0, 0.0]]).view().into_dyn(), &[10]).is_err());
    }
}
