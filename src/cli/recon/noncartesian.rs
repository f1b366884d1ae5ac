//! Data with a trajectory: SENSE with the non-uniform Fourier transform, or gridding.

use super::density::Density;
use super::field::{Encoded, Scales, expect_size, too_large, widen};
use super::geometry::{self, by, image_dims};
use super::grid::squared;
use super::inside::Inside;
use super::maps::{Shading, evened};
use super::matrix::{Matrix, header_matrix, matrix, of_maps_or_asked};
use super::report::{Job, percent, warn_of_lambda};
use super::weight::Usual;
use super::{ESTIMATING, default_mark};
use crate::cli::centre::padded;
use crate::cli::coil_maps;
use crate::cli::kspace::finite;
use crate::cli::numbers::relative_error;
use crate::cli::printer::{count_of, short};
use crate::cli::progress;
use crate::cli::samples::{Samples, read_image_maps};
use crate::cli::warnings::Warnings;
use linops::app::maps_doubt::better_maps_of_samples;
use linops::app::noncartesian::check_extent;
use linops::app::{NonCartesian, grid_coils};
use linops::dim::Shape;
use linops::linop::{Accuracy, NufftOptions};
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(next_help_heading = "Non-Cartesian data")]
#[group(skip)]
pub struct Args {
    /// Trajectory in cycles per field of view (or see --traj-units): .npy or .npz (…, D), component d along axis d of maps and image; or .cfl (3, sample,
    /// spoke) in the order x, y, z, x being the last axis of the image [default: that of an ISMRMRD file]
    #[arg(long, value_name = "FILE")]
    pub traj: Option<PathBuf>,

    /// Density compensation W: a file (.npy, .npz or .cfl) with a weight for each sample, ramp (radial scans), pipe (any scan),
    /// voronoi (2-D) or none [default: pipe]
    #[arg(long, value_name = "FILE|METHOD", value_parser = Density::parse)]
    dcf: Option<Density>,

    /// Extents of the image, such as 256, 256x192 or 64x256x256; samples beyond its k-space are left out [default: those of the maps,
    /// else of a scan those of its header, else 2·⌈max |k|⌉ along each axis]
    #[arg(long, value_name = "N", value_parser = matrix, allow_negative_numbers = true)]
    matrix: Option<Matrix>,

    /// Relative error of the non-uniform Fourier transform [default: 1e-4]
    #[arg(long, value_name = "TOL", value_parser = nufft_tol, allow_hyphen_values = true)]
    nufft_tol: Option<f64>,

    /// Whether the normal is a Toeplitz convolution: where that is cheaper, always, or never [default: auto]
    #[arg(long, value_name = "WHEN", value_enum)]
    toeplitz: Option<Toeplitz>,

    /// Only grid: write the density-compensated adjoint Sᴴ Nᴴ W y, or without maps the root of the sum of squares of the coils
    #[arg(long, conflicts_with_all = ["lambda", "iterations", "tol", "toeplitz", "init"])]
    pub(super) gridding_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Toeplitz {
    Auto,
    On,
    Off,
}

fn nufft_tol(text: &str) -> Result<f64, String> {
    relative_error(text, Accuracy::LEAST_TOL)
}

impl Args {
    /// The files that are read: the trajectory, and the density compensation.
    pub fn files(&self) -> [Option<&Path>; 2] {
        let dcf = match &self.dcf {
            Some(Density::File(path)) => Some(path.as_path()),
            _ => None,
        };
        [self.traj.as_deref(), dcf]
    }

    /// The first option that was given, but for --traj.
    pub fn given(&self) -> Option<&'static str> {
        let all = [
            ("--dcf", self.dcf.is_some()),
            ("--matrix", self.matrix.is_some()),
            ("--nufft-tol", self.nufft_tol.is_some()),
            ("--toeplitz", self.toeplitz.is_some()),
            ("--gridding-only", self.gridding_only),
        ];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// Refuses what means nothing for Cartesian data.
    pub fn expect_none(&self, file: &Path) -> Result<()> {
        match self.given() {
            Some(name) => {
                let message =
                    format!("{name} is for non-Cartesian data, and this is Cartesian; give the trajectory with --traj");
                Err(Error::file(file, message))
            }
            None => Ok(()),
        }
    }

