//! Denoising and inpainting: what users of other programs trip over, each as a case.
#![cfg(feature = "app")]

mod common;

use common::devices;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Weight};
use linops::app::{Denoised, Denoising, cells_image, noise::Generator, noise_level};
use linops::convex::Method;
use linops::solve::Stop;
use linops::{Device, Tensor, linop};
use ndarray::{Array2, ArrayD, IxDyn};

fn error(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f64 {
    let square = |values: &ArrayD<f32>| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    (square(&(a - b)) / square(b)).sqrt()
}

/// Rooms of constant brightness and a slope, from 0 to about 2.
fn clean(ny: usize, nx: usize) -> ArrayD<f32> {
    let room = |i: usize, j: usize| ((i * 3 / ny + 2 * (j * 4 / nx)) % 3) as f32 / 2.0;
    Array2::from_shape_fn((ny, nx), |(i, j)| room(i, j) + i as f32 / ny as f32).into_dyn()
}

/// With white noise of this deviation.
fn noisy(clean: &ArrayD<f32>, deviation: f64, seed: u64) -> ArrayD<f32> {
    let mut generator = Generator::new(seed);
    clean.mapv(|v| v + (deviation * 2f64.sqrt() * generator.complex_normal().re) as f32)
}

fn of(kind: Kind, weight: Option<Weight>) -> Regularisation {
    Regularisation::default().terms(vec![Regulariser::new(kind, weight)])
}

fn solved(image: &ArrayD<f32>, regularisation: Regularisation, device: &Device) -> Denoised {
    Denoising::default().regularisation(regularisation).solve(image.view(), None, device).unwrap()
}

#[test]
fn noise_goes_and_edges_stay() {
    let truth = clean(48, 56);
    let image = noisy(&truth, 0.15, 1);
    let before = error(&image, &truth);
    for device in devices() {
        for (kind, good) in [(Kind::Tv, 0.4), (Kind::Tgv, 0.4), (Kind::L1Wavelet, 0.75)] {
            if kind == Kind::Tgv && !device.is_host() {
                continue; // the same passes, and many of them
            }
            let result = solved(&image, of(kind, None), &device);
            assert!(error(&result.image, &truth) < good * before, "{kind}: {}", error(&result.image, &truth) / before);
            // Of the noise a part is left, but for what edges take.
            assert!((0.75..1.05).contains(&(result.deviation / result.noise)), "{kind}: {result:?}");
            assert!(result.terms[0].default && result.terms[0].absolute > 0.0);
        }
    }
}

/// The error by the default weight is nearly that by the best of all, which is known where the truth is: where there is little noise and
/// where there is much, in even pictures and in fine ones, by every regulariser that has one, with gaps and without.
#[test]
fn the_default_weight_is_nearly_the_best() {
    let (n, host) = (64, Device::host());
    let hill = |i: usize, j: usize| (-((i as f32 - 27.0).powi(2) + (j as f32 - 37.0).powi(2)) / 360.0).exp();
    let pictures = [
        ("rooms", clean(n, n)),
        ("hill", Array2::from_shape_fn((n, n), |(i, j)| hill(i, j)).into_dyn()),
        ("cells", cells_image(n, n, 4).into_dyn()),
        ("stripes", Array2::from_shape_fn((n, n), |(i, j)| ((i + 2 * j) as f32 * 0.9).sin()).into_dyn()),
    ];
    let mut generator = Generator::new(7);
    let all = ArrayD::ones(IxDyn(&[n, n]));
    let half = all.mapv(|_: f32| f32::from(generator.uniform() > 0.3));
    let mut worst = 0.0f64;
    for (name, truth) in &pictures {
        for sigma in [0.02, 0.1, 0.4] {
            let image = noisy(truth, sigma, 11);
            let mut cases = vec![(Kind::Tv, &all), (Kind::L1Wavelet, &all), (Kind::Tv, &half)];
            if (*name, sigma) == ("hill", 0.1) {
                cases.push((Kind::Tgv, &all)); // takes long
            }
            for (kind, known) in cases {
                // How well the noise is estimated is another matter.
                let by = |weight| {
                    let task = Denoising::default().regularisation(of(kind, weight)).noise(Some(sigma)).tol(1e-3);
                    let found = task.solve(image.view(), Some(known.view()), &host).unwrap();
                    (error(&(&found.image * known), &(truth * known)), found.terms[0].absolute)
                };
                let (own, weight) = by(None);
                let others = [0.2, 0.35, 0.5, 0.7, 1.4, 2.0, 3.0].map(|f| by(Some(Weight::Absolute(f * weight))).0);
                let part = own / others.into_iter().fold(own, f64::min);
                println!("{name}, noise {sigma}, {kind}, {} known: {part:.3} of the best", known.sum());
                assert!(part < 1.1, "{name}, noise {sigma}, {kind}, {} known: {part}", known.sum());
                worst = worst.max(part);
            }
        }
    }
    println!("at most {worst:.3}");
}

/// The noise of photons grows with brightness, that of speckle is a part of it: what is estimated in a picture's flat places is not that of
/// its bright ones.
#[test]
fn noise_may_follow_brightness() {
    let (n, host) = (192, Device::host());
    let truth = (clean(n, n) * 0.4 + 0.03) * (cells_image(n, n, 4) * 0.5 + 0.5).into_dyn();
    let mut generator = Generator::new(12);
    let photons = truth.mapv(|v| generator.poisson(60.0 * f64::from(v)) as f32 / 60.0);
    let speckle = truth.mapv(|v| v * (1.0 + 0.25 * 2f64.sqrt() * generator.complex_normal().re) as f32);
    for (name, image) in [("photons", photons), ("speckle", speckle)] {
        let own = solved(&image, of(Kind::Tv, None), &host);
        let weight = own.terms[0].absolute;
        let off = |x: &Denoised| error(&x.image, &truth);
        let by = |f: f64| off(&solved(&image, of(Kind::Tv, Some(Weight::Absolute(f * weight))), &host));
        let part = off(&own) / [0.35, 0.5, 0.7, 1.4, 2.0, 3.0].map(by).into_iter().fold(off(&own), f64::min);
        println!("{name}: {part:.3} of the best, of {:.3} before", error(&image, &truth) / off(&own));
        assert!(part < 1.1, "{name}: {part}");
    }
}

/// The weight is of the picture, not of who solves.
#[test]
fn all_methods_have_one_weight() {
    let image = noisy(&clean(40, 44), 0.15, 2);
    let mut generator = Generator::new(5);
    let known = image.mapv(|_| f32::from(generator.uniform() > 0.4));
    let by = |method| {
        let task = Denoising::default().method(method).iterations(3);
        task.solve(image.view(), Some(known.view()), &Device::host()).unwrap().terms[0].absolute
    };
    for method in [Method::Admm, Method::Pdhg, Method::Irls, Method::Fista] {
        assert_eq!(by(Some(method)), by(None), "{method}");
    }
}

/// A cancelled search says so, whichever of its solves it was.
#[test]
fn a_search_that_is_cancelled_says_so() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let image = noisy(&clean(40, 44), 0.15, 2);
    let mut ended = 0;
    for after in 1..40 {
        let (cancel, mut readings) = (AtomicBool::new(false), 0);
        let task = Denoising::default().cancel(&cancel).progress(|_| {
            readings += 1;
            cancel.store(readings >= after, Ordering::Relaxed);
        });
        let found = task.solve(image.view(), None, &Device::host()).unwrap();
        let whole = found.stop == Stop::Converged && readings <= after;
        assert!(found.stop == Stop::Cancelled || whole, "{after}: {}", found.stop);
        ended += usize::from(found.stop == Stop::Cancelled);
    }
    assert!(ended > 8, "{ended}");
}

