//! Primal and dual steps: the gradient of the data term and the duals of the other terms, no system to solve.
//!
//! ```text
//! x' = prox((x − τ(N x − b + ΣKᵢᴴpᵢ))/(1 + τμ)),   pᵢ' = prox*(pᵢ + σrᵢ Kᵢ(x' + θ(x' − x))),   1/τ − σ‖ΣrᵢKᵢᴴKᵢ‖ ≥ ‖N‖/2
//! ```
//!
//! with θ = 1. Squares of x itself, μ/2 ‖x‖², make the objective strongly convex, and the steps follow: θ = 1/√(1 + μτ), τ ← θτ,
//! σ ← σ/θ (Chambolle and Pock, Math. Program. 159:253, 2016). A data term with AᴴA = 1 is such a square: it is taken out of N, whose
//! norm falls by as much, and into μ. The rᵢ are as the sizes that the duals may have: steps for each block of duals, preconditioning
//! after Pock and Chambolle (ICCV 2011, 1762) with blocks in the place of single numbers.

use super::gathered::Gathered;
use super::options::{Reading, Teller};
use super::stage::{Draft, Gap, LEAST_GAP, Looked, Norm, Objective, Smooth, Stated, within};
use super::watch::Watch;
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Halvings of the steps after which the problem is given up.
const HALVINGS: usize = 30;

fn one() -> Formula {
    Formula::from(1.0f32)
}

/// A term by its dual.
struct Dual {
    term: Stated,
    /// p, K x̄, Kᴴp.
    p: Vector,
    t: Vector,
    back: Vector,
    step: usize,
    gap: Option<Gap>,
}

struct Pdhg {
    x: Vector,
    bar: Vector,
    q: Vector,
    best: Vector,
    smooth: Smooth,
    duals: Vec<Dual>,
    gather: Vec<usize>,
    objective: Objective,
    norm: Norm,
    dual_norm: Option<Norm>,
    tau: Scalar,
    sigma: Scalar,
    /// The part of N that is 1 in all directions: it counts as squares of x.
    even: f64,
    descend: usize,
    /// What a subgradient of F at x is made of: the part of the step that led there, the whole, and its square.
    slope: [usize; 3],
    square: Scalar,
    keep: usize,
    restart: usize,
}

impl Pdhg {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Pdhg> {
        let smooth = Smooth::draft(draft, problem)?;
        let terms = Stated::draft(draft, problem)?;
        let [x, bar, q, best] = std::array::from_fn(|_| smooth.vector(draft));
        let [tau, sigma, used, theta, square] = std::array::from_fn(|_| draft.scalar());
        // One constraint or norm of x itself is obeyed by x; all else is a dual.
        let direct = terms.iter().position(|t| t.linop.is_none() && t.map(tau.into()).is_some());
        let ratios = ratios(&terms, direct);
        let mut direct_term = None;
        let mut duals = Vec::new();
        let mut scratch = Vec::new();
        for (k, term) in terms.into_iter().enumerate() {
            if Some(k) == direct {
                scratch.push((term.clone(), None));
                direct_term = Some(term);
                continue;
            }
            let dual = Dual::draft(draft, &smooth, term, Formula::from(sigma) * ratios[k])?;
            scratch.push((dual.term.clone(), dual.term.linop.map(|_| dual.t)));
            duals.push(dual);
        }
        let (stated, scratch): (Vec<Stated>, Vec<Option<Vector>>) = scratch.into_iter().unzip();
        let objective = Objective::draft(draft, problem, &smooth, &stated, x, &scratch)?;
        let norm = Norm::draft(draft, smooth.normal, bar, q);
        let dual_norm = match duals.is_empty() {
            true => None,
            false => {
                let penalty = draft.operator(&penalty(problem, direct, &ratios)?);
                Some(Norm::draft(draft, penalty, bar, q))
            }
        };
        // Beside x, x̄, q, b and weights.
        let bound = 4 + direct_term.iter().filter(|t| t.weights.is_some()).count();
        let backs: Vec<Vector> = duals.iter().map(|d| d.back).collect();
        let gathered = Gathered::draft(draft, &backs, bound);
        let step = match &direct_term {
            Some(t) => t.pass("descend")?,
            None => Pass::new("descend"),
        };
        // With squares of x the steps change, and this one is by what they were.
        let even = if problem.a.n().program()?.nodes().is_empty() { 1.0 } else { 0.0 };
        let accelerated = smooth.mu + even > 0.0;
        let mu = Formula::from(smooth.mu + even);
        let (step, theta): (Pass, Formula) = match accelerated {
            true => (
                step.formula(used, tau)
                    .formula(theta, one() / (one() + mu.clone() * tau).root())
                    .formula(tau, tau * theta)
                    .formula(sigma, sigma / theta),
                theta.into(),
            ),
            false => (step.formula(used, tau), one()),
        };
        let part = one() / (one() + mu * used);
        let by = part.clone() * used;
        let kept = if even > 0.0 { part + by.clone() * Formula::from(even) } else { part };
        let mut step = step.update(bar, [(one(), x)]).update(x, [(kept, x), (-by.clone(), q), (by.clone(), smooth.b)]);
        step = gathered.add_to(step, &-by.clone());
        if let Some(t) = &direct_term {
            step = step.map(t.map(by));
        }
        let descend = draft.pass(step.update(bar, [(one() + theta.clone(), x), (-theta.clone(), bar)]));
        // Of the terms of x itself (x° − x)(1/τ + even) − μx − N x° + b − ΣKᴴp° for the step from x°; x° is x + (x − x̄)/θ.
        let back = (one() / used + Formula::from(even)) / theta;
        let of_step = Pass::new("step").update(bar, [(back.clone(), x), (-back, bar), (-one(), q)]);
        let whole = Pass::new("slope").update(bar, [(one(), bar), (one(), q)]);
        let slope = [
            gathered.add_to(of_step, &-one()),
            gathered.add_to(whole, &one()).dot(bar, bar),
            Pass::new("squared").totals([square]),
        ]
        .map(|pass| draft.pass(pass));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        let restart = draft.pass(Pass::new("restart").update(x, [(one(), best)]));
        Ok(Pdhg {
            x,
            bar,
            q,
            best,
            smooth,
            duals,
            gather: gathered.before,
            objective,
            norm,
            dual_norm,
            tau,
            sigma,
            even,
            descend,
            slope,
            square,
            keep,
            restart,
        })
    }

