//! `linops deconv`: the scene behind a picture that was blurred by a known point-spread function.

mod job;
mod remarks;

use super::common::Common;
use super::denoise::expect_weights;
use super::interrupt::Solving;
use super::numbers::{from_one, from_zero};
use super::pictures::{Image, PictureArgs};
use super::printer::{Printer, complain, short};
use super::regularise::Regularise;
use super::warnings::Warnings;
use super::{DONE, INTERRUPTED, output};
use clap::ValueEnum;
use job::Job;
use linops::app::{Outside, Psf, PsfCenter};
use linops::{Error, Result};
use ndarray::ArrayD;
use remarks::{Remarks, Scene};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Deblur a picture whose point-spread function is known
///
/// Finds the scene x behind a picture y = A x + noise, where A is the convolution with a point-spread function (PSF). By default
/// what lies outside of the picture is unknown: the scene is larger than the picture by what the PSF reaches, A is the convolution
/// and then a crop, and the picture's part is written.
///
/// --method rl raises the Poisson likelihood of the counts y by Richardson and Lucy's iteration, x ← x·Aᵀ(y/A x)/Aᵀ1; it keeps
/// the scene from being negative, and stops when the likelihood is that of the noise. wiener minimises ‖A x − y‖² + λ‖∇x‖², cg
/// ‖A x − y‖² + λ‖x − m‖² with the mean m; their λ is the ratio of noise and signal, by the picture's spectrum, and the one of the least
/// expected error. --reg
/// minimises ½‖A x − y‖² + Σ λᵢRᵢ(x); a weight that is not given is the one by which ‖A x − y‖² is that of the noise, but none that would not
/// hold the picture's own noise back. A scene of noise that was amplified is not written, unless its weight was given.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: .npy, .npz, .png or .tif, (row, column) or (plane, row, column), in any units
    image: PathBuf,

    /// The point-spread function: .npy, .png or .tif, of as many axes as the picture, or of fewer for each of its planes
    #[arg(long, value_name = "FILE")]
    psf: PathBuf,

    #[command(flatten)]
    picture: PictureArgs,

    /// How it is solved [default: with --reg, ½‖A x − y‖² + Σ λᵢRᵢ(x); else rl, or wiener with --lambda or where more than 1 % of the
    /// picture's or the PSF's light is negative]
    #[arg(long, conflicts_with_all = ["reg", "non_negative"])]
    method: Option<Method>,

    /// What lies outside of the picture
    #[arg(long, default_value = "unknown")]
    boundary: Boundary,

    /// Which sample of the PSF is its centre: n/2 of each axis (rounded down), the largest, the one nearest to the centroid, or the
    /// middle, (n − 1)/2
    #[arg(long, default_value = "half")]
    psf_center: Center,

    /// Do not divide the PSF by its sum
    #[arg(long)]
    keep_psf_scale: bool,

    /// Weight λ of wiener and cg [default: from the noise]
    #[arg(long, value_name = "λ", value_parser = from_zero, allow_hyphen_values = true)]
    lambda: Option<f32>,

    /// Standard deviation of the noise, in the picture's units [default: estimated from the picture's spectrum]
    #[arg(long, value_name = "σ", value_parser = from_zero, allow_hyphen_values = true)]
    noise: Option<f32>,

    /// Iterations at most; of rl, so many whatever the noise [default: 100 of rl, 1000 of the others]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    iterations: Option<NonZeroUsize>,

    /// Stop when an iteration of rl lowers the divergence of the likelihood by less than this part of it, or when the
    /// objective of the others is within this part of it of its limit [default: 1e-3 of rl, 1e-4 of the others]
    #[arg(long, value_name = "TOL", value_parser = from_zero, allow_hyphen_values = true)]
    tol: Option<f32>,

    /// Leave samples that are NaN or infinite out of the fit
    #[arg(long)]
    allow_nan: bool,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    regularise: Regularise,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Method {
    Wiener,
    Rl,
    Cg,
    #[value(skip)]
    Regularised,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Wiener => "wiener",
            Method::Rl => "rl",
            Method::Cg => "cg",
            Method::Regularised => "regularised",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Boundary {
    Unknown,
    Periodic,
    Zero,
    Mirror,
}

#[derive(Clone, Copy, ValueEnum)]
enum Center {
    Half,
    Peak,
    Centroid,
    Middle,
}

/// Parts that have a line of their own: of rows by a PSF of one axis there are hundreds.
const LINES: usize = 8;

/// A share of negative light above this is no noise.
const NEGATIVE: f64 = 0.01;

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.picture.check()?;
        expect_weights(&self.regularise)?;
        match (self.method, self.lambda) {
            (_, Some(_)) if self.regularise.is_asked() => {
                Err("--lambda is the weight of wiener and cg; those of --reg are given with it, as in --reg tv:0.01"
                    .into())
            }
            (Some(Method::Rl), Some(_)) => Err("--lambda is the weight of wiener and cg; rl has none".into()),
            _ => Ok(()),
        }
    }

    fn outside(&self) -> Outside {
        match self.boundary {
            Boundary::Unknown => Outside::Unknown,
            Boundary::Periodic => Outside::Periodic,
            Boundary::Zero => Outside::Zero,
            Boundary::Mirror => Outside::Mirror,
        }
    }

    fn center(&self) -> PsfCenter {
        match self.psf_center {
            Center::Half => PsfCenter::Half,
            Center::Peak => PsfCenter::Peak,
            Center::Centroid => PsfCenter::Centroid,
            Center::Middle => PsfCenter::Middle,
        }
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let target = output::reserve(&args.picture.output, args.picture.force, &[Some(&args.image), Some(&args.psf)])?;
    let image = Image::read(&args.image, &args.picture)?;
    image.expect_writable(&target)?;
    if let Some(at) = image.first_non_finite().filter(|_| !args.allow_nan) {
        let message = format!("NaN or infinity at {at:?}; correct the picture, or give --allow-nan to leave it out");
        return Err(Error::file(&args.image, message));
    }
    let psfs = read_psfs(args, &image)?;
    let method = match args.method {
        _ if args.regularise.is_asked() => Method::Regularised,
        Some(method) => method,
        // The weight is one of wiener.
        None if args.lambda.is_some() => Method::Wiener,
        None => chosen(&image, &psfs),
    };
    let device = args.common.device()?;

    printer.field("picture", image.text());
    image.notes.iter().for_each(|note| printer.field("", note));
    printer.field("psf", psf_text(args, &psfs[0]));
    let warnings = Warnings::default();
    if psfs.iter().all(Psf::is_point) {
        printer.field("", "the PSF is a point: it blurs nothing, and only scales or moves the picture");
    }
    psfs.iter().flat_map(|psf| remarks::of_psf(args, psf)).for_each(|text| warnings.say(text));
    printer.field("outside", boundary_text(args.boundary));
    printer.field(
        "method",
        format_args!(
            "{}{}",
            method.name(),
            if args.method.is_none() && !args.regularise.is_asked() { " (default)" } else { "" }
        ),
    );
    printer.field("device", device.name());

    let axes = psfs[0].values().ndim();
    let parts = image.parts(axes)?;
    let solving = Solving::begin();
    let start = Instant::now();
    let (mut done, mut results): (Vec<ArrayD<f32>>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut said = Remarks::default();
    for (k, part) in parts.iter().enumerate() {
        let psf = &psfs[image.channel_of(k, parts.len()).min(psfs.len() - 1)];
        let job = Job { args, method, psf, device: &device, solving: &solving };
        let (result, how) = job.solve(part.view())?;
        let several = (parts.len() > 1).then(|| format!("part {}", k + 1));
        let scene = Scene { job: &job, result: &result, how: &how, part: several.as_deref() };
        let doubt = scene.doubt(part.view());
        scene.expect_scene(doubt)?;
        scene.say(doubt, &mut said);
        if k < LINES {
            printer.field(several.as_deref().unwrap_or("solved"), job.outcome(&result, &how));
        }
        results.push(job.facts(&result, &how));
        done.push(result.image);
    }
    said.texts().for_each(|text| warnings.say(text));
    if parts.len() > LINES {
        let span = |of: &str| {
            let all = || results[LINES..].iter().filter_map(|part| part[of].as_f64());
            (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
        };
        let ((fewest, most), (least, worst)) = (span("iterations"), span("misfit"));
        let rest = parts.len() - LINES;
        printer.field(
            &format!("{rest} more"),
            format_args!("{fewest} to {most} iterations; misfit {:.2} to {:.2} %", 100.0 * least, 100.0 * worst),
        );
    }
    let seconds = start.elapsed().as_secs_f64();
    printer.field("time", format_args!("{seconds:.3} s"));
    let mut facts = image.facts();
    facts.extend([
        ("device".into(), json!(device.name())),
        ("lanes".into(), json!(args.common.lanes())),
        ("method".into(), json!(method.name())),
        ("psf_sum".into(), json!(psfs[0].sum())),
        ("psf_center".into(), json!(psfs[0].given_center())),
        ("parts".into(), Value::Array(results)),
        ("seconds".into(), json!(seconds)),
        ("interrupted".into(), json!(solving.interrupted())),
    ]);
    facts.insert("warnings".into(), warnings.json());
    image.write(target, image.joined(&done)?, &args.picture, printer, &mut facts)?;
    printer.json(&Value::Object(facts));
    if solving.interrupted() {
        complain(&format!("interrupted; the picture so far was written to {}", args.picture.output.display()));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// One PSF, or one for each channel.
fn read_psfs(args: &Args, image: &Image) -> Result<Vec<Psf>> {
    let wrong = |message: String| Error::file(&args.psf, message);
    let file = Image::read_beside(&args.psf, image.space().len())?;
    let (axes, space) = (file.space().len(), image.space().len());
    if axes > space || axes > 3 {
        let coloured = match image.channels() {
            1 => String::new(),
            channels => format!(" and {channels} channels (--channel-axis none takes these for space)"),
        };
        return Err(wrong(format!(
            "the PSF {:?} has {axes} axes, the picture {:?} has {space}{coloured}; give a PSF of as many, or of fewer for each plane",
            file.space(),
            image.space()
        )));
    }
    if !matches!(file.channels(), 1) && file.channels() != image.channels() {
        let (came, want) = (file.channels(), image.channels());
        return Err(wrong(format!("the PSF has {came} channels, the picture {want}; give one PSF, or one for each")));
    }
    let parts = file.parts(axes)?;
    parts
        .iter()
        .map(|p| Psf::new(p.view(), args.center(), args.keep_psf_scale).map_err(|e| wrong(e.to_string())))
        .collect()
}

/// Counts of light are never negative, but noise around a background that was subtracted is.
fn chosen(image: &Image, psfs: &[Psf]) -> Method {
    let (mut negative, mut all) = (0.0, 0.0);
    for v in image.values().iter().filter(|v| v.is_finite()) {
        all += f64::from(v.abs());
        negative += f64::from((-v).max(0.0));
    }
    let light = negative <= NEGATIVE * all && psfs.iter().all(|p| p.negative() <= NEGATIVE);
    if light { Method::Rl } else { Method::Wiener }
}

fn psf_text(args: &Args, psf: &Psf) -> String {
    let extents: Vec<String> = psf.values().shape().iter().map(usize::to_string).collect();
    let center: Vec<String> = psf.given_center().iter().map(f64::to_string).collect();
    let scale = if args.keep_psf_scale { "kept" } else { "divided by it" };
    format!(
        "{} without zeros around it, centre at [{}], sum {} ({scale})",
        extents.join(" x "),
        center.join(", "),
        short(psf.sum())
    )
}

fn boundary_text(boundary: Boundary) -> &'static str {
    match boundary {
        Boundary::Unknown => "unknown",
        Boundary::Periodic => "the picture again",
        Boundary::Zero => "dark",
        Boundary::Mirror => "the mirrored picture",
    }
}
