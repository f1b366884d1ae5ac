//! The dual of a data term ½‖x − y‖², by fast gradient projection: x follows from the duals, and no system is solved.
//!
//! ```text
//! x(q) = prox_g((b − ΣKᵢᴴqᵢ)/c, 1/c),   pᵢ' = prox*(qᵢ + σ Kᵢ x(q)),   qᵢ = pᵢ' + β(pᵢ' − pᵢ),   σ‖ΣKᵢᴴKᵢ‖ ≤ c
//! ```
//!
//! with AᴴA + μ = c and g the one term of x itself. The gap between F(x(p)) and the dual objective bounds how far F is from its
//! limit, so it alone ends the solve.

use super::gathered::Gathered;
use super::options::{Reading, Teller};
use super::stage::{Draft, Gap, Looked, Objective, Smooth, Stated, penalty_norm, within};
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::number;
use crate::solve::Stop;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

fn one() -> Formula {
    Formula::from(1.0f32)
}

/// The gap of the dual is told as exactly as this.
const LEAST: f64 = 1e-6;

struct Dual {
    term: Stated,
    /// p, where the gradient is taken, K x and then the next p, Kᴴq.
    p: Vector,
    q: Vector,
    t: Vector,
    back: Vector,
    step: usize,
    begin: usize,
    gap: Option<Gap>,
}

struct Fgp {
    x: Vector,
    best: Vector,
    smooth: Smooth,
    duals: Vec<Dual>,
    gather: Vec<usize>,
    objective: Objective,
    sigma: Scalar,
    advance: usize,
    primal: usize,
    restart: usize,
    keep: usize,
}

/// What it is for, of those that it is not.
pub(super) const TAKES: &str = "fgp takes a data term ½‖A x − y‖² with AᴴA = 1, l1 norms of linops, squares of x and one constraint or norm of \
                                x; use admm or pdhg";

/// Whether AᴴA is the identity, and the terms are such that it solves for their duals.
pub(super) fn suits(problem: &Problem) -> Result<bool> {
    let squares = problem.terms.iter().any(|t| super::stage::is_smooth(t) && t.linop.is_some());
    Ok(!squares && takes(problem) && problem.a.n().program()?.nodes().is_empty())
}

/// Whether every term that is no square is an l1 norm, but for one norm or constraint of x itself; one of them of another linop.
pub(super) fn takes(problem: &Problem) -> bool {
    let hard = || problem.terms.iter().filter(|t| !super::stage::is_smooth(t));
    let bound = |t: &super::Term| !matches!(t.functional.0, crate::functional::Kind::L1 { .. });
    let direct = |t: &super::Term| t.linop.is_none() && !matches!(t.functional.0, crate::functional::Kind::Own(_));
    hard().any(|t| t.linop.is_some())
        && hard().filter(|t| bound(t)).count() <= 1
        && hard().all(|t| !bound(t) || direct(t))
}

impl Fgp {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Fgp> {
        let smooth = Smooth::draft(draft, problem)?;
        let terms = Stated::draft(draft, problem)?;
        let [x, best] = std::array::from_fn(|_| smooth.vector(draft));
        let [sigma, momentum, next, beta] = std::array::from_fn(|_| draft.scalar());
        let part = Formula::from(1.0 / (1.0 + smooth.mu));
        let bound = terms.iter().position(|t| t.linop.is_none() && t.dual_map().is_none());
        let direct = bound.or_else(|| terms.iter().position(|t| t.linop.is_none() && t.map(part.clone()).is_some()));
        let mut direct_term = None;
        let mut duals: Vec<Dual> = Vec::new();
        let mut scratch = Vec::new();
        for (k, term) in terms.into_iter().enumerate() {
            if Some(k) == direct {
                scratch.push((term.clone(), None));
                direct_term = Some(term);
                continue;
            }
            let dual = Dual::draft(draft, &smooth, term, sigma, beta)?;
            scratch.push((dual.term.clone(), Some(dual.t)));
            duals.push(dual);
        }
        if duals.is_empty() {
            return value_err!("fgp: the objective has no term of another linop; use fista");
        }
        let (stated, scratch): (Vec<Stated>, Vec<Option<Vector>>) = scratch.into_iter().unzip();
        let objective = Objective::draft(draft, problem, &smooth, &stated, x, &scratch)?;
        // Beside x, b and weights.
        let bound = 2 + direct_term.iter().filter(|t| t.weights.is_some()).count();
        let backs: Vec<Vector> = duals.iter().map(|d| d.back).collect();
        let gathered = Gathered::draft(draft, &backs, bound);
        let named = |name| match &direct_term {
            Some(t) => t.pass(name),
            None => Ok(Pass::new(name)),
        };
        let map = direct_term.as_ref().and_then(|t| t.map(part.clone()));
        let image = |pass: Pass| {
            let pass = pass.update(x, [(part.clone(), smooth.b)]);
            gathered.add_to(pass, &-part.clone()).map(map.clone())
        };
        let advance = named("image")?
            .formula(next, (one() + (one() + momentum * momentum * 4.0f32).root()) * 0.5f32)
            .formula(beta, (momentum - 1.0f32) / next)
            .formula(momentum, next);
        let advance = draft.pass(image(advance));
        let primal = draft.pass(image(named("primal")?));
        let restart = draft.pass(Pass::new("restart").formula(momentum, 1.0f32));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        Ok(Fgp { x, best, smooth, duals, gather: gathered.before, objective, sigma, advance, primal, restart, keep })
    }

