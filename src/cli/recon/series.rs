//! `--time`: a series of frames, each from its own samples, with a subspace where one is given.

use super::frames;
use super::maps::Shading;
use super::report::{Job, warn_of_lambda};
use super::{ESTIMATING, density::Density};
use crate::cli::input::{is_bart, read};
use crate::cli::kspace::{complex, exact, finite};
use crate::cli::printer::count_of;
use crate::cli::progress;
use crate::cli::samples::read_trajectory;
use linops::app::noncartesian::fitting_matrix;
use linops::app::series::Series;
use linops::app::{calibrate_maps, estimate_maps};
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
        printer.field(name, value);
        json_facts.insert(name.replace('-', "_"), json!(value));
    }
    let mut front = "T";
    if let Some(path) = &args.subspace {
        let basis = with_rank::<_, Ix2>(path, read(path)?.into_complex(), "the basis", "(time, coefficient)")?;
        printer.field("subspace", format_args!("{} of {}", count_of(basis.ncols(), "coefficient"), path.display()));
        series = series.with_subspace(basis.view()).map_err(|e| Error::file(path, e.to_string()))?;
        front = "B";
    }
    let extents = series.linop().input()?.extents().to_vec();
    job.expect_start(&extents)?;
    args.finishing.on_grid(&mut job.finish, &extents[1..], frames.info.as_ref())?;
    let dims = format!("{front} {}", frames.axes);
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
    let lambda = args.lambda.unwrap_or(options.lambda * series.scale());
    warn_of_lambda(lambda, series.scale(), warnings);
    job.solve(options.lambda(lambda), "", &dims, json_facts, |o| {
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
    let bad = finite(&args.file, &mut kspace, &["time", "coil"], args.allow_nan)?;
    if !bad.is_empty() {
        printer.field("", format_args!("{} NaN or infinite, set to 0", count_of(bad.len(), "value")));
    }
    match &args.noncartesian.traj {
        Some(_) => samples(job, kspace),
        None => grid(job, with_rank(&args.file, kspace, "k-space", "(time, coil, ky, kx)")?),
    }
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
    Ok(Frames { kspace, series, axes: "Ny Nx", facts, info: None, shading: None })
}

/// Frames along trajectories (time, …, D).
fn samples(job: &Job, kspace: ArrayD<Complex32>) -> Result<Frames> {
    let (args, device) = (job.args, job.device);
    let own = &args.noncartesian;
    let Some(file) = args.trajectory() else { return Err(Error::Value("no trajectory; give --traj".into())) };
    let path = file.path;
    let (mut trajectory, mut units) = read_trajectory(&file, &mut Vec::new())?;
    let d = trajectory.shape().last().copied().unwrap_or(0);
    let frames = kspace.shape().first().copied().unwrap_or(0);
    let fits = trajectory.ndim() >= 3
        && (1..=3).contains(&d)
        && kspace.ndim() == trajectory.ndim()
        && trajectory.shape()[0] == frames
        && trajectory.shape()[1..trajectory.ndim() - 1] == kspace.shape()[2..];
    if !fits {
        let message = format!(
            "a trajectory of {:?} for k-space of {:?}; expected (time, …, D) and (time, coil, …)",
            trajectory.shape(),
            kspace.shape()
        );
        return Err(Error::file(path, message));
    }
    let to_cycles = |trajectory: &mut ArrayD<f64>, units: &mut String, matrix: Option<&[usize]>| {
        let done = args.units.to_cycles(trajectory, units, matrix, job.warnings);
        done.map_err(|e| Error::file(path, e.to_string()))
    };
    let matrix = match (own.matrix_for(d)?, &args.maps) {
        (Some(matrix), _) => matrix,
        (None, Some(maps)) => read(maps)?.shape()[1..].to_vec(),
        (None, None) => {
            to_cycles(&mut trajectory, &mut units, None)?;
            args.units.expect_steps(&trajectory, &units).map_err(|e| Error::file(path, e.to_string()))?;
            fitting_matrix(trajectory.view()).map_err(|e| Error::file(path, e.to_string()))?
        }
    };
    if own.matrix_for(d)?.is_some() || args.maps.is_some() {
        to_cycles(&mut trajectory, &mut units, Some(&matrix))?;
    }
    args.units.warn_of_reach(&trajectory, &matrix, job.warnings);
    let method = own.dcf();
    let density = match &method {
        Density::File(_) => method.weights(trajectory.view(), &matrix, device)?,
        _ => {
            let each = trajectory.axis_iter(Axis(0)).map(|k| method.weights(k, &matrix, device));
            let each = each.collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = each.iter().map(|w| w.view()).collect();
            ndarray::stack(Axis(0), &views).map_err(|e| Error::Shape(e.to_string()))?
        }
    };
    let coils = kspace.shape()[1];
    let maps = match &args.maps {
        Some(file) => read(file)?.into_complex(),
        None if coils == 1 => ArrayD::from_elem([&[1], matrix.as_slice()].concat(), Complex32::from(1.0)),
        None => {
            // All frames as one scan: (coil, time, …).
            let mut order: Vec<usize> = (0..kspace.ndim()).collect();
            order.swap(0, 1);
            let one = kspace.view().permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
            let weights = density.mapv(|w| w / frames as f64);
            let wait = progress::spinner("estimating coil maps");
            let found = calibrate_maps(one.view(), trajectory.view(), weights.view(), &matrix, own.nufft(), device);
            wait.finish_and_clear();
            found.map_err(|e| e.at(ESTIMATING))?.maps.into_dyn()
        }
    };
    let sizes: Vec<String> = matrix.iter().map(ToString::to_string).collect();
    let facts = vec![
        (
            "k-space",
            format!(
                "{}, {}, {} samples each",
                count_of(frames, "frame"),
                count_of(coils, "coil"),
                trajectory.len() / d / frames
            ),
        ),
        ("image", sizes.join(" x ")),
        ("dcf", method.describe()),
        ("maps", maps_from(job, "from all frames")),
    ];
    let series = Series::samples(maps.view(), trajectory.view(), density.view(), own.nufft())?;
    let axes = ["Nx", "Ny Nx", "Nz Ny Nx"][d - 1];
    Ok(Frames { kspace, series, axes, facts, info: None, shading: None })
}

fn maps_from(job: &Job, estimated: &str) -> String {
    job.args.maps.as_ref().map_or_else(|| format!("estimated {estimated}"), |path| format!("from {}", path.display()))
}

fn with_rank<T, D: Dimension>(path: &Path, array: ArrayD<T>, what: &str, dims: &str) -> Result<Array<T, D>> {
    let extents = array.shape().to_vec();
    let wrong = |_| Error::file(path, format!("{what} with axes {extents:?}, expected {dims}"));
    array.into_dimensionality::<D>().map_err(wrong)
}