    /// N x and ΣKᴴp.
    fn gathered(&self, space: &mut dyn Space) -> Result<()> {
        space.apply(self.smooth.normal, self.x, self.q)?;
        for d in &self.duals {
            match d.term.linop {
                Some([_, kh]) => space.apply(kh, d.p, d.back)?,
                None => space.copy(d.p, d.back)?,
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))
    }

    /// One iteration. `known`: N x and ΣKᴴp are there.
    fn iterate(&self, space: &mut dyn Space, known: bool) -> Result<()> {
        if !known {
            self.gathered(space)?;
        }
        space.pass(self.descend)?;
        for d in &self.duals {
            d.transformed(space, self.bar)?;
            space.pass(d.step)?;
        }
        space.submit()
    }

    /// The square of the slope at x, for the scalars that are read next. After it N x and ΣKᴴp are there.
    fn slope(&self, space: &mut dyn Space) -> Result<()> {
        let [of_step, whole, squared] = self.slope;
        space.pass(of_step)?;
        self.gathered(space)?;
        space.pass(whole)?;
        space.pass(squared)
    }
}

/// Σ r KᴴK over the duals.
fn penalty(problem: &Problem, direct: Option<usize>, ratios: &[f32]) -> Result<Linop> {
    let hard = problem.terms.iter().filter(|t| !super::stage::is_smooth(t)).zip(ratios).enumerate();
    let normals: Vec<Linop> = hard
        .filter(|(k, _)| Some(*k) != direct)
        .map(|(_, (t, r))| Ok(t.normal(problem.a.input()?)? * *r))
        .collect::<Result<_>>()?;
    match normals.as_slice() {
        [only] => Ok(only.clone()),
        _ => linop::add(normals),
    }
}

/// How large a dual may be, by its bound on each number; None where that is not known.
fn size(term: &Stated) -> Option<f64> {
    match term.functional.0 {
        Kind::L1 { weight, .. } if weight > 0.0 => Some(weight * (term.shape.len() as f64).sqrt()),
        _ => None,
    }
}

/// The step of each dual as a part of the largest; 1 where sizes are not known.
fn ratios(terms: &[Stated], direct: Option<usize>) -> Vec<f32> {
    let sizes: Vec<Option<f64>> =
        terms.iter().enumerate().map(|(k, t)| if Some(k) == direct { None } else { size(t) }).collect();
    let largest = sizes.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
    sizes.iter().map(|s| s.map_or(1.0, |s| number((s / largest).max(LEAST_RATIO)))).collect()
}

/// A dual with a small weight moves, too.
const LEAST_RATIO: f64 = 1e-2;

impl Dual {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, sigma: Formula) -> Result<Dual> {
        let [p, t] = std::array::from_fn(|_| term.vector(draft));
        let back = smooth.vector(draft);
        let Some(map) = term.dual_map() else {
            return value_err!(
                "pdhg takes l1 norms, squares, and one constraint of x itself; {} wants admm",
                term.functional
            );
        };
        let step = term.pass("dual")?.update(p, [(one(), p), (sigma, t)]).map(map);
        let step = draft.pass(step);
        let gap = Gap::draft(draft, &term, p, t, None)?;
        Ok(Dual { term, p, t, back, step, gap })
    }

    fn transformed(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        match self.term.linop {
            Some([k, _]) => space.apply(k, x, self.t),
            None => space.copy(x, self.t),
        }
    }

    /// f(K x) − Re⟨p, K x⟩.
    fn gap(&self, space: &mut dyn Space, x: Vector) -> Result<f64> {
        let Some(gap) = &self.gap else { return Ok(0.0) };
        self.transformed(space, x)?;
        gap.read(space, 1.0)
    }
}

