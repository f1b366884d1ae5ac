//! Inputs that cannot be solved, or hardly: each has a named outcome.

use crate::common::data::{complex, distance, widened};
use crate::common::devices;
use crate::least_squares::SOLVERS;
use crate::{dense, image, weights};
use linops::linop;
use linops::solve::{Breakdown, SolveOptions, Stop, minres};
use linops::{Linop, Tensor};
use ndarray::{ArrayView1, ArrayViewMut1};
use num_complex::Complex32;

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_slice(format!("N={}", values.len()), values).unwrap()
}

#[test]
fn zeros_and_what_is_orthogonal_have_the_solution_zero() {
    let a = weights(&[1.0, 0.0, 2.0]);
    for device in devices() {
        for y in [tensor(&[0.0, 0.0, 0.0]), tensor(&[0.0, 5.0, 0.0])] {
            for (name, solver) in SOLVERS {
                let r = solver(&a, &y.to(&device).unwrap(), SolveOptions::default()).unwrap();
                assert_eq!((r.stop, r.iterations), (Stop::Zero, 0), "{name}");
                assert!(image(&r).iter().all(|z| *z == Complex32::default()), "{name}");
            }
        }
        let r = minres(&a, &tensor(&[0.0; 3]).to(&device).unwrap(), SolveOptions::default()).unwrap();
        assert_eq!(r.stop, Stop::Zero);
        let r = minres(&a, &tensor(&[0.0, 5.0, 0.0]).to(&device).unwrap(), SolveOptions::default()).unwrap();
        assert_eq!(r.stop, Stop::LeastResidual);
        assert!(image(&r).iter().all(|z| *z == Complex32::default()));
    }
}

#[test]
fn values_that_are_not_finite_are_errors() {
    let n = weights(&[1.0, 2.0, 3.0]);
    let bad = weights(&[1.0, f32::NAN, 3.0]);
    for device in devices() {
        for value in [f32::NAN, f32::INFINITY] {
            let y = tensor(&[1.0, value, 0.0]).to(&device).unwrap();
            for (name, solver) in SOLVERS {
                let e = solver(&n, &y, SolveOptions::default()).unwrap_err().to_string();
                assert!(e.contains("NaN") && e.contains(name), "{e}");
            }
            assert!(minres(&n, &y, SolveOptions::default()).unwrap_err().to_string().contains("NaN"));
        }
        let y = tensor(&[1.0, 1.0, 1.0]).to(&device).unwrap();
        for (name, solver) in SOLVERS {
            let e = solver(&bad, &y, SolveOptions::default()).unwrap_err().to_string();
            assert!(e.contains("NaN"), "{name}: {e}");
        }
        assert!(minres(&bad, &y, SolveOptions::default()).is_err());
        for (lambda, tol, part) in [(-1.0, 0.1, "lambda"), (f32::NAN, 0.1, "lambda"), (0.0, f32::INFINITY, "tol")] {
            for (_, solver) in SOLVERS {
                let e = solver(&n, &y, SolveOptions::default().lambda(lambda).tol(tol)).unwrap_err();
                assert!(e.to_string().contains(part), "{e}");
            }
            assert!(minres(&n, &y, SolveOptions::default().lambda(lambda).tol(tol)).is_err());
        }
    }
}

/// Data and operators near both ends of f32.
#[test]
fn any_scale_is_solved_alike() {
    let n = [3.0f32, -1.0, 0.5, 2.0];
    for device in devices() {
        for (operator, data) in [(0i32, 100i32), (0, -100), (80, 0), (-80, 0), (70, 100), (-70, -90), (60, -60)] {
            let a = weights(&n.map(|v| v * (operator as f32).exp2()));
            let y = tensor(&[1.0, 2.0, -1.0, 0.25].map(|v| v * (data as f32).exp2())).to(&device).unwrap();
            let options = || SolveOptions::default().tol(1e-6).iterations(30);
            let mut all: Vec<_> = SOLVERS.iter().map(|(name, s)| (*name, s(&a, &y, options()).unwrap())).collect();
            all.push(("minres", minres(&a, &y, options()).unwrap()));
            for (name, r) in all {
                let at = format!("{name}, 2^{operator}, 2^{data} on {}", device.name());
                assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{at}: {:?}", r.stop);
                let scale = 2f64.powi(operator - data);
                let x: Vec<f64> = image(&r).iter().map(|z| f64::from(z.re) * scale).collect();
                for (x, want) in x.iter().zip([1.0 / 3.0, -2.0, -2.0, 0.125]) {
                    assert!((x - want).abs() < 1e-5, "{at}: {x} is not {want}");
                }
            }
        }
    }
}

