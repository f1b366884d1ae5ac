//! The weight of ‖x‖² that the noise of k-space asks for.

use ndarray::ArrayViewD;
use num_complex::Complex32;

/// The signal-to-noise ratio of k-space (coil, image…) that was acquired where `mask` (image…) is not 0: σₓ/σ, with the noise σ of a
/// sample of one coil, and the root σₓ of the mean square over the pixels of the image that unit coil maps combine. The noise is what
/// the outer half of k-space has least of, in rings around the centre; what was not acquired is taken to hold as much as the ring that
/// it lies in. `None` where there is no signal, or no noise is seen.
///
/// An image of independent values of deviation σₓ behind noise of σ is most likely, given the data, where ‖A x − y‖² + ‖x‖²/SNR² is
/// least (Wiener's filter).
pub fn signal_to_noise(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f64> {
    const RINGS: usize = 16;
    let (coils, extents) = kspace.shape().split_first()?;
    if mask.shape() != extents || *coils == 0 {
        return None;
    }
    let ring = |at: &[usize]| {
        let offset = |(k, n): (&usize, &usize)| (*k as f64 - (*n / 2) as f64) / (*n as f64 / 2.0).max(0.5);
        // Along the axis that it is farthest out on.
        let far = at.iter().zip(extents).filter(|(_, n)| **n > 1).map(offset).fold(0.0f64, |a, b| a.max(b.abs()));
        ((far * RINGS as f64) as usize).min(RINGS - 1)
    };
    let mut power = ndarray::ArrayD::<f64>::zeros(extents);
    for coil in kspace.outer_iter() {
        power.zip_mut_with(&coil, |p, v| *p += f64::from(v.norm_sqr()));
    }
    let (mut sum, mut acquired, mut all) = ([0.0; RINGS], [0usize; RINGS], [0usize; RINGS]);
    for ((at, p), m) in power.indexed_iter().zip(&mask) {
        let r = ring(ndarray::Dimension::slice(&at));
        all[r] += 1;
        if *m != 0.0 {
            sum[r] += p;
            acquired[r] += 1;
        }
    }
    let mean = |r: usize| sum[r] / acquired[r] as f64;
    let there = |r: &usize| acquired[*r] > 0;
    let noise = (RINGS / 2..RINGS).filter(there).map(mean).fold(f64::INFINITY, f64::min);
    let signal: f64 = (0..RINGS).filter(there).map(|r| (mean(r) - noise).max(0.0) * all[r] as f64).sum();
    let pixels = power.len() as f64;
    let ratio = (signal / pixels) / (noise / *coils as f64);
    (ratio.is_finite() && ratio > 0.0).then(|| ratio.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};

    #[test]
    fn the_ratio_is_that_of_the_simulation() {
        for (acceleration, noise, centre) in [(1, 0.02, 24), (3, 0.02, 24), (3, 0.05, 0), (2, 0.1, 0)] {
            let options = ScanOptions::default().ny(96).nx(80).coils(6).acceleration(acceleration).noise(noise);
            let scan = scan(&options.centre_lines(centre)).unwrap();
            let (kspace, mask) = (scan.kspace.view().into_dyn(), scan.mask.view().into_dyn());
            let found = signal_to_noise(kspace, mask).unwrap();
            // Of unit maps.
            let pixels = scan.reference.len() as f64;
            let power = scan.maps.mapv(|v| f64::from(v.norm_sqr())).sum_axis(ndarray::Axis(0));
            let image: f64 = scan.reference.iter().zip(&power).map(|(v, p)| f64::from(v.norm_sqr()) * p).sum();
            let most = scan.reference.iter().fold(0.0f32, |a, v| a.max(v.norm()));
            let want = (image / pixels).sqrt() / (noise * f64::from(most));
            assert!(found > 0.5 * want && found < 2.0 * want, "R {acceleration}, noise {noise}: {found} and {want}");
        }
        let zeros = ndarray::ArrayD::zeros(vec![2, 8, 8]);
        assert_eq!(signal_to_noise(zeros.view(), ndarray::ArrayD::ones(vec![8, 8]).view()), None);
        assert_eq!(signal_to_noise(zeros.view(), ndarray::ArrayD::ones(vec![8]).view()), None);
    }
}
