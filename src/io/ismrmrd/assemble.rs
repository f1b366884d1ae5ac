//! From acquired lines to k-space on the reconstructed grid.

use super::CartesianScan;
use super::header::Header;
use super::records::{Acquisition, IMAGE_COUNTERS, flag};
use crate::allocate::expect_room;
use crate::fourier::centred_dft;
use ndarray::{Array2, Array3, Axis, Slice};
use num_complex::Complex32;

/// A matrix with this many times more samples than the file holds is taken for a damaged header.
const MAX_SPARSITY: usize = 256;

/// Puts the lines in place, averages repeated ones and removes oversampling.
pub(super) fn assemble(header: &Header, all: &[Acquisition]) -> Result<CartesianScan, String> {
    header.expect_2d()?;
    let mut notes = Vec::new();
    let lines = select(header, all, &mut notes)?;
    let coils = channels(&lines)?;
    let [nx, ny] = header.encoded;
    let held: usize = lines.iter().map(|a| a.samples).sum();
    if coils == 0 || held == 0 || nx * ny / MAX_SPARSITY > held {
        return Err(format!(
            "{} lines with {held} samples of {coils} channels do not make a {nx} x {ny} matrix",
            lines.len()
        ));
    }
    // k-space with a copy when it is cropped, the counts with another; none of the factors is above 16 bits.
    let values = (coils as u64 + 1) * (nx as u64) * (ny as u64);
    expect_room(values.saturating_mul(16), &format!("k-space of {coils} x {ny} x {nx}")).map_err(|e| e.to_string())?;
    let mut kspace = Array3::<Complex32>::zeros((coils, ny, nx));
    let mut count = Array2::<f32>::zeros((ny, nx));
    for line in &lines {
        place(line, header, &mut kspace, &mut count)?;
    }
    let most = count.iter().fold(0.0f32, |a, &b| a.max(b));
    if most > 1.0 {
        notes.push(format!("lines acquired up to {most} times were averaged"));
    }
    kspace /= &count.mapv(|n| Complex32::from(n.max(1.0)));
    let sampled = count.mapv(|n| f32::from(n > 0.0));
    Ok(crop(header, kspace, sampled, notes))
}

/// "1 coil", "2 coils"
pub(super) fn count_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How many channels each of the lines has; there is at least one line.
pub(super) fn channels(lines: &[&Acquisition]) -> Result<usize, String> {
    let first = lines.first().map_or(0, |line| line.channels);
    match lines.iter().find(|a| a.channels != first) {
        Some(other) => {
            Err(format!("a line has {} channels, the first has {first}; all must have the same", other.channels))
        }
        None => Ok(first),
    }
}

/// The imaging lines of the first image, and notes on the others.
pub(super) fn select<'a, 'b>(
    header: &Header,
    all: &'a [Acquisition<'b>],
    notes: &mut Vec<String>,
) -> Result<Vec<&'a Acquisition<'b>>, String> {
    if header.encodings > 1 {
        notes.push(format!("read encoding 0 of {}", header.encodings));
    }
    let imaging: Vec<&Acquisition> = all.iter().filter(|a| a.encoding == 0 && is_imaging(a)).collect();
    if imaging.len() < all.len() {
        notes.push(format!(
            "skipped {} of {} lines (noise, calibration, navigators, other encodings)",
            all.len() - imaging.len(),
            all.len()
        ));
    }
    let Some(image) = imaging.iter().map(|a| a.image).min() else {
        return Err(format!("none of its {} acquisitions is an imaging line", all.len()));
    };
    for (index, name) in IMAGE_COUNTERS.iter().enumerate() {
        let last = imaging.iter().map(|a| a.image[index]).max().unwrap_or(0);
        if last > image[index] {
            notes.push(format!("read {name} {} of 0 to {last}", image[index]));
        }
    }
    Ok(imaging.into_iter().filter(|a| a.image == image).collect())
}

fn is_imaging(line: &Acquisition) -> bool {
    let calibration_only = line.has(flag::CALIBRATION) && !line.has(flag::CALIBRATION_AND_IMAGING);
    !line.has(flag::NOISE) && !calibration_only && !flag::OTHER.iter().any(|&f| line.has(f))
}

