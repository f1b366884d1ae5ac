//! From points to a grid: a workgroup has one part of a tile's footprints and a block of the batch, each invocation one cell.

use super::lists::{Heavy, Lists, Stretch};
use super::*;
use crate::program::{ValueId, spread_batch};
use std::fmt::Write;
use std::ops::Range;

/// Batch entries of one invocation where footprints are staged: samples come from workgroup memory, so more of them pay.
const STAGED_BLOCK: usize = 8;

/// Words and numbers that the text of both forms uses.
pub(super) struct Common {
    /// Batch entries of an invocation.
    pub block: usize,
    /// The invocation's place in its tile along each axis.
    pub places: Vec<String>,
    /// The first point of the segment, and how many it has.
    pub begin: String,
    pub count: String,
    /// Samples of one batch entry, the first sample, and the number of batch entries.
    pub row: String,
    pub low: String,
    pub results: String,
}

/// What is made at once: batch entries, and a slab of tiles whose cells one binding holds.
struct Slab<'a> {
    job: &'a Job<'a>,
    lists: &'a Lists<'a>,
    work: Option<ValueId>,
    first: usize,
    entries: usize,
    dst: Window,
    /// Footprints that are staged together; None: each invocation reads for itself.
    staged: Option<usize>,
}

pub(super) fn drafts(job: &Job, work: Option<ValueId>) -> Result<Vec<Draft>> {
    let (s, points, lists) = (job.s, job.points, Lists::new(job));
    let staged = spread_batch(&s.plan.target, points);
    let block = if staged.is_some() { STAGED_BLOCK } else { BLOCK };
    let room = s.room(8) as usize;
    let entries = job.entries(lists.slots() * CELLS, block);
    // Rows of tiles whose cells one binding holds.
    let (bins, inner) = (points.bins(), job.row.1 / points.grid()[0]);
    let (tile, rows) = (bins.extents()[0], bins.counts()[0]);
    let per_row: usize = bins.counts()[1..].iter().product();
    let tall = if job.row.1 <= room { rows } else { room / (tile * inner) };
    if tall == 0 {
        let (needed, limit) = (8 * (tile * inner) as u64, 8 * room as u64);
        return Err(Error::TooBig { what: "a row of tiles".into(), needed, limit });
    }
    let slabs: Vec<Range<usize>> = (0..rows).step_by(tall).map(|r| r..rows.min(r + tall)).collect();
    let of = |r: &Range<usize>| r.start * per_row..r.end * per_row;
    let stretches: Vec<Vec<Stretch>> = slabs.iter().map(|r| lists.stretches(&of(r))).collect();
    let heavy: Vec<Vec<Heavy>> = slabs.iter().map(|r| lists.heavy(&of(r))).collect();
    let mut all = Vec::new();
    for first in (0..job.batch).step_by(entries) {
        let n = entries.min(job.batch - first);
        for (k, rows) in slabs.iter().enumerate() {
            let cells = (rows.start * tile * inner, (rows.end * tile).min(points.grid()[0]) * inner);
            let at = s.step.store.start + first * job.row.1;
            let footprint = ((at + cells.0) as i64, (at + (n - 1) * job.row.1 + cells.1) as i64 - 1);
            let dst = one(footprint, s.room(job.element()), job.element())?;
            let slab = Slab { job, lists: &lists, work, first, entries: n, dst, staged };
            for stretch in &stretches[k] {
                let mut add = false;
                for source in job.sources(first, n) {
                    for &segment in &stretch.segments {
                        all.push(slab.parts(stretch, source, &job.segments[segment], add)?);
                        add = true;
                    }
                }
            }
            for heavy in &heavy[k] {
                all.extend(slab.sums(heavy)?);
            }
        }
    }
    Ok(all)
}

