//! Values and proximal operators of given tensors: spaces of a pass or two.

use super::number;
use crate::error::{Error, Result};
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Group, Layout, Map, Measure, Pass, Scalar, Space, Update, Vector};

/// Relative distance to a constraint that is rounding.
const ROUNDING: f64 = 1e-6;

/// A space that holds these tensors, and as many more vectors like the first; real ones beside a complex first are weights.
fn space(tensors: &[&Tensor], more: usize, layout: Layout) -> Result<Box<dyn Space>> {
    let first = tensors[0];
    for t in tensors {
        first.shape().expect(t.shape())?;
    }
    let vectors = vec![(first.shape().clone(), first.dtype()); tensors.len() + more];
    let device = first.device();
    let mut space = device.space(&[], &vectors, layout)?;
    for (k, t) in tensors.iter().enumerate() {
        let t = if t.dtype() == first.dtype() { (*t).clone() } else { alike(t)? };
        space.set(Vector(k), &t.to(&device)?)?;
    }
    Ok(space)
}

/// Real weights for complex numbers: in both parts.
pub(crate) fn alike(weights: &Tensor) -> Result<Tensor> {
    let values = weights.to(&Device::host())?.to_real_vec()?;
    let doubled: Vec<num_complex::Complex32> = values.into_iter().map(|w| num_complex::Complex32::new(w, w)).collect();
    Tensor::from_vec(weights.shape().clone(), doubled)
}

/// The sums that a pass begins.
fn sums<const N: usize>(tensors: &[&Tensor], pass: Pass) -> Result<[f64; N]> {
    let totals: [Scalar; N] = std::array::from_fn(Scalar);
    let layout = Layout { scalars: N.max(1), passes: vec![pass, Pass::new("total").totals(totals)] };
    let mut space = space(tensors, 0, layout)?;
    space.pass(0)?;
    space.pass(1)?;
    let scalars = space.scalars()?;
    Ok(totals.map(|s| scalars[s.0]))
}

/// ‖v‖².
pub(crate) fn squared_norm(v: &Tensor) -> Result<f64> {
    Ok(sums::<1>(&[v], Pass::new("norm").dot(Vector(0), Vector(0)))?[0])
}

/// Σ w|v| over the groups.
pub(super) fn magnitudes(v: &Tensor, group: Group, weights: Option<&Tensor>) -> Result<f64> {
    let all: Vec<&Tensor> = [v].into_iter().chain(weights).collect();
    let measure = Measure::Magnitudes(Vector(0), weights.map(|_| Vector(1)));
    Ok(sums::<1>(&all, Pass::new("magnitudes").group(group).measure(measure))?[0])
}

/// 0 where the two are equal but for rounding, else infinity.
pub(super) fn indicator(v: &Tensor, nearest: &Tensor) -> Result<f64> {
    let off = squared_norm(&combined(&[(1.0, v), (-1.0, nearest)])?)?;
    Ok(if off <= ROUNDING * ROUNDING * squared_norm(v)? { 0.0 } else { f64::INFINITY })
}

/// Σ c·v, complex if any of them is; the factors must not be more than a pass binds.
pub(crate) fn combined(terms: &[(f64, &Tensor)]) -> Result<Tensor> {
    let to = Vector(terms.len());
    let update = Update {
        vector: to,
        terms: terms.iter().enumerate().map(|(k, (c, _))| (Formula::Number(number(*c)), Vector(k))).collect(),
        map: None,
    };
    let mut pass = Pass::new("combine");
    pass.updates.push(update);
    let complex = terms.iter().any(|(_, v)| v.dtype() == DType::Complex32);
    let all = terms.iter().map(|(_, v)| if complex { v.to_dtype(DType::Complex32) } else { Ok((*v).clone()) });
    let all = all.collect::<Result<Vec<Tensor>>>()?;
    let all: Vec<&Tensor> = all.iter().collect();
    let mut space = space(&all, 1, Layout { scalars: 1, passes: vec![pass] })?;
    space.pass(0)?;
    space.get(to)
}

/// A map of v. `map` is told which vector holds the weights.
pub(super) fn mapped(
    v: &Tensor,
    group: Group,
    weights: Option<&Tensor>,
    map: &dyn Fn(Option<Vector>) -> Option<Map>,
) -> Result<Tensor> {
    let all: Vec<&Tensor> = [v].into_iter().chain(weights).collect();
    let to = Vector(all.len());
    let map = map(weights.map(|_| Vector(1)))
        .ok_or_else(|| Error::Value("a functional without a map was asked for one".into()))?;
    let pass = Pass::new("prox").group(group).update(to, [(Formula::Number(1.0), Vector(0))]).map(map);
    let mut space = space(&all, 1, Layout { scalars: 1, passes: vec![pass] })?;
    space.pass(0)?;
    space.get(to)
}
