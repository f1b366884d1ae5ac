//! Cartesian scans of three axes, and what belongs to any number of them: masks, and coil maps in several sets.

use super::input::{is_bart, read};
use super::kspace::{Kspace, complex, exact};
use linops::io::{CartesianScan, Cfl, Format, Reader, ScanInfo, read_cfl};
use linops::{Error, Result};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex32;
use std::path::Path;

/// Measured k-space of any number of axes.
pub struct Volume {
    /// Values (coil, kz, ky, kx), or (coil, ky, kx) of a slice.
    pub values: ArrayD<Complex32>,
    /// 1 where a location was acquired, if the file says so.
    pub sampled: Option<ArrayD<f32>>,
    /// Values to estimate coil maps from, where there are better ones; the central pixels of their maps are those of the image.
    pub calibration: Option<ArrayD<Complex32>>,
    /// What the file says of the scan.
    pub info: Option<ScanInfo>,
    /// What there is to say about the file.
    pub notes: Vec<String>,
}

impl Volume {
    /// Of a scan.
    pub fn of(scan: CartesianScan) -> Volume {
        let CartesianScan { kspace, sampled, calibration, info, .. } = scan;
        Volume { values: kspace, sampled: Some(sampled), calibration, info: Some(info), notes: Vec::new() }
    }
}

impl From<Kspace> for Volume {
    fn from(scan: Kspace) -> Volume {
        let Kspace { values, sampled, calibration, info, notes, .. } = scan;
        let calibration = calibration.map(|lines| lines.into_dyn());
        Volume { values: values.into_dyn(), sampled: sampled.map(|mask| mask.into_dyn()), calibration, info, notes }
    }
}

/// Reads an array (coil, kz, ky, kx), or BART's (x, y, z, coil); None for whatever is not of four axes, all of them above 1, but
/// for BART's coil.
pub fn read_volume(path: &Path) -> Result<Option<Volume>> {
    let Some(format) = Format::of(path) else { return Ok(None) };
    let (Some(probe), Some(reader)) = (format.probe, format.reader) else { return Ok(None) };
    let bart = match reader {
        Reader::Array(_) => false,
        Reader::Bart(_) => true,
        _ => return Ok(None),
    };
    let mut shape = probe(path)?.shape;
    if bart && shape.len() == 3 {
        shape.insert(0, 1);
    }
    if shape.len() != 4 || shape[1..].contains(&1) || (shape[0] == 1 && !bart) {
        return Ok(None);
    }
    let array = complex(path, read(path)?)?;
    let values = array.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))?;
    let notes = match bart {
        true => Vec::new(),
        false => vec!["a volume (coil, kz, ky, kx); a series of frames needs --time".to_string()],
    };
    Ok(Some(Volume { values, sampled: None, calibration: None, info: None, notes }))
}

/// Reads a mask of zeros and ones, of any dtype, for locations of these extents: of all axes, or of the first ones only, as (kz, ky)
/// where readouts are whole. Axes of 1 repeat.
pub fn read_grid_mask(path: &Path, grid: &[usize]) -> Result<ArrayD<f32>> {
    let axes = &["kz", "ky", "kx"][3 - grid.len()..];
    let mut mask = exact(read(path)?);
    if is_bart(path) {
        // Trailing dims of 1, which come first here, are left out.
        while mask.ndim() < grid.len() {
            mask = mask.insert_axis(ndarray::Axis(0));
        }
    }
    if let Some((at, v)) = mask.indexed_iter().find(|(_, v)| **v != 0.0 && **v != 1.0) {
        let at = ndarray::Dimension::slice(&at);
        return Err(Error::file(path, format!("the mask is {v:?} at {at:?}; expected 0 (not sampled) or 1 (sampled)")));
    }
    let came = mask.shape().to_vec();
    while mask.ndim() < grid.len() {
        let last = ndarray::Axis(mask.ndim());
        mask = mask.insert_axis(last);
    }
    match mask.broadcast(IxDyn(grid)) {
        Some(whole) => Ok(whole.mapv(|v| v as f32)),
        None => {
            let message = format!("a mask of {came:?}, expected ({}) with {grid:?} from the k-space", axes.join(", "));
            Err(Error::file(path, message))
        }
    }
}

/// Reads coil maps that fit k-space of so many coils and this grid, as (coil, set, image…): an array (coil, image…) or (coil,
/// set, image…), or BART's (x, y, z, coil, set).
pub fn read_map_sets(path: &Path, coils: usize, grid: &[usize]) -> Result<ArrayD<Complex32>> {
    let at = |e: ndarray::ShapeError| Error::file(path, e.to_string());
    let axes = ["z", "y", "x"][3 - grid.len()..].join(", ");
    let (maps, expected) = if is_bart(path) {
        (bart_sets(path)?, "BART's (x, y, z, coil, set)".to_string())
    } else {
        let mut maps = read(path)?.into_complex();
        if maps.ndim() == grid.len() + 1 {
            maps = maps.insert_axis(ndarray::Axis(1));
        }
        (maps, format!("(coil, {axes}) or (coil, set, {axes})"))
    };
    let without_ones = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    match maps.shape().split_at_checked(2) {
        Some((&[c, sets], image)) if c == coils && without_ones(image) == without_ones(grid) => {
            let shape = [&[coils, sets], grid].concat();
            maps.into_shape_with_order(IxDyn(&shape)).map_err(at)
        }
        _ => {
            let wanted: Vec<String> = grid.iter().map(usize::to_string).collect();
            let series = if grid.len() == 3 { "; a series of frames needs --time" } else { "" };
            let message = format!(
                "coil maps of shape {:?}, expected {expected} with {coils} coils and an image of {} from the k-space{series}",
                maps.shape(),
                wanted.join(" x ")
            );
            Err(Error::file(path, message))
        }
    }
}

/// BART's (x, y, z, coil, set) as (coil, set, z, y, x).
fn bart_sets(path: &Path) -> Result<ArrayD<Complex32>> {
    let Cfl { dims, array } = read_cfl(path)?;
    if let Some((index, extent)) = dims.iter().enumerate().skip(5).find(|(_, n)| **n != 1) {
        let message =
            format!("BART dim {index} of the coil maps is {extent}, expected 1: maps are (x, y, z, coil, set)");
        return Err(Error::file(path, message));
    }
    let extent = |index: usize| dims.get(index).copied().unwrap_or(1);
    let shape = [extent(4), extent(3), extent(2), extent(1), extent(0)];
    let sets = array.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(sets.permuted_axes(IxDyn(&[1, 0, 2, 3, 4])).as_standard_layout().into_owned())
}

/// Whether a file of coil maps for slices holds several sets.
pub fn holds_sets(path: &Path) -> Result<bool> {
    let Some(probe) = Format::of(path).and_then(|format| format.probe) else { return Ok(false) };
    let shape = probe(path)?.shape;
    Ok(match is_bart(path) {
        // The dims reversed, without those of 1 behind.
        true => shape.len() == 5 && shape[0] > 1,
        false => shape.len() == 4 && shape[1] > 1,
    })
}
