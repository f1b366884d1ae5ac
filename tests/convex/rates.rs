//! How fast methods come to the limit: the bounds that their papers prove, which slower ones do not keep.

use crate::common::data::{complex, real};
use crate::common::devices;
use crate::common::minimiser::{Dense, Term, answer_of, dense, objective, vector};
use crate::compare;
use linops::convex::{ConvexOptions, Method, Problem};
use linops::linop::{self, FftOptions, GradientOptions};
use linops::{Device, Linop, Tensor};
use nalgebra::DVector;
use num_complex::Complex64;

/// A transform that is weighted by numbers from 1 to `least`.
fn weighted(least: f32) -> Linop {
    let weights: Vec<f32> = (0..56).map(|i| least.powf(i as f32 / 55.0)).collect();
    let weights = linop::diagonal("Y=8 X=7", &Tensor::from_vec("Y=8 X=7", weights).unwrap()).unwrap();
    weights * linop::fft("Y=8 X=7", "Y X", FftOptions::default()).unwrap().keep()
}

/// The objective and the image at every reading.
fn followed(problem: &Problem, options: ConvexOptions<'_>) -> Vec<(usize, DVector<Complex64>)> {
    let mut told = Vec::new();
    let tell = |p: &mut linops::convex::Progress| {
        told.push((p.reading().iteration, vector(&p.iterate().unwrap())));
    };
    problem.solve(options.tol(0.0).check_every(1).progress(tell)).unwrap();
    told
}

/// F(xₖ) − F* ≤ L‖x* ‖²·c: 1/2k for ISTA, 2/(k + 1)² for FISTA (Beck and Teboulle 2009), 1/(k + 1)² or less for POGM (Taylor, Hendrickx
/// and Glineur 2017), from 0. ISTA does not keep FISTA's bound.
#[test]
fn proximal_gradients_keep_their_bounds() {
    let a = weighted(3e-3);
    let y = a.apply(&complex("Y=8 X=7", 3)).unwrap();
    let weight = 1e-5 * Problem::new(&a, &y).unwrap().scale().unwrap();
    let (dense, data) = (dense(&a), vector(&y));
    let terms = [Term::l1(&linop::identity("Y=8 X=7").unwrap(), weight, 1)];
    let (least, end) = minimum(&dense, &data, weight);
    let far = end.norm_squared();
    let above = |x: &DVector<Complex64>| (objective(&dense, &data, &terms, 0.0, x) - least).max(0.0);
    for device in devices() {
        for (method, bound) in [
            (Method::Ista, &(|k: f64| 0.5 / k) as &dyn Fn(f64) -> f64),
            (Method::Fista, &|k| 2.0 / (k + 1.0).powi(2)),
            (Method::Pogm, &|k| 1.0 / (k + 1.0).powi(2)),
        ] {
            let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().l1(weight).unwrap();
            // ‖A‖ is 1.
            let options = ConvexOptions::default().method(Some(method)).norm(Some(1.0)).iterations(300);
            let told = followed(&problem, options);
            assert_eq!(told.len(), 300);
            let part = |(k, x): &(usize, DVector<Complex64>)| above(x) / (bound(*k as f64) * far);
            let most = told.iter().map(part).fold(0.0, f64::max);
            println!("{method} {device}: {most} of its bound at most");
            assert!(most <= 1.0 + 1e-4, "{method} {device}: {most} of its bound");
            if method == Method::Ista {
                let fast = told.iter().map(|(k, x)| above(x) / (2.0 / (*k as f64 + 1.0).powi(2) * far));
                let fast = fast.fold(0.0, f64::max);
                assert!(fast > 2.0, "{device}: {fast} of FISTA's bound");
            }
        }
    }
}

/// The minimiser of ½‖A x − y‖² + λ‖x‖₁ with one number of x for each of y up to a unitary transform, by long proximal steps in f64.
fn minimum(a: &Dense, y: &DVector<Complex64>, weight: f64) -> (f64, DVector<Complex64>) {
    let term = Term::L1 { k: Dense::identity(a.ncols(), a.ncols()), weight, members: 1, weights: vec![1.0; a.ncols()] };
    let (least, x) = answer_of(a, y, &[term], 0.0);
    (least, x)
}

