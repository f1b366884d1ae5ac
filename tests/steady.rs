//! An apply in steady state: what the host does for it beside what wgpu itself does. Counts alone; times are in the bench
//! `host_time`.
#![cfg(feature = "gpu")]

mod common;

use allocation_counter::measure;
use common::bare::{Bare, chain};
use common::data::complex;
use common::gpu_with;
use linops::gpu::GpuOptions;
use linops::{Device, Tensor};
use num_complex::Complex32;

/// Applies after which everything is there that is kept.
const WARM: usize = 60;

/// A result has a handle, and the memory that it holds one; three error scopes look for what wgpu reports, and each is told by a
/// future of its own; two lists of wgpu are longer, as more is alive.
const OURS: u64 = 2 + 3 + 2;

/// The median of what many runs count: now and then lists of wgpu grow.
fn median(mut run: impl FnMut() -> u64) -> u64 {
    let mut counts: Vec<u64> = (0..41).map(|_| run()).collect();
    counts.sort_unstable();
    counts[20]
}

/// A device of its own, so that nobody else takes from its pool.
fn own() -> Option<Device> {
    gpu_with(GpuOptions::default())
}

/// Allocations on the host: of an apply of so many dispatches with its result's end, and of the same by wgpu alone.
fn allocations(device: &Device, dispatches: usize) -> (u64, u64) {
    let gpu = device.as_gpu().unwrap();
    let a = chain(dispatches).unwrap();
    let x = complex("N=16", 1).to(device).unwrap();
    assert_eq!(a.apply_reported(&x).unwrap().1.dispatches, dispatches);
    let bare = Bare::new(gpu.wgpu_device(), dispatches);
    let queue = || gpu.wgpu_queue().unwrap();
    for _ in 0..WARM {
        a.apply(&x).unwrap();
        bare.run(&queue());
        device.wait().unwrap();
    }
    let ours = median(|| measure(|| drop(a.apply(&x).unwrap())).count_total);
    let alone = || {
        bare.run(&queue());
    };
    let theirs = median(|| measure(alone).count_total);
    (ours, theirs)
}

#[test]
fn an_apply_allocates_what_wgpu_does_and_its_result() {
    let Some(device) = own() else { return };
    for dispatches in [1, 2, 5, 17, 65] {
        let (ours, theirs) = allocations(&device, dispatches);
        // Lists that wgpu makes for each command buffer double now and then.
        let grown = u64::from(dispatches.ilog2()) / 2;
        assert!(ours <= theirs + OURS + grown, "{dispatches} dispatches: {ours} allocations, {theirs} of wgpu alone");
    }
}

/// Memory, bind groups and kernels are those of the applies before: neither the driver is asked for anything, nor wgpu.
#[test]
fn an_apply_makes_no_memory_bind_groups_or_kernels() {
    let Some(device) = own() else { return };
    let gpu = device.as_gpu().unwrap();
    let a = chain(5).unwrap();
    let x = complex("N=16", 1).to(&device).unwrap();
    let run = |times: usize| {
        for _ in 0..times {
            a.apply(&x).unwrap();
        }
        device.wait().unwrap();
        (gpu.memory().made, gpu.bind_groups(), gpu.kernels())
    };
    assert_eq!(run(3), run(200));
    // A result that stays takes other memory, once.
    let kept: Vec<Tensor> = (0..3).map(|_| a.apply(&x).unwrap()).collect();
    drop(kept);
    let again = |_: usize| drop((0..3).map(|_| a.apply(&x).unwrap()).collect::<Vec<_>>());
    (0..3).for_each(again);
    let before = (gpu.memory().made, gpu.bind_groups(), gpu.kernels());
    (0..100).for_each(again);
    assert_eq!(before, (gpu.memory().made, gpu.bind_groups(), gpu.kernels()));
}

/// A large result is made in the memory of the one before.
#[test]
fn large_results_on_the_host_take_no_new_memory() {
    let a = linops::linop::scalar("N=600000", -1.0).unwrap();
    let x = complex("N=600000", 1);
    for _ in 0..3 {
        a.apply(&x).unwrap();
    }
    let taken = || measure(|| drop(a.apply(&x).unwrap())).bytes_total;
    let most = (0..20).map(|_| taken()).max().unwrap();
    assert!(most < 100_000, "{most} bytes");
    // Two at once need two, and what nobody asks for goes in the end.
    let two = || drop([a.apply(&x).unwrap(), a.apply(&x).unwrap()]);
    two();
    assert!(measure(two).bytes_total < 200_000);
    let kept = Device::host().cached_bytes();
    for _ in 0..200 {
        a.apply(&x).unwrap();
    }
    assert!(Device::host().cached_bytes() <= kept - 4_800_000);
    // Nothing is kept beyond the budget.
    Device::host().clear_cache();
    assert_eq!(Device::host().cached_bytes(), 0);
    Device::host().set_cache_budget(1 << 20);
    a.apply(&x).unwrap();
    assert!(Device::host().cached_bytes() < 1 << 20);
}

/// Memory that was used before holds what was there: nothing of it is in a result.
#[test]
fn results_hold_nothing_of_what_was_there() {
    use linops::linop::{self, Align, FftOptions};
    let n = 1 << 18;
    let long = format!("N={n}");
    let x = complex(&*long, 1);
    let all = [
        linop::zero(&*long, &*long).unwrap(),
        linop::pad("N=200000", &*long, Align::Center).unwrap().keep(),
        linop::sampling(&*long, &common::data::mask(&long, 0.3, 1), "S").unwrap().h(),
        linop::fft(&*long, "N", FftOptions::default()).unwrap().keep(),
        linop::roll(&*long, &[("N", 5)]).unwrap(),
    ];
    for a in all {
        let x = match a.input().unwrap().len() {
            count if count == n => x.clone(),
            count => complex(format!("{}={count}", a.input().unwrap().dims()[0]), 1),
        };
        let want = a.apply(&x).unwrap();
        // As large as the result, and gone before it is made.
        let bad = Tensor::from_vec(&*long, vec![Complex32::new(f32::NAN, f32::NAN); n]).unwrap();
        let poison = || drop(linop::scalar(&*long, -1.0).unwrap().apply(&bad).unwrap());
        for _ in 0..3 {
            poison();
            let y = a.apply(&x).unwrap();
            assert_eq!(y.to_vec().unwrap(), want.to_vec().unwrap(), "{a}");
        }
    }
}
