//! Convex solvers against answers in f64, on every device.

#[path = "../common/mod.rs"]
mod common;
mod constraints;
#[cfg(feature = "gpu")]
mod counts;
mod endings;
mod rates;
mod same;
#[cfg(feature = "app")]
mod scans;
mod starts;

use common::data::{complex, mask, real};
use common::devices;
use common::minimiser::{Dense, Term, answer, answer_of, dense, objective, vector};
use linops::convex::{ConvexOptions, Method, Problem, Solved, WaveletPenalty};
use linops::functional::l1;
use linops::linop::{self, ConvolveMode, ConvolveOptions, FftOptions, Geometry, GradientOptions};
use linops::solve::Stop;
use linops::{Device, Linop, Tensor};
use nalgebra::DVector;
use num_complex::{Complex32, Complex64};

/// Two-dimensional SENSE with three coils, undersampled.
fn sense() -> Linop {
    let maps = linop::diagonal("Y=8 X=7", &complex("C=3 Y=8 X=7", 1)).unwrap();
    let f = linop::fft("C=3 Y=8 X=7", "Y X", FftOptions::default().centered(true)).unwrap().keep();
    let m = linop::diagonal("C=3 Y=8 X=7", &mask("Y=8 X=7", 0.6, 2)).unwrap();
    m * f * maps
}

/// Solves on every device and compares objective and image with the answer.
fn compare(
    name: &str,
    problem: &dyn Fn(&Device) -> Problem,
    a: &Linop,
    y: &Tensor,
    terms: &[Term],
    mu: f64,
    options: &dyn Fn() -> ConvexOptions<'static>,
) -> Vec<Solved> {
    let (least, want) = answer(a, y, terms, mu);
    let (dense, data) = (dense(a), vector(y));
    let mut all = Vec::new();
    for device in devices() {
        let problem = problem(&device);
        let solved = problem.solve(options()).unwrap();
        let x = vector(&solved.x);
        let found = objective(&dense, &data, terms, mu, &x);
        let error = (&x - &want).norm() / want.norm();
        println!(
            "{name} {device}: {} {} iterations {:?}, F {found:.7} of {least:.7} ({:.1e}), x {error:.1e}, halved {}",
            solved.method,
            solved.iterations,
            solved.stop,
            found / least - 1.0,
            solved.halved
        );
        assert!(matches!(solved.stop, Stop::Converged), "{name} {device}: {:?}", solved.stop);
        assert!(found <= least * (1.0 + 1e-4), "{name} {device}: {found} against {least}");
        assert!(
            (solved.objective / found - 1.0).abs() < 2e-5,
            "{name} {device}: says {}, is {found}",
            solved.objective
        );
        all.push(solved);
    }
    all
}

#[test]
fn l1_by_all_methods() {
    let a = sense();
    let y = complex(a.output().unwrap(), 3);
    let id = linop::identity("Y=8 X=7").unwrap();
    let weight = 0.1 * Problem::new(&a, &y).unwrap().scale().unwrap();
    for method in [Method::Ista, Method::Fista, Method::Pogm, Method::Admm, Method::Pdhg, Method::Irls] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().l1(weight).unwrap();
        compare(&format!("l1 {method}"), &problem, &a, &y, &[Term::l1(&id, weight, 1)], 0.0, &options);
    }
}

