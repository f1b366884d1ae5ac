//! ESPIRiT: sensitivities as eigenvectors of what calibration data say of each pixel.
//!
//! Uecker et al., "ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI", Magn. Reson.
//! Med. 71:990 (2014). Patches of the calibration data span a signal subspace; its projector,
//! averaged over the patch and taken to the image domain, is a small matrix at each pixel whose
//! eigenvectors of eigenvalue 1 hold the sensitivities: one where the pixel has one place in the object, two where the object is
//! larger than the field of view and folds onto itself.
//!
//! The matrices are trigonometric polynomials of the degree of the patch less one. They are summed at every pixel, axis after
//! axis, so that nothing is interpolated, in three dimensions neither.

use super::calibration::{Block, HINT};
use super::pixels::Maps;
use super::subspace::{self, Sizes};
use super::{MapSets, volume};
use crate::Result;
use crate::allocate::expect_room;
use crate::error::value_err;
use crate::setters::setters;
use ndarray::{Array, Array2, Array3, Array5, ArrayView2, ArrayViewD, Axis, RemoveAxis};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

/// How [`espirit`] estimates.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EspiritOptions {
    /// Side of a patch; at most half the calibration block's. None is 6 for slices and 4 for volumes, or what fits.
    pub kernel: Option<usize>,
    /// Lines of the calibration block along each axis, 4 to 64; None is the largest block that was acquired, up to 24.
    pub calibration: Option<usize>,
    /// Singular values of the calibration matrix below this part of the largest are noise.
    pub threshold: f64,
    /// Where the eigenvalue of a set is below this, it has no signal and its maps are 0; 0 keeps all.
    pub crop: f64,
    /// Sets of maps; more than one for soft SENSE, where an object folds onto itself.
    pub sets: usize,
}

setters! { EspiritOptions {
    /// With patches of this side.
    kernel: Option<usize>,
    /// With a calibration block of this side.
    calibration: Option<usize>,
    /// With another threshold of singular values.
    threshold: f64,
    /// With maps of 0 where the eigenvalue is below this.
    crop: f64,
    /// With so many sets of maps.
    sets: usize,
} }

impl Default for EspiritOptions {
    /// One set, singular values from 0.02 on (the paper's choice), eigenvalues from 0.95 on.
    fn default() -> Self {
        EspiritOptions { kernel: None, calibration: None, threshold: 0.02, crop: 0.95, sets: 1 }
    }
}

/// Side of a patch of slices, where the calibration block is large enough.
const KERNEL: usize = 6;
/// The same of volumes, where the work grows with its ninth power.
const KERNEL_3D: usize = 4;

/// Estimates one or several sets of sensitivities from k-space (coil, ky, kx) or (coil, kz, ky, kx), zero where it was not
/// acquired.
///
/// ```
/// use linops::app::{EspiritOptions, ScanOptions, espirit, scan};
/// let scan = scan(&ScanOptions::default().ny(32).nx(32).coils(4))?;
/// let found = espirit(scan.kspace.view().into_dyn(), &EspiritOptions::default().sets(2).kernel(Some(5)))?;
/// assert_eq!(found.maps.shape(), [4, 2, 32, 32]);
/// assert_eq!(found.eigenvalues.shape(), [2, 32, 32]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) when fewer than 8 centre lines, columns or (of more) partitions were acquired, or fewer
/// than the options ask for, when options are out of range, when the data are not finite, or when no pixel has a signal;
/// [`Error::Shape`](crate::Error::Shape) for k-space of other axes.
pub fn espirit(kspace: ArrayViewD<Complex32>, options: &EspiritOptions) -> Result<MapSets> {
    let axes = kspace.ndim().saturating_sub(1);
    let kspace = volume(&kspace)?;
    let (coils, nz, ny, nx) = kspace.dim();
    let &EspiritOptions { threshold, crop, sets, .. } = options;
    if !(threshold > 0.0 && threshold < 1.0) {
        return value_err!(
            "a threshold of singular values of {threshold}; expected a part of the largest, such as 0.02"
        );
    }
    if !(0.0..=1.0).contains(&crop) {
        return value_err!("a crop threshold of {crop}; expected an eigenvalue from 0 to 1, such as 0.95");
    }
    if !(1..=coils).contains(&sets) {
        return value_err!("{sets} sets of maps; expected 1 to the number of coils, {coils}");
    }
    if kspace.iter().any(|v| !v.is_finite()) {
        return value_err!("the k-space holds NaN or infinity; coil maps need finite data");
    }
    let block = Block::find(kspace, options.calibration)?;
    let kernel = kernel(options.kernel, block.sides())?;
    let sizes = Sizes::of(coils, block.sides(), kernel);
    let pixels = [nz, ny, nx].iter().map(|n| *n as u64).product::<u64>();
    let maps = pixels.saturating_mul(sets as u64 * (16 * coils as u64 + 8));
    let bytes = sizes.bytes().max((16 * sizes.rows.saturating_mul(sizes.rows)).saturating_add(maps));
    expect_room(bytes, "the estimation of coil maps")?;

    let data = block.cut(kspace);
    let Some(projector) = subspace::projector(data.view(), kernel, threshold) else {
        return value_err!("the centre of k-space is empty or full of holes; {HINT}");
    };
    let lags = average_over_patch(projector.view(), kernel);
    let mut maps = Maps::new([nz, ny, nx], sets, data.view(), crop);
    for z in 0..nz {
        // Separable: the lags along z once for the plane, along y once for the row, those along x for each pixel.
        let plane = transform(&lags, z, nz);
        maps.fill_plane(z, |y| {
            let row = transform(&plane, y, ny);
            (0..nx).map(move |x| (hermitian(&row, x, nx), 1.0))
        });
    }
    if maps.is_empty() {
        return value_err!("ESPIRiT found no signal in the calibration data; {HINT}");
    }
    let by = |extents: [usize; 3]| extents[3 - axes..].iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let of_sets = if sets == 1 { String::new() } else { format!(", {sets} sets") };
    let method = format!("ESPIRiT from {} centre samples, {} kernel{of_sets}", by(block.sides()), by(kernel));
    maps.finish(axes, method)
}

