//! A solve that is cancelled gives the best that was seen, by every method; iterates are where the data are.

use crate::common::data::{complex, real};
use crate::common::devices;
use crate::sense;
use linops::convex::{ConvexOptions, Method, Problem};
use linops::linop;
use linops::solve::Stop;
use linops::{Linop, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is solved by a method, and whether by steps that are tried.
type Case = (Method, bool, Linop, Tensor, fn(Problem, f64) -> Problem);

fn cases() -> Vec<Case> {
    let (a, one) = (sense(), linop::identity("Y=8 X=7").unwrap());
    let (y, picture) = (complex(a.output().unwrap(), 3), real("Y=8 X=7", 4));
    let l1 = |p: Problem, w: f64| p.l1(w).unwrap();
    let tv = |p: Problem, w: f64| p.tv(w, "Y X").unwrap();
    let mut all: Vec<Case> = Vec::new();
    for (method, tried) in [
        (Method::Ista, false),
        (Method::Fista, false),
        (Method::Pogm, false),
        (Method::Ista, true),
        (Method::Fista, true),
    ] {
        all.push((method, tried, a.clone(), y.clone(), l1));
    }
    for method in [Method::Admm, Method::Pdhg, Method::Irls] {
        all.push((method, false, a.clone(), y.clone(), tv));
    }
    all.push((Method::Fista, false, a.clone(), y.clone(), tv));
    all.push((Method::Admm, false, a.clone(), y.clone(), |p, w| p.term(linops::functional::nuclear(w, "Y").unwrap())));
    all.push((Method::Cg, false, a, y, |p, w| p.l2(w).unwrap()));
    all.push((Method::Fgp, false, one, picture, tv));
    all
}

#[test]
fn a_cancelled_solve_gives_the_best_that_was_told() {
    for (method, tried, a, y, with) in cases() {
        for device in devices() {
            let what = format!("{method}, tried {tried}, {device}");
            let cancel = AtomicBool::new(false);
            let data = y.to(&device).unwrap();
            let problem = Problem::new(&a, &data).unwrap();
            let weight = 0.05 * problem.scale().unwrap();
            let problem = with(problem, weight);
            let mut told: Vec<(f64, f64)> = Vec::new();
            let options = ConvexOptions::default().method(Some(method)).backtracking(tried).tol(0.0).check_every(1);
            let options = options.cancel(&cancel).progress(|p| {
                let x = p.iterate().unwrap();
                assert_eq!(x.device_name(), data.device_name(), "{what}");
                told.push((p.reading().objective, problem.objective(&x).unwrap()));
                cancel.store(told.len() == 4, Ordering::Relaxed);
            });
            let solved = problem.solve(options).unwrap();
            assert!(
                solved.stop == Stop::Cancelled && solved.iterations <= 6,
                "{what}: {:?} {}",
                solved.stop,
                solved.iterations
            );
            assert!(solved.history.len() == told.len() && told.len() >= 4, "{what}: {}", told.len());
            for (said, is) in &told {
                assert!((said / is - 1.0).abs() < 1e-4, "{what}: {said} is {is}");
            }
            let least = told.iter().map(|t| t.0).fold(f64::INFINITY, f64::min);
            assert!(solved.objective <= least * (1.0 + 1e-6), "{what}: {} of {least}", solved.objective);
            let again = problem.objective(&solved.x).unwrap();
            assert!((solved.objective / again - 1.0).abs() < 1e-4, "{what}: {} is {again}", solved.objective);
        }
    }
}