/// Squares alone, of x and of linops, are solved by conjugate gradients.
#[test]
fn squares_by_conjugate_gradients() {
    let a = sense();
    let y = complex(a.output().unwrap(), 8);
    let k = linop::gradient("Y=8 X=7", "Y X", GradientOptions::default()).unwrap();
    let (dense_a, dense_k, data) = (dense(&a), dense(&k), vector(&y));
    let system = dense_a.adjoint() * &dense_a
        + dense_k.adjoint() * &dense_k * Complex64::from(0.3)
        + Dense::identity(56, 56) * Complex64::from(0.05);
    let want = system.try_inverse().unwrap() * dense_a.adjoint() * &data;
    let least = objective(&dense_a, &data, &[], 0.05, &want) + 0.15 * (&dense_k * &want).norm_squared();
    for device in devices() {
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap();
        let problem = problem.l2(0.05).unwrap().term_of(linops::functional::l2_squared(0.3).unwrap(), &k);
        let solved = problem.solve(ConvexOptions::default()).unwrap();
        let off = (vector(&solved.x) - &want).norm() / want.norm();
        println!("{device}: {} iterations, {:?}, {off:.1e} off", solved.iterations, solved.stop);
        assert!(solved.method == Method::Cg && off < 1e-3, "{device}: {off} by {}", solved.method);
        assert!((solved.objective / least - 1.0).abs() < 1e-5, "{device}: {} of {least}", solved.objective);
        assert!(solved.history.iter().all(|r| r.residual.is_some()) && !solved.history.is_empty());
        // From the answer there is nothing to do, and a cancelled solve gives what it has.
        let loose = problem.solve(ConvexOptions::default().tol(0.3)).unwrap();
        assert!(loose.iterations <= solved.iterations, "{} and {}", loose.iterations, solved.iterations);
        let again = problem.clone().start(&solved.x).unwrap().solve(ConvexOptions::default()).unwrap();
        assert!(again.iterations <= solved.iterations && again.objective <= solved.objective * (1.0 + 1e-6));
        let cancel = std::sync::atomic::AtomicBool::new(true);
        let options = ConvexOptions::default().check_every(1).cancel(&cancel);
        let cancelled = problem.solve(options).unwrap();
        assert!(cancelled.stop == Stop::Cancelled && cancelled.iterations <= 2, "{:?}", cancelled.stop);
        let refused = problem.clone().l1(0.1).unwrap().solve(ConvexOptions::default().method(Some(Method::Cg)));
        assert!(refused.unwrap_err().to_string().contains("squares"));
    }
}

#[test]
fn total_variation_by_all_methods() {
    let a = sense();
    let y = complex(a.output().unwrap(), 4);
    let g = linop::gradient("Y=8 X=7", "Y X", GradientOptions::default()).unwrap();
    let weight = 0.03 * Problem::new(&a, &y).unwrap().scale().unwrap();
    for method in [Method::Admm, Method::Pdhg, Method::Ista, Method::Fista] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().tv(weight, "Y X").unwrap();
        compare(&format!("tv {method}"), &problem, &a, &y, &[Term::l1(&g, weight, 2)], 0.0, &options);
    }
}

/// Projections see low frequencies far better than high ones, and so does a blur: the system of ADMM is preconditioned, so that one step
/// an iteration is enough.
#[test]
fn uneven_spectra_take_one_step_an_iteration() {
    let angles: Vec<f64> = (0..5).map(|k| 0.63 * f64::from(k)).collect();
    let views = linop::projection("Y=9 X=8", "Y X", &Geometry::parallel(&angles, 12), "A D").unwrap();
    let taps: Vec<f32> =
        (0..25).map(|k| (-0.3 * f32::hypot((k / 5) as f32 - 2.0, (k % 5) as f32 - 2.0).powi(2)).exp()).collect();
    let kernel = Tensor::from_vec("Y=5 X=5", taps).unwrap();
    let blur = linop::convolve("Y=9 X=8", &kernel, "Y X", ConvolveOptions::default().mode(ConvolveMode::Full)).unwrap();
    let image: Vec<f32> = (0..72).map(|k| f32::from(u8::from((2..6).contains(&(k / 8)) && k % 8 > 2))).collect();
    let image = Tensor::from_vec("Y=9 X=8", image).unwrap();
    for (name, a, weight) in [("views", views, 0.5), ("blur", blur, 0.05)] {
        let noise = real(a.output().unwrap(), 5);
        let y = (a.apply(&image).unwrap() + noise * 0.05).eval().unwrap();
        let k = linop::gradient("Y=9 X=8", "Y X", GradientOptions::default()).unwrap();
        let make = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().tv(weight, ["Y", "X"]).unwrap();
        let options = || ConvexOptions::default().inner(1).iterations(400);
        compare(name, &make, &a, &y, &[Term::l1(&k, weight, 2)], 0.0, &options);
    }
}

#[test]
fn denoising_with_a_constraint() {
    let a = linop::identity("Y=9 X=7").unwrap();
    let y = real("Y=9 X=7", 5);
    let g = linop::gradient("Y=9 X=7", "Y X", GradientOptions::default()).unwrap();
    let terms = [Term::l1(&g, 0.3, 2), Term::NonNegative { n: 63 }];
    for method in [Method::Admm, Method::Pdhg, Method::Fgp] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().tv(0.3, "Y X").unwrap().non_negative();
        let all = compare(&format!("tv, x >= 0 {method}"), &problem, &a, &y, &terms, 0.0, &options);
        for solved in all {
            assert!(vector(&solved.x).iter().all(|v| v.re >= 0.0));
        }
    }
}

