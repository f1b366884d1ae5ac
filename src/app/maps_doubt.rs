//! Whether coil maps in another convention explain the data better: conjugate ones, with the origin at index 0, turned over.
//!
//! Each is tried at low resolution, where the maps say as much as at any other, by a few iterations of SENSE.

use super::coils::coil_images;
use super::conventions::centred_order;
use super::{NonCartesian, Sense, recon_options};
use crate::error::{Result, shape_err};
use crate::linop::{Accuracy, NufftOptions};
use crate::run::Device;
use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewD, Axis};
use num_complex::Complex32;
use std::f32::consts::PI;
use std::fmt;

/// What is done to maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapsChange {
    /// All values conjugated.
    pub conjugated: bool,
    /// Brought from FFT order to the middle.
    pub shifted: bool,
    /// Turned over along y, and along x.
    pub flipped: [bool; 2],
    /// y and x swapped.
    pub transposed: bool,
}

impl fmt::Display for MapsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flip = match self.flipped {
            [false, false] => "",
            [true, false] => "flipped along y",
            [false, true] => "flipped along x",
            [true, true] => "flipped along y and x",
        };
        let parts = [
            (self.conjugated, "conjugated"),
            (self.shifted, "shifted by half of the image"),
            (!flip.is_empty(), flip),
            (self.transposed, "with y and x swapped"),
        ];
        let parts: Vec<&str> = parts.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
        f.write_str(&parts.join(" and "))
    }
}

/// Maps that explain the data much better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetterMaps {
    /// What was done to them.
    pub change: MapsChange,
    /// ‖W^½(A x − y)‖/‖W^½y‖ with the maps as they are, at low resolution.
    pub before: f64,
    /// The same with the changed maps.
    pub after: f64,
}

/// Extents of the small problem at most.
const SMALL: usize = 48;
const ITERATIONS: usize = 10;

/// Maps (coil, y, x) changed such that they explain Cartesian k-space (coil, ky, kx) much better; None where no change does, or where
/// there are fewer than two coils.
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn better_maps(
    kspace: ArrayView3<Complex32>,
    mask: ArrayView2<f32>,
    maps: ArrayView3<Complex32>,
) -> Result<Option<BetterMaps>> {
    let (_, ny, nx) = kspace.dim();
    let cut = |n: usize| {
        let small = n.min(SMALL);
        n / 2 - small / 2..n / 2 - small / 2 + small
    };
    let kspace = kspace.slice(ndarray::s![.., cut(ny), cut(nx)]).to_owned();
    let mask = mask.slice(ndarray::s![cut(ny), cut(nx)]).to_owned();
    let device = Device::host();
    best(maps, &|maps| {
        let sense = Sense::new(maps.view(), mask.view())?;
        let options = recon_options().lambda(1e-3 * sense.scale()).iterations(ITERATIONS);
        Ok(sense.solve(kspace.view(), options, &device)?.misfit)
    })
}

/// The same for samples (coil, …) along a trajectory (…, 2) in cycles per field of view with weights (…).
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn better_maps_of_samples(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    maps: ArrayView3<Complex32>,
) -> Result<Option<BetterMaps>> {
    let (coils, ny, nx) = maps.dim();
    let half = [ny, nx].map(|n| n.min(SMALL) as f64 / 2.0);
    let points = trajectory.as_standard_layout().into_owned().into_shape_with_order((trajectory.len() / 2, 2));
    let points = points.map_err(|e| crate::Error::Shape(e.to_string()))?;
    let inside: Vec<usize> = points
        .outer_iter()
        .enumerate()
        .filter(|(_, k)| (0..2).all(|d| k[d].abs() <= half[d]))
        .map(|(at, _)| at)
        .collect();
    let weights = ndarray::Array1::from_iter(density.iter().copied()).select(Axis(0), &inside).into_dyn();
    let points = points.select(Axis(0), &inside).into_dyn();
    let samples = kspace.as_standard_layout().into_owned().into_shape_with_order((coils, kspace.len() / coils.max(1)));
    let samples = samples.map_err(|e| crate::Error::Shape(e.to_string()))?.select(Axis(1), &inside).into_dyn();
    if weights.iter().all(|w| *w == 0.0) {
        return Ok(None);
    }
    let device = Device::host();
    best(maps, &|maps| {
        let maps = maps.view().into_dyn();
        let model = NonCartesian::new(
            maps,
            points.view(),
            weights.view(),
            NufftOptions::default().accuracy(Accuracy::Tol(1e-3)),
        )?;
        let options = recon_options().lambda(1e-3 * model.scale()).iterations(ITERATIONS);
        Ok(model.solve(samples.view(), options, &device)?.misfit)
    })
}

