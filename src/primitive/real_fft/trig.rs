//! The cosine and sine transforms of types I to IV: the orthonormal matrices, and how a complex transform of about half the
//! length makes them.
//!
//! Every one is Re(C F P) of real values: P makes M complex values of N real ones, F is the discrete Fourier transform of length
//! M, and C takes few of its results for each result. C F P is transposed by transposing the three, and F is its own transpose,
//! so type III is type II read backwards.
//!
//! | | M | P | C |
//! |---|---|---|---|
//! | II, N even | N/2 | even entries, then odd ones backwards (Makhoul, IEEE Trans. ASSP 28:27, 1980), in pairs | the spectrum of N reals from that of N/2 pairs, turned by k/4N |
//! | II, N odd | N | the same, one by one | turned |
//! | I | N ∓ 1 | the even or odd extension, in pairs | the spectrum from that of pairs |
//! | IV, N even | N/2 | entry 2m and the one that far from the end, turned by (4m + 1)/8N | turned; real and imaginary parts |
//! | IV, N odd | N | permuted with signs | the same: (2k + 1)(2n + 1)/8N taken apart modulo 8 and N by the Chinese remainder theorem (Chan and Ho, IEE Proc. F 137:433, 1990, for odd lengths) |
//!
//! Sines are cosines of other entries: S_II[k] = C_II[(−1)ⁿx] at N − 1 − k, S_IV[k] = (−1)ᵏ C_IV of x backwards.

use super::rows::Matrix;
use num_complex::Complex64;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Which cosine or sine transform: where the ends of the basis functions lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrigType {
    /// Ends on samples, on both sides.
    I,
    /// Ends between samples of x: "the" cosine transform.
    #[default]
    II,
    /// The transpose of type II.
    III,
    /// Ends between samples, on both sides.
    IV,
}

/// A cosine or sine transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trig {
    pub kind: TrigType,
    pub sine: bool,
}

/// Re(C F P).
pub(super) struct Factors {
    /// P: of the values to be transformed.
    pub before: Matrix,
    /// C: of the transformed ones.
    pub after: Matrix,
}

/// exp(−2πi num/den), num reduced before the cosine.
pub(super) fn turn(num: usize, den: usize) -> Complex64 {
    Complex64::from_polar(1.0, -TAU * (num % den) as f64 / den as f64)
}

/// 1/√2 at an end, 1 elsewhere.
fn half(at_end: bool) -> f64 {
    if at_end { FRAC_1_SQRT_2 } else { 1.0 }
}

impl Trig {
    pub fn transposed(self) -> Trig {
        let kind = match self.kind {
            TrigType::I => TrigType::I,
            TrigType::II => TrigType::III,
            TrigType::III => TrigType::II,
            TrigType::IV => TrigType::IV,
        };
        Trig { kind, ..self }
    }

    /// The period of the basis functions over two: 1/√(2·this) relates the plain sums, with their factors of 2, to the
    /// orthonormal matrix.
    pub fn period(self, n: usize) -> usize {
        match (self.kind, self.sine) {
            (TrigType::I, false) => n - 1,
            (TrigType::I, true) => n + 1,
            _ => n,
        }
    }

    /// The length of the complex transform that is made.
    pub fn length(self, n: usize) -> usize {
        match self.kind {
            TrigType::I => self.period(n),
            _ if n.is_multiple_of(2) => n / 2,
            _ => n,
        }
    }

    /// By how much an entry of x counts less in the orthonormal matrix than others: 1/√2 at the ends on samples.
    pub fn end_of_input(self, i: usize, n: usize) -> f64 {
        match (self.kind, self.sine) {
            (TrigType::I, false) => half(i == 0 || i + 1 == n),
            (TrigType::III, false) => half(i == 0),
            (TrigType::III, true) => half(i + 1 == n),
            _ => 1.0,
        }
    }

    /// The entry of the orthonormal matrix in row k and column i.
    pub fn entry(self, k: usize, i: usize, n: usize) -> f64 {
        let scale = (2.0 / self.period(n) as f64).sqrt()
            * self.end_of_input(i, n)
            * self.transposed().end_of_input(k, n);
        // Of a full turn.
        let (num, den) = match (self.kind, self.sine) {
            (TrigType::I, false) => (k * i, 2 * (n - 1)),
            (TrigType::I, true) => ((k + 1) * (i + 1), 2 * (n + 1)),
            (TrigType::II, false) => (k * (2 * i + 1), 4 * n),
            (TrigType::II, true) => ((k + 1) * (2 * i + 1), 4 * n),
            (TrigType::III, false) => ((2 * k + 1) * i, 4 * n),
            (TrigType::III, true) => ((2 * k + 1) * (i + 1), 4 * n),
            (TrigType::IV, _) => ((2 * k + 1) * (2 * i + 1), 8 * n),
        };
        let z = turn(num, den);
        scale * if self.sine { -z.im } else { z.re }
    }

