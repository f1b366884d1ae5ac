//! A Hermitian matrix for each frequency, by its diagonals: what mixes batch entries in a Toeplitz normal.
//!
//! Diagonal d of a K×K matrix H holds H[r, (r + d) mod K] for each row r, so d from 0 to K/2 has every pair of entries once (the
//! last one, where K is even, in its first half). Each is read for both: y[r] += h[r]·x[r + d] and y[r + d] += h[r]*·x[r]. As the
//! first is real that is K² reals for each frequency, half of what the whole matrix takes, and the sum is exactly self-adjoint.

use super::toeplitz::Inner;
use crate::access::{AxisMap, Constant, ValueId};
use crate::error::Result;
use crate::ir::Builder;
use num_complex::Complex32;

impl Inner {
    /// Order of the matrix that each sample has: `values` are in C order of (row, column, sample).
    pub(super) fn order(&self) -> usize {
        self.extents[..self.axes.len()].iter().product()
    }

    /// Whether the matrices are Hermitian, but for the rounding of the sums that they come from.
    pub(super) fn is_hermitian(&self) -> bool {
        let k = self.order();
        let samples = self.values.len() / (k * k);
        let entry = |r: usize, c: usize, s: usize| self.values[(r * k + c) * samples + s];
        let size = |v: Complex32| v.re.abs().max(v.im.abs());
        (0..samples).all(|s| {
            let largest = (0..k * k).map(|i| size(entry(i / k, i % k, s))).fold(0.0, f32::max);
            let most = 8.0 * f32::EPSILON * k as f32 * largest;
            (0..k).all(|r| (0..=r).all(|c| size(entry(r, c, s) - entry(c, r, s).conj()) <= most))
        })
    }

    /// The entries of one diagonal, row after row: those above the main one, and the conjugates of those below it. Says which
    /// are conjugates.
    pub(super) fn diagonal(&self, d: usize) -> Vec<(bool, Vec<Complex32>)> {
        let k = self.order();
        let samples = self.values.len() / (k * k);
        let row = |r: usize| {
            let (low, high) = (r.min((r + d) % k), r.max((r + d) % k));
            let above = &self.values[(low * k + high) * samples..][..samples];
            let below = &self.values[(high * k + low) * samples..][..samples];
            (low != r, above.iter().zip(below).map(|(a, b)| (a + b.conj()) * 0.5).collect())
        };
        (0..if 2 * d == k { d } else { k }).map(row).collect()
    }
}

/// y = H x along `axis` of x, for diagonals of extents (row, …) whose last axes are those of x from `last` on.
pub(super) fn apply(b: &mut Builder, x: ValueId, diagonals: &[Constant], axis: usize, last: usize) -> Result<ValueId> {
    let (k, rank) = (b.extents(x)[axis], b.extents(x).len());
    let axes: Vec<usize> = std::iter::once(axis).chain(last..rank).collect();
    let mut terms = Vec::new();
    for (d, h) in diagonals.iter().enumerate() {
        if d == 0 {
            terms.push(b.mul(x, h.clone(), axes.clone(), false)?);
            continue;
        }
        // Row r reads x[r + d] and writes y[r]; and the other way round.
        let rows = h.extents()[0];
        let (read, write) = match rows == k {
            true => (AxisMap::wrapped(1, d as i64, k), AxisMap::wrapped(1, -(d as i64), k)),
            false => (AxisMap::affine(1, d as i64, 1, k, rows), AxisMap::affine(1, -(d as i64), 1, rows, k)),
        };
        let above = b.map_axis(x, axis, read, rows)?;
        let above = b.mul(above, h.clone(), axes.clone(), false)?;
        terms.push(b.map_axis(above, axis, AxisMap::affine(1, 0, 1, rows, k), k)?);
        let below = b.map_axis(x, axis, AxisMap::affine(1, 0, 1, k, rows), rows)?;
        let below = b.mul(below, h.clone(), axes.clone(), true)?;
        terms.push(b.map_axis(below, axis, write, k)?);
    }
    match terms[..] {
        [one] => Ok(one),
        _ => b.add(&terms),
    }
}
