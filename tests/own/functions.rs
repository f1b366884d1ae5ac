//! Functions of the host.

use crate::TOLERANCE;
use crate::common::data::{complex, distance, real, wide, widened};
use crate::common::{apply_on, bits, devices};
use linops::check::dot_test;
use linops::linop::{self, FftOptions};
use linops::solve::{SolveOptions, cg};
use linops::{DType, Device, Error, Linop, MemoryUse, Tensor, apply_f64};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut1, ArrayViewMut2, ArrayViewMutD};
use num_complex::{Complex32, Complex64};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A matrix of these extents as functions of `T`, and as the crate's own linop.
macro_rules! matrix {
    ($t:ty, $rows:expr, $columns:expr, $of:expr) => {{
        let (m, n): (usize, usize) = ($rows, $columns);
        let w = match stringify!($t).starts_with("Complex") {
            true => complex(format!("M={m} N={n}"), 5),
            false => real(format!("M={m} N={n}"), 5),
        };
        let a: Arc<Array2<$t>> = Arc::new(w.to_array().unwrap().mapv($of).into_dimensionality().unwrap());
        let (forward, adjoint) = (a.clone(), a);
        let own = linop::from_fn(
            format!("N={n}"),
            format!("M={m}"),
            move |x: ArrayView1<$t>, mut y: ArrayViewMut1<$t>| y.assign(&forward.dot(&x)),
            move |y: ArrayView1<$t>, mut x: ArrayViewMut1<$t>| {
                x.assign(&adjoint.t().mapv(|a| Conj::conj(&a)).dot(&y));
            },
        )
        .unwrap();
        (own, linop::dense(format!("N={n}"), &w, "M").unwrap())
    }};
}

trait Conj {
    fn conj(&self) -> Self;
}
impl Conj for f32 {
    fn conj(&self) -> f32 {
        *self
    }
}
impl Conj for f64 {
    fn conj(&self) -> f64 {
        *self
    }
}
impl<T: Copy + num_complex::ComplexFloat<Real = T> + std::ops::Neg<Output = T>> Conj for num_complex::Complex<T> {
    fn conj(&self) -> Self {
        num_complex::Complex::new(self.re, -self.im)
    }
}

/// Forward, adjoint and normal of a linop on every device, for complex and real values, are those of another one in f64.
pub fn same(what: &str, a: &Linop, want: &Linop) {
    for (name, a, b) in
        [("forward", a.clone(), want.clone()), ("adjoint", a.h(), want.h()), ("normal", a.n(), want.n())]
    {
        for x in [complex(a.input().unwrap(), 1), real(a.input().unwrap(), 2)] {
            let expected = apply_f64(&b, &wide(&x)).unwrap();
            for device in devices() {
                let y = a.apply(&x.to(&device).unwrap()).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
                assert_eq!(y.dtype(), b.apply(&x).unwrap().dtype(), "{what}, {name} on {}", device.name());
                let e = distance(&y.to(&Device::host()).unwrap().to_array().unwrap(), &expected);
                assert!(e < TOLERANCE, "{what}, {name} on {}: {e:.1e}", device.name());
            }
        }
    }
}

#[test]
fn functions_of_all_numbers_are_the_matrix() {
    let (a, b) = matrix!(f32, 7, 5, |w| w.re);
    same("f32", &a, &b);
    let (a, b) = matrix!(f64, 7, 5, |w| w.re.into());
    same("f64", &a, &b);
    let (a, b) = matrix!(Complex32, 7, 5, |w| w);
    same("Complex32", &a, &b);
    let (a, b) = matrix!(Complex64, 7, 5, |w: Complex32| Complex64::new(w.re.into(), w.im.into()));
    same("Complex64", &a, &b);
}

