//! Passes of transforms in plans for GPUs of some sizes: how many there are, what they move and hold, how often they wait; and that
//! what is made in one pass has the values of f64.
#![cfg(feature = "gpu")]

mod common;

use common::data::{complex, distance, inner, norm, wide};
use common::{apply_on, bits};
use linops::gpu::{GpuOptions, KernelShape};
use linops::internal::{Choices, GpuLimits, Plan, Target};
use linops::linop::{self, Align, FftOptions, Norm};
use linops::{Device, Linop, apply_f64};
use num_complex::Complex64;
use std::sync::OnceLock;

/// A GPU with so many KiB of workgroup memory and so many invocations in a workgroup.
fn gpu(kib: u32, invocations: u32) -> GpuLimits {
    GpuLimits { workgroup_memory: kib << 10, max_invocations: invocations, ..GpuLimits::rich() }
}

fn plan(a: &Linop, limits: GpuLimits) -> Plan {
    a.program().unwrap().schedule(&Target::Gpu(limits), true).unwrap()
}

fn fft(dims: &str) -> Linop {
    linop::fft(dims, "N", FftOptions::default()).unwrap()
}

/// What is to be read of a kernel.
#[derive(Debug)]
struct Pass {
    /// Adjacent columns of a workgroup.
    columns: usize,
    /// Bytes of workgroup memory.
    memory: usize,
    /// Complex values that an invocation holds between two exchanges.
    held: usize,
    barriers: usize,
}

/// The passes of a plan, one dispatch each.
fn passes(plan: &Plan) -> Vec<Pass> {
    let drafts = plan.steps.iter().flat_map(|step| step.drafts(plan).unwrap());
    let pass = |draft: linops::internal::Draft| {
        let between = |from: &str, to: &str| {
            draft.text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(part, _)| part)
        };
        let number = |text: &str| text.trim_end_matches('u').parse::<usize>().unwrap();
        let memory = |element: &str, bytes: usize| {
            between(&format!("var<workgroup> fft_lines: array<{element}, "), ">").map(|n| bytes * number(n))
        };
        let columns = between("let column0 = (group - tile * fft.tiles) * ", ";").map_or(0, number);
        let held = (0..2).map(|s| draft.text.matches(&format!("let y{s}_")).count()).max();
        Pass {
            columns,
            memory: memory("f32", 4).or(memory("vec2<f32>", 8)).unwrap_or(0),
            held: held.unwrap_or(0),
            barriers: draft.text.matches("workgroupBarrier();").count(),
        }
    };
    drafts.map(pass).collect()
}

/// Bytes for each element of the input.
fn bytes(plan: &Plan) -> f64 {
    let cost = plan.cost();
    (cost.read + cost.written) as f64 / plan.values[0].len() as f64
}

/// Real parts and then imaginary ones through half the memory: what did not fit takes one pass, and no more bytes than a copy.
#[test]
fn long_lines_are_one_pass_with_split_exchanges() {
    for (limits, n, memory, barriers) in [
        // 16 · 16 · 16, and 16 · 8 · 8 · 8: an exchange has four barriers, the first of them none before it.
        (gpu(16, 256), 4096, 16 << 10, 2 * 4 - 1),
        (gpu(32, 256), 8192, 32 << 10, 3 * 4 - 1),
        (gpu(32, 1024), 8192, 32 << 10, 3 * 4 - 1),
        (gpu(48, 1024), 8192, 33 << 10, 3 * 4 - 1),
    ] {
        let plan = plan(&fft(&format!("C=300 N={n}")), limits);
        let all = passes(&plan);
        let [pass] = &all[..] else { panic!("{all:?}\n{plan}") };
        assert_eq!((pass.barriers, bytes(&plan)), (barriers, 16.0), "{pass:?}\n{plan}");
        assert!(pass.memory <= memory, "{pass:?}");
        let held = n / (limits.max_invocations as usize).min(512);
        assert_eq!(pass.held, held, "{pass:?}");
    }
    // Whole where it fits, though more lines would share a workgroup.
    for n in [35, 100, 127, 1000, 1021, 2048] {
        let plan = plan(&fft(&format!("C=300 N={n}")), gpu(16, 256)).to_string();
        assert!(!plan.contains("-split"), "{plan}");
    }
    // An exchange is two barriers then.
    let plan = plan(&fft("C=300 N=4096"), gpu(48, 1024));
    let all = passes(&plan);
    assert!(all.len() == 1 && all[0].barriers == 2 * 2 - 1 && all[0].memory >= 32 << 10, "{all:?}");
}

