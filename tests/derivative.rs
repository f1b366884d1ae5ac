//! Derivatives against differences of losses that are computed in f64.

mod common;

use common::data::{Random, as_complex, complex, distance, inner, mask, real, wide, widened};
use common::devices;
use common::matrix::Matrix;
use common::minimiser::{self, Term};
use linops::convex::{ConvexOptions, Method, Problem, WaveletPenalty};
use linops::derivative::{
    ConvexGradientOptions, convex_vjp, least_squares_vjp, of_convolve, of_dense, of_diagonal, of_nufft, solve_vjp,
    tikhonov_vjp,
};
use linops::linop::{self, Accuracy, Boundary, ConvolveMode, ConvolveOptions, FftOptions, NufftOptions};
use linops::num_complex::{Complex32, Complex64};
use linops::solve::{SolveOptions, Tikhonov, cg};
use linops::{DType, Device, Linop, Result, Tensor, apply_f64};
use ndarray::{ArrayD, IxDyn};

fn home(t: &Tensor) -> ArrayD<Complex32> {
    t.to(&Device::host()).unwrap().to_array().unwrap()
}

/// Any tensor of a shape and dtype.
fn any(shape: &str, dtype: DType, seed: u64) -> Tensor {
    if dtype == DType::F32 { real(shape, seed) } else { complex(shape, seed) }
}

/// L = ½‖y − t‖², in f64.
fn loss(y: &ArrayD<Complex64>, t: &ArrayD<Complex64>) -> f64 {
    0.5 * y.iter().zip(t).map(|(y, t)| (y - t).norm_sqr()).sum::<f64>()
}

/// By how much a loss changes along d, from a loss at w + h·d for two h.
fn slope(at: impl Fn(f32) -> f64, h: f32) -> f64 {
    (at(h) - at(-h)) / (2.0 * f64::from(h))
}

/// Re⟨g, d⟩.
fn along(g: &Tensor, d: &ArrayD<Complex64>) -> f64 {
    inner(&widened(&home(g)), d).re
}

/// A linop that a weight makes, and what is said to be its derivative, at x.
fn check(
    what: &str,
    x: &str,
    weight: &str,
    make: impl Fn(&Tensor) -> Result<Linop>,
    of: impl Fn(&Tensor) -> Result<Linop>,
) {
    for (k, (of_x, of_w)) in
        [DType::F32, DType::Complex32].into_iter().flat_map(|a| [(a, DType::F32), (a, DType::Complex32)]).enumerate()
    {
        let (x, w) = (any(x, of_x, 1), any(weight, of_w, 2));
        let a = make(&w).unwrap_or_else(|e| panic!("{what}: {e}"));
        let y = apply_f64(&a, &wide(&x)).unwrap();
        let t = wide(&complex(a.output().unwrap(), 3));
        let d = any(weight, of_w, 4);
        let at = |h: f32| {
            let moved = (&w + h * &d).eval().unwrap();
            loss(&apply_f64(&make(&moved).unwrap(), &wide(&x)).unwrap(), &t)
        };
        let want = slope(at, 0.25);
        for device in devices() {
            let x = x.to(&device).unwrap();
            let derivative = of(&x).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(
                (derivative.input().unwrap(), derivative.output().unwrap()),
                (w.shape(), a.output().unwrap()),
                "{what}"
            );
            // y is linear in the weight, so it is its derivative times the weight.
            let again = derivative.apply(&w.to(&device).unwrap()).unwrap();
            assert!(distance(&home(&again), &y) < 2e-6, "{what}, {k}, on {device}: {again:?}");
            let g = (&y - &t).mapv(|z| Complex32::new(z.re as f32, z.im as f32));
            let g = Tensor::from_array(g, names(a.output().unwrap())).unwrap();
            let gradient = derivative.vjp(&g.to(&device).unwrap(), of_w).unwrap();
            assert_eq!((gradient.shape(), gradient.dtype()), (w.shape(), of_w), "{what}");
            let got = along(&gradient, &wide(&d));
            assert!(
                (got - want).abs() < 1e-5 * want.abs().max(1.0),
                "{what}, {k}, on {device}: {got}, expected {want}"
            );
        }
    }
}

