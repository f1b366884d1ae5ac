//! Cartesian data: SENSE with a sampling mask, or the root of the sum of squares.

use super::Args;
use super::conventions::{warn_of_centre, warn_of_mask};
use super::geometry;
use super::report::{Job, percent, warn_of_lambda};
use super::volume;
use super::warnings::Warnings;
use crate::cli::grids::holds_sets;
use crate::cli::kspace::{Kspace, finite, read_maps, read_mask};
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::coils::coil_images;
use linops::app::maps_doubt::{better_maps, energy_outside};
use linops::app::{Sense, estimate_maps};
use linops::io::ScanInfo;
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{Array2, Array3, ArrayD, Axis, Ix2, s};
use num_complex::Complex32;
use serde_json::{Map, Value, json};

/// What is reconstructed from.
struct Problem {
    kspace: Array3<Complex32>,
    /// `None` where only the root of the sum of squares is asked for.
    maps: Option<Array3<Complex32>>,
    mask: Array2<f32>,
    maps_from: String,
    mask_from: String,
    /// What an image of estimated maps is multiplied by: whitened maps are normalised in units of the noise.
    shading: Option<Array2<f32>>,
    info: Option<ScanInfo>,
    notes: Vec<String>,
}

pub(super) fn run(mut job: Job, kspace: Kspace, options: SolveOptions) -> Result<u8> {
    let Job { args, device, warnings, .. } = job;
    if let Some(maps) = &args.maps
        && holds_sets(maps)?
    {
        return volume::run(job, kspace.into(), options);
    }
    job.expect_start(&kspace.values.shape()[1..])?;
    let header = kspace.info.as_ref().and_then(geometry::asked_for);
    let mut problem = prepare(args, kspace, warnings)?;
    let (_, ny, nx) = problem.kspace.dim();
    args.finishing.on_grid(&mut job.finish, &[ny, nx], header.as_ref().map(|(whole, _)| whole.as_slice()))?;
    if let Some((_, matrix)) = header {
        args.finishing.cut_to(&mut job.finish, &matrix);
    }
    job.scan.clone_from(&problem.info);
    args.finishing.by_mask(&mut job.finish, &problem.mask, &mut problem.notes, warnings);
    let Some(maps) = &problem.maps else {
        let facts = described(&job, &problem);
        return job.direct("combined", "Ny Nx", facts, |finish| {
            let images = coil_images(problem.kspace.view())?;
            let sides = images.outer_iter().map(|image| finish.side(image.to_owned().into_dyn()));
            let mut power = Array2::<f32>::zeros((ny, nx)).into_dyn();
            for image in sides {
                power.zip_mut_with(&image?, |p, v| *p += v.norm_sqr());
            }
            Ok(power.mapv(|p| Complex32::from(p.sqrt())))
        });
    };
    let sense = Sense::new(maps.view(), problem.mask.view())?;
    let doubt = || -> Option<String> {
        /// Some lies outside, as low resolution blurs edges.
        const MUCH: f64 = 0.25;
        let (kspace, mask) = (problem.kspace.view(), problem.mask.view());
        let outside = energy_outside(kspace, mask, maps.view()).ok().flatten().filter(|part| *part > MUCH);
        let Some(found) = better_maps(kspace, mask, maps.view()).ok()? else {
            return outside.map(|part| format!("the maps are 0 where {} of the data's energy lies", percent(part)));
        };
        let change = found.change;
        let [before, after] = [found.before, found.after].map(percent);
        let fix = match () {
            () if change.conjugated && !args.conventions.conj_maps => "; try --conj-maps",
            () if change.shifted => "; try --shift maps, or --shift image",
            () => "",
        };
        Some(format!(
            "maps {change} explain the data better (misfit {after} instead of {before} at low resolution){fix}"
        ))
    };
    let doubt: Option<&dyn Fn() -> Option<String>> = if args.maps.is_some() { Some(&doubt) } else { None };
    let job = Job { doubt, ..job };
    if args.regularise.is_asked() {
        let facts = described(&job, &problem);
        let asked = args.regularisation();
        let start = job.start.clone().and_then(|x| x.into_dimensionality::<Ix2>().ok());
        let start = start.as_ref().map(|x| x.view());
        return job.regularise("Ny Nx", facts, |options| {
            let mut found = sense.regularised(problem.kspace.view(), &asked, start, options, device)?;
            problem.shade(&mut found.image);
            Ok(found)
        });
    }
    let lambda = args.lambda.unwrap_or(match args.maps {
        Some(_) => options.lambda * sense.scale(),
        None => options.lambda, // estimated maps are normalised
    });
    warn_of_lambda(lambda, sense.scale(), warnings);
    let options = options.lambda(lambda);
    let facts = described(&job, &problem);
    job.solve(options, "Ny Nx", facts, |options| {
        let mut found = sense.solve(problem.kspace.view(), options, device)?;
        problem.shade(&mut found.image);
        Ok(found)
    })
}

impl Problem {
    fn shade(&self, image: &mut Array2<Complex32>) {
        if let Some(shading) = &self.shading {
            image.zip_mut_with(shading, |v, s| *v *= *s);
        }
    }
}