/// Within products, sums, stacks (batched where they are alike) and products of these.
#[test]
fn functions_stand_wherever_linops_do() {
    let (a, b) = matrix!(f32, 8, 12, |w| w.re);
    let (c, d) = matrix!(Complex32, 8, 12, |w| w);
    let f = linop::fft("N=12", "N", FftOptions::default().centered(true)).unwrap().out("N").unwrap();
    let g = linop::fft("M=8", "M", FftOptions::default()).unwrap().out("M").unwrap();
    let weight = |seed| linop::diagonal("N=12", &complex("N=12", seed)).unwrap();
    let both = |make: &dyn Fn(&Linop, &Linop) -> Linop| (make(&a, &c), make(&b, &d));
    let cases: Vec<(&str, (Linop, Linop))> = vec![
        ("chain", both(&|a, _| &g * a * &f)),
        ("two in a row", both(&|a, c| c.h() * a)),
        ("sum", both(&|a, c| a + c)),
        ("sum of real ones", both(&|a, _| a + a * linop::flip("N=12", "N").unwrap())),
        ("alike, stacked", both(&|a, _| linop::stack((0..5).map(|k| a * weight(k)), None, Some(("S", 1))).unwrap())),
        ("alike, added", both(&|_, c| linop::add((0..5).map(|k| c * weight(k))).unwrap())),
        (
            "unlike, side by side",
            both(&|a, c| {
                let parts = vec![a * weight(1), c * linop::flip("N=12", "N").unwrap(), &g * a, c.clone()];
                linop::concat(parts, None, Some("M")).unwrap()
            }),
        ),
        (
            "block diagonal",
            both(&|a, c| linop::concat(vec![a.clone(), c.clone(), a.clone()], Some("N"), Some("M")).unwrap()),
        ),
        (
            "normal of a stack",
            both(&|a, c| linop::stack(vec![a.clone(), c.clone()], None, Some(("S", 0))).unwrap().n()),
        ),
    ];
    for (what, (a, b)) in cases {
        same(what, &a, &b);
    }
}

#[test]
fn a_plan_for_a_gpu_says_what_the_host_does() {
    let (a, _) = matrix!(Complex32, 8, 12, |w| w);
    let f = linop::fft("N=12", "N", FftOptions::default()).unwrap().out("N").unwrap();
    let a = a * f;
    for target in [linops::explain::Target::poorest(), linops::explain::Target::software()] {
        let plan = a.plan_for(&target, DType::Complex32).unwrap();
        let on_host: Vec<&str> = plan.steps.iter().filter(|s| s.runs_on_host()).map(|s| s.name()).collect();
        assert_eq!(on_host, ["host"], "{plan}");
        assert!(plan.to_string().contains("host v1"), "{plan}");
        // Its copies on the host: 12 values there, 8 back.
        let memory = MemoryUse::of(&plan).unwrap();
        assert_eq!(memory.tasks.bytes(), 20 * 8, "{memory:?}");
    }
    let plan = a.plan(&Device::host(), DType::Complex32).unwrap();
    assert!(plan.steps.iter().all(|s| !s.runs_on_host()), "{plan}");
}

#[test]
fn in_f64_functions_of_f64_round_in_f64() {
    let x = wide(&complex("N=12", 3));
    let (a, b) = matrix!(f64, 8, 12, |w| w.re.into());
    let want = apply_f64(&b, &x).unwrap();
    let error = |got: &ndarray::ArrayD<Complex64>| {
        let norm = |a: &ndarray::ArrayD<Complex64>| a.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt();
        norm(&(got - &want)) / norm(&want)
    };
    assert!(error(&apply_f64(&a, &x).unwrap()) < 1e-14);
    let (single, _) = matrix!(f32, 8, 12, |w| w.re);
    let e = error(&apply_f64(&single, &x).unwrap());
    assert!((1e-12..1e-6).contains(&e), "{e:.1e}");
}

#[test]
fn a_wrong_adjoint_is_found_and_named() {
    let forward = |x: ArrayViewD<f32>, mut y: ArrayViewMutD<f32>| {
        y.assign(&x);
        y[[2, 1]] += 3.0 * x[[0, 1]];
    };
    let adjoint = |y: ArrayViewD<f32>, mut x: ArrayViewMutD<f32>| x.assign(&y);
    let a = linop::from_fn("A=3 B=2", "A=3 B=2", forward, adjoint).unwrap();
    for device in devices() {
        let report = dot_test(&a, &device, 1).unwrap();
        assert!(!report.passed());
        let told = report.to_string();
        assert!(told.contains("A=2 B=1") && told.contains("A=0 B=1"), "{told}");
    }
}

#[test]
fn a_panic_is_an_error_and_all_goes_on() {
    let bad = Arc::new(AtomicBool::new(true));
    let fails = bad.clone();
    let copy = |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| y.assign(&x);
    let forward = move |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| {
        y.assign(&x);
        assert!(!fails.load(Ordering::SeqCst), "no more of this");
    };
    let one = linop::from_fn("N=40", "N=40", forward, copy).unwrap().named("mine");
    let within = linop::add(vec![linop::flip("N=40", "N").unwrap(), one.clone()]).unwrap();
    let x = complex("N=40", 1);
    for device in devices() {
        for a in [one.clone(), within.clone()] {
            bad.store(true, Ordering::SeqCst);
            for _ in 0..3 {
                let e = apply_on(&device, &a, &x).unwrap_err();
                assert!(matches!(e.root(), Error::Panicked(_)), "{e}");
                assert!(e.to_string().contains("the forward: panicked: no more of this"), "{e}");
                assert!(e.to_string().contains(&a.label()), "{e}");
            }
            bad.store(false, Ordering::SeqCst);
            let y = apply_on(&device, &a, &x).unwrap();
            assert_eq!(bits(&y), bits(&apply_on(&device, &a, &x).unwrap()));
        }
    }
}

