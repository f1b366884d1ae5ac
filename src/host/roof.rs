//! What the host can do at best: how fast its memory copies, by the best of several ways, and how fast it multiplies and adds.

use crate::allocate::zeroed;
use crate::error::Result;
use nalgebra::DMatrix;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Ways of copying: what they are called, and how many numbers a task copies; 0: all of them, on one thread.
const COPIES: [(&str, usize); 3] = [("one thread", 0), ("64 KiB a task", 1 << 14), ("1 MiB a task", 1 << 18)];

/// Rows of the matrices that are multiplied: three of them lie in a core's own cache.
const ROWS: usize = 160;

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

/// Real products and sums a second, in each of `rounds`: a product of matrices on every thread of the pool, as nothing else keeps the units for
/// multiplying and adding as busy.
pub(crate) fn multiply_adds(rounds: usize) -> Vec<f64> {
    /// Products of a round.
    const EACH: usize = 4;
    let threads = rayon::current_num_threads();
    let factors = DMatrix::<f32>::from_fn(ROWS, ROWS, |r, c| 1e-3 * (r + 2 * c) as f32);
    let round = || {
        let start = Instant::now();
        rayon::broadcast(|_| {
            let mut product = DMatrix::<f32>::zeros(ROWS, ROWS);
            for _ in 0..EACH {
                product.gemm(1.0, black_box(&factors), black_box(&factors), 0.0);
            }
            black_box(product[(0, 0)])
        });
        start.elapsed().as_secs_f64()
    };
    round();
    let flops = (threads * EACH * 2 * ROWS.pow(3)) as f64;
    (0..rounds.max(1)).map(|_| flops / round().max(1e-12)).collect()
}
