//! Proximal gradient methods: ISTA, FISTA with restart, POGM.

use super::options::{Reading, Teller};
use super::stage::{Draft, Looked, Norm, Objective, Smooth, Stated};
use super::watch::Watch;
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Halvings of the step after which the problem is given up.
const HALVINGS: usize = 30;

/// A proximal gradient method in a space.
pub(super) struct Fista {
    method: Method,
    /// The iterate, and where the next gradient is taken.
    x: Vector,
    z: Vector,
    /// N z, then the step.
    v: Vector,
    best: Vector,
    /// K v, of an orthonormal K.
    coefficients: Option<Vector>,
    smooth: Smooth,
    term: Option<Stated>,
    objective: Objective,
    norm: Norm,
    step: Scalar,
    gradient: [usize; 2],
    shrink: Option<usize>,
    advance: usize,
    take: usize,
    slope: Slope,
    /// The square of what the slope's pass makes, and its sum.
    squared: usize,
    square: Scalar,
    begin: usize,
    restart: usize,
    keep: usize,
}

/// What a subgradient of F at x is told by.
enum Slope {
    /// The last step from z to x: it is no less.
    Step(usize),
    /// (z − x)/γ, which is one of the term; with the gradient at x, which the next step begins with.
    Exact([usize; 2]),
}

fn one() -> Formula {
    Formula::from(1.0f32)
}

