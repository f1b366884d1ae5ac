//! Coil sensitivities from the fully sampled centre of k-space, by ESPIRiT.
//!
//! Uecker et al., "ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI", Magn. Reson.
//! Med. 71:990 (2014). Patches of the calibration data span a signal subspace; its projector,
//! averaged over the patch and taken to the image domain, is a small matrix at each pixel whose
//! eigenvector of eigenvalue 1 holds the sensitivities.

mod calibration;
mod subspace;

use super::dense::leading;
use crate::Result;
use crate::allocate::expect_room;
use crate::error::value_err;
use crate::fourier::centred_dft;
use calibration::{Block, HINT};
use ndarray::parallel::prelude::*;
use ndarray::{Array, Array1, Array2, Array3, Array4, ArrayView3, ArrayView4, Axis, RemoveAxis};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

/// Singular values below this fraction of the largest are noise (the paper's and SigPy's choice).
const THRESHOLD: f64 = 0.02;
/// Where the eigenvalue is below this, there is no signal and the map is 0.
const CROP: f64 = 0.95;
/// Side of a patch, where the calibration block is large enough.
const KERNEL: usize = 6;
/// Power iterations per pixel at most; where they do not suffice, there is no signal.
const ITERATIONS: usize = 100;

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

/// The images (coil, y, x) of k-space (coil, ky, kx): the inverse centred orthonormal DFT of each coil.
///
/// # Errors
/// No memory for them.
pub fn coil_images(kspace: ArrayView3<Complex32>) -> Result<Array3<Complex32>> {
    expect_room((kspace.len() as u64).saturating_mul(2 * 8), "the images of the coils")?;
    let mut images = kspace.to_owned();
    for axis in [Axis(1), Axis(2)] {
        centred_dft(images.view_mut(), axis, true);
    }
    Ok(images)
}

/// Estimates the sensitivities from k-space (coil, ky, kx), zero where it was not acquired.
///
/// The calibration block is the largest acquired one around the centre, up to 24 × 24; with
/// `calibration` (8 to 32) it has that many lines and columns.
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) when fewer than 8 centre lines or columns were acquired,
/// or fewer than `calibration`, when that is out of range, when the data are not finite, or when
/// no pixel has a signal.
pub fn estimate_maps(kspace: ArrayView3<Complex32>, calibration: Option<usize>) -> Result<CoilMaps> {
    let (coils, ny, nx) = kspace.dim();
    if kspace.iter().any(|v| !v.is_finite()) {
        return value_err!("the k-space holds NaN or infinity; coil maps need finite data");
    }
    let block = Block::find(kspace, calibration)?;
    let data = block.cut(kspace);
    let kernel = KERNEL.min(block.smaller_side() / 2);
    let (row, pixels) = ((coils * kernel * kernel) as u64, (ny * nx) as u64);
    let patches = ((block.ky.len() + 1 - kernel) * (block.kx.len() + 1 - kernel)) as u64;
    // The patches twice and six matrices over them; or thrice, two, and the projector; or that and the maps in two orders.
    let solving = 2 * row * patches + 6 * patches * patches;
    let closing = 3 * row * patches + 2 * patches * patches + row * row;
    let maps = pixels.saturating_mul(16 * coils as u64 + 4);
    let bytes = (16 * solving.max(closing)).max((16 * row * row).saturating_add(maps));
    expect_room(bytes, "the estimation of coil maps")?;
    let Some(projector) = subspace::projector(data.view(), kernel, THRESHOLD) else {
        return value_err!("the centre of k-space is empty; {HINT}");
    };
    let patch = kernel * kernel;
    let Ok(projector) = projector.into_shape_with_order((coils, patch, coils, patch)) else {
        return value_err!("the projector does not split into {coils} coils of {patch} samples");
    };
    let lags = average_over_patch(projector.view(), kernel);
    let reference = principal_coil(data.view());

    let mut maps = Array3::<Complex32>::zeros((ny, nx, coils));
    let mut eigenvalue = Array2::<f32>::zeros((ny, nx));
    maps.axis_iter_mut(Axis(0)).into_par_iter().zip(eigenvalue.axis_iter_mut(Axis(0))).enumerate().for_each(
        |(y, (mut row_maps, mut row_values))| {
            // Separable: the lags along y once for the row, those along x for each pixel.
            let row = transform(&lags, y, ny);
            for x in 0..nx {
                let (value, vector) = leading(transform(&row, x, nx).view(), ITERATIONS, 1e-5);
                row_values[x] = value as f32;
                if value >= CROP {
                    let phase = phase_to(&reference, &vector);
                    for (to, from) in row_maps.row_mut(x).iter_mut().zip(&vector) {
                        let turned = from * phase;
                        *to = Complex32::new(turned.re as f32, turned.im as f32);
                    }
                }
            }
        },
    );
    if maps.iter().all(|v| v.norm_sqr() == 0.0) {
        return value_err!("ESPIRiT found no signal in the calibration data; {HINT}");
    }
    let maps = maps.permuted_axes([2, 0, 1]);
    Ok(CoilMaps {
        maps: maps.as_standard_layout().into_owned(),
        eigenvalue,
        method: format!(
            "ESPIRiT from {} x {} centre samples, {kernel} x {kernel} kernel",
            block.ky.len(),
            block.kx.len()
        ),
    })
}

