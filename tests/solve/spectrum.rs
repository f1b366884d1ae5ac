//! Norms, conditions and singular values against dense ones in f64.

use crate::common::data::{inner, norm, widened};
use crate::common::matrix::Matrix;
use crate::common::{bits, devices};
use crate::{dense, sense, weights};
use linops::linop;
use linops::solve::{NormOptions, SolveOptions, Stop, SvdOptions, condition, operator_norm, power_iteration, svd};
use linops::{DType, Device, Linop, Tensor};
use ndarray::ArrayD;
use num_complex::{Complex32, Complex64};

/// All singular values, the largest first: roots of the eigenvalues of AᴴA by Jacobi's rotations, in f64.
fn singular_values(a: &Linop) -> Vec<f64> {
    let (m, shape) = (Matrix::of(&a.n()), a.input().unwrap().extents().to_vec());
    let n: usize = shape.iter().product();
    let mut g: Vec<Vec<Complex64>> = (0..n)
        .map(|k| {
            let mut unit = ArrayD::zeros(shape.clone());
            unit.as_slice_mut().unwrap()[k] = Complex64::new(1.0, 0.0);
            m.forward(&unit).iter().copied().collect()
        })
        .collect();
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                let c = g[q][p];
                if c.norm() < 1e-300 {
                    continue;
                }
                let zeta = (g[q][q].re - g[p][p].re) / (2.0 * c.norm());
                let t = if zeta >= 0.0 { 1.0 } else { -1.0 } / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let (cosine, phase) = (1.0 / (1.0 + t * t).sqrt(), c / c.norm());
                let sine = cosine * t;
                let (a, b) = (g[p].clone(), g[q].clone());
                for i in 0..n {
                    g[p][i] = a[i] * cosine - b[i] * phase.conj() * sine;
                    g[q][i] = a[i] * phase * sine + b[i] * cosine;
                }
                for column in &mut g {
                    let (a, b) = (column[p], column[q]);
                    column[p] = a * cosine - b * phase * sine;
                    column[q] = a * phase.conj() * sine + b * cosine;
                }
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|k| g[k][k].re.max(0.0).sqrt()).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

#[test]
fn norms_lie_within_their_bounds() {
    let cases =
        [dense(23, 17, false, 1), dense(9, 31, false, 2), sense(), weights(&[3.0; 7]), weights(&[0.0, 1e-20, 0.0])];
    for (n, a) in cases.iter().enumerate() {
        let want = singular_values(a)[0];
        for device in devices() {
            for margin in [0.3, 0.02] {
                let found = operator_norm(a, &device, NormOptions::default().margin(margin)).unwrap();
                let at = format!("{n}, margin {margin} on {}: {found:?}, {want}", device.name());
                assert!(found.lower <= want * (1.0 + 1e-5) && found.upper >= want * (1.0 - 1e-6), "{at}");
                assert!(found.upper <= found.lower * (1.0 + f64::from(margin)) * (1.0 + 1e-6), "{at}");
                let again = operator_norm(a, &device, NormOptions::default().margin(margin)).unwrap();
                assert_eq!(found, again);
            }
        }
    }
    for device in devices() {
        let zero = linop::zero("N=4", "M=3").unwrap();
        let found = operator_norm(&zero, &device, NormOptions::default()).unwrap();
        assert_eq!((found.lower, found.upper), (0.0, 0.0));
    }
}

#[test]
fn scales_are_taken_along() {
    for device in devices() {
        for exponent in [-90i32, 90] {
            let a = weights(&[3.0, 1.0, 2.0].map(|v: f32| v * (exponent as f32).exp2()));
            let back = 2f64.powi(-exponent);
            let found = operator_norm(&a, &device, NormOptions::default()).unwrap();
            assert!((found.lower * back - 3.0).abs() < 1e-4, "{found:?}");
            let d = svd(&a, 2, &device, SvdOptions::default()).unwrap();
            assert!((d.values[1] * back - 2.0).abs() < 1e-4 && d.stop == Stop::Converged, "{:?}", d.values);
            let c = condition(&a, &device, NormOptions::default()).unwrap();
            assert!((c.number() - 3.0).abs() < 1e-3, "{c:?}");
        }
    }
}

