//! Scratch and prepared kernels for one plan: what an apply needs for itself alone.

use super::clock::Clock;
use super::memory::{table_bytes, taken};
use super::region::Run;
use crate::access::Constant;
use crate::allocate::zeroed;
use crate::error::{Error, Result, shape_err};
use crate::loops::{HostBuf, Real, Slice};
use crate::plan::{Bound, HostKernel, Plan, PlanValue, StepKernel};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// A precision that kernels are bound in.
pub trait Precision: Real {
    /// The kernel with its tables.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn bind(kernel: &dyn HostKernel) -> Box<dyn Bound<Self>>;
}

impl Precision for f32 {
    #[allow(private_interfaces)]
    fn bind(kernel: &dyn HostKernel) -> Box<dyn Bound<f32>> {
        kernel.bind32()
    }
}

impl Precision for f64 {
    #[allow(private_interfaces)]
    fn bind(kernel: &dyn HostKernel) -> Box<dyn Bound<f64>> {
        kernel.bind64()
    }
}

/// Scratch and prepared kernels for one plan.
pub struct HostInstance<T: Precision> {
    slots: Vec<Slot<T>>,
    pub(super) kernels: Kernels<T>,
    /// There while somebody wants to know when steps run.
    pub(super) clock: Option<Clock>,
}

/// The kernels of a plan with their tables, for all instances.
pub(super) type Kernels<T> = Arc<Vec<Box<dyn Bound<T>>>>;

/// A buffer of a plan. The plan gives steps that run at the same time different slots to write.
pub(super) struct Slot<T>(Mutex<Option<Arc<Vec<T>>>>);

impl<T: Clone> Slot<T> {
    /// The values, to be read.
    pub fn shared(&self) -> Arc<Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Calls `f` with the values, to be written; nothing is locked meanwhile.
    pub fn written<R>(&self, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        // Its own: what has read it is done.
        let result = f(Arc::make_mut(&mut values));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(values);
        result
    }
}

impl<T: Precision> HostInstance<T> {
    /// Allocates what the plan needs.
    ///
    /// # Errors
    /// There is no memory for it, or the plan is not for the host.
    pub fn new(plan: &Plan) -> Result<HostInstance<T>> {
        HostInstance::with(plan, kernels(plan)?)
    }

    pub(super) fn with(plan: &Plan, kernels: Kernels<T>) -> Result<HostInstance<T>> {
        let slot = |&bytes: &u64| -> Result<Slot<T>> {
            let len = usize::try_from(bytes / 4).map_err(|_| too_large(bytes))?;
            Ok(Slot(Mutex::new(Some(Arc::new(zeroed(len)?)))))
        };
        let slots = plan.memory.slots.iter().map(slot).collect::<Result<_>>()?;
        let instance = HostInstance { slots, kernels, clock: None };
        // Buffers of tasks are asked for within kernels, where there is no way back: see that they can be had.
        let own = taken(plan, rayon::current_num_threads());
        let tasks = own.each.saturating_mul(rayon::current_num_threads() as u64).saturating_add(own.shared);
        let reals = usize::try_from(tasks / 4).map_err(|_| too_large(tasks))?;
        zeroed::<f32>(reals.saturating_mul(size_of::<T>() / 4)).map(|_| instance)
    }

    pub(super) fn slot(&self, slot: usize) -> &Slot<T> {
        &self.slots[slot]
    }

    /// Bytes of scratch.
    pub fn bytes(&self) -> u64 {
        let bytes = |s: &Slot<T>| s.shared().len() * size_of::<T>();
        self.slots.iter().map(bytes).sum::<usize>() as u64
    }

    /// Runs the plan on an input in C order, until it is done or `stop` is set.
    ///
    /// # Errors
    /// The input has another length or dtype than the plan's, there is no memory for the output, a sub-linop panicked (the
    /// message names it), or it was stopped.
    pub fn run(&mut self, plan: &Plan, input: Slice<T>, stop: &AtomicBool) -> Result<HostBuf<T>> {
        let out = &plan.values[plan.output.at()];
        self.run_into(plan, input, HostBuf::unset(out.len(), out.complex)?, stop)
    }

    /// [`run`](HostInstance::run) into a buffer of the output's length and dtype, whatever it holds.
    ///
    /// # Errors
    /// As for `run`; the buffer does not fit.
    pub(super) fn run_into(
        &mut self,
        plan: &Plan,
        input: Slice<T>,
        buffer: HostBuf<T>,
        stop: &AtomicBool,
    ) -> Result<HostBuf<T>> {
        expect("takes", &plan.values[0], input)?;
        expect("gives", &plan.values[plan.output.at()], buffer.as_slice())?;
        let output = Mutex::new(Some(buffer));
        Run { instance: self, plan, input, output: &output, stop }.items(&plan.body, None)?;
        let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
        output.ok_or_else(|| Error::Panicked("a kernel has lost the result".into()))
    }
}

fn expect<T: Real>(what: &str, want: &PlanValue, came: Slice<T>) -> Result<()> {
    let kind = |complex: bool| if complex { "complex" } else { "real" };
    match came.len() == want.len() && came.is_complex() == want.complex {
        true => Ok(()),
        false => shape_err!(
            "the plan {what} {} {} values, {} {} came",
            want.len(),
            kind(want.complex),
            came.len(),
            kind(came.is_complex())
        ),
    }
}

/// The kernels of a plan, their tables made now.
///
/// # Errors
/// There is no memory for these, or for any one of the plan's values; or the plan is not for the host.
pub(super) fn kernels<T: Precision>(plan: &Plan) -> Result<Kernels<T>> {
    // Tables are asked for where there is no way back, and may take long: see first that all can be had.
    let largest = plan.values.iter().map(|v| v.bytes()).max().unwrap_or(0);
    let bytes = largest.max(table_bytes(plan)).saturating_mul(size_of::<T>() as u64 / 4);
    let reals = usize::try_from(bytes / 4).map_err(|_| too_large(bytes))?;
    zeroed::<f32>(reals)?;
    plan.weights().into_iter().try_for_each(Constant::ready)?;
    let kernel = |kernel: &StepKernel| match kernel.for_host() {
        Some(k) => Ok(T::bind(k)),
        None => Err(Error::Device("a plan for a GPU does not run on the host".into())),
    };
    Ok(Arc::new(plan.steps.iter().map(|s| kernel(&s.kernel)).collect::<Result<_>>()?))
}

fn too_large(bytes: u64) -> Error {
    Error::OutOfMemory(format!("the host has no {bytes} bytes for a buffer"))
}
