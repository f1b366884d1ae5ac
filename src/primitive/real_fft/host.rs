//! Real transforms on the host. A task has whole lines, or all columns of an outer index, or few columns of it; the parts of complex
//! values are two columns, since the matrices are real.

use super::line::{After, Before, LineKernel};
use super::rows::Rows;
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken, widest};
use crate::plan::{HostLoops, Kernel, Place};
use crate::primitive::fft::{COLUMNS, GAP, line_bytes};
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Pairs of results that are made together.
const BLOCK: usize = 16;

/// Outer indices that keep the cores busy.
const BUSY: usize = 64;

/// Complex values of lines that go together, and columns at least.
const CACHED: usize = 1 << 15;
const LEAST: usize = 4;

/// The transform, what it reads, and what is made of it.
pub(super) struct Tables<T: Real> {
    fft: Arc<dyn Fft<T>>,
    read: Read<T>,
    made: Made<T>,
}

/// What each value is made of that is transformed.
enum Read<T> {
    /// Two values as they lie.
    Pairs,
    /// One for the real part and one for the imaginary part, each times a factor.
    Parts(Vec<[(u32, T); 2]>),
    /// Sums of so many values times factors each.
    Sums(usize, Vec<(u32, Complex<T>)>),
}

/// What results are.
enum Made<T> {
    /// Of [`After::Half`], with its powers of w.
    Half(Vec<Complex<T>>),
    /// Real parts of sums of so many values times factors each.
    Sums(usize, Vec<(u32, Complex<T>)>),
}

/// The terms of rows, as many in each.
fn sums<T: Real>(rows: &Rows) -> (usize, Vec<(u32, Complex<T>)>) {
    let terms = (0..rows.count()).flat_map(|k| rows.row(k));
    let term = |t: super::rows::Term| (t.index as u32, Complex::new(T::of(t.by.re), T::of(t.by.im)));
    (rows.terms(), terms.map(term).collect())
}

impl<T: Real> Read<T> {
    fn of(before: &Before) -> Read<T> {
        let Before::Rows(rows) = before else { return Read::Pairs };
        let (terms, all) = sums(rows);
        let none = |by: T| by == T::zero();
        let parts = all.chunks_exact(terms).map(|row| {
            let mut own = [(0, T::zero()); 2];
            for &(index, by) in row {
                if !none(by.re) && !none(own[0].1) || !none(by.im) && !none(own[1].1) {
                    return None;
                }
                if !none(by.re) {
                    own[0] = (index, by.re);
                }
                if !none(by.im) {
                    own[1] = (index, by.im);
                }
            }
            Some(own)
        });
        match parts.collect::<Option<Vec<_>>>() {
            Some(parts) => Read::Parts(parts),
            None => Read::Sums(terms, all),
        }
    }
}

impl HostLoops for LineKernel {
    type Tables<T: Real> = Tables<T>;

    fn tables<T: Real>(&self) -> Tables<T> {
        let fft = FftPlanner::new().plan_fft_forward(self.length);
        let made = match &self.after {
            After::Half => Made::Half(self.turns().map(|w| Complex::new(T::of_f64(w.re), T::of_f64(w.im))).collect()),
            After::Rows(rows) => {
                let (terms, all) = sums(rows);
                Made::Sums(terms, all)
            }
        };
        Tables { fft, read: Read::of(&self.before), made }
    }

    fn run<T: Real, E: Elem<T>>(&self, tables: &Tables<T>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let (reader, dst) = (Reader::new(&self.load, sources[0]), to.stretch(self.output_len()));
        match self.from_complex {
            true => self.lines::<T, Complex<T>, E>(tables, &reader, dst),
            false => self.lines::<T, T, E>(tables, &reader, dst),
        }
    }

    fn taken(&self, _: usize, _: bool, _: usize) -> Taken {
        let columns = self.width() * self.lanes();
        let line = self.load.extents[1] + 2 * self.pitch() + (self.count() + GAP + 1) * self.parts();
        let lists = match self.load.extents[2] > 1 && self.load.extents[0] < BUSY {
            true => self.load.extents[2].div_ceil(self.width()) * (24 + 16 * self.count()),
            false => 0,
        };
        let each = columns * line * size_of::<f32>() + line_bytes::<f32>(self.length);
        Taken { each: each as u64, shared: lists as u64 }
    }

