//! Coil maps from the gridded centre of k-space.

use super::grid_coils;
use crate::app::coils::{CoilMaps, estimate_maps};
use crate::error::value_err;
use crate::fourier::centred_dft;
use crate::linop::NufftOptions;
use crate::run::Device;
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayViewD, Axis, Ix3};
use num_complex::Complex32;

/// Estimates the sensitivities of a 2-D scan by [`estimate_maps`] (ESPIRiT), from the centre of the Cartesian k-space of its
/// density-compensated adjoint.
///
/// That centre is good where the scan is dense around the centre of k-space, as radial and spiral scans are.
///
/// # Errors
/// The image has not 2 axes; those of [`grid_coils`]; those of [`estimate_maps`].
pub fn calibrate_maps(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    matrix: &[usize],
    options: NufftOptions,
    device: &Device,
) -> Result<CoilMaps> {
    if matrix.len() != 2 {
        return value_err!("coil maps are estimated for images of 2 axes, this one has {}", matrix.len());
    }
    let gridded = gridded_kspace(kspace, trajectory, density, matrix, options, device)?;
    let gridded = gridded.into_dimensionality::<Ix3>().map_err(|e| Error::Shape(e.to_string()))?;
    let found = estimate_maps(gridded.view(), None)?;
    Ok(CoilMaps { method: format!("{} of the gridded k-space", found.method), ..found })
}

/// The Cartesian k-space (coil, k…) of the density-compensated adjoint [`grid_coils`]: what coil maps of images of 2 or 3 axes are
/// estimated from, by [`espirit`](crate::app::espirit) or [`walsh`](crate::app::walsh), where the scan is dense around the centre
/// of k-space.
///
/// # Errors
/// Those of [`grid_coils`].
pub fn gridded_kspace(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    matrix: &[usize],
    options: NufftOptions,
    device: &Device,
) -> Result<ArrayD<Complex32>> {
    let mut images = grid_coils(kspace, trajectory, density, matrix, options, device)?;
    for axis in 1..images.ndim() {
        centred_dft(images.view_mut(), Axis(axis), false);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::density::ramp_density;
    use crate::app::{SampleOptions, sample_scan, trajectory};

    #[test]
    fn finds_the_simulated_maps() {
        let n = 40;
        let k = trajectory::golden_radial(48, n, n).unwrap().into_dyn();
        let options = SampleOptions::default().ny(n).nx(n).coils(4).noise(0.001).seed(1);
        let scan = sample_scan(k.view(), &options).unwrap();
        let w = ramp_density(k.view()).unwrap();
        let calibrate = |matrix: &[usize]| {
            calibrate_maps(scan.kspace.view(), k.view(), w.view(), matrix, NufftOptions::default(), &Device::host())
        };
        let found = calibrate(&[n, n]).unwrap();
        assert!(found.method.contains("24 x 24") && found.method.contains("gridded"), "{}", found.method);
        let mut worst = 1.0f32;
        for (y, x) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
            if scan.reference[[y, x]].norm() < 0.15 {
                continue;
            }
            let inner: Complex32 = (0..4).map(|c| found.maps[[c, y, x]].conj() * scan.maps[[c, y, x]]).sum();
            let norm: f32 = (0..4).map(|c| scan.maps[[c, y, x]].norm_sqr()).sum();
            worst = worst.min(inner.norm() / norm.sqrt());
        }
        assert!(worst > 0.97, "{worst}");
        assert!(calibrate(&[n, n, n]).unwrap_err().to_string().contains("2 axes"));
    }
}
