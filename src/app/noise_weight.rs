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
/// phantoms with lines left out evenly and at random it is nowhere worse than a fixed 0.01 by more than a fiftieth (`evidence.rs`).
const MORE: f64 = 2.0;

/// Samples along an axis that tell noise from an object.
const LONG: usize = 16;

/// The λ of ‖A x − y‖² + λ‖x‖² that the noise of k-space (coil, image…) asks for, relative to the scale of the model (1 for normalised
/// maps): 2σ²/σₓ², between 10⁻⁴, what inexact maps ask for without any noise, and 0.01. `mask` (image…) is 0 where nothing was acquired.
///
/// λ decides what becomes of the gaps: elsewhere the data do. So σₓ² is the mean square of what the gaps hold of the image that unit
/// coil maps combine, which is taken to be as much as what was acquired equally far from the centre; of all, where there are no gaps. Where
/// the centre was acquired, that is much less than the image. Locations that are farther from the centre than any that was acquired, to
/// either side of an axis, are no gaps. `None` where the noise is not known, as in [`KspaceNoise::of`].
///
/// An image of independent values of deviation σₓ behind noise of σ is most likely, given the data, where ‖A x − y‖² + (σ²/σₓ²)‖x‖² is
/// least (Wiener's filter).
pub fn noise_weight(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f32> {
    KspaceNoise::weight(&[KspaceNoise::of(kspace, mask)?])
}

/// The noise of k-space, and what its gaps hold of the image: of one image, of those of a stack or of a series.
#[derive(Clone, Copy, Debug)]
pub struct KspaceNoise {
    /// The mean |n|² of a sample of one coil.
    noise: f64,
    /// Σ|y|² over coils and gaps with their noise, as what was acquired equally far from the centre has it; over all without gaps.
    energy: f64,
    /// What of the energy is noise.
    of_noise: f64,
    /// Locations that it is of.
    locations: usize,
    gaps: bool,
}

impl KspaceNoise {
    /// Of k-space (coil, image…) that was acquired where `mask` (image…) is not 0.
    ///
    /// The noise is what is left of the energy along a readout that was acquired whole, where the object is not: in a tenth of the
    /// positions, those with least; where no axis of 16 samples or more was acquired whole, of the pixels of the centre that was, which few
    /// coils tell too small: the least of few numbers are. `None` where neither readouts nor a centre are whole.
    pub fn of(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<KspaceNoise> {
        let measured = Measured::of(kspace, mask)?;
        let gaps = measured.mask.iter().filter(|m| **m == 0.0).count();
        let (energy, locations) = match gaps {
            0 => (measured.power.sum(), measured.power.len()),
            _ => (measured.energy(|all, acquired| all - acquired), gaps),
        };
        let of_noise = measured.noise * (measured.coils * locations) as f64;
        Some(KspaceNoise { noise: measured.noise, energy, of_noise, locations, gaps: gaps > 0 })
    }

    /// The one λ that all of these ask for, as in [`noise_weight`]: by the mean of their noise, and the mean square of what the gaps of all
    /// hold. `None` of none, or where there is neither noise nor a signal.
    pub fn weight(all: &[KspaceNoise]) -> Option<f32> {
        let gaps = all.iter().any(|one| one.gaps);
        let (mut energy, mut locations) = (0.0, 0usize);
        for one in all.iter().filter(|one| one.gaps == gaps) {
            (energy, locations) = (energy + one.energy - one.of_noise, locations + one.locations);
        }
        let noise = all.iter().map(|one| one.noise).sum::<f64>() / all.len() as f64;
        let signal = (energy / locations as f64).max(0.0);
        let known = noise.is_finite() && signal.is_finite() && (noise > 0.0 || signal > 0.0);
        known.then(|| (MORE * noise / signal.max(f64::MIN_POSITIVE)).clamp(LEAST, MOST) as f32)
    }
}

/// What is measured of k-space on a grid, in the box that was acquired.
struct Measured<'a> {
    /// Σ|y|² over the coils.
    power: ArrayD<f64>,
    mask: ArrayViewD<'a, f32>,
    coils: usize,
    /// The mean |n|² of a sample of one coil.
    noise: f64,
}

impl<'a> Measured<'a> {
    fn of(mut kspace: ArrayViewD<Complex32>, mut mask: ArrayViewD<'a, f32>) -> Option<Measured<'a>> {
        let (coils, extents) = kspace.shape().split_first()?;
        if mask.shape() != extents || kspace.is_empty() {
            return None;
        }
        let coils = *coils;
        let long: Vec<usize> = (0..extents.len()).filter(|axis| extents[*axis] >= LONG).collect();
        for axis in 0..mask.ndim() {
            let range = reach(&mask, Axis(axis))?;
            mask.slice_axis_inplace(Axis(axis), range);
            kspace.slice_axis_inplace(Axis(axis + 1), range);
        }
        let whole = |axis: &&usize| {
            let mut lines = mask.lanes(Axis(**axis)).into_iter();
            lines.all(|line| line.iter().all(|m| *m == 0.0) || line.iter().all(|m| *m != 0.0))
        };
        let noise = match long.iter().rev().find(whole) {
            Some(readout) => {
                let acquired = mask.iter().filter(|m| **m != 0.0).count() / mask.len_of(Axis(*readout));
                beside_the_object(&kspace, &[*readout], acquired * coils)
            }
            None => {
                let part = centre(&kspace, &mask)?;
                let short =
                    (0..mask.ndim()).filter(|axis| !long.contains(axis)).map(|axis| part.len_of(Axis(axis + 1)));
                beside_the_object(&part, &long, coils * short.product::<usize>())
            }
        }?;
        Some(Measured { power: powers(&kspace), mask, coils, noise })
    }

    /// Σ|y|² by rings around the centre, from the mean of what was acquired, over so many of all locations of each ring and those acquired.
    fn energy(&self, of: impl Fn(usize, usize) -> usize) -> f64 {
        const RINGS: usize = 16;
        let extents = self.power.shape();
        let ring = |at: &[usize]| ((offset(at, extents) * RINGS as f64) as usize).min(RINGS - 1);
        let (mut sum, mut acquired, mut all) = ([0.0; RINGS], [0usize; RINGS], [0usize; RINGS]);
        for ((at, p), m) in self.power.indexed_iter().zip(&self.mask) {
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
}

/// What of an axis is no farther from its centre than what was acquired, to either side: its middle is the centre. None where nothing was.
fn reach(mask: &ArrayViewD<f32>, axis: Axis) -> Option<Slice> {
    let (n, centre) = (mask.len_of(axis), mask.len_of(axis) / 2);
    let some = |k: &usize| mask.index_axis(axis, *k).iter().any(|m| *m != 0.0);
    let (first, last) = ((0..n).find(some)?, (0..n).rev().find(some)?);
    let half = centre.abs_diff(first).max(centre.abs_diff(last));
    Some(Slice::from(centre.saturating_sub(half)..(centre + half).max(last + 1).min(n)))
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

/// Σ|y|² over the coils.
fn powers(kspace: &ArrayViewD<Complex32>) -> ArrayD<f64> {
    let mut power = ArrayD::<f64>::zeros(&kspace.shape()[1..]);
    for coil in kspace.outer_iter() {
        power.zip_mut_with(&coil, |p, v| *p += f64::from(v.norm_sqr()));
    }
    power
}

/// The mean |n|² of a sample of one coil, from so many lines (or blocks) of all coils along axes of (image…); the others are 0.
fn beside_the_object(kspace: &ArrayViewD<Complex32>, along: &[usize], lines: usize) -> Option<f64> {
    if along.is_empty() || lines == 0 {
        return None;
    }
    let extents = &kspace.shape()[1..];
    // Windowed, so that edges of the object do not ring over the rest.
    let window = |n: usize| -> Vec<f32> {
        let turn = |k: usize| 2.0 * PI * (k as f32 - (n / 2) as f32) / n as f32;
        (0..n).map(|k| if n > 1 { 0.5 + 0.5 * turn(k).cos() } else { 1.0 }).collect()
    };
    let windows: Vec<Vec<f32>> = along.iter().map(|axis| window(extents[*axis])).collect();
    let one = |axis: usize| if along.contains(&axis) { extents[axis] } else { 1 };
    let mut energies = ArrayD::<f64>::zeros((0..extents.len()).map(one).collect::<Vec<_>>());
    for coil in kspace.outer_iter() {
        let mut image = coil.to_owned();
        for (axis, window) in along.iter().zip(&windows) {
            for (mut plane, w) in image.axis_iter_mut(Axis(*axis)).zip(window) {
                plane.mapv_inplace(|v| v * w);
            }
            centred_dft(image.view_mut(), Axis(*axis), true);
        }
        let mut sums = image.mapv(|v| f64::from(v.norm_sqr()));
        for axis in (0..extents.len()).filter(|axis| !along.contains(axis)) {
            sums = sums.sum_axis(Axis(axis)).insert_axis(Axis(axis));
        }
        energies += &sums;
    }
    let gain = |w: &Vec<f32>| w.iter().map(|w| f64::from(w * w)).sum::<f64>() / w.len() as f64;
    let samples = lines as f64 * windows.iter().map(gain).product::<f64>();
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

#[cfg(test)]
mod evidence;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScanOptions, scan};
    use ndarray::Array2;

    /// σₓ/σ, with the root σₓ of the mean square over the pixels of the image that unit coil maps combine; None without a signal.
    fn signal_to_noise(kspace: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Option<f64> {
        let measured = Measured::of(kspace, mask)?;
        let (all, noise) = (measured.power.len(), measured.noise);
        let signal = measured.energy(|all, _| all) - noise * (all * measured.coils) as f64;
        (signal > 0.0).then(|| (signal / all as f64 / noise).sqrt())
    }

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
                Array2::from_shape_fn((96, 80), |at| f32::from(generator.uniform() < 0.4 || centre && near(at)))
            };
            let mask = points(true, &mut generator);
            let kspace = &scan.kspace * &mask.mapv(Complex32::from);
            let (kspace, mask) = (kspace.view().into_dyn(), mask.view().into_dyn());
            let found = Measured::of(kspace.view(), mask.view()).unwrap().noise.sqrt();
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

    /// Of few coils too: the least of scattered values is less than their mean.
    #[test]
    fn the_noise_is_the_same_by_few_coils() {
        let noise = 0.05;
        for coils in [1, 2, 8] {
            let mut found = 0.0;
            for seed in 0..4u64 {
                let options = ScanOptions::default().ny(96).nx(80).coils(coils).acceleration(1).noise(noise).seed(seed);
                let scan = scan(&options).unwrap();
                let mut generator = crate::app::noise::Generator::new(5 + seed);
                let near = |at: (usize, usize)| at.0.abs_diff(48) < 14 && at.1.abs_diff(40) < 14;
                let mask = Array2::from_shape_fn((96, 80), |at| f32::from(generator.uniform() < 0.4 || near(at)));
                let kspace = &scan.kspace * &mask.mapv(Complex32::from);
                let flat = Measured::of(kspace.view().into_dyn(), mask.view().into_dyn()).unwrap().noise;
                // One plane of a volume is the same.
                let (kspace, mask) = (kspace.insert_axis(Axis(1)), mask.insert_axis(Axis(0)));
                let plane = Measured::of(kspace.view().into_dyn(), mask.view().into_dyn()).unwrap().noise;
                assert!((plane / flat - 1.0).abs() < 1e-9, "{plane} {flat}");
                found += flat / 4.0;
            }
            // The least tenth of the mean squares of few numbers are below all of them.
            let least = [(1, 0.05), (2, 0.15), (8, 0.5)].into_iter().find(|(c, _)| *c == coils).unwrap().1;
            let part = found / (noise * noise);
            assert!(part > least && part < 1.4, "{coils} coils: {part}");
        }
    }

    /// Zeros around what was acquired are no gaps.
    #[test]
    fn filling_with_zeros_leaves_the_weight() {
        for (acceleration, noise, partial) in [(1, 0.0092, 0), (4, 0.0023, 0), (1, 0.0023, 24), (2, 0.0023, 0)] {
            let options = ScanOptions::default().ny(96).nx(80).coils(6).acceleration(acceleration).noise(noise);
            let scan = scan(&options.centre_lines(16)).unwrap();
            let (mut kspace, mut mask) = (scan.kspace, scan.mask);
            kspace.slice_axis_inplace(Axis(1), Slice::from(partial..));
            mask.slice_axis_inplace(Axis(0), Slice::from(partial..));
            let filled = |more: usize| {
                let (ny, nx) = (96 + 2 * more, 80 + 2 * more);
                let (mut y, mut m) = (ndarray::Array3::zeros((6, ny, nx)), Array2::zeros((ny, nx)));
                y.slice_mut(ndarray::s![.., more + partial..more + 96, more..more + 80]).assign(&kspace);
                m.slice_mut(ndarray::s![more + partial..more + 96, more..more + 80]).assign(&mask);
                f64::from(noise_weight(y.view().into_dyn(), m.view().into_dyn()).unwrap())
            };
            let [own, more, most] = [0, 24, 48].map(filled);
            assert!(own > 1.05e-4 && own < 9.5e-3, "{own}");
            assert!((more / own - 1.0).abs() < 0.2 && (most / own - 1.0).abs() < 0.2, "{own} {more} {most}");
        }
    }

    /// Of several images: between those of each, nearer to that with more signal; an empty one takes nothing from it but its place.
    #[test]
    fn several_images_have_one_weight() {
        let of = |amount: f32, noise: f64, seed: u64| {
            let options = ScanOptions::default().ny(96).nx(80).coils(6).acceleration(3).centre_lines(16).noise(0.0);
            let scan = scan(&options).unwrap();
            let mut generator = crate::app::noise::Generator::new(seed);
            let noisy = scan.kspace.mapv(|v| {
                let n = generator.complex_normal();
                v * amount + Complex32::new(n.re as f32, n.im as f32) * noise as f32
            });
            let kspace = &noisy * &scan.mask.mapv(Complex32::from);
            KspaceNoise::of(kspace.view().into_dyn(), scan.mask.view().into_dyn()).unwrap()
        };
        let (bright, dim, empty) = (of(1.0, 0.003, 1), of(0.5, 0.003, 2), of(0.0, 0.003, 3));
        let weight = |all: &[KspaceNoise]| f64::from(KspaceNoise::weight(all).unwrap());
        let [least, most] = [weight(&[bright]), weight(&[dim])];
        assert!(least > 1.1e-4 && most < 9e-3, "{least} {most}");
        let both = weight(&[bright, dim]);
        assert!((both / (least * 2.0 / 1.25) - 1.0).abs() < 0.1, "{least} {both} {most}");
        assert_eq!(weight(&[empty]) as f32, 0.01);
        let beside = weight(&[bright, empty]);
        assert!((beside / (2.0 * least) - 1.0).abs() < 0.1, "{beside} {least}");
        assert_eq!(KspaceNoise::weight(&[]), None);
    }
}
