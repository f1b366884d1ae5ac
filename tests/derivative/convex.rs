//! Gradients through minimisers, against differences of minimisers in f64.

use super::common::data::{complex, real, wide};
use super::common::devices;
use super::common::minimiser::{self, Term};
use super::{along, loss, scan, slope};
use linops::convex::{ConvexOptions, Method, Problem, WaveletPenalty};
use linops::derivative::{ConvexGradientOptions, convex_vjp};
use linops::linop;
use linops::num_complex::{Complex32, Complex64};
use linops::{DType, Linop, Tensor};
use ndarray::{ArrayD, IxDyn};

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

/// All but a corner and a pixel.
fn support() -> Tensor {
    let inside = |i: usize| f32::from((i / 6 > 1 || i % 6 > 1) && i != 20);
    Tensor::from_vec("Y=5 X=6", (0..30).map(inside).collect()).unwrap()
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
    let inside = linop::diagonal(shape, &support()).unwrap();
    let parts = &scan * &inside;
    let seen_parts = scanned(&parts);
    let differences_of_parts = &differences * &inside;
    vec![
        Sparse {
            name: "l1 and total variation over a support",
            a: parts,
            y: seen_parts,
            weight: 0.5,
            problem: |a, y, w| {
                let problem = Problem::new(a, y).unwrap().supported(&support()).unwrap();
                problem.tv(w, "Y X").unwrap().l1(0.05).unwrap()
            },
            terms: Box::new(move |w| {
                vec![Term::l1(&differences_of_parts, w, 2), Term::l1(&linop::identity(shape).unwrap(), 0.05, 1)]
            }),
            method: Method::Admm,
            tol: 1e-2,
        },
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
    let seen = Problem::new(&a, &y).unwrap().supported(&(&y * 2.0).eval().unwrap()).unwrap().l1(0.1).unwrap();
    let error = of(seen, &y, &y);
    assert!(error.contains("other values than 0 and 1"), "{error}");
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
