//! Derivatives against differences of losses that are computed in f64.

#[path = "../common/mod.rs"]
mod common;

mod convex;

use common::data::{Random, as_complex, complex, distance, inner, mask, real, wide, widened};
use common::devices;
use common::matrix::Matrix;
use linops::derivative::{
    least_squares_vjp, of_convolve, of_dense, of_diagonal, of_nufft, solve_vjp, solve_vjp_by, tikhonov_vjp,
};
use linops::linop::{self, Accuracy, Boundary, ConvolveMode, ConvolveOptions, FftOptions, NufftOptions};
use linops::num_complex::{Complex32, Complex64};
use linops::solve::{SolveOptions, Tikhonov, cg, minres, pcg, precondition};
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
        // By other solvers.
        let m = precondition::jacobi(&precondition::diagonal(&n, 30, &device).unwrap(), lambda).unwrap();
        for by in [
            solve_vjp_by(&x, &g, |g| pcg(&n, &m, g, options(lambda))).unwrap(),
            solve_vjp_by(&x, &g, |g| minres(&n, g, options(lambda))).unwrap(),
        ] {
            assert!((along(&by.b, &wide(&step)) - want_b).abs() < 1e-4 * want_b.abs(), "on {device}");
            assert!((by.lambda - want_lambda).abs() < 1e-4 * want_lambda.abs(), "on {device}");
        }
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