/// Of a few samples too.
#[test]
fn small_pictures_have_a_weight() {
    for extents in [&[1][..], &[2], &[1, 5], &[2, 2], &[1, 1, 1], &[8, 8]] {
        let image = noisy(&ArrayD::zeros(IxDyn(extents)), 1.0, 4) + 3.0;
        // Wavelets want a line of two.
        let kinds = if image.len() < 64 { &[Kind::Tv][..] } else { &[Kind::Tv, Kind::L1Wavelet] };
        for kind in kinds.iter().copied() {
            let task = Denoising::default().regularisation(of(kind, None)).noise(Some(1.0));
            let found = task.solve(image.view(), None, &Device::host()).unwrap();
            let weight = found.terms[0].absolute;
            assert!(found.image.iter().all(|v| v.is_finite()) && weight >= 0.049, "{kind} of {extents:?}: {weight}");
            assert!(error(&found.image, &image) < 1.0, "{kind} of {extents:?}");
        }
    }
}

/// N1: other units of the picture are the same picture in these units.
#[test]
fn the_default_weight_follows_the_noise() {
    let image = noisy(&clean(40, 44), 0.15, 2);
    let plain = solved(&image, of(Kind::Tv, None), &Device::host());
    for unit in [255.0, 1e-5, 65535.0 / 3.0] {
        let scaled = solved(&(&image * unit), of(Kind::Tv, None), &Device::host());
        assert!(error(&(&scaled.image / unit), &plain.image) < 2e-3, "{unit}");
        let weight = scaled.terms[0].absolute / f64::from(unit) / plain.terms[0].absolute;
        assert!((weight - 1.0).abs() < 1e-2, "{unit}: {weight}");
    }
    // An offset, as of a camera's pedestal, is no noise either.
    let lifted = solved(&(&image + 100.0), of(Kind::Tv, None), &Device::host());
    assert!(error(&(lifted.image - 100.0), &plain.image) < 5e-3);
}

