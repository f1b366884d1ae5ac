//! The singular value decomposition of a small matrix, in f64.

use num_complex::Complex64;

/// Rotations of columns change less than this relative to their norms: they are orthogonal.
const ORTHOGONAL: f64 = 1e-15;

/// Sweeps over all pairs, at most; some eight are enough.
const SWEEPS: usize = 60;

/// B = Σ σᵢ uᵢ vᵢᴴ, the largest σ first. Those that are 0 have uᵢ = 0.
pub(super) struct SmallSvd {
    pub values: Vec<f64>,
    pub left: Vec<Vec<Complex64>>,
    pub right: Vec<Vec<Complex64>>,
}

/// Of a matrix by columns, by Jacobi rotations from one side (Hestenes, J. SIAM 6:51, 1958).
pub(super) fn svd(mut columns: Vec<Vec<Complex64>>) -> SmallSvd {
    let n = columns.len();
    let unit = |k: usize| (0..n).map(|i| Complex64::from(f64::from(u8::from(i == k)))).collect();
    let mut right: Vec<Vec<Complex64>> = (0..n).map(unit).collect();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                let (a, b) = (square(&columns[p]), square(&columns[q]));
                let c = inner(&columns[p], &columns[q]);
                if c.norm() <= ORTHOGONAL * (a * b).sqrt() || c.norm() == 0.0 {
                    continue;
                }
                turned = true;
                let phase = c / c.norm();
                let zeta = (b - a) / (2.0 * c.norm());
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cosine = 1.0 / (1.0 + t * t).sqrt();
                for m in [&mut columns, &mut right] {
                    let (head, tail) = m.split_at_mut(q);
                    turn(&mut head[p], &mut tail[0], cosine, cosine * t, phase);
                }
            }
        }
        if !turned {
            break;
        }
    }
    let mut all: Vec<(f64, Vec<Complex64>, Vec<Complex64>)> = columns
        .into_iter()
        .zip(right)
        .map(|(u, v)| {
            let norm = square(&u).sqrt();
            let u = u.into_iter().map(|x| if norm > 0.0 { x / norm } else { Complex64::default() }).collect();
            (norm, u, v)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut svd = SmallSvd { values: Vec::new(), left: Vec::new(), right: Vec::new() };
    for (value, u, v) in all {
        svd.values.push(value);
        svd.left.push(u);
        svd.right.push(v);
    }
    svd
}

/// x, y ← c x − s e⁻ⁱᵠ y, s eⁱᵠ x + c y: unitary.
fn turn(x: &mut [Complex64], y: &mut [Complex64], c: f64, s: f64, phase: Complex64) {
    for (x, y) in x.iter_mut().zip(y) {
        let (a, b) = (*x, *y);
        *x = a * c - b * phase.conj() * s;
        *y = a * phase * s + b * c;
    }
}

fn square(x: &[Complex64]) -> f64 {
    x.iter().map(Complex64::norm_sqr).sum()
}

fn inner(x: &[Complex64], y: &[Complex64]) -> Complex64 {
    x.iter().zip(y).map(|(x, y)| x.conj() * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_what_their_parts_make() {
        for (rows, columns) in [(5, 5), (7, 3), (3, 6), (1, 1), (4, 4)] {
            let mut state = 1u64;
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
            };
            let mut b: Vec<Vec<Complex64>> =
                (0..columns).map(|_| (0..rows).map(|_| Complex64::new(number(), number())).collect()).collect();
            if (rows, columns) == (4, 4) {
                b[3] = b[1].clone();
            }
            let svd = svd(b.clone());
            for (j, column) in b.iter().enumerate() {
                for (i, want) in column.iter().enumerate() {
                    let found: Complex64 =
                        (0..columns).map(|k| svd.left[k][i] * svd.values[k] * svd.right[k][j].conj()).sum();
                    assert!((found - want).norm() < 1e-12, "{rows} × {columns}");
                }
            }
            for (i, v) in svd.right.iter().enumerate() {
                for (j, w) in svd.right.iter().enumerate() {
                    let off = (inner(v, w) - f64::from(u8::from(i == j))).norm();
                    assert!(off < 1e-10, "{rows} × {columns}, {i} {j}: {off:e}");
                }
            }
            assert!(svd.values.windows(2).all(|v| v[0] >= v[1]));
        }
    }
}
