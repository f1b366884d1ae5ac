//! Filters: a Fourier transform, weights on its result, and the transform back, as one operation.
//!
//! A filter is a circular convolution, so neither the sign nor the origin of its two transforms changes the result as long as
//! the weights follow: here they stand in the order of the plain forward DFT, line after line along the first filtered axis,
//! which is the order in which a line of coefficients meets them.

use crate::access::{Constant, ConstantData, Factor, Load};
use crate::allocate::zeroed;
use crate::error::Result;
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;

/// Blocks of up to this many elements are one task each, with everything in cache; larger ones are cut along their axes.
const BLOCK: usize = 1 << 18;
/// So many blocks keep the cores busy; fewer are cut, too, unless they are as small as [`SMALL`].
const BLOCKS: usize = 4;
const SMALL: usize = 1 << 13;
/// Blocks that are under way at the same time, at most: each has scratch of its own.
const IN_FLIGHT: usize = 64;

/// What is multiplied between the transforms.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// Weights of extents (row, column, n): n along the first filtered axis, columns along the axes behind it; one column where
    /// all have the same.
    pub table: Constant,
    /// For each axis before the filtered ones, how many rows of the table one index goes.
    pub steps: Vec<usize>,
    /// Scalar.
    pub scale: Complex64,
}

/// Along which axes, and what is made of the result.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Extents of what is filtered.
    pub extents: Vec<usize>,
    /// Filtered axes, ascending; not empty.
    pub axes: Vec<usize>,
    /// The weights.
    pub spectrum: Spectrum,
    /// First and end of what is made of the result, axis by axis; whole before the first filtered axis.
    pub keep: Vec<(usize, usize)>,
}

impl Filter {
    /// The filter between a transform along `axes`, of this sign and origin, and its inverse. `weights` run over the extents.
    pub fn new(
        extents: &[usize],
        axes: &[usize],
        (inverse, centered): (bool, bool),
        weights: &[Factor],
        scale: Complex64,
    ) -> Result<Filter> {
        // Index of the coefficient that the plain DFT has at m.
        let index = |a: usize, m: usize| -> i64 {
            let n = extents[a];
            if !axes.contains(&a) {
                return m as i64;
            }
            let m = if inverse { (n - m) % n } else { m };
            ((m + if centered { n / 2 } else { 0 }) % n) as i64
        };
        let first = axes[0];
        let along =
            |f: &Factor, a: usize| -> Vec<i64> { (0..extents[a]).map(|m| f.access.axes[a].at(index(a, m))).collect() };
        let mut steps = vec![0; first];
        let mut below = 1;
        for a in (0..first).rev().filter(|&a| varies(weights, a)) {
            steps[a] = below;
            below *= extents[a];
        }
        let [rows, columns, n] = Filter::table(extents, first, weights);
        let behind = if columns > 1 { first + 1..extents.len() } else { 0..0 };
        // Where a weight lies: a part for each of the table's three axes.
        let sums = |f: &Factor, axes: &mut dyn Iterator<Item = usize>| {
            axes.fold(vec![0], |sums: Vec<i64>, a| {
                let own = along(f, a);
                sums.iter().flat_map(|s| own.iter().map(move |o| s + o)).collect()
            })
        };
        let offsets = weights.iter().map(|f| {
            let row = sums(f, &mut (0..first).filter(|&a| steps[a] > 0));
            (row, sums(f, &mut behind.clone()), along(f, first))
        });
        let offsets: Vec<(Vec<i64>, Vec<i64>, Vec<i64>)> = offsets.collect();
        let weights = weights.to_vec();
        let complex = weights.iter().any(|f| f.weight.is_complex());
        let table = Constant::deferred(vec![rows, columns, n], complex, move || {
            weights.iter().try_for_each(|f| f.weight.ready())?;
            let value = |i: usize| {
                let (row, column, m) = (i / n / columns, i / n % columns, i % n);
                weights.iter().zip(&offsets).fold(Complex32::new(1.0, 0.0), |v, (f, o)| {
                    let w = f.weight.get((f.access.base + o.0[row] + o.1[column] + o.2[m]) as usize);
                    v * if f.conj { w.conj() } else { w }
                })
            };
            let count = rows * columns * n;
            Ok(match complex {
                true => {
                    let mut all: Vec<Complex32> = zeroed(count)?;
                    all.par_iter_mut().enumerate().for_each(|(i, v)| *v = value(i));
                    ConstantData::C32(all)
                }
                false => {
                    let mut all: Vec<f32> = zeroed(count)?;
                    all.par_iter_mut().enumerate().for_each(|(i, v)| *v = value(i).re);
                    ConstantData::F32(all)
                }
            })
        });
        Ok(Filter {
            extents: extents.to_vec(),
            axes: axes.to_vec(),
            spectrum: Spectrum { table, steps, scale },
            keep: extents.iter().map(|&n| (0, n)).collect(),
        })
    }

