//! What convex solvers are told, and what they tell.

use crate::error::{Result, value_err};
use crate::setters::setters;
use crate::tensor::Tensor;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a convex problem is solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Proximal gradient steps: Daubechies, Defrise and De Mol, Comm. Pure Appl. Math. 57:1413 (2004).
    Ista,
    /// The same with momentum (Beck and Teboulle, SIAM J. Imaging Sci. 2:183, 2009), which is dropped when it points uphill
    /// (O'Donoghue and Candès, Found. Comput. Math. 15:715, 2015). Of terms whose prox has no formula, l1 norms of other linops or
    /// several terms, it and ISTA solve the prox by its dual, with [`Fgp`](Method::Fgp): slower than methods that split them.
    Fista,
    /// The proximal optimised gradient method: Taylor, Hendrickx and Glineur, SIAM J. Optim. 27:1283 (2017), with the restart of
    /// Kim and Fessler, J. Optim. Theory Appl. 178:240 (2018).
    Pogm,
    /// Alternating directions with conjugate gradients inside: Boyd et al., Found. Trends Mach. Learn. 3:1 (2011). The penalty follows
    /// from a bound of what is left, or with functionals that are called from residual balancing (He, Yang and Wang, J. Optim. Theory
    /// Appl. 106:337, 2000).
    Admm,
    /// The primal-dual method with the gradient of the data term: Condat, J. Optim. Theory Appl. 158:460 (2013); Vũ, Adv. Comput. Math.
    /// 38:667 (2013). Without a data term's curvature it is that of Chambolle and Pock, J. Math. Imaging Vis. 40:120 (2011).
    Pdhg,
    /// For a data term with AᴴA = 1, such as that of denoising: fast gradient projection on the dual: Beck and Teboulle, IEEE Trans.
    /// Image Process. 18:2419 (2009), begun anew when it points downhill. Its gap bounds what is left.
    Fgp,
    /// Iteratively reweighted least squares: Daubechies, DeVore, Fornasier and Güntürk, Comm. Pure Appl. Math. 63:1 (2010), with
    /// conjugate gradients inside. For l1 norms and squares.
    Irls,
    /// Conjugate gradients: Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49:409 (1952). For squares alone.
    Cg,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Ista => "ista",
            Method::Fista => "fista",
            Method::Pogm => "pogm",
            Method::Admm => "admm",
            Method::Pdhg => "pdhg",
            Method::Fgp => "fgp",
            Method::Irls => "irls",
            Method::Cg => "cg",
        })
    }
}

impl FromStr for Method {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Method> {
        match name {
            "ista" => Ok(Method::Ista),
            "fista" => Ok(Method::Fista),
            "pogm" => Ok(Method::Pogm),
            "admm" => Ok(Method::Admm),
            "pdhg" => Ok(Method::Pdhg),
            "fgp" => Ok(Method::Fgp),
            "irls" => Ok(Method::Irls),
            "cg" => Ok(Method::Cg),
            _ => value_err!("no solver \"{name}\"; expected ista, fista, pogm, admm, pdhg, fgp, irls or cg"),
        }
    }
}

/// Options of a convex solver.
///
/// ```
/// use linops::convex::{ConvexOptions, Method};
/// let options = ConvexOptions::default().iterations(500).tol(1e-5).method(Some(Method::Admm));
/// assert_eq!(options.iterations, 500);
/// ```
#[non_exhaustive]
pub struct ConvexOptions<'a> {
    /// The method, or the one that suits the terms.
    pub method: Option<Method>,
    /// Iterations at most; 1000 at first.
    pub iterations: usize,
    /// Stop when the objective is within this part of it of its limit; 0 does all iterations. 1e-4 at first.
    pub tol: f64,
    /// Iterations between two readings; in between nothing comes back from the device. 10 at first; of [`Cg`](super::Method::Cg) 4 at most.
    pub check_every: usize,
    /// ‖AᴴA‖, if it is known; else it is found by power iteration.
    pub norm: Option<f64>,
    /// Whether ISTA and FISTA find their steps by trying them: no norm is found first (if one is given it is where they begin), and
    /// the step grows where the linop is flatter. Each iteration looks at scalars. Not at first.
    pub backtracking: bool,
    /// ADMM's penalty, or PDHG's ratio of the dual step to the primal one, relative to the one that is chosen; 1 at first.
    pub balance: f64,
    /// Conjugate gradient steps of each iteration of ADMM, at most: it takes as many as its system needs. 12 at first.
    pub inner: usize,
    progress: Option<Tell<'a>>,
    cancel: Option<&'a AtomicBool>,
}

pub(crate) type Tell<'a> = Box<dyn FnMut(&mut Progress) + 'a>;

impl Default for ConvexOptions<'_> {
    fn default() -> Self {
        ConvexOptions {
            method: None,
            iterations: 1000,
            tol: 1e-4,
            check_every: 10,
            norm: None,
            backtracking: false,
            balance: 1.0,
            inner: 12,
            progress: None,
            cancel: None,
        }
    }
}

