//! The search for a tiling that keeps within a budget: plans of tiles are made and looked at, so many and no more.

use super::device::Device;
use super::memory::MemoryUse;
use crate::error::{Error, Result, shape_err};
use crate::ir::ThreadSettings;
use crate::linop::{Cut, Linop, Tiles, Tiling};
use crate::plan::Plan;
use crate::tensor::DType;

/// Plans that one search makes, at most; what it has found by then stands.
pub(super) const PLANNINGS: usize = 400;

/// Tiles of one size that are planned whatever they hold: those at both ends, in the middle, and some between.
const LOOKED_AT: usize = 16;

/// Tiles of one size that are made to see what they hold, at most.
const WEIGHED: usize = 4096;

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
        const MOST: usize = 64;
        let mut best: Option<(usize, Tiling, u64)> = None;
        for (dim, extent) in a.cut_dims()? {
            for tiles in doubling(extent.min(MOST)) {
                if self.exhausted() || best.as_ref().is_some_and(|(least, ..)| tiles >= *least) {
                    break;
                }
                let tiling = Tiling::tiles(dim.to_string(), tiles);
                let Ok(tiled) = a.tiled(&tiling) else { continue };
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
        // Of each dim the tiles that take least.
        let mut smallest: Vec<(Size, u64)> = Vec::new();
        for (dim, extent) in a.cut_dims()? {
            let (dim, mut least) = (dim.to_string(), None::<(Size, u64)>);
            for tiles in doubling(extent) {
                if self.exhausted() || best.as_ref().is_some_and(|(b, _)| tiles >= b.count) {
                    break;
                }
                let size = Size { dim: dim.clone(), entries: extent.div_ceil(tiles), count: tiles };
                // Where it cannot be cut so it may be in other places.
                let Ok(cut) = size.tiles(a) else { continue };
                if cut.count() < 2 {
                    continue;
                }
                let size = Size { count: cut.count(), ..size };
                let Ok((peak, _)) = self.largest(&cut, self.bytes) else { continue };
                if peak <= self.bytes {
                    best = Some((size, peak));
                    break;
                }
                if least.as_ref().is_none_or(|(_, p)| peak < *p) {
                    least = Some((size, peak));
                }
            }
            smallest.extend(least);
        }
        if let Some((size, peak)) = best {
            return Ok(Some((size.tiling(), peak)));
        }
        smallest.sort_by_key(|(_, peak)| *peak);
        for (size, _) in smallest {
            if self.exhausted() {
                break;
            }
            // What is cut further is the largest tile.
            let Ok((_, tile)) = size.tiles(a).and_then(|cut| self.largest(&cut, u64::MAX)) else { continue };
            if let Some((inner, peak)) = self.staged(&tile, levels - 1)? {
                return Ok(Some((size.tiling().then(inner), peak)));
            }
        }
        Ok(None)
    }

    /// The largest of the tiles, or the first one above so many bytes. Some of them are planned, and those that by their weights and
    /// values are larger than these.
    fn largest(&mut self, cut: &Tiles, enough: u64) -> Result<(u64, Linop)> {
        let looked = LOOKED_AT.min(cut.count());
        let at: Vec<usize> = (0..looked).map(|k| k * (cut.count() - 1) / (looked - 1).max(1)).collect();
        let mut largest = Largest { peak: 0, tile: None, weight: 0 };
        for &k in &at {
            self.look(cut, k, &mut largest)?;
            if largest.peak > enough {
                break;
            }
        }
        for k in (0..cut.count().min(WEIGHED)).filter(|k| !at.contains(k)) {
            if largest.peak > enough || self.exhausted() {
                break;
            }
            if weight(&cut.tile(k)?.linop)? > largest.weight {
                self.look(cut, k, &mut largest)?;
            }
        }
        let Some(tile) = largest.tile else { return shape_err!("there are no tiles") };
        self.least = self.least.min(largest.peak);
        Ok((largest.peak, tile))
    }

    fn look(&mut self, cut: &Tiles, k: usize, largest: &mut Largest) -> Result<()> {
        let tile = cut.tile(k)?.linop;
        let peak = self.peak(&tile)?;
        largest.weight = largest.weight.max(weight(&tile)?);
        if largest.tile.is_none() || peak > largest.peak {
            (largest.peak, largest.tile) = (peak, Some(tile));
        }
        Ok(())
    }
}

/// The largest tile so far.
struct Largest {
    peak: u64,
    tile: Option<Linop>,
    /// The largest [`weight`] of those looked at.
    weight: u64,
}

/// Bytes of the weights of a linop's program and of all its values: which of two tiles is larger, without plans.
fn weight(a: &Linop) -> Result<u64> {
    Ok(a.program()?.bytes())
}

impl Size {
    fn tiling(&self) -> Tiling {
        Tiling::chunks(&self.dim, self.entries)
    }

    fn tiles(&self, a: &Linop) -> Result<Tiles> {
        Tiles::of(a, &self.dim, &Cut::Chunks(self.entries))
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
