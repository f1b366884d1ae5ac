//! Operators of a user's own: functions of the host, and kernels of a GPU.

mod common;

use common::data::{complex, distance, real, wide, widened};
use common::{apply_on, bits, devices};
use linops::check::dot_test;
use linops::linop::{self, FftOptions};
use linops::solve::{SolveOptions, cg};
use linops::{DType, Device, Error, Linop, MemoryUse, Tensor, apply_f64};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut1, ArrayViewMut2, ArrayViewMutD};
use num_complex::{Complex32, Complex64};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const TOLERANCE: f64 = 2e-6;

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
fn same(what: &str, a: &Linop, want: &Linop) {
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
    let Some(device) = common::gpu_with(Default::default()) else { return };
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

/// Kernels of a user's own.
#[cfg(feature = "gpu")]
mod kernels {
    use super::*;
    use linops::explain::{Language, Target};
    use linops::internal::GpuLimits;
    use linops::linop::{Wgsl, wgsl, wgsl_or};

    /// A kernel of these bindings and this body, one invocation for each result `i`.
    fn kernel(bindings: &str, body: &str) -> Wgsl {
        Wgsl::new(text(bindings, body))
    }

    fn text(bindings: &str, body: &str) -> String {
        format!(
            "{bindings}\n@compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3<u32>) {{\n\
             let i = id.x;\nif (i >= arrayLength(&y)) {{ return; }}\n{body}\n}}"
        )
    }

    const X: &str = "@group(0) @binding(0) var<storage, read> x: array<T>;";
    const Y: &str = "@group(0) @binding(1) var<storage, read_write> y: array<T>;";

    fn both() -> String {
        format!("{X}\n{Y}")
    }

    /// y[i] = x[N − 1 − i].
    fn turn() -> Wgsl {
        kernel(&both(), "y[i] = x[arrayLength(&x) - 1u - i];")
    }

    /// A dense matrix from an extent to another one, complex, with its weights and extents as constants.
    fn matrix(m: usize, n: usize) -> (Linop, Linop) {
        let w = complex(format!("M={m} N={n}"), 5);
        let more = "@group(0) @binding(2) var<storage, read> w: array<vec2<f32>>;
            @group(0) @binding(3) var<storage, read> extents: array<u32>;
            fn mul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
                return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
            }";
        let bindings = format!("{}\n{more}", both().replace("array<T>", "array<vec2<f32>>"));
        let forward = "var s = vec2<f32>(); let n = extents[0];
            for (var k = 0u; k < n; k += 1u) { s += mul(w[i * n + k], x[k]); } y[i] = s;";
        let adjoint = "var s = vec2<f32>(); let n = extents[0];
            for (var k = 0u; k < extents[1]; k += 1u) { let a = w[k * n + i]; s += mul(vec2<f32>(a.x, -a.y), x[k]); } y[i] = s;";
        let whole = |body: &str| kernel(&bindings, body).constant(&w).list(vec![n as u32, m as u32]);
        let own = wgsl(format!("N={n}"), format!("M={m}"), &whole(forward), &whole(adjoint)).unwrap();
        (own, linop::dense(format!("N={n}"), &w, "M").unwrap())
    }

    fn device() -> Option<Device> {
        common::gpu()
    }

    /// Forward, adjoint and normal on the GPU are those of another linop.
    fn same(what: &str, device: &Device, a: &Linop, want: &Linop) {
        for (name, a, b) in
            [("forward", a.clone(), want.clone()), ("adjoint", a.h(), want.h()), ("normal", a.n(), want.n())]
        {
            for x in [complex(a.input().unwrap(), 1), real(a.input().unwrap(), 2)] {
                let expected = apply_f64(&b, &wide(&x)).unwrap();
                let y = a.apply(&x.to(device).unwrap()).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
                assert_eq!(y.dtype(), b.apply(&x).unwrap().dtype(), "{what}, {name}");
                let e = distance(&y.to(&Device::host()).unwrap().to_array().unwrap(), &expected);
                assert!(e < TOLERANCE, "{what}, {name}: {e:.1e}");
            }
        }
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn kernels_are_what_they_say_wherever_they_stand() {
        let Some(device) = device() else { return };
        let (a, b) = matrix(8, 12);
        let turned = wgsl("N=12", "N=12", &turn(), &turn()).unwrap();
        let flip = linop::flip("N=12", "N").unwrap();
        let f = linop::fft("N=12", "N", FftOptions::default()).unwrap().out("N").unwrap();
        let weight = |seed| linop::diagonal("N=12", &complex("N=12", seed)).unwrap();
        let make = |a: &Linop, t: &Linop| -> Vec<(&str, Linop)> {
            let parts = (0..4).map(|k| a * t * weight(k)).collect::<Vec<_>>();
            vec![
                ("alone", a.clone()),
                ("for both kinds", t.clone()),
                ("chain", a * &f * t * weight(1)),
                ("sum", a + a * t),
                ("real and complex, added", t + &weight(2)),
                ("stack", linop::stack(parts.clone(), None, Some(("S", 1))).unwrap()),
                ("many, added", linop::add(parts).unwrap()),
                ("side by side", linop::concat(vec![t.clone(), &f * t, t.clone()], None, Some("N")).unwrap()),
                ("block diagonal", linop::concat(vec![t.clone(), t.clone()], Some("N"), Some("N")).unwrap()),
            ]
        };
        for ((what, a), (_, b)) in make(&a, &turned).into_iter().zip(make(&b, &flip)) {
            same(what, &device, &a, &b);
        }
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn kernels_and_functions_go_together() {
        let Some(device) = device() else { return };
        let (a, b) = matrix(8, 12);
        let copy = |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| y.assign(&x.slice(ndarray::s![..;-1]));
        let functions = linop::from_fn("N=12", "N=12", copy, copy).unwrap();
        let flip = linop::flip("N=12", "N").unwrap();
        same("after functions", &device, &(&a * &functions), &(&b * &flip));
        // On the host the functions stand for the kernels.
        let either = wgsl_or(&turn(), &turn(), &functions).unwrap();
        same("on a GPU", &device, &either, &flip);
        super::same("on both", &either, &flip);
        let plan = either.n().plan(&Device::host(), DType::Complex32).unwrap().to_string();
        assert!(plan.contains("closure") && !plan.contains("custom"), "{plan}");
        let plan = either.plan(&device, DType::Complex32).unwrap().to_string();
        assert!(plan.contains("custom") && !plan.contains("host"), "{plan}");
    }

    #[test]
    fn without_a_version_for_it_the_host_says_so() {
        let a = wgsl("N=12", "N=12", &turn(), &turn()).unwrap();
        let e = a.apply(&complex("N=12", 1)).unwrap_err();
        assert!(matches!(e.root(), Error::Device(_)), "{e}");
        assert!(e.to_string().contains("custom: a kernel of one's own runs on a GPU only"), "{e}");
        assert!(apply_f64(&a, &wide(&complex("N=12", 1))).is_err());
    }

    #[test]
    fn naga_tells_what_is_wrong_and_where() {
        let error = |forward: &Wgsl| wgsl("N=12", "N=12", forward, &turn()).unwrap_err().to_string();
        let told = error(&kernel(&both(), "y[i] = x[i] + z;"));
        assert!(told.starts_with("kernel forward: "), "{told}");
        for part in ["no definition in scope for identifier: `z`", "y[i] = x[i] + z;", "wgsl:7:", "^"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        // Of types, too: with T for what it stands for.
        let told = error(&kernel(&both(), "y[i] = x[i] + 1u;"));
        assert!(told.contains("^") && told.contains("x[i] + 1u"), "{told}");
        let e = wgsl("N=12", "N=12", &turn(), &Wgsl::new("fn main() {")).unwrap_err().to_string();
        assert!(e.starts_with("kernel adjoint: ") && e.contains("expected"), "{e}");
    }

    #[test]
    fn what_a_kernel_must_declare_is_asked_for() {
        let read = "@group(0) @binding(2) var<storage, read> w: array<f32>;";
        let body = "y[i] = x[i] * w[i];";
        let three = |w: &str| kernel(&format!("{}\n{w}", both()), body);
        let numbers = real("N=12", 1);
        let cases: Vec<(&str, Wgsl, &str)> = vec![
            ("a constant too few", three(read), "w at @group(0) @binding(2) has nothing to bind"),
            (
                "a constant too many",
                turn().constant(&numbers),
                "constant 0 is not declared; expected @group(0) @binding(2)",
            ),
            ("of another type", three(read).list(vec![1; 12]), "is array<f32>; what is given for it is array<u32>"),
            ("written to", three(&read.replace("read>", "read_write>")).constant(&numbers), "is written to"),
            ("of fixed size", three(&read.replace("<f32>", "<f32, 12>")).constant(&numbers), "another type than"),
            (
                "another group",
                kernel(&both().replace("group(0) @binding(0)", "group(1) @binding(0)"), "y[i] = x[i];"),
                "group",
            ),
            ("no input", kernel(Y, "y[i] = y[i];"), "the input is not declared"),
            (
                "no result",
                Wgsl::new(format!("{X} @compute @workgroup_size(1) fn main() {{ _ = x[0]; }}")),
                "the result is not",
            ),
            (
                "swapped",
                kernel(&both().replace("read>", "read_write>"), "y[i] = x[i];"),
                "the input at binding 0 is var<storage, read>",
            ),
            (
                "two types",
                kernel(
                    &both().replacen("<T>", "<f32>", 1).replace("<T>", "<vec2<f32>>"),
                    "y[i] = vec2<f32>(x[i], 0.0);",
                ),
                "for both",
            ),
            ("no main", Wgsl::new(text(&both(), "y[i] = x[i];").replace("fn main", "fn other")), "main"),
            (
                "uniform",
                three("@group(0) @binding(2) var<uniform> w: vec4<f32>;").constant(&numbers),
                "no storage buffer",
            ),
            ("an empty list", turn().list(Vec::new()), "a list without numbers"),
            ("no workgroups", turn().workgroups([1, 0, 1]), "each must be 1 or more"),
        ];
        for (what, forward, want) in cases {
            let e = wgsl("N=12", "N=12", &forward, &turn()).unwrap_err().to_string();
            assert!(e.contains(want), "{what}: {e}");
        }
        let real_alone = kernel(&both().replace("<T>", "<f32>"), "y[i] = x[i];");
        let e = wgsl("N=12", "N=12", &real_alone, &turn()).unwrap_err().to_string();
        assert!(e.contains("takes real values, the adjoint real or complex"), "{e}");
        let wrong = linop::identity("N=12 M=2").unwrap();
        assert!(wgsl_or(&turn(), &turn(), &wrong).is_ok());
        assert!(wgsl("N=12", "N=", &turn(), &turn()).is_err());
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn real_kernels_refuse_complex_values() {
        let Some(device) = device() else { return };
        let twice = kernel(&both().replace("<T>", "<f32>"), "y[i] = 2.0 * x[i];");
        let a = wgsl("N=12", "N=12", &twice, &twice).unwrap();
        let x = real("N=12", 1);
        let y = apply_on(&device, &a, &x).unwrap();
        assert!(distance(&y, &wide(&x).mapv(|v| 2.0 * v)) < 1e-7);
        let e = apply_on(&device, &a, &complex("N=12", 1)).unwrap_err().to_string();
        assert!(e.contains("write T for the type"), "{e}");
        // Declared by the text itself, T is what it says.
        let aliased = kernel(&format!("alias T = vec2<f32>;\n{}", both()), "y[i] = 2.0 * x[i];");
        let a = wgsl("N=12", "N=12", &aliased, &aliased).unwrap();
        let y = a.apply(&x.to(&device).unwrap()).unwrap();
        assert_eq!(y.dtype(), DType::Complex32);
        device.wait().unwrap();
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn a_wrong_adjoint_is_found() {
        let Some(device) = device() else { return };
        let shift = kernel(&both(), "y[i] = x[(i + 1u) % arrayLength(&x)];");
        let a = wgsl("N=12", "N=12", &shift, &shift).unwrap();
        let report = dot_test(&a, &device, 1).unwrap();
        assert!(!report.passed() && report.worst.is_some(), "{report}");
    }

    /// An index outside of a buffer reads or writes within it: what lies beside it stays as it is.
    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn no_index_reaches_outside() {
        let Some(device) = device() else { return };
        let wild = kernel(&both(), "y[i] = x[i]; y[i + 100000000u] = x[i + 100000000u];");
        let a = wgsl("N=12", "N=12", &wild, &turn()).unwrap();
        let flip = linop::flip("N=12", "N").unwrap();
        let x = complex("N=12", 1);
        let before = bits(&apply_on(&device, &flip, &x).unwrap());
        for _ in 0..3 {
            apply_on(&device, &a, &x).unwrap();
            assert_eq!(bits(&apply_on(&device, &flip, &x).unwrap()), before);
        }
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn dispatches_are_as_declared() {
        let Some(device) = device() else { return };
        let row = "@group(0) @binding(0) var<storage, read> x: array<T>;
            @group(0) @binding(1) var<storage, read_write> y: array<T>;
            @compute @workgroup_size(4, 2, 3)
            fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
                if (id.x < 7u && id.y < 5u && id.z < 4u) {
                    let i = (id.z * 5u + id.y) * 7u + id.x;
                    y[i] = f32(n.x * 100u + n.y * 10u + n.z) * x[i];
                }
            }";
        let ones = real("A=4 B=5 C=7", 1).to_real_array().unwrap().mapv(|_| 1.0f32);
        let x = Tensor::from_array(ones, "A B C").unwrap();
        for (own, want) in
            [(Wgsl::new(row).invocations([7, 5, 4]), 232.0), (Wgsl::new(row).workgroups([3, 4, 2]), 342.0)]
        {
            let a = wgsl("A=4 B=5 C=7", "A=4 B=5 C=7", &own, &own).unwrap();
            let y = apply_on(&device, &a, &x).unwrap();
            assert!(y.iter().all(|y| *y == Complex32::from(want)), "{want}: {y}");
        }
    }

    #[test]
    fn what_a_gpu_cannot_bind_is_refused_when_it_is_planned() {
        let limits = GpuLimits { max_binding: 4096, ..GpuLimits::poorest(linops::internal::KernelShape::Gpu) };
        let plan = |a: &Linop, limits| a.plan_for(&Target::Gpu(limits), DType::Complex32);
        let large = wgsl("N=600", "N=600", &turn(), &turn()).unwrap();
        let e = plan(&large, limits).unwrap_err();
        assert!(matches!(e.root(), Error::TooBig { needed: 4800, limit: 4096, .. }), "{e}");
        assert!(e.to_string().contains("the input of the forward kernel of one's own, which is bound whole"), "{e}");
        assert!(plan(&large, GpuLimits { max_binding: 8192, ..limits }).is_ok());
        let few = GpuLimits { max_groups: 2, max_binding: 8192, ..limits };
        let e = plan(&large, few).unwrap_err().to_string();
        assert!(e.contains("10 workgroups along x, the device takes 2"), "{e}");
        let e = plan(&large, GpuLimits { max_invocations: 32, max_binding: 8192, ..limits }).unwrap_err().to_string();
        assert!(e.contains("64 invocations, the device takes 32"), "{e}");
        let names: String =
            (2..9).map(|k| format!("@group(0) @binding({k}) var<storage, read> w{k}: array<f32>;\n")).collect();
        let mut many = kernel(&format!("{}\n{names}", both()), "y[i] = x[i];");
        for seed in 0..7 {
            many = many.constant(&real("K=2", seed));
        }
        let a = wgsl("N=12", "N=12", &many, &many).unwrap();
        let e = plan(&a, limits).unwrap_err().to_string();
        assert!(e.contains("binds 9 buffers, the device has 8"), "{e}");
    }

    #[test]
    fn explain_has_their_kernels_in_every_language() {
        let (a, _) = matrix(8, 12);
        let plan = a.n().plan_for(&Target::poorest(), DType::F32).unwrap();
        assert!(plan.to_string().contains("custom v"), "{plan}");
        for language in Language::ALL {
            let kernels = plan.kernels(language).unwrap();
            let own = kernels.iter().filter(|k| k.name.starts_with("custom")).count();
            assert_eq!(own, 2, "{language}");
            assert!(kernels.iter().all(|k| !k.code.is_empty()));
        }
        let wgsl = plan.kernels(Language::Wgsl).unwrap();
        assert!(wgsl.iter().any(|k| String::from_utf8_lossy(&k.code).contains("extents[1]")));
        // Constants are counted.
        let memory = MemoryUse::of(&plan).unwrap();
        assert!(memory.constants >= 8 * 12 * 8 && memory.tables > 0, "{memory:?}");
    }

    #[test]
    #[cfg(feature = "io")]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn linop_files_have_them() {
        use linops::io::{Array, Output, write_npy};
        let Some(device) = device() else { return };
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let w = real("N=12", 1);
        let bindings = format!("{}\n@group(0) @binding(2) var<storage, read> w: array<f32>;", both());
        write("scale.wgsl", &text(&bindings, "y[i] = w[i] * x[i];"));
        write("broken.wgsl", &text(&bindings, "y[i] = w[i] * nothing;"));
        let output = Output::create(folder.path().join("w.npy"), &["npy"], true).unwrap();
        write_npy(output, &Array::F32(w.to_real_array().unwrap())).unwrap();
        let read = |json: &str| {
            write("a.json", json);
            Linop::from_file(folder.path().join("a.json"))
        };
        let fields = r#""op": "custom", "in": "N=12", "wgsl": "scale.wgsl", "adjoint_wgsl": "scale.wgsl""#;
        let a = read(&format!(r#"{{ {fields}, "constants": ["w.npy"], "invocations": [12], "out": "M" }}"#)).unwrap();
        assert_eq!(a.output().unwrap().to_string(), "M=12");
        let want = linop::diagonal("N=12", &w).unwrap();
        same("from a file", &device, &a, &want.out("M").unwrap());
        let host = r#""host": { "op": "diagonal", "weight": "w.npy", "dims": "N" }"#;
        let a = read(&format!(r#"{{ {fields}, "constants": ["w.npy"], {host} }}"#)).unwrap();
        super::same("with a host", &a, &want);
        for (rest, told) in [
            ("", "constant"),
            (r#", "constants": ["w.npy"], "invocations": [0]"#, "invocations"),
            (r#", "constants": ["w.npy"], "invocations": [1], "workgroups": [1]"#, "are both given"),
            (r#", "constants": ["missing.npy"]"#, "constants[0]"),
            (r#", "constants": ["w.npy"], "out": "A B""#, "out"),
        ] {
            let e = read(&format!("{{ {fields}{rest} }}")).unwrap_err().to_string();
            assert!(e.contains(told), "{rest}: {e}");
        }
        let e = read(
            &format!("{{ {fields} }}").replacen("scale", "broken", 1).replace(" }", r#", "constants": ["w.npy"] }"#),
        );
        let e = e.unwrap_err().to_string();
        assert!(e.contains("a.json") && e.contains("nothing") && e.contains('^'), "{e}");
    }
}
