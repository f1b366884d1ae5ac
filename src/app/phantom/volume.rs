//! The head in three dimensions: the ellipses as the middle slices of ellipsoids.

use super::{ELLIPSES, Ellipse, ellipses};
use ndarray::parallel::prelude::*;
use ndarray::{Array3, Axis};
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

/// Half axis and centre of each ellipsoid along z, on \[-1, 1\]: about those of the volume that M. Schabel made of the head
/// (phantom3d, 2006), whose second rotation is left out.
const ALONG_Z: [[f64; 2]; ELLIPSES.len()] = [
    [0.81, 0.0],
    [0.78, 0.0],
    [0.22, 0.0],
    [0.28, 0.0],
    [0.41, -0.15],
    [0.05, 0.25],
    [0.05, 0.25],
    [0.05, 0.0],
    [0.02, 0.0],
    [0.02, 0.0],
];

/// The ellipses with half axis and centre along z, in units of the field of view.
fn ellipsoids() -> impl Iterator<Item = (Ellipse, f64, f64)> {
    ellipses().zip(ALONG_Z).map(|(e, [half, centre])| (e, half / 2.0, centre / 2.0))
}

/// The continuous Fourier transform ∫ρ(r) exp(−2πi k·r) dr of [`shepp_logan_volume`] over the unit field of view.
///
/// `kx` (columns), `ky` (rows, downwards) and `kz` (slices) are in cycles per field of view and need not be whole. The centred
/// orthonormal DFT of an (nz, ny, nx) image samples √(nz·ny·nx) times this.
pub fn shepp_logan_volume_kspace(kx: f64, ky: f64, kz: f64) -> Complex64 {
    ellipsoids()
        .map(|(e, half, centre)| {
            let [u, v] = e.turn(kx, ky);
            let radius = TAU * (u * e.half[0]).hypot(v * e.half[1]).hypot(kz * half);
            // A unit ball transforms to 4π (sin s − s cos s)/s³; near 0 that is 4π/3 (1 − s²/10).
            let ball = if radius < 1e-3 {
                4.0 * PI / 3.0 * (1.0 - radius * radius / 10.0)
            } else {
                4.0 * PI * (radius.sin() - radius * radius.cos()) / radius.powi(3)
            };
            let phase = -TAU * (kx * e.centre[0] + ky * e.centre[1] + kz * centre);
            Complex64::cis(phase) * (e.intensity * e.half[0] * e.half[1] * half * ball)
        })
        .sum()
}

/// The head as an (nz, ny, nx) image, each voxel the mean of 4 × 4 × 4 points.
///
/// Voxel (nz / 2, ny / 2, nx / 2) is centred on the field of view's middle. Values are from 0 to 1.
pub fn shepp_logan_volume(nz: usize, ny: usize, nx: usize) -> Array3<f32> {
    const POINTS: usize = 4;
    let shapes: Vec<(Ellipse, f64, f64)> = ellipsoids().collect();
    let place =
        |i: usize, s: usize, n: usize| (i as f64 - (n / 2) as f64 + (s as f64 + 0.5) / POINTS as f64 - 0.5) / n as f64;
    let density = |z: f64, y: f64, x: f64| -> f64 {
        let inside = shapes.iter().filter(|(e, half, centre)| {
            let [u, v] = e.turn(x - e.centre[0], y - e.centre[1]);
            (u / e.half[0]).powi(2) + (v / e.half[1]).powi(2) + ((z - centre) / half).powi(2) <= 1.0
        });
        inside.map(|(e, ..)| e.intensity).sum()
    };
    let mut image = Array3::zeros((nz, ny, nx));
    image.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(slice, mut voxels)| {
        for ((row, column), voxel) in voxels.indexed_iter_mut() {
            let point = |s: usize| {
                let z = place(slice, s / (POINTS * POINTS), nz);
                density(z, place(row, s / POINTS % POINTS, ny), place(column, s % POINTS, nx))
            };
            let all = POINTS * POINTS * POINTS;
            *voxel = ((0..all).map(point).sum::<f64>() / all as f64) as f32;
        }
    });
    image
}