#[test]
fn weights_of_diagonals() {
    for (x, w) in [("N=7", "N=7"), ("Y=5 X=7", "X=7"), ("Y=5 X=7", "C=3 X=7 Y=5"), ("Y=5 X=7", "C=3"), ("N=4", "")] {
        check(w, x, w, |t| linop::diagonal(x, t), |x| of_diagonal(w, x));
    }
}

#[test]
fn weights_of_matrices() {
    for (x, w, out) in [("N=7", "M=5 N=7", "M"), ("T=3 N=7", "N=7 M=5", "M T"), ("B=2 N=5", "B=2 M=3 N=5", "M B")] {
        check(w, x, w, |t| linop::dense(x, t, out), |x| of_dense(w, x, out));
    }
}

#[test]
fn kernels_of_convolutions() {
    let same = ConvolveOptions::default();
    let (full, valid) = (same.mode(ConvolveMode::Full), same.mode(ConvolveMode::Valid));
    let around = same.boundary(Boundary::Circular);
    for (x, k, axes, options) in [
        ("N=11", "N=4", "N", full),
        ("Y=9 X=8", "Y=3 X=2", "Y X", same),
        ("Y=9 X=8", "X=2 Y=3", "X Y", around),
        ("Y=9 C=2 X=8", "X=3 Y=4", "Y X", valid),
        ("I=2 Y=6 X=7", "O=3 I=2 Y=3 X=3", "Y X", same),
        ("B=2 Y=7 I=3 X=6", "X=3 O=2 I=3 Y=2", "X Y", full),
        ("I=2 J=2 N=9", "J=2 N=3 I=2", "N", same.stride(2)),
        ("Z=4 Y=5 X=6", "C=2 Z=2 Y=2 X=3", "Z Y X", same),
    ] {
        let what = format!("{x} with {k}");
        check(&what, x, k, |t| linop::convolve(x, t, axes, options), |x| of_convolve(k, x, axes, options));
    }
}

/// The sum itself: 1/√ΠN·Σ x_n exp(−2πi k·(n − c)/N), over the last dims.
fn ndft(x: &ArrayD<Complex64>, batch: usize, locs: &ArrayD<f64>) -> Vec<Complex64> {
    let d = locs.shape()[locs.ndim() - 1];
    let sizes = x.shape()[x.ndim() - d..].to_vec();
    let points: Vec<f64> = locs.iter().copied().collect();
    let all: Vec<Complex64> = x.iter().copied().collect();
    let norm = (sizes.iter().product::<usize>() as f64).sqrt();
    let each = all.len() / batch;
    let mut out = Vec::new();
    for image in all.chunks(each) {
        for k in points.chunks(d) {
            let term = |(i, x): (usize, &Complex64)| {
                let (mut rest, mut phase) = (i, 0.0);
                for a in (0..d).rev() {
                    let n = (rest % sizes[a]) as f64 - (sizes[a] / 2) as f64;
                    phase += k[a] * n / sizes[a] as f64;
                    rest /= sizes[a];
                }
                x * Complex64::from_polar(1.0, -2.0 * std::f64::consts::PI * phase)
            };
            out.push(image.iter().enumerate().map(term).sum::<Complex64>() / norm);
        }
    }
    out
}

