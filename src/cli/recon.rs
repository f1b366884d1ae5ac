//! `linops recon`: an image from Cartesian multi-coil k-space, by CG-SENSE.

use super::common::Common;
use super::interrupt::Solving;
use super::kspace::{Kspace, finite, read_kspace, read_maps, read_mask};
use super::printer::{Printer, complain, decimal};
use super::{DONE, INTERRUPTED, output, progress};
use linops::app::{Reconstruction, Sense, SenseOptions, estimate_maps};
use linops::solve::Stop;
use linops::{Error, Result, Tensor};
use ndarray::{Array2, Array3, Axis};
use num_complex::Complex32;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Minimises ‖M F S x − y‖² + λ‖x‖² over images x (ny, nx), with coil maps S, the centred orthonormal Fourier transform F,
/// the sampling mask M and the k-space y.
#[derive(clap::Args)]
pub struct Args {
    /// k-space: .npy (coil, ky, kx), BART .cfl (x, y, 1, coil) or ISMRMRD .h5
    file: PathBuf,

    /// Where the image (ny, nx) goes: .npy, .cfl, or .png for its magnitude
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Coil maps (coil, ny, nx), .npy or .cfl [default: estimated from the centre of k-space]
    #[arg(long, value_name = "FILE")]
    maps: Option<PathBuf>,

    /// Sampling mask (ky, kx) of zeros and ones, .npy or .cfl [default: where the data are not zero]
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// Weight λ of ‖x‖², used as it is; it does not depend on the scale of the data [default: 0.01 times the largest sum of
    /// squares of the maps over the coils, which is 1 for estimated maps]
    #[arg(long, value_name = "λ", allow_hyphen_values = true)]
    lambda: Option<f32>,

    /// Iterations at most [default: 100]
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,

    /// Stop when the relative residual is below; 0 runs all iterations [default: 1e-6]
    #[arg(long, value_name = "TOL", allow_hyphen_values = true)]
    tol: Option<f32>,

    /// Treat k-space locations that hold NaN or infinity as not acquired, and such values of the maps as 0
    #[arg(long)]
    allow_nan: bool,

    #[command(flatten)]
    pub common: Common,
}

/// What is reconstructed from.
struct Problem {
    kspace: Array3<Complex32>,
    maps: Array3<Complex32>,
    mask: Array2<f32>,
    maps_from: String,
    mask_from: String,
    notes: Vec<String>,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let defaults = SenseOptions::default();
    let (iterations, tol) = (args.iterations.unwrap_or(defaults.iterations), args.tol.unwrap_or(defaults.tol));
    check_numbers(args.lambda, iterations, tol)?;
    let target = output::reserve(&args.output, args.common.force)?;
    let device = args.common.device()?;
    let problem = read(args)?;
    let sense = Sense::new(problem.maps.view(), problem.mask.view())?;
    let lambda = args.lambda.unwrap_or(match args.maps {
        Some(_) => defaults.lambda * sense.scale(),
        None => defaults.lambda, // estimated maps are normalised
    });
    let (coils, ny, nx) = problem.kspace.dim();
    let sampled = problem.mask.iter().filter(|v| **v != 0.0).count();

    let default = |given: bool| if given { "" } else { " (default)" };
    printer.field("k-space", format_args!("{coils} coils, {ny} x {nx}"));
    problem.notes.iter().for_each(|note| printer.field("", note));
    printer.field("maps", &problem.maps_from);
    printer.field("mask", format_args!("{sampled} of {} locations, {}", ny * nx, problem.mask_from));
    printer.field("lambda", format_args!("{lambda}{}", default(args.lambda.is_some())));
    printer.field("iterations", format_args!("at most {iterations}{}", default(args.iterations.is_some())));
    printer.field("tol", format_args!("{tol:e}{}", default(args.tol.is_some())));
    printer.field("device", device.name());

    let solving = Solving::begin();
    let bar = progress::iterations(iterations);
    let show = |p| progress::reading(&bar, p);
    let options = SenseOptions { lambda, iterations, tol, progress: Some(&show), cancel: Some(solving.stop()) };
    let start = Instant::now();
    let result = sense.solve(problem.kspace.view(), &options, &device)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    output::write(target, &Tensor::from_array(result.image.clone(), "Ny Nx")?)?;

