//! What users of other programs trip over, with regularisers: in deconvolution (D), denoising and inpainting (N),
//! tomography (C) and scans (R).
#![cfg(feature = "app")]

use linops::Device;
use linops::app::ct::Ct;
use linops::app::noise::Generator;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Stated, Weight};
use linops::app::series::Series;
use linops::app::{
    Blur, Denoised, Denoising, NoiseToSignal, Outside, Psf, PsfCenter, Regularised, RegularisedDeconvolution, Scan,
    ScanOptions, Scene, Sense, scan,
};
use linops::convex::{ConvexOptions, Method, Solved};
use linops::linop::Geometry;
use linops::solve::{SolveOptions, Stop};
use ndarray::{Array, Array2, Array3, ArrayD, Axis, Dimension, IxDyn, s, stack};
use num_complex::Complex32;
use std::f64::consts::PI;

fn norm<'a>(values: impl IntoIterator<Item = &'a f32>) -> f64 {
    values.into_iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

fn error(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f64 {
    norm(&(a - b)) / norm(b)
}

/// Real and imaginary parts.
fn parts<D: Dimension>(x: &Array<Complex32, D>) -> ArrayD<f32> {
    let x = x.view().into_dyn();
    stack![Axis(0), x.mapv(|v| v.re), x.mapv(|v| v.im)]
}

/// f(c·y) = c·f(y), for this f(c·y): the same steps on the same digits, but for the last ones.
fn scales(name: &str, of: &dyn Fn(f32) -> ArrayD<f32>) {
    let plain = of(1.0);
    for unit in [1e-6, 1e6] {
        let far = error(&(of(unit) / unit), &plain);
        assert!(far < 2e-3, "{name}, times {unit}: {far:.1e}");
    }
}

fn of(kinds: &[Kind], weight: Option<Weight>) -> Regularisation {
    Regularisation::default().terms(kinds.iter().map(|k| Regulariser::new(*k, weight)).collect())
}

/// Total variation of this weight, relative to max|Aᴴy|.
fn tv(weight: f64) -> Regularisation {
    of(&[Kind::Tv], Some(Weight::Relative(weight)))
}

/// Rooms of even brightness: 20, 70 or 120.
fn rooms(ny: usize, nx: usize) -> ArrayD<f32> {
    Array2::from_shape_fn((ny, nx), |(i, j)| 20.0 + 50.0 * ((i * 3 / ny + 2 * (j * 4 / nx)) % 3) as f32).into_dyn()
}

/// With white noise of this deviation.
fn noisy(clean: &ArrayD<f32>, deviation: f64, seed: u64) -> ArrayD<f32> {
    let mut generator = Generator::new(seed);
    clean.mapv(|v| v + (deviation * 2f64.sqrt() * generator.complex_normal().re) as f32)
}

/// 0 in a hole of a picture, 1 around it.
fn around_a_hole(image: &ArrayD<f32>) -> ArrayD<f32> {
    ArrayD::from_shape_fn(image.raw_dim(), |at| f32::from(!((10..17).contains(&at[0]) && (14..24).contains(&at[1]))))
}

/// The inner part, `margin` from each side.
fn inner(x: &ArrayD<f32>, margin: usize) -> ArrayD<f32> {
    let (ny, nx) = (x.shape()[0], x.shape()[1]);
    x.slice(s![margin..ny - margin, margin..nx - margin]).to_owned().into_dyn()
}

/// exp(−r²/2s²) around sample n/2.
fn gaussian(n: usize, s: f64) -> ArrayD<f32> {
    let at = |k: usize| k as f64 - (n / 2) as f64;
    Array2::from_shape_fn((n, n), |(i, j)| (-(at(i).powi(2) + at(j).powi(2)) / (2.0 * s * s)).exp() as f32).into_dyn()
}

fn psf(values: &ArrayD<f32>) -> Psf {
    Psf::new(values.view(), PsfCenter::Half, false).unwrap()
}

/// y[p] = Σⱼ h[j] x[p − (j − n/2)]/Σh in f64, dark outside of x.
fn seen(x: &ArrayD<f32>, h: &ArrayD<f32>) -> ArrayD<f32> {
    let sum: f64 = h.iter().map(|v| f64::from(*v)).sum();
    ArrayD::from_shape_fn(x.raw_dim(), |p| {
        let mut y = 0.0;
        for (j, w) in h.indexed_iter() {
            let at = [0usize, 1].map(|a| (p[a] + h.shape()[a] / 2).wrapping_sub(j[a]));
            y += f64::from(*w) / sum * x.get(at).map_or(0.0, |v| f64::from(*v));
        }
        y as f32
    })
}

/// A part of larger rooms that is seen through a blur, without noise, and the blur.
fn blurred() -> (ArrayD<f32>, Blur) {
    let h = gaussian(7, 1.3);
    let y = inner(&seen(&rooms(40, 44), &h), 4);
    let blur = Blur::new(&psf(&h), y.shape(), None, Outside::Unknown).unwrap();
    (y, blur)
}

/// Deconvolved with total variation of this weight.
fn regularised(blur: &Blur, y: &ArrayD<f32>, weight: f64) -> RegularisedDeconvolution {
    let task = Denoising::default().regularisation(tv(weight)).iterations(400);
    blur.regularised(y.view(), task, &Device::host()).unwrap()
}

/// Denoised, or with the gaps filled of what is known.
fn denoised(image: &ArrayD<f32>, known: Option<&ArrayD<f32>>, terms: Regularisation, fill: bool) -> Denoised {
    let task = Denoising::default().regularisation(terms).fill(fill).tol(1e-3).iterations(300);
    task.solve(image.view(), known.map(|k| k.view()), &Device::host()).unwrap()
}

/// Noisy views of two disks, of an image of 32 × 32.
fn views(count: usize) -> (Array3<f32>, Geometry) {
    let angles: Vec<f64> = (0..count).map(|k| k as f64 * PI / count as f64).collect();
    let mut generator = Generator::new(3);
    let data = Array3::from_shape_fn((1, count, 40), |(_, view, d)| {
        let (sin, cos) = angles[view].sin_cos();
        let chord = |(value, x, y, radius): (f64, f64, f64, f64)| {
            let off = d as f64 - 19.5 - x * cos + y * sin;
            value * 2.0 * (radius * radius - off * off).max(0.0).sqrt()
        };
        let clean: f64 = [(1.0, 3.0, -2.0, 9.0), (0.5, -7.0, 6.0, 4.0)].into_iter().map(chord).sum();
        (clean + 0.2 * generator.complex_normal().re) as f32
    });
    (data, Geometry::parallel(&angles, 40))
}

fn tomography(count: usize) -> Ct {
    let (data, geometry) = views(count);
    Ct::new(data, &geometry, [1, 32, 32]).unwrap()
}

/// A scan of every second line, and its model.
fn scanned() -> (Scan, Sense) {
    let found = scan(&ScanOptions::default().ny(24).nx(24).coils(4).acceleration(2).centre_lines(6)).unwrap();
    let sense = Sense::new(found.maps.view(), found.mask.view()).unwrap();
    (found, sense)
}

fn recon(sense: &Sense, kspace: &Array3<Complex32>, terms: &Regularisation, options: ConvexOptions) -> Regularised {
    sense.regularised(kspace.view(), terms, None, options, &Device::host()).unwrap()
}

/// Three frames, each brighter than the one before and of other lines, and their model.
fn frames() -> (ArrayD<Complex32>, Series) {
    let found = scan(&ScanOptions::default().ny(24).nx(24).coils(4).acceleration(1).centre_lines(0)).unwrap();
    let masks = Array3::from_shape_fn((3, 24, 24), |(t, y, _)| f32::from((y + t) % 2 == 0 || y.abs_diff(12) < 3));
    let kspace = ArrayD::from_shape_fn(IxDyn(&[3, 4, 24, 24]), |at| {
        found.kspace[[at[1], at[2], at[3]]] * (1.0 + 0.3 * at[0] as f32) * masks[[at[0], at[2], at[3]]]
    });
    let series = Series::cartesian(found.maps.view().into_dyn(), masks.view().into_dyn()).unwrap();
    (kspace, series)
}

/// R, maps: in other units of the coils the image is that in these units, with the weights that there are by default.
#[test]
fn units_of_maps_do_not_matter() {
    let (found, sense) = scanned();
    let host = Device::host();
    for kind in [Kind::L2, Kind::L1Wavelet, Kind::Tv, Kind::Tgv] {
        let terms = of(&[kind], None);
        let want = recon(&sense, &found.kspace, &terms, ConvexOptions::default()).image;
        let size = want.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        for factor in [1e-15f32, 1e-9, 1e8] {
            let sense = Sense::new(found.maps.mapv(|s| s * factor).view(), found.mask.view()).unwrap();
            let image = sense.regularised(found.kspace.view(), &terms, None, ConvexOptions::default(), &host).unwrap();
            let off = image.image.mapv(|v| v * factor) - &want;
            let off = off.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt() / size;
            assert!(off < 1e-3, "{kind}, maps times {factor}: {off:.1e}");
        }
    }
}

/// D, units: a picture in other units is the same scene in these units, by conjugate gradients and with total
/// variation.
#[test]
fn units_of_a_blurred_picture_do_not_matter() {
    let (y, blur) = blurred();
    scales("cg", &|c: f32| {
        // Within 10⁻⁶ of its limit, λ = 0.01 holds x within 10⁻³ of the minimiser, wherever the iterations end.
        let options = SolveOptions::default().lambda(1e-2).iterations(400).tol(1e-6);
        blur.damped((&y * c).view(), options, &Device::host()).unwrap().image
    });
    scales("tv", &|c: f32| regularised(&blur, &(&y * c), 0.002).deconvolved.image);
}

/// D3: a point at sample n/2 of a PSF of any extents moves nothing. The minimiser differs from the picture by 4λ at
/// most, the largest divergence of a dual of total variation, which is 0.6 % here; moved by one sample it would differ
/// by a fifth. Where the canvas is the picture, it is denoising: the same objective, whose curvature of 1 holds x
/// within √(2·10⁻⁴ F), 0.02 %.
#[test]
fn a_point_at_the_centre_moves_nothing() {
    let y = rooms(32, 36);
    let task = Denoising::default().regularisation(tv(1e-3));
    let same = task.solve(y.view(), None, &Device::host()).unwrap();
    let objective = same.solved.as_ref().unwrap().objective;
    for (rows, columns) in [(5, 4), (6, 7), (8, 8)] {
        // So little in two corners that only the extents are those of the whole.
        let mut h = ArrayD::<f32>::zeros(IxDyn(&[rows, columns]));
        (h[[0, 0]], h[[rows - 1, columns - 1]]) = (1e-7, 1e-7);
        h[[rows / 2, columns / 2]] = 1.0;
        for outside in [Outside::Unknown, Outside::Zero, Outside::Mirror] {
            let blur = Blur::new(&psf(&h), y.shape(), None, outside).unwrap();
            let found = regularised(&blur, &y, 1e-3);
            let far = error(&found.deconvolved.image, &y);
            assert!(far < 1e-2, "{rows} x {columns}, {outside:?}: {far}");
            if outside != Outside::Unknown {
                let far = error(&found.deconvolved.image, &same.image);
                let off = found.solved.objective / objective - 1.0;
                assert!(far < 1e-3 && off.abs() < 1e-3, "{rows} x {columns}, {outside:?}: {far:.1e} {off:.1e}");
            }
        }
    }
}

/// D4: the scene goes on beyond the picture. Its border is as good as its inside within a factor of 2, which it is not
/// if it is said to be dark outside.
#[test]
fn borders_are_as_good_as_the_inside() {
    let (x, h) = (rooms(64, 72), gaussian(9, 1.5));
    let sharp = inner(&x, 8);
    let y = noisy(&inner(&seen(&x, &h), 8), 2.0, 9);
    let ratio = |outside| {
        let blur = Blur::new(&psf(&h), y.shape(), None, outside).unwrap();
        let wrong = regularised(&blur, &y, 0.005).deconvolved.image - &sharp;
        let inside = inner(&wrong, 6);
        let strip = (norm(&wrong).powi(2) - norm(&inside).powi(2)) / (wrong.len() - inside.len()) as f64;
        (strip / (norm(&inside).powi(2) / inside.len() as f64)).sqrt()
    };
    let [unknown, dark] = [Outside::Unknown, Outside::Zero].map(ratio);
    assert!(unknown < 2.0 && dark > 1.3 * unknown, "{unknown} {dark}");
}

/// D5: a PSF longer than the picture sees beyond it, and nothing of one end comes back at the other: a scene that is
/// not periodic is found again, and far better than by who says that it is.
#[test]
fn a_psf_longer_than_the_picture_does_not_wrap() {
    let (x, h) = (rooms(48, 60), gaussian(15, 2.0));
    // Ten rows, the first of them near a wall, whose light comes in from outside.
    let part = |x: &ArrayD<f32>| x.slice(s![17..27, 10..50]).to_owned().into_dyn();
    let (y, sharp) = (part(&seen(&x, &h)), part(&x));
    let off = |outside| {
        let blur = Blur::new(&psf(&h), y.shape(), None, outside).unwrap();
        error(&regularised(&blur, &y, 0.002).deconvolved.image, &sharp)
    };
    let (before, after, wrapped) = (error(&y, &sharp), off(Outside::Unknown), off(Outside::Periodic));
    assert!(after < 0.7 * before && wrapped > 1.5 * after, "{before} {after} {wrapped}");
}

/// D6: the sum of a PSF changes nothing. If it is kept, x times it is the scene: max|Aᴴy|, and the weight with it,
/// grows by as much.
#[test]
fn the_sum_of_a_psf_changes_nothing() {
    let (y, _) = blurred();
    let of = |scale: f32, keep: bool| {
        let psf = Psf::new((gaussian(7, 1.3) * scale).view(), PsfCenter::Half, keep).unwrap();
        let blur = Blur::new(&psf, y.shape(), None, Outside::Unknown).unwrap();
        regularised(&blur, &y, 0.002).deconvolved.image
    };
    let plain = of(1.0, false);
    // Total variation leaves the mean of A x that of y; only what crosses the border of the picture differs.
    assert!((plain.sum() / y.sum() - 1.0).abs() < 0.02, "{} {}", plain.sum(), y.sum());
    let far = error(&of(37.0, false), &plain);
    assert!(far < 2e-3, "{far:.1e}");
    let sum = 2.0 * gaussian(7, 1.3).sum();
    let far = error(&(of(2.0, true) * sum), &plain);
    assert!(far < 5e-3, "{far:.1e}");
}

/// N1: c·picture gives c·result where weights follow from the noise, however it is regularised, with gaps and without.
#[test]
fn default_weights_follow_the_units_of_pictures() {
    let image = noisy(&rooms(32, 40), 5.0, 1);
    let known = around_a_hole(&image);
    for (name, kind, known, fill) in [
        ("inpaint", Kind::Tv, Some(&known), false),
        ("fill", Kind::Tv, Some(&known), true),
        ("tgv", Kind::Tgv, None, false),
        ("l1-wavelet", Kind::L1Wavelet, None, false),
    ] {
        scales(name, &|c: f32| {
            let found = denoised(&(&image * c), known, of(&[kind], None), fill);
            // It is no picture that was left as it is.
            assert!(found.terms[0].default && found.deviation > 1e-3 * found.noise, "{name}: {}", found.deviation);
            found.image
        });
    }
}

/// N1: the same of what was blurred, and of views.
#[test]
fn default_weights_follow_the_units_of_data() {
    let (y, blur) = blurred();
    let y = noisy(&y, 3.0, 4);
    scales("deconvolution", &|c: f32| {
        let y = &y * c;
        let noise = NoiseToSignal::of(y.view(), &psf(&gaussian(7, 1.3)), Scene::Natural).unwrap().noise;
        let task = Denoising::default().noise(Some(noise)).tol(1e-3).iterations(300);
        let found = blur.regularised(y.view(), task, &Device::host()).unwrap();
        // The weight is the one by which the misfit is that of the noise.
        assert!((found.deconvolved.deviation / noise - 1.0).abs() < 0.05, "{} {noise}", found.deconvolved.deviation);
        found.deconvolved.image
    });
    let (data, geometry) = views(20);
    scales("views", &|c: f32| {
        let ct = Ct::new(&data * c, &geometry, [1, 32, 32]).unwrap();
        let options = ConvexOptions::default().tol(1e-3);
        let found = ct.regularise(&of(&[Kind::Tv], None), None, options, &Device::host()).unwrap();
        assert!(found.terms[0].default);
        found.image.image.into_dyn()
    });
}

/// A solve with total variation, or of a series with low rank, of this relative weight.
type Solve<'a> = (&'a str, &'a dyn Fn(f64) -> (Vec<Stated>, Solved));

/// N2: one objective for all verbs, ½‖A x − y‖² + λR(x), whose minimisers have less R and more of the data term the
/// larger λ is.
#[test]
fn larger_weights_smooth_more_in_every_verb() {
    let host = Device::host();
    let image = noisy(&rooms(32, 40), 5.0, 2);
    let known = around_a_hole(&image);
    let picture = |w: f64, known: Option<&ArrayD<f32>>| {
        let found = denoised(&image, known, tv(w), false);
        (found.terms, found.solved.unwrap())
    };
    let (y, blur) = blurred();
    let y = noisy(&y, 3.0, 4);
    let ct = tomography(20);
    let (found, sense) = scanned();
    let (kspace, series) = frames();
    let deconv = |w: f64| {
        let found = regularised(&blur, &y, w);
        (found.terms, found.solved)
    };
    let views = |w: f64| {
        let found = ct.regularise(&tv(w), None, ConvexOptions::default(), &host).unwrap();
        (found.terms, found.solved)
    };
    let slice = |w: f64| {
        let found = recon(&sense, &found.kspace, &tv(w), ConvexOptions::default());
        (found.terms, found.solved)
    };
    let llr = |w: f64| {
        let terms = of(&[Kind::Llr], Some(Weight::Relative(w)));
        let found = series.regularised(kspace.view(), &terms, None, ConvexOptions::default(), &host).unwrap();
        (found.terms, found.solved)
    };
    let solves: [Solve; 6] = [
        ("denoise", &|w: f64| picture(w, None)),
        ("inpaint", &|w: f64| picture(w, Some(&known))),
        ("deconv", &deconv),
        ("ct", &views),
        ("recon", &slice),
        ("recon --time", &llr),
    ];
    for (name, solve) in solves {
        let results = [0.001, 0.01, 0.1].map(|w| {
            let (terms, solved) = solve(w);
            assert!((terms[0].relative / w - 1.0).abs() < 1e-3, "{name}: {:?}", terms[0]);
            (solved.data_term, (solved.objective - solved.data_term) / terms[0].absolute)
        });
        for pair in results.windows(2) {
            assert!(pair[1].0 > pair[0].0 && pair[1].1 < pair[0].1, "{name}: {results:?}");
        }
    }
}

/// C10: what says that it has converged is within its tolerance of the least objective, by the gap that is told; two
/// iterations are not, and do not say so.
#[test]
fn a_gap_ends_a_regularised_image_of_views() {
    let ct = tomography(20);
    let solve = |tol: f64, iterations: usize| {
        let options = ConvexOptions::default().tol(tol).iterations(iterations);
        ct.regularise(&of(&[Kind::Tv], None), None, options, &Device::host()).unwrap().solved
    };
    let (found, few, long) = (solve(1e-3, 1000), solve(1e-3, 2), solve(0.0, 400));
    assert_eq!((found.stop, few.stop, few.iterations), (Stop::Converged, Stop::Iterations, 2));
    let gap = |solved: &Solved| solved.history.last().unwrap().gap.unwrap();
    assert!(gap(&found) <= 1e-3 && gap(&few) > 1e-3, "{} {}", gap(&found), gap(&few));
    let over = |solved: &Solved| solved.objective / long.objective - 1.0;
    assert!((-1e-5..=1e-3).contains(&over(&found)) && over(&few) > 1e-3, "{} {}", over(&found), over(&few));
}

/// R1: k-space of any scale gives the same image at that scale, with the weights by default.
#[test]
fn the_scale_of_kspace_does_not_matter() {
    let (found, sense) = scanned();
    for kind in [Kind::Tv, Kind::L1Wavelet] {
        scales(&kind.to_string(), &|c: f32| {
            let y = found.kspace.mapv(|v| v * c);
            parts(&recon(&sense, &y, &of(&[kind], None), ConvexOptions::default()).image)
        });
    }
    let (kspace, series) = frames();
    scales("llr", &|c: f32| {
        let y = kspace.mapv(|v| v * c);
        let options = ConvexOptions::default().tol(1e-3).iterations(200);
        parts(&series.regularised(y.view(), &of(&[Kind::Llr], None), None, options, &Device::host()).unwrap().image)
    });
}

/// R2: one weight is one image, whatever the solver. Every second line of four coils holds all of it, so that where the
/// objective is at its limit the image is, within 10⁻³.
#[test]
fn solvers_agree_on_the_image() {
    let (found, sense) = scanned();
    let both = [Kind::Tv, Kind::L1Wavelet];
    for (kinds, methods) in
        [(&both[..], &[Method::Admm, Method::Pdhg][..]), (&both[1..], &[Method::Admm, Method::Pdhg, Method::Fista][..])]
    {
        let terms = of(kinds, Some(Weight::Relative(0.005)));
        let solved = |method: &Method| {
            let options = ConvexOptions::default().method(Some(*method)).tol(1e-7).iterations(2000);
            let found = recon(&sense, &found.kspace, &terms, options);
            (parts(&found.image), found.solved.objective)
        };
        let (image, objective) = solved(&methods[0]);
        for method in &methods[1..] {
            let (other, value) = solved(method);
            let (far, off) = (error(&other, &image), value / objective - 1.0);
            println!("{kinds:?}, {method} from admm: image {far:.1e}, F {off:.1e}");
            assert!(far < 1e-3 && off.abs() < 1e-4, "{kinds:?}, {method} from admm: image {far:.1e}, F {off:.1e}");
        }
    }
}

/// R3: ADMM comes to the same objective from a penalty a thousand times the one it would begin with, and from a thousandth of it.
#[test]
fn penalties_change_no_objective() {
    let (found, sense) = scanned();
    let (kspace, series) = frames();
    let admm = |balance: f64| ConvexOptions::default().method(Some(Method::Admm)).balance(balance);
    let slice = |kind: Kind, b: f64| recon(&sense, &found.kspace, &of(&[kind], None), admm(b)).solved.objective;
    let llr = |b: f64| {
        let terms = of(&[Kind::Llr], None);
        series.regularised(kspace.view(), &terms, None, admm(b), &Device::host()).unwrap().solved.objective
    };
    let objectives: [(&str, &dyn Fn(f64) -> f64); 3] =
        [("tv", &|b: f64| slice(Kind::Tv, b)), ("l1-wavelet", &|b: f64| slice(Kind::L1Wavelet, b)), ("llr", &llr)];
    for (name, objective) in objectives {
        let own = objective(1.0);
        for balance in [1e3, 100.0, 0.1, 1e-3] {
            let off = objective(balance) / own - 1.0;
            assert!(off.abs() < 1e-3, "{name}, {balance} times the penalty: {off:.1e}");
        }
    }
}
