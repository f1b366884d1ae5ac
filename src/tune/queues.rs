//! Whether several queues of a GPU are worth it: sums of unlike sub-linops, on one queue in waves and on several.

use super::{OnQueues, QueuesTuned, SumTimes, median, same};
use crate::allocate::collected;
use crate::error::{Error, Result};
use crate::gpu::queues::MeasuredQueues;
use crate::gpu::{CompiledPlan, Gpu, GpuOptions, Rung};
use crate::linop::{self, FftOptions, Linop};
use crate::plan::PlanOptions;
use crate::planner::queue_share;
use crate::run::{Device, Kind};
use crate::tensor::{DType, Tensor};
use num_complex::Complex32;
use std::sync::Arc;
use std::time::Instant;

/// Sub-linops of the sums: a whole number for each queue.
const SUB_LINOPS: usize = 4;
/// Applies of a measurement, without a wait in between.
const APPLIES: usize = 8;
/// Each size of a sum is so many times the one before.
const STEP: usize = 8;
const SIZES: u32 = 3;

/// What several queues have to reach to be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// From some size on, a sum that is spread over them is so many times as fast.
    pub gain: f64,
    /// At no size does anything else take more than so many times as long: a sum in waves, one kernel.
    pub cost: f64,
}

/// The queues of this device's adapter; None where it has one.
pub(super) fn tuned(device: &Device, elements: usize, rounds: usize, bar: Bar) -> Result<Option<QueuesTuned>> {
    let Some(gpu) = device.as_gpu() else { return Ok(None) };
    let most = gpu.hardware_queues();
    let open = |queues: u32| {
        let options = GpuOptions::default().queues(Some(queues));
        Ok(Device(Kind::Gpu(gpu.again(options)?)))
    };
    let all = [2, 4].into_iter().filter(|n| *n <= most).map(open).collect::<Result<Vec<Device>>>()?;
    let several: Vec<&Device> = all.iter().filter(|d| lanes(d).is_some()).collect();
    if several.is_empty() {
        return Ok(None);
    }
    measured(&open(1)?, &several, elements, rounds, bar).map(Some)
}

/// How many queues a device is over, where that is more than one.
fn lanes(device: &Device) -> Option<u32> {
    let report = device.as_gpu()?.lanes();
    (report.rung == Rung::HardwareQueues).then_some(report.queues as u32)
}

/// Sums on a device of one queue and on those of several of the same adapter: of about `elements`, and of less.
///
/// # Errors
/// A device fails; one of `several` is not over several queues, or may not have several sub-linops in flight.
#[doc(hidden)]
pub fn measured(one: &Device, several: &[&Device], elements: usize, rounds: usize, bar: Bar) -> Result<QueuesTuned> {
    let sizes = (0..SIZES).rev().map(|k| (elements / STEP.pow(k)).max(4));
    let sums = sizes.map(|n| times(one, several, n, rounds)).collect::<Result<Vec<_>>>()?;
    let MeasuredQueues { queues, least_work } = taken(&sums, bar);
    Ok(QueuesTuned { sums, queues, least_work })
}

/// The number of queues that gains the most where there is the most to do, of those that cost other work nothing, and what it gains
/// from.
fn taken(sums: &[SumTimes], bar: Bar) -> MeasuredQueues {
    let mut best = MeasuredQueues { queues: 1, least_work: 0 };
    let mut most = 0.0;
    for (at, largest) in sums.last().iter().flat_map(|s| s.several.iter().enumerate()) {
        let gain_of = |s: &SumTimes| s.several.get(at).and_then(|q| q.seconds).map_or(0.0, |t| s.one_queue / t);
        // From the largest down, as far as it gains.
        let gaining = sums.iter().rev().take_while(|s| gain_of(s) >= bar.gain).last();
        let largest_gain = sums.last().map_or(0.0, gain_of);
        let cost_of = |s: &SumTimes| s.several.get(at).map_or(f64::INFINITY, |q| s.cost(q));
        if let Some(first) = gaining
            && largest_gain > most
            && sums.iter().all(|s| cost_of(s) <= bar.cost)
        {
            most = largest_gain;
            best = MeasuredQueues { queues: largest.queues, least_work: first.several[at].work };
        }
    }
    best
}

