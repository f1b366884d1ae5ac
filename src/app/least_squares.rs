//! Least squares as the imaging models solve it: ‖A x − y‖² + λ‖x‖² by conjugate gradients, and with other regularisers.

use super::noise::Generator;
use super::regularise::{Kind, Regularisation, Stated, Weight};
use crate::allocate::expect_room;
use crate::convex::{ConvexOptions, Method, Problem, Solved};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::{Device, MemoryUse};
use crate::solve::{Reading, Solution, SolveOptions, Stop, cg};
use crate::tensor::{DType, Tensor};
use ndarray::{Array, ArrayD, ArrayViewD, Dimension, Ix2};
use num_complex::Complex32;

/// Options as reconstructions start with: λ = 0.01 on the scale of Σ|S|² (1 for normalised maps), 100 iterations at most, and a
/// tolerance of 1e-6.
pub fn recon_options<'a>() -> SolveOptions<'a> {
    SolveOptions::default().lambda(0.01).iterations(100).tol(1e-6)
}

/// A reconstructed image, and how the solver came to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reconstruction<D: Dimension = Ix2> {
    /// The image: (y, x), or as many axes as the model has.
    pub image: Array<Complex32, D>,
    /// Iterations done.
    pub iterations: usize,
    /// ‖b − N x‖/‖b‖ of the normal equations N x = b, computed from the image.
    pub residual: f64,
    /// ‖A x − y‖/‖y‖: how far the image is from the data; weighted, where the model has weights.
    pub misfit: f64,
    /// What was read on the way.
    pub history: Vec<Reading>,
    /// Why the solver stopped.
    pub stop: Stop,
}

impl<D: Dimension> Reconstruction<D> {
    /// The same with the image's axes as another dimension type.
    ///
    /// # Errors
    /// The image has another number of axes.
    pub fn with_rank<E: Dimension>(self) -> Result<Reconstruction<E>> {
        let Reconstruction { image, iterations, residual, misfit, history, stop } = self;
        let image = image.into_dimensionality::<E>().map_err(|e| crate::Error::Shape(e.to_string()))?;
        Ok(Reconstruction { image, iterations, residual, misfit, history, stop })
    }
}

/// An image of a regularised objective, and how the solver came to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Regularised<D: Dimension = Ix2> {
    /// The image: (y, x), or as many axes as the model has.
    pub image: Array<Complex32, D>,
    /// The terms with their weights, as they stand in the objective.
    pub terms: Vec<Stated>,
    /// Samples that no coil sees and that are not held at 0, though there is a wavelet term: beside `tgv`, and where ISTA, FISTA or
    /// POGM was asked for. They are what the terms make of them.
    pub free: usize,
    /// How it was solved; its x is empty here.
    pub solved: Solved,
}

impl<D: Dimension> Regularised<D> {
    /// The same with the image's axes as another dimension type.
    ///
    /// # Errors
    /// The image has another number of axes.
    pub fn with_rank<E: Dimension>(self) -> Result<Regularised<E>> {
        let Regularised { image, terms, free, solved } = self;
        let image = image.into_dimensionality::<E>().map_err(|e| crate::Error::Shape(e.to_string()))?;
        Ok(Regularised { image, terms, free, solved })
    }
}

/// Weights of scans that are not given: what keeps structures and takes noise and aliasing of moderate undersampling. That of `l2` is for
/// maps whose squares sum to 1 and weights with a mean of 1, else it is taken times the largest Σ|S|² and that mean.
pub fn recon_weight(kind: Kind) -> Weight {
    match kind {
        Kind::L2 => Weight::Absolute(0.01),
        Kind::L1Wavelet | Kind::Tv | Kind::Tgv => Weight::Relative(0.002),
        Kind::Llr => Weight::Relative(0.01),
    }
}

