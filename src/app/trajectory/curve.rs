//! Single curves of two frequencies.

use super::{check, check_positive};
use crate::Result;
use ndarray::Array2;
use std::f64::consts::TAU;

/// A Lissajous figure, as (sample, (y, x)) in cycles per field of view.
///
/// y = N/2·sin(2π f₀ t) and x = N/2·cos(2π f₁ t), with t from 0 to just before 1: `frequencies` (f₀, f₁) are periods along y
/// and x in the whole readout. Whole frequencies without a common divisor close the figure after it has covered the square.
/// The curve: Lissajous, Ann. Chim. Phys. 51:147 (1857).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, more points than memory holds, or frequencies that are not above
/// 0.
pub fn lissajous(samples: usize, matrix: usize, frequencies: [f64; 2]) -> Result<Array2<f64>> {
    curve(samples, matrix, frequencies, |[a, b]| [a.sin(), b.cos()])
}

/// A rosette, as (sample, (y, x)) in cycles per field of view.
///
/// k = N/2·sin(2π f₀ t)·exp(2πi f₁ t), real part along x, with t from 0 to just before 1: `frequencies` (f₀, f₁) are, in the
/// whole readout, the periods of the radius and the turns of its direction. It crosses the centre 2 f₀ times. Noll, IEEE
/// Trans. Med. Imaging 16:372 (1997).
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, more points than memory holds, or frequencies that are not above
/// 0.
pub fn rosette(samples: usize, matrix: usize, frequencies: [f64; 2]) -> Result<Array2<f64>> {
    curve(samples, matrix, frequencies, |[a, b]| [a.sin() * b.sin(), a.sin() * b.cos()])
}

/// N/2 times `shape` of the two angles 2π f t.
fn curve(
    samples: usize,
    matrix: usize,
    frequencies: [f64; 2],
    shape: impl Fn([f64; 2]) -> [f64; 2],
) -> Result<Array2<f64>> {
    check(&[("samples", samples)], matrix)?;
    for (index, frequency) in frequencies.into_iter().enumerate() {
        check_positive(&format!("frequency {index}"), frequency)?;
    }
    let mut points = Array2::zeros((samples, 2));
    for (sample, mut point) in points.rows_mut().into_iter().enumerate() {
        let time = sample as f64 / samples as f64;
        let [y, x] = shape(frequencies.map(|f| TAU * f * time));
        point[0] = matrix as f64 / 2.0 * y;
        point[1] = matrix as f64 / 2.0 * x;
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lissajous_figure_fills_the_square() {
        let k = lissajous(4000, 20, [7.0, 8.0]).unwrap();
        assert_eq!((k[[0, 0]], k[[0, 1]]), (0.0, 10.0));
        let reach = |axis: usize| k.column(axis).iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!((reach(0) - 10.0).abs() < 1e-3 && reach(1) == 10.0);
        let corner = k.rows().into_iter().any(|p| p[0] > 8.0 && p[1] > 8.0);
        assert!(corner);
    }

    #[test]
    fn a_rosette_stays_in_the_disc_and_returns_to_the_centre() {
        let samples = 4000;
        let k = rosette(samples, 20, [10.0, 3.0]).unwrap();
        let radii: Vec<f64> = k.rows().into_iter().map(|p| p[0].hypot(p[1])).collect();
        assert!(radii.iter().all(|&r| r <= 10.0 + 1e-12) && radii.iter().any(|&r| r > 9.99));
        assert_eq!(radii.iter().filter(|&&r| r < 1e-9).count(), 20);
    }
}