    /// The factors of the orthonormal matrix; n is at least 3.
    pub(super) fn factors(self, n: usize) -> Factors {
        match (self.kind, self.sine) {
            (TrigType::III, _) => {
                let Factors { before, after } = self.transposed().factors(n);
                Factors { before: after.transposed(), after: before.transposed() }
            }
            (TrigType::I, sine) => first(n, sine),
            (TrigType::II, false) => second(n),
            (TrigType::II, true) => {
                let Factors { before, after } = second(n);
                let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
                let signed = before.rows.into_iter().map(|r| r.into_iter().map(|(i, c)| (i, c * sign(i))).collect());
                let before = Matrix { extent: n, rows: signed.collect() };
                Factors { before, after: Matrix { rows: after.rows.into_iter().rev().collect(), ..after } }
            }
            (TrigType::IV, false) => fourth(n),
            (TrigType::IV, true) => {
                let Factors { before, after } = fourth(n);
                let backwards = before.rows.into_iter().map(|r| r.into_iter().map(|(i, c)| (n - 1 - i, c)).collect());
                let sign = |k: usize| if k.is_multiple_of(2) { 1.0 } else { -1.0 };
                let signed = |(k, r): (usize, Vec<(usize, Complex64)>)| {
                    r.into_iter().map(|(p, c)| (p, c * sign(k))).collect::<Vec<_>>()
                };
                let after = Matrix { rows: after.rows.into_iter().enumerate().map(signed).collect(), ..after };
                Factors { before: Matrix { extent: n, rows: backwards.collect() }, after }
            }
        }
    }
}

/// Re(t·V[k]), where V is the spectrum of `period` real values of which z holds pairs: V[k] = (Z[k] + Z̄[−k])/2 −
/// (i/2)·exp(−2πik/period)·(Z[k] − Z̄[−k]).
pub(super) fn of_pairs(k: usize, period: usize, t: Complex64) -> [(usize, Complex64); 2] {
    let m = period / 2;
    let w = Complex64::I * turn(k, period);
    [(k % m, 0.5 * t * (1.0 - w)), ((m - k % m) % m, (0.5 * t * (1.0 + w)).conj())]
}

/// Pairs of values as complex ones: entry j, as (column, coefficient), of 2m is real, of 2m + 1 imaginary.
pub(super) fn pairs(count: usize, extent: usize, value: impl Fn(usize) -> Option<(usize, f64)>) -> Matrix {
    Matrix::of(count, extent, |m| {
        let parts = [(2 * m, Complex64::ONE), (2 * m + 1, Complex64::I)];
        parts.into_iter().filter_map(|(j, c)| value(j).map(|(i, by)| (i, c * by))).collect()
    })
}

fn first(n: usize, sine: bool) -> Factors {
    let m = if sine { n + 1 } else { n - 1 };
    let scale = (2.0 / m as f64).sqrt();
    if sine {
        // The odd extension: 0, x, 0, −x backwards.
        let value = |j: usize| match j % (n + 1) {
            0 => None,
            i if j <= n => Some((i - 1, 1.0)),
            i => Some((n - i, -1.0)),
        };
        let row = |k| of_pairs(k + 1, 2 * m, Complex64::new(0.0, 0.5 * scale)).to_vec();
        return Factors { before: pairs(m, n, value), after: Matrix::of(n, m, row) };
    }
    // The even extension: the ends stand in it once, all others twice.
    let value = |j: usize| {
        let i = if j < n { j } else { 2 * m - j };
        Some((i, if i == 0 || i == m { FRAC_1_SQRT_2 } else { 0.5 }))
    };
    let row = |k| of_pairs(k, 2 * m, Complex64::new(scale * half(k == 0 || k == m), 0.0)).to_vec();
    Factors { before: pairs(m, n, value), after: Matrix::of(n, m, row) }
}

