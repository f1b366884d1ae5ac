//! A term of ADMM: its variable z, its scaled dual u, and what is done with them for a new x.

use super::stage::Draft;
use super::stage::{Gap, Smooth, Stated};
use crate::error::Result;
use crate::vectors::{Formula, Pass, Scalar, Space, Vector};

/// Over-relaxation: Eckstein and Bertsekas, Math. Program. 55:293 (1992).
const ALPHA: f32 = 1.6;

fn one() -> Formula {
    Formula::from(1.0f32)
}

pub(super) struct Split {
    pub term: Stated,
    /// K x, then z − u.
    pub t: Vector,
    pub z: Vector,
    pub u: Vector,
    /// Kᴴ t; of terms of x itself t is that.
    pub back: Vector,
    /// u += t, before the prox; z, u, t after it. One pass where the prox is a map.
    before: usize,
    after: Option<usize>,
    /// The same with the residuals.
    measured_before: usize,
    measured_after: Option<usize>,
    pub taken: usize,
    pub primal: Scalar,
    pub dual: Scalar,
    pub size: Scalar,
    pub dual_size: Scalar,
    /// t = z − u anew, after t was used for something else.
    pub renew: usize,
    /// u and d after a change of the penalty.
    pub rescale: usize,
    /// Re⟨u, K x⟩ and Σ|K x|, where that is a gap.
    pub gap: Option<Gap>,
}

impl Split {
    pub fn draft(draft: &mut Draft, smooth: &Smooth, term: Stated, rho: Scalar, factor: Scalar) -> Result<Split> {
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
        let gap = Gap::draft(draft, &term, u, t, Some(z))?;
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
    pub fn turn(&self, space: &mut dyn Space, x: Vector, rho: f64, measured: bool) -> Result<()> {
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
    pub fn transformed(&self, space: &mut dyn Space, x: Vector) -> Result<()> {
        match self.term.linop {
            Some([k, _]) => space.apply(k, x, self.t),
            None => space.copy(x, self.t),
        }
    }

    /// f(K x) + f*(ρu) − Re⟨ρu, K x⟩, which is 0 at the solution and never negative.
    pub fn gap(&self, space: &mut dyn Space, x: Vector, rho: f64) -> Result<f64> {
        let Some(gap) = &self.gap else { return Ok(0.0) };
        self.transformed(space, x)?;
        gap.read(space, rho)
    }
}
