//! Data on a grid of two or three axes: SENSE with a sampling mask, or the root of the sum of squares.

use super::Args;
use super::conventions::{Seen, warn_of_mask};
use super::geometry;
use super::maps::Maps;
use super::report::{Job, percent, warn_of_lambda};
use super::weight::Usual;
use crate::cli::grids::{read_maps, read_mask};
use crate::cli::input::is_bart;
use crate::cli::kspace::{Kspace, finite};
use crate::cli::printer::count_of;
use crate::cli::warnings::Warnings;
use linops::app::coils::coil_images;
use linops::app::maps_doubt::{better_maps, energy_outside};
use linops::app::{Cartesian, KspaceNoise, noise_weight};
use linops::io::ScanInfo;
use linops::solve::SolveOptions;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::{Map, Value, json};

/// What is reconstructed from.
struct Problem {
    /// (coil, image…)
    kspace: ArrayD<Complex32>,
    maps: Maps,
    mask: ArrayD<f32>,
    mask_from: String,
    info: Option<ScanInfo>,
    notes: Vec<String>,
}

pub(super) fn run(mut job: Job, kspace: Kspace, options: SolveOptions) -> Result<u8> {
    let Job { args, device, warnings, .. } = job;
    let grid = kspace.grid().to_vec();
    let mut problem = prepare(args, kspace, warnings)?;
    let sets = problem.maps.values.as_ref().map_or(1, |maps| maps.len_of(Axis(1)));
    args.finishing.on_grid(&mut job.finish, &grid, problem.info.as_ref())?;
    args.finishing.by_mask(&mut job.finish, &problem.mask, &mut problem.notes, warnings);
    job.finish.show_sets(sets, args.all_sets, is_bart(&args.output));
    job.target.check_shape(&job.finish.shape()?)?;
    let unknowns = if sets == 1 { grid } else { [vec![sets], grid].concat() };
    job.expect_start(&unknowns)?;
    if let (Some(start), Some(shading)) = (&mut job.start, &problem.maps.shading) {
        shading.undo(start);
    }
    job.scan.clone_from(&problem.info);
    let facts = described(&job, &problem, sets);
    let dims = job.finish.dims();
    let Some(maps) = &problem.maps.values else {
        return job.direct("combined", &dims, facts, |finish| root_of_squares(&problem.kspace, finish));
    };
    let model = match sets {
        1 => Cartesian::new(maps.index_axis(Axis(1), 0), problem.mask.view())?,
        _ => Cartesian::with_sets(maps.view(), problem.mask.view())?,
    };
    let doubt = || doubt(args, &problem, maps);
    let doubt: Option<&dyn Fn() -> Option<String>> = if args.maps.is_some() { Some(&doubt) } else { None };
    let job = Job { doubt, ..job };
    let kspace = problem.kspace.view();
    if args.regularise.is_asked() {
        let asked = args.regularisation();
        let start = job.start.clone();
        let start = start.as_ref().map(|x| x.view());
        return job.regularise(&dims, facts, |options| {
            let mut found = model.regularised(kspace, &asked, start, options, device)?;
            problem.shade(&mut found.image);
            Ok(found)
        });
    }
    let (lambda, from) = args.lambda_or(|| {
        let of_this = || Usual::of(noise_weight(kspace.view(), problem.mask.view()));
        let usual = job.usual.unwrap_or_else(of_this);
        let whitened = problem.info.as_ref().is_some_and(|info| info.whitening.is_some());
        // Estimated maps are normalised, whitened ones even in the mean.
        if args.maps.is_some() && !whitened { usual.times(model.scale()) } else { usual }
    });
    warn_of_lambda(lambda, model.scale(), warnings);
    let options = job.started(options.lambda(lambda), model.linop())?;
    job.solve(options, from, &dims, facts, |options| {
        let mut found = model.solve(kspace, options, device)?;
        problem.shade(&mut found.image);
        Ok(found)
    })
}

impl Problem {
    fn shade(&self, image: &mut ArrayD<Complex32>) {
        if let Some(shading) = &self.maps.shading {
            shading.shade(image);
        }
    }
}

/// |v|², which f32 has only of what is neither small nor large.
pub(super) fn squared(v: &Complex32) -> f64 {
    f64::from(v.re).powi(2) + f64::from(v.im).powi(2)
}

