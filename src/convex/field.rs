//! A preconditioner for the system of ADMM with total generalised variation, whose unknown is an image x and a field v.
//!
//! ```text
//! ⎡N + ρDᴴD       −ρDᴴ     ⎤
//! ⎣ −ρD      ρ(1 + c²EᴴE)  ⎦
//! ```
//!
//! The differences D take cosines along an axis to sines, which the field's entry along that axis is made of: x in cosines of type II,
//! entry i of v in sines of type I along axis i and in cosines along the others, and its last row, which D x does not reach, for itself.
//! There the system is a small block for each frequency, but for what E does at the border and for N. With d = 2 sin(πk/2n), l = (dᵢ) and
//!
//! ```text
//! L = 1 + c²EᴴE,   Lᵢᵢ = 1 + c²(dᵢ² + ½Σⱼdⱼ²),   Lᵢⱼ = ½c² dᵢdⱼ cos(πkᵢ/nᵢ) cos(πkⱼ/nⱼ)
//! ```
//!
//! (the mean of both signs of the frequencies, which E's mixed entry tells apart), its inverse is Uᴴ diag(1/(n + ρσ), 1/ρ) U with
//!
//! ```text
//! U = ⎡1  −(L⁻¹l)ᴴ⎤    σ = |l|² − lᴴL⁻¹l,   L = C Cᴴ
//!     ⎣0     C⁻¹  ⎦
//! ```
//!
//! by elimination of the field: so one pass divides, whatever the penalty, as for a single field.

use super::Problem;
use super::stage::is_smooth;
use crate::dim::{Dim, Shape};
use crate::error::Result;
use crate::functional::number;
use crate::linop::{self, Linop, TrigOptions, TrigType};
use crate::tensor::Tensor;
use std::f64::consts::PI;

/// What the system is in its basis.
pub(super) struct Blocks {
    /// U T, from the unknown to its own shape.
    pub basis: Linop,
    /// What the penalty is times: σ of the image, which stands first, 1 of the field.
    pub penalty: Vec<f32>,
}

/// Of a problem whose terms are those of TGV and such of the image alone; None where they are others.
pub(super) fn blocks(problem: &Problem, curved: f64) -> Result<Option<Blocks>> {
    let Some(axes) = &problem.bent else { return Ok(None) };
    let shape = problem.a.input()?.clone();
    let hard: Vec<_> = problem.terms.iter().filter(|t| !is_smooth(t)).collect();
    let pixels = hard.iter().filter(|t| t.pixels).count();
    let extents: Vec<usize> = axes.iter().map(|d| shape.size(*d).unwrap_or(1)).collect();
    if hard.len() != pixels + 2 || extents.iter().any(|n| *n < 2) {
        return Ok(None);
    }
    let (weights, sigma) = eliminated(&shape, axes, curved, pixels as f64)?;
    let dims: Vec<Dim> = weights.shape().dims()[..1].iter().chain(&shape.dims()[1..]).copied().collect();
    let u = linop::dense(shape.clone(), &weights, &dims)?;
    let basis = &u.out(shape.dims())? * &transform(&shape, axes)?;
    let image = shape.len() / (axes.len() + 1);
    let mut penalty = vec![1.0f32; shape.len()];
    let places = places(&shape, axes);
    penalty.iter_mut().take(image).enumerate().for_each(|(at, l)| *l = sigma[places[at]]);
    Ok(Some(Blocks { basis, penalty }))
}

/// T: cosines of the image; of the field sines along each entry's own axis, cosines along the others.
fn transform(shape: &Shape, axes: &[Dim]) -> Result<Linop> {
    let front = shape.dims()[0].to_string();
    let mut extents = shape.extents().to_vec();
    extents[0] = 1;
    let one = Shape::new(shape.dims().to_vec(), extents)?;
    let mut parts = vec![linop::dct(one.clone(), axes, TrigOptions::default())?.keep()];
    for own in axes {
        let n = one.size(*own).unwrap_or(1);
        let name = own.to_string();
        let last = linop::slice(one.clone(), &[(name.as_str(), n - 1..n)])?.keep();
        let rest = linop::slice(one.clone(), &[(name.as_str(), 0..n - 1)])?.keep();
        let sines = linop::dst(rest.output()?.clone(), *own, TrigOptions::default().kind(TrigType::I))?.keep();
        let along = linop::concat([&last, &(&sines * &rest)], None, Some(name.as_str()))?;
        let others: Vec<Dim> = axes.iter().filter(|d| *d != own).copied().collect();
        parts.push(match others.as_slice() {
            [] => along,
            _ => &along * &linop::dct(one.clone(), &others, TrigOptions::default())?.keep(),
        });
    }
    linop::concat(&parts, Some(front.as_str()), Some(front.as_str()))
}

/// The place in the grid of the axes alone, in the shape's order, of each pixel.
fn places(shape: &Shape, axes: &[Dim]) -> Vec<usize> {
    let count = shape.extents()[1..].iter().product();
    let each = |at: usize| {
        let (mut rest, mut place, mut stride) = (at, 0, 1);
        for (dim, n) in shape.dims()[1..].iter().zip(&shape.extents()[1..]).rev() {
            if axes.contains(dim) {
                place += rest % n * stride;
                stride *= n;
            }
            rest /= n;
        }
        place
    };
    (0..count).map(each).collect()
}

