//! Noise pre-whitening: channels combined so that their noise is uncorrelated and of one size.
//!
//! With the noise covariance Ψ = L Lᴴ (Cholesky), L⁻¹ y has the covariance 1. Hansen and Kellman, "Image reconstruction: an
//! overview for clinicians", J. Magn. Reson. Imaging 41:573 (2015); Kellman and McVeigh, Magn. Reson. Med. 54:1439 (2005), for
//! the bandwidth.

use super::readout::kept;
use super::records::Acquisition;
use super::select::count_of;
use crate::error::{Result, shape_err};
use ndarray::{Array, Array2, ArrayView, ArrayViewMut, Axis, Dimension, RemoveAxis};
use num_complex::{Complex32, Complex64};

/// The part of the receiver's bandwidth that noise passes, where the header does not say (Siemens receivers).
const BANDWIDTH: f64 = 0.79;

/// Fewer samples than this are no noise scan.
const LEAST: usize = 32;

/// What a noise scan tells of the channels, and the matrix that whitens them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Whitening {
    /// The whitening matrix (channel, channel), lower triangular: noise of the image has the standard deviation 1 in the real
    /// and in the imaginary part behind it. The row of a channel without noise is 0.
    pub matrix: Array2<Complex32>,
    /// Standard deviation of the noise of each channel, as measured, of real and imaginary part together.
    pub deviation: Vec<f64>,
    /// The largest correlation |Ψᵢⱼ|/√(ΨᵢᵢΨⱼⱼ) of two channels.
    pub correlation: f64,
    /// Samples that it was found from.
    pub samples: usize,
}

impl Whitening {
    /// Whitens values (channel, …): k-space, or coil maps.
    ///
    /// # Errors
    /// They have another number of channels.
    pub fn apply<D: Dimension>(&self, mut values: ArrayViewMut<Complex32, D>) -> Result<()> {
        self.each_pixel(values.view_mut(), |column, row| (0..=row).map(|c| self.matrix[[row, c]] * column[c]).sum())
    }

    /// What values (channel, …) were before [`apply`](Self::apply); 0 in a channel without noise.
    ///
    /// # Errors
    /// They have another number of channels.
    pub fn undo<D: Dimension>(&self, mut values: ArrayViewMut<Complex32, D>) -> Result<()> {
        let mut before = vec![Complex32::default(); self.matrix.nrows()];
        self.each_pixel(values.view_mut(), |column, row| {
            let known: Complex32 = (0..row).map(|c| self.matrix[[row, c]] * before[c]).sum();
            let own = self.matrix[[row, row]];
            before[row] = if own == Complex32::default() { own } else { (column[row] - known) / own };
            before[row]
        })
    }

    /// Puts `value(channels, c)` into each channel c of each pixel, the first channel first.
    fn each_pixel<D: Dimension>(
        &self,
        mut values: ArrayViewMut<Complex32, D>,
        mut value: impl FnMut(&[Complex32], usize) -> Complex32,
    ) -> Result<()> {
        let channels = self.matrix.nrows();
        let came = values.shape().first().copied().unwrap_or(0);
        if came != channels {
            return shape_err!("{came} channels to whiten, expected {channels} as in the noise scan");
        }
        let rest = values.len() / channels.max(1);
        let mut column = vec![Complex32::default(); channels];
        let mut flat: Vec<&mut Complex32> = values.iter_mut().collect();
        for at in 0..rest {
            (0..channels).for_each(|c| column[c] = *flat[c * rest + at]);
            (0..channels).for_each(|row| *flat[row * rest + at] = value(&column, row));
        }
        Ok(())
    }

    /// The root of the sum of squares over the channels of what `maps` (channel, …) of whitened k-space are without whitening.
    ///
    /// Maps estimated from whitened k-space have the sum of squares 1 there, and the image a shading by the noise. Times this it
    /// is the image of maps that have the sum 1 before.
    ///
    /// # Errors
    /// They have another number of channels.
    pub fn shading<D: RemoveAxis>(&self, maps: ArrayView<Complex32, D>) -> Result<Array<f32, D::Smaller>> {
        let mut before = maps.to_owned();
        self.undo(before.view_mut())?;
        Ok(before.map_axis(Axis(0), |pixel| pixel.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt()))
    }