    let residual = residual(&result);
    printer.field("solved", format_args!("{seconds:.3} s, {}", outcome(&result)));
    printer.field("wrote", args.output.display());
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "coils": coils, "ny": ny, "nx": nx,
        "maps": problem.maps_from,
        "mask": problem.mask_from,
        "sampled": sampled,
        "notes": problem.notes,
        "lambda": decimal(lambda), "tol": decimal(tol), "max_iterations": iterations,
        "iterations": result.iterations,
        "residual": residual,
        "stop": stop_name(result.stop),
        "history": result.history.iter().map(|p| json!([p.iteration, p.residual])).collect::<Vec<_>>(),
        "seconds": seconds,
        "interrupted": solving.interrupted(),
        "file": args.output.display().to_string(),
    }));
    if solving.interrupted() {
        let (n, path) = (result.iterations, args.output.display());
        complain(&format!("interrupted after {n} iterations; the image so far was written to {path}"));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// Everything that needs no file, before any is read.
fn check_numbers(lambda: Option<f32>, iterations: usize, tol: f32) -> Result<()> {
    for (name, value) in [("--lambda", lambda.unwrap_or(0.0)), ("--tol", tol)] {
        if !value.is_finite() || value < 0.0 {
            return Err(Error::Value(format!("{name} is {value}; expected a finite number from 0 on")));
        }
    }
    if iterations == 0 {
        return Err(Error::Value("--iterations is 0; expected at least 1".into()));
    }
    Ok(())
}

fn read(args: &Args) -> Result<Problem> {
    let mut input = read_kspace(&args.file)?;
    let mut notes = std::mem::take(&mut input.notes);
    let given = args.mask.as_ref().map(|path| read_mask(path, &input)).transpose()?;
    let maps = args.maps.as_ref().map(|path| Ok((path, read_maps(path, &input)?))).transpose()?;
    let bad = finite(&args.file, &mut input.values, ["coil", "ky", "kx"], args.allow_nan)?;
    let (mut mask, mask_from) = match (given, &args.mask, input.sampled.take()) {
        (Some(mask), Some(path), _) => (mask, format!("from {}", path.display())),
        (_, _, Some(sampled)) => (sampled, "as acquired".to_string()),
        _ => (nonzero(&input), "where the data are not zero".to_string()),
    };
    for &(_, ky, kx) in &bad {
        mask[[ky, kx]] = 0.0;
    }
    if !bad.is_empty() {
        notes.push(format!("{} values were NaN or infinite; their locations count as not acquired", bad.len()));
    }
    if mask.iter().all(|v| *v == 0.0) {
        let message = "no k-space location is sampled: the data or the mask are 0 everywhere";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.file), message));
    }
    let kspace = input.values * &mask.mapv(Complex32::from);
    let (maps, maps_from) = match maps {
        Some((path, mut maps)) => {
            let bad = finite(path, &mut maps, ["coil", "y", "x"], args.allow_nan)?;
            if !bad.is_empty() {
                notes.push(format!("{} values of the maps were NaN or infinite, and are 0 now", bad.len()));
            }
            (maps, format!("from {}", path.display()))
        }
        None => {
            let wait = progress::spinner("estimating coil maps");
            let estimate = estimate_maps(kspace.view(), None);
            wait.finish_and_clear();
            let hint = |e| Error::At { at: "estimating coil maps (give them by --maps)".into(), source: Box::new(e) };
            let estimate = estimate.map_err(hint)?;
            (estimate.maps, format!("estimated by {}", estimate.method))
        }
    };
    Ok(Problem { kspace, maps, mask, maps_from, mask_from, notes })
}

/// 1 where any coil has data.
fn nonzero(input: &Kspace) -> Array2<f32> {
    input.values.map_axis(Axis(0), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default())))
}

/// The last reading; 0 where b = 0.
pub fn residual(result: &Reconstruction) -> f64 {
    result.history.last().map_or(0.0, |p| p.residual)
}

/// How a solve ended, for people.
pub fn outcome(result: &Reconstruction) -> String {
    let why = match result.stop {
        Stop::Converged => "converged",
        Stop::Iterations => "all iterations done",
        Stop::Stagnated => "at the floor of single precision",
        Stop::Cancelled => "interrupted",
        Stop::Zero => "the data are zero, and so is the image",
    };
    format!("{} iterations, relative residual {:.1e} ({why})", result.iterations, residual(result))
}

/// How a solve ended, for programs.
pub fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Converged => "converged",
        Stop::Iterations => "iterations",
        Stop::Stagnated => "stagnated",
        Stop::Cancelled => "cancelled",
        Stop::Zero => "zero",
    }
}