/// Without restarts the momentum of a strongly convex objective overshoots again and again (O'Donoghue and Candès 2015): with them FISTA
/// and POGM come closer by orders of magnitude.
#[test]
fn momentum_that_overshoots_is_dropped() {
    let a = weighted(0.1);
    let y = complex("Y=8 X=7", 5);
    let weight = 1e-3 * Problem::new(&a, &y).unwrap().scale().unwrap();
    let (dense, data) = (dense(&a), vector(&y));
    let (_, end) = minimum(&dense, &data, weight);
    let shrunk = |v: &DVector<Complex64>| v.map(|v| v * (1.0 - weight / v.norm().max(1e-300)).max(0.0));
    // FISTA as it is written down, in f64.
    let (mut x, mut z, mut t) = (DVector::zeros(56), DVector::zeros(56), 1.0f64);
    for _ in 0..200 {
        let next = shrunk(&(&z - dense.adjoint() * (&dense * &z - &data)));
        let after = (1.0 + (1.0 + 4.0 * t * t).sqrt()) / 2.0;
        z = &next + (&next - &x) * Complex64::from((t - 1.0) / after);
        (x, t) = (next, after);
    }
    let plain = (&x - &end).norm() / end.norm();
    for device in devices() {
        for method in [Method::Fista, Method::Pogm] {
            let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap().l1(weight).unwrap();
            let options = ConvexOptions::default().method(Some(method)).norm(Some(1.0)).iterations(200);
            let (_, x) = followed(&problem, options).pop().unwrap();
            let off = (x - &end).norm() / end.norm();
            println!("{method} {device}: {off:.1e} from the end, without restarts {plain:.1e}");
            assert!(off < 1e-3 * plain + 3e-6, "{method} {device}: {off} of {plain}");
        }
    }
}

/// Where the objective is strongly convex the squared distance of PDHG falls as 1/k² or faster (Chambolle and Pock 2011, 2016), with steps
/// that stay what they are as 1/k.
#[test]
fn steps_of_strongly_convex_objectives_accelerate() {
    let shape = "Y=16 X=15";
    let even = linop::identity(shape).unwrap();
    let pieces: Vec<f32> = (0..240).map(|i| f32::from(u8::from(i / 15 > 5 && i % 15 < 9))).collect();
    let y = (Tensor::from_vec(shape, pieces).unwrap() + 0.3 * real(shape, 7)).eval().unwrap();
    let k = linop::gradient(shape, "Y X", GradientOptions::default()).unwrap();
    let weight = 0.7;
    let term = Term::l1(&k, weight, 2);
    let (dense_k, data) = (dense(&k), vector(&y));
    let dense_kh = dense_k.adjoint();
    let (_, end) = answer_of(&Dense::identity(240, 240), &data, std::slice::from_ref(&term), 0.0);
    let off = |x: &DVector<Complex64>| (x - &end).norm() / end.norm();
    // The same with steps that stay, in f64.
    let step = 1.0 / 8f64.sqrt();
    let (mut x, mut ahead, mut p) = (DVector::zeros(240), DVector::zeros(240), DVector::zeros(480));
    let mut plain = Vec::new();
    for k in 1..=800 {
        p += &dense_k * &ahead * Complex64::from(step);
        for i in 0..240 {
            let size = (p[i].norm_sqr() + p[240 + i].norm_sqr()).sqrt();
            let factor = Complex64::from((weight / size.max(1e-300)).min(1.0));
            (p[i], p[240 + i]) = (p[i] * factor, p[240 + i] * factor);
        }
        let next = (&x - (&dense_kh * &p - &data) * Complex64::from(step)) / Complex64::from(1.0 + step);
        ahead = &next * Complex64::from(2.0) - &x;
        x = next;
        if [50, 100, 200, 400, 800].contains(&k) {
            plain.push(off(&x));
        }
    }
    for device in devices() {
        let problem = Problem::new(&even, &y.to(&device).unwrap()).unwrap().tv(weight, "Y X").unwrap();
        let told = followed(&problem, ConvexOptions::default().method(Some(Method::Pdhg)).iterations(800));
        let at = |k: usize| off(&told[k - 1].1);
        let at = [50, 100, 200, 400, 800].map(at);
        println!("pdhg {device}: {at:?}, with the same steps all along {plain:?}");
        for k in 2..5 {
            assert!(at[k] < 0.6 * plain[k], "{device}: {at:?} {plain:?}");
        }
        assert!(at[4] < at[2] / 4.0, "{device}: {at:?}");
    }
}

/// Low rank, whole and of blocks at two positions, against alternating directions in f64 with singular values.
#[test]
fn low_rank_comes_to_the_least_objective() {
    let a = linop::diagonal("T=4 Y=6 X=5", &crate::common::data::mask("T=4 Y=6 X=5", 0.7, 31)).unwrap();
    let y = a.apply(&complex("T=4 Y=6 X=5", 32)).unwrap();
    let weight = 0.2 * Problem::new(&a, &y).unwrap().scale().unwrap();
    let whole = [Term::nuclear(4, [6, 5], [6, 5], [0, 0], weight)];
    let blocks = [[0, 0], [1, 2]].map(|offset| Term::nuclear(4, [6, 5], [3, 4], offset, weight / 2.0));
    for method in [Method::Fista, Method::Admm] {
        let options = || ConvexOptions::default().method(Some(method)).iterations(3000);
        let make = |d: &Device| {
            let problem = Problem::new(&a, &y.to(d).unwrap()).unwrap();
            problem.term(linops::functional::nuclear(weight, "T").unwrap())
        };
        compare(&format!("nuclear {method}"), &make, &a, &y, &whole, 0.0, &options);
    }
    let options = || ConvexOptions::default().iterations(3000);
    let make = |d: &Device| Problem::new(&a, &y.to(d).unwrap()).unwrap().llr(weight, "T", &[3, 4]).unwrap();
    compare("llr", &make, &a, &y, &blocks, 0.0, &options);
}
