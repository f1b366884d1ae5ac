//! Whether the normal of a transform is a convolution: by what both ways take.

use super::Nufft;
use crate::error::{Error, Result};
use crate::primitive::fft::next_smooth;

/// Bytes of the convolution's kernel, at most, where nobody has asked for it.
const MOST_BYTES: f64 = (1u64 << 30) as f64;
/// The same where somebody has.
const MOST_ASKED: f64 = (1u64 << 36) as f64;

/// What stays in a CPU's caches between the rows of a matrix for each frequency.
const CACHE: f64 = (16 << 20) as f64;

/// How the normal of a transform is made, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NormalChoice {
    /// The linop says so.
    Asked(bool),
    /// The convolution takes so many times the operations of the pair of transforms.
    Compared(f64),
    /// Its kernel takes too much memory to make.
    TooLarge,
}

impl NormalChoice {
    pub fn is_convolution(self) -> bool {
        match self {
            NormalChoice::Asked(choice) => choice,
            NormalChoice::Compared(ratio) => ratio < 1.0,
            NormalChoice::TooLarge => false,
        }
    }

    /// The reason, for listings.
    pub fn reason(self, n: &Nufft) -> String {
        let grid = n.doubled().iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        match self {
            NormalChoice::Asked(_) => "as asked for".into(),
            NormalChoice::Compared(ratio) => {
                format!("a convolution on {grid} takes about {ratio:.2} times the operations of transform and adjoint")
            }
            NormalChoice::TooLarge => format!("the kernel of a convolution on {grid} is too large to make"),
        }
    }
}

impl Nufft {
    /// How the normal shall be made, where what stands between mixes so many batch entries.
    ///
    /// # Errors
    /// A convolution was asked for that no machine holds.
    pub(super) fn normal_choice(&self, order: usize) -> Result<NormalChoice> {
        let cells: f64 = self.doubled().iter().map(|&n| n as f64).product();
        let order = order as f64;
        // K² reals for each frequency: see `hermitian`.
        let bytes = 4.0 * order * order * cells;
        if let Some(choice) = self.0.toeplitz {
            if choice && bytes > MOST_ASKED {
                let what = format!("the kernel of a convolution on {:?} (toeplitz)", self.doubled());
                return Err(Error::TooBig { what, needed: bytes as u64, limit: MOST_ASKED as u64 });
            }
            return Ok(NormalChoice::Asked(choice));
        }
        if bytes > MOST_BYTES {
            return Ok(NormalChoice::TooLarge);
        }
        // Padded rows are zero and cropped ones not wanted: of D passes over the grid 2 − 2^(1−D) are made.
        let d = self.image().len() as i32;
        let passes = (2.0 - 0.5f64.powi(d - 1)) / f64::from(d);
        // Half of what a transform of its own costs: weights and both transforms go through memory together.
        let mut convolution = cells * (2.2 * cells.log2() * passes + 8.0);
        if order > 1.0 {
            // The transforms are apart, and each entry reads a row of the matrix for every frequency; measured, with 4 to 32
            // coils at 128².
            let held = cells * (16.0 * order + 4.0 * order * order);
            convolution += cells * (10.0 + order * if held > CACHE { 7.0 } else { 1.0 });
        }
        Ok(NormalChoice::Compared(convolution / self.0.way.cost(&self.0.image, self.count())))
    }

    /// Extents of the circulant: smooth, and at least twice the image's less one.
    pub(super) fn doubled(&self) -> Vec<usize> {
        self.0.image.iter().map(|&n| next_smooth((2 * n).saturating_sub(1).max(1))).collect()
    }
}
