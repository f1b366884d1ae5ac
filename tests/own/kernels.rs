//! Kernels of a GPU.

use crate::TOLERANCE;
use crate::common::data::{complex, distance, real, wide};
use crate::common::{apply_on, bits};
use linops::check::dot_test;
use linops::explain::{Language, Target};
use linops::internal::GpuLimits;
use linops::linop::{self, FftOptions};
use linops::linop::{Wgsl, wgsl, wgsl_or};
use linops::{DType, Device, Error, Linop, MemoryUse, Tensor, apply_f64};
use ndarray::{ArrayView1, ArrayViewMut1};
use num_complex::Complex32;

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
    crate::common::gpu()
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

/// A dispatch for each entry in front, and copies of all of them together at most.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn dims_in_front_are_one_step() {
    let Some(device) = device() else { return };
    // Rows that begin where bindings may, and others; also where values are widened.
    for n in [12, 33, 64] {
        let shape = format!("N={n}");
        let turned = wgsl(&shape, &shape, &turn(), &turn()).unwrap();
        let complex_alone = kernel(&both().replace("<T>", "<vec2<f32>>"), "y[i] = x[i];");
        let kept = wgsl(&shape, &shape, &complex_alone, &complex_alone).unwrap();
        let flip = linop::flip(&shape, "N").unwrap();
        let a = turned.over("T=37").unwrap();
        same("rows", &device, &a, &flip.over("T=37").unwrap());
        same("rows of rows", &device, &turned.over("T=3 S=5").unwrap(), &flip.over("T=3 S=5").unwrap());
        let scaled = linop::scalar("T=37 N=12", Complex32::new(0.0, 2.0)).unwrap();
        if n == 12 {
            let twice = linop::flip("T=37 N=12", "N").unwrap() * &scaled;
            same("rows in a chain", &device, &(&a * &scaled), &twice);
        }
        for x in [real(format!("T=7 N={n}"), 1), complex(format!("T=7 N={n}"), 2)] {
            let y = kept.over("T=7").unwrap().apply(&x.to(&device).unwrap()).unwrap();
            assert!(distance(&y.to(&Device::host()).unwrap().to_array().unwrap(), &wide(&x)) == 0.0, "N={n}");
        }
        let plan = a.plan(&device, DType::F32).unwrap().to_string();
        assert_eq!(plan.matches("custom v").count(), 1, "{plan}");
        assert!(plan.contains("37 times"), "{plan}");
    }
    let many = wgsl("N=64", "N=64", &turn(), &turn()).unwrap().over("T=5000").unwrap();
    let e = many.plan(&device, DType::F32).unwrap_err().to_string();
    assert!(e.contains("over 5000 entries of dims in front") && e.contains("at most 4096"), "{e}");
}

/// With a value an override is a constant.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn overrides_have_the_values_in_the_text() {
    let Some(device) = device() else { return };
    let with = text(&format!("{}\noverride n: u32 = 32u; override by: f32 = 3.0;", both()), "y[i] = by * x[i];");
    let own = Wgsl::new(with.replace("size(64)", "size(n)"));
    let a = wgsl("N=100", "N=100", &own, &own).unwrap();
    same("overrides", &device, &a, &linop::scalar("N=100", 3.0).unwrap());
    let plan = a.plan_for(&Target::poorest(), DType::F32).unwrap();
    assert!(Language::ALL.iter().all(|l| plan.kernels(*l).is_ok()));
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
    crate::functions::same("on both", &either, &flip);
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
            kernel(&both().replacen("<T>", "<f32>", 1).replace("<T>", "<vec2<f32>>"), "y[i] = vec2<f32>(x[i], 0.0);"),
            "for both",
        ),
        ("no main", Wgsl::new(text(&both(), "y[i] = x[i];").replace("fn main", "fn other")), "main"),
        ("uniform", three("@group(0) @binding(2) var<uniform> w: vec4<f32>;").constant(&numbers), "no storage buffer"),
        (
            "an override without a value",
            kernel(&format!("{}\noverride n: f32;", both()), "y[i] = n * x[i];"),
            "override n has no value",
        ),
        (
            "an override that makes no workgroup",
            Wgsl::new(
                text(&format!("{}\noverride n: u32 = 0u;", both()), "y[i] = x[i];").replace("size(64)", "size(n)"),
            ),
            "override",
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

/// Memory that others have used lies under the result.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_a_kernel_does_not_write_is_0() {
    let Some(device) = device() else { return };
    let half = kernel(&both(), "if (i % 2u == 0u) { y[i] = x[i]; }");
    let adds = kernel(&both(), "y[i] += x[i];");
    for shape in ["N=1030", "B=3 N=343"] {
        let own = |k: &Wgsl| wgsl("N=343", "N=343", k, k).unwrap().over("B=3").unwrap();
        let own = |k: &Wgsl| if shape.starts_with('B') { own(k) } else { wgsl(shape, shape, k, k).unwrap() };
        let x = complex(shape, 1);
        let want = x.to_array().unwrap();
        for _ in 0..3 {
            // Leaves buffers of the size of the result behind.
            apply_on(&device, &linop::flip(shape, "N").unwrap(), &x).unwrap();
            assert_eq!(bits(&apply_on(&device, &own(&adds), &x).unwrap()), bits(&want), "{shape}");
            let y = apply_on(&device, &own(&half).n(), &x).unwrap();
            let n = want.shape().last().copied().unwrap();
            let kept = want.iter().enumerate().map(|(i, v)| if (i % n) % 2 == 0 { *v } else { Complex32::ZERO });
            assert!(y.iter().copied().eq(kept), "{shape}: {y}");
        }
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
    for (own, want) in [(Wgsl::new(row).invocations([7, 5, 4]), 232.0), (Wgsl::new(row).workgroups([3, 4, 2]), 342.0)] {
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
    let shared = kernel(
        &format!("{}\nvar<workgroup> w: array<f32, 5000>;", both()),
        "w[i % 9u] = 2.0; y[i] = x[i] * w[i % 9u];",
    );
    let a = wgsl("N=12", "N=12", &shared, &shared).unwrap();
    let e = plan(&a, limits).unwrap_err().to_string();
    assert!(e.contains("20000 bytes in var<workgroup>, the device has 16384"), "{e}");
    assert!(plan(&a, GpuLimits { workgroup_memory: 32 << 10, ..limits }).is_ok());
    let deep = Wgsl::new(text(&both(), "y[i] = x[i];").replace("size(64)", "size(1, 1, 128)"));
    let e = plan(&wgsl("N=12", "N=12", &deep, &deep).unwrap(), limits).unwrap_err().to_string();
    assert!(e.contains("128 invocations along z, the device takes 64 there"), "{e}");
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
        // Forward, adjoint, and what sets their results to 0.
        assert_eq!(own, 3, "{language}");
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
    crate::functions::same("with a host", &a, &want);
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
    let e =
        read(&format!("{{ {fields} }}").replacen("scale", "broken", 1).replace(" }", r#", "constants": ["w.npy"] }"#));
    let e = e.unwrap_err().to_string();
    assert!(e.contains("a.json") && e.contains("nothing") && e.contains('^'), "{e}");
}
