//! Minimisers of convex objectives as functions of what they solve.
//!
//! Where a magnitude |K x| of an l1 norm is 0 it stays 0 for small changes of the data, a number at a bound stays there, and all else
//! moves as the curvature allows. So for a change dy and dλ of the data and a weight
//!
//! ```text
//! P (AᴴA + Σ λᵢKᵢᴴDᵢKᵢ) P dx = P (Aᴴdy − Σ dλᵢ Kᵢᴴsᵢ),   s = K x/|K x|,   D d = (d − s Re⟨s, d⟩)/|K x|
//! ```
//!
//! P projects onto what keeps zeros and bounds (Vaiter, Deledalle, Fadili, Peyré and Dossal, Ann. Inst. Stat. Math. 69:791, 2017). It is
//! exact for l1 norms and bounds of x, for total variation, whose zeros join pixels to pieces that move as one (`pieces`), and for an
//! orthonormal transform alone. For other linops K it is a square of a large weight; where that lets much through, as of what
//! K hardly sees, there is no gradient. D takes real parts, so that none of this is linear over complex numbers: conjugate gradients here go by Re⟨·, ·⟩.

use super::as_dtype;
use super::pieces::{Moving, Pieces};
use crate::arithmetic::Expression;
use crate::convex::{Problem, Term};
use crate::dim::Dim;
use crate::error::{Error, Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::solve::{NormOptions, Stop, operator_norm};
use crate::tensor::Tensor;

/// The weight that keeps zeros of other linops K, times ‖AᴴA‖/‖K‖².
const STIFF: f64 = 1e4;

/// What that weight may hold of the energy of the direction, at most: else zeros are let through.
const LET_THROUGH: f64 = 1e-2;

/// Iterations after which a residual that has not fallen by this part is as small as 32-bit numbers make it.
const STILL: (usize, f64) = (200, 0.5);

/// How a gradient through a minimiser is found.
///
/// ```
/// let options = linops::derivative::ConvexGradientOptions::default().tol(1e-6).zero(1e-2);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConvexGradientOptions {
    /// Iterations of conjugate gradients, at most; 2000.
    pub iterations: usize,
    /// They end where the residual is this part of the gradient with regard to x; 1e-5.
    pub tol: f64,
    /// Magnitudes |K x| up to this part of the largest that has a weight are 0, and numbers are at a bound that are as near to it as this
    /// part of what the bounds leave, or of the farthest from the one there is; 1e-3. It is to be above what the solver leaves where the
    /// minimiser has zeros, and below all else.
    pub zero: f64,
}

impl Default for ConvexGradientOptions {
    fn default() -> Self {
        ConvexGradientOptions { iterations: 2000, tol: 1e-5, zero: 1e-3 }
    }
}

impl ConvexGradientOptions {
    fn check(&self) -> Result<()> {
        let ConvexGradientOptions { iterations, tol, zero } = *self;
        let sound = iterations > 0 && tol.is_finite() && tol > 0.0 && zero.is_finite() && (0.0..1.0).contains(&zero);
        match sound {
            true => Ok(()),
            false => value_err!(
                "convex_vjp: iterations {iterations}, tol {tol}, zero {zero}; expected at least 1, above 0, from 0 to below 1"
            ),
        }
    }
}

crate::setters::setters! { ConvexGradientOptions {
    /// With so many iterations at most.
    iterations: usize,
    /// To this residual.
    tol: f64,
    /// With zeros up to this part of the largest magnitude.
    zero: f64,
} }

/// Gradients of a loss with regard to what the minimiser x of ½‖A x − y‖² + Σ λᵢfᵢ(Kᵢ x) is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConvexGradient {
    /// With regard to y.
    pub y: Tensor,
    /// With regard to the weight λ of each term, in order; 0 of bounds, which have none. A wavelet penalty of several shifts is as many
    /// terms, each of its part of λ: the derivative with regard to that is their mean.
    pub weights: Vec<f64>,
    /// How the solve ended: gradients are as accurate as it was.
    pub stop: Stop,
    /// Inputs of A, each with the gradient of the loss with regard to what A makes of it.
    terms: [(Tensor, Tensor); 2],
}

