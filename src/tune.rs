//! Which of several kernels that compute the same is the fastest on a device, measured there and kept.
//!
//! A plan for a GPU has choices that change no bit of any result: how many lines of a transform share a workgroup, how many
//! invocations work on them, and whether they exchange real and imaginary parts together or one after the other; how large the tiles
//! of matrix products are. A model of a GPU makes them; where it is wrong about one, [`Device::tune`] finds out by timing the
//! candidates on it. Devices that are opened from then on, in this process or another, take what was found
//! ([`set_disk_cache`](crate::gpu::set_disk_cache) says where it is kept, and whether).
//!
//! On an adapter with several queues it also times sums of unlike linops on one of them and on several. Where several are faster,
//! [`Device::gpu`] opens with so many from then on, and containers are spread over them that have as much to do as that takes.
//!
//! ```no_run
//! use linops::tune::TuneOptions;
//! let device = linops::Device::gpu()?;
//! for choice in device.tune(&TuneOptions::default(), |_| ())?.choices {
//!     println!("{}: {:.2} x as fast", choice.what, choice.gain());
//! }
//! # Ok::<(), linops::Error>(())
//! ```

use crate::error::{Error, Result};
use crate::run::Device;
use crate::setters::setters;
use serde::Serialize;

#[cfg(feature = "gpu")]
mod queues;

#[doc(hidden)]
#[cfg(feature = "gpu")]
pub use measured::keep_queues;
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub use queues::{Bar, measured as measured_queues};

/// How [`Device::tune`] measures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TuneOptions {
    /// Complex elements of what is timed: 2²².
    pub elements: usize,
    /// Rounds, in each of which every candidate runs once: 9.
    pub rounds: usize,
    /// A candidate is taken that is so much faster than the planner's own choice: 1.03 times.
    pub least_gain: f64,
    /// Several queues are taken that are so much faster than one, from some work on: 1.1 times. That is measured by the host's clock,
    /// and more queues take more memory for kernels.
    pub least_gain_of_queues: f64,
    /// And on which nothing else takes more than so many times as long as on one, be it one kernel or a container in waves: 1.05 times.
    pub most_cost_of_queues: f64,
    /// Whether what is found is kept for devices that are opened later; it is at first.
    pub keep: bool,
    /// Only choices whose name has this part are measured; those that were measured before stay. All at first; how many queues are
    /// worth it is called "queues".
    pub only: Option<String>,
}

impl Default for TuneOptions {
    fn default() -> TuneOptions {
        TuneOptions {
            elements: 1 << 22,
            rounds: 9,
            least_gain: 1.03,
            least_gain_of_queues: 1.1,
            most_cost_of_queues: 1.05,
            keep: true,
            only: None,
        }
    }
}

setters! { TuneOptions {
    /// With so many complex elements.
    elements: usize,
    /// With so many rounds.
    rounds: usize,
    /// With candidates that are so much faster.
    least_gain: f64,
    /// With so many times as fast for several queues.
    least_gain_of_queues: f64,
    /// With so many times as long for all else on several queues.
    most_cost_of_queues: f64,
    /// With what is found kept, or not.
    keep: bool,
    /// With choices alone whose name has this part.
    only: Option<String>,
} }

/// What was measured of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tuning {
    /// The device.
    pub device: String,
    /// Its choices.
    pub choices: Vec<Chosen>,
    /// Its queues; None where it has one, or they were not asked for.
    pub queues: Option<QueuesTuned>,
    /// The folder in which they are kept, if they are.
    pub folder: Option<std::path::PathBuf>,
}

/// One choice, as measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Chosen {
    /// What is chosen: "fft tile 512 strided".
    pub what: String,
    /// Seconds of each candidate, the planner's own first; none of one that does not run, or gives other bits.
    pub seconds: Vec<Option<f64>>,
    /// The place of the candidate that is taken.
    pub taken: usize,
}

