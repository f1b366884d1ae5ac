//! Computations on the host: tasks of a fixed length, blocks that stay in the nearest cache.

use super::{Computation, Map, Op, Pair};
use crate::error::Result;
use crate::loops::{CHUNK, HostBuf, Slice, widest};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of which all steps are made before the next are looked at.
const BLOCK: usize = 256;

/// Sums side by side.
const SUMS: usize = 4;

/// Largest values side by side.
const LARGEST: usize = 16;

/// A step's values for one block.
enum Block {
    Real(Vec<f32>),
    Complex(Vec<Complex32>),
}

/// The values of `n` elements.
pub(crate) fn mapped(c: &Computation, inputs: &[Slice<f32>], n: usize) -> Result<HostBuf<f32>> {
    let mut out = HostBuf::unset(n, c.gives_complex())?;
    match &mut out {
        HostBuf::Real(out) => out.par_chunks_mut(CHUNK).enumerate().for_each(|(task, out)| {
            Blocks::new(c, inputs).each(range(task, n), |at, values| {
                if let Slice::Real(v) = values {
                    out[at..at + v.len()].copy_from_slice(v);
                }
            });
        }),
        HostBuf::Complex(out) => out.par_chunks_mut(CHUNK).enumerate().for_each(|(task, out)| {
            Blocks::new(c, inputs).each(range(task, n), |at, values| {
                if let Slice::Complex(v) = values {
                    out[at..at + v.len()].copy_from_slice(v);
                }
            });
        }),
    }
    Ok(out)
}

/// The sum of the values of `n` elements.
pub(crate) fn summed(c: &Computation, inputs: &[Slice<f32>], n: usize) -> Complex64 {
    let task = |task: usize| {
        let mut sums = [Complex64::default(); SUMS];
        Blocks::new(c, inputs).each(range(task, n), |_, values| match values {
            Slice::Real(v) => {
                v.chunks(SUMS).for_each(|v| v.iter().zip(&mut sums).for_each(|(x, s)| s.re += f64::from(*x)))
            }
            Slice::Complex(v) => v.chunks(SUMS).for_each(|v| {
                v.iter().zip(&mut sums).for_each(|(x, s)| *s += Complex64::new(x.re.into(), x.im.into()));
            }),
        });
        sums.iter().sum::<Complex64>()
    };
    let parts: Vec<Complex64> = (0..n.div_ceil(CHUNK)).into_par_iter().map(task).collect();
    parts.iter().sum()
}

/// The largest of the values of `n` elements, which are real; NaN if there is one.
pub(crate) fn largest(c: &Computation, inputs: &[Slice<f32>], n: usize) -> f64 {
    let task = |task: usize| {
        let (mut most, mut is_number) = ([f32::NEG_INFINITY; LARGEST], true);
        Blocks::new(c, inputs).each(range(task, n), |_, values| {
            if let Slice::Real(v) = values {
                for v in v.chunks(LARGEST) {
                    v.iter().zip(&mut most).for_each(|(x, m)| *m = if *x > *m { *x } else { *m });
                    is_number &= v.iter().fold(true, |all, x| all & !x.is_nan());
                }
            }
        });
        if is_number { most.into_iter().fold(f32::NEG_INFINITY, f32::max) } else { f32::NAN }
    };
    let parts: Vec<f32> = (0..n.div_ceil(CHUNK)).into_par_iter().map(task).collect();
    let is_number = parts.iter().all(|x| !x.is_nan());
    if is_number { parts.into_iter().fold(f32::NEG_INFINITY, f32::max).into() } else { f64::NAN }
}

fn range(task: usize, n: usize) -> Range<usize> {
    task * CHUNK..n.min((task + 1) * CHUNK)
}

/// The steps of a computation, a block at a time.
struct Blocks<'a> {
    c: &'a Computation,
    inputs: &'a [Slice<'a, f32>],
    made: Vec<Block>,
}

impl<'a> Blocks<'a> {
    fn new(c: &'a Computation, inputs: &'a [Slice<'a, f32>]) -> Blocks<'a> {
        let block = |s: &super::Step| match (s.op, s.complex) {
            // What is read from where it is needs no room.
            (Op::Input(_), false) => Block::Real(Vec::new()),
            (Op::Input(_), true) => Block::Complex(Vec::new()),
            (Op::Number(x), false) => Block::Real(vec![x.re; BLOCK]),
            (Op::Number(x), true) => Block::Complex(vec![x; BLOCK]),
            (_, false) => Block::Real(vec![0.0; BLOCK]),
            (_, true) => Block::Complex(vec![Complex32::default(); BLOCK]),
        };
        Blocks { c, inputs, made: c.steps().iter().map(block).collect() }
    }

    /// The result's values, block after block, with where they begin within the range.
    fn each(&mut self, range: Range<usize>, mut f: impl FnMut(usize, Slice<f32>)) {
        let Some(last) = self.c.steps().len().checked_sub(1) else { return };
        for first in range.clone().step_by(BLOCK) {
            let block = first..range.end.min(first + BLOCK);
            for k in 0..=last {
                let (earlier, own) = self.made.split_at_mut(k);
                let value = |step: usize| row(self.c, self.inputs, earlier, step, &block);
                match self.c.steps()[k].op {
                    Op::Input(_) | Op::Number(_) => {}
                    Op::Map(map, a) => widest(
                        #[inline(always)]
                        || mapped_row(map, value(a), &mut own[0]),
                    ),
                    Op::Pair(pair, a, b) => widest(
                        #[inline(always)]
                        || paired_row(pair, value(a), value(b), &mut own[0]),
                    ),
                }
            }
            f(first - range.start, row(self.c, self.inputs, &self.made, last, &block));
        }
    }
}

/// A step's values for a block.
fn row<'a>(
    c: &Computation,
    inputs: &'a [Slice<'a, f32>],
    made: &'a [Block],
    step: usize,
    block: &Range<usize>,
) -> Slice<'a, f32> {
    match (c.steps()[step].op, &made[step]) {
        (Op::Input(k), _) => match inputs[k] {
            Slice::Real(v) => Slice::Real(&v[block.clone()]),
            Slice::Complex(v) => Slice::Complex(&v[block.clone()]),
        },
        (_, Block::Real(v)) => Slice::Real(&v[..block.len()]),
        (_, Block::Complex(v)) => Slice::Complex(&v[..block.len()]),
    }
}

