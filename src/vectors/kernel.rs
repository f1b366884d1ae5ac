//! The WGSL of a pass.

use super::formula::literal;
use super::{Group, Map, Measure, Pass, SUMS, Vector};
use crate::error::Result;
use crate::shader::{Defines, expand};
use std::fmt::Write;

/// Invocations of a workgroup.
pub(crate) const GROUP: u64 = 256;

/// Partial sums of a measure, at most: so many workgroups go over a vector.
pub(crate) const PARTIALS: u64 = 1024;

/// Number of the first vector's binding, after the parameters, the two states, and which columns take part.
pub(crate) const FIRST_VECTOR: u32 = 4;

/// Number of the binding that says which columns take part.
pub(crate) const WHICH: u32 = 3;

/// How vectors lie in what is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columned {
    /// One.
    One,
    /// Several, one behind the other, each of whole units.
    Whole,
    /// Several that begin anywhere: a unit is read and written number by number, so that sums are those of one alone.
    Split,
}

impl Columned {
    /// Of so many columns of so many numbers each.
    pub fn of(columns: usize, numbers: u64, unit: Unit) -> Columned {
        match columns {
            0 | 1 => Columned::One,
            // Members of a group are of whole units already.
            _ if numbers.is_multiple_of(unit.numbers()) => Columned::Whole,
            _ => Columned::Split,
        }
    }
}

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
pub(crate) fn kernel(pass: &Pass, scalars: usize, unit: Unit, columned: Columned) -> Result<String> {
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
    match columned {
        Columned::One => {
            defines.set("HOME", "0u");
            defines.set("BEGUN", scalars + 1);
        }
        Columned::Whole | Columned::Split => {
            defines.set("HOME", "home");
            defines.set("BEGUN", "begun");
            defines.set("COLUMNS", 1);
        }
    }
    defines.set("MEMBERS", format!("{}u", group.members));
    if columned == Columned::Split {
        defines.set("SPLIT", 1);
    }
    if group.complex {
        defines.set("COMPLEX", 1);
    }
    if pass.updates.iter().any(|u| matches!(u.map, Some(Map::Over(..) | Map::Root(..)))) {
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
        let element = if columned == Columned::Split { "f32" } else { t };
        let _ = writeln!(text, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{element}>;");
        if columned == Columned::Split {
            split(&mut text, &name, unit, written);
        }
    }
    let at = At { columned, group };
    text.push_str("\nfn formulas() {\n");
    for (scalar, formula) in &pass.formulas {
        let _ = writeln!(text, "    s[{}u] = {};", scalar.0, formula.wgsl());
    }
    let _ = writeln!(text, "}}\n\nfn element(i: u32, apart: u32) -> vec4<f32> {{");
    for update in &pass.updates {
        write_update(&mut text, update, at, t);
    }
    text.push_str("    var sums = vec4<f32>();\n");
    for (d, measure) in pass.sums.iter().enumerate().take(SUMS) {
        write_measure(&mut text, d, *measure, at, t);
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

/// What reads and writes a unit of a vector of several columns that begin anywhere: what lies behind the column's end is another's.
fn split(text: &mut String, name: &str, unit: Unit, written: bool) {
    let (t, n) = (unit.wgsl(), unit.numbers());
    let each = (0..n).map(|j| format!("{name}[min({n}u * k + {j}u, p.length - 1u) + base]")).collect::<Vec<_>>();
    let _ = writeln!(text, "\nfn read_{name}(k: u32) -> {t} {{\n    return {t}({});\n}}", each.join(", "));
    if written {
        let _ = writeln!(text, "\nfn write_{name}(k: u32, v: {t}) {{");
        for j in 0..n {
            let _ = writeln!(text, "    if ({n}u * k + {j}u < p.length) {{");
            let _ = writeln!(text, "        {name}[{n}u * k + {j}u + base] = v[{j}];\n    }}");
        }
        text.push_str("}\n");
    }
}

/// Where an element of a vector is.
#[derive(Clone, Copy)]
struct At {
    columned: Columned,
    group: Group,
}

impl At {
    /// Unit `k` of a vector.
    fn read(self, v: Vector, k: &str) -> String {
        match self.columned {
            Columned::One => format!("{}[{k}]", name(v)),
            Columned::Whole => format!("{}[base + {k}]", name(v)),
            Columned::Split => format!("read_{}({k})", name(v)),
        }
    }

    /// The statement that writes it.
    fn write(self, v: Vector, k: &str, value: &str) -> String {
        match self.columned {
            Columned::Split => format!("write_{}({k}, {value});", name(v)),
            _ => format!("{} = {value};", self.read(v, k)),
        }
    }

    fn weight(self, weights: Option<Vector>, t: &str) -> String {
        weights.map_or_else(|| format!("{t}(1.0)"), |w| self.read(w, "i"))
    }
}

/// Opens a block for each member of a group, which is at `k`.
fn each_member(group: Group) -> String {
    match group.members {
        1 => "{\n            let k = i;".into(),
        members => format!("for (var m = 0u; m < {members}u; m++) {{\n            let k = i + m * apart;"),
    }
}

fn write_update(text: &mut String, update: &super::Update, at: At, t: &str) {
    let each = each_member(at.group);
    let write = |value: &str| at.write(update.vector, "k", value);
    let _ = writeln!(text, "    {{\n        var size = {t}();\n        {each}\n            var sum = {t}();");
    for (formula, vector) in &update.terms {
        let from = at.read(*vector, "k");
        let _ = writeln!(
            text,
            "            if ({0} != 0.0) {{\n                sum += {0} * {from};\n            }}",
            formula.wgsl()
        );
    }
    match &update.map {
        None => {
            let _ = writeln!(text, "            {}\n        }}\n    }}", write("sum"));
        }
        Some(Map::Clamp(low, high)) => {
            let clamped = format!("clamped(sum, {}, {})", literal(*low), literal(*high));
            let _ = writeln!(text, "            {}\n        }}\n    }}", write(&clamped));
        }
        Some(Map::Over(w, factor, u)) => {
            let (w, u, factor) = (at.read(*w, "k"), at.read(*u, "k"), factor.wgsl());
            let _ = writeln!(
                text,
                "            {}\n        }}\n    }}",
                write(&format!("over(sum, {w} + {factor} * {u})"))
            );
        }
        Some(map @ (Map::Shrink(number, weights) | Map::Ball(number, weights) | Map::Root(number, weights))) => {
            let (number, weight) = (number.wgsl(), at.weight(*weights, t));
            let _ = writeln!(text, "            {}\n            size += squares(sum);\n        }}", write("sum"));
            let scaled = format!("{} * made", at.read(update.vector, "k"));
            let (made, value) = match map {
                Map::Shrink(..) => (format!("shrink(sqrt(size), {number} * {weight})"), scaled),
                Map::Ball(..) => (format!("ball(sqrt(size), {number} * {weight})"), scaled),
                _ => (format!("over(sqrt(size + {number} * {number}), {weight})"), "made".into()),
            };
            let _ = writeln!(text, "        let made = {made};");
            let _ = writeln!(text, "        {each}\n            {}\n        }}\n    }}", write(&value));
        }
    }
}

fn write_measure(text: &mut String, d: usize, measure: Measure, at: At, t: &str) {
    let each = each_member(at.group);
    match measure {
        Measure::Dot(x, y) => {
            let (x, y) = (at.read(x, "k"), at.read(y, "k"));
            let _ = writeln!(text, "    {each}\n        sums[{d}] += product(within(i, {x}), within(i, {y}));\n    }}");
        }
        Measure::Magnitudes(v, weights) => {
            let (v, weight) = (at.read(v, "k"), at.weight(weights, t));
            let _ = writeln!(text, "    {{\n        var size = {t}();");
            let _ = writeln!(text, "        {each}\n            size += squares(within(i, {v}));\n        }}");
            let _ = writeln!(text, "        sums[{d}] = once(within(i, sqrt(size) * {weight}));\n    }}");
        }
    }
}

fn name(v: Vector) -> String {
    format!("v{}", v.0)
}
