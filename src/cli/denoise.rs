//! `linops denoise`: a picture without its noise. What fills gaps, `linops inpaint`, is the same problem with samples missing.

use super::common::Common;
use super::interrupt::Solving;
use super::numbers::{from_one, from_zero};
use super::pictures::{Image, PictureArgs};
use super::printer::{Printer, complain, count_of, decimal, not_at_rest, short};
use super::recon::stop_name;
use super::regularise::{Regularise, add_facts, describe, ending};
use super::warnings::{Warnings, more_noise_than_found};
use super::{DONE, INTERRUPTED, output, progress};
use linops::app::regularise::{Kind, Regulariser};
use linops::app::{Denoised, Denoising};
use linops::convex::ConvexOptions;
use linops::io::Output;
use linops::{Device, Error, Result};
use ndarray::ArrayD;
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Take the noise out of a picture
///
/// Minimises ½‖x − y‖² + Σ λᵢRᵢ(x) for a picture y, each channel for itself. Without --reg R is total variation. A weight that is not
/// given is the one by which x is expected to be nearest to the picture without its noise σ (Stein's unbiased estimate of the risk):
/// other units of the picture give the same picture in these units. σ is estimated from the finest diagonal wavelet details (their
/// median), unless --noise gives it; it may follow brightness, but noise that neighbours share, as after a blur, is hardly taken away.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: .npy, .npz, .png or .tif, (row, column) or (plane, row, column), in any units
    image: PathBuf,

    #[command(flatten)]
    picture: PictureArgs,

    #[command(flatten)]
    solving: SolvingArgs,

    /// Fill samples that are NaN or infinite
    #[arg(long)]
    allow_nan: bool,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    regularise: Regularise,
}

/// How a picture is solved for.
#[derive(clap::Args)]
pub struct SolvingArgs {
    /// Standard deviation of the noise, in the picture's units [default: estimated]
    #[arg(long, value_name = "σ", value_parser = from_zero, allow_hyphen_values = true)]
    pub noise: Option<f32>,

    /// Iterations at most of each solve [default: 1000]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    iterations: Option<NonZeroUsize>,

    /// Stop when the objective is within this part of it of its limit [default: 1e-4]
    #[arg(long, value_name = "TOL", value_parser = from_zero, allow_hyphen_values = true)]
    tol: Option<f32>,
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.picture.check()?;
        expect_weights(&self.regularise)
    }
}

/// Whether all weights are given, or follow from the noise.
pub fn expect_weights(regularise: &Regularise) -> Result<(), String> {
    regularise.check(false)?;
    let open = regularise.reg.iter().filter(|r| r.weight.is_none());
    match open.map(|r| r.kind).find(|kind| matches!(kind, Kind::L2 | Kind::Llr)) {
        Some(kind) => {
            Err(format!("--reg {kind}: its weight does not follow from the noise; give one, as in {kind}:0.01"))
        }
        None => Ok(()),
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let target = output::reserve(&args.picture.output, args.picture.force, &[Some(&args.image)])?;
    let image = Image::read(&args.image, &args.picture)?;
    image.expect_writable(&target)?;
    if let Some(at) = image.first_non_finite().filter(|_| !args.allow_nan) {
        let message = format!("NaN or infinity at {at:?}; correct the picture, or give --allow-nan to have it filled");
        return Err(Error::file(&args.image, message));
    }
    let device = args.common.device()?;
    let known = image.values().mapv(|v| f32::from(v.is_finite()));
    let task = Task {
        what: "denoised",
        image: &image,
        known: &known,
        keep: false,
        picture: &args.picture,
        solving: &args.solving,
        regularise: &args.regularise,
        common: &args.common,
        device: &device,
        warnings: &Warnings::default(),
    };
    printer.field("picture", image.text());
    image.notes.iter().for_each(|note| printer.field("", note));
    image.as_volume().into_iter().for_each(|note| printer.field("", note));
    task.run(target, printer)
}

/// A picture to be solved for.
pub struct Task<'a> {
    pub what: &'static str,
    pub image: &'a Image,
    /// 1 where a sample is known, in the order of the image's values.
    pub known: &'a ArrayD<f32>,
    /// Whether known samples are put back as they were.
    pub keep: bool,
    pub picture: &'a PictureArgs,
    pub solving: &'a SolvingArgs,
    pub regularise: &'a Regularise,
    pub common: &'a Common,
    pub device: &'a Device,
    pub warnings: &'a Warnings,
}

