//! What `recon` reads of non-Cartesian data: k-space, trajectory and coil maps, checked against each other.

use super::arrays::{Arrays, with_first, without_ones};
use super::input::{is_bart, read, read_complex};
use super::kspace::{Place, exact};
use super::recon::Order;
use linops::app::noncartesian::constant_components;
use linops::io::{Cfl, NonCartesianScan, ScanInfo, read_cfl};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use std::path::Path;

/// Measured samples anywhere in k-space.
pub struct Samples {
    /// Values (coil, …), the axes behind the coil as those of the trajectory before its last.
    pub values: ArrayD<Complex32>,
    /// Coordinates (…, D) in cycles per field of view, component d along axis d of the image.
    pub trajectory: ArrayD<f64>,
    /// In which units and order the file holds the coordinates, for the user.
    pub units: String,
    /// What the file says of the scan.
    pub info: Option<ScanInfo>,
    /// What there is to say about the files.
    pub notes: Vec<String>,
}

/// A file with a trajectory, and the order of its coordinates if that is not the usual one.
pub struct Trajectory<'a> {
    pub path: &'a Path,
    pub order: Option<Order>,
}

/// Samples (coil, …) of an array, with their trajectory from an array (…, D) or BART's (3, sample, spoke). The coils are first where
/// that was `told`, else seen.
pub fn read_samples(path: &Path, values: ArrayD<Complex32>, trajectory: &Trajectory, told: bool) -> Result<Samples> {
    let mut notes = Vec::new();
    let (trajectory, units) = read_trajectory(trajectory, &mut notes)?;
    let values = aligned(path, values, &trajectory, told, &mut notes)?;
    Ok(Samples { values, trajectory, units, info: None, notes })
}

/// The samples of an ISMRMRD file, with its own trajectory or one from a file.
pub fn samples_of(
    path: &Path,
    scan: NonCartesianScan,
    trajectory: Option<&Trajectory>,
    arrays: &Arrays,
) -> Result<Samples> {
    let mut notes = Vec::new();
    let mut info = scan.info;
    let values = arrays.coils_first(path, scan.kspace.into_dyn())?;
    if let Some(file) = trajectory {
        let (trajectory, units) = read_trajectory(file, &mut notes)?;
        // What the header says of its own trajectory does not matter.
        info.warnings.clear();
        info.fov_mm = info.encoded_fov_mm;
        let values = aligned(path, values, &trajectory, false, &mut notes)?;
        return Ok(Samples { values, trajectory, units, info: Some(info), notes });
    }
    let Some(trajectory) = scan.trajectory else {
        let message =
            format!("its header says '{}', but its records hold no trajectory; give it with --traj", scan.kind);
        return Err(Error::file(path, message));
    };
    let trajectory = in_plane(trajectory.into_dyn(), 0, false, &mut notes);
    let order = if trajectory.len_of(Axis(2)) == 3 { "(x, y, z)" } else { "(x, y)" };
    let units = format!("{order} {}", scan.units);
    Ok(Samples { values, trajectory, units, info: Some(info), notes })
}

/// A trajectory (…, D) in the order of the image's axes, and what it was in the file.
pub fn read_trajectory(file: &Trajectory, notes: &mut Vec<String>) -> Result<(ArrayD<f64>, String)> {
    oriented(file, exact(read(file.path)?), notes)
}

/// The same of values that were read.
pub fn oriented(file: &Trajectory, mut values: ArrayD<f64>, notes: &mut Vec<String>) -> Result<(ArrayD<f64>, String)> {
    let Trajectory { path, order } = *file;
    let bart = is_bart(path);
    if let (false, Some((2 | 3, rest)), Some(last)) =
        (bart, values.shape().split_first().map(|(d, r)| (*d, r)), values.shape().last())
        && !rest.is_empty()
        && !(1..=3).contains(last)
    {
        notes.push("the coordinates are along the first axis of the trajectory".into());
        let mut order: Vec<usize> = (1..values.ndim()).collect();
        order.push(0);
        values = values.permuted_axes(order).as_standard_layout().into_owned();
    }
    let shape = values.shape().to_vec();
    let d = shape.last().copied().unwrap_or(0);
    let expected = match bart {
        true => "BART's (3, sample, spoke)",
        false => "(…, D) with D from 1 to 3: the coordinates of each sample last",
    };
    if !(1..=3).contains(&d) || (bart && d == 1) || (!bart && shape.len() < 2) {
        let message = format!("a trajectory of shape {shape:?} (last axis fastest), expected {expected}");
        return Err(Error::file(path, message));
    }
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        let message = format!("the coordinate of sample {} is NaN, infinite or not real", index / d);
        return Err(Error::file(path, message));
    }
    // BART leaves trailing dims of 1 out, a single sample's too.
    let values = if shape.len() < 2 { values.insert_axis(Axis(0)) } else { values };
    // What BART leaves at 0 is its z, and no axis of an image.
    let mut values = in_plane(values, if bart { 2 } else { 0 }, bart, notes);
    if order.unwrap_or(if bart { Order::Xy } else { Order::Yx }) == Order::Yx {
        return Ok((values, "cycles per field of view, in the order of the image's axes".into()));
    }
    let last = Axis(values.ndim() - 1);
    values.invert_axis(last);
    let order = ["(x)", "(x, y)", "(x, y, z)"][values.len_of(last) - 1];
    let as_bart = if bart { ", as BART has them" } else { "" };
    Ok((values.as_standard_layout().into_owned(), format!("{order} in cycles per field of view{as_bart}")))
}

