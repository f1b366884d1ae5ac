//! Real transforms on the host: a task has whole lines, or all columns of an outer index, or few columns of it.

use super::line::{After, Before, LineKernel};
use super::rows::{Rows, Term, WORDS};
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken, widen};
use crate::plan::{HostLoops, Kernel, Place};
use crate::primitive::fft::{COLUMNS, GAP, line_bytes};
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Outer indices that keep the cores busy.
const BUSY: usize = 8;

/// The transform, what it reads, and the factors behind it.
pub(super) struct Tables<T: Real> {
    fft: Arc<dyn Fft<T>>,
    read: Read<T>,
    turns: Vec<Complex<T>>,
}

/// What each value is made of that is transformed.
enum Read<T> {
    /// Pairs of real values as they lie.
    Pairs,
    /// One value times a real factor.
    One(Vec<(u32, T)>),
    /// Of real values one for the real part and one for the imaginary part, each times a factor.
    Parts(Vec<[(u32, T); 2]>),
    /// More.
    Sums,
}

impl<T: Real> Read<T> {
    fn of(before: &Before, from_complex: bool) -> Read<T> {
        let Before::Rows(rows) = before else { return Read::Pairs };
        let mut parts = Vec::with_capacity(rows.count());
        for k in 0..rows.count() {
            let mut own = [(0, T::zero()); 2];
            for t in rows.row(k).filter(|t| t.by.re != 0.0 || t.by.im != 0.0) {
                let (part, by) = if t.by.im == 0.0 { (0, t.by.re) } else { (1, t.by.im) };
                let whole = t.by.re != 0.0 && t.by.im != 0.0;
                if whole || t.conjugated || own[part].1 != T::zero() {
                    return Read::Sums;
                }
                own[part] = (t.index as u32, T::of(by));
            }
            parts.push(own);
        }
        match from_complex {
            false => Read::Parts(parts),
            true if parts.iter().all(|p| p[1].1 == T::zero()) => Read::One(parts.into_iter().map(|p| p[0]).collect()),
            true => Read::Sums,
        }
    }

    /// Bytes of it.
    fn bytes(&self) -> usize {
        match self {
            Read::Pairs | Read::Sums => 0,
            Read::One(all) => size_of_val(&all[..]),
            Read::Parts(all) => size_of_val(&all[..]),
        }
    }
}

impl HostLoops for LineKernel {
    type Tables<T: Real> = Tables<T>;

    fn tables<T: Real>(&self) -> Tables<T> {
        let fft = FftPlanner::new().plan_fft_forward(self.length);
        let turns = self.turns().map(|w| Complex::new(T::of_f64(w.re), T::of_f64(w.im))).collect();
        Tables { fft, read: Read::of(&self.before, self.from_complex), turns }
    }

    fn run<T: Real, E: Elem<T>>(&self, tables: &Tables<T>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let (reader, dst) = (Reader::new(&self.load, sources[0]), to.stretch(self.output_len()));
        match self.from_complex {
            true => self.lines::<T, Complex<T>, E>(tables, &reader, dst),
            false => self.lines::<T, T, E>(tables, &reader, dst),
        }
    }

    fn taken(&self, element: usize, _: bool, _: usize) -> Taken {
        let width = COLUMNS.min(self.load.extents[2]);
        let complex = 2 * size_of::<f32>();
        // What a convolution in place of a transform takes is within the bound of its tables.
        let line = (self.load.extents[1] + self.pitch()) * complex + (self.count() + GAP + 1) * element;
        let lists = match self.load.extents[2] > 1 && self.load.extents[0] < BUSY {
            true => self.load.extents[2].div_ceil(COLUMNS) * (24 + 16 * self.count()),
            false => 0,
        };
        Taken { each: (width * line + line_bytes::<f32>(self.length)) as u64, shared: lists as u64 }
    }

    fn table_bytes(&self) -> u64 {
        let read = Read::<f32>::of(&self.before, self.from_complex).bytes();
        (line_bytes::<f32>(self.length) + read + self.turns().count() * 2 * size_of::<f32>()) as u64
    }
}

/// What a task works in.
struct Scratch<X, T, E> {
    /// Values that were read: (extent, width).
    x: Vec<X>,
    /// Lines of complex values, one for each column.
    z: Vec<Complex<T>>,
    /// Lines of results, and a row of them.
    y: Vec<E>,
    row: Vec<E>,
    fft: Vec<Complex<T>>,
}

impl LineKernel {
    /// Elements from one line of complex values to the next.
    fn pitch(&self) -> usize {
        self.sets * self.length + GAP
    }

