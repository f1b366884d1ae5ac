//! Nuclear norms: of all of a series, and of its blocks.
//!
//! On a GPU a workgroup has a block in its memory (`low_rank`). A block that does not fit there (some 1800 numbers on every GPU, up to 4096
//! on most; its shorter side at most 64), or a series that does not fit a binding, goes to the host and back.

use super::{Functional, Proximal, expect_weight};
use crate::dim::{Dim, ToDims, join};
use crate::error::{Result, shape_err, value_err};
use crate::low_rank::{Blocks, norms, shrunk};
use crate::run::Device;
#[cfg(feature = "gpu")]
use crate::run::Kind;
use crate::tensor::{DType, Tensor};
use num_complex::Complex32;
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
pub fn nuclear(weight: f64, rows: impl ToDims) -> Result<Functional> {
    let rows = rows.to_dims().map_err(|e| e.at("nuclear"))?;
    Ok(Functional::own(LowRank {
        weight: expect_weight("nuclear", weight)?,
        rows,
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
/// On a GPU a block stays there, in single precision and to 2·10⁻⁵ of its size, where it has no more than some 1800 entries (4096 where a
/// workgroup has 34 KiB of memory) and 64 rows or 64 columns at most; a series with larger blocks goes to the host and back.
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
pub fn locally_low_rank(
    weight: f64,
    rows: impl ToDims,
    block: &[usize],
    offset: Option<&[usize]>,
) -> Result<Functional> {
    let rows = rows.to_dims().map_err(|e| e.at("locally_low_rank"))?;
    if block.is_empty() || block.contains(&0) {
        return value_err!(
            "locally_low_rank: blocks of {block:?}; expected an extent above 0 for each dim behind \"{}\"",
            join(&rows)
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
    Ok(Functional::own(LowRank { weight, rows, block: block.into(), offset }))
}

struct LowRank {
    weight: f64,
    rows: Vec<Dim>,
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

impl LowRank {
    fn expect_finite(&self, values: &[Complex32]) -> Result<()> {
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => value_err!("{}: the values hold NaN or infinity", self.name()),
        }
    }

    /// How v is cut into blocks.
    fn blocks(&self, v: &Tensor, offset: &[usize]) -> Result<Blocks> {
        let (names, shape) = (&self.rows, v.shape());
        if shape.dims().get(..names.len()).is_none_or(|front| front.iter().any(|d| !names.contains(d))) {
            return shape_err!(
                "{}: \"{}\" must stand in front of all dims of {shape}; rearrange it",
                self.name(),
                join(names)
            );
        }
        let (front, back) = shape.extents().split_at(names.len());
        if !self.block.is_empty() && self.block.len() != back.len() {
            return shape_err!(
                "{}: blocks have {} extents, {shape} has {} dims behind \"{}\"",
                self.name(),
                self.block.len(),
                back.len(),
                join(names)
            );
        }
        let rows = front.iter().product();
        Ok(match self.block.is_empty() {
            true => Blocks::whole(rows, back.iter().product()),
            false => Blocks::new(rows, back, &self.block, offset),
        })
    }
}

impl Proximal for LowRank {
    fn name(&self) -> String {
        match self.block.is_empty() {
            true => format!("{} * nuclear norm", self.weight),
            false => format!("{} * nuclear norms of blocks {:?}", self.weight, self.block),
        }
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        let blocks = self.blocks(v, &self.offset.first(&self.block))?;
        #[cfg(feature = "gpu")]
        if let Kind::Gpu(gpu) = &v.device().0
            && gpu.takes_blocks(&blocks, v)
        {
            return Ok(self.weight * gpu.block_norms(&blocks, v)?.into_iter().map(f64::from).sum::<f64>());
        }
        let values = v.to(&Device::host())?.to_vec()?;
        self.expect_finite(&values)?;
        Ok(self.weight * norms(&blocks, &values).iter().sum::<f64>())
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let blocks = self.blocks(v, &self.offset.next(&self.block))?;
        let less = step * self.weight;
        #[cfg(feature = "gpu")]
        if let Kind::Gpu(gpu) = &v.device().0
            && gpu.takes_blocks(&blocks, v)
        {
            return gpu.shrunk_blocks(&blocks, v, super::number(less));
        }
        let mut values = v.to(&Device::host())?.to_vec()?;
        self.expect_finite(&values)?;
        shrunk(&blocks, &mut values, less);
        let shape = v.shape().clone();
        let made = match v.dtype() {
            DType::Complex32 => Tensor::from_vec(shape, values)?,
            DType::F32 => Tensor::from_vec(shape, values.iter().map(|v| v.re).collect::<Vec<f32>>())?,
        };
        made.to(&v.device())
    }

    /// With other blocks each time it is none that a value could be of.
    fn is_norm(&self) -> bool {
        matches!(self.offset, Offset::At(_))
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