/// Extents of the patches within a calibration block.
fn kernel(asked: Option<usize>, block: [usize; 3]) -> Result<[usize; 3]> {
    let slice = block[0] == 1;
    let within = block[1].min(block[2]) / 2;
    let side = match asked {
        Some(0) => return value_err!("a kernel of 0 samples, expected at least 1"),
        Some(side) if side > within => {
            return value_err!(
                "a kernel of {side} in calibration data of {} lines, expected at most half of them: {within}",
                block[1].min(block[2])
            );
        }
        Some(side) => side,
        None => within.min(if slice { KERNEL } else { KERNEL_3D }),
    };
    Ok([if slice { 1 } else { side.min(block[0] / 2).max(1) }, side, side])
}

/// The projector over (coil, p) summed over patch positions of the same lag p − p', as (lag z, lag y, lag x, coil, coil').
fn average_over_patch(projector: ArrayView2<Complex64>, kernel: [usize; 3]) -> Array5<Complex64> {
    let [kz, ky, kx] = kernel;
    let patch = kz * ky * kx;
    let coils = projector.nrows() / patch;
    let mut out = Array5::zeros((2 * kz - 1, 2 * ky - 1, 2 * kx - 1, coils, coils));
    let scale = 1.0 / patch as f64;
    let place = |p: usize| [p / kx / ky, p / kx % ky, p % kx];
    for ((row, column), value) in projector.indexed_iter() {
        let (p, q) = (place(row % patch), place(column % patch));
        let lag: [usize; 3] = std::array::from_fn(|axis| p[axis] + kernel[axis] - 1 - q[axis]);
        out[[lag[0], lag[1], lag[2], row / patch, column / patch]] += value * scale;
    }
    out
}

/// The same of matrices of which that at −lag is the adjoint of that at lag: half of the lags, and the adjoint of their sum.
fn hermitian(lags: &Array3<Complex64>, n: usize, extent: usize) -> Array2<Complex64> {
    let position = (n as f64 - (extent / 2) as f64) / extent as f64;
    let zero = lags.len_of(Axis(0)) / 2;
    let mut half = lags.index_axis(Axis(0), zero).mapv(|v| v * 0.5);
    for (lag, matrix) in lags.axis_iter(Axis(0)).skip(zero + 1).enumerate() {
        half.scaled_add(Complex64::cis(TAU * (lag + 1) as f64 * position), &matrix);
    }
    Array2::from_shape_fn(half.dim(), |(i, j)| half[[i, j]] + half[[j, i]].conj())
}

/// Sums the first axis, the lags −(L−1)/2…(L−1)/2, with exp(2πi lag·(n − c)/N).
fn transform<D: RemoveAxis>(lags: &Array<Complex64, D>, n: usize, extent: usize) -> Array<Complex64, D::Smaller> {
    let position = (n as f64 - (extent / 2) as f64) / extent as f64;
    let mut out = Array::zeros(lags.raw_dim().remove_axis(Axis(0)));
    let largest = (lags.len_of(Axis(0)) / 2) as f64;
    for (index, lag) in lags.axis_iter(Axis(0)).enumerate() {
        out.scaled_add(Complex64::cis(TAU * (index as f64 - largest) * position), &lag);
    }
    out
}
