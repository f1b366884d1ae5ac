//! From acquired lines to k-space on the reconstructed grid.

use super::CartesianScan;
use super::centre::centre;
use super::crop::{crop, crop_mask};
use super::epi::{Phase, offset};
use super::header::Header;
use super::info::{ScanInfo, joined, turned};
use super::readout::{self, Grid, forward, keep};
use super::records::{Acquisition, flag};
use super::select::{Image, count_of};
use super::whiten::Whitening;
use crate::allocate::expect_room;
use ndarray::{Array2, Array3, Array4, ArrayD, ArrayView1, Axis, s};
use num_complex::Complex32;
use std::collections::BTreeMap;

/// A matrix with this many times more samples than the file holds is taken for a damaged header.
const MAX_SPARSITY: usize = 256;

/// Where lines go: the grids (z, y, x), and which partition and line are the centre.
struct Frame {
    grids: [Grid; 3],
    centre: [usize; 2],
    encoded: usize,
    phase: Option<Phase>,
}

/// k-space (coil, kz, ky, kx), and how often each sample (kz, ky, kx) was acquired.
struct Sampled {
    kspace: Array4<Complex32>,
    count: Array3<f32>,
}

/// Puts the lines in place, averages repeated ones and removes oversampling.
pub(super) fn assemble(
    header: &Header,
    image: &Image,
    whitening: Option<&Whitening>,
    mut notes: Vec<String>,
    mut warnings: Vec<String>,
) -> Result<CartesianScan, String> {
    let lines = &image.imaging;
    let coils = channels(lines)?;
    let mut found = Vec::new();
    let grids = grids(header, lines, &mut found);
    let [nz, ny, nx] = [grids[0].n, grids[1].n, grids[2].n];
    let held: usize = lines.iter().map(|a| a.samples).sum();
    if coils == 0 || held == 0 || nx * ny * nz / MAX_SPARSITY > held {
        return Err(format!(
            "{} lines with {held} samples of {coils} channels do not make a matrix of {}",
            lines.len(),
            by(header.is_3d(), &[nz, ny, nx])
        ));
    }
    // k-space with a copy when it is cropped, that of the reference lines, the counts with another.
    let values = [coils as u64 + 1, nx as u64, ny as u64, nz as u64].into_iter().fold(32u64, u64::saturating_mul);
    expect_room(values, &format!("k-space of {coils} x {}", by(true, &[nz, ny, nx]))).map_err(|e| e.to_string())?;
    let centres = [
        centre(header.centre[1], nz, &energies(lines, |a| a.partition), "partition", &mut warnings)?,
        centre(header.centre[0], ny, &energies(lines, |a| a.line), "line", &mut warnings)?,
    ];
    let mut frame = Frame { grids, centre: centres, encoded: header.encoded[0], phase: None };
    if lines.iter().any(|line| line.has(flag::REVERSE)) && lines.iter().any(|line| !line.has(flag::REVERSE)) {
        frame.phase = Phase::find(&image.navigators, frame.encoded, nx);
        found.push(match &frame.phase {
            Some(phase) => format!("every reversed line turned and its phase corrected ({})", phase.said(nx)),
            None => {
                "reversed lines turned, without phase correction lines: a ghost at half the field of view may be left"
                    .into()
            }
        });
    }
    if header.on_ramps {
        warnings.push(
            "the header describes samples on the ramps of the readout gradient; they are taken as equally spaced"
                .into(),
        );
    }
    let Sampled { mut kspace, count } = frame.placed(lines, coils)?;
    let most = count.iter().fold(0.0f32, |a, &b| a.max(b));
    if most > 1.0 {
        found.push(format!("lines acquired up to {most} times were averaged"));
    }
    let sampled = count.mapv(|n| f32::from(n > 0.0));
    let mut calibration = reference(&frame, image, coils, &mut warnings);
    if let Some(whitening) = whitening {
        whitening.apply(kspace.view_mut()).map_err(|e| e.to_string())?;
        if let Some(lines) = &mut calibration {
            whitening.apply(lines.view_mut()).map_err(|e| e.to_string())?;
        }
    }
    notes.extend(found);
    Ok(cropped(header, frame, image, kspace, sampled, calibration, notes, warnings))
}

/// The grids (z, y, x); of the phase-encoded ones all is kept at first.
fn grids(header: &Header, lines: &[&Acquisition], notes: &mut Vec<String>) -> [Grid; 3] {
    let readout = readout::grid(header, lines, notes);
    let encoded =
        |axis: usize| Grid { n: header.encoded[axis], fov: header.encoded_fov[axis], keep: header.encoded[axis] };
    [encoded(2), encoded(1), readout]
}