#[test]
fn a_dual_of_several_terms_and_squares() {
    let a = linop::identity("Y=9 X=8").unwrap();
    let y = complex("Y=9 X=8", 6);
    let g = linop::gradient("Y=9 X=8", "Y X", GradientOptions::default()).unwrap();
    let h = linop::finite_difference("Y=9 X=8", "X", linop::Border::default()).unwrap();
    let terms = [Term::l1(&g, 0.2, 2), Term::l1(&h, 0.1, 1), Term::l1(&a, 0.05, 1)];
    for method in [None, Some(Method::Admm), Some(Method::Pdhg), Some(Method::Irls)] {
        let options = || ConvexOptions::default().method(method).iterations(5000);
        let problem = |d: &Device| {
            let problem = Problem::new(&a, &y.to(d).unwrap()).unwrap();
            let problem = problem.tv(0.2, "Y X").unwrap().term_of(l1(0.1).unwrap(), &h);
            problem.l1(0.05).unwrap().l2(0.5).unwrap()
        };
        for solved in compare("tv, differences, l1, squares", &problem, &a, &y, &terms, 0.5, &options) {
            assert_eq!(solved.method, method.unwrap_or(Method::Fgp));
            // The gap bounds what is left.
            let last = solved.history.last().unwrap();
            assert!(last.gap.is_none_or(|gap| gap <= 1e-4), "{last:?}");
        }
    }
    let masked = linop::diagonal("Y=9 X=8", &mask("Y=9 X=8", 0.6, 2)).unwrap();
    let problem = Problem::new(&masked, &y).unwrap().tv(0.2, "Y X").unwrap();
    let error = problem.solve(ConvexOptions::default().method(Some(Method::Fgp))).unwrap_err().to_string();
    assert!(error.contains("use admm or pdhg"), "{error}");
}

#[test]
fn wavelets_are_orthonormal_details() {
    let a = sense();
    let y = complex(a.output().unwrap(), 6);
    // Seven columns are filled up to eight; shifts average.
    for (shape, shifts) in [("Y=8 X=8", 1), ("Y=8 X=7", 1), ("Y=8 X=8", 2)] {
        let a = if shape == "Y=8 X=8" { linop::diagonal(shape, &complex(shape, 8)).unwrap() } else { a.clone() };
        let y = if shape == "Y=8 X=8" { complex(shape, 7) } else { y.clone() };
        let weight = 0.1 * Problem::new(&a, &y).unwrap().scale().unwrap();
        let penalty = WaveletPenalty::default().wavelet("db2".parse().unwrap()).levels(2).shifts(shifts);
        let make =
            |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().l1_wavelet(weight, "Y X", &penalty).unwrap();
        let pad = linop::pad(shape, "Y=8 X=8", linop::Align::Start).unwrap().keep();
        let options = linop::WaveletOptions::default()
            .wavelet("db2".parse().unwrap())
            .levels(Some(2))
            .boundary(linop::WaveletBoundary::Periodization);
        let w = linop::wavelet("Y=8 X=8", "Y X", &options).unwrap().keep();
        let terms: Vec<Term> = (0..shifts)
            .map(|s| {
                let by = (s * 4 / shifts) as i64;
                let k = &w * &(linop::roll("Y=8 X=8", &[("Y", by), ("X", by)]).unwrap() * &pad);
                let weights = (0..64).map(|i| f64::from(i / 8 >= 2 || i % 8 >= 2)).collect();
                Term::L1 { k: crate::dense(&k), weight: weight / shifts as f64, members: 1, weights }
            })
            .collect();
        let options = || ConvexOptions::default().iterations(5000);
        compare(&format!("wavelet {shape} {shifts}"), &make, &a, &y, &terms, 0.0, &options);
    }
}

