//! The signal subspace of the calibration patches, as a projector.
//!
//! ESPIRiT keeps the singular vectors of the calibration matrix X above a threshold, and uses them
//! only through the projector on them. That is a step function of X Xᴴ, which needs no
//! eigenvectors: λ/(λ + τ) is a smooth step at the squared threshold τ, and
//! McWeeny's purification P ← 3P² − 2P³ (Rev. Mod. Phys. 32:335, 1960) sharpens it. It is done on whichever side of X is
//! shorter: with P = X R Xᴴ on R, a matrix over the patches, of which there are fewer than rows in X with many coils in a slice;
//! or, in three dimensions, on P itself, a matrix over the rows.

use crate::app::dense::{invert_positive, leading, product};
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis, Zip, s};
use num_complex::{Complex32, Complex64};

/// Purifications: singular values 30 % off the threshold end within 1 % of 0 or 1.
const SHARPENINGS: usize = 6;

/// The side of X on which the projector is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Patches,
    Rows,
}

/// What the projector of data of so many coils takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Coils times samples of a patch.
    pub rows: u64,
    /// Positions of the patch.
    pub patches: u64,
}

impl Sizes {
    pub(super) fn of(coils: usize, block: [usize; 3], kernel: [usize; 3]) -> Sizes {
        let product = |f: &dyn Fn(usize) -> usize| (0..3).map(|axis| f(axis) as u64).product::<u64>();
        Sizes {
            rows: coils as u64 * product(&|axis| kernel[axis]),
            patches: product(&|axis| block[axis] + 1 - kernel[axis]),
        }
    }

    pub(super) fn side(&self) -> Side {
        // The one takes an inverse and 18 products of its size, the other an inverse and 12.
        let cube = |n: u64| (n as f64).powi(3);
        if 19.0 * cube(self.patches) <= 13.0 * cube(self.rows) { Side::Patches } else { Side::Rows }
    }

    /// Bytes of the largest matrices that are held at once.
    pub(super) fn bytes(&self) -> u64 {
        let Sizes { rows, patches } = *self;
        let square = |n: u64| n.saturating_mul(n);
        let values = match self.side() {
            // The patches twice and six matrices over them; or thrice, two, and the projector.
            Side::Patches => {
                let solving = 2 * rows * patches + 6 * square(patches);
                solving.max(3 * rows * patches + 2 * square(patches) + square(rows))
            }
            Side::Rows => 5 * square(rows),
        };
        values.saturating_mul(16)
    }
}

/// The projector on the signal subspace of all patches that were acquired whole, of the extents `kernel` of `data` (coil, kz, ky, kx), as a matrix over
/// (coil, sample of the patch).
///
/// `threshold` is relative to the largest singular value. `None` for data that are all zero.
pub(super) fn projector(data: ArrayView4<Complex32>, kernel: [usize; 3], threshold: f64) -> Option<Array2<Complex64>> {
    let (coils, nz, ny, nx) = data.dim();
    match Sizes::of(coils, [nz, ny, nx], kernel).side() {
        Side::Patches => over_patches(data, kernel, threshold),
        Side::Rows => over_rows(data, kernel, threshold),
    }
}

