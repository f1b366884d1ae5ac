//! What the methods share: the sensitivities at a pixel are eigenvectors of a small matrix over the coils.

use super::MapSets;
use super::subspace::wide;
use crate::app::dense::leading;
use crate::{Error, Result};
use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, Array4, Array5, ArrayView4, Axis, IxDyn};
use num_complex::{Complex32, Complex64};

/// Power iterations per pixel at most; where they do not suffice, there is no signal.
const ITERATIONS: usize = 100;

/// Maps in the making, over a volume.
pub(super) struct Maps {
    /// (z, y, x, set, coil)
    vectors: Array5<Complex32>,
    /// (z, y, x, set)
    values: Array4<f32>,
    /// The combination of coils that is real and positive.
    reference: Array1<Complex64>,
    /// Below this value a set has no signal.
    crop: f64,
}

impl Maps {
    pub(super) fn new(extents: [usize; 3], sets: usize, calibration: ArrayView4<Complex32>, crop: f64) -> Maps {
        let [nz, ny, nx] = extents;
        Maps {
            vectors: Array5::zeros((nz, ny, nx, sets, calibration.len_of(Axis(0)))),
            values: Array4::zeros((nz, ny, nx, sets)),
            reference: principal_coil(calibration),
            crop,
        }
    }

    /// Fills the rows of the plane `z` in parallel: `row(y)` gives the pixels' matrices from left to right, each with what a
    /// value of 1 is.
    pub(super) fn fill_plane<R: Iterator<Item = (Array2<Complex64>, f64)>>(
        &mut self,
        z: usize,
        row: impl Fn(usize) -> R + Sync,
    ) {
        let Maps { vectors, values, reference, crop } = self;
        let (mut vectors, mut values) = (vectors.index_axis_mut(Axis(0), z), values.index_axis_mut(Axis(0), z));
        let sets = values.len_of(Axis(2));
        let rows = vectors.axis_iter_mut(Axis(0)).into_par_iter().zip(values.axis_iter_mut(Axis(0)));
        rows.enumerate().for_each(|(y, (mut vectors, mut values))| {
            let places = vectors.axis_iter_mut(Axis(0)).zip(values.axis_iter_mut(Axis(0)));
            for ((matrix, one), (mut vectors, mut values)) in row(y).zip(places) {
                for (set, (value, vector)) in strongest(matrix, sets).into_iter().enumerate() {
                    let value = if one > 0.0 { value / one } else { 0.0 };
                    values[set] = value as f32;
                    if value >= *crop {
                        let phase = phase_to(reference, &vector);
                        for (to, from) in vectors.row_mut(set).iter_mut().zip(&vector) {
                            let turned = from * phase;
                            *to = Complex32::new(turned.re as f32, turned.im as f32);
                        }
                    }
                }
            }
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vectors.iter().all(|v| v.norm_sqr() == 0.0)
    }

    /// The maps with the coils in front, over images of `axes` axes.
    pub(super) fn finish(self, axes: usize, method: String) -> Result<MapSets> {
        let (nz, ny, nx, sets, coils) = self.vectors.dim();
        let image = &[nz, ny, nx][3 - axes..];
        let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
        let maps = self.vectors.permuted_axes([4, 3, 0, 1, 2]).as_standard_layout().into_owned();
        let values = self.values.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned();
        Ok(MapSets {
            maps: maps.into_shape_with_order(IxDyn(&[&[coils, sets], image].concat())).map_err(wrong)?,
            eigenvalues: values.into_shape_with_order(IxDyn(&[&[sets], image].concat())).map_err(wrong)?,
            method,
        })
    }
}

/// The largest eigenvalues of a Hermitian positive semidefinite matrix with unit eigenvectors, orthogonal to each other. Where
/// eigenvalues are equal, the vectors are some of those that belong to them.
fn strongest(mut matrix: Array2<Complex64>, count: usize) -> Vec<(f64, Array1<Complex64>)> {
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        let (value, vector) = leading(matrix.view(), ITERATIONS, 1e-5);
        if index + 1 < count {
            deflate(&mut matrix, &vector);
        }
        found.push((value, vector));
    }
    // A power iteration that was cut short may have missed the larger of two that are nearly equal.
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found
}

/// A ← (1 − v vᴴ) A (1 − v vᴴ)
fn deflate(a: &mut Array2<Complex64>, v: &Array1<Complex64>) {
    let image = a.dot(v);
    let inner: Complex64 = v.iter().zip(&image).map(|(v, w)| v.conj() * w).sum();
    for ((i, j), value) in a.indexed_iter_mut() {
        *value += v[i] * v[j].conj() * inner - v[i] * image[j].conj() - image[i] * v[j].conj();
    }
}

/// The combination of coils with the most energy in the calibration data.
fn principal_coil(data: ArrayView4<Complex32>) -> Array1<Complex64> {
    let coils = data.len_of(Axis(0));
    let covariance = Array2::from_shape_fn((coils, coils), |(c, d)| {
        let (c, d) = (data.index_axis(Axis(0), c), data.index_axis(Axis(0), d));
        c.iter().zip(&d).map(|(a, b)| wide(a * b.conj())).sum()
    });
    leading(covariance.view(), 1000, 1e-9).1
}

/// The unit factor that makes the inner product of `reference` with `vector` real and positive.
fn phase_to(reference: &Array1<Complex64>, vector: &Array1<Complex64>) -> Complex64 {
    let inner: Complex64 = reference.iter().zip(vector).map(|(r, v)| r.conj() * v).sum();
    let norm = inner.norm();
    if norm > 0.0 { inner.conj() / norm } else { Complex64::ONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;

    #[test]
    fn the_strongest_are_eigenvectors() {
        let mut noise = Generator::new(5);
        let b = Array2::from_shape_simple_fn((6, 6), || noise.complex_normal());
        let a = b.dot(&b.t().mapv(|v| v.conj()));
        let found = strongest(a.clone(), 3);
        let trace: f64 = a.diag().iter().map(|v| v.re).sum();
        assert!(found.iter().map(|(value, _)| value).sum::<f64>() < trace);
        for (i, (value, v)) in found.iter().enumerate() {
            let rest = a.dot(v) - v.mapv(|v| v * value);
            assert!(rest.iter().all(|r| r.norm() < 1e-3 * value), "{i}: {value}");
            for (_, w) in &found[..i] {
                let inner: Complex64 = v.iter().zip(w).map(|(v, w)| v.conj() * w).sum();
                assert!(inner.norm() < 1e-3);
            }
        }
        // Of equal ones, vectors of their space.
        let twice = strongest(Array2::from_diag(&ndarray::arr1(&[1.0, 1.0, 0.2]).mapv(Complex64::from)), 2);
        assert!(twice.iter().all(|(value, v)| (value - 1.0).abs() < 1e-6 && v[2].norm() < 1e-6));
    }
}
