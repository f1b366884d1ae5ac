//! Convex functionals with proximal operators: norms, constraints, and what is made of them.
//!
//! A [`Functional`] f is known by two things: its value, and its proximal operator
//!
//! ```text
//! prox(v, t) = argmin_u  t·f(u) + ½‖u − v‖²
//! ```
//!
//! Moreau, Bull. Soc. Math. France 93:273 (1965); Parikh and Boyd, Found. Trends Optim. 1:127 (2014). The solvers of
//! [`convex`](crate::convex) take functionals as the terms of an objective. Norms of one pass run in the passes of the solver; others,
//! and those of a user's own ([`Proximal`]), are called between them.

mod compose;
mod eager;
mod low_rank;

pub use compose::stacked;
pub use low_rank::{locally_low_rank, nuclear};

use crate::dim::{Dim, Shape, ToDims, join};
use crate::error::{Result, shape_err, value_err};
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Group, Map, Vector};
use std::fmt;
use std::sync::Arc;

pub(crate) use eager::{alike, combined, squared_norm};

/// A convex functional of one's own: for [`Functional::own`]. A denoiser in the place of a proximal operator is one too.
pub trait Proximal: Send + Sync {
    /// What it is called in messages.
    fn name(&self) -> String;
    /// f(v).
    ///
    /// # Errors
    /// As the implementation has it.
    fn value(&self, v: &Tensor) -> Result<f64>;
    /// argmin_u step·f(u) + ½‖u − v‖², on the device that holds v.
    ///
    /// # Errors
    /// As the implementation has it.
    fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor>;
    /// s²·f(v/s) as a functional of v: what f becomes where all data are times s > 0.
    fn rescaled(&self, s: f64) -> Option<Functional> {
        let _ = s;
        None
    }
    /// Whether f(c·v) = |c|·f(v): the value of its conjugate is then that of a constraint, 0 or infinite.
    fn is_norm(&self) -> bool {
        false
    }
    /// The conjugate, where it is known as a functional of its own.
    fn conjugate(&self) -> Option<Functional> {
        None
    }
}

/// A convex functional with a proximal operator. Cheap to clone.
///
/// ```
/// use linops::{functional::l1, Tensor};
/// let f = l1(1.0)?;
/// let v = Tensor::from_slice("N=3", &[4.0f32, -0.5, 1.0])?;
/// assert_eq!(f.value(&v)?, 5.5);
/// assert_eq!(f.prox(&v, 1.0)?.to_real_vec()?, [3.0, 0.0, 0.0]);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone)]
pub struct Functional(pub(crate) Kind);

/// What a functional is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// λ Σ w|v|: magnitudes over the dims, which stand in front; weights for each entry, equal within a group.
    L1 {
        weight: f64,
        dims: Vec<Dim>,
        weights: Option<Tensor>,
    },
    /// The indicator of |v| ≤ r for every group.
    Bound {
        radius: f64,
        dims: Vec<Dim>,
    },
    /// λ/2 ‖v‖².
    Squared {
        weight: f64,
    },
    /// The indicator of real numbers between the two.
    Box {
        low: f64,
        high: f64,
    },
    Own(Arc<dyn Proximal>),
}

impl fmt::Debug for Functional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Functional({self})")
    }
}

impl fmt::Display for Functional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::L1 { weight, dims, .. } if dims.is_empty() => write!(f, "{weight} * l1"),
            Kind::L1 { weight, dims, .. } => write!(f, "{weight} * l1 of the magnitudes over \"{}\"", join(dims)),
            Kind::Bound { radius, .. } => write!(f, "magnitudes <= {radius}"),
            Kind::Squared { weight } => write!(f, "{weight}/2 * squares"),
            Kind::Box { low, high } => write!(f, "{low} <= v <= {high}"),
            Kind::Own(own) => f.write_str(&own.name()),
        }
    }
}

fn expect_weight(what: &str, weight: f64) -> Result<f64> {
    match weight.is_finite() && weight >= 0.0 {
        true => Ok(weight),
        false => value_err!("{what}: the weight is {weight}; expected a finite number from 0 on"),
    }
}

/// λ Σ|vᵢ|, with the magnitude of complex numbers. Its prox is soft thresholding: magnitudes less λ·step, none below 0.
///
/// # Errors
/// λ is negative or not finite.
pub fn l1(weight: f64) -> Result<Functional> {
    Ok(Functional(Kind::L1 { weight: expect_weight("l1", weight)?, dims: Vec::new(), weights: None }))
}

