//! What lies at a container's edge: weights behind it, containers within it, halves of what it reads.

use crate::common::data::{complex, real};
use crate::common::{apply_on, bits, devices};
use crate::sets::SHAPE;
use linops::linop::{self, Align, FftOptions, Threads};
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, apply_f64};
use num_complex::Complex64;

fn workers(a: &Linop, n: usize) -> Linop {
    a.with_settings(ThreadSettings { threaded: true, num_workers: Some(n) })
}

fn lines(seed: u64) -> Linop {
    let f = linop::fft(SHAPE, "X", FftOptions::default()).unwrap().out("Y X").unwrap();
    f * linop::diagonal(SHAPE, &complex(SHAPE, seed)).unwrap()
}

fn close_to_f64(device: &Device, a: &Linop, x: &linops::Tensor) {
    let exact = x.to_array().unwrap().mapv(|z| Complex64::new(z.re.into(), z.im.into()));
    let exact = apply_f64(a, &exact).unwrap();
    let y = apply_on(device, a, x).unwrap();
    let off = y.iter().zip(&exact).map(|(y, e)| (Complex64::new(y.re.into(), y.im.into()) - e).norm_sqr());
    let (off, size) = (off.sum::<f64>().sqrt(), exact.iter().map(|e| e.norm_sqr()).sum::<f64>().sqrt());
    assert!(off < 2e-6 * size, "{off} of {size} on {}: {a}", device.name());
}

#[test]
fn a_weight_behind_a_container_is_rounded_the_same_way_for_all_settings() {
    let all: Vec<Linop> = (0..4).map(lines).collect();
    for device in devices() {
        for a in [
            linop::concat(all.clone(), None, Some("Y")).unwrap(),
            linop::concat(all.clone(), None, Some("X")).unwrap(),
            linop::stack(all.clone(), None, Some(("B", 0))).unwrap(),
            linop::add(all.clone()).unwrap(),
        ] {
            let weight = linop::diagonal(a.output().unwrap(), &complex(a.output().unwrap(), 77)).unwrap();
            let x = complex(SHAPE, 9);
            let scale = linop::scalar(a.output().unwrap(), 0.3).unwrap();
            for behind in [&scale, &weight] {
                let [one, four] = [1, 4].map(|n| bits(&apply_on(&device, &(behind * workers(&a, n)), &x).unwrap()));
                assert!(one == four, "{a}");
            }
        }
    }
}

#[test]
fn containers_within_alike_ones_keep_their_results_until_they_are_read() {
    let one =
        |k| linop::add(vec![linop::diagonal(SHAPE, &complex(SHAPE, k)).unwrap(), linop::flip(SHAPE, "X").unwrap()]);
    let all: Vec<Linop> = (0..4).map(|k| one(k).unwrap()).collect();
    for device in devices() {
        for c in [
            linop::concat(all.clone(), None, Some("Y")).unwrap(),
            linop::stack(all.clone(), None, Some(("T", 0))).unwrap(),
        ] {
            let shape = c.output().unwrap();
            let f = linop::fft(shape, "Y X", FftOptions::default()).unwrap() * linop::flip(shape, "Y").unwrap();
            for a in [f * &c, 0.7 * workers(&c, 2), c.n(), workers(&c, 2).n()] {
                close_to_f64(&device, &a, &complex(SHAPE, 3));
            }
        }
    }
}

#[test]
fn half_of_a_real_value_is_not_overwritten_by_a_complex_one_of_as_many_bytes() {
    let sum = linop::sum("M=3 N=8", "M").unwrap();
    let half = linop::crop("N=8", "N=4", Align::Start).unwrap().out("N").unwrap();
    let weight = linop::diagonal("N=4", &complex("N=4", 1)).unwrap();
    let f = linop::fft("N=4", "N", FftOptions::default()).unwrap().out("N").unwrap();
    let a = linop::flip("N=4", "N").unwrap() * f * weight * half * sum;
    for device in devices() {
        close_to_f64(&device, &a, &real("M=3 N=8", 3));
    }
}

#[test]
fn merged_containers_keep_what_both_allow() {
    let all: Vec<Linop> = (0..4).map(lines).collect();
    let inner = linop::stack(all.clone(), None, Some(("B", 0))).unwrap();
    let outer = linop::stack(all, Some(("B", 0)), None).unwrap();
    let serial = |a: &Linop| a.with_settings(ThreadSettings { threaded: false, num_workers: None });
    for (a, most) in [
        (workers(&outer, 2) * &inner, 2),
        (&outer * workers(&inner, 3), 3),
        (workers(&outer, 3) * workers(&inner, 2), 2),
        (serial(&outer) * &inner, 1),
    ] {
        let plan = a.plan(&Device::host(), DType::Complex32).unwrap();
        assert_eq!(plan.regions.iter().map(|r| r.in_flight).collect::<Vec<_>>(), [most]);
    }
}

#[test]
fn other_linops_bring_their_own_dims() {
    let add = |dim: &str| linop::add(vec![linop::flip(&format!("{dim}=4")[..], dim).unwrap(); 2]).unwrap();
    let b = add("A").with_threads(&Threads::new(add("B").children())).unwrap();
    assert_eq!((b.input().unwrap().to_string(), b.output().unwrap().to_string()), ("B=4".into(), "B=4".into()));
    let renamed = add("A").out("K").unwrap();
    let c = renamed.with_threads(&Threads::new(add("A").children())).unwrap();
    assert_eq!(c.output().unwrap().to_string(), "K=4");
}
