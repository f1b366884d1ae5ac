//! The 8-coil 256×256 Cartesian SENSE normal: on every device, with a copy of the same size beside, and on the host beside a
//! hand-written rustfft + rayon loop. Read the ratios, not the times.

use criterion::{Criterion, criterion_group, criterion_main};
use linops::linop::{FftOptions, diagonal, fft};
use linops::{Device, Linop, Tensor, linop};
use ndarray::{Array2, Array3};
use num_complex::Complex32;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const COILS: usize = 8;
const N: usize = 256;

fn maps() -> Array3<Complex32> {
    Array3::from_shape_fn((COILS, N, N), |(c, y, x)| Complex32::from_polar(0.4, (c * x + y) as f32 * 0.01))
}

fn mask() -> Array2<f32> {
    Array2::from_shape_fn((N, N), |(y, x)| if (y + x * x) % 3 == 0 { 1.0 } else { 0.0 })
}

fn sense() -> linops::Result<Linop> {
    let image = format!("Ny={N} Nx={N}");
    let maps = diagonal(&image, &Tensor::from_array(maps(), "C Ny Nx")?)?;
    let centred = FftOptions::default().centered(true);
    let f = fft(maps.output()?, "Ny Nx", centred)?.out("C Ky Kx")?;
    let mask = diagonal(f.output()?, &Tensor::from_array(mask(), "Ky Kx")?)?;
    mask.compose(&f)?.compose(&maps)
}

/// What an expert writes without this crate: one task for each coil, everything of the coil in cache.
struct ByHand {
    maps: Array3<Complex32>,
    mask: Array2<f32>,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

impl ByHand {
    fn new() -> ByHand {
        let mut p = FftPlanner::new();
        // The origin of both domains is at N/2: for even N that is a shift of the mask, which is made once.
        let shifted = Array2::from_shape_fn((N, N), |(y, x)| mask()[[(y + N / 2) % N, (x + N / 2) % N]]);
        ByHand { maps: maps(), mask: shifted, forward: p.plan_fft_forward(N), inverse: p.plan_fft_inverse(N) }
    }

    fn columns(x: &mut [Complex32], fft: &Arc<dyn Fft<f32>>, lines: &mut [Complex32], scratch: &mut [Complex32]) {
        for x0 in (0..N).step_by(16) {
            for y in 0..N {
                for j in 0..16 {
                    lines[j * N + y] = x[y * N + x0 + j];
                }
            }
            fft.process_with_scratch(lines, scratch);
            for y in 0..N {
                for j in 0..16 {
                    x[y * N + x0 + j] = lines[j * N + y];
                }
            }
        }
    }

    fn apply(&self, x: &Array2<Complex32>) -> Vec<Complex32> {
        let x = x.as_slice().unwrap();
        let (maps, mask) = (self.maps.as_slice().unwrap(), self.mask.as_slice().unwrap());
        let coil = |c: usize| {
            let map = &maps[c * N * N..][..N * N];
            let mut k: Vec<Complex32> = x.iter().zip(map).map(|(x, s)| x * s).collect();
            let mut scratch = vec![
                Complex32::default();
                self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len())
            ];
            let mut lines = vec![Complex32::default(); 16 * N];
            self.forward.process_with_scratch(&mut k, &mut scratch);
            ByHand::columns(&mut k, &self.forward, &mut lines, &mut scratch);
            k.iter_mut().zip(mask).for_each(|(k, m)| *k *= m / (N * N) as f32);
            ByHand::columns(&mut k, &self.inverse, &mut lines, &mut scratch);
            self.inverse.process_with_scratch(&mut k, &mut scratch);
            k.iter_mut().zip(map).for_each(|(k, s)| *k *= s.conj());
            k
        };
        let coils: Vec<Vec<Complex32>> = (0..COILS).into_par_iter().map(coil).collect();
        let mut out = vec![Complex32::default(); N * N];
        out.par_chunks_mut(4096).enumerate().for_each(|(i, out)| {
            for k in &coils {
                out.iter_mut().zip(&k[i * 4096..]).for_each(|(o, k)| *o += k);
            }
        });
        out
    }
}

/// The two on the host in turn, so that a noisy machine is noisy for both: what the bound of 1.5 is read from.
fn paired(normal: &Linop, tensor: &Tensor, by_hand: &ByHand, x: &Array2<Complex32>) {
    let time = |f: &dyn Fn()| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64() * 1e3
    };
    let median = |mut t: Vec<f64>| {
        t.sort_by(f64::total_cmp);
        t[t.len() / 2]
    };
    let pair = |_| {
        let a = time(&|| drop(black_box(normal.apply(tensor))));
        let b = time(&|| drop(black_box(by_hand.apply(x))));
        (a, b, a / b)
    };
    let pairs: Vec<(f64, f64, f64)> = (0..300).map(pair).collect();
    let of = |f: fn(&(f64, f64, f64)) -> f64| median(pairs.iter().map(f).collect());
    println!(
        "SENSE normal on the host, medians of 300 alternating pairs: linops {:.2} ms, by hand {:.2} ms, ratio {:.2}",
        of(|p| p.0),
        of(|p| p.1),
        of(|p| p.2)
    );
}

fn bench(c: &mut Criterion) {
    let x = Array2::from_shape_fn((N, N), |(y, x)| Complex32::new((y % 7) as f32, (x % 5) as f32));
    let normal = sense().unwrap().n();
    let by_hand = ByHand::new();
    let host = Tensor::from_array(x.clone(), "Ny Nx").unwrap();
    let ours = normal.apply(&host).unwrap().to_array().unwrap();
    let theirs = by_hand.apply(&x);
    let (mut d, mut n) = (0.0, 0.0);
    for (a, b) in ours.iter().zip(&theirs) {
        d += (a - b).norm_sqr();
        n += b.norm_sqr();
    }
    assert!((d / n).sqrt() < 1e-5, "the hand-written loop computes something else: {}", (d / n).sqrt());

    paired(&normal, &host, &by_hand, &x);
    let mut g = c.benchmark_group("SENSE normal, 8 coils of 256x256");
    g.bench_function("by hand: rustfft + rayon", |b| b.iter(|| by_hand.apply(black_box(&x))));
    let mut devices = vec![Device::host()];
    devices.extend(Device::gpu());
    for device in devices {
        let x = host.to(&device).unwrap();
        g.bench_function(format!("linops on {}", device.name()), |b| {
            b.iter(|| {
                let y = normal.apply(black_box(&x)).unwrap();
                device.wait().unwrap();
                y
            })
        });
        let all = format!("C={COILS} Ny={N} Nx={N}");
        let copy = linop::roll(&all, &[("C", 0)]).unwrap();
        let coils = Tensor::from_array(maps(), "C Ny Nx").unwrap().to(&device).unwrap();
        g.bench_function(format!("copy of 8 coils on {}", device.name()), |b| {
            b.iter(|| {
                let y = copy.apply(black_box(&coils)).unwrap();
                device.wait().unwrap();
                y
            })
        });
    }
    g.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
