//! Deconvolution: what users of other programs trip over, each as a case, on every device.
#![cfg(feature = "app")]

mod common;

use common::devices;
use linops::app::noise::Generator;
use linops::app::{
    Blur, Deconvolved, NoiseToSignal, Outside, Psf, PsfCenter, RichardsonLucyOptions, Scene, are_counts, cells_image,
    photons,
};
use linops::solve::{SolveOptions, Stop};
use linops::{Device, Tensor};
use ndarray::{Array2, ArrayD, ArrayViewD, Dimension, IxDyn, arr1, arr2};

const OUTSIDES: [Outside; 4] = [Outside::Unknown, Outside::Periodic, Outside::Zero, Outside::Mirror];

fn psf(values: &ArrayD<f32>) -> Psf {
    Psf::new(values.view(), PsfCenter::Half, false).unwrap()
}

/// exp(−r²/2s²) around sample n/2.
fn gaussian(n: usize, s: f64) -> ArrayD<f32> {
    let at = |k: usize| k as f64 - (n / 2) as f64;
    Array2::from_shape_fn((n, n), |(i, j)| (-(at(i).powi(2) + at(j).powi(2)) / (2.0 * s * s)).exp() as f32).into_dyn()
}

/// A movement that slows down: not symmetric in any way.
fn motion() -> ArrayD<f32> {
    let mut h = ArrayD::zeros(IxDyn(&[9, 11]));
    for k in 0..60 {
        let t = k as f64 / 59.0;
        h[[(4.0 - 3.0 * t * t).round() as usize, (5.0 + 5.0 * t).round() as usize]] += 1.0 + t as f32;
    }
    h
}

/// y[p] = Σⱼ h[j] x[p − (j − n/2)] in f64, with what lies outside by `outside`.
fn seen(x: &ArrayD<f32>, h: &ArrayD<f32>, outside: Outside) -> ArrayD<f32> {
    let sum: f64 = h.iter().map(|v| f64::from(*v)).sum();
    ArrayD::from_shape_fn(x.raw_dim(), |p| {
        let mut y = 0.0;
        for (j, w) in h.indexed_iter() {
            let mut at = Vec::new();
            for axis in 0..x.ndim() {
                let n = x.shape()[axis] as i64;
                let q = p[axis] as i64 - (j[axis] as i64 - (h.shape()[axis] / 2) as i64);
                let inside = (0..n).contains(&q);
                at.push(match outside {
                    _ if inside => Some(q),
                    Outside::Periodic => Some(q.rem_euclid(n)),
                    Outside::Mirror => {
                        let q = q.rem_euclid(2 * n);
                        Some(if q < n { q } else { 2 * n - 1 - q })
                    }
                    _ => None,
                });
            }
            if let Some(at) = at.into_iter().collect::<Option<Vec<i64>>>() {
                let at: Vec<usize> = at.into_iter().map(|q| q as usize).collect();
                y += f64::from(*w) / sum * f64::from(x[&at[..]]);
            }
        }
        y as f32
    })
}

