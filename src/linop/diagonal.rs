//! Pointwise weights: coil sensitivities, masks, density compensation.

use super::{Linop, Operator, SavedArray, Saver, chain, constant, rearrange};
use crate::access::{Constant, ValueId};
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::tensor::Tensor;
use num_complex::Complex64;

/// y = w·x by elements, broadcast by name: dims that the weight lacks repeat it. Dims of the weight that x lacks become new
/// dims of y, placed first.
///
/// The adjoint multiplies by the conjugate and sums over the new dims; the normal multiplies by |w|² and sums likewise, one
/// pass. The weights go into the read of what follows, or the store of what stands before, so that beside another kernel they
/// cost their own bytes and no pass. [Splits](Linop::split) along every dim; a part has its own weights only.
///
/// ```
/// use linops::{linop, Tensor};
/// let maps = Tensor::from_array(ndarray::arr2(&[[1f32, 2.0], [3.0, 4.0]]), "C N")?;
/// let a = linop::diagonal("N=2", &maps)?;
/// assert_eq!(a.output()?.to_string(), "C=2 N=2");
/// // Of a normal the sum of squares over the coils is left.
/// let y = a.n().apply(&Tensor::from_array(ndarray::arr1(&[1f32, 1.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[10f32, 20.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// An extent of the weight is not that of x.
pub fn diagonal(input: impl ToShape, weight: &Tensor) -> Result<Linop> {
    let input = input.to_shape()?;
    let new = weight.shape().dims().iter().filter(|d| input.axis(**d).is_none());
    let order: Vec<Dim> = new.chain(input.dims()).copied().collect();
    build(input, weight, order)
}

/// [`diagonal`] with the output dims in the order of `out`, which names every dim of x and of the weight; `...` in it stands for
/// those of x that it does not name.
///
/// It splits, and costs, as [`diagonal`] does.
///
/// ```
/// use linops::{linop, Tensor};
/// let maps = Tensor::from_array(ndarray::Array3::<f32>::ones((8, 4, 6)), "C Ny Nx")?;
/// assert_eq!(linop::diagonal_to("Ny=4 Nx=6", &maps, "Ny C Nx")?.output()?.to_string(), "Ny=4 C=8 Nx=6");
/// assert_eq!(linop::diagonal_to("Ny=4 Nx=6", &maps, "... C")?.output()?.to_string(), "Ny=4 Nx=6 C=8");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `diagonal`; `out` lacks a dim of x or of the weight, or names another.
pub fn diagonal_to(input: impl ToShape, weight: &Tensor, out: impl ToDims) -> Result<Linop> {
    let input = input.to_shape()?;
    let out = out.to_pattern().and_then(|out| out.dims_among(input.dims())).map_err(|e| e.at("diagonal: out"))?;
    build(input, weight, out)
}

fn build(input: Shape, weight: &Tensor, order: Vec<Dim>) -> Result<Linop> {
    let w = weight.shape();
    for (d, n) in w.iter() {
        if let Some(e) = input.size(d).filter(|e| *e != n) {
            return shape_err!("diagonal: dim {d} of the weight has extent {n}, expected {e} (input {input})");
        }
    }
    let known = |d: &Dim| input.axis(*d).is_some() || w.axis(*d).is_some();
    if let Some(d) = order.iter().find(|d| !known(d)) {
        return shape_err!("diagonal: out names {d}, which is neither in the input {input} nor in the weight {w}");
    }
    if let Some(d) = input.dims().iter().chain(w.dims()).find(|d| !order.contains(d)) {
        return shape_err!("diagonal: out \"{}\" lacks dim {d}; it must name all of x and of the weight", join(&order));
    }
    let extent = |d: &Dim| input.size(*d).or(w.size(*d)).unwrap_or(1);
    let output = Shape::new(order.clone(), order.iter().map(extent).collect())?;
    let (reduced, kept) = constant(weight)?.without_constant_axes();
    let operator = Diagonal {
        weight: reduced,
        dims: join(w.dims()),
        whole: w.dims().iter().map(|d| output.require(*d)).collect::<Result<_>>()?,
        kept: kept.clone(),
        new: (0..order.len()).filter(|&k| input.axis(order[k]).is_none()).map(|k| (k, extent(&order[k]))).collect(),
        order: order.iter().filter_map(|d| input.axis(*d)).collect(),
        axes: kept.iter().map(|&a| output.require(w.dims()[a])).collect::<Result<_>>()?,
    };
    Ok(Linop::of(input, output, operator))
}

#[derive(Debug)]
struct Diagonal {
    weight: Constant,
    dims: String,
    /// The output axis of each axis that the weight came with, and which of these it still has.
    whole: Vec<usize>,
    kept: Vec<usize>,
    /// Position and extent of the dims that x lacks.
    new: Vec<(usize, usize)>,
    /// The axes of x in the order of the output.
    order: Vec<usize>,
    /// The output axis of each axis of the weight; it has none where it does not change.
    axes: Vec<usize>,
}

impl Operator for Diagonal {
    fn op(&self) -> &'static str {
        "diagonal"
    }

    fn details(&self) -> String {
        self.dims.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        let x = b.repeat(x, &self.new)?;
        // A real weight of one value is a scalar; a complex one makes y complex, whatever the value.
        match self.axes.is_empty() && !self.weight.is_complex() {
            true => b.scale(x, Complex64::new(self.weight.get(0).re.into(), 0.0)),
            false => b.mul(x, self.weight.clone(), self.axes.clone(), false),
        }
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (input, output) = (to.input(), to.output());
        let dims = to.with_new(&self.order, &self.new.iter().map(|(k, _)| *k).collect::<Vec<_>>());
        let (names, extents): (Vec<Dim>, Vec<usize>) =
            self.whole.iter().map(|&k| (dims[k], output.extents()[k])).unzip();
        let weight = SavedArray::of_constant(&self.weight, &extents, &self.kept)?;
        if self.new.is_empty() && dims != input.dims() {
            // A file's diagonal of no new dims keeps the order.
            let plain = diagonal(input, &weight.tensor(Shape::new(names, extents)?)?)?;
            let turn = rearrange(input, &format!("{} -> {}", join(input.dims()), join(&dims)), Shape::scalar())?;
            to.instead(chain(vec![plain, turn])?);
            return Ok(());
        }
        to.field("weight", weight);
        to.field("dims", join(&names));
        match self.new.is_empty() {
            true => to.makes(input.clone()),
            false => {
                to.field("out", join(&dims));
                to.names(output.renamed(&dims)?);
            }
        }
        Ok(())
    }
}