/// λ Σ wᵢ|vᵢ| with weights w ≥ 0 of the shape of v, such as 0 for what is not to be penalised.
///
/// ```
/// use linops::{functional::weighted_l1, Tensor};
/// let f = weighted_l1(2.0, &Tensor::from_slice("N=2", &[0.0f32, 1.0])?)?;
/// assert_eq!(f.prox(&Tensor::from_slice("N=2", &[4.0f32, 4.0])?, 0.5)?.to_real_vec()?, [4.0, 3.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; the weights are complex, negative or not finite.
pub fn weighted_l1(weight: f64, weights: &Tensor) -> Result<Functional> {
    let values =
        weights.to(&Device::host()).and_then(|w| w.to_real_vec()).map_err(|e| e.at("weighted_l1: the weights"))?;
    if let Some(w) = values.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return value_err!("weighted_l1: a weight is {w}; expected finite numbers from 0 on");
    }
    let weight = expect_weight("weighted_l1", weight)?;
    Ok(Functional(Kind::L1 { weight, dims: Vec::new(), weights: Some(weights.clone()) }))
}

/// λ Σ √Σ|v|², where the inner sum is over `dims`, which stand in front of all others in v: joint sparsity of the coils or frames
/// of an image, or the isotropic length of a [`gradient`](crate::linop::gradient). Groups shrink as a whole.
///
/// Yuan and Lin, J. R. Stat. Soc. B 68:49 (2006).
///
/// ```
/// use linops::{functional::group_l1, Tensor};
/// let v = Tensor::from_slice("C=2 N=2", &[3.0f32, 0.1, 4.0, 0.1])?;
/// let f = group_l1(1.0, "C")?;
/// assert!((f.value(&v)? - 5.0 - 0.02f64.sqrt()).abs() < 1e-6);
/// for (p, want) in f.prox(&v, 1.0)?.to_real_vec()?.iter().zip([2.4, 0.0, 3.2, 0.0]) {
///     assert!((p - want).abs() < 1e-6);
/// }
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; `dims` are no names. That they stand in front is looked at when it is used.
pub fn group_l1(weight: f64, dims: impl ToDims) -> Result<Functional> {
    let dims = dims.to_dims().map_err(|e| e.at("group_l1"))?;
    Ok(Functional(Kind::L1 { weight: expect_weight("group_l1", weight)?, dims, weights: None }))
}

/// The constraint |vᵢ| ≤ r: 0 inside and infinite outside; its prox is the nearest point inside.
///
/// # Errors
/// The radius is negative or not finite.
pub fn bounded(radius: f64) -> Result<Functional> {
    Ok(Functional(Kind::Bound { radius: expect_weight("bounded", radius)?, dims: Vec::new() }))
}

/// λ/2 ‖v‖².
///
/// # Errors
/// λ is negative or not finite.
pub fn l2_squared(weight: f64) -> Result<Functional> {
    Ok(Functional(Kind::Squared { weight: expect_weight("l2_squared", weight)? }))
}

/// λ‖v‖, the Euclidean norm itself: all of v shrinks together.
///
/// # Errors
/// λ is negative or not finite.
pub fn l2(weight: f64) -> Result<Functional> {
    Ok(Functional::own(compose::Norm { weight: expect_weight("l2", weight)? }))
}

/// The constraint ‖v − c‖ ≤ r with c = 0; [`shifted`](Functional::shifted) moves it.
///
/// # Errors
/// The radius is negative or not finite.
pub fn ball(radius: f64) -> Result<Functional> {
    Ok(Functional::own(compose::Ball { radius: expect_weight("ball", radius)? }))
}

/// The constraint that v is real and between the two.
///
/// ```
/// use linops::{functional::boxed, Tensor};
/// let v = Tensor::from_slice("N=3", &[-1.0f32, 0.5, 7.0])?;
/// assert_eq!(boxed(0.0, 1.0)?.prox(&v, 1.0)?.to_real_vec()?, [0.0, 0.5, 1.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A bound is NaN, or the lower one is above the upper one.
pub fn boxed(low: f64, high: f64) -> Result<Functional> {
    match low <= high && low < f64::INFINITY && high > f64::NEG_INFINITY {
        true => Ok(Functional(Kind::Box { low, high })),
        false => value_err!("boxed: from {low} to {high}; expected a lower and an upper bound"),
    }
}

/// The constraint that v is real and not negative.
pub fn non_negative() -> Functional {
    Functional(Kind::Box { low: 0.0, high: f64::INFINITY })
}

impl Functional {
    /// One of a user's own.
    pub fn own(proximal: impl Proximal + 'static) -> Functional {
        Functional(Kind::Own(Arc::new(proximal)))
    }

