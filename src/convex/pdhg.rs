//! Primal and dual steps: the gradient of the data term and the duals of the other terms, no system to solve.
//!
//! ```text
//! x' = prox(x − τ(N x − b + ΣKᵢᴴpᵢ)),   pᵢ' = prox*(pᵢ + σ Kᵢ(2x' − x)),   1/τ − σ‖ΣKᵢᴴKᵢ‖ ≥ ‖N‖/2
//! ```

use super::options::{Reading, Teller};
use super::stage::{Draft, Looked, Norm, Objective, Smooth, Stated};
use super::watch::Watch;
use super::{Method, Problem, Solved, dtype};
use crate::error::{Result, value_err};
use crate::functional::{Kind, number};
use crate::linop::{self, Linop};
use crate::solve::Stop;
use crate::tensor::Tensor;
use crate::vectors::{Formula, Measure, Pass, Scalar, Space, Vector};

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
    gap: Option<[usize; 2]>,
    product: Scalar,
    magnitudes: Scalar,
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
    descend: usize,
    keep: usize,
    restart: usize,
}

impl Pdhg {
    fn draft(draft: &mut Draft, problem: &Problem) -> Result<Pdhg> {
        let smooth = Smooth::draft(draft, problem)?;
        let terms = Stated::draft(draft, problem)?;
        let [x, bar, q, best] = std::array::from_fn(|_| smooth.vector(draft));
        let [tau, sigma] = std::array::from_fn(|_| draft.scalar());
        // One constraint or norm of x itself is obeyed by x; all else is a dual.
        let direct = terms.iter().position(|t| t.linop.is_none() && t.map(tau.into()).is_some());
        let mut direct_term = None;
        let mut duals = Vec::new();
        let mut scratch = Vec::new();
        for (k, term) in terms.into_iter().enumerate() {
            if Some(k) == direct {
                scratch.push((term.clone(), None));
                direct_term = Some(term);
                continue;
            }
            let dual = Dual::draft(draft, &smooth, term, sigma)?;
            scratch.push((dual.term.clone(), dual.term.linop.map(|_| dual.t)));
            duals.push(dual);
        }
        let (stated, scratch): (Vec<Stated>, Vec<Option<Vector>>) = scratch.into_iter().unzip();
        let objective = Objective::draft(draft, problem, &smooth, &stated, x, &scratch)?;
        let norm = Norm::draft(draft, smooth.normal, bar, q);
        let dual_norm = match duals.is_empty() {
            true => None,
            false => {
                let penalty = draft.operator(&penalty(problem, direct)?);
                Some(Norm::draft(draft, penalty, bar, q))
            }
        };
        let gather = duals.iter().skip(1).map(|d| {
            let first = duals[0].back;
            Pass::new("gather").update(first, [(one(), first), (one(), d.back)])
        });
        let gather: Vec<Pass> = gather.collect();
        let gather = gather.into_iter().map(|p| draft.pass(p)).collect();
        let step = match &direct_term {
            Some(t) => t.pass("descend")?,
            None => Pass::new("descend"),
        };
        let mut step = step
            .update(bar, [(one(), x)])
            .update(x, [(one() - tau * Formula::from(smooth.mu), x), (-tau, q), (tau.into(), smooth.b)]);
        if let Some(first) = duals.first() {
            step = step.term(-tau, first.back);
        }
        if let Some(t) = &direct_term {
            step = step.map(t.map(tau.into()));
        }
        let descend = draft.pass(step.update(bar, [((2.0f32).into(), x), (-one(), bar)]));
        let keep = draft.pass(Pass::new("keep").update(best, [(one(), x)]));
        let restart = draft.pass(Pass::new("restart").update(x, [(one(), best)]));
        Ok(Pdhg {
            x,
            bar,
            q,
            best,
            smooth,
            duals,
            gather,
            objective,
            norm,
            dual_norm,
            tau,
            sigma,
            descend,
            keep,
            restart,
        })
    }

    fn iterate(&self, space: &mut dyn Space) -> Result<()> {
        space.apply(self.smooth.normal, self.x, self.q)?;
        for d in &self.duals {
            match d.term.linop {
                Some([_, kh]) => space.apply(kh, d.p, d.back)?,
                None => space.copy(d.p, d.back)?,
            }
        }
        self.gather.iter().try_for_each(|pass| space.pass(*pass))?;
        space.pass(self.descend)?;
        for d in &self.duals {
            d.transformed(space, self.bar)?;
            space.pass(d.step)?;
        }
        space.submit()
    }
}

/// ΣKᴴK over the duals.
fn penalty(problem: &Problem, direct: Option<usize>) -> Result<Linop> {
    let hard = problem.terms.iter().filter(|t| !super::stage::is_smooth(t)).enumerate();
    let normals: Vec<Linop> = hard
        .filter(|(k, _)| Some(*k) != direct)
        .map(|(_, t)| match &t.linop {
            Some(k) if !t.orthonormal => Ok(k.n()),
            _ => linop::identity(problem.a.input()?.clone()),
        })
        .collect::<Result<_>>()?;
    match normals.as_slice() {
        [only] => Ok(only.clone()),
        _ => linop::add(normals),
    }
}

