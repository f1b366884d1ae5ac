//! Applying independent linops side by side, by themselves or summed, on one device or several.
//!
//! A container that is applied as a linop is planned as one program and needs nothing of this. Here are its parts for lists of
//! inputs, for types of your own, and for several devices.

mod devices;
mod packed;

use crate::error::{Error, Result};
use crate::host::Tasks;
use crate::linop::{Threadable, Threads};
use crate::tensor::Tensor;
use packed::Summed;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

/// What sub-linops are applied to.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// One tensor that all of them read.
    One(&'a Tensor),
    /// A tensor for each.
    Each(&'a [Tensor]),
}

impl<'a> From<&'a Tensor> for Inputs<'a> {
    fn from(x: &'a Tensor) -> Self {
        Inputs::One(x)
    }
}

impl<'a> From<&'a [Tensor]> for Inputs<'a> {
    fn from(x: &'a [Tensor]) -> Self {
        Inputs::Each(x)
    }
}

impl<'a, const N: usize> From<&'a [Tensor; N]> for Inputs<'a> {
    fn from(x: &'a [Tensor; N]) -> Self {
        Inputs::Each(x)
    }
}

impl<'a> From<&'a Vec<Tensor>> for Inputs<'a> {
    fn from(x: &'a Vec<Tensor>) -> Self {
        Inputs::Each(x)
    }
}

/// Applying what is [`Threadable`].
///
/// ```
/// use linops::linop::{self, Threadable, Threads};
/// use linops::{DType, Tensor, ThreadedApply};
/// let a = linop::flip("N=4", "N")?;
/// let both = Threads::new(&[a.clone(), a]);
/// let x = Tensor::zeros("N=4", DType::F32)?;
/// assert_eq!(both.threaded_apply(&x)?.len(), 2);
/// let sum = both.threaded_apply_sum_reduce(&[x.clone(), x])?;
/// assert_eq!(sum.shape().to_string(), "N=4");
/// # Ok::<(), linops::Error>(())
/// ```
pub trait ThreadedApply: Threadable {
    /// The result of every sub-linop, in their order, each on the device of its input. One input goes to all, a list one
    /// each.
    ///
    /// # Errors
    /// Another number of inputs than sub-linops (both are named); or a sub-linop fails: one error that names it by index and
    /// label, after those that had begun have ended.
    fn threaded_apply<'a>(&self, inputs: impl Into<Inputs<'a>>) -> Result<Vec<Tensor>> {
        let (threads, inputs) = (self.threads(), inputs.into());
        expect_inputs(threads, &inputs)?;
        let results: Vec<Mutex<Option<Tensor>>> = threads.linops().iter().map(|_| Mutex::new(None)).collect();
        let place = |i: usize| results[i].lock().unwrap_or_else(PoisonError::into_inner);
        let task = |i: usize| {
            let y = threads.linops()[i].apply(inputs.at(i))?;
            *place(i) = Some(y);
            Ok(())
        };
        run(threads, inputs.at(0).device().lanes(), &task, &|_| Ok(()))?;
        let taken = results.into_iter().map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner));
        taken.map(|y| y.ok_or(Error::Cancelled)).collect()
    }

    /// The sum of the sub-linops' results, a left fold in their order, on the device of the first input. One input goes to
    /// all, a list one each. At most [`num_workers`](Threadable::num_workers) results exist at once beside the sum. A list
    /// is copied into one tensor first, on its device; through the host where its dtypes differ.
    ///
    /// # Errors
    /// As for [`threaded_apply`](ThreadedApply::threaded_apply); outputs of different shapes.
    fn threaded_apply_sum_reduce<'a>(&self, inputs: impl Into<Inputs<'a>>) -> Result<Tensor> {
        let (threads, inputs) = (self.threads(), inputs.into());
        expect_inputs(threads, &inputs)?;
        let Some(first) = threads.linops().first() else { return Err(no_linops()) };
        let shape = first.output()?;
        for (i, l) in threads.linops().iter().enumerate() {
            shape.expect(l.output()?).map_err(|e| e.at(format!("the output of {}", name(threads, i))))?;
        }
        for (i, l) in threads.linops().iter().enumerate() {
            l.input()?.expect(inputs.at(i).shape()).map_err(|e| e.at(format!("{}: input", name(threads, i))))?;
        }
        match inputs {
            Inputs::One(x) => threads.sum_of_one(Summed::of_one)?.apply(x),
            Inputs::Each(xs) if packed::together(xs) => threads.sum_of_each(Summed::of_each)?.apply(&packed::pack(xs)?),
            Inputs::Each(xs) => devices::sum(threads, xs),
        }
    }
}

impl<T: Threadable + ?Sized> ThreadedApply for T {}

impl Inputs<'_> {
    fn at(&self, i: usize) -> &Tensor {
        match self {
            Inputs::One(x) => x,
            Inputs::Each(xs) => &xs[i],
        }
    }
}

/// Runs a task for each sub-linop and joins in order, at most `lanes` at once; failures are named.
fn run(
    threads: &Threads,
    lanes: Option<usize>,
    task: &(dyn Fn(usize) -> Result<()> + Sync),
    join: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<()> {
    let count = threads.linops().len();
    let in_flight = threads.settings().in_flight(count, lanes);
    let stop = AtomicBool::new(false);
    Tasks { count, in_flight, stop: &stop }.run(task, join).map_err(|(i, e)| e.at(name(threads, i)))
}

fn name(threads: &Threads, i: usize) -> String {
    format!("linops[{i}] ({})", threads.linops()[i].label())
}

fn no_linops() -> Error {
    Error::Shape("there are no sub-linops; set_linops takes at least one".into())
}

fn expect_inputs(threads: &Threads, inputs: &Inputs) -> Result<()> {
    let count = threads.linops().len();
    match inputs {
        _ if count == 0 => Err(no_linops()),
        Inputs::Each(xs) if xs.len() != count => Err(Error::Shape(format!(
            "{} inputs for {count} sub-linops; give one for each, or a single one for all",
            xs.len()
        ))),
        _ => Ok(()),
    }
}
