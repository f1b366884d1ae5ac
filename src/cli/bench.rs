//! `linops bench`: the time of a linop file on a device, beside a copy of as many bytes on the same device; without a file,
//! what threads and lanes bring to sums of sub-linops; with `--suite` a fixed list of works, each beside what the device can do.
//!
//! Runs alternate between the linop and the copy, so that a machine that slows down slows both; medians are reported, and
//! the ratio of the two bandwidths is what to read.

mod suite;
mod threads;
mod workloads;

use super::DONE;
use super::common::{Common, bytes, expect_bytes, expect_memory};
use super::dtypes::directions;
use super::numbers::from_one;
use super::printer::Printer;
use super::progress;
use linops::{DType, Device, HostArray, Linop, Result, Shape, Tensor, linop};
use ndarray::{ArcArray, IxDyn};
use num_complex::Complex32;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json); without it, sums of sub-linops are measured: threaded, unthreaded, and by lanes
    #[arg(conflicts_with = "suite")]
    file: Option<PathBuf>,

    /// Take real values as input; the adjoint takes what the linop makes of them. Otherwise all are complex
    #[arg(long, requires = "file")]
    real: bool,

    #[command(flatten)]
    suite: suite::SuiteArgs,

    /// Runs of each
    #[arg(long, value_name = "N", conflicts_with = "suite", default_value = "30", value_parser = from_one, allow_negative_numbers = true)]
    runs: NonZeroUsize,

    #[command(flatten)]
    pub common: Common,
}

/// A direction is left after this long, once it has run three times.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the host works before anything is timed.
const SETTLING: Duration = Duration::from_millis(300);

/// Elements of the largest copy: more do not change its bandwidth.
const LARGEST_COPY: usize = 8 << 20;

struct Row {
    direction: &'static str,
    runs: usize,
    seconds: f64,
    bytes: u64,
    copy_seconds: f64,
    copy_bytes: u64,
}

impl Row {
    /// Bytes that the plan moves, per second.
    fn bandwidth(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    fn copy_bandwidth(&self) -> f64 {
        self.copy_bytes as f64 / self.copy_seconds
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    if args.suite.wanted() {
        return suite::run(&args.suite, &args.common, printer);
    }
    let device = args.common.device()?;
    settle(&device)?;
    let Some(file) = &args.file else {
        let rows = threads::run(&device, args.runs.get(), args.common.lanes(), printer)?;
        printer.json(&json!({ "device": device.name(), "lanes": args.common.lanes(), "rows": rows }));
        return Ok(DONE);
    };
    let a = Linop::from_file(file)?;
    let wait = progress::spinner("measuring");
    let mut rows = Vec::new();
    for (direction, linop, dtype) in directions(&a, args.real)? {
        rows.push(measure(direction, (&linop, dtype), &device, args.runs.get())?);
    }
    wait.finish_and_clear();
    printer.line(format_args!("{}: {} -> {} on {}", a.label(), a.input()?, a.output()?, device.name()));
    printer.line("           median time   bytes moved   bandwidth   copy        of the copy's");
    for r in &rows {
        let gb = |b: f64| format!("{:.2} GB/s", b / 1e9);
        printer.line(format_args!(
            "{:<10} {:>8.3} ms   {:>11}   {:<11} {:<11} {:>3.0} %",
            r.direction,
            1e3 * r.seconds,
            bytes(r.bytes),
            gb(r.bandwidth()),
            gb(r.copy_bandwidth()),
            100.0 * r.bandwidth() / r.copy_bandwidth()
        ));
    }
    printer.json(&json!({
        "device": device.name(),
        "lanes": args.common.lanes(),
        "input": a.input()?.to_string(),
        "output": a.output()?.to_string(),
        "rows": rows.iter().map(value).collect::<Vec<_>>(),
    }));
    Ok(DONE)
}

fn value(r: &Row) -> Value {
    json!({
        "direction": r.direction,
        "runs": r.runs,
        "seconds": r.seconds,
        "bytes": r.bytes,
        "bytes_per_second": r.bandwidth(),
        "copy_seconds": r.copy_seconds,
        "copy_bytes": r.copy_bytes,
        "copy_bytes_per_second": r.copy_bandwidth(),
        "ratio": r.bandwidth() / r.copy_bandwidth(),
    })
}

/// Not zeros: the system maps those to one page, which no cache ever misses.
pub fn filled(shape: &Shape, dtype: DType) -> Result<Tensor> {
    let extents = IxDyn(shape.extents());
    let values = match dtype {
        DType::F32 => HostArray::F32(ArcArray::from_elem(extents, 0.5)),
        _ => HostArray::Complex32(ArcArray::from_elem(extents, Complex32::new(0.5, -0.25))),
    };
    Tensor::from_host(shape.clone(), values)
}

/// Works until the system has given each thread a core of its own: for the first tenths of a second they may share one.
fn settle(device: &Device) -> Result<()> {
    if !device.is_host() {
        return Ok(());
    }
    let work = linop::scalar("N=262144", -1.0)?;
    let x = filled(work.input()?, DType::Complex32)?;
    let begin = Instant::now();
    while begin.elapsed() < SETTLING {
        work.apply(&x)?;
    }
    Ok(())
}

fn measure(direction: &'static str, (linop, dtype): (&Linop, DType), device: &Device, most: usize) -> Result<Row> {
    expect_memory(linop, dtype, device)?;
    let plan = linop.plan(device, dtype)?;
    let cost = plan.cost();
    let x = filled(linop.input()?, dtype)?.to(device)?;
    // Moves as many bytes as the plan, in one kernel; -1, as a product with 1 is simplified away.
    let bytes = cost.read + cost.written;
    let elements = usize::try_from(bytes / 16).unwrap_or(usize::MAX).clamp(1, LARGEST_COPY);
    expect_bytes(3 * 8 * elements as u64, || "the copy beside it".into())?;
    let copy = linop::scalar(format!("N={elements}"), -1.0)?;
    let from = filled(copy.input()?, DType::Complex32)?.to(device)?;
    let timed = |linop: &Linop, x: &Tensor| -> Result<f64> {
        let start = Instant::now();
        let y = linop.apply(x)?;
        device.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        drop(y);
        Ok(seconds)
    };
    // The first run compiles.
    timed(linop, &x)?;
    timed(&copy, &from)?;
    let begin = Instant::now();
    let (mut times, mut copies) = (Vec::new(), Vec::new());
    while times.len() < most && (times.len() < 3 || begin.elapsed() < PATIENCE) {
        times.push(timed(linop, &x)?);
        copies.push(timed(&copy, &from)?);
    }
    Ok(Row {
        direction,
        runs: times.len(),
        seconds: median(&mut times),
        bytes,
        copy_seconds: median(&mut copies),
        copy_bytes: 2 * 8 * elements as u64,
    })
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