/// A sum on a device: spread over its queues, in waves on one of them, and one kernel.
struct On<'a> {
    gpu: &'a Arc<Gpu>,
    sum: &'a Linop,
    kernel: &'a Linop,
    waves: Arc<CompiledPlan>,
    x: Tensor,
}

impl On<'_> {
    fn new<'a>(device: &'a Device, sum: &'a Linop, kernel: &'a Linop, x: &Tensor) -> Result<On<'a>> {
        let Kind::Gpu(gpu) = &device.0 else { return Err(not_several(device)) };
        let options = PlanOptions { queue_work: u64::MAX, ..device.plan_options() };
        let waves = sum.compiled_with(device, DType::Complex32, options)?;
        let waves = waves.into_gpu().ok_or_else(|| not_several(device))?;
        Ok(On { gpu, sum, kernel, waves, x: x.to(device)? })
    }

    /// Seconds of an apply of each.
    fn seconds(&self) -> Result<[f64; 3]> {
        let timed = |apply: &dyn Fn() -> Result<()>| -> Result<f64> {
            let begin = Instant::now();
            (0..APPLIES).try_for_each(|_| apply())?;
            self.x.device().wait()?;
            Ok(begin.elapsed().as_secs_f64() / APPLIES as f64)
        };
        Ok([
            timed(&|| self.sum.apply(&self.x).map(drop))?,
            timed(&|| self.waves.apply(self.gpu, &self.x, self.x.shape().clone()).map(drop))?,
            timed(&|| self.kernel.apply(&self.x).map(drop))?,
        ])
    }
}

fn not_several(device: &Device) -> Error {
    Error::Device(format!("{device} is not over several queues"))
}

/// A sum that was not spread has not been measured.
fn not_spread(device: &Device, queues: u32) -> Error {
    let why = match device.lanes() {
        Some(n) => format!(
            "at most {n} sub-linops may be in flight on {device} (--lanes, LINOPS_LANES, Device::set_lanes); let at least 2 be"
        ),
        None => format!("{device} keeps it on one"),
    };
    Error::Value(format!("a sum that was to be timed on {queues} queues is not spread over them: {why}"))
}

fn times(one: &Device, several: &[&Device], elements: usize, rounds: usize) -> Result<SumTimes> {
    let (a, x) = sum(elements)?;
    let kernel = linop::diagonal(x.shape().to_string(), &x)?;
    let want = bits(&a.apply(&x.to(one)?)?)?;
    let mut all = vec![On::new(one, &a, &kernel, &x)?];
    let mut made = Vec::new();
    for device in several {
        let queues = lanes(device).ok_or_else(|| not_several(device))?;
        let plan = a.plan(device, DType::Complex32)?;
        let work = queue_share(&plan, queues as usize).ok_or_else(|| not_spread(device, queues))?;
        let on = On::new(device, &a, &kernel, &x)?;
        let right = (0..2).map(|_| bits(&a.apply(&on.x)?)).collect::<Result<Vec<_>>>()?.iter().all(|b| same(b, &want));
        made.push((queues, work, right));
        all.push(on);
    }
    drop(want);
    let mut seconds = vec![[Vec::new(), Vec::new(), Vec::new()]; all.len()];
    for round in 0..=rounds {
        for (on, seconds) in all.iter().zip(&mut seconds) {
            let of = on.seconds()?;
            // The first round warms up.
            if round > 0 {
                seconds.iter_mut().zip(of).for_each(|(list, s)| list.push(s));
            }
        }
    }
    let medians = |s: [Vec<f64>; 3]| s.map(|s| median(s).unwrap_or(f64::INFINITY));
    let mut medians = seconds.into_iter().map(medians);
    // On one queue the sum is in waves.
    let [one_queue, _, one_kernel] = medians.next().unwrap_or([f64::INFINITY; 3]);
    let on = |((queues, work, right), [spread, waves, one_kernel]): ((u32, u64, bool), [f64; 3])| OnQueues {
        queues,
        work,
        seconds: right.then_some(spread),
        waves,
        one_kernel,
    };
    Ok(SumTimes { elements, one_queue, one_kernel, several: made.into_iter().zip(medians).map(on).collect() })
}

