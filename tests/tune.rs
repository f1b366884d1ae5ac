//! Choices between kernels, measured on a device.
#![cfg(feature = "gpu")]

mod common;

use linops::gpu::GpuOptions;
use linops::internal::{KernelShape, Target};
use linops::tune::TuneOptions;
use linops::{Device, Tensor, linop};
use std::process::Command;

/// One whose kernels have tiles, also where the adapter is software.
fn device(kept: bool) -> Option<Device> {
    common::gpu_with(GpuOptions::default().shape(Some(KernelShape::Gpu)).disk_cache(Some(kept)))
}

/// Small and few.
fn options(only: &str) -> TuneOptions {
    TuneOptions::default().elements(1 << 10).rounds(1).only(Some(only.into()))
}

#[test]
fn candidates_are_timed_and_give_the_same_bits() {
    let Some(device) = device(false) else { return };
    let mut told = Vec::new();
    let options = options("fft tile 32 contiguous").keep(false);
    let tuned = device.tune(&options, |c| told.push(c.clone())).unwrap();
    assert_eq!((&tuned.choices, &tuned.folder, &tuned.device), (&told, &None, &device.name()));
    let [choice] = &tuned.choices[..] else { panic!("{tuned:?}") };
    assert_eq!(choice.what, "fft tile 32 contiguous");
    // All of them run here, and make the same.
    assert!(choice.seconds.len() > 3 && choice.seconds.iter().all(|s| s.is_some_and(|s| s > 0.0)), "{choice:?}");
    assert!(choice.taken < choice.seconds.len() && choice.gain() >= 1.0, "{choice:?}");
}

/// So are those of matrix products; what is chosen is the tile of the kernel.
#[test]
fn tiles_of_products_give_the_same_bits() {
    use linops::internal::{Choices, GpuLimits};
    let Some(device) = device(false) else { return };
    let tuned = device.tune(&options("product tile 8x").keep(false), |_| ()).unwrap();
    let [choice] = &tuned.choices[..] else { panic!("{tuned:?}") };
    assert!(choice.seconds.len() > 3 && choice.seconds.iter().all(|s| s.is_some_and(|s| s > 0.0)), "{choice:?}");
    let Target::Gpu(limits) = device.target() else { panic!("a GPU was opened") };
    let product = linop::dense("N=16 T=100000", &common::data::complex("M=8 N=16", 1), "M T").unwrap();
    let text = |place: usize| {
        let choices = Some(Choices::one(&choice.what, place).kept());
        let plan = product.program().unwrap().schedule(&Target::Gpu(GpuLimits { choices, ..limits }), true).unwrap();
        plan.steps[0].drafts(&plan).unwrap().remove(0).text
    };
    let all: std::collections::HashSet<String> = (0..choice.seconds.len()).map(text).collect();
    assert_eq!(all.len(), choice.seconds.len());
    // What no candidate stands for is as if it were not there.
    assert_eq!(text(1000), text(0));
}

/// So are those of maps, filters, and kernels between grids and points; each candidate is another kernel, but for those that some
/// device cannot have.
#[test]
fn kernels_of_every_kind_have_candidates_of_the_same_bits() {
    let Some(device) = device(false) else { return };
    for (what, at_least) in [
        ("map of 1 in order", 8),
        ("map of 2 in order", 8),
        ("map of 3 moved", 8),
        ("map of 4 and more in order", 8),
        ("filter tile 32 contiguous", 4),
        ("filter tile 64 strided", 4),
        ("spread 2d of 8 and more", 6),
        ("spread 3d alone", 6),
        ("interpolate 2d of 8 and more", 4),
    ] {
        let tuned = device.tune(&options(what).keep(false), |_| ()).unwrap();
        let [choice] = &tuned.choices[..] else { panic!("{what}: {tuned:?}") };
        assert!(choice.what == what && choice.seconds.len() >= at_least, "{choice:?}");
        assert!(choice.seconds.iter().all(|s| s.is_some_and(|s| s > 0.0)), "{choice:?}");
    }
}

