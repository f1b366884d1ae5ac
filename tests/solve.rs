//! Conjugate gradient against a dense solve, and how it stops.

mod common;

use common::data::{complex, distance, mask, real, wide, widened};
use common::devices;
use common::matrix::Matrix;
use linops::linop::{self, FftOptions};
use linops::solve::{CgOptions, CgResult, Progress, Stop, cg};
use linops::{Device, Error, Linop, Result, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two-dimensional SENSE with three coils.
fn sense() -> Linop {
    let maps = linop::diagonal("Y=8 X=7", &complex("C=3 Y=8 X=7", 1)).unwrap();
    let f = linop::fft("C=3 Y=8 X=7", "Y X", FftOptions { centered: true, ..FftOptions::default() }).unwrap();
    linop::sampling(f.output().unwrap(), &mask("Y1=8 X1=7", 0.7, 2).renamed(&names(&f)).unwrap(), "C S").unwrap()
        * f
        * maps
}

/// The names of the transformed dims.
fn names(f: &Linop) -> String {
    f.output().unwrap().dims()[1..].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn solve(device: &Device, a: &Linop, y: &Tensor, options: &CgOptions) -> Result<CgResult> {
    let b = a.h().apply(&y.to(device)?)?;
    cg(&a.n(), &b, options)
}

fn image(r: &CgResult) -> ArrayD<Complex32> {
    r.x.to(&Device::host()).unwrap().to_array().unwrap()
}

#[test]
fn finds_the_dense_solution() {
    let a = sense();
    let matrix = Matrix::of(&a);
    let y = complex(a.output().unwrap(), 3);
    for lambda in [0.0f32, 0.01, 1.0] {
        let want = matrix.solve_normal(lambda.into(), &matrix.adjoint(&wide(&y)));
        for device in devices() {
            let options = CgOptions { lambda, iterations: 300, tol: 1e-6, ..CgOptions::default() };
            let r = solve(&device, &a, &y, &options).unwrap();
            let error = distance(&image(&r), &want);
            assert!(
                error < 1e-4,
                "λ = {lambda} on {}: {error:.1e} after {} ({:?})",
                device.name(),
                r.iterations,
                r.stop
            );
            assert!(matches!(r.stop, Stop::Converged | Stop::Stagnated), "{:?}", r.stop);
        }
    }
}

#[test]
fn the_residual_falls_and_is_told() {
    let a = sense();
    let y = complex(a.output().unwrap(), 4);
    for device in devices() {
        let told = RefCell::new(Vec::new());
        let progress = |p: Progress| told.borrow_mut().push(p);
        let options = CgOptions {
            lambda: 0.1,
            iterations: 25,
            tol: 1e-6,
            check_every: 2,
            progress: Some(&progress),
            ..CgOptions::default()
        };
        let r = solve(&device, &a, &y, &options).unwrap();
        assert_eq!(*told.borrow(), r.history);
        assert!(r.history.iter().all(|p| p.of == 25 && (p.iteration % 2 == 0 || p.iteration == 25)));
        assert_eq!(r.history.last().unwrap().iteration, r.iterations);
        let (first, last) = (r.history[0].residual, r.history.last().unwrap().residual);
        assert!(last < 0.1 * first, "{first} to {last} on {}", device.name());
        // The reported residual is that of the iterate.
        let b = widened(&a.h().apply(&y).unwrap().to_array().unwrap());
        let nx = Matrix::of(&a).normal(&widened(&image(&r))) + widened(&image(&r)).mapv(|z| z * 0.1f32 as f64);
        let residual = common::data::norm(&(&b - &nx)) / common::data::norm(&b);
        assert!((residual - last).abs() < 1e-5, "{residual} is not {last}");
    }
}

#[test]
fn zero_data_give_a_zero_image() {
    let a = sense();
    let y = Tensor::zeros(a.output().unwrap(), linops::DType::Complex32).unwrap();
    for device in devices() {
        let r = solve(&device, &a, &y, &CgOptions::default()).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Zero, 0));
        assert!(image(&r).iter().all(|z| *z == Complex32::default()));
    }
}

#[test]
fn tolerance_zero_runs_all_iterations_and_stays_finite() {
    let a = sense();
    let y = complex(a.output().unwrap(), 5);
    for device in devices() {
        let options = CgOptions { lambda: 0.5, iterations: 120, tol: 0.0, ..CgOptions::default() };
        let r = solve(&device, &a, &y, &options).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Iterations, 120));
        let matrix = Matrix::of(&a);
        let error = distance(&image(&r), &matrix.solve_normal(0.5, &matrix.adjoint(&wide(&y))));
        assert!(error < 1e-5, "{error:.1e} on {}", device.name());
    }
}

