//! Alternating directions: conjugate gradients for x, a prox for each term, and its dual.
//!
//! With zᵢ for Kᵢ x and scaled duals uᵢ:
//!
//! ```text
//! x  ≈ argmin ½‖A x − y‖² + ½μ‖x‖² + ρ/2 Σ‖Kᵢ x − zᵢ + uᵢ‖²      so many steps of conjugate gradients, from the last x
//! tᵢ = α Kᵢ x + (1 − α) zᵢ,   zᵢ = prox(tᵢ + uᵢ, 1/ρ),   uᵢ += tᵢ − zᵢ
//! ```
//!
//! Where the differences of total variation are among the terms and N's spectrum is uneven, as those of projections and of blurs are, the
//! system is preconditioned (`spectrum`), and a step or two are enough; that of total generalised variation always is (`field`).
//!
//! N x is carried along with x, so that an iteration applies N once for each step of conjugate gradients and no more. Where all terms
//! are norms and constraints, ρ and the number of steps follow from a bound of what is left (`balance`), which also ends the solve.
//! Functionals that are called have no such bound: their ρ balances residuals.

use super::balance::{Balance, Doubt};
use super::options::{Reading, Teller};
use super::spectrum::Spectrum;
use super::split::Split;
use super::stage::{Draft, LEAST_GAP, Looked, Norm, Objective, Smooth, Stated, within};
use super::watch::{CALM, Watch};
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Without a bound: primal and dual residuals may differ by this factor before the penalty changes, and it changes by no more than this.
const BALANCED: f64 = 3.0;
const MOST: f64 = 10.0;

fn one() -> Formula {
    Formula::from(1.0f32)
}

struct Admm {
    x: Vector,
    r: Vector,
    p: Vector,
    best: Vector,
    /// What is looked at: x, or the nearest that obeys the constraints of x itself.
    candidate: Vector,
    obeying: Option<Obeying>,
    /// N x, N p, and ΣKᴴK of one of them, then the whole system of it.
    nx: Vector,
    q: Vector,
    l: Vector,
    smooth: Smooth,
    spectrum: Option<Spectrum>,
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
    /// ⟨r, M r⟩, with a preconditioner.
    weigh: usize,
    keep: usize,
    begin: usize,
    /// ⟨r, r⟩ before and after the steps; ⟨r, M r⟩ with a preconditioner.
    before: Scalar,
    after: Scalar,
    left: usize,
    /// ‖r‖² after the steps.
    rest: Scalar,
    remains: usize,
    remained: usize,
    /// ‖s‖² and ‖x‖², s in q.
    slope: Scalar,
    size: Scalar,
    slopes: usize,
    sloped: usize,
    /// ‖s‖² at x itself where that is not what is looked at, behind the slope of what is.
    own: Option<Own>,
}

struct Own {
    slope: Scalar,
    slopes: usize,
    sloped: usize,
}

/// The nearest to x that obeys a constraint of the image: x − KᴴK x + KᴴP(K x), with K the image that the unknown begins with, or all of
/// it. K has entries of 0 and 1, so that what obeys does so to the last bit.
struct Obeying {
    candidate: Vector,
    /// Where K is not all of x.
    of_part: Option<Part>,
    project: usize,
}

/// K and Kᴴ, K x, and KᴴP(K x).
#[derive(Clone, Copy)]
struct Part {
    linop: [usize; 2],
    kx: Vector,
    back: Vector,
    leave: usize,
    add: usize,
}

impl Obeying {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: &Stated, x: Vector) -> Result<Obeying> {
        let candidate = smooth.vector(draft);
        let Some(linop) = term.linop else {
            let project = term.pass("propose")?.update(candidate, [(one(), x)]).map(term.map(one()));
            return Ok(Obeying { candidate, of_part: None, project: draft.pass(project) });
        };
        let (kx, back) = (term.vector(draft), smooth.vector(draft));
        let project = draft.pass(term.pass("propose")?.update(kx, [(one(), kx)]).map(term.map(one())));
        let leave = draft.pass(Pass::new("leave").update(candidate, [(one(), x), (-one(), candidate)]));
        let add = draft.pass(Pass::new("obey").update(candidate, [(one(), candidate), (one(), back)]));
        Ok(Obeying { candidate, of_part: Some(Part { linop, kx, back, leave, add }), project })
    }

    fn propose(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        let Some(Part { linop: [k, kh], kx, back, leave, add }) = self.of_part else { return space.pass(self.project) };
        space.apply(k, x, kx)?;
        space.apply(kh, kx, self.candidate)?;
        space.pass(leave)?;
        space.pass(self.project)?;
        space.apply(kh, kx, back)?;
        space.pass(add)
    }
}

