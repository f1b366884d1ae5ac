//! Matrix products on the host, by the crate `gemm`: blocks of rows and columns are tasks, cut by shape alone.

use super::product::Product;
use crate::access::{Constant, Load, Post, c_strides};
use crate::loops::{Elem, Reader, Real, Slice, Taken};
use crate::plan::{Held, HostLoops, Kernel, Place, Scratch, Target, Work};
use crate::primitive::scale_reads;
use num_complex::Complex;
use rayon::prelude::*;

/// Rows and columns of a block at most, and elements of x that it reads.
const ROWS: usize = 256;
const COLUMNS: usize = 512;
const READ: usize = 1 << 15;
/// Terms that are added one after the other before they join the result: sums of many keep their digits.
const TERMS: usize = 128;
/// Rows or columns that a multiple is made of, at most.
const FILLED: usize = 64;

/// y = w·x, see [`Product`].
#[derive(Clone, Debug)]
pub(super) struct MatrixKernel {
    /// Of x, as (outer, terms, columns); (outer, columns, terms) where `turned`.
    pub load: [Load; 1],
    pub turned: bool,
    pub weight: Constant,
    pub conj: bool,
    pub product: Product,
}

/// The weight as (matrix, row, term), in the precision of the run.
pub(super) enum Matrices<T> {
    Real(Vec<T>),
    Complex(Vec<Complex<T>>),
}

impl MatrixKernel {
    /// Columns of a block: so many that what is read stays in cache.
    fn width(&self) -> usize {
        let most = (READ / self.product.terms).clamp(16, COLUMNS);
        self.product.columns.min(most)
    }

    fn height(&self) -> usize {
        self.product.rows.min(ROWS)
    }
}

