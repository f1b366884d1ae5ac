//! What preconditioners save, and what they are.

use crate::common::data::{complex, distance, real, wide, widened};
use crate::common::matrix::Matrix;
use crate::common::{bits, devices};
use crate::{dense, image, weights};
use linops::linop::{self, NufftOptions};
use linops::solve::precondition::{chebyshev, circulant, diagonal, jacobi};
use linops::solve::{Breakdown, Solution, SolveOptions, Stop, cg, pcg};
use linops::{Device, Linop, Tensor};
use ndarray::Array2;
use num_complex::Complex32;

fn options() -> SolveOptions<'static> {
    SolveOptions::default().tol(1e-4).iterations(2000).check_every(1)
}

/// Solves with and without, on a device; both are solutions.
fn both(n: &Linop, m: &Linop, b: &Tensor, lambda: f32) -> [Solution; 2] {
    let plain = cg(n, b, options().lambda(lambda)).unwrap();
    let with = pcg(n, m, b, options().lambda(lambda)).unwrap();
    for r in [&plain, &with] {
        assert!(r.stop == Stop::Converged && r.residual <= 1e-4, "{:?} {}", r.stop, r.residual);
    }
    [plain, with]
}

/// Rows of very unequal weight.
fn unequal() -> Linop {
    let a = dense(60, 33, false, 3);
    let columns: Vec<f32> = (0..33).map(|i| 10f32.powf(-1.5 * i as f32 / 32.0)).collect();
    a * weights(&columns)
}

#[test]
fn jacobi_saves_iterations_where_weights_are_unequal() {
    let n = unequal().n();
    let m = Matrix::of(&unequal());
    for device in devices() {
        let b = complex("N=33", 5).to(&device).unwrap();
        let d = diagonal(&n, 33, &device).unwrap();
        for lambda in [0.0, 1e-3] {
            let [plain, with] = both(&n, &jacobi(&d, lambda).unwrap(), &b, lambda);
            assert!(with.iterations * 2 < plain.iterations, "{} of {}", with.iterations, plain.iterations);
            let tight = pcg(&n, &jacobi(&d, lambda).unwrap(), &b, options().tol(1e-6).lambda(lambda)).unwrap();
            let want = m.solve_normal(lambda.into(), &wide(&complex("N=33", 5)));
            let error = distance(&image(&tight), &want);
            assert!(error < 1e-3, "{error:.1e} on {}", device.name());
            let again = pcg(&n, &jacobi(&d, lambda).unwrap(), &b, options().tol(1e-6).lambda(lambda)).unwrap();
            assert_eq!(bits(&image(&tight)), bits(&image(&again)));
        }
    }
}

#[test]
fn diagonals_are_exact_or_near() {
    let a = dense(40, 30, false, 4);
    let n = a.n();
    let matrix = Matrix::of(&n);
    let entry = |k: usize| {
        let mut unit = ndarray::ArrayD::zeros(vec![30]);
        unit[[k]] = num_complex::Complex64::new(1.0, 0.0);
        matrix.forward(&unit)[[k]].re
    };
    for device in devices() {
        let exact = diagonal(&n, 30, &device).unwrap().to_real_vec().unwrap();
        assert!(exact.iter().enumerate().all(|(k, d)| (f64::from(*d) - entry(k)).abs() < 1e-4 * entry(k)));
        let near = diagonal(&n, 25, &device).unwrap().to_real_vec().unwrap();
        assert_ne!(near, exact);
        let off = near.iter().zip(&exact).map(|(a, b)| (a / b - 1.0).abs()).sum::<f32>() / 30.0;
        assert!(off < 0.3, "{off}");
    }
}