/// Noise that is given is larger than what is left of it where it was cut off, at 0 or at the largest value: the picture is not made
/// even for it, also if more is given than there ever was.
#[test]
fn noise_that_was_cut_off_flattens_nothing() {
    let (n, host) = (96, Device::host());
    let disks = [(30.0, 30.0, 14.0, 120.0), (64.0, 60.0, 9.0, 80.0), (24.0, 74.0, 6.0, 200.0)];
    let value = |i: usize, j: usize| -> f32 {
        let within = |d: &&(f64, f64, f64, f64)| (i as f64 - d.0).hypot(j as f64 - d.1) < d.2;
        disks.iter().find(within).map_or(0.0, |d| d.3 as f32)
    };
    let truth = Array2::from_shape_fn((n, n), |(i, j)| value(i, j)).into_dyn();
    let off = |x: &ArrayD<f32>, truth: &ArrayD<f32>| error(x, truth);
    for sigma in [15.0, 30.0, 60.0] {
        let dark = noisy(&truth, sigma, 5).mapv(|v| v.max(0.0));
        for (picture, truth) in [(dark.clone(), truth.clone()), (dark.mapv(|v| 255.0 - v), truth.mapv(|v| 255.0 - v))] {
            let before = off(&picture, &truth);
            for (given, good) in [(None, 0.75), (Some(sigma), 0.75), (Some(2.0 * sigma), 0.95)] {
                let found = Denoising::default().noise(given).solve(picture.view(), None, &host).unwrap();
                let after = off(&found.image, &truth) / before;
                let weight = found.terms[0].absolute;
                println!(
                    "noise {sigma}, given {given:?}: {after:.2} of the error, weight {weight:.1}, less {}",
                    found.less_noise
                );
                assert!(after < good, "noise {sigma}, given {given:?}: {after} of the error, weight {weight}");
            }
        }
    }
    // Far more than there is: it is said, and what stands out stays.
    let picture = noisy(&truth, 5.0, 6);
    let found = Denoising::default().noise(Some(100.0)).solve(picture.view(), None, &host).unwrap();
    assert!(found.less_noise && found.deviation < 90.0, "{}", found.deviation);
}

