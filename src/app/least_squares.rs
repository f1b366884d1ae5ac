//! Regularised least squares, ‖A x − y‖² + λ‖x‖², as the imaging models solve it.

use crate::allocate::expect_room;
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::{Device, MemoryUse};
use crate::solve::{CgOptions, CgResult, Progress, Stop, cg};
use crate::tensor::{DType, Tensor};
use ndarray::{Array, ArrayD, ArrayViewD, Dimension, Ix2};
use num_complex::Complex32;
use std::sync::atomic::AtomicBool;

/// How to minimise ‖A x − y‖² + λ‖x‖².
#[derive(Clone, Copy)]
pub struct SenseOptions<'a> {
    /// λ ≥ 0, as in the objective: on the scale of Σ|S|² (1 for normalised maps), whatever the scale of the data.
    pub lambda: f32,
    /// Iterations at most.
    pub iterations: usize,
    /// Stop when the residual of the normal equations is below `tol` times their right-hand side; 0 runs all iterations.
    pub tol: f32,
    /// Called every few iterations.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Set from elsewhere to stop; the image so far is returned.
    pub cancel: Option<&'a AtomicBool>,
}

impl Default for SenseOptions<'_> {
    fn default() -> Self {
        SenseOptions { lambda: 0.01, iterations: 100, tol: 1e-6, progress: None, cancel: None }
    }
}

/// A reconstructed image, and how the solver came to it.
#[derive(Clone, Debug)]
pub struct Reconstruction<D: Dimension = Ix2> {
    /// The image: (y, x), or as many axes as the model has.
    pub image: Array<Complex32, D>,
    /// Iterations done.
    pub iterations: usize,
    /// Readings of the residual.
    pub history: Vec<Progress>,
    /// Why the solver stopped.
    pub stop: Stop,
}

impl<D: Dimension> Reconstruction<D> {
    /// The last reading of the residual; 0 where the data are 0.
    pub fn residual(&self) -> f64 {
        self.history.last().map_or(0.0, |p| p.residual)
    }

    /// The same with the image's axes as another dimension type.
    pub(super) fn with_rank<E: Dimension>(self) -> Result<Reconstruction<E>> {
        let Reconstruction { image, iterations, history, stop } = self;
        let image = image.into_dimensionality::<E>().map_err(|e| crate::Error::Shape(e.to_string()))?;
        Ok(Reconstruction { image, iterations, history, stop })
    }
}

/// Minimises ‖A x − y‖² + λ‖x‖² by conjugate gradients on a device, from x = 0; `dims` are those of y.
pub(super) fn minimise(
    a: &Linop,
    y: ArrayViewD<Complex32>,
    dims: &str,
    options: &SenseOptions,
    device: &Device,
) -> Result<Reconstruction<ndarray::IxDyn>> {
    if options.iterations == 0 {
        return value_err!("the number of iterations is 0; expected at least 1");
    }
    expect_memory(a, &a.n(), y.len(), device)?;
    let scaled = Scaled::new(y);
    let b = a.h().apply(&scaled.tensor(dims)?.to(device)?)?;
    let cg_options = CgOptions {
        lambda: options.lambda,
        iterations: options.iterations,
        tol: options.tol,
        progress: options.progress,
        cancel: options.cancel,
        ..Default::default()
    };
    let CgResult { x, iterations, history, stop } = cg(&a.n(), &b, &cg_options)?;
    Ok(Reconstruction { image: scaled.restore(&x)?, iterations, history, stop })
}

/// Aᴴy; `dims` are those of y.
pub(super) fn adjoint(a: &Linop, y: ArrayViewD<Complex32>, dims: &str, device: &Device) -> Result<ArrayD<Complex32>> {
    expect_memory(a, &a.h(), y.len(), device)?;
    let scaled = Scaled::new(y);
    scaled.restore(&a.h().apply(&scaled.tensor(dims)?.to(device)?)?)
}

/// Checks that there is memory for applying `most`, the adjoint or the normal of `a`, to so many samples, and for what is kept
/// meanwhile: the samples twice, and as many images as a solver holds and gives.
fn expect_memory(a: &Linop, most: &Linop, samples: usize, device: &Device) -> Result<()> {
    const IMAGES: u64 = 10;
    let image = a.input()?.len() as u64;
    let mut bytes = (samples as u64).saturating_mul(2 * 8).saturating_add(image.saturating_mul(8 * IMAGES));
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

    fn restore(&self, image: &Tensor) -> Result<ArrayD<Complex32>> {
        Ok(image.to(&Device::host())?.to_array()?.mapv(|v| times_power(v, self.exponent)))
    }
}

/// v·2^exponent; in two steps, as 2^±140 is no normal f32.
pub(super) fn times_power(v: Complex32, exponent: i32) -> Complex32 {
    let half = exponent / 2;
    v * 2f32.powi(half) * 2f32.powi(exponent - half)
}