/// What was measured of several queues.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueuesTuned {
    /// Sums of sub-linops, the smallest first.
    pub sums: Vec<SumTimes>,
    /// How many queues devices are opened with from then on; 1 where several have gained nothing.
    pub queues: u32,
    /// What each queue has to do of a container, at least, for its sub-linops to be spread over them: bytes that are moved, or flops
    /// that take as long.
    pub least_work: u64,
}

/// The times of a sum of unlike sub-linops.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SumTimes {
    /// Complex elements of its input, and of the result of each sub-linop.
    pub elements: usize,
    /// Seconds of an apply on one queue, in waves.
    pub one_queue: f64,
    /// Seconds of an apply of one kernel.
    pub one_kernel: f64,
    /// On several.
    pub several: Vec<OnQueues>,
}

/// An apply on several queues.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OnQueues {
    /// So many.
    pub queues: u32,
    /// What each of them has to do, as in [`QueuesTuned::least_work`].
    pub work: u64,
    /// Seconds; none where the bits are others than those of one queue.
    pub seconds: Option<f64>,
    /// Seconds of the sum in waves on one of them: what containers take that have too little to do to be spread.
    pub waves: f64,
    /// Seconds of an apply of one kernel.
    pub one_kernel: f64,
}

impl SumTimes {
    /// How many times as long as on one queue what is not spread takes on several, at worst.
    pub fn cost(&self, on: &OnQueues) -> f64 {
        (on.waves / self.one_queue).max(on.one_kernel / self.one_kernel)
    }
}

impl Chosen {
    /// How many times as fast the taken candidate is as the planner's own.
    pub fn gain(&self) -> f64 {
        let of = |place: usize| self.seconds.get(place).copied().flatten();
        match (of(0), of(self.taken)) {
            (Some(own), Some(taken)) if taken > 0.0 => own / taken,
            _ => 1.0,
        }
    }
}

impl Device {
    /// Times the candidates of every choice that plans for this device have, and keeps the fastest. `tell` is called with each. Then
    /// how many of the adapter's queues are worth it, where it has several.
    /// This device itself goes on as it was; one that is opened later takes what was found.
    ///
    /// # Errors
    /// This is the host, which has no such choices; an option is outside of its domain; the device fails; what was found cannot be
    /// written, or is to be kept where nothing is.
    pub fn tune(&self, options: &TuneOptions, tell: impl FnMut(&Chosen)) -> Result<Tuning> {
        if options.elements == 0
            || options.rounds == 0
            || options.least_gain.is_nan()
            || options.least_gain_of_queues.is_nan()
            || options.most_cost_of_queues.is_nan()
        {
            let TuneOptions { elements, rounds, least_gain, .. } = options;
            return Err(Error::Value(format!(
                "tuning with {elements} elements, {rounds} rounds and a least gain of {least_gain}; expected 1 at least of the \
                 first two, and a number"
            )));
        }
        on_gpu(self, options, tell)
    }

    /// Forgets what was measured: devices that are opened from now on take the planner's own choices. Whether there was anything.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn untune(&self) -> Result<bool> {
        #[cfg(feature = "gpu")]
        if let Some(file) = self.as_gpu().and_then(crate::gpu::Gpu::tuned_file) {
            let queues = self.as_gpu().and_then(crate::gpu::Gpu::queues_file).filter(|f| f.read().is_some());
            let there = file.read().is_some();
            if there {
                written(file, &Default::default())?;
            }
            queues.map_or(Ok(()), |file| queues_written(file, None))?;
            return Ok(there || queues.is_some());
        }
        Ok(false)
    }
}

#[cfg(not(feature = "gpu"))]
fn on_gpu(_: &Device, _: &TuneOptions, _: impl FnMut(&Chosen)) -> Result<Tuning> {
    Err(no_choices())
}

fn no_choices() -> Error {
    Error::Device("plans for the host have no choices that could be tuned; choose a GPU".into())
}

