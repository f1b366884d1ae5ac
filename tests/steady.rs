//! An apply in steady state: what the host does for it beside what wgpu itself does. Counts alone; times are in the bench
//! `host_time`.
#![cfg(feature = "gpu")]

mod common;

use allocation_counter::measure;
use common::bare::{Bare, chain};
use common::data::{complex, mask};
use common::gpu_with;
use linops::gpu::GpuOptions;
use linops::linop::FftOptions;
use linops::{Device, Linop, Tensor};

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

/// Between two readings a convex method asks neither the driver nor wgpu for anything.
#[test]
fn iterations_of_convex_methods_make_no_memory_bind_groups_or_kernels() {
    use linops::convex::{ConvexOptions, Method, Problem};
    use linops::linop;
    let Some(device) = own() else { return };
    let gpu = device.as_gpu().unwrap();
    let y = complex("Y=12 X=10", 1).to(&device).unwrap();
    let problem = |a: &Linop| Problem::new(a, &y).unwrap();
    let one = linop::identity("Y=12 X=10").unwrap();
    let f = linop::fft("Y=12 X=10", "Y X", FftOptions::default()).unwrap().keep();
    let sampled = linop::diagonal("Y=12 X=10", &mask("Y=12 X=10", 0.6, 2)).unwrap() * f;
    let (tv, l1, scan) = (problem(&one).tv(0.1, "Y X").unwrap(), problem(&sampled).l1(0.1).unwrap(), problem(&sampled));
    let scan = scan.tv(0.1, "Y X").unwrap();
    let squares = problem(&sampled).l2(0.01).unwrap();
    for (method, problem) in [
        (Method::Ista, &l1),
        (Method::Fista, &l1),
        (Method::Pogm, &l1),
        (Method::Pdhg, &scan),
        (Method::Fgp, &tv),
        (Method::Admm, &scan),
        (Method::Cg, &squares),
    ] {
        let made = |iterations: usize| {
            let before = (gpu.memory().made, gpu.bind_groups());
            let options = ConvexOptions::default().method(Some(method)).tol(0.0).norm(Some(1.0)).inner(1);
            problem.solve(options.iterations(iterations).check_every(1000)).unwrap();
            device.wait().unwrap();
            (gpu.memory().made - before.0, gpu.bind_groups() - before.1, gpu.kernels())
        };
        made(2);
        made(5);
        let (many, few) = (made(40), made(8));
        // Of 32 iterations more not one makes anything; the solves themselves may differ by what is at hand.
        assert!(many.1 <= few.1 + 2 && many.2 == few.2 && many.0 <= few.0 + 2, "{method}: {many:?} {few:?}");
    }
}
