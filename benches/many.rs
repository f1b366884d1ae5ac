//! Several right-hand sides together, beside one after the other, on the host and on a GPU: medians of alternating rounds.

use linops::linop::{self, FftOptions};
use linops::solve::{SolveOptions, cg, cg_many};
use linops::{Device, Linop, Result, Tensor};
use num_complex::Complex32;
use std::time::Instant;

const ROUNDS: usize = 9;
const ITERATIONS: usize = 20;

/// Values in (−1, 1) that look random.
fn values(n: usize, seed: u32) -> Vec<Complex32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| Complex32::new(next(), next())).collect()
}

/// The normal of SENSE with four coils, half of the lines acquired.
fn sense(n: usize) -> Result<Linop> {
    let image = format!("Y={n} X={n}");
    let coils = format!("C=4 {image}");
    let maps = linop::diagonal(&*image, &Tensor::from_slice(&*coils, &values(4 * n * n, 1))?)?;
    let f = linop::fft(&*coils, "Y X", FftOptions::default().centered(true))?.out("C Ky Kx")?;
    let lines: Vec<Complex32> = (0..n).map(|y| Complex32::from(((y % 2) as f32 - 1.0).abs())).collect();
    let mask = linop::diagonal(f.output()?, &Tensor::from_slice(format!("Ky={n}"), &lines)?)?;
    Ok((mask * f * maps).n())
}

fn dense(n: usize) -> Result<Linop> {
    let a = linop::dense(format!("N={n}"), &Tensor::from_slice(format!("M={n} N={n}"), &values(n * n, 2))?, "M")?;
    Ok(a.n())
}

/// Milliseconds, with the device idle before and after.
fn timed(device: &Device, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    device.wait()?;
    let start = Instant::now();
    f()?;
    device.wait()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<()> {
    let mut devices = vec![Device::host()];
    devices.extend(Device::gpu().ok());
    for device in devices {
        println!("{}: ms for {ITERATIONS} iterations of CG, medians of {ROUNDS}", device.name());
        println!("{:>14} {:>6} {:>10} {:>10} {:>6}", "normal", "count", "together", "in turn", "ratio");
        for (name, a) in [("SENSE 4x32²", sense(32)?), ("SENSE 4x128²", sense(128)?), ("dense 256²", dense(256)?)] {
            let shape = a.input()?.clone();
            let all: Vec<Tensor> = (0..32)
                .map(|k| Tensor::from_slice(shape.clone(), &values(shape.len(), 3 + k))?.to(&device))
                .collect::<Result<_>>()?;
            let options =
                || SolveOptions::default().lambda(0.1).tol(0.0).iterations(ITERATIONS).check_every(ITERATIONS);
            for count in [2, 8, 32] {
                let bs = &all[..count];
                let (mut together, mut in_turn) = (Vec::new(), Vec::new());
                for round in 0..=ROUNDS {
                    let one = timed(&device, || cg_many(&a, None, bs, options()).map(drop))?;
                    let other = timed(&device, || bs.iter().try_for_each(|b| cg(&a, b, options()).map(drop)))?;
                    // The first round compiles.
                    if round > 0 {
                        together.push(one);
                        in_turn.push(other);
                    }
                }
                let (one, other) = (median(together), median(in_turn));
                println!("{name:>14} {count:>6} {one:>10.2} {other:>10.2} {:>6.2}", one / other);
            }
        }
    }
    Ok(())
}
