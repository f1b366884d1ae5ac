//! What `MemoryUse` states is what is used: the heap is counted while linops are applied on the host.

mod common;

use common::data::{Random, complex, mask};
use linops::linop::{self, Accuracy, FftOptions, Geometry, NufftOptions, TrigOptions};
use linops::{DType, Device, Linop, MemoryUse, Tensor};
use ndarray::{ArrayD, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, IxDyn};
use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What describes a program and its plan, and what threads leave behind.
const DESCRIPTION: u64 = 96 << 10;

/// The heap is the whole process', and so are its threads: two, whatever the machine has, each of which leaves something
/// behind.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static THREADS: Once = Once::new();
    THREADS.call_once(|| rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes in use, those aside that wait for the next large result.
fn heap() -> u64 {
    while linops::internal::give_up_spare_memory() {}
    HEAP.current_usage() as u64
}

fn points(count: usize, image: &[usize], width: f64) -> ArrayD<f64> {
    let mut r = Random(count as u64);
    ArrayD::from_shape_fn(IxDyn(&[count, image.len()]), |i| 0.5 * width * f64::from(r.uniform()) * image[i[1]] as f64)
}

fn nufft(coils: usize, image: &str, locs: &ArrayD<f64>, toeplitz: bool) -> Linop {
    let axes = image.split(' ').map(|d| d.split('=').next().unwrap()).collect::<Vec<_>>().join(" ");
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-4)).toeplitz(Some(toeplitz));
    linop::nufft(format!("C={coils} {image}"), locs, &axes, options, "C K").unwrap()
}

fn sense() -> Linop {
    let centered = FftOptions::default().centered(true);
    let f = linop::fft("C=8 Y=96 X=100", "Y X", centered).unwrap().out("C Y X").unwrap();
    linop::diagonal("C=8 Y=96 X=100", &mask("Y=96 X=100", 0.5, 1)).unwrap()
        * f
        * linop::diagonal("Y=96 X=100", &complex("C=8 Y=96 X=100", 2)).unwrap()
}

fn functions<T: linop::Number + Copy>() -> Linop {
    let forward = |x: ArrayView2<T>, mut y: ArrayViewMut1<T>| y.assign(&x.row(1));
    let adjoint = |y: ArrayView1<T>, mut x: ArrayViewMut2<T>| x.row_mut(1).assign(&y);
    linop::from_fn("Y=90 X=7000", "X=7000", forward, adjoint).unwrap()
}

