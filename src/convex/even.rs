//! Whether total variation leaves an even image, which is told without any iteration.
//!
//! The best even image x = c·1 is the solution if there is a p with |p| ≤ λ and Kᴴp = Aᴴ(y − A x), K the differences. One that has the
//! right divergence is p = K φ with KᴴK φ = Aᴴ(y − A x), a Poisson equation with Neumann's conditions, which the cosine transform of
//! type II diagonalises (Strang, SIAM Review 41:135, 1999). If its largest magnitude is at most λ all is shown; if it is not, nothing is.

use super::level::Even;
use super::stage::{Looked, has_prox, is_smooth};
use super::{Method, Problem, Solved, Term, dtype};
use crate::dim::Dim;
use crate::error::Result;
use crate::functional::{Kind, combined, number, squared_norm};
use crate::linop::{self, TrigOptions};
use crate::run::Device;
use crate::solve::Stop;
use crate::tensor::{DType, Tensor};

/// Of what is to be 0, beside what it is a sum of: rounding.
const ROUNDING: f64 = 1e-3;

/// The even image, if that is shown to be the solution.
pub(super) fn solve(problem: &Problem, method: Method) -> Result<Option<Solved>> {
    // Bounds of x itself leave an even image that is even.
    let (constraints, others): (Vec<&Term>, Vec<&Term>) =
        problem.terms.iter().partition(|t| t.whole && matches!(t.functional.0, Kind::Box { .. }));
    let [term] = others.as_slice() else { return Ok(None) };
    let (Some(along), Some(k), Kind::L1 { weight, .. }) = (&term.even, &term.linop, &term.functional.0) else {
        return Ok(None);
    };
    if is_smooth(term) || has_prox(term) || problem.image.is_some() {
        return Ok(None);
    }
    let shape = problem.a.input()?.clone();
    // Beside other dims there would be an even image for each of their entries.
    if shape.dims().iter().zip(shape.extents()).any(|(dim, n)| *n > 1 && !along.contains(dim)) {
        return Ok(None);
    }
    let mut limits = [f64::NEG_INFINITY, f64::INFINITY];
    for constraint in &constraints {
        if let Kind::Box { low, high } = constraint.functional.0 {
            limits = [limits[0].max(low), limits[1].min(high)];
        }
    }
    let limits = (!constraints.is_empty()).then_some(limits);
    if limits.is_some_and(|[low, high]| low > high || dtype(problem) != DType::F32) {
        return Ok(None);
    }
    let Some(Even { unknown: x, value, residual }) = Even::nearest(problem, limits)? else { return Ok(None) };
    let mut slope = problem.a.h().apply(&residual)?;
    if let Some([low, high]) = limits {
        // A bound takes the mean of the slope where that points beyond it.
        let mean = slope.sum()?.re / shape.len() as f64;
        let at = |bound: f64| f64::from(value.re) == f64::from(number(bound));
        if (mean < 0.0 && at(low)) || (mean > 0.0 && at(high)) {
            let ones = Tensor::from_vec(shape.clone(), vec![1.0f32; shape.len()])?.to(&problem.y.device())?;
            slope = combined(&[(1.0, &slope), (-mean, &ones)])?;
        }
    }
    // Kᴴp of a pixel is a sum of two numbers an axis.
    if slope.max_abs()? > 2.0 * along.len() as f64 * weight {
        return Ok(None);
    }
    let transform = linop::dct(shape.clone(), along, TrigOptions::default())?.keep();
    let inverse = linop::diagonal(shape.clone(), &inverse_eigenvalues(&shape, along)?)?;
    let potential = (transform.h() * inverse * &transform).apply(&slope)?;
    let p = k.apply(&potential)?;
    let missing = combined(&[(1.0, &k.h().apply(&p)?), (-1.0, &slope)])?;
    let solves = squared_norm(&missing)? <= ROUNDING * ROUNDING * squared_norm(&slope)?;
    let members: usize = term.functional.group(&p)?.members;
    if !solves || largest(&p, members)? > *weight {
        return Ok(None);
    }
    let data = 0.5 * squared_norm(&residual)?;
    let misfit = (2.0 * data / squared_norm(&problem.y)?).sqrt();
    let duals = if method == Method::Fgp { vec![p] } else { Vec::new() };
    Ok(Some(Solved { duals, ..Looked { data, objective: data, misfit }.solved(x, method, 0, Stop::Converged) }))
}

/// 1 over the eigenvalues 4 Σ sin²(πk/2n) of KᴴK, and 0 for even images.
fn inverse_eigenvalues(shape: &crate::dim::Shape, along: &[Dim]) -> Result<Tensor> {
    let extents = shape.extents();
    let values = (0..shape.len()).map(|at| {
        let mut rest = at;
        let mut sum = 0.0f64;
        for (dim, n) in shape.dims().iter().zip(extents).rev() {
            let k = rest % n;
            rest /= n;
            if along.contains(dim) {
                sum += 4.0 * (std::f64::consts::PI * k as f64 / (2 * n) as f64).sin().powi(2);
            }
        }
        if at == 0 { 0.0 } else { crate::functional::number(1.0 / sum) }
    });
    Tensor::from_vec(shape.clone(), values.collect::<Vec<f32>>())
}

/// The largest magnitude over groups of so many members.
fn largest(p: &Tensor, members: usize) -> Result<f64> {
    let values = p.to(&Device::host())?.to_vec()?;
    let apart = values.len() / members;
    let square = |i: usize| (0..members).map(|m| f64::from(values[m * apart + i].norm_sqr())).sum::<f64>();
    Ok((0..apart).map(square).fold(0.0, f64::max).sqrt())
}
