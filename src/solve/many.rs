//! Running recurrences to their ends: one alone, or several in lockstep.

use super::accuracy::Look;
use super::monitor::Monitor;
use super::options::Tell;
use super::{Progress, Solution, SolveOptions, Stop};
use crate::error::{Error, Result, value_err};
use crate::run::Needs;
use crate::tensor::Tensor;
use crate::vectors::Space;
use std::cell::RefCell;

/// Where a beginning has come to.
pub(super) enum Begun {
    /// Something was asked for that the next stage reads.
    More,
    /// Iterations may follow.
    Ready,
    /// Why there are none.
    Ended(Stop),
}

/// What was read of an iterate that is looked at: the residual of the recurrence, whether that has come to its end, and whether the
/// caller wants one.
pub(super) type Asked = (f64, bool, bool);

/// A solver. What it reads it has asked for before, so that others in lockstep can ask for the same in between.
pub(super) trait Recurrence: Sized {
    /// What a look tells beside the residual.
    type Seen;
    /// All that stands before the first iteration, in stages from 0 on: each reads what the one before has asked for.
    fn begin(&mut self, stage: usize, data: &Tensor, monitor: &mut Monitor) -> Result<Begun>;
    /// Lets the device do the next iteration, perhaps with those behind it; waits for nothing.
    fn advance(&mut self) -> Result<()>;
    /// Lets the device begin with all iterations.
    fn send(&mut self) -> Result<()>;
    /// The residual of the recurrence after iteration k, relative, and whether it has come to its end.
    fn residual(&mut self, k: usize) -> Result<(f64, bool)>;
    /// Asks for the residual of the iterate.
    fn ask(&mut self) -> Result<()>;
    /// The residual of the iterate from the iterate, which was asked for, beside that of the recurrence.
    fn look(&mut self, k: usize, recurrence: f64) -> Result<(Look, Self::Seen)>;
    /// Keeps the iterate, if it is the best one.
    fn take(&mut self, look: Look) -> Result<()>;
    /// Why iteration `look.iteration` was the last one.
    fn stop(&self, look: Look, seen: Self::Seen, options: &SolveOptions, ended: bool, cancelled: bool) -> Option<Stop>;
    /// A copy of the iterate at the scale of the data.
    fn iterate(&mut self) -> Result<Tensor>;
    /// The same of the best one, with its residual.
    fn best(&mut self) -> Result<(Tensor, f64)>;

    /// Reads what iteration k has come to, where that is due; asks for a look at the iterate, where that is.
    fn read(&mut self, k: usize, monitor: &mut Monitor) -> Result<Option<Asked>> {
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
        self.ask()?;
        Ok(Some((residual, ended, cancelled)))
    }

