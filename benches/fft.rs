//! Fourier transforms on every device, each with a copy of the same size beside: the ratio is what is read.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linops::{Device, Shape, Tensor, linop};
use ndarray::ArrayD;
use num_complex::Complex32;
use std::hint::black_box;

/// Not zeros: those are one page of memory, mapped everywhere.
fn data(shape: &str) -> Tensor {
    let extents: Vec<usize> = shape.parse::<Shape>().unwrap().extents().to_vec();
    let value = |i: ndarray::IxDyn| Complex32::new((i[0] % 7) as f32 + 0.5, (i[1] % 5) as f32);
    Tensor::from_array(ArrayD::from_shape_fn(extents, value), shape).unwrap()
}

fn bench(c: &mut Criterion) {
    let cases = [
        ("32 x 256x256", "B=32 Ny=256 Nx=256", "Ny Nx"),
        ("128x128x128", "Nz=128 Ny=128 Nx=128", "Nz Ny Nx"),
        ("64 x 1021 (Bluestein)", "B=64 Nx=1021", "Nx"),
        ("256 x 4096", "B=256 Nx=4096", "Nx"),
    ];
    let mut devices = vec![Device::host()];
    devices.extend(Device::gpu());
    for (name, shape, axes) in cases {
        let mut g = c.benchmark_group(format!("fft {name}"));
        g.sample_size(20);
        let f = linop::fft(shape, axes, Default::default()).unwrap();
        let copy = linop::roll(shape, &[(axes.split(' ').next().unwrap(), 0)]).unwrap();
        for device in &devices {
            let x = data(shape).to(device).unwrap();
            for (what, op) in [("fft", &f), ("copy", &copy)] {
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
