//! The solve of a reconstruction, and what is said about it.

use super::finish::Finish;
use super::geometry;
use super::stack::{in_bart, is_bart, writer};
use super::weight::{Origin, Usual};
use super::{Args, default_mark};
use crate::cli::interrupt::Solving;
use crate::cli::kspace::Place;
use crate::cli::printer::{Printer, complain, count_of, decimal, not_at_rest, short};
use crate::cli::regularise::{add_facts, describe, ending};
use crate::cli::shown::{Shown, Written};
use crate::cli::warnings::Warnings;
use crate::cli::{DONE, INTERRUPTED, output, progress};
use linops::app::regularise::{Kind, Stated};
use linops::app::{Reconstruction, Regularised};
use linops::convex::{Begun, ConvexOptions};
use linops::io::{Array, Output, ScanInfo, Writer};
use linops::solve::{SolveOptions, Stop};
use linops::{Device, Error, Linop, Result, Shape, Tensor};
use ndarray::{ArrayD, Dimension, IxDyn};
use num_complex::Complex32;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::time::Instant;

/// Where an image goes.
pub(super) enum Target<'a> {
    /// A file.
    File(Box<Output>),
    /// To the stack that it is part of.
    Kept(&'a RefCell<Option<Part>>),
}

/// An image of a stack.
pub(super) struct Part {
    pub image: ArrayD<Complex32>,
    /// The pixels over the field of view that it was solved on, and that in mm, where it is known.
    pub whole: Vec<usize>,
    pub fov_mm: Option<[f64; 3]>,
}

impl Target<'_> {
    fn put(self, image: &Tensor, shown: &Shown, scan: Option<&ScanInfo>, finish: &Finish) -> Result<Written> {
        match self {
            Target::File(output) => {
                let extents = image.shape().extents();
                let series = image.shape().dims().first().is_some_and(|dim| dim.base() == "T");
                if let (true, true, Some(Writer::Array(write))) = (series, is_bart(&output), writer(&output)) {
                    write(*output, &Array::C32(in_bart(image.to_array()?.into_owned(), &["repetition"])?))?;
                    return Ok(Written::default());
                }
                if let (Some(info), [frames, ny, nx], 2) = (scan, extents, finish.pixels().len()) {
                    // Of each a slice with its place: a volume has the frames' axis behind those of space.
                    let geometry = geometry::placed(info, &finish.pixels(), &[*ny, *nx]);
                    if matches!(writer(&output), Some(Writer::Volume(_))) {
                        let solid = image.to_array()?.into_shape_with_order(IxDyn(&[*frames, 1, *ny, *nx]));
                        let solid = solid.map_err(|e| Error::Shape(e.to_string()))?;
                        let solid = Tensor::from_array(solid, "T Nz Ny Nx")?;
                        return shown.write(*output, &solid, geometry.as_ref(), true);
                    }
                    return shown.write(*output, image, geometry.as_ref(), true);
                }
                let whole = finish.whole(extents);
                let geometry = scan.and_then(|info| geometry::placed(info, &whole, extents));
                shown.write(*output, image, geometry.as_ref(), true)
            }
            Target::Kept(place) => {
                let whole = finish.whole(image.shape().extents());
                let fov_mm = scan.map(|info| info.fov_mm);
                *place.borrow_mut() = Some(Part { image: image.to_array()?, whole, fov_mm });
                Ok(Written::default())
            }
        }
    }

    /// Checks, before the work, that a result of this shape can be written there.
    pub(super) fn check_shape(&self, shape: &Shape) -> Result<()> {
        match self {
            Target::File(output) => output::check_shape(output, shape),
            Target::Kept(_) => Ok(()),
        }
    }
}

/// A reconstruction: what was asked, and where things go.
pub(super) struct Job<'a> {
    pub args: &'a Args,
    pub target: Target<'a>,
    pub device: &'a Device,
    /// The image to start from.
    pub start: Option<ArrayD<Complex32>>,
    pub printer: &'a Printer,
    pub warnings: &'a Warnings,
    /// What is done to the image after the solve.
    pub finish: Finish,
    /// What may be wrong where an image with given maps does not explain the data.
    pub doubt: Option<&'a dyn Fn() -> Option<String>>,
    /// What the file says of the scan.
    pub scan: Option<ScanInfo>,
    /// Whether samples need the encoded field of view, where that is known.
    pub encoded: Option<bool>,
    /// Which image of a stack it is.
    pub place: Option<Place>,
    /// The usual λ of all images of the stack, relative to the scale of the model.
    pub usual: Option<Usual>,
}