#[test]
fn tgv_has_a_field_of_its_own() {
    let shape = "Y=7 X=6";
    let a = linop::identity(shape).unwrap();
    let y = real(shape, 9);
    let weight = 0.2;
    let g = linop::gradient(shape, "Y X", GradientOptions::default()).unwrap();
    let e = linop::symmetrised_gradient("D=2 Y=7 X=6", "Y X", GradientOptions::default().ahead(false)).unwrap();
    // The unknown (x, v), as dense matrices.
    let (g, e, id) = (dense(&g), dense(&e), dense(&a));
    let (n, m) = (42, 84);
    let mut bend = Dense::zeros(m, n + m);
    bend.view_mut((0, 0), (m, n)).copy_from(&g);
    bend.view_mut((0, n), (m, m)).copy_from(&(-Dense::identity(m, m)));
    let mut curve = Dense::zeros(e.nrows(), n + m);
    curve.view_mut((0, n), (e.nrows(), m)).copy_from(&e);
    let mut whole = Dense::zeros(n, n + m);
    whole.view_mut((0, 0), (n, n)).copy_from(&id);
    let terms = [
        Term::L1 { weights: vec![1.0; m], k: bend, weight, members: 2 },
        Term::L1 { weights: vec![1.0; e.nrows()], k: curve, weight: 2.0 * weight, members: 3 },
    ];
    let (least, want) = answer_of(&whole, &vector(&y), &terms, 0.0);
    for device in devices() {
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().tgv(weight, "Y X").unwrap();
        let solved = problem.solve(ConvexOptions::default().iterations(5000)).unwrap();
        let x = vector(&solved.x);
        let error = (&x - want.rows(0, n)).norm() / want.rows(0, n).norm();
        println!("tgv {device}: {} iterations, F {} of {least}, x {error:.1e}", solved.iterations, solved.objective);
        assert!(solved.objective <= least * (1.0 + 1e-4) && solved.objective >= least * (1.0 - 2e-5));
        assert!(error < 2e-2, "{error}");
    }
}

/// Phantom-like data: a few flat pieces and noise, undersampled.
fn pieces() -> (Linop, Tensor) {
    let a = sense();
    let image: Vec<Complex32> = (0..56)
        .map(|i| {
            let (y, x) = (i / 7, i % 7);
            Complex32::from(if (2..6).contains(&y) && (1..5).contains(&x) { 2.0 } else { 0.2 })
        })
        .collect();
    let y = a.apply(&Tensor::from_vec("Y=8 X=7", image).unwrap()).unwrap();
    let noise = complex(y.shape().clone(), 20).to_vec().unwrap();
    let noisy: Vec<Complex32> = y.to_vec().unwrap().iter().zip(&noise).map(|(y, n)| y + n * 0.05).collect();
    (a.clone(), Tensor::from_vec(y.shape().clone(), noisy).unwrap())
}

fn times(t: &Tensor, factor: f32) -> Tensor {
    Tensor::from_vec(t.shape().clone(), t.to_vec().unwrap().iter().map(|v| v * factor).collect::<Vec<_>>()).unwrap()
}

#[test]
fn relative_weights_mean_the_same_at_any_scale() {
    let (a, y) = pieces();
    let solve = |factor: f32, device: &Device| {
        let y = times(&y, factor).to(device).unwrap();
        let problem = Problem::new(&a, &y).unwrap();
        let weight = 0.01 * problem.scale().unwrap();
        let x = problem.tv(weight, "Y X").unwrap().solve(ConvexOptions::default()).unwrap().x;
        vector(&x) / Complex64::from(f64::from(factor))
    };
    for device in devices() {
        let want = solve(1.0, &device);
        for factor in [1e6, 1e-6, 1e-30, 1e25] {
            let off = (solve(factor, &device) - &want).norm() / want.norm();
            assert!(off < 1e-3, "times {factor}: {off}");
        }
    }
}

