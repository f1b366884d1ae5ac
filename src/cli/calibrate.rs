//! `linops calibrate`: coil maps from the centre of k-space, written for later reconstructions.

use super::arrays::Arrays;
use super::common::Common;
use super::grids::{Volume, read_grid_mask};
use super::input::is_bart;
use super::kspace::{Input, Kspace, finite, read_inputs, read_mask};
use super::numbers::from_one;
use super::printer::{Printer, complain, count_of};
use super::recon::{Density, Matrix, ScanArgs, matrix};
use super::samples::Trajectory;
use super::{DONE, output, progress};
use clap::builder::{PathBufValueParser, TypedValueParser};
use linops::app::noncartesian::fitting_matrix;
use linops::app::{EspiritOptions, MapSets, WalshOptions, espirit, gridded_kspace, walsh};
use linops::io::Output;
use linops::linop::{Accuracy, NufftOptions};
use linops::{Error, Result, Shape, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Estimates coil sensitivities from the fully sampled centre of k-space, in 2 or 3 dimensions, for `recon --maps`.
#[derive(clap::Args)]
pub struct Args {
    /// k-space, as recon reads it: .npy (coil, ky, kx) or (coil, kz, ky, kx), BART .cfl (x, y, z, coil), ISMRMRD .h5; with --traj
    /// (coil, …)
    file: PathBuf,

    /// Where the maps go: .npy (coil, y, x) or (coil, z, y, x), of several sets (coil, set, …); BART .cfl (x, y, z, coil, set)
    #[arg(long, short, value_name = "FILE", value_parser = maps_name())]
    output: PathBuf,

    /// espirit (eigenvectors of patches of k-space), or walsh (local covariances of images; faster, less exact at edges)
    #[arg(long, value_name = "METHOD", value_enum, default_value = "espirit")]
    method: Method,

    /// Side of a patch of k-space, of espirit [default: 6, of volumes 4]; side of a neighbourhood of pixels, of walsh [default: 5]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    kernel: Option<NonZeroUsize>,

    /// Centre lines along each axis that are used, 4 to 64 [default: what was fully sampled, up to 24]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    calib_size: Option<NonZeroUsize>,

    /// Singular values below this part of the largest are noise, of espirit [default: 0.02]
    #[arg(long, value_name = "T", value_parser = part, allow_hyphen_values = true)]
    threshold: Option<f64>,

    /// Maps are 0 where the eigenvalue of espirit is below this [default: 0.95], or where walsh explains less of the energy [default: 0]
    #[arg(long, value_name = "C", value_parser = part, allow_hyphen_values = true)]
    crop: Option<f64>,

    /// Sets of maps: 2 where an object is larger than the field of view and folds onto itself [default: 1]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    sets: Option<NonZeroUsize>,

    /// Where the eigenvalues go, (y, x), (z, y, x) or of several sets (set, …): .npy, .cfl, or .png of one image
    #[arg(long, value_name = "FILE", value_parser = output::name())]
    eigenvalues: Option<PathBuf>,

    /// Sampling mask (ky, kx) of zeros and ones, or (kz, ky, kx), (kz, ky) [default: where the data are not zero]
    #[arg(long, value_name = "FILE", conflicts_with = "traj")]
    mask: Option<PathBuf>,

    /// Trajectory in cycles per field of view, as for recon: the maps come from the gridded k-space
    #[arg(long, value_name = "FILE")]
    traj: Option<PathBuf>,

    /// Extents of the maps, with a trajectory [default: 2·⌈max |k|⌉ along each axis]
    #[arg(long, value_name = "N", value_parser = matrix, allow_negative_numbers = true)]
    matrix: Option<Matrix>,

    #[command(flatten)]
    scan: ScanArgs,

    /// Treat k-space locations that hold NaN or infinity as not acquired
    #[arg(long)]
    allow_nan: bool,

    /// Replace existing outputs
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Espirit,
    Walsh,
}

/// What maps are written as.
const FORMATS: [&str; 2] = ["npy", "cfl"];

fn maps_name() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| Output::format(&path, &FORMATS).map(|_| path.clone()))
}

