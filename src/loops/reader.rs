//! The host's side of a fused read: rows of a [`Load`] into a buffer.

use super::element::{Elem, Real, Slice, widen};
use super::widest::widest;
use crate::access::{Access, AxisIndex, ConstantData, Factor, Load};
use num_complex::{Complex, Complex32, Complex64};
use std::ops::Range;

/// Elements that are fetched and weighted together: they stay in the first-level cache in between.
const ROW: usize = 1 << 11;

/// A load, collapsed to few axes and bound to its source; `None` is a kernel that works in place on what it writes.
pub(crate) struct Reader<'a, T> {
    load: Load,
    source: Option<Slice<'a, T>>,
    scale: Complex<T>,
    scaled: bool,
}

/// Pointwise weights by themselves: what is multiplied to a finished result.
pub(crate) struct Weights {
    load: Load,
}

impl Weights {
    pub fn new(extents: &[usize], factors: &[Factor], scale: Complex64) -> Weights {
        let mut load = Load::whole(crate::access::ValueId::INPUT, extents);
        load.factors = factors.to_vec();
        load.scale = scale;
        Weights { load: load.collapsed() }
    }

    /// These weights, if they are the same everywhere.
    pub fn as_scalar(&self) -> Option<&Weights> {
        self.load.factors.is_empty().then_some(self)
    }

    /// Multiplies the elements from `first` on by their weights.
    pub fn apply<T: Real, E: Elem<T>>(&self, first: usize, out: &mut [E]) {
        let (scale, scaled) = scalar(self.load.scale);
        if self.load.factors.is_empty() && !scaled {
            return;
        }
        for_rows(&self.load.extents, first, out.len(), |n, at, run| {
            let row = &mut out[at..at + run];
            weigh(&self.load.factors, n, 0, row, scale, scaled);
        });
    }

    /// Multiplies some rows, which lie one behind the other.
    pub fn apply_rows<T: Real, E: Elem<T>>(&self, rows: Rows, out: &mut [E]) {
        let count = out.len() / rows.width;
        if let ([f], Complex64::ONE) = (&self.load.factors[..], self.load.scale)
            && let ConstantData::C32(w) = f.weight.data()
            && f.access.axes.last() == Some(&AxisIndex::Linear { stride: 1 })
            && let Some(n) = rows.within(&self.load.extents, count)
            && let Some((at, outer)) = n.as_slice().split_last()
        {
            let w = &w[(outer_base(&f.access, n.as_slice(), outer.len()) + at) as usize..];
            widest(
                #[inline(always)]
                || {
                    for (k, row) in out.chunks_exact_mut(rows.width).enumerate() {
                        times(row, &w[k * rows.step..][..rows.width], f.conj);
                    }
                },
            );
            return;
        }
        for (k, row) in out.chunks_exact_mut(rows.width).enumerate() {
            self.apply(rows.first + k * rows.step, row);
        }
    }
}

/// Rows of `width` elements whose first ones are `step` apart, from `first` on.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub first: usize,
    pub step: usize,
    pub width: usize,
}

impl Rows {
    /// The index of the first element, if so many rows lie within one stretch of the last axis.
    fn within(&self, extents: &[usize], rows: usize) -> Option<Index> {
        let index = Index::of(extents, self.first);
        let last = *index.as_slice().last()? as usize;
        (last + (rows - 1) * self.step + self.width <= *extents.last()?).then_some(index)
    }
}

impl<'a, T: Real> Reader<'a, T> {
    pub fn new(load: &Load, source: Option<Slice<'a, T>>) -> Reader<'a, T> {
        let load = load.collapsed();
        let (scale, scaled) = scalar(load.scale);
        Reader { load, source, scale, scaled }
    }

    /// The source itself, where the load is just that.
    pub fn plain<E: Elem<T>>(&self) -> Option<&'a [E]> {
        let in_order = self.load.is_plain();
        self.source.as_ref().filter(|_| in_order).and_then(E::of_slice)
    }

