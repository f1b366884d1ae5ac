//! Iteratively reweighted least squares: every l1 norm as a square with weights from the iterate before, each system by conjugate
//! gradients.
//!
//! ```text
//! wᵢ = λᵢ/√(|Kᵢ x|² + ε²),   x = argmin ½‖A x − y‖² + ½ Σ wᵢ|Kᵢ x|²
//! ```
//!
//! A step never raises Σ λ√(|K x|² + ε²), which is above the objective by less than λε for each number; ε falls on the way (Daubechies,
//! DeVore, Fornasier and Güntürk, Comm. Pure Appl. Math. 63:1, 2010).
//!
//! The p = w K x are duals, none above λ, so that what is left is bounded as in `balance`: ε leaves the gap of the terms, and the slope is
//! the residual of the next system at this x. Small ε make the systems ill-conditioned, and then x stands still above the limit: so ε
//! falls only while what it leaves is the larger part, and rest is what the bound says, not that the objective no longer falls. Where the
//! bound itself stands still it ends, and says what is left.

use super::balance::Doubt;
use super::options::{Reading, Teller};
use super::stage::{Draft, Gap, LEAST_GAP, Looked, Objective, Smooth, Stated, within};
use super::watch::{CALM, Watch};
use super::{Method, Problem, Solved, Term};
use crate::arithmetic::Expression;
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop;
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Map, Pass, Scalar, Space, Vector};

/// The first ε, as a part of max|K x|; by how much it falls in a step, and how far.
const FIRST: f64 = 0.1;
const FALL: f64 = 0.5;
const LAST: f64 = 1e-7;

/// Conjugate gradient steps between two reweightings at first and at most, between two readings of them, and the residual at which they
/// end.
const INNER: [usize; 2] = [50, 100];
const READ: usize = 10;
const RESIDUAL: f64 = 1e-5;

/// What is left stands still if it falls by less than this part in so many iterations.
const STILL: (f64, usize) = (0.1, 20);

fn one() -> Formula {
    Formula::from(1.0f32)
}

/// An l1 norm as a square.
struct Square {
    term: Stated,
    epsilon: Scalar,
    /// K x, W K of what the system is applied to, and Kᴴ of that.
    kx: Vector,
    t: Vector,
    back: Vector,
    /// From K x the weights, and p = W K x in t.
    reweigh: usize,
    /// t = W t.
    weigh: usize,
    gap: Gap,
}

impl Square {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, x: Vector) -> Result<Square> {
        let Kind::L1 { weight, .. } = term.functional.0 else {
            return value_err!("irls takes l1 norms and squares; {} wants admm", term.functional);
        };
        let (scale, t) = (term.vector(draft), term.vector(draft));
        let [kx, back] = match term.linop {
            Some(_) => [term.vector(draft), smooth.vector(draft)],
            None => [x, t],
        };
        let epsilon = draft.scalar();
        let over = || Map::Over(scale, Formula::from(0.0f32), scale);
        let weight = || Formula::from(weight);
        let reweigh = term.pass("reweigh")?.update(scale, [(one(), kx)]).map(Map::Root(epsilon.into(), term.weights));
        let reweigh = draft.pass(reweigh.update(t, [(weight(), kx)]).map(over()));
        let weigh = draft.pass(term.pass("weigh")?.update(t, [(weight(), t)]).map(over()));
        let Some(gap) = Gap::draft(draft, &term, t, kx, None)? else {
            return value_err!("irls: the gap of {} is not known", term.functional);
        };
        Ok(Square { term, epsilon, kx, t, back, reweigh, weigh, gap })
    }
}

/// The largest |K x| of a group.
fn largest(term: &Term, x: &Tensor) -> Result<f64> {
    let kx = match &term.linop {
        Some(k) => k.apply(x)?,
        None => x.clone(),
    };
    let squares = Expression::from(&kx).abs_squared().eval()?;
    let squares = match &term.functional.0 {
        Kind::L1 { dims, .. } if !dims.is_empty() => linop::sum(squares.shape().clone(), dims)?.apply(&squares)?,
        _ => squares,
    };
    Ok(squares.max_abs()?.sqrt())
}

/// How ε of a term falls.
struct Sharpness {
    epsilon: f64,
    least: f64,
}

