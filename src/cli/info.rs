//! `linops info`: version, features, host, adapters.

mod report;

use super::DONE;
use super::printer::Printer;
use linops::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,

    /// Test every adapter, and write all that is known of them into this text file (.txt), to send along with a question
    #[arg(long, value_name = "FILE", value_parser = super::output::name_of("txt"))]
    report: Option<PathBuf>,

    /// Replace the report if it exists
    #[arg(long, requires = "report")]
    force: bool,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    super::common::warn_of_adapter("auto and gpu would not find it");
    let output = args.report.as_deref().map(|path| report::reserve(path, args.force)).transpose()?;
    let version = env!("CARGO_PKG_VERSION");
    let features: Vec<&str> =
        // The command line has files and applications with it.
        [("gpu", cfg!(feature = "gpu")), ("multi-queue", cfg!(feature = "multi-queue")), ("io", true), ("app", true), ("cli", true)]
            .iter()
            .filter_map(|(name, on)| on.then_some(*name))
            .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let mut lines = vec![
        field("linops", version),
        field("features", &features.join(", ")),
        field("host", &format!("{system}, {cores} cores")),
    ];
    let settings = settings();
    lines.extend(settings.iter().map(|(name, value)| field("set", &format!("{name}={value}"))));
    let cache = cache();
    lines.extend(cache.iter().map(|folder| field("cache", folder)));
    let adapters = adapters(&mut lines);
    lines.iter().for_each(|line| printer.line(line));
    printer.json(&json!({
        "version": version,
        "features": features,
        "host": { "system": system, "cores": cores },
        "settings": settings.into_iter().collect::<serde_json::Map<_, _>>(),
        "cache": cache,
        "adapters": adapters,
    }));
    if let Some(output) = output {
        let path = output.path().display().to_string();
        report::write(output, &lines)?;
        printer.line(field("report", &path));
    }
    Ok(DONE)
}

/// A line `label   text`, the texts below each other.
fn field(label: &str, text: &str) -> String {
    format!("{label:<11}{text}")
}

/// The environment variables that this program heeds, where they are set.
fn settings() -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with("LINOPS_"))
        .map(|(name, value)| (name, value.into()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Where files are kept for later runs.
fn cache() -> Option<String> {
    #[cfg(feature = "gpu")]
    return linops::gpu::disk_cache().map(|folder| folder.display().to_string());
    #[cfg(not(feature = "gpu"))]
    None
}

/// Adds lines about the adapters, and gives them as JSON.
#[cfg(feature = "gpu")]
fn adapters(lines: &mut Vec<String>) -> Vec<Value> {
    let found = linops::gpu::adapters();
    if found.is_empty() {
        lines.push(field("adapters", "none; for a software one on Linux install mesa-vulkan-drivers and libvulkan1"));
    }
    for a in &found {
        let software = if a.software { ", software" } else { "" };
        lines.push(field("adapter", &format!("{}, {}{software}", a.label, a.kind)));
        lines.push(field("  driver", &format!("{} {}", a.driver, a.driver_info)));
        lines.extend(a.limits.iter().map(|(name, limit)| format!("  {name:<28}{limit}")));
        lines.push(field("  features", &a.features.join(", ")));
        lines.extend(queues(&a.queues));
    }
    found.iter().map(|a| json!(a)).collect()
}

/// The rung that lanes stand on by default, and what there is for the one above.
#[cfg(feature = "gpu")]
fn queues(q: &linops::gpu::QueuesReport) -> Vec<String> {
    let most = q.hardware_queues.map_or("any number".to_string(), |n| n.to_string());
    let mut lines = vec![
        field("  lanes", &format!("{}: {}", q.rung, q.reason)),
        field("  queues", &format!("{most}: {}", q.hardware_reason)),
    ];
    let family = |(k, f): (usize, &linops::gpu::QueueFamily)| {
        format!("  queue family {k}{:<13}{} ({})", "", f.queues, f.flags.join(", "))
    };
    lines.extend(q.families.iter().enumerate().map(family));
    lines
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
fn adapters(lines: &mut Vec<String>) -> Vec<Value> {
    lines.push(field("adapters", "not looked for: this build has no GPU support"));
    Vec::new()
}
