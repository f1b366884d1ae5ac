//! Cartesian data of three axes, and of slices with several sets of coil maps.

use super::geometry;
use super::report::Job;
use super::warnings::Warnings;
use super::{Args, ESTIMATING};
use crate::cli::grids::{Volume, read_grid_mask, read_map_sets};
use crate::cli::input::is_bart;
use crate::cli::kspace::finite;
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::conventions::displaced_centre;
use linops::app::{Cartesian, EspiritOptions, espirit};
use linops::io::ScanInfo;
use linops::linop::{self, FftOptions};
use linops::solve::SolveOptions;
use linops::{Error, Result, Shape, Tensor};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use num_complex::Complex32;
use serde_json::{Map, Value, json};

/// What is reconstructed from.
struct Problem {
    kspace: ArrayD<Complex32>,
    /// (coil, set, image…)
    maps: ArrayD<Complex32>,
    mask: ArrayD<f32>,
    maps_from: String,
    mask_from: String,
    /// What images of estimated maps are multiplied by: whitened maps are normalised in units of the noise.
    shading: Option<ArrayD<f32>>,
    info: Option<ScanInfo>,
    notes: Vec<String>,
}

impl Problem {
    fn shade(&self, images: &mut ArrayD<Complex32>) {
        if let Some(shading) = &self.shading {
            images.zip_mut_with(shading, |v, s| *v *= *s);
        }
    }
}

pub(in crate::cli) fn run(mut job: Job, scan: Volume, options: SolveOptions) -> Result<u8> {
    let Job { args, device, .. } = job;
    args.expect_plain()?;
    let image = scan.values.shape()[1..].to_vec();
    let problem = prepare(args, scan, job.warnings)?;
    job.scan.clone_from(&problem.info);
    let sets = problem.maps.len_of(Axis(1));
    let form = Form::of(args, sets, &image);
    job.target.check_shape(&Shape::new(linops::dim::parse_dims(&form.dims)?, form.extents.clone())?)?;
    let model = match sets {
        1 => Cartesian::new(problem.maps.index_axis(Axis(1), 0), problem.mask.view())?,
        _ => Cartesian::with_sets(problem.maps.view(), problem.mask.view())?,
    };
    job.expect_start(model.linop().input()?.extents())?;
    let facts = described(&job, &problem);
    let kspace = problem.kspace.view();
    let dims = form.dims.clone();
    if args.regularise.is_asked() {
        let asked = args.regularisation();
        let start = job.start.clone();
        let start = start.as_ref().map(|x| x.view());
        return job.regularise(&dims, facts, |options| {
            let mut found = model.regularised(kspace, &asked, start, options, device)?;
            problem.shade(&mut found.image);
            found.image = form.shown(found.image)?;
            Ok(found)
        });
    }
    let lambda = args.lambda.unwrap_or(match args.maps {
        Some(_) => options.lambda * model.scale(),
        None => options.lambda, // estimated maps are normalised
    });
    job.solve(options.lambda(lambda), &dims, facts, |options| {
        let mut found = model.solve(kspace, options, device)?;
        problem.shade(&mut found.image);
        found.image = form.shown(found.image)?;
        Ok(found)
    })
}

/// In which form images are written.
struct Form {
    combined: bool,
    dims: String,
    extents: Vec<usize>,
}

impl Form {
    /// One image; the images of all sets, (set, image…), or as BART has them, (x, y, z, 1, set).
    fn of(args: &Args, sets: usize, image: &[usize]) -> Form {
        let axes = &["Nz", "Ny", "Nx"][3 - image.len()..];
        if sets == 1 || !args.all_sets {
            return Form { combined: sets > 1, dims: axes.join(" "), extents: image.to_vec() };
        }
        if is_bart(&args.output) {
            let volume = [1, 1, 1].into_iter().take(3 - image.len()).chain(image.iter().copied());
            return Form {
                combined: false,
                dims: "S C Nz Ny Nx".into(),
                extents: [sets, 1].into_iter().chain(volume).collect(),
            };
        }
        Form { combined: false, dims: format!("S {}", axes.join(" ")), extents: [&[sets], image].concat() }
    }

