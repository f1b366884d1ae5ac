//! Interpolation and its transpose on the host, tile by tile.
//!
//! A task copies a tile and what footprints reach beyond it into a buffer with the coils of a block side by side, where the
//! loops of [`taps`](super::taps) work. A tile of the spread is owned by its task: it adds up all footprints that touch the
//! tile, in their order, and stores its cells once. So nothing is added to by two threads, and every sum's order is fixed.

use super::Taken;
use super::element::{Elem, Real, Slice};
use super::horner::{EVALUATED, Horner};
use super::load::Reader;
use super::taps::{Gather, Landing, Rows, Scatter, VECTOR};
use crate::program::points::{Tiles, Weights};
use crate::program::{Load, NONUNIFORM_BLOCK, Points};
use rayon::prelude::*;
use std::ops::Range;

/// Points that one task handles, and a tile's parts hold.
const POINTS: usize = 1 << 12;
/// Samples that are put side by side together.
const SAMPLES: usize = 1 << 10;

/// A grid of one to three axes as one of three, and its tiles.
struct Grid<'p> {
    points: &'p Points,
    tiles: &'p Tiles,
    extents: [usize; 3],
    tile: [usize; 3],
    taps: [usize; 3],
    /// Where weights are not in a table.
    horner: Option<Horner<'p>>,
}

/// A tile: its first cell, and how many it has.
struct Tile {
    origin: [usize; 3],
    extents: [usize; 3],
}