/// A trajectory (…, 3) of which one component is the same everywhere, as (…, 2), if it is the only one or that of z; any other as it
/// is. Zeros for z need not be said where they are `usual`.
fn in_plane(values: ArrayD<f64>, z: usize, usual: bool, notes: &mut Vec<String>) -> ArrayD<f64> {
    let last = Axis(values.ndim() - 1);
    let zeros = usual && values.len_of(last) == 3 && values.index_axis(last, z).iter().all(|k| *k == 0.0);
    let flat = match *constant_components(values.view()) {
        _ if zeros => z,
        [flat] => flat,
        ref several if several.contains(&z) => z,
        _ => return values,
    };
    if !zeros {
        notes.push(format!("component {flat} of the trajectory is constant and left out: 2-D"));
    }
    let kept: Vec<usize> = (0..3).filter(|axis| *axis != flat).collect();
    values.select(last, &kept)
}

/// BART's (…, …, …, coil) with the coil first.
fn bart_coils(path: &Path) -> Result<ArrayD<Complex32>> {
    let Cfl { dims, array } = read_cfl(path)?;
    if let Some((index, extent)) = dims.iter().enumerate().skip(4).find(|(_, n)| **n != 1) {
        let message = format!(
            "BART dim {index} is {extent}, expected 1: k-space with a trajectory is (1, sample, spoke, coil), maps are (x, y, \
             z, coil); reconstruct each by itself, from `bart slice {index} K`"
        );
        return Err(Error::file(path, message));
    }
    let extent = |index: usize| dims.get(index).copied().unwrap_or(1);
    let shape = [extent(3), extent(2), extent(1), extent(0)];
    array.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))
}

/// The values (coil, …) with the axes of the trajectory; axes of extent 1, which BART adds, do not count.
fn aligned(
    path: &Path,
    mut values: ArrayD<Complex32>,
    trajectory: &ArrayD<f64>,
    told: bool,
    notes: &mut Vec<String>,
) -> Result<ArrayD<Complex32>> {
    let samples = &trajectory.shape()[..trajectory.ndim() - 1];
    let without_ones = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    let first_fits = values.shape().split_first().is_some_and(|(_, rest)| without_ones(rest) == without_ones(samples));
    if !told && !first_fits && without_ones(values.shape()) == without_ones(samples) {
        notes.push("samples of one coil".into());
        values = values.insert_axis(Axis(0));
    } else if !told
        && !first_fits
        && values.shape().split_last().is_some_and(|(_, rest)| without_ones(rest) == without_ones(samples))
    {
        let last = values.ndim() - 1;
        notes.push(format!("the coils are along axis {last} of the k-space"));
        values = with_first(values, last);
    }
    let came = values.shape().to_vec();
    match came.split_first() {
        Some((&coils, rest)) if without_ones(rest) == without_ones(samples) => {
            let extents: Vec<usize> = std::iter::once(coils).chain(samples.iter().copied()).collect();
            values.into_shape_with_order(IxDyn(&extents)).map_err(|e| Error::file(path, e.to_string()))
        }
        _ => {
            let wanted: Vec<String> = samples.iter().map(usize::to_string).collect();
            let message = format!(
                "k-space of shape {came:?}, expected (coil, {}) from the trajectory {:?}",
                wanted.join(", "),
                trajectory.shape()
            );
            Err(Error::file(path, message))
        }
    }
}

/// Reads coil maps for images of `d` axes, an array (coil, image…) or BART's (x, y, z, coil); of an array with those of all images of a
/// stack in front, the ones of its `place`.
pub fn read_image_maps(path: &Path, coils: usize, d: usize, place: Option<&Place>) -> Result<ArrayD<Complex32>> {
    let maps = match is_bart(path) {
        true => {
            let maps = bart_coils(path)?;
            let d3 = maps.ndim() - 1;
            // What the image lacks must be 1 there, z first.
            if maps.shape()[1..1 + d3 - d].iter().any(|n| *n != 1) {
                maps
            } else {
                let shape = [&maps.shape()[..1], &maps.shape()[1 + d3 - d..]].concat();
                maps.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))?
            }
        }
        false => {
            let maps = read_complex(path)?;
            match place {
                Some(place)
                    if maps.ndim() == place.extents.len() + d + 1 && maps.shape().starts_with(&place.extents) =>
                {
                    place.of(maps)
                }
                _ => without_ones(maps, d + 1),
            }
        }
    };
    let maps = if maps.ndim() == d && coils == 1 { maps.insert_axis(Axis(0)) } else { maps };
    let axes = ["nz", "ny", "nx"];
    if maps.ndim() != d + 1 {
        let wanted = axes[3 - d..].join(", ");
        let message = format!(
            "coil maps of shape {:?}, expected (coil, {wanted}): the trajectory has {d} coordinate{} for each sample",
            maps.shape(),
            if d == 1 { "" } else { "s" }
        );
        return Err(Error::file(path, message));
    }
    if maps.shape()[0] != coils {
        let message = format!("dim C of the maps has extent {}, expected {coils} from the k-space", maps.shape()[0]);
        return Err(Error::file(path, message));
    }
    if maps.iter().all(|v| *v == Complex32::default()) {
        return Err(Error::file(path, "the coil maps are 0 everywhere; there is nothing to reconstruct"));
    }
    Ok(maps)
}
