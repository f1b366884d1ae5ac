//! Coil sensitivities from the fully sampled centre of k-space: by ESPIRiT, or by Walsh's adaptive combination.

mod calibration;
mod espirit;
mod pixels;
mod subspace;
mod walsh;

pub use espirit::{EspiritOptions, espirit};
pub use walsh::{WalshOptions, walsh};

use crate::allocate::expect_room;
use crate::fourier::centred_dft;

use crate::error::shape_err;
use crate::{Error, Result};
use ndarray::{
    Array, Array2, Array3, ArrayD, ArrayView, ArrayView3, ArrayView4, ArrayViewD, Axis, Ix2, Ix3, Ix4, RemoveAxis,
};
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

/// The images (coil, image…) of k-space (coil, ky, kx) or (coil, kz, ky, kx): the inverse centred orthonormal DFT of each coil.
///
/// # Errors
/// No memory for them.
pub fn coil_images<D: RemoveAxis>(kspace: ArrayView<Complex32, D>) -> Result<Array<Complex32, D>> {
    expect_room((kspace.len() as u64).saturating_mul(2 * 8), "the images of the coils")?;
    let mut images = kspace.to_owned();
    for axis in 1..images.ndim() {
        centred_dft(images.view_mut(), Axis(axis), true);
    }
    Ok(images)
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
    use crate::app::{Cartesian, ScanOptions, VolumeScanOptions, recon_options, scan, volume_scan};
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

    /// The least |⟨found, true⟩| of unit vectors over the pixels that the head is in.
    fn agreement(found: &ArrayD<Complex32>, maps: &ArrayD<Complex32>, image: &ArrayD<Complex32>) -> f64 {
        let mut worst = 1.0f64;
        for (at, value) in image.indexed_iter().filter(|(_, v)| v.norm() > 0.15) {
            let at = ndarray::Dimension::slice(&at).to_vec();
            let of = |a: &ArrayD<Complex32>, c: usize| subspace::wide(a[[&[c], &at[..]].concat().as_slice()]);
            let coils = 0..maps.len_of(Axis(0));
            let inner: num_complex::Complex64 = coils.clone().map(|c| of(found, c).conj() * of(maps, c)).sum();
            let norm: f64 = coils.map(|c| of(maps, c).norm_sqr()).sum();
            assert!(value.is_finite());
            worst = worst.min(inner.norm() / norm.sqrt());
        }
        worst
    }

    #[test]
    fn the_eigenvalue_is_1_within_the_head() {
        let scan = scan(&ScanOptions::default().ny(48).nx(40).coils(4).noise(0.001)).unwrap();
        let found = espirit(scan.kspace.view().into_dyn(), &EspiritOptions::default()).unwrap();
        for ((y, x), _) in scan.reference.indexed_iter().filter(|(_, v)| v.norm() > 0.15) {
            let value = found.eigenvalues[[0, y, x]];
            assert!((value - 1.0).abs() < 1e-2, "{value} at {y} {x}");
        }
        assert!(found.eigenvalues[[0, 0, 0]] < 0.9);
        let maps = scan.maps.into_dyn();
        let image = scan.reference.into_dyn();
        let worst = agreement(&found.set(0).unwrap(), &maps, &image);
        assert!(worst > 0.995, "{worst}");
        // Of Walsh's method near the truth.
        let found = walsh(scan.kspace.view().into_dyn(), &WalshOptions::default()).unwrap();
        let worst = agreement(&found.set(0).unwrap(), &maps, &image);
        assert!(worst > 0.97, "{worst}");
        assert!(found.method.contains("Walsh") && found.eigenvalues[[0, 24, 20]] > 0.95);
    }

    #[test]
    fn maps_of_a_volume_are_found() {
        let options = VolumeScanOptions::default().matrix([16, 32, 28]).coils(4).acceleration([2, 2]).noise(0.001);
        let scan = volume_scan(&options.centre_lines(12)).unwrap();
        let (maps, image) = (scan.maps.into_dyn(), scan.reference.into_dyn());
        let found = espirit(scan.kspace.view().into_dyn(), &EspiritOptions::default()).unwrap();
        assert!(found.method.contains("12 x 12 x 24") && found.method.contains("4 x 4 x 4 kernel"), "{}", found.method);
        let worst = agreement(&found.set(0).unwrap(), &maps, &image);
        assert!(worst > 0.96, "{worst}");
        let found = walsh(scan.kspace.view().into_dyn(), &WalshOptions::default().window(3)).unwrap();
        let worst = agreement(&found.set(0).unwrap(), &maps, &image);
        assert!(worst > 0.9, "{worst}");
    }

    /// The eigenvalues at a pixel by the definition, in f64: singular vectors of the patches, each as the convolution kernel of a
    /// coil, zero-padded and transformed.
    fn eigenvalues_by_definition(
        kspace: &Array3<Complex32>,
        kernel: usize,
        threshold: f64,
        [y, x]: [usize; 2],
    ) -> Vec<f64> {
        use num_complex::Complex64;
        let (coils, ny, nx) = kspace.dim();
        let patch = kernel * kernel;
        let positions = (ny + 1 - kernel) * (nx + 1 - kernel);
        let rows = nalgebra::DMatrix::from_fn(positions, coils * patch, |i, j| {
            let (c, p) = (j / patch, j % patch);
            let (a, b) = (i / (nx + 1 - kernel) + p / kernel, i % (nx + 1 - kernel) + p % kernel);
            subspace::wide(kspace[[c, a, b]])
        });
        let svd = rows.svd(false, true);
        let (values, v) = (svd.singular_values, svd.v_t.unwrap());
        let place = |n: usize, extent: usize| (n as f64 - (extent / 2) as f64) / extent as f64;
        let kept: Vec<usize> = (0..values.len()).filter(|i| values[*i] > threshold * values.max()).collect();
        // G(coil, kernel): each singular vector's transform at the pixel.
        let g = nalgebra::DMatrix::from_fn(coils, kept.len(), |c, i| {
            (0..patch)
                .map(|p| {
                    let (a, b) = ((p / kernel) as f64, (p % kernel) as f64);
                    // A row of V transposed is the conjugate of the patch's own vector.
                    v[(kept[i], c * patch + p)].conj()
                        * Complex64::cis(-std::f64::consts::TAU * (a * place(y, ny) + b * place(x, nx)))
                })
                .sum::<Complex64>()
                / (patch as f64).sqrt()
        });
        let mut found: Vec<f64> = (&g * g.adjoint()).symmetric_eigenvalues().iter().copied().collect();
        found.sort_by(|a, b| b.total_cmp(a));
        found
    }

    #[test]
    fn eigenvalues_are_those_of_the_definition() {
        // Points of an object, each seen by all coils: few singular values, and far from the threshold.
        let points = [(3.0, -2.0), (-5.0, 4.0), (0.5, 6.0), (2.0, 2.0)];
        let (ny, nx, coils) = (18, 16, 3);
        let kspace = Array3::from_shape_fn((coils, ny, nx), |(c, ky, kx)| {
            let k = |i: usize, n: usize| (i as f64 - (n / 2) as f64) / n as f64;
            let at = |(i, (py, px)): (usize, &(f64, f64))| {
                let seen = num_complex::Complex64::from_polar(1.0 + 0.3 * (c * i) as f64, (c + 2 * i) as f64);
                seen * num_complex::Complex64::cis(-std::f64::consts::TAU * (k(ky, ny) * py + k(kx, nx) * px))
            };
            let v: num_complex::Complex64 = points.iter().enumerate().map(at).sum();
            Complex32::new(v.re as f32, v.im as f32)
        });
        let options = EspiritOptions::default().kernel(Some(4)).threshold(0.01).crop(0.0).sets(2);
        let found = espirit(kspace.view().into_dyn(), &options).unwrap();
        for at in [[9, 8], [12, 6], [4, 12], [0, 0], [11, 10]] {
            let want = eigenvalues_by_definition(&kspace, 4, 0.01, at);
            for (set, want) in want.iter().take(2).enumerate() {
                let value = f64::from(found.eigenvalues[[set, at[0], at[1]]]);
                assert!((value - want).abs() < 2e-3, "{value} and {want} at {at:?}");
            }
        }
    }

    #[test]
    fn a_folded_object_has_two_sets() {
        // Of a field of view of 64 lines half is taken: what lies 32 lines apart folds onto one pixel.
        let scan = scan(&ScanOptions::default().ny(64).nx(32).coils(6).acceleration(1).noise(0.0)).unwrap();
        let folded = scan.kspace.slice(ndarray::s![.., ..;2, ..]).to_owned().into_dyn();
        let found = espirit(folded.view(), &EspiritOptions::default().sets(2).threshold(0.003).crop(0.9)).unwrap();
        let (mut both, mut edges, mut worst) = (0, 0, 1.0f64);
        for y in 0..32 {
            for x in 0..32 {
                let (a, b) = (y + 16, (y + 48) % 64);
                if scan.reference[[a, x]].norm() < 0.15 || scan.reference[[b, x]].norm() < 0.15 {
                    continue;
                }
                both += 1;
                // At edges, within what the patches blur, one of the two fades.
                if found.eigenvalues[[1, y, x]] < 0.95 {
                    edges += 1;
                    continue;
                }
                // The true sensitivities lie in the space of the two.
                for row in [a, b] {
                    let of = |set: usize, c: usize| subspace::wide(found.maps[[c, set, y, x]]);
                    let truth = |c: usize| subspace::wide(scan.maps[[c, row, x]]);
                    let norm: f64 = (0..6).map(|c| truth(c).norm_sqr()).sum();
                    let within: f64 = (0..2)
                        .map(|s| (0..6).map(|c| of(s, c).conj() * truth(c)).sum::<num_complex::Complex64>().norm_sqr())
                        .sum();
                    worst = worst.min((within / norm).sqrt());
                }
            }
        }
        assert!(both > 100 && 3 * edges < both && worst > 0.98, "{worst} of {both}, {edges} at edges");
        // The data are explained by both sets, and not by one.
        let mask = ndarray::ArrayD::ones(vec![32, 32]);
        let misfit = |maps: ArrayD<Complex32>, sets: bool| {
            let of = if sets { Cartesian::with_sets } else { Cartesian::new };
            let model = of(maps.view(), mask.view()).unwrap();
            model.solve(folded.view(), recon_options().lambda(1e-4), &crate::Device::host()).unwrap().misfit
        };
        let (one, two) = (misfit(found.set(0).unwrap(), false), misfit(found.maps.clone(), true));
        assert!(two < 0.1 && one > 3.0 * two, "{one} {two}");
    }

    #[test]
    fn options_out_of_range_are_errors() {
        let kspace = ArrayD::<Complex32>::ones(vec![2, 32, 32]);
        let message = |o: EspiritOptions| espirit(kspace.view(), &o).unwrap_err().to_string();
        let options = EspiritOptions::default;
        assert!(message(options().sets(3)).contains("1 to the number of coils, 2"));
        assert!(message(options().threshold(1.5)).contains("such as 0.02"));
        assert!(message(options().crop(f64::NAN)).contains("from 0 to 1"));
        assert!(message(options().kernel(Some(13))).contains("at most half of them: 12"));
        assert!(message(options().kernel(Some(0))).contains("at least 1"));
        let e = walsh(kspace.view(), &WalshOptions::default().window(0)).unwrap_err().to_string();
        assert!(e.contains("0 pixels"), "{e}");
        let e = espirit(ArrayD::zeros(vec![2, 3]).view(), &options()).unwrap_err().to_string();
        assert!(e.contains("(coil, ky, kx) or (coil, kz, ky, kx)"), "{e}");
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
