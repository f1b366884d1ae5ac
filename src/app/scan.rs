//! A simulated parallel-imaging scan of the Shepp-Logan head.

use super::noise::Generator;
use super::phantom::shepp_logan_kspace;
use super::sensitivity::{ORDER, Sensitivity, ring};
use crate::error::value_err;
use crate::fourier::centred_dft;
use crate::setters::setters;
use crate::{Error, Result};
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, Axis};
use num_complex::{Complex32, Complex64};

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Rows of the image, phase-encoding lines of k-space.
    pub ny: usize,
    /// Columns of the image, samples of a line.
    pub nx: usize,
    /// Receive coils around the head.
    pub coils: usize,
    /// Every how many-th line is acquired; 1 is a full scan.
    pub acceleration: usize,
    /// Lines around the centre that are acquired all, for calibration.
    pub centre_lines: usize,
    /// Standard deviation of the complex noise in each coil's fully sampled image, as a fraction
    /// of the head's brightest value. (The DFT is orthonormal: it is the same in k-space.)
    pub noise: f64,
    /// The same seed gives the same noise.
    pub seed: u64,
}

setters! { ScanOptions {
    /// With so many rows.
    ny: usize,
    /// With so many columns.
    nx: usize,
    /// With so many coils.
    coils: usize,
    /// With every so many-th line.
    acceleration: usize,
    /// With so many lines around the centre.
    centre_lines: usize,
    /// With noise of this standard deviation.
    noise: f64,
    /// With other noise.
    seed: u64,
} }

impl Default for ScanOptions {
    /// 256 × 256, 8 coils, every third line and 24 in the centre, 0.5 % noise.
    fn default() -> Self {
        ScanOptions { ny: 256, nx: 256, coils: 8, acceleration: 3, centre_lines: 24, noise: 0.005, seed: 1 }
    }
}

/// A simulated scan, in the convention of the centred orthonormal DFT.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// k-space (coil, ky, kx); 0 where the mask is 0.
    pub kspace: Array3<Complex32>,
    /// Sensitivities (coil, y, x); the sum of their squares is 1 at the centre only.
    pub maps: Array3<Complex32>,
    /// 1 where (ky, kx) was acquired, else 0.
    pub mask: Array2<f32>,
    /// What a full scan without noise and with one uniform coil gives (y, x): the inverse DFT of
    /// the head's own k-space, about 1 at its brightest.
    pub reference: Array2<Complex32>,
}

/// Simulates a scan. The k-space is analytic: it is not made from a raster image.
///
/// # Errors
/// [`Error::Value`] for an extent, acceleration or coil number of 0, more centre lines than lines,
/// or a noise that is negative or not finite.
pub fn scan(options: &ScanOptions) -> Result<Scan> {
    check(options)?;
    let &ScanOptions { ny, nx, coils, .. } = options;
    let sensitivities = ring(coils)?;
    let head = half_step_kspace(ny, nx);
    let order = ORDER as usize;
    let body = Array2::from_shape_fn((ny, nx), |(ky, kx)| head[[2 * ky + order, 2 * kx + order]]);
    let mask = mask(options);
    let mut kspace = Array3::<Complex32>::zeros((coils, ny, nx));
    kspace.axis_iter_mut(Axis(0)).into_par_iter().zip(&sensitivities).for_each(|(mut kspace, sensitivity)| {
        for ((ky, kx), value) in kspace.indexed_iter_mut() {
            // ρ̂(k − l/2): in half steps 2k − l, and the table starts at −ORDER.
            let terms = sensitivity
                .coefficients
                .indexed_iter()
                .map(|((ly, lx), a)| a * head[[2 * ky + 2 * order - ly, 2 * kx + 2 * order - lx]]);
            *value = narrow(terms.sum());
        }
    });
    add_noise(kspace.iter_mut(), options.noise, options.seed);
    kspace *= &mask.mapv(Complex32::from);
    Ok(Scan { kspace, maps: maps(&sensitivities, ny, nx), mask, reference: inverse(body) })
}

/// The sensitivities at the pixels (coil, y, x).
pub(super) fn maps(sensitivities: &[Sensitivity], ny: usize, nx: usize) -> Array3<Complex32> {
    let place = |n: usize, extent: usize| (n as f64 - (extent / 2) as f64) / extent as f64;
    let mut maps = Array3::zeros((sensitivities.len(), ny, nx));
    maps.axis_iter_mut(Axis(0)).into_par_iter().zip(sensitivities).for_each(|(mut map, sensitivity)| {
        for ((y, x), value) in map.indexed_iter_mut() {
            *value = narrow(sensitivity.at(place(y, ny), place(x, nx)));
        }
    });
    maps
}

/// Adds complex Gaussian noise of this standard deviation.
pub(super) fn add_noise<'a>(values: impl Iterator<Item = &'a mut Complex32>, deviation: f64, seed: u64) {
    let mut generator = Generator::new(seed);
    for value in values {
        *value += narrow(generator.complex_normal() * deviation);
    }
}

fn check(options: &ScanOptions) -> Result<()> {
    for (name, value) in
        [("ny", options.ny), ("nx", options.nx), ("coils", options.coils), ("acceleration", options.acceleration)]
    {
        if value == 0 {
            return value_err!("{name} is 0, expected at least 1");
        }
    }
    let values = options.ny.checked_mul(options.nx).and_then(|n| n.checked_mul(options.coils));
    // Eight bytes each in several arrays: beyond this a slip of the keyboard is likelier.
    if values.is_none_or(|n| n > 1 << 31) {
        return value_err!(
            "{} coils of {} x {} are too many values; use smaller extents",
            options.coils,
            options.ny,
            options.nx
        );
    }
    if options.centre_lines > options.ny {
        return value_err!("{} centre lines, but there are only {} lines", options.centre_lines, options.ny);
    }
    if !options.noise.is_finite() || options.noise < 0.0 {
        return Err(Error::Value(format!("noise is {}, expected a fraction such as 0.01, or 0", options.noise)));
    }
    Ok(())
}

