//! A smooth kernel of a whole number of cells as one polynomial for each tap.
//!
//! Where a kernel spans w cells, its taps lie at u = 2(j + f)/w − 1 for one fraction f of a cell: each tap sees one piece of
//! the kernel, one cell long, on which a polynomial of moderate degree is as good as float32.

use super::Profile;
use crate::kept::Made;
use rayon::prelude::*;
use std::f64::consts::PI;

/// The largest error of a weight, relative to the kernel's largest value: a third of what rounding it to f32 costs.
const ERROR: f64 = 1e-8;
/// The most coefficients that are still cheaper than a table.
const MOST_TERMS: usize = 14;

/// The taps along one axis as polynomials in s = f − 1/2, where f in [0, 1) is the distance from the kernel's left end to the
/// first tap.
#[derive(Clone, Debug, PartialEq)]
pub struct Pieces {
    taps: usize,
    /// All taps' constants, then all taps' factors of s, of s² …
    coefficients: Vec<f64>,
}

impl Pieces {
    /// The polynomials of least degree that are exact enough; None where that would take too many terms.
    pub(super) fn fit(profile: &Profile, taps: usize) -> Option<Pieces> {
        match profile {
            Profile::Spline(_) => return None,
            Profile::Cubic | Profile::Smooth(_) => {}
        }
        (4..=MOST_TERMS).map(|terms| Pieces::of_degree(profile, taps, terms)).find(|p| p.is_exact(profile))
    }

    /// Interpolation at Chebyshev nodes. The kernel is even: tap w − 1 − j at s is tap j at −s, exactly.
    fn of_degree(profile: &Profile, taps: usize, terms: usize) -> Pieces {
        let n = terms as f64;
        let node = |i: usize| PI * (i as f64 + 0.5) / n;
        let mut coefficients = vec![0.0; terms * taps];
        for j in 0..taps.div_ceil(2) {
            let values: Vec<f64> = (0..terms).map(|i| value(profile, taps, j, 0.5 * node(i).cos())).collect();
            // Σ c_k T_k(x), x = 2s, in powers of x.
            let (mut before, mut now) = (vec![0.0; terms], vec![0.0; terms]);
            now[0] = 1.0;
            let mut powers = vec![0.0; terms];
            for k in 0..terms {
                let sum: f64 = values.iter().enumerate().map(|(i, v)| v * (k as f64 * node(i)).cos()).sum();
                let c = sum * if k == 0 { 1.0 } else { 2.0 } / n;
                powers.iter_mut().zip(&now).for_each(|(p, t)| *p += c * t);
                let doubled = if k == 0 { 1.0 } else { 2.0 };
                let next = (0..terms).map(|i| if i > 0 { doubled * now[i - 1] } else { 0.0 } - before[i]).collect();
                before = std::mem::replace(&mut now, next);
            }
            let middle = 2 * j + 1 == taps;
            for (k, p) in powers.iter().enumerate() {
                let c = if middle && k % 2 == 1 { 0.0 } else { p * f64::from(1u32 << k) };
                coefficients[k * taps + j] = c;
                coefficients[k * taps + taps - 1 - j] = if k % 2 == 1 { -c } else { c };
            }
        }
        Pieces { taps, coefficients }
    }

    fn is_exact(&self, profile: &Profile) -> bool {
        let most = ERROR * profile.at(0.0);
        (0..self.taps.div_ceil(2)).all(|j| {
            (0..=64).map(|k| f64::from(k) / 64.0 - 0.5).all(|s| {
                let sum = (0..self.terms()).rev().fold(0.0, |sum, k| sum * s + self.coefficient(k, j));
                (sum - value(profile, self.taps, j, s)).abs() <= most
            })
        })
    }

    /// Number of taps.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Coefficients of one tap.
    pub fn terms(&self) -> usize {
        self.coefficients.len() / self.taps
    }

    /// The factor of s^`power` in tap `tap`. Taps `j` and `taps − 1 − j` have the same even ones, and odd ones of opposite sign.
    pub fn coefficient(&self, power: usize, tap: usize) -> f64 {
        self.coefficients[power * self.taps + tap]
    }
}

/// The kernel at tap `j`.
fn value(profile: &Profile, taps: usize, j: usize, s: f64) -> f64 {
    let u = 2.0 * (j as f64 + 0.5 + s) / taps as f64 - 1.0;
    profile.at(u.clamp(-1.0, 1.0))
}

/// The weights of a set of points in both forms: fractions with polynomials, and a table that is made when it is asked for.
pub(super) struct Fractional {
    pub pieces: Vec<Pieces>,
    pub profiles: Vec<Profile>,
    /// s of each point, in walking order: along all axes of the first, of the second …
    pub fractions: Vec<f32>,
    pub table: Made<Vec<f32>>,
}

impl Fractional {
    /// Weights of one point.
    pub fn stride(&self) -> usize {
        self.pieces.iter().map(Pieces::taps).sum()
    }

    pub fn table(&self) -> &[f32] {
        let d = self.pieces.len();
        self.table.get_or(|| {
            let mut all = vec![0f32; self.fractions.len() / d * self.stride()];
            let rows = all.par_chunks_exact_mut(self.stride()).zip(self.fractions.par_chunks_exact(d));
            rows.with_min_len(super::CHUNK).for_each(|(mut row, fractions)| {
                for ((pieces, profile), &s) in self.pieces.iter().zip(&self.profiles).zip(fractions) {
                    let (own, rest) = std::mem::take(&mut row).split_at_mut(pieces.taps);
                    for (j, w) in own.iter_mut().enumerate() {
                        *w = value(profile, pieces.taps, j, s.into()) as f32;
                    }
                    row = rest;
                }
            });
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use super::*;

    #[test]
    fn polynomials_follow_the_kernel_to_float32() {
        let windows = |sigma: f64| (2..=16).map(move |w| (w, Profile::window(&Window::new(w as f64, sigma))));
        let bell = [2, 3, 4, 6].map(|w| (w, Profile::kaiser_bessel(2.3 * w as f64)));
        for (w, profile) in windows(2.0).chain(windows(1.25)).chain(bell) {
            let p = Pieces::fit(&profile, w).unwrap();
            assert!((6..=MOST_TERMS).contains(&p.terms()), "{w} taps: {} terms", p.terms());
            for j in 0..w {
                for k in 0..=1000 {
                    let s = k as f64 / 1000.0 - 0.5;
                    let want = value(&profile, w, j, s);
                    // In f32, as kernels do it.
                    let sum = (0..p.terms()).rev().fold(0f32, |v, k| v * s as f32 + p.coefficient(k, j) as f32);
                    let error = (f64::from(sum) - want).abs() / profile.at(0.0);
                    assert!(error < 2e-7, "width {w}, tap {j}, s {s}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn kernels_with_corners_keep_their_tables() {
        assert_eq!(Pieces::fit(&Profile::Spline(2), 3), None);
        assert_eq!(Pieces::fit(&Profile::kaiser_bessel(60.0), 2), None);
    }
}
