//! The non-uniform Fourier transform as one node: kept whole until a program is planned, so that NUFFTᴴ·W·NUFFT can be
//! recognised; then expanded into apodisation, padding, FFT and interpolation.
//!
//! | file | holds |
//! |---|---|
//! | `accuracy` | how wide the kernel and how fine the grid must be |
//! | `direct` | the sum as it is written, for few points and small images |
//! | `normal` | the adjoint after weights after the transform |
//! | `choice` | whether that is a convolution |
//! | `toeplitz`, `hermitian` | that convolution, also where it mixes coils |
//! | `eigenvalues` | what it multiplies by |
//! | `mixing` | what stands between, as a matrix for each sample |

mod accuracy;
mod choice;
mod direct;
mod eigenvalues;
mod hermitian;
mod mixing;
mod normal;
mod toeplitz;

pub use accuracy::Accuracy;
pub(crate) use choice::Convolve;
pub(crate) use accuracy::{FACTORS, Size, grid_above, width_reaching};
pub(crate) use direct::{sums, tables};

use accuracy::Way;

use super::Sample;
use crate::access::{AxisMap, Constant, ConstantData, MapAxis, ValueId, identity_axes};
use crate::error::{Error, Result, shape_err, value_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Program, Stack, Sweep};
use crate::kept::Made;
use crate::plan::Target;
use crate::points::{Footprint, Points, Profile, check_count};
use std::f64::consts::PI;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// The transform, or its adjoint: the last axes of x are the image's, the last axes of y the samples'.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NufftOp {
    nufft: Nufft,
    adjoint: bool,
}

impl Builder {
    /// Non-uniform Fourier transform of the image that the last axes of x are; its samples' axes come last.
    ///
    /// # Errors
    /// The last axes are not the image's.
    pub(crate) fn nufft(&mut self, x: ValueId, nufft: Nufft) -> Result<ValueId> {
        self.apply(x, NufftOp { nufft, adjoint: false })
    }
}

impl NufftOp {
    /// The axes that leave, and those that come.
    fn ends(&self) -> (&[usize], &[usize]) {
        let (image, samples) = (self.nufft.image(), self.nufft.samples());
        if self.adjoint { (samples, image) } else { (image, samples) }
    }
}

