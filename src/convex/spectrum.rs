//! A preconditioner for the system of ADMM with differences: diagonal in the cosine transform of type II, which diagonalises them.
//!
//! ```text
//! N + μ + ρ ΣKᴴK  ≈  Tᴴ (n(|k|) + μ + ρ l(k)) T
//! ```
//!
//! l is exact: 4 Σ sin²(πk/2n) of differences along each axis that end at the border (Strang, SIAM Review 41:135, 1999), 1 of an isometry.
//! n is the mean of T N Tᴴ's diagonal over rings of frequency, as vectors of random signs see it (Bekas, Kokiopoulou and Saad, Appl.
//! Numer. Math. 57:1214, 2007): rings have many members, so a few vectors are enough. The normal of projections falls like 1/|k|, and that
//! of a blur like its transfer function; there it saves most steps of conjugate gradients. Where n is nearly even it would save none, nor
//! of complex images: the normals of scans with coils are uneven in space as well, and a radial scan took 90 iterations instead of 20.

use super::stage::{Draft, Smooth, is_smooth};
use super::{Problem, Term};
use crate::dim::{Dim, Shape};
use crate::error::Result;
use crate::functional::number;
use crate::linop::{self, Linop, TrigOptions};
use crate::run::Device;
use crate::solve::precondition::Signs;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Map, Pass, Scalar, Space, Vector};

/// Vectors of random signs.
const PROBES: usize = 2;

/// Rings of frequency to an octave.
const RINGS: f64 = 4.0;

/// A ring has at least this part of the largest mean: what is seen of it may be chance.
const LEAST: f64 = 1e-6;

/// Unknowns up to which its tables and two more vectors are no burden.
const MOST: usize = 1 << 26;

/// The largest mean over the least from which on it is worth two transforms a step.
const UNEVEN: f64 = 8.0;

/// z = M r, in a draft.
pub(super) struct Spectrum {
    to: usize,
    back: usize,
    /// T r.
    s: Vector,
    pub z: Vector,
    divide: usize,
}

impl Spectrum {
    /// Of the system with a penalty `rho`; None where it is not known to be of use.
    pub fn draft(draft: &mut Draft, problem: &Problem, smooth: &Smooth, rho: Scalar) -> Result<Option<Spectrum>> {
        if smooth.dtype == DType::Complex32 {
            return Ok(None);
        }
        let shape = &smooth.shape;
        if shape.len() > MOST {
            return Ok(None);
        }
        let Some((along, penalty)) = penalty(problem, shape) else { return Ok(None) };
        let t = linop::dct(shape.clone(), &along, TrigOptions::default())?.keep();
        let Some(n) = means(&(&t * &smooth.linop * t.h()), &along, smooth, &problem.y.device())? else {
            return Ok(None);
        };
        let given = |draft: &mut Draft, values: Vec<f32>| -> Result<Vector> {
            Ok(draft.given(&Tensor::from_vec(shape.clone(), values)?))
        };
        let (n, l) = (given(draft, n)?, given(draft, penalty)?);
        let (s, z) = (smooth.vector(draft), smooth.vector(draft));
        let divide = Pass::new("divide").update(s, [(Formula::from(1.0f32), s)]).map(Map::Over(n, rho.into(), l));
        let divide = draft.pass(divide);
        Ok(Some(Spectrum { to: draft.operator(&t), back: draft.operator(&t.h()), s, z, divide }))
    }

    /// z = M r.
    pub fn apply(&self, space: &mut dyn Space, r: Vector) -> Result<()> {
        space.apply(self.to, r, self.s)?;
        space.pass(self.divide)?;
        space.apply(self.back, self.s, self.z)
    }
}

/// The axes of all differences, and the eigenvalues of ΣKᴴK; None where these are not known, or there are no differences.
fn penalty(problem: &Problem, shape: &Shape) -> Option<(Vec<Dim>, Vec<f32>)> {
    if problem.image.is_some() {
        return None;
    }
    let hard: Vec<&Term> = problem.terms.iter().filter(|t| !is_smooth(t)).collect();
    let mut along: Vec<Dim> = Vec::new();
    let mut ones = 0.0;
    for term in &hard {
        match &term.even {
            Some(axes) => axes
                .iter()
                .filter(|d| !along.contains(d))
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|d| along.push(d)),
            None if term.linop.is_none() || term.orthonormal || term.isometry.is_some() => ones += 1.0,
            None => return None,
        }
    }
    if along.is_empty() {
        return None;
    }
    let mut values = vec![number(ones); shape.len()];
    for axes in hard.iter().filter_map(|t| t.even.as_ref()) {
        each_frequency(shape, axes, |at, parts| {
            let sum: f64 = parts.iter().map(|f| 4.0 * (0.5 * std::f64::consts::PI * f).sin().powi(2)).sum();
            values[at] += number(sum);
        });
    }
    Some((along, values))
}

/// Calls this with each place, and its frequency along each of the axes as a part of the highest one.
fn each_frequency(shape: &Shape, axes: &[Dim], mut f: impl FnMut(usize, &[f64])) {
    let mut parts = Vec::with_capacity(axes.len());
    for at in 0..shape.len() {
        let mut rest = at;
        parts.clear();
        for (dim, n) in shape.dims().iter().zip(shape.extents()).rev() {
            if axes.contains(dim) {
                parts.push((rest % n) as f64 / *n as f64);
            }
            rest /= n;
        }
        f(at, &parts);
    }
}

/// The means of a normal's diagonal over rings, plus μ, at every place; None where they are alike.
fn means(normal: &Linop, along: &[Dim], smooth: &Smooth, device: &Device) -> Result<Option<Vec<f32>>> {
    let shape = &smooth.shape;
    let longest = shape.iter().filter(|(d, _)| along.contains(d)).map(|(_, n)| n).max().unwrap_or(1) as f64;
    let mut ring = vec![0usize; shape.len()];
    each_frequency(shape, along, |at, parts| {
        let radius = longest * parts.iter().map(|f| f * f).sum::<f64>().sqrt();
        ring[at] = if radius < 0.5 { 0 } else { 1 + (RINGS * radius.max(1.0).log2()).floor() as usize };
    });
    let count = ring.iter().max().map_or(0, |r| r + 1);
    let (mut sums, mut members) = (vec![0.0f64; count], vec![0usize; count]);
    let mut signs = Signs::new();
    for _ in 0..PROBES {
        let probe: Vec<f32> = (0..shape.len()).map(|_| signs.next()).collect();
        let v = Tensor::from_slice(shape.clone(), &probe)?.to(device)?;
        let image = normal.apply(&v)?.to(&Device::host())?.to_vec()?;
        for ((r, p), v) in ring.iter().zip(&probe).zip(&image) {
            sums[*r] += f64::from(p * v.re);
            members[*r] += 1;
        }
    }
    let mut of: Vec<f64> = sums.iter().zip(&members).map(|(s, n)| s / (*n).max(1) as f64).collect();
    let largest = of.iter().fold(0.0f64, |m, v| m.max(*v));
    if !(largest > 0.0 && largest.is_finite()) {
        return Ok(None);
    }
    of.iter_mut().for_each(|v| *v = v.max(LEAST * largest) + smooth.mu);
    // Rings of few members say little.
    let sure = of.iter().zip(&members).filter(|(_, n)| **n >= SURE).map(|(v, _)| *v);
    let (low, high) = sure.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    Ok((high >= UNEVEN * low).then(|| ring.iter().map(|r| number(of[*r])).collect()))
}

/// Members of a ring, times the vectors that see it, from which on its mean is sure.
const SURE: usize = 16;
