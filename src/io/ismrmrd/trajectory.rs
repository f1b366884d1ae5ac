//! Non-Cartesian lines with the coordinates of their samples.

use super::assemble::{channels, count_of, select};
use super::header::Header;
use super::records::Acquisition;
use crate::allocate::expect_room;
use ndarray::Array3;
use num_complex::Complex32;

/// Coordinates that are relative to the matrix stay within this, but for rounding.
const RELATIVE: f64 = 0.5 * 1.001;

/// One image's worth of non-Cartesian multi-coil k-space.
#[derive(Debug, Clone, PartialEq)]
pub struct NonCartesianScan {
    /// k-space (coil, line, sample), in the file's own scale; samples that are to be discarded are left out.
    pub kspace: Array3<Complex32>,
    /// Coordinates (line, sample, D) in cycles per field of view of the encoded space, in the order of the image's axes: (y, x)
    /// or (z, y, x). `None` when the file has none.
    pub trajectory: Option<Array3<f64>>,
    /// What the header calls the trajectory: `radial`, `spiral`…
    pub kind: String,
    /// In which units the file holds the coordinates, for the user; empty without coordinates.
    pub units: String,
    /// What was read and skipped: a line or two for the user.
    pub summary: String,
}

/// Puts the samples and coordinates of all imaging lines together.
///
/// Coordinates that all lie within ±0.5 are relative to the encoded matrix and are scaled by it; others are in cycles per field
/// of view already. Two of them with several partitions are a stack: the partition's number is the third.
pub(super) fn gather(header: &Header, all: &[Acquisition]) -> Result<NonCartesianScan, String> {
    let mut notes = Vec::new();
    let lines = select(header, all, &mut notes)?;
    let coils = channels(&lines)?;
    let kept = |line: &Acquisition| line.discard_pre..line.samples.saturating_sub(line.discard_post);
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
    let kspace = Array3::from_shape_fn((coils, lines.len(), samples), |(coil, line, sample)| {
        lines[line].value(coil, lines[line].discard_pre + sample)
    });
    let (trajectory, units) = match coordinates(header, &lines, samples, &mut notes)? {
        Some((trajectory, units)) => (Some(trajectory), units),
        None => (None, String::new()),
    };
    let mut summary =
        format!("{}, {} of {}", count_of(coils, "coil"), count_of(lines.len(), "line"), count_of(samples, "sample"));
    for note in notes {
        summary.push_str("; ");
        summary.push_str(&note);
    }
    Ok(NonCartesianScan { kspace, trajectory, kind: header.trajectory.clone(), units, summary })
}

/// The coordinates (line, sample, D) in cycles per field of view, and in what units they were.
fn coordinates(
    header: &Header,
    lines: &[&Acquisition],
    samples: usize,
    notes: &mut Vec<String>,
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
    let d = if header.partitions > 1 { 3 } else { 2 };
    if held < 2 {
        return Err(format!("its trajectory has {held} dimension, expected 2 or 3"));
    }
    let first = |line: usize, sample: usize, dim: usize| {
        f64::from(lines[line].coordinate(lines[line].discard_pre + sample, dim))
    };
    // What the file itself says, x first.
    let given = held.min(d);
    let raw = Array3::from_shape_fn((lines.len(), samples, given), |(line, sample, dim)| first(line, sample, dim));
    if let Some((at, _)) = raw.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(format!("the trajectory is NaN or infinite at line {}, sample {}", at.0, at.1));
    }
    if held > given {
        notes.push(format!("used {given} of {held} trajectory dimensions"));
    }
    let matrix = [header.encoded[0], header.encoded[1], header.partitions];
    let relative = raw.iter().all(|v| v.abs() <= RELATIVE);
    let units = if relative {
        let sizes: Vec<String> = matrix[..given].iter().rev().map(usize::to_string).collect();
        format!("within ±0.5 in the file, times the encoded matrix {}", sizes.join(" x "))
    } else {
        "cycles per field of view, as in the file".into()
    };
    if given < d {
        notes.push("z by the number of the partition".into());
    }
    let trajectory = Array3::from_shape_fn((lines.len(), samples, d), |(line, sample, axis)| match d - 1 - axis {
        dim if dim < given => raw[[line, sample, dim]] * if relative { matrix[dim] as f64 } else { 1.0 },
        _ => lines[line].partition as f64 - header.centre_partition as f64,
    });
    Ok(Some((trajectory, units)))
}
