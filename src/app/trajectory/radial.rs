//! Spokes through the centre of a plane.

use super::{check, radius};
use crate::Result;
use ndarray::Array3;
use std::f64::consts::PI;

/// Radial spokes at equal angles over π, as (spoke, sample, (y, x)) in cycles per field of view.
///
/// A spoke runs from −N/2 to just before N/2 in steps of N / `samples`, with sample `samples` / 2 at the centre; spoke 0 along
/// x. Full sampling at the rim takes π/2·N spokes. Lauterbur, Nature 242:190 (1973).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, or more points than memory holds.
pub fn radial(spokes: usize, samples: usize, matrix: usize) -> Result<Array3<f64>> {
    fan(spokes, samples, matrix, PI / spokes as f64)
}

/// Radial spokes, each turned from the last by π divided by the golden ratio (111.25°), as (spoke, sample, (y, x)) in cycles
/// per field of view.
///
/// Any consecutive spokes cover the plane nearly evenly. A spoke is as in [`radial`]. Winkelmann, Schaeffter, Koehler, Eggers
/// and Doessel, IEEE Trans. Med. Imaging 26:68 (2007).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, or more points than memory holds.
pub fn golden_radial(spokes: usize, samples: usize, matrix: usize) -> Result<Array3<f64>> {
    let ratio = (1.0 + 5f64.sqrt()) / 2.0;
    fan(spokes, samples, matrix, PI / ratio)
}

fn fan(spokes: usize, samples: usize, matrix: usize, step: f64) -> Result<Array3<f64>> {
    check(&[("spokes", spokes), ("samples", samples)], matrix)?;
    let turn: Vec<(f64, f64)> = (0..spokes).map(|s| (step * s as f64).sin_cos()).collect();
    Ok(Array3::from_shape_fn((spokes, samples, 2), |(spoke, sample, axis)| {
        let (sin, cos) = turn[spoke];
        radius(sample, samples, matrix) * if axis == 0 { sin } else { cos }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spokes_cross_the_centre_at_equal_angles() {
        let k = radial(4, 10, 20).unwrap();
        assert_eq!(k.dim(), (4, 10, 2));
        assert_eq!((k[[0, 0, 0]], k[[0, 0, 1]], k[[0, 9, 1]]), (0.0, -10.0, 8.0));
        assert!((0..4).all(|s| k[[s, 5, 0]] == 0.0 && k[[s, 5, 1]] == 0.0));
        assert!((k[[2, 9, 0]] - 8.0).abs() < 1e-12 && k[[2, 9, 1]].abs() < 1e-12);
        assert!((k[[1, 9, 0]] - k[[1, 9, 1]]).abs() < 1e-12);
    }

    #[test]
    fn golden_spokes_leave_no_wide_gap() {
        for spokes in [5, 8, 13, 100] {
            let k = golden_radial(spokes, 2, 2).unwrap();
            let mut angles: Vec<f64> = (0..spokes).map(|s| k[[s, 0, 0]].atan2(k[[s, 0, 1]]).rem_euclid(PI)).collect();
            angles.sort_by(f64::total_cmp);
            angles.push(angles[0] + PI);
            let widest = angles.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
            assert!(widest < 2.0 * PI / spokes as f64, "{spokes}: {widest}");
        }
    }
}