/// The part of the energy of k-space (coil, ky, kx) that lies where the maps (coil, y, x) are 0, seen by its acquired centre at low
/// resolution; None where that is too small to see.
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn energy_outside(
    kspace: ArrayView3<Complex32>,
    mask: ArrayView2<f32>,
    maps: ArrayView3<Complex32>,
) -> Result<Option<f64>> {
    /// Lines on either side of the centre.
    const LEAST: usize = 6;
    const MOST: usize = 16;
    if kspace.dim() != maps.dim() || mask.dim() != (kspace.dim().1, kspace.dim().2) {
        return shape_err!(
            "k-space of {:?} with a mask of {:?} and maps of {:?}",
            kspace.dim(),
            mask.dim(),
            maps.dim()
        );
    }
    let (_, ny, nx) = kspace.dim();
    let acquired = |half: usize| {
        let block = |n: usize| n / 2 - half..n / 2 + half + 1;
        mask.slice(ndarray::s![block(ny), block(nx)]).iter().all(|m| *m != 0.0)
    };
    let most = MOST.min(ny.min(nx).saturating_sub(2) / 2);
    let Some(half) = (LEAST..=most).rev().find(|half| acquired(*half)) else { return Ok(None) };
    let hann = |at: usize, n: usize| {
        let offset = at.abs_diff(n / 2);
        if offset > half { 0.0 } else { 0.5 + 0.5 * (PI * offset as f32 / (half + 1) as f32).cos() }
    };
    let mut low = kspace.to_owned();
    low.indexed_iter_mut().for_each(|((_, y, x), v)| *v *= hann(y, ny) * hann(x, nx));
    let images = coil_images(low.view())?;
    let (mut outside, mut all) = (0.0, 0.0);
    for ((_, y, x), v) in images.indexed_iter() {
        let energy = f64::from(v.norm_sqr());
        all += energy;
        if maps.slice(ndarray::s![.., y, x]).iter().all(|s| *s == Complex32::default()) {
            outside += energy;
        }
    }
    Ok((all > 0.0).then(|| outside / all))
}

fn best(maps: ArrayView3<Complex32>, misfit: &dyn Fn(&Array3<Complex32>) -> Result<f64>) -> Result<Option<BetterMaps>> {
    /// So much less is no chance.
    const LESS: f64 = 0.6;
    let (coils, ny, nx) = maps.dim();
    if coils < 2 {
        return Ok(None);
    }
    let before = misfit(&small(maps.to_owned()))?;
    let geometry = [
        MapsChange::default(),
        MapsChange { shifted: true, ..MapsChange::default() },
        MapsChange { flipped: [true, false], ..MapsChange::default() },
        MapsChange { flipped: [false, true], ..MapsChange::default() },
        MapsChange { flipped: [true, true], ..MapsChange::default() },
        MapsChange { transposed: ny == nx, ..MapsChange::default() },
    ];
    let mut found: Option<BetterMaps> = None;
    for change in [false, true].into_iter().flat_map(|c| geometry.map(|g| MapsChange { conjugated: c, ..g })) {
        if change == MapsChange::default() {
            continue;
        }
        let after = misfit(&small(changed(maps, change)))?;
        if after < LESS * before && found.is_none_or(|f| after < 0.9 * f.after) {
            found = Some(BetterMaps { change, before, after });
        }
    }
    Ok(found)
}

fn changed(maps: ArrayView3<Complex32>, change: MapsChange) -> Array3<Complex32> {
    let mut maps = if change.transposed { maps.permuted_axes([0, 2, 1]).to_owned() } else { maps.to_owned() };
    for axis in [1, 2] {
        if change.flipped[axis - 1] {
            maps.invert_axis(Axis(axis));
        }
        if change.shifted {
            centred_order(&mut maps, Axis(axis));
        }
    }
    if change.conjugated {
        maps.mapv_inplace(|v| v.conj());
    }
    maps
}

