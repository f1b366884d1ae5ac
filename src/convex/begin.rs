//! Where a solve begins that is given a start, and the duals that belong to it.
//!
//! A start whose objective is above that of 0 is of no use: one in other units is, once it is as large as the objective wants it. Of a
//! start that is the solution the duals are not known; those of the least ‖ΣKᵢᴴpᵢ − (Aᴴ(y − A x) − …)‖ that the norms allow are, by
//! projected gradients with momentum, which applies the Kᵢ alone.

use super::stage::{is_smooth, penalty_norm};
use super::{Problem, dtype, largest, times_power};
use crate::error::Result;
use crate::functional::{Kind, combined, squared_norm};
use crate::tensor::Tensor;

/// Where a convex solve began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Begun {
    /// From 0, as no start was given.
    #[default]
    Zero,
    /// From the start that was given.
    Start,
    /// From the start times this: its objective was above that of 0.
    Scaled(f64),
    /// From 0: the objective of the start was above that of 0, and no multiple of it is below.
    Refused,
}

/// The problem with the start that it is to have, and what that is.
pub(super) fn chosen(problem: &Problem) -> Result<(Problem, Begun)> {
    let Some(start) = &problem.start else { return Ok((problem.clone(), Begun::Zero)) };
    let bare = Problem { start: None, ..problem.clone() };
    let size = largest(start)?;
    let Some((scaled, exponent)) = bare.scaled()? else { return Ok((problem.clone(), Begun::Start)) };
    if size == 0.0 {
        return Ok((problem.clone(), Begun::Start));
    }
    // The start is 2^own times a unit, at the scale of the data `given` times it.
    #[allow(clippy::cast_possible_truncation)]
    let own = size.log2().floor() as i32 + 1;
    let unit = times_power(start, -own)?;
    let given = f64::from(own + exponent).exp2();
    let Some(line) = Line::along(&scaled, &unit)? else { return Ok((problem.clone(), Begun::Start)) };
    if line.at(given) <= line.at(0.0) {
        return Ok((problem.clone(), Begun::Start));
    }
    let best = line.lowest();
    if best <= 0.0 || best.is_nan() {
        return Ok((bare, Begun::Refused));
    }
    let start = times_power(&combined(&[(best, &unit)])?, -exponent)?;
    Ok((Problem { start: Some(start), ..bare }, Begun::Scaled(best / given)))
}

/// The objective on the ray c·x, c ≥ 0, without constraints: ½c²·curved + c·slope + level.
struct Line {
    curved: f64,
    slope: f64,
    level: f64,
}

impl Line {
    /// None where a term is not known along the ray.
    fn along(problem: &Problem, unit: &Tensor) -> Result<Option<Line>> {
        let x = match &problem.image {
            Some(image) => image.h().apply(unit)?,
            None => unit.clone(),
        };
        let seen = problem.a.apply(&x)?;
        let level = 0.5 * squared_norm(&problem.y)?;
        let mut line = Line { curved: squared_norm(&seen)?, slope: -seen.dot(&problem.y)?.re, level };
        for term in &problem.terms {
            let value = || match &term.linop {
                Some(k) => term.functional.value(&k.apply(&x)?),
                None => term.functional.value(&x),
            };
            match &term.functional.0 {
                Kind::L1 { .. } => line.slope += value()?,
                Kind::Squared { .. } => line.curved += 2.0 * value()?,
                Kind::Bound { .. } | Kind::Box { .. } => {}
                Kind::Own(_) => return Ok(None),
            }
        }
        Ok(Some(line))
    }

    fn at(&self, c: f64) -> f64 {
        0.5 * c * c * self.curved + c * self.slope + self.level
    }

    /// Where it is least.
    fn lowest(&self) -> f64 {
        -self.slope / self.curved
    }
}

/// Projected gradients at most, and the part of what is to be met that ends them.
const STEPS: usize = 100;
const MET: f64 = 1e-4;

/// How far K x is beyond the ball of its norm where the duals begin: what is not 0 has the dual of the whole length.
const BEYOND: f64 = 1e4;

/// Duals of all terms that are no squares, which belong to the start; None without one, or where a term is no l1 norm.
pub(super) fn duals(problem: &Problem) -> Result<Option<Vec<Tensor>>> {
    let Some(x) = &problem.start else { return Ok(None) };
    let hard: Vec<_> = problem.terms.iter().filter(|t| !is_smooth(t)).collect();
    let weight = |t: &super::Term| match t.functional.0 {
        Kind::L1 { weight, .. } if weight > 0.0 => Some(weight),
        _ => None,
    };
    if hard.is_empty() || hard.iter().any(|t| weight(t).is_none()) {
        return Ok(None);
    }
    let forward = |t: &super::Term, x: &Tensor| t.linop.as_ref().map_or_else(|| Ok(x.clone()), |k| k.apply(x));
    let back = |t: &super::Term, p: &Tensor| t.linop.as_ref().map_or_else(|| Ok(p.clone()), |k| k.h().apply(p));
    // The projection onto the ball of the dual norm.
    let project = |t: &super::Term, v: &Tensor| combined(&[(1.0, v), (-1.0, &t.functional.prox(v, 1.0)?)]);
    let residual = combined(&[(1.0, &problem.y), (-1.0, &problem.a.apply(x)?)])?;
    let mut wanted = problem.a.h().apply(&residual)?;
    for term in problem.terms.iter().filter(|t| is_smooth(t)) {
        let Kind::Squared { weight } = term.functional.0 else { continue };
        wanted = combined(&[(1.0, &wanted), (-weight, &back(term, &forward(term, x)?)?)])?;
    }
    let step = 1.0 / penalty_norm(hard.iter().copied(), 0, dtype(problem), &problem.y.device())?;
    let mut p = Vec::new();
    for term in &hard {
        let kx = forward(term, x)?;
        let largest = kx.max_abs()?;
        let far = if largest > 0.0 { BEYOND * weight(term).unwrap_or(0.0) / largest } else { 0.0 };
        p.push(project(term, &combined(&[(far, &kx)])?)?);
    }
    let mut q = p.clone();
    let size = squared_norm(&wanted)?.sqrt();
    let mut momentum = 1.0f64;
    for _ in 0..STEPS {
        let mut missing = wanted.clone();
        for (term, q) in hard.iter().zip(&q) {
            missing = combined(&[(1.0, &missing), (-1.0, &back(term, q)?)])?;
        }
        if squared_norm(&missing)?.sqrt() <= MET * size {
            break;
        }
        let next = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        let beta = (momentum - 1.0) / next;
        momentum = next;
        for ((term, p), q) in hard.iter().zip(&mut p).zip(&mut q) {
            let ahead = combined(&[(1.0, &*q), (step, &forward(term, &missing)?)])?;
            let now = project(term, &ahead)?;
            *q = combined(&[(1.0 + beta, &now), (-beta, &*p)])?;
            *p = now;
        }
    }
    Ok(Some(p))
}
