//! Host time of applies on a GPU: of one dispatch and of each further one, beside the same dispatches by wgpu alone. Values are
//! tiny, so that the device has next to nothing to do. Times are of the calling thread alone, where the system tells them: a
//! software adapter computes on other threads of the same cores.

#[allow(dead_code)]
#[path = "../tests/common/bare.rs"]
mod bare;

use bare::{Bare, chain};
use linops::{Device, Tensor};
use num_complex::Complex32;

const DISPATCHES: [usize; 4] = [1, 9, 33, 65];
const ROUNDS: usize = 41;
/// Applies in a row, fewer than a device takes before it holds the caller back.
const ROW: usize = 16;

/// Microseconds that this thread has run.
#[cfg(unix)]
fn microseconds() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 * 1e6 + t.tv_nsec as f64 / 1e3
}

#[cfg(not(unix))]
fn microseconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64() * 1e6
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> linops::Result<()> {
    let device = Device::gpu()?;
    let Some(gpu) = device.as_gpu() else { return Ok(()) };
    println!("host time on {} (thread time, µs of an apply, medians of {ROUNDS} alternating rounds)", device.name());
    println!("{:>10} {:>10} {:>10} {:>10} {:>8}", "dispatches", "apply", "bare wgpu", "difference", "ratio");
    let mut table = Vec::new();
    for n in DISPATCHES {
        let a = chain(n)?;
        let x = Tensor::from_slice("N=16", &[Complex32::new(1.0, -1.0); 16])?.to(&device)?;
        let bare = Bare::new(gpu.wgpu_device(), n);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS + 5 {
            device.wait()?;
            let start = microseconds();
            for _ in 0..ROW {
                drop(a.apply(&x)?);
            }
            let own = (microseconds() - start) / ROW as f64;
            device.wait()?;
            let queue = gpu.wgpu_queue()?;
            let start = microseconds();
            for _ in 0..ROW {
                bare.run(&queue);
            }
            let other = (microseconds() - start) / ROW as f64;
            // The first rounds fill caches.
            if round >= 5 {
                ours.push(own);
                theirs.push(other);
            }
        }
        let (own, other) = (median(&mut ours), median(&mut theirs));
        println!("{n:>10} {own:>10.2} {other:>10.2} {:>10.2} {:>8.2}", own - other, own / other);
        table.push((n as f64, own, other));
    }
    let (first, last) = (table[0], table[table.len() - 1]);
    let each = |a: f64, b: f64| (b - a) / (last.0 - first.0);
    println!("further dispatch: {:.2} µs, bare wgpu {:.2} µs", each(first.1, last.1), each(first.2, last.2));
    Ok(())
}
