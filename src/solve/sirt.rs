//! SIRT: simultaneous iterative reconstruction for operators without negative entries, such as projections.

use super::gap::{Fall, Gap};
use super::monitor::Monitor;
use super::scale::{ask_norm, near_one, scaling, times_power};
use super::{Solution, SolveOptions, Stop};
use crate::dim::{Shape, join};
use crate::error::{Result, value_err};
use crate::linop::{Linop, chain, diagonal};
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Layout, Pass, Scalar, Space, Vector};

const X: Vector = Vector(0);
/// C Bᴴ e, and x at the scale of the data.
const G: Vector = Vector(1);
const D: Vector = Vector(2);
/// B x, then e = d − B x.
const E: Vector = Vector(3);

const EE: Scalar = Scalar(0);
const GG: Scalar = Scalar(1);
const SCALES: [Scalar; 2] = [Scalar(2), Scalar(3)];
const SCALARS: usize = 4;

/// The passes, by number.
#[derive(Clone, Copy)]
enum Step {
    ScaleIn,
    Norm,
    Start,
    Clear,
    Advance,
    Residual,
    Total,
    ScaleOut,
}

impl Step {
    /// In their order.
    const ALL: [Step; 8] = [
        Step::ScaleIn,
        Step::Norm,
        Step::Start,
        Step::Clear,
        Step::Advance,
        Step::Residual,
        Step::Total,
        Step::ScaleOut,
    ];

    fn pass(self) -> Pass {
        let one = || Formula::from(1.0);
        match self {
            Step::ScaleIn => scaling(D, E, SCALES),
            Step::Norm => Pass::new("norm").totals([EE]),
            Step::Start => Pass::new("start").update(D, [(one(), E)]),
            Step::Clear => Pass::new("clear").update(X, []),
            Step::Advance => Pass::new("advance").update(X, [(one(), X), (one(), G)]).dot(G, G),
            Step::Residual => Pass::new("residual").totals([GG]).update(E, [(one(), D), (-one(), E)]).dot(E, E),
            Step::Total => Pass::new("total").totals([EE]),
            Step::ScaleOut => scaling(X, G, SCALES),
        }
    }
}

/// What SIRT needs of a space.
pub(super) fn layout() -> Layout {
    Layout { scalars: SCALARS, passes: Step::ALL.map(Step::pass).into() }
}

/// The operators of an iteration, by number.
const FORWARD: usize = 0;
const BACK: usize = 1;

/// Minimises f(x) = ½‖R^½(A x − y)‖² from x = 0 by x ← x + C Aᴴ R (y − A x), on the device that holds y. R and C are the inverse
/// sums of the rows and of the columns of A, 0 where those are: so a step of 1 is right whatever the scale of A, and the iterates
/// are nearly as bright as the solution from the first one on. A has no negative entries, as a projection.
///
/// Gilbert, J. Theor. Biol. 36:105 (1972); Gregor and Benson, IEEE Trans. Med. Imaging 27:918 (2008), for R and C. An iteration
/// applies A and Aᴴ once, with R and C in their stores; nothing comes back from the device but at the
/// readings, which hold the misfit ‖R^½(A x − y)‖/‖R^½ y‖ as their residual.
///
/// It has converged where f is within a part [`tol`](SolveOptions::tol) of its limit (or 10⁻⁸·f(0), where y is fitted all but exactly),
/// as estimated from how f falls while the iterations double, so never before `8·check_every` of them; or where the second half of
/// them has lowered it by no more than a twentieth of that. The solution's residual is ‖C Aᴴ R (y − A x)‖ of the last iterate but one over that of x = 0.
///
/// ```
/// use linops::{linop, solve::{sirt, SolveOptions}, Tensor};
/// let a = linop::dense("N=2", &Tensor::from_array(ndarray::arr2(&[[1.0f32, 1.0], [2.0, 0.0], [0.0, 1.0]]), "M N")?, "M")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[3.0f32, 5.0]), "N")?)?;
/// let x = sirt(&a, &y, SolveOptions::default().iterations(300).tol(0.0))?.x.to_real_vec()?;
/// assert!((x[0] - 3.0).abs() < 1e-3 && (x[1] - 5.0).abs() < 1e-3);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// tol is negative or not finite, λ is not 0; y has another shape than A gives, or values that are not finite; a row or a column of A
/// has a sum that is negative or not finite; or the device fails.
pub fn sirt(a: &Linop, y: &Tensor, options: SolveOptions) -> Result<Solution> {
    options.check("sirt")?;
    if options.lambda != 0.0 {
        return value_err!("sirt: lambda is {}; it takes none, cg does", options.lambda);
    }
    a.output()?.expect(y.shape()).map_err(|e| e.at("sirt: y"))?;
    let device = y.device();
    let rows = inverse(&a.apply(&ones(a.input()?)?.to(&device)?)?, "row")?;
    let columns = inverse(&a.h().apply(&ones(a.output()?)?.to(&device)?)?, "column")?;
    let root = |t: &[f32]| t.iter().map(|v| v.sqrt()).collect::<Vec<f32>>();
    let root = Tensor::from_vec(a.output()?.clone(), root(&rows))?;
    let columns = Tensor::from_vec(a.input()?.clone(), columns)?;
    let same = |t: &Tensor| -> Result<Linop> { diagonal(t.shape(), t)?.out(join(t.shape().dims()).as_str()) };
    let weighted = chain(vec![a.clone(), same(&root)?])?;
    let back = chain(vec![weighted.h(), same(&columns)?])?;
    let d = same(&root)?.apply(y)?;
    let vectors = [a.input()?, a.input()?, a.output()?, a.output()?].map(|s| (s.clone(), y.dtype()));
    let space = device.space(&[&weighted, &back], &vectors, layout()).map_err(|e| e.at("sirt"))?;
    Sirt { space, exponent: 0 }.solve(&d, Monitor::new(options))
}

