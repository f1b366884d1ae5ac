//! `--time`: a series of frames, each from its own samples, with a subspace where one is given.

use super::conventions::warn_of_mask;
use super::frames;
use super::geometry::{self, by, image_dims};
use super::grid::nonzero;
use super::maps::{Maps, Shading};
use super::report::{Job, warn_of_lambda};
use super::sampled;
use super::weight::Usual;
use crate::cli::grids::read_masks;
use crate::cli::input::{is_bart, read, read_complex};
use crate::cli::kspace::{complex, finite};
use crate::cli::printer::count_of;
use linops::app::KspaceNoise;
use linops::app::conventions::mask_disagreement;
use linops::app::series::Series;
use linops::io::{Format, Reader, ScanInfo};
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::{Map, json};
use std::path::Path;

/// What the frames are made of.
pub(super) struct Frames {
    /// (time, coil, …).
    pub kspace: ArrayD<Complex32>,
    pub series: Series,
    /// Dims of a frame.
    pub axes: &'static str,
    pub facts: Vec<(&'static str, String)>,
    /// The λ where none is given, relative to the scale of the model.
    pub usual: Usual,
    /// What the scale of the model is beside that of maps that are 1 in the mean, where they were made so.
    pub even: f32,
    /// Of a scan.
    pub info: Option<ScanInfo>,
    pub shading: Option<Shading>,
}

pub(super) fn run(mut job: Job, options: SolveOptions) -> Result<u8> {
    let frames = match Format::of_input(&job.args.file).and_then(|format| format.reader) {
        Some(Reader::Scan(_)) => frames::of_scan(&job)?,
        Some(Reader::Bart(_)) => frames::of_bart(&job)?,
        _ => of_arrays(&job)?,
    };
    let Job { args, device, printer, warnings, .. } = job;
    let mut series = frames.series.clone();
    let mut json_facts =
        Map::from_iter([("device".into(), json!(device.name())), ("lanes".into(), json!(args.common.lanes()))]);
    for (name, value) in &frames.facts {
        json_facts.insert(name.replace('-', "_"), json!(value));
    }
    let (mut front, mut images, mut subspace) = ("T", "frame", None);
    if let Some(path) = &args.subspace {
        let basis = basis(path)?;
        subspace = Some(format!("{} of {}", count_of(basis.ncols(), "coefficient"), path.display()));
        series = series.with_subspace(basis.view()).map_err(|e| Error::file(path, e.to_string()))?;
        (front, images) = ("B", "coefficient");
    }
    let extents = series.linop().input()?.extents().to_vec();
    job.expect_start(&extents)?;
    if let (Some(start), Some(shading)) = (&mut job.start, &frames.shading) {
        shading.undo(start);
    }
    args.regularise.expect_blocks(&extents[1..])?;
    args.finishing.on_grid(&mut job.finish, &extents[1..], frames.info.as_ref())?;
    let dims = format!("{front} {}", frames.axes);
    let (pixels, image) = (job.finish.pixels(), job.finish.kept());
    let said = frames.info.as_ref().map_or_else(|| by(&image), |info| geometry::said(info, &pixels, &image));
    let said = format!("{} of {said}{}", count_of(extents[0], images), job.finish.said());
    let first = frames.facts.iter().take(1).map(|(name, value)| (*name, value));
    let image_line = [("image", &said)].into_iter().chain(subspace.iter().map(|said| ("subspace", said)));
    let rest = frames.facts.iter().skip(1).map(|(name, value)| (*name, value));
    first.chain(image_line).chain(rest).for_each(|(name, value)| printer.field(name, value));
    json_facts.extend(geometry::facts(frames.info.as_ref(), &pixels, &image));
    json_facts.insert("image".into(), json!(image));
    let kspace = frames.kspace.view();
    job.scan.clone_from(&frames.info);
    if args.regularise.is_asked() {
        let asked = args.regularisation();
        let start = job.start.clone();
        let start = start.as_ref().map(|x| x.view());
        return job.regularise(&dims, json_facts, |o| {
            let mut found = series.regularised(kspace, &asked, start, o, device)?;
            frames.shade(&mut found.image);
            Ok(found)
        });
    }
    let (lambda, from) = args.lambda_or(|| frames.usual.times(series.scale() / frames.even));
    warn_of_lambda(lambda, series.scale(), warnings);
    let options = job.started(options.lambda(lambda), series.linop())?;
    job.solve(options, from, &dims, json_facts, |o| {
        let mut found = series.solve(kspace, o, device)?;
        frames.shade(&mut found.image);
        Ok(found)
    })
}

/// Frames of arrays.
fn of_arrays(job: &Job) -> Result<Frames> {
    let args = job.args;
    let kspace = complex(&args.file, read(&args.file)?)?;
    if args.noncartesian.traj.is_some() {
        return sampled::of_array(job, kspace);
    }
    grid(job, kspace)
}

/// Frames on a grid.
fn grid(job: &Job, mut kspace: ArrayD<Complex32>) -> Result<Frames> {
    const EXPECTED: &str = "(time, coil, ky, kx) or (time, coil, kz, ky, kx)";
    let args = job.args;
    args.noncartesian.expect_none(&args.file)?;
    let (frames, coils, image) = match kspace.shape() {
        [frames, coils, image @ ..] if (2..=3).contains(&image.len()) => (*frames, *coils, image.to_vec()),
        other => return Err(Error::file(&args.file, format!("k-space with axes {other:?}, expected {EXPECTED}"))),
    };
    let mut notes = Vec::new();
    let names = [&["time", "coil"], &["kz", "ky", "kx"][3 - image.len()..]].concat();
    let bad = finite(&args.file, &mut kspace, &names, args.allow_nan)?;
    let mut masks = match &args.mask {
        Some(path) => {
            let masks = read_masks(path, frames, &image, &mut notes)?;
            // Once is enough.
            let there = |frame: usize| nonzero(&kspace.index_axis(Axis(0), frame).to_owned());
            let of = |frame: usize| masks.index_axis(Axis(0), frame);
            if let Some(frame) = (0..frames).find(|f| mask_disagreement(of(*f), there(*f).view()).is_some()) {
                warn_of_mask(&of(frame).to_owned(), &there(frame), job.warnings);
            }
            masks
        }
        None => kspace.map_axis(Axis(1), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default()))),
    };
    for at in &bad {
        masks[IxDyn(&[&at[..1], &at[2..]].concat())] = 0.0;
    }
    if !bad.is_empty() {
        let values = count_of(bad.len(), "value");
        notes.push(format!("{values} NaN or infinite; their locations count as not acquired"));
    }
    let kspace = kspace * &masks.mapv(Complex32::from).insert_axis(Axis(1));
    let (maps, from) = match &args.maps {
        Some(path) => {
            let maps = read_complex(path)?;
            let want = [&[coils], image.as_slice()].concat();
            if maps.shape() != want {
                let message = format!("coil maps of {:?}, expected {want:?} from the k-space", maps.shape());
                return Err(Error::file(path, message));
            }
            (maps, format!("from {}", path.display()))
        }
        None => {
            let (mean, seen) = mean(&kspace, &masks);
            one_set(Maps::found(args, &mean, &seen, None, None)?)?
        }
    };
    let sampled = masks.iter().filter(|v| **v != 0.0).count();
    let said = format!("{}, {}, {}", count_of(frames, "frame"), count_of(coils, "coil"), by(&image));
    let facts = vec![
        ("k-space", [vec![said], notes].concat().join("; ")),
        ("mask", format!("{sampled} of {} locations", masks.len())),
        ("maps", from),
    ];
    let series = Series::cartesian(maps.view(), masks.view())?;
    let usual = usual(&kspace, &masks);
    let axes = image_dims(image.len());
    Ok(Frames { kspace, series, axes, facts, usual, even: 1.0, info: None, shading: None })
}

