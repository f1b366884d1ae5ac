//! Pipe and Menon's iteration for density compensation.

use super::dims;
use crate::app::noncartesian::check_extent;
use crate::error::{Error, Result, value_err};
use crate::linop::{self, Boundary, InterpolateOptions, InterpolationKernel, KernelNorm};
use crate::run::Device;
use crate::tensor::Tensor;
use ndarray::{Array1, ArrayD, ArrayViewD, IxDyn};
use std::f64::consts::PI;

/// Width of the kernel, in cells of the oversampled grid.
const WIDTH: f64 = 4.0;

/// Weights (…) for any trajectory (…, D), D from 1 to 3, in cycles per field of view, of an image of these extents.
///
/// Each of `iterations` divides the weights by what gridding them and interpolating at the samples makes of them,
/// w ← w / P Pᴴ w with a Kaiser-Bessel kernel; 30 do for most scans. The result is scaled
/// by the integral of the kernel, so that it is in cycles per field of view to the power D like every other. Where samples are
/// farther apart than the kernel reaches, some 2 cycles, their weights no longer grow with the distance. Pipe and Menon, Magn.
/// Reson. Med. 41:179 (1999).
///
/// # Errors
/// The trajectory does not fit the image (see [`check_extent`]), or the device fails.
pub fn pipe_density(
    trajectory: ArrayViewD<f64>,
    matrix: &[usize],
    iterations: usize,
    device: &Device,
) -> Result<ArrayD<f64>> {
    let d = dims(&trajectory, &[1, 2, 3], "Pipe and Menon's density compensation")?;
    check_extent(trajectory.view(), matrix)?;
    if iterations == 0 {
        return value_err!("the number of iterations is 0; expected at least 1");
    }
    // In 3-D the grid is what takes the memory.
    let oversampling = if d == 3 { 1.5 } else { 2.0 };
    let grid: Vec<usize> =
        matrix.iter().map(|n| ((oversampling * *n as f64).ceil() as usize).max(WIDTH as usize + 1)).collect();
    let step: Vec<f64> = matrix.iter().zip(&grid).map(|(n, p)| *p as f64 / *n as f64).collect();
    let shape = &trajectory.shape()[..trajectory.ndim() - 1];
    let samples: usize = shape.iter().product();
    let values = trajectory.iter().enumerate().map(|(i, k)| {
        let p = grid[i % d] as f64;
        (k * step[i % d] + (p / 2.0).floor()).rem_euclid(p)
    });
    let failed = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    let locs = ArrayD::from_shape_vec(IxDyn(&[samples, d]), values.collect()).map_err(failed)?;

    // The kernel's Fourier transform is then 0 at a distance of one field of view, so that a fully sampled grid has equal
    // weights of 1 exactly; that is shorter than the kernel of a transform, whose error depends on what lies farther out.
    let beta = PI * ((WIDTH / oversampling).powi(2) - 1.0).sqrt();
    let options = InterpolateOptions::default()
        .width(vec![WIDTH])
        .kernel(InterpolationKernel::KaiserBessel { beta })
        .norm(KernelNorm::Product)
        .boundary(Boundary::Circular);
    let axes = ["Gz", "Gy", "Gx"];
    let axes = &axes[3 - d..];
    let input: Vec<String> = axes.iter().zip(&grid).map(|(axis, n)| format!("{axis}={n}")).collect();
    let interpolate = linop::interpolate(input.join(" "), &locs, axes.join(" "), &options, "K")?;
    // The kernel's integral, for gridding and for interpolation; and the size of a cell.
    let integral = (WIDTH / 2.0 * 2.0 * beta.sinh() / beta).powi(d as i32);
    let scale = integral / step.iter().product::<f64>() * integral;

    let mut weights = Array1::<f64>::ones(samples);
    for _ in 0..iterations {
        // Near 1 in all, whatever the kernel's scale.
        let narrow = weights.mapv(|w| w as f32);
        let gridded = interpolate.h().apply(&Tensor::from_array(narrow, "K")?.to(device)?)?;
        let seen = interpolate.apply(&gridded)?.to(&Device::host())?.to_real_array()?;
        for (w, seen) in weights.iter_mut().zip(&seen) {
            *w /= f64::from(*seen) / scale;
        }
    }
    weights.into_shape_with_order(IxDyn(shape)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::density::ramp_density;
    use crate::app::trajectory::{koosh_ball, radial};
    use ndarray::Array2;

    #[test]
    fn a_grid_has_weights_of_1() {
        let n = 12;
        let grid = Array2::from_shape_fn((n * n, 2), |(i, axis)| if axis == 0 { i / n } else { i % n } as f64 - 6.0);
        let w = pipe_density(grid.view().into_dyn(), &[n, n], 5, &Device::host()).unwrap();
        assert!(w.iter().all(|w| (w - 1.0).abs() < 0.02), "{w}");
    }

    #[test]
    fn spokes_agree_with_the_ramp() {
        let k = radial(50, 32, 32).unwrap().into_dyn();
        // They are even only over the width of the kernel: the iteration sharpens what is finer.
        let w = pipe_density(k.view(), &[32, 32], 30, &Device::host()).unwrap();
        let ramp = ramp_density(k.view()).unwrap();
        for i in (3..30usize).filter(|i| i.abs_diff(16) > 2) {
            assert!((w[[7, i]] / ramp[[7, i]] - 1.0).abs() < 0.3, "{i}: {} {}", w[[7, i]], ramp[[7, i]]);
        }
        let (a, b) = (w.sum(), ramp.sum());
        assert!((a / b - 1.0).abs() < 0.05, "{a} {b}");
    }

    #[test]
    fn a_ball_agrees_with_the_shells() {
        let k = koosh_ball(150, 10, 10).unwrap().into_dyn();
        let w = pipe_density(k.view(), &[10, 10, 10], 20, &Device::host()).unwrap();
        let (a, b) = (w.sum(), ramp_density(k.view()).unwrap().sum());
        assert!((a / b - 1.0).abs() < 0.2, "{a} {b}");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let k = radial(5, 32, 32).unwrap().into_dyn();
        let message = |matrix: &[usize], n| pipe_density(k.view(), matrix, n, &Device::host()).unwrap_err().to_string();
        assert!(message(&[16, 16], 5).contains("beyond"));
        assert!(message(&[32, 32, 32], 5).contains("axes"));
        assert!(message(&[32, 32], 0).contains("iterations"));
    }
}