    /// Extents of the table that holds the product of some weights.
    pub fn table(extents: &[usize], first: usize, weights: &[Factor]) -> [usize; 3] {
        let rows = (0..first).filter(|&a| varies(weights, a)).map(|a| extents[a]).product();
        let differ = (first + 1..extents.len()).any(|a| varies(weights, a));
        [rows, if differ { extents[first + 1..].iter().product() } else { 1 }, extents[first]]
    }

    /// The first filtered axis: what lies from there on is a block, filtered independently of the others.
    pub fn first(&self) -> usize {
        self.axes[0]
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.extents[..self.first()].iter().product()
    }

    /// Elements of a row, one index of the first filtered axis.
    pub fn row(&self) -> usize {
        self.extents[self.first() + 1..].iter().product()
    }

    /// Extents of the result.
    pub fn kept(&self) -> Vec<usize> {
        self.keep.iter().map(|k| k.1 - k.0).collect()
    }

    /// Indices of the first filtered axis that are not zero.
    pub fn live(&self, load: &Load) -> Vec<usize> {
        let a = self.first();
        (0..self.extents[a]).filter(|&i| load.valid[a].holds(i as i64)).collect()
    }

    /// Rows of a block that exist at the same time: those that are not zero, later those that are kept.
    pub fn rows(&self, load: &Load) -> usize {
        let (from, to) = self.keep[self.first()];
        load.valid[self.first()].count(self.extents[self.first()]).max(to - from)
    }

    /// Whether a block is one task.
    pub fn in_blocks(&self, load: &Load) -> bool {
        let block = self.rows(load) * self.row();
        block <= BLOCK && (self.blocks() >= BLOCKS || block <= SMALL)
    }

    /// Extents of the scratch that is needed beside the result; None where the result is large enough.
    pub fn scratch(&self, load: &Load) -> Option<Vec<usize>> {
        let (first, rows) = (self.first(), self.rows(load));
        let whole_rows = (first + 1..self.extents.len()).all(|a| self.keep[a] == (0, self.extents[a]));
        if whole_rows && self.keep[first].1 - self.keep[first].0 == rows {
            return None;
        }
        let in_flight = if self.in_blocks(load) { self.blocks().min(IN_FLIGHT) } else { self.blocks() };
        Some(vec![in_flight, rows, self.row()])
    }

    /// Nominal operations: of a line of zeros none, of a line that is not kept none.
    pub fn flops(&self, load: &Load) -> u64 {
        let first = self.first();
        let lines = |some: &dyn Fn(usize) -> usize| -> f64 {
            let of = |&a: &usize| {
                let n = self.extents[a] as f64;
                let count = |b: usize| if b < a && b >= first { some(b) } else { self.extents[b] };
                let others = (0..self.extents.len()).filter(|b| *b != a).map(|b| count(b) as f64);
                5.0 * n * n.log2() * others.product::<f64>()
            };
            self.axes.iter().map(of).sum()
        };
        let there = lines(&|a| load.valid[a].count(self.extents[a]));
        let back = lines(&|a| self.keep[a].1 - self.keep[a].0);
        let between = 6.0 * self.extents.iter().map(|&n| n as f64).product::<f64>();
        (there + back + between) as u64
    }
}

/// Whether weights change along an axis.
fn varies(weights: &[Factor], axis: usize) -> bool {
    weights.iter().any(|f| f.access.stride(axis) != Some(0))
}
