//! How many lines share a workgroup, and how many invocations work on them.

use crate::shader::GpuLimits;

/// Banks of workgroup memory, of 4 bytes each.
const BANKS: usize = 32;

/// Complex values that one invocation may hold; more would go to memory on every GPU.
const HELD: usize = 32;

/// The same with what a last round has too much, so that lengths that no radix divides evenly are one pass, too.
const ROUNDED: usize = 40;

/// Longest line of one workgroup: with the 512 invocations that all large GPUs have, 16 values each. Of longer ones a single
/// workgroup takes most of a core's registers and memory, so that nothing runs while it waits, and two passes take no longer.
const WHOLE: usize = 8192;

/// Invocations of a workgroup, at most.
const WIDEST: usize = 512;

/// The lines of one workgroup, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Adjacent columns: what a run of lanes loads contiguously.
    pub(super) columns: usize,
    /// Outer steps.
    pub(super) outer: usize,
    /// Invocations.
    pub(super) invocations: usize,
    /// Whether workgroup memory has a spare element after every row of the banks, which spreads strided accesses over them.
    pub(super) padded: bool,
    /// Whether real parts are exchanged first and imaginary ones then, in half the memory and with two more barriers each time.
    pub(super) split: bool,
}

impl Tile {
    /// One line, and nobody who works on it.
    pub(super) const NONE: Tile = Tile { columns: 1, outer: 1, invocations: 0, padded: false, split: false };

    /// Lines in the tile.
    pub(super) fn lines(&self) -> usize {
        self.columns * self.outer
    }

    /// Elements of workgroup memory for lines of `length`: complex ones, or real ones where exchanges are split.
    pub(super) fn memory(&self, length: usize) -> usize {
        let plain = length * self.lines();
        if self.padded { plain + (plain - 1) / self.bank_row() } else { plain }
    }

    /// The same in bytes.
    pub(super) fn bytes(&self, length: usize) -> usize {
        self.element() * self.memory(length)
    }

    fn element(&self) -> usize {
        if self.split { 4 } else { 8 }
    }

    /// Elements that all banks hold together.
    pub(super) fn bank_row(&self) -> usize {
        4 * BANKS / self.element()
    }

    /// How far an element of the tile lies behind one `offset` before it, `offset` a multiple of `stride`; None where that depends
    /// on where the first one lies. `below`: its index is known to be below `below` modulo the bank row, with everything below
    /// `below` free to it.
    pub(super) fn offset(&self, offset: usize, stride: usize, below: usize) -> Option<usize> {
        if self.padded { padded_offset(offset, stride, below, self.bank_row()) } else { Some(offset) }
    }

    /// Butterflies per invocation of a stage with the given radix, rounded up.
    pub(super) fn rounds(&self, length: usize, radix: usize) -> usize {
        (self.lines() * length / radix).div_ceil(self.invocations)
    }
}

/// The index in memory with a spare element after every `row` of an index.
pub(super) fn pad(index: usize, row: usize) -> usize {
    index + index / row
}

/// The padded offset of `q·stride` elements where it can be added to a padded index; `None` where a carry may come in.
/// `below`: the index is known to be below `below` modulo the bank row, with everything below `below` free to it.
fn padded_offset(offset: usize, stride: usize, below: usize, row: usize) -> Option<usize> {
    let fits = stride.is_multiple_of(row) || offset % row + below <= row;
    fits.then(|| pad(offset, row))
}

/// The longest line for one workgroup with `columns` adjacent columns, exchanged in halves where need be.
pub(super) fn longest(limits: &GpuLimits, columns: usize) -> usize {
    let held = HELD * widest(limits) / columns;
    (limits.workgroup_memory as usize / 4 / columns).min(held).clamp(16, WHOLE)
}

fn widest(limits: &GpuLimits) -> usize {
    (limits.max_invocations as usize).clamp(1, WIDEST)
}

/// Adjacent columns from which on all tiles for lines of a length are the same.
const MANY: usize = 64;

/// Tiles that are worth a measurement, at most.
const CANDIDATES: usize = 16;

/// The lines that a tile is chosen for.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// What a line is called by: its length in the array.
    pub(super) name: usize,
    /// Its length in workgroup memory.
    pub(super) length: usize,
    /// The radices of its stages.
    pub(super) stages: Vec<usize>,
    /// Adjacent columns of such lines.
    pub(super) available: usize,
    /// Whether they are transformed back in the same pass, behind weights.
    pub(super) filter: bool,
}

