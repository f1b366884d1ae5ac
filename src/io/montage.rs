//! Several images as one: the slices of a stack side by side.

use ndarray::{Array2, ArrayView3, Axis, s};

/// The images of a stack (n, row, column) in rows from the upper left on, so many beside each other that the whole is nearly
/// square; cells that are left are 0.
///
/// ```
/// use linops::io::montage;
/// let stack = ndarray::Array3::from_shape_fn((3, 4, 5), |(n, ..)| n as f32);
/// let sheet = montage(stack.view());
/// assert_eq!(sheet.dim(), (8, 10));
/// assert_eq!((sheet[[0, 9]], sheet[[7, 0]], sheet[[7, 9]]), (1.0, 2.0, 0.0));
/// ```
pub fn montage(stack: ArrayView3<f32>) -> Array2<f32> {
    let (n, ny, nx) = stack.dim();
    let columns = montage_columns(n, ny, nx);
    let mut sheet = Array2::zeros((n.div_ceil(columns) * ny, columns * nx));
    for (k, image) in stack.axis_iter(Axis(0)).enumerate() {
        let (y, x) = (k / columns * ny, k % columns * nx);
        sheet.slice_mut(s![y..y + ny, x..x + nx]).assign(&image);
    }
    sheet
}

/// Images beside each other in a [`montage`]: of the numbers that come nearest to a square, the one that leaves fewest cells, then the
/// larger.
pub fn montage_columns(n: usize, ny: usize, nx: usize) -> usize {
    let side = |columns: usize| (columns * nx.max(1)).max(n.div_ceil(columns) * ny.max(1));
    let empty = |columns: usize| n.div_ceil(columns) * columns - n;
    (1..=n.max(1)).min_by_key(|&c| (side(c), empty(c), std::cmp::Reverse(c))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn stacks_are_nearly_square() {
        for (n, ny, nx, columns) in
            [(1, 5, 5, 1), (4, 8, 8, 2), (5, 8, 8, 3), (12, 8, 8, 4), (7, 10, 100, 1), (3, 9, 3, 3)]
        {
            assert_eq!(montage_columns(n, ny, nx), columns, "{n} of {ny} x {nx}");
        }
        let stack = Array3::from_shape_fn((5, 2, 3), |(n, y, x)| (100 * (n + 1) + 10 * y + x) as f32);
        let sheet = montage(stack.view());
        let columns = montage_columns(5, 2, 3);
        assert_eq!(sheet.dim(), (5usize.div_ceil(columns) * 2, columns * 3));
        for ((n, y, x), v) in stack.indexed_iter() {
            assert_eq!(sheet[[n / columns * 2 + y, n % columns * 3 + x]], *v);
        }
        assert_eq!(sheet.sum(), stack.sum());
    }
}
