//! Kernels between grids and points.
//!
//! Windows: a dispatch takes as many batch entries as its bindings hold. Where one entry's source is larger than a binding, it
//! goes through windows that read as 0 outside and whose results add up; where its results are, a spread is cut along the
//! grid's first axis, and an interpolation stores what lies in its window.

mod horner;
mod interpolate;
mod lists;
mod spread;
mod staged;

use super::draft::{Chunk, Draft, Operand, Stepper, clamp, windows};
use super::read::{Source, Window, load_function};
use super::text::Text;
use crate::error::{Error, Result};
use crate::program::points::Weights;
use crate::program::{Kernel, Load, Points};
use std::sync::Arc;

/// Batch entries of one invocation.
const BLOCK: usize = 4;
/// Invocations of one workgroup of the interpolation; cells of a spread's tile.
const GROUP: usize = 64;
const CELLS: usize = 256;
/// Added to a footprint's first cell within a tile, so that it is not negative.
const BIAS: i64 = 64;

/// The dispatches of an interpolation or a spread.
pub(super) fn drafts(s: &Stepper) -> Result<Vec<Draft>> {
    match &s.step.kernel {
        Kernel::Interpolate { load, points, weights, .. } => interpolate::drafts(&Job::new(s, load, points, *weights)),
        Kernel::Spread { load, points, weights, work } => spread::drafts(&Job::new(s, load, points, *weights), *work),
        _ => Err(Error::Device("not a kernel between grid and points".into())),
    }
}

/// Points whose records one binding holds.
struct Segment {
    first: usize,
    count: usize,
    /// Place, first cells, and weights or fractions of every point, one after the other.
    records: Arc<Vec<u32>>,
}

/// Words of a record.
fn width(points: &Points, weights: Weights) -> usize {
    let axes = points.grid().len();
    1 + axes
        + match weights {
            Weights::Table => points.stride(),
            Weights::Polynomials => axes,
        }
}

/// The points in stretches of at most `size` words.
fn segments(points: &Points, weights: Weights, size: usize) -> Vec<Segment> {
    let (d, width) = (points.grid().len(), width(points, weights));
    let each = width - 1 - d;
    let values = match (weights, points.polynomials()) {
        (Weights::Polynomials, Some(p)) => p.fractions,
        _ => points.weights(),
    };
    let size = (size / width / GROUP * GROUP).max(1);
    let segment = |first: usize| {
        let count = size.min(points.count() - first);
        let mut words = Vec::with_capacity(count * width);
        for i in first..first + count {
            words.push(points.order()[i]);
            words.extend(&points.cells()[i][..d]);
            words.extend(values[i * each..(i + 1) * each].iter().map(|w| w.to_bits()));
        }
        Segment { first, count, records: Arc::new(words) }
    };
    (0..points.count()).step_by(size).map(segment).collect()
}

/// What all dispatches of one step have in common.
struct Job<'a> {
    s: &'a Stepper<'a>,
    load: Load,
    points: &'a Points,
    weights: Weights,
    batch: usize,
    /// Elements of one batch entry of the load, and of the result.
    row: (usize, usize),
    segments: Vec<Segment>,
}

impl<'a> Job<'a> {
    fn new(s: &'a Stepper, load: &Load, points: &'a Points, weights: Weights) -> Job<'a> {
        let batch = load.extents[0];
        let row = (load.extents[1..].iter().product(), s.step.kernel.output_len() / batch);
        let segments = segments(points, weights, s.room(4) as usize);
        Job { s, load: load.collapsed(), points, weights, batch, row, segments }
    }

    /// Words of a record.
    fn width(&self) -> usize {
        width(self.points, self.weights)
    }

    fn element(&self) -> u64 {
        if self.s.complex() { 8 } else { 4 }
    }

    /// Batch entries of one dispatch.
    fn entries(&self, others: usize, block: usize) -> usize {
        let room = self.s.room(8) as usize;
        let fits = (room / self.row.0.max(self.row.1).max(others)).max(1);
        // Whole blocks, where several fit.
        if fits > block { fits / block * block } else { fits }.min(self.batch)
    }

    /// The windows of the source for batch entries `first..first + entries`.
    fn sources(&self, first: usize, entries: usize) -> Vec<Window> {
        let value = &self.s.plan.values[self.load.value.at()];
        let ranges = self.s.ranges(&self.load, Chunk { first: first * self.row.0, count: entries * self.row.0 });
        windows(clamp(self.load.source.footprint(&ranges), value.len()), self.s.room(value.element_bytes()))
    }

    /// Binds the source and its weights, and writes `value(lin)`.
    fn read(&self, t: &mut Text, first: usize, entries: usize, source: Window, number: &mut u32) -> Result<()> {
        let value = &self.s.plan.values[self.load.value.at()];
        t.bind(*number, Operand::Value(self.load.value), value.element_bytes(), source, "read", "x");
        *number += 1;
        let ranges = self.s.ranges(&self.load, Chunk { first: first * self.row.0, count: entries * self.row.0 });
        let mut named = Vec::new();
        for f in &self.load.factors {
            let element = if f.weight.is_complex() { 8 } else { 4 };
            let w = one(clamp(f.access.footprint(&ranges), f.weight.len()), self.s.room(element), element)?;
            let name = format!("w{number}");
            t.bind(*number, Operand::Constant(f.weight.clone()), element, w, "read", &name);
            named.push((name, f.weight.is_complex(), w));
            *number += 1;
        }
        let weights: Vec<Source> = named.iter().map(|(n, c, w)| Source { name: n, complex: *c, window: *w }).collect();
        let x = Source { name: "x", complex: value.complex, window: source };
        let rank = self.load.extents.len();
        let text = load_function("value", &self.load, rank, self.s.complex(), &x, &weights, &mut t.words);
        t.body += &text;
        Ok(())
    }

    fn bind_list(&self, t: &mut Text, list: &Arc<Vec<u32>>, name: &str, number: &mut u32) {
        let w = Window { first: 0, len: list.len() as u64, guarded: false };
        t.bind(*number, Operand::List(list.clone()), 4, w, "read", name);
        *number += 1;
    }

    /// The weight of tap (i0, i1 …) of the record at word `r`, which holds a table.
    fn weight(&self, t: &mut Text) -> String {
        let taps = self.points.taps();
        let first = t.words.u32(1 + taps.len() as u32);
        if self.points.is_radial() {
            let mut at = "i0".to_string();
            for (a, n) in taps.iter().enumerate().skip(1) {
                let n = t.words.u32(*n as u32);
                at = format!("({at}) * {n} + i{a}");
            }
            return format!("bitcast<f32>(records[r + {first} + {at}])");
        }
        let mut before = 0;
        let mut all = Vec::new();
        for (a, n) in taps.iter().enumerate() {
            let skip = t.words.u32(before);
            all.push(format!("bitcast<f32>(records[r + {first} + {skip} + i{a}])"));
            before += *n as u32;
        }
        all.join(" * ")
    }
}

/// The one window that an operand must fit.
fn one(footprint: (i64, i64), room: u64, element: u64) -> Result<Window> {
    match &windows(footprint, room)[..] {
        [one] => Ok(*one),
        _ => Err(Error::TooBig {
            what: "one operand of an interpolation".into(),
            needed: element * (footprint.1 - footprint.0 + 1) as u64,
            limit: element * room,
        }),
    }
}
