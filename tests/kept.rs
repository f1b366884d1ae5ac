//! What is kept between applies has an end: with the budget, with the device, with the buffers it was for.

mod common;

use common::data::complex;
use linops::linop::{self, FftOptions};
use linops::{DType, Device};
use std::sync::{Mutex, MutexGuard};

/// The host's cache and the process's memory are everybody's.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Resident memory of this process in MiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
}

#[test]
fn thousands_of_sizes_stay_within_the_budget() {
    let _alone = alone();
    let host = Device::host();
    host.clear_cache();
    let before = resident();
    host.set_cache_budget(64 << 20);
    for n in 3000..13_000 {
        let a = linop::fft(format!("N={n}"), "N", FftOptions::default()).unwrap();
        a.prepare(&host, DType::Complex32).unwrap();
        assert!(host.cached_bytes() <= 64 << 20, "{n}: {}", host.cached_bytes());
        if n % 100 == 0 {
            a.apply(&complex(format!("N={n}"), 1)).unwrap();
        }
    }
    assert!(host.cached_bytes() > 32 << 20, "what fits is kept: {}", host.cached_bytes());
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after < before + 160, "{before} MiB before, {after} MiB after");
    }
    host.set_cache_budget(0);
    assert_eq!(host.cached_bytes(), 0);
    host.set_cache_budget(1 << 30);
}

#[test]
fn what_is_kept_is_counted_once_and_given_up() {
    let _alone = alone();
    let host = Device::host();
    host.clear_cache();
    let weight = complex("Y=64 X=64", 1);
    let d = linop::diagonal("Y=64 X=64", &weight).unwrap();
    let f = linop::fft("Y=64 X=64", "Y X", FftOptions::default()).unwrap();
    let bytes = || host.cached_bytes();
    let start = bytes();
    let x = complex("Y=64 X=64", 2);
    (&f * &d).apply(&x).unwrap();
    let one = bytes() - start;
    assert!(one >= 8 * 64 * 64, "{one}");
    // The adjoint reads the same weights.
    (&f * &d).h().apply(&complex(f.output().unwrap(), 3)).unwrap();
    assert!(bytes() - start - one < 8 * 64 * 64, "{}", bytes() - start - one);
    // The same linop again, from handles and made anew of the same parts, is the same plan.
    let all = bytes();
    let a = &f * &d;
    a.apply(&x).unwrap();
    a.shallow_copy().apply(&x).unwrap();
    assert_eq!(bytes(), all);
    host.clear_cache();
    assert_eq!(bytes(), start);
}

#[cfg(feature = "gpu")]
mod gpu {
    use super::common::full;
    use super::*;
    use common::gpu_with;
    use linops::gpu::GpuOptions;
    use linops::linop::{NufftOptions, nufft};
    use linops::{Linop, Tensor, wgpu};
    use ndarray::ArrayD;

    fn own() -> Option<Device> {
        gpu_with(GpuOptions::default())
    }