    /// Elements `first..` of the load. Without a source, `out` holds them already and only weights are applied.
    pub fn read<E: Elem<T>>(&self, first: usize, out: &mut [E]) {
        for_rows(&self.load.extents, first, out.len(), |n, at, run| {
            let row = &mut out[at..at + run];
            let Some(source) = &self.source else {
                weigh(&self.load.factors, n, 0, row, self.scale, self.scaled);
                return;
            };
            if self.fetch_weighted(source, n, row) {
                weigh(&self.load.factors[1..], n, 0, row, self.scale, self.scaled);
                return;
            }
            if self.fetch_scaled(source, n, row) {
                return;
            }
            // Outside of the valid stretch the weights may have no values either.
            let valid = self.fetch(source, n, row);
            let skipped = valid.start as i64;
            weigh(&self.load.factors, n, skipped, &mut row[valid], self.scale, self.scaled);
        });
    }

    /// The elements of some rows, one behind the other: what [`read`](Reader::read) gives of each, in fewer steps where rows are short.
    pub fn read_rows<E: Elem<T>>(&self, rows: Rows, out: &mut [E]) {
        let count = out.len() / rows.width;
        let alone = self.load.factors.len() == 1 && !self.scaled;
        if let (Some(source), true, Some(n)) = (&self.source, alone, rows.within(&self.load.extents, count))
            && let Some(Pairs { x, w, conj }) = self.beside(source, n.as_slice())
        {
            let width = rows.width;
            widest(
                #[inline(always)]
                || {
                    for (k, row) in out.chunks_exact_mut(width).enumerate() {
                        let (x, w) = (&x[k * rows.step..][..width], &w[k * rows.step..][..width]);
                        product(row, x, w, conj);
                    }
                },
            );
            return;
        }
        for (k, row) in out.chunks_exact_mut(rows.width).enumerate() {
            self.read(rows.first + k * rows.step, row);
        }
    }

    /// Source and first weight from an element on, and whether the weight is conjugate, where both are complex and lie beside each
    /// other: coil maps, mostly.
    fn beside(&self, source: &Slice<'a, T>, n: &[i64]) -> Option<Pairs<'_, T>> {
        let (Slice::Complex(x), Some(f), Some(last)) = (source, self.load.factors.first(), n.len().checked_sub(1))
        else {
            return None;
        };
        let beside = |a: &Access| a.axes[last] == AxisIndex::Linear { stride: 1 };
        let (ConstantData::C32(w), true) = (f.weight.data(), beside(&self.load.source) && beside(&f.access)) else {
            return None;
        };
        if !self.load.is_total() {
            return None;
        }
        let at = |a: &Access| (outer_base(a, n, last) + n[last]) as usize;
        Some(Pairs { x: &x[at(&self.load.source)..], w: &w[at(&f.access)..], conj: f.conj })
    }

    /// Source times first weight in one go, where they lie beside each other. False where it is not so, and nothing was done.
    fn fetch_weighted<E: Elem<T>>(&self, source: &Slice<'a, T>, n: &[i64], row: &mut [E]) -> bool {
        let Some(Pairs { x, w, conj }) = self.beside(source, n) else { return false };
        let len = row.len();
        widest(
            #[inline(always)]
            || product(row, &x[..len], &w[..len], conj),
        );
        true
    }

    /// Reals that lie beside each other times a real scalar in one go; false where it is not that.
    fn fetch_scaled<E: Elem<T>>(&self, source: &Slice<'a, T>, n: &[i64], row: &mut [E]) -> bool {
        let (Slice::Real(x), Some(last)) = (source, n.len().checked_sub(1)) else { return false };
        let alone = self.scaled && self.scale.im == T::zero() && self.load.factors.is_empty();
        if !alone || self.load.source.axes[last] != (AxisIndex::Linear { stride: 1 }) || !self.load.is_total() {
            return false;
        }
        let x = &x[(outer_base(&self.load.source, n, last) + n[last]) as usize..][..row.len()];
        widest(
            #[inline(always)]
            || row.iter_mut().zip(x).for_each(|(r, x)| *r = E::re(*x) * self.scale.re),
        );
        true
    }

    /// One row of the source, and which stretch of it is valid; the rest is zero.
    fn fetch<E: Elem<T>>(&self, source: &Slice<T>, n: &[i64], row: &mut [E]) -> Range<usize> {
        let Some(last) = n.len().checked_sub(1) else {
            match source {
                Slice::Real(x) => row[0] = E::re(x[self.load.source.base as usize]),
                Slice::Complex(x) => row[0] = E::complex(x[self.load.source.base as usize]),
            }
            return 0..1;
        };
        let valid = &self.load.valid;
        if (0..last).any(|a| !valid[a].holds(n[a])) {
            row.fill(E::null());
            return 0..0;
        }
        let v = &valid[last];
        let run = row.len() as i64;
        let lo = (v.lo - n[last]).clamp(0, run) as usize;
        let hi = (v.hi - n[last]).clamp(lo as i64, run) as usize;
        row[..lo].fill(E::null());
        row[hi..].fill(E::null());
        let row = &mut row[lo..hi];
        let start = n[last] + lo as i64;
        let base = outer_base(&self.load.source, n, last);
        let axis = &self.load.source.axes[last];
        let holds = |k: i64| v.divisible.is_none_or(|(num, off, den)| (k * num + off) % den == 0);
        match source {
            Slice::Real(x) => fetch_row(x, base, axis, start, row, E::re, holds, E::null(), v.divisible.is_some()),
            Slice::Complex(x) => {
                fetch_row(x, base, axis, start, row, E::complex, holds, E::null(), v.divisible.is_some())
            }
        }
        lo..hi
    }
}

/// Values and weights that lie beside each other, and whether the weights are conjugate.
struct Pairs<'a, T> {
    x: &'a [Complex<T>],
    w: &'a [Complex32],
    conj: bool,
}

