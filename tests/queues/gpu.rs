//! Linops and solvers on a device of several lanes: the same bits as on one queue.

use crate::rig::{self, adapter, healthy};
use crate::table::Behaviour;
use linops::gpu::GpuOptions;
use linops::internal::queues::Lanes;
use linops::linop::{self, FftOptions};
use linops::{Device, Linop, Tensor};
use ndarray::Array2;
use num_complex::Complex32;

fn device(lanes: Lanes) -> Device {
    Device::over_lanes(adapter(), lanes, GpuOptions::default())
}

fn model() -> (Linop, Tensor) {
    let value = |k: usize| Complex32::new((k * 7 % 13) as f32 - 6.0, (k * 5 % 11) as f32 - 5.0);
    let weight = Tensor::from_array(Array2::from_shape_fn((20, 24), |(y, x)| value(31 * y + x)), "Y X").unwrap();
    let f = linop::fft("Y=20 X=24", "Y X", FftOptions::default()).unwrap().out("Y X").unwrap();
    let a = f * linop::diagonal("Y=20 X=24", &weight).unwrap();
    (a.n(), weight)
}

fn bits(t: &Tensor) -> Vec<(u32, u32)> {
    let host = t.to(&Device::host()).unwrap().to_array().unwrap();
    host.iter().map(|z| (z.re.to_bits(), z.im.to_bits())).collect()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_chain_of_applies_has_the_same_bits_on_any_rung() {
    let (n, x) = model();
    let run = |device: &Device| {
        let mut y = x.to(device).unwrap();
        for _ in 0..4 {
            y = n.apply(&y).unwrap();
        }
        bits(&y)
    };
    let want = run(&device(rig::one_queue()));
    let (lanes, watch) = rig::queues(3, Behaviour { chaos: Some(6), no_waits: false });
    let several = device(lanes);
    assert_eq!(several.as_gpu().unwrap().lane_count(), 3);
    (0..3).for_each(|_| assert!(run(&several) == want));
    assert!(run(&device(rig::devices(2))) == want);
    several.wait().unwrap();
    drop(several);
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_solver_has_the_same_bits_on_any_rung() {
    let (n, b) = model();
    let run = |device: &Device| {
        let rhs = b.to(device).unwrap();
        let options = || linops::solve::SolveOptions::default().iterations(5);
        // Of one operator, and of one with its adjoint between two lengths.
        let wide = linop::stack([&n, &n], None, Some(("C", 0))).unwrap();
        let data = wide.apply(&rhs).unwrap();
        let one = linops::solve::cg(&n, &rhs, options()).unwrap().x;
        let two = linops::solve::lsmr(&wide, &data, options()).unwrap().x;
        (bits(&one), bits(&two))
    };
    let want = run(&device(rig::one_queue()));
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(8), no_waits: false });
    let several = device(lanes);
    assert!(run(&several) == want);
    drop(several);
    healthy(&watch);
}

/// Weights of an operator lie in memory that another lane has written last, a container's result before.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_solver_waits_for_what_its_operator_binds() {
    let (half, whole) = ("Y=20 X=24", "Y=40 X=24");
    let fft = |shape: &str| linop::fft(shape, "Y X", FftOptions::default()).unwrap().out("Y X").unwrap();
    let rolled = |k: i64| fft(half) * linop::roll(half, &[("X", k)]).unwrap() * fft(half);
    let rows = linop::concat([rolled(1), rolled(2)], None, Some("Y")).unwrap();
    let value = |k: usize| Complex32::new((k * 7 % 13) as f32 - 6.0, (k * 5 % 11) as f32 - 5.0);
    let values = |rows: usize, seed: usize| {
        Tensor::from_array(Array2::from_shape_fn((rows, 24), |(y, x)| value(31 * y + x + seed)), "Y X").unwrap()
    };
    let run = |device: &Device, seed: usize| {
        let (x, rhs) = (values(20, 0).to(device).unwrap(), values(40, 1).to(device).unwrap());
        let results: Vec<Tensor> = (0..16).map(|_| rows.apply(&x).unwrap()).collect();
        drop(results);
        let n = (fft(whole) * linop::diagonal(whole, &values(40, seed)).unwrap()).n();
        bits(&linops::solve::cg(&n, &rhs, linops::solve::SolveOptions::default().iterations(3)).unwrap().x)
    };
    let one = device(rig::one_queue());
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(9), no_waits: false });
    let (several, copies) = (device(lanes), device(rig::devices(2)));
    for seed in 2..10 {
        let want = run(&one, seed);
        assert!(run(&several, seed) == want, "on queues, {seed}");
        assert!(run(&copies, seed) == want, "on devices, {seed}");
    }
    several.wait().unwrap();
    drop(several);
    healthy(&watch);
}

/// What is all on one lane is timed by its own clock; several have clocks of their own.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn steps_on_one_lane_are_timed_by_the_device() {
    use linops::profile::{Clock, ProfileOptions};
    if !adapter().features().contains(linops::wgpu::Features::TIMESTAMP_QUERY) {
        return;
    }
    let (n, x) = model();
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(5), no_waits: false });
    let several = device(lanes);
    let x = x.to(&several).unwrap();
    let options = ProfileOptions::default().runs(2).warm_up(1);
    let one = n.profile(&x, &options).unwrap();
    assert_eq!(one.clock, Clock::Timestamps);
    assert!(one.steps.iter().all(|s| s.dispatches > 0));
    let spread = linop::add([&n, &(linop::flip("Y=20 X=24", "Y").unwrap() * &n)]).unwrap();
    let both = spread.profile(&x, &options).unwrap();
    assert_eq!(both.clock, Clock::Host);
    assert!(both.seconds() > 0.0);
    several.wait().unwrap();
    drop((x, several));
    healthy(&watch);
}

/// Nothing is submitted on a lane while its queue is lent.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_lent_queue_is_nobody_elses() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    let (n, x) = model();
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: None, no_waits: false });
    let device = device(lanes);
    let x = x.to(&device).unwrap();
    // Compiled and uploaded before.
    drop(n.apply(&x).unwrap());
    device.wait().unwrap();
    let gpu = device.as_gpu().unwrap();
    let submits = || gpu.lane_counts(0).submits + gpu.lane_counts(1).submits;
    let (before, done) = (submits(), AtomicBool::new(false));
    let lent = gpu.wgpu_queue().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            drop(n.apply(&x).unwrap());
            done.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(!done.load(Ordering::SeqCst), "it submitted meanwhile");
        assert_eq!(submits(), before);
        lent.submit([]);
        drop(lent);
    });
    assert!(done.load(Ordering::SeqCst) && submits() > before);
    device.wait().unwrap();
    drop((x, device));
    healthy(&watch);
}