/// Two columns alike, a row of zeros, data that no x explains: the solution of least norm, from 0.
#[test]
fn singular_operators_give_the_solution_of_least_norm() {
    let w = ndarray::array![[1.0f32, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]];
    let a = linop::dense("N=3", &Tensor::from_array(w, "M N").unwrap(), "M").unwrap();
    for device in devices() {
        let y = Tensor::from_slice("M=4", &[3.0f32, 4.0, 7.0, 1.0]).unwrap().to(&device).unwrap();
        for (name, solver) in SOLVERS {
            for tol in [0.0, 1e-6] {
                let r = solver(&a, &y, SolveOptions::default().tol(tol).iterations(200)).unwrap();
                for (x, want) in image(&r).iter().zip([1.0, 1.0, 2.0]) {
                    assert!((x.re - want).abs() < 1e-5, "{name} on {}: {:?}", device.name(), image(&r));
                }
                assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{name}: {:?}", r.stop);
            }
        }
    }
}

/// What is given as the adjoint is that of something else.
#[test]
fn a_wrong_adjoint_is_a_breakdown() {
    let a = linop::from_fn(
        "N=6",
        "N=6",
        |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| {
            y.iter_mut().zip(&x).enumerate().for_each(|(k, (y, x))| *y = x * (1.0 + k as f32));
        },
        |y: ArrayView1<f32>, mut x: ArrayViewMut1<f32>| {
            x.iter_mut().zip(y.iter().rev()).for_each(|(x, y)| *x = *y);
        },
    )
    .unwrap();
    for device in devices() {
        let y = tensor(&[1.0, -2.0, 0.5, 3.0, 1.0, -1.0]).to(&device).unwrap();
        for (name, solver) in SOLVERS {
            let r = solver(&a, &y, SolveOptions::default().tol(1e-5).iterations(300)).unwrap();
            let want = Stop::Breakdown(Breakdown::NotAdjoint);
            assert_eq!(r.stop, want, "{name} on {}: {:?}", device.name(), r.history.last());
            assert!(image(&r).iter().all(|z| z.is_finite()), "{name}");
        }
    }
}

/// Ill-posed to the last: a smoothing of ten orders of magnitude, and data that are not smooth. The outcome says how far it came,
/// and x stays finite.
#[test]
fn ill_posed_problems_say_how_far_they_came() {
    let values: Vec<f32> = (0..48).map(|i| 10f32.powf(-10.0 * i as f32 / 47.0)).collect();
    let a: Linop = weights(&values);
    let y = complex("N=48", 3);
    for device in devices() {
        let y = y.to(&device).unwrap();
        for (name, solver) in SOLVERS {
            for lambda in [0.0, 1e-3] {
                let r = solver(&a, &y, SolveOptions::default().tol(1e-6).iterations(500).lambda(lambda)).unwrap();
                let at = format!("{name}, λ = {lambda} on {}: {:?}", device.name(), r.stop);
                // Without λ it may take longer than that.
                let ended = matches!(r.stop, Stop::Converged | Stop::Attained);
                assert!(ended || (lambda == 0.0 && r.stop == Stop::Iterations), "{at}");
                let most = if ended { 1e-4 } else { 1e-2 };
                assert!(image(&r).iter().all(|z| z.is_finite()) && r.residual < most, "{at} {}", r.residual);
            }
        }
    }
}

#[test]
fn several_solvers_of_one_problem_agree() {
    let a = dense(21, 12, false, 5);
    let y = complex("M=21", 6);
    for device in devices() {
        let y = y.to(&device).unwrap();
        let options = || SolveOptions::default().tol(1e-6).lambda(0.1);
        let found: Vec<_> = SOLVERS.iter().map(|(_, s)| image(&s(&a, &y, options()).unwrap())).collect();
        let again = image(&minres(&a.n(), &a.h().apply(&y).unwrap(), options()).unwrap());
        for x in &found {
            assert!(distance(x, &widened(&again)) < 2e-5, "{}", device.name());
        }
    }
}