/// √Σ|x|² over the images of the coils, the missing side of each filled.
fn root_of_squares(kspace: &ArrayD<Complex32>, finish: &super::finish::Finish) -> Result<ArrayD<Complex32>> {
    let images = coil_images(kspace.view())?;
    let mut power = ArrayD::<f64>::zeros(&kspace.shape()[1..]);
    for image in images.outer_iter() {
        power.zip_mut_with(&finish.side(image.to_owned())?, |p, v| *p += squared(v));
    }
    Ok(power.mapv(|p| Complex32::from(p.sqrt() as f32)))
}

/// What is wrong with maps that do not explain the data.
fn doubt(args: &Args, problem: &Problem, maps: &ArrayD<Complex32>) -> Option<String> {
    /// Some lies outside, as low resolution blurs edges.
    const MUCH: f64 = 0.25;
    let (kspace, mask) = (problem.kspace.view(), problem.mask.view());
    let Some(found) = better_maps(kspace.view(), mask.view(), maps.view()).ok()? else {
        let outside = energy_outside(kspace, mask, maps.index_axis(Axis(1), 0)).ok().flatten();
        let outside = outside.filter(|part| *part > MUCH && maps.len_of(Axis(1)) == 1);
        return outside.map(|part| format!("the maps are 0 where {} of the data's energy lies", percent(part)));
    };
    let [before, after] = [found.before, found.after].map(percent);
    let fix = args.conventions.fix(found.change, problem.mask.ndim());
    let change = found.change;
    Some(format!("maps {change} explain the data better (misfit {after} instead of {before} at low resolution){fix}"))
}

/// Prints what is reconstructed from, and gives the same as JSON.
fn described(job: &Job, problem: &Problem, sets: usize) -> Map<String, Value> {
    let Job { args, device, printer, finish, .. } = job;
    let (coils, grid) = (problem.kspace.len_of(Axis(0)), &problem.kspace.shape()[1..]);
    let sampled = problem.mask.iter().filter(|v| **v != 0.0).count();
    let (pixels, image) = (finish.pixels(), finish.kept());
    let first = match &problem.info {
        Some(info) => info.summary.clone(),
        None => format!("{}, {}", count_of(coils, "coil"), geometry::by(grid)),
    };
    let locations = format!("{sampled} of {} locations, {}", problem.mask.len(), problem.mask_from);
    let said: Vec<String> = [vec![first], problem.notes.clone(), vec![locations]].concat();
    printer.field("k-space", said.join("; "));
    match &problem.info {
        Some(info) => printer.field("image", geometry::said(info, &pixels, &image) + &finish.said()),
        None if pixels != grid => printer.field("image", geometry::by(&image) + &finish.said()),
        None => {}
    }
    printer.field("maps", &problem.maps.from);
    let mut facts = geometry::facts(problem.info.as_ref(), &pixels, &image);
    let info = problem.info.iter().map(|info| info.summary.clone());
    let notes: Vec<String> = info.chain(problem.notes.iter().cloned()).collect();
    facts.extend([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("coils".into(), json!(coils)),
    ]);
    facts.extend(["nz", "ny", "nx"][3 - grid.len()..].iter().map(|n| n.to_string()).zip(grid.iter().map(|n| json!(n))));
    facts.extend([
        ("sets".into(), json!(sets)),
        ("maps".into(), json!(problem.maps.from)),
        ("mask".into(), json!(problem.mask_from)),
        ("sampled".into(), json!(sampled)),
        ("notes".into(), json!(notes)),
    ]);
    facts
}

/// The noise of an image of a stack; None where it is not known, or nothing was acquired.
pub(super) fn noise(args: &Args, mut input: Kspace) -> Option<KspaceNoise> {
    let mut notes = Vec::new();
    let given = args.mask.as_ref().map(|path| read_mask(path, &input, &mut notes)).transpose().ok()?;
    let Acquired { kspace, mask, .. } = acquired(args, &mut input, given, &mut notes, None).ok()?;
    KspaceNoise::of(kspace.view(), mask.view())
}