#[test]
fn coordinates_of_transforms() {
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6));
    for (image, axes, samples, out, batch) in [
        ("N=11", "N", vec![9], "K", 1),
        ("C=2 Y=7 X=10", "Y X", vec![5, 3], "C S K", 2),
        ("Z=4 Y=5 X=6", "Z Y X", vec![8], "K", 1),
    ] {
        let x = complex(image, 1);
        let d = axes.split(' ').count();
        let mut r = Random(7);
        let mut extents = samples.clone();
        extents.push(d);
        let locs = ArrayD::from_shape_fn(IxDyn(&extents), |_| 3.0 * f64::from(r.uniform()));
        let step = ArrayD::from_shape_fn(IxDyn(&extents), |_| r.uniform());
        let y = |h: f64| ndft(&wide(&x), batch, &(&locs + &step.mapv(|s| h * f64::from(s))));
        let h = 1e-4;
        let want: Vec<Complex64> = y(h).iter().zip(y(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
        for device in devices() {
            let at = x.to(&device).unwrap();
            let derivative = of_nufft(&at, &locs, axes, options, out, "D").unwrap();
            let delta = Tensor::from_array(step.clone(), derivative_dims(&derivative)).unwrap();
            let got = home(&derivative.apply(&delta.to(&device).unwrap()).unwrap());
            let want = ArrayD::from_shape_vec(got.raw_dim(), want.clone()).unwrap();
            assert!(distance(&got, &want) < 2e-5, "{image} on {device}: {:.1e}", distance(&got, &want));
            // The gradient of ½‖y − t‖².
            let t = wide(&complex(derivative.output().unwrap(), 5));
            let at = |h: f32| {
                let y = ArrayD::from_shape_vec(t.raw_dim(), y(h.into())).unwrap();
                loss(&y, &t)
            };
            let want = slope(at, 1e-3);
            let a = linop::nufft(image, &locs, axes, options, out).unwrap();
            let t = complex(a.output().unwrap(), 5).to(&device).unwrap();
            let g = (a.apply(&x.to(&device).unwrap()).unwrap() - t).eval().unwrap();
            let gradient = derivative.vjp(&g, DType::F32).unwrap();
            let got = along(&gradient, &step.mapv(|s| Complex64::new(s.into(), 0.0)));
            assert!((got - want).abs() < 1e-4 * want.abs(), "{image} on {device}: {got}, expected {want}");
        }
        let error = of_nufft(&x, &locs, axes, options, out, "K").unwrap_err().to_string();
        assert!(error.contains("K is a dim of the samples"), "{error}");
    }
}

fn derivative_dims(a: &Linop) -> String {
    names(a.input().unwrap())
}

fn names(shape: &linops::Shape) -> String {
    shape.dims().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A scan of a few coils with these maps.
fn scan(maps: &Tensor) -> Linop {
    let f = linop::fft("C=3 Y=5 X=6", "Y X", FftOptions::default().centered(true)).unwrap().keep();
    let sampling = linop::sampling("C=3 Y=5 X=6", &mask("Y=5 X=6", 0.7, 2), "C S").unwrap();
    sampling * f * linop::diagonal("Y=5 X=6", maps).unwrap()
}

fn options<'a>(lambda: f32) -> SolveOptions<'a> {
    SolveOptions::default().lambda(lambda).iterations(300).tol(1e-7)
}

/// L = ½‖x − t‖² of a solution, and its gradient.
fn target() -> Tensor {
    complex("Y=5 X=6", 9)
}

#[test]
fn solutions_of_normal_equations() {
    let a = scan(&complex("C=3 Y=5 X=6", 1));
    let (matrix, n) = (Matrix::of(&a), a.n());
    let (b, t, lambda) = (complex("Y=5 X=6", 3), target(), 0.3f32);
    let step = complex("Y=5 X=6", 4);
    let at = |h: f32| {
        let moved = (&b + h * &step).eval().unwrap();
        loss(&matrix.solve_normal(lambda.into(), &wide(&moved)), &wide(&t))
    };
    let of_lambda = |h: f32| loss(&matrix.solve_normal(f64::from(lambda) + f64::from(h), &wide(&b)), &wide(&t));
    let (want_b, want_lambda) = (slope(at, 0.25), slope(of_lambda, 1e-4));
    for device in devices() {
        let x = cg(&n, &b.to(&device).unwrap(), options(lambda)).unwrap().x;
        let g = (&x - &t.to(&device).unwrap()).eval().unwrap();
        let gradient = solve_vjp(&n, &x, &g, options(lambda)).unwrap();
        let got = along(&gradient.b, &wide(&step));
        assert!((got - want_b).abs() < 1e-4 * want_b.abs(), "on {device}: {got}, expected {want_b}");
        let got = gradient.lambda;
        assert!((got - want_lambda).abs() < 1e-4 * want_lambda.abs(), "on {device}: {got}, expected {want_lambda}");
    }
    let error = solve_vjp(&n, &b, &complex("Y=5", 1), options(lambda)).unwrap_err().to_string();
    assert!(error.contains("solve_vjp: the gradient with regard to x"), "{error}");
}

#[test]
fn solutions_of_least_squares() {
    let (maps, lambda) = (complex("C=3 Y=5 X=6", 1), 0.3f32);
    let a = scan(&maps);
    let (y, t) = (complex(a.output().unwrap(), 3), target());
    let solved = |a: &Linop, y: &Tensor, lambda: f64| {
        let matrix = Matrix::of(a);
        loss(&matrix.solve_normal(lambda, &matrix.adjoint(&wide(y))), &wide(&t))
    };
    let (of_y, of_maps) = (complex(y.shape(), 4), complex(maps.shape(), 5));
    let want = [
        slope(|h| solved(&a, &(&y + h * &of_y).eval().unwrap(), lambda.into()), 0.25),
        slope(|h| solved(&a, &y, f64::from(lambda) + f64::from(h)), 1e-4),
        slope(|h| solved(&scan(&(&maps + h * &of_maps).eval().unwrap()), &y, lambda.into()), 2e-3),
    ];
    for device in devices() {
        let [y, t] = [&y, &t].map(|t| t.to(&device).unwrap());
        let x = cg(&a.n(), &a.h().apply(&y).unwrap(), options(lambda)).unwrap().x;
        let g = (&x - &t).eval().unwrap();
        let gradient = least_squares_vjp(&a, &y, &x, &g, options(lambda)).unwrap();
        // With regard to the maps: through what stands behind them, then their own.
        let behind = scan_behind();
        let with_maps = |x: &Tensor, g: &Tensor| (&behind * of_diagonal(maps.shape(), x)?).vjp(g, DType::Complex32);
        let got = [
            along(&gradient.y, &wide(&of_y)),
            gradient.lambda,
            along(&gradient.through(with_maps).unwrap(), &wide(&of_maps)),
        ];
        for (k, (got, want)) in got.into_iter().zip(want).enumerate() {
            assert!((got - want).abs() < 3e-4 * want.abs(), "{k} on {device}: {got}, expected {want}");
        }
    }
}

#[test]
fn minimisers_with_operators() {
    let a = scan(&complex("C=3 Y=5 X=6", 1));
    let (y, t) = (complex(a.output().unwrap(), 3), target());
    let gradient = linop::gradient("Y=5 X=6", "Y X", linop::GradientOptions::default()).unwrap();
    let of_x = linop::gradient("Y=5 X=6", "X", linop::GradientOptions::default()).unwrap();
    let lambdas = [0.3f32, 0.7];
    let problem = |l: [f64; 2]| Tikhonov::new(&a).term(l[0] as f32, &gradient).term(l[1] as f32, &of_x);
    let [wide_a, wide_g, wide_x] = [&a, &gradient, &of_x].map(Matrix::of);
    // In f64: the normal matrix of all rows, scaled by √λ.
    let solved = |y: &Tensor, l: [f64; 2]| {
        let all = wide_a.above(&wide_g, l[0].sqrt()).above(&wide_x, l[1].sqrt());
        loss(&all.solve_normal(0.0, &wide_a.adjoint(&wide(y))), &wide(&t))
    };
    let own = lambdas.map(f64::from);
    let of_y = complex(y.shape(), 4);
    let want = [
        slope(|h| solved(&(&y + h * &of_y).eval().unwrap(), own), 0.25),
        slope(|h| solved(&y, [own[0] + f64::from(h), own[1]]), 1e-4),
        slope(|h| solved(&y, [own[0], own[1] + f64::from(h)]), 1e-4),
    ];
    for device in devices() {
        let [y, t] = [&y, &t].map(|t| t.to(&device).unwrap());
        let problem = problem(own);
        let x = cg(&problem.normal().unwrap(), &problem.rhs(&y).unwrap(), options(0.0)).unwrap().x;
        let g = (&x - &t).eval().unwrap();
        let found = tikhonov_vjp(&problem, &x, &g, options(0.0)).unwrap();
        let got = [along(&found.y, &wide(&of_y)), found.lambdas[0], found.lambdas[1]];
        for (k, (got, want)) in got.into_iter().zip(want).enumerate() {
            assert!((got - want).abs() < 3e-4 * want.abs(), "{k} on {device}: {got}, expected {want}");
        }
    }
}

/// ½‖x − t‖² of a minimiser in f64.
fn loss_of_minimiser(a: &Linop, y: &Tensor, terms: &[Term], t: &ArrayD<Complex64>) -> f64 {
    let (_, x) = minimiser::answer(a, y, terms, 0.0);
    let x = ArrayD::from_shape_vec(t.raw_dim(), x.iter().copied().collect()).unwrap();
    loss(&x, t)
}

/// A problem with one weight, the terms of which the answer in f64 has, and the methods that are to solve it.
struct Sparse {
    name: &'static str,
    a: Linop,
    y: Tensor,
    weight: f64,
    problem: fn(&Linop, &Tensor, f64) -> Problem,
    terms: Box<dyn Fn(f64) -> Vec<Term>>,
    method: Method,
    /// Of the gradients, as a part of them.
    tol: f64,
}

fn sparse() -> Vec<Sparse> {
    let shape = "Y=5 X=6";
    let blocks: Vec<Complex32> = (0..30)
        .map(|i| Complex32::from(if (1..4).contains(&(i / 6)) && (2..5).contains(&(i % 6)) { 2.0 } else { 0.3 }))
        .collect();
    let blocks = Tensor::from_vec(shape, blocks).unwrap();
    let scanned = |a: &Linop| (a.apply(&blocks).unwrap() + 0.1 * complex(a.output().unwrap(), 8)).eval().unwrap();
    let scan = scan(&complex("C=3 Y=5 X=6", 1));
    let seen = scanned(&scan);
    let differences = linop::gradient(shape, "Y X", linop::GradientOptions::default()).unwrap();
    let along = linop::gradient(shape, "X", linop::GradientOptions::default()).unwrap();
    let blur = linop::diagonal(shape, &(real(shape, 9) * 0.2 + 1.0).eval().unwrap()).unwrap();
    let picture = (blur.apply(&blocks.real().unwrap()).unwrap() + 0.3 * real(shape, 10)).eval().unwrap();
    let l1 = |x: &'static str| move |w: f64| vec![Term::l1(&linop::identity(x).unwrap(), w, 1)];
    vec![
        Sparse {
            name: "l1 of a scan",
            a: scan.clone(),
            y: complex(scan.output().unwrap(), 3),
            weight: 0.6,
            problem: |a, y, w| Problem::new(a, y).unwrap().l1(w).unwrap(),
            terms: Box::new(l1(shape)),
            method: Method::Fista,
            tol: 2e-3,
        },
        Sparse {
            name: "total variation of a scan",
            a: scan,
            y: seen,
            weight: 0.4,
            problem: |a, y, w| Problem::new(a, y).unwrap().tv(w, "Y X").unwrap(),
            terms: Box::new(move |w| vec![Term::l1(&differences, w, 2)]),
            method: Method::Admm,
            tol: 1e-2,
        },
        Sparse {
            name: "total variation along an axis of a picture without negative values",
            a: blur.clone(),
            y: (&picture - 0.5).eval().unwrap(),
            weight: 0.3,
            problem: |a, y, w| Problem::new(a, y).unwrap().tv(w, "X").unwrap().non_negative(),
            terms: Box::new(move |w| vec![Term::l1(&along, w, 1), Term::NonNegative { n: 30 }]),
            method: Method::Admm,
            tol: 1e-2,
        },
    ]
}

#[test]
fn minimisers_with_magnitudes() {
    for case in sparse() {
        let Sparse { name, a, y, weight, problem, terms, method, tol } = case;
        let real_valued = y.dtype() == DType::F32;
        let t = if real_valued { real("Y=5 X=6", 5) } else { complex("Y=5 X=6", 5) };
        let of_y = if real_valued { real(y.shape(), 4) } else { complex(y.shape(), 4) };
        let at = |y: &Tensor, w: f64| loss_of_minimiser(&a, y, &terms(w), &wide(&t));
        let h = 1e-3;
        let want = [
            slope(|h| at(&(&y + h * &of_y).eval().unwrap(), weight), h),
            slope(|h| at(&y, weight + f64::from(h)), h),
            // Of the strength of A.
            slope(|h| loss_of_minimiser(&(&a * (1.0 + h)), &y, &terms(weight), &wide(&t)), h),
        ];
        for device in devices() {
            let (y, t) = (y.to(&device).unwrap(), t.to(&device).unwrap());
            let problem = problem(&a, &y, weight);
            let options = ConvexOptions::default().method(Some(method)).tol(1e-9).iterations(3000);
            let x = problem.solve(options).unwrap().x;
            let g = (&x - &t).eval().unwrap();
            let found = convex_vjp(&problem, &x, &g, ConvexGradientOptions::default()).unwrap();
            let strength = found
                .through(|input, g| {
                    let made = a.apply(input)?;
                    Tensor::from_slice("", &[made.dot(g)?.re as f32])
                })
                .unwrap();
            let got = [along(&found.y, &wide(&of_y)), found.weights[0], f64::from(strength.to_real_vec().unwrap()[0])];
            println!("{name} on {device}: {got:?}, expected {want:?} ({})", found.stop);
            for (k, (got, want)) in got.into_iter().zip(want).enumerate() {
                assert!((got - want).abs() < tol * want.abs(), "{name}, {k} on {device}: {got}, expected {want}");
            }
        }
    }
}

/// Of a transform that is orthonormal zeros are kept exactly, as they are for x; of several shifts of it by a large weight.
#[test]
fn minimisers_with_wavelets() {
    let shape = "Y=8 X=8";
    let a = linop::diagonal(shape, &(real(shape, 1) * 0.2 + 1.0).eval().unwrap()).unwrap();
    let (y, t, of_y) = (real(shape, 2), real(shape, 3), real(shape, 4));
    let options = linop::WaveletOptions::default().levels(Some(2)).boundary(linop::WaveletBoundary::Periodization);
    let w = linop::wavelet(shape, "Y X", &options).unwrap().keep();
    for shifts in [1, 2] {
        let weights: Vec<f64> = (0..64).map(|i| f64::from(u8::from(i / 8 >= 2 || i % 8 >= 2))).collect();
        let terms = |weight: f64| {
            let term = |s: usize| {
                let by = (s * 4 / shifts) as i64;
                let k = &w * linop::roll(shape, &[("Y", by), ("X", by)]).unwrap();
                let k = minimiser::dense(&k);
                Term::L1 { k, weight: weight / shifts as f64, members: 1, weights: weights.clone() }
            };
            (0..shifts).map(term).collect::<Vec<_>>()
        };
        let at = |y: &Tensor, w: f64| loss_of_minimiser(&a, y, &terms(w), &wide(&t));
        let h = 1e-3;
        let want = [slope(|h| at(&(&y + h * &of_y).eval().unwrap(), 0.4), h), slope(|h| at(&y, 0.4 + f64::from(h)), h)];
        let penalty = WaveletPenalty::default().wavelet(options.wavelet.clone()).levels(2).shifts(shifts);
        for device in devices() {
            let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap();
            let problem = problem.l1_wavelet(0.4, "Y X", &penalty).unwrap();
            let x = problem.solve(ConvexOptions::default().tol(1e-9).iterations(3000)).unwrap().x;
            let g = (&x - t.to(&device).unwrap()).eval().unwrap();
            let found = convex_vjp(&problem, &x, &g, ConvexGradientOptions::default()).unwrap();
            // The weight that is given is that of all shifts.
            let of_weight: f64 = found.weights.iter().sum::<f64>() / shifts as f64;
            for (got, want) in [along(&found.y, &wide(&of_y)), of_weight].into_iter().zip(want) {
                println!("{shifts} shifts, {device}: {got}, expected {want} ({})", found.stop);
                assert!((got - want).abs() < 1e-2 * want.abs(), "{shifts} shifts, {device}: {got}, expected {want}");
            }
        }
    }
}

/// Flat stretches of many pixels move as one, though differences hardly see what is smooth in them; the mean of a picture is no measure of
/// its details; bounds may be anywhere, and terms in any order.
#[test]
fn minimisers_of_large_pieces() {
    let shape = "X=150";
    let steps = (0..150).map(|i| if i < 60 { 40.0f32 } else { 41.5 } + 0.3 * ((i * 37 % 11) as f32 / 11.0 - 0.5));
    let y = Tensor::from_vec(shape, steps.collect()).unwrap();
    let a = linop::identity(shape).unwrap();
    // A slope: what a weight for differences lets through.
    let t = Tensor::from_vec(shape, (0..150).map(|i| 40.0 + 0.02 * i as f32).collect()).unwrap();
    let of_y = Tensor::from_vec(shape, (0..150).map(|i| (i as f32 / 75.0 - 1.0) * 0.3).collect()).unwrap();
    let h = 1e-3;
    for kind in ["tv", "bounds first", "bounds last"] {
        let problem = |y: &Tensor| {
            let problem = Problem::new(&a, y).unwrap();
            match kind {
                "tv" => problem.tv(1.5, "X").unwrap(),
                "bounds first" => problem.boxed(39.0, 41.3).unwrap().tv(1.5, "X").unwrap(),
                _ => problem.tv(1.5, "X").unwrap().boxed(39.0, 41.3).unwrap(),
            }
        };
        // In one dimension by the pieces: their means move by λ over their sizes, and what is above the bound stays.
        let wide_of = |t: &Tensor| -> Vec<f64> { t.to_real_vec().unwrap().iter().map(|v| f64::from(*v)).collect() };
        let (wide_y, wide_d) = (wide_of(&y), wide_of(&of_y));
        let flat = |h: f64, weight: f64| {
            let y: Vec<f64> = wide_y.iter().zip(&wide_d).map(|(y, d)| y + h * d).collect();
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            let (low, high) = (mean(&y[..60]) + weight / 60.0, mean(&y[60..]) - weight / 90.0);
            let high = if kind.starts_with("bounds") { 41.3 } else { high };
            let x: Vec<Complex64> = (0..150).map(|i| Complex64::from(if i < 60 { low } else { high })).collect();
            loss(&ArrayD::from_shape_vec(IxDyn(&[150]), x).unwrap(), &wide(&t))
        };
        let want = [slope(|h| flat(h.into(), 1.5), h), slope(|h| flat(0.0, 1.5 + f64::from(h)), h)];
        for device in devices() {
            let problem = problem(&y.to(&device).unwrap());
            let x = problem.solve(ConvexOptions::default().tol(1e-9).iterations(3000)).unwrap().x;
            let g = (&x - t.to(&device).unwrap()).eval().unwrap();
            let found = convex_vjp(&problem, &x, &g, ConvexGradientOptions::default()).unwrap();
            let weight: f64 = found.weights.iter().sum();
            println!(
                "{kind}, {device}: {} {weight}, expected {want:?} ({})",
                along(&found.y, &wide(&of_y)),
                found.stop
            );
            for (got, want) in [along(&found.y, &wide(&of_y)), weight].into_iter().zip(want) {
                assert!((got - want).abs() < 1e-3 * want.abs(), "{kind}, {device}: {got}, expected {want}");
            }
        }
    }
}

/// Zeros of a linop that is not known as differences are held by a weight, whatever its scale, and what that does not hold is refused.
#[test]
fn zeros_of_other_linops_are_held_or_refused() {
    let of = |n: usize, scale: f32| {
        let shape = format!("X={n}");
        let steps =
            (0..n).map(|i| if 5 * i < 2 * n { 40.0f32 } else { 41.5 } + 0.3 * ((i * 37 % 11) as f32 / 11.0 - 0.5));
        let y = Tensor::from_vec(shape.clone(), steps.collect()).unwrap();
        let k = linop::gradient(shape.clone(), "X", linop::GradientOptions::default()).unwrap() * scale;
        let problem = Problem::new(&linop::identity(shape.clone()).unwrap(), &y).unwrap();
        let l1 = linops::functional::l1(f64::from(1.5 / scale)).unwrap();
        let x =
            problem.clone().tv(1.5, "X").unwrap().solve(ConvexOptions::default().tol(1e-9).iterations(3000)).unwrap().x;
        let g = Tensor::from_vec(shape, (0..n).map(|i| i as f32 / n as f32 - 0.3).collect()).unwrap();
        let options = ConvexGradientOptions::default;
        let want = convex_vjp(&problem.clone().tv(1.5, "X").unwrap(), &x, &g, options()).unwrap();
        (want, convex_vjp(&problem.term_of(l1, &k), &x, &g, options()))
    };
    for scale in [1.0, 1e-3, 1e3] {
        let (want, found) = of(10, scale);
        let found = found.unwrap();
        let off = (&found.y - &want.y).norm().unwrap() / want.y.norm().unwrap();
        assert!(off < 2e-2, "times {scale}: {off:.1e}");
        let weight = found.weights[0] / f64::from(scale);
        assert!((weight - want.weights[0]).abs() < 2e-2 * want.weights[0].abs(), "{weight} {}", want.weights[0]);
    }
    let error = of(400, 1.0).1.unwrap_err().to_string();
    assert!(error.contains("not held well enough"), "{error}");
}

/// Approximations that are not penalised are no measure of the details.
#[test]
fn an_offset_leaves_the_gradient() {
    let shape = "Y=8 X=8";
    let a = linop::identity(shape).unwrap();
    let (y, t, of_y) = (real(shape, 2), real(shape, 3), real(shape, 4));
    let penalty = WaveletPenalty::default().levels(2);
    for device in devices() {
        let found = [0.0f32, 300.0].map(|offset| {
            let y = (&y + offset).eval().unwrap().to(&device).unwrap();
            let problem = Problem::new(&a, &y).unwrap().l1_wavelet(0.4, "Y X", &penalty).unwrap();
            let options = ConvexOptions::default().method(Some(Method::Fista)).tol(0.0).iterations(60);
            let x = problem.solve(options).unwrap().x;
            let g = (&x - (&t + offset).eval().unwrap().to(&device).unwrap()).eval().unwrap();
            let found = convex_vjp(&problem, &x, &g, ConvexGradientOptions::default()).unwrap();
            [along(&found.y, &wide(&of_y)), found.weights[0]]
        });
        let [plain, far] = found;
        assert!(plain.iter().zip(far).all(|(a, b)| (a - b).abs() < 1e-2 * a.abs()), "{device}: {plain:?} {far:?}");
    }
}

#[test]
fn gradients_through_what_has_no_curvature_are_refused() {
    let (a, y) = (linop::identity("Y=4 X=4").unwrap(), real("Y=4 X=4", 1));
    let problem = || Problem::new(&a, &y).unwrap();
    let of = |problem: Problem, x: &Tensor, g: &Tensor| {
        convex_vjp(&problem, x, g, ConvexGradientOptions::default()).unwrap_err().to_string()
    };
    let error = of(problem().tgv(0.1, "Y X").unwrap(), &y, &y);
    assert!(error.contains("tgv has a field"), "{error}");
    let error = of(problem().llr(0.1, "Y", &[2]).unwrap(), &y, &y);
    assert!(error.contains("no curvature that is known"), "{error}");
    let seen = Problem::new(&a, &y).unwrap().supported(&mask("Y=4 X=4", 0.5, 1)).unwrap().l1(0.1).unwrap();
    let error = of(seen, &y, &y);
    assert!(error.contains("without `supported`"), "{error}");
    for options in [
        ConvexGradientOptions::default().iterations(0),
        ConvexGradientOptions::default().tol(f64::NAN),
        ConvexGradientOptions::default().zero(-1.0),
    ] {
        let error = convex_vjp(&problem().l1(0.1).unwrap(), &y, &y, options).unwrap_err().to_string();
        assert!(error.contains("expected at least 1"), "{error}");
    }
    let error = of(problem().l1(0.1).unwrap(), &y, &real("Y=4 X=5", 1));
    assert!(error.contains("the gradient with regard to x"), "{error}");
    // What nothing sees has no gradient, and that is said.
    let blind = linop::zero("Y=4 X=4", "Y=4 X=4").unwrap();
    let zero = Problem::new(&blind, &Tensor::zeros("Y=4 X=4", DType::F32).unwrap()).unwrap();
    let found = convex_vjp(&zero, &y, &y, ConvexGradientOptions::default()).unwrap();
    assert!(matches!(found.stop, linops::solve::Stop::Breakdown(_)), "{}", found.stop);
}

fn scan_behind() -> Linop {
    let f = linop::fft("C=3 Y=5 X=6", "Y X", FftOptions::default().centered(true)).unwrap().keep();
    linop::sampling("C=3 Y=5 X=6", &mask("Y=5 X=6", 0.7, 2), "C S").unwrap() * f
}

#[test]
fn a_linop_of_real_values_has_real_gradients() {
    let f = linop::fft("N=8", "N", FftOptions::default()).unwrap();
    let (x, t) = (real("N=8", 1), complex(f.output().unwrap(), 2));
    let step = real("N=8", 3);
    let at = |h: f32| loss(&apply_f64(&f, &wide(&(&x + h * &step).eval().unwrap())).unwrap(), &wide(&t));
    let want = slope(at, 0.25);
    for device in devices() {
        let g = (f.apply(&as_complex(&x).to(&device).unwrap()).unwrap() - t.to(&device).unwrap()).eval().unwrap();
        let gradient = f.vjp(&g, DType::F32).unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        assert!((along(&gradient, &wide(&step)) - want).abs() < 1e-5 * want.abs(), "{device}");
    }
}
