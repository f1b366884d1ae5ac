//! The little dense linear algebra that coil maps need.

use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, ArrayView2, Axis, LinalgScalar};
use num_complex::Complex64;

/// The inverse of a Hermitian positive definite matrix, by Gauss-Jordan elimination in place.
///
/// Such a matrix needs no pivoting. `None` when a pivot is not positive.
pub fn invert_positive(mut a: Array2<Complex64>) -> Option<Array2<Complex64>> {
    let n = a.nrows();
    for k in 0..n {
        let pivot = a[[k, k]].re;
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        a[[k, k]] = Complex64::ONE;
        a.row_mut(k).mapv_inplace(|v| v / pivot);
        let pivot_row = a.row(k).to_owned();
        a.axis_iter_mut(Axis(0)).into_par_iter().enumerate().filter(|(i, _)| *i != k).for_each(|(_, mut row)| {
            let factor = std::mem::replace(&mut row[k], Complex64::ZERO);
            row.scaled_add(-factor, &pivot_row);
        });
    }
    Some(a)
}

/// a·b, in blocks of rows over the threads; the result does not depend on their number.
pub fn product<T: LinalgScalar + Send + Sync>(a: ArrayView2<T>, b: ArrayView2<T>) -> Array2<T> {
    const ROWS: usize = 64;
    let mut out = Array2::zeros((a.nrows(), b.ncols()));
    out.axis_chunks_iter_mut(Axis(0), ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), ROWS))
        .for_each(|(mut out, a)| ndarray::linalg::general_mat_mul(T::one(), &a, &b, T::zero(), &mut out));
    out
}

/// The largest eigenvalue of a Hermitian positive semidefinite matrix and its unit eigenvector, by
/// power iteration from the column of the largest diagonal entry.
///
/// Stops after `iterations`, or when a step turns the vector by less than `tolerance` radians.
/// All zero for a zero matrix.
pub fn leading(a: ArrayView2<Complex64>, iterations: usize, tolerance: f64) -> (f64, Array1<Complex64>) {
    let n = a.nrows();
    let strongest = (0..n).max_by(|&i, &j| a[[i, i]].re.total_cmp(&a[[j, j]].re));
    let Some(strongest) = strongest else {
        return (0.0, Array1::zeros(0));
    };
    let mut vector = a.column(strongest).to_owned();
    if normalise(&mut vector) == 0.0 {
        return (0.0, vector);
    }
    let mut value = 0.0;
    for _ in 0..iterations {
        let mut next = a.dot(&vector);
        value = normalise(&mut next);
        if value == 0.0 {
            break;
        }
        let turn = (&next - &vector).iter().map(Complex64::norm_sqr).sum::<f64>();
        vector = next;
        if turn < tolerance * tolerance {
            break;
        }
    }
    (value, vector)
}

/// Scales to unit norm and returns the norm there was.
fn normalise(vector: &mut Array1<Complex64>) -> f64 {
    let norm = vector.iter().map(Complex64::norm_sqr).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.mapv_inplace(|v| v / norm);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;

    /// B Bᴴ + I of a random B.
    fn positive(n: usize) -> Array2<Complex64> {
        let mut generator = Generator::new(7);
        let b = Array2::from_shape_fn((n, n), |_| generator.complex_normal());
        product(b.view(), b.t().mapv(|v| v.conj()).view()) + Array2::<Complex64>::eye(n)
    }

    #[test]
    fn inverse_times_matrix_is_the_identity() {
        let a = positive(70);
        let inverse = invert_positive(a.clone()).unwrap();
        let error = product(a.view(), inverse.view()) - Array2::<Complex64>::eye(70);
        assert!(error.iter().all(|v| v.norm() < 1e-9));
        assert!(invert_positive(-a).is_none());
    }

    #[test]
    fn leading_is_an_eigenvector() {
        let a = positive(9);
        let (value, vector) = leading(a.view(), 1000, 1e-12);
        let residual = a.dot(&vector) - vector.mapv(|v| v * value);
        assert!(residual.iter().all(|v| v.norm() < 1e-8 * value));
        assert_eq!(leading(Array2::zeros((3, 3)).view(), 10, 1e-3).0, 0.0);
    }
}
