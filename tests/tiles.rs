//! Linops under a budget of bytes: the values of the whole, on the host and on a GPU, from plans in tiles and from the host.

mod common;

use common::data::{complex, distance, indices, mask, real, wide};
use common::{apply_on, devices};
use linops::linop::{self, FftOptions, Tiling};
use linops::{DType, Device, Error, Linop, MemoryUse, apply_f64};

const MIB: u64 = 1 << 20;

/// 3-D SENSE of 12 coils: some 19 MiB, maps included.
fn sense() -> Linop {
    let maps = linop::diagonal("Z=24 Y=64 X=64", &complex("C=12 Z=24 Y=64 X=64", 1)).unwrap();
    let options = FftOptions::default().centered(true);
    let lines = linop::diagonal("C=12 Kz=24 Ky=64 Kx=64", &mask("Kz=24 Ky=64", 0.5, 6)).unwrap();
    lines * linop::fft(maps.output().unwrap(), "Z Y X", options).unwrap().out("C Kz Ky Kx").unwrap() * maps
}

fn peak(a: &Linop, device: &Device) -> u64 {
    MemoryUse::of(&a.plan(device, DType::Complex32).unwrap()).unwrap().peak()
}

#[test]
fn sense_in_space_fits_16_mib() {
    let a = sense();
    for device in devices() {
        for (what, a) in [("forward", a.clone()), ("adjoint", a.h()), ("normal", a.n())] {
            assert!(peak(&a, &device) > 16 * MIB, "{what}");
            let fit = a.fit(&device, DType::Complex32, 16 * MIB).unwrap();
            assert!(fit.peak <= 16 * MIB && !fit.tiling.levels().is_empty(), "{what}: {fit:?}");
            let x = complex(a.input().unwrap(), 2);
            let whole = apply_on(&device, &a, &x).unwrap();
            let y = a.apply_within(&x, &device, 16 * MIB).unwrap();
            assert_eq!(y.shape(), a.output().unwrap());
            let want = whole.mapv(|v| num_complex::Complex64::new(v.re.into(), v.im.into()));
            let e = distance(&y.to_array().unwrap(), &want);
            assert!(e < 1e-6, "{what} on {}: {e:.1e}, {fit:?}", device.name());
        }
    }
}

#[test]
fn the_normal_fits_in_one_plan_of_tiles() {
    // x and y are small, and what lies between is not: coils one after the other.
    let a = sense().n();
    let host = Device::host();
    let fit = a.fit(&host, DType::Complex32, 15 * MIB).unwrap();
    assert!(!fit.staged && fit.tiling.levels()[0].0 == "C", "{fit:?}");
    assert!(fit.peak <= 15 * MIB && peak(&a, &host) > 15 * MIB);
}

#[test]
fn what_no_tiling_makes_small_enough_is_too_big() {
    let a = linop::fft("Y=256 X=256", "Y X", Default::default()).unwrap();
    let error = a.fit(&Device::host(), DType::Complex32, 64 << 10).unwrap_err();
    assert!(matches!(error, Error::TooBig { .. }), "{error}");
    assert!(error.to_string().contains("smallest tiles"), "{error}");
}