fn norm<'a>(values: impl IntoIterator<Item = &'a f32>) -> f64 {
    values.into_iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

fn error(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f64 {
    norm(&(a - b)) / norm(b)
}

/// The inner part, `margin` from each side.
fn inner(x: &ArrayD<f32>, margin: usize) -> ArrayD<f32> {
    let mut view = x.view();
    for axis in 0..x.ndim() {
        let n = view.shape()[axis];
        view.slice_axis_inplace(ndarray::Axis(axis), ndarray::Slice::from(margin..n - margin));
    }
    view.to_owned()
}

fn scene() -> ArrayD<f32> {
    (cells_image(72, 64, 3) * 100.0).into_dyn()
}

fn lucy(blur: &Blur, y: &ArrayD<f32>, iterations: usize, device: &Device) -> Deconvolved {
    let options = RichardsonLucyOptions::default().iterations(iterations).tol(0.0);
    blur.richardson_lucy(y.view(), options, device).unwrap()
}

/// The iterate of a reading is the scene so far in its units, on the whole canvas.
#[test]
fn what_is_told_of_richardson_and_lucy_is_the_scene_so_far() {
    let blur = Blur::new(&psf(&motion()), &[72, 64], None, Outside::Unknown).unwrap();
    for device in devices() {
        for unit in [1.0, 3e4] {
            let y = scene() * unit;
            let mut told = Vec::new();
            let options = RichardsonLucyOptions::default().iterations(7).tol(0.0).progress(|p| {
                let x = p.iterate().unwrap().to(&Device::host()).unwrap().to_real_array().unwrap();
                told.push((p.reading().iteration, blur.cropped(x.view()).unwrap()));
            });
            let found = blur.richardson_lucy(y.view(), options, &device).unwrap();
            assert_eq!(told.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7]);
            assert_eq!(told[5].1, found.image, "{unit} on {}", device.name());
            assert_eq!(told[2].1, lucy(&blur, &y, 3, &device).image);
        }
    }
}

/// Samples that are not known are no noise, wherever they lie; and where none is known there is no picture.
#[test]
fn the_noise_of_a_picture_with_gaps_is_that_of_the_rest() {
    let h = psf(&gaussian(9, 1.5));
    let mut generator = linops::app::noise::Generator::new(3);
    let clean = seen(&(cells_image(96, 90, 3) * 100.0).into_dyn(), &gaussian(9, 1.5), Outside::Mirror);
    let noisy = clean.mapv(|v| v + (2.0 * 2f64.sqrt() * generator.complex_normal().re) as f32);
    let noise = |y: &ArrayD<f32>| NoiseToSignal::of(y.view(), &h, Scene::Natural).unwrap().noise;
    let whole = noise(&noisy);
    assert!((whole / 2.0 - 1.0).abs() < 0.15, "{whole}");
    type Gap = fn(usize, usize) -> bool;
    let gaps: [(&str, Gap); 3] = [
        ("few", |i, j| (i * 90 + j) % 211 == 7),
        ("rows", |i, _| (40..44).contains(&i)),
        ("a block", |i, j| (30..50).contains(&i) && (20..40).contains(&j)),
    ];
    for (name, gap) in gaps {
        let mut y = noisy.clone();
        y.indexed_iter_mut().filter(|(at, _)| gap(at[0], at[1])).for_each(|(_, v)| *v = f32::NAN);
        let found = noise(&y);
        assert!((found / whole - 1.0).abs() < 0.15, "{name}: {found} of {whole}");
    }
    let none = ArrayD::<f32>::zeros(vec![96, 90]);
    let error = Blur::new(&h, &[96, 90], Some(none.view()), Outside::Unknown).unwrap_err().to_string();
    assert!(error.contains("nothing of the picture is known"), "{error}");
}

fn options(lambda: f32) -> SolveOptions<'static> {
    SolveOptions::default().lambda(lambda).iterations(400).tol(1e-5)
}

type Solve = fn(&Blur, ArrayViewD<f32>, &Device) -> Deconvolved;

/// The three methods, with little regularisation.
const METHODS: [(&str, Solve); 3] = [
    ("rl", |b, y, d| lucy(b, &y.to_owned(), 150, d)),
    ("wiener", |b, y, d| b.wiener(y, options(1e-5), d).unwrap()),
    ("cg", |b, y, d| b.damped(y, options(1e-5), d).unwrap()),
];

#[test]
fn the_blur_is_what_it_says() {
    let x = scene();
    for h in [gaussian(8, 1.5), motion()] {
        for outside in OUTSIDES {
            for device in devices() {
                let blur = Blur::new(&psf(&h), x.shape(), None, outside).unwrap();
                let canvas = blur.linop().input().unwrap().clone();
                // The canvas of an unknown outside is filled by zeros to compare.
                let mut filled = ArrayD::<f32>::zeros(canvas.extents());
                let all = ArrayD::from_shape_fn(canvas.extents(), |at| {
                    at.slice().iter().enumerate().fold(0.0, |sum, (k, i)| sum + *i as f32 * [1.0, 1000.0][k])
                });
                let first = blur.cropped(all.view()).unwrap()[[0, 0]];
                let (top, left) = (first as usize % 1000, first as usize / 1000);
                for (at, v) in x.indexed_iter() {
                    filled[[at[0] + top, at[1] + left]] = *v;
                }
                let input = Tensor::from_array(filled, canvas.dims()).unwrap().to(&device).unwrap();
                let y = blur.linop().apply(&input).unwrap().to(&Device::host()).unwrap().to_real_array().unwrap();
                let far = error(&y, &seen(&x, &h, outside));
                assert!(far < 2e-6, "{outside:?} on {}: {far}", device.name());
                assert!(linops::check::dot_test(blur.linop(), &device, 7).unwrap().passed());
            }
        }
    }
}

