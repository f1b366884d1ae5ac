//! Convolutions, linear in the data or in the kernel.

use super::{Boundary, Linop, Operator, SavedArray, Saver, advance, axes_of, constant};
use crate::access::{Constant, ValueId};
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::convolve::{ConvAxis, Convolve};
use crate::setters::setters;
use crate::tensor::Tensor;

/// Which part of a convolution is kept. N is the extent of the data along an axis, K that of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConvolveMode {
    /// N results, the kernel's origin at its index K/2 (rounded down).
    #[default]
    Same,
    /// All N + K − 1 results that are not 0 everywhere.
    Full,
    /// The N − K + 1 results that need nothing from outside.
    Valid,
}

/// Options of [`convolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConvolveOptions {
    /// Which part of the result is kept.
    pub mode: ConvolveMode,
    /// What lies outside of the data: zeros, or the data again. The latter goes with the mode [`Same`](ConvolveMode::Same).
    pub boundary: Boundary,
    /// Of so many results one is kept, along every axis.
    pub stride: usize,
}

impl Default for ConvolveOptions {
    fn default() -> Self {
        ConvolveOptions { mode: ConvolveMode::Same, boundary: Boundary::Zero, stride: 1 }
    }
}

setters! { ConvolveOptions {
    /// With another part of the result.
    mode: ConvolveMode,
    /// With other values outside of the data.
    boundary: Boundary,
    /// With every so-manieth result.
    stride: usize,
} }

