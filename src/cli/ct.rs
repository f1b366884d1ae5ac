//! `linops ct`: an image from its projections.

mod angles;
mod center;
mod report;
mod scan;
mod views;

use super::common::Common;
use super::numbers::{from_one, from_zero};
use super::printer::{Printer, short};
use super::regularise::Regularise;
use super::shown::Look;
use super::warnings::Warnings;
use super::{output, progress};
use angles::AngleList;
use linops::app::ct::{AngleUnit, Ct, CtMethod, find_center};
use linops::linop::{Beam, FbpOptions, Geometry, RampWindow};
use linops::{Error, Result};
use report::Job;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use views::{Field, Order};

/// Reconstruct an image from its projections: CT with parallel rays, a fan or a cone
///
/// Reconstructs an image x from its projections y, integrals along rays as −log of the transmission: by filtered back-projection, or
/// as the minimiser of ½‖A x − y‖² (cg), ½‖R^½(A x − y)‖² (sirt, R the inverse lengths of rays within the image) or, with --reg,
/// ½‖A x − y‖² + Σ λᵢRᵢ(x), with the projection A along the rays. Weights λ that are not given are from the noise. Without --iterations
/// and --tol, cg and sirt stop where the misfit has come down to the noise of the projections, which is estimated, or before, after as
/// many iterations as tell a tenth of the views best that is left out for it.
///
/// The axis of rotation is in the middle of the image; the first row is on top. At angle θ the detector runs along (cos θ, sin θ), x to
/// the right and y upwards. Values of the image are per unit of length: 1/pixel, or with --pixel-size in millimetres 1/mm.
#[derive(clap::Args)]
pub struct Args {
    /// Projections, .npy, .npz, .cfl, .tif or .png: (angle, detector), a stack (slice, angle, detector), or of a cone (row, angle,
    /// detector); other orders are told by the number of angles
    file: PathBuf,

    /// Angle of each view, in degrees: .npy or .npz, a text file of numbers, or START:STOP:COUNT, STOP not included (0:180:180 is 0, 1, … 179)
    #[arg(long, value_name = "FILE|RANGE", value_parser = AngleList::parse, allow_hyphen_values = true)]
    angles: AngleList,

    /// Where the image goes, (row, column) or (slice, row, column): .npy, .cfl, .tif, .nii or .nii.gz, .png (of a stack a montage), or -
    /// for an .npy to the standard output
    #[arg(long, short, value_name = "FILE", value_parser = output::name())]
    output: PathBuf,

    /// fbp (filtered back-projection; FDK for a cone), sirt, or cg [default: fbp; with --reg ½‖A x − y‖² + Σ λᵢRᵢ(x)]
    #[arg(long, value_name = "METHOD", value_enum, conflicts_with_all = ["reg", "non_negative"])]
    method: Option<Method>,

    /// Detector index, with fractions, onto which the axis of rotation falls, from 0; or auto: found from the data, within 15 % of
    /// the middle [default: (n − 1)/2, the middle]
    #[arg(long, value_name = "PIXEL|auto", value_parser = AxisPlace::parse, allow_hyphen_values = true)]
    center: Option<AxisPlace>,

    /// Unit of the angles [default: degrees, unless they look like radians, which is said]
    #[arg(long, value_name = "UNIT", value_enum)]
    angle_units: Option<Unit>,

    /// Order of the axes of the projections, such as angle,detector or slice,angle,detector, where their extents do not tell
    #[arg(long, value_name = "NAMES", value_parser = Order::parse)]
    order: Option<Order>,

    /// The file holds intensities, not their −log; values of 0 and below count as the smallest above 0
    #[arg(long)]
    transmission: bool,

    /// Intensity without an object, a number or a file: (detector), (slice, detector), or frames (frame, …) that are averaged
    /// [default: 1]
    #[arg(long, value_name = "FILE|VALUE", value_parser = Field::parse, requires = "transmission")]
    flat: Option<Field>,

