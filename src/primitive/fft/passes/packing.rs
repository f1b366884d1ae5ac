//! How many lines share a workgroup, and how many invocations work on them.

use crate::shader::GpuLimits;

/// Elements of 8 bytes between two paddings of workgroup memory: 32 banks of 4 bytes.
const BANK_ROW: usize = 16;

/// The lines of one workgroup, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Adjacent columns: what a run of lanes loads contiguously.
    pub(super) columns: usize,
    /// Outer steps.
    pub(super) outer: usize,
    /// Invocations.
    pub(super) invocations: usize,
    /// Whether workgroup memory has one spare element in every 16, which spreads strided accesses over the banks.
    pub(super) padded: bool,
}

impl Tile {
    /// Lines in the tile.
    pub(super) fn lines(&self) -> usize {
        self.columns * self.outer
    }

    /// Elements of workgroup memory for lines of `length`.
    pub(super) fn memory(&self, length: usize) -> usize {
        let plain = length * self.lines();
        if self.padded { plain + (plain - 1) / BANK_ROW } else { plain }
    }

    /// How far an element of the tile lies behind one `offset` before it, `offset` a multiple of `stride`; None where that depends
    /// on where the first one lies. `below`: its index is known to be below `below` modulo the bank row, with everything below
    /// `below` free to it.
    pub(super) fn offset(&self, offset: usize, stride: usize, below: usize) -> Option<usize> {
        if self.padded { padded_offset(offset, stride, below) } else { Some(offset) }
    }

    /// Butterflies per invocation of a stage with the given radix, rounded up.
    pub(super) fn rounds(&self, length: usize, radix: usize) -> usize {
        (self.lines() * length / radix).div_ceil(self.invocations)
    }
}

/// The index in padded memory of an index.
pub(super) fn pad(index: usize) -> usize {
    index + index / BANK_ROW
}

/// The padded offset of `q·stride` elements where it can be added to a padded index; `None` where a carry may come in.
/// `below`: the index is known to be below `below` modulo the bank row, with everything below `below` free to it.
fn padded_offset(offset: usize, stride: usize, below: usize) -> Option<usize> {
    let fits = stride.is_multiple_of(BANK_ROW) || offset % BANK_ROW + below <= BANK_ROW;
    fits.then(|| pad(offset))
}

/// The longest line for one workgroup with `columns` adjacent columns.
pub(super) fn longest(limits: &GpuLimits, columns: usize) -> usize {
    (limits.workgroup_memory as usize / 8 / columns).max(16)
}

/// Adjacent columns from which on all tiles for lines of a length are the same.
const MANY: usize = 64;

/// Tiles that are worth a measurement, at most.
const CANDIDATES: usize = 12;

/// The name of the choice of a tile; None for lines in numbers that no choice is made for.
pub(super) fn what(length: usize, available: usize) -> Option<String> {
    match available {
        1 => Some(format!("fft tile {length} contiguous")),
        MANY.. => Some(format!("fft tile {length} strided")),
        _ => None,
    }
}

/// The tile for lines of `length` in the given stages, `available` adjacent columns of them: the cheapest, or the one that was
/// measured to be the fastest.
pub(super) fn tile(length: usize, stages: &[usize], available: usize, limits: &GpuLimits) -> Tile {
    let place = limits.choices.and_then(|c| c.place(&what(length, available)?));
    let chosen = place.filter(|p| *p > 0).map(|p| candidates(length, stages, available, limits).into_iter().nth(p));
    chosen.flatten().unwrap_or_else(|| cheapest(length, stages, available, limits))
}

/// Tiles in the order of their costs, the cheapest of each arrangement of lines.
pub(super) fn candidates(length: usize, stages: &[usize], available: usize, limits: &GpuLimits) -> Vec<Tile> {
    let mut best: Vec<(Tile, f64)> = Vec::new();
    each(length, available, limits, |tile| {
        let cost = tile.cost(length, stages, available, limits);
        let alike = |t: &Tile| (t.columns, t.outer, t.padded) == (tile.columns, tile.outer, tile.padded);
        match best.iter_mut().find(|(t, _)| alike(t)) {
            Some((t, least)) if cost < *least => (*t, *least) = (tile, cost),
            Some(_) => {}
            None => best.push((tile, cost)),
        }
    });
    // A stable order: the first of equally cheap ones is the cheapest, as below.
    best.sort_by(|a, b| a.1.total_cmp(&b.1));
    best.into_iter().take(CANDIDATES).map(|(tile, _)| tile).collect()
}

fn cheapest(length: usize, stages: &[usize], available: usize, limits: &GpuLimits) -> Tile {
    let widest = (limits.max_invocations as usize).clamp(1, 512);
    let mut best = Tile { columns: 1, outer: 1, invocations: widest, padded: false };
    let mut least = f64::INFINITY;
    each(length, available, limits, |tile| {
        let cost = tile.cost(length, stages, available, limits);
        if cost < least {
            (best, least) = (tile, cost);
        }
    });
    best
}

