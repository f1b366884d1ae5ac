//! The same bits on every rung of the ladder of lanes.

use crate::common::data::complex;
use crate::common::{apply_on, bits, gpu};
use crate::sets::{alike, containers, unlike};
use linops::gpu::Choice;
use linops::gpu::Rung;
use linops::internal::Schedule;
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, linop};

/// Two devices on the test's adapter as one: what several adapters are to a container.
fn two() -> Option<(Device, Device)> {
    let one = gpu()?;
    let name = one.name();
    let two = Device::gpus(&[Choice::Named(&name), Choice::Named(&name)]).unwrap();
    Some((one, two))
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_devices_give_the_bits_of_one() {
    let Some((one, two)) = two() else { return };
    let gpu = two.as_gpu().unwrap();
    assert_eq!((gpu.lanes().rung, gpu.lane_count()), (Rung::Devices, 2));
    let nested = linop::add(vec![linop::add(unlike()).unwrap(), linop::add(alike(3)).unwrap()]).unwrap();
    let all = containers(&unlike()).into_iter().chain([("nested", nested)]);
    for (name, a) in all {
        for (what, a) in [("", a.clone()), ("adjoint of ", a.h()), ("normal of ", a.n())] {
            let x = complex(a.input().unwrap(), 1);
            let want = bits(&apply_on(&one, &a, &x).unwrap());
            let more = Some(unlike().len() + 3);
            for (threaded, workers) in [(true, None), (true, more), (true, Some(2)), (true, Some(1)), (false, None)] {
                let a = a.with_settings(ThreadSettings { threaded, num_workers: workers });
                let schedule = a.plan(&two, DType::Complex32).unwrap().regions[0].schedule;
                let serial = !threaded || workers == Some(1);
                assert_eq!(schedule, if serial { Schedule::Sequential } else { Schedule::Queues });
                for _ in 0..3 {
                    let y = bits(&apply_on(&two, &a, &x).unwrap());
                    assert!(y == want, "{what}{name}, {workers:?} workers");
                }
            }
        }
    }
    // Both have worked.
    assert!(gpu.lane_counts(0).submits > 0 && gpu.lane_counts(1).submits > 0);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn devices_by_name() {
    let Some((one, _)) = two() else { return };
    let name = one.name();
    let both = Device::by_name(&format!("gpu:{name},gpu:{name}"));
    // A name with a comma in it cannot be told from two.
    if !name.contains(',') {
        assert_eq!(both.unwrap().as_gpu().unwrap().lane_count(), 2);
    }
    assert!(Device::by_name("gpu:a,host").unwrap_err().to_string().contains("gpu:NAME,gpu:NAME"));
    assert!(Device::gpus(&[]).is_err());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn memory_of_several_devices_does_not_grow() {
    let Some((_, two)) = two() else { return };
    let a: Linop = linop::add(unlike()).unwrap();
    let x = complex(a.input().unwrap(), 1).to(&two).unwrap();
    for _ in 0..2 {
        drop(a.apply(&x).unwrap());
    }
    let held = two.as_gpu().unwrap().memory();
    for _ in 0..20 {
        drop(a.apply(&x).unwrap());
    }
    assert_eq!(two.as_gpu().unwrap().memory(), held);
}
