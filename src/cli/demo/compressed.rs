//! `linops demo --cs`: a scan of few random samples, and what total variation makes of it.

use super::{Args, FILE, LAMBDA, magnification, picture};
use crate::cli::interrupt::Solving;
use crate::cli::printer::{Printer, complain, count_of, short};
use crate::cli::recon::stop_name;
use crate::cli::regularise::ending;
use crate::cli::{DONE, INTERRUPTED, progress};
use linops::Result;
use linops::app::noise::Generator;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Weight};
use linops::app::{ScanOptions, Sense, nrmse, recon_options, scan};
use linops::convex::ConvexOptions;
use linops::io::{Window, panels};
use ndarray::Array2;
use num_complex::Complex32;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Of how many places of k-space one is sampled.
const REDUCTION: f64 = 10.0;
/// Of the weight of the total variation, relative to max|AᴴWy|.
const WEIGHT: f64 = 1e-3;
const ITERATIONS: usize = 1000;

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let path = args.output.as_deref().unwrap_or(Path::new(FILE));
    let target = picture::reserve(path, args.force || (args.output.is_none() && picture::is_ours(path)))?;
    let device = args.common.device()?;
    let wait = progress::spinner("simulating the scan");
    let options = ScanOptions::default().acceleration(1).centre_lines(0);
    let full = scan(&options)?;
    let (coils, ny, nx) = full.kspace.dim();
    let mask = points(ny, nx);
    let kspace = &full.kspace * &mask.mapv(Complex32::from);
    wait.finish_and_clear();
    let sampled = mask.iter().filter(|v| **v != 0.0).count();
    printer
        .field("scan", format_args!("{coils} coils, {ny} x {nx}, {sampled} random samples, noise {}", options.noise));
    printer.field("device", device.name());

    let sense = Sense::new(full.maps.view(), mask.view())?;
    let plain = sense.solve(kspace.view(), recon_options().lambda(LAMBDA), &device)?.image;
    let solving = Solving::begin();
    let bar = progress::iterations(ITERATIONS);
    let tv = Regulariser::new(Kind::Tv, Some(Weight::Relative(WEIGHT)));
    let tv = Regularisation::default().terms(vec![tv]);
    let options = ConvexOptions::default()
        .iterations(ITERATIONS)
        .progress(|p| progress::objective(&bar, p.reading()))
        .cancel(solving.stop());
    let start = Instant::now();
    let found = sense.regularised(kspace.view(), &tv, None, options, &device)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let error = |image: &Array2<Complex32>| nrmse(image.view(), full.reference.view());
    let errors = (error(&plain), error(&found.image));
    let magnitude = |image: &Array2<Complex32>| image.mapv(|v| v.norm());
    let difference = magnitude(&(&found.image - &full.reference));
    let white = 0.6;
    let factor = magnification(&difference, white);
    let window = Window::Range(0.0, white);
    let captions = [
        "reference".to_string(),
        format!("SENSE, NRMSE {:.3}", errors.0),
        format!("total variation, NRMSE {:.3}", errors.1),
        format!("its error × {factor}"),
    ];
    let sheet = panels(&[
        (&captions[0], magnitude(&full.reference), window),
        (&captions[1], magnitude(&plain), window),
        (&captions[2], magnitude(&found.image), window),
        (&captions[3], difference, Window::Range(0.0, white / factor as f32)),
    ]);
    picture::write(target, &sheet)?;
    let file = path.display().to_string();
    let iterations = count_of(found.solved.iterations, "iteration");
    let why = ending(&found.solved);
    printer.field("solved", format_args!("{seconds:.3} s, {iterations} of {} ({why})", found.solved.method));
    printer.field("NRMSE", format_args!("SENSE {:.4}, total variation {:.4}", errors.0, errors.1));
    printer.field("weight", format_args!("{} of max|AᴴWy|", short(WEIGHT as f32)));
    printer.field("wrote", &file);
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "host": device.is_host(),
        "coils": coils,
        "ny": ny,
        "nx": nx,
        "sampled": sampled,
        "iterations": found.solved.iterations,
        "objective": found.solved.objective,
        "misfit": found.solved.misfit,
        "stop": stop_name(found.solved.stop),
        "seconds": seconds,
        "nrmse": { "sense": errors.0, "tv": errors.1 },
        "interrupted": solving.interrupted(),
        "file": file,
    }));
    if solving.interrupted() {
        complain(&format!("interrupted after {iterations}; the image so far was written to {file}"));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// Random places, ever fewer outwards: their density falls with the square of the distance from the centre.
fn points(ny: usize, nx: usize) -> Array2<f32> {
    let mut generator = Generator::new(3);
    let radius = |ky: usize, kx: usize| {
        let part = |k: usize, n: usize| 2.0 * (k as f64 - (n / 2) as f64) / n as f64;
        part(ky, ny).hypot(part(kx, nx))
    };
    // All within a twelfth; outside so many that the whole is the reduction's.
    const INNER: f64 = 1.0 / 12.0;
    let density = |r: f64| (INNER / r).powi(2);
    let outside: f64 = (0..ny * nx).map(|i| radius(i / nx, i % nx)).filter(|r| *r > INNER).map(density).sum();
    let inside = (0..ny * nx).filter(|i| radius(i / nx, i % nx) <= INNER).count();
    let scale = ((ny * nx) as f64 / REDUCTION - inside as f64) / outside;
    Array2::from_shape_fn((ny, nx), |(ky, kx)| {
        let r = radius(ky, kx);
        f32::from(r <= INNER || generator.uniform() < scale * density(r))
    })
}
