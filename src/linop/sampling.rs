//! Sampling at listed points; the adjoint adds repeated ones up.

use super::{Linop, Operator, SavedArray, Saver};
use crate::access::{ValueId, c_strides};
use crate::dim::{Dim, Shape, ToDims, ToShape, join, nameless};
use crate::error::{Error, Result, shape_err, value_err};
use crate::ir::Builder;
use crate::primitive::gather::IndexList;
use crate::tensor::{HostArray, Tensor};
use ndarray::ArrayD;

/// Samples x where a mask over some of its dims is 1, in C order. The masked dims leave, one new dim comes last; `out` names
/// the output dims; `...` stands for those that stay: `"... S"`.
///
/// The adjoint puts the samples back between zeros; the normal is a multiplication by the mask. One pass, which reads an index
/// of 4 bytes for each sample. [Splits](Linop::split) along the samples, the dims that stay, and the first dim of the mask.
///
/// ```
/// use linops::{Tensor, linop};
/// let mask = Tensor::from_array(ndarray::arr1(&[1f32, 0.0, 1.0]), "N")?;
/// let a = linop::sampling("N=3", &mask, "S")?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, ndarray::arr1(&[1f32, 3.0]).into_dyn());
/// assert_eq!(a.n().apply(&x)?.to_real_array()?, ndarray::arr1(&[1f32, 0.0, 3.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of the mask is not in the input or has another extent; the mask has values other than 0 and 1, or no 1.
pub fn sampling(input: impl ToShape, mask: &Tensor, out: impl ToDims) -> Result<Linop> {
    let input = input.to_shape()?;
    let values = match mask.host_array() {
        Some(HostArray::F32(a)) => a.iter().copied().collect::<Vec<f32>>(),
        Some(HostArray::Complex32(_)) => return value_err!("sampling: the mask is complex; expected 0 and 1"),
        None => return value_err!("sampling: the mask is on {}; move it to the host", mask.device_name()),
    };
    if let Some(v) = values.iter().find(|v| **v != 0.0 && **v != 1.0) {
        return value_err!("sampling: the mask holds {v}; expected only 0 and 1");
    }
    for (d, n) in mask.shape().iter() {
        let a = input.require(d).map_err(|e| e.at("sampling"))?;
        if input.extents()[a] != n {
            return shape_err!("sampling: dim {d} of the mask has extent {n}, expected {}", input.extents()[a]);
        }
    }
    let flat: Vec<u64> = (0..values.len() as u64).filter(|&i| values[i as usize] == 1.0).collect();
    if flat.is_empty() {
        return value_err!("sampling: the mask has no 1; expected at least one sample");
    }
    let count = flat.len();
    build(input, mask.shape().dims(), flat, &[count], out)
}

/// Samples x at index arrays, one for each sampled dim, all of one shape. The sampled dims leave, the arrays' axes come last;
/// `out` names the output dims; `...` stands for those that stay.
///
/// The adjoint adds up what was read of one cell, in the order of the samples; the normal is a multiplication by how often each
/// cell was read. Cost, and dims along which it splits, are those of [`sampling`].
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::sampling_at("N=3", &[("N", ndarray::arr1(&[2i64, 0, 2]).into_dyn())], "S")?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, ndarray::arr1(&[3f32, 1.0, 3.0]).into_dyn());
/// assert_eq!(a.n().apply(&x)?.to_real_array()?, ndarray::arr1(&[1f32, 0.0, 6.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, the arrays differ in shape, or an index lies outside of its extent.
pub fn sampling_at(input: impl ToShape, indices: &[(&str, ArrayD<i64>)], out: impl ToDims) -> Result<Linop> {
    let input = input.to_shape()?;
    let Some((_, first)) = indices.first() else { return shape_err!("sampling: \"indices\" names no dim") };
    let (mut dims, mut flat) = (Vec::new(), vec![0u64; first.len()]);
    for (name, array) in indices {
        let d: Dim = name.parse()?;
        let n = input.extents()[input.require(d).map_err(|e| e.at("sampling"))?];
        if array.shape() != first.shape() {
            return shape_err!(
                "sampling: the indices of {d} have extents {:?}, expected {:?}",
                array.shape(),
                first.shape()
            );
        }
        for (f, &i) in flat.iter_mut().zip(array.iter()) {
            if i < 0 || i as usize >= n {
                return value_err!("sampling: index {i} of dim {d} lies outside of 0..{n}");
            }
            *f = *f * n as u64 + i as u64;
        }
        dims.push(d);
    }
    build(input, &dims, flat, first.shape(), out)
}