/// D1: nothing becomes NaN, nothing comes of nothing, and exact data stay.
#[test]
fn zeros_stay_zeros_and_exact_data_stay() {
    let h = psf(&gaussian(7, 1.2));
    for device in devices() {
        for outside in OUTSIDES {
            let blur = Blur::new(&h, &[24, 20], None, outside).unwrap();
            let zero = ArrayD::<f32>::zeros(IxDyn(&[24, 20]));
            let nothing = lucy(&blur, &zero, 10, &device);
            assert_eq!((nothing.image.sum(), nothing.stop, nothing.iterations), (0.0, Stop::Zero, 0));
            // One bright point in the dark, and one in the corner.
            let mut points = zero.clone();
            points[[3, 4]] = 1e4;
            points[[23, 19]] = 1e-3;
            let x = lucy(&blur, &points, 200, &device).image;
            assert!(x.iter().all(|v| v.is_finite() && *v >= 0.0), "{outside:?}");
            assert!(x[[12, 12]] < 1e-3 && x[[3, 4]] > 9e3, "{outside:?}: {} {}", x[[12, 12]], x[[3, 4]]);

            let canvas = blur.linop().input().unwrap().clone();
            let truth = ArrayD::from_shape_fn(canvas.extents(), |at| if (at[0] * at[1]) % 7 == 3 { 50.0 } else { 0.0 });
            let input = Tensor::from_array(truth.clone(), canvas.dims()).unwrap();
            let y = blur.linop().apply(&input).unwrap().to_real_array().unwrap();
            let from = RichardsonLucyOptions::default().iterations(20).tol(0.0).start(Some(truth.clone()));
            let same = blur.richardson_lucy(y.view(), from, &device).unwrap();
            let far = error(&same.image, &blur.cropped(truth.view()).unwrap());
            assert!(far < 2e-5 && same.misfit < 2e-6, "{outside:?}: {far} {}", same.misfit);
        }
    }
}

/// D2: a PSF that is not symmetric is turned round where it should be.
#[test]
fn an_unsymmetric_blur_is_undone_as_well_as_a_symmetric_one() {
    let x = scene();
    let device = Device::host();
    for (name, solve) in METHODS {
        let gain = |h: &ArrayD<f32>, used: &ArrayD<f32>| {
            let y = inner(&seen(&x, h, Outside::Zero), 8);
            let truth = inner(&x, 8);
            let blur = Blur::new(&psf(used), y.shape(), None, Outside::Unknown).unwrap();
            error(&solve(&blur, y.view(), &device).image, &truth) / error(&y, &truth)
        };
        let symmetric = gain(&gaussian(9, 1.5), &gaussian(9, 1.5));
        let moved = gain(&motion(), &motion());
        let mut turned = motion();
        turned.invert_axis(ndarray::Axis(0));
        turned.invert_axis(ndarray::Axis(1));
        let wrong = gain(&motion(), &turned);
        assert!(moved < symmetric.max(0.5) && moved < 0.3 * wrong, "{name}: {symmetric} {moved} {wrong}");
    }
}

/// D3: nothing is shifted, whatever the size of the PSF and wherever its centre.
#[test]
fn a_point_at_the_centre_gives_the_picture_back() {
    let y = scene();
    for device in devices() {
        for (rows, columns) in [(1, 1), (5, 4), (6, 7), (8, 8)] {
            for outside in OUTSIDES {
                let mut h = ArrayD::<f32>::zeros(IxDyn(&[rows, columns]));
                h[[rows / 2, columns / 2]] = 1.0;
                let blur = Blur::new(&psf(&h), y.shape(), None, outside).unwrap();
                let results = [
                    lucy(&blur, &y, 3, &device),
                    blur.wiener(y.view(), options(0.0), &device).unwrap(),
                    blur.damped(y.view(), options(0.0), &device).unwrap(),
                ];
                for result in results {
                    assert!(error(&result.image, &y) < 2e-6, "{rows} x {columns} {outside:?}");
                }
            }
        }
    }
    // A point elsewhere moves the picture, unless the centre is said to be there.
    let mut h = ArrayD::<f32>::zeros(IxDyn(&[5, 5]));
    h[[1, 3]] = 1.0;
    let of = |center| {
        let psf = Psf::new(h.view(), center, false).unwrap();
        let blur = Blur::new(&psf, y.shape(), None, Outside::Periodic).unwrap();
        lucy(&blur, &y, 3, &Device::host()).image
    };
    assert!(error(&of(PsfCenter::Peak), &y) < 1e-6 && error(&of(PsfCenter::Centroid), &y) < 1e-6);
    let moved = of(PsfCenter::Half);
    assert!((moved[[11, 9]] - y[[10, 10]]).abs() < 1e-3 * y[[10, 10]]);
}

