//! The half of a discrete Fourier transform that real values determine.

use super::{Linop, Norm, Operator, Saver, advance, axes_of};
use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::setters::setters;
use num_complex::Complex64;
use std::f64::consts::SQRT_2;

/// Options of [`rfft`] and [`irfft`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RfftOptions {
    /// Normalisation.
    pub norm: Norm,
    /// Values that stand for two, their own and its conjugate, weigh √2 (in [`irfft`] 1/√2): then norms and angles of real
    /// tensors are those of their spectra.
    pub isometric: bool,
}

setters! { RfftOptions {
    /// With another normalisation.
    norm: Norm,
    /// With values that stand for two weighing √2, or not.
    isometric: bool,
} }

/// y_k = s·Σ_n x_n exp(−2πi kn/N) along the dims in `axes`, of which along the last one only k = 0 … N/2 (rounded down) are kept:
/// what a real x determines. Of the other half it is the conjugate, y_{−k} = ȳ_k. The output dims get the next unused name.
///
/// **What is linear here.** An operator has no dtype, and its adjoint takes no real part. So this is the Fourier transform and a
/// crop, for complex x too, and the adjoint is the exact one of that: zeros in place of the other half, and the transform back. It
/// is complex. For real x what minimises ‖A x − y‖ is found with the real part of it, Re(Aᴴ y): with `isometric` and
/// `Norm::Ortho` Re(Aᴴ A x) = x, and ‖A x‖ = ‖x‖. [`irfft`] is the inverse that completes a spectrum, up to that real part.
///
/// A real x of even length along that dim goes through a complex transform of N/2 (pairs of values as one complex one, taken
/// apart behind it): half of the work and of the memory. Complex values and odd lengths are transformed whole, without storing what
/// is not kept. Errors are those of [`fft`](super::fft()).
///
/// The normal transforms there and back along the last of `axes` alone; along the others the transforms cancel.
/// [Splits](Linop::split) along all dims but those of `axes`. Cooley, Lewis and Welch, J. Sound Vib. 12:315 (1970).
///
/// ```
/// use linops::linop::{self, Norm, RfftOptions};
/// use linops::Tensor;
/// let a = linop::rfft("N=4", "N", RfftOptions::default().norm(Norm::Backward))?;
/// assert_eq!(a.output()?.to_string(), "N1=3");
/// let y = a.apply(&Tensor::from_array(ndarray::array![1.0f32, 2.0, 3.0, 4.0], "N")?)?.to_array()?;
/// assert!((y[0].re - 10.0).abs() < 1e-5 && (y[1].re + 2.0).abs() < 1e-5 && (y[1].im - 2.0).abs() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input.
pub fn rfft(input: impl ToShape, axes: impl ToDims, options: RfftOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("rfft"))?);
    let input = input.to_shape()?;
    let axes = axes_of(&input, axes).map_err(|e| e.at("rfft"))?;
    let half = axes[axes.len() - 1];
    let length = input.extents()[half];
    let mut extents = input.extents().to_vec();
    extents[half] = length / 2 + 1;
    let output = Shape::new(advance(&input, &axes), extents)?;
    let full: f64 = axes.iter().map(|&a| input.extents()[a] as f64).product();
    let scale = match options.norm {
        Norm::Ortho => 1.0 / full.sqrt(),
        Norm::Forward => 1.0 / full,
        Norm::Backward | Norm::None => 1.0,
    };
    let weights = match options.isometric {
        true => Some(weights(length, SQRT_2)?),
        false => None,
    };
    let details = details(&input, &axes, options);
    Ok(Linop::of(input, output, Half { axes, length, weights, scale, inverse: false, options, details }))
}