#[cfg(test)]
mod tests {
    use super::super::shepp_logan_image;
    use super::*;
    use crate::Tensor;
    use crate::app::density::ramp_density;
    use crate::app::trajectory::koosh_ball;
    use crate::linop::{self, NufftOptions};
    use num_complex::Complex32;

    #[test]
    fn kspace_is_the_transform_of_the_volume() {
        let (nz, ny, nx) = (60, 50, 64);
        let volume = shepp_logan_volume(nz, ny, nx);
        for (kz, ky, kx) in [(0.0, 0.0, 0.0), (2.0, 3.0, -2.0), (-1.5, -1.5, 2.5), (3.0, 0.0, 0.0)] {
            let turns = |i: usize, n: usize, k: f64| k * (i as f64 - (n / 2) as f64) / n as f64;
            let sum: Complex64 = volume
                .indexed_iter()
                .map(|((z, y, x), &v)| {
                    let turns = turns(z, nz, kz) + turns(y, ny, ky) + turns(x, nx, kx);
                    Complex64::cis(-TAU * turns) * f64::from(v)
                })
                .sum();
            let error = (sum / volume.len() as f64 - shepp_logan_volume_kspace(kx, ky, kz)).norm();
            assert!(error < 2e-3 * shepp_logan_volume_kspace(0.0, 0.0, 0.0).re, "{error}");
        }
        // Where the formula changes it has no step.
        let s = 1e-3 / TAU / 0.3;
        let step = shepp_logan_volume_kspace(0.0, 0.0, s * 0.99999) - shepp_logan_volume_kspace(0.0, 0.0, s * 1.00001);
        assert!(step.norm() < 1e-9);
    }

    #[test]
    fn the_middle_slice_is_the_head() {
        let volume = shepp_logan_volume(65, 64, 64);
        let image = shepp_logan_image(64, 64);
        let differ = image.indexed_iter().filter(|((y, x), v)| (volume[[32, *y, *x]] - **v).abs() > 0.15).count();
        // The smallest ellipses and slanted edges differ within a slice.
        assert!(differ < 64 * 64 / 50, "{differ}");
        assert_eq!(volume[[0, 32, 32]], 0.0);
    }

    #[test]
    fn a_koosh_ball_of_its_kspace_is_gridded_to_the_volume() {
        let n = 24;
        let k = koosh_ball(1000, 2 * n, n).unwrap().into_dyn();
        let w = ramp_density(k.view()).unwrap();
        let scale = (n as f64).powf(1.5);
        let y = ndarray::Array2::from_shape_fn((1000, 2 * n), |(s, i)| {
            let v = shepp_logan_volume_kspace(k[[s, i, 2]], k[[s, i, 1]], k[[s, i, 0]]) * scale * w[[s, i]];
            Complex32::new(v.re as f32, v.im as f32)
        });
        let nufft = linop::nufft("Nz=24 Ny=24 Nx=24", &k, "Nz Ny Nx", NufftOptions::default(), "S K").unwrap();
        let image = nufft.h().apply(&Tensor::from_array(y, "S K").unwrap()).unwrap().to_array().unwrap();
        // Edges ring; the volume is seen through the same cut-off.
        let want = shepp_logan_volume(n, n, n);
        let inside: Vec<usize> =
            (0..want.len()).filter(|&i| (want.as_slice().unwrap()[i] - 0.2).abs() < 1e-6).collect();
        let mean =
            inside.iter().map(|&i| f64::from(image.as_slice().unwrap()[i].re)).sum::<f64>() / inside.len() as f64;
        assert!(inside.len() > 500 && (mean - 0.2).abs() < 0.02, "{mean} over {}", inside.len());
    }
}
