//! Every kernel text under the eyes of naga, and translated; how many there are; a few of them as snapshots.
#![cfg(feature = "gpu")]

mod common;

use common::catalogue::cases;
use common::data::{Random, complex, indices, mask};
use common::kernels::{dispatches, many, poorest, small_bindings};
use linops::Linop;
use linops::explain::{Language, Target};
use linops::internal::{
    GpuLimits, KernelShape, Slot, arithmetic_kernels, convex_kernels, functional_kernels, roof_kernels, solver_kernels,
    translate, validate,
};
use linops::linop::{self, FftOptions, NufftOptions};
use std::collections::{BTreeMap, BTreeSet};

const SHAPES: [KernelShape; 2] = [KernelShape::Gpu, KernelShape::Cpu];

/// Distinct kernel texts, with a name for messages.
fn texts() -> &'static BTreeMap<String, String> {
    static TEXTS: std::sync::OnceLock<BTreeMap<String, String>> = std::sync::OnceLock::new();
    TEXTS.get_or_init(|| {
        let mut all = BTreeMap::new();
        let mut add = |what: &str, a: &Linop, target: &Target, is_complex: bool| {
            for d in dispatches(a, target, is_complex).unwrap_or_else(|e| panic!("{what}: {e}")) {
                all.entry(d.text).or_insert_with(|| format!("{what}: {}", d.name));
            }
        };
        for case in cases() {
            for a in [case.linop.clone(), case.linop.h(), case.linop.n()] {
                for target in SHAPES.map(poorest) {
                    add(&case.name, &a, &target, true);
                    add(&case.name, &a, &target, false);
                }
            }
        }
        for a in windowed() {
            for target in SHAPES.map(small_bindings) {
                add("windows", &a, &target, true);
                add("windows", &a.h(), &target, true);
            }
        }
        // By units of 16 bytes, in one binding and in windows.
        for (name, a, _) in many() {
            let poor = GpuLimits::poorest(KernelShape::Gpu);
            for target in [poor, GpuLimits { max_binding: 1 << 20, ..poor }].map(Target::Gpu) {
                for a in [a.clone(), a.h()] {
                    add(name, &a, &target, true);
                    if !name.contains("weighted") {
                        add(name, &a, &target, false);
                    }
                }
            }
        }
        for n in [5, 8, 12, 16, 60, 100, 128, 512, 1001, 2048] {
            for dims in [format!("C=3 N={n}"), format!("N={n} C=5")] {
                for target in SHAPES.map(poorest) {
                    add(&format!("filter {n}"), &filter(&dims, n), &target, true);
                }
            }
        }
        for (shape, width) in [("C=5 Nx=40", 7.0), ("C=1 Ny=20 Nx=24", 9.0), ("C=9 Nz=16 Ny=12 Nx=10", 6.0)] {
            for a in [nufft_of(shape, 100, width), nufft_of(shape, 100, width - 0.5)] {
                add("nufft", &a, &poorest(KernelShape::Gpu), true);
                add("nufft", &a.h(), &poorest(KernelShape::Gpu), true);
            }
        }
        for n in lengths() {
            for dims in [format!("C=3 N={n}"), format!("N={n} C=5")] {
                let options = FftOptions::default().centered(n % 2 == 0).inverse(n % 3 == 0);
                for target in SHAPES.map(poorest) {
                    add(&format!("fft {n}"), &linop::fft(&dims, "N", options).unwrap(), &target, true);
                }
            }
        }
        all.extend(convex_kernels().unwrap().into_iter().map(|(name, text)| (text, format!("convex: {name}"))));
        all.extend(roof_kernels().into_iter().map(|(name, text)| (text, format!("roof: {name}"))));
        all.extend(arithmetic_kernels().unwrap().into_iter().map(|(name, text)| (text, format!("arithmetic: {name}"))));
        all.extend(functional_kernels().unwrap().into_iter().map(|(name, text)| (text, format!("functional: {name}"))));
        all.extend(solver_kernels().unwrap().into_iter().map(|(name, text)| (text, format!("solver: {name}"))));
        all
    })
}