/// What is longer takes two passes, as before.
#[test]
fn longer_lines_are_two_passes() {
    for (limits, n) in [(gpu(16, 256), 8192), (gpu(48, 1024), 16384), (gpu(64, 1024), 16384)] {
        let plan = plan(&fft(&format!("C=300 N={n}")), limits);
        assert_eq!((passes(&plan).len(), bytes(&plan)), (2, 32.0), "{plan}");
    }
}

/// Strided lines have whole cache lines side by side, or take two passes that have.
#[test]
fn strided_lines_have_whole_cache_lines_side_by_side() {
    let columns = |n: usize, limits: GpuLimits| {
        let plan = plan(&fft(&format!("N={n} C=4096")), limits);
        assert_eq!(bytes(&plan), 16.0 * plan.steps.len() as f64);
        passes(&plan).iter().map(|p| p.columns).collect::<Vec<_>>()
    };
    let (poorest, small, rich) = (gpu(16, 256), gpu(32, 1024), gpu(48, 1024));
    for n in [32, 64, 128, 256, 512] {
        assert_eq!(columns(n, rich), [16], "{n}");
        assert!(columns(n, small)[0] >= 16, "{n}: {:?}", columns(n, small));
        assert!(columns(n, poorest)[0] >= 8, "{n}: {:?}", columns(n, poorest));
    }
    assert_eq!((columns(1024, rich), columns(1024, small)), (vec![8], vec![8]));
    for (n, limits) in [(1024, poorest), (2048, small), (2048, rich), (4096, rich), (8192, rich)] {
        let all = columns(n, limits);
        assert!(all.len() == 2 && all.iter().all(|c| *c >= 16), "{n}: {all:?}");
    }
    // All columns that there are lie in one stretch.
    let plan = plan(&fft("B=512 N=2048 C=4"), rich);
    assert_eq!((passes(&plan)[0].columns, passes(&plan).len()), (4, 1), "{plan}");
}

#[test]
fn images_of_long_lines_move_no_more_than_their_passes() {
    let a = linop::fft("Y=4096 X=4096", "Y X", FftOptions::default()).unwrap();
    let plan = plan(&a, gpu(48, 1024));
    let all = passes(&plan);
    // A contiguous axis in one pass, the strided one in two wide ones.
    assert_eq!((all.len(), bytes(&plan)), (3, 48.0), "{plan}");
    assert!(all[0].columns == 1 && all[1..].iter().all(|p| p.columns >= 16), "{all:?}");
}

/// Weights on the coefficients of lines that are padded to `n` and cropped again.
fn padded_filter(dims: &str, n: usize, align: Align, options: FftOptions) -> Linop {
    let names: Vec<&str> = dims.split(' ').map(|d| d.split('=').next().unwrap()).collect();
    let pad = linop::pad(dims, format!("N={n}"), align).unwrap().out(names.join(" ")).unwrap();
    let f = linop::fft(pad.output().unwrap(), "N", options).unwrap().out(names.join(" ")).unwrap();
    let weights = linop::diagonal(f.output().unwrap(), &common::data::real(format!("N={n}"), 1)).unwrap();
    pad.h() * f.h() * weights * &f * &pad
}

/// A transform, weights and the way back in one pass as far as a line fits workgroup memory, also where the columns are few: the
/// bytes are one read and one write of what is not padding.
#[test]
fn long_filters_are_one_pass() {
    let filter = |dims: &str, n: usize| padded_filter(dims, 2 * n, Align::Start, FftOptions::default());
    for (n, limits) in [(2048, gpu(16, 256)), (4096, gpu(32, 256)), (4096, gpu(48, 1024))] {
        for dims in [format!("C=64 N={n}"), format!("N={n} C=64")] {
            let plan = plan(&filter(&dims, n), limits);
            assert_eq!(plan.steps.len(), 1, "{plan}");
            // Real weights have 4 bytes, twice as many of them as there are elements, for all columns together.
            assert_eq!(bytes(&plan), 16.0 + 2.0 * 4.0 / 64.0, "{plan}");
        }
    }
    let plan = plan(&filter("N=4096 C=64", 4096), gpu(16, 256));
    assert_eq!(plan.steps.len(), 4, "{plan}");
}