    /// The extents that are asked for.
    pub(super) fn matrix_for(&self, d: usize) -> Result<Option<Vec<usize>>> {
        let whose = "the trajectory has coordinates for an image of";
        self.matrix.as_ref().map(|matrix| matrix.for_axes(d, "--matrix", whose)).transpose()
    }

    /// How the weights are made.
    pub(super) fn dcf(&self) -> Density {
        self.dcf.clone().unwrap_or(Density::Pipe)
    }

    /// The relative error of the transform.
    fn tol(&self) -> f64 {
        self.nufft_tol.unwrap_or(1e-4)
    }

    pub(super) fn nufft(&self) -> NufftOptions {
        let toeplitz = match self.toeplitz {
            None | Some(Toeplitz::Auto) => None,
            Some(when) => Some(when == Toeplitz::On),
        };
        NufftOptions::default().accuracy(Accuracy::Tol(self.tol())).toeplitz(toeplitz)
    }
}

/// What is reconstructed from.
struct Problem {
    samples: Samples,
    /// Pixels of the solve.
    matrix: Vec<usize>,
    /// Those of it that the image has, where it is cut.
    image: Option<Vec<usize>>,
    /// Weights of the samples.
    density: ArrayD<f64>,
    /// `None` where only the coils' root of the sum of squares is asked for.
    maps: Option<ArrayD<Complex32>>,
    maps_from: String,
    /// What an image of estimated maps is multiplied by: whitened maps are normalised in units of the noise.
    shading: Option<Shading>,
}

impl Problem {
    fn shade(&self, image: &mut ArrayD<Complex32>) {
        if let Some(shading) = &self.shading {
            shading.shade(image);
        }
    }
}

pub(super) fn run(mut job: Job, samples: Samples, options: SolveOptions) -> Result<u8> {
    let Job { args, device, warnings, .. } = job;
    let nufft = args.noncartesian.nufft();
    let problem = prepare(&job, samples)?;
    let info = problem.samples.info.as_ref();
    args.finishing.on_grid(&mut job.finish, &problem.matrix, info)?;
    job.start = match (job.start.take(), &problem.image) {
        (Some(start), Some(image)) if start.shape() == image => Some(padded(&start, &problem.matrix)),
        (Some(start), Some(image)) if start.shape() != problem.matrix => {
            return Err(args.wrong_start(start.shape(), image));
        }
        (start, _) => start,
    };
    job.expect_start(&problem.matrix)?;
    if let (Some(start), Some(shading)) = (&mut job.start, &problem.shading) {
        shading.undo(start);
    }
    job.scan = info.cloned();
    let Problem { samples, matrix, density, maps, .. } = &problem;
    let (kspace, trajectory, density) = (samples.values.view(), samples.trajectory.view(), density.view());
    let dims = image_dims(matrix.len());
    let model = match maps {
        Some(maps) => Some(NonCartesian::new(maps.view(), trajectory.view(), density.view(), nufft)?),
        None => None,
    };
    let normals = match &model {
        Some(model) if !args.noncartesian.gridding_only => model.linop().nufft_normals()?,
        _ => Vec::new(),
    };
    let said: String = normals.iter().map(|normal| format!("; normal {normal}")).collect();
    describe(&job, &problem, &said);
    let mut facts = facts(&job, &problem);
    match model {
        Some(model) if args.noncartesian.gridding_only => job.grid(dims, facts, || {
            let mut image = model.gridded(kspace, device)?;
            problem.shade(&mut image);
            Ok(image)
        }),
        Some(model) => {
            let doubt = || doubt(args, &problem);
            let doubt: Option<&dyn Fn() -> Option<String>> = if args.maps.is_some() { Some(&doubt) } else { None };
            let job = Job { doubt, ..job };
            let even = match (&problem.shading, maps) {
                // Whitened maps are even in the mean.
                (Some(Shading::Even(_)), Some(maps)) => strongest(maps) / more(problem.image.as_deref(), matrix),
                _ => 1.0,
            };
            let (lambda, from) = args.lambda_or(|| Usual::default().times(model.scale() / even));
            warn_of_lambda(lambda, model.scale(), warnings);
            for normal in normals {
                facts.insert("toeplitz".into(), json!(normal.toeplitz));
                facts.insert("toeplitz_reason".into(), json!(normal.reason));
            }
            if args.regularise.is_asked() {
                let asked = args.regularisation();
                let start = job.start.clone();
                let start = start.as_ref().map(|x| x.view());
                return job.regularise(dims, facts, |options| {
                    let mut found = model.regularised(kspace, &asked, start, options, device)?;
                    problem.shade(&mut found.image);
                    Ok(found)
                });
            }
            let options = job.started(options.lambda(lambda), model.linop())?;
            job.solve(options, from, dims, facts, |options| {
                let mut found = model.solve(kspace, options, device)?;
                problem.shade(&mut found.image);
                Ok(found)
            })
        }
        None => job.grid(dims, facts, || {
            let coils = grid_coils(kspace, trajectory, density, matrix, nufft, device)?;
            Ok(root_of_squares(&coils))
        }),
    }
}

/// What is wrong with maps that do not explain the data.
fn doubt(args: &super::Args, problem: &Problem) -> Option<String> {
    let Problem { samples, density, maps, .. } = problem;
    let maps = maps.as_ref()?.view();
    let axes = maps.ndim() - 1;
    let (kspace, trajectory) = (samples.values.view(), samples.trajectory.view());
    let found = better_maps_of_samples(kspace, trajectory, density.view(), maps).ok()??;
    let [before, after] = [found.before, found.after].map(percent);
    let fix = if found.change.conjugated { args.conventions.fix(found.change, axes) } else { String::new() };
    let (change, fit) = (found.change, format!("misfit {after} instead of {before} at low resolution"));
    Some(format!("maps {change} explain the data better ({fit}){fix}"))
}

fn prepare(job: &Job, mut samples: Samples) -> Result<Problem> {
    let Job { args, target, device, warnings, encoded: known_to_need, .. } = job;
    let own = &args.noncartesian;
    let nufft = own.nufft();
    let trajectory_file = own.traj.as_ref().unwrap_or(&args.file);
    let in_trajectory = |e: Error| Error::file(trajectory_file, e.to_string());
    let d = samples.trajectory.len_of(Axis(samples.trajectory.ndim() - 1));
    let coils = samples.values.len_of(Axis(0));
    let mut maps =
        args.maps.as_ref().map(|path| Ok((path, read_image_maps(path, coils, d, job.place.as_ref())?))).transpose()?;
    let encoded = Encoded::of(&samples);
    let asked = own.matrix_for(d)?;
    let known = maps.as_ref().map(|(_, maps)| maps.shape()[1..].to_vec()).or_else(|| asked.clone());
    if samples.info.is_none() || own.traj.is_some() {
        let (trajectory, units) = (&mut samples.trajectory, &mut samples.units);
        args.units.to_cycles(trajectory, units, known.as_deref(), warnings).map_err(in_trajectory)?;
    } else {
        args.units.expect_own(&args.file)?;
    }
    /// What is beyond this is no k-space of any image.
    const MOST: f64 = (1 << 20) as f64;
    let smaller = asked.is_some() && samples.trajectory.iter().all(|k| k.abs() <= MOST);
    let of_maps = maps.as_ref().map(|(_, maps)| maps.shape()[1..].to_vec());
    let given = args.maps.as_deref().zip(of_maps.as_deref());
    let (told, of_encoded) = of_maps_or_asked(&samples, encoded.as_ref(), given, asked.as_deref())?;
    let mut matrix = match told {
        Some(matrix) => matrix,
        None => {
            if samples.info.is_none() || own.traj.is_some() {
                args.units.expect_steps(&samples.trajectory, &samples.units).map_err(in_trajectory)?;
            }
            header_matrix(&samples).map_err(in_trajectory)?
        }
    };
    expect_size(coils, &matrix)?;
    let reach = samples.trajectory.iter().fold(0.0f64, |r, k| r.max(k.abs()));
    if reach > 0.0 && reach <= 0.5 {
        let message = "all coordinates lie within ±0.5, where there is nothing but the mean of the image; they are to be in cycles \
                       per field of view, so multiply them by the matrix, or give --matrix N and --traj-units pixel";
        return Err(Error::file(trajectory_file, message));
    }
    args.units.warn_of_reach(&samples.trajectory, &matrix, warnings);
    let bad = finite(&args.file, &mut samples.values, &["coil"], args.allow_nan)?;
    let method = own.dcf();
    let inside = if smaller { Inside::of(&samples.trajectory, &matrix) } else { None };
    let whole_density = match (&inside, &method) {
        // What stands for all samples is made before some are left out.
        (None, _) | (_, Density::Pipe) => None,
        _ => Some(method.weights(samples.trajectory.view(), &matrix, device)?),
    };
    let bad: Vec<Vec<usize>> = match &inside {
        None => bad.into_iter().map(|at| at[1..].to_vec()).collect(),
        Some(inside) => bad.into_iter().filter_map(|at| inside.place(&at[1..])).map(|at| vec![at]).collect(),
    };
    let whole_density = match (&inside, whole_density) {
        (Some(inside), Some(density)) => Some(inside.values(density)?),
        _ => None,
    };
    if let Some(inside) = &inside {
        inside.apply(&mut samples, &matrix, warnings)?;
    }
    check_extent(samples.trajectory.view(), &matrix).map_err(|e| match &maps {
        Some((path, _)) => {
            let message = format!("{e}; the image has the extents of the maps {}", path.display());
            Error::file(trajectory_file, message)
        }
        None => in_trajectory(e),
    })?;
    if let Some(said) =
        header_image(&samples, &matrix).filter(|_| asked.is_none() && maps.is_none() && !args.finishing.fills())
    {
        samples.notes.push(said);
    }
    let solves = args.solves_samples() && bad.is_empty();
    let needs = |encoded: &Encoded| known_to_need.map_or_else(|| encoded.is_needed(&samples, device), Ok);
    let whole = match (&encoded, &of_maps) {
        (Some(_), Some(pixels)) if of_encoded => Some((pixels.clone(), "the maps are of that")),
        (Some(encoded), _) if solves && needs(encoded)? => {
            let whole = encoded.matrix(&matrix);
            let outside = "what lies outside folds into the image";
            match &maps {
                Some((path, _)) => {
                    warnings.say_cause(format!(
                        "the object is larger than the field of view of the maps {}: {outside}; give maps of the encoded {}, as calibrate \
                         estimates them",
                        path.display(),
                        by(&whole)
                    ));
                    None
                }
                None if expect_size(coils, &whole).is_err() => {
                    warnings.say_cause(too_large(&whole));
                    None
                }
                None => Some((whole, "the object is larger than the image")),
            }
        }
        _ => None,
    };
    let (mut image, mut scales) = (None, Scales { maps: 1.0, density: 1.0 });
    if let Some((whole, why)) = whole {
        scales = widen(&mut samples, &whole, &matrix, why);
        image = Some(std::mem::replace(&mut matrix, whole));
    }
    let shape = Shape::new(linops::dim::parse_dims(image_dims(d))?, matrix.clone())?;
    target.check_shape(&shape)?;

    let mut density = match (whole_density, &method) {
        (Some(density), _) => density,
        (None, Density::File(_) | Density::None) => method.weights(samples.trajectory.view(), &matrix, device)?,
        // In cycles of the image's field of view.
        (None, _) => method.weights(samples.trajectory.view(), &matrix, device)? * scales.density,
    };
    for at in &bad {
        density[IxDyn(at)] = 0.0;
    }
    warn_of_strongest(&samples, &matrix, warnings);
    if !bad.is_empty() {
        samples.notes.push(format!("{} NaN or infinite; their samples do not count", count_of(bad.len(), "value")));
    }
    let mut shading = None;
    if let Some((path, maps)) = &mut maps {
        let bad = finite(path, maps, &["coil"], args.allow_nan)?;
        if !bad.is_empty() {
            samples.notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
        }
        if args.conventions.conj_maps {
            maps.mapv_inplace(|v| v.conj());
        }
        if let Some(whitening) = samples.info.as_ref().and_then(|info| info.whitening.as_ref()) {
            whitening.apply(maps.view_mut()).map_err(|e| Error::file(&**path, e.to_string()))?;
            shading = Some(Shading::Even(evened(maps)));
        }
    }
    let compression = args.combine.samples(samples.values.view(), density.view(), &mut samples.notes)?;
    let coils = samples.values.len_of(Axis(0));
    let (maps, maps_from) = match maps {
        Some((path, maps)) => (Some(maps), format!("from {}", path.display())),
        None if args.combine.rss || own.gridding_only && coils > 1 => {
            (None, "none: the root of the sum of squares of the coils".into())
        }
        None if coils == 1 => {
            let extents = [&[1], matrix.as_slice()].concat();
            (Some(ArrayD::from_elem(extents, Complex32::from(1.0))), "1 everywhere, as there is one coil".into())
        }
        None => {
            // Without compensation a calibration would see little but the centre of k-space.
            let weights = match method {
                Density::None => Density::Pipe.weights(samples.trajectory.view(), &matrix, device)?,
                _ => density.clone(),
            };
            let wait = progress::spinner("estimating coil maps");
            let (kspace, trajectory) = (samples.values.view(), samples.trajectory.view());
            let found =
                coil_maps::of_samples(kspace, trajectory, weights.view(), &matrix, nufft, device, coil_maps::usual);
            wait.finish_and_clear();
            let found = found.map_err(|e| e.at(ESTIMATING))?;
            let maps = found.set(0)?;
            if let Some(whitening) = samples.info.as_ref().and_then(|info| info.whitening.as_ref()) {
                shading = Some(Shading::At(whitening.shading(maps.view())?));
            }
            (Some(maps), format!("estimated by {}", found.method))
        }
    };
    let maps = maps.map(|maps| if image.is_none() { maps } else { maps * Complex32::from(scales.maps) });
    // Maps are those of the coils themselves, whose noise is known, and are combined as k-space is.
    let maps = match (&compression, maps) {
        (Some(compression), Some(maps)) => Some(compression.maps(maps.view())?),
        (_, maps) => maps,
    };
    if let Some(compression) = &compression {
        samples.values = compression.kspace(samples.values.view())?;
    }
    Ok(Problem { samples, matrix, image, density, maps, maps_from, shading })
}

/// What there is to say of an image that is not the header's.
fn header_image(samples: &Samples, matrix: &[usize]) -> Option<String> {
    let info = samples.info.as_ref()?;
    let header = &info.recon_matrix[3 - matrix.len()..];
    let finer = header.iter().zip(matrix).all(|(n, own)| n >= own);
    let how = if finer { ", which --zero-fill gives" } else { "" };
    (header != matrix).then(|| format!("the header's image has {}{how}", by(header)))
}

/// Warns where the strongest sample is far from the centre of k-space.
fn warn_of_strongest(samples: &Samples, matrix: &[usize], warnings: &Warnings) {
    let power = samples.values.map_axis(Axis(0), |v| v.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>());
    let lanes = samples.trajectory.lanes(Axis(samples.trajectory.ndim() - 1));
    let (mut near, mut far, mut place) = (0.0f64, 0.0f64, None);
    for (p, k) in power.iter().zip(lanes) {
        if k.iter().zip(matrix).all(|(k, n)| 8.0 * k.abs() <= (*n).max(16) as f64) {
            near = near.max(*p);
        } else if *p > far {
            (far, place) = (*p, Some(k));
        }
    }
    // Of a point, or of noise, none is by far the strongest.
    if let Some(k) = place.filter(|_| far > 2.0 * near) {
        let k: Vec<String> = k.iter().map(|k| format!("{k:.1}")).collect();
        warnings.say(format!(
            "the strongest sample of k-space is at k = ({}), far from the centre; do trajectory and data belong together, in the same \
             order?",
            k.join(", ")
        ));
    }
}

/// How many times the pixels of the image those of the solve are.
pub(super) fn more(image: Option<&[usize]>, matrix: &[usize]) -> f32 {
    let count = |extents: &[usize]| extents.iter().map(|n| *n as f32).product::<f32>();
    image.map_or(1.0, |image| count(matrix) / count(image))
}

/// The largest sum of squares over the coils (coil, image…).
pub(super) fn strongest(maps: &ArrayD<Complex32>) -> f32 {
    maps.map_axis(Axis(0), |coils| coils.iter().map(|v| v.norm_sqr()).sum::<f32>()).fold(0.0, |m, v| m.max(*v))
}

/// √Σ|x|² over the coils (coil, image…).
fn root_of_squares(coils: &ArrayD<Complex32>) -> ArrayD<Complex32> {
    coils.map_axis(Axis(0), |values| Complex32::from(values.iter().map(squared).sum::<f64>().sqrt() as f32))
}

fn describe(job: &Job, problem: &Problem, normals: &str) {
    let Job { args, printer, finish, .. } = job;
    let Problem { samples, matrix, maps_from, .. } = problem;
    let own = &args.noncartesian;
    let (coils, sizes) = (samples.values.len_of(Axis(0)), samples.values.shape());
    let first = match &samples.info {
        Some(info) => info.summary.clone(),
        None => format!("{}, {} samples", count_of(coils, "coil"), by(&sizes[1..])),
    };
    let trajectory = format!("trajectory {}", samples.units);
    printer.field("k-space", [vec![first, trajectory], samples.notes.clone()].concat().join("; "));
    match &samples.info {
        Some(info) => printer.field("image", geometry::said(info, &finish.pixels(), &finish.kept()) + &finish.said()),
        None => printer.field("image", by(matrix) + &finish.said()),
    }
    printer.field("maps", maps_from);
    printer.field(
        "nufft",
        format_args!(
            "tol {}{}; dcf {}{}{normals}",
            short(own.tol()),
            default_mark(own.nufft_tol.is_some()),
            own.dcf().describe(),
            default_mark(own.dcf.is_some())
        ),
    );
}

/// The same as JSON.
fn facts(job: &Job, problem: &Problem) -> Map<String, Value> {
    let Job { args, device, finish, .. } = job;
    let Problem { samples, matrix, maps_from, .. } = problem;
    let own = &args.noncartesian;
    let mut facts = geometry::facts(samples.info.as_ref(), &finish.pixels(), &finish.kept());
    let info = samples.info.iter().map(|info| info.summary.clone());
    facts.extend([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("coils".into(), json!(samples.values.len_of(Axis(0)))),
        ("samples".into(), json!(samples.values.shape()[1..])),
        ("trajectory".into(), json!(samples.units)),
        ("matrix".into(), json!(matrix)),
        ("image".into(), json!(finish.kept())),
        ("dcf".into(), json!(own.dcf().describe())),
        ("maps".into(), json!(maps_from)),
        ("nufft_tol".into(), json!(own.tol())),
        ("notes".into(), json!(info.chain(samples.notes.iter().cloned()).collect::<Vec<_>>())),
    ]);
    facts
}
