//! What one call does wrong is that call's error; the device and all else on it go on.
#![cfg(feature = "gpu")]

mod common;

use common::data::complex;
use common::{apply_on, gpu, gpu_with};
use linops::gpu::GpuOptions;
use linops::linop::{self, FftOptions};
use linops::{DType, Device, Error, Tensor, wgpu};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn buffer(device: &wgpu::Device, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false })
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_tensor_is_no_longer_than_its_buffer() {
    let Some(device) = gpu() else { return };
    let short = complex("N=16", 1).to(&device).unwrap();
    let memory = short.device_buffer().unwrap().clone();
    let e = Tensor::from_device("N=1000", DType::Complex32, memory.clone()).unwrap_err();
    assert!(e.to_string().contains("a complex64 tensor N=1000 needs 8000"), "{e}");
    // Another view of the same values is one.
    let view = Tensor::from_device("A=4 B=4", DType::Complex32, memory).unwrap();
    let values = |t: &Tensor| t.to(&Device::host()).unwrap().to_array().unwrap().into_raw_vec_and_offset().0;
    assert_eq!(values(&view), values(&short));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_fault_of_one_call_leaves_the_device_and_its_tensors() {
    let Some(device) = gpu_with(GpuOptions::default()) else { return };
    let x = complex("N=100", 1);
    let kept = x.to(&device).unwrap();
    let a = linop::fft("N=100", "N", FftOptions::default()).unwrap();
    let want = apply_on(&device, &a, &x).unwrap();
    let wgpu_device = device.as_gpu().unwrap().wgpu_device();
    for round in 0..3 {
        // A buffer that was destroyed behind the tensor's back: binding or submitting it is refused.
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let gone = buffer(wgpu_device, 800, usage);
        let t = Tensor::from_wgpu(&device, gone.clone(), "N=100", DType::Complex32).unwrap();
        gone.destroy();
        let e = a.apply(&t).and_then(|y| y.to(&Device::host())).unwrap_err();
        assert!(matches!(e.root(), Error::Device(_)), "{e}");
        // An error that a user makes on the device without us.
        drop(buffer(wgpu_device, 7, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE));
        assert_eq!(apply_on(&device, &a, &x).unwrap(), want, "round {round}");
        assert_eq!(kept.to(&Device::host()).unwrap().to_array().unwrap(), x.to_array().unwrap());
        device.wait().unwrap();
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn too_much_memory_is_an_error_of_who_asked_for_it() {
    let Some(device) = gpu_with(GpuOptions::default()) else { return };
    let a = linop::pad("N=2", "N=900000000000", linop::Align::Start).unwrap();
    let x = complex("N=2", 1);
    let e = apply_on(&device, &a, &x).unwrap_err();
    assert!(matches!(e.root(), Error::TooBig { .. } | Error::OutOfMemory(_)), "{e}");
    let b = linop::flip("N=2", "N").unwrap();
    apply_on(&device, &b, &x).unwrap();
}

/// On a caller's own device: errors are seen and returned, and the caller's handler hears nothing of ours and all of its own.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_callers_handlers_are_left_alone_and_our_errors_are_returned() {
    if gpu().is_none() {
        return;
    }
    let adapter = linops::gpu::adapter(linops::gpu::Choice::Any).unwrap();
    let (own, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = heard.clone();
    own.on_uncaptured_error(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let device = Device::from_wgpu(&adapter, own.clone(), queue);
    let a = linop::fft("N=100", "N", FftOptions::default()).unwrap();
    let gone = buffer(&own, 800, wgpu::BufferUsages::STORAGE);
    let t = Tensor::from_wgpu(&device, gone.clone(), "N=100", DType::Complex32).unwrap();
    gone.destroy();
    assert!(a.apply(&t).is_err());
    assert_eq!(heard.load(Ordering::SeqCst), 0);
    drop(buffer(&own, 7, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE));
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    let x = complex("N=100", 1);
    let (got, want) = (apply_on(&device, &a, &x).unwrap(), apply_on(&Device::host(), &a, &x).unwrap());
    assert!(got.iter().zip(&want).all(|(g, w)| (g - w).norm() < 1e-5));
}

/// A user's own submissions and ours do not get in each other's way.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_queue_is_lent_and_given_back() {
    let Some(device) = gpu_with(GpuOptions::default().queues(Some(2))) else { return };
    let x = complex("N=1000", 3);
    let a = linop::flip("N=1000", "N").unwrap();
    let want = apply_on(&Device::host(), &a, &x).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..50 {
                let queue = device.as_gpu().unwrap().wgpu_queue().unwrap();
                queue.submit([]);
            }
        });
        for _ in 0..50 {
            assert_eq!(apply_on(&device, &a, &x).unwrap(), want);
        }
    });
}

/// Runs this test's other half in a process of its own, which ends while the device works.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_program_may_end_while_a_device_works() {
    const CHILD: &str = "LINOPS_TEST_ENDS";
    if std::env::var_os(CHILD).is_some() {
        let Some(device) = gpu() else { return };
        let a = linop::fft("A=64 N=4096", "N", FftOptions::default()).unwrap().out("A N").unwrap();
        let mut x = complex("A=64 N=4096", 1).to(&device).unwrap();
        let other = (device.clone(), a.clone(), x.clone());
        std::thread::spawn(move || {
            // Goes on until it is told that the process ends.
            let (_, a, mut x) = other;
            while let Ok(y) = a.apply(&x) {
                x = y;
            }
        });
        for _ in 0..20 {
            x = a.apply(&x).unwrap();
        }
        std::process::exit(0);
    }
    if gpu().is_none() {
        return;
    }
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "a_program_may_end_while_a_device_works"]).env(CHILD, "1");
        let out = child.output().unwrap();
        assert!(out.status.success(), "{:?}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
}

/// A driver that has no memory left says so to whoever asked, and goes on. In a process of its own, which lets itself have no more.
#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn memory_that_a_driver_has_not_is_an_error_of_one_call() {
    const CHILD: &str = "LINOPS_TEST_MEMORY";
    if std::env::var_os(CHILD).is_none() {
        if gpu().is_none() {
            return;
        }
        let name = "memory_that_a_driver_has_not_is_an_error_of_one_call";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let out = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert!(
            out.status.success(),
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        return;
    }
    // A software driver takes its memory from the process.
    let device = Device::software().unwrap();
    let x = complex("N=1000", 3).to(&device).unwrap();
    let small = linop::flip("N=1000", "N").unwrap();
    let want = small.apply(&x).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
    let large = linop::repeat("N=1000", "M=14000").unwrap();
    large.prepare(&device, DType::Complex32).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find(|l| l.starts_with("VmSize:")).unwrap();
    let size: u64 = size.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
    let limit = format!("--as={}", size + (48 << 20));
    let limited = Command::new("prlimit").args([&limit, "--pid", &std::process::id().to_string()]).status();
    if !limited.is_ok_and(|s| s.success()) {
        eprintln!("no prlimit (util-linux): not tested");
        return;
    }
    for _ in 0..3 {
        let e = large.apply(&x).map(drop).unwrap_err();
        assert!(matches!(e.root(), Error::OutOfMemory(_)), "{e}");
        let y = small.apply(&x).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
        assert_eq!(y, want);
    }
}