/// The mean energy of the lines of each number.
fn energies(lines: &[&Acquisition], number: impl Fn(&Acquisition) -> usize) -> BTreeMap<usize, f64> {
    let mut all: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for line in lines {
        let square = |(c, i)| f64::from(line.value(c, i).norm_sqr());
        let energy: f64 = readout::kept(line).flat_map(|i| (0..line.channels).map(move |c| (c, i))).map(square).sum();
        let (sum, n) = all.entry(number(line)).or_default();
        *sum += if energy.is_finite() { energy } else { 0.0 };
        *n += 1.0;
    }
    all.into_iter().map(|(k, (sum, n))| (k, sum / n)).collect()
}

/// A line (channel, kx) on a grid of `n` samples, turned to go forward.
pub(super) fn row(line: &Acquisition, encoded: usize, n: usize) -> Array2<Complex32> {
    let mut row = Array2::zeros((line.channels, n));
    for (sample, kx) in places(line, encoded, n) {
        (0..line.channels).for_each(|coil| row[[coil, kx]] = line.value(coil, sample));
    }
    row
}

/// Which sample of a line goes to which kx.
fn places(line: &Acquisition, encoded: usize, n: usize) -> impl Iterator<Item = (usize, usize)> {
    let (shift, reverse, samples) = (offset(line, encoded, n), line.has(flag::REVERSE), line.samples);
    forward(line).filter_map(move |position| {
        let kx = position.checked_add_signed(shift).filter(|kx| *kx < n)?;
        Some((if reverse { samples - 1 - position } else { position }, kx))
    })
}

impl Frame {
    /// k-space of lines, the mean where one was acquired several times.
    fn placed(&self, lines: &[&Acquisition], coils: usize) -> Result<Sampled, String> {
        let [z, y, x] = &self.grids;
        let mut kspace = Array4::<Complex32>::zeros((coils, z.n, y.n, x.n));
        let mut count = Array3::<f32>::zeros((z.n, y.n, x.n));
        for line in lines {
            self.place(line, &mut kspace, &mut count)?;
        }
        kspace /= &count.mapv(|n| Complex32::from(n.max(1.0)));
        Ok(Sampled { kspace, count })
    }

