//! What the axes of an array of k-space are, as far as its energies tell: encoded ones have their centre of k-space, others have not.

use ndarray::{ArrayD, ArrayView3, ArrayViewD, Axis};
use num_complex::Complex32;

/// What the second axis of k-space (a, b, ky, kx) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondAxis {
    /// Partitions (kz): the energy is in the middle of it.
    Encoded,
    /// Coils, of slices or frames along the first axis: about the same energy everywhere, and none of the middle's.
    Coils,
    /// Nothing tells.
    Unclear,
}

/// The energies of the entries of an axis.
fn profile(kspace: &ArrayViewD<Complex32>, axis: usize) -> Vec<f64> {
    kspace.axis_iter(Axis(axis)).map(|part| part.iter().map(|v| f64::from(v.norm_sqr())).sum()).collect()
}

/// The quarters of the last two axes around their strongest entries, wherever these are: there the signal is.
fn strong(kspace: &ArrayViewD<Complex32>) -> ArrayD<Complex32> {
    let mut part = kspace.to_owned();
    for axis in [2, 3] {
        let (n, energies) = (kspace.len_of(Axis(axis)), profile(kspace, axis));
        let most = energies.iter().copied().fold(0.0, f64::max);
        let at = energies.iter().position(|e| *e == most).unwrap_or(0);
        let half = n.div_ceil(8).min(n / 2);
        // Round the ends: in FFT order the centre is at one.
        let around: Vec<usize> = (0..=2 * half).map(|i| (at + n + i - half) % n).collect();
        part = part.select(Axis(axis), &around);
    }
    part
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// What the second axis of k-space of four axes is: partitions of a volume (coil, kz, ky, kx), or the coils of slices (slice, coil,
/// ky, kx). Of the k-space of a volume, the middle partition holds most of the energy; of coils around an object, each has a part.
pub fn second_axis(kspace: ArrayViewD<Complex32>) -> SecondAxis {
    /// Partitions with an object of at least three of them: the middle is above the median by more than that.
    const PEAK: f64 = 4.0;
    /// What coils around an object differ by.
    const ALIKE: f64 = 4.0;
    if kspace.ndim() != 4 || kspace.len_of(Axis(1)) < 3 {
        return SecondAxis::Unclear;
    }
    let along = profile(&strong(&kspace).view(), 1);
    let (n, most) = (along.len(), along.iter().copied().fold(0.0, f64::max));
    let acquired: Vec<f64> = along.iter().copied().filter(|e| *e > 0.0).collect();
    if most.is_nan() || most <= 0.0 || acquired.len() < 3 {
        return SecondAxis::Unclear;
    }
    let peak = along.iter().position(|e| *e == most).unwrap_or(0);
    if most > PEAK * median(&acquired) {
        // In FFT order the centre is the first.
        let at_centre = peak.abs_diff(n / 2) <= 1 || peak == 0;
        return if at_centre { SecondAxis::Encoded } else { SecondAxis::Unclear };
    }
    let least = acquired.iter().copied().fold(f64::INFINITY, f64::min);
    let middle = along[n / 2];
    let flat = acquired.len() == n && most <= ALIKE * ALIKE * least && middle <= ALIKE * median(&along);
    // Partitions of noise are as flat: the axes behind must have their centre.
    let behind = |axis: usize| {
        let all = profile(&kspace, axis);
        let most = all.iter().copied().fold(0.0, f64::max);
        all.len() > 8 && most > 2.0 * PEAK * median(&all)
    };
    if flat && behind(2) && behind(3) { SecondAxis::Coils } else { SecondAxis::Unclear }
}

/// The axis of k-space (coil, a, b), 1 or 2, that samples run along which each pass the centre of k-space at the same place, where the
/// lines hold about the same energy: spokes or arms, that no line of a Cartesian scan is like. None of a Cartesian scan.
pub fn lines_through_centre(kspace: ArrayView3<Complex32>) -> Option<usize> {
    /// Lines that are looked at, at least.
    const LEAST: usize = 8;
    /// What lines may differ by from their median.
    const ALIKE: f64 = 2.5;
    /// The centre of a line is above its median by more than that.
    const PEAK: f64 = 8.0;
    let power = kspace.map_axis(Axis(0), |coils| coils.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>());
    let through = |samples: usize| {
        let lines: Vec<_> = power.lanes(Axis(samples)).into_iter().collect();
        let n = power.len_of(Axis(samples));
        let energies: Vec<f64> = lines.iter().map(|line| line.sum()).collect();
        let middle = median(&energies);
        let alike = |e: &f64| *e <= ALIKE * middle && ALIKE * *e >= middle;
        if lines.len() < LEAST || n < LEAST || middle.is_nan() || middle <= 0.0 || !energies.iter().all(alike) {
            return false;
        }
        let peak = |line: &ndarray::ArrayView1<f64>| {
            let most = line.iter().copied().fold(0.0, f64::max);
            let at = line.iter().position(|v| *v == most).unwrap_or(0);
            (at, most > PEAK * median(&line.to_vec()))
        };
        let peaks: Vec<(usize, bool)> = lines.iter().map(peak).collect();
        let usual = median(&peaks.iter().map(|(at, _)| *at as f64).collect::<Vec<_>>()) as usize;
        let there = |(at, plain): &&(usize, bool)| *plain && at.abs_diff(usual) <= (n / 16).max(2);
        10 * peaks.iter().filter(there).count() >= 9 * peaks.len()
    };
    [1, 0].into_iter().find(|axis| through(*axis)).map(|axis| axis + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::conventions::centred_order;
    use crate::app::{SampleOptions, ScanOptions, VolumeScanOptions, sample_scan, scan, trajectory, volume_scan};

    #[test]
    fn partitions_and_coils_are_told_apart() {
        for (matrix, acceleration) in [([12, 24, 20], [1, 1]), ([6, 24, 20], [1, 2]), ([16, 24, 20], [2, 2])] {
            let options = VolumeScanOptions::default().matrix(matrix).coils(5).acceleration(acceleration);
            let volume = volume_scan(&options.centre_lines(4)).unwrap();
            // Of few partitions none may be plain enough, but they are no coils.
            let expected = |found: SecondAxis| match matrix[0] {
                6 => found != SecondAxis::Coils,
                _ => found == SecondAxis::Encoded,
            };
            assert!(expected(second_axis(volume.kspace.view().into_dyn())), "{matrix:?}");
            let mut turned = volume.kspace;
            (1..4).for_each(|axis| centred_order(&mut turned, Axis(axis)));
            assert!(expected(second_axis(turned.view().into_dyn())), "{matrix:?}");
        }
        for (coils, acceleration) in [(4, 1), (8, 2), (6, 3)] {
            let slice = scan(&ScanOptions::default().ny(40).nx(36).coils(coils).acceleration(acceleration)).unwrap();
            let slices = ndarray::stack![Axis(0), slice.kspace, slice.kspace.mapv(|v| v * 0.7), slice.kspace];
            assert_eq!(second_axis(slices.view().into_dyn()), SecondAxis::Coils, "{coils}");
            let mut turned = slices;
            (2..4).for_each(|axis| centred_order(&mut turned, Axis(axis)));
            assert_eq!(second_axis(turned.view().into_dyn()), SecondAxis::Coils, "{coils}");
        }
        let noise = ndarray::ArrayD::from_elem(vec![3, 8, 16, 16], Complex32::from(1.0));
        assert_eq!(second_axis(noise.view()), SecondAxis::Unclear);
        assert_eq!(second_axis(ndarray::ArrayD::zeros(vec![3, 8, 16, 16]).view()), SecondAxis::Unclear);
        assert_eq!(second_axis(ndarray::ArrayD::zeros(vec![3, 8, 16]).view()), SecondAxis::Unclear);
    }

    #[test]
    fn spokes_are_no_lines_of_a_grid() {
        let k = trajectory::golden_radial(24, 48, 40).unwrap().into_dyn();
        let spokes = sample_scan(k.view(), &SampleOptions::default().ny(40).nx(40).coils(3)).unwrap().kspace;
        let spokes = spokes.into_dimensionality::<ndarray::Ix3>().unwrap();
        assert_eq!(lines_through_centre(spokes.view()), Some(2));
        assert_eq!(lines_through_centre(spokes.view().permuted_axes([0, 2, 1])), Some(1));
        for acceleration in [1, 2, 4] {
            let grid = scan(&ScanOptions::default().ny(48).nx(40).coils(3).acceleration(acceleration)).unwrap();
            assert_eq!(lines_through_centre(grid.kspace.view()), None, "{acceleration}");
        }
        assert_eq!(lines_through_centre(ndarray::Array3::ones((2, 16, 16)).view()), None);
        assert_eq!(lines_through_centre(ndarray::Array3::zeros((2, 16, 16)).view()), None);
    }
}
