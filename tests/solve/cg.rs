//! Conjugate gradient against a dense solve, and how it stops.

use crate::common::data::{complex, distance, mask, real, wide, widened};
use crate::common::matrix::Matrix;
use crate::common::{self, devices};
use crate::{image, sense, weights};
use linops::linop::{self, FftOptions};
use linops::solve::{Breakdown, Reading, Solution, SolveOptions, Stop, cg};
use linops::{Device, Error, Linop, Result, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

fn solve(device: &Device, a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    let b = a.h().apply(&y.to(device)?)?;
    cg(&a.n(), &b, options)
}

#[test]
fn finds_the_dense_solution() {
    let a = sense();
    let matrix = Matrix::of(&a);
    let y = complex(a.output().unwrap(), 3);
    for lambda in [0.0f32, 0.01, 1.0] {
        let want = matrix.solve_normal(lambda.into(), &matrix.adjoint(&wide(&y)));
        for device in devices() {
            let options = SolveOptions::default().lambda(lambda).iterations(300).tol(1e-6);
            let r = solve(&device, &a, &y, options).unwrap();
            let error = distance(&image(&r), &want);
            assert!(
                error < 1e-4,
                "λ = {lambda} on {}: {error:.1e} after {} ({:?})",
                device.name(),
                r.iterations,
                r.stop
            );
            assert!(matches!(r.stop, Stop::Converged | Stop::Attained), "{:?}", r.stop);
        }
    }
}

#[test]
fn the_residual_falls_and_is_told_with_the_iterate() {
    let a = sense();
    let y = complex(a.output().unwrap(), 4);
    let matrix = Matrix::of(&a);
    let b = widened(&a.h().apply(&y).unwrap().to_array().unwrap());
    // ‖b − (N + λ) x‖/‖b‖ in f64.
    let residual = |x: &ArrayD<Complex32>| {
        let x = widened(x);
        let nx = matrix.normal(&x) + x.mapv(|z| z * f64::from(0.1f32));
        common::data::norm(&(&b - &nx)) / common::data::norm(&b)
    };
    for device in devices() {
        let told = RefCell::new(Vec::<(Reading, f64)>::new());
        let options = SolveOptions::default().lambda(0.1).iterations(25).tol(1e-6).check_every(2).progress(|p| {
            let x = p.iterate().unwrap().to(&Device::host()).unwrap().to_array().unwrap();
            told.borrow_mut().push((p.reading(), residual(&x)));
        });
        let r = solve(&device, &a, &y, options).unwrap();
        let told = told.into_inner();
        assert_eq!(told.iter().map(|(p, _)| *p).collect::<Vec<_>>(), r.history);
        assert!(r.history.iter().all(|p| p.of == 25 && (p.iteration % 2 == 0 || p.iteration == 25)));
        assert_eq!(r.history.last().unwrap().iteration, r.iterations);
        let (first, last) = (r.history[0].residual, r.history.last().unwrap().residual);
        assert!(last < 0.1 * first, "{first} to {last} on {}", device.name());
        // What is told is of the iterate that is told.
        for (p, found) in &told {
            assert!((p.residual - found).abs() < 1e-5, "{p:?}: {found} on {}", device.name());
            assert!(p.true_residual.is_none_or(|t| (t - found).abs() < 1e-6), "{p:?}: {found}");
        }
        // At the end it is computed from the iterate.
        assert!((r.residual - residual(&image(&r))).abs() < 1e-6);
        assert_eq!(r.history.last().unwrap().true_residual, Some(r.residual));
    }
}

#[test]
fn zero_data_give_a_zero_image() {
    let a = sense();
    let y = Tensor::zeros(a.output().unwrap(), linops::DType::Complex32).unwrap();
    for device in devices() {
        let r = solve(&device, &a, &y, SolveOptions::default()).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Zero, 0));
        assert!(image(&r).iter().all(|z| *z == Complex32::default()));
    }
}

