//! MINRES against dense solutions in f64.

use crate::common::data::{complex, distance, real, wide, widened};
use crate::common::matrix::Matrix;
use crate::common::{bits, devices};
use crate::{dense, image, weights};
use linops::solve::{Breakdown, SolveOptions, Stop, minres};
use linops::{Device, Linop, Tensor};
use num_complex::Complex32;

/// A Hermitian operator of both signs.
fn indefinite(n: usize, real: bool, seed: u64) -> Linop {
    let a = dense(n, n, real, seed).out("N").unwrap();
    (&a + a.h()).scaled(0.5).unwrap()
}

#[test]
fn finds_the_dense_solution_of_indefinite_equations() {
    for (n, all_real) in [(17, false), (23, true), (1, false)] {
        let a = indefinite(n, all_real, 3);
        let shape = format!("N={n}");
        let b = if all_real { real(shape, 5) } else { complex(shape, 5) };
        let m = Matrix::of(&a);
        let want = m.solve_normal(0.0, &m.adjoint(&wide(&b)));
        for device in devices() {
            let b = b.to(&device).unwrap();
            let r = minres(&a, &b, SolveOptions::default().tol(1e-6).iterations(200)).unwrap();
            let error = distance(&image(&r), &want);
            assert!(error < 2e-4, "{n} on {}: {error:.1e} after {} ({:?})", device.name(), r.iterations, r.stop);
            assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{:?}", r.stop);
            let again = minres(&a, &b, SolveOptions::default().tol(1e-6).iterations(200)).unwrap();
            assert_eq!(bits(&image(&r)), bits(&image(&again)));
            // From its solution nothing is left to do.
            let warm = minres(&a, &b, SolveOptions::default().start(&r.x)).unwrap();
            assert!(warm.iterations <= 1, "{}", warm.iterations);
        }
    }
}

#[test]
fn the_residual_falls_in_every_iteration_and_is_the_iterates() {
    let a = indefinite(40, false, 9);
    let b = complex("N=40", 2);
    let m = Matrix::of(&a);
    for device in devices() {
        for lambda in [0.0f32, 0.5] {
            let options = SolveOptions::default().lambda(lambda).check_every(1).iterations(25).tol(0.0);
            let r = minres(&a, &b.to(&device).unwrap(), options).unwrap();
            assert!(r.history.windows(2).all(|p| p[1].residual <= p[0].residual * 1.0001));
            let x = widened(&image(&r));
            let t = wide(&b) - m.forward(&x) - &x * f64::from(lambda);
            let found = crate::common::data::norm(&t) / crate::common::data::norm(&wide(&b));
            assert!((found - r.residual).abs() < 1e-5, "{found} {} on {}", r.residual, device.name());
            assert!((r.history.last().unwrap().residual - found).abs() < 1e-4, "on {}", device.name());
        }
    }
}

#[test]
fn singular_equations_are_solved_or_named() {
    let n = weights(&[2.0, 0.0, -1.0, 0.0, 3.0]);
    let one = Complex32::new(1.0, -0.5);
    for device in devices() {
        for tol in [0.0, 1e-6] {
            let options = || SolveOptions::default().tol(tol).iterations(300);
            // With a solution: that of least norm.
            let b = Tensor::from_slice("N=5", &[one, one * 0.0, one, one * 0.0, one]).unwrap().to(&device).unwrap();
            let r = minres(&n, &b, options()).unwrap();
            assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{:?}", r.stop);
            let want = [one * 0.5, one * 0.0, -one, one * 0.0, one / 3.0];
            assert!(image(&r).iter().zip(want).all(|(x, w)| (x - w).norm() < 1e-5), "{:?}", image(&r));
            // Without one: what leaves the least residual.
            let b = Tensor::from_slice("N=5", &[one; 5]).unwrap().to(&device).unwrap();
            let r = minres(&n, &b, options()).unwrap();
            assert_eq!(r.stop, Stop::LeastResidual, "{:?} on {}", r.history, device.name());
            assert!((r.residual - 0.4f64.sqrt()).abs() < 1e-4, "{} on {}", r.residual, device.name());
            assert!(image(&r).iter().all(|z| z.norm() < 10.0), "{:?} on {}", image(&r), device.name());
        }
    }
}

#[test]
fn what_is_not_hermitian_is_a_breakdown() {
    let turn =
        Tensor::from_array(ndarray::array![[1.0f32, 2.0, 0.5], [-2.0, 1.0, 0.0], [1.0, 3.0, 2.0]], "M N").unwrap();
    let turn = linops::linop::dense("N=3", &turn, "M").unwrap().out("N").unwrap();
    for device in devices() {
        let b = real("N=3", 3).to(&device).unwrap();
        let r = minres(&turn, &b, SolveOptions::default().iterations(400)).unwrap();
        assert_eq!(r.stop, Stop::Breakdown(Breakdown::NotHermitian), "{:?} on {}", r.history.last(), device.name());
        assert!(image(&r).iter().all(|z| z.is_finite()));
    }
}

#[test]
fn a_gpu_agrees_with_the_host() {
    let a = indefinite(64, false, 4);
    let b = complex("N=64", 8);
    let run = |device: &Device| {
        image(&minres(&a, &b.to(device).unwrap(), SolveOptions::default().iterations(15).tol(0.0)).unwrap())
    };
    let host = widened(&run(&Device::host()));
    for device in devices() {
        let off = distance(&run(&device), &host);
        assert!(off < 2e-5, "{off:.1e} on {}", device.name());
    }
}

#[test]
#[cfg(feature = "gpu")]
fn iterations_between_readings_are_one_submission() {
    let a = indefinite(64, false, 4);
    crate::expect_one_submission("minres", |device, iterations| {
        let b = complex("N=64", 3).to(device).unwrap();
        minres(&a, &b, SolveOptions::default().tol(0.0).iterations(iterations).check_every(1000)).unwrap().iterations
    });
}