/// What a regularised solve is of, beside A and y.
pub(super) struct Asked<'a> {
    /// Dims of y.
    pub dims: &'a str,
    /// Dims of the image that differences and wavelets go along, and those of a series.
    pub axes: &'a str,
    pub series: Option<&'a str>,
    /// ‖AᴴA‖ at most, where that is known: else it takes as many applies as many a solve.
    pub norm: Option<f64>,
    /// The largest Σ|S|², times the mean of the weights.
    pub scale: f32,
    pub start: Option<ArrayViewD<'a, Complex32>>,
}

/// Minimises ½‖A x − y‖² + Σ λᵢRᵢ(x) on a device.
pub(super) fn regularised(
    a: &Linop,
    y: ArrayViewD<Complex32>,
    asked: Asked,
    regularisation: &Regularisation,
    options: ConvexOptions,
    device: &Device,
) -> Result<Regularised<ndarray::IxDyn>> {
    expect_memory(a, &a.n(), y.len(), device)?;
    let y = Tensor::from_array(y.to_owned(), asked.dims)?.to(device)?;
    let mut problem = Problem::new(a, &y)?;
    // The coarsest approximation is free, so nothing holds what no coil sees. POGM takes wavelets of a whole image alone.
    let has = |kind| regularisation.terms.iter().any(|t| t.kind == kind);
    let mut free = 0;
    if has(Kind::L1Wavelet)
        && let Some(seen) = seen(a, &y)?
    {
        let unseen = seen.to_real_vec()?.iter().filter(|s| **s == 0.0).count();
        match has(Kind::Tgv) || options.method == Some(Method::Pogm) {
            true => free = unseen,
            false => problem = problem.supported(&seen)?,
        }
    }
    let weight = |kind| match recon_weight(kind) {
        Weight::Absolute(w) => Weight::Absolute(w * f64::from(asked.scale)),
        relative => relative,
    };
    let (with, terms) = regularisation.add(problem, asked.axes, asked.series, &weight)?;
    problem = with;
    if let Some(start) = asked.start {
        let shape = problem.shape()?.clone();
        let start = Tensor::from_array(start.to_owned(), shape.dims().to_vec())?;
        problem = problem.start(&start.to(device)?)?;
    }
    let norm = options.norm.or(asked.norm);
    let mut solved = problem.solve(options.norm(norm))?;
    let image = solved.x.to(&Device::host())?.to_array()?;
    solved.x = Tensor::zeros("", DType::Complex32)?;
    Ok(Regularised { image, terms, free, solved })
}

/// 1 where A sees x and 0 elsewhere; None where it sees all. Of data without order only what is not seen comes back as 0.
fn seen(a: &Linop, y: &Tensor) -> Result<Option<Tensor>> {
    let mut generator = Generator::new(1);
    let values: Vec<Complex32> = (0..y.shape().len())
        .map(|_| {
            let v = generator.complex_normal();
            Complex32::new(v.re as f32, v.im as f32)
        })
        .collect();
    let back = a.h().apply(&Tensor::from_vec(y.shape().clone(), values)?.to(&y.device())?)?;
    let seen = back.to(&Device::host())?.to_array()?.mapv(|v| f32::from(v != Complex32::default()));
    if seen.iter().all(|s| *s == 1.0) {
        return Ok(None);
    }
    Tensor::from_array(seen, back.shape().dims()).map(Some)
}

/// Minimises ‖A x − y‖² + λ‖x‖² by conjugate gradients on a device, from the options' start or 0; `dims` are those of y.
pub(super) fn minimise(
    a: &Linop,
    y: ArrayViewD<Complex32>,
    dims: &str,
    mut options: SolveOptions,
    device: &Device,
) -> Result<Reconstruction<ndarray::IxDyn>> {
    if options.iterations == 0 {
        return value_err!("the number of iterations is 0; expected at least 1");
    }
    expect_memory(a, &a.n(), y.len(), device)?;
    let scaled = Scaled::new(y);
    let b = a.h().apply(&scaled.tensor(dims)?.to(device)?)?;
    if let Some(start) = &options.start {
        options.start = Some(scaled.start(start)?.to(device)?);
    }
    let Solution { x, iterations, residual, history, stop } = cg(&a.n(), &b, options)?;
    let misfit = scaled.misfit(&a.apply(&x)?)?;
    Ok(Reconstruction { image: scaled.restore(&x)?, iterations, residual, misfit, history, stop })
}

