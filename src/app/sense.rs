//! Cartesian SENSE: the image that explains undersampled multi-coil k-space best.
//!
//! minimise ‖M F S x − y‖² + λ‖x‖² with coil sensitivities S, the centred orthonormal DFT F and the sampling mask M.
//! Pruessmann et al., Magn. Reson. Med. 42:952 (1999); by conjugate gradients: 46:638 (2001).

use super::Cartesian;
use super::least_squares::{Reconstruction, Regularised};
use super::regularise::Regularisation;
use crate::convex::ConvexOptions;
use crate::error::{Error, Result};
use crate::linop::Linop;
use crate::run::Device;
use crate::solve::SolveOptions;
use ndarray::{Array2, ArrayView2, ArrayView3, Ix2};
use num_complex::Complex32;

/// A Cartesian parallel-imaging model of a slice: y = M F S x. [`Cartesian`] has volumes and several sets of maps.
///
/// ```
/// use linops::{Device, app::{nrmse, scan, ScanOptions, Sense, recon_options}};
/// let scan = scan(&ScanOptions::default().ny(48).nx(40).acceleration(2))?;
/// let sense = Sense::new(scan.maps.view(), scan.mask.view())?;
/// let image = sense.solve(scan.kspace.view(), recon_options(), &Device::host())?.image;
/// assert!(nrmse(image.view(), scan.reference.view()) < 0.2);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sense {
    model: Cartesian,
}

impl Sense {
    /// The model of sensitivities (coil, y, x) and a mask (ky, kx) of zeros and ones.
    ///
    /// # Errors
    /// The mask has other extents than the maps, is not 0 or 1 somewhere, or is 0 everywhere; the maps are not finite, or 0
    /// everywhere.
    pub fn new(maps: ArrayView3<Complex32>, mask: ArrayView2<f32>) -> Result<Sense> {
        Ok(Sense { model: Cartesian::new(maps.into_dyn(), mask.into_dyn())? })
    }

    /// The linop, from (Ny, Nx) to (C, Ky, Kx).
    pub fn linop(&self) -> &Linop {
        self.model.linop()
    }

    /// The largest Σ|S|² of all pixels: a bound of the normal's eigenvalues, 1 for normalised maps. λ counts relative to it.
    pub fn scale(&self) -> f32 {
        self.model.scale()
    }

    /// The image without any solving: SᴴFᴴM y, divided by Σ|S|² where that is not 0.
    ///
    /// # Errors
    /// The k-space (coil, ky, kx) has other extents than the model, or the device fails.
    pub fn zero_filled(&self, kspace: ArrayView3<Complex32>, device: &Device) -> Result<Array2<Complex32>> {
        let image = self.model.zero_filled(kspace.into_dyn(), device)?;
        image.into_dimensionality::<Ix2>().map_err(|e| Error::Shape(e.to_string()))
    }

    /// Minimises the objective by conjugate gradients on a device, from x = 0.
    ///
    /// # Errors
    /// The k-space (coil, ky, kx) has other extents than the model, or is not finite; λ or tol is negative or not finite;
    /// no iterations; or the device fails.
    pub fn solve(
        &self,
        kspace: ArrayView3<Complex32>,
        options: SolveOptions,
        device: &Device,
    ) -> Result<Reconstruction> {
        self.model.solve(kspace.into_dyn(), options, device)?.with_rank()
    }

    /// Minimises ½‖M F S x − y‖² + Σ λᵢRᵢ(x) on a device, from `start` (y, x) or from x = 0. Weights that are not given are those of
    /// [`recon_weight`](super::recon_weight).
    ///
    /// ```
    /// use linops::{Device, convex::ConvexOptions, app::{nrmse, scan, ScanOptions, Sense, regularise::Regularisation}};
    /// let scan = scan(&ScanOptions::default().ny(48).nx(40).acceleration(3))?;
    /// let sense = Sense::new(scan.maps.view(), scan.mask.view())?;
    /// let tv = Regularisation::default().terms(vec!["tv:0.002".parse()?]);
    /// let found = sense.regularised(scan.kspace.view(), &tv, None, ConvexOptions::default(), &Device::host())?;
    /// assert!(nrmse(found.image.view(), scan.reference.view()) < 0.2);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The k-space (coil, ky, kx) or the start has other extents than the model, or is not finite; a regulariser that an image
    /// does not have; options that make no sense; or the device fails.
    pub fn regularised(
        &self,
        kspace: ArrayView3<Complex32>,
        regularisation: &Regularisation,
        start: Option<ArrayView2<Complex32>>,
        options: ConvexOptions,
        device: &Device,
    ) -> Result<Regularised> {
        let start = start.map(|x| x.into_dyn());
        self.model.regularised(kspace.into_dyn(), regularisation, start, options, device)?.with_rank()
    }
}