    fn image(n: usize) -> Linop {
        linop::fft(format!("Y={n} X={n}"), "Y X", FftOptions::default()).unwrap()
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn devices_go_with_their_last_handle() {
        let _alone = alone();
        let Some(first) = own() else { return };
        drop(first);
        let run = || {
            let device = own().unwrap();
            let x = complex("Y=256 X=256", 1).to(&device).unwrap();
            drop(image(256).n().apply(&x).unwrap());
            drop(image(256).apply(&x).unwrap());
            device.wait().unwrap();
        };
        run();
        let before = resident();
        (0..if full() { 40 } else { 12 }).for_each(|_| run());
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after < before + 60, "{before} MiB before, {after} MiB after");
        }
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn a_callers_device_and_buffers_are_not_kept() {
        let _alone = alone();
        let Some(device) = own() else { return };
        let a = image(1024);
        let wgpu_device = device.as_gpu().unwrap().wgpu_device().clone();
        let one = |k: u64| {
            // 32 MiB, of which the first fourth is read.
            let buffer = wgpu_device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 32 << 20,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            device.as_gpu().unwrap().wgpu_queue().unwrap().write_buffer(&buffer, 0, &vec![k as u8; 32 << 20]);
            let x = Tensor::from_wgpu(&device, buffer, "Y=1024 X=1024", DType::Complex32).unwrap();
            drop(a.apply(&x).unwrap());
            device.wait().unwrap();
        };
        (0..3).for_each(one);
        let before = resident();
        (0..12).for_each(one);
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after < before + 80, "{before} MiB before, {after} MiB after");
        }
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn one_buffer_is_one_tensor() {
        let Some(device) = own() else { return };
        let a = image(32);
        let buffer = device.as_gpu().unwrap().wgpu_device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 8 << 10,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let around = || Tensor::from_wgpu(&device, buffer.clone(), "Y=32 X=32", DType::Complex32).unwrap();
        // Frames of a loop: outputs come from the pool, and nothing is made anew.
        let first = around();
        drop(a.apply(&first).unwrap());
        let made = device.as_gpu().unwrap().memory().made;
        for _ in 0..50 {
            drop(a.apply(&around()).unwrap());
        }
        assert_eq!(device.as_gpu().unwrap().memory().made, made);
        let ids = [&first, &around()].map(|t| {
            let buffer = t.device_buffer().unwrap().as_any().downcast_ref::<linops::gpu::GpuBuffer>().unwrap();
            format!("{:?}", buffer.shared())
        });
        assert_eq!(ids[0], ids[1]);
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn no_apply_of_a_loop_takes_memory_from_the_driver() {
        let Some(device) = own() else { return };
        // A large output beside a small input, and the other way round.
        let a = linop::repeat("Y=512 X=512", "C=16").unwrap();
        let (x, z) =
            (complex("Y=512 X=512", 1).to(&device).unwrap(), complex(a.output().unwrap(), 2).to(&device).unwrap());
        let made = || device.as_gpu().unwrap().memory().made;
        let run = |wait: bool| {
            drop(a.apply(&x).unwrap());
            drop(a.h().apply(&z).unwrap());
            if wait {
                device.wait().unwrap();
            }
        };
        (0..2).for_each(|_| run(true));
        let before = made();
        (0..20).for_each(|k| run(k % 2 == 0));
        assert_eq!(made(), before);
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn thousands_of_sizes_stay_within_the_budget_of_a_gpu() {
        let _alone = alone();
        let Some(device) = own() else { return };
        let budget = 8 << 20;
        device.set_cache_budget(budget);
        for n in 1..if full() { 2000 } else { 300 } {
            let a = linop::flip(format!("A=3 N={}", 1000 + 7 * n), "N").unwrap();
            a.n().prepare(&device, DType::Complex32).unwrap();
            let d = linop::diagonal(format!("N={n}"), &complex(format!("N={n}"), 1)).unwrap();
            let x = complex(format!("N={n}"), 1).to(&device).unwrap();
            drop((d.apply(&x).unwrap(), d.h().apply(&x).unwrap()));
            assert!(device.cached_bytes() <= budget + (1 << 20), "{n}: {}", device.cached_bytes());
        }
        device.clear_cache();
        assert_eq!(device.cached_bytes(), 0);
        let memory = device.as_gpu().unwrap().memory();
        assert_eq!((memory.in_use, memory.idle), (0, 0));
    }

    /// Each length of a transform has kernels of its own.
    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn kernels_stay_within_the_budget_of_a_gpu() {
        let _alone = alone();
        let Some(device) = gpu_with(GpuOptions::default().shape(Some(linops::gpu::KernelShape::Gpu))) else { return };
        let budget = 4 << 20;
        device.set_cache_budget(budget);
        let kernels = || device.as_gpu().unwrap().kernels();
        for n in (16..if full() { 400 } else { 90 }).filter(|n| linops::internal::next_smooth(*n) == *n) {
            linop::fft(format!("N={n}"), "N", FftOptions::default())
                .unwrap()
                .prepare(&device, DType::Complex32)
                .unwrap();
            assert!(device.cached_bytes() <= budget + (1 << 20), "{n}: {}", device.cached_bytes());
            assert!(kernels() <= 33, "{n}: {}", kernels());
        }
        assert!(kernels() > 8);
        device.clear_cache();
        assert_eq!((kernels(), device.cached_bytes()), (0, 0));
    }

    /// Only structure is in a kernel's text: more sizes give no more kernels.
    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn sizes_of_images_give_no_new_kernels() {
        let Some(device) = own() else { return };
        let kernels = || device.as_gpu().unwrap().kernels();
        let at = |n: usize| {
            let locs =
                ArrayD::from_shape_fn(vec![50, 2], |i| ((i[0] * 37 + i[1] * 11) % n) as f64 - n as f64 / 2.0 + 0.3);
            let a = nufft(format!("Y={n} X={n}"), &locs, "Y X", NufftOptions::default(), "K").unwrap();
            a.prepare(&device, DType::Complex32).unwrap();
            a.h().prepare(&device, DType::Complex32).unwrap();
        };
        // Grids of 80, 96, 100, 108, 120, 125, 128, 135, 144, 150, 160 … cells: what differs between them are lengths of
        // transforms.
        [64, 72, 80, 90].into_iter().for_each(at);
        let interpolating = kernels();
        [64, 66, 68, 70, 74, 78, 82, 86, 88].into_iter().for_each(at);
        let more = kernels() - interpolating;
        assert!(more <= 24, "{interpolating} kernels for 4 sizes, {more} more for 9 others");
    }
}
