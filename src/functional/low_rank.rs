//! Nuclear norms: of all of a series, and of its blocks. Singular values are found on the host, in f64; values on a GPU go there
//! and back.

use super::{Functional, Proximal, expect_weight};
use crate::dim::{join, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// λ‖V‖⁎, the sum of the singular values of v as a matrix: its rows are the dims in `rows`, which stand in front, its columns all
/// others. Its prox makes singular values less by λ·step, none below 0.
///
/// Cai, Candès and Shen, SIAM J. Optim. 20:1956 (2010).
///
/// ```
/// use linops::{functional::nuclear, Tensor};
/// let v = Tensor::from_slice("T=2 N=2", &[3.0f32, 0.0, 0.0, 1.0])?;
/// let f = nuclear(1.0, "T")?;
/// assert!((f.value(&v)? - 4.0).abs() < 1e-6);
/// assert_eq!(f.prox(&v, 1.0)?.to_real_vec()?[3], 0.0);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; `rows` are no names. That they stand in front is looked at when it is used.
pub fn nuclear(weight: f64, rows: &str) -> Result<Functional> {
    parse_dims(rows)?;
    Ok(Functional::own(LowRank {
        weight: expect_weight("nuclear", weight)?,
        rows: rows.into(),
        block: Vec::new(),
        offset: Offset::At(Vec::new()),
    }))
}

/// λ Σ‖Vᵦ‖⁎ over blocks β of a series: the dims in `rows` (time, contrast) stand in front, and all others are cut into blocks of the
/// extents `block`, from `offset` on; those at the borders are smaller. Each block is a matrix as for [`nuclear`].
///
/// Blocks of one offset leave their edges in the image; several offsets with a part of λ each do not, or `offset` None: then
/// every prox takes the next one of a fixed pseudo-random sequence (Trzasko and Manduca, ISMRM 2011: 4371; random shifts as in
/// Saucedo et al., Magn. Reson. Med. 78:14, 2017), while the value is that of offset 0.
///
/// ```
/// use linops::{functional::locally_low_rank, Tensor};
/// let v = Tensor::from_slice("T=2 Y=2 X=4", &[1.0f32; 16])?;
/// // Two blocks of rank one.
/// let f = locally_low_rank(1.0, "T", &[2, 2], Some(&[0, 0]))?;
/// assert!((f.value(&v)? - 2.0 * 8f64.sqrt()).abs() < 1e-6);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; `rows` are no names; an extent of the blocks is 0; the offset has another number of entries.
pub fn locally_low_rank(weight: f64, rows: &str, block: &[usize], offset: Option<&[usize]>) -> Result<Functional> {
    parse_dims(rows)?;
    if block.is_empty() || block.contains(&0) {
        return value_err!(
            "locally_low_rank: blocks of {block:?}; expected an extent above 0 for each dim behind \"{rows}\""
        );
    }
    if let Some(offset) = offset.filter(|o| o.len() != block.len()) {
        return value_err!("locally_low_rank: the offset {offset:?} for blocks of {block:?}; give one for each dim");
    }
    let offset = match offset {
        Some(at) => Offset::At(at.to_vec()),
        None => Offset::Random(AtomicU64::new(0)),
    };
    let weight = expect_weight("locally_low_rank", weight)?;
    Ok(Functional::own(LowRank { weight, rows: rows.into(), block: block.into(), offset }))
}

struct LowRank {
    weight: f64,
    rows: String,
    /// Of the dims behind the rows; empty for one block.
    block: Vec<usize>,
    offset: Offset,
}

enum Offset {
    At(Vec<usize>),
    /// How many proxes there were.
    Random(AtomicU64),
}

impl Offset {
    fn next(&self, block: &[usize]) -> Vec<usize> {
        match self {
            Offset::At(at) => at.clone(),
            Offset::Random(count) => {
                let mut state = count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut draw = |n: &usize| {
                    // Steele, Lea and Flood: SplitMix, whose outputs are the hashed steps of a counter.
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    ((z ^ (z >> 27)) % *n as u64) as usize
                };
                block.iter().map(&mut draw).collect()
            }
        }
    }

    fn first(&self, block: &[usize]) -> Vec<usize> {
        match self {
            Offset::At(at) => at.clone(),
            Offset::Random(_) => vec![0; block.len()],
        }
    }
}

/// A matrix on the host, by its rows, and the columns of each block.
struct Cut {
    rows: usize,
    columns: usize,
    blocks: Vec<Vec<usize>>,
    values: Vec<Complex32>,
}

impl LowRank {
    fn cut(&self, v: &Tensor, offset: &[usize]) -> Result<Cut> {
        let names = parse_dims(&self.rows)?;
        let shape = v.shape();
        if shape.dims().get(..names.len()).is_none_or(|front| front.iter().any(|d| !names.contains(d))) {
            return shape_err!(
                "{}: \"{}\" must stand in front of all dims of {shape}; rearrange it",
                self.name(),
                join(&names)
            );
        }
        let (front, back) = shape.extents().split_at(names.len());
        if !self.block.is_empty() && self.block.len() != back.len() {
            return shape_err!(
                "{}: blocks have {} extents, {shape} has {} dims behind \"{}\"",
                self.name(),
                self.block.len(),
                back.len(),
                self.rows
            );
        }
        let (rows, columns): (usize, usize) = (front.iter().product(), back.iter().product());
        let values = v.to(&Device::host())?.to_vec()?;
        let blocks = if self.block.is_empty() { vec![(0..columns).collect()] } else { self.blocks(back, offset) };
        Ok(Cut { rows, columns, blocks, values })
    }

    /// The columns of every block, in order.
    fn blocks(&self, extents: &[usize], offset: &[usize]) -> Vec<Vec<usize>> {
        // Along each dim: where blocks begin.
        let starts = |d: usize| {
            let (n, b) = (extents[d], self.block[d]);
            let first = offset[d] % b;
            let mut at: Vec<usize> = (first..n).step_by(b).collect();
            if first > 0 {
                at.insert(0, 0);
            }
            at
        };
        let mut blocks: Vec<Vec<usize>> = vec![vec![0]];
        for (d, &extent) in extents.iter().enumerate() {
            let at = starts(d);
            let mut finer = Vec::with_capacity(blocks.len() * at.len());
            for block in &blocks {
                for (k, &from) in at.iter().enumerate() {
                    let to = at.get(k + 1).copied().unwrap_or(extent);
                    finer.push(block.iter().flat_map(|i| (from..to).map(move |j| i * extent + j)).collect());
                }
            }
            blocks = finer;
        }
        blocks
    }
}

impl Cut {
    fn matrix(&self, block: &[usize]) -> DMatrix<Complex64> {
        DMatrix::from_fn(self.rows, block.len(), |r, c| {
            let v = self.values[r * self.columns + block[c]];
            Complex64::new(v.re.into(), v.im.into())
        })
    }
}

/// The singular values of m, and U with m's smaller side, so that U Uᴴ m = m: eigenvalues of the smaller Gram matrix.
fn decomposed(m: &DMatrix<Complex64>) -> SymmetricEigen<Complex64, nalgebra::Dyn> {
    let gram = if m.nrows() <= m.ncols() { m * m.adjoint() } else { m.adjoint() * m };
    SymmetricEigen::new(gram)
}

/// m with its singular values made less by t.
fn shrunk(m: &DMatrix<Complex64>, t: f64) -> DMatrix<Complex64> {
    let e = decomposed(m);
    let factor = e.eigenvalues.map(|s| {
        let s = s.max(0.0).sqrt();
        Complex64::from(if s > t { 1.0 - t / s } else { 0.0 })
    });
    let projector = &e.eigenvectors * DMatrix::from_diagonal(&factor) * e.eigenvectors.adjoint();
    if m.nrows() <= m.ncols() { projector * m } else { m * projector }
}

impl Proximal for LowRank {
    fn name(&self) -> String {
        match self.block.is_empty() {
            true => format!("{} * nuclear norm", self.weight),
            false => format!("{} * nuclear norms of blocks {:?}", self.weight, self.block),
        }
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        let cut = self.cut(v, &self.offset.first(&self.block))?;
        let norms: Vec<f64> = cut
            .blocks
            .par_iter()
            .map(|b| decomposed(&cut.matrix(b)).eigenvalues.iter().map(|s| s.max(0.0).sqrt()).sum())
            .collect();
        Ok(self.weight * norms.iter().sum::<f64>())
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let mut cut = self.cut(v, &self.offset.next(&self.block))?;
        if cut.values.iter().any(|v| !v.is_finite()) {
            return value_err!("{}: the values hold NaN or infinity", self.name());
        }
        let t = step * self.weight;
        let results: Vec<DMatrix<Complex64>> = cut.blocks.par_iter().map(|b| shrunk(&cut.matrix(b), t)).collect();
        for (block, result) in cut.blocks.iter().zip(&results) {
            for (c, &column) in block.iter().enumerate() {
                for r in 0..cut.rows {
                    let v = result[(r, c)];
                    #[allow(clippy::cast_possible_truncation)]
                    let narrow = Complex32::new(v.re as f32, v.im as f32);
                    cut.values[r * cut.columns + column] = narrow;
                }
            }
        }
        let shape = v.shape().clone();
        let shrunk = match v.dtype() {
            DType::Complex32 => Tensor::from_vec(shape, cut.values)?,
            DType::F32 => Tensor::from_vec(shape, cut.values.iter().map(|v| v.re).collect::<Vec<f32>>())?,
        };
        shrunk.to(&v.device())
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        let offset = match &self.offset {
            Offset::At(at) => Offset::At(at.clone()),
            Offset::Random(count) => Offset::Random(AtomicU64::new(count.load(Ordering::Relaxed))),
        };
        let (rows, block) = (self.rows.clone(), self.block.clone());
        Some(Functional::own(LowRank { weight: self.weight * s, rows, block, offset }))
    }
}