    fn table_bytes(&self) -> u64 {
        let terms = |rows: &Rows| rows.terms() * rows.count() * size_of::<(u32, Complex<f32>)>();
        let before = match &self.before {
            Before::Pairs => 0,
            // Parts take more than terms where rows have one.
            Before::Rows(rows) => terms(rows).max(rows.count() * size_of::<[(u32, f32); 2]>()),
        };
        let after = match &self.after {
            After::Half => self.turns().count() * size_of::<Complex<f32>>(),
            After::Rows(rows) => terms(rows),
        };
        (line_bytes::<f32>(self.length) + before + after) as u64
    }
}

/// What a task works in.
struct Scratch<X, T> {
    /// Values that were read: (extent, columns).
    x: Vec<X>,
    /// Lines of complex values, one for each real column.
    z: Vec<Complex<T>>,
    /// Lines of results, and a row of them.
    y: Vec<T>,
    row: Vec<T>,
    fft: Vec<Complex<T>>,
}

impl LineKernel {
    /// Elements from one line of complex values to the next.
    fn pitch(&self) -> usize {
        self.length + GAP
    }

    /// Real columns in one of the value.
    fn lanes(&self) -> usize {
        if self.from_complex { 2 } else { 1 }
    }

    /// Numbers in a result of a real column.
    fn parts(&self) -> usize {
        if matches!(self.after, After::Half) { 2 } else { 1 }
    }

    /// Columns of the value that go together: few of long lines, so that they stay in cache.
    fn width(&self) -> usize {
        let most = (CACHED / self.pitch()).clamp(LEAST, COLUMNS);
        (most / self.lanes()).min(self.load.extents[2])
    }

    fn lines<T: Real, X: Elem<T>, E: Elem<T>>(&self, tables: &Tables<T>, reader: &Reader<T>, dst: &mut [E]) {
        let [outer, extent, inner] = [0, 1, 2].map(|a| self.load.extents[a]);
        let (count, most) = (self.count(), self.width());
        let columns = most * self.lanes();
        let scratch = || Scratch {
            x: vec![X::null(); extent * most],
            z: vec![Complex::new(T::zero(), T::zero()); self.pitch() * columns],
            y: vec![T::zero(); (count + GAP) * self.parts() * columns],
            row: vec![T::zero(); self.parts() * columns],
            fft: vec![Complex::new(T::zero(), T::zero()); tables.fft.get_inplace_scratch_len()],
        };
        if inner == 1 {
            let several = (CHUNK / extent).max(1);
            let run = |s: &mut Scratch<X, T>, first: usize, part: &mut [E]| {
                part.chunks_exact_mut(count).enumerate().for_each(|(k, y)| self.line(tables, reader, s, first + k, y));
            };
            if outer <= several {
                return run(&mut scratch(), 0, dst);
            }
            let parts = dst.par_chunks_mut(count * several).enumerate();
            return parts.for_each_init(scratch, |s, (c, part)| run(s, c * several, part));
        }
        let plain = reader.plain::<X>();
        let stretch = |s: &mut Scratch<X, T>, o: usize, first: usize, width: usize| {
            for (n, x) in s.x.chunks_exact_mut(width).take(extent).enumerate() {
                let at = (o * extent + n) * inner + first;
                match plain {
                    Some(plain) => x.copy_from_slice(&plain[at..][..width]),
                    None => reader.read(at, x),
                }
            }
            self.made(tables, s, width);
        };
        if outer >= BUSY {
            dst.par_chunks_exact_mut(count * inner).enumerate().for_each_init(scratch, |s, (o, part)| {
                for first in (0..inner).step_by(most) {
                    let width = most.min(inner - first);
                    stretch(s, o, first, width);
                    for (k, row) in part.chunks_exact_mut(inner).enumerate() {
                        self.row(s, k, &mut row[first..][..width]);
                    }
                }
            });
            return;
        }
        for (o, part) in dst.chunks_exact_mut(count * inner).enumerate() {
            let mut tiles: Vec<Vec<&mut [E]>> = Vec::new();
            tiles.resize_with(inner.div_ceil(most), || Vec::with_capacity(count));
            for row in part.chunks_exact_mut(inner) {
                row.chunks_mut(most).zip(&mut tiles).for_each(|(piece, tile)| tile.push(piece));
            }
            tiles.into_par_iter().enumerate().for_each_init(scratch, |s, (t, mut rows)| {
                stretch(s, o, t * most, rows[0].len());
                rows.iter_mut().enumerate().for_each(|(k, row)| self.row(s, k, row));
            });
        }
    }

