//! Between a grid and points: interpolation, and its transpose that spreads points onto the grid.
//!
//! | file | holds |
//! |---|---|
//! | `weights` | where a kernel takes weights from |
//! | `host`, `grid`, `from_grid`, `to_grid` | the kernels on the host, tile by tile |
//! | `taps`, `horner` | their inner loops |
//! | `gpu` | the kernels on a GPU |

mod from_grid;
mod gpu;
mod grid;
mod horner;
mod host;
mod taps;
mod to_grid;
mod weights;

#[cfg(feature = "gpu")]
pub(crate) use gpu::variants;

use super::{Sample, scale_reads};
use crate::access::{Constant, Load, Post, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use crate::points::{Footprint, Points, Profile, Weights};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Batch entries (coils) that one pass over the points handles: their weights are computed once.
const BLOCK: usize = 8;

/// `y[b, m] = Σ w·x[b, cell]` over the footprint of point m; the last axes of x are the grid's, the last axis of y counts the
/// points. Or the transpose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Interpolate {
    points: Points,
    spreads: bool,
}

impl Builder {
    /// Interpolates the grid that the last axes of x are; they leave, and one that counts the points comes last.
    ///
    /// # Errors
    /// The last axes are not the grid's.
    pub(crate) fn interpolate(&mut self, x: ValueId, points: Points) -> Result<ValueId> {
        self.apply(x, Interpolate { points, spreads: false })
    }

    /// The transpose of [`interpolate`](Builder::interpolate).
    ///
    /// # Errors
    /// The last axis does not count the points.
    pub(crate) fn spread(&mut self, x: ValueId, points: Points) -> Result<ValueId> {
        self.apply(x, Interpolate { points, spreads: true })
    }
}

impl Interpolate {
    /// The axes that leave, and those that come.
    fn ends(&self) -> (Vec<usize>, Vec<usize>) {
        let (grid, points) = (self.points.grid().to_vec(), vec![self.points.count()]);
        if self.spreads { (points, grid) } else { (grid, points) }
    }
}

impl Primitive for Interpolate {
    fn describe(&self) -> String {
        format!("{} {:?}", if self.spreads { "spread" } else { "interpolate" }, self.points)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (self.spreads, self.points.address()).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (leave, come) = self.ends();
        match input.strip_suffix(&leave[..]) {
            Some(batch) => Ok(batch.iter().copied().chain(come).collect()),
            None => shape_err!("{leave:?} are not the last of the extents {input:?}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Interpolate { spreads: !self.spreads, ..self.clone() })
    }

    /// It works on the last axes, whatever stands in front.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(self.clone()) as Arc<dyn Primitive>)
    }

    /// Some of the points.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let own = self.clone();
        if axis < input.len() - self.ends().0.len() {
            return Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())));
        }
        if self.spreads {
            return shape_err!("points are spread over all of a grid; split the points, or a dim in front");
        }
        let points = self.points.subset(range);
        Ok(Narrowed::of(Part::Whole, move |b, x| b.interpolate(x, points.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
    }

    fn fold(&self, _: &mut Sweep, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let (leave, _) = self.ends();
        let batch = x.extents[..x.extents.len() - leave.len()].iter().product();
        let want: Vec<usize> = std::iter::once(batch).chain(leave).collect();
        let Some(load) = x.load().reshaped(&want) else { return shape_err!("{:?} has no batch in front", x.extents) };
        let weights = weights::chosen(to, batch, &self.points, self.spreads);
        if weights == Weights::Table {
            // Made now, not by the first apply.
            self.points.weights();
        }
        let kernel = InterpolateKernel { load, points: self.points.clone(), weights, spreads: self.spreads };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &self.extents(&x.extents)?, x.complex))
    }
}

/// Reads (batch, grid…), or (batch, points) where it spreads.
#[derive(Clone, Debug)]
struct InterpolateKernel {
    load: Load,
    points: Points,
    /// Where weights come from.
    weights: Weights,
    spreads: bool,
}

impl InterpolateKernel {
    /// Elements of one batch entry of the result.
    fn row(&self) -> usize {
        if self.spreads { self.points.grid().iter().product() } else { self.points.count() }
    }
}

impl Kernel for InterpolateKernel {
    fn name(&self) -> &'static str {
        if self.spreads { "spread" } else { "interpolate" }
    }

    fn details(&self) -> String {
        let from = match self.weights {
            Weights::Table => "a table",
            Weights::Polynomials => "polynomials",
        };
        format!(" {:?}, weights from {from}", self.points)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.row()
    }

    fn work(&self) -> Work {
        let (batch, points) = (self.load.extents[0], &self.points);
        let taps: usize = points.taps().iter().product();
        let mut flops = 4 * (batch * points.count() * taps) as u64;
        if let (Weights::Polynomials, Some(p)) = (self.weights, points.polynomials()) {
            // Once for each block of the batch.
            let each: usize = p.pieces.iter().map(|p| 2 * p.terms() * p.taps()).sum();
            flops += (batch.div_ceil(BLOCK) * points.count() * each) as u64;
        }
        Work { flops, read: points.read_bytes(self.weights) }
    }

    fn held(&self) -> Vec<Held<'_>> {
        // An interpolation also puts results into the caller's order.
        let places = if self.spreads { 0 } else { size_of_val(self.points.places()) as u64 };
        let bytes = self.points.bytes_with(self.weights) + self.points.tiles().bytes() + places;
        vec![Held::Data { address: self.points.address(), bytes }]
    }

    /// Kernels on a GPU have lists to bind beside the read.
    fn takes(&self, load: &Load, target: &Target) -> bool {
        target.is_host() || load.factors.len() <= 1
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        scale_reads(std::slice::from_mut(&mut self.load), after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    /// On the host the samples of one block side by side, on a GPU the sums of heavy tiles' parts.
    fn scratch(&self, complex: bool, target: &Target) -> Option<Scratch> {
        let batch = self.load.extents[0];
        match target {
            Target::Host => Some(Scratch { extents: vec![self.points.count(), batch.min(BLOCK)], complex }),
            Target::Gpu(limits) => {
                let slots = if self.spreads { gpu::parts(&self.points, limits).slots } else { 0 };
                let extents = vec![batch, slots, self.points.bins().cells()];
                (slots > 0).then_some(Scratch { extents, complex })
            }
        }
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

/// What shows that interpolations and spreads work on a device: with weights from a table and from polynomials.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let locs: Vec<f64> = (0..600).map(|i| f64::from(i * 37 % 401) * 0.06 - 1.0).collect();
    let of = |profile: Profile, width: f64| {
        let profile = vec![profile.clone(), profile];
        let spread = Footprint { width: vec![width; 2], profile, radial: false, circular: true, closed: false };
        Points::new(&locs, &[20, 24], &spread)
    };
    let (smooth, corners) = (of(Profile::kaiser_bessel(7.0), 4.0)?, of(Profile::Spline(1), 3.5)?);
    let x = ValueId::INPUT;
    Ok(vec![
        Sample::of("interpolations", &[3, 20, 24], |b| b.interpolate(x, smooth.clone()))?,
        Sample::of("spreads", &[3, 300], |b| b.spread(x, smooth))?,
        Sample::of("interpolations from tables", &[3, 20, 24], |b| b.interpolate(x, corners.clone()))?,
        Sample::of("spreads from tables", &[3, 300], |b| b.spread(x, corners))?,
    ])
}
