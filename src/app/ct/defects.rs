//! Samples that say nothing: NaN, infinity, and columns of the detector that are dead.
//!
//! A solver leaves them out. A filter cannot; for it they are filled from their neighbours, since a step in a view rings through
//! the whole image.

use crate::error::{Result, value_err};
use ndarray::{Array3, ArrayView3, ArrayViewMut1, Axis, s};

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

/// Views from which on a column that never changes is dead.
const VIEWS: usize = 8;

/// A dead column is this part of the largest value away from what is beside it, in half of the views.
const AWAY: f32 = 0.02;

impl Defects {
    /// Looks for them in views (slice, angle, detector). A column is dead that has one value in all views, while those beside it on
    /// either side change, and mostly differ from it.
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

/// Columns of (angle, detector) that never change, between others that do.
fn dead_columns(view: ndarray::ArrayView2<f32>) -> Vec<usize> {
    let (angles, n) = view.dim();
    if angles < VIEWS {
        return Vec::new();
    }
    let still = |d: usize| {
        let mut finite = view.column(d).into_iter().copied().filter(|v| v.is_finite());
        let first = finite.next();
        first.is_none_or(|first| finite.all(|v| v == first))
    };
    let still: Vec<bool> = (0..n).map(still).collect();
    let most = view.iter().filter(|v| v.is_finite()).fold(0.0f32, |m, v| m.max(v.abs()));
    let mut dead = Vec::new();
    let mut d = 0;
    while d < n {
        let end = (d..n).find(|&e| !still[e]).unwrap_or(n);
        if d > 0 && end > d && end < n {
            for column in d..end {
                let differs = |a: usize| {
                    let part = (column - d + 1) as f32 / (end - d + 1) as f32;
                    let beside = view[[a, d - 1]] * (1.0 - part) + view[[a, end]] * part;
                    // Without a finite one beside it there is nothing to differ from.
                    (view[[a, column]] - beside).abs() > AWAY * most || !view[[a, column]].is_finite()
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

    #[test]
    fn nothing_but_nan_is_an_error() {
        assert!(Defects::of(Array3::from_elem((1, 2, 3), f32::NAN).view()).is_err());
    }
}
