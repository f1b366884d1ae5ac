//! `linops apply`: a linop file, its adjoint or its normal, on an array.

use super::common::{Common, bytes, expect_memory};
use super::numbers::byte_count;
use super::printer::Printer;
use super::{DONE, input, lanes, output};
use linops::io::LinopFile;
use linops::{ApplyReport, Device, Error, Fit, Linop, MemoryUse, Result, Tensor};
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

    /// Take at most so many bytes on the device, such as 64M or 1.5G: in tiles where the whole takes more
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    memory_budget: Option<u64>,

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
    let tiles = tiles(&linop, &device, &x, args.memory_budget)?;
    let start = Instant::now();
    let (y, report) = match &tiles {
        Some(budget) => (linop.apply_within(&x, &device, budget.bytes)?, ApplyReport::default()),
        None => {
            expect_memory(&linop, &device)?;
            linop.apply_reported(&x.to(&device)?)?
        }
    };
    device.wait()?;
    let seconds = start.elapsed().as_secs_f64();
    let y = y.to(&Device::host())?;
    if let Some(Budget { fit, .. }) = &tiles {
        printer.field("tiles", format_args!("{}, {}", fit.how(), bytes(fit.peak)));
    }
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
        "tiles": tiles.as_ref().map(|t| t.fit.tiling.to_string()),
        "file": args.output.display().to_string(),
    }));
    Ok(DONE)
}

/// A budget of bytes, and how it is kept.
struct Budget {
    bytes: u64,
    fit: Fit,
}

/// The tiles that keep within the budget; without one, those that fit a device that does not take the whole. None where the whole
/// is applied.
fn tiles(linop: &Linop, device: &Device, x: &Tensor, budget: Option<u64>) -> Result<Option<Budget>> {
    let whole = || linop.plan(device, x.dtype()).and_then(|plan| MemoryUse::of(&plan));
    let bytes = match (budget, whole()) {
        (Some(bytes), _) => bytes,
        (None, Err(e)) if matches!(e.root(), Error::TooBig { .. }) => u64::MAX - 1,
        (None, _) => return Ok(None),
    };
    let fit = linop.fit(device, x.dtype(), bytes)?;
    Ok((!fit.tiling.levels().is_empty()).then_some(Budget { bytes, fit }))
}
