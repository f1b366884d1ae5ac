//! Functionals made of functionals: conjugates, shifts, scales, orthonormal transforms, stacks; and norms of everything.

use super::{Functional, Kind, Proximal, combined, eager, expect_weight, squared_norm};
use crate::arithmetic::Expression;
use crate::error::{Result, shape_err, value_err};
use crate::linop::{self, Linop};
use crate::tensor::Tensor;

/// λ‖v‖.
pub(super) struct Norm {
    pub weight: f64,
}

impl Proximal for Norm {
    fn name(&self) -> String {
        format!("{} * l2 norm", self.weight)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        Ok(self.weight * squared_norm(v)?.sqrt())
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let (norm, t) = (squared_norm(v)?.sqrt(), step * self.weight);
        combined(&[(if norm > t { 1.0 - t / norm } else { 0.0 }, v)])
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        Some(Functional::own(Norm { weight: self.weight * s }))
    }

    fn is_norm(&self) -> bool {
        true
    }

    fn conjugate(&self) -> Option<Functional> {
        Some(Functional::own(Ball { radius: self.weight }))
    }
}

/// ‖v‖ ≤ r.
pub(super) struct Ball {
    pub radius: f64,
}

impl Proximal for Ball {
    fn name(&self) -> String {
        format!("norm <= {}", self.radius)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        eager::indicator(v, &self.prox(v, 1.0)?)
    }

    fn prox(&self, v: &Tensor, _: f64) -> Result<Tensor> {
        let norm = squared_norm(v)?.sqrt();
        combined(&[(if norm > self.radius { self.radius / norm } else { 1.0 }, v)])
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        Some(Functional::own(Ball { radius: self.radius * s }))
    }

    fn conjugate(&self) -> Option<Functional> {
        Some(Functional::own(Norm { weight: self.radius }))
    }
}

/// f*(v) = sup_u Re⟨u, v⟩ − f(u), by Moreau's identity: prox_{t f*}(v) = v − t·prox_{f/t}(v/t).
struct Conjugate(Functional);

impl Proximal for Conjugate {
    fn name(&self) -> String {
        format!("the conjugate of {}", self.0)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        match &self.0.0 {
            Kind::Box { low, high } => support(v, *low, *high),
            // What shrinks to nothing is within the bounds.
            _ if self.0.is_norm() => eager::indicator(v, &self.prox(v, 1.0)?),
            _ => value_err!("the value of {} is not known in closed form; its prox is", self.name()),
        }
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        if step == 0.0 {
            return Ok(v.clone());
        }
        let inner = self.0.prox(&combined(&[(1.0 / step, v)])?, 1.0 / step)?;
        combined(&[(1.0, v), (-step, &inner)])
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        // (s² f(·/s))* = s² f*(·/s).
        Some(self.0.rescaled(s).conjugate())
    }
}

/// The most that Re⟨u, v⟩ is for real u between the two.
fn support(v: &Tensor, low: f64, high: f64) -> Result<f64> {
    let v = v.real()?;
    let [up, down] = [v.max()?, v.min()?];
    if (high.is_infinite() && up > 0.0) || (low.is_infinite() && down < 0.0) {
        return Ok(f64::INFINITY);
    }
    // Each half by its own bound; a half of nothing may be without one.
    let half = |bound: f64, sum: f64| if sum == 0.0 { 0.0 } else { bound * sum };
    let above = Expression::from(&v).maximum(0.0f32).sum()?.re;
    let below = Expression::from(&v).minimum(0.0f32).sum()?.re;
    Ok(half(high, above) + half(low, below))
}

/// f(v − b).
struct Shifted {
    inner: Functional,
    by: Tensor,
}

