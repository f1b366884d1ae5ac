//! Non-uniform transforms against the sums that define them.

mod common;

use common::data::{Random, complex, distance, inner, norm, real, wide, widened};
use common::{apply_on, bits, devices};
use linops::internal::{GpuLimits, HostBuf, HostInstance, KernelShape, PlanOptions, Target, Weights, next_smooth};
use linops::linop::{self, Accuracy, InterpolateOptions, InterpolationKernel, NufftOptions};
use linops::{Device, Linop, Shape, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Random points in -N/2..N/2 along each axis.
fn random_points(count: usize, image: &[usize], seed: u64) -> ArrayD<f64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(&[count, image.len()]), |i| {
        (f64::from(r.uniform()) + f64::from(r.uniform()) * 1e-7) * 0.5 * image[i[1]] as f64
    })
}

/// y_m = 1/√ΠN Σ x_n exp(-2πi k·(n - c)/N), as it is written; one axis after the other's phases are separable.
fn exact(x: &ArrayD<Complex64>, locs: &ArrayD<f64>) -> ArrayD<Complex64> {
    let image = x.shape().to_vec();
    let scale = 1.0 / (x.len() as f64).sqrt();
    let point = |m: usize| -> Complex64 {
        // Sums along the last axis first.
        let mut v: Vec<Complex64> = x.iter().copied().collect();
        for a in (0..image.len()).rev() {
            let n = image[a];
            let k = locs[[m, a]] / n as f64;
            let phases: Vec<Complex64> = (0..n)
                .map(|i| {
                    let turns = k * (i as f64 - (n / 2) as f64);
                    Complex64::from_polar(1.0, -TAU * (turns - turns.round()))
                })
                .collect();
            v = v.chunks_exact(n).map(|row| row.iter().zip(&phases).map(|(x, p)| x * p).sum()).collect();
        }
        v[0] * scale
    };
    use rayon::prelude::*;
    let count = locs.shape()[0];
    ArrayD::from_shape_vec(IxDyn(&[count]), (0..count).into_par_iter().map(point).collect()).unwrap()
}

fn dims(image: &[usize]) -> (String, String) {
    let names = ["Nz", "Ny", "Nx"];
    let names = &names[3 - image.len()..];
    (names.iter().zip(image).map(|(d, n)| format!("{d}={n}")).collect::<Vec<_>>().join(" "), names.join(" "))
}

fn made(image: &[usize], locs: &ArrayD<f64>, accuracy: Accuracy) -> Linop {
    let (shape, axes) = dims(image);
    linop::nufft(shape, locs, &axes, NufftOptions::default().accuracy(accuracy), "K").unwrap()
}

/// The host, and both shapes of GPU kernels.
fn all_devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut all = devices();
    #[cfg(feature = "gpu")]
    all.extend(gpu_shape(None));
    all
}

/// The adapter as if it were a GPU.
#[cfg(feature = "gpu")]
fn gpu_shape(weights: Option<Weights>) -> Option<Device> {
    let shape = Some(KernelShape::Gpu);
    common::gpu_with(linops::gpu::GpuOptions::default().shape(shape).weights(weights))
}

/// The error that a kernel of this width should have.
fn law(width: f64, sigma: f64, axes: usize) -> f64 {
    let t = 0.18 * 1.4f64.powi(axes as i32 - 1);
    t * (-(width - 1.0) * std::f64::consts::PI * (1.0 - 1.0 / sigma).sqrt()).exp()
}

/// Aᴴ u by the same sums.
fn exact_adjoint(u: &ArrayD<Complex64>, locs: &ArrayD<f64>, image: &[usize]) -> ArrayD<Complex64> {
    let scale = 1.0 / (image.iter().product::<usize>() as f64).sqrt();
    ArrayD::from_shape_fn(IxDyn(image), |i| {
        let term = |(m, u): (usize, &Complex64)| {
            let along = |a: usize| locs[[m, a]] * (i[a] as f64 - (image[a] / 2) as f64) / image[a] as f64;
            let turns: f64 = (0..image.len()).map(along).sum();
            u * Complex64::from_polar(scale, TAU * (turns - turns.round()))
        };
        u.iter().enumerate().map(term).sum()
    })
}

#[test]
fn a_tolerance_is_kept() {
    for (image, count) in [(vec![61], 700), (vec![22, 33], 700), (vec![9, 14, 10], 700), (vec![1, 20], 100)] {
        let locs = random_points(count, &image, 1);
        let (shape, _) = dims(&image);
        let (x, u) = (complex(&shape, 2), complex(format!("K={count}"), 3));
        let (y, v) = (exact(&wide(&x), &locs), exact_adjoint(&wide(&u), &locs, &image));
        for device in all_devices() {
            for tol in [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6] {
                let a = made(&image, &locs, Accuracy::Tol(tol));
                let forward = distance(&apply_on(&device, &a, &x).unwrap(), &y);
                let adjoint = distance(&apply_on(&device, &a.h(), &u).unwrap(), &v);
                let most = 1.1 * tol;
                assert!(
                    forward < most && adjoint < most,
                    "{image:?} {tol} on {}: {forward:e} {adjoint:e}",
                    device.name()
                );
            }
        }
    }
}