    fn shown(&self, images: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        let images = match self.combined {
            true => images.map_axis(Axis(0), |sets| {
                Complex32::from(sets.iter().map(|v| f64::from(v.norm()).powi(2)).sum::<f64>().sqrt() as f32)
            }),
            false => images,
        };
        images.into_shape_with_order(IxDyn(&self.extents)).map_err(|e| Error::Shape(e.to_string()))
    }
}

fn prepare(args: &Args, mut scan: Volume, warnings: &Warnings) -> Result<Problem> {
    let mut notes = std::mem::take(&mut scan.notes);
    let (coils, grid) = (scan.values.len_of(Axis(0)), scan.values.shape()[1..].to_vec());
    let given = args.mask.as_ref().map(|path| Ok((path, read_grid_mask(path, &grid)?))).transpose()?;
    let maps = args.maps.as_ref().map(|path| Ok((path, read_map_sets(path, coils, &grid)?))).transpose()?;
    let names = &["coil", "kz", "ky", "kx"];
    let names = [&names[..1], &names[4 - grid.len()..]].concat();
    let bad = finite(&args.file, &mut scan.values, &names, args.allow_nan)?;
    let (mut mask, mask_from) = match (given, scan.sampled.take()) {
        (Some((path, mask)), _) => (mask, format!("from {}", path.display())),
        (None, Some(sampled)) => (sampled, "as acquired".to_string()),
        (None, None) => (nonzero(&scan.values), "where the data are not zero".to_string()),
    };
    for at in &bad {
        mask[IxDyn(&at[1..])] = 0.0;
    }
    if !bad.is_empty() {
        notes.push(format!("{} NaN or infinite; their locations count as not acquired", count_of(bad.len(), "value")));
    }
    if mask.iter().all(|v| *v == 0.0) {
        let message = "no k-space location is sampled: the data or the mask are 0 everywhere";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.file), message));
    }
    let kspace = std::mem::take(&mut scan.values) * &mask.mapv(Complex32::from);
    if let Some(at) = displaced_centre(kspace.view()) {
        let centre: Vec<usize> = grid.iter().map(|n| n / 2).collect();
        warnings.say(format!(
            "the strongest sample of k-space is at {at:?}, far from the centre {centre:?}; in FFT order, turn it by numpy.fft.fftshift \
             along these axes"
        ));
    }
    let whitening = scan.info.as_ref().and_then(|info| info.whitening.as_ref());
    let mut shading = None;
    let (maps, maps_from) = match maps {
        Some((path, mut maps)) => {
            let bad = finite(path, &mut maps, &["coil", "set"], args.allow_nan)?;
            if !bad.is_empty() {
                notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
            }
            if let Some(whitening) = whitening {
                whitening.apply(maps.view_mut()).map_err(|e| Error::file(path, e.to_string()))?;
            }
            let sets = maps.len_of(Axis(1));
            let combined = if args.all_sets { "their images one after the other" } else { "their images combined" };
            let said = if sets == 1 { String::new() } else { format!(", {sets} sets, {combined}") };
            (maps, format!("from {}{said}", path.display()))
        }
        None => {
            let wait = progress::spinner("estimating coil maps");
            let options = EspiritOptions::default();
            // Reference lines that are not of the image come first.
            let lines = scan.calibration.as_ref().and_then(|lines| espirit(lines.view(), &options).ok());
            let found = lines.map_or_else(|| espirit(kspace.view(), &options), Ok);
            let found = match found {
                // Few partitions: where all of them have the same lines, planes are slices.
                Err(e) => by_planes(&kspace, &mask)?.ok_or(e),
                found => found.map(|found| (found.maps, found.method)),
            };
            wait.finish_and_clear();
            let (found, method) = found.map_err(|e| e.at(ESTIMATING))?;
            let maps = central(found, &grid);
            shading = whitening.map(|w| w.shading(maps.index_axis(Axis(1), 0))).transpose()?;
            (maps, format!("estimated by {method}"))
        }
    };
    Ok(Problem { kspace, maps, mask, maps_from, mask_from, shading, info: scan.info, notes })
}