/// The name of the choice of a tile; None for lines in numbers that no choice is made for.
pub(super) fn what(lines: &Packed) -> Option<String> {
    let pass = if lines.filter { "filter" } else { "fft" };
    match lines.available {
        1 => Some(format!("{pass} tile {} contiguous", lines.name)),
        MANY.. => Some(format!("{pass} tile {} strided", lines.name)),
        _ => None,
    }
}

/// The tile for some lines: the cheapest, or the one that was measured to be the fastest. A filter whose own was not measured takes
/// that of a transform.
pub(super) fn tile(lines: &Packed, limits: &GpuLimits) -> Tile {
    let place = |lines: &Packed| limits.choices.and_then(|c| c.place(&what(lines)?));
    let place = place(lines).or_else(|| place(&Packed { filter: false, ..lines.clone() }));
    let chosen = place.filter(|p| *p > 0).map(|p| candidates(lines, limits).into_iter().nth(p));
    chosen.flatten().unwrap_or_else(|| cheapest(lines, limits))
}

/// Tiles in the order of their costs, the cheapest of each arrangement of lines.
pub(super) fn candidates(lines: &Packed, limits: &GpuLimits) -> Vec<Tile> {
    let mut best: Vec<(Tile, f64)> = Vec::new();
    each(lines, limits, |tile| {
        let cost = tile.cost(lines, limits);
        let arrangement = |t: &Tile| Tile { invocations: 0, ..*t };
        let alike = |t: &Tile| arrangement(t) == arrangement(&tile);
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

fn cheapest(lines: &Packed, limits: &GpuLimits) -> Tile {
    let mut best = Tile { invocations: widest(limits), ..Tile::NONE };
    let mut least = f64::INFINITY;
    each(lines, limits, |tile| {
        let cost = tile.cost(lines, limits);
        if cost < least {
            (best, least) = (tile, cost);
        }
    });
    best
}

/// Calls `f` with every tile that fits. Exchanges are split where whole ones take more than half of the memory, or do not fit.
fn each(lines: &Packed, limits: &GpuLimits, mut f: impl FnMut(Tile)) {
    let Packed { length, ref stages, available, .. } = *lines;
    let most = limits.workgroup_memory as usize;
    let widest = widest(limits);
    let columns = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];
    for columns in columns.into_iter().filter(|c| *c <= available && (*c == 1 || 4 * c * length <= most)) {
        for outer in (0..9).map(|bits| 1 << bits).filter(|o| *o == 1 || 4 * o * columns * length <= most) {
            for (padded, split) in [(true, false), (false, false), (true, true), (false, true)] {
                let tile = Tile { columns, outer, invocations: widest, padded, split };
                let whole = Tile { padded: false, split: false, ..tile };
                // Nothing is exchanged around a single stage.
                let worth = stages.len() > 1 && (whole.takes_half(length, limits) || whole.bytes(length) > most);
                if tile.bytes(length) > most || split && !worth {
                    continue;
                }
                for warps in 1..=widest.div_ceil(32) {
                    let tile = Tile { invocations: (32 * warps).min(widest), ..tile };
                    if tile.held(length, stages) <= ROUNDED {
                        f(tile);
                    }
                }
            }
        }
    }
}

impl Tile {
    /// Whether it keeps what a workgroup and an invocation hold, for lines of these stages.
    pub(super) fn fits(&self, lines: &Packed, limits: &GpuLimits) -> bool {
        self.bytes(lines.length) <= limits.workgroup_memory as usize && self.held(lines.length, &lines.stages) <= ROUNDED
    }

    /// Complex values that an invocation holds at once, at most.
    fn held(&self, length: usize, stages: &[usize]) -> usize {
        stages.iter().map(|r| self.rounds(length, *r) * r).max().unwrap_or(1)
    }

    /// Whether it takes more than half of a workgroup's memory, so that a core has few of them.
    fn takes_half(&self, length: usize, limits: &GpuLimits) -> bool {
        self.bytes(length) * 2 > limits.workgroup_memory.max(16384) as usize + 2048
    }

    /// A relative cost per element; 1 is a tile without idle lanes, waste or short runs.
    fn cost(&self, lines: &Packed, limits: &GpuLimits) -> f64 {
        let Packed { length, ref stages, available, .. } = *lines;
        let elements = (self.lines() * length) as f64;
        let lanes = self.invocations.next_multiple_of(32) as f64;
        // Idle lanes: what the stages occupy, over what they compute.
        let busy = |r: &usize| lanes * (self.rounds(length, *r) * r) as f64 / elements;
        let idle = stages.iter().map(busy).sum::<f64>() / stages.len() as f64;
        // Columns beyond the array.
        let waste = (available.div_ceil(self.columns) * self.columns) as f64 / available as f64;
        // Runs shorter than a cache line of 128 bytes are partly thrown away: on an H200 strided lines of 256 and 512 in runs of
        // 64 bytes take 1.3 and 1.9 times as long as contiguous ones, of 1024 in 32 bytes 2.1, of 2048 in 16 bytes 2.8 and of 4096
        // in 8 bytes 3.3.
        let short = match self.columns {
            all if all == available => 1.0,
            1 => 2.5,
            2 | 3 => 2.1,
            4..8 => 1.5,
            8..16 => 1.2,
            _ => 1.0,
        };
        // Values in registers: more than 16 complex ones may spill, few hide little latency.
        let held = self.held(length, stages);
        let registers = 1.0 + 0.15 * held.saturating_sub(16) as f64 + if held < 8 { 0.1 } else { 0.0 };
        let groups = match self.invocations {
            0..64 => 1.25,
            64..=128 => 1.0,
            _ => 1.02,
        };
        let memory = if self.takes_half(length, limits) { 1.04 } else { 1.0 };
        let conflicts = if self.padded { 1.0 } else { 1.06 };
        // Two more barriers for each exchange: less than half a cache line, or another pass. Where so many columns fit as they are, what
        // is saved are only workgroups that share a core, which a measurement may show to be worth it.
        let needed = 8 * self.columns * length > limits.workgroup_memory as usize;
        let split = match (self.split, needed) {
            (false, _) => 1.0,
            (true, true) => 1.05,
            (true, false) => 1.2,
        };
        idle * waste * short * registers * groups * memory * conflicts * split
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::KernelShape;

    fn lines(length: usize, stages: &[usize], available: usize) -> Packed {
        Packed { name: length, length, stages: stages.to_vec(), available, filter: false }
    }

    #[test]
    fn offsets_add_where_no_carry_comes_in() {
        for row in [16, 32] {
            for stride in 1..40 {
                for (below, q) in (1..=row).flat_map(|below| (0..16).map(move |q| (below, q))) {
                    let Some(offset) = padded_offset(q * stride, stride, below, row) else { continue };
                    for start in (0..256).filter(|s| s % row < below) {
                        assert_eq!(pad(start, row) + offset, pad(start + q * stride, row), "{start} + {q}*{stride}");
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
        for available in [1, 64, 1000] {
            let lines = lines(512, &[16, 16, 2], available);
            let all = candidates(&lines, &limits);
            let name = what(&lines).unwrap();
            for (place, want) in [(0, all[0]), (3, all[3]), (CANDIDATES, all[0])] {
                let limits = GpuLimits { choices: Some(Choices::one(&name, place).kept()), ..limits };
                assert_eq!(tile(&lines, &limits), want, "{name} {place}");
                // Another length, and another arrangement.
                let other = super::tests::lines(256, &[16, 16], 8);
                assert_eq!(tile(&other, &limits), tile(&other, &GpuLimits::rich()));
            }
        }
    }

    /// A filter has a tile of its own where one was measured, else that of the transform.
    #[test]
    fn filters_have_tiles_of_their_own() {
        use crate::shader::Choices;
        let plain = lines(512, &[16, 16, 2], 1);
        let filter = Packed { filter: true, ..plain.clone() };
        let all = candidates(&plain, &GpuLimits::rich());
        assert_eq!(candidates(&filter, &GpuLimits::rich()), all);
        let mut choices = Choices::one(&what(&plain).unwrap(), 2);
        let with = |choices: &Choices| GpuLimits { choices: Some(choices.clone().kept()), ..GpuLimits::rich() };
        assert_eq!([tile(&plain, &with(&choices)), tile(&filter, &with(&choices))], [all[2], all[2]]);
        for (place, want) in [(3, all[3]), (0, all[0])] {
            choices.set("filter tile 512 contiguous", place);
            assert_eq!([tile(&plain, &with(&choices)), tile(&filter, &with(&choices))], [all[2], want]);
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
                    let lines = lines(length, stages, columns);
                    let tile = tile(&lines, &limits);
                    assert!(tile.bytes(length) <= memory as usize, "{tile:?}");
                    assert!(tile.invocations <= invocations as usize && tile.columns <= columns);
                    let all = candidates(&lines, &limits);
                    assert_eq!(all[0], tile);
                    assert!(all.iter().all(|t| t.bytes(length) <= memory as usize), "{all:?}");
                    let alone = (0..all.len()).all(|k| !all[..k].contains(&all[k]));
                    assert!(alone && all.len() <= CANDIDATES, "{all:?}");
                }
            }
        }
    }
}