/// Few points leave errors far from their mean, small images have their edge's in every sum, and 5e-7 is near what float32 rounds.
#[test]
fn a_tolerance_is_kept_for_few_points_and_small_images() {
    let all = all_devices();
    for (d, n) in [(1, 4), (1, 5), (1, 8), (1, 16), (2, 4), (2, 7), (2, 8), (2, 16), (3, 4), (3, 5), (3, 8), (3, 12)] {
        for count in [1, 10, 100, 700] {
            for (k, tol) in [5e-7, 2e-6, 1e-5].into_iter().enumerate() {
                let image = vec![n; d];
                let locs = random_points(count, &image, (n + 100 * d + 1000 * k) as u64);
                let (shape, _) = dims(&image);
                let (x, u) = (complex(&shape, 2 + k as u64), complex(format!("K={count}"), 3 + n as u64));
                let (y, v) = (exact(&wide(&x), &locs), exact_adjoint(&wide(&u), &locs, &image));
                let a = made(&image, &locs, Accuracy::Tol(tol));
                // One sum may come to nearly nothing: its error is that of one as large as they are in the mean.
                let mean = norm(&wide(&x)) * (count as f64 / v.len() as f64).sqrt();
                let small = (norm(&y) / mean).min(1.0);
                // On a software GPU the hardest of them alone.
                let hard = k == 0 && matches!((d, n, count), (3, 8, _) | (2, 16, 10) | (2, 8, 100) | (1, 4, _));
                for device in all.iter().filter(|d| d.is_host() || hard) {
                    let forward = small * distance(&apply_on(device, &a, &x).unwrap(), &y);
                    let adjoint = distance(&apply_on(device, &a.h(), &u).unwrap(), &v);
                    assert!(
                        forward < 1.5 * tol && adjoint < 1.5 * tol,
                        "{count} points of {image:?} {tol} on {}: {forward:e} {adjoint:e}, {a:?}",
                        device.name()
                    );
                }
            }
        }
    }
}

#[test]
fn type_3_keeps_its_tolerance_for_few_points() {
    for d in 1..=3 {
        for (n, m) in [(1, 10), (10, 10), (10, 100), (100, 10), (70, 80)] {
            for (k, tol) in [3e-6, 1e-5].into_iter().enumerate() {
                let seed = (1 + n + 10 * m + 100 * d + k) as u64;
                let (x, s) = (random_points(n, &vec![2; d], seed), random_points(m, &vec![6; d], 7 * seed));
                let options = linop::NufftType3Options::default().tol(tol);
                let a = linop::nufft_type3(format!("N={n}").as_str(), &x, &s, options, "M").unwrap();
                let (c, u) = (complex(format!("N={n}"), 2), complex(format!("M={m}"), 3));
                let phase = |i: usize, j: usize| (0..d).map(|k| x[[i, k]] * s[[j, k]]).sum::<f64>() * TAU;
                let (wc, wu) = (wide(&c), wide(&u));
                let y = ArrayD::from_shape_fn(IxDyn(&[m]), |j| {
                    (0..n).map(|i| wc[[i]] * Complex64::from_polar(1.0, -phase(i, j[0]))).sum::<Complex64>()
                });
                let v = ArrayD::from_shape_fn(IxDyn(&[n]), |i| {
                    (0..m).map(|j| wu[[j]] * Complex64::from_polar(1.0, phase(i[0], j))).sum::<Complex64>()
                });
                let small = |got: &ArrayD<Complex64>, from: &ArrayD<Complex64>| {
                    (norm(got) / norm(from) / (got.len() as f64).sqrt()).min(1.0)
                };
                let forward = small(&y, &wc) * distance(&apply_on(&Device::host(), &a, &c).unwrap(), &y);
                let adjoint = small(&v, &wu) * distance(&apply_on(&Device::host(), &a.h(), &u).unwrap(), &v);
                let most = 1.5 * tol;
                assert!(forward < most && adjoint < most, "{d}-D {n} to {m}, {tol}: {forward:e} {adjoint:e}");
            }
        }
    }
}

