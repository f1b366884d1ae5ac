//! Projections along the rays of a scan.

use super::fields::{Fields, OUT};
use super::{Loader, needed};
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::{self, Geometry, Linop};
use serde_json::Value;

/// Angles that reach so far, four turns, may well be degrees.
const FAR: f64 = 8.0 * std::f64::consts::PI;

impl Loader {
    /// `geometry`: "parallel", "fan" or "cone"; `angles`: a file or a list, in the `angle_unit` "radian" or "degree"; `detectors`, for a
    /// cone `rows` too; `source_distance` and `detector_distance` from the axis; sizes 1 and centres in the middle, if not given.
    pub(super) fn projection(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (axes, out, geometry) = (f.dims("axes")?, f.need_text("out", OUT)?, self.geometry(f)?);
        linop::projection(needed(input, f)?, &axes, &geometry, &out).map_err(|e| f.here(e))
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
                let angles = self.wide(f, "angles", "a list of angles, or the path of an array of them")?;
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
