//! Kernels between grids and points on a GPU.
//!
//! Windows: a dispatch takes as many batch entries as its bindings hold. Where one entry's source is larger than a binding, it
//! goes through windows that read as 0 outside and whose results add up; where its results are, a spread is cut along the
//! grid's first axis, and an interpolation stores what lies in its window.

mod choice;
mod interpolate;
mod lists;
mod spread;

#[cfg(feature = "gpu")]
pub(crate) use choice::variants;

use super::InterpolateKernel;
use crate::access::Load;
use crate::error::Result;
use crate::plan::{GpuKernel, Kernel};
use crate::points::{Parts, Points, Weights};
use crate::shader::{Draft, GpuLimits, List, Operand, Source, Stepper, Text, WORK, Window, clamp, load_function, windows, word};

/// Batch entries of one invocation, where nothing was measured.
const BLOCK: usize = 4;
/// Invocations of one workgroup of the interpolation; cells of a spread's tile.
const GROUP: usize = 64;
const CELLS: usize = 256;
/// Added to a footprint's first cell within a tile, so that it is not negative.
const BIAS: i64 = 64;

/// The parts of a spread's tiles: the lists of each fit a binding.
pub(super) fn parts(points: &Points, limits: &GpuLimits) -> Parts {
    points.bins().parts(limits.bindable())
}

/// How many footprints a spread stages in workgroup memory at a time: packed first cell, weights, samples of a block. None where
/// too few would fit. On a CPU that plays a GPU too it takes no longer for one coil and three quarters of the time for eight.
pub(super) fn staged(points: &Points, limits: &GpuLimits) -> Option<usize> {
    let each = 4 + 4 * points.stride() + 8 * super::BLOCK;
    if limits.max_invocations < 256 {
        return None;
    }
    [32, 16, 8].into_iter().find(|batch| batch * each <= limits.workgroup_memory as usize)
}

impl GpuKernel for InterpolateKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        let job = Job::new(s, self);
        if self.spreads { spread::drafts(&job) } else { interpolate::drafts(&job) }
    }
}

/// Points whose records one binding holds.
struct Segment {
    first: usize,
    count: usize,
    /// Place, first cells, and weights or fractions of every point, one after the other.
    records: List,
}

/// What all dispatches of one step have in common.
struct Job<'a> {
    s: &'a Stepper,
    load: Load,
    points: &'a Points,
    weights: Weights,
    batch: usize,
    /// Elements of one batch entry of the load, and of the result.
    row: (usize, usize),
    segments: Vec<Segment>,
}

/// Points of one dispatch whose reads of so many entries take no longer than a watchdog allows.
fn points_in_time(taps: usize, entries: usize) -> usize {
    let each = 8u64.saturating_mul(taps as u64).saturating_mul(entries as u64).max(1);
    usize::try_from(WORK / each).unwrap_or(usize::MAX)
}