/// Calls `f` with every tile that fits.
fn each(length: usize, available: usize, limits: &GpuLimits, mut f: impl FnMut(Tile)) {
    let most = limits.workgroup_memory as usize / 8;
    let widest = (limits.max_invocations as usize).clamp(1, 512);
    let columns = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];
    for columns in columns.into_iter().filter(|c| *c <= available && (*c == 1 || c * length <= most)) {
        for outer in (0..9).map(|bits| 1 << bits).filter(|o| *o == 1 || o * columns * length <= most) {
            for padded in [true, false] {
                for invocations in (1..=widest.div_ceil(32)).map(|warps| (32 * warps).min(widest)) {
                    let tile = Tile { columns, outer, invocations, padded };
                    if tile.memory(length) <= most {
                        f(tile);
                    }
                }
            }
        }
    }
}

impl Tile {
    /// A relative cost per element; 1 is a tile without idle lanes, waste or short runs.
    fn cost(&self, length: usize, stages: &[usize], available: usize, limits: &GpuLimits) -> f64 {
        let elements = (self.lines() * length) as f64;
        let lanes = self.invocations.next_multiple_of(32) as f64;
        // Idle lanes: what the stages occupy, over what they compute.
        let busy = |r: &usize| lanes * (self.rounds(length, *r) * r) as f64 / elements;
        let idle = stages.iter().map(busy).sum::<f64>() / stages.len() as f64;
        // Columns beyond the array.
        let waste = (available.div_ceil(self.columns) * self.columns) as f64 / available as f64;
        // Runs shorter than a cache line of 64 bytes are partly thrown away; lines of a single column are contiguous.
        let run = if available == 1 { length } else { self.columns };
        let short = match run {
            0 | 1 => 2.0,
            2 | 3 => 1.4,
            4..8 if available > run => 1.08,
            _ => 1.0,
        };
        // Values in registers: more than 16 complex ones may spill, few hide little latency.
        let held = stages.iter().map(|r| self.rounds(length, *r) * r).max().unwrap_or(1);
        let registers = 1.0 + 0.15 * held.saturating_sub(16) as f64 + if held < 8 { 0.1 } else { 0.0 };
        let groups = match self.invocations {
            0..64 => 1.25,
            64..=128 => 1.0,
            _ => 1.02,
        };
        let half = 8 * self.memory(length) * 2 > limits.workgroup_memory.max(16384) as usize + 2048;
        let memory = if half { 1.04 } else { 1.0 };
        let conflicts = if self.padded { 1.0 } else { 1.06 };
        idle * waste * short * registers * groups * memory * conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::KernelShape;

    #[test]
    fn offsets_add_where_no_carry_comes_in() {
        for stride in 1..40 {
            for below in 1..=16 {
                for q in 0..16 {
                    let Some(offset) = padded_offset(q * stride, stride, below) else { continue };
                    for start in (0..256).filter(|s| s % BANK_ROW < below) {
                        assert_eq!(pad(start) + offset, pad(start + q * stride), "{start} + {q}*{stride}");
                    }
                }
            }
        }
    }

    /// What was measured is taken; what no candidate stands for is as if it were not there.
    #[test]
    fn a_measured_tile_is_taken() {
        use crate::shader::Choices;
        let limits = GpuLimits::rich();
        let (length, stages) = (512, [16, 16, 2]);
        for available in [1, 64, 1000] {
            let all = candidates(length, &stages, available, &limits);
            let name = what(length, available).unwrap();
            for (place, want) in [(0, all[0]), (3, all[3]), (CANDIDATES, all[0])] {
                let limits = GpuLimits { choices: Some(Choices::one(&name, place).kept()), ..limits };
                assert_eq!(tile(length, &stages, available, &limits), want, "{name} {place}");
                // Another length, and another arrangement.
                assert_eq!(tile(256, &[16, 16], 8, &limits), tile(256, &[16, 16], 8, &GpuLimits::rich()));
            }
        }
    }

    #[test]
    fn tiles_keep_the_limits() {
        for (memory, invocations) in [(16384, 256), (32768, 1024), (49152, 1024), (16384, 64)] {
            let limits = GpuLimits {
                workgroup_memory: memory,
                max_invocations: invocations,
                ..GpuLimits::poorest(KernelShape::Gpu)
            };
            for (length, stages) in [(2048, &[16, 16, 8][..]), (60, &[10, 6]), (16, &[4, 4]), (7, &[1, 7, 1])] {
                for columns in [1, 3, 8, 200] {
                    let tile = tile(length, stages, columns, &limits);
                    assert!(tile.memory(length) * 8 <= memory as usize, "{tile:?}");
                    assert!(tile.invocations <= invocations as usize && tile.columns <= columns);
                    let all = candidates(length, stages, columns, &limits);
                    assert_eq!(all[0], tile);
                    assert!(all.iter().all(|t| t.memory(length) * 8 <= memory as usize), "{all:?}");
                    let alone = (0..all.len()).all(|k| !all[..k].contains(&all[k]));
                    assert!(alone && all.len() <= CANDIDATES, "{all:?}");
                }
            }
        }
    }
}
