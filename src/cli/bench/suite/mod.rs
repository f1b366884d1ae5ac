//! `linops bench --suite`: a fixed list of works on one device, each beside what the device can do at best, and one table of all
//! steps by the time that is lost.

mod families;
mod imaging;
mod measure;
mod roofline;
mod works;

use crate::cli::common::{Common, bytes};
use crate::cli::gaps::{self, Gap};
use crate::cli::printer::{Printer, count_of};
use crate::cli::{DONE, FAILED, progress};
use linops::io::Output;
use linops::profile::{Clock, Roof, RoofOptions};
use linops::{Device, Error, Result};
use measure::{Outcome, Pace, Row, measure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use works::{Scale, Work};

#[derive(clap::Args)]
pub struct SuiteArgs {
    /// Measure a fixed list of works: copies, transforms, SENSE, non-uniform transforms, matrices, sums, and every family of kernels
    #[arg(long)]
    suite: bool,

    /// Smaller works and fewer rounds: about a minute where the full suite takes a GPU some minutes
    #[arg(long, requires = "suite", conflicts_with = "file")]
    quick: bool,

    /// Measure only works whose name has this part, ignoring case
    #[arg(long, value_name = "PART", requires = "suite", conflicts_with = "file")]
    only: Option<String>,

    /// Write suite.json and roofline.svg into this folder
    #[arg(long, short, value_name = "DIR", requires = "suite", conflicts_with = "file")]
    output: Option<PathBuf>,

    /// Replace these files if they exist
    #[arg(long, requires = "output", conflicts_with = "file")]
    force: bool,
}

/// Rows of the printed table of gaps.
const SHOWN: usize = 40;

/// Bytes that the largest copies of the roof move.
const LARGEST: u64 = 1 << 30;

impl SuiteArgs {
    pub fn wanted(&self) -> bool {
        self.suite
    }

    /// The works that are wanted.
    fn works(&self, scale: Scale) -> Result<Vec<Work>> {
        let mut all = works::all(scale);
        let Some(part) = &self.only else { return Ok(all) };
        let mut words: Vec<String> = all.iter().filter_map(|w| w.name.split(' ').next()).map(str::to_string).collect();
        words.sort();
        words.dedup();
        let count = all.len();
        all.retain(|w| w.name.to_lowercase().contains(&part.to_lowercase()));
        match all.is_empty() {
            true => Err(Error::Value(format!(
                "no name of the {count} works has \"{part}\" in it; they begin with: {}",
                words.join(", ")
            ))),
            false => Ok(all),
        }
    }
}

/// The files that are written, reserved before the work.
struct Files {
    json: Output,
    svg: Output,
}

impl Files {
    fn reserve(folder: &Path, force: bool) -> Result<Files> {
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, format!("cannot be made a folder: {e}")))?;
        Ok(Files {
            json: Output::create(folder.join("suite.json"), &["json"], force)?,
            svg: Output::create(folder.join("roofline.svg"), &["svg"], force)?,
        })
    }
}

pub fn run(args: &SuiteArgs, common: &Common, printer: &Printer) -> Result<u8> {
    let scale = if args.quick { Scale::Quick } else { Scale::Full };
    let works = args.works(scale)?;
    let files = args.output.as_deref().map(|folder| Files::reserve(folder, args.force)).transpose()?;
    let device = common.device()?;
    let start = Instant::now();
    let wait = progress::spinner("measuring copies");
    let options = match scale {
        Scale::Full => RoofOptions::default(),
        Scale::Quick => RoofOptions::default().rounds(3).patience(Duration::from_millis(100)),
    };
    let roof = Roof::of(&device, LARGEST, &options)?;
    let (mut rows, mut skipped, mut failed): (Vec<Row>, Vec<Value>, Vec<Value>) = Default::default();
    for work in &works {
        wait.set_message(work.name.clone());
        match measure(work, &device, &roof, Pace::of(scale)) {
            Outcome::Measured(row) => rows.push(*row),
            Outcome::Skipped(why) => skipped.push(json!({ "name": work.name, "reason": why })),
            Outcome::Failed(why) => failed.push(json!({ "name": work.name, "reason": why })),
        }
        // What a work has compiled and allocated is not the next one's.
        device.clear_cache();
    }
    wait.set_message("measuring copies once more");
    let after = Roof::of(&device, LARGEST, &options)?;
    wait.finish_and_clear();
    let mut all: Vec<Gap> = rows.iter().flat_map(|r| r.gaps.clone()).collect();
    gaps::sort(&mut all);
    let drift = drift(&roof, &after);
    say(&device, &roof, &rows, &all, printer);
    for (what, list) in [("skipped", &skipped), ("failed", &failed)] {
        list.iter().for_each(|v| printer.line(format_args!("{what}: {}: {}", text(v, "name"), text(v, "reason"))));
    }
    printer.line(format_args!(
        "{} in {:.0} s; copies at the end took {:.2} x of what they took at first{}",
        count_of(rows.len(), "work"),
        start.elapsed().as_secs_f64(),
        drift,
        if (0.8..1.25).contains(&drift) { "" } else { ": the machine was not quiet, measure again" }
    ));
    let report = json!({
        "linops": env!("CARGO_PKG_VERSION"),
        "device": device.name(),
        "adapter": adapter(&device),
        "lanes": common.lanes(),
        "quick": args.quick,
        "unix_seconds": SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs()),
        "seconds": start.elapsed().as_secs_f64(),
        "roof": roof,
        "copies_at_the_end": drift,
        "works": rows.iter().map(Row::value).collect::<Vec<_>>(),
        "skipped": skipped,
        "failed": failed,
        "gaps": all.iter().map(Gap::value).collect::<Vec<_>>(),
    });
    if let Some(Files { json, svg }) = files {
        let title = format!("{}, linops {}", device.name(), env!("CARGO_PKG_VERSION"));
        for (output, contents) in [(svg, roofline::svg(&all, &roof, &title)), (json, format!("{report:#}\n"))] {
            let path = output.path().to_path_buf();
            let cannot = |e| Error::file(&path, format!("cannot write: {e}"));
            output.write(|out| out.write_all(contents.as_bytes()).map_err(cannot))?;
            printer.line(format_args!("wrote {}", path.display()));
        }
    }
    printer.json(&report);
    Ok(if failed.is_empty() { DONE } else { FAILED })
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// How much longer the largest copy took in the end.
fn drift(before: &Roof, after: &Roof) -> f64 {
    let bytes = |r: &Roof| r.copies.last().map_or(0, |c| c.bytes);
    let both = bytes(before).min(bytes(after));
    after.copy_seconds(both) / before.copy_seconds(both).max(1e-12)
}

