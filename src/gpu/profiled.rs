//! One apply of a compiled plan with the time of each step. Steps run one after the other, also those of a wave, which are in
//! flight together in an ordinary apply.

use super::Gpu;
use super::buffer::{GpuBuffer, gpu_buffer};
use super::compiled::{CompiledPlan, Dispatch, Submission};
use super::queues::SharedBuffer;
use super::recorded::Instance;
use super::timed::{Pass, Span, Ticks};
use crate::error::{Error, Result};
use crate::plan::StepTime;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The times of one apply.
pub(crate) struct Profiled {
    pub times: Vec<StepTime>,
    /// Whether the device's own clock told them; else the host's did, and submitting and waiting is part of each.
    pub by_device: bool,
}

/// What stood between two ticks.
struct Timed {
    step: usize,
    dispatches: usize,
    lane: usize,
    span: Span,
}

impl CompiledPlan {
    /// Applies step by step, and waits.
    ///
    /// # Errors
    /// A tensor is not here, or the device fails.
    pub fn profiled(&self, gpu: &Arc<Gpu>, x: &Tensor, y: &Tensor) -> Result<Profiled> {
        gpu.check()?;
        let here = |t: &Tensor| -> Result<()> {
            match gpu_buffer(t).is_some_and(|b| b.shared().everywhere()) {
                true => Ok(()),
                false => Err(Error::Device(format!("the tensor {} is not memory of {}", t.shape(), gpu.name()))),
            }
        };
        here(x)?;
        here(y)?;
        let (Some(x), Some(y)) = (gpu_buffer(x), gpu_buffer(y)) else { return Ok(Profiled::none()) };
        self.leased(gpu.plans.ledger(), |instance| self.timed(instance, x, y))
    }

    fn timed(&self, instance: &mut Instance, x: &GpuBuffer, y: &GpuBuffer) -> Result<Profiled> {
        let groups = instance.all_bound(self, x, y)?;
        let bound = |at: usize| groups.0[at].as_ref().or(groups.1[at].as_ref());
        let ticks = Ticks::new(&self.core);
        let mut all: Vec<Timed> = Vec::new();
        for s in &self.submissions {
            let (reads, writes) = instance.used(self, s, (x, y));
            all.extend(self.submission(s, &ticks, &bound, &reads, &writes)?);
            for t in &s.then {
                let before = ticks.now();
                instance.through_host(self, t, (x, y))?;
                let took = ticks.now() - before;
                // Where the device tells the time it has none for this: it follows what came before.
                let begin = match ticks.by_device() {
                    true => all.last().map_or(0, |t| t.span[1]),
                    false => before,
                };
                let took = match ticks.by_device() {
                    true => (took as f64 * 1e-9 / ticks.period()?) as u64,
                    false => took,
                };
                all.push(Timed { step: t.at, dispatches: 0, lane: 0, span: [begin, begin + took] });
            }
        }
        let period = ticks.period()?;
        let first = all.iter().map(|t| t.span[0]).min().unwrap_or(0);
        let seconds = |t: u64| t as f64 * period;
        let time = |t: Timed| StepTime {
            step: t.step,
            dispatches: t.dispatches,
            begin: seconds(t.span[0] - first),
            seconds: seconds(t.span[1] - t.span[0]),
            track: t.lane,
        };
        Ok(Profiled { times: all.into_iter().map(time).collect(), by_device: ticks.by_device() })
    }

    /// The dispatches of a submission, those of a step together.
    fn submission<'g>(
        &self,
        s: &Submission,
        ticks: &Ticks,
        bound: &(dyn Fn(usize) -> Option<&'g wgpu::BindGroup> + '_),
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
    ) -> Result<Vec<Timed>> {
        let numbered: Vec<(usize, &Dispatch)> = s.dispatches.clone().zip(&self.dispatches[s.dispatches.clone()]).collect();
        let steps: Vec<&[(usize, &Dispatch)]> = numbered.chunk_by(|a, b| a.1.step == b.1.step).collect();
        let records: Vec<_> = steps
            .iter()
            .map(|step| {
                move |pass: &mut wgpu::ComputePass| {
                    for (at, d) in *step {
                        pass.set_pipeline(&d.pipeline.pipeline);
                        pass.set_bind_group(0, bound(*at), &[]);
                        pass.dispatch_workgroups(d.groups.0, d.groups.1, d.groups.2);
                    }
                }
            })
            .collect();
        let passes: Vec<Pass> = records.iter().map(|r| r as Pass).collect();
        let spans = ticks.run(s.lane, &passes, reads, writes)?;
        let timed = |(step, span): (&&[(usize, &Dispatch)], Span)| Timed {
            step: step[0].1.step,
            dispatches: step.len(),
            lane: s.lane,
            span,
        };
        Ok(steps.iter().zip(spans).map(timed).collect())
    }
}

impl Profiled {
    fn none() -> Profiled {
        Profiled { times: Vec::new(), by_device: false }
    }
}
