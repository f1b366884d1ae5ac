//! Points between the cells of a grid, prepared in f64: for each its first cell, the weights of the cells around it or what
//! they are computed from, and the order in which kernels walk them.
//!
//! | | |
//! |---|---|
//! | `profile`, `prolate` | kernels of one variable, and the ones with least error for a width and an oversampling |
//! | `pieces` | a profile as polynomials, one for each tap |
//! | `window` | the correction that a kernel's profile asks of the image |
//! | `tiles` | the grid in tiles of 256 cells: points are sorted by tile, so that a tile's cells are summed where they are, in the list's order, by one workgroup or thread. No atomics, and the same bits each time |
//!
//! Everything is prepared when a plan first asks for it, outside of cells and locks, since preparation is parallel.

mod pieces;
mod profile;
mod prolate;
mod tiles;
mod window;

pub use pieces::Pieces;
pub use profile::Profile;
pub use tiles::{Entry, Part, Parts, Tiles};
pub use window::Window;

use crate::error::{Result, shape_err, value_err};
use crate::kept::Made;
use pieces::Fractional;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// What a kernel may span along one axis, in cells.
pub const MAX_WIDTH: f64 = 64.0;
/// Points in one set, at most: kernels count them in 32 bits.
const MAX_POINTS: usize = 1 << 31;
/// Points that one task prepares.
const CHUNK: usize = 1 << 12;

/// A set of points in a grid of 1 to 3 axes, shared by handle. Equal when it is the same set.
///
/// A point's footprint starts at `cell` and has `taps` cells along each axis, with one weight for each; weights outside of
/// the kernel's support are 0. On a circular grid a footprint may run over the end of an axis and then goes on at its start;
/// else it lies inside the grid: weights outside have been dropped. Weights are f32, as all constants of a program.
#[derive(Clone)]
pub struct Points(Arc<Inner>);

struct Inner {
    grid: Vec<usize>,
    taps: Vec<usize>,
    radial: bool,
    /// Place of each sorted point in the order of the caller.
    order: Vec<u32>,
    cells: Vec<[u32; 3]>,
    form: Form,
    tile: Vec<usize>,
    bin: Vec<usize>,
    places: Made<Vec<u32>>,
    tiles: Made<Tiles>,
    bins: Made<Tiles>,
}

/// How a set holds its weights.
enum Form {
    Table(Vec<f32>),
    Fractional(Fractional),
}

/// Where a kernel takes weights from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Weights {
    /// A table, made when the program is planned: one weight for each point, axis and tap.
    Table,
    /// Polynomials in the point's place within a cell, one for each axis and tap; only where
    /// the kernel has them.
    Polynomials,
}

/// The weights of a set of points as polynomials.
#[derive(Clone, Copy, Debug)]
pub struct Polynomials<'p> {
    /// Along each axis.
    pub pieces: &'p [Pieces],
    /// What they are polynomials of, in walking order: along all axes for the first point, for the second …
    pub fractions: &'p [f32],
}

/// How points become weights.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// Full width of the kernel along each axis, in cells.
    pub width: Vec<f64>,
    /// The kernel along each axis, of u = distance/(width/2).
    pub profile: Vec<Profile>,
    /// The first axis' kernel of the 2-norm of u instead of the product along the axes.
    pub radial: bool,
    /// Whether footprints wrap around the ends of the grid; else what lies outside is dropped.
    pub circular: bool,
    /// Whether a cell at distance width/2 to the right counts (one at the left does always).
    pub closed: bool,
}