#[test]
fn tolerance_zero_ends_at_the_attainable_accuracy() {
    let a = sense();
    let y = complex(a.output().unwrap(), 5);
    for device in devices() {
        let options = SolveOptions::default().lambda(0.5).iterations(2000).tol(0.0);
        let r = solve(&device, &a, &y, options).unwrap();
        assert!(matches!(r.stop, Stop::Attained | Stop::Converged) && r.iterations < 200, "{:?}", r.stop);
        let matrix = Matrix::of(&a);
        let error = distance(&image(&r), &matrix.solve_normal(0.5, &matrix.adjoint(&wide(&y))));
        assert!(error < 1e-6, "{error:.1e} on {}", device.name());
        assert!(r.residual < 1e-6, "{} on {}", r.residual, device.name());
    }
}

#[test]
fn cancelling_returns_the_iterate_so_far() {
    let a = sense();
    let y = complex(a.output().unwrap(), 6);
    for device in devices() {
        let cancel = AtomicBool::new(false);
        let stop = |p: &mut linops::solve::Progress| {
            cancel.store(p.reading().iteration >= 4, Ordering::Relaxed);
        };
        let options = SolveOptions::default().tol(0.0).check_every(2).progress(stop).cancel(&cancel);
        let r = solve(&device, &a, &y, options).unwrap();
        assert_eq!((r.stop, r.iterations), (Stop::Cancelled, 5));
        let plain = SolveOptions::default().tol(0.0).iterations(5);
        assert_eq!(image(&r), image(&solve(&device, &a, &y, plain).unwrap()));
    }
}

#[test]
fn what_is_not_positive_definite_is_a_breakdown() {
    let one = Complex32::new(1.0, 0.5);
    // Not Hermitian: [[1, 2], [-2, 1]] and the identity plus a rotation of phases.
    let turn = Tensor::from_array(ndarray::array![[1.0f32, 2.0], [-2.0, 1.0]], "M N").unwrap();
    let turn = linop::dense("N=2", &turn, "M").unwrap().out("N").unwrap();
    let phase = linop::scalar("N=3", Complex32::new(1.0, 2.0)).unwrap();
    let positive = Stop::Breakdown(Breakdown::NotPositive);
    let hermitian = Stop::Breakdown(Breakdown::NotHermitian);
    let cases: Vec<(&str, Linop, Vec<Complex32>, Stop)> = vec![
        ("indefinite at once", weights(&[1.0, -1.0]), vec![one; 2], positive),
        ("indefinite later", weights(&[2.0, -1.0, 0.5]), vec![one; 3], positive),
        ("negative", weights(&[-1.0, -2.0]), vec![one; 2], positive),
        ("zero", linop::zero("N=5", "N=5").unwrap(), vec![one; 5], positive),
        ("singular on b", weights(&[1.0, 0.0, 2.0]), vec![one; 3], positive),
        ("turned", turn, vec![one, one * 0.5], hermitian),
        ("turned phases", phase, vec![one; 3], hermitian),
    ];
    for device in devices() {
        for (name, n, b, want) in &cases {
            let b = Tensor::from_array(ndarray::Array1::from(b.clone()), "N").unwrap().to(&device).unwrap();
            for tol in [0.0, 1e-6] {
                let r = cg(n, &b, SolveOptions::default().tol(tol).iterations(40)).unwrap();
                assert_eq!(r.stop, *want, "{name} on {}: {:?}", device.name(), r.history);
                assert!(image(&r).iter().all(|z| z.is_finite()), "{name}");
            }
        }
    }
}

/// CG with vectors in f32 and scalars in f64, written out: the smallest error that it comes to.
fn reference(n: &[f32], b: &[Complex32], want: &[Complex32], iterations: usize) -> f64 {
    let dot = |x: &[Complex32], y: &[Complex32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(x.re) * f64::from(y.re) + f64::from(x.im) * f64::from(y.im)).sum()
    };
    let (mut x, mut r, mut p) = (vec![Complex32::default(); n.len()], b.to_vec(), b.to_vec());
    let mut rr = dot(&r, &r);
    let mut best = f64::INFINITY;
    for k in 1..=iterations {
        let q: Vec<Complex32> = p.iter().zip(n).map(|(p, n)| p * n).collect();
        let alpha = rr / dot(&p, &q);
        if !alpha.is_finite() {
            break;
        }
        x.iter_mut().zip(&p).for_each(|(x, p)| *x += p * alpha as f32);
        r.iter_mut().zip(&q).for_each(|(r, q)| *r -= q * alpha as f32);
        let next = dot(&r, &r);
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + *p * (next / rr) as f32);
        rr = next;
        if k % 50 == 0 {
            let off: f64 = x.iter().zip(want).map(|(x, w)| f64::from((x - w).norm_sqr())).sum();
            best = best.min((off / dot(want, want)).sqrt());
        }
    }
    best
}

