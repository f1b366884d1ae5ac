//! Linops as functions of their weights.

use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Error, Result, shape_err};
use crate::linop::{self, ConvolveOptions, Linop};
use crate::run::Device;
use crate::tensor::{DType, HostArray, Tensor};

/// w ↦ [`diagonal(x.shape(), w)`](linop::diagonal)·x for weights of this shape: what y changes by if the weight does. Its adjoint gives
/// Σ x̄·g over the dims that the weight lacks.
///
/// ```
/// use linops::{DType, Tensor, derivative};
/// let x = Tensor::from_slice("Y=2 X=2", &[1.0, 2.0, 3.0, 4.0])?;
/// let g = Tensor::from_slice("Y=2 X=2", &[1.0, 1.0, 1.0, -1.0])?;
/// // A weight for each row.
/// assert_eq!(derivative::of_diagonal("Y=2", &x)?.vjp(&g, DType::F32)?.to_real_vec()?, [3.0, -1.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// An extent of the weight is not that of x.
pub fn of_diagonal(weight: impl ToShape, x: &Tensor) -> Result<Linop> {
    let weight = weight.to_shape()?;
    let new = weight.dims().iter().filter(|d| x.shape().axis(**d).is_none());
    let out: Vec<Dim> = new.chain(x.shape().dims()).copied().collect();
    linop::diagonal_to(&weight, &at_home(x)?, join(&out)).map_err(|e| e.at("of_diagonal"))
}

/// w ↦ [`dense(x.shape(), w, out)`](linop::dense)·x for weights of this shape: what y changes by if the weight does. Its adjoint gives
/// Σ x̄·g over the dims that the weight lacks.
///
/// ```
/// use linops::{DType, Tensor, derivative};
/// let x = Tensor::from_slice("N=2", &[1.0, 10.0])?;
/// let g = Tensor::from_slice("M=3", &[1.0, 0.0, -1.0])?;
/// let gradient = derivative::of_dense("M=3 N=2", &x, "M")?.vjp(&g, DType::F32)?;
/// assert_eq!(gradient.to_real_vec()?, [1.0, 10.0, 0.0, 0.0, -1.0, -10.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// An extent of the weight is not that of x, or `out` names a dim of neither.
pub fn of_dense(weight: impl ToShape, x: &Tensor, out: impl ToDims) -> Result<Linop> {
    linop::dense(weight, &at_home(x)?, out).map_err(|e| e.at("of_dense"))
}

/// k ↦ [`convolve(x.shape(), k, axes, options)`](linop::convolve)·x for kernels of this shape, with channels too: what y changes by if
/// the kernel does. Its adjoint correlates g with x. One convolution for each entry of the channels that are summed over.
///
/// ```
/// use linops::{DType, Tensor, derivative, linop::{ConvolveMode, ConvolveOptions}};
/// let x = Tensor::from_slice("N=3", &[1.0, 2.0, 4.0])?;
/// let d = derivative::of_convolve("N=2", &x, "N", ConvolveOptions::default().mode(ConvolveMode::Valid))?;
/// let g = Tensor::from_slice("N1=2", &[1.0, 0.0])?;
/// assert_eq!(d.vjp(&g, DType::F32)?.to_real_vec()?, [2.0, 1.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`convolve`](linop::convolve).
pub fn of_convolve(kernel: impl ToShape, x: &Tensor, axes: impl ToDims, options: ConvolveOptions) -> Result<Linop> {
    let named = axes.to_dims().map_err(|e| e.at("of_convolve"))?;
    let kernel = kernel.to_shape()?;
    let x = at_home(x)?;
    // What it is the derivative of: this checks the shapes, and says what y is.
    let whole = linop::convolve(x.shape(), &Tensor::zeros(&kernel, DType::F32)?, &named, options)
        .map_err(|e| e.at("of_convolve"))?;
    let output = whole.output()?;
    let along: Vec<Dim> = x.shape().dims().iter().filter(|d| named.contains(d)).copied().collect();
    let other = |d: &&Dim| !along.contains(d);
    let beside: Vec<Dim> = kernel.dims().iter().filter(other).copied().collect();
    let (summed, made): (Vec<Dim>, Vec<Dim>) = beside.into_iter().partition(|d| x.shape().axis(*d).is_some());
    let taps = part(&kernel, &along)?;
    let one = by_channels(&taps, &summed, &x, &join(&along), options)?;
    // From (made, summed, taps) to (made, batch, results), of which the results keep the names of the taps.
    let all = one.over(part(&kernel, &made)?)?;
    let order: Vec<Dim> = made.iter().chain(&summed).chain(&along).copied().collect();
    let from = linop::rearrange(&kernel, &format!("{} -> {}", join(kernel.dims()), join(&order)), "")?;
    let batch = x.shape().dims().iter().filter(other).filter(|d| !summed.contains(d));
    let kept: Vec<Dim> = made.iter().chain(batch).copied().collect();
    // Dims of y that are neither are the results, in the order of x.
    let mut results = along.iter();
    let own = output.dims().iter().map(|d| match kept.contains(d) {
        true => Some(*d),
        false => results.next().copied(),
    });
    let Some(own) = own.collect::<Option<Vec<Dim>>>() else {
        return shape_err!(
            "of_convolve: the dims of {output} are not those of x {} and of the kernel {kernel}",
            x.shape()
        );
    };
    let to = linop::rearrange(all.output()?, &format!("{} -> {}", join(all.output()?.dims()), join(&own)), "")?;
    linop::chain(vec![from, all, to])?.out(join(output.dims()))
}

/// The convolution of a kernel (summed, taps) with x, summed over the channels.
fn by_channels(taps: &Shape, summed: &[Dim], x: &Tensor, axes: &str, options: ConvolveOptions) -> Result<Linop> {
    let Some((dim, rest)) = summed.split_first() else {
        return Ok(linop::convolve_kernel(taps, x, axes, options).map_err(|e| e.at("of_convolve"))?.keep());
    };
    let axis = x.shape().require(*dim)?;
    let entry = |k: usize| by_channels(taps, rest, &entry(x, axis, k)?, axes, options);
    let entries = (0..x.shape().extents()[axis]).map(entry).collect::<Result<Vec<_>>>()?;
    linop::stack(entries, Some((&dim.to_string(), 0)), None)
}

/// An entry of an axis, which leaves.
fn entry(x: &Tensor, axis: usize, k: usize) -> Result<Tensor> {
    let mut dims = x.shape().dims().to_vec();
    dims.remove(axis);
    let at = ndarray::Axis(axis);
    match x.host_array() {
        Some(HostArray::F32(a)) => Tensor::from_array(a.index_axis(at, k), join(&dims)),
        Some(HostArray::Complex32(a)) => Tensor::from_array(a.index_axis(at, k), join(&dims)),
        None => Err(Error::Device(format!("the tensor {} is not on the host", x.shape()))),
    }
}

/// These dims of a shape.
fn part(shape: &Shape, dims: &[Dim]) -> Result<Shape> {
    let extents = dims.iter().map(|d| Ok(shape.extents()[shape.require(*d)?])).collect::<Result<_>>()?;
    Shape::new(dims.to_vec(), extents)
}

/// Linops are built from host tensors.
pub(super) fn at_home(x: &Tensor) -> Result<Tensor> {
    x.to(&Device::host())
}
