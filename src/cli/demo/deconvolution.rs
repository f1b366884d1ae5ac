//! `linops demo --deconv`: cells as a microscope sees them, and what is found behind.

use super::{Args, FILE, picture};
use crate::cli::interrupt::Solving;
use crate::cli::phantom::microscope::{COUNTS, RING, Seen, two};
use crate::cli::printer::{Printer, complain, count_of, short};
use crate::cli::{DONE, INTERRUPTED, progress};
use linops::Result;
use linops::app::{Blur, NoiseToSignal, Outside, Psf, PsfCenter, RichardsonLucyOptions, Scene};
use linops::io::{Window, panels};
use ndarray::Array2;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Pixels along each axis.
const SEEN: usize = 256;
const ITERATIONS: usize = 200;

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let path = args.output.as_deref().unwrap_or(Path::new(FILE));
    let target = picture::reserve(path, args.force || (args.output.is_none() && picture::is_ours(path)))?;
    let device = args.common.device()?;
    let wait = progress::spinner("simulating the microscope");
    let Seen { picture: seen, scene, psf } = Seen::of([SEEN; 2], 1)?;
    let psf = Psf::new(psf.into_dyn().view(), PsfCenter::Half, false)?;
    wait.finish_and_clear();
    printer
        .field("picture", format_args!("{SEEN} x {SEEN}, {COUNTS} counts, Airy disk with its ring at {RING} pixels"));
    printer.field("device", device.name());

    let solving = Solving::begin();
    let bar = progress::iterations(ITERATIONS);
    let found = NoiseToSignal::of(seen.view().into_dyn(), &psf, Scene::Natural)?;
    let noise = found.noise;
    let options = RichardsonLucyOptions::default()
        .iterations(ITERATIONS)
        .noise(Some(noise))
        .left(0.5 * (1.0 + found.left))
        .progress(|p| progress::reading(&bar, p.reading()))
        .cancel(solving.stop());
    let start = Instant::now();
    let blur = Blur::new(&psf, &[SEEN, SEEN], None, Outside::Unknown)?;
    let result = blur.richardson_lucy(seen.view().into_dyn(), options, &device)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let found = two(result.image)?;

    let errors = (error(&seen, &scene), error(&found, &scene));
    let captions =
        ["scene".to_string(), format!("seen, NRMSE {:.3}", errors.0), format!("deconvolved, NRMSE {:.3}", errors.1)];
    let window = Window::Range(0.0, 0.7 * COUNTS);
    let sheet = panels(&[(&captions[0], scene, window), (&captions[1], seen, window), (&captions[2], found, window)]);
    picture::write(target, &sheet)?;
    let file = path.display().to_string();
    let iterations = count_of(result.iterations, "iteration");
    let misfit = 100.0 * result.misfit;
    printer.field(
        "deconvolved",
        format_args!(" {seconds:.3} s, {iterations}; misfit {misfit:.2} %, noise {}", short(noise)),
    );
    printer.field("NRMSE", format_args!("seen {:.4}, deconvolved {:.4}", errors.0, errors.1));
    printer.field("wrote", &file);
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "host": device.is_host(),
        "ny": SEEN,
        "nx": SEEN,
        "iterations": result.iterations,
        "misfit": result.misfit,
        "noise": noise,
        "seconds": seconds,
        "nrmse": { "seen": errors.0, "deconvolved": errors.1 },
        "interrupted": solving.interrupted(),
        "file": file,
    }));
    if solving.interrupted() {
        complain(&format!("interrupted after {iterations}; the picture so far was written to {file}"));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// ‖a − b‖/‖b‖
fn error(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let square = |a: &Array2<f32>| a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    (square(&(a - b)) / square(b)).sqrt()
}
