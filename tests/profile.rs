//! Times of steps, and what devices can do at best.

mod common;

use common::data::complex;
use linops::linop::{self, FftOptions};
use linops::profile::{Clock, ProfileOptions, Roof, RoofOptions, Trace};
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, Result};
use ndarray::{ArrayView1, ArrayViewMut1};
use num_complex::Complex32;
use std::time::Duration;

fn options() -> ProfileOptions {
    ProfileOptions::default().runs(3).warm_up(1)
}

/// A transform, a matrix and a transform: nothing of it fuses.
fn chain() -> Result<Linop> {
    let small = linop::fft("N=7 T=3", "T", FftOptions::default())?.out("N T")?;
    let matrix = linop::dense("N=301 T=3", &complex("M=7 N=301", 1), "M T")?.out("N T")?;
    let large = linop::fft("N=301 T=3", "N", FftOptions::default())?.out("N T")?;
    linop::chain(vec![large, matrix, small])
}

fn whether_timestamps(device: &Device) -> bool {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.as_gpu() {
        return gpu.wgpu_device().features().contains(linops::wgpu::Features::TIMESTAMP_QUERY);
    }
    let _ = device;
    false
}

#[test]
fn a_profile_has_the_steps_of_the_plan() {
    let a = chain().unwrap();
    for device in common::devices() {
        let x = complex("N=301 T=3", 2).to(&device).unwrap();
        let before = common::bits(&a.apply(&x).unwrap().to(&Device::host()).unwrap().to_array().unwrap());
        let profile = a.profile(&x, &options()).unwrap();
        let plan = a.plan(&device, DType::Complex32).unwrap();
        let names: Vec<&str> = profile.steps.iter().map(|s| s.kernel).collect();
        assert_eq!(names, plan.steps.iter().map(|s| s.name()).collect::<Vec<_>>());
        assert_eq!((profile.runs, &profile.device), (3, &device.name()));
        let clock = if whether_timestamps(&device) { Clock::Timestamps } else { Clock::Host };
        assert_eq!(profile.clock, clock);
        for (s, step) in profile.steps.iter().zip(&plan.steps) {
            assert_eq!(s.cost, plan.step_cost(step));
            assert!(s.seconds > 0.0 && s.seconds < 10.0, "{s:?}");
            assert_eq!(s.dispatches > 0, !device.is_host(), "{s:?}");
        }
        assert_eq!(profile.largest(), profile.steps.iter().map(|s| s.bytes()).max().unwrap());
        assert!(profile.latency > 0.0);
        let after = common::bits(&a.apply(&x).unwrap().to(&Device::host()).unwrap().to_array().unwrap());
        assert_eq!(before, after);
    }
}

/// Transforms of a thousand lines take longer than those of one.
#[test]
fn heavy_steps_take_longer() {
    let lines = linop::fft("B=1000 N=240", "N", FftOptions::default()).unwrap().out("B N").unwrap();
    let sum = linop::sum("B=1000 N=240", "B").unwrap();
    let line = linop::fft("N=240", "N", FftOptions::default()).unwrap();
    let a = linop::chain(vec![lines, sum, line]).unwrap();
    for device in common::devices() {
        let x = complex("B=1000 N=240", 3).to(&device).unwrap();
        let profile = a.profile(&x, &options()).unwrap();
        let transforms = || profile.steps.iter().filter(|s| s.kernel.starts_with("fft"));
        let seconds =
            |heavy: bool| transforms().filter(|s| (s.bytes() > 1 << 20) == heavy).map(|s| s.seconds).sum::<f64>();
        assert!(seconds(false) > 0.0 && seconds(true) > 3.0 * seconds(false), "{profile:?}");
    }
}

/// Sub-linops as tasks, as waves, in turn: every step has one time, and a trace an event for each.
#[test]
fn every_step_of_a_container_has_its_time() {
    let one = |k: i64| -> Result<Linop> {
        let f = || linop::fft("A=6 B=10", "A B", FftOptions::default())?.out("A B");
        linop::chain(vec![f()?, linop::roll("A=6 B=10", &[("A", k), ("B", 1)])?, f()?])
    };
    let sum = linop::add((1..6).map(one).collect::<Result<Vec<_>>>().unwrap()).unwrap();
    for device in common::devices() {
        let x = complex("A=6 B=10", 1).to(&device).unwrap();
        let profile = sum.profile(&x, &options()).unwrap();
        assert!(profile.steps.len() > 5 && profile.steps.iter().all(|s| s.seconds > 0.0), "{profile:?}");
        let mut trace = Trace::default();
        trace.add("sum", &profile);
        trace.add("again", &profile);
        let events: Vec<_> = trace.events.iter().filter(|e| e.ph == "X").collect();
        assert_eq!(events.len(), 2 * profile.steps.len());
        let sum: f64 = events.iter().filter(|e| e.pid == 1).filter_map(|e| e.dur).sum();
        assert!(events.iter().all(|e| e.ts >= 0.0 && e.dur.is_some_and(|d| d > 0.0)), "{events:?}");
        if !device.is_host() {
            // One after the other: none begins before the last has ended.
            let mut first: Vec<_> =
                events.iter().filter(|e| e.pid == 1).map(|e| (e.ts, e.ts + e.dur.unwrap())).collect();
            first.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(first.windows(2).all(|w| w[1].0 >= w[0].1 - 1e-3), "{first:?}");
            assert!(sum <= first.last().unwrap().1 + 1e-3);
        }
    }
}

