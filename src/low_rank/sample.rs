//! Series whose blocks are of every kind: smaller ones at the borders, more rows than columns and the reverse, one of so many that pairs
//! take two turns; of full rank, of rank one, and all zero.

use super::Blocks;

/// Rows and columns of the sample.
pub(crate) const SHAPE: [usize; 3] = [5, 9, 8];

/// What stands for values of this shape, in its order, where blocks are to be 0 or of rank one, a product of a factor for each row and
/// two for each column; None where they are any.
pub(crate) fn degenerate() -> Vec<Option<f32>> {
    let [rows, y, x] = SHAPE;
    let factors = |r: usize, j: usize, i: usize| (r as f32 - 1.5) * (0.4 + 0.1 * j as f32) * (1.0 - 0.3 * i as f32);
    let at = |k: usize| match (k / (y * x) % rows, k / x % y, k % x) {
        (_, j, i) if j < 5 && i < 2 => Some(0.0),
        (r, j, i) if i >= 5 => Some(factors(r, j, i)),
        _ => None,
    };
    (0..rows * y * x).map(at).collect()
}

/// What singular values are made less by.
pub(crate) const LESS: f32 = 0.75;

/// The blocks, of more columns than rows and of fewer.
pub(crate) fn blocks() -> [Blocks; 3] {
    let [rows, y, x] = SHAPE;
    [
        Blocks::new(rows, &[y, x], &[4, 3], &[1, 2]),
        Blocks::new(rows * y, &[x], &[3], &[0]),
        Blocks::whole(rows * x / 2, 2 * y),
    ]
}
