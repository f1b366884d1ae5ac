//! Rows of results with real weights on the host: a stretch of results stays in registers while tap after tap adds stretches of x.
//!
//! Taps whose results and reads lie side by side are such stretches as they are. Of strided ones x is put into lines of every so
//! manieth element first, of upsampled ones the results. The order of the taps is that of all other ways, and so are the bits.

use super::axis::Run;
use super::{ConvolveKernel, MOST_AXES};
use crate::loops::{Elem, Real};
use num_complex::Complex;
use std::ops::Range;

/// Numbers of results that stay in registers, and of what is left of a row.
const WIDE: usize = 32;
const NARROW: usize = 8;

/// Elements behind each index of the last axis from which on they are rows by themselves.
const BEHIND: usize = 16;

/// Taps that go together: the order in which a result takes them is the same for any number.
const TERMS: usize = 128;

/// How rows are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Taps are stretches.
    Whole,
    /// Each index along the last axis has a stretch behind it.
    Behind,
    /// x in lines of every so manieth element.
    Strided(usize),
    /// Results in such lines.
    Upsampled(usize),
}

/// What a tap along the last axis adds to a line of results: indices from `to` on of those of line `phase`, of x from `from` on, of its
/// lines one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    tap: usize,
    phase: usize,
    to: usize,
    from: usize,
    len: usize,
}

/// To the numbers of a row from `to` on those of x are added, times w.
struct Term<'x, T> {
    to: usize,
    x: &'x [T],
    w: T,
}

/// The weights of a kernel, conjugated where it is, and its taps along the last axis.
pub(super) struct Rows<'t, T> {
    pub way: Way,
    pub weights: &'t [Complex<T>],
    pub stretches: &'t [Stretch],
}

/// What a task works in, beside results: lines of every so manieth element.
pub(super) struct Lines<E>(Vec<E>);

impl ConvolveKernel {
    /// How rows are made, if this can be one of these ways.
    pub(super) fn way(&self) -> Option<Way> {
        let axis = self.axes[2];
        let way = match (axis.stride, axis.up, self.behind()) {
            (1, 1, _) => Way::Whole,
            (_, _, behind) if behind >= BEHIND => Way::Behind,
            (stride, 1, 1) => Way::Strided(stride),
            (1, up, 1) => Way::Upsampled(up),
            _ => return None,
        };
        (!self.weight.is_complex()).then_some(way)
    }

    /// The taps along the last axis as stretches, in order.
    pub(super) fn stretches(&self, way: Way) -> Vec<Stretch> {
        let n = self.input()[2];
        let (up, stride) = match way {
            Way::Behind => return Vec::new(),
            Way::Whole => (1, 1),
            Way::Strided(stride) => (1, stride),
            Way::Upsampled(up) => (up, 1),
        };
        // Line p begins behind those before it, of which the first ones have one element more.
        let place = |p: usize| p * (n / stride) + p.min(n % stride);
        let mut all = Vec::new();
        for tap in 0..self.taps[2] {
            for run in self.axes[2].runs(tap, n) {
                // Around a period a run may go by other steps.
                let even = run.len == 1 || (run.dm, run.dn) == (up, stride as i64);
                let parts = if even { 0..1 } else { 0..run.len };
                let len = if even { run.len } else { 1 };
                all.extend(parts.map(|k| run.part(k, len)).map(|Run { m0, n0, len, .. }| Stretch {
                    tap,
                    phase: m0 % up,
                    to: m0 / up,
                    from: place(n0 % stride) + n0 / stride,
                    len,
                }));
            }
        }
        all
    }

    /// Elements of lines that a task has beside results.
    fn line(&self) -> usize {
        match self.way() {
            Some(Way::Strided(_)) => self.input()[2],
            Some(Way::Upsampled(up)) => self.axes[2].extent.div_ceil(up),
            _ => 0,
        }
    }

    pub(super) fn lines<E>(&self) -> Lines<E> {
        Lines(Vec::with_capacity(self.line()))
    }

