//! From points to a grid on the host, tile by tile.
//!
//! A tile is owned by its task: it adds up all footprints that touch the tile, in their order, and stores its cells once. So
//! nothing is added to by two threads, and every sum's order is fixed: footprints in the list's order within a part of a
//! tile, then the parts in theirs.

use super::from_grid::{POINTS, SAMPLES, blocks};
use super::grid::{Grid, Tile, beside, reals};
use super::horner::EVALUATED;
use super::taps::{Landing, Rows, Scatter};
use super::{BLOCK, InterpolateKernel};
use crate::loops::{Elem, Reader, Real, Slice, Taken};
use crate::points::{Entry, Tiles};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// y[b, cell] = Σ w·x[b, m] over the points m whose footprint holds the cell.
pub(super) fn run<T: Real, E: Elem<T>>(
    k: &InterpolateKernel,
    source: Option<Slice<T>>,
    work: &mut [T],
    dst: &mut [E],
) {
    let (points, reader) = (&k.points, Reader::new(&k.load, source));
    let grid = Grid::new(points, k.weights);
    let (count, cells) = (points.count(), grid.cells());
    for block in blocks(k.load.extents[0]) {
        let lanes = block.len() * E::LANES;
        // The block's samples side by side, in the caller's order: what a footprint needs is one line of memory.
        let samples = &mut work[..count * lanes];
        samples.par_chunks_mut(SAMPLES * lanes).enumerate().for_each_init(
            || vec![E::null(); SAMPLES],
            |row, (k, to)| {
                let row = &mut row[..to.len() / lanes];
                for (c, b) in block.clone().enumerate() {
                    reader.read(b * count + k * SAMPLES, row);
                    beside(E::flat(row), to, c, lanes, E::LANES);
                }
            },
        );
        let out = bands(&grid, &mut dst[block.start * cells..block.end * cells]);
        Pass { grid: &grid, samples, lanes, coils: block.len(), out, of: PhantomData }.tiles();
    }
}

/// One block of the batch.
struct Pass<'a, T, E> {
    grid: &'a Grid<'a>,
    samples: &'a [T],
    /// Reals of one sample, all coils together.
    lanes: usize,
    coils: usize,
    /// Lines of each coil, plane by plane, as many together as a tile has: [`bands`].
    out: Vec<Mutex<&'a mut [E]>>,
    of: PhantomData<E>,
}