impl Sharpness {
    fn of(term: &Term, x: &Tensor) -> Result<Sharpness> {
        let largest = largest(term, x)?;
        let epsilon = FIRST * if largest > 0.0 { largest } else { 1.0 };
        Ok(Sharpness { epsilon, least: epsilon * LAST / FIRST })
    }

    fn falls(&mut self) {
        self.epsilon = (self.epsilon * FALL).max(self.least);
    }
}

/// How exactly the systems are solved, and whether that still helps.
struct Effort {
    steps: usize,
    least: f64,
    /// When what is left last fell.
    fell: usize,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { steps: INNER[0], least: f64::INFINITY, fell: 0 }
    }
}

impl Effort {
    /// More steps where they did not end the system and the slope is most of what is left. Whether it stands still with as many as there
    /// are: more of them were measured to take longer and to end where these do.
    fn look(&mut self, iteration: usize, doubt: &Doubt, solved: bool) -> bool {
        if !solved && doubt.rest() > doubt.gap {
            self.steps = (2 * self.steps).min(INNER[1]);
        }
        if doubt.whole() < (1.0 - STILL.0) * self.least {
            (self.least, self.fell) = (doubt.whole(), iteration);
        }
        iteration >= self.fell + STILL.1 && (solved || self.steps == INNER[1])
    }
}

/// Reweighted least squares in a space.
pub(super) struct Irls {
    x: Vector,
    best: Vector,
    /// The direction, and the system applied to it or to x.
    p: Vector,
    q: Vector,
    smooth: Smooth,
    squares: Vec<Square>,
    /// The sum of all Kᴴ W K in the first one's place.
    gather: Vec<usize>,
    objective: Objective,
    curve: usize,
    advance: usize,
    turn: usize,
    /// b − (N + ΣKᴴ W K) x, where the next directions begin; its square and that of x.
    residual: usize,
    begin: usize,
    keep: usize,
    rr: Scalar,
    xx: Scalar,
}

impl Irls {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Irls> {
        let smooth = Smooth::draft(draft, problem)?;
        let [x, best, r, p, q] = std::array::from_fn(|_| smooth.vector(draft));
        let [rr, pq, next, xx, alpha, beta] = std::array::from_fn(|_| draft.scalar());
        let terms = Stated::draft(draft, problem)?.into_iter();
        let squares = terms.map(|term| Square::draft(draft, &smooth, term, x)).collect::<Result<Vec<_>>>()?;
        let stated: Vec<Stated> = squares.iter().map(|s| s.term.clone()).collect();
        let scratch: Vec<Option<Vector>> = squares.iter().map(|s| s.term.linop.map(|_| s.kx)).collect();
        let objective = Objective::draft(draft, problem, &smooth, &stated, x, &scratch)?;
        let mu = Formula::from(smooth.mu);
        let first = squares.first().map(|s| s.back);
        let gathered = |back: Vector| first.map(|f| Pass::new("gather").update(f, [(one(), f), (one(), back)]));
        let gather = squares.iter().skip(1).filter_map(|s| gathered(s.back)).map(|pass| draft.pass(pass)).collect();
        // The system's value at what N was applied to, in q.
        let system = |name, of: Vector| {
            let pass = Pass::new(name).update(q, [(one(), q), (mu.clone(), of)]);
            first.iter().fold(pass, |pass, f| pass.term(1.0f32, *f))
        };
        let curve = draft.pass(system("curve", p).dot(p, q));
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
        let residual = system("residual", x).update(r, [(one(), smooth.b), (-one(), q)]).dot(r, r).dot(x, x);
        let residual = draft.pass(residual);
        let begin = draft.pass(Pass::new("begin").totals([rr, xx]).update(p, [(one(), r)]));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        Ok(Irls {
            x,
            best,
            p,
            q,
            smooth,
            squares,
            gather,
            objective,
            curve,
            advance,
            turn,
            residual,
            begin,
            keep,
            rr,
            xx,
        })
    }

    /// ΣKᴴ t in the first one's place.
    fn gather(&self, space: &mut dyn Space) -> Result<()> {
        for s in &self.squares {
            if let Some([_, kh]) = s.term.linop {
                space.apply(kh, s.t, s.back)?;
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))
    }