#[test]
fn few_points_are_summed_directly() {
    let listed = |image: &[usize], count: usize, accuracy: Accuracy| {
        format!("{:?}", made(image, &random_points(count, image, 1), accuracy)).contains("summed directly")
    };
    let tol = |tol: f64| Accuracy::Tol(tol);
    assert!(listed(&[8, 8, 8], 10, tol(5e-7)) && listed(&[64, 64], 30, tol(1e-4)) && listed(&[4], 1000, tol(1e-6)));
    // Where a grid takes less, and tables of many points take memory.
    assert!(!listed(&[64, 64], 4000, tol(1e-6)) && !listed(&[128, 128, 128], 3, tol(1e-4)));
    // A kernel that was asked for is taken.
    assert!(!listed(&[8, 8], 1, Accuracy::Kernel { width: 4.0, oversamp: 2.0 }));
    // The normal and its convolution are the same linop.
    let locs = random_points(20, &[10, 9], 3);
    let x = complex("Ny=10 Nx=9", 4);
    let normal = |toeplitz: bool| {
        let options = NufftOptions::default().accuracy(tol(1e-6)).toeplitz(Some(toeplitz));
        let a = linop::nufft("Ny=10 Nx=9", &locs, "Ny Nx", options, "K").unwrap();
        apply_on(&Device::host(), &a.n(), &x).unwrap()
    };
    let sum = linop::ndft("Ny=10 Nx=9", &locs, "Ny Nx", "K").unwrap();
    let want = linops::apply_f64(&sum.n(), &wide(&x)).unwrap();
    assert!(distance(&normal(true), &want) < 2e-6 && distance(&normal(false), &want) < 2e-6);
}

#[test]
fn errors_of_a_kernel_follow_the_law() {
    for (image, count) in [(vec![128], 2000), (vec![100, 100], 3000), (vec![40, 40, 40], 1000)] {
        let locs = random_points(count, &image, 4);
        let x = wide(&complex(dims(&image).0, 5));
        let want = exact(&x, &locs);
        for sigma in [1.25, 1.5, 2.0] {
            for width in 3..8 {
                let a = made(&image, &locs, Accuracy::Kernel { width: width as f64, oversamp: sigma });
                let y = linops::apply_f64(&a, &x).unwrap();
                let error = norm(&(&y - &want)) / norm(&want);
                let law = law(width as f64, sigma, image.len());
                // Along one axis no kernel of three cells does better than some 1.6 times FINUFFT's law.
                let most = if width < 4 { 2.0 } else { 1.5 };
                assert!(error < most * law, "{image:?} {sigma} {width}: {error:e} {law:e}");
            }
        }
    }
}

#[test]
fn coordinates_keep_their_digits_on_long_axes() {
    let n = 1 << 18;
    let locs = random_points(40, &[n], 6);
    let x = complex(format!("Nx={n}"), 7);
    let want = exact(&wide(&x), &locs);
    let a = made(&[n], &locs, Accuracy::Tol(1e-5));
    for device in devices() {
        let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
        assert!(error < 2e-5, "{error:e} on {}", device.name());
    }
}

#[test]
fn many_points_in_one_place_are_added_up_in_parts() {
    // All in a few cells, as in the centre of a radial scan, most of them more than once.
    let mut r = Random(8);
    let locs = ArrayD::from_shape_fn(IxDyn(&[70_000, 2]), |_| f64::from((r.uniform() * 40.0).round()) / 40.0);
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-4)).toeplitz(Some(false));
    let a = linop::nufft("C=3 Ny=40 Nx=36", &locs, "Ny Nx", options, "C K").unwrap();
    let u = complex(a.output().unwrap(), 9);
    let want = linops::apply_f64(&a.h(), &wide(&u)).unwrap();
    for device in all_devices() {
        let run = || apply_on(&device, &a.h(), &u).unwrap();
        let v = run();
        assert!(distance(&v, &want) < 3e-6, "{:e} on {}", distance(&v, &want), device.name());
        assert!(bits(&v) == bits(&run()), "two runs differ on {}", device.name());
    }
    let threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let x = complex(a.input().unwrap(), 10);
        let on = |a: &Linop, x: &Tensor| bits(&apply_on(&Device::host(), a, x).unwrap());
        pool.install(|| (on(&a.h(), &u), on(&a, &x)))
    };
    assert!(threads(1) == threads(3));
}

const WAYS: [Weights; 2] = [Weights::Table, Weights::Polynomials];

/// A x on the host with weights from there.
fn on_host(a: &Linop, x: &Tensor, weights: Weights) -> ArrayD<Complex64> {
    let options = PlanOptions { weights: Some(weights), ..PlanOptions::default() };
    let plan = a.program().unwrap().schedule_with(&Target::Host, true, &options).unwrap();
    let listed = plan.to_string();
    assert_eq!(listed.contains("polynomials"), weights == Weights::Polynomials, "{listed}");
    let x = HostBuf::Complex(x.to_array().unwrap().iter().copied().collect());
    let y = HostInstance::<f32>::new(&plan).unwrap().run(&plan, x.as_slice(), &Default::default()).unwrap();
    let y = y.to_complex().into_iter().map(|z| Complex64::new(z.re.into(), z.im.into())).collect();
    ArrayD::from_shape_vec(IxDyn(a.output().unwrap().extents()), y).unwrap()
}

