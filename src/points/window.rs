//! The kernel of a non-uniform transform: of a width, on a grid of an oversampling, the one with the least l2 error.
//!
//! On a grid of σN cells, mode n of an image of N comes with its aliases: at ω = πwn/(σN) the square of its error, averaged
//! over the points, is Σ φ̂(ω + πwm)²/φ̂(ω)² over m ≠ 0. Its mean over the image is what is made least (Jacob, IEEE Trans. Signal
//! Process. 57:2165, 2009, does so for tabled kernels). The kernel is a prolate function times an even polynomial: the first
//! alone leaves up to a third more.

use super::profile::Smooth;
use super::prolate::Prolate;
use std::f64::consts::PI;

/// Coefficients of the polynomial, at most.
const TERMS: usize = 10;
/// Modes that the mean is taken over, from the middle of the image to its edge.
const MODES: usize = 24;
/// Quadrature nodes on [-1, 1]: enough for the fastest alias.
const NODES: usize = 192;
/// Steps of the Gauss-Newton iteration; three do.
const STEPS: usize = 8;

/// An even kernel on [-1, 1] and its Fourier transform.
#[derive(Clone, Debug)]
pub struct Window {
    profile: Smooth,
    transform: Smooth,
    /// Up to where the transform is known: the edge of the image.
    edge: f64,
}

impl Window {
    /// For kernels that span `width` cells of a grid `sigma` times as fine as the image, with `sigma` > 1.
    pub fn new(width: f64, sigma: f64) -> Window {
        let edge = PI * width * 0.5 / sigma;
        // A little less bandwidth than the aliases leave.
        let prolate = Prolate::new((PI * width - edge - 0.15).max(edge));
        // Narrow kernels gain little from many terms, and each of their taps would have to follow half of all wiggles.
        let terms = ((2.0 * width).ceil() as usize).min(TERMS);
        let basis = |u: f64| -> [f64; TERMS] {
            let even = even_legendre(u);
            let psi = prolate.at(u);
            std::array::from_fn(|k| if k < terms { psi * even[k] } else { 0.0 })
        };
        // Even functions: twice the half.
        let nodes: Vec<(f64, [f64; TERMS])> = gauss_legendre(NODES)
            .into_iter()
            .filter(|(u, _)| *u > 0.0)
            .map(|(u, w)| (u, basis(u).map(|b| 2.0 * w * b)))
            .collect();
        let transforms = |omega: f64| {
            let mut sums = [0.0; TERMS];
            for (u, b) in &nodes {
                let cos = (omega * u).cos();
                sums.iter_mut().zip(b).for_each(|(s, b)| *s += cos * b);
            }
            sums
        };
        let aliases = ((70.0 / width) as i32).clamp(3, 12);
        let modes: Vec<Mode> = (0..MODES)
            .map(|i| {
                let omega = edge * (i as f64 + 0.5) / MODES as f64;
                let alias = |m: i32| transforms(omega + PI * width * f64::from(m));
                let others = (1..=aliases).flat_map(|m| [alias(m), alias(-m)]).collect();
                Mode { own: transforms(omega), others }
            })
            .collect();
        let c = least(&modes);
        Window {
            profile: Smooth::fit(|u| dot(&basis(u), &c)),
            transform: Smooth::fit(|v| dot(&transforms(v * edge), &c)),
            edge,
        }
    }

    /// By how much rounding of the kernel's values counts in the result: what is summed, over what is left of it, in the mean
    /// over the image.
    pub fn cancellation(&self) -> f64 {
        let square = |i: usize| (self.transform.at(0.0) / self.transform.at((i as f64 + 0.5) / MODES as f64)).powi(2);
        ((0..MODES).map(square).sum::<f64>() / MODES as f64).sqrt()
    }

    /// The kernel on [0, 1].
    pub(super) fn profile(&self) -> &Smooth {
        &self.profile
    }

    /// ∫ φ(u) exp(iωu) du, for |ω| up to πw/(2σ), the edge of the image.
    pub fn transform(&self, omega: f64) -> f64 {
        self.transform.at((omega.abs() / self.edge).min(1.0))
    }
}

/// The transforms of the basis at a mode and at its aliases.
struct Mode {
    own: [f64; TERMS],
    others: Vec<[f64; TERMS]>,
}

/// The coefficients, the first of them 1, for which aliases are least relative to the modes: by Gauss-Newton from the
/// prolate function on.
fn least(modes: &[Mode]) -> [f64; TERMS] {
    let error = |c: &[f64; TERMS]| -> f64 {
        let of = |m: &Mode| m.others.iter().map(|a| (dot(a, c) / dot(&m.own, c)).powi(2)).sum::<f64>();
        modes.iter().map(of).sum()
    };
    let mut c = [0.0; TERMS];
    c[0] = 1.0;
    let mut best = error(&c);
    for _ in 0..STEPS {
        // Ratios, and their derivatives by all coefficients but the first.
        let mut rows: Vec<[f64; TERMS]> = Vec::new();
        for m in modes {
            let own = dot(&m.own, &c);
            for a in &m.others {
                let ratio = dot(a, &c) / own;
                rows.push(std::array::from_fn(|j| if j == 0 { -ratio } else { (a[j] - ratio * m.own[j]) / own }));
            }
        }
        let step = least_squares(rows);
        let next: [f64; TERMS] = std::array::from_fn(|j| if j == 0 { 1.0 } else { c[j] + step[j - 1] });
        let now = error(&next);
        if now.is_nan() || now >= best {
            break;
        }
        let done = now > best * (1.0 - 1e-4);
        (c, best) = (next, now);
        if done {
            break;
        }
    }
    c
}

