//! Non-Cartesian lines with the coordinates of their samples.

use super::assemble::channels;
use super::header::Header;
use super::header_units::Units;
use super::info::{ScanInfo, joined, turned};
use super::readout::kept;
use super::records::Acquisition;
use super::select::{Image, count_of};
use super::whiten::Whitening;
use crate::allocate::expect_room;
use crate::tensor::first_where;
use ndarray::Array3;
use num_complex::Complex32;

/// One image's worth of non-Cartesian multi-coil k-space.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NonCartesianScan {
    /// k-space (coil, line, sample), in the file's own scale or pre-whitened; samples that are to be discarded are left out.
    pub kspace: Array3<Complex32>,
    /// Coordinates (line, sample, D) in cycles per field of view (`info.fov_mm`: that of the reconstructed space, where it is the
    /// smaller), in the order of the image's axes: (y, x) or (z, y, x). `None` when the file has none.
    pub trajectory: Option<Array3<f64>>,
    /// What the header calls the trajectory: `radial`, `spiral`…
    pub kind: String,
    /// In which units the file holds the coordinates, for the user; empty without coordinates.
    pub units: String,
    /// What else is known.
    pub info: ScanInfo,
}

/// Puts the samples and coordinates of all imaging lines together.
///
/// The coordinates' units are told by their reach ([`Units`]). Two of them with several partitions are a stack: the partition's
/// number is the third.
pub(super) fn gather(
    header: &Header,
    image: &Image,
    whitening: Option<&Whitening>,
    mut notes: Vec<String>,
    mut warnings: Vec<String>,
) -> Result<NonCartesianScan, String> {
    let lines = &image.imaging;
    let coils = channels(lines)?;
    let samples = kept(lines[0]).len();
    if coils == 0 || samples == 0 {
        return Err(format!("its lines have {coils} channels and {samples} samples; expected at least one of each"));
    }
    if let Some(other) = lines.iter().find(|line| kept(line).len() != samples) {
        return Err(format!(
            "a line has {} samples, the first has {samples}; non-Cartesian lines must all be as long",
            kept(other).len()
        ));
    }
    // k-space, and three coordinates in f64 twice.
    let bytes = (lines.len() as u64 * samples as u64).saturating_mul(8 * coils as u64 + 48);
    expect_room(bytes, &format!("k-space of {coils} x {} x {samples}", lines.len())).map_err(|e| e.to_string())?;
    let mut kspace = Array3::from_shape_fn((coils, lines.len(), samples), |(coil, line, sample)| {
        lines[line].value(coil, kept(lines[line]).start + sample)
    });
    if let Some(whitening) = whitening {
        whitening.apply(kspace.view_mut()).map_err(|e| e.to_string())?;
    }
    let mut fov = turned(header.encoded_fov);
    let (trajectory, units) = match coordinates(header, lines, samples, &mut notes, &mut warnings)? {
        Some((mut trajectory, units)) => {
            fov = reconstructed(header, &mut trajectory, &mut notes);
            (Some(trajectory), units)
        }
        None => (None, String::new()),
    };
    let first =
        format!("{}, {} of {}", count_of(coils, "coil"), count_of(lines.len(), "line"), count_of(samples, "sample"));
    let mut info = ScanInfo {
        encoded_matrix: turned(header.encoded),
        recon_matrix: turned(header.recon),
        encoded_fov_mm: turned(header.encoded_fov),
        recon_fov_mm: turned(header.recon_fov),
        fov_mm: fov,
        summary: joined(first, &notes),
        warnings,
        ..ScanInfo::default()
    };
    info.place(image.at, lines[0]);
    Ok(NonCartesianScan { kspace, trajectory, kind: header.trajectory.clone(), units, info })
}

/// Makes cycles per reconstructed field of view of those per encoded one, where it is the smaller; gives the field of view.
fn reconstructed(header: &Header, trajectory: &mut Array3<f64>, notes: &mut Vec<String>) -> [f64; 3] {
    let (encoded, recon) = (turned(header.encoded_fov), turned(header.recon_fov));
    let d = trajectory.dim().2;
    let mut fov = encoded;
    for axis in 3 - d..3 {
        let part = recon[axis] / encoded[axis];
        // Nearly the same is the same, but for rounding of the header.
        if part > 0.0 && part < 0.995 {
            trajectory.slice_mut(ndarray::s![.., .., axis + d - 3]).mapv_inplace(|k| k * part);
            fov[axis] = recon[axis];
        }
    }
    if fov != encoded {
        let mm = |v: [f64; 3]| v[3 - d..].iter().map(|mm| format!("{mm:.0}")).collect::<Vec<_>>().join(" x ");
        notes.push(format!("the reconstructed {} mm of the encoded {} mm", mm(fov), mm(encoded)));
    }
    fov
}

/// The coordinates (line, sample, D) in cycles per encoded field of view, and in what units they were.
fn coordinates(
    header: &Header,
    lines: &[&Acquisition],
    samples: usize,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<Option<(Array3<f64>, String)>, String> {
    let held = lines[0].trajectory_dims;
    if let Some(other) = lines.iter().find(|line| line.trajectory_dims != held) {
        return Err(format!(
            "a line has {} trajectory dimensions, the first has {held}; all must have the same",
            other.trajectory_dims
        ));
    }
    if held == 0 {
        return Ok(None);
    }
    let d = if header.is_3d() { 3 } else { 2 };
    if held < 2 {
        return Err(format!("its trajectory has {held} dimension, expected 2 or 3"));
    }
    let first = |line: usize, sample: usize, dim: usize| {
        f64::from(lines[line].coordinate(kept(lines[line]).start + sample, dim))
    };
    // What the file itself says, x first.
    let given = held.min(d);
    let raw = Array3::from_shape_fn((lines.len(), samples, given), |(line, sample, dim)| first(line, sample, dim));
    if let Some((at, _)) = first_where(&raw.view().into_dyn(), |v| !v.is_finite()) {
        return Err(format!("the trajectory is NaN or infinite at line {}, sample {}", at[0], at[1]));
    }
    if held > given {
        notes.push(format!("used {given} of {held} trajectory dimensions"));
    }
    let reach: Vec<f64> =
        raw.axis_iter(ndarray::Axis(2)).map(|k| k.iter().fold(0.0f64, |a, v| a.max(v.abs()))).collect();
    let Units { factor, name, warning } = Units::of(&reach, header);
    warnings.extend(warning);
    if given < d {
        notes.push("z by the number of the partition".into());
    }
    let centre = header.centre[1].unwrap_or(header.encoded[2] / 2);
    let trajectory = Array3::from_shape_fn((lines.len(), samples, d), |(line, sample, axis)| match d - 1 - axis {
        dim if dim < given => raw[[line, sample, dim]] * factor[dim],
        _ => lines[line].partition as f64 - centre as f64,
    });
    Ok(Some((trajectory, name)))
}