    fn lines<T: Real, X: Elem<T>, E: Elem<T>>(&self, tables: &Tables<T>, reader: &Reader<T>, dst: &mut [E]) {
        let [outer, extent, inner] = [0, 1, 2].map(|a| self.load.extents[a]);
        let count = self.count();
        let width = COLUMNS.min(inner);
        let scratch = || Scratch {
            x: vec![X::null(); extent * width],
            z: vec![Complex::new(T::zero(), T::zero()); self.pitch() * width],
            y: vec![E::null(); if inner > 1 { (count + GAP) * width } else { 0 }],
            row: vec![E::null(); width],
            fft: vec![Complex::new(T::zero(), T::zero()); tables.fft.get_inplace_scratch_len()],
        };
        let plain = reader.plain::<X>();
        if inner == 1 {
            let several = (CHUNK / extent).max(1);
            dst.par_chunks_mut(count * several).enumerate().for_each_init(scratch, |s, (c, part)| {
                for (k, y) in part.chunks_exact_mut(count).enumerate() {
                    let first = (c * several + k) * extent;
                    let x = match plain {
                        Some(plain) => &plain[first..][..extent],
                        None => {
                            reader.read(first, &mut s.x);
                            &s.x[..]
                        }
                    };
                    self.before::<T, X>(tables, x, 1, &mut s.z);
                    self.transform(tables, &mut s.z[..self.sets * self.length], &mut s.fft);
                    self.line_after(tables, &s.z, y);
                }
            });
            return;
        }
        let columns = |s: &mut Scratch<X, T, E>, o: usize, first: usize, width: usize, write: &mut dyn FnMut(usize, &[E])| {
            let x = &mut s.x[..extent * width];
            for (n, x) in x.chunks_exact_mut(width).enumerate() {
                let at = (o * extent + n) * inner + first;
                match plain {
                    Some(plain) => x.copy_from_slice(&plain[at..][..width]),
                    None => reader.read(at, x),
                }
            }
            self.before::<T, X>(tables, x, width, &mut s.z);
            for (line, y) in s.z.chunks_exact_mut(self.pitch()).zip(s.y.chunks_exact_mut(count + GAP)).take(width) {
                self.transform(tables, &mut line[..self.sets * self.length], &mut s.fft);
                self.line_after(tables, line, &mut y[..count]);
            }
            let row = &mut s.row[..width];
            for k in 0..count {
                row.iter_mut().zip(s.y.chunks_exact(count + GAP)).for_each(|(row, y)| *row = y[k]);
                write(k, row);
            }
        };
        if outer >= BUSY {
            dst.par_chunks_exact_mut(count * inner).enumerate().for_each_init(scratch, |s, (o, part)| {
                for first in (0..inner).step_by(COLUMNS) {
                    let width = COLUMNS.min(inner - first);
                    let mut write = |k: usize, y: &[E]| part[k * inner + first..][..width].copy_from_slice(y);
                    columns(s, o, first, width, &mut write);
                }
            });
            return;
        }
        for (o, part) in dst.chunks_exact_mut(count * inner).enumerate() {
            let mut tiles: Vec<Vec<&mut [E]>> = Vec::new();
            tiles.resize_with(inner.div_ceil(COLUMNS), || Vec::with_capacity(count));
            for row in part.chunks_exact_mut(inner) {
                row.chunks_mut(COLUMNS).zip(&mut tiles).for_each(|(piece, tile)| tile.push(piece));
            }
            tiles.into_par_iter().enumerate().for_each_init(scratch, |s, (t, mut rows)| {
                let width = rows[0].len();
                columns(s, o, t * COLUMNS, width, &mut |k, y| rows[k].copy_from_slice(y));
            });
        }
    }

    fn transform<T: Real>(&self, tables: &Tables<T>, lines: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        tables.fft.process_with_scratch(lines, scratch);
    }

