//! What `recon` reads of non-Cartesian data: k-space, trajectory and coil maps, checked against each other.

use super::input::{expect_readable, is_bart, read};
use super::kspace::{REAL, complex, exact, holds_kspace};
use linops::io::{Cfl, Format, NonCartesianScan, Reader, ScanInfo, read_cfl};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
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

/// Reads k-space, an array (coil, …) or BART's (1, sample, spoke, coil), with a trajectory from an array (…, D) or BART's (3,
/// sample, spoke).
pub fn read_samples(path: &Path, trajectory: &Path) -> Result<Samples> {
    let reader = Format::reader_of(path, holds_kspace)?;
    expect_readable(path)?;
    let values = match reader {
        Reader::Array(read) => complex(path, read(path)?)?,
        Reader::Bart(_) => bart_coils(path)?,
        Reader::Picture(_) => return Err(Error::file(path, REAL)),
        Reader::Scan(_) => return Err(Error::file(path, "is a scan and no array")),
    };
    let (trajectory, units) = read_trajectory(trajectory)?;
    Ok(Samples { values: aligned(path, values, &trajectory)?, trajectory, units, info: None, notes: Vec::new() })
}

/// The samples of an ISMRMRD file, with its own trajectory or one from a file.
pub fn samples_of(path: &Path, scan: NonCartesianScan, trajectory: Option<&Path>) -> Result<Samples> {
    let notes = Vec::new();
    let mut info = scan.info;
    let values = scan.kspace.into_dyn();
    if let Some(file) = trajectory {
        let (trajectory, units) = read_trajectory(file)?;
        // What the header says of its own trajectory does not matter.
        info.warnings.clear();
        info.fov_mm = info.encoded_fov_mm;
        let values = aligned(path, values, &trajectory)?;
        return Ok(Samples { values, trajectory, units, info: Some(info), notes });
    }
    let Some(trajectory) = scan.trajectory else {
        let message =
            format!("its header says '{}', but its records hold no trajectory; give it with --traj", scan.kind);
        return Err(Error::file(path, message));
    };
    let order = if trajectory.len_of(Axis(2)) == 3 { "(x, y, z)" } else { "(x, y)" };
    let units = format!("{order} {}", scan.units);
    Ok(Samples { values, trajectory: trajectory.into_dyn(), units, info: Some(info), notes })
}

/// A trajectory (…, D) in the order of the image's axes, and what it was in the file.
fn read_trajectory(path: &Path) -> Result<(ArrayD<f64>, String)> {
    let bart = is_bart(path);
    let values = exact(read(path)?);
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
    if !bart {
        return Ok((values, "cycles per field of view, in the order of the image's axes".into()));
    }
    // BART leaves trailing dims of 1 out, a single sample's too.
    let values = if shape.len() < 2 { values.insert_axis(Axis(0)) } else { values };
    let last = Axis(values.ndim() - 1);
    let flat = d == 3 && values.index_axis(last, 2).iter().all(|z| *z == 0.0);
    let kept = if flat { 2 } else { d };
    let mut turned = values.slice_axis(last, Slice::from(..kept)).to_owned();
    turned.invert_axis(last);
    let order = if kept == 2 { "(x, y)" } else { "(x, y, z)" };
    Ok((turned.as_standard_layout().into_owned(), format!("{order} in cycles per field of view, as BART has them")))
}

/// BART's (…, …, …, coil) with the coil first.
fn bart_coils(path: &Path) -> Result<ArrayD<Complex32>> {
    let Cfl { dims, array } = read_cfl(path)?;
    if let Some((index, extent)) = dims.iter().enumerate().skip(4).find(|(_, n)| **n != 1) {
        let message = format!(
            "BART dim {index} is {extent}, expected 1: k-space with a trajectory is (1, sample, spoke, coil), maps are (x, y, \
             z, coil); cut it with `bart slice {index} 0`"
        );
        return Err(Error::file(path, message));
    }
    let extent = |index: usize| dims.get(index).copied().unwrap_or(1);
    let shape = [extent(3), extent(2), extent(1), extent(0)];
    array.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))
}

/// The values (coil, …) with the axes of the trajectory; axes of extent 1, which BART adds, do not count.
fn aligned(path: &Path, values: ArrayD<Complex32>, trajectory: &ArrayD<f64>) -> Result<ArrayD<Complex32>> {
    let samples = &trajectory.shape()[..trajectory.ndim() - 1];
    let came = values.shape().to_vec();
    let without_ones = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
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

/// Reads coil maps for images of `d` axes, an array (coil, image…) or BART's (x, y, z, coil).
pub fn read_image_maps(path: &Path, coils: usize, d: usize) -> Result<ArrayD<Complex32>> {
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
        false => read(path)?.into_complex(),
    };
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
