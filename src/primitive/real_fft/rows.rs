//! Few terms for each result: what stands before and behind a transform of half the length.

use super::super::scale_reads;
use crate::access::{Load, Post};
use crate::error::{Result, shape_err};
use crate::ir::{Lowered, Lowering};
use crate::plan::{GpuSide, Held, Kernel, Scratch, Target, Work};
use num_complex::{Complex32, Complex64};
use std::sync::Arc;

/// Of an index: the value is conjugated.
const CONJUGATED: u32 = 1 << 31;
/// Words of a term: index, real and imaginary part of its coefficient.
pub(super) const WORDS: usize = 3;

/// A sparse matrix with as many terms in every row, in f64.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    /// Number of columns.
    pub extent: usize,
    /// The terms of each row: column and coefficient.
    pub rows: Vec<Vec<(usize, Complex64)>>,
}

impl Matrix {
    /// Rows by their number.
    pub fn of(rows: usize, extent: usize, row: impl FnMut(usize) -> Vec<(usize, Complex64)>) -> Matrix {
        Matrix { extent, rows: (0..rows).map(row).collect() }
    }

    /// The transpose, without conjugation.
    pub fn transposed(&self) -> Matrix {
        let mut rows = vec![Vec::new(); self.extent];
        for (k, row) in self.rows.iter().enumerate() {
            row.iter().for_each(|&(n, c)| rows[n].push((k, c)));
        }
        Matrix { extent: self.rows.len(), rows }
    }

    pub fn is_real(&self) -> bool {
        self.rows.iter().flatten().all(|(_, c)| c.im == 0.0)
    }
}

/// A [`Matrix`] as kernels read it, shared by handle.
#[derive(Clone)]
pub(super) struct Rows(Arc<Held32>);

struct Held32 {
    extent: usize,
    terms: usize,
    real: bool,
    conjugates: bool,
    words: Arc<Vec<u32>>,
}

/// One term of a row.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub index: usize,
    pub by: Complex32,
}

impl Term {
    /// From its words.
    #[inline(always)]
    pub fn of(w: &[u32]) -> Term {
        Term {
            index: (w[0] & !CONJUGATED) as usize,
            by: Complex32::new(f32::from_bits(w[1]), f32::from_bits(w[2])),
        }
    }
}

impl Rows {
    /// The rows of a matrix, and of another one on the conjugates of x, side by side.
    ///
    /// # Errors
    /// An axis is longer than kernels count.
    pub fn new(plain: &Matrix, conjugates: Option<&Matrix>) -> Result<Rows> {
        let extent = plain.extent;
        if extent >= CONJUGATED as usize || plain.rows.len() >= CONJUGATED as usize {
            return shape_err!("a transform between {extent} and {} values; expected fewer than 2^31", plain.rows.len());
        }
        let none = Vec::new();
        let other = |k: usize| conjugates.map_or(&none, |m| &m.rows[k]);
        let terms = (0..plain.rows.len()).map(|k| plain.rows[k].len() + other(k).len()).max().unwrap_or(0).max(1);
        let mut words = Vec::with_capacity(plain.rows.len() * terms * WORDS);
        for (k, row) in plain.rows.iter().enumerate() {
            let own = row.iter().map(|t| (t, 0)).chain(other(k).iter().map(|t| (t, CONJUGATED)));
            let mut written = 0;
            for (&(n, c), mark) in own {
                words.extend([n as u32 | mark, (c.re as f32).to_bits(), (c.im as f32).to_bits()]);
                written += 1;
            }
            // All rows are as long as the longest.
            words.resize(words.len() + (terms - written) * WORDS, 0);
        }
        let real = plain.is_real() && conjugates.is_none();
        let conjugates = conjugates.is_some();
        Ok(Rows(Arc::new(Held32 { extent, terms, real, conjugates, words: Arc::new(words) })))
    }

    /// Columns: the values that it takes.
    pub fn extent(&self) -> usize {
        self.0.extent
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.0.words.len() / (self.0.terms * WORDS)
    }

    pub fn terms(&self) -> usize {
        self.0.terms
    }

    pub fn words(&self) -> &Arc<Vec<u32>> {
        &self.0.words
    }

    /// The terms of a row.
    pub fn row(&self, k: usize) -> impl Iterator<Item = Term> + '_ {
        let row = self.0.terms * WORDS;
        self.0.words[k * row..(k + 1) * row].chunks_exact(WORDS).map(Term::of)
    }

    pub fn bytes(&self) -> u64 {
        4 * self.0.words.len() as u64
    }

    /// What a plan counts once, however many steps have it.
    pub fn held(&self) -> Held<'_> {
        Held::Data { address: Arc::as_ptr(&self.0) as usize, bytes: self.bytes() }
    }

    /// Appends the step y[o, k, i] = Σ c·x[o, n, i] over the terms of row k, along an axis of x; of real results only the real
    /// part is made.
    ///
    /// # Errors
    /// The axis has another extent.
    pub fn lower(
        &self,
        to: &mut dyn Lowering,
        gpu: GpuSide,
        x: &Lowered,
        axis: usize,
        real: bool,
    ) -> Result<Lowered> {
        let e = &x.extents;
        let load = around(x, axis, self.0.extent)?;
        let mut extents = e.clone();
        extents[axis] = self.count();
        let complex = !real && (x.complex || !self.0.real);
        let kernel = RowsKernel { load, rows: self.clone(), real: !complex, from_complex: x.complex };
        Ok(to.step(gpu.kernel(kernel), &extents, complex))
    }
}

/// The read of a value as (outer, extent, inner) around an axis.
///
/// # Errors
/// The axis has another extent.
pub(super) fn around(x: &Lowered, axis: usize, extent: usize) -> Result<Load> {
    let e = &x.extents;
    let three = [e[..axis].iter().product(), e[axis], e[axis + 1..].iter().product()];
    let load = x.load().reshaped(&three).filter(|_| e[axis] == extent);
    load.map_or_else(|| shape_err!("{e:?} has no axis {axis} of extent {extent}"), Ok)
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of {} terms", self.count(), self.0.terms)
    }
}

/// Reads (outer, extent, inner).
#[derive(Clone, Debug)]
pub(super) struct RowsKernel {
    pub load: Load,
    pub rows: Rows,
    /// Whether results are real.
    pub real: bool,
    /// Whether the value that is read is complex.
    pub from_complex: bool,
}

impl Kernel for RowsKernel {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn details(&self) -> String {
        let part = if self.real && self.from_complex { ", real part" } else { "" };
        format!(" by {:?}{part}", self.rows)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.load.extents[0] * self.rows.count() * self.load.extents[2]
    }

    fn work(&self) -> Work {
        let each = match (self.real, self.from_complex) {
            (true, false) => 2,
            (true, true) | (false, false) => 4,
            (false, true) => 8,
        };
        Work { flops: (each * self.rows.terms() * self.output_len()) as u64, read: self.rows.bytes() }
    }

    fn held(&self) -> Vec<Held<'_>> {
        vec![self.rows.held()]
    }

    fn takes(&self, load: &Load, target: &Target) -> bool {
        // The real part is of what is read, so weights would have to stand where the value does.
        (!self.real || load.only_moves()) && load.factors.len() <= target.max_factors()
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        let turns = self.rows.0.conjugates && after.scale.im != 0.0;
        !turns && scale_reads(std::slice::from_mut(&mut self.load), after, complex)
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