/// Radial samples, dense in the middle: what a gridding reconstruction weights, a circulant takes care of.
fn radial(n: usize) -> Linop {
    let (spokes, read) = (2 * n, 2 * n);
    let locs = Array2::from_shape_fn((spokes * read, 2), |(s, axis)| {
        let angle = std::f64::consts::PI * (s / read) as f64 / spokes as f64;
        let radius = ((s % read) as f64 + 0.5) / read as f64 * n as f64 - n as f64 / 2.0;
        radius * if axis == 0 { angle.sin() } else { angle.cos() }
    });
    linop::nufft(format!("Y={n} X={n}"), &locs.into_dyn(), "Y X", NufftOptions::default(), "S").unwrap()
}

#[test]
fn a_circulant_saves_iterations_for_samples_off_the_grid() {
    let a = radial(21);
    let x = complex("Y=21 X=21", 1);
    for device in devices() {
        let b = a.n().apply(&x.to(&device).unwrap()).unwrap();
        let m = circulant(&a.n(), 0.0, &device).unwrap();
        let [plain, with] = both(&a.n(), &m, &b, 0.0);
        assert!(with.iterations * 3 < plain.iterations * 2, "{} of {}", with.iterations, plain.iterations);
    }
    // With coils, the circulant of the transform alone.
    let smooth = ndarray::ArrayD::from_shape_fn(vec![3, 21, 21], |i| {
        let phase = (i[0] + 1) as f32 * (i[1] as f32 - 0.5 * i[2] as f32) / 21.0;
        Complex32::from_polar((1.0 + i[0] as f32 * i[2] as f32 / 21.0).recip(), phase)
    });
    let sense = linop::sense(&Tensor::from_array(smooth, "C Y X").unwrap(), &a, "C").unwrap();
    let m = circulant(&a.n(), 1.0, &Device::host()).unwrap();
    let n = sense.n();
    let b = n.apply(&complex("Y=21 X=21", 7)).unwrap();
    let [plain, with] = both(&n, &m, &b, 1.0);
    assert!(with.iterations < plain.iterations, "{} of {}", with.iterations, plain.iterations);
}

/// Along one axis, everything is known: the circulant of a Toeplitz operator is T. Chan's.
#[test]
fn a_circulant_is_the_nearest_one() {
    let n = 7;
    // Hermitian and positive: t[k] for lags −6 to 6.
    let t = |lag: i64| {
        let size = 0.6f32.powi(lag.abs() as i32);
        Complex32::from_polar(size, 0.3 * lag as f32)
    };
    let w = Array2::from_shape_fn((n, n), |(i, j)| t(i as i64 - j as i64));
    let a = linop::dense("N=7", &Tensor::from_array(w, "M N").unwrap(), "M").unwrap().out("N").unwrap();
    let m = circulant(&a, 0.25, &Device::host()).unwrap();
    // Its inverse is the circulant of the mean of each wrapped diagonal, plus λ.
    let first: Vec<Complex32> =
        (0..n).map(|m| (t(m as i64) * (n - m) as f32 + t(m as i64 - n as i64) * m as f32) / n as f32).collect();
    let x = complex("N=7", 3).to_array().unwrap();
    let y = ndarray::ArrayD::from_shape_fn(vec![n], |i| {
        (0..n).map(|j| first[(i[0] + n - j) % n] * x[[j]]).sum::<Complex32>() + x[[i[0]]] * 0.25
    });
    for device in devices() {
        let back = m.apply(&Tensor::from_array(y.clone(), "N").unwrap().to(&device).unwrap()).unwrap();
        let back = back.to(&Device::host()).unwrap().to_array().unwrap();
        assert!(distance(&back, &widened(&x)) < 2e-5, "{}", device.name());
    }
}

