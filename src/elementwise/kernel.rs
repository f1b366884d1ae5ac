//! The WGSL of a computation, and of copies from box to box.

use super::{Computation, Ending, Map, Op, Pair, Step};
use crate::error::Result;
use crate::shader::{Defines, expand};
use std::fmt::Write;

/// Invocations of a workgroup.
pub(crate) const GROUP: u64 = 256;

/// Partial results of a sum, at most: so many workgroups go over its values.
pub(crate) const PARTIALS: u64 = 1024;

/// Words in front of a computation's numbers.
pub(crate) const HEADER: usize = 4;

/// Number of the first tensor's binding, after the parameters and the result.
pub(crate) const FIRST_INPUT: u32 = 2;

/// The text of a computation. Numbers stand behind the header in the order of their steps, two words for a complex one.
pub(crate) fn kernel(c: &Computation, ending: Ending) -> Result<String> {
    let kind = |complex: bool| if complex { "vec2<f32>" } else { "f32" };
    let mut defines = Defines::default();
    defines.set("T", kind(c.gives_complex()));
    defines.set("MADE", if ending == Ending::Largest { "u32" } else { kind(c.gives_complex()) });
    match ending {
        Ending::Stored => defines.set("STORED", ""),
        Ending::Summed => defines.set("SUMMED", ""),
        Ending::Largest => defines.set("LARGEST", ""),
    }
    let name = name(ending);
    let mut text = expand(name, include_str!("elements.wgsl"), &[], &defines).map(|t| defines.replaced(&t))?;
    for (k, complex) in c.inputs().iter().enumerate() {
        let (number, kind) = (FIRST_INPUT + k as u32, kind(*complex));
        let _ = writeln!(text, "@group(0) @binding({number}) var<storage, read> x{k}: array<{kind}>;");
    }
    let _ = write!(text, "\nfn value(i: u32) -> {} {{\n", kind(c.gives_complex()));
    let mut numbers = HEADER;
    for (k, step) in c.steps().iter().enumerate() {
        let made = made(c, step, &mut numbers);
        let _ = writeln!(text, "    let v{k} = {made};");
    }
    let _ = write!(text, "    return v{};\n}}\n", c.steps().len().saturating_sub(1));
    Ok(text)
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
        Op::Input(k) => format!("x{k}[i]"),
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
            kernel(&c, Ending::Stored).unwrap()
        };
        assert_eq!(text(3.5), text(1.0));
    }
}
