//! Matrices and einsums by name.

use super::{Linop, Operator, SavedArray, Saver, constant};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::contract::Contract;
use crate::tensor::Tensor;

/// y = einsum(w, x) by name: sums over every dim that is not in `out`, which orders the output dims; `...` in it stands for the
/// dims of x that the weight lacks and `out` does not name.
///
/// The adjoint is the einsum with w̄ that sums over the dims that x lacks; the normal is both, one after the other. Each is one
/// pass, with one product (of complex values 8 operations) for every index of all dims; matrix products of at least 4
/// rows, columns and terms go by blocks that stay in cache, or by tiles in workgroup memory. [Splits](Linop::split) along every dim;
/// a part has its own rows or columns of w, and along a dim that is summed over parts of the sum are added.
///
/// ```
/// use linops::{linop, Tensor};
/// let w = Tensor::from_array(ndarray::arr2(&[[1f32, 2.0], [0.0, 1.0], [1.0, 0.0]]), "M N")?;
/// let a = linop::dense("N=2", &w, "M")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 10.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[21f32, 10.0, 1.0]).into_dyn());
/// // Dims that the weight lacks are a batch.
/// assert_eq!(linop::dense("N=2 T=5", &w, "M T")?.output()?.to_string(), "M=3 T=5");
/// assert_eq!(linop::dense("T=5 N=2", &w, "... M")?.output()?.to_string(), "T=5 M=3");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// An extent of the weight is not that of x, or `out` names a dim of neither.
pub fn dense(input: impl ToShape, weight: &Tensor, out: impl ToDims) -> Result<Linop> {
    let (input, w) = (input.to_shape()?, weight.shape());
    let stay: Vec<Dim> = input.dims().iter().filter(|d| w.axis(**d).is_none()).copied().collect();
    let out = out.to_pattern().and_then(|out| out.dims_among(&stay)).map_err(|e| e.at("dense: out"))?;
    for (d, n) in w.iter() {
        if let Some(e) = input.size(d).filter(|e| *e != n) {
            return shape_err!("dense: dim {d} of the weight has extent {n}, expected {e} (input {input})");
        }
    }
    let mut extents = Vec::new();
    for d in &out {
        match input.size(*d).or(w.size(*d)) {
            Some(n) => extents.push(n),
            None => {
                return shape_err!("dense: out names {d}, which is neither in the input {input} nor in the weight {w}");
            }
        }
    }
    let output = Shape::new(out, extents)?;
    let mut labels: Vec<Dim> = Vec::new();
    let mut label = |d: &Dim| match labels.iter().position(|l| l == d) {
        Some(at) => at as u32,
        None => {
            labels.push(*d);
            labels.len() as u32 - 1
        }
    };
    let contract = Contract {
        weight: constant(weight)?,
        conj: false,
        w: w.dims().iter().map(&mut label).collect(),
        x: input.dims().iter().map(&mut label).collect(),
        y: output.dims().iter().map(&mut label).collect(),
    };
    let details = format!("{}, {} -> {}", join(w.dims()), join(input.dims()), join(output.dims()));
    Ok(Linop::of(input, output, Dense { contract, labels, details }))
}

/// Images from coefficients of a temporal basis: y[t, …] = Σ_k φ[t, k]·x[k, …]. The dims of `basis` are the new one and the one
/// that it replaces: `"T K"`; y has T where x has K. In a model of a scan it stands before the transform of each frame.
///
/// Liang, IEEE Int. Symp. Biomed. Imaging 988 (2007); in a shuffled readout: Tamir et al., Magn. Reson. Med. 77:180 (2017). It is
/// [`dense`] with these names, in linop files too.
///
/// The adjoint projects the frames on the basis, the normal is both, one after the other; T·K products for each pixel, forward and adjoint. [Splits](Linop::split) along
/// every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let phi = Tensor::from_array(ndarray::Array2::<f32>::ones((40, 3)), "T K")?;
/// assert_eq!(linop::subspace("K=3 Ny=4 Nx=6", &phi)?.output()?.to_string(), "T=40 Ny=4 Nx=6");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `basis` has other than two dims, the second is not in the input or has another extent, or the first is in the input.
#[doc(alias = "temporal_basis")]
pub fn subspace(input: impl ToShape, basis: &Tensor) -> Result<Linop> {
    let input = input.to_shape()?;
    let &[time, coefficient] = basis.shape().dims() else {
        return shape_err!("subspace: the basis is {}, expected two dims: times and coefficients", basis.shape());
    };
    let at = input.require(coefficient).map_err(|e| e.at("subspace: the basis"))?;
    if input.axis(time).is_some() {
        return shape_err!("subspace: dim {time} of the basis is in the input {input} already; rename it");
    }
    let mut out = input.dims().to_vec();
    out[at] = time;
    dense(input, basis, join(&out)).map_err(|e| e.at("subspace"))
}

#[derive(Debug)]
struct Dense {
    contract: Contract,
    /// The names that the labels of the contraction had.
    labels: Vec<Dim>,
    details: String,
}

impl Operator for Dense {
    fn op(&self) -> &'static str {
        "dense"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.contract(x, self.contract.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let c = &self.contract;
        // Names of x are those it has by now; names of y where they are free; others as they were, where they are free.
        let place = |labels: &[u32], l: u32| labels.iter().position(|k| *k == l);
        let others: Vec<u32> = (0..self.labels.len() as u32).filter(|l| place(&c.x, *l).is_none()).collect();
        let wanted = |l: &u32| place(&c.y, *l).map_or(self.labels[*l as usize], |k| to.output().dims()[k]);
        let free = to.unused(&others.iter().map(wanted).collect::<Vec<_>>());
        let name = |l: &u32| match (place(&c.x, *l), place(&others, *l)) {
            (Some(a), _) => to.input().dims()[a],
            (None, k) => free[k.unwrap_or(0)],
        };
        let names = |labels: &[u32]| labels.iter().map(name).collect::<Vec<Dim>>();
        let (dims, out) = (names(&c.w), names(&c.y));
        let all: Vec<usize> = (0..c.w.len()).collect();
        let weight = SavedArray::of_constant(&c.weight, c.weight.extents(), &all)?;
        to.field("weight", weight);
        to.field("dims", join(&dims));
        to.field("out", join(&out));
        to.names(to.output().renamed(&out)?);
        Ok(())
    }
}