#[cfg(feature = "gpu")]
use measured::{median, on_gpu, queues_written, same, written};

#[cfg(feature = "gpu")]
mod measured {
    use super::{Chosen, TuneOptions, Tuning, no_choices};
    use crate::allocate::collected;
    use crate::dim::Shape;
    use crate::error::{Error, Result};
    use crate::gpu::queues::MeasuredQueues;
    use crate::gpu::{CompiledPlan, Gpu, QueuesFile, TunedFile};
    use crate::plan::{PlanOptions, Target};
    use crate::primitive::{Variant, variants};
    use crate::run::{Device, Kind};
    use crate::shader::{Choices, GpuLimits};
    use crate::tensor::Tensor;
    use num_complex::Complex32;
    use std::sync::Arc;

    /// What [`TuneOptions::only`] calls how many queues are worth it.
    const QUEUES: &str = "queues";

    pub fn on_gpu(device: &Device, options: &TuneOptions, mut tell: impl FnMut(&Chosen)) -> Result<Tuning> {
        let (Kind::Gpu(gpu), Target::Gpu(limits)) = (&device.0, device.target()) else { return Err(no_choices()) };
        let file = gpu.tuned_file().filter(|_| options.keep);
        if options.keep && file.is_none() {
            let what = "what is tuned is kept on disk, which is off for this device, or the system has no folder for it; \
                        LINOPS_CACHE_DIR names one";
            return Err(Error::Device(what.into()));
        }
        let mut choices = Vec::new();
        let mut all = variants(&limits, options.elements)?;
        let queues = options.only.as_ref().is_none_or(|part| QUEUES.contains(&part[..]));
        let mut found = Choices::default();
        if let Some(part) = &options.only {
            let names: Vec<&str> = all.iter().map(|v| &v.what[..]).chain([QUEUES]).collect();
            let names = names.join(", ");
            all.retain(|v| v.what.contains(part));
            if all.is_empty() && !queues {
                return Err(Error::Value(format!("no choice is called \"{part}\"; {names}")));
            }
            found = file.and_then(TunedFile::read).cloned().unwrap_or_default();
        }
        for variant in all {
            let chosen = timed(gpu, device, &limits, &variant, options)?;
            // What is as it was is kept, too: it was measured.
            found.set(&chosen.what, chosen.taken);
            tell(&chosen);
            choices.push(chosen);
        }
        if let Some(file) = file {
            written(file, &found)?;
        }
        let TuneOptions { elements, rounds, least_gain_of_queues: gain, most_cost_of_queues: cost, .. } = *options;
        let queues = match queues {
            true => super::queues::tuned(device, elements, rounds, super::Bar { gain, cost })?,
            false => None,
        };
        if let (Some(q), Some(file)) = (&queues, gpu.queues_file().filter(|_| options.keep)) {
            queues_written(file, Some(MeasuredQueues { queues: q.queues, least_work: q.least_work }))?;
        }
        let folder = file.map(|f| f.folder().to_path_buf());
        Ok(Tuning { device: device.name(), choices, queues, folder })
    }

    /// Writes choices.
    pub fn written(file: &TunedFile, choices: &Choices) -> Result<()> {
        file.write(choices).map_err(|e| Error::file(file.folder(), format!("what was tuned cannot be written: {e}")))
    }

    /// Keeps how many queues of a device's adapter are worth it, as if it had been measured; None: it was not.
    ///
    /// # Errors
    /// Nothing is kept for this device, or it cannot be written.
    #[doc(hidden)]
    pub fn keep_queues(device: &Device, queues: Option<MeasuredQueues>) -> Result<()> {
        let file = device.as_gpu().and_then(Gpu::queues_file);
        file.map_or_else(|| Err(no_choices()), |file| queues_written(file, queues))
    }