/// The convolution of x with a kernel along one to three axes, y = k ∗ x: `y[p] = Σⱼ k[j]·x[p − j]` (the kernel is flipped).
///
/// The dims of the kernel that `axes` names are its taps. Others make channels, as in a layer of a neural network: those that x
/// has are summed over, those that it lacks are new in y. New ones stand where the first one that is summed over stood, or in
/// front. Dims of `axes` get the next unused name.
///
/// The adjoint correlates with the conjugate kernel. Of a real x and a real kernel y is real. A plan
/// makes it tap by tap, along one axis after the other where the kernel is a product of one for each (to 4·10⁻⁷
/// of all its values together), or by Fourier transforms: what costs least.
///
/// Tap by tap it is one pass, with a product (8 operations of complex values, 2 of real ones) for each result, tap and channel
/// that is summed; the normal is the convolution, then the correlation. [Splits](Linop::split) along every dim; along `axes` a
/// part reads as many entries of its neighbours as the taps reach.
///
/// ```
/// use linops::linop::{self, ConvolveMode, ConvolveOptions};
/// use linops::Tensor;
/// let k = Tensor::from_array(ndarray::arr1(&[1.0f32, -1.0]), "N")?;
/// let a = linop::convolve("N=3", &k, "N", ConvolveOptions::default().mode(ConvolveMode::Full))?.out("M")?;
/// let x = Tensor::from_array(ndarray::arr1(&[1.0f32, 3.0, 4.0]), "N")?;
/// let want = Tensor::from_array(ndarray::arr1(&[1.0f32, 2.0, 1.0, -4.0]), "M")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, want.to_real_array()?);
///
/// // Three coils from two images, by kernels of 5 × 5.
/// let layer = Tensor::zeros("Coil=3 Image=2 Y=5 X=5", linops::DType::Complex32)?;
/// let b = linop::convolve("Image=2 Y=64 X=48", &layer, "Y X", ConvolveOptions::default())?.out("Coil Y X")?;
/// assert_eq!(b.output()?.to_string(), "Coil=3 Y=64 X=48");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input or not in the kernel; there are more than three; an extent of another dim of the kernel is
/// not that of x; the stride is 0; a circular boundary goes with another mode than `Same`; or a kernel is longer than the data
/// where its mode is `Valid`.
pub fn convolve(input: impl ToShape, kernel: &Tensor, axes: impl ToDims, options: ConvolveOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("convolve"))?);
    let input = input.to_shape()?;
    let along = checked(axes_of(&input, axes).map_err(|e| e.at("convolve"))?, "convolve")?;
    let taps = kernel.shape();
    let mut conv = Vec::with_capacity(along.len());
    for &a in &along {
        let (dim, n) = (input.dims()[a], input.extents()[a]);
        let Some(k) = taps.size(dim) else {
            return shape_err!(
                "convolve: the kernel {taps} lacks dim {dim} of \"{axes}\"; name its axes by the dims that it runs along"
            );
        };
        conv.push(options.axis("convolve", dim, n, k, n)?);
    }
    let others = || taps.iter().filter(|(d, _)| !along.iter().any(|&a| input.dims()[a] == *d));
    for (d, n) in others() {
        if let Some(e) = input.size(d).filter(|e| *e != n) {
            return shape_err!("convolve: dim {d} of the kernel has extent {n}, expected {e} (input {input})");
        }
    }
    let summed: Vec<Dim> = others().filter(|(d, _)| input.axis(*d).is_some()).map(|(d, _)| d).collect();
    let made: Vec<(Dim, usize)> = others().filter(|(d, _)| input.axis(*d).is_none()).collect();

    // The kernel as (made, summed, taps).
    let front = made.iter().map(|m| m.0).chain(summed.iter().copied());
    let order: Vec<Dim> = front.chain(along.iter().map(|&a| input.dims()[a])).collect();
    let weight = permuted(kernel, &order)?;
    let product = |dims: &[Dim]| -> usize { dims.iter().filter_map(|d| taps.size(*d)).product() };
    let (out, channels) = (made.iter().map(|m| m.1).product(), product(&summed));

    // x as (batch, summed, axes, behind).
    let last = along.iter().copied().max().unwrap_or(0);
    let special = |a: usize| along.contains(&a) || summed.contains(&input.dims()[a]);
    let rest = |behind: bool| (0..input.rank()).filter(move |&a| !special(a) && (a > last) == behind);
    let summed_axes = summed.iter().filter_map(|d| input.axis(*d));
    let read: Vec<usize> =
        rest(false).chain(summed_axes.clone()).chain(along.iter().copied()).chain(rest(true)).collect();
    let extents = |axes: &mut dyn Iterator<Item = usize>| -> Vec<usize> { axes.map(|a| input.extents()[a]).collect() };
    let (batch, behind) = (extents(&mut rest(false)), extents(&mut rest(true)));

    // y as (batch, made, axes, behind), and in the order of its dims.
    let advanced = advance(&input, &along);
    let results: Vec<usize> = conv.iter().map(|c| c.extent).collect();
    let first = summed_axes.min();
    let mut dims: Vec<(Dim, usize)> = Vec::new();
    for (a, (own, advanced)) in input.iter().zip(&advanced).enumerate() {
        if Some(a) == first {
            dims.extend(&made);
        }
        match along.iter().position(|&k| k == a) {
            Some(k) => dims.push((*advanced, results[k])),
            None if !special(a) => dims.push(own),
            None => {}
        }
    }
    if first.is_none() {
        dims.splice(0..0, made.iter().copied());
    }
    let given: Vec<Dim> = rest(false)
        .map(|a| input.dims()[a])
        .chain(made.iter().map(|m| m.0))
        .chain(along.iter().map(|&a| advanced[a]))
        .chain(rest(true).map(|a| input.dims()[a]))
        .collect();
    let write: Vec<usize> = dims.iter().filter_map(|(d, _)| given.iter().position(|g| g == d)).collect();
    let made_extents: Vec<usize> = made.iter().map(|m| m.1).collect();
    let details = options.details(join(&order));
    let (dims, sizes) = dims.into_iter().unzip();
    let output = Shape::new(dims, sizes).map_err(|e| e.at("convolve"))?;

    let mut weight_extents = vec![out, channels];
    weight_extents.extend(along.iter().filter_map(|&a| taps.size(input.dims()[a])));
    let weight = Constant::new(weight_extents, weight.data().clone())?;
    let convolve = Convolve { weight, conj: false, swapped: false, axes: conv };
    let along_extents = along.iter().map(|&a| input.extents()[a]).collect();
    let layout = Layout { read, batch, channels, along: along_extents, behind, made: made_extents, results, write };
    Ok(Linop::of(input, output, Convolution { op: "convolve", convolve, layout, options, details }))
}

