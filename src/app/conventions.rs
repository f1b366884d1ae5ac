//! Conventions of Fourier transforms: arrays whose zero lies at index 0 brought to the middle, and what shows that one does so.
//!
//! Everything here computes with the centred transform: the centre of k-space and of the image is index n/2, rounded down. Other
//! programs leave one or both at index 0 (FFT order).

use ndarray::{Array, ArrayView, ArrayViewD, ArrayViewMut, Axis, Dimension, RemoveAxis};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

/// Values along an axis in FFT order, with index 0 brought to n/2.
pub fn centred_order<T: Clone, D: Dimension + RemoveAxis>(values: &mut Array<T, D>, axis: Axis) {
    let n = values.len_of(axis);
    for mut lane in values.lanes_mut(axis) {
        let line: Vec<T> = lane.iter().cloned().collect();
        for (at, value) in line.into_iter().enumerate() {
            lane[(at + n / 2) % n] = value;
        }
    }
}

/// k-space of an image that has its origin at index 0 along an axis, as that of the same image with its origin in the middle: times
/// exp(2πi (k − c) c/n), c = n/2 rounded down.
pub fn centred_image<D: Dimension + RemoveAxis>(mut kspace: ArrayViewMut<Complex32, D>, axis: Axis) {
    let n = kspace.len_of(axis);
    let centre = n / 2;
    for (k, mut line) in kspace.axis_iter_mut(axis).enumerate() {
        // In whole numbers: the product may be large, and whole turns do not count.
        let turns = ((k + n - centre) * centre % n.max(1)) as f64 / n as f64;
        let factor = Complex64::cis(TAU * turns);
        let factor = Complex32::new(factor.re as f32, factor.im as f32);
        line.mapv_inplace(|v| v * factor);
    }
}

/// The place of the strongest sample of k-space (coil, ky, kx) or (coil, kz, ky, kx), by the sum of squares over the coils, if it is
/// far from the middle along an axis (see [`is_far`]) and plainly stronger than all that are not: by a factor of 2, which the k-space
/// of a point or of noise has not.
pub fn displaced_centre(kspace: ArrayViewD<Complex32>) -> Option<Vec<usize>> {
    let extents: Vec<usize> = kspace.shape().get(1..)?.to_vec();
    let mut power = ndarray::ArrayD::<f64>::zeros(extents.as_slice());
    for coil in kspace.outer_iter() {
        power.zip_mut_with(&coil, |p, v| *p += f64::from(v.re).powi(2) + f64::from(v.im).powi(2));
    }
    let (mut near, mut far, mut place) = (0.0f64, 0.0f64, None);
    for (at, p) in power.indexed_iter() {
        if !at.slice().iter().zip(&extents).any(|(k, n)| is_far(*k, *n)) {
            near = near.max(*p);
        } else if *p > far {
            (far, place) = (*p, Some(at));
        }
    }
    place.filter(|_| far > 2.0 * near).map(|at| at.slice().to_vec())
}

/// Whether an index is farther than n/8 (and 2) from the middle n/2.
pub fn is_far(index: usize, n: usize) -> bool {
    8 * index.abs_diff(n / 2) > n.max(16)
}

/// Whether what an image (y, x) or (z, y, x) of energies shows lies across the ends of an axis rather than in the middle, as one does that has its
/// origin at index 0: there is nothing in the middle, and something at the ends.
pub fn lies_across_ends<D: RemoveAxis>(energy: ArrayView<f32, D>, axis: Axis) -> bool {
    let profile: Vec<f64> = energy.axis_iter(axis).map(|line| line.iter().map(|v| f64::from(*v)).sum()).collect();
    let n = profile.len();
    let half = n / 32;
    if n < 8 {
        return false;
    }
    let mean = profile.iter().sum::<f64>() / n as f64;
    let around = |centre: usize| {
        let window = (0..=2 * half).map(|at| profile[(centre + n + at - half) % n]);
        window.sum::<f64>() / (2 * half + 1) as f64
    };
    mean > 0.0 && around(n / 2) < 0.1 * mean && around(0) > 0.25 * mean
}

/// How a mask (ky, kx) or (kz, ky, kx) and the data disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Locations that the mask has, but where all data are 0.
    pub without_data: usize,
    /// Locations with data that the mask has not.
    pub without_mask: usize,
    /// Whether the mask agrees with the data when it is brought from FFT order to the middle along these axes.
    pub shifted: Vec<bool>,
}

