//! Convex solvers against answers in f64, on every device.

mod common;

use common::data::{complex, mask, real};
use common::devices;
use linops::convex::{ConvexOptions, Method, Problem, Solved, WaveletPenalty};
use linops::linop::{self, FftOptions, GradientOptions};
use linops::solve::Stop;
use linops::{Device, Linop, Tensor, apply_f64};
use nalgebra::{DMatrix, DVector};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;

type Dense = DMatrix<Complex64>;

fn dense(a: &Linop) -> Dense {
    let input = a.input().unwrap().extents().to_vec();
    let (columns, rows) = (a.input().unwrap().len(), a.output().unwrap().len());
    let mut m = Dense::zeros(rows, columns);
    for n in 0..columns {
        let mut unit = ArrayD::zeros(IxDyn(&input));
        unit.as_slice_mut().unwrap()[n] = Complex64::from(1.0);
        let y = apply_f64(a, &unit).unwrap();
        m.column_mut(n).iter_mut().zip(&y).for_each(|(m, y)| *m = *y);
    }
    m
}

fn vector(t: &Tensor) -> DVector<Complex64> {
    let values = t.to(&Device::host()).unwrap().to_vec().unwrap();
    DVector::from_iterator(values.len(), values.iter().map(|v| Complex64::new(v.re.into(), v.im.into())))
}

/// λ Σ w|K x| with so many members of a group, or x ≥ 0.
enum Term {
    L1 { k: Dense, weight: f64, members: usize, weights: Vec<f64> },
    NonNegative { n: usize },
}

impl Term {
    fn l1(k: &Linop, weight: f64, members: usize) -> Term {
        let k = dense(k);
        let weights = vec![1.0; k.nrows()];
        Term::L1 { k, weight, members, weights }
    }

    fn k(&self) -> Dense {
        match self {
            Term::L1 { k, .. } => k.clone(),
            Term::NonNegative { n } => Dense::identity(*n, *n),
        }
    }

    fn value(&self, kx: &DVector<Complex64>) -> f64 {
        match self {
            Term::L1 { weight, members, weights, .. } => {
                let inner = kx.len() / members;
                let size = |i: usize| (0..*members).map(|m| kx[m * inner + i].norm_sqr()).sum::<f64>().sqrt();
                weight * (0..inner).map(|i| weights[i] * size(i)).sum::<f64>()
            }
            Term::NonNegative { .. } => 0.0,
        }
    }

    fn prox(&self, v: &DVector<Complex64>, t: f64) -> DVector<Complex64> {
        match self {
            Term::L1 { weight, members, weights, .. } => {
                let inner = v.len() / members;
                let mut out = v.clone();
                for i in 0..inner {
                    let size = (0..*members).map(|m| v[m * inner + i].norm_sqr()).sum::<f64>().sqrt();
                    let factor = (1.0 - t * weight * weights[i] / size.max(1e-300)).max(0.0);
                    (0..*members).for_each(|m| out[m * inner + i] *= factor);
                }
                out
            }
            Term::NonNegative { .. } => v.map(|v| Complex64::from(v.re.max(0.0))),
        }
    }
}

/// ½‖A x − y‖² + terms, minimised: the least objective, and x.
fn answer(a: &Linop, y: &Tensor, terms: &[Term], mu: f64) -> (f64, DVector<Complex64>) {
    answer_of(&dense(a), &vector(y), terms, mu)
}

fn objective(a: &Dense, y: &DVector<Complex64>, terms: &[Term], mu: f64, x: &DVector<Complex64>) -> f64 {
    let values: f64 = terms.iter().map(|t| t.value(&(t.k() * x))).sum();
    0.5 * (a * x - y).norm_squared() + 0.5 * mu * x.norm_squared() + values
}

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
    for method in [Method::Ista, Method::Fista, Method::Pogm, Method::Admm, Method::Pdhg] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().l1(weight).unwrap();
        compare(&format!("l1 {method}"), &problem, &a, &y, &[Term::l1(&id, weight, 1)], 0.0, &options);
    }
}

#[test]
fn total_variation_by_all_methods() {
    let a = sense();
    let y = complex(a.output().unwrap(), 4);
    let g = linop::gradient("Y=8 X=7", "Y X", GradientOptions::default()).unwrap();
    let weight = 0.03 * Problem::new(&a, &y).unwrap().scale().unwrap();
    for method in [Method::Admm, Method::Pdhg] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().tv(weight, "Y X").unwrap();
        compare(&format!("tv {method}"), &problem, &a, &y, &[Term::l1(&g, weight, 2)], 0.0, &options);
    }
}

#[test]
fn denoising_with_a_constraint() {
    let a = linop::identity("Y=9 X=7").unwrap();
    let y = real("Y=9 X=7", 5);
    let g = linop::gradient("Y=9 X=7", "Y X", GradientOptions::default()).unwrap();
    let terms = [Term::l1(&g, 0.3, 2), Term::NonNegative { n: 63 }];
    for method in [Method::Admm, Method::Pdhg] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(5000);
        let problem = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().tv(0.3, "Y X").unwrap().non_negative();
        let all = compare(&format!("tv, x >= 0 {method}"), &problem, &a, &y, &terms, 0.0, &options);
        for solved in all {
            assert!(vector(&solved.x).iter().all(|v| v.re >= 0.0));
        }
    }
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

/// By alternating directions in f64 with the inverse of the system.
fn answer_of(a: &Dense, y: &DVector<Complex64>, terms: &[Term], mu: f64) -> (f64, DVector<Complex64>) {
    let n = a.ncols();
    let rho = 0.5;
    let ks: Vec<Dense> = terms.iter().map(Term::k).collect();
    let mut system = a.adjoint() * a + Dense::identity(n, n) * Complex64::from(mu);
    for k in &ks {
        system += k.adjoint() * k * Complex64::from(rho);
    }
    let inverse = system.try_inverse().expect("a regular system");
    let b = a.adjoint() * y;
    let mut x = DVector::zeros(n);
    let mut z: Vec<DVector<Complex64>> = ks.iter().map(|k| DVector::zeros(k.nrows())).collect();
    let mut u = z.clone();
    for _ in 0..20_000 {
        let mut right = b.clone();
        for ((k, z), u) in ks.iter().zip(&z).zip(&u) {
            right += k.adjoint() * (z - u) * Complex64::from(rho);
        }
        let next = &inverse * right;
        let moved = (&next - &x).norm();
        x = next;
        let mut apart = 0.0;
        for (((k, z), u), term) in ks.iter().zip(&mut z).zip(&mut u).zip(terms) {
            let kx = k * &x;
            *z = term.prox(&(&kx + &*u), 1.0 / rho);
            *u += &kx - &*z;
            apart += (&kx - &*z).norm();
        }
        if moved + apart < 1e-12 * x.norm() {
            break;
        }
    }
    let f = objective(a, y, terms, mu, &x);
    (f, x)
}