    /// The weights of x, where all K x are there already, and the residual of their system.
    fn reweigh(&self, space: &mut dyn Space, sharpness: &[Sharpness]) -> Result<()> {
        for (s, sharpness) in self.squares.iter().zip(sharpness) {
            space.set_scalar(s.epsilon, number(sharpness.epsilon))?;
        }
        self.squares.iter().try_for_each(|s| space.pass(s.reweigh))?;
        space.apply(self.smooth.normal, self.x, self.q)?;
        self.gather(space)?;
        space.pass(self.residual)?;
        space.pass(self.begin)
    }

    /// A step of conjugate gradients.
    fn step(&self, space: &mut dyn Space) -> Result<()> {
        space.apply(self.smooth.normal, self.p, self.q)?;
        for s in &self.squares {
            match s.term.linop {
                Some([k, _]) => space.apply(k, self.p, s.t)?,
                None => space.copy(self.p, s.t)?,
            }
            space.pass(s.weigh)?;
        }
        self.gather(space)?;
        space.pass(self.curve)?;
        space.pass(self.advance)?;
        space.pass(self.turn)?;
        space.submit()
    }

    /// So many of them, or until the residual is small; whether it is.
    fn steps(&self, space: &mut dyn Space, steps: usize) -> Result<bool> {
        for k in 1..=steps {
            self.step(space)?;
            if k % READ == 0 || k == steps {
                let residual = space.scalars()?[self.rr.0].sqrt();
                if self.smooth.part(residual).is_none_or(|part| part <= RESIDUAL) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What is left after weights that are those of x: ε leaves the gap of the terms.
    fn doubt(&self, space: &mut dyn Space, farther: f64) -> Result<Doubt> {
        let mut gap = 0.0;
        for s in &self.squares {
            gap += s.gap.read(space, 1.0)?;
        }
        let scalars = space.scalars()?;
        let slope = scalars[self.rr.0].sqrt();
        Ok(Doubt { gap, slope, own: slope, size: farther * scalars[self.xx.0].sqrt(), inexact: 0.0 })
    }
}

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let mut draft = Draft::default();
    let irls = Irls::draft(&mut draft, problem)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let start = match &problem.start {
        Some(x) => x.clone(),
        // The image that the data suggest: 0 would weigh all alike.
        None => space.get(irls.smooth.b)?,
    };
    space.set(irls.x, &start)?;
    let mut sharpness = problem.hard().map(|term| Sharpness::of(term, &start)).collect::<Result<Vec<_>>>()?;
    drop(start);
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let (mut watch, mut effort, mut best) = (Watch::new(true), Effort::default(), Looked::default());
    let mut sharper = true;
    let mut ended = (iterations, Stop::Iterations);
    // Where the weights begin, which none of the iterates is compared to.
    irls.objective.look(space)?;
    irls.reweigh(space, &sharpness)?;
    for k in 1..=iterations {
        let exact = irls.steps(space, effort.steps)?;
        let looked = irls.objective.look(space)?;
        if !looked.objective.is_finite() {
            return value_err!("irls: the objective is not finite at step {k}; is the linop linear and finite?");
        }
        let seen = watch.see(k, looked.objective);
        if seen.best {
            space.pass(irls.keep)?;
            best = looked;
        }
        if sharper {
            sharpness.iter_mut().for_each(Sharpness::falls);
        }
        irls.reweigh(space, &sharpness)?;
        let doubt = irls.doubt(space, problem.farther)?;
        sharper = doubt.gap > doubt.rest();
        let left = doubt.whole() / looked.objective.abs().max(f64::MIN_POSITIVE);
        let residual = irls.smooth.part(doubt.slope);
        let reading = Reading { gap: Some(left), residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || space.get(irls.x));
        if teller.cancelled() {
            ended = (k, Stop::Cancelled);
            break;
        }
        if tol > 0.0 && left <= tol.max(LEAST_GAP) && seen.change <= CALM * tol {
            ended = (k, within(left, tol));
            break;
        }
        if effort.look(k, &doubt, exact) && tol > 0.0 {
            ended = (k, Stop::Attained);
            break;
        }
    }
    Ok(best.solved(space.get(irls.best)?, Method::Irls, ended.0, ended.1))
}

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem) -> Result<()> {
    Irls::draft(draft, problem).map(drop)
}

/// A step of conjugate gradients.
#[cfg(test)]
pub(super) fn iterated(problem: &Problem, space: &mut dyn Space) -> Result<()> {
    let mut draft = Draft::default();
    Irls::draft(&mut draft, problem)?.step(space)
}
