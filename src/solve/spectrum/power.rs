//! Power iteration.

use super::{Random, near_one};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Device;
use crate::solve::{SolveOptions, Stop};
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Layout, Pass, Scalar, Vector};

const V: Vector = Vector(0);
const Q: Vector = Vector(1);
/// N v − θ v.
const S: Vector = Vector(2);

/// θ = ⟨v, N v⟩, and squares.
const VQ: Scalar = Scalar(0);
const QQ: Scalar = Scalar(1);
const SS: Scalar = Scalar(2);
const NORM: Scalar = Scalar(3);

pub(super) fn layout() -> Layout {
    let one = || Formula::from(1.0);
    let passes = vec![
        Pass::new("power_begin").update(Q, [(one(), V)]).dot(Q, Q),
        Pass::new("power_first").totals([QQ]).formula(NORM, Formula::from(QQ).root()).update(V, [(one() / NORM, Q)]),
        Pass::new("power_curve").dot(V, Q).dot(Q, Q),
        Pass::new("power_rest").totals([VQ, QQ]).update(S, [(one(), Q), (-Formula::from(VQ), V)]).dot(S, S),
        Pass::new("power_turn").totals([SS]).formula(NORM, Formula::from(QQ).root()).update(V, [(one() / NORM, Q)]),
    ];
    Layout { scalars: 6, passes }
}

/// An eigenpair by power iteration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Power {
    /// The eigenvalue of largest size, with its sign.
    pub value: f64,
    /// Its unit eigenvector.
    pub vector: Tensor,
    /// ‖N v − θ v‖: an eigenvalue of a Hermitian N lies so close to the value.
    pub bound: f64,
    /// Iterations done, an apply each.
    pub iterations: usize,
    /// [`Stop::Converged`] when the bound is at most the tolerance times the value.
    pub stop: Stop,
}

/// The eigenvalue of largest size of a Hermitian operator, with its vector, by power iteration from a random vector, on a device:
/// complex ones, or real ones of `dtype`.
///
/// von Mises and Pollaczek-Geiringer, Z. Angew. Math. Mech. 9:58 (1929). It converges as the ratio of the two largest, so slowly for
/// most operators; for a norm take [`operator_norm`](super::operator_norm), for several vectors [`svd`](super::svd()). Iterations,
/// tolerance and readings are the options'; their λ shifts N. Nothing comes back from the device between readings.
///
/// ```
/// use linops::{DType, Device, Tensor, linop, solve::{power_iteration, SolveOptions}};
/// let n = linop::diagonal("N=3", &Tensor::from_slice("N=3", &[1.0f32, -4.0, 2.0])?)?;
/// let p = power_iteration(&n, DType::F32, &Device::host(), SolveOptions::default())?;
/// assert!((p.value + 4.0).abs() < 1e-4);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// N is not square, a tolerance that makes no sense, an operator whose values are not finite; those of an apply.
pub fn power_iteration(n: &Linop, dtype: DType, device: &Device, options: SolveOptions) -> Result<Power> {
    options.check("power_iteration")?;
    let shape = n.input()?;
    shape.expect(n.output()?).map_err(|e| e.at("power_iteration: the operator's output"))?;
    let shifted =
        if options.lambda == 0.0 { n.clone() } else { n.try_add(&crate::linop::scalar(shape, options.lambda)?)? };
    let mut random = Random(1);
    let first = random.vector(shape, dtype, device)?;
    let Some((scaled, exponent)) = near_one("power_iteration", &shifted, dtype, device, &mut random)? else {
        return Ok(Power { value: 0.0, vector: first, bound: 0.0, iterations: 0, stop: Stop::Zero });
    };
    let back = f64::from(exponent).exp2();
    let mut space = device.space(&[&scaled], &vec![(shape.clone(), dtype); 3], layout())?;
    space.set(V, &first)?;
    space.pass(0)?;
    space.pass(1)?;
    let mut power = Power { value: 0.0, vector: first, bound: 0.0, iterations: 0, stop: Stop::Iterations };
    for k in 1..=options.iterations {
        space.apply(0, V, Q)?;
        (2..5).try_for_each(|pass| space.pass(pass))?;
        space.submit()?;
        let cancelled = options.cancel.is_some_and(|c| c.load(std::sync::atomic::Ordering::Relaxed));
        if !k.is_multiple_of(options.check_every.max(1)) && k < options.iterations && !cancelled {
            continue;
        }
        let s = space.scalars()?;
        (power.value, power.bound, power.iterations) = (s[VQ.0] * back, s[SS.0].sqrt() * back, k);
        if !(power.value.is_finite() && power.bound.is_finite() && s[QQ.0] > 0.0) {
            return value_err!("power_iteration: the operator gives NaN or infinite values, or zero, by step {k}");
        }
        if power.bound <= f64::from(options.tol) * power.value.abs() {
            power.stop = Stop::Converged;
            break;
        }
        if cancelled {
            power.stop = Stop::Cancelled;
            break;
        }
    }
    power.vector = space.get(V)?;
    Ok(power)
}
