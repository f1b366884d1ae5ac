//! WGSL for fused reads and weighted stores.

use super::windows::Window;
use super::words::Words;
use crate::access::{Access, AxisIndex, Factor, Load, Validity};
use num_complex::Complex64;
use std::fmt::Write;

/// A named array of the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub name: &'a str,
    pub complex: bool,
    pub window: Window,
}

/// `fn NAME(lin: u32, k: u32)` for a load (collapsed already), from arrays that are named by the caller. `lin` is the linear
/// index over the axes before `mark`, `k` over those from there on. It gives complex values or real ones.
pub(crate) fn load_function(
    name: &str,
    load: &Load,
    mark: usize,
    complex: bool,
    source: &Source,
    weights: &[Source],
    words: &mut Words,
) -> String {
    let kind = if complex { "vec2<f32>" } else { "f32" };
    addressed(name, kind, load, mark, source, weights, words, |f, words| {
        let read = format!("{}[i]", source.name);
        // Values that are real but for rounding, times complex weights, are so behind the last of these.
        let turned = load.scale.im != 0.0 || weights.iter().any(|w| w.complex);
        let wide = complex || source.complex && turned;
        let read = match (wide, source.complex) {
            (true, false) => format!("vec2<f32>({read}, 0.0)"),
            // Of values that are real but for rounding.
            (false, true) => format!("{read}.x"),
            _ => read,
        };
        let _ = writeln!(f, "    var v = {read};");
        weigh(f, &load.factors, weights, load.scale, wide, words);
        let _ = writeln!(f, "    return {};", if wide && !complex { "v.x" } else { "v" });
    })
}

/// The function around the body of a read: its indices, and where it has no value. The value is at `i`, its weights at `j0`, `j1` …
#[allow(clippy::too_many_arguments)]
pub(super) fn addressed(
    name: &str,
    kind: &str,
    load: &Load,
    mark: usize,
    source: &Source,
    weights: &[Source],
    words: &mut Words,
    body: impl FnOnce(&mut String, &mut Words),
) -> String {
    let mut f = format!("fn {name}(lin: u32, k: u32) -> {kind} {{\n");
    coordinates(&mut f, "lin", 0, &load.extents[..mark], words);
    coordinates(&mut f, "k", mark, &load.extents[mark..], words);
    let mut checks = Vec::new();
    for (a, v) in load.valid.iter().enumerate() {
        validity(&mut checks, a, v, load.extents[a], words);
    }
    let index = index(&mut f, "i", &load.source, &source.window, words);
    guard(&mut checks, "i", &source.window, words);
    for (k, (w, s)) in load.factors.iter().zip(weights).enumerate() {
        self::index(&mut f, &format!("j{k}"), &w.access, &s.window, words);
        guard(&mut checks, &format!("j{k}"), &s.window, words);
    }
    debug_assert_eq!(index, "i");
    if checks.is_empty() {
        body(&mut f, words);
    } else {
        let _ = writeln!(f, "    if (!({})) {{\n        return {kind}();\n    }}", checks.join(" && "));
        body(&mut f, words);
    }
    f.push_str("}\n");
    f
}

/// `fn NAME(lin: u32, v: T) -> T`: v times weights and scalar.
pub(crate) fn weigh_function(
    name: &str,
    extents: &[usize],
    factors: &[Factor],
    scale: Complex64,
    complex: bool,
    weights: &[Source],
    words: &mut Words,
) -> String {
    let mut f = format!("fn {name}(lin: u32, u: T) -> T {{\n");
    coordinates(&mut f, "lin", 0, extents, words);
    for (k, (w, s)) in factors.iter().zip(weights).enumerate() {
        index(&mut f, &format!("j{k}"), &w.access, &s.window, words);
    }
    f.push_str("    var v = u;\n");
    weigh(&mut f, factors, weights, scale, complex, words);
    f.push_str("    return v;\n}\n");
    f
}

