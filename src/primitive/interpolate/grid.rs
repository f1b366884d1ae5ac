//! A grid in tiles, as the host's tasks see it: what a tile owns, what footprints reach beyond it, and its buffer.
//!
//! ```text
//! interpolation reads   ┌─ tile ─┬ halo ┐      spreading writes      ┌ halo ┬─ tile ─┬ halo ┐   rows are never cut,
//!  taps − 1 cells       │ owned  │ read │       and keeps owned      │ lost │ owned  │ lost │   columns outside of the
//!  behind the end       ├────────┘ too  │       cells                │      │        │      │   tile are skipped
//!                       └── halo ───────┘                            └──────┴────────┴──────┘
//! ```

use super::horner::Horner;
use super::taps::{Rows, VECTOR};
use crate::points::{Points, Tiles, Weights};

/// A grid of one to three axes as one of three, and its tiles.
pub(super) struct Grid<'p> {
    pub points: &'p Points,
    pub tiles: &'p Tiles,
    pub extents: [usize; 3],
    pub tile: [usize; 3],
    pub taps: [usize; 3],
    /// Where weights are not in a table.
    pub horner: Option<Horner<'p>>,
}

/// A tile: its first cell, and how many it has.
pub(super) struct Tile {
    pub origin: [usize; 3],
    pub extents: [usize; 3],
}

impl<'p> Grid<'p> {
    pub fn new(points: &'p Points, weights: Weights) -> Grid<'p> {
        let horner = match weights {
            Weights::Table => None,
            Weights::Polynomials => points.polynomials().map(Horner::new),
        };
        let tiles = points.tiles();
        let (extents, tile) = (three(points.grid(), 1), three(tiles.extents(), 1));
        Grid { points, tiles, extents, tile, taps: three(points.taps(), 1), horner }
    }

    pub fn cells(&self) -> usize {
        self.extents.iter().product()
    }

    /// Axes that the grid has.
    pub fn rank(&self) -> usize {
        self.points.grid().len()
    }

    pub fn tile(&self, t: usize) -> Tile {
        let origin = three(&self.tiles.origin(t)[..self.rank()], 0);
        Tile { origin, extents: std::array::from_fn(|a| self.tile[a].min(self.extents[a] - origin[a])) }
    }

    /// Cells of a tile and of the halo behind its ends.
    pub fn with_halo(&self, tile: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| tile[a] + self.taps[a] - 1)
    }

    /// Cells of the buffer that a tile is summed in: rows have room for the longest footprint on both sides.
    pub fn summed(&self, tile: [usize; 3]) -> [usize; 3] {
        [tile[0], tile[1], tile[2] + 2 * (self.taps[2] - 1)]
    }

    /// The largest tile.
    fn largest(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.tile[a].min(self.extents[a]))
    }

    /// Reals of the largest tile with its halo.
    pub fn halo_reals(&self, lanes: usize) -> usize {
        reals(self.with_halo(self.largest()), lanes)
    }

    /// Reals of the buffer that the largest tile is summed in.
    pub fn summed_reals(&self, lanes: usize) -> usize {
        reals(self.summed(self.largest()), lanes)
    }

    /// Room for the weights of a few points.
    pub fn evaluated(&self) -> Vec<f32> {
        self.horner.as_ref().map_or_else(Vec::new, Horner::buffer)
    }

    /// How footprints lie in a buffer of so many cells.
    pub fn rows(&self, buffer: [usize; 3], lanes: usize) -> Rows {
        let pitch = [buffer[1] * buffer[2] * lanes, buffer[2] * lanes];
        let (stride, radial) = (self.points.stride(), self.points.is_radial());
        let spacing = self.horner.as_ref().map_or(stride, Horner::spacing);
        Rows { taps: self.taps, pitch, lanes, stride, spacing, radial }
    }
}

/// Reals of a buffer of cells; the loops read whole vectors, also behind the last cell.
pub(super) fn reals(cells: [usize; 3], lanes: usize) -> usize {
    cells.iter().product::<usize>() * lanes + VECTOR * 2
}

/// One to three values as the last of three.
fn three(values: &[usize], fill: usize) -> [usize; 3] {
    let mut all = [fill; 3];
    all[3 - values.len()..].copy_from_slice(values);
    all
}

/// Puts values of one coil into its lanes.
#[inline(always)]
pub(super) fn beside<T: Copy>(from: &[T], to: &mut [T], coil: usize, lanes: usize, width: usize) {
    for (x, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(lanes)) {
        to[coil * width..(coil + 1) * width].copy_from_slice(x);
    }
}
