//! Coil maps from the gridded centre of k-space.

use super::extent::reach;
use super::grid_coils;
use crate::app::coils::{CoilMaps, estimate_maps};
use crate::error::value_err;
use crate::fourier::centred_dft;
use crate::linop::NufftOptions;
use crate::run::Device;
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayViewD, Axis, Ix3, Slice};
use num_complex::Complex32;

/// Estimates the sensitivities of a 2-D scan by [`estimate_maps`] (ESPIRiT), from the centre of the Cartesian k-space of its
/// density-compensated adjoint.
///
/// That centre is good where the scan is dense around the centre of k-space, as radial and spiral scans are.
///
/// # Errors
/// The image has not 2 axes; those of [`grid_coils`]; those of [`estimate_maps`].
pub fn calibrate_maps(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    matrix: &[usize],
    options: NufftOptions,
    device: &Device,
) -> Result<CoilMaps> {
    if matrix.len() != 2 {
        return value_err!("coil maps are estimated for images of 2 axes, this one has {}", matrix.len());
    }
    let side = matrix.iter().fold(calibration_side(trajectory.view())?, |side, n| side.min(*n));
    let gridded = gridded_kspace(kspace, trajectory, density, matrix, options, device)?;
    let gridded = gridded.into_dimensionality::<Ix3>().map_err(|e| Error::Shape(e.to_string()))?;
    let found = estimate_maps(gridded.view(), Some(side))?;
    Ok(CoilMaps { method: format!("{} of the gridded k-space", found.method), ..found })
}

/// The Cartesian k-space (coil, k…) of the density-compensated adjoint [`grid_coils`]: what coil maps of images of 2 or 3 axes are
/// estimated from, by [`espirit`](crate::app::espirit) or [`walsh`](crate::app::walsh), where the scan is dense around the centre
/// of k-space.
///
/// # Errors
/// Those of [`grid_coils`].
pub fn gridded_kspace(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    matrix: &[usize],
    options: NufftOptions,
    device: &Device,
) -> Result<ArrayD<Complex32>> {
    let mut images = grid_coils(kspace, trajectory, density, matrix, options, device)?;
    for axis in 1..images.ndim() {
        centred_dft(images.view_mut(), Axis(axis), false);
    }
    Ok(images)
}

/// The side of the centre of k-space that a trajectory (…, D) covers, in cycles per field of view: 8 to 24, what coil maps are
/// estimated from.
///
/// A step of k-space counts as covered where a sample lies within 3/4 of a step along each axis: what is farther from all samples
/// is a guess of the gridding. At the edge of what spokes cover it begins all around, in 3-D already close to the centre.
///
/// # Errors
/// Those of [`fitting_matrix`](super::fitting_matrix).
pub fn calibration_side(trajectory: ArrayViewD<f64>) -> Result<usize> {
    /// Half the sides that are looked for.
    const HALF: [usize; 2] = [4, 12];
    const NEAR: f64 = 0.75;
    /// Of the steps of a block, that may be farther away.
    const MISSING: f64 = 0.02;
    let d = reach(&trajectory)?.len();
    let [least, most] = HALF.map(|n| n as isize);
    let mut covered = ArrayD::from_elem(vec![2 * HALF[1]; d], false);
    for point in trajectory.lanes(Axis(trajectory.ndim() - 1)) {
        let steps = |k: f64| {
            ((k - NEAR).ceil().max(-(most as f64)) as isize)..=((k + NEAR).floor().min(most as f64 - 1.0) as isize)
        };
        let axis = |axis: usize| if axis < d { steps(point[axis]) } else { 0..=0 };
        for (z, y, x) in axis(0).flat_map(|z| axis(1).flat_map(move |y| axis(2).map(move |x| (z, y, x)))) {
            let at: Vec<usize> = [z, y, x][..d].iter().map(|k| (k + most) as usize).collect();
            covered[at.as_slice()] = true;
        }
    }
    let whole = |half: &isize| {
        let block = Slice::from(most - half..most + half);
        let mut within = covered.view();
        (0..d).for_each(|axis| within.slice_axis_inplace(Axis(axis), block));
        within.iter().filter(|c| !**c).count() as f64 <= MISSING * within.len() as f64
    };
    Ok(2 * (least..=most).rev().find(whole).unwrap_or(least) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::density::ramp_density;
    use crate::app::{SampleOptions, sample_scan, trajectory};

    #[test]
    fn finds_the_simulated_maps() {
        let n = 40;
        let k = trajectory::golden_radial(48, n, n).unwrap().into_dyn();
        let options = SampleOptions::default().ny(n).nx(n).coils(4).noise(0.001).seed(1);
        let scan = sample_scan(k.view(), &options).unwrap();
        let w = ramp_density(k.view()).unwrap();
        let calibrate = |matrix: &[usize]| {
            calibrate_maps(scan.kspace.view(), k.view(), w.view(), matrix, NufftOptions::default(), &Device::host())
        };
        let found = calibrate(&[n, n]).unwrap();
        assert!(found.method.contains("24 x 24") && found.method.contains("gridded"), "{}", found.method);
        let mut worst = 1.0f32;
        for (y, x) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
            if scan.reference[[y, x]].norm() < 0.15 {
                continue;
            }
            let inner: Complex32 = (0..4).map(|c| found.maps[[c, y, x]].conj() * scan.maps[[c, y, x]]).sum();
            let norm: f32 = (0..4).map(|c| scan.maps[[c, y, x]].norm_sqr()).sum();
            worst = worst.min(inner.norm() / norm.sqrt());
        }
        assert!(worst > 0.97, "{worst}");
        assert!(calibrate(&[n, n, n]).unwrap_err().to_string().contains("2 axes"));
    }

    #[test]
    fn the_side_is_what_spokes_cover() {
        let side = |k: ArrayD<f64>| calibration_side(k.view()).unwrap();
        // Spokes are a step apart at n/π of the centre.
        let radial = |n: usize| trajectory::golden_radial(n, 96, 48).unwrap().into_dyn();
        assert_eq!(side(radial(80)), 24);
        let few = side(radial(16));
        assert!((8..=14).contains(&few), "{few}");
        let ball = |n: usize| trajectory::koosh_ball(n, 96, 48).unwrap().into_dyn();
        assert_eq!(side(ball(4000)), 24);
        let few = side(ball(150));
        assert!((8..=12).contains(&few), "{few}");
        // The corners of a cube lie outside of a ball.
        let small = side(trajectory::koosh_ball(4000, 40, 20).unwrap().into_dyn());
        assert!((10..=16).contains(&small), "{small}");
        // Lines of a grid, and a gap at 5 steps from the centre.
        let grid = |skip: f64| {
            let all = (-16..16)
                .map(f64::from)
                .filter(|k| *k != skip)
                .flat_map(|y| (-16..16).flat_map(move |x| [y, f64::from(x)]));
            ArrayD::from_shape_vec(vec![if skip > 15.0 { 1024 } else { 992 }, 2], all.collect()).unwrap()
        };
        assert_eq!((side(grid(99.0)), side(grid(5.0))), (24, 10));
        assert!(calibration_side(ArrayD::zeros(vec![3]).view()).is_err());
    }
}