/// `fn cell_of(tile, lid)`: the flat index of an invocation's cell in the grid, or a large number outside of it; and the
/// invocation's place along each axis as text.
fn cell_function(job: &Job, t: &mut Text) -> (String, Vec<String>) {
    let (points, bins) = (job.points, job.points.bins());
    let d = points.grid().len();
    let mut f = "fn cell_of(tile: u32, lid: u32) -> u32 {\n    var rest = tile;\n".to_string();
    let mut places = vec![String::new(); d];
    let (mut flat, mut inside) = (String::new(), Vec::new());
    let mut below = 1u32;
    for a in (0..d).rev() {
        let extent = bins.extents()[a] as u32;
        places[a] = format!("(lid / {below}u) % {extent}u");
        below *= extent;
    }
    for a in (0..d).rev() {
        let (count, extent) = (t.words.u32(bins.counts()[a] as u32), bins.extents()[a]);
        let _ = writeln!(f, "    let c{a} = rest % {count} * {extent}u + {};\n    rest = rest / {count};", places[a]);
    }
    for a in 0..d {
        let n = t.words.u32(points.grid()[a] as u32);
        inside.push(format!("c{a} < {n}"));
        flat = if a == 0 { "c0".into() } else { format!("({flat}) * {n} + c{a}") };
    }
    let _ = writeln!(f, "    return select(0xffffffffu, {flat}, {});\n}}", inside.join(" && "));
    (f, places)
}

impl Slab<'_> {
    /// The sums of these slots, for all batch entries.
    fn window(&self, slots: &Range<usize>) -> Result<Window> {
        let (all, element) = (self.lists.slots(), self.job.element());
        let first = ((self.first * all + slots.start) * CELLS) as i64;
        let end = (((self.first + self.entries - 1) * all + slots.end) * CELLS) as i64;
        one((first, end.max(first + 1) - 1), self.job.s.room(element), element)
    }

    /// Index of the first result of the batch within the bound window.
    fn base(&self) -> i64 {
        (self.job.s.step.store.start + self.first * self.job.row.1) as i64 - self.dst.first as i64
    }

    /// One dispatch over parts of tiles.
    fn parts(&self, stretch: &Stretch, source: Window, segment: &Segment, add: bool) -> Result<Draft> {
        let Slab { job, entries, .. } = *self;
        let (mut t, mut number) = (Text::new(job.s.complex()), 4);
        t.bind(3, Operand::Value(job.s.step.store.value), job.element(), self.dst, "read_write", "dst");
        job.read(&mut t, self.first, entries, source, &mut number)?;
        job.bind_list(&mut t, &segment.records, "records", &mut number);
        job.bind_list(&mut t, &stretch.entries, "entries", &mut number);
        job.bind_list(&mut t, &stretch.parts, "parts", &mut number);
        if let Some(w) = self.work {
            // Slots are whole tiles, so that the window starts with the first of them.
            let window = self.window(&stretch.slots)?;
            t.bind(number, Operand::Value(w), job.element(), window, "read_write", "work");
        }
        let (cell, places) = cell_function(job, &mut t);
        t.body += &cell;
        let common = Common {
            block: if self.staged.is_some() { STAGED_BLOCK } else { BLOCK }.min(entries),
            places,
            begin: t.words.u32(segment.first as u32),
            count: t.words.u32(segment.count as u32),
            row: t.words.u32(job.row.0 as u32),
            low: t.words.u32((self.first * job.row.0) as u32),
            results: t.words.u32(entries as u32),
        };
        let (out, base) = (t.words.u32(job.row.1 as u32), t.words.signed(self.base()));
        let (slots, op) = (t.words.u32(self.lists.slots() as u32), if add { "+=" } else { "=" });
        let (block, results) = (common.block, common.results.clone());
        let mut f = "fn tile_part(part: u32, b: u32, lid: u32) {\n".to_string();
        f += "    let tile = parts[4u * part];\n    let cell = cell_of(tile, lid);\n";
        f += "    let first = parts[4u * part + 1u];\n    let last = parts[4u * part + 2u];\n";
        (0..block).for_each(|c| f += &format!("    var sum{c} = T();\n"));
        match self.staged {
            Some(batch) => staged::body(job, &mut t, &mut f, &common, batch),
            None => alone(job, &mut t, &mut f, &common),
        }
        let stores = |f: &mut String, pad: &str, index: &dyn Fn(usize) -> String, name: &str| {
            for c in 0..block {
                let _ = writeln!(
                    f,
                    "{pad}if (b + {c}u < {results}) {{\n{pad}    {name}[{}] {op} sum{c};\n{pad}}}",
                    index(c)
                );
            }
        };
        let own = |c: usize| format!("{base} + (b + {c}u) * {out} + cell");
        if self.work.is_some() {
            f += "    let slot = parts[4u * part + 3u];\n    if (slot > 0u) {\n";
            stores(&mut f, "        ", &|c| format!("((b + {c}u) * {slots} + slot - 1u) * {CELLS}u + lid"), "work");
            f += "        return;\n    }\n";
        }
        f += "    if (cell != 0xffffffffu) {\n";
        stores(&mut f, "        ", &own, "dst");
        f += "    }\n}\n";
        t.body += &f;
        t.define("BLOCK", &format!("{block}u"));
        let head = [stretch.count as u32, 0, 0, 0, entries as u32, 0, 0, 0];
        t.finish("spread", head, (stretch.count * entries.div_ceil(block)) as u64)
    }

    /// The dispatch that adds up the parts of tiles that have several.
    fn sums(&self, heavy: &Heavy) -> Result<Option<Draft>> {
        let Slab { job, entries, .. } = *self;
        let Some(work) = self.work else { return Ok(None) };
        let mut t = Text::new(job.s.complex());
        t.bind(3, Operand::Value(job.s.step.store.value), job.element(), self.dst, "read_write", "dst");
        t.bind(4, Operand::Value(work), job.element(), self.window(&heavy.slots)?, "read", "work");
        job.bind_list(&mut t, &heavy.list, "heavy", &mut 5);
        let (cell, _) = cell_function(job, &mut t);
        t.body += &cell;
        let (slots, out) = (t.words.u32(self.lists.slots() as u32), t.words.u32(job.row.1 as u32));
        let (base, op) = (t.words.signed(self.base()), if heavy.add { "+=" } else { "=" });
        let _ = write!(
            t.body,
            "fn tile_sum(tile: u32, b: u32, lid: u32) {{
    let cell = cell_of(heavy[3u * tile], lid);
    var sum = T();
    for (var k = heavy[3u * tile + 1u]; k < heavy[3u * tile + 2u]; k += 1u) {{
        sum += work[(b * {slots} + k) * {CELLS}u + lid];
    }}
    if (cell != 0xffffffffu) {{
        dst[{base} + b * {out} + cell] {op} sum;
    }}
}}
"
        );
        let head = [heavy.count as u32, 0, 0, 0, entries as u32, 0, 0, 0];
        t.finish("spread_sum", head, (heavy.count * entries) as u64).map(Some)
    }
}

