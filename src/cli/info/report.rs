//! `linops info --report`: what is known of the adapters and how their self-tests go, as a text that can be sent.

#[cfg(feature = "gpu")]
use linops::Device;
use linops::io::Output;
use linops::{Error, Result};
use std::path::Path;

/// Reserves the file before the work.
pub fn reserve(path: &Path, force: bool) -> Result<Output> {
    Output::create(path, &["txt"], force)
}

/// Writes the lines of `info`, and behind them what takes opening the adapters.
pub fn write(output: Output, lines: &[String]) -> Result<()> {
    let path = output.path().to_path_buf();
    let text = [lines, &tested()].concat().join("\n");
    output.write(|file| writeln!(file, "{text}").map_err(|e| Error::file(path, format!("cannot write: {e}"))))
}

/// Everything that the adapters have, and their self-tests.
#[cfg(feature = "gpu")]
fn tested() -> Vec<String> {
    linops::gpu::adapters().iter().flat_map(|a| adapter(&a.label)).collect()
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
fn tested() -> Vec<String> {
    Vec::new()
}

#[cfg(feature = "gpu")]
fn adapter(label: &str) -> Vec<String> {
    use linops::gpu::{Choice, GpuOptions, adapter};
    let mut lines = vec![String::new(), format!("== {label}")];
    match adapter(Choice::Named(label)) {
        Ok(a) => {
            let features: Vec<&str> = a.features().iter_names().map(|(name, _)| name).collect();
            lines.push(format!("all features {}", features.join(", ")));
            lines.extend(format!("{:#?}", a.limits()).lines().map(String::from));
        }
        Err(e) => lines.push(e.to_string()),
    }
    let start = std::time::Instant::now();
    match Device::gpu_with(Choice::Named(label), GpuOptions::default()) {
        Ok(device) => {
            lines.push(format!("opened in {:.3} s", start.elapsed().as_secs_f64()));
            lines.extend(self_test(&device));
        }
        Err(e) => lines.push(format!("cannot be opened: {e}")),
    }
    lines
}

/// A line for each family of kernels.
#[cfg(feature = "gpu")]
fn self_test(device: &Device) -> Vec<String> {
    let tests = match device.self_test() {
        Ok(tests) => tests,
        Err(e) => return vec![format!("the self-test cannot be made: {e}")],
    };
    let line = |t: &linops::SelfTest| {
        let error = t.error.map_or("none".into(), |e| format!("{e:.1e}"));
        let verdict = t.fault.as_ref().map_or("passed".into(), |f| format!("FAILED: {f}"));
        let (first, next) = (1e3 * t.first, 1e3 * t.next);
        format!("  {:<32} error {error:>8}  first {first:>8.1} ms  next {next:>7.2} ms  {verdict}", t.family)
    };
    std::iter::once("self-test: relative error against the host, time of the first and the next apply".into())
        .chain(tests.iter().map(line))
        .collect()
}