    /// Writes how many queues are worth it, or that it is not known.
    pub fn queues_written(file: &QueuesFile, queues: Option<MeasuredQueues>) -> Result<()> {
        let unwritten = |e| Error::file(file.folder(), format!("what was measured of queues cannot be written: {e}"));
        file.write(queues).map_err(unwritten)
    }

    /// The candidates of a choice, in turn.
    fn timed(
        gpu: &Arc<Gpu>,
        device: &Device,
        limits: &GpuLimits,
        variant: &Variant,
        options: &TuneOptions,
    ) -> Result<Chosen> {
        let program = (variant.program)()?;
        let x = arbitrary(program.input_extents())?.to(device)?;
        let output = shape(program.output_extents())?;
        let compiled = |place: usize| -> Result<CompiledPlan> {
            let target = Target::Gpu(GpuLimits { choices: Some(Choices::one(&variant.what, place).kept()), ..*limits });
            CompiledPlan::new(gpu, program.schedule_with(&target, true, &PlanOptions::default())?)
        };
        let bits = |plan: &CompiledPlan| -> Result<Vec<[u32; 2]>> {
            let y = plan.output(gpu, output.clone())?;
            plan.apply_to(gpu, &x, &y)?;
            let values = y.to(&Device::host())?.to_vec()?;
            Ok(values.iter().map(|v| [v.re.to_bits(), v.im.to_bits()]).collect())
        };
        let own = compiled(0)?;
        let want = bits(&own)?;
        let mut plans = vec![Some(own)];
        for place in 1..variant.candidates {
            // One that a driver refuses, or makes something else of, is none.
            let made = compiled(place).and_then(|plan| Ok((bits(&plan)?, plan)));
            plans.push(match made {
                Err(lost @ Error::DeviceLost(_)) => return Err(lost),
                made => made.ok().filter(|(b, _)| same(b, &want)).map(|(_, plan)| plan),
            });
        }
        drop(want);
        let y = plans[0].as_ref().map(|plan| plan.output(gpu, output)).transpose()?;
        let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); plans.len()];
        if let Some(y) = &y {
            for round in 0..=options.rounds {
                for (plan, seconds) in plans.iter().zip(&mut seconds) {
                    let Some(plan) = plan else { continue };
                    let run = plan.profiled(gpu, &x, y)?;
                    // The first round warms up.
                    if round > 0 {
                        seconds.push(run.times.iter().map(|t| t.seconds).sum());
                    }
                }
            }
        }
        let seconds: Vec<Option<f64>> = seconds.into_iter().map(median).collect();
        let fastest = |(place, s): (usize, &Option<f64>)| s.map(|s| (place, s));
        let best = seconds.iter().enumerate().filter_map(fastest).min_by(|a, b| a.1.total_cmp(&b.1));
        let taken = match (best, seconds.first().copied().flatten()) {
            (Some((place, least)), Some(own)) if own >= options.least_gain * least => place,
            _ => 0,
        };
        Ok(Chosen { what: variant.what.clone(), seconds, taken })
    }

    /// Equal bits; a zero's sign is no part of what is promised.
    pub fn same(a: &[[u32; 2]], b: &[[u32; 2]]) -> bool {
        let plain = |bits: u32| if bits == 1 << 31 { 0 } else { bits };
        a.len() == b.len() && a.iter().flatten().zip(b.iter().flatten()).all(|(a, b)| plain(*a) == plain(*b))
    }

    pub fn median(mut seconds: Vec<f64>) -> Option<f64> {
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    }

    fn shape(extents: &[usize]) -> Result<Shape> {
        let dims = (0..extents.len()).map(|a| format!("A{a}").parse()).collect::<Result<Vec<_>>>()?;
        Shape::new(dims, extents.to_vec())
    }

    /// Numbers without structure.
    fn arbitrary(extents: &[usize]) -> Result<Tensor> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let shape = shape(extents)?;
        let values: Vec<Complex32> = collected((0..shape.len()).map(|_| Complex32::new(next(), next())), shape.len())?;
        Tensor::of_values(shape, values)
    }
}
