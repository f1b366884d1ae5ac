//! How much noise and how much signal a blurred picture holds, from its own spectrum.
//!
//! Pictures have spectra that fall about as 1/k² (Field, J. Opt. Soc. Am. A 4:2379, 1987), and white noise has a flat one. So
//! the blurred picture's power at a frequency k is taken for P·|H|²/|D|² + σ², with the transfer function H of the PSF and the
//! gradient's |D|², and P and σ² are those of the greatest likelihood (Whittle, Ark. Mat. 2:423, 1953). Their ratio is the weight
//! of Wiener's filter. The spectrum is that under a window, and noise of light is stronger where the picture is brighter; so σ is
//! carried over to the whole picture by the energies of its finest details with and without the window.

use super::Psf;
use super::blur::{dims, wrapped};
use crate::app::neighbours::filled;
use crate::app::noise_level::finest_details;
use crate::error::Result;
use crate::linop::{FftOptions, fft};
use crate::tensor::Tensor;
use ndarray::{ArrayD, ArrayViewD, Dimension};
use std::f64::consts::{PI, TAU};

/// What a scene's spectrum is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// P/|D|², with the gradient's |D|², which is about |k|².
    Natural,
    /// P at all frequencies.
    White,
}

/// Noise and signal of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NoiseToSignal {
    /// σ²/P: the weight λ of ‖∇x‖², or of ‖x‖² for a white scene.
    pub ratio: f64,
    /// Standard deviation σ of the noise: the root of its mean square over the picture.
    pub noise: f64,
    /// The part of the noise's mean square that the best linear estimate, Wiener's, leaves in A x − y; the rest of the noise is in
    /// its x. 1 where the PSF lets nothing through.
    pub left: f64,
}

/// Ratios that are looked at, as powers of 10, in units of the largest |H|².
const LEAST: f64 = -7.0;
const MOST: f64 = 4.0;
const STEP: f64 = 0.05;

impl NoiseToSignal {
    /// Of a picture (row, column) or (plane, row, column) that was blurred by a PSF; values that are not finite are as the mean.
    ///
    /// # Errors
    /// The PSF has another number of axes.
    pub fn of(image: ArrayViewD<f32>, psf: &Psf, scene: Scene) -> Result<NoiseToSignal> {
        let power = windowed_power(image.view())?;
        let (transfer, largest) = transfer(psf, power.shape())?;
        let gradient = gradient(power.shape());
        let mut pairs = Vec::with_capacity(power.len());
        for ((at, &i), h) in power.indexed_iter().zip(&transfer) {
            let steps = at.slice().iter().zip(power.shape());
            let away = |(&k, &n): (&usize, &usize)| k.min(n - k);
            // The mean, and what the window makes of it.
            if steps.clone().map(away).all(|k| k <= 1) {
                continue;
            }
            let gradient = match scene {
                Scene::Natural => gradient.at(at.slice()).sum(),
                Scene::White => 1.0,
            };
            pairs.push((i, h / largest / gradient));
        }
        let found = likeliest(&pairs);
        Ok(NoiseToSignal { ratio: found.ratio * largest, noise: found.noise * unevenness(image), ..found })
    }

    /// The weight λ of ‖x − m‖² by which the minimiser of ‖A x − y‖² + λ‖x − m‖² is nearest to a scene of the spectrum P/|D|², for
    /// a picture of these extents and this σ²/P: the least Σ (λ/(|H|² + λ))²·P/|D|² + |H|²σ²/(|H|² + λ)², the mean square of what is
    /// taken from the scene and of the noise that stays in it, as both are independent.
    ///
    /// # Errors
    /// The PSF has another number of axes.
    pub fn damping(ratio: f64, psf: &Psf, extents: &[usize]) -> Result<f64> {
        let (transfer, largest) = transfer(psf, extents)?;
        let ratio = ratio / largest;
        let gradient = gradient(extents);
        let pairs: Vec<(f64, f64)> = transfer
            .indexed_iter()
            .filter(|(at, _)| at.slice().iter().any(|k| *k > 0))
            .map(|(at, h)| (h / largest, gradient.at(at.slice()).sum()))
            .collect();
        let wrong = |weight: f64| -> f64 {
            let at = |(h, gradient): &(f64, f64)| (weight * weight / gradient + h * ratio) / (h + weight).powi(2);
            pairs.iter().map(at).sum()
        };
        let best = ratios().map(|weight| (weight, wrong(weight))).min_by(|a, b| a.1.total_cmp(&b.1));
        Ok(best.map_or(ratio, |(weight, _)| weight) * largest)
    }
}