fn build(input: Shape, sampled: &[Dim], flat: Vec<u64>, samples: &[usize], out: impl ToDims) -> Result<Linop> {
    for (i, d) in sampled.iter().enumerate() {
        if sampled[..i].contains(d) {
            return shape_err!("sampling: dim {d} stands twice");
        }
    }
    let at = sampled.iter().map(|d| input.require(*d)).collect::<Result<Vec<_>>>()?;
    let kept: Vec<usize> = (0..input.rank()).filter(|a| !at.contains(a)).collect();
    let extent: usize = at.iter().map(|&a| input.extents()[a]).product();
    if extent > u32::MAX as usize || flat.len() > u32::MAX as usize {
        return shape_err!("sampling: {extent} points and {} samples; at most 2^32 - 1 of each", flat.len());
    }
    let named = kept.iter().map(|&a| (Some(input.dims()[a]), input.extents()[a]));
    let axes: Vec<_> = named.chain(nameless(samples)).collect();
    let output = out.to_pattern().and_then(|p| p.name(&axes)).map_err(|e| e.at("sampling: out"))?;
    let operator = Sampling {
        order: kept.iter().chain(&at).copied().collect(),
        kept: kept.iter().map(|&a| input.extents()[a]).collect(),
        index: IndexList::new(flat.into_iter().map(|i| i as u32).collect(), extent)?,
        output: output.extents().to_vec(),
    };
    Ok(Linop::of(input, output, operator))
}

#[derive(Debug)]
struct Sampling {
    order: Vec<usize>,
    kept: Vec<usize>,
    index: IndexList,
    output: Vec<usize>,
}

impl Operator for Sampling {
    fn op(&self) -> &'static str {
        "sampling"
    }

    fn details(&self) -> String {
        format!("{:?}", self.index)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        let mut flat = self.kept.clone();
        flat.push(self.index.extent());
        let x = b.reshape(x, flat)?;
        let x = b.gather(x, self.kept.len(), self.index.clone())?;
        b.reshape(x, self.output.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (axes, samples) = (&self.order[self.kept.len()..], &self.output[self.kept.len()..]);
        let extents: Vec<usize> = axes.iter().map(|&a| to.input().extents()[a]).collect();
        let indices = self.index.indices();
        // In rising order they are those of a mask, which takes a byte for each cell.
        let rising = samples.len() == 1 && indices.is_sorted_by(|a, b| a < b);
        if rising && self.index.extent() <= 8 * axes.len() * indices.len() {
            let mut cells = vec![0u8; self.index.extent()];
            indices.iter().for_each(|&i| cells[i as usize] = 1);
            let mask = ArrayD::from_shape_vec(extents, cells).map_err(|e| Error::Shape(e.to_string()))?;
            to.field("mask", SavedArray::Mask(mask));
            let dims: Vec<Dim> = axes.iter().map(|&a| to.input().dims()[a]).collect();
            to.field("dims", join(&dims));
            return Ok(());
        }
        let strides = c_strides(&extents);
        let along = |k: usize| -> Result<(usize, SavedArray)> {
            let values = indices.iter().map(|&i| i64::from(i) / strides[k] % extents[k] as i64).collect();
            let array = ArrayD::from_shape_vec(samples, values).map_err(|e| Error::Shape(e.to_string()))?;
            Ok((axes[k], SavedArray::Indices(array)))
        };
        to.by_dim("indices", (0..axes.len()).map(along).collect::<Result<Vec<_>>>()?);
        Ok(())
    }
}