impl<'a> Job<'a> {
    fn new(s: &'a Stepper, kernel: &'a InterpolateKernel) -> Job<'a> {
        let (load, points, weights) = (&kernel.load, &kernel.points, kernel.weights);
        let batch = load.extents[0];
        let row = (load.extents[1..].iter().product(), kernel.output_len() / batch);
        let mut job = Job { s, load: load.collapsed(), points, weights, batch, row, segments: Vec::new() };
        job.segments = job.segments();
        job
    }

    /// Axes of the grid.
    fn rank(&self) -> usize {
        self.points.grid().len()
    }

    /// Weights or fractions of a point.
    fn values(&self) -> usize {
        match self.weights {
            Weights::Table => self.points.stride(),
            Weights::Polynomials => self.rank(),
        }
    }

    /// Words of a record.
    fn width(&self) -> usize {
        1 + self.rank() + self.values()
    }

    /// The points in stretches whose records a binding holds, and which take no longer than a watchdog allows.
    fn segments(&self) -> Vec<Segment> {
        let (width, values) = (self.width(), self.values());
        let taps: usize = self.points.taps().iter().product();
        let most = points_in_time(taps, self.entries(0, BLOCK));
        let size = (self.s.bindable(4) as usize / width).min(most) / GROUP * GROUP;
        let size = size.max(1);
        let segment = |first: usize| {
            let count = size.min(self.points.count() - first);
            let (points, weights, d) = (self.points.clone(), self.weights, self.rank());
            let records = move || {
                let all = match (weights, points.polynomials()) {
                    (Weights::Polynomials, Some(p)) => p.fractions,
                    _ => points.weights(),
                };
                let mut words = Vec::with_capacity(count * width);
                for i in first..first + count {
                    words.push(points.order()[i]);
                    words.extend(&points.cells()[i][..d]);
                    words.extend(all[i * values..(i + 1) * values].iter().map(|w| w.to_bits()));
                }
                words
            };
            let what = match self.weights {
                Weights::Table => "records with weights",
                Weights::Polynomials => "records with fractions",
            };
            let part = (first, first + count);
            Segment { first, count, records: List::made(self.points.address(), what, part, count * width, records) }
        };
        (0..self.points.count()).step_by(size).map(segment).collect()
    }

    /// Batch entries of one dispatch.
    fn entries(&self, others: usize, block: usize) -> usize {
        let bindable = self.s.limits.bindable();
        let fits = (bindable / self.row.0.max(self.row.1).max(others)).max(1);
        // Whole blocks, where several fit.
        if fits > block { fits / block * block } else { fits }.min(self.batch)
    }

    /// The windows of the source for batch entries `first..first + entries`.
    fn sources(&self, first: usize, entries: usize) -> Vec<Window> {
        let source = &self.s.sources[0];
        let ranges = self.ranges(first, entries);
        windows(clamp(self.load.source.footprint(&ranges), source.len), self.s.bindable(source.element()))
    }

    fn ranges(&self, first: usize, entries: usize) -> Vec<(i64, i64)> {
        Stepper::ranges(&self.load, (first * self.row.0, (first + entries) * self.row.0))
    }

    /// Binds the source and its weights, and writes `load0(lin, 0u)`; gives the next free binding.
    fn read(&self, t: &mut Text, first: usize, entries: usize, window: Window) -> Result<u32> {
        let source = &self.s.sources[0];
        t.bind(4, Operand::Value(source.value), source.element(), window, "read", "x");
        let mut number = 5;
        let ranges = self.ranges(first, entries);
        let mut named = Vec::new();
        for f in &self.load.factors {
            let element = if f.weight.is_complex() { 8 } else { 4 };
            let footprint = clamp(f.access.footprint(&ranges), f.weight.len());
            let w = self.s.one("an interpolation's weight", footprint, element)?;
            let name = format!("w{number}");
            t.bind(number, Operand::Constant(f.weight.clone()), element, w, "read", &name);
            named.push((name, f.weight.is_complex(), w));
            number += 1;
        }
        let weights: Vec<Source> =
            named.iter().map(|(name, complex, window)| Source { name, complex: *complex, window: *window }).collect();
        let x = Source { name: "x", complex: source.complex, window };
        let rank = self.load.extents.len();
        t.body += &load_function("load0", &self.load, rank, self.s.complex, &x, &weights, &mut t.words);
        t.param("row", word("a batch entry", self.row.0)?);
        t.param("low", word("a batch entry", first * self.row.0)?);
        t.param("entries", word("the batch", entries)?);
        Ok(number)
    }

    /// Binds the records of some points, and the polynomials that their fractions belong to; gives the next free binding.
    fn bind_points(&self, t: &mut Text, segment: &Segment, number: u32) -> Result<u32> {
        t.bind_list(number, &segment.records, "records");
        t.param("points", word("the points", segment.count)?);
        t.param("stride", word("a record", self.width())?);
        let taps = self.points.taps();
        let (d, mut before) = (self.rank(), 0);
        for (a, (&n, &taps)) in self.points.grid().iter().zip(taps).enumerate() {
            // The last axis is axis 2.
            let own = a + 3 - d;
            t.param(["grid_0", "grid_1", "grid_2"][own], word("an axis", n)?);
            t.defines.set(&format!("AXIS_{own}"), "");
            t.defines.set(&format!("CELL_{own}"), format!("{}u", 1 + a));
            t.defines.set(&format!("TAPS_{own}"), format!("{taps}u"));
            t.defines.set(&format!("OFFSET_{own}"), format!("{before}u"));
            before += taps;
        }
        (0..3 - d).for_each(|a| t.defines.set(&format!("TAPS_{a}"), "1u"));
        t.defines.set("AXES", format!("{d}u"));
        t.defines.set("VALUES", format!("{}u", 1 + d));
        t.defines.set("WEIGHTS", format!("{}u", self.points.stride()));
        if self.points.is_radial() {
            t.defines.set("RADIAL", "");
        }
        if self.weights == Weights::Polynomials {
            t.defines.set("POLYNOMIALS", "");
            t.bind_list(number + 1, &self.coefficients(), "polynomials");
            return Ok(number + 2);
        }
        Ok(number + 1)
    }

    /// The polynomials of all axes as `polynomials.wgsl` reads them: for each axis where its coefficients begin, how many
    /// pairs of them a tap has, its taps, and where its weights begin; then tap by tap even and odd coefficients in turn.
    fn coefficients(&self) -> List {
        let pieces = self.points.polynomials().map_or(&[][..], |p| p.pieces);
        let (mut head, mut all, mut before) = (Vec::new(), Vec::new(), 0u32);
        for p in pieces {
            let pairs = p.terms().div_ceil(2);
            let begin = 4 * pieces.len() + all.len();
            head.extend([begin, pairs, p.taps()].map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
            head.push(before);
            before += u32::try_from(p.taps()).unwrap_or(u32::MAX);
            // Taps at both ends share their even and their odd part.
            for tap in 0..p.taps().div_ceil(2) {
                all.extend((0..2 * pairs).map(|power| match power < p.terms() {
                    true => narrow(p.coefficient(power, tap)).to_bits(),
                    false => 0,
                }));
            }
        }
        head.extend(all);
        let len = head.len();
        let points = self.points.clone();
        List::made(self.points.address(), "polynomials", (0, len), len, move || {
            let _alive = &points;
            head.clone()
        })
    }
}

/// A coefficient as kernels have it: below the normal range compilers differ.
#[allow(clippy::cast_possible_truncation)]
fn narrow(c: f64) -> f32 {
    if c.abs() < 1e-30 { 0.0 } else { c as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_dispatch_reads_for_longer_than_a_watchdog_allows() {
        for taps in [4, 36, 216, 1000] {
            for entries in [1, 3, 4, 64, 1000] {
                let points = points_in_time(taps, entries);
                assert!(points > 0 && (points * taps * entries * 8) as u64 <= WORK, "{taps} taps, {entries} entries: {points}");
            }
        }
    }
}
