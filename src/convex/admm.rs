//! Alternating directions: conjugate gradients for x, a prox for each term, and its dual.
//!
//! With zᵢ for Kᵢ x and scaled duals uᵢ:
//!
//! ```text
//! x  ≈ argmin ½‖A x − y‖² + ½μ‖x‖² + ρ/2 Σ‖Kᵢ x − zᵢ + uᵢ‖²      so many steps of conjugate gradients, from the last x
//! tᵢ = α Kᵢ x + (1 − α) zᵢ,   zᵢ = prox(tᵢ + uᵢ, 1/ρ),   uᵢ += tᵢ − zᵢ
//! ```

use super::options::{Reading, Teller};
use super::stage::{Draft, Gap, LEAST_GAP, Looked, Norm, Objective, Smooth, Stated};
use super::watch::Watch;
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Over-relaxation: Eckstein and Bertsekas, Math. Program. 55:293 (1992).
const ALPHA: f32 = 1.6;

/// Primal and dual residuals may differ by this factor before the penalty changes, and it changes by no more than this.
const BALANCED: f64 = 3.0;
const MOST: f64 = 10.0;

fn one() -> Formula {
    Formula::from(1.0f32)
}

struct Split {
    term: Stated,
    /// K x, then z − u.
    t: Vector,
    z: Vector,
    u: Vector,
    /// Kᴴ t; of terms of x itself t is that.
    back: Vector,
    /// u += t, before the prox; z, u, t after it. One pass where the prox is a map.
    before: usize,
    after: Option<usize>,
    /// The same with the residuals.
    measured_before: usize,
    measured_after: Option<usize>,
    taken: usize,
    primal: Scalar,
    dual: Scalar,
    size: Scalar,
    dual_size: Scalar,
    /// t = z − u anew, after t was used for something else.
    renew: usize,
    /// u and d after a change of the penalty.
    rescale: usize,
    /// Re⟨u, K x⟩ and Σ|K x|, where that is a gap.
    gap: Option<Gap>,
}

struct Admm {
    x: Vector,
    p: Vector,
    best: Vector,
    /// What is looked at: x, or the nearest that obeys the constraints of x itself.
    candidate: Vector,
    propose: Option<usize>,
    /// N p, and ΣKᴴK p.
    q: Vector,
    l: Vector,
    smooth: Smooth,
    penalty: usize,
    splits: Vec<Split>,
    gather: Vec<usize>,
    objective: Objective,
    norm: Norm,
    rho: Scalar,
    factor: Scalar,
    residual: usize,
    curve: usize,
    advance: usize,
    turn: usize,
    keep: usize,
    begin: usize,
}