impl Points {
    /// Prepares `locs` (points × axes, in cells of the grid) for a grid of these extents.
    ///
    /// # Errors
    /// No points or more than 2³¹, another number of axes than 1 to 3, coordinates that are not finite, a width that is not
    /// in 1..=64.
    pub fn new(locs: &[f64], grid: &[usize], spread: &Footprint) -> Result<Points> {
        let d = grid.len();
        if !(1..=3).contains(&d) {
            return shape_err!("points in {d} axes; interpolation knows 1, 2 and 3");
        }
        if locs.is_empty() || !locs.len().is_multiple_of(d) {
            return shape_err!("{} coordinates for {d} axes; expected at least one point", locs.len());
        }
        let count = locs.len() / d;
        check_count(count)?;
        if let Some(at) = locs.iter().position(|x| !x.is_finite()) {
            return value_err!(
                "the coordinate of point {} along axis {} is {}; expected a finite number",
                at / d,
                at % d,
                locs[at]
            );
        }
        if let Some(w) = spread.width.iter().find(|w| !(1.0..=MAX_WIDTH).contains(*w)) {
            return value_err!("a kernel width of {w}; expected 1 to {MAX_WIDTH} cells");
        }
        if let Some(n) = grid.iter().find(|n| **n > i32::MAX as usize) {
            return shape_err!("an axis of {n} cells; interpolation takes fewer than 2^31");
        }
        let inside =
            |m: usize| -> Vec<Axis> { (0..d).map(|a| Axis::new(locs[m * d + a], grid[a], spread, a)).collect() };
        // How many cells the widest footprint has: one more than the width where a point meets both edges.
        let most = |a: usize| {
            let taps = (0..count).into_par_iter().map(|m| Axis::new(locs[m * d + a], grid[a], spread, a).taps).max();
            taps.unwrap_or(1).clamp(1, grid[a])
        };
        let taps: Vec<usize> = (0..d).map(most).collect();
        let (tile, bin) = tiles::extents(grid);
        let (order, starts) = {
            let cell = |m: usize| -> [u32; 3] { cells(&inside(m), &taps, grid, spread) };
            let key = |m: usize| tiles::key(&cell(m), grid, &tile, &bin);
            sorted(count, tiles::keys(grid, &tile, &bin), key)
        };
        drop(starts);
        let mut placed = vec![[0u32; 3]; count];
        let whole = || {
            locs.par_chunks_exact(d).all(|t| {
                t.iter().enumerate().all(|(a, &t)| {
                    let axis = Axis::new(t, grid[a], spread, a);
                    spread.circular || (axis.first >= 0 && axis.first + taps[a] as i64 <= grid[a] as i64)
                })
            })
        };
        let form = match polynomials(&taps, grid, spread).filter(|_| whole()) {
            Some(pieces) => {
                let mut fractions = vec![0f32; count * d];
                let parts = fractions.par_chunks_mut(CHUNK * d).zip(placed.par_chunks_mut(CHUNK));
                parts.zip(order.par_chunks(CHUNK)).for_each(|((fractions, placed), order)| {
                    for ((f, c), &m) in fractions.chunks_exact_mut(d).zip(placed).zip(order) {
                        let axes = inside(m as usize);
                        *c = cells(&axes, &taps, grid, spread);
                        for ((f, axis), width) in f.iter_mut().zip(&axes).zip(&spread.width) {
                            *f = (axis.first as f64 - (axis.t - width / 2.0) - 0.5) as f32;
                        }
                    }
                });
                let (profiles, table) = (spread.profile.clone(), Made::new());
                Form::Fractional(Fractional { pieces, profiles, fractions, table })
            }
            None => {
                let stride = if spread.radial { taps.iter().product() } else { taps.iter().sum::<usize>() };
                let mut weights = vec![0f32; count * stride];
                let parts = weights.par_chunks_mut(CHUNK * stride).zip(placed.par_chunks_mut(CHUNK));
                parts.zip(order.par_chunks(CHUNK)).for_each(|((weights, placed), order)| {
                    for ((w, c), &m) in weights.chunks_exact_mut(stride).zip(placed).zip(order) {
                        let axes = inside(m as usize);
                        *c = cells(&axes, &taps, grid, spread);
                        fill(w, &axes, c, &taps, grid, spread);
                    }
                });
                Form::Table(weights)
            }
        };
        let (grid, radial) = (grid.to_vec(), spread.radial);
        let (places, tiles, bins) = (Made::new(), Made::new(), Made::new());
        Ok(Points(Arc::new(Inner { grid, taps, radial, order, cells: placed, form, tile, bin, places, tiles, bins })))
    }

    /// The points in `range`, in the order of the caller.
    pub(crate) fn subset(&self, range: &Range<usize>) -> Points {
        let Inner { grid, taps, radial, order, cells, form, tile, bin, .. } = &*self.0;
        let inside: Vec<usize> = (0..order.len()).filter(|&k| range.contains(&(order[k] as usize))).collect();
        let of_each = |values: &[f32], each: usize| -> Vec<f32> {
            inside.iter().flat_map(|&k| &values[k * each..][..each]).copied().collect()
        };
        let form = match form {
            Form::Table(weights) => Form::Table(of_each(weights, self.stride())),
            Form::Fractional(f) => Form::Fractional(Fractional {
                pieces: f.pieces.clone(),
                profiles: f.profiles.clone(),
                fractions: of_each(&f.fractions, grid.len()),
                table: Made::new(),
            }),
        };
        #[allow(clippy::cast_possible_truncation)]
        let first = range.start as u32;
        Points(Arc::new(Inner {
            grid: grid.clone(),
            taps: taps.clone(),
            radial: *radial,
            order: inside.iter().map(|&k| order[k] - first).collect(),
            cells: inside.iter().map(|&k| cells[k]).collect(),
            form,
            tile: tile.clone(),
            bin: bin.clone(),
            places: Made::new(),
            tiles: Made::new(),
            bins: Made::new(),
        }))
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.0.order.len()
    }

