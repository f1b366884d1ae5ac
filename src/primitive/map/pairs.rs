//! Maps of complex values in order, two at a time: an invocation moves 16 bytes with each access, of every operand.
//!
//! The same operations on the same numbers as one by one, so the same bits.

use super::MapKernel;
use super::gpu::MAP;
use crate::access::{Access, Load};
use crate::error::Result;
use crate::shader::{Chunk, Draft, Operand, Stepper, Text, Window, clamp, windows, word};
use std::fmt::Write;

impl MapKernel {
    /// Whether all operands are read in the order of the results, one element for each.
    pub(super) fn is_in_order(&self) -> bool {
        self.loads.iter().all(|l| {
            let l = l.collapsed();
            l.is_in_order() && l.factors.iter().all(|f| f.access == Access::c_order(&l.extents))
        })
    }

    /// The dispatch with so many pairs for each invocation; None where operands are not in order or not complex, not all is bound at
    /// once, a pair would be cut, or it is no map of the kinds that tuning compares with one by one, bit by bit: of real weights and
    /// scales, to a result of its own from its first element on.
    pub(super) fn pairs(&self, s: &Stepper, chunks: &[Chunk], each: usize) -> Result<Option<Draft>> {
        let alone = self.loads.len() == 1;
        let real = |l: &Load| l.scale.im == 0.0 && l.factors.iter().all(|f| !f.weight.is_complex());
        let compared = s.sources.iter().all(|source| source.complex && !source.overwritten)
            && self.loads.iter().all(|l| real(l) && (alone || !l.factors.is_empty()));
        let whole = s.complex && s.store.start == 0 && s.store.is_contiguous(s.len);
        match *chunks {
            [chunk] if compared && whole && chunk.count.is_multiple_of(2) && self.is_in_order() => self.draft(s, chunk, each),
            _ => Ok(None),
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn draft(&self, s: &Stepper, chunk: Chunk, each: usize) -> Result<Option<Draft>> {
        let mut t = Text::new(true);
        t.defines.set("T", "vec4<f32>");
        let dst = s.destination(chunk)?;
        t.bind_as(3, Operand::Value(s.store.value), 8, dst, "read_write", "dst", "vec4<f32>");
        let mut f = "fn value(q: u32) -> vec4<f32> {\n".to_string();
        let (mut number, mut terms) = (3, Vec::new());
        for (k, (load, source)) in self.loads.iter().zip(&s.sources).enumerate() {
            let load = load.collapsed();
            let mut bound = |operand, len: usize, element: u64, kind: &str| {
                let w = one(chunk, len, s.bindable(element))?;
                number += 1;
                let name = format!("x{number}");
                t.bind_as(number, operand, element, w, "read", &name, kind);
                Some(format!("{name}[q + {}]", offset(&mut t, w)))
            };
            let Some(read) = bound(Operand::Value(source.value), source.len, 8, "vec4<f32>") else { return Ok(None) };
            let _ = writeln!(f, "    var v{k} = {read};");
            for factor in &load.factors {
                let weight = Operand::Constant(factor.weight.clone());
                let Some(read) = bound(weight, factor.weight.len(), 4, "vec2<f32>") else { return Ok(None) };
                let _ = writeln!(f, "    v{k} = v{k} * {read}.xxyy;");
            }
            if load.scale.re != 1.0 {
                let _ = writeln!(f, "    v{k} = v{k} * {};", t.words.f32(load.scale.re as f32));
            }
            terms.push(format!("v{k}"));
        }
        let sum = if terms.is_empty() { "vec4<f32>()".into() } else { terms.join(" + ") };
        let _ = write!(f, "    return {sum};\n}}\n");
        let at = offset(&mut t, dst);
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

/// What lies between a pair of a value and its place in a window.
fn offset(t: &mut Text, w: Window) -> String {
    t.words.term(-(w.first as i64) / 2)
}

/// The one window over a chunk of an operand in order, if there is one.
fn one(chunk: Chunk, len: usize, bindable: u64) -> Option<Window> {
    let (first, end) = (chunk.first as i64, (chunk.first + chunk.count) as i64);
    match windows(clamp((first, end - 1), len), bindable)[..] {
        [w] if !w.guarded && w.len.is_multiple_of(2) => Some(w),
        _ => None,
    }
}
