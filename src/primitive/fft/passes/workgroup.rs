//! A pass in workgroup memory: whole lines, one stage after the other, exchanged between the invocations (`workgroup.wgsl`).
//!
//! A tile of lines is loaded, transformed and stored by one workgroup. In each stage an invocation holds one or a few
//! butterflies in registers, all of whose inputs it reads before the barrier after which anything is overwritten. So one
//! buffer serves all exchanges, and a pass over whole lines may run in place on the array.

use super::butterfly::{Code, ZERO, named};
use super::halves::Half;
use super::packing::{self, Packed, Tile};
use super::prime;
use super::step::Step;
use super::twiddle;
use crate::shader::{Defines, GpuLimits};

/// What a pass does with its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Course {
    /// Transforms them.
    Transform,
    /// Transforms them, weighs the coefficients, and transforms them back.
    Filter,
    /// The same with all but the first element of lines of prime length, in the order of a generator's powers: `prime`. `sorted`:
    /// they are brought into that order in workgroup memory, not taken and left in it.
    Prime { sorted: bool },
}

/// One step over the array: lines of length `step.radix`, split into stages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WorkgroupPass {
    pub(super) step: Step,
    /// The radices of the stages; 1 stands for a plain exchange, so that short lines are loaded and stored contiguously.
    pub(super) stages: Vec<usize>,
    pub(super) tile: Tile,
    /// Whether the lanes of the last stage run along the line, not the columns: where it is the line that is stored
    /// contiguously.
    pub(super) turned: bool,
    /// What is made of a line in the same workgroup memory.
    pub(super) course: Course,
    /// What of a line is not zero, and what of it is wanted.
    pub(super) taken: Half,
    pub(super) given: Half,
    /// Whether results are added up: one term after the other in the same workgroup memory, sums in registers.
    pub(super) folds: bool,
}

impl WorkgroupPass {
    pub(super) fn key(&self) -> String {
        let stages: Vec<String> = self.stages.iter().map(usize::to_string).collect();
        let Tile { columns, outer, invocations, padded, split } = self.tile;
        let mut key = format!("workgroup-{}-{}-{columns}x{outer}-{invocations}", stages.join("x"), self.step.role());
        if padded {
            key.push_str("-padded");
        }
        if split {
            key.push_str("-split");
        }
        if self.turned {
            key.push_str("-turned");
        }
        match self.course {
            Course::Transform => {}
            Course::Filter => key.push_str("-filter"),
            Course::Prime { sorted: false } => key.push_str("-prime"),
            Course::Prime { sorted: true } => key.push_str("-prime-sorted"),
        }
        for (name, half) in [("-from", self.taken), ("-to", self.given)] {
            half.start().into_iter().for_each(|q| key += &format!("{name}{q}"));
        }
        if self.folds {
            key.push_str("-folded");
        }
        key
    }

    /// The stages' tables one after the other, then the two-level table of the step's own twiddles, or the convolution of a prime.
    pub(super) fn twiddles(&self) -> Vec<[f32; 2]> {
        let later = Step::chain(&self.stages).into_iter().filter(|stage| !stage.first());
        let mut all: Vec<[f32; 2]> = later.flat_map(|stage| twiddle::table(stage.done, stage.radix)).collect();
        debug_assert_eq!(all.len(), self.table_at(usize::MAX));
        if !self.step.first() {
            all.extend(twiddle::two_level(self.step.done * self.step.radix));
        }
        if let Course::Prime { sorted } = self.course {
            let prime::Tables { factors, places, elements } = prime::Tables::of(self.step.radix);
            all.extend(factors);
            all.extend(if sorted { elements } else { places });
        }
        all
    }

    /// Where the table of a stage starts that finds `done` points.
    fn table_at(&self, done: usize) -> usize {
        Step::chain(&self.stages).iter().filter(|s| s.done < done).map(table_len).sum()
    }

    /// Elements of a line in workgroup memory.
    fn size(&self) -> usize {
        self.stages.iter().product()
    }

    /// The stages from load to store, and the last of those there.
    fn sequence(&self) -> (Vec<Step>, usize) {
        let there = Step::chain(&self.stages);
        let last = there.len() - 1;
        match self.course {
            Course::Transform => (there, last),
            Course::Filter | Course::Prime { sorted: false } => ([there.clone(), there].concat(), last),
            Course::Prime { sorted: true } => {
                let there = Step::chain(&[&[1], &self.stages[..]].concat());
                let back = Step::chain(&[&self.stages[..], &[1]].concat());
                ([there, back].concat(), last + 1)
            }
        }
    }

