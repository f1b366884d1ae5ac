//! A simulated parallel-imaging scan of the head in three dimensions.

use super::noise::Generator;
use super::phantom::shepp_logan_volume_kspace;
use super::scan::narrow;
use super::sensitivity::{ORDER, Sensitivity, ring};
use crate::Result;
use crate::error::value_err;
use crate::fourier::centred_dft;
use crate::setters::setters;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, Array4, Axis};
use num_complex::{Complex32, Complex64};
use std::f64::consts::PI;

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VolumeScanOptions {
    /// Extents of the image (z, y, x): partitions, phase-encoding lines, samples of a line.
    pub matrix: [usize; 3],
    /// Receive coils around the head, every second one above its middle, the others below.
    pub coils: usize,
    /// Every how many-th partition and line is acquired, (1, 1) is a full scan.
    pub acceleration: [usize; 2],
    /// Partitions and lines around the centre that are acquired all, for calibration.
    pub centre_lines: usize,
    /// Standard deviation of the complex noise in each coil's fully sampled image, as a fraction
    /// of the head's brightest value.
    pub noise: f64,
    /// The same seed gives the same noise.
    pub seed: u64,
}

setters! { VolumeScanOptions {
    /// With these extents (z, y, x).
    matrix: [usize; 3],
    /// With so many coils.
    coils: usize,
    /// With every so many-th partition and line.
    acceleration: [usize; 2],
    /// With so many partitions and lines around the centre.
    centre_lines: usize,
    /// With noise of this standard deviation.
    noise: f64,
    /// With other noise.
    seed: u64,
} }

impl Default for VolumeScanOptions {
    /// 64 × 64 × 64, 8 coils, every second line and 24 in the centre, 0.5 % noise.
    fn default() -> Self {
        VolumeScanOptions { matrix: [64; 3], coils: 8, acceleration: [1, 2], centre_lines: 24, noise: 0.005, seed: 1 }
    }
}

/// A simulated scan, in the convention of the centred orthonormal DFT.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeScan {
    /// k-space (coil, kz, ky, kx); 0 where the mask is 0.
    pub kspace: Array4<Complex32>,
    /// Sensitivities (coil, z, y, x).
    pub maps: Array4<Complex32>,
    /// 1 where the line (kz, ky) was acquired, else 0.
    pub mask: Array2<f32>,
    /// What a full scan without noise and with one uniform coil gives (z, y, x), about 1 at its brightest.
    pub reference: Array3<Complex32>,
}

/// Largest index of a coefficient along z.
const ORDER_Z: usize = 1;
/// How much a coil's sensitivity changes from the middle of the field of view to its end.
const RISE: f64 = 0.6;

/// Simulates a scan of [`shepp_logan_volume`](super::shepp_logan_volume). The k-space is analytic: it is not made from voxels.
///
/// The sensitivities are those of [`scan`](super::scan()) in each slice, times 1 ± 0.6 sin πz, by turns from coil to coil.
///
/// ```
/// use linops::app::{VolumeScanOptions, volume_scan};
/// let scan = volume_scan(&VolumeScanOptions::default().matrix([4, 12, 10]).coils(2).centre_lines(4))?;
/// assert_eq!((scan.kspace.shape(), scan.mask.shape()), (&[2, 4, 12, 10][..], &[4, 12][..]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent, acceleration or coil number of 0, more centre lines than lines, too many
/// values, or a noise that is negative or not finite.
pub fn volume_scan(options: &VolumeScanOptions) -> Result<VolumeScan> {
    check(options)?;
    let &VolumeScanOptions { matrix: [nz, ny, nx], coils, noise, seed, .. } = options;
    let sensitivities = ring(coils)?;
    let head = half_step_kspace([nz, ny, nx]);
    let (order, order_z) = (ORDER as usize, ORDER_Z);
    let mask = mask(options);
    let mut kspace = Array4::<Complex32>::zeros((coils, nz, ny, nx));
    for (coil, (mut kspace, sensitivity)) in kspace.axis_iter_mut(Axis(0)).zip(&sensitivities).enumerate() {
        let along_z = waves_of(coil);
        kspace.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(kz, mut plane)| {
            for (ky, mut line) in plane.axis_iter_mut(Axis(0)).enumerate().filter(|(ky, _)| mask[[kz, *ky]] != 0.0) {
                for (kx, value) in line.iter_mut().enumerate() {
                    // ρ̂(k − l/2): in half steps 2k − l, and the table starts at minus the order.
                    let mut sum = Complex64::ZERO;
                    for (lz, z) in along_z.iter().enumerate() {
                        let plane = head.index_axis(Axis(0), 2 * kz + 2 * order_z - lz);
                        let terms = sensitivity.coefficients.indexed_iter();
                        sum += z * terms
                            .map(|((ly, lx), a)| a * plane[[2 * ky + 2 * order - ly, 2 * kx + 2 * order - lx]])
                            .sum::<Complex64>();
                    }
                    *value = narrow(sum);
                }
            }
        });
    }
    let mut generator = Generator::new(seed);
    for ((_, kz, ky, _), value) in kspace.indexed_iter_mut() {
        let noise = narrow(generator.complex_normal() * noise);
        *value = if mask[[kz, ky]] != 0.0 { *value + noise } else { Complex32::ZERO };
    }
    let body =
        Array3::from_shape_fn((nz, ny, nx), |(kz, ky, kx)| head[[2 * kz + order_z, 2 * ky + order, 2 * kx + order]]);
    Ok(VolumeScan { kspace, maps: maps(&sensitivities, [nz, ny, nx]), mask, reference: inverse(body) })
}

