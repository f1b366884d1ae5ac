//! Sums on a GPU: one for each invocation, or for each workgroup where there are few long ones.

use super::{BLOCK, SumKernel};
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, Listed, PerResult, Read, Stepper, Text, UNITS, Window, unit, word};
use std::fmt::Write;

const REDUCE: KernelFile = KernelFile { name: "reduce", text: include_str!("reduce.wgsl"), imports: &[] };
const REDUCE_GROUP: KernelFile = KernelFile { name: "reduce_group", text: include_str!("reduce_group.wgsl"), imports: &[] };

/// Sums of at least this many terms, where there are few of them, are made by whole workgroups.
const GROUP_TERMS: usize = 256;
/// What counts as few.
const GROUP_SUMS: usize = 1 << 12;
/// Reads of an invocation that are under way at once.
const AHEAD: usize = 4;

impl SumKernel {
    /// Whether whole workgroups make a sum each.
    fn by_groups(&self) -> bool {
        self.size >= GROUP_TERMS && self.sums() * self.parts / self.batch <= GROUP_SUMS
    }
}

impl GpuKernel for SumKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for SumKernel {
    /// The axes of the results stay apart from those of the terms: together their index may exceed 32 bits.
    fn reads(&self) -> Vec<Read> {
        let (load, mark) = self.load.collapsed_around(self.kept);
        vec![Read { load, mark, as_stored: false }]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let row = self.load.extents.first().map_or(1, |n| s.len / n);
        let operands = 1 + self.load.factors.len() as u64;
        s.by_rows(row, s.most_results(8 * operands * self.size as u64))
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (sums, terms) = (self.sums(), self.terms());
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        if sums == 1 {
            return (first * self.size, terms.min((last + 1) * self.size));
        }
        // Sums of several parts are read whole.
        match first / sums == last / sums {
            true => (first % sums * terms, (last % sums + 1) * terms),
            false => (0, sums * terms),
        }
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn along(&self, s: &Stepper) -> &'static [Along] {
        match self.by_groups() {
            // Parts begin at multiples of every unit.
            true => &[Along::Terms],
            false if s.len >= UNITS => &[Along::Results, Along::Terms],
            false => &[Along::Terms],
        }
    }

    fn assemble(&self, t: &mut Text, _: usize, _: &[Window], along: Option<Along>) -> Result<()> {
        t.defines.set("BLOCK", format!("{BLOCK}u"));
        t.param("terms", word("the terms of a sum", self.terms())?);
        t.param("sums", word("the sums", self.sums())?);
        t.param("size", word("the terms of a part", self.size)?);
        t.defines.set("AHEAD", format!("{AHEAD}u"));
        t.defines.set("AHEAD_COUNT", AHEAD);
        let unit = unit(t.complex);
        if self.by_groups() {
            group_terms(t, along, unit);
        } else {
            terms_in_order(t, along, unit);
        }
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        if self.by_groups() { (REDUCE_GROUP, 1) } else { (REDUCE, 256) }
    }
}

/// What an invocation reads at once of the terms of its sums, and adds to them in order.
fn terms_in_order(t: &mut Text, along: Option<Along>, unit: usize) {
    let (terms, read) = match along {
        Some(Along::Terms) => (unit, "vec4<f32>"),
        Some(Along::Results) | None => (1, "U"),
    };
    t.defines.set("TERMS", format!("{terms}u"));
    let _ = writeln!(t.body, "fn terms(sum: u32, k: u32) -> {read} {{\n    return load0(sum, k);\n}}");
    let sum = match terms {
        1 => "total + v",
        2 => "(total + v.xy) + v.zw",
        _ => "(((total + v.x) + v.y) + v.z) + v.w",
    };
    let _ = writeln!(t.body, "fn added(total: U, v: {read}) -> U {{\n    return {sum};\n}}");
}

/// What a lane of a workgroup reads at once: as many terms of 16 bytes, in one access or one by one. Its sum has as many parts, so
/// that the tree is the same.
fn group_terms(t: &mut Text, along: Option<Along>, unit: usize) {
    t.defines.set("TERMS", format!("{unit}u"));
    t.body += "fn terms(sum: u32, k: u32, last: u32) -> vec4<f32> {\n";
    if along.is_some() {
        t.body += "    return load0(sum, k);\n}\n";
    } else {
        for j in 0..unit {
            let _ = writeln!(t.body, "    var v{j} = T();\n    if (k + {j}u < last) {{\n        v{j} = load0(sum, k + {j}u);\n    }}");
        }
        let parts: Vec<String> = (0..unit).map(|j| format!("v{j}")).collect();
        let _ = writeln!(t.body, "    return vec4<f32>({});\n}}", parts.join(", "));
    }
    let sum = if unit == 2 { "v.xy + v.zw" } else { "(v.x + v.y) + (v.z + v.w)" };
    let _ = writeln!(t.body, "fn folded(v: vec4<f32>) -> T {{\n    return {sum};\n}}");
}