    /// The same pass over lines of which `taken` is not zero and `given` is wanted: where each begins in the order of the transform,
    /// and how many elements it has.
    pub(super) fn pruned(self, taken: (usize, usize), given: (usize, usize)) -> WorkgroupPass {
        if matches!(self.course, Course::Prime { .. }) || !(self.step.first() && self.step.last()) {
            return self;
        }
        let n = self.step.n;
        let half = |radix: Option<&usize>, (first, count)| radix.map_or(Half::default(), |r| Half::of(n, *r, first, count));
        let (taken, given) = (half(self.stages.first(), taken), half(self.stages.last(), given));
        WorkgroupPass { taken, given, ..self }
    }

    /// Operations of a line that halves leave out: of the two sums that a pair of inputs makes both, of a pair of results one.
    pub(super) fn saved(&self) -> u64 {
        let each = |half: Half, operations: u64| if half.start().is_some() { operations } else { 0 };
        self.step.n as u64 * (each(self.taken, 2) + each(self.given, 1))
    }

    /// What its tile is chosen by, with `inner` adjacent columns of the array.
    pub(super) fn lines(&self, inner: usize) -> Packed {
        let stages = match self.course {
            Course::Prime { sorted: true } => [&[1], &self.stages[..]].concat(),
            _ => self.stages.clone(),
        };
        let (length, available) = (self.size(), self.step.lines() * inner);
        Packed { name: self.step.radix, length, stages, available, filter: self.course == Course::Filter }
    }

    /// The same pass with the tile for these limits.
    pub(super) fn packed(self, inner: usize, limits: &GpuLimits) -> WorkgroupPass {
        let tile = packing::tile(&self.lines(inner), limits);
        WorkgroupPass { tile, ..self }
    }

    pub(super) fn groups(&self, outer: u64, columns: u64) -> u64 {
        outer.div_ceil(self.tile.outer as u64) * self.tiles(columns)
    }

    /// Workgroups along the columns.
    pub(super) fn tiles(&self, columns: u64) -> u64 {
        columns.div_ceil(self.tile.columns as u64)
    }

    /// What the names in `workgroup.wgsl` stand for.
    pub(super) fn defines(&self) -> Defines {
        let mut defines = Defines::default();
        let Tile { columns, outer, invocations, padded, split } = self.tile;
        let (stages, turn) = self.sequence();
        let (all, size) = (stages.len(), self.size());
        let number = |n: usize| format!("{n}u");
        defines.set("INVOCATIONS", invocations);
        defines.set("COLUMNS", number(columns));
        defines.set("OUTER", number(outer));
        defines.set("SIZE", number(size));
        defines.set("MEMORY", self.tile.memory(size));
        let tables = self.table_at(usize::MAX);
        defines.set("POWERS", number(tables));
        defines.set("FACTORS", number(tables));
        defines.set("ORDER", number(tables + size));
        defines.set("STAGES", all);
        defines.set("BANK_BITS", format!("{}u", self.tile.bank_row().ilog2()));
        let parts = if split { ["x", "y"].iter() } else { [""].iter() };
        defines.set("PARTS", parts.len());
        parts.enumerate().for_each(|(part, component)| defines.set(&format!("PART_{part}"), component));
        let mut flag = |name: &str, holds: bool| {
            if holds {
                defines.set(name, "");
            }
        };
        flag("SEVERAL_COLUMNS", columns > 1);
        flag("SEVERAL_OUTER", outer > 1);
        flag("PADDED", padded);
        flag("SPLIT", split);
        flag("EXCHANGED", all > 1);
        let sorted = self.course == Course::Prime { sorted: true };
        flag("SORTED", sorted);
        let mut code = Code::default();
        for (s, stage) in stages.iter().enumerate() {
            let last = s == turn || s + 1 == all;
            self.stage(&mut defines, s, stage);
            let mut flag = |name: &str, holds: bool| {
                if holds {
                    defines.set(&format!("{name}_{s}"), "");
                }
            };
            flag("TAKES", s == 0);
            flag("GIVES", s + 1 == all);
            flag("WEIGHS", last && s + 1 < all);
            flag("SCATTERS", sorted && s == 0);
            flag("GATHERS", sorted && s + 1 == all);
            flag("END", s == 0 || last);
            flag("ALONG", last && self.turned);
            let waits = |part: usize| part > 0 || s > 1 || self.folds;
            [0, 1].into_iter().filter(|part| waits(*part)).for_each(|part| {
                defines.set(&format!("WAITS_{s}_{part}"), "");
            });
            let table = self.table_at(stage.done);
            let taken = if s == 0 { self.taken } else { Half::default() };
            let given = if s + 1 == all { self.given } else { Half::default() };
            for q in 0..stage.radix {
                let mut flag = |name: &str, holds: bool| {
                    if holds {
                        defines.set(&format!("{name}_{s}_{q}"), "");
                    }
                };
                flag("TAKEN", taken.has(q));
                flag("GIVEN", given.has(q));
            }
            for u in 0..self.tile.rounds(stage.n, stage.radix) {
                let text = butterfly(&mut code, stage, table, (s, u), (taken, given));
                defines.set(&format!("BUTTERFLY_{s}_{u}"), text);
            }
        }
        defines
    }