/// D4: the scene goes on beyond the picture; its border is as good as its inside.
#[test]
fn borders_are_as_good_as_the_inside() {
    // On a bright background, which does not end where the picture does.
    let x = (cells_image(112, 104, 5) * 100.0 + 100.0).into_dyn();
    let h = gaussian(13, 2.0);
    let sharp = inner(&x, 20);
    let blurred = inner(&seen(&x, &h, Outside::Zero), 20);
    let counts = photons(&blurred.clone().into_dimensionality().unwrap(), 9).into_dyn();
    let found = NoiseToSignal::of(counts.view(), &psf(&h), Scene::Natural).unwrap();
    let ratios = |outside| {
        let blur = Blur::new(&psf(&h), counts.shape(), None, outside).unwrap();
        let lucy = RichardsonLucyOptions::default().noise(Some(found.noise));
        let lucy = blur.richardson_lucy(counts.view(), lucy, &Device::host()).unwrap();
        let wiener = blur.wiener(counts.view(), options(found.ratio as f32), &Device::host()).unwrap();
        [lucy.image, wiener.image].map(|image| {
            let wrong = &image - &sharp;
            let inside = inner(&wrong, 6);
            let strip = (norm(&wrong).powi(2) - norm(&inside).powi(2)) / (wrong.len() - inside.len()) as f64;
            (strip / (norm(&inside).powi(2) / inside.len() as f64)).sqrt()
        })
    };
    let unknown = ratios(Outside::Unknown);
    let zero = ratios(Outside::Zero);
    assert!(unknown.iter().all(|r| *r < 2.0), "{unknown:?}");
    assert!(zero.iter().zip(unknown).all(|(z, u)| *z > 1.3 * u), "{zero:?} {unknown:?}");
}

/// D5: a PSF may be longer than the picture.
#[test]
fn long_psfs_do_not_wrap() {
    let x = scene();
    let h = gaussian(31, 3.0);
    let y = seen(&x, &h, Outside::Zero);
    let part = |x: &ArrayD<f32>| x.slice(ndarray::s![30..42, ..]).to_owned().into_dyn();
    for device in devices() {
        for (name, solve) in METHODS {
            let blur = Blur::new(&psf(&h), &[12, 64], None, Outside::Unknown).unwrap();
            let image = solve(&blur, part(&y).view(), &device).image;
            let (before, after) = (error(&part(&y), &part(&x)), error(&image, &part(&x)));
            assert!(after < 0.93 * before, "{name}: {before} {after}");
        }
        let blur = Blur::new(&psf(&h), &[12, 64], None, Outside::Periodic).unwrap();
        let even = lucy(&blur, &ArrayD::from_elem(IxDyn(&[12, 64]), 7.0), 5, &device).image;
        assert!(even.iter().all(|v| (v - 7.0).abs() < 1e-4));
    }
}

/// D6: a PSF of another sum changes nothing, unless it is asked for.
#[test]
fn brightness_does_not_depend_on_the_sum_of_the_psf() {
    let y = seen(&scene(), &gaussian(7, 1.3), Outside::Mirror);
    for (name, solve) in METHODS {
        let of = |scale: f32, keep| {
            let psf = Psf::new((gaussian(7, 1.3) * scale).view(), PsfCenter::Half, keep).unwrap();
            let blur = Blur::new(&psf, y.shape(), None, Outside::Unknown).unwrap();
            solve(&blur, y.view(), &Device::host()).image
        };
        let plain = of(1.0, false);
        assert!((plain.sum() / y.sum() - 1.0).abs() < 0.02, "{name}");
        assert!(error(&of(37.0, false), &plain) < 5e-3, "{name}");
        let sum = gaussian(7, 1.3).sum();
        let kept = of(2.0, true);
        assert!((kept.sum() * 2.0 * sum / plain.sum() - 1.0).abs() < 0.02, "{name}");
    }
}

/// The same picture in other units is the same image in these units; nothing overflows.
#[test]
fn units_do_not_matter() {
    let h = gaussian(7, 1.3);
    let y = seen(&scene(), &h, Outside::Mirror);
    let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Unknown).unwrap();
    for (name, solve) in METHODS {
        let plain = solve(&blur, y.view(), &Device::host()).image;
        for unit in [2f32.powi(-30), 2f32.powi(40)] {
            let scaled = solve(&blur, (&y * unit).view(), &Device::host()).image / unit;
            assert!(error(&scaled, &plain) < 1e-5, "{name} {unit}");
        }
    }
    let noisy = photons(&y.into_dimensionality().unwrap(), 1).into_dyn();
    let found = |c: f32| NoiseToSignal::of((&noisy * c).view(), &psf(&h), Scene::Natural).unwrap();
    let (one, many) = (found(1.0), found(255.0));
    assert_eq!(one.ratio, many.ratio);
    assert!((many.noise / one.noise / 255.0 - 1.0).abs() < 1e-3);
}

