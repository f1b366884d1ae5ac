//! Density compensation: how much of k-space each sample of a non-Cartesian scan stands for.
//!
//! A weight is the area (2-D) or volume (3-D) of the sample's share of k-space, in cycles per field of view squared or cubed.
//! So a fully sampled Cartesian grid has weights of 1, and with the orthonormal non-uniform Fourier transform N and the
//! weights W, Nᴴ W N is near the identity wherever sampling is dense enough.

mod pipe;
mod ramp;
mod voronoi;

pub use pipe::pipe_density;
pub use ramp::ramp_density;
pub use voronoi::voronoi_density;

use crate::Result;
use crate::error::value_err;
use ndarray::{ArrayViewD, Axis};

/// D of a trajectory (…, D), which must be finite and one of `allowed`.
fn dims(trajectory: &ArrayViewD<f64>, allowed: &[usize], what: &str) -> Result<usize> {
    let shape = trajectory.shape();
    let d = shape.last().copied().unwrap_or(0);
    if shape.len() < 2 || !allowed.contains(&d) {
        let expected: Vec<String> = allowed.iter().map(|d| format!("(…, {d})")).collect();
        return value_err!("{what} needs a trajectory {}, this one is {shape:?}", expected.join(" or "));
    }
    let last = Axis(shape.len() - 1);
    if let Some(index) = trajectory.lanes(last).into_iter().position(|p| p.iter().any(|v| !v.is_finite())) {
        return value_err!("the trajectory is NaN or infinite at sample {index}");
    }
    Ok(d)
}
