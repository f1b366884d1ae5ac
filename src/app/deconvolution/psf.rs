//! The point-spread function: its centre, its sum, its support.

use crate::error::{Result, value_err};
use crate::tensor::first_where;
use ndarray::{Array, ArrayD, ArrayViewD, Axis, Dimension, IxDyn, Slice};

/// Which sample of a point-spread function is its centre: what a point there is seen at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PsfCenter {
    /// Sample n/2 (rounded down) of each axis: the middle of odd extents, the sample behind the middle of even ones, as FFT
    /// shifts and most programs have it.
    #[default]
    Half,
    /// The largest sample.
    Peak,
    /// The sample nearest to the centroid.
    Centroid,
    /// (n − 1)/2 of each axis. Along even extents this is between two samples: the PSF is moved by half a sample, by linear
    /// interpolation.
    Middle,
}

/// A point-spread function with its centre, and without what is 0 around it.
///
/// ```
/// use linops::app::{Psf, PsfCenter};
/// let streak = ndarray::arr2(&[[2.0f32, 1.0, 1.0]]).into_dyn();
/// let psf = Psf::new(streak.view(), PsfCenter::Half, false)?;
/// assert_eq!((psf.center(), psf.sum(), psf.values()[[0, 0]]), (&[0, 1][..], 4.0, 0.5));
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Psf {
    values: ArrayD<f32>,
    center: Vec<usize>,
    /// Where the centre was among the samples that were given.
    given: Vec<f64>,
    sum: f64,
}

impl Psf {
    /// A PSF of one to three axes. It is divided by its sum, unless `keep_scale`.
    ///
    /// # Errors
    /// No axis or more than three, a value that is not finite, or a sum that is not above 0 or beyond 10^±20.
    pub fn new(values: ArrayViewD<f32>, center: PsfCenter, keep_scale: bool) -> Result<Psf> {
        if values.is_empty() || !(1..=3).contains(&values.ndim()) {
            return value_err!("a point-spread function of shape {:?}, expected one to three axes", values.shape());
        }
        if let Some((at, v)) = first_where(&values.view(), |v| !v.is_finite()) {
            return value_err!("the point-spread function is {v} at {at:?}; expected finite values");
        }
        let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
        if sum <= 0.0 {
            return value_err!(
                "the point-spread function sums to {sum:.4}, expected more than 0; subtract its background, not more"
            );
        }
        if !(1e-20..=1e20).contains(&sum) {
            return value_err!(
                "the point-spread function sums to {sum:.3e}, whose square is no 32-bit number; normalise it, to a sum of 1"
            );
        }
        let mut psf = values.to_owned();
        if !keep_scale {
            psf.mapv_inplace(|v| (f64::from(v) / sum) as f32);
        }
        let (center, given) = match center {
            PsfCenter::Half => on_sample(psf.shape().iter().map(|n| n / 2).collect()),
            PsfCenter::Peak => on_sample(peak(&psf)),
            PsfCenter::Centroid => on_sample(nearest(&centroid(&psf), psf.shape())),
            PsfCenter::Middle => {
                let given = psf.shape().iter().map(|&n| (n - 1) as f64 / 2.0).collect();
                for axis in 0..psf.ndim() {
                    if psf.shape()[axis].is_multiple_of(2) {
                        psf = between(&psf, axis);
                    }
                }
                (psf.shape().iter().map(|n| n / 2).collect(), given)
            }
        };
        let (values, center) = trimmed(psf, center);
        Ok(Psf { values, center, given, sum })
    }

    /// The samples: those between the outermost that are not 0, and the centre.
    pub fn values(&self) -> &ArrayD<f32> {
        &self.values
    }

    /// The centre among [`values`](Psf::values).
    pub fn center(&self) -> &[usize] {
        &self.center
    }

    /// The centre among the samples that were given; halves lie between two.
    pub fn given_center(&self) -> &[f64] {
        &self.given
    }

    /// What the samples that were given sum to.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Whether it is one sample, which blurs nothing.
    pub fn is_point(&self) -> bool {
        self.values.iter().filter(|v| **v != 0.0).count() == 1
    }

    /// How much of it is negative: Σ|h| of those samples over Σ|h| of all.
    pub fn negative(&self) -> f64 {
        let (mut negative, mut all) = (0.0, 0.0);
        for v in &self.values {
            all += f64::from(v.abs());
            negative += f64::from((-v).max(0.0));
        }
        negative / all
    }

    /// The same without its negative samples, with the same sum.
    pub fn without_negative(&self) -> Psf {
        let all: f64 = self.values.iter().map(|v| f64::from(*v)).sum();
        let positive: f64 = self.values.iter().map(|v| f64::from(v.max(0.0))).sum();
        let scale = all / positive;
        Psf { values: self.values.mapv(|v| (f64::from(v.max(0.0)) * scale) as f32), ..self.clone() }
    }
}

fn on_sample(center: Vec<usize>) -> (Vec<usize>, Vec<f64>) {
    let given = center.iter().map(|&c| c as f64).collect();
    (center, given)
}

/// The first of the largest samples.
fn peak(psf: &ArrayD<f32>) -> Vec<usize> {
    let mut best = (vec![0; psf.ndim()], f32::NEG_INFINITY);
    for (at, &v) in psf.indexed_iter() {
        if v > best.1 {
            best = (at.slice().to_vec(), v);
        }
    }
    best.0
}

