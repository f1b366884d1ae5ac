//! What the host can do at best: how fast its memory copies, by the best of several ways, and how fast it multiplies and adds.

use crate::allocate::zeroed;
use crate::error::Result;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Ways of copying: what they are called, and how many numbers a task copies; 0: all of them, on one thread.
const COPIES: [(&str, usize); 3] = [("one thread", 0), ("64 KiB a task", 1 << 14), ("1 MiB a task", 1 << 18)];

/// Seconds of copies of so many bytes, a multiple of 4, in `rounds` of each way, by name.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn copies(bytes: u64, rounds: usize) -> Result<Vec<(&'static str, Vec<f64>)>> {
    /// Short copies are repeated as long as this.
    const LONG: f64 = 2e-5;
    let n = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
    let (mut from, mut to): (Vec<f32>, Vec<f32>) = (zeroed(n)?, zeroed(n)?);
    // Zeros that nobody has written are one page of the system's.
    from.fill(0.5);
    to.fill(0.25);
    let mut copy = |task: usize| {
        match task {
            0 => to.copy_from_slice(black_box(&from)),
            _ => to.par_chunks_mut(task).zip(from.par_chunks(task)).for_each(|(to, from)| to.copy_from_slice(from)),
        }
        black_box(&mut to);
    };
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); COPIES.len()];
    for round in 0..=rounds {
        for ((_, task), seconds) in COPIES.iter().zip(&mut seconds) {
            let (start, mut count) = (Instant::now(), 0u32);
            while count == 0 || start.elapsed().as_secs_f64() < LONG {
                copy(*task);
                count += 1;
            }
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64() / f64::from(count));
            }
        }
    }
    Ok(COPIES.iter().zip(seconds).map(|((name, _), s)| (*name, s)).collect())
}

/// Multiply-adds that nothing but themselves waits for: as many chains as hide how long one takes.
struct MultiplyAdds {
    rounds: usize,
    factor: f32,
    term: f32,
}

/// Chains of a thread.
const CHAINS: usize = 12;

impl WithSimd for MultiplyAdds {
    /// A number that depends on all of them, and the lanes of a register.
    type Output = (f32, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, usize) {
        let (factor, term) = (simd.splat_f32s(self.factor), simd.splat_f32s(self.term));
        let mut chains = [term; CHAINS];
        for _ in 0..self.rounds {
            for a in &mut chains {
                *a = simd.mul_add_f32s(*a, factor, term);
            }
        }
        let all = chains.into_iter().fold(term, |a, b| simd.add_f32s(a, b));
        (simd.reduce_sum_f32s(all), S::F32_LANES)
    }
}

/// Real products and sums a second, in each of `rounds`: multiply-adds in registers, in the widest that the processor has, on every
/// thread of the pool.
pub(crate) fn multiply_adds(rounds: usize) -> Vec<f64> {
    /// Rounds of a thread: about a millisecond.
    const EACH: usize = 100_000;
    let arch = Arch::new();
    let round = || {
        let start = Instant::now();
        let lanes = rayon::broadcast(|_| {
            let work = MultiplyAdds { rounds: black_box(EACH), factor: black_box(0.5), term: black_box(1.0) };
            let (sum, lanes) = arch.dispatch(work);
            black_box(sum);
            lanes
        });
        let flops = 2 * EACH * CHAINS * lanes.iter().sum::<usize>();
        flops as f64 / start.elapsed().as_secs_f64().max(1e-12)
    };
    round();
    (0..rounds.max(1)).map(|_| round()).collect()
}
