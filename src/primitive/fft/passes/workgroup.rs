//! A pass in workgroup memory: whole lines, one stage after the other, exchanged between the invocations.
//!
//! A tile of lines is loaded, transformed and stored by one workgroup. In each stage an invocation holds one or a few
//! butterflies in registers, all of whose inputs it reads before the barrier after which anything is overwritten. So one
//! buffer serves all exchanges, and a pass over whole lines may run in place on the array.

use std::fmt::Write;

use super::butterfly::Code;
use super::packing::{Tile, padded_offset};
use super::step::Step;
use super::twiddle;

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

    pub(super) fn main(&self) -> String {
        let mut code = Code::default();
        code.line("let group = wid.y * nwg.x + wid.x;");
        code.line("if (group >= fft.groups) {");
        code.line("    return;");
        code.line("}");
        code.line("let tile = group / fft.tiles;");
        code.line(&format!("let outer0 = tile * {}u;", self.tile.outer));
        code.line(&format!("let column0 = (group - tile * fft.tiles) * {}u;", self.tile.columns));

        let stages = Step::chain(&self.stages);
        let transforms = if self.filter { 2 } else { 1 };
        let all = transforms * stages.len();
        let mut offset = 0;
        for s in 0..all {
            let stage = &stages[s % stages.len()];
            if s % stages.len() == 0 {
                offset = 0;
            }
            code.line(&format!("// stage {s}: radix {}", stage.radix));
            let rounds: Vec<Round> = (0..self.tile.rounds(stage.n, stage.radix)).map(|u| Round { s, u }).collect();
            let mut results = Vec::new();
            let mut inputs = Vec::new();
            for round in &rounds {
                self.bind_lane(&mut code, stage, round);
                let x =
                    if s == 0 { self.fetch(&mut code, stage, round) } else { self.receive(&mut code, stage, round) };
                inputs.push(x);
            }
            for (round, x) in rounds.iter().zip(inputs) {
                let x = self.twist(&mut code, stage, round, offset, x);
                let y = code.dft(&x);
                // The coefficients are there, and the way back begins.
                results.push(if s + 1 < all && self.is_last(s) { self.weigh(&mut code, stage, round, y) } else { y });
            }
            offset += table_len(stage);
            if s + 1 == all {
                for (round, y) in rounds.iter().zip(&results) {
                    self.put(&mut code, stage, round, y);
                }
                break;
            }
            if s > 0 {
                code.line("workgroupBarrier();");
            }
            for (round, y) in rounds.iter().zip(&results) {
                self.send(&mut code, stage, round, y);
            }
            code.line("workgroupBarrier();");
        }
        let memory = if all > 1 {
            format!("var<workgroup> fft_lines: array<vec2<f32>, {}>;\n\n", self.tile.memory(self.step.radix))
        } else {
            String::new()
        };
        memory + &super::entry_point(self.tile.invocations, &code.into_text())
    }

    /// Whether a stage ends a transform.
    fn is_last(&self, s: usize) -> bool {
        (s + 1).is_multiple_of(self.stages.len())
    }

    /// Butterflies of a stage in the whole tile.
    fn butterflies(&self, stage: &Step) -> usize {
        self.tile.lines() * stage.lines()
    }

    /// Whether some lanes of this round have no butterfly.
    fn partial(&self, stage: &Step, round: &Round) -> bool {
        (round.u + 1) * self.tile.invocations > self.butterflies(stage)
    }

    /// Binds the butterfly `b`, column `c` and outer step `o` of a lane, and what else the stage needs of them.
    fn bind_lane(&self, code: &mut Code, stage: &Step, round: &Round) {
        let (Tile { columns, outer, invocations, .. }, lines) = (self.tile, stage.lines());
        let last = self.is_last(round.s);
        let id = if round.u == 0 { "lid".to_string() } else { format!("lid + {}u", round.u * invocations) };
        let bound = self.butterflies(stage) - 1;
        // Lanes without a butterfly repeat the last one; only what they write is held back.
        let id = if self.partial(stage, round) { format!("min({id}, {bound}u)") } else { id };
        let g = round.name("g");
        code.line(&format!("let {g} = {id};"));
        let (inner, inner_size, middle, middle_size) =
            if last && self.turned { ("b", lines, "c", columns) } else { ("c", columns, "b", lines) };
        let rest = div(&g, inner_size);
        code.line(&format!("let {} = {};", round.name(inner), rem(&g, inner_size)));
        let middle_value = if outer == 1 { rest } else { rem(&format!("({rest})"), middle_size) };
        code.line(&format!("let {} = {middle_value};", round.name(middle)));
        let o = if outer == 1 { "0u".to_string() } else { div(&g, inner_size * middle_size) };
        code.line(&format!("let {} = {o};", round.name("o")));
        if !stage.first() {
            code.line(&format!("let {} = {};", round.name("m"), rem(&round.name("b"), stage.done)));
        }
        // The ends of the pass also need to know where in the array the lane is.
        if round.s == 0 || last {
            let column = round.name("column");
            code.line(&format!("let {column} = column0 + {};", round.name("c")));
            code.line(&format!("let {} = outer0 + {};", round.name("outer"), round.name("o")));
            let mut inside = vec![];
            if self.partial(stage, round) {
                inside.push(format!("lid < {}u", self.butterflies(stage) - round.u * invocations));
            }
            if columns > 1 {
                inside.push(format!("{column} < fft.columns"));
            }
            if outer > 1 {
                inside.push(format!("{} < fft.outer", round.name("outer")));
            }
            let inside = if inside.is_empty() { "true".to_string() } else { inside.join(" && ") };
            code.line(&format!("let {} = {inside};", round.name("inside")));
            code.line(&format!("let {} = (fft.batch0 + {}) * fft.total;", round.name("base"), round.name("outer")));
            self.step.bind_line(code, &column, &round.suffix());
        }
    }

    /// Loads the inputs of the first stage from the array.
    fn fetch(&self, code: &mut Code, stage: &Step, round: &Round) -> Vec<String> {
        let x: Vec<String> = (0..stage.radix).map(|_| code.fresh()).collect();
        for v in &x {
            code.line(&format!("var {v} = vec2<f32>();"));
        }
        let (start, stride) = (round.name("start_in"), round.name("stride_in"));
        let shift = if self.step.first() { " + fft.shift_in" } else { "" };
        code.line(&format!("let {start} = {} + {} * fft.columns{shift};", round.name("column"), round.name("b")));
        code.line(&format!("let {stride} = {}u * fft.columns;", stage.lines()));
        code.line(&format!("if ({}) {{", round.name("inside")));
        for (q, v) in x.iter().enumerate() {
            let position = format!("{start} + {q}u * {stride}");
            code.line(&format!("    {v} = {};", self.step.load(&round.name("base"), &position)));
        }
        code.line("}");
        if self.step.first() {
            return x;
        }
        // w^(kq) of the step, q = b + (line of the stage)·index; the two-level table follows those of the stages.
        let table: usize = Step::chain(&self.stages).iter().map(table_len).sum();
        let (k, b) = (round.name("k"), round.name("b"));
        x.iter()
            .enumerate()
            .map(|(q, v)| {
                let e = code.bind(&format!("{k} * ({b} + {}u)", q * stage.lines()));
                let w = code.bind(&twiddle::read_two_level(&e, table));
                code.bind(&format!("fft_mul({v}, {w})"))
            })
            .collect()
    }

    /// Reads the inputs of a later stage from workgroup memory.
    fn receive(&self, code: &mut Code, stage: &Step, round: &Round) -> Vec<String> {
        let columns = self.tile.columns;
        let start = self.line_start(stage, round, &round.name("b"));
        let place = Place::bind(code, self.tile.padded, start, &round.name("r"), stage.lines() * columns, 16);
        (0..stage.radix).map(|q| code.bind(&format!("fft_lines[{}]", place.at(q)))).collect()
    }

    /// Multiplies by the twiddles of a later stage.
    fn twist(&self, code: &mut Code, stage: &Step, round: &Round, table: usize, x: Vec<String>) -> Vec<String> {
        if stage.first() {
            return x;
        }
        let m = round.name("m");
        twiddle::apply(code, &x, |slot| format!("{}u + {m}", table + slot * stage.done))
    }

    /// Writes the results of a stage to workgroup memory, where the next one expects them.
    fn send(&self, code: &mut Code, stage: &Step, round: &Round, y: &[String]) {
        let (columns, radix) = (self.tile.columns, stage.radix);
        let (b, m) = (round.name("b"), round.name("m"));
        let first = if stage.first() { format!("{b} * {radix}u") } else { format!("({b} - {m}) * {radix}u + {m}") };
        // In the first stage the blocks of one butterfly start at multiples of their size.
        let block = radix * columns;
        let aligned = 16_usize.is_multiple_of(columns) && (block.is_multiple_of(16) || 16_usize.is_multiple_of(block));
        let room = match (stage.first() && aligned, block >= 16) {
            (false, _) => 16,
            (true, true) => columns,
            (true, false) => 16 - block + columns,
        };
        let start = self.line_start(stage, round, &format!("({first})"));
        let partial = self.partial(stage, round);
        if partial {
            let bound = self.butterflies(stage) - round.u * self.tile.invocations;
            code.line(&format!("if (lid < {bound}u) {{"));
        }
        let place = Place::bind(code, self.tile.padded, start, &round.name("w"), stage.done * columns, room);
        for (q, v) in y.iter().enumerate() {
            code.line(&format!("fft_lines[{}] = {v};", place.at(q)));
        }
        if partial {
            code.line("}");
        }
    }

    /// Multiplies the coefficients by the caller's weights.
    fn weigh(&self, code: &mut Code, stage: &Step, round: &Round, y: Vec<String>) -> Vec<String> {
        let start = round.name("start_middle");
        code.line(&format!(
            "let {start} = {} + {} * fft.columns + fft.shift_out;",
            round.name("column"),
            round.name("b")
        ));
        let weighted: Vec<String> = y.iter().map(|_| code.fresh()).collect();
        for v in &weighted {
            code.line(&format!("var {v} = vec2<f32>();"));
        }
        code.line(&format!("if ({}) {{", round.name("inside")));
        for (q, (v, y)) in weighted.iter().zip(&y).enumerate() {
            let position = format!("{start} + {}u * fft.columns", q * stage.lines());
            code.line(&format!("    {v} = {};", super::middle(&round.name("base"), &position, y)));
        }
        code.line("}");
        weighted
    }

    /// Stores the results of the last stage to the array.
    fn put(&self, code: &mut Code, stage: &Step, round: &Round, y: &[String]) {
        let (start, stride) = (round.name("start_out"), round.name("stride_out"));
        let output = self.step.output_start(&round.name("column"), &round.suffix());
        let along = self.step.output_stride();
        let shift = if self.step.last() { " + fft.shift_out" } else { "" };
        code.line(&format!("let {start} = {output} + {} * {along}{shift};", round.name("b")));
        code.line(&format!("let {stride} = {}u * {along};", stage.lines()));
        code.line(&format!("if ({}) {{", round.name("inside")));
        for (q, v) in y.iter().enumerate() {
            let position = format!("{start} + {q}u * {stride}");
            code.line(&format!("    {}", self.step.store(&round.name("base"), &position, v)));
        }
        code.line("}");
    }

    /// The place in workgroup memory of element `n` of the lane's line, before padding.
    fn line_start(&self, stage: &Step, round: &Round, n: &str) -> String {
        let Tile { columns, outer, .. } = self.tile;
        let mut start = n.to_string();
        if outer > 1 {
            start = format!("({} * {}u + {start})", round.name("o"), stage.n);
        }
        if columns > 1 {
            start = format!("{start} * {columns}u + {}", round.name("c"));
        }
        start
    }
}

