//! Non-uniform transforms of 1 and 8 coils on the host: type 2 and type 1, with weights from where plans take them and from
//! both places, the normal as a pair and as a convolution, beside a copy of the samples. `scripts/bench-peers` has FINUFFT and
//! SigPy beside them.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linops::internal::{HostBuf, HostInstance, PlanOptions, Target, Weights};
use linops::linop::{self, Accuracy, Align, NufftOptions};
use linops::{DType, Device, Linop, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use std::hint::black_box;
use std::time::Instant;

/// Points that fill the box, without a pattern: multiples of irrational numbers.
fn spread_out(count: usize, image: &[usize]) -> ArrayD<f64> {
    let steps = [0.754_877_666_246_693, 0.569_840_290_998_053, 0.438_579_119_310_345];
    ArrayD::from_shape_fn(IxDyn(&[count, image.len()]), |i| {
        ((i[0] as f64 * steps[i[1]]).fract() - 0.5) * image[i[1]] as f64
    })
}

fn nufft(coils: usize, image: &[usize], count: usize, tol: f64, toeplitz: bool) -> Linop {
    let names = &["Nz", "Ny", "Nx"][3 - image.len()..];
    let extents: String = names.iter().zip(image).map(|(d, n)| format!(" {d}={n}")).collect();
    let options = NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(Some(toeplitz));
    let locs = spread_out(count, image);
    linop::nufft(format!("C={coils}{extents}"), &locs, names.join(" "), options, "C K").unwrap()
}

fn data(a: &Linop) -> Tensor {
    let shape = a.input().unwrap();
    let values = ArrayD::from_shape_fn(IxDyn(shape.extents()), |i| Complex32::new(i[0] as f32 + 0.5, 1.0));
    Tensor::from_array(values, &shape.to_string()).unwrap()
}

/// A normal that mixes `k` images by a Hermitian matrix for each frequency, held by halves, and the same with the whole matrix:
/// the medians' ratio over alternating pairs.
fn mixing(k: usize, n: usize, device: &Device) -> linops::Result<()> {
    let locs = spread_out(12 * 500, &[n, n]).into_shape_with_order(IxDyn(&[12, 500, 2])).expect("as many points");
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-3)).toeplitz(Some(true));
    let f = linop::nufft(format!("A={k} Y={n} X={n}"), &locs, "Y X", options, "A T K")?;
    let value = |i: usize| Complex32::new((i % 7) as f32 - 3.0, (i % 5) as f32 - 2.0);
    let basis = ArrayD::from_shape_fn(IxDyn(&[k, 12]), |i| value(13 * i[0] + 3 * i[1]));
    let halves = (linop::dense(f.output()?, &Tensor::from_array(basis, "A T")?, "T K")? * f).n();

    let transform = |name: &str| -> linops::Result<Linop> {
        let (dims, to) = (format!("{name} Y X"), format!("Y={} X={}", 2 * n, 2 * n));
        let padded = linop::pad(format!("{name}={k} Y={n} X={n}"), to, Align::Start)?.out(&dims)?;
        Ok(linop::fft(padded.output()?, "Y X", Default::default())?.out(&dims)? * padded)
    };
    let matrix = ArrayD::from_shape_fn(IxDyn(&[k, k, 2 * n, 2 * n]), |i| value(i[0] + 2 * i[1] + 3 * i[2] + i[3]));
    let there = transform("A")?;
    let matrix = linop::dense(there.output()?, &Tensor::from_array(matrix, "B A Y X")?, "B Y X")?;
    let whole = transform("B")?.h() * matrix * there;

    let x = data(&halves).to(device)?;
    let time = |a: &Linop| {
        let start = Instant::now();
        drop(black_box(a.apply(&x)));
        let _ = device.wait();
        start.elapsed().as_secs_f64() * 1e3
    };
    let median = |mut t: Vec<f64>| {
        t.sort_by(f64::total_cmp);
        t[t.len() / 2]
    };
    for _ in 0..3 {
        time(&halves);
        time(&whole);
    }
    let pairs: Vec<(f64, f64)> = (0..41).map(|_| (time(&halves), time(&whole))).collect();
    let bytes = |a: &Linop| -> linops::Result<u64> {
        Ok(a.plan(device, DType::Complex32)?.weights().iter().map(|w| w.bytes()).sum())
    };
    println!(
        "normal of {k} mixed images of {n}x{n} on {}: by halves {:.2} ms, whole {:.2} ms, ratio {:.2}; constants {:.2} of the whole's",
        device.name(),
        median(pairs.iter().map(|p| p.0).collect()),
        median(pairs.iter().map(|p| p.1).collect()),
        median(pairs.iter().map(|p| p.0 / p.1).collect()),
        bytes(&halves)? as f64 / bytes(&whole)? as f64
    );
    Ok(())
}

/// Spokes through the centre of an image of 256², 96 of 512 samples.
fn radial() -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[96 * 512, 2]), |i| {
        let angle = (i[0] / 512) as f64 * std::f64::consts::PI / 96.0;
        ((i[0] % 512) as f64 / 512.0 - 0.5) * 256.0 * if i[1] == 0 { angle.sin() } else { angle.cos() }
    })
}