#[test]
fn what_has_no_spectrum_is_named() {
    let nan = weights(&[1.0, f32::NAN, 2.0]);
    let i = linop::identity("N=3").unwrap();
    for device in devices() {
        for e in [
            operator_norm(&nan, &device, NormOptions::default()).map(drop).unwrap_err(),
            condition(&nan, &device, NormOptions::default()).map(drop).unwrap_err(),
            svd(&nan, 1, &device, SvdOptions::default()).map(drop).unwrap_err(),
            power_iteration(&nan, DType::F32, &device, SolveOptions::default()).map(drop).unwrap_err(),
        ] {
            assert!(e.to_string().contains("NaN"), "{e}");
        }
        for (k, part) in [(0, "expected 1 to 3"), (4, "expected 1 to 3")] {
            let e = svd(&i, k, &device, SvdOptions::default()).unwrap_err().to_string();
            assert!(e.contains(part), "{e}");
        }
        let turn = linop::scalar("N=3", Complex32::new(0.0, 1.0)).unwrap();
        let e = svd(&turn, 1, &device, SvdOptions::default().dtype(DType::F32)).map(drop).unwrap_err().to_string();
        assert!(e.contains("dtype"), "{e}");
        let zero = linop::zero("N=4", "M=3").unwrap();
        let d = svd(&zero, 2, &device, SvdOptions::default()).unwrap();
        assert!(d.stop == Stop::Zero && d.values.is_empty());
        assert_eq!(condition(&zero, &device, NormOptions::default()).unwrap().number(), f64::INFINITY);
        // Of rank 2: two values, not three.
        let d = svd(&weights(&[0.0, 2.0, 0.0, 1.0, 0.0]), 3, &device, SvdOptions::default()).unwrap();
        assert!(d.values.len() == 2 && (d.values[1] - 1.0).abs() < 1e-4, "{:?} on {}", d.values, device.name());
    }
}

#[test]
fn conditions_are_those_of_the_dense_operator() {
    for a in [dense(30, 12, false, 4), dense(8, 21, false, 5)] {
        let wide = a.input().unwrap().len() > a.output().unwrap().len();
        let values = singular_values(&if wide { a.h() } else { a.clone() });
        let want = values[0] / values[values.len() - 1];
        for device in devices() {
            let c = condition(&a, &device, NormOptions::default()).unwrap();
            assert!((c.number() / want - 1.0).abs() < 1e-3, "{} is not {want} on {}", c.number(), device.name());
            let early = condition(&a, &device, NormOptions::default().iterations(3)).unwrap();
            assert!(early.number() <= want && !early.exhausted);
        }
    }
}

#[test]
fn singular_values_and_vectors_are_those_of_the_dense_operator() {
    for (name, a, k) in [
        ("tall", dense(41, 29, false, 1), 5),
        ("wide", dense(13, 37, false, 2), 13),
        ("sense", sense(), 6),
        ("whole", dense(7, 5, false, 3), 5),
    ] {
        let want = singular_values(&a);
        let matrix = Matrix::of(&a);
        for device in devices() {
            let d = svd(&a, k, &device, SvdOptions::default().tol(1e-5)).unwrap();
            let at = format!("{name} on {}: {:?} after {}", device.name(), d.residuals, d.applies);
            assert!(d.stop == Stop::Converged && d.values.len() == k, "{at}");
            for (found, want) in d.values.iter().zip(&want) {
                assert!((found - want).abs() < 2e-5 * d.values[0], "{found} is not {want}: {at}");
            }
            let host = |ts: &[Tensor]| -> Vec<ArrayD<Complex64>> {
                ts.iter().map(|t| widened(&t.to(&Device::host()).unwrap().to_array().unwrap())).collect()
            };
            let (left, right) = (host(&d.left), host(&d.right));
            for i in 0..k {
                for j in 0..k {
                    let unit = f64::from(u8::from(i == j));
                    assert!((inner(&left[i], &left[j]) - unit).norm() < 2e-5, "{i} {j}: {at}");
                    assert!((inner(&right[i], &right[j]) - unit).norm() < 2e-5, "{i} {j}: {at}");
                }
                let forward = norm(&(matrix.forward(&right[i]) - &left[i] * d.values[i]));
                let adjoint = norm(&(matrix.adjoint(&left[i]) - &right[i] * d.values[i]));
                assert!(forward < 3e-5 * d.values[0] && adjoint < 3e-5 * d.values[0], "{forward} {adjoint}: {at}");
                // And that is what is said.
                assert!((adjoint - d.residuals[i]).abs() < 1e-5 * d.values[0], "{adjoint}: {at}");
            }
        }
    }
}