/// ‖image − reference‖ / ‖reference‖; 0 where both are 0.
pub fn nrmse(image: ArrayView2<Complex32>, reference: ArrayView2<Complex32>) -> f64 {
    let square = |v: Complex32| f64::from(v.re).powi(2) + f64::from(v.im).powi(2);
    let difference: f64 = image.iter().zip(reference).map(|(a, b)| square(a - b)).sum();
    let size: f64 = reference.iter().map(|v| square(*v)).sum();
    if difference == 0.0 { 0.0 } else { (difference / size).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::least_squares::times_power;
    use crate::app::{Scan, ScanOptions, recon_options, scan};
    use crate::solve::Stop;
    use crate::tensor::Tensor;
    use ndarray::Array3;

    fn small() -> Scan {
        scan(&ScanOptions::default().ny(40).nx(36).coils(4).acceleration(2)).unwrap()
    }

    #[test]
    fn the_minimiser_has_no_gradient() {
        let scan = small();
        let sense = Sense::new(scan.maps.view(), scan.mask.view()).unwrap();
        let options = || recon_options().lambda(0.05);
        let x = sense.solve(scan.kspace.view(), options(), &Device::host()).unwrap();
        let image = Tensor::from_array(x.image.clone(), "Ny Nx").unwrap();
        let kspace = Tensor::from_array(scan.kspace, "C Ky Kx").unwrap();
        let a = sense.linop();
        let b = a.h().apply(&kspace).unwrap().to_array().unwrap();
        let gradient = a.n().apply(&image).unwrap().to_array().unwrap() + x.image.into_dyn() * 0.05 - &b;
        let norm = |a: &ndarray::ArrayD<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        assert!(norm(&gradient) < 1e-5 * norm(&b));
    }

    #[test]
    fn sense_beats_zero_filling_at_any_scale() {
        let scan = small();
        let sense = Sense::new(scan.maps.view(), scan.mask.view()).unwrap();
        let device = Device::host();
        let options = || recon_options().lambda(1e-3);
        let image = sense.solve(scan.kspace.view(), options(), &device).unwrap().image;
        let filled = sense.zero_filled(scan.kspace.view(), &device).unwrap();
        let error = |image: &Array2<Complex32>| nrmse(image.view(), scan.reference.view());
        assert!(error(&image) < 0.7 * error(&filled), "{} {}", error(&image), error(&filled));
        for power in [-90, 90] {
            let kspace = scan.kspace.mapv(|v| times_power(v, power));
            let scaled = sense.solve(kspace.view(), options(), &device).unwrap().image;
            assert_eq!(scaled.mapv(|v| times_power(v, -power)), image, "2^{power}");
        }
    }

    #[test]
    fn bad_models_are_errors() {
        let scan = small();
        let message = |maps: &Array3<Complex32>, mask: &Array2<f32>| {
            Sense::new(maps.view(), mask.view()).unwrap_err().to_string()
        };
        assert!(message(&scan.maps, &Array2::ones((41, 36))).contains("dim Ky of the mask has extent 41, expected 40"));
        assert!(message(&scan.maps, &Array2::zeros((40, 36))).contains("0 everywhere"));
        assert!(message(&scan.maps, &Array2::from_elem((40, 36), 0.5)).contains("0.5 at [0, 0]"));
        assert!(message(&Array3::zeros((2, 40, 36)), &scan.mask).contains("maps are 0"));
        let sense = Sense::new(scan.maps.view(), scan.mask.view()).unwrap();
        let none = recon_options().iterations(0);
        assert!(sense.solve(scan.kspace.view(), none, &Device::host()).is_err());
        let zeros = Array3::zeros((4, 40, 36));
        let zero = sense.solve(zeros.view(), recon_options(), &Device::host()).unwrap();
        assert_eq!((zero.stop, zero.image.sum().norm()), (Stop::Zero, 0.0));
        let other = Array3::zeros((3, 40, 36));
        let e = sense.solve(other.view(), recon_options(), &Device::host()).unwrap_err().to_string();
        assert!(e.contains("dim C"), "{e}");
    }
}
