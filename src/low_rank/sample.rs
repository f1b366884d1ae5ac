//! A series whose blocks are of every kind: smaller ones at the borders, more rows than columns and the reverse, and one of so many
//! that pairs take two turns.

use super::Blocks;

/// Rows and columns of the sample.
pub(crate) const SHAPE: [usize; 3] = [5, 9, 8];

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
