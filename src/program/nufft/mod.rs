//! The non-uniform Fourier transform as one node: kept whole until a program is scheduled, so that NUFFTᴴ·W·NUFFT can be
//! recognised; then expanded into apodisation, padding, FFT and interpolation.

mod accuracy;
mod expand;
mod hermitian;
mod mixing;
mod toeplitz;

pub use accuracy::{Accuracy, Size};
pub(crate) use expand::expand;
pub(crate) use mixing::Mixing;
pub(crate) use toeplitz::{Inner, ToeplitzChoice};

use super::builder::identity_axes;
use super::points::{Footprint, Profile};
use super::{AxisMap, Builder, Constant, ConstantData, MapAxis, Points, ValueId};
use crate::error::{Result, shape_err, value_err};
use std::f64::consts::PI;
use std::sync::{Arc, OnceLock};

/// Points of k-space in cycles per field of view over an image of 1 to 3 axes, and how exact the sums over it shall be.
/// Shared by handle; equal when it is the same.
#[derive(Clone)]
pub struct Nufft(Arc<Held>);

struct Held {
    image: Vec<usize>,
    samples: Vec<usize>,
    locs: Vec<f64>,
    size: Size,
    toeplitz: Option<bool>,
    prepared: OnceLock<Result<Prepared>>,
}

/// What the expansion is made of.
#[derive(Clone)]
struct Prepared {
    points: Points,
    /// One over the kernel's transform, for each axis of the image; with the scale of the whole.
    apodisation: Vec<Constant>,
}

impl Nufft {
    /// `locs` holds one component for each axis of the image, point after point in C order of `samples`.
    ///
    /// # Errors
    /// Coordinates that are not finite, too many points, an accuracy that float32 or the kernel cannot give.
    pub fn new(
        image: &[usize],
        samples: &[usize],
        locs: Vec<f64>,
        accuracy: Accuracy,
        toeplitz: Option<bool>,
    ) -> Result<Nufft> {
        let d = image.len();
        if !(1..=3).contains(&d) {
            return shape_err!("a transform along {d} axes; expected 1, 2 or 3");
        }
        let count: usize = samples.iter().product();
        if count * d != locs.len() || count == 0 {
            return shape_err!("{} coordinates for samples {samples:?} of {d} components", locs.len());
        }
        super::points::check_count(count)?;
        if let Some(at) = locs.iter().position(|x| !x.is_finite()) {
            return value_err!(
                "component {} of the location of point {} is {}; expected a finite number of cycles per field of view",
                at % d,
                at / d,
                locs[at]
            );
        }
        let size = accuracy.size(image, count)?;
        let (image, samples) = (image.to_vec(), samples.to_vec());
        Ok(Nufft(Arc::new(Held { image, samples, locs, size, toeplitz, prepared: OnceLock::new() })))
    }

    /// Extents of the image.
    pub fn image(&self) -> &[usize] {
        &self.0.image
    }

    /// Extents of the samples.
    pub fn samples(&self) -> &[usize] {
        &self.0.samples
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.0.samples.iter().product()
    }

    /// Kernel width and oversampled grid.
    pub fn size(&self) -> &Size {
        &self.0.size
    }

    /// Relative l2 error that it may have.
    pub fn error(&self) -> f64 {
        self.0.size.error(&self.0.image)
    }

    fn prepared(&self) -> Result<&Prepared> {
        let Held { image, locs, size, prepared, .. } = &*self.0;
        prepared.get_or_init(|| Prepared::new(image, locs, size)).as_ref().map_err(Clone::clone)
    }

    /// Bytes of its coordinates, and of what has been prepared.
    pub fn bytes(&self) -> u64 {
        let prepared = self.0.prepared.get().and_then(|p| p.as_ref().ok());
        8 * self.0.locs.len() as u64 + prepared.map_or(0, |p| p.points.bytes())
    }

    /// The forward, in primitives; the last axes of x are the image's.
    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let Prepared { points, apodisation } = self.prepared()?;
        let (image, grid) = (&self.0.image, &self.0.size.grid);
        let batch = b.extents(x).len() - image.len();
        let mut v = x;
        for (a, w) in apodisation.iter().enumerate() {
            v = b.mul(v, w.clone(), vec![batch + a], false)?;
        }
        let (mut padded, mut extents) = (identity_axes(b.extents(v)), b.extents(v).to_vec());
        for a in 0..image.len() {
            // Index N/2 of the image is index P/2 of the grid.
            let off = (image[a] / 2) as i64 - (grid[a] / 2) as i64;
            padded[batch + a] = MapAxis::From(batch + a, AxisMap::affine(1, off, 1, image[a], grid[a]));
            extents[batch + a] = grid[a];
        }
        v = b.map(v, padded, extents)?;
        let axes: Vec<usize> = (batch..batch + image.len()).collect();
        v = b.fft(v, &axes, false, true, 1.0)?;
        v = b.interpolate(v, points.clone())?;
        let mut extents = b.extents(v)[..batch].to_vec();
        extents.extend(&self.0.samples);
        b.reshape(v, extents)
    }

    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl Prepared {
    fn new(image: &[usize], locs: &[f64], size: &Size) -> Result<Prepared> {
        let d = image.len();
        let (w, grid) = (size.width, &size.grid);
        let windows = size.windows(image);
        let profile = windows.iter().map(Profile::window).collect();
        // The right edge is left out: a point on a cell would need one cell more for two values of nearly nothing.
        let footprint = Footprint { width: vec![w; d], profile, radial: false, circular: true, closed: false };
        let cells: Vec<f64> = locs
            .iter()
            .enumerate()
            .map(|(i, k)| {
                let (n, p) = (image[i % d] as f64, grid[i % d] as f64);
                // k is periodic with N; reduced first, it keeps its digits.
                let k = k - n * (k / n).round();
                k * p / n + (grid[i % d] / 2) as f64
            })
            .collect();
        let points = Points::new(&cells, grid, &footprint)?;
        let apodisation = windows.iter().enumerate().map(|(a, window)| {
            let (n, p) = (image[a], grid[a] as f64);
            let value = |i: usize| {
                let omega = PI * w * (i as f64 - (n / 2) as f64) / p;
                1.0 / (w / 2.0 * window.transform(omega) * (n as f64).sqrt())
            };
            Constant::new(vec![n], ConstantData::F32((0..n).map(|i| value(i) as f32).collect()))
        });
        Ok(Prepared { points, apodisation: apodisation.collect::<Result<_>>()? })
    }
}

impl PartialEq for Nufft {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl std::fmt::Debug for Nufft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { width, grid } = &self.0.size;
        write!(f, "{} points of {:?}, width {width}, grid {grid:?}", self.count(), self.0.image)
    }
}
