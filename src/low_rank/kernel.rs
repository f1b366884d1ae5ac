//! The WGSL of blocks: one-sided Jacobi rotations.

use super::Blocks;
use crate::error::Result;
use crate::shader::{Defines, FLOPS_PER_BYTE, GpuLimits, expand, word};

/// Invocations of a workgroup.
const GROUP: u64 = 64;

/// Invocations that have a pair of vectors in common.
const LANES: u64 = 8;

/// Axes that are cut, at most.
const MOST_AXES: usize = 6;

/// Sweeps at most. Rotations converge quadratically; vectors of 64 entries and more take about ten.
const SWEEPS: u64 = 20;

/// Bytes of a workgroup's memory beside the block.
const BESIDE: u32 = 1600;

/// Numbers of a block, at most: more memory for one would leave room for few at a time.
const MOST: u32 = 4096;

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its singular values are made less.
    Shrunk,
    /// Their sum.
    Norms,
}

/// Complex numbers that a workgroup's memory has room for.
pub(crate) fn room(limits: &GpuLimits) -> u32 {
    (limits.workgroup_memory.saturating_sub(BESIDE) / 8).min(MOST)
}

/// Whether every block fits a workgroup's memory, and its vectors are no more than there are invocations.
pub(crate) fn fits(blocks: &Blocks, limits: &GpuLimits) -> bool {
    let (rows, columns) = (blocks.rows, blocks.widest());
    blocks.axes.len() <= MOST_AXES
        && rows > 0
        && columns > 0
        && rows.min(columns) <= GROUP as usize
        && rows.saturating_mul(columns) <= room(limits) as usize
}

/// The text, for so many numbers of a block.
pub(crate) fn kernel(complex: bool, ending: Ending, room: u32) -> Result<String> {
    let mut defines = Defines::default();
    defines.set("T", if complex { "vec2<f32>" } else { "f32" });
    let made = if ending == Ending::Norms || !complex { "f32" } else { "vec2<f32>" };
    defines.set("M", made);
    defines.set("ROOM", room);
    defines.set("LANES", LANES);
    defines.set("TEAMS", GROUP / LANES);
    defines.set("SWEEPS", SWEEPS);
    defines.set("HEADER", HEADER);
    if complex {
        defines.set("COMPLEX", "");
    }
    if ending == Ending::Norms {
        defines.set("NORMS", "");
    }
    expand(name(ending), include_str!("low_rank.wgsl"), &[], &defines).map(|t| defines.replaced(&t))
}

fn name(ending: Ending) -> &'static str {
    match ending {
        Ending::Shrunk => "low_rank",
        Ending::Norms => "low_rank.norms",
    }
}

/// Words in front of those of the axes.
const HEADER: usize = 6;

/// The parameters of a dispatch over so many blocks.
pub(crate) fn words(blocks: &Blocks, first: usize, count: usize, less: f32) -> Result<Vec<u32>> {
    let mut words = vec![
        word("blocks", first)?,
        word("blocks", first + count)?,
        word("a series", blocks.rows)?,
        word("a series", blocks.columns())?,
        word("axes", blocks.axes.len())?,
        less.to_bits(),
    ];
    for a in &blocks.axes {
        let numbers = [a.extent, a.block, a.offset.min(a.extent), a.count(), a.longest()];
        words.extend(numbers.map(|n| word("an axis", n)).into_iter().collect::<Result<Vec<u32>>>()?);
    }
    Ok(words)
}

/// The work of one block, as dispatches count it.
pub(crate) fn work(blocks: &Blocks) -> u64 {
    let (rows, columns) = (blocks.rows as u64, blocks.widest() as u64);
    let (short, long) = (rows.min(columns), rows.max(columns));
    (SWEEPS * short * short * long * 24 / FLOPS_PER_BYTE).max(1)
}