impl Fista {
    pub fn draft(draft: &mut Draft, problem: &Problem, method: Method) -> Result<Fista> {
        let smooth = Smooth::draft(draft, problem)?;
        let mut terms = Stated::draft(draft, problem)?;
        let [x, z, v, best, e] = std::array::from_fn(|_| smooth.vector(draft));
        let coefficients = terms.first().and_then(|t| t.linop.map(|_| t.vector(draft)));
        let objective = Objective::draft(draft, problem, &smooth, &terms, x, &vec![coefficients; terms.len()])?;
        let norm = Norm::draft(draft, smooth.normal, v, best);
        let [step, momentum, next, beta, uphill, square] = std::array::from_fn(|_| draft.scalar());

        // The step of the prox: of POGM it is longer than that of the gradient.
        let [gamma, before] = std::array::from_fn(|_| draft.scalar());
        let prox_step: Formula = if method == Method::Pogm { gamma.into() } else { step.into() };
        let term = terms.pop();
        let map = term.as_ref().and_then(|t| t.map(prox_step.clone()));
        let descent = |pass: Pass| {
            pass.update(v, [(one() - step * Formula::from(smooth.mu), z), (-step, v), (step.into(), smooth.b)])
        };
        let direct = term.as_ref().filter(|t| t.linop.is_none());
        let mut plain = match direct {
            Some(t) => t.pass("gradient")?,
            None => Pass::new("gradient"),
        };
        let pogm = method == Method::Pogm;
        // The last gradient step from x, and the one with the term.
        let [w, u] = if pogm { std::array::from_fn(|_| smooth.vector(draft)) } else { [x, x] };
        if method != Method::Ista {
            // θ of the next iteration; an uphill momentum is dropped.
            plain = plain
                .formula(momentum, Formula::from(uphill).if_positive(1.0f32, momentum))
                .formula(next, (one() + (one() + momentum * momentum * 4.0f32).root()) * 0.5f32);
        }
        if pogm {
            plain = plain
                // γ' = (2θ + θ' − 1)/(L θ').
                .formula(before, Formula::from(uphill).if_positive(step, gamma))
                .formula(gamma, step * ((momentum * 2.0f32 + next - 1.0f32) / next));
        }
        let updates = |pass: Pass| -> Pass {
            if !pogm {
                return descent(pass);
            }
            // At x itself, from there along three directions (z is the last input of the prox).
            let ratio = (momentum - 1.0f32) / next;
            let pass =
                pass.update(v, [(one() - step * Formula::from(smooth.mu), x), (-step, v), (step.into(), smooth.b)]);
            let inertia = ratio.clone() * (step / before);
            pass.update(
                z,
                [
                    (inertia.clone(), z),
                    (one() + ratio.clone() + momentum / next, v),
                    (-ratio, w),
                    (-(momentum / next) - inertia, x),
                ],
            )
            .update(w, [(one(), v)])
            .update(v, [(one(), z)])
        };
        let finished = |pass: Pass| match (&direct, &map) {
            (Some(_), Some(map)) => updates(pass).map(map.clone()),
            _ => updates(pass),
        };
        let first = draft.pass(finished(plain.clone()));
        let with_totals = draft.pass(finished(plain.totals([uphill])));
        let shrink = match (&term, coefficients, &map) {
            (Some(t), Some(c), Some(map)) => {
                Some(draft.pass(t.pass("shrink")?.update(c, [(one(), c)]).map(map.clone())))
            }
            _ => None,
        };
        // The momentum points uphill where e·v > 0. Of FISTA e = x' − x, and v = z − x' is τ times a gradient of F. Of POGM, where from z to x'
        // are γ of the term alone, u = x − τG with G the gradient at x and that of the term at x' (Kim and Fessler 2018): v = x − u, and
        // e is by how much u moves.
        let of_term = step / gamma;
        let advance = match method {
            Method::Ista => Pass::new("advance")
                .update(x, [(one(), v)])
                .update(v, [(one(), z), (-one(), x)])
                .update(z, [(one(), x)])
                .dot(x, x),
            Method::Pogm => Pass::new("advance")
                .formula(momentum, next)
                .update(e, [(one(), w), (-of_term.clone(), z), (of_term.clone(), v), (-one(), u)])
                .update(u, [(one(), v)])
                .update(v, [(one(), x), (-one(), w), (of_term.clone(), z), (-of_term.clone(), u)])
                .update(x, [(one(), u)])
                .update(u, [(one(), w), (-of_term.clone(), z), (of_term, x)])
                .dot(v, e),
            _ => Pass::new("advance")
                .formula(beta, (momentum - 1.0f32) / next)
                .formula(momentum, next)
                .update(e, [(one(), v), (-one(), x)])
                .update(x, [(one(), v)])
                .update(v, [(one(), z), (-one(), x)])
                .update(z, [(one(), x), (beta.into(), e)])
                .dot(v, e),
        };
        let advance = draft.pass(advance);
        let take = draft.pass(Pass::new("take").totals([uphill]));
        let slope = if pogm {
            let term = Pass::new("part").update(e, [(one() / gamma, z), (-(one() / gamma), x)]);
            let slope = Pass::new("slope")
                .update(e, [(one(), e), (one(), v), (smooth.mu.into(), x), (-one(), smooth.b)])
                .dot(e, e);
            Slope::Exact([term, slope].map(|pass| draft.pass(pass)))
        } else {
            Slope::Step(draft.pass(Pass::new("step").dot(v, v)))
        };
        let squared = draft.pass(Pass::new("squared").totals([square]));
        let reset = |pass: Pass| {
            pass.formula(momentum, 1.0f32).formula(uphill, 0.0f32).formula(gamma, step).formula(before, step)
        };
        let all = if pogm { vec![z, w, u] } else { vec![z] };
        let at = |pass: Pass, from: Vector| all.iter().fold(reset(pass), |pass, v| pass.update(*v, [(one(), from)]));
        let begin = draft.pass(at(Pass::new("begin"), x).update(best, [(one(), x)]));
        let restart = draft.pass(at(Pass::new("restart"), best).update(x, [(one(), best)]));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        let gradient = [first, with_totals];
        Ok(Fista {
            method,
            x,
            z,
            v,
            best,
            coefficients,
            smooth,
            term,
            objective,
            norm,
            step,
            gradient,
            shrink,
            advance,
            take,
            slope,
            squared,
            square,
            begin,
            restart,
            keep,
        })
    }

    /// One iteration. `fresh`: there are no sums of an iteration before. `known`: N x is there.
    fn iterate(&self, space: &mut dyn Space, [fresh, known]: [bool; 2], step: f64) -> Result<()> {
        let at = if self.method == Method::Pogm { self.x } else { self.z };
        if !known {
            space.apply(self.smooth.normal, at, self.v)?;
        }
        space.pass(self.gradient[usize::from(!fresh)])?;
        if let Some(term) = &self.term {
            match (term.linop, self.coefficients, self.shrink) {
                (Some([k, kh]), Some(c), shrink) => {
                    space.apply(k, self.v, c)?;
                    match shrink {
                        Some(pass) => space.pass(pass)?,
                        None => self.call(space, c, step)?,
                    }
                    space.apply(kh, c, self.v)?;
                }
                // What is a map went with the gradient.
                _ if term.map(step.into()).is_some() => {}
                _ => self.call(space, self.v, step)?,
            }
        }
        space.pass(self.advance)?;
        space.submit()
    }