impl<'p> Grid<'p> {
    fn new(points: &'p Points, weights: Weights) -> Grid<'p> {
        let horner = match weights {
            Weights::Table => None,
            Weights::Polynomials => points.polynomials().map(Horner::new),
        };
        let tiles = points.tiles();
        let (extents, tile) = (three(points.grid(), 1), three(tiles.extents(), 1));
        Grid { points, tiles, extents, tile, taps: three(points.taps(), 1), horner }
    }

    fn cells(&self) -> usize {
        self.extents.iter().product()
    }

    fn tile(&self, t: usize) -> Tile {
        let d = self.points.grid().len();
        let origin = three(&self.tiles.origin(t)[..d], 0);
        Tile { origin, extents: std::array::from_fn(|a| self.tile[a].min(self.extents[a] - origin[a])) }
    }

    /// Reals of the largest tile with what lies behind its ends.
    fn reach(&self, lanes: usize) -> usize {
        let along = |a: usize| self.tile[a].min(self.extents[a]) + self.taps[a] - 1;
        (0..3).map(along).product::<usize>() * lanes + VECTOR * 2
    }

    /// Cells of the buffer that a tile is summed in: rows are never cut, they have room for the longest on both sides.
    fn room(&self, tile: [usize; 3]) -> [usize; 3] {
        [tile[0], tile[1], tile[2] + 2 * (self.taps[2] - 1)]
    }

    /// Room for the weights of a few points.
    fn evaluated(&self) -> Vec<f32> {
        self.horner.as_ref().map_or_else(Vec::new, Horner::buffer)
    }

    /// Reals of the buffer that the largest tile is summed in.
    fn sum(&self, lanes: usize) -> usize {
        let tile = std::array::from_fn(|a| self.tile[a].min(self.extents[a]));
        self.room(tile).iter().product::<usize>() * lanes + VECTOR * 2
    }

    fn rows(&self, buffer: [usize; 3], lanes: usize) -> Rows {
        let pitch = [buffer[1] * buffer[2] * lanes, buffer[2] * lanes];
        let (stride, radial) = (self.points.stride(), self.points.is_radial());
        let spacing = self.horner.as_ref().map_or(stride, Horner::spacing);
        Rows { taps: self.taps, pitch, lanes, stride, spacing, radial }
    }
}

/// One to three values as the last of three.
fn three(values: &[usize], fill: usize) -> [usize; 3] {
    let mut all = [fill; 3];
    all[3 - values.len()..].copy_from_slice(values);
    all
}

/// The batch in blocks whose weights are computed once.
fn blocks(batch: usize) -> impl Iterator<Item = Range<usize>> {
    (0..batch).step_by(NONUNIFORM_BLOCK).map(move |b| b..batch.min(b + NONUNIFORM_BLOCK))
}

/// y[b, m] = Σ w·x[b, cell] over the footprint of point m.
pub(super) fn interpolate<T: Real, E: Elem<T>>(
    load: &Load,
    points: &Points,
    weights: Weights,
    source: Option<Slice<T>>,
    work: &mut [T],
    dst: &mut [E],
) {
    let (grid, reader) = (Grid::new(points, weights), Reader::new(load, source));
    let count = points.count();
    for block in blocks(load.extents[0]) {
        let lanes = block.len() * E::LANES;
        // Samples in walking order, the block's side by side: runs of points of one tile.
        let mut runs = Vec::with_capacity(runs(grid.tiles));
        let mut rest = &mut work[..count * lanes];
        for t in 0..grid.tiles.len() {
            let own = grid.tiles.own(t);
            for first in own.clone().step_by(POINTS) {
                let (run, after) = rest.split_at_mut(POINTS.min(own.end - first) * lanes);
                runs.push((t, first, run));
                rest = after;
            }
        }
        let room = || (None, Vec::with_capacity(grid.reach(lanes)), Vec::with_capacity(POINTS), grid.evaluated());
        runs.into_par_iter().for_each_init(room, |(fetched, buffer, starts, evaluated), (t, first, run)| {
            let tile = grid.tile(t);
            let reach: [usize; 3] = std::array::from_fn(|a| tile.extents[a] + grid.taps[a] - 1);
            let rows = grid.rows(reach, lanes);
            // Runs of one tile follow each other.
            if *fetched != Some(t) {
                fetch::<T, E>(&grid, &tile, reach, &reader, &block, buffer);
                *fetched = Some(t);
            }
            starts.clear();
            let cells = &points.cells()[first..first + run.len() / lanes];
            starts.extend(cells.iter().map(|c| start(&grid, &tile, c, &rows)));
            let Some(horner) = &grid.horner else {
                return Gather { rows, tile: buffer, weights: points.weights(), first, starts }.run(run);
            };
            for (k, (out, starts)) in run.chunks_mut(EVALUATED * lanes).zip(starts.chunks(EVALUATED)).enumerate() {
                horner.fill(starts.len(), |p| first + k * EVALUATED + p, evaluated);
                Gather { rows, tile: buffer, weights: evaluated, first: 0, starts }.run(out);
            }
        });
        // Into the caller's order: one read of a point's samples, then one stretch for each batch entry.
        let (work, width) = (&work[..count * lanes], block.len());
        let mut stretches: Vec<Vec<&mut [E]>> = Vec::new();
        stretches.resize_with(count.div_ceil(SAMPLES), || Vec::with_capacity(width));
        for row in dst[block.start * count..block.end * count].chunks_exact_mut(count) {
            stretches.iter_mut().zip(row.chunks_mut(SAMPLES)).for_each(|(s, part)| s.push(part));
        }
        stretches.into_par_iter().zip(points.places().par_chunks(SAMPLES)).for_each(|(mut stretch, places)| {
            for (i, &s) in places.iter().enumerate() {
                let sample = &work[s as usize * lanes..][..lanes];
                for (row, x) in stretch.iter_mut().zip(sample.chunks_exact(E::LANES)) {
                    E::flat_mut(&mut row[i..=i]).copy_from_slice(x);
                }
            }
        });
    }
}

/// Where a footprint starts in the buffer of the tile that holds its first cell.
fn start(grid: &Grid, tile: &Tile, cell: &[u32; 3], rows: &Rows) -> u32 {
    let d = grid.points.grid().len();
    let at = |a: usize| if a + d < 3 { 0 } else { cell[a + d - 3] as usize - tile.origin[a] };
    (at(0) * rows.pitch[0] + at(1) * rows.pitch[1] + at(2) * rows.lanes) as u32
}

/// A tile and what lies behind its ends, around the ends of the grid, with the block's values side by side.
fn fetch<T: Real, E: Elem<T>>(
    grid: &Grid,
    tile: &Tile,
    reach: [usize; 3],
    reader: &Reader<T>,
    block: &Range<usize>,
    buffer: &mut Vec<T>,
) {
    let lanes = block.len() * E::LANES;
    buffer.resize(reach.iter().product::<usize>() * lanes + VECTOR * 2, T::zero());
    let plain: Option<&[E]> = reader.plain();
    let mut row = vec![E::null(); if plain.is_some() { 0 } else { reach[2] }];
    for i in 0..reach[0] {
        for j in 0..reach[1] {
            let at = |a: usize, k: usize| (tile.origin[a] + k) % grid.extents[a];
            let line = (at(0, i) * grid.extents[1] + at(1, j)) * grid.extents[2];
            let to = &mut buffer[(i * reach[1] + j) * reach[2] * lanes..][..reach[2] * lanes];
            // The row may run over the end of the axis once.
            let head = reach[2].min(grid.extents[2] - tile.origin[2]);
            for (cells, first) in [(0..head, tile.origin[2]), (head..reach[2], 0)] {
                if cells.is_empty() {
                    continue;
                }
                let to = &mut to[cells.start * lanes..cells.end * lanes];
                for (c, b) in block.clone().enumerate() {
                    let first = b * grid.cells() + line + first;
                    let from = match plain {
                        Some(x) => &x[first..first + cells.len()],
                        None => {
                            reader.read(first, &mut row[..cells.len()]);
                            &row[..cells.len()]
                        }
                    };
                    beside(E::flat(from), to, c, lanes, E::LANES);
                }
            }
        }
    }
}

/// Puts values of one coil into its lanes.
#[inline(always)]
fn beside<T: Copy>(from: &[T], to: &mut [T], coil: usize, lanes: usize, width: usize) {
    for (x, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(lanes)) {
        to[coil * width..(coil + 1) * width].copy_from_slice(x);
    }
}

/// y[b, cell] = Σ w·x[b, m] over the points m whose footprint holds the cell.
pub(super) fn spread<T: Real, E: Elem<T>>(
    load: &Load,
    points: &Points,
    weights: Weights,
    source: Option<Slice<T>>,
    work: &mut [T],
    dst: &mut [E],
) {
    let (grid, reader) = (Grid::new(points, weights), Reader::new(load, source));
    let (count, cells) = (points.count(), grid.cells());
    for block in blocks(load.extents[0]) {
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
        let samples = &*samples;
        let out = Disjoint(dst[block.start * cells..block.end * cells].as_mut_ptr());
        // The sum of some of a tile's footprints.
        let sum = |buffer: &mut Vec<T>, t: usize, part: Range<usize>| {
            let tile = grid.tile(t);
            let room = grid.room(tile.extents);
            let rows = grid.rows(room, lanes);
            buffer.clear();
            buffer.resize(room.iter().product::<usize>() * lanes + VECTOR * 2, T::zero());
            let (mut footprints, mut evaluated) = (Vec::with_capacity(SAMPLES), grid.evaluated());
            let several = if grid.horner.is_some() { EVALUATED } else { SAMPLES };
            for entries in grid.tiles.entries(t)[part].chunks(several) {
                footprints.clear();
                footprints.extend(entries.iter().map(|e| landing(&grid, &tile, e, &rows)));
                let weights = match &grid.horner {
                    None => points.weights(),
                    Some(horner) => {
                        horner.fill(entries.len(), |k| entries[k].point as usize, &mut evaluated);
                        footprints.iter_mut().zip(0..).for_each(|(f, k)| f.point = k);
                        &evaluated
                    }
                };
                Scatter { rows, weights, samples, footprints: &footprints }.run(buffer);
            }
        };
        let add = |to: &mut [T], part: &[T]| to.iter_mut().zip(part).for_each(|(t, p)| *t = *t + *p);
        let store = |t: usize, buffer: &[T]| {
            let tile = grid.tile(t);
            let rows = grid.rows(grid.room(tile.extents), lanes);
            for i in 0..tile.extents[0] {
                for j in 0..tile.extents[1] {
                    let from = &buffer[i * rows.pitch[0] + j * rows.pitch[1] + (grid.taps[2] - 1) * lanes..]
                        [..tile.extents[2] * lanes];
                    let line = (tile.origin[0] + i) * grid.extents[1] + tile.origin[1] + j;
                    for c in 0..block.len() {
                        let at = c * cells + line * grid.extents[2] + tile.origin[2];
                        // SAFETY: the stretch lies in entry c of the block's part of `dst`: its row and columns are cells of
                        // the tile, which lies in the grid. Tiles partition the grid and each is visited once, so no other
                        // reference to the stretch exists, and `dst` is borrowed as long as the loop runs.
                        let to = unsafe { out.stretch(at, tile.extents[2]) };
                        for (to, x) in to.iter_mut().zip(from.chunks_exact(lanes)) {
                            E::flat_mut(std::slice::from_mut(to)).copy_from_slice(&x[c * E::LANES..(c + 1) * E::LANES]);
                        }
                    }
                }
            }
        };
        let groups = groups(grid.tiles, rayon::current_num_threads());
        for group in &groups {
            let parts = group.iter().flat_map(|&t| parts(grid.tiles.entries(t).len()).map(move |p| (t, p)));
            let parts: Vec<(usize, Range<usize>)> = parts.collect();
            let sums = parts.par_iter().with_max_len(1).map(|(t, part)| {
                let mut buffer = Vec::with_capacity(grid.sum(lanes));
                sum(&mut buffer, *t, part.clone());
                (*t, buffer)
            });
            let mut sums: Vec<(usize, Vec<T>)> = sums.collect();
            sums.par_chunk_by_mut(|a, b| a.0 == b.0).for_each(|of_tile| {
                if let [(t, total), rest @ ..] = of_tile {
                    rest.iter().for_each(|(_, part)| add(total, part));
                    store(*t, total);
                }
            });
        }
        let shared: Vec<usize> = groups.into_iter().flatten().collect();
        let rest: Vec<usize> = (0..grid.tiles.len()).filter(|t| shared.binary_search(t).is_err()).collect();
        let room = || (Vec::with_capacity(grid.sum(lanes)), Vec::new());
        rest.into_par_iter().for_each_init(room, |(total, part), t| {
            for (k, entries) in parts(grid.tiles.entries(t).len()).enumerate() {
                if k == 0 {
                    sum(total, t, entries);
                    continue;
                }
                part.clear();
                part.reserve_exact(grid.sum(lanes));
                sum(part, t, entries);
                add(total, part);
            }
            store(t, total);
        });
    }
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
    let mut room = 0;
    for t in (0..tiles.len()).filter(|&t| threads > 1 && tiles.entries(t).len() > most) {
        if room == 0 {
            groups.push(Vec::new());
            room = 2 * threads;
        }
        groups.last_mut().into_iter().for_each(|g| g.push(t));
        room = room.saturating_sub(parts(tiles.entries(t).len()).count());
    }
    groups
}

/// Runs of points that an interpolation's tasks handle.
fn runs(tiles: &Tiles) -> usize {
    (0..tiles.len()).map(|t| tiles.own(t).len().div_ceil(POINTS)).sum()
}

/// Bytes of the tables that an interpolation reads, or a spread.
pub(super) fn table_bytes(points: &Points, weights: Weights, interpolates: bool) -> u64 {
    let places = if interpolates { size_of_val(points.places()) } else { 0 };
    points.bytes_with(weights) + points.tiles().bytes() + places as u64
}

/// What an interpolation takes whose values have so many bytes.
pub(super) fn interpolate_taken(load: &Load, points: &Points, weights: Weights, element: usize) -> Taken {
    let (grid, block) = (Grid::new(points, weights), load.extents[0].min(NONUNIFORM_BLOCK));
    let lanes = block * element / size_of::<f32>();
    let row = (grid.tile[2] + grid.taps[2]) * element;
    let each = size_of::<f32>() * (grid.reach(lanes) + POINTS + grid.evaluated().len()) + row;
    let run = size_of::<(usize, usize, &mut [f32])>();
    let stretch = size_of::<Vec<&mut [f32]>>() + block * size_of::<&mut [f32]>();
    // First the one, then the other.
    let once = (runs(grid.tiles) * run).max(points.count().div_ceil(SAMPLES) * stretch);
    Taken { each: each as u64, once: once as u64 }
}

/// What a spread takes whose values have so many bytes.
pub(super) fn spread_taken(load: &Load, points: &Points, weights: Weights, element: usize, threads: usize) -> Taken {
    let (grid, block) = (Grid::new(points, weights), load.extents[0].min(NONUNIFORM_BLOCK));
    let sum = size_of::<f32>() * grid.sum(block * element / size_of::<f32>());
    let count = |t: usize| parts(grid.tiles.entries(t).len()).count();
    let groups = groups(grid.tiles, threads);
    let most = groups.iter().map(|g| g.iter().map(|&t| count(t)).sum::<usize>()).max().unwrap_or(0);
    // A tile's sum, and that of one part where there are several.
    let buffers = 1 + usize::from((0..grid.tiles.len()).any(|t| count(t) > 1));
    let evaluated = size_of::<f32>() * grid.evaluated().len();
    let each = (buffers * sum + SAMPLES * size_of::<Landing>() + evaluated).max(SAMPLES * element);
    let once = most * (sum + size_of::<(usize, Vec<f32>)>() + size_of::<(usize, Range<usize>)>());
    Taken { each: each as u64, once: (once + size_of::<usize>() * 2 * grid.tiles.len()) as u64 }
}

/// A buffer that tasks write disjoint stretches of.
struct Disjoint<E>(*mut E);

// SAFETY: only `stretch` gives access, whose caller sees to it that stretches are disjoint; elements may be sent.
unsafe impl<E: Send> Sync for Disjoint<E> {}

impl<E> Disjoint<E> {
    /// # Safety
    /// `at..at + len` lies in the buffer, and no other reference to any of it is alive.
    #[allow(clippy::mut_from_ref)]
    unsafe fn stretch(&self, at: usize, len: usize) -> &mut [E] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}

/// Where a footprint meets a tile's buffer.
fn landing(grid: &Grid, tile: &Tile, e: &crate::program::points::Entry, rows: &Rows) -> Landing {
    let d = grid.points.grid().len();
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
