//! Walsh's adaptive combination: sensitivities as the strongest eigenvectors of local covariances of coil images.
//!
//! Walsh, Gmitro and Marcellin, "Adaptive reconstruction of phased array MR imagery", Magn. Reson. Med. 43:682 (2000). The coil
//! images are those of the calibration data alone, apodised, so that undersampled scans have them too. It needs no subspace and
//! is some times faster than ESPIRiT; near edges, and where the object folds onto itself, it is less exact.

use super::calibration::{Block, HINT};
use super::pixels::Maps;
use super::subspace::wide;
use super::{MapSets, volume};
use crate::Result;
use crate::allocate::expect_room;
use crate::error::value_err;
use crate::fourier::centred_dft;
use crate::setters::setters;
use ndarray::{Array2, Array4, ArrayView4, ArrayViewD, Axis, s};
use num_complex::{Complex32, Complex64};
use std::f64::consts::PI;
use std::ops::Range;

/// How [`walsh`] estimates.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WalshOptions {
    /// Side of the neighbourhood of a pixel, in pixels.
    pub window: usize,
    /// Lines of the calibration block along each axis, 4 to 64; None is the largest block that was acquired, up to 24.
    pub calibration: Option<usize>,
    /// Where the strongest set explains less than this part of the energy, the maps are 0; 0 keeps all.
    pub crop: f64,
    /// Sets of maps.
    pub sets: usize,
}

setters! { WalshOptions {
    /// With another neighbourhood.
    window: usize,
    /// With a calibration block of this side.
    calibration: Option<usize>,
    /// With maps of 0 where they explain less of the energy.
    crop: f64,
    /// With so many sets of maps.
    sets: usize,
} }

impl Default for WalshOptions {
    /// Neighbourhoods of 5 pixels, one set, nothing cropped.
    fn default() -> Self {
        WalshOptions { window: 5, calibration: None, crop: 0.0, sets: 1 }
    }
}

/// Estimates sensitivities from k-space (coil, ky, kx) or (coil, kz, ky, kx), zero where it was not acquired.
///
/// ```
/// use linops::app::{ScanOptions, WalshOptions, scan, walsh};
/// let scan = scan(&ScanOptions::default().ny(32).nx(32).coils(4))?;
/// let found = walsh(scan.kspace.view().into_dyn(), &WalshOptions::default())?;
/// assert_eq!(found.set(0)?.shape(), [4, 32, 32]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of [`espirit`](super::espirit).
pub fn walsh(kspace: ArrayViewD<Complex32>, options: &WalshOptions) -> Result<MapSets> {
    let axes = kspace.ndim().saturating_sub(1);
    let kspace = volume(&kspace)?;
    let (coils, nz, ny, nx) = kspace.dim();
    let &WalshOptions { window, crop, sets, .. } = options;
    if !(1..=64).contains(&window) {
        return value_err!("a neighbourhood of {window} pixels, expected 1 to 64");
    }
    if !(0.0..=1.0).contains(&crop) {
        return value_err!("a crop threshold of {crop}; expected a part of the energy from 0 to 1");
    }
    if !(1..=coils).contains(&sets) {
        return value_err!("{sets} sets of maps; expected 1 to the number of coils, {coils}");
    }
    if kspace.iter().any(|v| !v.is_finite()) {
        return value_err!("the k-space holds NaN or infinity; coil maps need finite data");
    }
    let block = Block::find(kspace, options.calibration)?;
    let values = (kspace.len() as u64).saturating_mul(8 + 16 * sets as u64);
    expect_room(values.saturating_add((nx * coils * coils * 32) as u64), "the estimation of coil maps")?;
    let data = block.cut(kspace);
    let images = low_resolution(data.view(), &block, [nz, ny, nx]);
    if images.iter().all(|v| *v == Complex32::ZERO) {
        return value_err!("the centre of k-space is empty; {HINT}");
    }
    let mut maps = Maps::new([nz, ny, nx], sets, data.view(), crop);
    for z in 0..nz {
        maps.fill_plane(z, |y| covariances(&images, around(z, window, nz), around(y, window, ny), window));
    }
    let sides = block.sides()[3 - axes..].iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    maps.finish(
        axes,
        format!("Walsh's adaptive combination of {sides} centre samples, neighbourhoods of {window} pixels"),
    )
}

/// The coil images of the calibration data alone, on the whole grid.
fn low_resolution(data: ArrayView4<Complex32>, block: &Block, extents: [usize; 3]) -> Array4<Complex32> {
    let [nz, ny, nx] = extents;
    let mut out = Array4::zeros((data.len_of(Axis(0)), nz, ny, nx));
    let [z, y, x] = block.axes();
    // Of Hann's window, so that edges do not ring into each other; an axis of which there is no more is not weighted.
    let weight = |axis: &Range<usize>, n: usize, at: usize| {
        let from_centre = (axis.start + at) as f64 - (n / 2) as f64;
        if axis.len() == n { 1.0 } else { (PI * from_centre / (axis.len() + 1) as f64).cos().powi(2) }
    };
    let mut inner = out.slice_mut(s![.., z.clone(), y.clone(), x.clone()]);
    for ((c, i, j, k), value) in inner.indexed_iter_mut() {
        let w = weight(&z, nz, i) * weight(&y, ny, j) * weight(&x, nx, k);
        *value = data[[c, i, j, k]] * w as f32;
    }
    for axis in 1..4 {
        centred_dft(out.view_mut(), Axis(axis), true);
    }
    out
}

/// The neighbourhood of a place, cut at the ends.
fn around(place: usize, window: usize, n: usize) -> Range<usize> {
    let before = (window - 1) / 2;
    place.saturating_sub(before)..(place + window - before).min(n)
}

/// The covariances of a row's pixels from left to right, each with its trace.
fn covariances(
    images: &Array4<Complex32>,
    planes: Range<usize>,
    rows: Range<usize>,
    window: usize,
) -> impl Iterator<Item = (Array2<Complex64>, f64)> {
    let (coils, _, _, nx) = images.dim();
    // Each column's own sum; those of a neighbourhood are added.
    let columns: Vec<Array2<Complex64>> = (0..nx)
        .map(|x| {
            let mut sum = Array2::<Complex64>::zeros((coils, coils));
            for (z, y) in planes.clone().flat_map(|z| rows.clone().map(move |y| (z, y))) {
                let values = images.slice(s![.., z, y, x]);
                for c in 0..coils {
                    let value = wide(values[c]);
                    for d in 0..=c {
                        sum[[c, d]] += value * wide(values[d]).conj();
                    }
                }
            }
            sum
        })
        .collect();
    (0..nx).map(move |x| {
        let mut sum = Array2::<Complex64>::zeros((coils, coils));
        columns[around(x, window, nx)].iter().for_each(|column| sum += column);
        for c in 0..coils {
            for d in c + 1..coils {
                sum[[c, d]] = sum[[d, c]].conj();
            }
        }
        let trace = sum.diag().iter().map(|v| v.re).sum();
        (sum, trace)
    })
}