#[test]
fn ill_conditioned_operators_are_solved_as_far_as_f32_goes() {
    // A = diag(10^(−d i/n)), so that cond(N) = 10^2d.
    let (n, iterations) = (500, 3000);
    for d in [1.0f64, 2.0, 2.5, 3.0, 4.0] {
        let a: Vec<f32> = (0..n).map(|i| 10f64.powf(-d * i as f64 / n as f64) as f32).collect();
        let squares: Vec<f32> = a.iter().map(|a| a * a).collect();
        let x0 = complex(format!("N={n}"), 11).to_array().unwrap();
        let b: Vec<Complex32> = x0.iter().zip(&squares).map(|(x, s)| x * s).collect();
        let want: Vec<Complex32> = b.iter().zip(&squares).map(|(b, s)| b / s).collect();
        let best = reference(&squares, &b, &want, iterations);
        for device in devices() {
            let b = Tensor::from_array(ndarray::Array1::from(b.clone()), "N").unwrap().to(&device).unwrap();
            let r = cg(&weights(&a).n(), &b, SolveOptions::default().tol(0.0).iterations(iterations)).unwrap();
            let wide = |z: &[Complex32]| widened(&ndarray::Array1::from(z.to_vec()).into_dyn());
            let error = distance(&image(&r), &wide(&want));
            assert!(
                error < 3.0 * best + 1e-6,
                "cond 10^{d} on {}: {error:.1e}, the reference comes to {best:.1e}; {:?} after {}",
                device.name(),
                r.stop,
                r.iterations
            );
        }
    }
}

#[test]
fn slow_convergence_is_no_end() {
    // Residuals that stand still for many readings: 20 iterations without 1 % happen here again and again.
    let a: Vec<f32> = (0..400).map(|i| 10f32.powf(-2.5 * i as f32 / 400.0)).collect();
    let b = complex("N=400", 3);
    for device in devices() {
        let options = SolveOptions::default().tol(1e-5).iterations(4000);
        let r = cg(&weights(&a).n(), &b.to(&device).unwrap(), options).unwrap();
        assert_eq!(r.stop, Stop::Converged, "{} after {} on {}", r.residual, r.iterations, device.name());
        assert!(r.residual <= 1e-5);
    }
}

/// Five large eigenvalues, and data that lie along the small ones: what rounding is relative to is large, and residuals stand
/// still for a while where rounding could be at work already.
#[test]
fn data_along_small_eigenvalues_are_solved_to_the_end() {
    let n = 400;
    let eigenvalue = |i: usize| match i {
        0..5 => 0.5 + 0.125 * i as f64,
        _ => 10f64.powf(-6.0 + 2.0 * (i - 5) as f64 / (n - 6) as f64),
    };
    let a: Vec<f32> = (0..n).map(|i| eigenvalue(i).sqrt() as f32).collect();
    let squares: Vec<f64> = a.iter().map(|a| f64::from(*a).powi(2)).collect();
    for seed in 0..8 {
        let x0 = complex(format!("N={n}"), seed).to_array().unwrap();
        let x0: Vec<Complex32> = x0.iter().enumerate().map(|(i, x)| if i < 5 { x * 1e-4 } else { *x }).collect();
        let b: Vec<Complex32> = x0.iter().zip(&squares).map(|(x, s)| x * *s as f32).collect();
        for device in devices() {
            let b = Tensor::from_array(ndarray::Array1::from(b.clone()), "N").unwrap().to(&device).unwrap();
            let r = cg(&weights(&a).n(), &b, SolveOptions::default().tol(0.0).iterations(1500)).unwrap();
            let error = distance(&image(&r), &widened(&ndarray::Array1::from(x0.clone()).into_dyn()));
            assert!(
                error < 2e-6,
                "{error:.1e} after {} for seed {seed} on {}: {:?}",
                r.iterations,
                device.name(),
                r.stop
            );
        }
    }
}

