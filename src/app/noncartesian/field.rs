//! Whether an object fits a part of the field of view.

use super::NonCartesian;
use super::extent::reach;
use crate::app::density::pipe_density;
use crate::app::recon_options;
use crate::error::{Error, Result, shape_err};
use crate::linop::{Accuracy, NufftOptions};
use crate::run::Device;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn};
use num_complex::Complex32;

/// How well images of two fields of view explain the centre of k-space: misfits ‖W^½(N x − y)‖ / ‖W^½y‖ at low resolution.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FieldMisfits {
    /// Of images of the part.
    pub within: f64,
    /// Of images of the whole field of view.
    pub whole: f64,
}

impl FieldMisfits {
    /// Whether the object reaches beyond the part: its images leave much that those of the whole field of view explain.
    ///
    /// Noise is explained by neither; and where samples are too few to tell, an image of the part explains them as well.
    pub fn reaches_beyond(&self) -> bool {
        /// What rounding, noise and motion leave.
        const MUCH: f64 = 0.03;
        /// How much better the whole has to be.
        const BETTER: f64 = 2.0;
        self.within > MUCH && self.within > BETTER * self.whole
    }
}

/// Fits images of a field of view to the centre of k-space (coil, …), and images of a larger one, of which it is the central `part`
/// (of each image axis, up to 1). The trajectory (…, D) is in cycles per field of view, the smaller one.
///
/// Only |k| ≤ 16 (in 3-D 10) cycles of the larger one are looked at, and the strongest four coils.
///
/// # Errors
/// The trajectory has another D than `part`, or other samples than the k-space; a part that is not from 0 to 1; or the device fails.
pub fn field_misfits(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    part: &[f64],
    device: &Device,
) -> Result<FieldMisfits> {
    /// What images resolve beyond the samples: they are no trigonometric polynomials.
    const MARGIN: f64 = 1.5;
    const COILS: usize = 4;
    let d = reach(&trajectory)?.len();
    let samples = &trajectory.shape()[..trajectory.ndim() - 1];
    if part.len() != d || kspace.ndim() != samples.len() + 1 || &kspace.shape()[1..] != samples {
        return shape_err!(
            "parts of {} axes and k-space of {:?}, expected {d} and (coil, {samples:?}) from the trajectory",
            part.len(),
            kspace.shape()
        );
    }
    if let Some(bad) = part.iter().find(|p| !(**p > 0.0 && **p <= 1.0)) {
        return crate::error::value_err!("a part {bad} of the field of view, expected more than 0 and at most 1");
    }
    let half = if d == 3 { 10.0 } else { 16.0 };
    let lanes = trajectory.lanes(Axis(samples.len()));
    let near: Vec<bool> =
        lanes.into_iter().map(|k| k.iter().zip(part).all(|(k, part)| k.abs() <= half * part)).collect();
    let coordinates: Vec<f64> = trajectory
        .lanes(Axis(samples.len()))
        .into_iter()
        .zip(&near)
        .filter(|(_, near)| **near)
        .flat_map(|(k, _)| k.to_vec())
        .collect();
    let points = Array2::from_shape_vec((coordinates.len() / d, d), coordinates);
    let points = points.map_err(|e| Error::Shape(e.to_string()))?;
    let of_coil = |coil: usize| {
        let all = kspace.index_axis(Axis(0), coil);
        let kept: Vec<Complex32> = all.iter().zip(&near).filter(|(_, near)| **near).map(|(v, _)| *v).collect();
        kept
    };
    let energy = |coil: usize| of_coil(coil).iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>();
    let mut strongest: Vec<(usize, f64)> =
        (0..kspace.len_of(Axis(0))).map(|coil| (coil, energy(coil))).filter(|(_, e)| *e > 0.0).collect();
    strongest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    strongest.truncate(COILS);
    if strongest.is_empty() {
        return Ok(FieldMisfits { within: 0.0, whole: 0.0 });
    }
    let extent = |part: f64| ((2.0 * MARGIN * half * part).ceil() as usize).max(1);
    let whole: Vec<usize> = vec![extent(1.0); d];
    let larger = Array2::from_shape_fn(points.dim(), |(at, axis)| points[[at, axis]] / part[axis]);
    let weights = pipe_density(larger.view().into_dyn(), &whole, 10, device)?;
    let misfit = |points: &Array2<f64>, matrix: &[usize]| -> Result<f64> {
        let ones = ArrayD::from_elem(IxDyn(&[&[1], matrix].concat()), Complex32::from(1.0));
        let nufft = NufftOptions::default().accuracy(Accuracy::Tol(1e-3));
        let model = NonCartesian::new(ones.view(), points.view().into_dyn(), weights.view(), nufft)?;
        let options = || recon_options().lambda(1e-4 * model.scale()).iterations(20).tol(1e-3);
        let (mut left, mut sum) = (0.0, 0.0);
        for (coil, energy) in &strongest {
            let y = Array2::from_shape_vec((1, points.nrows()), of_coil(*coil));
            let y = y.map_err(|e| Error::Shape(e.to_string()))?;
            let found = model.solve(y.view().into_dyn(), options(), device)?;
            left += energy * found.misfit.powi(2);
            sum += energy;
        }
        Ok((left / sum).sqrt())
    };
    let within: Vec<usize> = part.iter().map(|part| extent(*part)).collect();
    Ok(FieldMisfits { within: misfit(&points, &within)?, whole: misfit(&larger, &whole)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{SampleOptions, sample_scan, trajectory};

    /// The misfits of a head that fills its field of view, where that is `of` of the whole and the part is half.
    fn misfits(spokes: usize, coils: usize, of: f64, noise: f64) -> FieldMisfits {
        let k = trajectory::golden_radial(spokes, 128, 64).unwrap().into_dyn();
        let scan = sample_scan(k.view(), &SampleOptions::default().ny(64).nx(64).coils(coils).noise(noise)).unwrap();
        let of_part = k.mapv(|k| 0.5 * k / of);
        field_misfits(scan.kspace.view(), of_part.view(), &[0.5, 0.5], &Device::host()).unwrap()
    }

    #[test]
    fn heads_beyond_the_part_are_seen() {
        for (spokes, coils) in [(100, 1), (40, 4), (24, 6)] {
            for noise in [0.0, 0.01] {
                let [inside, larger, full] = [0.5, 0.65, 1.0].map(|of| misfits(spokes, coils, of, noise));
                assert!(!inside.reaches_beyond(), "{spokes} spokes, noise {noise}: {inside:?}");
                assert!(larger.reaches_beyond() && full.reaches_beyond(), "{spokes}, {noise}: {larger:?} {full:?}");
            }
        }
        // Too few to tell.
        assert!(!misfits(5, 2, 0.5, 0.0).reaches_beyond());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let k = trajectory::radial(8, 16, 8).unwrap().into_dyn();
        let y = ArrayD::from_elem(vec![2, 8, 16], Complex32::from(0.0));
        let fit = |part: &[f64]| field_misfits(y.view(), k.view(), part, &Device::host());
        assert_eq!(fit(&[0.5, 0.5]).unwrap(), FieldMisfits { within: 0.0, whole: 0.0 });
        assert!(fit(&[0.5]).unwrap_err().to_string().contains("expected 2"));
        assert!(fit(&[0.5, 1.5]).unwrap_err().to_string().contains("1.5 of the field of view"));
    }
}