/// Each invocation walks the list by itself: where the weights of a few footprints are more than workgroup memory.
fn alone(job: &Job, t: &mut Text, f: &mut String, common: &Common) {
    let Common { block, places, begin, count, row, low, results } = common;
    let weight = job.weight(t);
    for c in 0..*block {
        let _ = writeln!(f, "    let at{c} = {low} + min(b + {c}u, {results} - 1u) * {row};");
    }
    *f += "    for (var e = first; e < last; e += 1u) {\n";
    *f += "        let s = entries[2u * e];\n        let packed = entries[2u * e + 1u];\n";
    let mut checks = vec![format!("s - {begin} < {count}")];
    for (a, place) in places.iter().enumerate() {
        let taps = t.words.u32(job.points.taps()[a] as u32);
        // Before the footprint the difference wraps around to a large number.
        let _ = writeln!(f, "        let i{a} = {place} + {BIAS}u - ((packed >> {}u) & 1023u);", 10 * a);
        checks.push(format!("i{a} < {taps}"));
    }
    let _ = writeln!(f, "        if ({}) {{", checks.join(" && "));
    let record = t.words.u32(job.width() as u32);
    let _ = writeln!(f, "            let r = (s - {begin}) * {record};");
    let _ = writeln!(f, "            let m = records[r];\n            let w = {weight};");
    for c in 0..*block {
        let _ = writeln!(f, "            sum{c} += w * value(at{c} + m, 0u);");
    }
    *f += "        }\n    }\n";
}
