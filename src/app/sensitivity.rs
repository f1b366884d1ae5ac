//! Simulated receive coils whose k-space is exact.
//!
//! A sensitivity is a trigonometric polynomial S(r) = Σ a_l exp(iπ l·r), so the transform of S·ρ is
//! the finite sum Σ a_l ρ̂(k − l/2): no raster, no inverse crime. After Guerquin-Kern, Lejeune,
//! Pruessmann and Unser, "Realistic analytical phantoms for parallel MRI", IEEE Trans. Med. Imaging
//! 31:626 (2012). The period of two fields of view lets a map differ at opposite edges.

use super::dense::invert_positive;
use crate::{Error, Result};
use ndarray::Array2;
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

/// Largest index of a coefficient in either direction.
pub(super) const ORDER: isize = 3;
const TERMS: usize = 2 * ORDER as usize + 1;
/// Points per direction at which the profiles are fitted.
const FIT_POINTS: usize = 32;
/// Distance of the loops from the centre, in fields of view.
const RING: f64 = 0.65;
/// Radius of a loop, in fields of view.
const LOOP: f64 = 0.4;

/// One coil's coefficients a_l, indexed by (l_y + ORDER, l_x + ORDER).
#[derive(Debug, Clone)]
pub(super) struct Sensitivity {
    pub coefficients: Array2<Complex64>,
}

impl Sensitivity {
    /// S at r, in fields of view from the centre, y downwards.
    pub(super) fn at(&self, y: f64, x: f64) -> Complex64 {
        let (ey, ex) = (waves(y), waves(x));
        let rows = self.coefficients.rows();
        rows.into_iter().zip(ey).map(|(row, wy)| wy * row.iter().zip(ex).map(|(a, wx)| a * wx).sum::<Complex64>()).sum()
    }
}

/// `count` coils around the head, the root of their summed squares 1 at the centre.
///
/// # Errors
/// [`Error::Value`] when the fit fails, which no input should make it do.
pub(super) fn ring(count: usize) -> Result<Vec<Sensitivity>> {
    let points: Vec<f64> = (0..FIT_POINTS).map(|i| (i as f64 + 0.5) / FIT_POINTS as f64 - 0.5).collect();
    let fit = fit_matrix(&points)?;
    let mut coils: Vec<Sensitivity> = (0..count)
        .map(|coil| {
            let angle = TAU * coil as f64 / count as f64;
            let profile =
                Array2::from_shape_fn((FIT_POINTS, FIT_POINTS), |(i, j)| loop_field(points[i], points[j], angle));
            // The waves are a tensor product, and so is their least-squares fit.
            let coefficients = fit.dot(&profile).dot(&fit.t());
            Sensitivity { coefficients }
        })
        .collect();
    let centre: f64 = coils.iter().map(|s| s.at(0.0, 0.0).norm_sqr()).sum();
    for coil in &mut coils {
        coil.coefficients /= Complex64::from(centre.sqrt());
    }
    Ok(coils)
}

/// The field of a loop, with the fall-off that Biot and Savart's law gives along its axis, and a
/// phase that turns with depth.
fn loop_field(y: f64, x: f64, angle: f64) -> Complex64 {
    let (sin, cos) = angle.sin_cos();
    let distance = (y - RING * sin).hypot(x - RING * cos);
    let depth = y * sin + x * cos;
    let magnitude = (1.0 + (distance / LOOP).powi(2)).powf(-1.5);
    Complex64::from_polar(magnitude, angle + 0.8 * depth)
}

/// exp(iπ l·t) for all l.
fn waves(t: f64) -> [Complex64; TERMS] {
    std::array::from_fn(|l| Complex64::cis(PI * (l as f64 - ORDER as f64) * t))
}

/// (BᴴB + ε)⁻¹Bᴴ of the waves at `points`.
fn fit_matrix(points: &[f64]) -> Result<Array2<Complex64>> {
    // The waves are nearly dependent over half their period; this keeps the coefficients small.
    let ridge = 1e-6 * points.len() as f64;
    let waves = Array2::from_shape_fn((points.len(), TERMS), |(i, l)| waves(points[i])[l]);
    let adjoint = waves.t().mapv(|v| v.conj());
    let normal = adjoint.dot(&waves) + Array2::<Complex64>::eye(TERMS) * Complex64::from(ridge);
    let inverse = invert_positive(normal).ok_or_else(|| Error::Value("the coil sensitivity fit is singular".into()))?;
    Ok(inverse.dot(&adjoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_is_close_and_tame() {
        let coils = ring(8).unwrap();
        let scale = coils[0].at(0.0, 0.0).norm() / loop_field(0.0, 0.0, 0.0).norm();
        for (y, x) in [(0.0, 0.0), (0.3, -0.2), (-0.4, 0.4), (0.05, 0.45)] {
            let expected = loop_field(y, x, 0.0) * scale;
            assert!((coils[0].at(y, x) - expected).norm() < 0.01, "{y} {x}");
        }
        for coil in &coils {
            assert!(coil.coefficients.iter().all(|a| a.norm() < 10.0));
        }
        let power: f64 = coils.iter().map(|s| s.at(0.0, 0.0).norm_sqr()).sum();
        assert!((power - 1.0).abs() < 1e-12);
    }
}
