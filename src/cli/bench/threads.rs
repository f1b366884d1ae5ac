//! What threads bring: sums of sub-linops, threaded, not threaded, and on one core, in turn.

use super::{filled, median, workloads};
use crate::cli::printer::Printer;
use linops::program::ThreadSettings;
use linops::{DType, Device, Error, Linop, Result, Tensor};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long work of one kind goes on before it is measured.
const SETTLED: Duration = Duration::from_millis(20);

/// Measures the standard sums on a device; as JSON.
pub fn run(device: &Device, runs: usize, lanes: Option<usize>, printer: &Printer) -> Result<Value> {
    let mut rows = Vec::new();
    printer.line(format_args!("on {}; medians of {runs} runs in turn", device.name()));
    for (name, a) in [("8 x (diagonal, FFT 256²)", workloads::alike()?), ("8 unlike chains", workloads::unlike()?)] {
        rows.push(match device.is_host() {
            true => on_host(name, &a, runs, printer)?,
            false => in_turn(name, &a, device, runs, printer)?,
        });
        rows.push(by_lanes(name, &a, device, runs, lanes, printer)?);
    }
    let a = workloads::trivial()?;
    let x = filled(a.input()?, DType::Complex32)?.to(device)?;
    let mut times = repeat(runs.max(100), || timed(&a, &x, device))?;
    let each = 1e6 * median(&mut times) / 64.0;
    printer.line(format_args!("64 trivial sub-linops: {each:.2} µs each"));
    rows.push(json!({ "sum": "64 trivial", "microseconds_each": each }));
    Ok(json!(rows))
}

/// Seconds of an apply in a row of them, once they have gone on for a while: an iteration's, not one that wakes sleeping
/// cores. (A system may take several milliseconds until it gives a woken thread a core of its own.)
fn timed(a: &Linop, x: &Tensor, device: &Device) -> Result<f64> {
    let timed = || -> Result<f64> {
        let start = Instant::now();
        let y = a.apply(x)?;
        device.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        drop(y);
        Ok(seconds)
    };
    let begin = Instant::now();
    timed()?;
    while begin.elapsed() < SETTLED {
        timed()?;
    }
    let mut times = repeat(3, timed)?;
    Ok(median(&mut times))
}

fn repeat(runs: usize, mut f: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    (0..runs).map(|_| f()).collect()
}

fn serial(a: &Linop) -> Linop {
    a.with_settings(ThreadSettings { threaded: false, num_workers: None })
}

/// Threaded, unthreaded with parallel sub-linops, and all on one core, beside what two threads bring for plain arithmetic.
fn on_host(name: &str, a: &Linop, runs: usize, printer: &Printer) -> Result<Value> {
    let (device, plain) = (Device::host(), serial(a));
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(|e| Error::Device(e.to_string()));
    let (one, two) = (pool(1)?, pool(2)?);
    let x = filled(a.input()?, DType::Complex32)?;
    let [mut threaded, mut unthreaded, mut single] = [(); 3].map(|()| Vec::new());
    let mut arithmetic = Vec::new();
    for k in 0..runs + 2 {
        let t = timed(a, &x, &device)?;
        let u = timed(&plain, &x, &device)?;
        let s = one.install(|| timed(a, &x, &device))?;
        let alone = seconds(|| (spin(), spin()));
        let both = two.install(|| seconds(|| rayon::join(spin, spin)));
        // The first rounds compile and fill caches.
        if k >= 2 {
            threaded.push(t);
            unthreaded.push(u);
            single.push(s);
            arithmetic.push(alone / both);
        }
    }
    let (t, u, s) = (median(&mut threaded), median(&mut unthreaded), median(&mut single));
    let reference = median(&mut arithmetic);
    printer.line(format_args!(
        "{name}: threaded {:.2} ms, {:.2} x one core ({:.2} ms), {:.2} x unthreaded ({:.2} ms); two threads of arithmetic: {reference:.2} x one",
        1e3 * t, t / s, 1e3 * s, t / u, 1e3 * u
    ));
    Ok(json!({ "sum": name, "threaded": t, "one_core": s, "unthreaded": u, "two_thread_arithmetic": reference }))
}

/// Threaded and not threaded.
fn in_turn(name: &str, a: &Linop, device: &Device, runs: usize, printer: &Printer) -> Result<Value> {
    let plain = serial(a);
    let x = filled(a.input()?, DType::Complex32)?.to(device)?;
    let (mut threaded, mut unthreaded) = (Vec::new(), Vec::new());
    for k in 0..runs + 2 {
        let (t, u) = (timed(a, &x, device)?, timed(&plain, &x, device)?);
        if k >= 2 {
            threaded.push(t);
            unthreaded.push(u);
        }
    }
    let (t, u) = (median(&mut threaded), median(&mut unthreaded));
    let schedule = a.plan(device, x.dtype())?.regions.first().map(|r| r.schedule.to_string()).unwrap_or_default();
    printer.line(format_args!("{name}: {schedule} {:.2} ms, {:.2} x sequential ({:.2} ms)", 1e3 * t, t / u, 1e3 * u));
    Ok(json!({ "sum": name, "schedule": schedule, "threaded": t, "unthreaded": u }))
}

/// The same sum over 1, 2 and `most` lanes.
fn by_lanes(
    name: &str,
    a: &Linop,
    device: &Device,
    runs: usize,
    most: Option<usize>,
    printer: &Printer,
) -> Result<Value> {
    let x = filled(a.input()?, DType::Complex32)?.to(device)?;
    let mut counts = vec![1, 2, most.unwrap_or(8)];
    counts.sort_unstable();
    counts.dedup();
    let mut times = vec![Vec::new(); counts.len()];
    for k in 0..runs + 1 {
        for (n, times) in counts.iter().zip(&mut times) {
            device.set_lanes(Some(*n));
            let t = timed(a, &x, device);
            device.set_lanes(most);
            if k > 0 {
                times.push(t?);
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|t| median(t)).collect();
    let cells = counts.iter().zip(&medians).map(|(n, t)| format!("{n}: {:.2} ms", 1e3 * t)).collect::<Vec<_>>();
    printer.line(format_args!("{name}, by lanes: {}", cells.join(", ")));
    Ok(json!({ "sum": name, "lanes": counts, "seconds": medians }))
}

/// Seconds of `f`, measured like an apply.
fn seconds<R>(f: impl Fn() -> R) -> f64 {
    let begin = Instant::now();
    loop {
        let start = Instant::now();
        black_box(f());
        if begin.elapsed() >= SETTLED {
            return start.elapsed().as_secs_f64();
        }
    }
}

/// Some milliseconds of arithmetic that touches no memory. Never inlined: two of them would be interleaved on one core.
#[inline(never)]
fn spin() -> f32 {
    (0..black_box(1_500_000u32)).fold(1.0f32, |x, k| x * 0.999 + (k & 7) as f32 * 1e-3)
}
