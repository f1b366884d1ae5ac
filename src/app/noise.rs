//! Deterministic Gaussian noise: the same seed gives the same numbers on every machine.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014), the shape of the noise Box and Muller's (1958).

use num_complex::Complex64;
use std::f64::consts::TAU;

/// A stream of pseudo-random numbers; for simulation, not for secrets.
#[derive(Debug, Clone)]
pub struct Generator {
    state: u64,
}

impl Generator {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Generator { state: seed }
    }

    /// The next 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in the half-open interval (0, 1], so that its logarithm is finite.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Circular complex Gaussian with E|z|² = 1.
    pub fn complex_normal(&mut self) -> Complex64 {
        // Of the usual √(-2 ln u), the 2 goes into the two parts' variances of 1/2.
        let radius = (-self.uniform().ln()).sqrt();
        Complex64::from_polar(radius, TAU * self.uniform())
    }

    /// A count of the Poisson distribution; 0 for a mean that is not above 0. Few are counted one by one (Knuth, "The art of
    /// computer programming" 2, 3.4.1), many are the nearest whole number of a normal one.
    pub fn poisson(&mut self, mean: f64) -> f64 {
        const MANY: f64 = 60.0;
        if mean > MANY {
            return (mean + (2.0 * mean).sqrt() * self.complex_normal().re).round().max(0.0);
        }
        let (end, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while mean > 0.0 && product > end {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_stream() {
        // The reference implementation's first numbers for seed 1234567.
        let mut generator = Generator::new(1_234_567);
        assert_eq!(generator.bits(), 6_457_827_717_110_365_317);
        assert_eq!(generator.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn moments() {
        let mut generator = Generator::new(1);
        let n = 100_000;
        let z: Vec<Complex64> = (0..n).map(|_| generator.complex_normal()).collect();
        let mean = z.iter().sum::<Complex64>() / n as f64;
        let power = z.iter().map(Complex64::norm_sqr).sum::<f64>() / n as f64;
        let pseudo = z.iter().map(|v| v * v).sum::<Complex64>() / n as f64;
        assert!(mean.norm() < 0.01 && (power - 1.0).abs() < 0.01 && pseudo.norm() < 0.01);
    }
}
