//! Finding the fully sampled centre of k-space.

use crate::Result;
use crate::error::value_err;
use ndarray::{Array3, Array4, ArrayView4, Axis, s};
use num_complex::Complex32;
use std::ops::Range;

/// Fewer lines than this seldom determine a coil's profile; they are taken only where they are asked for.
const LEAST: usize = 8;
/// More lines than this seldom make better maps.
const USUAL: usize = 24;
/// What can be asked for.
const ASKED: [usize; 2] = [4, 64];
/// The part of a block that may be missing: single samples, no lines.
const MISSING: f64 = 0.02;
/// What to do when the data cannot be calibrated.
pub(super) const HINT: &str = "acquire more centre lines, or give the coil maps with --maps";

/// The calibration region, centred on k-space (kz, ky, kx).
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    axes: [Range<usize>; 3],
}

impl Block {
    /// The largest acquired block around the centre, up to 24 each way, or `size` each way; of a slice kz has one plane.
    ///
    /// A block counts as acquired where its lines along the axes are; of patterns in two directions, and where corners are
    /// left out, it is the largest within that is as long along all of them, but for readouts that are whole.
    pub(super) fn find(kspace: ArrayView4<Complex32>, size: Option<usize>) -> Result<Block> {
        let [low, high] = ASKED;
        if let Some(size) = size.filter(|size| !(low..=high).contains(size)) {
            return value_err!("{size} calibration lines, expected {low} to {high}");
        }
        let acquired = kspace.map_axis(Axis(0), |coils| coils.iter().any(|v| *v != Complex32::ZERO));
        let extents: [usize; 3] = acquired.dim().into();
        // Thin slabs have no more partitions.
        let least = size.unwrap_or(LEAST);
        let needed = [least.min(extents[0]), least, least];
        let mut lines = [0..extents[0], 0..extents[1], 0..extents[2]];
        for axis in 0..3 {
            let [z, y, x] = lines.clone();
            let within = acquired.slice(s![z, y, x]);
            let along = |i: usize| within.index_axis(Axis(axis), i).iter().any(|v| *v);
            lines[axis] = centred(extents[axis], along);
        }
        let most = size.unwrap_or(USUAL);
        let side = |limit: usize| Block { axes: [0, 1, 2].map(|a| around(extents[a], lines[a].len().min(limit))) };
        // Where readouts are whole, they stay so.
        let with_readout = |limit: usize| {
            let Block { axes: [z, y, _] } = side(limit);
            Block { axes: [z, y, around(extents[2], lines[2].len().min(most))] }
        };
        let smallest = needed.into_iter().max().unwrap_or(least).min(most);
        let candidates = (smallest..=most).rev().flat_map(|limit| [with_readout(limit), side(limit)]);
        let found = { candidates }.find(|block| block.is_whole(&acquired));
        // What there is at all, where it is too little.
        let found = found.unwrap_or_else(|| {
            (0..smallest).rev().map(side).find(|block| block.is_whole(&acquired)).unwrap_or_else(|| side(0))
        });
        let sides = found.sides();
        if sides.iter().zip(&needed).any(|(came, wanted)| came < wanted) {
            let of = |n: usize, what: &str| format!("{n} centre {what}{}", if n == 1 { "" } else { "s" });
            let (and_partitions, partitions) = match extents[0] {
                1 => ("", String::new()),
                _ => (", partitions", format!(", {}", of(sides[0], "partition"))),
            };
            return value_err!(
                "coil calibration needs {least} fully sampled centre lines{and_partitions} and columns; \
                 the k-space has {}{partitions} and {}; {HINT}",
                of(sides[1], "line"),
                of(sides[2], "column")
            );
        }
        Ok(found)
    }

    /// Whether all of it was acquired, but for single samples.
    fn is_whole(&self, acquired: &Array3<bool>) -> bool {
        let [z, y, x] = self.axes.clone();
        let block = acquired.slice(s![z, y, x]);
        let missing = block.iter().filter(|v| !**v).count();
        !block.is_empty() && missing as f64 <= MISSING * block.len() as f64
    }

    /// The block of every coil.
    pub(super) fn cut(&self, kspace: ArrayView4<Complex32>) -> Array4<Complex32> {
        let [z, y, x] = self.axes.clone();
        kspace.slice(s![.., z, y, x]).to_owned()
    }

    /// Where it lies along kz, ky and kx.
    pub(super) fn axes(&self) -> [Range<usize>; 3] {
        self.axes.clone()
    }

    /// Extents along kz, ky and kx.
    pub(super) fn sides(&self) -> [usize; 3] {
        self.axes.clone().map(|axis| axis.len())
    }
}

/// The longest run of acquired indices that is centred on `n / 2`.
fn centred(n: usize, acquired: impl Fn(usize) -> bool) -> Range<usize> {
    let centre = n / 2;
    let below = (0..centre).rev().take_while(|&i| acquired(i)).count();
    let above = (centre..n).take_while(|&i| acquired(i)).count();
    // As in the whole grid, an even run has one index more below the centre than above it.
    around(n, if above > below { 2 * below + 1 } else { 2 * above })
}

/// `length` indices around `n / 2`.
fn around(n: usize, length: usize) -> Range<usize> {
    let start = n / 2 - (length / 2).min(n / 2);
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_around_the_centre() {
        assert_eq!(centred(8, |_| true), 0..8);
        assert_eq!(centred(9, |_| true), 0..9);
        assert_eq!(centred(8, |i| i >= 2), 2..7);
        assert_eq!(centred(8, |i| i < 6), 2..6);
        assert_eq!(centred(8, |i| i != 4), 4..4);
        assert_eq!(centred(8, |i| i == 4), 4..5);
    }

    /// A scan with one coil, acquired where the function says so.
    fn acquired(extents: [usize; 3], at: impl Fn([usize; 3]) -> bool) -> Array4<Complex32> {
        let [nz, ny, nx] = extents;
        Array4::from_shape_fn((1, nz, ny, nx), |(_, z, y, x)| Complex32::from(f32::from(at([z, y, x]))))
    }

    #[test]
    fn a_cube_in_a_pattern_of_two_directions() {
        // Every second sample along both, and a centre of 12.
        let centre = |i: usize| (10..22).contains(&i);
        let k = acquired([32, 32, 32], |[z, y, _]| (z % 2 == 0 && y % 2 == 0) || (centre(z) && centre(y)));
        assert_eq!(Block::find(k.view(), None).unwrap().sides(), [12, 12, 24]);
        // A centre without its corners: what lies within.
        let k = acquired([1, 40, 40], |[_, y, x]| {
            let (y, x) = (y as f64 - 20.0, x as f64 - 20.0);
            y.hypot(x) < 12.5
        });
        let [_, y, x] = Block::find(k.view(), None).unwrap().sides();
        assert!(y == x && (16..=19).contains(&y), "{y} {x}");
        let e = Block::find(k.view(), Some(24)).unwrap_err().to_string();
        assert!(e.contains("needs 24") && e.contains(&format!("{y} centre lines")), "{e}");
        // Thin slabs are taken as they are, a single sample may be missing.
        let k = acquired([4, 32, 32], |at| at != [2, 15, 15]);
        assert_eq!(Block::find(k.view(), None).unwrap().sides(), [4, 24, 24]);
        let e = Block::find(acquired([16, 16, 16], |[z, ..]| z > 6).view(), None).unwrap_err().to_string();
        assert!(e.contains("3 centre partitions"), "{e}");
    }
}
