//! Accuracy of the transforms against f64: every length, both kernel shapes, any axes, centred, in every norm.

mod common;

use common::data::{complex, distance, wide, widened};
use common::{apply_on, full};
use linops::linop::{self, FftOptions, Norm};
use linops::{Device, Linop, Tensor, apply_f64};
use rustfft::FftPlanner;
use std::sync::OnceLock;

/// Largest relative l2 error for lengths with prime factors up to 13.
const SMOOTH: f64 = 5e-7;
/// Largest relative l2 error for all others, which go through a convolution (Bluestein).
const AWKWARD: f64 = 2e-6;

fn is_smooth(mut n: usize) -> bool {
    for p in [2, 3, 5, 7, 11, 13] {
        while n.is_multiple_of(p) {
            n /= p;
        }
    }
    n == 1
}

fn tolerance(a: &Linop) -> f64 {
    if a.input().unwrap().extents().iter().all(|&n| is_smooth(n)) { SMOOTH } else { AWKWARD }
}

/// The host, and the adapter once for each kind of code: the same for all tests of this file, so that each kernel is
/// compiled once.
fn devices() -> &'static [(String, Device)] {
    static DEVICES: OnceLock<Vec<(String, Device)>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let host = [("host".to_string(), Device::host())];
        host.into_iter().chain(gpus()).collect()
    })
}

#[cfg(feature = "gpu")]
fn gpus() -> Vec<(String, Device)> {
    use linops::gpu::{GpuOptions, KernelShape};
    let one = |shape| {
        let device = common::gpu_with(GpuOptions::default().shape(Some(shape)))?;
        Some((format!("{} as {shape:?}", device.name()), device))
    };
    [KernelShape::Gpu, KernelShape::Cpu].into_iter().filter_map(one).collect()
}

#[cfg(not(feature = "gpu"))]
fn gpus() -> Vec<(String, Device)> {
    Vec::new()
}

/// Compares all linops on all devices with f64, and lists every excess.
fn check(linops: &[Linop]) {
    let mut failures = Vec::new();
    for (k, a) in linops.iter().enumerate() {
        let x = complex(a.input().unwrap(), k as u64);
        let want = apply_f64(a, &wide(&x)).unwrap();
        for (name, device) in devices() {
            let error = apply_on(device, a, &x).map(|got| distance(&got, &want));
            match error {
                Ok(e) if e <= tolerance(a) => {}
                Ok(e) => failures.push(format!("{a} on {name}: {e:.2e} > {:.0e}", tolerance(a))),
                Err(e) => failures.push(format!("{a} on {name}: {e}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn fft(dims: &str, axes: &str, options: FftOptions) -> Linop {
    linop::fft(dims, axes, options).unwrap()
}

#[test]
fn the_oracle_is_rustfft() {
    for n in [5, 64, 101, 360] {
        let a = fft(&format!("N={n}"), "N", FftOptions::default().norm(Norm::None));
        let mut want = wide(&complex(a.input().unwrap(), 1));
        let got = apply_f64(&a, &want).unwrap();
        FftPlanner::new().plan_fft_forward(n).process(want.as_slice_mut().unwrap());
        assert!((got - want).iter().all(|d| d.norm() < 1e-11), "{n}");
    }
}

#[test]
fn every_length_up_to_64() {
    // Along an outer and an inner axis by turns: both kinds of access, and each kernel compiled once.
    let one = |n: usize| match n % 2 {
        0 => fft(&format!("C=3 N={n}"), "N", FftOptions::default()),
        _ => fft(&format!("N={n} C=5"), "N", FftOptions::default()),
    };
    check(&(1..=64).map(one).collect::<Vec<_>>());
}

#[test]
fn longer_smooth_lengths() {
    let mut lengths = vec![65, 72, 91, 96, 100, 121, 125, 128, 169, 210, 243, 256, 343, 360, 500, 512, 1000, 1024];
    lengths.extend([1331, 1716, 2048, 2197, 3000, 4096, 5005, 6561, 8192, 10000, 16384]);
    let one = |&n: &usize| fft(&format!("C=2 N={n}"), "N", FftOptions::default());
    check(&lengths.iter().map(one).collect::<Vec<_>>());
}

#[test]
fn awkward_lengths() {
    let mut lengths = vec![17, 19, 23, 34, 51, 67, 101, 127, 251, 509, 1021];
    if full() {
        lengths.extend([289, 997, 2039, 4099, 8191, 10007, 16381]);
    }
    let one = |&n: &usize| match n % 4 {
        1 => fft(&format!("C=2 N={n}"), "N", FftOptions::default()),
        _ => fft(&format!("N={n} C=3"), "N", FftOptions::default().centered(true).inverse(true).norm(Norm::Backward)),
    };
    check(&lengths.iter().map(one).collect::<Vec<_>>());
}

#[test]
fn any_axes_with_every_option() {
    let mut all = Vec::new();
    for (k, norm) in [Norm::Ortho, Norm::Backward, Norm::Forward, Norm::None].into_iter().enumerate() {
        for (centered, inverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let options = FftOptions::default().centered(centered).norm(norm).inverse(inverse);
            let axes = ["A", "B", "A C", "A B C"][k];
            all.push(fft("A=9 B=16 C=7", axes, options));
            all.push(fft("A=4 B=3 C=15", axes, options));
        }
    }
    check(&all);
}

#[test]
fn whole_images_and_volumes() {
    let centred = FftOptions::default().centered(true);
    let mut all = vec![
        fft("C=2 Y=96 X=80", "Y X", centred),
        fft("Y=61 X=45", "Y X", centred),
        fft("Z=20 Y=24 X=18", "Z Y X", centred),
        fft("Z=12 Y=30 X=14 C=3", "Z Y X", FftOptions::default()),
    ];
    if full() {
        all.push(fft("Z=128 Y=128 X=128", "Z Y X", centred));
        all.push(fft("C=4 Y=256 X=256", "Y X", centred));
    }
    check(&all);
}

#[test]
fn ortho_transforms_are_unitary() {
    for (dims, axes) in [("N=360", "N"), ("N=101", "N"), ("C=2 Y=30 X=28", "Y X"), ("N=1024 C=3", "N")] {
        for centered in [false, true] {
            let a = fft(dims, axes, FftOptions::default().centered(centered));
            let x = complex(dims, 7);
            for (name, device) in devices() {
                // In two calls, so that nothing cancels beforehand.
                let y = a.apply(&x.to(device).unwrap()).unwrap();
                let back = a.h().apply(&y).unwrap().to(&Device::host()).unwrap();
                let error = distance(&back.to_array().unwrap(), &wide(&x));
                assert!(
                    error < if is_smooth(x.shape().len()) { 1e-6 } else { 2.0 * AWKWARD },
                    "{a} on {name}: {error}"
                );
            }
        }
    }
}

#[test]
fn a_real_input_is_transformed_as_a_complex_one() {
    for n in [30, 64, 101] {
        let a = fft(&format!("C=2 N={n}"), "N", FftOptions::default());
        let x: Tensor = common::data::real(a.input().unwrap(), 8);
        let want = apply_f64(&a, &wide(&x)).unwrap();
        for (name, device) in devices() {
            let got = apply_on(device, &a, &x).unwrap();
            assert!(distance(&got, &want) <= tolerance(&a), "{n} on {name}");
            assert!(widened(&got).iter().any(|z| z.im != 0.0));
        }
    }
}