#[test]
fn tables_and_polynomials_agree() {
    #[cfg(feature = "gpu")]
    let on_gpu = WAYS.map(|w| gpu_shape(Some(w)));
    for (image, count) in [(vec![61], 300), (vec![22, 35], 700), (vec![9, 14, 10], 400)] {
        for width in 2..=8 {
            let locs = random_points(count, &image, width);
            let accuracy = Accuracy::Kernel { width: width as f64, oversamp: if width % 2 == 0 { 2.0 } else { 1.4 } };
            let (shape, axes) = dims(&image);
            let options = NufftOptions::default().accuracy(accuracy).toeplitz(Some(false));
            let a = linop::nufft(format!("C=3 {shape}"), &locs, &axes, options, "C K").unwrap();
            for op in [a.clone(), a.h()] {
                let x = complex(op.input().unwrap(), 11);
                let [tables, polynomials] = WAYS.map(|w| on_host(&op, &x, w));
                let error = norm(&(&tables - &polynomials)) / norm(&tables);
                assert!(error > 0.0 && error < 1e-6, "{image:?} width {width} on the host: {error:e}");
                #[cfg(feature = "gpu")]
                for (w, device) in WAYS.iter().zip(&on_gpu) {
                    let Some(device) = device else { continue };
                    let run = || apply_on(device, &op, &x).unwrap();
                    let y = run();
                    let error = distance(&y, &tables);
                    assert!(error < 1e-6, "{image:?} width {width}, {w:?} on {}: {error:e}", device.name());
                    assert!(bits(&y) == bits(&run()), "two runs differ");
                }
            }
        }
    }
}

#[test]
fn weights_beyond_workgroup_memory() {
    // 11³ weights a point: not even eight points of them are staged.
    let kernel = InterpolationKernel::KaiserBessel { beta: 20.0 };
    let o = InterpolateOptions::default().width(vec![11.0]).kernel(kernel).norm(linop::KernelNorm::Radial);
    let locs = random_points(60, &[20, 18, 22], 5);
    let a = linop::interpolate("C=2 Nz=20 Ny=18 Nx=22", &locs, "Nz Ny Nx", &o, "C K").unwrap();
    for op in [a.clone(), a.h()] {
        let x = complex(op.input().unwrap(), 6);
        let want = linops::apply_f64(&op, &wide(&x)).unwrap();
        for device in all_devices() {
            let error = distance(&apply_on(&device, &op, &x).unwrap(), &want);
            assert!(error < 2e-6, "{error:e} on {}", device.name());
        }
    }
}

#[test]
fn weights_come_from_where_it_is_faster() {
    let listed = |a: &Linop, target: &Target| a.program().unwrap().schedule(target, true).unwrap().to_string();
    let nufft = |coils: usize, count: usize| {
        let options = NufftOptions::default().accuracy(Accuracy::Kernel { width: 7.0, oversamp: 2.0 });
        let locs = random_points(count, &[40, 40], 1);
        linop::nufft(format!("C={coils} Ny=40 Nx=40"), &locs, "Ny Nx", options, "C K").unwrap()
    };
    // Few coils and a table beyond the caches: 56 bytes a point.
    for (coils, count, polynomials) in [(1, 400_000, true), (2, 400_000, true), (3, 400_000, false), (1, 1000, false)] {
        let a = nufft(coils, count);
        for op in [a.clone(), a.h()] {
            let text = listed(&op, &Target::Host);
            assert_eq!(text.contains("weights from polynomials"), polynomials, "{coils} {count}:\n{text}");
        }
    }
    for coils in [1, 16] {
        let a = nufft(coils, 1000);
        for op in [a.clone(), a.h()] {
            for shape in [KernelShape::Gpu, KernelShape::Cpu] {
                assert!(listed(&op, &Target::Gpu(GpuLimits::poorest(shape))).contains("weights from polynomials"));
            }
        }
    }
    // Corners, fractions of cells, norms, cut footprints, footprints as long as the axis: tables only.
    let smooth = InterpolationKernel::KaiserBessel { beta: 8.0 };
    let at = |image: &[usize], o: InterpolateOptions| {
        let locs = random_points(50, image, 2).mapv(|k| k + 4.0);
        let a = linop::interpolate("Ny=9 Nx=8", &locs, "Ny Nx", &o, "K").unwrap();
        listed(&a, &Target::Gpu(GpuLimits::poorest(KernelShape::Gpu))).contains("weights from polynomials")
    };
    let with = |width: f64| InterpolateOptions::default().width(vec![width]).kernel(smooth);
    assert!(at(&[9, 8], with(4.0)));
    assert!(!at(&[9, 8], with(4.5)));
    assert!(!at(&[9, 8], with(8.0)));
    assert!(!at(&[9, 8], with(4.0).kernel(InterpolationKernel::Spline { order: 1 })));
    assert!(!at(&[9, 8], with(4.0).norm(linop::KernelNorm::Radial)));
    let zero = with(4.0).boundary(linop::Boundary::Zero);
    assert!(at(&[2, 2], zero.clone()) && !at(&[9, 8], zero));
}