#[test]
fn a_polynomial_saves_iterations_and_is_the_polynomial() {
    let values: Vec<f32> = (0..50).map(|i| 1.0 + 99.0 * i as f32 / 49.0).collect();
    let n = weights(&values);
    for degree in [1usize, 4, 7] {
        let m = chebyshev(&n, 0.5, [1.5, 100.5], degree).unwrap();
        for device in devices() {
            let b = complex("N=50", 2).to(&device).unwrap();
            let [plain, with] = both(&n, &m, &b, 0.5);
            assert!(with.iterations * (degree + 2) < plain.iterations * 3, "{}: {}", with.iterations, plain.iterations);
            // 1 − s p(s) = T(μ(s))/T(μ(0)), Chebyshev's polynomial of one degree more.
            let ones = Tensor::from_slice("N=50", &[1.0f32; 50]).unwrap().to(&device).unwrap();
            let p = m.apply(&ones).unwrap().to(&Device::host()).unwrap().to_real_vec().unwrap();
            let t = |x: f64| match x.abs() <= 1.0 {
                true => ((degree + 1) as f64 * x.acos()).cos(),
                false => ((degree + 1) as f64 * x.abs().acosh()).cosh() * x.signum().powi(degree as i32 + 1),
            };
            let mu = |s: f64| (102.0 - 2.0 * s) / 99.0;
            for (p, v) in p.iter().zip(&values) {
                let s = f64::from(*v) + 0.5;
                let off = (1.0 - s * f64::from(*p)) - t(mu(s)) / t(mu(0.0));
                assert!(off.abs() < 1e-4, "{off} at {s}, degree {degree} on {}", device.name());
            }
        }
    }
}

#[test]
fn preconditioners_that_are_none_are_named() {
    let n = weights(&[1.0, 2.0, 3.0, 4.0]);
    let bad = weights(&[1.0, -1.0, 1.0, 1.0]);
    for device in devices() {
        let b = real("N=4", 3).to(&device).unwrap();
        let zero = linop::zero("N=4", "N=4").unwrap();
        for m in [&zero, &weights(&[-1.0; 4])] {
            let r = pcg(&n, m, &b, options()).unwrap();
            assert_eq!(r.stop, Stop::Breakdown(Breakdown::Preconditioner), "on {}", device.name());
        }
        // One of both signs is met sooner or later, or does no harm.
        let r = pcg(&n, &bad, &b, options().iterations(50)).unwrap();
        assert!(r.stop != Stop::Converged || r.residual <= 1e-4, "{:?}", r.stop);
        assert!(image(&r).iter().all(|z| z.is_finite()));
        let e = pcg(&n, &linop::identity("N=5").unwrap(), &b, options()).unwrap_err().to_string();
        assert!(e.contains("preconditioner"), "{e}");
    }
    let t = |v: &[f32]| Tensor::from_slice(format!("N={}", v.len()), v).unwrap();
    for (e, part) in [
        (jacobi(&t(&[1.0, 0.0]), 0.0).unwrap_err(), "[1]"),
        (jacobi(&t(&[1.0, f32::NAN]), 0.0).unwrap_err(), "positive"),
        (jacobi(&t(&[1.0]), -1.0).unwrap_err(), "lambda"),
        (chebyshev(&n, 0.0, [2.0, 1.0], 3).unwrap_err(), "0 < from < to"),
        (chebyshev(&n, 0.0, [1.0, 2.0], 0).unwrap_err(), "degree"),
        (circulant(&zero_like(), 0.0, &Device::host()).unwrap_err(), "eigenvalues"),
        (diagonal(&n, 0, &Device::host()).unwrap_err(), "probes"),
    ] {
        assert!(e.to_string().contains(part), "{e}");
    }
}

fn zero_like() -> Linop {
    linop::zero("N=4", "N=4").unwrap()
}

#[test]
#[cfg(feature = "gpu")]
fn iterations_between_readings_are_one_submission() {
    let n = unequal().n();
    let m = jacobi(&diagonal(&n, 33, &Device::host()).unwrap(), 0.1).unwrap();
    crate::expect_one_submission("pcg", |device, iterations| {
        let b = complex("N=33", 3).to(device).unwrap();
        let options = SolveOptions::default().lambda(0.1).tol(0.0).iterations(iterations).check_every(1000);
        pcg(&n, &m, &b, options).unwrap().iterations
    });
}
