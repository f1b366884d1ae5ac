//! CGLS, LSQR and LSMR against dense least squares in f64.

use crate::common::data::{complex, distance, real, wide, widened};
use crate::common::matrix::Matrix;
use crate::common::{bits, devices};
use crate::{dense, image, sense, weights};
use linops::linop::{self, FftOptions, GradientOptions};
use linops::solve::{Solution, SolveOptions, Stop, Tikhonov, cg, cgls, lsmr, lsqr};
use linops::{DType, Device, Linop, Result, Tensor};
use ndarray::ArrayD;
use num_complex::{Complex32, Complex64};

pub type Solver = fn(&Linop, &Tensor, SolveOptions) -> Result<Solution>;

pub const SOLVERS: [(&str, Solver); 3] = [("cgls", cgls), ("lsqr", lsqr), ("lsmr", lsmr)];

/// The x of least norm that minimises ‖A x − y‖² + λ‖x‖².
fn dense_solution(a: &Linop, y: &ArrayD<Complex64>, lambda: f64) -> ArrayD<Complex64> {
    let m = Matrix::of(a);
    if lambda > 0.0 || a.output().unwrap().len() >= a.input().unwrap().len() {
        return m.solve_normal(lambda, &m.adjoint(y));
    }
    m.adjoint(&Matrix::of(&a.h()).solve_normal(0.0, y))
}

#[test]
fn all_find_the_dense_solution() {
    let cases = [
        ("tall, complex", dense(13, 7, false, 1)),
        ("tall, real", dense(17, 5, true, 2)),
        ("wide, complex", dense(5, 11, false, 3)),
        ("square", dense(9, 9, true, 4)),
        ("sense", sense()),
    ];
    for (what, a) in &cases {
        for real_data in [false, true] {
            if real_data && (*what == "sense" || what.contains("complex")) {
                continue;
            }
            let y = if real_data { real(a.output().unwrap(), 5) } else { complex(a.output().unwrap(), 5) };
            for lambda in [0.0f32, 0.3] {
                let want = dense_solution(a, &wide(&y), lambda.into());
                for (name, solver) in SOLVERS {
                    for device in devices() {
                        let options = SolveOptions::default().lambda(lambda).iterations(300).tol(1e-6);
                        let r = solver(a, &y.to(&device).unwrap(), options).unwrap();
                        let error = distance(&image(&r), &want);
                        let at = format!("{name}, {what}, λ = {lambda} on {}", device.name());
                        assert!(error < 2e-4, "{at}: {error:.1e} after {} ({:?})", r.iterations, r.stop);
                        assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{at}: {:?}", r.stop);
                        assert_eq!(r.x.dtype(), if real_data { DType::F32 } else { DType::Complex32 });
                    }
                }
            }
        }
    }
}

/// As long as wanted: what 32-bit numbers give stays, and nothing is made of rounding.
#[test]
fn tolerance_zero_ends_at_the_attainable_accuracy() {
    for a in [dense(13, 7, false, 1), dense(5, 11, false, 3), sense()] {
        let y = complex(a.output().unwrap(), 6);
        let want = dense_solution(&a, &wide(&y), 0.0);
        for (name, solver) in SOLVERS {
            for device in devices() {
                let options = SolveOptions::default().iterations(3000).tol(0.0);
                let r = solver(&a, &y.to(&device).unwrap(), options).unwrap();
                let error = distance(&image(&r), &want);
                assert!(error < 2e-5, "{name} on {}: {error:.1e} ({:?})", device.name(), r.stop);
                assert!(matches!(r.stop, Stop::Attained | Stop::Converged), "{name}: {:?}", r.stop);
                assert!(r.iterations < 1500, "{name} on {}: {}", device.name(), r.iterations);
            }
        }
    }
}