/// Numbers that f32 has no normal ones for: a millionth of them is lost, no more.
#[test]
fn data_of_denormal_numbers_are_solved() {
    for device in devices() {
        for exponent in [-126i32, -135] {
            let b = ndarray::Array1::from(vec![Complex32::new(2f64.powi(exponent) as f32, 0.0); 4]);
            let b = Tensor::from_array(b, "N").unwrap().to(&device).unwrap();
            let r = cg(&weights(&[0.5, 1.0, 2.0, 4.0]).n(), &b, SolveOptions::default().tol(1e-6)).unwrap();
            // A device may take denormal numbers for zeros; then the data are zero, and so is the image.
            match r.stop {
                Stop::Zero => assert!(!device.is_host(), "{:?}", r.stop),
                _ => {
                    assert_eq!(r.stop, Stop::Converged, "2^{exponent} on {}", device.name());
                    let scaled: Vec<f64> = image(&r).iter().map(|z| f64::from(z.re) * 2f64.powi(-exponent)).collect();
                    let want = [4.0, 1.0, 0.25, 0.0625];
                    for (x, want) in scaled.iter().zip(want) {
                        // Results of that kind may be taken for zeros, too.
                        let flushed = !device.is_host() && *x == 0.0 && want * 2f64.powi(exponent) < 2f64.powi(-126);
                        // Half a unit of the last place that is left.
                        let near = (x - want).abs() <= 2f64.powi(-149 - exponent) + 1e-6;
                        assert!(flushed || near, "2^{exponent} on {}: {scaled:?}", device.name());
                    }
                }
            }
        }
    }
}

/// A simulated scan, solved for thousands of iterations: what 32-bit numbers give stays.
#[test]
#[cfg(feature = "app")]
fn thousands_of_iterations_lose_nothing() {
    use linops::app::scan::{ScanOptions, scan};
    let scan = scan(&ScanOptions::default().ny(40).nx(36).coils(4).acceleration(1).centre_lines(0)).unwrap();
    let s = linop::diagonal("Y=40 X=36", &Tensor::from_array(scan.maps.clone(), "C Y X").unwrap()).unwrap();
    let f = linop::fft("C=4 Y=40 X=36", "Y X", FftOptions::default().centered(true)).unwrap().out("C Y X").unwrap();
    let a = f * s;
    let y = Tensor::from_array(scan.kspace.clone(), "C Y X").unwrap();
    // A fully sampled scan: the normal is a diagonal.
    let adjoint = linops::apply_f64(&a.h(), &wide(&y)).unwrap();
    let sums = scan.maps.mapv(|m| f64::from(m.norm_sqr())).sum_axis(ndarray::Axis(0)).into_dyn();
    let want = ndarray::Zip::from(&adjoint).and(&sums).map_collect(|x, s| x / s);
    for device in devices() {
        let r = solve(&device, &a, &y, SolveOptions::default().tol(0.0).iterations(6000)).unwrap();
        let error = distance(&image(&r), &want);
        assert!(error < 1e-6, "{error:.1e} after {} on {}: {:?}", r.iterations, device.name(), r.stop);
        assert_eq!(r.stop, Stop::Attained);
    }
}

/// A projector: every direction that is not in the data has curvature 0, and rounding turns the directions there.
#[test]
fn nothing_is_made_of_rounding_in_the_null_space() {
    let f = linop::fft("Y=32 X=32", "Y X", FftOptions::default()).unwrap();
    let a = linop::sampling(f.output().unwrap(), &mask("Y1=32 X1=32", 0.4, 2), "S").unwrap() * f;
    let y = complex(a.output().unwrap(), 5);
    let want = a.h().apply(&y).unwrap().to_array().unwrap();
    for device in devices() {
        let r = solve(&device, &a, &y, SolveOptions::default().tol(0.0).iterations(3000)).unwrap();
        let error = distance(&image(&r), &widened(&want));
        assert!(error < 1e-5, "{error:.1e} after {} on {}: {:?}", r.iterations, device.name(), r.stop);
        assert!(matches!(r.stop, Stop::Attained | Stop::Converged), "{:?}", r.stop);
    }
}

