//! The scale of a problem: solvers have its data and its linop near 1, where no square leaves the range of f32.

use super::Problem;
use crate::error::{Result, value_err};
use crate::functional::{number, squared_norm};
use crate::tensor::{HostArray, Tensor};

/// An A of a strength within 2 to the power of this is left as it is.
const FAR: i32 = 10;

impl Problem {
    /// The same with data of a size near 1, and the exponent of the power of two that they were taken times; None if all is 0.
    pub(super) fn scaled(&self) -> Result<Option<(Problem, i32)>> {
        let size = largest(&self.y)?.max(self.start.as_ref().map_or(Ok(0.0), largest)?);
        if size == 0.0 {
            return Ok(None);
        }
        let exponent = unit_exponent(size);
        let s = f64::from(exponent).exp2();
        let mut problem = self.clone();
        problem.y = times_power(&self.y, exponent)?;
        problem.start = self.start.as_ref().map(|x| times_power(x, exponent)).transpose()?;
        if let Some(duals) = &mut problem.duals {
            duals.iter_mut().try_for_each(|p| times_power(p, exponent).map(|v| *p = v))?;
        }
        for term in &mut problem.terms {
            term.functional = term.functional.rescaled(s);
        }
        Ok(Some((problem, exponent)))
    }

    /// The same for A of a strength near 1 where it is far from that, and the exponent of the power of two that x was taken times.
    pub(super) fn strengthened(self) -> Result<(Problem, i32)> {
        // Data of which A makes little say nothing of A: then it is what A makes of what comes back.
        let b = self.a.h().apply(&self.y)?;
        let (size, back) = (squared_norm(&self.y)?.sqrt(), squared_norm(&b)?.sqrt());
        let near = |strength: f64| strength.is_finite() && unit_exponent(strength).abs() <= FAR;
        if near(back / size) {
            return Ok((self, 0));
        }
        let b = times_power(&b, unit_exponent(largest(&b)?))?;
        let strength = squared_norm(&self.a.apply(&b)?)?.sqrt() / squared_norm(&b)?.sqrt();
        if !strength.is_finite() || near(strength) {
            return Ok((self, 0));
        }
        let exponent = -unit_exponent(strength);
        let s = f64::from(exponent).exp2();
        let mut problem = Problem { a: number(1.0 / s) * &self.a, ..self };
        problem.start = problem.start.map(|x| times_power(&x, exponent)).transpose()?;
        if let Some(duals) = &mut problem.duals {
            duals.iter_mut().try_for_each(|p| times_power(p, -exponent).map(|v| *p = v))?;
        }
        for term in &mut problem.terms {
            term.functional = term.functional.rescaled(s).times(s.powi(-2))?;
        }
        Ok((problem, exponent))
    }
}

/// The exponent of the power of two that brings this size near 1; 0 for 0.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn unit_exponent(size: f64) -> i32 {
    if size > 0.0 { -(size.log2().floor() as i32 + 1) } else { 0 }
}

/// The largest magnitude.
pub(super) fn largest(v: &Tensor) -> Result<f64> {
    let largest = match v.host_array() {
        Some(HostArray::F32(a)) => a.iter().fold(0.0f64, |m, v| m.max(finite(f64::from(v.abs())))),
        Some(HostArray::Complex32(a)) => {
            a.iter().fold(0.0f64, |m, v| m.max(finite(f64::from(v.re).hypot(v.im.into()))))
        }
        None => finite(v.max_abs()?),
    };
    match largest.is_finite() {
        true => Ok(largest),
        false => value_err!("the data {} hold NaN or infinity; leave such samples out by weights of 0", v.shape()),
    }
}

/// Infinity for NaN, which comparisons lose.
fn finite(v: f64) -> f64 {
    if v.is_nan() { f64::INFINITY } else { v }
}

/// v·2^exponent, in two steps: powers beyond those of f32 are there too.
pub(super) fn times_power(v: &Tensor, exponent: i32) -> Result<Tensor> {
    if exponent == 0 {
        return Ok(v.clone());
    }
    let first = exponent / 2;
    let once = crate::functional::combined(&[(f64::from(first).exp2(), v)])?;
    crate::functional::combined(&[(f64::from(exponent - first).exp2(), &once)])
}
