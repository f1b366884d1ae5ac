//! Non-uniform transforms of 1 and 8 coils on the host: type 2 and type 1, with weights from where plans take them and from
//! both places, the normal as a pair and as a convolution, beside a copy of the samples. `scripts/bench-peers` has FINUFFT and
//! SigPy beside them.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linops::host::{HostBuf, HostInstance};
use linops::linop::{self, Accuracy, NufftOptions};
use linops::program::points::Weights;
use linops::program::{PlanOptions, Target};
use linops::{DType, Device, Linop, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex32;
use std::hint::black_box;

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
    let options = NufftOptions { accuracy: Accuracy::Tol(tol), toeplitz: Some(toeplitz) };
    let locs = spread_out(count, image);
    linop::nufft(format!("C={coils}{extents}"), &locs, &names.join(" "), options, "C K").unwrap()
}

fn data(a: &Linop) -> Tensor {
    let shape = a.input().unwrap();
    let values = ArrayD::from_shape_fn(IxDyn(shape.extents()), |i| Complex32::new(i[0] as f32 + 0.5, 1.0));
    Tensor::from_array(values, &shape.to_string()).unwrap()
}

fn bench(c: &mut Criterion) {
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
            let mut instance = HostInstance::<f32>::new(&plan);
            let mut run = || instance.run(&plan, black_box(x.as_slice()), &Default::default()).unwrap();
            g.bench_function(BenchmarkId::new(what, from), |b| b.iter(&mut run));
        }
    }
    g.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
