//! The Bessel function J₁, for the Fourier transform of ellipses.

use std::f64::consts::{FRAC_PI_4, PI};
use std::sync::LazyLock;

/// From here on the asymptotic series reaches double precision.
const FAR: f64 = 25.0;
/// Points on the circle; a multiple of 4, and enough for |x| < [`FAR`].
const POINTS: usize = 64;

static SINES: LazyLock<[f64; POINTS / 4]> =
    LazyLock::new(|| std::array::from_fn(|j| (2.0 * PI * (j + 1) as f64 / POINTS as f64).sin()));

/// J₁(x), to about 1e-15 absolute and, away from its zeros, relative.
///
/// Near 0 it is Bessel's integral 1/2π ∫ cos(τ − x sin τ) dτ by the trapezoidal rule, whose error
/// for a periodic integrand is the aliased J₆₃(x), below 1e-17 here (Trefethen and Weideman, SIAM
/// Review 56:385, 2014); far out it is Hankel's expansion (Abramowitz and Stegun, 9.2.5).
pub fn j1(x: f64) -> f64 {
    if x.abs() < FAR {
        // One quadrant stands for all four; its end at τ = π/2 is shared by two.
        let [quadrant @ .., _] = &*SINES;
        let sum: f64 = quadrant.iter().map(|s| s * (x * s).sin()).sum();
        (4.0 * sum + 2.0 * x.sin()) / POINTS as f64
    } else {
        hankel(x.abs()) * x.signum()
    }
}

fn hankel(x: f64) -> f64 {
    let (mut p, mut q) = (1.0, 0.0);
    let mut term = 1.0f64;
    for k in 1..30 {
        let odd = (2 * k - 1) as f64;
        let next = term * (4.0 - odd * odd) / (8.0 * k as f64 * x);
        // The series diverges in the end; its smallest term is where to stop.
        if next.abs() > term.abs() || next.abs() < 1e-18 {
            break;
        }
        term = next;
        match k % 4 {
            1 => q += term,
            2 => p -= term,
            3 => q -= term,
            _ => p += term,
        }
    }
    let (sin, cos) = (x - 3.0 * FRAC_PI_4).sin_cos();
    (2.0 / (PI * x)).sqrt() * (p * cos - q * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The power series, exact enough where its terms do not cancel.
    fn series(x: f64) -> f64 {
        let mut term = x / 2.0;
        let mut sum = term;
        for m in 1..60 {
            term *= -x * x / 4.0 / (m as f64 * (m + 1) as f64);
            sum += term;
        }
        sum
    }

    #[test]
    fn agrees_with_the_series_and_tables() {
        for x in [0.0, 1e-9, 1e-3, 0.5, 1.0, 2.0, 3.0, 5.0] {
            assert!((j1(x) - series(x)).abs() <= 1e-13 * series(x).abs(), "{x}");
            assert_eq!(j1(-x), -j1(x));
        }
        // Computed by mpmath.
        for (x, expected) in [
            (10.0, 0.043_472_746_168_861_44),
            (20.0, 0.066_833_124_175_850_05),
            (30.0, -0.118_751_062_616_622_94),
            (100.0, -0.077_145_352_014_112_16),
            (1000.0, 0.004_728_311_907_089_523),
        ] {
            assert!((j1(x) - expected).abs() < 1e-14, "{x}: {}", j1(x));
            assert_eq!(j1(-x), -j1(x));
        }
    }

    #[test]
    fn the_two_ways_meet() {
        let near = j1(FAR - 1e-12);
        assert!((near - hankel(FAR)).abs() < 1e-12);
    }
}
