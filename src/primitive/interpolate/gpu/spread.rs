//! From points to a grid: a workgroup has one part of a tile's footprints and a block of the batch, each invocation one cell.

use super::choice::spread_shape;
use super::lists::{Heavy, Lists, Stretch};
use super::{BIAS, CELLS, Job, Segment};
use crate::access::ValueId;
use crate::error::{Error, Result};
use crate::shader::{Draft, KernelFile, Operand, Text, Window, word};
use std::ops::Range;

const SPREAD: KernelFile = KernelFile {
    name: "spread",
    text: include_str!("../spread.wgsl"),
    imports: &[("tile", include_str!("../tile.wgsl")), ("polynomials", include_str!("../polynomials.wgsl"))],
};
const SPREAD_SUM: KernelFile = KernelFile {
    name: "spread_sum",
    text: include_str!("../spread_sum.wgsl"),
    imports: &[("tile", include_str!("../tile.wgsl"))],
};

/// What is made at once: batch entries, and a slab of tiles whose cells one binding holds.
struct Slab<'a> {
    job: &'a Job<'a>,
    lists: &'a Lists<'a>,
    first: usize,
    entries: usize,
    dst: Window,
    /// Footprints that are staged together; None: each invocation reads for itself.
    staged: Option<usize>,
    /// Batch entries of an invocation.
    block: usize,
}

pub(super) fn drafts(job: &Job) -> Result<Vec<Draft>> {
    let (s, points, lists) = (job.s, job.points, Lists::new(job));
    let (staged, block) = spread_shape(points, job.batch, &s.limits);
    let bindable = s.limits.bindable();
    // What the lists count by is bounded here, once.
    word("the tiles of a grid", job.points.bins().cells() / CELLS)?;
    word("the parts of a grid's tiles", lists.slots() + 1)?;
    let entries = job.entries(lists.slots() * CELLS, block);
    // Rows of tiles whose cells one binding holds.
    let (bins, inner) = (points.bins(), job.row.1 / points.grid()[0]);
    let (tile, rows) = (bins.extents()[0], bins.counts()[0]);
    let per_row: usize = bins.counts()[1..].iter().product();
    let tall = if job.row.1 <= bindable { rows } else { bindable / (tile * inner) };
    if tall == 0 {
        let (needed, limit) = (8 * (tile * inner) as u64, 8 * bindable as u64);
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
            let at = s.store.start + first * job.row.1;
            let footprint = ((at + cells.0) as i64, (at + (n - 1) * job.row.1 + cells.1) as i64 - 1);
            let dst = s.one("a spread's result", footprint, s.element())?;
            let slab = Slab { job, lists: &lists, first, entries: n, dst, staged, block };
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

impl Slab<'_> {
    /// The sums of these slots, for all batch entries, in the scratch value.
    fn bind_slots(&self, t: &mut Text, number: u32, work: ValueId, slots: &Range<usize>, access: &str) -> Result<()> {
        let (all, s) = (self.lists.slots(), self.job.s);
        let first = ((self.first * all + slots.start) * CELLS) as i64;
        let end = (((self.first + self.entries - 1) * all + slots.end) * CELLS) as i64;
        // Slots are whole tiles, so that the window starts with the first of them.
        let window = s.one("a spread's sums", (first, end.max(first + 1) - 1), s.element())?;
        t.bind(number, Operand::Value(work), s.element(), window, access, "work");
        t.param("slots", word("the sums of a spread", all)?);
        t.defines.set("SLOTS", "");
        Ok(())
    }

    /// The results, and how tiles lie in the grid.
    fn bind_tiles(&self, t: &mut Text, add: bool) -> Result<()> {
        let (job, s) = (self.job, self.job.s);
        t.bind(3, Operand::Value(s.store.value), s.element(), self.dst, "read_write", "dst");
        // The first result of the batch within the bound window: before it, where the window starts later.
        t.wrapping_param("base", (s.store.start + self.first * job.row.1) as i64 - self.dst.first as i64);
        t.param("out", word("a grid", job.row.1)?);
        let bins = job.points.bins();
        let d = job.rank();
        for a in 0..d {
            let own = a + 3 - d;
            t.param(["tiles_0", "tiles_1", "tiles_2"][own], word("the tiles", bins.counts()[a])?);
            t.defines.set(&format!("TILE_{own}"), format!("{}u", bins.extents()[a]));
        }
        (0..3 - d).for_each(|a| t.defines.set(&format!("TILE_{a}"), "1u"));
        if add {
            t.defines.set("ADD", "");
        }
        Ok(())
    }

    /// One dispatch over parts of tiles.
    fn parts(&self, stretch: &Stretch, source: Window, segment: &Segment, add: bool) -> Result<Draft> {
        let Slab { job, entries, .. } = *self;
        let mut t = Text::new(job.s.complex);
        self.bind_tiles(&mut t, add)?;
        let number = job.read(&mut t, self.first, entries, source)?;
        let number = job.bind_points(&mut t, segment, number)?;
        t.bind_list(number, &stretch.entries, "footprints");
        t.bind_list(number + 1, &stretch.parts, "parts");
        if let Some(work) = job.s.scratch {
            self.bind_slots(&mut t, number + 2, work, &stretch.slots, "read_write")?;
        }
        let block = self.block.min(entries);
        t.param("parts", word("the parts of tiles", stretch.count)?);
        t.param("begin", word("the points", segment.first)?);
        t.defines.set("BLOCK", block);
        t.defines.set("BIAS", format!("{BIAS}u"));
        if let Some(batch) = self.staged {
            t.defines.set("STAGED", format!("{batch}u"));
            t.defines.set("STAGED_WEIGHTS", batch * job.points.stride());
            t.defines.set("STAGED_SAMPLES", batch * block);
            t.defines.set("STAGED_COUNT", batch);
        }
        t.finish(SPREAD, (stretch.count * entries.div_ceil(block)) as u64)
    }

    /// The dispatch that adds up the parts of tiles that have several.
    fn sums(&self, heavy: &Heavy) -> Result<Option<Draft>> {
        let Slab { job, entries, .. } = *self;
        let Some(work) = job.s.scratch else { return Ok(None) };
        let mut t = Text::new(job.s.complex);
        self.bind_tiles(&mut t, heavy.add)?;
        self.bind_slots(&mut t, 4, work, &heavy.slots, "read")?;
        t.bind_list(5, &heavy.list, "heavy");
        t.param("tiles", word("the tiles", heavy.count)?);
        t.param("entries", word("the batch", entries)?);
        let d = job.rank();
        for (a, &n) in job.points.grid().iter().enumerate() {
            let own = a + 3 - d;
            t.param(["grid_0", "grid_1", "grid_2"][own], word("an axis", n)?);
            t.defines.set(&format!("AXIS_{own}"), "");
        }
        t.finish(SPREAD_SUM, (heavy.count * entries) as u64).map(Some)
    }
}