/// The transform back from half a spectrum, k = 0 … N/2 (rounded down) along the last dim of `axes`, to `length` = N values along
/// that dim: x_n = s·Σ_k m_k y_k exp(+2πi kn/N), where m_k is 1 for k = 0 and for k = N/2 of an even N, and 2 for all that stand
/// for two. The output dims get the next unused name.
///
/// Completing a spectrum by conjugates is linear for real factors alone, so it is no linop: this is the complex-linear map whose
/// real part is what NumPy's `irfft` gives. For the half spectrum of a real x it is x and i times its Hilbert transform (the
/// analytic signal, Gabor 1946): Re(irfft(rfft(x))) = x, where both have the same norm and `isometric`. It is the adjoint of
/// [`rfft`] times m and scalars, at the cost of one complex transform of N; with `isometric` and `Norm::Ortho` it is the adjoint.
///
/// The adjoint is the half of the transform of x times m; the normal is both, one after the other.
/// [Splits](Linop::split) along all dims but those of `axes`.
///
/// ```
/// use linops::linop::{self, RfftOptions};
/// use linops::Tensor;
/// let (a, x) = (linop::rfft("N=5", "N", RfftOptions::default())?, ndarray::array![3.0f32, 1.0, 4.0, 1.0, 5.0]);
/// let back = linop::irfft(a.output()?, "N1", 5, RfftOptions::default())?;
/// let y = (back * a).apply(&Tensor::from_array(x.clone(), "N")?)?.to_array()?;
/// assert!(y.iter().zip(&x).all(|(y, x)| (y.re - x).abs() < 1e-5));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input, or the last of them has another extent than `length`/2 + 1.
pub fn irfft(input: impl ToShape, axes: impl ToDims, length: usize, options: RfftOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("irfft"))?);
    let input = input.to_shape()?;
    let axes = axes_of(&input, axes).map_err(|e| e.at("irfft"))?;
    let half = axes[axes.len() - 1];
    let kept = input.extents()[half];
    if length == 0 || kept != length / 2 + 1 {
        return shape_err!(
            "irfft: dim {} has extent {kept}; expected {}, half a spectrum of {length} values",
            input.dims()[half],
            length / 2 + 1
        );
    }
    let mut extents = input.extents().to_vec();
    extents[half] = length;
    let output = Shape::new(advance(&input, &axes), extents)?;
    let full: f64 = axes.iter().map(|&a| output.extents()[a] as f64).product();
    let scale = match options.norm {
        Norm::Ortho => 1.0 / full.sqrt(),
        Norm::Backward => 1.0 / full,
        Norm::Forward | Norm::None => 1.0,
    };
    // 2 for what stands for two, and 1/√2 of that.
    let weights = weights(length, if options.isometric { SQRT_2 } else { 2.0 })?;
    let details = details(&input, &axes, options);
    Ok(Linop::of(input, output, Half { axes, length, weights: Some(weights), scale, inverse: true, options, details }))
}

/// A weight on what stands for two of N values, 1 on the others.
fn weights(length: usize, double: f64) -> Result<Constant> {
    let alone = |k: usize| k == 0 || 2 * k == length;
    let values = (0..=length / 2).map(|k| if alone(k) { 1.0 } else { double as f32 }).collect();
    Constant::new(vec![length / 2 + 1], ConstantData::F32(values))
}

fn details(input: &Shape, axes: &[usize], options: RfftOptions) -> String {
    let names: Vec<_> = axes.iter().map(|&a| input.dims()[a]).collect();
    let isometric = if options.isometric { ", isometric" } else { "" };
    format!("{}{isometric}{}", join(&names), options.norm.described())
}

#[derive(Debug)]
struct Half {
    /// The last one is halved.
    axes: Vec<usize>,
    length: usize,
    weights: Option<Constant>,
    scale: f64,
    inverse: bool,
    options: RfftOptions,
    details: String,
}

impl Operator for Half {
    fn op(&self) -> &'static str {
        if self.inverse { "irfft" } else { "rfft" }
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let Some((&half, rest)) = self.axes.split_last() else { return Ok(x) };
        let scale = Complex64::new(self.scale, 0.0);
        let weighted = |b: &mut Builder, v: ValueId| match &self.weights {
            Some(w) => b.mul(v, w.clone(), vec![half], false),
            None => Ok(v),
        };
        let v = if self.inverse {
            let v = b.fft(x, rest, true, false, 1.0)?;
            let v = weighted(b, v)?;
            b.half_fft_adjoint(v, half, self.length)?
        } else {
            let v = b.half_fft(x, half)?;
            let v = weighted(b, v)?;
            b.fft(v, rest, false, false, 1.0)?
        };
        b.scale(v, scale)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.axes);
        let mut extents = to.input().extents().to_vec();
        if let Some(half) = self.axes.last() {
            extents[*half] = if self.inverse { self.length } else { self.length / 2 + 1 };
        }
        if self.inverse {
            to.field("length", self.length);
        }
        to.unless("norm", self.options.norm.name(), "ortho");
        to.unless("isometric", self.options.isometric, false);
        to.makes(Shape::new(advance(to.input(), &self.axes), extents)?);
        Ok(())
    }
}
