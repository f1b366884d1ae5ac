//! The normal of a non-uniform transform as a convolution: AᴴWA is a Toeplitz matrix, the crop of a circulant one of twice the
//! size, whatever the points (Fessler et al., IEEE Trans. Signal Process. 53:3393, 2005).
//!
//! What is held of it is half of what a complex kernel takes. For real weights p[−n] = p[n]*, so the eigenvalues are real, and
//! for a general trajectory they have no further symmetry. Where W mixes batch entries there is a Hermitian matrix for each
//! frequency, held [by its diagonals](super::hermitian).

use super::eigenvalues::Circulant;
use super::{Nufft, hermitian};
use crate::access::{AxisMap, Constant, ConstantData, ValueId};
use crate::error::Result;
use crate::ir::Builder;
use crate::primitive::contract::Contract;
use num_complex::Complex32;

/// W as the transform sees it: constant along batch axes, or not, and a value for each sample.
pub(super) struct Inner {
    /// Batch axes along which it changes, ascending.
    pub axes: Vec<usize>,
    /// Their extents.
    pub extents: Vec<usize>,
    /// Values in C order, these axes before the samples.
    pub values: Vec<Complex32>,
}

impl Nufft {
    /// The same where W mixes batch entries: a matrix for each frequency.
    pub(super) fn toeplitz_mixing(&self, b: &mut Builder, x: ValueId, m: &Inner) -> Result<ValueId> {
        if m.axes.is_empty() {
            return self.toeplitz(b, x, m);
        }
        let (image, doubled) = (&self.0.image, self.doubled());
        let rank = b.extents(x).len();
        let batch = rank - image.len();
        let mixed = &m.axes;
        let halves = m.is_hermitian();
        // One axis that is mixed: several as one, in front of the image's.
        let apart: Vec<usize> = (0..batch).filter(|a| !mixed.contains(a)).collect();
        let order: Vec<usize> = apart.iter().chain(mixed).copied().chain(batch..rank).collect();
        let joined = halves && mixed.len() > 1;
        let mut v = x;
        if joined {
            v = b.permute(v, &order)?;
            let extents = b.extents(v);
            let one = std::iter::once(m.order());
            let extents = extents[..apart.len()].iter().copied().chain(one).chain(image.iter().copied()).collect();
            v = b.reshape(v, extents)?;
        }
        let last = b.extents(v).len() - image.len();
        let axes: Vec<usize> = (last..last + image.len()).collect();
        v = self.resized(b, v, image, &doubled)?;
        v = b.fft(v, &axes, false, false, 1.0)?;
        v = if halves {
            let axis = if joined { apart.len() } else { mixed[0] };
            hermitian::apply(b, v, &self.diagonals(m, &doubled)?, axis, last)?
        } else {
            // Mixed axes of the result have labels of their own.
            let own = |a: usize| if mixed.contains(&a) { rank + a } else { a } as u32;
            let w = mixed.iter().map(|&a| own(a)).chain(mixed.iter().chain(&axes).map(|&a| a as u32));
            let labels = Contract {
                weight: self.spectrum(m, &doubled)?,
                conj: false,
                w: w.collect(),
                x: (0..rank as u32).collect(),
                y: (0..rank).map(own).collect(),
            };
            b.contract(v, labels)?
        };
        v = b.fft(v, &axes, true, false, 1.0)?;
        v = self.resized(b, v, &doubled, image)?;
        if joined {
            let extents = order.iter().map(|&a| b.extents(x)[a]).collect();
            v = b.reshape(v, extents)?;
            let back: Vec<usize> = (0..rank).filter_map(|a| order.iter().position(|&o| o == a)).collect();
            v = b.permute(v, &back)?;
        }
        Ok(v)
    }

    /// The image's axes padded or cropped at their ends.
    fn resized(&self, b: &mut Builder, x: ValueId, from: &[usize], to: &[usize]) -> Result<ValueId> {
        let batch = b.extents(x).len() - from.len();
        (0..from.len()).try_fold(x, |v, a| b.map_axis(v, batch + a, AxisMap::affine(1, 0, 1, from[a], to[a]), to[a]))
    }

