//! Spokes through the centre of a ball.

use super::{check, radius};
use crate::Result;
use ndarray::Array3;
use std::f64::consts::TAU;

/// The two-dimensional golden means: ratios of successive terms of the Fibonacci-like sequence of x³ = x² + 1.
const MEANS: [f64; 2] = [0.465_571_231_876_768, 0.682_327_803_828_019_3];

/// A koosh ball: 3-D radial spokes in the order of the golden means, as (spoke, sample, (z, y, x)) in cycles per field of view.
///
/// The spokes' directions cover the sphere nearly evenly, whichever consecutive ones are taken. A spoke runs from −N/2 to
/// just before N/2 in steps of N / `samples`, with sample `samples` / 2 at the centre. Full sampling at the rim takes π/2·N²
/// spokes. Chan, Ramsay, Cunningham and Plewes, Magn. Reson. Med. 61:354 (2009).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, or more points than memory holds.
pub fn koosh_ball(spokes: usize, samples: usize, matrix: usize) -> Result<Array3<f64>> {
    check(&[("spokes", spokes), ("samples", samples)], matrix)?;
    let direction = |spoke: usize| {
        // A spoke covers both of its ends, so that directions over half of the sphere do.
        let [up, around] = MEANS.map(|mean| (mean * spoke as f64).fract());
        let (sin, cos) = (TAU * around).sin_cos();
        let flat = (1.0 - up * up).sqrt();
        [up, flat * sin, flat * cos]
    };
    let directions: Vec<[f64; 3]> = (0..spokes).map(direction).collect();
    Ok(Array3::from_shape_fn((spokes, samples, 3), |(spoke, sample, axis)| {
        radius(sample, samples, matrix) * directions[spoke][axis]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_means_solve_their_cubics() {
        let [a, b] = MEANS;
        // 1/b is the root of x³ = x² + 1, and a = b².
        assert!((b.powi(-3) - b.powi(-2) - 1.0).abs() < 1e-12 && (a - b * b).abs() < 1e-12);
    }

    #[test]
    fn directions_are_even() {
        let k = koosh_ball(2000, 4, 8).unwrap();
        assert_eq!(k.dim(), (2000, 4, 3));
        // The second moments of an even cover are a third of the squared radius each.
        for (a, b) in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)] {
            let moment: f64 = (0..2000).map(|s| k[[s, 0, a]] * k[[s, 0, b]]).sum::<f64>() / 2000.0 / 16.0;
            let expected = if a == b { 1.0 / 3.0 } else { 0.0 };
            assert!((moment - expected).abs() < 0.01, "{a} {b}: {moment}");
        }
        assert!((0..2000).all(|s| (0..3).all(|axis| k[[s, 2, axis]] == 0.0)));
    }
}
