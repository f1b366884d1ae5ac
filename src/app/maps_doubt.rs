//! Whether coil maps in another convention explain the data better: conjugate ones, with the origin at index 0, turned over.
//!
//! Each is tried at low resolution, where the maps say as much as at any other, by a few iterations of SENSE.

use super::conventions::centred_order;
use super::{Cartesian, NonCartesian, recon_options};
use crate::error::{Error, Result, shape_err};
use crate::fourier::centred_dft;
use crate::linop::{Accuracy, NufftOptions};
use crate::run::Device;
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, RemoveAxis, Slice};
use num_complex::Complex32;
use std::f32::consts::PI;
use std::fmt;

/// What is done to maps. Axes are (z, y, x); of maps (coil, y, x) there is no z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapsChange {
    /// All values conjugated.
    pub conjugated: bool,
    /// Brought from FFT order to the middle along these axes.
    pub shifted: [bool; 3],
    /// Turned over along these axes.
    pub flipped: [bool; 3],
    /// y and x swapped.
    pub transposed: bool,
}

impl MapsChange {
    /// Whether any axis is brought from FFT order to the middle.
    pub fn is_shifted(&self) -> bool {
        self.shifted.contains(&true)
    }
}

/// "z and y": the axes of a choice.
fn named(axes: [bool; 3]) -> String {
    let names = ["z", "y", "x"].into_iter().zip(axes).filter(|(_, is)| *is).map(|(name, _)| name);
    names.collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for MapsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.conjugated, "conjugated".to_string()),
            (self.is_shifted(), format!("shifted by half of the image along {}", named(self.shifted))),
            (self.flipped.contains(&true), format!("flipped along {}", named(self.flipped))),
            (self.transposed, "with y and x swapped".to_string()),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
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

const ITERATIONS: usize = 10;

/// Extents of the small problem at most, of images of so many axes: work for a second or two on a host.
fn most(axes: usize) -> usize {
    if axes < 3 { 48 } else { 20 }
}

/// Sets of maps (coil, set, y, x) or (coil, set, z, y, x) changed such that they explain Cartesian k-space (coil, ky, kx) or (coil,
/// kz, ky, kx) much better; None where no change does, or where there are fewer than two coils.
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn better_maps<D: Dimension, E: Dimension, F: Dimension>(
    kspace: ArrayView<Complex32, D>,
    mask: ArrayView<f32, E>,
    maps: ArrayView<Complex32, F>,
) -> Result<Option<BetterMaps>> {
    let axes = mask.ndim();
    if !(2..=3).contains(&axes) || kspace.ndim() != axes + 1 || maps.ndim() != axes + 2 {
        return shape_err!(
            "k-space of {:?} with a mask of {:?} and maps (coil, set, …) of {:?}",
            kspace.shape(),
            mask.shape(),
            maps.shape()
        );
    }
    let kspace = centre(kspace.into_dyn().to_owned(), 1, axes);
    let mask = centre(mask.into_dyn().to_owned(), 0, axes);
    let device = Device::host();
    best(maps.into_dyn(), &|maps| {
        let model = Cartesian::with_sets(maps.view(), mask.view())?;
        let options = recon_options().lambda(1e-3 * model.scale()).iterations(ITERATIONS);
        Ok(model.solve(kspace.view(), options, &device)?.misfit)
    })
}

/// The middle of axes from `first` on.
fn centre<T: Clone>(mut values: ArrayD<T>, first: usize, axes: usize) -> ArrayD<T> {
    for axis in first..first + axes {
        let n = values.len_of(Axis(axis));
        let small = n.min(most(axes));
        let start = n / 2 - small / 2;
        values = values.slice_axis(Axis(axis), Slice::from(start..start + small)).to_owned();
    }
    values
}

/// The same for samples (coil, …) along a trajectory (…, D) in cycles per field of view with weights (…), and maps (coil, image…) of
/// D axes.
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn better_maps_of_samples(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    maps: ArrayViewD<Complex32>,
) -> Result<Option<BetterMaps>> {
    let Some((&coils, image)) = maps.shape().split_first().filter(|(_, image)| (2..=3).contains(&image.len())) else {
        return Ok(None);
    };
    let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    let d = image.len();
    let half: Vec<f64> = image.iter().map(|n| (*n).min(most(d)) as f64 / 2.0).collect();
    let points = trajectory.as_standard_layout().into_owned().into_shape_with_order((trajectory.len() / d, d));
    let points = points.map_err(wrong)?;
    let inside: Vec<usize> = points
        .outer_iter()
        .enumerate()
        .filter(|(_, k)| k.iter().zip(&half).all(|(k, half)| k.abs() <= *half))
        .map(|(at, _)| at)
        .collect();
    let weights = ndarray::Array1::from_iter(density.iter().copied()).select(Axis(0), &inside).into_dyn();
    let points = points.select(Axis(0), &inside).into_dyn();
    let samples = kspace.as_standard_layout().into_owned().into_shape_with_order((coils, kspace.len() / coils.max(1)));
    let samples = samples.map_err(wrong)?.select(Axis(1), &inside).into_dyn();
    if weights.iter().all(|w| *w == 0.0) {
        return Ok(None);
    }
    let device = Device::host();
    best(maps.insert_axis(Axis(1)), &|maps| {
        let model = NonCartesian::new(
            maps.index_axis(Axis(1), 0),
            points.view(),
            weights.view(),
            NufftOptions::default().accuracy(Accuracy::Tol(1e-3)),
        )?;
        let options = recon_options().lambda(1e-3 * model.scale()).iterations(ITERATIONS);
        Ok(model.solve(samples.view(), options, &device)?.misfit)
    })
}