fn second(n: usize) -> Factors {
    // Even entries, then odd ones backwards.
    let place = |j: usize| if j < n.div_ceil(2) { 2 * j } else { 2 * (n - 1 - j) + 1 };
    let t = |k: usize| (2.0 / n as f64).sqrt() * half(k == 0) * turn(k, 4 * n);
    if n.is_multiple_of(2) {
        let before = pairs(n / 2, n, |j| Some((place(j), 1.0)));
        return Factors { before, after: Matrix::of(n, n / 2, |k| of_pairs(k, n, t(k)).to_vec()) };
    }
    let before = Matrix::of(n, n, |j| vec![(place(j), Complex64::ONE)]);
    Factors { before, after: Matrix::of(n, n, |k| vec![(k, t(k))]) }
}

fn fourth(n: usize) -> Factors {
    let scale = (2.0 / n as f64).sqrt();
    if n.is_multiple_of(2) {
        let before = |m: usize| {
            let by = turn(4 * m + 1, 8 * n);
            vec![(2 * m, by), (n - 1 - 2 * m, Complex64::I * by)]
        };
        let after = |k: usize| match k.is_multiple_of(2) {
            true => vec![(k / 2, scale * turn(k / 2, 2 * n))],
            false => vec![((n - 1 - k) / 2, scale * Complex64::I * turn((n - 1 - k) / 2, 2 * n))],
        };
        return Factors { before: Matrix::of(n / 2, n, before), after: Matrix::of(n, n / 2, after) };
    }
    // The entry that the odd number b ≡ m (mod N), b ≡ 1 (mod 8) stands for: cosines change sign with b + 4N, and not with −b.
    let place = |m: usize| {
        let b = (0..8).map(|j| m + j * n).find(|b| b % 8 == 1).unwrap_or(1);
        let (b, sign) = if b >= 4 * n { (b - 4 * n, -1.0) } else { (b, 1.0) };
        let (b, sign) = if b > 2 * n { (4 * n - b, -sign) } else { (b, sign) };
        ((b - 1) / 2, sign)
    };
    // 1/8N = u/8 + v/N, up to whole numbers.
    let u = (1..8).find(|u| u * n % 8 == 1).unwrap_or(1);
    let v = (1..n).find(|v| 8 * v % n == 1).unwrap_or(1);
    let mut after = vec![Vec::new(); n];
    for a in 0..n {
        let (k, sign) = place(a);
        after[k] = vec![(a * v % n, scale * sign * turn(u, 8))];
    }
    let before = |m: usize| {
        let (i, sign) = place(m);
        vec![(i, Complex64::new(sign, 0.0))]
    };
    Factors { before: Matrix::of(n, n, before), after: Matrix { extent: n, rows: after } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TrigType; 4] = [TrigType::I, TrigType::II, TrigType::III, TrigType::IV];

    /// Re(C F P) as a matrix.
    fn product(f: &Factors) -> Vec<Vec<f64>> {
        let (m, n) = (f.before.rows.len(), f.before.extent);
        let column = |i: usize| {
            let of = |row: &Vec<(usize, Complex64)>| row.iter().filter(|t| t.0 == i).map(|t| t.1).sum::<Complex64>();
            let z: Vec<Complex64> = f.before.rows.iter().map(of).collect();
            let spectrum = |p: usize| (0..m).map(|j| z[j] * turn(j * p, m)).sum::<Complex64>();
            let spectrum: Vec<Complex64> = (0..m).map(spectrum).collect();
            f.after.rows.iter().map(|r| r.iter().map(|(p, c)| (c * spectrum[*p]).re).sum()).collect()
        };
        (0..n).map(column).collect()
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        for n in 3..20 {
            for (kind, sine) in ALL.into_iter().flat_map(|k| [(k, false), (k, true)]) {
                let trig = Trig { kind, sine };
                for (i, column) in product(&trig.factors(n)).iter().enumerate() {
                    for (k, got) in column.iter().enumerate() {
                        let want = trig.entry(k, i, n);
                        assert!((got - want).abs() < 1e-13, "{trig:?} of {n} at {k}, {i}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_are_orthonormal() {
        for (kind, sine) in ALL.into_iter().flat_map(|k| [(k, false), (k, true)]) {
            for n in [2, 3, 8, 15] {
                let trig = Trig { kind, sine };
                for i in 0..n {
                    for j in 0..n {
                        let dot: f64 = (0..n).map(|k| trig.entry(k, i, n) * trig.entry(k, j, n)).sum();
                        assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-13, "{trig:?} of {n}: {i} {j}");
                        assert_eq!(trig.entry(i, j, n), trig.transposed().entry(j, i, n));
                    }
                }
            }
        }
    }
}
