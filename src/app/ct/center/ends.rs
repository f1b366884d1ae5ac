//! The axis from both ends of half a turn of parallel rays. Two views half a turn apart are each other's mirror images around the
//! axis. Where they miss that by an angle δ, the object has moved on in between, and the axis seems to be off by an amount that
//! is linear in δ as long as δ is small; so a line through what several pairs say has the axis at δ = 0.

use super::{Estimate, REACH, clearly_least, least, read};
use ndarray::Array2;
use std::f64::consts::PI;

/// Pairs miss half a turn by at most this angle, or so many times as the nearest does.
const MISSED: f64 = 0.1;
const TIMES: f64 = 6.0;

/// Pairs at most.
const PAIRS: usize = 40;

/// The axis, from smoothed views (angle, detector) of several slices.
pub(super) fn find(slices: &[Array2<f64>], angles: &[f64]) -> Option<Estimate> {
    let mut pairs: Vec<(usize, usize, f64)> = Vec::new();
    for (a, first) in angles.iter().enumerate() {
        for (b, second) in angles.iter().enumerate().skip(a + 1) {
            // From the earlier one, with half a turn to the later one in either sense.
            let apart = (second - first).rem_euclid(2.0 * PI);
            let (from, to, missed) = if second >= first { (a, b, apart - PI) } else { (b, a, PI - apart) };
            if missed.abs() <= MISSED {
                pairs.push((from, to, missed));
            }
        }
    }
    pairs.sort_by(|p, q| p.2.abs().total_cmp(&q.2.abs()));
    let nearest = pairs.first()?.2.abs();
    pairs.retain(|p| p.2.abs() <= TIMES * nearest.max(0.5 * spacing(angles)));
    pairs.truncate(PAIRS);
    let rows: Vec<Vec<Vec<f64>>> = slices.iter().map(|s| s.rows().into_iter().map(|r| r.to_vec()).collect()).collect();
    let n = rows.first()?.first()?.len();
    let middle = 0.5 * (n as f64 - 1.0);
    let (low, high) = (middle - REACH * n as f64, middle + REACH * n as f64);
    let score = |&(a, b, _): &(usize, usize, f64), center: f64| {
        let (mut off, mut all) = (0.0, 0.0);
        for rows in &rows {
            for (d, here) in rows[a].iter().enumerate() {
                let Some(there) = read(&rows[b], 2.0 * center - d as f64) else { continue };
                off += (here - there).powi(2);
                all += here * here + there * there;
            }
        }
        (all > 0.0).then(|| off / all)
    };
    // Roughly from all of them, then from each one beside that.
    let together = |center: f64| pairs.iter().map(|p| score(p, center)).sum::<Option<f64>>();
    let rough = clearly_least(low, high, pairs.len() * rows.len() * n, together)?;
    let beside = 2.0 + 0.3 * pairs.last()?.2.abs() * n as f64;
    let found: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|p| Some((p.2, least((rough - beside).max(low), (rough + beside).min(high), |c| score(p, c))?)))
        .collect();
    line(&found, rough)
}

/// The usual step from one view to the next.
fn spacing(angles: &[f64]) -> f64 {
    let mut steps: Vec<f64> = angles.windows(2).map(|w| (w[1] - w[0]).abs()).filter(|s| *s > 1e-9).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(0.0)
}

/// The line through (δ, axis) at δ = 0, with its standard deviation by what is left over.
fn line(points: &[(f64, f64)], rough: f64) -> Option<Estimate> {
    let count = points.len() as f64;
    if points.is_empty() {
        return None;
    }
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / count, y + p.1 / count));
    let (xx, xy) = points.iter().fold((0.0, 0.0), |(s, t), p| (s + (p.0 - x).powi(2), t + (p.0 - x) * (p.1 - y)));
    if points.len() < 3 || xx <= 1e-12 {
        // Too few for a line; what one of them is off by is not known.
        let nearest = points.iter().min_by(|p, q| p.0.abs().total_cmp(&q.0.abs()))?;
        return Some(Estimate { index: nearest.1, deviation: 0.1 + 0.3 * (nearest.1 - rough).abs() });
    }
    let slope = xy / xx;
    let left: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    // Pairs share views, and so their noise: count them as so many less.
    let variance = 4.0 * left / (count - 2.0) * (1.0 / count + x * x / xx);
    Some(Estimate { index: y - slope * x, deviation: variance.sqrt() })
}