    /// Looks at the iterate, and tells why iteration k was the last one.
    fn judge(&mut self, k: usize, (residual, ended, cancelled): Asked, monitor: &mut Monitor) -> Result<Option<Stop>> {
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

/// The space of one solver, on the device of its data.
pub(super) fn one_space(needs: &Needs, data: &Tensor) -> Result<Box<dyn Space>> {
    let mut all = data.device().spaces(needs, 1).map_err(|e| e.at(needs.name))?;
    all.pop().ok_or_else(|| Error::Value(format!("{}: no space was made", needs.name)))
}

/// Runs one.
pub(super) fn alone<R: Recurrence>(mut one: R, data: &Tensor, mut monitor: Monitor) -> Result<Solution> {
    for stage in 0.. {
        match one.begin(stage, data, &mut monitor)? {
            Begun::More => {}
            Begun::Ready => break,
            Begun::Ended(stop) => return one.solution(0, stop, monitor),
        }
    }
    let iterations = monitor.options().iterations;
    for k in 1..=iterations {
        one.advance()?;
        if let Some(asked) = one.read(k, &mut monitor)?
            && let Some(stop) = one.judge(k, asked, &mut monitor)?
        {
            return one.solution(k, stop, monitor);
        }
    }
    one.solution(iterations, Stop::Iterations, monitor)
}

/// One of several that run.
struct Running<'o, R> {
    number: usize,
    one: R,
    monitor: Monitor<'o>,
    asked: Option<Asked>,
}

/// Makes one for each of the data and runs them in lockstep, until each has ended by itself.
pub(super) fn together<R: Recurrence>(
    data: &[Tensor],
    options: SolveOptions,
    needs: impl Fn(&Tensor, &SolveOptions) -> Result<Needs>,
    make: impl Fn(Box<dyn Space>, &Needs) -> R,
) -> Result<Vec<Solution>> {
    let at = |n: usize| move |e: Error| e.at(format!("right-hand side {n} of {}", data.len()));
    let SolveOptions { lambda, iterations, tol, check_every, start, starts, progress, cancel } = options;
    if !starts.is_empty() && starts.len() != data.len() {
        return value_err!("{} starts for {} right-hand sides; expected one each", starts.len(), data.len());
    }
    let progress = progress.map(RefCell::new);
    let own = |n: usize| {
        let tell = progress.as_ref().map(|tell| -> Tell<'_> { Box::new(move |p: &mut Progress| tell.borrow_mut()(p)) });
        let start = starts.get(n).or(start.as_ref()).cloned();
        SolveOptions { lambda, iterations, tol, check_every, start, starts: Vec::new(), progress: tell, cancel }
    };
    let spaces = spaces(data, |n, one| needs(one, &own(n)).map_err(at(n)))?;
    let mut running: Vec<Running<R>> = Vec::new();
    for (number, (space, needs)) in spaces.into_iter().enumerate() {
        let mut monitor = Monitor::new(own(number));
        monitor.number = number;
        running.push(Running { number, one: make(space, &needs), monitor, asked: None });
    }
    let mut ended: Vec<Option<Solution>> = data.iter().map(|_| None).collect();
    let mut ready = Vec::new();
    for stage in 0.. {
        for mut r in std::mem::take(&mut running) {
            let n = r.number;
            match r.one.begin(stage, &data[n], &mut r.monitor).map_err(at(n))? {
                Begun::More => running.push(r),
                Begun::Ready => ready.push(r),
                Begun::Ended(stop) => ended[n] = Some(r.one.solution(0, stop, r.monitor).map_err(at(n))?),
            }
        }
        if running.is_empty() {
            break;
        }
    }
    let mut running = ready;
    for k in 1..=iterations {
        // All are on their way before anyone is waited for.
        for r in &mut running {
            r.one.advance().map_err(at(r.number))?;
        }
        for r in running.iter_mut().filter(|r| r.monitor.reads(k)) {
            r.one.send().map_err(at(r.number))?;
        }
        for r in &mut running {
            r.asked = r.one.read(k, &mut r.monitor).map_err(at(r.number))?;
        }
        for mut r in std::mem::take(&mut running) {
            let n = r.number;
            let stop = match r.asked.take() {
                Some(asked) => r.one.judge(k, asked, &mut r.monitor).map_err(at(n))?,
                None => None,
            };
            match stop {
                Some(stop) => ended[n] = Some(r.one.solution(k, stop, r.monitor).map_err(at(n))?),
                None => running.push(r),
            }
        }
    }
    for r in running {
        let n = r.number;
        ended[n] = Some(r.one.solution(iterations, Stop::Iterations, r.monitor).map_err(at(n))?);
    }
    Ok(ended.into_iter().flatten().collect())
}

/// A space for each of the data: those of one dtype on one device in lockstep.
fn spaces(data: &[Tensor], needs: impl Fn(usize, &Tensor) -> Result<Needs>) -> Result<Vec<(Box<dyn Space>, Needs)>> {
    let all = data.iter().enumerate().map(|(n, one)| needs(n, one)).collect::<Result<Vec<_>>>()?;
    let mut made: Vec<Option<Box<dyn Space>>> = data.iter().map(|_| None).collect();
    for first in 0..data.len() {
        if made[first].is_some() {
            continue;
        }
        let (device, dtype) = (data[first].device(), data[first].dtype());
        let alike = |n: &usize| data[*n].dtype() == dtype && data[*n].device().same(&device);
        let alike: Vec<usize> = (first..data.len()).filter(alike).collect();
        let spaces = device.spaces(&all[first], alike.len()).map_err(|e| e.at(all[first].name))?;
        for (n, space) in alike.into_iter().zip(spaces) {
            made[n] = Some(space);
        }
    }
    Ok(made.into_iter().flatten().zip(all).collect())
}
