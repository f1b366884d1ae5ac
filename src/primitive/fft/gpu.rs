//! Passes of transforms on a GPU: the generator's text between a fused read, weights on the coefficients, and a weighted store.

use super::direction;
use super::host::into_post;
use super::passes::{FftCall, FftPass, Folded, Lines};
use crate::access::{Factor, Load, Post, ValueId};
use crate::error::Result;
use crate::plan::{GpuKernel, Held, Kernel, Scratch, Steps, Target, Work, weight_bytes};
use crate::shader::{
    Chunk, Draft, Operand, Source, Stepper, StoreTo, Text, Window, clamp, load_function, weigh_function, word,
};
use num_complex::Complex64;
use std::fmt::Write;
use std::sync::Arc;

/// One pass of a Fourier transform along the middle axis of (outer, n, inner).
#[derive(Clone, Debug)]
pub(super) struct PassKernel {
    /// The read, of as many elements as (outer, n, inner).
    pub load: Load,
    pub pass: FftPass,
    pub outer: usize,
    pub inner: usize,
    /// First pass of its transform: takes direction and origin into account.
    pub first: bool,
    /// Last pass: direction, origin, and `post`.
    pub last: bool,
    /// Conjugate transform.
    pub inverse: bool,
    /// Index of the origin.
    pub shift: usize,
    /// Weights on the coefficients, where the transform back follows in the same pass.
    pub middle: Option<Post>,
    /// Weights and scalar on the result, in the last pass.
    pub post: Post,
    /// First and end of what is stored along the axis.
    pub keep: (usize, usize),
    /// What is added up of the results, weighted by `post`, in the last pass.
    pub folded: Option<Folded>,
}

impl PassKernel {
    /// Over what it runs.
    pub(super) fn lines(&self) -> Lines {
        Lines { outer: self.outer, inner: self.inner, folded: self.folded }
    }

    /// Length of the transformed axis.
    pub(super) fn length(&self) -> usize {
        self.load.count() / (self.outer * self.inner)
    }

    /// Its pass, over what of a line is not zero and what is wanted of it.
    fn pruned(&self) -> FftPass {
        let (n, extents) = (self.length(), &self.load.extents);
        let own = |a: &usize| extents[*a] == n && extents[..*a].iter().product::<usize>() == self.outer;
        let Some(axis) = (0..extents.len()).find(own) else { return self.pass.clone() };
        let valid = self.load.valid[axis];
        let end = |at: i64| usize::try_from(at).unwrap_or(0).min(n);
        // In the order of the transform the origin comes first.
        let turned = |(first, end): (usize, usize)| ((first + n - self.shift) % n, end.saturating_sub(first));
        self.pass.pruned(turned((end(valid.lo), end(valid.hi))), turned(self.keep))
    }

    /// Weights that it binds beside those of its read.
    pub(super) fn factors(&self) -> usize {
        self.middle.as_ref().map_or(0, |m| m.factors.len()) + self.post.factors.len()
    }
}

/// The inverse along one axis of a pass, after weights: both in that pass. None where it is not that, or they do not fit.
pub(super) fn filter_pass(s: &Steps, there: usize, back: usize) -> Option<PassKernel> {
    let kernel = |at: usize| s.get(at).and_then(|step| step.kernel.of_type::<PassKernel>());
    let (there, back) = (kernel(there)?, kernel(back)?);
    let n = there.length();
    let same = (there.outer, there.inner, n) == (back.outer, back.inner, back.length()) && there.keep == (0, n);
    let whole = there.first && there.last && back.first && back.last;
    let opposite = there.inverse != back.inverse && there.shift == back.shift;
    let weights = &back.load.factors;
    let bindable = s.target.bindable();
    let fits = there.load.factors.len() + weights.len() + back.post.factors.len() <= s.target.max_factors()
        && weights.iter().all(|w| w.weight.len() < bindable);
    if !same || !whole || !opposite || !fits || there.middle.is_some() || back.middle.is_some() {
        return None;
    }
    if !there.post.factors.is_empty() {
        return None;
    }
    let scale = there.post.scale * back.load.scale;
    let middle = Post { extents: back.load.extents.clone(), factors: weights.clone(), scale };
    let Target::Gpu(limits) = s.target else { return None };
    let pass = there.pass.filter(there.inner, &limits)?;
    let (post, keep) = (back.post.clone(), back.keep);
    Some(PassKernel { pass, middle: Some(middle), post, keep, ..there.clone() })
}

