//! The reconstruction, and what is said about it.

use super::views::shape_of;
use super::{Args, Method};
use crate::cli::interrupt::Solving;
use crate::cli::printer::not_at_rest;
use crate::cli::printer::{Printer, complain, count_of, decimal, short};
use crate::cli::recon::{percent, stop_name};
use crate::cli::regularise::{add_facts, describe, ending as ending_of};
use crate::cli::shown::{Look, Shown, Written};
use crate::cli::warnings::{Warnings, less_noise_than_found, more_noise_than_found};
use crate::cli::{DONE, INTERRUPTED, progress};
use linops::app::ct::{Ct, CtImage, CtOptions, CtRegularised};
use linops::convex::ConvexOptions;
use linops::io::{Format, Output, Window, Writer};
use linops::linop::Geometry;
use linops::solve::Stop;
use linops::{Device, Error, Result, Tensor};
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;
use std::time::Instant;

/// What was asked, and where things go.
pub(super) struct Job<'a> {
    pub args: &'a Args,
    pub target: Output,
    pub device: &'a Device,
    pub printer: &'a Printer,
    pub geometry: &'a Geometry,
    pub image: [usize; 3],
    pub stack: bool,
    /// Where the axis is, and the angles, for people.
    pub axis: String,
    pub angles: String,
    pub notes: Vec<String>,
    pub warnings: &'a Warnings,
}

/// What there is to say of the views.
pub(super) fn notes_of(ct: &Ct, notes: &mut Vec<String>) {
    let defects = ct.defects();
    if defects.non_finite > 0 {
        notes.push(format!("{} NaN or infinite", count_of(defects.non_finite, "sample")));
    }
    if let Some((slice, column)) = defects.dead.first() {
        let place = if ct.views().len_of(ndarray::Axis(0)) > 1 {
            format!("{column} of slice {slice}")
        } else {
            column.to_string()
        };
        notes.push(format!("{} dead, the first {place}", count_of(defects.dead.len(), "detector column")));
    }
    if ct.truncated() > 0.0 {
        notes.push(format!(
            "{:.0} % of the views end within the object: what lies outside of them is estimated",
            100.0 * ct.truncated()
        ));
    }
}

