//! Biorthogonal wavelets of Cohen, Daubechies and Feauveau.
//!
//! Comm. Pure Appl. Math. 45:485 (1992); Daubechies, Ten Lectures on Wavelets (SIAM, 1992), §8.3.4. In "P.Q" the synthesis
//! filter has P zeros at z = −1, the analysis filter Q. Up to 3.9 the synthesis scaling function is the B-spline of order P, and
//!
//! ```text
//! h(ω)  = √2 · cos(ω/2)^P                     h̃(ω) = √2 · cos(ω/2)^Q · Σ_{k < (P + Q)/2} C((P + Q)/2 − 1 + k, k) · sin(ω/2)^2k
//! ```
//!
//! up to a phase. The other three share the zeros of that sum between both filters; "5.5" has six zeros at −1 in one and four
//! in the other. Their values were found by Newton's method with 60 digits and rounded.

use std::f64::consts::SQRT_2;

/// The pairs (P, Q) that there are.
pub(in crate::linop::wavelet) const SPLINES: &[(usize, usize)] = &[
    (1, 1),
    (1, 3),
    (1, 5),
    (2, 2),
    (2, 4),
    (2, 6),
    (2, 8),
    (3, 1),
    (3, 3),
    (3, 5),
    (3, 7),
    (3, 9),
    (4, 4),
    (5, 5),
    (6, 8),
];

/// Symmetric filters of odd length from the middle on: synthesis, analysis.
type Halves = (&'static [f64], &'static [f64]);

#[rustfmt::skip]
const FACTORISED: [((usize, usize), Halves); 3] = [
    ((4, 4), (
        &[0.7884856164056644, 0.4180922732222122, -0.04068941760955844, -0.06453888262893843],
        &[0.8526986790094034, 0.37740285561265374, -0.1106244044184234, -0.02384946501938, 0.03782845550699546],
    )),
    ((5, 5), (
        &[0.899506109749091, 0.47680326579781895, -0.09350469740066429, -0.13670658466396474, -0.0026949668806074004,
          0.013456709459419522],
        &[0.736660181427535, 0.345605281955886, -0.054463788468356235, 0.007948108637387725, 0.03968708834786253],
    )),
    ((6, 8), (
        &[0.7589077294537632, 0.41784910915032025, -0.040367979030381904, -0.07872200106266872, 0.014467504896774099,
          0.014426282505622248],
        &[0.8259229974584397, 0.42079628460983926, -0.09405920349576163, -0.07726317316721135, 0.049732903490937654,
          0.01193456527972673, -0.0169906398676071, -0.0019142861290808862, 0.0019088317364850261],
    )),
];

/// Analysis and synthesis lowpass of "P.Q", each padded with zeros to the length that both have.
///
/// Filters of odd length have their middle at L/2 and L/2 − 1, those of even length between the two.
pub(in crate::linop::wavelet) fn biorthogonal(p: usize, q: usize) -> (Vec<f64>, Vec<f64>) {
    let halves = FACTORISED.iter().find(|(pair, _)| *pair == (p, q));
    let (synthesis, analysis) = match halves {
        Some((_, (synthesis, analysis))) => (mirrored(synthesis), mirrored(analysis)),
        None => (spline(p), dual(p, q)),
    };
    let odd = synthesis.len() % 2;
    let length = synthesis.len().max(analysis.len()) + odd;
    let padded = |f: &[f64], first: usize| {
        let mut out = vec![0.0; length];
        out[first..first + f.len()].copy_from_slice(f);
        out
    };
    let first = |f: &[f64]| (length - f.len()) / 2;
    (padded(&analysis, first(&analysis) + odd), padded(&synthesis, first(&synthesis)))
}

fn mirrored(half: &[f64]) -> Vec<f64> {
    half.iter().skip(1).rev().chain(half).copied().collect()
}

/// √2·((1 + z)/2)^P.
fn spline(p: usize) -> Vec<f64> {
    zeros_at_minus_one(vec![SQRT_2], p)
}

/// √2·((1 + z)/2)^Q · Σ C(K − 1 + k, k)·s^k with s = (−z⁻¹ + 2 − z)/4 and K = (P + Q)/2. All but √2 is exact.
fn dual(p: usize, q: usize) -> Vec<f64> {
    let terms = (p + q) / 2;
    let mut sum = vec![0.0; 2 * terms - 1];
    let (mut power, mut binomial) = (vec![1.0], 1.0);
    for k in 0..terms {
        for (i, c) in power.iter().enumerate() {
            sum[terms - 1 - k + i] += binomial * c;
        }
        power = product(&power, &[-0.25, 0.5, -0.25]);
        binomial *= (terms + k) as f64 / (k + 1) as f64;
    }
    zeros_at_minus_one(sum, q).iter().map(|c| c * SQRT_2).collect()
}

fn zeros_at_minus_one(start: Vec<f64>, count: usize) -> Vec<f64> {
    (0..count).fold(start, |f, _| product(&f, &[0.5, 0.5]))
}

/// The product of two polynomials.
fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
    out
}
