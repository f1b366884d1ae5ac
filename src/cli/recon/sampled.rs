//! The frames of a series whose samples lie along trajectories, each along its own.

use super::along::Along;
use super::field::{Encoded, any_needs_encoded, expect_size, too_large, widen};
use super::matrix::{expect_asked, header_matrix, of_maps_or_asked};
use super::report::Job;
use super::series::Frames;
use crate::cli::kspace::finite_within;
use crate::cli::samples::{Samples, read_image_maps, read_trajectory};
use linops::app::noncartesian::fitting_matrix;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis};
use num_complex::Complex32;

/// A frame, and which of its samples do not count.
pub(super) struct Frame {
    pub samples: Samples,
    /// Places (…) of what is not finite.
    pub bad: Vec<Vec<usize>>,
    /// Values of all coils that are not finite.
    pub values_lost: usize,
}

impl Frame {
    /// Of samples (coil, …), which are at this index of this axis of a series, refusing what is not finite unless that is allowed.
    pub fn new(job: &Job, mut samples: Samples, place: (&str, usize)) -> Result<Frame> {
        let bad = finite_within(&job.args.file, &mut samples.values, Some(place), &["coil"], job.args.allow_nan)?;
        let values_lost = bad.len();
        let mut bad: Vec<Vec<usize>> = bad.into_iter().map(|at| at[1..].to_vec()).collect();
        bad.sort();
        bad.dedup();
        Ok(Frame { samples, bad, values_lost })
    }

    /// Whether nothing of it counts.
    pub fn is_empty(&self) -> bool {
        self.samples.values.iter().all(|v| *v == Complex32::default())
    }
}

/// Frames (time, coil, …) of an array, along trajectories (time, …, D).
pub(super) fn of_array(job: &Job, kspace: ArrayD<Complex32>) -> Result<Frames> {
    let Some(file) = job.args.trajectory() else { return Err(Error::Value("no trajectory; give --traj".into())) };
    let mut notes = Vec::new();
    let (trajectory, units) = read_trajectory(&file, &mut notes)?;
    along(job, kspace, trajectory, units, notes)
}

/// The same along a trajectory that was read, in these units.
pub(super) fn along(
    job: &Job,
    kspace: ArrayD<Complex32>,
    trajectory: ArrayD<f64>,
    mut units: String,
    mut notes: Vec<String>,
) -> Result<Frames> {
    let args = job.args;
    let own = &args.noncartesian;
    let Some(path) = own.traj.as_deref() else { return Err(Error::Value("no trajectory; give --traj".into())) };
    let d = trajectory.shape().last().copied().unwrap_or(0);
    let (kspace, mut trajectory) = aligned(kspace, trajectory, &mut notes).map_err(|e| Error::file(path, e))?;
    let in_trajectory = |e: Error| Error::file(path, e.to_string());
    let maps = args.maps.as_ref().map(|maps| read_image_maps(maps, kspace.shape()[1], d, None)).transpose()?;
    let asked = own.matrix_for(d)?;
    if let (Some(file), Some(maps)) = (&args.maps, &maps) {
        expect_asked(file, &maps.shape()[1..], &maps.shape()[1..], asked.as_deref())?;
    }
    let known = asked.or_else(|| maps.as_ref().map(|maps| maps.shape()[1..].to_vec()));
    args.units.to_cycles(&mut trajectory, &mut units, known.as_deref(), job.warnings).map_err(in_trajectory)?;
    let matrix = match known {
        Some(matrix) => matrix,
        None => {
            args.units.expect_steps(&trajectory, &units).map_err(in_trajectory)?;
            fitting_matrix(trajectory.view()).map_err(in_trajectory)?
        }
    };
    args.units.warn_of_reach(&trajectory, &matrix, job.warnings);
    let frames = kspace.outer_iter().zip(trajectory.outer_iter()).enumerate().map(|(t, (values, trajectory))| {
        let (values, trajectory) = (values.to_owned(), trajectory.to_owned());
        Frame::new(
            job,
            Samples { values, trajectory, units: units.clone(), info: None, notes: notes.clone() },
            ("time", t),
        )
    });
    let frames = frames.collect::<Result<Vec<_>>>()?;
    Along::new(frames, matrix).model(job, maps, None)
}

