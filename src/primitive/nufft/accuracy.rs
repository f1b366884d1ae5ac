//! How wide the kernel and how fine the grid must be.

use crate::error::{Result, value_err};
use crate::points::{MAX_WIDTH, Window};
use std::f64::consts::PI;

/// What is asked of a non-uniform transform.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Accuracy {
    /// Relative l2 error of the result and of the adjoint's.
    Tol(f64),
    /// Width of the kernel in cells of the grid, and the grid's size relative to the image.
    Kernel {
        /// At least 1.
        width: f64,
        /// Above 1.
        oversamp: f64,
    },
}

impl Default for Accuracy {
    fn default() -> Self {
        Accuracy::Tol(1e-4)
    }
}

/// Kernel width and oversampled grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Cells that the kernel spans.
    pub width: f64,
    /// Extents of the grid.
    pub grid: Vec<usize>,
}

/// Relative rounding of a number in float32.
const ROUNDING: f64 = 6e-8;

/// Oversampling factors that are weighed against each other.
pub(crate) const FACTORS: [f64; 6] = [1.25, 1.375, 1.5, 1.625, 1.75, 2.0];

impl Accuracy {
    /// The smallest tolerance that float32 reaches.
    pub const LEAST_TOL: f64 = 5e-7;

    /// The cheapest size that is accurate enough, for so many points.
    pub(super) fn size(self, image: &[usize], points: usize) -> Result<Size> {
        match self {
            Accuracy::Tol(tol) => {
                if !(Self::LEAST_TOL..1.0).contains(&tol) {
                    return value_err!("tol is {tol}; expected {:.0e} (what float32 reaches) to 1", Self::LEAST_TOL);
                }
                let size = FACTORS.iter().filter_map(|&s| Size::reaching(tol, s, image, true));
                let best = size.min_by(|a, b| a.cost(points).total_cmp(&b.cost(points)));
                best.map_or_else(|| value_err!("no kernel reaches tol {tol}; use a larger one"), Ok)
            }
            Accuracy::Kernel { width, oversamp } => {
                if !(1.0..=MAX_WIDTH / 2.0).contains(&width) {
                    return value_err!("width is {width}; expected 1 to {}", MAX_WIDTH / 2.0);
                }
                if !(oversamp > 1.0 && oversamp <= 8.0) {
                    return value_err!("oversamp is {oversamp}; expected more than 1, at most 8");
                }
                let size = Size { width, grid: image.iter().map(|&n| grid(n, oversamp)).collect() };
                size.expect_gain(image)?;
                Ok(size)
            }
        }
    }
}

/// At least ⌊σN⌋ cells and more than N: the next length that is even and has no prime factor above 5.
fn grid(n: usize, sigma: f64) -> usize {
    let least = ((sigma * n as f64 + 1e-9).floor() as usize).max(n + 1);
    grid_above(least)
}

/// The narrowest kernel that reaches a tolerance along so many axes on a grid of this factor, if there is one: see
/// [`Size::reaching`].
pub(crate) fn width_reaching(tol: f64, sigma: f64, axes: usize, narrow: bool) -> Option<f64> {
    let t = 0.24 * 1.4f64.powi(axes as i32 - 1);
    let width = ((t / tol).ln() / (PI * (1.0 - 1.0 / sigma).sqrt()) + 1.0).ceil().max(2.0);
    let most = if !narrow {
        16.0
    } else if sigma < 1.4 {
        8.0
    } else {
        10.0
    };
    (width <= most).then_some(width)
}

/// The next length that is even and has no prime factor above 5.
pub(crate) fn grid_above(least: usize) -> usize {
    let smooth = |mut n: usize| {
        for p in [2, 3, 5] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    (least..).find(|&m| m.is_multiple_of(2) && smooth(m)).unwrap_or(least)
}

impl Size {
    /// The narrowest kernel that reaches a tolerance on a grid of this factor or finer: w = ln(t/tol)/(π√(1 − 1/σ)) + 1 is
    /// FINUFFT's law for prolate kernels; t = 0.24·1.4^(D−1) fits the l2 error of [`Window`] at random points. Wide kernels
    /// on coarse grids cancel more digits than `narrow` (float32) has.
    pub(super) fn reaching(tol: f64, sigma: f64, image: &[usize], narrow: bool) -> Option<Size> {
        let grid: Vec<usize> = image.iter().map(|&n| grid(n, sigma)).collect();
        let least = image.iter().zip(&grid).map(|(&n, &p)| p as f64 / n as f64).fold(f64::INFINITY, f64::min);
        width_reaching(tol, least, image.len(), narrow).map(|width| Size { width, grid })
    }

    /// Relative l2 error that a transform of an image may have.
    pub(super) fn error(&self, image: &[usize]) -> f64 {
        let sigma = image.iter().zip(&self.grid).map(|(&n, &p)| p as f64 / n as f64).fold(f64::INFINITY, f64::min);
        let t = 0.24 * 1.4f64.powi(image.len() as i32 - 1);
        t * (-PI * (self.width - 1.0) * (1.0 - 1.0 / sigma).sqrt()).exp()
    }

    /// A kernel so wide that it loses digits is refused: on a coarse grid most of what a wide kernel sums cancels, and the
    /// rounding of it stays.
    fn expect_gain(&self, image: &[usize]) -> Result<()> {
        let digits = |width: f64| {
            let size = Size { width, ..self.clone() };
            let cancelled: f64 = size.windows(image).iter().map(Window::cancellation).product();
            (size.error(image), ROUNDING * cancelled)
        };
        let (error, rounding) = digits(self.width);
        if rounding <= error {
            return Ok(());
        }
        let narrower = (2..self.width.ceil() as u32).map(f64::from).map(|w| {
            let (error, rounding) = digits(w);
            (w, error + rounding)
        });
        let Some((best, least)) = narrower.min_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(()) };
        if error + rounding <= 2.0 * least {
            return Ok(());
        }
        value_err!(
            "width is {} on a grid of {:?} for an image of {image:?}: so wide a kernel loses more digits in float32 than it \
             gains (an error of {:.0e}); take width {best} ({least:.0e}), or a larger oversamp",
            self.width,
            self.grid,
            error + rounding
        )
    }

    /// Nominal operations of one transform: those of the FFT move more memory than those of the footprints.
    pub(super) fn cost(&self, points: usize) -> f64 {
        let cells: f64 = self.grid.iter().map(|&n| n as f64).product();
        let taps = self.width.ceil().powi(self.grid.len() as i32);
        cells * (4.0 * cells.log2() + 20.0) + points as f64 * (2.0 * taps + 30.0)
    }

    /// Bytes that one transform takes, roughly: grid, image, and what is held of each point.
    pub(super) fn bytes(&self, image: &[usize], points: usize) -> f64 {
        let product = |n: &[usize]| n.iter().map(|&n| n as f64).product::<f64>();
        let point = 4.0 * image.len() as f64 * (self.width + 2.0) + 16.0;
        8.0 * (product(&self.grid) + product(image)) + point * points as f64
    }

    /// The kernel along each axis.
    pub(super) fn windows(&self, image: &[usize]) -> Vec<Window> {
        let sigma = |a: usize| self.grid[a] as f64 / image[a] as f64;
        let mut windows: Vec<Window> = Vec::new();
        for a in 0..image.len() {
            let same = (0..a).find(|&b| sigma(b) == sigma(a));
            windows.push(same.map_or_else(|| Window::new(self.width, sigma(a)), |b| windows[b].clone()));
        }
        windows
    }
}
