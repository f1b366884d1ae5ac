//! How much noise there is in views.

use ndarray::{ArrayView3, Axis};

/// Differences that are looked at, about.
const MANY: usize = 1_000_000;

/// The standard deviation of the noise of views (slice, angle, detector), from second differences along the detector: half of
/// them are below 0.67 of their deviation, whatever the edges of the object.
pub(super) fn deviation(views: ArrayView3<f32>) -> f64 {
    let step = (views.len() / MANY).max(1);
    let mut bends: Vec<f32> = Vec::new();
    for row in views.lanes(Axis(2)) {
        let triples = row.windows(3).into_iter().step_by(step);
        bends.extend(triples.map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).filter(|b| *b > 0.0));
    }
    if bends.is_empty() {
        return 0.0;
    }
    let middle = bends.len() / 2;
    let median = *bends.select_nth_unstable_by(middle, f32::total_cmp).1;
    // 1, −2 and 1 have √6 times the deviation of one.
    f64::from(median) / 0.6745 / 6f64.sqrt()
}