/// The part of the energy of k-space (coil, ky, kx) or (coil, kz, ky, kx) that lies where the maps (coil, image…) are 0, seen by its
/// acquired centre at low resolution; None where that is too small to see.
///
/// # Errors
/// The arrays do not fit each other, or there is no memory.
pub fn energy_outside<D: RemoveAxis, E: RemoveAxis>(
    kspace: ArrayView<Complex32, D>,
    mask: ArrayView<f32, E>,
    maps: ArrayView<Complex32, D>,
) -> Result<Option<f64>> {
    /// Lines on either side of the centre.
    const LEAST: usize = 6;
    const MOST: usize = 16;
    if kspace.shape() != maps.shape() || kspace.shape().get(1..) != Some(mask.shape()) {
        return shape_err!(
            "k-space of {:?} with a mask of {:?} and maps of {:?}",
            kspace.shape(),
            mask.shape(),
            maps.shape()
        );
    }
    let extents = mask.shape().to_vec();
    let acquired = |half: usize| {
        let mut block = mask.view();
        for (axis, n) in extents.iter().enumerate() {
            block.slice_axis_inplace(Axis(axis), Slice::from(n / 2 - half..n / 2 + half + 1));
        }
        block.iter().all(|m| *m != 0.0)
    };
    let most = MOST.min(extents.iter().fold(usize::MAX, |a, n| a.min(*n)).saturating_sub(2) / 2);
    let Some(half) = (LEAST..=most).rev().find(|half| acquired(*half)) else { return Ok(None) };
    let hann = |at: usize, n: usize| {
        let offset = at.abs_diff(n / 2);
        if offset > half { 0.0 } else { 0.5 + 0.5 * (PI * offset as f32 / (half + 1) as f32).cos() }
    };
    let mut images = kspace.to_owned();
    for (axis, n) in extents.iter().enumerate() {
        for (at, mut line) in images.axis_iter_mut(Axis(axis + 1)).enumerate() {
            let w = hann(at, *n);
            line.mapv_inplace(|v| v * w);
        }
        centred_dft(images.view_mut(), Axis(axis + 1), true);
    }
    let energy = |coils: ndarray::ArrayView1<Complex32>| coils.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>();
    let (energies, powers) = (images.map_axis(Axis(0), energy), maps.map_axis(Axis(0), energy));
    let all: f64 = energies.iter().sum();
    let outside: f64 = energies.iter().zip(&powers).filter(|(_, power)| **power == 0.0).map(|(e, _)| e).sum();
    Ok((all > 0.0).then(|| outside / all))
}

/// Of maps (coil, set, image…).
fn best(maps: ArrayViewD<Complex32>, misfit: &dyn Fn(&ArrayD<Complex32>) -> Result<f64>) -> Result<Option<BetterMaps>> {
    /// So much less is no chance.
    const LESS: f64 = 0.6;
    let axes = maps.ndim() - 2;
    if maps.len_of(Axis(0)) < 2 {
        return Ok(None);
    }
    let before = misfit(&small(maps.to_owned(), axes))?;
    let only = |axis: usize| [0, 1, 2].map(|a| a == axis);
    let own = 3 - axes..3;
    let mut geometry = vec![
        MapsChange::default(),
        MapsChange { shifted: [axes == 3, true, true], ..MapsChange::default() },
        MapsChange { flipped: [false, true, true], ..MapsChange::default() },
    ];
    geometry.extend(own.clone().map(|a| MapsChange { shifted: only(a), ..MapsChange::default() }));
    geometry.extend(own.map(|a| MapsChange { flipped: only(a), ..MapsChange::default() }));
    if maps.shape()[axes] == maps.shape()[axes + 1] {
        geometry.push(MapsChange { transposed: true, ..MapsChange::default() });
    }
    let mut found: Option<BetterMaps> = None;
    let all = [false, true].into_iter().flat_map(|c| geometry.iter().map(move |g| MapsChange { conjugated: c, ..*g }));
    for change in all.filter(|change| *change != MapsChange::default()) {
        let after = misfit(&small(changed(maps.view(), change), axes))?;
        if after < LESS * before && found.is_none_or(|f| after < 0.9 * f.after) {
            found = Some(BetterMaps { change, before, after });
        }
    }
    Ok(found)
}

