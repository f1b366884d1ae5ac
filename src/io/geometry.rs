//! Where an image lies in the scanner, in millimetres.

/// Places of voxels in millimetres.
///
/// Coordinates are RAS, as NIfTI has them: x grows to the patient's right, y to the front (anterior), z to the head (superior).
/// DICOM and ISMRMRD have LPS, whose x and y grow the other way: [`Geometry::from_lps`] turns them.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Distances of voxels along the columns (x), the rows (y) and the slices (z) of an image (z, y, x), in mm.
    pub voxel_mm: [f64; 3],
    /// Rows of the matrix that takes (i, j, k, 1) to (x, y, z) in RAS mm: i counts columns, j rows, k slices, from the middle of
    /// the first voxel, element [0, 0, 0] of an image (z, y, x).
    pub affine: [[f64; 4]; 3],
}

impl Geometry {
    /// Voxels of this size, with the middle of the image at the origin, its columns along x, its rows along y, its slices along z:
    /// for images of which no more is known. `extents` are those along x, y and z.
    pub fn of_voxels(voxel_mm: [f64; 3], extents: [usize; 3]) -> Geometry {
        let middle = |a: usize| -0.5 * voxel_mm[a] * extents[a].saturating_sub(1) as f64;
        let row = |a: usize| {
            let mut row = [0.0, 0.0, 0.0, middle(a)];
            row[a] = voxel_mm[a];
            row
        };
        Geometry { voxel_mm, affine: [row(0), row(1), row(2)] }
    }

    /// From directions and a place in LPS, as DICOM and ISMRMRD have them: unit vectors along which the index of columns
    /// (ISMRMRD's `read_dir`), of rows (`phase_dir`) and of slices (`slice_dir`) grows, and the place of the middle of the image in
    /// mm (ISMRMRD's `position`). Voxel ⌊n/2⌋ along each axis is the middle, as Fourier transforms have it. `extents` are those
    /// along x, y and z.
    pub fn from_lps(
        position: [f64; 3],
        directions: [[f64; 3]; 3],
        voxel_mm: [f64; 3],
        extents: [usize; 3],
    ) -> Geometry {
        let row = |r: usize| {
            // L to R, P to A; S stays.
            let sign = if r < 2 { -1.0 } else { 1.0 };
            let step = |a: usize| sign * directions[a][r] * voxel_mm[a];
            let first = (0..3).fold(sign * position[r], |at, a| at - step(a) * (extents[a] / 2) as f64);
            [step(0), step(1), step(2), first]
        };
        Geometry { voxel_mm, affine: [row(0), row(1), row(2)] }
    }

    /// The place of a voxel (i, j, k), along columns, rows and slices, in RAS mm.
    pub fn place(&self, index: [f64; 3]) -> [f64; 3] {
        self.affine.map(|row| row[3] + (0..3).map(|a| row[a] * index[a]).sum::<f64>())
    }

    /// Rotation as a quaternion (b, c, d), and −1 where the axes are left-handed; None where they are not at right angles.
    pub(super) fn quaternion(&self) -> Option<([f64; 3], f64)> {
        let unit = |a: usize| -> Option<[f64; 3]> {
            let column = self.affine.map(|row| row[a]);
            let length = column.iter().map(|v| v * v).sum::<f64>().sqrt();
            (length > 0.0 && length.is_finite()).then(|| column.map(|v| v / length))
        };
        let (x, y, mut z) = (unit(0)?, unit(1)?, unit(2)?);
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        if dot(x, y).abs().max(dot(x, z).abs()).max(dot(y, z).abs()) > 1e-4 {
            return None;
        }
        let across = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
        let hand = if dot(across, z) < 0.0 { -1.0 } else { 1.0 };
        z = z.map(|v| v * hand);
        // Of the four squares, the largest is divided by.
        let r = |row: usize, column: usize| [x, y, z][column][row];
        let squares = [
            1.0 + r(0, 0) + r(1, 1) + r(2, 2),
            1.0 + r(0, 0) - r(1, 1) - r(2, 2),
            1.0 - r(0, 0) + r(1, 1) - r(2, 2),
            1.0 - r(0, 0) - r(1, 1) + r(2, 2),
        ];
        let largest = (0..4).max_by(|&i, &j| squares[i].total_cmp(&squares[j]))?;
        let s = 0.5 / squares[largest].sqrt();
        let half = 0.5 * squares[largest].sqrt();
        let (turned, sum) =
            (|i: usize, j: usize| s * (r(i, j) - r(j, i)), |i: usize, j: usize| s * (r(i, j) + r(j, i)));
        let [a, b, c, d] = match largest {
            0 => [half, turned(2, 1), turned(0, 2), turned(1, 0)],
            1 => [turned(2, 1), half, sum(0, 1), sum(0, 2)],
            2 => [turned(0, 2), sum(0, 1), half, sum(1, 2)],
            _ => [turned(1, 0), sum(0, 2), sum(1, 2), half],
        };
        // q and −q are the same rotation; a is not stored and taken to be positive.
        let sign = if a < 0.0 { -1.0 } else { 1.0 };
        Some(([sign * b, sign * c, sign * d], hand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: [f64; 3], b: [f64; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    #[test]
    fn lps_is_turned() {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let g = Geometry::from_lps([10.0, -20.0, 30.0], axes, [2.0, 3.0, 4.0], [8, 6, 1]);
        assert!(close(g.place([4.0, 3.0, 0.0]), [-10.0, 20.0, 30.0]));
        // A column on is 2 mm to the left.
        assert!(close(g.place([5.0, 3.0, 0.0]), [-12.0, 20.0, 30.0]));
        assert!(close(g.place([4.0, 4.0, 1.0]), [-10.0, 17.0, 34.0]));
        let g = Geometry::of_voxels([1.0, 2.0, 3.0], [5, 3, 1]);
        assert!(close(g.place([2.0, 1.0, 0.0]), [0.0, 0.0, 0.0]) && close(g.place([3.0, 2.0, 1.0]), [1.0, 2.0, 3.0]));
    }

    #[test]
    fn quaternions_are_the_rotation() {
        let (u, v) = (0.6, 0.8);
        let frames = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            [[u, v, 0.0], [-v, u, 0.0], [0.0, 0.0, -1.0]],
            [[0.0, u, v], [0.0, -v, u], [1.0, 0.0, 0.0]],
            [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        ];
        for axes in frames {
            let g = Geometry::from_lps([1.0, 2.0, 3.0], axes, [2.0, 3.0, 4.0], [4, 4, 4]);
            let ([b, c, d], hand) = g.quaternion().unwrap();
            let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
            let rotation = [
                [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
                [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
                [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b],
            ];
            for (turned, affine) in rotation.iter().zip(&g.affine) {
                for (column, by) in [2.0, 3.0, 4.0 * hand].into_iter().enumerate() {
                    let (got, want) = (turned[column] * by, affine[column]);
                    assert!((got - want).abs() < 1e-9, "{axes:?} column {column}: {got} {want}");
                }
            }
        }
        let mut sheared = Geometry::of_voxels([1.0; 3], [4; 3]);
        sheared.affine[0][1] = 0.3;
        assert_eq!(sheared.quaternion(), None);
    }
}
