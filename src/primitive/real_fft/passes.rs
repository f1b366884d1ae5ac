//! The steps of a transform on a GPU: rows, the Fourier transform, rows.

use super::rows::{Matrix, Rows};
use crate::access::ValueId;
use crate::error::Result;
use crate::ir::{Builder, Lowered, Lowering, Op, Program};
use crate::plan::{GpuSide, Target};
use num_complex::Complex64;

/// C F P, where F is made for `sets` lines of values beside each other.
pub(super) struct Passes {
    before: Rows,
    after: Rows,
    sets: usize,
    /// Whether the result is the real part.
    real: bool,
}

impl Passes {
    /// Re(C F P) of real values.
    pub fn of_real(before: Matrix, after: Matrix) -> Result<Passes> {
        Ok(Passes { before: Rows::new(&before, None)?, after: Rows::new(&after, None)?, sets: 1, real: true })
    }

    /// The same real matrix of complex values: (C F P + C̄ F̄ P̄)/2, where F̄ is F read backwards. Where P or C is real one
    /// transform does for both, else there are two.
    pub fn of_complex(before: Matrix, after: Matrix) -> Result<Passes> {
        let m = before.rows.len();
        let (backwards, half) = (|p: usize| (m - p) % m, |c: Complex64| 0.5 * c);
        let (before, after, sets) = if before.is_real() {
            let row = |k: usize| {
                let both = after.rows[k].iter().flat_map(|&(p, c)| [(p, half(c)), (backwards(p), half(c.conj()))]);
                both.collect()
            };
            let after = Matrix::of(after.rows.len(), m, row);
            (before, after, 1)
        } else if after.is_real() {
            let row = |p: usize| {
                let own = before.rows[p].iter().map(|&(n, c)| (n, half(c)));
                own.chain(before.rows[backwards(p)].iter().map(|&(n, c)| (n, half(c.conj())))).collect()
            };
            (Matrix::of(m, before.extent, row), after, 1)
        } else {
            let conjugate = |p: usize| before.rows[p].iter().map(|&(n, c)| (n, c.conj())).collect();
            let both = Matrix::of(2 * m, before.extent, |p| if p < m { before.rows[p].clone() } else { conjugate(p - m) });
            let row = |k: usize| {
                let both = after.rows[k].iter().flat_map(|&(p, c)| [(p, half(c)), (m + backwards(p), half(c.conj()))]);
                both.collect()
            };
            (both, Matrix::of(after.rows.len(), 2 * m, row), 2)
        };
        Ok(Passes { before: Rows::new(&before, None)?, after: Rows::new(&after, None)?, sets, real: false })
    }

    /// Appends the steps along an axis of x.
    pub fn lower(&self, to: &mut dyn Lowering, gpu: GpuSide, x: &Lowered, axis: usize) -> Result<Lowered> {
        let z = self.before.lower(to, gpu, x, axis, false)?;
        let z = transformed(to, z, axis, self.sets, self.before.count() / self.sets)?;
        self.after.lower(to, gpu, &z, axis, self.real)
    }
}

/// (outer, sets, length, inner) around an axis.
fn lines(extents: &[usize], axis: usize, sets: usize, length: usize) -> Vec<usize> {
    vec![extents[..axis].iter().product(), sets, length, extents[axis + 1..].iter().product()]
}

/// Appends the Fourier transform of an axis that holds so many lines of this length.
pub(super) fn transformed(
    to: &mut dyn Lowering,
    z: Lowered,
    axis: usize,
    sets: usize,
    length: usize,
) -> Result<Lowered> {
    let (extents, lines) = (z.extents.clone(), lines(&z.extents, axis, sets, length));
    let y = to.program(&transform(&lines)?, &Lowered { extents: lines, ..z })?;
    Ok(Lowered { extents, ..y })
}

/// The Fourier transform along the last axis but one.
fn transform(lines: &[usize]) -> Result<Program> {
    let mut b = Builder::new(lines);
    let y = b.fft(ValueId::INPUT, &[2], false, false, 1.0)?;
    b.finish(y)
}

/// Whether a device can run the transform of this length in place of an axis.
///
/// # Errors
/// It cannot, whatever is free on the device.
pub(super) fn fits(extents: &[usize], axis: usize, length: usize, target: &Target) -> Result<()> {
    let lines = lines(extents, axis, 1, length);
    let program = transform(&lines)?;
    let primitives = program.nodes().iter().filter_map(|n| match &n.op {
        Op::Primitive(p) => Some(p),
        _ => None,
    });
    primitives.into_iter().try_for_each(|p| p.fits(&lines, target))
}
