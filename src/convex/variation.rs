//! Total variation, and total generalised variation, as functionals: what other solvers, and algorithms of a user's own, call.
//!
//! A [`Problem`] has them as terms, whose linops its solver sees; that is faster than a prox, which solves a problem of its own.

use super::regularise::first;
use super::{ConvexOptions, Problem};
use crate::arithmetic::Expression;
use crate::dim::{Dim, Shape, ToDims, join};
use crate::error::Result;
use crate::functional::{Functional, Proximal, combined, group_l1};
use crate::linop::{self, GradientOptions, Linop};
use crate::tensor::Tensor;

/// Iterations of a prox, and of the value of total generalised variation, at most.
const MOST: usize = 2000;
/// How far from its least the objective of a prox may be, as a part of it.
const EXACT: f64 = 1e-6;
/// The same of the value of total generalised variation.
const NEAR: f64 = 1e-4;
/// A value below this part of total variation is none.
const NOTHING: f64 = 1e-5;
/// Iterations of a value between two looks.
const LOOK_EVERY: usize = 20;

/// λ TV(v), the [total variation](Problem::tv) along the dims of `axes`. Its prox is the denoising of v, solved by its dual until the
/// gap is 1e-6 of the objective, or 2000 iterations are done.
///
/// ```
/// use linops::{convex, Tensor};
/// let f = convex::tv(0.5, "N")?;
/// let v = Tensor::from_slice("N=4", &[0.0f32, 0.0, 4.0, 4.0])?;
/// assert_eq!(f.value(&v)?, 2.0);
/// // A step keeps its place; each side moves by λ over its length.
/// for (p, want) in f.prox(&v, 1.0)?.to_real_vec()?.iter().zip([0.25, 0.25, 3.75, 3.75]) {
///     assert!((p - want).abs() < 1e-3);
/// }
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; `axes` are no names. That v has these dims is looked at when it is used.
pub fn tv(weight: f64, axes: impl ToDims) -> Result<Functional> {
    let axes = axes.to_dims().map_err(|e| e.at("tv"))?;
    group_l1(weight, "D").map_err(|e| e.at("tv"))?;
    Ok(Functional::own(Total { weight, axes, bent: false }))
}

/// λ TGV²(v), the [total generalised variation](Problem::tgv) of second order along the dims of `axes`, α₀ = 2α₁. Its prox is the
/// denoising of v, to within 1e-5 of its objective, and its value the least over all fields, to within 1e-4 of it; or after 2000
/// iterations.
///
/// ```
/// use linops::{convex, Tensor};
/// // A slope costs nothing but at its end, behind which there is no difference.
/// let slope = Tensor::from_slice("N=4", &[0.0f32, 1.0, 2.0, 3.0])?;
/// assert!((convex::tgv(1.0, "N")?.value(&slope)? - 1.0).abs() < 1e-3);
/// assert_eq!(convex::tv(1.0, "N")?.value(&slope)?, 3.0);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`tv`].
pub fn tgv(weight: f64, axes: impl ToDims) -> Result<Functional> {
    let axes = axes.to_dims().map_err(|e| e.at("tgv"))?;
    group_l1(weight, "D").map_err(|e| e.at("tgv"))?;
    Ok(Functional::own(Total { weight, axes, bent: true }))
}

/// λ TV or λ TGV along some dims.
struct Total {
    weight: f64,
    axes: Vec<Dim>,
    bent: bool,
}

impl Total {
    fn gradient(&self, shape: &Shape) -> Result<Linop> {
        linop::gradient(shape.clone(), &self.axes, GradientOptions::default())
    }

    /// λ Σ|g|, over the first dim.
    fn length(&self, g: &Tensor, times: f64) -> Result<f64> {
        group_l1(times * self.weight, g.shape().dims()[0].to_string().as_str())?.value(g)
    }
}

impl Proximal for Total {
    fn name(&self) -> String {
        format!("{} * {} along \"{}\"", self.weight, if self.bent { "tgv" } else { "tv" }, join(&self.axes))
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        let g = self.gradient(v.shape())?.apply(v)?;
        if !self.bent || self.weight == 0.0 {
            return self.length(&g, 1.0);
        }
        let strain = linop::symmetrised_gradient(g.shape(), &self.axes, GradientOptions::default().ahead(false))?;
        // In units of the steepest place.
        let size = g.max_abs()?;
        if size == 0.0 {
            return Ok(0.0);
        }
        Ok(self.weight * size * bent(&combined(&[(1.0 / size, &g)])?, &strain)?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let problem = Problem::new(&linop::identity(v.shape())?, v)?;
        let problem = match self.bent {
            false => problem.tv(self.weight * step, &self.axes)?,
            true => problem.tgv(self.weight * step, &self.axes)?,
        };
        Ok(problem.solve(ConvexOptions::default().iterations(MOST).tol(EXACT).norm(Some(1.0)))?.x)
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        Some(Functional::own(Total { weight: self.weight * s, axes: self.axes.clone(), bent: self.bent }))
    }
}

/// min over fields w of Σ|g − w| + 2Σ|E w|: primal and dual steps (Chambolle and Pock, J. Math. Imaging Vis. 40:120, 2011). Of duals
/// p of the first term and q of the second, p = Eᴴq leaves ⟨p, g⟩ below the least value.
fn bent(g: &Tensor, strain: &Linop) -> Result<f64> {
    const CURVED: f64 = 2.0;
    let (near, curved) = (group_l1(1.0, first(strain)?.as_str())?, group_l1(CURVED, first(strain)?.as_str())?);
    let (within, within_curved) = (near.conjugate(), curved.conjugate());
    // ‖[1; E]‖², where each difference has at most 4 times the square of its field.
    let norm = 1.0 + 4.0 * strain.input()?.extents()[0] as f64;
    let step = 1.0 / norm.sqrt();
    let mut w = g.clone();
    let mut ahead = w.clone();
    let mut p = Tensor::zeros(g.shape(), g.dtype())?.to(&g.device())?;
    let mut q = strain.apply(&p)?;
    // Fields that are 0, and that follow the gradient. What is as good as even is.
    let nothing = NOTHING * near.value(g)?;
    let mut least = near.value(g)?.min(curved.value(&strain.apply(g)?)?);
    for k in 1..=MOST {
        p = within.prox(&combined(&[(1.0, &p), (-step, g), (step, &ahead)])?, 1.0)?;
        q = within_curved.prox(&combined(&[(1.0, &q), (step, &strain.apply(&ahead)?)])?, 1.0)?;
        let back = strain.h().apply(&q)?;
        let next = combined(&[(1.0, &w), (-step, &p), (-step, &back)])?;
        ahead = combined(&[(2.0, &next), (-1.0, &w)])?;
        w = next;
        if !k.is_multiple_of(LOOK_EVERY) {
            continue;
        }
        let value = near.value(&combined(&[(1.0, g), (-1.0, &w)])?)? + curved.value(&strain.apply(&w)?)?;
        least = if value.is_finite() { least.min(value) } else { value };
        // The dual, as long as it may be.
        let longest = longest(&back)?;
        let below = back.dot(g)?.re.abs() / longest.max(1.0);
        if !value.is_finite() || least - below <= (NEAR * least).max(nothing) {
            break;
        }
    }
    Ok(least)
}

/// The largest magnitude over the first dim.
fn longest(v: &Tensor) -> Result<f64> {
    let squares = linop::sum(v.shape(), v.shape().dims()[0].to_string().as_str())?
        .apply(&Expression::from(v).abs_squared().eval()?)?;
    Ok(squares.max()?.sqrt())
}
