//! Partial Fourier: k-space of which one side was not acquired, filled by what is known of the phase.
//!
//! The phase of an image is smooth; that of its symmetric centre of k-space, which is there, is the phase of all of it. With it
//! either side of k-space determines the other.
//!
//! - **homodyne**: the acquired side counts twice, with a ramp over the symmetric centre; of the image stays what is in phase.
//!   Noll, Nishimura and Macovski, IEEE Trans. Med. Imaging 10:154 (1991).
//! - **POCS**: projections in turn onto images of that phase and onto images with the data that were acquired.
//!   Haacke, Lindskog and Lin, J. Magn. Reson. 92:126 (1991).

use crate::allocate::expect_room;
use crate::error::{Error, Result, shape_err, value_err};
use crate::fourier::centred_dft;
use ndarray::{Array, ArrayD, ArrayView, Axis, Dimension, RemoveAxis};
use num_complex::Complex32;
use std::f32::consts::PI;
use std::fmt;
use std::str::FromStr;

/// What becomes of the side of k-space that was not acquired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartialFourier {
    /// It stays as the reconstruction leaves it: zero where no coil encoding fills it.
    #[default]
    Zero,
    /// Homodyne detection; of one axis.
    Homodyne,
    /// Projections onto convex sets.
    Pocs,
}

const NAMES: [(PartialFourier, &str); 3] =
    [(PartialFourier::Zero, "zero"), (PartialFourier::Homodyne, "homodyne"), (PartialFourier::Pocs, "pocs")];

impl fmt::Display for PartialFourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(way, _)| way == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for PartialFourier {
    type Err = Error;

    fn from_str(text: &str) -> Result<PartialFourier> {
        match NAMES.iter().find(|(_, name)| *name == text) {
            Some((way, _)) => Ok(*way),
            None => value_err!("no way \"{text}\" of partial Fourier; expected zero, homodyne or pocs"),
        }
    }
}

/// What was acquired along an axis of k-space of which one side is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Axis of the image: of (y, x) 0 for y and 1 for x.
    pub axis: usize,
    /// The first and the last index that were acquired.
    pub acquired: [usize; 2],
    /// How many there are in a full scan.
    pub extent: usize,
}

impl Band {
    /// How far the acquired samples reach below and above the centre.
    fn reach(&self) -> [usize; 2] {
        let centre = self.extent / 2;
        [centre.saturating_sub(self.acquired[0]), self.acquired[1].saturating_sub(centre)]
    }

    /// Half of the symmetric centre.
    fn half(&self) -> usize {
        self.reach()[0].min(self.reach()[1])
    }

    /// Offset from the centre, positive towards the side that was acquired.
    fn offset(&self, index: usize) -> isize {
        let offset = index as isize - (self.extent / 2) as isize;
        if self.reach()[0] > self.reach()[1] { -offset } else { offset }
    }

    fn holds(&self, index: usize) -> bool {
        (self.acquired[0]..=self.acquired[1]).contains(&index)
    }

    /// A Hann window over the symmetric centre.
    fn window(&self, index: usize) -> f32 {
        let (offset, half) = (self.offset(index).unsigned_abs(), self.half());
        if offset > half { 0.0 } else { 0.5 + 0.5 * (PI * offset as f32 / (half + 1) as f32).cos() }
    }

    /// 2 for what stands for its counterpart as well, a ramp over the symmetric centre, 0 for what was not acquired. The end of an even
    /// grid is its own counterpart.
    fn ramp(&self, index: usize) -> f32 {
        let (offset, half) = (self.offset(index), self.half() as isize);
        let own = 2 * (self.extent / 2) >= index + self.extent;
        match self.holds(index) {
            true if offset > half && own => 1.0,
            true if offset > half => 2.0,
            true => 1.0 + offset as f32 / (half + 1) as f32,
            false => 0.0,
        }
    }
}

/// The axes of a mask (ky, kx) or (kz, ky, kx) of which one side was not acquired: it reaches less far from the centre n/2 than the other by more
/// than the gaps between lines, and a sixteenth of them.
pub fn one_sided<D: RemoveAxis>(mask: ArrayView<f32, D>) -> Vec<Band> {
    let of_axis = |axis: usize| -> Option<Band> {
        let extent = mask.len_of(Axis(axis));
        let lines: Vec<usize> =
            (0..extent).filter(|at| mask.index_axis(Axis(axis), *at).iter().any(|m| *m != 0.0)).collect();
        let band = Band { axis, acquired: [*lines.first()?, *lines.last()?], extent };
        let gap = lines.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(1);
        let [below, above] = band.reach();
        let inside = band.acquired[0] <= extent / 2 && band.acquired[1] >= extent / 2;
        // A full even grid reaches one further below, and lines at random somewhat further on either side.
        (inside && below.abs_diff(above) > gap.max(extent / 16)).then_some(band)
    };
    (0..mask.ndim()).filter_map(of_axis).collect()
}

