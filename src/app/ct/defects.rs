//! Samples that say nothing: NaN, infinity, and columns of the detector that are dead.
//!
//! A solver leaves them out. A filter cannot; for it they are filled from their neighbours, since a step in a view rings through
//! the whole image.

use crate::error::{Result, value_err};
use ndarray::{Array3, ArrayView1, ArrayView3, ArrayViewMut1, Axis, s};

/// What was found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Defects {
    /// Whether each sample (slice, angle, detector) counts; None where all do.
    pub valid: Option<Array3<bool>>,
    /// Samples that are NaN or infinite.
    pub non_finite: usize,
    /// Slice and column of each that is dead.
    pub dead: Vec<(usize, usize)>,
}

/// Views from which on a column that never changes is dead, and one that changes by noise alone.
const VIEWS: usize = 8;
const VIEWS_OF_NOISE: usize = 24;

/// A dead column is this part of the largest value away from what is beside it, in half of the views.
const AWAY: f32 = 0.02;

/// A column of noise is so many times as far from what is beside it as columns are mostly.
const FAR: f32 = 4.0;

/// The correlation over views, with either of those beside it, below which a column tells nothing of the object.
const FOLLOWS: f64 = 0.5;

impl Defects {
    /// Looks for them in views (slice, angle, detector). A column is dead that has one value in all views, or noise about one, while
    /// those beside it on either side change, and mostly differ from it.
    ///
    /// # Errors
    /// No sample is finite, or all of a slice are defective.
    pub fn of(views: ArrayView3<f32>) -> Result<Defects> {
        let non_finite = views.iter().filter(|v| !v.is_finite()).count();
        let mut found = Defects { valid: None, non_finite, dead: Vec::new() };
        for (slice, view) in views.axis_iter(Axis(0)).enumerate() {
            let dead = dead_columns(view);
            found.dead.extend(dead.into_iter().map(|column| (slice, column)));
        }
        if found.is_none() {
            return Ok(found);
        }
        let mut valid = views.mapv(f32::is_finite);
        found.dead.iter().for_each(|&(slice, column)| valid.slice_mut(s![slice, .., column]).fill(false));
        if let Some(slice) = valid.axis_iter(Axis(0)).position(|slice| !slice.iter().any(|v| *v)) {
            return value_err!("slice {slice} holds no finite sample; there is nothing to reconstruct");
        }
        found.valid = Some(valid);
        Ok(found)
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.non_finite == 0 && self.dead.is_empty()
    }

    /// Fills them: along the detector by a line between the nearest that are valid; views that hold none from those beside them.
    pub fn fill(&self, views: &mut Array3<f32>) {
        let Some(valid) = &self.valid else { return };
        for (mut slice, valid) in views.axis_iter_mut(Axis(0)).zip(valid.axis_iter(Axis(0))) {
            let mut whole = Vec::new();
            for (mut row, valid) in slice.axis_iter_mut(Axis(0)).zip(valid.axis_iter(Axis(0))) {
                whole.push(bridge(row.view_mut(), &valid.to_vec()));
            }
            if whole.contains(&false) {
                slice.axis_iter_mut(Axis(1)).for_each(|column| {
                    bridge(column, &whole);
                });
            }
        }
    }
}

/// Columns of (angle, detector) that never change, or by noise alone, between others that do.
fn dead_columns(view: ndarray::ArrayView2<f32>) -> Vec<usize> {
    let (angles, n) = view.dim();
    if angles < VIEWS {
        return Vec::new();
    }
    let constant = |d: usize| {
        let mut finite = view.column(d).into_iter().copied().filter(|v| v.is_finite());
        let first = finite.next();
        first.is_none_or(|first| finite.all(|v| v == first))
    };
    let constant: Vec<bool> = (0..n).map(constant).collect();
    let beside: Vec<f64> = (1..n).map(|d| correlation(view.column(d - 1), view.column(d))).collect();
    let follows = |d: usize| {
        let sides = [d.checked_sub(1).map(|k| beside[k]), beside.get(d).copied()];
        sides.into_iter().flatten().any(|c| c >= FOLLOWS)
    };
    let still: Vec<bool> = (0..n).map(|d| constant[d] || angles >= VIEWS_OF_NOISE && !follows(d)).collect();
    let most = view.iter().filter(|v| v.is_finite()).fold(0.0f32, |m, v| m.max(v.abs()));
    // How far a column is from what those on either side, or on both, make of it: next to a dead one, those of the other side know.
    let off = |d: usize| {
        let of_row = |row: ArrayView1<f32>| {
            let line = |k: [usize; 2], w: [f32; 2]| (row[d] - w[0] * row[k[0]] - w[1] * row[k[1]]).abs();
            let left = if d >= 2 { line([d - 1, d - 2], [2.0, -1.0]) } else { f32::INFINITY };
            let right = if d + 2 < n { line([d + 1, d + 2], [2.0, -1.0]) } else { f32::INFINITY };
            line([d - 1, d + 1], [0.5, 0.5]).min(left).min(right)
        };
        median(view.rows().into_iter().map(of_row))
    };
    let off: Vec<f32> = (0..n).map(|d| if d > 0 && d + 1 < n { off(d) } else { 0.0 }).collect();
    let far = (AWAY * most).max(FAR * median(off.iter().copied()));
    let mut dead = Vec::new();
    let mut d = 0;
    while d < n {
        let end = (d..n).find(|&e| !still[e]).unwrap_or(n);
        if d > 0 && end > d && end < n {
            for column in d..end {
                if !constant[column] && off[column] <= far {
                    continue;
                }
                let away = if constant[column] { AWAY * most } else { far };
                let differs = |a: usize| {
                    let part = (column - d + 1) as f32 / (end - d + 1) as f32;
                    let beside = view[[a, d - 1]] * (1.0 - part) + view[[a, end]] * part;
                    // Without a finite one beside it there is nothing to differ from.
                    (view[[a, column]] - beside).abs() > away || !view[[a, column]].is_finite()
                };
                if 2 * (0..angles).filter(|&a| differs(a)).count() > angles {
                    dead.push(column);
                }
            }
        }
        d = end.max(d + 1);
    }
    dead
}

