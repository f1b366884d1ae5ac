//! `linops demo --ct`: the head as CT measures it by few views, reconstructed by filtered back-projection and with total variation.

use super::{Args, FILE, magnification, picture};
use crate::cli::interrupt::Solving;
use crate::cli::phantom::tomography::Views;
use crate::cli::printer::{Printer, complain};
use crate::cli::recon::{percent, stop_name};
use crate::cli::{DONE, INTERRUPTED, progress};
use linops::Result;
use linops::app::ct::Ct;
use linops::app::regularise::{Kind, Regularisation, Regulariser};
use linops::app::shepp_logan_tomogram;
use linops::convex::ConvexOptions;
use linops::io::{Picture, Window, panels};
use linops::linop::{FbpOptions, RampWindow};
use ndarray::{Array2, Axis};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Pixels along the image and the detector.
const SIZE: usize = 256;
const VIEWS: usize = 60;
/// The deviation of the noise, of the largest projection.
const NOISE: f64 = 0.003;

pub(super) fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let path = args.output.as_deref().unwrap_or(Path::new(FILE));
    let own = args.output.is_none() && picture::is_ours(path);
    let target = picture::reserve(path, args.force || own)?;
    let device = args.common.device()?;
    let Views { sinogram, geometry } = Views::of(VIEWS, SIZE, NOISE, 1)?;
    printer.field("scan", format_args!("{VIEWS} views of {SIZE} pixels, noise {NOISE} of the largest value"));
    printer.field("device", device.name());

    let ct = Ct::new(sinogram.insert_axis(Axis(0)), &geometry, [1, SIZE, SIZE])?;
    let solving = Solving::begin();
    let start = Instant::now();
    let direct = ct.fbp(FbpOptions::default().window(RampWindow::SheppLogan), &device)?;
    let fbp_seconds = start.elapsed().as_secs_f64();
    let options = ConvexOptions::default();
    let bar = progress::iterations(options.iterations);
    let options = options.progress(|p| progress::objective(&bar, p.reading())).cancel(solving.stop());
    let variation = Regularisation::default().terms(vec![Regulariser::new(Kind::Tv, None)]);
    let start = Instant::now();
    let solved = ct.regularise(&variation, None, options, &device)?.image;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let reference = shepp_logan_tomogram(SIZE);
    let [fbp, tv] = [direct.image, solved.image].map(|image| image.index_axis_move(Axis(0), 0));
    let errors = [&fbp, &tv].map(|image| nrmse(image, &reference));
    picture::write(target, &sheet(&reference, &fbp, &tv, errors))?;
    let misfit = |m: Option<f64>| m.map_or_else(|| "unknown".into(), percent);
    printer.field("FBP", format_args!("{fbp_seconds:.3} s; misfit {}", misfit(direct.misfit)));
    let count = solved.iterations;
    printer.field("TV", format_args!("{seconds:.3} s, {count} iterations; misfit {}", misfit(solved.misfit)));
    printer.field("NRMSE", format_args!("FBP {:.4}, TV {:.4}", errors[0], errors[1]));
    printer.field("wrote", path.display());
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "host": device.is_host(),
        "views": VIEWS,
        "detectors": SIZE,
        "iterations": count,
        "stop": solved.stop.map(stop_name),
        "misfit": { "fbp": direct.misfit, "tv": solved.misfit },
        "nrmse": { "fbp": errors[0], "tv": errors[1] },
        "seconds": seconds,
        "interrupted": solving.interrupted(),
        "file": path.display().to_string(),
    }));
    if solving.interrupted() {
        complain(&format!("interrupted after {count} iterations; the image so far was written to {}", path.display()));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

fn nrmse(image: &Array2<f32>, reference: &Array2<f32>) -> f64 {
    let square = |a: &Array2<f32>| a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    (square(&(image - reference)) / square(reference)).sqrt()
}

/// Reference, both images, and how far the second is from the reference.
fn sheet(reference: &Array2<f32>, fbp: &Array2<f32>, tv: &Array2<f32>, errors: [f64; 2]) -> Picture {
    // The skull is the brightest; the window is for what is inside it.
    let white = 0.6;
    let difference = (tv - reference).mapv(f32::abs);
    let factor = magnification(&difference, white);
    let window = Window::Range(0.0, white);
    let captions = [
        "reference".to_string(),
        format!("FBP, NRMSE {:.3}", errors[0]),
        format!("TV, NRMSE {:.3}", errors[1]),
        format!("TV error × {factor}"),
    ];
    panels(&[
        (&captions[0], reference.clone(), window),
        (&captions[1], fbp.clone(), window),
        (&captions[2], tv.clone(), window),
        (&captions[3], difference, Window::Range(0.0, white / factor as f32)),
    ])
}