/// A times c has the same objective, misfit and readings at x/c: squares of c do not leave the range of f32.
#[test]
fn a_linop_of_any_strength_has_the_same_image() {
    let (a, y) = pieces();
    let norm = dense(&a).singular_values()[0].powi(2) * 1.001;
    let cases = [
        ("l1", vec![Method::Fista, Method::Pogm, Method::Admm, Method::Pdhg]),
        ("tv", vec![Method::Admm, Method::Pdhg, Method::Irls]),
        ("l2 and tv", vec![Method::Admm, Method::Pdhg]),
    ];
    for device in devices() {
        let y = y.to(&device).unwrap();
        for (terms, methods) in &cases {
            for method in methods {
                let solve = |factor: f32, known: bool, start: Option<&Tensor>| {
                    let a = factor * &a;
                    let problem = Problem::new(&a, &y).unwrap();
                    let weight = 0.02 * problem.scale().unwrap();
                    let square = 0.1 * f64::from(factor).powi(2);
                    let problem = match *terms {
                        "l1" => problem.l1(weight).unwrap(),
                        "tv" => problem.tv(weight, "Y X").unwrap(),
                        _ => problem.l2(square).unwrap().tv(weight, "Y X").unwrap(),
                    };
                    let problem = match start {
                        Some(x) => problem.start(&(x * (1.0 / factor)).eval().unwrap()).unwrap(),
                        None => problem,
                    };
                    let options = ConvexOptions::default().method(Some(*method)).iterations(2000);
                    problem.solve(options.norm(known.then(|| norm * f64::from(factor).powi(2)))).unwrap()
                };
                let want = solve(1.0, false, None);
                let size = vector(&want.x).norm();
                let factors = [(1e-17f32, false), (1e17, true), (1e-9, true), (1e9, false)];
                // A GPU runs the same passes.
                let far = if device.is_host() { 4 } else { 2 };
                for (factor, known) in factors.into_iter().take(far) {
                    for start in [None, Some(&want.x)] {
                        let what = format!("{terms}, {method}, {device}, times {factor}, {}", start.is_some());
                        let found = solve(factor, known, start);
                        let off =
                            (vector(&found.x) * Complex64::from(f64::from(factor)) - vector(&want.x)).norm() / size;
                        assert!(off < 5e-3, "{what}: {off:.1e}");
                        let objective = found.objective / want.objective - 1.0;
                        assert!(objective.abs() < 2e-4, "{what}: {objective:.1e}");
                        assert!((found.misfit - want.misfit).abs() < 1e-3, "{what}: {} {}", found.misfit, want.misfit);
                    }
                }
            }
        }
    }
}

#[test]
fn methods_agree_on_one_weight() {
    let (a, y) = pieces();
    let problem = Problem::new(&a, &y).unwrap();
    let weight = 0.02 * problem.scale().unwrap();
    let tv = problem.clone().tv(weight, "Y X").unwrap();
    let l1 = problem.l1(weight).unwrap();
    let least = |p: &Problem, m: Method| {
        p.solve(ConvexOptions::default().method(Some(m)).iterations(20_000)).unwrap().objective
    };
    let all: Vec<f64> = [Method::Admm, Method::Pdhg].iter().map(|m| least(&tv, *m)).collect();
    assert!((all[0] / all[1] - 1.0).abs() < 2e-4, "{all:?}");
    let all = [Method::Ista, Method::Fista, Method::Pogm, Method::Admm, Method::Pdhg].map(|m| least(&l1, m));
    assert!(all.iter().all(|f| (f / all[0] - 1.0).abs() < 2e-4), "{all:?}");
    // A larger weight is smoother.
    let (smooth, rough) = (times_weight(&a, &y, 0.1), times_weight(&a, &y, 0.001));
    assert!(smooth < rough, "{smooth} {rough}");
}

/// The total variation of the solution at this relative weight.
fn times_weight(a: &Linop, y: &Tensor, relative: f64) -> f64 {
    let problem = Problem::new(a, y).unwrap();
    let weight = relative * problem.scale().unwrap();
    let x = problem.tv(weight, "Y X").unwrap().solve(ConvexOptions::default()).unwrap();
    (x.objective - x.data_term) / weight
}

#[test]
fn any_penalty_comes_to_the_same_objective() {
    let (a, y) = pieces();
    let problem = Problem::new(&a, &y).unwrap();
    let weight = 0.01 * problem.scale().unwrap();
    let problem = problem.tv(weight, "Y X").unwrap();
    let least = problem.solve(ConvexOptions::default().tol(1e-7).iterations(5000)).unwrap().objective;
    for balance in [1e-3, 1e-2, 0.9, 0.91, 10.0, 1e3] {
        let solved = problem.solve(ConvexOptions::default().balance(balance).iterations(5000)).unwrap();
        assert!(solved.objective <= least * (1.0 + 1e-3), "{balance}: {} of {least}", solved.objective);
        assert_eq!(solved.stop, Stop::Converged, "{balance}");
    }
}

#[test]
fn steps_that_are_too_long_are_halved() {
    let (a, y) = pieces();
    let problem = Problem::new(&a, &y).unwrap();
    let weight = 0.01 * problem.scale().unwrap();
    for (method, problem) in [
        (Method::Ista, problem.clone().l1(weight).unwrap()),
        (Method::Fista, problem.clone().l1(weight).unwrap()),
        (Method::Pogm, problem.clone().l1(weight).unwrap()),
        (Method::Pdhg, problem.clone().tv(weight, "Y X").unwrap()),
    ] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let right = problem.solve(options()).unwrap();
        assert_eq!(right.halved, 0);
        let wrong = problem.solve(options().norm(Some(0.02))).unwrap();
        assert!(wrong.halved > 0, "{method}");
        assert!(
            (wrong.objective / right.objective - 1.0).abs() < 1e-3,
            "{method} {} {}",
            wrong.objective,
            right.objective
        );
    }
}

