//! Steps beside what their device can do at best, by the time that is lost: the table of `bench --suite` and `explain --profile`.

use super::common::{bytes, count};
use super::printer::Printer;
use linops::profile::{Clock, Profile, Roof, StepProfile};
use serde_json::{Value, json};

/// A step of something that was measured.
#[derive(Clone, Debug)]
pub struct Gap {
    /// What it is a step of.
    pub work: String,
    pub step: StepProfile,
    /// Seconds that the device needs for it at least.
    pub least: f64,
    /// Seconds of a copy of as many bytes.
    pub copy: f64,
    /// Flops a second, as part of what the device reaches.
    pub of_peak: f64,
}

impl Gap {
    /// The steps of a profile.
    pub fn all(work: &str, profile: &Profile, roof: &Roof) -> Vec<Gap> {
        let gap = |step: &StepProfile| Gap {
            work: work.into(),
            step: step.clone(),
            least: roof.seconds(&step.cost),
            copy: roof.copy_seconds(step.bytes()),
            of_peak: rate(step.cost.flops, step.seconds) / roof.flops.max(1.0),
        };
        profile.steps.iter().map(gap).collect()
    }

    /// Seconds beyond what the device needs.
    pub fn lost(&self) -> f64 {
        (self.step.seconds - self.least).max(0.0)
    }

    pub fn value(&self) -> Value {
        let s = &self.step;
        json!({
            "work": self.work,
            "step": s.step,
            "kernel": s.kernel,
            "details": s.details,
            "extents": s.extents,
            "dtype": dtype(s),
            "dispatches": s.dispatches,
            "seconds": s.seconds,
            "cost": s.cost,
            "bytes_per_second": rate(s.bytes(), s.seconds),
            "flops_per_second": rate(s.cost.flops, s.seconds),
            "of_copy": ratio(self.copy, s.seconds),
            "of_peak": self.of_peak,
            "least_seconds": self.least,
            "lost_seconds": self.lost(),
        })
    }
}

/// A ratio, and 0 where there is no time to divide by.
fn ratio(part: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { part / seconds } else { 0.0 }
}

fn rate(amount: u64, seconds: f64) -> f64 {
    ratio(amount as f64, seconds)
}

fn dtype(s: &StepProfile) -> &'static str {
    if s.complex { "complex64" } else { "float32" }
}

/// The most time lost first.
pub fn sort(gaps: &mut [Gap]) {
    gaps.sort_by(|a, b| b.lost().total_cmp(&a.lost()));
}

/// Lines of a table of these steps; with the name of the work where there are several, else with what else is known of the kernel.
pub fn lines(gaps: &[Gap], with_work: bool) -> Vec<String> {
    let head = format!(
        "{:>10} {:>10} {:>10}  {:<12} {:<30} {:>9} {:>9} {:>6} {:>9} {:>6}  {}",
        "lost µs",
        "time µs",
        "at least",
        "kernel",
        "result",
        "bytes",
        "GB/s",
        "% copy",
        "Gflop/s",
        "% peak",
        if with_work { "work" } else { "of" }
    );
    let line = |g: &Gap| {
        let s = &g.step;
        format!(
            "{:>10.1} {:>10.1} {:>10.1}  {:<12} {:<30} {:>9} {:>9.2} {:>6.0} {:>9.2} {:>6.1}  {}",
            1e6 * g.lost(),
            1e6 * s.seconds,
            1e6 * g.least,
            s.kernel,
            format!("{} {:?}", dtype(s), s.extents),
            bytes(s.bytes()),
            1e-9 * rate(s.bytes(), s.seconds),
            100.0 * ratio(g.copy, s.seconds),
            1e-9 * rate(s.cost.flops, s.seconds),
            100.0 * g.of_peak,
            if with_work { &g.work } else { &s.details }
        )
    };
    std::iter::once(head).chain(gaps.iter().map(line)).collect()
}

/// What told the time, in words.
pub fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Timestamps => "by the device's timestamps",
        _ => "by the host's clock",
    }
}

/// Says what a device can do at best.
pub fn say_roof(roof: &Roof, printer: &Printer) {
    let Some(best) = roof.copies.iter().max_by(|a, b| (rate(a.bytes, a.seconds)).total_cmp(&rate(b.bytes, b.seconds)))
    else {
        return;
    };
    let Some(largest) = roof.copies.last() else { return };
    printer.line(format_args!(
        "{} at best: copies {:.2} GB/s ({} moved, {}), {:.2} GB/s of {}; multiply-adds {}flop/s",
        roof.device,
        1e-9 * rate(best.bytes, best.seconds),
        bytes(best.bytes),
        best.by,
        1e-9 * rate(largest.bytes, largest.seconds),
        bytes(largest.bytes),
        count(roof.flops as u64)
    ));
}
