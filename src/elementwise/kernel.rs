//! The WGSL of a computation, and of copies from box to box.

use super::{Computation, Ending, Map, Op, Pair, Step};
use crate::error::Result;
use crate::shader::{Defines, expand};
use std::fmt::Write;

/// Invocations of a workgroup.
pub(crate) const GROUP: u64 = 256;

/// Units of which an invocation reads before it goes on.
pub(crate) const AHEAD: usize = 2;

/// Partial results of a sum, at most: so many workgroups go over its values.
pub(crate) const PARTIALS: u64 = 1024;

/// Words in front of a computation's numbers.
pub(crate) const HEADER: usize = 4;

/// Number of the first tensor's binding, after the parameters and the result.
pub(crate) const FIRST_INPUT: u32 = 2;

/// Elements that an invocation reads and writes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// A unit, with one access of each tensor, of 16 bytes where it is large: what is bound ends with a whole unit.
    Units,
    /// The same elements one by one.
    Elements,
}

/// Elements of a unit: with 16 bytes of the largest of its tensors.
pub(crate) fn unit(c: &Computation) -> usize {
    if c.gives_complex() || c.inputs().contains(&true) { 2 } else { 4 }
}

fn kind(complex: bool) -> &'static str {
    if complex { "vec2<f32>" } else { "f32" }
}

/// The type of a unit.
fn kind_of_unit(complex: bool, unit: usize) -> &'static str {
    if complex || unit == 4 { "vec4<f32>" } else { "vec2<f32>" }
}

/// Element j of a value of that type.
fn part(complex: bool, j: usize) -> &'static str {
    if complex { [".xy", ".zw"][j] } else { [".x", ".y", ".z", ".w"][j] }
}

/// The text of a computation. Numbers stand behind the header in the order of their steps, two words for a complex one.
pub(crate) fn kernel(c: &Computation, ending: Ending, reads: Reads) -> Result<String> {
    let (complex, unit) = (c.gives_complex(), unit(c));
    let mut defines = Defines::default();
    defines.set("V", kind_of_unit(complex, unit));
    defines.set("UNIT", format!("{unit}u"));
    defines.set("AHEAD", format!("{AHEAD}u"));
    defines.set("AHEAD_COUNT", AHEAD);
    let kept = match ending {
        Ending::Stored if reads == Reads::Units => kind_of_unit(complex, unit),
        Ending::Stored | Ending::Summed => kind(complex),
        Ending::Largest => "u32",
    };
    defines.set("MADE", kept);
    match ending {
        Ending::Stored => defines.set("STORED", ""),
        Ending::Summed => defines.set("SUMMED", ""),
        Ending::Largest => defines.set("LARGEST", ""),
    }
    let name = name(ending);
    let mut text = expand(name, include_str!("elements.wgsl"), &[], &defines).map(|t| defines.replaced(&t))?;
    for (k, complex) in c.inputs().iter().enumerate() {
        let number = FIRST_INPUT + k as u32;
        let kind = if reads == Reads::Units { kind_of_unit(*complex, unit) } else { kind(*complex) };
        let _ = writeln!(text, "@group(0) @binding({number}) var<storage, read> x{k}: array<{kind}>;");
    }
    values(&mut text, c, unit, reads);
    match ending {
        Ending::Stored => keep(&mut text, complex, unit, reads),
        Ending::Summed => gather(&mut text, complex, unit, kept, |v| format!("sum + {v}")),
        Ending::Largest => gather(&mut text, complex, unit, kept, |v| format!("max(sum, key({v}))")),
    }
    let own = c.inputs().iter().enumerate().map(|(k, c)| format!("a{k}: {}", kind(*c)));
    let inputs = own.collect::<Vec<_>>().join(", ");
    let _ = write!(text, "\nfn value({inputs}) -> {} {{\n", kind(complex));
    let mut numbers = HEADER;
    for (k, step) in c.steps().iter().enumerate() {
        let made = made(c, step, &mut numbers);
        let _ = writeln!(text, "    let v{k} = {made};");
    }
    let _ = write!(text, "    return v{};\n}}\n", c.steps().len().saturating_sub(1));
    Ok(text)
}

/// `fn values(i, end)`: those of the unit from element i on; what lies behind the end is any.
fn values(text: &mut String, c: &Computation, unit: usize, reads: Reads) {
    let complex = c.gives_complex();
    text.push_str("\nfn values(i: u32, end: u32) -> ");
    let _ = writeln!(text, "{} {{", kind_of_unit(complex, unit));
    let of = |j: usize| -> String {
        let input = |(k, complex): (usize, &bool)| match reads {
            Reads::Units => format!("u{k}{}", part(*complex, j)),
            Reads::Elements => format!("x{k}[i{j}]"),
        };
        c.inputs().iter().enumerate().map(input).collect::<Vec<_>>().join(", ")
    };
    match reads {
        Reads::Units => (0..c.inputs().len()).for_each(|k| {
            let _ = writeln!(text, "    let u{k} = x{k}[i / {unit}u];");
        }),
        Reads::Elements => (0..unit).for_each(|j| {
            let _ = writeln!(text, "    let i{j} = min(i + {j}u, end - 1u);");
        }),
    }
    let all: Vec<String> = (0..unit).map(|j| format!("value({})", of(j))).collect();
    let _ = writeln!(text, "    return {}({});\n}}", kind_of_unit(complex, unit), all.join(", "));
}

