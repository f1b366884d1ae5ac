//! Kernels between grids and points.
//!
//! Windows: a dispatch takes as many batch entries as its bindings hold. Where one entry's source is larger than a binding, it
//! goes through windows that read as 0 outside and whose results add up; where its results are, a spread is cut along the
//! grid's first axis, and an interpolation stores what lies in its window.

use super::draft::{Chunk, Draft, Operand, Stepper, clamp, windows};
use super::read::{Source, Window, load_function};
use super::text::Text;
use crate::error::{Error, Result};
use crate::program::points::Parts;
use crate::program::{Kernel, Load, Points, ValueId};
use std::fmt::Write;
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
        Kernel::Interpolate { load, points, .. } => interpolate(s, load, points),
        Kernel::Spread { load, points, work } => spread(s, load, points, *work),
        _ => Err(Error::Device("not a kernel between grid and points".into())),
    }
}

/// Place, first cells and weights of every point, one after the other.
fn records(points: &Points) -> Vec<u32> {
    let d = points.grid().len();
    let mut words = Vec::with_capacity(points.count() * width(points));
    for ((&m, cell), w) in points.order().iter().zip(points.cells()).zip(points.weights().chunks_exact(points.stride()))
    {
        words.push(m);
        words.extend(&cell[..d]);
        words.extend(w.iter().map(|w| w.to_bits()));
    }
    words
}

/// Words of a record.
fn width(points: &Points) -> usize {
    1 + points.grid().len() + points.stride()
}

/// What all dispatches of one step have in common.
struct Job<'a> {
    s: &'a Stepper<'a>,
    load: Load,
    points: &'a Points,
    batch: usize,
    /// Elements of one batch entry of the load, and of the result.
    row: (usize, usize),
    records: Arc<Vec<u32>>,
}