/// What is chosen is what an invocation makes.
#[test]
fn chosen_maps_and_spreads_are_other_kernels() {
    use linops::internal::{Choices, GpuLimits};
    let limits = GpuLimits::rich();
    let texts = |what: &str, a: &linops::Linop, places: usize| {
        let text = |place: usize| {
            let choices = Some(Choices::one(what, place).kept());
            let plan = a.program().unwrap().schedule(&Target::Gpu(GpuLimits { choices, ..limits }), true).unwrap();
            let drafts = plan.steps[0].drafts(&plan).unwrap();
            (drafts[0].text.clone(), drafts[0].groups)
        };
        let all: Vec<_> = (0..places).map(text).collect();
        // What no candidate stands for is as if it were not there.
        assert_eq!(text(1000), all[0]);
        all.into_iter().collect::<std::collections::HashSet<_>>().len()
    };
    let many = linop::scalar("N=1048576", 2.0).unwrap();
    assert_eq!(texts("map of 1 in order", &many, 8), 8);
    let few = linop::scalar("N=1048575", 2.0).unwrap();
    assert_eq!(texts("map of 1 in order", &few, 8), 1);
    // What is timed for a choice differs in every candidate.
    let turned = linop::flip("M=1024 N=1024", "M").unwrap();
    assert_eq!(texts("map of 1 moved", &turned, 8), 8);
    // Singles alone: an odd number is not made of units of 16 bytes, nor is what lies backwards.
    let odd = linop::scalar("N=1048577", 2.0).unwrap();
    assert_eq!(texts("map of 1 in order", &odd, 8), 5);
    // Complex weights are.
    let turns = (0..1 << 20).map(|n| num_complex::Complex32::from_polar(1.0, n as f32)).collect();
    let weights = linops::Tensor::from_vec("N=1048576", turns).unwrap();
    let weighted = linop::diagonal("N=1048576", &weights).unwrap();
    assert_eq!(texts("map of 2 in order", &weighted, 8), 8);
    let moved = linop::flip("M=1024 N=1024", "N").unwrap();
    assert_eq!(texts("map of 1 moved", &moved, 8), 5);
    let cut = linop::slice("M=1024 N=1040", &[("N", 4..1028)]).unwrap();
    assert_eq!(texts("map of 1 moved", &cut, 8), 8);
    let locations = ndarray::Array2::from_shape_fn((50, 2), |(m, d)| ((7 * m + 3 * d) % 41) as f64 * 0.47).into_dyn();
    let grid = linop::interpolate("C=8 Y=20 X=24", &locations, "Y X", &Default::default(), "... M").unwrap();
    assert_eq!(texts("interpolate 2d of 8 and more", &grid, 4), 4);
    // The model's own is one of the others.
    assert_eq!(texts("spread 2d of 8 and more", &grid.h(), 7), 6);
    assert_eq!(texts("spread 2d alone", &grid.h(), 7), 1);
}

/// The fastest is taken where it is fast enough, else the planner's own stays.
#[test]
fn what_is_taken_is_faster_by_the_least_gain() {
    let Some(device) = device(false) else { return };
    let with = |gain: f64| {
        let options = options("fft tile 16 contiguous").keep(false).least_gain(gain);
        device.tune(&options, |_| ()).unwrap().choices.remove(0)
    };
    let any = with(0.0);
    let least = any.seconds.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(any.seconds[any.taken], Some(least), "{any:?}");
    assert_eq!(with(1e9).taken, 0);
}

#[test]
fn options_that_make_no_sense_are_errors() {
    let error = |device: &Device, options: TuneOptions| device.tune(&options, |_| ()).unwrap_err().to_string();
    let host = error(&Device::host(), TuneOptions::default());
    assert!(host.contains("choose a GPU"), "{host}");
    let Some(device) = device(false) else { return };
    let none = error(&device, TuneOptions::default().rounds(0));
    assert!(none.contains("0 rounds"), "{none}");
    let off = error(&device, options("fft tile 32 contiguous"));
    assert!(off.contains("LINOPS_CACHE_DIR"), "{off}");
    let unknown = error(&device, options("nothing").keep(false));
    assert!(
        unknown.contains("no choice is called \"nothing\"") && unknown.contains("fft tile 32 contiguous"),
        "{unknown}"
    );
    assert!(!device.untune().unwrap());
}

const WHAT: &str = "fft tile 32 contiguous";