/// Gradients through the minimiser `x` of a problem, where the gradient with regard to x is `g`: with w the solution of one more system,
/// they are A·w with regard to y and −Re⟨K w, K x/|K x|⟩ with regard to a weight; [`through`](ConvexGradient::through) gives those with
/// regard to what A is made of. They hold where small changes leave the zeros of K x and the bounds as they are, as nearly everywhere;
/// x is to be solved for well: by a tolerance of 1e-6, or where its zeros are exact (FISTA).
///
/// Terms are squares, `l1`, `weighted_l1`, `group_l1` (also as total variation and wavelets) and `boxed`. With `l1` of other linops, and of a
/// transform beside other terms, zeros are held by a large weight, and gradients are within about a percent, or refused; of total variation
/// the pieces are found on the host, through which directions go.
///
/// ```
/// use linops::{convex::{ConvexOptions, Problem}, derivative::{ConvexGradientOptions, convex_vjp}, functional::l1, linop, Tensor};
/// let y = Tensor::from_slice("N=3", &[0.1f32, 3.0, -2.0])?;
/// let problem = Problem::new(&linop::identity("N=3")?, &y)?.term(l1(0.5)?);
/// let x = problem.solve(ConvexOptions::default())?.x;
/// // L = ½‖x‖², so g = x = (0, 2.5, −1.5), and x moves with y where it is not 0.
/// let found = convex_vjp(&problem, &x, &x, ConvexGradientOptions::default())?;
/// assert!(found.y.to_real_vec()?.iter().zip([0.0, 2.5, -1.5]).all(|(g, want)| (g - want).abs() < 1e-4));
/// assert!((found.weights[0] + 4.0).abs() < 1e-3);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A functional of another kind, total generalised variation, zeros that are not held, a support of other values than 0 and 1, options that
/// make no sense, shapes that do not fit, or the device fails.
pub fn convex_vjp(problem: &Problem, x: &Tensor, g: &Tensor, options: ConvexGradientOptions) -> Result<ConvexGradient> {
    let failed = |e: Error| e.at("convex_vjp");
    options.check()?;
    if problem.has_field() {
        return value_err!("convex_vjp: tgv has a field beside x, which x does not tell; use tv");
    }
    problem.shape()?.expect(x.shape()).map_err(failed)?;
    x.shape().expect(g.shape()).map_err(|e| e.at("convex_vjp: the gradient with regard to x"))?;
    let g = as_dtype(g.clone(), x.dtype())?;
    let (a, y) = problem.data();
    let system = System::of(problem, x, options.zero).map_err(failed)?;
    let g = system.projected(&g)?;
    let (w, stop) = system.solved(&g, options).map_err(failed)?;
    system.expect_held(&w, g.dot(&w)?.re).map_err(failed)?;
    let of_y = a.apply(&w)?;
    let weights = system.terms.iter().map(|term| term.slope(&w)).collect::<Result<_>>()?;
    let misfit = (y - a.apply(x)?).eval()?;
    let terms = [(w, misfit), (x.clone(), (-&of_y).eval()?)];
    Ok(ConvexGradient { y: as_dtype(of_y, y.dtype())?, weights, stop, terms })
}