/// Lengths with every radix, in one pass and in several, primes, and those that go through a chirp.
fn lengths() -> Vec<usize> {
    (2..=64)
        .chain([100, 125, 128, 169, 256, 343, 512, 1001, 1024, 1331, 2048, 4096, 8192, 16384, 101, 1021, 1018, 4093])
        .collect()
}

/// A padded convolution along N.
fn filter(dims: &str, n: usize) -> Linop {
    let pad = linop::pad(dims, format!("N={}", 2 * n), linop::Align::Start).unwrap();
    let names: Vec<&str> = dims.split(' ').map(|d| d.split('=').next().unwrap()).collect();
    let pad = pad.out(names.join(" ")).unwrap();
    let f = linop::fft(pad.output().unwrap(), "N", FftOptions::default()).unwrap().out(names.join(" ")).unwrap();
    let weights = linop::diagonal(f.output().unwrap(), &complex(format!("N={}", 2 * n), 1)).unwrap();
    pad.h() * f.h() * weights * &f * &pad
}

/// Linops whose reads span several bindings of 4096 bytes.
fn windowed() -> Vec<Linop> {
    let d = |dims: &str, w: &str| linop::diagonal(dims, &complex(w, 1)).unwrap();
    let stack = vec![linop::flip("A=40 B=30", "A").unwrap(), d("A=40 B=30", "B=30 A=40")];
    vec![
        linop::rearrange("A=40 B=50", "A B -> B A", "").unwrap(),
        linop::roll("A=40 B=50", &[("A", 13)]).unwrap(),
        linop::fft("N=64 A=20", "N", FftOptions::default()).unwrap(),
        linop::fft("A=20 N=64", "N", FftOptions::default().centered(true)).unwrap(),
        linop::sampling_at("A=900", &[("A", indices(&[3000], 900, 2))], "S").unwrap(),
        linop::sampling_at("B=3 A=700 C=2", &[("A", indices(&[1500], 700, 3))], "B C S").unwrap(),
        linop::sum("A=70 B=60", "A").unwrap(),
        linop::sum("A=70 B=60", "B").unwrap(),
        linop::dense("N=60 T=30", &complex("M=40 N=60", 4), "M T").unwrap(),
        d("A=40 B=50", "B=50 A=40"),
        linop::stack(stack.clone(), None, Some(("S", 1))).unwrap(),
        linop::add(stack).unwrap(),
        filter("A=20 N=30", 30),
        filter("N=30 A=20", 30),
        nufft("C=2 Ny=12 Nx=10", 150),
        nufft("C=2 Ny=12 Nx=10", 3000),
        nufft("C=5 Nz=6 Ny=3 Nx=4", 40),
    ]
}

/// A non-uniform transform over all dims but C, whose normal goes through its points.
fn nufft(shape: &str, points: usize) -> Linop {
    nufft_of(shape, points, 4.0)
}

fn nufft_of(shape: &str, points: usize, width: f64) -> Linop {
    let dims: Vec<&str> = shape.split(' ').map(|d| d.split('=').next().unwrap()).filter(|d| *d != "C").collect();
    let mut r = Random(5);
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[points, dims.len()]), |_| 2.0 * f64::from(r.uniform()));
    let accuracy = linop::Accuracy::Kernel { width, oversamp: 2.0 };
    let options = NufftOptions::default().accuracy(accuracy).toeplitz(Some(false));
    linop::nufft(shape, &locs, dims.join(" "), options, "C K").unwrap()
}

/// Those for a device with more workgroup memory and invocations.
fn rich_texts() -> BTreeMap<String, String> {
    let cases = cases().into_iter().flat_map(|c| [c.linop.clone(), c.linop.h(), c.linop.n()]);
    let ffts = lengths().into_iter().map(|n| linop::fft(format!("C=3 N={n}"), "N", FftOptions::default()).unwrap());
    let drafts = cases.chain(ffts).flat_map(|a| dispatches(&a, &Target::rich(), true).unwrap());
    drafts.map(|d| (d.text, d.name)).collect()
}

