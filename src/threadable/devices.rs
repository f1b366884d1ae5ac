//! Sub-linops whose inputs lie on different devices: each runs where its input is, results meet on the first one's.

use super::packed::{self, Summed};
use super::{no_linops, run};
use crate::error::{Error, Result};
use crate::linop::{self, Threadable, Threads};
use crate::tensor::Tensor;
use std::sync::{Mutex, PoisonError};

/// Σ A_i x_i, a left fold; results go through the host to the device of the first input.
pub(super) fn sum(threads: &Threads, xs: &[Tensor]) -> Result<Tensor> {
    let (Some(first), Some(a)) = (xs.first(), threads.linops().first()) else { return Err(no_linops()) };
    let home = first.device();
    let one = linop::identity(a.output()?.clone())?;
    let add = Summed::of_each(&Threads::new(&[one.clone(), one]))?;
    let results: Vec<Mutex<Option<Tensor>>> = xs.iter().map(|_| Mutex::new(None)).collect();
    let place = |i: usize| results[i].lock().unwrap_or_else(PoisonError::into_inner);
    let total: Mutex<Option<Tensor>> = Mutex::new(None);
    let task = |i: usize| {
        let y = threads.linops()[i].apply(&xs[i])?.to(&home)?;
        *place(i) = Some(y);
        Ok(())
    };
    let join = |i: usize| {
        let y = place(i).take().ok_or(Error::Cancelled)?;
        let total = || total.lock().unwrap_or_else(PoisonError::into_inner);
        // Joins follow each other, so nobody misses the sum meanwhile; nothing is locked while it is added to.
        let before = total().take();
        let sum = match before {
            None => y,
            Some(sum) => add.apply(&packed::pack(&[sum, y])?)?,
        };
        *total() = Some(sum);
        Ok(())
    };
    run(threads, home.lanes(), &task, &join)?;
    total.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or(Error::Cancelled)
}
