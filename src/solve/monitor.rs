//! What is read, kept and told while a solver runs.

use super::SolveOptions;
use crate::error::Result;
use crate::tensor::Tensor;
use std::sync::atomic::Ordering;

/// A reading of the residual.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Iterations done.
    pub iteration: usize,
    /// Iterations at most.
    pub of: usize,
    /// ‖r‖/‖b‖ of the solver's recurrence.
    pub residual: f64,
    /// ‖b − N x‖/‖b‖ of the iterate, computed from it, where it was.
    pub true_residual: Option<f64>,
}

/// A reading, and a way to the iterate.
pub struct Progress<'a> {
    reading: Reading,
    number: usize,
    iterate: &'a mut dyn FnMut() -> Result<Tensor>,
}

impl Progress<'_> {
    /// What was read.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// Which right-hand side this is about, where there are several; 0 where there is one.
    pub fn right_hand_side(&self) -> usize {
        self.number
    }

    /// The iterate so far, a copy on the device of the data.
    ///
    /// # Errors
    /// There is no memory for it, or the device fails.
    pub fn iterate(&mut self) -> Result<Tensor> {
        (self.iterate)()
    }
}

#[cfg(feature = "app")]
impl Progress<'_> {
    /// Tells a reading of a method that is none of these solvers.
    pub(crate) fn tell(
        reading: Reading,
        iterate: &mut dyn FnMut() -> Result<Tensor>,
        tell: &mut dyn FnMut(&mut Progress),
    ) {
        tell(&mut Progress { reading, number: 0, iterate });
    }

    /// Tells the same reading of an iterate that is made of this one.
    pub(crate) fn retold(&mut self, tell: &mut dyn FnMut(&mut Progress), of: &dyn Fn(Tensor) -> Result<Tensor>) {
        let iterate = &mut *self.iterate;
        tell(&mut Progress { reading: self.reading, number: self.number, iterate: &mut || of(iterate()?) });
    }
}

/// When to look at a solve, and what was seen.
pub(super) struct Monitor<'a> {
    options: SolveOptions<'a>,
    pub history: Vec<Reading>,
    /// Iteration and residual when the iterate's own residual was last computed.
    checked: (usize, f64),
    /// Of the right-hand side, where there are several.
    pub number: usize,
}

/// Iterations after which the iterate's own residual is computed for the first time, if nothing else asks for it.
const FIRST_CHECK: usize = 32;

impl<'a> Monitor<'a> {
    pub fn new(options: SolveOptions<'a>) -> Monitor<'a> {
        Monitor { options, history: Vec::new(), checked: (FIRST_CHECK / 2, 1.0), number: 0 }
    }

    pub fn options(&self) -> &SolveOptions<'a> {
        &self.options
    }

    pub fn cancelled(&self) -> bool {
        self.options.cancel.is_some_and(|c| c.load(Ordering::Relaxed))
    }

    /// Whether scalars are read after this iteration.
    pub fn reads(&self, iteration: usize) -> bool {
        iteration.is_multiple_of(self.options.check_every.max(1)) || iteration == self.options.iterations
    }

    /// Whether the iterate's own residual is computed after this iteration: at the end, at a claimed convergence, whenever the
    /// recurrence's has fallen tenfold, and whenever the iterations have doubled.
    pub fn checks(&self, iteration: usize, residual: f64) -> bool {
        let (at, then) = self.checked;
        residual <= f64::from(self.options.tol)
            || iteration == self.options.iterations
            || residual <= 0.1 * then
            || iteration >= 2 * at
    }

    /// Keeps a reading and tells it.
    pub fn tell(
        &mut self,
        iteration: usize,
        residual: f64,
        true_residual: Option<f64>,
        iterate: &mut dyn FnMut() -> Result<Tensor>,
    ) {
        if true_residual.is_some() {
            self.checked = (iteration.max(FIRST_CHECK / 2), residual.min(self.checked.1));
        }
        let reading = Reading { iteration, of: self.options.iterations, residual, true_residual };
        self.history.push(reading);
        if let Some(progress) = &mut self.options.progress {
            progress(&mut Progress { reading, number: self.number, iterate });
        }
    }
}