/// Steps that are tried need no norm: one that is far too small or too large costs a few iterations.
#[test]
fn steps_that_are_tried_find_the_curvature() {
    let (a, y) = pieces();
    let shape = "Y=8 X=7";
    let plain = Problem::new(&a, &y).unwrap();
    let weight = 0.05 * plain.scale().unwrap();
    let id = linop::identity(shape).unwrap();
    let (least, _) = answer(&a, &y, &[Term::l1(&id, weight, 1)], 0.0);
    for device in devices() {
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().l1(weight).unwrap();
        for method in [Method::Ista, Method::Fista] {
            for norm in [None, Some(1e-4), Some(1e4)] {
                let options = ConvexOptions::default().method(Some(method)).backtracking(true).iterations(5000);
                let solved = problem.solve(options.norm(norm)).unwrap();
                assert_eq!(solved.stop, Stop::Converged, "{method} {norm:?}");
                assert!((-1e-5..=1e-4).contains(&(solved.objective / least - 1.0)), "{method} {norm:?} {least}");
                assert!(norm != Some(1e-4) || solved.halved > 8, "{norm:?}: {}", solved.halved);
            }
        }
        // Without it the large norm makes tiny steps all the way.
        let few = || ConvexOptions::default().method(Some(Method::Fista)).norm(Some(1e4)).iterations(150).tol(0.0);
        let [tried, not] = [true, false].map(|b| problem.solve(few().backtracking(b)).unwrap().objective / least - 1.0);
        assert!(tried < 1e-4 && not > 0.1, "{tried} {not}");
    }
    // Wavelets, and squares of x.
    let penalty = WaveletPenalty::default().wavelet("haar".parse().unwrap()).levels(1);
    let wide = linop::diagonal("Y=8 X=8", &complex("Y=8 X=8", 8)).unwrap();
    let y = complex("Y=8 X=8", 7);
    let problem = Problem::new(&wide, &y).unwrap().l1_wavelet(0.2, "Y X", &penalty).unwrap().l2(0.3).unwrap();
    let [tried, not] = [true, false]
        .map(|b| problem.solve(ConvexOptions::default().backtracking(b).tol(1e-6).iterations(5000)).unwrap().objective);
    assert!((tried / not - 1.0).abs() < 1e-5, "{tried} {not}");
    let pogm = ConvexOptions::default().method(Some(Method::Pogm)).backtracking(true);
    let error = plain.l1(weight).unwrap().solve(pogm).unwrap_err().to_string();
    assert!(error.contains("ista and fista"), "{error}");
}

#[test]
fn readings_tell_and_a_cancelled_solve_gives_its_best() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (a, y) = pieces();
    for device in devices() {
        let cancel = AtomicBool::new(false);
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap();
        let weight = 0.01 * problem.scale().unwrap();
        let problem = problem.tv(weight, "Y X").unwrap();
        let mut told = Vec::new();
        let options = ConvexOptions::default().tol(0.0).check_every(5).cancel(&cancel).progress(|p| {
            let x = p.iterate().unwrap();
            told.push((p.reading(), problem.objective(&x).unwrap()));
            cancel.store(told.len() == 3, Ordering::Relaxed);
        });
        let solved = problem.solve(options).unwrap();
        assert_eq!((solved.stop, solved.iterations), (Stop::Cancelled, 16));
        assert_eq!(told.iter().map(|(r, _)| r.iteration).collect::<Vec<_>>(), [5, 10, 15, 16]);
        let least = told.iter().map(|(r, _)| r.objective).fold(f64::INFINITY, f64::min);
        assert!(solved.objective <= least, "{} {least}", solved.objective);
        for (reading, objective) in told {
            assert!((reading.objective / objective - 1.0).abs() < 1e-4, "{} {objective}", reading.objective);
            assert!(reading.gap.is_some() && reading.data_term < reading.objective);
        }
        let again = problem.objective(&solved.x).unwrap();
        assert!((solved.objective / again - 1.0).abs() < 1e-4);
    }
}