/// A sum of transforms that differ, so that none of them share a dispatch, and what it is applied to.
fn sum(elements: usize) -> Result<(Linop, Tensor)> {
    let side = ((elements as f64).sqrt() as usize).max(2);
    let shape = format!("Y={side} X={side}");
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let values = collected((0..side * side).map(|_| Complex32::new(next(), next())), side * side)?;
    let x = Tensor::of_values(shape.parse()?, values)?;
    let fft = || linop::fft(&shape[..], "Y X", FftOptions::default())?.out("Y X");
    let one = |k: i64| -> Result<Linop> {
        let roll = linop::roll(&shape[..], &[("X", k), ("Y", 2 * k)])?;
        linop::chain(vec![linop::diagonal(&shape[..], &x)?, fft()?, roll, fft()?])
    };
    let all = (1..=SUB_LINOPS as i64).map(one).collect::<Result<Vec<_>>>()?;
    Ok((linop::add(all)?, x))
}

fn bits(y: &Tensor) -> Result<Vec<[u32; 2]>> {
    let values = y.to(&Device::host())?.to_vec()?;
    Ok(values.iter().map(|v| [v.re.to_bits(), v.im.to_bits()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(times: &[(u64, f64, [Option<f64>; 2])]) -> Vec<SumTimes> {
        let sum = |(work, one, several): &(u64, f64, [Option<f64>; 2])| {
            let on = |(k, s): (usize, &Option<f64>)| {
                let queues = [2, 4][k];
                OnQueues { queues, work: work / u64::from(queues), seconds: *s, waves: *one, one_kernel: 0.1 }
            };
            let several = several.iter().enumerate().map(on).collect();
            SumTimes { elements: 1, one_queue: *one, one_kernel: 0.1, several }
        };
        times.iter().map(sum).collect()
    }

    const BAR: Bar = Bar { gain: 1.1, cost: 1.05 };

    /// Queues that slow down what is not spread over them are not taken, whatever they gain.
    #[test]
    fn queues_that_cost_other_work_are_not_taken() {
        let times = [(100, 1.0, [Some(3.0), Some(4.0)]), (800, 4.0, [Some(2.0), Some(1.0)])];
        let taken = |change: &dyn Fn(&mut [SumTimes])| {
            let mut sums = sums(&times);
            change(&mut sums);
            taken(&sums, BAR)
        };
        let (two, four) =
            (MeasuredQueues { queues: 2, least_work: 400 }, MeasuredQueues { queues: 4, least_work: 200 });
        assert_eq!(taken(&|_| ()), four);
        // One kernel, or a sum in waves, at either size.
        assert_eq!(taken(&|s| s[0].several[1].one_kernel = 0.104), four);
        assert_eq!(taken(&|s| s[0].several[1].one_kernel = 0.106), two);
        assert_eq!(taken(&|s| s[1].several[1].waves = 4.3), two);
        let both = |s: &mut [SumTimes]| s[0].several.iter_mut().for_each(|q| q.waves = 1.1);
        assert_eq!(taken(&both), MeasuredQueues { queues: 1, least_work: 0 });
    }

    /// The number of queues that gains the most at the largest size, from where on it gains without a gap.
    #[test]
    fn queues_are_taken_from_where_on_they_gain() {
        let (some, none) = (Some, None);
        for (times, queues, least_work) in [
            // Nowhere, or not enough.
            (vec![(100, 1.0, [some(3.0), some(4.0)]), (800, 1.0, [some(0.95), some(2.0)])], 1, 0),
            // Two from the middle on; four are slower than two.
            (
                vec![
                    (100, 1.0, [some(3.0), some(4.0)]),
                    (800, 2.0, [some(1.5), some(2.0)]),
                    (6400, 9.0, [some(5.0), some(6.0)]),
                ],
                2,
                400,
            ),
            // Four, though two would gain earlier.
            (vec![(100, 1.0, [some(0.5), some(2.0)]), (800, 4.0, [some(3.0), some(1.5)])], 4, 200),
            // Noise at the small end is not taken for a gain.
            (
                vec![(100, 1.0, [some(0.5), none]), (800, 2.0, [some(2.5), none]), (6400, 9.0, [some(5.0), none])],
                2,
                3200,
            ),
            // Other bits are no gain.
            (vec![(100, 1.0, [none, none])], 1, 0),
            (vec![], 1, 0),
        ] {
            assert_eq!(taken(&sums(&times), BAR), MeasuredQueues { queues, least_work }, "{times:?}");
        }
    }
}