/// Maps (…, image…): the image's axes are the last.
fn changed<D: RemoveAxis>(maps: ArrayView<Complex32, D>, change: MapsChange) -> Array<Complex32, D> {
    let rank = maps.ndim();
    let mut maps = maps;
    if change.transposed {
        maps.swap_axes(rank - 2, rank - 1);
    }
    let mut maps = maps.to_owned();
    for (from_last, axis) in (0..3).map(|a| (3 - a, a)).filter(|(from_last, _)| *from_last <= rank) {
        let place = Axis(rank - from_last);
        if change.flipped[axis] {
            maps.invert_axis(place);
        }
        if change.shifted[axis] {
            centred_order(&mut maps, place);
        }
    }
    if change.conjugated {
        maps.mapv_inplace(|v| v.conj());
    }
    maps
}

/// Maps on a coarser grid over the same field of view.
fn small(mut maps: ArrayD<Complex32>, axes: usize) -> ArrayD<Complex32> {
    for axis in maps.ndim() - axes..maps.ndim() {
        let n = maps.len_of(Axis(axis));
        let small = n.min(most(axes));
        let at = |index: usize| {
            let place = (index as f64 - (small / 2) as f64) * n as f64 / small as f64 + (n / 2) as f64;
            (place.round().max(0.0) as usize).min(n - 1)
        };
        maps = maps.select(Axis(axis), &(0..small).map(at).collect::<Vec<_>>());
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{SampleOptions, ScanOptions, density::ramp_density, sample_scan, scan, trajectory};
    use crate::app::{VolumeScanOptions, volume_scan};
    use ndarray::Array3;

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
        let ask = |kspace: ArrayView<Complex32, ndarray::Ix3>, maps: ArrayView<Complex32, ndarray::Ix3>| {
            better_maps(kspace, scan.mask.view(), maps.insert_axis(Axis(1))).unwrap()
        };
        assert_eq!(ask(kspace.view(), maps.view()), None);
        for change in [
            MapsChange { conjugated: true, ..MapsChange::default() },
            MapsChange { shifted: [false, true, true], ..MapsChange::default() },
            MapsChange { shifted: [false, false, true], ..MapsChange::default() },
            MapsChange { flipped: [false, true, false], ..MapsChange::default() },
            MapsChange { transposed: true, ..MapsChange::default() },
        ] {
            // Of even extent each is its own inverse.
            let wrong = changed(maps.view(), change);
            let found = ask(kspace.view(), wrong.view());
            let found = found.unwrap_or_else(|| panic!("{change}"));
            assert_eq!(found.change, change, "{found:?}");
            assert!(found.after < 0.1 && found.before > 0.2, "{found:?}");
        }
        let one = maps.slice(ndarray::s![..1, .., ..]);
        assert_eq!(ask(kspace.slice(ndarray::s![..1, .., ..]), one), None);
        assert!(better_maps(kspace.view(), scan.mask.view(), maps.view()).is_err());
    }

    #[test]
    fn maps_of_volumes_are_tried_as_well() {
        let options = VolumeScanOptions::default().matrix([8, 24, 22]).coils(4).acceleration([1, 1]).noise(0.001);
        let scan = volume_scan(&options.centre_lines(4)).unwrap();
        let mask = ndarray::Array3::ones((8, 24, 22));
        // Phases along z, which the simulated maps have not.
        let mut maps = scan.maps.clone();
        maps.indexed_iter_mut()
            .for_each(|((c, z, y, _), v)| *v *= Complex32::cis(0.2 * c as f32 * (z as f32 + 0.3 * y as f32)));
        let mut kspace = &maps * &scan.reference;
        (1..4).for_each(|axis| centred_dft(kspace.view_mut(), Axis(axis), false));
        let ask = |maps: &ndarray::Array4<Complex32>| {
            better_maps(kspace.view(), mask.view(), maps.view().insert_axis(Axis(1))).unwrap()
        };
        assert_eq!(ask(&maps), None);
        for change in [
            MapsChange { conjugated: true, ..MapsChange::default() },
            MapsChange { shifted: [true, false, false], ..MapsChange::default() },
        ] {
            let found = ask(&changed(maps.view(), change)).unwrap_or_else(|| panic!("{change}"));
            assert_eq!(found.change, change, "{found:?}");
        }
        let outside =
            |maps: &ndarray::Array4<Complex32>| energy_outside(scan.kspace.view(), mask.view(), maps.view()).unwrap();
        // Too few partitions to see.
        assert_eq!(outside(&maps), None);
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
            better_maps_of_samples(scan.kspace.view(), k.view(), w.view(), maps.view().into_dyn()).unwrap()
        };
        assert_eq!(ask(&scan.maps), None);
        let change = MapsChange { conjugated: true, ..MapsChange::default() };
        let found = ask(&changed(scan.maps.view(), change)).unwrap();
        assert!(found.change.conjugated && found.after < 0.6 * found.before, "{found:?}");
        assert_eq!(
            MapsChange { conjugated: true, shifted: [false, true, true], ..change }.to_string(),
            "conjugated and shifted by half of the image along y and x"
        );
    }
}
