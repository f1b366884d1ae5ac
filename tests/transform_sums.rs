//! Transforms that add up what they make along an outer axis (coils): with the same values as sums of their own, and without
//! what lies between in memory.

#![cfg(feature = "gpu")]

mod common;

use common::data::{complex, distance, mask, real, wide};
use common::{apply_on, bits};
use linops::gpu::{GpuOptions, KernelShape};
use linops::internal::{GpuLimits, Plan, Target};
use linops::linop::{self, Align, FftOptions};
use linops::{Linop, apply_f64};

const SHAPES: [KernelShape; 2] = [KernelShape::Gpu, KernelShape::Cpu];

/// Maps, then a transform: the adjoint adds up along the dim that the maps bring.
struct Case {
    image: &'static str,
    maps: &'static str,
    /// Dims of the data, in order.
    data: &'static str,
    axes: &'static str,
    /// Larger extents to transform at.
    padded: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let case = |image, maps, data, axes| Case { image, maps, data, axes, padded: None };
    vec![
        // Along the last axis, the one in front of it, between others; one, two and three axes of data behind the terms.
        case("Y=6 X=16", "C=5 Y=6 X=16", "C Y X", "X"),
        case("Y=12 X=10", "C=4 Y=12 X=10", "C Y X", "Y"),
        case("Y=9 X=8", "C=3 Y=9 X=8", "C Y X", "Y X"),
        case("A=2 Y=7 X=64", "C=6 Y=7 X=64", "A C Y X", "X"),
        case("A=2 Y=7 X=12", "C=6 X=12", "A C Y X", "Y X"),
        case("Z=4 Y=5 X=6", "C=8 Z=4 Y=5 X=6", "C Z Y X", "Z Y X"),
        // Axes of extent 1, and terms along two axes.
        case("Y=1 X=30", "C=4 Y=1 X=30", "C Y X", "X"),
        case("Y=4 X=18", "S=2 C=3 Y=4 X=18", "S C Y X", "X"),
        // Several stages, several passes, and a length that is a convolution.
        case("Y=3 X=1000", "C=4 Y=3 X=1000", "C Y X", "X"),
        case("X=8192", "C=4 X=8192", "C X", "X"),
        case("X=16384", "C=4 X=16384", "C X", "X"),
        case("Y=3 X=74", "C=4 Y=3 X=74", "C Y X", "X"),
        case("Y=3 X=37", "C=4 Y=3 X=37", "C Y X", "X"),
        // Terms that cannot be halved, and so many that each loop adds a block.
        case("X=16", "C=61 X=16", "C X", "X"),
        case("X=16", "C=64 X=16", "C X", "X"),
        Case { padded: Some("X=32"), ..case("Y=6 X=16", "C=5 Y=6 X=16", "C Y X", "X") },
        Case { padded: Some("Y=21 X=20"), ..case("Y=11 X=10", "C=6 Y=11 X=10", "C Y X", "Y X") },
    ]
}

impl Case {
    fn linop(&self, k: usize) -> Linop {
        let weight = if k % 3 == 1 { real(self.maps, k as u64) } else { complex(self.maps, k as u64) };
        let maps = linop::diagonal(self.image, &weight).unwrap().out(self.data).unwrap();
        let padded = match self.padded {
            None => maps,
            Some(to) => {
                let align = if k.is_multiple_of(2) { Align::Start } else { Align::Center };
                let pad = linop::pad(maps.output().unwrap(), to, align).unwrap();
                pad.out(self.data).unwrap() * maps
            }
        };
        let options = FftOptions::default().centered(k % 2 == 1).inverse(k % 3 == 2);
        linop::fft(padded.output().unwrap(), self.axes, options).unwrap().out(self.data).unwrap() * padded
    }
}

fn plan(a: &Linop, limits: GpuLimits) -> Plan {
    a.program().unwrap().schedule(&Target::Gpu(limits), true).unwrap()
}