    /// Maps (channel, …) of whitened k-space as maps of the channels as they were measured, their sum of squares 1 or 0: what
    /// [`apply`](Self::apply) makes maps of the whitened channels of.
    ///
    /// # Errors
    /// They have another number of channels.
    pub fn measured_maps<D: RemoveAxis>(&self, mut maps: Array<Complex32, D>) -> Result<Array<Complex32, D>> {
        self.undo(maps.view_mut())?;
        let root = maps.map_axis(Axis(0), |pixel| pixel.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt());
        for mut channel in maps.axis_iter_mut(Axis(0)) {
            channel.zip_mut_with(&root, |v, root| *v = if *root > 0.0 { *v / *root } else { Complex32::default() });
        }
        Ok(maps)
    }
}

/// Covariance of the noise lines with the given channels; `Err` says why it cannot be had.
pub(super) fn covariance(noise: &[&Acquisition]) -> Result<(Array2<Complex64>, usize), String> {
    let channels = noise.first().map_or(0, |line| line.channels);
    if let Some(other) = noise.iter().find(|line| line.channels != channels) {
        return Err(format!("its lines have {channels} and {} channels", other.channels));
    }
    let mut sum = Array2::<Complex64>::zeros((channels, channels));
    let mut samples = 0;
    for line in noise {
        for sample in kept(line) {
            let values: Vec<Complex64> = (0..channels)
                .map(|c| line.value(c, sample))
                .map(|v| Complex64::new(v.re.into(), v.im.into()))
                .collect();
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values[..=i].iter().enumerate() {
                    sum[[i, j]] += a * b.conj();
                }
            }
            samples += 1;
        }
    }
    if sum.iter().any(|v| !v.is_finite()) {
        return Err("it holds NaN or infinity".into());
    }
    // Two for each entry of a row of the covariance, and some for its scale.
    if samples < (2 * channels).max(LEAST) {
        return Err(format!("its {} are too few for {}", count_of(samples, "sample"), count_of(channels, "channel")));
    }
    let scale = 1.0 / (samples - 1) as f64;
    let full = Array2::from_shape_fn((channels, channels), |(i, j)| {
        scale * if i >= j { sum[[i, j]] } else { sum[[j, i]].conj() }
    });
    Ok((full, samples))
}

/// The whitening of image lines like `line` by these noise lines. `bandwidth` is the header's.
pub(super) fn whitening(
    noise: &[&Acquisition],
    line: &Acquisition,
    bandwidth: Option<f64>,
) -> Result<(Whitening, String), String> {
    let (psi, samples) = covariance(noise)?;
    let channels = psi.nrows();
    if channels != line.channels {
        return Err(format!("it has {}, the image {}", count_of(channels, "channel"), line.channels));
    }
    let deviation: Vec<f64> = psi.diag().iter().map(|v| v.re.max(0.0).sqrt()).collect();
    let largest = deviation.iter().fold(0.0f64, |a, b| a.max(*b));
    // A channel that is not connected has no noise, and says nothing.
    let dead = |c: usize| deviation[c] <= 1e-6 * largest;
    if largest == 0.0 {
        return Err("it is 0 everywhere".into());
    }
    let inverse = inverse_of_root(&psi, dead).ok_or("its covariance is singular")?;
    let noise_time = noise[0].sample_time;
    let dwell = if noise_time > 0.0 && line.sample_time > 0.0 { line.sample_time / noise_time } else { 1.0 };
    let bandwidth = bandwidth.unwrap_or(BANDWIDTH);
    let scale = (2.0 * dwell * bandwidth).sqrt();
    let correlation = (0..channels)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter(|(i, j)| !dead(*i) && !dead(*j))
        .map(|(i, j)| psi[[i, j]].norm() / (deviation[i] * deviation[j]))
        .fold(0.0f64, f64::max);
    let alive: Vec<f64> = (0..channels).filter(|c| !dead(*c)).map(|c| deviation[c]).collect();
    let least = alive.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    let mut note = format!(
        "pre-whitened by {} of noise (deviations 1 : {:.1}, correlations up to {correlation:.2})",
        count_of(samples, "sample"),
        largest / least
    );
    if alive.len() < channels {
        note.push_str(&format!(", {} without noise left out", count_of(channels - alive.len(), "channel")));
    }
    let matrix = inverse.mapv(|v| Complex32::new((v.re * scale) as f32, (v.im * scale) as f32));
    if matrix.iter().any(|v| !v.is_finite()) {
        return Err("its covariance is too small for 32-bit numbers".into());
    }
    Ok((Whitening { matrix, deviation, correlation, samples }, note))
}

