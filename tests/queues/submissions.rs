//! How often work is submitted: a container once for each lane and once for its joins, and what is on one lane with it.

use crate::common::bits;
use crate::common::data::complex;
use crate::rig::{self, adapter, healthy};
use crate::sets::{SHAPE, unlike};
use crate::table::{Behaviour, Watch};
use linops::gpu::{GpuOptions, LaneCounts};
use linops::internal::{GpuLimits, KernelShape, PlanOptions, Schedule, Target};
use linops::linop::{self, FftOptions};
use linops::program::ThreadSettings;
use linops::solve::{SolveOptions, cg};
use linops::{Device, Linop, Tensor};
use std::sync::Arc;

fn several(queues: usize) -> (Device, Arc<Watch>) {
    let (lanes, watch) = rig::queues(queues, Behaviour { chaos: Some(3), no_waits: false });
    (Device::over_lanes(adapter(), lanes, GpuOptions::default()), watch)
}

fn fft() -> Linop {
    linop::fft(SHAPE, "Y X", FftOptions::default()).unwrap().out("Y X").unwrap()
}

/// Chains of several kernels, no two of one structure.
fn chains(count: usize) -> Vec<Linop> {
    let one = |k: usize| {
        let (y, x) = ((k % 12) as i64, (k / 12) as i64);
        let weight = linop::diagonal(SHAPE, &complex(SHAPE, k as u64)).unwrap();
        fft() * linop::roll(SHAPE, &[("Y", y), ("X", x + 1)]).unwrap() * fft() * weight
    };
    (0..count).map(one).collect()
}

fn workers(a: &Linop, num_workers: usize) -> Linop {
    a.with_settings(ThreadSettings { threaded: true, num_workers: Some(num_workers) })
}

/// What the lanes do for an apply whose plan, scratch and result are there, with the bits of one queue.
fn counted(device: &Device, a: &Linop) -> Vec<LaneCounts> {
    let x = complex(a.input().unwrap(), 1);
    let here = x.to(device).unwrap();
    for _ in 0..2 {
        drop(a.apply(&here).unwrap());
    }
    let gpu = device.as_gpu().unwrap();
    let counts = || (0..gpu.lane_count()).map(|lane| gpu.lane_counts(lane)).collect::<Vec<_>>();
    let before = counts();
    let y = a.apply(&here).unwrap();
    let after = counts();
    let one = Device::over_lanes(adapter(), rig::one_queue(), GpuOptions::default());
    let values = |y: &Tensor| bits(&y.to(&Device::host()).unwrap().to_array().unwrap());
    assert!(values(&y) == values(&a.apply(&x.to(&one).unwrap()).unwrap()));
    let less = |(a, b): (&LaneCounts, &LaneCounts)| {
        let mut c = *a;
        (c.submits, c.commands, c.waits) = (a.submits - b.submits, a.commands - b.commands, a.waits - b.waits);
        c
    };
    after.iter().zip(&before).map(less).collect()
}

fn submits(counts: &[LaneCounts]) -> Vec<u64> {
    counts.iter().map(|c| c.submits).collect()
}

fn waits(counts: &[LaneCounts]) -> u64 {
    counts.iter().map(|c| c.waits).sum()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_container_is_a_submission_for_each_lane_and_one_for_the_joins() {
    for (queues, linops) in [(2, 8), (4, 32), (3, 2)] {
        let (device, watch) = several(queues);
        let lanes = queues.min(linops);
        let counts = counted(&device, &linop::add(chains(linops)).unwrap());
        let mut want = vec![1; lanes];
        want[0] = 2;
        want.resize(queues, 0);
        assert_eq!(submits(&counts), want, "{linops} on {queues}");
        assert!(counts.iter().all(|c| c.commands == c.submits), "{counts:?}");
        // Each other lane waits once, for the last use of its room, and the joins for each other lane.
        assert!(waits(&counts) <= 2 * (lanes as u64 - 1) + 1, "{counts:?}");
        assert!(counts[0].waits as usize >= lanes - 1, "{counts:?}");
        device.wait().unwrap();
        drop(device);
        healthy(&watch);
    }
}

/// As many as `num_workers` lets be in flight make a round.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn fewer_workers_make_rounds() {
    let (device, watch) = several(2);
    let a = linop::add(chains(8)).unwrap();
    for (num_workers, rounds) in [(8, 1), (4, 2), (3, 3), (2, 4)] {
        let counts = counted(&device, &workers(&a, num_workers));
        assert_eq!(submits(&counts), [2 * rounds, rounds], "{num_workers} workers");
    }
    assert_eq!(submits(&counted(&device, &workers(&a, 1))), [1, 0]);
    device.wait().unwrap();
    drop(device);
    healthy(&watch);
}