/// Linops that between them run every kernel of the host, and every way that transforms and spreads are cut.
fn cases() -> Vec<(&'static str, Linop)> {
    let (plane, space) = ([90, 70], [20, 24, 18]);
    let spread = points(20_000, &plane, 1.0);
    let centre = points(150_000, &plane, 0.02);
    let flat = nufft(5, "Y=90 X=70", &spread, false);
    let heavy = nufft(3, "Y=90 X=70", &centre, false);
    let cube = nufft(9, "Z=20 Y=24 X=18", &points(90_000, &space, 0.4), false);
    let sampling = linop::sampling("C=6 Y=60 X=50", &mask("Y=60 X=50", 0.3, 4), "C K").unwrap();
    let weighted = sampling.clone() * linop::diagonal("C=6 Y=60 X=50", &complex("C=6 Y=60 X=50", 5)).unwrap();
    let fft = |shape: &str, axes: &str| linop::fft(shape, axes, FftOptions::default()).unwrap();
    let angles: Vec<f64> = (0..60).map(|k| 0.05 * f64::from(k)).collect();
    let rays = Geometry::parallel(&angles, 130);
    let projection = linop::projection("C=3 Y=100 X=90", "Y X", &rays, "C A D").unwrap();
    let cone = Geometry::cone(&angles[..20], 40, 50, 120.0, 40.0);
    let cone = linop::projection("Z=30 Y=36 X=40", "Z Y X", &cone, "A V U").unwrap();
    let parts = (0..6).map(|k| {
        let f = fft("Y=64 X=60", "Y X").out("Y X").unwrap();
        f * linop::diagonal("Y=64 X=60", &complex("Y=64 X=60", k)).unwrap()
    });
    let nuffts = (0..4).map(|k| nufft(2, "Y=40 X=44", &points(30_000 + 1000 * k, &[40, 44], 0.03), false));
    vec![
        ("nufft", flat.clone()),
        ("nufft adjoint", flat.h()),
        ("pair normal", flat.n()),
        ("toeplitz normal", nufft(5, "Y=90 X=70", &spread, true).n()),
        ("toeplitz normal in 3-D", nufft(1, "Z=40 Y=36 X=44", &points(60_000, &[40, 36, 44], 1.0), true).n()),
        ("toeplitz normal of many coils", nufft(70, "Y=24 X=20", &points(3_000, &[24, 20], 1.0), true).n()),
        ("heavy centre", heavy.clone()),
        ("heavy centre, adjoint", heavy.h()),
        ("heavy centre, normal", heavy.n()),
        // As many as threads, and more: each is summed by one of them.
        ("many heavy tiles", nufft(2, "X=16000", &points(250_000, &[16_000], 1.0), false).h()),
        ("3-D", cube.clone()),
        ("3-D, adjoint", cube.h()),
        ("sense", sense()),
        ("sense normal", sense().n()),
        ("sampling", sampling.clone()),
        ("sampling of a product", weighted.clone()),
        ("sampling, adjoint", sampling.h()),
        ("sampling of a product, normal", weighted.n()),
        ("convolution", linop::convolve("C=7 Y=90 X=80", &complex("Y=5 X=4", 11), "Y X", Default::default()).unwrap()),
        ("convolution of channels", {
            let kernel = complex("O=16 C=7 Y=3 X=3", 11);
            linop::convolve("C=7 Y=90 X=80", &kernel, "Y X", Default::default()).unwrap()
        }),
        ("convolution of a product, normal", {
            let weights = linop::diagonal("Y=90 X=80", &complex("C=7 Y=90 X=80", 12)).unwrap();
            let kernel = complex("Y=5 X=4", 11);
            (linop::convolve("C=7 Y=90 X=80", &kernel, "Y X", Default::default()).unwrap() * weights).n()
        }),
        ("blocks", linop::blocks("Y=300 X=200", &[("Y", 8, 4), ("X", 8, 4)], "Q P J I").unwrap()),
        ("blocks of a product, adjoint", {
            let weights = linop::diagonal("Y=300 X=200", &complex("Y=300 X=200", 13)).unwrap();
            (linop::blocks("Y=300 X=200", &[("Y", 8, 4), ("X", 8, 4)], "Q P J I").unwrap() * weights).h()
        }),
        ("gradient", linop::gradient("Z=40 Y=50 X=60", "Z Y X", Default::default()).unwrap()),
        ("gradient, normal", linop::gradient("Z=40 Y=50 X=60", "Z Y X", Default::default()).unwrap().n()),
        ("gradient of a product, normal", {
            let weights = linop::diagonal("Y=300 X=200", &complex("Y=300 X=200", 13)).unwrap();
            (linop::gradient("Y=300 X=200", "Y X", Default::default()).unwrap() * weights).n()
        }),
        ("sum", linop::sum("A=50 B=60 C=70", "B").unwrap()),
        ("sum of all", linop::sum("A=50 B=60 C=70", "A B C").unwrap()),
        ("dense", linop::dense("N=300 A=80", &complex("M=40 N=300", 6), "M").unwrap()),
        ("projection", projection.clone()),
        ("projection, adjoint", projection.h()),
        (
            "projection of every other row",
            projection * linop::upsample("C=3 Y=50 X=90", &[("Y", 2, 0)], "Y=100").unwrap().out("C Y X").unwrap(),
        ),
        ("projection of a volume", cone.clone()),
        ("projection of a volume, adjoint", cone.h()),
        ("filtered back-projection", linop::fbp("A=60 D=130", "A D", "Y=100 X=90", &rays, Default::default()).unwrap()),
        (
            "filtered back-projection, adjoint",
            linop::fbp("A=60 D=130", "A D", "Y=100 X=90", &rays, Default::default()).unwrap().h(),
        ),
        ("long lines", fft("A=3 X=30000", "X")),
        ("one large filter", {
            let f = fft("Y=600 X=500", "Y X").out("Y X").unwrap();
            (linop::diagonal("Y=600 X=500", &mask("Y=600 X=500", 0.5, 8)).unwrap() * f).n()
        }),
        ("one large transform", fft("Y=600 X=500", "Y X")),
        ("a cube", fft("Z=50 Y=48 X=40", "Z Y X")),
        ("awkward lengths", fft("Y=401 X=509", "Y X")),
        ("cosine transforms", linop::dct("Y=401 X=500", "Y X", TrigOptions::default()).unwrap()),
        ("cosine transform of a product", {
            let weights = linop::diagonal("Y=400 X=50", &complex("Y=400 X=50", 9)).unwrap();
            linop::dct("Y=400 X=50", "Y", TrigOptions::default()).unwrap() * weights
        }),
        ("half a transform", linop::rfft("Y=401 X=500", "Y X", linop::RfftOptions::default()).unwrap()),
        ("warp", {
            let field = points(2 * 90, &[70], 0.1).into_shape_with_order(IxDyn(&[2, 90])).unwrap();
            let field = ArrayD::from_shape_fn(IxDyn(&[2, 90, 70]), |i| field[[i[0], i[1]]]);
            linop::warp("C=3 Y=90 X=70", "Y X", &field, linop::WarpOptions::default()).unwrap()
        }),
        ("nufft, type 3", {
            let (x, s) = (points(5_000, &[40, 35], 0.5), points(4_000, &[3, 4], 0.5));
            linop::nufft_type3("C=2 N=5000", &x, &s, linop::NufftType3Options::default(), "C M").unwrap()
        }),
        ("ndft", {
            let locs = points(300, &[40, 35], 1.0);
            linop::ndft("C=2 Y=40 X=35", &locs, "Y X", "C K").unwrap()
        }),
        // Complex values in parts, and copies of another precision.
        ("functions of f32", functions::<f32>()),
        ("functions of f64, adjoint", functions::<f64>().h()),
        ("wavelet", linop::wavelet("Y=300 X=200", "Y X", &Default::default()).unwrap()),
        ("wavelet, adjoint", linop::wavelet("Y=300 X=200", "Y X", &Default::default()).unwrap().h()),
        ("add", linop::add(parts.clone()).unwrap()),
        ("stack", linop::stack(parts, None, Some(("P", 0))).unwrap()),
        ("nuffts side by side", linop::stack(nuffts.map(|a| a.n()), None, Some(("P", 0))).unwrap()),
    ]
}