/// L⁻¹ of Ψ = L Lᴴ over the channels that are not left out; 0 in rows and columns of those.
fn inverse_of_root(psi: &Array2<Complex64>, out: impl Fn(usize) -> bool) -> Option<Array2<Complex64>> {
    let n = psi.nrows();
    let alive: Vec<usize> = (0..n).filter(|c| !out(*c)).collect();
    let mut root = Array2::<Complex64>::zeros((n, n));
    for (k, &i) in alive.iter().enumerate() {
        for &j in &alive[..=k] {
            let known: Complex64 =
                alive.iter().take_while(|c| **c < j).map(|&c| root[[i, c]] * root[[j, c]].conj()).sum();
            let rest = psi[[i, j]] - known;
            root[[i, j]] = if i == j {
                // What is left of a channel that others tell is rounding.
                Some(rest.re).filter(|v| *v > 1e-12 * psi[[i, i]].re)?.sqrt().into()
            } else {
                rest / root[[j, j]]
            };
        }
    }
    let mut inverse = Array2::<Complex64>::zeros((n, n));
    for &column in &alive {
        for &row in alive.iter().filter(|row| **row >= column) {
            let known: Complex64 = alive
                .iter()
                .filter(|c| **c >= column && **c < row)
                .map(|&c| root[[row, c]] * inverse[[c, column]])
                .sum();
            let unit = if row == column { Complex64::ONE } else { Complex64::ZERO };
            inverse[[row, column]] = (unit - known) / root[[row, row]];
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undone_is_as_before() {
        let matrix = Array2::from_shape_fn((3, 3), |(i, j)| match i.cmp(&j) {
            std::cmp::Ordering::Less => Complex32::default(),
            std::cmp::Ordering::Equal => Complex32::from(0.5 + i as f32),
            std::cmp::Ordering::Greater => Complex32::new(0.4, -0.3 * j as f32),
        });
        let mut whitening = Whitening { matrix, deviation: vec![1.0; 3], correlation: 0.0, samples: 100 };
        let maps = Array2::from_shape_fn((3, 5), |(c, x)| Complex32::new(1.0 + c as f32, x as f32 - 2.0));
        let mut there = maps.clone();
        whitening.apply(there.view_mut()).unwrap();
        assert!((&there - &maps).iter().any(|d| d.norm() > 0.5));
        let unit = |maps: &Array2<Complex32>| {
            let root = maps.map_axis(Axis(0), |p| Complex32::from(p.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt()));
            maps / &root
        };
        let found = whitening.measured_maps(unit(&there)).unwrap();
        assert!((&found - &unit(&maps)).iter().all(|d| d.norm() < 1e-5));
        let mut back = there.clone();
        whitening.undo(back.view_mut()).unwrap();
        assert!((&back - &maps).iter().all(|d| d.norm() < 1e-5));
        // A channel without noise says nothing.
        whitening.matrix.row_mut(1).fill(Complex32::default());
        whitening.matrix.column_mut(1).fill(Complex32::default());
        let found = whitening.measured_maps(there).unwrap();
        assert!(found.row(1).iter().all(|v| *v == Complex32::default()) && found.iter().all(|v| v.is_finite()));
        assert!(whitening.measured_maps(Array2::zeros((2, 5))).is_err());
    }

    #[test]
    fn the_inverse_of_the_root_whitens() {
        let l = Array2::from_shape_fn((4, 4), |(i, j)| match i.cmp(&j) {
            std::cmp::Ordering::Less => Complex64::ZERO,
            std::cmp::Ordering::Equal => Complex64::from(1.0 + i as f64),
            std::cmp::Ordering::Greater => Complex64::new(0.3 * i as f64, 0.2 * j as f64 - 0.1),
        });
        let adjoint = |a: &Array2<Complex64>| a.t().mapv(|v| v.conj());
        let mut psi = l.dot(&adjoint(&l));
        let w = inverse_of_root(&psi, |_| false).unwrap();
        let one = w.dot(&psi).dot(&adjoint(&w));
        assert!(one.indexed_iter().all(|((i, j), v)| (v - f64::from(u8::from(i == j))).norm() < 1e-12));
        psi.row_mut(1).fill(Complex64::ZERO);
        psi.column_mut(1).fill(Complex64::ZERO);
        let w = inverse_of_root(&psi, |c| c == 1).unwrap();
        let one = w.dot(&psi).dot(&adjoint(&w));
        assert!(one.indexed_iter().all(|((i, j), v)| (v - f64::from(u8::from(i == j && i != 1))).norm() < 1e-12));
        assert!(inverse_of_root(&psi, |_| false).is_none());
    }
}
