//! Blocks on the host, in f64.

use super::Blocks;
use nalgebra::{DMatrix, SymmetricEigen};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;

fn matrix(blocks: &Blocks, columns: &[usize], values: &[Complex32]) -> DMatrix<Complex64> {
    let all = blocks.columns();
    DMatrix::from_fn(blocks.rows, columns.len(), |r, c| {
        let v = values[r * all + columns[c]];
        Complex64::new(v.re.into(), v.im.into())
    })
}

/// The squares of singular values of m, and U with m's smaller side, so that U Uᴴ m = m: eigenvalues of the smaller Gram matrix.
fn decomposed(m: &DMatrix<Complex64>) -> SymmetricEigen<Complex64, nalgebra::Dyn> {
    let gram = if m.nrows() <= m.ncols() { m * m.adjoint() } else { m.adjoint() * m };
    SymmetricEigen::new(gram)
}

/// m with its singular values made less by t.
fn less(m: &DMatrix<Complex64>, t: f64) -> DMatrix<Complex64> {
    let e = decomposed(m);
    let factor = e.eigenvalues.map(|s| {
        let s = s.max(0.0).sqrt();
        Complex64::from(if s > t { 1.0 - t / s } else { 0.0 })
    });
    let projector = &e.eigenvectors * DMatrix::from_diagonal(&factor) * e.eigenvectors.adjoint();
    if m.nrows() <= m.ncols() { projector * m } else { m * projector }
}

/// Makes the singular values of every block less by t, none below 0. Values are finite.
pub(crate) fn shrunk(blocks: &Blocks, values: &mut [Complex32], t: f64) {
    let all = blocks.columns();
    let one = |b: usize| {
        let columns = blocks.columns_of(b);
        let made = less(&matrix(blocks, &columns, values), t);
        (columns, made)
    };
    let results: Vec<(Vec<usize>, DMatrix<Complex64>)> = (0..blocks.count()).into_par_iter().map(one).collect();
    for (columns, made) in &results {
        for (c, column) in columns.iter().enumerate() {
            for r in 0..blocks.rows {
                let v = made[(r, c)];
                #[allow(clippy::cast_possible_truncation)]
                let narrow = Complex32::new(v.re as f32, v.im as f32);
                values[r * all + column] = narrow;
            }
        }
    }
}

/// The sums of the singular values of every block.
pub(crate) fn norms(blocks: &Blocks, values: &[Complex32]) -> Vec<f64> {
    let one = |b: usize| {
        let m = matrix(blocks, &blocks.columns_of(b), values);
        decomposed(&m).eigenvalues.iter().map(|s| s.max(0.0).sqrt()).sum()
    };
    (0..blocks.count()).into_par_iter().map(one).collect()
}