    /// Bytes that a task has for a row beside its results, of elements of so many bytes.
    pub(super) fn row_bytes(&self, element: usize) -> usize {
        let terms = if self.way().is_some() { self.terms().min(TERMS) } else { 0 };
        self.line() * element + terms * size_of::<Term<f64>>()
    }

    fn room<'x, T>(&self) -> Vec<Term<'x, T>> {
        Vec::with_capacity(self.terms().min(TERMS))
    }

    /// The results from `first` on along the last axis, of one output channel and of indices `m` along the first two.
    #[inline(always)]
    pub(super) fn row<T: Real, E: Elem<T>>(
        &self,
        rows: &Rows<T>,
        x: &[E],
        (out, m): (usize, [usize; MOST_AXES - 1]),
        first: usize,
        d: &mut [E],
        Lines(lines): &mut Lines<E>,
    ) {
        d.fill(E::null());
        let behind = self.behind();
        match rows.way {
            Way::Whole => {
                let (mut terms, lanes) = (self.room(), behind * E::LANES);
                let results = first..first + d.len() / behind;
                let d = E::flat_mut(d);
                self.each_line(rows, out, m, |line, weights| {
                    add(&mut terms, rows.stretches, 0, weights, E::flat(&x[line]), lanes, results.clone(), d);
                });
                accumulate(&mut terms, d);
            }
            Way::Behind => {
                let (mut terms, lanes, n) = (self.room(), behind * E::LANES, self.input()[2]);
                for (k, d) in d.chunks_exact_mut(behind).enumerate() {
                    let d = E::flat_mut(d);
                    self.each_line(rows, out, m, |line, weights| {
                        let x = E::flat(&x[line]);
                        for (j, w) in weights.iter().enumerate() {
                            let Some(n) = self.axes[2].source(first + k, j, n) else { continue };
                            added(&mut terms, Term { to: 0, x: &x[n * lanes..][..lanes], w: w.re }, d);
                        }
                    });
                    accumulate(&mut terms, d);
                }
            }
            Way::Strided(stride) => {
                let results = first..first + d.len();
                self.each_line(rows, out, m, |line, weights| {
                    apart(&x[line], stride, lines);
                    let (mut terms, d) = (self.room(), E::flat_mut(d));
                    add(&mut terms, rows.stretches, 0, weights, E::flat(lines), E::LANES, results.clone(), d);
                    accumulate(&mut terms, d);
                });
            }
            Way::Upsampled(up) => {
                let mut terms = self.room();
                for phase in 0..up.min(d.len()) {
                    lines.clear();
                    lines.resize((d.len() - phase).div_ceil(up), E::null());
                    let results = first / up..first / up + lines.len();
                    let own = E::flat_mut(lines);
                    self.each_line(rows, out, m, |line, weights| {
                        let x = E::flat(&x[line]);
                        add(&mut terms, rows.stretches, phase, weights, x, E::LANES, results.clone(), own);
                    });
                    accumulate(&mut terms, own);
                    d[phase..].iter_mut().step_by(up).zip(&*lines).for_each(|(d, v)| *d = *v);
                }
            }
        }
    }

    /// Calls `f` for each line of x along the last axis that is read, with its elements and its taps' weights.
    #[inline(always)]
    fn each_line<T: Real>(
        &self,
        rows: &Rows<T>,
        out: usize,
        m: [usize; MOST_AXES - 1],
        mut f: impl FnMut(Range<usize>, &[Complex<T>]),
    ) {
        let (input, row) = (self.input(), self.input()[2] * self.behind());
        let (by_out, by_in) = self.weight_strides();
        for i in 0..self.channels.1 {
            for j1 in 0..self.taps[0] {
                let Some(n1) = self.axes[0].source(m[0], j1, input[0]) else { continue };
                for j2 in 0..self.taps[1] {
                    let Some(n2) = self.axes[1].source(m[1], j2, input[1]) else { continue };
                    let line = ((i * input[0] + n1) * input[1] + n2) * row;
                    let weights = out * by_out + i * by_in + (j1 * self.taps[1] + j2) * self.taps[2];
                    f(line..line + row, &rows.weights[weights..][..self.taps[2]]);
                }
            }
        }
    }
}

