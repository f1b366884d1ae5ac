//! Every linop against its dense matrix in f64, on every device; and the matrix against plain loops.

mod common;

use common::catalogue::{Case, cases};
use common::data::{as_complex, complex, distance, indices, inner, norm, real, wide, widened};
use common::matrix::Matrix;
use common::{apply_on, bits, devices};
use linops::linop::{self, Align, FftOptions, Norm};
use linops::{DType, Device, Linop, Tensor};
use num_complex::{Complex32, Complex64};

/// Relative l2 error that a linop in f32 may have.
const TOLERANCE: f64 = 2e-6;

/// Runs a check of every case and lists all that failed, not only the first.
fn for_all(check: impl Fn(&Case) -> Result<(), String>) {
    let failures: Vec<String> =
        cases().iter().filter_map(|c| check(c).err().map(|e| format!("{}: {e}", c.name))).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn below(what: impl std::fmt::Display, error: f64, limit: f64) -> Result<(), String> {
    // Written so that NaN fails.
    if error <= limit { Ok(()) } else { Err(format!("{what}: {error:.2e} > {limit:.0e}")) }
}

#[test]
fn forward_adjoint_and_normal_are_those_of_the_matrix() {
    let devices = devices();
    for_all(|case| {
        let a = &case.linop;
        let matrix = Matrix::of(a);
        let (x, u) = (complex(a.input().unwrap(), 1), complex(a.output().unwrap(), 2));
        for device in &devices {
            let checks = [
                ("forward", a.clone(), &x, matrix.forward(&wide(&x))),
                ("adjoint", a.h(), &u, matrix.adjoint(&wide(&u))),
                ("normal", a.n(), &x, matrix.normal(&wide(&x))),
            ];
            for (what, op, x, want) in checks {
                let got = apply_on(device, &op, x).map_err(|e| format!("{what} on {}: {e}", device.name()))?;
                below(format!("{what} on {}", device.name()), distance(&got, &want), TOLERANCE)?;
            }
        }
        Ok(())
    });
}

#[test]
fn dot_products_agree() {
    for_all(|case| {
        let a = &case.linop;
        let (x, u) = (complex(a.input().unwrap(), 3), complex(a.output().unwrap(), 4));
        let on_host = |op: &Linop, x: &Tensor| widened(&apply_on(&Device::host(), op, x).unwrap());
        let (ax, ahu, nx) = (on_host(a, &x), on_host(&a.h(), &u), on_host(&a.n(), &x));
        let (x, u) = (wide(&x), wide(&u));
        let scale = (norm(&ax) * norm(&u)).max(1e-30);
        below("⟨Ax,u⟩ = ⟨x,Aᴴu⟩", (inner(&ax, &u) - inner(&x, &ahu)).norm() / scale, TOLERANCE)?;
        let energy = norm(&ax).powi(2).max(1e-30);
        below("⟨AᴴAx,x⟩ = ‖Ax‖²", (inner(&nx, &x) - energy).norm() / energy.max(1.0), TOLERANCE)
    });
}

#[test]
fn linops_are_linear() {
    let (alpha, beta) = (Complex32::new(0.75, -1.5), Complex32::new(-2.0, 0.25));
    for_all(|case| {
        let a = &case.linop;
        let shape = a.input().unwrap();
        let (x, y) = (complex(shape, 5), complex(shape, 6));
        let mixed = x.to_array().unwrap().mapv(|v| alpha * v) + y.to_array().unwrap().mapv(|v| beta * v);
        let mixed = Tensor::from_array(mixed, &shape.to_string()).unwrap();
        let on_host = |x: &Tensor| apply_on(&Device::host(), a, x).unwrap();
        let want = on_host(&x).mapv(|v| alpha * v) + on_host(&y).mapv(|v| beta * v);
        below("A(αx + βy) = αAx + βAy", distance(&on_host(&mixed), &widened(&want)), TOLERANCE)
    });
}

#[test]
fn real_tensors_stay_real_where_the_linop_is_real() {
    let devices = devices();
    for_all(|case| {
        let a = &case.linop;
        let shape = a.input().unwrap();
        let x = real(shape, 7);
        for device in &devices {
            let y = a.apply(&x.to(device).unwrap()).map_err(|e| e.to_string())?;
            if case.real != (y.dtype() == DType::F32) {
                return Err(format!("a real x gives {} on {}", y.dtype(), device.name()));
            }
            let z = a.apply(&as_complex(&x).to(device).unwrap()).map_err(|e| e.to_string())?;
            if z.dtype() != DType::Complex32 {
                return Err(format!("a complex x gives {} on {}", z.dtype(), device.name()));
            }
            let (y, z) = (y.to(&Device::host()).unwrap(), z.to(&Device::host()).unwrap());
            let error = distance(&y.to_array().unwrap(), &wide(&z));
            below(format!("real against complex on {}", device.name()), error, TOLERANCE)?;
        }
        Ok(())
    });
}

#[test]
fn runs_on_one_device_agree_bit_for_bit() {
    let devices = devices();
    for_all(|case| {
        let x = complex(case.linop.input().unwrap(), 8);
        for device in &devices {
            let run = || bits(&apply_on(device, &case.linop, &x).unwrap());
            if run() != run() {
                return Err(format!("two runs differ on {}", device.name()));
            }
        }
        Ok(())
    });
}

/// Linops large enough that the host splits their work.
fn large() -> Vec<Linop> {
    let ffts = linop::fft("C=3 Y=120 X=101", "Y X", FftOptions::default()).unwrap();
    let maps = linop::diagonal("Y=120 X=101", &complex("C=3 Y=120 X=101", 1)).unwrap();
    let sense = &ffts.out("C Y X").unwrap() * &maps;
    let repeated = linop::sampling_at("C=2 N=5000", &[("N", indices(&[60_000], 5000, 2))], "C S").unwrap();
    vec![
        sense.n(),
        linop::sum("A=70000 B=3", "A").unwrap(),
        linop::sum("A=3 B=70001", "B").unwrap(),
        repeated.h(),
        linop::dense("N=300 T=17", &complex("M=200 N=300", 3), "M T").unwrap(),
        linop::stack(vec![sense.clone(), -sense], None, Some(("E", 1))).unwrap(),
    ]
}

#[test]
fn the_number_of_host_threads_changes_no_bits() {
    for a in large() {
        let x = complex(a.input().unwrap(), 9);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&apply_on(&Device::host(), &a, &x).unwrap()))
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{a}");
    }
}