#[inline(always)]
fn one<A: Copy, R>(to: &mut [R], a: &[A], f: impl Fn(A) -> R) {
    to.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a));
}

#[inline(always)]
fn two<A: Copy, B: Copy, R>(to: &mut [R], a: &[A], b: &[B], f: impl Fn(A, B) -> R) {
    to.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b));
}

#[inline(always)]
fn mapped_row(map: Map, a: Slice<f32>, to: &mut Block) {
    match (a, to) {
        (Slice::Real(a), Block::Real(y)) => match map {
            Map::Negative => one(y, a, |x| -x),
            Map::Magnitude => one(y, a, f32::abs),
            Map::Square => one(y, a, |x| x * x),
            Map::Direction => one(y, a, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() }),
            Map::Root => one(y, a, |x| if x < 0.0 { 0.0 } else { x.sqrt() }),
            Map::Imaginary => y.fill(0.0),
            Map::Conjugate | Map::Real | Map::Complex => one(y, a, |x| x),
        },
        (Slice::Complex(a), Block::Real(y)) => match map {
            Map::Imaginary => one(y, a, |z| z.im),
            Map::Magnitude => one(y, a, magnitude),
            Map::Square => one(y, a, |z| z.norm_sqr()),
            Map::Real | Map::Negative | Map::Conjugate | Map::Direction | Map::Root | Map::Complex => {
                one(y, a, |z| z.re);
            }
        },
        (Slice::Complex(a), Block::Complex(y)) => match map {
            Map::Negative => one(y, a, |z| -z),
            Map::Conjugate => one(y, a, |z| z.conj()),
            Map::Direction => one(y, a, direction),
            Map::Real | Map::Imaginary | Map::Magnitude | Map::Square | Map::Root | Map::Complex => one(y, a, |z| z),
        },
        (Slice::Real(a), Block::Complex(y)) => one(y, a, |x| Complex32::new(x, 0.0)),
    }
}

/// |z|, where the square of neither part has to be a number.
fn magnitude(z: Complex32) -> f32 {
    let square = z.norm_sqr();
    if (1e-30..1e37).contains(&square) { square.sqrt() } else { z.norm() }
}

fn direction(z: Complex32) -> Complex32 {
    let m = magnitude(z);
    if m > 0.0 { z / m } else { z }
}

#[inline(always)]
fn paired_row(pair: Pair, a: Slice<f32>, b: Slice<f32>, to: &mut Block) {
    match (a, b, to) {
        (Slice::Real(a), Slice::Real(b), Block::Real(y)) => match pair {
            Pair::Sum => two(y, a, b, |a, b| a + b),
            Pair::Difference => two(y, a, b, |a, b| a - b),
            Pair::Product => two(y, a, b, |a, b| a * b),
            Pair::Quotient => two(y, a, b, |a, b| a / b),
            Pair::Larger => two(y, a, b, |a, b| if b > a { b } else { a }),
            Pair::Smaller => two(y, a, b, |a, b| if b < a { b } else { a }),
            Pair::Shrunk => two(y, a, b, shrunk),
        },
        (Slice::Complex(a), Slice::Complex(b), Block::Complex(y)) => match pair {
            Pair::Sum => two(y, a, b, |a, b| a + b),
            Pair::Difference => two(y, a, b, |a, b| a - b),
            Pair::Quotient => two(y, a, b, divided),
            Pair::Product | Pair::Larger | Pair::Smaller | Pair::Shrunk => two(y, a, b, |a, b| a * b),
        },
        (Slice::Complex(a), Slice::Real(b), Block::Complex(y)) => match pair {
            Pair::Quotient => two(y, a, b, |a, b| Complex32::new(a.re / b, a.im / b)),
            Pair::Shrunk => two(y, a, b, shrunk_complex),
            Pair::Product | Pair::Sum | Pair::Difference | Pair::Larger | Pair::Smaller => two(y, a, b, |a, b| a * b),
        },
        // Of these there are products only.
        (Slice::Real(a), Slice::Complex(b), Block::Complex(y)) => two(y, a, b, |a, b| b * a),
        (Slice::Real(_), Slice::Real(_), Block::Complex(_)) | (_, _, Block::Real(_)) => {}
    }
}

/// a/b, where the square of neither part of b has to be a number.
fn divided(a: Complex32, b: Complex32) -> Complex32 {
    let m = b.re.abs().max(b.im.abs());
    let s = Complex32::new(b.re / m, b.im / m);
    Complex32::new(a.re / m, a.im / m) * s.conj() / s.norm_sqr()
}

/// x, nearer to 0 by t.
fn shrunk(x: f32, t: f32) -> f32 {
    match () {
        _ if x.abs() <= t => 0.0,
        _ if x < 0.0 => x + t,
        _ => x - t,
    }
}

fn shrunk_complex(z: Complex32, t: f32) -> Complex32 {
    let m = magnitude(z);
    if m <= t { Complex32::default() } else { z * ((m - t) / m) }
}
