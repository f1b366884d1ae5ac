//! The model of a scan: the linop from images to views, what it is given, and filtered back-projection.

use super::defects::Defects;
use super::truncation::{continued, in_air, truncated};
use crate::allocate::expect_room;
use crate::app::scale::{exponent, scaled, scaled_by_power};
use crate::error::{Error, Result, shape_err, value_err};
use crate::linop::{self, Beam, FbpOptions, Geometry, Linop};
use crate::run::Device;
use crate::tensor::Tensor;
use ndarray::{Array3, ArrayD, ArrayView3, Axis, Slice};
use std::f64::consts::PI;

/// A canvas is so many times as large as the image, at most, that it is made for the misfit alone.
const MUCH: f64 = 1.5;

/// The exponent of two beyond which data are too near the end of the range for transforms.
const FAR: i32 = 60;

/// An image is solved for on a canvas so many times as wide, where views end within the object.
const BEYOND: f64 = 2.0;

/// The measured views of an object and what makes an image of them.
///
/// Views are (slice, angle, detector), or (row, angle, detector) of a cone; images (slice, row, column). Solvers work on a canvas
/// around the image that holds all that the rays pass, so that what lies beside a small image stays out of it; where views end within
/// the object, on a larger one.
///
/// ```
/// use linops::app::ct::{Ct, CtMethod, CtOptions};
/// use linops::{Device, linop::{FbpOptions, Geometry}};
/// // A disk of radius 12 and value 0.5.
/// let angles: Vec<f64> = (0..60).map(|k| f64::from(k) * std::f64::consts::PI / 60.0).collect();
/// let chord = |d: usize| (144.0 - (d as f32 - 19.5).powi(2)).max(0.0).sqrt();
/// let views = ndarray::Array3::from_shape_fn((1, 60, 40), |(_, _, d)| chord(d));
/// let ct = Ct::new(views, &Geometry::parallel(&angles, 40), [1, 40, 40])?;
/// let quick = ct.fbp(FbpOptions::default(), &Device::host())?.image;
/// let solved = ct.solve(CtMethod::Cg, CtOptions::default().iterations(20), &Device::host())?.image;
/// assert!((quick[[0, 20, 20]] - 0.5).abs() < 0.05 && (solved[[0, 20, 20]] - 0.5).abs() < 0.05);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ct {
    geometry: Geometry,
    /// (slice, angle, detector), with what stands for defects.
    views: Array3<f32>,
    defects: Defects,
    /// Slices, rows and columns.
    image: [usize; 3],
    canvas: [usize; 3],
    truncated: f64,
    /// W A, from the canvas.
    linop: Linop,
}

impl Ct {
    /// The model of views, for images of so many slices, rows and columns; those of a cone may have any number of slices, others as
    /// many as the views. Defects of the views are looked for, and left out.
    ///
    /// # Errors
    /// The views are not those of the geometry; nothing of them is finite; the image has other slices; or
    /// [`projection`](linop::projection()) refuses the geometry.
    pub fn new(views: Array3<f32>, geometry: &Geometry, image: [usize; 3]) -> Result<Ct> {
        let (slices, angles, detectors) = views.dim();
        let cone = matches!(geometry.beam, Beam::Cone { .. });
        let rows = if cone { slices } else { 1 };
        if (angles, detectors, rows) != (geometry.angles.len(), geometry.detectors, geometry.rows) {
            return shape_err!(
                "views of {slices} slices or rows, {angles} angles and {detectors} detector pixels; the geometry has {} rows, {} angles \
                 and {} pixels",
                geometry.rows,
                geometry.angles.len(),
                geometry.detectors
            );
        }
        if !cone && image[0] != slices {
            return shape_err!("an image of {} slices from views of {slices}; expected as many", image[0]);
        }
        geometry.check()?;
        let defects = Defects::of(views.view())?;
        let mut views = views;
        defects.fill(&mut views);
        let truncated = truncated(views.view(), ends(geometry));
        let canvas = canvas(geometry, image, truncated > 0.0);
        expect_room(4 * (3 * views.len() + canvas.iter().product::<usize>()) as u64, "the model of the scan")?;
        let mut linop = projection(canvas, geometry)?;
        if let Some(valid) = &defects.valid {
            let counts = turned(valid.view(), cone).mapv(|v| if v { 1.0f32 } else { 0.0 });
            let out = dims(geometry);
            let w = linop::diagonal(linop.output()?, &Tensor::from_array(counts, out)?)?.out(out)?.named("defects");
            linop = linop::chain(vec![linop, w])?;
        }
        Ok(Ct { geometry: geometry.clone(), views, defects, image, canvas, truncated, linop })
    }