/// The x that makes ‖A x − b‖ least, by modified Gram-Schmidt; rows hold b, then A.
fn least_squares(mut rows: Vec<[f64; TERMS]>) -> [f64; TERMS - 1] {
    let product = |rows: &[[f64; TERMS]], i: usize, j: usize| rows.iter().map(|r| r[i] * r[j]).sum::<f64>();
    let mut r = [[0.0; TERMS]; TERMS];
    for i in 1..TERMS {
        let norm = product(&rows, i, i).sqrt();
        if norm == 0.0 {
            continue;
        }
        rows.iter_mut().for_each(|row| row[i] /= norm);
        r[i][i] = norm;
        // Columns behind it, and b.
        for j in (i + 1..TERMS).chain([0]) {
            r[i][j] = product(&rows, i, j);
            let by = r[i][j];
            rows.iter_mut().for_each(|row| row[j] -= by * row[i]);
        }
    }
    let mut x = [0.0; TERMS];
    for i in (1..TERMS).rev().filter(|&i| r[i][i] > 0.0) {
        let known: f64 = (i + 1..TERMS).map(|j| r[i][j] * x[j]).sum();
        x[i] = (r[i][0] - known) / r[i][i];
    }
    std::array::from_fn(|i| x[i + 1])
}

fn dot(a: &[f64; TERMS], b: &[f64; TERMS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// P₀, P₂, P₄ … at u.
fn even_legendre(u: f64) -> [f64; TERMS] {
    let (mut before, mut p) = (0.0, 1.0);
    let mut next = |l: usize| {
        let l = l as f64;
        (before, p) = (p, ((2.0 * l + 1.0) * u * p - l * before) / (l + 1.0));
        p
    };
    std::array::from_fn(|k| {
        if k == 0 {
            return 1.0;
        }
        next(2 * k - 2);
        next(2 * k - 1)
    })
}

/// Nodes and weights of the Gauss-Legendre rule on [-1, 1], by Newton's method.
pub(super) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |i: usize| {
        let mut u = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..6 {
            let (mut before, mut p) = (1.0, u);
            for l in 1..n {
                let l = l as f64;
                (before, p) = (p, ((2.0 * l + 1.0) * u * p - l * before) / (l + 1.0));
            }
            slope = n as f64 * (u * p - before) / (u * u - 1.0);
            u -= p / slope;
        }
        (u, 2.0 / ((1.0 - u * u) * slope * slope))
    };
    (0..n).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What FINUFFT's law says of a kernel along one axis.
    fn law(width: f64, sigma: f64) -> f64 {
        0.18 * (-PI * (width - 1.0) * (1.0 - 1.0 / sigma).sqrt()).exp()
    }

    /// The l2 error over the image, by a quadrature and with aliases of its own.
    fn error(width: f64, sigma: f64, profile: impl Fn(f64) -> f64) -> f64 {
        let nodes: Vec<(f64, f64)> = gauss_legendre(500).into_iter().map(|(u, w)| (u, w * profile(u.abs()))).collect();
        let transform = |omega: f64| nodes.iter().map(|(u, w)| w * (omega * u).cos()).sum::<f64>();
        let count = 40;
        let square = |i: usize| {
            let omega = PI * width * 0.5 / sigma * (i as f64 + 0.5) / count as f64;
            let alias = |m: i32| transform(omega + PI * width * f64::from(m)).powi(2);
            let own = transform(omega).powi(2);
            (1..20).map(|m| alias(m) + alias(-m)).sum::<f64>() / own
        };
        ((0..count).map(square).sum::<f64>() / count as f64).sqrt()
    }

    #[test]
    fn errors_are_within_the_law_and_below_the_prolate_kernels() {
        for sigma in [1.25, 1.5, 2.0] {
            for width in [2.0, 3.0, 4.0, 4.3, 5.0, 6.0, 7.0, 8.0] {
                let window = Window::new(width, sigma);
                let got = error(width, sigma, |u| window.profile.at(u));
                let edge = PI * width * 0.5 / sigma;
                let prolate = Prolate::new((PI * width - edge - 0.15).max(edge));
                assert!(got < error(width, sigma, |u| prolate.at(u)), "{sigma} {width}");
                // Three cells and fewer: no kernel does better than some 1.6 times the law.
                let most = if width < 4.0 { 2.3 } else { 1.5 };
                assert!(got < most * law(width, sigma), "{sigma} {width}: {:.2}", got / law(width, sigma));
            }
        }
    }

    #[test]
    fn the_transform_is_that_of_the_kernel() {
        let nodes = gauss_legendre(200);
        for (width, sigma) in [(1.0, 1.01), (1.0, 8.0), (2.5, 1.3), (4.0, 1.25), (6.0, 2.0), (16.0, 1.5), (32.0, 2.0)] {
            let window = Window::new(width, sigma);
            for v in [0.0, 0.3, 0.77, 1.0] {
                let omega = v * window.edge;
                let want: f64 = nodes.iter().map(|(u, w)| w * window.profile.at(u.abs()) * (omega * u).cos()).sum();
                let got = window.transform(omega);
                assert!((got - want).abs() < 1e-11 * window.transform(0.0), "{width} {sigma} {v}: {got} {want}");
            }
        }
    }

    #[test]
    fn gauss_legendre_integrates_polynomials() {
        for (n, degree) in [(1, 0), (4, 6), (20, 38), (192, 300)] {
            let sum: f64 = gauss_legendre(n).iter().map(|(u, w)| w * u.powi(degree)).sum();
            assert!((sum - 2.0 / f64::from(degree + 1)).abs() < 1e-13, "{n} {sum}");
        }
    }
}
