//! Spirals.

use super::{check, check_positive};
use crate::Result;
use ndarray::Array3;
use std::f64::consts::TAU;

/// Archimedean spirals outwards, as (interleaf, sample, (y, x)) in cycles per field of view.
///
/// Radius and angle both grow in proportion to the sample's index, from the centre to N/2 after `turns` turns, so that the
/// windings of all interleaves together are N/2 / (`turns`·`interleaves`) apart; full sampling is a distance of 1. Interleaves
/// are turned by equal angles. Ahn, Kim and Cho, IEEE Trans. Med. Imaging 5:2 (1986).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, more points than memory holds, or turns that are not above 0.
pub fn spiral(interleaves: usize, samples: usize, matrix: usize, turns: f64) -> Result<Array3<f64>> {
    check(&[("interleaves", interleaves), ("samples", samples)], matrix)?;
    check_positive("turns", turns)?;
    let last = (samples - 1).max(1) as f64;
    Ok(Array3::from_shape_fn((interleaves, samples, 2), |(interleaf, sample, axis)| {
        let time = sample as f64 / last;
        let (sin, cos) = (TAU * (turns * time + interleaf as f64 / interleaves as f64)).sin_cos();
        matrix as f64 / 2.0 * time * if axis == 0 { sin } else { cos }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windings_are_as_far_apart_as_said() {
        let (interleaves, per_turn, matrix, turns) = (4, 100, 32, 4.0);
        let k = spiral(interleaves, 4 * per_turn + 1, matrix, turns).unwrap();
        let radius = |i: usize, s: usize| k[[i, s, 0]].hypot(k[[i, s, 1]]);
        assert!((radius(1, 4 * per_turn) - 16.0).abs() < 1e-12 && radius(3, 0) == 0.0);
        // Along one ray: a turn of one interleaf, and a quarter turn to the next.
        assert!((radius(0, 2 * per_turn) - radius(0, per_turn) - 4.0).abs() < 1e-9);
        assert!((k[[1, 75, 0]] - 0.0).abs() < 1e-9 && (k[[1, 75, 1]] - radius(0, 75)).abs() < 1e-9);
        assert_eq!(spiral(1, 1, 8, 1.0).unwrap().dim(), (1, 1, 2));
    }
}