/// The noise of light is found to a few percent, and the estimate stops Richardson–Lucy before it fits the noise.
#[test]
fn the_noise_is_found_and_stops() {
    let x = (cells_image(160, 150, 8) * 300.0).into_dyn();
    let h = gaussian(11, 1.8);
    let blurred = seen(&x, &h, Outside::Zero);
    let counts = photons(&blurred.clone().into_dimensionality().unwrap(), 4).into_dyn();
    let truth = norm(&(&counts - &blurred)) / (blurred.len() as f64).sqrt();
    let found = NoiseToSignal::of(counts.view(), &psf(&h), Scene::Natural).unwrap();
    assert!((found.noise / truth - 1.0).abs() < 0.1, "{} {truth}", found.noise);
    let blur = Blur::new(&psf(&h), counts.shape(), None, Outside::Zero).unwrap();
    let stopped = RichardsonLucyOptions::default().noise(Some(found.noise)).tol(0.0).iterations(300);
    let stopped = blur.richardson_lucy(counts.view(), stopped, &Device::host()).unwrap();
    assert!(stopped.at_noise && stopped.stop == Stop::Converged && stopped.iterations > 3);
    let long = lucy(&blur, &counts, 300, &Device::host());
    assert_eq!((long.stop, long.iterations), (Stop::Iterations, 300));
    let [early, late, none] = [&stopped.image, &long.image, &counts].map(|i| error(i, &x));
    assert!(early < 0.9 * none && early < late, "{none} {early} {late}");
    // Every iteration raises the likelihood, so the changes are those of a falling divergence.
    assert!(long.history.windows(2).all(|w| w[1].residual < 1.0));
    let read: Vec<usize> = long.history.iter().map(|r| r.iteration).collect();
    assert_eq!(read, [1, 2, 3, 4].into_iter().chain((5..=300).step_by(5)).collect::<Vec<_>>());
    // The estimate takes a part of the noise in, and stopping where the rest is left is better than where all of it is.
    let left = 0.5 * (1.0 + found.left);
    assert!(found.left > 0.5 && found.left < 1.0, "{}", found.left);
    let later = RichardsonLucyOptions::default().noise(Some(found.noise)).left(left).tol(0.0).iterations(300);
    let later = blur.richardson_lucy(counts.view(), later, &Device::host()).unwrap();
    assert!(later.at_noise && later.iterations > stopped.iterations && error(&later.image, &x) < early);
}

/// Noise that is as strong where the picture is dark, cut off at 0 or not: Richardson–Lucy stops near its best, and the picture is better
/// than it was.
#[test]
fn even_noise_stops_it_too() {
    let x = (cells_image(150, 140, 8) * 200.0).into_dyn();
    let h = gaussian(11, 1.8);
    let blurred = seen(&x, &h, Outside::Zero);
    let blur = Blur::new(&psf(&h), x.shape(), None, Outside::Zero).unwrap();
    for (sigma, cut) in [(15.0, true), (15.0, false), (6.0, true)] {
        let mut generator = Generator::new(5);
        let mut noisy = |v: f32| v + (sigma * 2f64.sqrt() * generator.complex_normal().re) as f32;
        let y = blurred.mapv(|v| if cut { noisy(v).max(0.0) } else { noisy(v) });
        let found = NoiseToSignal::of(y.view(), &psf(&h), Scene::Natural).unwrap();
        let options = RichardsonLucyOptions::default().noise(Some(found.noise)).left(0.5 * (1.0 + found.left));
        let own = blur.richardson_lucy(y.view(), options, &Device::host()).unwrap();
        let best = [2, 4, 6, 8, 10, 15, 30, 60].map(|n| error(&lucy(&blur, &y, n, &Device::host()).image, &x));
        let (error, none, best) =
            (error(&own.image, &x), error(&y, &x), best.into_iter().fold(f64::INFINITY, f64::min));
        println!("{sigma}, cut {cut}: {} iterations, {error:.3} of {best:.3}, before {none:.3}", own.iterations);
        assert!(own.at_noise, "{sigma}, cut {cut}: {:?} after {}", own.stop, own.iterations);
        assert!(error < 1.1 * best && error < none, "{sigma}, cut {cut}: {error} of {best}, before {none}");
    }
}

