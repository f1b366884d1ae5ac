//! At most `num_workers` private results exist at once.

use crate::common::data::complex;
use crate::common::devices;
use crate::sets::{alike, unlike};
#[cfg(feature = "gpu")]
use linops::internal::Schedule;
use linops::internal::{Target, size_class};
use linops::linop::FftOptions;
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, linop};

fn workers(a: &Linop, k: usize) -> Linop {
    a.with_settings(ThreadSettings { threaded: true, num_workers: Some(k) })
}

/// Scratch and result of the largest of these linops, each planned alone.
fn largest(linops: &[Linop], device: &Device) -> u64 {
    let one = |l: &Linop| {
        let plan = l.plan(device, DType::Complex32).unwrap();
        plan.memory.scratch_bytes() + size_class(8 * l.output().unwrap().len() as u64)
    };
    linops.iter().map(one).max().unwrap()
}

#[test]
fn host_scratch_is_bounded_by_the_workers() {
    for linops in [alike(16), unlike()] {
        for a in [linop::add(linops.clone()).unwrap(), linop::stack(linops.clone(), None, Some(("B", 2))).unwrap()] {
            let bound = largest(&linops, &Device::host());
            for k in [1, 2, 3, 8] {
                let plan = workers(&a, k).plan(&Device::host(), DType::Complex32).unwrap();
                assert!(plan.memory.scratch_bytes() <= k as u64 * bound, "{k} workers\n{plan}");
                assert_eq!(plan.target, Target::Host);
            }
        }
    }
}

/// Sub-linops that need `of` times as much each.
fn unequal(of: &[usize]) -> Vec<Linop> {
    let one = |(k, &m): (usize, &usize)| {
        let repeat = linop::repeat("N=1024", format!("M={m}")).unwrap();
        let f = linop::fft(repeat.output().unwrap(), "N", FftOptions::default()).unwrap();
        let weight = linop::diagonal(f.output().unwrap(), &complex(f.output().unwrap(), k as u64)).unwrap();
        let sum = linop::sum(f.output().unwrap(), "M").unwrap();
        (sum * weight * f * repeat).out("N").unwrap()
    };
    of.iter().enumerate().map(one).collect()
}

#[test]
fn unequal_sub_linops_share_frames_of_the_largest() {
    for of in [&[64, 16, 4, 1][..], &[1, 4, 16, 64], &[81, 27, 9, 3, 1]] {
        for device in devices() {
            let linops = unequal(of);
            for k in 1..=of.len() {
                let plan = workers(&linop::add(linops.clone()).unwrap(), k).plan(&device, DType::Complex32).unwrap();
                let bound = k as u64 * largest(&linops, &device);
                assert!(plan.memory.scratch_bytes() <= bound, "{of:?}, {k} workers: bound {bound}\n{plan}");
            }
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn batches_take_no_more_than_as_many_alone() {
    let Some(device) = crate::common::gpu() else { return };
    for (rows, n) in [(256, 3), (256, 5), (256, 7), (256, 9), (100, 3), (100, 6), (100, 12), (191, 5)] {
        let shape = format!("Y={rows} X=64");
        let one = |k| {
            let f = linop::fft(&shape[..], "X", FftOptions::default()).unwrap().out("Y X").unwrap();
            f * linop::diagonal(&shape[..], &complex(&shape[..], k)).unwrap()
        };
        let linops: Vec<Linop> = (0..n as u64).map(one).collect();
        for k in 2..=n {
            let plan = workers(&linop::add(linops.clone()).unwrap(), k).plan(&device, DType::Complex32).unwrap();
            let bound = k as u64 * largest(&linops, &device);
            assert!(plan.memory.scratch_bytes() <= bound, "{n} of {rows}, {k} workers: bound {bound}\n{plan}");
            assert!(plan.regions[0].schedule == Schedule::Batched && plan.regions[0].in_flight <= k);
        }
    }
}

#[test]
fn more_workers_take_more_and_one_takes_least() {
    let a = linop::add(alike(16)).unwrap();
    let scratch = |k| workers(&a, k).plan(&Device::host(), DType::Complex32).unwrap().memory.scratch_bytes();
    assert!(scratch(1) < scratch(4) && scratch(4) < scratch(16));
    assert_eq!(scratch(16), scratch(17));
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn device_memory_is_bounded_by_the_workers() {
    use crate::common::gpu_with;
    use linops::gpu::GpuOptions;
    for linops in [alike(16), unlike()] {
        for (schedule, a) in [
            ("sum", linop::add(linops.clone()).unwrap()),
            ("rows", linop::concat(linops.clone(), None, Some("Y")).unwrap()),
            ("columns", linop::concat(linops.clone(), None, Some("X")).unwrap()),
        ] {
            for k in [1, 2, 5, 16] {
                let Some(device) = gpu_with(GpuOptions::default()) else { return };
                let a = workers(&a, k);
                let x = complex(a.input().unwrap(), 1).to(&device).unwrap();
                a.prepare(&device, DType::Complex32).unwrap();
                let memory = || device.as_gpu().unwrap().memory();
                let before = memory().in_use;
                let y = a.apply(&x).unwrap();
                device.wait().unwrap();
                let output = size_class(8 * y.shape().len() as u64);
                let bound = output + k as u64 * largest(&linops, &device) + 4096;
                let used = memory().peak - before;
                assert!(used <= bound, "{schedule}, {k} workers: {used} bytes, bound {bound}");
                // A batched dispatch of several counts as several in flight.
                let plan = a.plan(&device, DType::Complex32).unwrap();
                assert!(plan.regions.iter().all(|r| r.in_flight <= k), "{:?}", plan.regions);
                if k == 1 {
                    assert!(plan.regions.iter().all(|r| r.schedule == Schedule::Sequential), "{:?}", plan.regions);
                }
            }
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn the_same_linop_twice_shares_its_tensors() {
    use crate::common::gpu_with;
    use linops::gpu::GpuOptions;
    let Some(device) = gpu_with(GpuOptions::default()) else { return };
    let weight = complex("N=100000", 1);
    let a = linop::diagonal("N=100000", &weight).unwrap() * linop::flip("N=100000", "N").unwrap();
    let twice = linop::add(vec![a.clone(), a.clone()]).unwrap();
    let before = device.as_gpu().unwrap().memory().in_use;
    twice.prepare(&device, DType::Complex32).unwrap();
    let constants = device.as_gpu().unwrap().memory().in_use - before;
    assert!(constants < 2 * 8 * 100_000, "{constants} bytes: the weight is there twice");
    let x = complex("N=100000", 2);
    let once = a.apply(&x).unwrap().to_array().unwrap();
    let y = twice.apply(&x.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
    let off = y.iter().zip(&once).map(|(y, o)| (y - 2.0 * o).norm()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
}
