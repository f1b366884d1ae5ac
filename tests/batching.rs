//! A linop over dims in front against the same linop applied to each entry; Kronecker products against matrices.

mod common;

use common::catalogue::cases;
use common::data::{complex, distance, widened};
use common::{apply_on, bits, devices};
use linops::linop::{self, Accuracy, FftOptions, NufftOptions};
use linops::{DType, Device, Linop, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;

const FRAMES: usize = 3;

/// Results of the linop for each entry of the first axis of x, behind each other.
fn one_by_one(device: &Device, a: &Linop, x: &Tensor) -> ArrayD<Complex32> {
    let dims = a.input().unwrap().dims().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let parts: Vec<ArrayD<Complex32>> = x
        .to_array()
        .unwrap()
        .axis_iter(Axis(0))
        .map(|part| apply_on(device, a, &Tensor::from_array(part.to_owned(), &dims).unwrap()).unwrap())
        .collect();
    let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
    ndarray::stack(Axis(0), &views).unwrap()
}

/// Forward, adjoint and normal.
fn three(a: &Linop) -> [(&'static str, Linop); 3] {
    [("forward", a.clone()), ("adjoint", a.h()), ("normal", a.n())]
}

/// What differs in bits, with the relative error.
fn differences(name: &str, a: &Linop) -> Vec<(String, f64)> {
    let over = a.over(format!("Frame={FRAMES}").as_str()).unwrap();
    let mut found = Vec::new();
    for device in devices() {
        for ((what, one), (_, all)) in three(a).into_iter().zip(three(&over)) {
            let x = complex(all.input().unwrap(), 1);
            let (want, got) = (one_by_one(&device, &one, &x), apply_on(&device, &all, &x));
            let got = got.unwrap_or_else(|e| panic!("{name}: {what} on {}: {e}", device.name()));
            if bits(&want) != bits(&got) {
                let error = distance(&got, &widened(&want));
                found.push((format!("{name}: {what} on {}: {error:.1e}", device.name()), error));
            }
        }
    }
    found
}

/// The same kernels in the same order; the host adds up fewer than 64 sums in another way than more of them.
#[test]
fn every_linop_over_frames_is_the_linop_of_each() {
    let mut failures = Vec::new();
    for case in cases() {
        for (what, error) in differences(&case.name, &case.linop) {
            let sums = three(&case.linop).iter().any(|(_, a)| {
                let plan = a.plan(&Device::host(), DType::Complex32).unwrap();
                plan.named("reduce").any(|s| plan.values[s.store.value.at()].len() < 64)
            });
            // Zeros may differ in sign on a GPU.
            let host = what.contains("on host");
            if !(sums && host && error < 2e-7 || !host && error == 0.0) {
                failures.push(what);
            }
        }
    }
    assert!(failures.is_empty(), "other bits:\n{}", failures.join("\n"));
}

fn radial(input: &str, toeplitz: bool) -> Linop {
    let spoke = |i: usize| std::f64::consts::PI * i as f64 / 5.0;
    let locs = ArrayD::from_shape_fn(IxDyn(&[5, 16, 2]), |i| {
        let (r, angle) = (i[1] as f64 - 8.0, spoke(i[0]));
        if i[2] == 0 { r * angle.sin() } else { r * angle.cos() }
    });
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-3)).toeplitz(Some(toeplitz));
    linop::nufft(input, &locs, "Ny Nx", options, "C R S").unwrap()
}