impl Proximal for Shifted {
    fn name(&self) -> String {
        format!("{}, shifted", self.inner)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        self.inner.value(&combined(&[(1.0, v), (-1.0, &self.by)])?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let moved = self.inner.prox(&combined(&[(1.0, v), (-1.0, &self.by)])?, step)?;
        combined(&[(1.0, &moved), (1.0, &self.by)])
    }
}

/// f(c·v).
struct Scaled {
    inner: Functional,
    factor: f64,
}

impl Proximal for Scaled {
    fn name(&self) -> String {
        format!("{} of {} v", self.inner, self.factor)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        self.inner.value(&combined(&[(self.factor, v)])?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let inner = self.inner.prox(&combined(&[(self.factor, v)])?, step * self.factor * self.factor)?;
        combined(&[(1.0 / self.factor, &inner)])
    }

    fn is_norm(&self) -> bool {
        self.inner.is_norm()
    }
}

/// s²·f(v/s).
pub(super) struct Rescaled {
    pub inner: Functional,
    pub s: f64,
}

impl Proximal for Rescaled {
    fn name(&self) -> String {
        self.inner.to_string()
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        Ok(self.s * self.s * self.inner.value(&combined(&[(1.0 / self.s, v)])?)?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let inner = self.inner.prox(&combined(&[(1.0 / self.s, v)])?, step)?;
        combined(&[(self.s, &inner)])
    }
}

/// f(W v) with W Wᴴ = WᴴW = 1.
struct Of {
    inner: Functional,
    transform: Linop,
}

impl Proximal for Of {
    fn name(&self) -> String {
        format!("{} of {}", self.inner, self.transform.label())
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        self.inner.value(&self.transform.apply(v)?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        self.transform.h().apply(&self.inner.prox(&self.transform.apply(v)?, step)?)
    }

    fn is_norm(&self) -> bool {
        self.inner.is_norm()
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        Some(Functional::own(Of { inner: self.inner.rescaled(s), transform: self.transform.clone() }))
    }
}

/// Σ fᵢ(part i of v): parts along the first dim.
struct Stacked {
    parts: Vec<(usize, Functional)>,
}

impl Stacked {
    /// The linops that take the parts.
    fn takes(&self, v: &Tensor) -> Result<Vec<Linop>> {
        let (first, extent) = v.shape().iter().next().map_or(("".into(), 1), |(d, n)| (d.to_string(), n));
        let whole: usize = self.parts.iter().map(|(n, _)| n).sum();
        if whole != extent {
            return shape_err!(
                "{}: the parts have {whole} entries of the first dim, {} has {extent}",
                self.name(),
                v.shape()
            );
        }
        let mut at = 0;
        let take = |(n, _): &(usize, Functional)| {
            let from = at;
            at += n;
            linop::slice(v.shape(), &[(first.as_str(), from..at)])
        };
        self.parts.iter().map(take).collect()
    }
}

impl Proximal for Stacked {
    fn name(&self) -> String {
        let names: Vec<String> = self.parts.iter().map(|(_, f)| f.to_string()).collect();
        format!("[{}]", names.join(", "))
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        let takes = self.takes(v)?;
        takes.iter().zip(&self.parts).map(|(take, (_, f))| f.value(&take.apply(v)?)).sum()
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        let mut all: Option<Tensor> = None;
        for (take, (_, f)) in self.takes(v)?.iter().zip(&self.parts) {
            let part = take.h().apply(&f.prox(&take.apply(v)?, step)?)?;
            all = Some(match all {
                Some(sum) => combined(&[(1.0, &sum), (1.0, &part)])?,
                None => part,
            });
        }
        all.map_or_else(|| Ok(v.clone()), Ok)
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        let parts = self.parts.iter().map(|(n, f)| (*n, f.rescaled(s))).collect();
        Some(Functional::own(Stacked { parts }))
    }

