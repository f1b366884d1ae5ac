//! The analytic density compensation of radial scans.

use super::dims;
use crate::Result;
use crate::error::{shape_err, value_err};
use ndarray::{Array1, Array2, ArrayD, ArrayViewD, Axis, IxDyn};
use std::f64::consts::PI;

/// The ramp of a radial trajectory (spoke…, sample, D), D 2 or 3, as weights (spoke…, sample).
///
/// Right for straight spokes through the centre, or from the centre outwards, whose directions are spread evenly over the
/// circle or the sphere: [`radial`](crate::app::trajectory::radial), golden angles, and
/// [`koosh_ball`](crate::app::trajectory::koosh_ball). Each sample gets its spoke's share of the ring or shell around it,
/// between the midpoints to its neighbours on the spoke: dr·π|k|/spokes in 2-D away from the centre for full spokes. The
/// steps along a spoke may vary. Not right for directions that are not even, nor for stacks of stars, spirals and others; take
/// Pipe and Menon's iteration or Voronoi cells for those.
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) when D is not 2 or 3, a coordinate is not finite, or a spoke is not straight through
/// the centre; [`Error::Shape`](crate::Error::Shape) with fewer than two samples a spoke.
pub fn ramp_density(trajectory: ArrayViewD<f64>) -> Result<ArrayD<f64>> {
    let d = dims(&trajectory, &[2, 3], "the ramp")?;
    let shape = trajectory.shape()[..trajectory.ndim() - 1].to_vec();
    let samples = shape[shape.len() - 1];
    if samples < 2 {
        return shape_err!(
            "the ramp needs a trajectory (spoke, sample, {d}) with at least 2 samples a spoke, this one is {:?}",
            trajectory.shape()
        );
    }
    let spokes: usize = shape[..shape.len() - 1].iter().product();
    let points = trajectory.as_standard_layout().into_owned().into_shape_with_order((spokes * samples, d));
    let Ok(points) = points else {
        return shape_err!("the trajectory does not split into spokes of {samples} samples");
    };
    let mut positions = Array2::zeros((spokes, samples));
    let mut arms = 0;
    for (number, spoke) in points.axis_chunks_iter(Axis(0), samples).enumerate() {
        let Some(along) = positions_along(&spoke.to_owned()) else {
            return value_err!(
                "spoke {number} is not a straight line through the centre of k-space: the ramp is for radial trajectories \
                 (spoke, sample, {d}); use pipe, or in 2-D voronoi, for others"
            );
        };
        let reach = along.iter().fold(0.0f64, |r, t| r.max(t.abs()));
        // Readouts may begin a little before the centre, or miss a little of one half.
        arms += usize::from(along.iter().any(|t| *t > reach / 2.0));
        arms += usize::from(along.iter().any(|t| *t < -reach / 2.0));
        positions.row_mut(number).assign(&along);
    }
    let whole = if d == 2 { 2.0 * PI } else { 4.0 * PI };
    let share = whole / arms as f64;
    let mut weights = Array2::zeros((spokes, samples));
    for (mut to, along) in weights.rows_mut().into_iter().zip(positions.rows()) {
        for i in 0..samples {
            let cell = cell(along.as_slice().unwrap_or(&[]), i).map(|t| ball(t, d));
            to[i] = share * (cell[1] - cell[0]).abs();
        }
    }
    weights.into_shape_with_order(IxDyn(&shape)).map_err(|e| crate::Error::Shape(e.to_string()))
}

/// Signed distances from the centre along a spoke, rising or falling; `None` when it is no straight line through the centre.
fn positions_along(spoke: &Array2<f64>) -> Option<Array1<f64>> {
    let n = spoke.nrows();
    let chord = &spoke.row(n - 1) - &spoke.row(0);
    let length = chord.dot(&chord).sqrt();
    if length <= 0.0 {
        return None;
    }
    let direction = chord / length;
    let along = spoke.dot(&direction);
    // Gradient delays move spokes off the centre, by less than a sample.
    let tolerance = length / (n - 1) as f64;
    let straight = spoke.rows().into_iter().zip(&along).all(|(p, t)| {
        let off = &p - &(&direction * *t);
        off.dot(&off).sqrt() <= tolerance
    });
    let rising = along.windows(2).into_iter().all(|w| w[1] >= w[0]);
    (straight && rising).then_some(along)
}