/// Y[k] = s Σ x[n] exp(∓2πi (n−c)(k−c)/N) along one axis, as it is written.
fn naive_dft(x: &ndarray::ArrayD<Complex64>, axis: usize, options: FftOptions) -> ndarray::ArrayD<Complex64> {
    let mut y = x.clone();
    for mut lane in y.lanes_mut(ndarray::Axis(axis)) {
        let line = lane.to_vec();
        let n = line.len();
        let (sign, origin) =
            (if options.inverse { 1.0 } else { -1.0 }, if options.centered { n / 2 } else { 0 } as f64);
        let scale = match (options.norm, options.inverse) {
            (Norm::Ortho, _) => (n as f64).sqrt().recip(),
            (Norm::Backward, true) | (Norm::Forward, false) => (n as f64).recip(),
            _ => 1.0,
        };
        for (k, out) in lane.iter_mut().enumerate() {
            let term = |(j, v): (usize, &Complex64)| {
                let phase = sign * std::f64::consts::TAU * (j as f64 - origin) * (k as f64 - origin) / n as f64;
                v * Complex64::from_polar(scale, phase)
            };
            *out = line.iter().enumerate().map(term).sum();
        }
    }
    y
}

#[test]
fn the_fft_is_the_dft() {
    for (dims, n, axis) in [("N=1 C=2", 1, 0), ("N=7 C=2", 7, 0), ("C=2 N=12", 12, 1), ("A=2 N=13 C=2", 13, 1)] {
        for norm in [Norm::Ortho, Norm::Backward, Norm::Forward, Norm::None] {
            for (centered, inverse) in [(false, false), (true, false), (false, true), (true, true)] {
                let options = FftOptions::default().centered(centered).norm(norm).inverse(inverse);
                let a = linop::fft(dims, "N", options).unwrap();
                let x = wide(&complex(a.input().unwrap(), n));
                let got = linops::apply_f64(&a, &x).unwrap();
                let error = norm_of(&got, &naive_dft(&x, axis, options));
                assert!(error < 1e-12, "{a}: {error}");
            }
        }
    }
}