    fn is_norm(&self) -> bool {
        self.parts.iter().all(|(_, f)| f.is_norm())
    }
}

/// Σ fᵢ(vᵢ), where vᵢ are so many entries each along the first dim of v, in order.
///
/// ```
/// use linops::{functional::{l1, non_negative, stacked}, Tensor};
/// let f = stacked([(1, l1(1.0)?), (2, non_negative())]);
/// let v = Tensor::from_slice("P=3", &[4.0f32, -1.0, 2.0])?;
/// assert_eq!(f.prox(&v, 1.0)?.to_real_vec()?, [3.0, 0.0, 2.0]);
/// # Ok::<(), linops::Error>(())
/// ```
pub fn stacked(parts: impl IntoIterator<Item = (usize, Functional)>) -> Functional {
    Functional::own(Stacked { parts: parts.into_iter().collect() })
}

impl Functional {
    /// The convex conjugate f*, whose prox follows from that of f by Moreau's identity. The conjugate of an l1 norm is the constraint
    /// that no magnitude exceeds its weight; the value is known of the conjugates of norms, balls, boxes and squares, and not
    /// of total variations, whose prox is not exact enough to tell.
    pub fn conjugate(&self) -> Functional {
        match &self.0 {
            Kind::L1 { weight, dims, weights: None } => Functional(Kind::Bound { radius: *weight, dims: dims.clone() }),
            Kind::Bound { radius, dims } => Functional(Kind::L1 { weight: *radius, dims: dims.clone(), weights: None }),
            Kind::Squared { weight } if *weight > 0.0 => Functional(Kind::Squared { weight: 1.0 / weight }),
            Kind::Own(own) => own.conjugate().unwrap_or_else(|| Functional::own(Conjugate(self.clone()))),
            _ => Functional::own(Conjugate(self.clone())),
        }
    }

    /// f(v − b): so ½‖v − b‖², the constraint to a ball about b, the sparsity of a difference.
    pub fn shifted(&self, b: &Tensor) -> Functional {
        Functional::own(Shifted { inner: self.clone(), by: b.clone() })
    }

    /// f(c·v).
    ///
    /// # Errors
    /// The factor is 0 or not finite.
    pub fn scaled(&self, factor: f64) -> Result<Functional> {
        match factor.is_finite() && factor != 0.0 {
            true => Ok(Functional::own(Scaled { inner: self.clone(), factor })),
            false => value_err!("scaled: the factor is {factor}; expected a finite number other than 0"),
        }
    }

    /// c·f(v).
    ///
    /// # Errors
    /// The factor is negative or not finite.
    pub fn times(&self, factor: f64) -> Result<Functional> {
        let factor = expect_weight("times", factor)?;
        Ok(match &self.0 {
            Kind::L1 { weight, dims, weights } => {
                Functional(Kind::L1 { weight: weight * factor, dims: dims.clone(), weights: weights.clone() })
            }
            Kind::Squared { weight } => Functional(Kind::Squared { weight: weight * factor }),
            Kind::Bound { .. } | Kind::Box { .. } => self.clone(),
            Kind::Own(_) => Functional::own(Times { inner: self.clone(), factor }),
        })
    }

    /// f(W v) for a transform that is its own inverse's adjoint (WᴴW = W Wᴴ = 1), such as an orthonormal wavelet transform, a
    /// centred orthonormal Fourier transform, or another order of the dims: the prox is that of f between W and Wᴴ. That W is so is
    /// not looked at.
    ///
    /// ```
    /// use linops::{functional::l1, linop::{self, WaveletOptions}, Tensor};
    /// let w = linop::wavelet("N=8", "N", &WaveletOptions::default().levels(Some(1)))?;
    /// let f = l1(0.1)?.of_orthonormal(&w);
    /// assert!(f.value(&Tensor::from_slice("N=8", &[1.0f32; 8])?)? > 0.0);
    /// # Ok::<(), linops::Error>(())
    /// ```
    pub fn of_orthonormal(&self, transform: &Linop) -> Functional {
        Functional::own(Of { inner: self.clone(), transform: transform.clone() })
    }
}

/// c·f(v).
struct Times {
    inner: Functional,
    factor: f64,
}

impl Proximal for Times {
    fn name(&self) -> String {
        format!("{} * {}", self.factor, self.inner)
    }

    fn value(&self, v: &Tensor) -> Result<f64> {
        Ok(self.factor * self.inner.value(v)?)
    }

    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        self.inner.prox(v, step * self.factor)
    }

    fn is_norm(&self) -> bool {
        self.inner.is_norm()
    }

    fn rescaled(&self, s: f64) -> Option<Functional> {
        self.inner.rescaled(s).times(self.factor).ok()
    }
}