    /// ΣKᴴ of the momentum points, or of the duals themselves.
    fn gathered(&self, space: &mut dyn Space, momentum: bool) -> Result<()> {
        for d in &self.duals {
            let from = if momentum { d.q } else { d.p };
            match d.term.linop {
                Some([_, kh]) => space.apply(kh, from, d.back)?,
                None => space.copy(from, d.back)?,
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))
    }

    fn iterate(&self, space: &mut dyn Space) -> Result<()> {
        self.gathered(space, true)?;
        space.pass(self.advance)?;
        for d in &self.duals {
            d.transformed(space, self.x)?;
            space.pass(d.step)?;
        }
        space.submit()
    }

    fn begin(&self, space: &mut dyn Space) -> Result<()> {
        self.duals.iter().try_for_each(|d| space.pass(d.begin))?;
        space.pass(self.restart)
    }

    /// F at x(p), and its distance to the dual objective.
    fn look(&self, space: &mut dyn Space) -> Result<(Looked, f64)> {
        self.gathered(space, false)?;
        space.pass(self.primal)?;
        let looked = self.objective.look(space)?;
        let mut gap = 0.0;
        for d in &self.duals {
            let Some(of) = &d.gap else { continue };
            d.transformed(space, self.x)?;
            gap += of.read(space, 1.0)?;
        }
        Ok((looked, gap))
    }
}

impl Dual {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, sigma: Scalar, beta: Scalar) -> Result<Dual> {
        let [p, q, t] = std::array::from_fn(|_| term.vector(draft));
        let back = smooth.vector(draft);
        let Some(map) = term.dual_map() else {
            return value_err!(
                "fgp takes l1 norms, squares, and one constraint of x itself; {} wants admm",
                term.functional
            );
        };
        let step = term
            .pass("dual")?
            .update(t, [(one(), q), (sigma.into(), t)])
            .map(map)
            .update(q, [(one() + beta, t), (-Formula::from(beta), p)])
            .update(p, [(one(), t)]);
        let step = draft.pass(step);
        let begin = draft.pass(Pass::new("begin").update(q, [(one(), p)]));
        let gap = Gap::draft(draft, &term, p, t, None)?;
        Ok(Dual { term, p, q, t, back, step, begin, gap })
    }

    fn transformed(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        match self.term.linop {
            Some([k, _]) => space.apply(k, x, self.t),
            None => space.copy(x, self.t),
        }
    }
}

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    if !suits(problem)? {
        return value_err!("{TAKES}");
    }
    let device = problem.y.device();
    let mut draft = Draft::default();
    let fgp = Fgp::draft(&mut draft, problem)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let terms = problem.terms.iter().filter(|t| !super::stage::is_smooth(t) && t.linop.is_some());
    let norm =
        penalty_norm(terms, fgp.duals.iter().filter(|d| d.term.linop.is_none()).count(), dtype(problem), &device)?;
    space.set_scalar(fgp.sigma, number((1.0 + fgp.smooth.mu) / norm))?;
    if let Some(duals) = problem.duals.as_ref().filter(|d| d.len() == fgp.duals.len()) {
        for (d, p) in fgp.duals.iter().zip(duals) {
            space.set(d.p, p)?;
        }
    }
    fgp.begin(space)?;
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let mut best = Looked { objective: f64::INFINITY, ..Looked::default() };
    let mut highest = f64::NEG_INFINITY;
    let mut ended = (iterations, Stop::Iterations);
    for k in 1..=iterations {
        fgp.iterate(space)?;
        let cancelled = teller.cancelled();
        if !cancelled && !teller.reads(k) {
            continue;
        }
        let (looked, gap) = fgp.look(space)?;
        if !looked.objective.is_finite() {
            return value_err!(
                "fgp: the objective is not finite at step {k}; the linop or the data have values near the end of f32"
            );
        }
        let change = (best.objective - looked.objective) / looked.objective.abs().max(f64::MIN_POSITIVE);
        if looked.objective < best.objective {
            space.pass(fgp.keep)?;
            best = looked;
        }
        // Momentum that leads downhill is dropped.
        let dual = looked.objective - gap;
        if dual < highest {
            space.pass(fgp.restart)?;
        }
        highest = dual;
        let gap = gap / looked.objective.abs().max(f64::MIN_POSITIVE);
        let reading = Reading { gap: Some(gap), residual: Some(0.0), ..looked.reading((k, iterations), change) };
        teller.tell(reading, &mut || space.get(fgp.x));
        if cancelled {
            ended = (k, Stop::Cancelled);
            break;
        }
        if tol > 0.0 && gap <= tol.max(LEAST) {
            ended = (k, within(gap, tol));
            break;
        }
    }
    let duals = fgp.duals.iter().map(|d| space.get(d.p)).collect::<Result<_>>()?;
    Ok(Solved { duals, ..best.solved(space.get(fgp.best)?, Method::Fgp, ended.0, ended.1) })
}

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem) -> Result<()> {
    Fgp::draft(draft, problem).map(drop)
}

/// One iteration between readings.
#[cfg(test)]
pub(super) fn iterated(problem: &Problem, space: &mut dyn Space) -> Result<()> {
    let mut draft = Draft::default();
    Fgp::draft(&mut draft, problem)?.iterate(space)
}