fn norm_of(got: &ndarray::ArrayD<Complex64>, want: &ndarray::ArrayD<Complex64>) -> f64 {
    assert_eq!(got.shape(), want.shape());
    norm(&(got - want)) / norm(want)
}

/// y[n] = x[from(n)] along the only axis, or 0 where `from` gives none.
fn moved(x: &[Complex64], extent: usize, from: impl Fn(usize) -> Option<usize>) -> Vec<Complex64> {
    (0..extent).map(|n| from(n).and_then(|i| x.get(i)).copied().unwrap_or_default()).collect()
}

#[test]
fn index_linops_move_what_their_definition_says() {
    type From = Box<dyn Fn(usize) -> Option<usize>>;
    let inside = |extent: usize, at: i64| (0..extent as i64).contains(&at).then_some(at as usize);
    let mut table: Vec<(Linop, From)> = Vec::new();
    for (n, p) in [(1, 1), (1, 4), (4, 5), (5, 8), (4, 8), (5, 9), (7, 7)] {
        // Index N/2 of the one is index P/2 of the other.
        let offset = (p / 2) as i64 - (n / 2) as i64;
        let (small, large) = (format!("N={n}"), format!("N={p}"));
        let pad = linop::pad(&small, &large, Align::Center).unwrap();
        table.push((pad, Box::new(move |k| inside(n, k as i64 - offset))));
        let crop = linop::crop(&large, &small, Align::Center).unwrap();
        table.push((crop, Box::new(move |k| inside(p, k as i64 + offset))));
        let pad = linop::pad(&small, &large, Align::Start).unwrap();
        table.push((pad, Box::new(move |k| inside(n, k as i64))));
    }
    for shift in [-8i64, -1, 0, 3, 7, 20] {
        let roll = linop::roll("N=7", &[("N", shift)]).unwrap();
        table.push((roll, Box::new(move |k| Some((k as i64 - shift).rem_euclid(7) as usize))));
    }
    table.push((linop::flip("N=6", "N").unwrap(), Box::new(|k| Some(5 - k))));
    for (factor, shift) in [(1, 0), (2, 0), (2, 1), (3, 2), (11, 10), (20, 0)] {
        let down = linop::downsample("N=11", &[("N", factor, shift)]).unwrap();
        let count = down.output().unwrap().len();
        table.push((down, Box::new(move |k| Some(k * factor + shift))));
        let up = linop::upsample(format!("N={count}"), &[("N", factor, shift)], "N=11").unwrap();
        let back = move |k: usize| k.checked_sub(shift).filter(|d| d % factor == 0).map(|d| d / factor);
        table.push((up, Box::new(back)));
        let range = linop::Stretch { start: Some(shift), stop: None, step: Some(factor) };
        table.push((linop::slice("N=11", &[("N", range)]).unwrap(), Box::new(move |k| Some(k * factor + shift))));
        table.push((linop::embed(format!("N={count}"), &[("N", range)], "N=11").unwrap(), Box::new(back)));
    }
    for (a, from) in table {
        let x = wide(&complex(a.input().unwrap(), 10));
        let got = linops::apply_f64(&a, &x).unwrap();
        let want = moved(x.as_slice().unwrap(), a.output().unwrap().len(), from);
        assert_eq!(got.as_slice().unwrap(), want, "{a}");
    }
}

