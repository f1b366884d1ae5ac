//! From a grid to points: an invocation has one point and a block of the batch.

use super::choice::interpolation_block;
use super::{GROUP, Job, Segment};
use crate::error::Result;
use crate::shader::{Draft, KernelFile, Operand, Text, Window, windows, word};

const INTERPOLATE: KernelFile = KernelFile {
    name: "interpolate",
    text: include_str!("../interpolate.wgsl"),
    imports: &[("polynomials", include_str!("../polynomials.wgsl"))],
};

pub(super) fn drafts(job: &Job) -> Result<Vec<Draft>> {
    let s = job.s;
    let block = interpolation_block(job.points, job.batch, &s.limits);
    let entries = job.entries(0, block);
    let mut all = Vec::new();
    for first in (0..job.batch).step_by(entries) {
        let n = entries.min(job.batch - first);
        let start = s.store.start + first * job.row.1;
        let results = windows((start as i64, (start + n * job.row.1) as i64 - 1), s.bindable(s.element()));
        for dst in results {
            // Each result window is made by itself: its first dispatch stores, the others add.
            for (k, source) in job.sources(first, n).into_iter().enumerate() {
                for segment in &job.segments {
                    all.push(dispatch(job, (first, n, block), dst, source, segment, k > 0)?);
                }
            }
        }
    }
    Ok(all)
}

fn dispatch(
    job: &Job,
    (first, entries, block): (usize, usize, usize),
    dst: Window,
    source: Window,
    segment: &Segment,
    add: bool,
) -> Result<Draft> {
    let s = job.s;
    let mut t = Text::new(s.complex);
    t.bind(3, Operand::Value(s.store.value), s.element(), dst, "read_write", "dst");
    let number = job.read(&mut t, first, entries, source)?;
    job.bind_points(&mut t, segment, number)?;
    let block = block.min(entries);
    t.defines.set("BLOCK", block);
    t.defines.set("ALL_WEIGHTS", GROUP * job.points.stride());
    if add {
        t.defines.set("ADD", "");
    }
    // Where the batch's first result lies in the bound window: before it, where the window starts later.
    t.wrapping_param("base", (s.store.start + first * job.row.1) as i64 - dst.first as i64);
    t.param("out", word("the points", job.row.1)?);
    t.param("len", word("a window", usize::try_from(dst.len).unwrap_or(usize::MAX))?);
    let blocks = entries.div_ceil(block);
    t.finish(INTERPOLATE, ((segment.count * blocks) as u64).div_ceil(GROUP as u64))
}
