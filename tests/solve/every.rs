//! What holds of every linear solver: the same values on all devices, the same bits each time, a cancelled solve gives its iterate, and
//! iterates are where the data are.

use crate::common::data::{complex, real};
use crate::common::devices;
use crate::{dense, sense};
use linops::solve::{
    Solution, SolveOptions, Stop, cg, cg_many, cgls, cgls_many, lsmr, lsmr_many, lsqr, lsqr_many, minres, minres_many,
    pcg, sirt,
};
use linops::{Device, Linop, Result, Tensor, linop};
use num_complex::Complex32;
use std::sync::atomic::{AtomicBool, Ordering};

/// From a linop and its data.
type Solver = fn(&Linop, &Tensor, SolveOptions) -> Result<Vec<Solution>>;

fn solvers() -> Vec<(&'static str, Solver)> {
    fn one(solution: Result<Solution>) -> Result<Vec<Solution>> {
        Ok(vec![solution?])
    }
    fn b(a: &Linop, y: &Tensor) -> Result<Tensor> {
        a.h().apply(y)
    }
    fn both(y: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![y.clone(), (y * 2.0f32 + y).eval()?])
    }
    vec![
        ("cg", |a, y, o| one(cg(&a.n(), &b(a, y)?, o))),
        ("pcg", |a, y, o| {
            let b = b(a, y)?;
            let weights: Vec<f32> = (0..b.shape().len()).map(|i| 1.0 + 0.1 * (i % 5) as f32).collect();
            let weights = linop::diagonal(b.shape(), &Tensor::from_vec(b.shape().clone(), weights)?)?;
            one(pcg(&a.n(), &weights, &b, o))
        }),
        ("minres", |a, y, o| one(minres(&a.n(), &b(a, y)?, o))),
        ("cgls", |a, y, o| one(cgls(a, y, o))),
        ("lsqr", |a, y, o| one(lsqr(a, y, o))),
        ("lsmr", |a, y, o| one(lsmr(a, y, o))),
        ("cg_many", |a, y, o| cg_many(&a.n(), None, &both(&b(a, y)?)?, o)),
        ("minres_many", |a, y, o| minres_many(&a.n(), &both(&b(a, y)?)?, o)),
        ("cgls_many", |a, y, o| cgls_many(a, &both(y)?, o)),
        ("lsqr_many", |a, y, o| lsqr_many(a, &both(y)?, o)),
        ("lsmr_many", |a, y, o| lsmr_many(a, &both(y)?, o)),
    ]
}

/// Complex and real.
fn problems() -> Vec<(&'static str, Linop, Tensor)> {
    let (scan, matrix) = (sense(), dense(40, 23, true, 4));
    let (seen, of) = (complex(scan.output().unwrap(), 3), real(matrix.output().unwrap(), 5));
    vec![("complex", scan, seen), ("real", matrix, of)]
}

/// SIRT takes what has no negative entries.
fn with_sirt() -> Vec<(&'static str, &'static str, Solver, Linop, Tensor)> {
    let mut all = Vec::new();
    for (solver, run) in solvers() {
        all.extend(problems().into_iter().map(|(kind, a, y)| (solver, kind, run, a, y)));
    }
    let positive: Vec<f32> = (0..40 * 23).map(|i| ((i * 7) % 11) as f32 * 0.1).collect();
    let a = linop::dense("N=23", &Tensor::from_vec("M=40 N=23", positive).unwrap(), "M").unwrap();
    let y = a.apply(&real("N=23", 6)).unwrap();
    all.push(("sirt", "real", |a, y, o| Ok(vec![sirt(a, y, o)?]), a, y));
    all
}

fn list(t: &Tensor) -> Vec<Complex32> {
    t.to(&Device::host()).unwrap().to_vec().unwrap()
}