/// 1 ± RISE sin πz as waves exp(iπ l z), l from −1 to 1.
fn waves_of(coil: usize) -> [Complex64; 3] {
    let half = Complex64::new(0.0, if coil.is_multiple_of(2) { RISE } else { -RISE } / 2.0);
    [half, Complex64::ONE, -half]
}

fn maps(sensitivities: &[Sensitivity], [nz, ny, nx]: [usize; 3]) -> Array4<Complex32> {
    let place = |n: usize, extent: usize| (n as f64 - (extent / 2) as f64) / extent as f64;
    let mut maps = Array4::zeros((sensitivities.len(), nz, ny, nx));
    for (coil, (mut map, sensitivity)) in maps.axis_iter_mut(Axis(0)).zip(sensitivities).enumerate() {
        let slice = Array2::from_shape_fn((ny, nx), |(y, x)| sensitivity.at(place(y, ny), place(x, nx)));
        let rise = if coil.is_multiple_of(2) { RISE } else { -RISE };
        for (z, mut plane) in map.axis_iter_mut(Axis(0)).enumerate() {
            let along_z = 1.0 + rise * (PI * place(z, nz)).sin();
            plane.zip_mut_with(&slice, |to, from| *to = narrow(from * along_z));
        }
    }
    maps
}

fn check(options: &VolumeScanOptions) -> Result<()> {
    let &VolumeScanOptions { matrix: [nz, ny, nx], coils, acceleration: [rz, ry], centre_lines, noise, .. } = options;
    for (name, value) in [("nz", nz), ("ny", ny), ("nx", nx), ("coils", coils), ("acceleration", rz.min(ry))] {
        if value == 0 {
            return value_err!("{name} is 0, expected at least 1");
        }
    }
    let values = [ny, nx, coils].into_iter().try_fold(nz, |n, extent| n.checked_mul(extent));
    // Sixteen bytes each in several arrays, eight times as many in the table of half steps.
    if values.is_none_or(|n| n > 1 << 29) || (nz.max(ny).max(nx) > 1024) {
        return value_err!("{coils} coils of {nz} x {ny} x {nx} are too many values; use smaller extents");
    }
    if centre_lines > ny {
        return value_err!("{centre_lines} centre lines, but there are only {ny} lines");
    }
    if !noise.is_finite() || noise < 0.0 {
        return value_err!("noise is {noise}, expected a fraction such as 0.01, or 0");
    }
    Ok(())
}