/// Values times weights.
#[inline(always)]
fn product<T: Real, E: Elem<T>>(to: &mut [E], x: &[Complex<T>], w: &[Complex32], conj: bool) {
    let all = to.iter_mut().zip(x.iter().zip(w));
    match conj {
        true => all.for_each(|(r, (&x, &w))| *r = E::complex(x).times_conj(widen(w))),
        false => all.for_each(|(r, (&x, &w))| *r = E::complex(x).times(widen(w))),
    }
}

/// A row times weights.
#[inline(always)]
fn times<T: Real, E: Elem<T>>(row: &mut [E], w: &[Complex32], conj: bool) {
    match conj {
        true => row.iter_mut().zip(w).for_each(|(r, &w)| *r = r.times_conj(widen(w))),
        false => row.iter_mut().zip(w).for_each(|(r, &w)| *r = r.times(widen(w))),
    }
}

fn scalar<T: Real>(c: Complex64) -> (Complex<T>, bool) {
    (Complex::new(T::of_f64(c.re), T::of_f64(c.im)), c != Complex64::new(1.0, 0.0))
}

fn outer_base(access: &Access, n: &[i64], last: usize) -> i64 {
    access.base + (0..last).map(|a| access.axes[a].at(n[a])).sum::<i64>()
}

#[allow(clippy::too_many_arguments)]
fn fetch_row<S: Copy, E: Copy>(
    x: &[S],
    base: i64,
    axis: &AxisIndex,
    start: i64,
    row: &mut [E],
    make: impl Fn(S) -> E,
    holds: impl Fn(i64) -> bool,
    zero: E,
    divided: bool,
) {
    if row.is_empty() {
        return;
    }
    match *axis {
        AxisIndex::Linear { stride: 1 } if !divided => {
            let at = (base + start) as usize;
            let x = &x[at..at + row.len()];
            row.iter_mut().zip(x).for_each(|(r, &s)| *r = make(s));
        }
        AxisIndex::Linear { stride: 0 } if !divided => row.fill(make(x[base as usize])),
        AxisIndex::Linear { stride } if !divided => {
            let mut at = base + start * stride;
            for r in row {
                *r = make(x[at as usize]);
                at += stride;
            }
        }
        AxisIndex::Wrapped { num: 1, off, extent, stride: 1 } if !divided => {
            let (mut at, mut rest) = ((start + off).rem_euclid(extent), row);
            while !rest.is_empty() {
                let run = rest.len().min((extent - at) as usize);
                let (stretch, behind) = rest.split_at_mut(run);
                stretch.iter_mut().zip(&x[(base + at) as usize..][..run]).for_each(|(r, &s)| *r = make(s));
                (at, rest) = (0, behind);
            }
        }
        _ => {
            // Strided embeddings and mirrored rolls: index by index, zero where the division leaves a remainder.
            for (i, r) in row.iter_mut().enumerate() {
                let k = start + i as i64;
                *r = if holds(k) { make(x[(base + axis.at(k)) as usize]) } else { zero };
            }
        }
    }
}