/// Values that are there several times are found so often, also where they are all alike; and real ones have real vectors.
#[test]
fn repeated_values_are_found_so_often() {
    let mut values = vec![1.0f32; 60];
    values[7..12].fill(4.0);
    values[30..33].fill(3.0);
    for device in devices() {
        for dtype in [DType::F32, DType::Complex32] {
            let options = || SvdOptions::default().dtype(dtype);
            let d = svd(&weights(&values), 9, &device, options()).unwrap();
            let want = [4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 1.0];
            let near = d.values.iter().zip(want).all(|(s, w)| (s - w).abs() < 1e-4);
            assert!(near && d.values.len() == 9, "{:?} on {}", d.values, device.name());
            assert!(d.left.iter().chain(&d.right).all(|t| t.dtype() == dtype));
            let d = svd(&linop::identity("N=40").unwrap(), 6, &device, options()).unwrap();
            assert!(d.values.len() == 6 && d.values.iter().all(|s| (s - 1.0).abs() < 1e-5), "{:?}", d.values);
        }
    }
}

/// A slow decay needs the basis to begin again; what it finds is right, and the same bits each time.
#[test]
fn restarts_find_what_decays_slowly() {
    let values: Vec<f32> = (0..300).map(|i| 1.0 - i as f32 / 400.0).collect();
    for device in devices() {
        let run = || svd(&weights(&values), 4, &device, SvdOptions::default().basis(24)).unwrap();
        let d = run();
        assert!(d.stop == Stop::Converged && d.applies > 60, "{:?} {}", d.stop, d.applies);
        for (i, s) in d.values.iter().enumerate() {
            assert!((s - f64::from(values[i])).abs() < 2e-5, "{s} on {}", device.name());
        }
        let array = |t: &Tensor| bits(&t.to(&Device::host()).unwrap().to_array().unwrap());
        assert!(d.right.iter().zip(&run().right).all(|(a, b)| array(a) == array(b)));
        // Not enough of them is said.
        let d = svd(&weights(&values), 4, &device, SvdOptions::default().basis(24).restarts(0).tol(1e-6)).unwrap();
        assert_eq!(d.stop, Stop::Iterations);
    }
}

#[test]
fn power_iteration_finds_the_largest_eigenvalue_with_its_sign() {
    let n = weights(&[1.0, -4.0, 3.0, 2.0, 0.0]);
    for device in devices() {
        let options = || SolveOptions::default().tol(1e-4).iterations(200);
        for dtype in [DType::F32, DType::Complex32] {
            let p = power_iteration(&n, dtype, &device, options()).unwrap();
            assert!(p.stop == Stop::Converged && (p.value + 4.0).abs() < 1e-5, "{} on {}", p.value, device.name());
            assert!(p.bound <= 4e-4);
            let v = p.vector.to(&Device::host()).unwrap().to_array().unwrap();
            assert!((v[[1]].norm() - 1.0).abs() < 1e-4 && v[[2]].norm() < 1e-3);
        }
        // Shifted by 2: 5 is the largest.
        let p = power_iteration(&n, DType::F32, &device, options().lambda(2.0)).unwrap();
        assert!((p.value - 5.0).abs() < 1e-3, "{}", p.value);
        let p = power_iteration(&n, DType::F32, &device, options().iterations(3)).unwrap();
        assert!(p.stop == Stop::Iterations && (p.value + 4.0).abs() <= 3.0);
    }
}
