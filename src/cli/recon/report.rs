//! The solve of a reconstruction, and what is said about it.

use super::{Args, default_mark};
use crate::cli::interrupt::Solving;
use crate::cli::printer::{Printer, complain, count_of, decimal, not_at_rest, short};
use crate::cli::regularise::describe;
use crate::cli::{DONE, INTERRUPTED, output, progress};
use linops::app::{Reconstruction, Regularised};
use linops::convex::ConvexOptions;
use linops::io::Output;
use linops::solve::{SolveOptions, Stop};
use linops::{Device, Result, Tensor};
use ndarray::{ArrayD, Dimension};
use num_complex::Complex32;
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;
use std::time::Instant;

/// A reconstruction: what was asked, and where things go.
pub(super) struct Job<'a> {
    pub args: &'a Args,
    pub target: Output,
    pub device: &'a Device,
    /// The image to start from.
    pub start: Option<ArrayD<Complex32>>,
    pub printer: &'a Printer,
}

impl Job<'_> {
    /// Refuses a start of other extents than the image.
    pub(super) fn expect_start(&self, extents: &[usize]) -> Result<()> {
        match self.start.as_ref().filter(|x| x.shape() != extents) {
            Some(start) => Err(self.args.wrong_start(start.shape(), extents)),
            None => Ok(()),
        }
    }

    /// Solves with a bar, writes the image (dims `dims`) and prints how it went; `facts` are what the JSON says of the problem.
    pub(super) fn solve<D: Dimension>(
        self,
        options: SolveOptions,
        dims: &str,
        mut facts: Map<String, Value>,
        solver: impl FnOnce(SolveOptions) -> Result<Reconstruction<D>>,
    ) -> Result<u8> {
        let SolveOptions { lambda, iterations, tol, .. } = options;
        let Job { args, target, device, printer, .. } = self;
        printer.field("lambda", format_args!("{}{}", short(lambda), default_mark(args.lambda.is_some())));
        printer.field("iterations", format_args!("at most {iterations}{}", default_mark(args.iterations.is_some())));
        printer.field("tol", format_args!("{}{}", short(tol), default_mark(args.tol.is_some())));
        printer.field("device", device.name());
        let solving = Solving::begin();
        let bar = progress::iterations(iterations);
        let start = Instant::now();
        let options = options.progress(|p| progress::reading(&bar, p.reading())).cancel(solving.stop());
        let result = solver(options)?;
        let seconds = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        output::write(target, &Tensor::from_array(result.image.clone(), dims)?)?;

        let path = args.output.display();
        printer.field("solved", format_args!("{seconds:.3} s, {}", outcome(&result)));
        if result.misfit > MUCH && matches!(result.stop, Stop::Converged | Stop::Attained) {
            unexplained(result.misfit);
        }
        printer.field("wrote", &path);
        facts.extend([
            ("lambda".into(), json!(decimal(lambda))),
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
        let Job { args, target, device, printer, .. } = self;
        let options = ConvexOptions::default();
        let iterations = args.iterations.map_or(options.iterations, NonZeroUsize::get);
        let tol = args.tol.map_or(options.tol, f64::from);
        let options = args.regularise.options(options.iterations(iterations).tol(tol));
        printer.field("iterations", format_args!("at most {iterations}{}", default_mark(args.iterations.is_some())));
        let rule = "the objective within this part of it of its limit";
        printer.field("tol", format_args!("{}{}: {rule}", short(tol), default_mark(args.tol.is_some())));
        printer.field("device", device.name());
        let solving = Solving::begin();
        let bar = progress::iterations(iterations);
        let start = Instant::now();
        let options = options.progress(|p| progress::objective(&bar, p.reading())).cancel(solving.stop());
        let Regularised { image, terms, solved, .. } = solver(options)?;
        let seconds = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        output::write(target, &Tensor::from_array(image, dims)?)?;

        let path = args.output.display();
        terms.iter().for_each(|term| printer.field("reg", describe(term)));
        let n = count_of(solved.iterations, "iteration");
        let why = match solved.stop {
            Stop::Converged => "the objective is at rest".to_string(),
            Stop::Cancelled => "interrupted".into(),
            stop => stop.to_string(),
        };
        printer.field("solved", format_args!("{seconds:.3} s, {n} of {} ({why})", solved.method));
        let parts = format_args!(
            "{}, of it data {}; misfit {}",
            short(solved.objective),
            short(solved.data_term),
            percent(solved.misfit)
        );
        printer.field("objective", parts);
        if solved.halved > 0 {
            printer.field(
                "",
                format_args!("the step was halved {}, as the objective grew", count_of(solved.halved, "time")),
            );
        }
        if solved.misfit > MUCH && solved.stop == Stop::Converged {
            unexplained(solved.misfit);
        }
        printer.field("wrote", &path);
        let terms = terms.iter().map(|t| {
            json!({ "kind": t.kind.to_string(), "lambda": t.absolute, "relative": t.relative, "default": t.default })
        });
        facts.extend([
            ("regularisers".into(), terms.collect()),
            ("solver".into(), json!(solved.method.to_string())),
            ("tol".into(), json!(tol)),
            ("max_iterations".into(), json!(iterations)),
            ("iterations".into(), json!(solved.iterations)),
            ("objective".into(), json!(solved.objective)),
            ("data_term".into(), json!(solved.data_term)),
            ("misfit".into(), json!(solved.misfit)),
            ("steps_halved".into(), json!(solved.halved)),
            ("stop".into(), json!(stop_name(solved.stop))),
            ("history".into(), solved.history.iter().map(|p| json!([p.iteration, p.objective])).collect()),
            ("seconds".into(), json!(seconds)),
            ("interrupted".into(), json!(solving.interrupted())),
            ("file".into(), json!(path.to_string())),
        ]);
        let warning = not_at_rest(solved.stop);
        facts.insert("warnings".into(), warning.iter().map(|w| json!(w)).collect());
        printer.json(&Value::Object(facts));
        if let Some(warning) = warning {
            complain(&warning);
        }
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
        mut facts: Map<String, Value>,
        image: impl FnOnce() -> Result<ArrayD<Complex32>>,
    ) -> Result<u8> {
        let Job { args, target, device, printer, .. } = self;
        printer.field("device", device.name());
        let start = Instant::now();
        let image = image()?;
        let seconds = start.elapsed().as_secs_f64();
        output::write(target, &Tensor::from_array(image, dims)?)?;
        let path = args.output.display();
        printer.field("gridded", format_args!("{seconds:.3} s"));
        printer.field("wrote", &path);
        facts.extend([("seconds".into(), json!(seconds)), ("file".into(), json!(path.to_string()))]);
        printer.json(&Value::Object(facts));
        Ok(DONE)
    }
}

/// A misfit above this is no noise.
const MUCH: f64 = 0.5;

fn unexplained(misfit: f64) {
    complain(&format!(
        "the image explains little of the data (misfit {}): check the order of their axes, the trajectory (--traj), the maps, the \
         matrix and the weights (--lambda, --reg)",
        percent(misfit)
    ));
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
