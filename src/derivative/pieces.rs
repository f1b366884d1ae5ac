//! Pieces of an image that move as one: pixels between which a difference stays 0. Those with a pixel that does not move stay where they
//! are.

use super::as_dtype;
use crate::dim::{Dim, Shape};
use crate::error::Result;
use crate::run::Device;
use crate::tensor::Tensor;
use num_complex::Complex64;

/// Pixels as they are joined.
pub(super) struct Pieces {
    shape: Shape,
    /// Another pixel of the same piece, itself of the one that stands for it.
    parents: Vec<usize>,
    pinned: Vec<bool>,
    real: bool,
    any: bool,
}

impl Pieces {
    /// Every pixel alone.
    pub fn of(shape: Shape) -> Pieces {
        let n = shape.len();
        Pieces { shape, parents: (0..n).collect(), pinned: vec![false; n], real: false, any: false }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// Pixels that are 0 here do not move; with `real` no imaginary part does.
    pub fn pin(&mut self, free: &Tensor, real: bool) -> Result<()> {
        let free = free.to(&Device::host())?.to_real_vec()?;
        self.pinned.iter_mut().zip(free).for_each(|(pinned, free)| *pinned |= free == 0.0);
        self.real |= real;
        self.any = true;
        Ok(())
    }

    /// Joins pixels with those ahead of them along some dims, where this, which is alike for all members in front, is not 0. False, and
    /// nothing done, where it is not of these pixels.
    pub fn join(&mut self, fixed: &Tensor, along: &[Dim]) -> Result<bool> {
        let n = self.shape.len();
        if fixed.shape().len() != n * along.len() {
            return Ok(false);
        }
        let fixed = fixed.to(&Device::host())?.to_real_vec()?;
        let extents = self.shape.extents().to_vec();
        for dim in along {
            let Some(axis) = self.shape.dims().iter().position(|d| d == dim) else { return Ok(false) };
            let step: usize = extents[axis + 1..].iter().product();
            for at in (0..n).filter(|&at| fixed[at] != 0.0 && (at / step) % extents[axis] + 1 < extents[axis]) {
                let (a, b) = (self.root(at), self.root(at + step));
                self.parents[a.max(b)] = a.min(b);
            }
        }
        self.any = true;
        Ok(true)
    }

    /// What may move; None where nothing was said.
    pub fn moving(mut self) -> Option<Moving> {
        if !self.any {
            return None;
        }
        let n = self.parents.len();
        let roots: Vec<usize> = (0..n).map(|at| self.root(at)).collect();
        let mut sizes = vec![0usize; n];
        roots.iter().for_each(|root| sizes[*root] += 1);
        for (at, root) in roots.iter().enumerate() {
            if self.pinned[at] {
                sizes[*root] = 0;
            }
        }
        Some(Moving { roots, sizes, real: self.real })
    }
}

/// Pieces, and how many pixels each has; 0 of those that stay.
pub(super) struct Moving {
    roots: Vec<usize>,
    sizes: Vec<usize>,
    real: bool,
}

impl Moving {
    /// The mean of each piece, for all its pixels; 0 where it stays.
    pub fn projected(&self, d: &Tensor) -> Result<Tensor> {
        let values = d.to(&Device::host())?.to_vec()?;
        let mut means = vec![Complex64::default(); self.sizes.len()];
        for (root, v) in self.roots.iter().zip(&values) {
            means[*root] += Complex64::new(v.re.into(), if self.real { 0.0 } else { v.im.into() });
        }
        let mean = |root: &usize| match self.sizes[*root] {
            0 => num_complex::Complex32::default(),
            n => {
                let mean = means[*root] / n as f64;
                num_complex::Complex32::new(mean.re as f32, mean.im as f32)
            }
        };
        let all = Tensor::from_vec(d.shape(), self.roots.iter().map(mean).collect())?;
        as_dtype(all, d.dtype())?.to(&d.device())
    }
}