impl ConvexGradient {
    /// The gradient with regard to what A is made of, as [`LeastSquaresGradient::through`](super::LeastSquaresGradient::through) has it.
    ///
    /// # Errors
    /// Those of the function, or its results differ in shape or device.
    pub fn through(&self, mut vjp: impl FnMut(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let [first, second] = &self.terms;
        (vjp(&first.0, &first.1)? + vjp(&second.0, &second.1)?).eval()
    }
}

/// One term near x.
struct Local {
    linop: Option<Linop>,
    shape: Shaped,
}

enum Shaped {
    /// λ/2 ‖K x‖², with K x.
    Square {
        weight: f64,
        kx: Tensor,
    },
    Sizes(Box<Sizes>),
    /// 1 where x is between its bounds.
    Bounds(Tensor),
}

/// λ Σ w|K x|.
struct Sizes {
    /// s, and 0 where the magnitude is.
    directions: Tensor,
    weights: Option<Tensor>,
    curvature: Tensor,
    /// 1 where the magnitude stays 0.
    fixed: Tensor,
    /// What it costs to move these, where that is not left out.
    stiffness: Option<f32>,
    /// The sum over the members of a group; None where every number is its own.
    group: Option<Linop>,
}

impl Sizes {
    fn of(kx: &Tensor, weight: f64, dims: &[Dim], weights: Option<&Tensor>, zero: f64) -> Result<Sizes> {
        let group = (!dims.is_empty()).then(|| linop::sum(kx.shape(), dims)).transpose()?;
        let sizes = spread(group.as_ref(), &Expression::from(kx).abs_squared().eval()?)?.sqrt()?;
        let weights = weights.map(|w| w.to(&kx.device())).transpose()?;
        // What has no weight is free, and its size is no measure.
        let held = number(f64::from(u8::from(weight > 0.0)));
        let held = match &weights {
            Some(w) => (w.sign()? * held).eval()?,
            None => (Expression::from(&sizes) * 0.0 + held).eval()?,
        };
        let moves = above(&sizes, zero * (&sizes * &held).max_abs()?)?;
        let rest = || 1.0 - Expression::from(&moves);
        let fixed = rest() * &held;
        let safe = (Expression::from(&sizes) * &moves + rest()).eval()?;
        let curvature = Expression::from(&moves) * number(weight) / &safe;
        let curvature = if let Some(w) = &weights { curvature * w } else { curvature };
        Ok(Sizes {
            directions: (Expression::from(kx) * &moves / &safe).eval()?,
            curvature: curvature.eval()?,
            fixed: fixed.eval()?,
            weights,
            stiffness: None,
            group,
        })
    }

    /// 1 where a magnitude may be anything.
    fn free(&self) -> Result<Tensor> {
        (1.0 - Expression::from(&self.fixed)).eval()
    }

    fn curved(&self, kd: &Tensor) -> Result<Tensor> {
        let along = (Expression::from(&self.directions).conj() * kd).real().eval()?;
        let along = spread(self.group.as_ref(), &along)?;
        let p = (kd - &self.directions * &along) * &self.curvature;
        match self.stiffness {
            Some(stiffness) => (p + Expression::from(&self.fixed) * stiffness * kd).eval(),
            None => p.eval(),
        }
    }

    fn slope(&self, kw: &Tensor) -> Result<f64> {
        let s = Expression::from(&self.directions);
        let s = if let Some(weights) = &self.weights { s * weights } else { s };
        Ok(-s.dot(kw)?.re)
    }
}

impl Local {
    fn of(term: &Term, x: &Tensor, zero: f64) -> Result<Local> {
        let linop = term.linop.clone();
        let kx = linop.as_ref().map_or(Ok(x.clone()), |k| k.apply(x))?;
        let shape = match &term.functional.0 {
            Kind::Squared { weight } => Shaped::Square { weight: *weight, kx },
            Kind::Box { low, high } if term.whole => Shaped::Bounds(between(&kx.real()?, [*low, *high], zero)?),
            Kind::L1 { weight, dims, weights } => {
                Shaped::Sizes(Box::new(Sizes::of(&kx, *weight, dims, weights.as_ref(), zero)?))
            }
            _ => {
                return value_err!(
                    "{} has no curvature that is known; gradients are through squares, l1 norms (tv, wavelets) and bounds of x",
                    term.functional
                );
            }
        };
        Ok(Local { linop, shape })
    }