impl Primitive for NufftOp {
    fn describe(&self) -> String {
        format!("nufft{} {:?}", if self.adjoint { " adjoint" } else { "" }, self.nufft)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (self.adjoint, self.nufft.address()).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (leave, come) = self.ends();
        match input.strip_suffix(leave) {
            Some(batch) => Ok(batch.iter().chain(come).copied().collect()),
            None => shape_err!("{leave:?} are not the last of the extents {input:?}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, NufftOp { adjoint: !self.adjoint, ..self.clone() })
    }

    /// It works on the last axes, whatever stands in front.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(self.clone()) as Arc<dyn Primitive>)
    }

    /// Some of the samples.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let own = self.clone();
        let batch = input.len() - self.ends().0.len();
        if axis < batch {
            return Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())));
        }
        if self.adjoint {
            return shape_err!(
                "an adjoint non-uniform transform makes every pixel of all samples; split the samples, or a dim in front"
            );
        }
        let nufft = self.nufft.narrowed(axis - batch, range)?;
        Ok(Narrowed::of(Part::Whole, move |b, x| b.nufft(x, nufft.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
        if self.adjoint { normal::after_the_transform(&self.nufft, s, x) } else { Ok(None) }
    }

    fn expand(&self, b: &mut Builder, x: ValueId) -> Result<Option<ValueId>> {
        if !self.adjoint {
            return self.nufft.forward(b, x).map(Some);
        }
        let adjoint = self.nufft.program(&self.extents(b.extents(x))?)?.transpose()?;
        b.inline(&adjoint, x).map(Some)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        self.nufft.error()
    }

    fn lower(&self, _: &mut dyn Lowering, _: &Lowered) -> Result<Lowered> {
        Err(Error::Shape(format!("{} is planned by what it expands to", self.describe())))
    }
}

/// Points of k-space in cycles per field of view over an image of 1 to 3 axes, and how exact the sums over it shall be.
/// Shared by handle; equal when it is the same.
#[derive(Clone)]
pub struct Nufft(Arc<Held>);

struct Held {
    image: Vec<usize>,
    samples: Vec<usize>,
    locs: Vec<f64>,
    way: Way,
    toeplitz: Convolve,
    prepared: Made<Expansion>,
}

/// What the expansion is made of.
enum Expansion {
    Grid(Prepared),
    /// Tables of exponentials, one for each axis.
    Direct(Vec<Constant>),
}

/// What the expansion over a grid is made of.
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
        toeplitz: impl Into<Convolve>,
    ) -> Result<Nufft> {
        let d = image.len();
        if !(1..=3).contains(&d) {
            return shape_err!("a transform along {d} axes; expected 1, 2 or 3");
        }
        let count: usize = samples.iter().product();
        if count * d != locs.len() || count == 0 {
            return shape_err!("{} coordinates for samples {samples:?} of {d} components", locs.len());
        }
        check_count(count)?;
        if let Some(at) = locs.iter().position(|x| !x.is_finite()) {
            return value_err!(
                "component {} of the location of point {} is {}; expected a finite number of cycles per field of view",
                at % d,
                at / d,
                locs[at]
            );
        }
        let way = accuracy.way(image, count)?;
        let (image, samples) = (image.to_vec(), samples.to_vec());
        Ok(Nufft(Arc::new(Held { image, samples, locs, way, toeplitz: toeplitz.into(), prepared: Made::new() })))
    }

    /// Extents of the image.
    pub fn image(&self) -> &[usize] {
        &self.0.image
    }

    /// Extents of the samples.
    pub fn samples(&self) -> &[usize] {
        &self.0.samples
    }

    /// The coordinates, point after point.
    pub fn locs(&self) -> &[f64] {
        &self.0.locs
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.0.samples.iter().product()
    }

    /// Relative l2 error that it may have.
    pub fn error(&self) -> f64 {
        match &self.0.way {
            Way::Grid(size) => size.error(&self.0.image),
            Way::Direct => 0.0,
        }
    }

    /// The samples in `range` of one of their axes, in the same way.
    fn narrowed(&self, axis: usize, range: &Range<usize>) -> Result<Nufft> {
        let Held { image, samples, locs, way, toeplitz, .. } = &*self.0;
        let inner = samples[axis + 1..].iter().product::<usize>() * image.len();
        let lines = locs.chunks_exact(samples[axis] * inner);
        let locs = lines.flat_map(|line| &line[range.start * inner..range.end * inner]).copied().collect();
        let mut samples = samples.clone();
        samples[axis] = range.len();
        let (image, way) = (image.clone(), way.clone());
        Ok(Nufft(Arc::new(Held { image, samples, locs, way, toeplitz: *toeplitz, prepared: Made::new() })))
    }

    fn prepared(&self) -> Result<&Expansion> {
        let Held { image, locs, way, prepared, .. } = &*self.0;
        prepared.get_or_try(|| match way {
            Way::Grid(size) => Prepared::new(image, locs, size).map(Expansion::Grid),
            Way::Direct => tables(locs, image).map(Expansion::Direct),
        })
    }

    /// The forward as a program, for an input of these extents.
    fn program(&self, extents: &[usize]) -> Result<Program> {
        let mut b = Builder::new(extents);
        let y = self.forward(&mut b, ValueId::INPUT)?;
        b.finish(y)
    }

    /// The forward, in primitives; the last axes of x are the image's.
    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let image = &self.0.image;
        let batch = b.extents(x).len() - image.len();
        let v = match self.prepared()? {
            Expansion::Grid(prepared) => self.by_grid(b, x, prepared)?,
            Expansion::Direct(tables) => sums(b, x, tables, image)?,
        };
        let mut extents = b.extents(v)[..batch].to_vec();
        extents.extend(&self.0.samples);
        b.reshape(v, extents)
    }

    /// Apodised, padded, transformed, interpolated.
    fn by_grid(&self, b: &mut Builder, x: ValueId, prepared: &Prepared) -> Result<ValueId> {
        let Prepared { points, apodisation } = prepared;
        let (image, grid) = (&self.0.image, points.grid());
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
        b.interpolate(v, points.clone())
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
        write!(f, "{} points of {:?}, ", self.count(), self.0.image)?;
        match &self.0.way {
            Way::Grid(Size { width, grid }) => write!(f, "width {width}, grid {grid:?}"),
            Way::Direct => write!(f, "summed directly"),
        }
    }
}

/// The non-uniform transforms of a program, each once; those of which it has the adjoint alone do not count.
pub(crate) fn transforms(p: &Program) -> Vec<Nufft> {
    let mut all: Vec<Nufft> = Vec::new();
    p.visit(&mut |n| {
        if let Some(NufftOp { nufft, adjoint: false }) = n.op.of_type()
            && !all.contains(nufft)
        {
            all.push(nufft.clone());
        }
    });
    all
}

/// What shows that non-uniform transforms work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let locs = (0..240).map(|i| f64::from(i * 53 % 201) * 0.05 - 5.0).collect();
    let nufft = Nufft::new(&[10, 12], &[120], locs, Accuracy::Tol(1e-4), Some(false))?;
    Ok(vec![Sample::of("non-uniform transforms", &[2, 10, 12], |b| b.nufft(ValueId::INPUT, nufft))?])
}