#[test]
fn naga_accepts_every_kernel() {
    let all = texts();
    assert!(all.len() > 200, "only {} kernels", all.len());
    for (text, what) in all {
        // Under no optional capability, as for the poorest device.
        let r = validate(what, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(r.workgroup_size <= 256, "{what}: {} invocations", r.workgroup_size);
        // What the default limits allow: 8 storage buffers and 12 uniforms in one stage.
        assert!(r.bindings.iter().filter(|b| b.1 != Slot::Uniform).count() <= 8, "{what}");
    }
}

/// Functions that a text in HLSL or MSL defines, with the types of their parameters where names may be overloaded.
fn definitions(text: &str, overloads: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // An attribute stands in front, or on a line of its own.
        let line = line.strip_prefix("[[").and_then(|l| l.split_once("]] ")).map_or(line, |(_, rest)| rest);
        let begins = line.starts_with(|c: char| c.is_ascii_alphabetic()) && !line.starts_with("cbuffer");
        let Some((head, _)) = line.split_once('(').filter(|_| begins && !line.ends_with(';')) else { continue };
        let mut all = line.to_string();
        while !all.contains('{') {
            let Some(next) = lines.next() else { break };
            all += next;
        }
        let name = head.split_whitespace().last().unwrap_or(head).to_string();
        let parameters = all.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(p, _)| p);
        let types = parameters.split(',').map(|p| p.trim().rsplit_once(' ').map_or(p.trim(), |(t, _)| t));
        found.push(if overloads { format!("{name}({})", types.collect::<Vec<_>>().join(", ")) } else { name });
    }
    found
}

