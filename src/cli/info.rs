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
fn adapters(printer: &Printer) -> Vec<Value> {
    printer.field("adapters", "none");
    Vec::new()
}
