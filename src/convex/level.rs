//! The even image that is nearest to the data, taken out of a problem whose terms do not see it.
//!
//! Differences of an even image c·1 are 0, as are details of wavelets. So with x = c·1 + z the terms are those of z, and the data term is that of
//! y − c A1. Of z nothing is large but what the terms weigh: the way to it is shorter than to x, and what is left of it (`balance`) is
//! no part of an offset of detectors.

use super::scaled::largest;
use super::stage::Looked;
use super::{Method, Problem, Solved, dtype};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::functional::{Functional, Kind, combined, number, squared_norm};
use crate::solve::Stop;
use crate::tensor::{DType, Tensor};
use num_complex::Complex32;

/// ‖y − c A1‖/‖y‖, at most: an even image that is not so much larger than the rest is left where it is.
const LEFT: f64 = 0.125;

/// The largest of what is left beside the largest of the data, where that is rounding: five units in the last place.
const ROUNDING: f64 = 3e-7;

/// What is left of x is told by its size (`balance`), of pictures that are not without a mean: of the rest it counts as so much more.
const FARTHER: f64 = 8.0;

/// An even image of the solver's unknown, and what of the data it leaves.
pub(super) struct Even {
    pub unknown: Tensor,
    pub value: Complex32,
    /// y − A x.
    pub residual: Tensor,
}

impl Even {
    /// The nearest to the data whose value lies between the two, if they are given; None where A sees none.
    pub fn nearest(problem: &Problem, between: Option<[f64; 2]>) -> Result<Option<Even>> {
        let shape = problem.shape()?.clone();
        let device = problem.y.device();
        let image = |c: Complex32| -> Result<Tensor> {
            let x = match dtype(problem) {
                DType::F32 => Tensor::from_vec(shape.clone(), vec![c.re; shape.len()])?,
                DType::Complex32 => Tensor::from_vec(shape.clone(), vec![c; shape.len()])?,
            };
            let x = x.to(&device)?;
            problem.image.as_ref().map_or(Ok(x.clone()), |image| image.h().apply(&x))
        };
        let seen = problem.a.apply(&image(Complex32::from(1.0))?)?;
        let square = squared_norm(&seen)?;
        if square == 0.0 {
            return Ok(None);
        }
        let c = seen.dot(&problem.y)? / square;
        let value = match between {
            Some([low, high]) => Complex32::from(number(c.re.clamp(low, high))),
            None => Complex32::new(number(c.re), number(c.im)),
        };
        let unknown = image(value)?;
        let residual = combined(&[(1.0, &problem.y), (-1.0, &problem.a.apply(&unknown)?)])?;
        Ok(Some(Even { unknown, value, residual }))
    }
}

/// What was taken out.
pub(super) struct Level {
    /// The even image, as x has it.
    image: Tensor,
    left: f64,
    /// ‖Aᴴ(y − c A1)‖/‖Aᴴy‖.
    slope: f64,
    /// Whether the rest is rounding.
    all: bool,
}

impl Level {
    /// The problem without its even image; as it was where a term would notice, or where there is little of it.
    pub fn taken(problem: Problem) -> Result<(Problem, Option<Level>)> {
        let Some(limits) = limits(&problem) else { return Ok((problem, None)) };
        let size = squared_norm(&problem.y)?;
        let Some(Even { unknown, value, residual }) = Even::nearest(&problem, limits)? else {
            return Ok((problem, None));
        };
        let left = squared_norm(&residual)? / size;
        if left.is_nan() || left.sqrt() > LEFT {
            return Ok((problem, None));
        }
        let all = largest(&residual)? <= ROUNDING * largest(&problem.y)?;
        let slope = |y: &Tensor| Ok::<_, Error>(squared_norm(&problem.a.h().apply(y)?)?.sqrt());
        let slope = slope(&residual)? / slope(&problem.y)?;
        let image = problem.image.as_ref().map_or(Ok(unknown.clone()), |image| image.apply(&unknown))?;
        let start = problem.start.as_ref().map(|x| combined(&[(1.0, x), (-1.0, &image)])).transpose()?;
        let mut problem = Problem { y: residual, start, farther: FARTHER, ..problem };
        for term in &mut problem.terms {
            if let Kind::Box { low, high } = term.functional.0 {
                let by = f64::from(value.re);
                term.functional = Functional(Kind::Box { low: low - by, high: high - by });
            }
        }
        Ok((problem, Some(Level { image, left: left.sqrt(), slope, all })))
    }

    /// Whether nothing but rounding is left: the even image is the solution.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// z = 0 as the solution of the problem that has what is left, and duals that are 0.
    pub fn solved(rest: &Problem, method: Method) -> Result<Solved> {
        let device = rest.y.device();
        let zeros = |shape: &Shape| Tensor::zeros(shape.clone(), dtype(rest))?.to(&device);
        let data = 0.5 * squared_norm(&rest.y)?;
        let looked = Looked { data, objective: data, misfit: 1.0 };
        let duals = match method {
            Method::Fgp => {
                rest.terms.iter().filter_map(|t| t.linop.as_ref()).map(|k| zeros(k.output()?)).collect::<Result<_>>()?
            }
            _ => Vec::new(),
        };
        Ok(Solved { duals, ..looked.solved(zeros(rest.a.input()?)?, method, 0, Stop::Converged) })
    }

    /// x of a z.
    pub fn added(&self, z: &Tensor) -> Result<Tensor> {
        combined(&[(1.0, z), (1.0, &self.image)])
    }

    /// ‖y − c A1‖/‖y‖.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// ‖Aᴴ(y − c A1)‖/‖Aᴴy‖.
    pub fn slope(&self) -> f64 {
        self.slope
    }
}

/// The values that constraints of x itself leave an even image, if there are any; None where a term sees it.
fn limits(problem: &Problem) -> Option<Option<[f64; 2]>> {
    if problem.terms.is_empty() || (problem.image.is_some() && problem.bent.is_none()) {
        return None;
    }
    let mut limits: Option<[f64; 2]> = None;
    for term in &problem.terms {
        match term.functional.0 {
            _ if term.blind => {}
            Kind::Box { low, high } if term.whole => {
                let [l, h] = limits.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
                let (low, high) = (low.max(l), high.min(h));
                limits = (low <= high).then_some([low, high]);
                limits?;
            }
            _ => return None,
        }
    }
    Some(limits)
}
