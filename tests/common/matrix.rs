//! A linop as a dense matrix in f64, made by applying it to unit vectors: the oracle for forward, adjoint and normal.

use linops::{Linop, apply_f64};
use ndarray::{Array1, Array2, ArrayD, IxDyn};
use num_complex::Complex64;

/// A linop's matrix, between its flattened input and output.
pub struct Matrix {
    values: Array2<Complex64>,
    input: Vec<usize>,
    output: Vec<usize>,
}

impl Matrix {
    /// Column n is the linop applied to the n-th unit vector.
    pub fn of(a: &Linop) -> Matrix {
        let (input, output) = (a.input().unwrap().extents().to_vec(), a.output().unwrap().extents().to_vec());
        let (columns, rows): (usize, usize) = (input.iter().product(), output.iter().product());
        let mut values = Array2::zeros((rows, columns));
        for n in 0..columns {
            let mut unit = ArrayD::zeros(IxDyn(&input));
            unit.as_slice_mut().unwrap()[n] = Complex64::new(1.0, 0.0);
            let y = apply_f64(a, &unit).unwrap();
            values.column_mut(n).assign(&Array1::from_iter(y.iter().copied()));
        }
        Matrix { values, input, output }
    }

    /// The rows of this above those of another times a factor, as of one flat result.
    pub fn above(&self, other: &Matrix, factor: f64) -> Matrix {
        let values = ndarray::concatenate![ndarray::Axis(0), self.values, other.values.mapv(|v| v * factor)];
        Matrix { output: vec![values.nrows()], values, input: self.input.clone() }
    }

    /// A x.
    pub fn forward(&self, x: &ArrayD<Complex64>) -> ArrayD<Complex64> {
        let y = self.values.dot(&Array1::from_iter(x.iter().copied()));
        ArrayD::from_shape_vec(IxDyn(&self.output), y.to_vec()).unwrap()
    }

    /// Aᴴ y: the conjugate transpose.
    pub fn adjoint(&self, y: &ArrayD<Complex64>) -> ArrayD<Complex64> {
        let x = self.values.t().mapv(|z| z.conj()).dot(&Array1::from_iter(y.iter().copied()));
        ArrayD::from_shape_vec(IxDyn(&self.input), x.to_vec()).unwrap()
    }

    /// AᴴA x.
    pub fn normal(&self, x: &ArrayD<Complex64>) -> ArrayD<Complex64> {
        self.adjoint(&self.forward(x))
    }

    /// x with (AᴴA + λI) x = b, by Gaussian elimination with pivoting.
    pub fn solve_normal(&self, lambda: f64, b: &ArrayD<Complex64>) -> ArrayD<Complex64> {
        let mut m = self.values.t().mapv(|z| z.conj()).dot(&self.values);
        let n = m.nrows();
        let mut x: Vec<Complex64> = b.iter().copied().collect();
        for i in 0..n {
            m[[i, i]] += lambda;
        }
        for i in 0..n {
            let pivot = (i..n).max_by(|&a, &b| m[[a, i]].norm().total_cmp(&m[[b, i]].norm())).unwrap();
            for k in 0..n {
                m.swap([i, k], [pivot, k]);
            }
            x.swap(i, pivot);
            for row in i + 1..n {
                let factor = m[[row, i]] / m[[i, i]];
                for k in i..n {
                    let above = m[[i, k]];
                    m[[row, k]] -= factor * above;
                }
                x[row] = x[row] - factor * x[i];
            }
        }
        for i in (0..n).rev() {
            let known: Complex64 = (i + 1..n).map(|k| m[[i, k]] * x[k]).sum();
            x[i] = (x[i] - known) / m[[i, i]];
        }
        ArrayD::from_shape_vec(IxDyn(&self.input), x).unwrap()
    }
}