fn sense() -> Linop {
    let maps = linop::diagonal("Ny=16 Nx=12", &complex("C=4 Ny=16 Nx=12", 1)).unwrap();
    let f = linop::fft(maps.output().unwrap(), "Ny Nx", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Ky Kx").unwrap();
    linop::sampling(f.output().unwrap(), &common::data::mask("Ky=16 Kx=12", 0.4, 2), "C S").unwrap() * f * maps
}

#[test]
fn normals_that_are_convolutions_are_shared() {
    for toeplitz in [true, false] {
        let maps = linop::diagonal("Ny=16 Nx=16", &complex("C=2 Ny=16 Nx=16", 3)).unwrap();
        let a = radial("C=2 Ny=16 Nx=16", toeplitz) * maps;
        let found = differences("radial", &a);
        assert!(found.iter().all(|f| f.1 < 1e-6), "{found:?}");
        // One kernel of the convolution, whatever the number of frames.
        let bytes = |a: &Linop| {
            let plan = a.n().plan(&Device::host(), DType::Complex32).unwrap();
            (plan.weights().iter().map(|w| w.len()).sum::<usize>(), plan.steps.len())
        };
        assert_eq!(bytes(&a), bytes(&a.over("T=7").unwrap()), "toeplitz {toeplitz}");
    }
}

#[test]
fn containers_within_containers_are_batched() {
    let a = sense();
    let flip = linop::flip("Ny=16 Nx=12", "Ny").unwrap();
    let both = linop::stack(vec![a.clone(), &a * &flip, -&a], None, Some(("E", 1))).unwrap();
    let tree = linop::concat(vec![both.clone(), &both * &flip], None, Some("S")).unwrap();
    let sum = (tree.h() * &tree) + linop::identity("Ny=16 Nx=12").unwrap();
    for (name, a) in [("stack", both), ("concat", tree), ("sum", sum)] {
        assert_eq!(differences(name, &a), [], "{name}");
        let settings = linops::program::ThreadSettings { threaded: false, num_workers: None };
        let over = a.over("T=2").unwrap();
        let x = complex(over.input().unwrap(), 5);
        for device in devices() {
            let [plain, alone] =
                [over.clone(), over.with_settings(settings.clone())].map(|a| apply_on(&device, &a, &x).unwrap());
            assert_eq!(bits(&plain), bits(&alone), "{name} on {}", device.name());
        }
    }
}

#[test]
fn frames_take_no_more_kernels_than_one() {
    let linops = [sense(), radial("C=2 Ny=16 Nx=16", true), radial("C=2 Ny=16 Nx=16", false)];
    for a in linops {
        let over = a.over("T=8 E=3").unwrap();
        for device in devices() {
            for ((what, one), (_, all)) in three(&a).into_iter().zip(three(&over)) {
                let steps = |a: &Linop| a.plan(&device, DType::Complex32).unwrap().steps.len();
                assert!(steps(&all) <= steps(&one), "{what} on {}", device.name());
            }
        }
    }
    // A program of many frames is as long as that of two, and holds the weights once.
    let (two, many) = (sense().over("T=2").unwrap(), sense().over("T=100000").unwrap());
    let size = |a: &Linop| {
        let plan = a.plan(&Device::host(), DType::Complex32).unwrap();
        (plan.steps.len(), plan.weights().iter().map(|w| w.len()).sum::<usize>())
    };
    assert_eq!(size(&two), size(&many));
}

#[test]
fn several_dims_are_one_after_the_other() {
    let a = sense();
    let (at_once, apart) = (a.over("T=2 E=3").unwrap(), a.over("E=3").unwrap().over("T=2").unwrap());
    assert_eq!(at_once.output().unwrap().to_string(), format!("T=2 E=3 C=4 S={}", a.size("S").unwrap()));
    let x = complex(at_once.input().unwrap(), 6);
    for device in devices() {
        let [p, q] = [&at_once, &apart].map(|a| bits(&apply_on(&device, a, &x).unwrap()));
        assert_eq!(p, q, "{}", device.name());
    }
    assert!(a.over("").unwrap().same(&a));
}

#[test]
fn what_lies_in_front_is_found_at_the_apply() {
    let a = sense();
    let any = a.batched();
    for device in devices() {
        for front in ["", "T=3 ", "T=2 E=1 "] {
            let shape: linops::Shape = format!("{front}Ny=16 Nx=12").parse().unwrap();
            let x = complex(&shape, 7);
            let made = any.for_input(&shape).unwrap();
            assert!(made.same(&any.clone().for_input(&shape).unwrap()), "kept");
            for (batched, single) in [(&any, made.clone()), (&any.n(), made.n())] {
                let y = batched.apply(&x.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap();
                assert_eq!(y.shape(), single.output().unwrap());
                assert_eq!(bits(&y.to_array().unwrap()), bits(&apply_on(&device, &single, &x).unwrap()));
            }
            let u = complex(made.output().unwrap(), 8);
            let v = any.h().apply(&u.to(&device).unwrap()).unwrap();
            assert_eq!(v.shape(), &shape);
        }
    }
    // No more than so many shapes are kept.
    let first = any.for_input(&"T=1 Ny=16 Nx=12".parse().unwrap()).unwrap();
    for t in 2..40 {
        any.for_input(&format!("T={t} Ny=16 Nx=12").parse().unwrap()).unwrap();
    }
    assert!(!first.same(&any.for_input(&"T=1 Ny=16 Nx=12".parse().unwrap()).unwrap()));
}

#[test]
fn dims_that_do_not_fit_are_errors() {
    let a = sense();
    let message = |r: linops::Result<Linop>| r.unwrap_err().to_string();
    assert!(message(a.over("Ny=3")).contains("dim Ny is in the input"));
    assert!(message(a.over("S=3")).contains("dim S is in the output"));
    assert!(message(a.over("T=4611686018427387904")).contains("address"));
    let wrong = a.batched().apply(&Tensor::zeros("Ny=16 Nx=12 T=3", DType::F32).unwrap()).unwrap_err().to_string();
    assert!(wrong.contains("expected \"... Ny=16 Nx=12\""), "{wrong}");
    assert!(a.batched().for_input(&"Nx=12".parse().unwrap()).is_err());
    assert!(message(a.batched().for_input(&"C=2 Ny=16 Nx=12".parse().unwrap())).contains("dim C is in the output"));
}
