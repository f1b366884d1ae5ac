//! Running recurrences to their ends: one alone, or several in lockstep.

use super::monitor::Monitor;
use super::options::Tell;
use super::{Progress, Solution, SolveOptions, Stop};
use crate::error::Result;
use crate::tensor::Tensor;
use std::cell::RefCell;

/// A solver that has begun.
pub(super) trait Recurrence: Sized {
    /// Lets the device do the next iteration; waits for nothing.
    fn advance(&mut self) -> Result<()>;
    /// Reads what iteration k has come to, where that is due, and tells why it was the last one.
    fn read(&mut self, k: usize, monitor: &mut Monitor) -> Result<Option<Stop>>;
    /// The best iterate, after so many iterations.
    fn solution(self, iterations: usize, stop: Stop, monitor: Monitor) -> Result<Solution>;
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
        for (n, one, _) in &mut running {
            one.advance().map_err(at(*n))?;
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
