//! Cutting the field of view, in image space.

use crate::fourier::centred_dft;
use ndarray::{Array3, Array4, Axis, Slice};
use num_complex::Complex32;

/// Keeps the central `to` pixels of the image along `axis` (0 z, 1 y, 2 x) of k-space (coil, kz, ky, kx).
pub(super) fn crop(mut kspace: Array4<Complex32>, axis: usize, to: usize) -> Array4<Complex32> {
    let along = Axis(axis + 1);
    let from = kspace.len_of(along);
    if from == to {
        return kspace;
    }
    centred_dft(kspace.view_mut(), along, true);
    let start = from / 2 - to / 2;
    let mut kspace = kspace.slice_axis(along, Slice::from(start..start + to)).to_owned();
    centred_dft(kspace.view_mut(), along, false);
    kspace
}

/// The mask (kz, ky, kx) of what [`crop`] gives. The step of k-space grows by the same factor, so it is taken at the nearest old
/// sample.
pub(super) fn crop_mask(sampled: Array3<f32>, axis: usize, to: usize) -> Array3<f32> {
    let from = sampled.len_of(Axis(axis));
    let nearest: Vec<usize> = (0..to)
        .map(|k| {
            let offset = (k as f64 - (to / 2) as f64) * from as f64 / to as f64;
            ((from / 2) as f64 + offset).round().clamp(0.0, (from - 1) as f64) as usize
        })
        .collect();
    sampled.select(Axis(axis), &nearest)
}
