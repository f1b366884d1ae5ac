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

use super::field::{self, Blocks};
use super::regularise::CURVED;
use super::stage::{Draft, Smooth, is_smooth};
use super::{Problem, Term, dtype};
use crate::dim::{Dim, Shape};
use crate::error::Result;
use crate::functional::{alike, number};
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

/// What a normal that is even in frequency counts as beside total generalised variation, as a part of its mean: it is less where coils see
/// nothing, and there the system takes longest.
const EVEN: f64 = 0.5;

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
        let Some(Basis { t, n, l }) = basis(problem, &smooth.linop, smooth.mu)? else { return Ok(None) };
        let mut given = |values: Vec<f32>| -> Result<Vector> {
            let values = Tensor::from_vec(smooth.shape.clone(), values)?;
            Ok(draft.given(&if smooth.dtype == DType::Complex32 { alike(&values)? } else { values }))
        };
        let (n, l) = (given(n)?, given(l)?);
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

/// A basis in which the system is nearly n + ρ l.
struct Basis {
    t: Linop,
    n: Vec<f32>,
    l: Vec<f32>,
}

/// That of a problem with N + μ in its system.
fn basis(problem: &Problem, normal: &Linop, mu: f64) -> Result<Option<Basis>> {
    let (shape, real) = (problem.a.input()?, dtype(problem) == DType::F32);
    if shape.len() > MOST {
        return Ok(None);
    }
    let device = problem.y.device();
    let cosines = |shape: &Shape, along: &[Dim]| -> Result<Linop> {
        Ok(linop::dct(shape.clone(), along, TrigOptions::default())?.keep())
    };
    if let (Some(image), Some(along)) = (&problem.image, &problem.bent) {
        // A frequency of image and field has as many squares of blocks.
        if shape.len().saturating_mul(along.len() + 1) > MOST {
            return Ok(None);
        }
        // Squares of the unknown itself would be of the field as well.
        let Some(Blocks { basis, penalty }) = field::blocks(problem, CURVED.into())?.filter(|_| mu == 0.0) else {
            return Ok(None);
        };
        let (of, normal) = (image.output()?, image * normal * image.h());
        let t = cosines(of, along)?;
        let uneven = if real { means(&(&t * &normal * t.h()), along, of, 0.0, &device)? } else { None };
        let mut n = match (uneven, mean(&normal, of, &device)?) {
            (Some(n), _) => n,
            (None, Some(mean)) => vec![number(EVEN * mean); of.len()],
            (None, None) => return Ok(None),
        };
        n.resize(shape.len(), 0.0);
        return Ok(Some(Basis { t: basis, n, l: penalty }));
    }
    let Some((along, l)) = penalty(problem, shape).filter(|_| real) else { return Ok(None) };
    let t = cosines(shape, &along)?;
    let n = means(&(&t * normal * t.h()), &along, shape, mu, &device)?;
    Ok(n.map(|n| Basis { t, n, l }))
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
fn means(normal: &Linop, along: &[Dim], shape: &Shape, mu: f64, device: &Device) -> Result<Option<Vec<f32>>> {
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
    of.iter_mut().for_each(|v| *v = v.max(LEAST * largest) + mu);
    // Rings of few members say little.
    let sure = of.iter().zip(&members).filter(|(_, n)| **n >= SURE).map(|(v, _)| *v);
    let (low, high) = sure.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    Ok((high >= UNEVEN * low).then(|| ring.iter().map(|r| number(of[*r])).collect()))
}

/// The mean of a normal's diagonal, by a vector of random signs; None where it is not above 0.
fn mean(normal: &Linop, shape: &Shape, device: &Device) -> Result<Option<f64>> {
    let mut signs = Signs::new();
    let probe: Vec<f32> = (0..shape.len()).map(|_| signs.next()).collect();
    let image = normal.apply(&Tensor::from_slice(shape.clone(), &probe)?.to(device)?)?.to(&Device::host())?.to_vec()?;
    let sum: f64 = probe.iter().zip(&image).map(|(p, v)| f64::from(p * v.re)).sum();
    let mean = sum / shape.len().max(1) as f64;
    Ok((mean.is_finite() && mean > 0.0).then_some(mean))
}

/// Members of a ring, times the vectors that see it, from which on its mean is sure.
const SURE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linop::{ConvolveMode, ConvolveOptions, Geometry, diagonal};
    use crate::solve::{SolveOptions, cg, pcg};

    /// Steps of conjugate gradients for the system with this penalty, without it and with it.
    fn steps(problem: &Problem, rho: f32) -> Option<[usize; 2]> {
        let shape = problem.a.input().unwrap().clone();
        let Basis { t, n, l } = basis(problem, &problem.a.n(), 0.0).unwrap()?;
        let divide: Vec<f32> = n.iter().zip(&l).map(|(n, l)| 1.0 / (n + rho * l)).collect();
        let divide = diagonal(shape.clone(), &Tensor::from_vec(shape.clone(), divide).unwrap()).unwrap();
        let m = &t.h() * &(&divide * &t);
        let penalty = problem.terms.iter().map(|t| t.normal(&shape).unwrap() * rho);
        let h = linop::add(std::iter::once(problem.a.n()).chain(penalty)).unwrap();
        let mut signs = Signs::new();
        let b: Vec<f32> = (0..shape.len()).map(|_| signs.next()).collect();
        let b = Tensor::from_vec(shape, b).unwrap();
        let options = || SolveOptions::default().tol(1e-3).check_every(1).iterations(400);
        Some([cg(&h, &b, options()).unwrap().iterations, pcg(&h, &m, &b, options()).unwrap().iterations])
    }

    /// Where the spectrum is uneven, and for the image and the field of TGV, it is there and saves most steps; elsewhere it is not.
    #[test]
    fn it_saves_steps_where_it_is() {
        let shape = "Y=26 X=23";
        let angles: Vec<f64> = (0..40).map(|k| f64::from(k) * std::f64::consts::PI / 40.0).collect();
        let views = linop::projection(shape, "Y X", &Geometry::parallel(&angles, 36), "A D").unwrap();
        let taps = (0..81).map(|k| (-0.15 * f32::hypot((k / 9) as f32 - 4.0, (k % 9) as f32 - 4.0).powi(2)).exp());
        let taps = Tensor::from_vec("Y=9 X=9", taps.collect::<Vec<f32>>()).unwrap();
        let blur = linop::convolve(shape, &taps, "Y X", ConvolveOptions::default().mode(ConvolveMode::Full)).unwrap();
        let one = linop::identity(shape).unwrap();
        for (name, a, rho, bent, parts) in [
            ("views", &views, 1.0, false, 2),
            ("blur", &blur, 0.05, false, 4),
            ("tgv of itself", &one, 0.3, true, 2),
            ("tgv of views", &views, 1.0, true, 1),
        ] {
            let y = Tensor::zeros(a.output().unwrap().clone(), DType::F32).unwrap();
            let problem = Problem::new(a, &y).unwrap();
            let problem = if bent { problem.tgv(1.0, "Y X") } else { problem.tv(1.0, "Y X") }.unwrap();
            let [plain, with] = steps(&problem, rho).unwrap();
            println!("{name}: {plain} steps, {with} with the preconditioner");
            assert!(parts * with <= plain, "{name}: {with} of {plain}");
        }
        let y = Tensor::zeros(shape, DType::F32).unwrap();
        assert!(steps(&Problem::new(&one, &y).unwrap().tv(1.0, "Y X").unwrap(), 0.3).is_none());
        let y = Tensor::zeros(shape, DType::Complex32).unwrap();
        assert!(steps(&Problem::new(&one, &y).unwrap().tv(1.0, "Y X").unwrap(), 0.3).is_none());
    }
}