impl Admm {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Admm> {
        let smooth = Smooth::draft(draft, problem)?;
        let terms = Stated::draft(draft, problem)?;
        if terms.is_empty() {
            return value_err!("admm: the objective has no term but squares; use fista, or solve::cg");
        }
        let [x, r, p, q, l, best] = std::array::from_fn(|_| smooth.vector(draft));
        let mu = Formula::from(smooth.mu);
        let [rho, rr, pq, alpha, next, beta, factor] = std::array::from_fn(|_| draft.scalar());
        let penalty = draft.operator(&penalty(problem)?);
        let boxed =
            terms.iter().find(|t| t.linop.is_none() && matches!(t.functional.0, Kind::Box { .. } | Kind::Bound { .. }));
        let (candidate, propose) = match boxed {
            Some(term) => {
                let c = smooth.vector(draft);
                let pass = term.pass("propose")?.update(c, [(one(), x)]).map(term.map(one()));
                (c, Some(draft.pass(pass)))
            }
            None => (x, None),
        };
        let mut splits = Vec::new();
        for term in terms {
            splits.push(Split::draft(draft, &smooth, term, rho, factor)?);
        }
        let scratch: Vec<Option<Vector>> = splits.iter().map(|s| s.term.linop.map(|_| s.t)).collect();
        let stated: Vec<Stated> = splits.iter().map(|s| s.term.clone()).collect();
        let objective = Objective::draft(draft, problem, &smooth, &stated, candidate, &scratch)?;
        let norm = Norm::draft(draft, smooth.normal, p, q);
        // All Kᴴ t in the first one's place.
        let first = splits[0].back;
        let gather = splits[1..]
            .iter()
            .map(|s| draft.pass(Pass::new("gather").update(first, [(one(), first), (one(), s.back)])))
            .collect();
        let residual = Pass::new("residual")
            .update(
                r,
                [(one(), smooth.b), (rho.into(), first), (-one(), q), (-mu.clone(), x), (-Formula::from(rho), l)],
            )
            .update(p, [(one(), r)])
            .dot(r, r);
        // Seven vectors are more than some devices bind.
        let residual_only = Pass { updates: residual.updates[..1].to_vec(), ..residual };
        let residual = draft.pass(residual_only);
        let curve = Pass::new("curve").update(q, [(one(), q), (mu, p), (rho.into(), l)]).dot(p, q);
        let curve = draft.pass(curve);
        let advance = Pass::new("advance")
            .totals([pq])
            .formula(alpha, rr / pq)
            .update(x, [(one(), x), (alpha.into(), p)])
            .update(r, [(one(), r), (-alpha, q)])
            .dot(r, r);
        let advance = draft.pass(advance);
        let turn = Pass::new("turn")
            .totals([next])
            .formula(beta, next / rr)
            .formula(rr, next)
            .update(p, [(one(), r), (beta.into(), p)]);
        let turn = draft.pass(turn);
        // The first direction is the residual: r r of before is 0, and so is the quotient.
        let begin = draft.pass(Pass::new("begin").totals([next]).formula(rr, next).update(p, [(one(), r)]));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), candidate)]));
        Ok(Admm {
            x,
            p,
            best,
            candidate,
            propose,
            q,
            l,
            smooth,
            penalty,
            splits,
            gather,
            objective,
            norm,
            rho,
            factor,
            residual,
            curve,
            advance,
            turn,
            keep,
            begin,
        })
    }

    /// One iteration; `measured` with the residuals of primal and dual.
    fn iterate(&self, space: &mut dyn Space, inner: usize, rho: f64, measured: bool) -> Result<()> {
        for s in &self.splits {
            if let Some([_, kh]) = s.term.linop {
                space.apply(kh, s.t, s.back)?;
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))?;
        space.apply(self.smooth.normal, self.x, self.q)?;
        space.apply(self.penalty, self.x, self.l)?;
        space.pass(self.residual)?;
        space.pass(self.begin)?;
        for step in 0..inner {
            space.apply(self.smooth.normal, self.p, self.q)?;
            space.apply(self.penalty, self.p, self.l)?;
            space.pass(self.curve)?;
            space.pass(self.advance)?;
            if step + 1 < inner {
                space.pass(self.turn)?;
            }
        }
        for s in &self.splits {
            s.turn(space, self.x, rho, measured)?;
        }
        space.submit()
    }

    /// Primal and dual residual, relative to the sizes of what they are of.
    fn residuals(&self, scalars: &[f64]) -> [f64; 2] {
        let sum =
            |of: &dyn Fn(&Split) -> Scalar| -> f64 { self.splits.iter().map(|s| scalars[of(s).0]).sum::<f64>().sqrt() };
        let relative = |a: f64, b: f64| if b > 0.0 { a / b } else { a };
        [relative(sum(&|s| s.primal), sum(&|s| s.size)), relative(sum(&|s| s.dual), sum(&|s| s.dual_size))]
    }
}

/// ΣKᴴK.
fn penalty(problem: &Problem) -> Result<Linop> {
    let hard = problem.terms.iter().filter(|t| !super::stage::is_smooth(t));
    let normals: Vec<Linop> = hard.map(|t| t.normal(problem.a.input()?)).collect::<Result<_>>()?;
    match normals.as_slice() {
        [only] => Ok(only.clone()),
        _ => linop::add(normals),
    }
}

