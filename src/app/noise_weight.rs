//! The weight of ‖x‖² that the noise of k-space asks for.

use crate::fourier::centred_dft;
use ndarray::{ArrayD, ArrayViewD, Axis};
use num_complex::Complex32;
use std::f32::consts::PI;

/// The signal-to-noise ratio of k-space (coil, image…) that was acquired where `mask` (image…) is not 0: σₓ/σ, with the noise σ of a
/// sample of one coil, and the root σₓ of the mean square over the pixels of the image that unit coil maps combine.
///
/// The noise is what is left of the energy along a readout that was acquired whole, where the object is not: in a tenth of the
/// positions, those with least. What was not acquired is taken to hold as much as what was acquired equally far from the centre.
/// `None` where no axis was acquired whole, where there is no signal, or no noise.
///
/// An image of independent values of deviation σₓ behind noise of σ is most likely, given the data, where ‖A x − y‖² + ‖x‖²/SNR² is
/// least (Wiener's filter).
pub fn signal_to_noise(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f64> {
    let (coils, extents) = kspace.shape().split_first()?;
    if mask.shape() != extents || kspace.is_empty() {
        return None;
    }
    let whole = |axis: &usize| {
        let lines = mask.lanes(Axis(*axis)).into_iter();
        lines.into_iter().all(|line| line.iter().all(|m| *m == 0.0) || line.iter().all(|m| *m != 0.0))
    };
    let noise = noise(&kspace, &mask, (0..extents.len()).rev().find(whole)?)?;
    let mut power = ArrayD::<f64>::zeros(extents);
    for coil in kspace.outer_iter() {
        power.zip_mut_with(&coil, |p, v| *p += f64::from(v.norm_sqr()));
    }
    let signal = energy(&power, &mask) - noise * (power.len() * coils) as f64;
    let ratio = signal / power.len() as f64 / noise;
    (ratio.is_finite() && ratio > 0.0).then(|| ratio.sqrt())
}

/// The mean |n|² of a sample of one coil.
fn noise(kspace: &ArrayViewD<Complex32>, mask: &ArrayViewD<f32>, readout: usize) -> Option<f64> {
    let n = mask.len_of(Axis(readout));
    let along = Axis(readout + 1);
    let mut lines = kspace.to_owned();
    // Windowed, so that edges of the object do not ring over the rest.
    let window: Vec<f32> =
        (0..n).map(|k| 0.5 + 0.5 * (2.0 * PI * (k as f32 - (n / 2) as f32) / n as f32).cos()).collect();
    for (k, mut plane) in lines.axis_iter_mut(along).enumerate() {
        plane.mapv_inplace(|v| v * window[k]);
    }
    centred_dft(lines.view_mut(), along, true);
    let acquired = mask.iter().filter(|m| **m != 0.0).count() / n.max(1);
    let gain = window.iter().map(|w| f64::from(w * w)).sum::<f64>() / n as f64;
    let samples = (acquired * kspace.len_of(Axis(0))) as f64 * gain;
    let mut energies: Vec<f64> = lines
        .axis_iter(along)
        .map(|plane| plane.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>() / samples)
        .collect();
    energies.sort_by(f64::total_cmp);
    let least = &energies[..n.div_ceil(10)];
    Some(least.iter().sum::<f64>() / least.len() as f64).filter(|e| *e > 0.0 && e.is_finite())
}

/// Σ|y|² with what was not acquired, by rings around the centre.
fn energy(power: &ArrayD<f64>, mask: &ArrayViewD<f32>) -> f64 {
    const RINGS: usize = 16;
    let extents = power.shape();
    let ring = |at: &[usize]| {
        let offset = |(k, n): (&usize, &usize)| (*k as f64 - (*n / 2) as f64) / (*n as f64 / 2.0).max(0.5);
        let far = at.iter().zip(extents).filter(|(_, n)| **n > 1).map(offset).fold(0.0f64, |a, b| a.max(b.abs()));
        ((far * RINGS as f64) as usize).min(RINGS - 1)
    };
    let (mut sum, mut acquired, mut all) = ([0.0; RINGS], [0usize; RINGS], [0usize; RINGS]);
    for ((at, p), m) in power.indexed_iter().zip(mask) {
        let r = ring(ndarray::Dimension::slice(&at));
        all[r] += 1;
        if *m != 0.0 {
            sum[r] += p;
            acquired[r] += 1;
        }
    }
    (0..RINGS).filter(|r| acquired[*r] > 0).map(|r| sum[r] / acquired[r] as f64 * all[r] as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};

    #[test]
    fn the_ratio_is_that_of_the_simulation() {
        for (acceleration, noise, centre) in [(1, 0.02, 24), (3, 0.005, 24), (3, 0.05, 0), (2, 0.01, 0)] {
            let options = ScanOptions::default().ny(96).nx(80).coils(6).acceleration(acceleration).noise(noise);
            let scan = scan(&options.centre_lines(centre)).unwrap();
            let (kspace, mask) = (scan.kspace.view().into_dyn(), scan.mask.view().into_dyn());
            let found = signal_to_noise(kspace, mask).unwrap();
            // Of unit maps.
            let power = scan.maps.mapv(|v| f64::from(v.norm_sqr())).sum_axis(Axis(0));
            let image: f64 = scan.reference.iter().zip(&power).map(|(v, p)| f64::from(v.norm_sqr()) * p).sum();
            let want = (image / scan.reference.len() as f64).sqrt() / noise;
            assert!(found > 0.6 * want && found < 1.6 * want, "R {acceleration}, noise {noise}: {found} and {want}");
        }
        let zeros = ArrayD::zeros(vec![2, 8, 8]);
        assert_eq!(signal_to_noise(zeros.view(), ArrayD::ones(vec![8, 8]).view()), None);
        assert_eq!(signal_to_noise(zeros.view(), ArrayD::ones(vec![8]).view()), None);
        let checkers = ArrayD::from_shape_fn(vec![8, 8], |at| ((at[0] + at[1]) % 2) as f32);
        let ones = ArrayD::from_elem(vec![2, 8, 8], Complex32::from(1.0));
        assert_eq!(signal_to_noise(ones.view(), checkers.view()), None);
    }
}
