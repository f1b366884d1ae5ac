//! One apply of a compiled plan with the time of each step. Steps run one after the other, also those of a wave, which are in
//! flight together in an ordinary apply.

use super::Gpu;
use super::buffer::GpuBuffer;
use super::compiled::{CompiledPlan, Dispatch, Submission};
use super::ids::new_id;
use super::queues::Uses;
use super::recorded::Instance;
use super::timed::{Pass, Span, Ticks};
use crate::error::Result;
use crate::plan::StepTime;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The times of one apply.
pub(crate) struct Profiled {
    pub times: Vec<StepTime>,
    /// Whether the device's own clock told them; else the host's did, and submitting and waiting is part of each.
    pub by_device: bool,
}

/// What took so many ticks.
struct Timed {
    step: usize,
    dispatches: usize,
    lane: usize,
    /// None of a step that the host ran while the device told the time.
    begin: Option<u64>,
    ticks: u64,
}

impl CompiledPlan {
    /// Applies step by step, and waits.
    ///
    /// # Errors
    /// A tensor is not here, or the device fails.
    pub fn profiled(&self, gpu: &Arc<Gpu>, x: &Tensor, y: &Tensor) -> Result<Profiled> {
        gpu.check()?;
        let copied = self.copied(gpu, x)?;
        let (x, y) = (self.here(copied.as_ref().unwrap_or(x))?, self.here(y)?);
        self.leased(gpu.plans.ledger(), |instance| self.timed(instance, x, y))
    }

    fn timed(&self, instance: &mut Instance, x: &GpuBuffer, y: &GpuBuffer) -> Result<Profiled> {
        let groups = instance.all_bound(self, x, y)?;
        let bound = |at: usize| groups.0[at].as_ref().or(groups.1[at].as_ref());
        let ticks = Ticks::new(&self.core, self.on_first_lane());
        let period = ticks.period()?;
        let mut all: Vec<Timed> = Vec::new();
        let apply = new_id();
        for s in &self.submissions {
            let uses = instance.used(self, s, (x, y), apply);
            all.extend(self.submission(s, &ticks, &bound, &uses)?);
            for t in &s.then {
                let before = ticks.now();
                instance.through_host(self, t, (x, y))?;
                let took = ticks.now() - before;
                let (begin, took) = match ticks.by_device() {
                    true => (None, (took as f64 * 1e-9 / period) as u64),
                    false => (Some(before), took),
                };
                all.push(Timed { step: t.at, dispatches: 0, lane: 0, begin, ticks: took });
            }
        }
        Ok(Profiled { times: in_line(&all, period), by_device: ticks.by_device() })
    }

    /// The dispatches of a submission, those of a step together.
    fn submission<'g>(
        &self,
        s: &Submission,
        ticks: &Ticks,
        bound: &(dyn Fn(usize) -> Option<&'g wgpu::BindGroup> + '_),
        uses: &Uses,
    ) -> Result<Vec<Timed>> {
        let numbered: Vec<(usize, &Dispatch)> =
            s.dispatches.clone().zip(&self.dispatches[s.dispatches.clone()]).collect();
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
        let spans = ticks.run(s.lane, &passes, uses)?;
        let timed = |(step, span): (&&[(usize, &Dispatch)], Span)| Timed {
            step: step[0].1.step,
            dispatches: step.len(),
            lane: s.lane,
            begin: Some(span[0]),
            ticks: span[1] - span[0],
        };
        Ok(steps.iter().zip(spans).map(timed).collect())
    }
}

/// Seconds from the first one's begin on. Whose begin nobody knows follows the one before.
fn in_line(all: &[Timed], period: f64) -> Vec<StepTime> {
    // Those in front of the first that is known end where it begins.
    let unknown: u64 = all.iter().take_while(|t| t.begin.is_none()).map(|t| t.ticks).sum();
    let known = all.iter().filter_map(|t| t.begin).min();
    let start = known.map_or(0, |begin| begin.saturating_sub(unknown));
    let mut end = start;
    let time = |t: &Timed| {
        let begin = t.begin.unwrap_or(end);
        end = begin + t.ticks;
        StepTime {
            step: t.step,
            dispatches: t.dispatches,
            begin: begin.saturating_sub(start) as f64 * period,
            seconds: t.ticks as f64 * period,
            track: t.lane,
        }
    };
    all.iter().map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of the host stand where they ran: before, between and behind those that the device has timed.
    #[test]
    fn steps_stand_in_line() {
        let timed = |step, begin, ticks| Timed { step, dispatches: 1, lane: 0, begin, ticks };
        let all = [
            timed(0, None, 5),
            timed(1, None, 7),
            timed(2, Some(1000), 10),
            timed(3, None, 20),
            timed(4, Some(1050), 1),
        ];
        let line = |all: &[Timed]| in_line(all, 0.5).iter().map(|t| (t.step, t.begin, t.seconds)).collect::<Vec<_>>();
        assert_eq!(line(&all), [(0, 0.0, 2.5), (1, 2.5, 3.5), (2, 6.0, 5.0), (3, 11.0, 10.0), (4, 31.0, 0.5)]);
        assert_eq!(line(&all[..2]), [(0, 0.0, 2.5), (1, 2.5, 3.5)]);
        assert_eq!(line(&all[2..]), [(2, 0.0, 5.0), (3, 5.0, 10.0), (4, 25.0, 0.5)]);
    }
}