    /// Adds a line at its place: the centre at `N / 2` of all axes.
    fn place(&self, line: &Acquisition, kspace: &mut Array4<Complex32>, count: &mut Array3<f32>) -> Result<(), String> {
        let [z, y, x] = &self.grids;
        let at = |number: usize, centre: usize, n: usize, what: &str| {
            let k = number.checked_add(n / 2).and_then(|k| k.checked_sub(centre)).filter(|k| *k < n);
            k.ok_or_else(|| {
                format!("{what} {number} with the centre at {centre} falls outside the {n} of the encoded matrix")
            })
        };
        let kz = at(line.partition, self.centre[0], z.n, "partition")?;
        let ky = at(line.line, self.centre[1], y.n, "line")?;
        let mut corrected = None;
        if let Some(phase) = self.phase.filter(|_| line.has(flag::REVERSE)) {
            let mut whole = row(line, self.encoded, x.n);
            phase.remove(&mut whole);
            corrected = Some(whole);
        }
        let mut placed = 0;
        for (sample, kx) in places(line, self.encoded, x.n) {
            count[[kz, ky, kx]] += 1.0;
            placed += 1;
            for coil in 0..line.channels {
                kspace[[coil, kz, ky, kx]] += match &corrected {
                    Some(whole) => whole[[coil, kx]],
                    None => line.value(coil, sample),
                };
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
}

/// k-space of the reference lines, where they are not all of the image; `None` without, or where they do not fit.
fn reference(frame: &Frame, image: &Image, coils: usize, warnings: &mut Vec<String>) -> Option<Array4<Complex32>> {
    let lines = &image.reference;
    let same = |line: &&Acquisition| image.imaging.iter().any(|other| std::ptr::eq(*other, *line));
    if lines.is_empty() || lines.iter().all(same) {
        return None;
    }
    let [z, y, _] = &frame.grids;
    let mut said = Vec::new();
    let centre_of = |said_centre: usize, n: usize, number: fn(&Acquisition) -> usize, said: &mut Vec<String>| {
        let energies = energies(lines, number);
        let strongest = energies.iter().fold((0, 0.0), |best, (i, e)| if *e > best.1 { (*i, *e) } else { best }).0;
        // They may be numbered on their own.
        let own = strongest.abs_diff(said_centre) > n / 8;
        centre(Some(if own { strongest } else { said_centre }), n, &energies, "reference line", said)
    };
    let placed = (|| {
        let centre = [
            centre_of(frame.centre[0], z.n, |a| a.partition, &mut said)?,
            centre_of(frame.centre[1], y.n, |a| a.line, &mut said)?,
        ];
        if lines.iter().any(|line| line.channels != coils) {
            return Err("they have another number of channels".to_string());
        }
        Frame { grids: frame.grids.clone(), centre, encoded: frame.encoded, phase: frame.phase }.placed(lines, coils)
    })();
    match placed {
        Ok(placed) => Some(placed.kspace),
        Err(why) => {
            warnings.push(format!("the reference lines are not used: {why}"));
            None
        }
    }
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

/// "64 x 128", or with the partitions in front.
pub(super) fn by(solid: bool, extents: &[usize; 3]) -> String {
    extents[usize::from(!solid)..].iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// What is left to cut of images with these extents.
pub(super) fn cut_to(left: [Option<usize>; 3], extents: [usize; 3]) -> Option<[usize; 3]> {
    left.iter().any(Option::is_some).then(|| [0, 1, 2].map(|axis| left[axis].unwrap_or(extents[axis])))
}

/// Cuts the field of view to the reconstructed one where the data allow, and sums up.
#[allow(clippy::too_many_arguments)]
fn cropped(
    header: &Header,
    frame: Frame,
    image: &Image,
    mut kspace: Array4<Complex32>,
    mut sampled: Array3<f32>,
    mut calibration: Option<Array4<Complex32>>,
    mut notes: Vec<String>,
    warnings: Vec<String>,
) -> CartesianScan {
    let solid = header.is_3d();
    let mut fov = turned(header.encoded_fov);
    fov[2] = frame.grids[2].fov;
    let mut left: [Option<usize>; 3] = [None; 3];
    for axis in [2, 1, 0] {
        let Grid { n, fov: whole, keep: mut to } = frame.grids[axis];
        let (mut what, header_axis) = ("readout", 2 - axis);
        if axis < 2 {
            what = ["partition", "phase"][axis];
            to = keep(n, whole, header.recon_fov[header_axis], header.recon[header_axis]);
            // What is missing of one line along the axis folds into the part that stays.
            let whole = |line: ArrayView1<f32>| line.iter().all(|v| *v > 0.0) || line.iter().all(|v| *v == 0.0);
            let acquired = sampled.lanes(Axis(axis)).into_iter().all(whole);
            if to < n && !acquired && (axis == 1 || solid) {
                left[axis] = Some(to);
                notes.push(format!("{what} oversampling, {n} of {to}, is cut from the image, as lines are missing"));
            }
            to = if acquired && (axis == 1 || solid) { to } else { n };
        }
        if to < n {
            // Maps are better estimated where nothing is cut: what is at an edge then is smooth beyond.
            let wide = calibration.take().unwrap_or_else(|| kspace.clone());
            calibration = Some(if axis == 0 { crop(wide, axis, to) } else { wide });
            kspace = crop(kspace, axis, to);
            sampled = crop_mask(sampled, axis, to);
            fov[axis] = frame.grids[axis].kept_fov(to);
            notes.push(format!("{what} oversampling removed: {n} to {to}"));
        }
    }
    // Cropping mixes measured and missing samples a little; missing ones are 0 by contract.
    kspace *= &sampled.mapv(Complex32::from);
    let (coils, nz, ny, nx) = kspace.dim();
    let rows = sampled.map_axis(Axis(2), |row| f32::from(row.iter().any(|v| *v > 0.0)));
    let acquired = rows.iter().filter(|v| **v > 0.0).count();
    let recon = turned(header.recon);
    let finer = [2, 1, 0].into_iter().find(|&axis| (axis > 0 || solid) && header.recon[2 - axis] > [nz, ny, nx][axis]);
    if finer.is_some() {
        notes.push(format!("without zero-filling not interpolated to the header's {} image", by(solid, &recon)));
    } else if recon != [nz, ny, nx] && header.recon_fov == header.encoded_fov && recon[2] < nx {
        notes.push(format!("as encoded; the header's image has {}", by(solid, &recon)));
    }
    let lines = match solid {
        true => format!("{acquired} of {nz} x {ny} lines"),
        false => format!("{acquired} of {ny} ky lines"),
    };
    let mut info = ScanInfo {
        encoded_matrix: turned(header.encoded),
        recon_matrix: recon,
        encoded_fov_mm: turned(header.encoded_fov),
        recon_fov_mm: turned(header.recon_fov),
        fov_mm: fov,
        cut_to: cut_to(left, [nz, ny, nx]),
        summary: joined(format!("{}, {lines}, {nx} kx", count_of(coils, "coil")), &notes),
        warnings,
        ..ScanInfo::default()
    };
    info.place(image.at, image.imaging[0]);
    let flat = |a: Array4<Complex32>| -> ArrayD<Complex32> {
        if solid { a.into_dyn() } else { a.slice_move(s![.., 0, .., ..]).into_dyn() }
    };
    let sampled = if solid { sampled.into_dyn() } else { sampled.slice_move(s![0, .., ..]).into_dyn() };
    CartesianScan { kspace: flat(kspace), sampled, calibration: calibration.map(flat), info }
}
