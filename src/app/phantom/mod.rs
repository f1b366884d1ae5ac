//! The Shepp-Logan head as an image or a volume and, in closed form, as k-space; cells under a microscope.
//!
//! Ellipses: Shepp and Logan, IEEE Trans. Nucl. Sci. 21:21 (1974), with the contrast of Toft, "The
//! Radon Transform", PhD thesis, DTU (1996). Their square \[-1, 1\]² is the field of view here,
//! with y turned downwards, so that row 0 of a picture is the top of the head.

mod cells;
mod projections;
mod volume;

pub use cells::{airy_psf, cells_image, photons};
pub use projections::shepp_logan_projections;
pub use volume::{shepp_logan_volume, shepp_logan_volume_kspace};

use super::bessel::j1;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Axis};
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

/// Intensity, half axes (x, y), centre (x, y upwards), rotation in degrees, on \[-1, 1\]².
const ELLIPSES: [[f64; 6]; 10] = [
    [1.0, 0.69, 0.92, 0.0, 0.0, 0.0],
    [-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0],
    [-0.2, 0.11, 0.31, 0.22, 0.0, -18.0],
    [-0.2, 0.16, 0.41, -0.22, 0.0, 18.0],
    [0.1, 0.21, 0.25, 0.0, 0.35, 0.0],
    [0.1, 0.046, 0.046, 0.0, 0.1, 0.0],
    [0.1, 0.046, 0.046, 0.0, -0.1, 0.0],
    [0.1, 0.046, 0.023, -0.08, -0.605, 0.0],
    [0.1, 0.023, 0.023, 0.0, -0.606, 0.0],
    [0.1, 0.023, 0.046, 0.06, -0.605, 0.0],
];

/// An ellipse in units of the field of view, y downwards.
struct Ellipse {
    intensity: f64,
    half: [f64; 2],
    centre: [f64; 2],
    cos: f64,
    sin: f64,
}

fn ellipses() -> impl Iterator<Item = Ellipse> {
    ELLIPSES.iter().map(|&[intensity, a, b, x, y, degrees]| {
        // Turning y downwards turns the sense of rotation too.
        let (sin, cos) = (-degrees.to_radians()).sin_cos();
        Ellipse { intensity, half: [a / 2.0, b / 2.0], centre: [x / 2.0, -y / 2.0], cos, sin }
    })
}

impl Ellipse {
    /// A vector in the ellipse's own axes.
    fn turn(&self, x: f64, y: f64) -> [f64; 2] {
        [self.cos * x + self.sin * y, self.cos * y - self.sin * x]
    }
}

/// The head's continuous Fourier transform ∫ρ(r) exp(−2πi k·r) dr over the unit field of view.
///
/// `kx` (columns) and `ky` (rows, downwards) are in cycles per field of view and need not be
/// whole. The centred orthonormal DFT of an (ny, nx) image samples √(ny·nx) times this.
pub fn shepp_logan_kspace(kx: f64, ky: f64) -> Complex64 {
    ellipses()
        .map(|e| {
            let [u, v] = e.turn(kx, ky);
            let radius = TAU * (u * e.half[0]).hypot(v * e.half[1]);
            // A unit disk transforms to 2π J₁(s)/s with the limit π.
            let disk = if radius < 1e-9 { PI } else { TAU * j1(radius) / radius };
            let phase = -TAU * (kx * e.centre[0] + ky * e.centre[1]);
            Complex64::cis(phase) * (e.intensity * e.half[0] * e.half[1] * disk)
        })
        .sum()
}

/// The head as an (ny, nx) image, each pixel the mean of 8 × 8 points.
///
/// Pixel (ny / 2, nx / 2) is centred on the field of view's middle. Values are from 0 to 1.
pub fn shepp_logan_image(ny: usize, nx: usize) -> Array2<f32> {
    image_around([ny, nx], [ny / 2, nx / 2].map(|n| n as f64))
}

/// The head as CT has it, an (n, n) image around the axis of rotation at ((n − 1)/2, (n − 1)/2), each pixel the mean of 8 × 8 points: what
/// [`shepp_logan_projections`] of the size n are of.
pub fn shepp_logan_tomogram(n: usize) -> Array2<f32> {
    image_around([n; 2], [(n as f64 - 1.0) / 2.0; 2])
}

fn image_around([ny, nx]: [usize; 2], middle: [f64; 2]) -> Array2<f32> {
    const POINTS: usize = 8;
    let shapes: Vec<Ellipse> = ellipses().collect();
    let offset = |s: usize| (s as f64 + 0.5) / POINTS as f64 - 0.5;
    let place = |n: usize, s: usize, middle: f64, extent: usize| (n as f64 - middle + offset(s)) / extent as f64;
    let density = |y: f64, x: f64| -> f64 {
        let inside = shapes.iter().filter(|e| {
            let [u, v] = e.turn(x - e.centre[0], y - e.centre[1]);
            (u / e.half[0]).powi(2) + (v / e.half[1]).powi(2) <= 1.0
        });
        inside.map(|e| e.intensity).sum()
    };
    let mut image = Array2::zeros((ny, nx));
    image.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut pixels)| {
        for (column, pixel) in pixels.iter_mut().enumerate() {
            let points = (0..POINTS * POINTS).map(|s| {
                let y = place(row, s / POINTS, middle[0], ny);
                density(y, place(column, s % POINTS, middle[1], nx))
            });
            *pixel = (points.sum::<f64>() / (POINTS * POINTS) as f64) as f32;
        }
    });
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kspace_is_the_transform_of_the_image() {
        let n = 128;
        let image = shepp_logan_image(n, n);
        for (ky, kx) in [(0.0, 0.0), (3.0, -2.0), (-1.5, 4.0), (0.0, 7.0)] {
            let c = (n / 2) as f64;
            let sum: Complex64 = image
                .indexed_iter()
                .map(|((y, x), &v)| {
                    let phase = ky * (y as f64 - c) + kx * (x as f64 - c);
                    Complex64::cis(-TAU * phase / n as f64) * f64::from(v)
                })
                .sum();
            let error = (sum / (n * n) as f64 - shepp_logan_kspace(kx, ky)).norm();
            assert!(error < 1e-3 * shepp_logan_kspace(0.0, 0.0).re, "{error}");
        }
    }

    #[test]
    fn a_tomogram_is_around_its_middle() {
        assert_eq!(shepp_logan_tomogram(41), shepp_logan_image(41, 41));
        // Of even extents the outline of the head, which is symmetric, is so too.
        let image = shepp_logan_tomogram(40);
        let skull = |y: usize, x: usize| image[[y, x]] > 0.9;
        assert!((0..40).all(|y| (0..40).all(|x| skull(y, x) == skull(y, 39 - x))));
    }

    #[test]
    fn the_head_is_upright() {
        let image = shepp_logan_image(100, 100);
        // The large tumour lies above the centre, the three small ones below.
        assert!((image[[50 - 17, 50]] - 0.3).abs() < 1e-6);
        assert!((image[[50 + 17, 50]] - 0.2).abs() < 1e-6);
        assert_eq!(image[[0, 0]], 0.0);
        // The larger ventricle is on the picture's left.
        assert!(image[[50, 39]].abs() < 1e-6 && image.iter().all(|&v| v < 1.01));
    }
}
