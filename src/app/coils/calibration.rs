//! Finding the fully sampled centre of k-space.

use crate::Result;
use crate::error::value_err;
use ndarray::{Array3, ArrayView3, Axis, s};
use num_complex::Complex32;
use std::ops::Range;

/// Fewer lines than this do not determine a coil's profile.
const LEAST: usize = 8;
/// More lines than this seldom make better maps.
const USUAL: usize = 24;
/// The time grows with the sixth power of the block's side.
const MOST: usize = 32;
/// What to do when the data cannot be calibrated.
pub(super) const HINT: &str = "acquire more centre lines, or give the coil maps with --maps";

/// The calibration region, centred on k-space.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub ky: Range<usize>,
    pub kx: Range<usize>,
}

impl Block {
    /// The largest acquired block around the centre, up to 24 each way, or `size` each way.
    pub(super) fn find(kspace: ArrayView3<Complex32>, size: Option<usize>) -> Result<Block> {
        if let Some(size) = size.filter(|size| !(LEAST..=MOST).contains(size)) {
            return value_err!("{size} calibration lines, expected {LEAST} to {MOST}");
        }
        let (_, ny, nx) = kspace.dim();
        let row = |ky| kspace.index_axis(Axis(1), ky).iter().any(|v| *v != Complex32::ZERO);
        let ky = centred(ny, row);
        let lines = kspace.slice(s![.., ky.clone(), ..]);
        let kx = centred(nx, |kx| lines.index_axis(Axis(2), kx).iter().any(|v| *v != Complex32::ZERO));
        let least = size.unwrap_or(LEAST);
        if ky.len() < least || kx.len() < least {
            let of = |n: usize, what: &str| format!("{n} centre {what}{}", if n == 1 { "" } else { "s" });
            return value_err!(
                "coil calibration needs {least} fully sampled centre lines and columns; \
                 the k-space has {} and {}; {HINT}",
                of(ky.len(), "line"),
                of(kx.len(), "column")
            );
        }
        let most = size.unwrap_or(USUAL);
        let cut = |n: usize, range: Range<usize>| around(n, range.len().min(most));
        Ok(Block { ky: cut(ny, ky), kx: cut(nx, kx) })
    }

    /// The block of every coil.
    pub(super) fn cut(&self, kspace: ArrayView3<Complex32>) -> Array3<Complex32> {
        kspace.slice(s![.., self.ky.clone(), self.kx.clone()]).to_owned()
    }

    pub(super) fn smaller_side(&self) -> usize {
        self.ky.len().min(self.kx.len())
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
}
