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

/// How the transform is computed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Way {
    /// Over a grid.
    Grid(Size),
    /// As the sum that it is.
    Direct,
}

impl Way {
    /// Bytes that one transform takes, roughly.
    pub fn bytes(&self, image: &[usize], points: usize) -> f64 {
        match self {
            Way::Grid(size) => size.bytes(image, points),
            Way::Direct => {
                let pixels: f64 = image.iter().map(|&n| n as f64).product();
                // Factors along each axis, the image and the samples.
                8.0 * (image.iter().sum::<usize>() as f64 * points as f64 + pixels + points as f64)
            }
        }
    }

    /// Nominal operations of one transform.
    pub fn cost(&self, image: &[usize], points: usize) -> f64 {
        match self {
            Way::Grid(size) => size.cost(points),
            Way::Direct => 8.0 * direct_terms(image, points),
        }
    }
}

/// Terms of a direct sum, at most: its tables and what lies between its sums stay small beside a grid's points.
const MOST_TERMS: f64 = (1u64 << 20) as f64;

/// Points, or cells of an image, below which errors are no longer near their mean: that of a result of few numbers, relative to
/// what these happen to be.
const FEW: f64 = 64.0;

fn few(image: &[usize], points: usize) -> f64 {
    (points as f64).min(image.iter().map(|&n| n as f64).product())
}

/// Products of a direct sum over one axis after the other, the longest first.
fn direct_terms(image: &[usize], points: usize) -> f64 {
    let mut image: Vec<f64> = image.iter().map(|&n| n as f64).collect();
    image.sort_by(f64::total_cmp);
    let all = image.iter().scan(1.0, |left, n| {
        *left *= n;
        Some(*left)
    });
    points as f64 * all.sum::<f64>()
}

/// Relative rounding of a number in float32.
const ROUNDING: f64 = 6e-8;

/// Oversampling factors that are weighed against each other.
pub(crate) const FACTORS: [f64; 6] = [1.25, 1.375, 1.5, 1.625, 1.75, 2.0];

impl Accuracy {
    /// The smallest tolerance that float32 reaches.
    pub const LEAST_TOL: f64 = 5e-7;

    /// The cheapest way that is accurate enough, for so many points.
    pub(super) fn way(self, image: &[usize], points: usize) -> Result<Way> {
        match self {
            Accuracy::Tol(tol) => {
                if !(Self::LEAST_TOL..1.0).contains(&tol) {
                    return value_err!("tol is {tol}; expected {:.0e} (what float32 reaches) to 1", Self::LEAST_TOL);
                }
                let few = few(image, points);
                let sizes = FACTORS.iter().filter_map(|&s| Size::within(tol / (1.0 + 16.0 / few), s, image));
                let size = sizes.min_by(|a, b| a.cost(points).total_cmp(&b.cost(points)));
                let terms = direct_terms(image, points);
                if terms <= MOST_TERMS && (few < FEW || size.as_ref().is_none_or(|s| 8.0 * terms <= s.cost(points))) {
                    return Ok(Way::Direct);
                }
                // None is as good: the one that comes nearest.
                let all = || FACTORS.iter().filter_map(|&s| Size::reaching(tol, s, image, true));
                let size = size.or_else(|| all().min_by(|a, b| a.bound(image).total_cmp(&b.bound(image))));
                size.map_or_else(|| value_err!("no kernel reaches tol {tol}; use a larger one"), |s| Ok(Way::Grid(s)))
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
                Ok(Way::Grid(size))
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
    (width <= most_width(sigma, narrow)).then_some(width)
}

/// The widest kernel on a grid of this factor.
fn most_width(sigma: f64, narrow: bool) -> f64 {
    match narrow {
        false => 16.0,
        true if sigma < 1.4 => 8.0,
        true => 10.0,
    }
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

    /// The narrowest kernel that keeps a tolerance for this image, rounding included: see [`bound`](Size::bound).
    fn within(tol: f64, sigma: f64, image: &[usize]) -> Option<Size> {
        let size = Size::reaching(tol, sigma, image, true)?;
        let wider = (0..3).map(|k| Size { width: size.width + f64::from(k), ..size.clone() });
        wider.filter(|s| s.width <= most_width(s.sigma(image), true)).find(|s| s.bound(image) <= tol)
    }

    /// Cells of the grid for each of the image, along the axis where they are fewest.
    fn sigma(&self, image: &[usize]) -> f64 {
        image.iter().zip(&self.grid).map(|(&n, &p)| p as f64 / n as f64).fold(f64::INFINITY, f64::min)
    }

    /// The relative l2 error to be expected with float32: of the kernel, and of rounding.
    ///
    /// Beside the law of [`reaching`](Size::reaching), which is a mean over all frequencies of an image, there is the one at the
    /// edge, −N/2, where a kernel is worst by far: an image of an even extent has it, and a small one little beside it (fitted for
    /// extents from 4 to 32; it is below the law from 64 on). Rounding on the grid is white; it grows by what the kernel's
    /// transform is divided out of, here that of a Kaiser-Bessel kernel.
    fn bound(&self, image: &[usize]) -> f64 {
        let (mut alias, mut rounding) = (0.0, 1.0);
        for (&n, &p) in image.iter().zip(&self.grid) {
            let (w, sigma) = (self.width, p as f64 / n as f64);
            let law = 0.24 * (-PI * (w - 1.0) * (1.0 - 1.0 / sigma).sqrt()).exp();
            let edge = if n.is_multiple_of(2) { 0.43 + 80.0 / (n as f64 * sigma * sigma) } else { 0.0 };
            alias += law * law * edge.max(1.0);
            let beta = PI * w * (1.0 - 0.5 / sigma);
            let transform = |omega: f64| {
                let root = (beta * beta - omega * omega).max(1e-6).sqrt();
                root.sinh() / root
            };
            // All of a small image's frequencies, or as many of a large one's, from −1/2 on.
            let modes = n.min(64);
            let square = |i: usize| {
                let place = i as f64 / modes as f64 - (n / 2) as f64 / n as f64;
                (transform(0.0) / transform(PI * w / sigma * place)).powi(2)
            };
            rounding *= (0..modes).map(square).sum::<f64>() / modes as f64;
        }
        (alias + 0.5 * ROUNDING * ROUNDING * rounding).sqrt()
    }

    /// Relative l2 error that a transform of an image may have.
    pub(super) fn error(&self, image: &[usize]) -> f64 {
        let sigma = self.sigma(image);
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