impl<T: Real, E: Elem<T>> Pass<'_, T, E> {
    /// Sums and stores all tiles: first those that many threads share, then the others, each by one.
    fn tiles(&self) {
        let tiles = self.grid.tiles;
        let groups = groups(tiles, rayon::current_num_threads());
        for group in &groups {
            let parts = group.iter().flat_map(|&t| parts(tiles.entries(t).len()).map(move |p| (t, p)));
            let parts: Vec<(usize, Range<usize>)> = parts.collect();
            let sums = parts.par_iter().with_max_len(1).map_init(Vec::new, |chain, (t, part)| {
                let mut buffer = Vec::with_capacity(self.grid.summed_reals(self.lanes));
                self.sum(&mut buffer, chain, *t, part.clone());
                (*t, buffer)
            });
            let mut sums: Vec<(usize, Vec<T>)> = sums.collect();
            sums.par_chunk_by_mut(|a, b| a.0 == b.0).for_each(|of_tile| {
                if let [(t, total), rest @ ..] = of_tile {
                    rest.iter().for_each(|(_, part)| add(total, part));
                    self.store(*t, total);
                }
            });
        }
        let shared: Vec<usize> = groups.into_iter().flatten().collect();
        let rest: Vec<usize> = (0..tiles.len()).filter(|t| shared.binary_search(t).is_err()).collect();
        let workspace = || (Vec::with_capacity(self.grid.summed_reals(self.lanes)), Vec::new(), Vec::new());
        rest.into_par_iter().for_each_init(workspace, |(total, part, chain), t| {
            for (k, entries) in parts(tiles.entries(t).len()).enumerate() {
                if k == 0 {
                    self.sum(total, chain, t, entries);
                    continue;
                }
                part.clear();
                part.reserve_exact(self.grid.summed_reals(self.lanes));
                self.sum(part, chain, t, entries);
                add(total, part);
            }
            self.store(t, total);
        });
    }

    /// The sum of some of a tile's footprints, a chain of them after the other: the chains are added up.
    fn sum(&self, buffer: &mut Vec<T>, chain: &mut Vec<T>, t: usize, part: Range<usize>) {
        let most = chain_of(self.grid, t);
        self.chain(buffer, t, part.start..part.end.min(part.start + most));
        for start in (part.start + most..part.end).step_by(most) {
            chain.clear();
            chain.reserve_exact(self.grid.summed_reals(self.lanes));
            self.chain(chain, t, start..part.end.min(start + most));
            add(buffer, chain);
        }
    }

    /// The sum of a few of a tile's footprints, one after the other.
    fn chain(&self, buffer: &mut Vec<T>, t: usize, part: Range<usize>) {
        let grid = self.grid;
        let tile = grid.tile(t);
        let cells = grid.summed(tile.extents);
        let rows = grid.rows(cells, self.lanes);
        buffer.clear();
        buffer.resize(reals(cells, self.lanes), T::zero());
        let (mut footprints, mut evaluated) = (Vec::with_capacity(SAMPLES), grid.evaluated());
        let several = if grid.horner.is_some() { EVALUATED } else { SAMPLES };
        for entries in grid.tiles.entries(t)[part].chunks(several) {
            footprints.clear();
            footprints.extend(entries.iter().map(|e| landing(grid, &tile, e, &rows)));
            let weights = match &grid.horner {
                None => grid.points.weights(),
                Some(horner) => {
                    horner.fill(entries.len(), |k| entries[k].point as usize, &mut evaluated);
                    footprints.iter_mut().zip(0..).for_each(|(f, k)| f.point = k);
                    &evaluated
                }
            };
            Scatter { rows, weights, samples: self.samples, footprints: &footprints }.run(buffer);
        }
    }

    /// Stores a tile's own cells.
    fn store(&self, t: usize, buffer: &[T]) {
        let (grid, lanes) = (self.grid, self.lanes);
        let tile = grid.tile(t);
        let rows = grid.rows(grid.summed(tile.extents), lanes);
        let in_plane = grid.extents[1].div_ceil(grid.tile[1]);
        for (i, c) in (0..tile.extents[0]).flat_map(|i| (0..self.coils).map(move |c| (i, c))) {
            let plane = c * grid.extents[0] + tile.origin[0] + i;
            let band = &self.out[plane * in_plane + tile.origin[1] / grid.tile[1]];
            // What a panic left half done is no result of anyone.
            let mut band = band.lock().unwrap_or_else(PoisonError::into_inner);
            for (j, line) in band.chunks_exact_mut(grid.extents[2]).enumerate() {
                let from = &buffer[i * rows.pitch[0] + j * rows.pitch[1] + (grid.taps[2] - 1) * lanes..]
                    [..tile.extents[2] * lanes];
                let to = &mut line[tile.origin[2]..][..tile.extents[2]];
                for (to, x) in to.iter_mut().zip(from.chunks_exact(lanes)) {
                    E::flat_mut(std::slice::from_mut(to)).copy_from_slice(&x[c * E::LANES..(c + 1) * E::LANES]);
                }
            }
        }
    }
}

fn add<T: Real>(to: &mut [T], part: &[T]) {
    to.iter_mut().zip(part).for_each(|(t, p)| *t = *t + *p);
}

/// Footprints of a tile that are added one after the other: longer chains lose digits where many points lie together. No fewer
/// than those whose sum takes long beside adding up the tile's cells.
fn chain_of(grid: &Grid, t: usize) -> usize {
    let cells: usize = grid.summed(grid.tile(t).extents).iter().product();
    (32 * cells / grid.taps.iter().product::<usize>()).max(512)
}

/// A tile's footprints in the parts that are summed each by itself and added up in their order: few points are one part.
fn parts(entries: usize) -> impl Iterator<Item = Range<usize>> {
    let size = (4 * POINTS).max(entries.div_ceil(16));
    (0..entries.max(1)).step_by(size).map(move |first| first..entries.min(first + size))
}