#[test]
fn wrong_axes_are_told_when_it_is_built() {
    let copy = |x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>| y.assign(&x);
    let e = linop::from_fn("A=3 B=2 C=4", "A=3 B=2", copy, copy).unwrap_err().to_string();
    assert!(e.contains("2 axes for the input, which has 3") && e.contains("ArrayView3"), "{e}");
    assert!(linop::from_fn("A=3 B=", "A=3 B=2", copy, copy).is_err());
    let a = linop::from_fn("A=3 B=2", "A=3 B=2", copy, copy).unwrap();
    let e = a.apply(&complex("A=3 B=4", 1)).unwrap_err().to_string();
    assert!(e.contains("from_fn: input") && e.contains('B'), "{e}");
    // And sizes that a function does not have are its panic.
    let broken = linop::from_fn("A=3", "A=2", |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| y.assign(&x), |_, _| {});
    let e = broken.unwrap().apply(&complex("A=3", 1)).unwrap_err();
    assert!(matches!(e.root(), Error::Panicked(_)), "{e}");
}

#[test]
fn a_solver_runs_over_functions() {
    let (a, b) = matrix!(f32, 30, 12, |w| w.re);
    let want = complex("N=12", 4);
    for device in devices() {
        let y = b.apply(&want.to(&device).unwrap()).unwrap();
        let right = a.h().apply(&y).unwrap();
        let solution = cg(&a.n(), &right, SolveOptions::default()).unwrap();
        let x = solution.x.to(&Device::host()).unwrap().to_array().unwrap();
        assert!(distance(&x, &wide(&want)) < 1e-4, "{}", device.name());
    }
}

/// Several threads apply one linop, whose functions apply a linop of their own on the same device.
#[test]
fn functions_may_apply_linops() {
    let calls = Arc::new(AtomicUsize::new(0));
    for device in devices() {
        let (inside, counted) = (device.clone(), calls.clone());
        let f = linop::fft("N=48", "N", FftOptions::default()).unwrap().out("N").unwrap();
        let apply = move |a: &Linop, x: ArrayView1<Complex32>, mut y: ArrayViewMut1<Complex32>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let x = Tensor::from_array(x.to_owned(), "N").unwrap().to(&inside).unwrap();
            let result = a.apply(&x).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
            y.assign(&result.into_dimensionality::<ndarray::Ix1>().unwrap());
        };
        let (forward, adjoint, back) = (f.clone(), f.h(), apply.clone());
        let a = linop::from_fn("N=48", "N=48", move |x: ArrayView1<_>, y: ArrayViewMut1<_>| apply(&forward, x, y), {
            move |y: ArrayView1<_>, x: ArrayViewMut1<_>| back(&adjoint, y, x)
        })
        .unwrap();
        let sum = linop::add(vec![a.clone(), linop::flip("N=48", "N").unwrap(), a * &f]).unwrap();
        let want = linop::add(vec![f.clone(), linop::flip("N=48", "N").unwrap(), &f * &f]).unwrap();
        std::thread::scope(|s| {
            for seed in 0..4 {
                let (sum, want, device) = (&sum, &want, &device);
                s.spawn(move || {
                    let x = complex("N=48", seed);
                    for _ in 0..5 {
                        let e = distance(
                            &apply_on(device, sum, &x).unwrap(),
                            &widened(&apply_on(&Device::host(), want, &x).unwrap()),
                        );
                        assert!(e < TOLERANCE, "{e:.1e}");
                    }
                });
            }
        });
    }
    assert!(calls.load(Ordering::SeqCst) >= 40);
}

/// Nothing is kept of the device's memory for steps of the host.
#[test]
#[cfg(feature = "gpu")]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn steps_of_the_host_keep_no_memory() {
    let Some(device) = crate::common::gpu_with(Default::default()) else { return };
    let (a, _) = matrix!(Complex32, 2000, 1200, |w| w);
    let x = complex("N=1200", 1).to(&device).unwrap();
    let in_use = |n| {
        for _ in 0..n {
            a.apply(&x).unwrap();
        }
        device.wait().unwrap();
        device.as_gpu().unwrap().memory().in_use
    };
    let before = in_use(2);
    assert_eq!(in_use(30), before);
}