    /// W A: from a canvas (S, Ny, Nx) to views (S, A, D), or of a cone from (Nz, Ny, Nx) to (A, V, D). Defective samples are 0. It is
    /// what a regularised solver takes beside [`data`](Ct::data); [`image`](Ct::image) cuts the image out of the solution.
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// W y: the views as the output of [`linop`](Ct::linop), 0 where they are defective.
    ///
    /// # Errors
    /// There is no memory.
    pub fn data(&self) -> Result<Tensor> {
        let mut views = self.views.clone();
        if let Some(valid) = &self.defects.valid {
            views.zip_mut_with(valid, |v, valid| *v = if *valid { *v } else { 0.0 });
        }
        Tensor::from_array(turned(views.view(), self.is_cone()), self.linop.output()?.dims())
    }

    /// The image within a canvas.
    ///
    /// # Errors
    /// It is no canvas of this model.
    pub fn image(&self, canvas: &Tensor) -> Result<Array3<f32>> {
        self.linop.input()?.expect(canvas.shape())?;
        let mut values = canvas.to(&Device::host())?.to_real_array()?;
        for (axis, (&whole, &part)) in self.canvas.iter().zip(&self.image).enumerate() {
            let first = (whole - part) / 2;
            values.slice_axis_inplace(Axis(axis), Slice::from(first..first + part));
        }
        three(values.as_standard_layout().into_owned())
    }

    /// Samples that do not count.
    pub fn defects(&self) -> &Defects {
        &self.defects
    }

    /// The part of the views that end within the object; 0 where they hold all of it.
    pub fn truncated(&self) -> f64 {
        self.truncated
    }

    /// Slices, rows and columns of the canvas.
    pub fn canvas(&self) -> [usize; 3] {
        self.canvas
    }

    /// From the canvas to views of another geometry, without defects.
    pub(super) fn projection(&self, geometry: &Geometry) -> Result<Linop> {
        projection(self.canvas, geometry)
    }

    /// Views (slice, angle, detector) in the order of the linop.
    pub(super) fn turned(&self, views: ArrayView3<f32>) -> Array3<f32> {
        turned(views, self.is_cone())
    }