/// |H|² on the frequencies of a picture of these extents, and the largest of them.
fn transfer(psf: &Psf, extents: &[usize]) -> Result<(ArrayD<f64>, f64)> {
    let axes = dims(extents.len());
    let taps = Tensor::from_array(wrapped(psf, extents), axes.as_str())?;
    let transformed = fft(taps.shape().clone(), axes.as_str(), FftOptions::default())?.apply(&taps)?.to_array()?;
    // The transform is orthonormal: the transfer function is √n times it.
    let n = transformed.len() as f64;
    let power = transformed.mapv(|h| (f64::from(h.re).powi(2) + f64::from(h.im).powi(2)) * n);
    let largest = power.iter().fold(0.0f64, |a, b| a.max(*b));
    Ok((power, if largest > 0.0 { largest } else { 1.0 }))
}

/// A function of place and extent, for each place of each axis.
struct Axes(Vec<Vec<f64>>);

impl Axes {
    fn new(extents: &[usize], of: impl Fn(usize, usize) -> f64) -> Axes {
        Axes(extents.iter().map(|&n| (0..n).map(|k| of(k, n)).collect()).collect())
    }

    /// Its values at a place.
    fn at<'a>(&'a self, place: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
        place.iter().zip(&self.0).map(|(&k, axis)| axis[k])
    }
}

/// What |D|² of the gradient at a frequency is the sum of.
fn gradient(extents: &[usize]) -> Axes {
    Axes::new(extents, |k, n| 4.0 * (PI * k as f64 / n as f64).sin().powi(2))
}

fn ratios() -> impl Iterator<Item = f64> {
    let steps = ((MOST - LEAST) / STEP) as usize;
    (0..=steps).map(|k| 10f64.powf(LEAST + STEP * k as f64))
}

/// The ratio σ²/P of the greatest likelihood, for powers I of expectation P·q + σ².
fn likeliest(pairs: &[(f64, f64)]) -> NoiseToSignal {
    let count = pairs.len() as f64;
    let binned = binned(pairs);
    let fit = |ratio: f64| {
        let (mut mean, mut logs) = (0.0, 0.0);
        for Bin { power, q, count } in &binned {
            mean += power / (q + ratio);
            logs += count * (q + ratio).ln();
        }
        let signal = mean / count;
        (count * signal.ln() + logs, signal)
    };
    let best = ratios().map(|r| (r, fit(r))).min_by(|a, b| a.1.0.total_cmp(&b.1.0));
    match best {
        Some((ratio, (cost, signal))) if cost.is_finite() => {
            let left = pairs.iter().map(|(_, q)| ratio / (q + ratio)).sum::<f64>() / count;
            NoiseToSignal { ratio, noise: (ratio * signal).sqrt(), left }
        }
        // Nothing but a mean, or too few samples to tell.
        _ => NoiseToSignal { ratio: 10f64.powf(LEAST), noise: 0.0, left: 1.0 },
    }
}

/// Powers of about the same q, as one.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    power: f64,
    /// The mean of the qs.
    q: f64,
    count: f64,
}

/// Bins of an octave of q, so many that q is nearly the same in each: the search over ratios goes through these.
const BINS: usize = 64;