/// Driver and kind of a GPU; none of the host.
fn adapter(device: &Device) -> Value {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.as_gpu() {
        let info = gpu.wgpu_device().adapter_info();
        return json!({
            "name": info.name,
            "kind": format!("{:?}", info.device_type),
            "backend": info.backend.to_string(),
            "driver": info.driver,
            "driver_info": info.driver_info,
        });
    }
    let _ = device;
    json!({ "cores": std::thread::available_parallelism().map_or(1, usize::from) })
}

fn say(device: &Device, roof: &Roof, rows: &[Row], all: &[Gap], printer: &Printer) {
    gaps::say_roof(roof, printer);
    let timestamps = rows.iter().any(|r| r.steps.0 == Clock::Timestamps);
    printer.line(format_args!(
        "on {}; medians in µs; steps {}\n",
        device.name(),
        gaps::clock(if timestamps { Clock::Timestamps } else { Clock::Host })
    ));
    printer.line(format_args!(
        "{:<50} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8} {:>6}",
        "work", "first", "latency", "in a row", "host", "steps", "bytes", "GB/s", "% copy"
    ));
    let micros = |s: f64| format!("{:.1}", 1e6 * s);
    let or_none = |s: Option<f64>| s.map_or_else(|| "-".to_string(), micros);
    for r in rows {
        printer.line(format_args!(
            "{:<50} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8.2} {:>6.0}{}",
            r.name,
            micros(r.first),
            micros(r.latency),
            or_none(r.throughput),
            or_none(r.host),
            micros(r.steps.1),
            bytes(r.bytes()),
            1e-9 * r.bytes() as f64 / r.seconds(),
            100.0 * r.copy / r.seconds(),
            r.iterations.map_or_else(String::new, |n| format!("  an iteration of {n}; steps of the normal")),
        ));
    }
    let lost: f64 = all.iter().map(Gap::lost).sum();
    printer.line(format_args!(
        "\nsteps by the time lost, {} of {}; {:.1} µs are lost in all",
        SHOWN.min(all.len()),
        all.len(),
        1e6 * lost
    ));
    gaps::lines(&all[..SHOWN.min(all.len())], true).iter().for_each(|line| printer.line(line));
    printer.line("");
}

#[cfg(test)]
mod tests {
    use super::works::Made;
    use super::*;
    use linops::explain::Target;
    use linops::internal::samples;
    use linops::{DType, Linop};
    use std::collections::BTreeSet;

    fn linops() -> Vec<(String, Linop)> {
        let linop = |w: &Work| {
            let (Made::Apply(a) | Made::Solve { normal: a, .. }) =
                w.make().unwrap_or_else(|e| panic!("{}: {e}", w.name));
            (w.name.clone(), a)
        };
        works::all(Scale::Quick).iter().map(linop).collect()
    }

    /// Whatever kernel a device may be asked for has a work that runs it, on the host and on GPUs.
    #[test]
    fn every_kernel_is_in_the_suite() {
        let all = linops();
        for target in [Target::Host, Target::rich(), Target::software()] {
            let mut run = BTreeSet::new();
            for (name, a) in &all {
                let plan = a.plan_for(&target, DType::Complex32).unwrap_or_else(|e| panic!("{name}: {e}"));
                run.extend(plan.steps.iter().map(|s| s.name()));
            }
            let mut wanted = BTreeSet::new();
            for sample in samples().unwrap() {
                let plan = sample.program.schedule(&target, true).unwrap();
                wanted.extend(plan.steps.iter().map(|s| s.name()));
            }
            let missing: Vec<_> = wanted.difference(&run).collect();
            assert!(missing.is_empty(), "no work of the suite runs {missing:?} on {target:?}");
        }
    }

    #[test]
    fn names_of_works_are_their_own() {
        for scale in [Scale::Quick, Scale::Full] {
            let all = works::all(scale);
            let names: BTreeSet<&str> = all.iter().map(|w| w.name.as_str()).collect();
            assert_eq!(names.len(), all.len());
        }
    }
}
