//! Pictures without their noise, and with their gaps filled: minimise ½‖M(x − y)‖² + Σ λᵢRᵢ(x), where M keeps the samples that are
//! known and R are the [regularisers](super::regularise) of all applications.
//!
//! A weight that is not given follows from the noise, so that f(c·y) = c·f(y). To denoise it is the one by which x is expected to be
//! nearest to the picture without its noise: a larger one takes details, a smaller one leaves noise. Noise may follow brightness, as that
//! of photons does; neighbours that share theirs, as after a blur, look like details, and are left. Of noise that was cut off at
//! the picture's smallest or largest value, as in dark places at 0, only what is left counts. No weight is larger than one that leaves
//! nothing of white noise (Donoho and Johnstone, Biometrika 81:425, 1994): where the picture has less noise than was given, it is not
//! made even for it. To [only fill](Denoising::fill) gaps it is a small one, and what is known stays within the noise.

mod risk;
mod weight;

use super::neighbours::filled;
use super::noise::Generator;
use super::noise_level::{Told, estimated, left_of_noise, noise_by_brightness, reliable_noise_level};
use super::regularise::{Kind, Regularisation, Regulariser, Stated};
use crate::convex::{Method, Problem, Progress, Solved, Tell};
use crate::error::{Result, shape_err, value_err};
use crate::linop;
use crate::run::Device;
use crate::setters::setters;
use crate::solve::Stop;
use crate::tensor::Tensor;
use ndarray::{ArrayD, ArrayViewD, Zip};
use risk::{Probe, Probes};
use std::fmt;
use std::sync::atomic::AtomicBool;
pub(super) use weight::{Given, Weighed};

/// Which regularisers, and how they are weighed and solved with: to denoise a picture, to fill its gaps, and to deconvolve it
/// ([`Blur::regularised`](super::Blur::regularised)).
#[non_exhaustive]
pub struct Denoising<'a> {
    /// The regularisers; total variation at first. Weights that are not given follow from the noise.
    pub regularisation: Regularisation,
    /// Standard deviation of the noise, in the picture's units; None at first, which estimates it ([`noise_level`](super::noise_level())).
    pub noise: Option<f64>,
    /// Whether the weight is to take the noise away, or only to fill what is not known.
    pub fill: bool,
    /// The method, or the one that suits the regularisers.
    pub method: Option<Method>,
    /// Iterations at most of the last solve; 1000 at first. Those by which a weight is found are short.
    pub iterations: usize,
    /// Stop when the objective is within this part of it of its limit; 1e-4 at first.
    pub tol: f64,
    progress: Option<Tell<'a>>,
    cancel: Option<&'a AtomicBool>,
}

impl Default for Denoising<'_> {
    fn default() -> Self {
        let tv = Regulariser::new(Kind::Tv, None);
        Denoising {
            regularisation: Regularisation::default().terms(vec![tv]),
            noise: None,
            fill: false,
            method: None,
            iterations: 1000,
            tol: 1e-4,
            progress: None,
            cancel: None,
        }
    }
}

setters! { Denoising<'_> {
    /// With other regularisers.
    regularisation: Regularisation,
    /// With this noise.
    noise: Option<f64>,
    /// With a weight that fills gaps only.
    fill: bool,
    /// With this method.
    method: Option<Method>,
    /// With other iterations at most.
    iterations: usize,
    /// With another tolerance.
    tol: f64,
} }

impl fmt::Debug for Denoising<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denoising")
            .field("regularisation", &self.regularisation)
            .field("noise", &self.noise)
            .field("fill", &self.fill)
            .field("method", &self.method)
            .field("iterations", &self.iterations)
            .field("tol", &self.tol)
            .finish_non_exhaustive()
    }
}

/// A picture without its noise, or with its gaps filled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Denoised {
    /// The picture, in its units.
    pub image: ArrayD<f32>,
    /// The noise that was given or found.
    pub noise: f64,
    /// The noise that is found where one was given; None where it is not found reliably, or none was given.
    pub noise_found: Option<f64>,
    /// Whether it was neither, as too few neighbours are known, and was taken for 0.
    pub noise_unknown: bool,
    /// The terms of the objective, with their weights; none where there was no noise to take away.
    pub terms: Vec<Stated>,
    /// Whether there is less noise than was given: with so much the picture could not be as near to what is left of it.
    pub less_noise: bool,
    /// Root mean square of x − y where it is known.
    pub deviation: f64,
    /// ‖x − y‖/‖y‖ where it is known.
    pub misfit: f64,
    /// How it was solved the last time; None where there was nothing to solve.
    pub solved: Option<Solved>,
    /// Solves that the weights took.
    pub solves: usize,
    /// Why the last solve stopped.
    pub stop: Stop,
}

