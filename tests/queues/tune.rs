//! Whether several queues are worth it, measured.

use crate::rig::{self, adapter};
use crate::table::Behaviour;
use linops::Device;
use linops::gpu::GpuOptions;
use linops::internal::measured_queues;

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
    let tuned = |gain: f64| measured_queues(&one, &[&two, &four], 1 << 12, 1, gain).unwrap();
    let any = tuned(0.0);
    assert_eq!(any.sums.len(), 3);
    assert!(any.sums.windows(2).all(|s| s[0].elements < s[1].elements && s[0].several[0].work < s[1].several[0].work));
    for s in &any.sums {
        let queues: Vec<u32> = s.several.iter().map(|q| q.queues).collect();
        assert_eq!(queues, [2, 4]);
        assert!(s.one_queue > 0.0 && s.several.iter().all(|q| q.seconds.is_some_and(|t| t > 0.0)), "{s:?}");
        // Each has half of the work, or a quarter.
        assert!(s.several[0].work.abs_diff(2 * s.several[1].work) <= 2, "{s:?}");
    }
    // Whatever they gain, they are taken from the smallest on; and never where nothing is enough.
    let at = [2, 4].iter().position(|n| *n == any.queues).expect("several are taken");
    assert_eq!(any.least_work, any.sums[0].several[at].work);
    let none = tuned(1e9);
    assert_eq!((none.queues, none.least_work), (1, 0));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn one_queue_is_not_several() {
    let one = device(rig::one_queue());
    let e = measured_queues(&one, &[&one], 64, 1, 1.0).unwrap_err().to_string();
    assert!(e.contains("not over several queues"), "{e}");
}