/// How a mask disagrees with where data are; None where every location of the mask has data, but for one in fifty.
pub fn mask_disagreement<D: RemoveAxis>(mask: ArrayView<f32, D>, data: ArrayView<f32, D>) -> Option<Disagreement> {
    let count = |mask: &Array<f32, D>| {
        let pairs = || mask.iter().zip(&data).map(|(m, d)| (*m != 0.0, *d != 0.0));
        [pairs().filter(|(m, d)| *m && !*d).count(), pairs().filter(|(m, d)| !*m && *d).count()]
    };
    let ones = mask.iter().filter(|m| **m != 0.0).count();
    let mask = mask.to_owned();
    let [without_data, without_mask] = count(&mask);
    if 50 * without_data <= ones || data.iter().all(|d| *d == 0.0) {
        return None;
    }
    let axes = mask.ndim();
    let along = |set: usize| -> Vec<bool> { (0..axes).map(|axis| set >> axis & 1 == 1).collect() };
    let agrees = |along: &Vec<bool>| {
        let mut mask = mask.clone();
        (0..axes).filter(|a| along[*a]).for_each(|a| centred_order(&mut mask, Axis(a)));
        50 * count(&mask)[0] <= ones
    };
    // Few axes first: a mask of lines agrees along them whichever way it is.
    let mut sets: Vec<usize> = (1..1 << axes).collect();
    sets.sort_by_key(|set| set.count_ones());
    let shifted = sets.into_iter().map(along).find(agrees).unwrap_or_else(|| vec![false; axes]);
    Some(Disagreement { without_data, without_mask, shifted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};
    use crate::fourier::centred_dft;
    use ndarray::{Array1, Array2, Array3};

    /// The DFT without any centre.
    fn plain(x: &Array1<Complex64>) -> Array1<Complex64> {
        let n = x.len();
        let term = |k: usize, m: usize| x[m] * Complex64::cis(-TAU * (k * m) as f64 / n as f64);
        Array1::from_shape_fn(n, |k| (0..n).map(|m| term(k, m)).sum::<Complex64>() / (n as f64).sqrt())
    }

    #[test]
    fn both_shifts_make_the_plain_transform_the_centred_one() {
        for n in [4, 5, 8, 9, 1] {
            let x = Array1::from_shape_fn(n, |i| Complex64::new(i as f64 + 1.0, (i * i) as f64));
            let mut want = x.clone();
            centred_dft(want.view_mut(), Axis(0), false);
            let mut found = plain(&x).mapv(|v| Complex32::new(v.re as f32, v.im as f32));
            centred_order(&mut found, Axis(0));
            centred_image(found.view_mut(), Axis(0));
            for (a, b) in found.iter().zip(&want) {
                let b = Complex32::new(b.re as f32, b.im as f32);
                assert!((a - b).norm() < 1e-4 * (1.0 + b.norm()), "{n}: {a} {b}");
            }
        }
    }

    fn head() -> Array3<Complex32> {
        scan(&ScanOptions::default().ny(40).nx(33).coils(3).noise(0.001)).unwrap().kspace
    }

    /// Of the images of all coils.
    fn energy(mut kspace: Array3<Complex32>) -> Array2<f32> {
        centred_dft(kspace.view_mut(), Axis(1), true);
        centred_dft(kspace.view_mut(), Axis(2), true);
        kspace.map_axis(Axis(0), |coils| coils.iter().map(|v| v.norm_sqr()).sum())
    }

    #[test]
    fn a_scan_in_the_middle_shows_nothing() {
        let kspace = head();
        assert_eq!(displaced_centre(kspace.view().into_dyn()), None);
        let energy = energy(kspace.clone());
        assert!(!lies_across_ends(energy.view(), Axis(0)) && !lies_across_ends(energy.view(), Axis(1)));
        assert_eq!(displaced_centre(Array3::zeros((2, 8, 8)).view().into_dyn()), None);
        assert_eq!(displaced_centre(Array3::from_elem((2, 40, 40), Complex32::from(1.0)).view().into_dyn()), None);
    }

    #[test]
    fn other_orders_show() {
        let mut kspace = head();
        // To FFT order and, for even n, back again.
        centred_order(&mut kspace, Axis(1));
        let [y, x] = displaced_centre(kspace.view().into_dyn()).unwrap()[..] else { panic!("two axes") };
        assert!(is_far(y, 40) && !is_far(x, 33), "{y} {x}");
        let mut kspace = head();
        centred_image(kspace.view_mut(), Axis(2));
        let energy = energy(kspace);
        assert!(!lies_across_ends(energy.view(), Axis(0)) && lies_across_ends(energy.view(), Axis(1)));
        assert!(is_far(0, 64) && is_far(3, 16) && !is_far(6, 16) && !is_far(0, 4));
    }

    #[test]
    fn masks_and_data_are_counted() {
        let data = Array2::from_shape_fn((16, 10), |(y, _)| f32::from(y % 4 == 0 || (6..10).contains(&y)));
        assert_eq!(mask_disagreement(data.view(), data.view()), None);
        // Less than the data is what a simulated undersampling has.
        let fewer = Array2::from_shape_fn((16, 10), |(y, _)| f32::from(y % 4 == 0));
        assert_eq!(mask_disagreement(fewer.view(), data.view()), None);
        let mut other = data.clone();
        centred_order(&mut other, Axis(0));
        let found = mask_disagreement(other.view(), data.view()).unwrap();
        assert_eq!(found, Disagreement { without_data: 30, without_mask: 30, shifted: vec![true, false] });
        let all = Array2::ones((16, 10));
        let found = mask_disagreement(all.view(), data.view()).unwrap();
        assert_eq!((found.without_mask, found.shifted), (0, vec![false, false]));
        assert_eq!(mask_disagreement(all.view(), Array2::zeros((16, 10)).view()), None);
        // Of three axes.
        let data = Array3::from_shape_fn((6, 16, 5), |(z, y, _)| f32::from(z > 1 && y < 5));
        let mut other = data.clone();
        centred_order(&mut other, Axis(0));
        let found = mask_disagreement(other.view(), data.view()).unwrap();
        assert_eq!(found.shifted, [true, false, false]);
    }
}