/// The residual of a reading is no less than the distance of 0 from the subgradients at its iterate, and goes to 0; those of ADMM and
/// PDHG, and the gap beside them, bound how far the objective is from its limit.
#[test]
fn residuals_bound_what_is_left_of_the_condition() {
    let uneven: Vec<f32> = (0..56).map(|i| 0.97f32.powi(3 * i)).collect();
    let uneven = linop::diagonal("Y=8 X=7", &Tensor::from_vec("Y=8 X=7", uneven).unwrap()).unwrap();
    let uneven = uneven * linop::fft("Y=8 X=7", "Y X", FftOptions::default()).unwrap().keep();
    for (name, a, part) in [("sense", sense(), 0.1), ("uneven", uneven, 0.01)] {
        let y = complex(a.output().unwrap(), 3);
        let weight = part * Problem::new(&a, &y).unwrap().scale().unwrap();
        let (dense, data) = (dense(&a), vector(&y));
        let size = (dense.adjoint() * &data).norm();
        let far = |x: &DVector<Complex64>| {
            let slope = dense.adjoint() * (&dense * x - &data);
            let each = slope.iter().zip(x).map(|(g, x)| match x.norm() {
                0.0 => (g.norm() - weight).max(0.0).powi(2),
                norm => (g + x * (weight / norm)).norm_sqr(),
            });
            each.sum::<f64>().sqrt() / size
        };
        for device in devices() {
            let methods = [
                (Method::Ista, false),
                (Method::Fista, false),
                (Method::Pogm, false),
                (Method::Ista, true),
                (Method::Fista, true),
            ];
            for (method, backtracking) in methods {
                let what = format!("{name}, {method} {device} {backtracking}");
                let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().l1(weight).unwrap();
                let mut told = Vec::new();
                let options = ConvexOptions::default().method(Some(method)).backtracking(backtracking).tol(0.0);
                let options = options.iterations(250).check_every(9).progress(|p| {
                    told.push((p.reading().residual, vector(&p.iterate().unwrap())));
                });
                problem.solve(options).unwrap();
                for (residual, x) in &told {
                    let (far, residual) = (far(x), residual.unwrap());
                    assert!(far <= residual * 1.001 + 2e-6, "{what}: {far} above {residual}");
                }
                let (first, last) = (told[0].0.unwrap(), told[told.len() - 1].0.unwrap());
                println!("{what}: from {first} to {last}");
                let fall = if name == "sense" { 1e-4 } else { 0.2 };
                assert!(first < 2.0 && last < fall * first, "{what}: from {first} to {last}");
            }
            let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().tv(weight, "Y X").unwrap();
            let options = || ConvexOptions::default().method(Some(Method::Admm)).tol(0.0);
            let limit = problem.solve(options().iterations(800)).unwrap();
            let (least, end) = (problem.objective(&limit.x).unwrap(), vector(&limit.x));
            for (method, balance) in [
                (Method::Admm, 1e-2),
                (Method::Admm, 1.0),
                (Method::Admm, 1e2),
                (Method::Pdhg, 1e-2),
                (Method::Pdhg, 1.0),
                (Method::Pdhg, 1e2),
            ] {
                let what = format!("{name}, {method} {device} {balance}");
                let mut told = Vec::new();
                let options = ConvexOptions::default().method(Some(method)).tol(0.0).iterations(120).balance(balance);
                let tell = |p: &mut linops::convex::Progress| told.push((p.reading(), p.iterate().unwrap()));
                problem.solve(options.progress(tell)).unwrap();
                for (reading, x) in &told {
                    let (slope, x) = (reading.residual.unwrap() * size, vector(x));
                    // ADMM's gap is that of the terms, and the slope over a part of x that stands for how far x is from the end.
                    let far = if method == Method::Admm { slope * x.norm() / 120.0 } else { 0.0 };
                    let gap = reading.gap.unwrap() * reading.objective - far;
                    let most = gap + slope * (&x - &end).norm();
                    let above = reading.objective - least;
                    assert!(above <= most + 1e-5 * least, "{what}: {above} above {most}");
                }
                let [first, last] = [0, told.len() - 1].map(|k| told[k].0.residual.unwrap());
                println!("{what}: from {first} to {last}");
                let fall = if method == Method::Admm { 0.01 } else { 0.3 };
                assert!(balance != 1.0 || last < fall * first.max(0.01), "{what}: {first} to {last}");
            }
            let even = linop::identity("Y=8 X=7").unwrap();
            let problem =
                Problem::new(&even, &real("Y=8 X=7", 4).to(&device).unwrap()).unwrap().tv(0.1, "Y X").unwrap();
            let options = ConvexOptions::default().method(Some(Method::Fgp)).iterations(20).tol(0.0);
            let history = problem.solve(options).unwrap().history;
            assert!(history.iter().all(|r| r.residual == Some(0.0) && r.gap.is_some()), "{device}");
        }
    }
}

