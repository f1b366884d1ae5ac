use linops::fft::KernelShape;
use linops::gpu::{Choice, GpuOptions};
use linops::linop::{self, InterpolateOptions, InterpolationKernel};
use linops::program::points::Weights;
use linops::{DType, Device, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex32;
use std::time::Instant;

fn main() {
    let steps = [0.754_877_666_246_693, 0.569_840_290_998_053, 0.438_579_119_310_345];
    let all: Vec<(String, Device)> = [
        (KernelShape::Cpu, Weights::Table),
        (KernelShape::Cpu, Weights::Polynomials),
        (KernelShape::Gpu, Weights::Table),
        (KernelShape::Gpu, Weights::Polynomials),
    ]
    .into_iter()
    .map(|(s, w)| {
        (
            format!("{s:?}/{w:?}"),
            Device::gpu_with(Choice::Any, GpuOptions { shape: Some(s), weights: Some(w), ..Default::default() })
                .unwrap(),
        )
    })
    .collect();
    for (grid, count) in [(vec![400usize, 400], 65_536), (vec![48, 48, 48], 40_000)] {
        for (w, coils) in [(4, 1), (4, 8), (6, 1), (6, 8)] {
            let locs = ArrayD::from_shape_fn(IxDyn(&[count, grid.len()]), |i| {
                ((i[0] as f64 * steps[i[1]] + 0.000123).fract()) * grid[i[1]] as f64
            });
            let names = &["Nz", "Ny", "Nx"][3 - grid.len()..];
            let extents: String = names.iter().zip(&grid).map(|(d, n)| format!(" {d}={n}")).collect();
            let o = InterpolateOptions {
                width: vec![w as f64],
                kernel: InterpolationKernel::KaiserBessel { beta: 2.3 * w as f64 },
                ..Default::default()
            };
            let a = linop::interpolate(format!("C={coils}{extents}"), &locs, &names.join(" "), &o, "C K").unwrap();
            for (what, op) in [("interpolate", a.clone()), ("spread", a.h())] {
                let mut line = format!("{grid:?} {count} w{w} C{coils} {what}:");
                let shape = op.input().unwrap();
                let x = ArrayD::from_elem(IxDyn(shape.extents()), Complex32::new(0.5, 1.0));
                let x = Tensor::from_array(x, &shape.to_string()).unwrap();
                let mut times = vec![Vec::new(); all.len()];
                let xs: Vec<_> = all
                    .iter()
                    .map(|(_, d)| {
                        op.prepare(d, DType::Complex32).unwrap();
                        x.to(d).unwrap()
                    })
                    .collect();
                for r in 0..6 {
                    for (k, (_, d)) in all.iter().enumerate() {
                        let t = Instant::now();
                        let y = op.apply(&xs[k]).unwrap();
                        d.wait().unwrap();
                        drop(y);
                        if r > 0 {
                            times[k].push(1e3 * t.elapsed().as_secs_f64());
                        }
                    }
                }
                for (k, (name, _)) in all.iter().enumerate() {
                    times[k].sort_by(f64::total_cmp);
                    line += &format!("  {name} {:.1}", times[k][2]);
                }
                println!("{line}");
            }
        }
    }
}