    fn forward(&self, d: &Tensor) -> Result<Tensor> {
        self.linop.as_ref().map_or(Ok(d.clone()), |k| k.apply(d))
    }

    fn back(&self, p: &Tensor) -> Result<Tensor> {
        self.linop.as_ref().map_or(Ok(p.clone()), |k| k.h().apply(p))
    }

    /// What it adds to the normal of a direction.
    fn curved(&self, d: &Tensor) -> Result<Option<Tensor>> {
        match &self.shape {
            Shaped::Bounds(_) => Ok(None),
            Shaped::Square { weight, .. } => {
                let kd = self.forward(d)?;
                self.back(&(number(*weight) * &kd).eval()?).map(Some)
            }
            Shaped::Sizes(sizes) => self.back(&sizes.curved(&self.forward(d)?)?).map(Some),
        }
    }

    /// −Re⟨K w, ∂f⟩: the slope with regard to the weight.
    fn slope(&self, w: &Tensor) -> Result<f64> {
        Ok(match &self.shape {
            Shaped::Bounds(_) => 0.0,
            Shaped::Square { kx, .. } => -self.forward(w)?.dot(kx)?.re,
            Shaped::Sizes(sizes) => sizes.slope(&self.forward(w)?)?,
        })
    }
}

/// Sums over the members of a group, for each of them.
fn spread(group: Option<&Linop>, v: &Tensor) -> Result<Tensor> {
    group.map_or(Ok(v.clone()), |sum| sum.n().apply(v))
}

/// 1 where a number is above another, else 0.
fn above(v: &Tensor, least: f64) -> Result<Tensor> {
    (Expression::from(v) - number(least)).maximum(0.0f32).sign().eval()
}

/// 1 where x is between bounds, and not at one of them.
fn between(x: &Tensor, [low, high]: [f64; 2], zero: f64) -> Result<Tensor> {
    let mut free = (Expression::from(x) * 0.0 + 1.0).eval()?;
    for (bound, inwards) in [(low, 1.0f32), (high, -1.0)] {
        if bound.is_finite() {
            let far = (inwards * (Expression::from(x) - number(bound))).eval()?;
            let most = if (high - low).is_finite() { high - low } else { far.max_abs()? };
            free = (free * above(&far, zero * most)?).eval()?;
        }
    }
    Ok(free)
}

/// What a support is of numbers like x.
fn ones_within(support: &Linop, x: &Tensor) -> Result<Tensor> {
    support.apply(&Tensor::from_vec(x.shape(), vec![1.0f32; x.shape().len()])?.to(&x.device())?)
}

/// ‖K‖², at most; 1 of 0.
fn norm_squared(k: &Linop, x: &Tensor) -> Result<f64> {
    let norm = operator_norm(k, &x.device(), NormOptions::default().dtype(x.dtype()))?.upper;
    Ok(if norm > 0.0 { norm * norm } else { 1.0 })
}

/// What the direction of x may be.
enum Tangent {
    All,
    /// Pieces of x that move as one, or not.
    Of(Moving),
    /// An orthonormal transform of x where this is 1.
    In(Linop, Tensor),
}

struct System {
    normal: Linop,
    terms: Vec<Local>,
    tangent: Tangent,
}

impl System {
    fn of(problem: &Problem, x: &Tensor, zero: f64) -> Result<System> {
        let (a, _) = problem.data();
        let mut pieces = Pieces::of(x.shape().clone());
        if let Some(support) = problem.support() {
            if !problem.selects() {
                return value_err!(
                    "the support holds other values than 0 and 1, so that x is not the solver's unknown"
                );
            }
            pieces.pin(&ones_within(support, x)?, false)?;
        }
        let mut terms = Vec::new();
        // What is known of x itself first: it may be joined whatever the order of the terms.
        let mut others = Vec::new();
        for (at, term) in problem.terms().iter().enumerate() {
            let local = Local::of(term, x, zero)?;
            let exact = match &local.shape {
                Shaped::Bounds(free) => pieces.pin(free, true).map(|()| true)?,
                Shaped::Sizes(sizes) if term.whole => pieces.pin(&sizes.free()?, false).map(|()| true)?,
                Shaped::Sizes(sizes) => {
                    term.even.as_ref().map_or(Ok(false), |along| pieces.join(&sizes.fixed, along))?
                }
                Shaped::Square { .. } => true,
            };
            if !exact {
                others.push(at);
            }
            terms.push(local);
        }
        let mut tangent = pieces.moving().map_or(Tangent::All, Tangent::Of);
        for at in others {
            let (term, Local { linop: Some(k), shape: Shaped::Sizes(sizes) }) = (&problem.terms()[at], &mut terms[at])
            else {
                continue;
            };
            match tangent {
                Tangent::All if term.orthonormal => tangent = Tangent::In(k.clone(), sizes.free()?),
                _ => {
                    let norm = term.norm.filter(|n| *n > 0.0).map_or_else(|| norm_squared(k, x), Ok)?;
                    sizes.stiffness = Some(number(STIFF * norm_squared(a, x)? / norm));
                }
            }
        }
        Ok(System { normal: a.n(), terms, tangent })
    }

