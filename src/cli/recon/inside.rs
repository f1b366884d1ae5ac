//! Samples that lie within the k-space of a smaller image.

use crate::cli::printer::short;
use crate::cli::samples::Samples;
use crate::cli::warnings::Warnings;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};

/// Which samples of a trajectory an image of given extents has in its k-space.
pub struct Inside {
    /// Extents of the samples.
    extents: Vec<usize>,
    /// Places in a row, ascending.
    kept: Vec<usize>,
    reach: f64,
}

impl Inside {
    /// Those with |k| of at most N/2 along each axis; None where that are all.
    pub fn of(trajectory: &ArrayD<f64>, matrix: &[usize]) -> Option<Inside> {
        /// As far beyond as the transform takes.
        const BEYOND: f64 = 1e-3;
        let last = Axis(trajectory.ndim().checked_sub(1)?);
        let fits =
            |k: ndarray::ArrayView1<f64>| k.iter().zip(matrix).all(|(k, n)| k.abs() <= *n as f64 * (0.5 + BEYOND));
        let kept: Vec<usize> =
            trajectory.lanes(last).into_iter().enumerate().filter(|(_, k)| fits(*k)).map(|(at, _)| at).collect();
        let extents = trajectory.shape()[..last.0].to_vec();
        let reach = trajectory.iter().fold(0.0f64, |r, k| r.max(k.abs()));
        (kept.len() < extents.iter().product()).then_some(Inside { extents, kept, reach })
    }

    /// Where a sample is among those that are kept.
    pub fn place(&self, at: &[usize]) -> Option<usize> {
        let index = at.iter().zip(&self.extents).fold(0, |index, (at, n)| index * n + at);
        self.kept.binary_search(&index).ok()
    }

    /// Values of the samples that are kept.
    pub fn values(&self, values: ArrayD<f64>) -> Result<ArrayD<f64>> {
        let row = values.into_shape_with_order(IxDyn(&[self.extents.iter().product()]));
        Ok(row.map_err(|e| Error::Shape(e.to_string()))?.select(Axis(0), &self.kept))
    }

    /// Leaves the others out of (coil, …) and (…, D), and says so: as a warning, where so much is hardly meant.
    pub fn apply(&self, samples: &mut Samples, matrix: &[usize], warnings: &Warnings) -> Result<()> {
        /// A quarter of the resolution.
        const MUCH: f64 = 2.5;
        let all: usize = self.extents.iter().product();
        if self.kept.is_empty() {
            return Err(Error::Value(format!(
                "no sample of the trajectory lies within the k-space of an image of {matrix:?}"
            )));
        }
        let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
        let (coils, d) = (samples.values.len_of(Axis(0)), matrix.len());
        let values = samples.values.as_standard_layout().into_owned();
        let values = values.into_shape_with_order(IxDyn(&[coils, all])).map_err(wrong)?;
        samples.values = values.select(Axis(1), &self.kept);
        let points = samples.trajectory.as_standard_layout().into_owned();
        let points = points.into_shape_with_order(IxDyn(&[all, d])).map_err(wrong)?;
        samples.trajectory = points.select(Axis(0), &self.kept);
        let half = matrix.iter().max().map_or(0.0, |n| *n as f64 / 2.0);
        let said = format!(
            "the trajectory reaches {}, an image of {matrix:?} only {half}: {} of {all} samples are left out",
            short(self.reach),
            all - self.kept.len()
        );
        if self.reach > MUCH * half {
            warnings.say_cause(format!(
                "{said}; if the reach is in other units, give --traj-units 1/m or rad/m with --fov MM"
            ));
        } else {
            samples.notes.push(format!("{said} (in cycles per field of view; else see --traj-units)"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_complex::Complex32;

    #[test]
    fn samples_beyond_are_left_out() {
        let trajectory =
            ArrayD::from_shape_fn(vec![3, 4, 2], |i| (i[0] * 4 + i[1]) as f64 * if i[2] == 0 { 1.0 } else { -0.5 });
        assert!(Inside::of(&trajectory, &[24, 24]).is_none());
        let inside = Inside::of(&trajectory, &[12, 24]).unwrap();
        assert_eq!((inside.place(&[1, 1]), inside.place(&[2, 0])), (Some(5), None));
        let values = ArrayD::from_shape_fn(vec![2, 3, 4], |i| Complex32::from((i[0] * 100 + i[1] * 4 + i[2]) as f32));
        let weights = ArrayD::from_shape_fn(vec![3, 4], |i| (i[0] * 4 + i[1]) as f64);
        let mut samples = Samples { values, trajectory, units: String::new(), info: None, notes: Vec::new() };
        inside.apply(&mut samples, &[12, 24], &Warnings::default()).unwrap();
        assert!(samples.notes[0].contains("5 of 12 samples"), "{:?}", samples.notes);
        assert_eq!(samples.values.shape(), [2, 7]);
        assert_eq!((samples.values[[1, 6]].re, samples.trajectory[[6, 1]]), (106.0, -3.0));
        assert_eq!(inside.values(weights).unwrap()[[6]], 6.0);
    }
}
