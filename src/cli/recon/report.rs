//! The solve of a reconstruction, and what is said about it.

use super::{Args, default_mark};
use crate::cli::interrupt::Solving;
use crate::cli::printer::{Printer, complain, decimal};
use crate::cli::{DONE, INTERRUPTED, output, progress};
use linops::app::{Reconstruction, SenseOptions};
use linops::io::Output;
use linops::solve::Stop;
use linops::{Device, Result, Tensor};
use ndarray::Dimension;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Prints λ, iterations and tolerance.
pub(super) fn settings(args: &Args, options: &SenseOptions, printer: &Printer) {
    let SenseOptions { lambda, iterations, tol, .. } = options;
    printer.field("lambda", format_args!("{lambda}{}", default_mark(args.lambda.is_some())));
    printer.field("iterations", format_args!("at most {iterations}{}", default_mark(args.iterations.is_some())));
    printer.field("tol", format_args!("{tol:e}{}", default_mark(args.tol.is_some())));
}

/// Solves with a bar, writes the image (dims `dims`) and prints how it went; `facts` are what the JSON says of the problem.
pub(super) fn solve<D: Dimension>(
    args: &Args,
    options: SenseOptions,
    target: Output,
    dims: &str,
    device: &Device,
    printer: &Printer,
    mut facts: Map<String, Value>,
    solver: impl FnOnce(&SenseOptions) -> Result<Reconstruction<D>>,
) -> Result<u8> {
    printer.field("device", device.name());
    let solving = Solving::begin();
    let bar = progress::iterations(options.iterations);
    let show = |p| progress::reading(&bar, p);
    let options = SenseOptions { progress: Some(&show), cancel: Some(solving.stop()), ..options };
    let start = Instant::now();
    let result = solver(&options)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    output::write(target, &Tensor::from_array(result.image.clone(), dims)?)?;

    printer.field("solved", format_args!("{seconds:.3} s, {}", outcome(&result)));
    printer.field("wrote", args.output.display());
    let path = args.output.display();
    let solved = json!({
        "lambda": decimal(options.lambda), "tol": decimal(options.tol), "max_iterations": options.iterations,
        "iterations": result.iterations,
        "residual": result.residual(),
        "stop": stop_name(result.stop),
        "history": result.history.iter().map(|p| json!([p.iteration, p.residual])).collect::<Vec<_>>(),
        "seconds": seconds,
        "interrupted": solving.interrupted(),
        "file": path.to_string(),
    });
    if let Value::Object(solved) = solved {
        facts.extend(solved);
    }
    printer.json(&Value::Object(facts));
    if solving.interrupted() {
        let n = result.iterations;
        complain(&format!("interrupted after {n} iterations; the image so far was written to {path}"));
        return Ok(INTERRUPTED);
    }
    Ok(DONE)
}

/// How a solve ended, for people.
pub fn outcome<D: Dimension>(result: &Reconstruction<D>) -> String {
    let why = match result.stop {
        Stop::Converged => "converged",
        Stop::Iterations => "all iterations done",
        Stop::Stagnated => "at the floor of single precision",
        Stop::Cancelled => "interrupted",
        Stop::Zero => "the data are zero, and so is the image",
    };
    format!("{} iterations, relative residual {:.1e} ({why})", result.iterations, result.residual())
}

/// How a solve ended, for programs.
pub fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Converged => "converged",
        Stop::Iterations => "iterations",
        Stop::Stagnated => "stagnated",
        Stop::Cancelled => "cancelled",
        Stop::Zero => "zero",
    }
}