/// An image (y, x) or (z, y, x) whose k-space was acquired within `bands`, with the rest filled in.
///
/// # Errors
/// Bands of another image, a symmetric centre of fewer than 4 lines on either side, homodyne detection of two axes, or no memory.
pub fn fill_partial<D: Dimension>(
    image: ArrayView<Complex32, D>,
    bands: &[Band],
    way: PartialFourier,
) -> Result<Array<Complex32, D>> {
    const LEAST: usize = 4;
    for band in bands {
        if image.shape().get(band.axis) != Some(&band.extent) {
            return shape_err!("an image of {:?} for partial Fourier of {band:?}", image.shape());
        }
        if band.half() < LEAST && way != PartialFourier::Zero {
            return value_err!(
                "partial Fourier needs {LEAST} lines on either side of the centre, there are {} of {}; use zero",
                band.half(),
                band.extent
            );
        }
    }
    expect_room((image.len() as u64).saturating_mul(5 * 8), "partial Fourier")?;
    let rank = image.raw_dim();
    let image = image.to_owned().into_dyn();
    let filled = match (way, bands) {
        (PartialFourier::Zero, _) | (_, []) => image,
        (PartialFourier::Homodyne, [_]) => {
            let kspace = transformed(image, bands, false);
            let phase = phase(&kspace, bands);
            let weighted = transformed(weighted(kspace, bands, Band::ramp), bands, true);
            // What is out of phase belongs to the side that is missing.
            ndarray::Zip::from(&weighted).and(&phase).map_collect(|v, p| p * (v * p.conj()).re)
        }
        (PartialFourier::Homodyne, _) => {
            return value_err!("homodyne detection is for one axis, and k-space is partial along several; use pocs");
        }
        (PartialFourier::Pocs, _) => pocs(image, bands),
    };
    filled.into_shape_with_order(rank).map_err(|e| Error::Shape(e.to_string()))
}

/// Iterations of POCS at most, and the change of the image that ends them.
const ITERATIONS: usize = 200;
const TOL: f32 = 1e-4;

fn pocs(mut image: ArrayD<Complex32>, bands: &[Band]) -> ArrayD<Complex32> {
    let acquired = transformed(image.clone(), bands, false);
    let phase = phase(&acquired, bands);
    for _ in 0..ITERATIONS {
        let in_phase = ndarray::Zip::from(&image).and(&phase).map_collect(|v, p| p * v.norm());
        let mut kspace = transformed(in_phase, bands, false);
        for (at, v) in kspace.indexed_iter_mut() {
            if bands.iter().all(|b| b.holds(at[b.axis])) {
                *v = acquired[&at];
            }
        }
        let next = transformed(kspace, bands, true);
        let size = |a: &mut dyn Iterator<Item = Complex32>| a.map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        let (step, norm) = (size(&mut next.iter().zip(&image).map(|(a, b)| a - b)), size(&mut next.iter().copied()));
        image = next;
        if step <= TOL * norm {
            break;
        }
    }
    image
}

/// e^{iφ} of the image that the symmetric centre gives.
fn phase(kspace: &ArrayD<Complex32>, bands: &[Band]) -> ArrayD<Complex32> {
    let low = transformed(weighted(kspace.clone(), bands, Band::window), bands, true);
    low.mapv(|v| if v.norm() > 0.0 { v / v.norm() } else { Complex32::from(1.0) })
}

fn weighted(mut kspace: ArrayD<Complex32>, bands: &[Band], weight: fn(&Band, usize) -> f32) -> ArrayD<Complex32> {
    for band in bands {
        for (index, mut line) in kspace.axis_iter_mut(Axis(band.axis)).enumerate() {
            let w = weight(band, index);
            line.mapv_inplace(|v| v * w);
        }
    }
    kspace
}

