//! Where the time goes: `linops explain --profile`.

use crate::cli::bench::filled;
use crate::cli::common::expect_memory;
use crate::cli::dtypes::Directions;
use crate::cli::gaps::{self, Gap};
use crate::cli::numbers::from_one;
use crate::cli::printer::Printer;
use linops::explain::Plan;
use linops::io::Output;
use linops::profile::{ProfileOptions, Roof, RoofOptions, Trace};
use linops::{DType, Device, Error, Linop, Result};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct ProfileArgs {
    /// Run the plans, and tell where the time goes: each step with time, bytes and flops, beside what the device can do at best
    #[arg(long, conflicts_with_all = ["kind", "memory_budget"])]
    profile: bool,

    /// Runs of each plan
    #[arg(long, value_name = "N", default_value = "20", value_parser = from_one, allow_negative_numbers = true, requires = "profile")]
    runs: NonZeroUsize,

    /// Write the last run of each plan as a trace (.json), which chrome://tracing and Perfetto show
    #[arg(long, value_name = "FILE", requires = "profile", value_parser = crate::cli::output::name_of("json"))]
    trace: Option<PathBuf>,

    /// Replace the trace if it exists
    #[arg(long, requires = "trace")]
    force: bool,
}

/// Profiles of the plans of a linop.
pub struct Profiler {
    device: Device,
    roof: Roof,
    runs: usize,
    trace: Trace,
    output: Option<Output>,
}

impl ProfileArgs {
    /// Measures what the device can do at best, if a profile is wanted; the trace's place is looked at before, which is none of
    /// the inputs.
    ///
    /// # Errors
    /// The trace cannot be written, a plan does not fit, or the device fails.
    pub fn begin(&self, device: &Device, all: &Directions, inputs: &[PathBuf]) -> Result<Option<Profiler>> {
        if !self.profile {
            return Ok(None);
        }
        let output = self.trace.as_ref().map(|path| Output::create(path, &["json"], self.force)).transpose()?;
        if let Some(output) = &output {
            output.expect_apart(inputs)?;
        }
        let mut largest = 0;
        for (_, linop, dtype) in all {
            expect_memory(linop, *dtype, device)?;
            largest = largest.max(largest_step(&linop.plan(device, *dtype)?));
        }
        let roof = Roof::of(device, largest, &RoofOptions::default())?;
        Ok(Some(Profiler { device: device.clone(), roof, runs: self.runs.get(), trace: Trace::default(), output }))
    }
}

/// Bytes of the step that moves most.
fn largest_step(plan: &Plan) -> u64 {
    let moved = plan.steps.iter().map(|s| plan.step_cost(s)).map(|c| c.read + c.written);
    moved.max().unwrap_or(0)
}

impl Profiler {
    /// Runs a plan and prints its steps; as JSON.
    ///
    /// # Errors
    /// The device fails.
    pub fn measure(&mut self, name: &str, (linop, dtype): (&Linop, DType), printer: &Printer) -> Result<Value> {
        let x = filled(linop.input()?, dtype)?.to(&self.device)?;
        let profile = linop.profile(&x, &ProfileOptions::default().runs(self.runs))?;
        self.trace.add(name, &profile);
        let mut all = Gap::all(name, &profile, &self.roof);
        gaps::sort(&mut all);
        printer.line(format_args!(
            "  profile: apply and wait {:.1} µs; steps {:.1} µs {}, {} of these lost; median of {} runs",
            1e6 * profile.latency,
            1e6 * profile.seconds(),
            gaps::clock(profile.clock),
            format_args!("{:.1} µs", 1e6 * all.iter().map(Gap::lost).sum::<f64>()),
            profile.runs
        ));
        gaps::lines(&all, false).iter().for_each(|line| printer.line(format_args!("  {line}")));
        Ok(json!({
            "runs": profile.runs,
            "clock": profile.clock,
            "latency_seconds": profile.latency,
            "steps_seconds": profile.seconds(),
            "steps": all.iter().map(Gap::value).collect::<Vec<_>>(),
        }))
    }

    /// Says what the device can do at best, and writes the trace; as JSON.
    ///
    /// # Errors
    /// The trace cannot be written.
    pub fn finish(self, printer: &Printer) -> Result<Value> {
        printer.line("");
        gaps::say_roof(&self.roof, printer);
        if let Some(output) = self.output {
            let path = output.path().to_path_buf();
            let text = serde_json::to_vec(&self.trace).map_err(|e| Error::file(&path, e.to_string()))?;
            let failed = |e| Error::file(&path, format!("cannot write: {e}"));
            output.write(|out| out.write_all(&text).map_err(failed))?;
            printer.line(format_args!("trace in {}", path.display()));
        }
        Ok(json!(self.roof))
    }
}
