//! The weight of ‖x‖² that the noise of k-space asks for.

use crate::fourier::centred_dft;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use num_complex::Complex32;
use std::f32::consts::PI;

/// The least weight: what inexact maps ask for without any noise.
const LEAST: f64 = 1e-4;

/// The largest: much noise asks for more, which would take too much of the image.
const MOST: f64 = 0.01;

/// So many times the noise over the signal is λ. What gaps hold is not the same everywhere: most of them have less than the mean. On
/// phantoms with gaps of all kinds this much is worse than no other weight by more than a hundredth or two.
const MORE: f64 = 2.0;

/// The λ of ‖A x − y‖² + λ‖x‖² that the noise of k-space (coil, image…) asks for, relative to the scale of the model (1 for normalised
/// maps): 2σ²/σₓ², between 10⁻⁴, what inexact maps ask for without any noise, and 0.01. `mask` (image…) is 0 where nothing was acquired.
///
/// λ decides what becomes of the gaps: elsewhere the data do. So σₓ² is the mean square of what the gaps hold of the image that unit
/// coil maps combine, which is taken to be as much as what was acquired equally far from the centre; of all, where there are no gaps. Where
/// the centre was acquired, that is much less than the image. `None` where the noise is not known, as in [`signal_to_noise`].
pub fn noise_weight(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f32> {
    let Measured { power, noise } = Measured::of(&kspace, &mask)?;
    let coils = kspace.len_of(Axis(0)) as f64;
    let gaps = mask.iter().filter(|m| **m == 0.0).count();
    let (energy, count) = match gaps {
        0 => (power.sum(), power.len()),
        _ => (energy(&power, &mask, |all, acquired| all - acquired), gaps),
    };
    let signal = (energy / count as f64 - noise * coils).max(0.0);
    weight(noise, signal)
}

/// The λ that the noise asks for beside a signal, where either is known.
fn weight(noise: f64, signal: f64) -> Option<f32> {
    let known = noise.is_finite() && signal.is_finite() && (noise > 0.0 || signal > 0.0);
    known.then(|| (MORE * noise / signal.max(f64::MIN_POSITIVE)).clamp(LEAST, MOST) as f32)
}

/// The signal-to-noise ratio of k-space (coil, image…) that was acquired where `mask` (image…) is not 0: σₓ/σ, with the noise σ of a
/// sample of one coil, and the root σₓ of the mean square over the pixels of the image that unit coil maps combine.
///
/// The noise is what is left of the energy along a readout that was acquired whole, where the object is not: in a tenth of the
/// positions, those with least; where no axis was acquired whole, of the pixels of the centre that was (by up to a quarter too little, where
/// coils are few). What was not acquired is taken
/// to hold as much as what was acquired equally far from the centre. Infinite where there is no noise; `None` where there is no signal, or
/// neither readouts nor a centre are whole.
///
/// An image of independent values of deviation σₓ behind noise of σ is most likely, given the data, where ‖A x − y‖² + ‖x‖²/SNR² is
/// least (Wiener's filter).
pub fn signal_to_noise(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f64> {
    let Measured { power, noise } = Measured::of(&kspace, &mask)?;
    let coils = kspace.len_of(Axis(0));
    let signal = energy(&power, &mask, |all, _| all) - noise * (power.len() * coils) as f64;
    ratio(signal / power.len() as f64, noise)
}

/// What is measured of k-space on a grid.
struct Measured {
    /// Σ|y|² over the coils.
    power: ArrayD<f64>,
    /// The mean |n|² of a sample of one coil.
    noise: f64,
}

impl Measured {
    fn of(kspace: &ArrayViewD<Complex32>, mask: &ArrayViewD<f32>) -> Option<Measured> {
        let (coils, extents) = kspace.shape().split_first()?;
        if mask.shape() != extents || kspace.is_empty() {
            return None;
        }
        let whole = |axis: &usize| {
            let lines = mask.lanes(Axis(*axis)).into_iter();
            lines.into_iter().all(|line| line.iter().all(|m| *m == 0.0) || line.iter().all(|m| *m != 0.0))
        };
        let noise = match (0..extents.len()).rev().find(whole) {
            Some(readout) => {
                let acquired = mask.iter().filter(|m| **m != 0.0).count() / mask.len_of(Axis(readout));
                beside_the_object(kspace.view(), &[readout + 1], acquired * coils)
            }
            None => beside_the_object(centre(kspace, mask)?, &(1..kspace.ndim()).collect::<Vec<_>>(), *coils),
        }?;
        Some(Measured { power: powers(kspace), noise })
    }
}

/// The largest cube around the centre of k-space (coil, image…) that was acquired whole, cut where an axis ends; None of a small one.
fn centre<'a>(kspace: &ArrayViewD<'a, Complex32>, mask: &ArrayViewD<f32>) -> Option<ArrayViewD<'a, Complex32>> {
    /// On either side.
    const LEAST_HALF: usize = 6;
    let range = |n: usize, half: usize| Slice::from((n / 2).saturating_sub(half)..(n / 2 + half).min(n));
    let whole = |half: &usize| {
        let mut part = mask.view();
        (0..mask.ndim()).for_each(|axis| part.slice_axis_inplace(Axis(axis), range(mask.len_of(Axis(axis)), *half)));
        part.iter().all(|m| *m != 0.0)
    };
    let longest = mask.shape().iter().copied().max()?;
    let half = (LEAST_HALF..=longest.div_ceil(2)).take_while(whole).last()?;
    let mut part = kspace.clone();
    for (axis, n) in mask.shape().iter().enumerate() {
        part.slice_axis_inplace(Axis(axis + 1), range(*n, half));
    }
    Some(part)
}