/// Maps on a coarser grid over the same field of view.
fn small(maps: Array3<Complex32>) -> Array3<Complex32> {
    let (coils, ny, nx) = maps.dim();
    let at = |index: usize, n: usize| {
        let small = n.min(SMALL);
        let place = (index as f64 - (small / 2) as f64) * n as f64 / small as f64 + (n / 2) as f64;
        (place.round().max(0.0) as usize).min(n - 1)
    };
    Array3::from_shape_fn((coils, ny.min(SMALL), nx.min(SMALL)), |(c, y, x)| maps[[c, at(y, ny), at(x, nx)]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{SampleOptions, ScanOptions, density::ramp_density, sample_scan, scan, trajectory};

    /// Maps of complex phase that no symmetry leaves as they are.
    fn turned(mut maps: Array3<Complex32>) -> Array3<Complex32> {
        let (_, ny, nx) = maps.dim();
        for ((c, y, x), v) in maps.indexed_iter_mut() {
            let (y, x) = (y as f32 / ny as f32 - 0.5, x as f32 / nx as f32 - 0.5);
            *v *= Complex32::cis((c as f32 + 1.0) * (y + 0.6 * x) + c as f32 * c as f32 * x * y);
        }
        maps
    }

    fn kspace_of(maps: &Array3<Complex32>, image: &ndarray::Array2<Complex32>) -> Array3<Complex32> {
        let mut k = maps * image;
        crate::fourier::centred_dft(k.view_mut(), Axis(1), false);
        crate::fourier::centred_dft(k.view_mut(), Axis(2), false);
        k
    }

    #[test]
    fn what_was_done_to_maps_is_found() {
        let scan = scan(&ScanOptions::default().ny(56).nx(56).coils(4).acceleration(2).noise(0.001)).unwrap();
        let maps = turned(scan.maps);
        let kspace = kspace_of(&maps, &scan.reference) * &scan.mask.mapv(Complex32::from);
        assert_eq!(better_maps(kspace.view(), scan.mask.view(), maps.view()).unwrap(), None);
        for change in [
            MapsChange { conjugated: true, ..MapsChange::default() },
            MapsChange { shifted: true, ..MapsChange::default() },
            MapsChange { flipped: [true, false], ..MapsChange::default() },
            MapsChange { transposed: true, ..MapsChange::default() },
        ] {
            // Of even extent each is its own inverse.
            let wrong = changed(maps.view(), change);
            let found = better_maps(kspace.view(), scan.mask.view(), wrong.view()).unwrap();
            let found = found.unwrap_or_else(|| panic!("{change}"));
            assert_eq!(found.change, change, "{found:?}");
            assert!(found.after < 0.1 && found.before > 0.2, "{found:?}");
        }
        let one = maps.slice(ndarray::s![..1, .., ..]);
        assert_eq!(better_maps(kspace.slice(ndarray::s![..1, .., ..]), scan.mask.view(), one).unwrap(), None);
    }

    #[test]
    fn maps_without_support_are_seen() {
        let scan = scan(&ScanOptions::default().ny(48).nx(40).coils(3).acceleration(2).noise(0.001)).unwrap();
        let outside = |maps: &Array3<Complex32>| {
            energy_outside(scan.kspace.view(), scan.mask.view(), maps.view()).unwrap().unwrap()
        };
        assert_eq!(outside(&scan.maps), 0.0);
        // The head, and half of it.
        let mut cropped = scan.maps.clone();
        cropped
            .indexed_iter_mut()
            .filter(|((_, y, x), _)| scan.reference[[*y, *x]].norm() < 0.05)
            .for_each(|(_, v)| *v *= 0.0);
        assert!(outside(&cropped) < 0.2, "{}", outside(&cropped));
        cropped.slice_mut(ndarray::s![.., ..24, ..]).fill(Complex32::default());
        assert!(outside(&cropped) > 0.35, "{}", outside(&cropped));
        let empty = energy_outside(scan.kspace.view(), ndarray::Array2::zeros((48, 40)).view(), scan.maps.view());
        assert_eq!(empty.unwrap(), None);
    }

    #[test]
    fn samples_anywhere_tell_as_well() {
        let k = trajectory::golden_radial(40, 64, 56).unwrap().into_dyn();
        let scan = sample_scan(k.view(), &SampleOptions::default().ny(56).nx(56).coils(4).noise(0.001)).unwrap();
        let w = ramp_density(k.view()).unwrap();
        let ask = |maps: &Array3<Complex32>| {
            better_maps_of_samples(scan.kspace.view(), k.view(), w.view(), maps.view()).unwrap()
        };
        assert_eq!(ask(&scan.maps), None);
        let change = MapsChange { conjugated: true, ..MapsChange::default() };
        let found = ask(&changed(scan.maps.view(), change)).unwrap();
        assert!(found.change.conjugated && found.after < 0.6 * found.before, "{found:?}");
        assert_eq!(
            MapsChange { conjugated: true, shifted: true, ..change }.to_string(),
            "conjugated and shifted by half of the image"
        );
    }
}
