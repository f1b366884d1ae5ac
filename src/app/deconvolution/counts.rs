//! Counts of photons: how they are told from other numbers, and how far from their expectation they are to be.

use crate::app::neighbours::local_means;
use crate::app::noise_level::noise_level;
use crate::error::Result;
use ndarray::ArrayViewD;

/// Whether a picture holds counts: whole numbers from 0 on, whose scatter is that of Poisson's distribution. It is looked at in 2√(y + ⅜),
/// which has a deviation of 1 then (Anscombe, Biometrika 35:246, 1948), where there are two counts a sample or more. Samples that are not
/// finite are left out.
///
/// ```
/// let mut generator = linops::app::noise::Generator::new(1);
/// let counts = ndarray::Array2::from_shape_fn((64, 64), |(i, _)| generator.poisson(5.0 + i as f64) as f32).into_dyn();
/// assert!(linops::app::are_counts(counts.view())?);
/// assert!(!linops::app::are_counts((&counts * 2.0).view())? && !linops::app::are_counts((&counts + 0.5).view())?);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The picture is too small to tell its noise from.
pub fn are_counts(image: ArrayViewD<f32>) -> Result<bool> {
    if image.iter().any(|v| v.is_finite() && (*v < 0.0 || v.fract() != 0.0)) {
        return Ok(false);
    }
    let lit = local_means(&image.mapv(f64::from)).mapv(|mean| f32::from(mean >= FEW));
    if lit.iter().all(|l| *l == 0.0) {
        return Ok(false);
    }
    let level = noise_level(image.mapv(|v| 2.0 * (v + 0.375).sqrt()).view(), Some(lit.view()))?;
    Ok((LIKE[0]..=LIKE[1]).contains(&level))
}

/// Counts of a sample from which they tell.
const FEW: f64 = 2.0;

/// The deviation of 2√(y + ⅜): of two counts a sample it is about 0.85.
const LIKE: [f64; 2] = [0.75, 1.2];

/// The expectation of y ln(y/λ) − y + λ for counts y of the mean λ: ½ for many, and less where there are none.
pub(super) struct Divergence {
    /// At λ = e^(FROM + k·STEP).
    table: Vec<f64>,
}

/// Logarithms of the means in the table.
const FROM: f64 = -9.0;
const TO: f64 = 4.0;
const STEP: f64 = 0.05;

impl Divergence {
    pub fn new() -> Divergence {
        let entries = ((TO - FROM) / STEP).round() as usize + 1;
        Divergence { table: (0..entries).map(|k| summed((FROM + STEP * k as f64).exp())).collect() }
    }

    pub fn of(&self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        let at = (mean.ln() - FROM) / STEP;
        if at <= 0.0 {
            // There is one count or none.
            return self.table[0] * mean / FROM.exp();
        }
        let below = at.floor() as usize;
        match (self.table.get(below), self.table.get(below + 1)) {
            (Some(a), Some(b)) => a + (b - a) * (at - below as f64),
            _ => 0.5 + 1.0 / (12.0 * mean),
        }
    }
}

/// The sum over all counts.
fn summed(mean: f64) -> f64 {
    let most = (mean + 12.0 * mean.sqrt() + 20.0) as usize;
    let (mut sum, mut log_factorial) = (0.0, 0.0);
    for y in 0..=most {
        let count = y as f64;
        if y > 0 {
            log_factorial += count.ln();
        }
        let probability = (count * mean.ln() - mean - log_factorial).exp();
        let own = if y > 0 { count * (count / mean).ln() } else { 0.0 };
        sum += probability * (own - count + mean);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use ndarray::Array2;

    #[test]
    fn the_expectation_is_the_mean_over_draws() {
        let divergence = Divergence::new();
        let mut generator = Generator::new(4);
        for mean in [0.02f64, 0.3, 1.0, 2.5, 9.0, 60.0] {
            let n = 40_000;
            let draws = (0..n).map(|_| {
                let y = generator.poisson(mean);
                (if y > 0.0 { y * (y / mean).ln() } else { 0.0 }) - y + mean
            });
            let sum: f64 = draws.sum();
            let (found, want) = (divergence.of(mean), sum / f64::from(n));
            assert!((found / want - 1.0).abs() < 0.05, "{mean}: {found} {want}");
        }
        assert!((divergence.of(1e4) - 0.5).abs() < 1e-4 && divergence.of(0.0) == 0.0);
        assert!(divergence.of(1e-6) < 2e-5);
    }

    #[test]
    fn counts_are_told_from_other_numbers() {
        let mut generator = Generator::new(2);
        let scene = |i: usize, j: usize| 3.0 + 200.0 * ((i / 24 + j / 24) % 2) as f64 + 0.5 * j as f64;
        let counts = Array2::from_shape_fn((96, 96), |(i, j)| generator.poisson(scene(i, j)) as f32).into_dyn();
        assert!(are_counts(counts.view()).unwrap());
        // Some counts each, no noise, normal noise.
        assert!(!are_counts(counts.mapv(|v| v * 3.0).view()).unwrap());
        let clean = Array2::from_shape_fn((96, 96), |(i, j)| scene(i, j).round() as f32).into_dyn();
        assert!(!are_counts(clean.view()).unwrap());
        let noisy = clean.mapv(|v| (f64::from(v) + 40.0 * generator.complex_normal().re).round().max(0.0) as f32);
        assert!(!are_counts(noisy.view()).unwrap());
    }
}
