//! Several elements that lie beside each other, read and written with one access of 16 bytes: two complex ones, or four real ones.
//!
//! A GPU moves memory the faster the more each of its lanes moves at once; 8 bytes of a complex number are not enough for some. A
//! unit begins at a multiple of its length in every operand that is not repeated, so that it is one element of an array of
//! `vec4<f32>`. What is done with its elements is what is done with single ones, in the same order: the same bits.
//!
//! ```text
//! along results   value(lin)       → results lin, lin + 1               x[lin / 2] · (w[j] for both)
//! along terms     load0(sum, k)    → terms k, k + 1 of one sum
//! ```

use super::read::{Source, addressed, narrow};
use super::text::{StoreTo, Text};
use super::windows::Window;
use super::words::Words;
use crate::access::{Access, AxisIndex, Load, Store};
use std::fmt::Write;

/// Bytes of an access.
const ACCESS: u64 = 16;

/// So many results are made in units: fewer leave a large GPU without work.
pub(crate) const UNITS: usize = 1 << 16;

/// What the elements of a unit are to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// Results, one behind the other.
    Results,
    /// Terms of one result.
    Terms,
}

/// Elements of a unit: values are complex, or real.
pub(crate) const fn unit(complex: bool) -> usize {
    if complex { 2 } else { 4 }
}

/// How the elements of a unit lie in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Beside each other, from a multiple of the unit on.
    Beside,
    /// All of them are the same one.
    Same,
}

/// How units along an axis lie where they are read; None where some are apart, or begin between multiples.
pub(crate) fn lie(access: &Access, axis: usize, unit: usize) -> Option<Lie> {
    let whole = |n: i64| n % unit as i64 == 0;
    let step = |a: &AxisIndex| match *a {
        AxisIndex::Linear { stride } | AxisIndex::Divided { stride, .. } | AxisIndex::Wrapped { stride, .. } => stride,
    };
    match access.axes.get(axis)? {
        AxisIndex::Linear { stride: 0 } => Some(Lie::Same),
        AxisIndex::Linear { stride: 1 } => {
            let others = access.axes.iter().enumerate().filter(|(a, _)| *a != axis);
            let whole = whole(access.base) && others.into_iter().all(|(_, a)| whole(step(a)));
            whole.then_some(Lie::Beside)
        }
        _ => None,
    }
}

/// Whether an axis is made of whole units, each of which has values everywhere or nowhere.
pub(crate) fn divides(load: &Load, axis: usize, unit: usize) -> bool {
    let (extent, v) = (load.extents[axis], load.valid[axis]);
    let whole = |n: i64| n % unit as i64 == 0;
    extent.is_multiple_of(unit) && v.divisible.is_none() && whole(v.lo) && whole(v.hi)
}

/// Whether a window is one of whole units.
pub(crate) fn holds(w: &Window, unit: usize) -> bool {
    w.first.is_multiple_of(unit as u64) && w.len.is_multiple_of(unit as u64)
}

/// Whether units of results are stored beside each other.
pub(crate) fn stores(store: &Store, len: usize, unit: usize) -> bool {
    let rows = [store.run, store.pitch];
    store.start.is_multiple_of(unit) && (store.is_contiguous(len) || rows.iter().all(|n| n.is_multiple_of(unit)))
}

/// What an operand of elements of so many bytes is an array of where a unit of it is one access.
pub(crate) fn array_of(element: u64, unit: usize) -> &'static str {
    if element * unit as u64 == ACCESS { "vec4<f32>" } else { "vec2<f32>" }
}