/// Aᴴy; `dims` are those of y.
pub(super) fn adjoint(a: &Linop, y: ArrayViewD<Complex32>, dims: &str, device: &Device) -> Result<ArrayD<Complex32>> {
    expect_memory(a, &a.h(), y.len(), device)?;
    let scaled = Scaled::new(y);
    scaled.restore(&a.h().apply(&scaled.tensor(dims)?.to(device)?)?)
}

/// Checks that there is memory for applying `most`, the adjoint or the normal of `a`, to so many samples, and for what is kept
/// meanwhile: the samples four times, and as many images as a solver holds and gives.
fn expect_memory(a: &Linop, most: &Linop, samples: usize, device: &Device) -> Result<()> {
    const IMAGES: u64 = 10;
    let image = a.input()?.len() as u64;
    let mut bytes = (samples as u64).saturating_mul(4 * 8).saturating_add(image.saturating_mul(8 * IMAGES));
    if device.is_host() {
        let of = |linop: &Linop| -> Result<u64> { Ok(MemoryUse::of(&linop.plan(device, DType::Complex32)?)?.apply()) };
        bytes = bytes.saturating_add(of(most)?.max(of(&a.h())?));
    }
    expect_room(bytes, "the reconstruction")
}

/// k-space times the power of two that brings its largest part between ½ and 1. Raw data may be of the size 1e-6 or 1e6,
/// whose squares are near the ends of f32; a power of two changes no digit of the result.
struct Scaled {
    values: ArrayD<Complex32>,
    exponent: i32,
}

impl Scaled {
    fn new(values: ArrayViewD<Complex32>) -> Scaled {
        let largest = values.iter().fold(0.0f32, |a, v| a.max(v.re.abs()).max(v.im.abs()));
        let exponent = if largest > 0.0 && largest.is_finite() { largest.log2().floor() as i32 + 1 } else { 0 };
        Scaled { values: values.mapv(|v| times_power(v, -exponent)), exponent }
    }

    fn tensor(&self, dims: &str) -> Result<Tensor> {
        Tensor::from_array(self.values.clone(), dims)
    }

    /// An image at the scale of the data here, to start from.
    fn start(&self, image: &Tensor) -> Result<Tensor> {
        let values = image.to(&Device::host())?.to_array()?;
        Tensor::from_array(values.mapv(|v| times_power(v, -self.exponent)), image.shape().dims())
    }

    /// ‖z − y‖/‖y‖; 0 where both are 0.
    fn misfit(&self, z: &Tensor) -> Result<f64> {
        let z = z.to(&Device::host())?.to_array()?;
        let square = |v: Complex32| f64::from(v.re).powi(2) + f64::from(v.im).powi(2);
        let distance: f64 = z.iter().zip(&self.values).map(|(z, y)| square(z - y)).sum();
        let size: f64 = self.values.iter().map(|y| square(*y)).sum();
        Ok(if distance == 0.0 { 0.0 } else { (distance / size).sqrt() })
    }

    fn restore(&self, image: &Tensor) -> Result<ArrayD<Complex32>> {
        Ok(image.to(&Device::host())?.to_array()?.mapv(|v| times_power(v, self.exponent)))
    }
}

/// v·2^exponent; in two steps, as 2^±140 is no normal f32.
pub(super) fn times_power(v: Complex32, exponent: i32) -> Complex32 {
    let half = exponent / 2;
    v * 2f32.powi(half) * 2f32.powi(exponent - half)
}
