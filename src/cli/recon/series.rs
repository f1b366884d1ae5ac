//! `--time`: a series of frames, each from its own samples, with a subspace where one is given.

use super::ESTIMATING;
use super::frames;
use super::geometry::{self, by};
use super::maps::Shading;
use super::report::{Job, warn_of_lambda};
use super::sampled;
use super::weight::Usual;
use crate::cli::input::{is_bart, read};
use crate::cli::kspace::{complex, exact, finite};
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::series::Series;
use linops::app::{KspaceNoise, estimate_maps};
use linops::io::{Format, Reader, ScanInfo};
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{Array, ArrayD, Axis, Dimension, Ix2, Ix3, Ix4, IxDyn};
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
        let basis = with_rank::<_, Ix2>(path, read(path)?.into_complex(), "the basis", "(time, coefficient)")?;
        subspace = Some(format!("{} of {}", count_of(basis.ncols(), "coefficient"), path.display()));
        series = series.with_subspace(basis.view()).map_err(|e| Error::file(path, e.to_string()))?;
        (front, images) = ("B", "coefficient");
    }
    let extents = series.linop().input()?.extents().to_vec();
    job.expect_start(&extents)?;
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
    job.solve(options.lambda(lambda), from, &dims, json_facts, |o| {
        let mut found = series.solve(kspace, o, device)?;
        frames.shade(&mut found.image);
        Ok(found)
    })
}

/// Frames of arrays.
fn of_arrays(job: &Job) -> Result<Frames> {
    let Job { args, printer, .. } = job;
    if is_bart(&args.file) {
        return Err(Error::file(
            &args.file,
            "a series is read from .npy: (time, coil, ky, kx), or (time, coil, …) with --traj; or from the scan of an HDF5 file",
        ));
    }
    let mut kspace = complex(&args.file, read(&args.file)?)?;
    if args.noncartesian.traj.is_some() {
        return sampled::of_array(job, kspace);
    }
    let bad = finite(&args.file, &mut kspace, &["time", "coil"], args.allow_nan)?;
    if !bad.is_empty() {
        printer.field("", format_args!("{} NaN or infinite, set to 0", count_of(bad.len(), "value")));
    }
    grid(job, with_rank(&args.file, kspace, "k-space", "(time, coil, ky, kx)")?)
}

/// Frames on a grid.
fn grid(job: &Job, kspace: Array<Complex32, Ix4>) -> Result<Frames> {
    let args = job.args;
    args.noncartesian.expect_none(&args.file)?;
    let (frames, coils, ny, nx) = kspace.dim();
    let masks: Array<f32, Ix3> = match &args.mask {
        Some(path) => {
            let mask = exact(read(path)?).mapv(|v| v as f32);
            let shape = [frames, ny, nx];
            let whole = mask.broadcast(IxDyn(&shape)).map(|m| m.to_owned());
            let Some(whole) = whole else {
                let message =
                    format!("a mask of {:?}, expected (ky, kx) or (time, ky, kx) with {shape:?}", mask.shape());
                return Err(Error::file(path, message));
            };
            with_rank(path, whole, "the mask", "(time, ky, kx)")?
        }
        None => kspace.map_axis(Axis(1), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default()))),
    };
    let maps = match &args.maps {
        Some(path) => with_rank::<_, Ix3>(path, read(path)?.into_complex(), "coil maps", "(coil, y, x)")?,
        None => {
            // The mean of what was sampled: the frames together see more of k-space than one.
            let count = masks.sum_axis(Axis(0)).mapv(|n| n.max(1.0));
            let mean = kspace.sum_axis(Axis(0)) / &count.mapv(Complex32::from);
            let wait = progress::spinner("estimating coil maps");
            let found = estimate_maps(mean.view(), None);
            wait.finish_and_clear();
            found.map_err(|e| e.at(ESTIMATING))?.maps
        }
    };
    if maps.dim() != (coils, ny, nx) {
        let message = format!("coil maps of {:?}, expected {:?} from the k-space", maps.shape(), [coils, ny, nx]);
        return Err(args.maps.as_ref().map_or(Error::Shape(message.clone()), |path| Error::file(path, message)));
    }
    let sampled = masks.iter().filter(|v| **v != 0.0).count();
    let facts = vec![
        ("k-space", format!("{}, {}, {ny} x {nx}", count_of(frames, "frame"), count_of(coils, "coil"))),
        ("mask", format!("{sampled} of {} locations", masks.len())),
        ("maps", maps_from(job, "from the mean of the frames")),
    ];
    let series = Series::cartesian(maps.view(), masks.view())?;
    let kspace = (&kspace * &masks.mapv(Complex32::from).insert_axis(Axis(1))).into_dyn();
    let usual = usual(&kspace, &masks);
    Ok(Frames { kspace, series, axes: "Ny Nx", facts, usual, even: 1.0, info: None, shading: None })
}

/// What the noise of all frames asks for, (time, coil, ky, kx), by their masks (time, ky, kx).
pub(super) fn usual(kspace: &ArrayD<Complex32>, masks: &Array<f32, Ix3>) -> Usual {
    let frames = kspace.outer_iter().zip(masks.outer_iter());
    let noise: Vec<_> = frames.filter_map(|(frame, mask)| KspaceNoise::of(frame, mask.into_dyn())).collect();
    Usual::of(KspaceNoise::weight(&noise))
}

fn maps_from(job: &Job, estimated: &str) -> String {
    job.args.maps.as_ref().map_or_else(|| format!("estimated {estimated}"), |path| format!("from {}", path.display()))
}

fn with_rank<T, D: Dimension>(path: &Path, array: ArrayD<T>, what: &str, dims: &str) -> Result<Array<T, D>> {
    let extents = array.shape().to_vec();
    let wrong = |_| Error::file(path, format!("{what} with axes {extents:?}, expected {dims}"));
    array.into_dimensionality::<D>().map_err(wrong)
}