fn binned(pairs: &[(f64, f64)]) -> Vec<Bin> {
    /// Octaves that are told apart, from this one down; what is below has no signal.
    const OCTAVES: usize = 120;
    const FIRST: f64 = 40.0;
    let mut bins = vec![Bin::default(); OCTAVES * BINS + 1];
    for (power, q) in pairs {
        let below = (FIRST - q.log2()) * BINS as f64;
        let bin = &mut bins[if below < (OCTAVES * BINS) as f64 { below.max(0.0) as usize } else { OCTAVES * BINS }];
        bin.power += power;
        bin.q += q;
        bin.count += 1.0;
    }
    bins.retain(|bin| bin.count > 0.0);
    bins.iter_mut().for_each(|bin| bin.q /= bin.count);
    bins
}

/// Noise of the whole picture over that under the window. 1 where there are no details to tell it from.
fn unevenness(image: ArrayViewD<f32>) -> f64 {
    let Ok(details) = finest_details(image.mapv(f64::from).view()) else { return 1.0 };
    let (mut plain, mut count, mut windowed, mut weights) = (0.0, 0usize, 0.0, 0.0);
    let places = details.strides.iter().zip(image.shape()).zip(details.values.shape());
    let window = places.map(|((&s, &n), &count)| {
        let center = |k: usize| if s > 1 { k * s + details.taps / 2 } else { k };
        (0..count).map(|k| hann(center(k), n).powi(2)).collect()
    });
    let window = Axes(window.collect());
    for (at, d) in details.values.indexed_iter().filter(|(_, d)| d.is_finite()) {
        let w: f64 = window.at(at.slice()).product();
        plain += d * d;
        count += 1;
        windowed += w * d * d;
        weights += w;
    }
    let ratio = (plain / count as f64) / (windowed / weights);
    if ratio.is_finite() { ratio.sqrt() } else { 1.0 }
}

/// Hann's window.
fn hann(k: usize, n: usize) -> f64 {
    0.5 - 0.5 * (TAU * (k as f64 + 0.5) / n as f64).cos()
}

/// |F w(y − mean)|²/Σw² with Hann's window w along each axis, so that the borders count little. What is not known is as what is around it:
/// zeros would be noise of their own; and has no part in Σw², as it has none in the noise.
fn windowed_power(image: ArrayViewD<f32>) -> Result<ArrayD<f64>> {
    let (mut sum, mut count) = (0.0, 0usize);
    for v in image.iter().filter(|v| v.is_finite()) {
        sum += f64::from(*v);
        count += 1;
    }
    let mean = sum / count.max(1) as f64;
    let mut weight = 0.0;
    let window = Axes::new(image.shape(), hann);
    let known = image.mapv(|v| f32::from(v.is_finite()));
    let whole = if count < image.len() { filled(&image.to_owned(), &known) } else { image.to_owned() };
    let mut windowed = ArrayD::<f32>::zeros(image.raw_dim());
    // In units of the largest value, so that squares stay in the range of 32 bits.
    let unit = image.iter().filter(|v| v.is_finite()).fold(0.0f64, |a, v| a.max((f64::from(*v) - mean).abs()));
    let unit = if unit > 0.0 { unit } else { 1.0 };
    for (((at, to), v), known) in windowed.indexed_iter_mut().zip(&whole).zip(&known) {
        let w: f64 = window.at(at.slice()).product();
        weight += w * w * f64::from(*known);
        *to = ((f64::from(*v) - mean) / unit * w) as f32;
    }
    let weight = if weight > 0.0 { weight } else { 1.0 };
    let axes = dims(image.ndim());
    let x = Tensor::from_array(windowed, axes.as_str())?;
    let y = fft(x.shape().clone(), axes.as_str(), FftOptions::default())?.apply(&x)?.to_array()?;
    // Of white noise of variance 1 the windowed transform has Σw²/n.
    let scale = unit * unit * image.len() as f64 / weight;
    Ok(y.mapv(|v| (f64::from(v.re).powi(2) + f64::from(v.im).powi(2)) * scale))
}
