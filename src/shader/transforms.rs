//! Passes of transforms: the generator's text between a fused read, weights on the coefficients, and a weighted store.

use super::draft::{Chunk, Draft, Operand, Stepper, clamp, windows};
use super::read::{Source, Window, load_function, weigh_function};
use super::text::Text;
use crate::error::{Error, Result};
use crate::fft::FftCall;
use crate::program::{Factor, Kernel, Load, Post, ValueId};
use std::sync::Arc;

impl Stepper<'_> {
    pub fn fft(&self) -> Result<Draft> {
        let Kernel::FftPass { load, pass, outer, inner, first, last, inverse, shift, middle, post, keep } =
            &self.step.kernel
        else {
            return Err(Error::Device("not a transform".into()));
        };
        let len = self.step.kernel.output_len();
        let dst = self.destination(Chunk { first: 0, count: len })?;
        let mut t = Text::new(true);
        t.bind(3, Operand::Value(self.step.store.value), 8, dst, "read_write", "dst");
        let load = load.collapsed();
        let rank = load.extents.len();
        let read = load.extents.iter().product::<usize>();
        let ranges = self.ranges(&load, Chunk { first: 0, count: read });
        let value = &self.plan.values[load.value.at()];
        let one = |footprint, element| match &windows(footprint, self.room(element))[..] {
            [one] => Ok(*one),
            _ => Err(Error::TooBig {
                what: "one operand of a transform".into(),
                needed: element * (footprint.1 - footprint.0) as u64,
                limit: self.limit,
            }),
        };
        let own = self.overwrites(load.value);
        let source_window =
            if own { dst } else { one(clamp(load.source.footprint(&ranges), value.len()), value.element_bytes())? };
        if !own {
            t.bind(4, Operand::Value(load.value), value.element_bytes(), source_window, "read", "x");
        }
        let source = Source { name: if own { "dst" } else { "x" }, complex: value.complex, window: source_window };
        let mut number = 5;
        let mut weights =
            |t: &mut Text, factors: &[Factor], ranges: &[(i64, i64)]| -> Result<Vec<(String, bool, Window)>> {
                let mut all = Vec::new();
                for f in factors {
                    let element = if f.weight.is_complex() { 8 } else { 4 };
                    let w = one(clamp(f.access.footprint(ranges), f.weight.len()), element)?;
                    let name = format!("w{number}");
                    t.bind(number, Operand::Constant(f.weight.clone()), element, w, "read", &name);
                    all.push((name, f.weight.is_complex(), w));
                    number += 1;
                }
                Ok(all)
            };
        let named = weights(&mut t, &load.factors, &ranges)?;
        let pre: Vec<Source> = named.iter().map(|(n, c, w)| Source { name: n, complex: *c, window: *w }).collect();
        let text = load_function("fetch", &load, rank, true, &source, &pre, &mut t.words);
        t.body += &text;
        t.body += "fn load(lin: u32) -> T {\n    return fetch(lin, 0u);\n}\n";
        if let Some(middle) = middle {
            let collapsed = collapse_post(middle);
            let ranges: Vec<(i64, i64)> = collapsed.extents.iter().map(|&n| (0, n as i64 - 1)).collect();
            let named = weights(&mut t, &collapsed.factors, &ranges)?;
            let own: Vec<Source> = named.iter().map(|(n, c, w)| Source { name: n, complex: *c, window: *w }).collect();
            let (extents, scale) = (&collapsed.extents, middle.scale);
            t.body += &weigh_function("middle", extents, &collapsed.factors, scale, true, &own, &mut t.words);
        }
        // The scalar goes into the pass, the weights into the store.
        let real = post.scale.im == 0.0;
        let collapsed = collapse_post(post);
        let ranges: Vec<(i64, i64)> = collapsed.extents.iter().map(|&n| (0, n as i64 - 1)).collect();
        let named = weights(&mut t, &collapsed.factors, &ranges)?;
        let after: Vec<Source> = named.iter().map(|(n, c, w)| Source { name: n, complex: *c, window: *w }).collect();
        let weighted = !collapsed.factors.is_empty() || !real;
        if weighted {
            let scale = if real { num_complex::Complex64::new(1.0, 0.0) } else { post.scale };
            let text =
                weigh_function("weigh", &collapsed.extents, &collapsed.factors, scale, true, &after, &mut t.words);
            t.body += &text;
        }
        let weigh = weighted.then_some("weigh");
        if len < read {
            let n = read / (outer * inner);
            t.store_kept((n, *inner), *keep, &self.step.store, len, dst, weigh);
        } else {
            t.store(&self.step.store, len, dst, weigh, false);
        }
        let call = FftCall {
            inverse: *inverse,
            shift: *shift as u32,
            scale: if real { post.scale.re as f32 } else { 1.0 },
            batch0: 0,
        };
        let (outer, inner) = (*outer as u32, *inner as u32);
        t.fft(pass.source(), Arc::new(pass.twiddles()));
        let mut d = t.finish_with(&pass.key(), [0; 8], pass.groups(outer.into(), inner.into()))?;
        d.fft_params = Some(pass.params(outer, inner, *first, *last, &call));
        Ok(d)
    }
}

fn collapse_post(post: &Post) -> Load {
    let mut load = Load::whole(ValueId::INPUT, &post.extents);
    load.factors = post.factors.clone();
    load.collapsed()
}
