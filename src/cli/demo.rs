//! `linops demo`: a simulated scan, reconstructed without and with SENSE, as one picture; a scan of few random samples; a CT scan; or a
//! blurred picture.

mod compressed;
mod deconvolution;
mod picture;
mod subject;
mod tomography;

use super::common::Common;
use super::interrupt::Solving;
use super::printer::{Printer, complain, count_of, decimal};
use super::recon::{outcome, stop_name};
use super::{DONE, INTERRUPTED, progress};
use linops::Result;
use linops::app::{nrmse, recon_options};
use linops::io::{Window, panels};
use ndarray::Array2;
use num_complex::Complex32;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use subject::Subject;

#[derive(clap::Args)]
pub struct Args {
    /// Simulate golden-angle radial spokes instead of Cartesian lines
    #[arg(long)]
    radial: bool,

    /// Simulate a CT scan of the head and reconstruct it
    #[arg(long, conflicts_with = "radial")]
    ct: bool,

    /// Simulate a microscope's picture of cells and deconvolve it
    #[arg(long, conflicts_with_all = ["radial", "ct"])]
    deconv: bool,

    /// Simulate a scan of few random samples and reconstruct it with total variation (compressed sensing)
    #[arg(long, conflicts_with_all = ["radial", "ct", "deconv"])]
    cs: bool,

    /// Where the picture goes (.png) [default: demo.png, which replaces an earlier one of the demo]
    #[arg(long, short, value_name = "FILE", value_parser = super::output::name_of("png"))]
    output: Option<PathBuf>,

    /// Replace any existing picture
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,
}

/// The picture, in the current folder, where nothing else is asked for.
const FILE: &str = "demo.png";
/// Little regularisation: the noise is low, and the error should be that of the method.
const LAMBDA: f32 = 1e-3;
const ITERATIONS: usize = 60;

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    if args.ct {
        return tomography::run(args, printer);
    }
    if args.deconv {
        return deconvolution::run(args, printer);
    }
    if args.cs {
        return compressed::run(args, printer);
    }
    let path = args.output.as_deref().unwrap_or(Path::new(FILE));
    let target = match args.output {
        Some(_) => picture::reserve(path, args.force)?,
        None => picture::reserve(path, args.force || picture::is_ours(path))?,
    };
    let file = path.display().to_string();
    let device = args.common.device()?;
    let wait = progress::spinner("simulating the scan");
    let subject = if args.radial { subject::radial(&device) } else { subject::cartesian(&device) };
    wait.finish_and_clear();
    let subject = subject?;
    printer.field("scan", &subject.scan);
    printer.field("device", device.name());

    let solving = Solving::begin();
    let bar = progress::iterations(ITERATIONS);
    let options = recon_options().lambda(LAMBDA).iterations(ITERATIONS).tol(1e-4);
    let options = options.progress(|p| progress::reading(&bar, p.reading())).cancel(solving.stop());
    let start = Instant::now();
    let result = (subject.solve)(options)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let error = |image: &Array2<Complex32>| nrmse(image.view(), subject.reference.view());
    let errors = (error(&subject.plain), error(&result.image));
    picture::write(target, &sheet(&subject, &result.image, errors))?;
    printer.field("SENSE", format_args!("{seconds:.3} s, {}", outcome(&result)));
    printer.field("NRMSE", format_args!("{} {:.4}, SENSE {:.4}", subject.plain_name, errors.0, errors.1));
    printer.field("wrote", &file);
    let mut facts = json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "host": device.is_host(),
        "lambda": decimal(LAMBDA),
        "iterations": result.iterations,
        "residual": result.residual,
        "misfit": result.misfit,
        "stop": stop_name(result.stop),
        "seconds": seconds,
        "nrmse": { subject.plain_name.replace('-', "_"): errors.0, "sense": errors.1 },
        "interrupted": solving.interrupted(),
        "file": file,
    });
    if let (Some(facts), Value::Object(scan)) = (facts.as_object_mut(), &subject.facts) {
        facts.extend(scan.clone());
    }
    printer.json(&facts);
    if solving.interrupted() {
        complain(&format!(
            "interrupted after {}; the image so far was written to {file}",
            count_of(result.iterations, "iteration")
        ));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// Reference, the image without solving, SENSE, and how far SENSE is from the reference.
fn sheet(subject: &Subject, sense: &Array2<Complex32>, errors: (f64, f64)) -> linops::io::Picture {
    let Subject { reference, plain, plain_name, .. } = subject;
    let magnitude = |image: &Array2<Complex32>| image.mapv(|v| v.norm());
    let difference = magnitude(&(sense - reference));
    // The skull is the brightest; the window is for what is inside it.
    let white = 0.6;
    let factor = magnification(&difference, white);
    let window = Window::Range(0.0, white);
    let captions = [
        "reference".to_string(),
        format!("{plain_name}, NRMSE {:.3}", errors.0),
        format!("SENSE, NRMSE {:.3}", errors.1),
        format!("SENSE error × {factor}"),
    ];
    panels(&[
        (&captions[0], magnitude(reference), window),
        (&captions[1], magnitude(plain), window),
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