/// The normal of 8 coils both ways in turn, so that a noisy machine is noisy for both.
fn paired() {
    let spokes = |count: usize| radial().slice_axis(Axis(0), (0..count * 512).into()).to_owned();
    let (plane, volume) = ([256, 256].as_slice(), [64, 64, 64].as_slice());
    for (what, image, locs, tol) in [
        ("96×512 radial", plane, spokes(96), 1e-4),
        ("96×512 radial", plane, spokes(96), 1e-6),
        ("24×512 radial", plane, spokes(24), 1e-4),
        ("12×512 radial", plane, spokes(12), 1e-4),
        ("65536 points", plane, spread_out(65_536, plane), 1e-3),
        ("10000 points", plane, spread_out(10_000, plane), 1e-3),
        ("20000 points in 64³", volume, spread_out(20_000, volume), 1e-3),
        ("100000 points in 64³", volume, spread_out(100_000, volume), 1e-3),
    ] {
        let of = |toeplitz| {
            let options = NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(toeplitz);
            let names = &["Nz", "Ny", "Nx"][3 - image.len()..];
            let extents: String = names.iter().zip(image).map(|(d, n)| format!(" {d}={n}")).collect();
            linop::nufft(format!("C=8{extents}"), &locs, names.join(" "), options, "C K").unwrap().n()
        };
        let (pair, convolution) = (of(Some(false)), of(Some(true)));
        let chosen = if of(None).program().unwrap().to_string().contains("nufft") { "pair" } else { "convolution" };
        let x = data(&pair);
        let time = |a: &Linop| {
            let start = Instant::now();
            black_box(a.apply(black_box(&x)).unwrap());
            start.elapsed().as_secs_f64() * 1e3
        };
        let count = if image.len() == 2 { 200 } else { 20 };
        let mut times: Vec<[f64; 3]> = (0..count)
            .map(|_| {
                let (p, c) = (time(&pair), time(&convolution));
                [p, c, c / p]
            })
            .collect();
        let median = |times: &mut Vec<[f64; 3]>, k: usize| {
            times.sort_by(|a, b| a[k].total_cmp(&b[k]));
            (times[times.len() / 2][k], times[0][k])
        };
        let (p, c, r) = (median(&mut times, 0), median(&mut times, 1), median(&mut times, 2));
        println!(
            "normal of {what}, tol {tol:e}, {count} in turn: pair {:.2} ms (least {:.2}), convolution {:.2} ms (least {:.2}), \
             ratio {:.2}; chosen: {chosen}",
            p.0, p.1, c.0, c.1, r.0
        );
    }
}

fn bench(c: &mut Criterion) {
    for (k, n) in [(2, 192), (3, 192), (5, 192), (8, 192), (5, 64)] {
        mixing(k, n, &Device::host()).expect("the linops fit");
    }
    paired();
    let sizes = [(vec![256, 256], 65_536), (vec![256, 256], 500_000), (vec![64, 64, 64], 262_144)];
    for (image, count) in sizes {
        for tol in [1e-3, 1e-4, 1e-6] {
            for coils in [1, 8] {
                case(c, coils, &image, count, tol);
            }
        }
    }
}

fn case(c: &mut Criterion, coils: usize, image: &[usize], count: usize, tol: f64) {
    let device = Device::host();
    let a = nufft(coils, image, count, tol, false);
    let mut g = c.benchmark_group(format!("nufft C={coils} {image:?}, {count} points, tol {tol:e}"));
    g.sample_size(20);
    let copy = linop::scalar(a.output().unwrap(), -1.0).unwrap();
    let mut linops = vec![("type 2", a.clone()), ("type 1", a.h()), ("copy", copy)];
    if tol == 1e-3 && image.len() == 2 {
        linops.push(("pair", a.n()));
        linops.push(("convolution", nufft(coils, image, count, tol, true).n()));
    }
    for (what, op) in linops {
        op.prepare(&device, DType::Complex32).unwrap();
        let x = data(&op);
        g.bench_function(BenchmarkId::from_parameter(what), |b| b.iter(|| op.apply(black_box(&x)).unwrap()));
    }
    for (what, op) in [("type 2", a.clone()), ("type 1", a.h())] {
        let program = op.program().unwrap();
        let x = HostBuf::Complex(data(&op).to_array().unwrap().iter().copied().collect());
        for (from, weights) in [("table", Weights::Table), ("polynomials", Weights::Polynomials)] {
            let options = PlanOptions { weights: Some(weights), ..PlanOptions::default() };
            let plan = program.schedule_with(&Target::Host, true, &options).unwrap();
            let mut instance = HostInstance::<f32>::new(&plan).unwrap();
            let mut run = || instance.run(&plan, black_box(x.as_slice()), &Default::default()).unwrap();
            g.bench_function(BenchmarkId::new(what, from), |b| b.iter(&mut run));
        }
    }
    g.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
