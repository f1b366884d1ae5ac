//! Sparse rows on the host.

use super::rows::{RowsKernel, Term, WORDS};
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken, widen};
use crate::plan::{HostLoops, Kernel, Place};
use num_complex::Complex;
use rayon::prelude::*;

/// Results that one task makes.
const RESULTS: usize = 1 << 13;
/// Elements of input that are read through the load together, in whole lines.
const READ: usize = 1 << 19;

impl HostLoops for RowsKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {}

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let (reader, dst) = (Reader::new(&self.load, sources[0]), to.stretch(self.output_len()));
        if self.reads_complex(sources[0].as_ref().is_none_or(Slice::is_complex)) {
            let times = |t: &Term, x: Complex<T>| E::complex(widen::<T>(t.by) * if t.conjugated { x.conj() } else { x });
            self.lines::<T, Complex<T>, E>(&reader, dst, times);
        } else {
            let times = |t: &Term, x: T| E::complex(Complex::new(T::of(t.by.re) * x, T::of(t.by.im) * x));
            self.lines::<T, T, E>(&reader, dst, times);
        }
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        let source = if same { element } else { 3 * size_of::<f32>() - element };
        if self.load.collapsed().is_plain() {
            return Taken::default();
        }
        let read = if self.reads_complex(source == 2 * size_of::<f32>()) { 2 } else { 1 };
        Taken { each: 0, shared: (self.together() * self.input() * read * size_of::<f32>()) as u64 }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl RowsKernel {
    /// Whether the read gives complex values, of a source that is complex or not.
    fn reads_complex(&self, source: bool) -> bool {
        source || self.load.scale.im != 0.0 || self.load.factors.iter().any(|f| f.weight.is_complex())
    }

    /// Elements of a line that is read.
    fn input(&self) -> usize {
        self.load.extents[1] * self.load.extents[2]
    }

    /// Lines that are read together, where they are not the source as it stands.
    fn together(&self) -> usize {
        (READ / self.input()).clamp(1, self.load.extents[0])
    }

    /// All results of lines of `X`, where `times` is a term's product.
    fn lines<T: Real, X: Elem<T>, E: Elem<T>>(
        &self,
        reader: &Reader<T>,
        dst: &mut [E],
        times: impl Fn(&Term, X) -> E + Sync,
    ) {
        let (input, inner) = (self.input(), self.load.extents[2]);
        let output = self.rows.count() * inner;
        let rows = (RESULTS / inner).max(1);
        let stretch = |x: &[X], first: usize, d: &mut [E]| {
            if inner == 1 {
                self.single::<T, X, E, _>(x, first, d, &times);
                return;
            }
            for (k, d) in d.chunks_exact_mut(inner).enumerate() {
                d.fill(E::null());
                for t in self.rows.row(first + k) {
                    let x = &x[t.index * inner..][..inner];
                    d.iter_mut().zip(x).for_each(|(d, &x)| *d = *d + times(&t, x));
                }
            }
        };
        let line = |x: &[X], d: &mut [E]| match d.len() <= RESULTS {
            true => stretch(x, 0, d),
            false => {
                let parts = d.par_chunks_mut(rows * inner).enumerate();
                parts.for_each(|(c, d)| stretch(x, c * rows, d));
            }
        };
        // Short lines go several to a task.
        let several = (RESULTS / output).max(1);
        let all = |x: &[X], d: &mut [E]| {
            let lines = d.par_chunks_mut(output).zip(x.par_chunks(input)).with_min_len(several);
            lines.for_each(|(d, x)| line(x, d));
        };
        if let Some(x) = reader.plain::<X>() {
            all(x, dst);
            return;
        }
        let lines = self.together();
        let mut read = vec![X::null(); lines * input];
        for (k, d) in dst.chunks_mut(lines * output).enumerate() {
            let read = &mut read[..d.len() / output * input];
            let first = k * lines * input;
            read.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(first + c * CHUNK, part));
            all(read, d);
        }
    }

    /// Results of rows from `first` on, one of each.
    fn single<T: Real, X: Elem<T>, E: Elem<T>, F: Fn(&Term, X) -> E>(
        &self,
        x: &[X],
        first: usize,
        d: &mut [E],
        times: &F,
    ) {
        match self.rows.terms() {
            1 => self.terms::<1, T, X, E, F>(x, first, d, times),
            2 => self.terms::<2, T, X, E, F>(x, first, d, times),
            4 => self.terms::<4, T, X, E, F>(x, first, d, times),
            _ => {
                for (k, d) in d.iter_mut().enumerate() {
                    *d = self.rows.row(first + k).fold(<E as Elem<T>>::null(), |sum, t| sum + times(&t, x[t.index]));
                }
            }
        }
    }

    /// The same of rows of so many terms, so that their loop is none.
    fn terms<const N: usize, T: Real, X: Elem<T>, E: Elem<T>, F: Fn(&Term, X) -> E>(
        &self,
        x: &[X],
        first: usize,
        d: &mut [E],
        times: &F,
    ) {
        let words = &self.rows.words()[first * N * WORDS..];
        for (d, row) in d.iter_mut().zip(words.chunks_exact(N * WORDS)) {
            let mut sum = <E as Elem<T>>::null();
            for k in 0..N {
                let t = Term::of(&row[k * WORDS..][..WORDS]);
                sum = sum + times(&t, x[t.index]);
            }
            *d = sum;
        }
    }
}
