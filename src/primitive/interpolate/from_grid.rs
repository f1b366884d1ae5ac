//! From a grid to points on the host, tile by tile.
//!
//! A task copies a tile and its halo into a buffer with the coils of a block side by side, where the loops of
//! [`taps`](super::taps) work on the points whose footprint starts in the tile.

use super::grid::{Grid, Tile, beside, reals};
use super::horner::EVALUATED;
use super::taps::{Gather, Rows};
use super::{BLOCK, InterpolateKernel};
use crate::loops::{Elem, Reader, Real, Slice, Taken};
use crate::points::Tiles;
use rayon::prelude::*;
use std::ops::Range;

/// Points that one task handles, and a tile's parts hold.
pub(super) const POINTS: usize = 1 << 12;
/// Samples that are put side by side together.
pub(super) const SAMPLES: usize = 1 << 10;

/// The batch in blocks whose weights are computed once.
pub(super) fn blocks(batch: usize) -> impl Iterator<Item = Range<usize>> {
    (0..batch).step_by(BLOCK).map(move |b| b..batch.min(b + BLOCK))
}

/// y[b, m] = Σ w·x[b, cell] over the footprint of point m.
pub(super) fn run<T: Real, E: Elem<T>>(
    k: &InterpolateKernel,
    source: Option<Slice<T>>,
    work: &mut [T],
    dst: &mut [E],
) {
    let (points, reader) = (&k.points, Reader::new(&k.load, source));
    let (grid, count) = (Grid::new(points, k.weights), points.count());
    for block in blocks(k.load.extents[0]) {
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
        let workspace = || (None, Vec::with_capacity(grid.halo_reals(lanes)), Vec::with_capacity(POINTS), grid.evaluated());
        runs.into_par_iter().for_each_init(workspace, |(fetched, buffer, starts, evaluated), (t, first, run)| {
            let tile = grid.tile(t);
            let cells = grid.with_halo(tile.extents);
            let rows = grid.rows(cells, lanes);
            // Runs of one tile follow each other.
            if *fetched != Some(t) {
                fetch::<T, E>(&grid, &tile, &reader, &block, buffer);
                *fetched = Some(t);
            }
            starts.clear();
            let firsts = &points.cells()[first..first + run.len() / lanes];
            starts.extend(firsts.iter().map(|c| start(&grid, &tile, c, &rows)));
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
    let d = grid.rank();
    let at = |a: usize| if a + d < 3 { 0 } else { cell[a + d - 3] as usize - tile.origin[a] };
    (at(0) * rows.pitch[0] + at(1) * rows.pitch[1] + at(2) * rows.lanes) as u32
}

/// A tile and what lies behind its ends, around the ends of the grid, with the block's values side by side.
fn fetch<T: Real, E: Elem<T>>(
    grid: &Grid,
    tile: &Tile,
    reader: &Reader<T>,
    block: &Range<usize>,
    buffer: &mut Vec<T>,
) {
    let (lanes, cells) = (block.len() * E::LANES, grid.with_halo(tile.extents));
    buffer.resize(reals(cells, lanes), T::zero());
    let plain: Option<&[E]> = reader.plain();
    let mut row = vec![E::null(); if plain.is_some() { 0 } else { cells[2] }];
    for i in 0..cells[0] {
        for j in 0..cells[1] {
            let at = |a: usize, k: usize| (tile.origin[a] + k) % grid.extents[a];
            let line = (at(0, i) * grid.extents[1] + at(1, j)) * grid.extents[2];
            let to = &mut buffer[(i * cells[1] + j) * cells[2] * lanes..][..cells[2] * lanes];
            // The row may run over the end of the axis once.
            let head = cells[2].min(grid.extents[2] - tile.origin[2]);
            for (part, first) in [(0..head, tile.origin[2]), (head..cells[2], 0)] {
                if part.is_empty() {
                    continue;
                }
                let to = &mut to[part.start * lanes..part.end * lanes];
                for (c, b) in block.clone().enumerate() {
                    let first = b * grid.cells() + line + first;
                    let from = match plain {
                        Some(x) => &x[first..first + part.len()],
                        None => {
                            reader.read(first, &mut row[..part.len()]);
                            &row[..part.len()]
                        }
                    };
                    beside(E::flat(from), to, c, lanes, E::LANES);
                }
            }
        }
    }
}

/// Runs of points that an interpolation's tasks handle.
fn runs(tiles: &Tiles) -> usize {
    (0..tiles.len()).map(|t| tiles.own(t).len().div_ceil(POINTS)).sum()
}

/// What an interpolation takes whose values have so many bytes.
pub(super) fn taken(k: &InterpolateKernel, element: usize) -> Taken {
    let (grid, block) = (Grid::new(&k.points, k.weights), k.load.extents[0].min(BLOCK));
    let lanes = block * element / size_of::<f32>();
    let row = (grid.tile[2] + grid.taps[2]) * element;
    let each = size_of::<f32>() * (grid.halo_reals(lanes) + POINTS + grid.evaluated().len()) + row;
    let run = size_of::<(usize, usize, &mut [f32])>();
    let stretch = size_of::<Vec<&mut [f32]>>() + block * size_of::<&mut [f32]>();
    // First the one, then the other.
    let shared = (runs(grid.tiles) * run).max(k.points.count().div_ceil(SAMPLES) * stretch);
    Taken { each: each as u64, shared: shared as u64 }
}
