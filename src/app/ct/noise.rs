//! How much noise there is in views.

use ndarray::{ArrayView3, Axis};

/// Places along the detector that are looked at, about.
const MANY: usize = 1_000_000;

/// Noise of light grows with it: so many parts of the places, from dark to bright, are looked at each for itself.
const PARTS: usize = 8;

/// A part has so many places at least.
const LEAST: usize = 64;

/// So many times the variance of brighter parts is more than chance.
const EDGES: f64 = 1.5;

/// Median of |z| of a standard normal z.
const MEDIAN: f64 = 0.674_489_750_196_081_7;

/// The standard deviation of the noise of views (slice, angle, detector), the root of its mean square, from second and fourth
/// differences along the detector: half of them are below 0.67 of their deviation, whatever the edges of the object. The object
/// itself bends, but has smaller fourth differences than noise has; so it is the lesser of both.
pub(super) fn deviation(views: ArrayView3<f32>) -> f64 {
    let step = (views.len() / MANY).max(1);
    let mut places: Vec<(f32, [f32; 2])> = Vec::new();
    for row in views.lanes(Axis(2)) {
        for w in row.windows(5).into_iter().step_by(step) {
            let second = w[1] - 2.0 * w[2] + w[3];
            let fourth = w[0] - 4.0 * w[1] + 6.0 * w[2] - 4.0 * w[3] + w[4];
            // Of sums of either sign.
            let level = (w[1] + 2.0 * w[2] + w[3]).abs();
            // Where all is alike nothing was measured.
            if second != 0.0 || fourth != 0.0 {
                places.push((level, [second, fourth]));
            }
        }
    }
    if places.is_empty() {
        return 0.0;
    }
    places.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let parts = (places.len() / LEAST).clamp(1, PARTS);
    let squares = |k: usize| {
        let part = &places[k * places.len() / parts..(k + 1) * places.len() / parts];
        // The norms of (1, −2, 1) and (1, −4, 6, −4, 1).
        let of = |which: usize, norm: f64| median(part.iter().map(|p| p.1[which].abs())) / MEDIAN / norm;
        of(0, 6f64.sqrt()).min(of(1, 70f64.sqrt())).powi(2)
    };
    let squares: Vec<f64> = (0..parts).map(squares).collect();
    // Noise does not fall where more is absorbed: dark parts that have much more than a brighter one are edges of the object.
    let of = |k: usize| {
        let brighter = squares[k..].iter().fold(f64::INFINITY, |a, b| a.min(*b));
        if squares[k] > EDGES * brighter { brighter } else { squares[k] }
    };
    ((0..parts).map(of).sum::<f64>() / parts as f64).sqrt()
}

fn median(values: impl Iterator<Item = f32>) -> f64 {
    let mut values: Vec<f32> = values.collect();
    let middle = values.len() / 2;
    f64::from(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use ndarray::Array3;

    #[test]
    fn noise_is_found_also_where_it_grows_with_light_and_an_object_has_none() {
        let chord = |d: usize| 2.0 * (1600.0 - (d as f64 - 63.5).powi(2)).max(0.0).sqrt();
        let views = |noise: &dyn Fn(f64) -> f64| {
            let mut generator = Generator::new(3);
            Array3::from_shape_fn((1, 90, 128), |(_, _, d)| {
                (chord(d) + noise(chord(d)) * 2f64.sqrt() * generator.complex_normal().re) as f32
            })
        };
        let even = deviation(views(&|_| 0.8).view());
        assert!((even / 0.8 - 1.0).abs() < 0.06, "{even}");
        let light = |v: f64| 0.1 + 0.02 * v;
        let truth = ((0..128).map(|d| light(chord(d)).powi(2)).sum::<f64>() / 128.0).sqrt();
        let grows = deviation(views(&light).view());
        assert!((grows / truth - 1.0).abs() < 0.1, "{grows} {truth}");
        // 10⁻⁴ of the largest value.
        assert!(deviation(views(&|_| 0.0).view()) < 8e-3);
        let negated = deviation(views(&light).mapv(|v| -v).view());
        assert!((negated / grows - 1.0).abs() < 1e-3, "{negated} {grows}");
        assert_eq!(deviation(Array3::zeros((1, 2, 40)).view()), 0.0);
    }
}
