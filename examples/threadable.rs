//! A sum of eight different linops: who runs it, and how.
//!
//! The eight have nothing in common but their extents, so they cannot share a kernel. Threaded, they run side by side: as tasks
//! on the host, in waves on one queue of a GPU, on several queues with `LINOPS_QUEUES=2`. Settings and lanes never change a bit
//! of the result.
//!
//! `cargo run --release --example threadable [-- DEVICE]`

use linops::linop::{self, Align, FftOptions};
use linops::ndarray::{Array1, Array2};
use linops::num_complex::Complex32;
use linops::program::ThreadSettings;
use linops::{Device, Linop, Result, Tensor};
use std::time::Instant;

const SHAPE: &str = "Y=192 X=160";

/// Values that look random and are the same in every run.
fn values(seed: usize, rows: usize, columns: usize) -> Array2<Complex32> {
    let wave = |k: usize| (k as f32 * 12.9898 + seed as f32 * 78.233).sin();
    Array2::from_shape_fn((rows, columns), |(y, x)| Complex32::new(wave(y * columns + x), wave(x * rows + y)))
}

fn eight() -> Result<Vec<Linop>> {
    let fft = linop::fft(SHAPE, "Y X", FftOptions::default().centered(true))?.keep();
    let lines = linop::fft(SHAPE, "X", FftOptions::default())?.keep();
    let weight = |seed| linop::diagonal(SHAPE, &Tensor::from_array(values(seed, 192, 160), "Y X")?);
    let mix = linop::dense(SHAPE, &Tensor::from_array(values(3, 96, 192), "R Y")?, "R X")?;
    // A prime length is a chirp-z transform on the GPU.
    let padded = linop::pad(SHAPE, "Y=211 X=167", Align::Center)?.keep();
    let prime = linop::fft("Y=211 X=167", "Y X", FftOptions::default())?.keep();
    let shuffle = Array1::from_shape_fn(192, |k| (k * 71 % 192) as i64).into_dyn();
    let picked = linop::sampling_at(SHAPE, &[("Y", shuffle)], "X S")?;
    Ok(vec![
        linop::flip(SHAPE, "X")?.named("mirror"),
        (&fft * weight(1)?).named("coil"),
        (mix.h() * &mix).named("mixing"),
        (padded.h() * prime * padded).named("prime transform"),
        (picked.h() * &picked).named("shuffle"),
        (fft.h() * weight(2)? * &fft).named("convolution"),
        linop::roll(SHAPE, &[("Y", 40)])?.named("shift"),
        lines.named("lines"),
    ])
}

/// Medians of applies of both in turn, in milliseconds, and their last results. The first rounds compile and wake the cores.
fn times(both: [&Linop; 2], x: &Tensor) -> Result<([f64; 2], [Tensor; 2])> {
    let device = x.device();
    let mut last = [both[0].apply(x)?, both[1].apply(x)?];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..30 {
        for ((a, last), times) in both.iter().zip(&mut last).zip(&mut times) {
            let start = Instant::now();
            *last = a.apply(x)?;
            device.wait()?;
            if round >= 10 {
                times.push(1e3 * start.elapsed().as_secs_f64());
            }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok((times.map(median), last))
}

fn bits(y: &Tensor) -> Result<Vec<(u32, u32)>> {
    let values = y.to(&Device::host())?.to_array()?;
    Ok(values.iter().map(|z| (z.re.to_bits(), z.im.to_bits())).collect())
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let a = linop::add(eight()?)?;
    let plain = a.with_settings(ThreadSettings { threaded: false, num_workers: None });
    let x = Tensor::from_array(values(9, 192, 160), "Y X")?.to(&device)?;

    println!("device   {}", device.name());
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.as_gpu() {
        let lanes = gpu.lanes();
        println!("lanes    {}: {}", lanes.rung, lanes.reason);
    }
    for region in a.plan(&device, x.dtype())?.regions {
        println!(
            "{:<8} {} sub-linops: {}, {} in flight ({})",
            region.label, region.linops, region.schedule, region.in_flight, region.reason
        );
    }
    let ([threaded, unthreaded], [y, z]) = times([&a, &plain], &x)?;
    println!("threaded {threaded:.2} ms, one after the other {unthreaded:.2} ms: {:.2} x", threaded / unthreaded);
    let equal = bits(&y)? == bits(&z)?;
    println!("bits     {}", if equal { "equal" } else { "DIFFERENT" });
    assert!(equal, "settings never change a bit");
    Ok(())
}