#[test]
fn tiles_of_several_levels_run_from_the_host_and_on_several_devices() {
    let a = sense();
    let x = complex(a.input().unwrap(), 3);
    let want = apply_f64(&a.h(), &wide(&complex(a.output().unwrap(), 4))).unwrap();
    let tiling = Tiling::tiles("C", 3);
    for device in devices() {
        let two = [device.clone(), device.clone()];
        let y = a.h().apply_in_tiles(&complex(a.output().unwrap(), 4), &tiling, &two).unwrap();
        assert!(distance(&y.to_array().unwrap(), &want) < 2e-6);
        let bits = |devices: &[Device]| {
            let y = a.apply_in_tiles(&x, &Tiling::chunks("C", 5).then(Tiling::tiles("C", 2)), devices).unwrap();
            common::bits(&y.to_array().unwrap())
        };
        assert!(bits(&two) == bits(&two[..1]), "the number of devices changes nothing");
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn values_larger_than_a_buffer_go_by_tiles() {
    use linops::gpu::GpuOptions;
    // No buffer holds the coils' data.
    let Some(device) = common::gpu_with(GpuOptions::default().max_buffer(Some(4 * MIB))) else { return };
    let a = sense();
    let x = complex(a.input().unwrap(), 5);
    let error = a.apply(&x.to(&device).unwrap()).unwrap_err();
    assert!(matches!(error.root(), Error::TooBig { .. }), "{error}");
    assert!(error.to_string().contains("it would fit in tiles: C by "), "{error}");
    let y = a.apply_within(&x, &device, u64::MAX - 1).unwrap();
    let want = apply_f64(&a, &wide(&x)).unwrap();
    assert!(distance(&y.to_array().unwrap(), &want) < 2e-6);
}

/// The last tile holds more than those in the middle.
#[test]
fn a_budget_holds_for_the_largest_tile() {
    let index = indices(&[28], 4096, 1);
    let few = linop::sampling_at("N=4096", &[("N", index)], "M").unwrap();
    let all = linop::dense("N=4096", &real("M=4 N=4096", 2), "M").unwrap();
    let a = linop::concat([few, all], None, Some("M")).unwrap();
    let budget = 112 << 10;
    for device in devices() {
        let fit = a.fit(&device, DType::F32, budget).unwrap();
        let tiles = a.tiled(&fit.tiling).unwrap();
        for tile in tiles.children() {
            let memory = MemoryUse::of(&tile.plan(&device, DType::F32).unwrap()).unwrap().peak();
            assert!(memory <= budget, "{memory} of {}: {tile}", fit.how());
        }
    }
}

/// The parts that a tiled linop is made of.
fn parts(a: &Linop) -> Vec<Linop> {
    if a.op() == "part" && a.children().is_empty() {
        vec![a.clone()]
    } else {
        a.children().iter().flat_map(parts).collect()
    }
}

/// Under one name the input has one extent and the output another: ranges are those of the side that is cut.
#[test]
fn names_with_two_extents_are_cut_where_they_are() {
    let kept = |a: Linop, out: &str| a.out(out).unwrap();
    let kernel = real("X=5", 1);
    let full = linop::ConvolveOptions::default().mode(linop::ConvolveMode::Full);
    let angles: Vec<f64> = (0..10).map(|i| 0.3 * f64::from(i)).collect();
    let views = linop::projection("X=21 Y=19", "X Y", &linop::Geometry::parallel(&angles, 31), "X Y").unwrap();
    let cases = [
        kept(linop::crop("X=4000", "X=1000", linop::Align::Center).unwrap(), "X"),
        kept(linop::pad("X=1000", "X=4000", linop::Align::Center).unwrap(), "X"),
        kept(linop::convolve("B=2 X=300", &kernel, "X", full).unwrap(), "B X"),
        kept(linop::convolve("X=40", &kernel, "X", Default::default()).unwrap(), "X"),
        kept(linop::upsample("X=100", &[("X", 3, 0)], "X=300").unwrap(), "X"),
        kept(linop::wavelet("C=2 X=100", "X", &linop::WaveletOptions::default().levels(Some(1))).unwrap(), "C X"),
        views,
        linop::symmetrised_gradient("D=2 Y=11 X=13", "Y X", Default::default()).unwrap(),
    ];
    let (host, dtype) = (Device::host(), DType::Complex32);
    let mut tiled = 0;
    for a in cases.iter().flat_map(|a| [a.clone(), a.h(), a.n(), a.h().n()]) {
        let (x, whole) = (complex(a.input().unwrap(), 2), peak(&a, &host));
        let want = apply_f64(&a, &wide(&x)).unwrap();
        a.splits().unwrap();
        for part in [0.9, 0.6, 0.4, 0.2, 0.02] {
            let budget = (part * whole as f64) as u64;
            let fit = match a.fit(&host, dtype, budget) {
                Ok(fit) => fit,
                Err(e) => {
                    assert!(matches!(e.root(), Error::TooBig { .. }), "{a} in {budget}: {e}");
                    assert!(a.apply_within(&x, &host, budget).is_err());
                    continue;
                }
            };
            tiled += 1;
            if fit.staged {
                for tile in parts(&a.tiled(&fit.tiling).unwrap()) {
                    assert!(peak(&tile, &host) <= budget, "{} of {a}: {}", fit.how(), peak(&tile, &host));
                }
            }
            let e = distance(&a.apply_within(&x, &host, budget).unwrap().to_array().unwrap(), &want);
            assert!(e < 2e-6, "{} of {a}: {e:.1e}", fit.how());
        }
    }
    assert!(tiled > 20, "{tiled}");
}

/// Of some dims only parts of certain lengths can be made; the search goes on elsewhere.
#[test]
fn what_cannot_be_cut_in_some_places_is_too_big_or_fits() {
    let options = linop::WaveletOptions::default().wavelet("db3".parse().unwrap()).levels(Some(2));
    let options = options.boundary(linop::WaveletBoundary::Periodization);
    let a = linop::wavelet("C=4 Y=21 X=23", "Y X", &options).unwrap().out("C Y X").unwrap().n();
    let (host, x) = (Device::host(), complex("C=4 Y=21 X=23", 3));
    let want = apply_f64(&a, &wide(&x)).unwrap();
    for part in [0.9, 0.5, 0.2, 0.1] {
        let budget = (part * peak(&a, &host) as f64) as u64;
        match a.apply_within(&x, &host, budget) {
            Ok(y) => assert!(distance(&y.to_array().unwrap(), &want) < 2e-6, "{budget}"),
            Err(e) => assert!(matches!(e.root(), Error::TooBig { .. }), "{budget}: {e}"),
        }
    }
}

/// One tile of many is the heavy one, and stands where no sample of them looks.
#[test]
fn no_tile_is_too_heavy_to_be_seen() {
    let few = || linop::slice("N=5000", &[("N", 0..4)]).unwrap().out("M").unwrap();
    let heavy = linop::dense("N=5000", &real("M=4 N=5000", 2), "M").unwrap();
    let of = |k: usize| if k == 2 { heavy.clone() } else { few() };
    let a = linop::concat((0..40).map(of).collect::<Vec<_>>(), None, Some("M")).unwrap();
    let host = Device::host();
    let x = real("N=5000", 4);
    let want = apply_f64(&a, &wide(&x)).unwrap();
    let mut held = 0;
    for budget in [60_000, 80_000, 100_000] {
        let Ok(fit) = a.fit(&host, DType::F32, budget) else { continue };
        held += 1;
        for tile in parts(&a.tiled(&fit.tiling).unwrap()) {
            let memory = MemoryUse::of(&tile.plan(&host, DType::F32).unwrap()).unwrap().peak();
            assert!(memory <= budget, "{memory} of {budget} in {}: {tile}", fit.how());
        }
        let y = a.apply_within(&x, &host, budget).unwrap();
        assert!(distance(&y.to_array().unwrap(), &want) < 2e-6);
    }
    assert!(held > 1);
}

/// Tiles at the ends have fewer neighbours than those that the inner cut was chosen for.
#[test]
fn what_fits_can_be_applied() {
    let a = linop::convolve("B=1024 N=16", &real("N=7", 3), "N", Default::default()).unwrap().out("B M").unwrap();
    let a = linop::fft(a.output().unwrap(), "B", FftOptions::default()).unwrap().out("K M").unwrap() * a;
    let x = complex("B=1024 N=16", 4);
    let want = apply_f64(&a, &wide(&x)).unwrap();
    let mut levels = 0;
    for device in devices() {
        for kib in [38, 48, 64, 128] {
            let Ok(fit) = a.fit(&device, DType::Complex32, kib << 10) else { continue };
            levels = levels.max(fit.tiling.levels().len());
            let y = a.apply_within(&x, &device, kib << 10).unwrap();
            assert!(distance(&y.to_array().unwrap(), &want) < 2e-6, "{}", fit.how());
        }
    }
    assert!(levels > 0, "some of them are tiled");
}

/// Weights of tiles that have run are given up.
#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn tiles_leave_nothing_beyond_the_budget() {
    let Some(device) = common::gpu_with(linops::gpu::GpuOptions::default()) else { return };
    let a = linop::diagonal("C=24 N=16384", &complex("C=24 N=16384", 5)).unwrap();
    let (x, budget) = (complex("C=24 N=16384", 6), MIB);
    let before = device.cache_budget();
    assert!(a.fit(&device, DType::Complex32, budget).unwrap().staged);
    a.apply_within(&x, &device, budget).unwrap();
    assert!(device.cached_bytes() <= budget, "{} kept", device.cached_bytes());
    assert_eq!(device.cache_budget(), before);
}

/// A convolution between many channels does not hold a transform many times as large as what it is applied to.
#[test]
fn convolutions_hold_no_more_than_they_are_worth() {
    let layer = complex("O=16 I=16 N=64", 7);
    let a = linop::convolve("I=16 N=4096", &layer, "N", Default::default()).unwrap();
    for device in devices() {
        let memory = MemoryUse::of(&a.plan(&device, DType::Complex32).unwrap()).unwrap();
        assert!(memory.constants <= 12 * (memory.input + memory.output), "{memory:?}");
    }
}

/// However many dims there are and however small the budget, so many plans are made and no more.
#[test]
fn a_search_has_an_end() {
    let a = linop::convolve("A=40 B=40 C=40 Y=30 X=30", &real("Y=3 X=3", 9), "Y X", Default::default()).unwrap();
    let a = a.out("A B C Y X").unwrap();
    let host = Device::host();
    let mut most = 0;
    for kib in [100_000, 4_000, 200, 40] {
        let fit = a.fit(&host, DType::Complex32, kib << 10).unwrap();
        assert!(fit.peak <= kib << 10 && fit.plannings <= 420, "{kib} KiB: {fit:?}");
        most = most.max(fit.plannings);
    }
    assert!(most > 1);
    assert!(a.fit(&host, DType::Complex32, 16).is_err());
}

#[test]
fn parts_are_called_by_the_dim_that_is_cut() {
    let a = linop::dense("N=6", &real("M=4 N=6", 8), "M").unwrap();
    let text = a.split("N", 3).unwrap().to_string();
    assert!(text.contains("N 2..4 of dense"), "{text}");
}