    /// Appends AᴴWA, applied to x whose last axes are the image's.
    pub(super) fn toeplitz(&self, b: &mut Builder, x: ValueId, w: &Inner) -> Result<ValueId> {
        let (image, doubled) = (&self.0.image, self.doubled());
        let batch = b.extents(x).len() - image.len();
        let spectrum = self.spectrum(w, &doubled)?;
        let axes: Vec<usize> = (batch..batch + image.len()).collect();
        let v = self.resized(b, x, image, &doubled)?;
        let v = b.fft(v, &axes, false, false, 1.0)?;
        let v = b.mul(v, spectrum, w.axes.iter().chain(&axes).copied().collect(), false)?;
        let v = b.fft(v, &axes, true, false, 1.0)?;
        self.resized(b, v, &doubled, image)
    }

    /// The eigenvalues of the circulant, over its size: real where W is real, so that the normal is exactly self-adjoint.
    fn spectrum(&self, w: &Inner, doubled: &[usize]) -> Result<Constant> {
        let real = w.values.iter().all(|w| w.im == 0.0);
        let (extents, nufft) = (w.extents.iter().chain(doubled).copied().collect(), self.clone());
        let (weights, doubled) = (w.values.clone(), doubled.to_vec());
        Ok(Constant::deferred(extents, !real, move || {
            let mut all = Eigenvalues::new(real);
            let circulant = Circulant::new(&nufft, &doubled)?;
            for w in weights.chunks_exact(nufft.count()) {
                all.append(circulant.eigenvalues(w, real)?);
            }
            Ok(all.0)
        }))
    }

    /// The same for a Hermitian W, diagonal by diagonal: what is below the main one are conjugates.
    fn diagonals(&self, w: &Inner, doubled: &[usize]) -> Result<Vec<Constant>> {
        let real = w.values.iter().all(|w| w.im == 0.0);
        let diagonal = |d: usize| {
            let rows = w.diagonal(d);
            let extents = std::iter::once(rows.len()).chain(doubled.iter().copied()).collect();
            // On the main one W itself is real, but for rounding.
            let real = real || d == 0;
            let (nufft, doubled) = (self.clone(), doubled.to_vec());
            Ok(Constant::deferred(extents, !real, move || {
                let circulant = Circulant::new(&nufft, &doubled)?;
                let mut all = Eigenvalues::new(real);
                for (below, w) in &rows {
                    let mut w = w.clone();
                    if d == 0 {
                        w.iter_mut().for_each(|w| w.im = 0.0);
                    }
                    let mut row = circulant.eigenvalues(&w, real)?;
                    if let (true, ConstantData::C32(row)) = (*below, &mut row) {
                        row.iter_mut().for_each(|v| *v = v.conj());
                    }
                    all.append(row);
                }
                Ok(all.0)
            }))
        };
        (0..=w.order() / 2).map(diagonal).collect()
    }
}

/// Eigenvalues for several weights, one after the other.
struct Eigenvalues(ConstantData);

impl Eigenvalues {
    fn new(real: bool) -> Eigenvalues {
        Eigenvalues(if real { ConstantData::F32(Vec::new()) } else { ConstantData::C32(Vec::new()) })
    }

    fn append(&mut self, more: ConstantData) {
        match (&mut self.0, more) {
            // The first ones stay where they were made.
            (ConstantData::F32(all), ConstantData::F32(more)) if all.is_empty() => *all = more,
            (ConstantData::C32(all), ConstantData::C32(more)) if all.is_empty() => *all = more,
            (ConstantData::F32(all), ConstantData::F32(more)) => all.extend(more),
            (ConstantData::C32(all), ConstantData::C32(more)) => all.extend(more),
            (all, more) => debug_assert!(false, "{} and {} values", len(all), len(&more)),
        }
    }
}

fn len(data: &ConstantData) -> usize {
    match data {
        ConstantData::F32(d) => d.len(),
        ConstantData::C32(d) => d.len(),
        ConstantData::Stacked(parts) => parts.len(),
    }
}