#[test]
fn iterates_agree_between_devices_and_repeat_bit_for_bit() {
    for (solver, kind, run, a, y) in with_sirt() {
        let mut first: Option<Vec<Vec<Complex32>>> = None;
        for device in devices() {
            let what = format!("{solver}, {kind}, {device}");
            let y = y.to(&device).unwrap();
            let solve = || -> Vec<Vec<Complex32>> {
                let options =
                    SolveOptions::default().lambda(if solver == "sirt" { 0.0 } else { 0.3 }).iterations(12).tol(0.0);
                run(&a, &y, options).unwrap().iter().map(|s| list(&s.x)).collect()
            };
            let (once, again) = (solve(), solve());
            assert_eq!(once, again, "{what}");
            let want = first.get_or_insert_with(|| once.clone());
            for (want, once) in want.iter().zip(&once) {
                let size = want.iter().fold(0.0f32, |m, v| m.max(v.norm()));
                let apart = want.iter().zip(once).fold(0.0f32, |m, (a, b)| m.max((a - b).norm()));
                assert!(size > 1e-3 && apart <= 2e-5 * size, "{what}: {apart} of {size}");
            }
        }
    }
}

#[test]
fn a_cancelled_solve_gives_the_iterate_that_it_has() {
    for (solver, kind, run, a, y) in with_sirt() {
        for device in devices() {
            let what = format!("{solver}, {kind}, {device}");
            let y = y.to(&device).unwrap();
            let cancel = AtomicBool::new(false);
            let mut told = 0;
            let stop = |p: &mut linops::solve::Progress| {
                assert_eq!(p.iterate().unwrap().device_name(), y.device_name(), "{what}");
                told += 1;
                cancel.store(p.reading().iteration >= 4, Ordering::Relaxed);
            };
            let found =
                run(&a, &y, SolveOptions::default().tol(0.0).check_every(2).progress(stop).cancel(&cancel)).unwrap();
            assert!(told >= 2, "{what}: told {told} times");
            for (k, solution) in found.iter().enumerate() {
                assert_eq!(solution.stop, Stop::Cancelled, "{what}");
                assert!((4..=5).contains(&solution.iterations), "{what}: {} iterations", solution.iterations);
                // It is what so many iterations are.
                let options = SolveOptions::default().tol(0.0).check_every(2).iterations(solution.iterations);
                let plain = run(&a, &y, options).unwrap();
                let (size, apart) = list(&plain[k].x)
                    .iter()
                    .zip(&list(&solution.x))
                    .fold((0.0f32, 0.0f32), |(s, d), (a, b)| (s.max(a.norm()), d.max((a - b).norm())));
                assert!(size > 0.0 && apart <= 1e-6 * size, "{what}: {apart} of {size}");
            }
        }
    }
}

/// Between two readings neither the driver nor wgpu is asked for anything.
#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn iterations_make_no_memory_bind_groups_or_kernels() {
    // A device of its own: nobody else takes from its pool.
    let Some(device) = crate::common::gpu_with(linops::gpu::GpuOptions::default()) else { return };
    let gpu = device.as_gpu().unwrap();
    for (solver, kind, run, a, y) in with_sirt() {
        let y = y.to(&device).unwrap();
        let made = |iterations: usize| {
            let before = (gpu.memory().made, gpu.bind_groups());
            let options = SolveOptions::default().tol(0.0).iterations(iterations).check_every(1000);
            run(&a, &y, options).unwrap();
            device.wait().unwrap();
            (gpu.memory().made - before.0, gpu.bind_groups() - before.1, gpu.kernels())
        };
        // A solve takes other memory of the pool than the one before, until all is there.
        for iterations in [2, 6, 6, 6, 6, 14, 14, 14, 14] {
            made(iterations);
        }
        let (few, many) = (made(6), made(14));
        let same = many.0 <= few.0 + 2 && many.1 <= few.1 + 2 && many.2 == few.2;
        assert!(same, "{solver}, {kind}: {many:?} {few:?}");
    }
}
