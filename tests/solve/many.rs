//! Several right-hand sides in lockstep.

use crate::common::bits;
use crate::common::data::complex;
use crate::common::devices;
use crate::{dense, image, sense, weights};
use linops::Tensor;
use linops::solve::{
    SolveOptions, Stop, cg, cg_many, cgls, cgls_many, lsmr, lsmr_many, lsqr, lsqr_many, minres, minres_many, pcg,
    precondition,
};
use num_complex::Complex32;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Each is the same bits as alone, and stops by itself.
#[test]
fn each_is_as_alone() {
    let n = sense().n();
    for device in devices() {
        let mut bs: Vec<Tensor> = (0..3).map(|k| complex(n.input().unwrap(), 20 + k).to(&device).unwrap()).collect();
        // One that is done at once, and an eigenvector's equation that is done soon.
        bs.push(Tensor::zeros(n.input().unwrap(), linops::DType::Complex32).unwrap().to(&device).unwrap());
        let options = || SolveOptions::default().lambda(0.1).tol(1e-5).check_every(1).iterations(60);
        let told = RefCell::new(Vec::new());
        let tell = |p: &mut linops::solve::Progress| told.borrow_mut().push((p.right_hand_side(), p.reading()));
        let all = cg_many(&n, None, &bs, options().progress(tell)).unwrap();
        assert_eq!(all.len(), 4);
        for (k, (r, b)) in all.iter().zip(&bs).enumerate() {
            let one = cg(&n, b, options()).unwrap();
            assert_eq!((r.iterations, r.stop, r.residual), (one.iterations, one.stop, one.residual), "{k}");
            assert_eq!(bits(&image(r)), bits(&image(&one)), "{k} on {}", device.name());
            let own: Vec<_> = told.borrow().iter().filter(|t| t.0 == k).map(|t| t.1).collect();
            assert_eq!(own, r.history);
        }
        assert_eq!(all[3].stop, Stop::Zero);
    }
}

/// Columns whose numbers do not fill quads, real and complex ones, which end one after the other, with starts and preconditioners.
#[test]
fn columns_of_any_length_end_when_they_end() {
    for (n, real) in [(1, true), (3, false), (4, true), (6, false), (257, true), (1031, false), (4100, false)] {
        // Of k eigenvalues k iterations are left.
        let values: Vec<f32> = (0..n).map(|i| 1.0 + (i % 7) as f32).collect();
        let normal = weights(&values);
        let jacobi =
            precondition::jacobi(&Tensor::from_slice(format!("N={n}"), &vec![2.0f32; n]).unwrap(), 0.0).unwrap();
        let right_hand_side = |k: usize| {
            let at = |i: usize| if i % 7 < k { 1.0 + i as f32 / n as f32 } else { 0.0 };
            let values: Vec<f32> = (0..n).map(at).collect();
            match real {
                true => Tensor::from_slice(format!("N={n}"), &values).unwrap(),
                false => {
                    let values: Vec<_> = values.iter().map(|v| Complex32::new(*v, -0.5 * v)).collect();
                    Tensor::from_slice(format!("N={n}"), &values).unwrap()
                }
            }
        };
        for device in devices() {
            let bs: Vec<Tensor> = (1..=7).map(|k| right_hand_side(k).to(&device).unwrap()).collect();
            let options = || SolveOptions::default().tol(1e-6).check_every(1).iterations(40);
            for m in [None, Some(&jacobi)] {
                let one = |b: &Tensor, options| match m {
                    None => cg(&normal, b, options).unwrap(),
                    Some(m) => pcg(&normal, m, b, options).unwrap(),
                };
                let mut ends = BTreeSet::new();
                for (r, b) in cg_many(&normal, m, &bs, options()).unwrap().iter().zip(&bs) {
                    let one = one(b, options());
                    assert_eq!((r.iterations, r.stop, r.residual), (one.iterations, one.stop, one.residual), "{n}");
                    assert_eq!(bits(&image(r)), bits(&image(&one)), "{n}, real {real}, on {}", device.name());
                    ends.insert(r.iterations);
                }
                assert!(n < 7 || ends.len() > 4, "{ends:?}");
                let start = bs[3].clone();
                for (r, b) in cg_many(&normal, m, &bs, options().start(&start)).unwrap().iter().zip(&bs) {
                    assert_eq!(bits(&image(r)), bits(&image(&one(b, options().start(&start)))), "{n} from a start");
                }
                // Each from its own.
                let starts: Vec<Tensor> = bs.iter().rev().cloned().collect();
                let found = cg_many(&normal, m, &bs, options().starts(&starts)).unwrap();
                for ((r, b), start) in found.iter().zip(&bs).zip(&starts) {
                    let one = one(b, options().start(start));
                    assert_eq!(bits(&image(r)), bits(&image(&one)), "{n} from a start of its own");
                }
            }
        }
    }
}

/// So many results at once that kernels would add them up otherwise: sums of a dense operator, and coils.
#[test]
fn columns_are_planned_as_one() {
    let a = dense(300, 280, false, 4).n();
    for device in devices() {
        let bs: Vec<Tensor> = (0..32).map(|k| complex("N=280", k).to(&device).unwrap()).collect();
        let options = || SolveOptions::default().lambda(1.0).tol(1e-6).iterations(6);
        for (r, b) in cg_many(&a, None, &bs, options()).unwrap().iter().zip(&bs) {
            assert_eq!(bits(&image(r)), bits(&image(&cg(&a, b, options()).unwrap())), "{}", device.name());
        }
    }
}