impl Job<'_> {
    pub(super) fn run(self, ct: &Ct) -> Result<u8> {
        let (args, printer) = (self.args, self.printer);
        if let Way::Fbp = Way::of(args) {
            ct.expect_fbp(args.filter()).map_err(|e| {
                let advice = if e.to_string().contains("views over") { "; --method sirt or cg takes them" } else { "" };
                Error::file(&args.file, format!("{e}{advice}"))
            })?;
        }
        let open = args.regularise.reg.iter().any(|r| r.weight.is_none());
        if args.noise.is_some() && args.regularise.is_asked() && !open {
            self.warnings.say("--noise makes weights of --reg that are not given, and all are".into());
        }
        // What is asked for is done, whatever the noise.
        let iterates = matches!(Way::of(args), Way::Solve { .. });
        let goes_on = args.iterations.is_some() || args.tol.is_some();
        let noise = args.noise.map(f64::from).or(goes_on.then_some(0.0));
        // Where it counts: what the views have of it.
        let counts = args.noise.map(f64::from).filter(|_| iterates && !goes_on || args.regularise.is_asked() && open);
        let noise_found = counts.map(|_| ct.noise()).filter(|found| *found > 0.0);
        self.describe();
        let solving = Solving::begin();
        let start = Instant::now();
        let mut regularised = None;
        let result = match Way::of(args) {
            Way::Regularise { iterations, tol } => {
                let bar = progress::iterations(iterations);
                let options = args.regularise.options(ConvexOptions::default().iterations(iterations).tol(tol));
                let options = options.progress(|p| progress::objective(&bar, p.reading())).cancel(solving.stop());
                let asked = args.regularise.regularisation(&[]);
                let found = ct.regularise(&asked, args.noise.map(f64::from), options, self.device)?;
                bar.finish_and_clear();
                let image = found.image.clone();
                regularised = Some(found);
                image
            }
            Way::Fbp => ct.fbp(args.filter(), self.device)?,
            Way::Solve { method, iterations, tol } => {
                let bar = progress::iterations(iterations);
                let options = CtOptions::default().iterations(iterations).tol(tol).noise(noise).cancel(solving.stop());
                let options = options.progress(|p| {
                    let p = p.reading();
                    bar.set_position(p.iteration as u64);
                    let which = if p.left_out { ", to see how many are best" } else { "" };
                    bar.set_message(format!("misfit {:.2e}{which}", p.misfit));
                });
                let result = ct.solve(method, options, self.device)?;
                bar.finish_and_clear();
                result
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let mut facts = self.facts(&result, seconds, solving.interrupted());
        if result.stop.is_some() {
            let known = result.noise.filter(|_| regularised.is_some() || !goes_on);
            facts.extend([
                ("noise".into(), json!(known)),
                ("noise_found".into(), json!(noise_found)),
                ("deviation".into(), json!(result.deviation)),
            ]);
        }
        let given = counts.zip(noise_found);
        let less = given.and_then(|(given, found)| less_noise_than_found(given, found));
        let more = given.and_then(|(given, found)| more_noise_than_found(given, found));
        // So many iterations of what is stopped early are no fault.
        let asked = iterates && args.iterations.is_some();
        // More iterations would fit more of the noise.
        let unfinished = result.stop.filter(|_| !asked && less.is_none()).and_then(not_at_rest);
        unfinished.into_iter().chain(less).chain(more).for_each(|text| self.warnings.say(text));
        if let Some(found) = &regularised {
            objective(found, printer);
            add_facts(&mut facts, &found.terms, Some(&found.solved));
        }
        let path = args.output.display();
        let written = write(self.target, &result, args.look, self.stack, self.image)?;
        printer.field(
            "done",
            format_args!("{seconds:.3} s, {}", outcome(&result, args.noise.is_some(), regularised.as_ref())),
        );
        if result.misfit.is_some_and(|m| m > MUCH) && result.stop != Some(Stop::Cancelled) {
            let views = self.geometry.angles.len();
            let few = match views * FEW < self.geometry.detectors && matches!(Way::of(args), Way::Fbp) {
                true => format!(
                    "{} are few for fbp, of which --method cg or --reg tv make more; else ",
                    count_of(views, "view")
                ),
                false => String::new(),
            };
            self.warnings.say(format!(
                "the image explains little of the projections (misfit {}): {few}check the angles and their unit, the axis (--center), \
                 the order of axes, and whether they are transmission (--transmission)",
                percent(result.misfit.unwrap_or(0.0))
            ));
        }
        written.say(printer, &path);
        facts.insert("shown".into(), written.facts);
        facts.insert("warnings".into(), self.warnings.json());
        printer.json(&Value::Object(facts));
        if solving.interrupted() {
            let (n, all) = (count_of(result.iterations, "iteration"), self.geometry.angles.len());
            let of = match result.left_out {
                0 => String::new(),
                left_out => format!(" of {} of {all} views, while it was seen how many are best", all - left_out),
            };
            complain(&format!("interrupted after {n}{of}; the image so far was written to {path}"));
            return Ok(INTERRUPTED);
        }
        Ok(DONE)
    }

    fn describe(&self) {
        let Job { args, printer, geometry, image: [slices, rows, columns], .. } = self;
        let stack = match (self.stack, geometry.rows) {
            (true, 1) => format!(", {}", count_of(*slices, "slice")),
            (true, rows) => format!(", {}", count_of(rows, "row")),
            (false, _) => String::new(),
        };
        printer.field("views", format_args!("{} of {} pixels{stack}", geometry.angles.len(), geometry.detectors));
        self.notes.iter().for_each(|note| printer.field("", note));
        printer.field("angles", &self.angles);
        printer.field("geometry", args.scan.describe(geometry));
        printer.field("axis", &self.axis);
        let image = format!("{rows} x {columns}");
        printer.field("image", if self.stack { format!("{slices} x {image}") } else { image });
        let given = if args.method.is_some() || args.regularise.is_asked() { "" } else { " (default)" };
        let method = match Way::of(args) {
            Way::Fbp => "filtered back-projection".into(),
            Way::Regularise { iterations, tol } => {
                format!("regularised, at most {}, tol {}", count_of(iterations, "iteration"), short(tol))
            }
            Way::Solve { iterations, tol, .. } => {
                let name = if args.method() == Method::Sirt { "SIRT" } else { "conjugate gradients" };
                format!("{name}, at most {}, tol {}", count_of(iterations, "iteration"), short(tol))
            }
        };
        printer.field("method", format_args!("{method}{given}"));
        printer.field("device", self.device.name());
    }

    fn method(&self) -> String {
        match self.args.regularise.is_asked() {
            true => "regularised".into(),
            false => format!("{:?}", self.args.method()).to_lowercase(),
        }
    }

    fn facts(&self, result: &CtImage, seconds: f64, interrupted: bool) -> Map<String, Value> {
        let Job { args, geometry, image, .. } = self;
        let middle = 0.5 * (geometry.detectors as f64 - 1.0);
        let mut facts = Map::from_iter([
            ("device".into(), json!(self.device.name())),
            ("lanes".into(), json!(args.common.lanes())),
            ("angles".into(), json!(geometry.angles.len())),
            ("detectors".into(), json!(geometry.detectors)),
            ("geometry".into(), json!(args.scan.describe(geometry))),
            ("center".into(), json!(geometry.center.unwrap_or(middle))),
            ("pixel_size".into(), json!(geometry.pixel_size)),
            ("image".into(), json!(if self.stack { &image[..] } else { &image[1..] })),
            ("notes".into(), json!(self.notes)),
            ("method".into(), json!(self.method())),
            ("misfit".into(), json!(result.misfit)),
        ]);
        if let Way::Regularise { iterations, tol } | Way::Solve { iterations, tol, .. } = Way::of(args) {
            facts.extend([("tol".into(), json!(tol)), ("max_iterations".into(), json!(iterations))]);
        }
        if let Some(stop) = result.stop {
            facts.extend([
                ("iterations".into(), json!(result.iterations)),
                ("stop".into(), json!(ending(result).unwrap_or(stop_name(stop)))),
                ("left_out".into(), json!(result.left_out)),
                ("gap".into(), json!(result.gap)),
                ("fell".into(), json!(result.fell)),
                ("history".into(), result.history.iter().map(|(k, m)| json!([k, m])).collect()),
            ]);
        }
        facts.extend([
            ("seconds".into(), json!(seconds)),
            ("interrupted".into(), json!(interrupted)),
            ("file".into(), json!(args.output.display().to_string())),
        ]);
        facts
    }
}

/// What is done.
enum Way {
    Fbp,
    Regularise { iterations: usize, tol: f64 },
    Solve { method: linops::app::ct::CtMethod, iterations: usize, tol: f64 },
}

impl Way {
    fn of(args: &Args) -> Way {
        let defaults = CtOptions::default();
        match args.solver() {
            None if args.regularise.is_asked() => {
                let defaults = ConvexOptions::default();
                Way::Regularise {
                    iterations: args.iterations.map_or(defaults.iterations, NonZeroUsize::get),
                    tol: args.tol.map_or(defaults.tol, decimal),
                }
            }
            None => Way::Fbp,
            Some(method) => Way::Solve {
                method,
                iterations: args.iterations.map_or(defaults.iterations, NonZeroUsize::get),
                tol: args.tol.map_or(defaults.tol, decimal),
            },
        }
    }
}

/// The objective in words.
fn objective(found: &CtRegularised, printer: &Printer) {
    let CtRegularised { terms, solved, .. } = found;
    terms.iter().for_each(|term| printer.field("reg", describe(term)));
    printer.field("objective", format_args!("{}, of it data {}", short(solved.objective), short(solved.data_term)));
}

/// A misfit above this is no noise, and a gap above this is none that is known.
const MUCH: f64 = 0.5;

/// Fewer views than one for so many pixels of the detector leave streaks in fbp.
const FEW: usize = 8;

/// What ended it of the noise.
fn ending(result: &CtImage) -> Option<&'static str> {
    match result {
        _ if result.at_noise => Some("noise"),
        _ if result.told_best => Some("left out"),
        _ => None,
    }
}