/// Σ j·h[j]/Σ h[j].
pub(super) fn centroid(psf: &ArrayD<f32>) -> Vec<f64> {
    let (mut at, mut sum) = (vec![0.0; psf.ndim()], 0.0);
    for (index, &v) in psf.indexed_iter() {
        sum += f64::from(v);
        at.iter_mut().zip(index.slice()).for_each(|(a, &j)| *a += f64::from(v) * j as f64);
    }
    at.iter().map(|a| a / sum).collect()
}

fn nearest(at: &[f64], extents: &[usize]) -> Vec<usize> {
    // Halves go down, as rounding errors would decide between equals.
    at.iter().zip(extents).map(|(a, &n)| (a - 0.5 - 1e-6).ceil().clamp(0.0, (n - 1) as f64) as usize).collect()
}

/// The samples half-way between neighbours along an axis, with zeros beyond: one more than there were.
fn between(psf: &ArrayD<f32>, axis: usize) -> ArrayD<f32> {
    let n = psf.shape()[axis];
    let mut extents = psf.shape().to_vec();
    extents[axis] = n + 1;
    Array::from_shape_fn(IxDyn(&extents), |at| {
        let mut index = at.slice().to_vec();
        let upper = if index[axis] < n { psf[&index[..]] } else { 0.0 };
        let lower = match index[axis] {
            0 => 0.0,
            k => {
                index[axis] = k - 1;
                psf[&index[..]]
            }
        };
        0.5 * (lower + upper)
    })
}

/// Cuts what is 0 on the outside, but not the centre.
fn trimmed(mut psf: ArrayD<f32>, mut center: Vec<usize>) -> (ArrayD<f32>, Vec<usize>) {
    for (axis, c) in center.iter_mut().enumerate() {
        let seen = |j: &usize| psf.index_axis(Axis(axis), *j).iter().any(|v| *v != 0.0);
        let n = psf.shape()[axis];
        let first = (0..n).find(seen).unwrap_or(*c).min(*c);
        let last = (0..n).rev().find(seen).unwrap_or(*c).max(*c);
        psf = psf.slice_axis(Axis(axis), Slice::from(first..=last)).to_owned();
        *c -= first;
    }
    (psf, center)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    fn of(values: &[f32], center: PsfCenter) -> Psf {
        Psf::new(arr1(values).into_dyn().view(), center, false).unwrap()
    }

    #[test]
    fn centres_are_where_they_are_said() {
        let h = [0.0, 1.0, 5.0, 1.0, 3.0, 0.0];
        let half = of(&h, PsfCenter::Half);
        assert_eq!((half.given_center(), half.center(), half.values().len()), (&[3.0][..], &[2][..], 4));
        assert_eq!(of(&h, PsfCenter::Peak).given_center(), [2.0]);
        // (1 + 10 + 3 + 12)/10
        assert_eq!(of(&h, PsfCenter::Centroid).given_center(), [3.0]);
        let middle = of(&[1.0, 1.0], PsfCenter::Middle);
        assert_eq!((middle.given_center(), middle.center()), (&[0.5][..], &[1][..]));
        assert_eq!(middle.values(), &arr1(&[0.25, 0.5, 0.25]).into_dyn());
        assert_eq!(of(&[1.0, 2.0, 1.0], PsfCenter::Middle).center(), [1]);
        assert_eq!(of(&[1.0, 1.0], PsfCenter::Centroid).given_center(), [0.0]);
    }

    #[test]
    fn zeros_around_are_cut_but_not_the_centre() {
        let psf = of(&[0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0], PsfCenter::Half);
        assert_eq!((psf.values(), psf.center()), (&arr1(&[1.0, 0.0, 0.0]).into_dyn(), &[2][..]));
        assert!(psf.is_point() && !of(&[1.0, 1.0], PsfCenter::Half).is_point());
    }

    #[test]
    fn the_sum_is_one_or_kept() {
        let values = arr2(&[[1.0f32, 2.0], [3.0, -2.0]]).into_dyn();
        let psf = Psf::new(values.view(), PsfCenter::Half, false).unwrap();
        assert_eq!((psf.sum(), psf.values().sum()), (4.0, 1.0));
        assert_eq!(Psf::new(values.view(), PsfCenter::Half, true).unwrap().values().sum(), 4.0);
        assert_eq!(psf.negative(), 0.25);
        let positive = psf.without_negative();
        assert!(positive.values().iter().all(|v| *v >= 0.0) && (positive.values().sum() - 1.0).abs() < 1e-6);
        let error =
            |values: &[f32]| Psf::new(arr1(values).into_dyn().view(), PsfCenter::Half, false).unwrap_err().to_string();
        assert!(error(&[1.0, -1.0]).contains("sums to 0.0000"));
        assert!(error(&[-1.0]).contains("sums to -1"));
        assert!(error(&[0.0, f32::NAN]).contains("NaN at [1]"));
        assert!(error(&[1e-30, 1e-31]).contains("normalise it") && error(&[1e30]).contains("normalise it"));
        assert!(error(&[]).contains("one to three axes"));
    }
}