fn count(plan: &Plan, name: &str) -> usize {
    plan.steps.iter().filter(|s| s.name() == name).count()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn sums_in_transforms_have_the_values_of_sums() {
    for shape in SHAPES {
        // As large sums as there are, halves and the like, none.
        let devices = [1, 12, u64::MAX].map(|fill| {
            let options = GpuOptions::default().shape(Some(shape)).fill(Some(fill));
            common::gpu_with(options)
        });
        for (k, case) in cases().iter().enumerate() {
            let a = case.linop(k).h();
            let x = complex(a.input().unwrap(), 50 + k as u64);
            let want = apply_f64(&a, &wide(&x)).unwrap();
            let most = if case.image.contains("37") { 4e-6 } else { 1e-6 };
            for (fill, device) in [1, 12, u64::MAX].into_iter().zip(&devices) {
                let Some(device) = device else { continue };
                let got = apply_on(device, &a, &x).unwrap();
                let error = distance(&got, &want);
                assert!(error < most, "case {k} as {shape:?}, {fill}: {error:e}");
                assert_eq!(bits(&got), bits(&apply_on(device, &a, &x).unwrap()), "case {k} as {shape:?}, {fill}");
            }
        }
    }
}

#[test]
fn no_kernel_of_its_own_adds_up_what_one_transform_makes() {
    for shape in SHAPES {
        let limits = |fill| GpuLimits { fill, ..GpuLimits::poorest(shape) };
        for (k, case) in cases().iter().enumerate() {
            let a = case.linop(k).h();
            let (whole, none) = (plan(&a, limits(1)), plan(&a, limits(u64::MAX)));
            assert_eq!((count(&whole, "reduce"), count(&none, "reduce")), (0, 1), "case {k} as {shape:?}\n{whole}");
            let bytes = |p: &Plan| p.cost().read + p.cost().written;
            assert!(bytes(&whole) < bytes(&none), "case {k} as {shape:?}");
        }
    }
}

/// As many terms as leave the device busy: the sum of the parts stays.
#[test]
fn where_too_few_workgroups_are_left_parts_are_added_up() {
    let a = linop::diagonal("Y=64 X=64", &complex("C=8 Y=64 X=64", 1)).unwrap();
    let f = linop::fft(a.output().unwrap(), "X", FftOptions::default()).unwrap().out("C Y X").unwrap();
    let back = (f * a).h();
    let groups = |fill: u64| {
        let plan = plan(&back, GpuLimits { fill, ..GpuLimits::poorest(KernelShape::Gpu) });
        let step = &plan.steps[0];
        let draft = &step.drafts(&plan).unwrap()[0];
        (draft.groups, plan.values[step.store.value.at()].len(), plan.steps.len())
    };
    let (most, all, _) = groups(u64::MAX);
    assert_eq!(all, 8 * 64 * 64);
    for (fill, parts) in [(most / 2, 4), (most / 4, 2), (most / 8, 1), (1, 1)] {
        let (groups, len, steps) = groups(fill);
        assert!(groups >= fill, "{groups} workgroups for {fill}");
        assert_eq!((len, steps), (parts * 64 * 64, if parts > 1 { 2 } else { 1 }), "{fill}");
    }
}

#[test]
fn what_is_read_twice_or_in_another_order_is_stored() {
    let limits = GpuLimits { fill: 1, ..GpuLimits::poorest(KernelShape::Gpu) };
    let f = linop::fft("C=4 Y=6 X=8", "X", FftOptions::default()).unwrap().out("C Y X").unwrap();
    let over = |dims: &str| linop::sum("C=4 Y=6 X=8", dims).unwrap();
    // Rows of a sum over X lie within a line; over C and Y beside each other, with nothing in between.
    for (dims, kernels) in
        [("X", vec!["fft pass", "reduce"]), ("C", vec!["fft pass"]), ("Y", vec!["fft pass"]), ("C Y", vec!["fft pass"])]
    {
        let plan = plan(&(over(dims) * &f), limits);
        assert_eq!(plan.steps.iter().map(|s| s.name()).collect::<Vec<_>>(), kernels, "over {dims}\n{plan}");
    }
    let turned = linop::rearrange("Y=6 X=8", "Y X -> X Y", "").unwrap();
    assert_eq!(count(&plan(&(turned * over("C") * &f), limits), "fft pass"), 1);
}

/// The least that the method allows, for each element of the image and each coil.
#[test]
fn normals_with_maps_move_no_more_bytes_than_they_must() {
    let target = GpuLimits { fill: 1, ..GpuLimits::poorest(KernelShape::Gpu) };
    let c = 8.0;
    let each = |a: &Linop, kernels: usize, elements: usize| {
        let plan = plan(a, target);
        assert_eq!(plan.steps.len(), kernels, "{plan}");
        (plan.cost().read + plan.cost().written) as f64 / (8 * elements) as f64
    };
    let maps = linop::diagonal("Y=32 X=32", &complex("C=8 Y=32 X=32", 1)).unwrap();
    let f = linop::fft(maps.output().unwrap(), "Y X", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Y X").unwrap();
    let sense = |dims: &str| {
        let mask = linop::diagonal(f.output().unwrap(), &mask(dims, 0.4, 2)).unwrap();
        (mask * &f * &maps).n()
    };
    // Maps 8 and image 8/C, store 8 | 8, mask 4/C, 8 | 8, maps 8, sum 8/C.
    let points = each(&sense("Y=32 X=32"), 3, 32 * 32);
    assert_eq!(points, (8.0 + 8.0 / c + 8.0) + (16.0 + 4.0 / c) + (16.0 + 8.0 / c));
    assert!(points < 51.0);
    // A mask of lines: the other axis cancels, and each element of the maps is read once.
    let lines = each(&sense("Y=32"), 1, 32 * 32);
    assert!((10.0..10.5).contains(&lines), "{lines}");
    // On a grid of twice the size.
    let (n, k) = (16, 4000);
    let maps = linop::diagonal(format!("Y={n} X={n}"), &complex(format!("C=8 Y={n} X={n}"), 1)).unwrap();
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[k, 2]), |i| {
        ((i[0] * (7 + 4 * i[1]) % k) as f64 / k as f64 - 0.5) * n as f64
    });
    let options = linop::NufftOptions::default().toeplitz(Some(true));
    let f = linop::nufft(maps.output().unwrap(), &locs, "Y X", options, "C K").unwrap();
    let radial = each(&(f * maps).n(), 3, n * n);
    assert_eq!(radial, (8.0 + 8.0 / c + 16.0) + (16.0 + 16.0 / c + 16.0) + (16.0 + 8.0 + 8.0 / c));
    assert!(radial < 85.0);
    let maps = linop::diagonal(format!("Z={n} Y={n} X={n}"), &complex(format!("C=8 Z={n} Y={n} X={n}"), 1)).unwrap();
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[k, 3]), |i| {
        ((i[0] * (7 + 4 * i[1]) % k) as f64 / k as f64 - 0.5) * n as f64
    });
    let f = linop::nufft(maps.output().unwrap(), &locs, "Z Y X", options, "C K").unwrap();
    let volume = each(&(f * maps).n(), 5, n * n * n);
    assert!(volume < 215.0, "{volume}");
}

/// How many terms a workgroup adds up does not depend on the tile that was measured to be faster.
#[test]
fn what_is_tuned_changes_no_sum() {
    use linops::internal::Choices;
    let maps = linop::diagonal("Y=256 X=256", &complex("C=8 Y=256 X=256", 1)).unwrap();
    let f = linop::fft(maps.output().unwrap(), "Y X", FftOptions::default()).unwrap().out("C Y X").unwrap();
    let back = (f * maps).h();
    let extents = |choices: Option<&'static Choices>| {
        let plan = plan(&back, GpuLimits { choices, ..GpuLimits::rich() });
        plan.steps.iter().map(|s| plan.values[s.store.value.at()].extents.clone()).collect::<Vec<_>>()
    };
    let model = extents(None);
    for place in 1..6 {
        for what in ["fft tile 256 strided", "fft tile 256 contiguous"] {
            assert_eq!(extents(Some(Choices::one(what, place).kept())), model, "{what}, {place}");
        }
    }
}
