//! The frames of a series that a scan holds as its repetitions, phases, contrasts or sets: on a grid here, along trajectories in `sampled`.

use super::geometry::{by, image_dims};
use super::grid::nonzero;
use super::maps::{Maps, Shading};
use super::report::Job;
use super::sampled::{self, Frame};
use super::series::{Frames, mean, one_set, usual};
use crate::cli::axes::{Split, bart_split, cut_short, is_several};
use crate::cli::common::expect_bytes;
use crate::cli::grids::read_maps;
use crate::cli::input::{expect_readable, is_bart};
use crate::cli::kspace::{Input, Inputs, Kspace, exact, finite, not_acquired, read_inputs};
use crate::cli::printer::count_of;
use crate::cli::samples::oriented;
use linops::app::series::Series;
use linops::io::{Array, ScanChoice, read_cfl};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use std::path::Path;

/// What is wrong with a mask or a trajectory beside a scan.
pub(super) const ACQUIRED: &str =
    "--time of a scan takes its frames as they were acquired; leave --traj and --mask out";

/// What a frame is on, and its values (coil, ky, kx).
struct Grid {
    kspace: ArrayD<Complex32>,
    mask: ArrayD<f32>,
}

/// Reads the frames of a scan: pre-whitened and cut as its single images are, with the maps that a file gives or that all frames together
/// show.
pub(super) fn of_scan(job: &Job) -> Result<Frames> {
    let (args, path) = (job.args, &job.args.file);
    if args.mask.is_some() || args.noncartesian.traj.is_some() {
        return Err(Error::file(path, ACQUIRED));
    }
    by_counter(job)
}

/// Reads the frames of BART's dims: echoes (5) or times (10, 11); with a trajectory of its dims.
pub(super) fn of_bart(job: &Job) -> Result<Frames> {
    let (args, path) = (job.args, &job.args.file);
    if args.mask.is_some() {
        return Err(Error::file(path, "a BART series is sampled where its data are not zero; leave --mask out"));
    }
    if args.noncartesian.traj.is_none() {
        return by_counter(job);
    }
    let choice = args.scan.choice(false);
    expect_readable(path)?;
    let Split { axes, images } = bart_split(path, read_cfl(path)?, &choice)?;
    cut_short(&axes, &choice).into_iter().for_each(|text| job.warnings.say(text));
    let along = frames_along(path, &axes)?;
    let kspace = stacked(path, &images)?;
    let Some(file) = args.trajectory().filter(|file| is_bart(file.path)) else {
        return sampled::of_array(job, kspace);
    };
    // Of the same frames, or one for all of them.
    expect_readable(file.path)?;
    let cfl = read_cfl(file.path)?;
    let several = is_several(&cfl);
    let choice = if several { choice } else { ScanChoice::default() };
    let Split { axes: own, images } = bart_split(file.path, cfl, &choice)?;
    if several && frames_along(file.path, &own)? != along {
        let message = format!("its trajectories are of each {}, the k-space of each {along}", own[0].0);
        return Err(Error::file(file.path, message));
    }
    let values = match images.as_slice() {
        [one] => one.clone(),
        all => stacked(file.path, all)?,
    };
    let mut notes = Vec::new();
    let (trajectory, units) = oriented(&file, exact(Array::C32(values)), &mut notes)?;
    sampled::along(job, kspace, trajectory, units, notes)
}

/// Images beside each other, along an axis in front.
fn stacked(path: &Path, images: &[ArrayD<Complex32>]) -> Result<ArrayD<Complex32>> {
    let views: Vec<_> = images.iter().map(|image| image.view()).collect();
    ndarray::stack(Axis(0), &views).map_err(|e| Error::file(path, e.to_string()))
}

/// The axis that the frames of a series are along, of those that number its images.
fn frames_along<'a>(path: &Path, axes: &[(&'a str, Vec<usize>)]) -> Result<&'a str> {
    let several: Vec<_> = axes.iter().filter(|(_, values)| values.len() > 1).collect();
    match several.as_slice() {
        [("slice", _)] => Err(Error::file(path, "slices are no frames of a series; choose one by --slice")),
        [(axis, _)] => Ok(axis),
        [] => Err(Error::file(
            path,
            "holds one image of these counters (repetition, phase, contrast, set), and a series is of several",
        )),
        several => {
            let several = several.iter().map(|(name, values)| format!("{} of {name}", values.len()));
            let several = several.collect::<Vec<_>>().join(", ");
            let message = format!("a series has one axis of frames, and this is {several}; choose one of the others");
            Err(Error::file(path, message))
        }
    }
}