#[test]
fn real_data_are_solved_as_real_ones() {
    let a = weights(&[1.0, 2.0, 0.5, 3.0, 1.5]);
    let y = real("N=5", 4);
    for device in devices() {
        let b = a.h().apply(&y.to(&device).unwrap()).unwrap();
        let r = cg(&a.n(), &b, SolveOptions::default().tol(1e-6)).unwrap();
        assert_eq!(r.x.dtype(), linops::DType::F32);
        let x = r.x.to(&Device::host()).unwrap().to_real_array().unwrap();
        for ((x, y), w) in x.iter().zip(&y.to_real_array().unwrap()).zip([1.0, 2.0, 0.5, 3.0, 1.5]) {
            assert!((x - y / w).abs() < 1e-5, "{}", device.name());
        }
    }
}

#[test]
fn a_singular_normal_gives_the_least_norm_solution() {
    let a =
        linop::diagonal("N=6", &Tensor::from_array(ndarray::arr1(&[1.0f32, 0.0, 2.0, 0.0, 3.0, 0.5]), "N").unwrap());
    let a = a.unwrap();
    let y = complex("N=6", 8);
    for device in devices() {
        let r = solve(&device, &a, &y, SolveOptions::default().iterations(50).tol(0.0)).unwrap();
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
            let e = cg(&n, &bad, SolveOptions::default()).unwrap_err();
            assert!(matches!(e, Error::Value(_)) && e.to_string().contains("NaN"), "{value}: {e}");
        }
        let b = b.to(&device).unwrap();
        for (lambda, tol, part) in [(-1.0, 0.1, "lambda"), (f32::NAN, 0.1, "lambda"), (0.0, f32::INFINITY, "tol")] {
            let e = cg(&n, &b, SolveOptions::default().lambda(lambda).tol(tol)).unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
        }
        let i = linop::scalar("N=5", Complex32::new(0.0, 1.0)).unwrap();
        let e = cg(&i, &real("N=5", 1).to(&device).unwrap(), SolveOptions::default()).unwrap_err();
        assert!(e.to_string().contains("complex"), "{e}");
        let e = cg(&n, &complex("N=6", 1).to(&device).unwrap(), SolveOptions::default()).unwrap_err();
        assert!(e.to_string().contains("dim N has extent 6, expected 5"), "{e}");
    }
}

#[test]
fn two_solves_agree_bit_for_bit() {
    let a = sense();
    let y = complex(a.output().unwrap(), 10);
    for device in devices() {
        let options = || SolveOptions::default().lambda(0.01).iterations(20).tol(0.0);
        let run = || common::bits(&image(&solve(&device, &a, &y, options()).unwrap()));
        assert!(run() == run(), "{}", device.name());
    }
}

/// Iterations between two readings are one command buffer of one submission, and nothing of them is read back.
#[test]
#[cfg(feature = "gpu")]
fn iterations_between_readings_are_one_submission() {
    let n = sense().n();
    crate::expect_one_submission("cg", |device, iterations| {
        let b = complex(n.input().unwrap(), 3).to(device).unwrap();
        let options = SolveOptions::default().lambda(0.1).tol(0.0).iterations(iterations).check_every(1000);
        cg(&n, &b, options).unwrap().iterations
    });
}

/// A device has something to do while more is recorded: what moves many bytes is not held back.
#[test]
#[cfg(feature = "gpu")]
fn large_iterations_are_submitted_before_a_reading() {
    let Some(device) = common::gpu_with(linops::gpu::GpuOptions::default()) else { return };
    // Three passes over the vectors move 11 of them, 8 MiB each, a weight beside three; five such iterations are worth a submission.
    let weight = linops::Tensor::from_slice("N=1048576", &vec![2.0f32; 1 << 20]).unwrap();
    let n = linop::diagonal("N=1048576", &weight).unwrap();
    let b = complex("N=1048576", 3).to(&device).unwrap();
    let submissions = |iterations: usize| {
        let before = device.as_gpu().unwrap().lane_counts(0).submits;
        let options = SolveOptions::default().lambda(0.1).tol(0.0).iterations(iterations).check_every(1000);
        assert_eq!(cg(&n, &b, options).unwrap().iterations, iterations);
        device.as_gpu().unwrap().lane_counts(0).submits - before
    };
    submissions(2);
    let (few, many) = (submissions(5), submissions(45));
    assert!((4..=20).contains(&(many - few)), "{few} {many}");
}
