//! So many iterations of every convex method are the same values on all devices, and the same bits each time.

use crate::common::data::{complex, mask, real};
use crate::common::devices;
use linops::convex::{ConvexOptions, Method, Problem, WaveletPenalty};
use linops::linop::{self, FftOptions, GradientOptions};
use linops::{Device, Linop, Tensor};
use num_complex::Complex32;

fn list(t: &Tensor) -> Vec<Complex32> {
    t.to(&Device::host()).unwrap().to_vec().unwrap()
}

/// Two-dimensional SENSE with three coils, undersampled.
fn sense() -> Linop {
    let maps = linop::diagonal("Y=8 X=12", &complex("C=3 Y=8 X=12", 1)).unwrap();
    let f = linop::fft("C=3 Y=8 X=12", "Y X", FftOptions::default().centered(true)).unwrap().keep();
    linop::diagonal("C=3 Y=8 X=12", &mask("Y=8 X=12", 0.6, 2)).unwrap() * f * maps
}

/// What is solved, by which methods.
type Case = (&'static str, Linop, Tensor, fn(Problem) -> Problem, Vec<Method>);

/// Differences of neighbours and sums of rows: a linop of real values, neither a mask nor a transform.
fn mixed() -> Linop {
    let g = linop::gradient("Y=8 X=12", "Y X", GradientOptions::default()).unwrap();
    (linop::identity("Y=8 X=12").unwrap() + g.n()).named("mixed")
}

fn cases() -> Vec<Case> {
    let (a, one) = (sense(), linop::identity("Y=8 X=12").unwrap());
    let y = a.apply(&complex("Y=8 X=12", 3)).unwrap();
    let picture = real("Y=8 X=12", 4);
    let descent = vec![Method::Ista, Method::Fista, Method::Pogm];
    let split = vec![Method::Admm, Method::Pdhg];
    vec![
        ("squares", a.clone(), y.clone(), |p| p.l2(0.3).unwrap(), [descent.clone(), vec![Method::Cg]].concat()),
        (
            "real squares",
            mixed(),
            picture.clone(),
            |p| p.l2(0.3).unwrap(),
            [descent.clone(), vec![Method::Cg]].concat(),
        ),
        (
            "real l1",
            mixed(),
            picture.clone(),
            |p| p.l1(0.2).unwrap(),
            [descent.clone(), split.clone(), vec![Method::Irls]].concat(),
        ),
        ("l1 by reweighting", a.clone(), y.clone(), |p| p.l1(0.2).unwrap(), vec![Method::Irls]),
        (
            "real tv",
            mixed(),
            picture.clone(),
            |p| p.tv(0.2, "Y X").unwrap(),
            [split.clone(), vec![Method::Irls]].concat(),
        ),
        ("tgv", a.clone(), y.clone(), |p| p.tgv(0.3, "Y X").unwrap(), split.clone()),
        ("real tgv", mixed(), picture.clone(), |p| p.tgv(0.1, "Y X").unwrap(), split.clone()),
        (
            "low rank",
            a.clone(),
            y.clone(),
            |p| p.term(linops::functional::nuclear(0.4, "Y").unwrap()),
            vec![Method::Admm, Method::Fista],
        ),
        (
            "blocks of low rank",
            mixed(),
            picture.clone(),
            |p| p.term(linops::functional::locally_low_rank(0.4, "Y", &[4], None).unwrap()),
            vec![Method::Admm],
        ),
        ("l1", a.clone(), y.clone(), |p| p.l1(0.2).unwrap(), [descent.clone(), split.clone()].concat()),
        (
            "wavelets",
            a.clone(),
            y.clone(),
            |p| p.l1_wavelet(0.2, "Y X", &WaveletPenalty::default().levels(2)).unwrap(),
            descent,
        ),
        ("tv", a.clone(), y.clone(), |p| p.tv(0.3, "Y X").unwrap(), [split.clone(), vec![Method::Irls]].concat()),
        ("tv and l1", a.clone(), y.clone(), |p| p.tv(0.3, "Y X").unwrap().l1(0.1).unwrap(), split.clone()),
        ("tgv and l1", a, y, |p| p.tgv(0.3, "Y X").unwrap().l1(0.1).unwrap(), split.clone()),
        (
            "many duals",
            one.clone(),
            picture.clone(),
            |p| {
                let waves = WaveletPenalty::default().levels(3).shifts(8);
                p.l1_wavelet(0.2, "Y X", &waves).unwrap().tv(0.1, "Y X").unwrap()
            },
            vec![Method::Pdhg, Method::Fgp],
        ),
        (
            "tv of a picture",
            one,
            picture,
            |p| p.tv(0.3, "Y X").unwrap().non_negative(),
            [split, vec![Method::Fgp]].concat(),
        ),
    ]
}

#[test]
fn iterates_agree_between_devices_and_repeat_bit_for_bit() {
    for (name, a, y, with, methods) in cases() {
        let tried = methods.iter().filter(|m| matches!(m, Method::Ista | Method::Fista));
        let tried: Vec<_> = tried.map(|m| (*m, true)).collect();
        for (method, tried) in methods.into_iter().map(|m| (m, false)).chain(tried) {
            let mut first: Option<Vec<Complex32>> = None;
            for device in devices() {
                let solve = || {
                    let problem = with(Problem::new(&a, &y.to(&device).unwrap()).unwrap());
                    let options =
                        ConvexOptions::default().method(Some(method)).backtracking(tried).iterations(20).tol(0.0);
                    list(&problem.solve(options).unwrap().x)
                };
                let (once, again) = (solve(), solve());
                assert_eq!(once, again, "{name} by {method} on {device}");
                let want = first.get_or_insert_with(|| once.clone());
                let size = want.iter().fold(0.0f32, |m, v| m.max(v.norm()));
                let apart = want.iter().zip(&once).fold(0.0f32, |m, (a, b)| m.max((a - b).norm()));
                // Whether a step is taken that is tried is decided near a bound, by rounding; so is whether conjugate gradients have
                // solved a system, and how many of their steps the next one gets.
                let most = match (name, method) {
                    ("low rank", Method::Admm) => 5e-4,
                    ("real tv", Method::Irls) => 1e-4,
                    _ if tried => 1e-4,
                    _ => 2e-5,
                };
                assert!(
                    size > 0.1 && apart <= most * size,
                    "{name} by {method} on {device}, tried {tried}: {apart} of {size}"
                );
            }
        }
    }
}

#[test]
fn steps_down_the_gradient_alone_solve_least_squares() {
    // Nothing but squares: the minimiser is that of the normal equations.
    let a = sense();
    let y = a.apply(&complex("Y=8 X=12", 3)).unwrap();
    for device in devices() {
        let y = y.to(&device).unwrap();
        let (b, squares) = (a.h().apply(&y).unwrap(), 0.3f32);
        let options = linops::solve::SolveOptions::default().lambda(squares).tol(1e-7);
        let want = list(&linops::solve::cg(&a.n(), &b, options).unwrap().x);
        let size = want.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        for method in [Method::Ista, Method::Fista, Method::Pogm] {
            let problem = Problem::new(&a, &y).unwrap().l2(squares.into()).unwrap();
            let options = ConvexOptions::default().method(Some(method)).iterations(3000).tol(1e-7);
            let found = list(&problem.solve(options).unwrap().x);
            let apart = found.iter().zip(&want).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>().sqrt();
            assert!(apart < 2e-3 * size, "{method} on {device}: {apart} of {size}");
        }
    }
}