/// `fn NAME(lin: u32, k: u32) -> vec4<f32>`: the unit whose first element is at these indices, of which one is a multiple of the
/// unit. Real values are of real reads alone.
#[allow(clippy::too_many_arguments)]
pub(crate) fn load_units(
    name: &str,
    load: &Load,
    mark: usize,
    complex: bool,
    (source, lies): (&Source, Lie),
    weights: &[(Source, Lie)],
    words: &mut Words,
) -> String {
    let unit = unit(complex);
    let named: Vec<Source> = weights.iter().map(|(s, _)| *s).collect();
    addressed(name, "vec4<f32>", load, mark, source, &named, words, |f, words| {
        let at = |s: &Source, lies: Lie, index: &str| match lies {
            Lie::Beside => format!("{}[{index} / {unit}u]", s.name),
            Lie::Same => format!("{}[{index}]", s.name),
        };
        let _ = writeln!(f, "    let r = {};", at(source, lies, "i"));
        let first = match (complex, source.complex, lies) {
            (true, true, Lie::Same) => "r.xyxy",
            (true, false, Lie::Beside) => "vec4<f32>(r.x, 0.0, r.y, 0.0)",
            (true, false, Lie::Same) => "vec4<f32>(r, 0.0, r, 0.0)",
            (false, _, Lie::Same) => "vec4<f32>(r)",
            (_, _, Lie::Beside) => "r",
        };
        let _ = writeln!(f, "    var v = {first};");
        for (k, (factor, (s, lies))) in load.factors.iter().zip(weights).enumerate() {
            let w = at(s, *lies, &format!("j{k}"));
            let _ = match (complex, s.complex, lies) {
                (true, true, _) => {
                    let product = if factor.conj { "cmul_conj_pair" } else { "cmul_pair" };
                    let both = if *lies == Lie::Same { ".xyxy" } else { "" };
                    writeln!(f, "    v = {product}(v, {w}{both});")
                }
                (true, false, Lie::Beside) => writeln!(f, "    v = v * {w}.xxyy;"),
                _ => writeln!(f, "    v = v * {w};"),
            };
        }
        if load.scale.im != 0.0 && complex {
            let (re, im) = (words.f32(narrow(load.scale.re)), words.f32(narrow(load.scale.im)));
            let _ = writeln!(f, "    v = cmul_pair(v, vec2<f32>({re}, {im}).xyxy);");
        } else if load.scale.re != 1.0 {
            let _ = writeln!(f, "    v = v * {};", words.f32(narrow(load.scale.re)));
        }
        f.push_str("    return v;\n");
    })
}

/// `fn store(lin, v: vec4<f32>)`: stores or adds the unit of results that begins at `lin`.
pub(crate) fn store_units(t: &mut Text, to: &StoreTo, unit: usize) {
    let index = to.index(&mut t.words);
    let op = if to.add { "+=" } else { "=" };
    let _ = write!(t.body, "fn store(lin: u32, v: vec4<f32>) {{\n    dst[({index}) / {unit}u] {op} v;\n}}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AxisMap, MapAxis, ValueId};

    #[test]
    fn units_begin_at_multiples() {
        let x = Load::whole(ValueId::INPUT, &[6, 8]);
        assert_eq!(lie(&x.source, 1, 4), Some(Lie::Beside));
        assert_eq!(lie(&x.source, 0, 2), None);
        let through = |axes: &[MapAxis], extents: &[usize]| x.mapped(axes, extents).unwrap();
        let rows = MapAxis::From(0, AxisMap::identity(6));
        let crop = |by: i64| through(&[rows, MapAxis::From(1, AxisMap::affine(1, by, 1, 8, 4))], &[6, 4]);
        assert_eq!([1, 2, 4].map(|by| lie(&crop(by).source, 1, 2)), [None, Some(Lie::Beside), Some(Lie::Beside)]);
        let pad = |by: i64| through(&[rows, MapAxis::From(1, AxisMap::affine(1, -by, 1, 8, 12))], &[6, 12]);
        assert_eq!([1, 2, 4].map(|by| divides(&pad(by), 1, 4)), [false, false, true]);
        let repeated = through(&[rows, MapAxis::New], &[6, 8]);
        assert_eq!(lie(&repeated.source, 1, 4), Some(Lie::Same));
        let turned = through(&[rows, MapAxis::From(1, AxisMap::affine(-1, 7, 1, 8, 8))], &[6, 8]);
        assert_eq!(lie(&turned.source, 1, 2), None);
        // Rows of an odd number of elements begin between multiples.
        assert_eq!(lie(&Load::whole(ValueId::INPUT, &[6, 7]).source, 1, 2), None);
    }

    #[test]
    fn rows_of_results_are_whole_units() {
        let whole = Store::whole(ValueId::INPUT, 12);
        assert!(stores(&whole, 12, 4) && !stores(&Store { start: 2, ..whole }, 12, 4));
        let rows = Store { run: 4, pitch: 10, ..whole };
        assert!(stores(&rows, 12, 2) && !stores(&rows, 12, 4));
        assert!(
            holds(&Window { first: 64, len: 8, guarded: true }, 4)
                && !holds(&Window { first: 0, len: 7, guarded: false }, 2)
        );
    }
}