impl Dual {
    fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, sigma: Scalar) -> Result<Dual> {
        let [p, t] = std::array::from_fn(|_| term.vector(draft));
        let back = smooth.vector(draft);
        let [product, magnitudes] = std::array::from_fn(|_| draft.scalar());
        let Some(map) = term.dual_map() else {
            return value_err!(
                "pdhg takes l1 norms, squares, and one constraint of x itself; {} wants admm",
                term.functional
            );
        };
        let step = term.pass("dual")?.update(p, [(one(), p), (sigma.into(), t)]).map(map);
        let step = draft.pass(step);
        let begun = term.pass("gap")?.dot(p, t).measure(Measure::Magnitudes(t, term.weights));
        let gap = Some([draft.pass(begun), draft.pass(Pass::new("gap taken").totals([product, magnitudes]))]);
        Ok(Dual { term, p, t, back, step, gap, product, magnitudes })
    }

    fn transformed(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        match self.term.linop {
            Some([k, _]) => space.apply(k, x, self.t),
            None => space.copy(x, self.t),
        }
    }

    /// f(K x) − Re⟨p, K x⟩.
    fn gap(&self, space: &mut dyn Space, x: Vector) -> Result<f64> {
        let (Some([begun, taken]), Kind::L1 { weight, .. }) = (self.gap, &self.term.functional.0) else {
            return Ok(0.0);
        };
        self.transformed(space, x)?;
        space.pass(begun)?;
        space.pass(taken)?;
        let scalars = space.scalars()?;
        Ok((weight * scalars[self.magnitudes.0] - scalars[self.product.0]).max(0.0))
    }
}

/// τ and σ: their ratio is that of the sizes of x and the duals, where these can be told.
fn steps(pdhg: &Pdhg, problem: &Problem, norm: f64, dual_norm: f64, balance: f64) -> Result<[f64; 2]> {
    let b = problem.a.h().apply(&problem.y)?;
    let x = crate::functional::squared_norm(&b)?.sqrt() / norm;
    let dual = |d: &Dual| match d.term.functional.0 {
        Kind::L1 { weight, .. } => weight * weight * d.term.shape.len() as f64,
        _ => 0.0,
    };
    let p = pdhg.duals.iter().map(dual).sum::<f64>().sqrt();
    let sigma = match x > 0.0 && p > 0.0 {
        true => balance * RATIO * p / (x * dual_norm.sqrt()),
        false => balance / dual_norm.sqrt(),
    };
    Ok([1.0 / (norm / 2.0 + sigma * dual_norm), sigma])
}

/// Of what a dual is at most a part is there.
const RATIO: f64 = 0.3;

pub(super) fn solve(problem: &Problem, teller: &mut Teller) -> Result<Solved> {
    let device = problem.y.device();
    let mut draft = Draft::default();
    let pdhg = Pdhg::draft(&mut draft, problem)?;
    let mut space = draft.space(&device)?;
    let space = &mut *space;
    let (shape, dtype) = (pdhg.smooth.shape.clone(), dtype(problem));
    let mut norm = match teller.options().norm {
        Some(norm) => norm + pdhg.smooth.mu,
        None => pdhg.norm.find(space, &shape, dtype, &device, pdhg.smooth.mu)?,
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
            Ok(Solved {
                x: space.get(pdhg.best)?,
                objective: best.objective,
                data_term: best.data,
                misfit: best.misfit,
                iterations,
                method: Method::Pdhg,
                halved,
                history: Vec::new(),
                stop,
            })
        };
    for k in 1..=iterations {
        pdhg.iterate(space)?;
        let cancelled = teller.cancelled();
        if !cancelled && !teller.reads(k) {
            continue;
        }
        let looked = pdhg.objective.look(space)?;
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
            watch.restart();
        }
        let mut gap = 0.0;
        for d in &pdhg.duals {
            gap += d.gap(space, pdhg.x)?;
        }
        let gap = gap / looked.objective.abs().max(f64::MIN_POSITIVE);
        let reading = Reading {
            iteration: k,
            of: iterations,
            objective: looked.objective,
            data_term: looked.data,
            change: seen.change,
            gap: Some(gap),
        };
        teller.tell(reading, &mut || space.get(pdhg.x));
        if cancelled {
            return solved(space, best, k, halved, Stop::Cancelled);
        }
        if tol > 0.0 && seen.change <= tol && gap <= tol.max(GAP) && !seen.grows {
            return solved(space, best, k, halved, Stop::Converged);
        }
    }
    solved(space, best, iterations, halved, Stop::Iterations)
}

/// Smaller gaps are rounding.
const GAP: f64 = 1e-5;

/// The passes for a problem, for those who look at kernels.
#[cfg(feature = "gpu")]
pub(super) fn draft(draft: &mut Draft, problem: &Problem) -> Result<()> {
    Pdhg::draft(draft, problem).map(drop)
}
