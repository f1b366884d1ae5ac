//! Einsums that are matrix products: by blocks on the host and by tiles on a GPU, with the values of the plain sum in f64.

mod common;

use common::data::{complex, distance, inner, norm, real, wide, widened};
use common::{apply_on, bits};
use linops::internal::Target;
use linops::linop;
use linops::{Device, Linop, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;

/// Dims with extents of x and of the weight, and the dims of y.
struct Case {
    x: &'static str,
    w: &'static str,
    y: &'static str,
    product: bool,
}

fn cases() -> Vec<Case> {
    let case = |x, w, y| Case { x, w, y, product: true };
    vec![
        case("N=60 T=30", "M=40 N=60", "M T"),
        case("N=60 T=30", "N=60 M=40", "T M"),
        case("T=30 N=60", "M=40 N=60", "M T"),
        case("T=30 N=60", "M=40 N=60", "T M"),
        // More terms than a block of a sum has, primes, several tiles of rows and of columns.
        case("N=131 T=37", "M=67 N=131", "M T"),
        case("N=70 T=300", "M=9 N=70", "M T"),
        case("N=5 T=1030", "M=4 N=5", "M T"),
        case("T=1030 N=5", "M=4 N=5", "T M"),
        case("N=33 T=4", "M=300 N=33", "M T"),
        // Channels and points: several dims each.
        case("C=12 Y=9 X=7", "V=5 C=12", "V Y X"),
        case("B=3 C=12 Y=9 X=7", "V=5 C=12", "B V Y X"),
        case("A=4 B=6 T=11", "P=3 Q=5 A=4 B=6", "P Q T"),
        // A matrix for each of some entries, and for each pair.
        case("B=3 N=20 T=8", "B=3 M=10 N=20", "B M T"),
        case("B=3 T=8 N=20", "M=10 N=20 B=3", "B T M"),
        case("A=2 B=3 N=9 T=8", "B=3 M=10 N=9", "A B M T"),
        case("A=2 B=3 T=8 N=9", "A=2 M=10 N=9", "A B T M"),
        // No products, or too small ones.
        Case { product: false, ..case("N=60", "M=40 N=60", "M") },
        Case { product: false, ..case("N=3 T=30", "M=40 N=3", "M T") },
        Case { product: false, ..case("B=3 N=20 T=8", "B=3 M=10 N=20", "M T B") },
    ]
}

fn named(dims: &str) -> Vec<(String, usize)> {
    dims.split_whitespace()
        .map(|d| match d.split_once('=') {
            Some((name, n)) => (name.to_string(), n.parse().unwrap()),
            None => (d.to_string(), 0),
        })
        .collect()
}

/// Σ w·x over what y lacks, by the definition.
fn by_definition(case: &Case, w: &Tensor, x: &Tensor) -> ArrayD<Complex64> {
    let (wd, xd, yd) = (named(case.w), named(case.x), named(case.y));
    let mut all: Vec<(String, usize)> = Vec::new();
    for (name, n) in wd.iter().chain(&xd) {
        if !all.iter().any(|(other, _)| other == name) {
            all.push((name.clone(), *n));
        }
    }
    let extent = |name: &str| all.iter().find(|(other, _)| other == name).unwrap().1;
    let mut y = ArrayD::zeros(IxDyn(&yd.iter().map(|(name, _)| extent(name)).collect::<Vec<_>>()));
    let (w, x) = (wide(w), wide(x));
    for i in ndarray::indices(all.iter().map(|(_, n)| *n).collect::<Vec<_>>()) {
        let at = |dims: &[(String, usize)]| -> Vec<usize> {
            dims.iter().map(|(name, _)| i[all.iter().position(|(other, _)| other == name).unwrap()]).collect()
        };
        y[&at(&yd)[..]] += w[&at(&wd)[..]] * x[&at(&xd)[..]];
    }
    y
}

fn gpus() -> Vec<Device> {
    #[cfg(feature = "gpu")]
    {
        use linops::gpu::{GpuOptions, KernelShape};
        let options = [1, 6].map(|fill| GpuOptions::default().shape(Some(KernelShape::Gpu)).fill(Some(fill)));
        let poor = GpuOptions::default().default_limits(true).shape(Some(KernelShape::Gpu)).fill(Some(1));
        options.into_iter().chain([poor]).filter_map(common::gpu_with).collect()
    }
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}

fn kernels(a: &Linop, target: &Target) -> Vec<&'static str> {
    let plan = a.program().unwrap().schedule(target, true).unwrap();
    plan.steps.iter().map(|s| s.name()).collect()
}