fn doubled(mut all: Vec<String>) -> Option<String> {
    all.sort();
    all.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

/// naga has named a function of its own twice before, for two spellings of one type.
#[test]
fn translated_kernels_define_every_function_once() {
    let zero = "float2 ZeroValuefloat2() {\n    return (float2)0;\n}\n";
    assert_eq!(doubled(definitions(&[zero, zero].concat(), true)).as_deref(), Some("ZeroValuefloat2()"));
    let overloaded = "int f(int a) {\n}\nint f(\n    int a,\n    int b\n)\n{\n}\n";
    assert_eq!(definitions(overloaded, true), ["f(int)", "f(int, int)"]);
    assert_eq!(doubled(definitions(overloaded, false)).as_deref(), Some("f"));
    for (text, what) in texts().iter().chain(&rich_texts()) {
        for (language, overloads) in [(Language::Hlsl, true), (Language::Msl, false)] {
            let translated = String::from_utf8(translate(what, text, language).unwrap()).unwrap();
            let all = definitions(&translated, overloads);
            let entry = if overloads { "main(" } else { "main_" };
            assert!(all.iter().any(|d| d.starts_with(entry)), "{what} in {language}: {all:?}");
            assert_eq!(doubled(all), None, "{what} in {language}\n{translated}");
        }
    }
}

/// Bytes of a workgroup's memory on every GPU.
const WORKGROUP_MEMORY: usize = 16384;

/// Those that a text declares.
fn workgroup_bytes(text: &str) -> usize {
    let size = |of: &str| match of {
        "vec4<f32>" => 16,
        "vec2<f32>" => 8,
        _ => 4,
    };
    let bytes = |declared: &str| {
        let of = declared.split_once(": ").map_or("", |(_, of)| of.trim_end_matches(';'));
        match of.strip_prefix("array<").and_then(|of| of.strip_suffix('>')?.rsplit_once(", ")) {
            Some((of, count)) => size(of) * count.parse().unwrap_or(0),
            None => size(of),
        }
    };
    text.lines().filter_map(|line| line.strip_prefix("var<workgroup> ")).map(bytes).sum()
}

/// The files that `scripts/portability` gives to other compilers, in the folder that it names: those for every GPU, and those for rich
/// ones, of which some stand in the catalogue of the former.
#[test]
fn kernels_are_files_for_other_judges() {
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("LINOPS_KERNELS").map_or_else(|| own.path().into(), std::path::PathBuf::from);
    for (kind, texts) in [("default", texts()), ("rich", &rich_texts())] {
        for (k, (text, what)) in texts.iter().enumerate() {
            let of = if workgroup_bytes(text) > WORKGROUP_MEMORY { "rich" } else { kind };
            let folder = folder.join(of);
            std::fs::create_dir_all(&folder).unwrap();
            let moved = if of == kind { "" } else { "more-" };
            let name: String = what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            for language in Language::ALL {
                let code = translate(what, text, language).unwrap_or_else(|e| panic!("{e}"));
                assert!(!code.is_empty());
                std::fs::write(folder.join(format!("{moved}{k}-{name}.{}", language.suffix())), code).unwrap();
            }
        }
    }
    let files = |of: &str| std::fs::read_dir(folder.join(of)).unwrap().count();
    let (all, rich) = (files("default") + files("rich"), files("rich"));
    assert_eq!(all, 4 * (texts().len() + rich_texts().len()));
    assert_eq!(rich, 4 * (rich_texts().len() + 4), "blocks of low rank of two dtypes, shrunk and measured");
}

/// Distinct texts of some linops.
fn distinct(linops: impl IntoIterator<Item = Linop>, shape: KernelShape) -> BTreeSet<String> {
    let texts = |a: Linop| dispatches(&a, &poorest(shape), true).unwrap().into_iter().map(|d| d.text);
    linops.into_iter().flat_map(texts).collect()
}

#[test]
fn sizes_are_no_part_of_a_kernel() {
    let sizes = [2usize, 3, 5, 8, 17, 31, 64, 100, 127, 256];
    let of = |what: &str, make: &dyn Fn(usize) -> linops::Result<Linop>, most: usize| {
        for shape in SHAPES {
            let count = distinct(sizes.iter().map(|&n| make(n).unwrap()), shape).len();
            assert!(count <= most, "{what}: {count} kernels for {} sizes, expected {most}", sizes.len());
        }
    };
    of("diagonal", &|n| linop::diagonal(format!("N={n}"), &complex(format!("N={n}"), 1)), 1);
    of("coil sensitivities", &|n| linop::diagonal(format!("N={n}"), &complex(format!("C=3 N={n}"), 1)), 1);
    // Few long sums are made by workgroups, many short ones by single invocations.
    of("outer sum", &|n| linop::sum(format!("A={n} B=7"), "A"), 2);
    // Terms beside each other are read by units of 16 bytes where their number is one of units: a kernel more.
    of("inner sum", &|n| linop::sum(format!("A=3 B={n}"), "B"), 3);
    of("transposed", &|n| linop::rearrange(format!("A={n} B=3"), "A B -> B A", ""), 1);
    of("roll", &|n| linop::roll(format!("A=3 B={n}"), &[("B", 1)]), 1);
    of("gather", &|n| linop::sampling_at(format!("N={n}"), &[("N", indices(&[9], n, 1))], "S"), 1);
    let scatter = |n: usize| Ok(linop::sampling_at(format!("N={n}"), &[("N", indices(&[9], n, 1))], "S")?.h());
    of("scatter", &scatter, 1);
    of("dense", &|n| linop::dense(format!("N={n} T=2"), &complex(format!("M=4 N={n}"), 1), "M T"), 2);
    let joined = |n: usize| linop::stack(vec![linop::flip(format!("N={n}"), "N")?; 3], None, Some(("S", 1)));
    of("stack", &joined, 1);
    let points = |n: usize| Ok(nufft("C=3 Ny=8 Nx=8", n));
    // The kernels of the FFT along both axes are among them.
    of("nufft", &points, 3);
    of("nufft, adjoint", &|n| Ok(points(n)?.h()), 4);
    // A transform's text holds its length, but neither the batch nor what is beside it.
    of("fft", &|n| linop::fft(format!("C={n} N=48"), "N", FftOptions::default()), 1);
}

/// Over any sizes, so many kernels and no more: of transforms one for each way that a line is split, of all else none for a size.
#[test]
fn kernels_of_all_sizes_are_bounded() {
    let is_smooth = |n: &usize| {
        [2, 3, 5, 7, 11, 13].iter().fold(*n, |n, p| (0..11).fold(n, |n, _| if n % p == 0 { n / p } else { n })) == 1
    };
    let smooth = |most: usize| (1..=most).filter(is_smooth).count();
    let ffts = |shape| {
        let of = |n: usize| linop::fft(format!("C=3 N={n}"), "N", FftOptions::default()).unwrap();
        distinct((2..=1500).step_by(if shape == KernelShape::Cpu { 1 } else { 3 }).map(of), shape)
            .into_iter()
            .filter(|text| text.contains("fft."))
            .count()
    };
    // Butterflies of every smooth length up to 64, each alone, first, in the middle or last; and with a chirp.
    let (registers, memory) = (ffts(KernelShape::Cpu), ffts(KernelShape::Gpu));
    assert!(registers <= 6 * smooth(64), "{registers}");
    // Lines of every smooth length that workgroup memory holds, and of those that longer ones are made of.
    assert!(memory <= 2 * smooth(2048), "{memory}");
    for shape in SHAPES {
        let images = (10..90).map(|n| interpolation(&format!("C=2 Ny={} Nx={n}", 2 * n + 1)).n());
        let images = distinct(images, shape).len();
        assert!(images <= 8, "{shape:?}: {images} kernels");
    }
}

fn sense(coils: usize) -> Linop {
    let maps = linop::diagonal("Y=32 X=48", &complex(format!("C={coils} Y=32 X=48"), 1)).unwrap();
    let f = linop::fft(maps.output().unwrap(), "Y X", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Y X").unwrap();
    linop::diagonal(f.output().unwrap(), &mask("Y=32 X=48", 0.4, 2)).unwrap() * f * maps
}

/// A convolution of images, padded to twice the size.
fn convolution() -> Linop {
    let pad = linop::pad("C=2 Y=16 X=24", "Y=32 X=48", linop::Align::Start).unwrap().out("C Y X").unwrap();
    let f = linop::fft("C=2 Y=32 X=48", "Y X", FftOptions::default()).unwrap().out("C Y X").unwrap();
    let weights = linop::diagonal("C=2 Y=32 X=48", &complex("Y=32 X=48", 1)).unwrap();
    pad.h() * f.h() * weights * f * pad
}

/// The program, the plan, and each kernel of it with the number of its dispatches' workgroups.
fn listing(a: &Linop, shape: KernelShape) -> String {
    let program = a.program().unwrap();
    let plan = program.schedule(&poorest(shape), true).unwrap();
    let mut text = format!("{a}\n\nprogram\n{program}\nplan\n{plan}\nkernels\n");
    for d in dispatches(a, &poorest(shape), true).unwrap() {
        text += &format!("{} × {}\n", d.name, d.groups);
    }
    text
}

#[test]
fn representative_plans() {
    let frames = linop::stack(vec![sense(2); 3], None, Some(("T", 0))).unwrap();
    let awkward = |n: usize| linop::fft(format!("C=2 N={n}"), "N", FftOptions::default().centered(true)).unwrap();
    let sampling = linop::sampling("C=2 Y=8 X=9", &mask("Y=8 X=9", 0.4, 3), "C S").unwrap();
    for (name, a) in [
        ("sense_forward", sense(4)),
        ("sense_normal", sense(4).n()),
        ("prime_1021", awkward(1021)),
        ("bluestein_1018", awkward(1018)),
        ("sampling_forward", sampling.clone()),
        ("sampling_adjoint", sampling.h()),
        ("sampling_normal", sampling.n()),
        ("stacked_normal", frames.n()),
        ("convolution", convolution()),
        ("nufft_forward", nufft("C=4 Ny=12 Nx=10", 300)),
        ("nufft_adjoint", nufft("C=4 Ny=12 Nx=10", 3000).h()),
        ("dense", linop::dense("N=60 T=4", &complex("M=30 N=60", 4), "M T").unwrap()),
    ] {
        insta::assert_snapshot!(name, listing(&a, KernelShape::Gpu));
    }
}

/// One small kernel of each family, to be read.
#[test]
fn a_kernel_of_each_family() {
    let fft = |dims: &str| linop::fft(dims, "N", FftOptions::default()).unwrap();
    let sampling = linop::sampling_at("B=3 A=70 C=2", &[("A", indices(&[15], 70, 3))], "B C S").unwrap();
    for (name, a, shape) in [
        ("map", linop::diagonal("Y=8 X=9", &complex("C=2 Y=8 X=9", 1)).unwrap(), KernelShape::Gpu),
        ("reduce", linop::sum("A=8 B=9", "A").unwrap(), KernelShape::Gpu),
        ("gather", sampling.clone(), KernelShape::Gpu),
        ("scatter", sampling.h(), KernelShape::Gpu),
        ("interpolate", interpolation("C=2 Ny=16 Nx=16"), KernelShape::Gpu),
        ("spread", interpolation("C=2 Ny=16 Nx=16").h(), KernelShape::Gpu),
        ("project", projection("C=2 Y=9 X=8"), KernelShape::Gpu),
        ("back_project", projection("Y=9 X=8").h(), KernelShape::Gpu),
        ("fft_workgroup", fft("C=4 N=16"), KernelShape::Gpu),
        ("fft_global", fft("C=4 N=4"), KernelShape::Cpu),
        ("filter", filter("C=4 N=8", 8), KernelShape::Gpu),
    ] {
        let texts: Vec<String> = dispatches(&a, &poorest(shape), true).unwrap().into_iter().map(|d| d.text).collect();
        insta::assert_snapshot!(format!("kernel_{name}"), texts.join("\n// next\n"));
    }
    let (_, advance) = solver_kernels().unwrap().into_iter().find(|(name, _)| name == "advance").unwrap();
    insta::assert_snapshot!("kernel_advance", advance);
}

/// What interpolates alone, without transforms.
fn interpolation(shape: &str) -> Linop {
    let mut r = Random(5);
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[30, 2]), |_| 15.0 * f64::from(r.uniform()).abs());
    linop::interpolate(shape, &locs, "Ny Nx", &linop::InterpolateOptions::default(), "C K").unwrap()
}

fn projection(shape: &str) -> Linop {
    let g = linop::Geometry::parallel(&[0.0, 1.0, 2.0], 7);
    linop::projection(shape, "Y X", &g, if shape.contains('C') { "C A D" } else { "A D" }).unwrap()
}

/// The kernels of each family: how many, and a hash of them all, which tells when any text changes.
#[test]
fn all_kernels_as_hashes() {
    let mut families: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    // The 64-bit FNV-1a hash.
    let hash = |text: &str| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    };
    for (text, what) in texts().iter().chain(&rich_texts()) {
        let name = what.rsplit_once(": ").map_or(what.as_str(), |(_, name)| name);
        let own = ["solver", "arithmetic"].into_iter().find(|f| what.starts_with(&format!("{f}: ")));
        let family = own.unwrap_or_else(|| name.split('-').next().unwrap());
        let (count, all) = families.entry(family.into()).or_default();
        *count += 1;
        *all ^= hash(text);
    }
    let lines: Vec<String> = families.iter().map(|(f, (n, h))| format!("{f}: {n} kernels, {h:016x}")).collect();
    insta::assert_snapshot!("kernel_hashes", lines.join("\n"));
}
