//! Cartesian data: SENSE with a sampling mask.

use super::Args;
use super::report::Job;
use super::volume;
use crate::cli::grids::holds_sets;
use crate::cli::kspace::{Kspace, finite, read_maps, read_mask};
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::{Sense, estimate_maps};
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{Array2, Array3, Axis, Ix2};
use num_complex::Complex32;
use serde_json::{Map, Value, json};

/// What is reconstructed from.
struct Problem {
    kspace: Array3<Complex32>,
    maps: Array3<Complex32>,
    mask: Array2<f32>,
    maps_from: String,
    mask_from: String,
    notes: Vec<String>,
}

pub(super) fn run(job: Job, kspace: Kspace, options: SolveOptions) -> Result<u8> {
    let Job { args, device, .. } = job;
    if let Some(maps) = &args.maps
        && holds_sets(maps)?
    {
        return volume::run(job, kspace.into(), options);
    }
    job.expect_start(&kspace.values.shape()[1..])?;
    let problem = prepare(args, kspace)?;
    let sense = Sense::new(problem.maps.view(), problem.mask.view())?;
    if args.regularise.is_asked() {
        let facts = described(&job, &problem);
        let asked = args.regularisation();
        let start = job.start.clone().and_then(|x| x.into_dimensionality::<Ix2>().ok());
        let start = start.as_ref().map(|x| x.view());
        return job.regularise("Ny Nx", facts, |options| {
            sense.regularised(problem.kspace.view(), &asked, start, options, device)
        });
    }
    let lambda = args.lambda.unwrap_or(match args.maps {
        Some(_) => options.lambda * sense.scale(),
        None => options.lambda, // estimated maps are normalised
    });
    let options = options.lambda(lambda);
    let facts = described(&job, &problem);
    job.solve(options, "Ny Nx", facts, |options| sense.solve(problem.kspace.view(), options, device))
}

/// Prints what is reconstructed from, and gives the same as JSON.
fn described(job: &Job, problem: &Problem) -> Map<String, Value> {
    let Job { args, device, printer, .. } = job;
    let (coils, ny, nx) = problem.kspace.dim();
    let sampled = problem.mask.iter().filter(|v| **v != 0.0).count();

    printer.field("k-space", format_args!("{}, {ny} x {nx}", count_of(coils, "coil")));
    problem.notes.iter().for_each(|note| printer.field("", note));
    printer.field("maps", &problem.maps_from);
    printer.field("mask", format_args!("{sampled} of {} locations, {}", ny * nx, problem.mask_from));
    Map::from_iter([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("coils".into(), json!(coils)),
        ("ny".into(), json!(ny)),
        ("nx".into(), json!(nx)),
        ("maps".into(), json!(problem.maps_from)),
        ("mask".into(), json!(problem.mask_from)),
        ("sampled".into(), json!(sampled)),
        ("notes".into(), json!(problem.notes)),
    ])
}

fn prepare(args: &Args, mut input: Kspace) -> Result<Problem> {
    let mut notes = std::mem::take(&mut input.notes);
    let given = args.mask.as_ref().map(|path| read_mask(path, &input)).transpose()?;
    let maps = args.maps.as_ref().map(|path| Ok((path, read_maps(path, &input)?))).transpose()?;
    let bad = finite(&args.file, &mut input.values, &["coil", "ky", "kx"], args.allow_nan)?;
    let (mut mask, mask_from) = match (given, &args.mask, input.sampled.take()) {
        (Some(mask), Some(path), _) => (mask, format!("from {}", path.display())),
        (_, _, Some(sampled)) => (sampled, "as acquired".to_string()),
        _ => (nonzero(&input), "where the data are not zero".to_string()),
    };
    for at in &bad {
        mask[[at[1], at[2]]] = 0.0;
    }
    if !bad.is_empty() {
        notes.push(format!("{} NaN or infinite; their locations count as not acquired", count_of(bad.len(), "value")));
    }
    if mask.iter().all(|v| *v == 0.0) {
        let message = "no k-space location is sampled: the data or the mask are 0 everywhere";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.file), message));
    }
    let kspace = input.values * &mask.mapv(Complex32::from);
    let (maps, maps_from) = match maps {
        Some((path, mut maps)) => {
            let bad = finite(path, &mut maps, &["coil", "y", "x"], args.allow_nan)?;
            if !bad.is_empty() {
                notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
            }
            (maps, format!("from {}", path.display()))
        }
        None => {
            let wait = progress::spinner("estimating coil maps");
            let estimate = estimate_maps(kspace.view(), None);
            wait.finish_and_clear();
            let estimate = estimate.map_err(|e| e.at(super::ESTIMATING))?;
            (estimate.maps, format!("estimated by {}", estimate.method))
        }
    };
    Ok(Problem { kspace, maps, mask, maps_from, mask_from, notes })
}

/// 1 where any coil has data.
fn nonzero(input: &Kspace) -> Array2<f32> {
    input.values.map_axis(Axis(0), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default())))
}