fn part(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
    number.ok_or_else(|| "expected a number from 0 to 1".into())
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        match self.method {
            Method::Walsh if self.threshold.is_some() => Err("--threshold is for --method espirit".into()),
            _ => Ok(()),
        }
    }

    /// The maps of k-space on a grid.
    fn estimate(&self, kspace: &ArrayD<Complex32>) -> Result<MapSets> {
        let sets = self.sets.map_or(1, NonZeroUsize::get);
        let calibration = self.calib_size.map(NonZeroUsize::get);
        match self.method {
            Method::Espirit => {
                let mut options = EspiritOptions::default().sets(sets).calibration(calibration);
                options = options.kernel(self.kernel.map(NonZeroUsize::get));
                let (threshold, crop) =
                    (self.threshold.unwrap_or(options.threshold), self.crop.unwrap_or(options.crop));
                espirit(kspace.view(), &options.threshold(threshold).crop(crop))
            }
            Method::Walsh => {
                let options = WalshOptions::default().sets(sets).calibration(calibration);
                let window = self.kernel.map_or(options.window, NonZeroUsize::get);
                let crop = self.crop.unwrap_or(options.crop);
                walsh(kspace.view(), &options.window(window).crop(crop))
            }
        }
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let inputs = [Some(args.file.as_path()), args.mask.as_deref(), args.traj.as_deref()];
    let target = output::reserve(&args.output, args.force, &inputs)?;
    output::expect_different(&[Some(args.output.as_path()), args.eigenvalues.as_deref()])?;
    let others = [&inputs[..], &[Some(args.output.as_path())]].concat();
    let values_target =
        args.eigenvalues.as_deref().map(|path| output::reserve(path, args.force, &others)).transpose()?;
    let (kspace, notes) = gridded(args)?;
    let (coils, image) = (kspace.len_of(Axis(0)), kspace.shape()[1..].to_vec());
    let sets = args.sets.map_or(1, NonZeroUsize::get);
    if let Some(target) = &values_target {
        let extents = if sets == 1 { image.clone() } else { [&[sets], &image[..]].concat() };
        let dims = linops::dim::parse_dims(values_dims(sets, image.len()).as_str())?;
        output::check_shape(target, &Shape::new(dims, extents)?)?;
    }
    let wait = progress::spinner("estimating coil maps");
    let start = Instant::now();
    let found = args.estimate(&kspace);
    wait.finish_and_clear();
    let found = found.map_err(|e| match e {
        Error::Value(message) => Error::file(&args.file, message.replace(", or give the coil maps with --maps", "")),
        e => e,
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let by: Vec<String> = image.iter().map(usize::to_string).collect();
    printer.field("k-space", format_args!("{}, {}", count_of(coils, "coil"), by.join(" x ")));
    notes.iter().for_each(|note| printer.field("", note));
    let supports: Vec<f64> = (0..sets).map(|set| support(&found, set)).collect();
    let said: Vec<String> = supports.iter().map(|part| format!("{:.1} %", 100.0 * part)).collect();
    printer.field("maps", &found.method);
    printer.field("signal", format_args!("in {} of the pixels", said.join(" and ")));
    printer.field("estimated", format_args!("{seconds:.3} s"));
    let method = found.method.clone();
    let values = values_target.is_some().then(|| found.eigenvalues.clone());
    output::write(target, &shown(found, is_bart(&args.output))?)?;
    printer.field("wrote", args.output.display());
    if let (Some(target), Some(values), Some(path)) = (values_target, values, &args.eigenvalues) {
        let values = if sets == 1 { values.index_axis_move(Axis(0), 0) } else { values };
        output::write(target, &Tensor::from_array(values, values_dims(sets, image.len()).as_str())?)?;
        printer.field("wrote", path.display());
    }
    printer.json(&json!({
        "coils": coils,
        "image": image,
        "sets": sets,
        "method": method,
        "signal": supports,
        "notes": notes,
        "seconds": seconds,
        "file": args.output.display().to_string(),
        "eigenvalues": args.eigenvalues.as_ref().map(|path| path.display().to_string()),
    }));
    if supports[0] == 0.0 {
        complain("the maps are 0 everywhere; give a smaller --crop");
    }
    Ok(DONE)
}

fn values_dims(sets: usize, axes: usize) -> String {
    let front = if sets == 1 { "" } else { "S " };
    format!("{front}{}", ["Nz", "Ny", "Nx"][3 - axes..].join(" "))
}

/// The part of the pixels where a set is not 0.
fn support(found: &MapSets, set: usize) -> f64 {
    let power = found.maps.index_axis(Axis(1), set).mapv(|v| v.norm_sqr()).sum_axis(Axis(0));
    power.iter().filter(|v| **v > 0.0).count() as f64 / power.len().max(1) as f64
}

/// The maps as they are written: (coil, image…), (coil, set, image…), or BART's (x, y, z, coil, set).
fn shown(found: MapSets, bart: bool) -> Result<Tensor> {
    let (sets, axes) = (found.maps.len_of(Axis(1)), found.maps.ndim() - 2);
    let image = ["Nz", "Ny", "Nx"][3 - axes..].join(" ");
    if !bart {
        return match sets {
            1 => Tensor::from_array(found.set(0)?, format!("C {image}").as_str()),
            _ => Tensor::from_array(found.maps, format!("C S {image}").as_str()),
        };
    }
    let mut maps = found.maps;
    while maps.ndim() < 5 {
        maps = maps.insert_axis(Axis(2));
    }
    let maps = maps.permuted_axes(IxDyn(&[1, 0, 2, 3, 4])).as_standard_layout().into_owned();
    Tensor::from_array(maps, "S C Nz Ny Nx")
}

/// K-space on a grid, 0 where it was not acquired, and what there is to say about it.
fn gridded(args: &Args) -> Result<(ArrayD<Complex32>, Vec<String>)> {
    let allow = args.allow_nan;
    let expect_no_matrix = || match args.matrix {
        Some(_) => Err(Error::file(&args.file, "--matrix is for data with a trajectory, and this is Cartesian")),
        None => Ok(()),
    };
    let trajectory = args.traj.as_deref().map(|path| Trajectory { path, order: None });
    // A reconstruction whitens the maps as it does k-space.
    let choice = args.scan.choice().whiten(false);
    let mut inputs = read_inputs(&args.file, trajectory.as_ref(), &Arrays::default(), &choice)?;
    inputs.warnings().iter().for_each(|warning| complain(&format!("warning: {warning}")));
    if !inputs.axes.is_empty() {
        return Err(Error::file(&args.file, "several images are asked for; maps are made of one"));
    }
    let Some(input) = inputs.images.pop().flatten() else {
        return Err(Error::file(&args.file, "no image of these counters"));
    };
    match input {
        Input::Grid(mut scan) => {
            expect_no_matrix()?;
            let mut said = Vec::new();
            let mask = args.mask.as_ref().map(|path| read_mask(path, &scan, &mut said)).transpose()?;
            if let Some(lines) = scan.calibration.take_if(|lines| lines.dim() == scan.values.dim()) {
                scan.values = lines;
            }
            finite(&args.file, &mut scan.values, &["coil", "ky", "kx"], allow)?;
            let Kspace { values, mut notes, info, .. } = *scan;
            notes.extend(info.map(|info| info.summary).into_iter().chain(said));
            let values = match mask {
                Some(mask) => values * &mask.mapv(Complex32::from),
                None => values,
            };
            Ok((values.into_dyn(), notes))
        }
        Input::Volume(mut scan) => {
            expect_no_matrix()?;
            let grid = scan.values.shape()[1..].to_vec();
            let mask = args.mask.as_ref().map(|path| read_grid_mask(path, &grid)).transpose()?;
            finite(&args.file, &mut scan.values, &["coil", "kz", "ky", "kx"], allow)?;
            let Volume { values, mut notes, info, .. } = *scan;
            notes.extend(info.map(|info| info.summary));
            let values = match mask {
                Some(mask) => values * &mask.mapv(Complex32::from),
                None => values,
            };
            Ok((values, notes))
        }
        Input::Samples(mut scan) => {
            if args.mask.is_some() {
                return Err(Error::file(&args.file, "--mask is for Cartesian data, and this has a trajectory"));
            }
            let bad = finite(&args.file, &mut scan.values, &["coil"], allow)?;
            let trajectory = scan.trajectory.view();
            let d = trajectory.len_of(Axis(trajectory.ndim() - 1));
            let in_trajectory = |e: Error| Error::file(args.traj.as_ref().unwrap_or(&args.file), e.to_string());
            let matrix = match &args.matrix {
                Some(matrix) => matrix.for_axes(d, "--matrix", "the trajectory has coordinates for an image of")?,
                None => fitting_matrix(trajectory.view()).map_err(in_trajectory)?,
            };
            let device = args.common.device()?;
            let mut weights = Density::Pipe.weights(trajectory.view(), &matrix, &device)?;
            for at in &bad {
                weights[IxDyn(&at[1..])] = 0.0;
            }
            let nufft = NufftOptions::default().accuracy(Accuracy::Tol(1e-4));
            let kspace = gridded_kspace(scan.values.view(), trajectory, weights.view(), &matrix, nufft, &device)?;
            let mut notes = scan.notes;
            notes.extend(scan.info.map(|info| info.summary));
            notes.push(format!("gridded; the trajectory is {}", scan.units));
            Ok((kspace, notes))
        }
    }
}