/// Results that lie beside each other are stored by the lanes at the same time; with nothing to join there are no rounds.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn parts_of_a_result_are_stored_side_by_side() {
    let (device, watch) = several(3);
    for axis in ["Y", "X"] {
        let a = linop::concat(chains(6), None, Some(axis)).unwrap();
        for a in [a.clone(), workers(&a, 3), workers(&a, 4)] {
            let plan = a.plan(&device, linops::DType::Complex32).unwrap();
            let stored = plan.regions[0].children.iter().all(|c| c.join.is_empty());
            let counts = counted(&device, &a);
            if stored {
                assert_eq!(submits(&counts), [1, 1, 1], "along {axis}");
                // Behind what the other lanes did in the memory of the result before.
                assert!(counts.iter().all(|c| c.waits <= 2), "{counts:?}");
            } else {
                assert_eq!(
                    counts[0].submits,
                    counts[1].submits + plan.regions[0].linops.div_ceil(plan.regions[0].in_flight) as u64
                );
            }
        }
    }
    let rows = linop::concat(chains(6), None, Some("Y")).unwrap();
    let plan = rows.plan(&device, linops::DType::Complex32).unwrap();
    assert!(plan.regions[0].children.iter().all(|c| c.join.is_empty()), "rows are stored where they belong");
    device.wait().unwrap();
    drop(device);
    healthy(&watch);
}

/// What comes before goes with the sub-linops of the first lane unless others wait for it; what comes behind goes with the joins.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn steps_around_a_container_go_with_its_submissions() {
    let (device, watch) = several(2);
    let sum = || linop::add(chains(8)).unwrap();
    assert_eq!(submits(&counted(&device, &(fft() * sum()))), [2, 1], "behind");
    assert_eq!(submits(&counted(&device, &(sum() * fft()))), [3, 1], "before, and read by all");
    assert_eq!(submits(&counted(&device, &(sum() * sum()))), [4, 2], "one container behind another");
    // The other term's kernels come before the container, which does not read them.
    let alone = ThreadSettings { threaded: false, num_workers: None };
    let both = linop::add(vec![fft() * linop::flip(SHAPE, "Y").unwrap() * fft(), sum()]).unwrap().with_settings(alone);
    assert_eq!(submits(&counted(&device, &both)), [2, 1], "before, and read by none");
    device.wait().unwrap();
    drop(device);
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn containers_within_run_on_the_lane_of_the_outer_one() {
    let (device, watch) = several(2);
    let all = vec![linop::add(unlike()).unwrap(), linop::add(chains(4)).unwrap(), unlike()[1].clone(), fft()];
    let a = linop::add(all).unwrap();
    let regions = a.plan(&device, linops::DType::Complex32).unwrap().regions.clone();
    let schedules: Vec<Schedule> = regions.iter().map(|r| r.schedule).collect();
    assert_eq!(schedules, [Schedule::Queues, Schedule::Waves, Schedule::Waves]);
    assert_eq!(submits(&counted(&device, &a)), [2, 1]);
    device.wait().unwrap();
    drop(device);
    healthy(&watch);
}

/// Containers whose lanes would have less to do than is worth it stay on one queue.
#[test]
fn a_container_with_little_to_do_shares_one_queue() {
    let target = Target::Gpu(GpuLimits::poorest(KernelShape::Gpu));
    let program = linop::add(chains(8)).unwrap().program().unwrap();
    let region = |queue_work: u64, lanes: Option<usize>| {
        let options = PlanOptions { queues: 2, queue_work, lanes, ..PlanOptions::default() };
        program.schedule_with(&target, true, &options).unwrap().regions[0].clone()
    };
    assert_eq!((region(0, None).schedule, &region(0, None).reason[..]), (Schedule::Queues, "2 queues"));
    let told = region(u64::MAX, None);
    assert_eq!(told.schedule, Schedule::Waves);
    let share: u64 = told.reason.split(' ').next().unwrap().parse().unwrap();
    // Four chains for each queue, of several kernels over 120 complex elements.
    assert!((4 * 8 * 120..100 * 8 * 120).contains(&share), "{told:?}");
    assert_eq!(region(share, None).schedule, Schedule::Queues);
    assert_eq!(region(share + 1, None).schedule, Schedule::Waves);
    // Rounds of two have a quarter each.
    assert_eq!(region(share / 4, Some(2)).schedule, Schedule::Queues);
    assert_eq!(region(share / 4 + 1, Some(2)).schedule, Schedule::Waves);
}

/// A solver whose operator is on one lane is submitted as on one queue: iterations together.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn iterations_of_a_solver_are_submitted_together() {
    let a = linop::diagonal(SHAPE, &complex(SHAPE, 1)).unwrap();
    let n = (fft() * a).n();
    let b = complex(SHAPE, 2);
    let run = |device: &Device| {
        let rhs = b.to(device).unwrap();
        let solve = || cg(&n, &rhs, SolveOptions::default().iterations(24)).unwrap();
        drop(solve());
        let before = device.as_gpu().unwrap().lane_counts(0).submits;
        let solution = solve();
        let submits = device.as_gpu().unwrap().lane_counts(0).submits - before;
        (submits, solution.iterations, bits(&solution.x.to(&Device::host()).unwrap().to_array().unwrap()))
    };
    let one = run(&Device::over_lanes(adapter(), rig::one_queue(), GpuOptions::default()));
    let (device, watch) = several(2);
    let two = run(&device);
    assert_eq!((one.1, &one.2), (two.1, &two.2));
    assert!(one.1 > 8, "{} iterations", one.1);
    // Each clear of new memory is one more.
    assert!(two.0 < one.0 + one.1 as u64, "{} submissions, {} on one queue, {} iterations", two.0, one.0, one.1);
    device.wait().unwrap();
    drop(device);
    healthy(&watch);
}