/// Spokes through the centre, with the ramp's weights.
fn radial(spokes: usize, samples: usize, n: usize) -> (ArrayD<f64>, ArrayD<f32>) {
    let radius = |s: usize| (s as f64 - (samples / 2) as f64) / samples as f64 * n as f64;
    let locs = ArrayD::from_shape_fn(IxDyn(&[spokes, samples, 2]), |i| {
        let angle = i[0] as f64 * std::f64::consts::PI / spokes as f64;
        radius(i[1]) * if i[2] == 0 { angle.sin() } else { angle.cos() }
    });
    let dcf = ArrayD::from_shape_fn(IxDyn(&[spokes, samples]), |i| (radius(i[1]).abs() as f32 / n as f32).max(0.01));
    (locs, dcf)
}

#[test]
fn normals_are_convolutions() {
    let (locs, dcf) = radial(13, 34, 22);
    let root = Tensor::from_array(dcf.mapv(f32::sqrt), "R K").unwrap();
    let maps = linop::diagonal("Ny=22 Nx=17", &complex("C=3 Ny=22 Nx=17", 1)).unwrap();
    for tol in [1e-3, 1e-4, 1e-5, 1e-6] {
        let of = |toeplitz| {
            let options = NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(toeplitz);
            let f = linop::nufft("C=3 Ny=22 Nx=17", &locs, "Ny Nx", options, "C R K").unwrap();
            let weighted = linop::diagonal(f.output().unwrap(), &root).unwrap() * &f;
            let complex_weights = linop::diagonal(f.output().unwrap(), &complex("C=3 R=13 K=34", 2)).unwrap() * &f;
            let coils = linop::diagonal(f.output().unwrap(), &complex("C=3", 3)).unwrap() * &weighted;
            let single = linop::nufft("Ny=22 Nx=17", &locs, "Ny Nx", options, "R K").unwrap();
            let sense = &weighted * &maps;
            let stacked = linop::stack(
                vec![sense.clone(), &sense * linop::flip("Ny=22 Nx=17", "Ny").unwrap()],
                None,
                Some(("S", 0)),
            );
            vec![f, weighted, complex_weights, coils, single, sense, stacked.unwrap()]
        };
        for (a, pair) in of(Some(true)).iter().zip(of(Some(false))) {
            let listed = a.n().program().unwrap().to_string();
            assert!(!listed.contains("nufft") && pair.n().program().unwrap().to_string().contains("nufft"), "{listed}");
            let x = complex(a.input().unwrap(), 4);
            for device in devices() {
                let y = apply_on(&device, &pair, &x).unwrap();
                let y = Tensor::from_array(y, &a.output().unwrap().to_string()).unwrap();
                let want = apply_on(&device, &pair.h(), &y).unwrap();
                let error = distance(&apply_on(&device, &a.n(), &x).unwrap(), &widened(&want));
                assert!(error < 4.0 * tol + 2e-6, "{a} tol {tol} on {}: {error:e}", device.name());
            }
            // Exactly self-adjoint, but for rounding.
            let u = complex(a.input().unwrap(), 5);
            let on = |x: &Tensor| widened(&apply_on(&Device::host(), &a.n(), x).unwrap());
            let (nx, nu) = (on(&x), on(&u));
            let difference = (inner(&nx, &wide(&u)) - inner(&wide(&x), &nu)).norm();
            assert!(difference < 2e-6 * norm(&nx) * norm(&wide(&u)), "{a}");
        }
    }
}