/// The projector (coil, p, coil', p') summed over patch positions of the same lag p − p', as
/// (lag y, lag x, coil, coil').
fn average_over_patch(projector: ArrayView4<Complex64>, kernel: usize) -> Array4<Complex64> {
    let (coils, patch, ..) = projector.dim();
    let lags = 2 * kernel - 1;
    let mut out = Array4::zeros((lags, lags, coils, coils));
    let scale = 1.0 / patch as f64;
    for ((c, p, d, q), value) in projector.indexed_iter() {
        let lag_y = p / kernel + kernel - 1 - q / kernel;
        let lag_x = p % kernel + kernel - 1 - q % kernel;
        out[[lag_y, lag_x, c, d]] += value * scale;
    }
    out
}

/// Sums the first axis, the lags −(L−1)/2…(L−1)/2, with exp(2πi lag·(n − c)/N).
fn transform<D: RemoveAxis>(lags: &Array<Complex64, D>, n: usize, extent: usize) -> Array<Complex64, D::Smaller> {
    let position = (n as f64 - (extent / 2) as f64) / extent as f64;
    let mut out = Array::zeros(lags.raw_dim().remove_axis(Axis(0)));
    let largest = (lags.len_of(Axis(0)) / 2) as f64;
    for (index, lag) in lags.axis_iter(Axis(0)).enumerate() {
        out.scaled_add(Complex64::cis(TAU * (index as f64 - largest) * position), &lag);
    }
    out
}

/// The combination of coils with the most energy in the calibration data.
fn principal_coil(data: ArrayView3<Complex32>) -> Array1<Complex64> {
    let coils = data.len_of(Axis(0));
    let covariance = Array2::from_shape_fn((coils, coils), |(c, d)| {
        let (c, d) = (data.index_axis(Axis(0), c), data.index_axis(Axis(0), d));
        c.iter()
            .zip(&d)
            .map(|(a, b)| {
                let product = a * b.conj();
                Complex64::new(product.re.into(), product.im.into())
            })
            .sum()
    });
    leading(covariance.view(), 1000, 1e-9).1
}

/// The unit factor that makes the inner product of `reference` with `vector` real and positive.
fn phase_to(reference: &Array1<Complex64>, vector: &Array1<Complex64>) -> Complex64 {
    let inner: Complex64 = reference.iter().zip(vector).map(|(r, v)| r.conj() * v).sum();
    let norm = inner.norm();
    if norm > 0.0 { inner.conj() / norm } else { Complex64::ONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};

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
        assert!(message(&kspace, Some(40)).contains("8 to 32"));
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
