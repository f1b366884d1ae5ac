//! The axis from the centres of mass of the views of parallel rays. That of the object moves around the axis, so that of the view
//! at θ lies at c + a cos θ + b sin θ (Helgason and Ludwig's conditions of order 1; Azevedo and others, IEEE Trans. Nucl. Sci.
//! 37:1525, 1990).

use super::Estimate;
use ndarray::Array2;

/// Columns belong to the object whose mean over the views is above this part of the largest.
const OBJECT: f64 = 0.01;

/// Masses of the views differ by at most this part; else they do not all show the whole object.
const SPREAD: f64 = 0.05;

/// The axis, from views (angle, detector) of several slices.
pub(super) fn find(slices: &[Array2<f64>], angles: &[f64]) -> Option<Estimate> {
    let mut found: Vec<(f64, f64, f64)> = Vec::new();
    for view in slices {
        let Some(points) = points(view) else { continue };
        let Some((index, deviation)) = sinusoid(&points, angles) else { continue };
        let mass: f64 = points.iter().map(|p| p.0).sum();
        found.push((index, deviation, mass));
    }
    let all: f64 = found.iter().map(|f| f.2).sum();
    if found.is_empty() || all <= 0.0 {
        return None;
    }
    let index = found.iter().map(|f| f.0 * f.2).sum::<f64>() / all;
    let deviation = found.iter().map(|f| (f.1 * f.2).powi(2)).sum::<f64>().sqrt() / all;
    Some(Estimate { index, deviation })
}

/// The columns of the object, with a margin.
fn columns(view: &Array2<f64>) -> Option<std::ops::Range<usize>> {
    let (angles, n) = view.dim();
    let mean: Vec<f64> = view.columns().into_iter().map(|c| c.sum() / angles as f64).collect();
    let most = mean.iter().copied().fold(0.0, f64::max);
    let margin = 2 + n / 32;
    let first = mean.iter().position(|m| *m > OBJECT * most)?.saturating_sub(margin);
    let end = (mean.iter().rposition(|m| *m > OBJECT * most)? + 1 + margin).min(n);
    Some(first..end)
}

/// How far the object reaches from an axis.
pub(super) fn reach(view: &Array2<f64>, axis: f64) -> Option<f64> {
    let columns = columns(view)?;
    Some((columns.end as f64 - 1.0 - axis).max(axis - columns.start as f64))
}

/// Mass and centre of each view; None where they do not tell.
fn points(view: &Array2<f64>) -> Option<Vec<(f64, f64)>> {
    let angles = view.nrows();
    let std::ops::Range { start: first, end } = columns(view)?;
    // What is beside the object is the background.
    let mut beside: Vec<f64> = view
        .columns()
        .into_iter()
        .enumerate()
        .filter(|(d, _)| !(first..end).contains(d))
        .flat_map(|(_, c)| c.to_vec())
        .collect();
    beside.sort_by(f64::total_cmp);
    let background = if beside.len() >= angles { beside[beside.len() / 2] } else { 0.0 };
    let moments = |row: ndarray::ArrayView1<f64>| {
        let values = (first..end).map(|d| (d as f64, row[d] - background));
        let (mass, first) = values.fold((0.0, 0.0), |(m, f), (d, v)| (m + v, f + v * d));
        (mass, first / mass)
    };
    let points: Vec<(f64, f64)> = view.rows().into_iter().map(moments).collect();
    let mean = points.iter().map(|p| p.0).sum::<f64>() / angles as f64;
    let spread = (points.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>() / angles as f64).sqrt();
    (mean > 0.0 && spread <= SPREAD * mean && points.iter().all(|p| p.1.is_finite())).then_some(points)
}

/// c of c + a cos θ + b sin θ by least squares, with its standard deviation by what is left over.
fn sinusoid(points: &[(f64, f64)], angles: &[f64]) -> Option<(f64, f64)> {
    let terms = |a: f64| [1.0, a.cos(), a.sin()];
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for ((_, at), &angle) in points.iter().zip(angles) {
        let t = terms(angle);
        for i in 0..3 {
            right[i] += t[i] * at;
            (0..3).for_each(|j| normal[i][j] += t[i] * t[j]);
        }
    }
    let inverse = inverse(normal)?;
    let fit = inverse.map(|row| row.iter().zip(&right).map(|(a, b)| a * b).sum::<f64>());
    let off = |(p, a): (&(f64, f64), &f64)| (p.1 - terms(*a).iter().zip(&fit).map(|(t, f)| t * f).sum::<f64>()).powi(2);
    let left: f64 = points.iter().zip(angles).map(off).sum();
    let free = points.len().checked_sub(3).filter(|f| *f > 0)?;
    Some((fit[0], (left / free as f64 * inverse[0][0]).sqrt()))
}

/// The inverse of a symmetric matrix, unless it is near to none: angles over too little of a turn.
fn inverse(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |i: usize, j: usize| {
        let (r, c) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        m[r[0]][c[0]] * m[r[1]][c[1]] - m[r[0]][c[1]] * m[r[1]][c[0]]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    let size = m[0][0].powi(3);
    (determinant > 1e-4 * size).then(|| [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / determinant)))
}
