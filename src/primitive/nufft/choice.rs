//! Whether the normal of a transform is a convolution: by what both ways take.

use super::Nufft;
use crate::error::{Error, Result};
use crate::primitive::fft::next_smooth;

/// Whether the normal shall be a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Convolve {
    /// Where it takes less.
    Cheaper,
    Always,
    Never,
    /// Never: what stands around the transform makes this of its error.
    Inexact(f64),
}

impl From<Option<bool>> for Convolve {
    fn from(asked: Option<bool>) -> Convolve {
        match asked {
            None => Convolve::Cheaper,
            Some(true) => Convolve::Always,
            Some(false) => Convolve::Never,
        }
    }
}

/// Bytes of the convolution's kernel, at most, where nobody has asked for it.
const MOST_BYTES: f64 = (1u64 << 30) as f64;
/// The same where somebody has.
const MOST_ASKED: f64 = (1u64 << 36) as f64;

/// Bytes that a convolution may take whatever the pair of transforms takes.
const SMALL: f64 = (64u64 << 20) as f64;
/// How many times the bytes of the pair it may take beyond, for each batch entry that is mixed: a volume of few points takes 4 and
/// more, images and scans of many points take less.
const MOST_TIMES: f64 = 4.0;

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
    /// It takes so many times the memory of the pair.
    Wasteful(f64),
    /// Its error would be this one.
    Inexact(f64),
}

impl NormalChoice {
    pub fn is_convolution(self) -> bool {
        match self {
            NormalChoice::Asked(choice) => choice,
            NormalChoice::Compared(ratio) => ratio < 1.0,
            NormalChoice::TooLarge | NormalChoice::Wasteful(_) | NormalChoice::Inexact(_) => false,
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
            NormalChoice::Wasteful(times) => {
                format!("a convolution on {grid} takes about {times:.0} times the memory of transform and adjoint")
            }
            NormalChoice::Inexact(error) => {
                format!("a convolution on {grid} would have an error of {error:.0e}, by the weights between")
            }
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
        match self.0.toeplitz {
            Convolve::Always if bytes > MOST_ASKED => {
                let what = format!("the kernel of a convolution on {:?} (toeplitz)", self.doubled());
                return Err(Error::TooBig { what, needed: bytes as u64, limit: MOST_ASKED as u64 });
            }
            Convolve::Always => return Ok(NormalChoice::Asked(true)),
            Convolve::Never => return Ok(NormalChoice::Asked(false)),
            Convolve::Inexact(error) => return Ok(NormalChoice::Inexact(error)),
            Convolve::Cheaper => {}
        }
        if bytes > MOST_BYTES {
            return Ok(NormalChoice::TooLarge);
        }
        // Beside the kernel, the padded values and their spectrum; beside the pair's grid, the image and the points.
        let (convolved, pair) = (bytes + 8.0 * order * cells, order * self.0.way.bytes(&self.0.image, self.count()));
        if convolved > SMALL && convolved > MOST_TIMES * order * pair {
            return Ok(NormalChoice::Wasteful(convolved / pair));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::nufft::Accuracy;

    #[test]
    fn a_volume_of_few_points_is_not_worth_a_convolution() {
        let choice = |image: &[usize], points: usize, order: usize, accuracy: Accuracy| {
            let locs = (0..points * image.len()).map(|i| (i % 31) as f64 - 15.3).collect();
            let nufft = Nufft::new(image, &[points], locs, accuracy, None).unwrap();
            let choice = nufft.normal_choice(order).unwrap();
            (choice.is_convolution(), choice.reason(&nufft))
        };
        let (taken, reason) = choice(&[160, 160, 160], 2, 1, Accuracy::Kernel { width: 4.0, oversamp: 1.25 });
        assert!(!taken && reason.contains("times the memory of transform and adjoint"), "{reason}");
        for (image, points, order) in [(&[160, 160, 160][..], 2_000_000, 1), (&[512, 512], 200_000, 1), (&[256, 256], 200_000, 8)] {
            let (taken, reason) = choice(image, points, order, Accuracy::Tol(1e-4));
            assert!(taken || !reason.contains("memory"), "{image:?}: {reason}");
        }
    }
}
