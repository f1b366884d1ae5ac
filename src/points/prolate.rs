//! The prolate spheroidal wave function ψ₀: of all functions on [-1, 1] the one with the most energy in |ω| ≤ c (Slepian and
//! Pollak, Bell Syst. Tech. J. 40:43, 1961).

/// ψ₀ of a bandwidth as a series in Legendre polynomials of even degree.
pub(super) struct Prolate(Vec<f64>);

impl Prolate {
    /// The lowest eigenvector of the tridiagonal matrix of the prolate differential operator (Xiao, Rokhlin and Yarvin,
    /// Inverse Problems 17:805, 2001), by inverse iteration.
    pub fn new(c: f64) -> Prolate {
        let n = 24 + c.ceil() as usize;
        let degree = |k: usize| 2.0 * k as f64;
        let c2 = c * c;
        let diagonal = |k: usize| {
            let l = degree(k);
            l * (l + 1.0) + c2 * (2.0 * l * (l + 1.0) - 1.0) / ((2.0 * l + 3.0) * (2.0 * l - 1.0))
        };
        let beside = |k: usize| {
            let l = degree(k);
            c2 * (l + 2.0) * (l + 1.0) / ((2.0 * l + 3.0) * ((2.0 * l + 1.0) * (2.0 * l + 5.0)).sqrt())
        };
        let mut v = vec![1.0; n];
        for _ in 0..60 {
            // Gaussian elimination; the matrix is positive definite.
            let mut pivots = vec![0.0; n];
            for k in 0..n {
                pivots[k] = diagonal(k);
                if k > 0 {
                    let f = beside(k - 1) / pivots[k - 1];
                    pivots[k] -= f * beside(k - 1);
                    v[k] -= f * v[k - 1];
                }
            }
            for k in (0..n).rev() {
                let above = if k + 1 < n { beside(k) * v[k + 1] } else { 0.0 };
                v[k] = (v[k] - above) / pivots[k];
            }
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter_mut().for_each(|x| *x /= norm);
        }
        // From normalised polynomials to Legendre's.
        let series: Vec<f64> = v.iter().enumerate().map(|(k, x)| x * (degree(k) + 0.5).sqrt()).collect();
        let mut p = Prolate(series);
        let at0 = p.at(0.0);
        p.0.iter_mut().for_each(|x| *x /= at0);
        p
    }

    /// ψ₀(u) for |u| ≤ 1.
    pub fn at(&self, u: f64) -> f64 {
        let (mut before, mut p, mut sum) = (0.0, 1.0, 0.0);
        for (k, d) in self.0.iter().enumerate() {
            sum += d * p;
            for l in [2 * k, 2 * k + 1] {
                let l = l as f64;
                (before, p) = (p, ((2.0 * l + 1.0) * u * p - l * before) / (l + 1.0));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::window::gauss_legendre;

    #[test]
    fn it_is_its_own_fourier_transform() {
        let nodes = gauss_legendre(100);
        for c in [2.0, 7.0, 16.0, 30.0] {
            let p = Prolate::new(c);
            let transform = |omega: f64| nodes.iter().map(|(u, w)| w * p.at(*u) * (omega * u).cos()).sum::<f64>();
            assert!((p.at(0.0) - 1.0).abs() < 1e-14);
            for v in [0.1, 0.5, 0.9, 1.0] {
                let (got, want) = (transform(v * c), transform(0.0) * p.at(v));
                assert!((got - want).abs() < 1e-13, "{c} {v} {got} {want}");
            }
        }
    }
}