/// Singular values from 1 to 10^−2.5 behind a transform: the normal has those from 1 to 10⁻⁵, and rounding in it is as large as
/// what is left of the smallest.
#[test]
fn ill_conditioned_operators_lose_half_as_many_digits_as_by_the_normal() {
    let n = 20;
    let values: Vec<f32> = (0..n).map(|i| 10f32.powf(-2.5 * i as f32 / (n - 1) as f32)).collect();
    let f = linop::fft(format!("N={n}"), "N", FftOptions::default()).unwrap().out("N").unwrap();
    let a = weights(&values) * &f;
    // Between two transforms nothing of the normal is a diagonal.
    let a = f.h() * a;
    let y = a.apply(&complex(format!("N={n}"), 7)).unwrap();
    let want = dense_solution(&a, &wide(&y), 0.0);
    for device in devices() {
        let y = y.to(&device).unwrap();
        let options = || SolveOptions::default().tol(0.0).iterations(3000);
        let by_normal = cg(&a.n(), &a.h().apply(&y).unwrap(), options()).unwrap();
        let by_normal = distance(&image(&by_normal), &want);
        let errors: Vec<_> = SOLVERS
            .iter()
            .map(|(name, solver)| {
                let r = solver(&a, &y, options()).unwrap();
                (*name, distance(&image(&r), &want), r.stop, r.iterations)
            })
            .collect();
        for (_, error, _, _) in &errors {
            let at = format!("{errors:?}, cg {by_normal:.1e} on {}", device.name());
            assert!(*error < 5e-4 && *error < 0.5 * by_normal, "{at}");
        }
    }
}

#[test]
fn a_start_saves_iterations_and_changes_no_solution() {
    let a = dense(31, 23, false, 8);
    let y = complex("M=31", 9);
    for lambda in [0.0f32, 0.5] {
        let want = dense_solution(&a, &wide(&y), lambda.into());
        // Off by a hundredth.
        let near: Vec<Complex32> = want
            .iter()
            .zip(complex("N=23", 10).to_array().unwrap())
            .map(|(w, e)| Complex32::new(w.re as f32, w.im as f32) + e * 1e-3)
            .collect();
        let near = Tensor::from_slice("N=23", &near).unwrap();
        for device in devices() {
            let options = || SolveOptions::default().lambda(lambda).iterations(300).tol(1e-4).check_every(1);
            let y = y.to(&device).unwrap();
            let b = a.h().apply(&y).unwrap();
            let start = near.to(&device).unwrap();
            let mut runs: Vec<(&str, Solution, Solution)> = SOLVERS
                .iter()
                .map(|(name, s)| (*name, s(&a, &y, options()).unwrap(), s(&a, &y, options().start(&start)).unwrap()))
                .collect();
            let n = a.n();
            runs.push(("cg", cg(&n, &b, options()).unwrap(), cg(&n, &b, options().start(&start)).unwrap()));
            for (name, cold, warm) in &runs {
                let at = format!("{name}, λ = {lambda} on {}", device.name());
                assert_eq!((cold.stop, warm.stop), (Stop::Converged, Stop::Converged), "{at}");
                assert!(warm.iterations * 4 <= cold.iterations * 3, "{at}: {} of {}", warm.iterations, cold.iterations);
                assert!(distance(&image(warm), &want) < 2e-2, "{at}: {:.1e}", distance(&image(warm), &want));
            }
            // The solution itself, to rounding.
            for (name, solver) in SOLVERS {
                let solution = solver(&a, &y, options().tol(1e-6)).unwrap().x;
                let r = solver(&a, &y, options().start(&solution)).unwrap();
                assert!(r.iterations <= 1 && r.stop == Stop::Converged, "{name}: {} {:?}", r.iterations, r.stop);
            }
        }
    }
}

#[test]
fn starts_that_do_not_fit_are_errors() {
    let a = dense(5, 3, true, 1);
    let y = real("M=5", 1);
    for (start, part) in [(real("N=4", 1), "extent 4"), (complex("N=3", 1), "convert"), (real("M=3", 1), "dim")] {
        for (name, solver) in SOLVERS {
            let e = solver(&a, &y, SolveOptions::default().start(&start)).unwrap_err().to_string();
            assert!(e.contains(part) && e.contains(name), "{e}");
        }
    }
    let nan = Tensor::from_slice("N=3", &[0.0f32, f32::NAN, 0.0]).unwrap();
    for (_, solver) in SOLVERS {
        let e = solver(&a, &y, SolveOptions::default().start(&nan)).unwrap_err().to_string();
        assert!(e.contains("start holds NaN"), "{e}");
    }
}

/// What LSMR is for: the residual of the normal equations falls in every iteration.
#[test]
fn lsmr_falls_in_every_iteration() {
    let a = dense(40, 37, false, 3);
    let y = complex("M=40", 4);
    for device in devices() {
        let options = SolveOptions::default().check_every(1).iterations(40).tol(1e-4);
        let r = lsmr(&a, &y.to(&device).unwrap(), options).unwrap();
        for pair in r.history.windows(2) {
            assert!(pair[1].residual <= pair[0].residual * 1.0001, "{pair:?} on {}", device.name());
        }
        // What the recurrence says is what the iterate has.
        for p in r.history.iter().filter_map(|p| p.true_residual.map(|t| (p.residual, t))) {
            assert!((p.0 - p.1).abs() < 1e-4, "{p:?} on {}", device.name());
        }
    }
}

