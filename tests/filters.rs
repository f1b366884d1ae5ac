//! A transform, weights and the transform back in one operation, against its parts one by one in f64.

mod common;

use common::data::{complex, distance, inner, norm, real, wide};
use common::{apply_on, bits};
use linops::internal::Target;
use linops::linop::{self, Align, FftOptions, Norm};
use linops::{Device, Linop, Tensor, apply_f64};
use ndarray::ArrayD;
use num_complex::Complex64;
use std::sync::OnceLock;

/// The host, and the adapter once for each kind of code.
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

/// What comes before the first transform and after the second.
#[derive(Clone, Copy)]
enum Edge {
    None,
    Pad(&'static str, Align),
}

struct Case {
    shape: &'static str,
    edge: Edge,
    axes: &'static str,
    options: FftOptions,
    weight: Tensor,
}

/// Plain options, and all others by turns.
fn options(k: usize) -> FftOptions {
    let norm = [Norm::Ortho, Norm::None, Norm::Backward, Norm::Forward][k % 4];
    FftOptions::default().centered(k % 2 == 1).inverse(k % 3 == 2).norm(norm)
}

fn cases() -> Vec<Case> {
    let pad = |to, align| Edge::Pad(to, align);
    let table: Vec<(&'static str, Edge, &'static str, Tensor)> = vec![
        // One axis: last, in front, between; odd, prime, even.
        ("X=12", Edge::None, "X", complex("X=12", 1)),
        ("X=13", pad("X=31", Align::Start), "X", real("X=31", 2)),
        ("C=5 X=9", pad("X=18", Align::Center), "X", real("C=5 X=18", 3)),
        ("Y=7 C=6", pad("Y=14", Align::Start), "Y", complex("Y=14 C=6", 4)),
        ("A=3 Y=8 C=2", Edge::None, "Y", complex("A=3 Y=8", 5)),
        // Two axes.
        ("C=2 Y=11 X=10", Edge::None, "Y X", real("Y=11 X=10", 6)),
        ("C=6 Y=11 X=10", pad("Y=22 X=20", Align::Start), "Y X", real("Y=22 X=20", 7)),
        ("C=6 Y=17 X=5", pad("Y=35 X=9", Align::Center), "Y X", complex("C=6 Y=35 X=9", 8)),
        ("A=3 C=5 Y=6 X=8", pad("X=16", Align::Center), "Y X", complex("A=3 Y=6 X=16", 9)),
        ("Y=16 C=3 X=12", pad("Y=32 X=25", Align::Start), "Y X", complex("Y=32 X=25", 10)),
        ("C=70 Y=4 X=3", pad("Y=8 X=6", Align::Start), "Y X", real("C=70 Y=8 X=6", 11)),
        // Three, one of them of extent 1.
        ("Z=1 Y=9 X=8", pad("Y=18 X=16", Align::Start), "Z Y X", real("Z=1 Y=18 X=16", 12)),
        ("C=2 Z=5 Y=6 X=7", pad("Z=10 Y=12 X=14", Align::Center), "Z Y X", real("Z=10 Y=12 X=14", 13)),
        // Larger than what one task takes.
        ("Z=20 Y=22 X=24", pad("Z=40 Y=44 X=48", Align::Start), "Z Y X", real("Z=40 Y=44 X=48", 14)),
        ("C=2 Y=130 X=70", Edge::None, "Y X", complex("Y=130 X=70", 15)),
        ("X=9000", pad("X=18000", Align::Center), "X", complex("X=18000", 16)),
        ("Y=101 C=90", pad("Y=210", Align::Center), "Y", real("Y=210 C=90", 17)),
    ];
    let all = table.into_iter().enumerate();
    all.map(|(k, (shape, edge, axes, weight))| Case { shape, edge, axes, options: options(k), weight }).collect()
}

/// The linops of a case in the order in which they are applied.
fn parts(case: &Case) -> Vec<Linop> {
    let padded = match case.edge {
        Edge::None => linop::identity(case.shape).unwrap(),
        Edge::Pad(to, align) => {
            let pad = linop::pad(case.shape, to, align).unwrap();
            let names: Vec<String> = pad.input().unwrap().dims().iter().map(|d| d.to_string()).collect();
            pad.out(names.join(" ")).unwrap()
        }
    };
    let shape = padded.output().unwrap().clone();
    let names: Vec<String> = shape.dims().iter().map(|d| d.to_string()).collect();
    let f = linop::fft(&shape, case.axes, case.options).unwrap().out(names.join(" ")).unwrap();
    let d = linop::diagonal(&shape, &case.weight).unwrap();
    vec![padded.clone(), f.clone(), d, f.h(), padded.h()]
}

fn one_by_one(parts: &[Linop], x: &ArrayD<Complex64>) -> ArrayD<Complex64> {
    parts.iter().fold(x.clone(), |x, a| apply_f64(a, &x).unwrap())
}

/// The steps of the plan for the host, by name.
fn kernels(a: &Linop) -> Vec<&'static str> {
    let plan = a.program().unwrap().schedule(&Target::Host, true).unwrap();
    plan.steps.iter().map(|s| s.name()).collect()
}