impl<'a> Job<'a> {
    /// One image alone, of which nothing is known yet.
    ///
    /// # Errors
    /// The image to start from cannot be read.
    pub(super) fn new(
        args: &'a Args,
        target: Target<'a>,
        device: &'a Device,
        printer: &'a Printer,
        warnings: &'a Warnings,
    ) -> Result<Job<'a>> {
        let (start, finish) = (args.start()?, Finish::default());
        Ok(Job {
            args,
            target,
            device,
            start,
            printer,
            warnings,
            finish,
            doubt: None,
            scan: None,
            encoded: None,
            place: None,
            usual: None,
        })
    }

    /// Refuses a start of other extents than the image.
    pub(super) fn expect_start(&self, extents: &[usize]) -> Result<()> {
        match self.start.as_ref().filter(|x| x.shape() != extents) {
            Some(start) => Err(self.args.wrong_start(start.shape(), extents)),
            None => Ok(()),
        }
    }

    /// The options with the start, if there is one, as an input of this linop.
    pub(super) fn started<'o>(&self, options: SolveOptions<'o>, model: &Linop) -> Result<SolveOptions<'o>> {
        Ok(match &self.start {
            Some(x) => options.start(&Tensor::from_array(x.clone(), model.input()?.dims().to_vec())?),
            None => options,
        })
    }

    /// Solves with a bar, writes the image (dims `dims`) and prints how it went; `facts` are what the JSON says of the problem, `from`
    /// where λ is from.
    pub(super) fn solve<D: Dimension>(
        self,
        options: SolveOptions,
        from: Origin,
        dims: &str,
        mut facts: Map<String, Value>,
        solver: impl FnOnce(SolveOptions) -> Result<Reconstruction<D>>,
    ) -> Result<u8> {
        let SolveOptions { lambda, iterations, tol, .. } = options;
        let Job { args, target, device, printer, warnings, finish, doubt, scan, .. } = self;
        printer.field(
            "lambda",
            format_args!(
                "{}{}, at most {iterations}{} iterations, tol {}{}; on {}",
                short(lambda),
                from.mark(),
                default_mark(args.iterations.is_some()),
                short(tol),
                default_mark(args.tol.is_some()),
                device.name()
            ),
        );
        let solving = Solving::begin();
        let bar = progress::iterations(iterations);
        let start = Instant::now();
        let options = options.progress(|p| progress::reading(&bar, p.reading())).cancel(solving.stop());
        let result = solver(options)?;
        let seconds = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let image = finish.apply(result.image.clone().into_dyn())?;
        let written = target.put(&Tensor::from_array(image, dims)?, &args.shown, scan.as_ref(), &finish)?;

        let path = args.output.display();
        printer.field("solved", format_args!("{seconds:.3} s, {}", outcome(&result)));
        /// What is left of a misfit that more iterations would not take away.
        const NEARLY: f64 = 1e-3;
        let settled = result.stop == Stop::Iterations && result.residual < NEARLY;
        if settled || matches!(result.stop, Stop::Converged | Stop::Attained) {
            question(result.misfit, doubt, warnings);
        }
        finish.facts(&mut facts);
        written.say(printer, &path);
        facts.insert("shown".into(), written.facts);
        facts.extend([
            ("lambda".into(), json!(decimal(lambda))),
            ("lambda_from".into(), json!(from.word())),
            ("tol".into(), json!(decimal(tol))),
            ("max_iterations".into(), json!(iterations)),
            ("iterations".into(), json!(result.iterations)),
            ("residual".into(), json!(result.residual)),
            ("misfit".into(), json!(result.misfit)),
            ("stop".into(), json!(stop_name(result.stop))),
            ("history".into(), result.history.iter().map(|p| json!([p.iteration, p.residual])).collect()),
            ("seconds".into(), json!(seconds)),
            ("interrupted".into(), json!(solving.interrupted())),
            ("file".into(), json!(path.to_string())),
            ("warnings".into(), warnings.json()),
        ]);
        printer.json(&Value::Object(facts));
        if let Stop::Breakdown(_) = result.stop {
            complain(&format!("the solver has {}; {path} is the image from before", result.stop));
        }
        if solving.interrupted() {
            let n = count_of(result.iterations, "iteration");
            complain(&format!("interrupted after {n}; the image so far was written to {path}"));
            return Ok(INTERRUPTED);
        }
        Ok(DONE)
    }

    /// Minimises a regularised objective with a bar, writes the image and prints how it went.
    pub(super) fn regularise<D: Dimension>(
        self,
        dims: &str,
        mut facts: Map<String, Value>,
        solver: impl FnOnce(ConvexOptions) -> Result<Regularised<D>>,
    ) -> Result<u8> {
        let Job { args, target, device, printer, warnings, finish, doubt, scan, .. } = self;
        let options = ConvexOptions::default();
        let iterations = args.iterations.map_or(options.iterations, NonZeroUsize::get);
        let tol = args.tol.map_or(options.tol, decimal);
        let options = args.regularise.options(options.iterations(iterations).tol(tol));
        let rule = "the objective within this part of it of its limit";
        printer.field(
            "iterations",
            format_args!(
                "at most {iterations}{}, tol {}{}: {rule}; on {}",
                default_mark(args.iterations.is_some()),
                short(tol),
                default_mark(args.tol.is_some()),
                device.name()
            ),
        );
        let solving = Solving::begin();
        let bar = progress::iterations(iterations);
        let start = Instant::now();
        let options = options.progress(|p| progress::objective(&bar, p.reading())).cancel(solving.stop());
        let Regularised { image, terms, free, solved, .. } = solver(options)?;
        let seconds = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let written = target.put(
            &Tensor::from_array(finish.apply(image.into_dyn())?, dims)?,
            &args.shown,
            scan.as_ref(),
            &finish,
        )?;

        let path = args.output.display();
        if !terms.is_empty() {
            printer.field("reg", terms.iter().map(describe).collect::<Vec<_>>().join("; "));
        }
        if free > 0 {
            let samples = count_of(free, "pixel");
            printer.field(
                "",
                format_args!("{samples} that no coil sees: not held at 0, but what the regularisers make of them"),
            );
        }
        if let Some(text) = began(solved.begun) {
            printer.field("", &text);
        }
        let n = count_of(solved.iterations, "iteration");
        printer.field(
            "solved",
            format_args!(
                "{seconds:.3} s, {n} of {} ({}); objective {}, of it data {}; misfit {}",
                solved.method,
                ending(&solved),
                short(solved.objective),
                short(solved.data_term),
                percent(solved.misfit)
            ),
        );
        if matches!(solved.stop, Stop::Converged | Stop::Attained) {
            question(solved.misfit, doubt, warnings);
        }
        terms.iter().filter_map(far_from_the_data).for_each(|text| warnings.say(text));
        finish.facts(&mut facts);
        written.say(printer, &path);
        facts.insert("shown".into(), written.facts);
        add_facts(&mut facts, &terms, Some(&solved));
        facts.extend([
            ("tol".into(), json!(tol)),
            ("max_iterations".into(), json!(iterations)),
            ("iterations".into(), json!(solved.iterations)),
            ("misfit".into(), json!(solved.misfit)),
            ("free".into(), json!(free)),
            ("start_scaled".into(), json!(if let Begun::Scaled(by) = solved.begun { Some(by) } else { None })),
            ("start_refused".into(), json!(solved.begun == Begun::Refused)),
            ("stop".into(), json!(stop_name(solved.stop))),
            ("seconds".into(), json!(seconds)),
            ("interrupted".into(), json!(solving.interrupted())),
            ("file".into(), json!(path.to_string())),
        ]);
        not_at_rest(solved.stop).into_iter().for_each(|text| warnings.say(text));
        facts.insert("warnings".into(), warnings.json());
        printer.json(&Value::Object(facts));
        if solving.interrupted() {
            complain(&format!("interrupted after {n}; the best image so far was written to {path}"));
            return Ok(INTERRUPTED);
        }
        Ok(DONE)
    }

    /// Writes an image (dims `dims`) that takes no solving.
    pub(super) fn grid(
        self,
        dims: &str,
        facts: Map<String, Value>,
        image: impl FnOnce() -> Result<ArrayD<Complex32>>,
    ) -> Result<u8> {
        self.direct("gridded", dims, facts, |_| image())
    }

    /// The same for one that is made in another way, with its missing side of k-space filled.
    pub(super) fn direct(
        self,
        made: &str,
        dims: &str,
        mut facts: Map<String, Value>,
        image: impl FnOnce(&Finish) -> Result<ArrayD<Complex32>>,
    ) -> Result<u8> {
        let Job { args, target, device, printer, warnings, finish, scan, .. } = self;
        let start = Instant::now();
        let image = finish.grid(image(&finish)?)?;
        let seconds = start.elapsed().as_secs_f64();
        let written = target.put(&Tensor::from_array(image, dims)?, &args.shown, scan.as_ref(), &finish)?;
        let path = args.output.display();
        printer.field(made, format_args!("{seconds:.3} s on {}", device.name()));
        finish.facts(&mut facts);
        written.say(printer, &path);
        facts.insert("shown".into(), written.facts);
        facts.extend([
            ("seconds".into(), json!(seconds)),
            ("file".into(), json!(path.to_string())),
            ("warnings".into(), warnings.json()),
        ]);
        printer.json(&Value::Object(facts));
        Ok(DONE)
    }
}