/// Tiles with so many of all footprints that threads would wait for the one that sums them: their parts are summed by all
/// threads, in groups of a few tiles each, as the sums of a group's parts are held until they are added up. Decides where the
/// parts are summed, not what they are.
fn groups(tiles: &Tiles, threads: usize) -> Vec<Vec<usize>> {
    let most = (tiles.all().len() / (4 * threads)).max(4 * POINTS);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut left = 0;
    for t in (0..tiles.len()).filter(|&t| threads > 1 && tiles.entries(t).len() > most) {
        if left == 0 {
            groups.push(Vec::new());
            left = 2 * threads;
        }
        groups.last_mut().into_iter().for_each(|g| g.push(t));
        left = left.saturating_sub(parts(tiles.entries(t).len()).count());
    }
    groups
}

/// What a spread takes whose values have so many bytes.
pub(super) fn taken(k: &InterpolateKernel, element: usize, threads: usize) -> Taken {
    let (grid, block) = (Grid::new(&k.points, k.weights), k.load.extents[0].min(BLOCK));
    let sum = size_of::<f32>() * grid.summed_reals(block * element / size_of::<f32>());
    let count = |t: usize| parts(grid.tiles.entries(t).len()).count();
    let groups = groups(grid.tiles, threads);
    let most = groups.iter().map(|g| g.iter().map(|&t| count(t)).sum::<usize>()).max().unwrap_or(0);
    // A tile's sum, and that of one part and of one chain where there are several.
    let chains = |t: usize| grid.tiles.entries(t).len() > chain_of(&grid, t);
    let buffers = 1
        + usize::from((0..grid.tiles.len()).any(|t| count(t) > 1))
        + usize::from((0..grid.tiles.len()).any(chains));
    let evaluated = size_of::<f32>() * grid.evaluated().len();
    let each = (buffers * sum + SAMPLES * size_of::<Landing>() + evaluated).max(SAMPLES * element);
    let shared = most * (sum + size_of::<(usize, Vec<f32>)>() + size_of::<(usize, Range<usize>)>());
    let bands = block * grid.extents[0] * grid.extents[1].div_ceil(grid.tile[1]) * size_of::<Mutex<&mut [f32]>>();
    Taken { each: each as u64, shared: (shared + bands + size_of::<usize>() * 2 * grid.tiles.len()) as u64 }
}

/// A block's grids in bands of so many lines as a tile has of one plane, coil by coil: what tiles beside each other store into. Each waits
/// for the others only while these store, which takes as long without locks (two threads, 8 coils of 512², 102 400 points).
fn bands<'a, E>(grid: &Grid, dst: &'a mut [E]) -> Vec<Mutex<&'a mut [E]>> {
    let [_, lines, columns] = grid.extents;
    let planes = dst.chunks_exact_mut(lines * columns);
    planes.flat_map(|plane| plane.chunks_mut(grid.tile[1] * columns)).map(Mutex::new).collect()
}

/// Where a footprint meets a tile's buffer.
fn landing(grid: &Grid, tile: &Tile, e: &Entry, rows: &Rows) -> Landing {
    let d = grid.rank();
    let first = |a: usize| if a + d < 3 { 0 } else { i64::from(e.first[a + d - 3]) };
    let clip = |a: usize| {
        let (f, taps, n) = (first(a), grid.taps[a] as i64, tile.extents[a] as i64);
        ((-f).max(0), (n - f).min(taps))
    };
    let ((i0, i1), (j0, j1)) = (clip(0), clip(1));
    let at = |a: usize, skipped: i64| (first(a) + skipped) as usize;
    let start = at(0, i0) * rows.pitch[0] + at(1, j0) * rows.pitch[1] + at(2, grid.taps[2] as i64 - 1) * rows.lanes;
    let sample = grid.points.order()[e.point as usize];
    Landing { point: e.point, sample, start: start as u32, inside: [(i0 as u8, i1 as u8), (j0 as u8, j1 as u8)] }
}
