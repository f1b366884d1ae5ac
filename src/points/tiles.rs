//! Grids cut into tiles, and which points each tile reads or is touched by.

use super::Points;
use std::ops::Range;

/// A grid in tiles, in C order; those at the ends of axes may be smaller.
#[derive(Debug)]
pub struct Tiles {
    extents: Vec<usize>,
    counts: Vec<usize>,
    starts: Vec<usize>,
    entries: Vec<Entry>,
    /// Points whose footprint starts in the tile: a run in walking order.
    own: Vec<(u32, u32)>,
}

/// A footprint that touches a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The point, in walking order.
    pub point: u32,
    /// Its first cell, counted from the tile's; may be negative. Unused axes are 0.
    pub first: [i16; 3],
}

/// Extents of the host's tiles, and of a GPU's within them.
pub(super) fn extents(grid: &[usize]) -> (Vec<usize>, Vec<usize>) {
    match grid.len() {
        1 => (vec![2048], vec![256]),
        2 => (vec![32, 64], vec![16, 16]),
        _ => (vec![16, 16, 32], vec![8, 8, 4]),
    }
}

/// Number of sorting keys: bins, counted tile by tile.
pub(super) fn keys(grid: &[usize], tile: &[usize], bin: &[usize]) -> usize {
    (0..grid.len()).map(|a| grid[a].div_ceil(tile[a]) * (tile[a] / bin[a])).product()
}

/// The sorting key of a cell: tile after tile, bin after bin.
pub(super) fn key(cell: &[u32; 3], grid: &[usize], tile: &[usize], bin: &[usize]) -> usize {
    let (mut outer, mut inner, mut bins) = (0, 0, 1);
    for a in 0..grid.len() {
        let c = cell[a] as usize;
        outer = outer * grid[a].div_ceil(tile[a]) + c / tile[a];
        inner = inner * (tile[a] / bin[a]) + c % tile[a] / bin[a];
        bins *= tile[a] / bin[a];
    }
    outer * bins + inner
}

impl Tiles {
    pub(super) fn new(points: &Points, tile: &[usize]) -> Tiles {
        let grid = points.grid();
        let counts: Vec<usize> = grid.iter().zip(tile).map(|(n, t)| n.div_ceil(*t)).collect();
        let total: usize = counts.iter().product();
        let mut starts = vec![0usize; total + 1];
        let visit = |f: &mut dyn FnMut(usize, Entry)| {
            for (p, cell) in points.cells().iter().enumerate() {
                touched(p as u32, cell, points, tile, &counts, f);
            }
        };
        visit(&mut |t, _| starts[t + 1] += 1);
        for t in 0..total {
            starts[t + 1] += starts[t];
        }
        let mut next = starts.clone();
        let mut entries = vec![Entry { point: 0, first: [0; 3] }; starts[total]];
        visit(&mut |t, e| {
            entries[next[t]] = e;
            next[t] += 1;
        });
        let mut own = vec![(0, 0); total];
        for (p, cell) in points.cells().iter().enumerate() {
            let t = (0..counts.len()).fold(0, |t, a| t * counts[a] + cell[a] as usize / tile[a]);
            let run: &mut (u32, u32) = &mut own[t];
            if run.1 == 0 {
                run.0 = p as u32;
            }
            run.1 = p as u32 + 1;
        }
        Tiles { extents: tile.to_vec(), counts, starts, entries, own }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Cells of a whole tile along each axis.
    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// Tiles along each axis.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The first cell of a tile.
    pub fn origin(&self, tile: usize) -> [usize; 3] {
        let mut rest = tile;
        let mut origin = [0; 3];
        for a in (0..self.counts.len()).rev() {
            origin[a] = rest % self.counts[a] * self.extents[a];
            rest /= self.counts[a];
        }
        origin
    }

    /// The footprints that touch a tile, in walking order.
    pub fn entries(&self, tile: usize) -> &[Entry] {
        &self.entries[self.starts[tile]..self.starts[tile + 1]]
    }

    /// The points whose footprint starts in a tile, in walking order.
    pub fn own(&self, tile: usize) -> Range<usize> {
        self.own[tile].0 as usize..self.own[tile].1 as usize
    }

    /// All footprints, tile after tile.
    pub fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of the lists.
    pub fn bytes(&self) -> u64 {
        (size_of_val(&self.entries[..]) + size_of_val(&self.starts[..]) + size_of_val(&self.own[..])) as u64
    }
}

/// Calls `f` with every tile that a footprint touches; with a tile twice where it does so from both ends of a circular axis.
fn touched(
    point: u32,
    cell: &[u32; 3],
    points: &Points,
    tile: &[usize],
    counts: &[usize],
    f: &mut dyn FnMut(usize, Entry),
) {
    let d = counts.len();
    let along = |a: usize, g: &mut dyn FnMut(usize, i16)| {
        let (n, c, taps) = (points.grid()[a] as i64, i64::from(cell[a]), points.taps()[a] as i64);
        for c in [c, c - n] {
            let (low, high) = (c.max(0), (c + taps).min(n));
            if low >= high {
                continue;
            }
            for t in low / tile[a] as i64..=(high - 1) / tile[a] as i64 {
                g(t as usize, (c - t * tile[a] as i64) as i16);
            }
        }
    };
    along(0, &mut |t0, f0| {
        if d == 1 {
            return f(t0, Entry { point, first: [f0, 0, 0] });
        }
        along(1, &mut |t1, f1| {
            if d == 2 {
                return f(t0 * counts[1] + t1, Entry { point, first: [f0, f1, 0] });
            }
            along(2, &mut |t2, f2| {
                f((t0 * counts[1] + t1) * counts[2] + t2, Entry { point, first: [f0, f1, f2] });
            });
        });
    });
}

/// Footprints that one part of a tile sums at most.
const PART: usize = 1024;

/// The tiles cut into parts of a fixed number of footprints, so that a tile with many does not take longer than the others.
#[derive(Debug)]
pub struct Parts {
    /// The parts, tile after tile.
    pub parts: Vec<Part>,
    /// The tiles of several parts, and their slots.
    pub heavy: Vec<(usize, Range<usize>)>,
    /// Number of slots.
    pub slots: usize,
}

/// Some of the footprints that touch a tile.
#[derive(Clone, Debug)]
pub struct Part {
    /// The tile.
    pub tile: usize,
    /// Which of all entries.
    pub entries: Range<usize>,
    /// Where its sum goes first; a tile of one part has no slot: it is stored at once.
    pub slot: Option<usize>,
}

impl Tiles {
    /// The parts, of at most `most` footprints; a tile without footprints has one that is empty.
    pub fn parts(&self, most: usize) -> Parts {
        let size = most.clamp(1, PART);
        let (mut parts, mut heavy, mut slots) = (Vec::new(), Vec::new(), 0);
        for tile in 0..self.len() {
            let entries = self.starts[tile]..self.starts[tile + 1];
            if entries.len() <= size {
                parts.push(Part { tile, entries, slot: None });
                continue;
            }
            let before = slots;
            for at in entries.clone().step_by(size) {
                parts.push(Part { tile, entries: at..(at + size).min(entries.end), slot: Some(slots) });
                slots += 1;
            }
            heavy.push((tile, before..slots));
        }
        Parts { parts, heavy, slots }
    }

    /// Cells of a whole tile.
    pub fn cells(&self) -> usize {
        self.extents.iter().product()
    }
}
