//! Views that the object is wider than. A filter takes what is outside of a detector for 0, and the step at its end makes the rim
//! of the image too bright.
//!
//! The square of the projection of an ellipse is a parabola along the detector; so beyond an end the square goes on as one, with
//! the value and the slope that it has there and the curvature of the whole view, until it is 0 (after Sourbelle, Kachelriess and
//! Kalender, Eur. Radiol. 15:1008, 2005, who fit ellipses).

use super::noise;
use ndarray::{Array3, ArrayView1, ArrayView3, Axis, s};

/// A view ends within the object if its last samples are above this part of the largest value, and above what noise makes of them.
const WITHIN: f32 = 0.05;
const DEVIATIONS: f32 = 4.0;

/// The last samples.
const LAST: usize = 2;

/// So many of the views have to.
const VIEWS: f64 = 0.03;

/// Samples that tell value and slope at an end, of all.
const END: f64 = 0.06;

/// The part of the views (slice, angle, detector) at which an end of the detector lies within the object, where that is more
/// than by chance; else 0. Only the ends count for which `ends` says so, before and behind.
pub(super) fn truncated(views: ArrayView3<f32>, ends: [bool; 2]) -> f64 {
    let most = views.iter().fold(0.0f32, |m, v| m.max(*v));
    let (slices, angles, n) = views.dim();
    let few = LAST.min(n);
    let least = (WITHIN * most).max(DEVIATIONS * noise::deviation(views) as f32);
    let within = |row: ArrayView1<f32>| row.mean().is_some_and(|mean| mean > least);
    let places = [s![.., .., ..few], s![.., .., n - few..]];
    let count = |end| views.slice(end).rows().into_iter().filter(|row| within(row.view())).count();
    let part = places.into_iter().zip(ends).filter(|(_, counts)| *counts).map(|(end, _)| count(end)).max().unwrap_or(0)
        as f64
        / (slices * angles) as f64;
    if part > VIEWS { part } else { 0.0 }
}

/// The views with so many zeros before and behind.
pub(super) fn in_air(views: ArrayView3<f32>, [pad, behind]: [usize; 2]) -> Array3<f32> {
    let (slices, angles, n) = views.dim();
    let mut out = Array3::zeros((slices, angles, pad + n + behind));
    out.slice_mut(s![.., .., pad..pad + n]).assign(&views);
    out
}

/// The views continued before and behind by so many samples.
pub(super) fn continued(views: ArrayView3<f32>, [pad, behind]: [usize; 2]) -> Array3<f32> {
    let n = views.len_of(Axis(2));
    let mut out = in_air(views, [pad, behind]);
    for (mut slice, views) in out.axis_iter_mut(Axis(0)).zip(views.axis_iter(Axis(0))) {
        for (mut row, view) in slice.axis_iter_mut(Axis(0)).zip(views.axis_iter(Axis(0))) {
            let squares: Vec<f64> = view.iter().map(|v| f64::from(v.max(0.0)).powi(2)).collect();
            let curvature = parabola(&squares).map_or(0.0, |[_, _, c]| c);
            let mirrored: Vec<f64> = squares.iter().rev().copied().collect();
            for (k, v) in beyond(&squares, curvature, behind).into_iter().enumerate() {
                row[pad + n + k] = v;
            }
            for (k, v) in beyond(&mirrored, curvature, pad).into_iter().enumerate() {
                row[pad - 1 - k] = v;
            }
        }
    }
    out
}

/// What comes behind the end of a view, from its squares.
fn beyond(squares: &[f64], curvature: f64, pad: usize) -> Vec<f32> {
    let n = squares.len();
    let count = ((END * n as f64) as usize).clamp(4.min(n), n);
    let last = &squares[n - count..];
    let middle = (count as f64 - 1.0) / 2.0;
    let mean = last.iter().sum::<f64>() / count as f64;
    // The slope in the middle of these samples, without what the curvature makes of it.
    let (mut up, mut across) = (0.0, 0.0);
    for (k, v) in last.iter().enumerate() {
        let t = k as f64 - middle;
        (up, across) = (up + t * (v - mean), across + t * t);
    }
    let slope = if across > 0.0 { up / across } else { 0.0 };
    // No object goes on for longer than the pad: a parabola that does not fall to 0 by then is bent so that it does.
    let reach = pad as f64 + middle;
    let needed = -(mean + slope * reach) / (reach * reach);
    let c = curvature.min(needed).min(0.0);
    (0..pad)
        .map(|k| {
            let t = middle + 1.0 + k as f64;
            // The mean of t² over the samples is across/count.
            let square = mean + slope * t + c * (t * t - across / count as f64);
            square.max(0.0).sqrt() as f32
        })
        .scan(true, |on, v| {
            // Once 0 it stays so.
            *on &= v > 0.0;
            Some(if *on { v } else { 0.0 })
        })
        .collect()
}

/// The parabola a + b·t + c·t² of least squares through values at t = 0, 1, …
fn parabola(values: &[f64]) -> Option<[f64; 3]> {
    let n = values.len() as f64;
    if values.len() < 3 {
        return None;
    }
    // Orthogonal polynomials around the middle.
    let t = |k: usize| k as f64 - (n - 1.0) / 2.0;
    let second = |k: usize| t(k).powi(2) - (n * n - 1.0) / 12.0;
    let project = |p: &dyn Fn(usize) -> f64| {
        let (up, down) = values.iter().enumerate().fold((0.0, 0.0), |(u, d), (k, v)| (u + p(k) * v, d + p(k) * p(k)));
        up / down
    };
    Some([values.iter().sum::<f64>() / n, project(&t), project(&second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_go_on_as_disks() {
        let chord = |d: f64| 2.0 * (60.0f64.powi(2) - (d - 43.0).powi(2)).max(0.0).sqrt();
        let whole = Array3::from_shape_fn((1, 2, 200), |(_, _, d)| chord(d as f64 - 50.0) as f32);
        let cut = whole.slice(s![.., .., 50..150]);
        assert_eq!(truncated(cut, [true; 2]), 1.0);
        assert_eq!(truncated(whole.view(), [true; 2]), 0.0);
        let got = continued(cut, [50; 2]);
        let worst = got.iter().zip(&whole).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
        assert!(worst < 2.0, "{worst}");
    }

    #[test]
    fn what_does_not_fall_is_bent() {
        let flat = Array3::from_elem((1, 1, 40), 5.0f32);
        let got = continued(flat.view(), [40; 2]);
        assert!(got.iter().all(|v| (0.0..=5.01).contains(v)) && got[[0, 0, 0]] < 1.5 && got[[0, 0, 79]] < 1.5 + 5.0);
        assert!(got.iter().all(|v| v.is_finite()));
    }
}