#[test]
fn normals_mix_the_batch() {
    let (locs, dcf) = radial(11, 20, 12);
    let locs = locs.into_shape_with_order(IxDyn(&[11, 20, 2])).unwrap();
    let root = Tensor::from_array(dcf.mapv(f32::sqrt), "T K").unwrap();
    let of = |toeplitz| {
        let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-5)).toeplitz(Some(toeplitz));
        let f = linop::nufft("A=3 C=2 Ny=12 Nx=10", &locs, "Ny Nx", options, "A C T K").unwrap();
        // A temporal basis: each spoke sees a mixture of three images.
        let basis = linop::dense(f.output().unwrap(), &complex("A=3 T=11", 1), "C T K").unwrap();
        let weighted = linop::diagonal(basis.output().unwrap(), &root).unwrap() * &basis * &f;
        // Two coils out of three.
        let g = linop::nufft("C=3 Ny=12 Nx=10", &locs, "Ny Nx", options, "C T K").unwrap();
        let compressed = linop::dense(g.output().unwrap(), &complex("V=2 C=3", 2), "V T K").unwrap() * &g;
        [weighted, compressed]
    };
    for (a, pair) in of(true).iter().zip(of(false)) {
        a.check().unwrap();
        let listed = a.n().program().unwrap().to_string();
        assert!(!listed.contains("nufft"), "{listed}");
        let x = complex(a.input().unwrap(), 3);
        for device in devices() {
            let want = apply_on(&device, &pair.n(), &x).unwrap();
            let error = distance(&apply_on(&device, &a.n(), &x).unwrap(), &widened(&want));
            assert!(error < 5e-5, "{a} on {}: {error:e}", device.name());
        }
    }
}

/// A basis of `k` for `t` frames of one spoke each, or of `k` = `a`·`c` where both are mixed.
fn mixing(image: &str, k: usize, real_basis: bool, toeplitz: bool) -> Linop {
    let axes = image.split(' ').map(|d| &d[..2]).collect::<Vec<_>>().join(" ");
    let shape: Shape = image.parse().unwrap();
    let locs = random_points(13 * 9, shape.extents(), 8).into_shape_with_order(IxDyn(&[13, 9, shape.rank()])).unwrap();
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6)).toeplitz(Some(toeplitz));
    let f = linop::nufft(format!("A={k} C=2 {image}"), &locs, &axes, options, "A C T K").unwrap();
    let dims = format!("A={k} T=13");
    let basis = if real_basis { real(&dims, 1) } else { complex(&dims, 1) };
    let basis = linop::dense(f.output().unwrap(), &basis, "C T K").unwrap();
    let root = linop::diagonal(basis.output().unwrap(), &real("T=13 K=9", 2)).unwrap();
    root * basis * f
}

#[test]
fn half_of_a_mixing_kernel_is_held() {
    for image in ["Ny=11 Nx=8", "Nx=17", "Nz=4 Ny=5 Nx=3"] {
        let shape: Shape = image.parse().unwrap();
        let cells: usize = shape.extents().iter().map(|n| next_smooth(2 * n - 1)).product();
        for k in [1, 2, 3, 4, 5, 8] {
            for real_basis in [false, true] {
                let (a, pair) = (mixing(image, k, real_basis, true), mixing(image, k, real_basis, false));
                let (n, pair) = (a.n(), pair.n());
                assert!(!n.program().unwrap().to_string().contains("nufft"));
                let x = complex(a.input().unwrap(), 3);
                // Both in f64: what is left is the error of the two transforms and of the kernel, which is held in f32.
                let (y, want) =
                    (linops::apply_f64(&n, &wide(&x)).unwrap(), linops::apply_f64(&pair, &wide(&x)).unwrap());
                let error = norm(&(&y - &want)) / norm(&want);
                assert!(error < 4e-6, "{image} {k}: {error:e}");
                for device in devices() {
                    let error = distance(&apply_on(&device, &n, &x).unwrap(), &y);
                    assert!(error < 2e-6, "{image} {k} on {}: {error:e}", device.name());
                }
                // Self-adjoint to the last digits of f64.
                let u = wide(&complex(a.input().unwrap(), 4));
                let nu = linops::apply_f64(&n, &u).unwrap();
                let difference = (inner(&y, &u) - inner(&wide(&x), &nu)).norm();
                assert!(difference < 1e-14 * norm(&y) * norm(&u), "{image} {k}: {difference:e}");
                // K² reals for each frequency; of a real symmetric matrix half of these.
                let plan = n.plan(&Device::host(), linops::DType::Complex32).unwrap();
                let held = plan.weights().into_iter().map(|w| w.bytes() as usize).sum::<usize>();
                let reals = if real_basis { k * (k + 1) / 2 } else { k * k };
                assert_eq!(held, 4 * reals * cells, "{image} {k}");
            }
        }
    }
}

#[test]
fn an_einsum_that_mixes_nothing_is_a_weight() {
    let locs = random_points(80, &[9, 10], 1);
    for batch in ["", "C=1 ", "C=3 "] {
        let of = |toeplitz| {
            let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6)).toeplitz(Some(toeplitz));
            let out = format!("{}K", if batch.is_empty() { "" } else { "C " });
            let f = linop::nufft(format!("{batch}Ny=9 Nx=10"), &locs, "Ny Nx", options, &out).unwrap();
            linop::dense(f.output().unwrap(), &complex("K=80", 2), &out).unwrap() * f
        };
        let (n, pair) = (of(true).n(), of(false).n());
        assert!(!n.program().unwrap().to_string().contains("nufft"));
        let x = complex(n.input().unwrap(), 3);
        let want = linops::apply_f64(&pair, &wide(&x)).unwrap();
        for device in devices() {
            let error = distance(&apply_on(&device, &n, &x).unwrap(), &want);
            assert!(error < 4e-6, "{batch} on {}: {error:e}", device.name());
        }
    }
}