    /// One line that lies in one piece.
    fn line<T: Real, X: Elem<T>, E: Elem<T>>(
        &self,
        tables: &Tables<T>,
        reader: &Reader<T>,
        s: &mut Scratch<X, T>,
        line: usize,
        y: &mut [E],
    ) {
        let (extent, first) = (self.load.extents[1], line * self.load.extents[1]);
        // What is real is neither turned before nor behind.
        if self.lanes() == 1 && E::LANES == self.parts() {
            match (reader.plain::<X>(), &tables.read) {
                // As they lie they are the pairs.
                (_, Read::Pairs) => reader.read(first, &mut Complex::flat_mut(&mut s.z)[..extent]),
                (Some(x), _) => self.before(tables, X::flat(&x[first..][..extent]), 1, &mut s.z),
                (None, _) => {
                    reader.read(first, &mut s.x);
                    self.before(tables, X::flat(&s.x), 1, &mut s.z);
                }
            }
            self.transformed(tables, &mut s.z, &mut s.fft);
            return self.after(tables, &s.z, E::flat_mut(y));
        }
        reader.read(first, &mut s.x);
        self.made(tables, s, 1);
        if E::LANES == 2 && self.lanes() == 2 {
            // Its two parts, side by side.
            let (re, im) = s.y.split_at((self.count() + GAP) * self.parts());
            let parts = E::flat_mut(y).chunks_exact_mut(2).zip(re.iter().zip(im));
            return parts.for_each(|(y, (re, im))| y.copy_from_slice(&[*re, *im]));
        }
        y.iter_mut().enumerate().for_each(|(k, y)| self.row(s, k, std::slice::from_mut(y)));
    }

    /// The lines of results of as many columns of the value as were read.
    fn made<T: Real, X: Elem<T>>(&self, tables: &Tables<T>, s: &mut Scratch<X, T>, width: usize) {
        let columns = width * self.lanes();
        self.before(tables, X::flat(&s.x[..self.load.extents[1] * width]), columns, &mut s.z);
        let (numbers, pitch) = (self.count() * self.parts(), (self.count() + GAP) * self.parts());
        for (z, y) in s.z.chunks_exact_mut(self.pitch()).zip(s.y.chunks_exact_mut(pitch)).take(columns) {
            self.transformed(tables, z, &mut s.fft);
            self.after(tables, z, &mut y[..numbers]);
        }
    }

    /// Row k of the results that were made.
    fn row<T: Real, X, E: Elem<T>>(&self, s: &mut Scratch<X, T>, k: usize, to: &mut [E]) {
        let (parts, pitch) = (self.parts(), (self.count() + GAP) * self.parts());
        let row = &mut s.row[..to.len() * self.lanes() * parts];
        for part in 0..parts {
            let lines = s.y[k * parts + part..].iter().step_by(pitch);
            row[part..].iter_mut().step_by(parts).zip(lines).for_each(|(row, y)| *row = *y);
        }
        match to.len() * E::LANES == row.len() {
            true => E::flat_mut(to).copy_from_slice(row),
            false => to.iter_mut().zip(row).for_each(|(to, v)| *to = E::re(*v)),
        }
    }

    fn transformed<T: Real>(&self, tables: &Tables<T>, z: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        tables.fft.process_with_scratch(&mut z[..self.length], scratch);
    }

    /// The lines of complex values of so many real columns, from (extent, columns).
    fn before<T: Real>(&self, tables: &Tables<T>, x: &[T], columns: usize, z: &mut [Complex<T>]) {
        let pitch = self.pitch();
        let row = |n: usize| &x[n * columns..][..columns];
        let mut put = |p: usize, re: (usize, T), im: (usize, T)| {
            let parts = row(re.0).iter().zip(row(im.0));
            parts.enumerate().for_each(|(c, (x, y))| z[c * pitch + p] = Complex::new(*x * re.1, *y * im.1));
        };
        match &tables.read {
            Read::Pairs => (0..self.length).for_each(|p| put(p, (2 * p, T::one()), (2 * p + 1, T::one()))),
            Read::Parts(all) if columns == 1 => {
                for (z, [re, im]) in z.iter_mut().zip(all) {
                    *z = Complex::new(x[re.0 as usize] * re.1, x[im.0 as usize] * im.1);
                }
            }
            Read::Parts(all) => {
                for (p, [re, im]) in all.iter().enumerate() {
                    put(p, (re.0 as usize, re.1), (im.0 as usize, im.1));
                }
            }
            Read::Sums(terms, all) => {
                for (p, terms) in all.chunks_exact(*terms).enumerate() {
                    let mut sum = [Complex::new(T::zero(), T::zero()); COLUMNS];
                    for (n, by) in terms {
                        sum.iter_mut().zip(row(*n as usize)).for_each(|(s, x)| *s = *s + *by * *x);
                    }
                    sum.iter().take(columns).enumerate().for_each(|(c, s)| z[c * pitch + p] = *s);
                }
            }
        }
    }

