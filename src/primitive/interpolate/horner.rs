//! Weights of a few points from polynomials, into a table that stays in the first cache.
//!
//! The taps of an axis are one vector, so that a chain of multiply-adds gives all of them; several points go side by side,
//! because a chain alone waits for itself.

use super::taps::VECTOR;
use crate::points::Polynomials;

/// Points whose weights are computed together.
pub(super) const EVALUATED: usize = 128;
/// Chains that run side by side; with more than these the sums leave their registers.
const TOGETHER: usize = 4;

/// Up to eight taps of one axis.
struct Chain {
    axis: usize,
    /// Where the first of them is among a point's weights.
    at: usize,
    /// Coefficients of all of them: of the highest power first. Taps that there are not have zeros.
    coefficients: Vec<[f32; VECTOR]>,
}

/// The polynomials of a set of points.
pub(super) struct Horner<'p> {
    fractions: &'p [f32],
    axes: usize,
    chains: Vec<Chain>,
    spacing: usize,
}

impl<'p> Horner<'p> {
    pub fn new(p: Polynomials<'p>) -> Horner<'p> {
        let (mut chains, mut start) = (Vec::new(), 0);
        for (axis, pieces) in p.pieces.iter().enumerate() {
            for first in (0..pieces.taps()).step_by(VECTOR) {
                let of = |power: usize| -> [f32; VECTOR] {
                    let tap = |k: usize| first + k;
                    let c = |k| if tap(k) < pieces.taps() { pieces.coefficient(power, tap(k)) as f32 } else { 0.0 };
                    std::array::from_fn(c)
                };
                let coefficients = (0..pieces.terms()).rev().map(of).collect();
                chains.push(Chain { axis, at: start + first, coefficients });
            }
            start += pieces.taps();
        }
        // Whole vectors are written, in the order of the chains: each overwrites what the one before wrote too much, and
        // there is room for the last.
        let spacing = chains.last().map_or(0, |c| c.at) + VECTOR;
        Horner { fractions: p.fractions, axes: p.pieces.len(), chains, spacing }
    }

    /// From one point's weights to the next's.
    pub fn spacing(&self) -> usize {
        self.spacing
    }

    /// Room for the weights of [`EVALUATED`] points.
    pub fn buffer(&self) -> Vec<f32> {
        vec![0.0; EVALUATED * self.spacing]
    }

    /// The weights of `count` points, of which the k-th is point `of(k)` of the set.
    pub fn fill(&self, count: usize, of: impl Fn(usize) -> usize, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // Without these a transform takes 1.2 times as long (2 coils of 256², 614 400 points at 1e-3, two cores: 15.4 and 18.8 ms instead
            // of 12.6 and 16.4).
            // SAFETY: the processor has both features.
            return unsafe { fill_avx2(self, count, of, out) };
        }
        fill::<false>(self, count, of, out);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fill_avx2(h: &Horner, count: usize, of: impl Fn(usize) -> usize, out: &mut [f32]) {
    fill::<true>(h, count, of, out);
}

#[inline(always)]
fn fill<const FMA: bool>(h: &Horner, count: usize, of: impl Fn(usize) -> usize, out: &mut [f32]) {
    for (k, rows) in out[..count * h.spacing].chunks_mut(TOGETHER * h.spacing).enumerate() {
        let here = rows.len() / h.spacing;
        // Beyond the last point the last is computed again and not stored.
        let points: [usize; TOGETHER] = std::array::from_fn(|p| of(k * TOGETHER + p.min(here - 1)) * h.axes);
        for chain in &h.chains {
            let s: [f32; TOGETHER] = points.map(|p| h.fractions[p + chain.axis]);
            let mut sums = [[0f32; VECTOR]; TOGETHER];
            for c in &chain.coefficients {
                for (sums, s) in sums.iter_mut().zip(s) {
                    for (sum, c) in sums.iter_mut().zip(c) {
                        *sum = if FMA { sum.mul_add(s, *c) } else { *sum * s + *c };
                    }
                }
            }
            for (row, sums) in rows.chunks_exact_mut(h.spacing).zip(&sums) {
                row[chain.at..chain.at + VECTOR].copy_from_slice(sums);
            }
        }
    }
}