#[test]
fn several_axes_are_mixed_as_one() {
    let locs = random_points(60, &[9, 10], 1).into_shape_with_order(IxDyn(&[60, 2])).unwrap();
    let of = |toeplitz| {
        let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6)).toeplitz(Some(toeplitz));
        let f = linop::nufft("A=3 B=2 C=2 Ny=9 Nx=10", &locs, "Ny Nx", options, "A B C K").unwrap();
        linop::dense(f.output().unwrap(), &complex("A=3 C=2 V=4", 2), "V B K").unwrap() * f
    };
    let (n, pair) = (of(true).n(), of(false).n());
    assert!(!n.program().unwrap().to_string().contains("nufft"));
    let x = complex(n.input().unwrap(), 3);
    let want = linops::apply_f64(&pair, &wide(&x)).unwrap();
    for device in devices() {
        let error = distance(&apply_on(&device, &n, &x).unwrap(), &want);
        assert!(error < 6e-6, "{}: {error:e}", device.name());
    }
}

#[test]
fn what_is_not_hermitian_keeps_its_whole_matrix() {
    let locs = random_points(50, &[9, 10], 1).into_shape_with_order(IxDyn(&[50, 2])).unwrap();
    let of = |toeplitz| {
        let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6)).toeplitz(Some(toeplitz));
        let f = linop::nufft("A=3 Ny=9 Nx=10", &locs, "Ny Nx", options, "A K").unwrap();
        let mixed = linop::dense(f.output().unwrap(), &complex("V=3 A=3", 2), "V K").unwrap();
        let back = linop::dense(mixed.output().unwrap(), &complex("A=3 V=3", 5), "A K").unwrap();
        f.h() * back * mixed * f
    };
    let (a, pair) = (of(true), of(false));
    assert!(!a.program().unwrap().to_string().contains("nufft"));
    let x = complex(a.input().unwrap(), 3);
    let want = linops::apply_f64(&pair, &wide(&x)).unwrap();
    for device in devices() {
        let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
        assert!(error < 6e-6, "{}: {error:e}", device.name());
    }
}

#[test]
fn the_cheaper_normal_is_chosen() {
    let normal = |count: usize| {
        let locs = random_points(count, &[32, 32], 1);
        made(&[32, 32], &locs, Accuracy::Tol(1e-3)).n().program().unwrap().to_string()
    };
    assert!(normal(10).contains("nufft"));
    assert!(!normal(60_000).contains("nufft"));
}

#[test]
fn the_lattice_is_exact_on_its_points() {
    let mut r = Random(3);
    let image = [12, 10];
    // Whole numbers of lattice cells: k = cell·N/P.
    let (p, q) = (18.0, 15.0);
    let locs = ArrayD::from_shape_fn(IxDyn(&[60, 2]), |i| {
        let (n, cells) = if i[1] == 0 { (12.0, p) } else { (10.0, q) };
        (r.below(cells as usize) as f64 - (cells / 2.0f64).floor()) * n / cells
    });
    let x = complex("C=2 Ny=12 Nx=10", 4);
    let a = linop::nufft_lattice("C=2 Ny=12 Nx=10", &locs, "Ny Nx", 1.5, "C K").unwrap();
    let y = apply_on(&Device::host(), &a, &x).unwrap();
    for c in 0..2 {
        let coil = wide(&x).index_axis(ndarray::Axis(0), c).to_owned();
        assert_eq!(coil.shape(), image);
        let got = y.index_axis(ndarray::Axis(0), c).to_owned();
        assert!(distance(&got, &exact(&coil, &locs)) < 2e-6);
    }
}

