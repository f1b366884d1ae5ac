//! Lines of prime length p in one pass, as a circular convolution of length p − 1 (Rader 1968, Proc. IEEE 56:1107).
//!
//! With a generator g of the integers modulo p, `X[g^−q] = x[0] + Σₘ x[g^m] w^(g^(m−q))`, `w = exp(-2πi/p)`: a transform of
//! length p − 1, a multiplication by the transform of `w^(g^−m)`, and the transform back. `x[0]` joins all results through the
//! coefficient 0, which is also what `X[0]` lacks of the sum of all. Half the length of what a chirp takes, and no padding; it is for
//! primes whose p − 1 is smooth.

use super::super::smooth::{is_smooth, prime_factors};
use num_complex::Complex64;

/// Whether lines of `n` elements go through a convolution of length `n − 1`.
pub(super) fn is_rader(n: usize) -> bool {
    n > 2 && !is_smooth(n) && is_smooth(n - 1) && prime_factors(n) == [n]
}

/// What the kernel reads of a prime: the factors of the convolution's coefficients, and where its elements lie.
pub(super) struct Tables {
    /// The transform of `w^(g^−m)` over its length.
    pub(super) factors: Vec<[f32; 2]>,
    /// For each element of the convolution its place in the line, there and back: `g^e` and `g^−e`.
    pub(super) places: Vec<[f32; 2]>,
    /// For each element of the line but 0 its place in the convolution, there and back: the inverses of both.
    pub(super) elements: Vec<[f32; 2]>,
}

impl Tables {
    pub(super) fn of(p: usize) -> Tables {
        let (length, g) = (p - 1, generator(p));
        let mut powers = vec![1; length];
        (1..length).for_each(|e| powers[e] = powers[e - 1] * g % p);
        let back = |e: usize| (length - e) % length;
        let mut factors: Vec<Complex64> = (0..length)
            .map(|m| Complex64::cis(-std::f64::consts::TAU * powers[back(m)] as f64 / p as f64) / length as f64)
            .collect();
        rustfft::FftPlanner::new().plan_fft_forward(length).process(&mut factors);
        let mut elements = vec![[0.0; 2]; length];
        (0..length).for_each(|e| elements[powers[e] - 1] = [e as f32, back(e) as f32]);
        Tables {
            factors: factors.iter().map(|f| [f.re as f32, f.im as f32]).collect(),
            places: (0..length).map(|e| [powers[e] as f32, powers[back(e)] as f32]).collect(),
            elements,
        }
    }
}

/// The least generator of the integers modulo a prime.
fn generator(p: usize) -> usize {
    let factors = prime_factors(p - 1);
    let power = |mut base: usize, mut e: usize| {
        let mut all = 1;
        while e > 0 {
            if e % 2 == 1 {
                all = all * base % p;
            }
            base = base * base % p;
            e /= 2;
        }
        all
    };
    (2..p).find(|g| factors.iter().all(|f| power(*g, (p - 1) / f) != 1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::twiddle;
    use super::*;

    #[test]
    fn primes_of_smooth_neighbours() {
        let all: Vec<usize> = (0..140).filter(|n| is_rader(*n)).collect();
        assert_eq!(all, [37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 89, 97, 101, 103, 109, 113, 127, 131, 137, 139]);
        assert!([257, 1021, 4093].into_iter().all(is_rader) && !is_rader(2039));
    }

    /// The formula above, by sums.
    #[test]
    fn a_convolution_is_the_transform() {
        for p in [37, 61, 127] {
            let (length, tables) = (p - 1, Tables::of(p));
            let x: Vec<Complex64> = (0..p).map(|n| Complex64::new((n * n % 17) as f64, (n % 5) as f64)).collect();
            let root = |k: usize, n: usize| {
                let [re, im] = twiddle::root(k % n, n);
                Complex64::new(re.into(), im.into())
            };
            let at = |place: f32| place as usize;
            for q in 0..length {
                let coefficient = |k: usize| -> Complex64 {
                    (0..length).map(|m| x[at(tables.places[m][0])] * root(k * m, length)).sum()
                };
                let factor = |k: usize| Complex64::new(tables.factors[k][0].into(), tables.factors[k][1].into());
                let sum: Complex64 =
                    (0..length).map(|k| coefficient(k) * factor(k) * root(k * q, length).conj()).sum();
                let n = at(tables.places[q][1]);
                let want: Complex64 = (0..p).map(|j| x[j] * root(n * j, p)).sum();
                assert!((x[0] + sum - want).norm() < 1e-3, "{p}: {n}");
                assert_eq!((at(tables.elements[n - 1][1]), at(tables.elements[at(tables.places[q][0]) - 1][0])), (q, q));
            }
        }
    }
}
