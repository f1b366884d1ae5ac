//! Non-uniform transforms as functions of their coordinates.

use super::weights::at_home;
use crate::dim::{Dim, Shape, ToDims, join};
use crate::error::{Error, Result, shape_err};
use crate::linop::{self, Linop, NufftOptions};
use crate::tensor::{DType, Tensor};
use ndarray::{Array1, ArrayD};
use num_complex::Complex32;

/// δk ↦ what [`nufft(x.shape(), k, axes, options, out)`](linop::nufft)·x changes by if its coordinates k = `locs` change by δk, in cycles
/// per field of view: the derivative at k, a linop from real values of the samples' dims and `component`, which has the coordinates
/// d of `axes`, to samples.
///
/// ∂y/∂k_d is the transform of −2πi·(n_d − c_d)/N_d·x_n, as each term of y is x_n·exp(−2πi Σ_d k_d (n_d − c_d)/N_d). So it takes one transform for
/// each of `axes`, on the device of x, when it is built; applied, it costs a product for each sample and coordinate. The gradient
/// of a loss is [`vjp`](Linop::vjp)`(g, DType::F32)`.
///
/// ```
/// use linops::{DType, Tensor, derivative, linop::NufftOptions, num_complex::Complex32};
/// let x = Tensor::from_slice("N=4", &[0.0, 0.0, 0.0, 1.0])?;
/// let locs = ndarray::arr2(&[[0.0], [1.0]]).into_dyn();
/// let d = derivative::of_nufft(&x, &locs, "N", NufftOptions::default(), "S", "D")?;
/// assert_eq!(d.input()?.to_string(), "S=2 D=1");
/// // One pixel, at a quarter of the field of view: y = exp(−2πi k/4)/√4.
/// let y = d.apply(&Tensor::from_slice("S=2 D=1", &[1.0, 0.0])?)?.to_vec()?;
/// assert!((y[0] - Complex32::new(0.0, -std::f32::consts::PI / 4.0)).norm() < 1e-4);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`nufft`](linop::nufft); `component` is a dim of the samples or of x; or the device fails.
pub fn of_nufft(
    x: &Tensor,
    locs: &ArrayD<f64>,
    axes: impl ToDims,
    options: NufftOptions,
    out: impl ToDims,
    component: &str,
) -> Result<Linop> {
    let (image, axes, component) = (x.shape(), axes.to_dims()?, component.parse::<Dim>()?);
    let transform = linop::nufft(image, locs, join(&axes), options, out).map_err(|e| e.at("of_nufft"))?;
    let output = transform.output()?;
    if output.axis(component).is_some() {
        return shape_err!(
            "of_nufft: the component {component} is a dim of the samples {output}; give it another name"
        );
    }
    // The dims of the samples come last.
    let samples = locs.ndim().saturating_sub(1);
    let kept = output.rank() - samples;
    let mut parts = Vec::with_capacity(axes.len());
    for d in &axes {
        let ramp = linop::diagonal(image, &ramp(image, *d)?)?;
        let y = transform.compose(&ramp)?.apply(&x.to_dtype(DType::Complex32)?)?;
        parts.push(at_home(&y)?.to_array()?);
    }
    let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
    let joined = ndarray::stack(ndarray::Axis(output.rank()), &views).map_err(|e| Error::Shape(e.to_string()))?;
    let mut dims = output.dims().to_vec();
    dims.push(component);
    let weight = Tensor::from_array(joined, join(&dims))?;
    let (mut names, mut extents) = (output.dims()[kept..].to_vec(), output.extents()[kept..].to_vec());
    names.push(component);
    extents.push(axes.len());
    linop::dense(Shape::new(names, extents)?, &weight, join(output.dims())).map_err(|e| e.at("of_nufft"))
}

/// −2πi·(n − c)/N along a dim.
fn ramp(image: &Shape, dim: Dim) -> Result<Tensor> {
    let n = image.extents()[image.require(dim)?];
    let value = |k: usize| {
        let place = (k as f64 - (n / 2) as f64) / n as f64;
        Complex32::new(0.0, (-2.0 * std::f64::consts::PI * place) as f32)
    };
    Tensor::from_array(Array1::from_shape_fn(n, value), join(&[dim]))
}
