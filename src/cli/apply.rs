//! `linops apply`: a linop file, its adjoint or its normal, on an array.

use super::common::{Common, bytes, expect_memory};
use super::numbers::byte_count;
use super::printer::Printer;
use super::shown::Shown;
use super::{DONE, input, lanes, output};
use linops::io::LinopFile;
use linops::{ApplyReport, Device, Error, Fit, HostArray, Linop, MemoryUse, Result, Tensor};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// The array to apply it to (.npy, .npz, .cfl, .png, .tif, or - for an .npy or .npz from the standard input); real data stay real where the linop
    /// is real
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// Where the result goes: .npy, .cfl, .tif, .nii or .nii.gz, .png for the magnitude of two dims or a montage of three, or - for
    /// an .npy to the standard output
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

    #[command(flatten)]
    shown: Shown,
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.shown.check(&self.output)
    }
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
    // Linops are linear, so that a power of 2 may stand on either side; what comes up within them is then far from both ends of f32.
    let (x, exponent) = scaled(x)?;
    let device = args.common.device()?;
    let tiles = tiles(&linop, &device, &x, args.memory_budget)?;
    let start = Instant::now();
    let (y, report) = match &tiles {
        Some(budget) => (linop.apply_within(&x, &device, budget.bytes)?, ApplyReport::default()),
        None => {
            expect_memory(&linop, x.dtype(), &device)?;
            linop.apply_reported(&x.to(&device)?)?
        }
    };
    device.wait()?;
    let seconds = start.elapsed().as_secs_f64();
    // Where all is well, the device says so before anything is read back.
    let known = exponent == 0 && y.host_array().is_none() && y.all_finite()?;
    let y = y.to(&Device::host())?;
    if let Some(Budget { fit, .. }) = &tiles {
        printer.field("tiles", format_args!("{}, {}", fit.how(), bytes(fit.peak)));
    }
    let y = unscaled(y, exponent, args.allow_nan)?;
    let written = args.shown.write(target, &y, None, !args.allow_nan && !known)?;
    printer.field("device", device.name());
    printer.field(what, format_args!("{} -> {} ({})", linop.input()?, linop.output()?, y.dtype()));
    printer.field("time", format_args!("{:.3} ms, compiling included", 1e3 * seconds));
    written.say(printer, args.output.display());
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
        "shown": written.facts,
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

/// Exponents of 2 within which an input is applied as it is.
const PLAIN: std::ops::Range<i32> = -60..60;

/// The input times a power of 2 that takes its largest value to about 1, and the exponent that the result is owed; 0 for values
/// far from both ends of f32.
fn scaled(x: Tensor) -> Result<(Tensor, i32)> {
    let largest = match host(&x)? {
        HostArray::F32(a) => largest(a.iter().copied()),
        HostArray::Complex32(a) => largest(a.iter().flat_map(|v| [v.re, v.im])),
    };
    if largest == 0.0 {
        return Ok((x, 0));
    }
    let exponent = f64::from(largest).log2().floor() as i32;
    if PLAIN.contains(&exponent) {
        return Ok((x, 0));
    }
    let shape = x.shape().clone();
    Ok((Tensor::from_host(shape, times_power(host(&x)?, -exponent))?, exponent))
}

/// The result times 2 to a power.
fn unscaled(y: Tensor, exponent: i32, allow_nan: bool) -> Result<Tensor> {
    if exponent == 0 {
        return Ok(y);
    }
    let before = host(&y)?;
    let most = match before {
        HostArray::F32(a) => largest(a.iter().copied()),
        HostArray::Complex32(a) => largest(a.iter().flat_map(|v| [v.re, v.im])),
    };
    let reaches = f64::from(most) * 2f64.powi(exponent);
    if !allow_nan && reaches > f64::from(f32::MAX) {
        let tens = (reaches / f64::from(f32::MAX)).log10().ceil().max(1.0);
        return Err(Error::Value(format!(
            "the result reaches {reaches:.1e}, and the largest of 32-bit floats is 3.4e38; scale the input by 1e-{tens}"
        )));
    }
    Tensor::from_host(y.shape().clone(), times_power(before, exponent))
}

fn host(tensor: &Tensor) -> Result<&HostArray> {
    tensor.host_array().ok_or_else(|| Error::Value("the values are not on the host".into()))
}

/// The largest of finite magnitudes.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(f32::abs).filter(|v| v.is_finite()).fold(0.0, f32::max)
}

/// Values times 2 to a power, in f64 on the way: 2¹³⁰ is no f32.
fn times_power(array: &HostArray, exponent: i32) -> HostArray {
    let by = 2f64.powi(exponent);
    let times = |v: f32| (f64::from(v) * by) as f32;
    match array {
        HostArray::F32(a) => HostArray::F32(a.mapv(times).into_shared()),
        HostArray::Complex32(a) => {
            HostArray::Complex32(a.mapv(|v| num_complex::Complex32::new(times(v.re), times(v.im))).into_shared())
        }
    }
}
