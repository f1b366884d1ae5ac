//! Which schedule a container gets, and what is recorded for it.

use crate::common::data::complex;
use crate::common::{gpu, gpu_with};
use crate::sets::{SHAPE, alike, unlike};
use linops::gpu::GpuOptions;
use linops::internal::{Region, Schedule};
use linops::linop::{self, FftOptions};
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop};
use std::collections::HashSet;
use std::time::Instant;

fn region(a: &Linop, device: &Device) -> Region {
    a.plan(device, DType::Complex32).unwrap().regions[0].clone()
}

fn with(a: &Linop, threaded: bool, num_workers: Option<usize>) -> Linop {
    a.with_settings(ThreadSettings { threaded, num_workers })
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn the_planner_batches_what_is_alike_and_waves_what_is_not() {
    let Some(device) = gpu() else { return };
    let (same, other) = (linop::add(alike(8)).unwrap(), linop::add(unlike()).unwrap());
    let n = unlike().len();
    for (a, device, want, in_flight) in [
        (same.clone(), &device, Schedule::Batched, 8),
        (with(&same, true, Some(3)), &device, Schedule::Batched, 3),
        (with(&same, true, Some(1)), &device, Schedule::Sequential, 1),
        (with(&same, false, None), &device, Schedule::Sequential, 1),
        (other.clone(), &device, Schedule::Waves, n),
        (with(&other, true, Some(2)), &device, Schedule::Waves, 2),
        (same.clone(), &Device::host(), Schedule::Tasks, 8),
        (with(&same, false, None), &Device::host(), Schedule::Sequential, 1),
    ] {
        let r = region(&a, device);
        assert_eq!((r.schedule, r.in_flight), (want, in_flight), "{r:?}");
        assert!(!r.reason.is_empty() && r.waves > 0);
    }
    // A batch is as many dispatches as one sub-linop, and the additions: six results, then the other two.
    let kernels = |a: &Linop| a.plan(&device, DType::Complex32).unwrap().steps.len();
    assert_eq!(kernels(&same), kernels(&alike(1)[0]) + 2);
}

/// A kernel adds as many results as it binds, in their order.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn many_results_are_added_by_few_kernels() {
    let Some(device) = gpu() else { return };
    let rolls = |n: i64| linop::add((0..n).map(|k| linop::roll("N=500", &[("N", 3 * k + 1)]).unwrap())).unwrap();
    let kernels = |a: &Linop| a.plan(&device, DType::Complex32).unwrap().steps.len();
    // Six, then five more beside what there is.
    assert_eq!(kernels(&rolls(6)), 1);
    assert_eq!(kernels(&rolls(7)), 2);
    assert_eq!(kernels(&rolls(64)), 13);
    // No more results than may be in flight: pairs.
    assert_eq!(kernels(&with(&rolls(64), true, Some(2))), 32);
    assert_eq!(kernels(&with(&rolls(64), true, Some(1))), 64);
    let x = complex("N=500", 4).to(&device).unwrap();
    let bits = |a: &Linop| -> Vec<[u32; 2]> {
        let y = a.apply(&x).unwrap().to(&Device::host()).unwrap();
        y.to_vec().unwrap().iter().map(|v| [v.re.to_bits(), v.im.to_bits()]).collect()
    };
    let one_by_one = bits(&with(&rolls(64), false, None));
    for workers in [None, Some(2), Some(5), Some(7), Some(63)] {
        assert_eq!(bits(&with(&rolls(64), true, workers)), one_by_one, "{workers:?}");
    }
    device.wait().unwrap();
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn batches_are_no_larger_than_a_binding() {
    let Some(device) = gpu_with(GpuOptions::default().max_binding(Some(4096))) else { return };
    let r = region(&linop::add(alike(8)).unwrap(), &device);
    assert_eq!((r.schedule, r.in_flight), (Schedule::Batched, 3), "{r:?}");
    let large: Vec<Linop> = (0..3).map(|k| linop::diagonal("N=300", &complex("N=300", k)).unwrap()).collect();
    assert_eq!(region(&linop::add(large).unwrap(), &device).schedule, Schedule::Waves);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_wave_is_one_pass() {
    let Some(device) = gpu() else { return };
    // Unlike in their scalars only: three kernels each, side by side.
    let chain = |k: usize| {
        let f = linop::fft(SHAPE, "Y X", FftOptions::default()).unwrap().out("Y X").unwrap();
        (1.0 + k as f32) * (linop::flip(SHAPE, "Y").unwrap() * f)
    };
    let a = linop::add((0..6).map(chain)).unwrap();
    let x = complex(SHAPE, 1).to(&device).unwrap();
    let (_, report) = a.apply_reported(&x).unwrap();
    let plan = a.plan(&device, DType::Complex32).unwrap();
    assert_eq!(plan.regions[0].schedule, Schedule::Waves);
    let wide = plan.waves.iter().filter(|w| w.len() > 1).count();
    assert!(wide >= 2, "{:?}", plan.waves);
    // Waves of one step follow each other in one pass.
    let runs = plan.waves.chunk_by(|a, b| a.len() == 1 && b.len() == 1).count();
    assert_eq!((report.passes, report.submits, report.dispatches), (runs, 1, plan.steps.len()));
    assert_eq!(report.containers, plan.regions);
    // Side by side, nothing is written that another kernel of the wave touches.
    let slot = |v: linops::program::ValueId| plan.memory.slot_of[v.at()];
    for wave in plan.waves.iter().filter(|w| w.len() > 1) {
        for (i, &s) in wave.iter().enumerate() {
            let written = slot(plan.steps[s].store.value);
            for (k, &t) in wave.iter().enumerate().filter(|(k, _)| *k != i) {
                assert_ne!(written, slot(plan.steps[t].store.value), "{i} and {k}");
                assert!(plan.steps[t].loads().iter().all(|l| slot(l.value) != written || written.is_none()));
            }
        }
    }
    let adds = plan.steps.iter().filter(|s| s.name() == "add").count();
    assert_eq!(adds, 1);
    // A software driver dislikes a process that ends while it works.
    device.wait().unwrap();
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn long_lists_are_recorded_by_several_threads() {
    let Some(device) = gpu() else { return };
    // Waves of small kernels: more than two stretches of dispatches.
    let small = |k: usize| {
        let shape = format!("N={}", 8 + k % 5);
        let step = || linop::fft(&shape[..], "N", FftOptions::default()).unwrap().out("N").unwrap();
        let mut a = step();
        for s in 0..40 {
            a = linop::roll(&shape[..], &[("N", 1)]).unwrap() * step() * linop::flip(&shape[..], "N").unwrap() * a;
            a = if s % 2 == 0 {
                linop::diagonal(&shape[..], &complex(&shape[..], 7 * k as u64 + s)).unwrap() * a
            } else {
                a
            };
        }
        a
    };
    let a = linop::concat((0..64).map(small), Some("N"), Some("N")).unwrap();
    let x = complex(a.input().unwrap(), 1).to(&device).unwrap();
    let (y, report) = a.apply_reported(&x).unwrap();
    assert!(report.dispatches > 2048, "{report:?}");
    assert_eq!(report.recorders.len(), 2.max(report.recorders.len()));
    // Where the threads of the pool are busy or asleep, one of them may record it all, now and then.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let threads = |r: &linops::ApplyReport| r.recorders.iter().collect::<HashSet<_>>().len();
    let started = Instant::now();
    let mut again = || pool.install(|| threads(&a.apply_reported(&x).unwrap().1)) > 1;
    assert!(std::iter::repeat_with(&mut again).take_while(|_| started.elapsed().as_secs() < 60).any(|several| several));
    let host = a.apply(&x.to(&Device::host()).unwrap()).unwrap().to_array().unwrap();
    let y = y.to(&Device::host()).unwrap().to_array().unwrap();
    let (mut off, mut size) = (0.0, 0.0);
    for (a, b) in y.iter().zip(&host) {
        off += (a - b).norm_sqr();
        size += b.norm_sqr();
    }
    assert!(off.sqrt() < 2e-5 * size.sqrt());
}