/// Of lines that are half zero, and half of whose results are not stored, the first and the last stage have half the accesses and a
/// layer of sums less, wherever the half lies.
#[test]
fn halves_that_are_zero_or_not_wanted_are_neither_read_nor_made() {
    let centred = FftOptions::default().centered(true);
    let counts = |a: &Linop| {
        let plan = plan(a, gpu(48, 1024));
        assert_eq!(plan.steps.len(), 1, "{plan}");
        let text = plan.steps[0].drafts(&plan).unwrap().remove(0).text;
        let of = |what: &str| text.matches(what).count();
        // Each stands once where it is defined.
        (of("fft_take(") - 1, of("fft_give(") - 1, of("    let v"), plan.cost().flops)
    };
    for (n, dims) in [(512, "C=64 N=256"), (2048, "C=64 N=1024"), (1024, "N=512 C=64"), (960, "C=64 N=480")] {
        let whole =
            counts(&padded_filter(&dims.replace(&(n / 2).to_string(), &n.to_string()), n, Align::Start, centred));
        // In front, and in the middle with the origin at the front or in the middle, where the half goes round the end.
        for (align, options) in
            [(Align::Start, FftOptions::default()), (Align::Center, FftOptions::default()), (Align::Center, centred)]
        {
            let half = counts(&padded_filter(dims, n, align, options));
            assert_eq!((2 * half.0, 2 * half.1), (whole.0, whole.1), "{n}, {align:?}");
            assert!(half.2 < whole.2, "{n}, {align:?}: {} lines of {}", half.2, whole.2);
            // Three sums of a pair of values in two, and the factor on what is not stored.
            assert_eq!(half.3, whole.3 - 3 * n as u64 * 64 - 2 * n as u64 / 2 * 64, "{n}, {align:?}");
        }
    }
    // More than a half: everything is taken.
    let more = counts(&padded_filter("C=64 N=300", 512, Align::Start, centred));
    assert_eq!(more.0, counts(&padded_filter("C=64 N=512", 512, Align::Start, centred)).0);
}

/// The lengths that have prime factors above 13: how they are made on a GPU of 48 KiB, and on one of 16.
#[test]
fn awkward_lengths_are_one_pass() {
    let cases = [
        // A butterfly of its own in registers.
        (17, [0.0; 2], "17"),
        (31, [0.0; 2], "31"),
        (17 * 23, [0.0; 2], "23x17"),
        // A convolution of p − 1.
        (37, [0.0; 2], "6x6"),
        (127, [0.0; 2], "14x9"),
        (257, [0.0; 2], "16x16"),
        (1021, [0.0; 2], "17x10x6"),
        (4093, [0.0; 2], "31x12x11"),
        // Neither: a chirp before, its spectrum between, a chirp behind.
        (74, [8.0, 160.0 / 74.0 * 8.0], ""),
        (2039, [8.0, 4096.0 / 2039.0 * 8.0], ""),
    ];
    for (n, [chirp, spectrum], stages) in cases {
        for limits in [gpu(16, 256), gpu(48, 1024)] {
            for dims in [format!("C=64 N={n}"), format!("N={n} C=64")] {
                let plan = plan(&fft(&dims), limits);
                let all = passes(&plan);
                assert_eq!(all.len(), 1, "{n}\n{plan}");
                let least = 16.0 + (2.0 * chirp + spectrum) / 64.0;
                assert!((bytes(&plan) - least).abs() < 0.05, "{n}: {} bytes, {least}\n{plan}", bytes(&plan));
                let own = [format!("-{stages}-"), format!("-1x{stages}x1-")];
                assert!(stages.is_empty() || own.iter().any(|s| plan.to_string().contains(s)), "{n}\n{plan}");
            }
        }
    }
    // So are all others that 32 KiB hold twice over.
    for n in (33..4096).step_by(61).chain([4093, 4094, 4095]) {
        let smooth = (2..32).fold(n, |rest, p| (0..12).fold(rest, |r, _| if r % p == 0 { r / p } else { r })) == 1;
        let strided = format!("N={n} C=3");
        for dims in [format!("C=64 N={n}")].into_iter().chain((!smooth).then_some(strided)) {
            let plan = plan(&fft(&dims), gpu(32, 256));
            assert_eq!(passes(&plan).len(), 1, "{n}\n{plan}");
        }
    }
    // Half the transforms' length, so less than half of the work of a chirp.
    let flops = |n: usize| plan(&fft(&format!("C=64 N={n}")), gpu(48, 1024)).cost().flops as f64 / (64 * n) as f64;
    assert!(2.0 * flops(1021) < flops(1018), "{} {}", flops(1021), flops(1018));
    assert!(4.0 * flops(17 * 23) < flops(2 * 193), "{} {}", flops(17 * 23), flops(2 * 193));
}