/// `fn keep(i, end, v)`: stores a unit.
fn keep(text: &mut String, complex: bool, unit: usize, reads: Reads) {
    let _ = writeln!(text, "\nfn keep(i: u32, end: u32, v: {}) {{", kind_of_unit(complex, unit));
    match reads {
        Reads::Units => {
            let _ = writeln!(text, "    made[i / {unit}u] = v;");
        }
        Reads::Elements => (0..unit).for_each(|j| {
            let _ =
                writeln!(text, "    if (i + {j}u < end) {{\n        made[i + {j}u] = v{};\n    }}", part(complex, j));
        }),
    }
    text.push_str("}\n");
}

/// `fn gathered(before, i, end, v)`: what a unit adds to what was there before, element by element.
fn gather(text: &mut String, complex: bool, unit: usize, made: &str, after: impl Fn(&str) -> String) {
    let v = kind_of_unit(complex, unit);
    let _ = writeln!(text, "\nfn gathered(before: {made}, i: u32, end: u32, v: {v}) -> {made} {{");
    text.push_str("    var sum = before;\n");
    for j in 0..unit {
        let after = after(&format!("v{}", part(complex, j)));
        let _ = writeln!(text, "    if (i + {j}u < end) {{\n        sum = {after};\n    }}");
    }
    text.push_str("    return sum;\n}\n");
}

/// What a kernel is called in labels and messages.
pub(crate) fn name(ending: Ending) -> &'static str {
    match ending {
        Ending::Stored => "elements",
        Ending::Summed => "elements.sum",
        Ending::Largest => "elements.largest",
    }
}

fn made(c: &Computation, step: &Step, numbers: &mut usize) -> String {
    match step.op {
        Op::Input(k) => format!("a{k}"),
        Op::Number(_) => {
            let at = *numbers;
            *numbers += 1 + usize::from(step.complex);
            match step.complex {
                true => format!("vec2<f32>(number({at}u), number({}u))", at + 1),
                false => format!("number({at}u)"),
            }
        }
        Op::Map(map, a) => {
            let complex = c.is_complex(a);
            match (map, complex) {
                (Map::Negative, _) => format!("-v{a}"),
                (Map::Conjugate, true) => format!("vec2<f32>(v{a}.x, -v{a}.y)"),
                (Map::Conjugate | Map::Real, false) | (Map::Complex, true) => format!("v{a}"),
                (Map::Real, true) => format!("v{a}.x"),
                (Map::Imaginary, true) => format!("v{a}.y"),
                (Map::Imaginary, false) => "0.0".into(),
                (Map::Magnitude, true) => format!("magnitude(v{a})"),
                (Map::Magnitude, false) => format!("abs(v{a})"),
                (Map::Square, true) => format!("dot(v{a}, v{a})"),
                (Map::Square, false) => format!("v{a} * v{a}"),
                (Map::Direction, true) => format!("direction(v{a})"),
                (Map::Direction, false) => format!("side(v{a})"),
                (Map::Root, _) => format!("root(v{a})"),
                (Map::Complex, false) => format!("vec2<f32>(v{a}, 0.0)"),
            }
        }
        Op::Pair(pair, a, b) => match (pair, c.is_complex(a), c.is_complex(b)) {
            (Pair::Sum, ..) => format!("v{a} + v{b}"),
            (Pair::Difference, ..) => format!("v{a} - v{b}"),
            (Pair::Product, true, true) => format!("cmul(v{a}, v{b})"),
            (Pair::Product, ..) => format!("v{a} * v{b}"),
            (Pair::Quotient, true, true) => format!("divided(v{a}, v{b})"),
            (Pair::Quotient, ..) => format!("v{a} / v{b}"),
            (Pair::Larger, ..) => format!("select(v{a}, v{b}, v{b} > v{a})"),
            (Pair::Smaller, ..) => format!("select(v{a}, v{b}, v{b} < v{a})"),
            (Pair::Shrunk, true, _) => format!("shrunk_complex(v{a}, v{b})"),
            (Pair::Shrunk, false, _) => format!("shrunk(v{a}, v{b})"),
        },
    }
}

/// The largest of the partial results of [`Ending::Largest`]: numbers as whole ones in the same order, NaN above all.
pub(crate) fn largest_of(keys: &[u32]) -> f64 {
    match keys.iter().copied().max().unwrap_or(0) {
        u32::MAX => f64::NAN,
        key if key >> 31 == 1 => f32::from_bits(key & 0x7fff_ffff).into(),
        key => f32::from_bits(!key).into(),
    }
}

/// The text that copies words from box to box.
pub(crate) fn copying() -> Result<String> {
    expand("elements.copy", include_str!("copy.wgsl"), &[], &Defines::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        let key = |x: f32| match x.to_bits() {
            bits if bits >> 31 == 0 => bits | 0x8000_0000,
            bits => !bits,
        };
        for x in [-f32::INFINITY, -3e38, -1.5, -1e-38, -0.0, 0.0, 1e-38, 2.0, 3e38, f32::INFINITY] {
            assert_eq!(largest_of(&[key(x), key(-f32::INFINITY)]), f64::from(x));
        }
        assert!(largest_of(&[key(2.0), u32::MAX, key(3.0)]).is_nan());
    }

    #[test]
    fn numbers_are_no_part_of_a_text() {
        let text = |value: f32| {
            let mut c = Computation::default();
            let x = c.input(true);
            let a = c.number(value.into(), false);
            let b = c.number(1.0.into(), false);
            let scaled = c.pair(Pair::Product, a, x);
            c.pair(Pair::Shrunk, scaled, b);
            kernel(&c, Ending::Stored, Reads::Units).unwrap()
        };
        assert_eq!(text(3.5), text(1.0));
    }
}