/// The head's k-space in steps of 1/2, `ORDER` steps beyond the grid on all sides, scaled for the
/// orthonormal DFT.
fn half_step_kspace(ny: usize, nx: usize) -> Array2<Complex64> {
    let extent = |n: usize| 2 * (n - 1) + 1 + 2 * ORDER as usize;
    let frequency = |index: usize, n: usize| (index as f64 - ORDER as f64) / 2.0 - (n / 2) as f64;
    let scale = ((ny * nx) as f64).sqrt();
    let mut table = Array2::zeros((extent(ny), extent(nx)));
    table.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut values)| {
        let ky = frequency(row, ny);
        for (column, value) in values.iter_mut().enumerate() {
            *value = shepp_logan_kspace(frequency(column, nx), ky) * scale;
        }
    });
    table
}

fn mask(options: &ScanOptions) -> Array2<f32> {
    let centre = options.ny / 2;
    let first = centre - options.centre_lines / 2;
    let block = first..first + options.centre_lines;
    Array2::from_shape_fn((options.ny, options.nx), |(ky, _)| {
        let regular = ky % options.acceleration == centre % options.acceleration;
        f32::from(regular || block.contains(&ky))
    })
}

/// The image of k-space on the grid.
pub(super) fn inverse(mut kspace: Array2<Complex64>) -> Array2<Complex32> {
    centred_dft(kspace.view_mut(), Axis(0), true);
    centred_dft(kspace.view_mut(), Axis(1), true);
    kspace.mapv(narrow)
}

pub(super) fn narrow(value: Complex64) -> Complex32 {
    Complex32::new(value.re as f32, value.im as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::shepp_logan_image;

    fn small() -> ScanOptions {
        ScanOptions::default().ny(96).nx(80).coils(4)
    }

    #[test]
    fn a_full_scan_combines_to_the_reference() {
        let scan = scan(&small().acceleration(1).noise(0.0)).unwrap();
        let mut images = scan.kspace.clone();
        centred_dft(images.view_mut(), Axis(1), true);
        centred_dft(images.view_mut(), Axis(2), true);
        let power = scan.maps.mapv(|s| s.norm_sqr()).sum_axis(Axis(0));
        let combined = (images * scan.maps.mapv(|s| s.conj())).sum_axis(Axis(0)) / power.mapv(Complex32::from);
        let norm = |a: &Array2<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        // Band limiting S·ρ and S times the band-limited ρ differ only near edges.
        let error = norm(&(combined - &scan.reference)) / norm(&scan.reference);
        assert!(error < 0.03, "{error}");
        let peak = scan.reference.iter().fold(0.0f32, |a, v| a.max(v.norm()));
        assert!((0.9..1.3).contains(&peak), "{peak}");
    }

    #[test]
    fn the_kspace_is_that_of_the_weighted_image() {
        let options = small().acceleration(1).noise(0.0);
        let scan = scan(&options).unwrap();
        let image = shepp_logan_image(options.ny, options.nx).mapv(Complex32::from);
        let mut raster = &scan.maps * &image;
        centred_dft(raster.view_mut(), Axis(1), false);
        centred_dft(raster.view_mut(), Axis(2), false);
        let (cy, cx) = (options.ny / 2, options.nx / 2);
        let peak = scan.kspace[[0, cy, cx]].norm();
        // The raster is good at low frequencies only.
        for (coil, ky, kx) in [(0, 0, 0), (1, 1, 0), (2, 0, 2), (3, 3, 1), (0, 2, 3)] {
            let at = [coil, cy + ky - 1, cx + kx - 1];
            assert!((raster[at] - scan.kspace[at]).norm() < 2e-3 * peak, "{at:?}");
        }
    }

    #[test]
    fn mask_and_noise_follow_the_options() {
        let options = small();
        let scan = super::scan(&options).unwrap();
        assert_eq!(scan.mask[[48, 0]], 1.0);
        let lines = scan.mask.column(0).sum();
        assert_eq!(lines, 24.0 + 24.0);
        let unsampled = scan.kspace.index_axis(Axis(1), 1);
        assert_eq!(scan.mask[[1, 0]], 0.0);
        assert!(unsampled.iter().all(|v| v.norm() == 0.0));
        assert_eq!(super::scan(&options).unwrap(), scan);
        let other = options.clone().seed(2);
        assert_ne!(super::scan(&other).unwrap().kspace, scan.kspace);
        let quiet = options.noise(0.0);
        let noise = scan.kspace - super::scan(&quiet).unwrap().kspace;
        let power = noise.iter().map(|v| v.norm_sqr()).sum::<f32>() / (4.0 * 48.0 * 80.0);
        assert!((power.sqrt() - 0.005).abs() < 1e-4);
    }

    #[test]
    fn bad_options_are_errors() {
        let bad = |change: fn(&mut ScanOptions)| {
            let mut options = small();
            change(&mut options);
            scan(&options).unwrap_err().to_string()
        };
        assert!(bad(|o| o.ny = 0).contains("ny is 0"));
        assert!(bad(|o| o.acceleration = 0).contains("acceleration"));
        assert!(bad(|o| o.centre_lines = 97).contains("only 96"));
        assert!(bad(|o| o.noise = f64::NAN).contains("noise"));
        assert!(bad(|o| o.nx = usize::MAX).contains("too many"));
    }
}
