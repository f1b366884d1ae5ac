//! How a scan is made: where source and detector stand, and how they turn.

use crate::error::{Result, shape_err, value_err};
use crate::setters::setters;

/// The rays of a scan. Distances are in the unit of the pixel size.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Beam {
    /// Parallel rays in a plane. Slices of a volume are a batch in front.
    Parallel,
    /// Rays of a point source in a plane, onto a flat detector.
    Fan {
        /// From the source to the axis of rotation.
        source: f64,
        /// From the axis of rotation to the detector; 0 is a detector that is scaled to the axis.
        detector: f64,
    },
    /// Rays of a point source onto a flat panel, on a circular orbit.
    Cone {
        /// From the source to the axis of rotation.
        source: f64,
        /// From the axis of rotation to the detector.
        detector: f64,
    },
}

/// The geometry of a scan: one view for each angle.
///
/// In the image, x grows with the column and y with the row, so y points down as the picture is shown; both are 0 in the middle,
/// at index (N − 1)/2, where the axis of rotation is. At an angle θ the detector runs along e = (cos θ, −sin θ), and rays along
/// (−sin θ, −cos θ), from below to above at θ = 0. So
///
/// ```text
/// parallel   s = x cos θ − y sin θ
/// fan        u = (x cos θ − y sin θ)/D,   D = (R − x sin θ − y cos θ)/(R + R'),   source at R·(sin θ, cos θ)
/// cone       u the same, v = z/D
/// ```
///
/// with the distances R of the source and R' of the detector from the axis. s or u is 0 at the detector index `center`, v at
/// `row_center`, both (n − 1)/2 if not given. With y upwards this is s = x cos θ + y sin θ, the convention of scikit-image's `radon`
/// (whose axis is at index N/2 rounded down: the same for odd N) and of ASTRA's 2-D geometries "parallel" and "fanflat". Rays are
/// whole lines: angles beyond a turn are as good as others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Geometry {
    /// The rays.
    pub beam: Beam,
    /// Angle of each view, in radians.
    pub angles: Vec<f64>,
    /// Pixels in a row of the detector.
    pub detectors: usize,
    /// Rows of the detector; 1 but for a cone.
    pub rows: usize,
    /// Size of a detector pixel along a row.
    pub detector_size: f64,
    /// Distance of two rows of the detector; None is `detector_size`.
    pub row_size: Option<f64>,
    /// Detector index onto which the axis of rotation falls, fractions too; None is (n − 1)/2.
    pub center: Option<f64>,
    /// Detector row that the source faces; None is (n − 1)/2.
    pub row_center: Option<f64>,
    /// Size of an image pixel.
    pub pixel_size: f64,
    /// Distance of two slices of a volume; None is `pixel_size`.
    pub slice_size: Option<f64>,
}

setters! { Geometry {
    /// With detector pixels of this size.
    detector_size: f64,
    /// With rows of the detector so far apart.
    row_size: Option<f64>,
    /// With the axis of rotation at this detector index.
    center: Option<f64>,
    /// With the source in front of this detector row.
    row_center: Option<f64>,
    /// With image pixels of this size.
    pixel_size: f64,
    /// With slices so far apart.
    slice_size: Option<f64>,
} }

impl Geometry {
    /// Parallel rays at angles in radians, onto so many detector pixels of size 1.
    pub fn parallel(angles: &[f64], detectors: usize) -> Geometry {
        Geometry {
            beam: Beam::Parallel,
            angles: angles.to_vec(),
            detectors,
            rows: 1,
            detector_size: 1.0,
            row_size: None,
            center: None,
            row_center: None,
            pixel_size: 1.0,
            slice_size: None,
        }
    }

    /// A point source at a distance from the axis, and a flat line of pixels of size 1 at a distance behind it.
    pub fn fan(angles: &[f64], detectors: usize, source: f64, detector: f64) -> Geometry {
        Geometry { beam: Beam::Fan { source, detector }, ..Geometry::parallel(angles, detectors) }
    }

    /// A point source on a circle, and a flat panel of rows and columns of pixels of size 1.
    pub fn cone(angles: &[f64], rows: usize, detectors: usize, source: f64, detector: f64) -> Geometry {
        Geometry { beam: Beam::Cone { source, detector }, rows, ..Geometry::parallel(angles, detectors) }
    }

    /// Whether it takes volumes.
    pub(crate) fn is_volume(&self) -> bool {
        matches!(self.beam, Beam::Cone { .. })
    }

    /// Source and detector, from the axis; None for parallel rays.
    pub(crate) fn distances(&self) -> Option<(f64, f64)> {
        match self.beam {
            Beam::Parallel => None,
            Beam::Fan { source, detector } | Beam::Cone { source, detector } => Some((source, detector)),
        }
    }

    /// Extents of the measured data.
    pub(crate) fn data(&self) -> Vec<usize> {
        match self.is_volume() {
            true => vec![self.angles.len(), self.rows, self.detectors],
            false => vec![self.angles.len(), self.detectors],
        }
    }

    /// Detector index and row that the axis and the source's plane fall onto.
    pub(crate) fn centers(&self) -> (f64, f64) {
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        (self.center.unwrap_or(middle(self.detectors)), self.row_center.unwrap_or(middle(self.rows)))
    }

    /// Sizes of what is not given: rows of the detector, slices.
    pub(crate) fn heights(&self) -> (f64, f64) {
        (self.row_size.unwrap_or(self.detector_size), self.slice_size.unwrap_or(self.pixel_size))
    }

    /// Whether its numbers make a scan.
    ///
    /// # Errors
    /// They do not; says which.
    pub(crate) fn check(&self) -> Result<()> {
        let (rows, slices) = self.heights();
        let sizes = [
            ("detector_size", self.detector_size),
            ("row_size", rows),
            ("pixel_size", self.pixel_size),
            ("slice_size", slices),
        ];
        if let Some((what, size)) = sizes.iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            return value_err!("{what} is {size}; expected a positive length");
        }
        if let Some(angle) = self.angles.iter().find(|a| !a.is_finite() || a.abs() > 1e6) {
            return value_err!("an angle is {angle}; expected finite radians");
        }
        let (center, row_center) = self.centers();
        for (what, value, n) in [("center", center, self.detectors), ("row_center", row_center, self.rows)] {
            if !(value.is_finite() && value.abs() <= 2.0 * n as f64 + 1000.0) {
                return value_err!("{what} is {value}; expected an index near the {n} of the detector, as {}", (n as f64 - 1.0) / 2.0);
            }
        }
        if self.angles.is_empty() || self.detectors == 0 || self.rows == 0 {
            return shape_err!(
                "{} angles, {} rows and {} detector pixels; expected at least one of each",
                self.angles.len(),
                self.rows,
                self.detectors
            );
        }
        if let Some((source, detector)) = self.distances() {
            if !(source.is_finite() && source > 0.0) {
                return value_err!("the source is {source} from the axis; expected a positive distance");
            }
            if !(detector.is_finite() && detector >= 0.0) {
                return value_err!("the detector is {detector} from the axis; expected a distance of 0 or more");
            }
            if self.detector_size > 0.25 * (source + detector) {
                return value_err!(
                    "detector pixels of {} at {} from the source; expected less than a quarter of that",
                    self.detector_size,
                    source + detector
                );
            }
        }
        Ok(())
    }
}