    /// f(v); infinite where v violates a constraint by more than rounding.
    ///
    /// # Errors
    /// v has not the dims that the functional names, or the device fails.
    pub fn value(&self, v: &Tensor) -> Result<f64> {
        match &self.0 {
            Kind::L1 { weight, weights, .. } => Ok(weight * eager::magnitudes(v, self.group(v)?, weights.as_ref())?),
            Kind::Squared { weight } => Ok(0.5 * weight * squared_norm(v)?),
            Kind::Bound { .. } | Kind::Box { .. } => eager::indicator(v, &self.prox(v, 1.0)?),
            Kind::Own(own) => own.value(v),
        }
    }

    /// argmin_u step·f(u) + ½‖u − v‖², on the device that holds v.
    ///
    /// # Errors
    /// The step is negative or not finite, v has not the dims that the functional names, or the device fails.
    pub fn prox(&self, v: &Tensor, step: f64) -> Result<Tensor> {
        expect_weight("prox: the step", step)?;
        match &self.0 {
            Kind::Own(own) => own.prox(v, step),
            Kind::Squared { weight } => combined(&[(1.0 / (1.0 + step * weight), v)]),
            Kind::L1 { weights, .. } => {
                eager::mapped(v, self.group(v)?, weights.as_ref(), &|w| self.map(step.into(), w))
            }
            _ => eager::mapped(v, self.group(v)?, None, &|w| self.map(step.into(), w)),
        }
    }

    fn is_norm(&self) -> bool {
        match &self.0 {
            Kind::L1 { .. } => true,
            Kind::Own(own) => own.is_norm(),
            Kind::Bound { .. } | Kind::Squared { .. } | Kind::Box { .. } => false,
        }
    }

    /// The groups that magnitudes are taken over, for values like these.
    pub(crate) fn group(&self, v: &Tensor) -> Result<Group> {
        self.group_of(v.shape(), v.dtype())
    }

    pub(crate) fn group_of(&self, shape: &Shape, dtype: DType) -> Result<Group> {
        let complex = dtype == DType::Complex32;
        let (Kind::L1 { dims, .. } | Kind::Bound { dims, .. }) = &self.0 else {
            return Ok(Group { members: 1, complex });
        };
        if shape.dims().get(..dims.len()).is_none_or(|front| front.iter().any(|d| !dims.contains(d))) {
            return shape_err!("{self}: \"{}\" must stand in front of all dims of {shape}; rearrange it", join(dims));
        }
        Ok(Group { members: shape.extents()[..dims.len()].iter().product(), complex })
    }

    /// Its prox as what is done with each number of a pass, if it is that. `weights` is the vector that holds its weights.
    pub(crate) fn map(&self, step: Formula, weights: Option<Vector>) -> Option<Map> {
        match &self.0 {
            Kind::L1 { weight, .. } => Some(Map::Shrink(step * number(*weight), weights)),
            Kind::Bound { radius, .. } => Some(Map::Ball(number(*radius).into(), None)),
            Kind::Box { low, high } => Some(Map::Clamp(number(*low), number(*high))),
            Kind::Squared { .. } | Kind::Own(_) => None,
        }
    }

    /// s²·f(v/s) as a functional of v: what f becomes where all data are times s.
    pub(crate) fn rescaled(&self, s: f64) -> Functional {
        match &self.0 {
            Kind::L1 { weight, dims, weights } => {
                Functional(Kind::L1 { weight: weight * s, dims: dims.clone(), weights: weights.clone() })
            }
            Kind::Bound { radius, dims } => Functional(Kind::Bound { radius: radius * s, dims: dims.clone() }),
            Kind::Squared { weight } => Functional(Kind::Squared { weight: *weight }),
            Kind::Box { low, high } => Functional(Kind::Box { low: low * s, high: high * s }),
            Kind::Own(own) => {
                own.rescaled(s).unwrap_or_else(|| Functional::own(compose::Rescaled { inner: self.clone(), s }))
            }
        }
    }
}

/// The kernels of blocks of low rank on a GPU, as name and WGSL, for the poorest limits and for rich ones.
///
/// # Errors
/// One cannot be written.
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub fn kernels() -> Result<Vec<(String, String)>> {
    use crate::low_rank::{Ending, kernel, room};
    use crate::shader::{GpuLimits, KernelShape};
    let mut all = Vec::new();
    for limits in [GpuLimits::poorest(KernelShape::Gpu), GpuLimits::rich()] {
        for (complex, ending) in
            [(false, Ending::Shrunk), (true, Ending::Shrunk), (false, Ending::Norms), (true, Ending::Norms)]
        {
            all.push(("low_rank".into(), kernel(complex, ending, room(&limits))?));
        }
    }
    Ok(all)
}

/// As kernels have it: no infinity.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn number(x: f64) -> f32 {
    (x as f32).clamp(-f32::MAX, f32::MAX)
}

impl From<f64> for Formula {
    fn from(x: f64) -> Formula {
        Formula::Number(number(x))
    }
}