/// The root of signal over noise; None without a signal.
fn ratio(signal: f64, noise: f64) -> Option<f64> {
    (signal.is_finite() && noise.is_finite() && signal > 0.0).then(|| (signal / noise).sqrt())
}

/// Σ|y|² over the coils.
fn powers(kspace: &ArrayViewD<Complex32>) -> ArrayD<f64> {
    let mut power = ArrayD::<f64>::zeros(&kspace.shape()[1..]);
    for coil in kspace.outer_iter() {
        power.zip_mut_with(&coil, |p, v| *p += f64::from(v.norm_sqr()));
    }
    power
}

/// The mean |n|² of a sample of one coil, from so many lines (or blocks) along axes of (coil, …); the others are 0.
fn beside_the_object(kspace: ArrayViewD<Complex32>, along: &[usize], lines: usize) -> Option<f64> {
    let mut images = kspace.to_owned();
    let mut gain = 1.0;
    for axis in along.iter().map(|axis| Axis(*axis)) {
        // Windowed, so that edges of the object do not ring over the rest.
        let n = images.len_of(axis);
        let turn = |k: usize| 2.0 * PI * (k as f32 - (n / 2) as f32) / n as f32;
        let window: Vec<f32> = (0..n).map(|k| if n > 1 { 0.5 + 0.5 * turn(k).cos() } else { 1.0 }).collect();
        for (k, mut plane) in images.axis_iter_mut(axis).enumerate() {
            plane.mapv_inplace(|v| v * window[k]);
        }
        centred_dft(images.view_mut(), axis, true);
        gain *= window.iter().map(|w| f64::from(w * w)).sum::<f64>() / n as f64;
    }
    let mut energies = images.mapv(|v| f64::from(v.norm_sqr()));
    for axis in (0..images.ndim()).filter(|axis| !along.contains(axis)) {
        energies = energies.sum_axis(Axis(axis)).insert_axis(Axis(axis));
    }
    let samples = lines as f64 * gain;
    let mut energies: Vec<f64> = energies.iter().map(|energy| energy / samples).collect();
    energies.sort_by(f64::total_cmp);
    let least = &energies[..energies.len().div_ceil(10)];
    Some(least.iter().sum::<f64>() / least.len() as f64).filter(|e| e.is_finite())
}

/// How far a location is from the centre, 1 at the ends of an axis.
fn offset(at: &[usize], extents: &[usize]) -> f64 {
    let of = |(k, n): (&usize, &usize)| (*k as f64 - (*n / 2) as f64) / (*n as f64 / 2.0).max(0.5);
    at.iter().zip(extents).filter(|(_, n)| **n > 1).map(of).fold(0.0f64, |a, b| a.max(b.abs()))
}

