//! The axis from lines that are measured twice: by a ray at angle γ of the view θ, and by that at −γ of the view θ + π − 2γ. Both
//! are the same integral, if the axis is where it is taken to be.

use super::{REACH, clearly_least, read};
use crate::linop::Geometry;
use ndarray::Array2;
use rayon::prelude::*;
use std::f64::consts::{PI, TAU};

/// Views in the order of their angles around a turn.
pub(super) struct Circle {
    /// Angle and number, rising.
    sorted: Vec<(f64, usize)>,
    /// Views further apart than this have nothing between them.
    apart: f64,
}

/// Two views and the part of the second between them.
struct Between(usize, usize, f64);

impl Circle {
    pub fn of(angles: &[f64]) -> Circle {
        let mut sorted: Vec<(f64, usize)> = angles.iter().enumerate().map(|(k, a)| (a.rem_euclid(TAU), k)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut gaps: Vec<f64> = sorted.windows(2).map(|w| w[1].0 - w[0].0).filter(|g| *g > 1e-9).collect();
        gaps.sort_by(f64::total_cmp);
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(TAU);
        Circle { sorted, apart: 2.5 * usual }
    }

    /// The views around an angle; None in a gap.
    fn around(&self, angle: f64) -> Option<Between> {
        let n = self.sorted.len();
        let angle = angle.rem_euclid(TAU);
        let behind = self.sorted.partition_point(|(a, _)| *a <= angle);
        let (before, behind) = (self.sorted[(behind + n - 1) % n], self.sorted[behind % n]);
        let gap = (behind.0 - before.0).rem_euclid(TAU);
        let from = (angle - before.0).rem_euclid(TAU);
        // A view that is there needs no other beside it.
        const HERE: f64 = 1e-4;
        match () {
            _ if from < HERE => Some(Between(before.1, before.1, 0.0)),
            _ if gap - from < HERE && gap > 0.0 => Some(Between(behind.1, behind.1, 0.0)),
            _ if gap <= self.apart && gap > 0.0 => Some(Between(before.1, behind.1, from / gap)),
            _ => None,
        }
    }

    /// The part of the rays whose line another one measures.
    pub fn seen_twice(&self, g: &Geometry) -> f64 {
        let center = 0.5 * (g.detectors as f64 - 1.0);
        let columns = [0.1, 0.3, 0.5, 0.7, 0.9].map(|part| (part - 0.5) * (g.detectors as f64 - 1.0) + center);
        let seen = |angle: &f64| {
            columns.iter().filter(|c| self.around(angle + PI - 2.0 * fan(g, **c - center)).is_some()).count()
        };
        let all: usize = g.angles.iter().map(seen).sum();
        all as f64 / (columns.len() * g.angles.len()) as f64
    }
}

/// The angle of a ray so many detector pixels from the axis to the one through it.
fn fan(g: &Geometry, offset: f64) -> f64 {
    g.distances().map_or(0.0, |(source, behind)| (offset * g.detector_size / (source + behind)).atan())
}

/// Views that are looked at.
const VIEWS: usize = 120;

/// The axis at which smoothed views (angle, detector) of several slices differ the least from those of the other side.
pub(super) fn find(slices: &[Array2<f64>], g: &Geometry, circle: &Circle) -> Option<f64> {
    let n = g.detectors;
    let middle = 0.5 * (n as f64 - 1.0);
    let rows: Vec<Vec<Vec<f64>>> = slices.iter().map(|s| s.rows().into_iter().map(|r| r.to_vec()).collect()).collect();
    let every = g.angles.len().div_ceil(VIEWS);
    let views: Vec<usize> = (0..g.angles.len()).step_by(every).collect();
    let score = |center: f64| {
        let of_view = |&view: &usize| {
            let (mut off, mut all) = (0.0, 0.0);
            for d in 0..n {
                let other = 2.0 * center - d as f64;
                let Some(Between(a, b, part)) = circle.around(g.angles[view] + PI - 2.0 * fan(g, d as f64 - center))
                else {
                    continue;
                };
                for rows in &rows {
                    let (Some(one), Some(two)) = (read(&rows[a], other), read(&rows[b], other)) else { continue };
                    let (here, there) = (rows[view][d], one * (1.0 - part) + two * part);
                    off += (here - there).powi(2);
                    all += here * here + there * there;
                }
            }
            (off, all)
        };
        let sums: Vec<(f64, f64)> = views.par_iter().map(of_view).collect();
        let (off, all) = sums.iter().fold((0.0, 0.0), |(o, a), s| (o + s.0, a + s.1));
        (all > 0.0).then(|| off / all)
    };
    // Each line is compared from both sides.
    let pixels = views.len() * rows.len() * n / 2;
    clearly_least(middle - REACH * n as f64, middle + REACH * n as f64, pixels, score)
}