    /// Intensity without a beam, likewise [default: 0]
    #[arg(long, value_name = "FILE|VALUE", value_parser = Field::parse, requires = "transmission")]
    dark: Option<Field>,

    /// Rows and columns of the image [default: those of the detector at the axis]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    size: Option<NonZeroUsize>,

    #[command(flatten)]
    scan: scan::Args,

    /// The ramp filter of fbp, by what it is multiplied by in frequency [default: ram-lak]
    #[arg(long, value_name = "FILTER", value_enum)]
    filter: Option<Filter>,

    /// Where the filter ends, as a part of the highest frequency; less is smoother [default: 1]
    #[arg(long, value_name = "PART", value_parser = cutoff, allow_hyphen_values = true)]
    cutoff: Option<f64>,

    /// Standard deviation of the noise of the projections, at which sirt and cg stop, and from which --reg has its weights; 0 goes on
    /// [default: estimated]
    #[arg(long, value_name = "σ", value_parser = from_zero, allow_hyphen_values = true)]
    noise: Option<f32>,

    /// Iterations of sirt and cg at most; given, so many are done whatever the noise [default: 500; with --reg 1000]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    iterations: Option<NonZeroUsize>,

    /// Stop what iterates when the objective is within this part of its limit, as estimated from its fall; 0 goes on. Given, sirt and cg go on beyond the
    /// noise [default: 1e-4]
    #[arg(long, value_name = "TOL", value_parser = from_zero, allow_hyphen_values = true)]
    tol: Option<f32>,

    /// Replace an existing output
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    regularise: Regularise,

    #[command(flatten)]
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Fbp,
    Sirt,
    Cg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Unit {
    Degrees,
    Radians,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Filter {
    RamLak,
    SheppLogan,
    Cosine,
    Hamming,
    Hann,
}

impl Filter {
    fn ramp(self) -> RampWindow {
        match self {
            Filter::RamLak => RampWindow::RamLak,
            Filter::SheppLogan => RampWindow::SheppLogan,
            Filter::Cosine => RampWindow::Cosine,
            Filter::Hamming => RampWindow::Hamming,
            Filter::Hann => RampWindow::Hann,
        }
    }
}

/// Where the axis is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum AxisPlace {
    At(f64),
    Auto,
}

impl AxisPlace {
    fn parse(text: &str) -> Result<AxisPlace, String> {
        if text == "auto" {
            return Ok(AxisPlace::Auto);
        }
        let index = text.parse().ok().filter(|v: &f64| v.is_finite());
        index.map(AxisPlace::At).ok_or_else(|| "expected a detector index such as 319.5, or auto".into())
    }
}

fn cutoff(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v| *v > 0.0 && *v <= 1.0);
    number.ok_or_else(|| "expected a number above 0 and at most 1".into())
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.look.check(&self.output)?;
        self.scan.check()?;
        self.regularise.check(false)?;
        let solver = [("--iterations", self.iterations.is_some()), ("--tol", self.tol.is_some())];
        let filter = [("--filter", self.filter.is_some()), ("--cutoff", self.cutoff.is_some())];
        let (without, what) = match self.solver() {
            None if self.regularise.is_asked() => (&filter, "is for --method fbp"),
            None => (&solver, "is for --method sirt and cg, and --reg; fbp does not iterate"),
            Some(_) => (&filter, "is for --method fbp"),
        };
        if self.noise.is_some() && self.is_direct() {
            return Err("--noise is for --method sirt and cg, and --reg; fbp takes none of it".into());
        }
        match without.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(format!("{name} {what}")),
            None => Ok(()),
        }
    }

    fn method(&self) -> Method {
        self.method.unwrap_or(Method::Fbp)
    }

    fn solver(&self) -> Option<CtMethod> {
        match self.method() {
            Method::Fbp => None,
            Method::Sirt => Some(CtMethod::Sirt),
            Method::Cg => Some(CtMethod::Cg),
        }
    }

    /// Whether it is filtered back-projection.
    fn is_direct(&self) -> bool {
        self.solver().is_none() && !self.regularise.is_asked()
    }

    fn filter(&self) -> FbpOptions {
        let window = self.filter.unwrap_or(Filter::RamLak).ramp();
        FbpOptions::default().window(window).cutoff(self.cutoff.unwrap_or(1.0))
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let [flat, dark] = [&args.flat, &args.dark].map(|f| f.as_ref().and_then(Field::file));
    let inputs = [Some(args.file.as_path()), args.angles.file(), flat, dark];
    let target = output::reserve(&args.output, args.force, &inputs)?;
    let device = args.common.device()?;
    let (mut notes, warnings) = (Vec::new(), Warnings::default());
    let angles = angles::read(args, &warnings)?;
    let views = views::read(args, angles.radians.len(), &mut notes, &warnings)?;
    let mut geometry = args.scan.geometry(&angles.radians, &views);
    let axis = axis(args, &views.values, &mut geometry, &warnings)?;
    let image = args.scan.image(&geometry, &views, args.size.map(NonZeroUsize::get));
    output::check_shape(&target, &views.shape_of(image)?)?;
    // Before the work, so that a scan that fbp refuses costs nothing.
    let views::Views { values, stack, .. } = views;
    let ct = Ct::new(values, &geometry, image).map_err(|e| Error::file(&args.file, e.to_string()))?;
    let shown = angles::describe(&angles, geometry.beam == Beam::Parallel, args.is_direct(), &mut notes)?;
    report::notes_of(&ct, &mut notes);
    let job = Job {
        args,
        target,
        device: &device,
        printer,
        geometry: &geometry,
        image,
        stack,
        axis,
        angles: shown,
        notes,
        warnings: &warnings,
    };
    job.run(&ct)
}