    /// Extents of the grid.
    pub fn grid(&self) -> &[usize] {
        &self.0.grid
    }

    /// Cells of a footprint along each axis.
    pub fn taps(&self) -> &[usize] {
        &self.0.taps
    }

    /// Whether the weights are one table over the footprint (else one list for each axis, whose product counts).
    pub fn is_radial(&self) -> bool {
        self.0.radial
    }

    /// For each point in walking order, its place in the caller's.
    pub fn order(&self) -> &[u32] {
        &self.0.order
    }

    /// For each point in the caller's order, its place in the walking order.
    pub fn places(&self) -> &[u32] {
        self.0.places.get_or(|| {
            let mut places = vec![0; self.count()];
            self.0.order.iter().enumerate().for_each(|(s, &m)| places[m as usize] = s as u32);
            places
        })
    }

    /// The first cell of each footprint, in walking order; unused axes are 0.
    pub fn cells(&self) -> &[[u32; 3]] {
        &self.0.cells
    }

    /// The weights of each point, in walking order: all of axis 0, then of axis 1 …; or the whole footprint in C order.
    pub fn weights(&self) -> &[f32] {
        match &self.0.form {
            Form::Table(weights) => weights,
            Form::Fractional(f) => f.table(),
        }
    }

    /// The same weights as polynomials: where the kernel is smooth or cubic, spans a whole number of cells, is a product along the axes,
    /// and no footprint is cut or as long as an axis.
    pub fn polynomials(&self) -> Option<Polynomials<'_>> {
        match &self.0.form {
            Form::Table(_) => None,
            Form::Fractional(f) => Some(Polynomials { pieces: &f.pieces, fractions: &f.fractions }),
        }
    }

    /// Weights of one point.
    pub fn stride(&self) -> usize {
        match &self.0.form {
            Form::Table(weights) => weights.len() / self.count(),
            Form::Fractional(f) => f.stride(),
        }
    }

    /// The tiles of the host: a few thousand cells each.
    pub fn tiles(&self) -> &Tiles {
        self.0.tiles.get_or(|| Tiles::new(self, &self.0.tile))
    }

    /// The tiles of a GPU: what one workgroup owns.
    pub fn bins(&self) -> &Tiles {
        self.0.bins.get_or(|| Tiles::new(self, &self.0.bin))
    }

    /// Bytes of all that is held where weights come from there: cells, order, weights or what they are computed from.
    pub fn bytes_with(&self, weights: Weights) -> u64 {
        let each = match (&self.0.form, weights) {
            (Form::Fractional(f), Weights::Table) => f.stride() + self.grid().len(),
            (Form::Fractional(_), Weights::Polynomials) => self.grid().len(),
            (Form::Table(_), _) => self.stride(),
        };
        (self.count() * (4 * each + 16)) as u64
    }

    /// Bytes of what a kernel reads of them: cells, order, and weights or fractions.
    pub fn read_bytes(&self, weights: Weights) -> u64 {
        let each = match weights {
            Weights::Table => self.stride(),
            Weights::Polynomials => self.grid().len(),
        };
        (self.count() * (4 * each + 16)) as u64
    }

    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

/// Whether a set may have so many points.
pub(crate) fn check_count(count: usize) -> Result<()> {
    if count >= MAX_POINTS {
        return shape_err!("{count} points; a set has fewer than 2^31: cut it into several linops and concat them");
    }
    Ok(())
}

impl PartialEq for Points {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} points in {:?}, {:?} taps", self.count(), self.0.grid, self.0.taps)
    }
}

/// A coordinate and the cells within its reach.
struct Axis {
    t: f64,
    first: i64,
    taps: usize,
}