#[test]
fn outcomes_have_names() {
    let (a, y) = pieces();
    let zero = Tensor::from_vec(y.shape().clone(), vec![Complex32::default(); y.shape().len()]).unwrap();
    let solved = Problem::new(&a, &zero).unwrap().tv(1.0, "Y X").unwrap().solve(ConvexOptions::default()).unwrap();
    assert_eq!((solved.stop, solved.objective), (Stop::Zero, 0.0));
    let mut bad = y.to_vec().unwrap();
    bad[3].re = f32::NAN;
    let bad = Tensor::from_vec(y.shape().clone(), bad).unwrap();
    let says = |r: linops::Result<Solved>, what: &str| {
        let e = r.unwrap_err().to_string();
        assert!(e.contains(what), "{e}");
    };
    says(Problem::new(&a, &bad).unwrap().l1(1.0).unwrap().solve(ConvexOptions::default()), "NaN");
    let problem = Problem::new(&a, &y).unwrap().tv(1.0, "Y X").unwrap();
    says(problem.solve(ConvexOptions::default().method(Some(Method::Pogm))), "use fista, admm or pdhg");
    says(problem.solve(ConvexOptions::default().iterations(0)), "iterations is 0");
    says(problem.solve(ConvexOptions::default().tol(f64::NAN)), "tol");
    says(Problem::new(&a, &y).unwrap().solve(ConvexOptions::default().method(Some(Method::Admm))), "use fista");
    assert!(Problem::new(&a, &complex("Y=8 X=7", 1)).is_err());
    let e = Problem::new(&a, &y).unwrap().tv(1.0, "Z").unwrap_err().to_string();
    assert!(e.contains('Z'), "{e}");
    // A weight that takes everything, and one that takes nothing.
    let problem = Problem::new(&a, &y).unwrap();
    let all = 1.01 * problem.scale().unwrap();
    let x = problem.clone().l1(all).unwrap().solve(ConvexOptions::default()).unwrap().x;
    assert!(vector(&x).norm() == 0.0);
    // A tolerance beyond 32-bit numbers.
    let picture = real("Y=8 X=7", 9);
    let near = Problem::new(&linop::identity("Y=8 X=7").unwrap(), &picture).unwrap().tv(0.1, "Y X").unwrap();
    let near = near.solve(ConvexOptions::default().tol(1e-15).iterations(5000)).unwrap();
    assert_eq!(near.stop, Stop::Attained, "{} iterations", near.iterations);
    let few = problem.l1(0.0).unwrap().solve(ConvexOptions::default().tol(1e-7)).unwrap();
    assert!(few.misfit < 0.1, "{}", few.misfit);
}

#[test]
fn low_rank_series_and_constraints_run_between_passes() {
    // Frames of one image under a few factors: of rank one.
    let a = linop::diagonal("T=4 Y=6 X=5", &mask("T=4 Y=6 X=5", 0.6, 31)).unwrap();
    let image = complex("Y=6 X=5", 32).to_vec().unwrap();
    let series: Vec<Complex32> = (0..4).flat_map(|t| image.iter().map(move |v| v * (t + 1) as f32)).collect();
    let x = Tensor::from_vec("T=4 Y=6 X=5", series.clone()).unwrap();
    let y = a.apply(&x).unwrap();
    for device in devices() {
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap();
        let weight = 1e-3 * problem.scale().unwrap();
        let problem = problem.term(linops::functional::nuclear(weight, "T").unwrap());
        let solved =
            problem.solve(ConvexOptions::default().method(Some(Method::Admm)).iterations(3000).tol(1e-6)).unwrap();
        let found = vector(&solved.x);
        let want =
            DVector::from_iterator(series.len(), series.iter().map(|v| Complex64::new(v.re.into(), v.im.into())));
        let off = (found - &want).norm() / want.norm();
        assert!(off < 0.2, "{device}: {off} after {}", solved.iterations);
        // The gap of what is called is not known; the condition is.
        let (first, last) = (&solved.history[0], solved.history.last().unwrap());
        assert!(last.gap.is_none() && last.residual.unwrap() < 1e-3, "{device}: {last:?}");
        assert!(last.residual < first.residual, "{device}: {first:?}, {last:?}");
    }
}