/// The mean of what was sampled of frames (time, coil, …), which together see more of k-space than one; and where there is any of it.
pub(super) fn mean(kspace: &ArrayD<Complex32>, masks: &ArrayD<f32>) -> (ArrayD<Complex32>, ArrayD<f32>) {
    let count = masks.sum_axis(Axis(0));
    (kspace.sum_axis(Axis(0)) / &count.mapv(|n| Complex32::from(n.max(1.0))), count.mapv(|n| n.min(1.0)))
}

/// The one set of maps (coil, image…) that a series takes, and what it is from.
pub(super) fn one_set(maps: Maps) -> Result<(ArrayD<Complex32>, String)> {
    let Some(values) = maps.values else { return Err(Error::Value("a series takes coil maps".into())) };
    match values.len_of(Axis(1)) {
        1 => Ok((values.index_axis_move(Axis(1), 0), maps.from)),
        sets => Err(Error::Value(format!("{sets} sets of coil maps; a series takes one"))),
    }
}

/// What the noise of all frames asks for, (time, coil, …), by their masks (time, …).
pub(super) fn usual(kspace: &ArrayD<Complex32>, masks: &ArrayD<f32>) -> Usual {
    let frames = kspace.outer_iter().zip(masks.outer_iter());
    let noise: Vec<_> = frames.filter_map(|(frame, mask)| KspaceNoise::of(frame, mask)).collect();
    Usual::of(KspaceNoise::weight(&noise))
}

/// A temporal basis (time, coefficient), or BART's, with the times along dim 5 and the coefficients along dim 6.
fn basis(path: &Path) -> Result<Array2<Complex32>> {
    let mut array = read_complex(path)?;
    let came = array.shape().to_vec();
    if is_bart(path) {
        // The dims reversed, without those of 1 behind.
        const TIME: usize = 5;
        const COEFFICIENT: usize = 6;
        while array.ndim() <= COEFFICIENT {
            array = array.insert_axis(Axis(0));
        }
        let last = array.ndim() - 1;
        let others = (0..=last).filter(|dim| ![TIME, COEFFICIENT].contains(dim)).map(|dim| array.shape()[last - dim]);
        if others.into_iter().all(|n| n == 1) {
            let extents = [array.shape()[last - COEFFICIENT], array.shape()[last - TIME]];
            array = array.into_shape_with_order(IxDyn(&extents)).map_err(|e| Error::file(path, e.to_string()))?;
            array = array.reversed_axes();
        }
    }
    let expected = "expected (time, coefficient), or BART's dims (1, 1, 1, 1, 1, time, coefficient)";
    array.into_dimensionality().map_err(|_| Error::file(path, format!("the basis with axes {came:?}, {expected}")))
}