/// A misfit above this is no noise.
const MUCH: f64 = 0.5;
/// A misfit above this may have a reason in the maps.
const DOUBTFUL: f64 = 0.1;

/// Warns of a misfit that noise does not explain, with its reason if one is found.
fn question(misfit: f64, doubt: Option<&dyn Fn() -> Option<String>>, warnings: &Warnings) {
    if warnings.has_cause() {
        return;
    }
    let reason = doubt.filter(|_| misfit > DOUBTFUL).and_then(|doubt| doubt());
    if let Some(reason) = reason {
        warnings.say(format!("misfit {}: {reason}", percent(misfit)));
    } else if misfit > MUCH {
        warnings.say(format!(
            "the image explains little of the data (misfit {}): check the order of their axes, the trajectory (--traj), the maps \
             (conjugate? shifted?), the matrix and the weights (--lambda, --reg)",
            percent(misfit)
        ));
    }
}

/// What there is to say about a weight that leaves nothing, or does nothing.
fn far_from_the_data(term: &Stated) -> Option<String> {
    let (kind, relative) = (term.kind, term.relative);
    if kind == Kind::L2 || term.absolute == 0.0 {
        return None;
    }
    let wrong = match relative {
        r if r > 0.5 => "leaves little of the image",
        r if r < 1e-7 => "does nothing",
        _ => return None,
    };
    let absolute = short(term.absolute);
    Some(format!(
        "{kind} with lambda {absolute} {wrong}: it is {} of max|Ah y|, where 0.0005 to 0.05 are usual; {kind}:0.002 is relative",
        short(relative)
    ))
}