#[test]
fn an_apply_uses_what_is_stated() {
    let _alone = alone();
    // They stay to the end: what a thread gives back as it ends would be counted.
    let pools: Vec<_> =
        [1, 2, 3, 8].map(|n| (n, rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap())).into();
    for (name, a) in cases() {
        let x = complex(a.input().unwrap(), 7);
        let mut first = None;
        for &(threads, ref pool) in &pools {
            let y = pool.install(|| a.apply(&x).unwrap().to_array().unwrap());
            let bits: Vec<(u32, u32)> = y.iter().map(|z| (z.re.to_bits(), z.im.to_bits())).collect();
            assert!(first.get_or_insert_with(|| bits.clone()) == &bits, "{name}: {threads} threads give other bits");
            drop((y, bits));
            pool.install(|| {
                let stated = MemoryUse::of(&a.plan(&Device::host(), DType::Complex32).unwrap()).unwrap();
                assert_eq!(stated.tasks.threads, threads);
                Device::host().clear_cache();
                let before = heap();
                drop(a.apply(&x).unwrap());
                // Kept for the next apply: scratch to the byte, and the tables of transforms.
                let kept = heap() - before;
                let most = stated.scratch + stated.tables + DESCRIPTION;
                assert!((stated.scratch..=most).contains(&kept), "{name}: {kept} kept, stated {stated:?}");
                for _ in 0..3 {
                    let before = heap();
                    HEAP.reset_peak_usage();
                    let y = a.apply(&x).unwrap();
                    let used = HEAP.peak_usage() as u64 - before;
                    let most = stated.output + stated.tasks.bytes();
                    assert!(
                        (stated.output..=most).contains(&used),
                        "{name}, {threads} threads: {used} used, at most {most}: {stated:?}"
                    );
                    drop(y);
                }
            });
        }
    }
    Device::host().clear_cache();
}

/// A bound that is far from what is used says nothing: with one thread, where every buffer is taken for sure, it is near.
#[test]
fn the_bound_of_tasks_is_near() {
    let _alone = alone();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (name, a) in cases() {
        let x = complex(a.input().unwrap(), 7);
        pool.install(|| {
            let stated = MemoryUse::of(&a.plan(&Device::host(), DType::Complex32).unwrap()).unwrap();
            drop(a.apply(&x).unwrap());
            let before = heap();
            HEAP.reset_peak_usage();
            let y = a.apply(&x).unwrap();
            let tasks = HEAP.peak_usage() as u64 - before - stated.output;
            drop(y);
            let (bytes, small) = (stated.tasks.bytes(), 32 << 10);
            assert!(bytes <= 3 * tasks + small, "{name}: {tasks} used by tasks, {bytes} stated");
        });
    }
    Device::host().clear_cache();
}