#[test]
fn sums_and_products_are_what_their_definition_says() {
    let x = wide(&complex("A=3 B=5", 11));
    let run = |a: Linop| linops::apply_f64(&a, &x).unwrap();
    let check = |a: Linop, want: &dyn Fn(&[usize]) -> Complex64| {
        let y = run(a.clone());
        for (i, got) in y.indexed_iter() {
            let want = want(ndarray::Dimension::slice(&i));
            assert!((got - want).norm() < 1e-12, "{a} at {i:?}: {got} is not {want}");
        }
    };
    let at = |a: usize, b: usize| x[[a, b]];
    check(linop::sum("A=3 B=5", "A").unwrap(), &|i| (0..3).map(|a| at(a, i[0])).sum());
    check(linop::repeat_to("A=3 B=5", "C=2", "B C A").unwrap(), &|i| at(i[2], i[0]));
    check(linop::rearrange("A=3 B=5", "A B -> (B A)", "").unwrap(), &|i| at(i[0] % 3, i[0] / 3));

    let w = complex("C=2 B=5", 12);
    let weight = wide(&w);
    check(linop::diagonal("A=3 B=5", &w).unwrap(), &|i| weight[[i[0], i[2]]] * at(i[1], i[2]));
    check(linop::dense("A=3 B=5", &w, "A C").unwrap(), &|i| (0..5).map(|b| weight[[i[1], b]] * at(i[0], b)).sum());

    let index = indices(&[4, 2], 5, 13);
    let sampling = linop::sampling_at("A=3 B=5", &[("B", index.clone())], "A T S").unwrap();
    check(sampling, &|i| at(i[0], index[[i[1], i[2]]] as usize));

    let (p, q) = (linop::identity("A=3 B=5").unwrap(), linop::flip("A=3 B=5", "A").unwrap());
    check(&p - &q, &|i| at(i[0], i[1]) - at(2 - i[0], i[1]));
    let turned = |i: usize, a: usize| if i == 0 { a } else { 2 - a };
    let stacked = linop::stack(vec![p.clone(), q.clone()], None, Some(("S", 1))).unwrap();
    check(stacked, &|i| at(turned(i[1], i[0]), i[2]));
    let joined = linop::concat(vec![p, q], None, Some("A")).unwrap();
    check(joined, &|i| at(turned(i[0] / 3, i[0] % 3), i[1]));
}

/// Of many results an invocation of a GPU makes several.
#[test]
fn many_results_are_those_of_their_definition() {
    for n in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1027] {
        let x = real(format!("N={n}"), 3);
        let roll = linop::roll(format!("N={n}"), &[("N", 5)]).unwrap();
        let weigh = linop::diagonal(format!("N={n}"), &real(format!("N={n}"), 4)).unwrap();
        let both = &weigh + &roll;
        let (x0, w) = (x.to_real_array().unwrap(), real(format!("N={n}"), 4).to_real_array().unwrap());
        for device in devices() {
            let on = x.to(&device).unwrap();
            let get = |a: &Linop| a.apply(&on).unwrap().to(&Device::host()).unwrap().to_real_array().unwrap();
            let (rolled, sum) = (get(&roll), get(&both));
            let (back, twice) = (get(&roll.h()), get(&(2.0 * &weigh)));
            for k in 0..n {
                let before = x0[(k + n - 5) % n];
                assert!(rolled[k] == before && back[(k + n - 5) % n] == x0[k], "{k} of {n} on {}", device.name());
                assert!((sum[k] - (w[k] * x0[k] + before)).abs() < 1e-6, "{k} of {n} on {}", device.name());
                assert!((twice[k] - 2.0 * w[k] * x0[k]).abs() < 1e-6, "{k} of {n} on {}", device.name());
            }
        }
    }
}
