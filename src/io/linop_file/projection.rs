//! Projections along the rays of a scan.

use super::fields::{Fields, OUT};
use super::op::{COUNT, EXTENTS, FileField, FileOp, NUMBER, axes, must, open, or_else, out};
use super::{Loader, made, needed};
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::{self, Geometry, Linop};
use serde_json::Value;

/// Angles that reach so far, four turns, may well be degrees.
const FAR: f64 = 8.0 * std::f64::consts::PI;

const GEOMETRY: FileField = must("geometry", "\"parallel\", \"fan\" or \"cone\"", "how the rays run");
const ANGLES: FileField = must("angles", "array of one axis", "the angle of each view");
const ANGLE_UNIT: FileField =
    open("angle_unit", "\"radian\" or \"degree\"", "radian, up to four turns", "the unit of the angles");
const DETECTORS: FileField = must("detectors", COUNT, "pixels in a row of the detector");
const ROWS: FileField = open("rows", COUNT, "needed for a cone", "rows of the detector");
const SOURCE_DISTANCE: FileField =
    open("source_distance", NUMBER, "needed for a fan or a cone", "from the source to the axis of rotation");
const DETECTOR_DISTANCE: FileField =
    open("detector_distance", NUMBER, "needed for a fan or a cone", "from the axis of rotation to the detector");
const DETECTOR_SIZE: FileField = or_else("detector_size", NUMBER, "1", "size of a detector pixel along a row");
const CENTER: FileField =
    open("center", NUMBER, "in the middle", "the detector index onto which the axis of rotation falls");
const ROW_SIZE: FileField =
    open("row_size", NUMBER, "`detector_size`", "of a cone: distance of two rows of the detector");
const ROW_CENTER: FileField = open("row_center", NUMBER, "in the middle", "of a cone: the row that the source faces");
const PIXEL_SIZE: FileField = or_else("pixel_size", NUMBER, "1", "size of an image pixel");
const SLICE_SIZE: FileField =
    open("slice_size", NUMBER, "`pixel_size`", "of a cone: distance of two slices of the image");