/// Applies weights to the elements of a row from the `skipped`-th on, then the scalar.
fn weigh<T: Real, E: Elem<T>>(
    factors: &[Factor],
    n: &[i64],
    skipped: i64,
    row: &mut [E],
    scale: Complex<T>,
    scaled: bool,
) {
    if row.is_empty() {
        return;
    }
    let last = n.len().saturating_sub(1);
    let mut scalar = scale;
    let mut by_scalar = scaled;
    for f in factors {
        let base = outer_base(&f.access, n, last.min(n.len()));
        let axis = f.access.axes.get(last).copied().unwrap_or(AxisIndex::Linear { stride: 0 });
        let start = n.get(last).copied().unwrap_or(0) + skipped;
        let sign = if f.conj { T::of(-1.0) } else { T::of(1.0) };
        match (&axis, f.weight.data()) {
            (AxisIndex::Linear { stride: 0 }, _) => {
                let w: Complex<T> = widen(f.weight.get(base as usize));
                scalar = scalar * Complex::new(w.re, w.im * sign);
                by_scalar = true;
            }
            (AxisIndex::Linear { stride: 1 }, ConstantData::F32(w)) => {
                let at = (base + start) as usize;
                let w = &w[at..at + row.len()];
                row.iter_mut().zip(w).for_each(|(r, &w)| *r = *r * T::of(w));
            }
            (AxisIndex::Linear { stride: 1 }, ConstantData::C32(w)) => {
                let at = (base + start) as usize;
                let w = &w[at..at + row.len()];
                widest(
                    #[inline(always)]
                    || times(row, w, f.conj),
                );
            }
            (AxisIndex::Linear { .. } | AxisIndex::Divided { .. } | AxisIndex::Wrapped { .. }, _) => {
                for (i, r) in row.iter_mut().enumerate() {
                    let w: Complex<T> = widen(f.weight.get((base + axis.at(start + i as i64)) as usize));
                    *r = r.times(Complex::new(w.re, w.im * sign));
                }
            }
        }
    }
    if by_scalar {
        widest(
            #[inline(always)]
            || match scalar.im == T::zero() {
                true => row.iter_mut().for_each(|r| *r = *r * scalar.re),
                false => row.iter_mut().for_each(|r| *r = r.times(scalar)),
            },
        );
    }
}

/// An index by axes. Rows are short at times: an allocation would take as long as they.
struct Index {
    few: [i64; 8],
    many: Vec<i64>,
    axes: usize,
}

impl Index {
    /// That of a linear index.
    fn of(extents: &[usize], linear: usize) -> Index {
        let (few, axes) = ([0; 8], extents.len());
        let many = if axes > few.len() { vec![0; axes] } else { Vec::new() };
        let mut index = Index { few, many, axes };
        let mut rest = linear;
        for (n, extent) in index.as_mut_slice().iter_mut().zip(extents).rev() {
            *n = (rest % extent) as i64;
            rest /= extent;
        }
        index
    }

    fn as_slice(&self) -> &[i64] {
        if self.many.is_empty() { &self.few[..self.axes] } else { &self.many }
    }

    fn as_mut_slice(&mut self) -> &mut [i64] {
        if self.many.is_empty() { &mut self.few[..self.axes] } else { &mut self.many }
    }
}

/// Walks the linear indices `first..first + len` row by row: `f(index of the row's first element, offset, elements)`.
fn for_rows(extents: &[usize], first: usize, len: usize, mut f: impl FnMut(&[i64], usize, usize)) {
    let Some((&width, _)) = extents.split_last() else {
        if len > 0 {
            f(&[], 0, 1);
        }
        return;
    };
    let mut index = Index::of(extents, first);
    let n = index.as_mut_slice();
    let mut at = 0;
    while at < len {
        let last = n.len() - 1;
        let run = (width - n[last] as usize).min(len - at).min(ROW);
        f(n, at, run);
        at += run;
        n[last] += run as i64;
        if n[last] < width as i64 {
            continue;
        }
        n[last] = 0;
        for a in (0..last).rev() {
            n[a] += 1;
            if (n[a] as usize) < extents[a] {
                break;
            }
            n[a] = 0;
        }
    }
}
