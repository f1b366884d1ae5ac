//! The signal subspace of the calibration patches, as a projector.
//!
//! ESPIRiT keeps the singular vectors of the calibration matrix X above a threshold, and uses them
//! only through the projector on them. That is a step function of X Xᴴ, which needs no
//! eigenvectors: P = X(G + τ)⁻¹Xᴴ with G = XᴴX is a smooth step at the squared threshold τ, and
//! McWeeny's purification P ← 3P² − 2P³ (Rev. Mod. Phys. 32:335, 1960) sharpens it. With P = X R Xᴴ
//! all of that happens to R, a matrix over the patches, of which there are fewer than rows in X as
//! soon as there are many coils.

use crate::app::dense::{invert_positive, leading, product};
use ndarray::{Array2, ArrayView3, s};
use num_complex::{Complex32, Complex64};

/// Purifications: singular values 30 % off the threshold end within 1 % of 0 or 1.
const SHARPENINGS: usize = 6;

/// The projector on the signal subspace of all `kernel` × `kernel` patches of `data`
/// (coil, ky, kx), as a matrix over (coil, patch row, patch column).
///
/// `threshold` is relative to the largest singular value. `None` for data that are all zero.
pub(super) fn projector(data: ArrayView3<Complex32>, kernel: usize, threshold: f64) -> Option<Array2<Complex64>> {
    let patches = patches(data, kernel);
    let adjoint = patches.t().mapv(|v| v.conj());
    let gram = product(adjoint.view(), patches.view());
    let (largest, _) = leading(gram.view(), 200, 1e-6);
    if largest <= 0.0 {
        return None;
    }
    let mut shifted = gram.clone();
    let tau = threshold * threshold * largest;
    shifted.diag_mut().mapv_inplace(|v| v + tau);
    let mut inner = invert_positive(shifted)?;
    for _ in 0..SHARPENINGS {
        // GR is P seen from the patches, so that P² = X(R·GR)Xᴴ. In exact arithmetic RG would do as
        // well, but there rounding errors grow by λ/τ at each step.
        let seen = product(gram.view(), inner.view());
        inner = product(inner.view(), seen.view());
        let rest = Array2::from_diag_elem(gram.nrows(), Complex64::from(3.0)) - seen * Complex64::from(2.0);
        inner = product(inner.view(), rest.view());
    }
    Some(product(product(patches.view(), inner.view()).view(), adjoint.view()))
}

/// Every patch of the block as a column over (coil, patch row, patch column).
fn patches(data: ArrayView3<Complex32>, kernel: usize) -> Array2<Complex64> {
    let (coils, ny, nx) = data.dim();
    let (rows, columns) = (ny + 1 - kernel, nx + 1 - kernel);
    let mut out = Array2::zeros((coils * kernel * kernel, rows * columns));
    for (position, mut column) in out.columns_mut().into_iter().enumerate() {
        let (y, x) = (position / columns, position % columns);
        let patch = data.slice(s![.., y..y + kernel, x..x + kernel]);
        for (to, from) in column.iter_mut().zip(&patch) {
            *to = Complex64::new(from.re.into(), from.im.into());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn projects_on_the_patches() {
        // Two plane waves: every patch is a combination of two vectors.
        let data = Array3::from_shape_fn((2, 12, 12), |(c, y, x)| {
            let wave = |a: f32, b: f32| Complex32::cis(a * y as f32 + b * x as f32);
            wave(0.3, 0.9) + wave(-1.1, 0.2) * (c as f32 + 1.0)
        });
        let p = projector(data.view(), 4, 0.02).unwrap();
        let trace: f64 = p.diag().iter().map(|v| v.re).sum();
        assert!((trace - 2.0).abs() < 1e-3, "{trace}");
        let patch = patches(data.view(), 4).column(5).to_owned();
        let difference = p.dot(&patch) - &patch;
        assert!(difference.iter().all(|v| v.norm() < 1e-3));
        assert!(projector(Array3::zeros((2, 12, 12)).view(), 4, 0.02).is_none());
    }
}
