//! Projections: the sums of an image along the rays of a scan, and the sums over all rays of a pixel.
//!
//! | file | holds |
//! |---|---|
//! | `geometry` | where source and detector stand |
//! | `scan` | a geometry for one image, in f64 |
//! | `rays` | rays as Joseph's method walks them, in whole numbers |
//! | `pixels` | pixels as they fall onto the detector, in whole numbers |
//! | `host`, `gpu` | the kernels |
//!
//! There are two models. *Rays*: a ray is walked pixel by pixel; its transpose gives a pixel what each ray has taken of it. That is
//! the projection, and its matched adjoint. *Pixels*: a pixel samples each view at the place that it falls onto, weighted by 1/D²:
//! the back-projection of filtered data, which is smoother; its transpose spreads a pixel onto two detector pixels.

mod geometry;
mod gpu;
mod host;
mod pixels;
mod rays;
mod scan;

pub use geometry::{Beam, Geometry};
pub use scan::Scan;

use super::{Sample, scale_reads};
use crate::access::{AxisIndex, Constant, Load, Post, ValueId};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Held, Kernel, Scratch, StepKernel, Target, Work};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// How a scan is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Model {
    /// By its rays.
    Rays,
    /// By where pixels fall.
    Pixels,
}

/// From an image, the last axes of x, to (views, rows, detectors); or back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    scan: Scan,
    model: Model,
    back: bool,
}

impl Builder {
    /// Ray integrals of the image that the last axes of x are.
    ///
    /// # Errors
    /// The last axes are not the scan's image.
    pub(crate) fn project(&mut self, x: ValueId, scan: Scan) -> Result<ValueId> {
        self.apply(x, Project { scan, model: Model::Rays, back: false })
    }

    /// What pixels sample of the views that the last axes of x are.
    ///
    /// # Errors
    /// The last axes are not the scan's data.
    pub(crate) fn sample_views(&mut self, x: ValueId, scan: Scan) -> Result<ValueId> {
        self.apply(x, Project { scan, model: Model::Pixels, back: true })
    }
}

impl Project {
    /// The axes that leave, and those that come.
    fn ends(&self) -> (Vec<usize>, Vec<usize>) {
        let (image, data) = (self.scan.image_extents(), self.scan.geometry().data());
        if self.back { (data, image) } else { (image, data) }
    }
}

impl Primitive for Project {
    fn describe(&self) -> String {
        format!("{} {:?}", name(self.model, self.back), self.scan)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (self.model, self.back, self.scan.address()).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (leave, come) = self.ends();
        match input.strip_suffix(&leave[..]) {
            Some(batch) => Ok(batch.iter().copied().chain(come).collect()),
            None => shape_err!("{leave:?} are not the last of the extents {input:?}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Project { back: !self.back, ..self.clone() })
    }

    /// It works on the last axes, whatever stands in front.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(self.clone()) as Arc<dyn Primitive>)
    }

    /// Some of the views.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let batch = input.len() - self.ends().0.len();
        let own = self.clone();
        if axis < batch {
            return Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())));
        }
        if self.back || axis > batch {
            return shape_err!("rays cross the whole image, and pixels are seen in all views: split the angles, or a dim in front");
        }
        let own = Project { scan: self.scan.narrowed(range)?, ..own };
        Ok(Narrowed::of(Part::Whole, move |b, x| b.apply(x, own.clone())))
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
        let entry: usize = leave.iter().product();
        let batch = x.extents.iter().product::<usize>() / entry;
        let Some(load) = x.load().reshaped(&[batch, entry]) else { return shape_err!("{:?} has no batch in front", x.extents) };
        if self.model == Model::Rays {
            // Made now, not by the first apply.
            self.scan.rays();
        }
        let kernel = ProjectKernel { load, scan: self.scan.clone(), model: self.model, back: self.back };
        Ok(to.step(StepKernel::on(kernel, &to.target()), &self.extents(&x.extents)?, x.complex))
    }
}

fn name(model: Model, back: bool) -> &'static str {
    match (model, back) {
        (Model::Rays, false) => "project",
        (Model::Rays, true) => "back-project",
        (Model::Pixels, true) => "sample views",
        (Model::Pixels, false) => "spread pixels",
    }
}