/// The same product, of constant data with a kernel x: y = x ∗ data along `axes`, linear in the kernel. What [`convolve`] is to
/// the data this is to the kernel, as in blind deconvolution and calibration.
///
/// Dims of the data beside `axes` are new in y, in front. Mode and boundary are those of [`convolve`] with the data as its x;
/// dims of `axes` get the next unused name.
///
/// The adjoint correlates with the conjugate data and is as short as the kernel; the normal is the convolution, then the
/// correlation. Costs are those of `convolve` with the data as
/// its kernel, and so mostly those of Fourier transforms. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop::{self, ConvolveOptions};
/// use linops::{DType, Tensor};
/// let data = Tensor::zeros("Coil=4 Y=64 X=48", DType::Complex32)?;
/// let a = linop::convolve_kernel("Y=5 X=5", &data, "Y X", ConvolveOptions::default())?;
/// assert_eq!(a.output()?.to_string(), "Coil=4 Y1=64 X1=48");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`convolve`], where x and the kernel have changed places; with a circular boundary x is longer than the data, whose
/// period would hold several of its entries at one place.
pub fn convolve_kernel(
    input: impl ToShape,
    data: &Tensor,
    axes: impl ToDims,
    options: ConvolveOptions,
) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("convolve_kernel"))?);
    let input = input.to_shape()?;
    let along = checked(axes_of(&input, axes).map_err(|e| e.at("convolve_kernel"))?, "convolve_kernel")?;
    if let Some(a) = (0..input.rank()).find(|a| !along.contains(a)) {
        return shape_err!(
            "convolve_kernel: dim {} of the kernel {input} is not in \"{axes}\"; the kernel has these dims only",
            input.dims()[a]
        );
    }
    let mut conv = Vec::with_capacity(along.len());
    for &a in &along {
        let (dim, k) = (input.dims()[a], input.extents()[a]);
        let Some(n) = data.shape().size(dim) else {
            return shape_err!("convolve_kernel: the data {} lack dim {dim} of \"{axes}\"", data.shape());
        };
        conv.push(options.axis("convolve_kernel", dim, n, k, k)?);
    }
    let made: Vec<(Dim, usize)> = data.shape().iter().filter(|(d, _)| input.axis(*d).is_none()).collect();
    let order: Vec<Dim> = made.iter().map(|m| m.0).chain(along.iter().map(|&a| input.dims()[a])).collect();
    let weight = permuted(data, &order)?;
    let mut weight_extents = vec![made.iter().map(|m| m.1).product(), 1];
    weight_extents.extend(along.iter().filter_map(|&a| data.shape().size(input.dims()[a])));
    let weight = Constant::new(weight_extents, weight.data().clone())?;
    let advanced = advance(&input, &along);
    let results: Vec<usize> = conv.iter().map(|c| c.extent).collect();
    let (mut dims, mut sizes): (Vec<Dim>, Vec<usize>) = made.iter().copied().unzip();
    let made_extents = sizes.clone();
    for (a, advanced) in advanced.iter().enumerate() {
        dims.push(*advanced);
        sizes.extend(along.iter().position(|&k| k == a).map(|k| results[k]));
    }
    let output = Shape::new(dims, sizes).map_err(|e| e.at("convolve_kernel"))?;
    let in_order = (0..input.rank()).filter_map(|a| along.iter().position(|&k| k == a));
    let write = (0..made.len()).chain(in_order.map(|k| made.len() + k)).collect();
    let layout = Layout {
        read: along.clone(),
        batch: Vec::new(),
        channels: 1,
        along: along.iter().map(|&a| input.extents()[a]).collect(),
        behind: Vec::new(),
        made: made_extents,
        results,
        write,
    };
    let details = options.details(join(&order));
    let convolve = Convolve { weight, conj: false, swapped: false, axes: conv };
    Ok(Linop::of(input, output, Convolution { op: "convolve_kernel", convolve, layout, options, details }))
}

fn checked(axes: Vec<usize>, op: &str) -> Result<Vec<usize>> {
    if axes.len() > crate::primitive::convolve::MOST_AXES {
        return shape_err!("{op}: along {} axes; expected 1 to 3", axes.len());
    }
    Ok(axes)
}

/// A tensor as a constant with its axes in this order.
fn permuted(t: &Tensor, order: &[Dim]) -> Result<Constant> {
    if order == t.shape().dims() {
        return constant(t);
    }
    constant(&t.permuted(join(order))?)
}

impl ConvolveMode {
    fn name(self) -> &'static str {
        match self {
            ConvolveMode::Same => "same",
            ConvolveMode::Full => "full",
            ConvolveMode::Valid => "valid",
        }
    }
}