fn ones(shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(shape.clone(), vec![1.0f32; shape.len()])
}

/// A sum so far below the largest is one over no entries.
const NONE: f32 = 1e-7;

/// 1 over each sum, 0 where that is 0.
fn inverse(sums: &Tensor, what: &str) -> Result<Vec<f32>> {
    let sums = sums.to(&Device::host())?;
    let sums =
        if sums.dtype() == DType::F32 { sums.to_real_vec()? } else { sums.to_vec()?.iter().map(|v| v.re).collect() };
    let most = sums.iter().copied().fold(0.0f32, f32::max);
    if let Some(at) = sums.iter().position(|s| !s.is_finite() || *s < -NONE * most.max(f32::MIN_POSITIVE)) {
        return value_err!(
            "sirt: {what} {at} of the operator has the sum {}; expected an operator without negative entries, as a projection",
            sums[at]
        );
    }
    Ok(sums.iter().map(|&s| if s > NONE * most { 1.0 / s } else { 0.0 }).collect())
}

struct Sirt {
    space: Box<dyn Space>,
    /// The data are times 2^exponent here.
    exponent: i32,
}

impl Sirt {
    fn run(&mut self, step: Step) -> Result<()> {
        self.space.pass(step as usize)
    }

    fn solve(mut self, d: &Tensor, mut monitor: Monitor) -> Result<Solution> {
        self.space.set(D, d)?;
        let passes = [Step::ScaleIn, Step::Norm].map(|step| step as usize);
        ask_norm(&mut *self.space, passes, SCALES)?;
        let found = near_one(&mut *self.space, passes, SCALES, EE)?;
        self.run(Step::Clear)?;
        let Some((exponent, norm)) = found else {
            let x = self.space.get(X)?;
            return Ok(Solution { x, iterations: 0, residual: 0.0, history: monitor.history, stop: Stop::Zero });
        };
        self.exponent = exponent;
        let start = norm * norm;
        self.run(Step::Start)?;
        let (tol, iterations) = (f64::from(monitor.options().tol), monitor.options().iterations);
        let mut fall = Fall::from(start);
        let mut gradients: Option<(f64, f64)> = None;
        let (mut done, mut stop) = (0, Stop::Iterations);
        for k in 1..=iterations {
            self.space.apply(BACK, E, G)?;
            self.run(Step::Advance)?;
            self.space.apply(FORWARD, X, E)?;
            self.run(Step::Residual)?;
            self.run(Step::Total)?;
            self.space.submit()?;
            done = k;
            let cancelled = monitor.cancelled();
            if k > 1 && !cancelled && !monitor.reads(k) {
                continue;
            }
            let scalars = self.space.scalars()?;
            let (objective, gradient) = (scalars[EE.0], scalars[GG.0].sqrt());
            if !(objective.is_finite() && gradient.is_finite()) {
                return value_err!("sirt: the iteration overflowed at step {k}; the operator has negative entries");
            }
            let (first, _) = *gradients.get_or_insert((gradient, gradient));
            gradients = Some((first, gradient));
            if first == 0.0 {
                // Nothing of the data is seen.
                stop = Stop::Converged;
                break;
            }
            let mut ended = None;
            if monitor.reads(k) {
                let residual = (objective / start).sqrt();
                monitor.tell(k, residual, Some(residual), &mut || self.unscaled());
                let gap = fall.take(k, objective);
                ended = match gap {
                    Gap::Still => Some(Stop::Attained),
                    gap => fall.ended(gap, objective, tol).then_some(Stop::Converged),
                };
            }
            if let Some(end) = ended.or(cancelled.then_some(Stop::Cancelled)) {
                stop = end;
                break;
            }
        }
        let residual = gradients.map_or(1.0, |(first, last)| if first > 0.0 { last / first } else { 0.0 });
        Ok(Solution { x: self.unscaled()?, iterations: done, residual, history: monitor.history, stop })
    }

    /// A copy of the iterate at the scale of the data.
    fn unscaled(&mut self) -> Result<Tensor> {
        times_power(&mut *self.space, X, (Step::ScaleOut as usize, G), SCALES, -self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_listed_in_their_order() {
        for (k, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, k);
        }
    }
}