/// Maps (coil, 1, z, y, x) of the planes of k-space (coil, kz, ky, kx) whose partitions have the same lines, and how they were made;
/// `None` of any other, or where no plane has maps. Planes without a signal have none.
fn by_planes(kspace: &ArrayD<Complex32>, mask: &ArrayD<f32>) -> Result<Option<(ArrayD<Complex32>, String)>> {
    let [coils, nz, ny, nx] = *kspace.shape() else { return Ok(None) };
    let first = mask.index_axis(Axis(0), nz / 2);
    let same = |plane: ndarray::ArrayViewD<f32>| plane == first || plane.iter().all(|v| *v == 0.0);
    let acquired: Vec<bool> = mask.axis_iter(Axis(0)).map(|plane| plane.iter().any(|v| *v != 0.0)).collect();
    // Partial Fourier leaves some at an end; gaps fold.
    let gaps = acquired.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1;
    if gaps || !mask.axis_iter(Axis(0)).all(same) {
        return Ok(None);
    }
    let shape = format!("C={coils} Nz={nz} Ny={ny} Nx={nx}");
    let f = linop::fft(shape, "Nz", FftOptions::default().centered(true))?;
    let hybrid = f.h().apply(&Tensor::from_array(kspace.clone(), f.output()?.dims())?)?.to_array()?;
    let mut maps = ArrayD::zeros(vec![coils, 1, nz, ny, nx]);
    let mut made = None;
    for z in 0..nz {
        let plane = hybrid.index_axis(Axis(1), z);
        if let Ok(found) = espirit(plane, &EspiritOptions::default()) {
            maps.index_axis_mut(Axis(2), z).assign(&found.maps);
            made = Some(found.method);
        }
    }
    Ok(made.map(|method| (maps, format!("{method}, of each plane"))))
}

/// The central pixels of maps (coil, set, image…).
fn central(maps: ArrayD<Complex32>, image: &[usize]) -> ArrayD<Complex32> {
    let mut maps = maps;
    for (axis, to) in image.iter().enumerate() {
        let from = maps.len_of(Axis(axis + 2));
        if from > *to {
            let start = from / 2 - to / 2;
            maps = maps.slice_axis(Axis(axis + 2), Slice::from(start..start + to)).to_owned();
        }
    }
    maps
}

/// 1 where any coil has data.
pub(in crate::cli) fn nonzero(values: &ArrayD<Complex32>) -> ArrayD<f32> {
    values.map_axis(Axis(0), |coils| f32::from(coils.iter().any(|v| *v != Complex32::default())))
}

/// Prints what is reconstructed from, and gives the same as JSON.
fn described(job: &Job, problem: &Problem) -> Map<String, Value> {
    let Job { args, device, printer, .. } = job;
    let (coils, grid) = (problem.kspace.len_of(Axis(0)), &problem.kspace.shape()[1..]);
    let sampled = problem.mask.iter().filter(|v| **v != 0.0).count();
    let by: Vec<String> = grid.iter().map(usize::to_string).collect();
    match &problem.info {
        Some(info) => {
            printer.field("k-space", &info.summary);
            printer.field("image", geometry::said(info, grid));
        }
        None => printer.field("k-space", format_args!("{}, {}", count_of(coils, "coil"), by.join(" x "))),
    }
    problem.notes.iter().for_each(|note| printer.field("", note));
    printer.field("maps", &problem.maps_from);
    printer.field("mask", format_args!("{sampled} of {} locations, {}", problem.mask.len(), problem.mask_from));
    let info = problem.info.iter().map(|info| info.summary.clone());
    let notes: Vec<String> = info.chain(problem.notes.iter().cloned()).collect();
    let mut facts = geometry::facts(problem.info.as_ref(), grid);
    facts.extend([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("coils".into(), json!(coils)),
    ]);
    facts.extend(["nz", "ny", "nx"][3 - grid.len()..].iter().map(|n| n.to_string()).zip(grid.iter().map(|n| json!(n))));
    facts.extend([
        ("sets".into(), json!(problem.maps.len_of(Axis(1)))),
        ("maps".into(), json!(problem.maps_from)),
        ("mask".into(), json!(problem.mask_from)),
        ("sampled".into(), json!(sampled)),
        ("notes".into(), json!(notes)),
    ]);
    facts
}
