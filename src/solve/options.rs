//! What all solvers are told.

use super::Progress;
use crate::dim::Shape;
use crate::error::{Result, value_err};
use crate::run::Device;
use crate::setters::setters;
use crate::tensor::{DType, Tensor};
use std::fmt;
use std::sync::atomic::AtomicBool;

/// Options of a solver.
///
/// ```
/// use linops::solve::SolveOptions;
/// let mut seen = Vec::new();
/// let options = SolveOptions::default().iterations(30).tol(1e-6).progress(|p| seen.push(p.reading().residual));
/// # drop(options);
/// ```
#[non_exhaustive]
pub struct SolveOptions<'a> {
    /// Tikhonov weight λ ≥ 0; 0 at first.
    pub lambda: f32,
    /// Iterations at most; 100 at first.
    pub iterations: usize,
    /// Stop when the residual of the iterate is ≤ tol·‖b‖; 0 goes on to the accuracy that 32-bit numbers attain. 1e-5 at first.
    pub tol: f32,
    /// Iterations between two readings; in between nothing comes back from the device. 5 at first.
    pub check_every: usize,
    /// Where to start from; from 0 at first.
    pub start: Option<Tensor>,
    /// Where to start each of several right-hand sides from; all from `start` at first.
    pub starts: Vec<Tensor>,
    /// Called after every reading.
    pub(super) progress: Option<Tell<'a>>,
    /// Set from elsewhere to stop.
    pub(super) cancel: Option<&'a AtomicBool>,
}

/// Who is told of readings.
pub(crate) type Tell<'a> = Box<dyn FnMut(&mut Progress) + 'a>;

impl Default for SolveOptions<'_> {
    fn default() -> Self {
        SolveOptions {
            lambda: 0.0,
            iterations: 100,
            tol: 1e-5,
            check_every: 5,
            start: None,
            starts: Vec::new(),
            progress: None,
            cancel: None,
        }
    }
}

setters! { SolveOptions<'_> {
    /// With another Tikhonov weight.
    lambda: f32,
    /// With other iterations at most.
    iterations: usize,
    /// With another tolerance.
    tol: f32,
    /// With other iterations between two readings.
    check_every: usize,
} }

impl<'a> SolveOptions<'a> {
    /// Starts from this x, on the device of the data. The better it is the fewer iterations are left; the tolerance stays relative
    /// to the data.
    #[must_use]
    pub fn start(mut self, x: &Tensor) -> Self {
        self.start = Some(x.clone());
        self
    }

    /// Starts several right-hand sides from an x each, in their order, as [`start`](SolveOptions::start) does all of them.
    #[must_use]
    pub fn starts(mut self, xs: &[Tensor]) -> Self {
        self.starts = xs.to_vec();
        self
    }

    /// Calls this after every reading.
    pub fn progress(mut self, progress: impl FnMut(&mut Progress) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops at the next iteration once this is set, from elsewhere or by what is called; the iterate so far is returned. A GPU first
    /// does what it was given before: the iterations up to a reading at most.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Who is told and who cancels, for solvers made of others.
    #[cfg(feature = "app")]
    pub(crate) fn told(self) -> (Option<Tell<'a>>, Option<&'a AtomicBool>) {
        (self.progress, self.cancel)
    }

    /// # Errors
    /// A number makes no sense.
    pub(crate) fn check(&self, solver: &str) -> Result<()> {
        for (name, v) in [("lambda", self.lambda), ("tol", self.tol)] {
            if !v.is_finite() || v < 0.0 {
                return value_err!("{solver}: {name} is {v}; expected a finite number from 0 on");
            }
        }
        match self.starts.len() {
            0 => Ok(()),
            n => value_err!("{solver}: {n} starts are for as many right-hand sides; give one by `start`"),
        }
    }

    /// # Errors
    /// The start is not like x.
    pub(super) fn check_start(&self, solver: &str, (shape, dtype): &(Shape, DType), device: &Device) -> Result<()> {
        let Some(start) = &self.start else { return Ok(()) };
        shape.expect(start.shape()).map_err(|e| e.at(format!("{solver}: the start")))?;
        if start.dtype() != *dtype {
            return value_err!("{solver}: the start is {}, the data are {dtype}; convert one", start.dtype());
        }
        if !start.device().same(device) {
            let here = device.name();
            return value_err!("{solver}: the start is on {}, the data on {here}; move it there", start.device_name());
        }
        Ok(())
    }

    /// # Errors
    /// There is a start and damping, which this solver does not do together.
    pub(super) fn check_damping(&self, solver: &str, instead: &str) -> Result<()> {
        match (self.start.is_some() || !self.starts.is_empty()) && self.lambda > 0.0 {
            true => value_err!("{solver}: takes no start with lambda = {}; use {instead}", self.lambda),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for SolveOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SolveOptions")
            .field("lambda", &self.lambda)
            .field("iterations", &self.iterations)
            .field("tol", &self.tol)
            .field("check_every", &self.check_every)
            .field("start", &self.start.is_some())
            .field("starts", &self.starts.len())
            .field("progress", &self.progress.is_some())
            .field("cancel", &self.cancel.is_some())
            .finish()
    }
}
