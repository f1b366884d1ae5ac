//! A geometry for one image: the linear forms that voxels are projected by, and what kernels are given of them.
//!
//! A voxel (i, j), column and row, falls onto detector index s = N/D, both linear in i and j; D is 1 at the axis of rotation, and
//! everywhere for parallel rays. A slice z of it falls onto row t = t₀ + (z − c)·g/D. The ray of detector index c is the line
//! N − c·D = 0.
//!
//! Kernels get positions as whole numbers of 2⁻¹⁶ pixels, rounded once: so forward and adjoint, host and GPU, have the same
//! weights to the last bit, and what a ray touches is never in doubt.

use super::Geometry;
use super::pixels::{Row, View};
use super::rays::rays;
use crate::allocate::collected;
use crate::error::{Result, shape_err, value_err};
use crate::kept::Made;
use std::ops::Range;
use std::sync::Arc;

/// Extents of an image and of a detector, at most: positions have 15 bits before the point.
const MOST: usize = 16_000;

/// N, or D: a constant, and what a column and a row add.
pub(super) type Form = [f64; 3];

/// A scan of an image, shared by handle. Equal when it is the same.
#[derive(Clone)]
pub struct Scan(Arc<Inner>);

struct Inner {
    geometry: Geometry,
    /// (slices, rows, columns); one slice in a plane.
    image: [usize; 3],
    rays: Made<Arc<Vec<u32>>>,
    views: Made<Arc<Vec<u32>>>,
    /// The weight of each view where pixels are sampled from it.
    shares: Vec<f32>,
}

/// A ray's words in a plane, and in a volume.
pub(super) const RAY: [usize; 2] = [4, 8];
/// A view's words.
pub(super) const VIEW: usize = 16;

impl Scan {
    /// A scan of an image of (slices,) rows and columns.
    ///
    /// # Errors
    /// The geometry is none, extents are larger than kernels count, or the source is within the image.
    pub fn new(geometry: &Geometry, image: &[usize]) -> Result<Scan> {
        let shares = vec![1.0; geometry.angles.len()];
        Scan::weighted(geometry, image, shares)
    }

    /// The same, whose views have weights where pixels are sampled from them.
    ///
    /// # Errors
    /// As for `new`.
    pub fn weighted(geometry: &Geometry, image: &[usize], shares: Vec<f32>) -> Result<Scan> {
        geometry.check()?;
        let image = match (geometry.is_volume(), image) {
            (true, &[z, y, x]) => [z, y, x],
            (false, &[y, x]) => [1, y, x],
            (true, _) => return shape_err!("an image of extents {image:?}; a cone takes slices, rows and columns"),
            (false, _) => return shape_err!("an image of extents {image:?}; expected rows and columns"),
        };
        let most = image.iter().chain([&geometry.detectors, &geometry.rows]).max().copied().unwrap_or(0);
        if most > MOST || image.contains(&0) {
            return shape_err!(
                "an image of {image:?} and a detector of {} by {}; expected extents of 1 to {MOST}",
                geometry.rows,
                geometry.detectors
            );
        }
        let records = geometry.angles.len().checked_mul(geometry.detectors * RAY[1]);
        if records.is_none_or(|n| u32::try_from(n).is_err()) {
            return shape_err!(
                "{} angles by {} detector pixels are more rays than a kernel counts; split the angles",
                geometry.angles.len(),
                geometry.detectors
            );
        }
        let scan = Scan(Arc::new(Inner {
            geometry: geometry.clone(),
            image,
            rays: Made::new(),
            views: Made::new(),
            shares,
        }));
        scan.check()?;
        Ok(scan)
    }