/// The adapter as a large GPU, and with the least workgroup memory.
fn devices() -> &'static [(String, Device)] {
    static DEVICES: OnceLock<Vec<(String, Device)>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let with = |poor: bool| {
            let options = GpuOptions::default().shape(Some(KernelShape::Gpu)).default_limits(poor);
            let device = common::gpu_with(options)?;
            Some((format!("{}{}", device.name(), if poor { ", default limits" } else { "" }), device))
        };
        [false, true].into_iter().filter_map(with).collect()
    })
}

/// Compares with f64, twice, on the first so many of the devices.
fn check(linops: &[Linop], most: f64, on: usize) {
    let mut failures = Vec::new();
    for (k, a) in linops.iter().enumerate() {
        let x = complex(a.input().unwrap(), k as u64);
        let want = apply_f64(a, &wide(&x)).unwrap();
        for (name, device) in devices().iter().take(on) {
            let got = apply_on(device, a, &x).unwrap();
            let error = distance(&got, &want);
            if error.is_nan() || error > most {
                failures.push(format!("{a} on {name}: {error:.2e} > {most:.0e}"));
            }
            assert_eq!(bits(&got), bits(&apply_on(device, a, &x).unwrap()), "{a} on {name}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// All signs and origins by turns.
fn options(k: usize) -> FftOptions {
    FftOptions::default().inverse(k % 2 == 1).centered(k % 4 > 1).norm([Norm::Ortho, Norm::None][k / 2 % 2])
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn lines_in_split_exchanges_have_the_values_of_f64() {
    let mut all = Vec::new();
    for (k, dims) in
        ["C=2 N=4096", "C=2 N=8192", "N=512 C=19", "N=1024 C=9", "B=2 N=3000 C=2", "N=375 C=40", "C=3 N=7000"]
            .iter()
            .enumerate()
    {
        all.extend([k, k + 1].map(|k| linop::fft(*dims, "N", options(k)).unwrap()));
    }
    check(&all, 5e-7, 2);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn primes_have_the_values_of_f64() {
    let mut all = Vec::new();
    for (k, n) in [17, 31, 37, 127, 257, 1021].into_iter().enumerate() {
        for (j, dims) in [format!("C=3 N={n}"), format!("N={n} C=5")].iter().enumerate() {
            all.extend([0, 1, 2, 3].map(|o| linop::fft(dims, "N", options(k + j + o)).unwrap()));
        }
    }
    all.extend([0, 1].map(|k| linop::fft("B=2 N=37 C=2", "N", options(k)).unwrap()));
    check(&all, 1e-6, 1);
    // A butterfly adds no more than others do.
    let direct = ["C=3 N=19", "N=23 C=5", "C=3 N=29", "N=62 C=3", "C=2 N=391"];
    check(&direct.map(|dims| linop::fft(dims, "N", options(0)).unwrap()), 5e-7, 1);
    let long = ["C=2 N=2039", "N=2039 C=5", "C=2 N=4093", "N=4093 C=5", "N=527 C=6"];
    check(
        &long.iter().enumerate().map(|(k, dims)| linop::fft(*dims, "N", options(k)).unwrap()).collect::<Vec<_>>(),
        1e-6,
        2,
    );
}

/// Weights and padding in the load, a crop and weights in the store, sums over coils; and the way back.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn primes_take_what_stands_around_them() {
    let mut all = Vec::new();
    for (k, (n, inner)) in [(37, 5), (127, 1), (31, 3)].into_iter().enumerate() {
        let (image, data) = (format!("N={} X={inner}", n - 6), format!("C=6 N={n} X={inner}"));
        let maps =
            linop::diagonal(&image, &complex(format!("C=6 N={} X={inner}", n - 6), 3)).unwrap().out("C N X").unwrap();
        let pad = linop::pad(maps.output().unwrap(), format!("N={n}"), Align::Center).unwrap().out("C N X").unwrap();
        let f = linop::fft(&data, "N", options(k)).unwrap().out("C N X").unwrap();
        let mask = linop::diagonal(&data, &common::data::mask(&format!("N={n}"), 0.5, 4)).unwrap();
        let a = mask * f * pad * maps;
        all.extend([a.clone(), a.h(), a.n()]);
    }
    check(&all, 2e-6, 1);
    for a in &all {
        let (x, u) = (complex(a.input().unwrap(), 1), complex(a.output().unwrap(), 2));
        for (name, device) in devices().iter().take(1) {
            let of = |a: &Linop, x| apply_on(device, a, x).unwrap().mapv(|z| Complex64::new(z.re.into(), z.im.into()));
            let (forward, back) = (of(a, &x), of(&a.h(), &u));
            let difference = (inner(&forward, &wide(&u)) - inner(&wide(&x), &back)).norm();
            assert!(difference < 4e-6 * norm(&forward) * norm(&wide(&u)), "{a} on {name}");
        }
    }
}

/// A filter whose lines fit only in halves, and one of narrow tiles.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn long_filters_have_the_values_of_f64() {
    let mut all = Vec::new();
    let long =
        [("C=2 N=1500", 3000), ("N=1000 C=5", 2000), ("C=2 N=4096", 8192), ("C=2 N=2048", 4096), ("N=2048 C=3", 4096)];
    // Halves of stages of any radix, parts of halves, and more than those.
    let short =
        [("C=3 N=45", 90), ("N=30 C=9", 64), ("C=3 N=11", 26), ("C=2 N=33", 64), ("N=17 C=5", 34), ("C=70 N=4", 8)];
    for (k, (dims, n)) in long.into_iter().chain(short).enumerate() {
        let align = if k % 2 == 0 { Align::Start } else { Align::Center };
        let a = padded_filter(dims, n, align, options(k / 2));
        all.push(if k % 2 == 0 { a } else { a.h() });
    }
    check(&all, 1e-6, 2);
}

/// Whatever is chosen for a line, its bits are the same.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn tiles_of_split_exchanges_and_of_primes_change_no_bit() {
    let Some(device) = common::gpu_with(GpuOptions::default().shape(Some(KernelShape::Gpu)).disk_cache(Some(false)))
    else {
        return;
    };
    for only in ["fft tile 1021 contiguous", "fft tile 127 strided", "fft tile 512 strided", "fft tile 4096 contiguous"]
    {
        let options =
            linops::tune::TuneOptions::default().elements(1 << 12).rounds(1).only(Some(only.into())).keep(false);
        let tuned = device.tune(&options, |_| ()).unwrap();
        let [choice] = &tuned.choices[..] else { panic!("{tuned:?}") };
        // Of candidates that do not run, or give other bits, no time is told.
        assert!(choice.seconds.len() > 2 && choice.seconds.iter().all(Option::is_some), "{choice:?}");
    }
    // Whole and in halves are both among them.
    let Target::Gpu(limits) = device.target() else { panic!("a GPU was opened") };
    let split = |place: usize| {
        let choices = Some(Choices::one("fft tile 512 strided", place).kept());
        plan(&fft("N=512 C=100"), GpuLimits { choices, ..limits }).to_string().contains("-split")
    };
    let all: Vec<bool> = (0..16).map(split).collect();
    assert!(all.contains(&true) && all.contains(&false), "{all:?}");
}