impl<'a> Job<'a> {
    fn new(s: &'a Stepper, load: &Load, points: &'a Points) -> Job<'a> {
        let batch = load.extents[0];
        let row = (load.extents[1..].iter().product(), s.step.kernel.output_len() / batch);
        Job { s, load: load.collapsed(), points, batch, row, records: Arc::new(records(points)) }
    }

    fn element(&self) -> u64 {
        if self.s.complex() { 8 } else { 4 }
    }

    /// Batch entries of one dispatch.
    fn entries(&self, others: usize) -> Result<usize> {
        let room = self.s.room(8) as usize;
        let fits = (room / self.row.0.max(self.row.1).max(others)).max(1);
        // Whole blocks, where several fit.
        Ok(if fits > BLOCK { fits / BLOCK * BLOCK } else { fits }.min(self.batch))
    }

    /// Windows of records: (first, count).
    fn segments(&self) -> Vec<(usize, usize)> {
        let size = (self.s.room(4) as usize / width(self.points) / GROUP * GROUP).max(1);
        let count = self.points.count();
        (0..count).step_by(size).map(|at| (at, size.min(count - at))).collect()
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

    fn bind_list(
        &self,
        t: &mut Text,
        list: &Arc<Vec<u32>>,
        (first, len): (usize, usize),
        name: &str,
        number: &mut u32,
    ) {
        let w = Window { first: first as u64, len: len as u64, guarded: false };
        t.bind(*number, Operand::List(list.clone()), 4, w, "read", name);
        *number += 1;
    }

    /// The weight of tap (i0, i1 …) of the record at word `r`.
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

fn interpolate(s: &Stepper, load: &Load, points: &Points) -> Result<Vec<Draft>> {
    let job = Job::new(s, load, points);
    let entries = job.entries(0)?;
    let mut all = Vec::new();
    for first in (0..job.batch).step_by(entries) {
        let n = entries.min(job.batch - first);
        let start = s.step.store.start + first * job.row.1;
        let results = windows((start as i64, (start + n * job.row.1) as i64 - 1), s.room(job.element()));
        for dst in results {
            // Each result window is made by itself: its first dispatch stores, the others add.
            for (k, source) in job.sources(first, n).into_iter().enumerate() {
                for segment in job.segments() {
                    all.push(interpolation(&job, (first, n), dst, source, segment, k > 0)?);
                }
            }
        }
    }
    Ok(all)
}

fn interpolation(
    job: &Job,
    (first, entries): (usize, usize),
    dst: Window,
    source: Window,
    segment: (usize, usize),
    add: bool,
) -> Result<Draft> {
    let (points, words) = (job.points, width(job.points));
    let (mut t, mut number) = (Text::new(job.s.complex()), 4);
    t.bind(3, Operand::Value(job.s.step.store.value), job.element(), dst, "read_write", "dst");
    job.read(&mut t, first, entries, source, &mut number)?;
    // Windows start at whole 256 bytes: what lies in front of the segment is skipped.
    let (from, to) = (segment.0 * words / 64 * 64, (segment.0 + segment.1) * words);
    job.bind_list(&mut t, &job.records, (from, to - from), "records", &mut number);
    let block = BLOCK.min(entries);
    let d = points.grid().len();
    let weight = job.weight(&mut t);
    let skip = t.words.u32((segment.0 * words - from) as u32);
    let (row, out) = (t.words.u32(job.row.0 as u32), t.words.u32(job.row.1 as u32));
    let (low, results) = (t.words.u32((first * job.row.0) as u32), t.words.u32(entries as u32));
    let base = t.words.signed((job.s.step.store.start + first * job.row.1) as i64 - dst.first as i64);
    let len = t.words.u32(dst.len as u32);
    let mut f = format!("fn point(start: u32, b: u32) {{\n    let r = start + {skip};\n    let m = records[r];\n");
    for c in 0..block {
        // Beyond the last entry the last is read again and not stored.
        let _ = writeln!(f, "    let b{c} = min(b + {c}u, {results} - 1u);\n    let at{c} = {low} + b{c} * {row};");
        let _ = writeln!(f, "    var sum{c} = T();");
    }
    let mut pad = "    ".to_string();
    for a in 0..d {
        let (n, taps) = (t.words.u32(points.grid()[a] as u32), t.words.u32(points.taps()[a] as u32));
        let _ = writeln!(f, "{pad}for (var i{a} = 0u; i{a} < {taps}; i{a} += 1u) {{");
        pad += "    ";
        // Below n the difference wraps around to a large number.
        let _ = writeln!(f, "{pad}let c{a} = records[r + {}u] + i{a};\n{pad}let n{a} = min(c{a}, c{a} - {n});", a + 1);
        let flat = if a == 0 { "n0".into() } else { format!("l{} * {n} + n{a}", a - 1) };
        let _ = writeln!(f, "{pad}let l{a} = {flat};");
    }
    let _ = writeln!(f, "{pad}let w = {weight};");
    for c in 0..block {
        let _ = writeln!(f, "{pad}sum{c} += w * value(at{c} + l{}, 0u);", d - 1);
    }
    for _ in 0..d {
        pad.truncate(pad.len() - 4);
        let _ = writeln!(f, "{pad}}}");
    }
    let op = if add { "+=" } else { "=" };
    for c in 0..block {
        let _ = writeln!(f, "    let o{c} = {base} + (b + {c}u) * {out} + m;");
        let _ = writeln!(f, "    if (b + {c}u < {results} && o{c} < {len}) {{\n        dst[o{c}] {op} sum{c};\n    }}");
    }
    f += "}\n";
    t.body += &f;
    t.define("BLOCK", &format!("{block}u"));
    let head = [segment.1 as u32, 0, 0, words as u32, entries as u32, 0, 0, 0];
    let blocks = entries.div_ceil(block);
    t.finish("interpolate", head, ((segment.1 * blocks) as u64).div_ceil(GROUP as u64))
}

/// Lists of a spread.
struct Lists {
    entries: Arc<Vec<u32>>,
    parts: Arc<Vec<u32>>,
    heavy: Arc<Vec<u32>>,
    made: Parts,
}

impl Lists {
    fn new(points: &Points) -> Lists {
        let made = points.bins().parts();
        let d = points.grid().len();
        let packed = |first: &[i16; 3]| (0..d).fold(0, |p, a| p | ((i64::from(first[a]) + BIAS) as u32) << (10 * a));
        let entries = points.bins().all().iter().flat_map(|e| [e.point, packed(&e.first)]).collect();
        let (parts, heavy) = (made.parts.as_flattened().to_vec(), made.heavy.as_flattened().to_vec());
        Lists { entries: Arc::new(entries), parts: Arc::new(parts), heavy: Arc::new(heavy), made }
    }
}

fn spread(s: &Stepper, load: &Load, points: &Points, work: Option<ValueId>) -> Result<Vec<Draft>> {
    let (job, lists) = (Job::new(s, load, points), Lists::new(points));
    let room = s.room(8) as usize;
    let summed = lists.made.slots * CELLS;
    for (what, words) in [("list of footprints", lists.entries.len()), ("list of tiles", lists.parts.len())] {
        if words as u64 > s.room(4) {
            let (needed, limit) = (4 * words as u64, 4 * s.room(4));
            return Err(Error::TooBig { what: format!("the {what} of {points:?}"), needed, limit });
        }
    }
    if summed > room {
        let (needed, limit) = (8 * summed as u64, 8 * room as u64);
        return Err(Error::TooBig { what: format!("the partial sums of {points:?}"), needed, limit });
    }
    let entries = job.entries(summed)?;
    // Rows of tiles whose cells one binding holds.
    let (bins, inner) = (points.bins(), job.row.1 / points.grid()[0]);
    let (tile, rows) = (bins.extents()[0], bins.counts()[0]);
    let per_row: usize = bins.counts()[1..].iter().product();
    let tall = if job.row.1 <= room { rows } else { room / (tile * inner) };
    if tall == 0 {
        let (needed, limit) = (8 * (tile * inner) as u64, 8 * room as u64);
        return Err(Error::TooBig { what: "a row of tiles".into(), needed, limit });
    }
    let mut all = Vec::new();
    for first in (0..job.batch).step_by(entries) {
        let n = entries.min(job.batch - first);
        for slab in (0..rows).step_by(tall) {
            let end = rows.min(slab + tall);
            let cells = (slab * tile * inner, (end * tile).min(points.grid()[0]) * inner);
            let at = s.step.store.start + first * job.row.1;
            let footprint = ((at + cells.0) as i64, (at + (n - 1) * job.row.1 + cells.1) as i64 - 1);
            let dst = one(footprint, s.room(job.element()), job.element())?;
            let tiles = (slab * per_row, end * per_row);
            let mut add = false;
            for source in job.sources(first, n) {
                for segment in job.segments() {
                    all.push(tiles_of(&job, &lists, (first, n), dst, source, segment, tiles, work, add)?);
                    add = true;
                }
            }
            all.extend(sums_of(&job, &lists, (first, n), dst, tiles, work)?);
        }
    }
    Ok(all)
}

/// Stretches of the sorted list of parts or heavy tiles that belong to a range of tiles.
fn belonging<const N: usize>(list: &[[u32; N]], tiles: (usize, usize)) -> (usize, usize) {
    let below = |t: usize| list.partition_point(|p| (p[0] as usize) < t);
    (below(tiles.0), below(tiles.1))
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

/// One dispatch over parts of tiles.
#[allow(clippy::too_many_arguments)]
fn tiles_of(
    job: &Job,
    lists: &Lists,
    (first, entries): (usize, usize),
    dst: Window,
    source: Window,
    segment: (usize, usize),
    tiles: (usize, usize),
    work: Option<ValueId>,
    add: bool,
) -> Result<Draft> {
    let (points, words) = (job.points, width(job.points));
    let (mut t, mut number) = (Text::new(job.s.complex()), 4);
    t.bind(3, Operand::Value(job.s.step.store.value), job.element(), dst, "read_write", "dst");
    job.read(&mut t, first, entries, source, &mut number)?;
    let (from, to) = (segment.0 * words / 64 * 64, (segment.0 + segment.1) * words);
    job.bind_list(&mut t, &job.records, (from, to - from), "records", &mut number);
    job.bind_list(&mut t, &lists.entries, (0, lists.entries.len()), "entries", &mut number);
    job.bind_list(&mut t, &lists.parts, (0, lists.parts.len()), "parts", &mut number);
    let slots = lists.made.slots;
    if let Some(w) = work {
        let start = (first * slots * CELLS) as i64;
        let window =
            one((start, start + (entries * slots * CELLS) as i64 - 1), job.s.room(job.element()), job.element())?;
        t.bind(number, Operand::Value(w), job.element(), window, "read_write", "work");
    }
    let block = BLOCK.min(entries);
    let (cell, places) = cell_function(job, &mut t);
    t.body += &cell;
    let weight = job.weight(&mut t);
    let (skip, count) = (t.words.u32((segment.0 * words - from) as u32), t.words.u32(segment.1 as u32));
    let begin = t.words.u32(segment.0 as u32);
    let (row, out) = (t.words.u32(job.row.0 as u32), t.words.u32(job.row.1 as u32));
    let (low, results) = (t.words.u32((first * job.row.0) as u32), t.words.u32(entries as u32));
    let base = t.words.signed((job.s.step.store.start + first * job.row.1) as i64 - dst.first as i64);
    let (slots, op) = (t.words.u32(slots as u32), if add { "+=" } else { "=" });
    let mut f = "fn tile_part(part: u32, b: u32, lid: u32) {\n".to_string();
    f += "    let tile = parts[4u * part];\n    let cell = cell_of(tile, lid);\n";
    for c in 0..block {
        let _ = writeln!(f, "    let at{c} = {low} + min(b + {c}u, {results} - 1u) * {row};\n    var sum{c} = T();");
    }
    f += "    let last = parts[4u * part + 2u];\n";
    f += "    for (var e = parts[4u * part + 1u]; e < last; e += 1u) {\n";
    f += "        let s = entries[2u * e];\n        let packed = entries[2u * e + 1u];\n";
    let mut checks = vec![format!("s - {begin} < {count}")];
    for (a, place) in places.iter().enumerate() {
        let taps = t.words.u32(points.taps()[a] as u32);
        // Before the footprint the difference wraps around to a large number.
        let _ = writeln!(f, "        let i{a} = {place} + {BIAS}u - ((packed >> {}u) & 1023u);", 10 * a);
        checks.push(format!("i{a} < {taps}"));
    }
    let _ = writeln!(f, "        if ({}) {{", checks.join(" && "));
    let record = t.words.u32(words as u32);
    let _ = writeln!(f, "            let r = (s - {begin}) * {record} + {skip};");
    let _ = writeln!(f, "            let m = records[r];\n            let w = {weight};");
    for c in 0..block {
        let _ = writeln!(f, "            sum{c} += w * value(at{c} + m, 0u);");
    }
    f += "        }\n    }\n";
    let stores = |f: &mut String, pad: &str, index: &dyn Fn(usize) -> String, name: &str| {
        for c in 0..block {
            let _ =
                writeln!(f, "{pad}if (b + {c}u < {results}) {{\n{pad}    {name}[{}] {op} sum{c};\n{pad}}}", index(c));
        }
    };
    let own = |c: usize| format!("{base} + (b + {c}u) * {out} + cell");
    if work.is_some() {
        f += "    let slot = parts[4u * part + 3u];\n    if (slot > 0u) {\n";
        stores(&mut f, "        ", &|c| format!("((b + {c}u) * {slots} + slot - 1u) * {CELLS}u + lid"), "work");
        f += "        return;\n    }\n";
    }
    f += "    if (cell != 0xffffffffu) {\n";
    stores(&mut f, "        ", &own, "dst");
    f += "    }\n}\n";
    t.body += &f;
    t.define("BLOCK", &format!("{block}u"));
    let (begin, end) = belonging(&lists.made.parts, tiles);
    let head = [(end - begin) as u32, 0, 0, 0, entries as u32, 0, begin as u32, 0];
    t.finish("spread", head, ((end - begin) * entries.div_ceil(block)) as u64)
}

/// The dispatch that adds up the parts of tiles that have several.
fn sums_of(
    job: &Job,
    lists: &Lists,
    (first, entries): (usize, usize),
    dst: Window,
    tiles: (usize, usize),
    work: Option<ValueId>,
) -> Result<Option<Draft>> {
    let (begin, end) = belonging(&lists.made.heavy, tiles);
    let (Some(work), true) = (work, begin < end) else { return Ok(None) };
    let slots = lists.made.slots;
    let mut t = Text::new(job.s.complex());
    t.bind(3, Operand::Value(job.s.step.store.value), job.element(), dst, "read_write", "dst");
    let start = (first * slots * CELLS) as i64;
    let window = one((start, start + (entries * slots * CELLS) as i64 - 1), job.s.room(job.element()), job.element())?;
    t.bind(4, Operand::Value(work), job.element(), window, "read", "work");
    let mut number = 5;
    job.bind_list(&mut t, &lists.heavy, (0, lists.heavy.len()), "heavy", &mut number);
    let (cell, _) = cell_function(job, &mut t);
    t.body += &cell;
    let (slots, out) = (t.words.u32(slots as u32), t.words.u32(job.row.1 as u32));
    let base = t.words.signed((job.s.step.store.start + first * job.row.1) as i64 - dst.first as i64);
    let skip = t.words.signed(start - window.first as i64);
    let _ = write!(
        t.body,
        "fn tile_sum(tile: u32, b: u32, lid: u32) {{
    let cell = cell_of(heavy[3u * tile], lid);
    var sum = T();
    for (var k = heavy[3u * tile + 1u]; k < heavy[3u * tile + 2u]; k += 1u) {{
        sum += work[{skip} + (b * {slots} + k) * {CELLS}u + lid];
    }}
    if (cell != 0xffffffffu) {{
        dst[{base} + b * {out} + cell] = sum;
    }}
}}
"
    );
    let head = [(end - begin) as u32, 0, 0, 0, entries as u32, 0, begin as u32, 0];
    t.finish("spread_sum", head, ((end - begin) * entries) as u64).map(Some)
}