    /// The views in `range`.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn narrowed(&self, range: &Range<usize>) -> Result<Scan> {
        let Inner { geometry, shares, .. } = &*self.0;
        let geometry = Geometry { angles: geometry.angles[range.clone()].to_vec(), ..geometry.clone() };
        Scan::weighted(&geometry, &self.image_extents(), shares[range.clone()].to_vec())
    }

    /// Whether all positions are within what kernels count.
    fn check(&self) -> Result<()> {
        let (g, [nz, ny, nx]) = (self.geometry(), self.image());
        if let Some((source, _)) = g.distances() {
            let half = |n: usize| (n as f64 + 1.0) / 2.0 * g.pixel_size;
            let reach = half(nx).hypot(half(ny)) + g.pixel_size;
            if source <= reach {
                return value_err!(
                    "the source is {source} from the axis, within the image, whose corners are {reach} away; move it out, or make \
                     pixels smaller than {}",
                    g.pixel_size
                );
            }
        }
        for view in 0..g.angles.len() {
            let (n, d) = self.forms(view);
            let corners = [(0, 0), (0, ny - 1), (nx - 1, 0), (nx - 1, ny - 1)].map(|(i, j)| (i as f64, j as f64));
            for (i, j) in corners {
                let d = at(&d, i, j);
                let s = at(&n, i, j) / d;
                let t = if g.is_volume() { self.row_at(0.0, d).abs().max(self.row_at(nz as f64 - 1.0, d).abs()) } else { 0.0 };
                if s.abs().max(t) > 2.0 * MOST as f64 {
                    return value_err!(
                        "a corner of the image falls onto detector index {s:.0}; expected less than {}: make detector pixels larger or \
                         image pixels smaller",
                        2 * MOST
                    );
                }
            }
        }
        if g.is_volume() {
            let [.., q] = self.slices_per_row();
            if !(1e-4..2.0).contains(&q) {
                return value_err!("a detector row spans {q} slices at the axis; expected 0.0001 to 2");
            }
            let (_, row_center) = g.centers();
            // Slices from the plane of the source, at the axis; and those that a ray climbs in a step.
            let reach = q * (g.rows as f64 - row_center).abs().max(row_center.abs() + 1.0);
            let step = g.distances().map_or(0.0, |(r, _)| std::f64::consts::SQRT_2 * g.pixel_size / r);
            if reach * step > 1.0 {
                return value_err!(
                    "the outermost rays climb {:.2} slices from pixel to pixel; expected less than one: make slices higher, or the \
                     detector lower",
                    reach * step
                );
            }
            if 4.0 * reach > MOST as f64 || q * step > 0.24 {
                return value_err!(
                    "a detector that reaches {reach:.0} slices from the plane of the source, pixels of {} at {:.0} from it; expected \
                     less than {} slices and smaller pixels",
                    g.pixel_size,
                    g.distances().map_or(0.0, |(r, _)| r),
                    MOST / 4
                );
            }
        }
        Ok(())
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.0.geometry
    }

    /// Slices, rows and columns.
    pub fn image(&self) -> [usize; 3] {
        self.0.image
    }

    /// Extents of the axes that an image has.
    pub fn image_extents(&self) -> Vec<usize> {
        self.0.image[usize::from(!self.geometry().is_volume())..].to_vec()
    }

    /// The weight of each view where pixels are sampled.
    pub(super) fn shares(&self) -> &[f32] {
        &self.0.shares
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// N and D of a view.
    pub(super) fn forms(&self, view: usize) -> (Form, Form) {
        let (g, [_, ny, nx]) = (self.geometry(), self.image());
        let (sin, cos) = g.angles[view].sin_cos();
        let p = g.pixel_size;
        let (cx, cy) = ((nx as f64 - 1.0) / 2.0, (ny as f64 - 1.0) / 2.0);
        let (center, _) = g.centers();
        let (scale, d) = match g.distances() {
            None => (p / g.detector_size, [0.0; 2]),
            Some((r, behind)) => (p * (r + behind) / (r * g.detector_size), [-p * sin / r, -p * cos / r]),
        };
        let [d1, d2] = d;
        let d = [1.0 - d1 * cx - d2 * cy, d1, d2];
        let (n1, n2) = (scale * cos, -scale * sin);
        (std::array::from_fn(|k| center * d[k] + [-n1 * cx - n2 * cy, n1, n2][k]), d)
    }

    /// Of a cone: the slice and the row in the plane of the source, and the slices that a row spans at the axis.
    pub(super) fn slices_per_row(&self) -> [f64; 3] {
        let g = self.geometry();
        let (row_size, slice_size) = g.heights();
        let (_, row_center) = g.centers();
        let magnified = g.distances().map_or(1.0, |(r, behind)| (r + behind) / r);
        [(self.image()[0] as f64 - 1.0) / 2.0, row_center, row_size / (slice_size * magnified)]
    }

    /// The row that a slice falls onto where D is `d`.
    fn row_at(&self, z: f64, d: f64) -> f64 {
        let [c, row, q] = self.slices_per_row();
        row + (z - c) / (q * d)
    }

    /// Length of a ray of a cone over that of its shadow in the plane of the source, (rows, detectors).
    pub(crate) fn slants(&self) -> Vec<f32> {
        let g = self.geometry();
        let (row_size, _) = g.heights();
        let (center, row_center) = g.centers();
        let away = g.distances().map_or(f64::INFINITY, |(r, behind)| r + behind);
        let one = |k: usize| {
            let v = ((k / g.detectors) as f64 - row_center) * row_size;
            let u = ((k % g.detectors) as f64 - center) * g.detector_size;
            (1.0 + v * v / (away * away + u * u)).sqrt() as f32
        };
        (0..g.rows * g.detectors).map(one).collect()
    }

    /// The words of all rays of the plane, view by view.
    pub(super) fn rays(&self) -> &Arc<Vec<u32>> {
        self.0.rays.get_or(|| Arc::new(rays(self)))
    }

    /// Words of a ray.
    pub(super) fn ray_words(&self) -> usize {
        RAY[usize::from(self.geometry().is_volume())]
    }

    /// The words of all views.
    pub(super) fn views(&self) -> &Arc<Vec<u32>> {
        self.0.views.get_or(|| Arc::new((0..self.geometry().angles.len()).flat_map(|v| View::new(self, v).words()).collect()))
    }

    /// How slices fall onto rows.
    pub(super) fn row(&self) -> Row {
        Row::new(self)
    }

    /// Makes room for the words now, or says that there is none.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn expect_room(&self) -> Result<()> {
        let words = self.geometry().angles.len() * (self.geometry().detectors * self.ray_words() + VIEW);
        collected(std::iter::empty::<u32>(), words).map(drop)
    }
}

/// The value of a form.
pub(super) fn at(f: &Form, i: f64, j: f64) -> f64 {
    f[0] + f[1] * i + f[2] * j
}

impl PartialEq for Scan {
    fn eq(&self, other: &Scan) -> bool {
        self.address() == other.address()
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let g = self.geometry();
        let beam = match g.beam {
            super::Beam::Parallel => "parallel",
            super::Beam::Fan { .. } => "fan",
            super::Beam::Cone { .. } => "cone",
        };
        let panel = if g.is_volume() { format!("{} by {}", g.rows, g.detectors) } else { g.detectors.to_string() };
        write!(f, "{beam}, {} views onto {panel}", g.angles.len())
    }
}