/// The head's k-space in steps of 1/2, the orders beyond the grid on all sides, scaled for the orthonormal DFT.
fn half_step_kspace([nz, ny, nx]: [usize; 3]) -> Array3<Complex64> {
    let extent = |n: usize, order: usize| 2 * (n - 1) + 1 + 2 * order;
    let frequency = |index: usize, n: usize, order: usize| (index as f64 - order as f64) / 2.0 - (n / 2) as f64;
    let scale = ((nz * ny * nx) as f64).sqrt();
    let order = ORDER as usize;
    let mut table = Array3::zeros((extent(nz, ORDER_Z), extent(ny, order), extent(nx, order)));
    table.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(z, mut plane)| {
        let kz = frequency(z, nz, ORDER_Z);
        for ((y, x), value) in plane.indexed_iter_mut() {
            *value = shepp_logan_volume_kspace(frequency(x, nx, order), frequency(y, ny, order), kz) * scale;
        }
    });
    table
}

fn mask(options: &VolumeScanOptions) -> Array2<f32> {
    let &VolumeScanOptions { matrix: [nz, ny, _], acceleration: [rz, ry], centre_lines, .. } = options;
    let block = |n: usize| {
        let length = centre_lines.min(n);
        let first = n / 2 - length / 2;
        first..first + length
    };
    Array2::from_shape_fn((nz, ny), |(kz, ky)| {
        let regular = kz % rz == (nz / 2) % rz && ky % ry == (ny / 2) % ry;
        f32::from(regular || (block(nz).contains(&kz) && block(ny).contains(&ky)))
    })
}

/// The image of k-space on the grid.
fn inverse(mut kspace: Array3<Complex64>) -> Array3<Complex32> {
    for axis in 0..3 {
        centred_dft(kspace.view_mut(), Axis(axis), true);
    }
    kspace.mapv(narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scan_combines_to_the_reference() {
        let options = VolumeScanOptions::default().matrix([10, 32, 28]).coils(3).acceleration([1, 1]).noise(0.0);
        let scan = volume_scan(&options).unwrap();
        let mut images = scan.kspace.clone();
        for axis in 1..4 {
            centred_dft(images.view_mut(), Axis(axis), true);
        }
        let power = scan.maps.mapv(|s| s.norm_sqr()).sum_axis(Axis(0));
        let combined = (images * scan.maps.mapv(|s| s.conj())).sum_axis(Axis(0)) / power.mapv(Complex32::from);
        let norm = |a: &Array3<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        let error = norm(&(combined - &scan.reference)) / norm(&scan.reference);
        // Coarse voxels: band limiting S·ρ and S times the band-limited ρ differ near edges.
        assert!(error < 0.08, "{error}");
        // The middle slice is brighter than the outermost, which the head does not reach.
        let slice = |z: usize| scan.reference.index_axis(Axis(0), z).iter().map(|v| v.norm()).sum::<f32>();
        assert!(slice(5) > 5.0 * slice(0), "{} {}", slice(5), slice(0));
    }

    #[test]
    fn mask_and_noise_follow_the_options() {
        let options = VolumeScanOptions::default().matrix([8, 16, 6]).coils(2).acceleration([2, 3]).centre_lines(4);
        let scan = volume_scan(&options).unwrap();
        // ky = 8 mod 3 are 2, 5, 8, 11, 14; kz = 0, 2, 4, 6; and 4 × 4 in the centre.
        assert_eq!(scan.mask.sum(), 4.0 * 5.0 + 16.0 - 2.0 * 1.0);
        let off = scan.kspace.index_axis(Axis(1), 1);
        assert!(off.iter().all(|v| v.norm() == 0.0) && scan.mask.row(1).sum() == 0.0);
        assert_eq!(volume_scan(&options).unwrap(), scan);
        assert_ne!(volume_scan(&options.clone().seed(2)).unwrap().kspace, scan.kspace);
        let bad = |o: VolumeScanOptions| volume_scan(&o).unwrap_err().to_string();
        assert!(bad(options.clone().matrix([0, 4, 4])).contains("nz is 0"));
        assert!(bad(options.clone().acceleration([1, 0])).contains("acceleration"));
        assert!(bad(options.clone().centre_lines(17)).contains("only 16 lines"));
        assert!(bad(options.clone().matrix([4096, 4, 4])).contains("too many"));
        assert!(bad(options.noise(-1.0)).contains("noise"));
    }
}