fn over_patches(data: ArrayView4<Complex32>, kernel: [usize; 3], threshold: f64) -> Option<Array2<Complex64>> {
    let patches = patches(data, kernel);
    let adjoint = patches.t().mapv(|v| v.conj());
    let gram = product(adjoint.view(), patches.view());
    let tau = squared_threshold(&gram, threshold)?;
    let mut shifted = gram.clone();
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

fn over_rows(data: ArrayView4<Complex32>, kernel: [usize; 3], threshold: f64) -> Option<Array2<Complex64>> {
    let mut shifted = covariance(data, kernel);
    let tau = squared_threshold(&shifted, threshold)?;
    shifted.diag_mut().mapv_inplace(|v| v + tau);
    // λ/(λ + τ) = 1 − τ/(λ + τ).
    let mut p = invert_positive(shifted)?;
    p.mapv_inplace(|v| -tau * v);
    p.diag_mut().mapv_inplace(|v| v + 1.0);
    for _ in 0..SHARPENINGS {
        let square = product(p.view(), p.view());
        p.mapv_inplace(|v| -2.0 * v);
        p.diag_mut().mapv_inplace(|v| v + 3.0);
        p = product(square.view(), p.view());
    }
    Some(p)
}

/// The square of the threshold, `None` for a matrix of zeros.
fn squared_threshold(gram: &Array2<Complex64>, threshold: f64) -> Option<f64> {
    let (largest, _) = leading(gram.view(), 200, 1e-6);
    (largest > 0.0).then_some(threshold * threshold * largest)
}

/// Positions (z, y, x) of the patches in the block: those of which all samples were acquired, and the others. A sample that is 0 in all
/// coils was not.
fn positions(data: ArrayView4<Complex32>, [kz, ky, kx]: [usize; 3]) -> [Vec<[usize; 3]>; 2] {
    let (_, nz, ny, nx) = data.dim();
    let acquired = data.map_axis(Axis(0), |coils| coils.iter().any(|v| *v != Complex32::ZERO));
    let all = (0..=nz - kz).flat_map(|z| (0..=ny - ky).flat_map(move |y| (0..=nx - kx).map(move |x| [z, y, x])));
    let whole = |[z, y, x]: &[usize; 3]| acquired.slice(s![*z..z + kz, *y..y + ky, *x..x + kx]).iter().all(|a| *a);
    let (whole, others) = all.partition(whole);
    [whole, others]
}

/// Every patch of the block that was acquired as a column over (coil, sample of the patch).
fn patches(data: ArrayView4<Complex32>, kernel: [usize; 3]) -> Array2<Complex64> {
    let coils = data.len_of(Axis(0));
    let [kz, ky, kx] = kernel;
    let [whole, _] = positions(data, kernel);
    let mut out = Array2::zeros((coils * kz * ky * kx, whole.len()));
    for ([z, y, x], mut column) in whole.into_iter().zip(out.columns_mut()) {
        let patch = data.slice(s![.., z..z + kz, y..y + ky, x..x + kx]);
        for (to, from) in column.iter_mut().zip(&patch) {
            *to = wide(*from);
        }
    }
    out
}

/// X Xᴴ without X: the entry of the samples p and q of a patch is the sum of x(p + i)·x̄(q + i) over the positions i, a window
/// of the products at the lag p − q, which those with the same lag share.
fn covariance(data: ArrayView4<Complex32>, kernel: [usize; 3]) -> Array2<Complex64> {
    let (coils, nz, ny, nx) = data.dim();
    let [_, others] = positions(data, kernel);
    let data = data.mapv(wide);
    let [kz, ky, kx] = kernel;
    let patch = kz * ky * kx;
    let windows = [nz + 1 - kz, ny + 1 - ky, nx + 1 - kx];
    let pairs: Vec<(usize, usize)> = (0..coils).flat_map(|c| (c..coils).map(move |d| (c, d))).collect();
    let blocks: Vec<Array2<Complex64>> = pairs
        .par_iter()
        .map(|&(c, d)| {
            let mut out = Array2::zeros((patch, patch));
            let (a, b) = (data.index_axis(Axis(0), c), data.index_axis(Axis(0), d));
            for lag in lags(kernel) {
                let from = lag.map(|l| (-l).max(0) as usize);
                let sums = windowed(products(a, b, lag, from, kernel, windows), windows);
                for ((z, y, x), sum) in sums.indexed_iter() {
                    let q = [from[0] + z, from[1] + y, from[2] + x];
                    let p: [usize; 3] = std::array::from_fn(|axis| q[axis].saturating_add_signed(lag[axis]));
                    let at = |[z, y, x]: [usize; 3]| (z * ky + y) * kx + x;
                    out[[at(p), at(q)]] = *sum;
                }
            }
            out
        })
        .collect();
    let mut gram = Array2::zeros((coils * patch, coils * patch));
    for ((c, d), block) in pairs.into_iter().zip(blocks) {
        let place = |c: usize| c * patch..(c + 1) * patch;
        gram.slice_mut(s![place(d), place(c)]).assign(&block.t().mapv(|v| v.conj()));
        gram.slice_mut(s![place(c), place(d)]).assign(&block);
    }
    // Patches that were not acquired whole are no part of it.
    for [z, y, x] in others {
        let column: Vec<Complex64> = data.slice(s![.., z..z + kz, y..y + ky, x..x + kx]).iter().copied().collect();
        let rows = gram.axis_iter_mut(Axis(0)).into_par_iter().zip(&column);
        rows.for_each(|(mut row, a)| row.iter_mut().zip(&column).for_each(|(g, b)| *g -= a * b.conj()));
    }
    gram
}

/// All p − q of samples of a patch.
fn lags(kernel: [usize; 3]) -> impl Iterator<Item = [isize; 3]> {
    let range = |k: usize| 1 - k as isize..k as isize;
    let [kz, ky, kx] = kernel;
    range(kz).flat_map(move |z| range(ky).flat_map(move |y| range(kx).map(move |x| [z, y, x])))
}

/// a(q + lag + i)·b̄(q + i) for all samples q and positions i at this lag, the first q being `from`.
fn products(
    a: ArrayView3<Complex64>,
    b: ArrayView3<Complex64>,
    lag: [isize; 3],
    from: [usize; 3],
    kernel: [usize; 3],
    windows: [usize; 3],
) -> Array3<Complex64> {
    let part = |axis: usize, shift: isize| {
        let start = from[axis].saturating_add_signed(shift);
        start..start + kernel[axis] - lag[axis].unsigned_abs() + windows[axis] - 1
    };
    let a = a.slice(s![part(0, lag[0]), part(1, lag[1]), part(2, lag[2])]);
    let b = b.slice(s![part(0, 0), part(1, 0), part(2, 0)]);
    Zip::from(a).and(b).map_collect(|a, b| a * b.conj())
}

/// Sums over windows along each axis, at all places where they fit.
fn windowed(mut values: Array3<Complex64>, windows: [usize; 3]) -> Array3<Complex64> {
    // The last axis first: its rows are contiguous, and little is left for the others.
    for axis in [2, 1, 0] {
        let window = windows[axis];
        if window == 1 {
            continue;
        }
        let places = values.len_of(Axis(axis)) + 1 - window;
        let mut shape = values.raw_dim();
        shape[axis] = places;
        let mut sums = Array3::zeros(shape);
        for (lane, mut out) in values.lanes(Axis(axis)).into_iter().zip(sums.lanes_mut(Axis(axis))) {
            let mut sum: Complex64 = lane.iter().take(window).sum();
            out[0] = sum;
            for place in 1..places {
                sum += lane[place + window - 1] - lane[place - 1];
                out[place] = sum;
            }
        }
        values = sums;
    }
    values
}

pub(super) fn wide(v: Complex32) -> Complex64 {
    Complex64::new(v.re.into(), v.im.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use ndarray::Array4;

    #[test]
    fn projects_on_the_patches() {
        // Two plane waves: every patch is a combination of two vectors.
        let data = Array4::from_shape_fn((2, 1, 12, 12), |(c, _, y, x)| {
            let wave = |a: f32, b: f32| Complex32::cis(a * y as f32 + b * x as f32);
            wave(0.3, 0.9) + wave(-1.1, 0.2) * (c as f32 + 1.0)
        });
        for make in [over_patches, over_rows] {
            let p = make(data.view(), [1, 4, 4], 0.02).unwrap();
            let trace: f64 = p.diag().iter().map(|v| v.re).sum();
            assert!((trace - 2.0).abs() < 1e-3, "{trace}");
            let patch = patches(data.view(), [1, 4, 4]).column(5).to_owned();
            let difference = p.dot(&patch) - &patch;
            assert!(difference.iter().all(|v| v.norm() < 1e-3));
            assert!(make(Array4::zeros((2, 1, 12, 12)).view(), [1, 4, 4], 0.02).is_none());
        }
    }

    #[test]
    fn the_covariance_is_that_of_the_patches() {
        let mut noise = Generator::new(3);
        let data = Array4::from_shape_simple_fn((2, 5, 7, 6), || {
            let v = noise.complex_normal();
            Complex32::new(v.re as f32, v.im as f32)
        });
        for kernel in [[3, 2, 4], [1, 3, 3], [5, 1, 2]] {
            let x = patches(data.view(), kernel);
            let want = product(x.view(), x.t().mapv(|v| v.conj()).view());
            let found = covariance(data.view(), kernel);
            assert!((&found - &want).iter().all(|v| v.norm() < 1e-10), "{kernel:?}");
        }
    }

    #[test]
    fn both_sides_give_one_projector() {
        let mut noise = Generator::new(4);
        let data = Array4::from_shape_fn((3, 4, 8, 8), |(c, z, y, x)| {
            let v = noise.complex_normal() * 1e-3;
            let turn = 0.2 * z as f32 * (c as f32 - 1.0) + 0.4 * y as f32 - 0.3 * x as f32;
            Complex32::cis(turn) + Complex32::new(v.re as f32, v.im as f32)
        });
        let kernel = [2, 3, 3];
        let (a, b) = (over_patches(data.view(), kernel, 0.02), over_rows(data.view(), kernel, 0.02));
        let apart = (a.unwrap() - b.unwrap()).iter().map(|v| v.norm()).fold(0.0, f64::max);
        assert!(apart < 1e-6, "{apart}");
    }
}