/// Reads (batch, image), or (batch, data) where it goes back.
#[derive(Clone, Debug)]
struct ProjectKernel {
    load: Load,
    scan: Scan,
    model: Model,
    back: bool,
}

impl ProjectKernel {
    /// Elements of one batch entry of the result.
    fn row(&self) -> usize {
        let (image, data) = (self.scan.image().iter().product(), self.scan.geometry().data().iter().product());
        if self.back { image } else { data }
    }

    /// Steps that take two or four values each: of a ray, or of a pixel through all views.
    fn steps(&self) -> usize {
        let (g, image) = (self.scan.geometry(), self.scan.image());
        match self.model {
            Model::Rays => g.angles.len() * g.rows * g.detectors * image[1].max(image[2]),
            Model::Pixels => g.angles.len() * image.iter().product::<usize>(),
        }
    }
}

impl Kernel for ProjectKernel {
    fn name(&self) -> &'static str {
        name(self.model, self.back)
    }

    fn details(&self) -> String {
        format!(" {:?}", self.scan)
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
        let taps = if self.scan.geometry().is_volume() { 4 } else { 2 };
        let flops = (4 * taps * self.steps() as u64).saturating_mul(self.load.extents[0] as u64);
        let read = match self.model {
            Model::Rays => size_of_val(&self.scan.rays()[..]),
            Model::Pixels => self.scan.geometry().angles.len() * scan::VIEW * size_of::<u32>(),
        };
        Work { flops, read: read as u64 }
    }

    fn held(&self) -> Vec<Held<'_>> {
        let list = |list: &Arc<Vec<u32>>| Held::Data {
            address: Arc::as_ptr(list) as usize,
            bytes: size_of_val(&list[..]) as u64,
        };
        match (self.model, self.back) {
            (Model::Rays, false) => vec![list(self.scan.rays())],
            (Model::Rays, true) => vec![list(self.scan.rays()), list(self.scan.views())],
            (Model::Pixels, _) => vec![list(self.scan.views())],
        }
    }

    /// Every value is read many times: only one stretch of what is stored.
    fn takes(&self, load: &Load, _: &Target) -> bool {
        let flat = load.collapsed();
        let beside = flat.source.axes.iter().all(|a| *a == AxisIndex::Linear { stride: 1 });
        load.only_moves() && load.is_total() && flat.extents.len() < 2 && beside
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        scale_reads(std::slice::from_mut(&mut self.load), after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

/// What shows that projections work on a device: both models, planes and volumes.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let angles: Vec<f64> = (0..9).map(|k| 0.7 * f64::from(k) - 0.3).collect();
    let plane = Geometry::fan(&angles, 13, 30.0, 12.0).center(Some(5.3)).pixel_size(0.9);
    let (flat, plane) = (Scan::new(&Geometry::parallel(&angles, 15), &[11, 8])?, Scan::new(&plane, &[9, 12])?);
    let space = Geometry::cone(&angles[..4], 7, 11, 40.0, 20.0).row_center(Some(2.6));
    let space = Scan::new(&space, &[5, 7, 8])?;
    let x = ValueId::INPUT;
    let back = |scan: &Scan, model| Project { scan: scan.clone(), model, back: true };
    Ok(vec![
        Sample::of("projections", &[6, 9, 12], |b| b.project(x, plane.clone()))?,
        Sample::of("projections of parallel rays", &[11, 8], |b| b.project(x, flat.clone()))?,
        Sample::of("back-projections", &[6, 9, 13], |b| b.apply(x, back(&plane, Model::Rays)))?,
        Sample::of("projections of volumes", &[5, 7, 8], |b| b.project(x, space.clone()))?,
        Sample::of("back-projections to volumes", &[4, 7, 11], |b| b.apply(x, back(&space, Model::Rays)))?,
        Sample::of("sampled views", &[6, 9, 13], |b| b.sample_views(x, plane.clone()))?,
        Sample::of("sampled panels", &[4, 7, 11], |b| b.sample_views(x, space.clone()))?,
        Sample::of("spread pixels", &[6, 9, 12], |b| b.apply(x, Project { back: false, ..back(&plane, Model::Pixels) }))?,
        Sample::of("spread voxels", &[5, 7, 8], |b| b.apply(x, Project { back: false, ..back(&space, Model::Pixels) }))?,
        Sample::of("views of parallel rays", &[9, 15], |b| b.sample_views(x, flat))?,
    ])
}