#[test]
fn methods_agree_with_cg_on_the_normal_equations() {
    let a = sense();
    let y = complex(a.output().unwrap(), 3);
    for device in devices() {
        let y = y.to(&device).unwrap();
        for k in [1, 3, 6] {
            let options = || SolveOptions::default().lambda(0.1).tol(0.0).iterations(k);
            let by_normal = cg(&a.n(), &a.h().apply(&y).unwrap(), options()).unwrap();
            for (name, solver) in &SOLVERS[..2] {
                let r = solver(&a, &y, options()).unwrap();
                let off = distance(&image(&r), &widened(&image(&by_normal)));
                assert!(off < 2e-5, "{name}, {k} iterations on {}: {off:.1e}", device.name());
                assert!((r.residual - by_normal.residual).abs() < 1e-5, "{} {}", r.residual, by_normal.residual);
            }
        }
    }
}

#[test]
fn a_gpu_agrees_with_the_host_and_bits_repeat() {
    let a = sense();
    let y = complex(a.output().unwrap(), 10);
    for (name, solver) in SOLVERS {
        let run = |device: &Device| {
            let options = SolveOptions::default().lambda(0.05).iterations(12).tol(0.0);
            image(&solver(&a, &y.to(device).unwrap(), options).unwrap())
        };
        let host = run(&Device::host());
        for device in devices() {
            let one = run(&device);
            assert!(distance(&one, &widened(&host)) < 2e-5, "{name} on {}", device.name());
            assert!(bits(&one) == bits(&run(&device)), "{name} on {}", device.name());
        }
    }
}

#[test]
#[cfg(feature = "gpu")]
fn iterations_between_readings_are_one_submission() {
    let a = sense();
    for (name, solver) in SOLVERS {
        crate::expect_one_submission(name, |device, iterations| {
            let y = complex(a.output().unwrap(), 3).to(device).unwrap();
            let options = SolveOptions::default().lambda(0.1).tol(0.0).iterations(iterations).check_every(1000);
            solver(&a, &y, options).unwrap().iterations
        });
    }
}

/// ‖A x − y‖² + λ‖L x‖² + μ‖x‖², by the normal equations and stacked.
#[test]
fn regularisation_by_operators_is_what_it_says() {
    let a = sense();
    let l = linop::gradient(a.input().unwrap(), "Y X", GradientOptions::default()).unwrap();
    let i = linop::identity(a.input().unwrap()).unwrap();
    let y = complex(a.output().unwrap(), 2);
    let problem = Tikhonov::new(&a).term(0.4, &l).term(0.02, &i);
    let [ma, ml] = [&a, &l].map(Matrix::of);
    let b = ma.adjoint(&wide(&y));
    for device in devices() {
        let y = y.to(&device).unwrap();
        let options = || SolveOptions::default().tol(1e-6).iterations(400);
        let normal = problem.normal().unwrap();
        let (stacked, data) = (problem.stacked().unwrap(), problem.stacked_data(&y).unwrap());
        let rhs = problem.rhs(&y).unwrap();
        let all = [
            ("cg", cg(&normal, &rhs, options()).unwrap()),
            ("cgls", cgls(&stacked, &data, options()).unwrap()),
            ("lsqr", lsqr(&stacked, &data, options()).unwrap()),
            ("lsmr", lsmr(&stacked, &data, options()).unwrap()),
        ];
        for (name, r) in &all {
            // The gradient of the objective is 0.
            let x = widened(&image(r));
            let terms = ma.normal(&x) + ml.normal(&x) * f64::from(0.4f32) + &x * f64::from(0.02f32) - &b;
            let off = crate::common::data::norm(&terms) / crate::common::data::norm(&b);
            assert!(off < 5e-6, "{name} on {}: {off:.1e} ({:?})", device.name(), r.stop);
        }
    }
    let e = Tikhonov::new(&a).term(-1.0, &l).normal().unwrap_err().to_string();
    assert!(e.contains("lambda of term 0 is -1"), "{e}");
    let other = linop::identity("Z=3").unwrap();
    assert!(Tikhonov::new(&a).term(1.0, &other).stacked().unwrap_err().to_string().contains("term 0"));
}
