//! Executes plans on the CPU: f32 for use, f64 as the oracle of the tests.
//!
//! Work is cut by shape, never by thread count, and every sum has a fixed tree, so results are the same bits for any number
//! of threads. Rayon's current pool is used, by the sub-linops of containers and within kernels alike.

mod element;
mod fft;
mod filter;
mod gather;
mod horner;
mod interpolate;
mod load;
mod memory;
mod reduce;
mod region;
mod step;
mod taps;
mod tasks;
mod vectors;

pub use element::{HostBuf, Real, Slice};
pub(crate) use memory::{Taken, constant_bytes, table_bytes, taken};
pub(crate) use tasks::Tasks;
pub(crate) use vectors::HostVectors;

use crate::error::{Result, shape_err};
use crate::program::{Kernel, Plan};
use fft::AxisPlans;
use filter::FilterPlan;
use region::Run;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;

/// Elements that one task of a pointwise kernel handles.
const CHUNK: usize = 1 << 13;

/// What a step prepares once.
enum Prepared<T: Real> {
    Nothing,
    Fft(AxisPlans<T>),
    Filter(FilterPlan<T>),
}

impl<T: Real> Prepared<T> {
    fn of(kernel: &Kernel) -> Prepared<T> {
        match kernel {
            Kernel::Filter { load, filter, .. } => Prepared::Filter(FilterPlan::new(filter, load)),
            _ => AxisPlans::of(kernel).map_or(Prepared::Nothing, Prepared::Fft),
        }
    }
}

/// Scratch and prepared transforms for one plan: what an apply needs for itself alone.
pub struct HostInstance<T: Real> {
    /// The plan gives steps that run at the same time different slots to write; a lock is never waited for.
    slots: Vec<RwLock<Vec<T>>>,
    transforms: Vec<Prepared<T>>,
}

impl<T: Real> HostInstance<T> {
    /// Allocates what the plan needs.
    pub fn new(plan: &Plan) -> HostInstance<T> {
        let slots = plan.memory.slots.iter().map(|&bytes| RwLock::new(vec![T::zero(); bytes as usize / 4])).collect();
        let transforms = plan.steps.iter().map(|s| Prepared::of(&s.kernel));
        HostInstance { slots, transforms: transforms.collect() }
    }

    /// Bytes of scratch.
    pub fn bytes(&self) -> u64 {
        let bytes = |s: &RwLock<Vec<T>>| s.read().unwrap_or_else(|e| e.into_inner()).len() * size_of::<T>();
        self.slots.iter().map(bytes).sum::<usize>() as u64
    }

    /// Runs the plan on an input in C order, until it is done or `stop` is set.
    ///
    /// # Errors
    /// The input has another length or dtype than the plan's, a sub-linop panicked (the message names it), or it was
    /// stopped.
    pub fn run(&mut self, plan: &Plan, input: Slice<T>, stop: &AtomicBool) -> Result<HostBuf<T>> {
        let want = &plan.values[0];
        if input.len() != want.len() || input.is_complex() != want.complex {
            return shape_err!(
                "the plan takes {} {} values, {} {} came",
                want.len(),
                if want.complex { "complex" } else { "real" },
                input.len(),
                if input.is_complex() { "complex" } else { "real" }
            );
        }
        let out = &plan.values[plan.output.at()];
        let output = RwLock::new(HostBuf::zeros(out.len(), out.complex));
        Run { instance: self, plan, input, output: &output, stop }.items(&plan.body, None)?;
        Ok(output.into_inner().unwrap_or_else(|e| e.into_inner()))
    }
}