/// U (out, in, frequencies), in along the shape's first dim; and σ.
fn eliminated(shape: &Shape, axes: &[Dim], curved: f64, ones: f64) -> Result<(Tensor, Vec<f32>)> {
    // The axes as they stand in the shape, and which entry of the field is along each.
    let stand: Vec<(Dim, usize)> = shape.iter().skip(1).filter(|(d, _)| axes.contains(d)).collect();
    let entry = |d: Dim| axes.iter().position(|a| *a == d).unwrap_or(0);
    let (count, d) = (stand.iter().map(|(_, n)| n).product::<usize>(), axes.len());
    let side = d + 1;
    let mut u = vec![0.0f32; side * side * count];
    let mut sigma = vec![0.0f32; count];
    let mut l = vec![0.0f64; d];
    let mut cos = vec![0.0f64; d];
    for at in 0..count {
        let mut rest = at;
        for (dim, n) in stand.iter().rev() {
            let angle = PI * (rest % n) as f64 / *n as f64;
            (l[entry(*dim)], cos[entry(*dim)]) = (2.0 * (0.5 * angle).sin(), angle.cos());
            rest /= n;
        }
        let c2 = curved * curved;
        let all: f64 = l.iter().map(|l| l * l).sum();
        let of = |i: usize, j: usize| match i == j {
            // The last row of an entry is where no sine is.
            true => 1.0 + c2 * (if l[i] == 0.0 { 1.0 } else { l[i] * l[i] } + 0.5 * (all - l[i] * l[i])),
            false => 0.5 * c2 * l[i] * l[j] * cos[i] * cos[j],
        };
        let inverse = inverse_cholesky(d, &of);
        // C⁻¹ l, and L⁻¹ l.
        let half: Vec<f64> = (0..d).map(|i| (0..=i).map(|j| inverse[i * d + j] * l[j]).sum()).collect();
        let w = |j: usize| -> f64 { (j..d).map(|i| inverse[i * d + j] * half[i]).sum() };
        let mut set = |row: usize, column: usize, v: f64| u[(row * side + column) * count + at] = number(v);
        set(0, 0, 1.0);
        for i in 0..d {
            set(0, i + 1, -w(i));
            (0..=i).for_each(|j| set(i + 1, j + 1, inverse[i * d + j]));
        }
        sigma[at] = number((all - half.iter().map(|h| h * h).sum::<f64>()).max(0.0) + ones);
    }
    let mut dims = vec![shape.dims()[0].next_unused(shape.dims()), shape.dims()[0]];
    dims.extend(stand.iter().map(|(d, _)| *d));
    let mut extents = vec![side, side];
    extents.extend(stand.iter().map(|(_, n)| *n));
    Ok((Tensor::from_vec(Shape::new(dims, extents)?, u)?, sigma))
}

/// C⁻¹ of a positive definite matrix C Cᴴ of d rows.
fn inverse_cholesky(d: usize, of: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut c = vec![0.0f64; d * d];
    for i in 0..d {
        for j in 0..=i {
            let rest = of(i, j) - (0..j).map(|k| c[i * d + k] * c[j * d + k]).sum::<f64>();
            c[i * d + j] = if i == j { rest.sqrt() } else { rest / c[j * d + j] };
        }
    }
    let mut inverse = vec![0.0f64; d * d];
    for j in 0..d {
        inverse[j * d + j] = 1.0 / c[j * d + j];
        for i in j + 1..d {
            let sum: f64 = (j..i).map(|k| c[i * d + k] * inverse[k * d + j]).sum();
            inverse[i * d + j] = -sum / c[i * d + i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    /// Away from the border M is the inverse of the system: H M H is near H, for axes of unlike extents and in any order.
    #[test]
    fn it_is_nearly_the_inverse_of_the_system() {
        for axes in ["Y X", "X Y", "X"] {
            let a = linop::identity("Y=14 X=11").unwrap();
            let y = Tensor::zeros("Y=14 X=11", DType::F32).unwrap();
            let problem = Problem::new(&a, &y).unwrap().tgv(1.0, axes).unwrap();
            let blocks = blocks(&problem, f64::from(super::super::regularise::CURVED)).unwrap().unwrap();
            let shape = problem.a.input().unwrap().clone();
            let (rho, image) = (0.3f32, 154);
            let count = shape.len();
            let divide = |at: usize| 1.0 / (if at < image { 1.0 } else { 0.0 } + rho * blocks.penalty[at]);
            let divide: Vec<f32> = (0..count).map(divide).collect();
            let divide = linop::diagonal(shape.clone(), &Tensor::from_vec(shape.clone(), divide).unwrap()).unwrap();
            let divide = divide.out(blocks.basis.output().unwrap().dims()).unwrap();
            let m = &blocks.basis.h() * &(&divide * &blocks.basis);
            let [bend, curve] = [0, 1].map(|k| problem.terms[k].linop.clone().unwrap().n());
            let h = linop::add(vec![problem.a.n(), &bend * rho, &curve * rho]).unwrap();
            // Steps of conjugate gradients that bring the system's residual to 10⁻³, with and without it.
            let b: Vec<f32> = (0..count).map(|k| ((k * k * 31 + 7 * k) % 101) as f32 / 50.0 - 1.0).collect();
            let b = Tensor::from_vec(shape.clone(), b).unwrap();
            let options = || crate::solve::SolveOptions::default().tol(1e-3).check_every(1).iterations(200);
            let plain = crate::solve::cg(&h, &b, options()).unwrap().iterations;
            let with = crate::solve::pcg(&h, &m, &b, options()).unwrap().iterations;
            println!("{axes}: {plain} steps, {with} with the preconditioner");
            assert!(2 * with <= plain, "{axes}: {with} of {plain}");
        }
    }
}