    /// The numbers of one line's results.
    fn after<T: Real>(&self, tables: &Tables<T>, z: &[Complex<T>], y: &mut [T]) {
        match &tables.made {
            Made::Half(turns) => widest(
                #[inline(always)]
                || halves(&z[..self.length], turns, y),
            ),
            Made::Sums(1, all) => real_parts::<1, T>(all, z, y),
            Made::Sums(2, all) => real_parts::<2, T>(all, z, y),
            Made::Sums(terms, all) => {
                for (y, terms) in y.iter_mut().zip(all.chunks_exact(*terms)) {
                    *y = terms.iter().fold(T::zero(), |sum, term| sum + real_part(term, z));
                }
            }
        }
    }
}

/// Sums of so many terms each, so that their loop is none.
fn real_parts<const N: usize, T: Real>(all: &[(u32, Complex<T>)], z: &[Complex<T>], y: &mut [T]) {
    for (y, terms) in y.iter_mut().zip(all.chunks_exact(N)) {
        *y = (1..N).fold(real_part(&terms[0], z), |sum, k| sum + real_part(&terms[k], z));
    }
}

#[inline(always)]
fn real_part<T: Real>((n, by): &(u32, Complex<T>), z: &[Complex<T>]) -> T {
    let z = z[*n as usize];
    by.re * z.re - by.im * z.im
}

/// The half of the spectrum, as pairs of reals, of the transform of pairs of values; turns are those up to the middle.
#[inline(always)]
fn halves<T: Real>(z: &[Complex<T>], turns: &[Complex<T>], y: &mut [T]) {
    let m = z.len();
    let both = |y: &mut [T], k: usize, other: usize| {
        let (low, high) = half(z[k], z[other], turns[k]);
        y[2 * k..][..2].copy_from_slice(&[low.re, low.im]);
        y[2 * (m - k)..][..2].copy_from_slice(&[high.re, high.im]);
    };
    both(y, 0, 0);
    if m.is_multiple_of(2) && m > 0 {
        both(y, m / 2, m / 2);
    }
    // All else has a partner on the other side of the middle: block after block, so that loops are of a length that is known. The last
    // block makes some pairs again.
    let end = m.div_ceil(2);
    if end <= BLOCK {
        return (1..end).for_each(|k| both(y, k, m - k));
    }
    for k in (1..end - BLOCK).step_by(BLOCK).chain([end - BLOCK]) {
        let (z, others, turns) = (&z[k..][..BLOCK], &z[m - k - BLOCK + 1..][..BLOCK], &turns[k..][..BLOCK]);
        let mut low = [Complex::new(T::zero(), T::zero()); BLOCK];
        let mut high = low;
        for j in 0..BLOCK {
            (low[j], high[BLOCK - 1 - j]) = half(z[j], others[BLOCK - 1 - j], turns[j]);
        }
        y[2 * k..][..2 * BLOCK].copy_from_slice(Complex::flat(&low));
        y[2 * (m - k - BLOCK + 1)..][..2 * BLOCK].copy_from_slice(Complex::flat(&high));
    }
}

/// X[k] and X[m − k] of Z[k] and Z[m − k].
#[inline(always)]
fn half<T: Real>(z: Complex<T>, other: Complex<T>, w: Complex<T>) -> (Complex<T>, Complex<T>) {
    let half = T::of(0.5);
    let even = (z + other.conj()) * half;
    // (Z[k] − conj Z[m − k])/2i.
    let odd = (z - other.conj()) * half;
    let odd = w * Complex::new(odd.im, -odd.re);
    (even + odd, (even - odd).conj())
}