#[test]
fn products_are_what_their_definition_says() {
    let devices: Vec<Device> = std::iter::once(Device::host()).chain(gpus()).collect();
    for (k, case) in cases().iter().enumerate() {
        let kinds = [(false, false), (true, false), (false, true), (true, true)];
        // Each kind at some of the cases.
        for (real_w, real_x) in kinds.into_iter().take(if k % 4 == 0 { 4 } else { 1 }) {
            let seed = k as u64;
            let w = if real_w { real(case.w, seed) } else { complex(case.w, seed) };
            let x = if real_x { real(case.x, 50 + seed) } else { complex(case.x, 50 + seed) };
            let a = linop::dense(case.x, &w, case.y).unwrap();
            let want = by_definition(case, &w, &x);
            for (d, device) in devices.iter().enumerate() {
                let got = apply_on(device, &a, &x).unwrap();
                let error = distance(&got, &want);
                assert!(error < 1e-6, "case {k}, real {real_w} {real_x}, device {d}: {error:e}");
                assert_eq!(bits(&got), bits(&apply_on(device, &a, &x).unwrap()), "case {k}, device {d}");
            }
            let found = kernels(&a, &Target::Host).contains(&"matrix product");
            assert_eq!(found, case.product, "case {k}");
        }
    }
}

#[test]
fn products_have_exact_adjoints() {
    let devices: Vec<Device> = std::iter::once(Device::host()).chain(gpus()).collect();
    for (k, case) in cases().iter().enumerate() {
        let a = linop::dense(case.x, &complex(case.w, k as u64), case.y).unwrap();
        let (x, u) = (complex(case.x, 1), complex(a.output().unwrap(), 2));
        for device in &devices {
            let forward = widened(&apply_on(device, &a, &x).unwrap());
            let back = widened(&apply_on(device, &a.h(), &u).unwrap());
            let off = (inner(&forward, &wide(&u)) - inner(&wide(&x), &back)).norm();
            assert!(off < 2e-6 * norm(&forward) * norm(&wide(&u)), "case {k}: {off:e}");
        }
    }
}

/// What stands in front of a product goes into its read.
#[test]
fn products_read_through_what_stands_before_them() {
    let w = complex("M=40 N=60", 1);
    let roll = linop::roll("N=60 T=30", &[("N", 7)]).unwrap();
    let weigh = linop::diagonal("N=60 T=30", &complex("N=60 T=30", 2)).unwrap();
    let product = linop::dense("N=60 T=30", &w, "M T").unwrap();
    let a = &product * &weigh * &roll;
    assert_eq!(kernels(&a, &Target::Host), ["matrix product"]);
    let x = complex("N=60 T=30", 3);
    let host = Device::host();
    let parts = [&roll, &weigh, &product].iter().fold(x.clone(), |x, a| a.apply(&x).unwrap());
    let want = wide(&parts);
    for device in std::iter::once(host).chain(gpus()) {
        let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
        assert!(error < 1e-6, "{error:e}");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn products_on_a_gpu_are_made_by_tiles_where_that_leaves_it_busy() {
    use linops::internal::{GpuLimits, KernelShape};
    let a = linop::dense("N=512 T=512", &complex("M=512 N=512", 1), "M T").unwrap();
    let on = |limits: GpuLimits| kernels(&a, &Target::Gpu(limits));
    let poorest = GpuLimits::poorest(KernelShape::Gpu);
    assert_eq!(on(poorest), ["matrix product"]);
    assert_eq!(on(GpuLimits { fill: 1 << 30, ..poorest }), ["reduce"]);
    assert_eq!(on(GpuLimits::poorest(KernelShape::Cpu)), ["reduce"]);
    // What no binding holds is summed through windows.
    assert_eq!(on(GpuLimits { max_binding: 1 << 20, ..poorest }), ["reduce"]);
}

/// Sub-linops side by side are made by the kernels of one of them: settings of containers change no bit.
#[cfg(feature = "gpu")]
#[test]
fn a_batch_of_products_has_the_kernels_of_one() {
    use linops::internal::{GpuLimits, KernelShape, PlanOptions};
    let limits = GpuLimits::poorest(KernelShape::Gpu);
    for (rows, columns, outs) in [(64, 64, "M T"), (64, 64, "T M"), (512, 512, "M T"), (512, 512, "T M")] {
        let one = |seed| {
            let w = complex(format!("M={rows} K=64"), seed);
            linop::dense(format!("K=64 T={columns}"), &w, outs).unwrap()
        };
        let alone = kernels(&one(0), &Target::Gpu(limits));
        for same in [false, true] {
            let all: Vec<Linop> = (0..16).map(|k| one(if same { 0 } else { k })).collect();
            let stack = linop::stack(all, None, Some(("S", 0))).unwrap();
            for in_flight in [1, 16] {
                let options = PlanOptions { lanes: Some(in_flight), ..PlanOptions::default() };
                let program = stack.program().unwrap();
                let plan = program.schedule_with(&Target::Gpu(limits), true, &options).unwrap();
                let found: Vec<&str> = plan.steps.iter().map(|s| s.name()).filter(|n| *n != "map").collect();
                assert!(
                    found.iter().all(|n| alone.contains(n)),
                    "{rows} x {columns} {outs}: {found:?}, alone {alone:?}"
                );
            }
        }
    }
}