#[test]
fn constants_are_what_linops_hold() {
    let _alone = alone();
    // Made with all that comes along, then measured again: what the first of a kind leaves behind does not count.
    for _ in 0..2 {
        let locs = points(40_000, &[64, 80], 1.0);
        let weight = complex("C=4 Y=64 X=80", 9);
        let index = mask("Y=64 X=80", 0.4, 3);
        type Make<'a> = Box<dyn Fn() -> Linop + 'a>;
        let made: Vec<(&str, Make, u64)> = vec![
            ("diagonal", Box::new(|| linop::diagonal("Y=64 X=80", &weight).unwrap()), 0),
            ("sampling", Box::new(|| linop::sampling("C=2 Y=64 X=80", &index, "C K").unwrap()), 0),
            ("sampling, adjoint", Box::new(|| linop::sampling("C=2 Y=64 X=80", &index, "C K").unwrap().h()), 0),
            // The linop keeps the coordinates, too.
            ("nufft", Box::new(|| nufft(2, "Y=64 X=80", &locs, false)), 16 * 40_000),
            ("nufft adjoint", Box::new(|| nufft(2, "Y=64 X=80", &locs, false).h()), 16 * 40_000),
            ("pair", Box::new(|| nufft(2, "Y=64 X=80", &locs, false).n()), 16 * 40_000),
            ("toeplitz", Box::new(|| nufft(2, "Y=64 X=80", &locs, true).n()), 16 * 40_000),
            ("large toeplitz", Box::new(|| nufft(1, "Y=240 X=250", &locs, true).n()), 16 * 40_000),
        ];
        for (name, make, besides) in &made {
            let before = heap();
            let a = make();
            let device = Device::host();
            let stated = MemoryUse::of(&a.plan(&device, DType::Complex32).unwrap()).unwrap().constants;
            drop(a.apply(&Tensor::zeros(a.input().unwrap(), DType::Complex32).unwrap()).unwrap());
            Device::host().clear_cache();
            let held = heap() - before;
            let most = stated + besides + DESCRIPTION;
            assert!((stated..=most).contains(&held), "{name}: {held} held, {stated} stated, {besides} besides");
        }
    }
}

#[test]
fn tables_of_transforms_are_bounded() {
    let _alone = alone();
    for n in (1..130).chain([243, 251, 256, 509, 625, 1009, 1021, 1024, 2003, 2048, 3001, 4093, 5040, 10007, 65537]) {
        let a = linop::fft(format!("X={n}"), "X", FftOptions::default()).unwrap();
        let x = complex(format!("X={n}"), 1);
        let stated = MemoryUse::of(&a.plan(&Device::host(), DType::Complex32).unwrap()).unwrap();
        Device::host().clear_cache();
        let before = heap();
        drop(a.apply(&x).unwrap());
        let tables = heap() - before - stated.scratch;
        assert!(tables <= stated.tables + (16 << 10), "{n}: {tables} kept, {} stated", stated.tables);
    }
}

/// Making a convolution's kernel takes no more than twice what the plan then states.
#[test]
fn plans_of_convolutions_take_twice_what_is_stated_at_most() {
    let _alone = alone();
    for (image, extents, count) in [
        ("Y=300 X=320", &[300usize, 320][..], 400),
        ("Z=40 Y=48 X=44", &[40, 48, 44], 2000),
        ("X=90000", &[90_000], 500),
    ] {
        let locs = points(count, extents, 1.0);
        let n = nufft(1, image, &locs, true).n();
        let before = heap();
        HEAP.reset_peak_usage();
        let plan = n.plan(&Device::host(), DType::Complex32).unwrap();
        let peak = HEAP.peak_usage() as u64 - before;
        let stated = MemoryUse::of(&plan).unwrap();
        assert!(stated.constants > 0, "{plan}");
        assert!(peak <= 2 * stated.peak(), "{image}: {peak} at most, {stated:?}");
    }
}

