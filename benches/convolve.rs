//! Convolutions between channels, and of a plane by a kernel that is a product of two lines and one that is none, on every device, each
//! with a copy of the same size beside: the ratio is what is read.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linops::{Device, Shape, Tensor, linop};
use ndarray::{ArrayD, Dimension};
use std::hint::black_box;

/// Not zeros: those are one page of memory, mapped everywhere.
fn data(shape: &str) -> Tensor {
    let extents: Vec<usize> = shape.parse::<Shape>().unwrap().extents().to_vec();
    let value = |i: ndarray::IxDyn| (i.slice().iter().sum::<usize>() % 7) as f32 - 2.5;
    Tensor::from_array(ArrayD::from_shape_fn(extents, value), shape).unwrap()
}

/// A product of two lines.
fn round(shape: &str) -> Tensor {
    let extents: Vec<usize> = shape.parse::<Shape>().unwrap().extents().to_vec();
    let square = |i: usize, n: usize| (i as f32 - 0.5 * n as f32).powi(2);
    let value = |i: ndarray::IxDyn| (-0.05 * (square(i[0], extents[0]) + square(i[1], extents[1]))).exp();
    Tensor::from_array(ArrayD::from_shape_fn(&extents[..], value), shape).unwrap()
}

fn bench(c: &mut Criterion) {
    let cases = [
        ("16 to 16 channels of 128x128, 3x3 taps", "I=16 Y=128 X=128", data("O=16 I=16 Y=3 X=3")),
        ("16 to 16 channels of 128x128, 5x5 taps", "I=16 Y=128 X=128", data("O=16 I=16 Y=5 X=5")),
        ("1 channel of 512x512, 5x5 taps", "Y=512 X=512", data("Y=5 X=5")),
        ("1 channel of 512x512, 15x15 taps", "Y=512 X=512", data("Y=15 X=15")),
        ("1 channel of 512x512, 15x15 taps of a product", "Y=512 X=512", round("Y=15 X=15")),
    ];
    let mut devices = vec![Device::host()];
    devices.extend(Device::gpu());
    for (name, shape, kernel) in cases {
        let mut g = c.benchmark_group(format!("convolve {name}"));
        g.sample_size(20);
        let a = linop::convolve(shape, &kernel, "Y X", Default::default()).unwrap();
        let copy = linop::roll(shape, &[("X", 0)]).unwrap();
        for device in &devices {
            let x = data(shape).to(device).unwrap();
            for (what, op) in [("convolve", &a), ("adjoint", &a.h()), ("copy", &copy)] {
                // As many channels go in as come out.
                let x = match what {
                    "adjoint" => a.apply(&x).unwrap(),
                    _ => x.clone(),
                };
                g.bench_function(BenchmarkId::new(what, device.name()), |b| {
                    b.iter(|| {
                        let y = op.apply(black_box(&x)).unwrap();
                        device.wait().unwrap();
                        y
                    })
                });
            }
        }
        g.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
