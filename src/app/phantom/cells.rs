//! Cells under a microscope: nuclei, threads and beads, and what a lens makes of a point.

use crate::app::bessel::j1;
use crate::app::noise::Generator;
use crate::error::{Result, value_err};
use ndarray::Array2;
use std::f64::consts::TAU;

/// Where the scene is, in parts of its height and width: nuclei (row, column, radius, brightness).
const NUCLEI: [[f64; 4]; 3] = [[0.32, 0.30, 0.13, 0.35], [0.70, 0.62, 0.16, 0.45], [0.22, 0.78, 0.10, 0.30]];

/// Threads (row, column, direction in turns, bend, brightness), which begin there and run on.
const THREADS: usize = 14;
const BEADS: usize = 24;

/// A scene (row, column) as fluorescence shows it: values from 0.02 to about 1, sharper than a lens resolves. The same for equal
/// extents and seeds.
///
/// ```
/// let scene = linops::app::cells_image(64, 48, 1);
/// assert!(scene.iter().all(|v| (0.0..2.0).contains(v)));
/// ```
pub fn cells_image(ny: usize, nx: usize, seed: u64) -> Array2<f32> {
    let mut generator = Generator::new(seed);
    let size = ny.min(nx) as f64;
    let mut scene = Array2::from_shape_fn((ny, nx), |(y, x)| {
        let mut value: f64 = 0.02;
        for [row, column, radius, brightness] in NUCLEI {
            let r = ((y as f64 - row * ny as f64).hypot(x as f64 - column * nx as f64)) / (radius * size);
            value += brightness * (1.0 / (1.0 + (40.0 * (r - 1.0)).exp())) * (0.8 + 0.2 * (9.0 * r).cos());
        }
        value as f32
    });
    let mut add = |y: f64, x: f64, amount: f64| {
        // Shared out between the four nearest pixels.
        let (row, column) = (y.floor(), x.floor());
        for (dy, dx) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
            let (i, j) = (row + dy, column + dx);
            if i >= 0.0 && j >= 0.0 && i < ny as f64 && j < nx as f64 {
                let share = (1.0 - (y - i).abs()) * (1.0 - (x - j).abs());
                scene[[i as usize, j as usize]] += (amount * share) as f32;
            }
        }
    };
    for _ in 0..THREADS {
        let (mut y, mut x) = (generator.uniform() * ny as f64, generator.uniform() * nx as f64);
        let (mut turn, bend) = (generator.uniform() * TAU, 4.0 * (generator.uniform() - 0.5) / size);
        let brightness = 0.3 + 0.4 * generator.uniform();
        for _ in 0..(1.2 * size) as usize {
            add(y, x, brightness * 0.7);
            (y, x) = (y + 0.7 * turn.sin(), x + 0.7 * turn.cos());
            turn += bend;
        }
    }
    for _ in 0..BEADS {
        let (y, x) = (generator.uniform() * ny as f64, generator.uniform() * nx as f64);
        add(y, x, 1.0 + generator.uniform());
    }
    scene
}

/// What a round lens makes of a point, (2 J₁(v)/v)² with the first dark ring at `ring` pixels from the centre: (n, n) values
/// around sample n/2, of the sum 1 (Airy, Trans. Camb. Phil. Soc. 5:283, 1835).
///
/// # Errors
/// No pixels, or a ring that is not above 0.
pub fn airy_psf(n: usize, ring: f64) -> Result<Array2<f32>> {
    if n == 0 || !ring.is_finite() || ring <= 0.0 {
        return value_err!("an Airy disk of {n} pixels with its ring at {ring}; expected more than 0 of both");
    }
    /// The first zero of J₁.
    const ZERO: f64 = 3.831_705_970_207_512;
    let at = |k: usize| k as f64 - (n / 2) as f64;
    let disk = Array2::from_shape_fn((n, n), |(y, x)| {
        let v = ZERO * at(y).hypot(at(x)) / ring;
        if v < 1e-9 { 1.0 } else { (2.0 * j1(v) / v).powi(2) }
    });
    let sum = disk.sum();
    Ok(disk.mapv(|v| (v / sum) as f32))
}

/// Counts of light of these expectations: Poisson noise. Expectations below 0 give 0.
pub fn photons(expected: &Array2<f32>, seed: u64) -> Array2<f32> {
    let mut generator = Generator::new(seed);
    expected.mapv(|mean| generator.poisson(f64::from(mean)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_a_dark_ring() {
        let disk = airy_psf(33, 5.0).unwrap();
        assert!((disk.sum() - 1.0).abs() < 1e-5);
        assert!(disk[[16, 21]] < 1e-6 * disk[[16, 16]] && disk[[16, 23]] > 1e-3 * disk[[16, 16]]);
        assert!(airy_psf(0, 1.0).is_err() && airy_psf(3, 0.0).is_err());
    }

    #[test]
    fn counts_have_their_expectation_as_variance() {
        for mean in [0.5f32, 7.0, 200.0] {
            let counts = photons(&Array2::from_elem((100, 100), mean), 3);
            let average = counts.sum() / 1e4;
            let variance = counts.mapv(|v| (v - average).powi(2)).sum() / 1e4;
            assert!((average / mean - 1.0).abs() < 0.05 && (variance / mean - 1.0).abs() < 0.06, "{mean}");
            assert!(counts.iter().all(|v| v.fract() == 0.0 && *v >= 0.0));
        }
        assert_eq!(photons(&Array2::from_elem((2, 2), -1.0), 1).sum(), 0.0);
    }
}