/// What one process has found the next one takes, with the same bits, until it is forgotten.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_one_process_finds_the_next_one_takes() {
    const CHILD: &str = "LINOPS_TEST_TUNE";
    let parts: [(&str, fn()); 4] =
        [("tunes", tunes), ("is tuned", is_tuned), ("forgets", forgets), ("has nothing", has_nothing)];
    if let Ok(part) = std::env::var(CHILD) {
        return parts.iter().find(|(name, _)| *name == part).unwrap().1();
    }
    let cache = tempfile::tempdir().unwrap();
    for (part, _) in parts {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "what_one_process_finds_the_next_one_takes", "--nocapture"]);
        let out = child.env(CHILD, part).env("LINOPS_CACHE_DIR", cache.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(out.status.success(), "{part}: {}{}", text(&out.stdout), text(&out.stderr));
    }
}

/// How many queues are worth it is asked for when a device is opened by name or as the best one, and told; until it is forgotten.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn queues_that_are_kept_are_asked_for() {
    use linops::internal::keep_queues;
    use linops::internal::queues::MeasuredQueues;
    const CHILD: &str = "LINOPS_TEST_QUEUES";
    fn reasons() -> [String; 2] {
        let reported = linops::gpu::adapters().remove(0).queues.reason;
        [reported, Device::gpu().unwrap().as_gpu().unwrap().lanes().reason.clone()]
    }
    let keep = |queues| keep_queues(&device(true).unwrap(), queues).unwrap();
    let measured = |queues| Some(MeasuredQueues { queues, least_work: 12345 });
    let parts: [(&str, &dyn Fn()); 6] = [
        ("nothing", &|| assert!(reasons().iter().all(|r| r.contains("nor measured")), "{:?}", reasons())),
        ("one", &|| {
            keep(measured(1));
            assert!(reasons().iter().all(|r| r.contains("no faster")), "{:?}", reasons());
        }),
        ("two", &|| {
            keep(measured(2));
            // Software drivers have one queue; others open with two.
            let expected = |r: &String| r.contains("2 queues were measured to be faster");
            assert!(reasons().iter().all(expected), "{:?}", reasons());
        }),
        ("two again", &|| assert!(reasons().iter().all(|r| r.contains("2 queues were measured")))),
        // With options of one's own nothing is taken that was not asked for.
        ("options", &|| {
            let device = device(true).unwrap();
            assert!(device.as_gpu().unwrap().lanes().reason.contains("nor measured"));
            assert!(device.untune().unwrap());
        }),
        ("forgotten", &|| assert!(reasons().iter().all(|r| r.contains("nor measured")))),
    ];
    if let Ok(part) = std::env::var(CHILD) {
        return parts.iter().find(|(name, _)| *name == part).unwrap().1();
    }
    let cache = tempfile::tempdir().unwrap();
    for (part, _) in parts {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "queues_that_are_kept_are_asked_for", "--nocapture"]).env_remove("LINOPS_QUEUES");
        let out = child.env(CHILD, part).env("LINOPS_CACHE_DIR", cache.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(out.status.success(), "{part}: {}{}", text(&out.stdout), text(&out.stderr));
    }
}

fn chosen(device: &Device) -> Option<usize> {
    let Target::Gpu(limits) = device.target() else { panic!("a GPU was opened") };
    limits.choices.and_then(|c| c.place(WHAT))
}

fn tunes() {
    let device = device(true).unwrap();
    assert_eq!(chosen(&device), None);
    let tuned = device.tune(&options(WHAT), |_| ()).unwrap();
    assert!(tuned.folder.is_some());
    // This device goes on as it was.
    assert_eq!(chosen(&device), None);
}

fn is_tuned() {
    let (tuned, plain) = (device(true).unwrap(), device(false).unwrap());
    assert!(chosen(&tuned).is_some() && chosen(&plain).is_none());
    let f = linop::fft("L=70 N=32", "N", Default::default()).unwrap();
    let x = common::data::complex("L=70 N=32", 1);
    let bits = |device: &Device, x: &Tensor| common::bits(&common::apply_on(device, &f, x).unwrap());
    assert_eq!(bits(&tuned, &x), bits(&plain, &x));
    // Measuring something else leaves it.
    tuned.tune(&options("fft tile 16 contiguous"), |_| ()).unwrap();
    assert_eq!(chosen(&device(true).unwrap()), chosen(&tuned));
}

fn forgets() {
    assert!(device(true).unwrap().untune().unwrap());
}

fn has_nothing() {
    let device = device(true).unwrap();
    assert_eq!(chosen(&device), None);
    assert!(!device.untune().unwrap());
}
