//! What an iteration costs a GPU: submissions, command buffers, dispatches.

use crate::common;
use crate::common::data::real;
use linops::convex::{ConvexOptions, Method, Problem};
use linops::linop::{self, GradientOptions, WaveletOptions};
use linops::{Device, Linop};

/// Submissions, command buffers and dispatches.
type Counts = [u64; 3];

/// Those of a solve of so many iterations, with readings before and after them.
fn counted(device: &Device, problem: &Problem, method: Method, iterations: usize) -> Counts {
    let counts = || {
        let gpu = device.as_gpu().unwrap();
        let lane = gpu.lane_counts(0);
        [lane.submits, lane.commands, gpu.dispatches()]
    };
    let options = ConvexOptions::default().method(Some(method)).tol(0.0).iterations(iterations).norm(Some(1.0));
    let before = counts();
    assert_eq!(problem.solve(options.check_every(1000)).unwrap().iterations, iterations);
    let after = counts();
    std::array::from_fn(|k| after[k] - before[k])
}

/// Iterations between two readings of the methods that have no solves within are one command buffer of one submission, and two dispatches beside those of the
/// operators, three where a prox lies between two of them.
#[test]
fn iterations_between_readings_are_one_submission_of_few_dispatches() {
    let shape = "Y=10 X=8";
    let a = linop::identity(shape).unwrap();
    let k = linop::gradient(shape, "Y X", GradientOptions::default()).unwrap();
    let w = linop::wavelet(shape, "Y X", &WaveletOptions::default().levels(Some(1))).unwrap();
    let y = real(shape, 6);
    for (method, term, operators, beside) in [
        (Method::Ista, "l1", vec![a.n()], 2),
        (Method::Fista, "l1", vec![a.n()], 2),
        (Method::Pogm, "l1", vec![a.n()], 2),
        (Method::Fista, "waves", vec![a.n(), w.clone(), w.h()], 3),
        (Method::Pdhg, "tv", vec![a.n(), k.clone(), k.h()], 2),
        (Method::Fgp, "tv", vec![k.clone(), k.h()], 2),
    ] {
        // A device of its own: nobody else submits on it.
        let Some(device) = common::gpu_with(linops::gpu::GpuOptions::default().default_limits(true)) else { return };
        let problem = Problem::new(&a, &y.to(&device).unwrap()).unwrap();
        let problem = match term {
            "tv" => problem.tv(0.1, "Y X").unwrap(),
            "waves" => problem.term_of_orthonormal(linops::functional::l1(0.1).unwrap(), &w),
            _ => problem.l1(0.1).unwrap(),
        };
        let of = |linop: &Linop| {
            let x = real(linop.input().unwrap(), 7).to(&device).unwrap();
            linop.apply_reported(&x).unwrap().1.dispatches as u64
        };
        let operators: u64 = operators.iter().map(of).sum();
        // The first solve also uploads.
        counted(&device, &problem, method, 2);
        let [few, many] = [3, 23].map(|iterations| counted(&device, &problem, method, iterations));
        assert_eq!(many[..2], few[..2], "{method}, {term}");
        assert_eq!(many[2] - few[2], 20 * (operators + beside), "{method}, {term}: {operators} of operators");
    }
}
