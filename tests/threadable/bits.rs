//! Settings decide when and where, never what.

use crate::common::data::complex;
use crate::common::{apply_on, bits, devices, full};
use crate::sets::{SHAPE, alike, containers, unlike};
use linops::program::ThreadSettings;
use linops::{Device, Linop, apply_f64, linop};
use num_complex::Complex64;

fn settings(threaded: bool, num_workers: Option<usize>) -> ThreadSettings {
    ThreadSettings { threaded, num_workers }
}

/// The same bits for all settings on every device, and what f64 says.
fn check(what: &str, a: &Linop, count: usize) {
    let x = complex(a.input().unwrap(), 99);
    let exact = apply_f64(a, &x.to_array().unwrap().mapv(|z| Complex64::new(z.re.into(), z.im.into()))).unwrap();
    let size = exact.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt().max(1e-30);
    for device in devices() {
        let serial = apply_on(&device, &a.with_settings(settings(false, None)), &x).unwrap();
        let off = serial.iter().zip(&exact).map(|(s, e)| (Complex64::new(s.re.into(), s.im.into()) - e).norm_sqr());
        let off = off.sum::<f64>().sqrt() / size;
        assert!(off < 2e-6, "{what} on {}: {off:.1e} from f64", device.name());
        for workers in [Some(1), Some(2), Some(count), Some(count + 3), None] {
            let b = a.with_settings(settings(true, workers));
            assert_eq!(b.settings(), Some(&settings(true, workers)));
            let y = apply_on(&device, &b, &x).unwrap();
            assert!(bits(&y) == bits(&serial), "{what}, {workers:?} workers on {}", device.name());
        }
    }
}

fn all_directions(linops: &[Linop]) {
    for (name, a) in containers(linops) {
        check(name, &a, linops.len());
        check(&format!("adjoint of {name}"), &a.h(), linops.len());
        check(&format!("normal of {name}"), &a.n(), linops.len());
    }
}

#[test]
fn alike_sub_linops_give_the_same_bits_for_all_settings() {
    all_directions(&alike(5));
}

#[test]
fn unlike_sub_linops_give_the_same_bits_for_all_settings() {
    all_directions(&unlike());
}

#[test]
fn one_sub_linop_is_itself() {
    for one in [alike(1), unlike()[2..3].to_vec()] {
        all_directions(&one);
    }
}

#[test]
fn nested_containers_give_the_same_bits_for_all_settings() {
    let inner = linop::add(alike(3)).unwrap();
    let rows = linop::concat(alike(2), None, Some("Y")).unwrap();
    let tall = linop::crop("Y=24 X=10", "Y=12", linop::Align::Start).unwrap().out("Y X").unwrap() * &rows;
    let mixed = linop::add(vec![inner.clone(), tall, linop::add(unlike()).unwrap()]).unwrap();
    let twice = linop::stack(vec![inner.clone(), inner.clone()], None, Some(("B", 0))).unwrap();
    let sums = linop::stack(vec![linop::add(unlike()).unwrap(), inner.clone()], None, Some(("B", 0))).unwrap();
    let blocks = linop::concat(vec![twice.h() * &twice, mixed.clone()], Some("Y"), Some("Y")).unwrap();
    for (name, a) in [("mixed", mixed), ("twice", twice), ("sums", sums), ("blocks", blocks)] {
        check(name, &a, 3);
        check(&format!("normal of {name}"), &a.n(), 3);
        // Settings of the inner containers, too.
        let serial = inner.with_settings(settings(false, None));
        let outer = linop::add(vec![serial, inner.clone()]).unwrap();
        check("inner settings", &outer, 2);
    }
}

#[test]
fn a_hundred_repeats_give_the_same_bits() {
    let a = linop::add(unlike()).unwrap().n();
    let x = complex(SHAPE, 1);
    for device in devices() {
        let first = bits(&apply_on(&device, &a, &x).unwrap());
        for _ in 0..100 {
            assert!(bits(&apply_on(&device, &a, &x).unwrap()) == first, "{}", device.name());
        }
    }
}

#[test]
fn the_number_of_host_threads_changes_no_bit() {
    let x = complex(SHAPE, 2);
    let a = linop::add(unlike()).unwrap().n();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(&a.apply(&x).unwrap().to_array().unwrap()))
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn sixty_four_sub_linops_over_and_over() {
    let a = linop::add(alike(64)).unwrap().with_settings(settings(true, Some(7)));
    let b = linop::concat(unlike().iter().cycle().take(64), None, Some("Y")).unwrap();
    let rounds = if full() { 10_000 } else { 100 };
    let x = complex(SHAPE, 3);
    for device in own_devices() {
        let x = x.to(&device).unwrap();
        for a in [&a, &b] {
            let first = a.apply(&x).unwrap();
            drop(a.apply(&x).unwrap());
            let held = memory(&device);
            for _ in 0..rounds {
                drop(a.apply(&x).unwrap());
            }
            assert_eq!(memory(&device), held, "{}", device.name());
            let last = a.apply(&x).unwrap();
            let host = |t: &linops::Tensor| bits(&t.to(&linops::Device::host()).unwrap().to_array().unwrap());
            assert!(host(&first) == host(&last));
        }
    }
}

/// The host, and a GPU that no other test uses.
fn own_devices() -> Vec<Device> {
    #[cfg(feature = "gpu")]
    return std::iter::once(Device::host())
        .chain(crate::common::gpu_with(linops::gpu::GpuOptions::default()))
        .collect();
    #[cfg(not(feature = "gpu"))]
    vec![Device::host()]
}

/// Bytes in use, most bytes ever in use, and idle ones.
fn memory(device: &Device) -> [u64; 3] {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.as_gpu() {
        let m = gpu.memory();
        return [m.in_use, m.peak, m.idle];
    }
    let _ = device;
    [0; 3]
}