/// More than a block holds, and data of both dtypes among one another.
#[test]
fn more_than_a_block_of_both_kinds() {
    let normal = weights(&(0..33).map(|i| 1.0 + i as f32 / 4.0).collect::<Vec<_>>());
    for device in devices() {
        let data = |k: u64| if k.is_multiple_of(3) { crate::common::data::real("N=33", k) } else { complex("N=33", k) };
        let bs: Vec<Tensor> = (0..70).map(|k| data(k).to(&device).unwrap()).collect();
        let options = || SolveOptions::default().tol(1e-5).iterations(12);
        for (r, b) in cg_many(&normal, None, &bs, options()).unwrap().iter().zip(&bs) {
            assert_eq!(r.x.dtype(), b.dtype());
            assert_eq!(bits(&image(r)), bits(&image(&cg(&normal, b, options()).unwrap())));
        }
    }
}

#[test]
fn least_squares_too() {
    let a = dense(19, 11, false, 2);
    let ys: Vec<Tensor> = (0..3).map(|k| complex("M=19", k)).collect();
    for device in devices() {
        let ys: Vec<Tensor> = ys.iter().map(|y| y.to(&device).unwrap()).collect();
        let options = || SolveOptions::default().tol(1e-5).lambda(0.01);
        for (many, one) in [
            (cgls_many as fn(&_, &[Tensor], _) -> _, cgls as fn(&_, &Tensor, _) -> _),
            (lsqr_many, lsqr),
            (lsmr_many, lsmr),
        ] {
            for (r, y) in many(&a, &ys, options()).unwrap().iter().zip(&ys) {
                assert_eq!(bits(&image(r)), bits(&image(&one(&a, y, options()).unwrap())));
            }
        }
    }
}

/// Of an operator of both signs that has a null space: some are solved, one is 0, one lies partly beside what the operator gives.
#[test]
fn indefinite_ones_too() {
    for n in [3, 257, 1031] {
        let values: Vec<f32> = (0..n).map(|i| [2.0, -1.0, 0.5, -3.0, 1.5, 0.0][i % 6]).collect();
        let operator = weights(&values);
        let right_hand_side = |k: usize| {
            let at = |i: usize| if k < 5 && i % 6 <= k || k == 6 { 1.0 + i as f32 / n as f32 } else { 0.0 };
            let values: Vec<_> = (0..n).map(|i| Complex32::new(at(i), -0.5 * at(i))).collect();
            Tensor::from_slice(format!("N={n}"), &values).unwrap()
        };
        for device in devices() {
            let bs: Vec<Tensor> = (0..7).map(|k| right_hand_side(k).to(&device).unwrap()).collect();
            for lambda in [0.0, 0.2] {
                let options = || SolveOptions::default().lambda(lambda).tol(1e-6).check_every(1).iterations(40);
                let all = minres_many(&operator, &bs, options()).unwrap();
                for (k, (r, b)) in all.iter().zip(&bs).enumerate() {
                    let one = minres(&operator, b, options()).unwrap();
                    assert_eq!((r.iterations, r.stop, r.residual), (one.iterations, one.stop, one.residual), "{n} {k}");
                    assert_eq!(bits(&image(r)), bits(&image(&one)), "{n} {k} on {}", device.name());
                }
                assert_eq!(all[5].stop, Stop::Zero);
                assert_eq!(all[4].stop, Stop::Converged, "{n} {lambda}");
                let start = bs[2].clone();
                let all = minres_many(&operator, &bs, options().start(&start)).unwrap();
                for (r, b) in all.iter().zip(&bs) {
                    let one = minres(&operator, b, options().start(&start)).unwrap();
                    assert_eq!(bits(&image(r)), bits(&image(&one)), "{n} from a start");
                }
            }
        }
    }
}

#[test]
fn a_fault_tells_which_one() {
    let n = sense().n();
    let bad = Tensor::from_slice("N=1", &[1.0f32]).unwrap();
    let e = cg_many(&n, None, &[complex(n.input().unwrap(), 1), bad], SolveOptions::default()).unwrap_err();
    assert!(e.to_string().contains("right-hand side 1 of 2"), "{e}");
    let b = complex(n.input().unwrap(), 1);
    let starts = || SolveOptions::default().starts(std::slice::from_ref(&b));
    let e = cg_many(&n, None, &[b.clone(), b.clone()], starts()).unwrap_err().to_string();
    assert!(e.contains("1 starts for 2 right-hand sides"), "{e}");
    let e = cg(&n, &b, starts()).unwrap_err().to_string();
    assert!(e.contains("give one by `start`"), "{e}");
    assert!(cg_many(&n, None, &[], SolveOptions::default()).unwrap().is_empty());
}

/// All are on their way before anyone is waited for: as many submissions as alone, and no more readings than right-hand sides.
#[test]
#[cfg(feature = "gpu")]
fn iterations_between_readings_are_one_submission_each() {
    use crate::common::gpu_with;
    let Some(device) = gpu_with(linops::gpu::GpuOptions::default().default_limits(true)) else { return };
    let n = sense().n();
    let bs: Vec<Tensor> = (0..3).map(|k| complex(n.input().unwrap(), k).to(&device).unwrap()).collect();
    let submissions = |iterations: usize| {
        let before = device.as_gpu().unwrap().lane_counts(0).submits;
        let options = SolveOptions::default().lambda(0.1).tol(0.0).iterations(iterations).check_every(1000);
        drop(cg_many(&n, None, &bs, options).unwrap());
        device.as_gpu().unwrap().lane_counts(0).submits - before
    };
    submissions(2);
    assert_eq!(submissions(11), submissions(3));
}