/// N2: larger weights smooth more, with every regulariser and every method.
#[test]
fn larger_weights_are_smoother() {
    let image = noisy(&clean(40, 44), 0.15, 3);
    let rough = |x: &ArrayD<f32>| -> f64 {
        let x = x.view().into_dimensionality::<ndarray::Ix2>().unwrap();
        x.windows((2, 2)).into_iter().map(|w| f64::from((w[[1, 1]] - w[[0, 1]]).hypot(w[[1, 1]] - w[[1, 0]]))).sum()
    };
    for kind in [Kind::Tv, Kind::Tgv, Kind::L1Wavelet] {
        let weights = [0.005, 0.02, 0.08, 0.3].map(|w| of(kind, Some(Weight::Relative(w))));
        let results = weights.map(|w| solved(&image, w, &Device::host()));
        for pair in results.windows(2) {
            assert!(rough(&pair[1].image) < rough(&pair[0].image), "{kind}");
            assert!(pair[1].deviation > pair[0].deviation, "{kind}");
        }
    }
    let by = |method| {
        let task = Denoising::default().regularisation(of(Kind::Tv, Some(Weight::Relative(0.05)))).method(Some(method));
        task.tol(1e-6).iterations(5000).solve(image.view(), None, &Device::host()).unwrap()
    };
    let (admm, pdhg) = (by(Method::Admm), by(Method::Pdhg));
    let objective = |found: &Denoised| found.solved.as_ref().unwrap().objective;
    assert!((objective(&admm) / objective(&pdhg) - 1.0).abs() < 1e-3 && error(&admm.image, &pdhg.image) < 1e-2);
}

#[test]
fn pictures_without_noise_are_left_alone() {
    let steps = Array2::from_shape_fn((32, 32), |(i, j)| (i / 8 + j / 8) as f32).into_dyn();
    for image in [steps, ArrayD::zeros(IxDyn(&[16, 16])), ArrayD::from_elem(IxDyn(&[16, 16]), 7.0)] {
        let result = solved(&image, of(Kind::Tv, None), &Device::host());
        assert_eq!((result.image, result.noise, result.terms.len()), (image, 0.0, 0));
    }
    let zero = solved(&ArrayD::zeros(IxDyn(&[16, 16])), of(Kind::Tv, None), &Device::host());
    assert_eq!(zero.stop, Stop::Zero);
}

#[test]
fn gaps_are_filled_and_the_known_stays() {
    let truth = (cells_image(56, 64, 4) * 50.0).into_dyn();
    let mut generator = Generator::new(5);
    let known = truth.mapv(|_| f32::from(generator.uniform() > 0.4));
    let holes = {
        let mut image = noisy(&truth, 2.0, 6);
        image.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { -1e6 } else { *v });
        image
    };
    for device in devices() {
        for kind in if device.is_host() { vec![Kind::Tv, Kind::Tgv] } else { vec![Kind::Tv] } {
            let task = || Denoising::default().regularisation(of(kind, None)).fill(true);
            let result = task().solve(holes.view(), Some(known.view()), &device).unwrap();
            // Cells of a few pixels are texture, which counts as noise.
            assert!((0.9..1.5).contains(&(result.noise / 2.0)), "{kind}: {}", result.noise);
            assert!(result.deviation <= result.noise, "{kind}: {} {}", result.deviation, result.noise);
            assert!(error(&result.image, &truth) < 0.38, "{kind}: {}", error(&result.image, &truth));
            // NaN counts as missing.
            let mut nan = holes.clone();
            nan.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { f32::NAN } else { *v });
            let same = task().solve(nan.view(), None, &device).unwrap();
            let far = error(&same.image, &result.image);
            assert!(far < 1e-5, "{kind} on {}: {far}", device.name());
        }
    }
}

/// Gaps begin with the means of what is known around them: as many iterations from 0 end far above.
#[test]
fn gaps_begin_with_what_is_around_them() {
    use linops::convex::{ConvexOptions, Problem, WaveletPenalty};
    let truth = clean(96, 90);
    let mut generator = Generator::new(5);
    let known = truth.mapv(|_| f32::from(generator.uniform() > 0.5));
    let image = noisy(&truth, 0.05, 6);
    let (weight, wavelet) = (0.03, WaveletPenalty::default());
    let mut least = None;
    for device in devices() {
        let solved = |kind: Kind, iterations: usize, told: &mut Vec<ArrayD<f32>>| {
            let task = Denoising::default().regularisation(of(kind, Some(Weight::Absolute(weight)))).tol(0.0);
            let task = task.iterations(iterations).progress(|p| {
                told.push(p.iterate().unwrap().to(&Device::host()).unwrap().to_real_array().unwrap());
            });
            task.solve(image.view(), Some(known.view()), &device).unwrap()
        };
        let mut told = Vec::new();
        let short = solved(Kind::L1Wavelet, 14, &mut told);
        // The last that was told is what came of it.
        assert!(error(told.last().unwrap(), &short.image) < 0.01, "{}", device.name());
        let objective = |iterations| solved(Kind::L1Wavelet, iterations, &mut Vec::new()).solved.unwrap().objective;
        let (least, near) = (*least.get_or_insert_with(|| objective(600)), objective(14));
        let mask = Tensor::from_array(known.clone(), "Ny Nx").unwrap();
        let seen = Tensor::from_array(&image * &known, "Ny Nx").unwrap().to(&device).unwrap();
        let problem = Problem::new(&linop::diagonal(mask.shape(), &mask).unwrap(), &seen).unwrap();
        let problem = problem.l1_wavelet(weight, "Ny Nx", &wavelet).unwrap();
        let from_0 = problem.solve(ConvexOptions::default().iterations(14).tol(0.0)).unwrap().objective;
        assert!(least < near && near - least < 0.2 * (from_0 - least), "{}: {least} {near} {from_0}", device.name());
        // A penalty with an image of its own takes a start, too.
        assert!(solved(Kind::Tgv, 20, &mut Vec::new()).image.iter().all(|v| v.is_finite()));
    }
}