impl Admm {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Admm> {
        let smooth = Smooth::draft(draft, problem)?;
        let terms = Stated::draft(draft, problem)?;
        if terms.is_empty() {
            return value_err!("admm: the objective has no term but squares; use fista, or solve::cg");
        }
        let [x, r, p, nx, q, l, best] = std::array::from_fn(|_| smooth.vector(draft));
        let mu = Formula::from(smooth.mu);
        let [rho, rr, pq, alpha, next, beta, factor] = std::array::from_fn(|_| draft.scalar());
        let [before, after, slope, size, rest] = std::array::from_fn(|_| draft.scalar());
        let spectrum = Spectrum::draft(draft, problem, &smooth, rho)?;
        let penalty = draft.operator(&penalty(problem)?);
        let is_constraint = |t: &Stated| matches!(t.functional.0, Kind::Box { .. } | Kind::Bound { .. });
        let boxed = problem.hard().zip(&terms).find(|(t, stated)| t.whole && problem.selects && is_constraint(stated));
        let obeying = boxed.map(|(_, term)| Obeying::draft(draft, &smooth, term, x)).transpose()?;
        let candidate = obeying.as_ref().map_or(x, |o| o.candidate);
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
        // What directions are made of: the residual, or M times it, whose product with it is a pass of its own.
        let from = spectrum.as_ref().map_or(r, |m| m.z);
        let squared = |pass: Pass| if spectrum.is_none() { pass.dot(r, r) } else { pass };
        let weigh = draft.pass(Pass::new("weigh").dot(r, from));
        let residual = Pass::new("residual").update(
            r,
            [(one(), smooth.b), (rho.into(), first), (-one(), nx), (-mu.clone(), x), (-Formula::from(rho), l)],
        );
        let residual = draft.pass(squared(residual));
        let begin =
            Pass::new("begin").totals([next]).formula(rr, next).formula(before, next).update(p, [(one(), from)]);
        let begin = draft.pass(begin);
        let curve = Pass::new("curve").update(l, [(one(), q), (mu.clone(), p), (rho.into(), l)]).dot(p, l);
        let curve = draft.pass(curve);
        // Seven vectors are more than some devices bind.
        let advance = Pass::new("advance")
            .totals([pq])
            .formula(alpha, rr / pq)
            .update(x, [(one(), x), (alpha.into(), p)])
            .update(nx, [(one(), nx), (alpha.into(), q)])
            .update(r, [(one(), r), (-alpha, l)]);
        let advance = draft.pass(squared(advance));
        let turn = Pass::new("turn")
            .totals([next])
            .formula(beta, next / rr)
            .formula(rr, next)
            .update(p, [(one(), from), (beta.into(), p)]);
        let turn = draft.pass(turn);
        let left = draft.pass(Pass::new("left").totals([after]));
        let remains = draft.pass(Pass::new("remains").dot(r, r));
        let remained = draft.pass(Pass::new("remained").totals([rest]));
        // N of what is looked at is in nx where that is x, else in q.
        let of = if obeying.is_none() { nx } else { q };
        let sloping = |to: Vector, of: Vector, x: Vector| {
            let slope = [(one(), of), (mu.clone(), x), (-one(), smooth.b), (rho.into(), first)];
            Pass::new("slope").update(to, slope).dot(to, to).dot(x, x)
        };
        let slopes = draft.pass(sloping(q, of, candidate));
        let own = obeying.as_ref().map(|_| {
            let [own, size_of_own] = std::array::from_fn(|_| draft.scalar());
            let slopes = draft.pass(sloping(l, nx, x).totals([slope, size]));
            Own { slope: own, slopes, sloped: draft.pass(Pass::new("sloped").totals([own, size_of_own])) }
        });
        let sloped = draft.pass(Pass::new("sloped").totals([slope, size]));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), candidate)]));
        Ok(Admm {
            x,
            r,
            p,
            best,
            candidate,
            obeying,
            nx,
            q,
            l,
            smooth,
            spectrum,
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
            weigh,
            keep,
            begin,
            before,
            after,
            left,
            rest,
            remains,
            remained,
            slope,
            size,
            slopes,
            sloped,
            own,
        })
    }

    /// One iteration; `measured` with the fall of the system's residual and, where there is no bound, those of primal and dual.
    fn iterate(&self, space: &mut dyn Space, inner: usize, rho: f64, measured: bool) -> Result<()> {
        for s in &self.splits {
            if let Some([_, kh]) = s.term.linop {
                space.apply(kh, s.t, s.back)?;
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))?;
        space.apply(self.penalty, self.x, self.l)?;
        space.pass(self.residual)?;
        self.precondition(space)?;
        space.pass(self.begin)?;
        for step in 0..inner {
            space.apply(self.smooth.normal, self.p, self.q)?;
            space.apply(self.penalty, self.p, self.l)?;
            space.pass(self.curve)?;
            space.pass(self.advance)?;
            if step + 1 < inner || measured {
                self.precondition(space)?;
            }
            if step + 1 < inner {
                space.pass(self.turn)?;
            }
        }
        if measured {
            space.pass(self.left)?;
        }
        for s in &self.splits {
            s.turn(space, self.x, rho, measured && !self.is_bounded())?;
        }
        space.submit()
    }

    /// z = M r and ⟨r, z⟩, with a preconditioner.
    fn precondition(&self, space: &mut dyn Space) -> Result<()> {
        let Some(m) = &self.spectrum else { return Ok(()) };
        m.apply(space, self.r)?;
        space.pass(self.weigh)
    }

    /// Whether what is left can be bounded: all terms are norms and constraints.
    fn is_bounded(&self) -> bool {
        self.splits.iter().all(|s| s.gap.is_some())
    }

    /// N x anew: what is carried along gathers rounding.
    fn renew(&self, space: &mut dyn Space) -> Result<()> {
        space.apply(self.smooth.normal, self.x, self.nx)
    }

    /// What is left of what is looked at, which is there already where it was; of its gap the part of norms and constraints alone.
    fn doubt(&self, space: &mut dyn Space, rho: f64, farther: f64, looked: bool) -> Result<Doubt> {
        space.pass(self.remains)?;
        space.pass(self.remained)?;
        self.renew(space)?;
        if let Some(obeying) = &self.obeying {
            if !looked {
                obeying.propose(space, self.x)?;
            }
            space.apply(self.smooth.normal, self.candidate, self.q)?;
        }
        for s in &self.splits {
            match s.term.linop {
                Some([_, kh]) => space.apply(kh, s.u, s.back)?,
                None => space.copy(s.u, s.t)?,
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))?;
        space.pass(self.slopes)?;
        match &self.own {
            Some(own) => {
                space.pass(own.slopes)?;
                space.pass(own.sloped)?;
            }
            None => space.pass(self.sloped)?,
        }
        let mut gap = 0.0;
        for s in &self.splits {
            gap += s.gap(space, self.candidate, rho)?;
            space.pass(s.renew)?;
        }
        let scalars = space.scalars()?;
        let root = |s: Scalar| scalars[s.0].sqrt();
        let slope = root(self.slope);
        let own = self.own.as_ref().map_or(slope, |own| root(own.slope));
        Ok(Doubt { gap, slope, own, size: farther * root(self.size), inexact: root(self.rest) })
    }

    /// The part of the system's residual that the steps of the last measured iteration have left.
    fn fall(&self, scalars: &[f64]) -> f64 {
        match scalars[self.before.0] > 0.0 {
            true => (scalars[self.after.0] / scalars[self.before.0]).sqrt(),
            false => 0.0,
        }
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
    let normals: Vec<Linop> = problem.hard().map(|t| t.normal(problem.a.input()?)).collect::<Result<_>>()?;
    match normals.as_slice() {
        [only] => Ok(only.clone()),
        _ => linop::add(normals),
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
        if let Some(obeying) = &admm.obeying {
            obeying.propose(space, admm.x)?;
        }
        let looked = admm.objective.look(space)?;
        admm.splits.iter().try_for_each(|s| space.pass(s.renew))?;
        Ok(looked)
    };
    admm.renew(space)?;
    let mut best = look(space)?;
    space.pass(admm.keep)?;
    watch.see(0, best.objective);
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let solved = |space: &mut dyn Space, best: Looked, iterations: usize, stop: Stop| -> Result<Solved> {
        Ok(best.solved(space.get(admm.best)?, Method::Admm, iterations, stop))
    };
    let fields = if problem.bent.is_some() { 2 } else { 1 };
    let mut balance = Balance::new(teller.options().inner.max(1), admm.spectrum.as_ref().map(|_| fields));
    let bounded = admm.is_bounded();
    let mut changes = 0u32;
    for k in 1..=iterations {
        let reads = teller.reads(k);
        let due = if bounded { balance.is_due(k) } else { k.is_multiple_of(BALANCE_EVERY) };
        admm.iterate(space, balance.steps(k), rho, due || reads)?;
        let cancelled = teller.cancelled();
        if !(due || reads || cancelled) {
            continue;
        }
        let scalars = space.scalars()?;
        let looked = if reads || cancelled { Some(look(space)?) } else { None };
        let seen = looked.map(|looked| watch.see(k, looked.objective));
        if let (Some(looked), Some(seen)) = (looked, seen)
            && seen.best
        {
            space.pass(admm.keep)?;
            best = looked;
        }
        let doubt = match bounded || looked.is_some() {
            true => Some(admm.doubt(space, rho, problem.farther, looked.is_some())?),
            false => None,
        };
        let bound = doubt.as_ref().filter(|_| bounded);
        if due && !cancelled {
            let by = match bound {
                Some(doubt) => balance.look(k, doubt, admm.fall(&scalars)),
                None => {
                    balance.fell(admm.fall(&scalars));
                    let [primal, dual] = admm.residuals(&scalars);
                    let ratio = if dual > 0.0 { (primal / dual).sqrt() } else { MOST };
                    // Ever less often, so that the iteration comes to rest.
                    let far = ratio > BALANCED.sqrt() || ratio < 1.0 / BALANCED.sqrt();
                    (far && k >= (1 << changes.min(20))).then(|| ratio.clamp(1.0 / MOST, MOST))
                }
            };
            if let Some(by) = by {
                rho *= by;
                set_rho(space, rho)?;
                space.set_scalar(admm.factor, number(1.0 / by))?;
                admm.splits.iter().try_for_each(|s| space.pass(s.rescale))?;
                changes += 1;
            }
        }
        let (Some(looked), Some(seen), Some(doubt)) = (looked, seen, &doubt) else { continue };
        if !looked.objective.is_finite() && k > OVERFLOWED {
            return value_err!(
                "admm: the iteration overflowed at step {k}; the linop or the data have values near the end of f32"
            );
        }
        let part = |rest: f64| rest / looked.objective.abs().max(f64::MIN_POSITIVE);
        let gap = part(if bounded { doubt.whole() } else { doubt.gap });
        let residual = admm.smooth.part(doubt.slope);
        let gap_known = bounded.then_some(gap);
        let reading = Reading { gap: gap_known, residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || space.get(admm.candidate));
        if cancelled {
            return solved(space, best, k, Stop::Cancelled);
        }
        let calm = if bounded { CALM * tol } else { tol };
        if tol > 0.0 && seen.change <= calm && gap <= tol.max(LEAST_GAP) {
            return solved(space, best, k, within(gap, tol));
        }
    }
    solved(space, best, iterations, Stop::Iterations)
}

/// Iterations after which an objective that is not finite will not become so.
const OVERFLOWED: usize = 60;

/// The first penalty, as a part of ‖N‖ at least.
const FIRST: f64 = 0.1;

/// The penalty at which dual and primal steps are of the sizes that ρu and K x may have; with weak terms a part of ‖N‖.
fn first_penalty(admm: &Admm, problem: &Problem, norm: f64) -> Result<f64> {
    let least = FIRST * norm;
    let x = problem.a.h().apply(&problem.y)?;
    let (mut dual, mut primal) = (0.0, 0.0);
    for (term, split) in problem.hard().zip(&admm.splits) {
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