impl<'a> Denoising<'a> {
    /// Calls this after every reading, of each solve for a weight.
    pub fn progress(mut self, progress: impl FnMut(&mut Progress) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops at the next reading once this is set; the picture so far is returned.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Solves for a picture of one to three axes. Samples that are not finite are not known, nor are those where `known` is 0.
    ///
    /// ```
    /// use linops::{Device, app::Denoising};
    /// let noise = |i: usize| linops::app::noise::Generator::new(i as u64).uniform() as f32 - 0.5;
    /// let steps = |i: usize| 4.0 * (i / 16) as f32;
    /// let noisy = ndarray::Array2::from_shape_fn((48, 48), |(i, j)| steps(i) + noise(48 * i + j)).into_dyn();
    /// let clean = Denoising::default().solve(noisy.view(), None, &Device::host())?;
    /// let error = |x: &ndarray::ArrayD<f32>| x.indexed_iter().map(|(at, v)| (v - steps(at[0])).powi(2)).sum::<f32>();
    /// assert!(error(&clean.image) < 0.2 * error(&noisy));
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// More than three axes, other extents of `known`, nothing that is known, a regulariser whose weight does not follow from the
    /// noise (l2, llr), options that make no sense, or the device fails.
    pub fn solve(
        mut self,
        image: ArrayViewD<f32>,
        known: Option<ArrayViewD<f32>>,
        device: &Device,
    ) -> Result<Denoised> {
        let data = Data::new(image, known)?;
        let noise = match self.noise {
            Some(noise) if noise >= 0.0 && noise.is_finite() => Some((noise, Told::Given)),
            Some(noise) => return value_err!("the noise is {noise}; expected a finite number from 0 on"),
            None => estimated(data.image.view(), Some(data.known.view()))?,
        };
        let noise_unknown = noise.is_none();
        // What has no details to tell from is solved all the same.
        let found = self.noise.map(|_| reliable_noise_level(data.image.view(), Some(data.known.view())));
        let noise_found = found.and_then(|found| found.ok().flatten());
        let (noise, told) = noise.unwrap_or((0.0, Told::Estimated));
        self.check()?;
        let open = self.regularisation.terms.iter().any(|t| t.weight.is_none());
        let size = data.largest();
        let (quiet, whole) = (noise <= 1e-7 * size, data.count == data.image.len());
        if size == 0.0 || (open && quiet && whole) {
            return Ok(Denoised { noise_unknown, noise_found, ..data.unchanged(noise) });
        }
        let axes = dims(data.image.ndim());
        // What the picture differs by is what was not cut off of the noise.
        let left = if open { left_of_noise(data.image.view(), data.known.view(), told) } else { 1.0 };
        let noise_left = noise * left;
        let most = noise_left * even(data.image.shape());
        let problem = data.problem(&data.image, device)?;
        let searched = open && !self.fill && !quiet;
        let given = Given {
            problem,
            axes: &axes,
            count: data.count,
            noise: noise_left,
            probes: searched.then(|| data.probes(noise_left, device)).transpose()?,
            size,
            weights: [0.0, most],
            norm: Some(1.0),
            start: data.start(device)?,
        };
        let weighed = self.weighed(&given)?;
        Ok(Denoised { noise_unknown, noise_found, ..data.denoised(weighed, noise)? })
    }

    /// Whether all weights are given or follow from the noise.
    pub(super) fn check(&self) -> Result<()> {
        let open = self.regularisation.terms.iter().filter(|t| t.weight.is_none());
        match open.map(|t| t.kind).find(|kind| matches!(kind, Kind::L2 | Kind::Llr)) {
            Some(kind) => value_err!("{kind}: its weight does not follow from the noise; give one, as in {kind}:0.01"),
            None => Ok(()),
        }
    }
}

/// How far a probe is apart, in units of σ, and of the largest value at least.
const APART: f64 = 0.1;
const ROUNDED: f64 = 1e-6;

/// Samples that are moved, over all probes, and probes at most.
const PROBED: usize = 1 << 13;
const PROBES: usize = 8;

/// A picture and what is known of it; 0 where it is not.
struct Data {
    image: ArrayD<f32>,
    known: ArrayD<f32>,
    count: usize,
}

impl Data {
    fn new(image: ArrayViewD<f32>, known: Option<ArrayViewD<f32>>) -> Result<Data> {
        if !(1..=3).contains(&image.ndim()) || image.is_empty() {
            return shape_err!("a picture of shape {:?}, expected one to three axes", image.shape());
        }
        let mut known = match known {
            None => ArrayD::ones(image.raw_dim()),
            Some(known) if known.shape() == image.shape() => known.mapv(|k| f32::from(k != 0.0)),
            Some(known) => {
                return shape_err!("a mask of extents {:?}, the picture has {:?}", known.shape(), image.shape());
            }
        };
        known.zip_mut_with(&image, |k, v| *k = if v.is_finite() { *k } else { 0.0 });
        let mut image = image.to_owned();
        image.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { 0.0 } else { *v });
        let count = known.iter().filter(|k| **k != 0.0).count();
        match count {
            0 => value_err!("nothing of the picture is known: the mask is 0 everywhere, or no sample is finite"),
            _ => Ok(Data { image, known, count }),
        }
    }

