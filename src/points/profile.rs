//! Interpolation kernels of one variable on [-1, 1], in f64.

use super::window::Window;
use std::f64::consts::PI;

/// Pieces of [0, 1] that a smooth profile is cut into.
const PIECES: usize = 96;
/// Coefficients of the polynomial on each; with these two the error is below 1e-12 of the largest value.
const TERMS: usize = 8;

/// An even function on [-1, 1], 0 outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Profile {
    /// A B-spline as signal toolboxes define it: 1; 1 − |u|; the quadratic one.
    Spline(u8),
    /// Cubic convolution: 1 at the middle and 0 at ±1/2 and ±1.
    Cubic,
    /// A smooth function, by piecewise polynomials.
    Smooth(Smooth),
}

/// Piecewise polynomials in the distance from the middle of a piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Smooth(Vec<[f64; TERMS]>);

impl Profile {
    /// The Kaiser–Bessel kernel I₀(β√(1 − u²)), not normalised (Beatty, Nishimura and Pauly, IEEE TMI 24:799, 2005).
    pub fn kaiser_bessel(beta: f64) -> Profile {
        Profile::Smooth(Smooth::fit(|u| bessel_i0_squared(beta * beta * (1.0 - u * u))))
    }

    /// The kernel of a non-uniform transform.
    pub fn window(w: &Window) -> Profile {
        Profile::Smooth(w.profile().clone())
    }

    /// The value at |u| ≤ 1; 0 outside.
    pub fn at(&self, u: f64) -> f64 {
        let u = u.abs();
        if u > 1.0 {
            return 0.0;
        }
        match self {
            Profile::Spline(0) => 1.0,
            Profile::Spline(1) => 1.0 - u,
            Profile::Spline(_) if u > 1.0 / 3.0 => 9.0 / 8.0 * (1.0 - u) * (1.0 - u),
            Profile::Spline(_) => 0.75 * (1.0 - 3.0 * u * u),
            Profile::Cubic => keys(2.0 * u),
            Profile::Smooth(s) => s.at(u),
        }
    }
}

/// The cubic convolution kernel with a = −1/2, at 0 ≤ s ≤ 2: interpolation by it is exact for polynomials of second degree (Keys,
/// IEEE Trans. ASSP 29:1153, 1981).
fn keys(s: f64) -> f64 {
    match s <= 1.0 {
        true => (1.5 * s - 2.5) * s * s + 1.0,
        false => ((-0.5 * s + 2.5) * s - 4.0) * s + 2.0,
    }
}

impl Smooth {
    /// Newton's interpolation at Chebyshev nodes, expanded about the middle of each piece.
    pub(super) fn fit(f: impl Fn(f64) -> f64) -> Smooth {
        let half = 0.5 / PIECES as f64;
        let nodes: [f64; TERMS] = std::array::from_fn(|j| (PI * (j as f64 + 0.5) / TERMS as f64).cos());
        let piece = |k: usize| {
            let middle = (k as f64 + 0.5) / PIECES as f64;
            let mut d: [f64; TERMS] = std::array::from_fn(|j| f((middle + half * nodes[j]).min(1.0)));
            for order in 1..TERMS {
                for j in (order..TERMS).rev() {
                    d[j] = (d[j] - d[j - 1]) / (nodes[j] - nodes[j - order]);
                }
            }
            let mut c = [0.0; TERMS];
            for j in (0..TERMS).rev() {
                // c ← c·(x − node) + d.
                for i in (1..TERMS).rev() {
                    c[i] = c[i - 1] - nodes[j] * c[i];
                }
                c[0] = d[j] - nodes[j] * c[0];
            }
            c
        };
        Smooth((0..PIECES).map(piece).collect())
    }

    /// The value at 0 ≤ u ≤ 1.
    pub(super) fn at(&self, u: f64) -> f64 {
        let scaled = u * PIECES as f64;
        let k = (scaled as usize).min(PIECES - 1);
        let x = 2.0 * (scaled - k as f64) - 1.0;
        self.0[k].iter().rev().fold(0.0, |sum, c| sum * x + c)
    }
}

/// I₀(√z) by its power series, whose terms are all positive for z ≥ 0.
fn bessel_i0_squared(z: f64) -> f64 {
    let z = z.max(0.0) / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= z / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_the_function() {
        for beta in [0.5, 5.7, 14.0, 30.0] {
            let p = Profile::kaiser_bessel(beta);
            let top = p.at(0.0);
            for k in 0..=1000 {
                let u = k as f64 / 1000.0;
                let want = bessel_i0_squared(beta * beta * (1.0 - u * u));
                assert!((p.at(u) - want).abs() < 1e-12 * top, "{beta} {u}");
                assert_eq!(p.at(u), p.at(-u));
            }
        }
        assert_eq!((Profile::Spline(1).at(0.25), Profile::Spline(0).at(1.0)), (0.75, 1.0));
        assert!((Profile::Spline(2).at(1.0 / 3.0) - 0.5).abs() < 1e-15);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|u| Profile::Cubic.at(u)), [1.0, 0.5625, 0.0, -0.0625, 0.0]);
    }
}