    /// The lines of complex values of so many columns, from (extent, width).
    fn before<T: Real, X: Elem<T>>(&self, tables: &Tables<T>, x: &[X], width: usize, z: &mut [Complex<T>]) {
        let pitch = self.pitch();
        let row = |n: u32| &x[n as usize * width..][..width];
        match (&tables.read, &self.before) {
            (Read::One(all), _) if width == 1 => {
                for (z, (n, by)) in z.iter_mut().zip(all) {
                    *z = complex(x[*n as usize]) * *by;
                }
            }
            (Read::One(all), _) => {
                for (p, (n, by)) in all.iter().enumerate() {
                    row(*n).iter().enumerate().for_each(|(c, x)| z[c * pitch + p] = complex(*x) * *by);
                }
            }
            (Read::Parts(all), _) if width == 1 => {
                let x = X::flat(x);
                for (z, [re, im]) in z.iter_mut().zip(all) {
                    *z = Complex::new(x[re.0 as usize] * re.1, x[im.0 as usize] * im.1);
                }
            }
            (Read::Parts(all), _) => {
                for (p, [re, im]) in all.iter().enumerate() {
                    let parts = X::flat(row(re.0)).iter().zip(X::flat(row(im.0)));
                    parts.enumerate().for_each(|(c, (x, y))| z[c * pitch + p] = Complex::new(*x * re.1, *y * im.1));
                }
            }
            (Read::Sums, Before::Rows(rows)) if width == 1 => rows.make(&|t: &Term, x: X| product::<T, X>(t, x), x, z),
            (Read::Sums, Before::Rows(rows)) => {
                for p in 0..rows.count() {
                    let mut sum = [Complex::new(T::zero(), T::zero()); COLUMNS];
                    for t in rows.row(p) {
                        let x = &x[t.index * width..][..width];
                        sum.iter_mut().zip(x).for_each(|(s, x)| *s = *s + product::<T, X>(&t, *x));
                    }
                    sum.iter().take(width).enumerate().for_each(|(c, s)| z[c * pitch + p] = *s);
                }
            }
            // Values are real: pairs of them are complex numbers as they lie.
            (Read::Pairs | Read::Sums, _) if width == 1 => {
                for (z, x) in z.iter_mut().zip(X::flat(x).chunks_exact(2)) {
                    *z = Complex::new(x[0], x[1]);
                }
            }
            (Read::Pairs | Read::Sums, _) => {
                for (p, x) in X::flat(x).chunks_exact(2 * width).enumerate() {
                    let (re, im) = x.split_at(width);
                    re.iter().zip(im).enumerate().for_each(|(c, (re, im))| z[c * pitch + p] = Complex::new(*re, *im));
                }
            }
        }
    }

    /// The results of one line.
    fn line_after<T: Real, E: Elem<T>>(&self, tables: &Tables<T>, z: &[Complex<T>], y: &mut [E]) {
        match &self.after {
            After::Half => {
                let m = self.length;
                for (k, w) in tables.turns.iter().enumerate() {
                    let (low, high) = half(z[k], z[(m - k) % m], *w);
                    y[k] = E::complex(low);
                    y[m - k] = E::complex(high);
                }
            }
            After::Rows(rows) => rows.make(&|t: &Term, z: Complex<T>| E::complex(product::<T, _>(t, z)), z, y),
        }
    }
}

/// X[k] and X[m − k] of Z[k] and Z[m − k].
fn half<T: Real>(z: Complex<T>, other: Complex<T>, w: Complex<T>) -> (Complex<T>, Complex<T>) {
    let half = T::of(0.5);
    let even = (z + other.conj()) * half;
    // (Z[k] − conj Z[m − k])/2i.
    let odd = (z - other.conj()) * half;
    let odd = w * Complex::new(odd.im, -odd.re);
    (even + odd, (even - odd).conj())
}

/// A value that is complex.
#[inline(always)]
fn complex<T: Real, X: Elem<T>>(x: X) -> Complex<T> {
    match X::flat(&[x]) {
        [re, im] => Complex::new(*re, *im),
        other => Complex::new(other[0], T::zero()),
    }
}

/// A term of a row, in the precision of the run.
#[inline(always)]
fn product<T: Real, X: Elem<T>>(t: &Term, x: X) -> Complex<T> {
    match X::LANES {
        1 => Complex::new(T::of(t.by.re) * X::flat(&[x])[0], T::of(t.by.im) * X::flat(&[x])[0]),
        _ => {
            let [re, im] = [X::flat(&[x])[0], X::flat(&[x])[1]];
            widen::<T>(t.by) * Complex::new(re, if t.conjugated { -im } else { im })
        }
    }
}

impl Rows {
    /// The results of all rows of one line, where `times` is a term's product.
    fn make<X: Copy, E: Copy + std::ops::Add<Output = E>>(&self, times: &impl Fn(&Term, X) -> E, x: &[X], y: &mut [E]) {
        match self.terms() {
            1 => self.terms_of::<1, X, E>(times, x, y),
            2 => self.terms_of::<2, X, E>(times, x, y),
            4 => self.terms_of::<4, X, E>(times, x, y),
            _ => {
                for (k, y) in y.iter_mut().enumerate().take(self.count()) {
                    let mut terms = self.row(k).map(|t| times(&t, x[t.index]));
                    if let Some(first) = terms.next() {
                        *y = terms.fold(first, |sum, t| sum + t);
                    }
                }
            }
        }
    }

    /// The same of rows of so many terms, so that their loop is none.
    fn terms_of<const N: usize, X: Copy, E: Copy + std::ops::Add<Output = E>>(
        &self,
        times: &impl Fn(&Term, X) -> E,
        x: &[X],
        y: &mut [E],
    ) {
        for (y, row) in y.iter_mut().zip(self.words().chunks_exact(N * WORDS)) {
            let term = |k: usize| {
                let t = Term::of(&row[k * WORDS..][..WORDS]);
                times(&t, x[t.index])
            };
            *y = (1..N).fold(term(0), |sum, k| sum + term(k));
        }
    }
}