/// Few counts: where their scatter is looked at sample by sample, the stop is near the best that there is.
#[test]
fn counts_stop_where_they_are_counted() {
    let h = gaussian(11, 1.6);
    for (peak, seed) in [(20.0f32, 6), (100.0, 7)] {
        let x = (cells_image(120, 110, 8) * peak).into_dyn();
        let blurred = seen(&x, &h, Outside::Zero);
        let counts = photons(&blurred.into_dimensionality().unwrap(), seed).into_dyn();
        assert!(are_counts(counts.view()).unwrap(), "{peak}");
        let blur = Blur::new(&psf(&h), counts.shape(), None, Outside::Zero).unwrap();
        let left = NoiseToSignal::of(counts.view(), &psf(&h), Scene::Natural).unwrap().left;
        let stops = || RichardsonLucyOptions::default().left(0.5 * (1.0 + left)).gain(Some(1.0));
        let found = blur.richardson_lucy(counts.view(), stops(), &Device::host()).unwrap();
        assert!(found.at_noise, "{peak}: {:?} after {}", found.stop, found.iterations);
        let best = [2, 4, 8, 15, 30, 60].map(|n| error(&lucy(&blur, &counts, n, &Device::host()).image, &x));
        let (own, best) = (error(&found.image, &x), best.into_iter().fold(f64::INFINITY, f64::min));
        println!("{peak}: {} iterations, {own:.3} of {best:.3}", found.iterations);
        assert!(own < 1.1 * best, "{peak}: {own} after {}, the best is {best}", found.iterations);
        // The same in other units of the counts.
        let scaled =
            blur.richardson_lucy((&counts * 1024.0).view(), stops().gain(Some(1024.0)), &Device::host()).unwrap();
        assert_eq!(scaled.iterations, found.iterations);
    }
    let y = ArrayD::ones(vec![20, 20]);
    let blur = Blur::new(&psf(&h), &[20, 20], None, Outside::Zero).unwrap();
    let wrong = RichardsonLucyOptions::default().gain(Some(-1.0));
    assert!(blur.richardson_lucy(y.view(), wrong, &Device::host()).unwrap_err().to_string().contains("gain"));
}

/// Volumes, and samples that are missing.
#[test]
fn volumes_and_gaps() {
    let x = ArrayD::from_shape_fn(IxDyn(&[10, 14, 12]), |at| {
        if at[0] % 4 == 2 && at[1] % 5 == 2 && at[2] % 6 == 3 { 100.0 } else { 5.0 }
    });
    let h = ArrayD::from_shape_fn(IxDyn(&[3, 3, 4]), |at| 1.0 / (1.0 + (at[0] * at[0] + at[1] + at[2]) as f32));
    let y = seen(&x, &h, Outside::Mirror);
    for device in devices() {
        let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Mirror).unwrap();
        let result = lucy(&blur, &y, 200, &device);
        assert!(error(&result.image, &x) < 0.3 * error(&y, &x), "{}", error(&result.image, &x));
        let mut holes = y.clone();
        let known =
            ArrayD::from_shape_fn(y.raw_dim(), |at| if (at[0] + 3 * at[1] + at[2]) % 11 == 0 { 0.0 } else { 1.0 });
        holes.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { f32::NAN } else { *v });
        let blur = Blur::new(&psf(&h), y.shape(), Some(known.view()), Outside::Mirror).unwrap();
        for result in [lucy(&blur, &holes, 200, &device), blur.wiener(holes.view(), options(1e-4), &device).unwrap()] {
            assert!(error(&result.image, &x) < 0.5 * error(&y, &x), "{}", error(&result.image, &x));
        }
    }
}

/// Wiener's filter in one go is the minimiser that conjugate gradients find.
#[test]
fn the_filter_is_the_minimiser() {
    let h = motion();
    let y = seen(&scene(), &h, Outside::Periodic);
    for device in devices() {
        let all = Blur::new(&psf(&h), y.shape(), None, Outside::Periodic).unwrap();
        let filtered = all.wiener(y.view(), options(1e-3), &device).unwrap();
        // A gap of one sample makes it iterate.
        let mut known = ArrayD::<f32>::ones(y.raw_dim());
        known[[0, 0]] = 0.0;
        let gap = Blur::new(&psf(&h), y.shape(), Some(known.view()), Outside::Periodic).unwrap();
        let solved = gap.wiener(y.view(), options(1e-3), &device).unwrap();
        assert!(filtered.iterations == 0 && solved.iterations > 3);
        assert!(error(&filtered.image, &solved.image) < 3e-2, "{}", error(&filtered.image, &solved.image));
        assert!(filtered.misfit < 0.05);
    }
}

/// The default weight of plain damping makes a noisy picture better, and nearly as good as any weight does.
#[test]
fn damping_is_that_of_the_least_error() {
    let x = (cells_image(80, 72, 8) * 300.0).into_dyn();
    let h = gaussian(9, 1.6);
    let blurred = seen(&x, &h, Outside::Mirror);
    let counts = photons(&blurred.into_dimensionality().unwrap(), 4).into_dyn();
    let psf = psf(&h);
    let found = NoiseToSignal::of(counts.view(), &psf, Scene::Natural).unwrap();
    let lambda = NoiseToSignal::damping(found.ratio, &psf, counts.shape()).unwrap() as f32;
    let blur = Blur::new(&psf, counts.shape(), None, Outside::Mirror).unwrap();
    let of =
        |lambda| error(&blur.damped(counts.view(), options(lambda).iterations(60), &Device::host()).unwrap().image, &x);
    let (here, before) = (of(lambda), error(&counts, &x));
    let best = [0.1, 0.3, 3.0, 10.0].map(|f| of(lambda * f)).into_iter().fold(here, f64::min);
    assert!(here < 0.9 * before && here < 1.1 * best, "{lambda}: {before} {here} {best}");
}