impl Axis {
    fn new(t: f64, n: usize, spread: &Footprint, axis: usize) -> Axis {
        let n = n as f64;
        let half = spread.width[axis] / 2.0;
        // Far outside of a grid that does not wrap nothing is touched, however far.
        let t = if spread.circular { t - n * (t / n).floor() } else { t.clamp(-MAX_WIDTH, n + MAX_WIDTH) };
        let first = (t - half).ceil();
        let end = t + half;
        let last = if !spread.closed && end == end.floor() { end - 1.0 } else { end.floor() };
        Axis { t, first: first as i64, taps: (last - first) as usize + 1 }
    }
}

/// Where a footprint is stored: inside the grid, or anywhere on a circular one.
fn cells(axes: &[Axis], taps: &[usize], grid: &[usize], spread: &Footprint) -> [u32; 3] {
    let mut cells = [0; 3];
    for (a, axis) in axes.iter().enumerate() {
        let n = grid[a] as i64;
        cells[a] = match spread.circular {
            // A footprint as long as the axis starts at its first cell.
            true if taps[a] == grid[a] => 0,
            true => axis.first.rem_euclid(n) as u32,
            false => axis.first.clamp(0, n - taps[a] as i64) as u32,
        };
    }
    cells
}

/// The polynomials along each axis, where taps and the pieces of a smooth kernel are the same cells.
fn polynomials(taps: &[usize], grid: &[usize], spread: &Footprint) -> Option<Vec<Pieces>> {
    let aligned = |a: usize| spread.width[a] == taps[a] as f64 && taps[a] < grid[a];
    if spread.radial || !(0..taps.len()).all(aligned) {
        return None;
    }
    spread.profile.iter().zip(taps).map(|(p, &taps)| Pieces::fit(p, taps)).collect()
}

/// Adds the weight of every cell within reach to its place in the footprint.
fn fill(out: &mut [f32], axes: &[Axis], cells: &[u32; 3], taps: &[usize], grid: &[usize], spread: &Footprint) {
    // The place in the stored footprint of each cell within reach, and its u.
    let along = |a: usize| -> Vec<(usize, f64)> {
        let (axis, n) = (&axes[a], grid[a] as i64);
        let place = |j: usize| {
            let i = axis.first + j as i64;
            let at = if spread.circular { (i - i64::from(cells[a])).rem_euclid(n) } else { i - i64::from(cells[a]) };
            let inside = spread.circular || (0..n).contains(&i);
            (inside && (0..taps[a] as i64).contains(&at))
                .then(|| (at as usize, (i as f64 - axis.t) / (spread.width[a] / 2.0)))
        };
        (0..axis.taps).filter_map(place).collect()
    };
    let mut at = 0;
    if !spread.radial {
        for (a, &n) in taps.iter().enumerate() {
            let mut sums = [0f64; MAX_WIDTH as usize + 2];
            along(a).into_iter().for_each(|(k, u)| sums[k] += spread.profile[a].at(u));
            out[at..at + n].iter_mut().zip(sums).for_each(|(o, s)| *o = s as f32);
            at += n;
        }
        return;
    }
    let lists: Vec<Vec<(usize, f64)>> = (0..axes.len()).map(along).collect();
    let one = vec![(0, 0.0)];
    let list = |a: usize| lists.get(a).unwrap_or(&one);
    let tap = |a: usize| taps.get(a).copied().unwrap_or(1);
    let mut sums = vec![0f64; out.len()];
    for &(i, u) in list(0) {
        for &(j, v) in list(1) {
            for &(k, w) in list(2) {
                sums[(i * tap(1) + j) * tap(2) + k] += spread.profile[0].at((u * u + v * v + w * w).sqrt());
            }
        }
    }
    out.iter_mut().zip(sums).for_each(|(o, s)| *o = s as f32);
}

/// Points in the order of their keys, equal keys in the caller's order; and where each key starts.
fn sorted(count: usize, keys: usize, key: impl Fn(usize) -> usize + Sync) -> (Vec<u32>, Vec<u32>) {
    let of: Vec<u32> = (0..count).into_par_iter().map(|m| key(m) as u32).collect();
    let mut starts = vec![0u32; keys + 1];
    for &k in &of {
        starts[k as usize + 1] += 1;
    }
    for k in 0..keys {
        starts[k + 1] += starts[k];
    }
    let mut next = starts.clone();
    let mut order = vec![0u32; count];
    for (m, &k) in of.iter().enumerate() {
        order[next[k as usize] as usize] = m as u32;
        next[k as usize] += 1;
    }
    (order, starts)
}

#[cfg(test)]
mod tests;