/// Warns of a λ of ‖x‖² that takes most of the image; `scale` bounds the eigenvalues of the normal.
pub(super) fn warn_of_lambda(lambda: f32, scale: f32, warnings: &Warnings) {
    if lambda > 0.5 * scale {
        warnings.say_cause(format!(
            "lambda {} takes much of the image: the normal has no eigenvalue above {}, and 0.001 to 0.1 of that are usual",
            short(lambda),
            short(scale)
        ));
    }
}

/// How a solve ended, for people.
pub fn outcome<D: Dimension>(result: &Reconstruction<D>) -> String {
    let why = match result.stop {
        Stop::Cancelled => "interrupted".into(),
        Stop::Zero => "the data are zero, and so is the image".into(),
        stop => stop.to_string(),
    };
    let Reconstruction { residual, misfit, iterations, .. } = result;
    format!("{} ({why}); misfit {}, residual {residual:.1e}", count_of(*iterations, "iteration"), percent(*misfit))
}

/// A part of 1 for people: "3.1 %".
pub fn percent(part: f64) -> String {
    if part < 1e-3 { format!("{part:.1e}") } else { format!("{:.2} %", 100.0 * part) }
}

/// How a solve ended, for programs.
pub fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Converged => "converged",
        Stop::Iterations => "iterations",
        Stop::Attained => "attained",
        Stop::Breakdown(_) => "breakdown",
        Stop::Cancelled => "cancelled",
        Stop::Zero => "zero",
        _ => "other",
    }
}

/// What became of the start that was given, where it was not taken as it is.
fn began(begun: Begun) -> Option<String> {
    match begun {
        Begun::Scaled(by) => {
            Some(format!("the start's objective is above that of 0: begun from {} times it", short(by)))
        }
        Begun::Refused => Some(
            "the start's objective is above that of 0, and so is that of every positive multiple: begun from 0".into(),
        ),
        _ => None,
    }
}
