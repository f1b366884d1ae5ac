//! Data of any scale: squares of very small or large numbers leave the range of f32.

use crate::error::{Result, value_err};
use crate::tensor::Tensor;
use crate::vectors::{Pass, Scalar, Space, Vector};

/// The pass that scales a vector into another one, in two steps, so that powers beyond f32's range are there; and begins the
/// square of its norm.
pub(super) fn scaling(from: Vector, to: Vector, [first, second]: [Scalar; 2]) -> Pass {
    Pass::new("scale").update(to, [(first.into(), from)]).update(to, [(second.into(), to)]).dot(to, to)
}

/// A vector times 2^exponent, in another one: runs the pass that [`scaling`] gives.
pub(super) fn scale(space: &mut dyn Space, pass: usize, scalars: [Scalar; 2], exponent: i32) -> Result<()> {
    let first = exponent / 2;
    space.set_scalar(scalars[0], (first as f32).exp2())?;
    space.set_scalar(scalars[1], ((exponent - first) as f32).exp2())?;
    space.pass(pass)
}

/// Brings the norm near 1 by a power of two, whose exponent is returned; norms within a million of 1 stay. None where all is 0.
/// `norm` runs the scaling and gives the norm.
fn to_unit_norm(norm: &mut dyn FnMut(i32) -> Result<f64>) -> Result<Option<i32>> {
    let mut found = norm(0)?;
    let mut exponent = 0;
    // What underflows or overflows at one scale shows at another.
    let others = if found == 0.0 { [60, 110] } else { [-60, -110] };
    for guess in others {
        if found == 0.0 || found == f64::INFINITY {
            found = norm(guess)?;
            exponent = guess;
        }
    }
    if found == 0.0 {
        return Ok(None);
    }
    if !found.is_finite() {
        return value_err!(
            "the right-hand side has the norm {found}; the data hold NaN, infinite or overflowing values"
        );
    }
    if exponent != 0 || !(1e-6..1e6).contains(&found) {
        exponent -= found.log2().round() as i32;
        norm(exponent)?;
    }
    Ok(Some(exponent))
}
/// Asks for the norm of a vector as it is, which [`near_one`] then begins with.
pub(super) fn ask_norm(space: &mut dyn Space, [scaled, total]: [usize; 2], scales: [Scalar; 2]) -> Result<()> {
    scale(space, scaled, scales, 0)?;
    space.pass(total)
}

/// Brings a vector near the norm 1, whose norm was [asked for](ask_norm), by the pass that scales it, and the one that totals its
/// square; the exponent and the norm.
pub(super) fn near_one(
    space: &mut dyn Space,
    [scaled, total]: [usize; 2],
    scales: [Scalar; 2],
    square: Scalar,
) -> Result<Option<(i32, f64)>> {
    let mut found = 0.0;
    let mut asked = true;
    let mut norm = |exponent: i32| -> Result<f64> {
        if !std::mem::take(&mut asked) {
            scale(space, scaled, scales, exponent)?;
            space.pass(total)?;
        }
        found = space.scalars()?[square.0].sqrt();
        Ok(found)
    };
    let exponent = to_unit_norm(&mut norm)?;
    Ok(exponent.map(|e| (e, found)))
}

/// A copy of a vector times 2^exponent, by the pass that scales it into `scratch`.
pub(super) fn times_power(
    space: &mut dyn Space,
    vector: Vector,
    (pass, scratch): (usize, Vector),
    scales: [Scalar; 2],
    exponent: i32,
) -> Result<Tensor> {
    if exponent == 0 {
        return space.get(vector);
    }
    scale(space, pass, scales, exponent)?;
    space.get(scratch)
}