/// The elements of a line by their index modulo the stride.
#[inline(always)]
fn apart<E: Copy>(x: &[E], stride: usize, lines: &mut Vec<E>) {
    lines.clear();
    for p in 0..stride.min(x.len()) {
        let (own, rest) = x[p..].as_chunks::<2>();
        match stride {
            2 => {
                lines.extend(own.iter().map(|pair| pair[0]));
                lines.extend(rest);
            }
            _ => lines.extend(x[p..].iter().step_by(stride)),
        }
    }
}

/// The terms of a line of x for a stretch of one phase of results, of so many numbers at an index.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn add<'x, T: Real>(
    terms: &mut Vec<Term<'x, T>>,
    stretches: &[Stretch],
    phase: usize,
    weights: &[Complex<T>],
    x: &'x [T],
    lanes: usize,
    results: Range<usize>,
    d: &mut [T],
) {
    for s in stretches {
        let (low, high) = (s.to.max(results.start), (s.to + s.len).min(results.end));
        if s.phase == phase && low < high {
            let x = &x[(s.from + low - s.to) * lanes..][..(high - low) * lanes];
            added(terms, Term { to: (low - results.start) * lanes, x, w: weights[s.tap].re }, d);
        }
    }
}

/// One term more for a row; what there is of them is added to it where there is no room.
#[inline(always)]
fn added<'x, T: Real>(terms: &mut Vec<Term<'x, T>>, term: Term<'x, T>, d: &mut [T]) {
    if terms.len() == terms.capacity() {
        accumulate(terms, d);
    }
    terms.push(term);
}

/// Adds the terms to the row, and forgets them.
#[inline(always)]
fn accumulate<T: Real>(terms: &mut Vec<Term<T>>, d: &mut [T]) {
    // Where every term has something.
    let (mut from, mut until) = (0, d.len());
    for t in terms.iter() {
        (from, until) = (from.max(t.to), until.min(t.to + t.x.len()));
    }
    let inside = from.min(d.len())..until.max(from).min(d.len());
    if inside.start >= inside.end {
        some(terms, d, 0..d.len());
    } else {
        some(terms, d, 0..inside.start);
        some(terms, d, inside.end..d.len());
        let mut at = inside.start;
        while at + WIDE <= inside.end {
            block::<WIDE, T>(terms, d, at);
            at += WIDE;
        }
        while at + NARROW <= inside.end {
            block::<NARROW, T>(terms, d, at);
            at += NARROW;
        }
        some(terms, d, at..inside.end);
    }
    terms.clear();
}

/// So many numbers from `at` on, of which every term has all.
#[inline(always)]
fn block<const N: usize, T: Real>(terms: &[Term<T>], d: &mut [T], at: usize) {
    let Some(d) = d[at..].first_chunk_mut::<N>() else { return };
    let mut sums = *d;
    for t in terms {
        let Some(x) = t.x[at - t.to..].first_chunk::<N>() else { continue };
        for k in 0..N {
            sums[k] = sums[k] + x[k] * t.w;
        }
    }
    *d = sums;
}

/// The numbers of a part, of which terms have some.
#[inline(always)]
fn some<T: Real>(terms: &[Term<T>], d: &mut [T], part: Range<usize>) {
    if part.is_empty() {
        return;
    }
    for t in terms {
        let (low, high) = (t.to.max(part.start), (t.to + t.x.len()).min(part.end));
        if low < high {
            let pairs = d[low..high].iter_mut().zip(&t.x[low - t.to..]);
            pairs.for_each(|(d, x)| *d = *d + *x * t.w);
        }
    }
}
