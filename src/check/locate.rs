//! Which entry of the matrix a failed dot test fails by.
//!
//! d(x, u) = ⟨A x, u⟩ − ⟨x, Aᴴ u⟩ is a sum over the entries of u and over those of x, so one half of them holds at least
//! half of it. Halving first u, then x, leaves one entry after log₂ of their numbers of steps.

use super::{Entry, dot, named, run};
use crate::error::Result;
use crate::linop::Linop;
use crate::run::Device;
use ndarray::ArrayD;
use num_complex::Complex32;
use std::ops::Range;

/// The entry A\[j, i\] with the largest share in the difference that halving finds.
pub(super) fn entry(
    forward: &Linop,
    adjoint: &Linop,
    device: &Device,
    x: ArrayD<Complex32>,
    u: ArrayD<Complex32>,
) -> Result<Entry> {
    let y = run(forward, &x, device)?;
    let row = halve(&u, |u| {
        let v = run(adjoint, u, device)?;
        Ok((dot(u, &y) - dot(&v, &x)).norm())
    })?;
    let e_row = unit(&u, row);
    let v = run(adjoint, &e_row, device)?;
    let column = halve(&x, |x| {
        let y = run(forward, x, device)?;
        Ok((dot(&e_row, &y) - dot(&v, x)).norm())
    })?;
    let y = run(forward, &unit(&x, column), device)?;
    let value = |a: &ArrayD<Complex32>, at: usize| a.iter().nth(at).copied().unwrap_or_default();
    let (out, inp) = (named(forward.output()?, row), named(forward.input()?, column));
    Ok(Entry {
        what: format!("the adjoint's entry for output [{out}] and input [{inp}] (conjugated)"),
        got: value(&v, column).conj(),
        expected: value(&y, row),
    })
}

/// The element that stays when the half with the larger difference is kept, again and again.
fn halve(full: &ArrayD<Complex32>, difference: impl Fn(&ArrayD<Complex32>) -> Result<f64>) -> Result<usize> {
    let mut range = 0..full.len();
    while range.len() > 1 {
        let middle = range.start + range.len() / 2;
        let (low, high) = (range.start..middle, middle..range.end);
        let of = |r: &Range<usize>| difference(&part(full, r));
        let (d_low, d_high) = (of(&low)?, of(&high)?);
        // NaN is the largest difference there is.
        let keep_high = d_high.is_nan() || (d_high > d_low && !d_low.is_nan());
        range = if keep_high { high } else { low };
    }
    Ok(range.start)
}

/// The elements of a range, zeros around.
fn part(full: &ArrayD<Complex32>, range: &Range<usize>) -> ArrayD<Complex32> {
    let mut out = ArrayD::zeros(full.raw_dim());
    for (i, (to, &from)) in out.iter_mut().zip(full).enumerate() {
        if range.contains(&i) {
            *to = from;
        }
    }
    out
}

fn unit(like: &ArrayD<Complex32>, at: usize) -> ArrayD<Complex32> {
    let mut out = ArrayD::zeros(like.raw_dim());
    if let Some(one) = out.iter_mut().nth(at) {
        *one = Complex32::new(1.0, 0.0);
    }
    out
}
