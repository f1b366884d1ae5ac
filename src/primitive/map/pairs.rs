//! Maps of complex values in order, two at a time: an invocation moves 16 bytes with each access, of every operand.
//!
//! The same operations on the same numbers as one by one, so the same bits.

use super::MapKernel;
use super::gpu::MAP;
use crate::access::{Access, Load};
use crate::error::Result;
use crate::shader::{Chunk, Draft, Operand, Stepper, Text, Window, clamp, windows, word};
use num_complex::Complex64;
use std::fmt::Write;

impl MapKernel {
    /// Whether all operands are read in the order of the results, one element for each.
    pub(super) fn is_in_order(&self) -> bool {
        self.loads.iter().all(|l| {
            let l = l.collapsed();
            l.is_in_order() && l.factors.iter().all(|f| f.access == Access::c_order(&l.extents))
        })
    }

    /// Whether this is a map of the kinds that tuning compares with one by one, bit by bit: real weights and scales, one chunk, a result
    /// of its own from its first element on. Others are not made in pairs.
    fn is_compared(&self, s: &Stepper, chunks: &[Chunk]) -> bool {
        let alone = self.loads.len() == 1;
        let real = |l: &Load| l.scale.im == 0.0 && l.factors.iter().all(|f| !f.weight.is_complex());
        chunks.len() == 1
            && s.store.start == 0
            && s.sources.iter().all(|source| !source.overwritten)
            && self.loads.iter().all(|l| real(l) && (alone || !l.factors.is_empty()))
    }

    /// The dispatches over these chunks, with so many pairs for each invocation; None where operands are not in order or not complex,
    /// not all of a chunk is bound at once, a pair would be cut, or it is not a map that tuning compares.
    pub(super) fn pairs(&self, s: &Stepper, chunks: &[Chunk], each: usize) -> Result<Option<Vec<Draft>>> {
        let even = |n: usize| n.is_multiple_of(2);
        let whole = s.store.is_contiguous(s.len) && even(s.store.start);
        if !self.is_compared(s, chunks) {
            return Ok(None);
        }
        let complex = s.complex && s.sources.iter().all(|source| source.complex);
        if !whole || !complex || !self.is_in_order() || chunks.iter().any(|c| !even(c.first) || !even(c.count)) {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(chunks.len());
        for &chunk in chunks {
            let Some(draft) = self.pair_draft(s, chunk, each)? else { return Ok(None) };
            all.push(draft);
        }
        Ok(Some(all))
    }

    fn pair_draft(&self, s: &Stepper, chunk: Chunk, each: usize) -> Result<Option<Draft>> {
        let mut t = Text::new(true);
        t.defines.set("T", "vec4<f32>");
        let dst = s.destination(chunk)?;
        t.bind_as(3, Operand::Value(s.store.value), 8, dst, "read_write", "dst", "vec4<f32>");
        let mut f = "fn value(q: u32) -> vec4<f32> {\n".to_string();
        let mut number = 4;
        let mut terms = Vec::new();
        for (k, (load, source)) in self.loads.iter().zip(&s.sources).enumerate() {
            let load = load.collapsed();
            let bound = |len: usize, element: u64| one(chunk, len, s.bindable(element));
            let (name, window) = match source.overwritten {
                true => ("dst".to_string(), dst),
                false => {
                    let Some(w) = bound(source.len, 8) else { return Ok(None) };
                    let name = format!("x{number}");
                    t.bind_as(number, Operand::Value(source.value), 8, w, "read", &name, "vec4<f32>");
                    (name, w)
                }
            };
            number += 1;
            let at = offset(&mut t, 0, window);
            let _ = writeln!(f, "    var v{k} = {name}[q + {at}];");
            for factor in &load.factors {
                let complex = factor.weight.is_complex();
                let (element, kind) = if complex { (8, "vec4<f32>") } else { (4, "vec2<f32>") };
                let Some(w) = bound(factor.weight.len(), element) else { return Ok(None) };
                let name = format!("x{number}");
                t.bind_as(number, Operand::Constant(factor.weight.clone()), element, w, "read", &name, kind);
                number += 1;
                let at = offset(&mut t, 0, w);
                let weight = format!("w{number}");
                let _ = writeln!(f, "    let {weight} = {name}[q + {at}];");
                let _ = match (complex, factor.conj) {
                    (false, _) => writeln!(f, "    v{k} = v{k} * {weight}.xxyy;"),
                    (true, false) => {
                        writeln!(f, "    v{k} = {};", both("cmul", k, &format!("{weight}.xy"), &format!("{weight}.zw")))
                    }
                    (true, true) => {
                        writeln!(
                            f,
                            "    v{k} = {};",
                            both("cmul_conj", k, &format!("{weight}.xy"), &format!("{weight}.zw"))
                        )
                    }
                };
            }
            scaled(&mut t, &mut f, k, &load);
            terms.push(format!("v{k}"));
        }
        let sum = if terms.is_empty() { "vec4<f32>()".into() } else { terms.join(" + ") };
        let _ = write!(f, "    return {sum};\n}}\n");
        let at = offset(&mut t, s.store.start, dst);
        let _ = write!(f, "fn store(q: u32, v: vec4<f32>) {{\n    dst[q + {at}] = v;\n}}\n");
        t.body += &f;
        let pairs = chunk.count / 2;
        t.param("count", word("the results of a dispatch", pairs)?);
        t.param("first", word("a result's index", chunk.first / 2)?);
        t.defines.set("EACH", format!("{each}u"));
        t.defines.set("EACH_COUNT", each);
        t.finish(MAP, (pairs as u64).div_ceil(256 * each as u64)).map(Some)
    }
}

/// What lies between a pair of a value, from element `start` on, and its place in a window.
fn offset(t: &mut Text, start: usize, w: Window) -> String {
    t.words.term((start as i64 - w.first as i64) / 2)
}

/// The one window over a chunk of an operand in order, if there is one.
fn one(chunk: Chunk, len: usize, bindable: u64) -> Option<Window> {
    let (first, end) = (chunk.first as i64, (chunk.first + chunk.count) as i64);
    match windows(clamp((first, end - 1), len), bindable)[..] {
        [w] if !w.guarded && w.len.is_multiple_of(2) => Some(w),
        _ => None,
    }
}

/// A complex product of both values of a pair.
fn both(product: &str, k: usize, first: &str, second: &str) -> String {
    format!("vec4<f32>({product}(v{k}.xy, {first}), {product}(v{k}.zw, {second}))")
}

/// By the scalar of a read, as one by one.
#[allow(clippy::cast_possible_truncation)]
fn scaled(t: &mut Text, f: &mut String, k: usize, load: &Load) {
    let Complex64 { re, im } = load.scale;
    if im != 0.0 {
        let (re, im) = (t.words.f32(re as f32), t.words.f32(im as f32));
        let scale = format!("vec2<f32>({re}, {im})");
        let _ = writeln!(f, "    v{k} = {};", both("cmul", k, &scale, &scale));
    } else if re != 1.0 {
        let re = t.words.f32(re as f32);
        let _ = writeln!(f, "    v{k} = v{k} * {re};");
    }
}
