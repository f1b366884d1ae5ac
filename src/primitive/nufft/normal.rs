//! NUFFTᴴ·W·NUFFT as a convolution, where that takes less.

use super::mixing::Mixing;
use super::toeplitz::Inner;
use super::{Nufft, NufftOp};
use crate::access::{Constant, ConstantData, ValueId};
use crate::error::Result;
use crate::ir::{Note, Op, Sweep, multiply};
use num_complex::Complex32;

/// The adjoint of a transform after weights after the transform itself.
pub(super) fn after_the_transform(n: &Nufft, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
    let (mut at, mut weights, mut between) = (x, Vec::new(), Vec::new());
    let (z, inner_extents) = loop {
        let Some((op, below, extents)) = s.producer(at) else { return Ok(None) };
        if let Some(NufftOp { nufft, adjoint: false }) = op.of_type() {
            match nufft == n {
                true => break (below[0], extents),
                false => return Ok(None),
            }
        }
        if let Op::Mul { weight, axes, conj } = &op {
            weights.push((weight.clone(), axes.clone(), *conj));
        } else if op.of_type::<crate::primitive::contract::Contract>().is_none() {
            return Ok(None);
        }
        between.push(op);
        at = below[0];
    };
    let extents = s.b.extents(x).to_vec();
    let batch = extents.len() - n.samples().len();
    between.reverse();
    let mixing = if weights.len() < between.len() {
        match Mixing::of(&between, &inner_extents, &extents, batch) {
            Some(mixing) => Some(mixing),
            None => return Ok(None),
        }
    } else {
        None
    };
    let order = mixing.as_ref().map_or(1, Mixing::order);
    let choice = n.normal_choice(order)?;
    s.notes.push(Note { what: format!("{n:?}"), taken: choice.is_convolution(), reason: choice.reason(n) });
    if !choice.is_convolution() {
        return Ok(None);
    }
    if let Some(mixing) = mixing {
        return n.toeplitz_mixing(&mut s.b, z, &mixing.matrices()?).map(Some);
    }
    // Weights along batch axes alone commute with the transform.
    let (outside, inside): (Vec<_>, Vec<_>) = weights.into_iter().partition(|(_, a, _)| a.iter().all(|a| *a < batch));
    let mut axes: Vec<usize> = inside.iter().flat_map(|w| &w.1).copied().filter(|a| *a < batch).collect();
    axes.sort_unstable();
    axes.dedup();
    let over: Vec<usize> = axes.iter().copied().chain(batch..extents.len()).collect();
    let kept: Vec<usize> = axes.iter().map(|&a| extents[a]).collect();
    let whole: Vec<usize> = over.iter().map(|&a| extents[a]).collect();
    let ones = ConstantData::C32(vec![Complex32::new(1.0, 0.0); whole.iter().product()]);
    let mut product = Constant::new(whole, ones)?;
    for (w, a, conj) in &inside {
        product = multiply(&product, &over, false, w, a, *conj)?;
    }
    let values = (0..product.len()).map(|i| product.get(i)).collect();
    let mut v = z;
    for (weight, axes, conj) in outside.into_iter().rev() {
        v = s.b.mul(v, weight, axes, conj)?;
    }
    n.toeplitz(&mut s.b, v, &Inner { axes, extents: kept, values }).map(Some)
}