    fn largest(&self) -> f64 {
        self.image.iter().fold(0.0f64, |a, v| a.max(f64::from(v.abs())))
    }

    /// Pictures beside this one, in which each sample that is known is a part of its noise higher or lower. Few samples have several: of
    /// one alone much would be chance.
    fn probes(&self, noise: f64, device: &Device) -> Result<Probes> {
        let parts = noise_by_brightness(self.image.view(), self.known.view());
        let known = parts.iter().zip(&self.known).filter(|(_, k)| **k != 0.0);
        let variance = noise.powi(2) * known.map(|(part, _)| part.powi(2)).sum::<f64>() / self.count as f64;
        let step = (APART * noise).max(ROUNDED * self.largest());
        let mut coin = Generator::new(1);
        let mut probe = || -> Result<Probe> {
            let image = Zip::from(&self.image).and(&self.known).and(&parts).map_collect(|v, k, part| {
                let moved = (step * part).copysign(coin.uniform() - 0.5);
                if *k == 0.0 { 0.0 } else { *v + moved as f32 }
            });
            // What became of it in f32.
            Ok(Probe { problem: self.problem(&image, device)?, apart: image - &self.image })
        };
        let count = (PROBED / self.count).clamp(1, PROBES);
        Ok(Probes { all: (0..count).map(|_| probe()).collect::<Result<_>>()?, variance })
    }

    fn problem(&self, image: &ArrayD<f32>, device: &Device) -> Result<Problem> {
        let y = Tensor::from_array(image.clone(), dims(image.ndim()).as_str())?;
        let a = match self.count == self.image.len() {
            true => linop::identity(y.shape().clone())?,
            false => {
                let mask = Tensor::from_array(self.known.clone(), y.shape().dims())?;
                linop::diagonal(y.shape().clone(), &mask)?.named("mask")
            }
        };
        Problem::new(&a, &y.to(device)?)
    }

    /// The picture with its gaps filled by what is around them.
    fn start(&self, device: &Device) -> Result<Option<Tensor>> {
        if self.count == self.image.len() {
            return Ok(None);
        }
        let filled = filled(&self.image, &self.known);
        Ok(Some(Tensor::from_array(filled, dims(self.image.ndim()).as_str())?.to(device)?))
    }

    fn denoised(&self, weighed: Weighed, noise: f64) -> Result<Denoised> {
        let Weighed { solved, terms, deviation, less_noise, solves, .. } = weighed;
        Ok(Denoised {
            image: solved.x.to(&Device::host())?.to_real_array()?,
            noise,
            noise_found: None,
            noise_unknown: false,
            terms,
            less_noise,
            deviation,
            misfit: solved.misfit,
            stop: solved.stop,
            solved: Some(solved),
            solves,
        })
    }

    fn unchanged(&self, noise: f64) -> Denoised {
        Denoised {
            image: self.image.clone(),
            noise,
            noise_found: None,
            noise_unknown: false,
            terms: Vec::new(),
            less_noise: false,
            deviation: 0.0,
            misfit: 0.0,
            solved: None,
            solves: 0,
            stop: if self.largest() == 0.0 { Stop::Zero } else { Stop::Converged },
        }
    }
}

/// The weight that leaves nothing of white noise, in units of its deviation: of the coefficients of an orthonormal transform the largest
/// of n is about √(2 ln n); sums along a line, which total variation keeps within its weight, are about √n.
fn even(extents: &[usize]) -> f64 {
    let n = extents.iter().product::<usize>() as f64;
    let line = extents.iter().filter(|n| **n > 1).count() <= 1;
    if line { n.sqrt() } else { (2.0 * n.max(2.0).ln()).sqrt() }
}

/// "Ny Nx" for two axes.
fn dims(axes: usize) -> String {
    ["Nz", "Ny", "Nx"][3 - axes.clamp(1, 3)..].join(" ")
}
