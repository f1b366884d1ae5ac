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

/// The transform, and the factors behind it.
pub(super) struct Tables<T: Real> {
    fft: Arc<dyn Fft<T>>,
    turns: Vec<Complex<T>>,
}

impl HostLoops for LineKernel {
    type Tables<T: Real> = Tables<T>;

    fn tables<T: Real>(&self) -> Tables<T> {
        let fft = FftPlanner::new().plan_fft_forward(self.length);
        let turns = self.turns().map(|w| Complex::new(T::of_f64(w.re), T::of_f64(w.im))).collect();
        Tables { fft, turns }
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
        let line = (self.load.extents[1] + 1 + self.pitch() + self.count()) * complex + element;
        let lists = match self.load.extents[2] > 1 && self.load.extents[0] < BUSY {
            true => self.load.extents[2].div_ceil(COLUMNS) * (24 + 16 * self.count()),
            false => 0,
        };
        Taken { each: (width * line + line_bytes::<f32>(self.length)) as u64, shared: lists as u64 }
    }

    fn table_bytes(&self) -> u64 {
        (line_bytes::<f32>(self.length) + self.turns().count() * 2 * size_of::<f32>()) as u64
    }
}

/// What a task works in.
struct Scratch<X, T, E> {
    /// Values that were read: (extent, width).
    x: Vec<X>,
    /// Lines of complex values, one for each column.
    z: Vec<Complex<T>>,
    /// Of one row of results.
    y: Vec<E>,
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
            y: vec![E::null(); width],
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
                    self.before::<T, X>(x, 1, &mut s.z);
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
            self.before::<T, X>(x, width, &mut s.z);
            for line in s.z.chunks_exact_mut(self.pitch()).take(width) {
                self.transform(tables, &mut line[..self.sets * self.length], &mut s.fft);
            }
            self.columns_after(tables, &s.z, &mut s.y[..width], write);
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
    fn before<T: Real, X: Elem<T>>(&self, x: &[X], width: usize, z: &mut [Complex<T>]) {
        let pitch = self.pitch();
        match &self.before {
            Before::Pairs => {
                // Values are real: pairs of them are complex numbers as they lie.
                let x = X::flat(x);
                if width == 1 {
                    for (z, x) in z.iter_mut().zip(x.chunks_exact(2)) {
                        *z = Complex::new(x[0], x[1]);
                    }
                    return;
                }
                for (p, x) in x.chunks_exact(2 * width).enumerate() {
                    let (re, im) = x.split_at(width);
                    re.iter().zip(im).enumerate().for_each(|(c, (re, im))| z[c * pitch + p] = Complex::new(*re, *im));
                }
            }
            Before::Rows(rows) if width == 1 => rows.make(&|t: &Term, x: X| product::<T, X>(t, x), x, z),
            Before::Rows(rows) => {
                for p in 0..rows.count() {
                    let mut sum = [Complex::new(T::zero(), T::zero()); COLUMNS];
                    for t in rows.row(p) {
                        let x = &x[t.index * width..][..width];
                        sum.iter_mut().zip(x).for_each(|(s, x)| *s = *s + product::<T, X>(&t, *x));
                    }
                    sum.iter().take(width).enumerate().for_each(|(c, s)| z[c * pitch + p] = *s);
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

    /// The results of several, row by row.
    fn columns_after<T: Real, E: Elem<T>>(
        &self,
        tables: &Tables<T>,
        z: &[Complex<T>],
        y: &mut [E],
        write: &mut dyn FnMut(usize, &[E]),
    ) {
        let (pitch, width) = (self.pitch(), y.len());
        match &self.after {
            After::Half => {
                let m = self.length;
                let mut other = [E::null(); COLUMNS];
                for (k, w) in tables.turns.iter().enumerate() {
                    for (c, (low, high)) in y.iter_mut().zip(&mut other).enumerate() {
                        let made = half(z[c * pitch + k], z[c * pitch + (m - k) % m], *w);
                        (*low, *high) = (E::complex(made.0), E::complex(made.1));
                    }
                    write(k, y);
                    write(m - k, &other[..width]);
                }
            }
            After::Rows(rows) => {
                for k in 0..rows.count() {
                    y.fill(E::null());
                    for t in rows.row(k) {
                        let z = z[t.index..].iter().step_by(pitch);
                        y.iter_mut().zip(z).for_each(|(y, z)| *y = *y + E::complex(product::<T, _>(&t, *z)));
                    }
                    write(k, y);
                }
            }
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