impl Loader {
    pub(super) const PROJECTION: FileOp = FileOp {
        name: "projection",
        summary: "Integrals along the rays of a tomographic scan",
        forward: "`y[view, detector] = ∫ x` along the ray, of an image of rows and columns, by Joseph's method; for a cone `y[view, row, detector]`, of slices, rows and columns. These dims leave, those of the views come last",
        fields: &[
            GEOMETRY,
            axes("the dims of the image: 2 of them, for a cone 3"),
            ANGLES,
            ANGLE_UNIT,
            DETECTORS,
            ROWS,
            SOURCE_DISTANCE,
            DETECTOR_DISTANCE,
            DETECTOR_SIZE,
            CENTER,
            ROW_SIZE,
            ROW_CENTER,
            PIXEL_SIZE,
            SLICE_SIZE,
            out("the dims of y: those of x that stay, then views, for a cone rows, then detectors"),
        ],
        examples: &[
            r#"{ "op": "projection", "in": "C=2 Ny=3 Nx=4", "axes": ["Ny", "Nx"], "geometry": "parallel",
  "angles": [0, 60, 120], "angle_unit": "degree", "detectors": 5, "out": "C A D" }"#,
            r#"{ "op": "projection", "in": "Nz=2 Ny=3 Nx=3", "axes": ["Nz", "Ny", "Nx"], "geometry": "cone",
  "angles": [0, 1.5, 3], "rows": 2, "detectors": 4, "detector_size": 1.5,
  "source_distance": 10, "detector_distance": 5, "out": "A V U" }"#,
        ],
        build: Loader::projection,
    };

    pub(super) fn projection(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, out, geometry) = (f.dims("axes")?, f.need_text("out", OUT)?, self.geometry(f)?);
        linop::projection(needed(input, f)?, &axes, &geometry, &out).map_err(|e| f.here(e))
    }

    pub(super) const BACK_PROJECTION: FileOp = FileOp {
        name: "back_projection",
        summary: "Pixels sample the views: the last step of filtered back-projection",
        forward: "`y[pixel] = Σ w·x[view, u]` over the views, u where the pixel falls onto the detector, between its pixels; w is the view's share of the half turn, of the turn for a fan or a cone, and there by the distance from the source too. It is no adjoint of `projection`",
        fields: &[
            GEOMETRY,
            axes("the dims of the views: views and detectors, for a cone views, rows, detectors; they leave"),
            must("to", EXTENTS, "dims and extents of the image, which come last: `{\"Ny\": 64, \"Nx\": 64}`"),
            ANGLES,
            ANGLE_UNIT,
            DETECTORS,
            ROWS,
            SOURCE_DISTANCE,
            DETECTOR_DISTANCE,
            DETECTOR_SIZE,
            CENTER,
            ROW_SIZE,
            ROW_CENTER,
            PIXEL_SIZE,
            SLICE_SIZE,
        ],
        examples: &[
            r#"{ "op": "back_projection", "in": "C=2 A=3 D=5", "axes": ["A", "D"], "to": { "Ny": 3, "Nx": 4 },
  "geometry": "parallel",
  "angles": [0, 60, 120], "angle_unit": "degree", "detectors": 5 }"#,
            r#"{ "op": "back_projection", "in": "A=4 V=2 U=4", "axes": ["A", "V", "U"],
  "to": { "Nz": 2, "Ny": 3, "Nx": 3 },
  "geometry": "cone", "angles": [0, 90, 180, 270], "angle_unit": "degree", "rows": 2, "detectors": 4,
  "source_distance": 10, "detector_distance": 5 }"#,
        ],
        build: Loader::back_projection,
    };

    pub(super) fn back_projection(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, geometry) = (f.dims("axes")?, self.geometry(f)?);
        let to: Shape = f.need_extents("to")?.parse().map_err(|e| f.at("to", e))?;
        made(linop::back_projection(&needed(input, f)?, &axes, &to, &geometry), f)
    }

    fn geometry(&self, f: &Fields) -> Result<Geometry> {
        let count = |field: &str| {
            let missing = || f.wrong(field, "is missing; expected the number of detector pixels along it");
            f.count(field)?.ok_or_else(missing)
        };
        let distance = |field: &str| {
            let missing = || f.wrong(field, "is missing; expected the distance from the axis of rotation");
            f.number(field)?.ok_or_else(missing)
        };
        let (angles, detectors) = (self.angles(f)?, count("detectors")?);
        let geometry = match f.text("geometry")?.as_deref() {
            Some("parallel") => Geometry::parallel(&angles, detectors),
            Some("fan") => {
                Geometry::fan(&angles, detectors, distance("source_distance")?, distance("detector_distance")?)
            }
            Some("cone") => {
                let (source, detector) = (distance("source_distance")?, distance("detector_distance")?);
                Geometry::cone(&angles, count("rows")?, detectors, source, detector)
                    .row_size(f.number("row_size")?)
                    .row_center(f.number("row_center")?)
                    .slice_size(f.number("slice_size")?)
            }
            Some(other) => return Err(f.wrong("geometry", format!("is \"{other}\"; expected parallel, fan or cone"))),
            None => return Err(f.wrong("geometry", "is missing; expected parallel, fan or cone")),
        };
        Ok(geometry
            .detector_size(f.number("detector_size")?.unwrap_or(1.0))
            .pixel_size(f.number("pixel_size")?.unwrap_or(1.0))
            .center(f.number("center")?))
    }

    /// In radians.
    fn angles(&self, f: &Fields) -> Result<Vec<f64>> {
        let angles: Vec<f64> = match f.get("angles") {
            Some(Value::Array(_)) => f.numbers("angles")?.unwrap_or_default(),
            _ => {
                let angles = self.wide(f, "angles", "a list of angles, or an array of them")?;
                match angles.ndim() {
                    1 => angles.iter().copied().collect(),
                    _ => return Err(f.wrong("angles", format!("have extents {:?}; expected one axis", angles.shape()))),
                }
            }
        };
        match f.text("angle_unit")?.as_deref() {
            Some("degree") => Ok(angles.into_iter().map(f64::to_radians).collect()),
            Some("radian") => Ok(angles),
            Some(other) => Err(f.wrong("angle_unit", format!("is \"{other}\"; expected radian or degree"))),
            None => match angles.iter().find(|a| a.abs() > FAR) {
                Some(far) => Err(
                    f.wrong("angle_unit", format!("is missing, and an angle is {far}; give \"degree\" or \"radian\""))
                ),
                None => Ok(angles),
            },
        }
    }
}