/// Σ|y|² by rings around the centre, from the mean of what was acquired, over so many of all locations of each ring and those acquired.
fn energy(power: &ArrayD<f64>, mask: &ArrayViewD<f32>, of: impl Fn(usize, usize) -> usize) -> f64 {
    const RINGS: usize = 16;
    let extents = power.shape();
    let ring = |at: &[usize]| ((offset(at, extents) * RINGS as f64) as usize).min(RINGS - 1);
    let (mut sum, mut acquired, mut all) = ([0.0; RINGS], [0usize; RINGS], [0usize; RINGS]);
    for ((at, p), m) in power.indexed_iter().zip(mask) {
        let r = ring(ndarray::Dimension::slice(&at));
        all[r] += 1;
        if *m != 0.0 {
            sum[r] += p;
            acquired[r] += 1;
        }
    }
    let rings = (0..RINGS).filter(|r| acquired[*r] > 0);
    rings.map(|r| sum[r] / acquired[r] as f64 * of(all[r], acquired[r]) as f64).sum()
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
        let quiet = scan(&ScanOptions::default().ny(48).nx(40).coils(2).noise(0.0)).unwrap();
        let (kspace, mask) = (quiet.kspace.view().into_dyn(), quiet.mask.view().into_dyn());
        assert!(signal_to_noise(kspace.view(), mask.view()).unwrap() > 300.0);
        assert_eq!(noise_weight(kspace, mask), Some(1e-4));
        let zeros = ArrayD::zeros(vec![2, 8, 8]);
        assert_eq!(signal_to_noise(zeros.view(), ArrayD::ones(vec![8, 8]).view()), None);
        assert_eq!(signal_to_noise(zeros.view(), ArrayD::ones(vec![8]).view()), None);
        let checkers = ArrayD::from_shape_fn(vec![8, 8], |at| ((at[0] + at[1]) % 2) as f32);
        let ones = ArrayD::from_elem(vec![2, 8, 8], Complex32::from(1.0));
        assert_eq!(signal_to_noise(ones.view(), checkers.view()), None);
    }

    /// Of points without whole readouts the centre tells the noise, where it was acquired.
    #[test]
    fn a_centre_among_points_tells_the_noise() {
        for noise in [0.002, 0.02, 0.1] {
            let scan = scan(&ScanOptions::default().ny(96).nx(80).coils(6).acceleration(1).noise(noise)).unwrap();
            let mut generator = crate::app::noise::Generator::new(5);
            let near = |at: (usize, usize)| at.0.abs_diff(48) < 10 && at.1.abs_diff(40) < 10;
            let points = |centre: bool, generator: &mut crate::app::noise::Generator| {
                ndarray::Array2::from_shape_fn((96, 80), |at| {
                    f32::from(generator.uniform() < 0.4 || centre && near(at))
                })
            };
            let mask = points(true, &mut generator);
            let kspace = &scan.kspace * &mask.mapv(Complex32::from);
            let (kspace, mask) = (kspace.view().into_dyn(), mask.view().into_dyn());
            let found = Measured::of(&kspace, &mask).unwrap().noise.sqrt();
            assert!(found > 0.7 * noise && found < 1.1 * noise, "{found} and {noise}");
            let mask = points(false, &mut generator);
            assert_eq!(noise_weight(kspace.view(), mask.view().into_dyn()), None);
        }
    }

    /// Gaps beside a centre hold less than the image, so that λ is larger there; without gaps it is that of the whole image.
    #[test]
    fn gaps_have_their_own_signal() {
        let weight = |acceleration: usize, centre: usize, noise: f64| {
            let options = ScanOptions::default().ny(96).nx(80).coils(6).acceleration(acceleration).noise(noise);
            let scan = scan(&options.centre_lines(centre)).unwrap();
            let (kspace, mask) = (scan.kspace.view().into_dyn(), scan.mask.view().into_dyn());
            let whole = signal_to_noise(kspace.view(), mask.view()).unwrap();
            (f64::from(noise_weight(kspace, mask).unwrap()), 2.0 / (whole * whole))
        };
        let (whole, of_image) = weight(1, 0, 0.01);
        assert!((whole / of_image - 1.0).abs() < 1e-3, "{whole} {of_image}");
        let (beside, of_image) = weight(4, 24, 0.005);
        assert!(beside > 2.0 * of_image && beside < 8.0 * of_image, "{beside} {of_image}");
        assert_eq!(weight(4, 24, 0.1).0 as f32, 0.01);
    }
}
