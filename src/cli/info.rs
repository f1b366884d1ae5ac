//! `linops info`: version, features, host, adapters.

use super::DONE;
use super::printer::Printer;
use linops::Result;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(_: &Args, printer: &Printer) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let features: Vec<&str> =
        [("cli", true), ("gpu", cfg!(feature = "gpu")), ("multi-queue", cfg!(feature = "multi-queue"))]
            .iter()
            .filter_map(|(name, on)| on.then_some(*name))
            .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    printer.field("linops", version);
    printer.field("features", features.join(", "));
    printer.field("host", format_args!("{system}, {cores} cores"));
    let adapters = adapters(printer);
    printer.json(&json!({
        "version": version,
        "features": features,
        "host": { "system": system, "cores": cores },
        "adapters": adapters,
    }));
    Ok(DONE)
}

/// Prints the adapters, and gives them as JSON.
#[cfg(feature = "gpu")]
fn adapters(printer: &Printer) -> Vec<Value> {
    let found = linops::gpu::adapters();
    if found.is_empty() {
        printer.field("adapters", "none; for a software one on Linux install mesa-vulkan-drivers and libvulkan1");
    }
    for a in &found {
        let software = if a.software { ", software" } else { "" };
        printer.field("adapter", format_args!("{} ({}, {}{software})", a.name, a.kind, a.backend));
        printer.field("  driver", format_args!("{} {}", a.driver, a.driver_info));
        a.limits.iter().for_each(|(name, limit)| printer.line(format_args!("  {name:<28}{limit}")));
        printer.field("  features", a.features.join(", "));
        queues(printer, &a.queues);
    }
    found.iter().map(|a| json!(a)).collect()
}

/// The rung that lanes stand on by default, and what there is for the one above.
#[cfg(feature = "gpu")]
fn queues(printer: &Printer, q: &linops::gpu::queues::QueuesReport) {
    printer.field("  lanes", format_args!("{}: {}", q.rung, q.reason));
    let most = q.hardware_queues.map_or("any number".to_string(), |n| n.to_string());
    printer.field("  queues", format_args!("{most}: {}", q.hardware_reason));
    for (k, f) in q.families.iter().enumerate() {
        printer.line(format_args!("  queue family {k}{:<13}{} ({})", "", f.queues, f.flags.join(", ")));
    }
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
fn adapters(printer: &Printer) -> Vec<Value> {
    printer.field("adapters", "not looked for: this build has no GPU support");
    Vec::new()
}