setters! { ConvexOptions<'_> {
    /// With this method, or the one that suits the terms.
    method: Option<Method>,
    /// With other iterations at most.
    iterations: usize,
    /// With another tolerance.
    tol: f64,
    /// With other iterations between two readings.
    check_every: usize,
    /// With ‖AᴴA‖ given.
    norm: Option<f64>,
    /// With steps of ISTA and FISTA that are tried.
    backtracking: bool,
    /// With another balance of primal and dual.
    balance: f64,
    /// With other conjugate gradient steps at most in each iteration of ADMM.
    inner: usize,
} }

impl<'a> ConvexOptions<'a> {
    /// Calls this after every reading.
    pub fn progress(mut self, progress: impl FnMut(&mut Progress) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops at the next reading once this is set; the best iterate so far is returned.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.iterations == 0 {
            return value_err!("the number of iterations is 0; expected at least 1");
        }
        if !(self.tol.is_finite() && self.tol >= 0.0) {
            return value_err!("tol is {}; expected a finite number from 0 on", self.tol);
        }
        if !(self.balance.is_finite() && self.balance > 0.0) {
            return value_err!("balance is {}; expected a finite number above 0", self.balance);
        }
        if let Some(norm) = self.norm.filter(|n| !(n.is_finite() && *n > 0.0)) {
            return value_err!("the norm is {norm}; expected a finite number above 0");
        }
        Ok(())
    }
}

impl fmt::Debug for ConvexOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConvexOptions")
            .field("method", &self.method)
            .field("iterations", &self.iterations)
            .field("tol", &self.tol)
            .field("check_every", &self.check_every)
            .field("norm", &self.norm)
            .field("backtracking", &self.backtracking)
            .field("balance", &self.balance)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// A reading of the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Iterations done.
    pub iteration: usize,
    /// Iterations at most.
    pub of: usize,
    /// F of the iterate, computed from it.
    pub objective: f64,
    /// Its part ½‖A x − y‖².
    pub data_term: f64,
    /// By how much F has fallen over the last half of the iterations, as a part of it; infinite before that is known.
    pub change: f64,
    /// How far F is from its limit, as a part of it, where the method can tell: by how far primal and dual are from each other; of
    /// [`Cg`](super::Method::Cg) an estimate from its fall.
    pub gap: Option<f64>,
    /// The norm of a subgradient of F at the iterate, AᴴA x − b + ΣKᵢᴴpᵢ, as a part of ‖b‖ with b = Aᴴy, where the method has one: 0 at a
    /// minimum. [`Ista`](super::Method::Ista) and [`Fista`](super::Method::Fista) tell ‖z − x‖/(τ‖b‖) of the last step from z to x, which
    /// is no less for a norm that is at least half of the true one, and exact proximal operators; with backtracking they tell it itself,
    /// as [`Pogm`](super::Method::Pogm) and [`Cg`](super::Method::Cg) do. Those of [`Admm`](super::Method::Admm) and [`Pdhg`](super::Method::Pdhg) are of their duals,
    /// which are ε-subgradients for an ε of no more than `gap` times F: both are to be small. Those of functionals that are called are
    /// subgradients where the prox has been, which K x comes to. [`Fgp`](super::Method::Fgp) makes x so that it is 0.
    pub residual: Option<f64>,
}

/// A reading, and a way to the iterate.
pub struct Progress<'a> {
    reading: Reading,
    iterate: &'a mut dyn FnMut() -> Result<Tensor>,
}

impl Progress<'_> {
    /// What was read.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// The iterate so far, a copy on the device of the data.
    ///
    /// # Errors
    /// There is no memory for it, or the device fails.
    pub fn iterate(&mut self) -> Result<Tensor> {
        (self.iterate)()
    }
}

/// Tells readings at the scale of the caller's data.
pub(super) struct Teller<'a> {
    options: ConvexOptions<'a>,
    /// Of an objective.
    factor: f64,
    /// Of a residual.
    slope: f64,
    unscale: &'a dyn Fn(Tensor) -> Result<Tensor>,
    pub history: Vec<Reading>,
}

impl<'a> Teller<'a> {
    pub fn new(
        options: ConvexOptions<'a>,
        [factor, slope]: [f64; 2],
        unscale: &'a dyn Fn(Tensor) -> Result<Tensor>,
    ) -> Teller<'a> {
        Teller { options, factor, slope, unscale, history: Vec::new() }
    }

    pub fn options(&self) -> &ConvexOptions<'a> {
        &self.options
    }

    pub fn factor(&self) -> f64 {
        self.factor
    }

    pub fn cancelled(&self) -> bool {
        self.options.cancel.is_some_and(|c| c.load(Ordering::Relaxed))
    }

    /// Whether the objective is read after this iteration.
    pub fn reads(&self, iteration: usize) -> bool {
        iteration.is_multiple_of(self.options.check_every.max(1)) || iteration == self.options.iterations
    }

    pub fn tell(&mut self, reading: Reading, iterate: &mut dyn FnMut() -> Result<Tensor>) {
        let reading = Reading {
            objective: self.factor * reading.objective,
            data_term: self.factor * reading.data_term,
            residual: reading.residual.map(|r| self.slope * r),
            ..reading
        };
        self.history.push(reading);
        if let Some(progress) = &mut self.options.progress {
            let unscale = self.unscale;
            progress(&mut Progress { reading, iterate: &mut || unscale(iterate()?) });
        }
    }
}
