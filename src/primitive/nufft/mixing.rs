//! What stands between a transform and its adjoint, where it mixes batch entries: coil compression, temporal bases.

use super::toeplitz::Inner;
use crate::error::Result;
use crate::ir::Op;
use crate::access::Constant;
use crate::allocate::zeroed;
use crate::primitive::contract::Contract;
use num_complex::Complex32;
use std::collections::BTreeMap;

/// Weights and einsums that leave every sample to itself: a matrix over the batch for each sample.
pub(super) struct Mixing<'a> {
    einsums: Vec<Einsum<'a>>,
    /// The mixed axes, ascending.
    pub axes: Vec<usize>,
    /// Extents of x; those of the result are the same.
    extents: &'a [usize],
    /// Axes before the samples'.
    batch: usize,
}

/// An axis on its way: its number among those of x, or one of its own.
type Name = usize;

impl<'a> Mixing<'a> {
    /// None where an op mixes samples, or moves batch axes that it does not mix.
    pub fn of(ops: &'a [Op], input: &'a [usize], output: &[usize], batch: usize) -> Option<Mixing<'a>> {
        if input != output {
            return None;
        }
        let samples: Vec<Name> = (batch..input.len()).collect();
        let (mut names, mut fresh): (Vec<Name>, Name) = ((0..input.len()).collect(), input.len());
        let mut mixed = vec![false; batch];
        let mut einsums = Vec::new();
        for op in ops {
            let c = Einsum::of(op, names.len())?;
            let of = |label: &u32| c.x.iter().position(|l| l == label).map(|a| names[a]);
            c.w.iter().filter_map(of).for_each(|n| mark(&mut mixed, n));
            c.x.iter().filter(|l| !c.y.contains(l)).filter_map(of).for_each(|n| mark(&mut mixed, n));
            let next = c.y.iter().map(|l| {
                of(l).unwrap_or_else(|| {
                    fresh += 1;
                    fresh
                })
            });
            names = next.collect();
            einsums.push(c);
            if names.len() < samples.len() || names[names.len() - samples.len()..] != *samples {
                return None;
            }
        }
        let stays = |a: usize| mixed[a] || names[a] == a;
        if names.len() != input.len() || !(0..batch).all(stays) {
            return None;
        }
        Some(Mixing { einsums, axes: (0..batch).filter(|&a| mixed[a]).collect(), extents: input, batch })
    }

    /// Order of each sample's matrix.
    pub fn order(&self) -> usize {
        self.axes.iter().map(|&a| self.extents[a]).product()
    }

    /// The matrices: values in C order of (mixed axes of the result, mixed axes of x, samples).
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn matrices(&self) -> Result<Inner> {
        let Mixing { einsums, axes, extents: input, batch } = self;
        let own: Vec<usize> = axes.iter().map(|&a| input[a]).collect();
        let (size, count): (usize, usize) = (self.order(), input[*batch..].iter().product());
        let mut values: Vec<Complex32> = zeroed(size * size * count)?;
        // Unmixed axes don't matter: one entry of each stands for all.
        let mut thin = input.to_vec();
        (0..*batch).filter(|a| !axes.contains(a)).for_each(|a| thin[a] = 1);
        for column in 0..size {
            let mut x = vec![Complex32::default(); size * count];
            x[column * count..(column + 1) * count].fill(Complex32::new(1.0, 0.0));
            let mut extents = thin.clone();
            for einsum in einsums {
                (x, extents) = einsum.apply(&x, &extents);
            }
            for (row, x) in x.chunks_exact(count).enumerate() {
                values[(row * size + column) * count..][..count].copy_from_slice(x);
            }
        }
        let extents = own.iter().chain(&own).copied().collect();
        Ok(Inner { axes: axes.clone(), extents, values })
    }
}

fn mark(mixed: &mut [bool], name: Name) {
    if let Some(m) = mixed.get_mut(name) {
        *m = true;
    }
}

/// A weight or a contraction, as an einsum.
struct Einsum<'a> {
    weight: &'a Constant,
    conj: bool,
    w: Vec<u32>,
    x: Vec<u32>,
    y: Vec<u32>,
}

impl<'a> Einsum<'a> {
    /// None for another op.
    fn of(op: &'a Op, rank: usize) -> Option<Einsum<'a>> {
        if let Op::Mul { weight, axes, conj } = op {
            let all: Vec<u32> = (0..rank as u32).collect();
            let w = axes.iter().map(|&a| a as u32).collect();
            return Some(Einsum { weight, conj: *conj, w, x: all.clone(), y: all });
        }
        let c: &Contract = op.of_type()?;
        Some(Einsum { weight: &c.weight, conj: c.conj, w: c.w.clone(), x: c.x.clone(), y: c.y.clone() })
    }

    /// The result for x of these extents, by plain loops, and its extents.
    fn apply(&self, x: &[Complex32], extents: &[usize]) -> (Vec<Complex32>, Vec<usize>) {
        let Einsum { weight, conj, w, x: from, y: to } = self;
        let mut sizes: BTreeMap<u32, usize> = w.iter().copied().zip(weight.extents().iter().copied()).collect();
        sizes.extend(from.iter().copied().zip(extents.iter().copied()));
        let strides = |labels: &[u32]| -> Vec<usize> {
            (0..labels.len()).map(|k| labels[k + 1..].iter().map(|l| sizes[l]).product()).collect()
        };
        // Labels of the result first, then those that are summed over.
        let mut labels = to.clone();
        labels.extend(sizes.keys().filter(|l| !to.contains(l)));
        let step = |own: &[u32]| -> Vec<usize> {
            let s = strides(own);
            labels.iter().map(|l| own.iter().position(|o| o == l).map_or(0, |k| s[k])).collect()
        };
        let (sw, sx, sy) = (step(w), step(from), step(to));
        let out: Vec<usize> = to.iter().map(|l| sizes[l]).collect();
        let mut y = vec![Complex32::default(); out.iter().product()];
        let mut index = vec![0usize; labels.len()];
        let at = |index: &[usize], s: &[usize]| index.iter().zip(s).map(|(i, s)| i * s).sum::<usize>();
        for _ in 0..labels.iter().map(|l| sizes[l]).product::<usize>() {
            let v = weight.get(at(&index, &sw));
            y[at(&index, &sy)] += x[at(&index, &sx)] * if *conj { v.conj() } else { v };
            for a in (0..index.len()).rev() {
                index[a] += 1;
                if index[a] < sizes[&labels[a]] {
                    break;
                }
                index[a] = 0;
            }
        }
        (y, out)
    }
}
