//! `linops apply`: a linop file, its adjoint or its normal, on an array.

use super::common::{Common, expect_memory};
use super::printer::Printer;
use super::{DONE, input, lanes, output};
use linops::io::LinopFile;
use linops::{Device, Result};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// The array to apply it to (.npy or .cfl); real data stay real where the linop is real
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// Where the result goes (.npy, .cfl, or .png for the magnitude of two dims)
    #[arg(long, short, value_name = "FILE", value_parser = output::name())]
    output: PathBuf,

    /// Apply the adjoint
    #[arg(long, conflicts_with = "normal")]
    adjoint: bool,

    /// Apply the normal: the adjoint after the linop
    #[arg(long)]
    normal: bool,

    /// Apply also to NaN and infinity
    #[arg(long)]
    allow_nan: bool,

    /// Replace an existing output
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let target = output::reserve(&args.output, args.force, &[Some(&args.file), Some(&args.input)])?;
    let LinopFile { linop, files, any_in_front, .. } = LinopFile::read(&args.file)?;
    target.expect_apart(&files)?;
    let (linop, what) = match (args.adjoint, args.normal) {
        (true, _) => (linop.h(), "adjoint"),
        (_, true) => (linop.n(), "normal"),
        _ => (linop, "forward"),
    };
    let linop = if any_in_front { input::over_front(&linop, &args.input)? } else { linop };
    output::check_shape(&target, linop.output()?)?;
    let x = input::read_tensor(&args.input, linop.input()?, args.allow_nan)?;
    let device = args.common.device()?;
    expect_memory(&linop, &device)?;
    let x = x.to(&device)?;
    let start = Instant::now();
    let (y, report) = linop.apply_reported(&x)?;
    device.wait()?;
    let seconds = start.elapsed().as_secs_f64();
    let y = y.to(&Device::host())?;
    output::write(target, &y)?;
    printer.field("device", device.name());
    printer.field(what, format_args!("{} -> {} ({})", linop.input()?, linop.output()?, y.dtype()));
    printer.field("time", format_args!("{:.3} ms, compiling included", 1e3 * seconds));
    printer.field("wrote", args.output.display());
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "direction": what,
        "input": linop.input()?.to_string(),
        "output": linop.output()?.to_string(),
        "dtype": y.dtype().to_string(),
        "seconds": seconds,
        "rung": lanes::rung(&device),
        "submits": report.submits,
        "passes": report.passes,
        "dispatches": report.dispatches,
        "finished_by": report.recorders,
        "containers": report.containers,
        "file": args.output.display().to_string(),
    }));
    Ok(DONE)
}
