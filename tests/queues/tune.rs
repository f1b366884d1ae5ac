//! Whether several queues are worth it, measured.

use crate::rig::{self, adapter};
use crate::table::Behaviour;
use linops::Device;
use linops::gpu::GpuOptions;
use linops::internal::{QueuesBar, measured_queues};

fn device(lanes: linops::internal::queues::Lanes) -> Device {
    Device::over_lanes(adapter(), lanes, GpuOptions::default())
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn sums_are_timed_on_one_queue_and_on_several() {
    let one = device(rig::one_queue());
    let (two, _watch) = rig::queues(2, Behaviour::default());
    let (four, _watch) = rig::queues(4, Behaviour::default());
    let (two, four) = (device(two), device(four));
    let tuned =
        |gain: f64, cost: f64| measured_queues(&one, &[&two, &four], 1 << 12, 1, QueuesBar { gain, cost }).unwrap();
    let free = f64::INFINITY;
    let any = tuned(0.0, free);
    assert_eq!(any.sums.len(), 3);
    assert!(any.sums.windows(2).all(|s| s[0].elements < s[1].elements && s[0].several[0].work < s[1].several[0].work));
    for s in &any.sums {
        let queues: Vec<u32> = s.several.iter().map(|q| q.queues).collect();
        assert_eq!(queues, [2, 4]);
        assert!(s.one_queue > 0.0 && s.several.iter().all(|q| q.seconds.is_some_and(|t| t > 0.0)), "{s:?}");
        assert!(s.one_kernel > 0.0 && s.several.iter().all(|q| q.waves > 0.0 && q.one_kernel > 0.0), "{s:?}");
        // Each has half of the work, or a quarter.
        assert!(s.several[0].work.abs_diff(2 * s.several[1].work) <= 2, "{s:?}");
    }
    // Whatever they gain, they are taken from the smallest on; and never where nothing is enough.
    let at = [2, 4].iter().position(|n| *n == any.queues).expect("several are taken");
    assert_eq!(any.least_work, any.sums[0].several[at].work);
    for none in [tuned(1e9, free), tuned(0.0, 0.0)] {
        assert_eq!((none.queues, none.least_work), (1, 0));
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn one_queue_is_not_several() {
    let one = device(rig::one_queue());
    let e = measured_queues(&one, &[&one], 64, 1, QueuesBar { gain: 1.0, cost: 1.0 }).unwrap_err().to_string();
    assert!(e.contains("not over several queues"), "{e}");
}

/// What was not spread was not measured: no threshold of 0 comes of it.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_sum_that_is_not_spread_is_not_measured() {
    let one = device(rig::one_queue());
    let (two, _watch) = rig::queues(2, Behaviour::default());
    let two = device(two);
    two.set_lanes(Some(1));
    let e = measured_queues(&one, &[&two], 64, 1, QueuesBar { gain: 0.0, cost: 1e9 }).unwrap_err().to_string();
    assert!(e.contains("not spread") && e.contains("at most 1 sub-linops") && e.contains("LINOPS_LANES"), "{e}");
}
