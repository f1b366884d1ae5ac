//! The WGSL of a pass.

use super::{Group, Map, Measure, Pass, SUMS, Vector};
use crate::error::Result;
use crate::shader::{Defines, expand};
use std::fmt::Write;

/// Invocations of a workgroup.
pub(crate) const GROUP: u64 = 256;

/// Partial sums of a measure, at most: so many workgroups go over a vector.
pub(crate) const PARTIALS: u64 = 1024;

/// Number of the first vector's binding, after the parameters and the two states.
pub(crate) const FIRST_VECTOR: u32 = 3;

/// What an invocation takes of a vector at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Four numbers.
    Quad,
    /// A complex number.
    Pair,
    /// A real number.
    Number,
}

impl Unit {
    /// For a pass over vectors of so many numbers: four at once, unless groups would begin between them.
    pub fn of(pass: &Pass, numbers: u64) -> Unit {
        match pass.group {
            Some(Group { members, complex }) if members > 1 && !(numbers / members as u64).is_multiple_of(4) => {
                if complex {
                    Unit::Pair
                } else {
                    Unit::Number
                }
            }
            _ => Unit::Quad,
        }
    }

    /// All that may be taken, over all lengths.
    pub fn all(pass: &Pass) -> Vec<Unit> {
        match pass.group {
            Some(Group { members, complex }) if members > 1 => {
                vec![Unit::Quad, if complex { Unit::Pair } else { Unit::Number }]
            }
            _ => vec![Unit::Quad],
        }
    }

    /// Numbers in it.
    pub fn numbers(self) -> u64 {
        match self {
            Unit::Quad => 4,
            Unit::Pair => 2,
            Unit::Number => 1,
        }
    }

    fn wgsl(self) -> &'static str {
        match self {
            Unit::Quad => "vec4<f32>",
            Unit::Pair => "vec2<f32>",
            Unit::Number => "f32",
        }
    }
}

/// The text of a pass over a space of so many scalars. Vectors are bound in the order of [`Pass::vectors`].
pub(crate) fn kernel(pass: &Pass, scalars: usize, unit: Unit) -> Result<String> {
    let group = pass.group.unwrap_or(Group { members: 1, complex: false });
    let mut defines = Defines::default();
    defines.set("SCALARS", scalars);
    defines.set("PARTIALS", PARTIALS);
    defines.set("TOTALS", pass.totals.len());
    defines.set("SUMS", pass.sums.len().min(SUMS));
    defines.set("UNIT", unit.numbers());
    defines.set("T", unit.wgsl());
    for (d, total) in pass.totals.iter().enumerate() {
        defines.set(&format!("TOTAL_{d}"), total.0);
    }
    defines.set(unit_name(unit), 1);
    if group.complex {
        defines.set("COMPLEX", 1);
    }
    if pass.updates.iter().any(|u| matches!(u.map, Some(Map::Over(..)))) {
        defines.set("OVER", 1);
    }
    if pass.group.is_some() {
        defines.set("MAGNITUDES", 1);
    }
    let mut text = expand(pass.name, include_str!("pass.wgsl"), &[], &defines).map(|t| defines.replaced(&t))?;
    let t = unit.wgsl();
    for (k, (vector, written)) in pass.vectors().into_iter().enumerate() {
        let access = if written { "read_write" } else { "read" };
        let number = FIRST_VECTOR + k as u32;
        let name = name(vector);
        let _ = writeln!(text, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{t}>;");
    }
    text.push_str("\nfn formulas() {\n");
    for (scalar, formula) in &pass.formulas {
        let _ = writeln!(text, "    s[{}u] = {};", scalar.0, formula.wgsl());
    }
    let _ = writeln!(text, "}}\n\nfn element(i: u32, apart: u32) -> vec4<f32> {{");
    for update in &pass.updates {
        write_update(&mut text, update, group, t);
    }
    text.push_str("    var sums = vec4<f32>();\n");
    for (d, measure) in pass.sums.iter().enumerate().take(SUMS) {
        write_measure(&mut text, d, *measure, group, t);
    }
    text.push_str("    return sums;\n}\n");
    Ok(text)
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Quad => "QUADS",
        Unit::Pair => "PAIRS",
        Unit::Number => "NUMBERS",
    }
}

/// Opens a block for each member of a group, which is at `k`.
fn each_member(group: Group) -> String {
    match group.members {
        1 => "{\n            let k = i;".into(),
        members => format!("for (var m = 0u; m < {members}u; m++) {{\n            let k = i + m * apart;"),
    }
}

fn write_update(text: &mut String, update: &super::Update, group: Group, t: &str) {
    let to = name(update.vector);
    let each = each_member(group);
    let _ = writeln!(text, "    {{\n        var size = {t}();\n        {each}\n            var sum = {t}();");
    for (formula, vector) in &update.terms {
        let from = name(*vector);
        let _ = writeln!(
            text,
            "            if ({0} != 0.0) {{\n                sum += {0} * {from}[k];\n            }}",
            formula.wgsl()
        );
    }
    match &update.map {
        None => {
            let _ = writeln!(text, "            {to}[k] = sum;\n        }}\n    }}");
        }
        Some(Map::Clamp(low, high)) => {
            let _ = writeln!(text, "            {to}[k] = clamped(sum, {low:?}f, {high:?}f);\n        }}\n    }}");
        }
        Some(Map::Over(w, factor, u)) => {
            let (w, u, factor) = (name(*w), name(*u), factor.wgsl());
            let _ = writeln!(text, "            {to}[k] = over(sum, {w}[k] + {factor} * {u}[k]);\n        }}\n    }}");
        }
        Some(Map::Shrink(threshold, weights) | Map::Ball(threshold, weights)) => {
            let function = if matches!(update.map, Some(Map::Shrink(..))) { "shrink" } else { "ball" };
            let weight = weight(*weights, t);
            let threshold = threshold.wgsl();
            let _ = writeln!(text, "            {to}[k] = sum;\n            size += squares(sum);\n        }}");
            let _ = writeln!(text, "        let factor = {function}(sqrt(size), {threshold} * {weight});");
            let _ = writeln!(text, "        {each}\n            {to}[k] *= factor;\n        }}\n    }}");
        }
    }
}

fn write_measure(text: &mut String, d: usize, measure: Measure, group: Group, t: &str) {
    let each = each_member(group);
    match measure {
        Measure::Dot(x, y) => {
            let (x, y) = (name(x), name(y));
            let _ = writeln!(
                text,
                "    {each}\n        sums[{d}] += product(within(i, {x}[k]), within(i, {y}[k]));\n    }}"
            );
        }
        Measure::Magnitudes(v, weights) => {
            let (v, weight) = (name(v), weight(weights, t));
            let _ = writeln!(text, "    {{\n        var size = {t}();");
            let _ = writeln!(text, "        {each}\n            size += squares(within(i, {v}[k]));\n        }}");
            let _ = writeln!(text, "        sums[{d}] = once(within(i, sqrt(size) * {weight}));\n    }}");
        }
    }
}

fn weight(weights: Option<Vector>, t: &str) -> String {
    weights.map_or_else(|| format!("{t}(1.0)"), |w| format!("{}[i]", name(w)))
}

fn name(v: Vector) -> String {
    format!("v{}", v.0)
}