/// A solver holds six vectors, and an iteration makes none.
#[test]
fn iterations_of_a_solver_take_no_memory() {
    use linops::solve::{SolveOptions, cg, lsqr, minres};
    let _alone = alone();
    let (a, n) = (sense(), sense().n());
    let b = complex("Y=96 X=100", 3);
    let vector = 8 * 96 * 100;
    // Plans and pools are there.
    drop(cg(&n, &b, SolveOptions::default().iterations(2).lambda(0.1)).unwrap());
    let stated = MemoryUse::of(&n.plan(&Device::host(), DType::Complex32).unwrap()).unwrap();
    let peak = |iterations: usize| {
        let before = heap();
        HEAP.reset_peak_usage();
        drop(cg(&n, &b, SolveOptions::default().iterations(iterations).tol(0.0).lambda(0.1)).unwrap());
        HEAP.peak_usage() as u64 - before
    };
    let (few, many) = (peak(3), peak(40));
    assert!(many <= few + vector / 4, "{few} for 3 iterations, {many} for 40");
    // And the result beside the six.
    assert!(many <= 7 * vector + stated.tasks.bytes() + DESCRIPTION, "{many} of {vector} a vector");
    // No others either: between two readings nothing is made.
    let y = complex(a.output().unwrap(), 4);
    let none_made = |name: &str, solve: &dyn Fn(SolveOptions)| {
        let peak = |iterations: usize| {
            let before = heap();
            HEAP.reset_peak_usage();
            solve(SolveOptions::default().iterations(iterations).tol(0.0).lambda(0.1));
            HEAP.peak_usage() as u64 - before
        };
        peak(2);
        let (few, many) = (peak(3), peak(25));
        assert!(many <= few + vector / 4, "{name}: {few} for 3 iterations, {many} for 25");
    };
    none_made("lsqr", &|options| drop(lsqr(&a, &y, options).unwrap()));
    none_made("minres", &|options| drop(minres(&n, &b, options).unwrap()));
}

/// Between two readings no convex method makes anything; IRLS, whose system is another one each time, nothing from one to the next.
#[test]
fn iterations_of_convex_methods_take_no_memory() {
    use linops::convex::{ConvexOptions, Method, Problem};
    let _alone = alone();
    let vector = 8 * 96 * 100;
    let y = complex(sense().output().unwrap(), 4);
    let scan = || Problem::new(&sense(), &y).unwrap();
    let picture = Problem::new(&linop::identity("Y=96 X=100").unwrap(), &complex("Y=96 X=100", 5)).unwrap();
    let tv = scan().tv(0.1, "Y X").unwrap();
    let l1 = scan().l1(0.1).unwrap();
    let flat = picture.tv(0.1, "Y X").unwrap();
    for (method, problem) in [
        (Method::Ista, &l1),
        (Method::Fista, &l1),
        (Method::Pogm, &l1),
        (Method::Admm, &tv),
        (Method::Pdhg, &tv),
        (Method::Fgp, &flat),
        (Method::Irls, &tv),
    ] {
        let peak = |iterations: usize| {
            let before = heap();
            HEAP.reset_peak_usage();
            let options = ConvexOptions::default().method(Some(method)).tol(0.0).norm(Some(1.0));
            drop(problem.solve(options.iterations(iterations).check_every(1000)).unwrap());
            HEAP.peak_usage() as u64 - before
        };
        peak(2);
        let (few, many) = (peak(4), peak(25));
        assert!(many <= few + vector / 4, "{method}: {few} for 4 iterations, {many} for 25");
    }
}

/// Of many tiles one is there at a time, with its weights.
#[test]
fn tiles_are_made_one_at_a_time() {
    let _alone = alone();
    let shape = "C=256 N=8192";
    let a = linop::diagonal(shape, &complex(shape, 1)).unwrap();
    let x = complex(shape, 2);
    let whole = 8 * x.shape().len() as u64;
    let tiles = 64;
    let host = Device::host();
    // Plans of tiles that have run are given up.
    let kept = host.cache_budget();
    host.set_cache_budget(0);
    let before = heap();
    HEAP.reset_peak_usage();
    let y = a.apply_in_tiles(&x, &linop::Tiling::tiles("C", tiles), std::slice::from_ref(&host)).unwrap();
    let used = HEAP.peak_usage() as u64 - before;
    host.set_cache_budget(kept);
    assert_eq!(y.shape(), x.shape());
    // The result, and of two tiles what is read, the weights and what is made.
    assert!(used <= whole + 6 * whole / tiles as u64 + DESCRIPTION, "{used} of {whole}");
}