/// Adds a line at its place: its centre at `N / 2` of both axes.
fn place(
    line: &Acquisition,
    header: &Header,
    kspace: &mut Array3<Complex32>,
    count: &mut Array2<f32>,
) -> Result<(), String> {
    let [nx, ny] = header.encoded;
    if line.partition > 0 {
        return Err(format!("a line has kspace_encode_step_2 {}, but the header has one partition", line.partition));
    }
    let ky = line.line.checked_add(ny / 2).and_then(|k| k.checked_sub(header.centre_line));
    let ky = ky.filter(|&ky| ky < ny).ok_or_else(|| {
        format!(
            "line {} with the centre at {} falls outside the {ny} lines of the encoded matrix",
            line.line, header.centre_line
        )
    })?;
    let reverse = line.has(flag::REVERSE);
    let centre = match (line.centre_sample, reverse) {
        // Some converters leave it 0; and a full line that is turned stays a full line.
        (0, _) | (_, true) if line.samples == nx => nx / 2,
        (centre, true) => (line.samples.saturating_sub(1)).saturating_sub(centre),
        (centre, false) => centre,
    };
    let kept = line.discard_pre..line.samples.saturating_sub(line.discard_post);
    let mut placed = 0;
    for sample in kept {
        let position = if reverse { line.samples - 1 - sample } else { sample };
        let Some(kx) = (position + nx / 2).checked_sub(centre).filter(|&kx| kx < nx) else {
            continue;
        };
        count[[ky, kx]] += 1.0;
        placed += 1;
        for coil in 0..line.channels {
            kspace[[coil, ky, kx]] += line.value(coil, sample);
        }
    }
    if placed == 0 {
        return Err(format!(
            "no sample of line {} falls into the encoded matrix (center_sample {}, {} samples)",
            line.line, line.centre_sample, line.samples
        ));
    }
    Ok(())
}

/// Cuts the field of view to the reconstructed one where the data allow, and sums up.
fn crop(
    header: &Header,
    mut kspace: Array3<Complex32>,
    mut sampled: Array2<f32>,
    mut notes: Vec<String>,
) -> CartesianScan {
    let [nx, ny] = header.encoded;
    let [rx, ry] = header.recon;
    let mut fov = header.encoded_fov;
    if rx < nx {
        (kspace, sampled) = crop_axis(kspace, sampled, 1, rx);
        fov[0] = header.recon_fov[0];
        notes.push(format!("readout oversampling removed: {nx} to {rx}"));
    }
    let full = sampled.rows().into_iter().all(|row| row.sum() > 0.0);
    if ry < ny && full {
        (kspace, sampled) = crop_axis(kspace, sampled, 0, ry);
        fov[1] = header.recon_fov[1];
        notes.push(format!("phase oversampling removed: {ny} to {ry}"));
    } else if ry < ny {
        notes.push(format!("phase oversampling kept ({ny} lines for an image of {ry}): not all lines were acquired"));
    }
    if rx > nx || ry > ny {
        notes.push(format!("not interpolated to the header's {rx} x {ry} image"));
    }
    // Cropping mixes measured and missing samples a little; missing ones are 0 by contract.
    kspace *= &sampled.mapv(Complex32::from);
    let (coils, lines, readout) = kspace.dim();
    let acquired = sampled.rows().into_iter().filter(|r| r.sum() > 0.0).count();
    let mut summary = format!("{}, {acquired} of {lines} ky lines, {readout} kx", count_of(coils, "coil"));
    for note in notes {
        summary.push_str("; ");
        summary.push_str(&note);
    }
    CartesianScan {
        kspace,
        sampled,
        summary,
        encoded_matrix: [ny, nx],
        recon_matrix: [ry, rx],
        fov_mm: [fov[1], fov[0]],
    }
}

/// Keeps the central `to` pixels along `axis` (of ky, kx) of the image.
///
/// The k-space step grows by the same factor, so the mask is taken at the nearest old sample.
fn crop_axis(
    mut kspace: Array3<Complex32>,
    sampled: Array2<f32>,
    axis: usize,
    to: usize,
) -> (Array3<Complex32>, Array2<f32>) {
    let along = Axis(axis + 1);
    let from = kspace.len_of(along);
    centred_dft(kspace.view_mut(), along, true);
    let start = from / 2 - to / 2;
    let mut kspace = kspace.slice_axis(along, Slice::from(start..start + to)).to_owned();
    centred_dft(kspace.view_mut(), along, false);
    let nearest: Vec<usize> = (0..to)
        .map(|k| {
            let offset = (k as f64 - (to / 2) as f64) * from as f64 / to as f64;
            ((from / 2) as f64 + offset).round().clamp(0.0, (from - 1) as f64) as usize
        })
        .collect();
    (kspace, sampled.select(Axis(axis), &nearest))
}