/// Puts the axis where it was asked for, and says where that is.
fn axis(args: &Args, views: &ndarray::Array3<f32>, geometry: &mut Geometry, warnings: &Warnings) -> Result<String> {
    let middle = 0.5 * (geometry.detectors as f64 - 1.0);
    match args.center {
        None => {
            if let Some(index) = center::elsewhere(views, geometry) {
                warnings.say(format!(
                    "the projections say that the axis of rotation is at detector index {index:.1}, not in the middle at {}: give --center \
                     auto, or --center PIXEL, unless the angles are not those of the views",
                    short(middle)
                ));
            }
            Ok(format!("{} (default, the middle of the detector)", short(middle)))
        }
        Some(AxisPlace::At(index)) => {
            let n = geometry.detectors as f64;
            if index < -n || index > 2.0 * n {
                let message = format!(
                    "--center {index} is far off the detector of {n} pixels; expected an index such as {middle}"
                );
                return Err(Error::file(&args.file, message));
            }
            geometry.center = Some(index);
            Ok(short(index))
        }
        Some(AxisPlace::Auto) => {
            let wait = progress::spinner("looking for the axis of rotation");
            let filled = views::filled(views);
            let found = filled.and_then(|views| find_center(views.view(), geometry));
            wait.finish_and_clear();
            let found = found.map_err(|e| Error::file(&args.file, e.to_string()))?;
            geometry.center = Some(found.index);
            let sure = found.deviation.map(|d| format!(", ±{}", short(d.max(0.01)))).unwrap_or_default();
            let off = (found.index - middle).abs();
            if off > 0.13 * geometry.detectors as f64 {
                warnings.say(format!(
                    "the axis is found at detector index {}, near the end of where it is looked for; look at the image, and give \
                     --center if it is wrong",
                    short(found.index)
                ));
            }
            Ok(format!("{:.2} (found from {}{sure})", found.index, found.method))
        }
    }
}

/// The unit of angles that was asked for.
fn unit(args: &Args) -> Option<AngleUnit> {
    args.angle_units.map(|unit| match unit {
        Unit::Degrees => AngleUnit::Degrees,
        Unit::Radians => AngleUnit::Radians,
    })
}