fn prepare(args: &Args, mut input: Kspace, warnings: &Warnings) -> Result<Problem> {
    let mut notes = std::mem::take(&mut input.notes);
    let given = args.mask.as_ref().map(|path| read_mask(path, &input, &mut notes)).transpose()?;
    let maps = args.maps.as_ref().map(|path| Ok((path, read_maps(path, &input, &args.arrays, &mut notes)?)));
    let maps = maps.transpose()?;
    let Acquired { mut kspace, mask, mask_from } = acquired(args, &mut input, given, &mut notes, Some(warnings))?;
    let compression = args.combine.grid(kspace.view(), mask.view(), &mut notes)?;
    let reference = input.reference(&args.file, args.allow_nan)?;
    let whitening = input.info.as_ref().and_then(|info| info.whitening.as_ref());
    let mut maps = match maps {
        Some((path, maps)) => Maps::given(args, path, maps, whitening, &mut notes)?,
        None => Maps::found(args, &kspace, &mask, reference, whitening)?,
    };
    if let Some(compression) = &compression {
        // Maps are those of the coils themselves, whose noise is known, and are combined as k-space is.
        if let Some(values) = &mut maps.values {
            let sets = values.axis_iter(Axis(1)).map(|set| compression.maps(set)).collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = sets.iter().map(|set| set.view()).collect();
            *values = ndarray::stack(Axis(1), &views).map_err(|e| Error::Shape(e.to_string()))?;
        }
        kspace = compression.kspace(kspace.view())? * &mask.mapv(Complex32::from);
    }
    Ok(Problem { kspace, maps, mask, mask_from, info: input.info, notes })
}

/// What was acquired.
struct Acquired {
    /// (coil, image…), 0 elsewhere.
    kspace: ArrayD<Complex32>,
    mask: ArrayD<f32>,
    mask_from: String,
}

/// Takes the values of k-space, as the arguments say that it lies, by the mask if one is given.
fn acquired(
    args: &Args,
    input: &mut Kspace,
    given: Option<ArrayD<f32>>,
    notes: &mut Vec<String>,
    warnings: Option<&Warnings>,
) -> Result<Acquired> {
    let names = input.names();
    let bad = finite(&args.file, &mut input.values, &names, args.allow_nan)?;
    let seen = Seen::of(&input.values);
    let (mut mask, mask_from) = match (given, &args.mask, input.sampled.take()) {
        (Some(mask), Some(path), _) => (mask, format!("from {}", path.display())),
        (_, _, Some(sampled)) => (sampled, "as acquired".to_string()),
        _ => (nonzero(&input.values), "where the data are not zero".to_string()),
    };
    // Where something is NaN, as k-space lies.
    let mut dropped = ArrayD::<Complex32>::zeros([&[1], mask.shape()].concat());
    for at in &bad {
        dropped[IxDyn(&[&[0], &at[1..]].concat())] = Complex32::from(1.0);
    }
    let mut shifted = None;
    if args.conventions.is_asked() {
        args.conventions.expect_axes(mask.ndim())?;
        args.conventions.kspace(&mut input.values);
        args.conventions.kspace(&mut dropped);
        args.conventions.mask(&mut mask, &(nonzero(&input.values) + nonzero(&dropped)));
        notes.push("shifted as --shift says".into());
        shifted = Some(Seen::of(&input.values));
    }
    mask.zip_mut_with(&nonzero(&dropped), |m, d| *m *= 1.0 - d);
    if let (true, Some(warnings)) = (args.mask.is_some(), warnings) {
        warn_of_mask(&mask, &nonzero(&input.values), warnings);
    }
    if !bad.is_empty() {
        notes.push(format!("{} NaN or infinite; their locations count as not acquired", count_of(bad.len(), "value")));
    }
    if mask.iter().all(|v| *v == 0.0) {
        let message = "no k-space location is sampled: the data or the mask are 0 everywhere";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.file), message));
    }
    let kspace = std::mem::take(&mut input.values) * &mask.mapv(Complex32::from);
    if let Some(warnings) = warnings {
        seen.warn(shifted.as_ref(), input.info.is_none(), &kspace, warnings);
    }
    Ok(Acquired { kspace, mask, mask_from })
}

/// 1 where any coil has data.
pub fn nonzero(values: &ArrayD<Complex32>) -> ArrayD<f32> {
    values.map_axis(Axis(0), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default())))
}