/// How it ended, for people.
fn outcome(result: &CtImage, given: bool, regularised: Option<&CtRegularised>) -> String {
    let misfit = match result.misfit {
        Some(misfit) => format!("misfit {}", percent(misfit)),
        None => "misfit not known: the image is smaller than what the rays pass".into(),
    };
    // An estimate of all that there is says nothing.
    let fall = match (result.gap, result.fell) {
        (Some(gap), _) if gap < MUCH => format!("the objective would fall by another {}", percent(gap)),
        (_, Some(fell)) if fell > 1.0 => {
            "the objective still falls, to less than half over the second half of them".into()
        }
        (_, Some(fell)) => format!("the objective still falls, by {} over the second half of them", percent(fell)),
        _ => "the objective still falls".into(),
    };
    let why = match result.stop {
        None => return misfit,
        Some(stop) if stop != Stop::Zero && regularised.is_some() => {
            regularised.map(|found| ending_of(&found.solved)).unwrap_or_default()
        }
        _ if result.at_noise => "the misfit is that of the noise".into(),
        _ if result.told_best => "so many tell views best that were left out: more fit what is not the object".into(),
        Some(Stop::Converged) => match (result.gap, result.fell) {
            (Some(gap), Some(fell)) if gap <= fell => {
                format!("the objective falls as if within {} of its limit", percent(gap))
            }
            (_, Some(fell)) => format!("the objective stands: the second half of them lowered it by {}", percent(fell)),
            _ => "the objective is at rest".into(),
        },
        Some(Stop::Iterations) => format!("all iterations done; {fall}"),
        Some(Stop::Cancelled) => "interrupted".into(),
        Some(Stop::Zero) => "the projections are zero, and so is the image".into(),
        Some(stop) => stop.to_string(),
    };
    let from = if given { "given" } else { "estimated" };
    let noise = match (result.noise, result.deviation) {
        (Some(noise), Some(rms)) if noise > 0.0 => format!(", {} rms, noise {} ({from})", short(rms), short(noise)),
        _ => String::new(),
    };
    format!("{} ({why}); {misfit}{noise}", count_of(result.iterations, "iteration"))
}

/// Writes the image; to a picture what is above 0 of it.
fn write(target: Output, result: &CtImage, look: Look, stack: bool, image: [usize; 3]) -> Result<Written> {
    let picture = matches!(Format::of(target.path()).and_then(|f| f.writer), Some(Writer::Picture(_)));
    let dark = picture && !matches!(look.window, Some(Window::Range(..)));
    let values = if dark { result.image.mapv(|v| v.max(0.0)) } else { result.image.clone() };
    let shape = shape_of(stack, image)?;
    let (values, _) = values.into_raw_vec_and_offset();
    Shown::real(look).write(target, &Tensor::from_vec(shape, values)?, None, true)
}