    /// Slices, rows and columns of the image.
    pub(super) fn extents(&self) -> [usize; 3] {
        self.image
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Whether slices are an axis of one volume.
    pub(super) fn canvas_is_volume(&self) -> bool {
        self.is_cone()
    }

    pub(super) fn is_cone(&self) -> bool {
        matches!(self.geometry.beam, Beam::Cone { .. })
    }

    /// Filtered back-projection, of the views with their defects filled from beside them, and continued where they end within the
    /// object. The misfit is told where the image holds nearly all that the rays pass.
    ///
    /// # Errors
    /// [`fbp`](linop::fbp()) refuses the geometry, or the device fails.
    pub fn fbp(&self, options: FbpOptions, device: &Device) -> Result<super::CtImage> {
        // For the misfit all that the rays pass is needed; where that is much more than the image it is not worth it.
        let pixels = |extents: [usize; 3]| extents.iter().product::<usize>() as f64;
        let all = self.truncated == 0.0 && pixels(self.canvas) <= MUCH * pixels(self.image);
        let x = self.direct(options, if all { self.canvas } else { self.image }, device)?;
        if !all {
            return Ok(super::CtImage::direct(three(x.to(&Device::host())?.to_real_array()?)?, None));
        }
        let misfit = Some(self.misfit(&self.linop.apply(&x)?, &self.data()?)?);
        Ok(super::CtImage::direct(self.image(&x)?, misfit))
    }

    /// Filtered back-projection to slices, rows and columns around the middle, as the input of the linop.
    pub(super) fn direct(&self, options: FbpOptions, image: [usize; 3], device: &Device) -> Result<Tensor> {
        let (geometry, pads) = self.continued(image);
        let views = match pads {
            [0, 0] => self.views.clone(),
            _ if self.truncated > 0.0 => continued(self.views.view(), pads),
            _ => in_air(self.views.view(), pads),
        };
        let y = Tensor::from_array(turned(views.view(), self.is_cone()), self.linop.output()?.dims())?;
        let a = self.back_projection(&geometry, options, image)?;
        // Transforms of views near the end of the range would leave it.
        let far = exponent(self.views.iter()).abs() > FAR;
        let (y, exponent) = if far { scaled(&y)? } else { (y, 0) };
        let x = a.apply(&y.to(device)?)?.renamed(self.linop.input()?.dims())?;
        if exponent == 0 { Ok(x) } else { scaled_by_power(&x, exponent).eval() }
    }

    /// Whether [`fbp`](Ct::fbp) can be had of these views.
    ///
    /// # Errors
    /// It cannot: those of [`fbp`](linop::fbp()).
    pub fn expect_fbp(&self, options: FbpOptions) -> Result<()> {
        self.back_projection(&self.continued(self.image).0, options, self.image).map(drop)
    }

    /// The geometry of the views as they are continued for an image of these extents, and by how much before and behind: an object that
    /// ends within them by air. What the filter makes of a view there takes away what others bring to the corners of the image.
    fn continued(&self, [_, ny, nx]: [usize; 3]) -> (Geometry, [usize; 2]) {
        const MOST: usize = 4000;
        let (center, _) = self.geometry.centers();
        let corner = 0.5 * (ny as f64).hypot(nx as f64) * self.geometry.pixel_size / self.geometry.detector_size;
        let to_corner = |from: f64| (corner - from).ceil().clamp(0.0, MOST as f64) as usize;
        let most = match (self.truncated > 0.0, self.geometry.distances()) {
            (true, _) => [self.geometry.detectors.min(MOST); 2],
            (false, None) => [to_corner(center), to_corner(self.geometry.detectors as f64 - 1.0 - center)],
            (false, Some(_)) => [0; 2],
        };
        let counts = ends(&self.geometry);
        let pads = [0, 1].map(|end| if counts[end] { most[end] } else { 0 });
        let detectors = self.geometry.detectors + pads[0] + pads[1];
        (Geometry { detectors, center: Some(center + pads[0] as f64), ..self.geometry.clone() }, pads)
    }

    fn back_projection(&self, geometry: &Geometry, options: FbpOptions, [z, ny, nx]: [usize; 3]) -> Result<Linop> {
        let (angles, detectors) = (geometry.angles.len(), geometry.detectors);
        match self.is_cone() {
            true => {
                let rows = geometry.rows;
                let from = format!("A={angles} V={rows} D={detectors}");
                linop::fbp(from, "A V D", format!("Nz={z} Ny={ny} Nx={nx}"), geometry, options)
            }
            false => {
                let from = format!("S={z} A={angles} D={detectors}");
                linop::fbp(from, "A D", format!("Ny={ny} Nx={nx}"), geometry, options)
            }
        }
    }

    /// ‖z − y‖/‖y‖; 0 where both are 0.
    pub(super) fn misfit(&self, z: &Tensor, y: &Tensor) -> Result<f64> {
        let (z, y) = (z.to(&Device::host())?.to_real_vec()?, y.to(&Device::host())?.to_real_vec()?);
        let off: f64 = z.iter().zip(&y).map(|(z, y)| (f64::from(*z) - f64::from(*y)).powi(2)).sum();
        let all: f64 = y.iter().map(|y| f64::from(*y).powi(2)).sum();
        if !off.is_finite() {
            return value_err!("the image is not finite; the views are too large for 32-bit numbers");
        }
        Ok(if off == 0.0 { 0.0 } else { (off / all).sqrt() })
    }
}

/// The ends of the detector beyond which lines are not measured, before and behind: both, or of a whole turn with an axis that is
/// off the end that is farther from it; lines beyond the other one are seen from the other side.
fn ends(g: &Geometry) -> [bool; 2] {
    let (center, _) = g.centers();
    let (before, behind) = (center, g.detectors as f64 - 1.0 - center);
    match linop::Coverage::of(&g.angles, 2.0 * PI).is_turn() && (before - behind).abs() > 1.0 {
        true => [before > behind, behind > before],
        false => [true; 2],
    }
}

/// The dims of views as the linop has them.
fn dims(geometry: &Geometry) -> &'static str {
    if matches!(geometry.beam, Beam::Cone { .. }) { "A V D" } else { "S A D" }
}