    fn projected(&self, d: &Tensor) -> Result<Tensor> {
        match &self.tangent {
            Tangent::All => Ok(d.clone()),
            Tangent::Of(moving) => moving.projected(d),
            Tangent::In(k, free) => k.h().apply(&(k.apply(d)? * free).eval()?),
        }
    }

    fn apply(&self, d: &Tensor) -> Result<Tensor> {
        let mut sum = self.normal.apply(d)?;
        for term in &self.terms {
            if let Some(more) = term.curved(d)? {
                sum = (sum + more).eval()?;
            }
        }
        self.projected(&as_dtype(sum, d.dtype())?)
    }

    /// Checks that zeros that are held by a weight are held.
    fn expect_held(&self, w: &Tensor, energy: f64) -> Result<()> {
        for term in &self.terms {
            if let Shaped::Sizes(sizes) = &term.shape
                && let Some(stiffness) = sizes.stiffness
            {
                let moved = (term.forward(w)? * &sizes.fixed).norm_squared()?;
                if f64::from(stiffness) * moved > LET_THROUGH * energy {
                    return value_err!(
                        "the zeros of K x are not held well enough for a gradient, as K hardly sees what is smooth; they are exact for l1 \
                         norms of x, of one orthonormal transform without other terms, and of differences as `tv` has them"
                    );
                }
            }
        }
        Ok(())
    }

    /// Conjugate gradients by Re⟨·, ·⟩, for a right side that is projected.
    fn solved(&self, b: &Tensor, options: ConvexGradientOptions) -> Result<(Tensor, Stop)> {
        let mut x = Tensor::zeros(b.shape(), b.dtype())?.to(&b.device())?;
        let size = b.norm_squared()?;
        if size == 0.0 {
            return Ok((x, Stop::Zero));
        }
        let (mut r, mut p, mut now) = (b.clone(), b.clone(), size);
        let mut least = (0, now);
        for k in 1..=options.iterations {
            let q = self.apply(&p)?;
            let curve = p.dot(&q)?.re;
            if curve.is_nan() || curve <= 0.0 {
                // A and the terms do not see this direction.
                return Ok((x, Stop::Breakdown(crate::solve::Breakdown::NotPositive)));
            }
            let by = number(now / curve);
            x = x.axpy(by, &p)?;
            r = r.axpy(-by, &q)?;
            let before = std::mem::replace(&mut now, r.norm_squared()?);
            if now <= options.tol * options.tol * size {
                return Ok((x, Stop::Converged));
            }
            if now < STILL.1 * least.1 {
                least = (k, now);
            } else if k >= least.0 + STILL.0 {
                return Ok((x, Stop::Attained));
            }
            p = r.axpy(number(now / before), &p)?;
        }
        Ok((x, Stop::Iterations))
    }
}
