//! Matrices of the blocks of a series, with singular values made less: what proximal operators of nuclear norms are.
//!
//! | file | holds |
//! |---|---|
//! | `host` | eigenvalues of the smaller Gram matrix, in f64; a block is a task |
//! | `kernel`, `low_rank.wgsl` | one-sided Jacobi rotations in f32; a block is a workgroup, and lies in its memory |
//! | `sample` | a series whose blocks show that a device does it right |
//!
//! A value is (rows, back…): the entries of a block along `back`, in C order, are the columns of its matrix.

mod host;
#[cfg(feature = "gpu")]
mod kernel;
pub(crate) mod sample;

pub(crate) use host::{norms, shrunk};
#[cfg(feature = "gpu")]
pub(crate) use kernel::{Ending, fits, kernel, room, words, work};

/// How a series is cut into blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blocks {
    /// Rows of every block: all that stands in front.
    pub rows: usize,
    pub axes: Vec<Axis>,
}

/// One axis that is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub extent: usize,
    /// Of a block; those at the borders may have less.
    pub block: usize,
    /// Where a block begins that is not the first one, unless it is 0.
    pub offset: usize,
}

impl Axis {
    /// How many blocks there are.
    pub fn count(self) -> usize {
        let offset = self.offset.min(self.extent);
        usize::from(offset > 0) + (self.extent - offset).div_ceil(self.block)
    }

    /// The entries of block k.
    pub fn range(self, k: usize) -> std::ops::Range<usize> {
        let offset = self.offset.min(self.extent);
        let (first, k) = if offset == 0 { (0, k) } else { (offset, k.wrapping_sub(1)) };
        match k {
            usize::MAX => 0..offset,
            k => first + k * self.block..(first + (k + 1) * self.block).min(self.extent),
        }
    }

    /// The entries of the largest block.
    #[cfg(any(feature = "gpu", test))]
    pub fn longest(self) -> usize {
        (0..self.count().min(2)).map(|k| self.range(k).len()).max().unwrap_or(0)
    }
}

impl Blocks {
    /// Of values (rows, extents…), in blocks from the offsets on.
    pub fn new(rows: usize, extents: &[usize], block: &[usize], offset: &[usize]) -> Blocks {
        // A block that is longer than its axis has all of it.
        let axis = |d: usize| {
            let (extent, offset) = (extents[d], offset[d] % block[d]);
            Axis { extent, block: block[d].min(extent.max(1)), offset }
        };
        Blocks { rows, axes: (0..extents.len()).map(axis).collect() }
    }

    /// All as one block.
    pub fn whole(rows: usize, columns: usize) -> Blocks {
        Blocks { rows, axes: vec![Axis { extent: columns, block: columns.max(1), offset: 0 }] }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.axes.iter().map(|a| a.count()).product()
    }

    /// Columns of all blocks together.
    pub fn columns(&self) -> usize {
        self.axes.iter().map(|a| a.extent).product()
    }

    /// Columns of the largest block.
    #[cfg(any(feature = "gpu", test))]
    pub fn widest(&self) -> usize {
        self.axes.iter().map(|a| a.longest()).product()
    }

    /// The columns of a block.
    fn columns_of(&self, block: usize) -> Vec<usize> {
        let mut rest = block;
        let mut ranges: Vec<_> = self
            .axes
            .iter()
            .rev()
            .map(|a| {
                let k = rest % a.count();
                rest /= a.count();
                a.range(k)
            })
            .collect();
        ranges.reverse();
        self.axes.iter().zip(ranges).fold(vec![0], |columns, (axis, range)| {
            columns.iter().flat_map(|c| range.clone().map(move |i| c * axis.extent + i)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_column_once() {
        for (extents, block, offset) in [
            (vec![7, 5], vec![3, 2], vec![2, 1]),
            (vec![8, 8], vec![4, 4], vec![0, 2]),
            (vec![5], vec![9], vec![8]),
            (vec![5], vec![9], vec![3]),
            (vec![5, 3], vec![usize::MAX, 2], vec![usize::MAX - 2, 1]),
            (vec![1, 13, 2], vec![1, 4, 3], vec![0, 3, 0]),
        ] {
            let blocks = Blocks::new(3, &extents, &block, &offset);
            let mut all: Vec<usize> = (0..blocks.count()).flat_map(|b| blocks.columns_of(b)).collect();
            assert!((0..blocks.count()).all(|b| (1..=blocks.widest()).contains(&blocks.columns_of(b).len())));
            all.sort_unstable();
            assert_eq!(all, (0..blocks.columns()).collect::<Vec<_>>(), "{extents:?} {block:?} {offset:?}");
        }
    }
}
