//! Non-uniform transforms of 8 coils on the host: type 2 and type 1, the normal as a pair and as a convolution, each beside a
//! copy of the samples. `scripts/bench-peers` has FINUFFT and SigPy beside them.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linops::linop::{self, Accuracy, Align, NufftOptions};
use linops::{DType, Device, Linop, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex32;
use std::hint::black_box;
use std::time::Instant;

const COILS: usize = 8;

/// Points that fill the box, without a pattern: multiples of irrational numbers.
fn spread_out(count: usize, image: &[usize]) -> ArrayD<f64> {
    let steps = [0.754_877_666_246_693, 0.569_840_290_998_053, 0.438_579_119_310_345];
    ArrayD::from_shape_fn(IxDyn(&[count, image.len()]), |i| {
        ((i[0] as f64 * steps[i[1]]).fract() - 0.5) * image[i[1]] as f64
    })
}

fn nufft(image: &[usize], count: usize, tol: f64, toeplitz: bool) -> Linop {
    let names = &["Nz", "Ny", "Nx"][3 - image.len()..];
    let extents: String = names.iter().zip(image).map(|(d, n)| format!(" {d}={n}")).collect();
    let options = NufftOptions { accuracy: Accuracy::Tol(tol), toeplitz: Some(toeplitz) };
    let locs = spread_out(count, image);
    linop::nufft(format!("C={COILS}{extents}"), &locs, &names.join(" "), options, "C K").unwrap()
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
    let options = NufftOptions { accuracy: Accuracy::Tol(1e-3), toeplitz: Some(true) };
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

fn bench(c: &mut Criterion) {
    for (k, n) in [(2, 192), (3, 192), (5, 192), (8, 192), (5, 64)] {
        mixing(k, n, &Device::host()).expect("the linops fit");
    }
    let device = Device::host();
    for (image, count) in [(vec![256, 256], 65_536), (vec![256, 256], 500_000), (vec![64, 64, 64], 262_144)] {
        for tol in [1e-3, 1e-6] {
            let a = nufft(&image, count, tol, false);
            let copy = linop::scalar(a.output().unwrap(), -1.0).unwrap();
            let mut g = c.benchmark_group(format!("nufft {image:?}, {count} points, tol {tol:e}"));
            g.sample_size(20);
            let mut linops = vec![("type 2", a.clone()), ("type 1", a.h()), ("copy", copy)];
            if tol == 1e-3 && image.len() == 2 {
                linops.push(("pair", a.n()));
                linops.push(("convolution", nufft(&image, count, tol, true).n()));
            }
            for (what, op) in linops {
                op.prepare(&device, DType::Complex32).unwrap();
                let x = data(&op);
                g.bench_function(BenchmarkId::from_parameter(what), |b| b.iter(|| op.apply(black_box(&x)).unwrap()));
            }
            g.finish();
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