impl Kernel for PassKernel {
    fn name(&self) -> &'static str {
        "fft pass"
    }

    fn details(&self) -> String {
        let PassKernel { outer, inner, keep, .. } = self;
        let mut s = format!(" {} of ({outer}, n, {inner})", self.pruned().key());
        if self.first || self.last {
            s += direction(self.inverse, self.shift > 0);
        }
        if let Some(middle) = &self.middle {
            let _ = write!(s, " middle{middle}");
        }
        if self.last && keep.1 - keep.0 < self.length() {
            let _ = write!(s, " keep {}..{}", keep.0, keep.1);
        }
        s += &self.post.to_string();
        if let Some(folded) = self.folded {
            let _ = write!(s, " sums of {}", folded.terms);
        }
        s
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.lines().stored() * (self.keep.1 - self.keep.0) * self.inner
    }

    fn work(&self) -> Work {
        let mut work = Work { flops: self.pruned().flops(self.lines()), read: 0 };
        if let Some(middle) = &self.middle {
            work.read += middle.factors.iter().map(|f| weight_bytes(f, &middle.extents)).sum::<u64>();
            work.flops += self.load.count() as u64 * 6 * middle.factors.len() as u64;
        }
        work
    }

    fn held(&self) -> Vec<Held<'_>> {
        self.middle.iter().flat_map(|m| &m.factors).map(|f| Held::Weight(&f.weight)).collect()
    }

    /// What it binds, it binds whole.
    fn takes(&self, load: &Load, target: &Target) -> bool {
        load.factors.len() + self.factors() <= target.max_factors() && load.span() <= target.bindable()
    }

    fn absorb(&mut self, after: &Load, _: bool, target: &Target) -> bool {
        let bound = self.load.factors.len() + self.factors() + after.factors.len();
        self.last && self.folded.is_none() && bound <= target.max_factors() && into_post(&mut self.post, after)
    }

    /// What nobody reads along the axis is not stored.
    fn crop(&mut self, extents: &[usize], read: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        let n = self.length();
        let own = |a: &usize| extents[*a] == n && extents[..*a].iter().product::<usize>() == self.outer && n > 1;
        let axis = (0..extents.len()).find(own)?;
        let whole = self.last && self.keep == (0, n) && self.post.factors.is_empty() && self.folded.is_none();
        if !whole || read[axis] == (0, n) {
            return None;
        }
        let mut keep: Vec<(usize, usize)> = extents.iter().map(|&n| (0, n)).collect();
        keep[axis] = read[axis];
        self.keep = read[axis];
        self.post.extents = keep.iter().map(|k| k.1 - k.0).collect();
        Some(keep)
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        self.last.then_some(&self.post)
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        self.load.is_in_order() && self.pass.in_place() && self.folded.is_none()
    }
}

impl GpuKernel for PassKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        let len = self.output_len();
        let dst = s.destination(Chunk { first: 0, count: len })?;
        let mut t = Text::new(true);
        t.declare("@group(0) @binding(0) var<uniform> fft: FftParams;");
        let pass = self.pruned();
        let table = Arc::new(pass.twiddles());
        let whole = Window { first: 0, len: table.len() as u64, guarded: false };
        t.bind(1, Operand::Table(table), 8, whole, "read", "twiddle");
        t.bind(3, Operand::Value(s.store.value), 8, dst, "read_write", "dst");
        let load = self.load.collapsed();
        let read = load.count();
        let ranges = Stepper::ranges(&load, (0, read));
        let source = &s.sources[0];
        let window = match source.overwritten {
            true => dst,
            false => {
                let footprint = clamp(load.source.footprint(&ranges), source.len);
                let w = s.one("a transform's operand", footprint, source.element())?;
                t.bind(4, Operand::Value(source.value), source.element(), w, "read", "x");
                w
            }
        };
        let mut weights = Weights { s, number: 5 };
        let named = weights.bind(&mut t, &load.factors, &ranges)?;
        let name = if source.overwritten { "dst" } else { "x" };
        let x = Source { name, complex: source.complex, window };
        let text = load_function("fetch", &load, load.extents.len(), true, &x, &sources(&named), &mut t.words);
        t.body += &text;
        t.body += "fn load(lin: u32) -> T {\n    return fetch(lin, 0u);\n}\n";
        if let Some(middle) = &self.middle {
            let load = collapsed(middle);
            let named = weights.bind(&mut t, &load.factors, &everywhere(&load))?;
            let own = sources(&named);
            t.body +=
                &weigh_function("middle", &load.extents, &load.factors, middle.scale, true, &own, &mut t.words);
        }
        // The scalar goes into the pass, the weights into the store.
        let real = self.post.scale.im == 0.0;
        let after = collapsed(&self.post);
        let named = weights.bind(&mut t, &after.factors, &everywhere(&after))?;
        let weighted = !after.factors.is_empty() || !real;
        if weighted {
            let scale = if real { Complex64::ONE } else { self.post.scale };
            let own = sources(&named);
            t.body += &weigh_function("weigh", &after.extents, &after.factors, scale, true, &own, &mut t.words);
        }
        let to = StoreTo { store: s.store, len, dst, add: false };
        let mut weigh = weighted.then_some("weigh");
        let part = self.keep != (0, self.length());
        if self.folded.is_some() {
            self.term(&mut t, weigh.take(), part);
        }
        if part {
            t.store("store_inside", &to, weigh);
            self.store_kept(&mut t);
        } else {
            t.store("store", &to, weigh);
        }
        #[allow(clippy::cast_possible_truncation)]
        let scale = if real { self.post.scale.re as f32 } else { 1.0 };
        let call = FftCall { inverse: self.inverse, shift: self.shift, scale, batch0: 0 };
        let groups = pass.groups(self.lines());
        let mut draft = t.assemble(&pass.key(), &pass.source()?, groups)?;
        draft.fft_params = Some(pass.params(self.lines(), self.first, self.last, &call)?);
        Ok(vec![draft])
    }
}

