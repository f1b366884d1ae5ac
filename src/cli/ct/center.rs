//! Whether the projections tell another axis of rotation than the one that is taken without a word of it.

use super::views;
use linops::app::ct::find_center;
use linops::linop::{Beam, Geometry};
use ndarray::{Array3, Axis};

/// Slices that are looked at.
const SLICES: usize = 4;

/// Less than this, in pixels and in standard deviations of what is found, is not worth a word: where it is found to a tenth of a pixel, and
/// else.
const PIXELS: [f64; 2] = [0.4, 2.0];
const DEVIATIONS: f64 = 5.0;

/// The axis that the projections tell, where that is certainly another one than the geometry's. Of a cone, whose rows are not scans of their
/// own, nothing is said.
pub(super) fn elsewhere(views: &Array3<f32>, geometry: &Geometry) -> Option<f64> {
    if let Beam::Cone { .. } = geometry.beam {
        return None;
    }
    let slices = views.len_of(Axis(0));
    let count = slices.min(SLICES);
    let few: Vec<usize> = (0..count).map(|k| (2 * k + 1) * slices / (2 * count)).collect();
    let few = views::filled(&views.select(Axis(0), &few)).ok()?;
    let found = find_center(few.view(), geometry).ok()?;
    let taken = geometry.center.unwrap_or(0.5 * (geometry.detectors as f64 - 1.0));
    let least = PIXELS[usize::from(!found.fine)].max(DEVIATIONS * found.deviation.unwrap_or(0.0));
    ((found.index - taken).abs() > least).then_some(found.index)
}
