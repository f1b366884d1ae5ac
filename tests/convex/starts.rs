//! Starts of convex problems, and what PDHG of a picture and IRLS come to in the iterations that they have by default.

use crate::common::data::{complex, real};
use crate::common::devices;
use linops::convex::{Begun, ConvexOptions, Method, Problem, Solved, WaveletPenalty};
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

/// Small ε make systems in which x stands still far above the limit: that is no rest.
#[test]
fn irls_says_how_far_it_is() {
    let disc = |y: usize, x: usize| f32::from(u8::from(y.abs_diff(17).pow(2) + x.abs_diff(22).pow(2) < 120));
    let image = Tensor::from_vec("Y=40 X=40", (0..N * N).map(|i| disc(i / N, i % N)).collect()).unwrap();
    let angles: Vec<f64> = (0..10).map(|k| 0.314 * f64::from(k)).collect();
    let a = linop::projection("Y=40 X=40", "Y X", &linop::Geometry::parallel(&angles, 56), "A D").unwrap();
    let noisy = (a.apply(&image).unwrap() + 0.2 * real(a.output().unwrap(), 8)).eval().unwrap();
    let scan = Problem::new(&a, &noisy).unwrap();
    let weight = 0.005 * scan.scale().unwrap();
    let hole = Tensor::from_vec(
        "Y=40 X=40",
        (0..N * N).map(|i| f32::from(u8::from((i / N).abs_diff(20).max((i % N).abs_diff(20)) > 9))).collect(),
    );
    let m = linop::diagonal("Y=40 X=40", &hole.unwrap()).unwrap();
    let seen = m.apply(&(image + 0.1 * real("Y=40 X=40", 9)).eval().unwrap()).unwrap();
    let gap = Problem::new(&m, &seen).unwrap();
    let gap_weight = 0.03 * gap.scale().unwrap();
    let problems = [
        ("views, wavelets", scan.clone().l1_wavelet(weight, "Y X", &WaveletPenalty::default()).unwrap()),
        ("views, tv", scan.tv(weight, "Y X").unwrap()),
        ("hole, tv", gap.tv(gap_weight, "Y X").unwrap()),
    ];
    for (name, problem) in problems {
        let long = |method| {
            let options = ConvexOptions::default().method(Some(method)).tol(1e-6).iterations(2500);
            problem.solve(options).unwrap().objective
        };
        let least = long(Method::Admm).min(long(Method::Pdhg));
        let options = ConvexOptions::default().method(Some(Method::Irls)).iterations(400);
        let found = problem.solve(options).unwrap();
        let off = found.objective / least - 1.0;
        let told = found.history.last().and_then(|r| r.gap).unwrap();
        println!("{name}: {off:.1e} above after {} ({}), {told:.1e} told", found.iterations, found.stop);
        assert!(found.stop != Stop::Converged || off <= 1.2e-4, "{name}: {off:.1e} above after {}", found.iterations);
        assert!(off < 5.0 * told + 1e-5, "{name}: {off:.1e} above, and {told:.1e} told");
        // What stands still is not waited for.
        assert!(
            found.stop != Stop::Iterations && found.iterations < 300,
            "{name}: {} {}",
            found.stop,
            found.iterations
        );
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

/// What all pixels have in common is not solved for: a detector's offset changes no iterations, and nothing of the rest.
#[test]
fn an_offset_costs_nothing() {
    let blur = linop::convolve(
        "Y=44 X=44",
        &Tensor::from_vec("Y=5 X=5", (0..25).map(|i| 1.0 / (1 + i % 7) as f32 / 12.0).collect()).unwrap(),
        "Y X",
        linop::ConvolveOptions::default().mode(linop::ConvolveMode::Valid),
    )
    .unwrap();
    let scene = (0..44 * 44).map(|i| if (i / 44) / 9 % 2 == 0 { 40.0f32 } else { 0.0 } + ((i % 44) / 15) as f32);
    let scene = Tensor::from_vec("Y=44 X=44", scene.collect()).unwrap();
    let clean = blur.apply(&scene).unwrap();
    let gain = blur.apply(&Tensor::from_vec("Y=44 X=44", vec![1.0f32; 44 * 44]).unwrap()).unwrap();
    for device in devices() {
        let made = |offset: f32, penalty: &str| {
            let noise = 0.5 * real(clean.shape().clone(), 3);
            let y = (&clean + noise + offset * &gain).eval().unwrap().to(&device).unwrap();
            let problem = Problem::new(&blur, &y).unwrap();
            match penalty {
                "tv" => problem.tv(0.3, "Y X").unwrap(),
                "tgv" => problem.tgv(0.3, "Y X").unwrap(),
                "tv above 0" => problem.tv(0.3, "Y X").unwrap().boxed(f64::from(offset), f64::INFINITY).unwrap(),
                _ => problem.l1_wavelet(0.3, "Y X", &WaveletPenalty::default().levels(2)).unwrap(),
            }
        };
        for penalty in ["tv", "tgv", "tv above 0", "wavelets"] {
            let tol = || ConvexOptions::default().tol(1e-3);
            let plain = made(0.0, penalty).solve(tol()).unwrap();
            let solved = made(2000.0, penalty).solve(tol()).unwrap();
            assert_eq!((plain.stop, solved.stop), (Stop::Converged, Stop::Converged), "{penalty}");
            assert!(
                (solved.objective / plain.objective - 1.0).abs() < 2e-3,
                "{penalty}: {} {}",
                solved.objective,
                plain.objective
            );
            assert!(solved.iterations <= 4 * plain.iterations, "{penalty}: {} {}", solved.iterations, plain.iterations);
            // The misfit is one of all data.
            let norm = (&clean + 2000.0 * &gain).eval().unwrap().norm().unwrap();
            let part = (2.0 * solved.data_term).sqrt() / norm;
            assert!((solved.misfit / part - 1.0).abs() < 1e-3, "{penalty}: {} {part}", solved.misfit);
            let x = (&solved.x - 2000.0 - &plain.x).eval().unwrap();
            assert!(x.norm().unwrap() < 0.05 * plain.x.norm().unwrap(), "{penalty}: {}", x.norm().unwrap());
        }
    }
}

/// The residual of a reading is a part of ‖Aᴴy‖ whatever was taken out.
#[test]
fn residuals_are_parts_of_all_data() {
    let shape = format!("Y={N} X={N}");
    let picture = Tensor::from_vec(shape.clone(), pieces()).unwrap() + 0.1 * real(shape.clone(), 6);
    let picture = picture.eval().unwrap();
    let weights = (0..N * N).map(|i| 1.0 + 0.3 * ((i / N) as f32 / 7.0).sin()).collect();
    let a = linop::diagonal(shape.clone(), &Tensor::from_vec(shape, weights).unwrap()).unwrap();
    let left = |offset: f32| {
        let y = a.apply(&(&picture + offset).eval().unwrap()).unwrap();
        let problem = Problem::new(&a, &y).unwrap();
        let problem = problem.l1_wavelet(0.05, "Y X", &WaveletPenalty::default().levels(2)).unwrap();
        let options = ConvexOptions::default().method(Some(Method::Ista)).iterations(10).check_every(5).tol(0.0);
        let residual = problem.solve(options).unwrap().history[0].residual.unwrap();
        residual * a.h().apply(&y).unwrap().norm().unwrap()
    };
    // 40 and 20 are taken out, and the same is left.
    let (far, near) = (left(40.0), left(20.0));
    assert!((far / near - 1.0).abs() < 0.05, "{far} {near}");
    let none = left(0.0);
    assert!(far < 3.0 * none && far > none / 3.0, "{far} {none}");
}

/// From some weight on denoising leaves an even picture, and that is told at once, whatever the method and beside bounds.
#[test]
fn far_too_large_weights_leave_an_even_picture() {
    let shape = format!("Y={N} X={N}");
    let y = (Tensor::from_vec(shape.clone(), pieces()).unwrap() + 0.1 * real(shape.clone(), 6)).eval().unwrap();
    let mean = pieces().iter().sum::<f32>() / (N * N) as f32;
    for device in devices() {
        let problem = Problem::new(&linop::identity(shape.clone()).unwrap(), &y.to(&device).unwrap()).unwrap();
        let scale = problem.scale().unwrap();
        for times in [100.0, 1e4, 1e30] {
            let tv = problem.clone().tv(times * scale, "Y X").unwrap();
            let bounded = tv.clone().boxed(0.0, 2.0).unwrap();
            // Bounds that it would be beyond.
            let held = tv.clone().boxed(-1.0, 0.5 * f64::from(mean)).unwrap();
            for (what, problem, mean) in
                [("tv", tv, mean), ("tv, bounded", bounded, mean), ("tv, held", held, 0.5 * mean)]
            {
                for method in [Method::Fgp, Method::Admm, Method::Pdhg, Method::Fista] {
                    let solved = by(&problem, method);
                    let x = solved.x.to(&linops::Device::host()).unwrap().to_real_vec().unwrap();
                    let even = x.iter().all(|v| (v - x[0]).abs() < 1e-6) && (x[0] - mean).abs() < 0.05;
                    assert!(
                        even && solved.iterations == 0,
                        "{what} {times} {method} {device}: {} iterations",
                        solved.iterations
                    );
                }
            }
        }
    }
}

/// Of an even image nothing is to be looked for.
#[test]
fn an_even_image_is_told_at_once() {
    for device in devices() {
        let y = Tensor::from_vec("Y=9 X=11", vec![700.0f32; 99]).unwrap().to(&device).unwrap();
        let problem = Problem::new(&linop::identity("Y=9 X=11").unwrap(), &y).unwrap();
        let turned = problem.clone().tgv(2.0, "Y X").unwrap();
        for (name, problem) in [("tgv", turned), ("tv", problem.tv(2.0, "Y X").unwrap().non_negative())] {
            let solved = problem.solve(ConvexOptions::default()).unwrap();
            assert_eq!((solved.iterations, solved.stop), (0, Stop::Converged), "{name}");
            let x = solved.x.to(&linops::Device::host()).unwrap();
            assert!(x.to_real_vec().unwrap().iter().all(|v| (v - 700.0).abs() < 1e-3), "{name}");
            // Duals are those of what is left: 0, of the shape that another solve begins with.
            assert_eq!(solved.duals.len(), usize::from(solved.method == Method::Fgp), "{name}");
            for p in &solved.duals {
                assert_eq!((p.shape().len(), p.norm().unwrap()), (2 * 99, 0.0), "{name}");
            }
        }
    }
}

/// Points on a background: what is left is much of them, and little of the picture.
#[test]
fn points_on_a_background_end_within_the_tolerance() {
    let blur = linop::convolve(
        "Y=52 X=52",
        &Tensor::from_vec(
            "Y=5 X=5",
            (0..25).map(|i: i32| 1.0 / (2 + (i / 5 - 2).pow(2) + (i % 5 - 2).pow(2)) as f32 / 5.6).collect(),
        )
        .unwrap(),
        "Y X",
        linop::ConvolveOptions::default().mode(linop::ConvolveMode::Valid),
    )
    .unwrap();
    let scene: Vec<f32> = (0..52 * 52).map(|i| if i % 397 == 211 { 400.0 } else { 0.0 }).collect();
    let clean = blur.apply(&Tensor::from_vec("Y=52 X=52", scene).unwrap()).unwrap();
    let gain = blur.apply(&Tensor::from_vec("Y=52 X=52", vec![1.0f32; 52 * 52]).unwrap()).unwrap();
    for (offset, weight, positive) in
        [(2000.0f32, 0.3, false), (2000.0, 0.3, true), (10000.0, 1.0, false), (0.0, 0.3, true)]
    {
        let noise = real(clean.shape().clone(), 12);
        let y = (&clean + noise + offset * &gain).eval().unwrap();
        let problem = Problem::new(&blur, &y).unwrap().tv(weight, "Y X").unwrap();
        let problem = if positive { problem.non_negative() } else { problem };
        let long = problem.solve(ConvexOptions::default().tol(1e-6).iterations(6000)).unwrap();
        let found = problem.solve(ConvexOptions::default()).unwrap();
        let off = found.objective / long.objective - 1.0;
        println!("{offset} {positive}: {off:.1e} after {} ({}), {}", found.iterations, found.stop, long.stop);
        assert!(found.stop != Stop::Converged || off <= 1.5e-4, "{offset} {positive}: {off:.1e}");
    }
}

/// What is small beside the mean is no rounding as long as numbers hold it.
#[test]
fn faint_structure_on_an_offset_stays() {
    let block = |i: usize| f32::from(u8::from((20..30).contains(&(i / 64)) && (30..50).contains(&(i % 64))));
    for (offset, height) in [(1e5f32, 0.3f32), (1e6, 1.0)] {
        let y = Tensor::from_vec("Y=64 X=64", (0..64 * 64).map(|i| offset + height * block(i)).collect()).unwrap();
        let problem = Problem::new(&linop::identity("Y=64 X=64").unwrap(), &y).unwrap();
        let solved = problem.tv(f64::from(0.02 * height), "Y X").unwrap().solve(ConvexOptions::default()).unwrap();
        let x = solved.x.to_real_vec().unwrap();
        let (top, ground) = (x[25 * 64 + 40] - offset, x[5 * 64 + 5] - offset);
        assert!(top - ground > 0.8 * height, "{offset}: {top} {ground}");
    }
}
