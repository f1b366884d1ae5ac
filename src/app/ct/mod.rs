//! Tomography: an image from its projections, measured with parallel rays, a fan or a cone.
//!
//! | file | holds |
//! |---|---|
//! | `angles` | degrees or radians; what part of the circle is missing |
//! | `transmission` | −log of intensities over their flat field |
//! | `defects` | samples that say nothing, and what stands for them |
//! | `center` | where on the detector the axis of rotation is |
//! | `truncation` | views that the object is wider than |
//! | `model` | [`Ct`]: the linop, its data, filtered back-projection |
//! | `regularise` | the same with total variation and others |
//! | `solve` | SIRT and conjugate gradients on it, until the objective stands, or the noise would be fitted |
//! | `left_out` | after how many iterations views are told best that were left out |
//!
//! Views are arrays (slice, angle, detector); of a cone (row, angle, detector). Values are integrals along rays, as −log of the
//! transmission is; those of images are in 1 over the unit of the geometry's lengths.

mod angles;
mod center;
mod defects;
mod left_out;
mod model;
mod noise;
mod regularise;
mod solve;
mod transmission;
mod truncation;

pub use angles::{AngleUnit, Angles};
pub use center::{Center, find_center};
pub use defects::Defects;
pub use model::Ct;
pub use regularise::CtRegularised;
pub use solve::{CtImage, CtMethod, CtOptions, CtProgress, CtReading};
pub use transmission::{Absorption, absorption, looks_like_transmission};