impl Split {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, rho: Scalar, factor: Scalar) -> Result<Split> {
        let [t, z, u, d] = std::array::from_fn(|_| term.vector(draft));
        let back = if term.linop.is_some() { smooth.vector(draft) } else { t };
        let [primal, dual, size, dual_size] = std::array::from_fn(|_| draft.scalar());
        // u holds t + u until z is known.
        let relaxed = |pass: Pass| pass.update(u, [(one(), u), (ALPHA.into(), t), ((1.0 - ALPHA).into(), z)]);
        let settled = |pass: Pass| pass.update(u, [(one(), u), (-one(), z)]).update(t, [(one(), z), (-one(), u)]);
        // With the residuals: t becomes K x − z, and z − u only in the next pass.
        let measured = |pass: Pass| {
            pass.update(u, [(one(), u), (-one(), z)])
                .update(d, [(one(), z), (-one(), d)])
                .update(t, [(one(), t), (-one(), z)])
                .dot(t, t)
                .dot(d, d)
                .dot(z, z)
                .dot(u, u)
        };
        let step = one() / rho;
        let renew = draft.pass(Pass::new("renew").update(t, [(one(), z), (-one(), u)]));
        let taken =
            draft.pass(Pass::new("taken").totals([primal, dual, size, dual_size]).update(t, [(one(), z), (-one(), u)]));
        let remembered = |pass: Pass| pass.update(d, [(one(), z)]);
        let (before, after, measured_before, measured_after) = match term.map(step) {
            Some(map) => {
                let whole = |name, last: &dyn Fn(Pass) -> Pass, first: &dyn Fn(Pass) -> Pass| -> Result<Pass> {
                    Ok(last(first(relaxed(term.pass(name)?)).update(z, [(one(), u)]).map(map.clone())))
                };
                let plain = whole("split", &settled, &|p| p)?;
                let with = whole("measured split", &measured, &remembered)?;
                (draft.pass(plain), None, draft.pass(with), None)
            }
            None => {
                let before = draft.pass(relaxed(Pass::new("relax")));
                let with = draft.pass(remembered(relaxed(Pass::new("relax and keep"))));
                (
                    before,
                    Some(draft.pass(settled(Pass::new("settle")))),
                    with,
                    Some(draft.pass(measured(Pass::new("measure")))),
                )
            }
        };
        let rescale =
            draft.pass(Pass::new("rescale").update(u, [(factor.into(), u)]).update(t, [(one(), z), (-one(), u)]));
        let gap = Gap::draft(draft, &term, u, t)?;
        Ok(Split {
            term,
            t,
            z,
            u,
            back,
            before,
            after,
            measured_before,
            measured_after,
            taken,
            primal,
            dual,
            size,
            dual_size,
            renew,
            rescale,
            gap,
        })
    }

    /// z and u for the new x.
    fn turn(&self, space: &mut dyn Space, x: Vector, rho: f64, measured: bool) -> Result<()> {
        self.transformed(space, x)?;
        let (before, after) = match measured {
            true => (self.measured_before, self.measured_after),
            false => (self.before, self.after),
        };
        space.pass(before)?;
        if let Some(after) = after {
            let z = self.term.functional.prox(&space.get(self.u)?, 1.0 / rho)?;
            space.set(self.z, &z)?;
            space.pass(after)?;
        }
        if measured { space.pass(self.taken) } else { Ok(()) }
    }

    /// t = K x.
    fn transformed(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        match self.term.linop {
            Some([k, _]) => space.apply(k, x, self.t),
            None => space.copy(x, self.t),
        }
    }

    /// f(K x) − Re⟨ρu, K x⟩, which is 0 at the solution and never negative.
    fn gap(&self, space: &mut dyn Space, x: Vector, rho: f64) -> Result<f64> {
        let Some(gap) = &self.gap else { return Ok(0.0) };
        self.transformed(space, x)?;
        gap.read(space, rho)
    }
}

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let mut draft = Draft::default();
    let admm = Admm::draft(&mut draft, problem)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let norm = match teller.options().norm {
        Some(norm) => norm + admm.smooth.mu,
        None => admm.norm.find(space, &admm.smooth.shape, admm.smooth.dtype, &device, admm.smooth.mu)?,
    };
    let start = match &problem.start {
        Some(x) => x.clone(),
        None => Tensor::zeros(admm.smooth.shape.clone(), dtype(problem))?.to(&device)?,
    };
    space.set(admm.x, &start)?;
    let mut rho = teller.options().balance * first_penalty(&admm, problem, norm)?;
    let set_rho = |space: &mut dyn Space, rho: f64| space.set_scalar(admm.rho, number(rho));
    set_rho(space, rho)?;
    for s in &admm.splits {
        s.transformed(space, admm.x)?;
        space.copy(s.t, s.z)?;
        space.pass(s.renew)?;
    }
    let mut watch = Watch::new(true);
    let look = |space: &mut dyn Space| -> Result<Looked> {
        if let Some(pass) = admm.propose {
            space.pass(pass)?;
        }
        let looked = admm.objective.look(space)?;
        admm.splits.iter().try_for_each(|s| space.pass(s.renew))?;
        Ok(looked)
    };
    let mut best = look(space)?;
    space.pass(admm.keep)?;
    watch.see(0, best.objective);
    let (iterations, tol, inner) = (teller.options().iterations, teller.options().tol, teller.options().inner.max(1));
    let solved = |space: &mut dyn Space, best: Looked, iterations: usize, stop: Stop| -> Result<Solved> {
        Ok(best.solved(space.get(admm.best)?, Method::Admm, iterations, stop))
    };
    let mut changes = 0u32;
    for k in 1..=iterations {
        let reads = teller.reads(k);
        let balances = k.is_multiple_of(BALANCE_EVERY) || reads;
        admm.iterate(space, inner, rho, balances)?;
        let cancelled = teller.cancelled();
        if balances && !cancelled {
            let scalars = space.scalars()?;
            let [primal, dual] = admm.residuals(&scalars);
            let ratio = if dual > 0.0 { (primal / dual).sqrt() } else { MOST };
            // Ever less often, so that the iteration comes to rest.
            if (ratio > BALANCED.sqrt() || ratio < 1.0 / BALANCED.sqrt()) && k >= (1 << changes.min(20)) {
                let by = ratio.clamp(1.0 / MOST, MOST);
                rho *= by;
                set_rho(space, rho)?;
                space.set_scalar(admm.factor, number(1.0 / by))?;
                admm.splits.iter().try_for_each(|s| space.pass(s.rescale))?;
                changes += 1;
            }
        }
        if !cancelled && !reads {
            continue;
        }
        let looked = look(space)?;
        let seen = watch.see(k, looked.objective);
        if seen.best {
            space.pass(admm.keep)?;
            best = looked;
        }
        let mut gap = 0.0;
        for s in &admm.splits {
            gap += s.gap(space, admm.candidate, rho)?;
            space.pass(s.renew)?;
        }
        let gap = gap / looked.objective.abs().max(f64::MIN_POSITIVE);
        if !looked.objective.is_finite() && k > 10 * inner {
            return value_err!(
                "admm: the iteration overflowed at step {k}; the linop or the data have values near the end of f32"
            );
        }
        let reading = Reading {
            iteration: k,
            of: iterations,
            objective: looked.objective,
            data_term: looked.data,
            change: seen.change,
            gap: Some(gap),
        };
        teller.tell(reading, &mut || space.get(admm.candidate));
        if cancelled {
            return solved(space, best, k, Stop::Cancelled);
        }
        if tol > 0.0 && seen.change <= tol && gap <= tol.max(LEAST_GAP) {
            return solved(space, best, k, Stop::Converged);
        }
    }
    solved(space, best, iterations, Stop::Iterations)
}

