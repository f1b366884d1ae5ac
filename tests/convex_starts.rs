//! Starts of convex problems, and what PDHG of a picture and IRLS come to in the iterations that they have by default.

mod common;

use common::data::{complex, real};
use common::devices;
use linops::convex::{Begun, ConvexOptions, Method, Problem, Solved};
use linops::linop::{self, FftOptions};
use linops::solve::Stop;
use linops::{Linop, Tensor};
use num_complex::Complex32;

const N: usize = 40;

/// Four coils that see all of a slice, two lines of three.
fn sense() -> Linop {
    let shape = format!("C=4 Y={N} X={N}");
    let maps: Vec<Complex32> = (0..4 * N * N)
        .map(|i| {
            let (c, y, x) = ((i / (N * N)) as f32, ((i / N) % N) as f32, (i % N) as f32);
            let (cy, cx) = ((c % 2.0) * N as f32, (c / 2.0).floor() * N as f32);
            let far = ((y - cy).powi(2) + (x - cx).powi(2)) / (N * N) as f32;
            Complex32::from_polar(0.9 * (-far).exp(), 0.7 * c + 0.02 * y)
        })
        .collect();
    let maps = linop::diagonal(format!("Y={N} X={N}"), &Tensor::from_vec(shape.clone(), maps).unwrap()).unwrap();
    let lines: Vec<f32> =
        (0..N * N).map(|i| f32::from(u8::from((i / N) % 3 != 1 || (16..24).contains(&(i / N))))).collect();
    let mask = Tensor::from_vec(format!("Y={N} X={N}"), lines).unwrap();
    let f = linop::fft(shape.clone(), "Y X", FftOptions::default().centered(true)).unwrap().keep();
    linop::diagonal(shape, &mask).unwrap() * f * maps
}

fn pieces() -> Vec<f32> {
    let at = |y: usize, x: usize| {
        f32::from(u8::from(y > 6 && y < 30 && x > 9 && x < 34)) + 0.5 * f32::from(u8::from(x.pow(2) + y.pow(2) < 700))
    };
    (0..N * N).map(|i| at(i / N, i % N)).collect()
}

/// A noisy scan with total variation.
fn scanned(device: &linops::Device) -> Problem {
    let a = sense();
    let x: Vec<Complex32> = pieces().into_iter().map(Complex32::from).collect();
    let clean = a.apply(&Tensor::from_vec(format!("Y={N} X={N}"), x).unwrap()).unwrap();
    let y = (clean + 0.02 * complex(a.output().unwrap(), 5)).eval().unwrap().to(device).unwrap();
    let problem = Problem::new(&a, &y).unwrap();
    let weight = 0.002 * problem.scale().unwrap();
    problem.tv(weight, "Y X").unwrap()
}

/// A noisy picture with total variation.
fn denoised(device: &linops::Device) -> Problem {
    let shape = format!("Y={N} X={N}");
    let y = (Tensor::from_vec(shape.clone(), pieces()).unwrap() + 0.1 * real(shape.clone(), 6)).eval().unwrap();
    let problem = Problem::new(&linop::identity(shape).unwrap(), &y.to(device).unwrap()).unwrap();
    let weight = 0.03 * problem.scale().unwrap();
    problem.tv(weight, "Y X").unwrap()
}

fn by(problem: &Problem, method: Method) -> Solved {
    problem.solve(ConvexOptions::default().method(Some(method))).unwrap()
}

#[test]
fn pdhg_comes_to_the_objective_of_others_in_its_default_iterations() {
    for device in devices() {
        let problem = denoised(&device);
        let long = ConvexOptions::default().method(Some(Method::Fgp)).tol(1e-6).iterations(5000);
        let least = problem.solve(long).unwrap();
        let found = by(&problem, Method::Pdhg);
        let off = found.objective / least.objective - 1.0;
        assert!(off < 5e-4, "{off:.1e} above after {}, {}", found.iterations, found.stop);
        assert_eq!(found.stop, Stop::Converged, "{off:.1e} above");
    }
}

#[test]
fn irls_ends_within_its_tolerance() {
    let device = linops::Device::host();
    for (name, problem) in [("scan", scanned(&device)), ("picture", denoised(&device))] {
        let least = problem.solve(ConvexOptions::default().tol(1e-6).iterations(5000)).unwrap().objective;
        let found = by(&problem, Method::Irls);
        let off = found.objective / least - 1.0;
        println!("{name}: {off:.1e} after {} ({})", found.iterations, found.stop);
        assert!(found.stop != Stop::Converged || off <= 1e-4, "{name}: {off:.1e} above after {}", found.iterations);
        assert!(off <= 1e-3, "{name}: {off:.1e}");
    }
}

/// In other units, negative, without end.
#[test]
fn a_start_worse_than_0_is_scaled_or_left() {
    let device = linops::Device::host();
    let problem = scanned(&device);
    let cold = by(&problem, Method::Admm);
    for (factor, scaled) in [(1e20f32, true), (30.0, true), (1e-9, false), (-1.0, false), (-1e20, false)] {
        let start = (&cold.x * factor).eval().unwrap();
        for method in [Method::Admm, Method::Pdhg] {
            let found = by(&problem.clone().start(&start).unwrap(), method);
            let off = found.objective / cold.objective - 1.0;
            assert!(off.abs() < 1e-3, "{method}, times {factor}: {off:.1e}, {:?}, {}", found.begun, found.stop);
            match found.begun {
                Begun::Scaled(by) => {
                    assert!(scaled && (by * f64::from(factor) - 1.0).abs() < 0.2, "times {factor}: scaled by {by}");
                }
                Begun::Refused => assert!(factor < 0.0, "times {factor} is left"),
                Begun::Start => assert!(factor == 1e-9, "times {factor} is taken"),
                other => panic!("times {factor}: {other:?}"),
            }
        }
    }
}