/// Along the axes of the bands; along the others nothing is missing, and images stay images.
fn transformed(mut values: ArrayD<Complex32>, bands: &[Band], inverse: bool) -> ArrayD<Complex32> {
    for band in bands {
        centred_dft(values.view_mut(), Axis(band.axis), inverse);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn the_missing_side_is_found() {
        let mask =
            |from: usize, to: usize| Array2::from_shape_fn((32, 20), |(y, _)| f32::from((from..to).contains(&y)));
        assert_eq!(one_sided(mask(0, 32).view()), []);
        assert_eq!(one_sided(mask(1, 32).view()), []);
        let band = Band { axis: 0, acquired: [10, 31], extent: 32 };
        assert_eq!(one_sided(mask(10, 32).view()), [band]);
        assert_eq!((band.half(), band.offset(20), band.ramp(31), band.ramp(9), band.ramp(16)), (6, 4, 2.0, 0.0, 1.0));
        let band = Band { axis: 0, acquired: [0, 21], extent: 32 };
        assert_eq!(one_sided(mask(0, 22).view()), [band]);
        assert_eq!((band.half(), band.offset(20), band.ramp(1), band.ramp(22)), (5, -4, 2.0, 0.0));
        assert_eq!((band.ramp(0), Band { extent: 31, ..band }.ramp(0)), (1.0, 2.0));
        // Weights of both sides are 2 together.
        assert!((band.ramp(12) + band.ramp(20) - 2.0).abs() < 1e-6);
        // Every third line, from the second on, is no partial Fourier.
        let third = Array2::from_shape_fn((32, 20), |(y, _)| f32::from(y % 3 == 1));
        assert_eq!(one_sided(third.view()), []);
        // Both axes.
        let both = Array2::from_shape_fn((32, 20), |(y, x)| f32::from(y > 9 && x < 14));
        assert_eq!(one_sided(both.view()).len(), 2);
        // Partitions.
        let partitions = Array3::from_shape_fn((16, 9, 7), |(z, _, _)| f32::from(z < 12));
        assert_eq!(one_sided(partitions.view()), [Band { axis: 0, acquired: [0, 11], extent: 16 }]);
        // What does not hold the centre has no side.
        assert_eq!(one_sided(mask(20, 32).view()), []);
    }

    #[test]
    fn what_cannot_be_filled_is_an_error() {
        let image = Array2::<Complex32>::ones((32, 20));
        let band = Band { axis: 0, acquired: [14, 31], extent: 32 };
        let message = |bands: &[Band], way| fill_partial(image.view(), bands, way).unwrap_err().to_string();
        assert!(message(&[band], PartialFourier::Pocs).contains("there are 2"));
        let [y, x] = [Band { axis: 0, acquired: [8, 31], extent: 32 }, Band { axis: 1, acquired: [0, 15], extent: 20 }];
        assert!(message(&[y, x], PartialFourier::Homodyne).contains("use pocs"));
        assert!(message(&[Band { extent: 30, ..y }], PartialFourier::Pocs).contains("[32, 20]"));
        assert!("pox".parse::<PartialFourier>().unwrap_err().to_string().contains("homodyne"));
        assert_eq!("pocs".parse::<PartialFourier>().unwrap().to_string(), "pocs");
    }

    #[test]
    fn planes_of_a_volume_are_filled_alike() {
        let plane = Array2::from_shape_fn((20, 3), |(y, x)| {
            let inside = (5..14).contains(&y);
            Complex32::from_polar(if inside { 1.0 + (y * x % 4) as f32 } else { 0.0 }, 0.1 * x as f32)
        });
        let cut = |image: &ArrayD<Complex32>, axis: usize| {
            let band = Band { axis, acquired: [0, 14], extent: 20 };
            let mut k = transformed(image.clone(), &[band], false);
            k.slice_axis_mut(Axis(axis), (15..).into()).fill(Complex32::default());
            (transformed(k, &[band], true), band)
        };
        let (flat, band) = cut(&plane.clone().into_dyn(), 0);
        let volume = plane.clone().insert_axis(Axis(0)).broadcast((2, 20, 3)).unwrap().to_owned().into_dyn();
        let (deep, deep_band) = cut(&volume, 1);
        for way in [PartialFourier::Pocs, PartialFourier::Homodyne] {
            let want = fill_partial(flat.view(), &[band], way).unwrap();
            let error = |a: &ArrayD<Complex32>| (a - &plane).iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
            assert!(error(&want) < 0.01 * error(&flat), "{} {}", error(&want), error(&flat));
            let found = fill_partial(deep.view(), &[deep_band], way).unwrap();
            assert!(found.axis_iter(Axis(0)).all(|z| (&z - &want).iter().all(|d| d.norm() < 1e-3)));
        }
    }
}
