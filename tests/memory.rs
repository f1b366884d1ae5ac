//! Device memory, and tensors' way there and back.
#![cfg(feature = "gpu")]

mod common;

use common::data::{complex, mask, real};
use common::{gpu, gpu_with};
use linops::gpu::{GpuOptions, PoolStats};
use linops::linop::{self, FftOptions};
use linops::{DType, Device, Linop, MemoryUse, TaskMemory, Tensor};

/// A device of its own, so that no other test changes its accounting.
fn own_gpu() -> Option<Device> {
    gpu_with(GpuOptions::default())
}

fn memory(d: &Device) -> PoolStats {
    d.as_gpu().unwrap().memory()
}

fn sense() -> Linop {
    let f = linop::fft("C=4 Y=48 X=40", "Y X", FftOptions::default()).unwrap().out("C Y X").unwrap();
    linop::diagonal("C=4 Y=48 X=40", &mask("Y=48 X=40", 0.5, 1)).unwrap()
        * f
        * linop::diagonal("Y=48 X=40", &complex("C=4 Y=48 X=40", 2)).unwrap()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn two_hundred_applies_hold_no_more_than_two() {
    let Some(device) = own_gpu() else { return };
    let n = sense().n();
    let x = complex("Y=48 X=40", 3).to(&device).unwrap();
    let run = |times| {
        for _ in 0..times {
            n.apply(&x).unwrap();
        }
        device.wait().unwrap();
        memory(&device)
    };
    let after_two = run(2);
    let after_all = run(200);
    assert_eq!(after_two.in_use, after_all.in_use);
    assert_eq!(after_two.peak, after_all.peak);
    assert_eq!(after_two.idle, after_all.idle);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_chain_of_applies_holds_only_its_last_tensor() {
    let Some(device) = own_gpu() else { return };
    let a = linop::fft("Y=64 X=64", "Y X", FftOptions::default()).unwrap().out("Y X").unwrap();
    let mut x = complex("Y=64 X=64", 4).to(&device).unwrap();
    x = a.apply(&x).unwrap();
    let before = memory(&device);
    for _ in 0..50 {
        x = a.apply(&x).unwrap();
    }
    device.wait().unwrap();
    assert_eq!(memory(&device).in_use, before.in_use);
    assert!(memory(&device).peak <= before.peak.max(before.in_use + 2 * 64 * 64 * 8));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn dropped_tensors_are_given_back() {
    let Some(device) = own_gpu() else { return };
    let before = memory(&device).in_use;
    let tensors: Vec<Tensor> = (1..20).map(|k| complex(format!("N={}", 1000 * k), k).to(&device).unwrap()).collect();
    let values: u64 = tensors.iter().map(|t| t.shape().len() as u64 * 8).sum();
    let held = memory(&device).in_use - before;
    assert!(held >= values && held <= values * 3 / 2, "{held} bytes for {values}");
    drop(tensors);
    assert_eq!(memory(&device).in_use, before);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_cleared_cache_gives_scratch_and_constants_back() {
    let Some(device) = own_gpu() else { return };
    let before = memory(&device).in_use;
    {
        let a = sense();
        let x = complex("Y=48 X=40", 5).to(&device).unwrap();
        a.n().apply(&x).unwrap();
        device.wait().unwrap();
        assert!(memory(&device).in_use > before);
    }
    device.clear_cache();
    assert_eq!(memory(&device).in_use, before);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn threads_apply_at_once_without_sharing_scratch() {
    let Some(device) = own_gpu() else { return };
    let n = sense().n();
    let run = |seed| {
        let x = complex("Y=48 X=40", seed);
        common::bits(&common::apply_on(&device, &n, &x).unwrap())
    };
    let alone: Vec<_> = (0..4).map(run).collect();
    std::thread::scope(|s| {
        for (seed, want) in alone.iter().enumerate() {
            s.spawn(move || (0..25).for_each(|_| assert!(run(seed as u64) == *want)));
        }
    });
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn odd_sizes_come_back_as_they_went() {
    let Some(device) = gpu() else { return };
    for extents in ["N=1", "N=3", "A=7 B=1 C=5", "N=127", "N=65537", "A=251 B=257", ""] {
        let shape: linops::Shape = extents.parse().unwrap();
        for t in [complex(&shape, 6), real(&shape, 7)] {
            let back = t.to(&device).unwrap().to(&Device::host()).unwrap();
            assert_eq!((back.shape(), back.dtype()), (t.shape(), t.dtype()));
            assert_eq!(back.to_array().unwrap(), t.to_array().unwrap(), "{extents}");
        }
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn strided_host_tensors_are_uploaded_in_c_order() {
    let Some(device) = gpu() else { return };
    let t = complex("A=5 B=4 C=3", 8);
    for order in ["C A B", "B C A", "A C B", "C B A"] {
        let view = t.permuted(order).unwrap();
        assert_ne!(view.strides(), t.strides());
        let back = view.to(&device).unwrap().to(&Device::host()).unwrap();
        assert_eq!(back.shape(), view.shape());
        assert_eq!(back.to_array().unwrap(), view.to_array().unwrap(), "{order}");
        let a = linop::flip(view.shape(), "C").unwrap();
        let on_gpu = a.apply(&view.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap();
        assert_eq!(on_gpu.to_array().unwrap(), a.apply(&view).unwrap().to_array().unwrap(), "{order}");
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn tensors_on_the_wrong_device_are_refused_by_name() {
    let Some(device) = gpu() else { return };
    let x = complex("N=5", 9).to(&device).unwrap();
    assert_eq!(x.device_name(), device.name());
    // Reading needs the host, and so does a weight.
    for e in [
        x.to_array().unwrap_err(),
        x.permuted("N").unwrap_err(),
        linop::diagonal("N=5", &x).unwrap_err(),
        linop::dense("N=5", &x, "N").unwrap_err(),
        linop::sampling("N=5", &x, "S").unwrap_err(),
    ] {
        assert!(e.to_string().contains(&device.name()) && e.to_string().contains("host"), "{e}");
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_tensor_moves_between_two_devices() {
    let (Some(one), Some(two)) = (own_gpu(), own_gpu()) else { return };
    let x = complex("A=6 B=7", 10);
    let there = x.to(&one).unwrap().to(&two).unwrap();
    assert_eq!(there.to(&Device::host()).unwrap().to_array().unwrap(), x.to_array().unwrap());
    // One linop serves both devices, each with its own plan.
    let a = linop::fft("A=6 B=7", "A B", FftOptions::default()).unwrap();
    let on = |d: &Device| common::bits(&common::apply_on(d, &a, &x).unwrap());
    assert!(on(&one) == on(&two));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_tensor_that_no_buffer_holds_is_too_big() {
    let Some(device) = gpu_with(GpuOptions::default().default_limits(true)) else { return };
    // 256 MiB is the largest buffer under default limits. The host side is one value, repeated by stride 0.
    let one = ndarray::ArcArray::from_elem(ndarray::IxDyn(&[1]), 0.0f32);
    let a = linop::repeat("N=1", "M=70000000").unwrap();
    let x = Tensor::from_host("N=1", linops::HostArray::F32(one)).unwrap().to(&device).unwrap();
    let e = a.apply(&x).unwrap_err();
    assert!(matches!(e.root(), linops::Error::TooBig { .. }), "{e}");
}

/// Radial points with most of them near the centre, where tiles have many.
fn radial_nufft(toeplitz: bool) -> Linop {
    let k = |m: usize, a: usize| {
        let (angle, radius) = ((m / 64) as f64 * 2.4, (m % 64) as f64 - 32.0);
        radius * 0.6 * if a == 0 { angle.cos() } else { angle.sin() }
    };
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[64 * 100, 2]), |i| k(i[0], i[1]));
    let options = linop::NufftOptions::default().toeplitz(Some(toeplitz));
    linop::nufft("C=3 Y=40 X=48", &locs, "Y X", options, "C K").unwrap()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn the_pool_holds_what_a_plan_states() {
    let blue = linop::fft("C=2 X=101", "X", FftOptions::default()).unwrap();
    let sampling = linop::sampling("C=2 Y=20 X=30", &mask("Y=20 X=30", 0.4, 3), "C K").unwrap();
    for (name, a) in [
        ("sense", sense()),
        ("sense normal", sense().n()),
        ("bluestein", blue),
        ("sampling normal", sampling.n()),
        ("nufft", radial_nufft(false)),
        ("nufft adjoint", radial_nufft(false).h()),
        ("pair normal", radial_nufft(false).n()),
        ("toeplitz normal", radial_nufft(true).n()),
    ] {
        let Some(device) = own_gpu() else { return };
        let stated = MemoryUse::of(&a.plan(&device, DType::Complex32).unwrap()).unwrap();
        assert_eq!(stated.tasks, TaskMemory::default());
        let before = memory(&device).in_use;
        a.prepare(&device, DType::Complex32).unwrap();
        let uploaded = memory(&device).in_use;
        assert_eq!(uploaded - before, stated.constants + stated.tables, "{name}: constants and tables");
        let x = complex(a.input().unwrap(), 1).to(&device).unwrap();
        assert_eq!(memory(&device).in_use - uploaded, stated.input, "{name}: input");
        let y = a.apply(&x).unwrap();
        device.wait().unwrap();
        let values = stated.input + stated.scratch + stated.output;
        assert_eq!(memory(&device).in_use - uploaded, values, "{name}: values");
        assert_eq!(memory(&device).peak - before, stated.peak(), "{name}: peak");
        drop((x, y));
        assert_eq!(memory(&device).in_use - uploaded, stated.scratch, "{name}: kept");
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn plans_share_constants_and_tables() {
    let Some(device) = own_gpu() else { return };
    let a = sense();
    let before = memory(&device).in_use;
    let held = || memory(&device).in_use - before;
    let stated = |a: &Linop| MemoryUse::of(&a.plan(&device, DType::Complex32).unwrap()).unwrap();
    a.prepare(&device, DType::Complex32).unwrap();
    assert_eq!(held(), stated(&a).constants + stated(&a).tables);
    let first = held();
    // The adjoint reads the same weights, and may have other transforms in it.
    a.h().prepare(&device, DType::Complex32).unwrap();
    assert_eq!(stated(&a.h()).constants, stated(&a).constants);
    assert!((first..=first + stated(&a.h()).tables).contains(&held()), "{first} and {}", held());
    // The same again adds nothing, whoever made it.
    let again = held();
    sense().named("again").prepare(&device, DType::Complex32).unwrap();
    a.shallow_copy().prepare(&device, DType::Complex32).unwrap();
    let own = stated(&a).constants;
    assert!(held() <= again + own, "{again} and {}", held());
    device.clear_cache();
    assert_eq!(held(), 0);
}

/// Records of points are those of the points, whatever is planned over them: forward, adjoint, the pair, other batches, other channels.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn points_are_held_once() {
    let Some(device) = own_gpu() else { return };
    let a = radial_nufft(false);
    // A place, its order, and at least a fraction for each axis.
    let records = 6400 * 4 * (1 + 2 + 2);
    let before = memory(&device).in_use;
    let held = || memory(&device).in_use - before;
    a.prepare(&device, DType::Complex32).unwrap();
    let forward = held();
    assert!(forward >= records, "{forward}");
    let stated = |a: &Linop| MemoryUse::of(&a.plan(&device, DType::Complex32).unwrap()).unwrap();
    let mut last = forward;
    for (name, other) in
        [("adjoint", a.h()), ("pair", a.n()), ("frames", a.over("T=3").unwrap()), ("again", a.shallow_copy())]
    {
        other.prepare(&device, DType::Complex32).unwrap();
        let whole = stated(&other).constants + stated(&other).tables;
        println!("{name}: {} more of {whole}", held() - last);
        assert!(held() - last + records <= whole, "{name}: {} more of {whole}", held() - last);
        last = held();
    }
}
