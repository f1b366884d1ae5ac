//! Golub and Kahan's bidiagonalisation from a random x: A V = U B with an upper bidiagonal B, whose singular values lie between
//! those of A.
//!
//! Golub and Kahan, SIAM J. Numer. Anal. 2:205 (1965). Nothing is orthogonalised again: the largest and smallest values come right
//! all the same, some several times (Paige, Linear Algebra Appl. 34:235, 1980).

use super::small;
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Layout, Pass, Scalar, Space, Vector};
use num_complex::Complex64;

/// α u and A times something.
const U: Vector = Vector(0);
const Q: Vector = Vector(1);
/// β v and Aᴴ times something.
const V: Vector = Vector(2);
const S: Vector = Vector(3);

const ALPHA: Scalar = Scalar(0);
const BETA: Scalar = Scalar(1);
const PER_ALPHA: Scalar = Scalar(2);
const PER_BETA: Scalar = Scalar(3);
const UU: Scalar = Scalar(4);
const VV: Scalar = Scalar(5);

/// A norm so far below that of A is rounding: the Krylov space is at its end.
const NULL: f64 = 1e-6;

pub(super) fn layout() -> Layout {
    let per = |pass: Pass, to: Scalar, of: Scalar| pass.formula(to, Formula::from(1.0) / of);
    let left = Pass::new("spectrum_left").update(U, [(PER_BETA.into(), Q), (-(BETA * PER_ALPHA), U)]).dot(U, U);
    let right = Pass::new("spectrum_right").totals([UU]).formula(ALPHA, Formula::from(UU).root());
    let right = per(right, PER_ALPHA, ALPHA).update(V, [(PER_ALPHA.into(), S), (-(ALPHA * PER_BETA), V)]).dot(V, V);
    let taken = per(Pass::new("spectrum_taken").totals([VV]).formula(BETA, Formula::from(VV).root()), PER_BETA, BETA);
    Layout { scalars: 8, passes: vec![Pass::new("spectrum_begin").dot(V, V), taken, left, right] }
}

/// B so far.
pub(super) struct Bidiagonal {
    space: Box<dyn Space>,
    diagonal: Vec<f64>,
    above: Vec<f64>,
    /// The Krylov space is at its end, and B has all of A that the first vector has.
    pub exhausted: bool,
}

impl Bidiagonal {
    /// Of A from a vector x.
    pub fn new(a: &Linop, x: &Tensor) -> Result<Bidiagonal> {
        let like = |shape: &crate::dim::Shape| (shape.clone(), x.dtype());
        let (from, to) = (like(a.input()?), like(a.output()?));
        let vectors = [to.clone(), to, from.clone(), from];
        let mut space = x.device().space(&[a, &a.h()], &vectors, layout())?;
        space.set(V, x)?;
        space.pass(0)?;
        space.pass(1)?;
        Ok(Bidiagonal { space, diagonal: Vec::new(), above: Vec::new(), exhausted: false })
    }

    /// The next column.
    pub fn step(&mut self) -> Result<()> {
        self.space.apply(0, V, Q)?;
        self.space.pass(2)?;
        self.space.apply(1, U, S)?;
        self.space.pass(3)?;
        self.space.pass(1)?;
        let s = self.space.scalars()?;
        let (alpha, beta) = (s[ALPHA.0], s[BETA.0]);
        if !alpha.is_finite() || !beta.is_finite() {
            return value_err!("the operator gives NaN, infinite or overflowing values");
        }
        self.diagonal.push(alpha);
        self.above.push(beta);
        let largest = self.diagonal.iter().chain(&self.above).fold(0.0f64, |a, b| a.max(*b));
        self.exhausted |= alpha.min(beta) <= NULL * largest;
        Ok(())
    }

    pub fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// The singular values of B, the largest first.
    pub fn values(&self) -> Vec<f64> {
        let n = self.steps();
        let column = |j: usize| {
            let mut c = vec![Complex64::default(); n];
            c[j] = self.diagonal[j].into();
            if j > 0 {
                c[j - 1] = self.above[j - 1].into();
            }
            c
        };
        small::svd((0..n).map(column).collect()).values
    }
}
