//! Linops in tiles have the values of the whole: every linop of the catalogue, every dim, forward, adjoint and normal.

mod common;

use common::catalogue;
use common::data::{complex, wide};
use linops::linop::{self, Accuracy, FftOptions, NufftOptions, Tiling};
use linops::{Linop, apply_f64};

/// Relative difference of forward, adjoint and normal in f64: what cut sums round differently.
fn differences(whole: &Linop, tiled: &Linop) -> Vec<(&'static str, f64)> {
    let pairs = [
        ("forward", whole.clone(), tiled.clone()),
        ("adjoint", whole.h(), tiled.h()),
        ("normal", whole.n(), tiled.n()),
    ];
    let mut all = Vec::new();
    for (what, a, b) in pairs {
        let x = wide(&complex(a.input().unwrap(), 7));
        let (want, got) = (apply_f64(&a, &x).unwrap(), apply_f64(&b, &x).unwrap());
        let norm = want.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt();
        let error = want.iter().zip(got.iter()).map(|(a, b)| (a - b).norm_sqr()).sum::<f64>().sqrt();
        all.push((what, if norm > 0.0 { error / norm } else { error }));
    }
    all
}

/// Every dim of the input and the output, once.
fn dims(a: &Linop) -> Vec<String> {
    let mut dims: Vec<String> = a.output().unwrap().dims().iter().map(|d| d.to_string()).collect();
    for d in a.input().unwrap().dims() {
        if !dims.contains(&d.to_string()) {
            dims.push(d.to_string());
        }
    }
    dims
}

#[test]
fn every_linop_of_the_catalogue_splits_or_says_why_not() {
    let (mut split, mut refused, mut failures) = (0, 0, Vec::new());
    for case in catalogue::cases() {
        for dim in dims(&case.linop) {
            // Of a dim that is shorter on one side, as many parts as that has entries.
            let sides = [case.linop.input().unwrap(), case.linop.output().unwrap()];
            let n = sides.iter().filter_map(|s| s.size(dim.parse().unwrap())).min().unwrap();
            let mut tilings: Vec<Tiling> =
                [1, 2, 3, n].into_iter().filter(|t| *t <= n).map(|t| Tiling::tiles(&dim, t)).collect();
            tilings.dedup();
            for tiling in tilings {
                let tiled = match case.linop.tiled(&tiling) {
                    Ok(tiled) => tiled,
                    Err(e) => {
                        refused += 1;
                        let text = e.to_string();
                        let told =
                            ["Fourier", "transform", "grid", "lie apart", "whole arrays", "one's own", "rays cross"]
                                .iter()
                                .any(|w| text.contains(w));
                        if !told {
                            failures.push(format!("{}, {tiling}: {text}", case.name));
                        }
                        continue;
                    }
                };
                split += 1;
                assert_eq!(
                    (tiled.input().unwrap(), tiled.output().unwrap()),
                    (case.linop.input().unwrap(), case.linop.output().unwrap())
                );
                // Non-uniform normals may be a convolution for the whole and pairs for the parts.
                let tolerance = if case.name.contains("nufft") { 2e-3 } else { 1e-6 };
                for (what, e) in differences(&case.linop, &tiled) {
                    if e.is_nan() || e > tolerance {
                        failures.push(format!("{}, {tiling}, {what}: {e:.1e}", case.name));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(split > 600 && refused > 50, "{split} split, {refused} refused");
}

#[test]
fn tiles_are_split_again() {
    let maps = linop::diagonal("Y=12 X=10", &complex("C=5 Y=12 X=10", 1)).unwrap();
    let f = linop::fft(maps.output().unwrap(), "Y", FftOptions::default()).unwrap().out("C Ky X").unwrap();
    let a = f * maps;
    let twice = a.split("C", 2).unwrap().split("X", 3).unwrap();
    let levels = a.tiled(&Tiling::at("C", &[1, 4]).then(Tiling::chunks("X", 4))).unwrap();
    let same = a.split("C", 2).unwrap().split("C", 5).unwrap();
    for tiled in [twice, levels, same] {
        for (what, e) in differences(&a, &tiled) {
            assert!(e < 1e-7, "{what}: {e:.1e}");
        }
    }
}

#[test]
fn toeplitz_normals_of_parts_add_up_to_that_of_the_whole() {
    let spoke = |i: &[usize]| (i[1] as f64 - 10.0, std::f64::consts::PI * i[0] as f64 / 9.0);
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[9, 20, 2]), |i| {
        let (r, angle) = spoke(&[i[0], i[1]]);
        if i[2] == 0 { r * angle.sin() } else { r * angle.cos() }
    });
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-3)).toeplitz(Some(true));
    let f = linop::nufft("C=2 Y=20 X=18", &locs, "Y X", options, "C R S").unwrap();
    let a = f * linop::diagonal("Y=20 X=18", &complex("C=2 Y=20 X=18", 1)).unwrap();
    for tiling in [Tiling::tiles("R", 3), Tiling::tiles("S", 4), Tiling::tiles("C", 2).then(Tiling::chunks("R", 4))] {
        let tiled = a.tiled(&tiling).unwrap();
        for (what, e) in differences(&a, &tiled) {
            assert!(e < 2e-6, "{tiling}, {what}: {e:.1e}");
        }
        let convolutions = tiled.n().nufft_normals().unwrap();
        assert!(convolutions.iter().all(|n| n.toeplitz), "{tiling}");
    }
}

#[test]
fn a_tile_reads_no_more_than_it_needs() {
    let kernel = common::data::real("X=5", 1);
    let a = linop::convolve("C=3 X=100", &kernel, "X", Default::default()).unwrap().out("C X").unwrap();
    let tiled = a.split("X", 4).unwrap();
    // 25 results and two entries on either side.
    let nodes = tiled.children()[1].program().unwrap();
    assert!(nodes.nodes().iter().any(|n| n.extents == [3, 29]), "{nodes}");
    let coils = a.split("C", 3).unwrap();
    assert_eq!(coils.children()[0].input().unwrap().to_string(), "C=1 X=100");
}
