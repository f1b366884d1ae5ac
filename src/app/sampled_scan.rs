//! A simulated parallel-imaging scan of the Shepp-Logan head along any trajectory.

use super::phantom::shepp_logan_kspace;
use super::scan::{add_noise, inverse, maps, narrow};
use super::sensitivity::{ORDER, Sensitivity, ring};
use crate::error::value_err;
use crate::setters::setters;
use crate::{Error, Result};
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, ArrayD, ArrayView2, ArrayViewD, Axis, IxDyn};
use num_complex::{Complex32, Complex64};

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SampleOptions {
    /// Rows of the image.
    pub ny: usize,
    /// Columns of the image.
    pub nx: usize,
    /// Receive coils around the head.
    pub coils: usize,
    /// Standard deviation of the complex noise of a sample, in the scale of [`SampledScan::kspace`].
    pub noise: f64,
    /// The same seed gives the same noise.
    pub seed: u64,
}

setters! { SampleOptions {
    /// With so many rows.
    ny: usize,
    /// With so many columns.
    nx: usize,
    /// With so many coils.
    coils: usize,
    /// With noise of this standard deviation.
    noise: f64,
    /// With other noise.
    seed: u64,
} }

impl Default for SampleOptions {
    /// 256 × 256, 8 coils, noise of 0.005.
    fn default() -> Self {
        SampleOptions { ny: 256, nx: 256, coils: 8, noise: 0.005, seed: 1 }
    }
}

/// A simulated non-Cartesian scan, in the scale of the orthonormal non-uniform Fourier transform.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledScan {
    /// k-space (coil, …), the axes behind the coil as those of the trajectory.
    pub kspace: ArrayD<Complex32>,
    /// Sensitivities (coil, y, x); the sum of their squares is 1 at the centre only.
    pub maps: Array3<Complex32>,
    /// What a full Cartesian scan without noise and with one uniform coil gives (y, x), about 1 at its brightest.
    pub reference: Array2<Complex32>,
}

/// Simulates a scan along a trajectory (…, (y, x)) in cycles per field of view. The k-space is analytic: no gridding made it.
///
/// # Errors
/// [`Error::Value`] for a trajectory that is not (…, 2) or not finite, an extent or a number of coils of 0, or a noise that is
/// negative or not finite.
pub fn sample_scan(trajectory: ArrayViewD<f64>, options: &SampleOptions) -> Result<SampledScan> {
    let &SampleOptions { ny, nx, coils, noise, seed } = options;
    for (name, value) in [("ny", ny), ("nx", nx)] {
        if value == 0 || value > 1 << 15 {
            return value_err!("{name} is {value}, expected 1 to 32768");
        }
    }
    if !noise.is_finite() || noise < 0.0 {
        return value_err!("the noise is {noise}; expected a finite number from 0 on");
    }
    let scale = ((ny * nx) as f64).sqrt();
    let mut kspace = head_kspace(trajectory, coils)?.mapv(|v| narrow(v * scale));
    add_noise(kspace.iter_mut(), noise, seed);
    let c = |extent: usize, k: usize| k as f64 - (extent / 2) as f64;
    let body = Array2::from_shape_fn((ny, nx), |(ky, kx)| shepp_logan_kspace(c(nx, kx), c(ny, ky)) * scale);
    Ok(SampledScan { kspace, maps: maps(&ring(coils)?, ny, nx), reference: inverse(body) })
}

/// The continuous Fourier transform of the head seen by each of `coils` coils around it, in f64 and closed form, at the points
/// of a trajectory (…, (y, x)) in cycles per field of view: (coil, …).
///
/// The scale is that of [`shepp_logan_kspace`]; the sensitivities are those of [`SampledScan::maps`].
///
/// # Errors
/// [`Error::Value`] for a trajectory that is not (…, 2) or not finite, or no coils.
pub fn head_kspace(trajectory: ArrayViewD<f64>, coils: usize) -> Result<ArrayD<Complex64>> {
    let shape = trajectory.shape().to_vec();
    let Some((2, axes)) = shape.split_last() else {
        return value_err!("a trajectory of shape {shape:?}, expected (…, 2)");
    };
    if trajectory.iter().any(|v| !v.is_finite()) {
        return value_err!("the trajectory is NaN or infinite somewhere");
    }
    if coils == 0 {
        return value_err!("coils is 0, expected at least 1");
    }
    let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    let points: usize = axes.iter().product();
    let flat = trajectory.as_standard_layout().into_owned().into_shape_with_order((points, 2)).map_err(wrong)?;
    let values = at_points(flat.view(), &ring(coils)?);
    let extents: Vec<usize> = std::iter::once(coils).chain(axes.iter().copied()).collect();
    values.into_shape_with_order(IxDyn(&extents)).map_err(wrong)
}

/// Σ a_l ρ̂(k − l/2) for each coil, as (coil, point).
fn at_points(points: ArrayView2<f64>, sensitivities: &[Sensitivity]) -> Array2<Complex64> {
    let mut values = Array2::zeros((points.nrows(), sensitivities.len()));
    values.axis_iter_mut(Axis(0)).into_par_iter().zip(points.axis_iter(Axis(0))).for_each(|(mut value, k)| {
        let half = |index: usize| (index as isize - ORDER) as f64 / 2.0;
        let terms = 2 * ORDER as usize + 1;
        let head =
            Array2::from_shape_fn((terms, terms), |(ly, lx)| shepp_logan_kspace(k[1] - half(lx), k[0] - half(ly)));
        for (to, coil) in value.iter_mut().zip(sensitivities) {
            *to = coil.coefficients.iter().zip(&head).map(|(a, rho)| a * rho).sum();
        }
    });
    values.reversed_axes().as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};

    #[test]
    fn on_the_grid_it_is_the_cartesian_scan() {
        let (ny, nx) = (24, 20);
        let grid = Array3::from_shape_fn(
            (ny, nx, 2),
            |(y, x, axis)| if axis == 0 { y as f64 - 12.0 } else { x as f64 - 10.0 },
        );
        let options = SampleOptions::default().ny(ny).nx(nx).coils(3).noise(0.0).seed(1);
        let found = sample_scan(grid.view().into_dyn(), &options).unwrap();
        let cartesian =
            ScanOptions::default().ny(ny).nx(nx).coils(3).acceleration(1).centre_lines(0).noise(0.0).seed(1);
        let expected = scan(&cartesian).unwrap();
        let difference = &found.kspace - &expected.kspace.into_dyn();
        assert!(difference.iter().all(|v| v.norm() < 1e-6));
        assert_eq!(found.maps, expected.maps);
        assert!((&found.reference - &expected.reference).iter().all(|v| v.norm() < 1e-6));
    }

    #[test]
    fn bad_options_are_errors() {
        let k = ArrayD::zeros(vec![4, 2]);
        let message = |k: &ArrayD<f64>, change: fn(&mut SampleOptions)| {
            let mut options = SampleOptions::default().ny(8).nx(8).coils(2);
            change(&mut options);
            sample_scan(k.view(), &options).unwrap_err().to_string()
        };
        assert!(message(&k, |o| o.coils = 0).contains("coils is 0"));
        assert!(message(&k, |o| o.ny = 0).contains("ny is 0"));
        assert!(message(&k, |o| o.noise = -1.0).contains("noise is -1"));
        assert!(message(&ArrayD::zeros(vec![4, 3]), |_| ()).contains("expected (…, 2)"));
        assert!(message(&ArrayD::from_elem(vec![4, 2], f64::NAN), |_| ()).contains("NaN"));
    }
}