/// Where no neighbours are known the noise is not 0, but not known.
#[test]
fn noise_that_does_not_show_is_not_known() {
    let image = noisy(&clean(40, 44), 0.15, 3);
    let known = ArrayD::from_shape_fn(image.raw_dim(), |at| f32::from(at[0] % 3 == 0 && at[1] % 3 == 0));
    let result = Denoising::default().iterations(20).solve(image.view(), Some(known.view()), &Device::host()).unwrap();
    assert!(result.noise_unknown && result.noise == 0.0);
    let given = Denoising::default().iterations(20).noise(Some(0.15));
    assert!(!given.solve(image.view(), Some(known.view()), &Device::host()).unwrap().noise_unknown);
}

#[test]
fn a_mean_fills_what_is_even() {
    let mut image = ArrayD::from_elem(IxDyn(&[24, 24]), 3.5f32);
    image[[10, 11]] = f32::NAN;
    image[[0, 0]] = f32::INFINITY;
    for fill in [false, true] {
        let result = Denoising::default().fill(fill).solve(image.view(), None, &Device::host()).unwrap();
        assert!(result.image.iter().all(|v| (v - 3.5).abs() < 1e-2), "{fill} {}", result.image[[10, 11]]);
    }
}

#[test]
fn volumes_and_lines_have_noise_too() {
    let volume = ArrayD::from_shape_fn(IxDyn(&[12, 20, 18]), |at| f32::from(at[0] > 5) + f32::from(at[1] > 9));
    let image = noisy(&volume, 0.2, 8);
    assert!((noise_level(image.view(), None).unwrap() / 0.2 - 1.0).abs() < 0.15);
    let result = solved(&image, of(Kind::Tv, None), &Device::host());
    assert!(error(&result.image, &volume) < 0.4 * error(&image, &volume));
    let line = ArrayD::from_shape_fn(IxDyn(&[400]), |at| (at[0] / 100) as f32);
    let image = noisy(&line, 0.2, 9);
    assert!(error(&solved(&image, of(Kind::Tv, None), &Device::host()).image, &line) < 0.5 * error(&image, &line));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let image = noisy(&clean(16, 16), 0.1, 1);
    let message = |task: Denoising, known: Option<&ArrayD<f32>>| {
        task.solve(image.view(), known.map(|k| k.view()), &Device::host()).unwrap_err().to_string()
    };
    let task = Denoising::default;
    assert!(message(task().regularisation(of(Kind::L2, None)), None).contains("give one, as in l2:0.01"));
    assert!(message(task().noise(Some(f64::NAN)), None).contains("from 0 on"));
    assert!(message(task().iterations(0), None).contains("at least 1"));
    assert!(message(task(), Some(&ArrayD::zeros(IxDyn(&[16, 16])))).contains("nothing of the picture is known"));
    assert!(message(task(), Some(&ArrayD::ones(IxDyn(&[16, 15])))).contains("[16, 15]"));
    let four = ArrayD::<f32>::zeros(IxDyn(&[2, 2, 2, 2]));
    assert!(task().solve(four.view(), None, &Device::host()).unwrap_err().to_string().contains("one to three axes"));
}
