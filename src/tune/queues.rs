//! Whether several queues of a GPU are worth it: sums of unlike sub-linops, on one queue in waves and on several.

use super::{OnQueues, QueuesTuned, SumTimes, median, same};
use crate::allocate::collected;
use crate::error::{Error, Result};
use crate::gpu::queues::MeasuredQueues;
use crate::gpu::{Choice, GpuOptions, Rung};
use crate::linop::{self, FftOptions, Linop};
use crate::planner::queue_share;
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use num_complex::Complex32;
use std::time::Instant;

/// Sub-linops of the sums: a whole number for each queue.
const SUB_LINOPS: usize = 4;
/// Applies of a measurement, without a wait in between.
const APPLIES: usize = 8;
/// Each size of a sum is so many times the one before.
const STEP: usize = 8;
const SIZES: u32 = 3;

/// The queues of the adapter that is called as this device; None where it has one.
pub(super) fn tuned(device: &Device, elements: usize, rounds: usize, gain: f64) -> Result<Option<QueuesTuned>> {
    let Some(gpu) = device.as_gpu() else { return Ok(None) };
    let most = gpu.hardware_queues();
    let open = |queues: u32| {
        let options = GpuOptions::default().queues(Some(queues));
        Device::gpu_with(Choice::Named(gpu.name()), options)
    };
    let all: Vec<Device> = [2, 4].into_iter().filter(|n| *n <= most).map(open).collect::<Result<_>>()?;
    let several: Vec<&Device> = all.iter().filter(|d| lanes(d).is_some()).collect();
    if several.is_empty() {
        return Ok(None);
    }
    measured(&open(1)?, &several, elements, rounds, gain).map(Some)
}

/// How many queues a device is over, where that is more than one.
fn lanes(device: &Device) -> Option<u32> {
    let report = device.as_gpu()?.lanes();
    (report.rung == Rung::HardwareQueues).then_some(report.queues as u32)
}

/// Sums on a device of one queue and on those of several of the same adapter: of about `elements`, and of less. Several are taken that
/// are `gain` times as fast from some size on.
///
/// # Errors
/// A device fails; one of `several` is not over several queues.
#[doc(hidden)]
pub fn measured(one: &Device, several: &[&Device], elements: usize, rounds: usize, gain: f64) -> Result<QueuesTuned> {
    let sizes = (0..SIZES).rev().map(|k| (elements / STEP.pow(k)).max(4));
    let sums = sizes.map(|n| times(one, several, n, rounds)).collect::<Result<Vec<_>>>()?;
    let MeasuredQueues { queues, least_work } = taken(&sums, gain);
    Ok(QueuesTuned { sums, queues, least_work })
}

/// The number of queues that gains the most where there is the most to do, and what it gains from.
fn taken(sums: &[SumTimes], gain: f64) -> MeasuredQueues {
    let mut best = MeasuredQueues { queues: 1, least_work: 0 };
    let mut most = 0.0;
    for (at, largest) in sums.last().iter().flat_map(|s| s.several.iter().enumerate()) {
        let gain_of = |s: &SumTimes| s.several.get(at).and_then(|q| q.seconds).map_or(0.0, |t| s.one_queue / t);
        // From the largest down, as far as it gains.
        let gaining = sums.iter().rev().take_while(|s| gain_of(s) >= gain).last();
        let largest_gain = sums.last().map_or(0.0, gain_of);
        if let Some(first) = gaining
            && largest_gain > most
        {
            most = largest_gain;
            best = MeasuredQueues { queues: largest.queues, least_work: first.several[at].work };
        }
    }
    best
}

fn times(one: &Device, several: &[&Device], elements: usize, rounds: usize) -> Result<SumTimes> {
    let (a, x) = sum(elements)?;
    let on = |device: &Device| x.to(device);
    let want = bits(&a.apply(&on(one)?)?)?;
    let mut all = vec![on(one)?];
    let mut made = Vec::new();
    for device in several {
        let queues = lanes(device).ok_or_else(|| Error::Device(format!("{device} is not over several queues")))?;
        let plan = a.plan(device, DType::Complex32)?;
        let x = on(device)?;
        let right = (0..2).map(|_| bits(&a.apply(&x)?)).collect::<Result<Vec<_>>>()?.iter().all(|b| same(b, &want));
        made.push((OnQueues { queues, work: queue_share(&plan, queues as usize), seconds: None }, right));
        all.push(x);
    }
    drop(want);
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for round in 0..=rounds {
        for (x, seconds) in all.iter().zip(&mut seconds) {
            let device = x.device();
            let begin = Instant::now();
            (0..APPLIES).try_for_each(|_| a.apply(x).map(drop))?;
            device.wait()?;
            // The first round warms up.
            if round > 0 {
                seconds.push(begin.elapsed().as_secs_f64() / APPLIES as f64);
            }
        }
    }
    let mut medians = seconds.into_iter().map(|s| median(s).unwrap_or(f64::INFINITY));
    let one_queue = medians.next().unwrap_or(f64::INFINITY);
    let several =
        made.into_iter().zip(medians).map(|((q, right), s)| OnQueues { seconds: right.then_some(s), ..q }).collect();
    Ok(SumTimes { elements, one_queue, several })
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
                OnQueues { queues, work: work / u64::from(queues), seconds: *s }
            };
            SumTimes { elements: 1, one_queue: *one, several: several.iter().enumerate().map(on).collect() }
        };
        times.iter().map(sum).collect()
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
            assert_eq!(taken(&sums(&times), 1.1), MeasuredQueues { queues, least_work }, "{times:?}");
        }
    }
}