/// The first penalty, as a part of ‖N‖ at least.
const FIRST: f64 = 0.1;

/// The penalty at which dual and primal steps are of the sizes that ρu and K x may have; with weak terms a part of ‖N‖.
fn first_penalty(admm: &Admm, problem: &Problem, norm: f64) -> Result<f64> {
    let least = FIRST * norm;
    let x = problem.a.h().apply(&problem.y)?;
    let (mut dual, mut primal) = (0.0, 0.0);
    let terms = problem.terms.iter().filter(|t| !super::stage::is_smooth(t));
    for (term, split) in terms.zip(&admm.splits) {
        let Kind::L1 { weight, .. } = term.functional.0 else { continue };
        let kx = match &term.linop {
            Some(k) => k.apply(&x)?,
            None => x.clone(),
        };
        dual += weight * weight * split.term.shape.len() as f64;
        primal += crate::functional::squared_norm(&kx)?;
    }
    let size = primal.sqrt() / norm;
    Ok(if size > 0.0 { least.max(PART * dual.sqrt() / size) } else { least })
}

/// Of the bound of a dual.
const PART: f64 = 0.1;

/// Iterations between two looks at the residuals.
const BALANCE_EVERY: usize = 5;

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem) -> Result<()> {
    Admm::draft(draft, problem).map(drop)
}

/// One iteration between readings.
#[cfg(test)]
pub(super) fn iterated(problem: &Problem, inner: usize, space: &mut dyn Space) -> Result<()> {
    let mut draft = Draft::default();
    Admm::draft(&mut draft, problem)?.iterate(space, inner, 1.0, false)
}