impl Task<'_> {
    /// Solves for each part, prints, and writes.
    pub fn run(&self, target: Output, printer: &Printer) -> Result<u8> {
        let Task { what, image, device, .. } = self;
        let axes = image.space().len();
        if axes > 3 {
            let message = format!("a picture of {axes} axes of space, expected up to 3; say which are channels");
            return Err(Error::Shape(format!("{message} (--channel-axis)")));
        }
        printer.field("device", device.name());
        let solving = Solving::begin();
        let start = Instant::now();
        let parts = image.parts(axes)?;
        let known = image.like(self.known.clone()).parts(axes)?;
        let (mut done, mut results): (Vec<ArrayD<f32>>, Vec<Value>) = (Vec::new(), Vec::new());
        let warnings = self.warnings;
        for (k, (part, known)) in parts.iter().zip(&known).enumerate() {
            let result = self.solve(part, known, &solving)?;
            let name = if parts.len() > 1 { format!("part {}", k + 1) } else { (*what).to_string() };
            printer.field(&name, self.outcome(&result));
            not_at_rest(result.stop).into_iter().for_each(|text| warnings.say(text));
            let more = result.noise_found.and_then(|found| more_noise_than_found(result.noise, found));
            if let Some(text) = more {
                warnings.say(text);
            } else if result.less_noise && result.deviation > 0.0 && self.solving.noise.is_some() {
                warnings.say(format!(
                    "the noise is given as {}, and the picture has less of it, or it was cut off: what is taken away has {} rms, no more than \
                     leaves something of the picture",
                    short(result.noise),
                    short(result.deviation)
                ));
            }
            results.push(facts(&result));
            let mut image = result.image;
            if self.keep {
                ndarray::Zip::from(&mut image)
                    .and(part)
                    .and(known)
                    .for_each(|x, y, k| *x = if *k == 0.0 { *x } else { *y });
            }
            done.push(image);
        }
        let seconds = start.elapsed().as_secs_f64();
        printer.field("time", format_args!("{seconds:.3} s"));
        let mut facts = image.facts();
        facts.extend([
            ("device".into(), json!(device.name())),
            ("lanes".into(), json!(self.common.lanes())),
            ("tol".into(), json!(self.tol())),
            ("max_iterations".into(), json!(self.iterations())),
            ("parts".into(), Value::Array(results)),
            ("seconds".into(), json!(seconds)),
            ("interrupted".into(), json!(solving.interrupted())),
        ]);
        facts.insert("warnings".into(), warnings.json());
        image.write(target, image.joined(&done)?, self.picture, printer, &mut facts)?;
        printer.json(&Value::Object(facts));
        if solving.interrupted() {
            complain(&format!("interrupted; the picture so far was written to {}", self.picture.output.display()));
            return Ok(INTERRUPTED);
        }
        Ok(DONE)
    }

    fn solve(&self, part: &ArrayD<f32>, known: &ArrayD<f32>, solving: &Solving) -> Result<Denoised> {
        let bar = progress::iterations(self.iterations());
        let method = self.regularise.options(ConvexOptions::default()).method;
        let result = Denoising::default()
            .regularisation(self.regularise.regularisation(&[Regulariser::new(Kind::Tv, None)]))
            .noise(self.solving.noise.map(f64::from))
            .method(method)
            .iterations(self.iterations())
            .tol(self.tol())
            .progress(|p| progress::objective(&bar, p.reading()))
            .cancel(solving.stop())
            .solve(part.view(), Some(known.view()), self.device)?;
        bar.finish_and_clear();
        Ok(result)
    }

    fn iterations(&self) -> usize {
        self.solving.iterations.map_or(1000, NonZeroUsize::get)
    }

    fn tol(&self) -> f64 {
        self.solving.tol.map_or(1e-4, decimal)
    }

    fn outcome(&self, result: &Denoised) -> String {
        let from = if self.solving.noise.is_some() { "given" } else { "estimated" };
        let noise = match result.noise_unknown {
            true => "noise not known (too few neighbours are known to tell it from; --noise gives it)".to_string(),
            false => format!("noise {} ({from})", short(result.noise)),
        };
        let Some(solved) = &result.solved else {
            return format!("{noise}: there is nothing to take away, the picture is unchanged");
        };
        let solves =
            if result.solves > 1 { format!(", {} solves for the weight", result.solves) } else { String::new() };
        let terms: Vec<String> = result.terms.iter().map(describe).collect();
        format!(
            "{} of {} ({}){solves}; misfit {:.2} %, {} rms, {noise}; {}; objective {}",
            count_of(solved.iterations, "iteration"),
            solved.method,
            ending(solved),
            100.0 * result.misfit,
            short(result.deviation),
            terms.join(", "),
            short(solved.objective)
        )
    }
}

fn facts(result: &Denoised) -> Value {
    let mut facts = Map::from_iter([
        ("iterations".into(), json!(result.solved.as_ref().map_or(0, |s| s.iterations))),
        ("solves".into(), json!(result.solves)),
        ("stop".into(), json!(stop_name(result.stop))),
        ("noise".into(), json!((!result.noise_unknown).then_some(result.noise))),
        ("noise_found".into(), json!(result.noise_found)),
        ("misfit".into(), json!(result.misfit)),
        ("deviation".into(), json!(result.deviation)),
    ]);
    add_facts(&mut facts, &result.terms, result.solved.as_ref());
    Value::Object(facts)
}