/// A PSF of another sum that is kept changes the weights with its square, and the noise not at all.
#[test]
fn weights_follow_the_scale_of_the_psf() {
    let y = photons(&seen(&scene(), &gaussian(7, 1.3), Outside::Mirror).into_dimensionality().unwrap(), 1).into_dyn();
    let of = |scale: f32| {
        let h = gaussian(7, 1.3);
        let psf = Psf::new((&h * (scale / h.sum())).view(), PsfCenter::Half, true).unwrap();
        let found = NoiseToSignal::of(y.view(), &psf, Scene::Natural).unwrap();
        let damping = NoiseToSignal::damping(found.ratio, &psf, y.shape()).unwrap();
        let blur = Blur::new(&psf, y.shape(), None, Outside::Periodic).unwrap();
        let image = blur.wiener(y.view(), options(found.ratio as f32), &Device::host()).unwrap().image;
        (found, damping, image * scale)
    };
    let (found, damping, image) = of(1.0);
    for scale in [1e4f32, 1e-3] {
        let (other, other_damping, other_image) = of(scale);
        let square = f64::from(scale).powi(2);
        assert!((other.ratio / square / found.ratio - 1.0).abs() < 1e-3, "{scale}");
        assert!((other_damping / square / damping - 1.0).abs() < 1e-3, "{scale}");
        assert!((other.noise / found.noise - 1.0).abs() < 1e-3, "{scale}");
        assert!(error(&other_image, &image) < 1e-3, "{scale}: {}", error(&other_image, &image));
    }
}

/// Pictures near the ends of the range of 32-bit numbers.
#[test]
fn very_bright_and_very_dark_pictures_are_pictures() {
    let h = gaussian(5, 1.0);
    let y = seen(&scene(), &h, Outside::Mirror);
    let y = &y / y.iter().fold(0.0f32, |a, b| a.max(*b));
    let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Mirror).unwrap();
    let plain = lucy(&blur, &y, 20, &Device::host());
    for unit in [1e37f32, 1e-36] {
        let scaled = lucy(&blur, &(&y * unit), 20, &Device::host());
        assert!(error(&(&scaled.image / unit), &plain.image) < 1e-4, "{unit}");
        assert!((scaled.deviation / f64::from(unit) / plain.deviation - 1.0).abs() < 1e-3, "{unit}");
    }
    // What no 32-bit number holds is no result.
    let dim = Psf::new((&h * 1e-4).view(), PsfCenter::Half, true).unwrap();
    let blur = Blur::new(&dim, y.shape(), None, Outside::Mirror).unwrap();
    let options = RichardsonLucyOptions::default().iterations(3);
    let wrong = blur.richardson_lucy((&y * 1e37).view(), options, &Device::host()).unwrap_err().to_string();
    assert!(wrong.contains("scale the picture"), "{wrong}");
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let h = psf(&gaussian(3, 1.0));
    let blur = Blur::new(&h, &[8, 8], None, Outside::Unknown).unwrap();
    let y = ArrayD::<f32>::ones(IxDyn(&[8, 8]));
    let host = Device::host();
    let message = |r: linops::Result<Deconvolved>| r.unwrap_err().to_string();
    let lucy = RichardsonLucyOptions::default;
    assert!(message(blur.richardson_lucy(y.view(), lucy().iterations(0), &host)).contains("at least 1"));
    assert!(message(blur.richardson_lucy(y.view(), lucy().tol(f32::NAN), &host)).contains("from 0 on"));
    assert!(message(blur.richardson_lucy(y.view(), lucy().start(Some(y.clone())), &host)).contains("start"));
    assert!(message(blur.wiener(arr2(&[[1.0f32]]).into_dyn().view(), options(0.1), &host)).contains("expects [8, 8]"));
    assert!(message(blur.wiener(y.view(), options(-1.0), &host)).contains("lambda"));
    assert!(message(blur.damped((&y * f32::NAN).view(), options(0.1), &host)).contains("NaN"));
    assert!(Blur::new(&h, &[8], None, Outside::Zero).unwrap_err().to_string().contains("2 axes, expected 1"));
    assert!(Psf::new(arr1(&[1.0f32, -2.0]).into_dyn().view(), PsfCenter::Half, false).is_err());
}

