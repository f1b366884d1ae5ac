//! Weights from polynomials, as straight-line text with their coefficients in it.

use crate::program::points::Pieces;
use std::fmt::Write;

/// `let NAME_0 = …;` and so on for all taps of an axis, from `s`. Taps at both ends share their even and their odd part.
pub(super) fn taps(f: &mut String, pad: &str, name: &str, pieces: &Pieces, s: &str) {
    let w = pieces.taps();
    let _ = writeln!(f, "{pad}let {name}_q = {s} * {s};");
    for j in 0..w.div_ceil(2) {
        let (even, odd) = (part(pieces, name, j, 0), part(pieces, name, j, 1));
        let other = w - 1 - j;
        if other == j {
            let _ = writeln!(f, "{pad}let {name}_{j} = {even};");
            continue;
        }
        let _ = writeln!(f, "{pad}let {name}_e{j} = {even};\n{pad}let {name}_o{j} = {s} * ({odd});");
        let _ = writeln!(f, "{pad}let {name}_{j} = {name}_e{j} + {name}_o{j};");
        let _ = writeln!(f, "{pad}let {name}_{other} = {name}_e{j} - {name}_o{j};");
    }
}

/// The even or the odd powers of a tap, as a polynomial in the square.
fn part(pieces: &Pieces, name: &str, tap: usize, first: usize) -> String {
    let mut sum = String::new();
    for power in (first..pieces.terms()).step_by(2).collect::<Vec<_>>().into_iter().rev() {
        let c = literal(pieces.coefficient(power, tap));
        sum = match sum.is_empty() {
            true => c,
            false => format!("({sum}) * {name}_q + {c}"),
        };
    }
    sum
}

fn literal(c: f64) -> String {
    // Below the normal range compilers differ.
    let c = if c.abs() < 1e-30 { 0.0 } else { c as f32 };
    format!("{c:?}f")
}