fn bluestein(extents: &[usize]) -> bool {
    let smooth = |mut n: usize| {
        for p in [2, 3, 5, 7, 11, 13] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    !extents.iter().all(|&n| smooth(n))
}

#[test]
fn a_filter_is_its_parts() {
    let mut failures = Vec::new();
    for (k, case) in cases().iter().enumerate() {
        let parts = parts(case);
        let chain = linop::chain(parts.clone()).unwrap();
        assert!(kernels(&chain).contains(&"filter"), "{}: {:?}", case.shape, kernels(&chain));
        assert!(!kernels(&chain).contains(&"fft"), "{}: {:?}", case.shape, kernels(&chain));
        let x = complex(case.shape, 100 + k as u64);
        let want = one_by_one(&parts, &wide(&x));
        let exact = norm(&(apply_f64(&chain, &wide(&x)).unwrap() - &want)) / norm(&want);
        assert!(exact < 1e-12, "{chain} in f64: {exact:e}");
        let most = if bluestein(parts[1].input().unwrap().extents()) { 4e-6 } else { 1e-6 };
        for (name, device) in devices() {
            let error = distance(&apply_on(device, &chain, &x).unwrap(), &want);
            if error > most {
                failures.push(format!("{chain} on {name}: {error:e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn filters_under_narrow_limits() {
    use linops::gpu::GpuOptions;
    let small = GpuOptions::default().max_binding(Some(64 << 10));
    let poor = GpuOptions::default().default_limits(true);
    for options in [small, poor] {
        let Some(device) = common::gpu_with(options) else { return };
        // All whose lines fit a binding.
        for case in cases().iter().filter(|c| c.shape != "X=9000") {
            let parts = parts(case);
            let a = linop::chain(parts.clone()).unwrap();
            let x = complex(case.shape, 11);
            let error = distance(&apply_on(&device, &a, &x).unwrap(), &one_by_one(&parts, &wide(&x)));
            assert!(error < 4e-6, "{a}: {error:e}");
        }
    }
}

#[test]
fn adjoints_of_filters_are_adjoint() {
    for (k, case) in cases().iter().enumerate() {
        let a = linop::chain(parts(case)).unwrap();
        let (x, u) = (complex(case.shape, 200 + k as u64), complex(case.shape, 300 + k as u64));
        for (name, device) in devices() {
            let forward = apply_on(device, &a, &x).unwrap().mapv(|z| Complex64::new(z.re.into(), z.im.into()));
            let back = apply_on(device, &a.h(), &u).unwrap().mapv(|z| Complex64::new(z.re.into(), z.im.into()));
            let difference = (inner(&forward, &wide(&u)) - inner(&wide(&x), &back)).norm();
            assert!(difference < 4e-6 * norm(&forward) * norm(&wide(&u)), "{a} on {name}");
        }
    }
}

/// Weights before, between and after, a crop to a part that is not the padded one, and a sum over the coils.
fn surrounded(seed: u64) -> Vec<Linop> {
    let maps = linop::diagonal("Y=9 X=11", &complex("C=5 Y=9 X=11", seed)).unwrap();
    let pad = linop::pad("C=5 Y=9 X=11", "Y=20 X=21", Align::Start).unwrap().out("C Y X").unwrap();
    let f = linop::fft("C=5 Y=20 X=21", "Y X", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Y X").unwrap();
    let psf = linop::diagonal("C=5 Y=20 X=21", &complex("Y=20 X=21", seed + 1)).unwrap();
    let along = linop::diagonal("C=5 Y=20 X=21", &complex("C=5", seed + 2)).unwrap();
    let scalar = linop::scalar("C=5 Y=20 X=21", num_complex::Complex32::new(0.5, -0.25)).unwrap();
    let after = linop::diagonal("C=5 Y=20 X=21", &complex("Y=20 X=21", seed + 3)).unwrap();
    let stretch = |from, to| linop::Stretch { start: Some(from), stop: Some(to), step: None };
    let cut = linop::slice("C=5 Y=20 X=21", &[("Y", stretch(4, 11)), ("X", stretch(9, 21))]).unwrap();
    let cut = cut.out("C Y X").unwrap();
    let weights = linop::diagonal(cut.output().unwrap(), &complex("C=5 Y=7 X=12", seed + 4)).unwrap();
    let sum = linop::sum(cut.output().unwrap(), "C").unwrap();
    vec![maps, pad, f.clone(), psf.h(), along, scalar, f.h(), after, cut, weights, sum]
}

#[test]
fn what_stands_around_a_filter_is_fused() {
    let parts = surrounded(1);
    let a = linop::chain(parts.clone()).unwrap();
    assert_eq!(kernels(&a), ["filter", "reduce"]);
    let plan = a.program().unwrap().schedule(&Target::Host, true).unwrap();
    let filter = &plan.steps[0];
    assert_eq!(plan.values[filter.store.value.at()].extents, [5, 7, 12], "{plan}");
    let Some(work) = filter.scratch else { panic!("{plan}") };
    // Nine rows of the first axis are not zero.
    assert_eq!(plan.values[work.at()].extents, [5, 9, 21], "{plan}");
    let x = complex("Y=9 X=11", 5);
    let want = one_by_one(&parts, &wide(&x));
    for (name, device) in devices() {
        let error = distance(&apply_on(device, &a, &x).unwrap(), &want);
        assert!(error < 1e-6, "{error:e} on {name}");
    }
}

/// Maps, a filter along one axis, and the sum over the coils: data with these dims, filtered along an axis with such weights, and whether
/// that is one kernel of the host.
struct Sums {
    image: &'static str,
    maps: &'static str,
    data: &'static str,
    axis: &'static str,
    weights: &'static str,
    padded: Option<&'static str>,
    alone: bool,
}

fn sums() -> Vec<Sums> {
    let case = |image, maps, data, axis, weights, alone| Sums { image, maps, data, axis, weights, padded: None, alone };
    vec![
        case("Y=24 X=40", "C=5 Y=24 X=40", "C Y X", "Y", "Y=24", true),
        case("Y=24 X=40", "C=5 Y=24 X=40", "C Y X", "X", "X=40", true),
        // A last strip of one column, of a prime length; two strips; a row that is too short for several.
        case("Y=37 X=57", "C=3 Y=37 X=57", "C Y X", "Y", "Y=37", true),
        case("Y=20 X=17", "C=3 Y=20 X=17", "C Y X", "Y", "Y=20", true),
        case("Y=13 X=16", "C=2 Y=13 X=16", "C Y X", "Y", "Y=13", true),
        // Fewer strips than blocks, or lines, leave threads without work.
        case("Y=13 X=16", "C=3 Y=13 X=16", "C Y X", "Y", "Y=13", false),
        case("Y=7 X=40", "C=8 Y=7 X=40", "C Y X", "X", "X=40", false),
        case("Y=13 X=15", "C=4 Y=13 X=15", "C Y X", "Y", "Y=13", false),
        // Weights of their own for columns, and for coils; maps that lines share; real ones.
        case("Y=24 X=40", "C=5 Y=24 X=40", "C Y X", "Y", "Y=24 X=40", true),
        case("Y=24 X=40", "C=5 Y=24", "C Y X", "Y", "C=5 Y=24", true),
        case("Y=24 X=40", "C=5 X=40", "C Y X", "X", "C=5 X=40", true),
        // Frames in front, an axis between, two axes behind.
        case("T=3 Y=12 X=18", "C=4 Y=12 X=18", "T C Y X", "Y", "Y=12", true),
        case("Y=12 T=3 X=18", "C=4 X=18", "C Y T X", "X", "X=18", true),
        case("Z=10 Y=4 X=18", "C=2 Z=10 Y=4 X=18", "C Z Y X", "Z", "Z=10", true),
        case("Z=10 Y=9 X=7", "C=64 Z=10 Y=9 X=7", "C Z Y X", "Y", "Y=9", false),
        // Rows that are shorter than a strip, more terms than are added in a row, two axes.
        case("Y=20 X=6", "C=4 Y=20 X=6", "C Y X", "Y", "Y=20", false),
        case("Y=9 X=16", "C=65 Y=9 X=16", "C Y X", "Y", "Y=9", false),
        case("Y=9 X=16", "C=3 Y=9 X=16", "C Y X", "Y X", "Y=9 X=16", false),
        Sums { padded: Some("Y=40"), ..case("Y=17 X=24", "C=3 Y=17 X=24", "C Y X", "Y", "Y=40", true) },
        Sums { padded: Some("X=40"), ..case("Y=17 X=24", "C=5 Y=17 X=24", "C Y X", "X", "X=40", true) },
    ]
}

#[test]
fn a_filter_adds_up_what_it_makes() {
    for (k, case) in sums().iter().enumerate() {
        let seed = 300 + 10 * k as u64;
        let maps = if k % 4 == 3 { real(case.maps, seed) } else { complex(case.maps, seed) };
        let maps = linop::diagonal(case.image, &maps).unwrap().out(case.data).unwrap();
        let mut parts = vec![maps.clone()];
        if let Some(padded) = case.padded {
            parts.push(linop::pad(maps.output().unwrap(), padded, Align::Start).unwrap().out(case.data).unwrap());
        }
        let shape = parts.last().unwrap().output().unwrap().clone();
        let centred = FftOptions::default().centered(k % 2 == 0);
        let f = linop::fft(&shape, case.axis, centred).unwrap().out(case.data).unwrap();
        let weights = if k % 3 == 0 { real(case.weights, seed + 1) } else { complex(case.weights, seed + 1) };
        let weights = linop::diagonal(&shape, &weights).unwrap();
        let half = linop::scalar(&shape, num_complex::Complex32::new(0.5, 0.25)).unwrap();
        let back = match case.padded {
            // What is zero before may be anything behind.
            Some(_) => vec![linop::sum(&shape, "C").unwrap()],
            None => vec![maps.h()],
        };
        parts.extend([f.clone(), weights, f.h(), half]);
        parts.extend(back);
        let a = linop::chain(parts.clone()).unwrap();
        let plan = a.program().unwrap().schedule(&Target::Host, true).unwrap();
        assert_eq!(plan.steps.len() == 1, case.alone, "{} along {}: {plan}", case.data, case.axis);
        let x = complex(case.image, seed + 2);
        let want = one_by_one(&parts, &wide(&x));
        for (name, device) in devices() {
            let error = distance(&apply_on(device, &a, &x).unwrap(), &want);
            assert!(error < 1e-6, "{} along {}: {error:e} on {name}", case.data, case.axis);
        }
        // Work is cut by shape: one thread has the bits of several.
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = one.install(|| bits(&apply_on(&Device::host(), &a, &x).unwrap()));
        assert_eq!(alone, bits(&apply_on(&Device::host(), &a, &x).unwrap()), "{} along {}", case.data, case.axis);
    }
}

#[test]
fn a_result_that_is_read_twice_is_made_as_far_as_either_reads() {
    let parts = surrounded(20);
    let filter = linop::chain(parts[..8].to_vec()).unwrap();
    let part = |from, to| {
        let stretch = linop::Stretch { start: Some(from), stop: Some(to), step: None };
        linop::slice("C=5 Y=20 X=21", &[("X", stretch)]).unwrap().out("C Y X").unwrap()
    };
    // One container reads two parts of it.
    let a = linop::add(vec![part(2, 6), part(8, 12)]).unwrap() * &filter;
    let x = complex("Y=9 X=11", 6);
    let y = one_by_one(&parts[..8], &wide(&x));
    let want = one_by_one(&[part(2, 6)], &y) + one_by_one(&[part(8, 12)], &y);
    for (name, device) in devices() {
        let error = distance(&apply_on(device, &a, &x).unwrap(), &want);
        assert!(error < 1e-6, "{error:e} on {name}");
    }
}

#[test]
fn a_transform_that_something_else_reads_stays() {
    let f = linop::fft("C=4 X=24", "X", FftOptions::default()).unwrap().out("C X").unwrap();
    let d = linop::diagonal("C=4 X=24", &complex("X=24", 1)).unwrap();
    let both = linop::add(vec![linop::identity("C=4 X=24").unwrap(), f.h() * &d]).unwrap() * &f;
    let x = complex("C=4 X=24", 2);
    let y = one_by_one(std::slice::from_ref(&f), &wide(&x));
    let want = &y + &one_by_one(&[d.clone(), f.h()], &y);
    for (name, device) in devices() {
        let error = distance(&apply_on(device, &both, &x).unwrap(), &want);
        assert!(error < 1e-6, "{error:e} on {name}");
    }
    // The same direction twice is no filter.
    let twice = linop::chain(vec![f.clone(), d.clone(), f.clone()]).unwrap();
    assert_eq!(kernels(&twice), ["fft", "fft"]);
    let want = one_by_one(&[f.clone(), d, f], &wide(&x));
    for (name, device) in devices() {
        let error = distance(&apply_on(device, &twice, &x).unwrap(), &want);
        assert!(error < 1e-6, "{error:e} on {name}");
    }
}

#[test]
fn filters_in_containers() {
    let (all, x) = ([surrounded(40), surrounded(50), surrounded(60)], complex("Y=9 X=11", 7));
    let chains: Vec<Linop> = all.iter().map(|p| linop::chain(p.clone()).unwrap()).collect();
    let terms: Vec<ArrayD<Complex64>> = all.iter().map(|p| one_by_one(p, &wide(&x))).collect();
    let sum = terms.iter().skip(1).fold(terms[0].clone(), |a, b| a + b);
    let views: Vec<_> = terms.iter().map(|t| t.view().insert_axis(ndarray::Axis(0))).collect();
    let stacked = ndarray::concatenate(ndarray::Axis(0), &views).unwrap();
    for (name, device) in devices() {
        for (a, want) in [
            (linop::add(chains.clone()).unwrap(), &sum),
            (linop::stack(chains.clone(), None, Some(("S", 0))).unwrap(), &stacked),
        ] {
            let error = distance(&apply_on(device, &a, &x).unwrap(), want);
            assert!(error < 1e-6, "{a} on {name}: {error:e}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases() {
        let a = linop::chain(parts(&case)).unwrap();
        let x = complex(case.shape, 9);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&apply_on(&Device::host(), &a, &x).unwrap()))
        };
        let one = with(1);
        assert!(one == with(2) && one == with(5), "{a}");
    }
}

#[test]
fn a_real_input_is_filtered_as_a_complex_one() {
    for case in cases().iter().step_by(3) {
        let parts = parts(case);
        let a = linop::chain(parts.clone()).unwrap();
        let x = real(case.shape, 10);
        let want = one_by_one(&parts, &wide(&x));
        for (name, device) in devices() {
            let error = distance(&apply_on(device, &a, &x).unwrap(), &want);
            assert!(error < 4e-6, "{a} on {name}: {error:e}");
        }
    }
}