/// One of several butterflies of an invocation in a stage.
struct Round {
    s: usize,
    u: usize,
}

impl Round {
    fn suffix(&self) -> String {
        format!("_{}_{}", self.s, self.u)
    }

    fn name(&self, stem: &str) -> String {
        let mut name = stem.to_string();
        let _ = write!(name, "{}", self.suffix());
        name
    }
}

/// Elements of workgroup memory at a constant stride: a bound start, plus offsets that are literals where possible.
struct Place {
    start: String,
    padded_start: String,
    stride: usize,
    room: usize,
    padded: bool,
}

impl Place {
    fn bind(code: &mut Code, padded: bool, start: String, name: &str, stride: usize, room: usize) -> Self {
        code.line(&format!("let {name} = {start};"));
        let padded_start = format!("{name}_padded");
        if padded {
            code.line(&format!("let {padded_start} = {name} + ({name} >> 4u);"));
        }
        Place { start: name.to_string(), padded_start, stride, room, padded }
    }

    fn at(&self, q: usize) -> String {
        let offset = q * self.stride;
        if !self.padded {
            return format!("{} + {offset}u", self.start);
        }
        match padded_offset(offset, self.stride, self.room) {
            Some(offset) => format!("{} + {offset}u", self.padded_start),
            None => format!("{s} + {offset}u + (({s} + {offset}u) >> 4u)", s = self.start),
        }
    }
}

/// Elements of a stage's twiddle table.
fn table_len(stage: &Step) -> usize {
    if stage.first() { 0 } else { twiddle::table_len(stage.done, stage.radix) }
}

fn div(value: &str, by: usize) -> String {
    match by {
        1 => value.to_string(),
        _ if by.is_power_of_two() => format!("{value} >> {}u", by.trailing_zeros()),
        _ => format!("{value} / {by}u"),
    }
}

fn rem(value: &str, by: usize) -> String {
    match by {
        1 => "0u".to_string(),
        _ if by.is_power_of_two() => format!("{value} & {}u", by - 1),
        _ => format!("{value} % {by}u"),
    }
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
