//! `linops check`: dot test and normal test of a linop file, on every device that is present.

use super::common::{Common, expect_memory};
use super::printer::{Printer, complain};
use super::{DONE, FAILED};
use linops::check::{Report, dot_test, normal_test};
use linops::{DType, Error, Linop, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What help says of `--device` here.
pub const DEVICE: &str = "Test on this device alone: auto, gpu, gpu:NAME, host, or several GPUs: gpu:NAME,gpu:NAME [default: all that are present]";

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// Of the random data
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let linop = Linop::from_file(&args.file)?;
    let devices = args.common.devices()?;
    let (mut able, mut left_out) = (Vec::new(), Vec::new());
    for device in devices {
        match expect_memory(&linop.n(), DType::Complex32, &device) {
            // Where no device was named, those count that can run it: kernels of one's own are for GPUs.
            Err(e) if !args.common.names_device() && matches!(e.root(), Error::Device(_)) => left_out.push((device, e)),
            other => other.map(|()| able.push(device))?,
        }
    }
    match left_out.pop() {
        Some((_, e)) if able.is_empty() => return Err(e),
        last => left_out.extend(last),
    }
    let devices = able;
    printer.line(format_args!("{}: {} -> {}", linop.label(), linop.input()?, linop.output()?));
    for (device, e) in &left_out {
        printer.line(format_args!("{} is left out: {e}", device.name()));
    }
    let mut reports = Vec::new();
    for device in &devices {
        for test in [dot_test, normal_test] {
            let report = test(&linop, device, args.seed)?;
            printer.line(&report);
            reports.push(report);
        }
    }
    let failed = reports.iter().filter(|r| !r.passed()).count();
    printer.json(&json!({
        "input": linop.input()?.to_string(),
        "output": linop.output()?.to_string(),
        "passed": failed == 0,
        "tests": reports.iter().map(value).collect::<Vec<_>>(),
    }));
    if failed > 0 {
        complain(&format!("{}: {failed} of {} tests failed", args.file.display(), reports.len()));
        return Ok(FAILED);
    }
    Ok(DONE)
}

fn value(r: &Report) -> Value {
    let number = |v: num_complex::Complex32| json!([v.re, v.im]);
    json!({
        "test": r.test,
        "device": r.device,
        "error": r.error,
        "tolerance": r.tolerance,
        "passed": r.passed(),
        "worst": r.worst.as_ref().map(|w| json!({
            "what": w.what, "got": number(w.got), "expected": number(w.expected),
        })),
    })
}
