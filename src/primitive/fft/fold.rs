//! Transforms that cancel.

use super::Fft;
use crate::access::ValueId;
use crate::error::Result;
use crate::ir::{Op, Sweep};
use num_complex::Complex64;

/// A transform after its inverse cancels, axis by axis; weights between the two that do not run along an axis don't matter
/// for that axis.
pub(super) fn after_its_inverse(f: &Fft, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>> {
    // Walk down through weights to the other transform.
    let (mut at, mut weights) = (x, Vec::new());
    let (z, other) = loop {
        let Some((op, below, _)) = s.producer(at) else { return Ok(None) };
        if let Op::Mul { weight, axes, conj } = op {
            weights.push((weight, axes, conj));
            at = below[0];
            continue;
        }
        match op.of_type::<Fft>() {
            Some(other) if other.inverse != f.inverse && other.centered == f.centered => {
                break (below[0], other.clone());
            }
            _ => return Ok(None),
        }
    };
    let cancels = |a: &usize| other.axes.contains(a) && !weights.iter().any(|(_, w, _)| w.contains(a));
    let cancelled: Vec<usize> = f.axes.iter().copied().filter(cancels).collect();
    if cancelled.is_empty() {
        return Ok(None);
    }
    let extents = s.b.extents(x).to_vec();
    let n: f64 = cancelled.iter().map(|&a| extents[a] as f64).product();
    let left = |from: &[usize]| from.iter().copied().filter(|a| !cancelled.contains(a)).collect::<Vec<_>>();
    let mut v = s.b.fft(z, &left(&other.axes), !f.inverse, f.centered, 1.0)?;
    for (weight, axes, conj) in weights.into_iter().rev() {
        v = s.b.mul(v, weight, axes, conj)?;
    }
    let v = s.b.fft(v, &left(&f.axes), f.inverse, f.centered, 1.0)?;
    s.b.scale(v, Complex64::new(f.scale * other.scale * n, 0.0)).map(Some)
}
