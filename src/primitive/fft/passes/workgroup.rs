//! A pass in workgroup memory: whole lines, one stage after the other, exchanged between the invocations (`workgroup.wgsl`).
//!
//! A tile of lines is loaded, transformed and stored by one workgroup. In each stage an invocation holds one or a few
//! butterflies in registers, all of whose inputs it reads before the barrier after which anything is overwritten. So one
//! buffer serves all exchanges, and a pass over whole lines may run in place on the array.

use super::butterfly::{Code, named};
use super::packing::Tile;
use super::step::Step;
use super::twiddle;
use crate::shader::Defines;

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
    /// Whether weights and the transform back follow, in the same workgroup memory.
    pub(super) filter: bool,
    /// Whether results are added up: one term after the other in the same workgroup memory, sums in registers.
    pub(super) folds: bool,
}

impl WorkgroupPass {
    pub(super) fn key(&self) -> String {
        let stages: Vec<String> = self.stages.iter().map(usize::to_string).collect();
        let Tile { columns, outer, invocations, padded } = self.tile;
        let mut key = format!("workgroup-{}-{}-{columns}x{outer}-{invocations}", stages.join("x"), self.step.role());
        if padded {
            key.push_str("-padded");
        }
        if self.turned {
            key.push_str("-turned");
        }
        if self.filter {
            key.push_str("-filter");
        }
        if self.folds {
            key.push_str("-folded");
        }
        key
    }

    /// The stages' tables one after the other, then the two-level table of the step's own twiddles.
    pub(super) fn twiddles(&self) -> Vec<[f32; 2]> {
        let later = Step::chain(&self.stages).into_iter().filter(|stage| !stage.first());
        let mut all: Vec<[f32; 2]> = later.flat_map(|stage| twiddle::table(stage.done, stage.radix)).collect();
        debug_assert_eq!(all.len(), Step::chain(&self.stages).iter().map(table_len).sum::<usize>());
        if !self.step.first() {
            all.extend(twiddle::two_level(self.step.done * self.step.radix));
        }
        all
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
        let Tile { columns, outer, invocations, padded } = self.tile;
        let stages = Step::chain(&self.stages);
        let all = if self.filter { 2 } else { 1 } * stages.len();
        let number = |n: usize| format!("{n}u");
        defines.set("INVOCATIONS", invocations);
        defines.set("COLUMNS", number(columns));
        defines.set("OUTER", number(outer));
        defines.set("SIZE", number(self.step.radix));
        defines.set("MEMORY", self.tile.memory(self.step.radix));
        defines.set("POWERS", number(stages.iter().map(table_len).sum()));
        defines.set("STAGES", all);
        let mut flag = |name: &str, holds: bool| {
            if holds {
                defines.set(name, "");
            }
        };
        flag("SEVERAL_COLUMNS", columns > 1);
        flag("SEVERAL_OUTER", outer > 1);
        flag("PADDED", padded);
        flag("EXCHANGED", all > 1);
        let mut code = Code::default();
        for s in 0..all {
            let at = s % stages.len();
            let last = at + 1 == stages.len();
            self.stage(&mut defines, s, &stages[at]);
            let mut flag = |name: &str, holds: bool| {
                if holds {
                    defines.set(&format!("{name}_{s}"), "");
                }
            };
            flag("TAKES", s == 0);
            flag("GIVES", s + 1 == all);
            flag("WEIGHS", last && s + 1 < all);
            flag("END", s == 0 || last);
            flag("ALONG", last && self.turned);
            let table = stages[..at].iter().map(table_len).sum();
            for u in 0..self.tile.rounds(stages[at].n, stages[at].radix) {
                defines.set(&format!("BUTTERFLY_{s}_{u}"), butterfly(&mut code, &stages[at], table, (s, u)));
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
        let aligned = 16_usize.is_multiple_of(columns) && (block.is_multiple_of(16) || 16_usize.is_multiple_of(block));
        let below = match (stage.first() && aligned, block >= 16) {
            (false, _) => 16,
            (true, true) => columns,
            (true, false) => 16 - block + columns,
        };
        for (name, stride, below) in [("READ", stage.lines() * columns, 16), ("WRITE", stage.done * columns, below)] {
            for q in 0..stage.radix {
                if let Some(offset) = self.tile.offset(q * stride, stride, below) {
                    defines.set(&format!("{name}_{s}_{q}"), format!("{offset}u"));
                }
            }
        }
    }
}

/// The twiddles of a stage and its DFT, from `x{s}_{u}_0` … to `y{s}_{u}_0` …; its table starts at `table`.
fn butterfly(code: &mut Code, stage: &Step, table: usize, (s, u): (usize, usize)) -> String {
    let mut x = named(&format!("x{s}_{u}"), stage.radix);
    if !stage.first() {
        x = twiddle::apply(code, &x, |slot| format!("{}u + m{s}_{u}", table + slot * stage.done));
    }
    let y = code.dft(&x);
    code.call_them(&format!("y{s}_{u}"), &y);
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
        for columns in [1, 3, 8] {
            let tile = Tile { columns, outer: 2, invocations: 64, padded: true };
            assert_eq!(tile.memory(100), pad(columns * 200 - 1) + 1);
        }
    }
}