/// More steps than one set of queries holds.
#[test]
fn profiles_have_any_number_of_steps() {
    let Some(device) = common::gpu() else { return };
    let sum =
        linop::add((0..2100).map(|k| linop::roll("N=13", &[("N", k)])).collect::<Result<Vec<_>>>().unwrap()).unwrap();
    // One after the other, each a kernel.
    let sum = sum.with_settings(ThreadSettings { threaded: false, num_workers: None });
    let steps = sum.plan(&device, DType::Complex32).unwrap().steps.len();
    assert!(steps > 2048, "{steps}");
    let x = complex("N=13", 1).to(&device).unwrap();
    let profile = sum.profile(&x, &ProfileOptions::default().runs(1).warm_up(0)).unwrap();
    assert_eq!(profile.steps.iter().filter(|s| s.dispatches > 0).count(), steps);
}

/// A function of the host in a plan for a GPU has the host's time and no dispatch.
#[test]
fn functions_of_the_host_have_their_time() {
    let slow = |x: ArrayView1<Complex32>, mut y: ArrayViewMut1<Complex32>| {
        std::thread::sleep(Duration::from_millis(5));
        y.assign(&x);
    };
    let f = || linop::fft("N=12", "N", FftOptions::default()).unwrap().out("N").unwrap();
    let own = linop::from_fn("N=12", "N=12", slow, slow).unwrap();
    let a = linop::chain(vec![f(), own, f()]).unwrap();
    for device in common::devices() {
        let x = complex("N=12", 1).to(&device).unwrap();
        let profile = a.profile(&x, &options()).unwrap();
        let slow: Vec<_> = profile.steps.iter().filter(|s| s.seconds > 4e-3).collect();
        assert_eq!(slow.iter().map(|s| s.dispatches).collect::<Vec<_>>(), [0], "{profile:?}");
    }
}

/// Without timestamps the host's clock tells, and says so.
#[cfg(feature = "gpu")]
#[test]
fn devices_without_timestamps_have_times_too() {
    let options_of = linops::gpu::GpuOptions::default().default_limits(true);
    let Some(device) = common::gpu_with(options_of) else { return };
    assert!(!whether_timestamps(&device));
    let x = complex("N=301 T=3", 2).to(&device).unwrap();
    let profile = chain().unwrap().profile(&x, &options()).unwrap();
    assert!(profile.clock == Clock::Host && profile.steps.iter().all(|s| s.seconds > 0.0), "{profile:?}");
    let roof = Roof::of(&device, 1 << 14, &RoofOptions::default().rounds(1)).unwrap();
    assert!(roof.copies.len() == 2 && roof.flops > 1e6, "{roof:?}");
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_queues_have_times_too() {
    let adapter = linops::gpu::Choice::Any;
    let device = Device::gpus(&[adapter, adapter]).unwrap();
    let sum = (&chain().unwrap() + &(2.0 * &chain().unwrap())).clone();
    let x = complex("N=301 T=3", 2).to(&device).unwrap();
    let profile = sum.profile(&x, &options()).unwrap();
    assert!(profile.clock == Clock::Host && profile.steps.iter().all(|s| s.seconds > 0.0), "{profile:?}");
}

#[test]
fn roofs_are_of_their_device() {
    for device in common::devices() {
        let roof = Roof::of(&device, 1 << 18, &RoofOptions::default().rounds(2)).unwrap();
        assert_eq!(roof.device, device.name());
        let bytes: Vec<u64> = roof.copies.iter().map(|c| c.bytes).collect();
        assert_eq!(bytes, [1 << 12, 1 << 14, 1 << 16, 1 << 18]);
        assert!(roof.copies.windows(2).all(|w| w[0].seconds > 0.0 && w[0].seconds <= w[1].seconds), "{roof:?}");
        assert!(roof.flops > 1e6 && roof.flops < 1e15 && roof.best_bandwidth() > 1e6, "{roof:?}");
        assert!(roof.copy_seconds(1 << 20) > 3.9 * roof.copy_seconds(1 << 18));
    }
}

#[test]
fn a_profile_needs_runs() {
    let x = complex("N=301 T=3", 2);
    let e = chain().unwrap().profile(&x, &ProfileOptions::default().runs(0)).unwrap_err();
    assert!(e.to_string().contains("0 runs"), "{e}");
}
