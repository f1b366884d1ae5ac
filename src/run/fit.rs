//! The search for a tiling that keeps within a budget: plans of tiles are made and looked at, so many and no more.

use super::device::Device;
use super::memory::MemoryUse;
use crate::dim::Dim;
use crate::error::{Error, Result, shape_err};
use crate::ir::ThreadSettings;
use crate::linop::{Linop, Tiles, Tiling};
use crate::plan::Plan;
use crate::tensor::DType;

/// Plans that one search makes, at most; what it has found by then stands.
pub(super) const PLANNINGS: usize = 400;

/// Tiles of one size that are looked at: those at both ends, in the middle, and some between.
const LOOKED_AT: usize = 16;

/// What is searched for, and how far it has come.
pub(super) struct Search<'d> {
    pub device: &'d Device,
    pub dtype: DType,
    pub bytes: u64,
    /// Plans made.
    pub plannings: usize,
    /// Bytes of the smallest tile that was looked at.
    pub least: u64,
    /// The last plan, kept until the next one is made: what both are made of, spectra above all, is made once.
    pub last: Option<Plan>,
}

/// Tiles of one size.
struct Size {
    dim: String,
    entries: usize,
    count: usize,
}

impl Search<'_> {
    /// What applying a linop takes on the device at most; more than any budget where it does not fit the device at all.
    pub fn peak(&mut self, a: &Linop) -> Result<u64> {
        self.plannings += 1;
        let plan = match a.plan(self.device, self.dtype) {
            Ok(plan) => plan,
            Err(e) if matches!(e.root(), Error::TooBig { .. }) => return Ok(u64::MAX),
            Err(e) => return Err(e),
        };
        let peak = match MemoryUse::of(&plan) {
            Ok(memory) => memory.peak(),
            Err(e) if matches!(e.root(), Error::TooBig { .. }) => u64::MAX,
            Err(e) => return Err(e),
        };
        self.last = Some(plan);
        Ok(peak)
    }

    fn exhausted(&self) -> bool {
        self.plannings >= PLANNINGS
    }

    /// The tiling along one dim whose tiles, as one plan, keep within the budget, and what that takes.
    pub fn in_one_plan(&mut self, a: &Linop) -> Result<Option<(Tiling, u64)>> {
        /// Tiles of one plan, at most: each has steps of its own.
        const MOST: usize = 64;
        let mut best: Option<(usize, Tiling, u64)> = None;
        for dim in a.all_dims()? {
            let (dim, extent) = (dim.to_string(), a.extent_of(dim)?);
            for tiles in doubling(extent.min(MOST)) {
                if self.exhausted() || best.as_ref().is_some_and(|(least, ..)| tiles >= *least) {
                    break;
                }
                let tiling = Tiling::tiles(&dim, tiles);
                let Ok(tiled) = a.tiled(&tiling) else { break };
                let peak = self.peak(&one_by_one(&tiled))?;
                if peak <= self.bytes {
                    best = Some((tiles, tiling, peak));
                    break;
                }
            }
        }
        Ok(best.map(|(_, tiling, peak)| (tiling, peak)))
    }

    /// The tiling of at most so many levels whose tiles keep within the budget each, and what they take.
    pub fn staged(&mut self, a: &Linop, levels: usize) -> Result<Option<(Tiling, u64)>> {
        if levels == 0 {
            return Ok(None);
        }
        let mut best: Option<(Size, u64)> = None;
        let mut smallest: Option<(Size, u64)> = None;
        for dim in a.all_dims()? {
            let (dim, extent) = (dim.to_string(), a.extent_of(dim)?);
            for tiles in doubling(extent) {
                if self.exhausted() || best.as_ref().is_some_and(|(b, _)| tiles >= b.count) {
                    break;
                }
                let entries = extent.div_ceil(tiles);
                let size = Size { dim: dim.clone(), entries, count: extent.div_ceil(entries) };
                // The first tile that is too large is enough to know.
                let Ok((peak, _)) = self.largest(a, &size, self.bytes) else { break };
                if peak <= self.bytes {
                    best = Some((size, peak));
                    break;
                }
                if smallest.as_ref().is_none_or(|(_, p)| peak < *p) {
                    smallest = Some((size, peak));
                }
            }
        }
        if let Some((size, peak)) = best {
            return Ok(Some((size.tiling(), peak)));
        }
        let Some((size, _)) = smallest.filter(|_| !self.exhausted()) else { return Ok(None) };
        // What is cut further is the largest tile.
        let (_, tile) = self.largest(a, &size, u64::MAX)?;
        let inner = self.staged(&tile, levels - 1)?;
        Ok(inner.map(|(inner, peak)| (size.tiling().then(inner), peak)))
    }

    /// The largest of the tiles that are looked at, or the first one above so many bytes.
    fn largest(&mut self, a: &Linop, size: &Size, enough: u64) -> Result<(u64, Linop)> {
        let extent = a.extent_of(size.dim.parse::<Dim>()?)?;
        let looked = LOOKED_AT.min(size.count);
        let mut largest: Option<(u64, Linop)> = None;
        for k in 0..looked {
            let start = k * (size.count - 1) / (looked - 1).max(1) * size.entries;
            let tile = Tiles::one(a, &size.dim, start..(start + size.entries).min(extent))?.linop;
            let peak = self.peak(&tile)?;
            if largest.as_ref().is_none_or(|(p, _)| peak > *p) {
                largest = Some((peak, tile));
            }
            if peak > enough {
                break;
            }
        }
        let Some((peak, tile)) = largest else {
            return shape_err!("dim {} has no tiles of {} entries", size.dim, size.entries);
        };
        self.least = self.least.min(peak);
        Ok((peak, tile))
    }
}

impl Linop {
    /// Dims that it has, each once.
    fn all_dims(&self) -> Result<Vec<Dim>> {
        let mut dims = self.output()?.dims().to_vec();
        let more: Vec<Dim> = self.input()?.dims().iter().filter(|d| !dims.contains(d)).copied().collect();
        dims.extend(more);
        // A normal is the sum of its parts' normals.
        if let Some(inside) = self.inside_normal() {
            let more: Vec<Dim> = inside.output()?.dims().iter().filter(|d| !dims.contains(d)).copied().collect();
            dims.extend(more);
        }
        Ok(dims)
    }

    /// The extent of one of [those](Linop::all_dims).
    fn extent_of(&self, dim: Dim) -> Result<usize> {
        let own = self.size(&dim.to_string());
        self.inside_normal().map_or(own.clone(), |inside| own.or_else(|_| inside.size(&dim.to_string())))
    }
}

impl Size {
    fn tiling(&self) -> Tiling {
        Tiling::chunks(&self.dim, self.entries)
    }
}

/// The container's parts one after the other, whatever is inside.
pub(super) fn one_by_one(tiled: &Linop) -> Linop {
    tiled.with_settings(ThreadSettings { threaded: false, num_workers: Some(1) })
}

/// 2, 4, 8 … and at last the extent.
fn doubling(extent: usize) -> impl Iterator<Item = usize> {
    let powers = std::iter::successors(Some(2usize), |n| n.checked_mul(2)).take_while(move |n| *n < extent);
    powers.chain((extent > 1).then_some(extent))
}
