//! Where the time of a linop goes: the steps of its plan with time, bytes and flops, beside what the same device can do at best.
//!
//! On a GPU times are between timestamps of the device's own queue, a step after the other; on the host, and on GPUs without
//! timestamps, the host's clock tells them. A [`Roof`] is measured on the same device: copies of all sizes by the fastest of
//! several kernels, and the rate of multiply-adds. A step cannot be faster than a copy of the bytes that it has to move, nor than
//! its flops at that rate (Williams, Waterman and Patterson, Commun. ACM 52:65 (2009)); what it takes beyond is lost.
//!
//! ```
//! use linops::profile::{ProfileOptions, Roof, RoofOptions};
//! use linops::{DType, Device, Tensor, linop};
//! let device = Device::host();
//! let f = linop::fft("C=2 N=64", "N", Default::default())?;
//! let x = Tensor::zeros("C=2 N=64", DType::Complex32)?.to(&device)?;
//! let profile = f.profile(&x, &ProfileOptions::default().runs(3))?;
//! let roof = Roof::of(&device, profile.largest(), &RoofOptions::default().rounds(1))?;
//! for step in &profile.steps {
//!     let least = roof.seconds(&step.cost);
//!     println!("{} {:.1} µs, at least {:.1} µs", step.kernel, 1e6 * step.seconds, 1e6 * least);
//! }
//! # Ok::<(), linops::Error>(())
//! ```

mod roof;
mod trace;

pub use roof::{CopyTime, Roof, RoofOptions};
pub use trace::{Argument, Trace, TraceEvent};

use crate::error::{Error, Result};
use crate::linop::Linop;
use crate::plan::{Cost, StepTime};
use crate::setters::setters;
use crate::tensor::Tensor;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How [`Linop::profile`] measures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProfileOptions {
    /// Runs that are measured: 20.
    pub runs: usize,
    /// Runs before these: 3.
    pub warm_up: usize,
    /// No run is begun after this long, once three are done: 5 s.
    pub patience: Duration,
}

impl Default for ProfileOptions {
    fn default() -> ProfileOptions {
        ProfileOptions { runs: 20, warm_up: 3, patience: Duration::from_secs(5) }
    }
}

setters! { ProfileOptions {
    /// With so many runs.
    runs: usize,
    /// With so many runs before they are measured.
    warm_up: usize,
    /// With no run begun after this long, once three are done.
    patience: Duration,
} }

/// What tells the time of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Clock {
    /// Timestamps of the GPU, around each step.
    Timestamps,
    /// The host's clock. For a GPU without timestamps, submitting and waiting is part of each step.
    Host,
}

/// The steps of a linop's plan, with times.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// The device.
    pub device: String,
    /// What told the time of steps.
    pub clock: Clock,
    /// Runs that were measured.
    pub runs: usize,
    /// Seconds of an ordinary apply with the wait for its result: the median.
    pub latency: f64,
    /// The steps in the plan's order.
    pub steps: Vec<StepProfile>,
}

/// A step of a plan, with its time.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepProfile {
    /// Its place in the plan.
    pub step: usize,
    /// The kernel's name.
    pub kernel: &'static str,
    /// What stands behind the name in listings.
    pub details: String,
    /// Extents of the value that it writes.
    pub extents: Vec<usize>,
    /// Whether that is complex.
    pub complex: bool,
    /// Bytes and flops.
    pub cost: Cost,
    /// Dispatches on a GPU.
    pub dispatches: usize,
    /// Seconds: the median.
    pub seconds: f64,
    /// When it ran in the last run.
    #[serde(skip)]
    spans: Vec<StepTime>,
}

impl StepProfile {
    /// Bytes that it moves.
    pub fn bytes(&self) -> u64 {
        self.cost.read + self.cost.written
    }
}

impl Profile {
    /// Seconds of all steps.
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|s| s.seconds).sum()
    }

    /// Bytes of the step that moves most: what a [`Roof`] is to reach.
    pub fn largest(&self) -> u64 {
        self.steps.iter().map(StepProfile::bytes).max().unwrap_or(0)
    }
}

impl Linop {
    /// Measures the steps of the plan that applies this to x, on the device that holds x. Steps run one after the other; ordinary
    /// applies stand between the runs, for the latency.
    ///
    /// # Errors
    /// As for [`apply`](Linop::apply); no runs are asked for.
    pub fn profile(&self, x: &Tensor, options: &ProfileOptions) -> Result<Profile> {
        if options.runs == 0 {
            return Err(Error::Value("a profile of 0 runs was asked for, expected at least 1".into()));
        }
        let device = x.device();
        let plan = self.plan(&device, x.dtype())?;
        let whole = || -> Result<f64> {
            let start = Instant::now();
            let y = self.apply(x)?;
            device.wait()?;
            let seconds = start.elapsed().as_secs_f64();
            drop(y);
            Ok(seconds)
        };
        for _ in 0..options.warm_up {
            whole()?;
            self.step_times(x)?;
        }
        let begin = Instant::now();
        let (mut latencies, mut clock, mut last) = (Vec::new(), Clock::Host, Vec::new());
        let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); plan.steps.len()];
        while latencies.len() < options.runs && (latencies.len() < 3 || begin.elapsed() < options.patience) {
            latencies.push(whole()?);
            let run = self.step_times(x)?;
            for (step, all) in seconds.iter_mut().enumerate() {
                all.push(run.times.iter().filter(|t| t.step == step).map(|t| t.seconds).sum());
            }
            clock = if run.by_gpu { Clock::Timestamps } else { Clock::Host };
            last = run.times;
        }
        let step = |(at, all): (usize, &mut Vec<f64>)| {
            let (step, spans): (_, Vec<StepTime>) =
                (&plan.steps[at], last.iter().filter(|t| t.step == at).copied().collect());
            let y = &plan.values[step.store.value.at()];
            StepProfile {
                step: at,
                kernel: step.name(),
                details: step.details().trim().to_string(),
                extents: y.extents.clone(),
                complex: y.complex,
                cost: plan.step_cost(step),
                dispatches: spans.iter().map(|t| t.dispatches).sum(),
                seconds: median(all),
                spans,
            }
        };
        let steps = seconds.iter_mut().enumerate().map(step).collect();
        Ok(Profile { device: device.name(), clock, runs: latencies.len(), latency: median(&mut latencies), steps })
    }
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}
