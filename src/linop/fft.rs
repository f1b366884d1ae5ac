//! The discrete Fourier transform.

use super::{Linop, Operator, Saver, advance, axes_of};
use crate::access::ValueId;
use crate::dim::{ToDims, ToShape};
use crate::error::Result;
use crate::ir::Builder;
use crate::setters::setters;

/// How a transform is normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Norm {
    /// 1/√N both ways: unitary.
    #[default]
    Ortho,
    /// 1 forward, 1/N inverse.
    Backward,
    /// 1/N forward, 1 inverse.
    Forward,
    /// 1 both ways.
    None,
}

impl Norm {
    /// As linop files have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Norm::Ortho => "ortho",
            Norm::Backward => "backward",
            Norm::Forward => "forward",
            Norm::None => "none",
        }
    }

    /// As listings show it.
    pub(super) fn described(self) -> &'static str {
        match self {
            Norm::Ortho => "",
            Norm::Backward => ", norm backward",
            Norm::Forward => ", norm forward",
            Norm::None => ", no norm",
        }
    }
}

/// Options of [`fft`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FftOptions {
    /// Origin at index N/2 (rounded down) on both sides, as MRI data have it.
    pub centered: bool,
    /// Normalisation.
    pub norm: Norm,
    /// exp(+2πi kn/N) instead of exp(-2πi kn/N).
    pub inverse: bool,
}

setters! { FftOptions {
    /// With the origin in the middle, or not.
    centered: bool,
    /// With another normalisation.
    norm: Norm,
    /// With the other sign of the exponent, or not.
    inverse: bool,
} }

/// y_k = s·Σ_n x_n exp(-2πi kn/N) along the dims in `axes`, of any length. The output dims get the next unused name, or
/// [keep](Linop::keep) theirs.
///
/// The relative l2 error is below 5e-7, below 2e-6 for lengths with a prime factor above 31 on a GPU (a convolution).
///
/// With `Norm::Ortho` (the default) the adjoint is the inverse and the normal the identity; with others the normal is a scalar.
/// Weights between a transform and its adjoint that do not run along an axis leave it cancelled along that axis.
///
/// About 5·N·log₂N operations for N values, and one pass over memory for each axis whose lines fit a workgroup (on a GPU up to
/// 8192 elements that lie side by side in 32 KiB of workgroup memory; two for longer ones). Padding, cropping and weights beside it go into these passes, and lines of zeros are not transformed;
/// transform, weights and transform back along an axis are one pass. Cooley and Tukey, Math. Comput. 19:297 (1965); primes:
/// Rader, Proc. IEEE 56:1107 (1968); other lengths: Bluestein, IEEE Trans. Audio Electroacoust. 18:451 (1970). [Splits](Linop::split) along all dims but those of
/// `axes`.
///
/// ```
/// use linops::linop::{self, FftOptions};
/// use linops::Tensor;
/// let a = linop::fft("N=4", "N", FftOptions::default().centered(true))?.out("K")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 1.0, 1.0, 1.0]), "N")?)?.to_array()?;
/// // The mean, times √N, at N/2.
/// let want = [0.0, 0.0, 2.0, 0.0];
/// assert!(y.iter().zip(want).all(|(y, want)| (y - want).norm() < 1e-6));
/// assert!(a.n().program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input.
pub fn fft(input: impl ToShape, axes: impl ToDims, options: FftOptions) -> Result<Linop> {
    let input = input.to_shape()?;
    let axes = axes_of(&input, axes)?;
    let output = input.renamed(&advance(&input, &axes))?;
    let n: f64 = axes.iter().map(|&a| input.extents()[a] as f64).product();
    let scale = match (options.norm, options.inverse) {
        (Norm::Ortho, _) => 1.0 / n.sqrt(),
        (Norm::Backward, true) | (Norm::Forward, false) => 1.0 / n,
        _ => 1.0,
    };
    let names = axes.iter().map(|&a| input.dims()[a].to_string()).collect::<Vec<_>>().join(" ");
    let mut details = names;
    if options.inverse {
        details += ", inverse";
    }
    if options.centered {
        details += ", centred";
    }
    details += options.norm.described();
    Ok(Linop::of(input, output, Fft { axes, options, scale, details }))
}

#[derive(Debug)]
struct Fft {
    axes: Vec<usize>,
    options: FftOptions,
    scale: f64,
    details: String,
}

impl Operator for Fft {
    fn op(&self) -> &'static str {
        "fft"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.fft(x, &self.axes, self.options.inverse, self.options.centered, self.scale)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.axes);
        to.unless("centered", self.options.centered, false);
        to.unless("norm", self.options.norm.name(), "ortho");
        to.unless("inverse", self.options.inverse, false);
        to.makes(to.input().renamed(&advance(to.input(), &self.axes))?);
        Ok(())
    }
}