/// Even and sloping pictures, of which the scene is known outside of them, too.
#[test]
fn even_and_sloping_pictures_are_at_rest_at_themselves() {
    let even = ArrayD::from_elem(IxDyn(&[64, 64]), 7.0f32);
    let slope = ArrayD::from_shape_fn(IxDyn(&[64, 64]), |at| 7.0 + 0.1 * at[1] as f32 + 0.05 * at[0] as f32);
    for (y, off) in [(&even, 1e-5), (&slope, 0.03)] {
        for h in [gaussian(9, 1.5), gaussian(15, 2.0)] {
            for outside in OUTSIDES.into_iter().take(if y == slope { 1 } else { 4 }) {
                if outside == Outside::Zero {
                    continue;
                }
                for device in devices() {
                    let blur = Blur::new(&psf(&h), y.shape(), None, outside).unwrap();
                    let options = || SolveOptions::default().lambda(1e-7).iterations(1000).tol(1e-4);
                    for (name, found) in [
                        ("wiener", blur.wiener(y.view(), options(), &device).unwrap()),
                        ("cg", blur.damped(y.view(), options(), &device).unwrap()),
                    ] {
                        let largest = (&found.image - y).iter().fold(0.0f32, |m, v| m.max(v.abs())) / 7.0;
                        let stop = found.stop;
                        assert!(largest <= off, "{name}, {outside:?}: off by {largest:.1e}, {stop:?}");
                        let rest = matches!(stop, Stop::Converged | Stop::Attained);
                        assert!(rest, "{name}, {outside:?}: {stop:?} after {}", found.iterations);
                    }
                }
            }
        }
    }
}

/// What is stated of the stop: the objective against that of many more iterations.
#[test]
fn quadratic_penalties_end_where_the_objective_is_at_rest() {
    let device = Device::host();
    for noise in [1.0, 2.0] {
        let h = gaussian(9, 1.5);
        let x = scene();
        let mut random = Generator::new(3);
        let y = inner(&seen(&x, &h, Outside::Mirror), 4)
            .mapv(|v| v + (noise * std::f64::consts::SQRT_2 * random.complex_normal().re) as f32);
        let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Unknown).unwrap();
        let options = |iterations, tol| SolveOptions::default().lambda(4e-3).iterations(iterations).tol(tol);
        let solve = |iterations, tol| blur.damped(y.view(), options(iterations, tol), &device).unwrap();
        let (found, long) = (solve(1000, 1e-4), solve(3000, 0.0));
        assert_eq!(found.stop, Stop::Converged, "noise {noise}: {} iterations", found.iterations);
        let off = error(&found.image, &long.image);
        assert!(off < 0.01, "noise {noise}: off by {off:.1e} after {}", found.iterations);
        assert!(found.misfit <= long.misfit + 1e-4, "{} for {}", found.misfit, long.misfit);
    }
}

/// By sums in f64 over the scene, in other units too.
#[test]
fn the_objective_is_what_it_says() {
    let (x, h, lambda) = (scene(), motion(), 0.1f32);
    for unit in [1.0f32, 2048.0] {
        let y = seen(&x, &h, Outside::Periodic).mapv(|v| unit * v);
        let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Periodic).unwrap();
        let mean = y.iter().map(|v| f64::from(*v)).sum::<f64>() / y.len() as f64;
        let left = |image: &ArrayD<f32>| norm(&(seen(image, &h, Outside::Periodic) - &y)).powi(2);
        let bent = |image: &ArrayD<f32>| -> f64 {
            let n = image.shape();
            let ahead = |at: &[usize], axis: usize| {
                let mut at = at.to_vec();
                at[axis] = (at[axis] + 1) % n[axis];
                image[&at[..]]
            };
            let step = |at: &[usize], axis: usize| f64::from(ahead(at, axis) - image[at]).powi(2);
            image.indexed_iter().map(|(at, _)| step(at.slice(), 0) + step(at.slice(), 1)).sum()
        };
        let divergence = |image: &ArrayD<f32>| -> f64 {
            let term = |(y, a): (&f32, &f32)| {
                let (y, a) = (f64::from(*y), f64::from(a.max(0.0)));
                a - y + if y > 0.0 { y * (y / a).ln() } else { 0.0 }
            };
            y.iter().zip(&seen(image, &h, Outside::Periodic)).map(term).sum()
        };
        for device in devices() {
            let wiener = blur.wiener(y.view(), options(lambda), &device).unwrap();
            let damped = blur.damped(y.view(), options(lambda), &device).unwrap();
            let lucy = lucy(&blur, &y, 5, &device);
            let even = damped.image.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
            for (name, found, want) in [
                ("wiener", wiener.objective, left(&wiener.image) + f64::from(lambda) * bent(&wiener.image)),
                ("cg", damped.objective, left(&damped.image) + f64::from(lambda) * even),
                ("rl", lucy.objective, divergence(&lucy.image)),
            ] {
                assert!((found / want - 1.0).abs() < 1e-3, "{name} on {device}, unit {unit}: {found}, expected {want}");
            }
        }
    }
}
