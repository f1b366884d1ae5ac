//! Running recurrences to their ends: one alone, or several in lockstep.

use super::accuracy::Look;
use super::monitor::Monitor;
use super::options::Tell;
use super::{Progress, Solution, SolveOptions, Stop};
use crate::error::Result;
use crate::tensor::Tensor;
use std::cell::RefCell;

/// A solver that has begun.
pub(super) trait Recurrence: Sized {
    /// What a look tells beside the residual.
    type Seen;
    /// Lets the device do the next iteration, perhaps with those behind it; waits for nothing.
    fn advance(&mut self) -> Result<()>;
    /// Lets the device begin with all iterations.
    fn send(&mut self) -> Result<()>;
    /// The residual of the recurrence after iteration k, relative, and whether it has come to its end.
    fn residual(&mut self, k: usize) -> Result<(f64, bool)>;
    /// The residual of the iterate from the iterate, beside that of the recurrence.
    fn look(&mut self, k: usize, recurrence: f64) -> Result<(Look, Self::Seen)>;
    /// Keeps the iterate, if it is the best one.
    fn take(&mut self, look: Look) -> Result<()>;
    /// Why iteration `look.iteration` was the last one.
    fn stop(&self, look: Look, seen: Self::Seen, options: &SolveOptions, ended: bool, cancelled: bool) -> Option<Stop>;
    /// A copy of the iterate at the scale of the data.
    fn iterate(&mut self) -> Result<Tensor>;
    /// The same of the best one, with its residual.
    fn best(&mut self) -> Result<(Tensor, f64)>;

    /// Reads what iteration k has come to, where that is due, and tells why it was the last one.
    fn read(&mut self, k: usize, monitor: &mut Monitor) -> Result<Option<Stop>> {
        // Asked once: what is set while it is told counts at the next iteration.
        let cancelled = monitor.cancelled();
        if !cancelled && !monitor.reads(k) {
            return Ok(None);
        }
        let (residual, ended) = self.residual(k)?;
        if !ended && !cancelled && !monitor.checks(k, residual) {
            monitor.tell(k, residual, None, &mut || self.iterate());
            return Ok(None);
        }
        let (look, seen) = self.look(k, residual)?;
        self.take(look)?;
        monitor.tell(k, residual, Some(look.residual), &mut || self.iterate());
        Ok(self.stop(look, seen, monitor.options(), ended, cancelled))
    }

    /// The best iterate, after so many iterations.
    fn solution(mut self, iterations: usize, stop: Stop, monitor: Monitor) -> Result<Solution> {
        let (x, residual) = self.best()?;
        Ok(Solution { x, iterations, residual, history: monitor.history, stop })
    }
}

/// Runs one that has begun, unless that has ended it.
pub(super) fn alone<R: Recurrence>((mut one, ended): (R, Option<Stop>), mut monitor: Monitor) -> Result<Solution> {
    if let Some(stop) = ended {
        return one.solution(0, stop, monitor);
    }
    let iterations = monitor.options().iterations;
    for k in 1..=iterations {
        one.advance()?;
        if let Some(stop) = one.read(k, &mut monitor)? {
            return one.solution(k, stop, monitor);
        }
    }
    one.solution(iterations, Stop::Iterations, monitor)
}

/// Begins one for each of the data and runs them in lockstep, until each has ended by itself.
pub(super) fn together<R: Recurrence>(
    data: &[Tensor],
    options: SolveOptions,
    begin: impl Fn(&Tensor, &mut Monitor) -> Result<(R, Option<Stop>)>,
) -> Result<Vec<Solution>> {
    let at = |n: usize| move |e: crate::Error| e.at(format!("right-hand side {n} of {}", data.len()));
    let SolveOptions { lambda, iterations, tol, check_every, start, progress, cancel } = options;
    let progress = progress.map(RefCell::new);
    let mut ended: Vec<Option<Solution>> = Vec::new();
    let mut running = Vec::new();
    for (n, one) in data.iter().enumerate() {
        let tell = progress.as_ref().map(|tell| -> Tell<'_> { Box::new(move |p: &mut Progress| tell.borrow_mut()(p)) });
        let own = SolveOptions { lambda, iterations, tol, check_every, start: start.clone(), progress: tell, cancel };
        let mut monitor = Monitor::new(own);
        monitor.number = n;
        let (begun, stop) = begin(one, &mut monitor).map_err(at(n))?;
        ended.push(None);
        match stop {
            Some(stop) => ended[n] = Some(begun.solution(0, stop, monitor).map_err(at(n))?),
            None => running.push((n, begun, monitor)),
        }
    }
    for k in 1..=iterations {
        // All are on their way before anyone is waited for.
        for (n, one, monitor) in &mut running {
            one.advance().map_err(at(*n))?;
            if monitor.reads(k) {
                one.send().map_err(at(*n))?;
            }
        }
        for (n, mut one, mut monitor) in std::mem::take(&mut running) {
            match one.read(k, &mut monitor).map_err(at(n))? {
                Some(stop) => ended[n] = Some(one.solution(k, stop, monitor).map_err(at(n))?),
                None => running.push((n, one, monitor)),
            }
        }
    }
    for (n, one, monitor) in running {
        ended[n] = Some(one.solution(iterations, Stop::Iterations, monitor).map_err(at(n))?);
    }
    Ok(ended.into_iter().flatten().collect())
}