/// The frames that one of the counters of a file tells apart.
fn by_counter(job: &Job) -> Result<Frames> {
    let (args, path) = (job.args, &job.args.file);
    let inputs = read_inputs(path, None, &args.arrays, &args.scan.choice(false))?;
    inputs.warnings().into_iter().for_each(|warning| job.warnings.say(warning));
    let Inputs { axes, images, .. } = inputs;
    let axis = frames_along(path, &axes)?;
    let asked = images.len();
    let (mut grids, mut samples) = (Vec::new(), Vec::new());
    for (t, image) in images.into_iter().enumerate().filter_map(|(t, image)| Some((t, image?))) {
        match image {
            Input::Grid(kspace) => grids.push(*kspace),
            Input::Samples(frame) => samples.push(Frame::new(job, *frame, (axis, t))?),
        }
    }
    let said = |left: usize| {
        if left > 0 && left < asked {
            let lost = count_of(asked - left, "frame");
            job.warnings.say(format!("{lost} of {asked} without data: the series has the other {left}"));
        }
    };
    match (grids.is_empty(), samples.is_empty()) {
        (true, false) => {
            samples.retain(|frame| !frame.is_empty());
            said(samples.len());
            sampled::of_scan(job, samples, axis)
        }
        (false, true) => of_grids(job, grids, axis, said),
        (false, false) => {
            Err(Error::file(path, "some frames are on a grid and others along trajectories; choose those of one kind"))
        }
        (true, true) => Err(Error::file(path, NONE)),
    }
}

/// What is wrong where nothing of a scan is left.
const NONE: &str = "none of the images that are asked for is in the file";

/// Frames on a grid.
fn of_grids(job: &Job, grids: Vec<Kspace>, axis: &str, said: impl Fn(usize)) -> Result<Frames> {
    let (args, path) = (job.args, &job.args.file);
    args.noncartesian.expect_none(path)?;
    args.units.expect_none(path)?;
    let mut kept: Option<Kspace> = None;
    let (mut frames, mut reference) = (Vec::new(), None);
    for mut kspace in grids {
        if reference.is_none() {
            reference = kspace.reference(path, args.allow_nan)?;
        }
        let frame = frame(job, &mut kspace)?;
        if frame.mask.iter().any(|m| *m != 0.0) {
            frames.push(frame);
            kept.get_or_insert(kspace);
        }
    }
    let (Some(first), Some(own)) = (frames.first(), &mut kept) else { return Err(Error::file(path, NONE)) };
    said(frames.len());
    let extents = first.kspace.shape().to_vec();
    if let Some(other) = frames.iter().find(|f| f.kspace.shape() != extents) {
        let message = format!("its frames have different extents, {extents:?} and {:?}", other.kspace.shape());
        return Err(Error::file(path, message));
    }
    // Maps are those of all frames.
    (own.values, own.place) = (first.kspace.clone(), None);
    let image = &extents[1..];
    let shape = [&[frames.len()], extents.as_slice()].concat();
    let bytes = shape.iter().fold(8u64, |n, e| n.saturating_mul(*e as u64));
    expect_bytes(bytes, || format!("a series of {}", count_of(frames.len(), "frame")))?;
    let mut kspace = ArrayD::<Complex32>::zeros(IxDyn(&shape));
    let mut masks = ArrayD::<f32>::zeros([&[frames.len()], image].concat());
    for (t, frame) in frames.into_iter().enumerate() {
        kspace.index_axis_mut(Axis(0), t).assign(&frame.kspace);
        masks.index_axis_mut(Axis(0), t).assign(&frame.mask);
    }
    let mut notes = std::mem::take(&mut own.notes);
    let whitening = own.info.as_ref().and_then(|info| info.whitening.as_ref());
    let mut maps = match &args.maps {
        Some(file) => Maps::given(args, file, read_maps(file, own, &args.arrays, &mut notes)?, whitening, &mut notes)?,
        None => {
            let (mean, seen) = mean(&kspace, &masks);
            Maps::found(args, &mean, &seen, reference, whitening)?
        }
    };
    let shading = maps.shading.take();
    let (maps, from) = one_set(maps)?;
    let series = Series::cartesian(maps.view(), masks.view())?;
    let sampled = masks.iter().filter(|v| **v != 0.0).count();
    let plain = || format!("{}, {}", count_of(kspace.len_of(Axis(1)), "coil"), by(image));
    let summary = own.info.as_ref().map_or_else(plain, |info| info.summary.clone());
    let said = [vec![format!("{summary}; {} by {axis}", count_of(masks.len_of(Axis(0)), "frame"))], notes].concat();
    let facts = vec![
        ("k-space", said.join("; ")),
        ("mask", format!("{sampled} of {} locations, as acquired", masks.len())),
        ("maps", from),
    ];
    let even = if matches!(shading, Some(Shading::Even(_))) { series.scale() } else { 1.0 };
    let (info, usual, axes) = (own.info.clone(), usual(&kspace, &masks), image_dims(image.len()));
    Ok(Frames { kspace, series, axes, facts, usual, even, info, shading })
}

/// One frame, without what is not finite.
fn frame(job: &Job, kspace: &mut Kspace) -> Result<Grid> {
    let names = kspace.names();
    let bad = finite(&job.args.file, &mut kspace.values, &names, job.args.allow_nan)?;
    not_acquired(&mut kspace.values, &bad);
    let values = std::mem::replace(&mut kspace.values, ArrayD::zeros(IxDyn(&[0])));
    let mut mask = kspace.sampled.take().unwrap_or_else(|| nonzero(&values));
    bad.iter().for_each(|at| mask[&at[1..]] = 0.0);
    Ok(Grid { kspace: values, mask })
}

impl Frames {
    /// What an image is multiplied by in the end.
    pub fn shade(&self, image: &mut ArrayD<Complex32>) {
        if let Some(shading) = &self.shading {
            shading.shade(image);
        }
    }
}
