//! NUFFTᴴ·W·NUFFT as a convolution.

use super::*;
use crate::program::nufft::{Inner, Mixing};

impl Sweep {
    /// The adjoint of a transform after weights after the transform itself.
    pub(super) fn nufft_normal(&mut self, n: &Nufft, x: ValueId) -> Result<Option<ValueId>> {
        let (mut at, mut weights, mut between) = (x, Vec::new(), Vec::new());
        let (z, inner_extents) = loop {
            match self.producer(at) {
                Some((op @ (Op::Mul { .. } | Op::Contract(_)), below, _)) => {
                    if let Op::Mul { weight, axes, conj } = &op {
                        weights.push((weight.clone(), axes.clone(), *conj));
                    }
                    between.push(op);
                    at = below[0];
                }
                Some((Op::Nufft(m), below, extents)) if m == *n => break (below[0], extents),
                _ => return Ok(None),
            }
        };
        if !n.toeplitz_choice().is_convolution() {
            return Ok(None);
        }
        let extents = self.b.extents(x).to_vec();
        let batch = extents.len() - n.samples().len();
        if weights.len() < between.len() {
            between.reverse();
            let mixed = Mixing::of(&between, &inner_extents, &extents, batch)?;
            return mixed.map(|m| n.toeplitz_mixing(&mut self.b, z, &m)).transpose();
        }
        // Weights along batch axes alone commute with the transform.
        let (outside, inside): (Vec<_>, Vec<_>) =
            weights.into_iter().partition(|(_, a, _)| a.iter().all(|a| *a < batch));
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
            v = self.b.mul(v, weight, axes, conj)?;
        }
        n.toeplitz(&mut self.b, v, &Inner { axes, extents: kept, values }).map(Some)
    }
}