/// From a canvas to views.
fn projection([z, y, x]: [usize; 3], geometry: &Geometry) -> Result<Linop> {
    let (slices, axes) = match geometry.beam {
        Beam::Cone { .. } => ("Nz", "Nz Ny Nx"),
        _ => ("S", "Ny Nx"),
    };
    linop::projection(format!("{slices}={z} Ny={y} Nx={x}"), axes, geometry, dims(geometry))
}

/// (slice, angle, detector) as the linop has it.
fn turned<T: Clone>(views: ArrayView3<T>, cone: bool) -> Array3<T> {
    let turned = if cone { views.permuted_axes([1, 0, 2]) } else { views };
    turned.as_standard_layout().into_owned()
}

fn three(values: ArrayD<f32>) -> Result<Array3<f32>> {
    values.into_dimensionality().map_err(|e| Error::Shape(e.to_string()))
}

/// The extents that hold what the rays pass, around an image with the same middle.
fn canvas(g: &Geometry, image: [usize; 3], truncated: bool) -> [usize; 3] {
    let (center, _) = g.centers();
    let long = center.max(g.detectors as f64 - 1.0 - center) + 0.5;
    let u = long * g.detector_size;
    let beyond = if truncated { BEYOND } else { 1.0 };
    let reach = beyond
        * match g.distances() {
            None => u,
            Some((source, behind)) => source * u / (source + behind).hypot(u),
        };
    // The source turns outside of the corners.
    let most = g.distances().map_or(f64::INFINITY, |(source, _)| source / 2f64.sqrt() / g.pixel_size - 2.0);
    let most = most.clamp(0.0, 7900.0);
    let extent = |n: usize| {
        // A little less than a pixel at the rim is no reason for a larger canvas.
        let half = (reach / g.pixel_size).min(most) - 0.26;
        let more = (half - 0.5 * n as f64).ceil().max(0.0) as usize;
        n + 2 * more
    };
    [image[0], extent(image[1]), extent(image[2])]
}

impl Ct {
    /// Rows and columns of the image that views of a scan show, in pixels of the geometry: as many as the detector has, at the axis;
    /// where the axis is far off the middle and the views cover a whole turn, twice what the longer side of the detector reaches.
    ///
    /// ```
    /// use linops::{app::ct::Ct, linop::Geometry};
    /// assert_eq!(Ct::fitting_size(&Geometry::parallel(&[0.0, 1.0], 128)), 128);
    /// ```
    pub fn fitting_size(g: &Geometry) -> usize {
        let n = g.detectors as f64;
        let (center, _) = g.centers();
        let long = center.max(n - 1.0 - center) + 0.5;
        let off = linop::Coverage::of(&g.angles, 2.0 * PI).is_turn() && 2.0 * long > 1.2 * n;
        let wide = (if off { 2.0 * long } else { n }) * g.detector_size;
        let wide = match g.distances() {
            None => wide,
            Some((source, behind)) => 2.0 * source * (0.5 * wide) / (source + behind).hypot(0.5 * wide),
        };
        let size = (wide / g.pixel_size).round().clamp(1.0, 16_000.0);
        size as usize
    }

    /// The views (slice, angle, detector) with their defects filled.
    pub fn views(&self) -> ArrayView3<'_, f32> {
        self.views.view()
    }
}