#[test]
fn bad_input_is_refused() {
    let at = |shape: &[usize], k: f64| ArrayD::from_elem(IxDyn(shape), k);
    let nufft = |locs: &ArrayD<f64>, axes: &str, accuracy| {
        linop::nufft("C=2 Ny=8 Nx=6", locs, axes, NufftOptions::default().accuracy(accuracy), "C K").map(|_| ())
    };
    let tol = Accuracy::default();
    let fails = |r: linops::Result<()>, say: &str| {
        let e = r.unwrap_err().to_string();
        assert!(e.contains(say), "{e}");
    };
    fails(nufft(&at(&[5, 2], f64::NAN), "Ny Nx", tol), "point 0");
    fails(nufft(&at(&[5, 2], f64::INFINITY), "Ny Nx", tol), "inf");
    fails(nufft(&at(&[5, 3], 0.0), "Ny Nx", tol), "one component for each dim");
    fails(nufft(&at(&[5, 1], 0.0), "Ny Nx", tol), "[5, 1]");
    fails(nufft(&at(&[0, 2], 0.0), "Ny Nx", tol), "at least one point");
    fails(nufft(&at(&[5, 2], 0.0), "Ny Nz", tol), "Nz");
    fails(nufft(&at(&[5, 2], 0.0), "Ny Nx", Accuracy::Tol(1e-9)), "tol is");
    fails(nufft(&at(&[5, 2], 0.0), "Ny Nx", Accuracy::Tol(f64::NAN)), "tol is");
    fails(nufft(&at(&[5, 2], 0.0), "Ny Nx", Accuracy::Kernel { width: 0.5, oversamp: 2.0 }), "width is");
    fails(nufft(&at(&[5, 2], 0.0), "Ny Nx", Accuracy::Kernel { width: 4.0, oversamp: 1.0 }), "oversamp is");
    let four = linop::nufft("A=2 B=2 C=2 D=2", &at(&[5, 4], 0.0), "A B C D", NufftOptions::default(), "K").map(|_| ());
    fails(four, "expected 1, 2 or 3");
    let gridding = linop::gridding("C=2 K=4", &at(&[5, 2], 0.0), "Ny=8 Nx=6", &Default::default()).map(|_| ());
    fails(gridding, "[5]");
    let wide = linop::InterpolateOptions::default().width(vec![4.0; 3]);
    fails(linop::interpolate("Ny=8 Nx=6", &at(&[5, 2], 0.0), "Ny Nx", &wide, "K").map(|_| ()), "3 widths");
}

/// A convolution of K mixed channels takes K² kernels: where that costs more than the pair, the pair is taken, and soon.
#[test]
fn the_choice_of_a_normal_counts_the_kernels_of_a_mixing() {
    let mut random = Random(3);
    let locs = ArrayD::from_shape_fn(IxDyn(&[20_000, 2]), |_| 32.0 * f64::from(random.uniform()));
    let normal = |coils: usize, kept: usize, toeplitz| {
        let n = linop::nufft(
            format!("C={coils} Y=64 X=64"),
            &locs,
            "Y X",
            NufftOptions::default().toeplitz(toeplitz),
            "C K",
        );
        let weight = complex(format!("V={kept} C={coils}"), 5);
        let a = linop::dense(n.as_ref().unwrap().output().unwrap(), &weight, "V K").unwrap() * n.unwrap();
        let start = std::time::Instant::now();
        let plan = a.n().plan(&Device::host(), linops::DType::Complex32).unwrap();
        (plan.cost().flops, start.elapsed(), a.nufft_normals().unwrap()[0].clone())
    };
    let mut taken = Vec::new();
    for (coils, kept) in [(1, 1), (2, 2), (4, 2), (16, 8), (32, 8)] {
        let (flops, time, told) = normal(coils, kept, None);
        let (pair, ..) = normal(coils, kept, Some(false));
        assert!(
            flops as f64 <= 1.3 * pair as f64,
            "{coils} to {kept}: {flops} operations, the pair has {pair}: {told}"
        );
        assert!(time.as_secs_f64() < 5.0, "{coils} to {kept}: planned in {time:?}");
        assert!(told.reason.contains("times the operations"), "{told}");
        taken.push(told.toeplitz);
    }
    assert!(taken[0] && !taken[4], "{taken:?}");
}

/// Plans are made, and their memory is stated, before the kernel of a convolution is.
#[test]
fn a_plan_is_told_of_before_its_spectra_are_made() {
    use std::time::Instant;
    let n = 768;
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[40_000, 2]), |i| {
        ((i[0] * (7 + 4 * i[1]) % 40_000) as f64 / 40_000.0 - 0.5) * n as f64
    });
    let shape = format!("Y={n} X={n}");
    let options = linop::NufftOptions::default().toeplitz(Some(true));
    let f = linop::nufft(&shape, &locs, "Y X", options, "K").unwrap().n();
    let (device, x) = (Device::host(), complex(&shape, 1));
    let begin = Instant::now();
    let plan = f.plan(&device, linops::DType::Complex32).unwrap();
    let planned = begin.elapsed();
    // Two bytes of the doubled grid for each of the image's: the kernel is real.
    assert!(linops::MemoryUse::of(&plan).unwrap().constants >= 4 * 4 * (n * n) as u64);
    let begin = Instant::now();
    let first = f.apply(&x).unwrap();
    let made = begin.elapsed();
    assert!(2 * planned < made, "planned in {planned:?}, made and applied in {made:?}");
    let again = f.apply(&x).unwrap();
    assert_eq!(first.to_array().unwrap(), again.to_array().unwrap());
}