/// k-space (time, coil, …) and trajectories (time, …, D) with the same axes; those of 1, which BART adds, do not count. One trajectory
/// (…, D) is that of all frames.
fn aligned(
    kspace: ArrayD<Complex32>,
    trajectory: ArrayD<f64>,
    notes: &mut Vec<String>,
) -> std::result::Result<(ArrayD<Complex32>, ArrayD<f64>), String> {
    let several = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    let wrong = || {
        let (of, for_these) = (trajectory.shape(), kspace.shape());
        format!("a trajectory of {of:?} for k-space of {for_these:?}; expected (time, …, D) and (time, coil, …)")
    };
    let ([count, coils, samples @ ..], [places @ .., d]) = (kspace.shape(), trajectory.shape()) else {
        return Err(wrong());
    };
    let (count, coils, d) = (*count, *coils, *d);
    if places.first() == Some(&count) && places[1..] == *samples && !samples.is_empty() {
        return Ok((kspace, trajectory));
    }
    let mut own = several(samples);
    if own.is_empty() {
        own.push(1);
    }
    let each = several(places) == several(&[&[count], own.as_slice()].concat());
    if !each && several(places) != several(&own) {
        return Err(wrong());
    }
    let (of_values, of_places) = ([&[count, coils], own.as_slice()].concat(), [own.as_slice(), &[d]].concat());
    let all = [&[count], of_places.as_slice()].concat();
    let shaped = |e: ndarray::ShapeError| e.to_string();
    let trajectory = match each {
        true => trajectory.into_shape_with_order(all).map_err(shaped)?,
        false => {
            notes.push("the same trajectory for all frames".into());
            let one = trajectory.into_shape_with_order(of_places).map_err(shaped)?;
            one.broadcast(all).map(|t| t.to_owned()).ok_or_else(|| "the trajectory does not fit".to_string())?
        }
    };
    Ok((kspace.into_shape_with_order(of_values).map_err(shaped)?, trajectory))
}

/// Frames of a scan, by one of its counters.
pub(super) fn of_scan(job: &Job, frames: Vec<Frame>, axis: &str) -> Result<Frames> {
    let (args, path) = (job.args, &job.args.file);
    args.units.expect_own(path)?;
    let Some(first) = frames.first() else { return Err(Error::file(path, "no frame has data")) };
    let (coils, last) = (first.samples.values.len_of(Axis(0)), Axis(first.samples.trajectory.ndim() - 1));
    let d = first.samples.trajectory.len_of(last);
    let kind = |f: &Frame| (f.samples.values.len_of(Axis(0)), f.samples.trajectory.len_of(last));
    if let Some(other) = frames.iter().map(kind).find(|kind| *kind != (coils, d)) {
        let message = format!(
            "its frames are of different kinds: {coils} coils with {d} coordinates for each sample, and {} with {}; choose frames of one \
             kind",
            other.0, other.1
        );
        return Err(Error::file(path, message));
    }
    let maps = args.maps.as_ref().map(|maps| read_image_maps(maps, coils, d, None)).transpose()?;
    let reach = |f: &Frame| f.samples.trajectory.iter().fold(0.0f64, |r, k| r.max(k.abs()));
    let Some(widest) = frames.iter().max_by(|a, b| reach(a).total_cmp(&reach(b))) else {
        return Err(Error::file(path, "no frame has data"));
    };
    let (widest, encoded) = (&widest.samples, Encoded::of(&widest.samples));
    let asked = args.noncartesian.matrix_for(d)?;
    let given = args.maps.as_deref().zip(maps.as_ref().map(|maps| &maps.shape()[1..]));
    let (known, of_encoded) = of_maps_or_asked(widest, encoded.as_ref(), given, asked.as_deref())?;
    let matrix = known.map_or_else(|| header_matrix(widest), Ok).map_err(|e| Error::file(path, e.to_string()))?;
    expect_size(coils, &matrix)?;
    args.units.warn_of_reach(&widest.trajectory, &matrix, job.warnings);
    let sound = frames.iter().all(|frame| frame.bad.is_empty());
    let needs = || any_needs_encoded(frames.iter().map(|frame| &frame.samples), job.device);
    let whole = match (&encoded, &maps) {
        (Some(_), Some(maps)) if of_encoded => Some((maps.shape()[1..].to_vec(), "the maps are of that")),
        (Some(encoded), None) if sound && needs()? => {
            let whole = encoded.matrix(&matrix);
            match expect_size(coils, &whole) {
                Ok(()) => Some((whole, "the object is larger than the image")),
                Err(_) => {
                    job.warnings.say_cause(too_large(&whole));
                    None
                }
            }
        }
        _ => None,
    };
    let mut along = Along::new(frames, matrix);
    if let Some((whole, why)) = whole {
        for frame in &mut along.frames {
            along.scales = widen(&mut frame.samples, &whole, &along.matrix, why);
        }
        along.image = Some(std::mem::replace(&mut along.matrix, whole));
    }
    along.model(job, maps, Some(axis))
}
