//! Where a solve begins that is given a start.
//!
//! A start whose objective is above that of 0 is of no use: one in other units is, once it is as large as the objective wants it. With
//! constraints, and functionals of which that is not known on a ray, it is taken as it is.

use super::Problem;
use super::scaled::{largest, times_power, unit_exponent};
use crate::error::Result;
use crate::functional::{Kind, combined, squared_norm};
use crate::tensor::Tensor;

/// Where a convex solve began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Begun {
    /// From 0, as no start was given; or from the even image that fits best, where the mean of a picture is by far the most.
    #[default]
    Zero,
    /// From the start that was given.
    Start,
    /// From the start times this: its objective was above that of 0.
    Scaled(f64),
    /// From 0: the objective of the start was above that of 0, and no positive multiple of it is below.
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
    let own = -unit_exponent(size);
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

/// The objective on the ray c·x, c ≥ 0: ½c²·curved + c·slope + level.
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
                Kind::Bound { .. } | Kind::Box { .. } | Kind::Own(_) => return Ok(None),
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
