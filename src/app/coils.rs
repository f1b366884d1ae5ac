//! Coil sensitivities from the fully sampled centre of k-space: by ESPIRiT, or by Walsh's adaptive combination.

mod calibration;
mod espirit;
mod pixels;
mod subspace;
mod walsh;

pub use espirit::{EspiritOptions, espirit};
pub use walsh::{WalshOptions, walsh};

use crate::error::shape_err;
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayD, ArrayView3, ArrayView4, ArrayViewD, Axis, Ix2, Ix3, Ix4};
use num_complex::Complex32;

/// Estimated sensitivities.
#[derive(Debug, Clone, PartialEq)]
pub struct CoilMaps {
    /// Sensitivities (coil, y, x): at each pixel a unit vector, or 0 where there is no signal. Its
    /// phase is that of the strongest combination of coils.
    pub maps: Array3<Complex32>,
    /// The largest eigenvalue at each pixel (y, x): 1 inside the object.
    pub eigenvalue: Array2<f32>,
    /// How the maps were made, for the user.
    pub method: String,
}

/// Estimated sensitivities of one or several sets, over images of 2 or 3 axes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MapSets {
    /// Sensitivities (coil, set, image…): for each set at each pixel a unit vector, or 0 where the set has no signal. Its phase
    /// is such that the combination of coils with the most energy in the calibration data is real and positive.
    pub maps: ArrayD<Complex32>,
    /// What each set was judged by (set, image…): of ESPIRiT the eigenvalue, 1 where the set has a signal; of Walsh the part
    /// of the energy that the set explains.
    pub eigenvalues: ArrayD<f32>,
    /// How the maps were made, for the user.
    pub method: String,
}

impl MapSets {
    /// The sensitivities (coil, image…) of one set.
    ///
    /// # Errors
    /// There is no such set.
    pub fn set(&self, index: usize) -> Result<ArrayD<Complex32>> {
        match self.maps.shape().get(1) {
            Some(&sets) if index < sets => Ok(self.maps.index_axis(Axis(1), index).as_standard_layout().into_owned()),
            sets => shape_err!("no set {index} of coil maps, there are {}", sets.unwrap_or(&0)),
        }
    }
}

/// Estimates the sensitivities from k-space (coil, ky, kx), zero where it was not acquired, by [`espirit`] with one set.
///
/// The calibration block is the largest acquired one around the centre, up to 24 × 24; with
/// `calibration` (4 to 64) it has that many lines and columns.
///
/// # Errors
/// Those of [`espirit`].
pub fn estimate_maps(kspace: ArrayView3<Complex32>, calibration: Option<usize>) -> Result<CoilMaps> {
    let found = espirit(kspace.into_dyn(), &EspiritOptions::default().calibration(calibration))?;
    let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    Ok(CoilMaps {
        maps: found.set(0)?.into_dimensionality::<Ix3>().map_err(wrong)?,
        eigenvalue: found.eigenvalues.index_axis_move(Axis(0), 0).into_dimensionality::<Ix2>().map_err(wrong)?,
        method: found.method,
    })
}

/// k-space (coil, ky, kx) or (coil, kz, ky, kx) as (coil, kz, ky, kx).
fn volume<'a>(kspace: &'a ArrayViewD<'a, Complex32>) -> Result<ArrayView4<'a, Complex32>> {
    let view = match kspace.ndim() {
        3 => kspace.view().insert_axis(Axis(1)),
        4 => kspace.view(),
        _ => {
            return shape_err!(
                "coil maps are estimated from k-space (coil, ky, kx) or (coil, kz, ky, kx); this one has shape {:?}",
                kspace.shape()
            );
        }
    };
    if view.is_empty() {
        return shape_err!("coil maps are estimated from k-space of shape {:?}, which is empty", kspace.shape());
    }
    view.into_dimensionality::<Ix4>().map_err(|e| Error::Shape(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};
    use ndarray::Array3;

    #[test]
    fn finds_the_simulated_maps() {
        let scan = scan(&ScanOptions::default().ny(96).nx(80).coils(6).noise(0.001)).unwrap();
        let found = estimate_maps(scan.kspace.view(), None).unwrap();
        assert!(found.method.contains("24 x 24"), "{}", found.method);
        let mut worst = 1.0f32;
        for y in 0..96 {
            for x in 0..80 {
                if scan.reference[[y, x]].norm() < 0.15 {
                    continue;
                }
                let inner: Complex32 = (0..6).map(|c| found.maps[[c, y, x]].conj() * scan.maps[[c, y, x]]).sum();
                let norm: f32 = (0..6).map(|c| scan.maps[[c, y, x]].norm_sqr()).sum();
                worst = worst.min(inner.norm() / norm.sqrt());
            }
        }
        assert!(worst > 0.98, "{worst}");
        // The corner holds nothing.
        assert!(found.maps[[0, 0, 0]].norm() == 0.0);
    }

    #[test]
    fn too_little_calibration_is_an_error() {
        let mut kspace = Array3::<Complex32>::ones((2, 32, 32));
        let message = |k: &Array3<Complex32>, n| estimate_maps(k.view(), n).unwrap_err().to_string();
        assert!(message(&kspace, Some(80)).contains("4 to 64"));
        assert!(estimate_maps(kspace.view(), Some(16)).is_ok());
        kspace.slice_mut(ndarray::s![.., ..14, ..]).fill(Complex32::ZERO);
        let short = message(&kspace, None);
        assert!(short.contains("5 centre lines") && short.contains("--maps"), "{short}");
        kspace.fill(Complex32::ZERO);
        assert!(message(&kspace, None).contains("--maps"));
        kspace[[0, 0, 0]].re = f32::NAN;
        assert!(message(&kspace, None).contains("NaN"));
    }
}