/// Prints what is reconstructed from, and gives the same as JSON.
fn described(job: &Job, problem: &Problem) -> Map<String, Value> {
    let Job { args, device, printer, .. } = job;
    let (coils, ny, nx) = problem.kspace.dim();
    let sampled = problem.mask.iter().filter(|v| **v != 0.0).count();

    match &problem.info {
        Some(info) => {
            printer.field("k-space", &info.summary);
            printer.field("image", geometry::said(info, &[ny, nx]));
        }
        None => printer.field("k-space", format_args!("{}, {ny} x {nx}", count_of(coils, "coil"))),
    }
    problem.notes.iter().for_each(|note| printer.field("", note));
    printer.field("maps", &problem.maps_from);
    printer.field("mask", format_args!("{sampled} of {} locations, {}", ny * nx, problem.mask_from));
    let mut facts = geometry::facts(problem.info.as_ref(), &[ny, nx]);
    let info = problem.info.iter().map(|info| info.summary.clone());
    facts.extend([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("coils".into(), json!(coils)),
        ("ny".into(), json!(ny)),
        ("nx".into(), json!(nx)),
        ("maps".into(), json!(problem.maps_from)),
        ("mask".into(), json!(problem.mask_from)),
        ("sampled".into(), json!(sampled)),
        ("notes".into(), json!(info.chain(problem.notes.iter().cloned()).collect::<Vec<_>>())),
    ]);
    facts
}

fn prepare(args: &Args, mut input: Kspace, warnings: &Warnings) -> Result<Problem> {
    let mut notes = std::mem::take(&mut input.notes);
    let given = args.mask.as_ref().map(|path| read_mask(path, &input, &mut notes)).transpose()?;
    let maps = args.maps.as_ref().map(|path| Ok((path, read_maps(path, &input, &args.arrays, &mut notes)?)));
    let maps = maps.transpose()?;
    let bad = finite(&args.file, &mut input.values, &["coil", "ky", "kx"], args.allow_nan)?;
    let (mut mask, mask_from) = match (given, &args.mask, input.sampled.take()) {
        (Some(mask), Some(path), _) => (mask, format!("from {}", path.display())),
        (_, _, Some(sampled)) => (sampled, "as acquired".to_string()),
        _ => (nonzero(&input), "where the data are not zero".to_string()),
    };
    for at in &bad {
        mask[[at[1], at[2]]] = 0.0;
    }
    if args.conventions.is_asked() {
        args.conventions.kspace(&mut input.values);
        args.conventions.mask(&mut mask, &nonzero(&input));
        notes.push("shifted as --shift says".into());
    }
    if args.mask.is_some() {
        warn_of_mask(&mask, &nonzero(&input), warnings);
    }
    if !bad.is_empty() {
        notes.push(format!("{} NaN or infinite; their locations count as not acquired", count_of(bad.len(), "value")));
    }
    if mask.iter().all(|v| *v == 0.0) {
        let message = "no k-space location is sampled: the data or the mask are 0 everywhere";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.file), message));
    }
    let mut kspace = std::mem::take(&mut input.values) * &mask.mapv(Complex32::from);
    warn_of_centre(&kspace, warnings);
    let compression = args.combine.grid(kspace.view(), mask.view(), &mut notes)?;
    let calibration = input.calibration.take();
    let whitening = input.info.as_ref().and_then(|info| info.whitening.as_ref());
    let mut shading = None;
    let (maps, maps_from) = match maps {
        Some((path, mut maps)) => {
            args.conventions.maps(&mut maps);
            let bad = finite(path, &mut maps, &["coil", "y", "x"], args.allow_nan)?;
            if !bad.is_empty() {
                notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
            }
            if let Some(whitening) = whitening {
                whitening.apply(maps.view_mut()).map_err(|e| Error::file(path, e.to_string()))?;
            }
            let also = if whitening.is_some() { ", pre-whitened as k-space is" } else { "" };
            (Some(maps), format!("from {}{also}", path.display()))
        }
        None if args.combine.rss => (None, "none: the root of the sum of squares of the coils".into()),
        None if kspace.dim().0 == 1 => {
            (Some(Array3::from_elem(kspace.dim(), Complex32::from(1.0))), "1 everywhere, as there is one coil".into())
        }
        None => {
            let wait = progress::spinner("estimating coil maps");
            // Reference lines that are not of the image come first.
            let (_, ny, nx) = kspace.dim();
            let lines = calibration.as_ref().and_then(|lines| estimate_maps(lines.view(), None).ok());
            let estimate = lines.map_or_else(|| estimate_maps(kspace.view(), None), Ok);
            wait.finish_and_clear();
            let estimate = estimate.map_err(|e| e.at(super::ESTIMATING))?;
            let maps = central(estimate.maps, [ny, nx]);
            shading = whitening.map(|whitening| whitening.shading(maps.view())).transpose()?;
            (Some(maps), format!("estimated by {}", estimate.method))
        }
    };
    // Maps are those of the coils themselves, whose noise is known, and are combined as k-space is.
    let maps = match (&compression, maps) {
        (Some(compression), Some(maps)) => Some(three(compression.maps(maps.view().into_dyn())?)?),
        (_, maps) => maps,
    };
    if let Some(compression) = &compression {
        kspace = three(compression.kspace(kspace.view().into_dyn())?)? * &mask.mapv(Complex32::from);
    }
    Ok(Problem { kspace, maps, mask, maps_from, mask_from, shading, info: input.info, notes })
}

/// The central pixels of maps (coil, y, x).
fn central(maps: Array3<Complex32>, [ny, nx]: [usize; 2]) -> Array3<Complex32> {
    let (_, y, x) = maps.dim();
    if (y, x) == (ny, nx) {
        return maps;
    }
    let (top, left) = ((y / 2).saturating_sub(ny / 2), (x / 2).saturating_sub(nx / 2));
    maps.slice(s![.., top..top + ny, left..left + nx]).to_owned()
}

fn three(values: ArrayD<Complex32>) -> Result<Array3<Complex32>> {
    values.into_dimensionality().map_err(|e| Error::Shape(e.to_string()))
}

/// 1 where any coil has data.
fn nonzero(input: &Kspace) -> Array2<f32> {
    input.values.map_axis(Axis(0), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default())))
}
