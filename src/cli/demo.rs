//! `linops demo`: a simulated scan, reconstructed without and with SENSE, as one picture.

mod picture;

use super::common::Common;
use super::interrupt::Solving;
use super::printer::{Printer, complain, decimal};
use super::recon::{outcome, residual, stop_name};
use super::{DONE, INTERRUPTED, progress};
use linops::Result;
use linops::app::{ScanOptions, Sense, SenseOptions, nrmse, scan};
use linops::io::{Window, panels};
use ndarray::Array2;
use num_complex::Complex32;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
}

/// The picture, in the current folder.
const FILE: &str = "demo.png";
/// Little regularisation: the noise is low, and the error should be that of the method.
const LAMBDA: f32 = 1e-3;

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let path = Path::new(FILE);
    let target = picture::reserve(path, args.common.force)?;
    let device = args.common.device()?;
    let options = ScanOptions::default();
    let wait = progress::spinner("simulating the scan");
    let scan = scan(&options)?;
    wait.finish_and_clear();
    let sense = Sense::new(scan.maps.view(), scan.mask.view())?;
    let lines = scan.mask.column(0).iter().filter(|v| **v != 0.0).count();
    let (coils, ny, nx) = scan.kspace.dim();
    printer.field("scan", format_args!("{coils} coils, {ny} x {nx}, {lines} of {ny} lines, noise {}", options.noise));
    printer.field("device", device.name());

    let filled = sense.zero_filled(scan.kspace.view(), &device)?;
    let solving = Solving::begin();
    let solver = SenseOptions { lambda: LAMBDA, iterations: 60, tol: 1e-4, ..Default::default() };
    let bar = progress::iterations(solver.iterations);
    let show = |p| progress::reading(&bar, p);
    let solver = SenseOptions { progress: Some(&show), cancel: Some(solving.stop()), ..solver };
    let start = Instant::now();
    let result = sense.solve(scan.kspace.view(), &solver, &device)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let error = |image: &Array2<Complex32>| nrmse(image.view(), scan.reference.view());
    let errors = (error(&filled), error(&result.image));
    picture::write(target, &sheet(&scan.reference, &filled, &result.image, errors))?;
    printer.field("SENSE", format_args!("{seconds:.3} s, {}", outcome(&result)));
    printer.field("NRMSE", format_args!("zero-filled {:.4}, SENSE {:.4}", errors.0, errors.1));
    printer.field("wrote", FILE);
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "host": device.is_host(),
        "coils": coils, "ny": ny, "nx": nx, "lines": lines,
        "lambda": decimal(LAMBDA),
        "iterations": result.iterations,
        "residual": residual(&result),
        "stop": stop_name(result.stop),
        "seconds": seconds,
        "nrmse": { "zero_filled": errors.0, "sense": errors.1 },
        "interrupted": solving.interrupted(),
        "file": FILE,
    }));
    if solving.interrupted() {
        complain(&format!(
            "interrupted after {} iterations; the image so far was written to {FILE}",
            result.iterations
        ));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// Reference, zero-filled, SENSE, and how far SENSE is from the reference.
fn sheet(
    reference: &Array2<Complex32>,
    filled: &Array2<Complex32>,
    sense: &Array2<Complex32>,
    errors: (f64, f64),
) -> linops::io::Picture {
    let magnitude = |image: &Array2<Complex32>| image.mapv(|v| v.norm());
    let difference = magnitude(&(sense - reference));
    // The skull is the brightest; the window is for what is inside it.
    let white = 0.6;
    let factor = magnification(&difference, white);
    let window = Window::Range(0.0, white);
    let captions = [
        "reference".to_string(),
        format!("zero-filled, NRMSE {:.3}", errors.0),
        format!("SENSE, NRMSE {:.3}", errors.1),
        format!("SENSE error × {factor}"),
    ];
    panels(&[
        (&captions[0], magnitude(reference), window),
        (&captions[1], magnitude(filled), window),
        (&captions[2], magnitude(sense), window),
        (&captions[3], difference, Window::Range(0.0, white / factor as f32)),
    ])
}

/// How many times an error can be enlarged and stay, for all but 1 % of the pixels, below white.
fn magnification(difference: &Array2<f32>, white: f32) -> u32 {
    let mut values: Vec<f32> = difference.iter().copied().collect();
    values.sort_by(f32::total_cmp);
    let high = values[(values.len() - 1) * 99 / 100];
    [100, 50, 20, 10, 5, 2].into_iter().find(|&k| k as f32 * high <= white).unwrap_or(1)
}