/// The indices of axes, the first of them called n`first`, from a linear index.
fn coordinates(f: &mut String, linear: &str, first: usize, extents: &[usize], words: &mut Words) {
    let mut rest = linear.to_string();
    for (k, &extent) in extents.iter().enumerate().skip(1).rev() {
        let (a, extent) = (first + k, words.count(extent));
        let _ = writeln!(f, "    let r{a} = {rest} / {extent};\n    let n{a} = {rest} - r{a} * {extent};");
        rest = format!("r{a}");
    }
    if !extents.is_empty() {
        let _ = writeln!(f, "    let n{first} = {rest};");
    }
}

fn validity(checks: &mut Vec<String>, a: usize, v: &Validity, extent: usize, words: &mut Words) {
    if *v == Validity::total(extent) {
        return;
    }
    // One unsigned comparison for both bounds.
    let (lo, len) = (words.term(v.lo), words.count(magnitude((v.hi - v.lo).max(0))));
    checks.push(format!("n{a} - {lo} < {len}"));
    if let Some((num, off, den)) = v.divisible {
        let (num, off) = (words.term(num), words.term(off));
        let den = words.count(magnitude(den));
        checks.push(format!("(n{a} * {num} + {off}) % {den} == 0u"));
    }
}

fn guard(checks: &mut Vec<String>, index: &str, w: &Window, words: &mut Words) {
    if w.guarded {
        let len = words.count(usize::try_from(w.len).unwrap_or(usize::MAX));
        checks.push(format!("{index} < {len}"));
    }
}

/// `let NAME = …;`: the flat index within a window. Wrapping arithmetic: terms may be negative, the sum is not.
fn index(f: &mut String, name: &str, access: &Access, w: &Window, words: &mut Words) -> String {
    let base = words.term(access.base - w.first as i64);
    let mut sum = base;
    for (a, axis) in access.axes.iter().enumerate() {
        match *axis {
            AxisIndex::Linear { stride: 0 } => {}
            AxisIndex::Linear { stride: 1 } => {
                let _ = write!(sum, " + n{a}");
            }
            AxisIndex::Linear { stride } => {
                let stride = words.term(stride);
                let _ = write!(sum, " + n{a} * {stride}");
            }
            AxisIndex::Divided { num, off, den, stride } => {
                let (num, off) = (words.term(num), words.term(off));
                let (den, stride) = (words.count(magnitude(den)), words.term(stride));
                let _ = write!(sum, " + (n{a} * {num} + {off}) / {den} * {stride}");
            }
            AxisIndex::Wrapped { num, off, extent, stride } => {
                let off = words.term(off);
                let (extent, stride) = (words.count(magnitude(extent)), words.term(stride));
                // Above -extent wherever the load is valid, so one extent more is not negative.
                let t = if num == 1 { format!("n{a} + {off}") } else { format!("{off} - n{a}") };
                let _ = write!(sum, " + ({t} + {extent}) % {extent} * {stride}");
            }
        }
    }
    let _ = writeln!(f, "    let {name} = {sum};");
    name.to_string()
}

fn weigh(f: &mut String, factors: &[Factor], weights: &[Source], scale: Complex64, complex: bool, words: &mut Words) {
    for (k, (w, s)) in factors.iter().zip(weights).enumerate() {
        let _ = match (complex && s.complex, w.conj) {
            (true, false) => writeln!(f, "    v = cmul(v, {}[j{k}]);", s.name),
            (true, true) => writeln!(f, "    v = cmul_conj(v, {}[j{k}]);", s.name),
            (false, _) => writeln!(f, "    v = v * {}[j{k}];", s.name),
        };
    }
    if scale.im != 0.0 && complex {
        let (re, im) = (words.f32(narrow(scale.re)), words.f32(narrow(scale.im)));
        let _ = writeln!(f, "    v = cmul(v, vec2<f32>({re}, {im}));");
    } else if scale.re != 1.0 {
        let re = words.f32(narrow(scale.re));
        let _ = writeln!(f, "    v = v * {re};");
    }
}

#[allow(clippy::cast_possible_truncation)]
pub(super) fn narrow(x: f64) -> f32 {
    x as f32
}

fn magnitude(x: i64) -> usize {
    usize::try_from(x.unsigned_abs()).unwrap_or(usize::MAX)
}