#[test]
fn cancelling_returns_the_iterate_so_far() {
    let a = sense();
    let y = complex(a.output().unwrap(), 6);
    for device in devices() {
        let cancel = AtomicBool::new(false);
        let progress = |p: Progress| cancel.store(p.iteration >= 4, Ordering::Relaxed);
        let options = CgOptions {
            tol: 0.0,
            check_every: 2,
            progress: Some(&progress),
            cancel: Some(&cancel),
            ..CgOptions::default()
        };
        let r = solve(&device, &a, &y, &options).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Cancelled, 5));
        let plain = CgOptions { tol: 0.0, iterations: 5, ..CgOptions::default() };
        assert_eq!(image(&r), image(&solve(&device, &a, &y, &plain).unwrap()));
    }
}

#[test]
fn a_zero_operator_stands_still() {
    let a = linop::zero("N=5", "M=3").unwrap();
    for device in devices() {
        // The right-hand side is not in the range, so nothing can be found; nothing may blow up either.
        let b = complex("N=5", 7).to(&device).unwrap();
        let r = cg(&a.n(), &b, &CgOptions { tol: 0.0, iterations: 12, ..CgOptions::default() }).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Iterations, 12));
        assert!(image(&r).iter().all(|z| *z == Complex32::default()), "{:?}", image(&r));
        assert!(r.history.iter().all(|p| p.residual.is_finite()));
    }
}

#[test]
fn a_singular_normal_gives_the_least_norm_solution() {
    let a =
        linop::diagonal("N=6", &Tensor::from_array(ndarray::arr1(&[1.0f32, 0.0, 2.0, 0.0, 3.0, 0.5]), "N").unwrap());
    let a = a.unwrap();
    let y = complex("N=6", 8);
    for device in devices() {
        let r = solve(&device, &a, &y, &CgOptions { iterations: 50, tol: 0.0, ..CgOptions::default() }).unwrap();
        let (x, y) = (image(&r), y.to_array().unwrap());
        for (n, w) in [1.0f32, 0.0, 2.0, 0.0, 3.0, 0.5].into_iter().enumerate() {
            let want = if w > 0.0 { y[[n]] / w } else { Complex32::default() };
            assert!((x[[n]] - want).norm() < 1e-5, "{n} on {}: {} is not {want}", device.name(), x[[n]]);
        }
    }
}

#[test]
fn what_cannot_be_solved_is_an_error() {
    let n = linop::identity("N=5").unwrap();
    let b = complex("N=5", 9);
    for device in devices() {
        let mut bad = b.to_array().unwrap();
        for value in [f32::NAN, f32::INFINITY] {
            bad[[2]] = Complex32::new(value, value);
            let bad = Tensor::from_array(bad.clone(), "N").unwrap().to(&device).unwrap();
            let e = cg(&n, &bad, &CgOptions::default()).unwrap_err();
            assert!(matches!(e, Error::Value(_)) && e.to_string().contains("NaN"), "{value}: {e}");
        }
        let b = b.to(&device).unwrap();
        for (lambda, tol, part) in [(-1.0, 0.1, "lambda"), (f32::NAN, 0.1, "lambda"), (0.0, f32::INFINITY, "tol")] {
            let e = cg(&n, &b, &CgOptions { lambda, tol, ..CgOptions::default() }).unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
        }
        let e = cg(&n, &real("N=5", 1).to(&device).unwrap(), &CgOptions::default()).unwrap_err();
        assert!(e.to_string().contains("complex64"), "{e}");
        let e = cg(&n, &complex("N=6", 1).to(&device).unwrap(), &CgOptions::default()).unwrap_err();
        assert!(e.to_string().contains("dim N has extent 6, expected 5"), "{e}");
    }
}

#[test]
fn two_solves_agree_bit_for_bit() {
    let a = sense();
    let y = complex(a.output().unwrap(), 10);
    for device in devices() {
        let options = CgOptions { lambda: 0.01, iterations: 20, tol: 0.0, ..CgOptions::default() };
        let run = || common::bits(&image(&solve(&device, &a, &y, &options).unwrap()));
        assert!(run() == run(), "{}", device.name());
    }
}