impl PassKernel {
    /// `fn store(lin, v)`, where `lin` counts all of (outer, n, inner): keeps what is kept along n.
    fn store_kept(&self, t: &mut Text) {
        let inside = self.inside(t, "store_inside(", ", v);");
        let _ = write!(t.body, "fn store(lin: u32, v: T) {{\n{inside}}}\n");
    }

    /// `fn term(lin, v)`, what is added up of a result: `lin` counts all of (outer, n, inner).
    fn term(&self, t: &mut Text, weigh: Option<&str>, part: bool) {
        let body = match (weigh, part) {
            (None, _) => "    return v;\n".to_string(),
            (Some(weigh), false) => format!("    return {weigh}(lin, v);\n"),
            (Some(weigh), true) => {
                // What is not kept has no weight.
                self.inside(t, &format!("return {weigh}("), ", v);") + "    return T();\n"
            }
        };
        let _ = write!(t.body, "fn term(lin: u32, v: T) -> T {{\n{body}}}\n");
    }

    /// Statements that call something with the place of `lin` among what is kept, if it is.
    fn inside(&self, t: &mut Text, call: &str, rest: &str) -> String {
        let (n, inner) = (t.words.count(self.length()), t.words.count(self.inner));
        let (first, count) = (t.words.count(self.keep.0), t.words.count(self.keep.1 - self.keep.0));
        format!(
            "    let row = lin / {inner};
    let outer = row / {n};
    let k = row - outer * {n} - {first};
    if (k < {count}) {{
        {call}(outer * {count} + k) * {inner} + lin - row * {inner}{rest}
    }}
"
        )
    }
}

/// Binds weights, one number after the other.
struct Weights<'a> {
    s: &'a Stepper,
    number: usize,
}

/// A bound weight: its name, whether it is complex, and what is bound of it.
type Named = (String, bool, Window);

impl Weights<'_> {
    fn bind(&mut self, t: &mut Text, factors: &[Factor], ranges: &[(i64, i64)]) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        for f in factors {
            let element = if f.weight.is_complex() { 8 } else { 4 };
            let footprint = clamp(f.access.footprint(ranges), f.weight.len());
            let w = self.s.one("a transform's weight", footprint, element)?;
            let name = format!("w{}", self.number);
            let number = word("a binding", self.number)?;
            t.bind(number, Operand::Constant(f.weight.clone()), element, w, "read", &name);
            all.push((name, f.weight.is_complex(), w));
            self.number += 1;
        }
        Ok(all)
    }
}

fn sources(named: &[Named]) -> Vec<Source<'_>> {
    named.iter().map(|(name, complex, window)| Source { name, complex: *complex, window: *window }).collect()
}

fn collapsed(post: &Post) -> Load {
    let mut load = Load::whole(ValueId::INPUT, &post.extents);
    load.factors = post.factors.clone();
    load.collapsed()
}

fn everywhere(load: &Load) -> Vec<(i64, i64)> {
    load.extents.iter().map(|&n| (0, n as i64 - 1)).collect()
}