impl Kernel for MatrixKernel {
    fn name(&self) -> &'static str {
        "matrix product"
    }

    fn details(&self) -> String {
        let Product { outer, rows, columns, terms, .. } = self.product;
        let times = if outer > 1 { format!("{outer} times ") } else { String::new() };
        format!(" {times}{rows} x {terms} by {terms} x {columns}")
    }

    fn loads(&self) -> &[Load] {
        &self.load
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        &mut self.load
    }

    fn output_len(&self) -> usize {
        self.product.outer * self.product.rows * self.product.columns
    }

    fn work(&self) -> Work {
        let each = if self.weight.is_complex() { 8 } else { 4 };
        let flops = (self.output_len() as u64).saturating_mul(each * self.product.terms as u64);
        Work { flops, read: self.weight.bytes() }
    }

    fn held(&self) -> Vec<Held<'_>> {
        vec![Held::Weight(&self.weight)]
    }

    fn takes(&self, load: &Load, target: &Target) -> bool {
        match target {
            Target::Host => true,
            Target::Gpu(limits) => super::gpu::takes(&self.product, load, self.weight.len(), limits),
        }
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        scale_reads(&mut self.load, after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

impl HostLoops for MatrixKernel {
    type Tables<T: Real> = Matrices<T>;

    fn tables<T: Real>(&self) -> Matrices<T> {
        let (extents, access) = (&self.product.weight_extents, &self.product.weight);
        let strides = c_strides(extents);
        let at = |i: usize| {
            let index = strides.iter().zip(extents).zip(&access.axes);
            let offset: i64 = index.map(|((s, n), axis)| axis.at(i as i64 / s % *n as i64)).sum();
            self.weight.get((access.base + offset) as usize)
        };
        let all = (0..self.weight.len()).into_par_iter().map(at);
        match self.weight.is_complex() {
            false => Matrices::Real(all.map(|w| T::of(w.re)).collect()),
            true => {
                let sign = if self.conj { -1.0 } else { 1.0 };
                Matrices::Complex(all.map(|w| Complex::new(T::of(w.re), T::of(sign * w.im))).collect())
            }
        }
    }

    fn run<T: Real, E: Elem<T>>(&self, tables: &Matrices<T>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let p = &self.product;
        let (width, height) = (self.width(), self.height());
        let dst = to.stretch(self.output_len());
        let reader = Reader::new(&self.load[0], sources[0]);
        // Lines of the result as it is stored, cut into the pieces of blocks.
        let (lines, line) = if p.turned { (p.columns, p.rows) } else { (p.rows, p.columns) };
        let (tall, wide) = if p.turned { (width, height) } else { (height, width) };
        let across = line.div_ceil(wide);
        let mut blocks: Vec<Vec<&mut [E]>> = Vec::new();
        blocks.resize_with(p.outer * lines.div_ceil(tall) * across, || Vec::with_capacity(tall));
        for (l, row) in dst.chunks_mut(line).enumerate() {
            let (o, l) = (l / lines, l % lines);
            let first = (o * lines.div_ceil(tall) + l / tall) * across;
            row.chunks_mut(wide).enumerate().for_each(|(b, piece)| blocks[first + b].push(piece));
        }
        let per_outer = blocks.len() / p.outer;
        blocks.into_par_iter().enumerate().for_each_init(
            || (vec![E::null(); p.terms * width], vec![E::null(); width * height]),
            |(x, y), (b, pieces)| {
                let (o, b) = (b / per_outer, b % per_outer);
                let (down, right) = (b / across * tall, b % across * wide);
                let (row, column) = if p.turned { (right, down) } else { (down, right) };
                let (rows, columns) = match p.turned {
                    true => (pieces.first().map_or(0, |p| p.len()), pieces.len()),
                    false => (pieces.len(), pieces.first().map_or(0, |p| p.len())),
                };
                let x = &mut x[..p.terms * columns];
                let first = o * p.terms * p.columns;
                // (terms, columns), or (columns, terms).
                match self.turned {
                    false => x.chunks_mut(columns).enumerate().for_each(|(k, x)| {
                        reader.read(first + k * p.columns + column, x);
                    }),
                    true => reader.read(first + column * p.terms, x),
                }
                let (x_term, x_column) = if self.turned { (1, p.terms) } else { (columns, 1) };
                let (y_row, y_column) = if p.turned { (1, rows) } else { (columns, 1) };
                let y = &mut y[..rows * columns];
                let block = Block {
                    rows,
                    columns,
                    terms: p.terms,
                    x: (x_term, x_column),
                    y: (y_row, y_column),
                    weight: (p.matrix(o) * p.rows + row) * p.terms,
                };
                block.multiply(tables, x, y);
                let own = if p.turned { rows } else { columns };
                pieces.into_iter().zip(y.chunks(own)).for_each(|(to, from)| to.copy_from_slice(from));
            },
        );
    }

    fn taken(&self, element: usize, _: bool, _: usize) -> Taken {
        let (width, height) = (self.width(), self.height());
        let blocks = self.product.outer * self.product.rows.div_ceil(height) * self.product.columns.div_ceil(width);
        let pieces = if self.product.turned { width } else { height };
        let lists = (blocks * (size_of::<Vec<&mut [f32]>>() + pieces * size_of::<&mut [f32]>())) as u64;
        // What the crate packs: a block of each operand, filled up to whole registers.
        let packed = (height + width + 2 * FILLED) * self.product.terms.min(TERMS);
        Taken { each: (((self.product.terms + height) * width + packed) * element) as u64, shared: lists }
    }

    fn table_bytes(&self) -> u64 {
        self.weight.bytes()
    }
}

/// A block of one product: strides of (term, column) in x and of (row, column) in y, and where its rows of the weight begin.
struct Block {
    rows: usize,
    columns: usize,
    terms: usize,
    x: (usize, usize),
    y: (usize, usize),
    weight: usize,
}

impl Block {
    fn multiply<T: Real, E: Elem<T>>(&self, w: &Matrices<T>, x: &mut [E], y: &mut [E]) {
        match w {
            Matrices::Complex(w) => match (E::as_complex_mut(x), E::as_complex_mut(y)) {
                (Some(x), Some(y)) => self.product(&w[self.weight..], x, y, 1, Complex::new(T::one(), T::zero())),
                // A real result of complex weights is that of their real parts.
                _ => {
                    let w: Vec<T> = w[self.weight..][..self.rows * self.terms].iter().map(|w| w.re).collect();
                    self.product(&w, E::flat(x), E::flat_mut(y), 1, T::one());
                }
            },
            // Complex values are two real ones each.
            Matrices::Real(w) => self.product(&w[self.weight..], E::flat(x), E::flat_mut(y), E::LANES, T::one()),
        }
    }

    /// Where `lanes` values lie beside each other in each element of x and y.
    fn product<S: Copy + 'static>(&self, w: &[S], x: &[S], y: &mut [S], lanes: usize, one: S) {
        let beside = self.x.1 == 1 && self.y.1 == 1;
        let (columns, lanes, apart) = if beside { (self.columns * lanes, 1, lanes) } else { (self.columns, lanes, lanes) };
        let stride = |s: usize, along: bool| if along && beside { 1 } else { s * apart };
        let (x_term, x_column) = (stride(self.x.0, false), stride(self.x.1, true));
        let (y_row, y_column) = (stride(self.y.0, false), stride(self.y.1, true));
        let end = |(n, s): (usize, usize), (m, t): (usize, usize)| (n - 1) * s + (m - 1) * t + lanes;
        assert!(w.len() >= self.rows * self.terms);
        assert!(x.len() >= end((self.terms, x_term), (columns, x_column)));
        assert!(y.len() >= end((self.rows, y_row), (columns, y_column)));
        for (lane, first) in (0..lanes).flat_map(|lane| (0..self.terms).step_by(TERMS).map(move |k| (lane, k))) {
            // The products of ndarray, which no one has to vouch for, take 1.8 times as long for 1024² · 64, 2.7 for 8x32 · 65536, 1.1 for
            // 64x32 · 65536 and 512² · 512 (f32, one thread).
            // SAFETY: rows, columns and terms are at least 1, and with these strides the last element of each operand lies within
            // its slice, as is asserted; terms from `first` on are some of them. y is borrowed alone, is read only where the terms
            // before have written it, and its strides lead to each element once. S is f32, f64 or a complex number of them, which
            // the crate knows.
            #[allow(unsafe_code)]
            unsafe {
                gemm::gemm(
                    self.rows,
                    columns,
                    TERMS.min(self.terms - first),
                    y.as_mut_ptr().add(lane),
                    y_column as isize,
                    y_row as isize,
                    first > 0,
                    w.as_ptr().add(first),
                    1,
                    self.terms as isize,
                    x.as_ptr().add(lane + first * x_term),
                    x_column as isize,
                    x_term as isize,
                    one,
                    one,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    }
}