    /// The square of the slope at x, for the scalars that are read next; whether N x is there after it.
    fn slope(&self, space: &mut dyn Space) -> Result<bool> {
        let known = match self.slope {
            Slope::Step(step) => {
                space.pass(step)?;
                false
            }
            Slope::Exact([term, slope]) => {
                space.pass(term)?;
                space.apply(self.smooth.normal, self.x, self.v)?;
                space.pass(slope)?;
                true
            }
        };
        space.pass(self.squared)?;
        Ok(known)
    }

    /// A functional that is called between passes.
    fn call(&self, space: &mut dyn Space, v: Vector, step: f64) -> Result<()> {
        let Some(term) = &self.term else { return Ok(()) };
        let step = match self.method {
            Method::Pogm => return value_err!("pogm takes l1 norms and constraints; {} wants fista", term.functional),
            _ => step,
        };
        let prox = term.functional.prox(&space.get(v)?, step)?;
        space.set(v, &prox)
    }
}

pub(super) fn solve(problem: &Problem, method: Method, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let mut draft = Draft::default();
    let fista = Fista::draft(&mut draft, problem, method)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let mut bound = match teller.options().norm {
        Some(norm) => norm + fista.smooth.mu,
        None => fista.norm.find(space, &fista.smooth.shape, fista.smooth.dtype, &device, fista.smooth.mu)?,
    };
    let start = match &problem.start {
        Some(x) => x.clone(),
        None => Tensor::zeros(fista.smooth.shape.clone(), dtype(problem))?.to(&device)?,
    };
    space.set(fista.x, &start)?;
    let mut run = Run { fista: &fista, watch: Watch::new(false), best: Looked::default(), halved: 0 };
    let set_step = |space: &mut dyn Space, bound: f64| -> Result<f64> {
        let step = 1.0 / bound;
        space.set_scalar(fista.step, crate::functional::number(step))?;
        Ok(step)
    };
    let mut step = set_step(space, bound)?;
    space.pass(fista.begin)?;
    run.best = fista.objective.look(space)?;
    run.watch.see(0, run.best.objective);
    let (iterations, tol) = (teller.options().iterations, teller.options().tol);
    let (mut fresh, mut known) = (true, false);
    for k in 1..=iterations {
        fista.iterate(space, [fresh, known], step)?;
        (fresh, known) = (false, false);
        let cancelled = teller.cancelled();
        if !cancelled && !teller.reads(k) {
            continue;
        }
        space.pass(fista.take)?;
        known = fista.slope(space)?;
        let (looked, scalars) = fista.objective.look_with(space)?;
        fresh = true;
        let seen = run.watch.see(k, looked.objective);
        let square = scalars[fista.square.0].sqrt();
        let slope = match fista.slope {
            Slope::Step(_) => square / step,
            Slope::Exact(_) => square,
        };
        // What grows is left for the best, of which this is not.
        let residual = fista.smooth.part(slope).filter(|_| !seen.grows);
        if seen.best {
            space.pass(fista.keep)?;
            run.best = looked;
        }
        if seen.grows {
            run.halved += 1;
            if run.halved > HALVINGS {
                return value_err!("{method}: the objective grows with every step; is the linop linear and finite?");
            }
            bound *= 2.0;
            step = set_step(space, bound)?;
            space.pass(fista.restart)?;
            known = false;
            run.watch.restart();
        }
        let reading = Reading { residual, ..looked.reading((k, iterations), seen.change) };
        teller.tell(reading, &mut || space.get(fista.x));
        if cancelled {
            return run.solved(space, k, Stop::Cancelled);
        }
        if tol > 0.0 && seen.change <= tol && !seen.grows {
            return run.solved(space, k, Stop::Converged);
        }
    }
    run.solved(space, iterations, Stop::Iterations)
}

struct Run<'a> {
    fista: &'a Fista,
    watch: Watch,
    best: Looked,
    halved: usize,
}

impl Run<'_> {
    fn solved(self, space: &mut dyn Space, iterations: usize, stop: Stop) -> Result<Solved> {
        let x = space.get(self.fista.best)?;
        Ok(Solved { halved: self.halved, ..self.best.solved(x, self.fista.method, iterations, stop) })
    }
}

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem, method: Method) -> Result<()> {
    Fista::draft(draft, problem, method).map(drop)
}

/// One iteration between readings.
#[cfg(test)]
pub(super) fn iterated(problem: &Problem, method: Method, space: &mut dyn Space) -> Result<()> {
    let mut draft = Draft::default();
    Fista::draft(&mut draft, problem, method)?.iterate(space, [false; 2], 1.0)
}