/// From the midpoint before sample `i` to the midpoint after it; the ends reach half a step further, though not over the centre.
fn cell(along: &[f64], i: usize) -> [f64; 2] {
    let last = along.len() - 1;
    let middle = |a: usize, b: usize| (along[a] + along[b]) / 2.0;
    let low = if i > 0 {
        middle(i - 1, i)
    } else {
        let end = along[0] - (along[1] - along[0]) / 2.0;
        if along[0] >= 0.0 { end.max(0.0) } else { end }
    };
    let high = if i < last {
        middle(i, i + 1)
    } else {
        let end = along[last] + (along[last] - along[last - 1]) / 2.0;
        if along[last] <= 0.0 { end.min(0.0) } else { end }
    };
    [low, high]
}

/// ∫₀ᵗ |ρ|^(D−1) dρ
fn ball(t: f64, d: usize) -> f64 {
    t.signum() * t.abs().powi(d as i32) / d as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::trajectory::{golden_radial, koosh_ball, radial, spiral, stack_of_stars};

    #[test]
    fn weights_are_areas_of_rings() {
        let w = ramp_density(radial(16, 32, 32).unwrap().view().into_dyn()).unwrap();
        assert_eq!(w.shape(), [16, 32]);
        for (r, i) in [(1.0, 17), (5.0, 11), (15.0, 31)] {
            assert!((w[[3, i]] - PI * r / 16.0).abs() < 1e-12);
        }
        assert!((w[[3, 16]] - PI / 4.0 / 16.0).abs() < 1e-12);
        // Together they are the disc, give or take the missing sample at the positive end.
        let expected = PI * 16.5f64.powi(2) - PI * 16.0 / 1.0;
        assert!((w.sum() - expected).abs() < 1e-9, "{} {expected}", w.sum());
        // Twice as many samples of a spoke share the same disc.
        let fine = ramp_density(golden_radial(16, 64, 32).unwrap().view().into_dyn()).unwrap();
        assert!((fine[[0, 32 + 10]] - PI * 5.0 * 0.5 / 16.0).abs() < 1e-12);
    }

    #[test]
    fn weights_are_volumes_of_shells() {
        let spokes = 50;
        let w = ramp_density(koosh_ball(spokes, 9, 9).unwrap().view().into_dyn()).unwrap();
        let expected = 4.0 / 3.0 * PI * 4.5f64.powi(3);
        assert!((w.sum() - expected).abs() < 1e-9 * expected);
        assert!((w[[7, 6]] - (2.5f64.powi(3) - 1.5f64.powi(3)) * 2.0 * PI / 3.0 / spokes as f64).abs() < 1e-12);
    }

    #[test]
    fn outward_spokes_share_the_disc_too() {
        let full = radial(8, 33, 33).unwrap();
        let k = ndarray::concatenate![
            Axis(0),
            full.slice(ndarray::s![.., 16.., ..]),
            -&full.slice(ndarray::s![.., 16.., ..])
        ];
        let w = ramp_density(k.view().into_dyn()).unwrap();
        assert!((w.sum() - PI * 16.5f64.powi(2)).abs() < 1e-9);
        // Stored from the rim inwards it is the same.
        let inwards = k.slice(ndarray::s![.., ..;-1, ..]).to_owned();
        let w_in = ramp_density(inwards.view().into_dyn()).unwrap();
        assert!((w_in[[3, 0]] - w[[3, 16]]).abs() < 1e-12 && (w_in[[3, 16]] - w[[3, 0]]).abs() < 1e-12);
    }

    #[test]
    fn other_trajectories_are_refused() {
        let message = |k: ArrayViewD<f64>| ramp_density(k).unwrap_err().to_string();
        assert!(message(spiral(2, 100, 16, 4.0).unwrap().view().into_dyn()).contains("spoke 0 is not a straight"));
        assert!(message(stack_of_stars(4, 8, 16, 16).unwrap().view().into_dyn()).contains("not a straight line"));
        assert!(message(ArrayD::zeros(vec![3, 1, 2]).view()).contains("at least 2 samples"));
        assert!(message(ArrayD::zeros(vec![3, 4, 4]).view()).contains("(…, 2) or (…, 3)"));
        assert!(message(ArrayD::zeros(vec![3, 4, 2]).view()).contains("spoke 0"));
        let mut k = radial(4, 8, 8).unwrap().into_dyn();
        k[[2, 1, 0]] = f64::NAN;
        assert!(message(k.view()).contains("sample 17"));
    }
}