/// The median of those that are finite; 0 of none.
fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Pearson's correlation of two columns over the views in which both are finite; 0 where one does not change.
fn correlation(x: ArrayView1<f32>, y: ArrayView1<f32>) -> f64 {
    let pairs =
        || x.iter().zip(y).filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let count = pairs().count().max(1) as f64;
    let (x0, y0) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / count, b + y / count));
    let moments = |(xx, xy, yy), (x, y)| (xx + (x - x0) * (x - x0), xy + (x - x0) * (y - y0), yy + (y - y0) * (y - y0));
    let (xx, xy, yy) = pairs().fold((0.0, 0.0, 0.0), moments);
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

/// Draws lines between the valid values of a row; false where there are none.
fn bridge(mut row: ArrayViewMut1<f32>, valid: &[bool]) -> bool {
    let n = row.len();
    let Some(first) = valid.iter().position(|v| *v) else { return false };
    let mut before = first;
    (0..first).for_each(|d| row[d] = row[first]);
    for d in first + 1..n {
        if !valid[d] {
            continue;
        }
        for k in before + 1..d {
            let part = (k - before) as f32 / (d - before) as f32;
            row[k] = row[before] * (1.0 - part) + row[d] * part;
        }
        before = d;
    }
    (before + 1..n).for_each(|d| row[d] = row[before]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bump that moves, on a detector of 20.
    fn views() -> Array3<f32> {
        Array3::from_shape_fn((2, 10, 20), |(_, a, d)| (8.0 - (d as f32 - 9.5 - 0.3 * a as f32).abs()).max(0.0))
    }

    #[test]
    fn nothing_is_wrong_with_good_views() {
        let found = Defects::of(views().view()).unwrap();
        assert!(found.is_none() && found.valid.is_none());
        // What is the same in all views is dead nowhere.
        let same = Array3::from_shape_fn((1, 10, 20), |(_, _, d)| (8.0 - (d as f32 - 9.5).abs()).max(0.0));
        assert!(Defects::of(same.view()).unwrap().is_none());
    }

    #[test]
    fn dead_columns_and_nan_are_found_and_filled() {
        let good = views();
        let mut bad = good.clone();
        bad.slice_mut(s![1, .., 8..10]).fill(0.0);
        bad[[0, 3, 5]] = f32::NAN;
        bad.slice_mut(s![0, 4, ..]).fill(f32::INFINITY);
        let found = Defects::of(bad.view()).unwrap();
        assert_eq!((found.non_finite, found.dead.clone()), (21, vec![(1, 8), (1, 9)]));
        let valid = found.valid.clone().unwrap();
        assert_eq!(valid.iter().filter(|v| !**v).count(), 21 + 20);
        found.fill(&mut bad);
        let worst = good.iter().zip(&bad).map(|(g, b)| (g - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1.2, "{worst}");
        assert!((bad[[0, 3, 5]] - good[[0, 3, 5]]).abs() < 1e-5);
    }

    /// The view of a disc off the centre, with noise: (angle, detector).
    fn disc(noise: f32) -> Array3<f32> {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        Array3::from_shape_fn((1, 60, 64), |(_, a, d)| {
            let at = d as f32 - 31.5 - 12.0 * (a as f32 * std::f32::consts::PI / 60.0).cos();
            2.0 * (225.0 - at * at).max(0.0).sqrt() + noise * random()
        })
    }

    #[test]
    fn dead_columns_of_noise_are_found() {
        for noise in [0.0, 0.5, 3.0] {
            let mut views = disc(noise);
            assert!(Defects::of(views.view()).unwrap().is_none(), "noise {noise}");
            // One that is read out as noise, and two side by side.
            let other = disc(4.0);
            for (column, value) in [(40, 0.0), (25, 50.0), (26, 45.0)] {
                for a in 0..60 {
                    views[[0, a, column]] = value + 0.2 * other[[0, (a * 7 + column) % 60, 0]];
                }
            }
            let found = Defects::of(views.view()).unwrap();
            assert_eq!(found.dead, [(0, 25), (0, 26), (0, 40)], "noise {noise}");
            // A column of another gain tells of the object all the same.
            let mut views = disc(noise);
            views.slice_mut(s![.., .., 30]).mapv_inplace(|v| 1.3 * v + 3.0);
            assert!(Defects::of(views.view()).unwrap().is_none(), "noise {noise}");
        }
    }

    #[test]
    fn nothing_but_nan_is_an_error() {
        assert!(Defects::of(Array3::from_elem((1, 2, 3), f32::NAN).view()).is_err());
    }
}
