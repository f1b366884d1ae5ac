//! Containers whose sub-linops run on several queues: the bits of one queue, under any delay between the queues.

use crate::common::bits;
use crate::common::data::complex;
use crate::rig::{self, adapter, healthy};
use crate::sets::{alike, containers, unlike};
use crate::table::Behaviour;
use linops::gpu::GpuOptions;
use linops::internal::Schedule;
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, Tensor, linop};

fn on(device: &Device, a: &Linop, x: &Tensor) -> Vec<(u32, u32)> {
    let y = a.apply(&x.to(device).unwrap()).unwrap();
    bits(&y.to(&Device::host()).unwrap().to_array().unwrap())
}

fn workers(a: &Linop, num_workers: Option<usize>) -> Linop {
    a.with_settings(ThreadSettings { threaded: true, num_workers })
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn every_container_has_the_bits_of_one_queue() {
    let one = Device::over_lanes(adapter(), rig::one_queue(), GpuOptions::default());
    let nested = linop::add(vec![linop::add(unlike()).unwrap(), linop::add(alike(3)).unwrap(), unlike()[1].clone()]);
    let mut all = containers(&unlike());
    all.push(("nested", nested.unwrap()));
    for queues in [2, 3] {
        let (lanes, watch) = rig::queues(queues, Behaviour { chaos: Some(queues as u64), no_waits: false });
        let several = Device::over_lanes(adapter(), lanes, GpuOptions::default());
        for (name, a) in &all {
            for (what, a) in [("", a.clone()), ("adjoint of ", a.h()), ("normal of ", a.n())] {
                let x = complex(a.input().unwrap(), 1);
                let want = on(&one, &a, &x);
                for count in [None, Some(2), Some(3), Some(unlike().len() + 3)] {
                    let a = workers(&a, count);
                    let schedule = a.plan(&several, DType::Complex32).unwrap().regions[0].schedule;
                    assert_eq!(schedule, Schedule::Queues, "{what}{name}");
                    let same = (0..3).all(|_| on(&several, &a, &x) == want);
                    assert!(same, "{what}{name}, {count:?} workers, {queues} queues");
                }
                let serial = a.with_settings(ThreadSettings { threaded: false, num_workers: None });
                for serial in [workers(&a, Some(1)), serial] {
                    assert!(on(&several, &serial, &x) == want, "{what}{name}, one after the other");
                }
            }
        }
        let gpu = several.as_gpu().unwrap();
        assert!((0..queues).all(|lane| gpu.lane_counts(lane).submits > 0 && gpu.lane_counts(lane).waits > 0));
        several.wait().unwrap();
        drop(several);
        healthy(&watch);
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn applies_at_the_same_time_do_not_meet() {
    let one = Device::over_lanes(adapter(), rig::one_queue(), GpuOptions::default());
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(9), no_waits: false });
    let several = Device::over_lanes(adapter(), lanes, GpuOptions::default());
    let a = linop::add(unlike()).unwrap().n();
    let inputs: Vec<Tensor> = (0..3).map(|k| complex(a.input().unwrap(), k)).collect();
    let wants: Vec<_> = inputs.iter().map(|x| on(&one, &a, x)).collect();
    std::thread::scope(|s| {
        for (x, want) in inputs.iter().zip(&wants) {
            let (a, several) = (&a, &several);
            s.spawn(move || (0..8).for_each(|_| assert!(on(several, a, x) == *want)));
        }
    });
    several.wait().unwrap();
    drop(several);
    healthy(&watch);
}

/// The tests above could not fail if the virtual queues were in order by themselves.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn without_waits_the_bits_are_wrong() {
    let one = Device::over_lanes(adapter(), rig::one_queue(), GpuOptions::default());
    let (lanes, _watch) = rig::queues(3, Behaviour { chaos: Some(4), no_waits: true });
    let several = Device::over_lanes(adapter(), lanes, GpuOptions::default());
    let a = workers(&linop::add(unlike()).unwrap().n(), Some(3));
    let wrong = (0..60u64).any(|k| {
        let x = complex(a.input().unwrap(), k);
        on(&several, &a, &x) != on(&one, &a, &x)
    });
    assert!(wrong, "the waits are not needed, or the queues never run apart");
}