/// τ and σ: their ratio is that of the sizes of x and the duals, where these can be told.
fn steps(pdhg: &Pdhg, problem: &Problem, norm: f64, dual_norm: f64, balance: f64) -> Result<[f64; 2]> {
    let b = problem.a.h().apply(&problem.y)?;
    let x = crate::functional::squared_norm(&b)?.sqrt() / norm;
    let p = pdhg.duals.iter().filter_map(|d| size(&d.term)).map(|s| s * s).sum::<f64>().sqrt();
    // Where A is 1 the primal steps find most of x.
    let ratio = if pdhg.even > 0.0 { 1.0 } else { RATIO };
    let sigma = match x > 0.0 && p > 0.0 {
        true => balance * ratio * p / (x * dual_norm.sqrt()),
        false => balance / dual_norm.sqrt(),
    };
    // Steps that change take all of the norm.
    let part = if pdhg.smooth.mu + pdhg.even > 0.0 { (norm - pdhg.even).max(0.0) } else { norm / 2.0 };
    Ok([1.0 / (part + sigma * dual_norm), sigma])
}

/// The dual step beside the one that the sizes of image and duals ask for. Where a scan has no samples the duals alone move the image,
/// by τσ‖K‖²: with 0.3 SENSE at R = 4 and 8 was 2e-3 and 4e-3 above its limit after 1000 iterations, now it is 6e-5 and 1e-4; gaps of a
/// picture 7e-4 and 1e-4; blurred pictures, whose slow directions are those of A, are the same within a factor of 2. Denoising, which has no
/// unseen directions, is 10 times as far from its end with 10 as with 1.
const RATIO: f64 = 10.0;

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let mut draft = Draft::default();
    let pdhg = Pdhg::draft(&mut draft, problem)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let (shape, dtype) = (pdhg.smooth.shape.clone(), dtype(problem));
    let mut norm = match teller.options().norm {
        Some(norm) => norm,
        None => pdhg.norm.find(space, &shape, dtype, &device, 0.0)?,
    };
    let dual_norm = match &pdhg.dual_norm {
        Some(norm) => norm.find(space, &shape, dtype, &device, 0.0)?,
        None => 1.0,
    };
    let set = |space: &mut dyn Space, [tau, sigma]: [f64; 2]| -> Result<()> {
        space.set_scalar(pdhg.tau, number(tau))?;
        space.set_scalar(pdhg.sigma, number(sigma))
    };
    set(space, steps(&pdhg, problem, norm, dual_norm, teller.options().balance)?)?;
    let start = match &problem.start {
        Some(x) => x.clone(),
        None => Tensor::zeros(shape, dtype)?.to(&device)?,
    };
    space.set(pdhg.x, &start)?;
    let mut watch = Watch::new(true);
    let mut best = pdhg.objective.look(space)?;
    space.pass(pdhg.keep)?;
    watch.see(0, best.objective);
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let mut halved = 0;
    let solved =
        |space: &mut dyn Space, best: Looked, iterations: usize, halved: usize, stop: Stop| -> Result<Solved> {
            Ok(Solved { halved, ..best.solved(space.get(pdhg.best)?, Method::Pdhg, iterations, stop) })
        };
    let mut known = false;
    for k in 1..=iterations {
        pdhg.iterate(space, known)?;
        known = false;
        let cancelled = teller.cancelled();
        if !cancelled && !teller.reads(k) {
            continue;
        }
        pdhg.slope(space)?;
        known = true;
        let (looked, scalars) = pdhg.objective.look_with(space)?;
        let seen = watch.see(k, looked.objective);
        if seen.best {
            space.pass(pdhg.keep)?;
            best = looked;
        }
        if seen.grows {
            halved += 1;
            if halved > HALVINGS {
                return value_err!("pdhg: the objective grows with every step; is the linop linear and finite?");
            }
            norm *= 2.0;
            set(space, steps(&pdhg, problem, norm, dual_norm, teller.options().balance)?)?;
            space.pass(pdhg.restart)?;
            known = false;
            watch.restart();
        }
        let mut gap = 0.0;
        for d in &pdhg.duals {
            gap += d.gap(space, pdhg.x)?;
        }
        let gap = gap / looked.objective.abs().max(f64::MIN_POSITIVE);
        // What grows is left for the best, of which this is not.
        let residual = pdhg.smooth.part(scalars[pdhg.square.0].sqrt()).filter(|_| !seen.grows);
        let reading = Reading { gap: Some(gap), residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || space.get(pdhg.x));
        if cancelled {
            return solved(space, best, k, halved, Stop::Cancelled);
        }
        if tol > 0.0 && seen.change <= tol && gap <= tol.max(LEAST_GAP) && !seen.grows {
            return solved(space, best, k, halved, within(gap, tol));
        }
    }
    solved(space, best, iterations, halved, Stop::Iterations)
}

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem) -> Result<()> {
    Pdhg::draft(draft, problem).map(drop)
}

/// One iteration between readings.
#[cfg(test)]
pub(super) fn iterated(problem: &Problem, space: &mut dyn Space) -> Result<()> {
    let mut draft = Draft::default();
    Pdhg::draft(&mut draft, problem)?.iterate(space, false)
}