impl ConvolveOptions {
    /// The axis for data of extent `n` and a kernel of extent `k`, where x (one of the two) has `input`.
    fn axis(&self, op: &str, dim: Dim, n: usize, k: usize, input: usize) -> Result<ConvAxis> {
        if self.stride == 0 {
            return shape_err!("{op}: the stride is 0; expected at least 1");
        }
        let (offset, whole) = match self.mode {
            ConvolveMode::Same => (k / 2, n),
            ConvolveMode::Full => (0, n + k - 1),
            ConvolveMode::Valid if k > n => {
                return shape_err!(
                    "{op}: along {dim} the kernel has extent {k}, the data have {n}; mode \"valid\" expects the kernel to be no longer"
                );
            }
            ConvolveMode::Valid => (k - 1, n - k + 1),
        };
        let period = match (self.boundary, self.mode) {
            (Boundary::Zero, _) => None,
            (Boundary::Circular, ConvolveMode::Same) => Some(n),
            (Boundary::Circular, _) => {
                return shape_err!(
                    "{op}: a circular boundary goes with mode \"same\"; give that, or the boundary zero"
                );
            }
        };
        if period.is_some() && input > n {
            return shape_err!(
                "{op}: along {dim} the kernel has extent {k}, a period of the data {n}; crop the kernel"
            );
        }
        // Where one result is kept the stride is not used.
        let stride = self.stride.min(whole);
        let axis = ConvAxis { stride, up: 1, step: -1, offset: offset as i64, extent: whole.div_ceil(stride), period };
        let taps = if input == n { k } else { n };
        axis.check(input, taps).map_err(|e| e.at(format!("{op}: along {dim}")))?;
        Ok(axis)
    }

    fn details(&self, dims: String) -> String {
        let mode = self.mode.name();
        let circular = if self.boundary == Boundary::Circular { ", circular" } else { "" };
        let stride = if self.stride == 1 { String::new() } else { format!(", stride {}", self.stride) };
        format!("{dims}, {mode}{circular}{stride}")
    }
}

/// How x and y of a linop stand to those of the primitive, (batch, channels, axes, behind).
#[derive(Debug)]
struct Layout {
    /// The axes of x in the primitive's order.
    read: Vec<usize>,
    batch: Vec<usize>,
    channels: usize,
    along: Vec<usize>,
    behind: Vec<usize>,
    made: Vec<usize>,
    results: Vec<usize>,
    /// The axes of y in (batch, made, results, behind).
    write: Vec<usize>,
}

#[derive(Debug)]
struct Convolution {
    op: &'static str,
    convolve: Convolve,
    layout: Layout,
    options: ConvolveOptions,
    details: String,
}

impl Operator for Convolution {
    fn op(&self) -> &'static str {
        self.op
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let l = &self.layout;
        let x = b.permute(x, &l.read)?;
        let joined = |middle: &[usize], axes: &[usize]| -> Vec<usize> {
            let behind = l.behind.iter().product();
            l.batch.iter().chain(middle).chain(axes).copied().chain([behind]).collect()
        };
        let x = b.reshape(x, joined(&[l.channels], &l.along))?;
        let y = b.convolve(x, self.convolve.clone())?;
        let split = l.batch.iter().chain(&l.made).chain(&l.results).chain(&l.behind).copied().collect();
        let y = b.reshape(y, split)?;
        b.permute(y, &l.write)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (l, batch) = (&self.layout, self.layout.batch.len());
        let along = l.read.len() - l.behind.len() - l.along.len();
        // Axes of y that the weight has made, those of x that are summed over, and those of both.
        let made: Option<Vec<usize>> =
            (batch..batch + l.made.len()).map(|v| l.write.iter().position(|w| *w == v)).collect();
        let made: Vec<Dim> = made.unwrap_or_default().into_iter().map(|a| to.output().dims()[a]).collect();
        let behind = &l.read[batch..along + l.along.len()];
        let (input, axes) = (to.input(), &l.read[along..along + l.along.len()]);
        let dims: Vec<Dim> = to.unused(&made).into_iter().chain(behind.iter().map(|&a| input.dims()[a])).collect();
        let taps = &self.convolve.weight.extents()[2..];
        let summed = l.read[batch..along].iter().map(|&a| input.extents()[a]);
        let extents: Vec<usize> = l.made.iter().copied().chain(summed).chain(taps.iter().copied()).collect();
        let weight = Constant::new(extents.clone(), self.convolve.weight.data().clone())?;
        let weight = SavedArray::of_constant(&weight, &extents, &(0..extents.len()).collect::<Vec<_>>())?;
        let tensor = weight.tensor(Shape::new(dims.clone(), extents)?)?;
        let names = join(&axes.iter().map(|&a| input.dims()[a]).collect::<Vec<_>>());
        let made = match self.op {
            "convolve" => convolve(input, &tensor, &names, self.options)?,
            _ => convolve_kernel(input, &tensor, &names, self.options)?,
        };
        to.field(if self.op == "convolve" { "kernel" } else { "data" }, weight);
        to.field("dims", join(&dims));
        to.dims("axes", axes);
        to.unless("mode", self.options.mode.name(), "same");
        to.unless("boundary", if self.options.boundary == Boundary::Zero { "zero" } else { "circular" }, "zero");
        to.unless("stride", self.options.stride, 1);
        to.makes(made.output()?.clone());
        Ok(())
    }
}