    /// The numbers of a stage.
    fn stage(&self, defines: &mut Defines, s: usize, stage: &Step) {
        let (columns, invocations) = (self.tile.columns, self.tile.invocations);
        let mut set = |name: &str, value: usize| defines.set(&format!("{name}_{s}"), format!("{value}u"));
        set("LINES", stage.lines());
        set("DONE", stage.done);
        set("STRIDE", stage.radix);
        let butterflies = self.tile.lines() * stage.lines();
        set("LAST", butterflies - 1);
        let rounds = self.tile.rounds(stage.n, stage.radix);
        (0..rounds).filter(|u| (u + 1) * invocations > butterflies).for_each(|u| {
            // Lanes of this round that have a butterfly.
            defines.set(&format!("PARTIAL_{s}_{u}"), format!("{}u", butterflies - u * invocations));
        });
        defines.set(&format!("RADIX_{s}"), stage.radix);
        defines.set(&format!("ROUNDS_{s}"), rounds);
        if !stage.first() {
            defines.set(&format!("TWISTED_{s}"), "");
        }
        // What is written in the first stage starts at multiples of a butterfly's size.
        let block = stage.radix * columns;
        let row = self.tile.bank_row();
        let aligned = row.is_multiple_of(columns) && (block.is_multiple_of(row) || row.is_multiple_of(block));
        let below = match (stage.first() && aligned, block >= row) {
            (false, _) => row,
            (true, true) => columns,
            (true, false) => row - block + columns,
        };
        for (name, stride, below) in [("READ", stage.lines() * columns, row), ("WRITE", stage.done * columns, below)] {
            for q in 0..stage.radix {
                if let Some(offset) = self.tile.offset(q * stride, stride, below) {
                    defines.set(&format!("{name}_{s}_{q}"), format!("{offset}u"));
                }
            }
        }
    }
}

/// The twiddles of a stage and its DFT, from `x{s}_{u}_0` … to `y{s}_{u}_0` …, as far as they are taken and given; its table
/// starts at `table`.
fn butterfly(code: &mut Code, stage: &Step, table: usize, (s, u): (usize, usize), (taken, given): (Half, Half)) -> String {
    let mut x = named(&format!("x{s}_{u}"), stage.radix);
    x.iter_mut().enumerate().filter(|(q, _)| !taken.has(*q)).for_each(|(_, x)| *x = ZERO.into());
    if !stage.first() {
        x = twiddle::apply(code, &x, |slot| format!("{}u + m{s}_{u}", table + slot * stage.done));
    }
    let y = code.dft(&x);
    code.call_them(&format!("y{s}_{u}"), &y, |q| given.has(q));
    code.take()
}

/// Elements of a stage's twiddle table.
fn table_len(stage: &Step) -> usize {
    if stage.first() { 0 } else { twiddle::table_len(stage.done, stage.radix) }
}

#[cfg(test)]
mod tests {
    use super::super::packing::pad;
    use super::*;

    #[test]
    fn padded_memory_holds_the_last_element() {
        for (columns, split) in [(1, false), (3, true), (8, false), (8, true)] {
            let tile = Tile { columns, outer: 2, invocations: 64, padded: true, split };
            let row = if split { 32 } else { 16 };
            assert_eq!(tile.memory(100), pad(columns * 200 - 1, row) + 1);
            assert_eq!(tile.bytes(100), tile.memory(100) * 128 / row);
        }
    }
}
